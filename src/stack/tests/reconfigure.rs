//! Interfaces that change while the stack runs: addresses, routes, the link, the MTU, and what is told of it.

use super::*;
use crate::tcp::{TcpFailure, TcpOptions};

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn changes(rig: &mut Rig) -> Vec<Change> {
    let changes = core::iter::from_fn(|| rig.stack.poll_change());
    let mine = changes.inspect(|(on, _)| assert_eq!(*on, InterfaceId::from_index(0)));
    mine.map(|(_, change)| change).collect()
}

fn add(rig: &mut Rig, address: &str, options: AddressOptions) -> Result<(), AddressError> {
    let (now, on) = (rig.now, rig.on);
    rig.stack.add_address(now, on, cidr(address), options)
}

fn remove(rig: &mut Rig, address: &str) -> Result<(), AddressError> {
    let (now, on) = (rig.now, rig.on);
    rig.stack.remove_address(now, on, address.parse().unwrap())
}

fn states(rig: &Rig) -> Vec<(String, AddressState)> {
    let all = rig.stack.addresses(rig.on);
    all.map(|(cidr, state)| (cidr.to_string(), state)).collect()
}

/// An interface that probes for IPv4 addresses.
fn probing(change: impl FnOnce(InterfaceConfig) -> InterfaceConfig) -> Rig {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .probe_v4(true);
    Rig::bare(Config::new(Seed::from_number(1)), change(interface))
}

fn state(rig: &Rig) -> AddressState {
    rig.stack.addresses(rig.on).next().unwrap().1
}

/// When each probe leaves until the address is in use, in milliseconds; nothing else does.
fn probes_until_ready(rig: &mut Rig) -> Vec<u128> {
    let begin = rig.now;
    let mut seen = Vec::new();
    while !rig.stack.is_ready(rig.on) {
        rig.advance(Duration::from_millis(10));
        if rig.stack.is_ready(rig.on) {
            break;
        }
        for frame in rig.drain() {
            assert_eq!(frame.dst, MacAddr::BROADCAST);
            assert_eq!(frame.arp(), arp::Packet::probe(OUR_MAC, OURS));
            seen.push(rig.now.since(begin).as_millis());
        }
        assert!(rig.now.since(begin) < Duration::from_secs(8));
    }
    seen
}

/// Covers: ACD-1, ACD-2, ACD-3 (probed for before it is used: nobody is told of it, nothing leaves from it; then announced
/// twice). An address of a configuration, and one that is added.
#[test]
fn an_ipv4_address_is_probed_for_before_it_is_used() {
    for at_once in [true, false] {
        let address = |c: InterfaceConfig| {
            if at_once {
                c.address(cidr("10.0.0.1/24"))
            } else {
                c
            }
        };
        let mut rig = probing(address);
        if !at_once {
            add(&mut rig, "10.0.0.1/24", AddressOptions::new()).unwrap();
        }
        let begin = rig.now;
        let to = Some("10.0.0.2:7".parse().unwrap());
        let any = "0.0.0.0:0".parse().unwrap();
        let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
        rig.stack.udp_send_to(rig.now, id, to, b"early").unwrap();
        let seen = probes_until_ready(&mut rig);
        let [first, second, third] = seen[..] else {
            panic!("{seen:?}")
        };
        assert!(first <= 1010, "{seen:?}");
        for gap in [second - first, third - second] {
            assert!((990..=2010).contains(&gap), "{seen:?}");
        }
        let silence = rig.now.since(begin).as_millis() - third;
        assert!((1990..=2010).contains(&silence), "{silence}");
        assert_eq!(
            changes(&mut rig),
            [Change::AddressPreferred(cidr("10.0.0.1/24"))]
        );
        let frames = rig.drain();
        let announced = frames.iter().filter(|frame| frame.arp().is_announcement());
        assert_eq!(
            announced.count(),
            1,
            "and the question for the neighbour: {frames:?}"
        );
        rig.advance(Duration::from_secs(2));
        assert!(
            rig.drain()
                .iter()
                .any(|frame| frame.arp().is_announcement())
        );
        rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
        assert!(
            rig.drain()
                .iter()
                .any(|frame| frame.packet.ends_with(b"early"))
        );
    }
}

/// Covers: ACD-4, ACD-5 (who has it, in a request or a reply, and who probes for it too; not our own probe come back).
#[test]
fn another_station_has_or_wants_what_is_probed_for() {
    let claims = [
        arp::Packet::announcement(OTHER_MAC, OURS),
        arp::Packet::request(OTHER_MAC, OURS, PEER),
        arp::Packet::probe(OUR_MAC, OURS).reply(OTHER_MAC),
        arp::Packet::probe(OTHER_MAC, OURS),
    ];
    for claim in claims {
        let mut rig = probing(|c| c.address(cidr("10.0.0.1/24")));
        rig.advance(Duration::from_millis(1500));
        rig.receive(arp_frame(&arp::Packet::probe(OUR_MAC, OURS)));
        assert_eq!(state(&rig), AddressState::Tentative, "our own");
        rig.receive(arp_frame(&arp::Packet::probe(
            OTHER_MAC,
            Ipv4Addr::new(10, 0, 0, 9),
        )));
        assert_eq!(
            state(&rig),
            AddressState::Tentative,
            "another's for another"
        );
        rig.drain();
        let mut claim = arp_frame(&claim);
        claim[..6].copy_from_slice(&[0xff; 6]);
        rig.receive(claim.clone());
        assert_eq!(state(&rig), AddressState::Duplicate);
        let duplicate = Change::AddressDuplicate(cidr("10.0.0.1/24"), Some(OTHER_MAC));
        assert_eq!(changes(&mut rig), [duplicate]);
        let told: Vec<_> = rig.stack.conflicts(rig.on).collect();
        assert_eq!(told, [(OURS.into(), Some(OTHER_MAC))]);
        rig.advance(Duration::from_secs(20));
        assert!(rig.drain().is_empty(), "it is not defended");
        // It is tried again only when somebody says so.
        assert_eq!(
            add(&mut rig, "10.0.0.1/24", AddressOptions::new()),
            Err(AddressError::Exists(OURS.into()))
        );
        remove(&mut rig, "10.0.0.1").unwrap();
        add(&mut rig, "10.0.0.1/24", AddressOptions::new()).unwrap();
        assert_eq!(state(&rig), AddressState::Tentative);
        assert_eq!(rig.stack.conflict_count(rig.on), 0);
    }
}

/// Nothing of a tentative address: no answer to who asks for it.
#[test]
fn a_tentative_ipv4_address_answers_nobody() {
    let mut rig = probing(|c| c.address(cidr("10.0.0.1/24")));
    rig.advance(Duration::from_millis(1500));
    rig.drain();
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    rig.receive(udp_frame("10.0.0.2:1", "10.0.0.1:7", b"x"));
    assert!(rig.drain().is_empty());
    assert_eq!(rig.drops(DropReason::IpTentative), 1);
}

/// The unit scales all of it, and no probes are none.
#[test]
fn probing_takes_as_long_as_it_is_set_to() {
    let ready = |change: fn(InterfaceConfig) -> InterfaceConfig| {
        let mut rig = probing(|c| change(c.address(cidr("10.0.0.1/24"))));
        let begin = rig.now;
        while !rig.stack.is_ready(rig.on) {
            rig.advance(Duration::from_millis(1));
        }
        rig.now.since(begin).as_millis()
    };
    assert_eq!(ready(|c| c.acd_probes(0)), 0);
    let short = ready(|c| c.acd_unit(Duration::from_millis(10)));
    assert!((40..=75).contains(&short), "{short}");
    let one = ready(|c| c.acd_probes(1));
    assert!((2000..=3010).contains(&one), "{one}");
}

/// An address that comes is ours at once where it is not probed for: announced, answered for, sent from; and it goes with
/// all that came with it.
#[test]
fn an_address_comes_and_goes() {
    let mut rig = Rig::new();
    rig.introduce();
    let (own, before) = ("192.168.7.1", states(&rig));
    add(&mut rig, "192.168.7.1/24", AddressOptions::new()).unwrap();
    assert_eq!(
        changes(&mut rig),
        [Change::AddressPreferred(cidr("192.168.7.1/24"))]
    );
    assert!(rig.only().arp().is_announcement());
    let ip: IpAddr = own.parse().unwrap();
    let far = "192.168.7.9".parse().unwrap();
    assert_eq!(rig.stack.resolve_route(far), Some((rig.on, ip)));
    let routes = |rig: &Rig| {
        rig.stack
            .routes(rig.on)
            .filter(|r| r.to == cidr("192.168.7.0/24"))
            .count()
    };
    assert_eq!(routes(&rig), 1);
    rig.receive(udp_frame("10.0.0.2:1", "192.168.7.1:7", b"x"));
    assert_eq!(rig.drops(DropReason::UdpNoSocket), 1);
    rig.drain();

    remove(&mut rig, own).unwrap();
    assert_eq!(
        changes(&mut rig),
        [Change::AddressGone(cidr("192.168.7.1/24"))]
    );
    assert_eq!((states(&rig), routes(&rig)), (before, 0));
    assert_eq!(rig.stack.resolve_route(far), None);
    rig.receive(udp_frame("10.0.0.2:1", "192.168.7.1:7", b"x"));
    rig.receive(udp_frame("10.0.0.2:1", "192.168.7.255:7", b"x"));
    assert_eq!(rig.drops(DropReason::IpNotOurs), 2);
    let asked = arp::Packet::request(PEER_MAC, PEER, "192.168.7.1".parse().unwrap());
    rig.receive(arp_frame(&asked));
    rig.advance(Duration::from_secs(5));
    let of_it = |frame: &Seen| frame.kind == EtherType::ARP && frame.arp().sender == ip;
    let frames = rig.drain();
    assert!(
        !frames.iter().any(of_it),
        "the second announcement too: {frames:?}"
    );
    assert_eq!(remove(&mut rig, own), Err(AddressError::NotThere(ip)));
}

/// The route to a network stays as long as an address of it does.
#[test]
fn a_network_goes_with_its_last_address() {
    let mut rig = Rig::new();
    add(&mut rig, "10.0.0.7/24", AddressOptions::new()).unwrap();
    let source = |rig: &Rig| {
        rig.stack
            .resolve_route(PEER.into())
            .map(|(_, source)| source)
    };
    assert_eq!(source(&rig), Some(OURS.into()));
    remove(&mut rig, "10.0.0.1").unwrap();
    assert_eq!(source(&rig), Some("10.0.0.7".parse().unwrap()));
    rig.receive(udp_frame("10.0.0.2:1", "10.0.0.255:7", b"x"));
    assert_eq!(
        rig.drops(DropReason::UdpNoSocket),
        1,
        "its broadcasts are taken"
    );
    remove(&mut rig, "10.0.0.7").unwrap();
    assert_eq!(source(&rig), None);
}

/// What cannot be an address, or is none of ours, is refused in words, and changes nothing.
#[test]
fn what_cannot_be_an_address_is_refused() {
    let mut rig = Rig::with(|c| c.gateway("10.0.0.254".parse().unwrap()));
    let before = states(&rig);
    let (now, nowhere) = (rig.now, InterfaceId::from_index(7));
    let there = rig
        .stack
        .add_address(now, nowhere, cidr("10.0.0.9/24"), AddressOptions::new());
    assert_eq!(there, Err(AddressError::Interface(nowhere)));
    #[rustfmt::skip]
    let rows = [
        ("127.0.0.1/8", AddressError::Unusable(cidr("127.0.0.1/8"))),
        ("10.0.0.255/24", AddressError::Unusable(cidr("10.0.0.255/24"))),
        ("ff02::1/64", AddressError::Unusable(cidr("ff02::1/64"))),
        ("10.0.0.1/16", AddressError::Exists(OURS.into())),
        ("10.0.0.254/24", AddressError::Gateway("10.0.0.254".parse().unwrap())),
        ("10.0.0.253/31", AddressError::Exists(OURS.into())),
    ];
    for (address, error) in &rows[..5] {
        assert_eq!(
            add(&mut rig, address, AddressOptions::new()),
            Err(*error),
            "{address}"
        );
    }
    assert_eq!(states(&rig), before);
    assert!(changes(&mut rig).is_empty());
    let mut narrow = Rig::with(|c| c);
    let (now, on) = (narrow.now, narrow.on);
    remove(&mut narrow, "fd00::1").unwrap();
    narrow.stack.set_mtu(now, on, 576).unwrap();
    let refused = add(&mut narrow, "fd00::1/64", AddressOptions::new());
    let (address, mtu) = (cidr("fd00::1/64"), 576);
    assert_eq!(refused, Err(AddressError::Mtu { address, mtu }));
}

/// Covers: SLA-11 (a deprecated address goes on for who has it, is a destination, and no source for others), SLA-12.
#[test]
fn a_deprecated_address_serves_who_has_it_and_an_invalid_one_nobody() {
    let mut rig = Rig::new();
    let lives = AddressOptions::new()
        .preferred(Duration::from_secs(1))
        .valid(Duration::from_secs(2));
    remove(&mut rig, "fd00::1").unwrap();
    add(&mut rig, "fd00::1/64", lives).unwrap();
    add(&mut rig, "fd00::8/64", AddressOptions::new()).unwrap();
    changes(&mut rig);
    rig.receive(solicitation(PEER6, PEER_MAC, OURS6));
    rig.drain();
    let to: SocketAddr = "[fd00::2]:80".parse().unwrap();
    let connect = |rig: &mut Rig| {
        let id = rig
            .stack
            .tcp_connect(rig.now, to, None, TcpOptions::default())
            .unwrap();
        (id, rig.stack.tcp_local_addr(id).unwrap().ip())
    };
    let (first, from) = connect(&mut rig);
    assert_eq!(from, IpAddr::V6(OURS6));
    rig.drain();
    rig.advance(Duration::from_secs(1));
    assert_eq!(
        changes(&mut rig),
        [Change::AddressDeprecated(cidr("fd00::1/64"))]
    );
    let (_, from) = connect(&mut rig);
    assert_eq!(from, "fd00::8".parse::<IpAddr>().unwrap());
    // It is still a destination, and what began with it goes on.
    rig.receive(udp_frame("[fd00::2]:1", "[fd00::1]:7", b"x"));
    assert_eq!(rig.drops(DropReason::UdpNoSocket), 1);
    assert_eq!(rig.stack.tcp_failure(first), Ok(None));
    rig.advance(Duration::from_secs(1));
    assert_eq!(changes(&mut rig), [Change::AddressGone(cidr("fd00::1/64"))]);
    assert_eq!(
        rig.stack.tcp_failure(first),
        Ok(Some(TcpFailure::AddressGone))
    );
    rig.receive(udp_frame("[fd00::2]:1", "[fd00::1]:7", b"x"));
    assert_eq!(rig.drops(DropReason::IpNotOurs), 1);
}

/// A deprecated address is better than none, in both families.
#[test]
fn the_last_address_is_used_though_it_is_deprecated() {
    for (own, to) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
        let mut rig = Rig::new();
        let (now, on) = (rig.now, rig.on);
        let ip = own.parse().unwrap();
        let forever = Instant::FAR_FUTURE;
        rig.stack
            .net
            .set_lifetimes(now, on, ip, now, forever)
            .unwrap();
        let route = |rig: &Rig| rig.stack.resolve_route(to.parse().unwrap());
        assert_eq!(route(&rig), Some((on, ip)));
        let length = if ip.is_ipv4() { 24 } else { 64 };
        let other = format!("{}7/{length}", &own[..own.len() - 1]);
        add(&mut rig, &other, AddressOptions::new()).unwrap();
        assert_eq!(
            route(&rig).map(|(_, source)| source),
            Some(cidr(&other).address())
        );
        rig.stack
            .net
            .set_lifetimes(now, on, ip, forever, forever)
            .unwrap();
        assert_eq!(
            route(&rig),
            Some((on, ip)),
            "preferred again, and the first"
        );
    }
}

/// r54 for datagrams: each call fails by what happened, once what had come is read; the handle is told.
#[test]
fn r54_an_address_that_goes_fails_its_udp_sockets() {
    let mut rig = Rig::new();
    rig.introduce();
    let bind = |rig: &mut Rig, at: &str| {
        let at = at.parse().unwrap();
        rig.stack.udp_bind(at, UdpOptions::new()).unwrap()
    };
    let peer: SocketAddr = "10.0.0.2:9".parse().unwrap();
    let (bound, connected) = (bind(&mut rig, "10.0.0.1:7"), bind(&mut rig, "0.0.0.0:8"));
    let (any, other) = (bind(&mut rig, "0.0.0.0:9"), bind(&mut rig, "[fd00::1]:7"));
    rig.stack.udp_connect(connected, peer).unwrap();
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"came"));
    while rig.event().is_some() {}
    for id in [bound, connected, any, other] {
        while rig.stack.udp_recv(id).is_ok() {}
    }
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"late"));
    // One waits to leave.
    rig.stack
        .udp_send_to(rig.now, bound, Some(peer), b"stays")
        .unwrap();
    remove(&mut rig, "10.0.0.1").unwrap();
    assert!(rig.drain().is_empty());
    assert_eq!(
        rig.drops(DropReason::IpSourceGone) + rig.drops(DropReason::NoRoute),
        1
    );
    let mut told: Vec<_> = core::iter::from_fn(|| rig.event())
        .map(|event| event.id)
        .collect();
    told.sort_unstable();
    assert_eq!(told, [SocketId::Udp(bound), SocketId::Udp(connected)]);
    let late = rig.stack.udp_recv(bound);
    assert_eq!(late.map(|datagram| datagram.data == b"late"[..]), Ok(true));
    for id in [bound, connected] {
        for _ in 0..2 {
            assert_eq!(rig.stack.udp_recv(id), Err(RecvError::AddressGone));
            let sent = rig.stack.udp_send_to(rig.now, id, Some(peer), b"x");
            assert_eq!(sent, Err(SendError::AddressGone));
        }
    }
    let again = rig.stack.udp_connect(bound, peer);
    assert_eq!(again, Err(ConnectUdpError::AddressGone));
    for id in [any, other] {
        assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
    }
    let kinds = [
        std::io::Error::from(RecvError::AddressGone).kind(),
        std::io::Error::from(SendError::AddressGone).kind(),
        std::io::Error::from(ConnectUdpError::AddressGone).kind(),
    ];
    assert_eq!(kinds, [std::io::ErrorKind::AddrNotAvailable; 3]);
    // It comes back, and they with it.
    add(&mut rig, "10.0.0.1/24", AddressOptions::new()).unwrap();
    rig.drain();
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"again"));
    assert!(rig.stack.udp_recv(bound).is_ok());
}

/// Who waits for an address that goes is told, and packets that wait for a neighbour do not leave from it.
#[test]
fn what_waits_for_an_address_or_from_one_goes_with_it() {
    let mut rig = Rig::new();
    let any = "0.0.0.0:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let to = Some("10.0.0.2:7".parse().unwrap());
    rig.stack.udp_send_to(rig.now, id, to, b"queued").unwrap();
    assert_eq!(rig.only().kind, EtherType::ARP);
    remove(&mut rig, "10.0.0.1").unwrap();
    rig.receive(arp_frame(
        &arp::Packet::request(OUR_MAC, OURS, PEER).reply(PEER_MAC),
    ));
    assert!(rig.drain().is_empty());
    assert_eq!(rig.drops(DropReason::IpSourceGone), 1);

    let mut rig = probing(|c| c.address(cidr("10.0.0.1/24")));
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    rig.stack.udp_send_to(rig.now, id, to, b"waits").unwrap();
    rig.drain();
    remove(&mut rig, "10.0.0.1").unwrap();
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::HostUnreachable));
    assert!(rig.stack.net.interfaces[0].waiters.is_empty());
}

/// Routes and gateways come and go; what is sent follows from its next packet on.
#[test]
fn routes_come_and_go() {
    let mut rig = Rig::new();
    rig.introduce();
    let (now, on) = (rig.now, rig.on);
    let far: IpAddr = "8.8.8.8".parse().unwrap();
    let via = |text: &str| -> IpAddr { text.parse().unwrap() };
    assert_eq!(rig.stack.resolve_route(far), None);
    rig.stack.add_gateway(now, on, via("10.0.0.2")).unwrap();
    let any = "0.0.0.0:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let to = Some("8.8.8.8:53".parse().unwrap());
    rig.stack.udp_send_to(now, id, to, b"one").unwrap();
    assert_eq!(rig.only().dst, PEER_MAC);
    rig.receive(arp_frame(&arp::Packet::request(
        OTHER_MAC,
        Ipv4Addr::new(10, 0, 0, 3),
        OURS,
    )));
    rig.drain();
    rig.stack
        .add_route(now, on, cidr("8.8.0.0/16"), Some(via("10.0.0.3")))
        .unwrap();
    rig.stack.udp_send_to(now, id, to, b"two").unwrap();
    assert_eq!(rig.only().dst, OTHER_MAC);
    let there = rig
        .stack
        .add_route(now, on, cidr("8.8.1.1/16"), Some(via("10.0.0.3")));
    assert_eq!(there, Err(RouteChangeError::Exists(cidr("8.8.1.1/16"))));
    rig.stack
        .remove_route(now, on, cidr("8.8.0.0/16"), Some(via("10.0.0.3")))
        .unwrap();
    rig.stack.remove_gateway(now, on, via("10.0.0.2")).unwrap();
    let gone = rig.stack.remove_gateway(now, on, via("10.0.0.2"));
    assert_eq!(gone, Err(RouteChangeError::NotThere(cidr("0.0.0.0/0"))));
    let sent = rig.stack.udp_send_to(now, id, to, b"three");
    assert_eq!(sent, Err(SendError::Route(RouteError::NoRoute(far))));
    for (gateway, to, error) in [
        (
            "10.0.0.1",
            "10.9.0.0/16",
            RouteChangeError::Gateway(OURS.into()),
        ),
        (
            "10.0.0.255",
            "10.9.0.0/16",
            RouteChangeError::Gateway(via("10.0.0.255")),
        ),
        (
            "fd00::2",
            "10.9.0.0/16",
            RouteChangeError::Family(cidr("10.9.0.0/16")),
        ),
    ] {
        let refused = rig.stack.add_route(now, on, cidr(to), Some(via(gateway)));
        assert_eq!(refused, Err(error), "{gateway}");
    }
    // The network of an address is no route of the user's.
    let own = rig.stack.remove_route(now, on, cidr("10.0.0.0/24"), None);
    assert_eq!(own, Err(RouteChangeError::NotThere(cidr("10.0.0.0/24"))));
}

/// A connection whose route goes sends nothing over the router that was taken away, goes on when there is another, and says
/// why it ends when there is none.
#[test]
fn a_connection_whose_route_goes_waits_for_another() {
    let mut rig = Rig::with(|c| c.gateway("10.0.0.2".parse().unwrap()));
    rig.introduce();
    let (now, on) = (rig.now, rig.on);
    let to = "8.8.8.8:80".parse().unwrap();
    let id = rig
        .stack
        .tcp_connect(now, to, None, TcpOptions::default())
        .unwrap();
    assert_eq!(rig.only().dst, PEER_MAC);
    rig.stack
        .remove_gateway(now, on, "10.0.0.2".parse().unwrap())
        .unwrap();
    rig.advance(Duration::from_secs(3));
    assert!(rig.drain().is_empty());
    assert!(rig.drops(DropReason::NoRoute) > 0);
    let soft = rig.stack.tcp_info(id).unwrap().soft_error;
    assert_eq!(soft, Some(TcpFailure::NetworkUnreachable));
    rig.receive(arp_frame(&arp::Packet::request(
        OTHER_MAC,
        Ipv4Addr::new(10, 0, 0, 3),
        OURS,
    )));
    rig.drain();
    let now = rig.now;
    rig.stack
        .add_gateway(now, on, "10.0.0.3".parse().unwrap())
        .unwrap();
    rig.advance(Duration::from_secs(10));
    let again = rig.drain();
    assert!(
        again
            .iter()
            .any(|frame| frame.kind == EtherType::IPV4 && frame.dst == OTHER_MAC)
    );
    let now = rig.now;
    rig.stack
        .remove_gateway(now, on, "10.0.0.3".parse().unwrap())
        .unwrap();
    rig.advance(Duration::from_secs(300));
    assert_eq!(
        rig.stack.tcp_failure(id),
        Ok(Some(TcpFailure::NetworkUnreachable))
    );
}

/// While a link is down nothing leaves and nothing is taken; what is owed leaves when it is up.
#[test]
fn a_link_that_is_down_holds_everything() {
    let mut rig = Rig::new();
    rig.introduce();
    let any = "0.0.0.0:9".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let (now, on) = (rig.now, rig.on);
    rig.stack.set_link(now, on, false).unwrap();
    rig.stack.set_link(now, on, false).unwrap();
    assert_eq!(
        (changes(&mut rig), rig.stack.is_link_up(on)),
        (vec![Change::LinkDown], false)
    );
    let to = Some("10.0.0.2:7".parse().unwrap());
    rig.stack.udp_send_to(now, id, to, b"held").unwrap();
    assert!(!rig.stack.wants_transmit(on));
    rig.receive(udp_frame("10.0.0.2:1", "10.0.0.1:9", b"x"));
    assert_eq!(rig.drops(DropReason::LinkDown), 1);
    rig.advance(Duration::from_secs(5));
    assert!(rig.drain().is_empty());
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
    let now = rig.now;
    rig.stack.set_link(now, on, true).unwrap();
    assert_eq!(changes(&mut rig), [Change::LinkUp]);
    rig.advance(Duration::ZERO);
    let mut frames = rig.drain();
    let held = |frames: &[Seen]| frames.iter().any(|frame| frame.packet.ends_with(b"held"));
    // It may be another link, where another station has that address.
    assert!(!held(&frames), "{frames:?}");
    let asks = |frame: &Seen| frame.kind == EtherType::ARP && frame.arp().target == PEER;
    assert!(frames.iter().any(asks), "{frames:?}");
    rig.receive(arp_frame(&arp::Packet::request(OTHER_MAC, PEER, OURS)));
    frames.extend(rig.drain());
    assert!(held(&frames), "{frames:?}");
    let sent = frames
        .iter()
        .filter(|frame| frame.packet.ends_with(b"held"));
    assert!(sent.map(|frame| frame.dst).eq([OTHER_MAC]));
    let announced = |frame: &Seen| frame.kind == EtherType::ARP && frame.arp().is_announcement();
    assert_eq!(frames.iter().filter(|frame| announced(frame)).count(), 1);
    let nowhere = InterfaceId::from_index(3);
    let refused = rig.stack.set_link(now, nowhere, true);
    assert_eq!(refused, Err(LinkError::Interface(nowhere)));
}

/// The MTU is what leaves from then on, within the device's.
#[test]
fn the_mtu_changes_within_bounds() {
    let mut rig = Rig::new();
    rig.introduce();
    let (now, on) = (rig.now, rig.on);
    let any = "0.0.0.0:9".parse().unwrap();
    let options = UdpOptions::new().dont_fragment(DontFragment::On);
    let id = rig.stack.udp_bind(any, options).unwrap();
    let send = |rig: &mut Rig, len: usize| {
        let to = Some("10.0.0.2:7".parse().unwrap());
        rig.stack.udp_send_to(now, id, to, &vec![0; len])
    };
    assert_eq!(send(&mut rig, 1472), Ok(1472));
    for (mtu, least, most) in [(1501, 68, 1500), (1279, 1280, 1500), (0, 1280, 1500)] {
        let refused = rig.stack.set_mtu(now, on, mtu);
        assert_eq!(refused, Err(LinkError::Mtu { mtu, least, most }));
    }
    rig.stack.set_mtu(now, on, 1400).unwrap();
    assert_eq!(rig.stack.mtu(on), Some(1400));
    let too_big = Err(SendError::TooBig {
        len: 1373,
        max: 1372,
    });
    assert_eq!(
        (send(&mut rig, 1373), send(&mut rig, 1372)),
        (too_big, Ok(1372))
    );
    remove(&mut rig, "fd00::1").unwrap();
    changes(&mut rig);
    rig.stack.set_mtu(now, on, 68).unwrap();
    rig.stack.set_mtu(now, on, 68).unwrap();
    rig.stack.set_mtu(now, on, 1500).unwrap();
    assert_eq!(changes(&mut rig), [Change::Mtu(68), Change::Mtu(1500)]);
    assert_eq!(send(&mut rig, 1472), Ok(1472));
}

/// A conflict about an address in use is told once, and so are a gateway that fails and comes back.
#[test]
fn conflicts_and_gateways_are_told() {
    let mut rig = Rig::with(|c| c.gateway("10.0.0.254".parse().unwrap()));
    for _ in 0..3 {
        rig.receive(arp_frame(&arp::Packet::announcement(OTHER_MAC, OURS)));
    }
    let claimed = Change::AddressConflict(cidr("10.0.0.1/24"), Some(OTHER_MAC));
    assert_eq!(changes(&mut rig), [claimed]);
    let gateway: Ipv4Addr = "10.0.0.254".parse().unwrap();
    let any = "0.0.0.0:9".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let to = Some("8.8.8.8:7".parse().unwrap());
    for _ in 0..4 {
        // Each second one is told of the one before.
        let _ = rig.stack.udp_send_to(rig.now, id, to, b"x");
        rig.advance(Duration::from_secs(10));
    }
    assert_eq!(changes(&mut rig), [Change::GatewayFailed(gateway.into())]);
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    rig.drain();
    rig.receive(arp_frame(
        &arp::Packet::request(OUR_MAC, OURS, gateway).reply(PEER_MAC),
    ));
    assert_eq!(changes(&mut rig), [Change::GatewayBack(gateway.into())]);
}

/// What waits in the line of the stack's own, an answer to who asked for it and the rest of a datagram in fragments, stays
/// behind with the address.
#[test]
fn nothing_that_waits_for_the_device_leaves_from_an_address_that_went() {
    let mut rig = Rig::new();
    rig.introduce();
    let any = "10.0.0.1:7".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let to = Some("10.0.0.2:7".parse().unwrap());
    rig.stack.udp_send_to(rig.now, id, to, &[1; 4000]).unwrap();
    rig.device().room = Some(1);
    rig.poll();
    assert!(
        rig.stack.net.is_leaving(rig.on),
        "the first fragment has left"
    );
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    rig.drain();
    remove(&mut rig, "10.0.0.1").unwrap();
    rig.device().room = None;
    assert!(rig.drain().is_empty());
    assert_eq!(rig.drops(DropReason::IpSourceGone), 2);
}

/// The addresses that steps name, and those that others have.
const POOL: [&str; 5] = [
    "10.0.0.1/24",
    "10.0.0.7/24",
    "fd00::1/64",
    "fd00::7/64",
    "192.168.7.1/24",
];

/// One of what users and the link do.
fn step(rig: &mut Rig, (what, which, how): (u8, usize, u8)) {
    let (now, on, own) = (rig.now, rig.on, cidr(POOL[which % POOL.len()]));
    let peer: SocketAddr = match own.address() {
        IpAddr::V4(_) => "10.0.0.2:7".parse().unwrap(),
        IpAddr::V6(_) => "[fd00::2]:7".parse().unwrap(),
    };
    let time = Duration::from_millis(u64::from(how) * 40);
    match what {
        0 => {
            let lives = AddressOptions::new().probe(how % 3 == 0);
            let lives = if how % 2 == 0 {
                lives.preferred(time).valid(time * 2)
            } else {
                lives
            };
            let _ = rig.stack.add_address(now, on, own, lives);
        }
        1 => drop(rig.stack.remove_address(now, on, own.address())),
        2 => drop(
            rig.stack
                .set_lifetimes(now, on, own.address(), Some(time), None),
        ),
        3 => drop(rig.stack.set_link(now, on, how % 4 != 0)),
        4 => drop(rig.stack.set_mtu(now, on, 1280 + usize::from(how))),
        5 => drop(rig.stack.add_gateway(now, on, peer.ip())),
        6 => drop(rig.stack.remove_gateway(now, on, peer.ip())),
        7 => drop(
            rig.stack
                .tcp_connect(now, peer, None, TcpOptions::default()),
        ),
        8 | 9 => {
            let local = SocketAddr::new(own.address(), 0);
            if let Ok(id) = rig.stack.udp_bind(local, UdpOptions::new()) {
                let _ = rig
                    .stack
                    .udp_send_to(now, id, Some(peer), &vec![0; usize::from(how) * 20]);
                if how % 2 == 0 {
                    rig.stack.udp_close(id);
                }
            }
        }
        10 => match own.address() {
            IpAddr::V4(own) => rig.receive(arp_frame(&arp::Packet::announcement(OTHER_MAC, own))),
            IpAddr::V6(own) => rig.receive(solicitation(Ipv6Addr::UNSPECIFIED, OTHER_MAC, own)),
        },
        11 => rig.introduce(),
        _ => rig.advance(time),
    }
}

/// Who sends it, of an IP packet or an ARP one.
fn sender(frame: &Seen) -> IpAddr {
    match frame.kind {
        EtherType::ARP => frame.arp().sender.into(),
        EtherType::IPV4 => frame.v4().0.src.into(),
        _ => frame.v6().0.src.into(),
    }
}

proptest::proptest! {
    /// Whatever comes and goes in whatever order: what leaves does so from an address in use or from nobody's, routes lead to such a
    /// one, nothing is due for ever, and without addresses nothing is open.
    #[test]
    fn whatever_comes_and_goes_nothing_leaves_from_what_is_not_ours(
        steps in proptest::collection::vec((0..14u8, 0..5usize, proptest::prelude::any::<u8>()), 1..60),
    ) {
        let mut rig = Rig::new();
        for each in steps {
            step(&mut rig, each);
            let in_use: Vec<IpAddr> = rig.stack.addresses(rig.on)
                .filter(|(_, state)| matches!(state, AddressState::Preferred | AddressState::Deprecated))
                .map(|(cidr, _)| cidr.address())
                .collect();
            // What left while time passed may have come from what is gone by now.
            if each.0 >= 11 {
                rig.device().frames.clear();
            }
            for frame in rig.drain() {
                let from = sender(&frame);
                proptest::prop_assert!(from.is_unspecified() || in_use.contains(&from), "{from}: {frame:?}");
            }
            rig.stack.check_memory();
        }
        let now = rig.now;
        rig.stack.set_link(now, rig.on, true).unwrap();
        let all: Vec<IpAddr> = rig.stack.addresses(rig.on).map(|(cidr, _)| cidr.address()).collect();
        for own in all {
            rig.stack.remove_address(now, rig.on, own).unwrap();
        }
        rig.advance(Duration::from_secs(1));
        proptest::prop_assert_eq!(rig.stack.tcp_open_count(), 0);
        proptest::prop_assert_eq!(rig.stack.routes(rig.on).filter(|route| route.via.is_none()).count(), 0);
    }
}
