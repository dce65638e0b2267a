//! The frames that have left the line and not yet arrived.
//!
//! *Owns* their order: by when they arrive, then by when they were put here. A ring holds those that
//! keep their order, and only what overtakes or falls behind goes through a tree.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::base::Instant;

#[derive(Debug, Default)]
pub(super) struct Flight {
    ring: VecDeque<(Instant, u64, Bytes)>,
    tree: BTreeMap<(Instant, u64), Bytes>,
    /// Displaced frames, oldest first.
    aside: VecDeque<Aside>,
    entered: u64,
    /// How many frames were put behind those that wait aside.
    passed: u64,
}

/// A frame that waits for others to overtake it.
#[derive(Debug)]
struct Aside {
    data: Bytes,
    /// It goes on when so many have passed in all,
    passes: u64,
    /// or at this time.
    at_latest: Instant,
}

impl Flight {
    /// A frame that arrives at `due`, or with the last of those in order when that is later. Returns
    /// when it arrives.
    pub(super) fn push_in_order(&mut self, due: Instant, data: Bytes) -> Instant {
        let due = self.ring.back().map_or(due, |last| last.0.max(due));
        self.entered += 1;
        self.ring.push_back((due, self.entered, data));
        due
    }

    /// A frame that arrives at `due`, whoever else does.
    pub(super) fn push(&mut self, due: Instant, data: Bytes) {
        self.entered += 1;
        self.tree.insert((due, self.entered), data);
    }

    /// A frame that waits until `frames` others have passed it, and not beyond `at_latest`.
    /// Those that wait keep their order: none goes on before one that was put here earlier.
    pub(super) fn put_aside(&mut self, data: Bytes, frames: u32, at_latest: Instant) {
        let at_latest = self
            .aside
            .back()
            .map_or(at_latest, |last| last.at_latest.max(at_latest));
        self.aside.push_back(Aside {
            data,
            passes: self.passed + u64::from(frames),
            at_latest,
        });
    }

    /// A frame that arrives at `due` has passed those that wait: lets go whom it was the last for.
    pub(super) fn pass(&mut self, due: Instant) {
        self.passed += 1;
        while let Some(front) = self.aside.front()
            && front.passes <= self.passed
            && let Some(aside) = self.aside.pop_front()
        {
            self.push(due.min(aside.at_latest), aside.data);
        }
    }

    /// Lets go those that have waited long enough.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.next_expiry().is_some_and(|at| at <= now)
            && let Some(aside) = self.aside.pop_front()
        {
            self.push(aside.at_latest, aside.data);
        }
    }

    /// When the first that waits has waited long enough.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.aside.front().map(|aside| aside.at_latest)
    }

    /// When the next frame arrives, of those that do not wait for others.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let ring = self.ring.front().map(|first| first.0);
        let tree = self.tree.first_key_value().map(|(key, _)| key.0);
        match (ring, tree) {
            (Some(ring), Some(tree)) => Some(ring.min(tree)),
            (ring, tree) => ring.or(tree),
        }
    }

    /// The next frame, if it has arrived.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Bytes)> {
        let ring = self.ring.front().map(|first| (first.0, first.1));
        let tree = self.tree.first_key_value().map(|(key, _)| *key);
        let from_tree = match (ring, tree) {
            (None, None) => return None,
            (Some(ring), Some(tree)) => tree < ring,
            (ring, _) => ring.is_none(),
        };
        if from_tree {
            let first = self
                .tree
                .first_entry()
                .filter(|first| first.key().0 <= now)?;
            let ((due, _), data) = first.remove_entry();
            return Some((due, data));
        }
        if ring?.0 > now {
            return None;
        }
        self.ring.pop_front().map(|(due, _, data)| (due, data))
    }

    /// Frames in it.
    pub(super) fn len(&self) -> usize {
        self.ring.len() + self.tree.len() + self.aside.len()
    }
}
