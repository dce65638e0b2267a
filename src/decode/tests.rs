use core::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::arp;
use crate::base::checksum::Sum;
use crate::base::{MacAddr, Protocol};
use crate::ipv4::icmp as icmp4;
use crate::ipv6::{icmp as icmp6, ndp};
use crate::link::{EtherType, PartialChecksum, VlanTag, ethernet};
use crate::tcp::{self, Flags};
use crate::{ipv4, ipv6, udp};
use proptest::prelude::*;

const A: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
const A6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const MAC_A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
const MAC_B: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xb]);

fn line(link: Link, data: &[u8]) -> String {
    let decoder = Decoder::new(link);
    decoder
        .line(data, data.len(), RxChecksum::Unknown)
        .to_string()
}

fn ip_line(packet: &[u8]) -> String {
    line(Link::Ip, packet)
}

fn ethernet_line(ether_type: EtherType, payload: &[u8]) -> String {
    let mut frame = vec![0; 14];
    ethernet::Fields::new(MAC_B, MAC_A, ether_type).emit(&mut frame);
    frame.extend_from_slice(payload);
    line(Link::Ethernet, &frame)
}

fn ip4(protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 20];
    ipv4::Fields::new(A, B, protocol).emit(payload.len(), &mut packet);
    packet.extend_from_slice(payload);
    packet
}

/// RFC 5952: lower case, no leading zeros, the longest run of zeros as `::`, the first of equals, and none
/// for a single one.
///
/// Covers: ADR-8.
#[test]
fn addresses_have_their_shortest_form() {
    for (address, text) in [
        ("2001:0DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:DB8:0:0:1:0:0:0", "2001:db8:0:0:1::"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("0:0:0:0:0:ffff:a07:1", "::ffff:10.7.0.1"),
    ] {
        let src = address.parse().unwrap();
        let packet = ip6_from(src, B6, 64, Protocol(59), &[]);
        let line = ip_line(&packet);
        assert!(line.contains(&format!(" {text} > fd00::2")), "{line}");
    }
}

fn ip6(first: Protocol, payload: &[u8]) -> Vec<u8> {
    ip6_from(A6, B6, 64, first, payload)
}

fn ip6_from(src: Ipv6Addr, dst: Ipv6Addr, hops: u8, first: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    let mut fields = ipv6::Fields::new(src, dst, first);
    fields.hop_limit = hops;
    fields.emit(payload.len(), &mut packet);
    packet.extend_from_slice(payload);
    packet
}

/// Puts the checksum of a transport packet where it belongs.
fn sum_up(mut bytes: Vec<u8>, pseudo: Sum, at: usize) -> Vec<u8> {
    let sum = pseudo.bytes(&bytes).finish();
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn segment(flags: Flags, options: &tcp::Options, text: &[u8]) -> Vec<u8> {
    let fields = tcp::Fields {
        src_port: 40000,
        dst_port: 80,
        seq: 1000,
        ack: 2000,
        flags,
        window: 64240,
        urgent: 5,
    };
    let mut bytes = vec![0; 60];
    let len = fields.emit(options, &mut bytes);
    bytes.truncate(len);
    bytes.extend_from_slice(text);
    bytes
}

fn tcp4(flags: Flags, options: &tcp::Options, text: &[u8]) -> Vec<u8> {
    let bytes = segment(flags, options, text);
    let pseudo = ipv4::pseudo_sum(A, B, Protocol::TCP, bytes.len());
    ip4(Protocol::TCP, &sum_up(bytes, pseudo, tcp::CHECKSUM_OFFSET))
}

fn datagram(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    udp::Fields::new(1234, 53).emit(data.len(), &mut bytes);
    bytes.extend_from_slice(data);
    bytes
}

fn udp4(data: &[u8]) -> Vec<u8> {
    let bytes = datagram(data);
    let pseudo = ipv4::pseudo_sum(A, B, Protocol::UDP, bytes.len());
    ip4(Protocol::UDP, &sum_up(bytes, pseudo, udp::CHECKSUM_OFFSET))
}

fn udp6(data: &[u8]) -> Vec<u8> {
    let bytes = datagram(data);
    let pseudo = ipv6::pseudo_sum(A6, B6, Protocol::UDP, bytes.len());
    sum_up(bytes, pseudo, udp::CHECKSUM_OFFSET)
}

fn icmp(message: icmp4::Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.len()];
    message.emit(&mut bytes);
    ip4(Protocol::ICMP, &bytes)
}

fn icmp6(src: Ipv6Addr, dst: Ipv6Addr, message: icmp6::Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.len()];
    message.emit(src, dst, &mut bytes);
    ip6_from(src, dst, 255, Protocol::ICMPV6, &bytes)
}

/// The line of `packet`, and the same after `change`.
fn changed(packet: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut packet = packet.to_vec();
    change(&mut packet);
    ip_line(&packet)
}

#[test]
fn tcp_segments() {
    let syn = tcp::Options {
        mss: Some(1460),
        sack_permitted: true,
        timestamps: Some((1, 0)),
        window_scale: Some(7),
        ..tcp::Options::NONE
    };
    let sack = tcp::Options {
        sack: [(1, 2), (4, 9)].into_iter().collect(),
        ..tcp::Options::NONE
    };
    let none = tcp::Options::NONE;
    let super_segment = vec![0x5a; 60_000];
    for (flags, options, text, expected) in [
        (
            Flags::SYN,
            &syn,
            &b""[..],
            "Flags [S], seq 1000, win 64240, \
             options [mss 1460,sackOK,TS val 1 ecr 0,wscale 7], length 0",
        ),
        (
            Flags::all(),
            &sack,
            b"hello",
            "Flags [FSRP.UEWe], seq 1000:1005, ack 2000, win 64240, urg 5, \
             options [sack 2 {1:2}{4:9}], length 5",
        ),
        (
            Flags::empty(),
            &none,
            b"",
            "Flags [none], win 64240, length 0",
        ),
        (
            Flags::ACK,
            &none,
            b"",
            "Flags [.], ack 2000, win 64240, length 0",
        ),
        (
            Flags::RST,
            &none,
            b"",
            "Flags [R], seq 1000, win 64240, length 0",
        ),
        (
            Flags::ACK | Flags::PSH,
            &none,
            &super_segment,
            "Flags [P.], seq 1000:61000, ack 2000, win 64240, length 60000",
        ),
    ] {
        let got = ip_line(&tcp4(flags, options, text));
        assert_eq!(got, format!("IP 10.7.0.1.40000 > 10.7.0.2.80: {expected}"));
    }
}

#[test]
fn every_tcp_option() {
    let options: &[(&[u8], &str)] = &[
        (&[34, 2, 1, 1], "options [tfo cookiereq], length 0"),
        (
            &[34, 6, 1, 2, 0xab, 0xff, 1, 1],
            "options [tfo cookie 0102abff], length 0",
        ),
        (&[253, 4, 7, 8], "options [unknown-253 0x0708], length 0"),
        (&[253, 2, 0, 0], "options [unknown-253], length 0"),
        (
            &[3, 3, 9, 253],
            "options [wscale 9], length 0 [malformed tcp option]",
        ),
        (&[2, 0, 5, 180], "length 0 [malformed tcp option]"),
    ];
    for (bytes, expected) in options {
        let mut segment = segment(Flags::ACK, &tcp::Options::NONE, bytes);
        segment[12] = u8::try_from((20 + bytes.len()) / 4).unwrap() << 4;
        let pseudo = ipv4::pseudo_sum(A, B, Protocol::TCP, segment.len());
        let packet = ip4(Protocol::TCP, &sum_up(segment, pseudo, 16));
        let head = "IP 10.7.0.1.40000 > 10.7.0.2.80: Flags [.], ack 2000, win 64240";
        assert_eq!(ip_line(&packet), format!("{head}, {expected}"), "{bytes:?}");
    }
}

#[test]
fn checksums_are_right_partial_or_bad() {
    let good = tcp4(Flags::ACK, &tcp::Options::NONE, b"odd");
    let plain = "IP 10.7.0.1.40000 > 10.7.0.2.80: \
                 Flags [.], seq 1000:1003, ack 2000, win 64240, length 3";
    assert_eq!(ip_line(&good), plain);
    let right = u16::from_be_bytes([good[36], good[37]]);
    let bad = changed(&good, |p| p[36..38].fill(0x11));
    let expected = format!("{plain} [bad tcp checksum 0x1111, should be 0x{right:04x}]");
    assert_eq!(bad, expected);
    let pseudo = ipv4::pseudo_sum(A, B, Protocol::TCP, 23).partial();
    let partial = changed(&good, |p| p[36..38].copy_from_slice(&pseudo.to_be_bytes()));
    assert_eq!(partial, format!("{plain} [partial checksum]"));

    let decoder = Decoder::new(Link::Ip);
    let told = |checksum| decoder.line(&good, good.len(), checksum).to_string();
    let field = PartialChecksum {
        start: 20,
        offset: 16,
    };
    let expected = format!("{plain} [partial checksum]");
    assert_eq!(told(RxChecksum::Partial(field)), expected);
    let mut bad = good.clone();
    bad[37] ^= 1;
    let verified = decoder.line(&bad, bad.len(), RxChecksum::Verified);
    assert_eq!(verified.to_string(), plain);

    let header = changed(&good, |p| p[8] = 63);
    let found = u16::from_be_bytes([good[10], good[11]]);
    let note = format!(
        "[bad ip checksum 0x{found:04x}, should be 0x{:04x}]",
        found + 0x100
    );
    assert_eq!(header, format!("{plain} {note}"));
}

/// From port 1234 to 53; the number is that of "ab".
#[test]
fn names_that_are_asked_for() {
    let head = "IP 10.7.0.1.1234 > 10.7.0.2.53: UDP, length";
    let name = b"\x03www\x02a\x07\x00";
    let ask = |flags: [u8; 2], counts: [u8; 4], question: &[u8]| {
        let [qd, an, ns, ar] = counts;
        let header = [&b"ab"[..], &flags, &[0, qd, 0, an, 0, ns, 0, ar]].concat();
        [&header[..], question].concat()
    };
    let question = |kind: u8| [&name[..], &[0, kind, 0, 1]].concat();
    for (message, text) in [
        (
            ask([1, 0], [1, 0, 0, 1], &question(28)),
            "+ AAAA? www.a\\x07.",
        ),
        (
            ask([0x84, 0x83], [1, 2, 1, 0], &question(1)),
            " NXDomain* 2/1/0 A? www.a\\x07.",
        ),
        (
            ask([0x83, 0x80], [1, 0, 0, 0], &question(99)),
            "|+ 0/0/0 type 99? www.a\\x07.",
        ),
        (ask([0x80, 0x8b], [0, 0, 0, 0], b""), " rcode 11 0/0/0"),
        (ask([0, 0], [1, 0, 0, 0], b"\0\0\x06"), " SOA? ."),
        (
            ask([0, 0], [1, 0, 0, 0], b"\xc0\x0c\0\x01"),
            " [malformed dns question]",
        ),
        (
            ask([0, 0], [1, 0, 0, 0], b"\x09abc"),
            " [malformed dns question]",
        ),
    ] {
        let line = format!("{head} {}, dns 24930{text}", message.len());
        assert_eq!(ip_line(&udp4(&message)), line);
    }
}

#[test]
fn udp_datagrams() {
    let head4 = "IP 10.7.0.1.1234 > 10.7.0.2.53: UDP";
    let head6 = "IP6 fd00::1.1234 > fd00::2.53: UDP";
    assert_eq!(ip_line(&udp4(b"abc")), format!("{head4}, length 3"));
    let v6 = ip6(Protocol::UDP, &udp6(b"abc"));
    assert_eq!(ip_line(&v6), format!("{head6}, length 3"));
    let none = changed(&udp4(b"abc"), |p| p[26..28].fill(0));
    assert_eq!(none, format!("{head4}, length 3"));
    let none = changed(&v6, |p| p[46..48].fill(0));
    assert_eq!(
        none,
        format!("{head6}, length 3 [udp without checksum over ipv6]")
    );
    let long = changed(&udp4(b"abc"), |p| p[25] = 12);
    assert_eq!(
        long,
        format!("{head4}, length 4 [udp datagram needs 12 bytes, 11 available]")
    );
    let short = changed(&udp4(b"abc"), |p| p[25] = 7);
    assert_eq!(
        short,
        format!("{head4}, length 0 [udp length 7 is below 8]")
    );
    let tiny = ip_line(&ip4(Protocol::UDP, &[4, 210, 0, 53, 0, 8]));
    assert_eq!(
        tiny,
        format!("{head4}, length 6 [udp datagram needs 8 bytes, 6 available]")
    );
}

/// A UDP datagram over IPv4 between these ports.
fn udp4_between(src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; udp::HEADER_LEN];
    udp::Fields::new(src, dst).emit(data.len(), &mut bytes);
    bytes.extend_from_slice(data);
    let pseudo = ipv4::pseudo_sum(A, B, Protocol::UDP, bytes.len());
    ip4(Protocol::UDP, &sum_up(bytes, pseudo, udp::CHECKSUM_OFFSET))
}

/// A UDP datagram over IPv6 between these ports.
fn udp6_between(src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; udp::HEADER_LEN];
    udp::Fields::new(src, dst).emit(data.len(), &mut bytes);
    bytes.extend_from_slice(data);
    let pseudo = ipv6::pseudo_sum(A6, B6, Protocol::UDP, bytes.len());
    ip6(Protocol::UDP, &sum_up(bytes, pseudo, udp::CHECKSUM_OFFSET))
}

#[test]
fn dhcpv6_messages() {
    use crate::dhcp6::information_request;
    let asks = information_request(0xab, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1], 12, &[23, 24]);
    assert_eq!(
        ip_line(&udp6_between(546, 547, &asks)),
        "IP6 fd00::1.546 > fd00::2.547: DHCPv6 information-request, xid 0x0000ab, \
         options [client 00030001020000000001,elapsed 120ms,request 23,24], length 32"
    );
    let options = [
        &[
            0, 2, 0, 1, 9, 0, 32, 0, 4, 0, 0, 2, 88, 0, 83, 0, 4, 0, 0, 0, 60,
        ][..],
        &[0, 13, 0, 2, 0, 1, 0, 99, 0, 1, 7, 0, 23, 0, 80],
        &[1; 80],
    ];
    let says = [&[7, 0, 0, 1][..], &options.concat()].concat();
    assert_eq!(
        ip_line(&udp6_between(547, 546, &says)),
        "IP6 fd00::1.547 > fd00::2.546: DHCPv6 reply, xid 0x000001, options [server 09,refresh 600s,\
         inf-max-rt 60s,status 1,option-99 1 bytes,dns 101:101:101:101:101:101:101:101,\
         101:101:101:101:101:101:101:101,101:101:101:101:101:101:101:101,\
         101:101:101:101:101:101:101:101 and 1 more], length 120"
    );
    let line = ip_line(&udp6_between(547, 546, &says[..10]));
    assert!(
        line.contains("UDP, length 10 [dhcpv6 option needs"),
        "{line}"
    );
    let line = ip_line(&udp6_between(547, 546, b"hi"));
    assert!(line.ends_with("UDP, length 2"), "{line}");
}

#[test]
fn dhcp_messages() {
    use crate::dhcp::{Builder, MessageType, Operation, code};
    let discover = Builder::new(Operation::REQUEST, MessageType::DISCOVER, 0xab, MAC_A);
    let discover = discover.broadcast(true).address(code::REQUESTED_ADDRESS, B);
    assert_eq!(
        ip_line(&udp4_between(68, 67, &discover.finish())),
        "IP 10.7.0.1.68 > 10.7.0.2.67: DHCP discover, xid 0x000000ab, client 02:00:00:00:00:0a, \
         requested 10.7.0.2, flags [broadcast], length 300"
    );
    let ack = Builder::new(Operation::REPLY, MessageType::ACK, 1, MAC_A).yiaddr(B);
    let ack = ack
        .address(code::SERVER_ID, A)
        .number(code::LEASE_TIME, 120);
    let ack = ack.address(code::SUBNET_MASK, [255, 255, 255, 0].into());
    let ack = ack.option(code::ROUTERS, &[10, 7, 0, 1, 10, 7, 0, 9]);
    let ack = ack.option(code::DNS_SERVERS, &[10, 7, 0, 1, 9]);
    assert_eq!(
        ip_line(&udp4_between(67, 68, &ack.finish())),
        "IP 10.7.0.1.67 > 10.7.0.2.68: DHCP ack, xid 0x00000001, client 02:00:00:00:00:0a, \
         yiaddr 10.7.0.2, server 10.7.0.1, mask 255.255.255.0, routers [10.7.0.1,10.7.0.9], dns [10.7.0.1], \
         lease 120 s, length 300 [dhcp option 6 is no list of addresses]"
    );
    let mut broken = Builder::new(Operation::REPLY, MessageType::NAK, 1, MAC_A).finish();
    broken.truncate(243);
    broken[241] = 9;
    let line = ip_line(&udp4_between(67, 68, &broken));
    assert!(
        line.contains("UDP, length 243 [dhcp option 53 needs"),
        "{line}"
    );
    // Whoever has these ports may say anything.
    let line = ip_line(&udp4_between(68, 67, b"hello"));
    assert!(line.ends_with("UDP, length 5"), "{line}");
}

#[test]
fn arp_packets() {
    let show = |packet: arp::Packet| {
        let mut bytes = [0; 46];
        packet.emit(&mut bytes);
        ethernet_line(EtherType::ARP, &bytes)
    };
    let request = arp::Packet::request(MAC_A, A, B);
    let mut poll = request;
    poll.target_mac = MAC_B;
    let mut forged = request.reply(MAC_B);
    forged.sender_mac = MacAddr::BROADCAST;
    for (packet, expected) in [
        (request, "Request who-has 10.7.0.2 tell 10.7.0.1, length 28"),
        (
            poll,
            "Request who-has 10.7.0.2 (02:00:00:00:00:0b) tell 10.7.0.1, length 28",
        ),
        (
            request.reply(MAC_B),
            "Reply 10.7.0.2 is-at 02:00:00:00:00:0b, length 28",
        ),
        (
            forged,
            "Reply 10.7.0.2 is-at ff:ff:ff:ff:ff:ff, length 28 [sender address is a group's]",
        ),
        (
            arp::Packet::probe(MAC_A, A),
            "Probe who-has 10.7.0.1 by 02:00:00:00:00:0a, length 28",
        ),
        (
            arp::Packet::announcement(MAC_A, A),
            "Announcement 10.7.0.1 is-at 02:00:00:00:00:0a, length 28",
        ),
    ] {
        assert_eq!(show(packet), format!("ARP, {expected}"));
    }
    assert_eq!(
        ethernet_line(EtherType::ARP, &[0, 6, 8, 0]),
        "ARP, length 4 [arp packet needs 28 bytes, 4 available]"
    );
    let mut other = [0; 28];
    request.emit(&mut other);
    other[1] = 6;
    assert_eq!(
        ethernet_line(EtherType::ARP, &other),
        "ARP, length 28 [arp hardware type 6 with addresses of 6 bytes is not ethernet]"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn icmp_messages() {
    use icmp4::{Message::*, TimeExceededCode as Time, UnreachableCode as Code};
    let udp = udp4(b"abc");
    let quoted = &udp[..28];
    let unreachable = |code, next_hop_mtu| DestinationUnreachable {
        code,
        next_hop_mtu,
        quoted,
    };
    let (id, seq, data) = (7, 9, &b"0123456789"[..]);
    let quote = "(10.7.0.1.1234 > 10.7.0.2.53: UDP), length 36";
    for (message, expected) in [
        (
            EchoRequest { id, seq, data },
            "echo request, id 7, seq 9, length 18".to_owned(),
        ),
        (
            EchoReply { id, seq, data },
            "echo reply, id 7, seq 9, length 18".to_owned(),
        ),
        (
            unreachable(Code::NET, 0),
            format!("net 10.7.0.2 unreachable {quote}"),
        ),
        (
            unreachable(Code::HOST, 0),
            format!("host 10.7.0.2 unreachable {quote}"),
        ),
        (
            unreachable(Code::PROTOCOL, 0),
            format!("10.7.0.2 protocol 17 unreachable {quote}"),
        ),
        (
            unreachable(Code::PORT, 0),
            format!("10.7.0.2 udp port 53 unreachable {quote}"),
        ),
        (
            unreachable(Code::FRAGMENTATION_NEEDED, 1400),
            format!("10.7.0.2 unreachable - need to frag (mtu 1400) {quote}"),
        ),
        (
            unreachable(Code(77), 0),
            format!("10.7.0.2 unreachable, code 77 {quote}"),
        ),
        (
            TimeExceeded {
                code: Time::TRANSIT,
                quoted,
            },
            format!("time exceeded in-transit {quote}"),
        ),
        (
            ParameterProblem {
                code: 0,
                pointer: 20,
                quoted,
            },
            format!("parameter problem - octet 20 {quote}"),
        ),
        (
            Redirect {
                code: 1,
                gateway: A,
                quoted,
            },
            format!("redirect 10.7.0.2 to 10.7.0.1 {quote}"),
        ),
        (
            TimeExceeded {
                code: Time::REASSEMBLY,
                quoted: &[],
            },
            "ip reassembly time exceeded (quotes no packet), length 8".to_owned(),
        ),
        (
            Unknown {
                kind: 13,
                code: 0,
                rest: [0; 4],
                body: &[0; 12],
            },
            "type 13, code 0, length 20".to_owned(),
        ),
    ] {
        let got = ip_line(&icmp(message));
        assert_eq!(got, format!("IP 10.7.0.1 > 10.7.0.2: ICMP {expected}"));
    }
    let ping = icmp(EchoRequest { id, seq, data });
    let right = u16::from_be_bytes([ping[22], ping[23]]);
    assert_eq!(
        changed(&ping, |p| p[23] ^= 1),
        format!(
            "IP 10.7.0.1 > 10.7.0.2: ICMP echo request, id 7, seq 9, length 18 \
             [bad icmp checksum 0x{:04x}, should be 0x{right:04x}]",
            right ^ 1
        )
    );
    assert_eq!(
        ip_line(&ip4(Protocol::ICMP, &[8, 0, 0])),
        "IP 10.7.0.1 > 10.7.0.2: ICMP, length 3 [icmp message needs 8 bytes, 3 available]"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn icmp6_messages() {
    use icmp6::{Message::*, TimeExceededCode as Time, UnreachableCode as Code};
    let udp = ip6(Protocol::UDP, &udp6(b"abc"));
    let quoted = &udp[..48];
    let quote = "(fd00::1.1234 > fd00::2.53: UDP), length 56";
    let (id, seq, data) = (7, 9, &b"0123456789"[..]);
    for (message, expected) in [
        (
            EchoRequest { id, seq, data },
            "echo request, id 7, seq 9, length 18".to_owned(),
        ),
        (
            EchoReply { id, seq, data },
            "echo reply, id 7, seq 9, length 18".to_owned(),
        ),
        (
            DestinationUnreachable {
                code: Code::PORT,
                quoted,
            },
            format!("destination unreachable, unreachable port, fd00::2 udp port 53 {quote}"),
        ),
        (
            DestinationUnreachable {
                code: Code::ADDRESS,
                quoted,
            },
            format!("destination unreachable, unreachable address fd00::2 {quote}"),
        ),
        (
            PacketTooBig { mtu: 1280, quoted },
            format!("packet too big, mtu 1280 {quote}"),
        ),
        (
            TimeExceeded {
                code: Time::HOP_LIMIT,
                quoted,
            },
            format!("time exceeded in-transit for fd00::2 {quote}"),
        ),
        (
            ParameterProblem {
                code: 1,
                pointer: 6,
                quoted,
            },
            format!("parameter problem, unknown next header - octet 6 {quote}"),
        ),
        (
            Unknown {
                kind: 143,
                code: 0,
                rest: [0; 4],
                body: &[],
            },
            "multicast listener report v2, 0 group record(s), length 8".to_owned(),
        ),
        (
            Unknown {
                kind: 200,
                code: 0,
                rest: [0; 4],
                body: &[],
            },
            "type 200, code 0, length 8".to_owned(),
        ),
    ] {
        let got = ip_line(&icmp6(A6, B6, message));
        assert_eq!(got, format!("IP6 fd00::1 > fd00::2: ICMP6, {expected}"));
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn neighbour_discovery() {
    use ndp::Message::*;
    let mac = ndp::Options::target_link_address_bytes(MAC_B);
    let na = NeighborAdvertisement {
        flags: ndp::NeighborFlags::SOLICITED | ndp::NeighborFlags::OVERRIDE,
        target: B6,
        options: ndp::Options::new(&mac),
    };
    let mac = ndp::Options::source_link_address_bytes(MAC_A);
    let ns = NeighborSolicitation {
        target: B6,
        options: ndp::Options::new(&mac),
    };
    let prefix = [
        [
            3, 4, 64, 0xc0, 0, 0, 0x1c, 0x20, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
        ],
        [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    let mut options = prefix.as_flattened().to_vec();
    ndp::NdpOption::Mtu(1500).emit(&mut options);
    let servers = [A6.octets(), B6.octets()];
    let dns = ndp::NdpOption::RecursiveDns {
        lifetime: 60,
        servers: &servers,
    };
    dns.emit(&mut options);
    ndp::NdpOption::Unknown {
        kind: 99,
        data: &[1],
    }
    .emit(&mut options);
    let ra = RouterAdvertisement {
        hop_limit: 64,
        flags: ndp::RouterFlags::OTHER,
        lifetime: 1800,
        reachable_time: 0,
        retrans_timer: 1000,
        options: ndp::Options::new(&options),
    };
    let rs = RouterSolicitation {
        options: ndp::Options::new(&[1, 0]),
    };
    let local = "fe80::1".parse().unwrap();
    for (src, message, expected) in [
        (
            A6,
            ns,
            "neighbor solicitation, who has fd00::2, options [source 02:00:00:00:00:0a], length 32",
        ),
        (
            A6,
            na,
            "neighbor advertisement, tgt is fd00::2, Flags [solicited,override], \
             options [target 02:00:00:00:00:0b], length 32",
        ),
        (
            local,
            ra,
            "router advertisement, hop limit 64, Flags [other], pref medium, \
             router lifetime 1800s, reachable time 0ms, retrans timer 1000ms, \
             options [prefix fd00::/64 onlink auto valid 7200s pref infinity,mtu 1500,\
             rdnss 60s fd00::1,fd00::2,unknown-99 6 bytes], length 104",
        ),
        (
            A6,
            ra,
            "router advertisement, hop limit 64, Flags [other], pref medium, \
             router lifetime 1800s, reachable time 0ms, retrans timer 1000ms, \
             options [prefix fd00::/64 onlink auto valid 7200s pref infinity,mtu 1500,\
             rdnss 60s fd00::1,fd00::2,unknown-99 6 bytes], length 104 \
             [source fd00::1 is not link-local]",
        ),
        (
            local,
            rs,
            "router solicitation, length 10 [an option has an impossible length]",
        ),
        (
            local,
            Redirect {
                target: B6,
                destination: B6,
                options: ndp::Options::NONE,
            },
            "redirect, fd00::2 to fd00::2, length 40",
        ),
    ] {
        let got = ip_line(&icmp6(src, B6, icmp6::Message::Ndp(message)));
        assert_eq!(got, format!("IP6 {src} > fd00::2: ICMP6, {expected}"));
    }
}

#[test]
fn fragments_and_extension_headers() {
    let udp = udp6(b"abc");
    let behind = |first: u8, head: &[u8]| ip_line(&ip6(Protocol(first), &[head, &udp].concat()));
    let to = "IP6 fd00::1.1234 > fd00::2.53:";
    assert_eq!(
        behind(0, &[17, 0, 5, 2, 0, 0, 1, 0]),
        format!("{to} HBH (rtalert) UDP, length 3")
    );
    assert_eq!(
        behind(60, &[43, 0, 1, 4, 0, 0, 0, 0, 17, 0, 4, 0, 0, 0, 0, 0]),
        format!("{to} DSTOPT RT (type 4, 0 left) UDP, length 3")
    );
    assert_eq!(
        behind(60, &[17, 0, 0xc2, 4, 0, 0, 0, 0]),
        format!("{to} DSTOPT (jumbo) UDP, length 3 [unknown option at octet 42]")
    );
    assert_eq!(
        behind(60, &[17, 0, 0x45, 9, 0, 0, 0, 0]),
        format!("{to} DSTOPT UDP, length 3 [malformed ipv6 option]")
    );
    assert_eq!(
        behind(44, &[17, 0, 0, 0, 1, 2, 3, 4]),
        format!("{to} frag (0x01020304:0) UDP, length 3")
    );
    assert_eq!(
        behind(44, &[17, 0, 5, 0xa9, 1, 2, 3, 4]),
        "IP6 fd00::1 > fd00::2: frag (0x01020304:1448+) UDP fragment, length 11"
    );
    assert_eq!(
        ip_line(&ip6(Protocol::ROUTING, &[6, 9, 0, 0])),
        "IP6 fd00::1 > fd00::2: RT, length 4 \
         [ipv6 extension header needs 80 bytes, 4 available]"
    );
    assert_eq!(
        ip_line(&ip6(Protocol::NO_NEXT_HEADER, &[1, 2])),
        "IP6 fd00::1 > fd00::2: no next header, length 2"
    );

    let mut fields = ipv4::Fields::new(A, B, Protocol::UDP);
    (fields.id, fields.fragment_offset, fields.more_fragments) = (77, 185, true);
    let mut packet = [0; 36];
    fields.emit(16, &mut packet);
    assert_eq!(
        ip_line(&packet),
        "IP 10.7.0.1 > 10.7.0.2: UDP fragment, id 77, offset 1480+, length 16"
    );
    let fields = ipv4::Fields::new(A, B, Protocol(253));
    let mut packet = [0; 32];
    fields.emit_with_options(&[148, 4, 0, 0, 7, 3, 4, 9, 0], 0, &mut packet);
    assert_eq!(
        ip_line(&packet),
        "IP 10.7.0.1 > 10.7.0.2: options [RA,RR], protocol 253, length 0 [malformed ip option]"
    );
}

/// RFC 8200 §8.1: the checksum is over the last address of a routing header that is not used up.
#[test]
fn checksums_behind_routing_headers() {
    let last: Ipv6Addr = "fd00::99".parse().unwrap();
    let routed = |kind: u8, left: u8, hops: &[Ipv6Addr], summed_to| {
        let bytes = datagram(b"abc");
        let pseudo = ipv6::pseudo_sum(A6, summed_to, Protocol::UDP, bytes.len());
        let udp = sum_up(bytes, pseudo, udp::CHECKSUM_OFFSET);
        let mut packet = vec![
            17,
            u8::try_from(hops.len() * 2).unwrap(),
            kind,
            left,
            0,
            0,
            0,
            0,
        ];
        hops.iter().for_each(|hop| packet.extend(hop.octets()));
        packet.extend(udp);
        ip_line(&ip6(Protocol::ROUTING, &packet))
    };
    let to = "IP6 fd00::1.1234 > fd00::2.53: RT";
    // Type 2 (home address) and 0 in the order of the way, segment routing backwards.
    for (kind, left, hops) in [
        (2, 1, &[last][..]),
        (0, 2, &[A6, last]),
        (4, 1, &[last, A6]),
    ] {
        let line = routed(kind, left, hops, last);
        assert!(
            line.starts_with(&format!("{to} (type {kind}, {left} left) UDP, length 3")),
            "{line}"
        );
        assert!(!line.contains("checksum"), "{line}");
        let wrong = routed(kind, left, hops, B6);
        assert!(wrong.contains("bad udp checksum"), "{wrong}");
    }
    // Used up: the destination is the last one.
    let line = routed(4, 0, &[B6, A6], B6);
    assert_eq!(line, format!("{to} (type 4, 0 left) UDP, length 3"));
    let line = routed(3, 1, &[A6], B6);
    assert!(
        line.contains("udp checksum not verified behind this routing header"),
        "{line}"
    );
}

#[test]
fn multicast_listener_discovery() {
    let (group, source) = (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb), A6);
    let line = |kind, rest: [u8; 4], body: &[&[u8]]| {
        let body = body.concat();
        let message = icmp6::Message::Unknown {
            kind,
            code: 0,
            rest,
            body: &body,
        };
        let line = ip_line(&icmp6(A6, B6, message));
        line.strip_prefix("IP6 fd00::1 > fd00::2: ICMP6, multicast listener ")
            .unwrap()
            .to_owned()
    };
    let (group, source) = (group.octets(), source.octets());
    assert_eq!(
        line(131, [0; 4], &[&group]),
        "report max resp delay: 0 addr: ff02::fb, length 24"
    );
    assert_eq!(
        line(132, [0; 4], &[&group]),
        "done max resp delay: 0 addr: ff02::fb, length 24"
    );
    assert_eq!(
        line(130, [0x27, 0x10, 0, 0], &[&[0; 16]]),
        "query max resp delay: 10000 addr: ::, length 24"
    );
    let general = line(130, [0x80, 1, 0, 0], &[&[0; 16], &[2, 125, 0, 0]]);
    assert_eq!(general, "query v2 [max resp delay 32776], length 28");
    let special = line(130, [0, 9, 0, 0], &[&group, &[2, 125, 0, 1], &source]);
    assert_eq!(
        special,
        "query v2 [max resp delay 9] [gaddr ff02::fb { fd00::1 }], length 44"
    );
    // A record with a source and a word of auxiliary data, and one without.
    let record: &[&[u8]] = &[
        &[3, 1, 0, 1],
        &group,
        &source,
        &[9; 4],
        &[4, 0, 0, 0],
        &group,
    ];
    assert_eq!(
        line(143, [0, 0, 0, 2], record),
        "report v2, 2 group record(s) [gaddr ff02::fb to_in { fd00::1 }] [gaddr ff02::fb to_ex { }], length 68"
    );
    assert_eq!(
        line(143, [0, 0, 0, 2], &record[..1]),
        "report v2, 2 group record(s), length 12 \
         [multicast listener message needs 20 more bytes, 4 available]"
    );
    let many = [&[1, 0, 0, 200][..], &group, &source.repeat(200)]
        .concat()
        .repeat(30);
    let long = line(143, [0, 0, 0, 30], &[&many[..65_000.min(many.len())]]);
    assert!(
        long.len() < 2500 && long.contains(" .. }] .., length 65008"),
        "{long}"
    );
}

/// What filters ask for, behind every link header.
#[test]
fn flows() {
    let (udp, none) = (udp4(b"abc"), Flow::default());
    let expected = Flow {
        network: Some(Network::Ipv4),
        src: Some(A.into()),
        dst: Some(B.into()),
        protocol: Some(Protocol::UDP),
        ports: Some((1234, 53)),
    };
    let mut tagged = vec![
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 7, 0x81, 0, 0, 8, 8, 0,
    ];
    tagged.extend(&udp);
    let cooked = [&[0; 14][..], &[8, 0], &udp].concat();
    let cooked2 = [&[8, 0][..], &[0; 18], &udp].concat();
    for (link, bytes) in [
        (Link::Ip, udp.clone()),
        (Link::Ethernet, tagged),
        (Link::Loopback, [&[2, 0, 0, 0][..], &udp].concat()),
        (Link::LinuxSll, cooked),
        (Link::LinuxSll2, cooked2),
    ] {
        assert_eq!(Decoder::new(link).flow(&bytes), expected, "{link:?}");
        assert_eq!(Decoder::new(link).flow(&bytes[..3]), none, "{link:?}");
    }
    assert_eq!(Decoder::new(Link::Other(147)).flow(&udp), none);
    let ip = Decoder::new(Link::Ip);
    let later = changed_bytes(&udp, |p| p[7] = 1);
    assert_eq!(
        ip.flow(&later),
        Flow {
            ports: None,
            ..expected
        }
    );
    let behind = ip6(
        Protocol(60),
        &[&[17, 0, 1, 4, 0, 0, 0, 0][..], &udp6(b"abc")].concat(),
    );
    let flow = ip.flow(&behind);
    assert_eq!(
        (flow.network, flow.ports),
        (Some(Network::Ipv6), Some((1234, 53)))
    );
    let piece = ip6(
        Protocol::FRAGMENT,
        &[&[17, 0, 0, 8, 0, 0, 0, 0][..], &udp6(b"abc")].concat(),
    );
    let flow = ip.flow(&piece);
    assert_eq!((flow.protocol, flow.ports), (Some(Protocol::UDP), None));
}

fn changed_bytes(packet: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = packet.to_vec();
    change(&mut packet);
    packet
}

#[test]
fn r61_lengths_that_cannot_be() {
    let udp = udp4(b"abc");
    let fix = |p: &mut Vec<u8>| {
        p[10..12].fill(0);
        let sum = Sum::new().bytes(&p[..20]).finish();
        p[10..12].copy_from_slice(&sum.to_be_bytes());
    };
    let to = "IP 10.7.0.1.1234 > 10.7.0.2.53: UDP, length 3";
    let total = |value| {
        changed(&udp, |p| {
            p[3] = value;
            fix(p);
        })
    };
    assert_eq!(
        total(40),
        format!("{to} [ipv4 packet needs 40 bytes, 31 available]")
    );
    assert_eq!(
        total(0),
        format!("{to} [ipv4 total length 0 is below its header's 20]")
    );
    assert_eq!(
        changed(&udp, |p| p[0] = 0x44),
        "IP, length 31 [ipv4 header length 4 words is below 5]"
    );
    assert_eq!(
        changed(&udp, |p| p[0] = 0x15),
        "IP, length 31 [ip version 1 is neither 4 nor 6]"
    );
    assert_eq!(changed(&udp, |p| p.extend([0; 15])), to, "link padding");
    assert_eq!(ip_line(&[]), "IP, length 0 [empty]");
    assert_eq!(
        ip_line(&[0x60; 39]),
        "IP6, length 39 [ipv6 packet needs 40 bytes, 39 available]"
    );
    assert_eq!(
        ethernet_line(EtherType::IPV4, &ip6(Protocol::UDP, &[])),
        "IP, length 40 [ip version 6 is not 4]"
    );
    let offset = |words: u8| {
        let mut packet = tcp4(Flags::ACK, &tcp::Options::NONE, b"");
        packet[32] = words << 4;
        ip_line(&packet)
    };
    let to = "IP 10.7.0.1.40000 > 10.7.0.2.80: TCP, length 20";
    assert_eq!(
        offset(4),
        format!("{to} [tcp data offset 4 words is below 5]")
    );
    assert_eq!(
        offset(15),
        format!("{to} [tcp header needs 60 bytes, 20 available]")
    );
}

/// What the capture left out is not called the packet's fault.
#[test]
fn cut_frames() {
    let packet = tcp4(Flags::ACK, &tcp::Options::NONE, &[0; 1000]);
    let decoder = Decoder::new(Link::Ip);
    let cut = |have: usize| {
        decoder
            .line(&packet[..have], packet.len(), RxChecksum::Unknown)
            .to_string()
    };
    let to = "IP 10.7.0.1.40000 > 10.7.0.2.80:";
    assert_eq!(
        cut(96),
        format!(
            "{to} Flags [.], seq 1000:2000, ack 2000, win 64240, length 1000 \
             [cut, 96 of 1040 bytes]"
        )
    );
    assert_eq!(
        cut(30),
        format!("{to} TCP, length 1020 [cut, 30 of 1040 bytes]")
    );
    assert_eq!(
        cut(22),
        "IP 10.7.0.1 > 10.7.0.2: TCP, length 1020 [cut, 22 of 1040 bytes]"
    );
    assert_eq!(cut(9), "IP, length 9 [cut, 9 of 1040 bytes]");
    assert_eq!(cut(0), "IP, length 0 [cut, 0 of 1040 bytes]");
}

#[test]
fn links() {
    let udp = udp4(b"abc");
    let to = "IP 10.7.0.1.1234 > 10.7.0.2.53: UDP, length 3";
    assert_eq!(ethernet_line(EtherType::IPV4, &udp), to);
    let mut fields = ethernet::Fields::new(MAC_B, MAC_A, EtherType::IPV4);
    fields.tag = Some(VlanTag::new(100).with_priority(5));
    let mut tagged = vec![0; 18];
    fields.emit(&mut tagged);
    tagged.extend_from_slice(&udp);
    assert_eq!(
        line(Link::Ethernet, &tagged),
        format!("vlan 100, p 5, {to}")
    );
    let twice = [&[0x10, 7, 0x08, 0][..], &udp].concat();
    assert_eq!(
        ethernet_line(EtherType::SERVICE_VLAN, &twice),
        format!("vlan 7, p 0, DEI, {to}")
    );
    let bottomless = [0x00, 1, 0x81, 0].repeat(300);
    let shown = ethernet_line(EtherType::VLAN, &bottomless);
    assert!(shown.ends_with("ethertype 0x8100, length 1180"), "{shown}");
    assert_eq!(
        ethernet_line(EtherType(0x88cc), &[0; 46]),
        "ethertype 0x88cc, length 46"
    );
    assert_eq!(ethernet_line(EtherType(39), &[0; 46]), "802.3, length 39");
    assert_eq!(
        ethernet_line(EtherType(60), &[0; 46]),
        "802.3, length 60 [802.3 frame needs 60 bytes, 46 available]"
    );
    assert_eq!(
        line(Link::Ethernet, &[0; 9]),
        "Ethernet, length 9 [ethernet header needs 14 bytes, 9 available]"
    );
    let loopback = [&[2, 0, 0, 0][..], &udp].concat();
    assert_eq!(line(Link::from_linktype(0), &loopback), to);
    let mut cooked = vec![0; 16];
    cooked[14] = 8;
    cooked.extend_from_slice(&udp);
    assert_eq!(line(Link::from_linktype(113), &cooked), to);
    let mut cooked = vec![0; 20];
    cooked[0] = 8;
    cooked.extend_from_slice(&udp);
    assert_eq!(line(Link::from_linktype(276), &cooked), to);
    assert_eq!(line(Link::from_linktype(101), &udp), to);
    assert_eq!(
        line(Link::from_linktype(105), &udp),
        "link type 105, length 31"
    );
}

/// A frame that is likely to be read deep: headers from the builders above, then bytes flipped.
fn likely_frame() -> impl Strategy<Value = Vec<u8>> {
    let udp = ip6(Protocol::UDP, &udp6(&[0; 60]));
    let mac = ndp::Options::source_link_address_bytes(MAC_A);
    let solicitation = ndp::Message::NeighborSolicitation {
        target: B6,
        options: ndp::Options::new(&mac),
    };
    let too_big = icmp6::Message::PacketTooBig {
        mtu: 1280,
        quoted: &udp,
    };
    let samples = vec![
        tcp4(
            Flags::SYN,
            &tcp::Options {
                mss: Some(1),
                ..tcp::Options::NONE
            },
            &[0; 40],
        ),
        icmp(icmp4::Message::Redirect {
            code: 0,
            gateway: A,
            quoted: &udp4(&[0; 30]),
        }),
        icmp6(A6, B6, too_big),
        icmp6(A6, B6, icmp6::Message::Ndp(solicitation)),
        ip6(Protocol::HOP_BY_HOP, &[60, 0, 5, 2, 0, 0, 1, 0].repeat(20)),
    ];
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(samples), flips, 0usize..200).prop_map(|(mut bytes, flips, keep)| {
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(keep.max(20));
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_give_one_line(
        link in 0u16..130, bytes in prop::collection::vec(any::<u8>(), 0..200), more in 0usize..9,
        ether_type in prop::sample::select(vec![0x0800u16, 0x86dd, 0x0806, 0x8100, 0x88a8]),
    ) {
        let mut bytes = bytes;
        if let (true, Some(field)) = (more > 2, bytes.get_mut(12..14)) {
            field.copy_from_slice(&ether_type.to_be_bytes());
        }
        let decoder = Decoder::new(Link::from_linktype(link));
        let line = decoder.line(&bytes, bytes.len() + more, RxChecksum::Unknown).to_string();
        let _ = decoder.flow(&bytes);
        prop_assert!(!line.is_empty() && !line.contains('\n'));
        prop_assert!(line.ends_with(']') || more == 0, "{}", line);
    }

    #[test]
    fn likely_frames_give_one_line(bytes in likely_frame()) {
        let line = ip_line(&bytes);
        prop_assert!(!line.is_empty() && !line.contains('\n') && line.len() < 2000, "{}", line);
    }
}

/// In the words of tcpdump, as far as it has them.
#[test]
fn igmp_messages() {
    let line = |head: &[u8], rest: &[&[u8]]| {
        let message = sum_up([head, &rest.concat()].concat(), Sum::new(), 2);
        let line = ip_line(&ip4(Protocol::IGMP, &message));
        line.strip_prefix("IP 10.7.0.1 > 10.7.0.2: igmp ")
            .unwrap()
            .to_owned()
    };
    type Row<'a> = (&'a [u8], &'a [&'a [u8]], &'a str);
    let (group, source) = (&[224, 0, 0, 251][..], &[10, 7, 0, 9][..]);
    #[rustfmt::skip]
    let rows: [Row<'_>; 9] = [
        (&[0x11, 0, 0, 0], &[&[0; 4]], "query v1, length 8"),
        (&[0x11, 15, 0, 0], &[group], "query v2 [max resp time 1.5s] [gaddr 224.0.0.251], length 8"),
        (&[0x11, 100, 0, 0], &[&[0; 4], &[2, 125, 0, 0]], "query v3 [max resp time 10.0s], length 12"),
        (&[0x11, 100, 0, 0], &[group, &[2, 125, 0, 1], source],
            "query v3 [max resp time 10.0s] [gaddr 224.0.0.251 { 10.7.0.9 }], length 16"),
        (&[0x12, 0, 0, 0], &[group], "v1 report 224.0.0.251, length 8"),
        (&[0x16, 0, 0, 0], &[group], "v2 report 224.0.0.251, length 8"),
        (&[0x17, 0, 0, 0], &[group], "leave 224.0.0.251, length 8"),
        (&[0x22, 0, 0, 0, 0, 0, 0, 2], &[&[3, 1, 0, 1], group, source, &[9; 4], &[4, 0, 0, 0], group],
            "v3 report, 2 group record(s) [gaddr 224.0.0.251 to_in { 10.7.0.9 }] [gaddr 224.0.0.251 to_ex { }], length 32"),
        (&[0x22, 0, 0, 0, 0, 0, 0, 2], &[&[4, 0, 0, 0], group],
            "v3 report, 2 group record(s) [gaddr 224.0.0.251 to_ex { }], length 16 [igmp report ends within record 2]"),
    ];
    for (head, rest, shown) in rows {
        assert_eq!(line(head, rest), shown);
    }
    let wrong = ip_line(&ip4(Protocol::IGMP, &[0x16, 0, 0, 0, 224, 0, 0, 251]));
    assert!(
        wrong.contains("v2 report 224.0.0.251, length 8 [bad igmp checksum"),
        "{wrong}"
    );
    let cut = ip_line(&ip4(Protocol::IGMP, &[0x16]));
    assert!(
        cut.contains("IGMP, length 1 [igmp message needs 8 bytes, 1 available]"),
        "{cut}"
    );
}
