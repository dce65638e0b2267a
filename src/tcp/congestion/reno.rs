//! Reno: slow start, congestion avoidance, halving (RFC 5681, byte counting of RFC 3465).

use core::time::Duration;

use super::control::CongestionControl;
use super::event::{
    AckSample, CongestionEvent, CongestionKind, Cx, Output, Phase, Response, Start, UndoEvent,
};
use super::parts::{AckCredit, MAX_CWND, RenoGrowth};

// RFC 5681 §3.1: ssthresh starts arbitrarily high.
const INITIAL_SSTHRESH: u32 = u32::MAX;

/// One connection's Reno state.
#[derive(Clone, Debug)]
pub struct Reno {
    cwnd: u32,
    ssthresh: u32,
    growth: RenoGrowth,
    credit: AckCredit,
    /// cwnd and ssthresh before the episode that runs, or the last one.
    before: Option<(u32, u32)>,
}

impl Default for Reno {
    fn default() -> Self {
        Self::new()
    }
}

impl Reno {
    /// A controller before its start.
    pub const fn new() -> Self {
        Self {
            cwnd: 0,
            ssthresh: INITIAL_SSTHRESH,
            growth: RenoGrowth::new(),
            credit: AckCredit::new(),
            before: None,
        }
    }

    /// RFC 5681 §3.1, equation (4), down to `floor`.
    fn reduce(&mut self, event: &CongestionEvent, floor: u32) {
        self.ssthresh = (event.flight_before / 2).max(floor);
        self.growth.reset();
    }

    fn remember(&mut self) {
        self.before = Some((self.cwnd, self.ssthresh));
    }
}

impl CongestionControl for Reno {
    fn name(&self) -> &'static str {
        "reno"
    }

    fn start(&mut self, cx: &Cx, begin: &Start) {
        *self = Self::new();
        // A SYN's time-out says nothing about the path's capacity beyond what IW tells.
        self.cwnd = cx.initial_cwnd;
        if let Some(output) = begin.inherited {
            self.cwnd = output.cwnd.clamp(cx.smss, MAX_CWND);
            self.ssthresh = output.ssthresh;
        }
    }

    /// RFC 5681 §4.1: after an idle time above RTO the window restarts at IW at most. The threshold
    /// is RFC 7661 §4.4.3's: what was used is soon used again.
    fn on_restart(&mut self, cx: &Cx, _idle: Duration) {
        let used = u64::from(self.cwnd) * 3 / 4;
        self.ssthresh = self.ssthresh.max(u32::try_from(used).unwrap_or(u32::MAX));
        self.cwnd = self.cwnd.min(cx.initial_cwnd);
        self.growth.reset();
    }

    fn hears_sends(&self) -> bool {
        false
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        self.credit = AckCredit::new();
        match event.kind {
            // RFC 3168 §6.1.2: once for each window, and the reduction goes on.
            CongestionKind::EnterRecovery | CongestionKind::TlpRepairedLoss if event.reduced => {
                return Response::Ignore;
            }
            CongestionKind::EnterRecovery => {
                self.remember();
                self.reduce(event, 2 * cx.smss);
            }
            // RFC 5681 §4.3 asks for a second cut; as Linux, which finds lost retransmissions by RACK, none.
            CongestionKind::FurtherLossInRecovery => return Response::Ignore,
            // RFC 3168 §6.1.2: as for a loss, but down to one segment; nothing undoes it.
            CongestionKind::Ecn { .. } => {
                self.before = None;
                self.reduce(event, cx.smss);
            }
            CongestionKind::TlpRepairedLoss => {
                self.remember();
                self.reduce(event, 2 * cx.smss);
                self.cwnd = self.ssthresh;
                return Response::Direct;
            }
            CongestionKind::Rto { first, .. } => {
                // RFC 5681 §3.1: ssthresh only for the first time-out of a segment; cwnd one
                // full segment every time.
                if first {
                    if matches!(cx.phase, Phase::Open | Phase::Disorder) || self.before.is_none() {
                        self.remember();
                    }
                    if !event.reduced {
                        self.reduce(event, 2 * cx.smss);
                    }
                }
                self.cwnd = cx.smss;
                self.growth.reset();
                return Response::Direct;
            }
        }
        self.cwnd = self.ssthresh;
        Response::Prr { target: self.cwnd }
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        // RFC 7661 §4.4: what was not used does not grow. While it is reduced the window stands still.
        let reduces = matches!(cx.phase, Phase::Recovery | Phase::Reduction);
        let grows = !reduces && cx.cwnd_limited;
        let counts = sample.una_advanced || cx.reordering_seen;
        let acked = self.credit.take(sample.newly_acked, counts, grows);
        if acked > 0 && self.cwnd < MAX_CWND {
            self.cwnd = self.growth.grown(self.cwnd, self.ssthresh, acked, cx.smss);
        }
    }

    fn on_undo(&mut self, _cx: &Cx, _event: &UndoEvent) {
        if let Some((cwnd, ssthresh)) = self.before.take()
            && self.cwnd < cwnd
        {
            self.cwnd = cwnd;
            self.ssthresh = ssthresh;
        }
    }

    fn output(&self) -> Output {
        Output::window(self.cwnd, self.ssthresh)
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }

    fn inspect(&self, visit: &mut dyn FnMut(&'static str, i128)) {
        visit("cwnd", i128::from(self.cwnd));
        visit("ssthresh", i128::from(self.ssthresh));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::tcp::congestion::event::{EpisodeKind, UndoEvidence};

    const SMSS: u32 = 1000;

    fn cx(cwnd_limited: bool) -> Cx {
        Cx {
            cwnd_limited,
            ..Cx::new(Instant::ZERO, SMSS)
        }
    }

    fn started() -> Reno {
        let mut reno = Reno::new();
        reno.start(&cx(true), &Start::new(1));
        reno
    }

    fn ack(reno: &mut Reno, bytes: u32) {
        reno.on_ack(&cx(true), &AckSample::new(bytes));
    }

    fn lose(reno: &mut Reno, kind: CongestionKind, flight: u32) -> Response {
        reno.on_congestion(&cx(true), &CongestionEvent::new(kind, flight))
    }

    const fn rto(first: bool) -> CongestionKind {
        CongestionKind::Rto {
            first,
            consecutive: 1,
        }
    }

    /// Covers: CC-4, CC-5
    #[test]
    fn avoidance_adds_one_segment_a_window() {
        let mut reno = started();
        assert_eq!(
            lose(&mut reno, CongestionKind::EnterRecovery, 20_000),
            Response::Prr { target: 10_000 }
        );
        for _ in 0..9 {
            ack(&mut reno, SMSS);
        }
        assert_eq!(reno.output(), Output::window(10_000, 10_000));
        ack(&mut reno, SMSS);
        assert_eq!(reno.output().cwnd, 11_000);
    }

    /// Covers: CC-5, CC-6
    #[test]
    fn a_repeated_timeout_keeps_the_first_threshold() {
        let mut reno = started();
        lose(&mut reno, rto(true), 10_000);
        assert_eq!(reno.output(), Output::window(SMSS, 5000));
        lose(&mut reno, rto(false), 1000);
        assert_eq!(reno.output(), Output::window(SMSS, 5000));
        lose(&mut reno, CongestionKind::EnterRecovery, 1000);
        assert_eq!(reno.output().ssthresh, 2 * SMSS, "never below two segments");
        lose(&mut reno, CongestionKind::Ecn { marked_bytes: 1000 }, 1000);
        assert_eq!(reno.output().ssthresh, SMSS, "by a mark to one");
    }

    /// Covers: CC-10, CC-14
    #[test]
    fn an_unused_window_does_not_grow_and_an_idle_one_restarts() {
        let mut reno = started();
        ack(&mut reno, 8000);
        reno.on_ack(&cx(false), &AckSample::new(8000));
        assert_eq!(reno.output().cwnd, 18_000);
        lose(&mut reno, CongestionKind::EnterRecovery, 40_000);
        for _ in 0..2 {
            reno.on_restart(&cx(true), Duration::from_secs(1));
            assert_eq!(
                reno.output(),
                Output::window(10_000, 20_000),
                "however often"
            );
        }
    }

    /// m05: the threshold is of what was in flight before the ACK that told the loss.
    #[test]
    fn m05_the_threshold_is_of_the_flight_before() {
        let mut reno = started();
        let mut event = CongestionEvent::new(CongestionKind::EnterRecovery, 30_000);
        event.cwnd_before = 30_000;
        let late = Cx {
            inflight: 5000,
            ..cx(true)
        };
        reno.on_congestion(&late, &event);
        assert_eq!(reno.output().ssthresh, 15_000);
    }

    #[test]
    fn an_undo_restores_both_and_not_after_a_mark() {
        let undo = UndoEvent::new(EpisodeKind::Loss, UndoEvidence::Frto);
        let mut reno = started();
        ack(&mut reno, 10_000);
        let before = reno.output();
        lose(&mut reno, rto(true), 20_000);
        lose(&mut reno, rto(false), 1000);
        reno.on_undo(&cx(true), &undo);
        assert_eq!(reno.output(), before);
        lose(&mut reno, CongestionKind::EnterRecovery, 20_000);
        lose(&mut reno, CongestionKind::Ecn { marked_bytes: 1 }, 20_000);
        let cut = reno.output();
        reno.on_undo(&cx(true), &undo);
        assert_eq!(reno.output(), cut);
    }

    /// A time-out in fast recovery is undone to where the recovery began.
    #[test]
    fn a_timeout_in_recovery_keeps_what_was_before_it() {
        let mut reno = started();
        ack(&mut reno, 10_000);
        let before = reno.output();
        lose(&mut reno, CongestionKind::EnterRecovery, 20_000);
        let repairing = Cx {
            phase: Phase::Recovery,
            ..cx(true)
        };
        reno.on_congestion(&repairing, &CongestionEvent::new(rto(true), 5000));
        let undo = UndoEvent::new(EpisodeKind::Loss, UndoEvidence::Dsack);
        reno.on_undo(&cx(true), &undo);
        assert_eq!(reno.output(), before);
    }

    #[test]
    fn a_second_loss_in_recovery_cuts_nothing_further() {
        let mut reno = started();
        lose(&mut reno, CongestionKind::EnterRecovery, 20_000);
        let before = reno.output();
        let again = lose(&mut reno, CongestionKind::FurtherLossInRecovery, 12_000);
        assert_eq!((again, reno.output()), (Response::Ignore, before));
    }
}
