//! Connections, records and listeners whose address is taken away.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::tests::{Link, SERVER};
use super::{AcceptError, ListenOptions};
use crate::device::{Capabilities, Medium};
use crate::stack::{AddressOptions, Event, Readiness, SocketId, Stack};
use crate::tcp::{ReadError, State, TcpFailure, TcpOptions, WriteError};

const GONE: TcpFailure = TcpFailure::AddressGone;

fn server_ip() -> IpAddr {
    "10.0.0.1".parse().unwrap()
}

/// The server's end without its address from now on; nothing of it is on the wire before.
fn take_away(link: &mut Link) {
    let (now, end) = (link.now, &mut link.ends[0]);
    end.told.clear();
    end.stack.remove_address(now, end.on, server_ip()).unwrap();
}

/// A second connection to the server, beside those that there are.
fn connect(link: &mut Link) -> crate::stack::TcpId {
    let to = SERVER.parse().unwrap();
    let stack = &mut link.ends[1].stack;
    let options = TcpOptions::default();
    let id = stack.tcp_connect(link.now, to, None, options).unwrap();
    link.settle();
    id
}

fn told(told: impl IntoIterator<Item = Event>, id: SocketId) -> Readiness {
    let mine = told.into_iter().filter(|event| event.id == id);
    mine.fold(Readiness::empty(), |all, event| all | event.ready)
}

/// r54: calls fail by what happened, the handles are told, what had come is still read, and no segment leaves: no RST
/// either.
#[test]
fn r54_an_address_that_goes_ends_its_connections() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let now = link.now;
    link.ends[1]
        .stack
        .tcp_write(now, client, b"last words")
        .unwrap();
    link.settle();
    // Something waits to leave when the address goes.
    link.ends[0]
        .stack
        .tcp_write(now, server, &[1; 100_000])
        .unwrap();
    take_away(&mut link);
    link.ends[0].send(now);
    assert_eq!(link.ends[0].out.len(), 0);
    let stack = &mut link.ends[0].stack;
    assert_eq!(stack.tcp_failure(server), Ok(Some(GONE)));
    assert_eq!(
        stack.tcp_write(now, server, b"x"),
        Err(WriteError::Failed(GONE))
    );
    let mut text = [0; 20];
    assert_eq!(stack.tcp_read(now, server, &mut text), Ok(10));
    assert_eq!(
        stack.tcp_read(now, server, &mut text),
        Err(ReadError::Failed(GONE))
    );
    let error = std::io::Error::from(ReadError::Failed(GONE));
    assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    link.settle();
    let ready = told(link.ends[0].told.drain(..), SocketId::Tcp(server));
    assert!(ready.contains(Readiness::FAILED | Readiness::CLOSED));
    let stack = &mut link.ends[0].stack;
    stack.tcp_close(now, server);
    assert_eq!(stack.tcp_owed_resets(), 0);
    assert_eq!(stack.counters().tcp_addresses_gone, 1);
    assert_eq!((stack.tcp_open_count(), stack.memory().used), (0, 0));
    assert_eq!(stack.poll_timeout(), None);
}

/// r54: half-open connections, TIME-WAIT, FIN-WAIT-2 and a listener's unaccepted ones too.
#[test]
fn r54_an_address_that_goes_leaves_no_record_behind() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let listener = listener_of(&link);
    let now = link.now;
    // A TIME-WAIT of the server's, a FIN-WAIT-2 without a user, one that nobody accepted, and one half open.
    link.ends[0].stack.tcp_close(now, server);
    link.settle();
    link.ends[1].stack.tcp_close(now, client);
    link.settle();
    assert_eq!(link.ends[0].stack.tcp_time_wait_count(), 1);
    connect(&mut link);
    let half_closed = link.ends[0].stack.tcp_accept(now, listener).unwrap();
    link.ends[0].stack.tcp_close(now, half_closed);
    link.settle();
    connect(&mut link);
    let to = SERVER.parse().unwrap();
    let options = TcpOptions::default();
    let stack = &mut link.ends[1].stack;
    stack.tcp_connect(now, to, None, options).unwrap();
    link.ends[1].send(now);
    link.ends[0].turn(now);
    assert_eq!(link.ends[0].stack.tcp_open_count(), 3);
    link.ends[0].out.take();
    take_away(&mut link);
    link.ends[0].turn(now);
    assert_eq!(link.ends[0].out.len(), 0);
    let stack = &mut link.ends[0].stack;
    assert_eq!(
        (stack.tcp_open_count(), stack.tcp_time_wait_count()),
        (0, 0)
    );
    assert_eq!(
        stack.tcp_accept(now, listener),
        Err(AcceptError::AddressGone)
    );
    let error = std::io::Error::from(AcceptError::AddressGone);
    assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    let ready = told(link.ends[0].told.drain(..), SocketId::Listener(listener));
    assert!(ready.contains(Readiness::FAILED));
    let stack = &mut link.ends[0].stack;
    stack.tcp_listener_close(now, listener);
    assert_eq!((stack.tcp_owed_resets(), stack.memory().used), (0, 0));
    assert_eq!(stack.poll_timeout(), None);
}

fn listener_of(link: &Link) -> crate::stack::ListenerId {
    link.ends[0].stack.tcp.listeners.id_at(0).unwrap()
}

/// A RST that is owed when the address goes is not sent.
#[test]
fn r54_a_reset_that_is_owed_goes_with_its_address() {
    let mut link = Link::new();
    let (_, server) = link.connected();
    let now = link.now;
    link.ends[0].stack.tcp_abort(now, server);
    assert_eq!(link.ends[0].stack.tcp_owed_resets(), 1);
    take_away(&mut link);
    link.ends[0].send(now);
    assert_eq!(
        (link.ends[0].out.len(), link.ends[0].stack.tcp_owed_resets()),
        (0, 0)
    );
}

/// What has another address goes on, and so does what is bound to none: with the one that is left.
#[test]
fn what_has_another_address_goes_on() {
    let mut link = Link::new();
    let now = link.now;
    let end = &mut link.ends[0];
    let more = "10.0.0.3/24".parse().unwrap();
    let options = AddressOptions::new();
    end.stack.add_address(now, end.on, more, options).unwrap();
    let any = "0.0.0.0:81".parse().unwrap();
    let listen = ListenOptions::default();
    let listener = end.stack.tcp_listen(any, listen).unwrap();
    let mut both = Vec::new();
    for own in ["10.0.0.1:81", "10.0.0.3:81"] {
        let own: SocketAddr = own.parse().unwrap();
        let options = TcpOptions::default();
        let stack = &mut link.ends[1].stack;
        stack.tcp_connect(now, own, None, options).unwrap();
        link.settle();
        both.push(link.ends[0].stack.tcp_accept(now, listener).unwrap());
    }
    take_away(&mut link);
    link.settle();
    let stack = &mut link.ends[0].stack;
    let failures: Vec<_> = both
        .iter()
        .map(|&id| stack.tcp_failure(id).unwrap())
        .collect();
    assert_eq!(failures, [Some(GONE), None]);
    assert_eq!(
        stack.tcp_accept(now, listener),
        Err(AcceptError::WouldBlock)
    );
    let text = stack.tcp_write(now, both[1], b"still here");
    assert_eq!(text, Ok(10));
    link.settle();
    let id = link.ends[1].stack.tcp_connections().last().unwrap();
    let mut read = [0; 20];
    assert_eq!(link.ends[1].stack.tcp_read(now, id, &mut read), Ok(10));
    // And the network is still reached by the route of the other.
    let options = TcpOptions::default();
    let stack = &mut link.ends[0].stack;
    let to = "10.0.0.2:9".parse().unwrap();
    let id = stack.tcp_connect(now, to, None, options).unwrap();
    assert_eq!(
        stack.tcp_local_addr(id).unwrap().ip().to_string(),
        "10.0.0.3"
    );
}

/// A listener takes connections again when its address is back.
#[test]
fn a_listener_waits_for_its_address() {
    let mut link = Link::new();
    link.connected();
    let listener = listener_of(&link);
    take_away(&mut link);
    let now = link.now;
    let end = &mut link.ends[0];
    assert_eq!(
        end.stack.tcp_accept(now, listener),
        Err(AcceptError::AddressGone)
    );
    let back = "10.0.0.1/24".parse().unwrap();
    let options = AddressOptions::new();
    end.stack.add_address(now, end.on, back, options).unwrap();
    assert_eq!(
        end.stack.tcp_accept(now, listener),
        Err(AcceptError::WouldBlock)
    );
    let client = connect(&mut link);
    assert_eq!(link.state(1, client), State::Established);
    assert!(link.ends[0].stack.tcp_accept(now, listener).is_ok());
}

/// However many there are: each call, and each turn, looks at a few, and all are found. One that waits in vain meanwhile
/// sends nothing.
#[test]
fn r54_no_call_looks_at_all_sockets_at_once() {
    const MANY: usize = 3000;
    let capabilities = Capabilities::full(Medium::Ip, 1500);
    let mut link = Link::with(&capabilities, |config| config.timer_budget(4));
    let (now, server) = (link.now, SERVER.parse().unwrap());
    let listen = ListenOptions::default().backlog(MANY);
    let listener = link.ends[0].stack.tcp_listen(server, listen).unwrap();
    for _ in 0..MANY {
        let options = TcpOptions::default();
        let stack = &mut link.ends[1].stack;
        stack.tcp_connect(now, server, None, options).unwrap();
    }
    link.settle();
    let accept = |stack: &mut Stack| stack.tcp_accept(now, listener).ok();
    let all: Vec<_> = core::iter::from_fn(|| accept(&mut link.ends[0].stack)).collect();
    assert_eq!(all.len(), MANY);
    let left = |link: &Link| {
        let stack = &link.ends[0].stack;
        let failures = all.iter().filter(|&&id| stack.tcp_failure(id) == Ok(None));
        failures.count()
    };
    take_away(&mut link);
    assert_eq!(left(&link), MANY - 1024, "what one call looks at");
    for &id in &all {
        let _ = link.ends[0].stack.tcp_write(now, id, b"too late");
    }
    link.ends[0].send(now);
    assert_eq!(link.ends[0].out.len(), 0);
    let (mut before, mut turns) = (left(&link), 0);
    while before > 0 {
        let stack = &mut link.ends[0].stack;
        assert_eq!(stack.poll_timeout(), Some(now), "there is more to do");
        stack.handle_timeout(now);
        let after = left(&link);
        assert!(before - after <= 4 * 16, "{before} {after}");
        (before, turns) = (after, turns + 1);
        assert!(turns < 100, "{before} are left");
    }
    link.pass(Duration::from_secs(1));
    assert_eq!(
        link.ends[0].stack.counters().tcp_addresses_gone,
        MANY as u64
    );
}
