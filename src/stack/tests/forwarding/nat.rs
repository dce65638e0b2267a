//! Addresses that are translated: who has which port outside, who may send to it, and for how long.

use core::net::{Ipv4Addr, SocketAddrV4};

use super::*;
use crate::link::layout::{put_word, word};
use crate::stack::{BindError, ConfigError, ConnectError, NatFilter, NatOptions, UdpOptions};
use crate::tcp::{Flags, TcpOptions};

/// Other hosts outside and inside.
pub(super) const OTHER_FAR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 3);
pub(super) const OTHER_NEAR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

pub(super) fn end(ip: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip, port)
}

/// A datagram.
pub(super) fn udp(from: SocketAddrV4, to: SocketAddrV4, text: &[u8]) -> Vec<u8> {
    let bytes = udp_bytes(from.into(), to.into(), text);
    ip(
        (*from.ip()).into(),
        (*to.ip()).into(),
        Protocol::UDP,
        &bytes,
    )
}

/// A segment without text.
pub(super) fn tcp(from: SocketAddrV4, to: SocketAddrV4, flags: Flags) -> Vec<u8> {
    let mut fields = crate::tcp::Fields::default();
    (fields.src_port, fields.dst_port) = (from.port(), to.port());
    fields.flags = flags;
    let mut bytes = [0; 60];
    let len = fields.emit(&crate::tcp::Options::default(), &mut bytes);
    let bytes = &mut bytes[..len];
    let pseudo = ipv4::pseudo_sum(*from.ip(), *to.ip(), Protocol::TCP, len);
    let sum = pseudo.bytes(bytes).finish();
    put_word(bytes, 16, sum);
    ip((*from.ip()).into(), (*to.ip()).into(), Protocol::TCP, bytes)
}

/// An echo request, or reply.
pub(super) fn echo(kind: u8, src: Ipv4Addr, dst: Ipv4Addr, id: u16) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0, 7, b'x'];
    put_word(&mut bytes, 4, id);
    let sum = crate::base::checksum::checksum(&bytes);
    put_word(&mut bytes, 2, sum);
    ip(src.into(), dst.into(), Protocol::ICMP, &bytes)
}

/// The ends of a packet, whose checksums are right.
pub(super) fn ends(packet: &[u8]) -> (SocketAddrV4, SocketAddrV4) {
    let (header, rest) = ipv4::Header::parse(packet).unwrap();
    let pseudo = match header.protocol() {
        Protocol::ICMP => Sum::new(),
        other => ipv4::pseudo_sum(header.src(), header.dst(), other, rest.len()),
    };
    assert!(pseudo.bytes(rest).is_valid(), "{packet:x?}");
    let (src, dst) = match header.protocol() {
        Protocol::ICMP => (word(rest, 4), word(rest, 4)),
        _ => (word(rest, 0), word(rest, 2)),
    };
    (
        end(header.src(), src.unwrap()),
        end(header.dst(), dst.unwrap()),
    )
}

impl Router {
    /// One that translates on its right, with these settings.
    pub(super) fn nat(right: fn(InterfaceConfig) -> InterfaceConfig) -> Self {
        let mut router = Self::with(Setting {
            options: None,
            left: |config| config.forwarding(ForwardOptions::new()),
            right,
            ..Setting::default()
        });
        router.meet();
        router
    }

    /// All its neighbours are known again.
    pub(super) fn meet(&mut self) {
        SIDES.iter().for_each(|&side| drop(self.drain(side)));
        self.introduce(0, PEER_MAC, PEER, PEER6);
        self.introduce(0, OTHER_MAC, OTHER_NEAR, PEER6);
        self.introduce(1, OTHER_MAC, FAR, FAR6);
        self.introduce(1, PEER_MAC, OTHER_FAR, FAR6);
    }

    /// Gives it a packet from inside; the ends that it leaves with.
    pub(super) fn out(&mut self, packet: &[u8]) -> (SocketAddrV4, SocketAddrV4) {
        self.give(packet);
        ends(&self.only(1).packet)
    }

    /// The same from outside, of what reaches an inside host; `None`: nothing does, and nobody is told.
    pub(super) fn back(&mut self, packet: &[u8]) -> Option<SocketAddrV4> {
        self.give_on(1, packet);
        assert!(self.drain(1).is_empty());
        let mut frames = self.drain(0);
        assert!(frames.len() < 2);
        frames.pop().map(|seen| ends(&seen.packet).1)
    }

    pub(super) fn held(&self) -> (usize, usize) {
        self.stack.nat_held(self.on[1]).unwrap()
    }

    /// Time passes, and the neighbours are still there.
    pub(super) fn wait(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
        self.meet();
    }
}

pub(super) fn plain(config: InterfaceConfig) -> InterfaceConfig {
    config.nat(NatOptions::new())
}

fn open(config: InterfaceConfig) -> InterfaceConfig {
    config.nat(NatOptions::new().filter(NatFilter::Open))
}

/// Covers: NAT-30 (RFC 7857 §10, RFC 6864 §5.3.1: of two inside hosts, which cannot know of each other's, nothing that may be cut has the
/// Identification of another that goes to the same host). What may not be cut keeps its own.
#[test]
fn what_may_be_cut_is_numbered_anew() {
    let mut router = Router::nat(plain);
    let mut seen = std::collections::BTreeSet::new();
    for port in 0..50 {
        for host in [PEER, OTHER_NEAR] {
            for df in [false, true] {
                let mut packet = udp(end(host, 2000 + port), end(FAR, 53), b"ask");
                put_word(&mut packet, 4, 0x1234);
                put_word(&mut packet, 6, u16::from(df) << 14);
                put_word(&mut packet, 10, 0);
                let sum = crate::base::checksum::checksum(&packet[..20]);
                put_word(&mut packet, 10, sum);
                router.give(&packet);
                let left = router.only(1).packet;
                ends(&left);
                let id = word(&left, 4).unwrap();
                assert_eq!(word(&left, 6), word(&packet, 6));
                assert!(if df { id == 0x1234 } else { seen.insert(id) }, "{id}");
            }
        }
    }
}

/// Covers: NAT-1 (one port for all that leaves from one, whoever it goes to), NAT-3, NAT-4 (parity), NAT-7.
#[test]
fn one_inside_port_has_one_outside() {
    let mut router = Router::nat(plain);
    let mut ports = std::collections::BTreeSet::new();
    for port in 2000..2100 {
        let (src, dst) = router.out(&udp(end(PEER, port), end(FAR, 53), b"ask"));
        assert_eq!((*src.ip(), dst), (RIGHT, end(FAR, 53)));
        assert_eq!(src.port() % 2, port % 2, "parity");
        assert!(src.port() >= 1024 && !(32_768..=60_999).contains(&src.port()));
        assert!(ports.insert(src.port()), "nobody shares one");
        for to in [end(FAR, 54), end(OTHER_FAR, 53)] {
            assert_eq!(router.out(&udp(end(PEER, port), to, b"ask")).0, src);
        }
        let reply = udp(end(FAR, 53), src, b"told");
        assert_eq!(router.back(&reply), Some(end(PEER, port)));
    }
    let steps = ports.iter().zip(ports.iter().skip(1));
    assert!(steps.filter(|(a, b)| *b - *a > 2).count() > 90, "at random");
    assert_eq!(router.held(), (100, 200));
    assert_eq!(router.stack.counters().packets_translated, 400);
}

/// What leaves is the packet that came, but for hops, source and checksums.
#[test]
fn all_else_leaves_as_it_came() {
    let mut router = Router::nat(plain);
    let mut packet = udp(end(PEER, 2000), end(FAR, 53), b"some text");
    packet[1] = 0xb9;
    packet[10..12].fill(0);
    let sum = crate::base::checksum::checksum(&packet[..20]);
    put_word(&mut packet, 10, sum);
    router.give(&packet);
    let seen = router.only(1).packet;
    let (src, _) = ends(&seen);
    let mut same = one_hop_less(&packet);
    for at in [10, 20, 26] {
        same[at..at + 2].copy_from_slice(&seen[at..at + 2]);
    }
    same[12..16].copy_from_slice(&src.ip().octets());
    assert_eq!(seen, same);
    // RFC 768: none stays none.
    packet[26..28].fill(0);
    router.give(&packet);
    assert_eq!(router.only(1).packet[26..28], [0, 0]);
}

/// Covers: NAT-8 (those alone to whom it was sent; or anybody).
#[test]
fn who_was_not_asked_is_not_let_in() {
    for (config, lets) in [(plain as fn(_) -> _, false), (open, true)] {
        let mut router = Router::nat(config);
        let own = end(PEER, 2000);
        let (outside, _) = router.out(&udp(own, end(FAR, 53), b"ask"));
        let other_port = udp(end(FAR, 99), outside, b"told");
        assert_eq!(router.back(&other_port), Some(own));
        let stranger = udp(end(OTHER_FAR, 53), outside, b"told");
        assert_eq!(router.back(&stranger), lets.then_some(own));
        assert_eq!(router.drops(DropReason::NatUnsolicited), u64::from(!lets));
        // A connection from an address that was spoken with, and from another.
        let (outside, _) = router.out(&tcp(own, end(FAR, 80), Flags::SYN));
        let from = |far| tcp(far, outside, Flags::SYN);
        assert_eq!(router.back(&from(end(FAR, 81))), Some(own));
        assert_eq!(router.back(&from(end(OTHER_FAR, 80))), lets.then_some(own));
        // Who comes makes no session.
        assert_eq!(router.held(), (2, 2));
    }
}

/// Covers: NAT-5 (five minutes from the last that left), NAT-6 (what comes keeps nothing).
#[test]
fn a_mapping_of_udp_ends_five_minutes_after_the_last_that_left() {
    let mut router = Router::nat(plain);
    let own = end(PEER, 2000);
    let ask = udp(own, end(FAR, 53), b"ask");
    let (outside, _) = router.out(&ask);
    for _ in 0..3 {
        router.wait(200);
        assert_eq!(router.out(&ask).0, outside);
    }
    let told = udp(end(FAR, 53), outside, b"told");
    router.wait(290);
    assert_eq!(router.back(&told), Some(own));
    router.wait(11);
    assert_eq!(router.held(), (0, 0));
    let due = router.stack.poll_timeout();
    assert!(due.is_none_or(|due| due > router.now));
}

/// Covers: NAT-9 (4 minutes before and after, 2 hours and 4 minutes between), NAT-10 (RST, and both FINs).
#[test]
fn a_connection_is_remembered_for_two_hours_and_four_minutes() {
    let (own, far) = (end(PEER, 2000), end(FAR, 80));
    let opened = |router: &mut Router| {
        let (outside, _) = router.out(&tcp(own, far, Flags::SYN));
        let both = Flags::SYN | Flags::ACK;
        assert_eq!(router.back(&tcp(far, outside, both)), Some(own));
        outside
    };
    let mut router = Router::nat(plain);
    router.out(&tcp(own, far, Flags::SYN));
    router.wait(238);
    assert_eq!(router.held().1, 1);
    router.wait(3);
    assert_eq!(router.held().1, 0, "never established");
    let outside = opened(&mut router);
    router.wait(7430);
    assert_eq!(
        router.back(&tcp(far, outside, Flags::ACK)),
        Some(own),
        "either side"
    );
    router.wait(7430);
    assert_eq!(router.held().1, 1);
    router.wait(20);
    assert_eq!(router.held().1, 0);
    // One FIN is no end, two are.
    let outside = opened(&mut router);
    let fin = Flags::FIN | Flags::ACK;
    router.out(&tcp(own, far, fin));
    router.wait(1000);
    assert_eq!(router.held().1, 1);
    router.back(&tcp(far, outside, fin));
    router.wait(230);
    router.out(&tcp(own, far, Flags::ACK));
    router.wait(11);
    assert_eq!(router.held().1, 0);
    // A RST may be forged: who goes on is established again.
    let outside = opened(&mut router);
    router.back(&tcp(far, outside, Flags::RST));
    router.wait(200);
    router.out(&tcp(own, far, Flags::ACK));
    router.wait(1000);
    assert_eq!(router.held().1, 1);
    router.back(&tcp(far, outside, Flags::RST));
    router.wait(241);
    assert_eq!(router.held(), (0, 0));
}

/// Covers: NAT-11 (RFC 5382 REQ-2: two SYNs that cross), NAT-12 (a SYN for which nobody asked is not answered).
#[test]
fn a_syn_that_nobody_asked_for_is_not_answered() {
    let mut router = Router::nat(plain);
    let (own, far) = (end(PEER, 2000), end(FAR, 80));
    let (outside, _) = router.out(&tcp(own, far, Flags::SYN));
    assert_eq!(router.back(&tcp(far, outside, Flags::SYN)), Some(own));
    let both = Flags::SYN | Flags::ACK;
    assert_eq!(router.out(&tcp(own, far, both)).0, outside);
    router.wait(1000);
    assert_eq!(router.held().1, 1, "established");
    let stranger = end(OTHER_FAR, 80);
    for port in [outside.port(), 1024, 65_000] {
        assert_eq!(
            router.back(&tcp(stranger, end(RIGHT, port), Flags::SYN)),
            None
        );
    }
    assert_eq!(router.drops(DropReason::NatUnsolicited), 3);
    // What no inside host might have is answered for as ever.
    router.give_on(1, &tcp(stranger, end(RIGHT, 80), Flags::SYN));
    let seen = router.only(1);
    assert_eq!(ends(&seen.packet), (end(RIGHT, 80), stranger));
}

/// Covers: NAT-13 (identifiers of echo requests, 60 seconds).
#[test]
fn a_ping_has_an_identifier_outside() {
    let mut router = Router::nat(plain);
    let (outside, dst) = router.out(&echo(8, PEER, FAR, 77));
    assert_eq!((*outside.ip(), *dst.ip()), (RIGHT, FAR));
    assert_eq!(router.out(&echo(8, PEER, OTHER_FAR, 77)).0, outside);
    let reply = echo(0, FAR, RIGHT, outside.port());
    assert_eq!(
        router.back(&reply).map(|to| (*to.ip(), to.port())),
        Some((PEER, 77))
    );
    router.wait(59);
    assert_eq!(router.held(), (1, 2));
    router.wait(3);
    assert_eq!(router.held(), (0, 0));
    // A question from outside is for us.
    router.give_on(1, &echo(8, FAR, RIGHT, outside.port()));
    assert_eq!(*ends(&router.only(1).packet).1.ip(), FAR);
}

/// Covers: NAT-14 (inside hosts reach each other by the outside address, and hear each other from there).
#[test]
fn inside_hosts_reach_each_other_by_the_outside_address() {
    let mut router = Router::nat(plain);
    let (one, two) = (end(PEER, 2000), end(OTHER_NEAR, 3000));
    let (one_outside, _) = router.out(&udp(one, end(FAR, 53), b"who am I"));
    let (two_outside, _) = router.out(&udp(two, end(FAR, 53), b"who am I"));
    // As from outside: who was not asked is not let in.
    router.give(&udp(one, two_outside, b"hello"));
    assert!(router.drain(0).is_empty() && router.drain(1).is_empty());
    assert_eq!(router.drops(DropReason::NatUnsolicited), 1);
    router.give(&udp(two, one_outside, b"hello"));
    assert_eq!(ends(&router.only(0).packet), (two_outside, one));
    router.give(&udp(one, two_outside, b"hello"));
    assert_eq!(ends(&router.only(0).packet), (one_outside, two));
    // Nobody is told of a nearer way.
    assert_eq!(router.stack.counters().redirects_sent, 0);
}

/// Covers: NAT-15 (a port that is forwarded, from outside and from inside, without any state).
#[test]
fn a_port_that_is_forwarded_is_open_to_all() {
    let server = end(PEER, 8080);
    let mut router = Router::nat(|config| {
        config.nat(NatOptions::new().forward(Protocol::TCP, 80, end(PEER, 8080)))
    });
    let client = end(OTHER_NEAR, 3000);
    router.give(&tcp(client, end(RIGHT, 80), Flags::SYN));
    let (from, to) = ends(&router.only(0).packet);
    assert_eq!((*from.ip(), to), (RIGHT, server));
    let both = Flags::SYN | Flags::ACK;
    router.give(&tcp(server, from, both));
    assert_eq!(ends(&router.only(0).packet), (end(RIGHT, 80), client));
    let sessions = router.held().1;
    for far in [FAR, OTHER_FAR] {
        let far = end(far, 4000);
        assert_eq!(
            router.back(&tcp(far, end(RIGHT, 80), Flags::SYN)),
            Some(server)
        );
        assert_eq!(router.out(&tcp(server, far, both)), (end(RIGHT, 80), far));
    }
    assert_eq!(router.held().1, sessions);
    // The other protocol's port is ours.
    router.give_on(1, &udp(end(FAR, 9), end(RIGHT, 80), b"text"));
    assert_eq!(router.only(1).v4().1[..2], [3, 3]);
}

/// Covers: NAT-16 (our sockets keep their ports, and get none of an inside host's).
#[test]
fn ports_of_our_own_are_ours() {
    let mut router = Router::nat(open);
    let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let bind = |router: &mut Router, port| router.stack.udp_bind(any(port), UdpOptions::default());
    // All ports that an inside host might get are ours.
    let mut free = None;
    for port in (1024..32_768).chain(61_000..=65_535) {
        let id = bind(&mut router, port).unwrap();
        free = free.or_else(|| (port == 4000).then_some(id));
    }
    router.give(&udp(end(PEER, 2002), end(FAR, 53), b"ask"));
    assert!(router.drain(1).is_empty());
    assert_eq!(router.drops(DropReason::NatFull), 1);
    let (kind, code, ..) = router.error4();
    assert_eq!((kind, code), (3, 13), "prohibited");
    // All but one.
    router.stack.udp_close(free.unwrap());
    let (outside, _) = router.out(&udp(end(PEER, 2000), end(FAR, 53), b"ask"));
    assert_eq!(outside.port(), 4000);
    assert_eq!(bind(&mut router, 4000), Err(BindError::InUse(any(4000))));
    // What comes for ours is ours.
    assert_eq!(
        router.back(&udp(end(FAR, 53), end(RIGHT, 4002), b"told")),
        None
    );
    router.wait(301);
    bind(&mut router, 4000).unwrap();
}

/// Covers: NAT-17 (one host has its share; who is longest silent gives way, but no connection; what is full is told).
#[test]
fn sessions_are_bounded_for_each_host_and_in_all() {
    let mut router = Router::nat(|config| config.nat(NatOptions::new().sessions(10).per_host(6)));
    let both = Flags::SYN | Flags::ACK;
    for port in 1..=4 {
        let own = end(PEER, port);
        let (outside, _) = router.out(&tcp(own, end(FAR, 80), Flags::SYN));
        router.back(&tcp(end(FAR, 80), outside, both));
    }
    let first = udp(end(PEER, 1000), end(FAR, 53), b"ask");
    let (outside, _) = router.out(&first);
    for port in 1001..1100 {
        router.wait(0);
        router.out(&udp(end(PEER, port), end(FAR, 53), b"ask"));
        assert!(router.held().1 <= 6);
    }
    router.give_on(1, &udp(end(FAR, 53), outside, b"told"));
    assert!(router.drain(0).is_empty(), "gave way");
    drop(router.drain(1));
    // The other host has all that is left, and the first one's, but for its connections.
    for port in 1..=6 {
        router.out(&udp(end(OTHER_NEAR, port), end(FAR, 53), b"ask"));
    }
    assert_eq!(router.held(), (10, 10));
    let third = Ipv4Addr::new(10, 0, 0, 4);
    router.introduce(0, MacAddr::new([2, 0, 0, 0, 0, 4]), third, PEER6);
    for port in 1..=6 {
        let (outside, _) = router.out(&tcp(end(third, port), end(FAR, 80), Flags::SYN));
        router.back(&tcp(end(FAR, 80), outside, both));
    }
    assert_eq!(router.held(), (10, 10));
    // All are connections: one of the host that has most gives way to who has none, and to nobody who has as many.
    router.out(&udp(end(OTHER_NEAR, 9), end(FAR, 53), b"ask"));
    assert_eq!(router.held(), (10, 10));
    let (outside, _) = router.out(&tcp(end(PEER, 5), end(FAR, 80), Flags::SYN));
    router.back(&tcp(end(FAR, 80), outside, both));
    router.give(&udp(end(PEER, 7), end(FAR, 53), b"ask"));
    assert!(router.drain(1).is_empty());
    assert_eq!(router.drops(DropReason::NatFull), 1);
}

/// Covers: NAT-18 (what was mapped to an address ends with it).
#[test]
fn mappings_end_with_their_address() {
    let mut router = Router::nat(plain);
    let own = end(PEER, 2000);
    let ask = udp(own, end(FAR, 53), b"ask");
    router.out(&ask);
    let (on, now) = (router.on[1], router.now);
    let new = "10.1.0.9/24".parse().unwrap();
    router
        .stack
        .add_address(now, on, new, AddressOptions::new())
        .unwrap();
    router.advance(Duration::from_secs(10));
    router.meet();
    assert_eq!(*router.out(&ask).0.ip(), RIGHT, "as long as it is ours");
    router.stack.remove_address(now, on, RIGHT.into()).unwrap();
    assert_eq!(router.held(), (0, 0));
    let (outside, _) = router.out(&ask);
    assert_eq!(*outside.ip(), Ipv4Addr::new(10, 1, 0, 9));
    assert_eq!(router.back(&udp(end(FAR, 53), outside, b"told")), Some(own));
}

/// Covers: NAT-19 (super-segments and partial checksums stay what they are).
#[test]
fn super_segments_are_translated_whole() {
    for cuts in [true, false] {
        let device = match cuts {
            true => Capabilities::full(Medium::Ethernet, 1500),
            false => Capabilities::plain(Medium::Ethernet, 1500),
        };
        let mut router = Router::with(Setting {
            device,
            options: None,
            left: |config| config.forwarding(ForwardOptions::new()),
            right: plain,
            ..Setting::default()
        });
        for (text, each) in [(10_000, NonZeroU16::new(1400)), (1000, None)] {
            let packet = segments::segment(false, text);
            let checksum = RxChecksum::Partial(segments::partial(false, 16));
            let meta = RxMeta::new(router.now).with_checksum(checksum);
            router.receive_with(0, around(0, &packet), meta.with_segment_size(each));
            let mut seen = router.drain(1);
            assert_eq!(seen.len(), if cuts || each.is_none() { 1 } else { 8 });
            for mut seen in seen.drain(..) {
                if seen.meta.checksum.is_some() {
                    // As a device completes it.
                    let sum = Sum::new().bytes(&seen.packet[20..]);
                    put_word(&mut seen.packet, 36, sum.finish());
                }
                let (src, dst) = ends(&seen.packet);
                assert_eq!((*src.ip(), dst), (RIGHT, end(FAR, 80)));
            }
        }
    }
}

/// A packet in two pieces.
fn in_pieces(packet: &[u8]) -> Vec<Vec<u8>> {
    let (header, body) = packet.split_at(20);
    let piece = |range: core::ops::Range<usize>, more: u16| {
        let mut piece = header.to_vec();
        put_word(&mut piece, 4, 99);
        put_word(
            &mut piece,
            6,
            u16::try_from(range.start / 8).unwrap() | more,
        );
        sealed(piece, &body[range])
    };
    vec![piece(0..1000, 0x2000), piece(1000..body.len(), 0)]
}

/// With this body behind its header, whose length and checksum are made anew.
fn sealed(mut packet: Vec<u8>, body: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + body.len()).unwrap();
    put_word(&mut packet, 2, total);
    put_word(&mut packet, 10, 0);
    let sum = crate::base::checksum::checksum(&packet);
    put_word(&mut packet, 10, sum);
    packet.extend(body);
    packet
}

/// The ends of a packet that left in two pieces, none longer than those that came.
fn ends_of(pieces: &[Seen]) -> (SocketAddrV4, SocketAddrV4) {
    let [first, last] = pieces else {
        panic!("{pieces:?}")
    };
    let longest = first.packet.len().max(last.packet.len());
    assert!(longest <= 1028, "{longest}");
    let mut header = first.packet[..20].to_vec();
    put_word(&mut header, 6, 0);
    let body = [&first.packet[20..], &last.packet[20..]].concat();
    ends(&sealed(header, &body))
}

/// Covers: NAT-20 (pieces in any order; those that leave are as long as those that came).
#[test]
fn pieces_are_put_together_first() {
    let mut router = Router::nat(plain);
    let text = vec![7; 2000];
    let own = end(PEER, 2000);
    let mut pieces = in_pieces(&udp(own, end(FAR, 53), &text));
    for _ in 0..2 {
        pieces.iter().for_each(|piece| router.give(piece));
        let (outside, _) = ends_of(&router.drain(1));
        assert_eq!(*outside.ip(), RIGHT);
        let mut back = in_pieces(&udp(end(FAR, 53), outside, &text));
        back.reverse();
        back.iter().for_each(|piece| router.give_on(1, piece));
        assert_eq!(ends_of(&router.drain(0)).1, own);
        pieces.reverse();
    }
    // Half a datagram is told of by nobody.
    router.give(&pieces[0]);
    router.advance(Duration::from_secs(61));
    let told = router.drain(0);
    assert!(told.iter().all(|seen| seen.kind == EtherType::ARP));
}

/// Covers: NAT-21 (by addresses alone nobody is told apart: what has no ports stays).
#[test]
fn what_has_no_ports_does_not_leave() {
    let mut router = Router::nat(plain);
    router.give(&ip(PEER.into(), FAR.into(), Protocol(47), &[0; 8]));
    let (kind, code, ..) = router.error4();
    assert_eq!((kind, code), (3, 13));
    router.dropped(DropReason::NatProtocol, 1);
}

#[test]
fn what_cannot_be_forwarded_is_refused() {
    let inside = end(PEER, 80);
    for (protocol, port, inside) in [
        (Protocol::ICMP, 80, inside),
        (Protocol::TCP, 0, inside),
        (Protocol::TCP, 80, end(PEER, 0)),
        (Protocol::TCP, 80, end(Ipv4Addr::LOCALHOST, 80)),
        (Protocol::TCP, 80, end(Ipv4Addr::new(169, 254, 0, 2), 80)),
        (Protocol::TCP, 80, end(Ipv4Addr::new(224, 0, 0, 251), 80)),
        (Protocol::TCP, 81, end(PEER, 8080)),
        (Protocol::TCP, 443, end(PEER, 81)),
    ] {
        let options = NatOptions::new().forward(Protocol::TCP, 81, end(PEER, 81));
        let options = options.forward(protocol, port, inside);
        let config = both_families().nat(options);
        let refused = Stack::new(Config::new(Seed::from_number(1)))
            .add_interface(Instant::ZERO, config)
            .unwrap_err();
        assert_eq!(refused, ConfigError::NatForward { port, inside });
    }
}

/// Covers: NAT-16 (a port that is forwarded is given to no socket of ours, and one of a socket's is not forwarded).
#[test]
fn what_is_forwarded_is_no_sockets() {
    let forward = |config: InterfaceConfig| {
        let options = NatOptions::new();
        let options = options.forward(Protocol::UDP, 40_000, end(PEER, 9));
        config.nat(options.forward(Protocol::TCP, 40_000, end(PEER, 9)))
    };
    let mut router = Router::with(Setting {
        config: Config::new(Seed::from_number(1)).ephemeral_ports(40_000..=40_001),
        options: None,
        left: |config| config.forwarding(ForwardOptions::new()),
        right: forward,
        ..Setting::default()
    });
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let id = router.stack.udp_bind(any, UdpOptions::default()).unwrap();
    let local = router.stack.udp_local_addr(id).unwrap();
    assert_eq!(local.port(), 40_001);
    let none = router.stack.udp_bind(any, UdpOptions::default());
    assert_eq!(none, Err(BindError::NoPort));
    let (now, far) = (router.now, SocketAddr::from((FAR, 80)));
    let options = TcpOptions::default();
    let mut connect = || router.stack.tcp_connect(now, far, None, options.clone());
    connect().unwrap();
    let none = connect();
    assert_eq!(none, Err(ConnectError::NoPort));
    // The other way round.
    let options = NatOptions::new().forward(Protocol::UDP, 40_001, end(PEER, 9));
    let refused = router
        .stack
        .add_interface(now, both_families().nat(options));
    let (port, inside) = (40_001, end(PEER, 9));
    assert_eq!(refused, Err(ConfigError::NatForward { port, inside }));
}

/// Covers: NAT-28 (RFC 1918 §3: what is for an inside host whose link is gone does not leave by the outside link).
#[test]
fn what_is_for_inside_does_not_go_outside() {
    let mut router = Router::nat(|config| {
        let options = NatOptions::new().forward(Protocol::UDP, 53, end(PEER, 53));
        config.nat(options).gateway(FAR.into())
    });
    let ask = udp(end(OTHER_FAR, 9), end(RIGHT, 53), b"ask");
    assert_eq!(router.back(&ask), Some(end(PEER, 53)));
    let (now, on) = (router.now, router.on[0]);
    router.stack.remove_interface(now, on).unwrap();
    router.give_on(1, &ask);
    let told = router.drain(1);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].v4().1[..2], [3, 0], "no route, and nothing else");
}

/// Covers: NAT-29 (RFC 3704 §2: what pretends to be of an inside host and comes in outside goes nowhere).
#[test]
fn who_pretends_to_be_inside_is_not_let_in() {
    let strict = ForwardOptions::new().reverse_path(ReversePath::Strict);
    for (strict, comes) in [(Some(strict), false), (None, true)] {
        let mut router = Router::with(Setting {
            options: strict,
            left: |config| config.forwarding(ForwardOptions::new()),
            right: |config| config.nat(NatOptions::new().forward(Protocol::UDP, 53, end(PEER, 53))),
            ..Setting::default()
        });
        router.meet();
        let ask = udp(end(OTHER_NEAR, 9), end(RIGHT, 53), b"ask");
        assert_eq!(router.back(&ask).is_some(), comes);
        let refused = router.drops(DropReason::ForwardReversePath);
        assert_eq!(refused, u64::from(!comes));
    }
}
