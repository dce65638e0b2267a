//! Namespaces, processors and the time spent on them.

use std::error::Error;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::id;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Usage, UsageWho, getrusage};

use super::common::{ip, new_namespace};
use super::measure::CUBIC;
use super::rivals::Rival;

/// Where the client runs, unless it shares the rivals' (then it moves there).
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
        new_namespace()?;
        let far = File::open("/proc/thread-self/ns/net")?;
        settle()?;
        new_namespace()?;
        settle()?;
        netloom::device::Tap::builder().open()?;
        let path = format!("/proc/{}/fd/{}", id(), far.as_raw_fd());
        ip(&format!(
            "link add veth0 type veth peer name veth1 netns {path}"
        ))?;
        ip("addr add 10.8.0.1/24 dev veth0")?;
        ip("link set veth0 up")?;
        use_cubic("veth0", Rival::Kernel.net(), 1)?;
        let namespaces = Self { far };
        let near = File::open("/proc/thread-self/ns/net")?;
        namespaces.enter_far()?;
        ip("addr add 10.8.0.2/24 dev veth1")?;
        ip("link set veth1 up")?;
        use_cubic("veth1", Rival::Kernel.net(), 2)?;
        setns(near, CloneFlags::CLONE_NEWNET)?;
        Ok(namespaces)
    }

    /// Moves the calling thread, and those it starts, to the far end.
    pub(crate) fn enter_far(&self) -> nix::Result<()> {
        setns(&self.far, CloneFlags::CLONE_NEWNET)
    }
}

/// The kernel's settings of the calling thread's namespace.
fn settle() -> Result<(), String> {
    for (name, value) in [
        // Thousands of connections per second close by FIN: all ports, and no TIME-WAIT holds one.
        ("ip_local_port_range", "10000 65000"),
        ("tcp_max_tw_buckets", "0"),
    ] {
        let path = format!("/proc/sys/net/ipv4/{name}");
        fs::write(&path, value).map_err(|error| format!("cannot set {name}: {error}"))?;
    }
    Ok(())
}

/// Tells the kernel to use CUBIC towards this network, where its own end has this number. (The
/// default of a namespace cannot be set to what the machine's administrator has not allowed.)
pub(crate) fn use_cubic(device: &str, net: u8, own: u8) -> Result<(), String> {
    ip(&format!(
        "route change 10.8.{net}.0/24 dev {device} proto kernel scope link src 10.8.{net}.{own} congctl {CUBIC}"
    ))
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
