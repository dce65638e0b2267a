//! Datagrams that wait: to be read, and to be sent.
//!
//! RFC 1122 §4.1.3.5, §4.1.4. *Owns* what is told of each. *Does not* hold them: sockets do.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;

use bytes::Bytes;

use super::charges::charge;
use super::info::SendInfo;
use crate::stack::ids::InterfaceId;
use crate::stack::slices::Slices;

/// A received datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// Its data, whole.
    pub data: Slices,
    /// Who sent it; a link-local sender's scope id is the interface's number.
    pub from: SocketAddr,
    /// Which of our addresses, or which group, it was sent to.
    pub to: IpAddr,
    /// The port that it was sent to: the socket's own, unless that takes [every port](crate::stack::UdpOptions::any_port).
    pub to_port: u16,
    /// The interface that it came in on.
    pub on: InterfaceId,
    /// Was it sent to one host, not to a group or a broadcast address?
    pub unicast: bool,
    /// Its TTL or hop limit as it arrived.
    pub ttl: u8,
    /// Its TOS or traffic class.
    pub tos: u8,
    /// Its flow label, if it came over IPv6 (RFC 6437 §2): who does not know how it was made can only compare it. 0: none.
    pub flow_label: u32,
}

impl Datagram {
    /// How an answer to it leaves: by the interface that it came in on, and from the address that it was sent to, if that is one
    /// host's (RFC 1122 §4.1.3.5), and that port.
    pub fn answer(&self) -> SendInfo {
        SendInfo::answering(self.unicast.then_some(self.to), self.to_port, self.on)
    }
}

/// Where a datagram goes, and how it leaves where that is not as its socket has it.
pub(super) type Aim<'a> = (SocketAddr, Option<&'a SendInfo>);

/// A datagram that waits to be sent; its data may be a super-segment.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) to: SocketAddr,
    pub(super) data: Bytes,
    pub(super) segment: Option<NonZeroU16>,
    /// How it leaves, where that is not as its socket has it.
    pub(super) info: Option<Box<SendInfo>>,
}

impl Pending {
    /// Where it goes, and how.
    pub(super) fn aim(&self) -> Aim<'_> {
        (self.to, self.info.as_deref())
    }

    /// Datagrams that it is, for who receives them.
    pub(super) fn datagrams(&self) -> u64 {
        self.segment.map_or(1, |size| {
            self.data.len().div_ceil(usize::from(size.get())) as u64
        })
    }

    /// Data bytes of the first of them.
    pub(super) fn one(&self) -> usize {
        let size = self.segment.map_or(usize::MAX, |size| size.get().into());
        self.data.len().min(size)
    }

    pub(super) fn charge(&self) -> usize {
        charge(self.data.len(), self.segment)
    }
}
