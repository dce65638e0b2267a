//! How CUBIC leaves its first slow start: HyStart++ (RFC 9406).
//!
//! A round's shortest time is told a round trip after the segments met the queue. Until then the next flight
//! is on its way, twice as large: from an eighth above what the link holds to more than twice that. A queue of
//! what the link holds in a round trip overflows then, whatever Conservative Slow Start does: some loss in the
//! first seconds is left, and how much less than slow start's is what can be held.
//!
//! *Owns* H1, H2.

use core::fmt;
use core::time::Duration;

use super::course::{Course, Sender};
use super::ends::Control;
use super::path::Path;
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::sim::error::SimError;

/// With a queue of what the link holds in a round trip.
const LINK: Path = Path::new(Some(100_000_000), 100, Some(1_250_000));

pub(super) const ALL: &[Scenario] = &[
    scenario(
        "H1",
        "HyStart++ leaves slow start",
        &Leaves {
            path: LINK,
            most_ns: 16_000_000,
            most_lost_percent: 50,
        },
    ),
    scenario(
        "H2",
        "HyStart++ leaves slow start when an ACK stands for forty segments, as merging receivers send them",
        &Leaves {
            path: LINK.one_ack_per(5),
            most_ns: LATEST_NS,
            most_lost_percent: 100,
        },
    ),
];

const fn scenario(id: &'static str, title: &'static str, experiment: &'static Leaves) -> Scenario {
    Scenario {
        id,
        title,
        kind: Kind::Derived,
        seeds: 1,
        short: true,
        experiment,
    }
}

/// A flow of CUBIC, and one of Reno, that knows no HyStart++, over the same path.
#[derive(Debug)]
struct Leaves {
    path: Path,
    /// The most that waits when Conservative Slow Start begins.
    most_ns: u64,
    /// Of what slow start loses.
    most_lost_percent: u64,
}

/// RFC 9406 §4.3: an eighth of 100 ms.
const THRESHOLD_NS: u64 = 12_500_000;
/// The round before was below the threshold, and each is twice the one before it: 1.125 windows twice, less
/// what the link holds.
const LATEST_NS: u64 = 125_000_000;
const LOST_BY_MS: u64 = 2000;
const USED_FROM_MS: u64 = 5000;
const USED_TO_MS: u64 = 6000;
const LEAST_USED: u64 = 900_000;

impl fmt::Display for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; one CUBIC flow, and one Reno flow by itself; Conservative Slow Start begins at a queue of {} to {}; in \
             the first {} s at most {} % of Reno's losses; in second {} at least {} of the line used",
            self.path,
            Unit::Nanos.of(THRESHOLD_NS),
            Unit::Nanos.of(self.most_ns),
            LOST_BY_MS / 1000,
            self.most_lost_percent,
            USED_TO_MS / 1000,
            Unit::Millionths.of(LEAST_USED),
        )
    }
}

impl Leaves {
    fn course(&self, run: &mut Run, control: Control) -> Result<Course, SimError> {
        let seed = run.seed();
        let name = control.to_string();
        Course::new(run, &name, seed, &self.path, &[Sender::of(control)])
    }
}

impl Experiment for Leaves {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut reno = self.course(run, Control::Reno)?;
        reno.run_until_ms(LOST_BY_MS)?;
        let (_, all) = reno.frames();
        reno.end(run);
        let mut course = self.course(run, Control::Cubic)?;
        let mut found = None;
        course.look_until_ms(LOST_BY_MS, 1, |course| {
            found = found.or_else(|| course.value(0, "css_baseline_ns"));
        })?;
        let (_, lost) = course.frames();
        let rtt = u64::try_from(self.path.rtt().as_nanos()).unwrap_or(u64::MAX);
        // It never began: no queue is the expected one.
        let queue = found.map_or(0, |baseline| baseline.saturating_sub(rtt));
        run.expect("queue", queue, Unit::Nanos, THRESHOLD_NS..=self.most_ns);
        let share = (lost * 1_000_000).checked_div(all).unwrap_or(u64::MAX);
        let most = self.most_lost_percent * 10_000;
        run.expect("losses over Reno's", share, Unit::Millionths, 0..=most);
        course.run_until_ms(USED_FROM_MS)?;
        let before = course.received()[0];
        course.run_until_ms(USED_TO_MS)?;
        let length = Duration::from_millis(USED_TO_MS - USED_FROM_MS).as_secs();
        let used = self.path.used((course.received()[0] - before) * 8 / length);
        run.expect("utilisation", used, Unit::Millionths, LEAST_USED..=u64::MAX);
        course.end(run);
        Ok(())
    }
}
