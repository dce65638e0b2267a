//! What has happened that the user has not heard yet.
//!
//! *Owns* the events. Invariant: of each kind one waits at most, however long the user does not ask: a lease that
//! came and went in between is never told.

use core::fmt;
use core::net::Ipv4Addr;

use super::lease::Lease;

/// What a [`Client`](super::Client) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An address to use. Whoever adds it probes for it (RFC 5227 §2.1) and says
    /// [`handle_conflict`](super::Client::handle_conflict) if another station has it.
    Bound(Lease),
    /// The lease that is held was extended; anything but its address may have changed.
    Renewed(Lease),
    /// The address must not be used any more.
    Lost {
        /// The address.
        address: Ipv4Addr,
        /// Why.
        why: LossReason,
    },
    /// A server refused an address that was asked for and not held: a kept one, or one that was offered.
    Refused {
        /// The address.
        address: Ipv4Addr,
        /// The server.
        server: Ipv4Addr,
    },
    /// A server has offered this address, and then not answered
    /// [`Config::request_tries`](super::Config::request_tries) REQUESTs for it: the search begins anew.
    Unanswered {
        /// The address.
        address: Ipv4Addr,
        /// The server.
        server: Ipv4Addr,
    },
    /// No server has answered [`Config::request_tries`](super::Config::request_tries) DISCOVERs. The search
    /// goes on, and this is not told again during it.
    NoServer,
}

/// Why an address must not be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// Nobody has extended the lease before its end.
    Expired,
    /// Nobody has confirmed it after the link came up ([`handle_link_up`](super::Client::handle_link_up)).
    Unconfirmed,
    /// A server said so (DHCPNAK).
    Refused,
    /// Another station has it ([`handle_conflict`](super::Client::handle_conflict)).
    Conflict,
    /// The user gave it back ([`release`](super::Client::release)).
    Released,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "nobody has extended it",
            Self::Unconfirmed => "nobody has confirmed it",
            Self::Refused => "a server has refused it",
            Self::Conflict => "another station has the address",
            Self::Released => "it was given back",
        })
    }
}

/// Which event tells of the lease that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Bound,
    Renewed,
}

#[derive(Clone, Debug, Default)]
pub(super) struct News {
    due: Option<Due>,
    lost: Option<(Ipv4Addr, LossReason)>,
    refused: Option<(Ipv4Addr, Ipv4Addr)>,
    unanswered: Option<(Ipv4Addr, Ipv4Addr)>,
    no_server: bool,
}

impl News {
    pub(super) const fn on_bound(&mut self) {
        self.due = Some(Due::Bound);
    }

    pub(super) const fn on_renewed(&mut self) {
        // A lease that the user does not know yet is still new to them.
        if self.due.is_none() {
            self.due = Some(Due::Renewed);
        }
    }

    pub(super) fn on_lost(&mut self, address: Ipv4Addr, why: LossReason) {
        if self.due.take() != Some(Due::Bound) {
            self.lost = Some((address, why));
        }
    }

    pub(super) const fn on_refused(&mut self, address: Ipv4Addr, server: Ipv4Addr) {
        self.refused = Some((address, server));
    }

    pub(super) const fn on_unanswered(&mut self, address: Ipv4Addr, server: Ipv4Addr) {
        self.unanswered = Some((address, server));
    }

    /// Does the user not know yet of the address that is held?
    pub(super) const fn is_bound_untold(&self) -> bool {
        matches!(self.due, Some(Due::Bound))
    }

    pub(super) const fn on_no_server(&mut self) {
        self.no_server = true;
    }

    /// The next event: an address that must go comes before one that comes.
    pub(super) fn poll(&mut self, held: Option<&Lease>) -> Option<Event> {
        if let Some((address, why)) = self.lost.take() {
            return Some(Event::Lost { address, why });
        }
        if let Some((address, server)) = self.refused.take() {
            return Some(Event::Refused { address, server });
        }
        if let Some((address, server)) = self.unanswered.take() {
            return Some(Event::Unanswered { address, server });
        }
        if core::mem::take(&mut self.no_server) {
            return Some(Event::NoServer);
        }
        let (due, lease) = self.due.take().zip(held.cloned())?;
        Some(match due {
            Due::Bound => Event::Bound(lease),
            Due::Renewed => Event::Renewed(lease),
        })
    }
}
