//! A host on a link that it knows nothing of, on which somebody speaks as a router.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::thread;
use std::time::Instant as Clock;

use netloom::Instant;
use netloom::base::MacAddr;
use netloom::device::{Device, Medium, PairTx, Sent, Transmit, pair};
use netloom::host::Host;
use netloom::ipv6::icmp::Message as Icmpv6;
use netloom::ipv6::ndp::{Message, NdpOption, Options, RouterFlags};
use netloom::link::{TxFrame, TxMeta};
use netloom::stack::AddressState;

use super::{LONG, SHORT};

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// 2001:db8:1::/64, on the link, for addresses, for ever (RFC 4861 §4.6.2).
const PREFIX: [u8; 32] = [
    3, 4, 64, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8,
    0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// A router says that these are DNS servers for so many seconds.
fn speak(tx: &mut PairTx, servers: &[Ipv6Addr], lifetime: u32) {
    let servers: Vec<[u8; 16]> = servers.iter().map(Ipv6Addr::octets).collect();
    let mut options = PREFIX.to_vec();
    let servers = &servers[..];
    NdpOption::RecursiveDns { lifetime, servers }.emit(&mut options);
    let message = Icmpv6::Ndp(Message::RouterAdvertisement {
        hop_limit: 64,
        flags: RouterFlags::empty(),
        lifetime: 1800,
        reachable_time: 0,
        retrans_timer: 0,
        options: Options::new(&options),
    });
    let mut body = vec![0; message.len()];
    message.emit(ROUTER, ALL_NODES, &mut body);
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, len[0], len[1], 58, 255]);
    frame.extend(ROUTER.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(body);
    let sent = tx.transmit(Instant::ZERO, &TxFrame::new(&frame, &[], TxMeta::PLAIN));
    assert_eq!(sent.unwrap(), Sent::Taken);
}

fn at(server: &str) -> SocketAddr {
    SocketAddr::new(server.parse().unwrap(), 53)
}

/// Waits until the host asks these.
#[track_caller]
fn asks(host: &Host, wanted: &[SocketAddr]) {
    let begun = Clock::now();
    while host.dns_servers() != wanted {
        assert!(
            begun.elapsed() < LONG,
            "{:?}, {wanted:?}",
            host.dns_servers()
        );
        thread::yield_now();
    }
}

/// No DHCP server is there: IPv6 alone makes the host ready; the routers' DNS servers are asked as long as they say so,
/// and none of them where the user gave one.
#[test]
fn what_a_router_says_is_enough() {
    let (near, far) = pair(Medium::Ethernet, 1500);
    let (_rx, mut tx) = far.split();
    let builder = Host::builder(near).auto().dad_transmits(0);
    let host = builder
        .mac(MacAddr::new([2, 0, 0, 0, 0, 1]))
        .spawn()
        .unwrap();
    let nobody = host.wait_ready(SHORT).unwrap_err().to_string();
    assert!(
        nobody.contains("neither a router nor a dhcp server"),
        "{nobody}"
    );
    let servers: [Ipv6Addr; 2] = ["fd00::53", "fe80::53"].map(|ip| ip.parse().unwrap());
    speak(&mut tx, &servers, 3600);
    host.wait_ready(LONG).unwrap();
    let made = host.addresses();
    let network = "2001:db8:1::/64".parse::<netloom::base::Cidr>().unwrap();
    let fits = |(cidr, state): &(netloom::base::Cidr, AddressState)| {
        network.contains(cidr.address()) && *state == AddressState::Preferred
    };
    assert!(made.iter().any(fits), "{made:?}");
    // The second one is on this link.
    let near = SocketAddr::V6(SocketAddrV6::new(servers[1], 53, 0, 1));
    asks(&host, &[at("fd00::53"), near]);
    host.set_dns_servers(&["10.0.0.9".parse::<IpAddr>().unwrap()])
        .unwrap();
    speak(&mut tx, &["fd00::54".parse().unwrap()], 3600);
    let begun = Clock::now();
    while host.told_dns_servers().len() < 3 {
        assert!(begun.elapsed() < LONG);
        thread::yield_now();
    }
    asks(&host, &[at("10.0.0.9")]);
    host.set_dns_servers(&[]).unwrap();
    asks(&host, &[at("fd00::53"), near, at("fd00::54")]);
    // RFC 8106 §5.1: no longer; and one second more.
    speak(&mut tx, &servers, 0);
    asks(&host, &[at("fd00::54")]);
    speak(&mut tx, &["fd00::54".parse().unwrap()], 1);
    asks(&host, &[]);
}
