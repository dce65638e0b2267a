//! Changing a host's interface while it runs, and hearing of what has changed.
//!
//! *Owns* the calls. *Does not* change anything itself: [`Stack`] does.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;

use super::{Host, clock};
use crate::base::{Cidr, Instant};
use crate::dhcp::{self, Lease};
use crate::stack::{
    AddressInfo, AddressOptions, Change, InterfaceId, RouteError, RouteInfo, Stack,
};

impl Host {
    /// Adds an address ([`Stack::add_address`]). It may be used when [`wait_ready`](Self::wait_ready) says so.
    ///
    /// # Errors
    /// `InvalidInput`, `AlreadyExists`; `NotConnected` when the host was shut down.
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
    /// `InvalidInput`, `AlreadyExists`; `NotConnected` when the host was shut down.
    pub fn add_route(&self, to: Cidr, via: Option<IpAddr>) -> io::Result<()> {
        self.change(|stack, now, on| stack.add_route(now, on, to, via))
    }

    /// Takes a route away.
    ///
    /// # Errors
    /// `NotFound`; `NotConnected` when the host was shut down.
    pub fn remove_route(&self, to: Cidr, via: Option<IpAddr>) -> io::Result<()> {
        self.change(|stack, now, on| stack.remove_route(now, on, to, via))
    }

    /// Adds a default gateway behind those that are there.
    ///
    /// # Errors
    /// `InvalidInput`, `AlreadyExists`; `NotConnected` when the host was shut down.
    pub fn add_gateway(&self, gateway: IpAddr) -> io::Result<()> {
        self.change(|stack, now, on| stack.add_gateway(now, on, gateway))
    }

    /// Takes a default gateway away.
    ///
    /// # Errors
    /// `NotFound`; `NotConnected` when the host was shut down.
    pub fn remove_gateway(&self, gateway: IpAddr) -> io::Result<()> {
        self.change(|stack, now, on| stack.remove_gateway(now, on, gateway))
    }

    /// Sets the link down, or up again: while it is down nothing leaves and nothing is taken
    /// ([`Stack::set_link`]).
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn set_link(&self, up: bool) -> io::Result<()> {
        self.change(|stack, now, on| stack.set_link(now, on, up))
    }

    /// Sets the largest IP packet that leaves, in bytes, within the device's MTU ([`Stack::set_mtu`]).
    ///
    /// # Errors
    /// `InvalidInput`; `NotConnected` when the host was shut down.
    pub fn set_mtu(&self, mtu: usize) -> io::Result<()> {
        self.change(|stack, now, on| stack.set_mtu(now, on, mtu))
    }

    /// The host's addresses, with where they come from and how long they stay, on the clock of
    /// [`now`](Self::now).
    pub fn address_infos(&self) -> Vec<AddressInfo> {
        let core = self.shared.lock();
        core.stack.address_infos(core.interface).collect()
    }

    /// The time on the clock that the host's stack goes by.
    pub fn now(&self) -> Instant {
        clock::now()
    }

    /// The host's routes, those to the networks of its addresses too.
    pub fn routes(&self) -> Vec<RouteInfo> {
        let core = self.shared.lock();
        core.stack.routes(core.interface).collect()
    }

    /// The address that packets to `to` leave from, if nothing else is asked for.
    ///
    /// # Errors
    /// `NetworkUnreachable` when there is no way; `NotConnected` when the host was shut down.
    pub fn source_to(&self, to: IpAddr) -> io::Result<IpAddr> {
        let core = self.shared.lock_running()?;
        let found = core.stack.resolve_route(to);
        let (_, source) = found.ok_or(RouteError::NoRoute(to))?;
        Ok(source)
    }

    /// What changes about the interface from the host's start on: addresses, gateways, the link. Each change goes to one of
    /// those who have the channel; 256 wait there, and what finds no room is [counted](Self::changes_missed). It ends with
    /// the host.
    pub const fn changes(&self) -> &Receiver<Change> {
        &self.changes
    }

    /// Changes that found no room in [`changes`](Self::changes).
    pub fn changes_missed(&self) -> u64 {
        self.changes_missed.load(Ordering::Relaxed)
    }

    /// The DHCP lease that the host holds: address, routers, name servers and all else that the server said.
    pub fn lease(&self) -> Option<Lease> {
        let core = self.shared.lock();
        core.stack.lease(core.interface).cloned()
    }

    /// Gives the lease back and stops the DHCP client; what uses the address fails ([`Stack::dhcp_release`]).
    ///
    /// # Errors
    /// `InvalidInput` without a client ([`HostBuilder::dhcp`](super::HostBuilder::dhcp)); `NotConnected` when the host was
    /// shut down.
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
        core.stack.dhcp_counters(core.interface).cloned()
    }

    fn change<E>(
        &self,
        change: impl FnOnce(&mut Stack, Instant, InterfaceId) -> Result<(), E>,
    ) -> io::Result<()>
    where
        io::Error: From<E>,
    {
        let mut core = self.shared.lock_running()?;
        let (now, on) = (clock::now(), core.interface);
        let changed = change(&mut core.stack, now, on);
        self.shared.finish_change(core, now);
        Ok(changed?)
    }
}
