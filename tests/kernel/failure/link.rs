//! Interfaces that go down and come back, and queues that are full.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant as Clock};

use super::processor_time;
use super::{DRIVER, threads};
use crate::Test;
use crate::link::{Hash, Link, Offload, PATIENCE, connected, eventually};
use crate::namespace::ip;

pub(crate) const TESTS: &[Test] = &[
    (
        "failure::a_connection_outlives_the_kernels_lost_v6_address",
        address_lost,
    ),
    (
        "failure::a_queue_of_two_frames_slows_and_ends_nothing",
        tiny_queue,
    ),
    (
        "failure::a_peer_that_does_not_read_holds_up_itself_only",
        peer_does_not_read,
    ),
];

/// Down takes the kernel's v6 addresses away, up does not bring them back.
fn address_lost() {
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        let (us, mut them) = connected(&host, true, true);
        let (v4, mut their_v4) = connected(&host, false, false);
        (&us).write_all(b"before").unwrap();
        them.read_exact(&mut [0; 6]).unwrap();
        ip("link set nl0 down");
        (&us).write_all(b"meanwhile").unwrap();
        ip("link set nl0 up");
        assert!(!ip("-6 addr show dev nl0").contains("fd07::1"));
        // The other family goes on.
        (&v4).write_all(b"v4").unwrap();
        their_v4.read_exact(&mut [0; 2]).unwrap();
        eventually("it is sent in vain", PATIENCE, || {
            us.info().unwrap().retransmits >= 2
        });
        assert!(us.info().unwrap().failure.is_none());
        ip("addr add fd07::1/64 dev nl0 nodad");
        let mut text = [0; 9];
        them.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"meanwhile");
        them.write_all(b"back").unwrap();
        (&us).read_exact(&mut [0; 4]).unwrap();
        assert!(host.error().is_none());
    }
}

/// The kernel drops what its queue to us does not hold.
fn tiny_queue() {
    for link in Link::ALL {
        let host = link.host();
        ip("link set nl0 txqueuelen 2");
        let (us, mut them) = connected(&host, false, true);
        let len = 150_000;
        let text: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let expected = hash(&text);
        let back = them.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| (&back).write_all(&text).unwrap());
            scope.spawn(|| (&us).write_all(&text).unwrap());
            let received = scope.spawn(|| {
                let mut got = vec![0; len];
                (&us).read_exact(&mut got).unwrap();
                hash(&got)
            });
            let mut got = vec![0; len];
            them.read_exact(&mut got).unwrap();
            assert_eq!(hash(&got), expected, "{link:?}");
            assert_eq!(received.join().unwrap(), expected, "{link:?}");
        });
        assert!(host.error().is_none());
        // Segments of one MTU do not fit, and somebody can find that out.
        let lost = host.device_counters().unwrap().lost_inbound;
        assert!(lost > 0 || link.offload == Offload::Full, "{link:?}");
    }
}

fn hash(text: &[u8]) -> (u64, u64) {
    let mut hash = Hash::default();
    hash.update(text);
    hash.finish()
}

/// A writer is held up, told so in time, and the driver sleeps meanwhile; others go on.
fn peer_does_not_read() {
    let host = Link::TAP.host();
    let (us, mut them) = connected(&host, false, true);
    let (other, mut their_other) = connected(&host, true, false);
    us.set_write_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut hash = Hash::default();
    let block = vec![0x5a; 1 << 20];
    let mut written = 0;
    let error = loop {
        match (&us).write(&block) {
            Ok(len) => {
                hash.update(&block[..len]);
                written += len;
            }
            Err(error) => break error,
        }
        assert!(written < 1 << 30, "somebody swallows everything");
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let [driver] = &threads(DRIVER)[..] else {
        panic!("one driver");
    };
    let started = (processor_time(driver), Clock::now());
    for _ in 0..20 {
        (&other).write_all(b"ping").unwrap();
        their_other.read_exact(&mut [0; 4]).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    let (worked, passed) = (processor_time(driver) - started.0, started.1.elapsed());
    assert!(worked < passed / 4, "{worked:?} of {passed:?}");
    // Then it reads after all.
    let expected = hash.finish();
    let mut got = Hash::default();
    let mut buf = vec![0; 1 << 20];
    let mut left = written;
    while left > 0 {
        let len = them.read(&mut buf).unwrap();
        assert!(len > 0, "{left} bytes are missing");
        got.update(&buf[..len]);
        left -= len;
    }
    assert_eq!(got.finish(), expected);
}
