//! Urgent data: a point in the stream that the other end is told of ahead of the text before it.
//!
//! RFC 9293 §3.8.5, RFC 6093. The text itself stays in line, always. *Owns* SND.UP and RCV.UP, what a segment
//! says of the former, and when the user is told of the latter. *Does not* move text: whoever reads asks how much of
//! it is urgent. Invariant: the pointer is that of the octet after the last urgent one (MUST-62, RFC 6093 §3.2).

use crate::base::Instant;

use super::connection::{Connection, Signals};
use super::error::{ReadError, WriteError};
use super::header::Flags;
use super::plan::FrameLimit;
use super::segment::Segment;
use super::seq::SeqNum;
use super::state::State;

/// The urgent points of both streams, as offsets; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Urgent {
    /// SND.UP: after the last urgent octet that was written.
    sent: u64,
    /// RCV.UP: after the last one that the peer told of.
    heard: u64,
}

impl Connection {
    // --- what we send ---------------------------------------------------------------------

    /// SEND with the urgent flag (RFC 9293 §3.10.2): what of `data` is taken ends the urgent data.
    pub(crate) fn write_urgent(&mut self, now: Instant, data: &[u8]) -> Result<usize, WriteError> {
        let len = self.write(now, data)?;
        if len > 0 {
            self.rare.urgent_mut().sent = self.snd.queue.end();
            if self.snd.usable() == 0 && self.state.is_synchronized() {
                // The peer is to hear of it although its window takes no text: that is what it is for. A segment without
                // text goes ahead of the next probe.
                self.rcv.ack_now();
            }
        }
        Ok(len)
    }

    /// Is urgent data written that the peer has not acknowledged (RFC 9293's urgent mode)?
    pub(super) fn sends_urgent(&self) -> bool {
        self.rare.urgent().sent > self.snd.queue.start()
    }

    /// The frame that `most` allows. Urgent data leaves in single segments (as Linux's): each has its own pointer, and
    /// who cuts a larger one would give all of them the first's.
    #[inline]
    pub(super) fn frame_limit(&self, most: FrameLimit) -> FrameLimit {
        if self.rare.is_none() || !self.sends_urgent() {
            return most;
        }
        FrameLimit {
            segments: 1,
            ..most
        }
    }

    /// What a segment from `seq` on says of urgent data: its flag and SEG.UP. Beyond the 65,535 octets that the field
    /// can tell, that many (MUST-31: of any length), and more with the next segments.
    pub(super) fn urgent_words(&self, seq: SeqNum) -> (Flags, u16) {
        let none = (Flags::empty(), 0);
        if !self.sends_urgent() {
            return none;
        }
        let nxt = self.snd.nxt;
        // SND.UP lies before SND.NXT or after it; SEG.SEQ never lies after it.
        let (up, at) = (self.rare.urgent().sent, self.snd.offset(nxt));
        let ahead = (up + u64::from(nxt.past(seq))).saturating_sub(at);
        match u16::try_from(ahead) {
            Ok(0) => none,
            ahead => (Flags::URG, ahead.unwrap_or(u16::MAX)),
        }
    }

    // --- what we hear ---------------------------------------------------------------------

    /// Sixth: the URG bit (RFC 9293 §3.10.7.4). RCV.UP only moves on; the user is told when urgent data begins,
    /// not again before all of it was read (MUST-32).
    #[cold]
    pub(super) fn take_urgent(&mut self, seg: &Segment) {
        if self.state.takes_text() && !self.rcv.is_finished() {
            self.hear_urgent(seg);
        }
    }

    /// The same of a segment whose text is taken.
    pub(super) fn hear_urgent(&mut self, seg: &Segment) {
        if self.rcv.is_shut_down() {
            return;
        }
        let read = self.read_offset();
        let point = seg.seq + u32::from(seg.urgent);
        // Text that was read is not urgent any more. In signed 32 bits: a segment may begin before RCV.NXT.
        let ahead = i64::from(point.since(self.rcv.nxt));
        let up = self.rcv.offset.saturating_add_signed(ahead);
        let before = self.rare.urgent().heard;
        if up <= read.max(before) {
            return;
        }
        self.rare.urgent_mut().heard = up;
        if before <= read {
            self.signals |= Signals::URGENT;
        }
    }

    /// MUST-33: octets from the next that is read to the last urgent one, that included; they need not all have come.
    pub(crate) fn urgent_left(&self) -> usize {
        let heard = self.rare.urgent().heard;
        let left = heard.saturating_sub(self.read_offset());
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let over = self.rcv.is_finished() || self.failure.is_some() || self.rcv.is_shut_down();
        if over {
            // No more comes, whatever was announced.
            left.min(self.rcv.unread())
        } else {
            left
        }
    }

    /// The same for who waits for it: 0 when none can come any more.
    pub(crate) fn urgent(&self) -> Result<usize, ReadError> {
        match (self.urgent_left(), self.failure) {
            (0, Some(failure)) => Err(failure.into()),
            (0, None) if self.may_hear() => Err(ReadError::WouldBlock),
            (left, _) => Ok(left),
        }
    }

    /// May the peer still send?
    fn may_hear(&self) -> bool {
        let opening = matches!(self.state, State::SynSent | State::SynRcvd);
        (opening || self.state.takes_text()) && !self.rcv.is_shut_down()
    }

    /// The stream offset of what is read next.
    fn read_offset(&self) -> u64 {
        self.rcv.offset - self.rcv.unread() as u64
    }
}
