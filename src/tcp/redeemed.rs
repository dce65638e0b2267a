//! Which SYN cookies made a connection, so that none makes two (RFC 9293 §3.4).
//!
//! *Owns* the epochs that cookies are made in, and the numbers of those that were redeemed. *Does not* make
//! cookies: `cookie` does. A cookie is good in its own epoch and the next one. An epoch ends after 64 s, or
//! when as many cookies were redeemed in it as are remembered: those that come too fast to be remembered
//! for long are good for a shorter time, and none is ever good twice.
//! Invariant: what is remembered covers every cookie that is still good.

use core::time::Duration;
use std::collections::HashSet;

use crate::base::{Instant, KeyedState, Seed};

use super::seq::SeqNum;

/// How long an epoch lasts at most. Linux's count is of 60 s; a power of two here.
pub(super) const EPOCH_SECS: u64 = 64;

/// Redeemed cookies after which an epoch ends: what a table of 2^14 places holds, 144 KiB.
const EPOCH_REDEEMED: usize = 14_336;

/// Both ends' initial numbers.
type Numbers = (SeqNum, SeqNum);

/// The epochs, and what was redeemed in the last two.
#[derive(Clone, Debug)]
pub(super) struct Redeemed {
    limit: usize,
    state: KeyedState,
    /// The epoch of now. Those before the first are nobody's.
    epoch: u64,
    began: Instant,
    this: HashSet<Numbers, KeyedState>,
    last: HashSet<Numbers, KeyedState>,
}

impl Redeemed {
    pub(super) fn new(seed: &Seed) -> Self {
        let state = KeyedState::new(seed.key("tcp redeemed cookies"));
        Self {
            limit: EPOCH_REDEEMED,
            epoch: 1,
            began: Instant::ZERO,
            this: HashSet::with_hasher(state.clone()),
            last: HashSet::with_hasher(state.clone()),
            state,
        }
    }

    /// The epoch of `now`, whose cookies are good, as those of the one before it are.
    pub(super) fn epoch(&mut self, now: Instant) -> u64 {
        let passed = now.since(self.began).as_secs() / EPOCH_SECS;
        let began = self.began + Duration::from_secs(passed * EPOCH_SECS);
        for _ in 0..passed.min(2) {
            self.begin(began);
        }
        self.epoch
    }

    /// When the epoch is over at the latest, if anything is remembered that goes then or an epoch later.
    pub(super) fn end(&self) -> Option<Instant> {
        let none = self.this.is_empty() && self.last.is_empty();
        (!none).then(|| self.began + Duration::from_secs(EPOCH_SECS))
    }

    /// Did this cookie make a connection?
    pub(super) fn contains(&self, numbers: Numbers) -> bool {
        self.this.contains(&numbers) || self.last.contains(&numbers)
    }

    /// This one does now.
    pub(super) fn insert(&mut self, now: Instant, numbers: Numbers) {
        self.this.insert(numbers);
        if self.this.len() >= self.limit {
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Instant) {
        self.epoch += 1;
        self.began = now;
        let new = HashSet::with_hasher(self.state.clone());
        self.last = core::mem::replace(&mut self.this, new);
    }
}

#[cfg(test)]
impl Redeemed {
    /// With another limit.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.this.len() + self.last.len()
    }

    /// How many the tables have room for.
    pub(super) fn room(&self) -> usize {
        self.this.capacity() + self.last.capacity()
    }
}
