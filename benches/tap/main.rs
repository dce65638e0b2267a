//! netloom, smoltcp and the kernel itself against the kernel, in one run:
//! `cargo bench --bench tap -- [--samples N] [--seconds S] [--only TEXT] [--record]`. With `--record`
//! there is a host whose run is recorded without payload, and the ratio to the same without.
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

#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "bench.rs"]
mod bench;

fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", feature = "host"))]
    return bench::main();
    #[cfg(not(all(target_os = "linux", feature = "host")))]
    {
        println!("tap bench skipped: it needs Linux");
        std::process::ExitCode::SUCCESS
    }
}
