//! Namespaces, processors and the time spent on them.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, id};
use std::time::Duration;

use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns, unshare};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::unistd::Pid;

/// Where the client runs, unless it shares the rivals'.
pub(crate) const CLIENT_CPU: usize = 0;
/// Where every rival runs, all its threads.
pub(crate) const RIVAL_CPU: usize = 1;

/// Two network namespaces: the process lives in the first, where the TAP devices are; the second is the
/// far end of a veth pair.
pub(crate) struct Namespaces {
    far: File,
}

impl Namespaces {
    /// Makes both and joins them by a veth pair. Before any thread is started.
    pub(crate) fn make() -> Result<Self, Box<dyn Error>> {
        let no_rights = |errno| format!("cannot make a network namespace ({errno}): run as root");
        unshare(CloneFlags::CLONE_NEWNET).map_err(no_rights)?;
        let far = File::open("/proc/thread-self/ns/net")?;
        unshare(CloneFlags::CLONE_NEWNET).map_err(no_rights)?;
        netloom::device::Tap::builder().open()?;
        let path = format!("/proc/{}/fd/{}", id(), far.as_raw_fd());
        ip(&format!(
            "link add veth0 type veth peer name veth1 netns {path}"
        ))?;
        ip("addr add 10.8.0.1/24 dev veth0")?;
        ip("link set veth0 up")?;
        let namespaces = Self { far };
        let near = File::open("/proc/thread-self/ns/net")?;
        namespaces.enter_far()?;
        ip("addr add 10.8.0.2/24 dev veth1")?;
        ip("link set veth1 up")?;
        setns(near, CloneFlags::CLONE_NEWNET)?;
        Ok(namespaces)
    }

    /// Moves the calling thread, and those it starts, to the far end.
    pub(crate) fn enter_far(&self) -> nix::Result<()> {
        setns(&self.far, CloneFlags::CLONE_NEWNET)
    }
}

/// Runs `ip` with these words in the calling thread's namespace.
pub(crate) fn ip(words: &str) -> Result<(), String> {
    let run = Command::new("ip").args(words.split_whitespace()).output();
    let output = run.map_err(|error| format!("cannot run `ip` (package iproute2): {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {words}: {}", errors.trim()))
}

/// Pins the calling thread, and those it starts, to one processor.
pub(crate) fn pin(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Processor time used so far.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    thread: Duration,
    process: Duration,
}

impl Spent {
    pub(crate) fn now() -> nix::Result<Self> {
        Ok(Self {
            thread: total(&getrusage(UsageWho::RUSAGE_THREAD)?),
            process: total(&getrusage(UsageWho::RUSAGE_SELF)?),
        })
    }

    /// What the calling thread spent since then, and what all others did.
    pub(crate) fn since(self, start: Self) -> (Duration, Duration) {
        let thread = self.thread.saturating_sub(start.thread);
        let process = self.process.saturating_sub(start.process);
        (thread, process.saturating_sub(thread))
    }
}

fn total(usage: &Usage) -> Duration {
    let times = [usage.user_time(), usage.system_time()];
    times
        .iter()
        .map(|time| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000))
        .sum()
}
