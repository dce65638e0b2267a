//! Which interfaces have an address: whether a packet is from ourselves, or to us.
//!
//! RFC 1122 §3.3.4.2 (the strong model), RFC 4007 §6. *Owns* an index over what interfaces were given. *Does not*
//! own states: whether an address is held is asked of its interface.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use crate::stack::endpoint::scope_of;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{Destination, Interface};
use crate::stack::net::Net;
use crate::stack::screen::Screen;

/// The interfaces that were given an address.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    all: BTreeSet<(IpAddr, InterfaceId)>,
    /// Without loopback ones, which are ours by their looks: 127.0.0.1 would share the bit of each network's first
    /// host, and that is where its router is.
    screen: Screen,
    /// Those that were taken away since the screen was made.
    gone: usize,
}

/// A screen is made anew when as many have gone as there are, and these more.
const STALE: usize = 64;

impl Owners {
    /// An interface was given this address.
    pub(crate) fn add(&mut self, address: IpAddr, on: InterfaceId) {
        self.all.insert((address, on));
        if !address.is_loopback() {
            self.screen.add(address);
        }
    }

    /// It was taken away again.
    pub(crate) fn remove(&mut self, address: IpAddr, on: InterfaceId) {
        self.gone += usize::from(self.all.remove(&(address, on)));
        if self.gone > self.all.len() + STALE {
            self.gone = 0;
            let all = self.all.iter().map(|&(address, _)| address);
            self.screen = all.filter(|address| !address.is_loopback()).collect();
        }
    }

    /// May an interface have it, which is no loopback address? Of what none was given the answer is nearly always no.
    #[inline]
    fn may_have(&self, address: IpAddr) -> bool {
        self.screen.may_hold(address)
    }

    /// Those that were given it.
    fn given(&self, address: IpAddr) -> impl Iterator<Item = InterfaceId> {
        let from = self.all.range((address, InterfaceId::from_index(0))..);
        let given = from.take_while(move |owner| owner.0 == address);
        given.map(|owner| owner.1)
    }
}

impl Net {
    /// Is `address` one that a socket may be bound to, on `scope` if that is given?
    #[inline]
    pub(crate) fn is_ours(&self, address: IpAddr, scope: Option<InterfaceId>) -> bool {
        // As of nearly all sources.
        let nobodys = !self.owners.may_have(address) && !address.is_loopback();
        !nobodys && self.is_given(address, scope)
    }

    fn is_given(&self, address: IpAddr, scope: Option<InterfaceId>) -> bool {
        // Whichever interface has it, on the one to ourselves it is ours.
        let scope = scope.filter(|&on| on != InterfaceId::LOOPBACK);
        if self.owners.may_have(address) {
            let found = match scope {
                Some(on) => self.holds(on, address),
                None => self.owners_of(address).next().is_some(),
            };
            if found {
                return true;
            }
        }
        // RFC 1122 §3.2.1.3 (g): all of 127.0.0.0/8.
        scope.is_none() && address.is_loopback()
    }

    fn holds(&self, on: InterfaceId, address: IpAddr) -> bool {
        let interface = self.interfaces.get(on.index());
        interface.is_some_and(|i| i.addresses.is_held(address))
    }

    /// The interfaces that have `address`.
    pub(in crate::stack) fn owners_of(&self, address: IpAddr) -> impl Iterator<Item = InterfaceId> {
        let given = self.owners.given(address);
        given.filter(move |on| self.holds(*on, address))
    }

    /// Cannot `src` have sent a packet that came in on `on`, because it is ours? Our addresses on other
    /// interfaces count, but for link-local ones, which mean another host there. What comes from within is our own.
    pub(crate) fn is_own_source(&self, on: InterfaceId, src: IpAddr) -> bool {
        let local = is_of_one_link(src).then_some(on);
        self.is_ours(src, local) && on != InterfaceId::LOOPBACK
    }

    /// Are packets to `address` taken, on `scope` if that is given: is it ours, or does an interface take any?
    pub(crate) fn takes(&self, address: IpAddr, scope: Option<InterfaceId>) -> bool {
        self.is_ours(address, scope) || self.accepts_foreign(address, scope)
    }

    /// May packets leave over `on` from `address`, for what answers them is taken there: the interface has it, or is a router's,
    /// which is its packets' end at each of its addresses (RFC 1812 §5.2.3)?
    pub(crate) fn speaks_from(&self, address: IpAddr, on: InterfaceId) -> bool {
        self.takes(address, Some(on)) || self.has_elsewhere(address, on)
    }

    /// Is `on` a router's, and `address` one that another of its interfaces has, and not of that link alone?
    pub(crate) fn has_elsewhere(&self, address: IpAddr, on: InterfaceId) -> bool {
        let passes_on = self.interfaces.get(on.index());
        passes_on.is_some_and(|i| i.forwards(address))
            && !is_of_one_link(address)
            && self.owners_of(address).next().is_some()
    }

    /// Is this local address of a flow over `on` ours no more, and not taken as if it were?
    pub(in crate::stack) fn has_lost(&self, local: IpAddr, on: InterfaceId) -> bool {
        !self.speaks_from(local, on)
    }

    /// The same of what a socket is bound to: of any interface, unless it is link-local.
    pub(in crate::stack) fn has_lost_local(&self, local: SocketAddr) -> bool {
        let ip = local.ip();
        // A group is nobody's address.
        let owned = !ip.is_unspecified() && !ip.is_multicast();
        owned && !self.takes(ip, scope_of(local))
    }

    /// Does an interface take packets for other hosts' addresses as ours?
    fn accepts_foreign(&self, address: IpAddr, scope: Option<InterfaceId>) -> bool {
        let takes = |i: &Interface| i.accept_foreign && i.classify(address) == Destination::Ours;
        match scope {
            Some(on) => self.interfaces.get(on.index()).is_some_and(takes),
            None => self.interfaces.iter().any(takes),
        }
    }
}

/// Does it mean another host on each link?
const fn is_of_one_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}
