//! TIME-WAIT as a record of a few words, for many may wait (RFC 9293 §3.6.1, RFC 1337, RFC 6191).
//!
//! *Owns* what old duplicates and a new SYN are judged by. *Does not* hold the user's data: text
//! that was not read yet stays with the connection (r15).

use bitflags::bitflags;

use crate::base::{DropReason, Instant};

use super::connection::Connection;
use super::half_open::Bare;
use super::header::Flags;
use super::options::Options;
use super::reset::Stamp;
use super::segment::{Control, Segment};
use super::seq::SeqNum;

/// 20 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeWait {
    pub(super) snd_nxt: SeqNum,
    pub(super) rcv_nxt: SeqNum,
    /// TS.Recent, when timestamps were agreed on.
    ts_val: u32,
    ts_offset: u32,
    window: u16,
    facts: Facts,
    answers: AnswerLimit,
}

bitflags! {
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Facts: u8 {
        /// Timestamps were agreed on.
        const TIMESTAMPS = 1;
        /// A SYN was answered with an ACK.
        const SYN_ANSWERED = 2;
        /// That ACK was answered with a RST: who sends the SYN knows nothing of the old connection.
        const DOUBTED = 4;
    }
}

/// One answer each 512 ms at most (RFC 5961 §7; Linux's `tcp_invalid_ratelimit` is 500 ms), in one
/// byte: the tick of the last one. Once in 131 s a tick may be taken for an old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerLimit(u8);

impl AnswerLimit {
    /// May an answer leave now?
    pub(super) fn take(&mut self, now: Instant) -> bool {
        // Never 0, which stands for no answer yet.
        let tick = u8::try_from((now.as_nanos() >> 29) % 255).unwrap_or(0) + 1;
        core::mem::replace(&mut self.0, tick) != tick
    }
}

/// What a segment does in TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeWaitStep {
    /// The peer's FIN again: acknowledge it, and 2 MSL start anew (RFC 9293 §3.10.7.4).
    Restart,
    /// Something that is answered with an ACK and not taken.
    Answer(DropReason),
    /// A SYN that may open a new connection (RFC 6191 §2, MAY-2).
    Reuse,
    Dropped(DropReason),
}

impl TimeWait {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self {
            snd_nxt: connection.snd.nxt,
            rcv_nxt: connection.rcv.nxt,
            ts_val: connection.rcv.ts_recent().unwrap_or(0),
            ts_offset: connection.setup.ts_offset,
            window: connection.rcv.advertise().0,
            facts: match connection.rcv.ts_recent() {
                Some(_) => Facts::TIMESTAMPS,
                None => Facts::empty(),
            },
            answers: AnswerLimit::default(),
        }
    }

    /// As of a connection with timestamps, whose last one was this.
    #[cfg(test)]
    pub(super) fn with_ts_recent(mut self, val: u32) -> Self {
        self.ts_val = val;
        self.facts |= Facts::TIMESTAMPS;
        self
    }

    /// Were timestamps agreed on?
    pub(crate) const fn has_timestamps(&self) -> bool {
        self.facts.contains(Facts::TIMESTAMPS)
    }

    fn ts_recent(&self) -> Option<u32> {
        self.facts
            .contains(Facts::TIMESTAMPS)
            .then_some(self.ts_val)
    }

    /// What a RST's timestamps are made of.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let offset = self.ts_offset;
        self.ts_recent().map(|recent| Stamp { offset, recent })
    }

    /// The peer's FIN, and everything before it, is there.
    pub(super) fn take_fin(&mut self, seg: &Segment) {
        self.rcv_nxt = seg.end();
        if let (true, Some((val, _))) = (self.ts_recent().is_some(), seg.options.timestamps) {
            self.ts_val = val;
        }
    }

    /// Answers, unless one left a moment ago. Text and FINs have their answer each time: they come
    /// again when our ACK was lost, and nothing that others sent may hold it back (r38). Two ends do
    /// not go on with it, an ACK has neither (r39).
    pub(super) fn answer(&mut self, seg: &Segment, reason: DropReason) -> TimeWaitStep {
        let comes_again = seg.len() > 0 && seg.control != Control::Syn;
        if comes_again || self.answers.take(seg.at) {
            TimeWaitStep::Answer(reason)
        } else {
            TimeWaitStep::Dropped(reason)
        }
    }

    /// The ACK that answers whatever comes; `tsval` is made by the caller's clock.
    pub(crate) fn ack(&self, now: Instant) -> Bare {
        Bare {
            seq: self.snd_nxt,
            ack: Some(self.rcv_nxt),
            flags: Flags::ACK,
            window: self.window,
            options: Options {
                timestamps: self
                    .ts_recent()
                    .map(|recent| (super::rtt::timestamp(now, self.ts_offset), recent)),
                ..Options::NONE
            },
        }
    }

    /// Judges a segment; answers are limited by `seg.at`.
    pub(crate) fn on_segment(&mut self, seg: &Segment) -> TimeWaitStep {
        use TimeWaitStep as Step;
        match seg.control {
            Control::Rst => {
                // RFC 1337 §3: a RST does not end TIME-WAIT.
                if seg.seq == self.rcv_nxt && self.facts.contains(Facts::SYN_ANSWERED) {
                    self.facts |= Facts::DOUBTED;
                }
                Step::Dropped(DropReason::TcpBadRst)
            }
            Control::Syn if seg.ack.is_none() && self.may_reopen(seg) => Step::Reuse,
            Control::Syn => {
                self.facts |= Facts::SYN_ANSWERED;
                self.answer(seg, DropReason::TcpUnexpectedSyn)
            }
            // RFC 9293 §3.10.7.4, fifth: without the ACK bit it is dropped, whatever else it is.
            _ if seg.ack.is_none() => Step::Dropped(DropReason::TcpNoAck),
            Control::Fin if seg.end() == self.rcv_nxt => Step::Restart,
            _ if self.is_old_timestamp(seg) => self.answer(seg, DropReason::TcpPaws),
            _ if seg.len() > 0 => self.answer(seg, DropReason::TcpTextRefused),
            // A pure ACK is never answered, or two ends would answer each other for ever (r39).
            _ => Step::Dropped(DropReason::TcpOutOfWindow),
        }
    }

    /// RFC 6191 §2: a newer timestamp; an equal one or none, and a number above the last. Or a SYN
    /// that comes again after our ACK of it was reset: another host behind the same translator, whose
    /// clock is behind. Should it be an old duplicate all the same, its SYN-ACK is reset, and
    /// TIME-WAIT goes on (RFC 9293 §3.6.1 MAY-2 (2)).
    fn may_reopen(&self, seg: &Segment) -> bool {
        if self.facts.contains(Facts::DOUBTED) {
            return true;
        }
        let later_number = seg.seq.after(self.rcv_nxt);
        match (self.ts_recent(), seg.options.timestamps) {
            (Some(recent), Some((val, _))) => {
                let (recent, val) = (SeqNum::new(recent), SeqNum::new(val));
                val.after(recent) || (val == recent && later_number)
            }
            _ => later_number,
        }
    }

    pub(super) fn is_old_timestamp(&self, seg: &Segment) -> bool {
        match (self.ts_recent(), seg.options.timestamps) {
            (Some(recent), Some((val, _))) => SeqNum::new(val).before(SeqNum::new(recent)),
            _ => false,
        }
    }

    /// SND.NXT of the connection that was.
    pub(crate) const fn snd_nxt(&self) -> SeqNum {
        self.snd_nxt
    }

    /// The number a new connection of the same name starts at, well above the old one's.
    pub(crate) fn iss_floor(&self) -> SeqNum {
        // RFC 9293 §3.6.1 MAY-2 (1): larger than the largest of the previous incarnation.
        self.snd_nxt + 65_536
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::segment::Marks;
    use bytes::Bytes;

    fn record(ts_recent: Option<u32>) -> TimeWait {
        TimeWait {
            snd_nxt: SeqNum::new(10),
            rcv_nxt: SeqNum::new(1000),
            ts_val: ts_recent.unwrap_or(0),
            ts_offset: 0,
            window: 5,
            facts: ts_recent.map_or(Facts::empty(), |_| Facts::TIMESTAMPS),
            answers: AnswerLimit::default(),
        }
    }

    fn segment(seq: u32, control: Control, ack: bool, ts: Option<u32>, text: usize) -> Segment {
        Segment {
            seq: SeqNum::new(seq),
            ack: ack.then_some(SeqNum::new(10)),
            control,
            wnd: 1,
            options: Options {
                timestamps: ts.map(|val| (val, 0)),
                ..Options::NONE
            },
            marks: Marks::empty(),
            urgent: 0,
            text: Bytes::from(vec![0; text]),
            segment_size: None,
            at: Instant::ZERO,
        }
    }

    /// Covers: TCP-19, TCP-20, SEC-9, SEC-10
    #[test]
    fn r53_each_kind_of_segment_has_its_outcome() {
        use DropReason as D;
        use TimeWaitStep as S;
        let (syn, fin, rst, none) = (Control::Syn, Control::Fin, Control::Rst, Control::None);
        for (recent, seg, step) in [
            (
                None,
                segment(1000, rst, false, None, 0),
                S::Dropped(D::TcpBadRst),
            ),
            (None, segment(999, fin, true, None, 0), S::Restart),
            (None, segment(1001, syn, false, None, 0), S::Reuse),
            (
                None,
                segment(1000, syn, false, None, 0),
                S::Answer(D::TcpUnexpectedSyn),
            ),
            (
                None,
                segment(1001, syn, true, None, 0),
                S::Answer(D::TcpUnexpectedSyn),
            ),
            (Some(50), segment(1, syn, false, Some(51), 0), S::Reuse),
            (
                Some(50),
                segment(1, syn, false, Some(50), 0),
                S::Answer(D::TcpUnexpectedSyn),
            ),
            (Some(50), segment(2000, syn, false, Some(50), 0), S::Reuse),
            (
                Some(50),
                segment(2000, syn, false, Some(49), 0),
                S::Answer(D::TcpUnexpectedSyn),
            ),
            (
                Some(50),
                segment(1000, none, true, Some(49), 0),
                S::Answer(D::TcpPaws),
            ),
            (
                None,
                segment(1000, none, true, None, 3),
                S::Answer(D::TcpTextRefused),
            ),
            (
                None,
                segment(1000, none, true, None, 0),
                S::Dropped(D::TcpOutOfWindow),
            ),
            (
                None,
                segment(999, fin, false, None, 0),
                S::Dropped(D::TcpNoAck),
            ),
        ] {
            assert_eq!(record(recent).on_segment(&seg), step, "{seg:?}");
        }
    }

    #[test]
    fn answers_are_limited_but_for_what_comes_again() {
        use DropReason as D;
        use TimeWaitStep as S;
        let mut record = record(Some(50));
        let mut answered = 0;
        for ms in 0..2048 {
            let mut judge = |seq, control, val, text| {
                let mut seg = segment(seq, control, control != Control::Syn, Some(val), text);
                seg.at = Instant::from_millis(ms);
                record.on_segment(&seg)
            };
            for (step, reason) in [
                (judge(990, Control::Syn, 50, 0), D::TcpUnexpectedSyn),
                (judge(990, Control::None, 49, 0), D::TcpPaws),
            ] {
                assert!(step == S::Answer(reason) || step == S::Dropped(reason));
                answered += usize::from(step == S::Answer(reason));
            }
            assert_eq!(
                judge(990, Control::None, 50, 3),
                S::Answer(D::TcpTextRefused)
            );
            assert_eq!(judge(990, Control::None, 49, 3), S::Answer(D::TcpPaws));
            assert_eq!(judge(999, Control::Fin, 50, 0), S::Restart);
        }
        assert!((3..=5).contains(&answered), "{answered} in two seconds");
    }

    /// Another host behind one translated address, whose timestamps and numbers are lower: its SYN is
    /// refused by an ACK, it resets that, as RFC 9293 §3.10.7.3 has it, and comes again.
    #[test]
    fn a_syn_that_comes_again_after_its_answer_was_reset_reopens() {
        let (syn, rst) = (Control::Syn, Control::Rst);
        let mut record = record(Some(50));
        let request = segment(7, syn, false, Some(20), 0);
        let answer = TimeWaitStep::Answer(DropReason::TcpUnexpectedSyn);
        let dropped = TimeWaitStep::Dropped(DropReason::TcpBadRst);
        // A RST before any SYN, or a blind one, changes nothing.
        assert_eq!(
            record.on_segment(&segment(1000, rst, false, None, 0)),
            dropped
        );
        assert_eq!(record.on_segment(&request), answer);
        assert_eq!(
            record.on_segment(&segment(999, rst, false, None, 0)),
            dropped
        );
        let mut again = request.clone();
        again.at = Instant::from_millis(1000);
        assert_eq!(record.on_segment(&again), answer);
        assert_eq!(
            record.on_segment(&segment(1000, rst, false, None, 0)),
            dropped
        );
        assert_eq!(record.on_segment(&again), TimeWaitStep::Reuse);
    }
}
