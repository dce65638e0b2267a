//! What was sent and not acknowledged: a record per transmission (RFC 2018, RFC 6675).
//!
//! *Owns* the records, which of them the peer reported (SACK), which count as lost, and so what is
//! in flight. *Does not* hold payload, know windows or decide what to send.
//! Invariants: records are adjacent and in order; `pipe` equals a recount ([`Scoreboard::check`]).

use core::num::NonZeroU16;
use std::collections::VecDeque;

use crate::base::Instant;

use super::options::SackBlocks;
use super::read_queue::release_room;
use super::sampler::{DeliverySampler, TxStamp};
use super::seq::SeqNum;

// RFC 6675 §2: three duplicate ACKs, or segments, say that something was lost.
pub(crate) const DUP_THRESH: u32 = 3;
// Records looked at for one SACK block, or in one search, so that hostile ACKs cost bounded work
// (r41). Blocks of honest peers grow at their ends; a longer walk goes on with the next ACK.
const MAX_WALK: usize = 4096;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Sent once and not heard of.
    InFlight,
    /// Reported by a SACK block.
    Sacked,
    /// Taken for lost, and due to be sent again.
    Lost,
    /// Sent again after it was lost.
    Retransmitted,
}

/// One transmission: a range of sequence numbers, up to a super-segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) seq: SeqNum,
    /// SYN, text and FIN, in sequence numbers.
    pub(crate) len: u32,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) mark: Mark,
    /// How often any part of it was sent.
    pub(crate) transmissions: u8,
    /// The text bytes of a wire segment it left in: SACK splits it only there.
    pub(crate) segment: NonZeroU16,
    pub(crate) stamp: TxStamp,
}

impl Record {
    pub(crate) fn end(&self) -> SeqNum {
        self.seq + self.len
    }

    pub(crate) fn text_len(&self) -> u32 {
        self.len - u32::from(self.syn) - u32::from(self.fin)
    }

    /// Cuts the record after `at` octets; returns the rest.
    fn split_off(&mut self, at: u32) -> Self {
        debug_assert!(at > 0 && at < self.len);
        let rest = Self {
            seq: self.seq + at,
            len: self.len - at,
            syn: false,
            ..*self
        };
        self.len = at;
        self.fin = false;
        rest
    }
}

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
    records: VecDeque<Record>,
    /// Octets from the first record to the last.
    outstanding: u32,
    sacked: u32,
    lost: u32,
    /// Without SACK: octets that duplicate ACKs say have left the network.
    dup_acked: u32,
    /// The end of the highest SACK block.
    highest_sacked: Option<SeqNum>,
    /// No record that starts below it is `InFlight` and due to be marked by RFC 6675's rule.
    marked_below: Option<SeqNum>,
    /// No record that ends at or below it is `Lost`.
    no_lost_below: Option<SeqNum>,
    last_blocks: SackBlocks,
}

impl Scoreboard {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn first(&self) -> Option<&Record> {
        self.records.front()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        if self.is_empty() {
            self.records = VecDeque::new();
        } else {
            release_room(&mut self.records);
        }
    }

    /// Bytes of memory that the records keep.
    pub(crate) fn held(&self) -> usize {
        self.records.capacity() * size_of::<Record>()
    }

    /// RFC 6675's pipe: octets believed to be in the network.
    pub(crate) fn pipe(&self) -> u32 {
        (self.outstanding - self.sacked - self.lost).saturating_sub(self.dup_acked)
    }

    /// Octets marked lost and not sent again.
    pub(crate) fn lost(&self) -> u32 {
        self.lost
    }

    pub(crate) fn sacked(&self) -> u32 {
        self.sacked
    }

    /// A record left for the first time.
    pub(crate) fn push(&mut self, record: Record) {
        debug_assert!(
            self.records
                .back()
                .is_none_or(|last| last.end() == record.seq)
        );
        self.outstanding += record.len;
        self.records.push_back(record);
    }

    /// The peer acknowledged everything below `una`.
    pub(crate) fn ack_to(
        &mut self,
        now: Instant,
        una: SeqNum,
        sampler: &mut DeliverySampler,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        while let Some(first) = self.records.front_mut() {
            if !first.seq.before(una) {
                break;
            }
            let rest =
                (first.len > una.past(first.seq)).then(|| first.split_off(una.past(first.seq)));
            let gone = *first;
            self.records.pop_front();
            self.outstanding -= gone.len;
            match gone.mark {
                Mark::Sacked => self.sacked -= gone.len,
                Mark::Lost => self.lost -= gone.len,
                Mark::InFlight | Mark::Retransmitted => {}
            }
            if gone.mark != Mark::Sacked {
                let late = self
                    .highest_sacked
                    .is_some_and(|high| !gone.end().after(high));
                delivered.reordered += u32::from(late && gone.transmissions == 1);
                delivered.add(&gone, gone.len);
                sampler.on_delivered(now, &gone.stamp, gone.len);
            }
            if let Some(rest) = rest {
                self.records.push_front(rest);
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
            *self = Self {
                records: core::mem::take(&mut self.records),
                ..Self::default()
            };
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
        let (Some(first), Some(last)) = (self.records.front(), self.records.back()) else {
            return delivered;
        };
        let (una, nxt) = (first.seq, last.end());
        let mut seen = SackBlocks::NONE;
        for (left, right) in blocks.iter() {
            let (left, right) = (SeqNum::new(left), SeqNum::new(right));
            let valid = left.before(right) && left.after(una) && !right.after(nxt);
            if !valid {
                continue;
            }
            // A block that only grew since the last ACK costs only its growth.
            let known = self.last_blocks.iter().find(|&(l, _)| l == left.get());
            let from = known.map_or(left, |(_, r)| SeqNum::new(r).later(left).earlier(right));
            // The record that holds the old edge may now be whole.
            let right = self.sack_range(now, from, left, right, sampler, &mut delivered);
            seen.push(left.get(), right.get());
            self.highest_sacked = Some(self.highest_sacked.map_or(right, |h| h.later(right)));
        }
        self.last_blocks = seen;
        delivered
    }

    /// Marks the wire segments in `left..right`, starting at the record that holds `from`; returns
    /// how far it came.
    fn sack_range(
        &mut self,
        now: Instant,
        from: SeqNum,
        left: SeqNum,
        right: SeqNum,
        sampler: &mut DeliverySampler,
        delivered: &mut Delivered,
    ) -> SeqNum {
        let mut index = self.index_of(from);
        let end = index + MAX_WALK;
        while let Some(record) = self.records.get_mut(index) {
            if !record.seq.before(right) {
                break;
            }
            if index >= end {
                return record.seq;
            }
            if record.mark == Mark::Sacked {
                index += 1;
                continue;
            }
            let size = u32::from(record.segment.get());
            // Inward to wire segments: the peer holds whole ones, a hostile one could ask for
            // splits at every byte.
            let head = left.past(record.seq).div_ceil(size) * size;
            let tail = match right.past(record.seq) {
                past if past >= record.len => record.len,
                past => past / size * size,
            };
            if head >= tail {
                index += 1;
                continue;
            }
            if tail < record.len {
                let rest = record.split_off(tail);
                self.records.insert(index + 1, rest);
            }
            if head > 0 {
                let middle = self.records[index].split_off(head);
                index += 1;
                self.records.insert(index, middle);
            }
            let record = &mut self.records[index];
            if record.mark == Mark::Lost {
                self.lost -= record.len;
            }
            record.mark = Mark::Sacked;
            self.sacked += record.len;
            delivered.add(record, record.len);
            sampler.on_delivered(now, &record.stamp, record.len);
            index += 1;
        }
        right
    }

    /// RFC 6675 §4 IsLost by bytes: marks what has more than (DupThresh - 1) * SMSS SACKed octets
    /// above it. Returns the octets marked.
    pub(crate) fn mark_lost_by_sack(&mut self, smss: u32) -> u32 {
        let Some(high) = self.highest_sacked else {
            return 0;
        };
        let mut above = 0u32;
        let mut index = self.index_of(high - 1);
        let lowest = index.saturating_sub(MAX_WALK);
        loop {
            let Some(record) = self.records.get(index) else {
                return 0;
            };
            if record.mark == Mark::Sacked {
                above += record.len;
                if above > (DUP_THRESH - 1) * smss {
                    break;
                }
            }
            if index == lowest || self.marked_below.is_some_and(|low| record.seq.before(low)) {
                return 0;
            }
            index -= 1;
        }
        let limit = self.records[index].seq;
        let from = self.marked_below.map_or(0, |low| self.index_of(low));
        let mut marked = 0;
        for at in from..index {
            marked += self.mark_lost(at);
        }
        self.marked_below = Some(self.marked_below.map_or(limit, |low| low.later(limit)));
        marked
    }

    /// Marks the first `octets` of the first record that is only in flight (NewReno's hole,
    /// RFC 6675 §5 (4.3)). Returns the octets marked.
    pub(crate) fn mark_first_lost(&mut self, octets: u32) -> u32 {
        let Some(first) = self.records.front() else {
            return 0;
        };
        if first.mark == Mark::Retransmitted || first.mark == Mark::Lost {
            return 0;
        }
        if octets < first.len {
            let rest = self.records[0].split_off(octets);
            self.records.insert(1, rest);
        }
        self.mark_lost(0)
    }

    /// A time-out: everything not reported is taken for lost (RFC 6675 §5.1, RFC 5681 §3.1).
    /// Returns the octets marked.
    pub(crate) fn mark_all_lost(&mut self) -> u32 {
        let mut marked = 0;
        for index in 0..self.records.len() {
            if self.records[index].mark == Mark::Retransmitted {
                self.records[index].mark = Mark::InFlight;
            }
            marked += self.mark_lost(index);
        }
        self.dup_acked = 0;
        marked
    }

    /// The first record due to be sent again.
    pub(crate) fn next_lost(&mut self) -> Option<usize> {
        if self.lost == 0 {
            return None;
        }
        let from = self.no_lost_below.map_or(0, |low| self.index_of(low));
        let found = (from..self.records.len()).find(|&at| self.records[at].mark == Mark::Lost)?;
        self.no_lost_below = Some(self.records[found].seq);
        Some(found)
    }

    /// RFC 6675 §4 NextSeg (3): the first record in flight below the highest SACK.
    pub(crate) fn next_unsacked(&self) -> Option<usize> {
        let high = self.highest_sacked?;
        let from = self.marked_below.map_or(0, |low| self.index_of(low));
        (from..self.records.len())
            .take(MAX_WALK)
            .take_while(|&at| self.records[at].seq.before(high))
            .find(|&at| self.records[at].mark == Mark::InFlight)
    }

    /// The first `octets` of record `index` leave again, in wire segments of `segment`.
    pub(crate) fn on_retransmit(
        &mut self,
        index: usize,
        octets: u32,
        segment: NonZeroU16,
        stamp: TxStamp,
    ) {
        if octets < self.records[index].len {
            let rest = self.records[index].split_off(octets);
            self.records.insert(index + 1, rest);
        }
        let record = &mut self.records[index];
        if record.mark == Mark::Lost {
            self.lost -= record.len;
        }
        record.mark = Mark::Retransmitted;
        record.transmissions = record.transmissions.saturating_add(1);
        record.segment = segment;
        record.stamp = stamp;
    }

    /// Without SACK: a duplicate ACK says that a segment has left the network.
    pub(crate) fn on_dup_ack(&mut self, smss: u32) {
        let most = self.outstanding - self.lost;
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
        for record in &mut self.records {
            if record.mark == Mark::Sacked {
                record.mark = Mark::InFlight;
            }
        }
        self.sacked = 0;
        self.highest_sacked = None;
        self.marked_below = None;
        self.last_blocks = SackBlocks::default();
    }

    /// Recounts everything; for tests and debug builds.
    pub(crate) fn check(&self) {
        let sum = |mark| -> u32 {
            self.records
                .iter()
                .filter(|r| r.mark == mark)
                .map(|r| r.len)
                .sum()
        };
        assert_eq!(
            self.outstanding,
            self.records.iter().map(|r| r.len).sum::<u32>()
        );
        assert_eq!(self.sacked, sum(Mark::Sacked));
        assert_eq!(self.lost, sum(Mark::Lost));
        for (a, b) in self.records.iter().zip(self.records.iter().skip(1)) {
            assert_eq!(a.end(), b.seq, "records are adjacent");
        }
    }

    /// Recounts, and finds every octet of `una..nxt` in exactly one record.
    pub(crate) fn check_range(&self, una: SeqNum, nxt: SeqNum) {
        self.check();
        assert_eq!(self.outstanding, nxt.past(una), "octets outstanding");
        assert!(self.records.front().is_none_or(|first| first.seq == una));
    }

    /// Marks one record lost if it is in flight; returns the octets marked.
    fn mark_lost(&mut self, index: usize) -> u32 {
        let record = &mut self.records[index];
        if record.mark != Mark::InFlight {
            return 0;
        }
        record.mark = Mark::Lost;
        self.lost += record.len;
        let (seq, len) = (record.seq, record.len);
        self.no_lost_below = self.no_lost_below.map(|low| low.earlier(seq));
        len
    }

    /// The index of the record that holds `seq`; the number of records when none does.
    fn index_of(&self, seq: SeqNum) -> usize {
        self.records
            .partition_point(|record| !record.end().after(seq))
    }
}

#[cfg(test)]
#[path = "scoreboard_tests.rs"]
mod tests;
