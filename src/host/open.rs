//! How a device becomes one of a host's: wrapped, and taken apart.
//!
//! *Owns* the order of the layers: coalesce(segment(capture(device))). The capture shows the frames of the wire: as they were cut for
//! it, and before they were merged. *Does not* know of interfaces.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::error::SpawnError;
use crate::capture::{Capture, Recorder};
use crate::device::{
    Capabilities, Coalesce, Device, DeviceWatch, HostReceive, HostTransmit, Pollable, Segmented,
};
use crate::stack::InterfaceConfig;

/// A device that was taken apart.
pub(crate) struct Opened {
    /// What the device that was given can do by itself.
    pub(crate) native: Capabilities,
    /// What it can do with what is around it.
    pub(crate) offered: Capabilities,
    pub(crate) watch: Option<Arc<dyn DeviceWatch>>,
    pub(crate) rx: Box<dyn HostReceive>,
    pub(crate) tx: Box<dyn HostTransmit>,
    pub(crate) readable: Arc<OwnedFd>,
    pub(crate) writable: Arc<OwnedFd>,
}

/// A device of any type that waits for its host, and what its interface is told.
pub(super) struct Waiting {
    pub(super) native: Capabilities,
    pub(super) config: InterfaceConfig,
    open: Box<dyn FnOnce(Option<Recorder>) -> Result<Opened, SpawnError> + Send>,
}

impl Waiting {
    pub(super) fn new<D>(
        device: D,
        configure: impl FnOnce(InterfaceConfig) -> InterfaceConfig,
    ) -> Self
    where
        D: Device + Send + 'static,
        D::Rx: HostReceive,
        D::Tx: HostTransmit,
    {
        let device = device.without_software();
        Self {
            config: configure(InterfaceConfig::new(device.capabilities())),
            native: *device.capabilities(),
            open: Box::new(|recorder| open(device, recorder)),
        }
    }

    /// Opens it, into the capture if there is one.
    pub(super) fn open(
        self,
        recorder: Option<&Recorder>,
    ) -> Result<(Opened, InterfaceConfig), SpawnError> {
        let recorder = recorder.map(|recorder| recorder.interface(self.native.medium));
        Ok(((self.open)(recorder)?, self.config))
    }
}

/// Can a host use such a device?
pub(super) const fn check(native: &Capabilities) -> Result<(), SpawnError> {
    if native.one_of_several {
        return Err(SpawnError::OneOfSeveralQueues);
    }
    Ok(())
}

/// Takes a device apart that promises no [software](Device::without_software).
pub(super) fn open<D>(device: D, recorder: Option<Recorder>) -> Result<Opened, SpawnError>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let native = *device.capabilities();
    let watch = device.watch();
    let device = match recorder {
        // What the device can do itself is left to it.
        None => Segmented::new(Capture::off(device)),
        Some(recorder) => Segmented::new(Capture::new(device, recorder)),
    };
    if native.receives_super_segments {
        split(native, watch, device)
    } else {
        split(native, watch, Coalesce::new(device))
    }
}

fn split<D>(
    native: Capabilities,
    watch: Option<Arc<dyn DeviceWatch>>,
    device: D,
) -> Result<Opened, SpawnError>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let offered = *device.capabilities();
    let (rx, tx) = device.split();
    let descriptor = |fd: io::Result<_>| {
        fd.map_err(|error| SpawnError::System {
            what: "a descriptor to wait on",
            error,
        })
    };
    Ok(Opened {
        native,
        offered,
        watch,
        readable: descriptor(rx.descriptor())?,
        writable: descriptor(tx.descriptor())?,
        rx: Box::new(rx),
        tx: Box::new(tx),
    })
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("native", &self.native)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
