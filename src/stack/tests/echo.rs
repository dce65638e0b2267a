//! Echo answered, and ICMP errors sent within the rules.

use super::*;
use crate::ipv6::icmp as icmp6;
use ipv4::icmp::{Message, UnreachableCode};

fn echo4(dst: Ipv4Addr, data: &[u8]) -> Vec<u8> {
    let message = Message::EchoRequest {
        id: 7,
        seq: 9,
        data,
    };
    let mut body = vec![0; message.len()];
    message.emit(&mut body);
    ip_frame(PEER.into(), dst.into(), Protocol::ICMP, &body)
}

fn echo6(dst: Ipv6Addr, data: &[u8]) -> Vec<u8> {
    let message = Icmpv6::EchoRequest {
        id: 7,
        seq: 9,
        data,
    };
    let mut body = vec![0; message.len()];
    message.emit(PEER6, dst, &mut body);
    ip_frame(PEER6.into(), dst.into(), Protocol::ICMPV6, &body)
}

/// Covers: IC4-17, IC4-19, IC4-20, IC6-13, IC6-14.
#[test]
fn echo_is_answered_with_all_its_data() {
    let mut rig = Rig::new();
    rig.introduce();
    for len in [0, 1, 56, 1452] {
        let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
        rig.receive(echo4(OURS, &data));
        let frame = rig.only();
        let (fields, payload) = frame.v4();
        assert_eq!((frame.dst, fields.src, fields.dst), (PEER_MAC, OURS, PEER));
        let expected = Message::EchoReply {
            id: 7,
            seq: 9,
            data: &data,
        };
        assert_eq!(Message::parse(payload).unwrap(), expected);
        rig.receive(echo6(OURS6, &data));
        let frame = rig.only();
        let (fields, message) = frame.icmp6();
        assert_eq!((fields.src, fields.dst), (OURS6, PEER6));
        assert_eq!(
            message,
            Icmpv6::EchoReply {
                id: 7,
                seq: 9,
                data: &data
            }
        );
    }
    assert_eq!(rig.stack.counters().echo_replies_sent, 8);
}

/// nmap asks with a code: what Linux answers tells it apart from a host that does not.
///
/// Covers: IC4-17, IC6-13.
#[test]
fn echo_is_answered_whatever_its_code_which_goes_back() {
    let mut rig = Rig::new();
    rig.introduce();
    let rest = [0, 7, 0, 9];
    for code in [0, 1, 9, 255] {
        let body: &[u8] = b"data";
        let ask = |kind| Message::Unknown {
            kind,
            code,
            rest,
            body,
        };
        let mut bytes = vec![0; ask(8).len()];
        ask(8).emit(&mut bytes);
        let (from, to) = (PEER.into(), OURS.into());
        rig.receive(ip_frame(from, to, Protocol::ICMP, &bytes));
        let frame = rig.only();
        ask(0).emit(&mut bytes);
        assert_eq!(frame.v4().1, bytes, "code {code}");
        let ask = |kind| Icmpv6::Unknown {
            kind,
            code,
            rest,
            body,
        };
        let mut bytes = vec![0; ask(128).len()];
        ask(128).emit(PEER6, OURS6, &mut bytes);
        let (from, to) = (PEER6.into(), OURS6.into());
        rig.receive(ip_frame(from, to, Protocol::ICMPV6, &bytes));
        let answer = rig.only();
        let mut expected = vec![0; bytes.len()];
        ask(129).emit(OURS6, PEER6, &mut expected);
        assert!(answer.packet.ends_with(&expected), "code {code}");
    }
    assert_eq!(rig.stack.counters().echo_replies_sent, 8);
}

/// Of two addresses the one that was asked answers, though routing would choose the other.
///
/// Covers: IC4-19, IC6-7, IP4-43.
#[test]
fn the_address_that_was_asked_answers() {
    let mut rig = Rig::with(|config| {
        let config = config.address("10.0.0.7/24".parse().unwrap());
        config.address("fd00::7/64".parse().unwrap())
    });
    rig.introduce();
    rig.advance(Duration::from_secs(5));
    rig.drain();
    for (last, other) in [(1, 7), (7, 1)] {
        rig.receive(echo4(Ipv4Addr::new(10, 0, 0, last), b"x"));
        assert_eq!(rig.only().v4().0.src.octets()[3], last, "not .{other}");
        let to = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into());
        rig.receive(echo6(to, b"x"));
        assert_eq!(rig.only().icmp6().0.src, to);
    }
}

#[test]
fn an_echo_of_64_kib_leaves_whole_where_the_mtu_allows() {
    let big = vec![0x5a; 65_000];
    let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 65_535))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
    rig.drain();
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    rig.drain();
    rig.receive(echo4(OURS, &big));
    let reply = rig.only();
    assert!(reply.v4().1.ends_with(&big));
    let mut small = Rig::new();
    small.introduce();
    small.receive(echo4(OURS, &vec![0; 1473]));
    assert_eq!(small.drain().len(), 2, "fragments");
}

/// Covers: IC4-18 (v4 groups are not answered), IC6-15 (v6 ones are, from our own address).
#[test]
fn echo_to_groups() {
    let mut rig = Rig::new();
    rig.introduce();
    for dst in [
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(10, 0, 0, 255),
        Ipv4Addr::new(224, 0, 0, 1),
    ] {
        let mut frame = echo4(dst, b"x");
        frame[..6].fill(0xff);
        rig.receive(frame);
    }
    assert!(rig.drain().is_empty());
    assert_eq!(rig.drops(DropReason::IcmpIgnored), 3);
    let mut frame = echo6(ipv6::ALL_NODES, b"x");
    frame[..6].copy_from_slice(&ethernet::ipv6_multicast(ipv6::ALL_NODES).octets());
    rig.receive(frame);
    let reply = rig.only();
    assert_eq!(reply.icmp6().0.src, OURS6);
}

/// Covers: IC4-3, IC4-4, IC4-8, UDP-7, IC6-3, IC6-8.
#[test]
fn a_closed_port_is_unreachable_with_the_packet_quoted() {
    let mut rig = Rig::new();
    rig.introduce();
    let long = vec![1; 1400];
    for data in [&b"hi"[..], &long] {
        let frame = udp_frame("10.0.0.2:9", "10.0.0.1:7", data);
        rig.receive(frame.clone());
        let sent = rig.only();
        let (fields, payload) = sent.v4();
        assert_eq!((fields.src, fields.dst, fields.tos), (OURS, PEER, 0));
        assert!(sent.packet.len() <= 576);
        let Message::DestinationUnreachable { code, quoted, .. } = Message::parse(payload).unwrap()
        else {
            panic!("{payload:?}");
        };
        let whole = &frame[ethernet::HEADER_LEN..];
        assert_eq!(
            (code, quoted),
            (UnreachableCode::PORT, &whole[..quoted.len()])
        );
        assert!(quoted.len() == whole.len() || sent.packet.len() == 576);

        let frame = udp_frame("[fd00::2]:9", "[fd00::1]:7", data);
        rig.receive(frame.clone());
        let sent = rig.only();
        // RFC 4443 §2.4(c): as much of it as fits.
        let most = frame.len() - ethernet::HEADER_LEN + ipv6::HEADER_LEN + icmp6::HEADER_LEN;
        assert_eq!(sent.packet.len(), most.min(1280));
        let (_, message) = sent.icmp6();
        let Icmpv6::DestinationUnreachable { code, quoted } = message else {
            panic!("{message:?}");
        };
        let whole = &frame[ethernet::HEADER_LEN..];
        assert_eq!(
            (code, quoted),
            (icmp6::UnreachableCode::PORT, &whole[..quoted.len()])
        );
    }
}

/// Nobody hears that a router refused an error: IPv4's may be cut on its way.
#[test]
fn an_error_over_ipv4_has_no_df() {
    let mut rig = Rig::new();
    rig.introduce();
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", &[1; 1400]));
    let error = rig.only();
    let (fields, message) = error.v4();
    assert_eq!((message[0], fields.dont_fragment), (3, false));
}

/// Covers: IC4-7: an error has TOS 0, whatever the packet that it is about had.
#[test]
fn errors_are_sent_with_tos_0() {
    let mut rig = Rig::new();
    rig.introduce();
    let datagram = udp_bytes(
        "10.0.0.2:9".parse().unwrap(),
        "10.0.0.1:7".parse().unwrap(),
        b"x",
    );
    for tos in [0xb8, 0xff] {
        let mut fields = ipv4::Fields::new(PEER, OURS, Protocol::UDP);
        fields.tos = tos;
        let mut packet = vec![0; ipv4::MIN_HEADER_LEN];
        fields.emit(datagram.len(), &mut packet);
        packet.extend_from_slice(&datagram);
        rig.receive(eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet));
        let error = rig.only();
        let (sent, message) = error.v4();
        assert_eq!((sent.tos, message[0]), (0, 3));
        // The header that it quotes is unchanged.
        assert_eq!(message[8..], packet);
    }
}

/// Covers: IC6-9 (IPv4's too; what is no Destination Unreachable is sent all the same)
#[test]
fn an_interface_may_send_no_unreachables() {
    let mut rig = Rig::with(|config| config.unreachables(false));
    rig.introduce();
    let mut ask = |src: IpAddr, dst: IpAddr, protocol, data: &[u8]| {
        rig.receive(ip_frame(src, dst, protocol, data));
        rig.drain()
    };
    let (v4, v6) = ((PEER.into(), OURS.into()), (PEER6.into(), OURS6.into()));
    for (src, dst) in [v4, v6] {
        let (from, to) = (SocketAddr::new(src, 9), SocketAddr::new(dst, 4444));
        let closed = udp_bytes(from, to, b"who is there");
        assert!(ask(src, dst, Protocol::UDP, &closed).is_empty());
    }
    assert!(ask(v4.0, v4.1, Protocol(253), b"12345678").is_empty());
    let told = ask(v6.0, v6.1, Protocol(253), b"12345678");
    let (_, message) = told[0].icmp6();
    assert!(
        matches!(message, Icmpv6::ParameterProblem { .. }),
        "{message:?}"
    );
    assert_eq!(rig.stack.counters().icmp_errors_sent, 1);
}

/// Covers: IC4-8 (code 2), IP6-6 (Parameter Problem code 1 with its pointer), IC6-12.
#[test]
fn an_unknown_protocol_is_unreachable() {
    let mut rig = Rig::new();
    rig.introduce();
    rig.receive(ip_frame(
        PEER.into(),
        OURS.into(),
        Protocol(253),
        b"12345678",
    ));
    let sent = rig.only();
    let message = Message::parse(sent.v4().1).unwrap();
    assert!(
        matches!(
            message,
            Message::DestinationUnreachable {
                code: UnreachableCode::PROTOCOL,
                ..
            }
        ),
        "{message:?}"
    );
    rig.receive(ip_frame(
        PEER6.into(),
        OURS6.into(),
        Protocol(253),
        b"12345678",
    ));
    let sent = rig.only();
    let (_, message) = sent.icmp6();
    assert!(
        matches!(
            message,
            Icmpv6::ParameterProblem {
                code: 1,
                pointer: 6,
                ..
            }
        ),
        "{message:?}"
    );
}

/// Covers: IC4-5, IC6-5. r63: no error about what went to a group, or about an error.
#[test]
fn r63_no_errors_about_groups_and_errors() {
    let mut rig = Rig::new();
    rig.introduce();
    for dst in ["255.255.255.255:7", "10.0.0.255:7", "224.0.0.1:7"] {
        let mut frame = udp_frame("10.0.0.2:9", dst, b"x");
        frame[..6].fill(0xff);
        rig.receive(frame);
    }
    let mut frame = udp_frame("[fd00::2]:9", "[ff02::1]:7", b"x");
    frame[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    rig.receive(frame);
    let quoted = &udp_frame("10.0.0.1:1", "10.0.0.2:2", b"x")[ethernet::HEADER_LEN..];
    let error = Message::DestinationUnreachable {
        code: UnreachableCode::PORT,
        next_hop_mtu: 0,
        quoted,
    };
    let mut body = vec![0; error.len()];
    error.emit(&mut body);
    rig.receive(ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body));
    assert!(rig.drain().is_empty());
    assert_eq!(rig.drops(DropReason::UdpNoSocket), 4);
    assert_eq!(rig.drops(DropReason::IcmpUnmatched), 1);
}

/// Covers: IC4-27, IC4-28, IC6-6. r63: errors are limited per peer and in all.
#[test]
fn r63_errors_are_rate_limited() {
    let mut rig = Rig::with(|config| config.route("10.0.0.0/8".parse().unwrap(), None));
    rig.introduce();
    let closed = || udp_frame("10.0.0.2:9", "10.0.0.1:7", b"x");
    for _ in 0..100 {
        rig.receive(closed());
    }
    assert_eq!(rig.drain().len(), 6);
    assert_eq!(rig.drops(DropReason::RateLimited), 94);
    rig.advance(Duration::from_secs(1));
    rig.drain();
    for _ in 0..10 {
        rig.receive(closed());
    }
    assert_eq!(rig.drain().len(), 1, "one more each second");
    let before = rig.stack.counters().icmp_errors_sent;
    for n in 0..5000u32 {
        let [_, a, b, c] = (0x0a00_0100 + n).to_be_bytes();
        let from = format!("10.{a}.{b}.{c}:9");
        rig.receive(udp_frame(&from, "10.0.0.1:7", b"x"));
    }
    let sent = rig.stack.counters().icmp_errors_sent - before;
    assert!((30..=75).contains(&sent), "{sent} at once to all peers");
}

/// A rig whose errors are limited by nothing that a test reaches.
fn unlimited() -> Rig {
    let config = Config::new(Seed::from_number(1))
        .icmp_errors_per_second(1_000_000)
        .icmp_errors_per_peer(100_000);
    let mut rig = Rig::configured(config);
    rig.introduce();
    rig
}

/// Covers: IC6-5 (RFC 4443 §2.4(e.1), (e.2)). r63: nothing is said about an error or a redirect,
/// whatever stands before it; the same chain before an echo request is complained of.
#[test]
fn r63_no_errors_about_errors_behind_extension_headers() {
    const HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTH: u8 = 51;
    const ICMP: u8 = 58;
    const DEST: u8 = 60;
    let unknown = |next| vec![next, 0, 0x85, 2, 0, 0, 0, 0];
    let unknown_long = |next| [vec![next, 1, 0x85, 12], vec![0; 12]].concat();
    let fine = |next| vec![next, 0, 1, 4, 0, 0, 0, 0];
    let routed = |next| vec![next, 0, 4, 3, 0, 0, 0, 0];
    let piece = |next, offset: u16, more: u16| {
        let [a, b] = (offset | more).to_be_bytes();
        vec![next, 0, a, b, 1, 2, 3, 4]
    };
    let auth = |next| [vec![next, 4], vec![0; 22]].concat();
    // The first header's type, the chain, and whether what stands behind it can be seen.
    #[rustfmt::skip]
    let chains = [
        (HOP,      unknown(ICMP)),
        (HOP,      unknown_long(ICMP)),
        (DEST,     unknown(ICMP)),
        (DEST,     [fine(DEST), unknown(ICMP)].concat()),
        (HOP,      [unknown(DEST), unknown(ICMP)].concat()),
        (ROUTING,  routed(ICMP)),
        (ROUTING,  [routed(DEST), fine(ICMP)].concat()),
        (DEST,     [unknown(ROUTING), routed(ICMP)].concat()),
        (DEST,     [fine(HOP), fine(ICMP)].concat()),
        (HOP,      [unknown(FRAGMENT), piece(ICMP, 0, 0)].concat()),
        (HOP,      [unknown(FRAGMENT), piece(ICMP, 0, 1)].concat()),
        (FRAGMENT, [piece(DEST, 0, 0), unknown(ICMP)].concat()),
        (AUTH,     auth(ICMP)),
        (HOP,      [unknown(AUTH), auth(ICMP)].concat()),
    ];
    let mut rig = unlimited();
    let mut answers = |first: u8, chain: &[u8], tail: &[u8]| {
        let payload = [chain, tail].concat();
        let frame = ip_frame(PEER6.into(), OURS6.into(), Protocol(first), &payload);
        rig.receive(frame);
        rig.drain().len()
    };
    for (first, chain) in &chains {
        for kind in [128, 129, 135, 138, 255] {
            let told = answers(*first, chain, &[kind, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(told, 1, "{first} {chain:?} before {kind}");
        }
        for kind in [0, 1, 2, 3, 4, 100, 127, 137] {
            let told = answers(*first, chain, &[kind, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(told, 0, "{first} {chain:?} before {kind}");
        }
        assert_eq!(answers(*first, chain, &[]), 0, "{first} {chain:?}: cut");
    }
    // Of a later fragment nobody can see what it belongs to, unless its first header says so.
    for (next, told) in [(17, 1), (6, 1), (ICMP, 0), (DEST, 0), (AUTH, 0)] {
        let chain = [unknown(FRAGMENT), piece(next, 1448, 1)].concat();
        assert_eq!(answers(HOP, &chain, &[128; 8]), told, "{next}");
    }
    // A chain that is cut, or ends in nothing.
    assert_eq!(answers(HOP, &unknown(DEST), &[ICMP]), 0);
    assert_eq!(answers(HOP, &unknown(59), &[]), 1);
    assert_eq!(answers(HOP, &unknown(17), &[0; 8]), 1);
}
