//! Runs what was asked for, a line each, and sums up.

use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use crate::combos::{CLEAN, Combo, LOSSY};
use crate::namespace;
use crate::run::{Flow, Outcome, run};

/// What takes longer is stuck: a single step waits at most 10 s.
const LIMIT: Duration = Duration::from_secs(30);
/// A combination is slow below this part of its neighbours' median.
const SLOW: f64 = 0.1;

struct Settings {
    loss: bool,
    only: Vec<String>,
    sending: Duration,
}

impl Settings {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            loss: false,
            only: Vec::new(),
            sending: Duration::from_millis(300),
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match &arg[..] {
                "--loss" => settings.loss = true,
                "--only" => settings.only.push(value()?),
                "--millis" => {
                    let text = value()?;
                    let millis = text.parse().ok().filter(|&millis: &u64| millis > 0);
                    let millis = millis.ok_or_else(|| format!("{text} is no number"))?;
                    settings.sending = Duration::from_millis(millis);
                }
                // Cargo's own word.
                "--bench" => {}
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        Ok(settings)
    }

    fn combos(&self) -> Vec<Combo> {
        let mut combos = Combo::all(if self.loss { LOSSY } else { CLEAN });
        combos.retain(|combo| {
            let line = combo.to_string();
            self.only.iter().all(|text| line.contains(&text[..]))
        });
        combos
    }
}

pub(crate) fn main(args: impl Iterator<Item = String>) -> Result<ExitCode, String> {
    let settings = Settings::from_args(args)?;
    // Before the first thread.
    namespace::enter()?;
    let combos = settings.combos();
    if combos.is_empty() {
        return Err(format!("nothing holds {:?}", settings.only));
    }
    let start = Instant::now();
    let (mut passed, mut failed, mut missing) = (Vec::new(), Vec::new(), 0);
    for combo in &combos {
        let result = apart(*combo, settings.sending);
        println!("{:<45} {}", combo.to_string(), line(&result));
        match result {
            Ok(Ok(outcome)) => passed.push((*combo, outcome)),
            Ok(Err(_)) => missing += 1,
            Err(error) => failed.push((*combo, error)),
        }
    }
    println!();
    for (combo, rate, median) in slow(&passed) {
        println!("slow: {combo}: {rate:.3} Gbit/s, its neighbours' median is {median:.3}");
    }
    for (combo, error) in &failed {
        println!("failed: {combo}: {error}");
    }
    println!(
        "{} passed, {} failed, {missing} cannot run here, {:.0} s",
        passed.len(),
        failed.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Passed, or the reason why it cannot run here; or what went wrong.
type Run = Result<Result<Outcome, String>, String>;

fn line(result: &Run) -> String {
    let outcome = match result {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(reason)) => return format!("not run: {reason}"),
        Err(error) => return format!("FAILED: {}", error.lines().next().unwrap_or_default()),
    };
    let rate = |flow: Option<Flow>| match flow {
        Some(flow) => format!("{:7.3}", flow.gigabits_per_sec()),
        None => "      -".to_owned(),
    };
    let took = outcome.sent.iter().chain(&outcome.received);
    let took = took.map(|flow| flow.took).max().unwrap_or_default();
    let (ours, theirs) = outcome.timeouts;
    format!(
        "out {} in {} Gbit/s {:5.2} s, {ours}+{theirs} time-outs, {} overflowed, hash ok",
        rate(outcome.sent),
        rate(outcome.received),
        took.as_secs_f64(),
        outcome.overflow
    )
}

/// Runs one in a thread and a network namespace of its own.
fn apart(combo: Combo, sending: Duration) -> Run {
    let (running, ended) = mpsc::channel::<()>();
    let thread = thread::Builder::new().spawn(move || {
        let _dropped_at_the_end = running;
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        run(&combo, sending)
    });
    let thread = thread.map_err(|error| format!("no thread: {error}"))?;
    if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        // Its thread stays behind, in its own namespace, until the process ends.
        return Err(format!("stuck: did not end within {LIMIT:?}"));
    }
    thread.join().map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("it panicked").to_owned()
    })
}

/// What is far below its neighbours: its rate, their median.
fn slow(passed: &[(Combo, Outcome)]) -> Vec<(Combo, f64, f64)> {
    let median = |combo: &Combo| {
        let neighbours = passed
            .iter()
            .filter(|(other, _)| combo.distance(other) == 1);
        let mut rates: Vec<f64> = neighbours.map(|(_, outcome)| outcome.slowest()).collect();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied()
    };
    let judged = passed.iter().filter_map(|(combo, outcome)| {
        let (rate, median) = (outcome.slowest(), median(combo)?);
        (rate < SLOW * median).then_some((*combo, rate, median))
    });
    judged.collect()
}
