//! How far ACKs come in clumps: bytes acknowledged beyond what the estimated rate explains
//! (draft-ietf-ccwg-bbr, "BBR.extra_acked").
//!
//! *Owns* the interval that is being measured, and the greatest excess of the last rounds.

use core::time::Duration;

use crate::base::Instant;
use crate::tcp::congestion::parts::WindowedMax;

/// The aggregation of one connection's ACKs.
#[derive(Clone, Debug)]
pub(super) struct Aggregation {
    since: Instant,
    acked: u64,
    most: WindowedMax,
}

impl Aggregation {
    /// Over so many rounds.
    pub(super) fn new(rounds: u64) -> Self {
        Self {
            since: Instant::ZERO,
            acked: 0,
            most: WindowedMax::new(rounds),
        }
    }

    /// From `round` on, the greatest excess of so many rounds counts, with what is known.
    pub(super) fn set_rounds(&mut self, round: u64, rounds: u64) {
        let known = self.most.get();
        self.most = WindowedMax::new(rounds);
        self.most.update(round, known);
    }

    /// The sender was idle: what comes is explained by a new interval.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = now;
        self.acked = 0;
    }

    /// An ACK of `newly_acked` bytes in `round`, with the rate as estimated and the window.
    pub(super) fn on_ack(
        &mut self,
        now: Instant,
        round: u64,
        newly_acked: u32,
        rate: u64,
        cwnd: u32,
    ) {
        let mut expected = super::product(rate, now.since(self.since), super::UNIT);
        if self.acked <= expected {
            self.restart(now);
            expected = 0;
        }
        self.acked += u64::from(newly_acked);
        let extra = self.acked.saturating_sub(expected).min(u64::from(cwnd));
        self.most.update(round, extra);
    }

    /// The greatest excess, and no more than `limit` of the rate.
    pub(super) fn extra(&self, rate: u64, limit: Option<Duration>) -> u64 {
        let most = limit.map_or(u64::MAX, |time| super::product(rate, time, super::UNIT));
        self.most.get().min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clumps_are_measured_and_a_steady_stream_is_none() {
        let mut steady = Aggregation::new(10);
        let mut clumped = Aggregation::new(10);
        for tick in 1..=1000 {
            let now = Instant::from_millis(tick);
            steady.on_ack(now, tick / 100, 1000, 1_000_000, 100_000);
            if tick % 20 == 0 {
                clumped.on_ack(now, tick / 100, 20_000, 1_000_000, 100_000);
            }
        }
        assert!(steady.extra(1_000_000, None) <= 2000);
        let extra = clumped.extra(1_000_000, None);
        assert!((19_000..=21_000).contains(&extra), "{extra}");
        let limit = Some(Duration::from_millis(10));
        assert_eq!(clumped.extra(1_000_000, limit), 10_000);
    }

    #[test]
    fn the_window_bounds_it() {
        let mut clumped = Aggregation::new(10);
        clumped.on_ack(Instant::from_millis(1), 0, 50_000, 1, 8000);
        assert_eq!(clumped.extra(1, None), 8000);
    }

    /// Startup's end counts more rounds: what was known by then goes on to be known, for so many.
    #[test]
    fn a_longer_memory_begins_with_what_is_known() {
        let mut clumps = Aggregation::new(1);
        clumps.on_ack(Instant::from_millis(1), 5, 30_000, 1, 100_000);
        clumps.set_rounds(6, 10);
        assert_eq!(clumps.extra(u64::MAX, None), 30_000);
        for round in 7..=30 {
            let known = clumps.extra(u64::MAX, None);
            assert_eq!(known == 30_000, round <= 17, "{known} before round {round}");
            clumps.restart(Instant::from_millis(round));
            clumps.on_ack(Instant::from_millis(round), round, 100, 1, 100_000);
        }
    }
}
