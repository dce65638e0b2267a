//! `docs/regressions.md` and the tests agree: each item says where it stands, and what it says is so.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// An item of the list: its number, and the line that says where it stands.
#[derive(Debug, Default)]
struct Item {
    number: String,
    /// Tests named on its `tested:` line; `None` without one.
    tested: Option<Vec<String>>,
    /// What its `waits for:` names.
    waits: Option<String>,
    /// The fault that was put in to see its tests fail.
    fault: Option<String>,
}

#[test]
fn every_item_has_its_tests_or_waits_for_something() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(root.join("docs/regressions.md")).unwrap();
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut tests);
    }
    assert!(tests.len() > 50, "the tests were not found: {tests:?}");
    let broken = check(&list, &tests);
    assert!(
        broken.is_empty(),
        "docs/regressions.md and the tests differ:\n{}",
        broken.join("\n")
    );
}

fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            // A script is a test (`tests/drill.rs` runs it), and its name is the file's.
            let name = path.file_stem().unwrap().to_string_lossy();
            tests.extend(number_of(&name).map(|_| name.to_string()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            // The kernel tier has a `main` of its own, and so no attributes.
            let listed = path.components().any(|part| part.as_os_str() == "kernel");
            tests.extend(tests_in(&fs::read_to_string(&path).unwrap(), listed));
        }
    }
}

/// The functions `rNN_...` and `mNN_...` that are tests, of a file whose tests are `listed` or have the attribute.
fn tests_in(text: &str, listed: bool) -> Vec<String> {
    let mut attributes = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let name = line.strip_prefix("fn ").and_then(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            number_of(&rest[..end]).map(|_| rest[..end].to_string())
        });
        let is_test = listed || attributes.contains("#[test]");
        found.extend(name.filter(|_| is_test));
        if line.starts_with("#[") {
            attributes.push_str(line);
        } else if !line.starts_with("//") {
            attributes.clear();
        }
    }
    found
}

/// `r07` of `r07_and_so_on`.
fn number_of(name: &str) -> Option<&str> {
    let (number, _) = name.split_once('_')?;
    let digits = number.strip_prefix(['r', 'm'])?;
    let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then_some(number)
}

/// Must a fault have been tried? All of recovery and congestion control.
fn wants_a_fault(number: &str) -> bool {
    number.starts_with('m') || ("r25"..="r48").contains(&number)
}

/// The items of the list: a line `- rNN text` or `- mNN text`, and below it `tested: names; waits for: what`
/// and `fault put in: what`.
fn items(list: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for line in list.lines() {
        let number = line
            .strip_prefix("- ")
            .and_then(|text| text.split(' ').next());
        if let Some(number) = number.filter(|number| number.starts_with(['r', 'm'])) {
            items.push(Item {
                number: number.to_string(),
                ..Item::default()
            });
        } else if let (Some(status), Some(item)) = (line.strip_prefix("  "), items.last_mut()) {
            for part in status.split(';').map(str::trim) {
                if let Some(names) = part.strip_prefix("tested:") {
                    let names = names.split(',').map(|name| name.trim().replace('`', ""));
                    item.tested = Some(names.filter(|name| !name.is_empty()).collect());
                } else if let Some(what) = part.strip_prefix("waits for:") {
                    item.waits = Some(what.trim().to_string());
                } else if let Some(what) = part.strip_prefix("fault put in:") {
                    item.fault = Some(what.trim().to_string());
                }
            }
        }
    }
    items
}

/// What does not agree, one line each.
fn check(list: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for item in items(list) {
        let number = &item.number;
        *known.entry(number.clone()).or_default() += 1;
        match (&item.tested, &item.waits) {
            (None, None) => broken.push(format!("{number} has no status")),
            (Some(names), _) if names.is_empty() => {
                broken.push(format!("{number} is tested by nothing"));
            }
            (_, Some(what)) if what.is_empty() => {
                broken.push(format!("{number} waits for nothing"));
            }
            _ => {}
        }
        let tried = item.fault.as_ref().is_some_and(|what| !what.is_empty());
        if item.tested.is_some() && wants_a_fault(number) && !tried {
            broken.push(format!("{number} names no fault that was put in"));
        }
        for name in item.tested.iter().flatten() {
            if number_of(name) != Some(number) {
                broken.push(format!("{number} names {name}"));
            } else if !tests.contains(name) {
                broken.push(format!("{number}: there is no test {name}"));
            }
        }
        let has_tests = tests.iter().any(|test| number_of(test) == Some(number));
        if item.tested.is_none() && has_tests {
            broken.push(format!("{number} has tests and does not say so"));
        }
    }
    let twice = known.iter().filter(|(_, times)| **times > 1);
    broken.extend(twice.map(|(number, _)| format!("{number} is listed twice")));
    let unknown = tests
        .iter()
        .filter(|test| number_of(test).is_none_or(|number| !known.contains_key(number)));
    broken.extend(unknown.map(|test| format!("{test} is named after no item")));
    broken
}

#[test]
fn what_does_not_agree_is_found() {
    let tests = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect();
    let one = tests(&["r01_a"]);
    let later = tests(&["r30_a", "m02_b"]);
    let none = tests(&[]);
    #[rustfmt::skip]
    let rows: &[(&str, &BTreeSet<String>, &[&str])] = &[
        ("- r01 Text.\n  tested: `r01_a`", &one, &[]),
        ("- r01 Text.\n  waits for: a thing", &none, &[]),
        ("- r01 Text.\n  tested: r01_a; waits for: the other half", &one, &[]),
        ("- r01 Text.", &none, &["r01 has no status"]),
        ("- r01 Text.\n  tested:", &none, &["r01 is tested by nothing"]),
        ("- r01 Text.\n  waits for:", &none, &["r01 waits for nothing"]),
        ("- r01 Text.\n  tested: r01_b", &one, &["r01: there is no test r01_b"]),
        ("- r01 Text.\n  tested: r01_a, r02_a", &one, &["r01 names r02_a"]),
        ("- r01 Text.\n  waits for: it", &one, &["r01 has tests and does not say so"]),
        ("- r02 Text.\n  waits for: it", &one, &["r01_a is named after no item"]),
        ("- r30 T.\n  tested: r30_a\n  fault put in: it\n- m02 T.\n  tested: m02_b\n  fault put in: that", &later, &[]),
        ("- r30 T.\n  tested: r30_a\n  fault put in:\n- m02 T.\n  tested: m02_b", &later, &["r30 names no fault that was put in", "m02 names no fault that was put in"]),
        ("- r01 T.\n  tested: r01_a\n- r01 T.\n  tested: r01_a", &one, &["r01 is listed twice"]),
    ];
    for (list, tests, broken) in rows {
        assert_eq!(check(list, tests), *broken, "{list}");
    }
}

#[test]
fn tests_are_told_from_functions() {
    let text = "
        #[test]
        fn r01_a() {}
        fn r02_helper() {}
        /// Words.
        #[test]
        // More.
        #[should_panic]
        fn r03_b(n: u8) {}
        fn other() {}
        fn r4_c() {}
    ";
    assert_eq!(tests_in(text, false), ["r01_a", "r03_b"]);
    assert_eq!(tests_in(text, true), ["r01_a", "r02_helper", "r03_b"]);
}
