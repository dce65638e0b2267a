//! What it costs to put datagrams together and to pass packets on: `cargo bench --bench passing`, half a minute.
//!
//! `memory`: frames are handed to a stack, or to smoltcp's, one by one, without a device. `tap`: one flow of the kernel's TCP through
//! TAP devices, to another kernel namespace over netloom as a router, and to netloom itself; it needs CAP_NET_ADMIN and is left
//! out without. Both sides of each ratio are measured in turns in one run; medians. Exits with 1 when a goal is missed.
//!
//! `--samples N` (5), `--seconds S` of each sample over TAP (0.5).

#![allow(clippy::cast_possible_truncation)]

#[path = "../common/mod.rs"]
#[allow(dead_code)]
mod common;
mod memory;
mod tap;

use std::process::ExitCode;
use std::time::Duration;

/// How often and how long.
#[derive(Clone, Copy)]
struct Settings {
    samples: usize,
    time: Duration,
}

fn main() -> ExitCode {
    let settings = match settings(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(why) => {
            eprintln!("passing: {why}");
            return ExitCode::from(2);
        }
    };
    let mut met = memory::run(settings);
    match tap::run(settings) {
        Ok(good) => met &= good,
        Err(why) => println!("tap: left out: {why}"),
    }
    ExitCode::from(u8::from(!met))
}

fn settings(mut args: impl Iterator<Item = String>) -> Result<Settings, String> {
    let mut settings = Settings {
        samples: 5,
        time: Duration::from_millis(500),
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} takes a value"));
        match arg.as_str() {
            "--samples" => settings.samples = common::number(&value()?)? as usize,
            "--seconds" => settings.time = Duration::from_secs_f64(common::number(&value()?)?),
            "--bench" => {}
            _ => return Err(format!("unknown argument {arg}")),
        }
    }
    settings.samples = settings.samples.max(1);
    Ok(settings)
}

/// A ratio beside what it is to be.
fn verdict(what: &str, ratio: f64, least: f64) -> bool {
    let met = ratio >= least;
    let word = if met { "met" } else { "MISSED" };
    println!("{word:<7} {what}: {ratio:.2} (>= {least})");
    met
}
