//! How long transmissions take on a line whose rate changes in steps.
//!
//! *Owns* the arithmetic. Work is counted in bits times 10^9, of which a line of r bit/s does r in a
//! nanosecond. Invariant: what is cut off a nanosecond is carried into the next transmission, so that
//! a thousand frames in a row end when one of their length would.

use crate::base::Instant;

/// The rate of a line over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    /// In bits per second until the first step; frames take no time without one.
    pub(super) first: Option<u64>,
    /// Sorted: from when on, and bits per second.
    steps: Vec<(Instant, u64)>,
}

/// When a transmission ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: Instant,
    /// Work that is left at that nanosecond: less than the next one does.
    pub(super) left: u128,
}

/// The work of transmitting so many bytes.
pub(super) fn work(bytes: usize) -> u128 {
    u128::try_from(bytes).unwrap_or(u128::MAX / 8_000_000_000) * 8_000_000_000
}

impl Rate {
    /// From `at` on it is `bits_per_sec`.
    pub(super) fn step(&mut self, at: Instant, bits_per_sec: u64) {
        self.steps.retain(|step| step.0 != at);
        let place = self.steps.partition_point(|step| step.0 < at);
        self.steps.insert(place, (at, bits_per_sec));
    }

    /// The rate at a time, and until when it holds.
    fn at(&self, at: Instant) -> (Option<u64>, Instant) {
        if self.steps.is_empty() {
            return (self.first, Instant::FAR_FUTURE);
        }
        let next = self.steps.partition_point(|step| step.0 <= at);
        let rate = match next.checked_sub(1).and_then(|last| self.steps.get(last)) {
            Some(&(_, rate)) => Some(rate),
            None => self.first,
        };
        let until = self
            .steps
            .get(next)
            .map_or(Instant::FAR_FUTURE, |step| step.0);
        (rate, until)
    }

    /// Do frames take no time now?
    pub(super) fn is_unlimited(&self, at: Instant) -> bool {
        self.at(at).0.is_none()
    }

    /// When `work` that begins at `from` ends.
    pub(super) fn end(&self, from: Instant, work: u128) -> End {
        let (mut at, mut work) = (from, work);
        loop {
            let (rate, until) = self.at(at);
            let Some(rate) = rate.map(u128::from) else {
                return End { at, left: 0 };
            };
            let span = u128::from(until.as_nanos().saturating_sub(at.as_nanos()));
            let last = until == Instant::FAR_FUTURE;
            if !last && work > rate * span {
                work -= rate * span;
                at = until;
                continue;
            }
            if work == 0 {
                return End { at, left: 0 };
            }
            let takes = work.checked_div(rate).map(u64::try_from);
            let Some(Ok(takes)) = takes else {
                return End {
                    at: Instant::FAR_FUTURE,
                    left: 0,
                };
            };
            let at = Instant::from_nanos(at.as_nanos().saturating_add(takes));
            return End {
                at,
                left: work % rate,
            };
        }
    }

    /// The work that is done between two times, `most` at most.
    pub(super) fn done(&self, from: Instant, to: Instant, most: u128) -> u128 {
        let (mut at, mut done) = (from, 0);
        while at < to && done < most {
            let (rate, until) = self.at(at);
            let Some(rate) = rate else {
                return most;
            };
            let until = until.min(to);
            done += u128::from(rate) * u128::from(until.as_nanos() - at.as_nanos());
            at = until;
        }
        done.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn a_constant_rate_is_kept_to_the_nanosecond_over_time() {
        // 1514 bytes at 100 Mbit/s take 121,120 ns; at 3 bit per 10 ns they take 40,373.33.
        let rate = Rate {
            first: Some(300_000_000),
            steps: Vec::new(),
        };
        let mut end = End { at: ns(7), left: 0 };
        for _ in 0..1000 {
            end = rate.end(end.at, work(1514) + end.left);
        }
        assert_eq!(end.at, ns(7 + 40_373_333), "and one third");
        assert_eq!(rate.end(ns(7), work(1514)).at, ns(7 + 40_373));
    }

    #[test]
    fn steps_and_stops_are_crossed_in_the_middle_of_a_frame() {
        let mut rate = Rate {
            first: Some(8_000_000_000),
            steps: Vec::new(),
        };
        rate.step(ns(100), 4_000_000_000);
        rate.step(ns(200), 0);
        rate.step(ns(500), 8_000_000_000);
        // A byte a nanosecond, then half a one, then none, then one again.
        let cases = [
            (0, 100, 100),
            (0, 101, 102),
            (50, 100, 200),
            (50, 101, 501),
            (300, 5, 505),
        ];
        for (from, bytes, end) in cases {
            assert_eq!(rate.end(ns(from), work(bytes)).at, ns(end));
            let most = work(bytes);
            assert_eq!(rate.done(ns(from), ns(600), most), most);
        }
        assert_eq!(rate.done(ns(50), ns(102), u128::MAX), work(51));
        assert_eq!(
            Rate {
                first: Some(0),
                steps: Vec::new()
            }
            .end(ns(1), 1)
            .at,
            Instant::FAR_FUTURE
        );
        assert_eq!(
            Rate::default().end(ns(1), work(1 << 40)),
            End { at: ns(1), left: 0 }
        );
        assert_eq!(Rate::default().done(ns(1), ns(2), 5), 5);
    }

    #[test]
    fn a_late_step_replaces_one_at_the_same_time() {
        let mut rate = Rate::default();
        rate.step(ns(9), 1);
        rate.step(ns(9), 8_000_000_000);
        assert!(rate.is_unlimited(ns(8)) && !rate.is_unlimited(ns(9)));
        assert_eq!(rate.end(ns(9), work(3)).at, ns(12));
    }
}
