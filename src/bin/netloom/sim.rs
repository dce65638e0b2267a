//! `netloom sim`: experiments in a simulated network, by name; what they come to, and pictures of it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use netloom::sim::scenario::{self, Outcome, Scenario, Verdict, Watch, Watched};
use netloom::sim::{Plot, Sampling, write_csv, write_json_lines};

use crate::failure::Failure;
use crate::output::say;

/// What `netloom sim` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// List the scenarios: id, where what they are held to comes from, seeds of a full run, title.
    #[arg(long, exclusive = true)]
    list: bool,
    /// The scenario; upper and lower case are one.
    #[arg(value_name = "ID", required_unless_present = "list")]
    id: Option<String>,
    /// What is left to chance comes of this number; the same one gives the same run, to the bit.
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        allow_hyphen_values = true
    )]
    seed: String,
    /// Draw sequence, window, round-trip time and queue over time into this SVG file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write what was known after each segment of the sender into this file: JSON lines when its
    /// name ends in .jsonl or .json, CSV otherwise. Times are in nanoseconds, lengths in bytes.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Capture the links into this directory, as ID-LINK.pcapng.
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
}

/// How often a picture looks in the course of a run when nobody asked for a trace: several times for
/// each point that it can show.
const GLANCES: u32 = 5000;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let Some(id) = &args.id else {
        return list();
    };
    let scenario = scenario::find(id).ok_or_else(|| {
        let cause = format_args!("there is no scenario `{id}`");
        Failure::usage(cause, "`netloom sim --list` has them all")
    })?;
    let seed = args.seed.parse::<u64>().map_err(|_| {
        let cause = format_args!("`{}` is no seed", args.seed);
        Failure::usage(cause, "give a whole number of 0 to 2^64 - 1")
    })?;
    if args.plot.is_some() && args.plot == args.trace {
        let cause = "picture and rows cannot go to the same file";
        return Err(Failure::usage(
            cause,
            "give `--plot` and `--trace` a file each",
        ));
    }
    // What cannot be written is known before the run, not after it.
    let mut plot = args.plot.as_deref().map(Target::open).transpose()?;
    let mut trace = args.trace.as_deref().map(Target::open).transpose()?;
    let sampling = match (&args.trace, &args.plot) {
        (Some(_), _) => Some(Sampling::EachTurn),
        (None, Some(_)) => Some(glances(scenario, seed)?),
        (None, None) => None,
    };
    let watch = watch(scenario, args, sampling)?;
    let outcome = scenario.run(seed, watch).map_err(Failure::new)?;
    say(format_args!("{}: {}", scenario.id, scenario.title))?;
    say(format_args!("{}, seed {seed}", scenario.definition()))?;
    for verdict in &outcome.verdicts {
        say(format_args!("  {verdict}"))?;
    }
    say(format_args!("trace hash {:016x}", outcome.trace_hash))?;
    for (number, watched) in outcome.watched.iter().enumerate() {
        if let Some(target) = &mut plot {
            target.write(number, watched, |out| {
                let note = format!("{}, seed {seed}", scenario.id);
                let plot = Plot::new(scenario.title, &watched.rows).note(&note);
                write!(out, "{plot}")
            })?;
        }
        if let Some(target) = &mut trace {
            let json = target.is_json();
            target.write(number, watched, |out| match json {
                true => write_json_lines(out, &watched.rows),
                false => write_csv(out, &watched.rows),
            })?;
        }
    }
    judge(outcome)
}

fn list() -> Result<(), Failure> {
    let width = scenario::all().map(|it| it.id.len()).max().unwrap_or(0);
    for it in scenario::all() {
        let seeds = match it.seeds {
            1 => "1 seed".to_owned(),
            seeds => format!("{seeds} seeds"),
        };
        say(format_args!(
            "{:width$}  {:9}  {seeds:7}  {}",
            it.id, it.kind, it.title
        ))?;
    }
    Ok(())
}

/// How long a run is, only a run tells; the same one follows, and is looked at.
fn glances(scenario: &Scenario, seed: u64) -> Result<Sampling, Failure> {
    let outcome = scenario.run(seed, Watch::nothing());
    let length = outcome.map_err(Failure::new)?.simulated;
    Ok(Sampling::Every(length / GLANCES))
}

/// What is to be kept of the run.
fn watch(
    scenario: &'static Scenario,
    args: &Args,
    sampling: Option<Sampling>,
) -> Result<Watch, Failure> {
    let mut watch = Watch::nothing();
    if let Some(sampling) = sampling {
        watch = watch.rows(sampling);
    }
    if let Some(folder) = &args.pcap {
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        let folder = folder.clone();
        watch = watch.captures(move |link| {
            let path = folder.join(format!("{}-{link}.pcapng", scenario.id));
            match File::create(&path) {
                Ok(file) => Ok(Box::new(file) as Box<dyn Write>),
                Err(error) => Err(io::Error::new(
                    error.kind(),
                    format!("{}: {error}", path.display()),
                )),
            }
        });
    }
    Ok(watch)
}

/// A miss is a failure, and so is a capture that is not whole.
fn judge(outcome: Outcome) -> Result<(), Failure> {
    if let Some(error) = outcome.capture_error {
        return Err(Failure::new(format_args!(
            "the capture is not whole: {error}"
        )));
    }
    let met = |verdict: &&Verdict| !verdict.is_met();
    match outcome.verdicts.iter().filter(met).count() {
        0 => Ok(()),
        missed => Err(Failure::new(format_args!(
            "{missed} of {} values are not as expected",
            outcome.verdicts.len()
        ))),
    }
}

/// A file to be written after the run; of several networks each gets one beside it.
struct Target<'a> {
    path: &'a Path,
    first: Option<File>,
}

impl<'a> Target<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        let first = Some(create(path)?);
        Ok(Self { path, first })
    }

    fn is_json(&self) -> bool {
        let extension = self.path.extension().unwrap_or_default();
        ["json", "jsonl"].iter().any(|it| extension == *it)
    }

    fn write(
        &mut self,
        number: usize,
        watched: &Watched,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut path = self.path.to_owned();
        let file = match self.first.take() {
            Some(file) => file,
            None => {
                path = beside(&path, &format!("{}-{}", watched.name, number + 1));
                create(&path)?
            }
        };
        let mut out = BufWriter::new(file);
        fill(&mut out)
            .and_then(|()| out.flush())
            .map_err(|error| cannot_write(&path, &error))?;
        say(format_args!("{} -> {}", watched.name, path.display()))
    }
}

/// `plot.svg` with `b` is `plot-b.svg`.
fn beside(path: &Path, name: &str) -> PathBuf {
    let mut file = path.file_stem().unwrap_or_default().to_owned();
    file.push(format!("-{name}"));
    if let Some(extension) = path.extension() {
        file.push(".");
        file.push(extension);
    }
    path.with_file_name(file)
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_further_networks_stand_beside_the_first() {
        for (path, expected) in [
            ("a/plot.svg", "a/plot-flow-2.svg"),
            ("plot", "plot-flow-2"),
            ("/tmp/x.y.csv", "/tmp/x.y-flow-2.csv"),
        ] {
            assert_eq!(beside(Path::new(path), "flow-2"), Path::new(expected));
        }
    }
}
