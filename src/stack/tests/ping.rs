//! Ping sockets.

use super::*;
use ipv4::icmp::Message;

fn request(rig: &mut Rig, id: PingId, to: IpAddr, seq: u16) {
    let payload = Bytes::from_static(b"ping data");
    rig.stack
        .ping_send(rig.now, id, to, None, seq, payload)
        .unwrap();
}

/// Covers: IC4-21, IC4-22.
#[test]
fn a_request_and_its_reply() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = rig.stack.ping_open(PingOptions::new().ttl(9)).unwrap();
    request(&mut rig, id, PEER.into(), 3);
    let sent = rig.only();
    let (fields, payload) = sent.v4();
    assert_eq!((fields.dst, fields.ttl), (PEER, 9));
    let Message::EchoRequest {
        id: identifier,
        seq: 3,
        data,
    } = Message::parse(payload).unwrap()
    else {
        panic!("{payload:?}");
    };
    let reply = Message::EchoReply {
        id: identifier,
        seq: 3,
        data,
    };
    let mut body = vec![0; reply.len()];
    reply.emit(&mut body);
    rig.receive(ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body));
    let ready = Readiness::READABLE;
    assert_eq!(
        rig.event(),
        Some(Event {
            id: SocketId::Ping(id),
            ready
        })
    );
    let got = rig.stack.ping_recv(id).unwrap();
    assert_eq!(
        (got.from, got.seq, got.outcome),
        (PEER.into(), 3, PingOutcome::Reply)
    );
    assert_eq!((&got.payload[..], got.at), (&b"ping data"[..], rig.now));
    assert_eq!(rig.stack.ping_recv(id), Err(RecvError::WouldBlock));
}

/// Covers: IC6-16. What nobody waits for any more is counted.
#[test]
fn a_v6_request_and_its_reply() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = rig.stack.ping_open(PingOptions::new()).unwrap();
    request(&mut rig, id, PEER6.into(), 4);
    let sent = rig.only();
    let (_, message) = sent.icmp6();
    let Icmpv6::EchoRequest {
        id: identifier,
        seq,
        data,
    } = message
    else {
        panic!("{message:?}");
    };
    let reply = Icmpv6::EchoReply {
        id: identifier,
        seq,
        data,
    };
    let mut body = vec![0; reply.len()];
    reply.emit(PEER6, OURS6, &mut body);
    rig.receive(ip_frame(
        PEER6.into(),
        OURS6.into(),
        Protocol::ICMPV6,
        &body,
    ));
    assert_eq!(rig.stack.ping_recv(id).unwrap().seq, 4);
    rig.stack.ping_close(id);
    rig.receive(ip_frame(
        PEER6.into(),
        OURS6.into(),
        Protocol::ICMPV6,
        &body,
    ));
    assert_eq!(rig.drops(DropReason::PingUnclaimed), 1);
    assert_eq!(rig.stack.ping_recv(id), Err(RecvError::Stale(StaleId)));
}

/// Covers: IC4-15: time exceeded, and the request that it quotes.
#[test]
fn errors_about_requests_are_told() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = rig.stack.ping_open(PingOptions::new()).unwrap();
    request(&mut rig, id, PEER.into(), 5);
    let sent = rig.only();
    let code = ipv4::icmp::TimeExceededCode::TRANSIT;
    let error = Message::TimeExceeded {
        code,
        quoted: &sent.packet,
    };
    let mut body = vec![0; error.len()];
    error.emit(&mut body);
    let router = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254));
    rig.receive(ip_frame(router, OURS.into(), Protocol::ICMP, &body));
    let got = rig.stack.ping_recv(id).unwrap();
    assert_eq!(
        (got.from, got.seq, got.outcome),
        (router, 5, PingOutcome::TimeExceeded)
    );
    assert_eq!((got.ttl, got.at), (64, rig.now), "the error's own");
}

/// RFC 1112 §6.1: what goes to a group stays on the link unless it is told otherwise.
#[test]
fn requests_to_groups_have_one_hop() {
    let mut rig = Rig::new();
    for (options, hops) in [(PingOptions::new(), 1), (PingOptions::new().ttl(9), 9)] {
        let id = rig.stack.ping_open(options).unwrap();
        request(&mut rig, id, "224.0.0.251".parse().unwrap(), 1);
        assert_eq!(rig.only().v4().0.ttl, hops);
        request(&mut rig, id, "ff02::1".parse().unwrap(), 2);
        let sent = rig.drain();
        assert_eq!(sent[0].v6().0.hop_limit, hops);
    }
}

#[test]
fn a_neighbour_that_does_not_answer_is_told() {
    let mut rig = Rig::new();
    let id = rig.stack.ping_open(PingOptions::new()).unwrap();
    request(&mut rig, id, PEER.into(), 6);
    rig.advance(Duration::from_secs(3));
    let got = rig.stack.ping_recv(id).unwrap();
    assert_eq!(
        (got.from, got.seq, got.outcome),
        (PEER.into(), 6, PingOutcome::NoNeighbour)
    );
}

#[test]
fn answers_beyond_the_queue_are_counted() {
    let mut rig = Rig::new();
    let id = rig.stack.ping_open(PingOptions::new().queue(2)).unwrap();
    for seq in 0..3 {
        request(
            &mut rig,
            id,
            Ipv4Addr::new(10, 0, 0, 90 + seq as u8).into(),
            seq,
        );
    }
    rig.advance(Duration::from_secs(3));
    assert_eq!(
        core::iter::from_fn(|| rig.stack.ping_recv(id).ok()).count(),
        2
    );
    assert_eq!(rig.drops(DropReason::PingUnclaimed), 1);
}

/// Every identifier can be had, and the one that is given back when all are.
#[test]
fn all_identifiers_are_found() {
    let mut rig = Rig::new();
    let open = |rig: &mut Rig| rig.stack.ping_open(PingOptions::new());
    let all: Vec<PingId> = (0..1 << 16).map(|_| open(&mut rig).unwrap()).collect();
    for &id in all.iter().step_by(9_999) {
        assert_eq!(open(&mut rig), Err(PingError::NoIdentifier));
        rig.stack.ping_close(id);
        assert!(open(&mut rig).is_ok());
    }
}

/// Who asks all needs leave for it, as who sends them datagrams.
#[test]
fn all_are_asked_by_who_may() {
    let mut rig = Rig::new();
    rig.introduce();
    let open = |rig: &mut Rig, options| rig.stack.ping_open(options).unwrap();
    let (plain, may) = (PingOptions::new(), PingOptions::new().broadcast(true));
    let (plain, may) = (open(&mut rig, plain), open(&mut rig, may));
    for to in ["10.0.0.255", "255.255.255.255"] {
        let to: IpAddr = to.parse().unwrap();
        let mut ask = |id| {
            let stack = &mut rig.stack;
            stack.ping_send(rig.now, id, to, None, 1, Bytes::new())
        };
        assert_eq!(ask(plain), Err(SendError::Broadcast(to)));
        assert_eq!(ask(may), Ok(()));
        assert_eq!(rig.only().dst, MacAddr::BROADCAST);
    }
}
