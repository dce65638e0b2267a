//! Two ends with one address, as on the loopback: each gets an address of its own.
//!
//! *Owns* the addresses that stand in, and which packet is told apart by its ports. *Does not* feed anything. A stack
//! takes no packet from its own address, nor from the loopback's (RFC 1122 §3.2.1.3).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::link::Packet;
use super::packet::{Body, Content, Icmp, Ip, read};
use super::rewrite;

/// The first address of those for documentation (RFC 5737 §3, RFC 3849 §2), which no host has: of those that are fed.
pub(super) const fn theirs(is_v6: bool) -> IpAddr {
    stands_in(is_v6, 1)
}

/// The next: of the stack.
pub(super) const fn ours(is_v6: bool) -> IpAddr {
    stands_in(is_v6, 2)
}

const fn stands_in(is_v6: bool, host: u8) -> IpAddr {
    if is_v6 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host as u16))
    } else {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
    }
}

/// How both ends are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Apart {
    /// One of them.
    pub(super) socket: SocketAddr,
    /// Is it the one that is fed?
    pub(super) is_fed: bool,
}

impl Apart {
    /// Puts the addresses in that stand for both ends, when it is between two with one address.
    pub(super) fn tell(&self, packet: &mut Packet, content: Content) -> Content {
        let Content::Ip(ip) = &content else {
            return content;
        };
        let is_local = ip.src == ip.dst || (ip.src.is_loopback() && ip.dst.is_loopback());
        let sends = self.sends(packet, ip).filter(|_| is_local);
        let Some(sends) = sends else { return content };
        let is_v6 = ip.src.is_ipv6();
        let ends = match sends == self.is_fed {
            true => (theirs(is_v6), ours(is_v6)),
            false => (ours(is_v6), theirs(is_v6)),
        };
        let mut bytes = packet.data.to_vec();
        rewrite::readdress(&mut bytes, ip, ends, packet.is_cut);
        (packet.data, packet.is_apart) = (bytes.into(), true);
        read(packet)
    }

    /// Did the socket send it, or was it sent to it? `None`: neither, or both.
    fn sends(&self, packet: &Packet, ip: &Ip) -> Option<bool> {
        let one_of = |(from, to): (SocketAddr, SocketAddr)| {
            let (sent, got) = (from == self.socket, to == self.socket);
            (sent != got).then_some(sent)
        };
        let (Body::Icmp(Icmp::Error), Some((_, range))) = (&ip.body, &ip.transport) else {
            return ip.ends().and_then(one_of);
        };
        // Whoever sent what is quoted is told.
        let quote = packet.data.get(range.start + 8..range.end);
        let (quoted, ..) = quote.and_then(rewrite::quoted_ends)?;
        one_of(quoted).map(|sent| !sent)
    }
}
