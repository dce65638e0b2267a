//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use super::cells::Cell;
use super::common::number;
use super::plan::{self, Job};

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
    /// Each sample is printed below its row.
    pub(crate) each: bool,
    /// Where netloom's end is captured to.
    pub(crate) capture: Option<PathBuf>,
    /// The folder for pictures of what senders say of themselves, one for each seed of a cell.
    pub(crate) plot: Option<PathBuf>,
    /// Where the table is written to, with how it was measured.
    pub(crate) table: Option<PathBuf>,
    /// Where cells are kept as they end; those that it has are not measured again, unless they are void.
    pub(crate) keep: Option<PathBuf>,
    /// How often cells that are void are measured again at the end.
    pub(crate) rounds: usize,
    /// No cell is begun later than this.
    pub(crate) minutes: Option<Duration>,
    /// Mbit/s of the wires that are used at once.
    pub(crate) load: u64,
    /// How much of the planned time may go by for repeating void runs.
    pub(crate) again: f64,
    /// Netloom's share of the kernel's rate that is enough.
    pub(crate) least: f64,
    /// How often a run is repeated that the bridge was too late for.
    pub(crate) tries: usize,
    /// Only what has one of these in its title, as in `reno, clean, 20 ms, 100 M`.
    only: Vec<String>,
}

/// What stands for all wherever changes are checked: each trouble once, under the algorithm that minds it
/// or is meant for it, over paths that figures of two runs differ little on.
const CHECKED: [&str; 6] = [
    "cubic, clean, 20 ms, 100 M",
    "cubic, 1 % overtaken by 3, 20 ms, 100 M",
    "cubic, jitter 15 % of RTT, 20 ms, 100 M",
    "reno, 1 % late by RTT/4, 20 ms, 100 M",
    "bbr, loss 1 %, 20 ms, 100 M",
    "bbr3, loss 1 % in bursts, 20 ms, 10 M",
];

/// Half of what the bridge carries of one flow: what many flows send at once comes in bursts.
const LOAD: u64 = 500;

/// A wire that errs by more is another wire.
const LATE: Duration = Duration::from_micros(200);

impl Settings {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            cells: Cell::pairs(),
            senders_only: false,
            samples: 5,
            time: Duration::from_secs(4),
            check: false,
            late: LATE,
            each: false,
            capture: None,
            plot: None,
            table: None,
            keep: None,
            rounds: 0,
            minutes: None,
            load: LOAD,
            again: 0.1,
            least: 0.95,
            tries: 3,
            only: Vec::new(),
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match &arg[..] {
                "--all" => settings.cells = Cell::all(),
                "--path" => (settings.cells, settings.senders_only) = (Cell::path(), true),
                "--few" => (settings.cells, settings.senders_only) = (Cell::few(), true),
                "--samples" => settings.samples = number(&value()?)?.max(1.0) as usize,
                "--seconds" => settings.time = Duration::from_secs_f64(number(&value()?)?),
                "--late-ms" => settings.late = Duration::from_secs_f64(number(&value()?)? / 1000.0),
                "--only" => settings.only.push(value()?),
                "--load" => settings.load = number(&value()?)? as u64,
                "--table" => settings.table = Some(value()?.into()),
                "--keep" => settings.keep = Some(value()?.into()),
                "--rounds" => settings.rounds = number(&value()?)? as usize,
                "--minutes" => {
                    let minutes = number(&value()?)?;
                    settings.minutes = Some(Duration::from_secs_f64(minutes * 60.0));
                }
                "--pcap" => settings.capture = Some(value()?.into()),
                "--plot" => settings.plot = Some(value()?.into()),
                "--ci" => settings.check_changes(),
                "--each" => settings.each = true,
                "--check" => settings.check = true,
                // Cargo's own word.
                "--bench" => {}
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        Ok(settings)
    }

    /// Fails when no job is left.
    pub(crate) fn jobs(&self) -> Result<Vec<Job>, String> {
        let jobs = plan::jobs(self);
        if jobs.is_empty() {
            return Err(format!("no cell has one of {:?} in its title", self.only));
        }
        Ok(jobs)
    }

    pub(crate) fn wants(&self, title: &str) -> bool {
        let title = format!("{title}.");
        let mut only = self.only.iter();
        only.len() == 0 || only.any(|text| title.contains(text))
    }

    /// A few short cells: a machine that does other things shifts a rate, what is broken halves it.
    fn check_changes(&mut self) {
        (self.cells, self.senders_only) = (Cell::few(), true);
        self.only = CHECKED.map(|title| format!("{title}.")).to_vec();
        (self.samples, self.time) = (3, Duration::from_secs(3));
        (self.least, self.tries, self.again) = (0.8, 3, 2.0);
        // Little at once: other things go on beside it.
        self.load = 200;
        self.check = true;
    }
}
