//! What the parts of a network are told when they are added.
//!
//! *Owns* the settings of hosts and ports. *Does not* hold those of links: a wire's are the device's.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::device::PortDevice;
use crate::base::{Cidr, MacAddr};
use crate::device::{Capabilities, Medium};
use crate::stack::{Config, InterfaceConfig, Journal};

/// The settings of a host.
#[must_use]
pub struct HostConfig {
    pub(super) name: String,
    pub(super) tune: Box<dyn FnOnce(Config) -> Config>,
    pub(super) record: bool,
    pub(super) journal: Option<MakeJournal>,
    pub(super) late: Duration,
}

/// What makes a journal for a stack of this configuration.
type MakeJournal = Box<dyn FnOnce(&Config) -> Box<dyn Journal>>;

impl HostConfig {
    /// A host of this name with the defaults of [`Config`], and a seed from the network's.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tune: Box::new(|config| config),
            record: false,
            journal: None,
            late: Duration::ZERO,
        }
    }

    /// Whatever is to wake it, frames and timers, does so up to this much later, drawn each time: a driver on
    /// a machine that does other things. What comes meanwhile is dealt with in the same turn. At once by
    /// default.
    pub fn wakes_late(self, below: Duration) -> Self {
        Self {
            late: below,
            ..self
        }
    }

    /// Keeps all that its stack is told, for [`Network::recording`](super::Network::recording). It grows
    /// with each frame, whose bytes it holds.
    pub fn record(self, record: bool) -> Self {
        Self { record, ..self }
    }

    /// Gives its stack a journal, such as a [`Recording`](crate::capture::Recording), instead of
    /// [`record`](Self::record).
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use netloom::capture::{Recording, RecordingSettings};
    /// use netloom::sim::HostConfig;
    ///
    /// let settings = RecordingSettings::new(SystemTime::UNIX_EPOCH);
    /// let host = HostConfig::new("a").journal(move |config| {
    ///     let sink = std::io::sink();
    ///     Box::new(Recording::start(sink, config, &settings).expect("a thread"))
    /// });
    /// ```
    pub fn journal(self, make: impl FnOnce(&Config) -> Box<dyn Journal> + 'static) -> Self {
        Self {
            journal: Some(Box::new(make)),
            ..self
        }
    }

    /// Changes the settings of its stack: they come with the seed that the network gave it.
    pub fn stack(self, tune: impl FnOnce(Config) -> Config + 'static) -> Self {
        let before = self.tune;
        Self {
            tune: Box::new(|config| tune(before(config))),
            ..self
        }
    }
}

impl fmt::Debug for HostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostConfig")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl From<&str> for HostConfig {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// The settings of a host's port: an Ethernet port of MTU 1500 with segmentation and checksum
/// offload, which merges nothing, unless told otherwise.
#[must_use]
pub struct PortConfig {
    pub(super) medium: Medium,
    pub(super) mtu: usize,
    pub(super) offload: bool,
    pub(super) merge: bool,
    mac: Option<MacAddr>,
    addresses: Vec<Cidr>,
    gateways: Vec<IpAddr>,
    tune: Box<dyn Fn(InterfaceConfig) -> InterfaceConfig>,
    pub(super) queue: usize,
    pub(super) device_with: Option<Wrap>,
}

/// What puts something between a stack and its device.
type Wrap = Box<dyn FnOnce(PortDevice) -> PortDevice>;

impl PortConfig {
    /// A port without an address.
    pub fn new() -> Self {
        Self {
            medium: Medium::Ethernet,
            mtu: 1500,
            offload: true,
            merge: false,
            mac: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            tune: Box::new(|interface| interface),
            queue: usize::MAX,
            device_with: None,
        }
    }

    /// Adds an address with its prefix.
    pub fn address(mut self, address: Cidr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Adds a default gateway.
    pub fn gateway(mut self, gateway: IpAddr) -> Self {
        self.gateways.push(gateway);
        self
    }

    /// What frames start with: an Ethernet header, or the IP header. Both ends of a link must agree.
    pub fn medium(self, medium: Medium) -> Self {
        Self { medium, ..self }
    }

    /// The largest IP packet that it sends, in bytes.
    pub fn mtu(self, mtu: usize) -> Self {
        Self { mtu, ..self }
    }

    /// May the stack send super-segments and partial checksums? They are cut and completed here, so
    /// that links carry frames of one MTU either way.
    pub fn offload(self, offload: bool) -> Self {
        Self { offload, ..self }
    }

    /// Are consecutive segments that arrive at one instant merged into super-segments
    /// ([`Coalesce`](crate::device::Coalesce))?
    pub fn merge(self, merge: bool) -> Self {
        Self { merge, ..self }
    }

    /// The MAC address; one from the host's seed otherwise.
    pub fn mac(self, mac: MacAddr) -> Self {
        Self {
            mac: Some(mac),
            ..self
        }
    }

    /// Frames that the device takes in one turn of the host, at least one; any number by default. It is full
    /// then until the turn is over, and the host has another at the same time.
    pub fn queue(self, frames: usize) -> Self {
        Self {
            queue: frames.max(1),
            ..self
        }
    }

    /// Puts something between the stack and the device: one that is full or loses frames, that watches
    /// or spoils them. It stands in front of segmentation and merging; for a place behind them these
    /// are turned off here, and added by `wrap`. The interface has the capabilities that the device
    /// comes back with.
    ///
    /// A device that is [`Full`](crate::device::Sent::Full), without the queue being so, is offered
    /// the frame again 20 µs later.
    pub fn device_with(self, wrap: impl FnOnce(PortDevice) -> PortDevice + 'static) -> Self {
        let before = self.device_with;
        Self {
            device_with: Some(Box::new(move |device| {
                wrap(match before {
                    Some(before) => before(device),
                    None => device,
                })
            })),
            ..self
        }
    }

    /// Changes all else of the interface.
    pub fn interface_with(
        self,
        tune: impl Fn(InterfaceConfig) -> InterfaceConfig + 'static,
    ) -> Self {
        let before = self.tune;
        Self {
            tune: Box::new(move |interface| tune(before(interface))),
            ..self
        }
    }

    /// What the wire's end can do: nothing but carry frames.
    pub(super) const fn wire_capabilities(&self) -> Capabilities {
        Capabilities::plain(self.medium, self.mtu)
    }

    pub(super) fn interface(&self, mut interface: InterfaceConfig) -> InterfaceConfig {
        if let Some(mac) = self.mac {
            interface = interface.mac(mac);
        }
        for &address in &self.addresses {
            interface = interface.address(address);
        }
        for &gateway in &self.gateways {
            interface = interface.gateway(gateway);
        }
        (self.tune)(interface)
    }
}

impl Default for PortConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PortConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortConfig")
            .field("medium", &self.medium)
            .field("mtu", &self.mtu)
            .field("offload", &self.offload)
            .field("merge", &self.merge)
            .field("addresses", &self.addresses)
            .field("gateways", &self.gateways)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
