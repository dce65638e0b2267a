//! What a hostile frame costs the stack itself, without devices: processor time per frame.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use netloom::base::{MacAddr, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use netloom::link::{RxFrame, RxMeta, TxFrame};
use netloom::stack::{DhcpOptions, ListenOptions};
use netloom::{Config, Instant, InterfaceConfig, InterfaceId, ListenerId, Stack};
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

/// A stack with a listener, and its attacker.
struct Pair {
    stack: Stack,
    on: InterfaceId,
    listener: ListenerId,
    attacker: Attacker,
    out: Out,
    now: Instant,
}

impl Pair {
    fn new(flood: Flood) -> Self {
        let mac = MacAddr::new([2, 0, 0, 0, 0, 2]);
        let now = Instant::from_millis(10_000);
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let cidr = |text: &str| text.parse().expect("a network");
        let config = InterfaceConfig::new(&Capabilities::full(Medium::Ethernet, 1500))
            .mac(mac)
            .address(cidr("10.7.0.2/8"))
            .address(cidr("fd07::2/64"))
            .gateway(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)))
            .dad_transmits(0);
        let config = match flood {
            Flood::Routers => config.router_discovery(true),
            Flood::Leases => config.dhcp(DhcpOptions::new()),
            _ => config,
        };
        let on = stack.add_interface(now, config).expect("an interface");
        let at = SocketAddrV4::new(Ipv4Addr::new(10, 7, 0, 2), 80);
        let options = ListenOptions::default();
        let listener = stack.tcp_listen(at.into(), options).expect("free");
        let attacker = Attacker::new(Target {
            mac,
            listener: at,
            v6: "fd07::2".parse().expect("an address"),
            peer: SocketAddrV4::new(Ipv4Addr::new(10, 7, 0, 1), 5000),
        });
        Self {
            stack,
            on,
            listener,
            attacker,
            out: Out::default(),
            now,
        }
    }

    fn send(&mut self) {
        while self.stack.wants_transmit(self.on) {
            let sent = self.stack.poll_transmit(self.now, self.on, &mut self.out);
            sent.expect("a device that is never gone");
        }
    }

    /// Opens the attacker's own connection, with much to send to it.
    fn connect(&mut self) {
        self.out.1 = true;
        let syn = frame(self.now, self.attacker.syn());
        self.stack.handle_frame(self.now, self.on, syn);
        while self.stack.wants_transmit(self.on) {
            self.send();
            while let Some(answer) = self.out.0.pop_front() {
                if let Some(next) = self.attacker.heard(&answer) {
                    let next = frame(self.now, next);
                    self.stack.handle_frame(self.now, self.on, next);
                }
            }
        }
        self.out.1 = false;
        let hostile = self.stack.tcp_accept(self.now, self.listener);
        let hostile = hostile.expect("the attacker's connection");
        let _ = self.stack.tcp_write(self.now, hostile, &vec![0; 2 << 20]);
    }
}

fn frame(now: Instant, bytes: &[u8]) -> RxFrame {
    RxFrame::new(Bytes::copy_from_slice(bytes), RxMeta::new(now))
}

/// Nanoseconds of processor time for each frame of a flood of 10^5 a second, answers included, over
/// a second of virtual time and more.
pub(crate) fn nanos_per_frame(flood: Flood) -> nix::Result<f64> {
    let mut pair = Pair::new(flood);
    if flood.connects() {
        pair.connect();
    }
    let start = pair.now;
    let at = |batch: usize| start + Duration::from_micros(10 * (batch * BATCH) as u64);
    // Made before the clock is read, which counts whole microseconds.
    let batches: Vec<Vec<RxFrame>> = (0..BATCHES)
        .map(|batch| {
            let frames = (0..BATCH).map(|_| frame(at(batch), pair.attacker.next(flood)));
            frames.collect()
        })
        .collect();
    let before = processor_time()?;
    for (number, frames) in batches.into_iter().enumerate() {
        pair.now = at(number);
        for frame in frames {
            pair.stack.handle_frame(pair.now, pair.on, frame);
        }
        pair.stack.handle_timeout(pair.now);
        pair.send();
    }
    let spent = processor_time()?.saturating_sub(before);
    Ok(spent.as_nanos() as f64 / (BATCH * BATCHES) as f64)
}

fn processor_time() -> nix::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.max(0) as u64))
}
