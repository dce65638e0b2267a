//! The short way of plain packets beside the long one, which all others take.

use super::*;
use crate::stack::{AddressOptions, NatOptions};

/// Numbers from a seed.
struct Draw(u64);

impl Draw {
    /// Less than `below` (SplitMix64).
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % below
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.below(all.len() as u64);
        all[usize::try_from(at).unwrap()]
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A router of one of several kinds.
fn router(kind: u64) -> Router {
    let back = [ReversePath::Off, ReversePath::Loose, ReversePath::Strict];
    let options = ForwardOptions::new().reverse_path(back[usize::try_from(kind % 3).unwrap()]);
    let right: fn(InterfaceConfig) -> InterfaceConfig = match kind / 3 % 3 {
        0 => |config| config.nat(NatOptions::new()),
        1 => |config| config.accept_foreign(true),
        _ => |config| config,
    };
    Router::with(Setting {
        options: Some(options),
        right,
        ..Setting::default()
    })
}

const V4: [&str; 12] = [
    "10.0.0.2",
    "10.0.0.1",
    "10.0.0.77",
    "10.0.0.255",
    "10.1.0.1",
    "10.1.0.2",
    "10.1.0.50",
    "10.1.0.255",
    "192.0.2.7",
    "224.0.0.5",
    "169.254.1.1",
    "0.0.0.0",
];
const V6: [&str; 11] = [
    "fd00::2",
    "fd00::1",
    "fd00::77",
    "fd01::1",
    "fd01::2",
    "fd01::50",
    "2001:db8::7",
    "ff02::5",
    "fe80::9",
    "::",
    "::ffff:10.1.0.2",
];

/// A packet that is plain, nearly, and may be of any two.
fn packet(draw: &mut Draw) -> Vec<u8> {
    let len = draw.of(&[0, 4, 600, 1200, 1480]);
    let text = vec![7; len];
    let usual = !draw.once_in(3);
    let hops = draw.of(&[64, 64, 64, 2, 1, 0]);
    let tos = draw.of(&[0, 3, 0xb8]);
    if draw.once_in(3) {
        let ends = [(); 2].map(|()| draw.of(&V6).parse().unwrap());
        return six(&text, |fields| {
            (fields.hop_limit, fields.traffic_class) = (hops, tos);
            if !usual {
                [fields.src, fields.dst] = ends;
            }
        });
    }
    let ends = [(); 2].map(|()| draw.of(&V4).parse().unwrap());
    let options: &[u8] = draw.of(&[&[], &[], &[], &[1, 1, 1, 0], &[131, 3, 4, 0], &[7, 9, 1, 0]]);
    let (whole, cut) = (!draw.once_in(8), !draw.once_in(3));
    let mut packet = four_with(options, &text, |fields| {
        (fields.ttl, fields.tos, fields.dont_fragment) = (hops, tos, cut);
        if !usual {
            [fields.src, fields.dst] = ends;
        }
    });
    if !whole {
        // More fragments.
        packet[6] |= 0x20;
    }
    let header = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = crate::base::checksum::checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.wrapping_add(u16::from(draw.once_in(20))).to_be_bytes());
    packet
}

/// One thing that happens to a router.
#[derive(Clone, Debug)]
enum Step {
    Frame(usize, Vec<u8>, RxMeta),
    Room(usize, Option<usize>),
    Drain(usize),
    Link(usize, bool),
    Mtu(usize, usize),
    Address(usize, &'static str, bool),
    Route(usize, &'static str, &'static str, bool),
    Hear(usize),
    Wait(Duration),
}

fn step(draw: &mut Draw, now: Instant) -> Step {
    let side = draw.of(&SIDES);
    match draw.below(40) {
        0 => Step::Room(1, draw.of(&[None, None, Some(0), Some(3)])),
        1 => Step::Link(side, !draw.once_in(3)),
        2 => Step::Mtu(side, draw.of(&[1500, 1500, 1400, 1280])),
        3 | 4 => {
            let of = draw.of(&[
                "10.1.0.50/24",
                "192.0.2.7/24",
                "2001:db8::7/64",
                "fd01::50/64",
            ]);
            Step::Address(side, of, draw.once_in(2))
        }
        5 | 6 => {
            let (to, via) = draw.of(&[
                ("192.0.2.0/24", "10.1.0.2"),
                ("192.0.2.7/32", "10.0.0.2"),
                ("10.1.0.2/32", "10.1.0.50"),
                ("2001:db8::/32", "fd01::2"),
                ("fd01::2/128", "fd00::2"),
            ]);
            Step::Route(side, to, via, draw.once_in(2))
        }
        7 => Step::Hear(side),
        8 => Step::Wait(draw.of(&[1, 50, 1000, 40_000].map(Duration::from_millis))),
        9..20 => Step::Drain(side),
        _ => {
            let mut frame = around(side, &packet(draw));
            match draw.below(12) {
                0 => frame[..6].fill(0xff),
                1 => frame.extend([0xee; 18]),
                2 => frame.truncate(frame.len() - 1),
                _ => {}
            }
            let meta = RxMeta::new(now);
            let meta = match draw.below(12) {
                0 => meta.with_checksum(RxChecksum::Verified),
                1 => meta.with_segment_size(NonZeroU16::new(500)),
                2 => meta.with_checksum(RxChecksum::Partial(PartialChecksum {
                    start: 34,
                    offset: 6,
                })),
                _ => meta,
            };
            Step::Frame(side, frame, meta)
        }
    }
}

impl Router {
    /// What leaves by that.
    fn take(&mut self, step: &Step) -> Vec<(MacAddr, Vec<u8>, TxMeta)> {
        let now = self.now;
        let any = AddressOptions::new();
        match *step {
            Step::Frame(side, ref frame, meta) => self.receive_with(side, frame.clone(), meta),
            Step::Room(side, room) => self.device(side).room = room,
            Step::Drain(side) => {
                let seen = self.drain(side).into_iter();
                return seen
                    .map(|seen| (seen.dst, seen.packet, seen.meta))
                    .collect();
            }
            Step::Link(side, up) => {
                let _ = self.stack.set_link(now, self.on[side], up);
            }
            Step::Mtu(side, mtu) => {
                let _ = self.stack.set_mtu(now, self.on[side], mtu);
            }
            Step::Address(side, cidr, true) => {
                let cidr = cidr.parse().unwrap();
                let _ = self.stack.add_address(now, self.on[side], cidr, any);
            }
            Step::Address(side, cidr, false) => {
                let cidr: Cidr = cidr.parse().unwrap();
                let _ = self
                    .stack
                    .remove_address(now, self.on[side], cidr.address());
            }
            Step::Route(side, to, via, add) => {
                let (to, via) = (to.parse().unwrap(), Some(via.parse().unwrap()));
                let _ = match add {
                    true => self.stack.add_route(now, self.on[side], to, via),
                    false => self.stack.remove_route(now, self.on[side], to, via),
                };
            }
            Step::Hear(0) => self.introduce(0, PEER_MAC, PEER, PEER6),
            Step::Hear(side) => self.introduce(side, OTHER_MAC, FAR, FAR6),
            Step::Wait(by) => self.advance(by),
        }
        Vec::new()
    }
}

/// Whatever comes in and changes, what goes the short way leaves as it would by the long one, and is counted the same.
#[test]
fn the_short_way_leads_where_the_long_one_does() {
    let mut passed = 0;
    for seed in 0..60 {
        let mut draw = Draw(seed);
        let mut both = [router(seed), router(seed)];
        both[1].stack.net.forwarding.long = true;
        for n in 0..400 {
            let step = step(&mut draw, both[0].now);
            let [short, long] = &mut both;
            assert_eq!(
                short.take(&step),
                long.take(&step),
                "seed {seed}, step {n}: {step:?}"
            );
            let counters = [short, long].map(|router| format!("{:?}", router.stack.counters()));
            assert_eq!(counters[0], counters[1], "seed {seed}, step {n}: {step:?}");
        }
        passed += both[0].stack.counters().packets_forwarded;
    }
    assert!(passed > 500, "{passed} packets were passed on");
}
