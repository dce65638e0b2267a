//! Receivers that lie, each beside an honest one: their own flow may suffer, memory and work stay bounded,
//! and the honest one notices nothing.
//!
//! A server sends to both over links of 10 Mbit/s and 20 ms of their own. In front of the hostile one a
//! relay changes what its stack acknowledges.

use core::net::{IpAddr, Ipv4Addr};

use netloom::base::Protocol;
use netloom::bytes::Bytes;
use netloom::device::Medium;
use netloom::link::ethernet;
use netloom::sim::{HostId, Network, PortConfig};
use netloom::tcp::congestion::{
    AckSample, CongestionControl, CongestionEvent, Cx, Output, Pacing, Response, Start,
};
use netloom::tcp::{Ecn, Fields, Flags, Header, Options, SackBlocks};
use netloom::{Cidr, ipv4};

use super::path::*;

/// A TCP segment in an Ethernet frame, taken apart.
#[derive(Clone)]
struct Segment {
    link: ethernet::Fields,
    ends: (Ipv4Addr, Ipv4Addr),
    tos: u8,
    tcp: Fields,
    options: Options,
    text: Bytes,
}

impl Segment {
    fn parse(frame: &Bytes) -> Option<Self> {
        let (link, packet) = ethernet::Header::parse(frame).ok()?;
        let (ip, segment) = ipv4::Header::parse(packet).ok()?;
        if link.ether_type() != ethernet::EtherType::IPV4 || ip.protocol() != Protocol::TCP {
            return None;
        }
        let (tcp, text) = Header::parse(segment).ok()?;
        Some(Self {
            link: link.fields(),
            ends: (ip.src(), ip.dst()),
            tos: ip.tos(),
            tcp: tcp.fields(),
            options: Options::parse(tcp.options_bytes()),
            text: frame.slice_ref(text),
        })
    }

    fn emit(&self) -> Bytes {
        let mut segment = vec![0; 60];
        let len = self.tcp.emit(&self.options, &mut segment);
        segment.truncate(len);
        segment.extend(&self.text);
        let (src, dst) = self.ends;
        let pseudo = ipv4::pseudo_sum(src, dst, Protocol::TCP, segment.len());
        let sum = pseudo.bytes(&segment).finish();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        let mut frame = vec![0; 14 + 20];
        self.link.emit(&mut frame);
        let mut ip = ipv4::Fields::new(src, dst, Protocol::TCP);
        ip.tos = self.tos;
        ip.emit(segment.len(), &mut frame[14..]);
        frame.extend(segment);
        frame.into()
    }

    /// The number after its text.
    fn end(&self) -> u32 {
        self.tcp.seq.wrapping_add(self.text.len() as u32)
    }

    /// The same with these SACK blocks, and nothing else that would take their room.
    fn with_sack(mut self, blocks: &[(u32, u32)]) -> Self {
        self.options.sack = blocks.iter().copied().collect::<SackBlocks>();
        self
    }

    fn with_ack(mut self, ack: u32) -> Self {
        self.tcp.ack = ack;
        self
    }
}

/// What the relay knows.
#[derive(Clone, Default)]
struct Seen {
    /// The highest end of text that the server sent; 0 before any.
    sent: u32,
    /// The highest number that the receiver acknowledged.
    acked: u32,
    /// ACKs and texts so far.
    acks: u32,
    texts: u32,
    random: u32,
}

impl Seen {
    /// A number below `bound`.
    fn draw(&mut self, bound: u32) -> u32 {
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        (self.random >> 8) % bound.max(1)
    }
}

/// What a receiver does to its ACKs, and which texts it never takes.
struct Lies {
    ack: fn(&mut Seen, Segment) -> Vec<Segment>,
    /// Does it lose this text?
    lose: fn(&mut Seen, &Segment) -> bool,
    /// Does the queue in front of it mark what waited for 10 ms?
    marks: bool,
}

const HONEST: Lies = Lies {
    ack: |_, ack| vec![ack],
    lose: |_, _| false,
    marks: false,
};

/// A server, an honest receiver and one that lies.
struct World {
    network: Network,
    server: HostId,
    honest: (AppId<Bulk>, AppId<Sink>),
    hostile: (AppId<Bulk>, AppId<Sink>),
    /// The most that the hostile connection held, and the stack.
    most: (u64, usize),
    /// Reductions for ECN of the hostile connection, as last seen.
    most_reductions: u64,
}

/// Bytes that the honest one is sent, and the hostile one.
const TEXT: u64 = 2_000_000;
const HOSTILE_TEXT: u64 = 600_000;
/// The most that may wait to be acknowledged by the hostile one.
const BUFFER: usize = 256 << 10;

impl World {
    fn new(lies: Lies, options: TcpOptions) -> Self {
        let (mut network, marks) = (Network::new(1), lies.marks);
        let fast = WireConfig::perfect().rate(1_000_000_000);
        let server = network.add_host("server");
        let switch = network.add_switch("switch");
        let at = |n: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n));
        let port = |n: u8| PortConfig::new().address(Cidr::new(at(n), 24).unwrap());
        network
            .link(server.port(port(1)), switch.port(), fast.clone())
            .unwrap();
        let honest = network.add_host("honest");
        let link = wires(10, 20, 50_000);
        network
            .link(switch.port(), honest.port(port(2)), link.clone())
            .unwrap();
        let relay = network.add_relay("relay", Medium::Ethernet, relay(lies));
        network.link(switch.port(), relay.port(), fast).unwrap();
        let hostile = network.add_host("hostile");
        let (mut forth, back) = link;
        if marks {
            forth = forth.ce_above(Duration::from_millis(10));
        }
        network
            .link(relay.port(), hostile.port(port(3)), (forth, back))
            .unwrap();
        let mut flow = |n: u8, host: HostId, options: TcpOptions, bytes: u64| {
            let to = SocketAddr::new(at(n), 9);
            let sink = network.add_app(host, Sink::new(to));
            let bulk = Bulk::new(to).options(options).bytes(bytes);
            (network.add_app(server, bulk), sink)
        };
        let plain = TcpOptions::default();
        let honest = flow(2, honest, plain, TEXT);
        let hostile = flow(3, hostile, options.send_buffer(BUFFER), HOSTILE_TEXT);
        Self {
            network,
            server,
            honest,
            hostile,
            most: (0, 0),
            most_reductions: 0,
        }
    }

    fn info(&self) -> Option<TcpInfo> {
        let id = self.network.app(self.hostile.0).id()?;
        self.network.stack(self.server).tcp_info(id).ok()
    }

    /// Runs for so long, and looks at what is held each 10 ms.
    fn run(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.network.run_for(Duration::from_millis(10)).unwrap();
            let info = self.info();
            let held = info.as_ref().map_or(0, |info| info.memory);
            let reductions = info.map_or(0, |info| info.ecn_reductions);
            self.most_reductions = self.most_reductions.max(reductions);
            let stack = self.network.stack(self.server).memory().most_used;
            self.most = (self.most.0.max(held), self.most.1.max(stack));
        }
    }

    /// When the honest receiver had all.
    fn honest_end(&self) -> Option<Instant> {
        let sink = self.network.app(self.honest.1);
        (sink.bytes() == TEXT).then(|| sink.times().unwrap().1)
    }

    fn hostile_bytes(&self) -> u64 {
        self.network.app(self.hostile.1).bytes()
    }
}

/// Passes what it may, lies in the direction of the server.
fn relay(lies: Lies) -> impl FnMut(Instant, usize, Bytes) -> Vec<(usize, Bytes)> {
    let mut seen = Seen::default();
    move |_, port, frame| {
        let segment = Segment::parse(&frame);
        let Some(segment) = segment.filter(|s| !s.tcp.flags.contains(Flags::SYN)) else {
            return vec![(1 - port, frame)];
        };
        if port == 0 {
            seen.texts += 1;
            if seen.sent == 0 || segment.end().wrapping_sub(seen.sent) < 1 << 31 {
                seen.sent = segment.end();
            }
            if !segment.text.is_empty() && (lies.lose)(&mut seen, &segment) {
                return vec![];
            }
            return vec![(1, frame)];
        }
        seen.acks += 1;
        let before = core::mem::replace(&mut seen.acked, segment.tcp.ack);
        if before != 0 && segment.tcp.ack.wrapping_sub(before) >= 1 << 31 {
            seen.acked = before;
        }
        let told = (lies.ack)(&mut seen, segment);
        told.iter().map(|ack| (0, ack.emit())).collect()
    }
}

/// Runs until both ended, a minute of theirs at most. The honest one must be as fast as alone, and what is
/// held for the hostile one within its buffer and the records of it.
fn beside(lies: Lies, options: TcpOptions) -> World {
    let mut world = World::new(lies, options);
    world.run(3000);
    let end = world.honest_end().expect("the honest one has all");
    // 2,000,000 bytes at 10 Mbit/s are 1.7 s, the start 0.2 s.
    assert!(end < at(2100), "{end:?}");
    for _ in 0..57 {
        if world.network.app(world.hostile.0).ended().is_some() {
            break;
        }
        world.run(1000);
    }
    // A chunk of the buffer, and records of one segment each at worst.
    let most = BUFFER as u64 * 2;
    assert!(world.most.0 <= most, "{} bytes held", world.most.0);
    world
}

/// What the hostile connection did in all, as the server's counters have it.
fn sent(world: &World) -> u64 {
    world
        .network
        .stack(world.server)
        .counters()
        .tcp_segments_sent
}

#[test]
fn honest_receivers_both_get_all() {
    let world = beside(HONEST, TcpOptions::default());
    assert_eq!(world.hostile_bytes(), HOSTILE_TEXT);
    assert!(world.network.app(world.hostile.0).ended().is_some());
}

/// Everything is acknowledged as soon as it passes, and now and then what was never sent: that counts for
/// nothing, and what the receiver then misses is its own loss.
#[test]
fn optimistic_acks() {
    let lies = Lies {
        ack: |seen, ack| {
            let all = ack.clone().with_ack(seen.sent).with_sack(&[]);
            let future = ack.with_ack(seen.sent.wrapping_add(1_000_000));
            if seen.acks % 8 == 0 {
                vec![future, all]
            } else {
                vec![all]
            }
        },
        lose: |seen, _| seen.draw(10) == 0,
        ..HONEST
    };
    let world = beside(lies, TcpOptions::default());
    assert!(world.hostile_bytes() < HOSTILE_TEXT);
    let drops = &world.network.stack(world.server).counters().drops;
    assert!(drops.get(netloom::base::DropReason::TcpBadAck) > 0);
}

/// An ACK in twenty pieces opens the window no further than the ACK does (RFC 3465).
#[test]
fn split_acks() {
    let split = |seen: &mut Seen, ack: Segment| {
        let _ = seen;
        let step = 100;
        (0..20u32)
            .rev()
            .map(|n| ack.clone().with_ack(ack.tcp.ack.wrapping_sub(n * step)))
            .collect()
    };
    let cwnd = |lies: Lies| {
        // Slow start alone: HyStart++ counts rounds by samples.
        let reno = TcpOptions::default().congestion(Choice::Reno);
        let mut world = World::new(lies, reno);
        world.run(200);
        world.info().unwrap().cwnd
    };
    let (honest, hostile) = (
        cwnd(HONEST),
        cwnd(Lies {
            ack: split,
            ..HONEST
        }),
    );
    assert!(hostile * 10 <= honest * 11, "{hostile}, {honest}");
    let world = beside(
        Lies {
            ack: split,
            ..HONEST
        },
        TcpOptions::default(),
    );
    assert_eq!(world.hostile_bytes(), HOSTILE_TEXT);
}

/// Ten ACKs for one, each with four blocks anywhere.
#[test]
fn sack_storms() {
    let lies = Lies {
        ack: |seen, ack| {
            let mut all = vec![ack.clone()];
            for _ in 0..10 {
                let mut blocks = Vec::new();
                for _ in 0..3 {
                    let left = seen
                        .acked
                        .wrapping_add(seen.draw(1 << 18))
                        .wrapping_sub(1 << 16);
                    blocks.push((
                        left,
                        left.wrapping_add(seen.draw(1 << 16)).wrapping_sub(999),
                    ));
                }
                all.push(ack.clone().with_sack(&blocks));
            }
            all
        },
        ..HONEST
    };
    let world = beside(lies, TcpOptions::default());
    assert_eq!(world.hostile_bytes(), HOSTILE_TEXT);
    // Each segment may be believed lost as often as a round trip passes, no more.
    assert!(sent(&world) < 20_000, "{} segments", sent(&world));
}

/// All that was sent is reported, a tenth of it is missing: what was reported is kept, and sent again.
#[test]
fn reneging() {
    let lies = Lies {
        ack: |seen, ack| {
            let missing = ack.tcp.ack.wrapping_add(1448);
            let ahead = seen.sent.wrapping_sub(missing);
            if ahead == 0 || ahead >= 1 << 31 {
                return vec![ack];
            }
            let block = [(missing, seen.sent)];
            vec![ack.with_sack(&block)]
        },
        lose: |seen, _| seen.draw(10) == 0,
        ..HONEST
    };
    let world = beside(lies, TcpOptions::default());
    assert_eq!(world.hostile_bytes(), HOSTILE_TEXT, "{:?}", world.info());
}

/// The window is whole, nothing, a byte and a few segments in turn, far below what is in flight.
#[test]
fn shrinking_windows() {
    let lies = Lies {
        ack: |seen, mut ack| {
            ack.tcp.window = [ack.tcp.window, 0, 1, 40][seen.acks as usize % 4];
            vec![ack]
        },
        ..HONEST
    };
    let world = beside(lies, TcpOptions::default());
    assert!(world.hostile_bytes() > 100_000, "{:?}", world.info());
}

/// Each ACK reports a segment twice that came once; text is lost besides. What is undone for it is lost
/// again, the window for reordering stays within a round trip, and all arrives.
#[test]
fn forged_dsacks() {
    let lies = Lies {
        ack: |seen, ack| {
            let left = ack.tcp.ack.wrapping_sub(1448 * (1 + seen.draw(20)));
            let twice = (left, left.wrapping_add(1448));
            let mut blocks = vec![twice];
            blocks.extend(ack.options.sack.iter().take(2));
            vec![ack.with_sack(&blocks)]
        },
        lose: |seen, _| seen.draw(50) == 0,
        ..HONEST
    };
    let world = beside(lies, TcpOptions::default());
    assert_eq!(world.hostile_bytes(), HOSTILE_TEXT);
}

/// Our timestamps come back as they never were: hours old, from the future, and of the text before.
#[test]
fn timestamps_that_lie() {
    type Ack = fn(&mut Seen, Segment) -> Vec<Segment>;
    let lies: [(&str, Ack); 4] = [
        ("hours old", |_, ack| vec![older(ack, 1 << 23)]),
        ("half the circle old", |_, ack| vec![older(ack, 1 << 31)]),
        ("three seconds old", |_, ack| vec![older(ack, 3000)]),
        ("a second to come", |_, ack| {
            vec![older(ack, u32::MAX - 999)]
        }),
    ];
    for (lie, ack) in lies {
        let lose = |seen: &mut Seen, _: &Segment| seen.draw(50) == 0;
        let lies = Lies {
            ack,
            lose,
            ..HONEST
        };
        let options = TcpOptions::default().congestion(Choice::custom(|| Box::new(Paced)));
        let world = beside(lies, options);
        assert!(
            world.hostile_bytes() > 20 * 1448,
            "{lie}: {:?}",
            world.info()
        );
        if let Some(rate) = world.info().and_then(|info| info.pacing_rate) {
            assert!(rate >= 1448, "{lie}: {rate} bytes a second");
        }
    }
}

fn asking() -> TcpOptions {
    TcpOptions::default().ecn(Ecn::Ask)
}

/// Every ACK says that a mark was seen: one cut in a round trip, down to a segment, and text goes on.
#[test]
fn ece_floods() {
    let lies = Lies {
        ack: |_, mut ack| {
            ack.tcp.flags |= Flags::ECE;
            vec![ack]
        },
        ..HONEST
    };
    let world = beside(lies, asking());
    // At a window of one segment, one leaves for each retransmission time-out (RFC 3168 §6.1.2).
    assert!(world.hostile_bytes() > 100_000, "{:?}", world.info());
    // A cut for each round trip of a minute at most, not for each ACK.
    let reductions = world.most_reductions;
    assert!((3..600).contains(&reductions), "{reductions} reductions");
}

/// Marks are seen and not told: the sender learns of the queue by what it drops, as without ECN.
#[test]
fn marks_that_are_concealed() {
    let marks = Lies {
        marks: true,
        ..HONEST
    };
    let told = beside(marks, asking());
    assert!(told.most_reductions > 0);
    let lies = Lies {
        ack: |_, mut ack| {
            ack.tcp.flags -= Flags::ECE;
            vec![ack]
        },
        marks: true,
        ..HONEST
    };
    let world = beside(lies, asking());
    assert_eq!(world.most_reductions, 0);
    assert_eq!(world.hostile_bytes(), HOSTILE_TEXT);
}

fn older(mut ack: Segment, millis: u32) -> Segment {
    if let Some((_, ecr)) = &mut ack.options.timestamps {
        *ecr = ecr.wrapping_sub(millis);
    }
    ack
}

/// A window that never changes, paced by the round trip.
#[derive(Clone, Debug)]
struct Paced;

impl CongestionControl for Paced {
    fn name(&self) -> &'static str {
        "paced"
    }

    fn start(&mut self, _: &Cx, _: &Start) {}

    fn on_congestion(&mut self, _: &Cx, _: &CongestionEvent) -> Response {
        Response::Ignore
    }

    fn on_ack(&mut self, _: &Cx, _: &AckSample) {}

    fn output(&self) -> Output {
        Output::window(14_480, u32::MAX).paced(Pacing::FromWindow)
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }
}
