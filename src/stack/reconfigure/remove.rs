//! An interface that is taken away while the stack runs.
//!
//! *Owns* what goes with it, and in which order. *Does not* look for the sockets that it leaves without an address, or in its line:
//! `sweep` does. Invariants: its number is never another interface's; what anybody still asks of it finds an empty place.

use super::{Change, LinkError};
use crate::base::{DropReason, Instant};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::Notice;
use crate::stack::wheel::TimerKey;
use crate::stack::{Call, Stack};

impl Stack {
    /// Takes an interface away, with its addresses, routes, neighbours, groups and lease, and with all that waits to leave by it;
    /// those that [share its device](crate::InterfaceConfig::over) go before it.
    ///
    /// What used its addresses ends as with [`remove_address`](Self::remove_address); what else was to leave by it takes another
    /// way, if there is one. Its number is never given to another interface: calls that name it are refused as for
    /// one that never was, frames that come in for it are dropped, and its port ends with
    /// [`DeviceError::Removed`](crate::device::DeviceError::Removed). A lease is not given back:
    /// [`dhcp_release`](Self::dhcp_release) does that, before. [`Change::Removed`] is the last that is told of it.
    ///
    /// # Errors
    /// [`LinkError::Interface`].
    pub fn remove_interface(&mut self, now: Instant, on: InterfaceId) -> Result<(), LinkError> {
        self.note_call(Some(now), |_| Call::RemoveInterface(on));
        let now = self.net.clamp(now);
        let removed = self.net.remove_interfaces(now, on);
        self.tell_notices(now);
        if removed.is_ok() {
            self.sweep_at_once(now);
        }
        self.note_outcome(removed)
    }
}

impl Net {
    /// The same, after those that share its device.
    fn remove_interfaces(&mut self, now: Instant, on: InterfaceId) -> Result<(), LinkError> {
        let interface = self.interfaces.added(on.index());
        interface.ok_or(LinkError::Interface(on))?;
        for of in self.vlans_of(on) {
            self.remove_interface(now, of);
        }
        self.remove_interface(now, on);
        Ok(())
    }

    fn remove_interface(&mut self, now: Instant, on: InterfaceId) {
        self.leave_vlan(on);
        let interface = &mut self.interfaces[on.index()];
        interface.wind_up();
        let leaving = usize::from(interface.line.leaving.take().is_some());
        let addresses: Vec<_> = interface.addresses.iter().map(|a| a.cidr).collect();
        let lost = leaving + self.drop_transit(on);
        self.counters.drops.add(DropReason::DeviceLinkDown, lost);
        for own in addresses {
            let removed = self.remove_address(now, on, own.address());
            debug_assert!(removed.is_ok(), "{own} was there");
        }
        self.remove_routes(on);
        // No way leads here any more: who waited for a neighbour finds another, or hears that there is none.
        self.neighbours.forget_interface(&mut self.timers, on);
        self.run_effects(now);
        self.interfaces.remove(on.index());
        let index = u32::try_from(on.index()).unwrap_or(u32::MAX);
        for key in [
            TimerKey::Interface(index),
            TimerKey::Dhcp(index),
            TimerKey::Router(index),
            TimerKey::Groups(index),
        ] {
            self.timers.set(key, None);
        }
        self.sweep_sockets(now);
        let notice = Notice::Change(on, Change::Removed);
        self.notices.push_back(notice);
    }
}
