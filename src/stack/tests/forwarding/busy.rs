//! What waits: for neighbours, for a device that is full, for its turn.

use super::*;
use crate::stack::UdpOptions;

/// Covers: FWD-19 (RFC 1812 §4.3.3.1, RFC 4443 §3.1: host, address unreachable).
#[test]
fn a_neighbour_that_is_silent_is_told_of() {
    let mut router = Router::alone(Setting::default());
    router.introduce(0, PEER_MAC, PEER, PEER6);
    let packet = four(b"text", |_| {});
    router.give(&packet);
    assert_eq!(router.only(1).arp().target, FAR);
    router.advance(Duration::from_millis(2900));
    assert!(router.drain(0).is_empty());
    router.advance(Duration::from_secs(1));
    router.drain(1);
    let (kind, code, _, quote) = router.error4();
    assert_eq!((kind, code, quote), (3, 1, one_hop_less(&packet)));
    router.drain(1);
    let packet = six(b"text", |_| {});
    router.give(&packet);
    router.advance(Duration::from_secs(4));
    router.drain(1);
    let (kind, code, _, quote) = router.error6();
    assert_eq!((kind, code, quote), (1, 3, one_hop_less(&packet)));
    router.dropped(DropReason::NeighbourUnresolved, 2);
}

/// Covers: FWD-20 (RFC 4861 §7.2.2): what waited goes on, once, in order.
#[test]
fn a_neighbour_that_answers_late_gets_what_waited() {
    let mut router = Router::alone(Setting::default());
    let packets: Vec<Vec<u8>> = (0..20).map(|n| four(&[n; 10], |_| {})).collect();
    for packet in &packets {
        router.give(packet);
    }
    assert_eq!(router.drain(1).len(), 1, "a question");
    router.introduce_later();
    let seen: Vec<Vec<u8>> = router.drain(1).into_iter().map(|s| s.packet).collect();
    // Sixteen are kept (`Config::neighbour_queue`), the last ones.
    let expected: Vec<Vec<u8>> = packets[4..].iter().map(|p| one_hop_less(p)).collect();
    assert_eq!(seen, expected);
    assert_eq!(router.drops(DropReason::NeighbourUnresolved), 4);
}

/// docs/limits.md: who sends to nobody fills half of the room at most, and never what is our own.
#[test]
fn strangers_leave_our_own_packets_their_room() {
    let bytes = 20_000;
    let mut router = Router::alone(Setting {
        config: Config::new(Seed::from_number(1))
            .neighbour_queue_bytes(bytes)
            .neighbour_queue(3),
        ..Setting::default()
    });
    let any: SocketAddr = "0.0.0.0:7".parse().unwrap();
    let socket = router.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let silent: SocketAddr = "10.1.0.99:9".parse().unwrap();
    for _ in 0..3 {
        let sent = router
            .stack
            .udp_send_to(router.now, socket, Some(silent), &[1; 1000]);
        assert_eq!(sent, Ok(1000));
        router.drain(1);
    }
    for n in 0..3000_u32 {
        let last = u8::try_from(n % 90 + 10).unwrap();
        let host = if n % 3 == 0 { 99 } else { last };
        router.give(&four(&[2; 900], |fields| {
            fields.dst = [10, 1, 0, host].into()
        }));
        router.drain(1);
        // And the last packet of each.
        let most = 3000 + bytes / 2 + 90 * 1000;
        assert!(router.stack.net.neighbours.queued() <= most);
    }
    // The three are still there, and leave when the neighbour answers.
    let reply = arp::Packet::request(OTHER_MAC, [10, 1, 0, 99].into(), RIGHT);
    router.receive(1, arp_frame(&reply));
    let all = router.drain(1);
    let ours = all.iter().filter(|seen| seen.kind == EtherType::IPV4);
    let ours = ours.filter(|seen| seen.v4().0.src == RIGHT);
    assert_eq!(ours.count(), 3);
}

/// docs/limits.md: a full device holds a thousand packets, or two mebibytes, and all leave in order.
#[test]
fn a_full_device_makes_a_bounded_queue() {
    let mut router = Router::new();
    router.device(1).room = Some(0);
    for n in 0..1100_u16 {
        router.give(&four(&n.to_be_bytes(), |_| {}));
        assert!(router.drain(1).is_empty());
    }
    assert_eq!(router.drops(DropReason::ForwardFull), 100);
    router.device(1).room = Some(10);
    assert_eq!(router.drain(1).len(), 10);
    router.device(1).room = None;
    let rest = router.drain(1);
    assert_eq!(rest.len(), 990);
    for (n, seen) in (10..).zip(rest) {
        assert_eq!(seen.packet[28..], u16::to_be_bytes(n));
    }
    router.device(1).room = Some(0);
    for _ in 0..2000 {
        router.give(&four(&[1; 1400], |fields| fields.dont_fragment = false));
    }
    assert_eq!(router.stack.net.interfaces[1].line.transit.held().0, 1000);
    // The pieces of a packet find room together, or none does.
    router.device(1).room = None;
    router.drain(1);
    // A link that goes down keeps nothing.
    router.device(1).room = Some(0);
    router.give(&four(b"text", |_| {}));
    router.drain(1);
    router
        .stack
        .set_link(router.now, router.on[1], false)
        .unwrap();
    assert_eq!(router.drops(DropReason::DeviceLinkDown), 1);
    assert_eq!(router.stack.net.interfaces[1].line.transit.held(), (0, 0));
    router
        .stack
        .set_link(router.now, router.on[1], true)
        .unwrap();
    router.device(1).room = None;
    assert!(
        router
            .drain(1)
            .iter()
            .all(|seen| seen.kind != EtherType::IPV4)
    );
}

/// Of pieces that find no room together none is queued.
#[test]
fn pieces_find_room_together() {
    let mut router = narrow(576);
    router.device(1).room = Some(0);
    for _ in 0..999 {
        router.give(&four(b"text", |_| {}));
    }
    router.give(&four(&[1; 1400], |fields| fields.dont_fragment = false));
    assert_eq!(router.drops(DropReason::ForwardFull), 1);
    assert_eq!(router.stack.net.interfaces[1].line.transit.held().0, 999);
    router.give(&four(b"text", |_| {}));
    assert_eq!(router.stack.net.interfaces[1].line.transit.held().0, 1000);
}

/// A flood that is passed on, and a socket of our own: both have their turns; a drain ends with its budget.
#[test]
fn what_is_passed_on_and_what_is_our_own_take_turns() {
    let mut router = Router::with(Setting {
        config: Config::new(Seed::from_number(1)).transmit_budget(64),
        ..Setting::default()
    });
    router.device(1).room = Some(0);
    for _ in 0..900 {
        router.give(&four(b"text", |_| {}));
    }
    let any: SocketAddr = "0.0.0.0:7".parse().unwrap();
    let socket = router.stack.udp_bind(any, UdpOptions::new()).unwrap();
    for _ in 0..30 {
        let to = SocketAddr::from((FAR, 9));
        router
            .stack
            .udp_send_to(router.now, socket, Some(to), b"own")
            .unwrap();
    }
    router.device(1).room = None;
    let sent = |router: &mut Router| {
        let tx = router.ports[1].tx_mut();
        tx.send(router.now, &mut router.stack, 1).unwrap();
        let frames = core::mem::take(&mut router.device(1).frames);
        let own = frames
            .iter()
            .filter(|(frame, _)| frame[26..30] == RIGHT.octets());
        (frames.len(), own.count())
    };
    let (all, own) = sent(&mut router);
    assert!(all <= 64 && own >= 16 && all - own >= 16, "{own} of {all}");
    let (all, own) = sent(&mut router);
    assert!(all <= 64 && own >= 6, "{own} of {all}");
}
