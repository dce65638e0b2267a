//! Extremes over a sliding window, in constant space.
//!
//! *Owns* the three-sample filter of K. Nichols (as in Linux's `lib/win_minmax.c`) and the two-slot
//! one of draft-ietf-ccwg-bbr. *Does not* know what its times are: rounds, nanoseconds, anything that
//! only grows.

/// A value and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Sample {
    at: u64,
    value: u64,
}

/// The greatest value of the last `window` units of time, from the three best samples.
///
/// A sample counts up to and including `at + window`. Between the samples kept the answer may be too
/// small, never too great; a rise is seen at once, and a fall within one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowedMax {
    window: u64,
    /// Best, second and third best, each later than the one before it; none before the first sample.
    best: Option<[Sample; 3]>,
}

impl WindowedMax {
    /// A filter without samples over `window` units of time.
    pub const fn new(window: u64) -> Self {
        Self { window, best: None }
    }

    /// The greatest value, or 0 before the first sample.
    pub fn get(&self) -> u64 {
        self.best.map_or(0, |best| best[0].value)
    }

    /// Forgets all samples.
    pub fn reset(&mut self) {
        self.best = None;
    }

    /// Takes in a sample of time `at`, not before the one before it; returns the greatest value.
    pub fn update(&mut self, at: u64, value: u64) -> u64 {
        let new = Sample { at, value };
        let Some(mut best) = self.best else {
            self.best = Some([new; 3]);
            return value;
        };
        if value >= best[0].value || at.saturating_sub(best[2].at) > self.window {
            // A new best, or nothing else left in the window.
            self.best = Some([new; 3]);
            return value;
        }
        if value >= best[1].value {
            best[1] = new;
            best[2] = new;
        } else if value >= best[2].value {
            best[2] = new;
        }
        self.best = Some(self.aged(best, new));
        self.get()
    }

    /// Lets go of what is too old, and of a runner-up that came too soon after the best.
    fn aged(&self, [first, second, third]: [Sample; 3], new: Sample) -> [Sample; 3] {
        let age = new.at.saturating_sub(first.at);
        if age > self.window {
            return if new.at.saturating_sub(second.at) > self.window {
                [third, new, new]
            } else {
                [second, third, new]
            };
        }
        if second.at == first.at && age > self.window / 4 {
            // A quarter of the window passed without a second best: this is one.
            return [first, new, new];
        }
        if third.at == second.at && age > self.window / 2 {
            return [first, second, new];
        }
        [first, second, third]
    }
}

/// The least value of the last `window` units of time: [`WindowedMax`] the other way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowedMin(WindowedMax);

impl WindowedMin {
    /// A filter without samples over `window` units of time.
    pub const fn new(window: u64) -> Self {
        Self(WindowedMax::new(window))
    }

    /// The least value, or `u64::MAX` before the first sample.
    pub fn get(&self) -> u64 {
        !self.0.get()
    }

    /// Forgets all samples.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// Takes in a sample of time `at`, not before the one before it; returns the least value.
    #[inline]
    pub fn update(&mut self, at: u64, value: u64) -> u64 {
        !self.0.update(at, !value)
    }
}

/// The greatest value of this period and the one before it; the owner says when a period ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TwoSlotMax {
    before: u64,
    now: u64,
}

impl TwoSlotMax {
    /// The greatest value of both periods, or 0 before the first sample.
    pub fn get(&self) -> u64 {
        self.before.max(self.now)
    }

    /// Takes in a sample of this period; returns the greatest value.
    pub fn update(&mut self, value: u64) -> u64 {
        self.now = self.now.max(value);
        self.get()
    }

    /// A period ends. One without samples does not count: the estimate would fall to nothing.
    pub fn advance(&mut self) {
        if self.now > 0 {
            self.before = self.now;
            self.now = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rise_is_seen_at_once_and_a_fall_within_a_window() {
        let mut max = WindowedMax::new(10);
        assert_eq!(max.get(), 0);
        assert_eq!(max.update(0, 100), 100);
        assert_eq!(max.update(1, 120), 120);
        // The values below it are remembered, so that the fall is not to the latest one only.
        for at in 2..=11 {
            assert_eq!(max.update(at, 110 - at), 120, "at {at}");
        }
        let after = max.update(12, 50);
        assert!((50..120).contains(&after), "the old best is gone: {after}");
        assert_eq!(max.update(40, 3), 3, "nothing else is left");
    }

    /// m21: a filter fed only with what exceeds it never falls. This one is fed with everything.
    #[test]
    fn m21_a_rate_that_fell_is_learned() {
        let mut max = WindowedMax::new(10);
        max.update(0, 1_000_000);
        let mut seen = 0;
        for at in 1..=11 {
            seen = max.update(at, 1000);
        }
        assert_eq!(seen, 1000);
    }

    #[test]
    fn the_least_is_the_greatest_turned_over() {
        let mut min = WindowedMin::new(10);
        assert_eq!(min.get(), u64::MAX);
        assert_eq!(min.update(0, 40), 40);
        assert_eq!(min.update(1, 30), 30);
        assert_eq!(min.update(2, 50), 30);
        assert_eq!(min.update(30, 45), 45);
    }

    #[test]
    fn two_periods_and_no_more_are_remembered() {
        let mut max = TwoSlotMax::default();
        max.update(10);
        max.advance();
        assert_eq!(max.update(7), 10);
        max.advance();
        assert_eq!(max.get(), 7, "the first period is over");
        max.advance();
        assert_eq!(max.get(), 7, "a period without samples does not count");
    }

    proptest! {
        /// Never above the true extreme, never older than the window, and exact for what just came.
        #[test]
        fn the_filter_answers_with_a_sample_of_its_window(
            steps in proptest::collection::vec((0u64..6, 0u64..1000), 1..200)
        ) {
            let mut max = WindowedMax::new(20);
            let mut seen: Vec<(u64, u64)> = Vec::new();
            let mut at = 0;
            for (step, value) in steps {
                at += step;
                seen.push((at, value));
                let got = max.update(at, value);
                let window: Vec<u64> = seen.iter().filter(|s| at - s.0 <= 20).map(|s| s.1).collect();
                prop_assert!(window.contains(&got));
                prop_assert!(got >= value);
            }
        }
    }
}
