//! The table.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

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

/// One line: the kernel's, netloom's, and what they make, by sample.
pub(crate) struct Row {
    title: String,
    goal: Goal,
    samples: Vec<(f64, f64, f64)>,
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
        if self.goal.is_met(middle(&self.samples).2) {
            Verdict::Met
        } else {
            Verdict::Missed
        }
    }
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    /// As many samples are worth nothing as there are others, or more.
    Void,
}

/// What is said, and all rows so far, counted.
#[derive(Default)]
pub(crate) struct Report {
    /// Each sample is printed too.
    each: bool,
    text: String,
    /// What stands above the next row.
    head: Option<String>,
    rows: usize,
    missed: Vec<String>,
    void: Vec<String>,
}

impl Report {
    /// Nothing said yet.
    pub(crate) fn new(each: bool) -> Self {
        Self {
            each,
            ..Self::default()
        }
    }

    /// Prints a line, or several.
    pub(crate) fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
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

    /// Begins a table, which is printed when it has a row.
    pub(crate) fn begin(&mut self, title: &str) {
        self.head = Some(title.to_owned());
    }

    /// Prints a row.
    pub(crate) fn row(&mut self, row: &Row) {
        let verdict = row.verdict();
        let figures = match &row.samples[..] {
            [] => "- | - | - | -".to_owned(),
            samples => {
                let (kernel, own, figure) = middle(samples);
                let each = samples.iter().map(|sample| sample.2);
                let least = each.clone().fold(f64::INFINITY, f64::min);
                let most = each.fold(f64::NEG_INFINITY, f64::max);
                format!("{kernel:.1} | {own:.1} | {figure:.2} | {least:.2} to {most:.2}")
            }
        };
        let word = match (verdict, row.goal) {
            (Verdict::Met, Goal::Told) => "told",
            (Verdict::Met, _) => "met",
            (Verdict::Missed, _) => "MISSED",
            (Verdict::Void, _) => "void",
        };
        let void = match row.void_late {
            Some(late) => format!(
                ", {} void: late by {:.2}, {} frames without room",
                row.void,
                millis(late),
                row.void_dropped
            ),
            None => String::new(),
        };
        let late = millis(row.late);
        let text = format!("{figures} | {} | {late:.2}{void}", row.goal);
        self.one(&row.title, &text, word);
        if self.each {
            // Not in the document, which is a table.
            for (kernel, own, figure) in &row.samples {
                println!("  {kernel:.1} {own:.1} {figure:.2}");
            }
        }
        match verdict {
            Verdict::Met => {}
            Verdict::Missed => self.missed.push(row.title.clone()),
            Verdict::Void => self.void.push(row.title.clone()),
        }
    }

    /// Prints that nothing came of a row: as bad as a goal that was missed.
    pub(crate) fn failed(&mut self, title: &str, error: &dyn Error) {
        self.one(title, &format!("- | - | - | - | - | {error}"), "FAILED");
        self.missed.push(title.to_owned());
    }

    fn one(&mut self, title: &str, text: &str, word: &str) {
        if let Some(head) = self.head.take() {
            self.line(&format!(
                "\n| {head} | Linux | netloom | figure | range | goal | bridge late, ms | |\n|---|---|---|---|---|---|---|---|"
            ));
        }
        self.rows += 1;
        self.line(&format!("| {title} | {text} | {word} |"));
    }

    /// Prints the sum; was any goal missed, or nothing measured? A void row tells nothing of netloom.
    pub(crate) fn end(&mut self) -> bool {
        let counts = [self.rows, self.missed.len(), self.void.len()];
        let [rows, missed, void] = counts;
        self.line(&format!("\n{rows} rows: {missed} missed, {void} void."));
        for (what, titles) in [("Missed", self.missed.clone()), ("Void", self.void.clone())] {
            if !titles.is_empty() {
                self.line(&format!("\n{what}: {}.", titles.join("; ")));
            }
        }
        missed > 0 || void == rows
    }

    /// Writes all that was printed.
    pub(crate) fn write(&self, to: &Path) -> io::Result<()> {
        let head = "# Beside Linux\n\nWritten by `cargo bench --bench linux -- --table FILE`; how it is measured stands in performance.md.\n\n";
        fs::write(to, format!("{head}{}", self.text))
    }
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
