//! Packets that bring their own IP header.
//!
//! raw(7) of Linux, `IP_HDRINCL`. *Owns* what is filled into such a header, and what of it is refused. *Does not* look at
//! options or extension headers: these are the user's.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::options::RawOptions;
use crate::base::Protocol;
use crate::base::checksum::checksum;
use crate::stack::ids::{InterfaceId, RawSocketId};
use crate::stack::net::Net;
use crate::stack::packet::{OwnedPacket, Owner};
use crate::stack::path::RouteError;
use crate::stack::udp::{SendError, SendInfo};
use crate::{ipv4, ipv6};

/// IPv4's fields, from the start of the header.
mod v4 {
    pub(super) const TOTAL_LENGTH: usize = 2;
    pub(super) const IDENTIFICATION: usize = 4;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const CHECKSUM: usize = 10;
    pub(super) const SOURCE: usize = 12;
}

/// IPv6's.
mod v6 {
    pub(super) const PAYLOAD_LENGTH: usize = 4;
    pub(super) const SOURCE: usize = 8;
}

/// What a header of a user's says.
struct Said {
    src: IpAddr,
    dst: IpAddr,
    /// Bytes of the header, IPv4's options with it.
    header_len: usize,
}

impl RawOptions {
    /// A packet with the header that it begins with, filled in, and the interface that it leaves by.
    pub(super) fn whole(
        &self,
        net: &mut Net,
        id: RawSocketId,
        to: Option<IpAddr>,
        data: &Bytes,
        info: &SendInfo,
    ) -> Result<(InterfaceId, OwnedPacket), SendError> {
        let said = self.read(data)?;
        let to = to.or(self.peer).unwrap_or(said.dst);
        let (mut flow, route) = self.flow_to(net, to, info)?;
        // Whoever it is handed to: who hears it is what the header says.
        self.check_broadcast(net, route.on, said.dst)?;
        let max = net.interfaces[route.on.index()].mtu_to(to);
        let len = data.len();
        if len > max {
            return Err(SendError::TooBig { len, max });
        }
        let ours = net.takes(said.src, Some(route.on)) || net.is_within(route.on, said.src);
        let src = match said.src {
            none if none.is_unspecified() => flow.src,
            src if ours || self.any_source => src,
            foreign => return Err(RouteError::Source(foreign).into()),
        };
        // Of an address that is not ours nobody says when it goes.
        if ours {
            flow.src = src;
        }
        let mut packet = data.to_vec();
        match (src, said.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => fill_v4(net, &mut packet, (src, dst), &said),
            (IpAddr::V6(src), _) => fill_v6(&mut packet, src),
            _ => {}
        }
        let mut owned = OwnedPacket::new(flow, self.protocol(), &[], packet.into());
        owned.owner = Owner::Whole(id);
        Ok((route.on, owned))
    }

    /// Reads the header, of which the lengths may be left to the stack.
    fn read(&self, data: &[u8]) -> Result<Said, SendError> {
        let malformed = |why| Err(SendError::Malformed { why });
        if self.v6 {
            let Some(header) = data.get(..ipv6::HEADER_LEN) else {
                return malformed("it ends before its header does");
            };
            if header[0] >> 4 != 6 {
                return malformed("its header is not IPv6's");
            }
            let address = |at: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&header[at..at + 16]);
                IpAddr::V6(Ipv6Addr::from(octets))
            };
            return Ok(Said {
                src: address(v6::SOURCE),
                dst: address(v6::SOURCE + 16),
                header_len: ipv6::HEADER_LEN,
            });
        }
        let header_len = data.first().map_or(0, |first| usize::from(first & 0xf) * 4);
        let Some(header) = data.get(..header_len.max(ipv4::MIN_HEADER_LEN)) else {
            return malformed("it ends before its header does");
        };
        if header[0] >> 4 != 4 || header_len < ipv4::MIN_HEADER_LEN {
            return malformed("its header is not IPv4's");
        }
        let address = |at: usize| {
            let octets = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            IpAddr::V4(Ipv4Addr::from(octets))
        };
        Ok(Said {
            src: address(v4::SOURCE),
            dst: address(v4::SOURCE + 4),
            header_len,
        })
    }
}

fn fill_v4(net: &mut Net, packet: &mut [u8], (src, dst): (Ipv4Addr, Ipv4Addr), said: &Said) {
    let len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    put(packet, v4::TOTAL_LENGTH, len);
    packet[v4::SOURCE..v4::SOURCE + 4].copy_from_slice(&src.octets());
    if packet[v4::IDENTIFICATION..v4::IDENTIFICATION + 2] == [0, 0] {
        let protocol = Protocol(packet[v4::PROTOCOL]);
        let ends = (src.into(), dst.into());
        let drawn = net.identifications.draw(ends, protocol, 1);
        net.identifications.spend(&drawn);
        let [_, _, a, b] = drawn.first.to_be_bytes();
        put(packet, v4::IDENTIFICATION, u16::from_be_bytes([a, b]));
    }
    put(packet, v4::CHECKSUM, 0);
    let sum = checksum(&packet[..said.header_len]);
    put(packet, v4::CHECKSUM, sum);
}

fn fill_v6(packet: &mut [u8], src: Ipv6Addr) {
    let len = u16::try_from(packet.len() - ipv6::HEADER_LEN).unwrap_or(u16::MAX);
    put(packet, v6::PAYLOAD_LENGTH, len);
    packet[v6::SOURCE..v6::SOURCE + 16].copy_from_slice(&src.octets());
}

fn put(packet: &mut [u8], at: usize, word: u16) {
    packet[at..at + 2].copy_from_slice(&word.to_be_bytes());
}
