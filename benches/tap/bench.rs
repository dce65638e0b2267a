//! What runs, and in which order.

mod by_hand;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod goals;
mod host;
mod kernel;
mod machine;
mod measure;
mod report;
mod rivals;
mod servers;
mod settings;
mod smol;
mod smol_tap;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    if let Err(error) = run() {
        println!("tap bench skipped: {error}");
    }
    ExitCode::SUCCESS
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let settings = settings::Settings::from_args(std::env::args().skip(1))?;
    let namespaces = machine::Namespaces::make()?;
    // Dropped at the end, in whatever way: ends all their threads.
    let servers = servers::Servers::start(&namespaces, settings.record)?;
    report::print_head(&settings);
    let table = measure::run(&settings, &servers)?;
    report::print(&table);
    goals::print(&table);
    Ok(())
}
