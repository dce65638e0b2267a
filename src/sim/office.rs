//! What a simulated host knows of its applications: whose a socket is, and who wants to be woken when.
//!
//! *Owns* both tables and the host's chance. *Does not* hold the applications, so that one that is
//! woken can use all of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::base::{Instant, Random, Seed};
use crate::stack::SocketId;

#[derive(Debug)]
pub(super) struct Office {
    owners: BTreeMap<SocketId, usize>,
    alarms: BinaryHeap<Reverse<Alarm>>,
    /// Alarms asked for so far.
    asked: u64,
    random: Random,
}

/// By time, then in the order in which they were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Alarm {
    at: Instant,
    number: u64,
    app: usize,
    token: u64,
}

impl Office {
    pub(super) fn new(seed: &Seed) -> Self {
        Self {
            owners: BTreeMap::new(),
            alarms: BinaryHeap::new(),
            asked: 0,
            random: Random::new(seed.key("applications")),
        }
    }

    pub(super) fn own(&mut self, id: SocketId, app: usize) {
        self.owners.insert(id, app);
    }

    pub(super) fn disown(&mut self, id: SocketId) {
        self.owners.remove(&id);
    }

    /// The application that is told of a socket's events.
    pub(super) fn owner(&self, id: SocketId) -> Option<usize> {
        self.owners.get(&id).copied()
    }

    pub(super) fn alarm(&mut self, at: Instant, app: usize, token: u64) {
        self.asked += 1;
        self.alarms.push(Reverse(Alarm {
            at,
            number: self.asked,
            app,
            token,
        }));
    }

    /// When the next alarm is due.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse(alarm)| alarm.at)
    }

    /// Alarms asked for so far.
    pub(super) const fn asked(&self) -> u64 {
        self.asked
    }

    /// The application and token of the next alarm that is due, of the first so many asked for.
    pub(super) fn take_alarm(&mut self, now: Instant, first: u64) -> Option<(usize, u64)> {
        let Reverse(alarm) = *self.alarms.peek()?;
        if alarm.at > now || alarm.number > first {
            return None;
        }
        self.alarms.pop();
        Some((alarm.app, alarm.token))
    }

    pub(super) fn random(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }
}
