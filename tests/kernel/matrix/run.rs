//! One combination: a host, a connection, senders that stop after a time, hashes.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant as Clock};

use netloom::base::{Cidr, Seed};
use netloom::bytes::Bytes;
use netloom::device::{
    Chance, Device, HostReceive, HostTransmit, Impair, Medium, Tap, Tun, WireConfig,
};
use netloom::host::{self, Host};
use nix::sys::socket::{setsockopt, sockopt};

use super::combos::{Combo, Direction};
use crate::link::{
    Hash, PATIENCE, kernel, kernel_accept, kernel_connect, kernel_counter, kernel_listener,
    our_accept, our_connect, our_listener, ours,
};
use crate::source::{BLOCK, Source};

/// What went one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) bytes: u64,
    /// From the first write until the receiver saw the end.
    pub(crate) took: Duration,
}

impl Flow {
    pub(crate) fn gigabits_per_sec(&self) -> f64 {
        self.bytes as f64 * 8e-9 / self.took.as_secs_f64().max(1e-9)
    }
}

/// A combination that passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) sent: Option<Flow>,
    pub(crate) received: Option<Flow>,
    /// Time-outs of retransmission timers: ours, the kernel's.
    pub(crate) timeouts: (u64, u64),
    /// Frames for us that found the device's queue full.
    pub(crate) overflow: u64,
}

impl Outcome {
    /// The rate of the slower direction.
    pub(crate) fn slowest(&self) -> f64 {
        let flows = self.sent.iter().chain(&self.received);
        flows.map(Flow::gigabits_per_sec).fold(f64::MAX, f64::min)
    }
}

/// Runs it in the calling thread's namespace, each sender for so long. Panics when bytes were lost or
/// changed, or a clean link needed a time-out; an error is the reason why it cannot run here.
pub(crate) fn run(combo: &Combo, sending: Duration) -> Result<Outcome, String> {
    let name = combo.congestion();
    let probe = TcpListener::bind("0.0.0.0:0").unwrap();
    if let Err(errno) = congestion(&probe, name) {
        return Err(format!("the kernel gives no {name}: {errno}"));
    }
    let host = host(combo);
    let (us, them) = connected(combo, &host);
    congestion(&them, name).unwrap();
    let start = Clock::now();
    let (we_send, they_send) = match combo.direction() {
        Direction::Send => (true, false),
        Direction::Receive => (false, true),
        Direction::Both => (true, true),
    };
    let until = start + sending;
    let (ours, theirs) = thread::scope(|scope| {
        let theirs = scope.spawn(|| Theirs(&them, &us).run(they_send, until));
        (Ours(&us).run(we_send, until), theirs.join().unwrap())
    });
    assert_eq!(ours.sent, theirs.received, "(hash, length) of what we sent");
    assert_eq!(theirs.sent, ours.received, "(hash, length) of what came");
    let flow = |(_, bytes): (u64, u64), end: Clock| Flow {
        bytes,
        took: end - start,
    };
    let outcome = Outcome {
        sent: we_send.then(|| flow(ours.sent, theirs.end)),
        received: they_send.then(|| flow(theirs.sent, ours.end)),
        timeouts: (
            host.counters().tcp_rto_fired,
            kernel_counter("netstat", "TcpExt:", "TCPTimeouts"),
        ),
        overflow: overflow(),
    };
    check(combo, &host, &outcome);
    Ok(outcome)
}

fn check(combo: &Combo, host: &Host, outcome: &Outcome) {
    let counters = host.counters();
    for flow in outcome.sent.iter().chain(&outcome.received) {
        assert!(flow.bytes >= BLOCK as u64, "{outcome:?}");
    }
    assert_eq!(
        counters.tcp_resets_sent + counters.tcp_resets_received,
        0,
        "{counters:?}"
    );
    if combo.loss() > 0 {
        return;
    }
    // Our window and our send buffer keep the queue from overflowing. Where nothing is lost nothing may
    // ever have waited for a time-out.
    assert_eq!(outcome.overflow, 0, "{counters:?}");
    assert_eq!(outcome.timeouts, (0, 0), "{counters:?}");
}

/// Frames that the kernel dropped because nobody had taken those before them.
fn overflow() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("nl0:"));
    // Eight numbers of what was received; sent: bytes, packets, errors, drops.
    let drops = line.unwrap().split_whitespace().nth(11);
    drops.unwrap().parse().unwrap()
}

/// Sets TCP_CONGESTION.
fn congestion(socket: &impl AsFd, name: &str) -> nix::Result<()> {
    setsockopt(socket, sockopt::TcpCongestion, &OsString::from(name))
}

/// A host on `nl0` with addresses of the combination's family only: v6 does not fit into 576 bytes.
fn host(combo: &Combo) -> Host {
    let kernel = cidr(kernel(combo.v6()));
    match combo.medium() {
        Medium::Ethernet => {
            let builder = Tap::builder().name("nl0").kernel_address(kernel);
            let builder = builder.mtu(combo.mtu()).offload(combo.offload());
            impaired(combo, builder.open().unwrap())
        }
        Medium::Ip => {
            let builder = Tun::builder().name("nl0").kernel_address(kernel);
            let builder = builder.mtu(combo.mtu()).offload(combo.offload());
            impaired(combo, builder.open().unwrap())
        }
    }
}

fn impaired<D>(combo: &Combo, device: D) -> Host
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    if combo.loss() == 0 {
        return spawn(combo, device);
    }
    let bad = WireConfig::perfect().loss(Chance::per_million(combo.loss() * 1000));
    let device = Impair::new(device, Seed::from_number(combo.number()));
    spawn(combo, device.sending(bad.clone()).receiving(bad))
}

fn spawn<D>(combo: &Combo, device: D) -> Host
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    assert_eq!(device.capabilities().mtu, combo.mtu() as usize);
    let builder = Host::builder(device).address(cidr(ours(combo.v6())));
    let host = builder.dad_transmits(0).spawn().unwrap();
    host.wait_ready(PATIENCE).unwrap();
    host
}

fn cidr(address: IpAddr) -> Cidr {
    let prefix = if address.is_ipv4() { 24 } else { 64 };
    Cidr::new(address, prefix).unwrap()
}

/// Who sends opens; with both, the family decides.
fn connected(combo: &Combo, host: &Host) -> (host::TcpStream, TcpStream) {
    let v6 = combo.v6();
    let outward = match combo.direction() {
        Direction::Send => true,
        Direction::Receive => false,
        Direction::Both => v6,
    };
    if outward {
        let (listener, at) = kernel_listener(v6);
        congestion(&listener, combo.congestion()).unwrap();
        let ours = our_connect(host, at);
        (ours, kernel_accept(&listener))
    } else {
        let (listener, at) = our_listener(host, v6);
        let theirs = kernel_connect(at);
        (our_accept(&listener), theirs)
    }
}

/// What one end saw: (hash, length) each way, and when the other's end came.
struct Seen {
    sent: (u64, u64),
    received: (u64, u64),
    end: Clock,
}

/// One end of the connection.
trait End: Copy + Send + Sync {
    /// Writes this block, the `number`th.
    fn write(self, number: usize, block: &[u8]);
    /// Reads something, the `number`th time; `false` at the end.
    fn read(self, number: usize, buf: &mut [u8], hash: &mut Hash) -> bool;
    fn finish(self);

    /// Writes until that time if it `sends`, reads to the end; who does not send ends after that.
    fn run(self, sends: bool, until: Clock) -> Seen {
        thread::scope(|scope| {
            let sender = sends.then(|| scope.spawn(move || self.send(until)));
            let (mut buf, mut hash) = (vec![0; BLOCK], Hash::default());
            let mut number = 0;
            while self.read(number, &mut buf, &mut hash) {
                number += 1;
            }
            let end = Clock::now();
            let sent = match sender {
                Some(sender) => sender.join().unwrap(),
                None => {
                    self.finish();
                    Hash::default().finish()
                }
            };
            let received = hash.finish();
            Seen {
                sent,
                received,
                end,
            }
        })
    }

    fn send(self, until: Clock) -> (u64, u64) {
        let (mut source, mut hash) = (Source::new(u64::MAX), Hash::default());
        let mut number = 0;
        while Clock::now() < until {
            let block = source.next().expect("it never ends");
            hash.update(block);
            self.write(number, block);
            number += 1;
        }
        self.finish();
        hash.finish()
    }
}

/// Our end: with and without a copy in turn.
#[derive(Clone, Copy)]
struct Ours<'a>(&'a host::TcpStream);

impl Ours<'_> {
    fn failed(self, error: &std::io::Error) -> ! {
        let late = self
            .0
            .set_nonblocking(true)
            .and_then(|()| self.0.read_chunk(usize::MAX));
        let late = late.map(|chunk| chunk.len());
        panic!("{error}; a read after that: {late:?}; {:?}", self.0.info());
    }
}

impl End for Ours<'_> {
    fn write(self, number: usize, block: &[u8]) {
        let mut stream = self.0;
        if number.is_multiple_of(2) {
            let written = stream.write_all(block);
            written.unwrap_or_else(|error| self.failed(&error));
        } else {
            let written = stream.write_all_chunk(Bytes::copy_from_slice(block));
            written.unwrap_or_else(|error| self.failed(&error));
        }
    }

    fn read(self, number: usize, buf: &mut [u8], hash: &mut Hash) -> bool {
        if number.is_multiple_of(2) {
            let len = self.0.recv(buf).unwrap_or_else(|error| self.failed(&error));
            hash.update(&buf[..len]);
            len > 0
        } else {
            let chunk = self.0.read_chunk(usize::MAX);
            let chunk = chunk.unwrap_or_else(|error| self.failed(&error));
            hash.update(&chunk);
            !chunk.is_empty()
        }
    }

    fn finish(self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }
}

/// The kernel's end, and ours, which is asked when this one waits in vain.
#[derive(Clone, Copy)]
struct Theirs<'a>(&'a TcpStream, &'a host::TcpStream);

impl Theirs<'_> {
    /// Says what our end knows: how far it came, its RTO and back-off.
    fn failed(self, what: &str, number: usize, error: &std::io::Error) -> ! {
        let info = self.1.info();
        panic!("the kernel's {what} number {number}: {error}; our end: {info:?}");
    }
}

impl End for Theirs<'_> {
    fn write(self, number: usize, block: &[u8]) {
        let mut stream = self.0;
        let written = stream.write_all(block);
        written.unwrap_or_else(|error| self.failed("write", number, &error));
    }

    fn read(self, number: usize, buf: &mut [u8], hash: &mut Hash) -> bool {
        let mut stream = self.0;
        let len = stream.read(buf);
        let len = len.unwrap_or_else(|error| self.failed("read", number, &error));
        hash.update(&buf[..len]);
        len > 0
    }

    fn finish(self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }
}
