//! What a socket is told of groups: how it sends to them, and why it cannot be in one.
//!
//! RFC 1112 §6, RFC 3678, RFC 3493 §5.2. *Owns* settings and errors. *Does not* hold memberships: interfaces do.

use core::net::IpAddr;
use std::io;

use crate::stack::ids::{InterfaceId, StaleId};

/// How a socket sends to groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct MulticastOptions {
    pub(crate) ttl: u8,
    pub(crate) loops: bool,
    pub(crate) interface: Option<InterfaceId>,
}

impl Default for MulticastOptions {
    fn default() -> Self {
        Self {
            ttl: 1,
            loops: true,
            interface: None,
        }
    }
}

impl MulticastOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// TTL or hop limit of what is sent to groups (default 1: the link, RFC 1112 §6.1, RFC 3493 §5.2); at least 1. That of
    /// other datagrams is [`UdpOptions::ttl`](super::UdpOptions::ttl).
    pub fn ttl(self, ttl: u8) -> Self {
        Self {
            ttl: ttl.max(1),
            ..self
        }
    }

    /// Do this host's own sockets hear what is sent to groups that they are in (default yes, as RFC 1112 §6.1 and Linux
    /// have it)? The sender is one of them, if it is in the group.
    pub fn loops(self, heard: bool) -> Self {
        Self {
            loops: heard,
            ..self
        }
    }

    /// The interface that datagrams to groups leave by, where their address names none; and the one that groups are joined
    /// on, where the call names none (default: the only one).
    pub fn interface(self, on: Option<InterfaceId>) -> Self {
        Self {
            interface: on,
            ..self
        }
    }

    /// TTL or hop limit of what is sent to groups.
    pub const fn ttl_setting(&self) -> u8 {
        self.ttl
    }

    /// Do this host's own sockets hear it?
    pub const fn loops_setting(&self) -> bool {
        self.loops
    }

    /// The interface that it leaves by.
    pub const fn interface_setting(&self) -> Option<InterfaceId> {
        self.interface
    }
}

/// Why a socket cannot join or leave a group, or change whom it hears there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The socket was closed.
    #[error(transparent)]
    Stale(#[from] StaleId),
    /// No multicast address, one that means nothing beyond a host, or of a family that the socket does not take.
    #[error("{0} is no group that this socket can be in")]
    Group(IpAddr),
    /// There are several interfaces and none was named, or none has this number.
    #[error("which interface is {0} to be joined on? give its number")]
    Interface(IpAddr),
    /// An address that nobody sends from, or of the other family.
    #[error("{0} cannot be a sender to the group")]
    Source(IpAddr),
    /// 232/8 and ff3x::/32 are for memberships that name their senders (RFC 4604 §2.2.1).
    #[error("{0} is joined for named senders only; give one")]
    NeedsSource(IpAddr),
    /// The socket is in this group already, or has named this sender.
    #[error("already a member of {0}")]
    Already(IpAddr),
    /// The socket is not in this group, or has not named this sender.
    #[error("not a member of {0}")]
    NotMember(IpAddr),
    /// Senders are named one by one in a membership that takes all, or blocked in one that names them (RFC 3678 §4.1.3).
    #[error("the membership of {0} is of the other kind")]
    Mode(IpAddr),
    /// The socket has named 64 senders of this group.
    #[error("{0} senders are as many as a membership names")]
    Sources(usize),
    /// The interface is in as many groups as it holds, or the group has as many members or senders.
    #[error("no room for another membership of {0}")]
    Full(IpAddr),
}

impl From<GroupError> for io::Error {
    fn from(error: GroupError) -> Self {
        use io::ErrorKind as Kind;
        let kind = match error {
            GroupError::Stale(stale) => return stale.into(),
            GroupError::Already(_) => Kind::AddrInUse,
            GroupError::NotMember(_) => Kind::AddrNotAvailable,
            GroupError::Sources(_) | GroupError::Full(_) => Kind::OutOfMemory,
            GroupError::Group(_)
            | GroupError::Interface(_)
            | GroupError::Source(_)
            | GroupError::NeedsSource(_)
            | GroupError::Mode(_) => Kind::InvalidInput,
        };
        Self::new(kind, error)
    }
}
