//! What a router serves at an address of another interface than the one it is asked by.

use super::super::tcp::frame;
use super::*;
use crate::tcp::{Flags, Header, State};

/// Covers: FWD-5 (RFC 1812 §5.2.3: a router is its packets' end at each of its addresses, and answers from them).
#[test]
fn who_asks_at_the_far_address_is_answered_from_it() {
    let mut router = Router::new();
    for (from, any, far) in [
        ("10.0.0.2:9", "0.0.0.0:7", "10.1.0.1"),
        ("[fd00::2]:9", "[::]:7", "[fd01::1]"),
    ] {
        let peer: SocketAddr = from.parse().unwrap();
        for (local, port) in [(any.to_owned(), 7), (format!("{far}:8"), 8)] {
            let local = local.parse().unwrap();
            let id = router.stack.udp_bind(local, UdpOptions::new()).unwrap();
            router.receive(0, udp_frame(from, &format!("{far}:{port}"), b"asked"));
            let asked = router.stack.udp_recv(id).unwrap();
            assert_eq!((asked.from, asked.on), (peer, router.on[0]));
            let (now, data) = (router.now, Bytes::from_static(b"told"));
            let info = asked.answer();
            let sent = router
                .stack
                .udp_send_with(now, id, Some(peer), data, None, &info);
            assert_eq!(sent, Ok(()), "{local}");
            let from_far = |seen: Seen| {
                let (src, dst) = match asked.to {
                    IpAddr::V4(_) => (seen.v4().0.src.into(), seen.v4().0.dst.into()),
                    IpAddr::V6(_) => (seen.v6().0.src.into(), seen.v6().0.dst.into()),
                };
                assert_eq!((src, dst, seen.dst), (asked.to, peer.ip(), PEER_MAC));
            };
            from_far(router.only(0));
            // Bound to it, without a word about the way too.
            if !local.ip().is_unspecified() {
                let sent = router.stack.udp_send_to(now, id, Some(peer), b"told");
                assert_eq!(sent, Ok(4), "{local}");
                from_far(router.only(0));
            }
        }
    }
}

/// Who listens on one interface of a router's, and who is connected there, is deaf to the others.
#[test]
fn tcp_of_one_interface_is_deaf_to_the_others() {
    for held in [false, true] {
        let mut router = Router::new();
        let (peer, own) = ("10.0.0.2:5000", "10.0.0.1:80");
        let options = ListenOptions::default().interface(held.then_some(router.on[0]));
        let id = router.stack.tcp_listen(own.parse().unwrap(), options);
        let dropped = |router: &Router| router.stack.counters().drops.get(DropReason::TcpNoSocket);
        let by_another = |router: &mut Router, frame: Vec<u8>| {
            let before = dropped(router);
            let mut frame = frame;
            frame[..6].copy_from_slice(&RIGHT_MAC.octets());
            router.receive(1, frame);
            assert_eq!(dropped(router) - before, u64::from(held));
        };
        router.receive(0, frame(peer, own, 100, 0, Flags::SYN));
        let answer = router.only(0);
        let seq = Header::parse(answer.v4().1).unwrap().0.fields().seq;
        let ack = frame(peer, own, 101, seq.wrapping_add(1), Flags::ACK);
        by_another(&mut router, ack.clone());
        router.receive(0, ack);
        let accepted = router.stack.tcp_accept(router.now, id.unwrap()).unwrap();
        let fin = Flags::FIN | Flags::ACK;
        by_another(&mut router, frame(peer, own, 101, seq.wrapping_add(1), fin));
        let state = router.stack.tcp_info(accepted).unwrap().state;
        let heard = [State::CloseWait, State::Established][usize::from(held)];
        assert_eq!(state, heard);
    }
}

/// A connection that came by another interface than its address is of ends with that address, and with no other.
#[test]
fn a_connection_to_the_far_address_outlives_others() {
    let mut router = Router::new();
    let (peer, far) = ("10.0.0.2:5000", "10.1.0.1:80");
    let ends: [SocketAddr; 2] = [far, peer].map(|end| end.parse().unwrap());
    let listens = router.stack.tcp_listen(ends[0], ListenOptions::default());
    listens.unwrap();
    router.receive(0, frame(peer, far, 100, 0, Flags::SYN));
    let answer = router.only(0);
    let seq = Header::parse(answer.v4().1).unwrap().0.fields().seq;
    router.receive(0, frame(peer, far, 101, seq.wrapping_add(1), Flags::ACK));
    let state = |router: &Router| router.stack.tcp_state_between(ends[0], ends[1]);
    assert_eq!(state(&router), Some(State::Established));
    let removed = [IpAddr::V6(RIGHT6), IpAddr::V6(OURS6), IpAddr::V4(RIGHT)];
    for (address, on) in removed.into_iter().zip([1, 0, 1]) {
        let (now, on) = (router.now, router.on[on]);
        router.stack.remove_address(now, on, address).unwrap();
        router.advance(Duration::from_secs(1));
        let left = (address != IpAddr::V4(RIGHT)).then_some(State::Established);
        assert_eq!(state(&router), left, "without {address}");
    }
}
