//! What benches that run beside the kernel have in common: namespaces, processors, programs, numbers.
//!
//! *Owns* nothing: no bench's settings, and nothing of what is measured.

use std::process::Command;

use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::unistd::Pid;

/// Moves the calling thread, and those it starts, into a new network namespace.
pub(crate) fn new_namespace() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|errno| format!("cannot make a network namespace ({errno}): run as root"))
}

/// Runs `ip` with these words in the calling thread's namespace.
pub(crate) fn ip(words: &str) -> Result<(), String> {
    let words: Vec<_> = words.split_whitespace().collect();
    command("ip", "iproute2", &words)
}

/// Runs a program, which is in that package, with these words.
pub(crate) fn command(name: &str, package: &str, words: &[&str]) -> Result<(), String> {
    let run = Command::new(name).args(words).output();
    let output =
        run.map_err(|error| format!("cannot run `{name}` (package {package}): {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} {}: {}", words.join(" "), errors.trim()))
}

/// Pins the calling thread, and those it starts, to these processors.
pub(crate) fn pin(cpus: impl IntoIterator<Item = usize>) -> nix::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(cpu)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// A number of the command line.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&n: &f64| n > 0.0 && n < 1e7);
    number.ok_or_else(|| format!("{text} is no positive number"))
}

/// The median; of an even number the upper one of the two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
