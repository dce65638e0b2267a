//! Namespaces, devices and processors.

use std::error::Error;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::id;

use netloom::device::Tap;
use nix::sched::{CloneFlags, setns};

use super::common::{ip, new_namespace};

/// Where the client runs.
pub(crate) const CLIENT_CPU: usize = 0;
/// Where all threads of the servers run.
pub(crate) const SERVER_CPU: usize = 1;

/// The process lives in the first namespace, with the TAP and one end of a veth pair; the other end is in the second.
pub(crate) struct Rig {
    far: File,
}

impl Rig {
    /// Makes both. Before any thread is started.
    pub(crate) fn make() -> Result<Self, Box<dyn Error>> {
        new_namespace()?;
        let far = File::open("/proc/thread-self/ns/net")?;
        settle()?;
        new_namespace()?;
        settle()?;
        let path = format!("/proc/{}/fd/{}", id(), far.as_raw_fd());
        ip(&format!(
            "link add veth0 type veth peer name veth1 netns {path}"
        ))?;
        ip("addr add 10.8.0.1/24 dev veth0")?;
        ip("link set veth0 up")?;
        let rig = Self { far };
        let near = File::open("/proc/thread-self/ns/net")?;
        rig.enter_far()?;
        ip("addr add 10.8.0.2/24 dev veth1")?;
        ip("link set veth1 up")?;
        setns(near, CloneFlags::CLONE_NEWNET)?;
        Ok(rig)
    }

    /// Moves the calling thread, and those it starts, to the far end.
    pub(crate) fn enter_far(&self) -> nix::Result<()> {
        setns(&self.far, CloneFlags::CLONE_NEWNET)
    }

    /// netloom's device.
    pub(crate) fn tap(net: u8) -> Result<Tap, Box<dyn Error>> {
        let tap = Tap::builder()
            .name(format!("nl{net}"))
            .kernel_address(format!("10.8.{net}.1/24").parse()?)
            .open()?;
        Ok(tap)
    }
}

/// Many connections come at once, and a sample's go before the next one's come.
fn settle() -> Result<(), String> {
    for (name, value) in [
        ("ipv4/ip_local_port_range", "10000 65000"),
        ("ipv4/tcp_max_tw_buckets", "0"),
        ("core/somaxconn", "4096"),
        ("ipv4/tcp_max_syn_backlog", "4096"),
    ] {
        let path = format!("/proc/sys/net/{name}");
        fs::write(&path, value).map_err(|error| format!("cannot set {name}: {error}"))?;
    }
    Ok(())
}
