//! BBR version 3 (draft-ietf-ccwg-bbr): version 1's model, bounded by what loss and marks tell.
//!
//! *Owns* the states and what each ACK, loss and episode does, in the draft's order. The parts:
//! `model` (bandwidth, rounds, what loss bounds), `cycle` (ProbeBW), `probe_rtt`, and `allowed` (window
//! and rate). Where the draft is silent or contradicts itself, `docs/choices.md` says what was chosen.

mod allowed;
mod cycle;
mod model;
mod probe_rtt;

use core::time::Duration;

use crate::base::Instant;
use crate::tcp::congestion::control::CongestionControl;
use crate::tcp::congestion::event::{
    AckSample, CongestionEvent, CongestionKind, Cx, EpisodeKind, LostEvent, Output, Pacing, Phase,
    Response, SendEvent, Start, UndoEvent,
};
use crate::tcp::congestion::parts::RateSample;

use super::{Gain, MIN_SEGMENTS, Random, UNIT};
use cycle::Cycle;
use model::Model;
use probe_rtt::ProbeRtt;

const STARTUP_PACING: Gain = 2770;
const DRAIN_PACING: Gain = 500;
const DOWN_PACING: Gain = 900;
const UP_PACING: Gain = 1250;
const CWND_GAIN: Gain = 2 * UNIT;
const UP_CWND_GAIN: Gain = 2250;
const PROBE_RTT_CWND_GAIN: Gain = 500;
const RTT_BEFORE_SAMPLE: Duration = Duration::from_millis(1);
const DRAIN_ROUNDS: u64 = 3;
// Separate losses in a round that end Startup: below it a burst that one queue dropped is no sign.
const STARTUP_GAPS: u32 = 6;

/// The draft's states; the four of ProbeBW each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
}

impl State {
    const fn probes_bandwidth(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// States that look for more: the short-term bounds are not set in them.
    const fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }

    const fn pacing_gain(self) -> Gain {
        match self {
            Self::Startup => STARTUP_PACING,
            Self::Drain => DRAIN_PACING,
            Self::Down => DOWN_PACING,
            Self::Up => UP_PACING,
            Self::Cruise | Self::Refill | Self::ProbeRtt => UNIT,
        }
    }

    const fn cwnd_gain(self) -> Gain {
        match self {
            Self::Up => UP_CWND_GAIN,
            Self::ProbeRtt => PROBE_RTT_CWND_GAIN,
            _ => CWND_GAIN,
        }
    }
}

/// What an undo takes back: saved once per episode, before anything of the model changes.
#[derive(Clone, Copy, Debug)]
struct Saved {
    bw_st: Option<u64>,
    infl_st: Option<u32>,
    infl_lt: Option<u32>,
    /// The state that the episode ended, if it did.
    left: Option<State>,
}

/// One connection's BBRv3.
#[derive(Clone, Debug)]
pub struct Bbr3 {
    state: State,
    cwnd: u32,
    prior_cwnd: u32,
    pacing_rate: u64,
    quantum: u32,
    random: Random,
    model: Model,
    cycle: Cycle,
    probe_rtt: ProbeRtt,
    drain_round: u64,
    /// The round in which recovery began.
    recovery_round: u64,
    idle_restart: bool,
    saved: Option<Saved>,
}

impl Default for Bbr3 {
    fn default() -> Self {
        Self::new()
    }
}

impl Bbr3 {
    /// A controller before its start.
    pub fn new() -> Self {
        Self {
            state: State::Startup,
            cwnd: 0,
            prior_cwnd: 0,
            pacing_rate: 1,
            quantum: 1,
            random: Random(0),
            model: Model::new(),
            cycle: Cycle::new(),
            probe_rtt: ProbeRtt::new(),
            drain_round: 0,
            recovery_round: 0,
            idle_restart: false,
            saved: None,
        }
    }

    fn least(cx: &Cx) -> u32 {
        MIN_SEGMENTS * cx.smss
    }

    /// The sample, and whether the sender was held back when its record left.
    fn says_little(&self, rate: &RateSample) -> bool {
        rate.app_limited || self.probe_rtt.held_back(rate.prior_delivered)
    }

    // --- episodes -------------------------------------------------------------------------

    /// Once per episode: the draft saves at the first loss of each round too, when the model may have
    /// been cut already, and would then restore the cut.
    fn save(&mut self, cx: &Cx, first_of_all: bool) {
        let repairs = cx.phase.repairs();
        let fresh = !repairs && first_of_all;
        if self.saved.is_none() || fresh {
            self.saved = Some(Saved {
                bw_st: self.model.bw_st,
                infl_st: self.model.infl_st,
                infl_lt: self.model.infl_lt,
                left: None,
            });
        }
    }

    fn save_cwnd(&mut self, cx: &Cx) {
        let repairs = cx.phase.repairs();
        self.prior_cwnd = if repairs || self.state == State::ProbeRtt {
            self.prior_cwnd.max(self.cwnd)
        } else {
            self.cwnd
        };
    }

    fn note_left(&mut self, state: State) {
        if let Some(saved) = &mut self.saved {
            saved.left = Some(state);
        }
    }

    /// What was sent while probing lost, or marked, too much: it was too much in flight.
    fn on_too_high(&mut self, cx: &Cx, inflight: u32, app_limited: bool) {
        self.cycle.too_high = true;
        self.cycle.probe_sample = false;
        if !app_limited {
            let least = super::narrowed(u64::from(self.target(cx)) * 7 / 10);
            self.model.infl_lt = Some(inflight.max(least));
        }
        if self.state == State::Up {
            self.note_left(State::Up);
            self.enter_down(cx);
        }
    }

    /// A tail-loss probe made a loss good before it was seen: one segment of what the latest round delivered,
    /// and itself (as Linux's BBRv3).
    fn on_repaired(&mut self, cx: &Cx) {
        self.saved = None;
        self.model.note_loss(cx, true);
        let inflight = self.model.infl_latest.saturating_add(cx.smss);
        if self.cycle.probe_sample && model::too_much(u64::from(cx.smss), inflight) {
            self.on_too_high(cx, inflight, cx.app_limited);
        }
    }

    /// Startup ends when the queue overflows, before the rate stops to grow.
    fn leave_startup_by_loss(&mut self, cx: &Cx, rate: &RateSample) {
        let round_over = self.model.rounds.count() > self.recovery_round;
        let recovers = cx.phase == Phase::Recovery && round_over;
        let lossy = if cx.sack_ok {
            self.model.gaps >= STARTUP_GAPS && model::too_much(rate.lost, rate.tx_in_flight)
        } else {
            self.model.gaps > 0
        };
        if self.state != State::Startup || !self.model.loss_round_start || !recovers || !lossy {
            return;
        }
        self.note_left(State::Startup);
        self.model.full.reached = true;
        let bdp = super::narrowed(self.bdp(cx, UNIT));
        self.model.infl_lt = Some(bdp.max(self.model.infl_latest));
    }

    fn leave_startup(&mut self) {
        if self.state == State::Startup && self.model.full.reached {
            self.state = State::Drain;
            self.drain_round = self.model.rounds.count();
            self.model.lengthen_aggregation();
        }
    }

    fn leave_drain(&mut self, cx: &Cx) {
        if self.state != State::Drain {
            return;
        }
        let drained = u64::from(cx.inflight) <= self.inflight(cx, UNIT);
        let over = self.model.rounds.count() > self.drain_round + DRAIN_ROUNDS;
        if drained || over {
            self.enter_down(cx);
        }
    }
}

impl CongestionControl for Bbr3 {
    fn name(&self) -> &'static str {
        "bbr3"
    }

    fn start(&mut self, cx: &Cx, begin: &Start) {
        *self = Self::new();
        self.random = Random(begin.seed);
        self.cwnd = begin
            .inherited
            .map_or(cx.initial_cwnd, |output| output.cwnd.max(Self::least(cx)));
        self.prior_cwnd = self.cwnd;
        self.model.start(cx);
        self.probe_rtt.start(cx);
        self.cycle.began = cx.now;
        self.start_pacing(cx);
    }

    fn on_send(&mut self, cx: &Cx, event: &SendEvent) {
        // m16: in-flight does not hold what leaves. After a time-out it may be empty though the sender was not idle:
        // ProbeRTT would end, and the window from before come back onto a path that just lost all.
        if event.inflight_before > 0 || !event.app_limited || cx.phase.repairs() {
            return;
        }
        self.idle_restart = true;
        self.model.aggregation.restart(cx.now);
        if self.state.probes_bandwidth() {
            self.set_pacing_rate(UNIT);
        } else if self.state == State::ProbeRtt {
            self.end_probe_rtt(cx);
        }
    }

    fn on_lost(&mut self, cx: &Cx, event: &LostEvent) {
        self.save(cx, event.first_in_pass);
        self.model.note_loss(cx, event.starts_new_gap);
        if !self.cycle.probe_sample {
            return;
        }
        let inflight = event.stamp.tx_in_flight;
        let lost = cx.lost.saturating_sub(event.stamp.lost);
        if model::too_much(lost, inflight) {
            let crossed = model::inflight_at_loss(inflight, lost, event.bytes);
            self.on_too_high(cx, crossed, event.stamp.app_limited);
        }
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        match event.kind {
            CongestionKind::EnterRecovery => {
                self.save(cx, false);
                self.save_cwnd(cx);
                self.recovery_round = self.model.rounds.count();
                Response::Direct
            }
            CongestionKind::Rto { .. } => {
                self.save(cx, false);
                self.save_cwnd(cx);
                if self.model.infl_st.is_none() {
                    self.model.infl_st = Some(self.cwnd.max(self.prior_cwnd));
                }
                self.cwnd = cx.inflight.saturating_add(cx.smss);
                Response::Direct
            }
            // A mark counts as a loss of the round. What it teaches is right whatever else was for nothing.
            CongestionKind::Ecn { .. } => {
                self.saved = None;
                self.model.note_loss(cx, true);
                Response::Ignore
            }
            CongestionKind::TlpRepairedLoss => {
                self.on_repaired(cx);
                Response::Ignore
            }
            CongestionKind::FurtherLossInRecovery => Response::Ignore,
        }
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        let rate = sample.rate.unwrap_or_default();
        let known = sample.rate.is_some();
        let app_limited = !known || self.says_little(&rate);
        if self.probe_rtt.min_rtt.is_none() && sample.rtt.is_some() {
            // What was guessed before the first round trip is made good.
            self.start_pacing(cx);
        }
        if known {
            let held_back = self.probe_rtt.held_back(rate.prior_delivered);
            self.model.update_latest(cx, &rate, held_back);
            self.cycle.rounds_since_up += u64::from(self.model.update_round(cx, &rate));
            self.model.update_max_bw(&rate, app_limited);
            self.model
                .bound_short_term(self.state.is_probing(), self.cwnd);
        } else {
            self.model.no_sample(cx);
        }
        self.model
            .aggregate(cx, sample.newly_acked, self.model.bw(), self.cwnd);
        self.model.look_for_plateau(rate.rate, app_limited);
        if known {
            self.leave_startup_by_loss(cx, &rate);
            self.watch_marks(cx, sample, &rate);
        }
        self.model.forget_gaps();
        self.leave_startup();
        self.leave_drain(cx);
        self.run_cycle(cx, sample, &rate, app_limited);
        self.update_min_rtt(cx, sample);
        self.model.advance_latest(&rate);
        self.set_pacing_rate(self.state.pacing_gain());
        self.quantum = super::quantum(self.pacing_rate, cx.smss);
        self.set_cwnd(cx, sample.newly_acked);
    }

    fn on_recovery_exit(&mut self, _cx: &Cx, kind: EpisodeKind) {
        if kind != EpisodeKind::Reduction {
            self.cwnd = self.cwnd.max(self.prior_cwnd);
        }
    }

    fn on_undo(&mut self, cx: &Cx, _event: &UndoEvent) {
        let Some(saved) = self.saved.take() else {
            return;
        };
        self.cwnd = self.cwnd.max(self.prior_cwnd);
        self.model.undo(saved.bw_st, saved.infl_st, saved.infl_lt);
        match saved.left {
            Some(State::Startup) => {
                self.model.full.reached = false;
                self.model.shorten_aggregation();
                if self.state != State::ProbeRtt {
                    self.state = State::Startup;
                }
            }
            Some(State::Up) if self.state != State::ProbeRtt => self.enter_refill(cx),
            _ => {}
        }
    }

    fn output(&self) -> Output {
        Output::window(self.cwnd, u32::MAX)
            .paced(Pacing::Rate(self.pacing_rate))
            .quantum(self.quantum)
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }

    fn inspect(&self, visit: &mut dyn FnMut(&'static str, i128)) {
        let state = match self.state {
            State::Startup => 0,
            State::Drain => 1,
            State::Down => 2,
            State::Cruise => 3,
            State::Refill => 4,
            State::Up => 5,
            State::ProbeRtt => 6,
        };
        let bound = |bound: Option<u32>| bound.map_or(-1, i128::from);
        visit("state", state);
        visit("cwnd", i128::from(self.cwnd));
        visit("max_bw", i128::from(self.model.max_bw.get()));
        visit("bw", i128::from(self.model.bw()));
        visit("bw_st", self.model.bw_st.map_or(-1, i128::from));
        visit("infl_lt", bound(self.model.infl_lt));
        visit("infl_st", bound(self.model.infl_st));
        visit(
            "extra_acked",
            i128::from(self.model.aggregation.extra(0, None)),
        );
        visit("min_rtt_ns", super::nanos(self.probe_rtt.min_rtt));
        let stamped = self.probe_rtt.min_rtt_at.since(Instant::ZERO);
        visit("min_rtt_at_ns", super::nanos(Some(stamped)));
        visit("pacing_rate", i128::from(self.pacing_rate));
        visit("round", i128::from(self.model.rounds.count()));
        visit("full_reached", i128::from(self.model.full.reached));
        visit("full_bw", i128::from(self.model.full.bw));
        visit("full_now", i128::from(self.model.full.now));
        self.cycle.inspect(visit);
    }
}

#[cfg(test)]
mod tests;
