//! Reno in the long run: its window and rate under loss, what it leaves of a link with a short queue.
//!
//! RFC 5681 §3.1 (congestion avoidance); RFC 3649 §1 (window over loss rate); J. Padhye et al., "Modeling
//! TCP Throughput", 1998; M. Mathis et al., "The Macroscopic Behavior of the TCP Congestion Avoidance
//! Algorithm", 1997. *Owns* R1 to R3.

use core::fmt;
use core::time::Duration;

use super::ends::{Control, Ends};
use super::long::{MeanWindow, Utilisation};
use super::path::{Flow, Harm, Path};
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::sim::error::SimError;

const FAR: Path = Path::new(None, 100, None);
const ENDS: Ends = Ends::of(Control::Reno).roomy();

pub(super) const ALL: &[Scenario] = &[
    mean("R1-1e-2", &periodic(100, 12_000, 200)),
    mean("R1-1e-3", &periodic(1000, 38_000, 400)),
    mean("R1-1e-4", &periodic(10_000, 120_000, 600)),
    random("R1b-1e-2", &independent(10_000, 12_000, 10_000)),
    random("R1b-1e-3", &independent(1000, 38_000, 2500)),
    random("R1b-1e-4", &independent(100, 120_000, 3000)),
    rate("R2-0.01", &SendRate::of(10_000, 115, 122)),
    rate("R2-0.03", &SendRate::of(30_000, 58, 71)),
    rate("R2-0.05", &SendRate::of(50_000, 40, 55)),
    rate("R2-0.1", &SendRate::of(100_000, 20, 39)),
    share("R3-0", &Utilisation::of(Control::Reno, 0, 750)),
    share("R3-0.1", &Utilisation::of(Control::Reno, 10, 820)),
    share("R3-0.25", &Utilisation::of(Control::Reno, 25, 890)),
    share("R3-0.5", &Utilisation::of(Control::Reno, 50, 960)),
    share("R3-1", &Utilisation::of(Control::Reno, 100, 1000)),
];

const fn mean(id: &'static str, experiment: &'static MeanWindow) -> Scenario {
    Scenario {
        id,
        title: "Reno's mean window under periodic loss",
        kind: Kind::Published,
        seeds: 1,
        short: false,
        experiment,
    }
}

const fn random(id: &'static str, experiment: &'static MeanWindow) -> Scenario {
    Scenario {
        id,
        title: "Reno's mean window under independent loss",
        kind: Kind::Derived,
        seeds: 5,
        short: false,
        experiment,
    }
}

const fn rate(id: &'static str, experiment: &'static SendRate) -> Scenario {
    Scenario {
        id,
        title: "Reno's rate lies between Padhye's and Mathis's",
        kind: Kind::Derived,
        seeds: 5,
        short: false,
        experiment,
    }
}

const fn share(id: &'static str, experiment: &'static Utilisation) -> Scenario {
    Scenario {
        id,
        title: "what Reno uses of a link with a short queue",
        kind: Kind::Derived,
        seeds: 1,
        short: false,
        experiment,
    }
}

/// Ten percent around what RFC 3649 §1 has.
const fn periodic(nth: u64, mean: u64, length: u64) -> MeanWindow {
    MeanWindow {
        path: FAR.harm(Harm::LossEvery(nth)),
        control: Control::Reno,
        warm_up: 100,
        length,
        least: mean * 90 / 100,
        most: mean * 110 / 100,
    }
}

/// Irregular losses come to no less than periodic ones, and to an eighth more at most. A run is so long that chance
/// moves its mean by a small part of that: in 1000 s with a loss in a hundred it is 1.5 %, and the mean lies 1.5 % above
/// the least.
const fn independent(millionths: u32, mean: u64, length: u64) -> MeanWindow {
    MeanWindow {
        path: FAR.harm(Harm::Loss(millionths)),
        control: Control::Reno,
        warm_up: 100,
        length,
        least: mean,
        most: mean * 112 / 100,
    }
}

/// Segments that leave each second, those that are sent again too.
#[derive(Debug)]
struct SendRate {
    path: Path,
    /// Thousandths of a segment each second.
    least: u64,
    most: u64,
}

const WARM_UP: Duration = Duration::from_secs(60);
const LENGTH: Duration = Duration::from_secs(1200);

impl SendRate {
    /// Between what Padhye's formula has with a time-out of 300 ms, and a tenth above Mathis's; both in
    /// segments each second.
    const fn of(millionths: u32, padhye: u64, mathis: u64) -> Self {
        Self {
            path: FAR.harm(Harm::Loss(millionths)),
            least: padhye * 1000,
            most: mathis * 1100,
        }
    }
}

impl fmt::Display for SendRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; {}, time-out 200 ms above the round trip; over {} s after {} s, {} to {} sent",
            self.path,
            ENDS,
            LENGTH.as_secs(),
            WARM_UP.as_secs(),
            Unit::MilliSegmentsPerSec.of(self.least),
            Unit::MilliSegmentsPerSec.of(self.most),
        )
    }
}

impl Experiment for SendRate {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut flow = Flow::new(run, &self.path, ENDS)?;
        let sent = |flow: &Flow| {
            let info = flow.info();
            info.map_or(0, |info| info.bytes_acked + info.bytes_retransmitted)
        };
        flow.pair.network.run_for(WARM_UP)?;
        let before = sent(&flow);
        flow.pair.network.run_for(LENGTH)?;
        let bytes = sent(&flow) - before;
        let rate = bytes * 1000 / self.path.smss() / LENGTH.as_secs();
        let expected = self.least..=self.most;
        run.expect("rate", rate, Unit::MilliSegmentsPerSec, expected);
        run.watched(&mut flow.pair.network);
        Ok(())
    }
}
