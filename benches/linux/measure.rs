//! The runs of each job, again when the bridge was too late for them, and what they are held against.

use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::common::median;
use super::flows::{Ends, bulk, next_port, replies};
use super::kept::{Kept, Line};
use super::lane::{Seen, Setup};
use super::looks::{Look, Looks};
use super::picture::picture;
use super::plan::{Job, What};
use super::report::{Goal, Report, Row, Samples, failed, millis};
use super::rig::{self, Failed, Rig, Station};
use super::settings::Settings;

/// Runs those of these jobs that are still to be measured, and prints and keeps the rows of each as it is done; then again
/// those that are void, as often as is wanted.
pub(crate) fn run(
    settings: &Settings,
    jobs: &[Job],
    rig: &Rig,
    report: &mut Report,
    kept: &mut Kept,
) -> Result<(), Failed> {
    let start = Instant::now();
    for round in 0..=settings.rounds {
        let left = |kept: &Kept| -> Vec<&Job> {
            let left = |job: &&Job| !kept.cells.is_done(&job.title());
            jobs.iter().filter(left).collect()
        };
        let jobs = left(kept);
        if round == 0 || !jobs.is_empty() {
            let end = settings.minutes.map(|minutes| start + minutes);
            round_of(settings, jobs, rig, report, kept, end)?;
        }
    }
    println!("\nTook {}.", minutes(start.elapsed()));
    Ok(())
}

/// Runs these jobs in turn; none begins behind `end`.
fn round_of(
    settings: &Settings,
    jobs: Vec<&Job>,
    rig: &Rig,
    report: &mut Report,
    kept: &mut Kept,
    end: Option<Instant>,
) -> Result<(), Failed> {
    let mut left: Duration = jobs.iter().map(|job| job.time(settings)).sum();
    let most = left + left.mul_f64(settings.again);
    println!(
        "{} cells to measure: {} without repeats, at most {} with those of void runs.",
        jobs.len(),
        minutes(left),
        minutes(most)
    );
    let start = Instant::now();
    for job in jobs {
        left = left.saturating_sub(job.time(settings));
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(());
        }
        let title = job.title();
        if let Err(error) = rig.set(job.kernel, job.own.clone(), job.has_ecn()) {
            println!("\n{title}: skipped, no {}: {error}", job.kernel);
            continue;
        }
        let bench = Bench {
            settings,
            rig,
            job,
            until: start + most.saturating_sub(left),
        };
        let rows = match bench.samples() {
            Ok(samples) => {
                bench.draw(&samples)?;
                bench.rows(&samples)
            }
            Err(error) => vec![(failed(&title, &*error), Vec::new())],
        };
        report.rows(&job.head(), &rows);
        let lines = rows.into_iter().map(|(line, _)| line).collect();
        kept.put(&title, lines)?;
    }
    Ok(())
}

struct Bench<'a> {
    settings: &'a Settings,
    rig: &'a Rig,
    job: &'a Job,
    /// No run is repeated that would end later.
    until: Instant,
}

/// One run, of a sample.
#[derive(Clone, Copy, Debug)]
struct Run {
    seed: u64,
    /// Its place among the runs of the sample.
    way: usize,
    tries: usize,
}

/// A run's result.
#[derive(Debug)]
enum Value {
    /// Of each sender, Mbit/s.
    Rates(Vec<f64>),
    /// In their order.
    Times(Vec<Duration>),
}

impl Value {
    fn rate(&self, of: usize) -> f64 {
        match self {
            Self::Rates(rates) => rates.get(of).copied().unwrap_or(f64::NAN),
            Self::Times(_) => f64::NAN,
        }
    }

    fn times(&self) -> &[Duration] {
        match self {
            Self::Rates(_) => &[],
            Self::Times(times) => times,
        }
    }
}

/// A result, and what the bridge saw of it.
struct Outcome {
    value: Value,
    seen: Seen,
    is_valid: bool,
    looks: Vec<(Station, Vec<Look>)>,
}

/// The outcomes of a seed, one for each way.
type Sample = (u64, Vec<Outcome>);

impl Bench<'_> {
    /// All runs, as many at once as the bridge has the time for, each over wires of its own.
    fn samples(&self) -> Result<Vec<Sample>, Failed> {
        let seeds = 1..=self.settings.samples as u64;
        let ways = self.job.ways(1).len();
        let mut waiting = VecDeque::new();
        for seed in seeds.clone() {
            // Who begins changes: what else the machine does falls on both.
            for way in 0..ways {
                let way = if seed % 2 == 0 { way } else { ways - 1 - way };
                let tries = 0;
                waiting.push_back(Run { seed, way, tries });
            }
        }
        let mut done: Vec<(Run, Outcome)> = Vec::new();
        while let Some(&Run { tries, .. }) = waiting.front() {
            // What the bridge was too late for has fewer beside it the next time.
            let most = (self.job.at_once(self.settings) >> tries).max(1);
            let same = waiting.iter().take_while(|run| run.tries == tries);
            let count = same.count().min(most);
            let together: Vec<Run> = waiting.drain(..count).collect();
            for (mut run, outcome) in self.together(&together)? {
                run.tries += 1;
                let is_time = Instant::now() + self.job.time_of_run(self.settings) < self.until;
                if outcome.is_valid || run.tries >= self.settings.tries || !is_time {
                    done.push((run, outcome));
                } else {
                    waiting.push_back(run);
                }
            }
        }
        done.sort_by_key(|(run, _)| (run.seed, run.way));
        let mut samples: Vec<Sample> = seeds.map(|seed| (seed, Vec::new())).collect();
        for (run, outcome) in done {
            samples[run.seed as usize - 1].1.push(outcome);
        }
        Ok(samples)
    }

    fn together(&self, runs: &[Run]) -> Result<Vec<(Run, Outcome)>, Failed> {
        let outcomes = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for &run in runs {
                let outcomes = &outcomes;
                scope.spawn(move || {
                    let outcome = self.one(run);
                    let mut outcomes = outcomes.lock().expect("no thread panicked");
                    outcomes.push(outcome.map(|outcome| (run, outcome)));
                });
            }
        });
        let outcomes = outcomes.into_inner().map_err(|_| "a run panicked")?;
        outcomes.into_iter().collect()
    }

    /// Runs it over fresh wires.
    fn one(&self, run: Run) -> Result<Outcome, Failed> {
        let (from, to) = self.job.ways(run.seed).swap_remove(run.way);
        let ports: Vec<u16> = from.iter().map(|_| next_port()).collect();
        let first = ports[0];
        let (there, back) = self.job.cell.wires(self.job.queue_percent());
        self.rig.bridge.begin(Setup {
            there,
            back,
            seed: run.seed,
            receiver: to as usize,
            ports: ports.clone(),
        })?;
        let ends = Ends { from, to, ports };
        let unsteered = rig::unsteered();
        // Before the wires go: what a full window does without them, until it is reset, is not of the run.
        let end = || {
            let unsteered = rig::unsteered() - unsteered;
            let mut seen = self.rig.bridge.end(first)?;
            seen.dropped += unsteered;
            Ok(seen)
        };
        let looks = self.settings.plot.is_some().then(Looks::default);
        let (value, seen) = match self.job.what {
            What::Replies => {
                let (mut times, seen) = replies(self.rig, &ends, (8, 250), end)?;
                times.sort_unstable();
                (Value::Times(times), seen)
            }
            _ => {
                let span = self.job.span(self.settings);
                let (bytes, seen) = bulk(self.rig, &ends, span, looks.as_ref(), end)?;
                // The kernel's first, whoever began.
                let mut rates: Vec<_> = ends.from.iter().zip(bytes).collect();
                rates.sort_by_key(|(station, _)| **station == Station::Own);
                let rates = rates.iter().map(|rate| megabits(rate.1, span.time));
                (Value::Rates(rates.collect()), seen)
            }
        };
        Ok(Outcome {
            is_valid: seen.error() <= self.settings.late && seen.dropped == 0,
            value,
            seen,
            looks: looks.map(Looks::into_senders).unwrap_or_default(),
        })
    }

    /// A picture of each sample, if they are wanted.
    fn draw(&self, samples: &[Sample]) -> Result<(), Failed> {
        let Some(folder) = &self.settings.plot else {
            return Ok(());
        };
        fs::create_dir_all(folder)?;
        for (seed, outcomes) in samples {
            let title = format!("{}, seed {seed}", self.job.title());
            let looks = outcomes.iter().flat_map(|run| run.looks.iter().cloned());
            let svg = picture(&title, &looks.collect::<Vec<_>>());
            let words = title.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
            let name = words.filter(|word| !word.is_empty()).collect::<Vec<_>>();
            fs::write(folder.join(format!("{}.svg", name.join("-"))), svg)?;
        }
        Ok(())
    }

    fn rows(&self, samples: &[Sample]) -> Vec<(Line, Samples)> {
        let ratio = |[kernel, own]: [f64; 2]| own / kernel;
        let least = Goal::AtLeast(self.settings.least);
        match self.job.what {
            What::Rivals(_, share) => {
                let pair = |runs: &[Outcome]| [0, 1].map(|of| runs[0].value.rate(of));
                let part = |[kernel, own]: [f64; 2]| own / (kernel + own);
                vec![self.row("", share, samples, pair, part)]
            }
            What::Replies => {
                // Judged by the mean of the slowest five of a hundred: one reply in a hundred loses its last segment, which
                // only a timer repairs, so that the slowest one is that time or not by the toss of a coin. It is told.
                let most = Goal::AtMost(1.1);
                let p99 = |runs: &[Outcome]| {
                    [0, 1].map(|way: usize| millis(percentile(runs[way].value.times(), 99)))
                };
                let slowest = |runs: &[Outcome]| {
                    [0, 1].map(|way: usize| millis(mean_of_slowest(runs[way].value.times(), 5)))
                };
                let name = ", mean of the slowest 5 %";
                vec![
                    self.row(name, most, samples, slowest, ratio),
                    self.row(", p99", Goal::Told, samples, p99, ratio),
                ]
            }
            What::Senders | What::Receivers => {
                let rates = |runs: &[Outcome]| [0, 1].map(|way: usize| runs[way].value.rate(0));
                let name = if self.job.has_ecn() { ", Mbit/s" } else { "" };
                let mut rows = vec![self.row(name, least, samples, rates, ratio)];
                if self.job.has_ecn() {
                    rows.extend(self.mark_rows(samples));
                }
                rows
            }
        }
    }

    /// Marks came in the place of all drops, and of a long queue.
    fn mark_rows(&self, samples: &[Sample]) -> [(Line, Samples); 3] {
        let own = |[_, own]: [f64; 2]| own;
        let count = |of: fn(&Seen) -> u64| {
            move |runs: &[Outcome]| [0, 1].map(|way: usize| of(&runs[way].seen) as f64)
        };
        let marks = count(|seen| seen.there.marked);
        let drops = count(|seen| seen.there.overflowed + seen.there.refused);
        let rate = self.job.cell.rate;
        let queue = |runs: &[Outcome]| {
            let delay = |bytes: u64| bytes as f64 * 8.0 / 1e3 / rate as f64;
            [0, 1].map(|way: usize| delay(runs[way].seen.mean_queue()))
        };
        let ratio = |[kernel, own]: [f64; 2]| own / kernel;
        let name = ", mean queue, ms";
        [
            self.row(", marks", Goal::AtLeast(1.0), samples, marks, own),
            self.row(", drops", Goal::AtMost(0.0), samples, drops, own),
            self.row(name, Goal::Told, samples, queue, ratio),
        ]
    }

    /// A row of the kernel's figure and netloom's, and what they make. A sample is worth as much as the worst of
    /// its runs.
    fn row(
        &self,
        name: &str,
        goal: Goal,
        samples: &[Sample],
        pair: impl Fn(&[Outcome]) -> [f64; 2],
        figure: impl Fn([f64; 2]) -> f64,
    ) -> (Line, Samples) {
        let mut row = Row::new(format!("{}{name}", self.job.title()), goal);
        for (_, runs) in samples {
            let late = runs.iter().map(|run| run.seen.error()).max();
            let late = late.unwrap_or_default();
            if runs.iter().all(|run| run.is_valid) {
                let pair = pair(runs);
                row.add(late, pair, figure(pair));
            } else {
                let dropped = runs.iter().map(|run| run.seen.dropped).sum();
                row.add_void(late, dropped);
            }
        }
        (row.line(), row.samples)
    }
}

fn megabits(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8.0 / 1e6 / time.as_secs_f64()
}

fn minutes(time: Duration) -> String {
    format!("{:.1} minutes", time.as_secs_f64() / 60.0)
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
    let column =
        |of: fn(&(f64, f64, f64)) -> f64| median(samples.iter().map(of)).unwrap_or(f64::NAN);
    (column(|s| s.0), column(|s| s.1), column(|s| s.2))
}
