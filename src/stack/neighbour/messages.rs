//! What the table of neighbours is told, and what it wants done.
//!
//! *Owns* the words, no state. *Does not* judge: the table does.

use core::net::IpAddr;

use crate::base::MacAddr;
use crate::stack::ids::{InterfaceId, RawId};
use crate::stack::packet::{OwnedPacket, Waiter};

/// An address on a link.
pub(crate) type NeighbourKey = (InterfaceId, IpAddr);

/// What a packet says about a neighbour; `arp` and `ndp` make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It speaks of itself in a solicitation or request (RFC 4861 §7.2.3, RFC 826). `create`: to us.
    Asks { mac: MacAddr, create: bool },
    /// It advertises itself (RFC 4861 §7.2.5; an ARP reply overrides).
    Advertises {
        mac: Option<MacAddr>,
        solicited: bool,
        overrides: bool,
    },
}

/// What the table wants done.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Ask for this neighbour: everybody, or only this station.
    Solicit {
        id: RawId,
        key: NeighbourKey,
        source: IpAddr,
        mac: Option<MacAddr>,
    },
    /// The neighbour is known now: send what waited for it.
    Send {
        on: InterfaceId,
        packet: OwnedPacket,
    },
    /// The neighbour is known now: this socket may go on.
    Wake { on: InterfaceId, waiter: Waiter },
    /// A packet gave way to others.
    Drop,
    /// The neighbour that it waited for does not answer.
    Undelivered {
        on: InterfaceId,
        packet: OwnedPacket,
    },
    /// This socket waited for a neighbour that does not answer.
    Fail { waiter: Waiter },
    /// The neighbour does not answer.
    Dead { key: NeighbourKey },
}

/// What is known about a neighbour that a packet is to be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    Known(MacAddr),
    Unresolved(RawId),
    /// The table is full of entries in use.
    NoRoom,
}
