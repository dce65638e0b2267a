//! BBRv1's detector of token-bucket policers ("long-term bandwidth" in Linux's `tcp_bbr.c`).
//!
//! *Owns* the two intervals that are compared. *Does not* pace: it answers with the rate to hold.
//! A policer lets a burst pass and then drops what exceeds its rate: two intervals in a row with heavy
//! loss and the same rate are taken for one.

use crate::base::Instant;

// Linux: lt_intvl_min_rtts, four times that at most, lt_loss_thresh of 256, lt_bw_ratio of 1/8,
// lt_bw_diff of 4 kbit/s, lt_bw_max_rtts.
const MIN_ROUNDS: u32 = 4;
const MOST_ROUNDS: u32 = 4 * MIN_ROUNDS;
const LOSS_THRESH: (u64, u64) = (50, 256);
const SAME_RATE_DIVISOR: u64 = 8;
const SAME_RATE_BYTES: u64 = 500;
const HELD_ROUNDS: u32 = 48;
const MIN_INTERVAL_NANOS: u64 = 1_000_000;

/// What an ACK, or a time-out, tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    pub(super) now: Instant,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    /// Was something newly lost?
    pub(super) losses: bool,
    pub(super) app_limited: bool,
    pub(super) round_start: bool,
    /// Is the controller in ProbeBW, where the time that a rate is held counts?
    pub(super) probes_bandwidth: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Nothing,
    /// The held rate is given up: probe from the start of a cycle.
    ProbeAgain,
}

/// The detector.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Policer {
    sampling: bool,
    held: bool,
    rounds: u32,
    /// The rate of the interval before, or the one held; 0: none.
    rate: u64,
    from: Instant,
    from_delivered: u64,
    from_lost: u64,
}

impl Policer {
    /// The rate to hold, in bytes per second.
    pub(super) fn held(&self) -> Option<u64> {
        self.held.then_some(self.rate)
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn observe(&mut self, seen: &Observed) -> Verdict {
        if self.held {
            self.rounds += u32::from(seen.probes_bandwidth && seen.round_start);
            if self.rounds < HELD_ROUNDS {
                return Verdict::Nothing;
            }
            self.reset();
            return Verdict::ProbeAgain;
        }
        if !self.sampling {
            if !seen.losses {
                return Verdict::Nothing;
            }
            // It starts with a loss, and so do the intervals: the tokens are used up.
            self.begin(seen);
            self.sampling = true;
        }
        if seen.app_limited {
            self.reset();
            return Verdict::Nothing;
        }
        self.rounds += u32::from(seen.round_start);
        if self.rounds > MOST_ROUNDS {
            self.reset();
        } else if self.rounds >= MIN_ROUNDS && seen.losses {
            self.end_interval(seen);
        }
        Verdict::Nothing
    }

    fn begin(&mut self, seen: &Observed) {
        self.from = seen.now;
        self.from_delivered = seen.delivered;
        self.from_lost = seen.lost;
        self.rounds = 0;
    }

    fn end_interval(&mut self, seen: &Observed) {
        let delivered = seen.delivered - self.from_delivered;
        let lost = seen.lost - self.from_lost;
        let (num, den) = LOSS_THRESH;
        if delivered == 0 || lost.saturating_mul(den) < delivered.saturating_mul(num) {
            return;
        }
        let nanos = seen.now.as_nanos().saturating_sub(self.from.as_nanos());
        if nanos < MIN_INTERVAL_NANOS {
            return;
        }
        let rate = u128::from(delivered) * super::NANOS_PER_SEC / u128::from(nanos);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
        let diff = rate.abs_diff(self.rate);
        let same = diff.saturating_mul(SAME_RATE_DIVISOR) <= self.rate || diff <= SAME_RATE_BYTES;
        if self.rate > 0 && same {
            self.rate = self.rate.midpoint(rate);
            self.held = true;
            self.rounds = 0;
            return;
        }
        self.rate = rate;
        self.begin(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of 10 ms that deliver and lose so much each.
    fn run(
        policer: &mut Policer,
        from: u64,
        rounds: u64,
        delivered: u64,
        lost: u64,
    ) -> Vec<Verdict> {
        (from..from + rounds)
            .map(|round| {
                policer.observe(&Observed {
                    now: Instant::from_millis(1000 + 10 * round),
                    delivered: round * delivered,
                    lost: round * lost,
                    losses: lost > 0,
                    app_limited: false,
                    round_start: true,
                    probes_bandwidth: true,
                })
            })
            .collect()
    }

    #[test]
    fn two_intervals_of_heavy_loss_at_one_rate_are_a_policer() {
        let mut policer = Policer::default();
        run(&mut policer, 0, 5, 10_000, 5000);
        assert_eq!(policer.held(), None, "one interval says nothing");
        run(&mut policer, 5, 3, 10_000, 5000);
        assert_eq!(policer.held(), Some(1_000_000));
        let verdicts = run(&mut policer, 8, 48, 10_000, 0);
        assert_eq!(verdicts[46], Verdict::Nothing);
        assert_eq!(verdicts[47], Verdict::ProbeAgain, "held for 48 rounds");
        assert_eq!(policer.held(), None);
    }

    #[test]
    fn light_loss_or_a_rate_that_changes_is_none() {
        let mut policer = Policer::default();
        run(&mut policer, 0, 15, 10_000, 1000);
        assert_eq!(policer.held(), None, "loss of 10 %");
        let mut policer = Policer::default();
        run(&mut policer, 0, 5, 10_000, 5000);
        let begun = Observed {
            now: Instant::from_millis(1090),
            delivered: 120_000,
            lost: 90_000,
            losses: true,
            app_limited: false,
            round_start: true,
            probes_bandwidth: true,
        };
        for _ in 0..4 {
            policer.observe(&begun);
        }
        assert_eq!(policer.held(), None, "1.6 MB/s after 1 MB/s");
    }

    #[test]
    fn an_application_that_pauses_is_no_policer() {
        let mut policer = Policer::default();
        run(&mut policer, 0, 5, 10_000, 5000);
        policer.observe(&Observed {
            now: Instant::from_millis(2000),
            delivered: 60_000,
            lost: 30_000,
            losses: false,
            app_limited: true,
            round_start: false,
            probes_bandwidth: true,
        });
        run(&mut policer, 6, 4, 10_000, 5000);
        assert_eq!(policer.held(), None, "it starts again");
    }
}
