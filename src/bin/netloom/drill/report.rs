//! Lines about runs: for a reader, for a file, and a summary by folder.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use netloom::drill::{Outcome, Variant, Verdict};
use serde_json::json;

use crate::failure::Failure;

/// One run of one script.
pub(super) struct Row<'a> {
    pub(super) path: &'a Path,
    pub(super) variant: Variant,
    pub(super) outcome: &'a Outcome,
}

impl Row<'_> {
    fn cause(&self) -> (u32, &str) {
        let cause = self.outcome.cause.as_ref();
        cause.map_or((0, ""), |cause| (cause.line, cause.text.as_str()))
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, cause) = self.cause();
        write!(
            f,
            "{}:{line}: {}",
            self.path.display(),
            self.outcome.verdict
        )?;
        if self.variant != Variant::Plain {
            write!(f, " ({})", self.variant.name())?;
        }
        write!(f, ": {cause}")?;
        for packet in &self.outcome.history {
            write!(f, "\n    {packet}")?;
        }
        Ok(())
    }
}

/// A file of rows.
pub(super) struct Report {
    out: BufWriter<File>,
    path: PathBuf,
    json: bool,
}

impl Report {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path)
            .map_err(|error| Failure::new(format_args!("{}: {error}", path.display())))?;
        let end = path.extension().and_then(|end| end.to_str());
        let json = matches!(end, Some("json" | "jsonl"));
        let mut report = Self {
            out: BufWriter::new(file),
            path: path.to_owned(),
            json,
        };
        if !json {
            report.line("script\tvariant\tverdict\tline\tcause")?;
        }
        Ok(report)
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        let (line, cause) = row.cause();
        let (path, verdict) = (row.path.display().to_string(), row.outcome.verdict.name());
        let variant = row.variant.name();
        let text = if self.json {
            json!({
                "script": path,
                "variant": variant,
                "verdict": verdict,
                "line": line,
                "cause": cause,
                "packets": row.outcome.history,
            })
            .to_string()
        } else {
            let flat = |text: &str| text.replace(['\t', '\n', '\r'], " ");
            format!(
                "{}\t{variant}\t{verdict}\t{line}\t{}",
                flat(&path),
                flat(cause)
            )
        };
        self.line(&text)
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{text}").map_err(|error| told(&self.path, &error))
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| told(&self.path, &error))
    }
}

fn told(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!("{}: {error}", path.display()))
}

/// How many runs came to what.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(BTreeMap<Verdict, usize>);

impl Counts {
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.0.get(&verdict).copied().unwrap_or(0)
    }

    pub(super) fn all(&self) -> usize {
        self.0.values().sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs", self.all())?;
        for verdict in [
            Verdict::StrictPass,
            Verdict::Pass,
            Verdict::Unsupported,
            Verdict::Fail,
        ] {
            write!(f, ", {} {verdict}", self.count(verdict))?;
        }
        Ok(())
    }
}

/// Counts by folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    folders: BTreeMap<PathBuf, Counts>,
    total: Counts,
}

impl Tally {
    pub(super) fn add(&mut self, row: &Row<'_>) {
        let folder = row.path.parent().unwrap_or(row.path).to_owned();
        for counts in [self.folders.entry(folder).or_default(), &mut self.total] {
            *counts.0.entry(row.outcome.verdict).or_default() += 1;
        }
    }

    pub(super) const fn total(&self) -> &Counts {
        &self.total
    }

    /// A line a folder, and one of all when there are several.
    pub(super) fn lines(&self) -> Vec<String> {
        let folder = |(path, counts): (&PathBuf, &Counts)| {
            let name = path.display().to_string();
            let name = if name.is_empty() { ".".into() } else { name };
            format!("{name}: {counts}")
        };
        let mut lines: Vec<String> = self.folders.iter().map(folder).collect();
        if self.folders.len() > 1 {
            lines.push(format!("all: {}", self.total));
        }
        lines
    }
}
