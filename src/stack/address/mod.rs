//! An interface's addresses: how they come into use, and who else claims them.
//!
//! RFC 4862 §5.4 (duplicate detection for IPv6), RFC 5227 §2.3, §2.4 (announcements and defence for
//! IPv4). *Owns* each address's state and deadlines; `source` the choice among them, `owners` which interface has which, `claims` what is
//! sent and heard of them. What is due is said by [`Addresses::on_timeout`]. Invariant: an address that is not [`AddressState::Preferred`] is never a source.

mod claims;
mod owners;
mod source;

pub(crate) use owners::Owners;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Cidr, Instant, MacAddr};
use crate::device::Medium;
use crate::stack::neighbour::RETRANS_TIMER;
use crate::stack::screen::fold;
use source::Sources;

/// ANNOUNCE_NUM, RFC 5227 §1.1.
const ANNOUNCE_NUM: u8 = 2;
/// ANNOUNCE_INTERVAL, RFC 5227 §1.1.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// DEFEND_INTERVAL, RFC 5227 §1.1.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Addresses that are found without the index.
const NEAR: usize = 8;

/// How far an address has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressState {
    /// Duplicate detection is under way (RFC 4862 §5.4): not used yet.
    Tentative,
    /// In use.
    Preferred,
    /// Another station has it: never used (RFC 4862 §5.4.5).
    Duplicate,
}

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The user gave it.
    Given,
    /// The stack formed it (RFC 4862 §5.3).
    Formed,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) cidr: Cidr,
    pub(crate) state: AddressState,
    pub(crate) origin: Origin,
    /// Probes or announcements that are still to be sent.
    left: u8,
    due: Option<Instant>,
    defended: Option<Instant>,
    /// Has another station claimed it?
    disputed: bool,
}

/// What an address wants sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A neighbour solicitation from `::` (RFC 4862 §5.4.2).
    Probe(Ipv6Addr),
    /// An ARP announcement (RFC 5227 §2.3).
    Announce(Ipv4Addr),
    /// Nothing: this address came into use, and those who waited for it may go on.
    Usable(IpAddr),
}

/// The addresses of one interface, in the order given.
///
/// Whatever a packet asks is answered from an index, so that it costs the same for one address and
/// for a hundred thousand.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    list: Vec<Address>,
    places: BTreeMap<IpAddr, usize>,
    /// The places of the first few: most packets are for one of them.
    near: [usize; NEAR],
    due: BTreeSet<(Instant, usize)>,
    preferred: Sources,
    tentative: Sources,
    /// Tentative and duplicate ones.
    out_of_use: usize,
    /// The addresses that other stations claimed, and who did first, in the order of that.
    disputes: Vec<(IpAddr, Option<MacAddr>)>,
}

impl Addresses {
    /// Adds an address: IPv6 ones are probed for first where `probes` says so, IPv4 ones announced.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        (cidr, origin): (Cidr, Origin),
        medium: Medium,
        probes: u8,
        delay: Duration,
    ) {
        let (state, left, due) = match (medium, cidr.address()) {
            (Medium::Ip, _) => (AddressState::Preferred, 0, None),
            (Medium::Ethernet, IpAddr::V4(_)) => (AddressState::Preferred, ANNOUNCE_NUM, Some(now)),
            (Medium::Ethernet, IpAddr::V6(_)) if probes == 0 => (AddressState::Preferred, 0, None),
            (Medium::Ethernet, IpAddr::V6(_)) => {
                (AddressState::Tentative, probes, Some(now + delay))
            }
        };
        let place = self.list.len();
        self.list.push(Address {
            cidr,
            state,
            origin,
            left,
            due: None,
            defended: None,
            disputed: false,
        });
        self.places.insert(cidr.address(), place);
        // What the index finds for an address that was given twice is found here too.
        let near = &mut self.near[fold(cidr.address()) % NEAR];
        if *near == 0 || self.list[*near].cidr.address() == cidr.address() {
            *near = place;
        }
        self.set_due(place, due);
        self.join(place);
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Address> {
        self.list.iter()
    }

    /// The addresses that others claimed, the first of each.
    pub(crate) fn disputes(&self) -> &[(IpAddr, Option<MacAddr>)] {
        &self.disputes
    }

    /// The state of `address`, if it is one of these.
    pub(crate) fn state(&self, address: IpAddr) -> Option<AddressState> {
        let near = self.near[fold(address) % NEAR];
        if let Some(near) = self.list.get(near)
            && near.cidr.address() == address
        {
            return Some(near.state);
        }
        let place = *self.places.get(&address)?;
        self.list.get(place).map(|a| a.state)
    }

    /// Is it ours, or about to be? Of those that are not yet in use nothing is sent, and those that
    /// another station has are nothing of ours.
    pub(crate) fn is_held(&self, address: IpAddr) -> bool {
        match self.state(address) {
            Some(AddressState::Preferred | AddressState::Tentative) => true,
            Some(AddressState::Duplicate) | None => false,
        }
    }

    /// Is it ours and in use (RFC 4862 §5.4)?
    pub(crate) fn is_assigned(&self, address: IpAddr) -> bool {
        self.state(address) == Some(AddressState::Preferred)
    }

    /// Are all of them in use? Then none need be looked up.
    pub(crate) const fn are_in_use(&self) -> bool {
        self.out_of_use == 0
    }

    /// The best source to reach `dst` over `next_hop`. A tentative address is better than none: the
    /// packet waits until it may be used.
    pub(crate) fn source(&self, dst: IpAddr, next_hop: IpAddr) -> Option<IpAddr> {
        let place = self.preferred.select(dst, next_hop);
        let place = place.or_else(|| self.tentative.select(dst, next_hop))?;
        self.list.get(place).map(|a| a.cidr.address())
    }

    /// The first IPv4 address in use.
    pub(crate) fn first_v4(&self) -> Option<Ipv4Addr> {
        match self.list.get(self.preferred.first(true)?)?.cidr.address() {
            IpAddr::V4(a) => Some(a),
            IpAddr::V6(_) => None,
        }
    }

    /// The first IPv6 address in use.
    pub(crate) fn first_v6(&self) -> Option<Ipv6Addr> {
        match self.list.get(self.preferred.first(false)?)?.cidr.address() {
            IpAddr::V6(a) => Some(a),
            IpAddr::V4(_) => None,
        }
    }

    /// When [`on_timeout`](Self::on_timeout) is to be called.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }

    /// One thing that is due; call until `None`.
    pub(crate) fn on_timeout(&mut self, now: Instant) -> Option<Due> {
        let &(_, place) = self.due.first().filter(|&&(at, _)| at <= now)?;
        let address = self.list.get_mut(place)?;
        if address.left == 0 {
            let usable = Due::Usable(address.cidr.address());
            self.set_due(place, None);
            self.set_state(place, AddressState::Preferred);
            return Some(usable);
        }
        // Due again once it has left, or was refused.
        let own = address.cidr.address();
        self.set_due(place, None);
        Some(match own {
            IpAddr::V4(own) => Due::Announce(own),
            IpAddr::V6(own) => Due::Probe(own),
        })
    }

    /// A probe for this address, or an announcement of it, has left.
    pub(crate) fn asked(&mut self, now: Instant, address: IpAddr) {
        let Some(&place) = self.places.get(&address) else {
            return;
        };
        let Some(own) = self.list.get_mut(place) else {
            return;
        };
        own.left = own.left.saturating_sub(1);
        let due = match (own.state, address) {
            (AddressState::Duplicate, _) => None,
            (_, IpAddr::V4(_)) => (own.left > 0).then_some(now + ANNOUNCE_INTERVAL),
            (_, IpAddr::V6(_)) => Some(now + RETRANS_TIMER),
        };
        self.set_due(place, due);
    }

    /// It found no room: it is tried again, and does not count.
    pub(crate) fn not_asked(&mut self, now: Instant, address: IpAddr) {
        if let Some(&place) = self.places.get(&address) {
            self.set_due(place, Some(now + RETRANS_TIMER));
        }
    }

    /// Another station was seen to use, or to probe for, one of ours: a tentative address becomes a
    /// duplicate (RFC 4862 §5.4.3, §5.4.4); an IPv4 one is to be defended, not more than once per
    /// interval (RFC 5227 §2.4 (c)) after it [was](Self::defended).
    pub(crate) fn on_conflict(
        &mut self,
        now: Instant,
        address: IpAddr,
        station: Option<MacAddr>,
    ) -> Conflict {
        let Some(&place) = self.places.get(&address) else {
            return Conflict::NotOurs;
        };
        let Some(own) = self.list.get_mut(place) else {
            return Conflict::NotOurs;
        };
        if !own.disputed && own.state != AddressState::Duplicate {
            own.disputed = true;
            self.disputes.push((address, station));
        }
        match (own.state, address) {
            (AddressState::Tentative, _) => {
                self.set_state(place, AddressState::Duplicate);
                self.set_due(place, None);
                Conflict::Duplicate
            }
            (AddressState::Preferred, IpAddr::V4(address)) => {
                let again = |at: Instant| now.since(at) >= DEFEND_INTERVAL;
                if own.defended.is_none_or(again) {
                    Conflict::Defend(address)
                } else {
                    Conflict::Counted
                }
            }
            (AddressState::Preferred, IpAddr::V6(_)) => Conflict::Counted,
            (AddressState::Duplicate, _) => Conflict::NotOurs,
        }
    }

    /// A defence of this address is on its way: the interval begins.
    pub(crate) fn defended(&mut self, now: Instant, address: IpAddr) {
        let place = self.places.get(&address);
        if let Some(own) = place.and_then(|&place| self.list.get_mut(place)) {
            own.defended = Some(now);
        }
    }

    fn set_due(&mut self, place: usize, due: Option<Instant>) {
        let Some(address) = self.list.get_mut(place) else {
            return;
        };
        if let Some(old) = address.due {
            self.due.remove(&(old, place));
        }
        address.due = due;
        self.due.extend(due.map(|at| (at, place)));
    }

    fn set_state(&mut self, place: usize, state: AddressState) {
        self.leave(place);
        if let Some(address) = self.list.get_mut(place) {
            address.state = state;
        }
        self.join(place);
    }

    /// Puts an address where its state has it looked for.
    fn join(&mut self, place: usize) {
        let Some(&Address { cidr, state, .. }) = self.list.get(place) else {
            return;
        };
        self.out_of_use += usize::from(state != AddressState::Preferred);
        match state {
            AddressState::Preferred => self.preferred.insert(place, cidr),
            AddressState::Tentative => self.tentative.insert(place, cidr),
            AddressState::Duplicate => {}
        }
    }

    fn leave(&mut self, place: usize) {
        let Some(&Address { cidr, state, .. }) = self.list.get(place) else {
            return;
        };
        self.out_of_use -= usize::from(state != AddressState::Preferred);
        match state {
            AddressState::Preferred => self.preferred.remove(place, cidr),
            AddressState::Tentative => self.tentative.remove(place, cidr),
            AddressState::Duplicate => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn addresses(text: &str, probes: u8) -> Addresses {
        let mut addresses = Addresses::default();
        let now = Instant::ZERO;
        let given = (cidr(text), Origin::Given);
        addresses.add(now, given, Medium::Ethernet, probes, Duration::ZERO);
        addresses
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Covers: ACD-7 (two announcements, 2 s apart), ACD-8 (and no more).
    #[test]
    fn an_ipv4_address_is_announced_twice_and_usable_at_once() {
        let mut list = addresses("10.0.0.1/24", 1);
        let own = "10.0.0.1".parse().unwrap();
        assert_eq!(list.state(IpAddr::V4(own)), Some(AddressState::Preferred));
        assert_eq!(list.on_timeout(at(0)), Some(Due::Announce(own)));
        list.asked(at(0), IpAddr::V4(own));
        assert_eq!(list.on_timeout(at(0)), None);
        assert_eq!(list.next_due(), Some(at(2000)));
        assert_eq!(list.on_timeout(at(2000)), Some(Due::Announce(own)));
        list.asked(at(2000), IpAddr::V4(own));
        assert_eq!((list.on_timeout(at(9999)), list.next_due()), (None, None));
    }

    /// Covers: SLA-2 (DupAddrDetectTransmits), SLA-3.
    #[test]
    fn an_ipv6_address_is_probed_for_and_then_used() {
        for probes in [1, 3] {
            let mut list = addresses("fd00::1/64", probes);
            let own = "fd00::1".parse().unwrap();
            for probe in 0..u64::from(probes) {
                let now = at(probe * 1000);
                assert_eq!(list.state(IpAddr::V6(own)), Some(AddressState::Tentative));
                assert_eq!(list.on_timeout(now), Some(Due::Probe(own)));
                assert_eq!(list.next_due(), None, "it waits for the device");
                list.asked(now, IpAddr::V6(own));
            }
            let end = at(u64::from(probes) * 1000);
            assert_eq!(list.next_due(), Some(end));
            assert_eq!(list.on_timeout(end), Some(Due::Usable(IpAddr::V6(own))));
            assert_eq!(list.state(IpAddr::V6(own)), Some(AddressState::Preferred));
        }
        let mut off = addresses("fd00::1/64", 0);
        assert_eq!((off.on_timeout(at(0)), off.next_due()), (None, None));
    }

    /// Covers: SLA-7, SLA-8 (duplicate), ACD-11 (one defence per interval).
    #[test]
    fn conflicts() {
        let mut list = addresses("fd00::1/64", 1);
        let own: IpAddr = "fd00::1".parse().unwrap();
        let other = "fd00::2".parse().unwrap();
        assert_eq!(list.on_conflict(at(1), other, None), Conflict::NotOurs);
        assert_eq!(list.on_conflict(at(1), own, None), Conflict::Duplicate);
        assert_eq!((list.on_timeout(at(9000)), list.next_due()), (None, None));
        assert_eq!(
            (list.source(other, other), list.is_held(own)),
            (None, false)
        );

        let mut list = addresses("10.0.0.1/24", 1);
        let v4 = "10.0.0.1".parse().unwrap();
        let conflict =
            |list: &mut Addresses, millis| list.on_conflict(at(millis), IpAddr::V4(v4), None);
        assert_eq!(conflict(&mut list, 0), Conflict::Defend(v4));
        assert_eq!(conflict(&mut list, 0), Conflict::Defend(v4), "not yet");
        list.defended(at(0), IpAddr::V4(v4));
        assert_eq!(conflict(&mut list, 9_999), Conflict::Counted);
        assert_eq!(conflict(&mut list, 10_000), Conflict::Defend(v4));
    }

    /// Those that are found without the index are what the index says, for one that was given twice too.
    #[test]
    fn each_address_is_found_as_the_index_has_it() {
        let mut list = Addresses::default();
        let at = |n: u32| IpAddr::V6(Ipv6Addr::from_bits(0xfd << 120 | u128::from(n)));
        let all = (0..300u32).chain([0, 7, 8, 299]);
        for cidr in all.map(|n| Cidr::new(at(n), 64).unwrap()) {
            let given = (cidr, Origin::Given);
            list.add(Instant::ZERO, given, Medium::Ethernet, 1, Duration::ZERO);
        }
        assert!(!list.are_in_use());
        for n in (0..300).step_by(3) {
            list.on_conflict(Instant::ZERO, at(n), None);
        }
        for n in 0..300 {
            let state = if n % 3 == 0 {
                AddressState::Duplicate
            } else {
                AddressState::Tentative
            };
            assert_eq!(list.state(at(n)), Some(state), "{n}");
        }
        assert_eq!(list.state(at(300)), None);
    }
}
