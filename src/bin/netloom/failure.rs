//! How a subcommand fails: one line on standard error, exit status 1, 2 for wrong usage, or 3 for what is unsupported.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a subcommand could not do its work: the cause, and the cure where one is known.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to say.
    Said(String),
    /// It was asked for what cannot be.
    Usage(String),
    /// Nothing failed, but not everything could be done.
    Unsupported(String),
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

    /// What was asked for cannot be; the cure is another usage.
    pub(crate) fn usage(cause: impl fmt::Display, cure: impl fmt::Display) -> Self {
        Self::Usage(format!("{cause}; {cure}"))
    }

    /// What became of talking to `peer`.
    pub(crate) fn peer(peer: impl fmt::Display, error: &io::Error) -> Self {
        let cause = format!("{peer}: {error}");
        match cure(error.kind()) {
            Some(cure) => Self::with_cure(cause, cure),
            None => Self::new(cause),
        }
    }

    /// Why a host ended, or could not begin.
    pub(crate) fn host(error: impl Into<io::Error>) -> Self {
        let error = error.into();
        let cure = match error.kind() {
            io::ErrorKind::AddrInUse => "choose another --address",
            io::ErrorKind::NetworkDown => DEVICE_GONE,
            io::ErrorKind::TimedOut => "does another station on the link have them?",
            _ => return Self::new(error),
        };
        Self::with_cure(error, cure)
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
        let (line, status) = match self {
            Self::Quiet => return ExitCode::SUCCESS,
            Self::Said(line) => (line, ExitCode::FAILURE),
            Self::Usage(line) => (line, WRONG_USAGE.into()),
            Self::Unsupported(line) => (line, UNSUPPORTED.into()),
        };
        let _ = writeln!(io::stderr(), "netloom: {}", line.replace('\n', " "));
        status
    }
}

/// The exit status that clap has for it too.
const WRONG_USAGE: u8 = 2;

/// The exit status of `drill` when scripts ask for what netloom has not.
const UNSUPPORTED: u8 = 3;

const DEVICE_GONE: &str = "leave the interface there while netloom runs, and start it again";

/// What no answer at all calls for.
pub(crate) const UNREACHABLE: &str = "is it up? is its address in the range of --kernel-address \
     and --address? if it is beyond the link, add --gateway IP";

/// What helps against a failure to talk to a peer, where something does.
const fn cure(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "does anything listen there?",
        io::ErrorKind::HostUnreachable | io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            UNREACHABLE
        }
        io::ErrorKind::NetworkUnreachable => "add --gateway IP",
        io::ErrorKind::AddrNotAvailable => "add an --address of the same family",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the peer ended the connection: it may say why"
        }
        io::ErrorKind::UnexpectedEof => "the peer ended the connection before its answer did",
        io::ErrorKind::NetworkDown => DEVICE_GONE,
        io::ErrorKind::NotFound => "is the name right, and does the server of --dns know it?",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_cause_and_the_cure() {
        let line = |failure| match failure {
            Failure::Said(line) => line,
            other => panic!("{other:?}"),
        };
        for (kind, cure) in [
            (io::ErrorKind::ConnectionRefused, "does anything listen"),
            (io::ErrorKind::HostUnreachable, "is it up?"),
            (io::ErrorKind::TimedOut, "--gateway"),
            (io::ErrorKind::NetworkUnreachable, "add --gateway IP"),
            (io::ErrorKind::NetworkDown, "start it again"),
        ] {
            let text = line(Failure::peer(
                "10.7.0.9:80",
                &io::Error::new(kind, "the cause"),
            ));
            assert!(text.starts_with("10.7.0.9:80: the cause; "), "{text}");
            assert!(text.contains(cure), "{text}");
        }
        let error = io::Error::new(io::ErrorKind::AddrInUse, "another station has it");
        let text = line(Failure::host(error));
        assert_eq!(text, "another station has it; choose another --address");
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(Failure::stdout(&gone), Failure::Quiet));
    }
}
