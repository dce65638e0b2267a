//! BBR version 1, as in Linux's `tcp_bbr.c`: bandwidth and round-trip time, and no answer to loss.
//!
//! *Owns* the model of the path, the states and their gains; `allowed` makes window and rate of them. It is here for comparison and for paths
//! that lose at random; beside others in shallow queues it takes more than its share, which is known
//! (`docs/choices.md`). [`Bbr3`](super::Bbr3) answers to loss.

mod allowed;

use core::time::Duration;

use crate::base::Instant;
use crate::tcp::congestion::control::CongestionControl;
use crate::tcp::congestion::event::{
    AckSample, CongestionEvent, CongestionKind, Cx, EpisodeKind, Output, Pacing, Response,
    SendEvent, Start, UndoEvent,
};
use crate::tcp::congestion::parts::{RateSample, RoundCounter, WindowedMax};

use super::policer::{Observed, Verdict};
use super::{Aggregation, Gain, Policer, Random, UNIT};

// Linux's bbr_high_gain, 2/ln 2: the least that doubles the rate each round.
const HIGH_GAIN: Gain = 2885;
const DRAIN_GAIN: Gain = 347;
const CWND_GAIN: Gain = 2 * UNIT;
const CYCLE: [Gain; 8] = [1250, 750, UNIT, UNIT, UNIT, UNIT, UNIT, UNIT];
const BANDWIDTH_ROUNDS: u64 = 10;
const AGGREGATION_ROUNDS: u64 = 10;
const MOST_AGGREGATION: Duration = Duration::from_millis(100);
const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);
const PROBE_RTT_TIME: Duration = Duration::from_millis(200);
const FULL_GROWTH: (u64, u64) = (5, 4);
const FULL_ROUNDS: u32 = 3;
const RTT_BEFORE_SAMPLE: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    ProbeBandwidth { phase: usize },
    ProbeRtt,
}

/// One connection's BBRv1.
#[derive(Clone, Debug)]
pub struct Bbr {
    state: State,
    cwnd: u32,
    pacing_rate: u64,
    random: Random,
    rounds: RoundCounter,
    bandwidth: WindowedMax,
    min_rtt: Option<Duration>,
    min_rtt_at: Instant,
    cycle_began: Instant,
    full_bandwidth: u64,
    full_rounds: u32,
    full_reached: bool,
    /// When ProbeRTT may end, once in-flight is low; and whether a round has passed since.
    probe_rtt_until: Option<Instant>,
    probe_rtt_round: bool,
    /// What left while this many to this many bytes were delivered says nothing of the bandwidth.
    probe_rtt_sent: (u64, u64),
    idle_restart: bool,
    /// The window to come back to after an episode, or ProbeRTT.
    prior_cwnd: u32,
    /// The first round of recovery: what leaves is what was delivered.
    conserves: bool,
    just_entered: bool,
    /// The window and `conserves` in a recovery that this ACK ends.
    ended: Option<(u32, bool)>,
    aggregation: Aggregation,
    policer: Policer,
}

impl Default for Bbr {
    fn default() -> Self {
        Self::new()
    }
}

impl Bbr {
    /// A controller before its start.
    pub fn new() -> Self {
        Self {
            state: State::Startup,
            cwnd: 0,
            pacing_rate: 1,
            random: Random(0),
            rounds: RoundCounter::default(),
            bandwidth: WindowedMax::new(BANDWIDTH_ROUNDS),
            min_rtt: None,
            min_rtt_at: Instant::ZERO,
            cycle_began: Instant::ZERO,
            full_bandwidth: 0,
            full_rounds: 0,
            full_reached: false,
            probe_rtt_until: None,
            probe_rtt_round: false,
            probe_rtt_sent: (0, 0),
            idle_restart: false,
            prior_cwnd: 0,
            conserves: false,
            just_entered: false,
            ended: None,
            aggregation: Aggregation::new(AGGREGATION_ROUNDS),
            policer: Policer::default(),
        }
    }

    /// The estimate that it paces by.
    fn rate(&self) -> u64 {
        self.policer.held().unwrap_or_else(|| self.bandwidth.get())
    }

    fn pacing_gain(&self) -> Gain {
        match self.state {
            State::Startup => HIGH_GAIN,
            State::Drain => DRAIN_GAIN,
            State::ProbeBandwidth { .. } if self.policer.held().is_some() => UNIT,
            State::ProbeBandwidth { phase } => CYCLE[phase % CYCLE.len()],
            State::ProbeRtt => UNIT,
        }
    }

    fn cwnd_gain(&self) -> Gain {
        match self.state {
            State::Startup | State::Drain => HIGH_GAIN,
            State::ProbeBandwidth { .. } => CWND_GAIN,
            State::ProbeRtt => UNIT,
        }
    }

    // --- the model ------------------------------------------------------------------------

    fn update_bandwidth(&mut self, cx: &Cx, sample: &AckSample) {
        let rate = sample.rate;
        if self
            .rounds
            .on_ack(rate.map(|rate| rate.prior_delivered), cx.delivered)
        {
            self.conserves = false;
        }
        let Some(rate) = rate else { return };
        let app_limited = self.says_little(&rate);
        let round_start = self.rounds.started();
        self.watch_policer(cx, sample.newly_lost > 0, app_limited, round_start);
        if !app_limited || rate.rate >= self.bandwidth.get() {
            self.bandwidth.update(self.rounds.count(), rate.rate);
        }
        self.aggregation.on_ack(
            cx.now,
            self.rounds.count(),
            sample.newly_acked,
            self.rate(),
            self.cwnd,
        );
    }

    /// Was the sender held back by the application, or by ProbeRTT, when the record left?
    fn says_little(&self, rate: &RateSample) -> bool {
        let (from, until) = self.probe_rtt_sent;
        rate.app_limited || (from..until).contains(&rate.prior_delivered)
    }

    fn watch_policer(&mut self, cx: &Cx, losses: bool, app_limited: bool, round_start: bool) {
        let verdict = self.policer.observe(&Observed {
            now: cx.now,
            delivered: cx.delivered,
            lost: cx.lost,
            losses,
            app_limited,
            round_start,
            probes_bandwidth: matches!(self.state, State::ProbeBandwidth { .. }),
        });
        if verdict == Verdict::ProbeAgain {
            self.enter_probe_bandwidth(cx);
        }
    }

    /// Has the bandwidth stopped to grow? Three rounds in a row with less than a quarter more.
    fn look_for_plateau(&mut self, app_limited: bool) {
        if self.full_reached || !self.rounds.started() || app_limited {
            return;
        }
        let (num, den) = FULL_GROWTH;
        let now = self.bandwidth.get();
        if now.saturating_mul(den) >= self.full_bandwidth.saturating_mul(num) {
            self.full_bandwidth = now;
            self.full_rounds = 0;
            return;
        }
        self.full_rounds += 1;
        self.full_reached = self.full_rounds >= FULL_ROUNDS;
    }

    fn update_min_rtt(&mut self, cx: &Cx, sample: &AckSample) {
        let expired = cx.now > self.min_rtt_at + MIN_RTT_WINDOW;
        if let Some(rtt) = sample.rtt {
            let shorter = self.min_rtt.is_none_or(|min| rtt < min);
            if shorter || (expired && !sample.rtt_ack_delayed) {
                self.min_rtt = Some(rtt);
                self.min_rtt_at = cx.now;
            }
        }
        if expired && !self.idle_restart && self.state != State::ProbeRtt {
            self.state = State::ProbeRtt;
            self.save_cwnd(cx);
            self.probe_rtt_until = None;
            self.probe_rtt_sent = (cx.delivered, cx.delivered);
        }
        if self.state == State::ProbeRtt {
            self.probe_rtt(cx);
        }
        if sample.newly_acked > 0 {
            self.idle_restart = false;
        }
    }

    // --- the states -----------------------------------------------------------------------

    fn probe_rtt(&mut self, cx: &Cx) {
        self.probe_rtt_sent.1 = cx.delivered + u64::from(cx.inflight);
        if self.probe_rtt_until.is_none() {
            if cx.inflight <= Self::least(cx) {
                self.probe_rtt_until = Some(cx.now + PROBE_RTT_TIME);
                self.probe_rtt_round = false;
                self.rounds.restart(cx.delivered);
            }
            return;
        }
        self.probe_rtt_round |= self.rounds.started();
        if self.probe_rtt_round {
            self.end_probe_rtt(cx);
        }
    }

    fn end_probe_rtt(&mut self, cx: &Cx) {
        if self.probe_rtt_until.is_none_or(|until| cx.now <= until) {
            return;
        }
        self.min_rtt_at = cx.now;
        self.cwnd = self.cwnd.max(self.prior_cwnd);
        if self.full_reached {
            self.enter_probe_bandwidth(cx);
        } else {
            self.state = State::Startup;
        }
    }

    fn enter_probe_bandwidth(&mut self, cx: &Cx) {
        // Any phase but the one that drains: flows that began together do not stay together.
        let turn = usize::try_from(self.random.below(7)).unwrap_or(0);
        let phase = (CYCLE.len() - turn) % CYCLE.len();
        self.state = State::ProbeBandwidth { phase };
        self.cycle_began = cx.now;
    }

    fn advance_cycle(&mut self, cx: &Cx, sample: &AckSample) {
        let State::ProbeBandwidth { phase } = self.state else {
            return;
        };
        let lasted = cx.now.since(self.cycle_began) > self.min_rtt.unwrap_or_default();
        let rate = self.rate();
        let before = u64::from(sample.prior_inflight);
        let over = match self.pacing_gain() {
            UNIT => lasted,
            // As long as it takes to have so much in flight, if nothing is lost by it.
            gain if gain > UNIT => {
                lasted && (sample.newly_lost > 0 || before >= self.inflight(cx, rate, gain))
            }
            _ => lasted || before <= self.inflight(cx, rate, UNIT),
        };
        if over {
            self.state = State::ProbeBandwidth {
                phase: (phase + 1) % CYCLE.len(),
            };
            self.cycle_began = cx.now;
        }
    }

    fn leave_startup(&mut self, cx: &Cx) {
        if self.state == State::Startup && self.full_reached {
            self.state = State::Drain;
        }
        let drained = u64::from(cx.inflight) <= self.inflight(cx, self.bandwidth.get(), UNIT);
        if self.state == State::Drain && drained {
            self.enter_probe_bandwidth(cx);
        }
    }
}

impl CongestionControl for Bbr {
    fn name(&self) -> &'static str {
        "bbr"
    }

    fn start(&mut self, cx: &Cx, begin: &Start) {
        *self = Self::new();
        self.random = Random(begin.seed);
        self.cwnd = begin
            .inherited
            .map_or(cx.initial_cwnd, |output| output.cwnd.max(Self::least(cx)));
        self.prior_cwnd = self.cwnd;
        self.min_rtt = cx.path_min_rtt;
        self.min_rtt_at = cx.now;
        self.cycle_began = cx.now;
        self.rounds.restart(cx.delivered);
        self.aggregation.restart(cx.now);
        self.start_pacing(cx);
    }

    fn on_send(&mut self, cx: &Cx, event: &SendEvent) {
        // m16: in-flight does not hold what leaves. After a time-out it may be empty though the sender was not idle:
        // ProbeRTT would end, and the window from before come back onto a path that just lost all.
        if event.inflight_before > 0 || !event.app_limited || cx.phase.repairs() {
            return;
        }
        self.idle_restart = true;
        self.aggregation.restart(cx.now);
        match self.state {
            State::ProbeBandwidth { .. } => self.set_pacing_rate(UNIT),
            State::ProbeRtt => self.end_probe_rtt(cx),
            State::Startup | State::Drain => {}
        }
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        match event.kind {
            CongestionKind::EnterRecovery => {
                self.enter_recovery(cx);
                Response::Direct
            }
            CongestionKind::Rto { .. } => {
                self.save_cwnd(cx);
                self.conserves = false;
                self.just_entered = false;
                self.ended = None;
                self.full_bandwidth = 0;
                // A round ends with it, whatever the latest ACK began (Linux's `bbr_set_state`).
                self.watch_policer(cx, true, false, true);
                self.cwnd = cx.inflight.saturating_add(cx.smss);
                Response::Direct
            }
            CongestionKind::FurtherLossInRecovery
            | CongestionKind::Ecn { .. }
            | CongestionKind::TlpRepairedLoss => Response::Ignore,
        }
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        self.ended = None;
        if self.min_rtt.is_none() && sample.rtt.is_some() {
            // The first round trip: what was guessed is made good.
            self.start_pacing(cx);
        }
        self.update_bandwidth(cx, sample);
        self.advance_cycle(cx, sample);
        let app_limited = sample.rate.is_none_or(|rate| self.says_little(&rate));
        self.look_for_plateau(app_limited);
        self.leave_startup(cx);
        self.update_min_rtt(cx, sample);
        self.set_pacing_rate(self.pacing_gain());
        self.set_cwnd(cx, sample);
    }

    fn on_recovery_exit(&mut self, _cx: &Cx, kind: EpisodeKind) {
        if kind != EpisodeKind::Reduction {
            self.ended = Some((self.cwnd, self.conserves));
            self.come_back();
        }
    }

    fn on_undo(&mut self, _cx: &Cx, _event: &UndoEvent) {
        self.full_bandwidth = 0;
        self.full_rounds = 0;
        self.policer.reset();
        self.come_back();
    }

    fn output(&self) -> Output {
        Output::window(self.cwnd, u32::MAX).paced(Pacing::Rate(self.pacing_rate))
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }

    fn inspect(&self, visit: &mut dyn FnMut(&'static str, i128)) {
        let state = match self.state {
            State::Startup => 0,
            State::Drain => 1,
            State::ProbeBandwidth { .. } => 2,
            State::ProbeRtt => 3,
        };
        visit("state", state);
        visit("cwnd", i128::from(self.cwnd));
        visit("max_bw", i128::from(self.bandwidth.get()));
        visit("held_bw", i128::from(self.policer.held().unwrap_or(0)));
        visit("min_rtt_ns", super::nanos(self.min_rtt));
        visit("pacing_rate", i128::from(self.pacing_rate));
        visit("pacing_gain", i128::from(self.pacing_gain()));
        visit("round", i128::from(self.rounds.count()));
        visit("full_reached", i128::from(self.full_reached));
    }
}

#[cfg(test)]
mod tests;
