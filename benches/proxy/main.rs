//! `netloom proxy` at work, in one run with a host of netloom's that keeps what comes:
//! `cargo bench --features cli --bench proxy -- [--samples N] [--seconds S] [--only TEXT]`.
//!
//! One stream of bytes out and one back, by the proxy and to the host itself; connections a second, one after the other in each of eight threads;
//! and 10,000 at once. Clients are the kernel's sockets; the SOCKS5 server, which answers for all that it is asked for, is in another namespace behind a veth pair. Nothing is
//! pinned. Medians, and ratios of the medians. Needs root; makes namespaces of its own. Exits with 1 when a goal is missed.

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
        println!("proxy bench skipped: it needs Linux");
        std::process::ExitCode::SUCCESS
    }
}
