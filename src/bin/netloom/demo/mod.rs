//! `netloom demo`: netloom against the Linux kernel over a TAP in a namespace of its own, measured.

mod kernel;
mod measure;
mod side;
mod world;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
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
    let named = args.capture.clone();
    let only_new = named.is_none();
    let capture = named.unwrap_or_else(|| default_capture(Path::new(""), &std::env::temp_dir()));
    let world = World::make(&capture, only_new)?;
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

/// Where a capture goes that nobody named: `here`, else in the folder for temporary files. Others may
/// be able to write to either, so what they put in its place is taken away or passed by, never followed.
fn default_capture(here: &Path, temporary: &Path) -> PathBuf {
    let first = here.join("netloom-demo.pcapng");
    // The one of the demo before gives way; what cannot be removed is in the way below.
    let _ = fs::remove_file(&first);
    if File::create_new(&first).is_ok() && fs::remove_file(&first).is_ok() {
        return first;
    }
    let name = |n| format!("netloom-demo-{}-{n}.pcapng", std::process::id());
    let mut others = (0..100).map(|n| temporary.join(name(n)));
    others
        .find(|other| fs::symlink_metadata(other).is_err())
        .unwrap_or(first)
}

fn print(world: &World, rows: &[(String, String)], capture: &Path) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_capture_that_nobody_named_follows_no_link() {
        let base = std::env::temp_dir().join(format!("netloom-links-{}", std::process::id()));
        let (here, temporary) = (base.join("here"), base.join("temporary"));
        for folder in [&here, &temporary] {
            fs::create_dir_all(folder).unwrap();
        }
        let secret = base.join("secret");
        fs::write(&secret, "not the demo's").unwrap();
        symlink(&secret, here.join("netloom-demo.pcapng")).unwrap();
        let planted = format!("netloom-demo-{}-0.pcapng", std::process::id());
        symlink(&secret, temporary.join(planted)).unwrap();

        let path = default_capture(&here, &temporary);
        assert_eq!(path, here.join("netloom-demo.pcapng"));
        assert!(fs::symlink_metadata(&path).is_err(), "nothing is there");
        fs::write(&path, "an older demo").unwrap();
        assert_eq!(default_capture(&here, &temporary), path);

        // Nowhere to write: a folder that does not exist.
        let other = default_capture(&base.join("nowhere"), &temporary);
        assert!(other.starts_with(&temporary), "{}", other.display());
        assert!(fs::symlink_metadata(&other).is_err());
        assert_eq!(fs::read_to_string(&secret).unwrap(), "not the demo's");
        fs::remove_dir_all(&base).unwrap();
    }
}
