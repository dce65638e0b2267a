//! Between whom a frame goes, and what it is: for filters.
//!
//! *Does not* judge: what cannot be read is left out.

use core::net::IpAddr;

use super::{Decoder, Link};
use crate::base::Protocol;
use crate::ipv6::extension::Extension;
use crate::link::{EtherType, VlanTag, ethernet};
use crate::{arp, ipv4, ipv6};

/// VLAN tags that are looked behind.
const MAX_TAGS: usize = 4;

/// Between whom a frame goes, and what it is, as far as it can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flow {
    /// Which network protocol it carries.
    pub network: Option<Network>,
    /// The source address of the IP packet, or the sender's of the ARP packet.
    pub src: Option<IpAddr>,
    /// The destination address, or the target's.
    pub dst: Option<IpAddr>,
    /// The protocol behind the IP header and IPv6's extension headers.
    pub protocol: Option<Protocol>,
    /// The ports of TCP or UDP, source and destination; a later fragment has none.
    pub ports: Option<(u16, u16)>,
}

/// A network protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// ARP.
    Arp,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Decoder {
    /// Between whom a frame goes, and what it is.
    pub fn flow(&self, data: &[u8]) -> Flow {
        let flow = match self.link {
            Link::Ethernet => behind_ethernet(data),
            Link::Ip => by_version(data),
            Link::Loopback => data.get(4..).and_then(by_version),
            Link::LinuxSll => cooked(data, 14, 16),
            Link::LinuxSll2 => cooked(data, 0, 20),
            Link::Other(_) => None,
        };
        flow.unwrap_or_default()
    }
}

fn behind_ethernet(data: &[u8]) -> Option<Flow> {
    let (header, mut payload) = ethernet::Header::parse(data).ok()?;
    let mut ether_type = header.ether_type();
    for _ in 0..MAX_TAGS {
        if !matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) {
            break;
        }
        let (_, inner, rest) = VlanTag::parse(payload)?;
        (ether_type, payload) = (inner, rest);
    }
    network(ether_type, payload)
}

fn cooked(data: &[u8], at: usize, len: usize) -> Option<Flow> {
    let ether_type = data.get(at..)?.first_chunk()?;
    network(EtherType(u16::from_be_bytes(*ether_type)), data.get(len..)?)
}

fn network(ether_type: EtherType, payload: &[u8]) -> Option<Flow> {
    match ether_type {
        EtherType::IPV4 => v4(payload),
        EtherType::IPV6 => v6(payload),
        EtherType::ARP => Some(arp(payload)),
        _ => None,
    }
}

fn by_version(data: &[u8]) -> Option<Flow> {
    match data.first()? >> 4 {
        4 => v4(data),
        6 => v6(data),
        _ => None,
    }
}

fn arp(data: &[u8]) -> Flow {
    let packet = arp::Packet::parse(data).ok();
    Flow {
        network: Some(Network::Arp),
        src: packet.as_ref().map(|packet| packet.sender.into()),
        dst: packet.as_ref().map(|packet| packet.target.into()),
        ..Flow::default()
    }
}

fn v4(data: &[u8]) -> Option<Flow> {
    let (header, payload) = ipv4::Header::parse_quoted(data).ok()?;
    let first = header.fragment_offset() == 0;
    Some(Flow {
        network: Some(Network::Ipv4),
        src: Some(header.src().into()),
        dst: Some(header.dst().into()),
        protocol: Some(header.protocol()),
        ports: ports(header.protocol(), payload).filter(|_| first),
    })
}

fn v6(data: &[u8]) -> Option<Flow> {
    let (header, payload) = ipv6::Header::parse_quoted(data).ok()?;
    let (mut protocol, mut at, mut first) = (header.next_header(), 0, true);
    while let Some(Ok(extension)) = Extension::parse(protocol, payload, at) {
        first &= extension.fragment().is_none_or(|f| f.offset == 0);
        protocol = extension.next_header;
        at += extension.bytes.len();
        if !first {
            // What follows is the middle of something.
            break;
        }
    }
    let rest = payload.get(at..).unwrap_or_default();
    Some(Flow {
        network: Some(Network::Ipv6),
        src: Some(header.src().into()),
        dst: Some(header.dst().into()),
        protocol: Some(protocol),
        ports: ports(protocol, rest).filter(|_| first),
    })
}

fn ports(protocol: Protocol, bytes: &[u8]) -> Option<(u16, u16)> {
    match protocol {
        Protocol::TCP | Protocol::UDP => super::transport::ports(bytes),
        _ => None,
    }
}
