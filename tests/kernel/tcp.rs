//! TCP against the kernel: ends of every kind, refusals, a thousand connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV6, TcpStream};
use std::thread;
use std::time::{Duration, Instant as Clock};

use netloom::host;
use netloom::tcp::State;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};

use crate::Test;
use crate::echo::our_link_local;
use crate::link::{
    KERNEL_LINK_LOCAL, Link, Offload, PATIENCE, connected, eventually, kernel, kernel_accept,
    kernel_connect, kernel_counter, kernel_listener, our_accept, our_connect, our_listener, ours,
};
use crate::namespace::ip;

pub(crate) const TESTS: &[Test] = &[
    ("tcp::half_close_both_ways", half_close),
    ("tcp::the_kernel_resets", the_kernel_resets),
    ("tcp::we_reset", we_reset),
    ("tcp::refused_both_ways", refused),
    ("tcp::an_absent_host_is_unreachable", absent_host),
    ("tcp::link_local_both_ways", link_local),
    (
        "tcp::a_reader_that_never_reads_is_back_pressure",
        back_pressure,
    ),
    (
        "tcp::a_thousand_kernel_clients_at_once",
        thousand_kernel_clients,
    ),
    ("tcp::a_thousand_connections_of_ours", thousand_of_ours),
    (
        "tcp::r69_the_window_fits_the_queue_of_a_plain_device",
        r69_window_and_queue,
    ),
    (
        "tcp::the_windows_of_many_fit_the_queue_of_a_plain_device",
        many_windows_and_one_queue,
    ),
];

/// A dozen connections whose readers wait at times: together they do not overflow the queue.
fn many_windows_and_one_queue() {
    use netloom::device::Tap;
    let tap = Tap::builder().name("nl0").offload(false).txqueuelen(1000);
    let tap = tap.kernel_address("10.7.0.1/24".parse().unwrap());
    let host = host::Host::builder(tap.open().unwrap()).address("10.7.0.2/24".parse().unwrap());
    let host = host.spawn().unwrap();
    let data = text(4 << 20);
    thread::scope(|scope| {
        for _ in 0..12 {
            let (mut us, mut them) = connected(&host, false, true);
            let data = &data;
            scope.spawn(move || {
                them.write_all(data).unwrap();
                them.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || {
                let mut got = Vec::with_capacity(data.len());
                let mut piece = vec![0; 256 << 10];
                loop {
                    thread::sleep(Duration::from_millis(5));
                    match us.read(&mut piece).unwrap() {
                        0 => break,
                        len => got.extend_from_slice(&piece[..len]),
                    }
                }
                assert!(got == *data, "{} bytes of {}", got.len(), data.len());
            });
        }
    });
    let lost = host.device_counters().unwrap().lost_inbound;
    assert_eq!(lost, 0, "frames that the queue did not hold");
}

/// The kernel sends MTU-sized frames as fast as our window lets it, to a reader that first waits: the
/// queue of the device never overflows, whatever the reader does, so nothing is sent twice.
fn r69_window_and_queue() {
    use netloom::device::Medium;
    for medium in [Medium::Ethernet, Medium::Ip] {
        let host = Link::new(medium, Offload::None).host();
        let (mut us, mut them) = connected(&host, false, true);
        let data = text(24 << 20);
        thread::scope(|scope| {
            scope.spawn(|| {
                them.write_all(&data).unwrap();
                them.shutdown(Shutdown::Write).unwrap();
            });
            thread::sleep(Duration::from_millis(50));
            let mut got = Vec::with_capacity(data.len());
            us.read_to_end(&mut got).unwrap();
            assert!(got == data, "{} bytes of {}", got.len(), data.len());
        });
        let dropped = ip("-s -o link show nl0");
        // Two lines of numbers: received, sent. The kernel's sending queue is what we read from.
        let sent = dropped.rsplit("TX:").next().unwrap();
        let numbers: Vec<u64> = sent
            .split_whitespace()
            .filter_map(|w| w.parse().ok())
            .collect();
        assert_eq!(numbers[3], 0, "dropped at the queue: {dropped}");
        // On a busy machine an ACK may be late enough for a probe of the tail, which proves nothing.
        let probes = kernel_counter("netstat", "TcpExt:", "TCPLossProbes");
        let again = kernel_counter("snmp", "Tcp:", "RetransSegs");
        assert!(
            again <= probes,
            "{again} segments sent again, {probes} probes"
        );
        drop(host);
    }
}

const FAMILIES: [bool; 2] = [false, true];

/// More than any window holds.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// After one side's FIN the other still sends: more than any window holds.
///
/// Covers: TCP-16.
fn half_close() {
    let answer = text(6 << 20);
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        for v6 in FAMILIES {
            for inward in [true, false] {
                // Ours ends first.
                let (mut us, mut them) = connected(&host, v6, inward);
                us.write_all(b"question").unwrap();
                us.shutdown(Shutdown::Write).unwrap();
                let mut question = Vec::new();
                them.read_to_end(&mut question).unwrap();
                assert_eq!(question, b"question");
                thread::scope(|scope| {
                    scope.spawn(|| {
                        them.write_all(&answer).unwrap();
                        drop(them);
                    });
                    let mut got = Vec::new();
                    us.read_to_end(&mut got).unwrap();
                    assert!(got == answer, "{link:?}: {} bytes", got.len());
                });
                assert_eq!(us.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);

                // The kernel's ends first.
                let (mut us, mut them) = connected(&host, v6, inward);
                them.write_all(b"question").unwrap();
                them.shutdown(Shutdown::Write).unwrap();
                let mut question = Vec::new();
                us.read_to_end(&mut question).unwrap();
                assert_eq!(question, b"question");
                assert_eq!(us.info().unwrap().state, State::CloseWait);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        us.write_all(&answer).unwrap();
                        drop(us);
                    });
                    let mut got = Vec::new();
                    them.read_to_end(&mut got).unwrap();
                    assert!(got == answer, "{link:?}: {} bytes", got.len());
                });
            }
        }
        let counters = host.counters();
        assert_eq!(counters.tcp_resets_sent + counters.tcp_resets_received, 0);
    }
}

fn reset_by_kernel(stream: TcpStream) {
    let now = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &now).unwrap();
}

/// Covers: TCP-15.
fn the_kernel_resets() {
    let host = Link::TAP.host();
    for v6 in FAMILIES {
        for inward in [true, false] {
            // Nobody waits.
            let (mut us, them) = connected(&host, v6, inward);
            reset_by_kernel(them);
            let read = us.read(&mut [0]).unwrap_err();
            assert_eq!(read.kind(), ErrorKind::ConnectionReset);
            let write = us.write(b"x").unwrap_err();
            assert_eq!(write.kind(), ErrorKind::ConnectionReset);
            let told = us.take_error().unwrap().map(|error| error.kind());
            assert_eq!(told, Some(ErrorKind::ConnectionReset));

            // A reader sleeps, and a writer that the kernel's full buffer holds up.
            let (us, them) = connected(&host, v6, inward);
            thread::scope(|scope| {
                let reader = scope.spawn(|| (&us).read(&mut [0]).map_err(|e| e.kind()));
                let writer = scope.spawn(|| {
                    let block = vec![0; 1 << 20];
                    loop {
                        if let Err(error) = (&us).write(&block) {
                            return error.kind();
                        }
                    }
                });
                eventually("the writer is held up", PATIENCE, || {
                    let info = us.info().unwrap();
                    info.snd_wnd == 0 && info.unsent > 1 << 20
                });
                reset_by_kernel(them);
                assert_eq!(writer.join().unwrap(), ErrorKind::ConnectionReset);
                assert_eq!(reader.join().unwrap(), Err(ErrorKind::ConnectionReset));
            });
        }
    }
    assert_eq!(host.counters().tcp_resets_received, 8);
    assert_eq!(host.counters().tcp_resets_sent, 0);
}

/// Covers: TCP-17, TCP-68.
fn we_reset() {
    let host = Link::TAP.host();
    for v6 in FAMILIES {
        for inward in [true, false] {
            let (us, mut them) = connected(&host, v6, inward);
            us.abort().unwrap();
            let read = them.read(&mut [0]).unwrap_err();
            assert_eq!(read.kind(), ErrorKind::ConnectionReset, "abort");
            let ours = (&us).read(&mut [0]).unwrap_err();
            assert_eq!(ours.kind(), ErrorKind::NotConnected);

            let (us, mut them) = connected(&host, v6, inward);
            them.write_all(b"never read").unwrap();
            eventually("it arrives", PATIENCE, || us.info().unwrap().unread == 10);
            drop(us);
            let read = them.read(&mut [0]).unwrap_err();
            assert_eq!(read.kind(), ErrorKind::ConnectionReset, "unread data");

            let (us, mut them) = connected(&host, v6, inward);
            us.set_linger(Some(Duration::ZERO)).unwrap();
            drop(us);
            let read = them.read(&mut [0]).unwrap_err();
            assert_eq!(read.kind(), ErrorKind::ConnectionReset, "linger 0");
        }
    }
    assert_eq!(host.counters().tcp_resets_sent, 12);
    assert!(host.connections().is_empty());
}

/// Covers: TCP-60, TCP-61.
fn refused() {
    for link in Link::ALL {
        let host = link.host();
        for v6 in FAMILIES {
            let started = Clock::now();
            let theirs = TcpStream::connect_timeout(&(ours(v6), 9).into(), PATIENCE);
            assert_eq!(theirs.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            let ours = host.tcp_connect((kernel(v6), 9));
            assert_eq!(ours.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert!(started.elapsed() < Duration::from_secs(1), "no retries");
        }
        assert!(host.connections().is_empty());
    }
}

/// No neighbour answers: three solicitations, a second apart (RFC 4861 §10).
fn absent_host() {
    let host = Link::TAP.host();
    thread::scope(|scope| {
        for to in ["10.7.0.99:80", "[fd07::99]:80"] {
            let host = &host;
            scope.spawn(move || {
                let started = Clock::now();
                let error = host.tcp_connect(to).unwrap_err();
                let took = started.elapsed();
                assert_eq!(error.kind(), ErrorKind::HostUnreachable, "{to}: {error}");
                let bounds = Duration::from_millis(2500)..Duration::from_secs(5);
                assert!(bounds.contains(&took), "{to}: {took:?}");
            });
        }
    });
    // One that was never there holds nobody else up, and no route is told at once.
    for to in ["192.0.2.1:80", "[2001:db8::1]:80"] {
        let error = host.tcp_connect(to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{to}: {error}");
    }
    assert!(host.connections().is_empty());
}

fn link_local() {
    let host = Link::TAP.host();
    let address = our_link_local(&host).unwrap();
    let index = if_nametoindex("nl0").unwrap();
    let exchange = |mut us: host::TcpStream, mut them: TcpStream| {
        us.write_all(b"ping").unwrap();
        let mut buf = [0; 4];
        them.read_exact(&mut buf).unwrap();
        them.write_all(b"pong").unwrap();
        us.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"pong");
    };

    let listener = host.tcp_listen("[::]:80").unwrap();
    let them = kernel_connect(SocketAddrV6::new(address, 80, 0, index).into());
    let us = our_accept(&listener);
    assert!(us.local_addr().unwrap().ip() == address);
    exchange(us, them);

    let at = SocketAddrV6::new(KERNEL_LINK_LOCAL, 0, 0, index);
    let listener = std::net::TcpListener::bind(at).unwrap();
    let port = listener.local_addr().unwrap().port();
    let us = our_connect(&host, SocketAddr::new(KERNEL_LINK_LOCAL.into(), port));
    exchange(us, kernel_accept(&listener));
}

/// A peer that sends and a user who never reads: the window closes, opens again, nothing is lost.
///
/// Covers: TCP-39, TCP-40.
fn back_pressure() {
    let whole = text(16 << 20);
    for link in Link::ALL {
        let host = link.host();
        let (mut us, mut them) = connected(&host, false, true);
        thread::scope(|scope| {
            scope.spawn(|| {
                them.write_all(&whole).unwrap();
                them.shutdown(Shutdown::Write).unwrap();
            });
            let mut before = 0;
            eventually("the window closes", PATIENCE, || {
                let info = us.info().unwrap();
                let stopped = info.unread == before && info.rcv_wnd < 2 * info.rcv_mss;
                before = info.unread;
                stopped
            });
            let limit = 4 << 20;
            assert!(
                before <= limit + (64 << 10),
                "{link:?}: {before} bytes held"
            );
            let mut got = Vec::new();
            us.read_to_end(&mut got).unwrap();
            assert!(got == whole, "{link:?}: {} bytes", got.len());
        });
        let (us, mut them) = connected(&host, false, true);
        thread::scope(|scope| {
            scope.spawn(|| {
                (&us).write_all(&whole).unwrap();
                us.shutdown(Shutdown::Write).unwrap();
            });
            eventually("the window closes", PATIENCE, || {
                let info = us.info().unwrap();
                info.snd_wnd == 0 && info.unsent > 0
            });
            let mut got = Vec::new();
            them.read_to_end(&mut got).unwrap();
            assert!(got == whole, "{link:?}: {} bytes", got.len());
        });
    }
}

const THOUSAND: usize = 1000;
/// Threads that open and use them.
const WORKERS: usize = 10;

/// A thousand sockets of the kernel's are as many descriptors.
fn raise_descriptor_limit() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = hard.min(8192);
    assert!(wanted > 2000, "the limit on descriptors is {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).unwrap();
}

/// What connection `number` sends.
fn request(number: usize) -> Vec<u8> {
    format!("{number:04}").repeat(50).into_bytes()
}

/// The answer: the request backwards.
fn response(request: &[u8]) -> Vec<u8> {
    request.iter().rev().copied().collect()
}

/// Opens all, only then sends on all, and closes all in order.
fn clients<S: Read + Write + Send>(
    open: impl Fn() -> S + Sync,
    finish: impl Fn(&S) + Sync,
    all_open: impl FnOnce(),
) {
    let each = |worker: usize| worker * THOUSAND / WORKERS..(worker + 1) * THOUSAND / WORKERS;
    let mut opened: Vec<Vec<S>> = thread::scope(|scope| {
        let open = &open;
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || each(worker).map(|_| open()).collect()))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    all_open();
    thread::scope(|scope| {
        for (worker, streams) in opened.iter_mut().enumerate() {
            let finish = &finish;
            scope.spawn(move || {
                for (number, stream) in each(worker).zip(streams.iter_mut()) {
                    stream.write_all(&request(number)).unwrap();
                }
                for (number, stream) in each(worker).zip(streams.iter_mut()) {
                    let mut got = vec![0; 200];
                    stream.read_exact(&mut got).unwrap();
                    assert_eq!(got, response(&request(number)));
                    finish(stream);
                }
                for stream in streams {
                    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "an end in order");
                }
            });
        }
    });
}

/// Answers one client and waits for its end.
fn answer(mut stream: impl Read + Write) {
    let mut got = vec![0; 200];
    stream.read_exact(&mut got).unwrap();
    stream.write_all(&response(&got)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "an end in order");
}

/// Covers: TCP-44.
fn thousand_kernel_clients() {
    raise_descriptor_limit();
    let host = Link::TAP.host();
    let (listener, at) = our_listener(&host, false);
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let streams: Vec<_> = (0..THOUSAND).map(|_| our_accept(&listener)).collect();
            streams.into_iter().for_each(answer);
        });
        clients(
            || kernel_connect(at),
            |stream| stream.shutdown(Shutdown::Write).unwrap(),
            || all_established(&host),
        );
        server.join().unwrap();
    });
    assert_eq!(host.counters().tcp_accepted, THOUSAND as u64);
    all_closed_in_order(&host);
}

fn thousand_of_ours() {
    raise_descriptor_limit();
    let host = Link::TAP.host();
    let (listener, at) = kernel_listener(true);
    // std asks for a queue of 128; a SYN that finds it full waits a second.
    listen(&listener, Backlog::MAXCONN).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let streams: Vec<_> = (0..THOUSAND).map(|_| kernel_accept(&listener)).collect();
            streams.into_iter().for_each(answer);
        });
        clients(
            || our_connect(&host, at),
            |stream| stream.shutdown(Shutdown::Write).unwrap(),
            || all_established(&host),
        );
        server.join().unwrap();
    });
    assert_eq!(host.counters().tcp_opened, THOUSAND as u64);
    all_closed_in_order(&host);
}

/// The kernel takes a connection for open before our end has its last acknowledgement.
fn all_established(host: &host::Host) {
    eventually("all are open at once", PATIENCE, || {
        let connections = host.connections();
        let states = connections.iter().map(|connection| connection.info.state);
        states.filter(|&state| state == State::Established).count() == THOUSAND
    });
}

fn all_closed_in_order(host: &host::Host) {
    eventually("all connections are closed", PATIENCE, || {
        let connections = host.connections();
        connections
            .iter()
            .all(|connection| connection.info.state == State::TimeWait)
    });
    let counters = host.counters();
    assert_eq!(counters.tcp_resets_sent + counters.tcp_resets_received, 0);
    assert_eq!(counters.tcp_connect_failed + counters.tcp_timed_out, 0);
}
