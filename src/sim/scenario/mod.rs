//! Experiments that anybody can repeat: what each is, what it should come to, and its run.
//!
//! *Owns* the catalogue and what one run comes to. *Does not* print or draw: the tool and the tests do.
//! Invariant: the id, the seed and this version of the library are all that a run depends on.
//!
//! A scenario builds its networks itself and lets a [`Run`] look at them ([`Run::watch`],
//! [`Run::watched`]), so that each can be captured, traced and drawn without knowing of it.

mod links;
mod run;

pub use run::{Outcome, Run, Unit, Verdict, Watch, Watched};

use super::digest::Digest;
use super::error::SimError;

/// Where what a scenario is held to comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A published number.
    Published,
    /// Derived here from published formulae.
    Derived,
    /// Our own tolerance around a published statement, or our own statement.
    Tolerance,
}

/// One experiment.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// What it is called, such as `clean`.
    pub id: &'static str,
    /// What it shows, in a line.
    pub title: &'static str,
    /// Links, senders, times, and what is expected, in words and numbers. A test of the table of results holds it to
    /// the [`hash`](Self::definition_hash) of this.
    pub definition: &'static str,
    /// Where the expectation comes from.
    pub kind: Kind,
    /// Seeds of a full run; 1 when nothing is left to chance.
    pub seeds: u32,
    /// Is it over in a few seconds of processor time?
    pub short: bool,
    pub(super) act: fn(&mut Run) -> Result<(), SimError>,
}

impl Scenario {
    /// Runs it once.
    ///
    /// # Errors
    /// [`SimError`] when a network cannot be built or gets stuck; what is merely not as expected is told
    /// by the outcome.
    pub fn run(&self, seed: u64, watch: Watch) -> Result<Outcome, SimError> {
        let mut run = Run::new(seed, watch);
        (self.act)(&mut run)?;
        Ok(run.finish())
    }

    /// A hash of all that it is held to: another one is another experiment.
    pub fn definition_hash(&self) -> u64 {
        let mut digest = Digest::new();
        for text in [self.id, self.definition] {
            digest.bytes(text.as_bytes());
        }
        digest.value()
    }
}

/// Every scenario, in the order in which they are listed.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [links::ALL].into_iter().flatten()
}

/// The scenario of this id; upper and lower case are one.
pub fn find(id: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
