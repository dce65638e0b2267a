//! Paths over kernels as routers, each hop narrower than the one before.
//!
//! `nl0` (1500) leads to this test's namespace, `a` to a second router, `b` to the namespace of who is spoken to.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use netloom::base::Cidr;
use netloom::device::Tap;
use netloom::host::{Host, TcpStream as OurStream};
use netloom::stack::{PingOutcome, SendInfo};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

use crate::Test;
use crate::ecn::exchange;
use crate::link::{PATIENCE, kernel_accept, kernel_connect, our_accept, our_connect};
use crate::namespace::ip;

pub(crate) const TESTS: &[Test] = &[
    ("paths::tcp_both_ways_over_narrow_hops", tcp_both_ways),
    ("paths::a_datagram_that_does_not_fit_is_told", datagrams),
    ("paths::tcp_over_hops_that_say_nothing", silent_hops),
    (
        "paths::the_hops_of_a_path_are_told_one_by_one",
        hops_are_told,
    ),
];

/// A thread in a network namespace of its own, which does what it is told and ends with this.
pub(crate) struct Place {
    calls: Sender<Box<dyn FnOnce() + Send>>,
    pub(crate) thread: i32,
}

impl Place {
    pub(crate) fn new() -> Self {
        let (calls, told) = channel::<Box<dyn FnOnce() + Send>>();
        let (say, thread) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            say.send(gettid().as_raw()).unwrap();
            told.into_iter().for_each(|call| call());
        });
        let thread = thread.recv().unwrap();
        Self { calls, thread }
    }

    pub(crate) fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T {
        let (say, said) = channel();
        let call = move || say.send(call()).unwrap();
        self.calls.send(Box::new(call)).unwrap();
        said.recv().unwrap()
    }
}

/// The hops, and who is behind them.
struct Paths {
    host: Host,
    far: Place,
    /// The second router.
    between: Place,
    at: IpAddr,
    ours: IpAddr,
    /// The narrowest MTU.
    mtu: usize,
}

fn forward() {
    for family in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        fs::write(format!("/proc/sys/net/{family}"), "1").expect("this namespace's settings");
    }
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// The routers' other ends: `between` leads on to `far` over a hop of this MTU.
fn lay(between: &Place, far: &Place, v6: bool, mtu: usize) {
    let peer = far.thread;
    between.run(move || {
        forward();
        ip(&format!(
            "link add b0 mtu {mtu} type veth peer name b1 mtu {mtu} netns {peer}"
        ));
        for words in [
            "link set a1 up",
            "link set b0 up",
            "addr add 10.9.0.2/24 dev a1",
            "addr add 10.8.0.1/24 dev b0",
            "route add 10.7.0.0/24 via 10.9.0.1",
        ] {
            ip(words);
        }
        if v6 {
            ip("addr add fd09::2/64 dev a1 nodad");
            ip("addr add fd08::1/64 dev b0 nodad");
            ip("route add fd07::/64 via fd09::1");
        }
    });
    far.run(move || {
        ip("link set b1 up");
        ip("addr add 10.8.0.2/24 dev b1");
        // As of one whose own link is wide: or nobody would send it what does not fit.
        ip("route add 10.7.0.0/24 via 10.8.0.1 advmss 1460");
        if v6 {
            ip("addr add fd08::2/64 dev b1 nodad");
            ip("route add fd07::/64 via fd08::1 advmss 1440");
        }
    });
}

/// This namespace becomes the first router; the second one, and who is behind it.
pub(crate) fn lay_all(v6: bool, [a, b]: [usize; 2]) -> (Place, Place) {
    forward();
    let (between, far) = (Place::new(), Place::new());
    ip(&format!(
        "link add a0 mtu {a} type veth peer name a1 mtu {a} netns {}",
        between.thread
    ));
    for words in [
        "link set a0 up",
        "addr add 10.9.0.1/24 dev a0",
        "addr add fd09::1/64 dev a0 nodad",
        "route add 10.8.0.0/24 via 10.9.0.2",
        "route add fd08::/64 via fd09::2",
    ] {
        ip(words);
    }
    lay(&between, &far, v6, b);
    (between, far)
}

impl Paths {
    fn new(v6: bool, offload: bool) -> Self {
        // IPv6 needs 1280.
        let [a, b] = if v6 { [1400, 1280] } else { [1280, 576] };
        let device = Tap::builder().name("nl0").offload(offload);
        let device = device.kernel_address(cidr("10.7.0.1/24"));
        let device = device.kernel_address(cidr("fd07::1/64")).open().unwrap();
        let (between, far) = lay_all(v6, [a, b]);
        let host = Host::builder(device)
            .address(cidr("10.7.0.2/24"))
            .address(cidr("fd07::2/64"))
            .gateway("10.7.0.1".parse().unwrap())
            .gateway("fd07::1".parse().unwrap())
            .dad_transmits(0)
            .spawn()
            .unwrap();
        host.wait_ready(PATIENCE).unwrap();
        let [ours, at] = if v6 {
            ["fd07::2", "fd08::2"]
        } else {
            ["10.7.0.2", "10.8.0.2"]
        };
        Self {
            host,
            far,
            between,
            at: at.parse().unwrap(),
            ours: ours.parse().unwrap(),
            mtu: b,
        }
    }

    /// A connection between both ends, opened by the far one if `inward`.
    fn connected(&self, inward: bool) -> (OurStream, TcpStream) {
        let at = self.at;
        if inward {
            let listener = self.host.tcp_listen((self.ours, 0)).unwrap();
            let to = listener.local_addr().unwrap();
            let theirs = self.far.run(move || kernel_connect(to));
            (our_accept(&listener), theirs)
        } else {
            let listener = self.far.run(move || TcpListener::bind((at, 0)).unwrap());
            let ours = our_connect(&self.host, listener.local_addr().unwrap());
            (ours, kernel_accept(&listener))
        }
    }
}

/// Covers: IC4-15: requests with few hops are answered by the routers on the way, as a traceroute asks them.
fn hops_are_told() {
    for (v6, hops) in [
        (false, ["10.7.0.1", "10.9.0.2", "10.8.0.2"]),
        (true, ["fd07::1", "fd09::2", "fd08::2"]),
    ] {
        Place::new().run(move || {
            ip("link set lo up");
            let paths = Paths::new(v6, false);
            let socket = paths.host.ping_socket().unwrap();
            for (hop, ttl) in hops.into_iter().zip(1..) {
                let info = SendInfo::new().ttl(ttl);
                socket.send_with(paths.at, ttl.into(), 8, &info).unwrap();
                let reply = socket.recv(PATIENCE).unwrap().reply;
                let outcome = match ttl {
                    3 => PingOutcome::Reply,
                    _ => PingOutcome::TimeExceeded,
                };
                let told = (reply.from, reply.seq, reply.outcome);
                assert_eq!(told, (hop.parse().unwrap(), ttl.into(), outcome));
            }
        });
    }
}

const HEADERS: [usize; 2] = [20 + 20 + 12, 40 + 20 + 12];

/// This namespace's errors find no way to who is to hear them; its neighbours' questions go by no route.
fn hush() {
    ip("rule add pref 10 ipproto icmp to 10.7.0.0/24 blackhole");
    ip("-6 rule add pref 10 ipproto ipv6-icmp to fd07::/64 blackhole");
}

/// Covers: PMT-2, PMT-9, PMT-10. Both ways at once, whoever opened it: each narrow hop is learned from the router before it,
/// once, and nothing waits for a time-out.
fn tcp_both_ways() {
    for (v6, offload) in [(false, true), (true, true), (false, false), (true, false)] {
        // A namespace of its own for each: what is learned lasts.
        Place::new().run(move || {
            ip("link set lo up");
            let paths = Paths::new(v6, offload);
            for inward in [false, true] {
                let (ours, theirs) = paths.connected(inward);
                exchange(&ours, &theirs);
                let mss = usize::try_from(ours.info().unwrap().snd_mss).unwrap();
                assert_eq!(mss, paths.mtu - HEADERS[usize::from(v6)], "{inward}");
            }
            let counters = paths.host.counters();
            assert_eq!(counters.path_mtu_lowered, 2, "v6 {v6}, offload {offload}");
        });
    }
}

/// Reads `len` bytes of what [`silent_hops`] sends; returns the longest time without any.
fn longest_wait(theirs: &TcpStream, len: usize) -> Duration {
    let (mut got, mut last, mut longest) = (0, Instant::now(), Duration::ZERO);
    let mut buffer = vec![0; 1 << 16];
    while got < len {
        let count = (&*theirs).read(&mut buffer).unwrap();
        assert!(count > 0, "{got} of {len}");
        let expected = (got..got + count).map(|n| (n % 251) as u8);
        assert!(buffer[..count].iter().copied().eq(expected));
        got += count;
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    longest
}

/// Covers: PMT-18. The same hops, and routers that say nothing: 20 MB get through, whoever opened, and no start waits for longer than 3
/// seconds; the next connection knows what the first one found.
fn silent_hops() {
    const BYTES: usize = 20_000_000;
    for (v6, offload) in [(false, true), (true, true), (false, false), (true, false)] {
        Place::new().run(move || {
            ip("link set lo up");
            let paths = Paths::new(v6, offload);
            // All know their neighbours by then.
            drop(paths.connected(false));
            hush();
            paths.between.run(hush);
            let at = paths.at;
            for inward in [false, true] {
                let (ours, theirs) = paths.connected(inward);
                let wait = thread::scope(|scope| {
                    scope.spawn(|| {
                        let data: Vec<u8> = (0..BYTES).map(|n| (n % 251) as u8).collect();
                        (&ours).write_all(&data).unwrap();
                    });
                    longest_wait(&theirs, BYTES)
                });
                let what = format!("v6 {v6}, offload {offload}, inward {inward}: {wait:?}");
                assert!(wait < Duration::from_secs(3), "{what}");
                if inward {
                    assert!(wait < Duration::from_millis(600), "it knew: {what}");
                }
                let mss = usize::try_from(ours.info().unwrap().snd_mss).unwrap();
                assert!(mss <= paths.mtu - HEADERS[usize::from(v6)], "{what}");
            }
            let counters = paths.host.counters();
            assert_eq!(counters.path_mtu_lowered, 0, "nobody said so to {at}");
            assert_eq!(counters.tcp_black_holes, 1, "v6 {v6}, offload {offload}");
        });
    }
}

/// Covers: PMT-2, PMT-8. Each router says so once, and is heard: the datagram that arrives is one that fits.
fn datagrams() {
    for v6 in [false, true] {
        Place::new().run(move || {
            ip("link set lo up");
            let paths = Paths::new(v6, true);
            let at = paths.at;
            let theirs = paths.far.run(move || UdpSocket::bind((at, 0)).unwrap());
            theirs.set_read_timeout(Some(PATIENCE)).unwrap();
            let to: SocketAddr = theirs.local_addr().unwrap();
            let ours = paths.host.udp_bind((paths.ours, 0)).unwrap();
            ours.set_read_timeout(Some(PATIENCE)).unwrap();
            ours.connect(to).unwrap();
            let headers = if v6 { 48 } else { 28 };
            let mut len = 1500 - headers;
            while paths.host.counters().path_mtu_lowered < 2 {
                ours.send(&vec![0; len]).unwrap();
                let told = ours.recv_datagram().unwrap_err();
                assert_eq!(told.kind(), ErrorKind::InvalidInput, "{told}");
                len = if v6 { 1400 } else { 1280 } - headers;
            }
            len = paths.mtu - headers;
            ours.send(&vec![7; len]).unwrap();
            let mut got = [0; 2000];
            assert_eq!(theirs.recv(&mut got).unwrap(), len);
        });
    }
}
