//! FIN-WAIT-2 without a user, as a record like TIME-WAIT's: only the peer's FIN is missing, and there
//! may be peers that never send one.
//!
//! RFC 9293 §3.10.7.4, §3.6.1. *Owns* what segments are judged by: text has no reader any more and
//! resets (SHLD-3), the FIN leads to TIME-WAIT. *Does not* hold buffers nor its timer: `stack` does.

use crate::base::DropReason;

use super::connection::Connection;
use super::half_open::Bare;
use super::reset::Reset;
use super::segment::{Control, Segment};
use super::time_wait::{TimeWait, TimeWaitStep};

/// 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FinWait {
    record: TimeWait,
    /// RCV.WND as promised.
    wnd: u32,
}

/// What a segment does in FIN-WAIT-2 without a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FinWaitStep {
    /// The peer's FIN: acknowledge it, and TIME-WAIT begins.
    Finished(TimeWait),
    /// Text that nobody reads: the connection ends with this RST.
    Refused(Reset),
    /// The peer reset it.
    Reset,
    /// Something that is answered with an ACK and not taken.
    Answer(DropReason),
    Dropped(DropReason),
    /// An ACK that says nothing new.
    Taken,
}

impl FinWait {
    /// Of a connection whose FIN is acknowledged.
    pub(crate) fn of(connection: &Connection) -> Self {
        Self {
            record: TimeWait::of(connection),
            wnd: connection.rcv.wnd(),
        }
    }

    /// SND.NXT of the connection that was.
    pub(crate) const fn snd_nxt(&self) -> super::seq::SeqNum {
        self.record.snd_nxt()
    }

    /// The ACK that answers whatever comes.
    pub(crate) fn ack(&self, now: crate::base::Instant) -> Bare {
        self.record.ack(now)
    }

    /// The RST of an ABORT (RFC 9293 §3.10.5).
    pub(crate) fn reset(&self) -> Reset {
        Reset {
            seq: self.record.snd_nxt,
            ack: Some(self.record.rcv_nxt),
            stamp: self.record.stamp(),
        }
    }

    /// RFC 9293 §3.10.7.4 for FIN-WAIT-2, in the RFC's order.
    pub(crate) fn on_segment(&mut self, seg: &Segment) -> FinWaitStep {
        use FinWaitStep as Step;
        let nxt = self.record.rcv_nxt;
        if seg.control != Control::Rst {
            // RFC 7323 §3.2 and §5.3 (R1), but a SYN may be a rebooted peer's (RFC 5961 §4.2), and
            // keep-alives of some stacks carry no options.
            let lacks = self.record.stamp().is_some() && seg.options.timestamps.is_none();
            if lacks && seg.control != Control::Syn && !seg.is_keep_alive(nxt) {
                return Step::Dropped(DropReason::TcpNoTimestamp);
            }
            if self.record.is_old_timestamp(seg) {
                return self.answer(seg, DropReason::TcpPaws);
            }
        }
        if !self.is_acceptable(seg) {
            return match seg.control {
                Control::Rst => Step::Dropped(DropReason::TcpOutOfWindow),
                _ => self.answer(seg, DropReason::TcpOutOfWindow),
            };
        }
        match seg.control {
            Control::Rst if seg.seq == nxt => return Step::Reset,
            Control::Rst => return self.answer(seg, DropReason::TcpBadRst),
            Control::Syn => return self.answer(seg, DropReason::TcpUnexpectedSyn),
            Control::None | Control::Fin => {}
        }
        let Some(ack) = seg.ack else {
            return Step::Dropped(DropReason::TcpNoAck);
        };
        if ack.after(self.record.snd_nxt) {
            return self.answer(seg, DropReason::TcpBadAck);
        }
        if seg.len() == 0 {
            return Step::Taken;
        }
        if seg.control == Control::Fin && seg.end() == nxt + 1 {
            let mut record = self.record;
            record.take_fin(seg);
            return Step::Finished(record);
        }
        // A FIN behind a hole tells of text that is to come.
        Step::Refused(self.reset())
    }

    /// RFC 9293 §3.10.7.4, first; a probe of a closed window is old.
    fn is_acceptable(&self, seg: &Segment) -> bool {
        let nxt = self.record.rcv_nxt;
        let begins_inside = seg.seq == nxt || (seg.seq.after(nxt) && seg.seq.past(nxt) < self.wnd);
        let holds_nxt = nxt.get().wrapping_sub(seg.seq.get()) < seg.len();
        begins_inside || holds_nxt
    }

    /// What is not acceptable is answered, so that a peer which lost our ACK, or asks whether we live,
    /// goes on. Limited as in TIME-WAIT, for the record has no budget of its own.
    fn answer(&mut self, seg: &Segment, reason: DropReason) -> FinWaitStep {
        match self.record.answer(seg, reason) {
            TimeWaitStep::Answer(reason) => FinWaitStep::Answer(reason),
            _ => FinWaitStep::Dropped(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::tcp::SeqNum;
    use crate::tcp::options::Options;
    use crate::tcp::segment::Marks;
    use bytes::Bytes;

    fn record() -> FinWait {
        let mut record = TimeWait::default();
        record.snd_nxt = SeqNum::new(10);
        record.rcv_nxt = SeqNum::new(1000);
        FinWait { record, wnd: 500 }
    }

    fn segment(seq: u32, control: Control, ack: Option<u32>, text: usize) -> Segment {
        Segment {
            seq: SeqNum::new(seq),
            ack: ack.map(SeqNum::new),
            control,
            wnd: 1,
            options: Options::NONE,
            marks: Marks::empty(),
            urgent: 0,
            text: Bytes::from(vec![0; text]),
            segment_size: None,
            at: Instant::ZERO,
        }
    }

    /// What the FIN told is echoed, and what is older than the FIN is old (RFC 7323 §4.3, §5.3).
    #[test]
    fn time_wait_begins_with_the_timestamp_of_the_fin() {
        let mut record = record();
        record.record = record.record.with_ts_recent(50);
        let stamped = |seq, control, val| {
            let mut seg = segment(seq, control, Some(10), 0);
            seg.options.timestamps = Some((val, 0));
            seg
        };
        let FinWaitStep::Finished(mut ended) = record.on_segment(&stamped(1000, Control::Fin, 80))
        else {
            panic!("a FIN in order ends it");
        };
        let (_, echo) = ended.ack(Instant::ZERO).options.timestamps.unwrap();
        assert_eq!(echo, 80);
        let mut old = stamped(1000, Control::None, 79);
        old.text = Bytes::from_static(b"x");
        assert_eq!(
            ended.on_segment(&old),
            TimeWaitStep::Answer(DropReason::TcpPaws)
        );
    }

    /// Covers: TCP-65, TCP-17, SEC-1, SEC-2 (FIN-WAIT-2 without a user)
    #[test]
    fn each_kind_of_segment_has_its_outcome() {
        use DropReason as D;
        use FinWaitStep as S;
        let (syn, fin, rst, none) = (Control::Syn, Control::Fin, Control::Rst, Control::None);
        let reset = S::Refused(record().reset());
        let mut finished = record().record;
        finished.rcv_nxt = SeqNum::new(1001);
        for (seg, step) in [
            (segment(1000, none, Some(10), 0), S::Taken),
            (segment(1000, none, Some(3), 0), S::Taken),
            (segment(1000, fin, Some(10), 0), S::Finished(finished)),
            // Text, with or without a FIN, old bytes in front, or a hole.
            (segment(1000, none, Some(10), 1), reset),
            (segment(1000, fin, Some(10), 7), reset),
            (segment(990, none, Some(10), 11), reset),
            (segment(1200, fin, Some(10), 0), reset),
            // What is old, or a probe, is answered.
            (
                segment(990, none, Some(10), 10),
                S::Answer(D::TcpOutOfWindow),
            ),
            (
                segment(999, none, Some(10), 0),
                S::Answer(D::TcpOutOfWindow),
            ),
            (
                segment(1500, none, Some(10), 1),
                S::Answer(D::TcpOutOfWindow),
            ),
            (segment(1000, none, Some(11), 0), S::Answer(D::TcpBadAck)),
            (segment(1000, none, None, 0), S::Dropped(D::TcpNoAck)),
            (segment(1000, fin, None, 0), S::Dropped(D::TcpNoAck)),
            (segment(1000, rst, None, 0), S::Reset),
            (segment(1001, rst, None, 0), S::Answer(D::TcpBadRst)),
            (segment(999, rst, None, 0), S::Dropped(D::TcpOutOfWindow)),
            (segment(1000, syn, None, 0), S::Answer(D::TcpUnexpectedSyn)),
        ] {
            assert_eq!(record().on_segment(&seg), step, "{seg:?}");
        }
        let mut record = record();
        // What comes again is answered each time, a probe is not.
        let old = segment(990, none, Some(10), 10);
        assert_eq!(record.on_segment(&old), S::Answer(D::TcpOutOfWindow));
        assert_eq!(record.on_segment(&old), S::Answer(D::TcpOutOfWindow));
        let probe = segment(999, none, Some(10), 0);
        assert_eq!(record.on_segment(&probe), S::Answer(D::TcpOutOfWindow));
        assert_eq!(
            record.on_segment(&probe),
            S::Dropped(D::TcpOutOfWindow),
            "limited"
        );
    }
}
