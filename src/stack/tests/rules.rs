//! What a host must never send, must not answer, and must take: rules without a mechanism of their own.

use super::tcp::{frame, segment};
use super::*;
use crate::tcp::{Flags, Header, Options, TcpOptions};
use ipv4::icmp::{Message, UnreachableCode};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An ICMP message with its checksum.
fn icmp4(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![kind, code, 0, 0];
    body.extend_from_slice(rest);
    let sum = crate::base::checksum::checksum(&body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body)
}

fn icmp6(dst: Ipv6Addr, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![kind, code, 0, 0];
    body.extend_from_slice(rest);
    let pseudo = ipv6::pseudo_sum(PEER6, dst, Protocol::ICMPV6, body.len());
    let sum = pseudo.bytes(&body).finish();
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    ip_frame(PEER6.into(), dst.into(), Protocol::ICMPV6, &body)
}

/// Covers: IP4-7, TCP-46, TCP-45 (the address that is asked for must be ours).
#[test]
fn nothing_leaves_to_or_from_addresses_that_may_not_be_on_the_wire() {
    let mut rig = Rig::new();
    rig.introduce();
    let udp4 = rig.stack.udp_bind(addr("0.0.0.0:0"), UdpOptions::new());
    let udp6 = rig.stack.udp_bind(addr("[::]:0"), UdpOptions::new());
    let (udp4, udp6) = (udp4.unwrap(), udp6.unwrap());
    let options = TcpOptions::default;
    for to in ["0.0.0.0:7", "0.1.2.3:7", "240.0.0.1:7"] {
        let to = addr(to);
        let sent = rig.stack.udp_send_to(rig.now, udp4, Some(to), b"x");
        assert!(sent.is_err(), "{to}");
        assert!(
            rig.stack.tcp_connect(rig.now, to, None, options()).is_err(),
            "{to}"
        );
    }
    for to in ["[::]:7", "[::ffff:10.0.0.2]:7"] {
        let to = addr(to);
        let sent = rig.stack.udp_send_to(rig.now, udp6, Some(to), b"x");
        assert!(sent.is_err(), "{to}");
        assert!(
            rig.stack.tcp_connect(rig.now, to, None, options()).is_err(),
            "{to}"
        );
    }
    for to in [
        "224.0.0.1:7",
        "255.255.255.255:7",
        "10.0.0.255:7",
        "[ff02::1]:7",
    ] {
        let connected = rig.stack.tcp_connect(rig.now, addr(to), None, options());
        assert!(connected.is_err(), "{to}");
    }
    for from in [
        "10.0.0.9:5",
        "127.0.0.1:5",
        "10.0.0.255:5",
        "224.0.0.1:5",
        "[fd00::1]:5",
    ] {
        let (to, from) = (addr("10.0.0.2:7"), Some(addr(from)));
        let connected = rig.stack.tcp_connect(rig.now, to, from, options());
        assert!(connected.is_err(), "{from:?}");
    }
    assert!(rig.drain().is_empty());
    assert_eq!(rig.stack.tcp_open_count(), 0);
}

/// Covers: TCP-45, SEL-1, IP4-44, IP4-43 (the address of the user's choice, on every segment, and what it
/// asks of the peer comes back to it).
#[test]
fn the_local_address_is_the_users_choice() {
    let second = |config: InterfaceConfig| config.address("10.0.0.7/24".parse().unwrap());
    let mut rig = Rig::with(second);
    rig.introduce();
    for (local, expected) in [
        (None, OURS),
        (Some("0.0.0.0:0"), OURS),
        (Some("10.0.0.1:0"), OURS),
        (Some("10.0.0.7:0"), Ipv4Addr::new(10, 0, 0, 7)),
    ] {
        let (to, local) = (addr("10.0.0.2:80"), local.map(addr));
        let id = rig
            .stack
            .tcp_connect(rig.now, to, local, TcpOptions::default());
        let id = id.unwrap();
        for wait in [0, 1] {
            rig.advance(Duration::from_secs(wait));
            assert_eq!(rig.only().v4().0.src, expected);
        }
        assert_eq!(
            rig.stack.tcp_local_addr(id).unwrap().ip(),
            IpAddr::V4(expected)
        );
        rig.stack.tcp_close(rig.now, id);
        rig.drain();
    }
    for (local, expected) in [
        ("0.0.0.0:0", OURS),
        ("10.0.0.1:0", OURS),
        ("10.0.0.7:0", Ipv4Addr::new(10, 0, 0, 7)),
    ] {
        let id = rig.stack.udp_bind(addr(local), UdpOptions::new()).unwrap();
        let to = Some(addr("10.0.0.2:80"));
        rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
        assert_eq!(rig.only().v4().0.src, expected);
    }
    // An echo and a RST come from the address that was asked.
    rig.receive(ip_frame(
        PEER.into(),
        Ipv4Addr::new(10, 0, 0, 7).into(),
        Protocol::TCP,
        &{ segment(addr("10.0.0.2:9"), addr("10.0.0.7:9"), 1, 0, Flags::SYN) },
    ));
    assert_eq!(rig.only().v4().0.src, Ipv4Addr::new(10, 0, 0, 7));
}

/// Covers: PMT-1, IP4-14, TCP-51 (MUST-49), TCP-50 (MUST-48, SHLD-21), IP4-33, IP6-24 (atomic, and so
/// without identification and fragment header).
#[test]
fn ttl_and_dscp_of_segments_are_settings_and_no_ttl_is_0() {
    for (ttl, sent) in [(0, 1), (1, 1), (64, 64), (255, 255)] {
        let mut rig = Rig::new();
        rig.introduce();
        let options = TcpOptions::default().ttl(ttl).tos(0xb8);
        for to in ["10.0.0.2:80", "[fd00::2]:80"] {
            let id = rig
                .stack
                .tcp_connect(rig.now, addr(to), None, options.clone());
            let seen = rig.only();
            if to.starts_with('[') {
                let (fields, _) = seen.v6();
                assert_eq!((fields.hop_limit, fields.traffic_class), (sent, 0xb8));
                assert_eq!(seen.packet[6], 6, "TCP follows at once");
            } else {
                let (fields, _) = seen.v4();
                assert_eq!((fields.ttl, fields.tos), (sent, 0xb8));
                assert_eq!(seen.packet[6..8], [0x40, 0], "DF, whole");
            }
            let changed = TcpOptions::default().ttl(ttl).tos(0x10);
            rig.stack
                .tcp_set_options(rig.now, id.unwrap(), changed)
                .unwrap();
            rig.advance(Duration::from_secs(1));
            let tos = match rig.only() {
                seen if to.starts_with('[') => seen.v6().0.traffic_class,
                seen => seen.v4().0.tos,
            };
            assert_eq!(tos, 0x10);
            rig.stack.tcp_close(rig.now, id.unwrap());
        }
        rig.drain();
        let options = UdpOptions::new().ttl(ttl);
        let id = rig.stack.udp_bind(addr("0.0.0.0:0"), options).unwrap();
        let to = Some(addr("10.0.0.2:80"));
        rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
        assert_eq!(rig.only().v4().0.ttl, sent);
    }
}

/// Covers: IP4-12, ETH-6 (a missing neighbour makes no unicast packet a broadcast, and no error).
#[test]
fn only_groups_go_to_everybody() {
    let mut rig = Rig::new();
    let id = rig
        .stack
        .udp_bind(addr("0.0.0.0:5"), UdpOptions::new())
        .unwrap();
    let to = Some(addr("10.0.0.2:7"));
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    for seen in rig.drain() {
        assert_eq!(seen.kind, EtherType::ARP);
    }
    assert_eq!(
        rig.stack.udp_recv(id),
        Err(RecvError::WouldBlock),
        "not yet an error"
    );
    rig.introduce();
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    assert!(rig.drain().iter().all(|seen| seen.dst == PEER_MAC));
}

/// Covers: IP4-39 (by mask; no gateway is needed, and one is used beyond the mask), IP4-35 (the
/// identification of a whole datagram means nothing).
#[test]
fn the_mask_decides_what_is_on_the_link() {
    let mut rig = Rig::with(|config| config.gateway("10.0.0.254".parse().unwrap()));
    let id = rig
        .stack
        .udp_bind(addr("0.0.0.0:7"), UdpOptions::new())
        .unwrap();
    for (to, asked) in [
        ("10.0.0.200:9", [10, 0, 0, 200]),
        ("10.0.1.1:9", [10, 0, 0, 254]),
    ] {
        rig.stack
            .udp_send_to(rig.now, id, Some(addr(to)), b"x")
            .unwrap();
        assert_eq!(rig.only().arp().target, Ipv4Addr::from(asked));
    }
    for number in [0u16, 0, 7, 7, 0xffff] {
        let mut frame = udp_frame("10.0.0.2:9", "10.0.0.1:7", b"y");
        let ip = ethernet::HEADER_LEN;
        frame[ip + 4..ip + 6].copy_from_slice(&number.to_be_bytes());
        frame[ip + 10..ip + 12].fill(0);
        let sum = crate::base::checksum::checksum(&frame[ip..ip + 20]);
        frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        rig.receive(frame);
        assert!(rig.stack.udp_recv(id).is_ok());
    }
}

/// Covers: IC4-2, IC4-14, IC4-24, IC4-26, TCP-53, ATK-5 (MUST-55: a source quench), IC6-2, NDP-3.
#[test]
fn what_a_host_does_not_answer() {
    let mut rig = Rig::new();
    rig.introduce();
    let to = addr("10.0.0.2:80");
    let id = rig
        .stack
        .tcp_connect(rig.now, to, None, TcpOptions::default())
        .unwrap();
    let syn = rig.only().packet;
    let before = rig.stack.tcp_info(id).unwrap();
    let mut quench = vec![0; 4];
    quench.extend_from_slice(&syn);
    rig.receive(icmp4(4, 0, &quench));
    assert_eq!(rig.stack.tcp_info(id).unwrap(), before);
    assert_eq!(rig.drops(DropReason::IcmpIgnored), 1);
    // Unknown ones, information, address mask, timestamp, a router's.
    for kind in [
        1, 2, 6, 7, 9, 10, 13, 14, 15, 16, 17, 18, 30, 37, 40, 41, 200, 255,
    ] {
        rig.receive(icmp4(kind, 0, &[0; 20]));
    }
    for kind in [0, 100, 127, 138, 139, 150, 200, 254, 255] {
        rig.receive(icmp6(OURS6, kind, 0, &[0; 40]));
    }
    assert!(rig.drain().is_empty());
    let source = [1, 1, 2, 0, 0, 0, 0, 2];
    let mut solicit = vec![0; 4];
    solicit.extend_from_slice(&source);
    let mut router = icmp6(ipv6::ALL_NODES, 133, 0, &solicit);
    router[..6].copy_from_slice(&ethernet::ipv6_multicast(ipv6::ALL_NODES).octets());
    router[ethernet::HEADER_LEN + 7] = 255;
    rig.receive(router);
    assert!(rig.drain().is_empty());
}

/// Covers: ADR-3, ADR-5, NDP-40, IC6-7 (a group's echo is answered from an address of ours).
#[test]
fn the_groups_of_a_host() {
    let mut rig = Rig::with(|config| config.address("fe80::1/64".parse().unwrap()));
    rig.introduce();
    let echo = |dst: &str| {
        let dst: Ipv6Addr = dst.parse().unwrap();
        let mut frame = icmp6(dst, 128, 0, &[0, 1, 0, 2, 9]);
        if dst.is_multicast() {
            frame[..6].copy_from_slice(&ethernet::ipv6_multicast(dst).octets());
        }
        frame
    };
    for dst in ["ff02::1", "ff02::1:ff00:1", "fd00::1", "fe80::1"] {
        rig.receive(echo(dst));
        let seen = rig.only();
        let src = seen.v6().0.src;
        let asked: Ipv6Addr = dst.parse().unwrap();
        let expected = if asked.is_multicast() { OURS6 } else { asked };
        assert_eq!(src, expected, "{dst}");
    }
    // Reserved scope, one that never leaves a host, groups that nobody joined.
    for dst in [
        "ff00::1",
        "ff01::1",
        "ff0f::1",
        "ff02::2",
        "ff02::1:ff00:2",
        "ff05::1",
        "fd00::3",
    ] {
        rig.receive(echo(dst));
        assert!(rig.drain().is_empty(), "{dst}");
    }
}

/// Covers: NDP-28, NDP-27 (whom the answer goes to, and its flags; from `::` nothing is learned).
#[test]
fn neighbour_advertisements_are_made_by_the_rules() {
    use ipv6::ndp::NeighborFlags as Flag;
    for (src, dst, flags) in [
        (PEER6, PEER6, Flag::SOLICITED | Flag::OVERRIDE),
        (Ipv6Addr::UNSPECIFIED, ipv6::ALL_NODES, Flag::OVERRIDE),
    ] {
        let mut rig = Rig::new();
        rig.receive(solicitation(src, PEER_MAC, OURS6));
        let seen = rig.only();
        let (fields, message) = seen.icmp6();
        assert_eq!(
            (fields.src, fields.dst, fields.hop_limit),
            (OURS6, dst, 255)
        );
        let Icmpv6::Ndp(ipv6::ndp::Message::NeighborAdvertisement {
            flags: got,
            target,
            options,
        }) = message
        else {
            panic!("{message:?}");
        };
        assert_eq!((got, target), (flags, OURS6));
        assert_eq!(options.target_link_address(), Some(OUR_MAC));
        let known = rig.stack.net.neighbours.len();
        assert_eq!(known, usize::from(!src.is_unspecified()));
    }
}

/// Covers: IP6-31, IP6-14 (the final destination is in the sum; no routing header comes back).
#[test]
fn a_routing_header_that_is_used_up_changes_nothing() {
    let mut rig = Rig::new();
    rig.introduce();
    let (from, to) = (addr("[fd00::2]:9"), addr("[fd00::1]:9"));
    let mut payload = vec![6, 0, 0, 0, 0, 0, 0, 0];
    payload.extend(segment(from, to, 1, 0, Flags::SYN));
    let routing = Protocol(43);
    rig.receive(ip_frame(PEER6.into(), OURS6.into(), routing, &payload));
    let seen = rig.only();
    let (fields, body) = seen.v6();
    assert_eq!((fields.dst, fields.next_header), (PEER6, Protocol::TCP));
    let (header, _) = Header::parse(body).unwrap();
    assert!(header.flags().contains(Flags::RST));
    assert_eq!(rig.drops(DropReason::TcpChecksum), 0);
}

/// Covers: IP6-32, TCP-24, TCP-25 (the MSS that is told is the MTU less the fixed headers).
#[test]
fn the_mss_told_fits_the_mtu() {
    for mtu in [1280, 1500, 9000, 65_535] {
        let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, mtu))
            .address("10.0.0.1/24".parse().unwrap())
            .address("fd00::1/64".parse().unwrap());
        let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
        for (to, headers) in [("10.0.0.2:80", 40), ("[fd00::2]:80", 60)] {
            let options = TcpOptions::default();
            rig.stack
                .tcp_connect(rig.now, addr(to), None, options)
                .unwrap();
            let seen = rig.only();
            let segment = if headers == 40 {
                seen.v4().1
            } else {
                seen.v6().1
            };
            let (header, _) = Header::parse(segment).unwrap();
            let told = Options::parse(header.options_bytes()).mss;
            assert_eq!(told.map(usize::from), Some(mtu - headers), "{to}");
        }
    }
}

/// Covers: TCP-8 (reserved bits), TCP-51 (MUST-50: an IP option that nobody knows).
#[test]
fn bits_and_options_without_a_meaning_are_ignored() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = ListenOptions::default();
    rig.stack.tcp_listen(addr("0.0.0.0:80"), options).unwrap();
    let plain = frame("10.0.0.2:9", "10.0.0.1:80", 1, 0, Flags::SYN);
    let mut bytes = plain[ethernet::HEADER_LEN + 20..].to_vec();
    bytes[12] |= 0x0e;
    bytes[16..18].fill(0);
    let sum = ipv4::pseudo_sum(PEER, OURS, Protocol::TCP, bytes.len())
        .bytes(&bytes)
        .finish();
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    rig.receive(ip_frame(PEER.into(), OURS.into(), Protocol::TCP, &bytes));
    let answer = rig.only();
    let syn_ack = answer.v4().1;
    assert_eq!(syn_ack[12] & 0x0e, 0);
    assert_eq!(syn_ack[13], 0x12);
    // The same SYN from another port behind an option of kind 0x9e, four bytes of it.
    let mut packet = ip(PEER.into(), OURS.into(), Protocol::TCP, &{
        segment(addr("10.0.0.2:10"), addr("10.0.0.1:80"), 1, 0, Flags::SYN)
    });
    packet.splice(20..20, [0x9e, 4, 1, 2]);
    packet[0] = 0x46;
    let len = packet.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet[10..12].fill(0);
    let sum = crate::base::checksum::checksum(&packet[..24]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    rig.receive(eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet));
    assert_eq!(rig.only().v4().1[13], 0x12);
}

/// Covers: IC4-10, ATK-3 (a hint is no proof: the datagrams go on).
#[test]
fn an_unreachable_host_is_a_hint() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = rig
        .stack
        .udp_bind(addr("0.0.0.0:0"), UdpOptions::new())
        .unwrap();
    rig.stack.udp_connect(id, addr("10.0.0.2:7")).unwrap();
    rig.stack.udp_send_to(rig.now, id, None, b"x").unwrap();
    let sent = rig.only();
    for code in [0, 1, 5] {
        let error = Message::DestinationUnreachable {
            code: UnreachableCode(code),
            next_hop_mtu: 0,
            quoted: &sent.packet,
        };
        let mut body = vec![0; error.len()];
        error.emit(&mut body);
        rig.receive(ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body));
        // Whatever the socket is told first, the next datagram leaves.
        while rig.stack.udp_recv(id) != Err(RecvError::WouldBlock) {}
        rig.stack.udp_send_to(rig.now, id, None, b"again").unwrap();
        assert!(rig.only().packet.ends_with(b"again"));
    }
}

/// A frame from the peer with these IPv4 options.
fn with_options(options: &[u8], dst: Ipv4Addr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 60];
    let fields = ipv4::Fields::new(PEER, dst, protocol);
    let len = fields.emit_with_options(options, payload.len(), &mut packet);
    packet.truncate(len);
    packet.extend_from_slice(payload);
    eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet)
}

/// Covers: IP4-18 (unknown options are passed over), IP4-20, IP4-21.
#[test]
fn ipv4_options_that_are_well_formed_change_nothing() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = rig.stack.udp_bind(addr("0.0.0.0:7"), UdpOptions::new());
    let id = id.unwrap();
    let request = icmp4(8, 0, &[0, 7, 0, 9, 1, 2, 3]);
    let request = &request[ethernet::HEADER_LEN + ipv4::MIN_HEADER_LEN..];
    let datagram = udp_bytes(addr("10.0.0.2:9"), addr("10.0.0.1:7"), b"data");
    let rows: [&[u8]; 7] = [
        &[1, 1, 1, 0],
        &[0, 200, 200, 200],
        &[148, 4, 0, 0],
        &[7, 7, 4, 0, 0, 0, 0, 0],
        &[68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[77, 3, 9, 205, 2],
    ];
    for options in rows {
        rig.receive(with_options(options, OURS, Protocol::UDP, &datagram));
        let got = rig.stack.udp_recv(id).unwrap().data.into_bytes();
        assert_eq!(&got[..], b"data", "{options:?}");
        rig.receive(with_options(options, OURS, Protocol::ICMP, request));
        let reply = rig.only().packet;
        assert_eq!(reply.len(), ipv4::MIN_HEADER_LEN + request.len());
    }
    assert_eq!(rig.stack.counters().drops.total(), 0);
}

/// Covers: ETH-1, ETH-3, ETH-4, IP4-22, IC4-11: whatever is sent has an EtherType, never a length as
/// 802.2 has it, and no IPv4 options, so no source route either; and nobody is redirected.
#[test]
fn everything_that_leaves_is_ethernet_ii_without_ip_options() {
    let mut rig = Rig::with(|config| config.dad_transmits(1));
    let all = UdpOptions::new().broadcast(true);
    let id4 = rig.stack.udp_bind(addr("0.0.0.0:5"), all);
    let id6 = rig.stack.udp_bind(addr("[::]:6"), UdpOptions::new());
    let mut frames = rig.drain();
    for (id, to) in [
        (id4, "10.0.0.2:7"),
        (id4, "10.0.0.255:7"),
        (id6, "[fd00::2]:7"),
    ] {
        let sent = rig
            .stack
            .udp_send_to(rig.now, id.unwrap(), Some(addr(to)), b"x");
        sent.unwrap();
    }
    for to in ["10.0.0.2:80", "[fd00::2]:80"] {
        let options = TcpOptions::default();
        rig.stack
            .tcp_connect(rig.now, addr(to), None, options)
            .unwrap();
    }
    frames.extend(rig.drain());
    rig.introduce();
    rig.receive(icmp4(8, 0, &[0, 7, 0, 9, 1, 2, 3]));
    rig.receive(icmp6(OURS6, 128, 0, &[0, 7, 0, 9, 1, 2, 3]));
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:99", b"closed"));
    rig.receive(udp_frame("[fd00::2]:9", "[fd00::1]:99", b"closed"));
    // What is not for us is not passed on, and its sender not sent elsewhere.
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.77:99", b"another's"));
    rig.receive(udp_frame("[fd00::2]:9", "[fd00::77]:99", b"another's"));
    rig.advance(Duration::from_secs(10));
    frames.extend(rig.drain());
    let mut kinds = BTreeMap::<_, usize>::new();
    for frame in &frames {
        *kinds.entry(frame.kind.0).or_default() += 1;
        if frame.kind == EtherType::IPV4 {
            assert_eq!(frame.packet[0], 0x45, "{frame:?}");
            let icmp = frame.packet[9] == 1;
            assert!(!icmp || frame.packet[20] != 5, "{frame:?}");
        } else if frame.kind == EtherType::IPV6 {
            assert!(frame.packet[6] != 58 || frame.packet[40] != 137);
        }
    }
    let kinds: Vec<u16> = kinds.into_keys().collect();
    assert_eq!(kinds, [0x0800, 0x0806, 0x86dd]);
}

/// Covers: IP4-5, IP4-23: who asks for a way of its own is neither heard nor answered, whether we are
/// the last station of it or not.
#[test]
fn source_routed_packets_are_dropped() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = rig.stack.udp_bind(addr("0.0.0.0:7"), UdpOptions::new());
    let id = id.unwrap();
    let datagram = udp_bytes(addr("10.0.0.2:9"), addr("10.0.0.1:7"), b"data");
    let mut expected = 0;
    for kind in [131, 137] {
        for pointer in [4, 8, 12] {
            for before in [&[][..], &[1, 148, 4, 0, 0]] {
                let route = [kind, 11, pointer, 10, 0, 0, 9, 10, 0, 0, 8];
                let options = [before, &route].concat();
                rig.receive(with_options(&options, OURS, Protocol::UDP, &datagram));
                rig.receive(with_options(&options, OURS, Protocol(253), b"x"));
                rig.receive(with_options(&options, OURS, Protocol::TCP, &[0; 20]));
                expected += 3;
            }
        }
    }
    assert_eq!(rig.drops(DropReason::Ipv4SourceRoute), expected);
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
    assert!(rig.drain().is_empty());
}

/// Covers: IC4-16, IP4-20.
#[test]
fn ipv4_options_of_impossible_length_are_a_parameter_problem() {
    let datagram = udp_bytes(addr("10.0.0.2:9"), addr("10.0.0.1:7"), b"data");
    // The options, and the octet that is wrong.
    let rows: [(&[u8], u8); 6] = [
        (&[77, 0, 0, 0], 21),
        (&[77, 1, 0, 0], 21),
        (&[77, 200, 0, 0], 21),
        (&[1, 148, 4, 0, 0, 77, 4, 0], 26),
        (&[1, 1, 1, 77], 23),
        (&[131, 11, 4, 0], 21),
    ];
    for (options, wrong) in rows {
        let mut rig = Rig::new();
        rig.introduce();
        for (protocol, payload) in [(Protocol::UDP, &datagram[..]), (Protocol::TCP, &[0; 20])] {
            let frame = with_options(options, OURS, protocol, payload);
            rig.receive(frame.clone());
            let sent = rig.only();
            let (fields, message) = sent.v4();
            assert_eq!((fields.src, fields.dst), (OURS, PEER));
            let expected = Message::ParameterProblem {
                code: 0,
                pointer: wrong,
                quoted: &frame[ethernet::HEADER_LEN..],
            };
            assert_eq!(Message::parse(message).unwrap(), expected, "{options:?}");
        }
    }
}

/// Covers: IC4-5 (no error about errors, later fragments and what went to many), IC4-27.
#[test]
fn no_parameter_problem_where_no_error_may_be() {
    let datagram = udp_bytes(addr("10.0.0.2:9"), addr("10.0.0.1:7"), b"data");
    let mut rig = Rig::new();
    rig.introduce();
    let bad = &[77, 0, 0, 0];
    let mut dropped = rig.drops(DropReason::Ipv4Malformed);
    let mut silent = |rig: &mut Rig, frame: Vec<u8>, what: &str| {
        rig.receive(frame);
        assert!(rig.drain().is_empty(), "{what}");
        dropped += 1;
        assert_eq!(rig.drops(DropReason::Ipv4Malformed), dropped, "{what}");
    };
    for kind in [3, 4, 5, 11, 12, 200] {
        let error = with_options(bad, OURS, Protocol::ICMP, &[kind, 0, 0, 0, 0, 0, 0, 0]);
        silent(&mut rig, error, "an error");
    }
    silent(
        &mut rig,
        with_options(bad, OURS, Protocol::ICMP, &[]),
        "cut",
    );
    let mut later = with_options(bad, OURS, Protocol::UDP, &datagram);
    later[ethernet::HEADER_LEN + 7] = 9;
    // The checksum of the changed field: ones' complement arithmetic, RFC 1624.
    let sum = ethernet::HEADER_LEN + 10;
    let old = u16::from_be_bytes([later[sum], later[sum + 1]]);
    later[sum..sum + 2].copy_from_slice(&(old - 9).to_be_bytes());
    silent(&mut rig, later, "a later fragment");
    for group in ["255.255.255.255", "10.0.0.255", "224.0.0.1"] {
        let mut frame = with_options(bad, group.parse().unwrap(), Protocol::UDP, &datagram);
        frame[..6].fill(0xff);
        silent(&mut rig, frame, group);
    }
    // The limit is that of all errors.
    for _ in 0..100 {
        rig.receive(with_options(bad, OURS, Protocol::UDP, &datagram));
    }
    assert!(rig.drain().len() <= 6);
    assert!(rig.drops(DropReason::RateLimited) >= 94);
}
