//! TUN: an IP device of the kernel whose wire is this program, without link headers.
//!
//! Linux Documentation/networking/tuntap.rst. A thin face of `tuntap`, where both kinds live.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::builder::{Builder, Kind};
use super::tuntap::{Offloads, TunTap, TunTapRx, TunTapTx};
use super::{Capabilities, Device, DeviceWatch, Medium, OpenError};

/// A TUN device. The interface goes when it and both its halves are dropped, unless it is persistent.
#[derive(Debug)]
pub struct Tun(TunTap);

impl Tun {
    /// Settings for a device to open.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Takes a descriptor that is attached to a TUN already.
    ///
    /// # Errors
    /// As [`Builder::from_fd`].
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::builder().from_fd(fd)
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The interface's number in its network namespace; 0 when it is in another one.
    pub const fn index(&self) -> u32 {
        self.0.index
    }

    /// What the kernel granted.
    pub const fn offloads(&self) -> Offloads {
        self.0.offloads
    }
}

impl Device for Tun {
    type Rx = TunTapRx;
    type Tx = TunTapTx;

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn without_software(self) -> Self {
        Self(self.0.without_software())
    }

    fn watch(&self) -> Option<Arc<dyn DeviceWatch>> {
        self.0.watch()
    }

    fn split(self) -> (TunTapRx, TunTapTx) {
        self.0.split()
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl Kind for Tun {
    const MEDIUM: Medium = Medium::Ip;
    const NAME: &'static str = "a TUN";
}

impl From<TunTap> for Tun {
    fn from(device: TunTap) -> Self {
        Self(device)
    }
}
