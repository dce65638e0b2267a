//! TAP: an Ethernet device of the kernel whose wire is this program.
//!
//! Linux Documentation/networking/tuntap.rst. A thin face of `tuntap`, where both kinds live.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::builder::{Builder, Kind};
use super::tuntap::{Offloads, TunTap, TunTapRx, TunTapTx};
use super::{Capabilities, Device, DeviceWatch, Medium, OpenError};
use crate::base::MacAddr;

/// A TAP device. The interface goes when it and both its halves are dropped, unless it is persistent.
///
/// ```no_run
/// use netloom::device::{Device, Tap};
///
/// let tap = Tap::builder()
///     .name("nl0")
///     .kernel_address("10.7.0.1/24".parse()?)
///     .kernel_address("fd00::1/64".parse()?)
///     .open()?;
/// println!("{} with {:?}", tap.name(), tap.capabilities());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tap(TunTap);

impl Tap {
    /// Settings for a device to open.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Takes a descriptor that is attached to a TAP already.
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

    /// The Ethernet address of the kernel's side; `None` when the interface is in another namespace.
    pub const fn kernel_mac(&self) -> Option<MacAddr> {
        self.0.mac
    }

    /// What the kernel granted.
    pub const fn offloads(&self) -> Offloads {
        self.0.offloads
    }
}

impl Device for Tap {
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

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl Kind for Tap {
    const MEDIUM: Medium = Medium::Ethernet;
    const NAME: &'static str = "a TAP";
}

impl From<TunTap> for Tap {
    fn from(device: TunTap) -> Self {
        Self(device)
    }
}
