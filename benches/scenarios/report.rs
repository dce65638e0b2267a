//! The table of all results as Markdown.

use netloom::sim::scenario::{Scenario, Verdict};

use crate::{Done, table};

const HEAD: &str = "\
# What the scenarios come to

Written by `cargo bench --bench scenarios`; not by hand. `netloom sim ID --seed N --plot FILE` shows one. *Published*: the \
expectation is a published number; *derived*: it follows from published formulae; *tolerance*: ours, around a published or measured \
number. Where runs depend on chance there is a value for each seed from 1 on. Values without an expectation are only told.
";

/// The whole file.
pub(crate) fn table(scenarios: &[&Scenario], done: &[Vec<Done>]) -> String {
    let mut text = format!(
        "{HEAD}\n| id | kind | what | expected | measured, by seed | verdict |\n|---|---|---|---|---|---|\n"
    );
    for (scenario, runs) in scenarios.iter().zip(done) {
        text += &format!("{} {} |\n", table::results(scenario), cells(runs));
    }
    text += "\nWhat each is:\n\n| id | hash | title | definition |\n|---|---|---|---|\n";
    for scenario in scenarios {
        text += &format!(
            "{} {} | {} |\n",
            table::definition(scenario),
            scenario.title,
            scenario.definition()
        );
    }
    text
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
