//! The timers of one connection: independent slots, of which the stack holds the earliest.

use crate::base::Instant;

/// A connection's timers. None ever cancels another (r26 in docs/regressions.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// RFC 6298 §5, and what RFC 8985 does before: runs while anything is outstanding; `recovery`
    /// knows what it stands for.
    Loss,
    /// RFC 9293 §3.8.6.1 and the override of §3.8.6.2.1. Armed when data waits, nothing is
    /// outstanding and the window forbids; stopped when something leaves.
    Persist,
    /// RFC 9293 §3.8.4. Armed while the option is on and the connection synchronized.
    KeepAlive,
    /// RFC 9293 §3.8.6.3. Armed by in-order text, stopped by any ACK that leaves.
    DelayedAck,
    /// What waits may leave at the rate of the congestion control. Armed when nothing else holds it
    /// back, stopped by its expiry only: a spurious one is a look.
    Pacing,
    /// RFC 9293 §3.10.8, RFC 5482. Armed while something the peer has not acknowledged waits.
    UserTimeout,
}

impl Timer {
    pub(crate) const ALL: [Self; 6] = [
        Self::Loss,
        Self::Persist,
        Self::KeepAlive,
        Self::DelayedAck,
        Self::Pacing,
        Self::UserTimeout,
    ];
}

/// A deadline for each timer.
#[derive(Clone, Debug)]
pub(crate) struct Timers([Instant; Timer::ALL.len()]);

impl Default for Timers {
    fn default() -> Self {
        Self([Instant::FAR_FUTURE; Timer::ALL.len()])
    }
}

impl Timers {
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = at;
    }

    /// Arms a timer that is not running.
    pub(crate) fn arm_if_idle(&mut self, timer: Timer, at: Instant) {
        if !self.is_armed(timer) {
            self.arm(timer, at);
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.arm(timer, Instant::FAR_FUTURE);
    }

    pub(crate) fn is_armed(&self, timer: Timer) -> bool {
        self.0[timer as usize] != Instant::FAR_FUTURE
    }

    /// Stops and returns the first timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let due = Timer::ALL
            .into_iter()
            .find(|&t| self.is_armed(t) && self.0[t as usize] <= now)?;
        self.stop(due);
        Some(due)
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0
            .iter()
            .min()
            .copied()
            .filter(|&at| at != Instant::FAR_FUTURE)
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_counts_and_a_due_one_fires_once() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.arm(Timer::Loss, Instant::from_millis(20));
        timers.arm(Timer::DelayedAck, Instant::from_millis(10));
        timers.arm_if_idle(Timer::Loss, Instant::from_millis(5));
        assert_eq!(timers.next(), Some(Instant::from_millis(10)));
        assert_eq!(timers.pop_due(Instant::from_millis(9)), None);
        assert_eq!(timers.pop_due(Instant::from_millis(30)), Some(Timer::Loss));
        assert_eq!(
            timers.pop_due(Instant::from_millis(30)),
            Some(Timer::DelayedAck)
        );
        assert_eq!(timers.pop_due(Instant::from_millis(30)), None);
    }
}
