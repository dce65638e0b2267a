//! Which files of the library name which clause.

use std::collections::{BTreeMap, BTreeSet};

use crate::Source;
use crate::requirements::{Item, clauses_in, ids_in};

/// Files of `src`, by what their comments name.
#[derive(Debug, Default)]
pub(crate) struct Citations {
    /// By RFC and section.
    sections: BTreeMap<(u32, String), BTreeSet<String>>,
    /// By the id of an item, or the number that RFC 9293 gives a clause.
    ids: BTreeMap<String, BTreeSet<String>>,
}

impl Citations {
    pub(crate) fn of(sources: &[Source]) -> Self {
        let mut all = Self::default();
        for source in sources {
            let Some(path) = source.path.strip_prefix("src/") else {
                continue;
            };
            if !is_test(path) {
                all.read(path, product_of(&source.text));
            }
        }
        all
    }

    fn read(&mut self, path: &str, text: &str) {
        let mut comment = String::new();
        for line in text.lines().chain([""]) {
            match line.split_once("//") {
                Some((_, text)) => comment.push_str(text),
                None => {
                    let file = || path.to_string();
                    for clause in clauses_in(&comment) {
                        self.sections.entry(clause).or_default().insert(file());
                    }
                    for id in ids_in(&comment) {
                        self.ids.entry(id.into()).or_default().insert(file());
                    }
                    comment.clear();
                }
            }
        }
    }

    /// The files that name the item or a number of its clauses; where none does, its sections.
    pub(crate) fn files(&self, item: &Item) -> BTreeSet<&str> {
        let mut names = item.labels();
        names.push(&item.id);
        let named = names.iter().filter_map(|name| self.ids.get(*name));
        let exact: BTreeSet<&str> = named.flatten().map(String::as_str).collect();
        if !exact.is_empty() {
            return exact;
        }
        let mut files = BTreeSet::new();
        for (rfc, section) in item.clauses() {
            let below = format!("{section}.");
            for ((of, cited), paths) in self.sections.range((rfc, section.clone())..) {
                if *of != rfc || *cited != section && !cited.starts_with(&below) {
                    break;
                }
                files.extend(paths.iter().map(String::as_str));
            }
        }
        files
    }
}

/// What shows something is no code.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

/// A file up to its tests, which stand last.
fn product_of(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

#[test]
fn files_are_found_by_name_and_else_by_section() {
    let source = |path: &str, text: &str| Source {
        path: path.into(),
        text: text.into(),
    };
    let citations = Citations::of(&[
        source(
            "src/a.rs",
            "// RFC 9293 §3.1\n// and\n// §3.4.1 MUST-8: x\nfn a() {}",
        ),
        source(
            "src/b.rs",
            "/// (RFC 9293 §3.4.1)\nfn b() {}\n#[cfg(test)]\nmod tests {\n// MUST-8\n}",
        ),
        source("src/c.rs", "fn c() {} // A-4\n"),
        source("src/d/tests.rs", "// RFC 9293 §3.1"),
        source("tests/e.rs", "// RFC 9293 §3.1"),
        source("src/f.rs", "// RFC 9294 §3.4"),
    ]);
    let files = |id: &str, text: &str, source: &str| {
        let item = Item {
            id: id.into(),
            text: text.into(),
            level: "MUST".into(),
            source: source.into(),
            status: crate::Status::Done(String::new()),
        };
        citations
            .files(&item)
            .into_iter()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(files("A-1", "Text", "RFC 9293 §3.1"), "a.rs");
    assert_eq!(files("A-1", "Text", "RFC 9293 §3.4"), "a.rs b.rs");
    assert_eq!(files("A-1", "Text (MUST-8)", "RFC 9293 §3.4"), "a.rs");
    assert_eq!(files("A-1", "Text", "RFC 9293 §3; RFC 1 §1"), "a.rs b.rs");
    assert_eq!(files("A-4", "Text", "RFC 9293 §3.4"), "c.rs");
    assert_eq!(files("A-1", "Text", "RFC 9294 §3.4"), "f.rs");
    assert_eq!(files("A-1", "Text", "RFC 9294 §3.1"), "");
    assert_eq!(files("A-1", "Text", "RFC 9292 §3.4"), "");
    assert_eq!(files("A-1", "Text", "RFC 9293 §3.40"), "");
}
