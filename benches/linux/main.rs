//! netloom and the kernel as senders and receivers over the same wire, in pairs:
//! `cargo bench --bench linux -- [--all | --path | --few | --ci] [--samples N] [--seconds S] [--only TEXT] [--load MBIT] [--late-ms MS] [--table FILE] [--pcap FILE] [--check]`.
//!
//! The wire is netloom's own, in a thread on the last processor; all else has the others, and real-time priority where it may.
//! A kernel sender and a kernel receiver live each in a namespace of its own, on a TAP without offload;
//! netloom's `Host` has an in-memory pair whose far end is a third port of the same bridge. What is
//! compared ran one after the other, with the same seed for what the wire does. The bridge measures
//! how late it is itself, and what it was too late for is void. Needs root; makes namespaces of its own.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod bridge;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod cells;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod flows;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod lane;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod late;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod measure;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod plan;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod report;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod rig;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod settings;

use std::process::ExitCode;

#[cfg(all(target_os = "linux", not(netloom_portable)))]
fn main() -> ExitCode {
    let settings = match settings::Settings::from_args(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("linux bench: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&settings) {
        Ok(missed) if missed && settings.check => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("linux bench skipped: {error}");
            ExitCode::from(u8::from(settings.check))
        }
    }
}

#[cfg(not(all(target_os = "linux", not(netloom_portable))))]
fn main() -> ExitCode {
    println!("linux bench skipped: it needs Linux");
    ExitCode::SUCCESS
}

/// Did anything miss its goal?
#[cfg(all(target_os = "linux", not(netloom_portable)))]
fn run(settings: &settings::Settings) -> Result<bool, rig::Failed> {
    let rig = rig::Rig::make(settings.capture.as_deref())?;
    let mut report = report::Report::default();
    report.machine(settings, &rig);
    measure::run(settings, &rig, &mut report)?;
    let missed = report.end();
    if let Some(to) = &settings.table {
        let cannot = |error| format!("cannot write {}: {error}", to.display());
        report.write(to).map_err(cannot)?;
    }
    Ok(missed)
}
