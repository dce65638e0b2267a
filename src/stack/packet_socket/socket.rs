//! A packet socket: what it is told and holds, whom it hears, and the errors of opening one.
//!
//! *Owns* its bounded queue. *Does not* send or receive: `calls` and `deliver` do.

use core::num::NonZeroU16;
use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::deliver::Came;
use crate::base::{Instant, MacAddr};
use crate::link::ethernet::EtherType;
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;

/// Bytes that each frame which waits is charged beside its payload, as a raw socket's packet is.
pub(super) const OVERHEAD: usize = 128;

/// Places for frames that an empty queue keeps.
const KEPT: usize = 64;

/// What the stack is told about a packet socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketOptions {
    pub(crate) interface: InterfaceId,
    pub(crate) ether_type: Option<u16>,
    pub(crate) others: bool,
    pub(crate) recv_buffer: usize,
}

impl PacketOptions {
    /// Of all frames that come in by this interface for this host, or for groups.
    pub const fn new(interface: InterfaceId) -> Self {
        Self {
            interface,
            ether_type: None,
            others: false,
            recv_buffer: 212_992,
        }
    }

    /// Those of this type alone (default: all; Linux's ETH_P_ALL).
    #[must_use]
    pub const fn ether_type(self, of: EtherType) -> Self {
        Self {
            ether_type: Some(of.0),
            ..self
        }
    }

    /// Those for other stations as well, which the device gives us too (default no; Linux's PACKET_MR_PROMISC)?
    #[must_use]
    pub const fn others(self, heard: bool) -> Self {
        Self {
            others: heard,
            ..self
        }
    }

    /// Bytes of frames that wait to be read, each charged 128 more than its payload (default 212,992, Linux's `rmem_default`); an
    /// empty queue takes any one.
    #[must_use]
    pub const fn recv_buffer(self, bytes: usize) -> Self {
        Self {
            recv_buffer: bytes,
            ..self
        }
    }
}

/// A frame that a packet socket heard: what stands behind the link header, and what that said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkPacket {
    /// The interface that it came in on: of a VLAN's frames that VLAN's, and no other.
    pub on: InterfaceId,
    /// Who sent it; `None` on a medium without link headers.
    pub src: Option<MacAddr>,
    /// The station or group that it was sent to; likewise.
    pub dst: Option<MacAddr>,
    /// What its payload is; where there is no link header, what that's version of IP says.
    pub ether_type: EtherType,
    /// When it arrived.
    pub at: Instant,
    /// From behind the link header and tag on, padding included. A transport checksum that a kernel never completed is what it is.
    pub payload: Bytes,
    /// Where the device merged several segments into it: the bytes of text in each.
    pub segment_size: Option<NonZeroU16>,
}

/// A packet socket.
#[derive(Debug)]
pub(super) struct PacketSocket {
    pub(super) options: PacketOptions,
    queue: VecDeque<LinkPacket>,
    held: usize,
    /// What it is charged of the stack's memory.
    pub(super) charged: usize,
    /// Frames for which there was no room.
    pub(super) dropped: u64,
}

impl PacketSocket {
    pub(super) fn new(options: PacketOptions) -> Self {
        Self {
            options,
            queue: VecDeque::new(),
            held: 0,
            charged: 0,
            dropped: 0,
        }
    }

    /// Bytes of memory that its queue keeps.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Puts a frame last in its queue; was there room? An empty queue takes any.
    pub(super) fn push(&mut self, packet: LinkPacket) -> bool {
        let charge = packet.payload.len() + OVERHEAD;
        let fits = self.queue.is_empty() || self.held + charge <= self.options.recv_buffer;
        if fits {
            self.held += charge;
            self.queue.push_back(packet);
        }
        fits
    }

    pub(super) fn pop(&mut self) -> Option<LinkPacket> {
        let packet = self.queue.pop_front()?;
        self.held -= packet.payload.len() + OVERHEAD;
        // What is charged to nobody is kept by nobody.
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
        Some(packet)
    }

    /// Was its interface taken away?
    pub(super) fn is_lost(&self, net: &Net) -> bool {
        net.interfaces
            .added(self.options.interface.index())
            .is_none()
    }

    /// Is this frame for it?
    pub(super) fn hears(&self, came: &Came) -> bool {
        let PacketOptions {
            interface,
            ether_type,
            others,
            ..
        } = self.options;
        let meant = interface == came.on && (others || came.to_us);
        meant && ether_type.is_none_or(|of| of == came.ether_type.0)
    }
}

/// Why a packet socket cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// As many are open as can be (16).
    #[error("16 packet sockets are open already")]
    TooMany,
    /// No interface has this number, or it is the one to ourselves, which has no frames.
    #[error("there is no link {}", .0.scope())]
    Interface(InterfaceId),
}

impl From<PacketError> for io::Error {
    fn from(error: PacketError) -> Self {
        let kind = match error {
            PacketError::TooMany => io::ErrorKind::QuotaExceeded,
            PacketError::Interface(_) => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue that was full of small frames, and is read, keeps none of the room that nobody is charged for.
    #[test]
    fn an_empty_queue_keeps_little() {
        let on = InterfaceId::from_index(0);
        let mut socket = PacketSocket::new(PacketOptions::new(on));
        let packet = LinkPacket {
            on,
            src: None,
            dst: None,
            ether_type: EtherType::ARP,
            at: Instant::ZERO,
            payload: Bytes::new(),
            segment_size: None,
        };
        while socket.push(packet.clone()) {}
        assert!(socket.queue.capacity() > 1000);
        while socket.pop().is_some() {}
        assert_eq!((socket.held(), socket.queue.capacity()), (0, 0));
        // Who keeps up does not ask for memory each time.
        (0..2).for_each(|_| assert!(socket.push(packet.clone()) && socket.pop().is_some()));
        assert!(socket.queue.capacity() > 0);
    }
}
