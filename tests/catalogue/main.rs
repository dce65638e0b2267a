//! Every short scenario of `netloom::sim::scenario` as a test of its name, and the table of all results.
//!
//! `cargo test --test catalogue`, with a part of an id behind it to run some. `cargo bench --bench
//! scenarios` runs all of them, at all their seeds, and writes the table.

mod table;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use netloom::sim::scenario::{self, Outcome, Scenario, Watch};

/// Scenarios that are known to be missed, and what they wait for; `--ignored` runs them.
const MISSED: &[(&str, &str)] = &[
    ("held-1-5ms", RENO),
    ("held-0.1-5ms", RENO),
    ("jitter-3ms", RENO),
    ("long", RENO),
];

const RENO: &str =
    "held to what CUBIC has, and sent by Reno, unpaced: one cut too many costs seconds";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = scenario::all()
        .filter(|scenario| scenario.short)
        .map(|scenario| {
            let missed = MISSED.iter().find(|(id, _)| *id == scenario.id);
            let trial = Trial::test(scenario.id, move || holds(scenario));
            match missed {
                Some((_, waits_for)) => trial.with_kind(*waits_for).with_ignored_flag(true),
                None => trial,
            }
        })
        .collect();
    trials.push(Trial::test("the_table_has_every_scenario_as_it_is", || {
        table::check(include_str!("../../docs/scenarios.md")).map_err(Failed::from)
    }));
    trials.push(Trial::test("a_table_that_is_old_or_short_is_found", || {
        table::check_finds_what_is_wrong();
        Ok(())
    }));
    trials.push(Trial::test("what_is_missed_is_a_scenario", || {
        for (id, _) in MISSED {
            let found = scenario::find(id).filter(|scenario| scenario.short);
            found.ok_or_else(|| format!("there is no short scenario {id}"))?;
        }
        Ok(())
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// It comes to what it should at the first seeds, equal seeds give equal runs, and where anything is left to
/// chance other seeds give others.
fn holds(scenario: &'static Scenario) -> Result<(), Failed> {
    let first = run(scenario, 1)?;
    let again = run(scenario, 1)?;
    if first.trace_hash != again.trace_hash || first.verdicts != again.verdicts {
        return Err("two runs with seed 1 differ".into());
    }
    let other = run(scenario, 2)?;
    if first.trace_hash == other.trace_hash {
        return Err("seeds 1 and 2 give the same run".into());
    }
    for (seed, outcome) in [(1, first), (2, other)] {
        for verdict in &outcome.verdicts {
            if !verdict.is_met() {
                let id = scenario.id;
                let command = format!("netloom sim {id} --seed {seed} --plot miss.svg");
                return Err(format!("seed {seed}: {verdict}; see `{command}`").into());
            }
        }
    }
    Ok(())
}

fn run(scenario: &Scenario, seed: u64) -> Result<Outcome, Failed> {
    Ok(scenario.run(seed, Watch::nothing())?)
}
