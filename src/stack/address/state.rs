//! An address of an interface by itself: how far it has come, and what it wants done.
//!
//! RFC 4862 §5.4, §5.5.4, RFC 5227. *Owns* the words, and what an address is by its own times. *Does not* keep deadlines: the
//! list that it stands in does.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::ANNOUNCE_NUM;
use super::anycast::Asked;
use super::source::Standing;
use crate::base::{Cidr, Instant};

/// How far an address has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressState {
    /// Duplicate detection is under way (RFC 4862 §5.4, RFC 5227 §2.1): not used yet.
    Tentative,
    /// Duplicate detection is under way, and it is used all the same (RFC 4429; [`InterfaceConfig::optimistic_dad`]): as little as
    /// a deprecated one, and only to who is known or by a router that is.
    ///
    /// [`InterfaceConfig::optimistic_dad`]: crate::stack::InterfaceConfig::optimistic_dad
    Optimistic,
    /// In use.
    Preferred,
    /// In use by who uses it, and taken as a destination; what begins anew takes another source if there is one that
    /// does as well (RFC 4862 §5.5.4, RFC 6724 §5 rule 3).
    Deprecated,
    /// Another station has it: never used (RFC 4862 §5.4.5, RFC 5227 §2.1.1).
    Duplicate,
}

/// Where an address or a route comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The user gave it.
    Given,
    /// The stack formed it (RFC 4862 §5.3).
    Formed,
    /// A DHCP server leased it.
    Dhcp,
    /// A router advertised it, or the prefix that it was formed of (RFC 4862 §5.5.3).
    Router,
    /// A temporary address of such a prefix (RFC 8981).
    Temporary,
}

/// An address of an interface, and how long it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressInfo {
    /// The address, and the length of its prefix.
    pub cidr: Cidr,
    /// How far it has come.
    pub state: AddressState,
    /// Where it comes from.
    pub origin: Origin,
    /// When it becomes [`AddressState::Deprecated`]; [`Instant::FAR_FUTURE`]: never.
    pub preferred_until: Instant,
    /// When it is gone; [`Instant::FAR_FUTURE`]: never.
    pub valid_until: Instant,
    /// Do other stations have it as well (RFC 4291 §2.6)?
    pub anycast: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) cidr: Cidr,
    pub(crate) state: AddressState,
    pub(crate) origin: Origin,
    pub(in crate::stack) preferred_until: Instant,
    pub(in crate::stack) valid_until: Instant,
    /// Has its network a route of its own?
    pub(in crate::stack) on_link: bool,
    /// Do other stations have it as well?
    pub(super) anycast: bool,
    /// Probes or announcements that are still to be sent.
    pub(super) left: u8,
    pub(super) due: Option<Instant>,
    /// When its next life begins: deprecated, or gone.
    pub(super) end: Option<Instant>,
    pub(super) defended: Option<Instant>,
    /// Probes with a nonce that there were (RFC 7527 §4.1).
    pub(super) nonces: u8,
    /// Did one come back?
    pub(super) looped: bool,
    /// Has another station claimed it? Its number among those.
    pub(super) disputed: Option<u64>,
}

impl Address {
    /// Is it ours without a doubt?
    pub(super) const fn is_in_use(&self) -> bool {
        matches!(
            self.state,
            AddressState::Preferred | AddressState::Deprecated
        )
    }

    /// Is it still probed for?
    pub(super) const fn is_probed(&self) -> bool {
        matches!(
            self.state,
            AddressState::Tentative | AddressState::Optimistic
        )
    }

    /// How often it is announced once it is in use: an IPv4 one to all, an IPv6 one to routers, if they are told, and it is one that they
    /// pass packets to.
    pub(super) const fn announcements(&self, told_routers: bool) -> u8 {
        match self.cidr.address() {
            IpAddr::V4(_) => ANNOUNCE_NUM,
            IpAddr::V6(own) if told_routers && !self.anycast && !own.is_unicast_link_local() => {
                MAX_NEIGHBOR_ADVERTISEMENT
            }
            IpAddr::V6(_) => 0,
        }
    }

    /// Is there another one when this is another station's: a server gives it, or we choose it ourselves (RFC 3927 §2.5)?
    pub(super) const fn may_go(&self) -> bool {
        matches!(self.origin, Origin::Dhcp) || self.is_chosen()
    }

    /// Is it an IPv4 link-local address of our choice?
    const fn is_chosen(&self) -> bool {
        matches!(
            (self.origin, self.cidr.address()),
            (Origin::Formed, IpAddr::V4(_))
        )
    }

    /// What it is in use, for as long as it is preferred or no longer.
    pub(super) fn state_in_use(&self, now: Instant) -> AddressState {
        if now < self.preferred_until {
            AddressState::Preferred
        } else {
            AddressState::Deprecated
        }
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        let end = match self.state {
            AddressState::Preferred => self.preferred_until.min(self.valid_until),
            _ => self.valid_until,
        };
        Some(end).filter(|&end| end != Instant::FAR_FUTURE)
    }

    pub(super) const fn standing(&self) -> Standing {
        Standing {
            // RFC 4429 §2.1, §4.1: an optimistic one only where there is no other.
            deprecated: matches!(
                self.state,
                AddressState::Deprecated | AddressState::Optimistic
            ),
            temporary: matches!(self.origin, Origin::Temporary),
        }
    }

    /// One of its probes came back: a few more follow, once.
    pub(super) fn on_loop(&mut self) {
        if !self.looped && self.is_probed() {
            self.looped = true;
            self.left = self.left.saturating_add(AFTER_A_LOOP);
        }
    }

    pub(in crate::stack) const fn info(&self) -> AddressInfo {
        AddressInfo {
            cidr: self.cidr,
            state: self.state,
            origin: self.origin,
            preferred_until: self.preferred_until,
            valid_until: self.valid_until,
            anycast: self.anycast,
        }
    }
}

/// RFC 4861 §10.
const MAX_NEIGHBOR_ADVERTISEMENT: u8 = 3;

/// MAX_MULTICAST_SOLICIT, RFC 4861 §10: so many more probes once one came back (RFC 7527 §4.1).
const AFTER_A_LOOP: u8 = 3;

/// What an address wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A neighbour solicitation from `::` (RFC 4862 §5.4.2), or an ARP probe (RFC 5227 §2.1.1).
    Probe(IpAddr),
    /// An ARP announcement (RFC 5227 §2.3).
    Announce(Ipv4Addr),
    /// An advertisement to the routers of the link (RFC 9131).
    Tell(Ipv6Addr),
    /// Nothing: this address came into use, and those who waited for it may go on.
    Usable(IpAddr),
    /// Nothing: it is deprecated from now on.
    Deprecated(IpAddr),
    /// Its time is over: it is to be taken away.
    Gone(IpAddr),
    /// An advertisement, to who asked for an anycast address (RFC 4861 §7.2.7).
    Answer(Asked),
}

/// How an address is probed for before it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detection {
    /// Probes; 0: it is in use at once.
    pub(crate) probes: u8,
    /// Before the first one.
    pub(crate) delay: Duration,
    /// Is it used meanwhile (RFC 4429)?
    pub(crate) optimistic: bool,
}

/// What a conflict leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    NotOurs,
    /// The address is given up.
    Duplicate,
    /// It is announced again.
    Defend(Ipv4Addr),
    /// It is only counted.
    Counted,
}
