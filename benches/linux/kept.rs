//! What a sweep has measured so far, in a file, so that it may be made in pieces; and the table that comes of it.
//!
//! *Owns* the file's form, which cells are still to be measured, and what the table says of them. *Does not* measure.
//!
//! The file's first line says what measured, and how; each other line is a cell's, its fields parted by tabs: its title,
//! and then for each of its rows the verdict, the title and the figures as the table has them. What is void, or failed,
//! is kept for the table, but still to be measured.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// Nothing is wanted of it.
    Told,
    /// As many samples are worth nothing as there are others, or more.
    Void,
    /// Nothing came of it.
    Failed,
}

const VERDICTS: [(Verdict, &str); 5] = [
    (Verdict::Met, "met"),
    (Verdict::Missed, "MISSED"),
    (Verdict::Told, "told"),
    (Verdict::Void, "void"),
    (Verdict::Failed, "FAILED"),
];

impl Verdict {
    /// Does it say what was to be found out?
    const fn is_final(self) -> bool {
        matches!(self, Self::Met | Self::Missed | Self::Told)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, word) = VERDICTS
            .iter()
            .find(|(it, _)| it == self)
            .ok_or(fmt::Error)?;
        f.write_str(word)
    }
}

/// One row of the table: of a cell there are some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) verdict: Verdict,
    pub(crate) title: String,
    /// The columns between title and verdict, and the one behind that: [`COLUMNS`].
    pub(crate) figures: String,
    /// How late the bridge was, and what is void and why.
    pub(crate) notes: String,
}

/// What stands in `figures`, between a row's title and its verdict, and in `notes` behind it.
const COLUMNS: &str =
    "Linux | netloom | figure | least to most | wanted | verdict | bridge late, ms; what is void";
const COLUMN_COUNT: usize = 8;

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verdict,
            title,
            figures,
            notes,
        } = self;
        write!(f, "| {title} | {figures} | {verdict} | {notes} |")
    }
}

/// The head of a table of rows.
pub(crate) fn head(title: &str) -> String {
    format!("| {title} | {COLUMNS} |\n|{}", "---|".repeat(COLUMN_COUNT))
}

/// Cells that were measured, each as it was the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cells(Vec<(String, Vec<Line>)>);

impl Cells {
    /// Reads what [`text`](Self::text) wrote; fails when somebody else measured, or otherwise.
    pub(crate) fn parse(text: &str, by: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let other = lines.next().unwrap_or_default();
        if other != by {
            return Err(format!(
                "is of another build or of other settings ({other}; now {by}): take another file"
            ));
        }
        let cells = (2..).zip(lines).map(|(number, line)| {
            cell(line).ok_or_else(|| format!("says nothing in line {number}: take another file"))
        });
        Ok(Self(cells.collect::<Result<_, _>>()?))
    }

    /// All of it, for a file.
    pub(crate) fn text(&self, by: &str) -> String {
        let mut text = format!("{by}\n");
        for (title, lines) in &self.0 {
            text += title;
            for line in lines {
                let verdict = line.verdict.to_string();
                for field in [&verdict, &line.title, &line.figures, &line.notes] {
                    // An error's text may have any character in it.
                    text += "\t";
                    text += &field.replace(['\t', '\n', '\r'], " ");
                }
            }
            text += "\n";
        }
        text
    }

    /// A cell was measured: what was known of it gives way.
    pub(crate) fn put(&mut self, title: &str, lines: Vec<Line>) {
        match self.0.iter_mut().find(|(it, _)| it == title) {
            Some((_, old)) => *old = lines,
            None => self.0.push((title.to_owned(), lines)),
        }
    }

    fn get(&self, title: &str) -> Option<&[Line]> {
        let (_, lines) = self.0.iter().find(|(it, _)| it == title)?;
        Some(lines)
    }

    /// Is it known what the cell comes to?
    pub(crate) fn is_done(&self, title: &str) -> bool {
        self.get(title)
            .is_some_and(|lines| lines.iter().all(|line| line.verdict.is_final()))
    }

    /// The table of these cells, which are a head and a title each, and the sum of it.
    pub(crate) fn table(&self, plan: &[(String, String)]) -> (String, Sum) {
        let (mut text, mut sum) = (String::new(), Sum::default());
        let mut last = None;
        for (above, title) in plan {
            let Some(lines) = self.get(title) else {
                sum.absent.push(title.clone());
                continue;
            };
            if last.replace(above) != Some(above) {
                text += &format!("\n{}\n", head(above));
            }
            for line in lines {
                text += &format!("{line}\n");
                sum.add(line);
            }
        }
        (text, sum)
    }
}

fn cell(line: &str) -> Option<(String, Vec<Line>)> {
    let mut fields = line.split('\t').map(str::to_owned);
    let title = fields.next()?;
    let mut lines = Vec::new();
    while let Some(word) = fields.next() {
        lines.push(Line {
            verdict: VERDICTS.iter().find(|(_, it)| *it == word)?.0,
            title: fields.next()?,
            figures: fields.next()?,
            notes: fields.next()?,
        });
    }
    (!lines.is_empty()).then_some((title, lines))
}

/// What rows come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) rows: usize,
    /// Titles of rows; a row of which nothing came is as bad as one that is missed.
    pub(crate) missed: Vec<String>,
    pub(crate) void: Vec<String>,
    /// Titles of cells that were not measured.
    pub(crate) absent: Vec<String>,
}

impl Sum {
    fn add(&mut self, line: &Line) {
        self.rows += 1;
        match line.verdict {
            Verdict::Met | Verdict::Told => {}
            Verdict::Missed | Verdict::Failed => self.missed.push(line.title.clone()),
            Verdict::Void => self.void.push(line.title.clone()),
        }
    }

    /// Was any goal missed? A void row tells of the machine, and nothing of netloom: not even when all are void.
    pub(crate) fn is_missed(&self) -> bool {
        !self.missed.is_empty()
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missed, void) = (self.missed.len(), self.void.len());
        write!(f, "{} rows: {missed} missed, {void} void", self.rows)?;
        match self.absent.len() {
            0 => writeln!(f, ".")?,
            cells => writeln!(f, "; cells not measured: {cells}.")?,
        }
        let lists = [
            ("Missed", &self.missed),
            ("Void", &self.void),
            ("Not measured", &self.absent),
        ];
        for (what, titles) in lists {
            if !titles.is_empty() {
                writeln!(f, "\n{what}: {}.", titles.join("; "))?;
            }
        }
        Ok(())
    }
}

/// Cells, and the file that keeps them, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) cells: Cells,
    to: Option<(PathBuf, String)>,
}

impl Kept {
    /// What `file` holds of a former piece, if it was measured by the same.
    pub(crate) fn open(file: &Path, by: String) -> Result<Self, String> {
        let cells = match fs::read_to_string(file) {
            Ok(text) => Cells::parse(&text, &by),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Cells::default()),
            Err(error) => Err(error.to_string()),
        };
        Ok(Self {
            cells: cells.map_err(|error| format!("{}: {error}", file.display()))?,
            to: Some((file.to_owned(), by)),
        })
    }

    /// Keeps a cell; whoever ends the sweep from now on does not take it away.
    pub(crate) fn put(&mut self, title: &str, lines: Vec<Line>) -> Result<(), String> {
        self.cells.put(title, lines);
        let Some((file, by)) = &self.to else {
            return Ok(());
        };
        let whole = |error| format!("{}: {error}", file.display());
        // The old one, or the new one: never a part.
        let part = file.with_extension("part");
        fs::write(&part, self.cells.text(by)).map_err(whole)?;
        fs::rename(&part, file).map_err(whole)
    }
}
