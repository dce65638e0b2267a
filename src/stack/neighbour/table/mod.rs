//! The one table of neighbours: which MAC address has this IP address on this interface, and does
//! it still answer?
//!
//! RFC 4861 §7.3.2 (states), §7.2.5 and appendix C (what is heard), §7.3.3 (probing), for IPv6 and,
//! with ARP's packets, for IPv4 (RFC 826, RFC 1122 §2.3.2.1, §2.3.2.2, §2.4); RFC 6583 §7 (bounds). *Owns* the entries and the packets that
//! wait for them. *Does not* send: what it wants done stands in [`Effect`]s.
//! Invariants: the table is bounded; what answered and is in use is never evicted (r59); unresolved
//! entries take half of the table at most, those that no socket needs an eighth, and the
//! oldest and least needed gives way; each holds a bounded queue; a packet costs no walk.

mod index;
mod room;
mod times;
mod waiting;

pub(crate) use room::Need;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use super::messages::{Effect, Heard, Lookup, NeighbourKey};
use crate::base::{Instant, KeyedState, MacAddr, Random};
use crate::stack::config::Config;
use crate::stack::ids::{Id, InterfaceId, RawId, Slab};
use crate::stack::packet::{OwnedPacket, Waiter};
use crate::stack::wheel::{TimerKey, Wheel};
use index::Index;
pub(crate) use times::RETRANS_TIMER;
use times::Times;
use waiting::Waiting;

/// MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT, RFC 4861 §10.
const MAX_SOLICIT: u8 = 3;
/// DELAY_FIRST_PROBE_TIME, RFC 4861 §10.
const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);
/// RFC 4861 §7.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Incomplete { tries: u8 },
    Reachable { until: Instant },
    Stale,
    Delay,
    Probe { tries: u8 },
}

#[derive(Debug)]
struct Entry {
    key: NeighbourKey,
    state: State,
    mac: MacAddr,
    /// The source of the packet that started resolution (RFC 4861 §7.2.2).
    source: IpAddr,
    /// None while nobody waits: most entries never have one.
    waiting: Option<Box<Waiting>>,
    /// A question stands in the outbox: it counts once it has left.
    asking: bool,
    /// Has it ever answered?
    proven: bool,
    need: Need,
    /// When it was made, and its place in the order of that.
    made: (Instant, u64),
}

impl Entry {
    fn new(
        key: NeighbourKey,
        state: State,
        mac: MacAddr,
        (source, need): (IpAddr, Need),
        made: (Instant, u64),
    ) -> Self {
        Self {
            key,
            state,
            mac,
            source,
            waiting: None,
            asking: false,
            proven: false,
            need,
            made,
        }
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Neighbours {
    entries: Slab<RawId, Entry>,
    index: Index,
    /// The unresolved ones by need, the oldest first.
    incomplete: BTreeSet<(Need, u64, RawId)>,
    /// Of these, the ones that no socket needs.
    answers: usize,
    made: u64,
    limit: usize,
    queue_limit: usize,
    /// Payload bytes that wait, in all queues together, and what they should not exceed.
    queued: usize,
    queue_bytes: usize,
    /// Those of them that are passed on.
    transit: usize,
    hand: u32,
    times: Times,
    pub(crate) effects: VecDeque<Effect>,
}

impl Neighbours {
    pub(crate) fn new(config: &Config) -> Self {
        let seed = &config.seed;
        Self {
            entries: Slab::new(),
            index: Index::new(KeyedState::new(seed.key("neighbour table"))),
            incomplete: BTreeSet::new(),
            answers: 0,
            made: 0,
            limit: config.neighbour_limit,
            queue_limit: config.neighbour_queue,
            queued: 0,
            queue_bytes: config.neighbour_queue_bytes,
            transit: 0,
            hand: 0,
            times: Times::new(
                Random::new(seed.key("reachable time")),
                config.reachable_time,
            ),
            effects: VecDeque::new(),
        }
    }

    /// All entries, for who looks only: key, state, and the MAC address, which means nothing of one that never answered.
    pub(in crate::stack) fn entries(
        &self,
    ) -> impl Iterator<Item = (NeighbourKey, State, MacAddr)> + '_ {
        let entries = self.entries.iter();
        entries.map(|(_, entry)| (entry.key, entry.state, entry.mac))
    }

    /// Looks up where to send; starts resolution, or the check of a stale entry, when that is due.
    pub(crate) fn lookup(
        &mut self,
        now: Instant,
        timers: &mut Wheel,
        key: NeighbourKey,
        source: IpAddr,
        need: Need,
    ) -> Lookup {
        let Some((id, entry)) = self.find(key) else {
            return self.start(now, timers, key, source, need);
        };
        match entry.state {
            State::Incomplete { .. } => {
                if need > entry.need {
                    let (old, (_, order)) = (entry.need, entry.made);
                    entry.need = need;
                    self.unlist(old, order, id);
                    self.list(need, order, id);
                }
                return Lookup::Unresolved(id);
            }
            State::Reachable { until } if now < until => {}
            State::Reachable { .. } | State::Stale => {
                // RFC 4861 §7.3.3: the first packet to a stale entry starts the delay.
                entry.state = State::Delay;
                entry.source = source;
                timers.set(timer(id), Some(now + DELAY_FIRST_PROBE));
            }
            State::Delay | State::Probe { .. } => {}
        }
        Lookup::Known(entry.mac)
    }

    /// The entry of this neighbour.
    #[inline]
    fn find(&mut self, key: NeighbourKey) -> Option<(RawId, &mut Entry)> {
        let id = self.index.find(key)?;
        Some((id, self.entries.get_mut(id)?))
    }

    /// Wakes this socket when the entry is resolved or fails.
    pub(crate) fn wait(&mut self, id: RawId, waiter: Waiter) {
        if let Some(entry) = self.entries.get_mut(id) {
            let waiting = entry.waiting.get_or_insert_default();
            waiting.sockets.insert(waiter);
        }
    }

    /// This socket is gone: it waits for nobody. Free of charge while nobody is asked for.
    pub(crate) fn forget(&mut self, key: NeighbourKey, waiter: Waiter) {
        if self.incomplete.is_empty() {
            return;
        }
        let id = self.index.get(key);
        let entry = id.and_then(|id| self.entries.get_mut(id));
        if let Some(waiting) = entry.and_then(|entry| entry.waiting.as_mut()) {
            waiting.sockets.remove(&waiter);
        }
    }

    /// A higher layer saw the neighbour answer (RFC 4861 §7.3.1): a new ACK of our data.
    pub(crate) fn confirm(&mut self, now: Instant, timers: &mut Wheel, key: NeighbourKey) {
        let fresh = self.reachable(now, key.0);
        let Some((id, entry)) = self.find(key) else {
            return;
        };
        match core::mem::replace(&mut entry.state, fresh) {
            State::Incomplete { tries } => entry.state = State::Incomplete { tries },
            // As nearly each time: its timer does not run.
            State::Reachable { .. } => entry.proven = true,
            State::Stale | State::Delay | State::Probe { .. } => {
                entry.proven = true;
                timers.set(timer(id), None);
            }
        }
    }

    /// The station that it is, as far as is known.
    pub(crate) fn mac(&self, key: NeighbourKey) -> Option<MacAddr> {
        let entry = self.index.get(key).and_then(|id| self.entries.get(id))?;
        (!matches!(entry.state, State::Incomplete { .. })).then_some(entry.mac)
    }

    /// Is it known to answer, by what it said last?
    pub(crate) fn is_reachable(&self, key: NeighbourKey) -> bool {
        let entry = self.index.get(key).and_then(|id| self.entries.get(id));
        entry.is_some_and(|entry| matches!(entry.state, State::Reachable { .. }))
    }

    /// Does an answer of this neighbour answer a question of ours?
    pub(crate) fn awaits(&self, key: NeighbourKey) -> bool {
        let id = self.index.get(key);
        let entry = id.and_then(|id| self.entries.get(id));
        let asked = |e: &Entry| matches!(e.state, State::Incomplete { .. } | State::Probe { .. });
        entry.is_some_and(asked)
    }

    /// The question for this entry has left.
    pub(crate) fn asked(&mut self, now: Instant, timers: &mut Wheel, id: RawId) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        entry.asking = false;
        if let State::Incomplete { tries } | State::Probe { tries } = &mut entry.state {
            *tries += 1;
            let retrans = self.times.retrans(entry.key.0);
            timers.set(timer(id), Some(now + retrans));
        }
    }

    /// It found no room: it is asked again, and does not count.
    pub(crate) fn not_asked(&mut self, now: Instant, timers: &mut Wheel, id: RawId) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.asking = false;
            timers.set(timer(id), Some(now + RETRANS_TIMER));
        }
    }

    /// Judges what a packet says; returns whether that is taken for true (RFC 4861 §7.2.5).
    pub(crate) fn heard(
        &mut self,
        now: Instant,
        timers: &mut Wheel,
        key: NeighbourKey,
        heard: Heard,
    ) -> bool {
        if let Heard::Asks { mac, create: true } = heard {
            self.heard_or_learn(now, timers, key, mac);
            return true;
        }
        match (self.index.get(key), heard) {
            (Some(id), Heard::Asks { mac, .. }) => {
                self.heard_request(timers, id, mac);
                true
            }
            // RFC 4861 §7.2.5, RFC 826: what nobody asked for creates nothing.
            (None, _) => false,
            (
                Some(id),
                Heard::Advertises {
                    mac,
                    solicited,
                    overrides,
                },
            ) => self.heard_advert(now, timers, id, mac, solicited, overrides),
        }
    }

    /// The timer of the entry in this slot fired.
    pub(crate) fn on_timeout(&mut self, timers: &mut Wheel, index: u32) {
        let Some(id) = self.entries.id_at(index) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let mac = match entry.state {
            State::Incomplete { tries } if tries < MAX_SOLICIT => None,
            State::Probe { tries } if tries < MAX_SOLICIT => Some(entry.mac),
            State::Delay => {
                entry.state = State::Probe { tries: 0 };
                Some(entry.mac)
            }
            State::Incomplete { .. } | State::Probe { .. } => return self.fail(timers, id),
            State::Reachable { .. } | State::Stale => return,
        };
        self.ask(id, mac);
    }

    /// Has somebody ask for it, unless the last question has not left yet.
    fn ask(&mut self, id: RawId, mac: Option<MacAddr>) {
        if let Some(entry) = self.entries.get_mut(id)
            && !entry.asking
        {
            entry.asking = true;
            let (key, source) = (entry.key, entry.source);
            self.effects.push_back(Effect::Solicit {
                id,
                key,
                source,
                mac,
            });
        }
    }

    /// The state of an entry.
    #[cfg(test)]
    pub(crate) fn state(&self, key: NeighbourKey) -> Option<State> {
        let id = self.index.get(key)?;
        self.entries.get(id).map(|entry| entry.state)
    }

    /// Payload bytes that wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Sockets that wait for one.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let entries = self.entries.iter();
        let waiting = entries.filter_map(|(_, entry)| entry.waiting.as_ref());
        waiting.map(|waiting| waiting.sockets.len()).sum()
    }

    /// Entries in the table.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn start(
        &mut self,
        now: Instant,
        timers: &mut Wheel,
        key: NeighbourKey,
        source: IpAddr,
        need: Need,
    ) -> Lookup {
        if !self.make_room_to_ask(now, timers, need) || !self.make_room(now, timers) {
            return Lookup::NoRoom;
        }
        let state = State::Incomplete { tries: 0 };
        self.made += 1;
        let made = (now, self.made);
        let entry = Entry::new(key, state, MacAddr::ZERO, (source, need), made);
        let id = self.entries.insert(entry);
        self.index.insert(key, id);
        self.list(need, self.made, id);
        self.ask(id, None);
        Lookup::Unresolved(id)
    }

    fn heard_request(&mut self, timers: &mut Wheel, id: RawId, mac: MacAddr) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if matches!(entry.state, State::Incomplete { .. }) {
            self.resolve(timers, id, mac, State::Stale);
        } else if entry.mac != mac {
            entry.mac = mac;
            entry.state = State::Stale;
            timers.set(timer(id), None);
        }
    }

    /// RFC 4861 §7.2.5.
    fn heard_advert(
        &mut self,
        now: Instant,
        timers: &mut Wheel,
        id: RawId,
        mac: Option<MacAddr>,
        solicited: bool,
        overrides: bool,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(id) else {
            return false;
        };
        let until = now + self.times.reachable(now, entry.key.0);
        let fresh = State::Reachable { until };
        if matches!(entry.state, State::Incomplete { .. }) {
            let state = if solicited { fresh } else { State::Stale };
            if let Some(mac) = mac {
                self.resolve(timers, id, mac, state);
            }
            return mac.is_some();
        }
        let differs = mac.is_some_and(|mac| mac != entry.mac);
        if differs && !overrides {
            if matches!(entry.state, State::Reachable { .. }) {
                entry.state = State::Stale;
            }
            return false;
        }
        entry.mac = mac.unwrap_or(entry.mac);
        if solicited {
            entry.state = fresh;
            entry.proven = true;
            timers.set(timer(id), None);
        } else if differs {
            entry.state = State::Stale;
            timers.set(timer(id), None);
        }
        true
    }

    /// The MAC address of an unresolved entry is known: what waited goes.
    fn resolve(&mut self, timers: &mut Wheel, id: RawId, mac: MacAddr, state: State) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        entry.mac = mac;
        entry.state = state;
        entry.proven = matches!(state, State::Reachable { .. });
        timers.set(timer(id), None);
        let on = entry.key.0;
        let (need, (_, order)) = (entry.need, entry.made);
        if let Some(waiting) = entry.waiting.take() {
            self.queued -= waiting.payload_bytes();
            self.transit -= waiting.transit_bytes();
            let (transit, own): (Vec<_>, Vec<_>) =
                waiting.queue.into_iter().partition(OwnedPacket::is_transit);
            // Each of what is passed on goes before all that came later: the last one first.
            let packets = own.into_iter().chain(transit.into_iter().rev());
            self.effects
                .extend(packets.map(|packet| Effect::Send { on, packet }));
            let sockets = waiting.sockets.into_iter();
            self.effects
                .extend(sockets.map(|waiter| Effect::Wake { on, waiter }));
        }
        self.unlist(need, order, id);
    }

    /// RFC 4861 §7.2.2, §7.3.3: no answer, the entry goes, those who waited are told.
    fn fail(&mut self, timers: &mut Wheel, id: RawId) {
        let Some(entry) = self.remove(timers, id) else {
            return;
        };
        self.effects.push_back(Effect::Dead { key: entry.key });
        self.tell(entry, true);
    }

    fn remove(&mut self, timers: &mut Wheel, id: RawId) -> Option<Entry> {
        let entry = self.entries.get(id)?;
        self.index.remove(entry.key);
        if let Some(waiting) = &entry.waiting {
            self.queued -= waiting.payload_bytes();
            self.transit -= waiting.transit_bytes();
        }
        // The others are not listed.
        if matches!(entry.state, State::Incomplete { .. }) {
            self.unlist(entry.need, entry.made.1, id);
        }
        timers.set(timer(id), None);
        self.entries.remove(id)
    }

    fn reachable(&mut self, now: Instant, on: InterfaceId) -> State {
        let until = now + self.times.reachable(now, on);
        State::Reachable { until }
    }

    /// How long neighbours on this interface count as reachable, and how long an answer takes, as a router says; `None`: it
    /// does not (RFC 4861 §6.3.4).
    pub(crate) fn set_times(
        &mut self,
        on: InterfaceId,
        reachable: Option<Duration>,
        retrans: Option<Duration>,
    ) {
        self.times.set(on, reachable, retrans);
    }
}

fn timer(id: RawId) -> TimerKey {
    TimerKey::Neighbour(id.index())
}
