//! A raw socket: what it holds, whom it hears, and the errors of opening one.
//!
//! *Owns* its bounded queue. *Does not* send or receive: `calls` and `deliver` do.

use core::net::IpAddr;
use core::num::NonZeroU16;
use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::options::RawOptions;
use crate::base::checksum::Sum;
use crate::base::{Instant, Protocol};
use crate::ipv6;
use crate::link::RxChecksum;
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::Inbound;
use crate::stack::path::LargeSent;
use crate::stack::udp::RecvError;

/// Bytes that each packet which waits is charged beside its payload, as a datagram is.
pub(super) const OVERHEAD: usize = 128;

/// A packet that a raw socket heard: what stands behind the IP header, and what that said.
///
/// The same for both versions, and for what came in fragments: the header itself is not told, for of a datagram in pieces there are several;
/// nor are IPv4's options and IPv6's extension headers, which the stack has judged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawPacket {
    /// Who sent it.
    pub src: IpAddr,
    /// Which of our addresses, or which group, it was sent to.
    pub dst: IpAddr,
    /// The interface that it came in on.
    pub on: InterfaceId,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its TTL or hop limit as it arrived.
    pub ttl: u8,
    /// Its TOS or traffic class.
    pub tos: u8,
    /// Its flow label, if it came over IPv6 (RFC 6437 §2); 0: none.
    pub flow_label: u32,
    /// Was it sent to one host, not to a group or a broadcast address?
    pub unicast: bool,
    /// When it arrived.
    pub at: Instant,
    /// From the transport's header on. A checksum that the device has verified, or that a kernel never completed, is what it is.
    pub payload: Bytes,
    /// Where the device merged several segments into it: the bytes of text in each.
    pub segment_size: Option<NonZeroU16>,
}

/// A raw socket.
#[derive(Debug)]
pub(super) struct RawSocket {
    pub(super) options: RawOptions,
    queue: VecDeque<RawPacket>,
    held: usize,
    /// What it is charged of the stack's memory.
    pub(super) charged: usize,
    pub(super) error: Option<RecvError>,
    /// Packets for which there was no room.
    pub(super) dropped: u64,
    /// For what a packet-too-big quotes.
    pub(super) large: LargeSent,
}

impl RawSocket {
    pub(super) fn new(options: RawOptions) -> Self {
        Self {
            options,
            queue: VecDeque::new(),
            held: 0,
            charged: 0,
            error: None,
            dropped: 0,
            large: LargeSent::default(),
        }
    }

    /// Bytes of memory that its queue keeps.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Puts a packet last in its queue; was there room? An empty queue takes any.
    pub(super) fn push(&mut self, packet: RawPacket) -> bool {
        let charge = packet.payload.len() + OVERHEAD;
        let fits = self.queue.is_empty() || self.held + charge <= self.options.recv_buffer;
        if fits {
            self.held += charge;
            self.queue.push_back(packet);
        }
        fits
    }

    pub(super) fn pop(&mut self) -> Option<RawPacket> {
        let packet = self.queue.pop_front()?;
        self.held -= packet.payload.len() + OVERHEAD;
        Some(packet)
    }

    /// Is the address that it is bound to ours no more, or its interface gone?
    pub(super) fn has_lost_address(&self, net: &Net) -> bool {
        let RawOptions {
            local, interface, ..
        } = self.options;
        let gone = interface.is_some_and(|on| net.interfaces.get(on.index()).is_none());
        gone || local.is_some_and(|local| !net.takes(local, self.options.interface))
    }

    /// Is a packet of its protocol for it?
    pub(super) fn hears(&self, packet: &Inbound, payload: &[u8]) -> bool {
        let RawOptions {
            local,
            peer,
            interface,
            ..
        } = self.options;
        let ends = local.is_none_or(|local| local == packet.dst)
            && peer.is_none_or(|peer| peer == packet.src)
            && interface.is_none_or(|on| on == packet.on);
        ends && self.passes(payload) && self.is_sound(packet, payload)
    }

    /// Does its filter let the message pass?
    fn passes(&self, payload: &[u8]) -> bool {
        let icmp = match self.options.v6 {
            false => Protocol::ICMP,
            true => Protocol::ICMPV6,
        };
        let filtered = self.options.protocol() == icmp;
        let kind = || payload.first().copied();
        !filtered || kind().is_none_or(|kind| self.options.icmp.passes(kind))
    }

    /// RFC 3542 §3.1: what has a wrong checksum, or is too short for one, is not heard.
    fn is_sound(&self, packet: &Inbound, payload: &[u8]) -> bool {
        let Some(at) = self.options.checksum else {
            return true;
        };
        if payload.len() < usize::from(at) + 2 {
            return false;
        }
        packet.checksum != RxChecksum::Unknown
            || pseudo_sum(
                packet.src,
                packet.dst,
                self.options.protocol(),
                payload.len(),
            )
            .bytes(payload)
            .is_valid()
    }
}

/// The sum of IPv6's pseudo-header; there is none of IPv4's.
pub(super) fn pseudo_sum(src: IpAddr, dst: IpAddr, protocol: Protocol, len: usize) -> Sum {
    match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::pseudo_sum(src, dst, protocol, len),
        _ => Sum::new(),
    }
}

/// Why a raw socket cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// As many are open as can be (64).
    #[error("64 raw sockets are open already")]
    TooMany,
    /// Not an address of this stack, or not on the interface that is asked for.
    #[error("{0} is not an address of this stack")]
    NotOurs(IpAddr),
    /// An address of the other version of IP.
    #[error("{0} is of the other version of IP")]
    Version(IpAddr),
    /// No interface has this number.
    #[error("there is no interface {}", .0.scope())]
    Interface(InterfaceId),
    /// A checksum over IPv4, or at an odd place (RFC 3542 §3.1).
    #[error("a checksum cannot be at {0}: over IPv6 alone, and at an even place")]
    Checksum(u16),
}

impl From<RawError> for io::Error {
    fn from(error: RawError) -> Self {
        let kind = match error {
            RawError::TooMany => io::ErrorKind::QuotaExceeded,
            RawError::NotOurs(_) => io::ErrorKind::AddrNotAvailable,
            RawError::Version(_) | RawError::Interface(_) | RawError::Checksum(_) => {
                io::ErrorKind::InvalidInput
            }
        };
        Self::new(kind, error)
    }
}
