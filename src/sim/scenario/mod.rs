//! Experiments that anybody can repeat: what each is, what it should come to, and its run.
//!
//! *Owns* the catalogue and what one run comes to. *Does not* print or draw: the tool and the tests do.
//! Invariants: the id, the seed and this version of the library are all that a run depends on; an
//! experiment is data, and its definition tells all of that data.
//!
//! | file | owns |
//! |---|---|
//! | `run.rs` | [`Run`], [`Watch`], [`Outcome`]: one run and what it came to |
//! | `unit.rs` | [`Unit`]: measured numbers in words |
//! | `ends.rs` | what a flow's two ends are set to |
//! | `path.rs` | the link between two hosts, and a flow over it |
//! | `links.rs` | `clean` and others: one flow over a link that is bad in one way |
//! | `start.rs` | I1, I2: the initial window, slow start |
//! | `long.rs` | what one flow comes to in the long run |
//! | `steady.rs` | R1 to R3: Reno in the long run |
//! | `cubic.rs` | C1 to C6: CUBIC's curve, its window and its share |
//! | `hystart.rs` | H1, H2: how CUBIC leaves slow start |
//! | `course.rs` | flows of several kinds over one path |
//! | `fairness.rs` | F1: several flows in one queue |
//! | `loss.rs` | B1, B1c, B1d, B2: what random loss leaves |
//! | `seen.rs` | what looks at a BBR flow have shown |
//! | `transfer.rs` | B5 to B9, B19, B21: a number of bytes over a difficult path |
//! | `rivals.rs` | B12, B17, B18: kinds of flows in one queue |
//! | `marks.rs` | E1: flows with ECN in a queue that marks |
//! | `paper.rs` | B13 to B16: steps of the rate, flows that join, queues of all sizes |
//! | `model.rs` | B3, B4, B10, B11, B20, B22: one BBRv3 flow, looked into |

mod course;
mod cubic;
mod ends;
mod fairness;
mod hystart;
mod links;
mod long;
mod loss;
mod marks;
mod model;
mod paper;
mod path;
mod rivals;
mod run;
mod seen;
mod start;
mod steady;
mod transfer;
mod unit;

use core::fmt;

pub use run::{Outcome, Run, Verdict, Watch, Watched};
pub use unit::{Amount, Unit};

use super::error::SimError;
use crate::base::Digest;

/// Where what a scenario is held to comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A published number.
    Published,
    /// Derived here from published formulae.
    Derived,
    /// Our own tolerance around a published or measured number.
    Tolerance,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Published => "published",
            Self::Derived => "derived",
            Self::Tolerance => "tolerance",
        })
    }
}

/// One experiment.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// What it is called, such as `clean`.
    pub id: &'static str,
    /// What it shows, in a line.
    pub title: &'static str,
    /// Where the expectation comes from.
    pub kind: Kind,
    /// Seeds of a full run; 1 when nothing is left to chance.
    pub seeds: u32,
    /// Is one run over in a few seconds of processor time without optimization?
    pub short: bool,
    pub(super) experiment: &'static dyn Experiment,
}

/// What a scenario does. It is displayed as all that decides: links, senders, times, what is expected.
pub(super) trait Experiment: fmt::Debug + fmt::Display + Sync {
    /// Does it, once.
    fn run(&self, run: &mut Run) -> Result<(), SimError>;
}

impl Scenario {
    /// Links, senders, times and what is expected, in words and numbers.
    pub fn definition(&self) -> String {
        self.experiment.to_string()
    }

    /// Runs it once.
    ///
    /// # Errors
    /// [`SimError`] when a network cannot be built or gets stuck; what is merely not as expected is told
    /// by the outcome.
    pub fn run(&self, seed: u64, watch: Watch) -> Result<Outcome, SimError> {
        let mut run = Run::new(seed, watch);
        self.experiment.run(&mut run)?;
        Ok(run.finish())
    }

    /// A hash of the id and the definition: another one is another experiment, and results of the one
    /// are none of the other.
    pub fn definition_hash(&self) -> u64 {
        let mut digest = Digest::new();
        for text in [self.id, &self.definition()] {
            digest.bytes(text.as_bytes());
        }
        digest.value()
    }
}

/// Every scenario, in the order in which they are listed.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        links::ALL,
        start::ALL,
        steady::ALL,
        cubic::ALL,
        hystart::ALL,
        fairness::ALL,
        loss::ALL,
        transfer::ALL,
        rivals::ALL,
        paper::ALL,
        marks::ALL,
        model::ALL,
    ]
    .into_iter()
    .flatten()
}

/// The scenario of this id; upper and lower case are one.
pub fn find(id: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
