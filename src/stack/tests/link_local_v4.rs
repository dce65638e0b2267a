//! IPv4 link-local addresses: chosen, probed for, given up, taken up again.

use super::*;

/// PROBE_WAIT, two times PROBE_MAX, ANNOUNCE_WAIT (RFC 5227 §1.1).
const PROBED: Duration = Duration::from_secs(7);

fn interface() -> InterfaceConfig {
    InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .link_local_v4(true)
}

fn rig() -> Rig {
    Rig::bare(Config::new(Seed::from_number(1)), interface())
}

fn all(rig: &Rig) -> Vec<(Cidr, AddressState)> {
    rig.stack.addresses(rig.on).collect()
}

/// The only one that there is.
#[track_caller]
fn own(rig: &Rig) -> (Ipv4Addr, AddressState) {
    let [(cidr, state)] = all(rig)[..] else {
        panic!("{:?}", all(rig));
    };
    let IpAddr::V4(own) = cidr.address() else {
        panic!("{cidr}");
    };
    assert_eq!(cidr.prefix(), 16);
    (own, state)
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// Covers: ACD-14 (RFC 3927 §2.1, §2.2, §2.4).
#[test]
fn one_is_chosen_probed_for_and_used() {
    let mut rig = rig();
    let (chosen, state) = own(&rig);
    assert_eq!(state, AddressState::Tentative);
    assert!((1..=254).contains(&chosen.octets()[2]) && chosen.is_link_local());
    rig.advance(PROBED);
    let probes = rig.drain();
    let probes = probes.iter().map(Seen::arp).filter(arp::Packet::is_probe);
    assert_eq!(probes.count(), 3);
    assert_eq!(own(&rig), (chosen, AddressState::Preferred));
    rig.advance(Duration::from_secs(3));
    rig.drain();
    // The same host chooses the same, and another another.
    assert_eq!(own(&self::rig()).0, chosen);
    let other = interface().mac(OTHER_MAC);
    let other = Rig::bare(Config::new(Seed::from_number(1)), other);
    assert_ne!(own(&other).0, chosen);
    // RFC 3927 §2.5: what says that we have it is for all; §2.6.2: who is asked for is on the link.
    let peer = Ipv4Addr::new(169, 254, 9, 9);
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, peer, chosen)));
    let reply = rig.only();
    assert_eq!(
        (reply.dst, reply.arp().sender),
        (MacAddr::BROADCAST, chosen)
    );
    let resolved = rig.stack.resolve_route(IpAddr::V4(peer));
    assert_eq!(resolved, Some((rig.on, chosen.into())));
}

/// Two hosts that want the same one: the second chooses another; after ten conflicts one in 60 s is tried.
///
/// RFC 3927 §2.2.1.
#[test]
fn another_is_chosen_after_a_conflict() {
    let mut rig = rig();
    let mut tried = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let (wanted, state) = own(&rig);
        assert_eq!(state, AddressState::Tentative);
        assert!(tried.insert(wanted), "{wanted} again");
        rig.receive(arp_frame(&arp::Packet::probe(OTHER_MAC, wanted)));
    }
    rig.drain();
    rig.advance(Duration::from_secs(59));
    assert!(rig.drain().is_empty(), "the eleventh waits");
    rig.advance(PROBED + Duration::from_secs(1));
    assert_eq!(own(&rig).1, AddressState::Preferred);
    assert_eq!(rig.stack.counters().addresses_duplicate, 10);
}

/// Two hosts over one link, the second with the first one's address in mind.
#[test]
fn two_hosts_find_two_addresses() {
    let (mut first, mut second) = (rig(), rig());
    first.advance(PROBED);
    let wanted = own(&first).0;
    assert_eq!(own(&second).0, wanted);
    first.drain();
    for _ in 0..200 {
        second.advance(Duration::from_millis(100));
        // The stations differ, though the stacks think that they are one.
        for frame in second.drain() {
            let mut packet = frame.arp();
            (packet.sender_mac, packet.target_mac) = (OTHER_MAC, OUR_MAC);
            first.receive(arp_frame(&packet));
        }
        first.advance(Duration::from_millis(100));
        for frame in first.drain() {
            let mut packet = frame.arp();
            (packet.sender_mac, packet.target_mac) = (PEER_MAC, OUR_MAC);
            second.receive(arp_frame(&packet));
        }
    }
    assert_eq!(own(&first), (wanted, AddressState::Preferred));
    let (other, state) = own(&second);
    assert_eq!(state, AddressState::Preferred);
    assert_ne!(other, wanted);
}

/// RFC 3927 §2.5 (b): defended once in 10 s, then left.
#[test]
fn it_is_defended_once_and_then_left() {
    let mut rig = rig();
    rig.advance(PROBED + Duration::from_secs(3));
    rig.drain();
    let (chosen, _) = own(&rig);
    let claim = || arp_frame(&arp::Packet::announcement(OTHER_MAC, chosen));
    rig.receive(claim());
    assert!(rig.only().arp().is_announcement());
    rig.receive(claim());
    let (next, state) = own(&rig);
    assert_eq!(state, AddressState::Tentative);
    assert_ne!(next, chosen);
    rig.advance(PROBED);
    assert_eq!(own(&rig), (next, AddressState::Preferred));
}

/// RFC 3927 §1.9: what is given comes first; what uses the other has ten minutes.
#[test]
fn another_address_takes_its_place_and_leaves_it_again() {
    let mut rig = rig();
    rig.advance(PROBED);
    let (chosen, _) = own(&rig);
    let (now, given) = (rig.now, cidr("10.0.0.1/24"));
    let options = AddressOptions::new();
    rig.stack.add_address(now, rig.on, given, options).unwrap();
    let link_local = cidr(&format!("{chosen}/16"));
    let both = |of| [(link_local, of), (given, AddressState::Preferred)];
    assert_eq!(all(&rig), both(AddressState::Deprecated));
    let remove = |rig: &mut Rig| {
        let own = given.address();
        rig.stack.remove_address(rig.now, rig.on, own).unwrap();
    };
    rig.advance(Duration::from_secs(300));
    remove(&mut rig);
    assert_eq!(own(&rig), (chosen, AddressState::Preferred));
    rig.stack
        .add_address(rig.now, rig.on, given, options)
        .unwrap();
    rig.advance(Duration::from_secs(601));
    assert_eq!(all(&rig), [(given, AddressState::Preferred)]);
    remove(&mut rig);
    assert_eq!(own(&rig).1, AddressState::Tentative, "the next one");
    // Whoever takes that away wants none.
    let (next, _) = own(&rig);
    rig.stack
        .remove_address(rig.now, rig.on, next.into())
        .unwrap();
    rig.advance(Duration::from_secs(100));
    assert!(all(&rig).is_empty());
}

/// RFC 3927 §2.11: behind a DHCP server's word, and before the silence of one.
#[test]
fn a_server_has_the_first_word() {
    let config = interface().dhcp(DhcpOptions::new());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
    rig.advance(Duration::from_secs(50));
    assert!(all(&rig).is_empty() && !rig.stack.is_ready(rig.on));
    rig.advance(Duration::from_secs(14) + PROBED);
    assert_eq!(own(&rig).1, AddressState::Preferred);
    assert!(rig.stack.is_ready(rig.on));
}

/// Where there is another address none is chosen, nor on a medium without stations.
#[test]
fn nobody_chooses_without_need() {
    let given = Rig::with(|config| config.link_local_v4(true));
    assert!(all(&given).iter().all(|(cidr, _)| cidr.prefix() != 16));
    let tun = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500)).link_local_v4(true);
    assert!(all(&Rig::bare(Config::new(Seed::from_number(1)), tun)).is_empty());
}
