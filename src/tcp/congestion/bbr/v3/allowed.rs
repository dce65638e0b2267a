//! What the model allows: the window and the rate (draft-ietf-ccwg-bbr, "Control Parameters").

use crate::tcp::congestion::event::Cx;

use super::{Bbr3, Gain, PROBE_RTT_CWND_GAIN, RTT_BEFORE_SAMPLE, STARTUP_PACING, State, UNIT};

// Quanta in flight beside the path's: one being sent, one on its way, one being received.
const QUANTA: u64 = 3;

impl Bbr3 {
    /// The bytes that fill the path `gain` times; before the first round trip, the initial window.
    pub(super) fn bdp(&self, cx: &Cx, gain: Gain) -> u64 {
        let Some(min_rtt) = self.probe_rtt.min_rtt else {
            return u64::from(cx.initial_cwnd);
        };
        super::super::product(self.model.bw(), min_rtt, gain)
    }

    /// The same, with what offload needs to keep going.
    pub(super) fn inflight(&self, cx: &Cx, gain: Gain) -> u64 {
        let bdp = match self.probe_rtt.min_rtt {
            Some(min_rtt) => super::super::product(self.model.max_bw.get(), min_rtt, gain),
            None => u64::from(cx.initial_cwnd),
        };
        self.with_budget(cx, bdp)
    }

    fn with_budget(&self, cx: &Cx, bytes: u64) -> u64 {
        let least = (QUANTA * u64::from(self.quantum)).max(u64::from(Self::least(cx)));
        let more = match self.state {
            State::Up => 2 * u64::from(cx.smss),
            _ => 0,
        };
        bytes.max(least) + more
    }

    /// What is in flight when all goes well: the path's, within the window.
    pub(super) fn target(&self, cx: &Cx) -> u32 {
        super::super::narrowed(self.bdp(cx, UNIT)).min(self.cwnd)
    }

    pub(super) fn probe_rtt_cwnd(&self, cx: &Cx) -> u32 {
        // m23: the floor and the target are one number, or in-flight would never get there.
        super::super::narrowed(self.bdp(cx, PROBE_RTT_CWND_GAIN)).max(Self::least(cx))
    }

    pub(super) fn start_pacing(&mut self, cx: &Cx) {
        let rtt = cx.srtt.unwrap_or(RTT_BEFORE_SAMPLE);
        self.pacing_rate = super::super::rate_of(cx.initial_cwnd, rtt, STARTUP_PACING);
        self.quantum = super::super::quantum(self.pacing_rate, cx.smss);
    }

    pub(super) fn set_pacing_rate(&mut self, gain: Gain) {
        let bw = self.model.bw();
        if bw == 0 {
            return;
        }
        let rate = super::super::pacing_rate(bw, gain);
        if self.model.full.reached || rate > self.pacing_rate {
            self.pacing_rate = rate;
        }
    }

    pub(super) fn set_cwnd(&mut self, cx: &Cx, newly_acked: u32) {
        let extra = self.model.aggregation.extra(self.model.bw(), None);
        let limit = self.bdp(cx, self.state.cwnd_gain()).saturating_add(extra);
        let limit = super::super::narrowed(self.with_budget(cx, limit));
        let grown = self.cwnd.saturating_add(newly_acked);
        if self.model.full.reached {
            self.cwnd = grown.min(limit);
        } else if self.cwnd < limit || cx.delivered < u64::from(cx.initial_cwnd) {
            self.cwnd = grown;
        }
        let least = Self::least(cx);
        if self.state == State::ProbeRtt {
            self.cwnd = self.cwnd.min(self.probe_rtt_cwnd(cx));
        }
        let bounded = super::super::narrowed(u64::from(self.cwnd.min(self.bound(cx))));
        self.cwnd = bounded.max(least);
    }

    /// What loss taught, as far as the state heeds it.
    fn bound(&self, cx: &Cx) -> u32 {
        let long = self.model.infl_lt.unwrap_or(u32::MAX);
        let short = self.model.infl_st.unwrap_or(u32::MAX);
        match self.state {
            State::Startup => u32::MAX,
            State::Drain | State::Down => long.min(short),
            State::Cruise | State::ProbeRtt => self.headroom(cx).min(short),
            State::Refill | State::Up => long,
        }
    }
}
