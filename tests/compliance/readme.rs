//! The README's table of RFCs: which are kept whole, which in part and which not, as `docs/requirements.md` has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::requirements::{Item, Requirements, Status};

const HEADING: &str = "## RFC by RFC";

/// What the table says of an RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Whole,
    InPart,
    Not,
}

/// What the table and the requirements do not agree upon, one line each.
pub(crate) fn check(readme: &str, requirements: &Requirements) -> Vec<String> {
    let table = match read(readme) {
        Ok(table) => table,
        Err(why) => return vec![why],
    };
    let mut items: BTreeMap<u32, Vec<&Item>> = BTreeMap::new();
    for item in requirements.items() {
        if let Some((rfc, _)) = item.clauses().first() {
            items.entry(*rfc).or_default().push(item);
        }
    }
    let mut wrong = Vec::new();
    let all: BTreeSet<u32> = items.keys().chain(table.keys()).copied().collect();
    for rfc in all {
        let (told, items) = (table.get(&rfc), items.get(&rfc));
        let (Some(&told), Some(items)) = (told, items) else {
            let who = if told.is_none() {
                "README.md"
            } else {
                "docs/requirements.md"
            };
            wrong.push(format!("{who} says nothing of RFC {rfc}"));
            continue;
        };
        let is_done = |item: &&&Item| matches!(item.status, Status::Done(_));
        let done = items.iter().filter(is_done).count();
        let agrees = match told {
            Kept::Whole => done == items.len(),
            // An exception keeps what it is an exception from.
            Kept::InPart => done < items.len(),
            Kept::Not => done == 0,
        };
        if !agrees {
            let count = items.len();
            wrong.push(format!(
                "RFC {rfc} is {told:?}, and {done} of {count} items are done"
            ));
        }
    }
    wrong
}

/// Rows of RFCs, how they are kept, and what is not.
fn read(readme: &str) -> Result<BTreeMap<u32, Kept>, String> {
    let (_, rest) = readme
        .split_once(HEADING)
        .ok_or_else(|| format!("README.md has no {HEADING}"))?;
    let section = rest
        .split_once("\n## ")
        .map_or(rest, |(section, _)| section);
    let mut table = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, rfcs, kept, ..] = cells[..] else {
            return Err(format!("no row: {line}"));
        };
        let kept = match kept {
            "whole" => Kept::Whole,
            "in part" => Kept::InPart,
            "not" => Kept::Not,
            _ => continue,
        };
        for rfc in rfcs.split(", ") {
            let number = rfc.parse().map_err(|_| format!("no RFC: {rfc}"))?;
            if table.insert(number, kept).is_some() {
                return Err(format!("RFC {rfc} stands there twice"));
            }
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_agree_is_told() {
        let list = "## A\n| id | requirement | level | source | status |\n|---|---|---|---|---|\n\
            | A-1 | x | MUST | RFC 1 §2 | done |\n\
            | A-2 | x | MUST | RFC 2 §2 | done |\n\
            | A-3 | x | MUST | RFC 2 §3 | not yet: y |\n\
            | A-4 | x | MUST | RFC 3 §2 | exception: z |\n";
        let requirements = Requirements::parse(list).unwrap();
        let table = |rows: &str| {
            format!(
                "# n\n{HEADING}\n| RFC | | what |\n|---|---|---|\n{rows}\n## else\n| 9 | whole | |"
            )
        };
        let good = table("| 1 | whole | |\n| 2, 3 | in part | y |");
        assert_eq!(check(&good, &requirements), Vec::<String>::new());
        for (rows, wrong) in [
            (
                "| 1, 2 | whole | |\n| 3 | in part | y |",
                "RFC 2 is Whole, and 1 of 2 items are done",
            ),
            (
                "| 1, 2, 3 | in part | y |",
                "RFC 1 is InPart, and 1 of 1 items are done",
            ),
            (
                "| 1 | whole | |\n| 2, 3 | not | y |",
                "RFC 2 is Not, and 1 of 2 items are done",
            ),
            (
                "| 1 | whole | |\n| 2 | in part | |",
                "README.md says nothing of RFC 3",
            ),
            (
                "| 1 | whole | |\n| 2, 3, 4 | in part | |",
                "docs/requirements.md says nothing of RFC 4",
            ),
        ] {
            assert_eq!(check(&table(rows), &requirements), [wrong]);
        }
        assert_eq!(check("# n", &requirements).len(), 1);
        assert_eq!(
            check(&table("| 1 | whole | |\n| 1 | in part | |"), &requirements).len(),
            1
        );
    }
}
