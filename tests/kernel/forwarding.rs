//! A stack that passes packets on, between two kernels: each end of it in a namespace of its own.
//!
//! `nl0` leads to `left`, `nl1` to `right`; both are TAP devices of one stack, which one thread drives.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant as Clock;

use netloom::base::{DropReason, Instant, Seed};
use netloom::device::{Device, Pollable, Tap};
use netloom::stack::{Event, ForwardOptions, NatOptions, Port, turn_all};
use netloom::{Config, InterfaceConfig, Stack};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::link::{kernel_accept, kernel_connect};
use crate::namespace::{Case, ip};
use crate::paths::Place;
use crate::programs::path_of;
use crate::tool::NETLOOM;
use crate::trace::tell_all;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with(&["ping"], "forwarding::pings_go_through", pings_go_through),
        with(
            &["traceroute"],
            "forwarding::a_hop_on_a_route",
            hop_on_a_route,
        ),
        with(&["mtr"], "forwarding::mtr_sees_a_hop", mtr_sees_a_hop),
        Case::new("forwarding::our_trace_sees_a_hop", our_trace_sees_a_hop),
        Case::new("forwarding::tcp_goes_through", tcp_goes_through),
        Case::new(
            "forwarding::a_narrow_link_is_told_of",
            narrow_link_is_told_of,
        ),
        with(
            &["iperf3"],
            "forwarding::iperf_goes_through",
            iperf_goes_through,
        ),
    ]
}

/// A test that needs these programs.
pub(crate) fn with(programs: &'static [&str], name: &str, test: fn()) -> Case {
    Case::with_reason(name, move || {
        let missing = programs.iter().find(|program| path_of(program).is_none());
        if missing.is_none() {
            test();
        }
        missing.map(|program| format!("there is no {program}"))
    })
}

/// A stack between two namespaces.
pub(crate) struct Between {
    pub(crate) left: Place,
    pub(crate) right: Place,
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Stack>,
}

impl Between {
    /// Devices with offload or without; the MTU of the right one.
    fn new(offload: bool, mtu: u32) -> Self {
        Self::with(offload, mtu, None)
    }

    /// One that translates what leaves to the right, if that is asked for.
    pub(crate) fn with(offload: bool, mtu: u32, nat: Option<NatOptions>) -> Self {
        let (left, right) = (Place::new(), Place::new());
        let open = |name: &str, mtu, place: &Place| {
            let tap = Tap::builder().name(name).mtu(mtu).offload(offload);
            let tap = tap.open().unwrap();
            ip(&format!("link set {name} netns {}", place.thread));
            tap
        };
        let taps = [open("nl0", 1500, &left), open("nl1", mtu, &right)];
        for (net, place) in [(7, &left), (8, &right)] {
            let name = format!("nl{}", net - 7);
            place.run(move || {
                ip("link set lo up");
                ip(&format!("link set {name} up"));
                ip(&format!("addr add 10.{net}.0.2/24 dev {name}"));
                ip(&format!("addr add fd0{net}::2/64 dev {name} nodad"));
                // As of one whose link is wide: or nobody would send it what does not fit.
                ip(&format!("route add default via 10.{net}.0.1 advmss 1460"));
                ip(&format!("-6 route add default via fd0{net}::1 advmss 1440"));
            });
        }
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let thread = thread::spawn(move || drive(taps, nat, &told));
        Self {
            left,
            right,
            ends,
            thread,
        }
    }

    /// What it counted.
    pub(crate) fn end(self) -> Stack {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Passes packets on until it is told to end.
fn drive(taps: [Tap; 2], nat: Option<NatOptions>, ends: &AtomicBool) -> Stack {
    let epoch = Clock::now();
    let clock = || Instant::from_nanos(u64::try_from(epoch.elapsed().as_nanos()).unwrap());
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let mut descriptors: Vec<(Arc<OwnedFd>, Arc<OwnedFd>)> = Vec::new();
    let mut ports = Vec::new();
    for (net, tap) in (7..).zip(taps) {
        let config = InterfaceConfig::new(tap.capabilities())
            .address(format!("10.{net}.0.1/24").parse().unwrap())
            .address(format!("fd0{net}::1/64").parse().unwrap())
            .dad_transmits(0)
            .forwarding(ForwardOptions::new());
        // What the left kernel has behind it.
        let config = match net {
            7 => config
                .route(
                    "10.6.0.0/24".parse().unwrap(),
                    Some("10.7.0.2".parse().unwrap()),
                )
                .route(
                    "fd06::/64".parse().unwrap(),
                    Some("fd07::2".parse().unwrap()),
                ),
            _ => config,
        };
        let config = match &nat {
            Some(options) if net == 8 => config.nat(options.clone()),
            _ => config,
        };
        let interface = stack.add_interface(clock(), config).unwrap();
        let (rx, tx) = tap.split();
        descriptors.push((rx.descriptor().unwrap(), tx.descriptor().unwrap()));
        ports.push(Port::new(interface, (rx, tx)));
    }
    while !ends.load(Ordering::Relaxed) {
        let mut nobody = |_: &mut Stack, _: Instant, _: Event| {};
        let next = turn_all(&mut ports, clock(), &mut stack, &mut nobody).unwrap();
        let wait = next
            .timeout(clock())
            .map_or(50, |wait| match wait.is_zero() {
                true => 0,
                false => wait.as_millis() + 1,
            });
        let mut fds = Vec::new();
        for (port, (readable, writable)) in ports.iter().zip(&descriptors) {
            fds.push(PollFd::new(readable.as_fd(), PollFlags::POLLIN));
            if port.tx().wants_room() {
                fds.push(PollFd::new(writable.as_fd(), PollFlags::POLLOUT));
            }
        }
        poll(&mut fds, PollTimeout::try_from(wait.min(50)).unwrap()).unwrap();
    }
    stack
}

/// Runs a program in a place; what it printed.
pub(crate) fn told(place: &Place, words: &'static str) -> String {
    place.run(move || {
        let mut words = words.split_whitespace();
        let output = Command::new(words.next().unwrap()).args(words).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        text
    })
}

/// Both families, also in fragments, which the kernel puts together at the end; and to the far address of ours.
fn pings_go_through() {
    let between = Between::new(true, 1500);
    for to in [
        "ping -c 3 -i 0.2 -W 5 10.8.0.2",
        "ping -c 3 -i 0.2 -W 5 fd08::2",
        "ping -c 2 -i 0.2 -W 5 -s 4000 10.8.0.2",
        "ping -c 2 -i 0.2 -W 5 -s 4000 fd08::2",
        "ping -c 2 -i 0.2 -W 5 10.8.0.1",
        "ping -c 2 -i 0.2 -W 5 fd08::1",
    ] {
        told(&between.left, to);
    }
    let stack = between.end();
    assert!(stack.counters().packets_forwarded >= 2 * (3 + 3 + 2 * 3 + 2 * 3));
    assert_eq!(stack.counters().fragments_received, 0);
}

/// By ICMP, UDP and TCP: the hop is ours, and nothing is lost on the way.
fn mtr_sees_a_hop() {
    let between = Between::new(true, 1500);
    for (command, hop, end) in [
        ("mtr -n -r -c 3 -i 0.3 10.8.0.2", "10.7.0.1", "10.8.0.2"),
        ("mtr -6 -n -r -c 3 -i 0.3 fd08::2", "fd07::1", "fd08::2"),
        ("mtr -n -r -c 3 -i 0.3 -u 10.8.0.2", "10.7.0.1", "10.8.0.2"),
        (
            "mtr -n -r -c 3 -i 0.3 -T -P 9 10.8.0.2",
            "10.7.0.1",
            "10.8.0.2",
        ),
    ] {
        let text = told(&between.left, command);
        for at in [hop, end] {
            let line = text.lines().find(|line| line.contains(at));
            let line = line.unwrap_or_else(|| panic!("{command}: {text}"));
            assert!(line.contains(" 0.0%"), "{command}: {text}");
        }
    }
    between.end();
}

/// The tool's, by way of a kernel, this library and another kernel: three stacks in a row.
fn our_trace_sees_a_hop() {
    let between = Between::new(true, 1500);
    between.left.run(|| {
        for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            fs::write(format!("/proc/sys/net/{switch}"), "1").unwrap();
        }
    });
    between.left.run(tell_all);
    between.right.run(tell_all);
    for (to, hops) in [
        ("10.8.0.2", ["10.6.0.1", "10.7.0.1", "10.8.0.2"]),
        ("fd08::2", ["fd06::1", "fd07::1", "fd08::2"]),
    ] {
        for how in [&["--udp"][..], &["--icmp"], &["--tcp", "9"]] {
            let output = between.left.run(move || {
                let mut command = Command::new(NETLOOM);
                command.args(["trace", "--tap", "nl5", "--kernel-address", "10.6.0.1/24"]);
                command.args(["--kernel-address", "fd06::1/64", "--address", "10.6.0.2/24"]);
                command.args(["--address", "fd06::2/64", "--gateway", "10.6.0.1"]);
                command.args(["--gateway", "fd06::1", "-q", "2", to]);
                command.args(how).output().unwrap()
            });
            let text = String::from_utf8(output.stdout).unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{how:?}: {text}{errors}");
            let lines: Vec<&str> = text.lines().skip(1).collect();
            assert_eq!(lines.len(), 3, "{how:?}: {text}");
            for ((line, hop), number) in lines.into_iter().zip(hops).zip(1..) {
                assert!(line.starts_with(&format!(" {number}  {hop}  ")), "{text}");
            }
        }
    }
    between.end();
}

/// Time Exceeded comes from the near address of ours; who is behind nobody is told of as unreachable.
fn hop_on_a_route() {
    let between = Between::new(true, 1500);
    for (command, hop) in [
        ("traceroute -n -q 1 -w 2 10.8.0.2", "10.7.0.1"),
        ("traceroute -6 -n -q 1 -w 2 fd08::2", "fd07::1"),
    ] {
        let text = told(&between.left, command);
        let hops: Vec<&str> = text.lines().skip(1).collect();
        assert!(hops.len() == 2 && hops[0].contains(hop), "{text}");
    }
    let text = between.left.run(|| {
        let mut ping = Command::new("ping");
        let output = ping.args(["-c", "1", "-W", "2", "192.0.2.1"]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    });
    assert!(text.contains("Net Unreachable"), "{text}");
    drop(between.end());
}

/// A megabyte after the other from one end to the other, and back; what arrives is what was sent.
pub(crate) fn exchange(from: &TcpStream, to: &TcpStream, len: usize) {
    let data: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
    for (mut from, mut to) in [(from, to), (to, from)] {
        thread::scope(|scope| {
            scope.spawn(|| from.write_all(&data).unwrap());
            let mut got = vec![0; len];
            to.read_exact(&mut got).unwrap();
            assert!(got == data, "what arrived is not what was sent");
        });
    }
}

fn connected(between: &Between, at: &str) -> (TcpStream, TcpStream) {
    let at: SocketAddr = at.parse().unwrap();
    let listener = between.right.run(move || TcpListener::bind(at).unwrap());
    let to = listener.local_addr().unwrap();
    let left = between.left.run(move || kernel_connect(to));
    (left, kernel_accept(&listener))
}

const RIGHT: [&str; 2] = ["10.8.0.2:0", "[fd08::2]:0"];

/// With super-segments and partial checksums, and without.
fn tcp_goes_through() {
    for offload in [true, false] {
        Place::new().run(move || {
            let between = Between::new(offload, 1500);
            for at in RIGHT {
                let (left, right) = connected(&between, at);
                exchange(&left, &right, 20_000_000);
            }
            let stack = between.end();
            let counters = stack.counters();
            assert!(counters.packets_forwarded > 500, "{counters:?}");
            // What a device says of its segments is passed on to one that cuts as well.
            assert_eq!(counters.packets_cut, 0);
        });
    }
}

/// The kernel hears of the narrow link, and all gets through.
fn narrow_link_is_told_of() {
    for offload in [true, false] {
        Place::new().run(move || {
            let between = Between::new(offload, 1280);
            for at in RIGHT {
                let (left, right) = connected(&between, at);
                exchange(&left, &right, 5_000_000);
            }
            let stack = between.end();
            let told = stack.counters().drops.get(DropReason::ForwardTooBig);
            assert!(told >= 2, "{told}");
        });
    }
}

/// Several flows at once, both ways.
fn iperf_goes_through() {
    let between = Between::new(true, 1500);
    let server = between.right.run(|| {
        let mut server = Command::new("iperf3");
        server.args(["-s", "-1", "-B", "10.8.0.2"]);
        server.stdout(std::process::Stdio::null()).spawn().unwrap()
    });
    let server = crate::programs::Peer::of(server);
    crate::link::eventually("iperf3 listens", crate::link::PATIENCE, || {
        between
            .right
            .run(|| crate::programs::listening(false, 5201))
    });
    told(&between.left, "iperf3 -c 10.8.0.2 -P 4 -t 2 --bidir");
    server.end();
    let stack = between.end();
    assert!(stack.counters().packets_forwarded > 1000);
}
