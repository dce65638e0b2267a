//! What the timers of a connection do (RFC 9293 §3.10.8, RFC 6298 §5, RFC 9293 §3.8.3, §3.8.4).
//!
//! *Owns* the retry limits and who arms the timers that no single event arms. *Does not* send.
//! Invariant: after `on_timeout` no deadline is in the past (r32).

use core::time::Duration;

use crate::base::Instant;

use super::connection::Connection;
use super::error::TcpFailure;
use super::reset::Reset;
use super::state::{Event, State};
use super::timers::Timer;

// RFC 9293 §3.8.6.3 MUST-40: an ACK waits less than 500 ms. Linux's TCP_DELACK_MIN.
pub(super) const DELAYED_ACK: Duration = Duration::from_millis(40);

impl Connection {
    /// The earliest deadline.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Handles every timer that is due; returns the RST that an ending connection owes its peer.
    pub(crate) fn on_timeout(&mut self, now: Instant) -> Option<Reset> {
        let mut reset = None;
        self.gate.flight_before = self.scoreboard.pipe();
        self.look_for_app_limit();
        while let Some(timer) = self.timers.pop_due(now) {
            let owed = match timer {
                Timer::Loss => self.on_loss_timer(now),
                Timer::Persist => {
                    self.on_persist(now);
                    None
                }
                Timer::KeepAlive => self.on_keepalive(now),
                Timer::DelayedAck => {
                    self.quick.on_delay_over();
                    self.rcv.ack_now();
                    None
                }
                // The turn that follows looks what may leave.
                Timer::Pacing => None,
                Timer::UserTimeout => self.on_user_timeout(),
            };
            reset = reset.or(owed);
        }
        self.arm_timers(now);
        reset
    }

    /// Arms the timers that depend on the state only.
    pub(crate) fn arm_timers(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        if self.rcv.ack_is_delayed() {
            self.timers
                .arm_if_idle(Timer::DelayedAck, now + DELAYED_ACK);
        }
        if let Some(limit) = self.setup.options.user_timeout
            && (self.snd.is_pending() || self.state == State::SynSent)
        {
            self.timers
                .arm_if_idle(Timer::UserTimeout, self.last_progress + limit);
        }
        if let Some(keepalive) = self.setup.options.keepalive
            && self.state.is_synchronized()
            && self.state != State::TimeWait
        {
            self.timers
                .arm_if_idle(Timer::KeepAlive, self.last_heard + keepalive.idle_used());
        }
        if cfg!(debug_assertions) {
            self.check();
        }
    }

    /// RFC 9293 §3.10.8, TIME-WAIT TIMEOUT; the record that waited was the stack's.
    pub(crate) fn on_two_msl(&mut self) {
        self.transit(Event::TwoMslExpired);
    }

    /// RFC 9293 §3.8.3: R2 for what is outstanding. `None` where the user said how long, which may be longer than any
    /// number of retries lasts (RFC 5482 §1), and is waiting.
    fn retry_limit(&self) -> Option<u8> {
        let options = &self.setup.options;
        match self.state {
            State::SynSent | State::SynRcvd => Some(options.syn_retries),
            _ if self.orphan => Some(options.orphan_retries),
            _ if options.user_timeout.is_some() => None,
            _ => Some(options.retries),
        }
    }

    fn give_up(&mut self) -> Option<Reset> {
        let reset = self.reset();
        // As Linux: what the network said is more than that nothing came.
        let why = self.soft_error.unwrap_or(TcpFailure::TimedOut);
        self.fail(why, Event::GaveUp);
        reset
    }

    /// What the loss timer stands for is due: reordering, a probe, or the time-out.
    fn on_loss_timer(&mut self, now: Instant) -> Option<Reset> {
        if self.on_early(now) {
            None
        } else {
            self.on_rto(now)
        }
    }

    /// RFC 6298 §5 (5.4) to (5.7); a congestion event like any loss (RFC 8961 §4, RFC 9293 §3.8.2 MUST-19).
    fn on_rto(&mut self, now: Instant) -> Option<Reset> {
        if self.scoreboard.is_empty() {
            return None;
        }
        self.give_up_size_probe(now);
        let limit = self.retry_limit();
        if self.is_window_shut() {
            if !self.on_probe_unanswered(limit) {
                return self.give_up();
            }
        } else if limit.is_some_and(|limit| self.retries >= limit) {
            return self.give_up();
        } else {
            self.retries = self.retries.saturating_add(1);
            self.rtt.back_off();
            self.on_rto_loss(now);
            self.look_for_black_hole(now);
        }
        self.stats.timeouts += 1;
        // One segment leaves whatever the windows say.
        self.recovery.force_first = true;
        let wait = self
            .rtt
            .rto_backed_off(self.persist.backoff().max(self.rtt.backoff()));
        self.restart_rto(now + wait);
        None
    }

    /// RFC 9293 §3.8.4: only when nothing is outstanding (MUST-26).
    fn on_keepalive(&mut self, now: Instant) -> Option<Reset> {
        let keepalive = self.setup.options.keepalive?;
        if self.snd.is_outstanding() {
            self.timers
                .arm(Timer::KeepAlive, now + keepalive.idle_used());
            return None;
        }
        if self.keepalive_probes >= keepalive.probes {
            return self.give_up();
        }
        self.keepalive_probes += 1;
        self.keepalive_due = true;
        self.timers
            .arm(Timer::KeepAlive, now + keepalive.interval_used());
        None
    }

    /// RFC 9293 §3.10.8, USER TIMEOUT.
    fn on_user_timeout(&mut self) -> Option<Reset> {
        if self.snd.is_pending() || self.state == State::SynSent {
            self.give_up()
        } else {
            None
        }
    }
}
