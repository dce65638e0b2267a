//! What runs, and in which order.

mod bridge;
mod cells;
#[path = "../common/mod.rs"]
mod common;
mod flows;
mod kept;
mod lane;
mod late;
mod looks;
mod measure;
mod picture;
mod plan;
mod report;
mod rig;
mod settings;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    let settings = settings::Settings::from_args(std::env::args().skip(1));
    let with_jobs = |settings: settings::Settings| settings.jobs().map(|jobs| (settings, jobs));
    let (settings, jobs) = match settings.and_then(with_jobs) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("linux bench: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&settings, &jobs) {
        Ok(missed) if missed && settings.check => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("linux bench skipped: {error}");
            ExitCode::from(u8::from(settings.check))
        }
    }
}

/// Did anything miss its goal?
fn run(settings: &settings::Settings, jobs: &[plan::Job]) -> Result<bool, rig::Failed> {
    let mut kept = match &settings.keep {
        Some(file) => kept::Kept::open(file, report::measured_by(settings)?)?,
        None => kept::Kept::default(),
    };
    let rig = rig::Rig::make(settings.capture.as_deref())?;
    let mut report = report::Report::new(settings.each);
    report.machine(settings, &rig);
    measure::run(settings, jobs, &rig, &mut report, &mut kept)?;
    let plan: Vec<_> = jobs.iter().map(|job| (job.head(), job.title())).collect();
    let (table, sum) = kept.cells.table(&plan);
    print!("\n{sum}");
    if let Some(to) = &settings.table {
        let cannot = |error| format!("cannot write {}: {error}", to.display());
        report.write(to, &table, &sum).map_err(cannot)?;
    }
    Ok(sum.is_missed())
}
