//! Zero windows: when to ask whether they opened, and what follows (RFC 9293 §3.8.6.1, §3.8.6.2.1).
//!
//! *Owns* the probes and their back-off, of text that never left (the persist timer) and of text that
//! a window which shrank does not take any more (the retransmission timer's expiry). *Does not* count
//! as loss what a window refused, nor know congestion.

use crate::base::Instant;

use super::connection::Connection;
use super::header::Flags;
use super::options::Options;
use super::plan::{Frame, Plan, What};
use super::recovery::Frto;
use super::send::Fin;
use super::seq::SeqNum;
use super::timers::Timer;

// Doublings of the interval; the longest is RTO's maximum.
const MOST_DOUBLINGS: u32 = 16;

/// Where probing stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Persist {
    /// Doublings of the interval since the window closed.
    backoff: u32,
    /// Probes without an answer: an orphan's are bounded, answered or not, and must not use up the
    /// retries of what leaves when the window opens.
    retries: u8,
    /// The timer expired: a probe is to leave.
    due: bool,
    /// What lies below was refused by a window, or did not fit the path, and leaves again for that.
    refused: Option<SeqNum>,
}

impl Persist {
    pub(crate) fn backoff(&self) -> u32 {
        self.backoff
    }

    pub(crate) fn retries(&self) -> u8 {
        self.retries
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due
    }

    /// Something new left, be it the probe.
    pub(crate) fn on_sent(&mut self) {
        self.due = false;
    }

    /// What is to leave again below `end` is no loss.
    pub(crate) fn refuse(&mut self, end: SeqNum) {
        self.refused = Some(self.refused.map_or(end, |to| to.later(end)));
    }

    /// Is what is to leave again at `una` no loss?
    pub(crate) fn is_refused(&self, una: SeqNum) -> bool {
        self.refused.is_some_and(|to| una.before(to))
    }

    /// SND.UNA moved: what it passed is forgotten, or it would look new after 2^31 octets.
    pub(crate) fn on_una(&mut self, una: SeqNum) {
        self.refused = self.refused.filter(|&to| una.before(to));
    }

    /// The peer answered.
    pub(crate) fn on_answer(&mut self) {
        self.retries = 0;
    }

    fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(MOST_DOUBLINGS);
    }
}

impl Connection {
    /// Does the peer's window forbid what is outstanding to be sent again?
    pub(super) fn is_window_shut(&self) -> bool {
        self.snd.wnd == 0 && self.state.is_synchronized()
    }

    /// Text waits, and no ACK will come that opens the window: asks for it after an RTO.
    pub(super) fn arm_persist(&mut self, now: Instant) {
        if self.waits_to_send() && !self.snd.is_outstanding() {
            let wait = self.rtt.rto_backed_off(self.persist.backoff);
            self.timers.arm_if_idle(Timer::Persist, now + wait);
        }
    }

    /// RFC 9293 §3.8.6.1: time to ask whether the window opened.
    pub(super) fn on_persist(&mut self, now: Instant) {
        if self.snd.is_outstanding() || !self.snd.is_pending() {
            return;
        }
        self.persist.due = true;
        if self.snd.wnd == 0 {
            self.persist.back_off();
        }
        // Should the device refuse the probe for ever, the timer still comes again.
        let wait = self.rtt.rto_backed_off(self.persist.backoff);
        self.timers.arm(Timer::Persist, now + wait);
    }

    /// The retransmission timer expired before a shut window: a probe, not a loss (RFC 9293 §3.8.6.1,
    /// and SHLD-17 for a window that shrank). Returns whether it may be asked again.
    pub(super) fn on_probe_unanswered(&mut self, limit: Option<u8>) -> bool {
        if limit.is_some_and(|limit| self.persist.retries >= limit) {
            return false;
        }
        self.persist.retries = self.persist.retries.saturating_add(1);
        self.persist.back_off();
        self.scoreboard.forget_sacks();
        self.recovery.tlp.give_up();
        // New text that tests a time-out does not leave any more, and the probe must.
        self.recovery.frto = Frto::Off;
        self.mark_all_refused();
        true
    }

    /// The peer told its window; `was_shut`: it was zero before.
    pub(super) fn on_window_told(&mut self, now: Instant, was_shut: bool) {
        if self.snd.wnd > 0 {
            if was_shut {
                // The override of §3.8.6.2.1 (4) is not to wait as long as the probes did.
                self.timers.stop(Timer::Persist);
            }
            if was_shut && self.persist.backoff > 0 {
                self.on_window_opened(now);
            }
            self.persist.backoff = 0;
        } else if !self.orphan {
            // MUST-37: a peer that answers probes is alive. Nobody waits for an orphan: its probes
            // are bounded (r30).
            self.retries = 0;
            self.persist.on_answer();
        }
    }

    /// The window opened after probes that it did not take: they leave again at once, and the
    /// timer's back-off was the probes', not the path's (r25).
    fn on_window_opened(&mut self, now: Instant) {
        if !self.scoreboard.is_empty() {
            self.give_up_size_probe(now);
            self.mark_all_refused();
            self.restart_rto(now + self.rtt.rto());
        }
    }

    /// What is outstanding leaves again, and is no loss: a window that takes it piece by piece starts no
    /// episode with each.
    fn mark_all_refused(&mut self) {
        self.scoreboard.mark_all_lost();
        self.scoreboard.newly_lost.forget();
        self.persist.refuse(self.snd.nxt);
    }

    /// RFC 9293 §3.8.6.1: a byte of new text, or the FIN, into a window that takes none.
    pub(super) fn plan_probe(&self, options: &Options, frame: Frame) -> Option<Plan> {
        if !self.persist.due || !self.state.sends_text() || self.snd.is_outstanding() {
            return None;
        }
        // The override of §3.8.6.2.1 (4): a small window is used for what it takes.
        let text = self
            .snd
            .unsent()
            .min(self.snd.usable().clamp(1, frame.size));
        let fin = self.snd.fin == Fin::Queued && text == self.snd.unsent();
        if text == 0 && !fin {
            return None;
        }
        let flags = if fin && (text == 0 || self.snd.usable() > text) {
            Flags::FIN
        } else {
            Flags::PSH
        };
        Some(self.segment(What::New, self.snd.nxt, text, flags, options))
    }
}
