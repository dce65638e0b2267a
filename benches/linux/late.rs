//! How late the bridge was: its own error, which bounds what a run is worth.

use std::time::Duration;

/// Counts in steps of 10 us; the last one holds all that is later.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    steps: Vec<u64>,
    count: u64,
}

const STEP_NANOS: u64 = 10_000;
const STEPS: usize = 2000;

impl Late {
    pub(crate) fn new() -> Self {
        Self {
            steps: vec![0; STEPS],
            count: 0,
        }
    }

    pub(crate) fn add(&mut self, late: Duration) {
        let step = late.as_nanos() / u128::from(STEP_NANOS);
        let step = usize::try_from(step).unwrap_or(STEPS).min(STEPS - 1);
        self.steps[step] += 1;
        self.count += 1;
    }

    /// So many of a hundred were not later than this, to the next 10 us.
    pub(crate) fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        for (step, count) in (1..).zip(&self.steps) {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(step * STEP_NANOS);
            }
        }
        Duration::ZERO
    }
}
