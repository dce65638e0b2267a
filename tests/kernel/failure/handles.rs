//! Handles that one thread drops while another waits on them: typed ends, nobody hangs, nothing stays.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use netloom::host::Host;

use super::{DRIVER, SOON, threads};
use crate::Test;
use crate::link::{
    Link, PATIENCE, connected, eventually, kernel, kernel_connect, our_listener, ours,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "failure::a_host_dropped_by_one_thread_ends_the_waits_of_all",
        host_dropped,
    ),
    (
        "failure::a_stream_dropped_by_one_thread_stays_with_another",
        stream_dropped,
    ),
    (
        "failure::a_stream_ended_by_one_thread_ends_for_another",
        stream_ended,
    ),
    (
        "failure::a_listener_dropped_by_one_thread_stays_with_another",
        listener_dropped,
    ),
    (
        "failure::handles_dropped_by_many_threads_at_once",
        dropped_by_many,
    ),
];

/// Threads and descriptors of this process.
fn held() -> (usize, usize) {
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    (count("task"), count("fd"))
}

/// Runs `wait` in a thread that nobody else waits for without a limit.
fn waiting<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(wait()));
    // Time to block; a test that comes too early still is one.
    thread::sleep(Duration::from_millis(5));
    receiver
}

fn end_of<T>(what: &str, wait: &Receiver<T>) -> T {
    let ended = wait.recv_timeout(SOON);
    ended.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// Waits of every kind, each in a thread with a handle of its own.
fn host_dropped() {
    let before = held();
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        let (us, them) = connected(&host, false, true);
        let (full, _unread) = connected(&host, true, false);
        for stream in [&us, &full] {
            stream.set_read_timeout(None).unwrap();
            stream.set_write_timeout(None).unwrap();
        }
        let (listener, _) = our_listener(&host, false);
        let udp = host.udp_bind((ours(false), 0)).unwrap();
        let ping = host.ping_socket().unwrap();
        let expected = ErrorKind::NotConnected;
        let incoming = listener.try_clone().unwrap();
        let waits = [
            waiting(move || (&us).read(&mut [0]).unwrap_err().kind()),
            waiting(move || {
                let block = vec![0; 1 << 20];
                loop {
                    if let Err(error) = (&full).write(&block) {
                        return error.kind();
                    }
                }
            }),
            waiting(move || listener.accept().unwrap_err().kind()),
            waiting(move || {
                let errors = incoming.incoming().find_map(Result::err);
                errors.map_or(expected, |error| error.kind())
            }),
            waiting(move || udp.recv_datagram().unwrap_err().kind()),
            waiting(move || ping.recv(PATIENCE).unwrap_err().kind()),
        ];
        // Dropped by a thread that is not the one that made it.
        thread::spawn(move || drop(host)).join().unwrap();
        for (at, wait) in waits.iter().enumerate() {
            let kind = end_of(&format!("{link:?}, wait {at}"), wait);
            assert_eq!(kind, expected, "{link:?}, wait {at}");
        }
        assert!(threads(DRIVER).is_empty());
        drop(them);
    }
    eventually("nothing stays behind", SOON, || held() == before);
}

/// A clone that goes takes nothing from the thread that reads through another.
fn stream_dropped() {
    let host = Link::TAP.host();
    let (us, mut them) = connected(&host, false, true);
    us.set_read_timeout(None).unwrap();
    let clone = us.try_clone().unwrap();
    let reader = waiting(move || {
        let mut text = Vec::new();
        (&clone).read_to_end(&mut text).map(|_| text)
    });
    thread::spawn(move || drop(us)).join().unwrap();
    them.write_all(b"still there").unwrap();
    them.shutdown(Shutdown::Write).unwrap();
    let text = end_of("the reader", &reader).unwrap();
    assert_eq!(text, b"still there");
    // The last one went with the reader: the peer is told.
    assert_eq!(them.read(&mut [0]).unwrap(), 0);
}

/// A shutdown or an abort by one thread ends the wait of another.
fn stream_ended() {
    let host = Link::TAP.host();
    for abort in [false, true] {
        let (us, mut them) = connected(&host, false, true);
        us.set_read_timeout(None).unwrap();
        let clone = us.try_clone().unwrap();
        let reader = waiting(move || (&clone).read(&mut [0]).map_err(|error| error.kind()));
        if abort {
            us.abort().unwrap();
            let told = end_of("the reader", &reader).unwrap_err();
            assert_eq!(told, ErrorKind::NotConnected);
            let told = them.read(&mut [0]).unwrap_err();
            assert_eq!(told.kind(), ErrorKind::ConnectionReset);
        } else {
            us.shutdown(Shutdown::Both).unwrap();
            assert_eq!(end_of("the reader", &reader), Ok(0));
            assert_eq!(them.read(&mut [0]).unwrap(), 0);
        }
    }
}

/// The same for a listener; the last handle closes the port.
fn listener_dropped() {
    let host = Link::TAP.host();
    let (listener, at) = our_listener(&host, false);
    let clone = listener.try_clone().unwrap();
    let accepts = waiting(move || clone.accept().map(|(stream, _)| stream));
    thread::spawn(move || drop(listener)).join().unwrap();
    let mut them = kernel_connect(at);
    let us = end_of("the accept", &accepts).unwrap();
    (&us).write_all(b"hello").unwrap();
    them.read_exact(&mut [0; 5]).unwrap();
    eventually("the port is closed", SOON, || {
        let refused = std::net::TcpStream::connect_timeout(&at, PATIENCE);
        refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

/// Connections come, are used and go in many threads, the host is dropped amid that by the last.
fn dropped_by_many() {
    let before = held();
    for link in [Link::TAP, Link::TUN] {
        let host = Arc::new(link.host());
        let (listener, at) = our_listener(&host, false);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { break };
                // Its reader is another thread, which drops it.
                thread::spawn(move || while (&stream).read(&mut [0; 100]).is_ok_and(|n| n > 0) {});
            }
        });
        let users: Vec<_> = (0..8)
            .map(|user| {
                let host = Arc::clone(&host);
                thread::spawn(move || use_and_drop(&host, at, user))
            })
            .collect();
        for user in users {
            user.join().unwrap();
        }
        thread::sleep(Duration::from_millis(5));
        let host = Arc::into_inner(host).expect("the last one");
        let dropping = waiting(move || drop(host));
        end_of("the drop", &dropping);
        let accepting = waiting(move || accepting.join().unwrap());
        end_of("the accepting thread", &accepting);
        assert!(threads(DRIVER).is_empty());
    }
    eventually("nothing stays behind", SOON, || held() == before);
}

fn use_and_drop(host: &Arc<Host>, at: std::net::SocketAddr, user: usize) {
    for round in 0..10 {
        let mut them = kernel_connect(at);
        them.write_all(b"text").unwrap();
        let udp = host.udp_bind((ours(false), 0)).unwrap();
        let waits = udp.try_clone().unwrap();
        waits
            .set_read_timeout(Some(Duration::from_millis(3)))
            .unwrap();
        let receiver = thread::spawn(move || waits.recv_datagram().is_err());
        udp.send_to(b"x", (kernel(false), 9)).unwrap();
        drop(udp);
        if (user + round).is_multiple_of(3) {
            let ping = host.ping_socket().unwrap();
            ping.send(kernel(false), 1, 8).unwrap();
        }
        assert!(receiver.join().unwrap());
    }
}
