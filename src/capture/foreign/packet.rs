//! What a captured packet says: whose it is, and what of it is to be mapped.
//!
//! *Owns* the reading of whole and of cut packets, from IP on, and what a sender left to its card of an IPv4 header.
//! *Does not* map any number. Invariant: total on any bytes.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use bytes::Bytes;

use super::apart::Apart;
use super::link::{self, Packet};
use super::report::Skipped;
use super::rewrite;
use crate::base::Protocol;
use crate::base::checksum::checksum;
use crate::capture::{Frame, rx};
use crate::link::EtherType;
use crate::tcp::{Fields, Header, Options};
use crate::{arp, ipv4, ipv6, udp};

/// An IPv6 packet of 65,535 bytes of payload (RFC 8200 §3).
const LONGEST: usize = 65_535 + 40;

/// A packet of the capture.
#[derive(Clone, Debug)]
pub(super) struct Captured {
    /// As Wireshark numbers frames, from 1.
    pub(super) number: u64,
    /// Nanoseconds since the Unix epoch, where the capture says it.
    pub(super) at: Option<u64>,
    pub(super) packet: Packet,
    pub(super) content: Content,
    /// Why not even its link header was read.
    pub(super) unread: Option<Skipped>,
    /// Is a checksum wrong? Then who receives it drops it: what it says moves nothing.
    pub(super) is_damaged: bool,
}

impl Captured {
    pub(super) fn new(number: u64, frame: &Frame, apart: Option<Apart>) -> Self {
        let (mut packet, unread) = match link::strip(frame) {
            Ok(packet) if packet.data.len() > LONGEST => (Packet::NONE, Some(Skipped::TooLong)),
            Ok(packet) => (packet, None),
            Err(why) => (Packet::NONE, Some(why)),
        };
        let mut content = read(&mut packet);
        if let Some(apart) = apart {
            content = apart.tell(&mut packet, content);
        }
        let is_damaged = match &content {
            Content::Ip(ip) => rewrite::is_damaged(&packet.whole(ip.len), ip, packet.is_cut),
            _ => false,
        };
        Self {
            number,
            at: frame.at,
            content,
            packet,
            unread,
            is_damaged,
        }
    }

    /// The same, not to be looked at: nothing of it is kept.
    pub(super) fn without(self, why: Skipped) -> Self {
        Self {
            packet: Packet::NONE,
            content: Content::Other,
            unread: Some(why),
            ..self
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Ip(Ip),
    Arp(arp::Packet),
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct Ip {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// As long as its header says, be it cut.
    pub(super) len: usize,
    /// Where the transport's bytes lie, when it is no fragment and its headers are there.
    pub(super) transport: Option<(Protocol, Range<usize>)>,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Tcp(Segment),
    Udp {
        ports: (u16, u16),
        data: Range<usize>,
    },
    Icmp(Icmp),
    /// Whole enough, and nothing that is mapped.
    Other,
    /// Cut before what would have to be mapped.
    Cut,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) fields: Fields,
    pub(super) options: Options,
    /// Its text in the packet, as far as it was captured.
    pub(super) text: Range<usize>,
    /// Bytes of text that were cut off.
    pub(super) missing: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icmp {
    EchoRequest,
    EchoReply,
    Error,
    Advertisement,
    /// Whom it asks for.
    Solicitation(core::net::Ipv6Addr),
    Other,
}

impl Segment {
    pub(super) fn text_len(&self) -> u64 {
        self.text.len() as u64 + self.missing
    }
}

impl Ip {
    /// The socket that it comes from and the one that it goes to.
    pub(super) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (from, to) = match &self.body {
            Body::Tcp(segment) => (segment.fields.src_port, segment.fields.dst_port),
            Body::Udp { ports, .. } => *ports,
            _ => return None,
        };
        Some((
            SocketAddr::new(self.src, from),
            SocketAddr::new(self.dst, to),
        ))
    }
}

/// Reads it; the lengths and header checksums that a sender left to its card are filled in.
pub(super) fn read(packet: &mut Packet) -> Content {
    match packet.kind {
        EtherType::IPV4 => {
            packet.data = completed(&packet.data, packet.is_cut);
            ipv4(&packet.data, packet.is_cut)
        }
        EtherType::IPV6 => ipv6(&packet.data, packet.is_cut),
        EtherType::ARP => arp::Packet::parse(&packet.data).map_or(Content::Other, Content::Arp),
        _ => Content::Other,
    }
}

/// A super-segment on its way to a card that cuts it may have a total length of zero, and any packet on its way to
/// one that sums up IPv4 headers a header checksum of zero.
fn completed(data: &Bytes, is_cut: bool) -> Bytes {
    let words = data.first().filter(|byte| *byte >> 4 == 4);
    let header = words.map_or(0, |byte| usize::from(byte & 15) * 4);
    let len = u16::try_from(data.len()).ok();
    let len = len.filter(|_| !is_cut && data.get(2..4) == Some(&[0, 0]));
    let lacks_sum = len.is_some() || data.get(10..12) == Some(&[0, 0]);
    if !lacks_sum || header < 20 || header > data.len() {
        return data.clone();
    }
    let mut data = data.to_vec();
    if let Some(len) = len {
        data[2..4].copy_from_slice(&len.to_be_bytes());
    }
    if let Some(header) = data.get_mut(..header) {
        header[10..12].fill(0);
        let sum = checksum(header).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
    }
    data.into()
}

fn ipv4(data: &Bytes, is_cut: bool) -> Content {
    let Ok((header, _)) = ipv4::Header::parse_quoted(data) else {
        return Content::Other;
    };
    let transport = rx::v4(data).map(|(protocol, range, _)| (protocol, range));
    content(
        (header.src().into(), header.dst().into()),
        header.total_len(),
        // A length beyond the end of what was not cut is not true: that is the stack's to find.
        transport.filter(|(_, range)| is_cut || range.end <= data.len()),
        data,
    )
}

fn ipv6(data: &Bytes, is_cut: bool) -> Content {
    let Ok((header, _)) = ipv6::Header::parse_quoted(data) else {
        return Content::Other;
    };
    let transport = rx::v6(data).map(|(protocol, range, _)| (protocol, range));
    content(
        (header.src().into(), header.dst().into()),
        header.total_len(),
        // A length beyond the end of what was not cut is not true: that is the stack's to find.
        transport.filter(|(_, range)| is_cut || range.end <= data.len()),
        data,
    )
}

fn content(
    (src, dst): (IpAddr, IpAddr),
    len: usize,
    transport: Option<(Protocol, Range<usize>)>,
    data: &[u8],
) -> Content {
    let body = transport.as_ref().map_or(Body::Other, |(protocol, range)| {
        body(*protocol, range.clone(), data)
    });
    Content::Ip(Ip {
        src,
        dst,
        len,
        transport,
        body,
    })
}

fn body(protocol: Protocol, range: Range<usize>, data: &[u8]) -> Body {
    let there = range.start.min(data.len())..range.end.min(data.len());
    let bytes = data.get(there.clone()).unwrap_or_default();
    let is_cut = there != range;
    match protocol {
        Protocol::TCP => match Header::parse(bytes) {
            Ok((header, text)) => Body::Tcp(Segment {
                fields: header.fields(),
                options: Options::parse(header.options_bytes()),
                text: there.end - text.len()..there.end,
                missing: (range.end - there.end) as u64,
            }),
            Err(_) if is_cut => Body::Cut,
            Err(_) => Body::Other,
        },
        Protocol::UDP => match udp::Header::parse_quoted(bytes) {
            Ok((header, _)) => Body::Udp {
                ports: (header.src_port(), header.dst_port()),
                data: (range.start + udp::HEADER_LEN).min(range.end)..range.end,
            },
            Err(_) if is_cut => Body::Cut,
            Err(_) => Body::Other,
        },
        Protocol::ICMP | Protocol::ICMPV6 if is_cut => Body::Cut,
        Protocol::ICMP => Body::Icmp(match bytes.first() {
            Some(8) => Icmp::EchoRequest,
            Some(0) => Icmp::EchoReply,
            Some(3 | 4 | 11 | 12) => Icmp::Error,
            _ => Icmp::Other,
        }),
        Protocol::ICMPV6 => Body::Icmp(match bytes.first() {
            Some(128) => Icmp::EchoRequest,
            Some(129) => Icmp::EchoReply,
            Some(0..=127) => Icmp::Error,
            Some(136) => Icmp::Advertisement,
            Some(135) => {
                let target = bytes.get(8..24).and_then(|it| it.first_chunk::<16>());
                target.map_or(Icmp::Other, |it| Icmp::Solicitation((*it).into()))
            }
            _ => Icmp::Other,
        }),
        _ if is_cut => Body::Cut,
        _ => Body::Other,
    }
}

#[cfg(test)]
impl Segment {
    /// A segment that says nothing, for tests.
    pub(super) fn made() -> Self {
        Self {
            fields: Fields::default(),
            options: Options::NONE,
            text: 0..0,
            missing: 0,
        }
    }
}
