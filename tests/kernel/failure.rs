//! What goes wrong under a host: interfaces that go or go down, hosts that are dropped.
//!
//! | file | what goes wrong |
//! |---|---|
//! | `descriptors.rs` | no descriptor is left |
//! | `handles.rs` | one thread drops what another waits on |
//! | `link.rs` | addresses go, queues are full, peers do not read |

pub(crate) mod descriptors;
mod handles;
mod link;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant as Clock};

use netloom::device::DeviceError;
use netloom::host::{Host, HostError};

use crate::Test;
use crate::link::{Link, PATIENCE, connected, eventually, kernel, kernel_udp, our_listener, ours};
use crate::namespace::ip;

const TESTS: &[Test] = &[
    ("failure::a_deleted_interface_ends_the_host", deleted),
    (
        "failure::an_interface_deleted_amid_a_transfer_ends_the_host",
        deleted_amid_a_transfer,
    ),
    (
        "failure::a_connection_outlives_a_link_that_is_down",
        link_down,
    ),
    ("failure::a_dropped_host_tells_its_handles", dropped),
    (
        "failure::no_thread_and_no_descriptor_stays_behind",
        nothing_stays,
    ),
    ("failure::shutdown_is_bounded", shutdown_is_bounded),
];

/// All of them.
pub(crate) fn tests() -> Vec<Test> {
    [TESTS, descriptors::TESTS, handles::TESTS, link::TESTS].concat()
}

/// How long an error may take to reach everybody.
const SOON: Duration = Duration::from_secs(1);

/// This process's threads by name.
fn threads(name: &str) -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let ids = tasks.map(|task| task.unwrap().file_name().into_string().unwrap());
    ids.filter(|id| {
        // A thread may end in between.
        let comm = fs::read_to_string(format!("/proc/self/task/{id}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    })
    .collect()
}

/// The driver's name, as far as the kernel keeps it.
const DRIVER: &str = "netloom-driver";

/// Processor time that a thread has used.
fn processor_time(thread: &str) -> Duration {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// Every kind of handle waits; the interface goes; each is told.
fn deleted() {
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        let (us, _them) = connected(&host, false, true);
        us.set_read_timeout(None).unwrap();
        let (listener, _) = our_listener(&host, false);
        let udp = host.udp_bind((ours(false), 0)).unwrap();
        let ping = host.ping_socket().unwrap();
        let before = Clock::now();
        let waiting = |call: &dyn Fn() -> io::Error| {
            let error = call();
            (error, before.elapsed())
        };
        thread::scope(|scope| {
            let waits = [
                scope.spawn(|| waiting(&|| (&us).read(&mut [0]).unwrap_err())),
                scope.spawn(|| waiting(&|| listener.accept().unwrap_err())),
                scope.spawn(|| waiting(&|| udp.recv_datagram().unwrap_err())),
                scope.spawn(|| waiting(&|| ping.recv(PATIENCE).unwrap_err())),
                scope.spawn(|| waiting(&|| io::Error::from(host.wait(Some(PATIENCE)).unwrap()))),
            ];
            ip("link del nl0");
            for (at, wait) in waits.into_iter().enumerate() {
                let (error, after) = wait.join().unwrap();
                assert_eq!(error.kind(), ErrorKind::NetworkDown, "{at}: {error}");
                assert!(after < SOON, "{at}: {after:?}");
            }
        });
        let error = host.error().unwrap();
        assert!(
            matches!(&error, HostError::Device(why) if matches!(**why, DeviceError::Gone)),
            "{error:?}"
        );
        // Calls that come later are told as well, and nothing spins: the driver is gone.
        let later = host.tcp_connect((kernel(false), 9)).unwrap_err();
        assert_eq!(later.kind(), ErrorKind::NetworkDown);
        assert_eq!(
            (&us).write(b"x").unwrap_err().kind(),
            ErrorKind::NetworkDown
        );
        eventually("the driver ends", SOON, || threads(DRIVER).is_empty());
    }
}

fn deleted_amid_a_transfer() {
    for link in Link::ALL {
        let host = link.host();
        let (us, mut them) = connected(&host, false, true);
        let (more, mut from_them) = connected(&host, true, false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let block = vec![0; 1 << 20];
                loop {
                    if let Err(error) = (&us).write(&block) {
                        return error;
                    }
                }
            });
            let reader = scope.spawn(|| {
                let mut buf = vec![0; 1 << 20];
                loop {
                    if let Err(error) = (&more).read(&mut buf) {
                        return error;
                    }
                }
            });
            // The kernel's ends are told by nobody: the tests end them.
            let sink = them.try_clone().unwrap();
            let source = from_them.try_clone().unwrap();
            scope.spawn(move || io::copy(&mut them, &mut io::sink()));
            scope.spawn(move || while from_them.write(&[0; 65536]).is_ok() {});
            eventually("both flow", PATIENCE, || {
                us.info().unwrap().bytes_acked > 1 << 20
                    && more.info().unwrap().bytes_received > 1 << 20
            });
            ip("link del nl0");
            let before = Clock::now();
            for side in [writer, reader] {
                let error = side.join().unwrap();
                assert_eq!(error.kind(), ErrorKind::NetworkDown, "{link:?} {error}");
            }
            assert!(before.elapsed() < SOON, "{:?}", before.elapsed());
            sink.shutdown(std::net::Shutdown::Both).unwrap();
            source.shutdown(std::net::Shutdown::Both).unwrap();
        });
        eventually("the driver ends", SOON, || threads(DRIVER).is_empty());
    }
}

/// While the link is down frames are lost as on a wire, and the driver sleeps.
fn link_down() {
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        let (us, mut them) = connected(&host, false, true);
        let mut exchange = |text: &[u8]| {
            let mut buf = vec![0; text.len()];
            them.read_exact(&mut buf).unwrap();
            assert_eq!(buf, text);
            them.write_all(text).unwrap();
            (&us).read_exact(&mut buf).unwrap();
            assert_eq!(buf, text);
        };
        (&us).write_all(b"before").unwrap();
        exchange(b"before");
        ip("link set nl0 down");
        let [driver] = &threads(DRIVER)[..] else {
            panic!("one driver");
        };
        let started = (processor_time(driver), Clock::now());
        (&us).write_all(b"meanwhile").unwrap();
        eventually("it is sent in vain, twice", PATIENCE, || {
            us.info().unwrap().retransmits >= 2
        });
        let (worked, passed) = (processor_time(driver) - started.0, started.1.elapsed());
        assert!(worked < passed / 10, "{worked:?} of {passed:?}");
        assert!(host.error().is_none());
        ip("link set nl0 up");
        exchange(b"meanwhile");
        let counters = host.counters();
        let lost: u64 = counters.drops.iter().map(|(_, count)| count).sum();
        assert!(lost >= 2, "{counters:?}");
    }
}

fn dropped() {
    for link in [Link::TAP, Link::TUN] {
        let host = link.host();
        let (us, mut them) = connected(&host, false, true);
        us.set_read_timeout(None).unwrap();
        let (listener, at) = our_listener(&host, true);
        let udp = host.udp_bind((ours(true), 0)).unwrap();
        let unaccepted = crate::link::kernel_connect(at);
        let expected = ErrorKind::NotConnected;
        thread::scope(|scope| {
            let reader = scope.spawn(|| (&us).read(&mut [0]).unwrap_err().kind());
            let receiver = scope.spawn(|| udp.recv_datagram().unwrap_err().kind());
            drop(host);
            assert_eq!(reader.join().unwrap(), expected);
            assert_eq!(receiver.join().unwrap(), expected);
        });
        assert_eq!((&us).write(b"x").unwrap_err().kind(), expected);
        assert_eq!(us.info().unwrap_err().kind(), expected);
        assert_eq!(udp.send_to(b"x", at).unwrap_err().kind(), expected);
        while let Ok(stream) = listener.receiver().try_recv() {
            assert_eq!((&stream).read(&mut [0]).unwrap_err().kind(), expected);
        }
        assert_eq!(listener.accept().unwrap_err().kind(), expected);
        // The peers are told by a reset, before the device goes.
        for stream in [&mut them, &mut { unaccepted }] {
            let told = stream.read(&mut [0]).unwrap_err();
            assert_eq!(told.kind(), ErrorKind::ConnectionReset, "{link:?}");
        }
        assert!(!ip("-o link").contains("nl0"), "the device is closed");
    }
}

fn nothing_stays() {
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernel-nothing.pcapng");
    let before = (count("task"), count("fd"));
    for link in Link::ALL {
        let host = link.host_with(Some(&path));
        assert!(count("task") >= before.0 + 2, "a driver and a capture");
        use_everything(&host);
        drop(host);
        // A joined thread takes a moment to leave the list.
        eventually("threads and descriptors are gone", SOON, || {
            (count("task"), count("fd")) == before
        });
    }
    fs::remove_file(path).unwrap();

    // The same when its interface went before it.
    let host = Link::TAP.host();
    use_everything(&host);
    ip("link del nl0");
    assert!(host.wait(Some(SOON)).is_some());
    drop(host);
    eventually("threads and descriptors are gone", SOON, || {
        (count("task"), count("fd")) == before
    });
}

fn use_everything(host: &Host) {
    for v6 in [false, true] {
        let (us, mut them) = connected(host, v6, true);
        (&us).write_all(b"text").unwrap();
        them.read_exact(&mut [0; 4]).unwrap();
        let udp = host.udp_bind((ours(v6), 0)).unwrap();
        kernel_udp((kernel(v6), 0).into())
            .send_to(b"x", udp.local_addr().unwrap())
            .unwrap();
        udp.recv_datagram().unwrap();
        host.ping(kernel(v6), PATIENCE).unwrap();
    }
}

/// A peer that never ends its side holds the end up as long as was said, and no longer.
fn shutdown_is_bounded() {
    let host = Link::TAP.host();
    let (us, mut them) = connected(&host, false, true);
    (&us).write_all(b"last words").unwrap();
    let within = Duration::from_millis(300);
    let before = Clock::now();
    assert_eq!(host.shutdown(within), 1, "one connection was open still");
    let took = before.elapsed();
    assert!(took >= within && took < within + SOON, "{took:?}");
    let mut text = Vec::new();
    // All that was written, an end, and then the reset of the half that was open.
    let ended = them.read_to_end(&mut text);
    assert_eq!(text, b"last words", "{ended:?}");
}
