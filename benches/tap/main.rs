//! netloom, smoltcp and the kernel itself against the kernel, in one run:
//! `cargo bench --bench tap -- [--samples N] [--seconds S] [--only TEXT]`.
//!
//! Every rival is a server (discard, source, echo) pinned to one CPU; the client is always a kernel
//! socket in a thread that is pinned to another, or to the same one where the title says so, and
//! does all the measuring. Samples are interleaved, so that what else the machine does falls on all
//! alike. Needs root; makes namespaces of its own.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod by_hand;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod client;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod goals;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod host;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod kernel;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod machine;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod measure;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod report;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod rivals;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod servers;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod settings;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod smol;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod smol_tap;

#[cfg(all(target_os = "linux", not(netloom_portable)))]
fn main() {
    if let Err(error) = run() {
        println!("tap bench skipped: {error}");
    }
}

#[cfg(not(all(target_os = "linux", not(netloom_portable))))]
fn main() {
    println!("tap bench skipped: it needs Linux");
}

#[cfg(all(target_os = "linux", not(netloom_portable)))]
fn run() -> Result<(), Box<dyn std::error::Error>> {
    let settings = settings::Settings::from_args(std::env::args().skip(1))?;
    let namespaces = machine::Namespaces::make()?;
    // Dropped at the end, in whatever way: ends all their threads.
    let servers = servers::Servers::start(&namespaces)?;
    report::print_head(&settings);
    let table = measure::run(&settings, &servers)?;
    report::print(&table);
    goals::print(&table);
    Ok(())
}
