//! Explicit Congestion Notification against the kernel, in both roles.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;

use netloom::base::Seed;
use netloom::device::{Device, HostReceive, HostTransmit, Impair, Pick, Tap, WireConfig};
use netloom::host::{ConnectOptions, Host, TcpStream as OurStream};
use netloom::tcp::{Ecn, TcpOptions};

use crate::Test;
use crate::link::{
    PATIENCE, kernel_accept, kernel_connect, kernel_listener, our_accept, our_listener,
};

pub(crate) const TESTS: &[Test] = &[
    ("ecn::both_roles_agree_with_the_kernel", both_roles),
    ("ecn::marks_are_echoed_and_answered_both_ways", marks),
];

const BYTES: usize = 8 << 20;

/// The kernel asks, and agrees with who asks.
fn kernel_with_ecn() {
    fs::write("/proc/sys/net/ipv4/tcp_ecn", "1").expect("this namespace's settings");
}

fn tap(offload: bool) -> Tap {
    let tap = Tap::builder().name("nl0").offload(offload);
    tap.kernel_address("10.7.0.1/24".parse().unwrap())
        .open()
        .unwrap()
}

fn host<D>(device: D) -> Host
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let builder = Host::builder(device).address("10.7.0.2/24".parse().unwrap());
    builder.spawn().unwrap()
}

/// A connection that the kernel opened, or one of ours that asks.
fn connected(host: &Host, inward: bool) -> (OurStream, TcpStream) {
    if inward {
        let (listener, at) = our_listener(host, false);
        let theirs = kernel_connect(at);
        return (our_accept(&listener), theirs);
    }
    let (listener, at) = kernel_listener(false);
    let tcp = TcpOptions::default().ecn(Ecn::Ask);
    let options = ConnectOptions::new().tcp(tcp).timeout(PATIENCE);
    let ours = host.tcp_connect_with(at, &options).unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    ours.set_write_timeout(Some(PATIENCE)).unwrap();
    (ours, kernel_accept(&listener))
}

/// What the kernel knows of its connections.
pub(crate) fn ss() -> String {
    let output = Command::new("ss").arg("-tinoH").output();
    let output = output.expect("the `ss` command (package iproute2) is there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Sends both ways at once, and compares.
pub(crate) fn exchange(ours: &OurStream, theirs: &TcpStream) {
    let data: Vec<u8> = (0..BYTES).map(|n| (n % 251).to_le_bytes()[0]).collect();
    thread::scope(|scope| {
        for ours_sends in [true, false] {
            let data = &data;
            scope.spawn(move || {
                if ours_sends {
                    (&*ours).write_all(data).unwrap();
                    ours.shutdown(Shutdown::Write).unwrap();
                } else {
                    (&*theirs).write_all(data).unwrap();
                    theirs.shutdown(Shutdown::Write).unwrap();
                }
            });
            scope.spawn(move || {
                let mut got = Vec::with_capacity(data.len());
                if ours_sends {
                    (&*theirs).read_to_end(&mut got).unwrap();
                } else {
                    (&*ours).read_to_end(&mut got).unwrap();
                }
                assert!(got == *data, "{} bytes of {}", got.len(), data.len());
            });
        }
    });
}

fn both_roles() {
    kernel_with_ecn();
    for offload in [true, false] {
        let host = host(tap(offload));
        for inward in [true, false] {
            let (ours, theirs) = connected(&host, inward);
            let known = ss();
            assert!(
                known.split_whitespace().any(|word| word == "ecn"),
                "{known}"
            );
            assert!(ours.info().unwrap().ecn, "inward {inward}");
            exchange(&ours, &theirs);
        }
    }
}

/// Every hundredth frame of either is marked: both say so, both answer, and nothing is sent again.
fn marks() {
    kernel_with_ecn();
    let marked = || WireConfig::perfect().marking(Pick::every(100));
    let device = Impair::new(tap(false), Seed::from_number(1));
    let host = host(device.sending(marked()).receiving(marked()));
    for inward in [true, false] {
        let (ours, theirs) = connected(&host, inward);
        exchange(&ours, &theirs);
        let info = ours.info().unwrap();
        assert!(info.ecn && info.ce_received > 0, "{info:?}");
        assert!(info.ece_received > 0 && info.ecn_reductions > 0, "{info:?}");
        assert!(info.ssthresh < u32::MAX, "{info:?}");
    }
}
