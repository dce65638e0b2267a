//! Addresses that are made of what routers say, and their lifetimes.
//!
//! RFC 4862 §5.5.3, §5.5.4; RFC 7217 §6 (after a duplicate); RFC 8981 §3.4, §3.5 (temporary ones). *Owns* the list, and which
//! are to be made. *Does not* own their states: who has them in use does. An entry without an address keeps its
//! place until its lifetime ends: so no other is tried for ever.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use super::{Action, Actions, Identifiers, earliest, end, is_ordinary};
use crate::base::{Cidr, Instant};
use crate::ipv6::ndp::PrefixInformation;

/// Addresses at most, temporary ones included (Linux's `max_addresses`).
pub(crate) const MAX_FORMED: usize = 16;
/// Bits of a network that has identifiers of 64 bits (RFC 2464 §4).
const NETWORK_BITS: u8 = 64;
/// RFC 4862 §5.5.3 (e): less than this is left to nobody by a word that anybody may have said.
const TWO_HOURS: Duration = Duration::from_secs(2 * 3600);
/// IDGEN_RETRIES, RFC 7217 §6, and TEMP_IDGEN_RETRIES, RFC 8981 §3.8.
const IDGEN_RETRIES: u8 = 3;
/// IDGEN_DELAY, RFC 7217 §6.
const IDGEN_DELAY: Duration = Duration::from_secs(1);
/// TEMP_VALID_LIFETIME, RFC 8981 §3.8.
const TEMP_VALID: Duration = Duration::from_secs(2 * 86_400);
/// TEMP_PREFERRED_LIFETIME, RFC 8981 §3.8.
const TEMP_PREFERRED: Duration = Duration::from_secs(86_400);
/// MAX_DESYNC_FACTOR, RFC 8981 §3.8: 0.4 of it.
const MAX_DESYNC: Duration = Duration::from_secs(34_560);

/// What an address is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RFC 7217, without a router.
    LinkLocal,
    /// RFC 7217.
    Stable,
    /// RFC 8981.
    Temporary,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    network: Ipv6Addr,
    kind: Kind,
    /// `None` while another is to be made, and for good when no other is.
    address: Option<Ipv6Addr>,
    /// How many of them somebody else had.
    duplicates: u8,
    /// When another is made.
    retry: Option<Instant>,
    preferred: Instant,
    valid: Instant,
    /// RFC 8981 §3.4: the latest that a temporary one's lifetimes end.
    latest: (Instant, Instant),
}

impl Entry {
    fn is(&self, network: Ipv6Addr, kind: Kind) -> bool {
        (self.network, self.kind) == (network, kind)
    }

    /// RFC 4862 §5.5.3 (e), RFC 8981 §3.4.
    fn renew(&mut self, now: Instant, told: &PrefixInformation) {
        let (said, left) = (end(now, told.valid_lifetime), self.valid.since(now));
        let valid = if said > now + TWO_HOURS || said > self.valid {
            said
        } else if left <= TWO_HOURS {
            self.valid
        } else {
            now + TWO_HOURS
        };
        self.valid = valid.min(self.latest.1);
        let preferred = end(now, told.preferred_lifetime).min(self.latest.0);
        self.preferred = preferred.min(self.valid);
    }
}

/// The list, in the order in which its entries were made.
#[derive(Debug, Default)]
pub(super) struct Formed(Vec<Entry>);

impl Formed {
    /// A router tells of a prefix; returns whether there was room.
    pub(super) fn on_prefix(
        &mut self,
        now: Instant,
        told: &PrefixInformation,
        identifiers: &Identifiers,
        out: &mut Actions,
    ) -> bool {
        // RFC 4862 §5.5.3 (a) to (c); (d): of another length it fits no identifier.
        let ignored = !told.autonomous
            || !is_ordinary(told.prefix)
            || told.preferred_lifetime > told.valid_lifetime
            || told.prefix_len != NETWORK_BITS;
        if ignored {
            return true;
        }
        let network = network_of(told.prefix);
        let mut is_known = false;
        for entry in self.0.iter_mut().filter(|e| e.network == network) {
            is_known |= entry.kind == Kind::Stable;
            let before = (entry.preferred, entry.valid);
            entry.renew(now, told);
            if let Some(address) = entry.address
                && before != (entry.preferred, entry.valid)
            {
                out.push_back(Action::Renew {
                    address,
                    preferred: entry.preferred,
                    valid: entry.valid,
                });
            }
        }
        if is_known || told.valid_lifetime == 0 {
            return true;
        }
        let preferred = end(now, told.preferred_lifetime);
        let lifetimes = (preferred, end(now, told.valid_lifetime));
        let never = (Instant::FAR_FUTURE, Instant::FAR_FUTURE);
        let address = identifiers.stable(network, 0);
        self.form((network, Kind::Stable), address, (lifetimes, never), out)
    }

    /// A link-local address, for ever (RFC 4862 §5.3).
    pub(super) fn form_link_local(&mut self, identifiers: &Identifiers, out: &mut Actions) {
        let network = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
        let address = identifiers.stable(network, 0);
        let never = (Instant::FAR_FUTURE, Instant::FAR_FUTURE);
        self.form((network, Kind::LinkLocal), address, (never, never), out);
    }

    /// Returns whether there was room.
    fn form(
        &mut self,
        (network, kind): (Ipv6Addr, Kind),
        address: Ipv6Addr,
        (lifetimes, latest): ((Instant, Instant), (Instant, Instant)),
        out: &mut Actions,
    ) -> bool {
        if self.0.len() >= MAX_FORMED {
            return false;
        }
        let entry = Entry {
            network,
            kind,
            address: Some(address),
            duplicates: 0,
            retry: None,
            preferred: lifetimes.0,
            valid: lifetimes.1,
            latest,
        };
        out.extend(action(&entry));
        self.0.push(entry);
        true
    }

    /// Temporary addresses where there are none that last (RFC 8981 §3.4, §3.5); returns whether there was room.
    ///
    /// `advance` is REGEN_ADVANCE: an address that is preferred for no longer is replaced, or not made at all.
    pub(super) fn renew_temporary(
        &mut self,
        now: Instant,
        advance: Duration,
        identifiers: &mut Identifiers,
        out: &mut Actions,
    ) -> bool {
        let lasts = |entry: &Entry| entry.preferred > now + advance;
        let stable = |entry: &&Entry| entry.kind == Kind::Stable && lasts(entry);
        let networks: Vec<_> = self.0.iter().filter(stable).copied().collect();
        let mut room = true;
        for Entry {
            network,
            preferred,
            valid,
            ..
        } in networks
        {
            let mut all = self.0.iter();
            if all.any(|entry| entry.is(network, Kind::Temporary) && lasts(entry)) {
                continue;
            }
            let most = u64::try_from(MAX_DESYNC.as_nanos()).unwrap_or(u64::MAX);
            let desync = Duration::from_nanos(identifiers.below(most));
            let latest = (now + (TEMP_PREFERRED - desync), now + TEMP_VALID);
            let lifetimes = (preferred.min(latest.0), valid.min(latest.1));
            let address = identifiers.temporary(network);
            room &= self.form(
                (network, Kind::Temporary),
                address,
                (lifetimes, latest),
                out,
            );
        }
        room
    }

    /// Somebody else has this address: another is made, at once or in a while, but not for ever. Returns whether it was one
    /// of these.
    pub(super) fn on_duplicate(
        &mut self,
        now: Instant,
        address: Ipv6Addr,
        identifiers: &mut Identifiers,
        out: &mut Actions,
    ) -> bool {
        let Some(entry) = self.find(address) else {
            return false;
        };
        entry.address = None;
        entry.duplicates += 1;
        out.push_back(Action::Remove(address));
        if entry.duplicates > IDGEN_RETRIES {
            return true;
        }
        if entry.kind == Kind::Temporary {
            // RFC 8981 §3.4 (7): the next one at once.
            entry.address = Some(identifiers.temporary(entry.network));
            out.extend(action(entry));
        } else {
            entry.retry = Some(now + IDGEN_DELAY);
        }
        true
    }

    /// No address is made in place of this one.
    pub(super) fn give_up(&mut self, address: Ipv6Addr) {
        if let Some(entry) = self.find(address) {
            entry.address = None;
        }
    }

    /// Those in place of duplicates, when it is time (RFC 7217 §6).
    pub(super) fn retry(&mut self, now: Instant, identifiers: &Identifiers, out: &mut Actions) {
        let due = |entry: &&mut Entry| entry.retry.is_some_and(|at| at <= now);
        for entry in self.0.iter_mut().filter(due) {
            entry.retry = None;
            entry.address = Some(identifiers.stable(entry.network, entry.duplicates));
            out.extend(action(entry));
        }
    }

    /// Who has them in use takes them away by itself at the same time.
    pub(super) fn expire(&mut self, now: Instant) {
        self.0.retain(|entry| entry.valid > now);
    }

    /// All but the link-local one go.
    pub(super) fn forget(&mut self, out: &mut Actions) {
        let gone = self.0.extract_if(.., |entry| entry.kind != Kind::LinkLocal);
        let addresses = gone.filter_map(|entry| entry.address);
        out.extend(addresses.map(Action::Remove));
    }

    /// When something of this is due: an end, another try, or a temporary address's successor.
    pub(super) fn next_due(&self, now: Instant, advance: Duration) -> Option<Instant> {
        let ends = self.0.iter().map(|entry| entry.valid);
        let retries = self.0.iter().filter_map(|entry| entry.retry);
        let temporary = self.0.iter().filter(|e| e.kind == Kind::Temporary);
        // What was due then has been done, or cannot be.
        let successor = temporary.map(|e| before(e.preferred, advance));
        let successor = successor.filter(|&at| at > now);
        earliest(ends.chain(retries).chain(successor))
    }

    /// Is there an address of this prefix?
    pub(super) fn holds(&self, told: &PrefixInformation) -> bool {
        let network = network_of(told.prefix);
        self.0.iter().any(|entry| entry.is(network, Kind::Stable))
    }

    /// The same of a prefix that is as long as those of which addresses are made.
    pub(super) fn is_of(&self, told: &PrefixInformation) -> bool {
        told.prefix_len == NETWORK_BITS && self.holds(told)
    }

    /// The temporary ones.
    #[cfg(test)]
    pub(super) fn temporary(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        let temporary = self.0.iter().filter(|e| e.kind == Kind::Temporary);
        temporary.filter_map(|entry| entry.address)
    }

    fn find(&mut self, address: Ipv6Addr) -> Option<&mut Entry> {
        let mut all = self.0.iter_mut();
        all.find(|entry| entry.address == Some(address))
    }
}

/// What is to be done for an entry with an address.
fn action(entry: &Entry) -> Option<Action> {
    Some(Action::Form {
        cidr: Cidr::new(IpAddr::V6(entry.address?), NETWORK_BITS).ok()?,
        kind: entry.kind,
        preferred: entry.preferred,
        valid: entry.valid,
    })
}

/// The first 64 bits.
fn network_of(prefix: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.to_bits() >> 64 << 64)
}

/// So long before.
fn before(at: Instant, by: Duration) -> Instant {
    if at == Instant::FAR_FUTURE {
        return at;
    }
    Instant::from_nanos(at.as_nanos().saturating_sub(crate::base::nanos(by)))
}
