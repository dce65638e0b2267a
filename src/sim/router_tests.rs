//! A router by itself, frame by frame, and in networks.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::arp;
use crate::device::WireConfig;
use crate::ipv6::ndp::{self, NeighborFlags, Options};
use crate::link::ethernet::{self, EtherType};
use crate::sim::{Bulk, Cx, HostId, PortConfig, Sink, Wake};
use crate::stack::{PingOptions, PingOutcome, SocketId};

const NOW: Instant = Instant::from_millis(1000);
const OUR_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const HOST_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 9]);

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// 10.1/16 and fd01::/64 on port 0, 10.2/16 and fd02::/64 on port 1, neither with link addresses.
fn two_links() -> Router {
    let mut router = Router::default();
    for net in [1, 2] {
        let port = RouterPort::new()
            .medium(Medium::Ip)
            .address(cidr(&format!("10.{net}.0.254/16")))
            .address(cidr(&format!("fd0{net}::ff/64")));
        router.add_port(port, OUR_MAC);
    }
    router
}

/// A UDP packet, or what else `protocol` is.
fn packet(src: &str, dst: &str, hops: u8, protocol: Protocol, payload: &[u8]) -> Bytes {
    let mut bytes = vec![0; 40];
    let at = match (ip(src), ip(dst)) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut fields = ipv4::Fields::new(src, dst, protocol);
            fields.ttl = hops;
            fields.emit(payload.len(), &mut bytes)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut fields = ipv6::Fields::new(src, dst, protocol);
            fields.hop_limit = hops;
            fields.emit(payload.len(), &mut bytes)
        }
        _ => panic!("two families"),
    };
    bytes.truncate(at);
    bytes.extend_from_slice(payload);
    bytes.into()
}

fn udp(src: &str, dst: &str, hops: u8) -> Bytes {
    packet(src, dst, hops, Protocol::UDP, &[7; 30])
}

/// What leaves when this comes in by a port.
fn sent(router: &mut Router, port: usize, frame: Bytes) -> Vec<(usize, Bytes)> {
    router.arrive(port, frame);
    router.turn(NOW);
    let mut all = Vec::new();
    router.drain_sent(|port, frame| all.push((port, frame)));
    all
}

fn hops(packet: &Bytes) -> u8 {
    Facts::of(packet).expect("its checksum is right").hops
}

#[test]
fn packets_go_to_their_link_one_hop_less() {
    let mut router = two_links();
    for (from, src, dst) in [
        (0, "10.1.0.1", "10.2.0.1"),
        (1, "10.2.0.1", "10.1.0.1"),
        (0, "fd01::1", "fd02::1"),
    ] {
        for ttl in [2, 64, 255] {
            let packet = udp(src, dst, ttl);
            let out = sent(&mut router, from, packet.clone());
            let [(port, got)] = &out[..] else {
                panic!("{out:?}");
            };
            assert_eq!((*port, hops(got)), (1 - from, ttl - 1));
            assert_eq!(got[20..], packet[20..], "nothing else changes");
        }
    }
    assert_eq!(router.counters().forwarded, 9);
}

/// A link's padding goes no further.
#[test]
fn what_follows_the_packet_is_cut_off() {
    let mut router = two_links();
    let packet = udp("10.1.0.1", "10.2.0.1", 9);
    let padded = Bytes::from([&packet[..], &[0; 9]].concat());
    let out = sent(&mut router, 0, padded);
    assert_eq!(out[0].1.len(), packet.len());
}

#[test]
fn the_longest_prefix_wins() {
    let mut router = two_links();
    router.add_route(cidr("0.0.0.0/0"), ip("10.1.0.7")).unwrap();
    router
        .add_route(cidr("10.9.0.0/16"), ip("10.2.0.7"))
        .unwrap();
    router
        .add_route(cidr("10.9.9.0/24"), ip("10.1.0.7"))
        .unwrap();
    router.add_route(cidr("::/0"), ip("fd02::7")).unwrap();
    for (src, dst, port) in [
        ("10.1.0.1", "192.0.2.1", 0),
        ("10.1.0.1", "10.9.8.1", 1),
        ("10.1.0.1", "10.9.9.1", 0),
        ("10.1.0.1", "10.2.9.1", 1),
        ("fd01::1", "2001:db8::1", 1),
    ] {
        let out = sent(&mut router, 0, udp(src, dst, 9));
        assert_eq!(out[0].0, port, "{dst}");
    }
    for (to, via) in [
        ("10.3.0.0/16", "10.4.0.1"),
        ("10.3.0.0/16", "fd01::1"),
        ("fd03::/64", "10.1.0.1"),
        // A route is not a link.
        ("10.3.0.0/16", "10.9.8.1"),
    ] {
        let wrong = router.add_route(cidr(to), ip(via));
        assert!(
            matches!(wrong, Err(SimError::Via { .. })),
            "{to} over {via}"
        );
    }
}

/// The kind of the ICMP error that is the only frame, and where it goes.
fn error_of(out: &[(usize, Bytes)]) -> (usize, IpAddr, IpAddr, u8) {
    let [(port, packet)] = out else {
        panic!("{out:?}");
    };
    let facts = Facts::of(packet).unwrap();
    let kind = match (facts.src, facts.dst) {
        (IpAddr::V4(_), _) => {
            let message = ipv4::icmp::Message::parse(&packet[20..]).unwrap();
            assert!(message.is_error() && message.quoted().is_some());
            packet[20]
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let message = ipv6::icmp::Message::parse(&packet[40..], src, dst).unwrap();
            assert!(message.is_error() && message.quoted().is_some());
            packet[40]
        }
        _ => panic!("two families"),
    };
    (*port, facts.src, facts.dst, kind)
}

#[test]
fn the_sender_is_told_what_goes_no_further() {
    let mut router = two_links();
    let out = sent(&mut router, 0, udp("10.1.0.1", "10.2.0.1", 1));
    let told = (0, ip("10.1.0.254"), ip("10.1.0.1"), 11);
    assert_eq!(error_of(&out), told);
    let out = sent(&mut router, 0, udp("fd01::1", "fd02::1", 1));
    assert_eq!(error_of(&out), (0, ip("fd01::ff"), ip("fd01::1"), 3));
    let out = sent(&mut router, 1, udp("10.2.0.1", "192.0.2.1", 9));
    assert_eq!(error_of(&out), (1, ip("10.2.0.254"), ip("10.2.0.1"), 3));
    let out = sent(&mut router, 1, udp("fd02::1", "2001:db8::1", 9));
    assert_eq!(error_of(&out), (1, ip("fd02::ff"), ip("fd02::1"), 1));
    // A long one is quoted in part.
    let long = packet("10.1.0.1", "10.2.0.1", 1, Protocol::UDP, &[0; 1400]);
    let out = sent(&mut router, 0, long);
    assert_eq!(out[0].1.len(), MAX_ERROR_V4);
    let long = packet("fd01::1", "fd02::1", 1, Protocol::UDP, &[0; 1400]);
    let out = sent(&mut router, 0, long);
    assert_eq!(out[0].1.len(), MAX_ERROR_V6);
    let counters = router.counters();
    assert_eq!((counters.expired, counters.no_route), (4, 2));
}

/// RFC 1812 §4.3.2.8: errors are few, however many packets go no further. What is not allowed is counted, and
/// what may be forwarded is not touched.
#[test]
fn errors_are_limited() {
    let mut router = two_links();
    let mut at = |now: Instant, frame: Bytes| {
        router.arrive(0, frame);
        router.turn(now);
        let mut errors = 0;
        router.drain_sent(|port, _| errors += u64::from(port == 0));
        (errors, router.counters())
    };
    let expiring = |v6: bool| match v6 {
        false => udp("10.1.0.1", "10.2.0.1", 1),
        true => udp("fd01::1", "fd02::1", 1),
    };
    // A thousand at once, of both families: ten are told.
    let told: u64 = (0..1000).map(|n| at(NOW, expiring(n % 2 == 0)).0).sum();
    assert_eq!(told, 10);
    let counters = at(NOW, udp("10.1.0.1", "10.2.0.1", 9)).1;
    assert_eq!((counters.expired, counters.untold), (1000, 990));
    assert_eq!(counters.forwarded, 1);
    // Then one each tenth of a second, for want of a route as well.
    let lost = udp("10.1.0.1", "192.0.2.1", 9);
    let later = (0..10_000).map(|n| NOW + Duration::from_millis(n));
    let told: u64 = later.map(|now| at(now, lost.clone()).0).sum();
    assert_eq!(told, 99);
    // Who is never told anything takes nothing from others.
    let error = packet("10.1.0.1", "10.2.0.1", 1, Protocol::ICMP, &[3; 30]);
    let long_after = NOW + Duration::from_secs(1000);
    for _ in 0..100 {
        assert_eq!(at(long_after, error.clone()).0, 0);
    }
    assert_eq!(at(long_after, expiring(true)).0, 1);

    router.errors_per_second = 0;
    router.arrive(0, expiring(false));
    router.turn(long_after + Duration::from_secs(1000));
    router.drain_sent(|_, frame| panic!("{frame:?}"));
}

#[test]
fn nobody_is_told_of_errors_fragments_and_groups() {
    let mut router = two_links();
    for (protocol, kind) in [(Protocol::ICMP, 3), (Protocol::ICMP, 11)] {
        let error = packet("10.1.0.1", "10.2.0.1", 1, protocol, &[kind; 30]);
        assert_eq!(sent(&mut router, 0, error), []);
    }
    let error = packet("fd01::1", "fd02::1", 1, Protocol::ICMPV6, &[1; 30]);
    assert_eq!(sent(&mut router, 0, error), []);
    let echo = packet("10.1.0.1", "10.2.0.1", 1, Protocol::ICMP, &[8; 30]);
    assert_eq!(sent(&mut router, 0, echo).len(), 1);
    let mut later = udp("10.1.0.1", "10.2.0.1", 1).to_vec();
    later[7] = 1;
    later[10..12].fill(0);
    let sum = crate::base::checksum::checksum(&later[..20]);
    later[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(sent(&mut router, 0, later.into()), []);
    assert_eq!(router.counters().expired, 5);
    for dst in ["224.0.0.5", "255.255.255.255", "169.254.0.1", "10.1.0.254"] {
        assert_eq!(sent(&mut router, 0, udp("10.1.0.1", dst, 9)), []);
    }
    assert_eq!(sent(&mut router, 0, udp("0.0.0.0", "10.2.0.1", 9)), []);
    assert_eq!(sent(&mut router, 0, udp("fd01::1", "fe80::1", 9)), []);
    assert_eq!(router.counters().not_forwarded, 6);
    let mut broken = udp("10.1.0.1", "10.2.0.1", 9).to_vec();
    broken[8] -= 1;
    for junk in [broken.into(), Bytes::new(), Bytes::from_static(b"junk")] {
        assert_eq!(sent(&mut router, 0, junk), []);
    }
    assert_eq!(router.counters().malformed, 3);
}

/// 10.1/16 and fd01::/64 without link addresses on port 0, 10.2/16 and fd02::/64 over Ethernet on port 1.
fn ethernet_beyond() -> Router {
    let mut router = Router::default();
    let near = RouterPort::new().medium(Medium::Ip);
    let near = near
        .address(cidr("10.1.0.254/16"))
        .address(cidr("fd01::ff/64"));
    let far = RouterPort::new();
    let far = far
        .address(cidr("10.2.0.254/16"))
        .address(cidr("fd02::ff/64"));
    router.add_port(near, OUR_MAC);
    router.add_port(far, OUR_MAC);
    router
}

fn ethernet(to: MacAddr, from: MacAddr, kind: EtherType, payload: &[u8]) -> Bytes {
    let fields = ethernet::Fields::new(to, from, kind);
    let mut frame = vec![0; fields.len()];
    fields.emit(&mut frame);
    frame.extend_from_slice(payload);
    frame.into()
}

fn arp_frame(packet: arp::Packet, to: MacAddr) -> Bytes {
    let mut bytes = [0; arp::PACKET_LEN];
    packet.emit(&mut bytes);
    ethernet(to, HOST_MAC, EtherType::ARP, &bytes)
}

/// An Ethernet frame taken apart.
fn opened(frame: &Bytes) -> (MacAddr, EtherType, Bytes) {
    let (header, payload) = ethernet::Header::parse(frame).unwrap();
    assert_eq!(header.src(), OUR_MAC);
    (header.dst(), header.ether_type(), frame.slice_ref(payload))
}

#[test]
fn a_neighbour_is_asked_for_and_gets_what_waited() {
    let mut router = ethernet_beyond();
    let out = sent(&mut router, 0, udp("10.1.0.1", "10.2.0.1", 9));
    let (to, kind, question) = opened(&out[0].1);
    assert_eq!(
        (out.len(), out[0].0, to, kind),
        (1, 1, MacAddr::BROADCAST, EtherType::ARP)
    );
    let question = arp::Packet::parse(&question).unwrap();
    let ours = Ipv4Addr::new(10, 2, 0, 254);
    let theirs = Ipv4Addr::new(10, 2, 0, 1);
    assert_eq!(question, arp::Packet::request(OUR_MAC, ours, theirs));
    // Asked already.
    assert_eq!(sent(&mut router, 0, udp("10.1.0.2", "10.2.0.1", 9)), []);
    let out = sent(&mut router, 1, arp_frame(question.reply(HOST_MAC), OUR_MAC));
    let sources: Vec<_> = out
        .iter()
        .map(|(port, frame)| {
            let (to, kind, packet) = opened(frame);
            assert_eq!((*port, to, kind), (1, HOST_MAC, EtherType::IPV4));
            Facts::of(&packet).unwrap().src
        })
        .collect();
    assert_eq!(sources, [ip("10.1.0.1"), ip("10.1.0.2")]);
    let out = sent(&mut router, 0, udp("10.1.0.3", "10.2.0.1", 9));
    assert_eq!((out.len(), opened(&out[0].1).0), (1, HOST_MAC));
    // He has another card now, and says so.
    let other = MacAddr::new([2, 0, 0, 0, 0, 10]);
    let said = arp::Packet::announcement(other, theirs);
    assert_eq!(
        sent(&mut router, 1, arp_frame(said, MacAddr::BROADCAST)),
        []
    );
    let out = sent(&mut router, 0, udp("10.1.0.3", "10.2.0.1", 9));
    assert_eq!(opened(&out[0].1).0, other);
    assert_eq!(router.counters().forwarded, 4);
}

#[test]
fn who_does_not_answer_is_asked_again_and_holds_few_packets() {
    let mut router = ethernet_beyond();
    let mut asked = 0;
    for n in 0..300u64 {
        router.arrive(0, udp("10.1.0.1", "10.2.0.1", 9));
        router.turn(NOW + Duration::from_millis(10 * n));
        router.drain_sent(|_, _| asked += 1);
    }
    assert_eq!(asked, 3, "once a second");
    assert_eq!(router.counters().unresolved, 300 - 64);
}

/// A scan of addresses that nobody has leaves room for those that somebody has.
#[test]
fn a_scan_does_not_keep_neighbours_out() {
    let mut router = ethernet_beyond();
    for n in 0..6000u16 {
        // The first 200 are there and answer.
        let [high, low] = (n + 256).to_be_bytes();
        let there = Ipv4Addr::new(10, 2, high, low);
        let asked = sent(&mut router, 0, udp("10.1.0.1", &there.to_string(), 9));
        assert_eq!(asked.len(), 1, "{there} is asked for");
        if n < 200 {
            let request = arp::Packet::request(HOST_MAC, there, Ipv4Addr::new(10, 2, 0, 254));
            let out = sent(&mut router, 1, arp_frame(request, MacAddr::BROADCAST));
            assert_eq!(out.len(), 2, "what waited, and the answer");
        }
    }
    assert_eq!(router.counters().unresolved, 6000 - 4096);
    let out = sent(&mut router, 0, udp("10.1.0.1", "10.2.1.7", 9));
    assert_eq!(opened(&out[0].1).0, HOST_MAC, "who has answered stays");
}

#[test]
fn the_router_answers_for_its_own_addresses() {
    let mut router = ethernet_beyond();
    let ours = Ipv4Addr::new(10, 2, 0, 254);
    let theirs = Ipv4Addr::new(10, 2, 0, 1);
    let request = arp::Packet::request(HOST_MAC, theirs, ours);
    let out = sent(&mut router, 1, arp_frame(request, MacAddr::BROADCAST));
    let (to, _, reply) = opened(&out[0].1);
    assert_eq!((out.len(), out[0].0, to), (1, 1, HOST_MAC));
    assert_eq!(arp::Packet::parse(&reply).unwrap(), request.reply(OUR_MAC));
    // It knows who asked.
    let out = sent(&mut router, 0, udp("10.1.0.1", "10.2.0.1", 9));
    assert_eq!(opened(&out[0].1).0, HOST_MAC);
    let others = arp::Packet::request(HOST_MAC, theirs, Ipv4Addr::new(10, 2, 0, 9));
    assert_eq!(
        sent(&mut router, 1, arp_frame(others, MacAddr::BROADCAST)),
        []
    );
    // Who asks another is not remembered: the table is for those that we talk to.
    let stranger = Ipv4Addr::new(10, 2, 0, 3);
    let others = arp::Packet::request(HOST_MAC, stranger, Ipv4Addr::new(10, 2, 0, 9));
    sent(&mut router, 1, arp_frame(others, MacAddr::BROADCAST));
    let out = sent(&mut router, 0, udp("10.1.0.1", "10.2.0.3", 9));
    assert_eq!(opened(&out[0].1).0, MacAddr::BROADCAST);
    // A question to another station's card is nothing to it, whoever it names.
    assert_eq!(sent(&mut router, 1, arp_frame(request, HOST_MAC)), []);
    // A frame to another station is nothing to it.
    let frame = udp("10.2.0.1", "10.1.0.1", 9);
    let astray = ethernet(HOST_MAC, HOST_MAC, EtherType::IPV4, &frame);
    assert_eq!(sent(&mut router, 1, astray), []);
    // RFC 1122 §3.3.6: one host's packet in a frame for all is dropped.
    let to_all = ethernet(MacAddr::BROADCAST, HOST_MAC, EtherType::IPV4, &frame);
    assert_eq!(sent(&mut router, 1, to_all), []);
    let right = ethernet(OUR_MAC, HOST_MAC, EtherType::IPV4, &frame);
    let out = sent(&mut router, 1, right);
    assert_eq!((out.len(), out[0].0), (1, 0));
}

fn ndp_frame(src: Ipv6Addr, dst: Ipv6Addr, message: ndp::Message<'_>) -> Bytes {
    ndp_frame_after((src, dst), 255, message)
}

fn ndp_frame_after((src, dst): (Ipv6Addr, Ipv6Addr), hops: u8, message: ndp::Message<'_>) -> Bytes {
    let message = ipv6::icmp::Message::Ndp(message);
    let mut bytes = vec![0; message.len()];
    message.emit(src, dst, &mut bytes);
    let packet = packet(
        &src.to_string(),
        &dst.to_string(),
        hops,
        Protocol::ICMPV6,
        &bytes,
    );
    ethernet(OUR_MAC, HOST_MAC, EtherType::IPV6, &packet)
}

#[test]
fn neighbour_discovery_both_ways() {
    let mut router = ethernet_beyond();
    let (ours, theirs) = ("fd02::ff".parse().unwrap(), "fd02::1".parse().unwrap());
    let out = sent(&mut router, 0, udp("fd01::1", "fd02::1", 9));
    let (to, _, question) = opened(&out[0].1);
    let group = ipv6::solicited_node(theirs);
    assert_eq!(to, ethernet::ipv6_multicast(group));
    let asked = ipv6::icmp::Message::parse(&question[40..], ours, group).unwrap();
    let ipv6::icmp::Message::Ndp(asked) = asked else {
        panic!("{asked:?}");
    };
    let (header, _) = ipv6::Header::parse(&question).unwrap();
    assert_eq!(asked.check(&header), Ok(()));
    let own = Options::target_link_address_bytes(HOST_MAC);
    let answer = ndp::Message::NeighborAdvertisement {
        flags: NeighborFlags::SOLICITED | NeighborFlags::OVERRIDE,
        target: theirs,
        options: Options::new(&own),
    };
    let out = sent(&mut router, 1, ndp_frame(theirs, ours, answer));
    let (to, _, packet) = opened(&out[0].1);
    assert_eq!((out.len(), to), (1, HOST_MAC));
    assert_eq!(hops(&packet), 8);

    let mut router = ethernet_beyond();
    let own = Options::source_link_address_bytes(HOST_MAC);
    let asks = ndp::Message::NeighborSolicitation {
        target: ours,
        options: Options::new(&own),
    };
    let out = sent(&mut router, 1, ndp_frame(theirs, ours, asks));
    let (to, _, answer) = opened(&out[0].1);
    assert_eq!((out.len(), to), (1, HOST_MAC));
    let answer = ipv6::icmp::Message::parse(&answer[40..], ours, theirs).unwrap();
    let ipv6::icmp::Message::Ndp(answer) = answer else {
        panic!("{answer:?}");
    };
    let flags = NeighborFlags::SOLICITED | NeighborFlags::ROUTER | NeighborFlags::OVERRIDE;
    assert!(
        matches!(answer, ndp::Message::NeighborAdvertisement { flags: f, target, options }
            if f == flags && target == ours && options.target_link_address() == Some(OUR_MAC))
    );
    let out = sent(&mut router, 0, udp("fd01::1", "fd02::1", 9));
    assert_eq!(opened(&out[0].1).0, HOST_MAC, "it knows who asked");
}

#[test]
fn neighbour_discovery_from_afar_is_ignored_and_a_probe_is_answered_to_all() {
    let mut router = ethernet_beyond();
    let (ours, theirs) = ("fd02::ff".parse().unwrap(), "fd02::1".parse().unwrap());
    let own = Options::source_link_address_bytes(HOST_MAC);
    let asks = |options| ndp::Message::NeighborSolicitation {
        target: ours,
        options,
    };
    // RFC 4861 §7.1.1: the hop limit says that it came through a router.
    let afar = ndp_frame_after((theirs, ours), 254, asks(Options::new(&own)));
    assert_eq!(sent(&mut router, 1, afar), []);
    let out = sent(&mut router, 0, udp("fd01::1", "fd02::1", 9));
    assert_ne!(opened(&out[0].1).0, HOST_MAC, "nothing was learned of it");
    // RFC 4861 §7.2.4: who has no address yet is answered with everybody.
    let group = ipv6::solicited_node(ours);
    let probe = ndp_frame(Ipv6Addr::UNSPECIFIED, group, asks(Options::new(&[])));
    let out = sent(&mut router, 1, probe);
    let all = ipv6::ALL_NODES;
    let (to, _, answer) = opened(&out[0].1);
    assert_eq!((out.len(), to), (1, ethernet::ipv6_multicast(all)));
    let answer = ipv6::icmp::Message::parse(&answer[40..], ours, all).unwrap();
    assert!(matches!(
        answer,
        ipv6::icmp::Message::Ndp(ndp::Message::NeighborAdvertisement { flags, target, .. })
            if target == ours && !flags.contains(NeighborFlags::SOLICITED)
    ));
}

/// Hosts in two nets, two routers in a row between them; the last link has link addresses or not.
struct Row {
    network: Network,
    hosts: [HostId; 2],
    routers: [RouterId; 2],
}

fn row(medium: Medium) -> Row {
    let mut network = Network::new(5);
    let hosts = ["left", "right"].map(|name| network.add_host(name));
    let routers = ["first", "second"].map(|name| network.add_router(name));
    let wire = || WireConfig::perfect().delay(Duration::from_millis(2));
    for (n, medium) in [(0, Medium::Ethernet), (1, medium)] {
        let net = n + 1;
        let host = PortConfig::new()
            .medium(medium)
            .address(cidr(&format!("10.{net}.0.1/16")))
            .address(cidr(&format!("fd0{net}::1/64")))
            .gateway(ip(&format!("10.{net}.0.254")))
            .gateway(ip(&format!("fd0{net}::ff")));
        let port = RouterPort::new()
            .medium(medium)
            .address(cidr(&format!("10.{net}.0.254/16")))
            .address(cidr(&format!("fd0{net}::ff/64")));
        let (host, router) = (hosts[n].port(host), routers[n].port(port));
        network.link(host, router, wire()).unwrap();
    }
    let between = |own: u8| {
        let port = RouterPort::new();
        let port = port.address(cidr(&format!("10.9.0.{own}/24")));
        port.address(cidr(&format!("fd09::{own}/64")))
    };
    let [first, second] = routers;
    let ends = (first.port(between(1)), second.port(between(2)));
    network.link(ends.0, ends.1, wire()).unwrap();
    for (router, beyond, via) in [(first, 2, 2), (second, 1, 1)] {
        for (to, via) in [
            (format!("10.{beyond}.0.0/16"), format!("10.9.0.{via}")),
            (format!("fd0{beyond}::/64"), format!("fd09::{via}")),
        ] {
            network.add_route(router, cidr(&to), ip(&via)).unwrap();
        }
    }
    Row {
        network,
        hosts,
        routers,
    }
}

/// Text goes through both routers and both families, over links with and without link addresses.
#[test]
fn connections_go_through_two_routers() {
    for (medium, to) in [
        (Medium::Ethernet, "10.2.0.1:80"),
        (Medium::Ethernet, "[fd02::1]:80"),
        (Medium::Ip, "10.2.0.1:80"),
        (Medium::Ip, "[fd02::1]:80"),
    ] {
        let to: SocketAddr = to.parse().unwrap();
        let Row {
            mut network,
            hosts: [left, right],
            routers,
        } = row(medium);
        let sink = network.add_app(right, Sink::new(to));
        network.add_app(left, Bulk::new(to).bytes(100_000));
        network.run_for(Duration::from_secs(10)).unwrap();
        assert_eq!(network.app(sink).bytes(), 100_000, "{medium:?} {to}");
        for router in routers {
            let counters = network.router_counters(router);
            let forwarded = counters.forwarded;
            assert!(forwarded > 70, "{medium:?} {to}: {counters:?}");
            let lost = (counters.expired, counters.no_route, counters.unresolved);
            assert_eq!(lost, (0, 0, 0), "{medium:?} {to}");
        }
    }
}

/// Who answered pings, and how.
type Answers = Rc<RefCell<Vec<(IpAddr, PingOutcome)>>>;

/// Has a host ping with each of these TTLs in turn.
fn trace(network: &mut Network, host: HostId, to: &str, ttls: &[u8]) -> Answers {
    let answers = Answers::default();
    let (log, to, ttls) = (Rc::clone(&answers), ip(to), ttls.to_vec());
    let mut next = ttls.into_iter();
    network.add_app(host, move |cx: &mut Cx<'_>, wake| {
        if let Wake::Event(event) = wake
            && let SocketId::Ping(id) = event.id
        {
            let reply = cx.ping_recv(id).unwrap();
            log.borrow_mut().push((reply.from, reply.outcome));
        }
        if matches!(wake, Wake::Start | Wake::Event(_))
            && let Some(ttl) = next.next()
        {
            let id = cx.ping_open(PingOptions::new().ttl(ttl)).unwrap();
            cx.ping_send(id, to, None, 0, Bytes::new()).unwrap();
        }
    });
    answers
}

#[test]
fn the_way_can_be_traced_hop_by_hop() {
    for (to, hops) in [
        ("10.2.0.1", ["10.1.0.254", "10.9.0.2", "10.2.0.1"]),
        ("fd02::1", ["fd01::ff", "fd09::2", "fd02::1"]),
    ] {
        let Row {
            mut network,
            hosts: [left, _],
            ..
        } = row(Medium::Ethernet);
        // IPv6 addresses are in use once nobody has objected.
        network.run_for(Duration::from_secs(3)).unwrap();
        let told = trace(&mut network, left, to, &[1, 2, 3]);
        network.run_for(Duration::from_secs(10)).unwrap();
        let [first, second, last] = hops.map(ip);
        let expected = [
            (first, PingOutcome::TimeExceeded),
            (second, PingOutcome::TimeExceeded),
            (last, PingOutcome::Reply),
        ];
        assert_eq!(*told.borrow(), expected);
    }
}

/// Two routers that send to each other what neither knows: the packet ends, and its sender hears of it.
#[test]
fn a_loop_of_routes_ends_with_the_ttl() {
    let Row {
        mut network,
        hosts: [left, _],
        routers: [first, second],
    } = row(Medium::Ip);
    let lost = cidr("192.0.2.0/24");
    network.add_route(first, lost, ip("10.9.0.2")).unwrap();
    network.add_route(second, lost, ip("10.9.0.1")).unwrap();
    let told = trace(&mut network, left, "192.0.2.1", &[20]);
    network.run_for(Duration::from_secs(10)).unwrap();
    let counters = [first, second].map(|router| network.router_counters(router));
    let forwarded: u64 = counters.iter().map(|counters| counters.forwarded).sum();
    // 19 hops there; the error is told by the second, and passed on by the first.
    assert_eq!(
        (forwarded, counters[1].expired),
        (19 + 1, 1),
        "{counters:?}"
    );
    assert_eq!(
        *told.borrow(),
        [(ip("10.9.0.2"), PingOutcome::TimeExceeded)]
    );
}

/// A host with a port in each of two nets: who is asked in a net answers over that net's port. An
/// answer over the other would be lost, for nobody passes it on.
#[test]
fn a_host_in_two_nets_answers_by_the_port_that_was_asked() {
    let mut network = Network::new(5);
    let [left, server, right] = ["left", "server", "right"].map(|name| network.add_host(name));
    let wire = || WireConfig::perfect().delay(Duration::from_millis(2));
    let mut links = Vec::new();
    for (n, host) in [(1, left), (2, right)] {
        let own = PortConfig::new().address(cidr(&format!("10.{n}.0.1/16")));
        let servers = PortConfig::new().address(cidr(&format!("10.{n}.0.9/16")));
        links.push(
            network
                .link(host.port(own), server.port(servers), wire())
                .unwrap(),
        );
    }
    let sink = network.add_app(server, Sink::new("0.0.0.0:80".parse().unwrap()));
    for (n, host) in [(1, left), (2, right)] {
        let to = format!("10.{n}.0.9:80").parse().unwrap();
        network.add_app(host, Bulk::new(to).bytes(50_000));
    }
    network.run_for(Duration::from_secs(5)).unwrap();
    assert_eq!(network.app(sink).bytes(), 100_000);
    // Without the one link only the other's flow lives.
    network.cut(links[0], true);
    let before = network.app(sink).bytes();
    for (n, host) in [(1, left), (2, right)] {
        let to = format!("10.{n}.0.9:80").parse().unwrap();
        network.add_app(host, Bulk::new(to).bytes(50_000));
    }
    network.run_for(Duration::from_secs(5)).unwrap();
    assert_eq!(network.app(sink).bytes() - before, 50_000);
}
