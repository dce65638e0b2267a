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

/// A table without one scenario, or with another definition of it, is none.
pub(crate) fn check_finds_what_is_wrong() {
    let rows = |of: fn(&Scenario) -> String| scenario::all().map(of).collect::<Vec<_>>().join("\n");
    let whole = format!("{}\n{}\n", rows(results), rows(definition));
    assert_eq!(check(&whole), Ok(()));
    let last = scenario::all().last().expect("there are scenarios");
    for (row, other) in [
        (results(last), "| gone |"),
        (definition(last), "| `gone` |"),
        (
            format!("{:016x}", last.definition_hash()),
            "0123456789abcdef",
        ),
    ] {
        let error = check(&whole.replace(&row, other)).expect_err("it is not whole");
        assert!(error.contains(last.id), "{error}");
    }
}
