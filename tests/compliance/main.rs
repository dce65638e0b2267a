//! `docs/compliance.md` is made of `docs/requirements.md`, the code and the tests, and says what they say.
//!
//! A requirement's status is written down by hand; what shows it is found here. The test fails when a
//! requirement that is called done has no test or is cited nowhere, when a test claims an id that nobody asks
//! for, and when the table is not the one that the sources give. `NETLOOM_WRITE_COMPLIANCE=1` writes it anew.
//!
//! | file | what it reads or makes |
//! |---|---|
//! | `requirements.rs` | the items of `docs/requirements.md` |
//! | `claims.rs` | `Covers:` of tests and scripts |
//! | `citations.rs` | clauses of RFCs that the code names |
//! | `table.rs` | `docs/compliance.md` |
//! | `readme.rs` | the README's table of RFCs |
#![allow(clippy::unwrap_used)]

mod citations;
mod claims;
mod readme;
mod requirements;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use citations::Citations;
use claims::Claim;
use requirements::{Item, Requirements, Status};

const TABLE: &str = "docs/compliance.md";

/// A file that was read, by its path from the root of the crate.
struct Source {
    path: String,
    text: String,
}

#[test]
fn the_table_says_what_the_sources_say() {
    let list = fs::read_to_string(root().join("docs/requirements.md")).unwrap();
    let requirements = Requirements::parse(&list).unwrap_or_else(|why| panic!("{why}"));
    let sources = sources();
    let claims = claims::all(&sources).unwrap_or_else(|why| panic!("{why}"));
    assert!(claims.len() > 100, "the tests were not found");
    let citations = Citations::of(&sources);
    let broken = check(&requirements, &claims, &citations);
    assert!(
        broken.is_empty(),
        "docs/requirements.md and the tests differ:\n{}",
        broken.join("\n")
    );
    let table = table::render(&requirements, &claims, &citations);
    let path = root().join(TABLE);
    if std::env::var_os("NETLOOM_WRITE_COMPLIANCE").is_some_and(|value| value == "1") {
        fs::write(&path, &table).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    if let Some(difference) = first_difference(&there, &table) {
        panic!(
            "{TABLE} is not what the sources give; \
             NETLOOM_WRITE_COMPLIANCE=1 cargo test --test compliance writes it anew\n{difference}"
        );
    }
}

/// What other documents say of an id is said of one that there is.
#[test]
fn documents_name_ids_that_there_are() {
    let list = fs::read_to_string(root().join("docs/requirements.md")).unwrap();
    let requirements = Requirements::parse(&list).unwrap();
    let known: BTreeSet<&str> = requirements.items().map(|item| item.id.as_str()).collect();
    let families: BTreeSet<&str> = known.iter().map(|id| family(id)).collect();
    let mut unknown = Vec::new();
    for name in ["deviations", "choices", "limits", "scripts"] {
        let text = fs::read_to_string(root().join(format!("docs/{name}.md"))).unwrap();
        for id in requirements::ids_in(&text) {
            if families.contains(family(id)) && !known.contains(id) {
                unknown.push(format!("docs/{name}.md names {id}"));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn each_exception_is_a_deviation_with_its_reason() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let requirements = Requirements::parse(&read("docs/requirements.md")).unwrap();
    let deviations = read("docs/deviations.md");
    let named: BTreeSet<&str> = requirements::ids_in(&deviations).collect();
    let is_exception = |item: &&Item| matches!(item.status, Status::Exception(_));
    let exceptions = requirements.items().filter(is_exception);
    let ids: Vec<&str> = exceptions.map(|item| item.id.as_str()).collect();
    assert!(ids.len() > 10, "the exceptions were not found");
    let silent = ids.into_iter().filter(|id| !named.contains(id));
    let silent: Vec<&str> = silent.collect();
    assert!(
        silent.is_empty(),
        "docs/deviations.md says nothing of {}",
        silent.join(", ")
    );
}

#[test]
fn the_readme_says_of_each_rfc_how_it_is_kept() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let requirements = Requirements::parse(&read("docs/requirements.md")).unwrap();
    let wrong = readme::check(&read("README.md"), &requirements);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn family(id: &str) -> &str {
    id.split_once('-').map_or(id, |(family, _)| family)
}

/// What is claimed or cited and what is called done do not agree, one line each.
fn check(requirements: &Requirements, claims: &[Claim], citations: &Citations) -> Vec<String> {
    let mut broken = Vec::new();
    let known: BTreeSet<&str> = requirements.items().map(|item| item.id.as_str()).collect();
    for claim in claims {
        for id in claim.ids.iter().filter(|id| !known.contains(id.as_str())) {
            let Claim { path, test, .. } = claim;
            broken.push(format!("{path}: {test} claims {id}, which there is not"));
        }
    }
    let shown: BTreeSet<&str> = claims
        .iter()
        .flat_map(|claim| claim.ids.iter().map(String::as_str))
        .collect();
    let is_done = |item: &&Item| matches!(item.status, Status::Done(_));
    for item in requirements.items().filter(is_done) {
        let id = &item.id;
        if !shown.contains(id.as_str()) {
            broken.push(format!("{id} is called done, and no test shows it"));
        }
        // What is no RFC's is not looked for.
        if !item.clauses().is_empty() && citations.files(item).is_empty() {
            let source = &item.source;
            broken.push(format!("{id} is called done, and no code cites {source}"));
        }
    }
    broken
}

/// The first line that differs, of what is there and what should be.
fn first_difference(there: &str, expected: &str) -> Option<String> {
    if there == expected {
        return None;
    }
    let (mut a, mut b) = (there.lines(), expected.lines());
    for number in 1.. {
        let (a, b) = (a.next(), b.next());
        if a != b || a.is_none() {
            let or_end = |line: Option<&str>| line.unwrap_or("(the end)").to_string();
            let (a, b) = (or_end(a), or_end(b));
            return Some(format!("line {number}\n  is        {a}\n  should be {b}"));
        }
    }
    None
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All of `src` and `tests`, but for these tests themselves, whose rows are made up.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        collect(&root().join(folder), &mut sources);
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let below = path.strip_prefix(root()).unwrap();
        let name = below.to_str().unwrap().replace('\\', "/");
        if path.is_dir() && name != "tests/compliance" {
            collect(&path, sources);
        } else if name.ends_with(".rs") || name.ends_with(".pkt") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source { path: name, text });
        }
    }
}

#[test]
fn what_does_not_agree_is_found() {
    let list = |status: &str| {
        let list = format!(
            "## A\n| id | requirement | level | source | status |\n|---|---|---|---|---|\n\
             | TCP-1 | Text | MUST | RFC 9293 §3.1 | {status} |\n"
        );
        Requirements::parse(&list).unwrap()
    };
    let claim = |id: &str| Claim {
        path: "tests/a.rs".into(),
        test: "a_test".into(),
        ids: vec![id.into()],
    };
    let cited = Citations::of(&[Source {
        path: "src/a.rs".into(),
        text: "// RFC 9293 §3.1".into(),
    }]);
    let uncited = "TCP-1 is called done, and no code cites RFC 9293 §3.1";
    let nowhere = check(&list("done"), &[claim("TCP-1")], &Citations::default());
    assert_eq!(nowhere, [uncited]);
    let unshown = "TCP-1 is called done, and no test shows it";
    let unknown = "tests/a.rs: a_test claims TCP-2, which there is not";
    #[rustfmt::skip]
    let rows: &[(&str, &[Claim], &[&str])] = &[
        ("done", &[claim("TCP-1")], &[]),
        ("done: but for this", &[claim("TCP-1")], &[]),
        ("done", &[], &[unshown]),
        ("done: but for this", &[], &[unshown]),
        ("done", &[claim("TCP-2")], &[unknown, unshown]),
        ("not yet: no code", &[], &[]),
        ("not yet: half of it", &[claim("TCP-1")], &[]),
        ("exception: a reason", &[], &[]),
    ];
    for (status, claims, broken) in rows {
        assert_eq!(check(&list(status), claims, &cited), *broken, "{status}");
    }
}

#[test]
fn a_table_that_is_stale_is_told_by_line() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    let told = first_difference("a\nb\n", "a\nc\n").unwrap();
    assert_eq!(told, "line 2\n  is        b\n  should be c");
    let told = first_difference("a\n", "a\nc\n").unwrap();
    assert_eq!(told, "line 2\n  is        (the end)\n  should be c");
    assert!(first_difference("a", "a\n").is_some());
}
