//! What is measured, how often, and what it is held against.

use std::error::Error;
use std::time::Duration;

use netloom::tcp::congestion::Choice;

use crate::bridge::{Seen, Setup};
use crate::cells::{Cell, Trouble};
use crate::flows::{bulk, replies};
use crate::report::{Goal, Report, Row, median, millis};
use crate::rig::{Rig, Station};
use crate::settings::Settings;

type Failed = Box<dyn Error>;

/// Who is held against whom: the kernel's algorithm by its name, netloom's, and the share that netloom's
/// takes beside it in one queue.
const MATCHES: [(&str, Choice, Goal); 4] = [
    ("reno", Choice::Reno, Goal::Between(0.4, 0.6)),
    ("cubic", Choice::Cubic, Goal::Between(0.4, 0.6)),
    ("bbr", Choice::Bbr, Goal::Between(0.4, 0.6)),
    // Linux has no version 3.
    ("cubic", Choice::Bbr3, Goal::Between(0.25, 0.8)),
];

/// Runs all that was asked for, and prints each row as it is done.
pub(crate) fn run(settings: &Settings, rig: &Rig, report: &mut Report) -> Result<(), Failed> {
    let bench = Bench { settings, rig };
    for (kernel, own, share) in MATCHES {
        let algorithm = own.name();
        if let Err(error) = rig.use_algorithms(kernel, own.clone()) {
            println!("\n{algorithm}: skipped, the kernel has no {kernel}: {error}");
            continue;
        }
        report.begin(&format!(
            "{algorithm} beside {kernel}: to the kernel, Mbit/s"
        ));
        for cell in &settings.cells {
            bench.senders(algorithm, cell, report)?;
        }
        if settings.senders_only {
            continue;
        }
        // What the kernel sends has its own algorithm: once for each.
        if algorithm == kernel {
            report.begin(&format!("{kernel}: from the kernel, Mbit/s"));
            for cell in Cell::few() {
                bench.receivers(algorithm, &cell, report)?;
            }
        }
        report.begin(&format!(
            "{algorithm} beside {kernel}: in one queue, Mbit/s and share"
        ));
        for queue_percent in [100, 200, 400] {
            bench.rivals(algorithm, share, queue_percent, report)?;
        }
        report.begin(&format!(
            "{algorithm} beside {kernel}: replies of 10 kB, ms"
        ));
        bench.replies(algorithm, report)?;
    }
    Ok(())
}

struct Bench<'a> {
    settings: &'a Settings,
    rig: &'a Rig,
}

/// A result, and how late the bridge was for it.
struct Sample<T> {
    value: T,
    late: Duration,
    valid: bool,
}

/// What the runs of a pair are worth: as much as the worse of them.
#[derive(Default)]
struct Trust {
    late: Duration,
    void: Option<Duration>,
}

impl Trust {
    fn note<T>(&mut self, sample: Sample<T>) -> T {
        self.late = self.late.max(sample.late);
        if !sample.valid {
            self.void = self.void.max(Some(sample.late));
        }
        sample.value
    }

    fn add(&self, row: &mut Row, [kernel, own]: [f64; 2], figure: f64) {
        match self.void {
            Some(late) => row.add_void(late),
            None => row.add(self.late, kernel, own, figure),
        }
    }
}

impl Bench<'_> {
    fn senders(&self, algorithm: &str, cell: &Cell, report: &mut Report) -> Result<(), Failed> {
        let title = format!("{algorithm}, {cell}");
        let ways = [(Station::Near, Station::Far), (Station::Own, Station::Far)];
        self.pair(title, cell, ways, report)
    }

    fn receivers(&self, algorithm: &str, cell: &Cell, report: &mut Report) -> Result<(), Failed> {
        let title = format!("{algorithm}, received, {cell}");
        let ways = [(Station::Near, Station::Far), (Station::Near, Station::Own)];
        self.pair(title, cell, ways, report)
    }

    /// Bulk each way in turn.
    fn pair(
        &self,
        title: String,
        cell: &Cell,
        ways: [(Station, Station); 2],
        report: &mut Report,
    ) -> Result<(), Failed> {
        if !self.settings.wants(&title) {
            return Ok(());
        }
        let mut row = Row::new(title, Goal::AtLeast(self.settings.least));
        for seed in self.seeds() {
            let mut rates = [0.0; 2];
            let mut trust = Trust::default();
            // Who begins changes: what else the machine does falls on both.
            for way in [(seed % 2) as usize, 1 - (seed % 2) as usize] {
                let (from, to) = ways[way];
                let span = (Duration::ZERO, self.settings.time);
                let sample = self.valid(seed, cell, 100, to, |end| {
                    let (bytes, seen) = bulk(self.rig, &[from], to, span, end)?;
                    Ok((megabits(bytes[0], self.settings.time), seen))
                })?;
                rates[way] = trust.note(sample);
            }
            trust.add(&mut row, rates, rates[1] / rates[0]);
        }
        report.row(&row);
        Ok(())
    }

    /// One flow of each in one queue; the second half counts.
    fn rivals(
        &self,
        algorithm: &str,
        share: Goal,
        queue_percent: usize,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let bdp = queue_percent / 100;
        let cell = Cell::new(Trouble::Clean, 20, 50);
        let title = format!("{algorithm}, rivals, {cell}, {bdp} BDP");
        if !self.settings.wants(&title) {
            return Ok(());
        }
        let time = self.settings.time * 4;
        let mut row = Row::new(title, share);
        for seed in self.seeds() {
            let sample = self.valid(seed, &cell, queue_percent, Station::Far, |end| {
                let from = [Station::Near, Station::Own];
                bulk(self.rig, &from, Station::Far, (time / 2, time), end)
            })?;
            let mut trust = Trust::default();
            let bytes = trust.note(sample);
            let rates = [0, 1].map(|who| megabits(bytes[who], time / 2));
            trust.add(&mut row, rates, rates[1] / (rates[0] + rates[1]));
        }
        report.row(&row);
        Ok(())
    }

    /// The slowest of a hundred, and the mean of the slowest five: where one reply in a hundred loses its
    /// last segment, which only a timer repairs, the first is that time or not by the toss of a coin.
    fn replies(&self, algorithm: &str, report: &mut Report) -> Result<(), Failed> {
        let cell = Cell::new(Trouble::Loss(10_000), 20, 100);
        let title = format!("{algorithm}, replies, {cell}");
        if !self.settings.wants(&title) {
            return Ok(());
        }
        let figures: [fn(&[Duration]) -> f64; 2] = [
            |times| millis(percentile(times, 99)),
            |times| millis(mean_of_slowest(times, 5)),
        ];
        let names = ["p99", "mean of the slowest 5 %"];
        let mut rows = names.map(|n| Row::new(format!("{title}, {n}"), Goal::AtMost(1.1)));
        for seed in self.seeds() {
            let mut times = [Vec::new(), Vec::new()];
            let mut trust = Trust::default();
            for (place, server) in [Station::Near, Station::Own].into_iter().enumerate() {
                let ends = (server, Station::Far);
                let sample = self.valid(seed, &cell, 100, Station::Far, |end| {
                    replies(self.rig, ends, (8, 250), end)
                })?;
                times[place] = trust.note(sample);
                times[place].sort_unstable();
            }
            for (row, figure) in rows.iter_mut().zip(figures) {
                let [kernel, own] = [0, 1].map(|place: usize| figure(&times[place]));
                trust.add(row, [kernel, own], own / kernel);
            }
        }
        rows.iter().for_each(|row| report.row(row));
        Ok(())
    }

    fn seeds(&self) -> std::ops::RangeInclusive<u64> {
        1..=self.settings.samples as u64
    }

    /// Runs `work` over fresh wires, again when the bridge was too late.
    fn valid<T>(
        &self,
        seed: u64,
        cell: &Cell,
        queue_percent: usize,
        receiver: Station,
        work: impl Fn(&dyn Fn() -> Result<Seen, Failed>) -> Result<(T, Seen), Failed>,
    ) -> Result<Sample<T>, Failed> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (there, back) = cell.wires(queue_percent);
            self.rig.bridge.begin(Setup {
                there,
                back,
                seed,
                receiver: receiver as usize,
            })?;
            let (value, seen) = work(&|| self.rig.bridge.end())?;
            let late = seen.error();
            let valid = late <= self.settings.late && seen.dropped == 0;
            if valid || tries == self.settings.tries {
                return Ok(Sample { value, late, valid });
            }
        }
    }
}

fn megabits(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8.0 / 1e6 / time.as_secs_f64()
}

/// Of times in their order.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

/// Of times in their order.
fn mean_of_slowest(times: &[Duration], percent: usize) -> Duration {
    let slowest = &times[times.len() - times.len() * percent / 100..];
    slowest.iter().sum::<Duration>() / slowest.len().max(1) as u32
}

/// The middle one of each.
pub(crate) fn middle(samples: &[(f64, f64, f64)]) -> (f64, f64, f64) {
    let column = |of: fn(&(f64, f64, f64)) -> f64| median(samples.iter().map(of).collect());
    (column(|s| s.0), column(|s| s.1), column(|s| s.2))
}
