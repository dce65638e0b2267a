//! Resolution by ARP and NDP, and the life of an entry.

use super::*;
use crate::ipv6::ndp::{Message, NeighborFlags};
use crate::stack::neighbour::State;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn send(rig: &mut Rig, to: &str, data: &[u8]) -> UdpId {
    let any = if to.starts_with('[') {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let id = rig
        .stack
        .udp_bind(any.parse().unwrap(), UdpOptions::new())
        .unwrap();
    let to = Some(to.parse().unwrap());
    rig.stack.udp_send_to(rig.now, id, to, data).unwrap();
    id
}

fn state(rig: &Rig, address: impl Into<IpAddr>) -> Option<State> {
    rig.stack.net.neighbours.state((rig.on, address.into()))
}

/// Covers: ARP-6, ARP-10. r60: the first packet waits and is not lost.
#[test]
fn r60_arp_resolution_then_the_datagram() {
    let mut rig = Rig::new();
    send(&mut rig, "10.0.0.2:7", b"hello");
    let request = rig.only();
    assert_eq!(request.dst, MacAddr::BROADCAST);
    assert_eq!(request.arp(), arp::Packet::request(OUR_MAC, OURS, PEER));
    rig.receive(arp_frame(&request.arp().reply(PEER_MAC)));
    let datagram = rig.only();
    assert_eq!(datagram.dst, PEER_MAC);
    let (fields, payload) = datagram.v4();
    assert_eq!((fields.src, fields.dst), (OURS, PEER));
    assert_eq!(&payload[8..], b"hello");
    assert!(matches!(state(&rig, PEER), Some(State::Reachable { .. })));
}

/// A question that the line has no room for is asked later, and as often as any other.
#[test]
fn more_neighbours_than_the_line_holds_are_all_asked() {
    let mut rig = Rig::configured(Config::new(Seed::from_number(1)).outbox_limit(4));
    rig.device().room = Some(0);
    for number in 2..22 {
        send(&mut rig, &format!("10.0.0.{number}:7"), b"hello");
        send(&mut rig, &format!("[fd00::{number}]:7"), b"hello");
    }
    rig.device().room = None;
    rig.advance(seconds(60));
    let asked = rig.asked();
    assert_eq!(asked.len(), 40);
    assert!(asked.values().all(|&times| times == 3), "{asked:?}");
}

/// A rig whose own prefix holds nobody: one on-link route, one gateway, both elsewhere.
fn far_rig() -> Rig {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .dad_transmits(0)
        .link_local(false)
        .address("10.0.0.1/32".parse().unwrap())
        .address("fd00::1/128".parse().unwrap())
        .route("192.168.7.0/24".parse().unwrap(), None)
        .route("fd00::/64".parse().unwrap(), None)
        .gateway("192.168.9.1".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    rig.advance(seconds(3));
    rig.drain();
    rig
}

/// What is on the link by a route, or a gateway by its own word, is asked and believed as what the
/// own prefix holds.
#[test]
fn neighbours_outside_the_own_prefix_resolve() {
    for (to, hop) in [
        ("192.168.7.5:7", [192, 168, 7, 5]),
        ("8.8.8.8:7", [192, 168, 9, 1]),
    ] {
        let mut rig = far_rig();
        send(&mut rig, to, b"hello");
        let request = rig.only().arp();
        assert_eq!(request, arp::Packet::request(OUR_MAC, OURS, hop.into()));
        rig.receive(arp_frame(&request.reply(PEER_MAC)));
        let datagram = rig.only();
        assert_eq!(datagram.dst, PEER_MAC, "{to}");
        assert!(datagram.packet.ends_with(b"hello"));
        let hop = Ipv4Addr::from(hop);
        assert!(matches!(state(&rig, hop), Some(State::Reachable { .. })));
    }
}

/// RFC 826: who asks for us is learned where it can be on the link, and nowhere else.
#[test]
fn who_asks_is_learned_if_it_can_be_on_the_link() {
    #[rustfmt::skip]
    let rows = [
        ("192.168.7.5", true,  "an on-link route"),
        ("192.168.9.1", true,  "a gateway"),
        ("169.254.3.4", true,  "link-local (RFC 3927 section 2.6.2)"),
        ("192.168.9.2", false, "behind the gateway"),
        ("fd00::5",     true,  "an on-link route"),
        ("fe80::5",     true,  "link-local"),
        ("2001:db8::5", false, "nowhere"),
    ];
    for (from, learned, why) in rows {
        let mut rig = far_rig();
        let from: IpAddr = from.parse().unwrap();
        rig.receive(match from {
            IpAddr::V4(from) => arp_frame(&arp::Packet::request(PEER_MAC, from, OURS)),
            IpAddr::V6(from) => solicitation(from, PEER_MAC, OURS6),
        });
        assert_eq!(rig.only().dst, PEER_MAC, "answered all the same");
        assert_eq!(state(&rig, from).is_some(), learned, "{from}: {why}");
    }
}

/// Nobody is told that a foreign address, which a socket may send from, has our MAC.
#[test]
fn who_sends_from_a_foreign_address_asks_with_its_own() {
    let mut rig = Rig::with(|config| config.accept_foreign(true));
    let from = "10.0.0.77:5".parse().unwrap();
    let id = rig.stack.udp_bind(from, UdpOptions::new()).unwrap();
    let to = Some("10.0.0.2:7".parse().unwrap());
    rig.stack.udp_send_to(rig.now, id, to, b"hello").unwrap();
    let request = rig.only().arp();
    assert_eq!(request, arp::Packet::request(OUR_MAC, OURS, PEER));
    rig.receive(arp_frame(&request.reply(PEER_MAC)));
    assert_eq!(rig.only().v4().0.src, Ipv4Addr::new(10, 0, 0, 77));
}

/// Whoever gave up does not stand among those that wait, be it for a neighbour or for an address: a
/// user that tries and gives up would make them grow until that is decided.
#[test]
fn a_socket_that_is_gone_waits_for_nobody() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/24".parse().unwrap())
        .address("fd00::1/64".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    let waiting = |rig: &Rig| {
        let address = rig.stack.net.interfaces[0].waiters.values();
        let address: usize = address.map(std::collections::BTreeSet::len).sum();
        (rig.stack.net.neighbours.waiting(), address)
    };
    let options = crate::tcp::TcpOptions::default;
    let connect = |rig: &mut Rig, to: &str| {
        let to = to.parse().unwrap();
        let id = rig.stack.tcp_connect(rig.now, to, None, options());
        rig.poll();
        id.unwrap()
    };
    for _ in 0..10 {
        let to_nobody = connect(&mut rig, "10.0.0.2:7");
        let from_tentative = connect(&mut rig, "[fd00::2]:7");
        let datagram = send(&mut rig, "[fd00::2]:7", b"x");
        rig.poll();
        assert_eq!(waiting(&rig), (1, 2));
        rig.stack.tcp_abort(rig.now, to_nobody);
        assert_eq!(waiting(&rig), (0, 2));
        rig.stack.tcp_close(rig.now, from_tentative);
        assert_eq!(waiting(&rig), (0, 1));
        rig.stack.udp_close(datagram);
        assert_eq!(waiting(&rig), (0, 0));
    }
}

/// Covers: NDP-22.
#[test]
fn ndp_resolution_then_the_datagram() {
    let mut rig = Rig::new();
    send(&mut rig, "[fd00::2]:7", b"hello");
    let request = rig.only();
    let group = ipv6::solicited_node(PEER6);
    assert_eq!(request.dst, ethernet::ipv6_multicast(group));
    let (fields, message) = request.icmp6();
    assert_eq!(
        (fields.src, fields.dst, fields.hop_limit),
        (OURS6, group, 255)
    );
    let Icmpv6::Ndp(Message::NeighborSolicitation { target, options }) = message else {
        panic!("{message:?}");
    };
    assert_eq!(
        (target, options.source_link_address()),
        (PEER6, Some(OUR_MAC))
    );
    let flags = NeighborFlags::SOLICITED | NeighborFlags::OVERRIDE;
    rig.receive(advertisement(flags, PEER_MAC, PEER6, OURS6));
    let datagram = rig.only();
    assert_eq!(datagram.dst, PEER_MAC);
    assert_eq!(&datagram.v6().1[8..], b"hello");
}

/// Covers: ARP-9, NDP-24 (three tries, a second apart), NDP-25 (then the owner is told).
#[test]
fn a_neighbour_that_never_answers_fails_to_the_socket() {
    for to in ["10.0.0.2:7", "[fd00::2]:7"] {
        let mut rig = Rig::new();
        let id = send(&mut rig, to, b"hello");
        for _ in 0..3 {
            assert_eq!(rig.drain().len(), 1, "{to}");
            rig.advance(Duration::from_millis(999));
            assert_eq!(rig.drain().len(), 0, "{to}");
            rig.advance(Duration::from_millis(1));
        }
        assert!(rig.drain().is_empty());
        assert_eq!(rig.stack.udp_recv(id), Err(RecvError::HostUnreachable));
        assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
        assert_eq!(rig.drops(DropReason::NeighbourUnresolved), 1);
        assert_eq!(rig.stack.counters().neighbours_failed, 1);
        assert_eq!(rig.stack.poll_timeout(), None);
    }
}

/// Covers: NDP-23, ARP-12 (bounded, the oldest gives way). r60: others are not held up.
#[test]
fn r60_the_queue_is_bounded_and_one_dead_neighbour_blocks_no_other() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = send(&mut rig, "10.0.0.99:7", b"0");
    for n in 1..20u8 {
        let to = Some("10.0.0.99:7".parse().unwrap());
        rig.stack.udp_send_to(rig.now, id, to, &[n]).unwrap();
    }
    let to = Some("10.0.0.2:7".parse().unwrap());
    rig.stack.udp_send_to(rig.now, id, to, b"alive").unwrap();
    let sent = rig.drain();
    assert_eq!(sent.len(), 2, "one request, one datagram");
    assert!(
        sent.iter()
            .any(|f| f.dst == PEER_MAC && f.packet.ends_with(b"alive"))
    );
    assert_eq!(rig.drops(DropReason::NeighbourUnresolved), 4);
    let dead = Ipv4Addr::new(10, 0, 0, 99);
    rig.receive(arp_frame(
        &arp::Packet::request(OUR_MAC, OURS, dead).reply(OTHER_MAC),
    ));
    let sent: Vec<u8> = rig
        .drain()
        .iter()
        .map(|f| *f.packet.last().unwrap())
        .collect();
    assert_eq!(sent, (4..20).collect::<Vec<u8>>());
}

/// Covers: NDP-34 (STALE, DELAY 5 s, three unicast probes, gone), ARP-7.
#[test]
fn a_stale_neighbour_is_used_then_probed_then_forgotten() {
    let mut rig = Rig::new();
    rig.introduce();
    assert_eq!(state(&rig, PEER), Some(State::Stale));
    send(&mut rig, "10.0.0.2:7", b"x");
    assert_eq!(rig.only().dst, PEER_MAC, "used at once");
    assert_eq!(state(&rig, PEER), Some(State::Delay));
    rig.advance(Duration::from_millis(4999));
    assert!(rig.drain().is_empty());
    rig.advance(Duration::from_millis(1));
    for tries in 1..=3 {
        let probe = rig.only();
        assert_eq!((probe.dst, probe.arp().target), (PEER_MAC, PEER));
        assert_eq!(state(&rig, PEER), Some(State::Probe { tries }));
        rig.advance(seconds(1));
    }
    assert!(rig.drain().is_empty());
    assert_eq!(state(&rig, PEER), None);
}

#[test]
fn a_probe_that_is_answered_makes_it_reachable_again() {
    let mut rig = Rig::new();
    rig.introduce();
    send(&mut rig, "[fd00::2]:7", b"x");
    rig.drain();
    rig.advance(seconds(5));
    let probe = rig.only();
    assert_eq!(probe.dst, PEER_MAC);
    assert_eq!(probe.v6().0.dst, PEER6, "unicast");
    rig.receive(advertisement(
        NeighborFlags::SOLICITED,
        PEER_MAC,
        PEER6,
        OURS6,
    ));
    assert!(matches!(state(&rig, PEER6), Some(State::Reachable { .. })));
    rig.advance(seconds(3));
    assert!(rig.drain().is_empty(), "no more probes");
}

/// Covers: NDP-35 (forward progress confirms), NDP-13 (the time is 0.5 to 1.5 times 30 s).
#[test]
fn forward_progress_keeps_a_neighbour_reachable() {
    let mut rig = Rig::new();
    rig.introduce();
    send(&mut rig, "10.0.0.2:7", b"x");
    rig.drain();
    let (on, now) = (rig.on, rig.now);
    rig.stack.net.confirm(now, on, PEER.into());
    let Some(State::Reachable { until }) = state(&rig, PEER) else {
        panic!("{:?}", state(&rig, PEER));
    };
    let time = until.since(now);
    assert!(time >= seconds(15) && time < seconds(45), "{time:?}");
    rig.advance(seconds(10));
    assert!(rig.drain().is_empty(), "no probe is due");
    rig.stack
        .net
        .confirm(now, on, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 50)));
    assert_eq!(state(&rig, Ipv4Addr::new(10, 0, 0, 50)), None);
}

/// Covers: NDP-30 (RFC 4861 appendix C): what an advertisement does to a known entry.
#[test]
fn advertisement_table() {
    let solicited = NeighborFlags::SOLICITED;
    let overrides = NeighborFlags::OVERRIDE;
    #[rustfmt::skip]
    let rows = [
        // flags, other MAC?, state after from STALE, and is the MAC replaced?
        (NeighborFlags::empty(), false, "stale",     false),
        (solicited,              false, "reachable", false),
        (overrides,              false, "stale",     false),
        (NeighborFlags::empty(), true,  "stale",     false),
        (solicited,              true,  "stale",     false),
        (overrides,              true,  "stale",     true),
        (solicited | overrides,  true,  "reachable", true),
    ];
    for (flags, other, expected, replaced) in rows {
        let mut rig = Rig::new();
        rig.introduce();
        let mac = if other { OTHER_MAC } else { PEER_MAC };
        let group = flags.contains(solicited);
        let dst = if group { OURS6 } else { ipv6::ALL_NODES };
        rig.receive(advertisement(flags, mac, PEER6, dst));
        let name = match state(&rig, PEER6) {
            Some(State::Reachable { .. }) => "reachable",
            Some(State::Stale) => "stale",
            _ => "other",
        };
        assert_eq!(name, expected, "{flags:?} {other}");
        send(&mut rig, "[fd00::2]:7", b"x");
        let to = if replaced { OTHER_MAC } else { PEER_MAC };
        assert_eq!(rig.only().dst, to, "{flags:?} {other}");
    }
}

/// Covers: ARP-3, NDP-29. r59: nothing unasked for creates an entry.
#[test]
fn r59_what_nobody_asked_for_creates_nothing() {
    let mut rig = Rig::new();
    let unknown = Ipv4Addr::new(10, 0, 0, 50);
    let others = arp::Packet::request(PEER_MAC, PEER, unknown);
    rig.receive(arp_frame(&others));
    let mut unasked = arp::Packet::request(OUR_MAC, OURS, PEER).reply(PEER_MAC);
    rig.receive(arp_frame(&unasked));
    unasked.sender = Ipv4Addr::new(192, 168, 7, 7);
    rig.receive(arp_frame(&unasked));
    rig.receive(arp_frame(&arp::Packet::announcement(PEER_MAC, PEER)));
    rig.receive(advertisement(
        NeighborFlags::OVERRIDE,
        PEER_MAC,
        PEER6,
        ipv6::ALL_NODES,
    ));
    rig.receive(solicitation(Ipv6Addr::UNSPECIFIED, PEER_MAC, OURS6));
    let foreign = arp::Packet::request(PEER_MAC, Ipv4Addr::new(192, 168, 7, 7), OURS);
    rig.receive(arp_frame(&foreign));
    assert_eq!(rig.stack.net.neighbours.len(), 0);
}

/// Covers: NDP-41, ARP-12. r59: a flood never evicts what is in use.
#[test]
fn r59_a_flood_of_new_neighbours_evicts_stale_ones_only() {
    let config = Config::new(Seed::from_number(1)).neighbour_limit(64);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/8".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    rig.introduce();
    send(&mut rig, "10.0.0.2:7", b"x");
    let (on, now) = (rig.on, rig.now);
    rig.stack.net.confirm(now, on, PEER.into());
    for n in 0..5000u32 {
        let [_, a, b, c] = (0x0a01_0000 + n).to_be_bytes();
        let sender = Ipv4Addr::new(10, a, b, c);
        rig.receive(arp_frame(&arp::Packet::request(OTHER_MAC, sender, OURS)));
        assert!(rig.stack.net.neighbours.len() <= 64);
    }
    assert!(matches!(state(&rig, PEER), Some(State::Reachable { .. })));
    rig.drain();
    // A scan of ours takes no more than half of the table either.
    for n in 0..200u8 {
        send(&mut rig, &format!("10.200.0.{n}:7"), b"x");
    }
    rig.drain();
    assert!(rig.stack.net.neighbours.len() <= 64);
    assert!(matches!(state(&rig, PEER), Some(State::Reachable { .. })));
    assert!(rig.drops(DropReason::NeighbourUnresolved) >= 200 - 32);
}

/// A question that could not leave was not asked: three leave, however long the device is full.
#[test]
fn a_question_counts_once_it_has_left() {
    for to in ["10.0.0.2:7", "[fd00::2]:7"] {
        let mut rig = Rig::new();
        rig.device().room = Some(0);
        let id = send(&mut rig, to, b"hello");
        rig.advance(seconds(10));
        assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock), "{to}");
        rig.device().room = None;
        for _ in 0..3 {
            assert_eq!(rig.drain().len(), 1, "{to}");
            rig.advance(seconds(1));
        }
        assert_eq!(rig.stack.udp_recv(id), Err(RecvError::HostUnreachable));
    }
}

/// A host whose prefix holds everybody, with a table of 64 neighbours.
fn crowded() -> Rig {
    let config = Config::new(Seed::from_number(1)).neighbour_limit(64);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/8".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    rig.advance(seconds(3));
    rig.drain();
    rig
}

fn ping_from(n: u32) -> Vec<u8> {
    let mut echo = vec![8, 0, 0, 0, 0, 1, 0, 1];
    let sum = crate::base::checksum::checksum(&echo);
    echo[2..4].copy_from_slice(&sum.to_be_bytes());
    let from = Ipv4Addr::from_bits(0x0a01_0000 + n);
    ip_frame(from.into(), OURS.into(), Protocol::ICMP, &echo)
}

/// Forged sources take an eighth of the table, ask as many questions a second, and stop nobody.
#[test]
fn forged_sources_starve_no_resolution() {
    let mut rig = crowded();
    let mut asked = 0;
    for n in 0..10_000 {
        rig.receive(ping_from(n));
        asked += rig.drain().len();
        rig.advance(Duration::from_millis(1));
        asked += rig.drain().len();
    }
    // Ten seconds of 8, and what each is asked again before it gives way.
    assert!((80..=250).contains(&asked), "{asked}");
    assert!(rig.stack.net.neighbours.len() <= 8);
    let id = send(&mut rig, "10.0.0.2:7", b"hello");
    let request = rig.only().arp();
    rig.receive(arp_frame(&request.reply(PEER_MAC)));
    assert!(rig.only().packet.ends_with(b"hello"));
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
}

/// A server that answers datagrams from forged sources still connects.
#[test]
fn answers_of_sockets_starve_no_connection() {
    let mut rig = crowded();
    let any = "0.0.0.0:0".parse().unwrap();
    let server = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    for n in 0..1000u32 {
        let to = SocketAddr::new(Ipv4Addr::from_bits(0x0a01_0000 + n).into(), 7);
        rig.stack
            .udp_send_to(rig.now, server, Some(to), b"answer")
            .unwrap();
        rig.drain();
    }
    assert_eq!(rig.stack.net.neighbours.len(), 32, "half of the table");
    let options = crate::tcp::TcpOptions::default();
    let to = "10.0.0.2:7".parse().unwrap();
    rig.stack.tcp_connect(rig.now, to, None, options).unwrap();
    let request = rig.only().arp();
    assert_eq!(request.target, PEER);
    rig.receive(arp_frame(&request.reply(PEER_MAC)));
    assert_eq!(rig.only().dst, PEER_MAC, "the SYN");
}

/// Sources that say who they are and are then sent to give way to those who answer.
#[test]
fn who_never_answered_gives_way() {
    let mut rig = crowded();
    for n in 0..1000u32 {
        let from = Ipv4Addr::from_bits(0x0a01_0000 + n);
        rig.receive(arp_frame(&arp::Packet::request(OTHER_MAC, from, OURS)));
        rig.receive(ping_from(n));
        rig.drain();
    }
    assert_eq!(rig.stack.net.neighbours.len(), 64);
    send(&mut rig, "10.0.0.2:7", b"hello");
    let request = rig.only().arp();
    rig.receive(arp_frame(&request.reply(PEER_MAC)));
    assert!(rig.only().packet.ends_with(b"hello"));
}

/// RFC 4861 §7.2.3: without a link address nothing is learned; the answer goes back where the
/// question came from.
#[test]
fn a_solicitation_without_a_link_address_makes_no_entry() {
    for from in ["fd00::2", "2001:db8::2"] {
        let mut rig = Rig::new();
        let message = Message::NeighborSolicitation {
            target: OURS6,
            options: ipv6::ndp::Options::new(&[]),
        };
        let group = ipv6::solicited_node(OURS6);
        rig.receive(ndp_frame(PEER_MAC, from.parse().unwrap(), group, message));
        assert_eq!(rig.only().dst, PEER_MAC);
        assert_eq!(rig.stack.net.neighbours.len(), 0, "{from}");
    }
}

/// Nobody asked: the new address is used, and checked, as after an unsolicited advertisement.
#[test]
fn an_unasked_arp_reply_makes_nobody_reachable() {
    let mut rig = Rig::new();
    rig.introduce();
    let (on, now) = (rig.on, rig.now);
    rig.stack.net.confirm(now, on, PEER.into());
    let reply = |mac| arp_frame(&arp::Packet::request(OUR_MAC, OURS, PEER).reply(mac));
    rig.receive(reply(PEER_MAC));
    assert!(matches!(state(&rig, PEER), Some(State::Reachable { .. })));
    rig.receive(reply(OTHER_MAC));
    assert_eq!(state(&rig, PEER), Some(State::Stale));
    send(&mut rig, "10.0.0.2:7", b"x");
    assert_eq!(rig.only().dst, OTHER_MAC);
    rig.advance(seconds(5));
    assert_eq!(rig.only().dst, OTHER_MAC, "the check");
    rig.receive(reply(OTHER_MAC));
    assert!(matches!(state(&rig, PEER), Some(State::Reachable { .. })));
}

/// r60: what waits for many neighbours is bounded in bytes, pins no buffer, and is the last of each.
#[test]
fn r60_all_queues_together_are_bounded_in_bytes() {
    let config = Config::new(Seed::from_number(1)).neighbour_queue_bytes(10_000);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/8".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    // Echo requests of stations that nobody knows.
    for n in 0..3200u32 {
        let from = Ipv4Addr::new(10, 1, 0, (n % 100) as u8);
        let mut echo = vec![8, 0, 0, 0, 0, 1, 0, 1];
        echo.extend([0x5a; 1000]);
        let sum = crate::base::checksum::checksum(&echo);
        echo[2..4].copy_from_slice(&sum.to_be_bytes());
        rig.receive(ip_frame(from.into(), OURS.into(), Protocol::ICMP, &echo));
        rig.poll();
    }
    let waiting = rig.stack.net.neighbours.queued();
    assert!((100_000..=110_000).contains(&waiting), "{waiting}");
    rig.advance(seconds(10));
    assert_eq!(rig.stack.net.neighbours.queued(), 0);
    assert_eq!(rig.drops(DropReason::NeighbourUnresolved), 3200);
}

/// r60: nor is the last packet of each a long one, once the bytes of all are used up.
#[test]
fn r60_the_last_packet_of_each_is_bounded() {
    let config = Config::new(Seed::from_number(1)).neighbour_queue_bytes(10_000);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/8".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    for n in 0..50 {
        send(&mut rig, &format!("10.1.0.{n}:7"), &[7; 30_000]);
        rig.drain();
    }
    assert_eq!(rig.stack.net.neighbours.queued(), 30_000);
    assert_eq!(rig.drops(DropReason::NeighbourUnresolved), 49);
    send(&mut rig, "10.1.0.1:7", &[7; 2048]);
    rig.drain();
    assert_eq!(rig.stack.net.neighbours.queued(), 32_048);
}

/// r59: a table full of neighbours that answered once and were forgotten takes new ones.
#[test]
fn r59_neighbours_that_nobody_sends_to_give_way_when_their_time_is_over() {
    let config = Config::new(Seed::from_number(1)).neighbour_limit(64);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/8".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    let on = rig.on;
    for n in 0..64u8 {
        let peer = Ipv4Addr::new(10, 1, 0, n);
        rig.receive(arp_frame(&arp::Packet::request(OTHER_MAC, peer, OURS)));
        let now = rig.now;
        rig.stack.net.confirm(now, on, peer.into());
    }
    rig.drain();
    rig.introduce();
    assert_eq!(state(&rig, PEER), None, "all of them are reachable");
    rig.advance(Duration::from_secs(60));
    rig.introduce();
    assert_eq!(state(&rig, PEER), Some(State::Stale));
    assert_eq!(rig.stack.net.neighbours.len(), 64);
}

/// Covers: NDP-26, ARP-2: a sender that asks has moved to another MAC.
#[test]
fn a_request_updates_a_known_sender() {
    let mut rig = Rig::new();
    rig.introduce();
    rig.receive(arp_frame(&arp::Packet::request(OTHER_MAC, PEER, OURS)));
    rig.receive(solicitation(PEER6, OTHER_MAC, OURS6));
    rig.drain();
    for to in ["10.0.0.2:7", "[fd00::2]:7"] {
        send(&mut rig, to, b"x");
        assert_eq!(rig.only().dst, OTHER_MAC);
    }
}

/// Covers: ARP-11.
#[test]
fn a_group_is_nobodys_mac() {
    let mut rig = Rig::new();
    rig.receive(arp_frame(&arp::Packet::request(
        MacAddr::BROADCAST,
        PEER,
        OURS,
    )));
    assert_eq!(rig.drops(DropReason::ArpMalformed), 1);
    let group = MacAddr::new([1, 0, 0, 0, 0, 1]);
    rig.introduce();
    let flags = NeighborFlags::OVERRIDE | NeighborFlags::SOLICITED;
    rig.receive(advertisement(flags, group, PEER6, OURS6));
    assert_eq!(rig.drops(DropReason::NdpInvalid), 1);
}

/// What was looked up last is found without the table: not when it is gone, nor for another one.
#[test]
fn an_entry_that_failed_is_not_found_again() {
    let mut rig = Rig::new();
    for last in [2, 10, 18] {
        send(&mut rig, &format!("10.0.0.{last}:7"), b"x");
    }
    assert_eq!(rig.drain().len(), 3, "a question for each");
    let others = [10, 18].map(|last| Ipv4Addr::new(10, 0, 0, last));
    for other in others {
        let request = arp::Packet::request(OUR_MAC, OURS, other);
        let mac = MacAddr::new([2, 0, 0, 0, 1, other.octets()[3]]);
        rig.receive(arp_frame(&request.reply(mac)));
        assert_eq!(rig.only().dst, mac);
    }
    for _ in 0..4 {
        rig.advance(seconds(1));
        rig.drain();
    }
    assert_eq!(state(&rig, PEER), None, "nobody answered");
    send(&mut rig, "10.0.0.2:7", b"y");
    assert_eq!(rig.only().dst, MacAddr::BROADCAST, "it is asked for anew");
    for other in others {
        send(&mut rig, &format!("{other}:7"), b"z");
        assert_eq!(rig.only().dst.octets()[5], other.octets()[3]);
    }
}

/// A medium without link addresses has no neighbours: solicitations are not answered there.
#[test]
fn a_medium_without_addresses_solicits_nobody() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .link_local(false)
        .address("fd00::1/64".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    rig.drain();
    let frame = solicitation(PEER6, PEER_MAC, OURS6);
    rig.receive(frame[ethernet::HEADER_LEN..].to_vec());
    assert!(rig.drain().is_empty());
    assert_eq!(rig.drops(DropReason::IcmpIgnored), 1);
}

/// What a user is told of the table, from the first question to its end.
#[test]
fn neighbours_are_listed() {
    let mut rig = Rig::new();
    let listed =
        |rig: &Rig| -> Vec<NeighbourInfo> { rig.stack.neighbours(rig.now, rig.on).collect() };
    assert_eq!(listed(&rig), []);
    send(&mut rig, "10.0.0.2:7", b"hello");
    let request = rig.only();
    let mut info = NeighbourInfo {
        on: rig.on,
        address: PEER.into(),
        mac: None,
        state: NeighbourState::Incomplete,
    };
    assert_eq!(listed(&rig), [info]);
    rig.receive(arp_frame(&request.arp().reply(PEER_MAC)));
    (info.mac, info.state) = (Some(PEER_MAC), NeighbourState::Reachable);
    assert_eq!(listed(&rig), [info]);
    rig.advance(seconds(120));
    info.state = NeighbourState::Stale;
    assert_eq!(listed(&rig), [info]);
    assert_eq!(
        rig.stack.neighbours(rig.now, InterfaceId::LOOPBACK).count(),
        0
    );
}

/// What was sent first leaves first, though its sender sends more before it has left.
#[test]
fn what_waited_for_a_neighbour_is_overtaken_by_nothing() {
    let mut rig = Rig::new();
    let any = "0.0.0.0:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let say = |rig: &mut Rig, n: u8| {
        let to = Some("10.0.0.2:7".parse().unwrap());
        rig.stack.udp_send_to(rig.now, id, to, &[n]).unwrap();
    };
    for n in 0..10 {
        say(&mut rig, n);
        rig.poll();
    }
    let request = rig.only();
    rig.receive(arp_frame(&request.arp().reply(PEER_MAC)));
    (10..40).for_each(|n| say(&mut rig, n));
    let order: Vec<u8> = rig.drain().iter().map(|frame| frame.v4().1[8]).collect();
    assert_eq!(order, (0..40).collect::<Vec<_>>());
}

/// Covers: ARP-8 (how long an entry holds without a word is a setting, for both families).
#[test]
fn how_long_a_neighbour_counts_as_reachable_is_set() {
    for (base, least, most) in [(4, 2, 6), (600, 300, 900)] {
        let config = Config::new(Seed::from_number(1)).reachable_time(seconds(base));
        let mut rig = Rig::configured(config);
        send(&mut rig, "10.0.0.2:7", b"hello");
        send(&mut rig, "[fd00::2]:7", b"hello");
        rig.poll();
        rig.receive(arp_frame(
            &arp::Packet::request(OUR_MAC, OURS, PEER).reply(PEER_MAC),
        ));
        let flags = NeighborFlags::SOLICITED | NeighborFlags::OVERRIDE;
        rig.receive(advertisement(flags, PEER_MAC, PEER6, OURS6));
        for address in [IpAddr::V4(PEER), PEER6.into()] {
            let Some(State::Reachable { until }) = state(&rig, address) else {
                panic!("{address}: {:?}", state(&rig, address));
            };
            let left = until.since(rig.now);
            assert!((seconds(least)..=seconds(most)).contains(&left), "{left:?}");
        }
    }
}
