//! Addresses that other stations have as well.

use super::*;
use ipv6::ndp::NeighborFlags;

const ANYCAST: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x77);

fn add(rig: &mut Rig, options: AddressOptions) -> Result<(), AddressError> {
    let cidr = format!("{ANYCAST}/128").parse().unwrap();
    rig.stack.add_address(rig.now, rig.on, cidr, options)
}

fn rig() -> Rig {
    let mut rig = Rig::with(|config| config.report_own_groups(false));
    rig.introduce();
    // To be probed for makes no difference.
    add(&mut rig, AddressOptions::new().anycast(true).probe(true)).unwrap();
    assert!(rig.drain().is_empty(), "nobody is asked for it");
    rig
}

/// Covers: NDP-33: who asks for it is told within a second, as one of several, from an address that is ours alone; SLA-3: it is in use at
/// once.
#[test]
fn who_asks_for_an_anycast_address_is_answered_in_a_while() {
    let mut rig = rig();
    let mut infos = rig.stack.address_infos(rig.on);
    let own = infos.find(|info| info.cidr.address() == ANYCAST);
    let own = own.unwrap();
    drop(infos);
    assert!(own.anycast && own.state == AddressState::Preferred);
    let mut late = Vec::new();
    for _ in 0..20 {
        rig.receive(solicitation(PEER6, PEER_MAC, ANYCAST));
        assert!(rig.drain().is_empty(), "not at once");
        let asked = rig.now;
        while rig.device().frames.is_empty() {
            rig.advance(Duration::from_millis(10));
        }
        late.push(rig.now.since(asked).as_millis());
        let answer = rig.only();
        let (fields, message) = answer.icmp6();
        assert_eq!((fields.src, fields.dst), (OURS6, PEER6));
        let Icmpv6::Ndp(Message::NeighborAdvertisement { flags, target, .. }) = message else {
            panic!("{message:?}");
        };
        assert_eq!((flags, target), (NeighborFlags::SOLICITED, ANYCAST));
    }
    let (least, most) = (late.iter().min().unwrap(), late.iter().max().unwrap());
    assert!(*most <= 1010 && *most > 600 && *least < 400, "{late:?}");
    // One of ours alone answers at once, and takes its place.
    rig.receive(solicitation(PEER6, PEER_MAC, OURS6));
    let answer = rig.only();
    let Icmpv6::Ndp(Message::NeighborAdvertisement { flags, .. }) = answer.icmp6().1 else {
        panic!("an advertisement");
    };
    assert!(flags.contains(NeighborFlags::OVERRIDE));
}

/// Covers: NDP-33: others that have it are no conflict.
#[test]
fn another_station_may_have_it_too() {
    let mut rig = rig();
    rig.receive(advertisement(
        NeighborFlags::empty(),
        PEER_MAC,
        ANYCAST,
        ipv6::ALL_NODES,
    ));
    rig.receive(solicitation(Ipv6Addr::UNSPECIFIED, PEER_MAC, ANYCAST));
    rig.advance(Duration::from_secs(1));
    assert_eq!(rig.drain().len(), 1, "who probes for it is told of us");
    assert_eq!(rig.stack.counters().address_conflicts, 0);
    assert_eq!(rig.drops(DropReason::IcmpIgnored), 1);
}

/// More than wait are answered at once; one that goes is no longer answered for.
#[test]
fn few_answers_wait() {
    let mut rig = rig();
    for n in 1..=70 {
        let from = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, n);
        rig.receive(solicitation(from, PEER_MAC, ANYCAST));
    }
    assert_eq!(rig.drain().len(), 6);
    rig.advance(Duration::from_secs(1));
    assert_eq!(rig.drain().len(), 64);
    rig.receive(solicitation(PEER6, PEER_MAC, ANYCAST));
    let gone = rig.stack.remove_address(rig.now, rig.on, ANYCAST.into());
    gone.unwrap();
    rig.advance(Duration::from_secs(2));
    assert!(rig.drain().is_empty());
    assert_eq!(rig.stack.poll_timeout(), None);
}

/// Covers: IC6-15: what answers for the host has an address of its own, and nothing is sent from the other unless a socket is bound to
/// it.
#[test]
fn an_anycast_address_is_no_source_but_of_who_is_bound_to_it() {
    let mut rig = rig();
    let mut echo = [0; 8];
    let ask = Icmpv6::EchoRequest {
        id: 1,
        seq: 2,
        data: &[],
    };
    ask.emit(PEER6, ANYCAST, &mut echo);
    let ends = (PEER6.into(), ANYCAST.into());
    rig.receive(ip_frame(ends.0, ends.1, Protocol::ICMPV6, &echo));
    assert_eq!(rig.only().v6().0.src, OURS6);
    rig.receive(udp_frame("[fd00::2]:9", "[fd00::77]:7", b"nobody there"));
    assert_eq!(rig.only().v6().0.src, OURS6);
    let from = |rig: &mut Rig, local: &str| {
        let local = local.parse().unwrap();
        let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
        // Nearer to the other than to the one of our own.
        let to = Some("[fd00::2]:9".parse().unwrap());
        rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
        rig.only().v6().0.src
    };
    assert_eq!(from(&mut rig, "[::]:7"), OURS6);
    assert_eq!(from(&mut rig, "[fd00::77]:8"), ANYCAST);
}

#[test]
fn only_addresses_of_ipv6_are_anycast() {
    let mut rig = Rig::new();
    let cidr: Cidr = "10.0.0.77/32".parse().unwrap();
    let options = AddressOptions::new().anycast(true);
    let added = rig.stack.add_address(rig.now, rig.on, cidr, options);
    assert_eq!(added, Err(AddressError::Anycast(cidr.address())));
}
