//! Reno: slow start, congestion avoidance, halving (RFC 5681, byte counting of RFC 3465).

use super::{
    AckSample, CongestionControl, CongestionEvent, CongestionKind, Cx, Output, Response, SendEvent,
};

// RFC 3465 §2.3's limit L, in segments for one ACK: RFC 9406 §4.3's value for unpaced senders,
// because an ACK of a super-segment is the rule here and not the exception.
const SLOW_START_LIMIT: u32 = 8;
// RFC 5681 §3.1: ssthresh starts arbitrarily high.
const INITIAL_SSTHRESH: u32 = u32::MAX;
// Far above any window that 30 bits can tell, so that sums never overflow.
const MAX_CWND: u32 = 1 << 30;

/// One connection's Reno state.
#[derive(Clone, Debug)]
pub(crate) struct Reno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged in congestion avoidance that have not become a segment yet.
    acked: u32,
}

impl Reno {
    pub(crate) const fn new() -> Self {
        Self {
            cwnd: 0,
            ssthresh: INITIAL_SSTHRESH,
            acked: 0,
        }
    }

    /// RFC 5681 §3.1, equation (4).
    fn reduced(flight: u32, smss: u32) -> u32 {
        (flight / 2).max(2 * smss)
    }

    fn slow_start(&mut self, cx: &Cx, newly_acked: u32) {
        self.cwnd += newly_acked.min(SLOW_START_LIMIT * cx.smss);
    }

    /// RFC 5681 §3.1: one SMSS for every window of bytes acknowledged.
    fn avoid_congestion(&mut self, cx: &Cx, newly_acked: u32) {
        self.acked = self.acked.saturating_add(newly_acked);
        if self.acked >= self.cwnd {
            self.acked -= self.cwnd;
            self.cwnd += cx.smss;
        }
    }
}

impl CongestionControl for Reno {
    fn start(&mut self, cx: &Cx) {
        // A SYN's time-out says nothing about the path's capacity beyond what IW tells.
        *self = Self {
            cwnd: cx.initial_cwnd,
            ..Self::new()
        };
    }

    /// RFC 5681 §4.1: after an idle time above RTO the window restarts at IW at most.
    fn on_send(&mut self, cx: &Cx, event: &SendEvent) {
        if event.inflight_before == 0 && event.idle > cx.rto {
            self.cwnd = self.cwnd.min(cx.initial_cwnd);
            self.acked = 0;
        }
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        self.acked = 0;
        match event.kind {
            CongestionKind::EnterRecovery => {
                self.ssthresh = Self::reduced(event.flight_before, cx.smss);
                self.cwnd = self.ssthresh;
                Response::Prr {
                    target: self.ssthresh,
                }
            }
            CongestionKind::Rto { first } => {
                // RFC 5681 §3.1: ssthresh only for the first time-out of a segment; cwnd one
                // full segment every time.
                if first {
                    self.ssthresh = Self::reduced(event.flight_before, cx.smss);
                }
                self.cwnd = cx.smss;
                Response::Direct
            }
        }
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        // RFC 7661 §4.4: what was not used does not grow. In recovery the window stands still, and
        // for the duplicate ACKs before it (RFC 3042 §2).
        let still = sample.in_recovery || !sample.una_advanced;
        if still || !cx.cwnd_limited || self.cwnd >= MAX_CWND {
            return;
        }
        if self.cwnd < self.ssthresh {
            self.slow_start(cx, sample.newly_acked);
        } else {
            self.avoid_congestion(cx, sample.newly_acked);
        }
    }

    fn output(&self) -> Output {
        Output {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
        }
    }

    fn name(&self) -> &'static str {
        "reno"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const SMSS: u32 = 1000;

    fn cx(cwnd_limited: bool) -> Cx {
        Cx {
            smss: SMSS,
            initial_cwnd: 10 * SMSS,
            rto: Duration::from_millis(200),
            cwnd_limited,
        }
    }

    fn started() -> Reno {
        let mut reno = Reno::new();
        reno.start(&cx(true));
        reno
    }

    fn ack(reno: &mut Reno, bytes: u32) {
        reno.on_ack(
            &cx(true),
            &AckSample {
                newly_acked: bytes,
                una_advanced: true,
                in_recovery: false,
            },
        );
    }

    fn lose(reno: &mut Reno, kind: CongestionKind, flight: u32) -> Response {
        reno.on_congestion(
            &cx(true),
            &CongestionEvent {
                kind,
                flight_before: flight,
            },
        )
    }

    /// Covers: CC-4
    #[test]
    fn slow_start_counts_bytes_up_to_the_limit() {
        let mut reno = started();
        ack(&mut reno, 700);
        assert_eq!(reno.output().cwnd, 10_700);
        ack(&mut reno, 64_000);
        assert_eq!(reno.output().cwnd, 18_700, "at most L segments for one ACK");
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
        assert_eq!(
            reno.output(),
            Output {
                cwnd: 10_000,
                ssthresh: 10_000
            }
        );
        ack(&mut reno, SMSS);
        assert_eq!(reno.output().cwnd, 11_000);
    }

    /// Covers: CC-5, CC-6
    #[test]
    fn a_repeated_timeout_keeps_the_first_threshold() {
        let mut reno = started();
        lose(&mut reno, CongestionKind::Rto { first: true }, 10_000);
        assert_eq!(
            reno.output(),
            Output {
                cwnd: SMSS,
                ssthresh: 5000
            }
        );
        lose(&mut reno, CongestionKind::Rto { first: false }, 1000);
        assert_eq!(
            reno.output(),
            Output {
                cwnd: SMSS,
                ssthresh: 5000
            }
        );
        lose(&mut reno, CongestionKind::EnterRecovery, 1000);
        assert_eq!(reno.output().ssthresh, 2 * SMSS, "never below two segments");
    }

    /// Covers: CC-10, CC-14
    #[test]
    fn an_unused_window_does_not_grow_and_an_idle_one_restarts() {
        let mut reno = started();
        ack(&mut reno, 8000);
        reno.on_ack(
            &cx(false),
            &AckSample {
                newly_acked: 8000,
                una_advanced: true,
                in_recovery: false,
            },
        );
        assert_eq!(reno.output().cwnd, 18_000);
        let idle = |millis| SendEvent {
            inflight_before: 0,
            idle: Duration::from_millis(millis),
        };
        reno.on_send(&cx(true), &idle(200));
        assert_eq!(reno.output().cwnd, 18_000);
        reno.on_send(&cx(true), &idle(201));
        assert_eq!(reno.output().cwnd, 10_000);
    }
}
