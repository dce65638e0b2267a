//! hyper over netloom beside hyper over the kernel's sockets, in one run:
//! `cargo bench --features tokio --bench async -- [--samples N] [--seconds S] [--only TEXT]`.
//!
//! Requests for a page of 13 bytes on 1, 64 and 1,000 connections (HTTP/1.1, each asks again when it has its answer), on a runtime of one
//! thread and on one of two; then one stream of bytes in, read by a task and by a thread. Clients are the kernel's sockets in one thread on CPU 0, all of a server's
//! threads are on CPU 1, netloom behind a TAP and the kernel's behind a veth pair. Samples are interleaved; medians and ratios of the
//! medians. Needs root; makes namespaces of its own. Exits with 1 when a goal is missed.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

#[cfg(target_os = "linux")]
#[path = "bench.rs"]
mod bench;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    return bench::main();
    #[cfg(not(target_os = "linux"))]
    {
        println!("async bench skipped: it needs Linux");
        std::process::ExitCode::SUCCESS
    }
}
