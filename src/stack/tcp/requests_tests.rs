//! Listeners for any port and any address, and requests that their users decide about.

use core::net::SocketAddr;
use core::time::Duration;

use super::hostile_tests::{fields, timestamp};
use super::requests::{AdmitError, ConnectRequest, Refusal};
use super::tests::{Link, SERVER};
use super::{AcceptError, ListenError, ListenOptions};
use crate::base::DropReason;
use crate::device::{Capabilities, Medium};
use crate::stack::{InterfaceConfig, ListenerId, Readiness, SocketId, StaleId, TcpId};
use crate::tcp::{Flags, Options, State, TcpFailure, TcpOptions};

const ANY: &str = "0.0.0.0:0";
const FOREIGN: &str = "192.0.2.7:443";
const LIFE: Duration = Duration::from_secs(20);

/// The first end takes what is for anybody, and the second sends everything there.
fn link() -> Link {
    let interface = |config: InterfaceConfig| {
        config
            .accept_foreign(true)
            .route("0.0.0.0/0".parse().unwrap(), None)
    };
    let capabilities = Capabilities::full(Medium::Ip, 1500);
    Link::with_interfaces(&capabilities, |config| config, interface)
}

fn listen(link: &mut Link, at: &str, options: ListenOptions) -> ListenerId {
    let stack = &mut link.ends[0].stack;
    stack.tcp_listen(at.parse().unwrap(), options).unwrap()
}

fn holding(link: &mut Link) -> ListenerId {
    let options = ListenOptions::default().any_port(true).hold(Some(LIFE));
    listen(link, ANY, options)
}

fn connect(link: &mut Link, to: &str) -> TcpId {
    let (now, to) = (link.now, to.parse().unwrap());
    let stack = &mut link.ends[1].stack;
    let id = stack.tcp_connect(now, to, None, TcpOptions::default());
    link.settle();
    id.unwrap()
}

fn request(link: &mut Link, id: ListenerId) -> Result<ConnectRequest, AcceptError> {
    link.ends[0].stack.tcp_request(id)
}

fn failure(link: &Link, id: TcpId) -> Option<TcpFailure> {
    link.ends[1].stack.tcp_failure(id).unwrap()
}

/// One listener takes what is for any address and port; but for what another listens on.
#[test]
fn one_listener_takes_every_port_of_every_address() {
    let mut link = link();
    let any = listen(&mut link, ANY, ListenOptions::default().any_port(true));
    let own = listen(&mut link, "192.0.2.7:80", ListenOptions::default());
    for to in [FOREIGN, "198.51.100.1:1", "10.0.0.1:65535"] {
        let client = connect(&mut link, to);
        let (now, stack) = (link.now, &mut link.ends[0].stack);
        let accepted = stack.tcp_accept(now, any).unwrap();
        assert_eq!(stack.tcp_local_addr(accepted), Ok(to.parse().unwrap()));
        let from = link.ends[1].stack.tcp_local_addr(client).unwrap();
        let stack = &mut link.ends[0].stack;
        assert_eq!(stack.tcp_peer_addr(accepted), Ok(from));
        stack.tcp_write(now, accepted, b"hello").unwrap();
        link.settle();
        let read = link.ends[1].stack.tcp_read(now, client, &mut [0; 9]);
        assert_eq!(read, Ok(5), "{to}");
    }
    connect(&mut link, "192.0.2.7:80");
    let (now, stack) = (link.now, &mut link.ends[0].stack);
    assert_eq!(stack.tcp_accept(now, any), Err(AcceptError::WouldBlock));
    assert!(stack.tcp_accept(now, own).is_ok());
}

#[test]
fn every_port_is_listened_on_once() {
    let mut link = link();
    let options = || ListenOptions::default().any_port(true);
    let any = listen(&mut link, ANY, options());
    let stack = &mut link.ends[0].stack;
    let again = stack.tcp_listen(ANY.parse().unwrap(), options());
    assert_eq!(again, Err(ListenError::InUse));
    let given = stack.tcp_listen(SERVER.parse().unwrap(), options());
    assert_eq!(given, Err(ListenError::PortGiven));
    assert_eq!(stack.tcp_listener_addr(any), Ok(ANY.parse().unwrap()));
    stack.tcp_listener_close(link.now, any);
    listen(&mut link, ANY, options());
}

/// Who listens on every port takes none from those that are looked for; and a foreign address may be connected from.
#[test]
fn every_port_being_listened_on_leaves_ports_for_others() {
    let mut link = link();
    listen(&mut link, ANY, ListenOptions::default().any_port(true));
    let server: SocketAddr = "10.0.0.2:9".parse().unwrap();
    let stack = &mut link.ends[1].stack;
    let listener = stack.tcp_listen(server, ListenOptions::default()).unwrap();
    for local in [None, Some(FOREIGN.parse().unwrap())] {
        let (now, stack) = (link.now, &mut link.ends[0].stack);
        let options = TcpOptions::default();
        let client = stack.tcp_connect(now, server, local, options).unwrap();
        link.settle();
        assert_eq!(link.state(0, client), State::Established);
        let peer = &mut link.ends[1].stack;
        let accepted = peer.tcp_accept(now, listener).unwrap();
        let seen = peer.tcp_peer_addr(accepted).unwrap();
        assert!(local.is_none_or(|local| local == seen), "{seen}");
    }
    listen(&mut link, "10.0.0.1:0", ListenOptions::default());
}

/// Nothing leaves until the user has decided, no RST either; then the handshake, and text both ways.
#[test]
fn r55_a_request_waits_to_be_admitted() {
    let mut link = link();
    let listener = holding(&mut link);
    assert_eq!(request(&mut link, listener), Err(AcceptError::WouldBlock));
    let client = connect(&mut link, FOREIGN);
    let told = link.ends[0].told.pop_back().unwrap();
    assert_eq!(told.id, SocketId::Listener(listener));
    assert_eq!(told.ready, Readiness::ACCEPTABLE);
    let asked = request(&mut link, listener).unwrap();
    assert_eq!(asked.local, FOREIGN.parse().unwrap());
    let from = link.ends[1].stack.tcp_local_addr(client).unwrap();
    assert_eq!(asked.peer, from);
    assert_eq!(request(&mut link, listener), Err(AcceptError::WouldBlock));
    // Its SYN comes again meanwhile, and is the same request.
    link.pass(Duration::from_secs(4));
    assert_eq!(request(&mut link, listener), Err(AcceptError::WouldBlock));
    let stack = &mut link.ends[0].stack;
    assert_eq!(stack.counters().tcp_segments_sent, 0);
    assert_eq!(stack.tcp_held_count(), 1);
    assert_eq!(link.state(1, client), State::SynSent);
    let now = link.now;
    let stack = &mut link.ends[0].stack;
    let server = stack.tcp_admit(now, asked.id).unwrap();
    assert_eq!(stack.tcp_write(now, server, b"early"), Ok(5));
    assert_eq!(stack.tcp_admit(now, asked.id), Err(AdmitError::Stale));
    let refused = stack.tcp_refuse(now, asked.id, Refusal::Reset);
    assert_eq!(refused, Err(StaleId));
    link.settle();
    let connected = |event: &crate::stack::Event| {
        event.id == SocketId::Tcp(server) && event.ready.contains(Readiness::CONNECTED)
    };
    assert!(link.ends[0].told.iter().any(connected));
    assert_eq!(link.state(0, server), State::Established);
    let peer = &mut link.ends[1].stack;
    assert_eq!(peer.tcp_read(now, client, &mut [0; 9]), Ok(5));
    peer.tcp_write(now, client, b"ping").unwrap();
    link.settle();
    let stack = &mut link.ends[0].stack;
    assert_eq!(stack.tcp_read(now, server, &mut [0; 9]), Ok(4));
    assert_eq!(stack.counters().tcp_requests_admitted, 1);
    assert_eq!(stack.tcp_held_count(), 0);
}

/// No text leaves before the handshake is over: who asked may be somebody else.
#[test]
fn an_admitted_request_is_answered_by_syn_acks_alone() {
    let mut link = link();
    let listener = holding(&mut link);
    let now = link.now;
    link.forge(0, fields((9, 80), 500, 0, Flags::SYN), &timestamp(7), &[]);
    let asked = request(&mut link, listener).unwrap();
    let stack = &mut link.ends[0].stack;
    let server = stack.tcp_admit(now, asked.id).unwrap();
    stack.tcp_write(now, server, &[0; 5000]).unwrap();
    for wait in [0, 1100, 2100] {
        let now = link.now + Duration::from_millis(wait);
        link.now = now;
        link.ends[0].stack.handle_timeout(now);
        let sent = link.swallow(0);
        assert_eq!(sent.len(), 1, "{wait}");
        let flags = Flags::from_bits_truncate(sent[0].data[33].into());
        assert_eq!(flags, Flags::SYN | Flags::ACK);
        let ack = u32::from_be_bytes(sent[0].data[28..32].try_into().unwrap());
        assert_eq!(ack, 501);
        assert_eq!(
            sent[0].data.len(),
            20 + usize::from(sent[0].data[32] >> 4) * 4
        );
    }
    link.forge(0, fields((9, 80), 501, 0, Flags::RST), &Options::NONE, &[]);
    let stack = &mut link.ends[0].stack;
    assert_eq!(stack.tcp_failure(server), Ok(Some(TcpFailure::Refused)));
}

/// Each refusal is to who asked what it is called; of none of them anything stays.
#[test]
fn a_request_is_refused_in_each_way() {
    let (refused, host) = (TcpFailure::Refused, TcpFailure::HostUnreachable);
    for (how, failed) in [
        (Refusal::Reset, Some(refused)),
        (Refusal::Port, Some(refused)),
        (Refusal::Host, Some(host)),
        (Refusal::Net, Some(TcpFailure::NetworkUnreachable)),
        (Refusal::Prohibited, Some(host)),
        (Refusal::Silence, None),
    ] {
        let mut link = link();
        let listener = holding(&mut link);
        let client = connect(&mut link, FOREIGN);
        let asked = request(&mut link, listener).unwrap();
        let (now, stack) = (link.now, &mut link.ends[0].stack);
        assert_eq!(stack.tcp_refuse(now, asked.id, how), Ok(()));
        assert_eq!(stack.tcp_refuse(now, asked.id, how), Err(StaleId));
        assert_eq!(stack.tcp_admit(now, asked.id), Err(AdmitError::Stale));
        assert_eq!(stack.tcp_held_count(), 0);
        assert_eq!(stack.counters().tcp_requests_refused, 1);
        link.settle();
        assert_eq!(failure(&link, client), failed, "{how:?}");
        assert_eq!(link.ends[0].stack.tcp_open_count(), 0);
        // Its SYN is a request again.
        link.pass(Duration::from_secs(4));
        assert_eq!(request(&mut link, listener).is_ok(), failed.is_none());
    }
}

/// What nobody decides about is forgotten in time.
#[test]
fn a_request_that_nobody_answers_ends() {
    let mut link = link();
    let listener = holding(&mut link);
    link.forge(0, fields((9, 80), 500, 0, Flags::SYN), &Options::NONE, &[]);
    let asked = request(&mut link, listener).unwrap();
    link.pass(LIFE - Duration::from_millis(1));
    assert_eq!(link.ends[0].stack.tcp_held_count(), 1);
    link.pass(Duration::from_millis(2));
    let (now, stack) = (link.now, &mut link.ends[0].stack);
    assert_eq!(stack.tcp_held_count(), 0);
    assert_eq!(stack.counters().tcp_requests_expired, 1);
    assert_eq!(stack.tcp_admit(now, asked.id), Err(AdmitError::Stale));
    assert_eq!(stack.counters().tcp_segments_sent, 0);
    assert_eq!(stack.poll_timeout(), None);
}

/// As many are held as the backlog says, and no cookie is given for one more; ten thousand that were given up leave nothing
/// behind, though nobody asks for them.
#[test]
fn no_more_requests_are_held_than_the_backlog() {
    let mut link = link();
    let options = ListenOptions::default().any_port(true).hold(Some(LIFE));
    let listener = listen(&mut link, ANY, options.backlog(8));
    let syn = |link: &mut Link, port| {
        let syn = fields((port, 80), 500, 0, Flags::SYN);
        link.forge(0, syn, &Options::NONE, &[]);
    };
    (1..=9).for_each(|port| syn(&mut link, port));
    let stack = &mut link.ends[0].stack;
    assert_eq!(stack.tcp_held_count(), 8);
    assert_eq!(stack.counters().drops.get(DropReason::TcpBacklogFull), 1);
    assert_eq!(stack.counters().tcp_cookies_sent, 0);
    let reset = |link: &mut Link, port, seq| {
        let reset = fields((port, 80), seq, 0, Flags::RST);
        link.forge(0, reset, &Options::NONE, &[]);
    };
    // Who does not know its number ends none.
    (1..=8).for_each(|port| reset(&mut link, port, 502));
    assert_eq!(link.ends[0].stack.tcp_held_count(), 8);
    (1..=8).for_each(|port| reset(&mut link, port, 501));
    assert_eq!(link.ends[0].stack.tcp_held_count(), 0);
    for port in 10..10_000 {
        syn(&mut link, port);
        reset(&mut link, port, 501);
    }
    let all = link.ends[0].stack.tcp.listeners.iter();
    let lined = all.map(|(_, listener)| listener.holding.as_ref().unwrap().lined());
    assert!(lined.sum::<usize>() <= 16);
    assert_eq!(request(&mut link, listener), Err(AcceptError::WouldBlock));
    assert_eq!(link.ends[0].stack.tcp.half_open.len(), 0);
}

/// A listener that closes resets those that wait, handed out or not; one that nobody has decided about is nobody's.
#[test]
fn a_listener_that_closes_resets_what_it_holds() {
    let mut link = link();
    let listener = holding(&mut link);
    let clients = [FOREIGN, "198.51.100.1:1"].map(|to| connect(&mut link, to));
    let asked = request(&mut link, listener).unwrap();
    let (now, stack) = (link.now, &mut link.ends[0].stack);
    stack.tcp_listener_close(now, listener);
    assert_eq!(stack.tcp_admit(now, asked.id), Err(AdmitError::Stale));
    assert_eq!(request(&mut link, listener), Err(AcceptError::Stale));
    link.settle();
    for client in clients {
        assert_eq!(failure(&link, client), Some(TcpFailure::Refused));
    }
}
