//! Strangers and unusual networks.

use super::segments::partial;
use super::*;

/// A stack whose right network is this one as well.
fn with_right(right: fn(InterfaceConfig) -> InterfaceConfig) -> Router {
    Router::with(Setting {
        right,
        ..Setting::default()
    })
}

fn questions(seen: &[Seen]) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let arps = seen.iter().filter(|seen| seen.kind == EtherType::ARP);
    let arps = arps.map(Seen::arp);
    arps.map(|arp| (arp.sender, arp.target)).collect()
}

/// Covers: FWD-7, FWD-9 (RFC 1812 §4.3.2.7: nobody is told whose address is no single host's, on whatever network).
#[test]
fn all_of_a_network_behind_us_are_not_told() {
    let mut router = Router::new();
    for src in [Ipv4Addr::new(10, 1, 0, 255), Ipv4Addr::new(10, 1, 0, 0)] {
        for ttl in [1, 64] {
            let dst = Ipv4Addr::new(192, 0, 2, 1);
            router.give(&four(b"text", |fields| {
                (fields.src, fields.dst, fields.ttl) = (src, dst, ttl);
            }));
        }
    }
    SIDES
        .iter()
        .for_each(|&side| assert!(router.drain(side).is_empty()));
}

/// Covers: FWD-12 (what is for us by another interface came by its own way as well).
#[test]
fn the_way_back_is_looked_at_for_an_address_of_ours_too() {
    let mut router = Router::with(Setting {
        options: Some(ForwardOptions::new().reverse_path(ReversePath::Strict)),
        ..Setting::default()
    });
    let forged = four(b"text", |fields| (fields.src, fields.dst) = (PEER, OURS));
    router.give_on(1, &forged);
    assert_eq!(router.drops(DropReason::ForwardReversePath), 1);
    SIDES
        .iter()
        .for_each(|&side| assert!(router.drain(side).is_empty()));
    router.give(&four(b"text", |fields| fields.dst = RIGHT));
    assert_eq!(router.drops(DropReason::ForwardReversePath), 1);
}

/// Who asks for a neighbour of the second network is of that network (Linux answers no other, by `rp_filter`).
#[test]
fn a_neighbour_is_asked_by_the_address_of_its_network() {
    let mut router = with_right(|config| config.address("192.168.5.1/24".parse().unwrap()));
    let dst = Ipv4Addr::new(192, 168, 5, 7);
    router.give(&four(b"text", |fields| fields.dst = dst));
    let asked = questions(&router.drain(1));
    assert_eq!(asked, [(Ipv4Addr::new(192, 168, 5, 1), dst)]);
}

/// A checksum that lies elsewhere than that of TCP or UDP is nobody's to complete (a tunnel's inner one).
#[test]
fn a_checksum_of_an_inner_packet_is_not_taken_for_the_outer() {
    let mut router = Router::new();
    let packet = four(&[7; 100], |_| {});
    let mut inner = partial(false, 16);
    inner.start += 28;
    let meta = RxMeta::new(router.now).with_checksum(RxChecksum::Partial(inner));
    router.receive_with(0, around(0, &packet), meta);
    assert!(router.drain(1).is_empty());
    assert_eq!(router.drops(DropReason::ForwardRefused), 1);
}

/// Covers: FWD-6, FWD-13 (RFC 4291 §2.5.6: where the link has no other, an address of another interface tells who is beyond it).
#[test]
fn who_is_beyond_a_link_without_addresses_is_told() {
    let far = "2001:db8:1::5".parse().unwrap();
    let hop: Ipv6Addr = "fe80::9".parse().unwrap();
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let now = Instant::from_millis(1000);
    let bare = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .dad_transmits(0)
        .link_local(true)
        .route("2001:db8:1::/48".parse().unwrap(), Some(hop.into()))
        .forwarding(ForwardOptions::new());
    let full = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(RIGHT_MAC)
        .dad_transmits(0)
        .address("fd01::1/64".parse().unwrap())
        .forwarding(ForwardOptions::new());
    let on = [bare, full].map(|config| stack.add_interface(now, config).unwrap());
    let port = |on| Port::new(on, (Coming::default(), Recorder::default()));
    let ports = on.into_iter().map(port).collect();
    let mut router = Router {
        stack,
        on,
        ports,
        now,
    };
    router.receive(
        0,
        solicitation(hop, PEER_MAC, "fe80::ff:fe00:1".parse().unwrap()),
    );
    SIDES.iter().for_each(|&side| drop(router.drain(side)));
    router.give(&six(b"text", |fields| {
        (fields.src, fields.hop_limit) = (far, 1);
    }));
    let told = router.only(0);
    let (fields, _) = told.icmp6();
    assert_eq!((told.dst, fields.src, fields.dst), (PEER_MAC, RIGHT6, far));
}
