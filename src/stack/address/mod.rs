//! An interface's addresses: how they come into use, how long they stay, and who else claims them.
//!
//! RFC 4862 §5.4 (duplicate detection for IPv6), §5.5.4 (lifetimes), RFC 5227 §2.1, §2.3, §2.4 (probes, announcements
//! and defence for IPv4). *Owns* the list, and each address's deadlines; `source` the choice among them, `owners` which interface has
//! which, `claims` what is sent and heard of them, `state` one by itself, `near` those that most packets are for, `told` whose prefixes they are of, `anycast` which are others' too, `entries` how one is added and taken away, `news` the words for what
//! becomes of one. What is due is said by [`Addresses::on_timeout`]. Invariants: an address that is neither
//! [`AddressState::Preferred`] nor [`AddressState::Deprecated`] nor [`AddressState::Optimistic`] is never a source; an address has one number, by the order of
//! adding, and no other has it ever after; each operation costs a few looks into ordered tables, however many addresses
//! there are.

mod anycast;
mod claims;
mod entries;
mod near;
mod news;
mod owners;
mod source;
mod state;
mod told;

pub(in crate::stack) use anycast::Asked;
pub(in crate::stack) use claims::Nonce;
pub use entries::AddressError;
pub(crate) use entries::NewAddress;
pub(in crate::stack) use entries::can_be_ours;
pub(crate) use news::{AddressEvent, AddressNews};
pub(crate) use owners::Owners;
pub(crate) use state::{Address, Conflict, Detection, Due};
pub use state::{AddressInfo, AddressState, Origin};

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Instant, MacAddr, Random};
use crate::stack::neighbour::RETRANS_TIMER;
use anycast::Waiting;
use near::Near;
use source::Sources;
use told::Told;

/// PROBE_NUM, RFC 5227 §1.1.
pub(in crate::stack) const PROBE_NUM: u8 = 3;
/// What RFC 5227 §1.1 reckons in: PROBE_WAIT and PROBE_MIN are as long, PROBE_MAX and ANNOUNCE_WAIT twice as long.
pub(in crate::stack) const PROBE_UNIT: Duration = Duration::from_secs(1);
/// ANNOUNCE_NUM, RFC 5227 §1.1.
const ANNOUNCE_NUM: u8 = 2;
/// ANNOUNCE_INTERVAL, RFC 5227 §1.1.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// DEFEND_INTERVAL, RFC 5227 §1.1.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// The addresses of one interface, in the order of adding.
///
/// Whatever a packet asks is answered from an index, so that it costs the same for one address and
/// for a hundred thousand.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// By their numbers.
    all: BTreeMap<u64, Address>,
    numbers: BTreeMap<IpAddr, u64>,
    /// The next number.
    next: u64,
    near: Near,
    due: BTreeSet<(Instant, u64)>,
    ends: BTreeSet<(Instant, u64)>,
    in_use: Sources,
    tentative: Sources,
    /// Who tells of the prefixes that they are made of.
    told: Told,
    /// Tentative, optimistic and duplicate ones.
    out_of_use: usize,
    /// Tentative ones alone.
    waiting: usize,
    /// Those that other stations have as well.
    anycast: usize,
    /// Questions for them.
    waiting_answers: Waiting,
    /// Was any ever taken away?
    lost_any: bool,
    /// The addresses that other stations claimed, and who did first, in the order of that.
    disputes: BTreeMap<u64, (IpAddr, Option<MacAddr>)>,
    /// Claims that were the first of an address.
    disputed: u64,
    /// What probes for IPv4 addresses are paced by.
    unit: Duration,
    /// RetransTimer, as a router says: what probes for IPv6 ones are.
    retrans: Duration,
    /// Are routers told of IPv6 ones (RFC 9131)?
    told_routers: bool,
}

impl Default for Addresses {
    fn default() -> Self {
        Self::paced(PROBE_UNIT)
    }
}

impl Addresses {
    /// None yet; probes for IPv4 addresses leave one or two of `unit` apart.
    pub(crate) fn paced(unit: Duration) -> Self {
        Self {
            all: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next: 0,
            near: Near::default(),
            due: BTreeSet::new(),
            ends: BTreeSet::new(),
            in_use: Sources::default(),
            tentative: Sources::default(),
            told: Told::default(),
            out_of_use: 0,
            waiting: 0,
            anycast: 0,
            waiting_answers: Waiting::default(),
            lost_any: false,
            disputes: BTreeMap::new(),
            disputed: 0,
            unit,
            retrans: RETRANS_TIMER,
            told_routers: false,
        }
    }

    /// Adds an address that is not there. It is probed for first where `detection` says so; without that IPv4 ones are
    /// announced, if `announced`.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        new: NewAddress,
        detection: Detection,
        announced: bool,
    ) {
        let NewAddress { cidr, origin, .. } = new;
        let own = cidr.address();
        debug_assert!(!self.numbers.contains_key(&own), "{own} is there");
        let mut address = Address {
            cidr,
            state: AddressState::Tentative,
            origin,
            preferred_until: new.preferred_until.min(new.valid_until),
            valid_until: new.valid_until,
            on_link: new.on_link,
            anycast: new.anycast,
            left: detection.probes,
            due: None,
            end: None,
            defended: None,
            nonces: 0,
            looped: false,
            disputed: None,
        };
        let mut due = Some(now + detection.delay);
        if detection.probes == 0 {
            address.state = address.state_in_use(now);
            address.left = match announced {
                true => address.announcements(self.told_routers),
                false => 0,
            };
            due = (address.left > 0).then_some(now);
        } else if detection.optimistic {
            address.state = AddressState::Optimistic;
        }
        let number = self.next;
        self.next += 1;
        self.anycast += usize::from(new.anycast);
        self.all.insert(number, address);
        self.numbers.insert(own, number);
        self.near.add(own, address.state);
        self.told.add(number, cidr, origin);
        self.set_due(number, due);
        self.set_end(number);
        self.join(number);
    }

    /// Takes an address away, and says what it was.
    pub(crate) fn remove(&mut self, own: IpAddr) -> Option<Address> {
        let number = *self.numbers.get(&own)?;
        self.set_due(number, None);
        self.leave(number);
        self.numbers.remove(&own);
        self.near.remove(own);
        let address = self.all.remove(&number)?;
        if let Some(end) = address.end {
            self.ends.remove(&(end, number));
        }
        if let Some(dispute) = address.disputed {
            self.disputes.remove(&dispute);
        }
        self.told.remove(number, address.cidr);
        self.anycast -= usize::from(address.anycast);
        self.lost_any = true;
        Some(address)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Address> {
        self.all.values()
    }

    /// The address, with all that is known of it.
    pub(in crate::stack) fn get(&self, own: IpAddr) -> Option<&Address> {
        self.all.get(self.numbers.get(&own)?)
    }

    /// The addresses that others claimed, the first of each.
    pub(crate) fn disputes(&self) -> impl ExactSizeIterator<Item = (IpAddr, Option<MacAddr>)> + '_ {
        self.disputes.values().copied()
    }

    /// The state of `address`, if it is one of these.
    #[inline]
    pub(crate) fn state(&self, address: IpAddr) -> Option<AddressState> {
        let near = self.near.get(address);
        near.or_else(|| self.state_far(address))
    }

    #[cold]
    fn state_far(&self, address: IpAddr) -> Option<AddressState> {
        self.get(address).map(|a| a.state)
    }

    /// Is it ours, or about to be? Of those that are not yet in use nothing is sent, and those that
    /// another station has are nothing of ours.
    pub(crate) fn is_held(&self, address: IpAddr) -> bool {
        match self.state(address) {
            Some(AddressState::Tentative) => true,
            _ => self.is_assigned(address),
        }
    }

    /// Is it ours and in use (RFC 4862 §5.4), be it in hope alone (RFC 4429)?
    pub(crate) fn is_assigned(&self, address: IpAddr) -> bool {
        self.is_sure(address) || self.state(address) == Some(AddressState::Optimistic)
    }

    /// Is it ours and in use, and nobody else's?
    pub(crate) fn is_sure(&self, address: IpAddr) -> bool {
        let state = self.state(address);
        matches!(
            state,
            Some(AddressState::Preferred | AddressState::Deprecated)
        )
    }

    /// Are all of them in use without a doubt, and none was ever taken away? Then no source need be looked up.
    pub(crate) const fn are_in_use(&self) -> bool {
        self.out_of_use == 0 && !self.lost_any
    }

    /// Is there none that may not be used yet?
    pub(crate) const fn are_settled(&self) -> bool {
        self.waiting == 0
    }

    /// The first IPv4 address in use.
    pub(crate) fn first_v4(&self) -> Option<Ipv4Addr> {
        match self.all.get(&self.in_use.first(true)?)?.cidr.address() {
            IpAddr::V4(a) => Some(a),
            IpAddr::V6(_) => None,
        }
    }

    /// The first IPv6 address in use.
    pub(crate) fn first_v6(&self) -> Option<Ipv6Addr> {
        match self.all.get(&self.in_use.first(false)?)?.cidr.address() {
            IpAddr::V6(a) => Some(a),
            IpAddr::V4(_) => None,
        }
    }

    /// When [`on_timeout`](Self::on_timeout) is to be called.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let (due, end) = (self.due.first(), self.ends.first());
        let times = due.into_iter().chain(end).map(|&(at, _)| at);
        times.chain(self.waiting_answers.next_due()).min()
    }

    /// One thing that is due; call until `None`.
    pub(crate) fn on_timeout(&mut self, now: Instant) -> Option<Due> {
        if let Some(&(_, number)) = self.due.first().filter(|&&(at, _)| at <= now) {
            return self.on_due(now, number);
        }
        if let Some(&(_, number)) = self.ends.first().filter(|&&(at, _)| at <= now) {
            return self.on_end(now, number);
        }
        self.waiting_answers.on_timeout(now).map(Due::Answer)
    }

    fn on_due(&mut self, now: Instant, number: u64) -> Option<Due> {
        // Due again once it has left, or was refused.
        self.set_due(number, None);
        let address = self.all.get_mut(&number)?;
        let own = address.cidr.address();
        if !address.is_probed() {
            return match own {
                IpAddr::V4(own) => Some(Due::Announce(own)),
                IpAddr::V6(own) => Some(Due::Tell(own)),
            };
        }
        if address.left > 0 {
            return Some(Due::Probe(own));
        }
        let state = address.state_in_use(now);
        // RFC 5227 §2.3, RFC 9131 §6.1.2: what was probed for is announced.
        address.left = address.announcements(self.told_routers);
        let due = (address.left > 0).then_some(now);
        self.set_due(number, due);
        self.set_state(number, state);
        Some(Due::Usable(own))
    }

    fn on_end(&mut self, now: Instant, number: u64) -> Option<Due> {
        let address = self.all.get_mut(&number)?;
        let own = address.cidr.address();
        if now < address.valid_until {
            self.set_state(number, AddressState::Deprecated);
            return Some(Due::Deprecated(own));
        }
        // Told once, whatever becomes of it.
        if let Some(end) = address.end.take() {
            self.ends.remove(&(end, number));
        }
        Some(Due::Gone(own))
    }

    /// How long an address stays from now on; what that makes of it at once, if it is another state than before.
    /// An end that has come is [due](Self::on_timeout).
    pub(in crate::stack) fn set_lifetimes(
        &mut self,
        now: Instant,
        own: IpAddr,
        preferred_until: Instant,
        valid_until: Instant,
    ) -> Option<AddressState> {
        let number = *self.numbers.get(&own)?;
        let address = self.all.get_mut(&number)?;
        address.preferred_until = preferred_until.min(valid_until);
        address.valid_until = valid_until;
        let (before, after) = (address.state, address.state_in_use(now));
        if address.is_in_use() && before != after {
            self.set_state(number, after);
            return Some(after);
        }
        self.set_end(number);
        None
    }

    /// A probe for this address, or an announcement of it, has left.
    pub(crate) fn asked(&mut self, now: Instant, address: IpAddr, random: &mut Random) {
        let Some(&number) = self.numbers.get(&address) else {
            return;
        };
        let Some(own) = self.all.get_mut(&number) else {
            return;
        };
        own.left = own.left.saturating_sub(1);
        let due = match (own.state, address) {
            (AddressState::Duplicate, _) => None,
            (AddressState::Tentative | AddressState::Optimistic, IpAddr::V6(_)) => {
                Some(now + self.retrans)
            }
            // RFC 5227 §2.1.1: ANNOUNCE_WAIT after the last one, else PROBE_MIN to PROBE_MAX.
            (AddressState::Tentative, IpAddr::V4(_)) if own.left == 0 => {
                Some(now + self.unit.saturating_mul(2))
            }
            (AddressState::Tentative, IpAddr::V4(_)) => {
                Some(now + self.unit + below(random, self.unit))
            }
            // RFC 9131 §6.1.2.
            (_, IpAddr::V6(_)) => (own.left > 0).then_some(now + self.retrans),
            (_, _) => (own.left > 0).then_some(now + ANNOUNCE_INTERVAL),
        };
        self.set_due(number, due);
    }

    /// Another station was seen to use, or to probe for, one of ours: a tentative address becomes a
    /// duplicate (RFC 4862 §5.4.3, §5.4.4, RFC 5227 §2.1.1); an IPv4 one is to be defended, not more than once per
    /// interval (RFC 5227 §2.4 (c)) after it [was](Self::defended).
    pub(crate) fn on_conflict(
        &mut self,
        now: Instant,
        address: IpAddr,
        station: Option<MacAddr>,
    ) -> Conflict {
        let Some(&number) = self.numbers.get(&address) else {
            return Conflict::NotOurs;
        };
        let Some(own) = self.all.get_mut(&number) else {
            return Conflict::NotOurs;
        };
        if own.disputed.is_none() && own.state != AddressState::Duplicate {
            own.disputed = Some(self.disputed);
            self.disputes.insert(self.disputed, (address, station));
            self.disputed += 1;
        }
        match (own.state, address) {
            (AddressState::Tentative | AddressState::Optimistic, _) => {
                self.set_due(number, None);
                self.set_state(number, AddressState::Duplicate);
                Conflict::Duplicate
            }
            (AddressState::Preferred | AddressState::Deprecated, IpAddr::V4(address)) => {
                let again = |at: Instant| now.since(at) >= DEFEND_INTERVAL;
                if own.defended.is_none_or(again) {
                    Conflict::Defend(address)
                } else {
                    Conflict::Counted
                }
            }
            (AddressState::Preferred | AddressState::Deprecated, IpAddr::V6(_)) => {
                Conflict::Counted
            }
            (AddressState::Duplicate, _) => Conflict::NotOurs,
        }
    }

    fn set_due(&mut self, number: u64, due: Option<Instant>) {
        let Some(address) = self.all.get_mut(&number) else {
            return;
        };
        if let Some(old) = address.due {
            self.due.remove(&(old, number));
        }
        address.due = due;
        self.due.extend(due.map(|at| (at, number)));
    }

    fn set_end(&mut self, number: u64) {
        let Some(address) = self.all.get_mut(&number) else {
            return;
        };
        if let Some(old) = address.end {
            self.ends.remove(&(old, number));
        }
        address.end = address.next_end();
        self.ends.extend(address.end.map(|at| (at, number)));
    }

    fn set_state(&mut self, number: u64, state: AddressState) {
        self.leave(number);
        if let Some(address) = self.all.get_mut(&number) {
            address.state = state;
            let own = address.cidr.address();
            self.near.change(own, state);
        }
        self.join(number);
        self.set_end(number);
    }

    /// Puts an address where its state has it looked for.
    fn join(&mut self, number: u64) {
        let Some(address) = self.all.get(&number) else {
            return;
        };
        self.out_of_use += usize::from(!address.is_in_use());
        self.waiting += usize::from(address.state == AddressState::Tentative);
        let (cidr, standing) = (address.cidr, address.standing());
        match address.state {
            // Whoever answers it may be another station.
            _ if address.anycast => {}
            AddressState::Preferred | AddressState::Deprecated | AddressState::Optimistic => {
                self.in_use.insert(number, cidr, standing);
            }
            AddressState::Tentative => self.tentative.insert(number, cidr, standing),
            AddressState::Duplicate => {}
        }
    }

    fn leave(&mut self, number: u64) {
        let Some(address) = self.all.get(&number) else {
            return;
        };
        self.out_of_use -= usize::from(!address.is_in_use());
        self.waiting -= usize::from(address.state == AddressState::Tentative);
        let (cidr, standing) = (address.cidr, address.standing());
        match address.state {
            _ if address.anycast => {}
            AddressState::Preferred | AddressState::Deprecated | AddressState::Optimistic => {
                self.in_use.remove(number, cidr, standing);
            }
            AddressState::Tentative => self.tentative.remove(number, cidr, standing),
            AddressState::Duplicate => {}
        }
    }
}

/// A time below this one, or none where it is none.
pub(in crate::stack) fn below(random: &mut Random, end: Duration) -> Duration {
    let end = u64::try_from(end.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.below(end))
}

#[cfg(test)]
mod tests;
