//! A bridge in the calling thread's namespace, its ports, and the station that floods it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::thread;
use std::time::{Duration, Instant as Clock};

use netloom::Instant;
use netloom::base::MacAddr;
use netloom::device::{Device, Receive, RxBatch, Tap, Transmit};
use netloom::host::{Host, HostBuilder};
use netloom::link::{TxFrame, TxMeta};

use super::attack::{Attacker, Flood, Target};
use super::common::ip;

pub(crate) const OURS: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
const OURS_V6: Ipv6Addr = Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 2);
const OUR_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
/// How long the attacker's own connection may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Frames that go out at once when the attacker is late.
const BURST: u64 = 500;

impl Flood {
    pub(crate) const ALL: [Self; 15] = [
        Self::Syn,
        Self::Arp,
        Self::Solicit,
        Self::Rst,
        Self::Ack,
        Self::OneByte,
        Self::Overlap,
        Self::Sack,
        Self::Icmp,
        Self::Udp,
        Self::Fragments,
        Self::Routers,
        Self::Redirects,
        Self::Leases,
        Self::Queries,
    ];

    /// Does it go over a connection of the attacker's?
    pub(crate) const fn connects(self) -> bool {
        matches!(self, Self::OneByte | Self::Overlap | Self::Sack)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::Arp => "arp_requests",
            Self::Solicit => "neighbour_solicitations",
            Self::Rst => "rst",
            Self::Ack => "ack",
            Self::OneByte => "one_byte_segments",
            Self::Overlap => "overlapping_segments",
            Self::Sack => "sack_blocks",
            Self::Icmp => "icmp_errors",
            Self::Udp => "udp_to_closed_ports",
            Self::Fragments => "fragments",
            Self::Routers => "router_advertisements",
            Self::Redirects => "redirects",
            Self::Leases => "leases",
            Self::Queries => "group_queries",
        }
    }
}

/// Makes a bridge with the kernel's address; fails where the kernel has none.
pub(crate) fn bridge() -> Result<(), String> {
    ip("link add br0 address 02:00:00:00:00:01 type bridge mcast_snooping 0")?;
    ip("addr add 10.7.0.1/8 dev br0")?;
    ip("addr add fd07::1/64 dev br0 nodad")?;
    // The kernel is no host of routers that nobody knows.
    std::fs::write("/proc/sys/net/ipv6/conf/br0/accept_ra", "0")
        .map_err(|error| format!("accept_ra of br0: {error}"))?;
    ip("link set br0 up")
}

/// A TAP on the bridge. The addresses of stations that do not exist are not learned.
pub(crate) fn port(name: &str, offload: bool) -> Result<Tap, String> {
    let tap = Tap::builder().name(name).offload(offload).open();
    let tap = tap.map_err(|error| error.to_string())?;
    ip(&format!("link set {name} master br0"))?;
    ip(&format!("link set {name} type bridge_slave learning off"))?;
    ip(&format!("link set {name} up"))?;
    Ok(tap)
}

/// A host on a port of the bridge, which answers everybody. It listens to what the flood is of.
pub(crate) fn host(port: Tap, flood: Option<Flood>) -> HostBuilder<Tap> {
    let builder = Host::builder(port)
        .mac(OUR_MAC)
        .address("10.7.0.2/8".parse().expect("a network"))
        .address("fd07::2/64".parse().expect("a network"))
        .gateway(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)))
        .dad_transmits(0);
    match flood {
        Some(Flood::Routers) => builder.router_discovery(),
        Some(Flood::Leases) => builder.dhcp(),
        _ => builder,
    }
}

/// The attacker of a host's listener, with a live flow to quote.
pub(crate) fn attacker(listener: SocketAddr, peer: SocketAddr) -> Attacker {
    Attacker::new(Target {
        mac: OUR_MAC,
        listener: v4(listener),
        v6: OURS_V6,
        peer: v4(peer),
    })
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(v4) => v4,
        SocketAddr::V6(_) => panic!("{address} is not an IPv4 address"),
    }
}

/// Sends a flood of `rate` frames per second from `tap` until `is_over`, which is told
/// for how long it goes on and how many frames there were; says how many there were.
pub(crate) fn attack(
    tap: Tap,
    mut attacker: Attacker,
    flood: Flood,
    rate: f64,
    is_over: impl Fn(Duration, u64) -> bool,
) -> u64 {
    let (mut rx, mut tx) = tap.split();
    let (mut batch, start) = (RxBatch::new(64), Clock::now());
    let now = || Instant::from_nanos(start.elapsed().as_nanos() as u64);
    let mut send = |frame: &[u8]| {
        let frame = TxFrame::new(frame, &[], TxMeta::PLAIN);
        // What the bridge does not take is lost, as on any wire.
        let _ = tx.transmit(now(), &frame).expect("the attacker's device");
    };
    let mut hear = |attacker: &mut Attacker, send: &mut dyn FnMut(&[u8])| {
        while rx
            .receive(now(), &mut batch)
            .expect("the attacker's device")
            > 0
        {
            for frame in batch.drain() {
                if let Some(answer) = attacker.heard(&frame.data) {
                    send(answer);
                }
            }
        }
    };
    while flood.connects() && !attacker.is_connected() {
        assert!(start.elapsed() < PATIENCE, "the attacker's connection");
        send(attacker.syn());
        thread::sleep(Duration::from_millis(5));
        hear(&mut attacker, &mut send);
    }
    let (start, mut due_before, mut sent) = (Clock::now(), 0, 0);
    while !is_over(start.elapsed(), sent) {
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        // What could not be sent in time is not made up for.
        for _ in due_before..due.min(due_before + BURST) {
            send(attacker.next(flood));
            sent += 1;
        }
        due_before = due;
        hear(&mut attacker, &mut send);
        thread::sleep(Duration::from_micros(100));
    }
    sent
}
