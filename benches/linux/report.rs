//! The table.

use std::time::Duration;

use crate::measure::middle;
use crate::rig::{Rig, SETTINGS};
use crate::settings::Settings;

/// What a row's last figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Between(f64, f64),
}

impl Goal {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
            Self::Between(least, most) => (least..=most).contains(&figure),
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
    /// Samples that do not count, and the least that the bridge was late in a run of them.
    void: usize,
    void_late: Option<Duration>,
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
        }
    }

    pub(crate) fn add(&mut self, late: Duration, kernel: f64, own: f64, figure: f64) {
        self.late = self.late.max(late);
        self.samples.push((kernel, own, figure));
    }

    /// A sample that is worth nothing: so late was the bridge in a run of it.
    pub(crate) fn add_void(&mut self, late: Duration) {
        self.void += 1;
        self.void_late = Some(self.void_late.map_or(late, |least| least.min(late)));
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

/// All rows so far, counted.
#[derive(Default)]
pub(crate) struct Report {
    /// What stands above the next row.
    head: Option<String>,
    rows: usize,
    missed: usize,
    void: usize,
}

pub(crate) fn print_head(settings: &Settings, rig: &Rig) {
    println!("Linux and netloom over one userspace wire, in turns, with the same seeds.");
    println!(
        "{} samples of {:.1} s; median, and the least and the most of the ratio. {} processors, the last for the bridge.",
        settings.samples,
        settings.time.as_secs_f64(),
        rig.cpus
    );
    match &rig.no_priority {
        None => println!("All of it has real-time priority: what else runs here waits."),
        Some(why) => println!("No real-time priority, so the machine must be quiet: {why}."),
    }
    let set = SETTINGS.map(|(name, value)| format!("{name} = {value}"));
    println!("Set in both namespaces: {}.", set.join(", "));
    println!(
        "The algorithm is that of the route (congctl). TAPs and netloom's port without offload, MTU 1500;"
    );
    println!("netloom: {:?}.", rig.host.tcp_options());
    println!(
        "The wire itself takes {} ns for a frame.",
        crate::bridge::wire_nanos()
    );
    println!(
        "Void: the bridge was late by more than {:.2} ms at its 99th percentile, or had no room.",
        settings.late.as_secs_f64() * 1000.0
    );
}

impl Report {
    /// Begins a table, which is printed when it has a row.
    pub(crate) fn begin(&mut self, title: &str) {
        self.head = Some(title.to_owned());
    }

    /// Prints a row.
    pub(crate) fn row(&mut self, row: &Row) {
        if let Some(title) = self.head.take() {
            println!("\n| {title} | Linux | netloom | figure | range | bridge late, ms | |");
            println!("|---|---|---|---|---|---|---|");
        }
        let verdict = row.verdict();
        let (kernel, own, figure) = middle(&row.samples);
        let figures = row.samples.iter().map(|sample| sample.2);
        let least = figures.clone().fold(f64::INFINITY, f64::min);
        let most = figures.fold(0.0, f64::max);
        let word = match verdict {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Void => "void",
        };
        let void = match row.void_late {
            Some(late) => format!(", {} void, late by {:.2}", row.void, millis(late)),
            None => String::new(),
        };
        self.rows += 1;
        self.void += usize::from(verdict == Verdict::Void);
        self.missed += usize::from(verdict == Verdict::Missed);
        println!(
            "| {} | {kernel:.1} | {own:.1} | {figure:.2} | {least:.2} to {most:.2} | {:.2}{void} | {word} |",
            row.title,
            millis(row.late)
        );
    }

    /// Prints the sum; was any goal missed, or nothing measured? A void row tells nothing of netloom.
    pub(crate) fn end(&self) -> bool {
        println!(
            "\n{} rows: {} missed, {} void.",
            self.rows, self.missed, self.void
        );
        self.missed > 0 || self.void == self.rows
    }
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
