//! Every scenario of `netloom::sim::scenario` at all its seeds, on all processors:
//! `cargo bench --bench scenarios -- [ID]...`.
//!
//! Writes `docs/scenarios.md`, draws what was missed into `target/scenarios/`, and fails when anything was. With
//! ids behind it only those run, and only their rows are written anew. `cargo test --test congestion` fails when the table lacks a scenario or is older than one.

mod report;
#[path = "../../tests/congestion/table.rs"]
#[allow(dead_code, reason = "the tests check it too")]
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use netloom::sim::scenario::{self, Scenario, Verdict, Watch};
use netloom::sim::{Plot, Sampling};

/// One run that has ended.
struct Done {
    verdicts: Vec<Verdict>,
    simulated: Duration,
    took: Duration,
}

impl Done {
    fn is_met(&self) -> bool {
        self.verdicts.iter().all(Verdict::is_met)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("scenarios: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, String> {
    // Cargo says `--bench`.
    let ids: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let chosen = choose(&ids)?;
    let began = Instant::now();
    let done = run_all(&chosen)?;
    println!("{} scenarios in {:.0?}", chosen.len(), began.elapsed());
    let mut missed = 0;
    for (scenario, runs) in chosen.iter().zip(&done) {
        let miss = (1..).zip(runs).find(|(_, run)| !run.is_met());
        if let Some((seed, run)) = miss {
            missed += 1;
            let path = draw(scenario, seed, run.simulated)?;
            println!("{} missed: {}", scenario.id, path.display());
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios.md");
    let old = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {error}", path.display()));
        }
        read => read.unwrap_or_default(),
    };
    std::fs::write(&path, report::table(&old, &chosen, &done))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    match missed {
        0 => Ok(ExitCode::SUCCESS),
        missed => Err(format!("{missed} of {} missed", chosen.len())),
    }
}

fn choose(ids: &[String]) -> Result<Vec<&'static Scenario>, String> {
    if ids.is_empty() {
        return Ok(scenario::all().collect());
    }
    let find = |id: &String| scenario::find(id).ok_or_else(|| format!("no scenario `{id}`"));
    ids.iter().map(find).collect()
}

/// The runs of each scenario, by seed from 1 on. The last in the list are the longest, so they begin first.
fn run_all(chosen: &[&'static Scenario]) -> Result<Vec<Vec<Done>>, String> {
    let of = |scenario: &&'static Scenario| {
        let scenario = *scenario;
        (1..=u64::from(scenario.seeds)).map(move |seed| (scenario, seed))
    };
    let jobs: Vec<_> = chosen.iter().rev().flat_map(of).collect();
    let next = AtomicUsize::new(0);
    let ended = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&(scenario, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = run_one(scenario, seed);
                    ended.lock().expect(NOBODY).push((scenario.id, seed, done));
                }
            });
        }
    });
    let mut ended = ended.into_inner().expect(NOBODY);
    ended.sort_by_key(|&(id, seed, _)| (id, seed));
    let mut runs: Vec<Vec<Done>> = chosen.iter().map(|_| Vec::new()).collect();
    for (id, _, done) in ended {
        let at = chosen.iter().position(|scenario| scenario.id == id);
        runs[at.expect("it was chosen")].push(done?);
    }
    Ok(runs)
}

const NOBODY: &str = "no thread panicked";

fn run_one(scenario: &'static Scenario, seed: u64) -> Result<Done, String> {
    let began = Instant::now();
    let outcome = scenario.run(seed, Watch::nothing());
    let outcome = outcome.map_err(|error| format!("{}: {error}", scenario.id))?;
    let done = Done {
        verdicts: outcome.verdicts,
        simulated: outcome.simulated,
        took: began.elapsed(),
    };
    let speed = done.simulated.as_secs_f64() / done.took.as_secs_f64();
    let mut line = format!("{} seed {seed}, {speed:.0} times real time", scenario.id);
    for verdict in &done.verdicts {
        line += &format!("; {verdict}");
    }
    println!("{line}");
    Ok(done)
}

/// Looks this often in the length of a run.
const GLANCES: u32 = 5000;

/// Runs it once more for a picture.
fn draw(scenario: &'static Scenario, seed: u64, simulated: Duration) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/scenarios");
    let path = folder.join(format!("{}-{seed}.svg", scenario.id));
    let watch = Watch::nothing().rows(Sampling::Every(simulated / GLANCES));
    let outcome = scenario
        .run(seed, watch)
        .map_err(|error| error.to_string())?;
    let note = format!("{}, seed {seed}", scenario.id);
    let rows = outcome.watched.first().map_or(&[][..], |it| &it.rows);
    let plot = Plot::new(scenario.title, rows).note(&note).to_string();
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, plot))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}
