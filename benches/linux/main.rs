//! netloom and the kernel as senders and receivers over the same wire, in pairs:
//! `cargo bench --bench linux -- [--all | --path | --few | --ci] [--samples N] [--seconds S] [--only TEXT] [--load MBIT] [--late-ms MS] [--table FILE] [--keep FILE] [--rounds N] [--minutes M] [--pcap FILE] [--plot DIR] [--each] [--check]`.
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

#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "bench.rs"]
mod bench;

fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", feature = "host"))]
    return bench::main();
    #[cfg(not(all(target_os = "linux", feature = "host")))]
    {
        println!("linux bench skipped: it needs Linux");
        std::process::ExitCode::SUCCESS
    }
}
