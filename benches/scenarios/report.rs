//! The table of all results as Markdown.

use netloom::sim::scenario::{self, Scenario, Verdict};

use crate::{Done, table};

const HEAD: &str = "\
# What the scenarios come to

Written by `cargo bench --bench scenarios`, or with ids behind it only the rows of these; not by hand. `netloom sim ID --seed N --plot FILE` shows one. *Published*: the \
expectation is a published number; *derived*: it follows from published formulae; *tolerance*: ours, around a published or measured \
number. Where runs depend on chance there is a value for each seed from 1 on. Values without an expectation are only told. `docs/missed.md` says why what is missed is missed.
";
const RESULTS: &str = "\
| id | kind | what | expected | measured, by seed | verdict |
|---|---|---|---|---|---|
";
const DEFINITIONS: &str = "\
| id | hash | title | definition |
|---|---|---|---|
";

/// The whole file: new rows for what was run, those of `old` for all else that is still as it was then.
pub(crate) fn table(old: &str, chosen: &[&Scenario], done: &[Vec<Done>]) -> String {
    let kept = |start: String| old.lines().find(|line| line.starts_with(&start));
    let mut results = String::new();
    let mut definitions = String::new();
    for scenario in scenario::all() {
        let (result, definition) = (table::results(scenario), table::definition(scenario));
        let ran = chosen.iter().position(|it| it.id == scenario.id);
        let row = match ran.and_then(|at| done.get(at)) {
            Some(runs) => format!("{result} {} |", cells(runs)),
            None => match (kept(result), kept(definition.clone())) {
                (Some(row), Some(_)) => row.to_owned(),
                _ => continue,
            },
        };
        results += &format!("{row}\n");
        definitions += &format!(
            "{definition} {} | {} |\n",
            scenario.title,
            scenario.definition()
        );
    }
    format!("{HEAD}\n{RESULTS}{results}\nWhat each is:\n\n{DEFINITIONS}{definitions}")
}

/// A line in each cell for every value that was measured.
fn cells(runs: &[Done]) -> String {
    let mut columns = [const { Vec::new() }; 4];
    let first = runs.first().map_or(&[][..], |run| &run.verdicts);
    for (number, verdict) in first.iter().enumerate() {
        let values: Vec<&Verdict> = runs
            .iter()
            .filter_map(|run| run.verdicts.get(number))
            .collect();
        let numbers: Vec<String> = values
            .iter()
            .map(|it| it.unit.of(it.measured).to_string())
            .collect();
        let met = match (&verdict.expected, values.iter().all(|it| it.is_met())) {
            (None, _) => "",
            (Some(_), true) => "met",
            (Some(_), false) => "**missed**",
        };
        let row = [
            verdict.what.clone(),
            verdict.expectation(),
            numbers.join(", "),
            met.to_owned(),
        ];
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(cell);
        }
    }
    columns.map(|column| column.join("<br>")).join(" | ")
}
