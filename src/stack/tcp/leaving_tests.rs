//! How connections leave: what stands in line for a device when its socket is gone, RSTs that are
//! owed in bulk, and what a closed connection still costs; what half-open ones are doubted by.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::Shutdown;

use super::ListenOptions;
use super::hostile_tests::{fields, timestamp};
use super::regression_tests::icmp_error;
use super::tests::{Link, SERVER, Wire};
use super::time_waits::Name;
use crate::base::{DropReason, Instant, Seed};
use crate::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use crate::ipv4::icmp::UnreachableCode;
use crate::link::{RxFrame, TxFrame};
use crate::stack::{Config, InterfaceConfig, InterfaceId, ListenerId, More, Stack, TcpId};
use crate::tcp::{Flags, Keepalive, Options, State, TcpFailure, TcpOptions};

/// A device that is full until it is told otherwise.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) wire: Wire,
    pub(super) room: usize,
}

impl Transmit for Gate {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if self.room == 0 {
            return Ok(Sent::Full);
        }
        self.room -= 1;
        self.wire.transmit(now, frame)
    }
}

impl Gate {
    /// Destination and flags of each frame that it took, IPv4 without options.
    fn taken(&mut self) -> Vec<([u8; 4], Flags)> {
        let frames = self.wire.take().into_iter();
        let apart = |data: &[u8]| {
            let to = data[16..20].try_into().unwrap();
            (to, Flags::from_bits_retain(u16::from(data[33])))
        };
        frames.map(|frame| apart(&frame.data)).collect()
    }
}

fn interface(stack: &mut Stack, address: &str) -> InterfaceId {
    let config = InterfaceConfig::new(&Capabilities::full(Medium::Ip, 1500));
    let config = config.address(address.parse().unwrap());
    stack.add_interface(Instant::ZERO, config).unwrap()
}

/// What stood in line for one interface is not sent by it when the slot is another's, on another.
#[test]
fn a_segment_leaves_by_the_interface_of_its_connection_only() {
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let (a, b) = (
        interface(&mut stack, "10.0.0.1/24"),
        interface(&mut stack, "10.1.0.1/24"),
    );
    let connect = |stack: &mut Stack, to: &str| {
        let to: SocketAddr = to.parse().unwrap();
        let options = TcpOptions::default();
        stack.tcp_connect(Instant::ZERO, to, None, options).unwrap()
    };
    let (mut device_a, mut device_b) = (Gate::default(), Gate::default());
    let first = connect(&mut stack, "10.0.0.2:80");
    let progress = stack.poll_transmit(Instant::ZERO, a, &mut device_a);
    assert_eq!(progress.unwrap().more, More::DeviceFull);
    stack.tcp_abort(Instant::ZERO, first);
    connect(&mut stack, "10.1.0.2:80");
    (device_a.room, device_b.room) = (9, 9);
    let progress = stack.poll_transmit(Instant::ZERO, a, &mut device_a);
    assert_eq!(progress.unwrap().more, More::Idle);
    assert_eq!(device_a.taken(), [], "nothing of the second's");
    stack
        .poll_transmit(Instant::ZERO, b, &mut device_b)
        .unwrap();
    assert_eq!(device_b.taken(), [([10, 1, 0, 2], Flags::SYN)]);
}

/// A connection that its user holds stands in line when the FIN comes: its turn must not take the
/// end of TIME-WAIT away, nor send for what the record answers for.
#[test]
fn a_held_connection_leaves_time_wait() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let now = link.now;
    let write = Shutdown::Write;
    link.ends[1].stack.tcp_shutdown(now, client, write).unwrap();
    for frame in link.swallow(1) {
        let end = &mut link.ends[0];
        end.stack.handle_frame(now, end.on, frame);
    }
    let mut answers = link.swallow(0);
    link.ends[0].stack.tcp_shutdown(now, server, write).unwrap();
    answers.extend(link.swallow(0));
    assert!(answers.len() >= 2, "an ACK, then a FIN");
    for frame in answers {
        let end = &mut link.ends[1];
        end.stack.handle_frame(now, end.on, frame);
    }
    assert_eq!(link.state(1, client), State::TimeWait);
    assert_eq!(link.swallow(1).len(), 1, "the ACK of the FIN");
    link.pass(Duration::from_secs(61));
    assert_eq!(link.state(1, client), State::Closed);
    assert_eq!(link.ends[1].stack.poll_timeout(), None);
}

/// Connects from the second end to the first `count` times, all at once; the clients.
fn connect_many(link: &mut Link, count: usize) -> Vec<TcpId> {
    let server: SocketAddr = SERVER.parse().unwrap();
    let now = link.now;
    let connect = |_| {
        let options = TcpOptions::default();
        link.ends[1]
            .stack
            .tcp_connect(now, server, None, options)
            .unwrap()
    };
    (0..count).map(connect).collect()
}

/// Listens at the first end, and completes `count` connections that wait to be accepted.
fn waiting(link: &mut Link, count: usize) -> (ListenerId, Vec<TcpId>) {
    let server: SocketAddr = SERVER.parse().unwrap();
    let listener = link.ends[0]
        .stack
        .tcp_listen(server, ListenOptions::default())
        .unwrap();
    let mut clients = Vec::new();
    // The SYN-ACKs of this many fit the outbox.
    while clients.len() < count {
        let some = 200.min(count - clients.len());
        clients.extend(connect_many(link, some));
        link.settle();
    }
    assert_eq!(link.ends[0].stack.tcp_listener_waiting(listener), Ok(count));
    (listener, clients)
}

fn count_reset(link: &Link, clients: &[TcpId]) -> usize {
    let failure = |&id: &TcpId| link.ends[1].stack.tcp_failure(id).unwrap();
    clients
        .iter()
        .map(failure)
        .filter(|&failure| failure == Some(TcpFailure::Reset))
        .count()
}

/// However many close at once, each peer is told.
#[test]
fn every_peer_of_many_aborted_connections_is_told() {
    let mut link = Link::new();
    let (listener, clients) = waiting(&mut link, 1000);
    let now = link.now;
    let stack = &mut link.ends[0].stack;
    while let Ok(id) = stack.tcp_accept(now, listener) {
        stack.tcp_abort(now, id);
    }
    assert_eq!(stack.tcp_connections().count(), 0);
    link.settle();
    assert_eq!(count_reset(&link, &clients), 1000);
    let counters = link.ends[0].stack.counters();
    assert_eq!(counters.tcp_resets_sent, 1000);
    assert_eq!(counters.drops.total(), 0);
}

/// The same for those that wait in a listener which closes.
#[test]
fn every_peer_that_waited_in_a_closed_listener_is_told() {
    let mut link = Link::new();
    let (listener, clients) = waiting(&mut link, 1000);
    let now = link.now;
    link.ends[0].stack.tcp_listener_close(now, listener);
    link.settle();
    assert_eq!(count_reset(&link, &clients), 1000);
}

/// RFC 9293 §3.10.5: a half-open connection is reset too. The ACKs of its peers are lost here; they
/// believe in a connection, and would for as long as they have nothing to say.
#[test]
fn half_open_connections_of_a_closed_listener_are_reset() {
    let mut link = Link::new();
    let server: SocketAddr = SERVER.parse().unwrap();
    let options = ListenOptions::new(TcpOptions::default().ttl(9));
    let listener = link.ends[0].stack.tcp_listen(server, options).unwrap();
    let other = listen(&mut link, 0, "10.0.0.1:81", 128);
    let of_other: SocketAddr = "10.0.0.1:81".parse().unwrap();
    let now = link.now;
    // The other's is the first of all half-open ones, so that a walk would meet it.
    let kept = link.ends[1]
        .stack
        .tcp_connect(now, of_other, None, TcpOptions::default())
        .unwrap();
    let clients = connect_many(&mut link, 60);
    for from in [1, 0] {
        for frame in link.swallow(from) {
            let end = &mut link.ends[1 - from];
            end.stack.handle_frame(now, end.on, frame);
        }
    }
    assert_eq!(link.swallow(1).len(), 61, "ACKs, lost");
    assert_eq!(link.state(1, clients[0]), State::Established);
    assert_eq!(link.ends[0].stack.tcp_open_count(), 61);
    link.ends[0].stack.tcp_listener_close(now, listener);
    for frame in link.swallow(0) {
        assert_eq!((frame.data[8], frame.data[33] & 4), (9, 4), "TTL, RST");
        let end = &mut link.ends[1];
        end.stack.handle_frame(now, end.on, frame);
    }
    assert_eq!(count_reset(&link, &clients), 60);
    assert_eq!(link.state(1, kept), State::Established);
    assert_eq!(link.ends[0].stack.tcp_open_count(), 1, "the other's");
    assert_eq!(link.ends[0].stack.tcp_listener_waiting(other), Ok(0));
}

/// With a device that takes nothing, what is owed is bounded by the connections that there were, and
/// by time; what it takes again leaves first.
#[test]
fn resets_do_not_wait_for_a_full_device_for_ever() {
    let config = |config: Config| config.timer_budget(30);
    let mut link = Link::with(&Capabilities::full(Medium::Ip, 1500), config);
    let (listener, _clients) = waiting(&mut link, 300);
    let now = link.now;
    let (stack, on) = (&mut link.ends[0].stack, link.ends[0].on);
    let mut device = Gate::default();
    let mut ids = std::iter::from_fn(|| stack.tcp_accept(now, listener).ok());
    let ids: Vec<_> = ids.by_ref().collect();
    for &id in &ids {
        stack.tcp_abort(now, id);
        stack.poll_transmit(now, on, &mut device).unwrap();
    }
    assert_eq!(stack.tcp.farewells.len(), 300);
    device.room = 100;
    while stack.poll_transmit(now, on, &mut device).unwrap().more == More::Budget {}
    let rst = Flags::RST | Flags::ACK;
    assert_eq!(device.taken(), vec![([10, 0, 0, 2], rst); 100]);
    let end = now + Duration::from_secs(60);
    stack.handle_timeout(now + Duration::from_secs(59));
    assert_eq!(stack.tcp.farewells.len(), 200);
    // The timer itself is one of the thirty.
    let left = |stack: &Stack| stack.tcp.farewells.len();
    assert_eq!(in_parts(stack, end, left), [29, 29, 29, 29, 29, 29, 26]);
    assert_eq!(stack.counters().drops.get(DropReason::OutboxFull), 200);
    assert_eq!(stack.poll_timeout(), None);
    device.room = 100;
    stack.poll_transmit(end, on, &mut device).unwrap();
    assert_eq!(device.taken(), []);
    assert!(!stack.wants_transmit(on));
}

/// Peers that never close keep a small record each, and turn no close into a reset.
#[test]
fn peers_that_never_close_use_no_orphans_up() {
    let config = |config: Config| config.orphan_limit(10);
    let mut link = Link::with(&Capabilities::full(Medium::Ip, 1500), config);
    let (listener, clients) = waiting(&mut link, 300);
    let accept = |link: &mut Link| link.ends[0].stack.tcp_accept(link.now, listener);
    while let Ok(id) = accept(&mut link) {
        let now = link.now;
        link.ends[0].stack.tcp_close(now, id);
        link.settle();
    }
    let states = clients.iter().map(|&id| link.state(1, id));
    assert_eq!(states.filter(|&s| s == State::CloseWait).count(), 300);
    let stack = &link.ends[0].stack;
    assert_eq!((stack.tcp.orphans, stack.tcp.slots.len()), (0, 0));
    assert_eq!(
        (stack.tcp_open_count(), stack.tcp_time_wait_count()),
        (300, 0)
    );
    assert_eq!(stack.counters().tcp_resets_sent, 0);
    // One closes, one sends, one resets; the others end with their time.
    let now = link.now;
    link.ends[1].stack.tcp_close(now, clients[0]);
    link.write(1, clients[1], b"text");
    link.ends[1].stack.tcp_abort(now, clients[2]);
    link.settle();
    let stack = &link.ends[0].stack;
    assert_eq!(
        (stack.tcp_open_count(), stack.tcp_time_wait_count()),
        (297, 1)
    );
    assert_eq!(count_reset(&link, &clients[1..2]), 1, "nobody reads it");
    link.pass(Duration::from_secs(59));
    assert_eq!(link.ends[0].stack.tcp_open_count(), 297);
    link.pass(Duration::from_secs(2));
    let stack = &link.ends[0].stack;
    assert_eq!(
        (stack.tcp_open_count(), stack.tcp_time_wait_count()),
        (0, 0)
    );
    assert_eq!(stack.poll_timeout(), None);
    assert_eq!(stack.counters().tcp_time_wait_full, 0);
}

/// Fifteen connections that the server has closed, nothing of which has left yet, where it may keep ten records.
fn fifteen_closed_with_ten_records() -> (Link, Vec<TcpId>) {
    let config = |config: Config| config.time_wait_limit(10);
    let mut link = Link::with(&Capabilities::full(Medium::Ip, 1500), config);
    let (listener, clients) = waiting(&mut link, 15);
    let now = link.now;
    while let Ok(id) = link.ends[0].stack.tcp_accept(now, listener) {
        link.ends[0].stack.tcp_close(now, id);
    }
    (link, clients)
}

/// The records are bounded; one more ends with the acknowledgment of its FIN.
#[test]
fn fin_wait_records_are_bounded() {
    let (mut link, clients) = fifteen_closed_with_ten_records();
    let now = link.now;
    link.settle();
    let stack = &link.ends[0].stack;
    assert_eq!((stack.tcp_open_count(), stack.tcp.slots.len()), (10, 0));
    assert_eq!(stack.counters().tcp_time_wait_full, 5);
    for &id in &clients {
        link.ends[1].stack.tcp_close(now, id);
    }
    link.settle();
    let stack = &link.ends[0].stack;
    assert_eq!(
        (stack.tcp_open_count(), stack.tcp_time_wait_count()),
        (0, 10)
    );
    assert_eq!(stack.counters().tcp_resets_sent, 5, "nobody is there");
}

/// The records of TIME-WAIT are bounded as well where none of FIN-WAIT-2 came before: both ends closed at once.
#[test]
fn time_wait_records_are_bounded() {
    let (mut link, clients) = fifteen_closed_with_ten_records();
    let now = link.now;
    for &id in &clients {
        link.ends[1].stack.tcp_close(now, id);
    }
    link.settle();
    let stack = &link.ends[0].stack;
    assert_eq!(
        (stack.tcp_open_count(), stack.tcp_time_wait_count()),
        (0, 10)
    );
    assert_eq!(stack.counters().tcp_time_wait_full, 5);
    assert_eq!(stack.counters().tcp_resets_sent, 0, "each FIN was answered");
}

/// A peer that asks whether we live hears of it for as long as the record is there.
#[test]
fn a_fin_wait_record_answers_keep_alive_probes() {
    let mut link = Link::new();
    let keepalive = Keepalive::after(Duration::from_secs(5))
        .interval(Duration::from_secs(1))
        .probes(2);
    let options = TcpOptions::default().keepalive(Some(keepalive));
    let (client, server) = link.connected_with(&options);
    let now = link.now;
    link.ends[0].stack.tcp_close(now, server);
    link.pass(Duration::from_secs(50));
    assert_eq!(link.ends[0].stack.tcp.fin_wait.len(), 1);
    assert_eq!(link.state(1, client), State::CloseWait);
    assert_eq!(link.ends[1].stack.tcp_failure(client), Ok(None));
    assert!(link.ends[1].stack.counters().tcp_keepalives >= 5);
}

/// An ACK that was held back when its user went leaves all the same: the peer would send its text again.
#[test]
fn a_fin_wait_record_sends_the_ack_that_its_connection_owed() {
    let mut link = Link::new();
    let (client, server) = link.connected_with(&TcpOptions::default().quick_acks(0));
    let now = link.now;
    let write = Shutdown::Write;
    link.ends[0].stack.tcp_shutdown(now, server, write).unwrap();
    link.settle();
    assert_eq!(link.state(0, server), State::FinWait2);
    link.write(1, client, b"text");
    for frame in link.swallow(1) {
        let end = &mut link.ends[0];
        end.stack.handle_frame(now, end.on, frame);
    }
    let read = link.ends[0].stack.tcp_read(now, server, &mut [0; 9]);
    assert_eq!((read, link.swallow(0).len()), (Ok(4), 0), "held back");
    let (nxt, una, _) = link.expects(0, server);
    link.ends[0].stack.tcp_close(now, server);
    assert_eq!(link.ends[0].stack.tcp.fin_wait.len(), 1);
    let sent: Vec<_> = link.swallow(0).iter().map(numbers).collect();
    assert_eq!(sent, [(Flags::ACK, una, nxt)]);
}

/// Keep-alives of some stacks carry no timestamps, whatever was agreed on.
#[test]
fn a_fin_wait_record_answers_keep_alive_probes_without_timestamps() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let port = link.ends[1].stack.tcp_local_addr(client).unwrap().port();
    let (nxt, una, _) = link.expects(0, server);
    let now = link.now;
    link.ends[0].stack.tcp_close(now, server);
    link.settle();
    assert_eq!(link.ends[0].stack.tcp.fin_wait.len(), 1);
    for text in [&b""[..], b"x"] {
        link.now = link.now + Duration::from_secs(1);
        let una = una.wrapping_add(1);
        let probe = fields((port, 80), nxt.wrapping_sub(1), una, Flags::ACK);
        link.forge(0, probe, &Options::NONE, text);
        let answers: Vec<_> = link.swallow(0).iter().map(numbers).collect();
        assert_eq!(answers, [(Flags::ACK, una, nxt)]);
    }
}

/// What both ends have closed is over: its user reads what was acknowledged, whatever becomes of the rest. What nobody
/// accepted is nobody's.
#[test]
fn what_is_over_is_read_after_everything_was_reset() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let second = "10.0.0.1:81";
    let listener = listen(&mut link, 0, second, 8);
    let (now, options) = (link.now, TcpOptions::default());
    let connected = link.ends[1]
        .stack
        .tcp_connect(now, second.parse().unwrap(), None, options);
    let unheld = connected.unwrap();
    link.settle();
    link.ends[1].stack.tcp_write(now, unheld, b"x").unwrap();
    link.ends[1].stack.tcp_write(now, client, b"text").unwrap();
    for id in [client, unheld] {
        link.ends[1]
            .stack
            .tcp_shutdown(now, id, Shutdown::Write)
            .unwrap();
    }
    link.settle();
    link.ends[0]
        .stack
        .tcp_shutdown(now, server, Shutdown::Write)
        .unwrap();
    link.settle();
    link.ends[0].stack.tcp_abort_all(now);
    link.settle();
    assert_eq!(count_reset(&link, &[client, unheld]), 1);
    let mut buf = [0; 8];
    let stack = &mut link.ends[0].stack;
    assert_eq!(stack.tcp_read(now, server, &mut buf), Ok(4));
    assert_eq!(stack.tcp_read(now, server, &mut buf), Ok(0));
    stack.tcp_close(now, server);
    assert!(stack.tcp_accept(now, listener).is_err());
    assert_eq!((stack.tcp_open_count(), stack.tcp.slots.len()), (0, 0));
    assert_eq!(stack.memory().used, 0);
}

/// A host that ends resets what waits for a FIN only.
#[test]
fn fin_wait_records_are_reset_with_everything_else() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let now = link.now;
    link.ends[0].stack.tcp_close(now, server);
    link.settle();
    link.ends[0].stack.tcp_abort_all(now);
    link.settle();
    assert_eq!(count_reset(&link, &[client]), 1);
    assert_eq!(link.ends[0].stack.tcp_open_count(), 0);
    assert_eq!(link.ends[0].stack.poll_timeout(), None);
}

/// As many records as one place of a connection made, one after the other, are reset all the same.
#[test]
fn every_fin_wait_record_is_reset_however_few_connections_there_were_at_a_time() {
    let mut link = Link::new();
    let listener = listen(&mut link, 0, SERVER, 8);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.extend(connect_many(&mut link, 1));
        link.settle();
        let now = link.now;
        let server = link.ends[0].stack.tcp_accept(now, listener).unwrap();
        link.ends[0].stack.tcp_close(now, server);
        link.settle();
    }
    assert_eq!(link.ends[0].stack.tcp.fin_wait.len(), 20);
    let now = link.now;
    link.ends[0].stack.tcp_abort_all(now);
    link.settle();
    assert_eq!(count_reset(&link, &clients), 20);
}

/// A server in TIME-WAIT, the port of its client, and RCV.NXT with the timestamp seen last.
fn in_time_wait(link: &mut Link) -> (u16, u32, u32) {
    let (client, server) = link.connected();
    let now = link.now;
    let port = link.ends[1].stack.tcp_local_addr(client).unwrap().port();
    let (nxt, _, recent) = link.expects(0, server);
    link.ends[0].stack.tcp_close(now, server);
    link.settle();
    link.ends[1].stack.tcp_close(now, client);
    link.settle();
    assert_eq!(link.ends[0].stack.tcp_time_wait_count(), 1);
    (port, nxt.wrapping_add(1), recent)
}

/// Covers: TCP-19 (RFC 9293 §3.6.1 MAY-2 (2)): the SYN was an old duplicate, its SYN-ACK is reset.
#[test]
fn a_reset_of_what_reopened_returns_to_time_wait() {
    let mut link = Link::new();
    let (port, nxt, recent) = in_time_wait(&mut link);
    let syn = fields((port, 80), nxt.wrapping_add(5000), 0, Flags::SYN);
    link.forge(0, syn, &timestamp(recent.wrapping_add(1)), &[]);
    let stack = &link.ends[0].stack;
    assert_eq!(
        (stack.tcp_open_count(), stack.tcp_time_wait_count()),
        (1, 0)
    );
    // The client's stack knows nothing of it.
    link.settle();
    let stack = &link.ends[0].stack;
    assert_eq!(
        (stack.tcp_open_count(), stack.tcp_time_wait_count()),
        (0, 1)
    );
    link.pass(Duration::from_secs(61));
    assert_eq!(link.ends[0].stack.tcp_time_wait_count(), 0);
}

/// Covers: TCP-19: who sends SYNs of old, and resets what answers them, does not have the name wait for longer.
#[test]
fn who_reopens_and_resets_puts_nothing_off() {
    let mut link = Link::new();
    let (port, nxt, recent) = in_time_wait(&mut link);
    // Another one that began to wait later.
    link.pass(Duration::from_secs(30));
    let (now, other) = (link.now, "10.0.0.2:81".parse().unwrap());
    let listener = link.ends[1]
        .stack
        .tcp_listen(other, ListenOptions::default());
    let options = TcpOptions::default();
    let client = link.ends[0].stack.tcp_connect(now, other, None, options);
    link.settle();
    let server = link.ends[1].stack.tcp_accept(now, listener.unwrap());
    link.ends[0].stack.tcp_close(now, client.unwrap());
    link.settle();
    link.ends[1].stack.tcp_close(now, server.unwrap());
    link.settle();
    let syn = fields((port, 80), nxt.wrapping_add(5000), 0, Flags::SYN);
    link.forge(0, syn, &timestamp(recent.wrapping_add(1)), &[]);
    link.settle();
    assert_eq!(link.ends[0].stack.tcp_time_wait_count(), 2);
    link.pass(Duration::from_secs(31));
    assert_eq!(link.ends[0].stack.tcp_time_wait_count(), 1);
    link.pass(Duration::from_secs(30));
    assert_eq!(link.ends[0].stack.tcp_time_wait_count(), 0);
}

/// Two hosts behind one translated address: the second's clock and numbers are behind the first's.
/// Its SYN is refused, which it resets, and taken when it comes again a second later.
#[test]
fn time_wait_keeps_no_second_host_out() {
    let mut link = Link::new();
    let (port, nxt, recent) = in_time_wait(&mut link);
    let syn = fields((port, 80), nxt.wrapping_sub(5000), 0, Flags::SYN);
    let stamp = timestamp(recent.wrapping_sub(1000));
    link.forge(0, syn, &stamp, &[]);
    // An ACK, which the client's stack resets.
    link.settle();
    assert_eq!(link.ends[0].stack.tcp_time_wait_count(), 1);
    link.now = link.now + Duration::from_secs(1);
    link.forge(0, syn, &stamp, &[]);
    let answer = link.swallow(0).remove(0);
    assert_eq!(answer.data[33], (Flags::SYN | Flags::ACK).bits() as u8);
    assert_eq!(link.ends[0].stack.tcp_time_wait_count(), 0);
}

/// Ten thousand deadlines at one time are ten thousand in all, but not in one call: whoever drives the
/// stack receives and sends between calls, and is told to come back.
#[test]
fn one_call_fires_a_bounded_number_of_timers() {
    let mut link = Link::new();
    let clients = connect_many(&mut link, 3000);
    let (stack, on) = (&mut link.ends[1].stack, link.ends[1].on);
    let mut out = Gate {
        room: usize::MAX,
        ..Gate::default()
    };
    while stack.poll_transmit(link.now, on, &mut out).unwrap().more == More::Budget {}
    assert_eq!(out.taken().len(), clients.len());
    assert_eq!(stack.tcp_open_count(), clients.len());
    let now = link.now + Duration::from_secs(2);
    let mut calls = 0;
    let mut fired = 0;
    while stack.poll_timeout().is_some_and(|at| at <= now) {
        stack.handle_timeout(now);
        calls += 1;
        let after = stack.counters().tcp_rto_fired;
        assert!(after - fired <= 256, "{} in one call", after - fired);
        fired = after;
    }
    assert_eq!(fired, 3000);
    assert!((12..=36).contains(&calls), "{calls} calls");
}

/// What each call at `now` took away of what `left` counts, until no more is due.
fn in_parts(stack: &mut Stack, now: Instant, left: impl Fn(&Stack) -> usize) -> Vec<usize> {
    let mut parts = Vec::new();
    while stack.poll_timeout().is_some_and(|at| at <= now) {
        let before = left(stack);
        stack.handle_timeout(now);
        parts.push(before - left(stack));
    }
    parts
}

/// Records of TIME-WAIT that end at one time share one timer, and end in parts all the same.
#[test]
fn one_call_forgets_a_bounded_number_of_time_wait_records() {
    let config = |config: Config| config.timer_budget(10);
    let mut link = Link::with(&Capabilities::full(Medium::Ip, 1500), config);
    let (listener, clients) = waiting(&mut link, 45);
    let now = link.now;
    while let Ok(id) = link.ends[0].stack.tcp_accept(now, listener) {
        link.ends[0].stack.tcp_close(now, id);
    }
    link.settle();
    for id in clients {
        link.ends[1].stack.tcp_close(now, id);
    }
    link.settle();
    let stack = &mut link.ends[0].stack;
    assert_eq!(stack.tcp_time_wait_count(), 45);
    // The timers of the records of FIN-WAIT-2, which were stopped.
    stack.handle_timeout(now + Duration::from_secs(59));
    let end = now + Duration::from_secs(60);
    // The timer itself is one of the ten.
    let parts = in_parts(stack, end, Stack::tcp_time_wait_count);
    assert_eq!(parts, [9, 9, 9, 9, 9]);
    assert_eq!(stack.poll_timeout(), None);
}

/// Whoever looks at the connections a few at a time sees each once.
#[test]
fn connections_are_listed_in_parts() {
    let mut link = Link::new();
    let clients = connect_many(&mut link, 300);
    let now = link.now;
    let stack = &mut link.ends[1].stack;
    let mut listed = Vec::new();
    loop {
        let some: Vec<_> = stack
            .tcp_connections_after(listed.last().copied())
            .take(7)
            .collect();
        let Some(&last) = some.last() else { break };
        listed.extend(some);
        // Its place is found although it is gone.
        stack.tcp_abort(now, last);
    }
    assert_eq!(listed, clients);
    assert_eq!(stack.tcp_open_count(), 300 - 43);
}

/// Flags, sequence and acknowledgment number of a sent frame, IPv4 without options.
fn numbers(frame: &RxFrame) -> (Flags, u32, u32) {
    let word = |at: usize| u32::from_be_bytes(frame.data[at..at + 4].try_into().unwrap());
    let flags = Flags::from_bits_retain(u16::from(frame.data[33]));
    (flags, word(24), word(28))
}

fn listen(link: &mut Link, end: usize, at: &str, backlog: usize) -> ListenerId {
    let at = at.parse().unwrap();
    let options = ListenOptions::default().backlog(backlog);
    link.ends[end].stack.tcp_listen(at, options).unwrap()
}

/// Covers: SEC-1, SEC-2 (SYN-RECEIVED of a listener): a RST or a SYN in the window is asked about.
#[test]
fn a_half_open_connection_challenges_what_may_be_an_attack() {
    let mut link = Link::new();
    listen(&mut link, 0, SERVER, 8);
    link.forge(
        0,
        fields((5000, 80), 100, 0, Flags::SYN),
        &Options::NONE,
        &[],
    );
    let (_, iss, _) = numbers(&link.swallow(0)[0]);
    for flags in [Flags::RST, Flags::SYN] {
        let doubtful = fields((5000, 80), 105, 0, flags);
        link.forge(0, doubtful, &Options::NONE, &[]);
        link.forge(0, doubtful, &Options::NONE, &[]);
        let answers: Vec<_> = link.swallow(0).iter().map(numbers).collect();
        let challenge = (Flags::ACK, iss.wrapping_add(1), 101);
        assert_eq!(answers, [challenge], "{flags:?}, once");
        assert_eq!(link.ends[0].stack.tcp_open_count(), 1);
        link.now = link.now + Duration::from_millis(600);
    }
    assert_eq!(link.ends[0].stack.counters().tcp_challenge_acks, 2);
    // What a peer that knows nothing of the first SYN answers to the challenge.
    link.forge(
        0,
        fields((5000, 80), 101, 0, Flags::RST),
        &Options::NONE,
        &[],
    );
    assert_eq!(link.ends[0].stack.tcp_open_count(), 0);
}

/// RFC 9293 §3.10.7.2, second: an ACK that belongs to nothing is refused, accept queue full or not.
#[test]
fn a_stray_ack_is_refused_while_the_accept_queue_is_full() {
    let mut link = Link::new();
    let listener = listen(&mut link, 0, SERVER, 1);
    for port in [5000, 5001] {
        let syn = fields((port, 80), 100, 0, Flags::SYN);
        link.forge(0, syn, &Options::NONE, &[]);
    }
    let answers = link.swallow(0);
    assert_eq!(link.ends[0].stack.counters().tcp_cookies_sent, 1);
    let (_, iss, _) = numbers(&answers[0]);
    let (_, cookie, _) = numbers(&answers[1]);
    let ack = |link: &mut Link, port, ack| {
        let bare = fields((port, 80), 101, ack, Flags::ACK);
        link.forge(0, bare, &Options::NONE, &[]);
        link.swallow(0)
    };
    ack(&mut link, 5000, iss.wrapping_add(1));
    assert_eq!(link.ends[0].stack.tcp_listener_waiting(listener), Ok(1));
    let refused = ack(&mut link, 5002, 777);
    assert_eq!(numbers(&refused[0]), (Flags::RST, 777, 0));
    assert!(
        ack(&mut link, 5001, cookie.wrapping_add(1)).is_empty(),
        "waits"
    );
}

/// A SYN with a FIN opens nothing at a listener, and is challenged like any SYN elsewhere.
#[test]
fn a_syn_with_a_fin_is_a_syn_but_for_a_listener() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let port = link.ends[1].stack.tcp_local_addr(client).unwrap().port();
    let (nxt, una, recent) = link.expects(0, server);
    let both = Flags::SYN | Flags::FIN;
    link.forge(0, fields((port, 80), nxt, 0, both), &timestamp(recent), &[]);
    let answers: Vec<_> = link.swallow(0).iter().map(numbers).collect();
    assert_eq!(answers, [(Flags::ACK, una, nxt)]);
    assert_eq!(link.state(0, server), State::Established);
    link.forge(0, fields((5000, 80), 100, 0, both), &Options::NONE, &[]);
    assert!(link.swallow(0).is_empty());
    assert_eq!(
        link.ends[0]
            .stack
            .counters()
            .drops
            .get(DropReason::TcpMalformed),
        1
    );
}

/// Covers: TCP-53 (SYN-RECEIVED of a listener): who cannot be reached is not waited for.
#[test]
fn an_icmp_error_ends_a_half_open_connection_when_it_quotes_it() {
    let mut link = Link::new();
    listen(&mut link, 1, "10.0.0.2:80", 8);
    link.forge(
        1,
        fields((5000, 80), 100, 0, Flags::SYN),
        &Options::NONE,
        &[],
    );
    let answer = link.swallow(1).remove(0).data;
    let mut other = answer.to_vec();
    other[24] ^= 1;
    icmp_error(&mut link, UnreachableCode(1), 0, &other[..28]);
    icmp_error(
        &mut link,
        UnreachableCode::FRAGMENTATION_NEEDED,
        1400,
        &answer[..28],
    );
    assert_eq!(link.ends[1].stack.tcp_open_count(), 1);
    icmp_error(&mut link, UnreachableCode(1), 0, &answer[..28]);
    assert_eq!(link.ends[1].stack.tcp_open_count(), 0);
    assert_eq!(link.ends[1].stack.poll_timeout(), None);
}

/// Covers: TCP-49 (a getter: who does not ask is not told), TCP-54 (SHLD-25): a soft error is told to who asks, and is the reason when nothing comes.
#[test]
fn a_soft_error_is_told_and_names_the_end() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let soft = |link: &Link| link.ends[1].stack.tcp_info(client).unwrap().soft_error;
    link.write(1, client, b"hello");
    let sent = link.swallow(1).remove(0).data;
    assert_eq!(soft(&link), None);
    icmp_error(&mut link, UnreachableCode(0), 0, &sent[..28]);
    assert_eq!(soft(&link), Some(TcpFailure::NetworkUnreachable));
    icmp_error(
        &mut link,
        UnreachableCode::FRAGMENTATION_NEEDED,
        1400,
        &sent[..28],
    );
    assert_eq!(soft(&link), Some(TcpFailure::NetworkUnreachable));
    assert_eq!(link.ends[1].stack.tcp_failure(client), Ok(None));
    // An acknowledgment says that it was passing.
    link.pass(Duration::from_secs(5));
    assert_eq!(soft(&link), None);
    assert_eq!(link.state(0, server), State::Established);
    link.write(1, client, b"hello?");
    let sent = link.swallow(1).remove(0).data;
    icmp_error(&mut link, UnreachableCode(1), 0, &sent[..28]);
    let mut now = link.now;
    while let Some(next) = link.ends[1].stack.poll_timeout() {
        now = now.max(next);
        link.ends[1].stack.handle_timeout(now);
        link.swallow(1);
    }
    let stack = &link.ends[1].stack;
    let unreachable = Some(TcpFailure::HostUnreachable);
    assert_eq!(stack.tcp_failure(client), Ok(unreachable));
    assert_eq!(stack.counters().tcp_timed_out, 1);
}

/// What is no orphan needs no place among them: a FIN that was acknowledged before the close.
#[test]
fn a_close_in_fin_wait_2_is_no_reset_however_many_orphans_there_are() {
    let config = |config: Config| config.orphan_limit(0);
    let mut link = Link::with(&Capabilities::full(Medium::Ip, 1500), config);
    let (client, server) = link.connected();
    let now = link.now;
    let write = Shutdown::Write;
    link.ends[0].stack.tcp_shutdown(now, server, write).unwrap();
    link.settle();
    assert_eq!(link.state(0, server), State::FinWait2);
    link.ends[0].stack.tcp_close(now, server);
    link.settle();
    assert_eq!(link.state(1, client), State::CloseWait);
    assert_eq!(link.ends[0].stack.tcp_open_count(), 1);
    // The other has a FIN to see off, and no place.
    link.ends[1].stack.tcp_close(now, client);
    link.settle();
    assert_eq!(link.ends[1].stack.counters().tcp_resets_sent, 1);
    assert_eq!(link.ends[0].stack.tcp_open_count(), 0);
}

/// A RST that is owed outlives a moment without room, whatever TIME-WAIT lasts.
#[test]
fn without_time_wait_a_reset_still_waits_for_the_device() {
    let config = |config: Config| config.time_wait(Duration::ZERO);
    let mut link = Link::with(&Capabilities::full(Medium::Ip, 1500), config);
    let (client, server) = link.connected();
    let now = link.now;
    link.ends[0].stack.tcp_abort(now, server);
    link.now = now + Duration::from_millis(500);
    let now = link.now;
    link.ends[0].stack.handle_timeout(now);
    link.settle();
    assert_eq!(count_reset(&link, &[client]), 1);
}

/// RSTs that no device takes: never more than there were connections.
#[test]
fn resets_that_nobody_takes_are_bounded() {
    let mut link = Link::new();
    let (client, _) = link.connected();
    let stack = &mut link.ends[1].stack;
    let slot = stack.tcp.slots.get_mut(client).unwrap();
    let name = Name::of(slot);
    let reset = slot.connection.abort().unwrap();
    for _ in 0..100 {
        stack.say_farewell(name, reset);
    }
    let kept = stack.tcp.farewells.len();
    assert!((1..=8).contains(&kept), "{kept}");
    let dropped = stack.counters().drops.get(DropReason::OutboxFull);
    assert_eq!(dropped, 100 - kept as u64);
}
