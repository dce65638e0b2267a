//! What was sent and not acknowledged: who of it arrived, who is lost (RFC 2018, RFC 6675).
//!
//! *Owns* which records the peer reported (SACK), which count as lost, and so what is in flight. *Does
//! not* hold payload, know windows or decide what to send; `records` finds, splits and counts.
//! Invariants: reported records that touch are one; `pipe` equals a recount ([`Scoreboard::check`]).

use core::num::NonZeroU16;

use crate::base::Instant;

use super::congestion::parts::TxStamp;
use super::delivery::{Delivery, Told};
use super::newly_lost::NewlyLost;
use super::records::{Mark, Place, Record, Records};
use super::sack_blocks::SackBlocks;
use super::seq::SeqNum;
use super::times::{Sent, Times};

// RFC 6675 §2: three duplicate ACKs, or segments, say that something was lost.
pub(crate) const DUP_THRESH: u32 = 3;
// RFC 2018 §3: what 40 bytes of options hold.
const MOST_BLOCKS: usize = 4;
// With fewer records than this each step of a debug build recounts them.
const CHECKED: usize = 100;

#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Scoreboard {
    pub(super) records: Records,
    pub(super) times: Times,
    pub(super) newly_lost: NewlyLost,
    /// Without SACK: octets that duplicate ACKs say have left the network.
    dup_acked: u32,
    /// The end of the highest SACK block.
    highest_sacked: Option<SeqNum>,
    /// No record that ends at or below it is `Lost`.
    no_lost_below: Option<SeqNum>,
}

impl Scoreboard {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Is one segment out, as it left?
    pub(crate) fn is_one(&self) -> bool {
        self.records.len() == 1
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
        self.times.cool();
        self.newly_lost.cool();
    }

    /// Bytes of memory that the records keep.
    pub(crate) fn held(&self) -> usize {
        self.records.held() + self.times.held() + self.newly_lost.held()
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

    /// Octets sent again after they were marked lost.
    pub(crate) fn retransmitted(&self) -> u32 {
        self.records.retransmitted()
    }

    pub(crate) fn sacked(&self) -> u32 {
        self.records.sacked()
    }

    /// Wire segments that the peer reported.
    pub(crate) fn sacked_segs(&self) -> u32 {
        self.records.sacked_segs()
    }

    /// A record left for the first time.
    #[inline]
    pub(crate) fn push(&mut self, record: Record) {
        self.note_sent(record.stamp.sent_at, record.seq, record.end());
        self.records.push(record);
    }

    fn note_sent(&mut self, at: Instant, seq: SeqNum, end: SeqNum) {
        if self.times.is_crowded(self.records.len()) {
            let mut times = core::mem::take(&mut self.times);
            times.retain(|sent| self.is_current(sent));
            self.times = times;
        }
        self.times.push(Sent { at, seq, end });
    }

    /// The peer acknowledged everything below `una`.
    pub(crate) fn ack_to(&mut self, una: SeqNum, delivery: &mut Delivery<'_>) {
        let mut told = Told::AtUna;
        let highest_sacked = self.highest_sacked;
        self.records.pop_below(una, |gone| {
            if gone.mark != Mark::Sacked {
                delivery.add(gone, told, is_passed(gone, highest_sacked));
            }
            told = Told::BelowAck;
        });
        // Numbers that SND.UNA has passed are dropped, or they would look new after 2^31 octets.
        for passed in [&mut self.highest_sacked, &mut self.no_lost_below] {
            if passed.is_some_and(|number| !number.after(una)) {
                *passed = None;
            }
        }
        self.times.ack_to(una);
        if self.records.is_empty() {
            self.dup_acked = 0;
            self.times.clear();
        }
    }

    /// The peer reported blocks; those outside what is outstanding, or inverted, count for nothing
    /// (r41 in docs/regressions.md).
    pub(crate) fn apply_sack(&mut self, blocks: SackBlocks, delivery: &mut Delivery<'_>) {
        let (Some(first), Some(last)) = (self.records.first(), self.records.last()) else {
            return;
        };
        let (una, nxt) = (first.seq, last.end());
        // From below: what lies above in the same ACK did not overtake it.
        let mut order = [None; MOST_BLOCKS];
        for (place, (left, right)) in order.iter_mut().zip(blocks.iter()) {
            let (left, right) = (SeqNum::new(left), SeqNum::new(right));
            let valid = left.before(right) && left.after(una) && !right.after(nxt);
            *place = valid.then_some((left, right));
        }
        order.sort_unstable_by_key(|block| block.map(|(left, _)| left.past(una)));
        for (left, right) in order.into_iter().flatten() {
            self.sack_range(left, right, delivery);
            self.highest_sacked = Some(self.highest_sacked.map_or(right, |h| h.later(right)));
        }
    }

    /// Marks the wire segments in `left..right`. Each step marks a record, which is done to it once, or
    /// joins what was reported before: a block that is told again costs a look-up.
    fn sack_range(&mut self, left: SeqNum, right: SeqNum, delivery: &mut Delivery<'_>) {
        let mut next = self.records.find(left);
        while let Some(place) = next
            && let Some(record) = self.records.get(place)
            && record.seq.before(right)
        {
            next = match record.mark {
                Mark::Sacked => self.records.next(place),
                _ => self.sack_record(place, left, right, delivery),
            };
        }
    }

    /// Marks what `left..right` holds of one record that was not reported yet; returns what stands
    /// behind.
    fn sack_record(
        &mut self,
        place: Place,
        left: SeqNum,
        right: SeqNum,
        delivery: &mut Delivery<'_>,
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
        delivery.add(
            record,
            Told::Reported,
            is_passed(record, self.highest_sacked),
        );
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

    /// A time-out: the first record is lost, sent again or not (RFC 8985 §6.3).
    pub(crate) fn mark_front_lost(&mut self) {
        self.mark_lost(Place::FRONT);
    }

    /// A time-out: everything not reported is taken for lost (RFC 6675 §5.1, RFC 5681 §3.1).
    pub(crate) fn mark_all_lost(&mut self) {
        let newly_lost = &mut self.newly_lost;
        self.records.edit_all(|record| {
            if matches!(record.mark, Mark::InFlight | Mark::Retransmitted) {
                newly_lost.note(record);
                record.mark = Mark::Lost;
            }
        });
        self.no_lost_below = None;
        self.dup_acked = 0;
    }

    /// The path carries no segment with more than `mss` bytes of text and options: what is out in larger ones, and was
    /// not reported, is to leave again with `size` bytes of text in each at most. Nobody is told of a loss. Returns whether
    /// there is anything. A step for each record.
    pub(crate) fn cut_anew(&mut self, mss: u16, size: NonZeroU16) -> bool {
        let mut any = false;
        self.records.edit_all(|record| {
            if record.mark != Mark::Sacked && record.wire_size() > u32::from(mss) {
                record.segment = record.segment.min(size);
                let room = mss.saturating_sub(record.segment.get());
                record.options = record.options.min(u8::try_from(room).unwrap_or(u8::MAX));
                let text = record.text_len();
                record.segs = text.div_ceil(record.segment.get().into()).max(1);
                record.mark = Mark::Lost;
                any = true;
            }
        });
        if any {
            self.no_lost_below = None;
            let most = self.records.octets() - self.records.lost();
            self.dup_acked = self.dup_acked.min(most);
        }
        any
    }

    /// Text and option bytes of the segment that is out at `seq`, as it left, or would leave now if it was cut anew
    /// since; `None`: there is none.
    pub(crate) fn wire_size_at(&self, seq: SeqNum) -> Option<usize> {
        let record = self.records.get(self.records.find(seq)?)?;
        let size = usize::try_from(record.wire_size()).ok();
        size.filter(|_| !seq.before(record.seq))
    }

    /// Is what is out at `seq` taken for lost?
    pub(crate) fn is_lost_at(&self, seq: SeqNum) -> bool {
        let record = self.records.find(seq).and_then(|at| self.records.get(at));
        record.is_some_and(|record| record.mark == Mark::Lost)
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

    /// An episode was for nothing: what is taken for lost is on the way again, as it left last, and its
    /// transmissions are back in their order. A step for each that was marked, and for each chunk.
    pub(crate) fn unmark_lost(&mut self) {
        let mut unmarked = Vec::new();
        let mut next = self.next_lost();
        while let Some(place) = next
            && let Some(&record) = self.records.get(place)
        {
            let mark = if record.transmissions > 1 {
                Mark::Retransmitted
            } else {
                Mark::InFlight
            };
            self.records.set_mark(place, mark);
            unmarked.push(Sent {
                at: record.stamp.sent_at,
                seq: record.seq,
                end: record.end(),
            });
            next = self.records.find_lost(place);
        }
        self.times.take_back(unmarked);
    }

    /// Did the peer report something above this?
    pub(crate) fn is_reported_beyond(&self, seq: SeqNum) -> bool {
        self.highest_sacked.is_some_and(|high| high.after(seq))
    }

    /// Where the last record stands.
    pub(crate) fn last_place(&self) -> Option<Place> {
        self.records.find(self.records.last()?.seq)
    }

    /// Makes the last wire segment a record of its own, for the probe that sends it again.
    pub(crate) fn split_last(&mut self) {
        let Some(last) = self.records.last() else {
            return;
        };
        let segment = u32::from(last.segment.get());
        let whole = last.text_len().saturating_sub(1) / segment * segment;
        if last.mark != Mark::Sacked
            && let Some(place) = self.last_place()
        {
            self.records.split(place, whole);
        }
    }

    /// The first `octets` of a record leave again, in wire segments of `segment` bytes of text, and of options.
    pub(crate) fn on_retransmit(
        &mut self,
        place: Place,
        octets: u32,
        (segment, options): (NonZeroU16, u8),
        stamp: TxStamp,
    ) {
        let place = self.records.split(place, octets);
        if let Some(record) = self.records.get(place) {
            let (seq, end) = (record.seq, record.end());
            self.note_sent(stamp.sent_at, seq, end);
        }
        self.records.edit(place, |record| {
            record.mark = Mark::Retransmitted;
            record.transmissions = record.transmissions.saturating_add(1);
            (record.segment, record.options) = (segment, options);
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
    pub(super) fn mark_lost(&mut self, place: Place) -> u32 {
        let Some(record) = self.records.get(place) else {
            return 0;
        };
        if matches!(record.mark, Mark::Sacked | Mark::Lost) {
            return 0;
        }
        let seq = record.seq;
        self.newly_lost.note(record);
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

/// RFC 8985 §6.2 step 3: was something delivered that lies above it?
fn is_passed(record: &Record, highest_sacked: Option<SeqNum>) -> bool {
    highest_sacked.is_some_and(|high| !record.end().after(high))
}

#[cfg(test)]
#[path = "scoreboard_tests.rs"]
pub(super) mod tests;
