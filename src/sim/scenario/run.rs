//! One run of a scenario: what is watched while it runs, and what it came to.
//!
//! *Owns* the measured values and their verdicts. *Does not* stop at a miss: all of a run is told.

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::io::Write;

use super::unit::Unit;
use crate::base::Digest;
use crate::base::Instant;
use crate::sim::link::LinkId;
use crate::sim::network::{HostId, Network};
use crate::sim::trace::{Row, Sampling, TraceId};

/// Makes the file that a capture of this name goes to.
type Captures = Box<dyn FnMut(&str) -> std::io::Result<Box<dyn Write>>>;

/// What is kept of a run beside its outcome: nothing by default.
#[derive(Default)]
#[must_use]
pub struct Watch {
    sampling: Option<Sampling>,
    captures: Option<Captures>,
}

impl Watch {
    /// Nothing but the outcome.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Rows of the connections that the scenario is about.
    pub fn rows(self, sampling: Sampling) -> Self {
        Self {
            sampling: Some(sampling),
            ..self
        }
    }

    /// A pcapng of each link that the scenario is about, into what `create` gives for its name (letters, digits and hyphens).
    pub fn captures(
        self,
        create: impl FnMut(&str) -> std::io::Result<Box<dyn Write>> + 'static,
    ) -> Self {
        Self {
            captures: Some(Box::new(create)),
            ..self
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("sampling", &self.sampling)
            .field("captures", &self.captures.is_some())
            .finish()
    }
}

/// One measured number beside what was expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What was measured.
    pub what: String,
    /// The number.
    pub measured: u64,
    /// What the number is in.
    pub unit: Unit,
    /// What it was expected to be; `None` for one that is only told.
    pub expected: Option<RangeInclusive<u64>>,
}

impl Verdict {
    /// Was it as expected?
    pub fn is_met(&self) -> bool {
        self.expected
            .as_ref()
            .is_none_or(|expected| expected.contains(&self.measured))
    }

    /// What was expected, in words; empty for what is only told.
    pub fn expectation(&self) -> String {
        let Some(expected) = &self.expected else {
            return String::new();
        };
        let [least, most] = [expected.start(), expected.end()].map(|&end| self.unit.of(end));
        if expected.start() == expected.end() {
            least.to_string()
        } else if *expected.end() == u64::MAX {
            format!("at least {least}")
        } else if *expected.start() == 0 {
            format!("at most {most}")
        } else {
            format!("{least} to {most}")
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.unit.of(self.measured))?;
        match (&self.expected, self.is_met()) {
            (None, _) => Ok(()),
            (Some(_), true) => write!(f, ", as expected ({})", self.expectation()),
            (Some(_), false) => write!(f, ", MISSED ({})", self.expectation()),
        }
    }
}

/// The rows of one host.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Watched {
    /// What the scenario calls it.
    pub name: String,
    /// The rows, in the order of time.
    pub rows: Vec<Row>,
}

/// What a run came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What was measured, in the order of the scenario.
    pub verdicts: Vec<Verdict>,
    /// The hash of all its networks' traces.
    pub trace_hash: u64,
    /// The virtual time that its networks have seen, together.
    pub simulated: Duration,
    /// What was asked for with [`Watch::rows`].
    pub watched: Vec<Watched>,
    /// Why a capture is not whole.
    pub capture_error: Option<std::io::Error>,
}

impl Outcome {
    /// Was all as expected?
    pub fn is_met(&self) -> bool {
        self.verdicts.iter().all(Verdict::is_met)
    }
}

/// A run that goes on.
#[derive(Debug)]
pub struct Run {
    seed: u64,
    watch: Watch,
    /// Of the network that is watched now.
    traces: Vec<(String, TraceId)>,
    captured: Vec<LinkId>,
    digest: Digest,
    outcome: Outcome,
}

impl Run {
    pub(super) const fn new(seed: u64, watch: Watch) -> Self {
        Self {
            seed,
            watch,
            traces: Vec::new(),
            captured: Vec::new(),
            digest: Digest::new(),
            outcome: Outcome {
                verdicts: Vec::new(),
                trace_hash: 0,
                simulated: Duration::ZERO,
                watched: Vec::new(),
                capture_error: None,
            },
        }
    }

    /// The seed: of the network, and of whatever else the scenario leaves to chance.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Looks at a sender and the link whose queue it fills, from now on; `name` is letters, digits and
    /// hyphens, and tells several apart.
    pub fn watch(&mut self, network: &mut Network, name: &str, sender: HostId, link: LinkId) {
        if let Some(sampling) = self.watch.sampling {
            let trace = network.trace(sender, sampling, Some(link.forth()));
            self.traces.push((name.to_owned(), trace));
        }
        if let Some(create) = &mut self.watch.captures
            && !self.captured.contains(&link)
        {
            let begun = create(name).and_then(|sink| network.capture(link, sink));
            match begun {
                Ok(()) => self.captured.push(link),
                Err(error) => self.blame(error),
            }
        }
    }

    /// A network has run its course: takes what was watched of it, and its hash.
    pub fn watched(&mut self, network: &mut Network) {
        for (name, trace) in self.traces.drain(..) {
            let rows = network.take_rows(trace);
            self.outcome.watched.push(Watched { name, rows });
        }
        for link in core::mem::take(&mut self.captured) {
            if let Err(error) = network.end_capture(link) {
                self.blame(error);
            }
        }
        self.digest.number(network.trace_hash());
        self.outcome.simulated += network.now().since(Instant::ZERO);
    }

    fn blame(&mut self, error: std::io::Error) {
        self.outcome.capture_error.get_or_insert(error);
    }

    /// Notes a number that is held to nothing.
    pub fn tell(&mut self, what: impl Into<String>, measured: u64, unit: Unit) {
        self.outcome.verdicts.push(Verdict {
            what: what.into(),
            measured,
            unit,
            expected: None,
        });
    }

    /// Notes a number and what it is expected to be.
    pub fn expect(
        &mut self,
        what: impl Into<String>,
        measured: u64,
        unit: Unit,
        expected: RangeInclusive<u64>,
    ) {
        self.outcome.verdicts.push(Verdict {
            what: what.into(),
            measured,
            unit,
            expected: Some(expected),
        });
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.outcome.trace_hash = self.digest.value();
        self.outcome
    }
}
