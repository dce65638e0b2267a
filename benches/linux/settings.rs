//! The command line.

use std::time::Duration;

use crate::cells::Cell;

/// What the command line asked for.
pub(crate) struct Settings {
    pub(crate) cells: Vec<Cell>,
    /// Senders only: what else is measured has settings of its own.
    pub(crate) senders_only: bool,
    pub(crate) samples: usize,
    pub(crate) time: Duration,
    /// Fail when a goal was missed, or nothing could be measured.
    pub(crate) check: bool,
    /// How late the bridge may be at its 99th percentile.
    pub(crate) late: Duration,
    /// Only what has this in its title, as in `reno, clean, 20 ms, 100 M`.
    only: Option<String>,
}

/// A wire that errs by more is another wire.
const LATE: Duration = Duration::from_micros(200);

impl Settings {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            cells: Cell::pairs(),
            senders_only: false,
            samples: 5,
            time: Duration::from_secs(6),
            check: false,
            late: LATE,
            only: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match &arg[..] {
                "--all" => settings.cells = Cell::all(),
                "--table" => (settings.cells, settings.senders_only) = (Cell::table(), true),
                "--few" => (settings.cells, settings.senders_only) = (Cell::few(), true),
                "--samples" => settings.samples = number(&value()?)?.max(1.0) as usize,
                "--seconds" => settings.time = Duration::from_secs_f64(number(&value()?)?),
                "--late-ms" => settings.late = Duration::from_secs_f64(number(&value()?)? / 1000.0),
                "--only" => settings.only = Some(value()?),
                "--check" => settings.check = true,
                // Cargo's own word.
                "--bench" => {}
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        Ok(settings)
    }

    pub(crate) fn wants(&self, title: &str) -> bool {
        let title = format!("{title}.");
        self.only.as_ref().is_none_or(|text| title.contains(text))
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&n: &f64| n > 0.0 && n < 1e6);
    number.ok_or_else(|| format!("{text} is no positive number"))
}
