//! The sending side's variables: SND.* of RFC 9293 §3.3.1, and where the stream lies in them.
//!
//! *Owns* SND.UNA, SND.NXT, the peer's window and what the user wrote. *Does not* decide what
//! leaves: `plan` does.
//! Invariant: SND.NXT is never set back; what is sent again is named by a record. So SND.MAX of
//! other stacks is SND.NXT here (r05).

use super::segment::{Control, Segment};
use super::send_queue::SendQueue;
use super::seq::{SeqNum, WindowScale};

/// Where our FIN stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    /// The user has not closed the sending side.
    Open,
    /// It leaves after the text that is queued.
    Queued,
    /// It left, as the last number before SND.NXT.
    Sent,
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Send {
    pub(crate) queue: SendQueue,
    pub(crate) una: SeqNum,
    pub(crate) nxt: SeqNum,
    pub(crate) wnd: u32,
    /// The sequence number of the queue's first byte.
    text_una: SeqNum,
    /// The largest window the peer ever told (RFC 9293 §3.8.6.2.1's Max(SND.WND)).
    pub(crate) max_wnd: u32,
    /// The end of the last small segment that left (Minshall's variation of Nagle's algorithm).
    pub(crate) small_end: SeqNum,
    pub(crate) fin: Fin,
    /// The peer's shift: Snd.Wind.Shift.
    pub(crate) scale: WindowScale,
    wl1: SeqNum,
    wl2: SeqNum,
    pub(crate) iss: SeqNum,
}

impl Send {
    pub(crate) fn new(iss: SeqNum) -> Self {
        Self {
            iss,
            una: iss,
            nxt: iss,
            wnd: 0,
            wl1: SeqNum::default(),
            wl2: SeqNum::default(),
            max_wnd: 0,
            scale: WindowScale::default(),
            queue: SendQueue::default(),
            text_una: iss + 1,
            fin: Fin::Open,
            small_end: iss,
        }
    }

    /// The stream offset of a sequence number at or after SND.UNA.
    pub(crate) fn offset(&self, seq: SeqNum) -> u64 {
        self.queue.start() + u64::from(seq.past(self.text_una))
    }

    /// Text that was never sent.
    pub(crate) fn unsent(&self) -> u32 {
        if self.fin == Fin::Sent {
            return 0;
        }
        u32::try_from(self.queue.end() - self.offset(self.nxt)).unwrap_or(u32::MAX)
    }

    /// Sequence numbers that the peer's window still takes.
    pub(crate) fn usable(&self) -> u32 {
        (self.una + self.wnd).past(self.nxt)
    }

    /// The number that a segment without text carries: SND.NXT, or the edge of a window that shrank
    /// below it, beyond which the peer would not take the segment (r05).
    /// Our SYN takes no room in a window.
    pub(crate) fn acceptable(&self) -> SeqNum {
        self.nxt.earlier((self.una + self.wnd).later(self.text_una))
    }

    /// Is anything sent and not acknowledged?
    pub(crate) fn is_outstanding(&self) -> bool {
        self.una != self.nxt
    }

    /// Does anything wait that has not been acknowledged, sent or not?
    pub(crate) fn is_pending(&self) -> bool {
        self.is_outstanding() || self.unsent() > 0 || self.fin == Fin::Queued
    }

    /// SND.UNA moves to `ack`; returns whether our FIN is acknowledged by it.
    pub(crate) fn advance(&mut self, ack: SeqNum) -> bool {
        let fin_acked = self.fin == Fin::Sent && ack == self.nxt;
        let text_ack = if fin_acked { ack - 1 } else { ack };
        let release = self.offset(text_ack);
        self.queue.release(release);
        self.text_una = self.text_una.later(text_ack);
        self.una = ack;
        // Kept within half the circle of SND.UNA, or it would look new again after 2^31 octets.
        self.small_end = self.small_end.later(ack);
        fin_acked
    }

    /// The window of the segment that opened the connection. `scaled`: not on a SYN.
    pub(crate) fn start_window(&mut self, seg: &Segment, scaled: bool) {
        let scale = if scaled {
            self.scale
        } else {
            WindowScale::default()
        };
        self.wnd = scale.bytes(seg.wnd);
        self.max_wnd = self.wnd;
        self.wl1 = seg.seq;
        self.wl2 = seg.ack.unwrap_or(self.una);
    }

    /// RFC 9293 §3.10.7.4, fifth: an older segment never replaces a newer window (r07).
    ///
    /// One that `advanced` SND.UNA is the newest, whatever its number: it may be text sent again.
    /// With the window left as it was, the right edge would move by what was acknowledged, beyond
    /// what the peer ever promised (as in Linux's `tcp_may_update_window`).
    pub(crate) fn update_window(&mut self, seg: &Segment, ack: SeqNum, advanced: bool) {
        let newer =
            advanced || self.wl1.before(seg.seq) || (self.wl1 == seg.seq && !ack.before(self.wl2));
        if newer && !ack.before(self.una) {
            // RFC 7323 §2.2: the window of a SYN is never scaled.
            self.wnd = match seg.control {
                Control::Syn => u32::from(seg.wnd),
                _ => self.scale.bytes(seg.wnd),
            };
            self.max_wnd = self.max_wnd.max(self.wnd);
            self.wl1 = self.wl1.later(seg.seq);
            self.wl2 = ack;
        }
    }
}
