//! The one timer of loss: reordering, tail loss probe, or retransmission time-out (RFC 8985 §7.2, §8).
//!
//! *Owns* when the time-out would be, what comes before it, and the slot that holds the earlier of the
//! two. *Does not* do what is due. Persist, keep-alive and delayed ACKs have slots of their own (r26).

use crate::base::Instant;
use crate::tcp::connection::Connection;
use crate::tcp::timers::Timer;

/// What comes before the retransmission time-out; never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Early {
    /// What was overtaken counts as lost (RFC 8985 §6.2 step 5).
    Reorder,
    /// A probe of the tail leaves (RFC 8985 §7.3).
    Probe,
}

/// What the slot stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossTimer {
    rto: Instant,
    early: Option<(Early, Instant)>,
}

impl Default for LossTimer {
    fn default() -> Self {
        Self {
            rto: Instant::FAR_FUTURE,
            early: None,
        }
    }
}

impl LossTimer {
    /// When the early one is due: a probe with the time-out at the latest, in its place (RFC 8985 §7.2).
    fn early_at(&self) -> Option<Instant> {
        match self.early? {
            (Early::Probe, at) => Some(at.min(self.rto)),
            (Early::Reorder, at) => Some(at),
        }
    }

    /// When this one would be due, if the time-out did not come before it.
    pub(super) fn when(&self, kind: Early) -> Option<Instant> {
        self.early.filter(|(k, _)| *k == kind).map(|(_, at)| at)
    }

    /// What is due first; at one instant that which comes before the time-out.
    fn next(&self) -> Instant {
        self.early_at().map_or(self.rto, |at| at.min(self.rto))
    }
}

impl Connection {
    /// RFC 6298 §5 (5.1): starts the time-out unless it runs.
    pub(crate) fn arm_rto_if_idle(&mut self, at: Instant) {
        if self.recovery.timer.rto == Instant::FAR_FUTURE {
            self.restart_rto(at);
        }
    }

    /// RFC 6298 §5 (5.3).
    pub(crate) fn restart_rto(&mut self, at: Instant) {
        self.recovery.timer.rto = at;
        self.set_loss_slot();
    }

    /// The time-out is to be counted anew; what comes before it stays.
    pub(crate) fn stop_rto(&mut self) {
        self.restart_rto(Instant::FAR_FUTURE);
    }

    /// RFC 6298 §5 (5.2): nothing is outstanding.
    pub(crate) fn stop_loss_timer(&mut self) {
        self.recovery.timer = LossTimer::default();
        self.timers.stop(Timer::Loss);
    }

    /// Something is to be done, if the time-out does not come before; what was to be is not any more.
    pub(crate) fn arm_early(&mut self, kind: Early, at: Instant) {
        self.recovery.timer.early = Some((kind, at));
        self.set_loss_slot();
    }

    /// This is not to be done any more.
    pub(crate) fn stop_early(&mut self, kind: Early) {
        if self.recovery.timer.early.is_some_and(|(k, _)| k == kind) {
            self.recovery.timer.early = None;
            self.set_loss_slot();
        }
    }

    /// Is this to be done before the time-out?
    pub(crate) fn is_early_armed(&self, kind: Early) -> bool {
        self.recovery.timer.early.is_some_and(|(k, _)| k == kind)
    }

    /// The slot expired: what is due? `None` is the time-out.
    pub(crate) fn take_due_early(&mut self, now: Instant) -> Option<Early> {
        let (kind, _) = self.recovery.timer.early?;
        if self.recovery.timer.early_at()? > now {
            return None;
        }
        self.recovery.timer.early = None;
        self.set_loss_slot();
        Some(kind)
    }

    fn set_loss_slot(&mut self) {
        let at = self.recovery.timer.next();
        self.timers.arm(Timer::Loss, at);
    }
}
