//! The receiving side: RCV.NXT, the window, what is to be acknowledged (RFC 9293 §3.8.6).
//!
//! *Owns* RCV.*, the read queue, the assembler and the duty to acknowledge. *Does not* send: `plan`
//! asks what is due; which timestamp is echoed is told in `ts_recent`.
//! Invariant: the right edge ever advertised never moves left, rounding included (r08).

use bytes::Bytes;

use crate::base::DropReason;

use super::assembler::{Assembler, Offered};
use super::budget::{Budget, MemoryPressure};
use super::owed::Owed;
use super::part::Part;
use super::read_queue::{Reach, ReadQueue};
use super::segment::{Control, Segment};
use super::seq::{SeqNum, WindowScale};
use super::settings::TcpOptions;
use super::ts_recent::TsRecent;

// What a segment holds until a larger one is seen: the MSS floor, so that a peer with small ones
// has every second acknowledged too.
const SMALLEST_SEGMENT: u32 = 48;
// The largest window that can be told: 65,535 << 14.
const MAX_WINDOW: usize = 65_535 << 14;

/// When the peer is owed an ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckDue {
    No,
    /// When the delayed-ACK timer fires, or with the next segment that leaves.
    Delayed,
    /// With the next turn.
    Now,
}

/// What the connection may use of a queue that all connections of its interface share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuePart {
    /// Full segments that the window may promise.
    pub(crate) segs: u32,
    /// The period in which it was last counted as active.
    pub(crate) period: u32,
}

impl Default for QueuePart {
    fn default() -> Self {
        Self {
            segs: u32::MAX,
            period: 0,
        }
    }
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Receive {
    pub(super) assembler: Assembler,
    // Most of it is as cold as what is before it.
    pub(super) queue: ReadQueue,
    /// Bytes delivered to the queue so far: the stream offset of RCV.NXT.
    pub(crate) offset: u64,
    /// Bytes the window may promise; grows up to `limit_max`.
    pub(super) limit: usize,
    /// What the stack's memory leaves.
    pub(crate) budget: Budget,
    pub(super) ts_recent: Option<TsRecent>,
    /// The FIN's sequence number, once it was seen.
    fin: Option<SeqNum>,
    /// What the device's queue leaves to this connection.
    pub(crate) part: QueuePart,
    pub(crate) nxt: SeqNum,
    /// RCV.NXT + RCV.WND: the right edge as advertised.
    pub(super) edge: SeqNum,
    /// The right edge as the peer knows it: less than a unit of the scale before `edge`, if it was
    /// rounded down.
    pub(super) told: SeqNum,
    /// Last.ACK.sent of RFC 7323 §4.3.
    pub(super) last_ack_sent: SeqNum,
    /// In-order text since the last ACK left.
    pub(super) unacked: u32,
    /// The largest wire segment seen.
    pub(super) segment: u32,
    /// The text bytes of a segment that we told the peer it may send.
    pub(super) mss: u32,
    /// When RCV.NXT passes it, a window's worth has come since the last look at `limit`.
    tuning_edge: SeqNum,
    pub(super) ack: AckDue,
    pub(crate) scale: WindowScale,
    /// Text is taken and thrown away: the user has shut down reading.
    discard: bool,
    pub(crate) irs: SeqNum,
    limit_max: usize,
    /// What is owed beside the ACK of RCV.NXT.
    pub(super) owed: Owed,
}

/// What text did to the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// There is more to read.
    pub(crate) readable: bool,
    /// The peer's FIN is next, and everything before it is there.
    pub(crate) fin: bool,
    /// Why text was not taken.
    pub(crate) dropped: Option<DropReason>,
}

impl Receive {
    /// The receiving side of a connection whose peer's SYN has not been seen; `scale` is what is offered.
    pub(crate) fn new(limit: usize, limit_max: usize, scale: WindowScale, mss: u32) -> Self {
        let top = usize::from(u16::MAX) << scale.shift();
        let limit_max = usable(limit_max.min(top), scale);
        Self {
            irs: SeqNum::default(),
            nxt: SeqNum::default(),
            edge: SeqNum::default(),
            told: SeqNum::default(),
            scale,
            mss,
            queue: ReadQueue::default(),
            assembler: Assembler::default(),
            offset: 0,
            fin: None,
            ts_recent: None,
            last_ack_sent: SeqNum::default(),
            ack: AckDue::No,
            unacked: 0,
            segment: SMALLEST_SEGMENT.min(mss),
            owed: Owed::default(),
            limit: usable(limit.min(limit_max), scale),
            limit_max,
            part: QueuePart::default(),
            tuning_edge: SeqNum::default(),
            discard: false,
            budget: Budget::default(),
        }
    }

    /// The peer's SYN, with `advertised` the window that our own SYN told or will tell.
    pub(crate) fn on_syn(&mut self, irs: SeqNum, advertised: u32) {
        self.irs = irs;
        self.nxt = irs + 1;
        self.edge = self.nxt + advertised;
        self.told = self.edge;
        self.last_ack_sent = self.nxt;
        self.tuning_edge = self.edge;
    }

    /// The window for our own SYN, which is never scaled (RFC 7323 §2.2).
    pub(crate) fn own_syn_window(&self) -> u16 {
        u16::try_from(self.limit).unwrap_or(u16::MAX)
    }

    /// The window still promised.
    pub(crate) fn wnd(&self) -> u32 {
        self.edge.past(self.nxt)
    }

    /// The window as the peer knows it.
    fn told_wnd(&self) -> u32 {
        self.told.past(self.nxt)
    }

    pub(crate) fn unread(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that the window may promise now: its limit, or the connection's part of the queue.
    pub(super) fn promise(&self) -> usize {
        let part = u64::from(self.part.segs) * u64::from(self.mss);
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        self.limit.min(usable(part, self.scale))
    }

    /// Sets the most that the window may grow to; what was promised stays promised.
    pub(crate) fn set_limit_max(&mut self, limit_max: usize) {
        let top = usize::from(u16::MAX) << self.scale.shift();
        self.limit_max = usable(limit_max.min(top), self.scale);
        self.limit = self.limit.min(self.limit_max);
    }

    /// Has the FIN and everything before it come?
    pub(crate) fn is_finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.nxt.after(fin))
    }

    // --- checks, in RFC order -------------------------------------------------------------

    /// RFC 9293 §3.10.7.4, first: the four cases of the acceptability test.
    pub(crate) fn is_acceptable(&self, seg: &Segment) -> bool {
        let wnd = self.wnd();
        let begins_inside = seg.seq.since(self.nxt) >= 0 && seg.seq.past(self.nxt) < wnd;
        match (seg.len(), wnd) {
            (0, 0) => seg.seq == self.nxt,
            (0, _) => begins_inside,
            // A valid ACK or RST at RCV.NXT goes on although its text does not fit (MUST-66).
            (_, 0) => seg.seq == self.nxt,
            (len, _) => {
                // It begins before RCV.NXT and holds it, wherever it ends. In plain 32 bits: half
                // the circle away is not "before".
                let holds_nxt = self.nxt.get().wrapping_sub(seg.seq.get()) < len;
                begins_inside || holds_nxt
            }
        }
    }

    /// May an unacceptable segment be an honest peer's? At most one octet beyond the window (both
    /// ends probe each other, r27), or an old duplicate. A blind attacker has to guess it.
    pub(crate) fn is_near(&self, seq: SeqNum) -> bool {
        let oldest = u32::try_from(self.limit_max).unwrap_or(u32::MAX);
        !seq.after(self.edge + 1) && self.nxt.past(seq) <= oldest
    }

    // --- text -----------------------------------------------------------------------------

    /// Takes a segment's text and FIN in, cut to the window.
    pub(crate) fn take(&mut self, seg: &Segment) -> Arrived {
        let mut arrived = Arrived::default();
        if seg.len() == 0 {
            return arrived;
        }
        let (start, mut text, fin) = self.trim_to_window(seg);
        let fin = self.fit(start, &mut text, fin, &mut arrived);
        if text.is_empty() && !fin {
            // Nothing new: an old duplicate, a probe, or text that a closed window cannot take.
            self.note_duplicate(seg);
            self.ack = AckDue::Now;
            return arrived;
        }
        self.segment = self.segment.max(seg.wire_text().min(self.mss));
        if fin {
            self.fin = Some(start + u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        let told = self.note_partial_duplicate(seg, start, text.len());
        if start == self.nxt {
            self.take_next(text, &mut arrived);
        } else {
            self.owed.out_of_order(seg.wire_segments());
            self.hold(start, text, &mut arrived);
        }
        if told {
            // It was sent again, or too early: the sender must not wait to learn it.
            self.ack = AckDue::Now;
        }
        if self.fin == Some(self.nxt) {
            self.nxt = self.nxt + 1;
            // The FIN may lie just beyond a window that was full.
            self.edge = self.edge.later(self.nxt);
            self.ack = AckDue::Now;
            arrived.fin = true;
        }
        arrived
    }

    /// What of the text and FIN lies in the window. A FIN whose text was cut goes with it (r03).
    fn trim_to_window<'a>(&self, seg: &'a Segment) -> (SeqNum, Part<'a>, bool) {
        let mut text = Part::new(&seg.text);
        let mut start = seg.text_seq();
        let old = self.nxt.past(start);
        if old > 0 {
            let cut = text.len().min(usize::try_from(old).unwrap_or(usize::MAX));
            text.advance(cut);
            start = start + u32::try_from(cut).unwrap_or(u32::MAX);
        }
        let end = start + u32::try_from(text.len()).unwrap_or(u32::MAX);
        let beyond = end.past(self.edge);
        let keep = text
            .len()
            .saturating_sub(usize::try_from(beyond).unwrap_or(usize::MAX));
        text.truncate(keep);
        // Nothing follows a FIN that was seen (r17).
        if let Some(fin) = self.fin {
            let limit = usize::try_from(fin.past(start)).unwrap_or(usize::MAX);
            text.truncate(limit);
        }
        let fin_new = !end.before(self.nxt) && self.fin.is_none() && !self.is_finished();
        let at = self.offset + u64::from(end.past(self.nxt));
        // A FIN below text that is held already is a lie; the text was first.
        let is_true = || self.assembler.end().is_none_or(|held| at >= held);
        let fin = seg.control == Control::Fin && beyond == 0 && fin_new && is_true();
        (start, text, fin)
    }

    fn take_next(&mut self, text: Part<'_>, arrived: &mut Arrived) {
        let filled_a_hole = !self.assembler.is_empty();
        if !text.is_empty() && self.advance(text.len()) {
            self.queue.push_part(text);
            arrived.readable = true;
        }
        if filled_a_hole {
            for piece in self.assembler.take(self.offset) {
                if self.advance(piece.len()) {
                    self.queue.push(piece);
                    arrived.readable = true;
                }
            }
            // RFC 5681 §4.2: a segment that fills all or part of a gap is acknowledged at once.
            self.ack = AckDue::Now;
        }
        self.tune();
    }

    /// RCV.NXT moves on by text; says whether the user wants it.
    fn advance(&mut self, len: usize) -> bool {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.nxt = self.nxt + len;
        self.offset += u64::from(len);
        self.unacked = self.unacked.saturating_add(len);
        self.owed.moved_on();
        if self.ack == AckDue::No {
            self.ack = AckDue::Delayed;
        }
        !self.discard
    }

    /// Out of order: held, and acknowledged at once (RFC 5681 §4.2).
    fn hold(&mut self, start: SeqNum, text: Part<'_>, arrived: &mut Arrived) {
        self.ack = AckDue::Now;
        if text.is_empty() {
            return;
        }
        let offset = self.offset + u64::from(start.past(self.nxt));
        if self.assembler.offer(offset, &text.to_bytes()) == Offered::Full {
            arrived.dropped = Some(DropReason::TcpReassemblyFull);
        }
    }

    /// RFC 2883 §4.2 and §4.3: reports the first part of a segment that was here already, below
    /// RCV.NXT or above it; says whether there was one. What the window cut off never was here.
    fn note_partial_duplicate(&mut self, seg: &Segment, start: SeqNum, len: usize) -> bool {
        if start.after(seg.text_seq()) {
            self.owed.duplicate(seg.text_seq(), start);
            return true;
        }
        if self.assembler.is_empty() {
            return false;
        }
        let from = self.offset + u64::from(start.past(self.nxt));
        let Some((left, right)) = self.assembler.overlap(from, from + len as u64) else {
            return false;
        };
        let seq = |offset: u64| start + u32::try_from(offset - from).unwrap_or(u32::MAX);
        self.owed.duplicate(seq(left), seq(right));
        true
    }

    /// RFC 2883 §4.1: a full duplicate below RCV.NXT is reported once.
    fn note_duplicate(&mut self, seg: &Segment) {
        let (left, right) = (seg.text_seq(), seg.text_seq() + seg.text_len());
        if left != right && !right.after(self.nxt) {
            self.owed.duplicate(left, right);
        }
    }

    /// A segment that cannot be accepted owes the peer an ACK, and a report when it was text.
    /// Not a SYN's: its answer is limited (r39), and a report is an answer.
    pub(crate) fn note_unacceptable(&mut self, seg: &Segment) {
        if seg.control != Control::Syn {
            self.note_duplicate(seg);
        }
    }

    // --- the user -------------------------------------------------------------------------

    /// Takes at most `max` bytes for the user; `None` when none wait.
    pub(crate) fn read(&mut self, max: usize) -> Option<Bytes> {
        let slice = self.queue.pop(max)?;
        let current = self.told_wnd();
        // A window that is half open, as most are, cannot double: what is free is within the limit.
        let half = u32::try_from(self.limit / 2).unwrap_or(u32::MAX);
        if half < current {
            return Some(slice);
        }
        // A window update of its own, when the window at least doubles (Linux's rule): as it is told,
        // in units of the scale.
        let free = self.free();
        if self.scale.bytes(self.scale.wire(free))
            >= current
                .saturating_mul(2)
                .max(current.saturating_add(self.worthwhile()))
            && !self.is_finished()
        {
            self.ack = AckDue::Now;
        }
        Some(slice)
    }

    pub(crate) fn peek(&self, buf: &mut [u8]) -> usize {
        self.queue.peek(buf)
    }

    /// The user reads no more: what comes is acknowledged and thrown away.
    pub(crate) fn shutdown(&mut self) {
        self.discard = true;
        self.queue.clear();
        if self.told_wnd() < self.worthwhile() {
            self.ack = AckDue::Now;
        }
    }

    /// Recounts everything; for tests and debug builds.
    pub(crate) fn check(&self) {
        self.queue.check();
        assert!(
            !self.edge.before(self.nxt),
            "the window ends before RCV.NXT"
        );
        let promised = self.offset + u64::from(self.edge.past(self.nxt));
        self.assembler.check(self.offset, promised);
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.discard
    }

    /// Copies text that came before the stream offset `before` and is not worth what it pins, or all;
    /// about `budget` bytes, and says whether that was all.
    pub(crate) fn compact(&mut self, before: u64, reach: Reach, budget: usize) -> bool {
        let front = self.offset - self.queue.len() as u64;
        let older = usize::try_from(before.saturating_sub(front)).unwrap_or(usize::MAX);
        self.queue.compact(older, reach, budget) && self.assembler.compact(reach, budget)
    }

    /// Doubles the window after a window's worth has come and the user has kept up with it.
    fn tune(&mut self) {
        if self.nxt.before(self.tuning_edge) {
            return;
        }
        self.tuning_edge = self.edge.later(self.nxt);
        // A window that the queue or the budget bounds shows nothing about its limit.
        let grows = self.budget.pressure == MemoryPressure::None && self.promise() == self.limit;
        if grows && self.queue.len() <= self.limit / 2 {
            self.limit = (self.limit * 2).min(self.limit_max);
        }
    }
}

/// A limit that the window field can tell: below a unit of the scale it would be 0 for ever.
fn usable(limit: usize, scale: WindowScale) -> usize {
    limit.max(1 << scale.shift())
}

/// The window that a SYN-ACK tells under these settings.
pub(crate) fn syn_window(options: &TcpOptions) -> u16 {
    let limit = options.recv_buffer_initial.min(options.recv_buffer_max);
    u16::try_from(limit).unwrap_or(u16::MAX)
}

/// The shift that a connection under these settings offers.
pub(crate) fn window_scale(options: &TcpOptions) -> WindowScale {
    match options.window_scale {
        _ if !options.window_scaling => WindowScale::default(),
        Some(shift) => WindowScale::new(shift),
        None => WindowScale::for_window(options.recv_buffer_max.min(MAX_WINDOW)),
    }
}

#[cfg(test)]
#[path = "receive_batch_tests.rs"]
mod batch_tests;
#[cfg(test)]
#[path = "receive_memory_tests.rs"]
mod memory_tests;
#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
