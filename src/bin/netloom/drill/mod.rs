//! `netloom drill`: scripts in packetdrill's notation, in virtual time; what each comes to.

mod files;
mod report;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use netloom::drill::{Drill, Outcome, Profile, Variant, Verdict};

use crate::failure::Failure;
use crate::output::say;
use report::{Report, Row, Tally};

pub(crate) const EXIT_STATUS: &str = "Exit status: 0 when all pass, 1 when one fails, 2 wrong usage, 3 when none fails and \
     something is unsupported. docs/scripts.md tells the notation, the profiles and what is compared.";

/// What `netloom drill` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Scripts, and folders of which all files that end in .pkt are run.
    #[arg(value_name = "FILE|DIR", required = true)]
    paths: Vec<PathBuf>,
    /// The stack that the scripts were written for: linux, freebsd, rfc (by the book), netloom (its
    /// defaults), or a file of settings. Without it, what a script's own --profile says, else linux.
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Ask for option order, padding, PSH, windows and timestamps too: a pass that is not strict fails.
    #[arg(long)]
    strict: bool,
    /// Run scripts over IPv6 too, where their addresses allow.
    #[arg(long)]
    ipv6: bool,
    /// Run scripts over a device with segmentation offload too.
    #[arg(long)]
    offload: bool,
    /// Run scripts too with initial numbers, and with timestamps, just below their wrap.
    #[arg(long)]
    wrap: bool,
    /// Write script, variant, verdict, line and cause into this file: JSON lines when its name ends in
    /// .jsonl or .json, tab-separated otherwise.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Replace a word in every script; without a value it is for #ifdef alone.
    #[arg(short = 'D', value_name = "NAME[=VALUE]")]
    define: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let drill = drill(args)?;
    let scripts = files::find(&args.paths)?;
    // What cannot be written is known before the run, not after it.
    let mut report = args.report.as_deref().map(Report::create).transpose()?;
    let mut variants = vec![Variant::Plain];
    if args.ipv6 {
        variants.push(Variant::Ipv6);
    }
    if args.offload {
        variants.push(Variant::Offload);
    }
    if args.wrap {
        variants.extend([Variant::Wrap, Variant::StampWrap]);
    }
    let results = run_all(&drill, &scripts, &variants);
    let mut tally = Tally::default();
    for (path, outcomes) in scripts.iter().zip(&results) {
        for (variant, outcome) in outcomes {
            let row = Row {
                path,
                variant: *variant,
                outcome,
            };
            if let Some(report) = &mut report {
                report.write(&row)?;
            }
            if !outcome.verdict.is_pass() || (args.strict && !is_strict(outcome)) {
                say(&row)?;
            }
            tally.add(&row);
        }
    }
    if let Some(report) = report {
        report.finish()?;
    }
    for line in tally.lines() {
        say(line)?;
    }
    judge(&tally, args.strict)
}

fn is_strict(outcome: &Outcome) -> bool {
    outcome.verdict == Verdict::StrictPass
}

fn drill(args: &Args) -> Result<Drill, Failure> {
    let mut drill = match args.profile.as_deref() {
        None => Drill::default(),
        Some(name) => Drill::new(match Profile::by_name(name) {
            Some(profile) => profile,
            None => profile_of(Path::new(name))?,
        }),
    };
    for define in &args.define {
        let (word, value) = define.split_once('=').unwrap_or((define, ""));
        let is_word = !word.is_empty()
            && !word.starts_with(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_word {
            let cause = format_args!("`{word}` is no word");
            return Err(Failure::usage(cause, "give -D NAME=VALUE"));
        }
        drill = drill.define(word, value);
    }
    Ok(drill)
}

fn profile_of(path: &Path) -> Result<Profile, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        let cause = format_args!("the profile {shown}: {error}");
        Failure::usage(
            cause,
            "give linux, freebsd, rfc, netloom or a file of settings",
        )
    })?;
    let name = path.file_stem().map_or_else(String::new, |name| {
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        name.to_string_lossy().chars().map(word).collect()
    });
    Profile::parse(&name, &text).map_err(|error| {
        let cause = format_args!("the profile {shown}, {error}");
        Failure::usage(cause, "docs/scripts.md lists the settings")
    })
}

/// What each script comes to in each of its variants, in the order of the scripts.
fn run_all(
    drill: &Drill,
    scripts: &[PathBuf],
    variants: &[Variant],
) -> Vec<Vec<(Variant, Outcome)>> {
    let results: Vec<Mutex<Vec<_>>> = scripts.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(16));
    thread::scope(|scope| {
        for _ in 0..threads.min(scripts.len()) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(path), Some(result)) = (scripts.get(place), results.get(place))
                    else {
                        return;
                    };
                    let outcomes = run_one(drill, path, variants);
                    *result.lock().expect("nobody panics with it") = outcomes;
                }
            });
        }
    });
    let taken = results.into_iter();
    taken
        .map(|result| result.into_inner().expect("nobody panics with it"))
        .collect()
}

fn run_one(drill: &Drill, path: &Path, variants: &[Variant]) -> Vec<(Variant, Outcome)> {
    let failed = |text: String| vec![(Variant::Plain, Outcome::failed(0, text))];
    let text = match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return failed(format!("it is no text: {error}")),
        Err(error) => return failed(error.to_string()),
    };
    let run = |variant: Variant| {
        // A panic is the script's finding, and the others are run all the same.
        let caught = catch_unwind(AssertUnwindSafe(|| drill.run(&text, variant)));
        let outcome = caught.unwrap_or_else(|_| {
            let text = "netloom panicked; what it said stands on standard error";
            Some(Outcome::failed(0, text))
        });
        Some((variant, outcome?))
    };
    variants.iter().copied().filter_map(run).collect()
}

fn judge(tally: &Tally, strict: bool) -> Result<(), Failure> {
    let total = tally.total();
    let (failed, unsupported, loose) = (
        total.count(Verdict::Fail),
        total.count(Verdict::Unsupported),
        total.count(Verdict::Pass),
    );
    let all = total.all();
    if failed > 0 {
        return Err(Failure::new(format_args!("{failed} of {all} runs failed")));
    }
    if strict && loose > 0 {
        let cause = format_args!("{loose} of {all} runs passed, but not strictly");
        return Err(Failure::new(cause));
    }
    if unsupported > 0 {
        let cause = format!("{unsupported} of {all} runs are of what is unsupported, none failed");
        return Err(Failure::Unsupported(cause));
    }
    Ok(())
}
