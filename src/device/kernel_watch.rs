//! What the kernel's side of a TUN or TAP device has lost.
//!
//! linux/if_link.h (`rtnl_link_stats64`). *Owns* a netlink socket made where the device is: a socket
//! stays in its network namespace, whichever the thread is in that asks. *Does not* keep the device
//! open.

use std::sync::{Mutex, PoisonError};

use super::netlink::{LinkCounts, Netlink};
use super::{DeviceCounters, DeviceWatch};

/// Reads the counters of one interface.
#[derive(Debug)]
pub(super) struct KernelWatch {
    index: u32,
    /// What had been lost before: an interface that stays has lost frames for others.
    before: LinkCounts,
    last: Mutex<(Netlink, LinkCounts)>,
}

impl KernelWatch {
    /// Watches the interface of this number; its counters so far are not the device's.
    pub(super) fn new(mut netlink: Netlink, index: u32) -> Result<Self, nix::errno::Errno> {
        let before = netlink.counts(index)?;
        Ok(Self {
            index,
            before,
            last: Mutex::new((netlink, before)),
        })
    }
}

impl DeviceWatch for KernelWatch {
    fn counters(&self) -> DeviceCounters {
        let mut guard = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (netlink, last) = &mut *guard;
        if let Ok(now) = netlink.counts(self.index) {
            *last = now;
        }
        DeviceCounters {
            lost_inbound: last.tx_dropped.saturating_sub(self.before.tx_dropped),
            lost_outbound: last.rx_dropped.saturating_sub(self.before.rx_dropped),
        }
    }
}
