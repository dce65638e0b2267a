//! A netloom host and the kernel at the two ends of a link, and what tests of both need.

use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant as Clock, UNIX_EPOCH};

use netloom::base::{Cidr, Seed};
use netloom::capture::RecordingSettings;
use netloom::device::{
    Chance, Coalesce, Device, Displacement, HostReceive, HostTransmit, Impair, Medium, Tap, Tun,
    WireConfig,
};
use netloom::host::{self, Host, HostBuilder};
use nix::sys::socket::{setsockopt, sockopt};

/// What no single step waits longer for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

const KERNEL: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 1)),
];
const OURS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 7, 0, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 2)),
];
/// The kernel's link-local address; ours is formed from the MAC address.
pub(crate) const KERNEL_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The kernel's address.
pub(crate) fn kernel(v6: bool) -> IpAddr {
    KERNEL[usize::from(v6)]
}

/// The host's address.
pub(crate) fn ours(v6: bool) -> IpAddr {
    OURS[usize::from(v6)]
}

/// How segments become frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offload {
    /// By the kernel: super-segments both ways.
    Full,
    /// By software on the way out; none on the way in.
    None,
    /// By software both ways.
    Coalesced,
    /// By software on the way out, and the link is bad both ways.
    Impaired,
}

/// The kind of link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) medium: Medium,
    pub(crate) offload: Offload,
}

/// What a host writes of its run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Written<'a> {
    Nowhere,
    Capture(&'a Path),
    /// With payload or without.
    Record(&'a Path, bool),
}

impl Link {
    pub(crate) const TAP: Self = Self::new(Medium::Ethernet, Offload::Full);
    pub(crate) const TUN: Self = Self::new(Medium::Ip, Offload::Full);
    /// TAP and TUN, with and without offload.
    pub(crate) const ALL: [Self; 4] = [
        Self::TAP,
        Self::TUN,
        Self::new(Medium::Ethernet, Offload::None),
        Self::new(Medium::Ip, Offload::None),
    ];

    pub(crate) const fn new(medium: Medium, offload: Offload) -> Self {
        Self { medium, offload }
    }

    /// As part of a test's name.
    pub(crate) fn name(self) -> String {
        let medium = match self.medium {
            Medium::Ethernet => "tap",
            Medium::Ip => "tun",
        };
        let offload = match self.offload {
            Offload::Full => "offload",
            Offload::None => "plain",
            Offload::Coalesced => "coalesced",
            Offload::Impaired => "impaired",
        };
        format!("{medium}_{offload}")
    }

    /// A host on `nl0`, its addresses usable, and the kernel's too.
    pub(crate) fn host(self) -> Host {
        self.host_with(None)
    }

    /// The same with a capture.
    pub(crate) fn host_with(self, capture: Option<&Path>) -> Host {
        self.host_written(capture.map_or(Written::Nowhere, Written::Capture))
    }

    /// The same with what it says of its run.
    pub(crate) fn host_written(self, capture: Written<'_>) -> Host {
        let offload = self.offload == Offload::Full;
        match self.medium {
            Medium::Ethernet => {
                let mut builder = Tap::builder().name("nl0").offload(offload);
                for address in kernel_addresses() {
                    builder = builder.kernel_address(address);
                }
                self.spawn(builder.open().unwrap(), capture)
            }
            Medium::Ip => {
                let mut builder = Tun::builder().name("nl0").offload(offload);
                for address in kernel_addresses() {
                    builder = builder.kernel_address(address);
                }
                self.spawn(builder.open().unwrap(), capture)
            }
        }
    }

    fn spawn<D>(self, device: D, capture: Written<'_>) -> Host
    where
        D: Device,
        D::Rx: HostReceive,
        D::Tx: HostTransmit,
    {
        match self.offload {
            Offload::Coalesced => start(Host::builder(Coalesce::new(device)), capture),
            Offload::Impaired => {
                let device = Impair::new(device, Seed::from_number(1));
                let device = device.sending(bad()).receiving(bad());
                start(Host::builder(device), capture)
            }
            Offload::Full | Offload::None => start(Host::builder(device), capture),
        }
    }
}

/// Everything that a wire does, one frame in a hundred lost.
fn bad() -> WireConfig {
    let often = Chance::per_million(2000);
    WireConfig::perfect()
        .loss(Chance::percent(1))
        .duplication(often)
        .corruption(often)
        .reordering(often, Displacement::Time(Duration::from_millis(1)))
        .delay(Duration::from_micros(300))
}

fn start<D>(builder: HostBuilder<D>, capture: Written<'_>) -> Host
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let mut builder = builder
        .address(cidr(ours(false), 24))
        .address(cidr(ours(true), 64))
        .dad_transmits(0);
    builder = match capture {
        Written::Nowhere => builder,
        Written::Capture(path) => builder.capture(path),
        Written::Record(path, payload) => {
            // Unoptimized and beside other tests a disk may be slow.
            let settings = RecordingSettings::new(UNIX_EPOCH).queue(1 << 30);
            builder.record_with(path, settings.payload(payload))
        }
    };
    let host = builder.spawn().unwrap();
    host.wait_ready(PATIENCE).unwrap();
    host
}

fn kernel_addresses() -> [Cidr; 3] {
    [
        cidr(kernel(false), 24),
        cidr(kernel(true), 64),
        cidr(KERNEL_LINK_LOCAL.into(), 64),
    ]
}

fn cidr(address: IpAddr, prefix: u8) -> Cidr {
    Cidr::new(address, prefix).unwrap()
}

/// Linux's congestion control: a pacing one is held back where there is no fq queue.
fn use_cubic(socket: &impl AsFd) {
    // Where CUBIC is missing the default does.
    let _ = setsockopt(socket, sockopt::TcpCongestion, &OsString::from("cubic"));
}

/// A listener of the kernel's.
pub(crate) fn kernel_listener(v6: bool) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((kernel(v6), 0)).unwrap();
    use_cubic(&listener);
    let at = listener.local_addr().unwrap();
    (listener, at)
}

/// A connection of the kernel's to `to`.
pub(crate) fn kernel_connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
    use_cubic(&stream);
    patient(stream)
}

pub(crate) fn kernel_accept(listener: &TcpListener) -> TcpStream {
    patient(listener.accept().unwrap().0)
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A UDP socket of the kernel's.
pub(crate) fn kernel_udp(on: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(on).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A listener of the host's.
pub(crate) fn our_listener(host: &Host, v6: bool) -> (host::TcpListener, SocketAddr) {
    let listener = host.tcp_listen((ours(v6), 0)).unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

/// A connection of the host's to `to`.
pub(crate) fn our_connect(host: &Host, to: SocketAddr) -> host::TcpStream {
    let stream = host.tcp_connect_timeout(to, PATIENCE).unwrap();
    our_patience(stream)
}

pub(crate) fn our_accept(listener: &host::TcpListener) -> host::TcpStream {
    let stream = listener.receiver().recv_timeout(PATIENCE);
    our_patience(stream.expect("a connection within the time"))
}

fn our_patience(stream: host::TcpStream) -> host::TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection in each direction of opening: ours, the kernel's. `inward` is opened by the kernel.
pub(crate) fn connected(host: &Host, v6: bool, inward: bool) -> (host::TcpStream, TcpStream) {
    if inward {
        let (listener, at) = our_listener(host, v6);
        let theirs = kernel_connect(at);
        (our_accept(&listener), theirs)
    } else {
        let (listener, at) = kernel_listener(v6);
        let ours = our_connect(host, at);
        (ours, kernel_accept(&listener))
    }
}

/// Waits until `done`, which nothing announces; fails with `what` after `within`.
pub(crate) fn eventually(what: &str, within: Duration, mut done: impl FnMut() -> bool) {
    let until = Clock::now() + within;
    while !done() {
        assert!(Clock::now() < until, "not within {within:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A TCP counter of the kernel's in this namespace, from `snmp` or `netstat`.
pub(crate) fn kernel_counter(file: &str, group: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split_whitespace().position(|word| word == name);
    let value = values.split_whitespace().nth(at.unwrap()).unwrap();
    value.parse().unwrap()
}

/// A hash of a byte stream, whatever pieces it comes in: words folded in by multiplication.
#[derive(Debug, Default)]
pub(crate) struct Hash {
    state: u64,
    len: u64,
    tail: [u8; 8],
}

impl Hash {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        let waiting = (self.len % 8) as usize;
        self.len += bytes.len() as u64;
        if waiting > 0 {
            let taken = bytes.len().min(8 - waiting);
            self.tail[waiting..waiting + taken].copy_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if waiting + taken < 8 {
                return;
            }
            self.fold(u64::from_le_bytes(self.tail));
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        self.tail[..rest.len()].copy_from_slice(rest);
    }

    fn fold(&mut self, word: u64) {
        self.state = (self.state ^ word)
            .wrapping_mul(Self::FACTOR)
            .rotate_left(29);
    }

    /// The hash and the length.
    pub(crate) fn finish(mut self) -> (u64, u64) {
        let rest = (self.len % 8) as usize;
        self.tail[rest..].fill(0);
        self.fold(u64::from_le_bytes(self.tail));
        (self.state, self.len)
    }
}
