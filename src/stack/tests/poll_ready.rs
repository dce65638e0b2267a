//! What a socket is ready for, asked without a call of it; and who is told that an outbox has room.

use super::*;
use crate::tcp::TcpOptions;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn event(id: impl Into<SocketId>, ready: Readiness) -> Option<Event> {
    let id = id.into();
    Some(Event { id, ready })
}

const BOTH: Readiness = Readiness::READABLE.union(Readiness::WRITABLE);

#[test]
fn a_stream_says_what_it_could_do_and_tells_the_rest() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = TcpOptions::default();
    let to = addr("10.0.0.2:7");
    let id = rig.stack.tcp_connect(rig.now, to, None, options).unwrap();
    assert_eq!(rig.stack.poll_ready(id, BOTH), Readiness::WRITABLE);
    let wrote = |rig: &mut Rig| rig.stack.tcp_write(rig.now, id, &[7; 1 << 20]);
    while wrote(&mut rig).is_ok() {}
    assert_eq!(rig.stack.poll_ready(id, BOTH), Readiness::empty());
    let nothing = Readiness::CONNECTED | Readiness::URGENT;
    assert_eq!(rig.stack.poll_ready(id, nothing), Readiness::empty());
    // The end is for whoever asks.
    rig.stack.tcp_abort(rig.now, id);
    let ended = rig.stack.poll_ready(id, BOTH | nothing);
    assert_eq!(ended, BOTH);
    rig.stack.tcp_close(rig.now, id);
    assert_eq!(
        rig.stack.poll_ready(id, Readiness::READABLE),
        Readiness::READABLE
    );
}

/// What is not ready is armed, as by a call that finds nothing: without it the event of the second datagram were never told.
#[test]
fn what_is_not_ready_is_armed() {
    let mut rig = Rig::new();
    let id = rig
        .stack
        .udp_bind(addr("10.0.0.1:7"), UdpOptions::new())
        .unwrap();
    assert_eq!(rig.stack.poll_ready(id, BOTH), Readiness::WRITABLE);
    for _ in 0..2 {
        rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"hello"));
        assert_eq!(rig.event(), event(id, Readiness::READABLE));
        assert_eq!(rig.stack.poll_ready(id, BOTH), BOTH);
        rig.stack.udp_recv(id).unwrap();
        assert_eq!(rig.stack.poll_ready(id, BOTH), Readiness::WRITABLE);
    }
    assert_eq!(rig.event(), None);
}

#[test]
fn a_datagram_socket_without_room_is_told_of_it_once_asked() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().send_buffer(2000);
    let id = rig.stack.udp_bind(addr("0.0.0.0:0"), options).unwrap();
    rig.device().room = Some(0);
    let to = Some(addr("10.0.0.2:7"));
    // It is full, and nobody was refused.
    for _ in 0..4 {
        rig.stack.udp_send_to(rig.now, id, to, &[7; 371]).unwrap();
    }
    assert_eq!(
        rig.stack.poll_ready(id, Readiness::WRITABLE),
        Readiness::empty()
    );
    rig.device().room = None;
    rig.drain();
    assert_eq!(rig.event(), event(id, Readiness::WRITABLE));
    assert_eq!(
        rig.stack.poll_ready(id, Readiness::WRITABLE),
        Readiness::WRITABLE
    );
}

/// Ping, raw and packet sockets share an outbox: each that it refused is told when half of it is free, and nobody else.
#[test]
fn who_was_refused_by_an_outbox_is_told_of_room() {
    let mut rig = Rig::new();
    rig.introduce();
    let ping = rig.stack.ping_open(PingOptions::new()).unwrap();
    let idle = rig.stack.ping_open(PingOptions::new()).unwrap();
    let raw = rig.stack.raw_open(RawOptions::v4(Protocol(253))).unwrap();
    let options = PacketOptions::new(rig.on).ether_type(EtherType(0x88b5));
    let packet = rig.stack.packet_open(options).unwrap();
    let all = [ping.into(), raw.into(), packet.into(), idle.into()];
    let writable = |rig: &mut Rig, id: SocketId| {
        rig.stack.poll_ready(id, Readiness::WRITABLE) == Readiness::WRITABLE
    };
    assert!(all.iter().all(|&id| writable(&mut rig, id)));
    rig.device().room = Some(0);
    let to = IpAddr::V4(PEER);
    let mut sent = 0;
    while rig
        .stack
        .ping_send(rig.now, ping, to, None, 1, Bytes::new())
        .is_ok()
    {
        sent += 1;
    }
    let refused = rig
        .stack
        .raw_send(rig.now, raw, Some(to), Bytes::new(), &SendInfo::new());
    assert_eq!(refused, Err(SendError::WouldBlock));
    for _ in 0..2 {
        let data = Bytes::from_static(b"hello");
        let refused = rig
            .stack
            .packet_send(rig.now, packet, PEER_MAC, EtherType(0x88b5), data);
        assert_eq!(refused, Err(SendError::WouldBlock));
    }
    let now = all.map(|id| writable(&mut rig, id));
    assert_eq!(now, [false, false, false, true]);
    assert_eq!(rig.event(), None);
    // Less than half is free: a socket that is told finds enough room to be worth it.
    rig.device().room = Some(sent - 130);
    rig.drain();
    assert_eq!(rig.event(), None);
    rig.device().room = None;
    assert_eq!(rig.drain().len(), 130);
    let told: Vec<_> = core::iter::from_fn(|| rig.event()).collect();
    let told: Vec<_> = told.iter().map(|event| (event.id, event.ready)).collect();
    let expected: Vec<_> = all[..3]
        .iter()
        .map(|&id| (id, Readiness::WRITABLE))
        .collect();
    assert_eq!(told, expected);
    assert!(all.iter().all(|&id| writable(&mut rig, id)));
}

/// An interface that goes has no outbox any more, and a socket that is closed waits for none.
#[test]
fn who_was_refused_is_told_of_the_end_and_forgotten_with_its_socket() {
    let mut rig = Rig::new();
    rig.introduce();
    rig.device().room = Some(0);
    let to = IpAddr::V4(PEER);
    let open = |rig: &mut Rig| rig.stack.ping_open(PingOptions::new()).unwrap();
    let fill = |rig: &mut Rig, id| {
        while rig
            .stack
            .ping_send(rig.now, id, to, None, 1, Bytes::new())
            .is_ok()
        {}
    };
    for _ in 0..1000 {
        let brief = open(&mut rig);
        fill(&mut rig, brief);
        rig.stack.ping_close(brief);
    }
    let refused = &rig.stack.net.interfaces[rig.on.index()].line.refused;
    assert!(
        refused.is_empty(),
        "{} places of sockets that are gone",
        refused.len()
    );
    let id = open(&mut rig);
    fill(&mut rig, id);
    rig.stack.remove_interface(rig.now, rig.on).unwrap();
    rig.stack.handle_timeout(rig.now);
    assert_eq!(rig.event(), event(id, Readiness::WRITABLE));
}

/// More wait than find room at once: those behind are told as well, though nobody before them sends.
#[test]
fn everybody_who_waits_for_room_is_told_whatever_the_others_do() {
    let mut rig = Rig::new();
    rig.introduce();
    rig.device().room = Some(0);
    let to = IpAddr::V4(PEER);
    let many = 1000;
    for _ in 0..many {
        let id = rig.stack.ping_open(PingOptions::new()).unwrap();
        while rig
            .stack
            .ping_send(rig.now, id, to, None, 1, Bytes::new())
            .is_ok()
        {}
    }
    rig.device().room = None;
    rig.drain();
    let told = core::iter::from_fn(|| rig.event()).count();
    assert_eq!(told, many);
}
