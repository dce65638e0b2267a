//! A hierarchical timing wheel: one deadline per key, constant work to set, clear and find the next.
//!
//! G. Varghese, T. Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7.
//! *Owns* the stack's deadlines. *Does not* say what happens when one comes.
//!
//! A deadline lies on the level of the highest group of six bits in which it differs from the wheel's
//! own time, so no level ever wraps and its lowest occupied bucket is its earliest. Each bucket is a
//! doubly linked list with the least deadline put in it. A deadline that moves later stays where it
//! is and is corrected when its bucket comes up (RTO restarts on every ACK); the next wake-up may
//! thus be early, never late. A jump over hours costs one step per occupied bucket.
//!
//! Buckets that have come are emptied node by node, so that the caller may stop anywhere: a million
//! deadlines at once are no call of a second. The wheel's own time moves on only when all of them are
//! empty: till then everything is placed by the time before, and nothing mixes.

use super::ids::make_room;
use crate::base::Instant;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TimerKey {
    /// The connection in this slot.
    Tcp(u32),
    /// The half-open connection in this slot.
    HalfOpen(u32),
    /// The TIME-WAIT record that ends first.
    TimeWait,
    /// The FIN-WAIT-2 record in this slot.
    FinWait(u32),
    /// The RSTs that are owed and did not leave.
    Farewells,
    /// The neighbour entry in this slot.
    Neighbour(u32),
    /// The addresses of the interface with this index: duplicate detection, announcements, ends of lives.
    Interface(u32),
    /// The SYN cookies that are remembered.
    Cookies,
    /// The datagram whose fragments have waited longest.
    Reassembly,
    /// The narrow paths that are remembered.
    Paths,
    /// The look at all sockets whether they still have their addresses.
    Sweep,
    /// The DHCP client of the interface with this index.
    Dhcp(u32),
    /// What routers said on the interface with this index, and the question for them.
    Router(u32),
    /// What is to be told of the groups of the interface with this index.
    Groups(u32),
    /// The session of a translated packet that has been silent longest.
    Nat,
}

const KINDS: usize = 15;
// A link has four bits for them, and all of them set is none.
const _: () = assert!(KINDS < 16);
/// The finest bucket is 2^10 ns wide: 1 us.
const SHIFT: u32 = 10;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 9; // 10 + 9 * 6 = 64 bits

impl TimerKey {
    const fn place(self) -> (usize, usize) {
        match self {
            Self::Tcp(index) => (0, index as usize),
            Self::HalfOpen(index) => (1, index as usize),
            Self::TimeWait => (2, 0),
            Self::Neighbour(index) => (3, index as usize),
            Self::Interface(index) => (4, index as usize),
            Self::Farewells => (5, 0),
            Self::FinWait(index) => (6, index as usize),
            Self::Cookies => (7, 0),
            Self::Reassembly => (8, 0),
            Self::Paths => (9, 0),
            Self::Sweep => (10, 0),
            Self::Dhcp(index) => (11, index as usize),
            Self::Router(index) => (12, index as usize),
            Self::Groups(index) => (13, index as usize),
            Self::Nat => (14, 0),
        }
    }
}

/// Where a key's node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Bucket(u16),
    /// Its bucket came, its deadline did not: it waits to be put in another.
    Moved,
}

/// 32 bytes, for there is one per connection.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// [`NEVER`] when there is none.
    deadline: Instant,
    /// The deadline under which it was put in its bucket: never later than `deadline`.
    queued: Instant,
    place: Place,
    previous: Link,
    next: Link,
}

impl Node {
    fn deadline(&self) -> Option<Instant> {
        (self.deadline != NEVER).then_some(self.deadline)
    }
}

const NEVER: Instant = Instant::FAR_FUTURE;

const IDLE: Node = Node {
    deadline: NEVER,
    queued: Instant::ZERO,
    place: Place::Nowhere,
    previous: Link::NONE,
    next: Link::NONE,
};

/// A key or none, in four bytes: the kind above the slot's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u32);

impl Link {
    const NONE: Self = Self(u32::MAX);
    const INDEX_BITS: u32 = 28;

    fn to(key: TimerKey) -> Self {
        let (kind, index) = key.place();
        debug_assert!(index >> Self::INDEX_BITS == 0, "{index} sockets");
        let pack = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self(pack(kind) << Self::INDEX_BITS | pack(index))
    }

    fn key(self) -> Option<TimerKey> {
        let index = self.0 & ((1 << Self::INDEX_BITS) - 1);
        match self.0 >> Self::INDEX_BITS {
            0 => Some(TimerKey::Tcp(index)),
            1 => Some(TimerKey::HalfOpen(index)),
            2 => Some(TimerKey::TimeWait),
            3 => Some(TimerKey::Neighbour(index)),
            4 => Some(TimerKey::Interface(index)),
            5 => Some(TimerKey::Farewells),
            6 => Some(TimerKey::FinWait(index)),
            7 => Some(TimerKey::Cookies),
            8 => Some(TimerKey::Reassembly),
            9 => Some(TimerKey::Paths),
            10 => Some(TimerKey::Sweep),
            11 => Some(TimerKey::Dhcp(index)),
            12 => Some(TimerKey::Router(index)),
            13 => Some(TimerKey::Groups(index)),
            14 => Some(TimerKey::Nat),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    head: Option<TimerKey>,
    /// No node in it is queued earlier.
    least: Instant,
}

/// The wheel.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// What buckets are chosen by.
    time: Instant,
    /// Buckets that come by then are being emptied; `time` when none is left.
    until: Instant,
    /// The bucket that is being emptied, if it is not empty yet.
    open: usize,
    nodes: [Vec<Node>; KINDS],
    buckets: Box<[Bucket]>,
    occupied: [u64; LEVELS],
    /// Levels with an occupied bucket, a bit each.
    levels: u16,
    /// When the first bucket comes, and [`NEVER`] without one: what is asked far more often than one comes.
    soonest: Instant,
    /// Nodes that are [`Place::Moved`].
    moved: Vec<TimerKey>,
}

impl Default for Wheel {
    fn default() -> Self {
        let empty = Bucket {
            head: None,
            least: Instant::FAR_FUTURE,
        };
        Self {
            time: Instant::ZERO,
            until: Instant::ZERO,
            open: 0,
            nodes: Default::default(),
            buckets: vec![empty; LEVELS * SLOTS].into_boxed_slice(),
            occupied: [0; LEVELS],
            levels: 0,
            soonest: NEVER,
            moved: Vec::new(),
        }
    }
}

impl Wheel {
    /// Sets the one deadline of `key`, or clears it.
    pub(crate) fn set(&mut self, key: TimerKey, deadline: Option<Instant>) {
        let (kind, index) = key.place();
        let nodes = &mut self.nodes[kind];
        if nodes.len() <= index {
            if deadline.is_none() {
                return;
            }
            make_room(nodes, index + 1 - nodes.len());
            nodes.resize(index + 1, IDLE);
        }
        let node = &mut nodes[index];
        node.deadline = deadline.unwrap_or(NEVER);
        let queued = node.queued;
        match (node.place, deadline) {
            // `next_expired` looks at the deadline again.
            (Place::Nowhere, None) | (Place::Moved, _) => {}
            (Place::Nowhere, Some(at)) => self.link(key, at),
            (Place::Bucket(_), Some(at)) if at >= queued => {}
            (Place::Bucket(_), Some(at)) => {
                self.unlink(key);
                self.link(key, at);
            }
            (Place::Bucket(_), None) => self.unlink(key),
        }
    }

    /// The deadline of `key`.
    #[cfg(test)]
    pub(crate) fn get(&self, key: TimerKey) -> Option<Instant> {
        let (kind, index) = key.place();
        self.nodes[kind].get(index)?.deadline()
    }

    /// When to call [`next_expired`](Self::next_expired) next: not later than the earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let next = if self.moved.is_empty() {
            self.soonest
        } else {
            self.soonest.min(self.until)
        };
        (next != NEVER).then_some(next)
    }

    /// Takes one key whose deadline is not after `now`; its deadline is cleared. Each step, one key or
    /// one that is put elsewhere, is taken off `steps`; with none left there may be more.
    pub(crate) fn next_expired(&mut self, now: Instant, steps: &mut usize) -> Option<TimerKey> {
        let until = self.until.max(now);
        if until < self.soonest && self.moved.is_empty() {
            (self.until, self.time) = (until, until);
            return None;
        }
        loop {
            if *steps == 0 {
                return None;
            }
            if let Some(key) = self.pop_come() {
                *steps -= 1;
                let until = self.until;
                let node = self.node(key);
                if node.deadline <= until {
                    node.deadline = NEVER;
                    return Some(key);
                }
                node.place = Place::Moved;
                self.moved.push(key);
                continue;
            }
            self.time = self.until;
            if let Some(key) = self.moved.pop() {
                *steps -= 1;
                let node = self.node(key);
                node.place = Place::Nowhere;
                if let Some(at) = node.deadline() {
                    self.link(key, at);
                }
            } else if self.until < now {
                self.until = now;
            } else {
                return None;
            }
        }
    }

    /// Takes a node out of a bucket that has come.
    fn pop_come(&mut self) -> Option<TimerKey> {
        let has_come = |bucket: &Bucket| bucket.head.is_some() && bucket.least <= self.until;
        if !has_come(&self.buckets[self.open]) {
            let earliest = self.earliest()?;
            if !has_come(&self.buckets[earliest]) {
                return None;
            }
            self.open = earliest;
        }
        let key = self.buckets[self.open].head?;
        self.unlink(key);
        Some(key)
    }

    /// The first bucket of each level that has any: of few levels, as a rule.
    fn firsts(&self) -> impl Iterator<Item = usize> + '_ {
        let mut levels = self.levels;
        core::iter::from_fn(move || {
            let level = levels.trailing_zeros() as usize;
            let bits = self.occupied.get(level)?;
            levels &= levels - 1;
            Some(level * SLOTS + bits.trailing_zeros() as usize)
        })
    }

    /// The bucket that comes first.
    fn earliest(&self) -> Option<usize> {
        let firsts = self.firsts();
        firsts.min_by_key(|&bucket| self.buckets[bucket].least)
    }

    fn link(&mut self, key: TimerKey, at: Instant) {
        // What is overdue already waits in the bucket of the wheel's own time.
        let when = at.max(self.time).as_nanos();
        let differing = (when ^ self.time.as_nanos()) >> SHIFT;
        let level = (63 - (differing | 1).leading_zeros()) / BITS;
        let slot =
            usize::try_from(when >> (SHIFT + level * BITS) & (SLOTS as u64 - 1)).unwrap_or(0);
        let bucket = level as usize * SLOTS + slot;
        let head = self.buckets[bucket].head.replace(key);
        self.buckets[bucket].least = self.buckets[bucket].least.min(at);
        self.soonest = self.soonest.min(at);
        self.occupied[level as usize] |= 1 << slot;
        self.levels |= 1 << level;
        if let Some(head) = head {
            self.node(head).previous = Link::to(key);
        }
        let node = self.node(key);
        node.queued = at;
        node.place = Place::Bucket(u16::try_from(bucket).unwrap_or(u16::MAX));
        node.previous = Link::NONE;
        node.next = head.map_or(Link::NONE, Link::to);
    }

    fn unlink(&mut self, key: TimerKey) {
        let node = self.node(key);
        let Place::Bucket(bucket) = node.place else {
            return;
        };
        let bucket = usize::from(bucket);
        node.place = Place::Nowhere;
        let (previous, next) = (node.previous, node.next);
        (node.previous, node.next) = (Link::NONE, Link::NONE);
        if let Some(next) = next.key() {
            self.node(next).previous = previous;
        }
        match previous.key() {
            Some(previous) => self.node(previous).next = next,
            None => self.buckets[bucket].head = next.key(),
        }
        if self.buckets[bucket].head.is_none() {
            let least = core::mem::replace(&mut self.buckets[bucket].least, NEVER);
            let level = bucket / SLOTS;
            self.occupied[level] &= !(1 << (bucket % SLOTS));
            if self.occupied[level] == 0 {
                self.levels &= !(1 << level);
            }
            if least == self.soonest {
                let earliest = self.earliest();
                self.soonest = earliest.map_or(NEVER, |bucket| self.buckets[bucket].least);
            }
        }
    }

    fn node(&mut self, key: TimerKey) -> &mut Node {
        let (kind, index) = key.place();
        &mut self.nodes[kind][index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_jump_of_hours_fires_what_is_due_and_keeps_the_rest() {
        let mut wheel = Wheel::default();
        let hour = Duration::from_secs(3600);
        for n in 0..100u32 {
            wheel.set(TimerKey::Tcp(n), Some(Instant::ZERO + hour * n));
        }
        let now = Instant::ZERO + hour * 50;
        assert_eq!(all(&mut wheel, now).len(), 51);
        assert!(wheel.next_deadline() <= Some(now + hour));
        assert!(wheel.next_deadline() > Some(now));
    }

    /// All that are due.
    fn all(wheel: &mut Wheel, now: Instant) -> Vec<TimerKey> {
        core::iter::from_fn(|| wheel.next_expired(now, &mut usize::MAX.clone())).collect()
    }

    fn one(wheel: &mut Wheel, now: Instant) -> Option<TimerKey> {
        wheel.next_expired(now, &mut 1000)
    }

    #[test]
    fn a_deadline_cleared_while_due_does_not_fire() {
        let mut wheel = Wheel::default();
        let at = Instant::from_millis(5);
        wheel.set(TimerKey::Tcp(0), Some(at));
        wheel.set(TimerKey::Tcp(1), Some(at));
        let first = one(&mut wheel, at).unwrap();
        let other = if first == TimerKey::Tcp(0) {
            TimerKey::Tcp(1)
        } else {
            TimerKey::Tcp(0)
        };
        wheel.set(other, None);
        assert_eq!(one(&mut wheel, at), None);
        wheel.set(other, Some(Instant::from_millis(6)));
        assert_eq!(wheel.get(other), Some(Instant::from_millis(6)));
        assert_eq!(one(&mut wheel, Instant::from_millis(6)), Some(other));
    }

    /// Deadlines that were put off cost a step each to take out of the bucket that has come, and one to
    /// put in another: a call does no more of either than it may.
    #[test]
    fn what_was_put_off_costs_steps_too() {
        let mut wheel = Wheel::default();
        let (come, later) = (Instant::from_millis(5), Instant::from_millis(500));
        for n in 0..100 {
            wheel.set(TimerKey::Tcp(n), Some(come));
            wheel.set(TimerKey::Tcp(n), Some(later));
        }
        let mut calls = 0;
        let mut moved = 0;
        while wheel.next_deadline().is_some_and(|at| at <= come) {
            assert_eq!(wheel.next_expired(come, &mut 10), None);
            let waits = wheel.moved.len();
            assert!(waits.abs_diff(moved) <= 10, "{moved}, then {waits}");
            moved = waits;
            calls += 1;
        }
        assert_eq!((calls, moved), (20, 0));
        assert_eq!(all(&mut wheel, later).len(), 100);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, u64),
        Clear(u32),
        Advance(u64),
        /// Time passes, and only so many steps are made.
        Begin(u64, usize),
    }

    fn span() -> impl Strategy<Value = u64> {
        prop_oneof![
            0u64..3000,
            0u64..5_000_000,
            0u64..20_000_000_000,
            any::<u64>()
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u32..12, span()).prop_map(|(key, after)| Step::Set(key, after)),
            1 => (0u32..12).prop_map(Step::Clear),
            2 => span().prop_map(|by| Step::Advance(by % 40_000_000_000)),
            2 => (span(), 0usize..4).prop_map(|(by, steps)| Step::Begin(by % 40_000_000_000, steps)),
        ]
    }

    fn key(number: u32) -> TimerKey {
        match number % 3 {
            0 => TimerKey::Tcp(number),
            1 => TimerKey::Neighbour(number),
            _ => TimerKey::HalfOpen(number),
        }
    }

    proptest! {
        #[test]
        fn equals_a_naive_list(steps in prop::collection::vec(step(), 1..150)) {
            let mut wheel = Wheel::default();
            let mut model: BTreeMap<TimerKey, Instant> = BTreeMap::new();
            let mut now = Instant::ZERO;
            for step in steps {
                match step {
                    Step::Set(n, after) => {
                        let at = now + Duration::from_nanos(after);
                        wheel.set(key(n), Some(at));
                        model.insert(key(n), at);
                    }
                    Step::Clear(n) => {
                        wheel.set(key(n), None);
                        model.remove(&key(n));
                    }
                    Step::Advance(by) => {
                        now = now + Duration::from_nanos(by);
                        let mut fired = all(&mut wheel, now);
                        fired.sort_unstable();
                        let due: Vec<_> =
                            model.iter().filter(|&(_, &at)| at <= now).map(|(&k, _)| k).collect();
                        model.retain(|_, at| *at > now);
                        prop_assert_eq!(fired, due);
                        prop_assert!(wheel.next_deadline().is_none_or(|at| at > now));
                    }
                    Step::Begin(by, mut steps) => {
                        now = now + Duration::from_nanos(by);
                        while let Some(key) = wheel.next_expired(now, &mut steps) {
                            let at = model.remove(&key);
                            prop_assert!(at.is_some_and(|at| at <= now), "{key:?} at {at:?}");
                        }
                    }
                }
                let least = wheel.buckets.iter().map(|bucket| bucket.least).min();
                prop_assert_eq!(Some(wheel.soonest), least, "of all buckets");
                let next = wheel.next_deadline();
                match model.values().min() {
                    Some(&least) => prop_assert!(next.is_some_and(|at| at <= least)),
                    // What was cleared while it moved may cost a wake-up, and a call for nothing.
                    None => prop_assert!(next.is_none_or(|at| at <= now)),
                }
                for (&k, &at) in &model {
                    prop_assert_eq!(wheel.get(k), Some(at));
                }
            }
        }
    }
}
