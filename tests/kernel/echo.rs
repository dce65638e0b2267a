//! Ping both ways.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant as Clock};

use netloom::base::checksum::checksum;
use netloom::host::Host;
use netloom::stack::PingOutcome;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::Test;
use crate::link::{KERNEL_LINK_LOCAL, Link, PATIENCE, kernel, ours};

pub(crate) const TESTS: &[Test] = &[
    ("echo::the_kernel_answers_us", the_kernel_answers),
    ("echo::we_answer_the_kernel", we_answer),
    ("echo::nobody_answers_for_an_absent_host", nobody_answers),
];

/// One echo request from the kernel's side with `len` bytes of payload, by a raw socket.
pub(crate) fn kernel_ping(to: IpAddr, seq: u16, len: usize) -> io::Result<Duration> {
    let (family, protocol, kind, reply) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8, 0),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let fd: OwnedFd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(2, 0))?;
    let mut request = vec![kind, 0, 0, 0, 0x6e, 0x6c];
    request.extend(seq.to_be_bytes());
    request.extend((0..len).map(|at| at as u8));
    if to.is_ipv4() {
        // The kernel fills ICMPv6's checksum, not ICMPv4's.
        let sum = checksum(&request).to_be_bytes();
        request[2..4].copy_from_slice(&sum);
    }
    let address = match to {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddr::from(SocketAddrV6::new(ip, 0, 0, if_nametoindex("nl0")?))
        }
        _ => SocketAddr::new(to, 0),
    };
    let sent = Clock::now();
    let address = SockaddrStorage::from(address);
    sendto(fd.as_raw_fd(), &request, &address, MsgFlags::empty())?;
    let mut buf = vec![0; 65536];
    while sent.elapsed() < PATIENCE {
        let got = recv(fd.as_raw_fd(), &mut buf, MsgFlags::empty())?;
        // A raw IPv4 socket gives the IP header as well.
        let start = if to.is_ipv4() {
            usize::from(buf[0] & 0xf) * 4
        } else {
            0
        };
        let message = buf.get(start..got).unwrap_or(&[]);
        if message.first() == Some(&reply) && message.get(4..) == Some(&request[4..]) {
            return Ok(sent.elapsed());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The host's link-local address.
pub(crate) fn our_link_local(host: &Host) -> Option<Ipv6Addr> {
    host.addresses()
        .iter()
        .find_map(|(cidr, _)| match cidr.address() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(ip),
            _ => None,
        })
}

/// Payload sizes: none but the send time, the usual, the largest that one packet holds, and in fragments one more, and
/// the largest that IPv4 has.
const fn sizes(v6: bool) -> [usize; 5] {
    let edge = if v6 { 1452 } else { 1472 };
    [8, 56, edge, edge + 1, 65_507]
}

/// Covers: IC4-21, IC4-22, IC6-16.
fn the_kernel_answers() {
    for link in Link::ALL {
        let host = link.host();
        let link_local = our_link_local(&host).map(|_| KERNEL_LINK_LOCAL.into());
        for to in [kernel(false), kernel(true)].into_iter().chain(link_local) {
            let socket = host.ping_socket().unwrap();
            for (seq, len) in sizes(to.is_ipv6()).into_iter().enumerate() {
                socket.send(to, seq as u16, len).unwrap();
                let pong = socket.recv(PATIENCE).unwrap();
                assert_eq!(pong.reply.outcome, PingOutcome::Reply, "{link:?} {to}");
                assert_eq!(pong.reply.from, to);
                assert_eq!(
                    (pong.reply.seq, pong.reply.payload.len()),
                    (seq as u16, len)
                );
                assert!(pong.rtt.is_some_and(|rtt| rtt < Duration::from_secs(1)));
            }
            // Several under way at once.
            for seq in 100..110 {
                socket.send(to, seq, 56).unwrap();
            }
            let mut seen: Vec<u16> = (0..10)
                .map(|_| socket.recv(PATIENCE).unwrap().reply.seq)
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (100..110).collect::<Vec<u16>>());
        }
    }
}

/// Covers: IC4-17, IC4-19, IC4-20, IC6-13, IC6-14.
fn we_answer() {
    for link in Link::ALL {
        let host = link.host();
        let link_local = our_link_local(&host).map(IpAddr::from);
        for to in [ours(false), ours(true)].into_iter().chain(link_local) {
            for (seq, len) in sizes(to.is_ipv6()).into_iter().enumerate() {
                kernel_ping(to, seq as u16, len)
                    .unwrap_or_else(|error| panic!("{link:?} {to} {len} bytes: {error}"));
            }
        }
        let answered = host.counters().echo_replies_sent;
        assert!(answered >= 6, "{answered} replies counted");
    }
}

fn nobody_answers() {
    let host = Link::TAP.host();
    for to in ["10.7.0.99", "fd07::99"] {
        let pong = host.ping(to.parse().unwrap(), PATIENCE).unwrap();
        assert_eq!(pong.reply.outcome, PingOutcome::NoNeighbour, "{to}");
    }
    assert_eq!(host.counters().neighbours_failed, 2);
}
