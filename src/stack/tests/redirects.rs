//! Redirects of both families: who is believed of what, and what follows.

use super::*;
use crate::ipv6::ndp::Options;
use crate::stack::path::MAX_REDIRECTS;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
const NEARER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 253);
const ROUTER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const NEARER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x98);
const ROUTER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x99]);
const NEARER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x98]);
const FAR: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
const FAR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

fn rig(change: impl FnOnce(InterfaceConfig) -> InterfaceConfig) -> Rig {
    let mut rig = Rig::with(|config| {
        let config = config.gateway(GATEWAY.into()).gateway(ROUTER6.into());
        change(config.address("fe80::1/64".parse().unwrap()))
    });
    for (ip, mac) in [(GATEWAY, ROUTER_MAC), (NEARER, NEARER_MAC)] {
        rig.receive(arp_frame(&arp::Packet::request(mac, ip, OURS)));
    }
    for (ip, mac) in [(ROUTER6, ROUTER_MAC), (NEARER6, NEARER_MAC)] {
        rig.receive(solicitation(ip, mac, "fe80::1".parse().unwrap()));
    }
    rig.drain();
    rig
}

/// A socket that is connected to port 7 of a host far away, and what it sent first.
fn connected(rig: &mut Rig, to: IpAddr) -> (UdpId, Seen) {
    let any: SocketAddr = match to {
        IpAddr::V4(_) => "0.0.0.0:0".parse().unwrap(),
        IpAddr::V6(_) => "[::]:0".parse().unwrap(),
    };
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    rig.stack.udp_connect(id, SocketAddr::new(to, 7)).unwrap();
    rig.stack.udp_send_to(rig.now, id, None, b"x").unwrap();
    let sent = rig.only();
    assert_eq!(sent.dst, ROUTER_MAC);
    (id, sent)
}

/// To whom the next datagram of a socket goes.
fn over(rig: &mut Rig, id: UdpId) -> MacAddr {
    rig.stack.udp_send_to(rig.now, id, None, b"x").unwrap();
    rig.only().dst
}

/// From `from`: packets such as this one should go to `gateway`.
fn redirect_v4(from: Ipv4Addr, code: u8, gateway: Ipv4Addr, quoted: &[u8]) -> Vec<u8> {
    let quoted = &quoted[..quoted.len().min(28)];
    let message = ipv4::icmp::Message::Redirect {
        code,
        gateway,
        quoted,
    };
    let mut body = vec![0; message.len()];
    message.emit(&mut body);
    ip_frame(from.into(), OURS.into(), Protocol::ICMP, &body)
}

fn redirect_v6(from: Ipv6Addr, target: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let own = Options::target_link_address_bytes(NEARER_MAC);
    let message = Message::Redirect {
        target,
        destination,
        options: Options::new(&own),
    };
    ndp_frame(ROUTER_MAC, from, OURS6, message)
}

/// Covers: IC4-12 (of every kind), IP4-41 (a network's is a host's).
#[test]
fn an_ipv4_redirect_moves_what_is_sent_to_that_host() {
    for code in 0..=3 {
        let mut rig = rig(|config| config);
        let (id, sent) = connected(&mut rig, FAR.into());
        rig.receive(redirect_v4(GATEWAY, code, NEARER, &sent.packet));
        assert_eq!(over(&mut rig, id), NEARER_MAC, "code {code}");
        assert_eq!(rig.stack.counters().redirects_followed, 1);
        let (_, other) = connected(&mut rig, "8.8.8.9".parse().unwrap());
        assert_eq!(other.dst, ROUTER_MAC, "of the same network, told of alone");
        // It ends after a while.
        rig.advance(Duration::from_secs(600));
        rig.drain();
        rig.introduce();
        rig.receive(arp_frame(&arp::Packet::request(ROUTER_MAC, GATEWAY, OURS)));
        rig.drain();
        assert_eq!(over(&mut rig, id), ROUTER_MAC, "code {code}");
    }
}

/// Covers: IC4-13 (who says it, and to whom it leads).
#[test]
fn who_is_not_believed_of_ipv4() {
    let mut rig = rig(|config| config);
    let (id, sent) = connected(&mut rig, FAR.into());
    let of = |src: Ipv4Addr, port: u16| {
        let from = SocketAddr::new(src.into(), port);
        let datagram = udp_bytes(from, SocketAddr::new(FAR.into(), 7), b"x");
        ip(src.into(), FAR.into(), Protocol::UDP, &datagram)
    };
    let ip4 = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    #[rustfmt::skip]
    let rows = [
        (NEARER,          0, NEARER,             sent.packet.clone(), "not by the first hop"),
        (PEER,            0, NEARER,             sent.packet.clone(), "by a neighbour"),
        (ip4("9.9.9.9"),  0, NEARER,             sent.packet.clone(), "from afar"),
        (GATEWAY,         0, ip4("10.0.1.1"),    sent.packet.clone(), "to a gateway off the link"),
        (GATEWAY,         0, GATEWAY,            sent.packet.clone(), "to itself"),
        (GATEWAY,         0, OURS,               sent.packet.clone(), "to us"),
        (GATEWAY,         0, ip4("10.0.0.255"),  sent.packet.clone(), "to all"),
        (GATEWAY,         0, ip4("224.0.0.1"),   sent.packet.clone(), "to a group"),
        (GATEWAY,         0, ip4("0.0.0.0"),     sent.packet.clone(), "to nobody"),
        (GATEWAY,         0, ip4("127.0.0.1"),   sent.packet.clone(), "to nobody"),
        (GATEWAY,         4, NEARER,             sent.packet.clone(), "of no kind"),
        (GATEWAY,         0, NEARER,             of(PEER, 9),         "of another's packet"),
        (GATEWAY,         0, NEARER,             of(OURS, 9),         "of a packet that nobody sent"),
    ];
    for (from, code, gateway, quoted, why) in rows {
        let before = rig.stack.counters().drops.total();
        rig.receive(redirect_v4(from, code, gateway, &quoted));
        assert_eq!(rig.stack.counters().drops.total(), before + 1, "{why}");
        assert_eq!(over(&mut rig, id), ROUTER_MAC, "{why}");
    }
    assert_eq!(rig.stack.counters().redirects_followed, 0);
    let mut off = self::rig(|config| config.accept_redirects(false));
    let (id, sent) = connected(&mut off, FAR.into());
    off.receive(redirect_v4(GATEWAY, 0, NEARER, &sent.packet));
    assert_eq!(
        (over(&mut off, id), off.drops(DropReason::IcmpIgnored)),
        (ROUTER_MAC, 1)
    );
}

/// Covers: NDP-38: to a router, and to the destination itself, which is on the link then; its link address is known.
#[test]
fn an_ipv6_redirect_moves_what_is_sent_to_that_host() {
    for target in [NEARER6, FAR6] {
        let mut rig = rig(|config| config);
        let (id, _) = connected(&mut rig, FAR6.into());
        rig.receive(redirect_v6(ROUTER6, target, FAR6));
        assert_eq!(over(&mut rig, id), NEARER_MAC, "{target}");
        assert_eq!(rig.stack.counters().redirects_followed, 1);
        let on_link = rig.stack.net.is_on_link(rig.on, FAR6.into());
        assert_eq!(on_link, target == FAR6);
        // What is told again by the old one counts no more: it is no first hop now.
        rig.receive(redirect_v6(ROUTER6, NEARER6, FAR6));
        assert_eq!(rig.drops(DropReason::RedirectRefused), 1);
        // It does not answer: back to the router.
        rig.advance(Duration::from_secs(9));
        rig.drain();
        rig.receive(solicitation(
            ROUTER6,
            ROUTER_MAC,
            "fe80::1".parse().unwrap(),
        ));
        rig.drain();
        assert_eq!(over(&mut rig, id), ROUTER_MAC, "{target}");
    }
}

/// Covers: NDP-31: who says that it is no router is none for whom we were redirected over either (RFC 4861 §7.3.3); a host
/// that is the destination itself need be none.
#[test]
fn who_is_no_router_is_redirected_over_no_more() {
    let none = ipv6::ndp::NeighborFlags::OVERRIDE;
    for (target, stays) in [(NEARER6, false), (FAR6, true)] {
        let mut rig = rig(|config| config);
        let (id, _) = connected(&mut rig, FAR6.into());
        rig.receive(redirect_v6(ROUTER6, target, FAR6));
        assert_eq!(over(&mut rig, id), NEARER_MAC);
        let router = none | ipv6::ndp::NeighborFlags::ROUTER;
        rig.receive(advertisement(router, NEARER_MAC, target, ipv6::ALL_NODES));
        assert_eq!(over(&mut rig, id), NEARER_MAC, "{target} is one");
        rig.receive(advertisement(none, NEARER_MAC, target, ipv6::ALL_NODES));
        let to = if stays { NEARER_MAC } else { ROUTER_MAC };
        assert_eq!(over(&mut rig, id), to, "{target}");
    }
}

/// Covers: NDP-37 (who says it, and to whom it leads).
#[test]
fn who_is_not_believed_of_ipv6() {
    let mut rig = rig(|config| config);
    let (id, _) = connected(&mut rig, FAR6.into());
    let ip6 = |text: &str| text.parse::<Ipv6Addr>().unwrap();
    #[rustfmt::skip]
    let rows = [
        (NEARER6, NEARER6,          FAR6,             "not by the first hop"),
        (PEER6,   NEARER6,          FAR6,             "not link-local"),
        (ROUTER6, ip6("fd00::9"),   FAR6,             "to a target that is no router's"),
        (ROUTER6, ROUTER6,          FAR6,             "to itself"),
        (ROUTER6, ip6("fe80::1"),   FAR6,             "to us"),
        (ROUTER6, ip6("ff02::2"),   FAR6,             "to a group"),
        (ROUTER6, NEARER6,          ip6("ff02::1"),   "of a group"),
        (ROUTER6, NEARER6,          OURS6,            "of us"),
        (ROUTER6, NEARER6,          PEER6,            "of who is on the link"),
    ];
    for (from, target, destination, why) in rows {
        let before = rig.stack.counters().drops.total();
        rig.receive(redirect_v6(from, target, destination));
        assert_eq!(rig.stack.counters().drops.total(), before + 1, "{why}");
        assert_eq!(over(&mut rig, id), ROUTER_MAC, "{why}");
    }
    assert_eq!(rig.stack.counters().redirects_followed, 0);
    let mut off = self::rig(|config| config.accept_redirects(false));
    let (id, _) = connected(&mut off, FAR6.into());
    off.receive(redirect_v6(ROUTER6, NEARER6, FAR6));
    assert_eq!(
        (over(&mut off, id), off.drops(DropReason::IcmpIgnored)),
        (ROUTER_MAC, 1)
    );
}

/// docs/limits.md: so many destinations, and so many words in a second; what was there stays.
#[test]
fn a_flood_of_redirects_fills_its_share() {
    let mut rig = rig(|config| config);
    let (id, _) = connected(&mut rig, FAR6.into());
    rig.receive(redirect_v6(ROUTER6, NEARER6, FAR6));
    let mut n = 1;
    for _ in 0..40 {
        for _ in 0..100 {
            n += 1;
            let dst = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 1, 0, n);
            rig.receive(redirect_v6(ROUTER6, NEARER6, dst));
        }
        rig.advance(Duration::from_secs(1));
        // They answer, whoever asks.
        for (ip, mac) in [(ROUTER6, ROUTER_MAC), (NEARER6, NEARER_MAC)] {
            rig.receive(solicitation(ip, mac, "fe80::1".parse().unwrap()));
        }
        rig.drain();
    }
    let counters = rig.stack.counters();
    assert_eq!(counters.redirects_followed, MAX_REDIRECTS as u64);
    assert!(counters.redirects_full > 100, "{}", counters.redirects_full);
    assert!(rig.drops(DropReason::RouterFlood) > 2000);
    assert_eq!(over(&mut rig, id), NEARER_MAC);
}
