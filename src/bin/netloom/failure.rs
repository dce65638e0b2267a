//! How a subcommand fails: one line on standard error, exit status 1.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a subcommand could not do its work: the cause, and the cure where one is known.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to say.
    Said(String),
    /// Whoever read standard output has gone: nothing to say, nobody to say it to.
    Quiet,
}

impl Failure {
    /// A failure with this cause.
    pub(crate) fn new(cause: impl fmt::Display) -> Self {
        Self::Said(cause.to_string())
    }

    /// The same with its cure.
    pub(crate) fn with_cure(cause: impl fmt::Display, cure: impl fmt::Display) -> Self {
        Self::Said(format!("{cause}; {cure}"))
    }

    /// A failed write to standard output.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Quiet,
            _ => Self::new(format_args!("cannot write to standard output: {error}")),
        }
    }

    /// Prints the line and gives the exit status.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Quiet => ExitCode::SUCCESS,
            Self::Said(cause) => {
                let line = cause.replace('\n', " ");
                let _ = writeln!(io::stderr(), "netloom: {line}");
                ExitCode::FAILURE
            }
        }
    }
}
