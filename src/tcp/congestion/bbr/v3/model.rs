//! The model: how fast the path delivers, and how much of it loss leaves.
//!
//! *Owns* the bandwidth, the rounds and the two kinds of bounds: long-term (where probing lost too
//! much) and short-term (what the latest lossy round delivered). *Does not* change states.

use crate::tcp::congestion::event::Cx;
use crate::tcp::congestion::parts::{RateSample, RoundCounter, TwoSlotMax};

use super::super::Aggregation;

// 2 % of what was in flight.
const LOSS_PERCENT: u64 = 2;
const BETA: (u64, u64) = (7, 10);
const FULL_GROWTH: (u64, u64) = (5, 4);
const FULL_ROUNDS: u32 = 3;
const AGGREGATION_ROUNDS: u64 = 10;
// While starting up what was is no measure of what will be.
const STARTUP_AGGREGATION_ROUNDS: u64 = 1;

/// Has the bandwidth stopped to grow?
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FullPipe {
    /// What the rate is to exceed by a quarter.
    pub(super) bw: u64,
    rounds: u32,
    /// In this test.
    pub(super) now: bool,
    /// Ever.
    pub(super) reached: bool,
}

impl FullPipe {
    /// Starts again, from this rate.
    pub(super) fn restart(&mut self, bw: u64) {
        self.bw = bw;
        self.rounds = 0;
        self.now = false;
    }
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) rounds: RoundCounter,
    pub(super) max_bw: TwoSlotMax,
    /// The bounds; `None` is without one.
    pub(super) bw_st: Option<u64>,
    pub(super) infl_st: Option<u32>,
    pub(super) infl_lt: Option<u32>,
    pub(super) infl_latest: u32,
    bw_latest: u64,
    loss_round_delivered: u64,
    pub(super) loss_round_start: bool,
    loss_in_round: bool,
    /// Separate losses in this round.
    pub(super) gaps: u32,
    pub(super) full: FullPipe,
    pub(super) aggregation: Aggregation,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            rounds: RoundCounter::default(),
            max_bw: TwoSlotMax::default(),
            bw_st: None,
            infl_st: None,
            infl_lt: None,
            infl_latest: 0,
            bw_latest: 0,
            loss_round_delivered: 0,
            loss_round_start: false,
            loss_in_round: false,
            gaps: 0,
            full: FullPipe::default(),
            aggregation: Aggregation::new(STARTUP_AGGREGATION_ROUNDS),
        }
    }

    pub(super) fn start(&mut self, cx: &Cx) {
        self.rounds.restart(cx.delivered);
        self.loss_round_delivered = cx.delivered;
        self.aggregation.restart(cx.now);
    }

    /// What it paces by.
    pub(super) fn bw(&self) -> u64 {
        let most = self.bw_st.unwrap_or(u64::MAX);
        self.max_bw.get().min(most)
    }

    // --- each ACK, in this order ------------------------------------------------------------

    /// A round of losses ends with what left behind them, once that is something that was not `held_back` by
    /// ProbeRTT: what the path delivers of half its product is half its rate, and would be kept as a bound.
    pub(super) fn update_latest(&mut self, cx: &Cx, rate: &RateSample, held_back: bool) {
        self.bw_latest = self.bw_latest.max(rate.rate);
        self.infl_latest = self.infl_latest.max(super::super::narrowed(rate.delivered));
        self.loss_round_start = !held_back && rate.prior_delivered >= self.loss_round_delivered;
        if self.loss_round_start {
            self.loss_round_delivered = cx.delivered;
        }
    }

    pub(super) fn update_round(&mut self, cx: &Cx, rate: &RateSample) -> bool {
        self.rounds.on_ack(Some(rate.prior_delivered), cx.delivered)
    }

    /// An ACK without a rate sample starts nothing.
    pub(super) fn no_sample(&mut self, cx: &Cx) {
        self.loss_round_start = false;
        self.rounds.on_ack(None, cx.delivered);
    }

    pub(super) fn update_max_bw(&mut self, rate: &RateSample, app_limited: bool) {
        if rate.rate > 0 && (!app_limited || rate.rate >= self.max_bw.get()) {
            self.max_bw.update(rate.rate);
        }
    }

    /// The end of a lossy round: no more than it delivered, and no less than 0.7 of what was.
    pub(super) fn bound_short_term(&mut self, probing: bool, cwnd: u32) {
        if !self.loss_round_start {
            return;
        }
        if self.loss_in_round && !probing {
            let (num, den) = BETA;
            let bw = self.bw_st.unwrap_or_else(|| self.max_bw.get());
            let cut = u64::try_from(u128::from(bw) * u128::from(num) / u128::from(den));
            self.bw_st = Some(self.bw_latest.max(cut.unwrap_or(bw)));
            let infl = u64::from(self.infl_st.unwrap_or(cwnd)) * num / den;
            self.infl_st = Some(self.infl_latest.max(super::super::narrowed(infl)));
        }
        self.loss_in_round = false;
    }

    pub(super) fn aggregate(&mut self, cx: &Cx, newly_acked: u32, bw: u64, cwnd: u32) {
        self.aggregation
            .on_ack(cx.now, self.rounds.count(), newly_acked, bw, cwnd);
    }

    pub(super) fn look_for_plateau(&mut self, rate: u64, app_limited: bool) {
        if self.full.now || !self.rounds.started() || app_limited {
            return;
        }
        let (num, den) = FULL_GROWTH;
        if rate.saturating_mul(den) >= self.full.bw.saturating_mul(num) {
            self.full.restart(rate);
            return;
        }
        self.full.rounds += 1;
        self.full.now = self.full.rounds >= FULL_ROUNDS;
        self.full.reached |= self.full.now;
    }

    /// A round's gaps are counted by the round of losses.
    pub(super) fn forget_gaps(&mut self) {
        if self.loss_round_start {
            self.gaps = 0;
        }
    }

    pub(super) fn advance_latest(&mut self, rate: &RateSample) {
        if self.loss_round_start {
            self.bw_latest = rate.rate;
            self.infl_latest = super::super::narrowed(rate.delivered);
        }
    }

    // --- losses -----------------------------------------------------------------------------

    pub(super) fn note_loss(&mut self, cx: &Cx, starts_new_gap: bool) {
        if !self.loss_in_round {
            self.loss_round_delivered = cx.delivered;
        }
        self.loss_in_round = true;
        // m24: gaps, not packets: one queue that overflows once is one.
        self.gaps = self.gaps.saturating_add(u32::from(starts_new_gap));
    }

    pub(super) fn forget_losses(&mut self) {
        self.loss_in_round = false;
        self.bw_latest = 0;
        self.infl_latest = 0;
    }

    pub(super) fn forget_short_term(&mut self) {
        self.bw_st = None;
        self.infl_st = None;
    }

    pub(super) fn undo(&mut self, bw_st: Option<u64>, infl_st: Option<u32>, infl_lt: Option<u32>) {
        self.loss_in_round = false;
        self.full.restart(0);
        // Without a bound is the highest one.
        self.bw_st = self.bw_st.zip(bw_st).map(|(a, b)| a.max(b));
        self.infl_st = self.infl_st.zip(infl_st).map(|(a, b)| a.max(b));
        self.infl_lt = self.infl_lt.zip(infl_lt).map(|(a, b)| a.max(b));
    }

    /// Startup is over: the clumps of more rounds say what comes.
    pub(super) fn lengthen_aggregation(&mut self) {
        self.aggregation
            .set_rounds(self.rounds.count(), AGGREGATION_ROUNDS);
    }

    /// Startup goes on: it ended for nothing.
    pub(super) fn shorten_aggregation(&mut self) {
        self.aggregation
            .set_rounds(self.rounds.count(), STARTUP_AGGREGATION_ROUNDS);
    }
}

/// Is so much lost of what was in flight too much?
pub(super) fn too_much(lost: u64, inflight: u32) -> bool {
    lost.saturating_mul(100) > u64::from(inflight) * LOSS_PERCENT
}

/// Where inside the record of `bytes` the limit was crossed, with `lost` including it.
pub(super) fn inflight_at_loss(inflight: u32, lost: u64, bytes: u32) -> u32 {
    // m19: the record may be larger than what the difference leaves.
    let before = u64::from(inflight.saturating_sub(bytes));
    let lost_before = lost.saturating_sub(u64::from(bytes));
    let allowed = (before * LOSS_PERCENT).saturating_sub(lost_before.saturating_mul(100));
    super::super::narrowed(before + allowed / (100 - LOSS_PERCENT))
}
