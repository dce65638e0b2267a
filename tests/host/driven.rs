//! Hosts without a thread: driven in a loop of one's own, or by a task.

use std::os::fd::AsFd;
use std::sync::mpsc;

use netloom::host::{Driver, Turned};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;

/// A host that is driven beside one that drives itself.
fn driven() -> (Host, Driver, Host) {
    let (a, b) = pair(Medium::Ip, 1500);
    let address = |text: &str| format!("{text}/24").parse::<Cidr>().unwrap();
    let (near, driver) = Host::builder(a).address(address(A4)).build().unwrap();
    let far = Host::builder(b).address(address(B4)).spawn().unwrap();
    (near, driver, far)
}

/// Is its descriptor readable within this time?
fn is_due(driver: &Driver, within: Duration) -> bool {
    let mut fds = [PollFd::new(driver.as_fd(), PollFlags::POLLIN)];
    let within = PollTimeout::try_from(within).unwrap();
    poll(&mut fds, within).unwrap() == 1
}

/// Turns until `done` says something; waits for the descriptor alone. A turn may be what `done` waits for: it is asked behind each.
fn drive<T>(driver: &mut Driver, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    let mut again = true;
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(Instant::now() < end, "it sleeps on");
        assert!(again || is_due(driver, LONG), "nothing is due");
        again = match driver.turn() {
            Turned::Again => true,
            Turned::Wait => false,
            Turned::Ended(why) => panic!("{why}"),
            _ => unreachable!(),
        };
    }
}

/// Until nothing is due: it is level-triggered, so that this ends where it is told what it has read.
fn settle(driver: &mut Driver) {
    let end = Instant::now() + LONG;
    while is_due(driver, Duration::from_millis(1)) {
        assert!(Instant::now() < end, "its descriptor stays readable");
        driver.turn();
    }
}

#[test]
fn one_thread_drives_and_speaks() {
    const LEN: usize = 5 << 20;
    let (near, mut driver, far) = driven();
    let listener = near.tcp_listen((A4, 7)).unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let stream = far.tcp_connect((A4, 7)).unwrap();
            (&stream).write_all(&vec![7; LEN]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            read_all(&stream).len()
        });
        let accepted = drive(&mut driver, || listener.accept().ok()).0;
        accepted.set_nonblocking(true).unwrap();
        let (mut got, mut buf) = (0, vec![0; 1 << 16]);
        drive(&mut driver, || {
            loop {
                match accepted.recv(&mut buf) {
                    Ok(0) => return Some(()),
                    Ok(len) => got += len,
                    Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            None
        });
        assert_eq!(got, LEN);
        let mut left = LEN;
        drive(&mut driver, || {
            while left > 0 {
                match accepted.send(&buf[..left.min(1 << 16)]) {
                    Ok(len) => left -= len,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        return None;
                    }
                }
            }
            Some(())
        });
        drop(accepted);
        // That it is over no descriptor tells.
        while !client.is_finished() {
            is_due(&driver, SHORT);
            driver.turn();
        }
        assert_eq!(client.join().unwrap(), LEN);
    });
}

/// A loop may wait before it has ever taken a turn: what has come by then is not missed.
#[test]
fn the_first_turn_is_due_at_once() {
    let (near, mut driver, far) = driven();
    let listener = near.tcp_listen((A4, 7)).unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| far.tcp_connect((A4, 7)).unwrap());
        let end = Instant::now() + LONG;
        while listener.accept().is_err() {
            assert!(
                is_due(&driver, LONG) && Instant::now() < end,
                "nothing is due"
            );
            driver.turn();
        }
    });
}

/// Timers are due by the descriptor as well: what nobody answers is sent again.
#[test]
fn the_descriptor_tells_of_timers_and_of_nothing_else() {
    let (near, mut driver, _far) = driven();
    settle(&mut driver);
    let began = Instant::now();
    let nobody = "10.7.0.77:7".parse().unwrap();
    let options = ConnectOptions::new();
    let (_connects, _) = near.tcp_connect_fast(nobody, &options, b"").unwrap();
    // RFC 6298 §2.1: the SYN is sent again after a second.
    let again = drive(&mut driver, || {
        (near.counters().tcp_retransmits > 0).then(|| began.elapsed())
    });
    assert!(again >= Duration::from_millis(900), "{again:?}");
}

#[test]
fn blocking_calls_of_other_threads_are_served() {
    let (near, driver, far) = driven();
    thread::scope(|scope| {
        let drives = scope.spawn(|| driver.run());
        for _ in 0..20 {
            let (here, there) = connected(&near, &far);
            there.send(b"ping").unwrap();
            let mut buf = [0; 9];
            assert_eq!(here.recv(&mut buf).unwrap(), 4);
            here.send(&buf[..4]).unwrap();
            assert_eq!(there.recv(&mut buf).unwrap(), 4);
        }
        assert_eq!(near.shutdown(LONG), 0);
        assert!(matches!(drives.join().unwrap(), HostError::Closed));
    });
}

/// Whichever goes first: who waits is told, and nobody waits for ever.
#[test]
fn the_end_of_the_driver_is_the_end_of_the_host_and_the_other_way_round() {
    let (near, mut driver, far) = driven();
    let listener = near.tcp_listen((A4, 7)).unwrap();
    thread::scope(|scope| {
        let (told, asleep) = mpsc::channel();
        let waits = scope.spawn(move || {
            told.send(()).unwrap();
            listener.accept()
        });
        asleep.recv().unwrap();
        driver.turn();
        drop(driver);
        assert_eq!(
            waits.join().unwrap().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
    });
    assert!(matches!(near.error(), Some(HostError::Closed)));
    assert_eq!(
        near.tcp_listen((A4, 8)).unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    drop((near, far));

    let (near, mut driver, _far) = driven();
    let udp = near.udp_bind((A4, 7)).unwrap();
    drop(near);
    assert!(is_due(&driver, LONG));
    let ended = loop {
        if let Turned::Ended(why) = driver.turn() {
            break why;
        }
    };
    assert!(matches!(ended, HostError::Closed));
    assert!(matches!(driver.turn(), Turned::Ended(HostError::Closed)));
    assert_eq!(
        udp.recv(&mut [0]).unwrap_err().kind(),
        ErrorKind::NotConnected
    );
}

/// A shutdown waits for turns as long as it was told, and a little.
#[test]
fn a_shutdown_that_nobody_drives_ends() {
    let (near, driver, _far) = driven();
    let began = Instant::now();
    near.shutdown(SHORT);
    assert!(began.elapsed() < LONG);
    drop(driver);
}
