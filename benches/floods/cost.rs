//! What a hostile frame costs the stack itself, without devices: processor time per frame.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use netloom::base::{MacAddr, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use netloom::link::{RxFrame, RxMeta, TxFrame};
use netloom::stack::ListenOptions;
use netloom::{Config, Instant, InterfaceConfig, Stack};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::attack::{Attacker, Flood, Target};

/// Frames handled between two turns to send.
const BATCH: usize = 64;
const BATCHES: usize = 2000;

/// Answers of the stack, for the attacker.
#[derive(Default)]
struct Out(VecDeque<Vec<u8>>, bool);

impl Transmit for Out {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if self.1 {
            self.0.push_back(frame.to_vec());
        }
        Ok(Sent::Taken)
    }
}

/// Nanoseconds of processor time for each frame of a flood of 10^5 a second, answers included, over
/// a second of virtual time and more.
pub(crate) fn nanos_per_frame(flood: Flood) -> nix::Result<f64> {
    let mac = MacAddr::new([2, 0, 0, 0, 0, 2]);
    let mut now = Instant::from_millis(10_000);
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let cidr = |text: &str| text.parse().expect("a network");
    let config = InterfaceConfig::new(&Capabilities::full(Medium::Ethernet, 1500))
        .mac(mac)
        .address(cidr("10.7.0.2/8"))
        .address(cidr("fd07::2/64"))
        .gateway("10.7.0.1".parse().expect("an address"))
        .dad_transmits(0);
    let on = stack.add_interface(now, config).expect("an interface");
    let SocketAddr::V4(at) = "10.7.0.2:80".parse().expect("an address") else {
        unreachable!()
    };
    let listener = stack
        .tcp_listen(at.into(), ListenOptions::default())
        .expect("free");
    let mut attacker = Attacker::new(Target {
        mac,
        listener: at,
        v6: "fd07::2".parse().expect("an address"),
        peer: "10.7.0.1:5000".parse().expect("an address"),
    });
    let mut out = Out(VecDeque::new(), true);
    let give = |stack: &mut Stack, now, frame: &[u8]| {
        let frame = RxFrame::new(Bytes::copy_from_slice(frame), RxMeta::new(now));
        stack.handle_frame(now, on, frame);
    };
    if flood.connects() {
        give(&mut stack, now, attacker.syn());
        while stack.wants_transmit(on) || !out.0.is_empty() {
            stack.poll_transmit(now, on, &mut out).expect("no device");
            while let Some(frame) = out.0.pop_front() {
                if let Some(answer) = attacker.heard(&frame) {
                    give(&mut stack, now, answer);
                }
            }
        }
        let hostile = stack
            .tcp_accept(now, listener)
            .expect("the attacker's connection");
        if flood == Flood::Sack {
            let _ = stack.tcp_write(now, hostile, &vec![0; 2 << 20]);
        }
    }
    out.1 = false;
    let mut spent = Duration::ZERO;
    for _ in 0..BATCHES {
        now = now + Duration::from_micros(10 * BATCH as u64);
        let frames: Vec<_> = (0..BATCH)
            .map(|_| {
                RxFrame::new(
                    Bytes::copy_from_slice(attacker.next(flood)),
                    RxMeta::new(now),
                )
            })
            .collect();
        let before = processor_time()?;
        for frame in frames {
            stack.handle_frame(now, on, frame);
        }
        stack.handle_timeout(now);
        while stack.wants_transmit(on) {
            stack.poll_transmit(now, on, &mut out).expect("no device");
        }
        spent += processor_time()?.saturating_sub(before);
    }
    Ok(spent.as_nanos() as f64 / (BATCH * BATCHES) as f64)
}

fn processor_time() -> nix::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.max(0) as u64))
}
