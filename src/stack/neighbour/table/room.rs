//! Who gives way when the table is full.
//!
//! *Owns* the order of unresolved entries, the clock hand over the others, and how one that was heard of comes
//! in. *Does not* resolve.

use core::time::Duration;
use std::collections::hash_map::Entry as Place;

use super::{Effect, Entry, NeighbourKey, Neighbours, RETRANS_TIMER, State, timer};
use crate::base::{Instant, MacAddr};
use crate::stack::ids::{InterfaceId, RawId, Slab};
use crate::stack::wheel::Wheel;

/// Entries looked at for one to evict.
const SWEEP: usize = 16;
/// How long a question may wait for its answer before another takes its place: so many are asked in
/// a second at most, whatever peers send.
const LEAST_WAIT: Duration = RETRANS_TIMER;

/// Who needs an unresolved entry; the least gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// An answer of the stack's own, to an address that may be forged.
    Answer,
    /// A datagram of a socket, which may be an answer as well.
    Datagram,
    /// A connection.
    Connection,
}

impl Neighbours {
    /// Is there room for one more unresolved entry, if need be in the place of an older one that is
    /// needed no more than it?
    pub(super) fn make_room_to_ask(
        &mut self,
        now: Instant,
        timers: &mut Wheel,
        need: Need,
    ) -> bool {
        let full = self.incomplete.len() * 2 >= self.limit;
        let own_full = need == Need::Answer && self.answers * 8 >= self.limit;
        if !full && !own_full {
            return true;
        }
        let Some(&(least, _, id)) = self.incomplete.first() else {
            return false;
        };
        let waited = |entry: &Entry| now.since(entry.made.0) >= LEAST_WAIT;
        let gives_way = match need {
            // A peer cannot make these, so they need not wait for what it can.
            Need::Connection if least < need => true,
            Need::Connection => false,
            _ => least <= need && self.entries.get(id).is_some_and(waited),
        };
        if gives_way {
            self.give_up(timers, id);
        }
        gives_way
    }

    pub(super) fn list(&mut self, need: Need, order: u64, id: RawId) {
        self.incomplete.insert((need, order, id));
        self.answers += usize::from(need == Need::Answer);
    }

    pub(super) fn unlist(&mut self, need: Need, order: u64, id: RawId) {
        if self.incomplete.remove(&(need, order, id)) {
            self.answers -= usize::from(need == Need::Answer);
        }
    }

    /// Others need its place more.
    pub(super) fn give_up(&mut self, timers: &mut Wheel, id: RawId) {
        if let Some(entry) = self.remove(timers, id) {
            self.tell(entry, false);
        }
    }

    /// Is there room for one more, if need be in the place of one that nobody uses, or that never
    /// answered?
    pub(super) fn make_room(&mut self, now: Instant, timers: &mut Wheel) -> bool {
        match find_room(&self.entries, self.limit, &mut self.hand, now) {
            Room::Free => true,
            Room::Instead(id, key) => {
                self.index.remove(key);
                discard(&mut self.entries, timers, id);
                true
            }
            Room::None => false,
        }
    }

    /// Somebody asks us: its answer will have to find it (RFC 826, RFC 4861 §7.2.3). Whoever is new is
    /// entered, with one look-up for both.
    pub(super) fn heard_or_learn(
        &mut self,
        now: Instant,
        timers: &mut Wheel,
        key: NeighbourKey,
        mac: MacAddr,
    ) {
        let place = match self.index.entry(key) {
            Place::Occupied(known) => {
                let id = *known.get();
                return self.heard_request(timers, id, mac);
            }
            Place::Vacant(place) => place,
        };
        let gone = match find_room(&self.entries, self.limit, &mut self.hand, now) {
            Room::Free => None,
            Room::Instead(id, gone) => {
                discard(&mut self.entries, timers, id);
                Some(gone)
            }
            Room::None => return,
        };
        self.made += 1;
        let (made, asker) = ((now, self.made), (key.1, Need::Answer));
        let entry = Entry::new(key, State::Stale, mac, asker, made);
        place.insert(self.entries.insert(entry));
        if let Some(gone) = gone {
            self.index.remove(gone);
        }
    }

    /// The link of an interface is up again, and may be another one, where others have the same addresses: who was known is
    /// asked for anew, as on Linux, which forgets its neighbours with the carrier. Walks the table.
    pub(crate) fn forget_link(&mut self, timers: &mut Wheel, on: InterfaceId) {
        let known =
            |entry: &Entry| entry.key.0 == on && !matches!(entry.state, State::Incomplete { .. });
        let all = self.entries.iter().filter(|(_, entry)| known(entry));
        let gone: Vec<_> = all.map(|(id, entry)| (id, entry.key)).collect();
        for (id, key) in gone {
            self.index.remove(key);
            discard(&mut self.entries, timers, id);
        }
    }

    /// An interface is gone, and all neighbours on it: who waits for one is told. Walks the table.
    pub(crate) fn forget_interface(&mut self, timers: &mut Wheel, on: InterfaceId) {
        let all = self.entries.iter().filter(|(_, entry)| entry.key.0 == on);
        let gone: Vec<_> = all.map(|(id, _)| id).collect();
        for id in gone {
            if let Some(entry) = self.remove(timers, id) {
                self.tell(entry, true);
            }
        }
    }

    /// What became of those who waited for an entry that is gone.
    pub(super) fn tell(&mut self, entry: Entry, failed: bool) {
        let on = entry.key.0;
        let drop = |packet| match failed {
            true => Effect::Undelivered { on, packet },
            false => Effect::Drop,
        };
        let waiting = entry.waiting.unwrap_or_default();
        self.effects.extend(waiting.queue.into_iter().map(drop));
        let sockets = waiting.sockets.into_iter();
        self.effects
            .extend(sockets.map(|waiter| Effect::Fail { waiter }));
    }
}

/// Where one more entry goes.
enum Room {
    Free,
    /// In the place of this one, for whom nobody waits.
    Instead(RawId, NeighbourKey),
    None,
}

/// A clock hand goes round, a few entries at a time.
fn find_room(entries: &Slab<RawId, Entry>, limit: usize, hand: &mut u32, now: Instant) -> Room {
    if entries.len() < limit {
        return Room::Free;
    }
    let slots = u32::try_from(limit).unwrap_or(u32::MAX).max(1);
    let mut unproven = Room::None;
    for _ in 0..SWEEP {
        *hand = (*hand + 1) % slots;
        let Some((id, entry)) = entries.at(*hand) else {
            continue;
        };
        match entry.state {
            State::Stale => return Room::Instead(id, entry.key),
            // An entry that nobody has sent to since its time ran out is stale, if not by name.
            State::Reachable { until } if until <= now => return Room::Instead(id, entry.key),
            // Learned from its own word alone, which may be forged, and answered since.
            State::Delay | State::Probe { .. }
                if !entry.proven && matches!(unproven, Room::None) =>
            {
                unproven = Room::Instead(id, entry.key);
            }
            _ => {}
        }
    }
    unproven
}

/// Forgets one for whom nobody waits, where it lies.
fn discard(entries: &mut Slab<RawId, Entry>, timers: &mut Wheel, id: RawId) {
    debug_assert!(entries.get(id).is_some_and(|e| e.waiting.is_none()));
    timers.set(timer(id), None);
    entries.discard(id);
}
