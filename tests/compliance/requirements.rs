//! The items of `docs/requirements.md`: tables of id, requirement, level, source and status under headings.

use std::collections::BTreeSet;

/// Where an item stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The code does it and a test shows it; perhaps with a word on how.
    Done(String),
    /// What is missing.
    NotYet(String),
    /// Why it is left out, or done otherwise.
    Exception(String),
}

/// One requirement.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) level: String,
    /// Such as `RFC 5681 §3.1; RFC 6928 §2`.
    pub(crate) source: String,
    pub(crate) status: Status,
}

/// The requirements under one heading.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    pub(crate) title: String,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Requirements {
    pub(crate) areas: Vec<Area>,
}

impl Requirements {
    /// # Errors
    /// The lines that are no row of such a table, or name an id again.
    pub(crate) fn parse(list: &str) -> Result<Self, String> {
        let mut all = Self::default();
        let mut wrong = Vec::new();
        let mut seen = BTreeSet::new();
        for (number, line) in list.lines().enumerate() {
            let place = format!("line {}", number + 1);
            if let Some(title) = line.strip_prefix("## ") {
                let title = title.to_string();
                all.areas.push(Area {
                    title,
                    items: Vec::new(),
                });
            } else if line.starts_with('|') && !is_head(line) {
                match (row(line), all.areas.last_mut()) {
                    (Ok(item), Some(area)) => {
                        if !seen.insert(item.id.clone()) {
                            wrong.push(format!("{place}: {} is listed twice", item.id));
                        }
                        area.items.push(item);
                    }
                    (Ok(_), None) => wrong.push(format!("{place}: an item before any heading")),
                    (Err(why), _) => wrong.push(format!("{place}: {why}")),
                }
            }
        }
        all.areas.retain(|area| !area.items.is_empty());
        if wrong.is_empty() {
            Ok(all)
        } else {
            Err(wrong.join("\n"))
        }
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.areas.iter().flat_map(|area| &area.items)
    }
}

impl Item {
    /// The clauses that the item is made of, as (RFC, section).
    pub(crate) fn clauses(&self) -> Vec<(u32, String)> {
        clauses_in(&self.source)
    }

    /// The numbers that RFC 9293 gives its clauses: MUST-8 and the like.
    pub(crate) fn labels(&self) -> Vec<&str> {
        ids_in(&self.text).filter(|id| is_label(id)).collect()
    }
}

/// The head of a table, and the line below it.
fn is_head(line: &str) -> bool {
    line.starts_with("|---") || line.starts_with("| id |")
}

fn row(line: &str) -> Result<Item, String> {
    let cells: Vec<&str> = line
        .trim()
        .trim_matches('|')
        .split(" | ")
        .map(str::trim)
        .collect();
    let [id, text, level, source, status] = cells[..] else {
        return Err(format!("{} cells, not 5", cells.len()));
    };
    if !is_id(id) || is_label(id) {
        return Err(format!("{id} is no id"));
    }
    if text.is_empty() || level.is_empty() {
        return Err(format!("{id} says nothing"));
    }
    // Links have no RFC of their own.
    if clauses_in(source).is_empty() && !source.starts_with("IEEE ") {
        return Err(format!("{id} names no RFC: {source}"));
    }
    Ok(Item {
        id: id.into(),
        text: text.into(),
        level: level.into(),
        source: source.into(),
        status: status_of(status).ok_or_else(|| format!("{id} has no status: {status}"))?,
    })
}

fn status_of(cell: &str) -> Option<Status> {
    let (word, rest) = cell
        .split_once(':')
        .map_or((cell, ""), |(word, rest)| (word, rest.trim()));
    match (word, rest) {
        ("done", rest) if cell == "done" || !rest.is_empty() => Some(Status::Done(rest.into())),
        ("not yet", rest) if !rest.is_empty() => Some(Status::NotYet(rest.into())),
        ("exception", rest) if !rest.is_empty() => Some(Status::Exception(rest.into())),
        _ => None,
    }
}

/// `TCP-17`: letters and digits, a hyphen, a number.
pub(crate) fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(family, number)| {
        family.starts_with(|c: char| c.is_ascii_uppercase())
            && family
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A clause of RFC 9293 by its number there, no item of the list.
pub(crate) fn is_label(id: &str) -> bool {
    ["MUST-", "SHLD-", "MAY-"]
        .iter()
        .any(|label| id.starts_with(label))
}

/// All that looks like an id.
pub(crate) fn ids_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| is_id(word))
}

/// The sections that a text names: each `§` belongs to the RFC named last. One that is named without has none, as the oldest.
pub(crate) fn clauses_in(text: &str) -> Vec<(u32, String)> {
    let mut clauses = Vec::new();
    let mut rest = text;
    let mut rfc = None;
    while let Some(at) = rest.find(['§', 'R']) {
        let here = &rest[at..];
        if let Some(after) = here.strip_prefix("RFC ") {
            let end = after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len());
            rfc = after[..end].parse().ok().or(rfc);
            rest = &after[end..];
            if !rest.trim_start().starts_with('§') {
                clauses.extend(rfc.map(|rfc| (rfc, String::new())));
            }
        } else if let Some(after) = here.strip_prefix('§') {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                .unwrap_or(after.len());
            let section = after[..end].trim_end_matches('.');
            clauses.extend(
                rfc.filter(|_| !section.is_empty())
                    .map(|rfc| (rfc, section.into())),
            );
            rest = &after[end..];
        } else {
            rest = &here[1..];
        }
    }
    clauses
}

#[test]
fn rows_that_are_none_are_told() {
    let parse = |row: &str| Requirements::parse(&format!("## A\n{row}\n")).map(|_| ());
    let told = |row: &str| parse(row).unwrap_err();
    let good = "| TCP-1 | Text | MUST | RFC 9293 §3.1 | done |";
    assert_eq!(parse(good), Ok(()));
    assert_eq!(
        told("| TCP-1 | Text | MUST | done |"),
        "line 2: 4 cells, not 5"
    );
    assert_eq!(told(&good.replace("TCP-1", "TCP")), "line 2: TCP is no id");
    assert_eq!(
        told(&good.replace("TCP-1", "MUST-1")),
        "line 2: MUST-1 is no id"
    );
    assert_eq!(
        told(&good.replace("RFC 9293 ", "")),
        "line 2: TCP-1 names no RFC: §3.1"
    );
    for status in [
        "",
        "todo",
        "done:",
        "not yet",
        "not yet:",
        "exception",
        "doneish",
    ] {
        let row = good.replace("done", status);
        assert_eq!(told(&row), format!("line 2: TCP-1 has no status: {status}"));
    }
    assert_eq!(
        told(&format!("{good}\n{good}")),
        "line 3: TCP-1 is listed twice"
    );
    assert!(Requirements::parse(good).is_err());
}

#[test]
fn a_status_is_one_of_three() {
    assert_eq!(status_of("done"), Some(Status::Done(String::new())));
    assert_eq!(status_of("done: so"), Some(Status::Done("so".into())));
    assert_eq!(
        status_of("not yet: RFC 1: x"),
        Some(Status::NotYet("RFC 1: x".into()))
    );
    assert_eq!(
        status_of("exception: why"),
        Some(Status::Exception("why".into()))
    );
}

#[test]
fn sections_belong_to_the_rfc_before_them() {
    let clauses = |text: &str| {
        let all = clauses_in(text).into_iter();
        all.map(|(rfc, section)| format!("{rfc} {section}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        clauses("RFC 5681 §3.1; RFC 6928 §2"),
        ["5681 3.1", "6928 2"]
    );
    assert_eq!(
        clauses("RFC 9293 §3.3.2, §3.10.7.4: Read"),
        ["9293 3.3.2", "9293 3.10.7.4"]
    );
    assert_eq!(
        clauses("(RFC 4443 §2.4(e.3). RFC 6298 §5 (5.2))"),
        ["4443 2.4", "6298 5"]
    );
    assert_eq!(clauses("§3 of nothing, an RFC, RFC 826 Fields"), ["826 "]);
}
