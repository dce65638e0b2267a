//! Urgent data beside the kernel's MSG_OOB, both ways.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd};

use netloom::host;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};

use crate::Test;
use crate::link::{Link, connected};

pub(crate) const TESTS: &[Test] = &[
    ("urgent::ours_is_the_kernels_out_of_band_byte", ours),
    ("urgent::the_kernels_is_told_and_read_in_line", theirs),
];

fn each(test: impl Fn(host::TcpStream, TcpStream)) {
    let host = Link::TAP.host();
    for v6 in [false, true] {
        for inward in [false, true] {
            let (us, them) = connected(&host, v6, inward);
            test(us, them);
        }
    }
}

/// Covers: TCP-35.
fn ours() {
    each(|us, mut them| {
        us.send(b"before").unwrap();
        assert_eq!(us.send_urgent(b"now!").unwrap(), 4);
        us.send(b"after").unwrap();
        us.shutdown(Shutdown::Write).unwrap();
        let mut asked = [PollFd::new(them.as_fd(), PollFlags::POLLPRI)];
        assert_eq!(poll(&mut asked, PollTimeout::from(10_000u16)), Ok(1));
        let mut byte = [0; 9];
        let got = recv(them.as_raw_fd(), &mut byte, MsgFlags::MSG_OOB);
        assert_eq!((got, byte[0]), (Ok(1), b'!'));
        // What is left in line is all but that byte.
        let mut rest = String::new();
        them.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "beforenowafter");
    });
    each(|us, mut them| {
        setsockopt(&them, sockopt::OobInline, &true).unwrap();
        us.send_urgent(b"now!").unwrap();
        us.shutdown(Shutdown::Write).unwrap();
        let none = recv(them.as_raw_fd(), &mut [0; 9], MsgFlags::MSG_OOB);
        assert_eq!(none, Err(Errno::EINVAL));
        let mut all = String::new();
        them.read_to_string(&mut all).unwrap();
        assert_eq!(all, "now!");
    });
}

/// Covers: TCP-36.
fn theirs() {
    each(|us, mut them| {
        them.write_all(b"calm").unwrap();
        let sent = send(them.as_raw_fd(), b"now!", MsgFlags::MSG_OOB);
        assert_eq!(sent, Ok(4));
        assert_eq!(us.wait_urgent().unwrap(), 8);
        let mut text = [0; 7];
        (&us).read_exact(&mut text).unwrap();
        assert_eq!((&text, us.urgent().unwrap()), (b"calmnow", 1));
        assert_eq!(us.recv(&mut text).unwrap(), 1);
        assert_eq!((text[0], us.urgent().unwrap()), (b'!', 0));
        // Of any length, told again as it goes on.
        let long = [7; 100_000];
        let mut left = &long[..];
        while !left.is_empty() {
            let sent = send(them.as_raw_fd(), left, MsgFlags::MSG_OOB).unwrap();
            left = &left[sent..];
        }
        assert!(us.wait_urgent().unwrap() > 0);
        let mut got = vec![0; long.len()];
        (&us).read_exact(&mut got).unwrap();
        assert!(got == long);
        assert_eq!(us.urgent().unwrap(), 0);
        them.shutdown(Shutdown::Write).unwrap();
        assert_eq!(us.wait_urgent().unwrap(), 0, "none can come");
    });
}
