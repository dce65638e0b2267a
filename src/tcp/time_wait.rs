//! TIME-WAIT as a record of a few words, for many may wait (RFC 9293 §3.6.1, RFC 1337, RFC 6191).
//!
//! *Owns* what old duplicates and a new SYN are judged by. *Does not* hold the user's data: text
//! that was not read yet stays with the connection (r15).

use crate::base::DropReason;

use super::connection::Connection;
use super::half_open::Bare;
use super::header::Flags;
use super::options::Options;
use super::segment::{Control, Segment};
use super::seq::SeqNum;

/// 20 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeWait {
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    /// TS.Recent, when `timestamps` were agreed on.
    ts_val: u32,
    ts_offset: u32,
    window: u16,
    timestamps: bool,
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
            timestamps: connection.rcv.ts_recent().is_some(),
        }
    }

    fn ts_recent(&self) -> Option<u32> {
        self.timestamps.then_some(self.ts_val)
    }

    /// The ACK that answers whatever comes; `tsval` is made by the caller's clock.
    pub(crate) fn ack(&self, now: crate::base::Instant) -> Bare {
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

    pub(crate) fn on_segment(&self, seg: &Segment) -> TimeWaitStep {
        use TimeWaitStep as Step;
        match seg.control {
            // RFC 1337 §3: a RST does not end TIME-WAIT.
            Control::Rst => Step::Dropped(DropReason::TcpBadRst),
            Control::Syn if seg.ack.is_none() && self.may_reopen(seg) => Step::Reuse,
            Control::Syn => Step::Answer(DropReason::TcpUnexpectedSyn),
            Control::Fin if seg.end() == self.rcv_nxt => Step::Restart,
            _ if self.is_old_timestamp(seg) => Step::Answer(DropReason::TcpPaws),
            _ if seg.len() > 0 => Step::Answer(DropReason::TcpTextRefused),
            // A pure ACK is never answered, or two ends would answer each other for ever (r39).
            _ => Step::Dropped(DropReason::TcpOutOfWindow),
        }
    }

    /// RFC 6191 §2: a newer timestamp; an equal one or none, and a number above the last.
    fn may_reopen(&self, seg: &Segment) -> bool {
        let later_number = seg.seq.after(self.rcv_nxt);
        match (self.ts_recent(), seg.options.timestamps) {
            (Some(recent), Some((val, _))) => {
                let (recent, val) = (SeqNum::new(recent), SeqNum::new(val));
                val.after(recent) || (val == recent && later_number)
            }
            _ => later_number,
        }
    }

    fn is_old_timestamp(&self, seg: &Segment) -> bool {
        match (self.ts_recent(), seg.options.timestamps) {
            (Some(recent), Some((val, _))) => SeqNum::new(val).before(SeqNum::new(recent)),
            _ => false,
        }
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
    use crate::base::Instant;
    use bytes::Bytes;

    fn record(ts_recent: Option<u32>) -> TimeWait {
        TimeWait {
            snd_nxt: SeqNum::new(10),
            rcv_nxt: SeqNum::new(1000),
            ts_val: ts_recent.unwrap_or(0),
            ts_offset: 0,
            window: 5,
            timestamps: ts_recent.is_some(),
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
        ] {
            assert_eq!(record(recent).on_segment(&seg), step, "{seg:?}");
        }
    }
}
