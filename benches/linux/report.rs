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
    late: Duration,
    void: usize,
}

impl Row {
    pub(crate) const fn new(title: String, goal: Goal) -> Self {
        Self {
            title,
            goal,
            samples: Vec::new(),
            late: Duration::ZERO,
            void: 0,
        }
    }

    pub(crate) fn add(&mut self, kernel: f64, own: f64, figure: f64) {
        self.samples.push((kernel, own, figure));
    }

    /// How late the bridge was in a run, and whether that run is worth anything.
    pub(crate) fn note(&mut self, late: Duration, valid: bool) {
        self.late = self.late.max(late);
        self.void += usize::from(!valid);
    }
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
        let (kernel, own, figure) = middle(&row.samples);
        let figures = row.samples.iter().map(|sample| sample.2);
        let least = figures.clone().fold(f64::INFINITY, f64::min);
        let most = figures.fold(0.0, f64::max);
        let met = row.goal.is_met(figure);
        let verdict = match (row.void, met) {
            (0, true) => "met".to_owned(),
            (0, false) => "MISSED".to_owned(),
            (void, _) => format!("void: {void} runs"),
        };
        self.rows += 1;
        self.void += usize::from(row.void > 0);
        self.missed += usize::from(row.void == 0 && !met);
        println!(
            "| {} | {kernel:.1} | {own:.1} | {figure:.2} | {least:.2} to {most:.2} | {:.2} | {verdict} |",
            row.title,
            row.late.as_secs_f64() * 1000.0
        );
    }

    /// Prints the sum; was any goal missed, or nothing measured?
    pub(crate) fn end(&self) -> bool {
        println!(
            "\n{} rows: {} missed, {} void.",
            self.rows, self.missed, self.void
        );
        self.missed > 0 || self.void > 0 || self.rows == 0
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
