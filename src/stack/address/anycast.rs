//! Answers to who asks for an anycast address, which wait a moment each: not all of its stations are to answer at once.
//!
//! RFC 4861 §7.2.7, RFC 4291 §2.6. *Owns* those that wait, and which addresses are of that kind. *Does not* make them: `neighbour` does.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use std::collections::BTreeMap;

use super::{Addresses, below};
use crate::base::{Instant, MacAddr};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::Inbound;

/// MAX_ANYCAST_DELAY_TIME, RFC 4861 §10.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// *Fixed*: answers that wait on an interface. Further ones leave at once: that is what everybody's do.
const MOST: usize = 64;

/// Who asked for which address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) target: Ipv6Addr,
    /// `::`: everybody is told.
    pub(crate) by: Ipv6Addr,
    /// His station, where it is known.
    pub(crate) mac: Option<MacAddr>,
}

/// Questions whose answers wait, by when those are due.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    all: BTreeMap<(Instant, u64), Asked>,
    next: u64,
}

impl Waiting {
    /// Says whether there is room.
    fn put(&mut self, at: Instant, asked: Asked) -> bool {
        let fits = self.all.len() < MOST;
        if fits {
            self.all.insert((at, self.next), asked);
            self.next += 1;
        }
        fits
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.all.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<Asked> {
        let due = self
            .all
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        Some(due.remove())
    }
}

impl Addresses {
    /// Is it one of ours that other stations have as well?
    pub(crate) fn is_anycast(&self, address: IpAddr) -> bool {
        self.anycast > 0 && self.get(address).is_some_and(|own| own.anycast)
    }
}

impl Net {
    /// Answers who asks for an anycast address in a moment, which nobody can foretell.
    pub(in crate::stack) fn answer_later(&mut self, now: Instant, on: InterfaceId, asked: Asked) {
        let at = now + below(&mut self.random, MAX_DELAY);
        if self.interfaces[on.index()]
            .addresses
            .waiting_answers
            .put(at, asked)
        {
            self.set_interface_timer(on);
        } else {
            self.advertise(on, &asked);
        }
    }

    /// The address that answers what came to one of ours: that one, unless it is anycast (RFC 4443 §2.2 (b), §4.2) or a group's;
    /// `None`: one of the interface.
    pub(in crate::stack) fn answering(&self, packet: &Inbound) -> Option<IpAddr> {
        let dst = packet.dst;
        let has = |on: InterfaceId| self.interfaces[on.index()].addresses.is_anycast(dst);
        let anycast = match packet.on {
            InterfaceId::LOOPBACK => self.owners_of(dst).any(has),
            on => has(on),
        };
        (packet.unicast && !anycast).then_some(dst)
    }
}
