//! When a world begins: now and then so that a number of its first connection soon wraps.
//!
//! Initial numbers and timestamps tick with the clock (RFC 6528, RFC 7323), so a dry run of the
//! handshake tells how long to wait for the number that is wanted.

use core::net::IpAddr;
use core::net::SocketAddr;

use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Receive, RxBatch, Sent, Transmit};
use netloom::link::{RxFrame, RxMeta, TxFrame};
use netloom::stack::{ListenOptions, Port};
use netloom::tcp::{Options, TcpOptions};
use netloom::{Event, Instant, InterfaceConfig, InterfaceId, Stack};

use super::end::{config, interface};
use super::rng::Rng;
use super::scenario::{Opener, Scenario, Wrap};
use super::segment::tcp_of;

/// An end's address.
pub(crate) fn address(scenario: &Scenario, who: usize) -> IpAddr {
    let text = if scenario.v6 {
        format!("fd00::{}", who + 1)
    } else {
        format!("10.0.0.{}", who + 1)
    };
    text.parse().expect("an address")
}

/// When the scenario begins.
pub(crate) fn of(scenario: &Scenario) -> Instant {
    const TICK: u64 = 4000;
    const MILLI: u64 = 1_000_000;
    let base = Rng::part(scenario.seed, 1).next() >> 8;
    let (end, before, sequence) = match scenario.wrap {
        Wrap::No => return Instant::from_nanos(base),
        Wrap::Sequence { end, before } => (end, before, true),
        Wrap::Timestamp { end, before } => (end, before, false),
    };
    let (seq, stamp) = numbers(scenario, Instant::from_nanos(base))[end];
    let wanted = before.wrapping_neg();
    let wait = if sequence {
        u64::from(wanted.wrapping_sub(seq)) * TICK
    } else {
        u64::from(wanted.wrapping_sub(stamp)) * MILLI
    };
    Instant::from_nanos(base + wait)
}

/// The first sequence number and timestamp of each end in the first conversation.
fn numbers(scenario: &Scenario, now: Instant) -> [(u32, u32); 2] {
    let plain = Capabilities::plain(Medium::Ip, 1500);
    let [mut a, mut b] = [0, 1].map(|who| {
        let mut stack = Stack::new(config(scenario, who));
        let interface = interface(scenario, who, InterfaceConfig::new(&plain));
        let on = stack.add_interface(now, interface).expect("it can work");
        (stack, on)
    });
    let opener = scenario.conversations[0].opener;
    let mut seen = [(0, 0); 2];
    let connect = |end: &mut (Stack, _), who: usize| {
        let (own, theirs) = match opener {
            Opener::End(_) => (None, 80),
            Opener::Both => (Some([7000, 8000][who]), [8000, 7000][who]),
        };
        let to = SocketAddr::new(address(scenario, 1 - who), theirs);
        let from = own.map(|port| SocketAddr::new(address(scenario, who), port));
        let options = TcpOptions::default();
        end.0
            .tcp_connect(now, to, from, options)
            .expect("it can be tried");
    };
    let first = match opener {
        Opener::End(end) => end,
        Opener::Both => {
            connect(&mut b, 1);
            seen[1] = told(&mut b, now).1;
            0
        }
    };
    let (active, passive) = if first == 0 {
        (&mut a, &mut b)
    } else {
        (&mut b, &mut a)
    };
    connect(active, first);
    let (syn, numbers) = told(active, now);
    seen[first] = numbers;
    if opener != Opener::Both {
        let at = SocketAddr::new(address(scenario, 1 - first), 80);
        passive
            .0
            .tcp_listen(at, ListenOptions::default())
            .expect("a free port");
        seen[1 - first] = answer(passive, now, Some(syn)).1;
    }
    seen
}

/// The next frame of a stack, and its numbers.
fn told(end: &mut (Stack, InterfaceId), now: Instant) -> (Bytes, (u32, u32)) {
    answer(end, now, None)
}

/// The same when it was sent a frame.
fn answer(
    (stack, on): &mut (Stack, InterfaceId),
    now: Instant,
    frame: Option<Bytes>,
) -> (Bytes, (u32, u32)) {
    let mut port = Port::new(*on, (Give(frame), Keep(Vec::new())));
    let mut nobody = |_: &mut Stack, _: Instant, _: Event| {};
    // A budget of one frame takes several turns.
    while port
        .turn(now, stack, &mut nobody)
        .expect("it takes everything")
        .again
    {}
    let frames = port.tx().half().0.iter();
    let mut segments = frames.filter(|frame| tcp_of(false, frame).is_some());
    let frame = segments.next().expect("a segment leaves").clone();
    let header = tcp_of(false, &frame).expect("it is one");
    let stamp = Options::parse(header.options_bytes()).timestamps;
    let numbers = (header.seq(), stamp.map_or(0, |(val, _)| val));
    (frame.into(), numbers)
}

struct Give(Option<Bytes>);

impl Receive for Give {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let frame = self.0.take();
        let frame = frame.map(|data| batch.push(RxFrame::new(data, RxMeta::new(now))));
        Ok(usize::from(frame.is_some()))
    }
}

struct Keep(Vec<Vec<u8>>);

impl Transmit for Keep {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0.push(frame.to_vec());
        Ok(Sent::Taken)
    }
}
