//! Ports over devices in memory, in virtual time.

use core::cell::RefCell;
use core::net::SocketAddr;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::*;
use crate::base::{DropReason, Seed};
use crate::device::{Capabilities, Medium, Sent};
use crate::link::{RxFrame, RxMeta, TxFrame};
use crate::stack::{
    Config, InterfaceConfig, ListenOptions, Readiness, SendError, SocketId, UdpId, UdpOptions,
};
use crate::tcp::TcpOptions;

const NOW: Instant = Instant::from_millis(1000);

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn plain() -> Capabilities {
    Capabilities::plain(Medium::Ip, 1500)
}

/// Frames on their way.
type Lane = Rc<RefCell<VecDeque<Bytes>>>;

/// The halves of a device in memory.
type Halves = (LaneRx, LaneTx);

struct LaneRx(Lane);

struct LaneTx {
    lane: Lane,
    limit: usize,
}

impl Receive for LaneRx {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut lane = self.0.borrow_mut();
        let count = lane.len().min(batch.room());
        for data in lane.drain(..count) {
            batch.push(RxFrame::new(data, RxMeta::new(now)));
        }
        Ok(count)
    }
}

impl Transmit for LaneTx {
    fn transmit(&mut self, _: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let mut lane = self.lane.borrow_mut();
        if lane.len() == self.limit {
            return Ok(Sent::Full);
        }
        lane.push_back(frame.to_vec().into());
        Ok(Sent::Taken)
    }
}

/// Two devices, each of which has so many frames on their way before it is full.
fn cable(limit: usize) -> (Halves, Halves) {
    let (there, back) = (Lane::default(), Lane::default());
    let end = |rx: &Lane, tx: &Lane| {
        let lane = Rc::clone(tx);
        (LaneRx(Rc::clone(rx)), LaneTx { lane, limit })
    };
    (end(&back, &there), end(&there, &back))
}

/// Nobody listens.
fn nobody(_: &mut Stack, _: Instant, event: Event) {
    let _ = event;
}

/// A stack and a socket on each of its ports, which have the addresses 10.`net`.0.`host`.
struct End {
    stack: Stack,
    ports: Vec<Port<LaneRx, LaneTx>>,
    sockets: Vec<UdpId>,
}

impl End {
    fn new(host: u8, devices: Vec<(u8, Halves)>) -> Self {
        let config = Config::new(Seed::from_number(host.into())).transmit_budget(4);
        let mut stack = Stack::new(config);
        let mut ports = Vec::new();
        let mut sockets = Vec::new();
        for (net, halves) in devices {
            let address = format!("10.{net}.0.{host}");
            let config =
                InterfaceConfig::new(&plain()).address(format!("{address}/24").parse().unwrap());
            let on = stack.add_interface(NOW, config).unwrap();
            ports.push(Port::new(on, halves));
            let options = UdpOptions::new().send_buffer(1 << 20);
            let socket = stack.udp_bind(at(&format!("{address}:7")), options);
            sockets.push(socket.unwrap());
        }
        Self {
            stack,
            ports,
            sockets,
        }
    }

    fn turn(&mut self) -> Next {
        self.turn_with(&mut nobody)
    }

    fn turn_with<U: User + ?Sized>(&mut self, user: &mut U) -> Next {
        turn_all(&mut self.ports, NOW, &mut self.stack, user).unwrap()
    }

    fn send(&mut self, to: &str, datagrams: usize) {
        for _ in 0..datagrams {
            let data = Bytes::from_static(b"datagram");
            let sent = self
                .stack
                .udp_send_chunk(NOW, self.sockets[0], Some(at(to)), data);
            sent.unwrap();
        }
    }

    fn received(&mut self, socket: usize) -> Vec<SocketAddr> {
        let mut from = Vec::new();
        while let Ok(datagram) = self.stack.udp_recv(self.sockets[socket]) {
            from.push(datagram.from);
        }
        from
    }
}

/// 10.1.0.1 and 10.1.0.2, each of whose devices holds so many frames on their way.
fn joined(frames: usize) -> (End, End) {
    let (a, b) = cable(frames);
    (End::new(1, vec![(1, a)]), End::new(2, vec![(1, b)]))
}

/// Answers every datagram.
fn echo(stack: &mut Stack, now: Instant, event: Event) {
    let SocketId::Udp(id) = event.id else {
        return;
    };
    while let Ok(datagram) = stack.udp_recv(id) {
        let to = Some(datagram.from);
        stack
            .udp_send_chunk(now, id, to, datagram.data.into_bytes())
            .unwrap();
    }
}

#[test]
fn what_an_event_causes_leaves_with_the_same_turn() {
    let (mut a, mut b) = joined(8);
    a.send("10.1.0.2:7", 3);
    let next = a.turn();
    assert_eq!((next.received, next.sent, next.again), (0, 3, false));
    let next = b.turn_with(&mut echo);
    assert_eq!((next.received, next.sent, next.again), (3, 3, false));
    assert_eq!(next.timeout(NOW), None, "nothing more is due");
    let mut told = Vec::new();
    let mut tells = |_: &mut Stack, _: Instant, event: Event| told.push(event.ready);
    let next = a.turn_with(&mut tells);
    assert_eq!((next.received, next.sent), (3, 0));
    assert_eq!(told, [Readiness::READABLE]);
    assert_eq!(a.received(0).len(), 3);
}

#[test]
fn a_budget_that_is_used_up_asks_for_one_more_turn() {
    let (mut a, _b) = joined(64);
    a.send("10.1.0.2:7", 10);
    let turns: Vec<_> = core::iter::repeat_with(|| a.turn()).take(3).collect();
    let sent: Vec<_> = turns.iter().map(|next| (next.sent, next.again)).collect();
    assert_eq!(sent, [(4, true), (4, true), (2, false)]);
    assert!(turns[0].is_due(NOW) && !turns[2].is_due(NOW));
    a.send("10.1.0.2:7", 10);
    let (_, tx) = (a.ports[0].rx().due(), a.ports[0].tx_mut());
    let progress = tx.send(NOW, &mut a.stack, 2).unwrap();
    assert_eq!((progress.sent, progress.more), (8, More::Budget));
    assert!(tx.is_ready(&a.stack));
}

#[test]
fn a_full_device_is_waited_for_and_offered_the_rest_once_it_has_room() {
    let (mut a, mut b) = joined(3);
    a.send("10.1.0.2:7", 5);
    for sent in [3, 0] {
        let next = a.turn();
        assert_eq!(
            (next.sent, next.wants_room, next.again),
            (sent, true, false)
        );
        assert!(!a.ports[0].tx().is_ready(&a.stack), "no use before room");
    }
    assert_eq!(b.turn().received, 3);
    let next = a.turn();
    assert_eq!((next.sent, next.wants_room, next.again), (2, false, false));
    assert_eq!(b.turn().received, 2);
    assert_eq!(b.received(0).len(), 5);
}

/// Room that sending makes is told in the turn that made it: nobody would come to tell it later.
#[test]
fn events_of_sending_are_told_before_the_turn_ends() {
    let (mut a, mut b) = joined(64);
    let (id, to) = (a.sockets[0], Some(at("10.1.0.2:7")));
    let fill = |stack: &mut Stack| {
        let mut sent = 0;
        let data = Bytes::from(vec![0; 1000]);
        loop {
            match stack.udp_send_chunk(NOW, id, to, data.clone()) {
                Ok(_) => sent += 1,
                Err(SendError::WouldBlock) => return sent,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let mut sent = fill(&mut a.stack);
    assert!(sent > 8, "more than two budgets");
    let mut refills = 0;
    let mut more = |stack: &mut Stack, _: Instant, event: Event| {
        if event.ready.contains(Readiness::WRITABLE) && refills < 3 {
            sent += fill(stack);
            refills += 1;
        }
    };
    let mut arrived = 0;
    // Who does what the turn says comes to an end with nothing left.
    loop {
        let next = a.turn_with(&mut more);
        assert!(a.stack.poll_event().is_none(), "all is told");
        b.turn();
        arrived += b.received(0).len();
        if !next.again {
            break;
        }
    }
    assert_eq!((arrived, refills), (sent, 3));
}

/// A device whose answers are written down.
#[derive(Debug, Default)]
struct Scripted {
    frames: VecDeque<RxFrame>,
    held: Option<Instant>,
    due: Option<Instant>,
    backlog: bool,
    polls: RefCell<Vec<Instant>>,
    fails: bool,
}

impl Receive for Scripted {
    fn receive(&mut self, _: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        if self.fails {
            return Err(DeviceError::Gone);
        }
        let mut received = 0;
        while batch.room() > 0
            && let Some(frame) = self.frames.pop_front()
        {
            batch.push(frame);
            received += 1;
        }
        Ok(received)
    }

    fn next_ready(&self) -> Option<Instant> {
        self.held
    }
}

impl Transmit for Scripted {
    fn transmit(&mut self, _: Instant, _: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        Ok(Sent::Taken)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.polls.borrow_mut().push(now);
        Ok(self.due)
    }

    fn wants_room(&self) -> bool {
        self.backlog
    }
}

fn scripted(rx: Scripted, tx: Scripted) -> (Stack, Port<Scripted, Scripted>) {
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let config = InterfaceConfig::new(&plain()).address("10.1.0.1/24".parse().unwrap());
    let on = stack.add_interface(NOW, config).unwrap();
    (stack, Port::new(on, (rx, tx)).batch_frames(2))
}

#[test]
fn the_earliest_of_stack_and_both_halves_is_due() {
    let later = |millis| Some(NOW + Duration::from_millis(millis));
    for (held, due, expected) in [
        (None, None, None),
        (later(3), None, later(3)),
        (None, later(2), later(2)),
        (later(3), later(2), later(2)),
        (later(1), later(2), later(1)),
    ] {
        let rx = Scripted {
            held,
            ..Scripted::default()
        };
        let tx = Scripted {
            due,
            ..Scripted::default()
        };
        let (mut stack, mut port) = scripted(rx, tx);
        let next = port.turn(NOW, &mut stack, &mut nobody).unwrap();
        assert_eq!((next.due, next.again), (expected, false));
        assert_eq!(*port.tx().half().polls.borrow(), [NOW], "polled once");
        // A SYN is sent again after a second.
        let to = at("10.1.0.9:7");
        let options = TcpOptions::default();
        stack.tcp_connect(NOW, to, None, options).unwrap();
        let next = port.turn(NOW, &mut stack, &mut nobody).unwrap();
        let earliest = expected.or_else(|| stack.poll_timeout());
        assert_eq!((next.due, next.sent), (earliest, 1));
    }
}

#[test]
fn what_is_due_already_asks_for_one_more_turn() {
    let rx = Scripted {
        held: Some(NOW),
        ..Scripted::default()
    };
    let (mut stack, mut port) = scripted(rx, Scripted::default());
    let next = port.turn(NOW, &mut stack, &mut nobody).unwrap();
    assert!(next.again && next.timeout(NOW) == Some(Duration::ZERO));
    port.rx_mut().half_mut().held = None;
    assert!(!port.turn(NOW, &mut stack, &mut nobody).unwrap().again);
}

#[test]
fn a_full_batch_asks_for_one_more_turn() {
    let frame = RxFrame::new(Bytes::from_static(&[0; 40]), RxMeta::new(NOW));
    let rx = Scripted {
        frames: vec![frame; 5].into(),
        ..Scripted::default()
    };
    let (mut stack, mut port) = scripted(rx, Scripted::default());
    for (received, again) in [(2, true), (2, true), (1, false)] {
        let next = port.turn(NOW, &mut stack, &mut nobody).unwrap();
        assert_eq!((next.received, next.again), (received, again));
    }
    assert_eq!(stack.counters().rx_frames, 5);
}

#[test]
fn a_device_that_holds_frames_back_for_want_of_room_is_waited_for() {
    let tx = Scripted {
        backlog: true,
        ..Scripted::default()
    };
    let (mut stack, mut port) = scripted(Scripted::default(), tx);
    let next = port.turn(NOW, &mut stack, &mut nobody).unwrap();
    assert!(next.wants_room && !next.again);
}

#[test]
fn each_frame_is_followed_by_what_its_user_asked_for() {
    let frame = RxFrame::new(Bytes::from_static(&[0; 40]), RxMeta::new(NOW));
    let rx = Scripted {
        frames: vec![frame; 2].into(),
        ..Scripted::default()
    };
    let (mut stack, port) = scripted(rx, Scripted::default());
    let (mut rx, _tx) = port.into_halves();
    assert_eq!(rx.receive(NOW).unwrap(), 2);
    assert!(rx.is_full());
    let mut seen = Vec::new();
    rx.deliver(NOW, &mut stack, |stack| {
        seen.push(stack.counters().rx_frames);
    });
    assert_eq!(seen, [1, 2]);
    assert!(!rx.is_full());
}

/// One stack between two nets.
fn between() -> (End, [End; 2]) {
    let (a, left) = cable(64);
    let (b, right) = cable(64);
    let host = End::new(1, vec![(1, a), (2, b)]);
    (
        host,
        [End::new(2, vec![(1, left)]), End::new(3, vec![(2, right)])],
    )
}

#[test]
fn answers_leave_by_the_port_that_was_asked() {
    let (mut host, [mut left, mut right]) = between();
    left.send("10.1.0.1:7", 2);
    right.send("10.2.0.1:7", 3);
    left.turn();
    right.turn();
    let next = host.turn_with(&mut echo);
    assert_eq!((next.received, next.sent), (5, 5));
    left.turn();
    right.turn();
    assert_eq!(left.received(0), vec![at("10.1.0.1:7"); 2]);
    assert_eq!(right.received(0), vec![at("10.2.0.1:7"); 3]);
}

/// Connections too: a listener on all addresses serves both nets at once, each by its own port.
#[test]
fn connections_from_two_nets_are_served_by_their_own_ports() {
    let (mut host, [mut left, mut right]) = between();
    let options = || TcpOptions::default();
    let listener = host
        .stack
        .tcp_listen(at("0.0.0.0:80"), ListenOptions::new(options()));
    let listener = listener.unwrap();
    let greet = |text: &'static [u8]| {
        move |stack: &mut Stack, now: Instant, event: Event| {
            if let SocketId::Tcp(id) = event.id
                && event.ready.contains(Readiness::CONNECTED)
            {
                stack.tcp_write(now, id, text).unwrap();
            }
        }
    };
    let mut serve = |stack: &mut Stack, now: Instant, event: Event| match event.id {
        SocketId::Listener(_) => while stack.tcp_accept(now, listener).is_ok() {},
        SocketId::Tcp(id) => {
            while let Ok(text) = stack.tcp_read_chunk(now, id, usize::MAX) {
                assert_eq!(stack.tcp_write(now, id, &text).unwrap(), text.len());
            }
        }
        _ => {}
    };
    let mut ids = Vec::new();
    for (end, to) in [(&mut left, "10.1.0.1:80"), (&mut right, "10.2.0.1:80")] {
        let id = end.stack.tcp_connect(NOW, at(to), None, options());
        ids.push(id.unwrap());
    }
    for _ in 0..6 {
        left.turn_with(&mut greet(b"left"));
        right.turn_with(&mut greet(b"right"));
        host.turn_with(&mut serve);
    }
    left.turn();
    right.turn();
    for (end, id, text) in [
        (&mut left, ids[0], &b"left"[..]),
        (&mut right, ids[1], &b"right"[..]),
    ] {
        let chunk = end.stack.tcp_read_chunk(NOW, id, usize::MAX).unwrap();
        assert_eq!(chunk[..], *text);
        let strangers = end.stack.counters().drops.get(DropReason::IpNotOurs);
        assert_eq!(strangers, 0, "nothing of the other net's");
    }
}

/// What comes in by the last port leaves by the first in the same turn.
#[test]
fn what_is_passed_on_leaves_by_the_other_port_with_the_same_turn() {
    let (mut host, [mut left, mut right]) = between();
    right.send("10.2.0.1:7", 1);
    right.turn();
    let out = host.sockets[0];
    let mut relay = |stack: &mut Stack, now: Instant, event: Event| {
        if let SocketId::Udp(id) = event.id
            && let Ok(datagram) = stack.udp_recv(id)
        {
            let to = Some(at("10.1.0.2:7"));
            stack
                .udp_send_chunk(now, out, to, datagram.data.into_bytes())
                .unwrap();
        }
    };
    let next = host.turn_with(&mut relay);
    assert_eq!((next.received, next.sent, next.again), (1, 1, false));
    left.turn();
    assert_eq!(left.received(0), [at("10.1.0.1:7")]);
}

/// A full device stops nobody else's, and which one it is can be asked.
#[test]
fn one_full_port_leaves_the_other_alone() {
    let (a, _left) = cable(1);
    let (b, _right) = cable(64);
    let mut host = End::new(1, vec![(1, a), (2, b)]);
    for (socket, to) in [(0, "10.1.0.2:7"), (1, "10.2.0.3:7")] {
        for _ in 0..2 {
            let (id, data) = (host.sockets[socket], Bytes::from_static(b"x"));
            let sent = host.stack.udp_send_chunk(NOW, id, Some(at(to)), data);
            sent.unwrap();
        }
    }
    let next = host.turn();
    assert_eq!((next.sent, next.wants_room, next.again), (3, true, false));
    let full: Vec<_> = host.ports.iter().map(|p| p.tx().wants_room()).collect();
    assert_eq!(full, [true, false]);
}

#[test]
fn a_device_that_ends_is_named_and_the_others_go_on() {
    let failing = Scripted {
        fails: true,
        ..Scripted::default()
    };
    let (mut stack, port) = scripted(failing, Scripted::default());
    let config = InterfaceConfig::new(&plain()).address("10.2.0.1/24".parse().unwrap());
    let other = stack.add_interface(NOW, config).unwrap();
    let failed = port.interface();
    let mut ports = vec![
        port,
        Port::new(other, (Scripted::default(), Scripted::default())),
    ];
    let error = turn_all(&mut ports, NOW, &mut stack, &mut nobody).unwrap_err();
    assert_eq!(error.on, failed);
    assert!(matches!(error.error, DeviceError::Gone));
    ports.retain(|port| port.interface() != error.on);
    let next = turn_all(&mut ports, NOW, &mut stack, &mut nobody).unwrap();
    assert!(!next.again);
}
