//! The table.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::kept::{self, Line, Sum, Verdict};
use super::measure::middle;
use super::rig::{Rig, SETTINGS};
use super::settings::Settings;

/// What a row's last figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Between(f64, f64),
    /// Anything: the figure is told, for what it explains.
    Told,
}

impl Goal {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
            Self::Between(least, most) => (least..=most).contains(&figure),
            Self::Told => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::Between(least, most) => write!(f, "{least} to {most}"),
            Self::Told => f.write_str("-"),
        }
    }
}

/// The kernel's figure, netloom's, and what they make, of each.
pub(crate) type Samples = Vec<(f64, f64, f64)>;

/// One line: the kernel's, netloom's, and what they make, by sample.
pub(crate) struct Row {
    title: String,
    goal: Goal,
    pub(crate) samples: Samples,
    /// The most that the bridge was late in a run that counts.
    late: Duration,
    /// Samples that do not count, the least that the bridge was late in the worst run of one, and the frames that it
    /// had no room for.
    void: usize,
    void_late: Option<Duration>,
    void_dropped: u64,
}

impl Row {
    pub(crate) const fn new(title: String, goal: Goal) -> Self {
        Self {
            title,
            goal,
            samples: Vec::new(),
            late: Duration::ZERO,
            void: 0,
            void_late: None,
            void_dropped: 0,
        }
    }

    pub(crate) fn add(&mut self, late: Duration, [kernel, own]: [f64; 2], figure: f64) {
        self.late = self.late.max(late);
        self.samples.push((kernel, own, figure));
    }

    /// A sample that is worth nothing: so late was the bridge in a run of it, or it had no room for so many.
    pub(crate) fn add_void(&mut self, late: Duration, dropped: u64) {
        self.void += 1;
        self.void_late = Some(self.void_late.map_or(late, |least| least.min(late)));
        self.void_dropped += dropped;
    }

    fn verdict(&self) -> Verdict {
        if self.void >= self.samples.len() {
            return Verdict::Void;
        }
        match self.goal {
            Goal::Told => Verdict::Told,
            goal if goal.is_met(middle(&self.samples).2) => Verdict::Met,
            _ => Verdict::Missed,
        }
    }

    /// As the table has it.
    pub(crate) fn line(&self) -> Line {
        let figures = match &self.samples[..] {
            [] => "- | - | - | -".to_owned(),
            samples => {
                let (kernel, own, figure) = middle(samples);
                let each = samples.iter().map(|sample| sample.2);
                let least = each.clone().fold(f64::INFINITY, f64::min);
                let most = each.fold(f64::NEG_INFINITY, f64::max);
                format!("{kernel:.1} | {own:.1} | {figure:.2} | {least:.2} to {most:.2}")
            }
        };
        let mut notes = format!("{:.2}", millis(self.late));
        if let Some(late) = self.void_late {
            let _ = write!(
                notes,
                "; {} of {} samples void: the bridge {:.2} late, {} frames without room",
                self.void,
                self.void + self.samples.len(),
                millis(late),
                self.void_dropped
            );
        }
        Line {
            verdict: self.verdict(),
            title: self.title.clone(),
            figures: format!("{figures} | {}", self.goal),
            notes,
        }
    }
}

/// A row that nothing came of.
pub(crate) fn failed(title: &str, error: &dyn Error) -> Line {
    Line {
        verdict: Verdict::Failed,
        title: title.to_owned(),
        figures: "- | - | - | - | -".to_owned(),
        notes: error.to_string().replace('|', "/"),
    }
}

/// What is said.
#[derive(Default)]
pub(crate) struct Report {
    /// Each sample is printed too.
    each: bool,
    /// What stands above the tables in the document.
    above: String,
    /// What stood above the last row.
    head: String,
}

impl Report {
    /// Nothing said yet.
    pub(crate) fn new(each: bool) -> Self {
        Self {
            each,
            ..Self::default()
        }
    }

    /// Prints what stands in the document as well, above the tables.
    fn line(&mut self, line: &str) {
        println!("{line}");
        self.above.push_str(line);
        self.above.push('\n');
    }

    /// Says what runs on what.
    pub(crate) fn machine(&mut self, settings: &Settings, rig: &Rig) {
        self.line("Linux and netloom over one userspace wire, in turns, with the same seeds.\n");
        self.line(&format!(
            "- {} samples of {:.1} s; medians, and the least and the most of the figure. {} processors, the last for the bridge.",
            settings.samples,
            settings.time.as_secs_f64(),
            rig.cpus
        ));
        self.line(&match &rig.no_priority {
            None => "- All of it has real-time priority: what else runs here waits.".to_owned(),
            Some(why) => format!("- No real-time priority, so the machine must be quiet: {why}."),
        });
        self.line(&match rig.not_steered() {
            None => "- The kernels take what the bridge writes on the other processors (RPS)."
                .to_owned(),
            Some(why) => format!("- The bridge does the kernels' receiving (no RPS: {why})."),
        });
        self.line(&format!("- {}.", kernel_version()));
        let set = SETTINGS.map(|(name, value)| format!("`{name} = {value}`"));
        self.line(&format!("- Set in both namespaces: {}.", set.join(", ")));
        self.line("- The algorithm is that of the route (`congctl`). TAPs and netloom's port without offload, MTU 1500.");
        self.line(&format!("- netloom: `{:?}`.", rig.options()));
        self.line(&format!(
            "- The wire itself takes {} ns for a frame; wires of at most {} Mbit/s, or one, are used at once.",
            super::bridge::wire_nanos(),
            settings.load
        ));
        self.line(&format!(
            "- Void: the bridge was late by more than {:.2} ms at its 99th percentile, or had no room.\n",
            millis(settings.late)
        ));
    }

    /// Prints the rows of a cell, below their table's head unless that was the last one, and the samples of each.
    pub(crate) fn rows(&mut self, head: &str, rows: &[(Line, Samples)]) {
        if self.head != head {
            head.clone_into(&mut self.head);
            println!("\n{}", kept::head(head));
        }
        for (line, samples) in rows {
            println!("{line}");
            for (kernel, own, figure) in samples.iter().filter(|_| self.each) {
                println!("  {kernel:.1} {own:.1} {figure:.2}");
            }
        }
    }

    /// Writes the document: how it was measured, and the table with its sum.
    pub(crate) fn write(&self, to: &Path, table: &str, sum: &Sum) -> io::Result<()> {
        let head = "# Beside Linux\n\nWritten by `cargo bench --bench linux -- --table FILE`; how it is measured stands in performance.md.\n\n";
        fs::write(to, format!("{head}{}{table}\n{sum}", self.above))
    }
}

/// What a kept cell must have been measured by, to stand beside those of now: the same program, in the same way.
pub(crate) fn measured_by(settings: &Settings) -> io::Result<String> {
    let program = fs::read(std::env::current_exe()?)?;
    // FNV-1a: which of a few builds it is.
    let build = program
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Ok(format!(
        "linux bench, build {build:016x}, {} samples of {:?}, void above {:?} {} times, load {}, {} of Linux, {}",
        settings.samples,
        settings.time,
        settings.late,
        settings.tries,
        settings.load,
        settings.least,
        kernel_version()
    ))
}

/// The kernel's name and version, as `uname` has them.
fn kernel_version() -> String {
    let Ok(name) = nix::sys::utsname::uname() else {
        return "Linux".to_owned();
    };
    let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
    format!(
        "{} {}, {}",
        text(name.sysname()),
        text(name.release()),
        text(name.machine())
    )
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
