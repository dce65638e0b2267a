//! The shortest round trip, and ProbeRTT, which looks for it (draft-ietf-ccwg-bbr, "ProbeRTT").
//!
//! *Owns* both filters, of 10 and of 5 seconds, and the time that in-flight is held low.

use core::time::Duration;

use crate::base::Instant;
use crate::tcp::congestion::event::{AckSample, Cx};

use super::{Bbr3, State};

const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(5);
const TIME: Duration = Duration::from_millis(200);
// From one ProbeRTT to the next, whatever time passed: a cycle of ProbeBW fits between them. What leaves in
// ProbeRTT, and in the round behind it, says nothing of the bandwidth; where round trips take seconds, as
// behind a queue that was filled at a rate which is gone, every sample would be such a one, and the old rate
// never forgotten.
const ROUNDS: u64 = 10;

#[derive(Clone, Debug)]
pub(super) struct ProbeRtt {
    pub(super) min_rtt: Option<Duration>,
    pub(super) min_rtt_at: Instant,
    /// The shorter filter; none before the first sample.
    pub(super) least: Option<Duration>,
    least_at: Instant,
    /// When in-flight may rise again; none until it is low.
    until: Option<Instant>,
    round_passed: bool,
    /// The round before which it does not begin again.
    next_round: u64,
    /// Did no ACK of this ProbeRTT tell a round trip so far, nor the one that began it?
    untold: bool,
    /// What left while this many to this many bytes were delivered was held back.
    sent: (u64, u64),
}

impl ProbeRtt {
    pub(super) fn new() -> Self {
        Self {
            min_rtt: None,
            min_rtt_at: Instant::ZERO,
            least: None,
            least_at: Instant::ZERO,
            until: None,
            round_passed: false,
            next_round: 0,
            untold: false,
            sent: (0, 0),
        }
    }

    pub(super) fn start(&mut self, cx: &Cx) {
        self.min_rtt = cx.path_min_rtt;
        self.least = cx.path_min_rtt;
        self.min_rtt_at = cx.now;
        self.least_at = cx.now;
    }

    /// Did the record that left after so much was delivered leave in ProbeRTT?
    pub(super) fn held_back(&self, prior_delivered: u64) -> bool {
        (self.sent.0..self.sent.1).contains(&prior_delivered)
    }

    /// Takes a sample in, that may be `believed` if nothing shorter was seen for long; returns whether the
    /// shorter filter had expired.
    fn update(&mut self, cx: &Cx, sample: &AckSample, believed: bool) -> bool {
        let expired = believed && cx.now > self.least_at + INTERVAL;
        if let Some(rtt) = sample.rtt {
            let shorter = self.least.is_none_or(|least| rtt < least);
            if shorter || (expired && !sample.rtt_ack_delayed) {
                self.least = Some(rtt);
                self.least_at = cx.now;
                self.untold = false;
            }
        }
        // m22: the minimum of a window, not of the connection's life.
        let old = cx.now > self.min_rtt_at + MIN_RTT_WINDOW;
        let shorter = match (self.least, self.min_rtt) {
            (Some(least), Some(min)) => least < min,
            (least, None) => least.is_some(),
            (None, Some(_)) => false,
        };
        if shorter || old {
            self.min_rtt = self.least;
            self.min_rtt_at = self.least_at;
        }
        expired
    }
}

impl Bbr3 {
    pub(super) fn update_min_rtt(&mut self, cx: &Cx, sample: &AckSample) {
        // In ProbeRTT, and soon after it, a longer round trip is the queue's. After an idle time it is not; and
        // one is believed in each ProbeRTT, or a path that became longer would not be learned.
        let believed = self.idle_restart
            || self.probe_rtt.untold
            || self.model.rounds.count() >= self.probe_rtt.next_round;
        let expired = self.probe_rtt.update(cx, sample, believed);
        if expired && !self.idle_restart && self.state != State::ProbeRtt {
            self.enter_probe_rtt(cx);
        }
        if self.state == State::ProbeRtt {
            self.hold_low(cx);
        }
        if sample.newly_acked > 0 {
            self.idle_restart = false;
        }
    }

    fn enter_probe_rtt(&mut self, cx: &Cx) {
        self.save_cwnd(cx);
        self.state = State::ProbeRtt;
        self.cycle.stop();
        self.probe_rtt.until = None;
        // What the ACK that begins it told was taken in just before.
        self.probe_rtt.untold = self.probe_rtt.least_at != cx.now;
        self.probe_rtt.next_round = self.model.rounds.count() + ROUNDS;
        self.probe_rtt.sent = (cx.delivered, cx.delivered);
        self.model.rounds.restart(cx.delivered);
    }

    fn hold_low(&mut self, cx: &Cx) {
        self.probe_rtt.sent.1 = cx.delivered + u64::from(cx.inflight);
        if self.probe_rtt.until.is_none() {
            if cx.inflight <= self.probe_rtt_cwnd(cx) {
                self.probe_rtt.until = Some(cx.now + TIME);
                self.probe_rtt.round_passed = false;
                self.model.rounds.restart(cx.delivered);
            }
            return;
        }
        self.probe_rtt.round_passed |= self.model.rounds.started();
        if self.probe_rtt.round_passed {
            self.end_probe_rtt(cx);
        }
    }

    /// Leaves ProbeRTT if it lasted long enough.
    pub(super) fn end_probe_rtt(&mut self, cx: &Cx) {
        if self.probe_rtt.until.is_none_or(|until| cx.now <= until) {
            return;
        }
        self.probe_rtt.least_at = cx.now;
        self.probe_rtt.untold = false;
        self.cwnd = self.cwnd.max(self.prior_cwnd);
        self.model.forget_short_term();
        if self.model.full.reached {
            self.enter_down(cx);
            self.enter_cruise();
        } else {
            self.state = State::Startup;
        }
    }
}
