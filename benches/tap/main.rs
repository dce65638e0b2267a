//! netloom, smoltcp and the kernel itself against the kernel, in one run:
//! `cargo bench --bench tap -- [--samples N] [--seconds S] [--only TEXT] [--same-cpu]`.
//!
//! Every rival is a server (discard, source, echo) pinned to one CPU; the client is always a kernel
//! socket in a thread pinned to another, and does all the measuring. Samples are interleaved, so
//! that what else the machine does falls on all alike. Needs root; makes namespaces of its own.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod by_hand;
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
mod smol;

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
    let settings = measure::Settings::from_args(std::env::args().skip(1))?;
    let namespaces = machine::Namespaces::make()?;
    let rivals = rivals::start(&namespaces)?;
    let table = measure::run(&settings, &rivals)?;
    report::print(&settings, &rivals, &table);
    // The servers run for ever; their threads and devices end with the process.
    Ok(())
}
