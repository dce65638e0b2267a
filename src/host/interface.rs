//! One interface of a host: changing it while the host runs, and hearing of what has changed.
//!
//! *Owns* the calls. *Does not* change anything itself: [`Stack`] does.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::clock;
use super::error::HostError;
use super::members::{About, gone};
use super::shared::Shared;
use crate::base::{Cidr, Instant, MacAddr};
use crate::device::{Capabilities, DeviceCounters, DeviceError};
use crate::dhcp::{self, Lease};
use crate::stack::{
    AddressInfo, AddressOptions, AddressState, Change, InterfaceId, NeighbourInfo, RouteInfo, Stack,
};

/// An interface of a host, with its device.
///
/// It may be kept and shared, and does not keep the host: of an interface that has gone, or of a host that has ended, what can fail
/// fails, and the rest is empty.
#[derive(Clone)]
pub struct Interface {
    pub(super) shared: Arc<Shared>,
    about: Arc<About>,
}

impl Interface {
    pub(super) fn new(shared: &Arc<Shared>, about: Arc<About>) -> Self {
        let shared = Arc::clone(shared);
        Self { shared, about }
    }

    /// Its number, which is the scope id of its link-local addresses.
    pub fn id(&self) -> InterfaceId {
        self.about.on
    }

    /// What the device that was given can do by itself. What it cannot the host does in software,
    /// and its connections use super-segments all the same.
    pub fn capabilities(&self) -> &Capabilities {
        &self.about.capabilities
    }

    /// What the other side of the device has lost since it was opened; `None` when it does not
    /// count. After the host's end, what it was then.
    pub fn device_counters(&self) -> Option<DeviceCounters> {
        self.about.watch.as_ref().map(|watch| watch.counters())
    }

    /// Why its device failed, and the interface went with it; `None` while it is there, and of one that was
    /// [taken away](super::Host::detach).
    pub fn error(&self) -> Option<Arc<DeviceError>> {
        self.about.failure.get().cloned()
    }

    /// Its MAC address; `None` for a device without Ethernet headers.
    pub fn mac(&self) -> Option<MacAddr> {
        self.shared.lock().stack.mac(self.id())
    }

    /// Its addresses, and whether each is usable.
    pub fn addresses(&self) -> Vec<(Cidr, AddressState)> {
        let core = self.shared.lock();
        core.stack.addresses(self.id()).collect()
    }

    /// Its addresses, with where they come from and how long they stay, on the clock of
    /// [`Host::now`](super::Host::now).
    pub fn address_infos(&self) -> Vec<AddressInfo> {
        let core = self.shared.lock();
        core.stack.address_infos(self.id()).collect()
    }

    /// Its routes, those to the networks of its addresses too.
    pub fn routes(&self) -> Vec<RouteInfo> {
        let core = self.shared.lock();
        core.stack.routes(self.id()).collect()
    }

    /// The largest IP packet that leaves, in bytes; 0 when it has gone.
    pub fn mtu(&self) -> usize {
        self.shared.lock().stack.mtu(self.id()).unwrap_or(0)
    }

    /// Is the link up ([`set_link`](Self::set_link))?
    pub fn is_link_up(&self) -> bool {
        self.shared.lock().stack.is_link_up(self.id())
    }

    /// The neighbours on its link that were spoken to, or spoke.
    pub fn neighbours(&self) -> Vec<NeighbourInfo> {
        let core = self.shared.lock();
        core.stack.neighbours(clock::now(), self.id()).collect()
    }

    /// Waits as [`Host::wait_ready`](super::Host::wait_ready) does, for this interface alone.
    ///
    /// # Errors
    /// Those of that; `NotFound` when the interface has gone.
    pub fn wait_ready(&self, timeout: Duration) -> io::Result<()> {
        let on = Some(self.id());
        self.shared
            .wait_ready(on, timeout, |given, duplicates| duplicates == given)
    }

    /// Waits until other stations have claimed more than `known` of its addresses; says which
    /// one came next, and from which MAC address where that is known. An IPv4 address is defended and
    /// stays in use ([`Stack::conflicts`]).
    ///
    /// # Errors
    /// Why the host ended, when it did; [`HostError::Closed`] when the interface has gone.
    pub fn wait_conflict(&self, known: usize) -> Result<(IpAddr, Option<MacAddr>), HostError> {
        let on = self.id();
        let claimed = self.shared.wait_until(None, |core| {
            let claim = core.stack.conflicts(on).nth(known);
            let left = core.members.find(on).ok_or(HostError::Closed);
            let ended = core.check().and(left).err();
            claim.map(Ok).or_else(|| ended.map(Err))
        });
        claimed.unwrap_or(Err(HostError::Closed))
    }

    /// Adds an address ([`Stack::add_address`]). It may be used when [`wait_ready`](Self::wait_ready) says so.
    ///
    /// # Errors
    /// `InvalidInput`, `AlreadyExists`; `NotFound` when the interface has gone; `NotConnected` when the host was shut down.
    pub fn add_address(&self, address: Cidr, options: AddressOptions) -> io::Result<()> {
        self.change(|stack, now, on| stack.add_address(now, on, address, options))
    }

    /// Takes an address away: what used it fails with `AddrNotAvailable` ([`Stack::remove_address`]).
    ///
    /// # Errors
    /// `NotFound`; `NotConnected` when the host was shut down.
    pub fn remove_address(&self, address: IpAddr) -> io::Result<()> {
        self.change(|stack, now, on| stack.remove_address(now, on, address))
    }

    /// Adds a route, over a gateway or on the link.
    ///
    /// # Errors
    /// Those of [`add_address`](Self::add_address).
    pub fn add_route(&self, to: Cidr, via: Option<IpAddr>) -> io::Result<()> {
        self.change(|stack, now, on| stack.add_route(now, on, to, via))
    }

    /// Takes a route away.
    ///
    /// # Errors
    /// Those of [`remove_address`](Self::remove_address).
    pub fn remove_route(&self, to: Cidr, via: Option<IpAddr>) -> io::Result<()> {
        self.change(|stack, now, on| stack.remove_route(now, on, to, via))
    }

    /// Adds a default gateway behind those that are there.
    ///
    /// # Errors
    /// Those of [`add_address`](Self::add_address).
    pub fn add_gateway(&self, gateway: IpAddr) -> io::Result<()> {
        self.change(|stack, now, on| stack.add_gateway(now, on, gateway))
    }

    /// Takes a default gateway away.
    ///
    /// # Errors
    /// Those of [`remove_address`](Self::remove_address).
    pub fn remove_gateway(&self, gateway: IpAddr) -> io::Result<()> {
        self.change(|stack, now, on| stack.remove_gateway(now, on, gateway))
    }

    /// Sets the link down, or up again: while it is down nothing leaves and nothing is taken
    /// ([`Stack::set_link`]).
    ///
    /// # Errors
    /// `NotFound` when the interface has gone; `NotConnected` when the host was shut down.
    pub fn set_link(&self, up: bool) -> io::Result<()> {
        self.change(|stack, now, on| stack.set_link(now, on, up))
    }

    /// Sets the largest IP packet that leaves, in bytes, within the device's MTU ([`Stack::set_mtu`]).
    ///
    /// # Errors
    /// `InvalidInput`, and those of [`set_link`](Self::set_link).
    pub fn set_mtu(&self, mtu: usize) -> io::Result<()> {
        self.change(|stack, now, on| stack.set_mtu(now, on, mtu))
    }

    /// What changes about it from its start on: addresses, gateways, the link. Each change goes to one of
    /// those who have the channel; 256 wait there, and what finds no room is [counted](Self::changes_missed). It ends with
    /// the interface.
    pub fn changes(&self) -> &Receiver<Change> {
        &self.about.changes
    }

    /// Changes that found no room in [`changes`](Self::changes).
    pub fn changes_missed(&self) -> u64 {
        self.about.changes_missed.load(Ordering::Relaxed)
    }

    /// The DHCP lease that it holds: address, routers, name servers and all else that the server said.
    pub fn lease(&self) -> Option<Lease> {
        let core = self.shared.lock();
        core.stack.lease(self.id()).cloned()
    }

    /// Gives the lease back and stops the DHCP client; what uses the address fails ([`Stack::dhcp_release`]).
    ///
    /// # Errors
    /// `InvalidInput` without a client ([`HostBuilder::dhcp`](super::HostBuilder::dhcp)), and those of
    /// [`set_link`](Self::set_link).
    pub fn dhcp_release(&self) -> io::Result<()> {
        self.change(Stack::dhcp_release)
    }

    /// Begins to look for a lease after a [`dhcp_release`](Self::dhcp_release), with an earlier address if that is
    /// given ([`Stack::dhcp_start`]). [`wait_ready`](Self::wait_ready) waits for it.
    ///
    /// # Errors
    /// Those of [`dhcp_release`](Self::dhcp_release).
    pub fn dhcp_start(&self, previous: Option<Ipv4Addr>) -> io::Result<()> {
        self.change(|stack, now, on| stack.dhcp_start(now, on, previous))
    }

    /// What the DHCP client has sent, received and refused; `None` without one.
    pub fn dhcp_counters(&self) -> Option<dhcp::Counters> {
        let core = self.shared.lock();
        core.stack.dhcp_counters(self.id()).cloned()
    }

    fn change<E>(
        &self,
        change: impl FnOnce(&mut Stack, Instant, InterfaceId) -> Result<(), E>,
    ) -> io::Result<()>
    where
        io::Error: From<E>,
    {
        let mut core = self.shared.lock_running()?;
        let (now, on) = (clock::now(), self.id());
        if core.members.find(on).is_none() {
            return Err(gone());
        }
        let changed = change(&mut core.stack, now, on);
        self.shared.finish_change(core, now);
        Ok(changed?)
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interface")
            .field("id", &self.id())
            .field("addresses", &self.addresses())
            .finish_non_exhaustive()
    }
}
