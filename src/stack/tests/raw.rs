//! Raw sockets.

use super::*;
use crate::base::checksum;
use ipv4::icmp::{Message as Icmp, TimeExceededCode, UnreachableCode};

/// A protocol that nothing here speaks.
const OSPF: Protocol = Protocol(89);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

fn open(rig: &mut Rig, options: RawOptions) -> RawSocketId {
    rig.stack.raw_open(options).unwrap()
}

fn send(
    rig: &mut Rig,
    id: RawSocketId,
    to: impl Into<IpAddr>,
    data: &[u8],
) -> Result<(), SendError> {
    let data = Bytes::copy_from_slice(data);
    let (now, info) = (rig.now, SendInfo::new());
    rig.stack.raw_send(now, id, Some(to.into()), data, &info)
}

fn heard(rig: &mut Rig, id: RawSocketId) -> Vec<Bytes> {
    let all = core::iter::from_fn(|| rig.stack.raw_recv(id).ok());
    let all = all.map(|packet| packet.payload).collect();
    rig.stack.check_memory();
    all
}

fn from_peer(protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    ip_frame(PEER.into(), OURS.into(), protocol, payload)
}

fn from_peer6(protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    ip_frame(PEER6.into(), OURS6.into(), protocol, payload)
}

/// Covers: RAW-1, RAW-2.
#[test]
fn what_nobody_speaks_is_heard_and_not_answered() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = open(&mut rig, RawOptions::v4(OSPF));
    rig.receive(from_peer(OSPF, b"hello"));
    let ready = Readiness::READABLE;
    let event = Event {
        id: SocketId::Raw(id),
        ready,
    };
    assert_eq!(rig.event(), Some(event));
    let got = rig.stack.raw_recv(id).unwrap();
    assert_eq!((got.src, got.dst), (PEER.into(), OURS.into()));
    assert_eq!((got.on, got.protocol, got.ttl), (rig.on, OSPF, 64));
    assert_eq!((&got.payload[..], got.unicast), (&b"hello"[..], true));
    assert_eq!(rig.stack.raw_recv(id), Err(RecvError::WouldBlock));
    assert!(rig.drain().is_empty());
    // The other version's is another protocol.
    rig.receive(from_peer6(OSPF, b"hello"));
    assert_eq!(rig.drain().len(), 1, "a parameter problem");
    rig.stack.raw_close(id);
    assert_eq!(rig.stack.raw_recv(id), Err(StaleId.into()));
    rig.receive(from_peer(OSPF, b"hello"));
    let answer = rig.only();
    let message = Icmp::parse(answer.v4().1).unwrap();
    let Icmp::DestinationUnreachable { code, .. } = message else {
        panic!("{message:?}");
    };
    assert_eq!(code, UnreachableCode::PROTOCOL);
    assert_eq!(rig.drops(DropReason::IpProtocol), 2);
}

/// Covers: RAW-1. TCP, UDP and ICMP are answered as if nobody listened.
#[test]
fn what_the_stack_speaks_goes_both_ways() {
    let mut rig = Rig::new();
    rig.introduce();
    let local: SocketAddr = "0.0.0.0:7".parse().unwrap();
    let udp = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
    let [a, b] = [(); 2].map(|()| open(&mut rig, RawOptions::v4(Protocol::UDP)));
    let frame = udp_frame("10.0.0.2:9", "10.0.0.1:7", b"data");
    let datagram = frame[34..].to_vec();
    rig.receive(frame);
    assert_eq!(rig.stack.udp_recv(udp).unwrap().data.len(), 4);
    for id in [a, b] {
        assert_eq!(heard(&mut rig, id), [&datagram[..]]);
    }
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:8", b"data"));
    assert_eq!(rig.drops(DropReason::UdpNoSocket), 1);
    assert_eq!(heard(&mut rig, a).len(), 1);
    assert_eq!(rig.drain().len(), 1, "port unreachable");
    assert_eq!(rig.stack.counters().raw_packets_received, 4);
    let icmp = open(&mut rig, RawOptions::v4(Protocol::ICMP));
    let request = Icmp::EchoRequest {
        id: 1,
        seq: 2,
        data: b"echo",
    };
    let mut body = vec![0; request.len()];
    request.emit(&mut body);
    rig.receive(from_peer(Protocol::ICMP, &body));
    assert_eq!(rig.drain().len(), 1, "the reply");
    assert_eq!(heard(&mut rig, icmp), [&body[..]]);
    let tcp = open(&mut rig, RawOptions::v4(Protocol::TCP));
    rig.receive(from_peer(Protocol::TCP, &[7; 40]));
    assert_eq!(heard(&mut rig, tcp).len(), 1);
}

/// Covers: RAW-5. And by address, peer and interface.
#[test]
fn a_socket_hears_its_own_alone() {
    let mut rig = Rig::new();
    rig.introduce();
    let of = RawOptions::v4(OSPF);
    let (ours, peer) = (Some(OURS.into()), Some(PEER.into()));
    let local = open(&mut rig, of.local(ours));
    let connected = open(&mut rig, of.peer(peer));
    let elsewhere = open(&mut rig, of.interface(Some(InterfaceId::LOOPBACK)));
    let here = rig.on;
    let on = open(&mut rig, of.interface(Some(here)));
    let other = ip_frame(OTHER.into(), OURS.into(), OSPF, b"other");
    let everybody = ip_frame(PEER.into(), [10, 0, 0, 255].into(), OSPF, b"all");
    let group = eth(
        MacAddr::BROADCAST,
        PEER_MAC,
        EtherType::IPV4,
        &everybody[14..],
    );
    rig.receive(from_peer(OSPF, b"peer"));
    rig.receive(other);
    rig.receive(group);
    assert_eq!(heard(&mut rig, local), [&b"peer"[..], b"other"]);
    assert_eq!(heard(&mut rig, connected), [&b"peer"[..], b"all"]);
    assert_eq!(heard(&mut rig, on).len(), 3);
    assert_eq!(heard(&mut rig, elsewhere).len(), 0);
    let asked = IcmpFilter::none().pass(0);
    let filtered = open(&mut rig, RawOptions::v4(Protocol::ICMP).icmp_filter(asked));
    for kind in [8, 0, 13] {
        let mut message = [kind, 0, 0, 0, 0, 1, 0, 2];
        let sum = checksum::checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        rig.receive(from_peer(Protocol::ICMP, &message));
    }
    let got = heard(&mut rig, filtered);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0][0], 0);
}

/// Covers: RAW-3. A checksum is made and verified where its socket says, and of ICMPv6 always.
#[test]
fn checksums_over_ipv6() {
    let mut rig = Rig::new();
    rig.introduce();
    let valid = |src, dst, protocol, payload: &[u8]| {
        ipv6::pseudo_sum(src, dst, protocol, payload.len())
            .bytes(payload)
            .is_valid()
    };
    let icmp = open(&mut rig, RawOptions::v6(Protocol::ICMPV6));
    let ours = open(&mut rig, RawOptions::v6(OSPF).checksum(Some(4)));
    let users = open(&mut rig, RawOptions::v6(Protocol(253)));
    let wrong = [200, 0, 0xde, 0xad, 9, 9, 9, 9];
    for (id, protocol) in [(icmp, Protocol::ICMPV6), (ours, OSPF)] {
        send(&mut rig, id, PEER6, &wrong).unwrap();
        let sent = rig.only();
        let (fields, payload) = sent.v6();
        assert!(valid(fields.src, fields.dst, protocol, payload));
        let mut right = payload.to_vec();
        rig.receive(from_peer6(protocol, &wrong));
        assert_eq!(heard(&mut rig, id).len(), 0, "{protocol}");
        // The sum is the same from there to here.
        rig.receive(from_peer6(protocol, &right));
        assert_eq!(heard(&mut rig, id), [&right[..]]);
        right.truncate(3);
        rig.receive(from_peer6(protocol, &right));
        assert_eq!(heard(&mut rig, id).len(), 0);
        let why = "it ends before its checksum";
        let short = send(&mut rig, id, PEER6, &right);
        assert_eq!(short, Err(SendError::Malformed { why }));
        rig.drain();
    }
    send(&mut rig, users, PEER6, &wrong).unwrap();
    assert_eq!(rig.only().v6().1, &wrong[..]);
    let odd = RawOptions::v6(OSPF).checksum(Some(3));
    assert_eq!(rig.stack.raw_open(odd), Err(RawError::Checksum(3)));
    let v4 = RawOptions::v4(OSPF).checksum(Some(4));
    assert_eq!(rig.stack.raw_open(v4), Err(RawError::Checksum(4)));
}

/// What a user made of TCP or UDP is not touched, whatever the device could do for it.
#[test]
fn a_user_s_checksum_is_the_user_s() {
    let capabilities = Capabilities {
        checksum: true,
        ..Capabilities::plain(Medium::Ethernet, 1500)
    };
    for offload in [false, true] {
        let mut rig = Rig::with(|config| match offload {
            true => config.capabilities(&capabilities),
            false => config,
        });
        rig.introduce();
        for protocol in [Protocol::TCP, Protocol::UDP] {
            for len in [4, 60] {
                let id = open(&mut rig, RawOptions::v4(protocol).ttl(7).tos(4));
                send(&mut rig, id, PEER, &vec![0xaa; len]).unwrap();
                let sent = rig.only();
                let (fields, payload) = sent.v4();
                assert_eq!((fields.ttl, fields.tos), (7, 4));
                assert_eq!(payload, vec![0xaa; len]);
                assert_eq!(sent.meta, TxMeta::PLAIN);
                let id = open(&mut rig, RawOptions::v6(protocol));
                send(&mut rig, id, PEER6, &vec![0xaa; len]).unwrap();
                assert_eq!(rig.only().v6().1, vec![0xaa; len]);
            }
            // In fragments too.
            let id = open(&mut rig, RawOptions::v4(protocol));
            send(&mut rig, id, PEER, &[0xaa; 3000]).unwrap();
            let sent = rig.drain();
            assert_eq!(sent.len(), 3);
            let all = sent.iter().flat_map(|sent| sent.v4().1.to_vec());
            assert_eq!(all.collect::<Vec<_>>(), [0xaa; 3000]);
        }
    }
}

/// Covers: RAW-4.
#[test]
fn a_header_of_its_own_is_filled_in() {
    let mut rig = Rig::new();
    let id = open(&mut rig, RawOptions::v4(OSPF).header_included(true));
    let none = Ipv4Addr::UNSPECIFIED;
    let mut fields = ipv4::Fields::new(none, PEER, Protocol(253));
    fields.ttl = 3;
    fields.dont_fragment = false;
    let mut packet = vec![0; 24];
    // A record route option, and the wrong length.
    fields.emit_with_options(&[7, 3, 4, 0], 999, &mut packet);
    packet[10] ^= 0xff;
    packet.extend_from_slice(b"payload");
    send(&mut rig, id, PEER, &packet).unwrap();
    // It waits for its neighbour like others.
    assert_eq!(rig.only().kind, EtherType::ARP);
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    let sent = rig.drain().pop().unwrap();
    assert_eq!(sent.dst, PEER_MAC);
    let (got, payload) = sent.v4();
    assert_eq!(payload, b"payload");
    assert_eq!((got.src, got.dst), (OURS, PEER));
    assert_eq!((got.ttl, got.protocol), (3, Protocol(253)));
    assert!(!got.dont_fragment && got.id != 0, "{got:?}");
    let first = got.id;
    fields.id = 77;
    fields.src = OURS;
    fields.emit_with_options(&[], 0, &mut packet);
    send(&mut rig, id, PEER, &packet[..20]).unwrap();
    let sent = rig.only();
    assert_eq!(sent.v4().0.id, 77, "after {first}");
    fields.src = OTHER;
    fields.emit(0, &mut packet);
    let refused = send(&mut rig, id, PEER, &packet[..20]);
    assert_eq!(refused, Err(RouteError::Source(OTHER.into()).into()));
    let any = RawOptions::v4(OSPF).header_included(true).any_source(true);
    let any = open(&mut rig, any);
    send(&mut rig, any, PEER, &packet[..20]).unwrap();
    assert_eq!(rig.only().v4().0.src, OTHER);
    // It is never cut.
    let long = [&packet[..20], &[0; 1481]].concat();
    let (len, max) = (1501, 1500);
    let refused = send(&mut rig, any, PEER, &long);
    assert_eq!(refused, Err(SendError::TooBig { len, max }));
    for (bad, why) in [
        (&packet[..19], "it ends before its header does"),
        (&[0x46; 20], "it ends before its header does"),
        (&[0x44; 20], "its header is not IPv4's"),
        (&[0x65; 20], "its header is not IPv4's"),
    ] {
        let refused = send(&mut rig, any, PEER, bad);
        assert_eq!(refused, Err(SendError::Malformed { why }));
    }
}

/// Covers: RAW-4.
#[test]
fn an_ipv6_header_of_its_own() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = open(&mut rig, RawOptions::v6(OSPF).header_included(true));
    let none = Ipv6Addr::UNSPECIFIED;
    let mut fields = ipv6::Fields::new(none, PEER6, Protocol::NO_NEXT_HEADER);
    fields.hop_limit = 5;
    let mut packet = vec![0; 40];
    fields.emit(999, &mut packet);
    packet.extend_from_slice(b"more");
    let (now, info) = (rig.now, SendInfo::new());
    let data = Bytes::from(packet.clone());
    rig.stack.raw_send(now, id, None, data, &info).unwrap();
    let sent = rig.only();
    let (got, payload) = sent.v6();
    assert_eq!((got.src, got.dst, got.hop_limit), (OURS6, PEER6, 5));
    assert_eq!(payload, b"more");
    let why = "it ends before its header does";
    let refused = send(&mut rig, id, PEER6, &packet[..39]);
    assert_eq!(refused, Err(SendError::Malformed { why }));
    let why = "its header is not IPv6's";
    let refused = send(&mut rig, id, PEER6, &[0x45; 40]);
    assert_eq!(refused, Err(SendError::Malformed { why }));
}

/// docs/limits.md: the queue of a socket, and the sockets of a stack.
#[test]
fn what_waits_is_bounded() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = open(&mut rig, RawOptions::v4(OSPF).recv_buffer(3 * 228));
    for _ in 0..10 {
        rig.receive(from_peer(OSPF, &[1; 100]));
    }
    assert_eq!(rig.stack.memory().used, 3 * 228);
    assert_eq!(rig.stack.raw_dropped(id), Ok(7));
    assert_eq!(rig.stack.counters().raw_packets_dropped, 7);
    assert_eq!(heard(&mut rig, id).len(), 3);
    // An empty queue takes any.
    rig.receive(from_peer(OSPF, &[1; 1400]));
    assert_eq!(rig.stack.memory().used, 1400 + 128);
    rig.stack.raw_close(id);
    assert_eq!(rig.stack.memory().used, 0);
    rig.stack.check_memory();
    let all: Vec<_> = (0..64)
        .map(|_| open(&mut rig, RawOptions::v4(OSPF)))
        .collect();
    let refused = rig.stack.raw_open(RawOptions::v6(OSPF));
    assert_eq!(refused, Err(RawError::TooMany));
    rig.receive(from_peer(OSPF, b"all"));
    assert!(all.iter().all(|&id| heard(&mut rig, id).len() == 1));
    rig.stack.raw_close(all[9]);
    assert!(rig.stack.raw_open(RawOptions::v6(OSPF)).is_ok());
}

/// All memory for sockets is in use: who keeps up hears on.
#[test]
fn without_memory_an_empty_queue_takes_one() {
    let config = Config::new(Seed::from_number(1)).socket_memory(4000);
    let mut rig = Rig::configured(config);
    rig.introduce();
    let [a, b] = [(); 2].map(|()| open(&mut rig, RawOptions::v4(OSPF)));
    for _ in 0..100 {
        rig.receive(from_peer(OSPF, &[1; 1000]));
    }
    let used = rig.stack.memory().used;
    assert!((4000..8000).contains(&used), "{used}");
    let (a, b) = (heard(&mut rig, a).len(), heard(&mut rig, b).len());
    assert!(a >= 1 && b >= 1, "{a} {b}");
}

/// Covers: RAW-1. A datagram in pieces is heard whole.
#[test]
fn fragments_are_heard_together() {
    let mut rig = Rig::new();
    rig.introduce();
    let raw = open(&mut rig, RawOptions::v4(Protocol::UDP));
    let ospf = open(&mut rig, RawOptions::v4(OSPF));
    for (protocol, id) in [(Protocol::UDP, raw), (OSPF, ospf)] {
        let whole: Vec<u8> = (0..2000u32).map(|at| at as u8).collect();
        for (offset, more) in [(1000, false), (0, true)] {
            let mut fields = ipv4::Fields::new(PEER, OURS, protocol);
            fields.id = 9;
            fields.dont_fragment = false;
            fields.more_fragments = more;
            fields.fragment_offset = offset / 8;
            let mut packet = vec![0; 20];
            fields.emit(1000, &mut packet);
            packet.extend_from_slice(&whole[usize::from(offset)..][..1000]);
            rig.receive(eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet));
        }
        assert_eq!(heard(&mut rig, id), [&whole[..]]);
    }
    assert_eq!(rig.drops(DropReason::IpProtocol), 0);
}

#[test]
fn errors_are_told_to_who_has_a_peer() {
    let mut rig = Rig::new();
    rig.introduce();
    let of = RawOptions::v4(OSPF);
    let connected = open(&mut rig, of.peer(Some(PEER.into())));
    let any = open(&mut rig, of);
    send(&mut rig, connected, PEER, b"data").unwrap();
    let sent = rig.only();
    let tell = |rig: &mut Rig, message: Icmp<'_>| {
        let mut body = vec![0; message.len()];
        message.emit(&mut body);
        rig.receive(from_peer(Protocol::ICMP, &body));
    };
    let quoted = &sent.packet[..];
    let expired = Icmp::TimeExceeded {
        code: TimeExceededCode::TRANSIT,
        quoted,
    };
    tell(&mut rig, expired);
    assert_eq!(rig.drops(DropReason::IcmpUnmatched), 1);
    let refused = Icmp::DestinationUnreachable {
        code: UnreachableCode::PROTOCOL,
        next_hop_mtu: 0,
        quoted,
    };
    tell(&mut rig, refused);
    assert_eq!(rig.stack.raw_recv(connected), Err(RecvError::Refused));
    assert_eq!(rig.stack.raw_recv(connected), Err(RecvError::WouldBlock));
    assert_eq!(rig.stack.raw_recv(any), Err(RecvError::WouldBlock));
    tell(&mut rig, refused);
    let told = send(&mut rig, connected, PEER, b"data");
    assert_eq!(told, Err(SendError::Earlier(RecvError::Refused)));
    // A neighbour that does not answer.
    let silent = open(&mut rig, of.peer(Some(OTHER.into())));
    send(&mut rig, silent, OTHER, b"data").unwrap();
    rig.advance(Duration::from_secs(3));
    assert_eq!(rig.stack.raw_recv(silent), Err(RecvError::HostUnreachable));
}

/// A router says that an IPv6 packet was too large: the next ones leave in fragments, if one as large did leave.
#[test]
fn a_narrow_path_is_heeded() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = open(&mut rig, RawOptions::v6(OSPF));
    send(&mut rig, id, PEER6, &[3; 1400]).unwrap();
    let sent = rig.only();
    let too_big = |protocol| {
        let mut quoted = sent.packet.clone();
        quoted[6] = protocol;
        let message = Icmpv6::PacketTooBig {
            mtu: 1300,
            quoted: &quoted[..1200],
        };
        let mut body = vec![0; message.len()];
        message.emit(PEER6, OURS6, &mut body);
        from_peer6(Protocol::ICMPV6, &body)
    };
    rig.receive(too_big(90));
    assert_eq!(rig.drops(DropReason::IcmpUnmatched), 1);
    rig.receive(too_big(89));
    assert_eq!(rig.drops(DropReason::IcmpUnmatched), 1);
    send(&mut rig, id, PEER6, &[3; 1400]).unwrap();
    assert_eq!(rig.drain().len(), 2);
}

#[test]
fn what_cannot_be_opened_or_sent_is_refused() {
    let mut rig = Rig::new();
    rig.introduce();
    let of = RawOptions::v4(OSPF);
    let cases = [
        (
            of.local(Some(OURS6.into())),
            RawError::Version(OURS6.into()),
        ),
        (of.local(Some(PEER.into())), RawError::NotOurs(PEER.into())),
        (
            of.interface(InterfaceId::from_scope(7)),
            RawError::Interface(InterfaceId::from_scope(7).unwrap()),
        ),
    ];
    for (options, error) in cases {
        assert_eq!(rig.stack.raw_open(options), Err(error));
    }
    let id = open(&mut rig, of.local(Some(OURS.into())));
    let (now, info) = (rig.now, SendInfo::new());
    let nobody = rig.stack.raw_send(now, id, None, Bytes::new(), &info);
    assert_eq!(nobody, Err(SendError::NoPeer));
    let version = send(&mut rig, id, PEER6, b"x");
    assert_eq!(
        version,
        Err(SendError::To(SocketAddr::new(PEER6.into(), 0)))
    );
    let all: IpAddr = [10, 0, 0, 255].into();
    assert_eq!(
        send(&mut rig, id, all, b"x"),
        Err(SendError::Broadcast(all))
    );
    let (len, max) = (65_516, 65_515);
    let long = send(&mut rig, id, PEER, &vec![0; len]);
    assert_eq!(long, Err(SendError::TooBig { len, max }));
    let group: IpAddr = [224, 0, 0, 5].into();
    send(&mut rig, id, group, b"x").unwrap();
    assert_eq!(rig.only().v4().0.ttl, 1, "RFC 1112 §6.1");
    rig.stack
        .remove_address(rig.now, rig.on, OURS.into())
        .unwrap();
    assert_eq!(send(&mut rig, id, PEER, b"x"), Err(SendError::AddressGone));
    let event = Event {
        id: SocketId::Raw(id),
        ready: Readiness::READABLE,
    };
    assert_eq!(rig.event(), Some(event));
    assert_eq!(rig.stack.raw_recv(id), Err(RecvError::AddressGone));
}

/// An interface that is taken away takes the sockets that were its own with it.
#[test]
fn a_socket_of_an_interface_that_goes() {
    let mut rig = Rig::new();
    rig.introduce();
    let here = rig.on;
    let own = open(&mut rig, RawOptions::v4(OSPF).interface(Some(here)));
    let any = open(&mut rig, RawOptions::v4(OSPF));
    rig.stack.remove_interface(rig.now, here).unwrap();
    let ready = Readiness::READABLE;
    let event = Event {
        id: SocketId::Raw(own),
        ready,
    };
    let told = core::iter::from_fn(|| rig.stack.poll_event());
    assert!(told.into_iter().any(|told| told == event));
    assert_eq!(rig.stack.raw_recv(own), Err(RecvError::AddressGone));
    assert_eq!(send(&mut rig, own, PEER, b"x"), Err(SendError::AddressGone));
    assert_eq!(rig.stack.raw_recv(any), Err(RecvError::WouldBlock));
    let nowhere = send(&mut rig, any, PEER, b"x");
    assert_eq!(nowhere, Err(RouteError::NoRoute(PEER.into()).into()));
    let gone = RawOptions::v4(OSPF).interface(Some(here));
    assert_eq!(rig.stack.raw_open(gone), Err(RawError::Interface(here)));
}

/// What this host sends to itself is heard as well.
#[test]
fn within_the_host() {
    let mut rig = Rig::new();
    let id = open(&mut rig, RawOptions::v4(OSPF));
    let own = open(&mut rig, RawOptions::v4(OSPF).header_included(true));
    send(&mut rig, id, OURS, b"one").unwrap();
    let mut packet = vec![0; 20];
    ipv4::Fields::new(OURS, OURS, OSPF).emit(0, &mut packet);
    send(&mut rig, own, OURS, &packet).unwrap();
    rig.advance(Duration::from_millis(1));
    assert_eq!(heard(&mut rig, id), [&b"one"[..], b""]);
    assert_eq!(heard(&mut rig, own).len(), 2);
}

/// An IGMP packet of a user's is as he made it, and as long: the stack's own have an option (RFC 3376 §4).
#[test]
fn nothing_is_added_to_a_header_of_the_stack_s() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = open(&mut rig, RawOptions::v4(Protocol::IGMP));
    send(&mut rig, id, PEER, &[0x16; 1480]).unwrap();
    let sent = rig.only();
    assert_eq!((sent.packet[0], sent.packet.len()), (0x45, 1500));
    assert_eq!(sent.v4().1, [0x16; 1480]);
}

/// Covers: RAW-4. It is the header that says who hears a packet.
#[test]
fn a_header_to_everybody_takes_the_permission() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = RawOptions::v4(OSPF).header_included(true);
    let [without, with] = [false, true].map(|may| open(&mut rig, options.broadcast(may)));
    for everybody in [Ipv4Addr::BROADCAST, [10, 0, 0, 255].into()] {
        let mut packet = vec![0; 20];
        ipv4::Fields::new(OURS, everybody, OSPF).emit(0, &mut packet);
        let refused = send(&mut rig, without, PEER, &packet);
        assert_eq!(refused, Err(SendError::Broadcast(everybody.into())));
        assert!(rig.drain().is_empty());
        send(&mut rig, with, PEER, &packet).unwrap();
        assert_eq!(rig.only().v4().0.dst, everybody);
    }
}
