//! What runs, and in which order.

mod attack;
#[path = "../common/mod.rs"]
mod common;
mod cost;
mod measure;
mod station;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    let settings = match measure::Settings::from_args(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(error) => {
            println!("floods bench: {error}");
            return ExitCode::SUCCESS;
        }
    };
    if let Err(error) = measure::run(&settings) {
        println!("floods bench skipped: {error}");
    }
    ExitCode::SUCCESS
}
