//! What the model allows: the window and the rate, in episodes and outside.

use crate::tcp::congestion::event::{AckSample, Cx};

use super::super::{Gain, MIN_SEGMENTS};
use super::{Bbr, HIGH_GAIN, MOST_AGGREGATION, RTT_BEFORE_SAMPLE, State};

// One quantum being sent, one on its way, one being received.
const QUANTA: u64 = 3;

impl Bbr {
    /// The bytes in flight that fill the path `gain` times, with what offload and ACKs need beside.
    pub(super) fn inflight(&self, cx: &Cx, rate: u64, gain: Gain) -> u64 {
        let Some(min_rtt) = self.min_rtt else {
            return u64::from(cx.initial_cwnd);
        };
        self.quantized(cx, super::super::product(rate, min_rtt, gain))
    }

    fn quantized(&self, cx: &Cx, bytes: u64) -> u64 {
        let smss = u64::from(cx.smss.max(1));
        let quantum = u64::from(super::super::quantum(self.pacing_rate, cx.smss));
        // An even number of segments, so that delayed ACKs come in time.
        let even = (bytes + QUANTA * quantum).next_multiple_of(2 * smss);
        match self.state {
            State::ProbeBandwidth { phase: 0 } => even + 2 * smss,
            _ => even,
        }
    }

    pub(super) fn least(cx: &Cx) -> u32 {
        MIN_SEGMENTS * cx.smss
    }

    pub(super) fn save_cwnd(&mut self, cx: &Cx) {
        let repairs = cx.phase.repairs();
        self.prior_cwnd = if repairs || self.state == State::ProbeRtt {
            self.prior_cwnd.max(self.cwnd)
        } else {
            self.cwnd
        };
    }

    pub(super) fn start_pacing(&mut self, cx: &Cx) {
        let rtt = cx.srtt.unwrap_or(RTT_BEFORE_SAMPLE);
        self.pacing_rate = super::super::rate_of(cx.initial_cwnd, rtt, HIGH_GAIN);
    }

    pub(super) fn set_pacing_rate(&mut self, gain: Gain) {
        let rate = self.rate();
        if rate == 0 {
            return;
        }
        let rate = super::super::pacing_rate(rate, gain);
        if self.full_reached || rate > self.pacing_rate {
            self.pacing_rate = rate;
        }
    }

    pub(super) fn set_cwnd(&mut self, cx: &Cx, sample: &AckSample) {
        if sample.newly_acked > 0 {
            self.grow(cx, sample);
        }
        if self.state == State::ProbeRtt {
            // What it was comes back afterwards. m23: no floor lies above this.
            self.cwnd = self.cwnd.min(Self::least(cx));
        }
        self.cwnd = super::super::narrowed(u64::from(self.cwnd));
    }

    fn grow(&mut self, cx: &Cx, sample: &AckSample) {
        let acked = sample.newly_acked;
        if core::mem::take(&mut self.just_entered) {
            // That is all, even when the round of conservation is over with it, as without SACK where only the first
            // partial ACK delivers: the same octets would count twice.
            self.cwnd = cx.inflight.saturating_add(acked.max(cx.smss));
            return;
        }
        if sample.newly_lost > 0 {
            self.cwnd = self.cwnd.saturating_sub(sample.newly_lost).max(cx.smss);
        }
        if self.conserves {
            self.cwnd = self.cwnd.max(cx.inflight.saturating_add(acked));
            return;
        }
        let rate = self.rate();
        let bare = self
            .min_rtt
            .map(|rtt| super::super::product(rate, rtt, self.cwnd_gain()));
        let extra = if self.full_reached {
            self.aggregation.extra(rate, Some(MOST_AGGREGATION))
        } else {
            0
        };
        let bare = bare.unwrap_or_else(|| u64::from(cx.initial_cwnd));
        let target = super::super::narrowed(self.quantized(cx, bare + extra));
        let grown = self.cwnd.saturating_add(acked);
        if self.full_reached {
            self.cwnd = grown.min(target);
        } else if self.cwnd < target || cx.delivered < u64::from(cx.initial_cwnd) {
            self.cwnd = grown;
        }
        self.cwnd = self.cwnd.max(Self::least(cx));
    }

    /// Something is lost. An ACK that ends one recovery and begins another one goes on with it, as in Linux,
    /// which looks at the state once for each ACK: on a path that loses much, where one follows the other, each
    /// would start from what is in flight, and after ProbeRTT that is nothing.
    pub(super) fn enter_recovery(&mut self, cx: &Cx) {
        self.save_cwnd(cx);
        if let Some((cwnd, conserves)) = self.ended.take() {
            (self.cwnd, self.conserves) = (cwnd, conserves);
            return;
        }
        self.conserves = true;
        self.just_entered = true;
        self.rounds.restart(cx.delivered);
        self.cwnd = cx.inflight.saturating_add(cx.smss);
    }

    pub(super) fn come_back(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
        self.conserves = false;
        self.just_entered = false;
    }
}
