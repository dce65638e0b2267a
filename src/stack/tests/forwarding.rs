//! What is for others: passed on, cut, refused, told of, between two interfaces of one stack.

mod busy;
mod crowd;
mod far;
mod known;
mod nat;
mod nat_errors;
mod odd;
mod role;
mod segments;
mod short;

use core::num::NonZeroU16;

use super::*;
use crate::base::checksum::Sum;
use crate::ipv6::ndp::NeighborFlags;
use crate::link::{PartialChecksum, RxChecksum, SegmentKind};
use crate::stack::{ForwardOptions, ReversePath};

const RIGHT_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 9]);
/// A host on the other side.
const FAR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
const FAR6: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 2);
const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const RIGHT6: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 1);
/// Either side.
const SIDES: [usize; 2] = [0, 1];

/// A stack between 10.0.0.0/24, fd00::/64 and 10.1.0.0/24, fd01::/64.
struct Router {
    stack: Stack,
    on: [InterfaceId; 2],
    ports: Vec<Port<Coming, Recorder>>,
    now: Instant,
}

/// How a router differs from the usual one.
struct Setting {
    config: Config,
    /// The right device.
    device: Capabilities,
    options: Option<ForwardOptions>,
    left: fn(InterfaceConfig) -> InterfaceConfig,
    right: fn(InterfaceConfig) -> InterfaceConfig,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            config: Config::new(Seed::from_number(1)),
            device: Capabilities::plain(Medium::Ethernet, 1500),
            options: Some(ForwardOptions::new()),
            left: |config| config,
            right: |config| config,
        }
    }
}

impl Router {
    fn new() -> Self {
        Self::with(Setting::default())
    }

    /// One whose neighbours on both sides are known.
    fn with(setting: Setting) -> Self {
        let mut router = Self::alone(setting);
        router.introduce(0, PEER_MAC, PEER, PEER6);
        router.introduce(1, OTHER_MAC, FAR, FAR6);
        router
    }

    fn alone(setting: Setting) -> Self {
        let mut stack = Stack::new(setting.config);
        let now = Instant::from_millis(1000);
        let right = InterfaceConfig::new(&setting.device)
            .mac(RIGHT_MAC)
            .dad_transmits(0)
            .address("10.1.0.1/24".parse().unwrap());
        let right = match setting.device.mtu >= 1280 {
            true => right.address("fd01::1/64".parse().unwrap()),
            false => right,
        };
        let left = both_families().link_local(true);
        let configs = [(setting.left)(left), (setting.right)(right)];
        let on = configs.map(|config| {
            let config = match setting.options {
                Some(options) => config.forwarding(options),
                None => config,
            };
            stack.add_interface(now, config).unwrap()
        });
        let port = |on| Port::new(on, (Coming::default(), Recorder::default()));
        let ports = on.into_iter().map(port).collect();
        let mut router = Self {
            stack,
            on,
            ports,
            now,
        };
        router.advance(Duration::from_secs(3));
        SIDES.iter().for_each(|&side| drop(router.drain(side)));
        router
    }

    fn introduce(&mut self, side: usize, mac: MacAddr, v4: Ipv4Addr, v6: Ipv6Addr) {
        let (own, own6, to) = [(OURS, OURS6, OUR_MAC), (RIGHT, RIGHT6, RIGHT_MAC)][side];
        self.receive(side, arp_frame(&arp::Packet::request(mac, v4, own)));
        let mut frame = solicitation(v6, mac, own6);
        frame[..6].copy_from_slice(&to.octets());
        self.receive(side, frame);
        self.drain(side);
    }

    fn receive(&mut self, side: usize, frame: Vec<u8>) {
        let meta = RxMeta::new(self.now);
        self.receive_with(side, frame, meta);
    }

    fn receive_with(&mut self, side: usize, frame: Vec<u8>, meta: RxMeta) {
        let rx = self.ports[side].rx_mut();
        let frame = RxFrame::new(frame.into(), meta);
        rx.half_mut().0.push_back(frame);
        assert_eq!(rx.receive(self.now).unwrap(), 1);
        rx.deliver(self.now, &mut self.stack, |_| {});
    }

    fn device(&mut self, side: usize) -> &mut Recorder {
        self.ports[side].tx_mut().half_mut()
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        loop {
            let mut nobody = |_: &mut Stack, _, _: Event| {};
            let next = turn_all(&mut self.ports, self.now, &mut self.stack, &mut nobody);
            let next = next.unwrap();
            match next.due {
                _ if next.again => {}
                Some(due) if due <= end => self.now = due,
                _ => break,
            }
        }
        self.now = end;
    }

    /// What the device of a side took since the last call.
    fn drain(&mut self, side: usize) -> Vec<Seen> {
        let tx = self.ports[side].tx_mut();
        tx.send(self.now, &mut self.stack, usize::MAX).unwrap();
        let frames = core::mem::take(&mut self.device(side).frames);
        let apart = |(frame, meta): (Vec<u8>, TxMeta)| {
            let (header, packet) = ethernet::Header::parse(&frame).unwrap();
            assert_eq!(header.src(), [OUR_MAC, RIGHT_MAC][side]);
            Seen {
                dst: header.dst(),
                kind: header.ether_type(),
                packet: packet.to_vec(),
                meta,
            }
        };
        frames.into_iter().map(apart).collect()
    }

    fn only(&mut self, side: usize) -> Seen {
        let mut frames = self.drain(side);
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert!(self.drain(1 - side).is_empty());
        frames.remove(0)
    }

    /// Gives it a packet that comes in on the left.
    fn give(&mut self, packet: &[u8]) {
        self.give_on(0, packet);
    }

    fn give_on(&mut self, side: usize, packet: &[u8]) {
        self.receive(side, around(side, packet));
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.stack.counters().drops.get(reason)
    }

    /// The only thing that became of the last packet.
    fn dropped(&mut self, reason: DropReason, times: u64) {
        let counters = self.stack.counters();
        assert_eq!(counters.drops.get(reason), times, "{:?}", counters.drops);
        assert_eq!(counters.packets_forwarded, 0);
    }

    /// The error that the left peer is sent.
    fn error4(&mut self) -> (u8, u8, [u8; 4], Vec<u8>) {
        let seen = self.only(0);
        assert_eq!(seen.dst, PEER_MAC);
        let (fields, message) = seen.v4();
        assert_eq!((fields.src, fields.dst), (OURS, PEER));
        // RFC 1812 §4.3.2.5.
        assert_eq!(fields.tos, 0xc0);
        assert!(Sum::new().bytes(message).is_valid());
        let rest = message[4..8].try_into().unwrap();
        (message[0], message[1], rest, message[8..].to_vec())
    }

    fn error6(&mut self) -> (u8, u8, [u8; 4], Vec<u8>) {
        let seen = self.only(0);
        assert_eq!(seen.dst, PEER_MAC);
        let (fields, _) = seen.icmp6();
        assert_eq!((fields.src, fields.dst), (OURS6, PEER6));
        let message = &seen.packet[40..];
        let rest = message[4..8].try_into().unwrap();
        (message[0], message[1], rest, message[8..].to_vec())
    }
}

fn around(side: usize, packet: &[u8]) -> Vec<u8> {
    let (to, from) = [(OUR_MAC, PEER_MAC), (RIGHT_MAC, OTHER_MAC)][side];
    let kind = if packet[0] >> 4 == 4 {
        EtherType::IPV4
    } else {
        EtherType::IPV6
    };
    eth(to, from, kind, packet)
}

/// A datagram from the left peer to the right one, with this header otherwise.
fn four(text: &[u8], alter: impl FnOnce(&mut ipv4::Fields)) -> Vec<u8> {
    four_with(&[], text, alter)
}

fn four_with(options: &[u8], text: &[u8], alter: impl FnOnce(&mut ipv4::Fields)) -> Vec<u8> {
    let from = SocketAddr::from((PEER, 9));
    let datagram = udp_bytes(from, SocketAddr::from((FAR, 7)), text);
    let mut fields = ipv4::Fields::new(PEER, FAR, Protocol::UDP);
    fields.id = 0x1234;
    alter(&mut fields);
    let mut packet = vec![0; 60];
    let len = fields.emit_with_options(options, datagram.len(), &mut packet);
    packet.truncate(len);
    packet.extend(datagram);
    packet
}

fn six(text: &[u8], alter: impl FnOnce(&mut ipv6::Fields)) -> Vec<u8> {
    let from = SocketAddr::from((PEER6, 9));
    let datagram = udp_bytes(from, SocketAddr::from((FAR6, 7)), text);
    let mut fields = ipv6::Fields::new(PEER6, FAR6, Protocol::UDP);
    fields.flow_label = 0xabcde;
    alter(&mut fields);
    let mut packet = vec![0; ipv6::HEADER_LEN];
    fields.emit(datagram.len(), &mut packet);
    packet.extend(datagram);
    packet
}

/// The same packet with one hop less, its header's checksum made by a full sum.
fn one_hop_less(packet: &[u8]) -> Vec<u8> {
    let mut less = packet.to_vec();
    if packet[0] >> 4 == 6 {
        less[7] -= 1;
        return less;
    }
    let len = usize::from(packet[0] & 15) * 4;
    less[8] -= 1;
    less[10..12].fill(0);
    let sum = crate::base::checksum::checksum(&less[..len]);
    less[10..12].copy_from_slice(&sum.to_be_bytes());
    less
}

// --- what goes on ---------------------------------------------------------------------------------

/// Covers: FWD-1, FWD-2, FWD-3 (all but the hops leaves as it came, each value of DSCP and ECN included), IP4-34.
#[test]
fn a_packet_goes_on_with_one_hop_less() {
    let mut router = Router::new();
    for tos in 0..=255 {
        for ttl in [2, 64, 255] {
            let packet = four(b"text", |fields| {
                (fields.tos, fields.ttl) = (tos, ttl);
                fields.dont_fragment = tos % 2 == 0;
            });
            router.give(&packet);
            let seen = router.only(1);
            assert_eq!(seen.dst, OTHER_MAC);
            assert_eq!(seen.packet, one_hop_less(&packet), "{tos} {ttl}");
            let packet = six(b"text", |fields| {
                (fields.traffic_class, fields.hop_limit) = (tos, ttl);
            });
            router.give(&packet);
            assert_eq!(router.only(1).packet, one_hop_less(&packet), "{tos} {ttl}");
        }
    }
    assert_eq!(router.stack.counters().packets_forwarded, 2 * 3 * 256);
    assert_eq!(router.stack.counters().drops.total(), 0);
}

/// Covers: IP4-5 (off by default, each family by itself).
#[test]
fn nothing_goes_on_where_nobody_said_so() {
    let both = ForwardOptions::new();
    for (options, four_goes, six_goes) in [
        (None, false, false),
        (Some(both.v4(false)), false, true),
        (Some(both.v6(false)), true, false),
    ] {
        let mut router = Router::with(Setting {
            options,
            ..Setting::default()
        });
        router.give(&four(b"text", |_| {}));
        assert_eq!(router.drain(1).len(), usize::from(four_goes), "{options:?}");
        router.give(&six(b"text", |_| {}));
        assert_eq!(router.drain(1).len(), usize::from(six_goes), "{options:?}");
        let refused = u64::from(!four_goes) + u64::from(!six_goes);
        assert_eq!(router.drops(DropReason::IpNotOurs), refused);
        assert!(router.drain(0).is_empty());
    }
}

/// Link padding stays behind, and so it does where nothing else is cut.
#[test]
fn padding_stays_behind() {
    let mut router = Router::new();
    for packet in [four(b"", |_| {}), six(b"", |_| {})] {
        let mut padded = packet.clone();
        padded.resize(packet.len() + 18, 0xee);
        router.give(&padded);
        assert_eq!(router.only(1).packet, one_hop_less(&packet));
    }
}

/// Covers: FWD-4 (RFC 791: options other than source routes pass unread), IP4-23.
#[test]
fn options_pass_and_source_routes_do_not() {
    let mut router = Router::new();
    // Record route, timestamp, router alert.
    for options in [
        &[7, 7, 4, 0, 0, 0, 0, 0][..],
        &[68, 8, 5, 0, 0, 0, 0, 0],
        &[148, 4, 0, 0],
    ] {
        let packet = four_with(options, b"text", |_| {});
        router.give(&packet);
        assert_eq!(router.only(1).packet, one_hop_less(&packet));
    }
    for kind in [131, 137] {
        let packet = four_with(&[kind, 7, 4, 10, 1, 0, 2, 0], b"text", |_| {});
        router.give(&packet);
        assert!(router.drain(1).is_empty());
    }
    assert_eq!(router.drops(DropReason::Ipv4SourceRoute), 2);
    router.give(&four_with(&[7, 1, 0, 0], b"text", |_| {}));
    let (kind, code, rest, _) = router.error4();
    assert_eq!((kind, code, rest[0]), (12, 0, 21), "a length of one");
}

/// Covers: FWD-5 (a router's own addresses, on whatever link, are its own).
#[test]
fn an_address_of_another_interface_is_ours() {
    let mut router = Router::new();
    let mut ping = [8, 0, 0, 0, 0, 1, 0, 1, b'x', b'y'];
    let sum = crate::base::checksum::checksum(&ping).to_be_bytes();
    ping[2..4].copy_from_slice(&sum);
    router.give(&ip(PEER.into(), RIGHT.into(), Protocol::ICMP, &ping));
    let seen = router.only(0);
    let (fields, message) = seen.v4();
    assert_eq!((fields.src, fields.dst, message[0]), (RIGHT, PEER, 0));
    let echo = Icmpv6::EchoRequest {
        id: 1,
        seq: 1,
        data: b"xy",
    };
    let mut bytes = vec![0; echo.len()];
    echo.emit(PEER6, RIGHT6, &mut bytes);
    router.give(&ip(PEER6.into(), RIGHT6.into(), Protocol::ICMPV6, &bytes));
    let (fields, _) = router.only(0).icmp6();
    assert_eq!((fields.src, fields.dst), (RIGHT6, PEER6));
}

// --- what does not --------------------------------------------------------------------------------

/// Covers: FWD-6 (Time Exceeded, code 0, with what came).
#[test]
fn the_last_hop_is_told_of() {
    for ttl in [0, 1] {
        let mut router = Router::new();
        let packet = four(b"text", |fields| fields.ttl = ttl);
        router.give(&packet);
        assert_eq!(router.error4(), (11, 0, [0; 4], packet));
        let packet = six(b"text", |fields| fields.hop_limit = ttl);
        router.give(&packet);
        assert_eq!(router.error6(), (3, 0, [0; 4], packet));
        router.dropped(DropReason::ForwardExpired, 2);
    }
}

/// Covers: FWD-7 (RFC 1812 §4.3.2.8: as all errors).
#[test]
fn errors_are_few() {
    let mut router = Router::new();
    for _ in 0..100 {
        router.give(&four(b"text", |fields| fields.ttl = 1));
    }
    assert_eq!(router.drain(0).len(), 6);
    assert_eq!(router.drops(DropReason::RateLimited), 94);
    // Nor is there one about an error.
    router.advance(Duration::from_secs(10));
    SIDES.iter().for_each(|&side| drop(router.drain(side)));
    let mut error = vec![3, 1, 0, 0, 0, 0, 0, 0];
    error.extend(four(b"", |_| {}));
    let sum = crate::base::checksum::checksum(&error).to_be_bytes();
    error[2..4].copy_from_slice(&sum);
    let mut packet = ip(PEER.into(), FAR.into(), Protocol::ICMP, &error);
    packet[8] = 1;
    packet[10..12].fill(0);
    let sum = crate::base::checksum::checksum(&packet[..20]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    router.give(&packet);
    assert!(router.drain(0).is_empty());
    assert_eq!(router.drops(DropReason::ForwardExpired), 101);
}

/// Covers: FWD-8 (net unreachable, no route).
#[test]
fn without_a_route_the_sender_is_told() {
    let mut router = Router::new();
    let packet = four(b"text", |fields| fields.dst = [192, 0, 2, 1].into());
    router.give(&packet);
    assert_eq!(router.error4(), (3, 0, [0; 4], packet));
    let packet = six(b"text", |fields| {
        fields.dst = "2001:db8::1".parse().unwrap()
    });
    router.give(&packet);
    assert_eq!(router.error6(), (1, 0, [0; 4], packet));
    router.dropped(DropReason::NoRoute, 2);
    // Nor is a link that is down a way.
    router
        .stack
        .set_link(router.now, router.on[1], false)
        .unwrap();
    let packet = four(b"text", |_| {});
    router.give(&packet);
    assert_eq!(router.error4(), (3, 0, [0; 4], packet));
    router.dropped(DropReason::NoRoute, 3);
}

/// Covers: FWD-9 (who cannot have sent it).
#[test]
fn nobody_sends_over_us() {
    let mut router = Router::new();
    for src in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "10.0.0.255",
        "10.0.0.1",
        "10.1.0.1",
    ] {
        router.give(&four(b"text", |fields| fields.src = src.parse().unwrap()));
        assert!(
            router.drain(0).is_empty() && router.drain(1).is_empty(),
            "{src}"
        );
    }
    for src in [
        "::",
        "::1",
        "ff02::1",
        "::ffff:10.0.0.2",
        "fd00::1",
        "fd01::1",
    ] {
        router.give(&six(b"text", |fields| fields.src = src.parse().unwrap()));
        assert!(
            router.drain(0).is_empty() && router.drain(1).is_empty(),
            "{src}"
        );
    }
    router.dropped(DropReason::IpSource, 15);
}

/// Covers: FWD-10, ADR-6 (what means something on one link alone stays there; IPv6 says so: beyond scope of source).
#[test]
fn what_is_of_one_link_stays_there() {
    let mut router = Router::new();
    router.give(&four(b"text", |fields| {
        fields.src = [169, 254, 1, 1].into()
    }));
    router.give(&four(b"text", |fields| {
        fields.dst = [169, 254, 1, 1].into()
    }));
    router.give(&six(b"text", |fields| {
        fields.dst = "fe80::77".parse().unwrap()
    }));
    assert!(router.drain(0).is_empty() && router.drain(1).is_empty());
    router.dropped(DropReason::ForwardRefused, 3);
    let local: Ipv6Addr = "fe80::2".parse().unwrap();
    let own: Ipv6Addr = "fe80::ff:fe00:1".parse().unwrap();
    router.receive(0, solicitation(local, PEER_MAC, own));
    router.drain(0);
    let packet = six(b"text", |fields| fields.src = local);
    router.give(&packet);
    let seen = router.only(0);
    let (fields, _) = seen.icmp6();
    assert_eq!((fields.src, fields.dst), (own, local));
    assert_eq!((seen.packet[40], seen.packet[41]), (1, 2));
    router.dropped(DropReason::ForwardRefused, 4);
}

/// Covers: FWD-11 (RFC 1812 §5.3.4, RFC 2644 §4: neither groups nor broadcasts).
#[test]
fn what_is_for_many_goes_nowhere() {
    let mut router = Router::new();
    for dst in [
        "224.0.0.9",
        "239.1.2.3",
        "240.0.0.1",
        "127.0.0.1",
        "0.0.0.1",
    ] {
        router.give(&four(b"text", |fields| fields.dst = dst.parse().unwrap()));
    }
    for dst in ["ff02::9", "ff0e::1", "::", "::1", "::ffff:10.1.0.2"] {
        router.give(&six(b"text", |fields| fields.dst = dst.parse().unwrap()));
    }
    router.dropped(DropReason::IpNotOurs, 10);
    for dst in ["10.1.0.255", "10.1.0.0"] {
        router.give(&four(b"text", |fields| fields.dst = dst.parse().unwrap()));
    }
    router.dropped(DropReason::ForwardRefused, 2);
    for to in [MacAddr::BROADCAST, MacAddr::new([1, 0, 0x5e, 0, 0, 1])] {
        let packet = four(b"text", |_| {});
        router.receive(0, eth(to, PEER_MAC, EtherType::IPV4, &packet));
        let packet = six(b"text", |_| {});
        router.receive(0, eth(to, PEER_MAC, EtherType::IPV6, &packet));
    }
    router.dropped(DropReason::IpLinkBroadcast, 4);
    assert!(router.drain(0).is_empty() && router.drain(1).is_empty());
}

/// Covers: FWD-12 (RFC 3704 §2).
#[test]
fn the_way_back_is_looked_at_where_it_is_to_be() {
    let rows = [
        (ReversePath::Off, [true, true, true]),
        (ReversePath::Loose, [true, true, false]),
        (ReversePath::Strict, [true, false, false]),
    ];
    for (checked, goes) in rows {
        let mut router = Router::with(Setting {
            options: Some(ForwardOptions::new().reverse_path(checked)),
            ..Setting::default()
        });
        let sources = [
            ("10.0.0.77", "fd00::77"),
            // Of the other side.
            ("10.1.0.77", "fd01::77"),
            ("192.0.2.1", "2001:db8::1"),
        ];
        for ((four_src, six_src), goes) in sources.into_iter().zip(goes) {
            router.give(&four(b"text", |f| f.src = four_src.parse().unwrap()));
            router.give(&six(b"text", |f| f.src = six_src.parse().unwrap()));
            let count = if goes { 2 } else { 0 };
            assert_eq!(router.drain(1).len(), count, "{checked:?} {four_src}");
        }
        let refused = goes.iter().filter(|&&goes| !goes).count() as u64 * 2;
        assert_eq!(router.drops(DropReason::ForwardReversePath), refused);
    }
}

// --- sizes ----------------------------------------------------------------------------------------

fn narrow(mtu: usize) -> Router {
    Router::with(Setting {
        device: Capabilities::plain(Medium::Ethernet, mtu),
        ..Setting::default()
    })
}

/// Covers: FWD-13 (RFC 1191 §4, RFC 4443 §3.2).
#[test]
fn what_does_not_fit_is_told_of_with_the_mtu() {
    let mut router = narrow(1280);
    let packet = four(&[7; 1253], |_| {});
    assert_eq!(packet.len(), 1281);
    router.give(&packet);
    let (kind, code, rest, quote) = router.error4();
    assert_eq!((kind, code, rest), (3, 4, [0, 0, 5, 0]));
    assert_eq!(quote, packet[..548]);
    let packet = six(&[7; 1233], |_| {});
    assert_eq!(packet.len(), 1281);
    router.give(&packet);
    let (kind, code, rest, quote) = router.error6();
    assert_eq!((kind, code, rest), (2, 0, [0, 0, 5, 0]));
    assert_eq!(quote, packet[..1232]);
    router.dropped(DropReason::ForwardTooBig, 2);
    router.give(&four(&[7; 1252], |_| {}));
    assert_eq!(router.only(1).packet.len(), 1280);
    router.give(&six(&[7; 1232], |_| {}));
    assert_eq!(router.only(1).packet.len(), 1280);
}

/// Covers: FWD-14 (RFC 791 §3.2: fragments on the way, pieces of pieces, options that are copied).
#[test]
fn without_df_it_is_cut() {
    for mtu in [68, 576, 1000] {
        let mut router = narrow(mtu);
        // Router alert is copied, a record of the route is not.
        let options = [148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0];
        let packet = four_with(&options, &[0xab; 1400], |fields| {
            fields.dont_fragment = false;
            fields.more_fragments = true;
            fields.fragment_offset = 100;
            fields.tos = 0xb9;
        });
        router.give(&packet);
        let pieces = router.drain(1);
        let mut joined: Vec<u8> = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            let (header, payload) = ipv4::Header::parse(&piece.packet).unwrap();
            let last = n + 1 == pieces.len();
            assert!(piece.packet.len() <= mtu);
            assert!(last || payload.len() % 8 == 0);
            assert_eq!(header.fragment_offset(), 800 + joined.len());
            assert!(header.more_fragments() && !header.dont_fragment());
            let kept = (header.id(), header.tos(), header.ttl(), header.src());
            assert_eq!(kept, (0x1234, 0xb9, 63, PEER));
            let kinds: Vec<u8> = header.options().map(|option| option.kind).collect();
            assert_eq!(kinds, if n == 0 { vec![148, 7] } else { vec![148] });
            joined.extend(payload);
        }
        assert_eq!(joined, packet[32..]);
        let counters = router.stack.counters();
        assert_eq!((counters.packets_cut, counters.fragments_received), (1, 0));
        // The last fragment of a datagram ends it.
        let packet = four(&[1; 1400], |fields| fields.dont_fragment = false);
        router.give(&packet);
        let pieces = router.drain(1);
        let more = |seen: &Seen| seen.v4().0.more_fragments;
        assert!(!more(pieces.last().unwrap()));
        assert!(pieces[..pieces.len() - 1].iter().all(more));
    }
}

/// Covers: FWD-15 (RFC 791, RFC 8200 §4.5: put together at the end alone).
#[test]
fn fragments_pass_as_they_are() {
    let mut router = Router::new();
    for offset in [0, 10] {
        let packet = four(&[1; 72], |fields| {
            fields.dont_fragment = false;
            fields.more_fragments = true;
            fields.fragment_offset = offset;
        });
        router.give(&packet);
        assert_eq!(router.only(1).packet, one_hop_less(&packet));
    }
    let mut packet = six(&[1; 80], |fields| fields.next_header = Protocol::FRAGMENT);
    packet[40..48].copy_from_slice(&[17, 0, 0, 1, 0, 0, 0, 9]);
    router.give(&packet);
    assert_eq!(router.only(1).packet, one_hop_less(&packet));
    assert_eq!(router.stack.counters().fragments_received, 0);
    // What cannot be is not cut into what cannot be.
    let mut router = narrow(576);
    router.give(&four(&[1; 1000], |fields| {
        fields.dont_fragment = false;
        fields.fragment_offset = 0x1fff;
    }));
    assert!(router.drain(1).is_empty());
    assert_eq!(router.drops(DropReason::Ipv4Malformed), 1);
}

/// Covers: FWD-16 (RFC 8200 §4: neither hop-by-hop options nor a routing header are a matter of a router's).
#[test]
fn extension_headers_pass_unread() {
    let mut router = Router::new();
    for (next, body) in [
        (Protocol::HOP_BY_HOP, [59, 0, 0xfe, 4, 0, 0, 0, 0]),
        (Protocol::ROUTING, [59, 0, 0, 1, 0, 0, 0, 0]),
        (Protocol::DESTINATION_OPTIONS, [59, 0, 0xc3, 4, 0, 0, 0, 0]),
        (Protocol(253), [1; 8]),
    ] {
        let packet = ip(PEER6.into(), FAR6.into(), next, &body);
        router.give(&packet);
        assert_eq!(router.only(1).packet, one_hop_less(&packet));
    }
}
