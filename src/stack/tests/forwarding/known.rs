//! Ways that were judged just now, and what ends them.

use super::*;
use crate::stack::AddressOptions;

/// Another neighbour on the right.
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 50);
const SECOND_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x50]);
/// Who is behind both.
const BEYOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// A router with two gateways on the right, of which the first is [`FAR`].
fn router() -> Router {
    let mut router = Router::new();
    router.introduce(1, SECOND_MAC, SECOND, "fd01::50".parse().unwrap());
    for gateway in [FAR, SECOND] {
        let (now, on) = (router.now, router.on[1]);
        let to = "192.0.2.0/24".parse().unwrap();
        let added = router.stack.add_route(now, on, to, Some(gateway.into()));
        assert_eq!(added, Ok(()));
    }
    router
}

fn beyond() -> Vec<u8> {
    four(&[7; 1300], |fields| {
        (fields.dst, fields.dont_fragment) = (BEYOND, true);
    })
}

/// One thing that changes, and whom the next packet leaves to.
type Change = (&'static str, fn(&mut Router), Option<MacAddr>);

/// Nothing is sent meanwhile, and no time passes.
#[test]
fn what_is_known_ends_with_each_change() {
    let changes: [Change; 6] = [
        ("nothing", |_| {}, Some(OTHER_MAC)),
        (
            "a link goes down",
            |it| it.stack.set_link(it.now, it.on[1], false).unwrap(),
            None,
        ),
        (
            "a link carries less",
            |it| it.stack.set_mtu(it.now, it.on[1], 1280).unwrap(),
            None,
        ),
        (
            "the address becomes ours",
            |it| {
                let (cidr, options) = ("192.0.2.7/32".parse().unwrap(), AddressOptions::new());
                it.stack
                    .add_address(it.now, it.on[1], cidr, options)
                    .unwrap();
            },
            None,
        ),
        (
            "a nearer route",
            |it| {
                let to = "192.0.2.7/32".parse().unwrap();
                it.stack
                    .add_route(it.now, it.on[1], to, Some(SECOND.into()))
                    .unwrap();
            },
            Some(SECOND_MAC),
        ),
        (
            "the route goes",
            |it| {
                let to = "192.0.2.0/24".parse().unwrap();
                it.stack
                    .remove_route(it.now, it.on[1], to, Some(FAR.into()))
                    .unwrap();
            },
            Some(SECOND_MAC),
        ),
    ];
    for (what, change, after) in changes {
        let mut router = router();
        router.give(&beyond());
        change(&mut router);
        router.give(&beyond());
        let mut expected = vec![OTHER_MAC];
        expected.extend(after);
        if !router.stack.net.interfaces[router.on[1].index()]
            .line
            .is_up()
        {
            // Nor does what waited leave.
            expected.clear();
        }
        assert_eq!(passed(&mut router), expected, "{what}");
    }
}

/// Whom they left to that were passed on to the right.
fn passed(router: &mut Router) -> Vec<MacAddr> {
    let left = router.drain(1);
    let passed = left.iter().filter(|seen| seen.packet.len() > 1300);
    passed.map(|seen| seen.dst).collect()
}

/// A frame that is none of these may change a way: a gateway that was dead is heard.
#[test]
fn what_is_known_ends_with_another_frame() {
    let mut router = Router::new();
    let (now, on) = (router.now, router.on[1]);
    for gateway in [SECOND, FAR] {
        let to = "192.0.2.0/24".parse().unwrap();
        let added = router.stack.add_route(now, on, to, Some(gateway.into()));
        assert_eq!(added, Ok(()));
    }
    // It is asked for, and does not answer yet.
    let local = "10.1.0.1:7".parse().unwrap();
    let id = router.stack.udp_bind(local, UdpOptions::new()).unwrap();
    let to = SocketAddr::from((SECOND, 7));
    let sent = router.stack.udp_send_to(now, id, Some(to), b"asks");
    assert_eq!(sent, Ok(4));
    assert_eq!(router.only(1).kind, EtherType::ARP);
    router
        .stack
        .net
        .paths
        .gateway_failed(now, on, SECOND.into());
    let answer = arp_frame(&arp::Packet {
        operation: arp::Operation::REPLY,
        sender_mac: SECOND_MAC,
        sender: SECOND,
        target_mac: RIGHT_MAC,
        target: RIGHT,
    });
    router.give(&beyond());
    router.receive(1, answer);
    router.give(&beyond());
    assert_eq!(passed(&mut router), [OTHER_MAC, SECOND_MAC]);
}
