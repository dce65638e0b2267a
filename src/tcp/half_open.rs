//! SYN-RECEIVED after a passive OPEN, as a small record (RFC 9293 §3.10.7.2, §3.10.7.4).
//!
//! *Owns* what has to be remembered between a SYN and the ACK of our SYN-ACK. *Does not* hold
//! buffers: nothing large is allocated for a SYN (r52). Text that came on the SYN is not
//! acknowledged, so the peer sends it again (docs/deviations.md).

use core::time::Duration;

use crate::base::{DropReason, Instant};

use super::delivery::Echo;
use super::ecn::is_setup;
use super::header::Flags;
use super::opening::Opening;
use super::options::Options;
use super::reset::{Reset, Stamp, refusal};
use super::rtt::timestamp;
use super::segment::{Control, Segment};
use super::seq::{SeqNum, WindowScale};
use super::time_wait::AnswerLimit;

// RFC 6298 §2 (2.5); Linux's TCP_RTO_MAX.
const MAX_WAIT: Duration = Duration::from_secs(120);

// Between answers to segments outside the window; Linux's `tcp_invalid_ratelimit`.
const ANSWER_INTERVAL: Duration = Duration::from_millis(500);

/// A connection request that was answered and not confirmed.
#[derive(Clone, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) opening: Opening,
    pub(crate) iss: SeqNum,
    pub(crate) ts_offset: u32,
    /// Our shift, offered when the SYN offered one.
    scale: WindowScale,
    mss: u16,
    sent_at: Instant,
    /// When the SYN-ACK left for the second time.
    again_at: Instant,
    answers: AnswerLimit,
    /// Its SYN waits for the user's word, and nothing was answered. Here it takes no room.
    pub(crate) held: bool,
}

/// What a segment did to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfOpenStep {
    /// Our SYN is acknowledged: a connection is made, and takes the segment.
    Confirmed,
    /// The SYN came again: so does the SYN-ACK.
    Answer,
    /// The peer reset it: back to LISTEN (MUST-11).
    Reset,
    /// What may be an attack is answered with an ACK, and not taken.
    Challenge(DropReason),
    Refused(Reset),
    Dropped(DropReason),
}

/// A segment without text, as its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    pub(crate) seq: SeqNum,
    pub(crate) ack: Option<SeqNum>,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
    pub(crate) options: Options,
}

impl HalfOpen {
    pub(crate) fn new(
        opening: Opening,
        iss: SeqNum,
        ts_offset: u32,
        scale: WindowScale,
        mss: u16,
    ) -> Self {
        Self {
            opening,
            iss,
            ts_offset,
            scale,
            mss,
            sent_at: Instant::ZERO,
            again_at: Instant::FAR_FUTURE,
            answers: AnswerLimit::default(),
            held: false,
        }
    }

    /// The SYN-ACK, which leaves now.
    pub(crate) fn answer(&mut self, now: Instant) -> Bare {
        if self.sent_at > Instant::ZERO {
            self.again_at = self.again_at.min(now);
        }
        self.sent_at = now;
        self.opening.ecn_answered |= self.opening.ecn;
        Bare {
            seq: self.iss,
            ack: Some(self.opening.irs + 1),
            // RFC 3168 §6.1.1: only to a SYN that asks.
            flags: if self.opening.ecn {
                Flags::SYN | Flags::ACK | Flags::ECE
            } else {
                Flags::SYN | Flags::ACK
            },
            window: u16::try_from(self.opening.advertised).unwrap_or(u16::MAX),
            options: Options {
                mss: Some(self.mss),
                window_scale: self.opening.scale.map(|_| self.scale.shift()),
                sack_permitted: self.opening.sack,
                timestamps: self
                    .opening
                    .timestamp
                    .map(|(val, _)| (timestamp(now, self.ts_offset), val)),
                ..Options::NONE
            },
        }
    }

    /// How long to wait for the ACK before the SYN-ACK goes again: `first`, doubled each time.
    pub(crate) fn wait(&self, first: Duration) -> Duration {
        let doubled = first.saturating_mul(1 << self.opening.retransmits.min(10));
        doubled.min(MAX_WAIT.max(first))
    }

    /// The timer expired: another SYN-ACK, unless that was the last.
    pub(crate) fn retry(&mut self, limit: u8) -> bool {
        self.opening.retransmits += 1;
        self.opening.retransmits <= u32::from(limit)
    }

    /// The SYN came again: which SYN-ACK the ACK will be for is not known any more (Karn).
    pub(crate) fn note_repeat(&mut self) {
        self.opening.retransmits = self.opening.retransmits.max(1);
    }

    /// RFC 9293 §3.10.7.4 for SYN-RECEIVED, and RFC 5961.
    pub(crate) fn on_segment(&mut self, seg: &Segment) -> HalfOpenStep {
        use HalfOpenStep as Step;
        let nxt = self.opening.irs + 1;
        if seg.control == Control::Syn && seg.ack.is_none() && seg.seq == self.opening.irs {
            self.update_timestamp(seg);
            // One that does not ask any more declines (RFC 3168 §6.1.1).
            self.opening.ecn &= is_setup(seg);
            return Step::Answer;
        }
        if seg.control == Control::Syn && seg.ack.is_some() {
            // An answer to an answer: two listeners would go on for ever (r39).
            return Step::Dropped(DropReason::TcpUnexpectedSyn);
        }
        // RFC 7323 §3.2: a segment without the option that was agreed on is dropped.
        let agreed = self.opening.timestamp.is_some();
        if agreed && seg.options.timestamps.is_none() && seg.control != Control::Rst {
            return Step::Dropped(DropReason::TcpNoTimestamp);
        }
        if let (Some((recent, _)), Some((val, _))) =
            (self.opening.timestamp, seg.options.timestamps)
            && seg.control != Control::Rst
            && SeqNum::new(val).before(SeqNum::new(recent))
        {
            return Step::Dropped(DropReason::TcpPaws);
        }
        let inside = seg.seq == nxt || seg.seq.past(nxt) < self.opening.advertised;
        if seg.seq.before(nxt) || !inside {
            return match seg.control {
                Control::Rst => Step::Dropped(DropReason::TcpOutOfWindow),
                // RFC 5961 §7: limited, the record has no budget of its own.
                _ if seg.at.since(self.sent_at) < ANSWER_INTERVAL => {
                    Step::Dropped(DropReason::TcpOutOfWindow)
                }
                _ => Step::Answer,
            };
        }
        match seg.control {
            Control::Rst if seg.seq == nxt => return Step::Reset,
            // RFC 5961 §3.2, §4.2. RFC 9293 §3.10.7.4 returns to LISTEN for a SYN in the window; here its
            // sender says by a RST whether it means that.
            Control::Rst => return self.challenge(seg, DropReason::TcpBadRst),
            Control::Syn => return self.challenge(seg, DropReason::TcpUnexpectedSyn),
            Control::None | Control::Fin => {}
        }
        match seg.ack {
            None => Step::Dropped(DropReason::TcpNoAck),
            Some(ack) if ack == self.iss + 1 => {
                self.measure(seg);
                Step::Confirmed
            }
            Some(_) => refusal(seg).map_or(Step::Dropped(DropReason::TcpBadAck), |reset| {
                let stamp = self.stamp();
                Step::Refused(Reset { stamp, ..reset })
            }),
        }
    }

    /// RFC 5961 §7: limited.
    fn challenge(&mut self, seg: &Segment, reason: DropReason) -> HalfOpenStep {
        if self.answers.take(seg.at) {
            HalfOpenStep::Challenge(reason)
        } else {
            HalfOpenStep::Dropped(reason)
        }
    }

    /// A challenge ACK.
    pub(crate) fn ack(&self, now: Instant) -> Bare {
        Bare {
            seq: self.iss + 1,
            ack: Some(self.opening.irs + 1),
            flags: Flags::ACK,
            window: self
                .opening
                .scale
                .map_or_else(WindowScale::default, |_| self.scale)
                .wire(self.opening.advertised),
            options: Options {
                timestamps: self
                    .opening
                    .timestamp
                    .map(|(val, _)| (timestamp(now, self.ts_offset), val)),
                ..Options::NONE
            },
        }
    }

    /// The RST of an ABORT (RFC 9293 §3.10.5, SYN-RECEIVED).
    pub(crate) fn reset(&self) -> Reset {
        Reset {
            seq: self.iss + 1,
            ack: Some(self.opening.irs + 1),
            stamp: self.stamp(),
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        self.opening.timestamp.map(|(recent, _)| Stamp {
            offset: self.ts_offset,
            recent,
        })
    }

    /// RFC 7323 §4.3 (2): SEG.SEQ is at or before Last.ACK.sent, which is IRS + 1. The peer would take
    /// an echo of its first SYN for a round trip of a second.
    fn update_timestamp(&mut self, seg: &Segment) {
        if let (Some((recent, at)), Some((val, _))) =
            (&mut self.opening.timestamp, seg.options.timestamps)
            && !SeqNum::new(val).before(SeqNum::new(*recent))
        {
            (*recent, *at) = (val, seg.at);
        }
    }

    /// The round trip of SYN-ACK and ACK, unless the SYN-ACK was sent again. Karn's rule, timestamps
    /// or not: a peer that lost only its ACK still echoes the first one. An ACK that came again,
    /// for there was no room in the accept queue, says nothing.
    fn measure(&mut self, seg: &Segment) {
        if self.opening.retransmits == 0 && self.opening.rtt.is_none() {
            let nanos = seg.at.since(self.sent_at).as_nanos();
            self.opening.rtt = u32::try_from(nanos).ok();
        }
        let agreed = self.opening.timestamp.is_some();
        let echo = seg.options.timestamps.filter(|_| agreed);
        let echo = echo.map(|(_, ecr)| Echo {
            ecr,
            offset: self.ts_offset,
        });
        self.opening.first_arrived = echo.is_some_and(|echo| echo.is_before(self.again_at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::TcpOptions;
    use crate::tcp::segment::Marks;
    use bytes::Bytes;

    fn segment(seq: u32, ack: Option<u32>, control: Control) -> Segment {
        Segment {
            seq: SeqNum::new(seq),
            ack: ack.map(SeqNum::new),
            control,
            wnd: 1000,
            options: Options::NONE,
            marks: Marks::empty(),
            urgent: 0,
            text: Bytes::new(),
            segment_size: None,
            at: Instant::from_millis(505),
        }
    }

    fn record() -> HalfOpen {
        let syn = segment(100, None, Control::Syn);
        let opening = Opening::of_syn(&syn, 65_535, &TcpOptions::default());
        HalfOpen::new(opening, SeqNum::new(500), 0, WindowScale::new(3), 1460)
    }

    /// Covers: TCP-12, TCP-61, SEC-1 (SYN-RECEIVED)
    #[test]
    fn each_kind_of_segment_has_its_outcome() {
        let refused = Reset {
            seq: SeqNum::new(777),
            ack: None,
            stamp: None,
        };
        for (seg, step) in [
            (
                segment(101, Some(501), Control::None),
                HalfOpenStep::Confirmed,
            ),
            (
                segment(101, Some(501), Control::Fin),
                HalfOpenStep::Confirmed,
            ),
            (segment(100, None, Control::Syn), HalfOpenStep::Answer),
            (segment(99, Some(501), Control::None), HalfOpenStep::Answer),
            (segment(101, None, Control::Rst), HalfOpenStep::Reset),
            (
                segment(102, None, Control::Rst),
                HalfOpenStep::Challenge(DropReason::TcpBadRst),
            ),
            (
                segment(90, None, Control::Rst),
                HalfOpenStep::Dropped(DropReason::TcpOutOfWindow),
            ),
            (
                segment(150, None, Control::Syn),
                HalfOpenStep::Challenge(DropReason::TcpUnexpectedSyn),
            ),
            (
                segment(101, None, Control::None),
                HalfOpenStep::Dropped(DropReason::TcpNoAck),
            ),
            (
                segment(101, Some(777), Control::None),
                HalfOpenStep::Refused(refused),
            ),
        ] {
            assert_eq!(record().on_segment(&seg), step, "{seg:?}");
        }
    }

    /// Covers: TS-2, TS-4, SAK-2 (a SYN-ACK offers only what the SYN offered)
    #[test]
    fn the_answer_mirrors_the_offer() {
        let mut plain = record();
        let bare = plain.answer(Instant::ZERO);
        assert_eq!(bare.options.window_scale, None);
        assert!(!bare.options.sack_permitted && bare.options.timestamps.is_none());
        assert_eq!(bare.window, 65_535);
        let mut full = record();
        full.opening.scale = Some(WindowScale::new(7));
        full.opening.sack = true;
        full.opening.timestamp = Some((9, Instant::ZERO));
        let bare = full.answer(Instant::from_millis(3));
        assert_eq!(bare.options.window_scale, Some(3));
        assert!(bare.options.sack_permitted);
        assert_eq!(bare.options.timestamps, Some((3, 9)));
    }

    /// An ACK that finds the accept queue full says when it came, not when there was room.
    #[test]
    fn the_first_ack_is_the_sample() {
        let mut record = record();
        record.answer(Instant::from_millis(500));
        let mut ack = segment(101, Some(501), Control::None);
        assert_eq!(record.on_segment(&ack), HalfOpenStep::Confirmed);
        ack.at = Instant::from_millis(9000);
        assert_eq!(record.on_segment(&ack), HalfOpenStep::Confirmed);
        assert_eq!(record.opening.rtt, Some(5_000_000));
    }

    #[test]
    fn retries_double_and_end() {
        let mut record = record();
        let first = Duration::from_secs(1);
        let mut total = record.wait(first);
        while record.retry(7) {
            total += record.wait(first);
        }
        assert_eq!(
            total,
            Duration::from_secs(1 + 2 + 4 + 8 + 16 + 32 + 64 + 120)
        );
    }
}
