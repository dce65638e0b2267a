//! What a packet costs beside many addresses and many routes: `cargo bench --bench lookups`, some
//! seconds.
//!
//! Prints nanoseconds for 1, 1,000 and 100,000 of each, and how many times the first the last is.
//! `echo` is a request in and its answer out; `route` a look-up, the choice of a source included.

#![allow(clippy::cast_possible_truncation)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant as Clock;

use netloom::base::{Cidr, Instant, Protocol, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use netloom::link::{RxFrame, RxMeta, TxFrame};
use netloom::stack::{Config, InterfaceConfig, InterfaceId, Stack};
use netloom::{ipv4, ipv6};

const COUNTS: [u32; 3] = [1, 1000, 100_000];
/// Packets, or look-ups, of one number.
const TURNS: u32 = 200_000;

fn main() {
    println!(
        "ns each{:>26}{:>10}{:>10}   last to first",
        1, 1000, 100_000
    );
    for (name, family) in [("v4", Family::V4), ("v6", Family::V6)] {
        let mut rows = [[0.0; 3]; 3];
        for (at, count) in COUNTS.into_iter().enumerate() {
            let begun = Clock::now();
            let mut host = Host::new(family, count);
            rows[0][at] = begun.elapsed().as_nanos() as f64 / f64::from(2 * count);
            rows[1][at] = timed(|turn| host.echo(turn));
            rows[2][at] = timed(|turn| host.route(turn));
        }
        for (what, row) in ["add an address or a route", "echo", "route"]
            .into_iter()
            .zip(rows)
        {
            let ratio = row[2] / row[0];
            println!(
                "{name} {what:<26}{:>5.0}{:>10.0}{:>10.0}   {ratio:.1}",
                row[0], row[1], row[2]
            );
        }
    }
}

fn timed(mut turn: impl FnMut(u32)) -> f64 {
    let begun = Clock::now();
    for n in 0..TURNS {
        turn(n);
    }
    begun.elapsed().as_nanos() as f64 / f64::from(TURNS)
}

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

impl Family {
    /// The address of this number, far from the next one's; the same bits for both families.
    fn address(self, kind: u8, number: u32) -> IpAddr {
        let bits = number.wrapping_mul(0x9e37_79b1) >> 8;
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::from(kind) << 24 | bits)),
            Self::V6 => {
                let top = 0x2001_0db8_u128 << 96 | u128::from(kind) << 88;
                IpAddr::V6(Ipv6Addr::from_bits(top | u128::from(bits) << 64 | 1))
            }
        }
    }

    fn network(self, kind: u8, number: u32) -> Cidr {
        let length = match self {
            Self::V4 => 32,
            Self::V6 => 64,
        };
        Cidr::new(self.address(kind, number), length).expect("a length of the family")
    }
}

struct Host {
    stack: Stack,
    on: InterfaceId,
    family: Family,
    count: u32,
    request: Vec<u8>,
}

impl Host {
    fn new(family: Family, count: u32) -> Self {
        let capabilities = Capabilities::plain(Medium::Ip, 1500);
        let mut interface = InterfaceConfig::new(&capabilities);
        for number in 0..count {
            interface = interface
                .address(family.network(10, number))
                .route(family.network(11, number), None);
        }
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let on = stack.add_interface(Instant::ZERO, interface);
        Self {
            stack,
            on: on.expect("addresses that differ"),
            family,
            count,
            request: Vec::new(),
        }
    }

    fn echo(&mut self, turn: u32) {
        let (peer, own) = (
            self.family.address(11, turn % self.count),
            self.family.address(10, turn % self.count),
        );
        write_echo(peer, own, &mut self.request);
        let now = Instant::from_nanos(u64::from(turn));
        let frame = RxFrame::new(Bytes::copy_from_slice(&self.request), RxMeta::new(now));
        self.stack.handle_frame(now, self.on, frame);
        let mut out = Sink(0);
        self.stack
            .poll_transmit(now, self.on, &mut out)
            .expect("a device that works");
        assert_eq!(out.0, 1, "no answer from {own}");
    }

    fn route(&self, turn: u32) {
        let to = self.family.address(11, turn % self.count);
        let found = self.stack.resolve_route(black_box(to));
        black_box(found.expect("a route"));
    }
}

/// Counts what it takes.
struct Sink(u32);

impl Transmit for Sink {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        black_box(frame);
        self.0 += 1;
        Ok(Sent::Taken)
    }
}

/// An echo request with 8 bytes.
fn write_echo(from: IpAddr, to: IpAddr, packet: &mut Vec<u8>) {
    packet.clear();
    packet.resize(64, 0);
    let len = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let at = ipv4::Fields::new(from, to, Protocol::ICMP).emit(16, packet);
            let message = ipv4::icmp::Message::EchoRequest {
                id: 1,
                seq: 1,
                data: &[0; 8],
            };
            at + message.emit(&mut packet[at..])
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let at = ipv6::Fields::new(from, to, Protocol::ICMPV6).emit(16, packet);
            let message = ipv6::icmp::Message::EchoRequest {
                id: 1,
                seq: 1,
                data: &[0; 8],
            };
            at + message.emit(from, to, &mut packet[at..])
        }
        _ => unreachable!("both are of one family"),
    };
    packet.truncate(len);
}
