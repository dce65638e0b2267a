//! Readiness without async: what a poller tells of each kind of socket, how often, to whom, and how it ends.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use netloom::host::{AsSource, Events, FlowOptions, Interest, PollMode, Polled, Poller};
use netloom::link::ethernet::EtherType;
use netloom::stack::{InterfaceId, PacketOptions, RawOptions};
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::*;

const READ: Interest = Interest::READABLE;
const WRITE: Interest = Interest::WRITABLE;

/// Waits as long as it takes; what was found.
fn wait(poller: &Poller) -> Vec<Polled> {
    let mut events = Events::new();
    poller.wait(&mut events, Some(LONG)).unwrap();
    events.iter().collect()
}

/// What is found without waiting.
fn look(poller: &Poller) -> Vec<Polled> {
    let mut events = Events::new();
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.iter().collect()
}

fn keys(found: &[Polled]) -> Vec<usize> {
    found.iter().map(|polled| polled.key).collect()
}

#[test]
fn a_socket_is_told_of_once_until_its_user_asks_again() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let poller = Poller::new().unwrap();
    poller.add(&near, 7, READ).unwrap();
    assert_eq!(look(&poller), []);
    far.send(b"x").unwrap();
    let found = wait(&poller);
    assert_eq!(keys(&found), [7]);
    assert!(found[0].readable && !found[0].writable);
    far.send(b"y").unwrap();
    assert_eq!(look(&poller), [], "once is once");
    // What waits is found at once, though nothing new happens; and what is read is not.
    poller.modify(&near, 8, READ).unwrap();
    assert_eq!(keys(&wait(&poller)), [8]);
    let mut both = [0; 2];
    (&near).read_exact(&mut both).unwrap();
    poller.modify(&near, 9, READ).unwrap();
    assert_eq!(look(&poller), []);
    // The end of the stream is news as well, and the end of the connection.
    drop(far);
    assert_eq!(keys(&wait(&poller)), [9]);
    assert_eq!(near.recv(&mut both).unwrap(), 0);
    poller.modify(&near, 10, READ | WRITE).unwrap();
    let found = wait(&poller);
    assert_eq!(keys(&found), [10]);
    assert!(found[0].readable && found[0].writable, "{found:?}");
}

#[test]
fn a_level_is_told_by_each_wait_as_long_as_it_lasts() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let poller = Poller::new().unwrap();
    let mode = PollMode::Level;
    poller.add_with_mode(&near, 7, READ, mode).unwrap();
    for _ in 0..3 {
        assert_eq!(look(&poller), []);
        far.send(b"xy").unwrap();
        for _ in 0..3 {
            assert_eq!(keys(&wait(&poller)), [7]);
        }
        let mut one = [0; 1];
        near.recv(&mut one).unwrap();
        assert_eq!(keys(&wait(&poller)), [7]);
        near.recv(&mut one).unwrap();
    }
    poller
        .modify_with_mode(&near, 7, Interest::empty(), mode)
        .unwrap();
    far.send(b"x").unwrap();
    assert_eq!(look(&poller), [], "nothing is wanted");
}

#[test]
fn a_writer_is_told_of_room_and_not_of_what_it_reads() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let poller = Poller::new().unwrap();
    poller.add(&near, 7, WRITE).unwrap();
    assert_eq!(keys(&wait(&poller)), [7], "there is room");
    near.set_nonblocking(true).unwrap();
    let full = vec![0; 1 << 20];
    let (mut written, mut events) = (0, Events::new());
    // Both buffers are full when no room comes any more.
    loop {
        match near.send(&full) {
            Ok(len) => written += len,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                poller.modify(&near, 8, WRITE).unwrap();
                if poller.wait(&mut events, Some(SHORT)).unwrap() == 0 {
                    break;
                }
            }
        }
    }
    far.send(b"x").unwrap();
    near.set_nonblocking(false).unwrap();
    near.peek(&mut [0]).unwrap();
    assert_eq!(look(&poller), []);
    let mut drained = 0;
    let mut buf = vec![0; 1 << 16];
    while look(&poller).is_empty() {
        assert!(drained < written, "all of it is read, and no word of room");
        drained += far.recv(&mut buf).unwrap();
    }
}

/// Every kind of socket in one poller: what each has is told by its own key.
#[test]
fn every_kind_of_socket_is_told_of() {
    let (a, b) = hosts();
    let poller = Poller::new().unwrap();
    let listener = a.tcp_listen((A4, 7)).unwrap();
    let requests = a.tcp_requests((A4, 8)).unwrap();
    let udp = a.udp_bind((A4, 9)).unwrap();
    let flows = a.udp_flows((A4, 10), FlowOptions::new()).unwrap();
    let ping = a.ping_socket().unwrap();
    let raw = RawOptions::v4(netloom::base::Protocol(253));
    let (raw, far_raw) = (a.raw_socket(raw).unwrap(), b.raw_socket(raw).unwrap());
    let packets =
        PacketOptions::new(InterfaceId::from_scope(1).unwrap()).ether_type(EtherType::IPV4);
    let packets = a.packet_socket(packets).unwrap();
    let all: [&dyn Fn() -> io::Result<()>; 7] = [
        &|| poller.add(&listener, 0, READ),
        &|| poller.add(&requests, 1, READ),
        &|| poller.add(&udp, 2, READ),
        &|| poller.add(&flows, 3, READ),
        &|| poller.add(&ping, 4, READ),
        &|| poller.add(&raw, 5, READ),
        &|| poller.add(&packets, 6, READ),
    ];
    for add in all {
        add().unwrap();
        assert_eq!(add().unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
    assert_eq!(look(&poller), []);
    let to = |port| SocketAddr::new(A4.parse().unwrap(), port);
    let far = b.udp_bind((B4, 0)).unwrap();
    let mut connections = Vec::new();
    thread::scope(|scope| {
        let asked = scope.spawn(|| b.tcp_connect(to(8)));
        connections.push(b.tcp_connect(to(7)).unwrap());
        far.send_to(b"x", to(9)).unwrap();
        far.send_to(b"x", to(10)).unwrap();
        ping.send(B4.parse().unwrap(), 1, 56).unwrap();
        far_raw.send_to(A4.parse().unwrap(), &b"x"[..]).unwrap();
        let mut found = BTreeMap::new();
        while found.len() < 7 {
            for polled in wait(&poller) {
                assert!(polled.readable && !polled.writable, "{polled:?}");
                assert_eq!(found.insert(polled.key, ()), None, "{polled:?} twice");
            }
        }
        requests.next(None).unwrap().accept().unwrap();
        connections.push(asked.join().unwrap().unwrap());
    });
    let flow = flows.accept(None).unwrap();
    poller.add(&flow, 7, READ | WRITE).unwrap();
    let found = wait(&poller);
    assert!(found[0].readable && found[0].writable, "{found:?}");
}

/// Sockets with nothing to read can send.
#[test]
fn every_kind_of_sender_is_told_of() {
    let (a, _b) = hosts();
    let poller = Poller::new().unwrap();
    let udp = a.udp_bind((A4, 9)).unwrap();
    let ping = a.ping_socket().unwrap();
    let raw = RawOptions::v4(netloom::base::Protocol(253));
    let raw = a.raw_socket(raw).unwrap();
    let packets = PacketOptions::new(InterfaceId::from_scope(1).unwrap());
    let packets = a.packet_socket(packets).unwrap();
    let all: [&dyn AnyHandle; 4] = [&udp, &ping, &raw, &packets];
    for (key, handle) in all.into_iter().enumerate() {
        let added = handle.add(&poller, key, READ | WRITE);
        added.unwrap();
        let found = wait(&poller);
        assert_eq!(keys(&found), [key]);
        assert!(found[0].writable && !found[0].readable, "{found:?}");
    }
}

/// For lists of handles.
trait AnyHandle {
    fn add(&self, poller: &Poller, key: usize, interest: Interest) -> io::Result<()>;
}

impl<T: AsSource> AnyHandle for T {
    fn add(&self, poller: &Poller, key: usize, interest: Interest) -> io::Result<()> {
        poller.add(self, key, interest)
    }
}

#[test]
fn a_notification_ends_one_wait_and_a_time_out_another() {
    let (a, b) = hosts();
    let (near, _far) = connected(&a, &b);
    let poller = Poller::new().unwrap();
    for hosts in 0..2 {
        if hosts == 1 {
            poller.add(&near, 7, READ).unwrap();
        }
        poller.notify().unwrap();
        poller.notify().unwrap();
        assert_eq!(wait(&poller), []);
        let began = Instant::now();
        let mut events = Events::new();
        let late = Duration::from_millis(30);
        assert_eq!(poller.wait(&mut events, Some(late)).unwrap(), 0);
        assert!(began.elapsed() >= late, "one for both");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(&poller));
            // Whether it sleeps by now or not.
            thread::yield_now();
            poller.notify().unwrap();
            assert_eq!(waiting.join().unwrap(), []);
        });
    }
}

/// It nests: its descriptor is readable while a wait would return at once, and never for longer.
#[test]
fn the_descriptor_is_readable_while_something_is_there() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let poller = Poller::new().unwrap();
    let readable = |within: Duration| {
        let mut fds = [PollFd::new(poller.as_fd(), PollFlags::POLLIN)];
        let within = PollTimeout::try_from(within).unwrap();
        nix::poll::poll(&mut fds, within).unwrap() == 1
    };
    poller.add(&near, 7, READ).unwrap();
    assert_eq!(look(&poller), []);
    for _ in 0..3 {
        assert!(!readable(Duration::ZERO));
        far.send(b"x").unwrap();
        assert!(readable(LONG));
        assert_eq!(keys(&look(&poller)), [7]);
        assert!(!readable(Duration::ZERO));
        near.recv(&mut [0]).unwrap();
        poller.modify(&near, 7, READ).unwrap();
        // It is asked what it has, which is nothing.
        assert!(readable(Duration::ZERO));
        assert_eq!(look(&poller), []);
    }
    poller.notify().unwrap();
    assert!(readable(Duration::ZERO));
    assert_eq!(look(&poller), []);
    assert!(!readable(Duration::ZERO));
}

#[test]
fn a_handle_that_goes_leaves_and_one_that_was_taken_out_is_silent() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let poller = Poller::new().unwrap();
    let other = Poller::new().unwrap();
    assert_eq!(
        poller.delete(&near).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    poller.add(&near, 7, READ).unwrap();
    let again = near.try_clone().unwrap();
    assert_eq!(
        other.add(&again, 8, READ).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        other.modify(&near, 8, READ).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(other.delete(&near).unwrap_err().kind(), ErrorKind::NotFound);
    poller.delete(&again).unwrap();
    far.send(b"x").unwrap();
    near.peek(&mut [0]).unwrap();
    assert_eq!(look(&poller), []);
    other.add(&near, 8, READ).unwrap();
    assert_eq!(keys(&wait(&other)), [8]);
    // In line as it goes.
    other.modify(&near, 9, READ).unwrap();
    drop((near, again));
    assert_eq!(look(&other), []);
    // A poller that goes first is missed by nobody.
    let (near, far) = connected(&a, &b);
    other.add(&near, 7, READ).unwrap();
    drop(other);
    far.send(b"x").unwrap();
    near.peek(&mut [0]).unwrap();
}

/// Nobody sleeps on behind the end of a host: its sockets are ready, for an error.
#[test]
fn the_end_of_a_host_is_told_of_each_of_its_sockets() {
    let (a, b) = hosts();
    let (near, _far) = connected(&a, &b);
    let poller = Poller::new().unwrap();
    let listener = a.tcp_listen((A4, 7)).unwrap();
    let udp = a.udp_bind((A4, 9)).unwrap();
    let flows = a.udp_flows((A4, 10), FlowOptions::new()).unwrap();
    poller.add(&near, 0, READ).unwrap();
    poller.add(&listener, 1, READ).unwrap();
    poller.add(&udp, 2, READ).unwrap();
    poller.add(&flows, 3, READ).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut found = BTreeMap::new();
            while found.len() < 4 {
                found.extend(wait(&poller).iter().map(|polled| (polled.key, ())));
            }
        });
        drop(a);
        waiting.join().unwrap();
    });
    assert_eq!(
        near.recv(&mut [0]).unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    listener.set_nonblocking(true).unwrap();
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        ErrorKind::NotConnected
    );
}

/// Four threads on one poller serve many connections: each message is one thread's, none is lost, and nobody serves two at once.
#[test]
fn four_threads_share_many_connections() {
    const CONNECTIONS: usize = 100;
    const ROUNDS: usize = 20;
    let (a, b) = hosts();
    let listener = a.tcp_listen((A4, 7)).unwrap();
    let (near, far): (Vec<_>, Vec<_>) = (0..CONNECTIONS)
        .map(|_| {
            let far = b.tcp_connect((A4, 7)).unwrap();
            (listener.accept().unwrap().0, far)
        })
        .unzip();
    let poller = Poller::new().unwrap();
    for (key, stream) in near.iter().enumerate() {
        stream.set_nonblocking(true).unwrap();
        poller.add(stream, key, READ).unwrap();
    }
    let busy: Vec<_> = near.iter().map(|_| AtomicUsize::new(0)).collect();
    let over = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut events = Events::with_capacity(4);
                while over.load(Ordering::SeqCst) < CONNECTIONS {
                    poller.wait(&mut events, Some(LONG)).unwrap();
                    for Polled { key, .. } in events.iter() {
                        assert_eq!(busy[key].fetch_add(1, Ordering::SeqCst), 0);
                        let mut buf = [0; 64];
                        let len = near[key].recv(&mut buf).unwrap();
                        assert_eq!(near[key].send(&buf[..len]).unwrap(), len);
                        busy[key].store(0, Ordering::SeqCst);
                        if len == 0 {
                            over.fetch_add(1, Ordering::SeqCst);
                            poller.notify().unwrap();
                        } else {
                            poller.modify(&near[key], key, READ).unwrap();
                        }
                    }
                }
                poller.notify().unwrap();
            });
        }
        let (first, second) = far.split_at(CONNECTIONS / 2);
        for half in [first, second] {
            scope.spawn(move || {
                let mut buf = [0; 64];
                for round in 0..ROUNDS {
                    for stream in half {
                        stream.send(&round.to_le_bytes()).unwrap();
                    }
                    for mut stream in half {
                        stream.read_exact(&mut buf[..8]).unwrap();
                        assert_eq!(buf[..8], round.to_le_bytes());
                    }
                }
                half.iter()
                    .for_each(|stream| stream.shutdown(Shutdown::Write).unwrap());
            });
        }
    });
}

/// Those that are idle are never asked: what is found of one costs the same however many others there are.
#[test]
fn only_sockets_with_news_are_asked() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let idle: Vec<_> = (0..500).map(|_| a.udp_bind((A4, 0)).unwrap()).collect();
    let poller = Poller::new().unwrap();
    for (key, socket) in idle.iter().enumerate() {
        poller
            .add_with_mode(socket, key, READ, PollMode::Level)
            .unwrap();
    }
    assert_eq!(look(&poller), []);
    poller.add(&near, 1000, READ).unwrap();
    // Room for one alone: were the idle ones in line, it would be the last.
    let mut events = Events::with_capacity(1);
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    far.send(b"x").unwrap();
    near.peek(&mut [0]).unwrap();
    assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 1);
}
