//! The whole kernel matrix, every byte hashed:
//! `cargo bench --bench matrix -- [--loss] [--only TEXT]... [--millis N]`.
//!
//! 288 combinations of family, device, offload, the kernel's congestion control, MTU and direction;
//! with `--loss` the same through 0.1 and 1 % loss each way instead. A line each; the end names those
//! that failed, and those that are slower than a tenth of their neighbours' median (the combinations
//! that differ from it in one factor). Each sender writes for 300 ms (`--millis`). `--only` runs those
//! whose line holds the text, all of them when it is repeated. Fails when one fails. Each combination
//! has a network namespace of its own; the cases are those of `tests/kernel/matrix.rs`.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::unwrap_used
)]

#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "../../tests/kernel/matrix/combos.rs"]
#[allow(dead_code, reason = "the tests run less")]
mod combos;
#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "../../tests/kernel/link.rs"]
#[allow(dead_code, reason = "tests need more")]
mod link;
#[cfg(all(target_os = "linux", feature = "host"))]
mod matrix;
#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "../../src/bin/netloom/namespace.rs"]
mod namespace;
#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "../../tests/kernel/matrix/run.rs"]
mod run;
#[cfg(all(target_os = "linux", feature = "host"))]
#[path = "../../tests/kernel/source.rs"]
mod source;

#[cfg(all(target_os = "linux", feature = "host"))]
fn main() -> std::process::ExitCode {
    match matrix::main(std::env::args().skip(1)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("matrix: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "host")))]
fn main() {
    println!("matrix bench skipped: it needs Linux");
}
