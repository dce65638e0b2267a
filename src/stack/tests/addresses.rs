//! How addresses come into use on an interface, and conflicts about them.

use super::*;
use crate::ipv6::ndp::{Message, NeighborFlags};

fn rig(probes: u8) -> Rig {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .report_own_groups(false)
        .dad_transmits(probes)
        .link_local(false)
        .address("fd00::1/64".parse().unwrap());
    Rig::bare(Config::new(Seed::from_number(1)), interface)
}

fn state(rig: &Rig) -> AddressState {
    rig.stack.addresses(rig.on).next().unwrap().1
}

/// Covers: SLA-1, SLA-5, ETH-10 (the link-local address too).
#[test]
fn duplicate_detection_probes_then_uses() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .report_own_groups(false)
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    assert!(!rig.stack.is_ready(rig.on));
    let local: Ipv6Addr = "fe80::ff:fe00:1".parse().unwrap();
    let frames = rig.drain();
    let probe = frames.iter().find(|f| f.kind == EtherType::IPV6).unwrap();
    let (fields, message) = probe.icmp6();
    assert_eq!(
        (fields.src, fields.dst),
        (Ipv6Addr::UNSPECIFIED, ipv6::solicited_node(local))
    );
    let Icmpv6::Ndp(Message::NeighborSolicitation { target, options }) = message else {
        panic!("{message:?}");
    };
    assert_eq!((target, options.source_link_address()), (local, None));
    let announcement = frames.iter().find(|f| f.kind == EtherType::ARP).unwrap();
    assert!(announcement.arp().is_announcement());
    rig.advance(Duration::from_millis(999));
    assert!(!rig.stack.is_ready(rig.on));
    rig.advance(Duration::from_millis(1));
    assert!(rig.stack.is_ready(rig.on));
    let found: Vec<_> = rig
        .stack
        .addresses(rig.on)
        .map(|(c, _)| c.address())
        .collect();
    assert_eq!(found, [IpAddr::V6(local), IpAddr::V4(OURS)]);
}

/// Covers: SLA-7, SLA-8. r64: probes from `::` count.
#[test]
fn r64_another_probe_or_an_advertisement_makes_it_a_duplicate() {
    let claims = [
        solicitation(Ipv6Addr::UNSPECIFIED, PEER_MAC, OURS6),
        advertisement(NeighborFlags::OVERRIDE, PEER_MAC, OURS6, ipv6::ALL_NODES),
    ];
    for claim in claims {
        let mut rig = rig(1);
        rig.drain();
        rig.receive(claim);
        assert_eq!(state(&rig), AddressState::Duplicate);
        assert_eq!(rig.stack.counters().addresses_duplicate, 1);
        rig.advance(Duration::ZERO);
        assert_eq!(
            rig.stack.poll_timeout(),
            None,
            "the next probe is not waited for"
        );
        rig.advance(Duration::from_secs(9));
        assert_eq!(state(&rig), AddressState::Duplicate);
        assert!(rig.drain().is_empty());
        let bound = "[fd00::1]:7".parse().unwrap();
        let refused = rig.stack.udp_bind(bound, UdpOptions::new());
        assert_eq!(refused, Err(BindError::NotOurs(OURS6.into())));
        // Nor is its group ours any longer.
        rig.receive(udp_frame("[fd00::2]:9", "[ff02::1:ff00:1]:7", b"x"));
        assert_eq!(rig.drops(DropReason::IpNotOurs), 1);
    }
}

/// Covers: SLA-2 (a probe that did not leave asked nobody).
#[test]
fn duplicate_detection_waits_for_its_probe_to_leave() {
    let mut rig = rig(1);
    rig.device().room = Some(0);
    rig.advance(Duration::from_secs(10));
    assert_eq!(state(&rig), AddressState::Tentative);
    rig.device().room = None;
    assert_eq!(rig.drain().len(), 1);
    rig.advance(Duration::from_secs(1));
    assert_eq!(state(&rig), AddressState::Preferred);
}

/// Covers: SLA-2, ACD-7 (also what the line of questions has no room for: it is tried again, and asked as often as
/// any other).
#[test]
fn more_addresses_than_the_line_holds_are_all_asked_for() {
    let mut interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .report_own_groups(false)
        .dad_transmits(2)
        .link_local(false);
    for number in 1..=20 {
        for address in [format!("10.0.0.{number}/24"), format!("fd00::{number}/64")] {
            interface = interface.address(address.parse().unwrap());
        }
    }
    let config = Config::new(Seed::from_number(1)).outbox_limit(4);
    let mut rig = Rig::bare(config, interface);
    rig.advance(Duration::from_secs(60));
    assert!(rig.stack.is_ready(rig.on));
    let asked = rig.asked();
    assert_eq!(asked.len(), 40);
    assert!(asked.values().all(|&times| times == 2), "{asked:?}");
}

#[test]
fn our_own_probe_come_back_is_no_conflict() {
    let mut rig = rig(1);
    rig.drain();
    rig.receive(solicitation(Ipv6Addr::UNSPECIFIED, OUR_MAC, OURS6));
    rig.advance(Duration::from_secs(1));
    assert_eq!(state(&rig), AddressState::Preferred);
}

/// Covers: SLA-6 (a tentative address answers nothing), ARP-5. r64: once in use it defends itself.
#[test]
fn r64_a_tentative_address_is_silent_and_a_used_one_defends() {
    let mut rig = rig(1);
    rig.drain();
    rig.receive(solicitation(PEER6, PEER_MAC, OURS6));
    assert!(rig.drain().is_empty());
    assert_eq!(rig.drops(DropReason::IpTentative), 1);
    rig.receive(udp_frame("[fd00::2]:1", "[fd00::1]:7", b"x"));
    assert_eq!(rig.drops(DropReason::IpTentative), 2);
    rig.advance(Duration::from_secs(1));
    rig.receive(solicitation(Ipv6Addr::UNSPECIFIED, PEER_MAC, OURS6));
    let answer = rig.only();
    let (fields, message) = answer.icmp6();
    assert_eq!((fields.dst, fields.hop_limit), (ipv6::ALL_NODES, 255));
    let Icmpv6::Ndp(Message::NeighborAdvertisement { flags, target, .. }) = message else {
        panic!("{message:?}");
    };
    assert_eq!((flags, target), (NeighborFlags::OVERRIDE, OURS6));
}

/// Covers: NDP-40, NDP-20. r64: a group that differs in any of the 24 bits is another's; so is an
/// address that shares them.
#[test]
fn r64_solicited_nodes_match_in_all_24_bits() {
    let ours: Ipv6Addr = "fd00::12:3456".parse().unwrap();
    let config = |config: InterfaceConfig| config.address("fd00::12:3456/64".parse().unwrap());
    let mut rig = Rig::with(config);
    rig.introduce();
    let ask = |group: Ipv6Addr, target| {
        let own = ipv6::ndp::Options::source_link_address_bytes(PEER_MAC);
        let options = ipv6::ndp::Options::new(&own);
        let message = Message::NeighborSolicitation { target, options };
        ndp_frame(PEER_MAC, PEER6, group, message)
    };
    let group = ipv6::solicited_node(ours);
    for bit in 0..24 {
        let other = Ipv6Addr::from_bits(group.to_bits() ^ (1 << bit));
        if other == ipv6::solicited_node(OURS6) {
            continue;
        }
        let before = rig.drops(DropReason::IpNotOurs);
        rig.receive(ask(other, ours));
        assert_eq!(rig.drops(DropReason::IpNotOurs), before + 1, "{other}");
    }
    let shares = "2001:db8::12:3456".parse().unwrap();
    rig.receive(ask(group, shares));
    assert!(rig.drain().is_empty());
    rig.receive(ask(group, ours));
    assert_eq!(rig.drain().len(), 1);
}

/// Covers: NDP-30. r64: an advertisement speaks of its target, whoever sends it.
#[test]
fn r64_an_advertisement_updates_its_target_not_its_sender() {
    let mut rig = Rig::new();
    rig.introduce();
    let third: Ipv6Addr = "fd00::3".parse().unwrap();
    rig.receive(solicitation(third, OTHER_MAC, OURS6));
    rig.drain();
    let moved = MacAddr::new([2, 0, 0, 0, 0, 9]);
    let own = ipv6::ndp::Options::target_link_address_bytes(moved);
    let message = Message::NeighborAdvertisement {
        flags: NeighborFlags::OVERRIDE,
        target: third,
        options: ipv6::ndp::Options::new(&own),
    };
    rig.receive(ndp_frame(PEER_MAC, PEER6, ipv6::ALL_NODES, message));
    let any = "[::]:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    for (to, mac) in [("[fd00::2]:7", PEER_MAC), ("[fd00::3]:7", moved)] {
        let to = Some(to.parse().unwrap());
        rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
        assert_eq!(rig.only().dst, mac);
    }
}

/// What is sent from a tentative address waits until it may be used.
#[test]
fn sending_waits_for_a_tentative_address() {
    let mut rig = rig(1);
    rig.drain();
    let any = "[::]:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let to = Some("[fd00::2]:7".parse().unwrap());
    rig.stack.udp_send_to(rig.now, id, to, b"early").unwrap();
    assert!(rig.drain().is_empty());
    rig.advance(Duration::from_secs(1));
    assert_eq!(rig.drain().len(), 1, "the solicitation");
    let flags = NeighborFlags::SOLICITED | NeighborFlags::OVERRIDE;
    rig.receive(advertisement(flags, PEER_MAC, PEER6, OURS6));
    assert!(rig.only().packet.ends_with(b"early"));
}

#[test]
fn waiting_for_an_address_that_is_a_duplicate_fails() {
    let mut rig = rig(1);
    rig.drain();
    let any = "[::]:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let to = Some("[fd00::2]:7".parse().unwrap());
    rig.stack.udp_send_to(rig.now, id, to, b"early").unwrap();
    rig.drain();
    rig.receive(solicitation(Ipv6Addr::UNSPECIFIED, PEER_MAC, OURS6));
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::HostUnreachable));
    rig.advance(Duration::from_secs(5));
    assert!(rig.drain().is_empty());
}

/// A conflict about one address is nothing to those who wait for another.
#[test]
fn a_duplicate_fails_only_who_waits_for_it() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .report_own_groups(false)
        .link_local(false)
        .address("fd00::1/64".parse().unwrap())
        .address("2001:db8::1/64".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    let send = |rig: &mut Rig, to: &str| {
        let any = "[::]:0".parse().unwrap();
        let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
        let to = Some(to.parse().unwrap());
        rig.stack.udp_send_to(rig.now, id, to, b"early").unwrap();
        id
    };
    let lost = send(&mut rig, "[fd00::2]:7");
    let kept = send(&mut rig, "[2001:db8::2]:7");
    rig.drain();
    rig.receive(solicitation(Ipv6Addr::UNSPECIFIED, PEER_MAC, OURS6));
    assert_eq!(rig.stack.udp_recv(lost), Err(RecvError::HostUnreachable));
    assert_eq!(rig.stack.udp_recv(kept), Err(RecvError::WouldBlock));
    rig.advance(Duration::from_secs(1));
    let peer: Ipv6Addr = "2001:db8::2".parse().unwrap();
    let asked = rig.only();
    assert_eq!(asked.v6().0.dst, ipv6::solicited_node(peer));
    let flags = NeighborFlags::SOLICITED | NeighborFlags::OVERRIDE;
    let ours = "2001:db8::1".parse().unwrap();
    rig.receive(advertisement(flags, PEER_MAC, peer, ours));
    assert!(rig.only().packet.ends_with(b"early"));
}

/// Whose duplicate it is may talk to us from it, and we to it; nothing leaves from it.
#[test]
fn a_duplicate_is_another_stations_address_in_every_way() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .report_own_groups(false)
        .link_local(false)
        .address("fd00::1/64".parse().unwrap())
        .address("fd00::9/64".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    rig.drain();
    let bind = |rig: &mut Rig, at: &str| {
        let at = at.parse().unwrap();
        rig.stack.udp_bind(at, UdpOptions::new()).unwrap()
    };
    let tentative = bind(&mut rig, "[fd00::1]:5");
    rig.receive(solicitation(Ipv6Addr::UNSPECIFIED, PEER_MAC, OURS6));
    rig.advance(Duration::from_secs(1));
    let other = bind(&mut rig, "[fd00::9]:7");
    // Its owner asks for us, and sends.
    let ours = "fd00::9".parse().unwrap();
    rig.receive(solicitation(OURS6, PEER_MAC, ours));
    assert_eq!(rig.only().dst, PEER_MAC);
    rig.receive(udp_frame("[fd00::1]:5", "[fd00::9]:7", b"mine"));
    let datagram = rig.stack.udp_recv(other).unwrap();
    assert_eq!(datagram.data, b"mine");
    let to = Some("[fd00::1]:5".parse().unwrap());
    rig.stack.udp_send_to(rig.now, other, to, b"yours").unwrap();
    assert!(rig.only().packet.ends_with(b"yours"));
    // A socket that was bound to it in time sends nothing.
    let to = Some("[fd00::2]:7".parse().unwrap());
    let sent = rig.stack.udp_send_to(rig.now, tentative, to, b"forged");
    assert_eq!(sent, Err(SendError::AddressGone));
    assert!(rig.drain().is_empty());
    let error = rig.stack.udp_recv(tentative);
    assert_eq!(error, Err(RecvError::AddressGone));
}

/// Each address that another station claims is told once, whoever claims it again.
#[test]
fn a_conflict_is_told_once() {
    let mut rig = Rig::new();
    let told = |rig: &Rig| rig.stack.conflicts(rig.on).collect::<Vec<_>>();
    assert_eq!(told(&rig), []);
    for mac in [OTHER_MAC, PEER_MAC, OTHER_MAC] {
        rig.receive(arp_frame(&arp::Packet::announcement(mac, OURS)));
    }
    let flags = NeighborFlags::OVERRIDE;
    rig.receive(advertisement(flags, PEER_MAC, OURS6, ipv6::ALL_NODES));
    let both = [(OURS.into(), OTHER_MAC), (OURS6.into(), PEER_MAC)];
    assert_eq!(told(&rig), both.map(|(ip, mac)| (ip, Some(mac))));
}

/// Covers: ACD-13 (the reply to one station), ARP-5, ARP-4, ACD-9, ACD-11 (defend, not more than once in 10 s).
#[test]
fn arp_answers_and_defends() {
    let mut rig = Rig::new();
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    let reply = rig.only();
    let expected = arp::Packet::request(PEER_MAC, PEER, OURS).reply(OUR_MAC);
    assert_eq!((reply.dst, reply.arp()), (PEER_MAC, expected));
    // For another's nobody here answers.
    rig.receive(arp_frame(&arp::Packet::request(
        PEER_MAC,
        PEER,
        Ipv4Addr::new(10, 0, 0, 9),
    )));
    assert!(rig.drain().is_empty());
    // A probe for our address is answered as well (RFC 5227 §2.1.1).
    rig.receive(arp_frame(&arp::Packet::probe(PEER_MAC, OURS)));
    assert_eq!(rig.only().arp().sender, OURS);
    let claim = arp::Packet::announcement(OTHER_MAC, OURS);
    for expected in [1, 0, 0] {
        rig.receive(arp_frame(&claim));
        let sent = rig.drain();
        assert_eq!(sent.len(), expected);
        assert!(sent.iter().all(|f| f.arp().is_announcement()));
    }
    assert_eq!(rig.stack.counters().address_conflicts, 3);
    rig.advance(Duration::from_secs(10));
    rig.receive(arp_frame(&claim));
    assert_eq!(rig.drain().len(), 1);
}

/// A defence that found the outbox full was none: the next claim is answered, not the one in 10 s.
#[test]
fn a_defence_without_room_is_made_up_for() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .report_own_groups(false)
        .address("10.0.0.1/24".parse().unwrap());
    let config = Config::new(Seed::from_number(1)).outbox_limit(1);
    let mut rig = Rig::bare(config, interface.link_local(false));
    rig.advance(Duration::from_secs(3));
    rig.drain();
    let claim = arp_frame(&arp::Packet::announcement(OTHER_MAC, OURS));
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    rig.receive(claim.clone());
    assert_eq!(rig.only().arp().operation, arp::Operation::REPLY);
    assert_eq!(rig.drops(DropReason::OutboxFull), 1);
    for expected in [1, 0] {
        rig.receive(claim.clone());
        let sent = rig.drain();
        assert_eq!(sent.len(), expected);
        assert!(sent.iter().all(|f| f.arp().is_announcement()));
    }
    assert_eq!(rig.stack.counters().address_conflicts, 3);
}

/// No table, no ARP, no duplicate detection on a medium without link addresses.
#[test]
fn an_ip_medium_is_ready_at_once_and_asks_nobody() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .address("10.0.0.1/24".parse().unwrap())
        .address("fd00::1/64".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    assert!(rig.stack.is_ready(rig.on));
    assert_eq!((rig.stack.poll_timeout(), rig.drain().len()), (None, 0));
    assert_eq!(
        rig.stack.addresses(rig.on).count(),
        2,
        "no link-local address"
    );
    for to in ["10.0.0.2:7", "[fd00::2]:7"] {
        let any = if to.starts_with('[') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let id = rig
            .stack
            .udp_bind(any.parse().unwrap(), UdpOptions::new())
            .unwrap();
        rig.stack
            .udp_send_to(rig.now, id, Some(to.parse().unwrap()), b"now")
            .unwrap();
        assert!(rig.only().packet.ends_with(b"now"));
    }
    assert_eq!(rig.stack.net.neighbours.len(), 0);
}

/// Covers: DAD-4, NDP-32: routers are told of an address once it is in use, thrice and a second apart, without a question and without
/// taking another's place; not of what they pass nothing to.
#[test]
fn routers_are_told_of_an_address_where_that_is_asked_for() {
    for probes in [0, 1] {
        let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
            .mac(OUR_MAC)
            .report_own_groups(false)
            .dad_transmits(probes)
            .tell_routers(true)
            .address("fd00::1/64".parse().unwrap());
        let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
        let mut told = Vec::new();
        for _ in 0..80 {
            for seen in rig.drain() {
                let (fields, message) = seen.icmp6();
                if let Icmpv6::Ndp(Message::NeighborAdvertisement { flags, target, .. }) = message {
                    assert_eq!((fields.src, fields.dst), (OURS6, ipv6::ALL_ROUTERS));
                    assert_eq!((flags, target), (NeighborFlags::empty(), OURS6));
                    assert_eq!(seen.dst, ethernet::ipv6_multicast(ipv6::ALL_ROUTERS));
                    told.push(rig.now);
                }
            }
            rig.advance(Duration::from_millis(100));
        }
        assert_eq!(told.len(), 3, "{probes}");
        assert!(
            told.windows(2)
                .all(|two| two[1].since(two[0]) >= Duration::from_secs(1))
        );
        assert_eq!(rig.stack.poll_timeout(), None);
    }
}
