//! What was sent and not acknowledged: who of it arrived, who is lost (RFC 2018, RFC 6675).
//!
//! *Owns* which records the peer reported (SACK), which count as lost, and so what is in flight. *Does
//! not* hold payload, know windows or decide what to send; `records` finds, splits and counts.
//! Invariants: reported records that touch are one; `pipe` equals a recount ([`Scoreboard::check`]).

use core::num::NonZeroU16;

use crate::base::Instant;

use super::congestion::parts::{DeliverySampler, TxStamp};
use super::options::SackBlocks;
use super::records::{Mark, Place, Record, Records};
use super::seq::SeqNum;

// RFC 6675 §2: three duplicate ACKs, or segments, say that something was lost.
pub(crate) const DUP_THRESH: u32 = 3;
// Records looked at in one search, so that hostile ACKs cost bounded work (r41).
const MAX_WALK: usize = 4096;
// With fewer records than this each step of a debug build recounts them.
const CHECKED: usize = 100;

/// What an ACK delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Octets delivered for the first time.
    pub(crate) bytes: u32,
    /// When the latest record that was sent once and is now delivered left.
    pub(crate) sent_at: Option<Instant>,
    /// Did it deliver something that was sent more than once? Then RTT is ambiguous (Karn).
    pub(crate) ambiguous: bool,
    /// Records below a SACK block that were sent once and came late: reordering.
    pub(crate) reordered: u32,
}

impl Delivered {
    fn add(&mut self, record: &Record, bytes: u32) {
        self.bytes += bytes;
        if record.transmissions > 1 {
            self.ambiguous = true;
        } else if self.sent_at.is_none_or(|at| record.stamp.sent_at > at) {
            self.sent_at = Some(record.stamp.sent_at);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    records: Records,
    /// Without SACK: octets that duplicate ACKs say have left the network.
    dup_acked: u32,
    /// The end of the highest SACK block.
    highest_sacked: Option<SeqNum>,
    /// No record that starts below it is `InFlight` and due to be marked by RFC 6675's rule.
    marked_below: Option<SeqNum>,
    /// No record that ends at or below it is `Lost`.
    no_lost_below: Option<SeqNum>,
}

impl Scoreboard {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn first(&self) -> Option<&Record> {
        self.records.first()
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Record> {
        self.records.get(place)
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        self.records.cool();
    }

    /// Bytes of memory that the records keep.
    pub(crate) fn held(&self) -> usize {
        self.records.held()
    }

    /// RFC 6675's pipe: octets believed to be in the network.
    pub(crate) fn pipe(&self) -> u32 {
        let left = self.records.sacked() + self.records.lost();
        (self.records.octets() - left).saturating_sub(self.dup_acked)
    }

    /// Octets marked lost and not sent again.
    pub(crate) fn lost(&self) -> u32 {
        self.records.lost()
    }

    pub(crate) fn sacked(&self) -> u32 {
        self.records.sacked()
    }

    /// A record left for the first time.
    pub(crate) fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// The peer acknowledged everything below `una`.
    pub(crate) fn ack_to(
        &mut self,
        now: Instant,
        una: SeqNum,
        sampler: &mut DeliverySampler,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        while let Some(gone) = self.records.pop_below(una) {
            if gone.mark != Mark::Sacked {
                let late = self
                    .highest_sacked
                    .is_some_and(|high| !gone.end().after(high));
                delivered.reordered += u32::from(late && gone.transmissions == 1);
                delivered.add(&gone, gone.len);
                sampler.on_delivered(now, &gone.stamp, gone.len);
            }
        }
        // Numbers that SND.UNA has passed are dropped, or they would look new after 2^31 octets.
        for passed in [
            &mut self.highest_sacked,
            &mut self.marked_below,
            &mut self.no_lost_below,
        ] {
            if passed.is_some_and(|number| !number.after(una)) {
                *passed = None;
            }
        }
        if self.records.is_empty() {
            self.dup_acked = 0;
        }
        delivered
    }

    /// The peer reported blocks; those outside what is outstanding, or inverted, count for nothing
    /// (r41 in docs/regressions.md).
    pub(crate) fn apply_sack(
        &mut self,
        now: Instant,
        blocks: SackBlocks,
        sampler: &mut DeliverySampler,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        let (Some(first), Some(last)) = (self.records.first(), self.records.last()) else {
            return delivered;
        };
        let (una, nxt) = (first.seq, last.end());
        for (left, right) in blocks.iter() {
            let (left, right) = (SeqNum::new(left), SeqNum::new(right));
            let valid = left.before(right) && left.after(una) && !right.after(nxt);
            if !valid {
                continue;
            }
            self.sack_range(now, left, right, sampler, &mut delivered);
            self.highest_sacked = Some(self.highest_sacked.map_or(right, |h| h.later(right)));
        }
        delivered
    }

    /// Marks the wire segments in `left..right`. Each step marks a record, which is done to it once, or
    /// joins what was reported before: a block that is told again costs a look-up.
    fn sack_range(
        &mut self,
        now: Instant,
        left: SeqNum,
        right: SeqNum,
        sampler: &mut DeliverySampler,
        delivered: &mut Delivered,
    ) {
        let mut next = self.records.find(left);
        while let Some(place) = next
            && let Some(record) = self.records.get(place)
            && record.seq.before(right)
        {
            next = match record.mark {
                Mark::Sacked => self.records.next(place),
                _ => self.sack_record(now, place, left, right, sampler, delivered),
            };
        }
    }

    /// Marks what `left..right` holds of one record that was not reported yet; returns what stands
    /// behind.
    fn sack_record(
        &mut self,
        now: Instant,
        place: Place,
        left: SeqNum,
        right: SeqNum,
        sampler: &mut DeliverySampler,
        delivered: &mut Delivered,
    ) -> Option<Place> {
        let record = self.records.get(place)?;
        let size = u32::from(record.segment.get());
        // Inward to wire segments: the peer holds whole ones, a hostile one could ask for splits at
        // every byte.
        let head = left.past(record.seq).div_ceil(size) * size;
        let tail = match right.past(record.seq) {
            past if past >= record.len => record.len,
            past => past / size * size,
        };
        if head >= tail {
            return self.records.next(place);
        }
        let mut place = self.records.split(place, tail);
        if head > 0 {
            place = self.records.split(place, head);
            place = self.records.next(place)?;
        }
        let record = self.records.get(place)?;
        delivered.add(record, record.len);
        sampler.on_delivered(now, &record.stamp, record.len);
        self.records.set_mark(place, Mark::Sacked);
        self.join(place)
    }

    /// Makes a reported record one with its reported neighbours; returns what stands behind them.
    fn join(&mut self, place: Place) -> Option<Place> {
        let sacked = |records: &Records, at: Option<Place>| {
            let record = at.and_then(|at| records.get(at));
            record.is_some_and(|record| record.mark == Mark::Sacked)
        };
        if sacked(&self.records, self.records.next(place)) {
            self.records.merge_next(place);
        }
        let before = self.records.previous(place);
        match before {
            Some(before) if sacked(&self.records, Some(before)) => {
                self.records.merge_next(before);
                self.records.next(before)
            }
            _ => self.records.next(place),
        }
    }

    /// RFC 6675 §4 IsLost by bytes: marks what has more than (DupThresh - 1) * SMSS SACKed octets
    /// above it. Returns the octets marked.
    pub(crate) fn mark_lost_by_sack(&mut self, smss: u32) -> u32 {
        let Some(high) = self.highest_sacked else {
            return 0;
        };
        let mut above = 0u32;
        let mut next = self.records.find(high - 1);
        let mut limit = None;
        for _ in 0..MAX_WALK {
            let Some((place, record)) = next.and_then(|at| Some((at, self.records.get(at)?)))
            else {
                return 0;
            };
            if record.mark == Mark::Sacked {
                above += record.len;
                if above > (DUP_THRESH - 1) * smss {
                    limit = Some(record.seq);
                    break;
                }
            }
            if self.marked_below.is_some_and(|low| record.seq.before(low)) {
                return 0;
            }
            next = self.records.previous(place);
        }
        limit.map_or(0, |limit| self.mark_lost_below(limit))
    }

    /// Marks what is in flight below `limit`; returns the octets marked.
    fn mark_lost_below(&mut self, limit: SeqNum) -> u32 {
        let mut next = self.place_from(self.marked_below);
        let mut marked = 0;
        while let Some(place) = next
            && let Some(record) = self.records.get(place)
            && record.seq.before(limit)
        {
            marked += self.mark_lost(place);
            next = self.records.next(place);
        }
        self.marked_below = Some(self.marked_below.map_or(limit, |low| low.later(limit)));
        marked
    }

    /// Marks the first `octets` of the first record that is only in flight (NewReno's hole,
    /// RFC 6675 §5 (4.3)). Returns the octets marked.
    pub(crate) fn mark_first_lost(&mut self, octets: u32) -> u32 {
        let Some(first) = self.records.first() else {
            return 0;
        };
        if first.mark != Mark::InFlight {
            return 0;
        }
        let place = self.records.split(Place::FRONT, octets);
        self.mark_lost(place)
    }

    /// A time-out: everything not reported is taken for lost (RFC 6675 §5.1, RFC 5681 §3.1).
    pub(crate) fn mark_all_lost(&mut self) {
        self.records.edit_all(|record| {
            if record.mark != Mark::Sacked {
                record.mark = Mark::Lost;
            }
        });
        self.no_lost_below = None;
        self.dup_acked = 0;
    }

    /// The first record due to be sent again.
    pub(crate) fn next_lost(&mut self) -> Option<Place> {
        if self.records.lost() == 0 {
            return None;
        }
        let found = self
            .records
            .find_lost(self.place_from(self.no_lost_below)?)?;
        self.no_lost_below = self.records.get(found).map(|record| record.seq);
        Some(found)
    }

    /// RFC 6675 §4 NextSeg (3): the first record in flight below the highest SACK.
    pub(crate) fn next_unsacked(&self) -> Option<Place> {
        let high = self.highest_sacked?;
        let mut next = self.place_from(self.marked_below);
        for _ in 0..MAX_WALK {
            let (place, record) = next.and_then(|at| Some((at, self.records.get(at)?)))?;
            if !record.seq.before(high) {
                return None;
            }
            if record.mark == Mark::InFlight {
                return Some(place);
            }
            next = self.records.next(place);
        }
        None
    }

    /// The first `octets` of a record leave again, in wire segments of `segment`.
    pub(crate) fn on_retransmit(
        &mut self,
        place: Place,
        octets: u32,
        segment: NonZeroU16,
        stamp: TxStamp,
    ) {
        let place = self.records.split(place, octets);
        self.records.edit(place, |record| {
            record.mark = Mark::Retransmitted;
            record.transmissions = record.transmissions.saturating_add(1);
            record.segment = segment;
            record.stamp = stamp;
        });
    }

    /// Without SACK: a duplicate ACK says that a segment has left the network.
    pub(crate) fn on_dup_ack(&mut self, smss: u32) {
        let most = self.records.octets() - self.records.lost();
        self.dup_acked = (self.dup_acked + smss).min(most);
    }

    /// Without SACK: a partial ACK of `acked` octets takes back what duplicates had told of them,
    /// but for the segment that filled the hole (RFC 6582 §3.2 (3)).
    pub(crate) fn on_partial_ack(&mut self, acked: u32, smss: u32) {
        self.dup_acked = self.dup_acked.saturating_sub(acked.saturating_sub(smss));
    }

    pub(crate) fn forget_dup_acks(&mut self) {
        self.dup_acked = 0;
    }

    /// RFC 2018 §8: the peer may have thrown away what it reported; after a time-out with nothing
    /// but reported data at the front, the reports are void.
    pub(crate) fn forget_sacks(&mut self) {
        self.records.edit_all(|record| {
            if record.mark == Mark::Sacked {
                record.mark = Mark::InFlight;
            }
        });
        self.highest_sacked = None;
        self.marked_below = None;
    }

    /// Recounts everything; for tests and debug builds.
    pub(crate) fn check(&self) {
        self.records.check();
        for (a, b) in self.records.iter().zip(self.records.iter().skip(1)) {
            let both = a.mark == Mark::Sacked && b.mark == Mark::Sacked;
            assert!(!both, "reported records that touch are one");
        }
    }

    /// Recounts, and finds every octet of `una..nxt` in exactly one record.
    pub(crate) fn check_range(&self, una: SeqNum, nxt: SeqNum) {
        // Each look is linear: of many it is taken now and then.
        if self.records.len() < CHECKED || self.records.len().is_multiple_of(64) {
            self.check();
        }
        assert_eq!(self.records.octets(), nxt.past(una), "octets outstanding");
        assert!(self.records.first().is_none_or(|first| first.seq == una));
    }

    /// Marks one record lost if it is in flight; returns the octets marked.
    fn mark_lost(&mut self, place: Place) -> u32 {
        let Some(record) = self.records.get(place) else {
            return 0;
        };
        if record.mark != Mark::InFlight {
            return 0;
        }
        let seq = record.seq;
        self.no_lost_below = self.no_lost_below.map(|low| low.earlier(seq));
        self.records.set_mark(place, Mark::Lost)
    }

    /// The record that holds `seq`, or the first.
    fn place_from(&self, seq: Option<SeqNum>) -> Option<Place> {
        match seq {
            Some(seq) => self.records.find(seq),
            None => Some(Place::FRONT),
        }
    }
}

#[cfg(test)]
#[path = "scoreboard_tests.rs"]
mod tests;
