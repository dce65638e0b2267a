//! `docs/compliance.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::citations::Citations;
use crate::claims::Claim;
use crate::requirements::{Item, Requirements, Status};

const HEAD: &str = "\
# Compliance

What the RFCs ask of a host's stack, clause by clause: which code does it, which tests show it, and what is not done.
A machine makes this file of `docs/requirements.md`, of the clauses that comments of the code cite, and of the ids that tests and
scripts claim (`/// Covers: TCP-17`); `cargo test --test compliance` fails when it is not what these give, when something is called
done and no test shows it or no code cites it, and when a test claims an id that there is not. After a change:

```sh
NETLOOM_WRITE_COMPLIANCE=1 cargo test --test compliance
```

- **done**: the code does it, and each test that is named shows it or a part of it. A word behind it says what is particular.
- **not yet**: missing, wholly or in part; the reason says what. Tests that are named show the part that is there.
- **exception**: left out, or done otherwise, on purpose; `docs/deviations.md` says more. Tests that are named show what is done
  instead.

Code is what stands below `src/`: the files that cite the clause by its number, or else its section, so that a file may do another
clause of the same section. Tests are named by their functions, scripts (`.pkt`) by their files in `tests/scripts/`; `cargo test
NAME` runs the former, `netloom drill tests/scripts/NAME.pkt` the latter.
Levels are the RFC's words; *(spec)* is a step of an algorithm without such a word; *(practice)*, *(robustness)* and *(API)* are
asked by ourselves.
";

/// How many of some items are in which state.
#[derive(Clone, Copy, Default)]
struct Count {
    items: usize,
    done: usize,
    not_yet: usize,
    exceptions: usize,
    /// Those with MUST among their levels, and how many of them are done.
    musts: usize,
    musts_done: usize,
}

impl Count {
    fn add(&mut self, item: &Item) {
        let done = matches!(item.status, Status::Done(_));
        let must = item.level.contains("MUST");
        self.items += 1;
        self.done += usize::from(done);
        self.not_yet += usize::from(matches!(item.status, Status::NotYet(_)));
        self.exceptions += usize::from(matches!(item.status, Status::Exception(_)));
        self.musts += usize::from(must);
        self.musts_done += usize::from(must && done);
    }

    fn row(&self, name: &str) -> String {
        let Self {
            items,
            done,
            not_yet,
            exceptions,
            musts,
            musts_done,
        } = self;
        format!(
            "| {name} | {items} | {done} | {not_yet} | {exceptions} | {musts_done} of {musts} |\n"
        )
    }
}

pub(crate) fn render(
    requirements: &Requirements,
    claims: &[Claim],
    citations: &Citations,
) -> String {
    let mut tests: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for claim in claims {
        let end = if claim.path.ends_with(".pkt") {
            ".pkt"
        } else {
            ""
        };
        for id in &claim.ids {
            let name = format!("`{}{end}`", claim.test);
            tests.entry(id).or_default().insert(name);
        }
    }
    let mut table = HEAD.to_string();
    counts(requirements, &mut table);
    for area in &requirements.areas {
        write!(table, "\n## {}\n\n", area.title).unwrap();
        table.push_str("| id | requirement | level | source | status | code | tests |\n|---|---|---|---|---|---|---|\n");
        for item in &area.items {
            let Item {
                id,
                text,
                level,
                source,
                ..
            } = item;
            let status = status(&item.status);
            let files = citations.files(item).into_iter();
            let code = files.map(|file| format!("`{file}`")).collect::<Vec<_>>();
            let shown = tests.get(id.as_str()).into_iter().flatten().cloned();
            let code = or_none(&code);
            let shown = or_none(&shown.collect::<Vec<_>>());
            writeln!(
                table,
                "| {id} | {text} | {level} | {source} | {status} | {code} | {shown} |"
            )
            .unwrap();
        }
    }
    table
}

/// Two tables of how much is done: by heading, and by the RFC that an item names first.
fn counts(requirements: &Requirements, table: &mut String) {
    let mut all = Count::default();
    let mut by_rfc: BTreeMap<u32, Count> = BTreeMap::new();
    let mut by_area = Vec::new();
    for area in &requirements.areas {
        let mut count = Count::default();
        for item in &area.items {
            count.add(item);
            all.add(item);
            if let Some((rfc, _)) = item.clauses().first() {
                by_rfc.entry(*rfc).or_default().add(item);
            }
        }
        by_area.push((area.title.as_str(), count));
    }
    let head = |first: &str| {
        format!(
            "\n| {first} | items | done | not yet | exceptions | MUSTs done |\n|---|---|---|---|---|---|\n"
        )
    };
    table.push_str("\n## How much of it\n");
    table.push_str(&head("area"));
    for (title, count) in by_area {
        table.push_str(&count.row(title));
    }
    table.push_str(&all.row("**all**"));
    table.push_str("\nThe same by the RFC that an item names first:\n");
    table.push_str(&head("RFC"));
    for (rfc, count) in by_rfc {
        table.push_str(&count.row(&format!("[{rfc}](https://www.rfc-editor.org/rfc/rfc{rfc})")));
    }
}

fn status(status: &Status) -> String {
    let (word, rest) = match status {
        Status::Done(rest) => ("done", rest),
        Status::NotYet(rest) => ("not yet", rest),
        Status::Exception(rest) => ("exception", rest),
    };
    if rest.is_empty() {
        word.to_string()
    } else {
        format!("**{word}**: {rest}")
    }
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() {
        "—".into()
    } else {
        words.join(", ")
    }
}

#[test]
fn a_row_has_what_was_found() {
    let list = "## Areas\n| TCP-1 | Text (MUST-8) | MUST | RFC 9293 §3.1 | done |\n\
                | TCP-2 | More | SHOULD | RFC 9293 §3.2 | not yet: half |\n";
    let requirements = Requirements::parse(list).unwrap();
    let source = crate::Source {
        path: "src/tcp/a.rs".into(),
        text: "// RFC 9293 §3.4.1 MUST-8: so.".into(),
    };
    let claim = |path: &str, test: &str| Claim {
        path: path.into(),
        test: test.into(),
        ids: vec!["TCP-1".into()],
    };
    let claims = [claim("tests/x.rs", "b"), claim("tests/scripts/a.pkt", "a")];
    let table = render(&requirements, &claims, &Citations::of(&[source]));
    for line in [
        "| TCP-1 | Text (MUST-8) | MUST | RFC 9293 §3.1 | done | `tcp/a.rs` | `a.pkt`, `b` |",
        "| TCP-2 | More | SHOULD | RFC 9293 §3.2 | **not yet**: half | — | — |",
        "| Areas | 2 | 1 | 1 | 0 | 1 of 1 |",
        "| **all** | 2 | 1 | 1 | 0 | 1 of 1 |",
        "| [9293](https://www.rfc-editor.org/rfc/rfc9293) | 2 | 1 | 1 | 0 | 1 of 1 |",
    ] {
        assert!(table.lines().any(|found| found == line), "{line}\n{table}");
    }
}
