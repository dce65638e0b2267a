//! What a run comes to.
//!
//! *Owns* the verdict and its cause. *Does not* print to anywhere.

use core::fmt;

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Every line holds, and option order, padding, PSH, windows and timestamps are equal too.
    StrictPass,
    /// Every line holds in what it means.
    Pass,
    /// It uses what netloom has not, or cannot be told: never a pass.
    Unsupported,
    /// A line does not hold, or the text is no script.
    Fail,
}

impl Verdict {
    /// The name, as reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StrictPass => "strict pass",
            Self::Pass => "pass",
            Self::Unsupported => "unsupported",
            Self::Fail => "fail",
        }
    }

    /// Did it pass, strictly or not?
    pub const fn is_pass(self) -> bool {
        matches!(self, Self::StrictPass | Self::Pass)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cause {
    /// The line of the script, from 1; 0 when it is about no line.
    pub line: u32,
    /// What was expected and what came; of what is unsupported its name; of a pass what is not strict.
    pub text: String,
}

impl Cause {
    pub(super) fn new(line: u32, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { line, text }
    }
}

/// A verdict with its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What it comes to.
    pub verdict: Verdict,
    /// Why it is no strict pass.
    pub cause: Option<Cause>,
    /// Of a failure, the last ten packets before it, in the script's numbers, with the time since it began.
    pub history: Vec<String>,
}

impl Outcome {
    /// A failure that has nothing to do with a line, such as a file that is not there.
    pub fn failed(line: u32, text: impl Into<String>) -> Self {
        Self::of(Verdict::Fail, Cause::new(line, text))
    }

    pub(super) fn of(verdict: Verdict, cause: Cause) -> Self {
        Self {
            verdict,
            cause: Some(cause),
            history: Vec::new(),
        }
    }
}
