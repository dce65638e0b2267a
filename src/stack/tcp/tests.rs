//! Two stacks on one IP link, in virtual time: the tables and the glue, not TCP's rules.

use core::net::SocketAddr;
use core::time::Duration;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Shutdown;
use std::rc::Rc;

use bytes::Bytes;

use super::{AcceptError, ConnectError, ListenError, ListenOptions};
use crate::base::{Instant, Seed};
use crate::device::{Capabilities, DeviceError, Medium, Receive, RxBatch, Sent, Transmit};
use crate::link::{RxChecksum, RxFrame, RxMeta, TxFrame};
use crate::stack::{
    Config, Event, InterfaceConfig, InterfaceId, Port, Readiness, SocketId, Stack, TcpId,
};
use crate::tcp::{ReadError, State, TcpFailure, TcpOptions, WriteError};

/// One direction of the link: frames, whole, with partial checksums trusted. Whoever has it sees what
/// is on it.
#[derive(Clone, Default)]
pub(super) struct Wire(Rc<RefCell<VecDeque<RxFrame>>>);

impl Wire {
    /// Takes all that is on it off.
    pub(super) fn take(&self) -> VecDeque<RxFrame> {
        self.0.take()
    }

    /// Frames on it.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

impl Receive for Wire {
    fn receive(&mut self, _: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut frames = self.0.borrow_mut();
        let count = frames.len().min(batch.room());
        frames.drain(..count).for_each(|frame| batch.push(frame));
        Ok(count)
    }
}

impl Transmit for Wire {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let meta = RxMeta::new(now)
            .with_checksum(
                frame
                    .meta
                    .checksum
                    .map_or(RxChecksum::Unknown, RxChecksum::Partial),
            )
            .with_segment_size(frame.meta.segment.map(|s| s.size));
        let frame = RxFrame::new(Bytes::from(frame.to_vec()), meta);
        self.0.borrow_mut().push_back(frame);
        Ok(Sent::Taken)
    }
}

pub(super) struct End {
    pub(super) stack: Stack,
    pub(super) on: InterfaceId,
    /// What it sends.
    pub(super) out: Wire,
    port: Port<Wire, Wire>,
    /// What it was told.
    pub(super) told: VecDeque<Event>,
}

impl End {
    /// Turns until nothing is left to do at once; did anything happen, and when is it due next?
    pub(super) fn turn(&mut self, now: Instant) -> (bool, Option<Instant>) {
        let mut moved = false;
        loop {
            let mut user = |_: &mut Stack, _, event| self.told.push_back(event);
            let next = self.port.turn(now, &mut self.stack, &mut user).unwrap();
            moved |= next.received + next.sent > 0;
            if !next.again {
                return (moved, next.due);
            }
        }
    }

    /// Sends all that it may send now; nothing is received.
    pub(super) fn send(&mut self, now: Instant) {
        let tx = self.port.tx_mut();
        tx.send(now, &mut self.stack, usize::MAX).unwrap();
    }
}

pub(super) struct Link {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
}

pub(super) const SERVER: &str = "10.0.0.1:80";

impl Link {
    pub(super) fn new() -> Self {
        Self::over(&Capabilities::full(Medium::Ip, 1500))
    }

    /// Over devices that can do this.
    pub(super) fn over(capabilities: &Capabilities) -> Self {
        Self::with(capabilities, |config| config)
    }

    /// The same with other settings of the stacks.
    pub(super) fn with(capabilities: &Capabilities, change: impl Fn(Config) -> Config) -> Self {
        Self::with_interfaces(capabilities, change, |interface| interface)
    }

    /// And of their interfaces.
    pub(super) fn with_interfaces(
        capabilities: &Capabilities,
        change: impl Fn(Config) -> Config,
        change_interface: impl Fn(InterfaceConfig) -> InterfaceConfig,
    ) -> Self {
        let [there, back] = [(); 2].map(|()| Wire::default());
        let end = |number: u64, address: &str, (from, to): (&Wire, &Wire)| {
            let mut stack = Stack::new(change(Config::new(Seed::from_number(number))));
            let config = InterfaceConfig::new(capabilities).address(address.parse().unwrap());
            let config = change_interface(config);
            let on = stack.add_interface(Instant::ZERO, config).unwrap();
            End {
                stack,
                on,
                out: to.clone(),
                port: Port::new(on, (from.clone(), to.clone())),
                told: VecDeque::new(),
            }
        };
        Self {
            now: Instant::ZERO,
            ends: [
                end(1, "10.0.0.1/24", (&back, &there)),
                end(2, "10.0.0.2/24", (&there, &back)),
            ],
        }
    }

    /// Turns both ends until nothing happens any more without a timer.
    pub(super) fn settle(&mut self) {
        self.turn();
    }

    /// The same; when an end is due next.
    fn turn(&mut self) -> Option<Instant> {
        loop {
            let turns = self.ends.each_mut().map(|end| end.turn(self.now));
            if turns.iter().all(|turn| !turn.0) {
                return turns.into_iter().filter_map(|turn| turn.1).min();
            }
        }
    }

    /// Lets time pass, timer by timer.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.turn().filter(|&due| due <= end) {
            self.now = self.now.max(due);
        }
        self.now = end;
    }

    /// A connection from the second stack to the first: client and server ends.
    pub(super) fn connected(&mut self) -> (TcpId, TcpId) {
        self.connected_with(&TcpOptions::default())
    }

    /// The same with these settings at both ends.
    pub(super) fn connected_with(&mut self, options: &TcpOptions) -> (TcpId, TcpId) {
        let server: SocketAddr = SERVER.parse().unwrap();
        let listener = self.ends[0]
            .stack
            .tcp_listen(server, ListenOptions::new(options.clone()))
            .unwrap();
        let options = options.clone();
        let client = self.ends[1]
            .stack
            .tcp_connect(self.now, server, None, options)
            .unwrap();
        self.settle();
        let accepted = self.ends[0].stack.tcp_accept(self.now, listener).unwrap();
        (client, accepted)
    }

    pub(super) fn state(&self, end: usize, id: TcpId) -> State {
        self.ends[end].stack.tcp_info(id).unwrap().state
    }
}

/// Both open at once: each is told that it is connected, and that it may write.
#[test]
fn both_of_a_simultaneous_open_are_told() {
    let mut link = Link::new();
    let names: [SocketAddr; 2] =
        ["10.0.0.1:1000", "10.0.0.2:2000"].map(|name| name.parse().unwrap());
    let ids = [0, 1].map(|at: usize| {
        let (own, peer) = (names[at], names[1 - at]);
        let options = TcpOptions::default();
        let stack = &mut link.ends[at].stack;
        stack
            .tcp_connect(link.now, peer, Some(own), options)
            .unwrap()
    });
    link.settle();
    for (at, id) in ids.into_iter().enumerate() {
        assert_eq!(link.state(at, id), State::Established);
        let told = link.ends[at].told.iter();
        let told = told.filter(|event| event.id == SocketId::Tcp(id));
        let told = told.fold(Readiness::empty(), |all, event| all | event.ready);
        assert!(
            told.contains(Readiness::CONNECTED | Readiness::WRITABLE),
            "{at}: {told:?}"
        );
    }
}

#[test]
fn a_megabyte_goes_through_and_both_ends_close() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let (mut written, mut read) = (0, Vec::new());
    while read.len() < data.len() {
        let now = link.now;
        match link.ends[1].stack.tcp_write(now, client, &data[written..]) {
            Ok(n) => written += n,
            Err(WriteError::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        }
        link.pass(Duration::from_millis(1));
        while let Ok(chunk) = link.ends[0].stack.tcp_read_chunk(link.now, server, 70_000) {
            assert!(!chunk.is_empty(), "the stream has not ended");
            read.extend_from_slice(&chunk);
        }
        assert!(
            link.now < Instant::from_millis(60_000),
            "stuck at {} bytes",
            read.len()
        );
    }
    assert_eq!(read, data);
    let now = link.now;
    link.ends[1]
        .stack
        .tcp_shutdown(now, client, Shutdown::Write)
        .unwrap();
    link.settle();
    assert_eq!(link.state(1, client), State::FinWait2);
    assert_eq!(link.ends[0].stack.tcp_read(now, server, &mut [0; 9]), Ok(0));
    link.ends[0].stack.tcp_close(now, server);
    link.settle();
    assert_eq!(link.state(1, client), State::TimeWait);
    assert_eq!(link.ends[0].stack.tcp_open_count(), 0);
    link.ends[1].stack.tcp_close(now, client);
    assert_eq!(link.ends[1].stack.tcp_time_wait_count(), 1);
    link.pass(Duration::from_secs(61));
    assert_eq!(link.ends[1].stack.tcp_time_wait_count(), 0);
    assert_eq!(link.ends[0].stack.poll_timeout(), None);
}

#[test]
fn a_connect_to_a_closed_port_is_refused() {
    let mut link = Link::new();
    let to = SERVER.parse().unwrap();
    let id = link.ends[1]
        .stack
        .tcp_connect(link.now, to, None, TcpOptions::default())
        .unwrap();
    link.settle();
    assert_eq!(
        link.ends[1].stack.tcp_failure(id),
        Ok(Some(TcpFailure::Refused))
    );
    let error = ReadError::Failed(TcpFailure::Refused);
    assert_eq!(
        link.ends[1].stack.tcp_read(link.now, id, &mut [0; 1]),
        Err(error)
    );
}

#[test]
fn closing_with_unread_data_resets_the_peer() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    link.ends[1]
        .stack
        .tcp_write(link.now, client, b"unread")
        .unwrap();
    link.settle();
    link.ends[0].stack.tcp_close(link.now, server);
    link.settle();
    assert_eq!(
        link.ends[1].stack.tcp_failure(client),
        Ok(Some(TcpFailure::Reset))
    );
    assert_eq!(link.ends[0].stack.tcp_open_count(), 0);
}

/// r56, and the errors std would give.
#[test]
fn r56_taken_endpoints_are_typed_errors() {
    let mut link = Link::new();
    let (client, _) = link.connected();
    let server: SocketAddr = SERVER.parse().unwrap();
    let again = link.ends[0]
        .stack
        .tcp_listen(server, ListenOptions::default());
    assert_eq!(again, Err(ListenError::InUse));
    let foreign = "10.9.9.9:80".parse().unwrap();
    let foreign = link.ends[0]
        .stack
        .tcp_listen(foreign, ListenOptions::default());
    assert_eq!(foreign, Err(ListenError::AddressNotAvailable));
    let local = link.ends[1].stack.tcp_local_addr(client).unwrap();
    let options = TcpOptions::default;
    let same = link.ends[1]
        .stack
        .tcp_connect(link.now, server, Some(local), options());
    assert_eq!(same, Err(ConnectError::InUse));
    let group = "224.0.0.1:80".parse().unwrap();
    let group = link.ends[1]
        .stack
        .tcp_connect(link.now, group, None, options());
    assert_eq!(group, Err(ConnectError::Destination));
    link.ends[1].stack.tcp_close(link.now, client);
    assert_eq!(
        link.ends[1].stack.tcp_write(link.now, client, b"x"),
        Err(WriteError::Stale)
    );
}

/// r51: a listener that closes resets only what nobody accepted.
#[test]
fn r51_closing_a_listener_leaves_accepted_connections_alone() {
    let mut link = Link::new();
    let server: SocketAddr = SERVER.parse().unwrap();
    let now = link.now;
    let listener = link.ends[0]
        .stack
        .tcp_listen(server, ListenOptions::default())
        .unwrap();
    let connect = |link: &mut Link| {
        link.ends[1]
            .stack
            .tcp_connect(now, server, None, TcpOptions::default())
            .unwrap()
    };
    let (first, second) = (connect(&mut link), connect(&mut link));
    link.settle();
    let accepted = link.ends[0].stack.tcp_accept(now, listener).unwrap();
    link.ends[0].stack.tcp_listener_close(now, listener);
    assert_eq!(
        link.ends[0].stack.tcp_accept(now, listener),
        Err(AcceptError::Stale)
    );
    link.settle();
    assert_eq!(link.state(0, accepted), State::Established);
    let failures = [first, second].map(|id| link.ends[1].stack.tcp_failure(id).unwrap());
    assert_eq!(
        failures.iter().flatten().collect::<Vec<_>>(),
        [&TcpFailure::Reset]
    );
}

/// A full backlog drops the ACK that would complete one more; the peer's data asks again.
#[test]
fn a_full_backlog_is_back_pressure() {
    let mut link = Link::new();
    let server: SocketAddr = SERVER.parse().unwrap();
    let options = ListenOptions::default().backlog(2);
    let listener = link.ends[0].stack.tcp_listen(server, options).unwrap();
    for _ in 0..3 {
        let options = TcpOptions::default();
        let (now, peer) = (link.now, &mut link.ends[1].stack);
        let client = peer.tcp_connect(now, server, None, options).unwrap();
        peer.tcp_write(now, client, b"hello").unwrap();
    }
    link.settle();
    assert_eq!(link.ends[0].stack.counters().tcp_cookies_sent, 1);
    assert_eq!(link.ends[0].stack.tcp_listener_waiting(listener), Ok(2));
    for _ in 0..2 {
        link.ends[0].stack.tcp_accept(link.now, listener).unwrap();
    }
    link.pass(Duration::from_secs(4));
    assert_eq!(
        link.ends[0].stack.tcp_listener_waiting(listener),
        Ok(1),
        "it came after all"
    );
}
