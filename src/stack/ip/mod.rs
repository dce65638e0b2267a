//! The stage between link and transport: whose packet it is, what its headers say, and the frame around
//! what is sent.
//!
//! RFC 1122 §2.3, §3.2.1, §3.3.6; RFC 8200 §3, §4; RFC 4291 §2.7. *Owns* the checks that hold for
//! every packet. *Does not* answer: that is `icmp`, `neighbour` and the sockets. Every packet that stops
//! here is counted under one [`DropReason`].
//!
//! | file | owns |
//! |---|---|
//! | `link` | the link header of a frame that came in |
//! | `v4`, `v6` | a packet's way to its protocol |
//! | `fragments` | a piece of a datagram, and a datagram that is whole, or given up |
//! | `reassembly`, `pieces` | the pieces that wait |
//! | `quote` | the packet in an ICMP error, by the same headers |
//! | `leaving` | a datagram that leaves in fragments |
//! | `output` | the frame around a packet that is sent |
//! | `bare` | frames that carry no IP packet of ours |
//! | `whole` | packets that bring their own IP header |
//! | `forward` | packets that are for others, passed on |

mod bare;
mod forward;
mod fragments;
mod labels;
mod leaving;
mod link;
mod output;
mod pieces;
mod quote;
mod reassembly;
mod v4;
mod v6;
mod whole;

pub use forward::{ForwardOptions, NatFilter, NatOptions, ReversePath};
pub(super) use forward::{Forwarding, Nat, NatKind, Own, TransitQueue};
pub(crate) use forward::{NatLives, StaticForward};
pub(crate) use labels::Labels;
pub(super) use leaving::{Identifications, Leaving};
pub(crate) use output::{Headers, Outbound};
pub(super) use quote::Quoted;

/// Datagrams that have come in part.
pub(super) type Incomplete = reassembly::Reassembly<fragments::Head>;

use core::net::{IpAddr, Ipv6Addr};
use core::num::NonZeroU16;

use bytes::{Buf, Bytes};

use super::Stack;
use super::ids::InterfaceId;
use super::interface::Destination;
use super::net::Net;
use super::packet::Inbound;
use crate::base::{DropReason, Instant, MacAddr, Protocol};
use crate::link::{RxChecksum, RxMeta};
use crate::{ipv4, ipv6};

/// What the link layer said about a frame.
#[derive(Clone, Copy, Debug)]
struct Link {
    src: Option<MacAddr>,
    /// Was it sent to us alone? RFC 1122 §2.4 has IP know of it.
    unicast: bool,
}

/// How a packet came in.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    on: InterfaceId,
    link: Link,
    meta: RxMeta,
    /// Is what the device says of its checksum taken for true?
    trusted: bool,
    /// It came in pieces of at most so many bytes, and was put together on its way.
    cut: Option<NonZeroU16>,
}

/// What its IP header says, once it has been judged.
#[derive(Clone, Copy, Debug)]
struct Judged {
    ends: (IpAddr, IpAddr),
    unicast: bool,
    tos: u8,
    ttl: u8,
    /// IPv6's flow label.
    label: u32,
}

impl Arrival {
    /// The packet for its protocol: `cause` is what an error about it would quote, `segment` what the
    /// transport reads.
    #[inline]
    fn inbound(&self, judged: &Judged, cause: Bytes, segment: Bytes) -> Inbound {
        let Self { on, link, meta, .. } = *self;
        let (src, dst) = judged.ends;
        Inbound {
            on,
            src,
            dst,
            unicast: judged.unicast,
            tos: judged.tos,
            ttl: judged.ttl,
            label: judged.label,
            at: meta.at,
            checksum: match self.trusted {
                true => meta.checksum,
                false => RxChecksum::Unknown,
            },
            segment_size: meta.segment_size,
            quote: cause,
            segment,
            ports: (0, 0),
            fin: false,
            link_unicast: link.unicast,
            link_src: link.src,
        }
    }
}

impl Stack {
    fn dispatch_tcp(&mut self, now: Instant, packet: &mut Inbound) -> Result<(), DropReason> {
        // RFC 9293 §3.9.2.3 MUST-57: nothing of TCP's goes to a group (r49).
        if !packet.unicast || !packet.link_unicast {
            return Err(DropReason::TcpBadSyn);
        }
        self.net.counters.tcp_segments_received += 1;
        self.handle_tcp(now, packet);
        Ok(())
    }
}

impl Net {
    /// Is the packet ours? Says whether to us alone; `None`: it is passed on.
    #[inline]
    fn take(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        data: &Bytes,
        ends: (IpAddr, IpAddr),
        own: &Own<'_>,
    ) -> Result<Option<bool>, DropReason> {
        match self.check_destination(arrival.on, ends.1, arrival.link) {
            Ok(unicast) => Ok(Some(unicast)),
            Err(reason) => self.pass(now, arrival, data, ends, (reason, own)),
        }
    }

    /// The same for IPv4, where what comes for our address may be for an inside host's port.
    #[inline]
    fn take_v4(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        data: &Bytes,
        ends: (IpAddr, IpAddr),
        own: &Own<'_>,
    ) -> Result<Option<bool>, DropReason> {
        let taken = self.take(now, arrival, data, ends, own)?;
        let translates = self.interfaces[arrival.on.index()].nat.is_some();
        if translates && taken == Some(true) && self.come_back(now, arrival, data, ends, own)? {
            return Ok(None);
        }
        Ok(taken)
    }

    /// Does the interface take it? Says whether to us alone.
    #[inline]
    fn check_destination(
        &self,
        on: InterfaceId,
        dst: IpAddr,
        link: Link,
    ) -> Result<bool, DropReason> {
        match self.interfaces[on.index()].classify(dst) {
            // RFC 1122 §3.3.6: a unicast packet in a broadcast frame is not answered.
            Destination::Ours if !link.unicast => Err(DropReason::IpLinkBroadcast),
            Destination::Ours => Ok(true),
            Destination::Group => Ok(false),
            Destination::Tentative => Err(DropReason::IpTentative),
            Destination::Foreign if self.is_within(on, dst) => Ok(true),
            Destination::Foreign => Err(DropReason::IpNotOurs),
        }
    }
}

/// Bytes of the IP header of what we send to `dst`: options and extension headers are not sent.
pub(super) const fn header_len(dst: IpAddr) -> usize {
    match dst {
        IpAddr::V4(_) => ipv4::MIN_HEADER_LEN,
        IpAddr::V6(_) => ipv6::HEADER_LEN,
    }
}

/// Bytes behind the IP header of the largest datagram to `dst`, in fragments if need be: RFC 791 §3.1 counts the header, RFC 8200 §3
/// does not.
pub(super) const fn longest(dst: IpAddr) -> usize {
    match dst {
        IpAddr::V4(_) => 65_535 - ipv4::MIN_HEADER_LEN,
        IpAddr::V6(_) => 65_535,
    }
}

/// What an ICMP error about the packet would quote; TCP answers for itself.
fn quote(protocol: Protocol, packet: &Bytes) -> Bytes {
    if protocol == Protocol::TCP {
        Bytes::new()
    } else {
        packet.clone()
    }
}

/// What one station may have all addresses of: itself in IPv4, 64 bits of prefix in IPv6 (RFC 4291 §2.5.4).
fn prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(a) => Ipv6Addr::from_bits(a.to_bits() >> 64 << 64).into(),
    }
}

fn skip(mut data: Bytes, len: usize) -> Bytes {
    data.advance(len.min(data.len()));
    data
}
