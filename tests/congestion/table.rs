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
