//! What becomes of an address, for who has to do with it.
//!
//! *Owns* the words. *Does not* tell anybody: they are notices, which the stack reads when the layers below have come to rest.

use super::Origin;
use crate::base::{Cidr, MacAddr};
use crate::stack::ids::InterfaceId;

/// Something became of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressNews {
    pub(crate) on: InterfaceId,
    pub(crate) cidr: Cidr,
    pub(crate) origin: Origin,
    pub(crate) what: AddressEvent,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressEvent {
    /// It is in use, after its duplicate detection or in spite of it, or preferred again.
    Usable,
    /// This station has it: it stays in the list as a duplicate until it is taken away.
    Duplicate(Option<MacAddr>),
    /// This station claimed it while it was in use, as the first to do so; it is defended.
    Conflict(Option<MacAddr>),
    /// A station claims it again, within DEFEND_INTERVAL of its defence; told of leased and chosen ones alone, which are given up
    /// for that (RFC 5227 §2.4 (b)).
    Insisted,
    /// What begins anew takes another source.
    Deprecated,
    /// It was taken away, or its time is over.
    Gone,
}
