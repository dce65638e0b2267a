//! What a host has beside its first device: more of them, and VLANs.
//!
//! *Owns* the builder's words for it. *Does not* open anything: `open.rs` does, when the host begins.

use super::HostBuilder;
use super::open::Waiting;
use crate::device::{Device, HostReceive, HostTransmit};
use crate::stack::InterfaceConfig;

impl<D> HostBuilder<D>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    /// One more device, with an interface of its own: [`Host::interfaces`](super::Host::interfaces) has it behind that of the first. A host has 64 at most.
    ///
    /// What the builder says of an interface elsewhere is of the first device's, and what it says of sockets, capture and recording
    /// is of all. A host with several passes nothing on between them unless it is told to.
    ///
    /// ```no_run
    /// # use netloom::device::Tap;
    /// use netloom::host::Host;
    /// use netloom::stack::ForwardOptions;
    ///
    /// # let (inside, outside) = (Tap::builder().open()?, Tap::builder().open()?);
    /// let router = Host::builder(inside)
    ///     .address("10.7.0.1/24".parse()?)
    ///     .forwarding(ForwardOptions::new())
    ///     .attach(outside, |interface| {
    ///         interface
    ///             .address("10.8.0.1/24".parse().expect("an address"))
    ///             .forwarding(ForwardOptions::new())
    ///     })
    ///     .spawn()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn attach<E>(
        mut self,
        device: E,
        configure: impl FnOnce(InterfaceConfig) -> InterfaceConfig,
    ) -> Self
    where
        E: Device + Send + 'static,
        E::Rx: HostReceive,
        E::Tx: HostTransmit,
    {
        self.more.push(Waiting::new(device, configure));
        self
    }

    /// One more interface, which is an 802.1Q VLAN of the first device, as [`Host::add_vlan`](super::Host::add_vlan) adds one while the
    /// host runs: the frames with this tag are its own. [`Host::interfaces`](super::Host::interfaces) has it behind those of all devices.
    ///
    /// ```no_run
    /// # use netloom::device::Tap;
    /// use netloom::host::Host;
    ///
    /// let host = Host::builder(Tap::builder().open()?)
    ///     .vlan(10, |vlan| vlan.address("10.7.0.1/24".parse().expect("an address")))
    ///     .spawn()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn vlan(
        mut self,
        vlan: u16,
        configure: impl FnOnce(InterfaceConfig) -> InterfaceConfig,
    ) -> Self {
        let config = InterfaceConfig::new(self.device.capabilities()).vlan(vlan);
        self.vlans.push(configure(config));
        self
    }
}
