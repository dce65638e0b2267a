//! What an interface that passes packets on is to its neighbours: a router, who knows nearer ways.

use super::*;
use crate::ipv6::icmp::Message as Icmpv6;
use crate::stack::AddressOptions;

/// A third host of the left network, and a router there.
const THIRD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const THIRD6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 3);
const HOP6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);

fn with_routes(config: InterfaceConfig) -> InterfaceConfig {
    config
        .route("192.0.2.0/24".parse().unwrap(), Some(THIRD.into()))
        .route("2001:db8::/32".parse().unwrap(), Some(HOP6.into()))
}

fn hairpin(options: ForwardOptions) -> Router {
    let mut router = Router::with(Setting {
        options: Some(options),
        left: with_routes,
        ..Setting::default()
    });
    router.introduce(0, OTHER_MAC, THIRD, THIRD6);
    router.receive(0, solicitation(HOP6, OTHER_MAC, OURS6));
    router.drain(0);
    router
}

/// Covers: FWD-21 (RFC 792, RFC 1812 §5.2.7.2: to the host, with the router or the host itself).
#[test]
fn a_nearer_way_is_told_of() {
    let mut router = hairpin(ForwardOptions::new());
    for dst in ["10.0.0.3", "192.0.2.9"] {
        let packet = four(b"text", |fields| fields.dst = dst.parse().unwrap());
        router.give(&packet);
        let frames = router.drain(0);
        let [redirect, passed] = &frames[..] else {
            panic!("{frames:?}");
        };
        let (fields, message) = redirect.v4();
        assert_eq!(
            (redirect.dst, fields.src, fields.dst),
            (PEER_MAC, OURS, PEER)
        );
        assert_eq!(message[..2], [5, 1]);
        assert_eq!(
            (&message[4..8], &message[8..]),
            (&THIRD.octets()[..], &packet[..])
        );
        assert_eq!(
            (passed.dst, &passed.packet),
            (OTHER_MAC, &one_hop_less(&packet))
        );
    }
    assert_eq!(router.stack.counters().redirects_sent, 2);
}

/// Covers: FWD-22 (RFC 4861 §8.2: from the link-local address, the target's too where it is a router).
#[test]
fn a_nearer_way_is_told_of_over_ipv6() {
    let own: Ipv6Addr = "fe80::ff:fe00:1".parse().unwrap();
    let mut router = hairpin(ForwardOptions::new());
    for (dst, hop) in [(THIRD6, THIRD6), ("2001:db8::9".parse().unwrap(), HOP6)] {
        let packet = six(b"text", |fields| fields.dst = dst);
        router.give(&packet);
        let frames = router.drain(0);
        let [redirect, passed] = &frames[..] else {
            panic!("{frames:?}");
        };
        let (header, _) = ipv6::Header::parse(&redirect.packet).unwrap();
        let (fields, message) = redirect.icmp6();
        assert_eq!(
            (fields.src, fields.dst, redirect.dst),
            (own, PEER6, PEER_MAC)
        );
        let Icmpv6::Ndp(message) = message else {
            panic!("{message:?}");
        };
        assert_eq!(message.check(&header), Ok(()));
        let Message::Redirect {
            target,
            destination,
            options,
        } = message
        else {
            panic!("{message:?}");
        };
        assert_eq!((target, destination), (hop, dst));
        assert_eq!(options.target_link_address(), Some(OTHER_MAC));
        let quoted = packet.len() & !7;
        assert!(options.as_bytes().ends_with(&packet[..quoted]));
        assert_eq!(
            (passed.dst, &passed.packet),
            (OTHER_MAC, &one_hop_less(&packet))
        );
    }
    assert_eq!(router.stack.counters().redirects_sent, 2);
}

/// Covers: FWD-21, FWD-22 (not to strangers, not about errors, not without end, and not where they are turned off).
#[test]
fn redirects_are_few() {
    let mut router = hairpin(ForwardOptions::new());
    for _ in 0..50 {
        router.give(&four(b"text", |fields| fields.dst = THIRD));
    }
    let all = router.drain(0);
    let redirects = all.iter().filter(|seen| seen.dst == PEER_MAC).count();
    assert_eq!((redirects, all.len()), (6, 56));
    // Errors have a limit of their own.
    router.give(&four(b"text", |fields| fields.ttl = 1));
    assert_eq!(router.drain(0).len(), 1);
    // From behind a router on this link.
    let mut router = hairpin(ForwardOptions::new());
    router.give(&four(b"text", |fields| {
        (fields.src, fields.dst) = ([192, 0, 2, 50].into(), THIRD);
    }));
    assert_eq!(router.only(0).dst, OTHER_MAC);
    let mut router = hairpin(ForwardOptions::new().redirects(false));
    router.give(&four(b"text", |fields| fields.dst = THIRD));
    router.give(&six(b"text", |fields| fields.dst = THIRD6));
    assert_eq!(router.drain(0).len(), 2);
    assert_eq!(router.stack.counters().redirects_sent, 0);
}

/// Covers: FWD-21 (who has no address to tell it from takes no turn of those who do: whoever is told then is told at once).
#[test]
fn a_redirect_that_nobody_can_send_is_none_of_the_limit() {
    let mut router = Router::alone(Setting {
        left: |_| {
            InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
                .mac(OUR_MAC)
                .dad_transmits(0)
                .address("fd00::1/64".parse().unwrap())
                .route("10.0.0.0/24".parse().unwrap(), None)
        },
        ..Setting::default()
    });
    let packet = four(b"text", |fields| fields.dst = THIRD);
    for _ in 0..50 {
        router.give(&packet);
    }
    router.drain(0);
    assert_eq!(router.stack.counters().redirects_sent, 0);
    let ours = "10.0.0.1/24".parse().unwrap();
    let now = router.now;
    let (on, any) = (router.on[0], AddressOptions::new());
    router.stack.add_address(now, on, ours, any).unwrap();
    router.give(&packet);
    assert_eq!(router.stack.counters().redirects_sent, 1);
}

/// RFC 4291 §2.6.1: who wants a subnet's router gets one, where its anycast address was given; it is nobody's alone.
#[test]
fn a_router_may_have_the_anycast_address_of_a_subnet() {
    let mut router = Router::new();
    let (any, now) = (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0), router.now);
    let (cidr, options) = ("fd00::/128", AddressOptions::new().anycast(true));
    let cidr = cidr.parse().unwrap();
    router
        .stack
        .add_address(now, router.on[0], cidr, options)
        .unwrap();
    router.drain(0);
    router.receive(0, solicitation(PEER6, PEER_MAC, any));
    router.advance(Duration::from_millis(1100));
    let answer = router.only(0);
    let (fields, message) = answer.icmp6();
    assert_eq!(fields.dst, PEER6);
    assert_ne!(fields.src, any);
    let Icmpv6::Ndp(Message::NeighborAdvertisement { flags, target, .. }) = message else {
        panic!("{message:?}");
    };
    assert_eq!(target, any);
    assert_eq!(flags, NeighborFlags::ROUTER | NeighborFlags::SOLICITED);
    // What is sent to it is for us, and is not passed on.
    let datagram = udp_bytes((PEER6, 9).into(), (any, 7).into(), b"text");
    router.give(&ip(PEER6.into(), any.into(), Protocol::UDP, &datagram));
    assert_eq!(router.error6().0, 1, "nobody takes the port");
    assert!(router.drain(1).is_empty());
}

/// Covers: FWD-23 (RFC 4861 §4.4: the R flag, and of a host none).
#[test]
fn advertisements_say_that_it_is_a_router() {
    for (options, is_router) in [
        (Some(ForwardOptions::new()), true),
        (Some(ForwardOptions::new().v6(false)), false),
        (None, false),
    ] {
        let mut router = Router::with(Setting {
            options,
            ..Setting::default()
        });
        router.receive(0, solicitation(PEER6, PEER_MAC, OURS6));
        let seen = router.only(0);
        let (_, Icmpv6::Ndp(Message::NeighborAdvertisement { flags, .. })) = seen.icmp6() else {
            panic!("{seen:?}");
        };
        assert_eq!(flags.contains(NeighborFlags::ROUTER), is_router);
    }
}

/// Covers: FWD-24 (RFC 4291 §2.8: the groups of all routers).
#[test]
fn all_routers_are_spoken_to() {
    let echo = Icmpv6::EchoRequest {
        id: 1,
        seq: 1,
        data: b"xy",
    };
    for (options, answers) in [(Some(ForwardOptions::new()), 1), (None, 0)] {
        let mut router = Router::with(Setting {
            options,
            ..Setting::default()
        });
        for group in [ipv6::ALL_ROUTERS, "ff05::2".parse().unwrap()] {
            let mut bytes = vec![0; echo.len()];
            echo.emit(PEER6, group, &mut bytes);
            let packet = ip(PEER6.into(), group.into(), Protocol::ICMPV6, &bytes);
            let to = ethernet::ipv6_multicast(group);
            router.receive(0, eth(to, PEER_MAC, EtherType::IPV6, &packet));
            assert_eq!(router.drain(0).len(), answers, "{group}");
        }
        let group = "224.0.0.2".parse().unwrap();
        let interface = &router.stack.net.interfaces[0];
        assert_eq!(interface.groups.takes(group), answers == 1);
    }
}

/// Covers: FWD-25 (RFC 4861 §6.2.7, §8.3: a router listens to no other, unless it is told to).
#[test]
fn a_router_listens_to_no_other() {
    let from: Ipv6Addr = "fe80::77".parse().unwrap();
    for (accepts, listens) in [(false, 0), (true, 1)] {
        let mut router = Router::with(Setting {
            options: Some(ForwardOptions::new().accept_routers(accepts)),
            left: |config| with_routes(config.router_discovery(true)),
            ..Setting::default()
        });
        let options = ipv6::ndp::Options::source_link_address_bytes(OTHER_MAC);
        let advert = Message::RouterAdvertisement {
            hop_limit: 64,
            flags: ipv6::ndp::RouterFlags::empty(),
            lifetime: 1800,
            reachable_time: 0,
            retrans_timer: 0,
            options: ipv6::ndp::Options::new(&options),
        };
        router.receive(0, ndp_frame(OTHER_MAC, from, ipv6::ALL_NODES, advert));
        assert_eq!(router.stack.counters().router_adverts_received, listens);
    }
    // Nor is it led elsewhere by redirects.
    let mut router = hairpin(ForwardOptions::new());
    let redirect = Message::Redirect {
        target: from,
        destination: "2001:db8::9".parse().unwrap(),
        options: ipv6::ndp::Options::new(&[]),
    };
    router.receive(0, ndp_frame(OTHER_MAC, HOP6, OURS6, redirect));
    assert_eq!(router.stack.counters().redirects_followed, 0);
    assert_eq!(router.drops(DropReason::IcmpIgnored), 1);
}
