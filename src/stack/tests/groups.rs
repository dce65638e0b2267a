//! Groups: routers that are told of them, and sockets that hear what comes to them.

use super::*;
use crate::decode::{Decoder, Link};
use crate::ipv4::igmp;
use crate::ipv6::mld;
use crate::link::RxChecksum;

const ROUTER: &str = "10.0.0.2";
const ROUTER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
const OURS_LOCAL: &str = "fe80::ff:fe00:1";

fn ip_of(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The same interface with a link-local address, all of them told of.
fn local_rig() -> Rig {
    Rig::with(|config| config.link_local(true).report_own_groups(true))
}

impl Rig {
    fn bind_shared(&mut self, local: &str) -> UdpId {
        let options = UdpOptions::new().reuse_address(true);
        self.stack.udp_bind(addr(local), options).unwrap()
    }

    fn join(&mut self, id: UdpId, group: &str) {
        let joined = self.stack.udp_join(self.now, id, ip_of(group), None, None);
        assert_eq!(joined, Ok(()), "{group}");
    }

    fn leave(&mut self, id: UdpId, group: &str) {
        let left = self.stack.udp_leave(self.now, id, ip_of(group), None, None);
        assert_eq!(left, Ok(()), "{group}");
    }

    /// What is sent within so many milliseconds, as a decoder prints it.
    fn lines(&mut self, within: u64) -> Vec<String> {
        self.advance(Duration::from_millis(within));
        let decoder = Decoder::new(Link::Ip);
        let line = |seen: Seen| {
            let packet = &seen.packet;
            let line = decoder.line(packet, packet.len(), RxChecksum::Unknown);
            line.to_string()
        };
        self.drain().into_iter().map(line).collect()
    }

    /// The texts that a socket has received.
    fn heard(&mut self, id: UdpId) -> Vec<String> {
        let mut texts = Vec::new();
        while let Ok(datagram) = self.stack.udp_recv(id) {
            let data = datagram.data.into_bytes();
            texts.push(String::from_utf8(data.to_vec()).unwrap());
        }
        texts
    }

    /// A datagram from one station to a group.
    fn send_to_group(&mut self, from: &str, to: &str, text: &str) {
        let mut frame = udp_frame(from, to, text.as_bytes());
        to_group(&mut frame, addr(to).ip());
        self.receive(frame);
    }
}

/// Gives a frame the MAC address of its group.
fn to_group(frame: &mut [u8], group: IpAddr) {
    let mac = match group {
        IpAddr::V4(group) if group.is_multicast() => ethernet::ipv4_multicast(group),
        IpAddr::V4(_) => return,
        IpAddr::V6(group) if group.is_multicast() => ethernet::ipv6_multicast(group),
        IpAddr::V6(_) => return,
    };
    frame[..6].copy_from_slice(&mac.octets());
}

/// An IGMP message with its checksum, with the router alert option or without it.
fn igmp_frame(src: &str, dst: &str, alert: bool, message: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (ip_of(src), ip_of(dst)) else {
        panic!("{src} {dst}");
    };
    let mut message = message.to_vec();
    let sum = crate::base::checksum::checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0; 24];
    let mut fields = ipv4::Fields::new(from, to, Protocol::IGMP);
    fields.ttl = 1;
    let options: &[u8] = if alert { &igmp::ROUTER_ALERT } else { &[] };
    let len = fields.emit_with_options(options, message.len(), &mut packet);
    packet.truncate(len);
    packet.extend(message);
    let mut frame = eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet);
    to_group(&mut frame, to.into());
    frame
}

/// An MLD message with its checksum behind a router alert option.
fn mld_frame(src: Ipv6Addr, dst: Ipv6Addr, hops: u8, message: mld::Message<'_>) -> Vec<u8> {
    let mut bytes = mld::HOP_BY_HOP.to_vec();
    message.emit(src, dst, &mut bytes);
    let mut packet = vec![0; ipv6::HEADER_LEN];
    let mut fields = ipv6::Fields::new(src, dst, Protocol::HOP_BY_HOP);
    fields.hop_limit = hops;
    fields.emit(bytes.len(), &mut packet);
    packet.extend(bytes);
    let mut frame = eth(OUR_MAC, PEER_MAC, EtherType::IPV6, &packet);
    to_group(&mut frame, dst.into());
    frame
}

const GENERAL: [u8; 12] = [0x11, 10, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0];

fn mld_query(bytes: &[u8]) -> mld::Message<'_> {
    mld::Message::parse(bytes).unwrap()
}

/// A general query that leaves a second.
fn general6() -> Vec<u8> {
    [
        &[130, 0, 0, 0, 0x03, 0xe8, 0, 0][..],
        &[0; 16],
        &[2, 125, 0, 0],
    ]
    .concat()
}

/// Covers: IGM-1, IGM-5, IGM-7: to 224.0.0.22, with TTL 1 and router alert, at once and again; a socket that is closed leaves.
#[test]
fn a_group_that_is_joined_and_left_is_reported() {
    let mut rig = Rig::new();
    let id = rig.bind_shared("0.0.0.0:7");
    rig.join(id, "239.1.1.1");
    rig.advance(Duration::ZERO);
    let report = rig.only();
    let (fields, _) = report.v4();
    assert_eq!((fields.ttl, fields.tos), (1, 0xc0));
    assert_eq!(report.dst, ethernet::ipv4_multicast(igmp::REPORTS_TO));
    let joined = "IP 10.0.0.1 > 224.0.0.22: options [RA], igmp v3 report, 1 group record(s) \
                  [gaddr 239.1.1.1 to_ex { }], length 16";
    assert_eq!(rig.lines(1000), [joined]);
    assert_eq!(rig.lines(60_000), [""; 0]);
    assert!(
        rig.stack
            .groups(rig.on)
            .any(|group| group == ip_of("239.1.1.1"))
    );
    rig.stack.udp_close(id);
    assert_eq!(
        rig.lines(1000),
        [joined.replace("to_ex", "to_in").as_str(); 2]
    );
    assert!(!rig.stack.groups(rig.on).any(|group| group.is_ipv4()));
    assert_eq!(rig.stack.counters().group_reports_sent, 4);
}

/// Covers: MLD-1, MLD-2, MLD-8: from the link-local address to ff02::16, hop limit 1, router alert in a hop-by-hop header.
#[test]
fn the_same_for_ipv6() {
    let mut rig = local_rig();
    let id = rig.bind_shared("[::]:7");
    rig.join(id, "ff02::fb");
    rig.advance(Duration::ZERO);
    let report = rig.only();
    assert_eq!(report.v6().0.hop_limit, 1);
    assert_eq!(report.dst, ethernet::ipv6_multicast(mld::REPORTS_TO));
    let joined = format!(
        "IP6 {OURS_LOCAL} > ff02::16: HBH (rtalert) ICMP6, multicast listener report v2, \
         1 group record(s) [gaddr ff02::fb to_ex {{ }}], length 28"
    );
    assert_eq!(rig.lines(1000), [joined.as_str()]);
    rig.leave(id, "ff02::fb");
    let left = joined.replace("to_ex", "to_in");
    assert_eq!(rig.lines(1000), [left.as_str(); 2]);
}

/// Covers: MLD-9, MLD-12: the groups of our addresses are told of before these are probed for, from `::`, and anew as soon
/// as the link-local address is in use.
#[test]
fn groups_of_our_addresses_are_told_of() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .address("fd00::7:1/64".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    let lines = rig.lines(999);
    let report = |from: &str, line: &str| {
        line.starts_with(&format!("IP6 {from} > ff02::16: "))
            && line.contains("[gaddr ff02::1:ff00:1 to_ex { }] [gaddr ff02::1:ff07:1 to_ex { }]")
    };
    assert!(report("::", &lines[0]), "{lines:?}");
    assert!(lines[1].contains("neighbor solicitation"), "{lines:?}");
    assert!(
        lines[3..].iter().all(|line| report("::", line)),
        "{lines:?}"
    );
    let lines = rig.lines(5000);
    let from_us = lines.iter().filter(|line| report(OURS_LOCAL, line)).count();
    assert!(from_us == 2 && lines.len() <= 3, "{lines:?}");
    // ff02::1 is never among them.
    assert_eq!(rig.stack.groups(rig.on).count(), 2);
}

/// On a medium without neighbour discovery nobody looks for addresses by their groups; those of sockets are told.
#[test]
fn a_medium_without_neighbours() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .report_own_groups(true)
        .address("10.0.0.1/24".parse().unwrap())
        .address("fd00::1/64".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    assert_eq!(rig.lines(5000), [""; 0]);
    let id = rig.bind_shared("[::]:7");
    rig.join(id, "ff02::fb");
    let lines = rig.lines(5000);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("IP6 :: > ff02::16: "), "{lines:?}");
}

/// Covers: IGM-20: from nobody while there is no address.
#[test]
fn reports_without_an_address() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500)).mac(OUR_MAC);
    let mut rig = Rig::bare(
        Config::new(Seed::from_number(1)),
        interface.link_local(false),
    );
    let id = rig.bind_shared("0.0.0.0:7");
    rig.join(id, "239.1.1.1");
    let lines = rig.lines(0);
    assert!(
        lines[0].starts_with("IP 0.0.0.0 > 224.0.0.22: "),
        "{lines:?}"
    );
    // And what one who has none asks is answered.
    rig.lines(5000);
    rig.receive(igmp_frame("0.0.0.0", "224.0.0.1", true, &GENERAL));
    assert_eq!(rig.lines(1000).len(), 1);
    assert_eq!(rig.stack.counters().drops.total(), 0);
}

/// From, to, with router alert, the message; what it is answered, or why it is dropped.
type Row<'a> = (
    &'a str,
    &'a str,
    bool,
    &'a [u8],
    Option<&'a str>,
    Option<DropReason>,
);

/// Covers: IGM-2, IGM-4, IGM-8, IGM-11, IGM-19: which queries are answered.
#[test]
fn igmp_queries_that_are_answered() {
    let group = [0x11, 10, 0, 0, 239, 1, 1, 1, 2, 125, 0, 0];
    let other = [0x11, 10, 0, 0, 239, 1, 1, 2, 2, 125, 0, 0];
    let sources = [0x11, 10, 0, 0, 239, 1, 1, 1, 2, 125, 0, 1, 10, 0, 0, 9];
    let longer = [0x11, 10, 0, 0, 239, 1, 1, 1, 2, 125, 0, 0, 7, 7];
    let v2 = [0x11, 10, 0, 0, 239, 1, 1, 1];
    let v1 = [0x11, 0, 0, 0, 0, 0, 0, 0];
    let ignored = Some(DropReason::IgmpIgnored);
    #[rustfmt::skip]
    let rows: [Row<'_>; 12] = [
        (ROUTER, "224.0.0.1", true, &GENERAL, Some("is_ex { }"), None),
        (ROUTER, "239.1.1.1", true, &group, Some("is_ex { }"), None),
        (ROUTER, "10.0.0.1", true, &group, Some("is_ex { }"), None),
        (ROUTER, "239.1.1.1", true, &longer, Some("is_ex { }"), None),
        (ROUTER, "224.0.0.1", true, &sources, Some("is_in { 10.0.0.9 }"), None),
        (ROUTER, "224.0.0.1", true, &other, None, None),
        (ROUTER, "224.0.0.1", true, &v2, Some("v2 report 239.1.1.1"), None),
        (ROUTER, "224.0.0.1", false, &v1, Some("v1 report 239.1.1.1"), None),
        (ROUTER, "224.0.0.1", false, &GENERAL, None, ignored),
        (ROUTER, "224.0.0.1", false, &v2, None, ignored),
        ("192.168.7.7", "224.0.0.1", true, &GENERAL, None, ignored),
        (ROUTER, "224.0.0.1", true, &GENERAL[..10], None, Some(DropReason::IgmpMalformed)),
    ];
    for (from, to, alert, message, answer, dropped) in rows {
        let mut rig = Rig::new();
        let id = rig.bind_shared("0.0.0.0:7");
        rig.join(id, "239.1.1.1");
        rig.lines(5000);
        rig.receive(igmp_frame(from, to, alert, message));
        let lines = rig.lines(10_100);
        match answer {
            Some(answer) => assert!(lines.len() == 1 && lines[0].contains(answer), "{lines:?}"),
            None => assert_eq!(lines, [""; 0], "{from} {to} {message:?}"),
        }
        let drops = &rig.stack.counters().drops;
        assert_eq!(drops.total(), u64::from(dropped.is_some()), "{drops:?}");
        assert!(
            dropped.is_none_or(|reason| drops.get(reason) == 1),
            "{drops:?}"
        );
        let heard = rig.stack.counters().group_queries_received;
        assert_eq!(heard, u64::from(dropped.is_none()));
    }
}

/// Covers: IGM-2, IGM-12: a wrong checksum, a type of nobody's, another host's report; in silence.
#[test]
fn igmp_messages_that_are_passed_over() {
    let mut rig = Rig::new();
    let mut wrong = igmp_frame(ROUTER, "224.0.0.1", true, &GENERAL);
    *wrong.last_mut().unwrap() ^= 1;
    rig.receive(wrong);
    assert_eq!(rig.drops(DropReason::IgmpMalformed), 1);
    let report = [0x22, 0, 0, 0, 0, 0, 0, 0];
    for message in [
        &[0x99, 0, 0, 0, 0, 0, 0, 0],
        &report,
        &[0x17, 0, 0, 0, 239, 1, 1, 1],
    ] {
        for to in ["224.0.0.1", "10.0.0.1"] {
            rig.receive(igmp_frame(ROUTER, to, true, message));
        }
    }
    assert_eq!(rig.drops(DropReason::IgmpIgnored), 6);
    assert_eq!(rig.stack.counters().drops.total(), 7);
    assert_eq!(rig.lines(30_000), [""; 0]);
}

/// Covers: IGM-5, IGM-16, IGM-17: reports to the group, Leave to 224.0.0.2, and who heard another's has said enough.
#[test]
fn igmp_version_2_on_the_wire() {
    let mut rig = Rig::new();
    let id = rig.bind_shared("0.0.0.0:7");
    rig.join(id, "239.1.1.1");
    rig.lines(5000);
    let general = [0x11, 100, 0, 0, 0, 0, 0, 0];
    rig.receive(igmp_frame(ROUTER, "224.0.0.1", true, &general));
    let report = "IP 10.0.0.1 > 239.1.1.1: options [RA], igmp v2 report 239.1.1.1, length 8";
    assert_eq!(rig.lines(10_000), [report]);
    rig.receive(igmp_frame(ROUTER, "224.0.0.1", true, &general));
    let others = [0x16, 0, 0, 0, 239, 1, 1, 1];
    rig.receive(igmp_frame("10.0.0.3", "239.1.1.1", true, &others));
    assert_eq!(rig.lines(10_000), [""; 0]);
    // A report for one group to another is no report.
    rig.receive(igmp_frame(ROUTER, "224.0.0.1", true, &general));
    rig.receive(igmp_frame("10.0.0.3", "224.0.0.1", true, &others));
    assert_eq!(rig.lines(10_000), [report]);
    rig.leave(id, "239.1.1.1");
    let leave = "IP 10.0.0.1 > 224.0.0.2: options [RA], igmp leave 239.1.1.1, length 8";
    assert_eq!(rig.lines(10_000), [leave]);
}

/// Covers: MLD-2, MLD-4, MLD-5, MLD-7, MLD-10, MLD-11: which queries are answered, and how.
#[test]
fn mld_queries_that_are_answered() {
    let general = general6();
    let v1 = &general[..24];
    let global: Ipv6Addr = "fd00::2".parse().unwrap();
    let all = ipv6::ALL_NODES;
    let ours: Ipv6Addr = OURS_LOCAL.parse().unwrap();
    let v2_answer = "multicast listener report v2, 2 group record(s)";
    #[rustfmt::skip]
    let rows = [
        (ROUTER6, all, 1, &general[..], Some(v2_answer)),
        (ROUTER6, ours, 1, &general, Some(v2_answer)),
        (ROUTER6, all, 1, v1, Some("multicast listener report max resp delay: 0 addr: ff02::fb")),
        (ROUTER6, all, 2, &general, None),
        (global, all, 1, &general, None),
    ];
    for (from, to, hops, message, answer) in rows {
        let mut rig = local_rig();
        let id = rig.bind_shared("[::]:7");
        rig.join(id, "ff02::fb");
        rig.lines(5000);
        rig.receive(mld_frame(from, to, hops, mld_query(message)));
        let lines = rig.lines(1100);
        match answer {
            Some(answer) => assert!(lines.iter().any(|l| l.contains(answer)), "{lines:?}"),
            None => {
                assert_eq!(lines, [""; 0]);
                assert_eq!(rig.drops(DropReason::IcmpIgnored), 1);
            }
        }
    }
    // Without the option, and of a length that no version has.
    let mut rig = local_rig();
    let mut frame = mld_frame(ROUTER6, all, 1, mld_query(&general));
    frame[14 + 40 + 2] = 1; // PadN
    rig.receive(frame);
    assert_eq!(rig.drops(DropReason::IcmpIgnored), 1);
    let message = Icmpv6::Unknown {
        kind: 130,
        code: 0,
        rest: [0; 4],
        body: &[0; 18],
    };
    let mut body = vec![0; message.len()];
    message.emit(ROUTER6, all, &mut body);
    rig.receive(ip_frame(
        ROUTER6.into(),
        all.into(),
        Protocol::ICMPV6,
        &body,
    ));
    assert_eq!(rig.drops(DropReason::IcmpMalformed), 1);
    assert_eq!(rig.lines(10_000), [""; 0]);
}

/// Covers: MLD-2: Done to ff02::2, for who was the last to report by version 1.
#[test]
fn mld_version_1_on_the_wire() {
    let general = general6();
    let mut rig = local_rig();
    let id = rig.bind_shared("[::]:7");
    rig.join(id, "ff02::fb");
    rig.lines(5000);
    let v1 = mld_query(&general[..24]);
    rig.receive(mld_frame(ROUTER6, ipv6::ALL_NODES, 1, v1));
    let report = format!(
        "IP6 {OURS_LOCAL} > ff02::fb: HBH (rtalert) ICMP6, multicast listener report max resp \
         delay: 0 addr: ff02::fb, length 24"
    );
    let lines = rig.lines(1000);
    assert!(lines.contains(&report) && lines.len() == 2, "{lines:?}");
    rig.leave(id, "ff02::fb");
    let done = report
        .replace("> ff02::fb", "> ff02::2")
        .replace("listener report", "listener done");
    assert_eq!(rig.lines(1000), [done]);
}

/// Covers: UDP-16, IGM-21: each member that is bound to the port has its own, by the sources that it wants; others none.
#[test]
fn each_member_hears_what_comes_to_a_group() {
    let mut rig = Rig::new();
    let [any, one, blocks, other, outside] =
        [7, 7, 7, 8, 7].map(|port| rig.bind_shared(&format!("0.0.0.0:{port}")));
    let group = ip_of("239.1.1.1");
    let now = rig.now;
    let (on, source) = (Some(rig.on), ip_of("10.0.0.3"));
    rig.join(any, "239.1.1.1");
    rig.join(other, "239.1.1.1");
    rig.join(blocks, "239.1.1.1");
    let stack = &mut rig.stack;
    assert_eq!(stack.udp_join(now, one, group, on, Some(source)), Ok(()));
    assert_eq!(stack.udp_block(now, blocks, group, on, source), Ok(()));
    rig.join(outside, "239.1.1.2");
    rig.send_to_group("10.0.0.2:9", "239.1.1.1:7", "two");
    rig.send_to_group("10.0.0.3:9", "239.1.1.1:7", "three");
    rig.send_to_group("10.0.0.3:9", "239.1.1.9:7", "to nobody");
    assert_eq!(rig.heard(any), ["two", "three"]);
    assert_eq!(rig.heard(one), ["three"]);
    assert_eq!(rig.heard(blocks), ["two"]);
    assert_eq!(rig.heard(other), [""; 0]);
    assert_eq!(rig.heard(outside), [""; 0]);
    assert_eq!(rig.drops(DropReason::IpNotOurs), 1);
    // Nobody of the port's is in the group: dropped, and nobody told.
    rig.send_to_group("10.0.0.2:9", "239.1.1.1:9", "x");
    assert_eq!(rig.drops(DropReason::UdpNoSocket), 1);
    rig.stack
        .udp_unblock(now, blocks, group, on, source)
        .unwrap();
    rig.leave(any, "239.1.1.1");
    rig.send_to_group("10.0.0.3:9", "239.1.1.1:7", "again");
    let heard = [any, one, blocks].map(|id| rig.heard(id).len());
    assert_eq!(heard, [0, 1, 1]);
}

/// Broadcasts, and the groups that nobody need join, are for all that share the port; what is for one host for the last.
#[test]
fn sockets_that_share_a_port() {
    let mut rig = local_rig();
    let first = rig.bind_shared("0.0.0.0:7");
    let second = rig.bind_shared("0.0.0.0:7");
    let refused = rig.stack.udp_bind(addr("0.0.0.0:7"), UdpOptions::new());
    assert_eq!(refused, Err(BindError::InUse(addr("0.0.0.0:7"))));
    rig.stack
        .udp_bind(addr("10.0.0.1:8"), UdpOptions::new())
        .unwrap();
    let shared = UdpOptions::new().reuse_address(true);
    let refused = rig.stack.udp_bind(addr("0.0.0.0:8"), shared);
    assert_eq!(refused, Err(BindError::InUse(addr("0.0.0.0:8"))));
    let mut broadcast = udp_frame("10.0.0.2:9", "10.0.0.255:7", b"broadcast");
    broadcast[..6].copy_from_slice(&MacAddr::BROADCAST.octets());
    rig.receive(broadcast);
    rig.send_to_group("10.0.0.2:9", "224.0.0.1:7", "all hosts");
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"one"));
    assert_eq!(rig.heard(first), ["broadcast", "all hosts"]);
    assert_eq!(rig.heard(second), ["broadcast", "all hosts", "one"]);
    // A connected one hears its peer alone.
    rig.stack.udp_connect(second, addr("10.0.0.2:9")).unwrap();
    rig.send_to_group("10.0.0.2:9", "224.0.0.1:7", "all hosts");
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"to the connected"));
    rig.receive(udp_frame("10.0.0.2:10", "10.0.0.1:7", b"to the other"));
    assert_eq!(rig.heard(first), ["all hosts", "to the other"]);
    assert_eq!(rig.heard(second), ["to the connected"]);
    let six = rig.bind_shared("[::]:7");
    rig.send_to_group("[fe80::9]:9", "[ff02::1]:7", "all nodes");
    assert_eq!(rig.heard(six), ["all nodes"]);
}

/// A socket may be bound to a group: it takes what comes to it, and sends from an address of ours.
#[test]
fn a_socket_that_is_bound_to_a_group() {
    let mut rig = Rig::new();
    rig.introduce();
    let bound = rig.bind_shared("239.1.1.1:7");
    let any = rig.bind_shared("0.0.0.0:7");
    rig.join(bound, "239.1.1.1");
    rig.join(bound, "239.1.1.2");
    rig.join(any, "239.1.1.2");
    rig.lines(5000);
    rig.send_to_group("10.0.0.2:9", "239.1.1.1:7", "one");
    rig.send_to_group("10.0.0.2:9", "239.1.1.2:7", "two");
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"three"));
    assert_eq!(rig.heard(bound), ["one"]);
    assert_eq!(rig.heard(any), ["two", "three"]);
    let to = Some(addr("10.0.0.2:9"));
    rig.stack.udp_send_to(rig.now, bound, to, b"x").unwrap();
    let (fields, _) = rig.only().v4();
    assert_eq!(fields.src, OURS);
}

/// RFC 1112 §6.1: TTL 1 unless it is set; this host's members hear it, the sender too, unless that is turned off.
#[test]
fn what_is_sent_to_a_group() {
    let mut rig = Rig::new();
    let [sender, member, outside] = [(); 3].map(|()| rig.bind_shared("0.0.0.0:7"));
    rig.join(sender, "239.1.1.1");
    rig.join(member, "239.1.1.1");
    rig.lines(5000);
    let send = |rig: &mut Rig, text: &[u8]| {
        let to = Some(addr("239.1.1.1:7"));
        rig.stack.udp_send_to(rig.now, sender, to, text).unwrap();
        let frame = rig.only();
        assert_eq!(
            frame.dst,
            ethernet::ipv4_multicast(Ipv4Addr::new(239, 1, 1, 1))
        );
        frame.v4().0.ttl
    };
    assert_eq!(send(&mut rig, b"one"), 1);
    for id in [sender, member] {
        let heard = rig.stack.udp_recv(id).unwrap();
        assert_eq!(
            (heard.from, heard.to, heard.ttl),
            (addr("10.0.0.1:7"), ip_of("239.1.1.1"), 1)
        );
        assert_eq!(heard.data, b"one"[..]);
    }
    assert_eq!(rig.heard(outside), [""; 0]);
    let options = MulticastOptions::new().ttl(9).loops(false);
    rig.stack.udp_set_multicast(sender, options).unwrap();
    assert_eq!(rig.stack.udp_multicast(sender), Ok(options));
    assert_eq!(send(&mut rig, b"two"), 9);
    assert_eq!(rig.heard(member), [""; 0]);
    // Our own frame come back is not heard twice.
    let mut back = udp_frame("10.0.0.1:7", "239.1.1.1:7", b"two");
    to_group(&mut back, ip_of("239.1.1.1"));
    rig.receive(back);
    assert_eq!(rig.heard(member), [""; 0]);
    assert_eq!(rig.drops(DropReason::IpSource), 1);
}

/// Datagrams of a super-segment are heard one by one here as well.
#[test]
fn a_super_segment_to_a_group() {
    let mut rig = Rig::new();
    let id = rig.bind_shared("0.0.0.0:7");
    rig.join(id, "239.1.1.1");
    rig.lines(5000);
    let (to, data) = (Some(addr("239.1.1.1:7")), Bytes::from_static(b"aabbc"));
    let size = core::num::NonZeroU16::new(2).unwrap();
    let sent = rig.stack.udp_send_segmented(rig.now, id, to, data, size);
    assert_eq!(sent, Ok(()));
    rig.poll();
    assert_eq!(rig.heard(id), ["aa", "bb", "c"]);
}

/// RFC 3678 §4.1: what each call may do to which membership.
#[test]
fn calls_that_are_refused() {
    use GroupError as E;
    let mut rig = local_rig();
    let id = rig.bind_shared("0.0.0.0:7");
    let (now, on) = (rig.now, None);
    let (group, other) = (ip_of("239.1.1.1"), ip_of("239.1.1.2"));
    let [a, b] = ["10.0.0.3", "10.0.0.4"].map(ip_of);
    let stack = &mut rig.stack;
    assert_eq!(
        stack.udp_leave(now, id, group, on, None),
        Err(E::NotMember(group))
    );
    assert_eq!(
        stack.udp_block(now, id, group, on, a),
        Err(E::NotMember(group))
    );
    stack.udp_join(now, id, group, on, None).unwrap();
    assert_eq!(
        stack.udp_join(now, id, group, on, None),
        Err(E::Already(group))
    );
    assert_eq!(
        stack.udp_join(now, id, group, on, Some(a)),
        Err(E::Mode(group))
    );
    assert_eq!(
        stack.udp_leave(now, id, group, on, Some(a)),
        Err(E::Mode(group))
    );
    stack.udp_block(now, id, group, on, a).unwrap();
    assert_eq!(
        stack.udp_block(now, id, group, on, a),
        Err(E::Already(group))
    );
    assert_eq!(
        stack.udp_unblock(now, id, group, on, b),
        Err(E::NotMember(group))
    );
    stack.udp_join(now, id, other, on, Some(a)).unwrap();
    assert_eq!(
        stack.udp_join(now, id, other, on, Some(a)),
        Err(E::Already(other))
    );
    assert_eq!(
        stack.udp_join(now, id, other, on, None),
        Err(E::Already(other))
    );
    assert_eq!(stack.udp_block(now, id, other, on, a), Err(E::Mode(other)));
    assert_eq!(
        stack.udp_leave(now, id, other, on, Some(b)),
        Err(E::NotMember(other))
    );
    stack.udp_leave(now, id, other, on, Some(a)).unwrap();
    assert_eq!(
        stack.udp_leave(now, id, other, on, None),
        Err(E::NotMember(other))
    );
}

/// Groups, senders and interfaces that are none; RFC 4604 §2.2.1.
#[test]
fn memberships_that_cannot_be() {
    use GroupError as E;
    let mut rig = local_rig();
    let id = rig.bind_shared("0.0.0.0:7");
    let (now, on, a) = (rig.now, None, ip_of("10.0.0.3"));
    let (other, named) = (ip_of("239.1.1.2"), ip_of("232.1.1.1"));
    let stack = &mut rig.stack;
    assert_eq!(
        stack.udp_join(now, id, named, on, None),
        Err(E::NeedsSource(named))
    );
    stack.udp_join(now, id, named, on, Some(a)).unwrap();
    let exclude = FilterMode::Exclude;
    let set = stack.udp_set_filter(now, id, named, on, exclude, &[]);
    assert_eq!(set, Err(E::NeedsSource(named)));
    for wrong in ["10.0.0.2", "255.255.255.255", "ff02::fb"] {
        let wrong = ip_of(wrong);
        assert_eq!(
            stack.udp_join(now, id, wrong, on, None),
            Err(E::Group(wrong))
        );
    }
    for wrong in ["224.0.0.5", "0.0.0.0", "fd00::1"] {
        let wrong = ip_of(wrong);
        let joined = stack.udp_join(now, id, other, on, Some(wrong));
        assert_eq!(joined, Err(E::Source(wrong)));
        let set = stack.udp_set_filter(now, id, other, on, exclude, &[a, wrong]);
        assert_eq!(set, Err(E::Source(wrong)));
    }
    let nowhere = InterfaceId::from_scope(9);
    assert_eq!(
        stack.udp_join(now, id, other, nowhere, None),
        Err(E::Interface(other))
    );
    stack.udp_close(id);
    assert_eq!(
        stack.udp_join(now, id, other, on, None),
        Err(E::Stale(StaleId))
    );
    // Node-local groups do not leave a node; those of a v6 socket are v6's.
    let six = rig.bind_shared("[::]:7");
    for wrong in ["ff01::5", "239.1.1.1"] {
        let wrong = ip_of(wrong);
        let joined = rig.stack.udp_join(now, six, wrong, on, None);
        assert_eq!(joined, Err(E::Group(wrong)));
    }
}

/// Covers: IGM-18: 64 sources and no more; and docs/limits.md: groups, and sockets that share a port.
#[test]
fn memberships_are_bounded() {
    use crate::stack::groups::{MOST_GROUPS, MOST_SOCKETS};
    let mut rig = Rig::new();
    let id = rig.bind_shared("0.0.0.0:7");
    let group = ip_of("239.1.1.1");
    let now = rig.now;
    let source = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
    for n in 1..=64 {
        let joined = rig.stack.udp_join(now, id, group, None, source(n));
        assert_eq!(joined, Ok(()), "{n}");
    }
    let joined = rig.stack.udp_join(now, id, group, None, source(65));
    assert_eq!(joined, Err(GroupError::Sources(64)));
    let all: Vec<IpAddr> = (0..65).filter_map(|n| source(n + 1)).collect();
    let set = rig
        .stack
        .udp_set_filter(now, id, group, None, FilterMode::Include, &all);
    assert_eq!(set, Err(GroupError::Sources(64)));
    let more = u32::try_from(MOST_GROUPS).unwrap();
    for n in 1..more {
        let group = IpAddr::V4((0xefff_0000 + n).into());
        rig.stack.udp_join(now, id, group, None, None).unwrap();
    }
    let other = ip_of("239.1.1.2");
    let joined = rig.stack.udp_join(now, id, other, None, None);
    assert_eq!(joined, Err(GroupError::Full(other)));
    // Sixteen to a packet with 64 sources in the first: all of it, twice.
    rig.lines(5000);
    for _ in 1..MOST_SOCKETS {
        rig.bind_shared("0.0.0.0:7");
    }
    let shared = UdpOptions::new().reuse_address(true);
    let refused = rig.stack.udp_bind(addr("0.0.0.0:7"), shared);
    assert_eq!(refused, Err(BindError::Shared(addr("0.0.0.0:7"))));
    rig.stack.udp_close(id);
    rig.bind_shared("0.0.0.0:7");
    rig.lines(5000);
    assert_eq!(rig.stack.groups(rig.on).filter(IpAddr::is_ipv4).count(), 0);
    assert_eq!(rig.drops(DropReason::OutboxFull), 0);
}

/// Two interfaces: a group is joined on the one that is named, and heard there alone; without a name there is no telling.
#[test]
fn groups_of_several_interfaces() {
    let mut rig = Rig::new();
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .address("10.1.0.1/24".parse().unwrap());
    let other = rig.stack.add_interface(rig.now, interface).unwrap();
    let id = rig.bind_shared("0.0.0.0:7");
    let (group, now) = (ip_of("239.1.1.1"), rig.now);
    let joined = rig.stack.udp_join(now, id, group, None, None);
    assert_eq!(joined, Err(GroupError::Interface(group)));
    rig.stack
        .udp_join(now, id, group, Some(other), None)
        .unwrap();
    rig.send_to_group("10.0.0.2:9", "239.1.1.1:7", "elsewhere");
    assert_eq!(rig.heard(id), [""; 0]);
    let options = MulticastOptions::new().interface(Some(rig.on));
    rig.stack.udp_set_multicast(id, options).unwrap();
    rig.join(id, "239.1.1.1");
    rig.send_to_group("10.0.0.2:9", "239.1.1.1:7", "here");
    assert_eq!(rig.heard(id), ["here"]);
    rig.lines(5000);
    let to = Some(addr("239.1.1.1:7"));
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    assert_eq!(rig.only().v4().0.src, OURS);
}
