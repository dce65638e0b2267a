//! What is left of a flow while its host is flooded:
//! `cargo bench --bench floods -- [--samples N] [--seconds S] [--rate R] [--only TEXT]`.
//!
//! The flow is the kernel's, paced by its sender to 1 Gbit/s, into a netloom `Host` on a TAP; the
//! flood comes from a second TAP on the same bridge. Sender and attacker share one CPU, the host has
//! the other. Every measurement has a host of its own, and each flood is measured next to the flow
//! alone. Needs root; makes a namespace of its own.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "bench.rs"]
mod bench;

fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", feature = "host"))]
    return bench::main();
    #[cfg(not(all(target_os = "linux", feature = "host")))]
    {
        println!("floods bench skipped: it needs Linux");
        std::process::ExitCode::SUCCESS
    }
}
