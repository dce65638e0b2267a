//! The table of all results, `docs/scenarios.md`: how a row begins, and whether each is there.

use netloom::sim::scenario::{self, Scenario};

/// How the row of a scenario's definition begins. It ends with the definition.
pub(crate) fn definition(scenario: &Scenario) -> String {
    format!(
        "| `{}` | {:016x} |",
        scenario.id,
        scenario.definition_hash()
    )
}

/// How the row of its results begins.
pub(crate) fn results(scenario: &Scenario) -> String {
    format!("| `{}` | {} |", scenario.id, scenario.kind)
}

/// Ids of the rows with a result that is not as expected.
pub(crate) fn missed(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|row| row.contains("**missed**"));
    rows.filter_map(id).collect()
}

/// Ids in the headings of `docs/missed.md`.
pub(crate) fn explained(text: &str) -> Vec<&str> {
    let headings = text.lines().filter(|line| line.starts_with("## "));
    headings
        .flat_map(|heading| heading.split('`').skip(1).step_by(2))
        .collect()
}

/// The first that stands in backticks.
fn id(row: &str) -> Option<&str> {
    row.split('`').nth(1)
}

/// Does the table have each scenario, as it is now?
pub(crate) fn check(table: &str) -> Result<(), String> {
    let has = |start: String| table.lines().any(|line| line.starts_with(&start));
    let stale: Vec<&str> = scenario::all()
        .filter(|it| !has(definition(it)) || !has(results(it)))
        .map(|it| it.id)
        .collect();
    match &stale[..] {
        [] => Ok(()),
        stale => Err(format!(
            "not in docs/scenarios.md, or changed since: {}; run `cargo bench --bench scenarios`",
            stale.join(", ")
        )),
    }
}
