//! Tasks of any executor: futures that wait, that are dropped, and that outlive their host.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use netloom::link::ethernet::EtherType;
use netloom::stack::{InterfaceId, PacketOptions, RawOptions};

use super::*;

/// Wakes its thread, and counts.
struct Task {
    thread: Thread,
    woken: AtomicUsize,
}

impl Task {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            thread: thread::current(),
            woken: AtomicUsize::new(0),
        })
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// The smallest executor.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Task::new());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let end = Instant::now() + LONG;
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
            return result;
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "the task sleeps on");
        thread::park_timeout(left);
    }
}

#[test]
fn tasks_connect_accept_and_speak_both_ways() {
    let (a, b) = hosts();
    let listener = b.tcp_listen((B4, 7)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            block_on(async {
                for _ in 0..20 {
                    let (stream, _) = listener.accept_async().await.unwrap();
                    let mut buf = [0; 9];
                    let len = stream.recv_async(&mut buf).await.unwrap();
                    assert_eq!(stream.send_async(&buf[..len]).await.unwrap(), len);
                }
            });
        });
        block_on(async {
            let to = SocketAddr::new(B4.parse().unwrap(), 7);
            for _ in 0..20 {
                let stream = a.connect_async(to, &ConnectOptions::new()).await.unwrap();
                assert_eq!(stream.send_async(b"ping").await.unwrap(), 4);
                let mut buf = [0; 9];
                assert_eq!(stream.recv_async(&mut buf).await.unwrap(), 4);
                assert_eq!(&buf[..4], b"ping");
                assert_eq!(stream.recv_async(&mut buf).await.unwrap(), 0);
            }
            let closed = SocketAddr::new(B4.parse().unwrap(), 9);
            let refused = a.connect_async(closed, &ConnectOptions::new()).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn a_stream_in_two_ends_what_is_written_with_that_half() {
    let (a, b) = hosts();
    let (near, far) = connected(&a, &b);
    let (reads, writes) = near.into_split().unwrap();
    (&*writes).write_all(b"question").unwrap();
    drop(writes);
    assert_eq!(read_all(&far), b"question");
    (&far).write_all(b"answer").unwrap();
    drop(far);
    assert_eq!(read_all(&reads), b"answer");
}

#[test]
fn datagrams_and_echoes_come_to_tasks() {
    let (a, b) = hosts();
    let to = SocketAddr::new(B4.parse().unwrap(), 9);
    let far = b.udp_bind(to).unwrap();
    let near = a.udp_bind((A4, 0)).unwrap();
    let ping = a.ping_socket().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            block_on(async {
                for _ in 0..20 {
                    let asked = far.recv_datagram_async().await.unwrap();
                    let data = asked.data.clone().into_bytes();
                    let sent = far.send_to_async(&data, Some(asked.from)).await;
                    assert_eq!(sent.unwrap(), data.len());
                }
            });
        });
        block_on(async {
            for round in 0..20u8 {
                let sent = near.send_to_async(&[round; 9], Some(to)).await;
                assert_eq!(sent.unwrap(), 9);
                let mut buf = [0; 20];
                assert_eq!(near.recv_from_async(&mut buf).await.unwrap(), (9, to));
                assert_eq!(buf[..9], [round; 9]);
                ping.send(to.ip(), round.into(), 56).unwrap();
                let pong = ping.recv_async().await.unwrap();
                assert_eq!(pong.reply.seq, round.into());
            }
        });
    });
}

/// Who waits until there is an error.
type Waiting<'a> = Pin<Box<dyn Future<Output = io::Error> + Send + 'a>>;

/// What waits on every kind of socket of a host, each as a future of its own.
fn waiting<'a>((host, peer): (&'a Host, &'a Host)) -> Vec<(&'static str, Waiting<'a>)> {
    let listener = host.tcp_listen((A4, 7)).unwrap();
    let requests = host.tcp_requests((A4, 8)).unwrap();
    let udp = host.udp_bind((A4, 9)).unwrap();
    let ping = host.ping_socket().unwrap();
    let raw = RawOptions::v4(netloom::base::Protocol(253));
    let raw = host.raw_socket(raw).unwrap();
    let on = InterfaceId::from_scope(1).unwrap();
    let options = PacketOptions::new(on).ether_type(EtherType(0x88b5));
    let packets = host.packet_socket(options).unwrap();
    let (stream, other) = connected(host, peer);
    // Nobody is there: the neighbour is asked for in vain.
    let nobody = SocketAddr::from(([10, 7, 0, 99], 7));
    vec![
        (
            "accept",
            Box::pin(async move { listener.accept_async().await.unwrap_err() }),
        ),
        (
            "requests",
            Box::pin(async move { requests.next_async().await.unwrap_err() }),
        ),
        (
            "udp",
            Box::pin(async move { udp.recv_datagram_async().await.unwrap_err() }),
        ),
        (
            "ping",
            Box::pin(async move { ping.recv_async().await.unwrap_err() }),
        ),
        (
            "raw",
            Box::pin(async move { raw.recv_async().await.unwrap_err() }),
        ),
        (
            "packets",
            Box::pin(async move { packets.recv_async().await.unwrap_err() }),
        ),
        (
            "read",
            Box::pin(async move {
                let error = stream.recv_async(&mut [0; 9]).await.unwrap_err();
                drop(other);
                error
            }),
        ),
        (
            "connect",
            Box::pin(async move {
                let options = ConnectOptions::new();
                host.connect_async(nobody, &options).await.unwrap_err()
            }),
        ),
    ]
}

/// A future that is dropped leaves neither a waker nor an attempt.
#[test]
fn who_is_dropped_while_it_waits_leaves_nothing() {
    let (a, b) = hosts();
    let task = Task::new();
    let waker = Waker::from(Arc::clone(&task));
    for (what, mut future) in waiting((&a, &b)) {
        let mut cx = Context::from_waker(&waker);
        let end = Instant::now() + LONG;
        // Early news may wake it, and take its mark away.
        while Arc::strong_count(&task) == 2 {
            assert!(future.as_mut().poll(&mut cx).is_pending(), "{what}");
            assert!(Instant::now() < end, "{what} leaves no mark");
        }
        drop(future);
        while Arc::strong_count(&task) > 2 {
            assert!(Instant::now() < end, "{what} left a waker");
            thread::yield_now();
        }
    }
    let end = Instant::now() + LONG;
    while !a.connections().is_empty() || !b.connections().is_empty() {
        assert!(Instant::now() < end, "a connection stayed");
        thread::yield_now();
    }
}

/// The same where the socket lives on.
#[test]
fn a_future_that_is_dropped_leaves_its_socket_without_a_waker() {
    let (a, b) = hosts();
    let listener = a.tcp_listen((A4, 7)).unwrap();
    let udp = a.udp_bind((A4, 9)).unwrap();
    let (stream, _other) = connected(&a, &b);
    let task = Task::new();
    let waker = Waker::from(Arc::clone(&task));
    let (mut one, mut two) = ([0; 9], [0; 9]);
    let futures: [Pin<Box<dyn Future<Output = ()> + '_>>; 3] = [
        Box::pin(async { drop(listener.accept_async().await) }),
        Box::pin(async { drop(udp.recv_from_async(&mut one).await) }),
        Box::pin(async { drop(stream.recv_async(&mut two).await) }),
    ];
    for (n, mut future) in futures.into_iter().enumerate() {
        let mut cx = Context::from_waker(&waker);
        let end = Instant::now() + LONG;
        while Arc::strong_count(&task) == 2 {
            assert!(future.as_mut().poll(&mut cx).is_pending());
            assert!(Instant::now() < end, "{n} leaves no mark");
        }
        drop(future);
        while Arc::strong_count(&task) > 2 {
            assert!(Instant::now() < end, "{n} left a waker");
            thread::yield_now();
        }
    }
}

/// Each is woken, and told the same.
#[test]
fn tasks_hear_of_the_end_of_their_host() {
    for within in [Duration::ZERO, SHORT] {
        let (a, b) = hosts();
        let (marked, woken) = (AtomicUsize::new(0), Instant::now());
        thread::scope(|scope| {
            let all = waiting((&a, &b));
            let count = all.len();
            let tasks: Vec<_> = all
                .into_iter()
                .map(|(what, mut future)| {
                    let marked = &marked;
                    let mut first = true;
                    let counted = poll_fn(move |cx| {
                        let polled = future.as_mut().poll(cx);
                        if core::mem::take(&mut first) {
                            marked.fetch_add(1, Ordering::SeqCst);
                        }
                        polled
                    });
                    (what, scope.spawn(|| block_on(counted)))
                })
                .collect();
            while marked.load(Ordering::SeqCst) < count {
                thread::yield_now();
            }
            a.shutdown(within);
            for (what, task) in tasks {
                let error = task.join().unwrap();
                assert_eq!(error.kind(), ErrorKind::NotConnected, "{what}: {error}");
            }
        });
        assert!(woken.elapsed() < LONG);
    }
}

/// A thread that sleeps in a packet socket hears of it too, when it is not the one that looks at the device.
#[test]
fn a_thread_that_waits_for_frames_hears_of_the_end_of_its_host() {
    let (a, _b) = hosts();
    let on = InterfaceId::from_scope(1).unwrap();
    let options = PacketOptions::new(on).ether_type(EtherType(0x88b5));
    let sockets = [(); 3].map(|()| a.packet_socket(options).unwrap());
    thread::scope(|scope| {
        let sleepers: Vec<_> = sockets
            .iter()
            .map(|socket| scope.spawn(|| socket.recv(LONG).unwrap_err().kind()))
            .collect();
        // Longer than it takes them to sleep; if not, they are told at once.
        thread::park_timeout(SHORT);
        let ended = Instant::now();
        a.shutdown(Duration::ZERO);
        for sleeper in sleepers {
            assert_eq!(sleeper.join().unwrap(), ErrorKind::NotConnected);
        }
        assert!(ended.elapsed() < LONG / 2, "{:?}", ended.elapsed());
    });
}
