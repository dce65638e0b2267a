//! Lines on standard output whose reader may go at any time, and notes on standard error.

use std::fmt;
use std::io::{self, Write};

use crate::failure::Failure;

/// Prints this text and a line end, at once. When whoever reads has gone there is nothing more to do.
pub(crate) fn say(text: impl fmt::Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::stdout(&error))
}

/// Tells something on standard error that is no failure.
pub(crate) fn note(text: impl fmt::Display) {
    // Nobody reads it: it was only a note.
    let _ = writeln!(io::stderr(), "netloom: {text}");
}

/// Tells the name of an interface where the kernel has chosen it.
pub(crate) fn note_made(asked: &str, made: &str) {
    if asked != made {
        note(format_args!("the interface is {made}"));
    }
}
