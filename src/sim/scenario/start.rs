//! How a connection starts: its initial window, and the rounds of slow start.
//!
//! RFC 6928 §2 (initial window), RFC 5681 §3.1 (slow start). *Owns* I1 and I2.

use core::fmt;
use core::time::Duration;

use super::ends::{Control, Ends};
use super::path::{Flow, HEADERS, Path};
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::sim::error::SimError;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        id: "I1",
        title: "slow start doubles each round from ten segments",
        kind: Kind::Published,
        seeds: 1,
        short: true,
        experiment: &Rounds {
            path: Path::new(Some(1_000_000_000), 100, None),
            // Ten segments first, then twice as many each round: N are there after ceil(log2(N/10 + 1)).
            marks: &[
                (10, 1),
                (30, 2),
                (70, 3),
                (100, 4),
                (150, 4),
                (310, 5),
                (1000, 7),
            ],
        },
    },
    initial(
        "I2-536",
        &InitialWindow {
            smss: 536,
            bytes: 5360,
        },
    ),
    initial(
        "I2-1448",
        &InitialWindow {
            smss: 1448,
            bytes: 14_480,
        },
    ),
    initial(
        "I2-2190",
        &InitialWindow {
            smss: 2190,
            bytes: 14_600,
        },
    ),
    initial(
        "I2-9000",
        &InitialWindow {
            smss: 9000,
            bytes: 18_000,
        },
    ),
];

const fn initial(id: &'static str, experiment: &'static InitialWindow) -> Scenario {
    Scenario {
        id,
        title: "the initial window follows the segment size",
        kind: Kind::Published,
        seeds: 1,
        short: true,
        experiment,
    }
}

/// In which round each number of segments is there.
#[derive(Debug)]
struct Rounds {
    path: Path,
    /// Segments, and the round at whose end they have arrived.
    marks: &'static [(u64, u64)],
}

const ENDS: Ends = Ends::of(Control::Reno).roomy();

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; {}; segments:rounds exactly",
            self.path,
            ENDS.ack_each()
        )?;
        for (segments, rounds) in self.marks {
            write!(f, " {segments}:{rounds}")?;
        }
        Ok(())
    }
}

impl Experiment for Rounds {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut flow = Flow::new(run, &self.path, ENDS.ack_each())?;
        let first = flow.run_until_first()?;
        let mut marks = self.marks.iter().peekable();
        if let Some(first) = first {
            let last = self.marks.iter().map(|mark| mark.1).max().unwrap_or(0);
            let mut end = first;
            for round in 1..=2 * last {
                // A round's segments come within a part of the round trip, the longest here in a
                // quarter; that part has passed at half of it, and the next has not begun.
                flow.pair.network.run_until(end + self.path.rtt() / 2)?;
                end = end + self.path.rtt();
                let segments = flow.received() / self.path.smss();
                while let Some((mark, expected)) = marks.next_if(|mark| mark.0 <= segments) {
                    let what = format!("rounds for {mark} segments");
                    run.expect(what, round, Unit::Count, *expected..=*expected);
                }
            }
        }
        for (mark, expected) in marks {
            // Never came: no round is the expected one.
            let what = format!("rounds for {mark} segments");
            run.expect(what, u64::MAX, Unit::Count, *expected..=*expected);
        }
        run.watched(&mut flow.pair.network);
        Ok(())
    }
}

/// What leaves before anything was acknowledged.
#[derive(Debug)]
struct InitialWindow {
    smss: u64,
    bytes: u64,
}

impl InitialWindow {
    fn path(&self) -> Path {
        let mtu = usize::try_from(self.smss + HEADERS).unwrap_or(1500);
        Path::new(Some(1_000_000_000), 100, None).mtu(mtu)
    }
}

impl fmt::Display for InitialWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = ENDS;
        let Self { smss, bytes } = self;
        write!(
            f,
            "{}; {ends}; SMSS {smss}: an initial window of exactly {bytes} B, and as many whole \
             segments of it in the first flight",
            self.path()
        )
    }
}

impl Experiment for InitialWindow {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut flow = Flow::new(run, &self.path(), ENDS)?;
        flow.run_until_first()?;
        // All of the flight has arrived, and no answer to it has.
        flow.pair.network.run_for(Duration::from_millis(20))?;
        let flight = self.bytes / self.smss * self.smss;
        let window = flow.info().map_or(0, |info| u64::from(info.cwnd));
        run.expect("window", window, Unit::Bytes, self.bytes..=self.bytes);
        run.expect("flight", flow.received(), Unit::Bytes, flight..=flight);
        run.watched(&mut flow.pair.network);
        Ok(())
    }
}
