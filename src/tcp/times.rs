//! The order of transmission: what left when, by the numbers it took (RFC 8985 §6.2).
//!
//! *Owns* a list to which every transmission is appended, so that it is in order without a search.
//! *Does not* know what became of them: an entry whose records were delivered, taken for lost or sent
//! again is stale, and whoever meets it takes it off.
//! Invariant: what was taken for lost, and is not here any more, left no later than the first that is.

use std::collections::VecDeque;

use crate::base::Instant;

use super::read_queue::release_room;
use super::seq::SeqNum;

// Stale entries are cleared away once there are more of them than of records, and than this.
const MOST_STALE: usize = 64;

/// One transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) seq: SeqNum,
    pub(crate) end: SeqNum,
}

impl Sent {
    /// RFC 8985 §6.2 (`RACK_sent_after`): later, or at the same time with a higher end.
    pub(crate) fn is_after(&self, other: &Self) -> bool {
        self.at > other.at || (self.at == other.at && self.end.after(other.end))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Times(VecDeque<Sent>);

impl Times {
    pub(crate) fn push(&mut self, sent: Sent) {
        self.0.push_back(sent);
    }

    pub(crate) fn first(&self) -> Option<Sent> {
        self.0.front().copied()
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop_front();
    }

    /// These, by their numbers, which were taken for lost, are on the way after all. Those that are not here any
    /// more left before the first that is, or with it and stood below: what is here is not to be here twice, or
    /// a peer that reports and denies in turn would make the list grow.
    pub(crate) fn take_back(&mut self, mut sent: Vec<Sent>) {
        // Stable: of one instant the order stays that of the numbers.
        sent.sort_by_key(|sent| sent.at);
        let first = self.first();
        let is_gone = |sent: &Sent| {
            first.is_none_or(|first| {
                sent.at < first.at || (sent.at == first.at && sent.seq.before(first.seq))
            })
        };
        for sent in sent.into_iter().rev().filter(is_gone) {
            self.0.push_front(sent);
        }
    }

    /// The first transmission was looked at up to `seq`.
    pub(crate) fn shorten_first(&mut self, seq: SeqNum) {
        if let Some(first) = self.0.front_mut() {
            first.seq = first.seq.later(seq);
        }
    }

    /// Everything below `una` was delivered.
    pub(crate) fn ack_to(&mut self, una: SeqNum) {
        while self.0.front().is_some_and(|sent| !sent.end.after(una)) {
            self.0.pop_front();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Sent> {
        self.0.iter().copied()
    }

    /// Is it worth to clear stale entries away, of which there are at least as many as of `records`?
    pub(crate) fn is_crowded(&self, records: usize) -> bool {
        self.0.len() > 2 * records + MOST_STALE
    }

    pub(crate) fn retain(&mut self, is_live: impl FnMut(&Sent) -> bool) {
        self.0.retain(is_live);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        } else {
            release_room(&mut self.0);
        }
    }

    /// Bytes of memory that it keeps.
    pub(crate) fn held(&self) -> usize {
        self.0.capacity() * size_of::<Sent>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at: u64, seq: u32) -> Sent {
        let seq = SeqNum::new(u32::MAX - 250) + seq;
        Sent {
            at: Instant::from_millis(at),
            seq,
            end: seq + 100,
        }
    }

    /// Who is idle gives room back, and nothing that is still out.
    #[test]
    fn room_is_given_back_and_nothing_else() {
        let mut times = Times::default();
        for n in 0..1000 {
            times.push(sent(n, 0));
        }
        while times.iter().count() > 2 {
            times.pop();
        }
        let (left, held): (Vec<_>, _) = (times.iter().collect(), times.held());
        times.cool();
        assert_eq!(times.iter().collect::<Vec<_>>(), left);
        assert!(times.held() < held);
        times.clear();
        times.cool();
        assert_eq!(times.held(), 0);
    }

    /// However often what is here is taken for lost and not: nothing is here twice, and all are in the order in
    /// which they left.
    #[test]
    fn what_is_taken_back_is_here_once_and_in_order() {
        let all: Vec<_> = [(1, 0), (1, 100), (1, 200), (1, 300), (2, 400)]
            .map(|(at, seq)| sent(at, seq))
            .to_vec();
        for gone in 0..all.len() {
            let mut times = Times(all.iter().skip(gone).copied().collect());
            for _ in 0..3 {
                // By their numbers, with what never went among them.
                times.take_back(all.iter().take(gone + 1).copied().collect());
                assert_eq!(times.iter().collect::<Vec<_>>(), all, "{gone}");
            }
        }
        let mut times = Times::default();
        times.take_back(vec![sent(2, 0), sent(1, 100), sent(1, 200)]);
        let order: Vec<_> = times.iter().collect();
        assert_eq!(order, [sent(1, 100), sent(1, 200), sent(2, 0)]);
    }
}
