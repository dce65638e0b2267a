//! `netloom demo`: netloom against the Linux kernel over a TAP in a namespace of its own, measured.

mod kernel;
mod measure;
mod side;
mod world;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::values;
use measure::Measure;
use world::World;

/// Ping, bulk data, latency and connection rate between netloom and the kernel.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each measurement takes.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = values::seconds)]
    seconds: Duration,
    /// Where the capture goes (pcapng, the first 192 bytes of each frame, at most 64 MiB)
    /// [default: netloom-demo.pcapng here, or in the directory for temporary files where nothing
    /// can be written here].
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let capture = args.capture.clone().unwrap_or_else(default_capture);
    let world = World::make(&capture)?;
    let mut rows = Vec::new();
    let measures = Measure::all(args.seconds);
    let progress = ProgressBar::new(measures.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{pos}/{len}] {wide_msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(120));
    for measure in &measures {
        progress.set_message(measure.title(&world));
        let result = measure
            .run(&world)
            .map_err(|error| Failure::new(format_args!("{}: {error}", measure.title(&world))))?;
        rows.push((measure.title(&world), result));
        progress.inc(1);
    }
    progress.finish_and_clear();
    print(&world, &rows, &capture).map_err(|error| Failure::stdout(&error))?;
    world.end();
    Ok(())
}

fn default_capture() -> PathBuf {
    let here = PathBuf::from("netloom-demo.pcapng");
    // The one of the demo before is overwritten.
    match File::create(&here) {
        Ok(_) => here,
        Err(_) => std::env::temp_dir().join(format!("netloom-demo-{}.pcapng", std::process::id())),
    }
}

fn print(world: &World, rows: &[(String, String)], capture: &std::path::Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if let Some(why) = &world.fallback {
        writeln!(
            out,
            "Two netloom hosts over the in-memory pair, because {why}"
        )?;
    } else {
        writeln!(
            out,
            "netloom {} against Linux over {}",
            env!("CARGO_PKG_VERSION"),
            world.device
        )?;
    }
    let width = rows.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    for (title, result) in rows {
        writeln!(out, "  {title:<width$}  {result}")?;
    }
    writeln!(out, "The capture is in {}", capture.display())?;
    out.flush()
}
