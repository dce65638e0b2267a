//! What was overtaken by something that left later is lost once it is old (RFC 8985 §6.2 step 5, §6.3).
//!
//! *Owns* the walk over transmissions in their order, of which each is passed once. *Does not* know how
//! old is too old: `recovery::rack` does.

use core::time::Duration;

use crate::base::Instant;

use super::records::{Mark, Place, Record};
use super::scoreboard::Scoreboard;
use super::seq::SeqNum;
use super::times::Sent;

// Transmissions looked at to find the last that may be lost: more than a few are close together.
const WAIT_WALK: usize = 4;

impl Scoreboard {
    /// RFC 8985 §6.2 step 5: marks what left before `newest` and is older than `patience`. Returns the
    /// octets marked, and when the last of what is not that old yet will be.
    pub(crate) fn mark_lost_before(
        &mut self,
        newest: &Sent,
        now: Instant,
        patience: Duration,
    ) -> (u32, Option<Instant>) {
        let mut marked = 0;
        while let Some(sent) = self.times.first()
            && let Some((at_most, at_once)) = overtaken_of(&sent, newest)
        {
            if sent.at + patience > now {
                return (marked, self.wait_for(newest, patience));
            }
            marked += self.mark_sent_lost(&sent, at_most);
            if at_once && sent.end != newest.end {
                self.times.shorten_first(newest.end);
                break;
            }
            self.times.pop();
        }
        (marked, None)
    }

    /// Did anything leave before `newest` that may still be on the way? Where nothing is missing it did not.
    #[inline]
    pub(crate) fn may_be_overtaken(&self, newest: &Sent) -> bool {
        let first = self.times.first();
        first.is_some_and(|sent| overtaken_of(&sent, newest).is_some())
    }

    /// When the last transmission before `newest` that may be lost will be: exact if few wait, else when
    /// `newest` itself would be.
    fn wait_for(&mut self, newest: &Sent, patience: Duration) -> Option<Instant> {
        while let Some(sent) = self.times.first()
            && newest.is_after(&sent)
            && !self.is_live(&sent)
        {
            self.times.pop();
        }
        let mut last = None;
        for (looked_at, mut sent) in self.times.iter().enumerate() {
            if sent.at == newest.at {
                sent.end = sent.end.earlier(newest.end);
            }
            if sent.at > newest.at || !sent.seq.before(sent.end) {
                return last;
            }
            if looked_at == WAIT_WALK {
                return Some(newest.at + patience);
            }
            if self.is_live(&sent) {
                last = Some(sent.at + patience);
            }
        }
        last
    }

    /// RFC 8985 §6.3: marks everything that is older than `patience`.
    pub(crate) fn mark_old_lost(&mut self, now: Instant, patience: Duration) {
        while let Some(sent) = self.times.first()
            && sent.at + patience <= now
        {
            self.mark_sent_lost(&sent, sent.end);
            self.times.pop();
        }
    }

    /// Marks what is still on the way of a transmission, as far as it ends at or before `at_most`;
    /// returns the octets marked.
    fn mark_sent_lost(&mut self, sent: &Sent, at_most: SeqNum) -> u32 {
        let mut marked = 0;
        let mut next = self.find_sent(sent);
        while let Some(place) = next
            && let Some(record) = self.records.get(place)
            && !record.end().after(at_most)
        {
            if is_on_the_way(record, sent) {
                marked += self.mark_lost(place);
            }
            next = self.records.next(place);
        }
        marked
    }

    /// Is anything of a transmission still on the way?
    pub(super) fn is_live(&self, sent: &Sent) -> bool {
        let mut next = self.find_sent(sent);
        while let Some(place) = next
            && let Some(record) = self.records.get(place)
            && record.seq.before(sent.end)
        {
            if is_on_the_way(record, sent) {
                return true;
            }
            next = self.records.next(place);
        }
        false
    }

    /// Is it the last transmission of anything that was not delivered, lost or not?
    pub(super) fn is_current(&self, sent: &Sent) -> bool {
        let mut next = self.find_sent(sent);
        while let Some(place) = next
            && let Some(record) = self.records.get(place)
            && record.seq.before(sent.end)
        {
            if record.stamp.sent_at == sent.at && record.mark != Mark::Sacked {
                return true;
            }
            next = self.records.next(place);
        }
        false
    }

    fn find_sent(&self, sent: &Sent) -> Option<Place> {
        let first = self.records.first()?.seq;
        if !sent.end.after(first) {
            return None;
        }
        self.records.find(sent.seq.later(first))
    }
}

/// Up to which number `newest` overtook a transmission, and did they leave at the same time? Of what left with
/// it only what lies below was overtaken.
#[inline]
fn overtaken_of(sent: &Sent, newest: &Sent) -> Option<(SeqNum, bool)> {
    if sent.at > newest.at {
        return None;
    }
    let at_once = sent.at == newest.at && !sent.end.before(newest.end);
    let at_most = if at_once { newest.end - 1 } else { sent.end };
    (!at_once || sent.seq.before(at_most)).then_some((at_most, at_once))
}

/// Is the record still on the way, as this transmission left it?
fn is_on_the_way(record: &Record, sent: &Sent) -> bool {
    record.stamp.sent_at == sent.at && matches!(record.mark, Mark::InFlight | Mark::Retransmitted)
}

#[cfg(test)]
#[path = "overtaken_tests.rs"]
mod tests;
