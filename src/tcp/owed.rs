//! What is owed to the sender of several segments that wait for one ACK: duplicates and reports
//! (RFC 5681 §4.2, RFC 2018 §4, RFC 2883 §4).
//!
//! *Owns* how many ACKs must leave beside the one that tells RCV.NXT, and which reports they carry.
//! *Does not* hold text, nor write blocks: `window` does.
//! Invariant: each ACK owed here was caused by a segment of its own, so that nobody gets more ACKs
//! than he sent segments; RCV.NXT that moves ends the duplicates of where it was.

use std::collections::VecDeque;

use super::scoreboard::DUP_THRESH;
use super::seq::SeqNum;

// Duplicates, and ACKs that tell what one did not hold, until RCV.NXT moves: what one turn of a host
// brings, 64 frames. A flood that never moves it has one ACK for each turn from then on.
const MOST_DUPLICATES: u32 = 64;
const MOST_EXTRA: u32 = 64;
// Runs whose changes are remembered: as many as one turn can make.
const MOST_RUNS: usize = 64;
// Duplicates that wait to be told; ranges that join are one.
const MOST_DSACKS: usize = 16;

/// Duplicate ACKs and D-SACKs that are due.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Owed {
    duplicates: u32,
    /// Duplicates that were owed since RCV.NXT last moved.
    of_this_hole: u32,
    /// ACKs that left since then for what the one before did not hold.
    extra: u32,
    /// Does the peer take SACK options?
    sack: bool,
    /// Text that came again, to be told first (RFC 2883 §4), the oldest first.
    dsacks: VecDeque<(SeqNum, SeqNum)>,
}

impl Owed {
    pub(super) fn set_sack(&mut self, sack: bool) {
        self.sack = sack;
    }

    pub(super) const fn takes_sack(&self) -> bool {
        self.sack
    }

    /// So many wire segments came out of order, each worth a duplicate ACK (RFC 5681 §4.2).
    ///
    /// To a peer with SACK the blocks tell all, but senders that only count are among them: three
    /// for a hole, as Linux sends before it compresses.
    pub(super) fn out_of_order(&mut self, segs: u32) {
        let most = if self.sack {
            DUP_THRESH.saturating_sub(self.of_this_hole)
        } else {
            MOST_DUPLICATES.saturating_sub(self.of_this_hole)
        };
        let more = segs.min(most);
        self.duplicates += more;
        self.of_this_hole = self.of_this_hole.saturating_add(more);
    }

    /// RCV.NXT moved: a duplicate now would be one of another number, and say that it was lost.
    pub(super) fn moved_on(&mut self) {
        (self.duplicates, self.of_this_hole, self.extra) = (0, 0, 0);
    }

    /// May another ACK leave for what the last one did not hold? It is counted.
    pub(super) fn one_more(&mut self) -> bool {
        self.extra = self.extra.saturating_add(1);
        self.extra <= MOST_EXTRA
    }

    /// Gives up what is still to be told.
    pub(super) fn give_up(&mut self) {
        self.duplicates = 0;
        self.dsacks = VecDeque::new();
    }

    /// This range came again.
    pub(super) fn duplicate(&mut self, left: SeqNum, right: SeqNum) {
        if !self.sack || left == right {
            return;
        }
        if let Some(last) = self.dsacks.back_mut()
            && last.1 == left
        {
            last.1 = right;
            return;
        }
        if self.dsacks.len() == MOST_DSACKS {
            self.dsacks.pop_front();
        }
        self.dsacks.push_back((left, right));
    }

    /// Must an ACK leave that rides on nothing?
    pub(super) fn duplicates(&self) -> bool {
        self.duplicates > 0
    }

    /// The range to tell first.
    pub(super) fn dsack(&self) -> Option<(SeqNum, SeqNum)> {
        self.dsacks.front().copied()
    }

    /// The first D-SACK was told.
    pub(super) fn told_dsack(&mut self) {
        self.dsacks.pop_front();
        if self.dsacks.is_empty() {
            self.dsacks = VecDeque::new();
        }
    }

    /// A duplicate ACK left.
    pub(super) fn told_duplicate(&mut self) {
        self.duplicates = self.duplicates.saturating_sub(1);
    }
}

/// The runs of out-of-order text in the order of their changes, and how many of them were not told.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Changes {
    /// Starts of runs, the one that changed last first.
    starts: VecDeque<u64>,
    /// So many at the front changed since they were told.
    untold: usize,
}

impl Changes {
    /// The run at `start` changed.
    pub(super) fn touch(&mut self, start: u64) {
        self.forget(start);
        // First that: one more than the bound would double the room.
        self.starts.truncate(MOST_RUNS - 1);
        self.starts.push_front(start);
        self.untold = (self.untold + 1).min(MOST_RUNS);
    }

    /// The run at `start` is no more.
    pub(super) fn forget(&mut self, start: u64) {
        if let Some(place) = self.starts.iter().position(|&known| known == start) {
            self.starts.remove(place);
            self.untold -= usize::from(place < self.untold);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn untold(&self) -> usize {
        self.untold
    }

    /// Told `runs` of [`next`](Self::next).
    pub(super) fn told(&mut self, runs: usize) {
        self.untold = self.untold.saturating_sub(runs);
    }

    /// The starts to tell in an ACK with room for so many: the oldest that were not told, so that the
    /// last of several ACKs has the newest first (RFC 2018 §4).
    pub(super) fn next(&self, room: usize) -> impl Iterator<Item = u64> + '_ {
        let skip = self.untold.saturating_sub(room);
        self.starts.iter().copied().skip(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(number: u32) -> SeqNum {
        SeqNum::new(number)
    }

    #[test]
    fn changes_take_no_room_beyond_their_bound() {
        let mut changes = Changes::default();
        for start in 0..10 * MOST_RUNS as u64 {
            changes.touch(start);
        }
        assert_eq!(
            (changes.starts.len(), changes.untold()),
            (MOST_RUNS, MOST_RUNS)
        );
        assert_eq!(
            changes.next(1).next(),
            Some(10 * MOST_RUNS as u64 - MOST_RUNS as u64)
        );
        let room = changes.starts.capacity();
        assert!(room <= MOST_RUNS, "{room}");
    }

    /// Covers: CC-12 (however many segments a frame claims to hold)
    #[test]
    fn duplicates_are_bounded() {
        for (sack, most) in [(false, MOST_DUPLICATES), (true, 3)] {
            let mut owed = Owed::default();
            owed.set_sack(sack);
            owed.out_of_order(1);
            owed.out_of_order(u32::MAX);
            owed.out_of_order(u32::MAX);
            let mut left = 0;
            while owed.duplicates() {
                owed.told_duplicate();
                left += 1;
            }
            assert_eq!(left, most);
            owed.out_of_order(1);
            assert!(!owed.duplicates(), "no more for this hole");
            owed.moved_on();
            assert!(!owed.duplicates());
            owed.out_of_order(1);
            assert!(owed.duplicates(), "another hole");
        }
    }

    #[test]
    fn reports_of_duplicates_join_and_are_bounded() {
        let mut owed = Owed::default();
        owed.duplicate(seq(1), seq(2));
        assert_eq!(owed.dsack(), None, "no SACK");
        owed.set_sack(true);
        let wrap = u32::MAX - 5;
        owed.duplicate(seq(wrap), seq(wrap));
        owed.duplicate(seq(wrap), seq(wrap.wrapping_add(10)));
        owed.duplicate(seq(wrap.wrapping_add(10)), seq(wrap.wrapping_add(20)));
        assert_eq!(owed.dsack(), Some((seq(wrap), seq(wrap.wrapping_add(20)))));
        for n in 0..1000 {
            owed.duplicate(seq(100 * n), seq(100 * n + 1));
        }
        let mut told = Vec::new();
        while let Some((left, _)) = owed.dsack() {
            told.push(left.get() / 100);
            owed.told_dsack();
        }
        assert_eq!(told, (984..1000).collect::<Vec<_>>(), "the newest");
    }

    #[test]
    fn changes_are_told_oldest_first_and_once() {
        let mut changes = Changes::default();
        let tell = |changes: &mut Changes, room: usize| {
            let told: Vec<u64> = changes.next(room).take(room).collect();
            changes.told(room);
            told
        };
        for start in [10, 20, 30, 20, 40, 50] {
            changes.touch(start);
        }
        assert_eq!(changes.untold(), 5);
        assert_eq!(tell(&mut changes, 3), [20, 30, 10]);
        changes.forget(50);
        changes.forget(10);
        assert_eq!(changes.untold(), 1);
        assert_eq!(tell(&mut changes, 3), [40, 20, 30]);
        assert_eq!(changes.untold(), 0);
        for start in 0..1000 {
            changes.touch(start);
        }
        assert_eq!(changes.untold(), MOST_RUNS);
        assert_eq!(changes.next(MOST_RUNS).count(), MOST_RUNS);
    }
}
