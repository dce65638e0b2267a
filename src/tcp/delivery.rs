//! What an ACK delivers, as the scoreboard finds it record by record (RFC 8985 §6.2 step 2, RFC 6298 §3).
//!
//! *Owns* which round trip and which transmission an ACK tells, and which it may not (Karn). *Does not*
//! mark records, nor draw conclusions: `ack` and `recovery` do.

use crate::base::Instant;

use super::congestion::parts::{Basis, DeliverySampler};
use super::records::Record;
use super::rtt::timestamp;
use super::seq::SeqNum;
use super::times::Sent;

/// What an ACK delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Octets delivered for the first time.
    pub(crate) bytes: u32,
    /// Text and option bytes of the largest segment among them.
    pub(crate) largest: u32,
    /// When the latest record that was sent once and is now delivered left.
    pub(crate) sent_at: Option<Instant>,
    /// Did it deliver something that was sent more than once? Then RTT is ambiguous (Karn).
    pub(crate) ambiguous: bool,
    /// Records below what was delivered before whose first transmission came late: reordering.
    pub(crate) reordered: u32,
    /// Octets of it that left once, before the time-out that is in doubt.
    pub(crate) originals: u32,
    /// What left last of it, as far as it is sure which transmission arrived (RFC 8985 §6.2 step 2).
    pub(crate) newest: Option<Sent>,
}

/// An ACK as the scoreboard takes it, and what it delivered.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) at: Instant,
    /// Which of our timestamps it echoes, as the time since: by the clock of timestamps.
    pub(crate) echo: Option<Echo>,
    /// The shortest round trip, in nanoseconds.
    pub(crate) min_rtt: Option<u64>,
    pub(crate) sampler: &'a mut DeliverySampler,
    /// What the rate sample is based on.
    pub(crate) basis: &'a mut Basis,
    /// Where SND.NXT was at the time-out that is in doubt, if one is.
    pub(crate) timed_out: Option<SeqNum>,
    pub(crate) delivered: Delivered,
}

/// A timestamp that came back, and where our clock of timestamps starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo {
    pub(crate) ecr: u32,
    pub(crate) offset: u32,
}

impl Echo {
    /// Was it written before this time?
    pub(crate) fn is_before(self, at: Instant) -> bool {
        SeqNum::new(self.ecr).before(SeqNum::new(timestamp(at, self.offset)))
    }
}

/// How an ACK told of a record. RFC 7323 §4.3: it echoes what came last at the left edge, so of what is
/// reported beyond a hole the echo says nothing, however old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// SND.UNA stood at it, and passed it.
    AtUna,
    /// SND.UNA passed it, and stood below.
    BelowAck,
    /// In a SACK block.
    Reported,
}

impl Delivery<'_> {
    /// Can what left at this time not have brought this ACK about?
    fn is_too_soon(&self, sent_at: Instant, told: Told) -> bool {
        (told != Told::Reported && self.is_echo_older(sent_at))
            || self
                .min_rtt
                .is_some_and(|min| self.at.nanos_since(sent_at) < min)
    }

    /// Did the first transmission of a record arrive? A repetition tells by what the ACK echoes alone, and
    /// that is for what stood at the left edge: one that came sooner than any before may be a path that
    /// became shorter.
    fn is_first_copy(&self, record: &Record, told: Told) -> bool {
        let sent_at = record.stamp.sent_at;
        record.transmissions == 1 || (told == Told::AtUna && self.is_echo_older(sent_at))
    }

    fn is_echo_older(&self, sent_at: Instant) -> bool {
        self.echo.is_some_and(|echo| echo.is_before(sent_at))
    }

    /// A record, or the part of one, that was not delivered before; `passed`: something above it was
    /// (RFC 8985 §6.2 step 3).
    pub(super) fn add(&mut self, record: &Record, told: Told, passed: bool) {
        let late = passed && self.is_first_copy(record, told);
        let sent_at = record.stamp.sent_at;
        // RFC 8985 §6.2 step 2: it may be the first transmission that arrived.
        let may_be_first = record.transmissions > 1 && self.is_too_soon(sent_at, told);
        let delivered = &mut self.delivered;
        delivered.reordered += u32::from(late);
        delivered.bytes += record.len;
        delivered.largest = delivered.largest.max(record.wire_size());
        self.sampler
            .on_delivered(self.at, &record.stamp, record.len, self.basis);
        if record.transmissions > 1 {
            delivered.ambiguous = true;
            if may_be_first {
                return;
            }
        } else {
            if self.timed_out.is_some_and(|at| !record.end().after(at)) {
                delivered.originals += record.len;
            }
            if delivered.sent_at.is_none_or(|at| sent_at > at) {
                delivered.sent_at = Some(sent_at);
            }
        }
        let sent = Sent {
            at: sent_at,
            seq: record.seq,
            end: record.end(),
        };
        if delivered.newest.is_none_or(|newest| sent.is_after(&newest)) {
            delivered.newest = Some(sent);
        }
    }
}
