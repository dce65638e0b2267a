//! Interfaces that share another one's device, as VLANs of it: how they come, and go with it.
//!
//! IEEE 802.1Q. *Owns* what such an interface takes over from the other. *Does not* sort frames (`ip::link`), nor take turns
//! (`interface::vlans`).

use super::Change;
use crate::base::Instant;
use crate::device::Capabilities;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{ConfigError, InterfaceConfig, MOST_VLANS};
use crate::stack::net::Net;
use crate::stack::packet::Notice;

impl Net {
    /// The configuration with what the device of the interface `of` has; its checks come after.
    pub(in crate::stack) fn shared_device(
        &self,
        of: InterfaceId,
        config: &InterfaceConfig,
    ) -> Result<InterfaceConfig, ConfigError> {
        let below = self.interfaces.added(of.index());
        let below = below.filter(|below| below.over.is_none());
        let below = below.ok_or(ConfigError::VlanOver(of))?;
        let vlan = config.vlan.ok_or(ConfigError::Vlan(0))?;
        let vlans = below.vlans.as_deref();
        let own = below.tag.is_some_and(|tag| tag.id() == vlan);
        if own || vlans.is_some_and(|vlans| vlans.find(vlan).is_some()) {
            return Err(ConfigError::VlanTaken(vlan));
        }
        if vlans.is_some_and(|vlans| vlans.len() >= MOST_VLANS) {
            return Err(ConfigError::TooManyVlans(MOST_VLANS));
        }
        let capabilities = Capabilities {
            mtu: config.capabilities.mtu.min(below.mtu()),
            ..below.line.capabilities
        };
        Ok(InterfaceConfig {
            mac: config.mac.or(Some(below.mac)),
            ..config.clone().capabilities(&capabilities)
        })
    }

    /// An interface was added: it shares another one's device, if it is a VLAN of it.
    pub(in crate::stack) fn enter_vlan(&mut self, on: InterfaceId) {
        let interface = &self.interfaces[on.index()];
        let (Some(of), Some(tag)) = (interface.over, interface.tag) else {
            return;
        };
        let below = &mut self.interfaces[of.index()];
        below.vlans.get_or_insert_default().add(tag.id(), on);
        let (mtu, up) = (below.line.device_mtu(), below.line.is_up());
        let line = &mut self.interfaces[on.index()].line;
        line.set_device_mtu(mtu);
        if line.set_below_up(up) {
            self.route_by_link(on, up);
        }
    }

    /// An interface has begun: on a device that is down it asks nobody.
    pub(in crate::stack) fn begin_below(&mut self, now: Instant, on: InterfaceId) {
        if !self.interfaces[on.index()].line.is_up() {
            self.on_router_link(now, on, false);
            let notice = Notice::Change(on, Change::LinkDown);
            self.notices.push_back(notice);
        }
    }

    /// Those that share the device of an interface.
    pub(super) fn vlans_of(&self, on: InterfaceId) -> Vec<InterfaceId> {
        let interface = &self.interfaces[on.index()];
        let vlans = interface.vlans.iter().flat_map(|vlans| vlans.iter());
        vlans.collect()
    }

    /// An interface goes: its tag is nobody's.
    pub(super) fn leave_vlan(&mut self, on: InterfaceId) {
        let Some(of) = self.interfaces[on.index()].over else {
            return;
        };
        let below = &mut self.interfaces[of.index()];
        if let Some(vlans) = &mut below.vlans {
            vlans.remove(on);
        }
        if below.vlans.as_ref().is_some_and(|vlans| vlans.len() == 0) {
            below.vlans = None;
        }
    }
}
