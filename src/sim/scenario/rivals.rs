//! Flows of several kinds that share a queue: when all are done, who gets what.
//!
//! B12's set-ups are those of simulator tests of QUIC stacks. *Owns* B12, B17 and B18.

use core::fmt;

use super::course::{Course, Sender, Senders};
use super::ends::Control;
use super::path::Path;
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::sim::error::SimError;

const MIB: u64 = 1 << 20;
/// 4 Mbit/s and 72 ms hold 36,000 bytes; twice that is the queue.
const SLOW: Path = Path::new(Some(4_000_000), 72, Some(72_000));
/// 50 Mbit/s and 30 ms hold 187,500 bytes.
const MIDDLE: Path = Path::new(Some(50_000_000), 30, None);
/// 100 Mbit/s and 100 ms, the longer round trip, hold 1,250,000 bytes.
const NEAR_AND_FAR: Path = Path::new(Some(100_000_000), 20, Some(2_500_000));

const V3: Sender = Sender::of(Control::Bbr3);
const V3_10: Sender = V3.bytes(10 * MIB);

pub(super) const ALL: &[Scenario] = &[
    done("B12-bbr3", &Done::of(&[V3_10, V3_10], 300)),
    done(
        "B12-bbr",
        &Done::of(&[V3_10, Sender::of(Control::Bbr).bytes(10 * MIB)], 300),
    ),
    done(
        "B12-reno",
        &Done::of(&[V3_10, Sender::of(Control::Reno).bytes(10 * MIB)], 300),
    ),
    done(
        "B12-six",
        &Done::of(
            &[
                V3_10,
                V3_10.after_ms(2000),
                V3_10.after_ms(4000),
                V3_10.after_ms(6000),
                V3_10.after_ms(8000),
                V3_10.after_ms(10_000),
            ],
            660,
        ),
    ),
    done(
        "B12-cubic",
        &Done::of(
            &[
                V3.bytes(50 * MIB),
                Sender::of(Control::Cubic).bytes(50 * MIB),
            ],
            300,
        ),
    ),
    beside("B17-0.1", &Beside::told(18_750)),
    beside("B17-1", &Beside::held(187_500)),
    beside("B17-2", &Beside::held(375_000)),
    beside("B17-4", &Beside::held(750_000)),
    beside("B17-8", &Beside::told(1_500_000)),
    beside("B17-16", &Beside::told(3_000_000)),
    beside(
        "B18-bbr",
        &Beside {
            path: NEAR_AND_FAR,
            senders: [
                Sender::of(Control::Bbr),
                Sender::of(Control::Bbr).farther_ms(80),
            ],
            // The far one has more.
            second_percent: Some((50, 100)),
            used_percent: None,
        },
    ),
    beside(
        "B18-bbr3",
        &Beside {
            path: NEAR_AND_FAR,
            senders: [V3, V3.farther_ms(80)],
            second_percent: Some((20, 80)),
            used_percent: None,
        },
    ),
];

const fn done(id: &'static str, experiment: &'static Done) -> Scenario {
    Scenario {
        id,
        title: "all are done soon, whoever is beside BBRv3",
        kind: Kind::Published,
        seeds: 5,
        short: true,
        experiment,
    }
}

const fn beside(id: &'static str, experiment: &'static Beside) -> Scenario {
    Scenario {
        id,
        title: "two flows in one queue",
        kind: Kind::Tolerance,
        seeds: 5,
        short: false,
        experiment,
    }
}

/// Flows of a number of bytes each.
#[derive(Debug)]
struct Done {
    senders: &'static [Sender],
    /// Of what the largest takes alone at the line's rate.
    most_percent: u64,
}

impl Done {
    const fn of(senders: &'static [Sender], most_percent: u64) -> Self {
        Self {
            senders,
            most_percent,
        }
    }

    /// When all are to be done.
    fn limit_ms(&self) -> u64 {
        let bytes = self.senders.iter().filter_map(Sender::bytes_setting);
        let alone = bytes.max().unwrap_or(0) * 8 * 1000 / SLOW.text_rate();
        alone * self.most_percent / 100
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{SLOW}; {}; all read after {} ms, {} % of what the line takes for the largest alone",
            Senders(self.senders),
            self.limit_ms(),
            self.most_percent,
        )
    }
}

impl Experiment for Done {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let seed = run.seed();
        let limit = self.limit_ms();
        let mut course = Course::new(run, "flows", seed, &SLOW, self.senders)?;
        course.look_until_done(limit * 2, |_| ())?;
        for (flow, sender) in self.senders.iter().enumerate() {
            let done = course.done_at(flow).map_or(u64::MAX, |at| at.as_nanos());
            let what = format!("{} {}", sender.control(), flow + 1);
            run.expect(what, done, Unit::Nanos, 0..=limit * 1_000_000);
        }
        course.end(run);
        Ok(())
    }
}

/// Two flows without end: the share that the second has of what both have.
#[derive(Debug)]
struct Beside {
    path: Path,
    senders: [Sender; 2],
    /// At least and at most.
    second_percent: Option<(u64, u64)>,
    /// Of the line, at least.
    used_percent: Option<u64>,
}

const FROM_S: u64 = 30;
const TO_S: u64 = 180;

impl Beside {
    const fn told(queue: usize) -> Self {
        Self {
            path: MIDDLE.queue(queue),
            senders: [V3, Sender::of(Control::Cubic)],
            second_percent: None,
            used_percent: None,
        }
    }

    const fn held(queue: usize) -> Self {
        Self {
            second_percent: Some((25, 75)),
            used_percent: Some(95),
            ..Self::told(queue)
        }
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let senders = Senders(&self.senders);
        write!(f, "{}; {senders}; from {FROM_S} to {TO_S} s", self.path)?;
        match self.second_percent {
            Some((least, most)) => write!(f, " the second has {least} to {most} % of both")?,
            None => f.write_str(" what the second has of both")?,
        }
        match self.used_percent {
            Some(least) => write!(f, ", at least {least} % of the line used"),
            None => Ok(()),
        }
    }
}

impl Experiment for Beside {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let seed = run.seed();
        let mut course = Course::new(run, "flows", seed, &self.path, &self.senders)?;
        course.run_until_ms(FROM_S * 1000)?;
        let before = course.received();
        course.run_until_ms(TO_S * 1000)?;
        let bytes = course.received();
        let [first, second] = [0, 1].map(|flow| bytes[flow] - before[flow]);
        let both = first + second;
        let share = (second * 1_000_000).checked_div(both).unwrap_or(0);
        match self.second_percent {
            Some((least, most)) => {
                let expected = least * 10_000..=most * 10_000;
                run.expect("share of the second", share, Unit::Millionths, expected);
            }
            None => run.tell("share of the second", share, Unit::Millionths),
        }
        let used = self.path.used(both * 8 / (TO_S - FROM_S));
        match self.used_percent {
            Some(least) => {
                run.expect(
                    "use of the line",
                    used,
                    Unit::Millionths,
                    least * 10_000..=u64::MAX,
                );
            }
            None => run.tell("use of the line", used, Unit::Millionths),
        }
        course.end(run);
        Ok(())
    }
}
