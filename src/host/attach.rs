//! The interfaces of a host, and devices that come and go while it runs.
//!
//! *Owns* the calls. *Does not* know what becomes of a device: `members.rs` does.

use std::io;
use std::net::IpAddr;

use crossbeam_channel::bounded;

use super::members::{gone, last_words};
use super::open::{self, Waiting};
use super::{Host, Interface, clock};
use crate::base::Instant;
use crate::device::{Device, HostReceive, HostTransmit};
use crate::stack::{InterfaceConfig, InterfaceId, RouteError};

impl Host {
    /// Its interfaces, in the order in which they came: the first is that of the device which the host was built on.
    pub fn interfaces(&self) -> Vec<Interface> {
        let all = self.shared.lock().members.all();
        let all = all.into_iter();
        all.map(|about| Interface::new(&self.shared, about))
            .collect()
    }

    /// The interface with this number: the way to all that the host's own calls say of the first.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none any more.
    pub fn on(&self, id: InterfaceId) -> io::Result<Interface> {
        let about = self.shared.lock().members.find(id).cloned();
        let about = about.ok_or_else(gone)?;
        Ok(Interface::new(&self.shared, about))
    }

    /// The time on the clock that the host's stack goes by.
    pub fn now(&self) -> Instant {
        clock::now()
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

    /// Adds a device, with an interface of its own, as [`HostBuilder::attach`](super::HostBuilder::attach) does before the host
    /// runs. A capture goes on with it, a recording too; the TCP options of connections that are given none stay what they were.
    ///
    /// # Errors
    /// `InvalidInput` when the configuration contradicts itself or the device, or the host has 64 devices; the system's when it
    /// gives no descriptor; `NotConnected` when the host was shut down.
    pub fn attach<D>(
        &self,
        device: D,
        configure: impl FnOnce(InterfaceConfig) -> InterfaceConfig,
    ) -> io::Result<Interface>
    where
        D: Device + Send + 'static,
        D::Rx: HostReceive,
        D::Tx: HostTransmit,
    {
        let shared = &self.shared;
        let waiting = Waiting::new(device, configure);
        open::check(&waiting.native)?;
        let recorder = {
            let core = shared.lock();
            core.check_open()?;
            core.check_attach(&waiting.config)?;
            core.devices.recorder.clone()
        };
        let opened = waiting.open(recorder.as_ref())?;
        let mut core = shared.lock();
        core.check_open()?;
        let now = clock::now();
        let attached = core.attach(now, opened, shared.turn_frames);
        shared.finish_move(core, now);
        // One that is refused is closed here, without the lock.
        let about = attached.map_err(|refused| refused.why)?;
        Ok(Interface::new(shared, about))
    }

    /// Adds an interface that is an 802.1Q VLAN of the device of `over` ([`InterfaceConfig::over`]): the frames of that device which
    /// have this tag are its own. It goes with the device, or by [`detach`](Self::detach).
    ///
    /// # Errors
    /// `InvalidInput` when the configuration contradicts itself or the device, `over` is a VLAN, or has this one; `NotFound` when there
    /// is no such interface; `NotConnected` when the host was shut down.
    pub fn add_vlan(
        &self,
        over: InterfaceId,
        vlan: u16,
        configure: impl FnOnce(InterfaceConfig) -> InterfaceConfig,
    ) -> io::Result<Interface> {
        let below = *self.on(over)?.capabilities();
        let config = InterfaceConfig::new(&below).vlan(vlan).over(over);
        let config = configure(config);
        let mut core = self.shared.lock();
        core.check_open()?;
        let now = clock::now();
        let added = core.add_vlan(now, config, below);
        self.shared.finish_move(core, now);
        Ok(Interface::new(&self.shared, added?))
    }

    /// Takes an interface away, and its device with it: its addresses and routes are gone, as the [VLANs](Self::add_vlan) of its device
    /// are, and what used them fails. On return the device is closed, or will be in a moment. The host goes on, be it without any
    /// device. Of a VLAN the device stays.
    ///
    /// Leases are given back before, unless [`HostBuilder::dhcp_release_at_end`](super::HostBuilder::dhcp_release_at_end) says otherwise; who
    /// does not hear of that, a server whose device takes nothing, keeps them until they end.
    ///
    /// # Errors
    /// `NotFound` when there is no such interface; `NotConnected` when the host was shut down.
    pub fn detach(&self, id: InterfaceId) -> io::Result<()> {
        let (to, inlet) = bounded(1);
        let mut core = self.shared.lock_running()?;
        let now = clock::now();
        let (about, outlet) = core.detach(now, id, to).ok_or_else(gone)?;
        self.shared.finish_move(core, now);
        let inlet = inlet.recv();
        last_words(Some(&about));
        // Neither is dropped under a lock: a capture may wait for a disk. No inlet: the host has ended.
        drop((outlet, inlet));
        Ok(())
    }
}
