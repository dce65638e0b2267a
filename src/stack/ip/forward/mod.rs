//! Packets that are for other hosts, passed on.
//!
//! RFC 1812 §4.2, §4.3, §5.2, §5.3; RFC 8200 §3; RFC 4443 §3; RFC 4861 §8.2; RFC 2644; RFC 3704. *Owns* what a router does to
//! a packet between two interfaces. *Does not* route (`path` does), resolve (`neighbour`) nor answer for ourselves.
//! Invariants: nothing here is reached by a packet that is ours; a packet costs two look-ups of routes at most; what waits is
//! bounded for each interface, and in the neighbours' queues; payload is not copied but for a neighbour that is not known.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the settings of an interface |
//! | `known` | ways that were judged just now |
//! | `judge` | whether a packet goes on, and where to |
//! | `packet` | a packet as it came, and how it is to leave |
//! | `plain` | the short way of packets that nothing is unusual about |
//! | `pieces` | IPv4 packets that are cut on their way |
//! | `queue` | what waits for the device |
//! | `send` | the turn to send, and neighbours that are not known |
//! | `errors` | what its sender is told |
//! | `nat` | other addresses and ports, where they leave by an interface that translates |
//! | `redirect` | the nearer way that its sender is told of |

mod errors;
mod judge;
mod known;
mod nat;
mod options;
mod packet;
mod pieces;
mod plain;
mod queue;
mod redirect;
mod send;

pub(in crate::stack) use nat::{Nat, NatKind, Own};
pub use nat::{NatFilter, NatOptions};
pub(crate) use nat::{NatLives, StaticForward};
pub use options::{ForwardOptions, ReversePath};
pub(in crate::stack::ip) use plain::Plain;
pub(in crate::stack) use queue::Queue as TransitQueue;

use core::ops::RangeInclusive;

use crate::base::Instant;
use crate::stack::config::Config;
use crate::stack::icmp::IcmpLimit;
use core::net::IpAddr;

/// What all interfaces share to pass packets on.
#[derive(Debug)]
pub(in crate::stack) struct Forwarding {
    /// How often a neighbour is told of a nearer way: what it does not heed is no reason to tell it less of errors.
    redirects: IcmpLimit,
    /// And of what is too large for the next link: who is not told of that sends into a black hole, whatever else is wrong (Linux limits it
    /// not at all).
    too_big: IcmpLimit,
    /// Is there an interface whose packets are passed on?
    used: bool,
    /// Queues that more waits in than should.
    crowded: usize,
    /// How often in a row something was held back for these, and nothing of them left.
    holds: u8,
    /// Ways that were judged just now.
    pub(in crate::stack) known: known::Known,
    /// Does nothing go the short way?
    #[cfg(test)]
    pub(in crate::stack) long: bool,
    /// The ports that our own sockets are given: no inside host gets one of them.
    own_ports: RangeInclusive<u16>,
}

/// *Fixed*: errors of packets that are too large, for each sender: so many at once, and in a second.
const TOO_BIG_BURST: u32 = 64;
const TOO_BIG_RATE: u32 = 50;
/// So often something is held back for queues that nobody empties.
const HOLDS: u8 = 2;

impl Forwarding {
    pub(in crate::stack) fn new(config: &Config) -> Self {
        Self {
            redirects: IcmpLimit::new(config),
            too_big: IcmpLimit::faster(config, TOO_BIG_BURST, TOO_BIG_RATE),
            used: false,
            crowded: 0,
            holds: 0,
            known: known::Known::default(),
            #[cfg(test)]
            long: false,
            own_ports: config.ephemeral_ports.clone(),
        }
    }

    /// An interface has come whose packets are passed on.
    pub(in crate::stack) const fn begin(&mut self) {
        self.used = true;
    }

    pub(in crate::stack) const fn is_used(&self) -> bool {
        self.used
    }

    /// May packets go the short way, if there is nothing unusual about them? Tests compare both.
    #[inline]
    pub(in crate::stack::ip) const fn is_short(&self) -> bool {
        #[cfg(test)]
        return self.used && !self.long;
        #[cfg(not(test))]
        self.used
    }

    /// May this sender be told now that a packet of its was too large?
    pub(in crate::stack) fn may_tell_of_size(&mut self, now: Instant, sender: IpAddr) -> bool {
        self.too_big.allow(now, sender)
    }

    /// Is more to be taken in only when some has left? A device that is full holds nobody up: what is for it is dropped. Nor does one that is
    /// offered nothing.
    pub(in crate::stack) fn holds_back(&mut self) -> bool {
        let holds = self.crowded > 0 && self.holds < HOLDS;
        self.holds += u8::from(holds);
        holds
    }
}
