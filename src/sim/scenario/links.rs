//! One flow over one link that is good, or bad in one way.
//!
//! *Owns* the link of 100 Mbit/s and 20 ms with a queue of 250 kB that the others vary. Most are held to
//! what Linux's CUBIC comes to over such a link (measured over a userspace wire, 2026-11). Where losses decide,
//! it is Reno's own formula: 1.22 segments over the root of the loss rate in each round trip (M. Mathis
//! et al., 1997). CUBIC has a third more there, and losses are too few in ten seconds for less than a quarter
//! of slack.

use core::fmt;
use core::time::Duration;

use super::ends::{Control, Ends};
use super::path::{Flow, Harm, Path};
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::sim::error::SimError;

const LINK: Path = Path::new(Some(100_000_000), 20, Some(250_000));
/// All is the library's default.
const ENDS: Ends = Ends::of(Control::Cubic);
const LONG: Path = Path::new(Some(200_000_000), 100, Some(250_000));

pub(super) const ALL: &[Scenario] = &[
    scenario(
        "clean",
        "one flow fills a clean link",
        1,
        &Goodput::linux(LINK, 94_500),
    ),
    scenario(
        "loss-0.1",
        "one flow, one frame in a thousand is lost",
        5,
        &Goodput::lossy(LINK.harm(Harm::Loss(1000)), 22_300),
    ),
    scenario(
        "loss-1",
        "one flow, one frame in a hundred is lost",
        5,
        &Goodput::lossy(LINK.harm(Harm::Loss(10_000)), 7_070),
    ),
    scenario(
        "held-1-5ms",
        "one flow, one frame in a hundred is held back 5 ms",
        5,
        &Goodput::linux(LINK.harm(Harm::HeldBack(10_000, 5)), 94_500),
    ),
    scenario(
        "held-0.1-5ms",
        "one flow, one frame in a thousand is held back 5 ms",
        5,
        &Goodput::linux(LINK.harm(Harm::HeldBack(1000, 5)), 94_600),
    ),
    scenario(
        "jitter-3ms",
        "one flow, 3 ms of jitter",
        5,
        &Goodput::linux(LINK.harm(Harm::Jitter(3)), 94_500),
    ),
    scenario(
        "long",
        "one flow, 200 Mbit/s over 100 ms, a tenth of that as queue",
        1,
        &Goodput::linux(LONG, 171_000),
    ),
];

const fn scenario(
    id: &'static str,
    title: &'static str,
    seeds: u32,
    experiment: &'static Goodput,
) -> Scenario {
    let kind = match experiment.reference {
        Reference::LinuxCubic => Kind::Tolerance,
        Reference::Mathis => Kind::Derived,
    };
    Scenario {
        id,
        title,
        kind,
        seeds,
        short: true,
        experiment,
    }
}

/// What a receiver reads in ten seconds from the start on.
#[derive(Debug)]
struct Goodput {
    path: Path,
    reference: Reference,
    /// What that comes to, in kbit/s.
    kbits: u64,
    /// The share of it that is enough.
    percent: u64,
}

/// What a run is held to.
#[derive(Clone, Copy, Debug)]
enum Reference {
    LinuxCubic,
    Mathis,
}

const LENGTH: Duration = Duration::from_secs(10);

impl Goodput {
    const fn linux(path: Path, kbits: u64) -> Self {
        Self {
            path,
            reference: Reference::LinuxCubic,
            kbits,
            percent: 95,
        }
    }

    const fn lossy(path: Path, kbits: u64) -> Self {
        Self {
            path,
            reference: Reference::Mathis,
            kbits,
            percent: 75,
        }
    }

    const fn least(&self) -> u64 {
        self.kbits * 10 * self.percent
    }
}

impl fmt::Display for Goodput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = match self.reference {
            Reference::LinuxCubic => "what Linux's CUBIC has",
            Reference::Mathis => "Mathis's formula",
        };
        write!(
            f,
            "{}; {}; goodput of the first {} s at least {}, {} % of {reference}",
            self.path,
            ENDS,
            LENGTH.as_secs(),
            Unit::BitsPerSec.of(self.least()),
            self.percent,
        )
    }
}

impl Experiment for Goodput {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut flow = Flow::new(run, &self.path, ENDS)?;
        flow.pair.network.run_for(LENGTH)?;
        let rate = flow.received() * 8 / LENGTH.as_secs();
        run.expect("goodput", rate, Unit::BitsPerSec, self.least()..=u64::MAX);
        if let Some(info) = flow.info() {
            run.tell("segments sent again", info.retransmits, Unit::Count);
        }
        run.watched(&mut flow.pair.network);
        Ok(())
    }
}
