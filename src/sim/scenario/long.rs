//! What one flow comes to in the long run: its mean window, its share of a link.
//!
//! *Owns* how both are measured. *Does not* know what they should be.

use core::fmt;
use core::time::Duration;

use super::Experiment;
use super::ends::{Control, Ends};
use super::path::{Flow, Path};
use super::run::Run;
use super::unit::Unit;
use crate::sim::error::SimError;

/// The mean over time of the congestion window.
#[derive(Debug)]
pub(super) struct MeanWindow {
    pub(super) path: Path,
    pub(super) control: Control,
    /// Seconds until it is measured, and for how long it is.
    pub(super) warm_up: u64,
    pub(super) length: u64,
    /// Thousandths of a segment.
    pub(super) least: u64,
    pub(super) most: u64,
}

impl MeanWindow {
    fn ends(&self) -> Ends {
        Ends::of(self.control).roomy()
    }
}

impl fmt::Display for MeanWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; {}; mean window over {} s after {} s {} to {}",
            self.path,
            self.ends(),
            self.length,
            self.warm_up,
            Unit::MilliSegments.of(self.least),
            Unit::MilliSegments.of(self.most),
        )
    }
}

/// Looks in each round trip.
const GLANCES: u32 = 10;

impl Experiment for MeanWindow {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut flow = Flow::new(run, &self.path, self.ends())?;
        flow.pair
            .network
            .run_for(Duration::from_secs(self.warm_up))?;
        let end = flow.pair.network.now() + Duration::from_secs(self.length);
        let (mut sum, mut glances) = (0, 0);
        while flow.pair.network.now() < end {
            flow.pair.network.run_for(self.path.rtt() / GLANCES)?;
            sum += flow.info().map_or(0, |info| u64::from(info.cwnd));
            glances += 1;
        }
        let mean = sum * 1000 / glances / self.path.smss();
        let expected = self.least..=self.most;
        run.expect("mean window", mean, Unit::MilliSegments, expected);
        run.watched(&mut flow.pair.network);
        Ok(())
    }
}

/// The share of a link that carries data in the steady state.
#[derive(Debug)]
pub(super) struct Utilisation {
    path: Path,
    control: Control,
    /// Thousandths, give or take thirty.
    expected: u64,
}

const SLACK: u64 = 30;
const SETTLED: Duration = Duration::from_secs(60);
const MEASURED: Duration = Duration::from_secs(120);
/// What one ACK lets go at once. Of a flow that is not paced nothing but the first frame of each ACK passes
/// a queue that holds nothing, and it never leaves its time-outs: with no queue at all Reno uses
/// 0.4 % of the line. The formulae leave bursts out; a queue for one burst, and a sender that makes no
/// super-segments of eight frames (with them Reno uses 30 % with such a queue), do so too.
const BURST: usize = 3 * 1514;

impl Utilisation {
    /// With a queue of so many hundredths of what the link holds in a round trip, and of one burst at least.
    pub(super) const fn of(control: Control, queue_percent: usize, expected: u64) -> Self {
        // 50 Mbit/s and 40 ms are 250,000 bytes.
        let queue = 2500 * queue_percent;
        let queue = if queue < BURST { BURST } else { queue };
        Self {
            path: Path::new(Some(50_000_000), 40, Some(queue)).frames_only(),
            control,
            expected,
        }
    }

    fn ends(&self) -> Ends {
        Ends::of(self.control).roomy()
    }

    /// What is expected, in millionths.
    fn between(&self) -> (u64, u64) {
        let (least, most) = (self.expected - SLACK, self.expected + SLACK);
        (least * 1000, most * 1000)
    }
}

impl fmt::Display for Utilisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; {}; over {} s after {} s, {} of the line used, give or take {}",
            self.path,
            self.ends(),
            MEASURED.as_secs(),
            SETTLED.as_secs(),
            Unit::Millionths.of(self.expected * 1000),
            Unit::Millionths.of(SLACK * 1000),
        )
    }
}

impl Experiment for Utilisation {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut flow = Flow::new(run, &self.path, self.ends())?;
        flow.pair.network.run_for(SETTLED)?;
        let before = flow.received();
        flow.pair.network.run_for(MEASURED)?;
        let text = (flow.received() - before) * 8 / MEASURED.as_secs();
        let (least, most) = self.between();
        let used = self.path.used(text);
        run.expect("utilisation", used, Unit::Millionths, least..=most);
        run.watched(&mut flow.pair.network);
        Ok(())
    }
}
