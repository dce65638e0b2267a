//! ProbeBW: down, cruise, refill, up (draft-ietf-ccwg-bbr, "ProbeBW").
//!
//! *Owns* the cycle: when to probe, how fast to raise the long-term bound, and which ACKs are the
//! feedback of a probe.

use core::time::Duration;

use crate::base::Instant;
use crate::tcp::congestion::event::{AckSample, Cx};
use crate::tcp::congestion::parts::RateSample;

use super::{Bbr3, State, UNIT, model};

const WAIT: Duration = Duration::from_secs(2);
const MORE_WAIT_MILLIS: u64 = 1000;
// As often as Reno's saw-tooth would, at 25 Mbit/s and 30 ms: rounds, as a window of so many packets.
const RENO_ROUNDS: u64 = 63;
// Kept free of the long-term bound, for others.
const HEADROOM_PERCENT: u64 = 15;
const MOST_UP_ROUNDS: u32 = 30;

/// Of what the ACKs of a probe are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acks {
    Init,
    Refilling,
    Starting,
    Feedback,
    Stopping,
}

#[derive(Clone, Debug)]
pub(super) struct Cycle {
    pub(super) began: Instant,
    wait: Duration,
    pub(super) rounds_since_up: u64,
    up_rounds: u32,
    up_acked: u32,
    per_increment: u32,
    acks: Acks,
    /// Is what is delivered, or lost, feedback of a probe?
    pub(super) probe_sample: bool,
    /// The last probe lost too much.
    pub(super) too_high: bool,
    /// This probe stopped at the old bound before it lost anything.
    precautionary: bool,
}

impl Cycle {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::ZERO,
            wait: WAIT,
            rounds_since_up: 0,
            up_rounds: 0,
            up_acked: 0,
            per_increment: u32::MAX,
            acks: Acks::Init,
            probe_sample: false,
            too_high: false,
            precautionary: false,
        }
    }

    /// What is on its way is the end of a probe.
    pub(super) fn stop(&mut self) {
        self.acks = Acks::Stopping;
    }

    pub(super) fn inspect(&self, visit: &mut dyn FnMut(&'static str, i128)) {
        visit("too_high", i128::from(self.too_high));
        visit("precautionary", i128::from(self.precautionary));
        visit("wait_ns", super::super::nanos(Some(self.wait)));
        visit("rounds_since_up", i128::from(self.rounds_since_up));
    }
}

impl Bbr3 {
    pub(super) fn enter_down(&mut self, cx: &Cx) {
        self.model.forget_losses();
        self.cycle.per_increment = u32::MAX;
        self.cycle.wait = WAIT + Duration::from_millis(self.random.below(MORE_WAIT_MILLIS));
        self.cycle.rounds_since_up = self.random.below(2);
        self.cycle.began = cx.now;
        self.cycle.stop();
        self.model.rounds.restart(cx.delivered);
        self.state = State::Down;
    }

    pub(super) fn enter_cruise(&mut self) {
        // As Linux: what the next cut starts from is not above what a probe found too much.
        self.model.infl_st = match (self.model.infl_st, self.model.infl_lt) {
            (Some(short), Some(long)) => Some(short.min(long)),
            (short, _) => short,
        };
        self.state = State::Cruise;
    }

    pub(super) fn enter_refill(&mut self, cx: &Cx) {
        self.model.forget_short_term();
        self.cycle.up_rounds = 0;
        self.cycle.up_acked = 0;
        self.cycle.precautionary = false;
        self.cycle.acks = Acks::Refilling;
        self.model.rounds.restart(cx.delivered);
        self.state = State::Refill;
    }

    fn enter_up(&mut self, cx: &Cx, rate: u64) {
        self.cycle.probe_sample = true;
        self.cycle.acks = Acks::Starting;
        self.model.rounds.restart(cx.delivered);
        self.model.full.restart(rate);
        self.state = State::Up;
        self.steepen(cx);
    }

    /// Each round of a probe raises the bound twice as fast as the one before.
    fn steepen(&mut self, cx: &Cx) {
        let growth = 1u32 << self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(MOST_UP_ROUNDS);
        self.cycle.per_increment = (self.cwnd / growth).max(cx.smss);
    }

    /// What each ACK does in ProbeBW, and what it says of the bound.
    pub(super) fn run_cycle(
        &mut self,
        cx: &Cx,
        sample: &AckSample,
        rate: &RateSample,
        app_limited: bool,
    ) {
        if !self.model.full.reached || self.take_feedback(cx, sample, rate, app_limited) {
            return;
        }
        match self.state {
            State::Down => self.leave_down(cx),
            State::Cruise => {
                self.probe_if_time(cx);
            }
            State::Refill if self.model.rounds.started() => self.enter_up(cx, rate.rate),
            State::Up => self.leave_up(cx, sample, rate.rate),
            _ => {}
        }
    }

    /// The long-term bound follows what a probe showed; returns whether the state changed.
    fn take_feedback(
        &mut self,
        cx: &Cx,
        sample: &AckSample,
        rate: &RateSample,
        app_limited: bool,
    ) -> bool {
        if self.model.rounds.started() {
            match self.cycle.acks {
                Acks::Starting => self.cycle.acks = Acks::Feedback,
                Acks::Stopping => {
                    self.cycle.probe_sample = false;
                    self.cycle.acks = Acks::Init;
                    if self.end_of_probe(cx, app_limited) {
                        return true;
                    }
                }
                Acks::Init | Acks::Refilling | Acks::Feedback => {}
            }
        }
        if sample.rate.is_some() && !model::too_much(rate.lost, rate.tx_in_flight) {
            self.raise_bound(cx, sample.newly_acked, rate.tx_in_flight);
        }
        false
    }

    /// A cycle's probe was heard of in full.
    fn end_of_probe(&mut self, cx: &Cx, app_limited: bool) -> bool {
        if !self.state.probes_bandwidth() {
            return false;
        }
        // m20: once per cycle, not once per round.
        if !app_limited {
            self.model.max_bw.advance();
        }
        if self.cycle.precautionary && !self.cycle.too_high {
            // Nothing was lost at the old bound: probe beyond it at once.
            self.enter_refill(cx);
            return true;
        }
        false
    }

    fn raise_bound(&mut self, cx: &Cx, newly_acked: u32, tx_in_flight: u32) {
        let Some(bound) = self.model.infl_lt else {
            return;
        };
        let bound = bound.max(tx_in_flight);
        self.model.infl_lt = Some(bound);
        if self.state != State::Up || !cx.cwnd_limited || self.cwnd < bound {
            return;
        }
        self.cycle.up_acked = self.cycle.up_acked.saturating_add(newly_acked);
        let steps = self.cycle.up_acked / self.cycle.per_increment.max(1);
        if steps > 0 {
            self.cycle.up_acked -= steps * self.cycle.per_increment;
            let raised = u64::from(bound) + u64::from(steps) * u64::from(cx.smss);
            self.model.infl_lt = Some(super::super::narrowed(raised));
        }
        if self.model.rounds.started() {
            self.steepen(cx);
        }
    }

    fn leave_down(&mut self, cx: &Cx) {
        if !self.probe_if_time(cx) && self.is_time_to_cruise(cx) {
            self.enter_cruise();
        }
    }

    fn leave_up(&mut self, cx: &Cx, sample: &AckSample, rate: u64) {
        let bound = self.model.infl_lt.unwrap_or(u32::MAX);
        // Before the ACK: it made room below a window that the bound caps. And in whole segments, or a bound
        // between two would never be reached.
        let reached = sample.prior_inflight.saturating_add(cx.smss) > bound;
        if self.cycle.too_high && reached {
            // The last probe lost too much here: hear of this one first.
            self.cycle.precautionary = true;
            self.cycle.too_high = false;
            self.enter_down(cx);
        } else if cx.cwnd_limited && self.cwnd >= bound {
            // The bound holds it back, not the path.
            self.model.full.restart(rate);
        } else if self.model.full.now {
            self.cycle.too_high = false;
            self.enter_down(cx);
        }
    }

    fn probe_if_time(&mut self, cx: &Cx) -> bool {
        // m20: a cycle that ended before its last probe was heard of in full would not count, and where a
        // round takes longer than the wait none ever would.
        if self.cycle.acks == Acks::Stopping {
            return false;
        }
        let waited = cx.now > self.cycle.began + self.cycle.wait;
        // m25: rounds, and 63 is a window in packets, not in bytes.
        let packets = u64::from(self.target(cx) / cx.smss.max(1));
        let often = self.cycle.rounds_since_up >= packets.min(RENO_ROUNDS);
        if waited || often {
            self.enter_refill(cx);
        }
        waited || often
    }

    fn is_time_to_cruise(&self, cx: &Cx) -> bool {
        let inflight = u64::from(cx.inflight);
        inflight <= u64::from(self.headroom(cx)) && inflight <= self.inflight(cx, UNIT)
    }

    /// The long-term bound less what is left free for others.
    pub(super) fn headroom(&self, cx: &Cx) -> u32 {
        let Some(bound) = self.model.infl_lt else {
            return u32::MAX;
        };
        // m18: 15 % is left free, 85 % is used.
        let free = super::super::narrowed(u64::from(bound) * HEADROOM_PERCENT / 100);
        bound.saturating_sub(free.max(cx.smss)).max(Self::least(cx))
    }

    /// RFC 3168's marks as losses: too many in a probe's round are too high.
    pub(super) fn watch_marks(&mut self, cx: &Cx, sample: &AckSample, rate: &RateSample) {
        let marked = sample.newly_ce > 0 && model::too_much(rate.delivered_ce, rate.tx_in_flight);
        if self.cycle.probe_sample && marked {
            self.on_too_high(cx, rate.tx_in_flight, rate.app_limited);
        }
    }
}
