//! Which VLAN an interface speaks, over whose device, and how urgent its frames are.
//!
//! IEEE 802.1Q §6.9, §9.6. *Owns* these settings. *Does not* know who shares a device: `vlans` does.

use super::error::ConfigError;
use super::{Interface, InterfaceConfig};
use crate::link::VlanTag;
use crate::stack::ids::InterfaceId;

impl InterfaceConfig {
    /// The 802.1Q VLAN that it speaks, 1 to 4094 (default: untagged).
    #[must_use]
    pub fn vlan(self, vlan: u16) -> Self {
        Self {
            vlan: Some(vlan),
            ..self
        }
    }

    /// The interface whose device it shares (default: it has one of its own). That one's frames that have the tag of our
    /// [`vlan`](Self::vlan) are ours, and ours leave when it sends; there is no port of our own. The
    /// capabilities are that device's, of the MTU no more is used than that interface does; the MAC address is its own unless
    /// another is given. While that one's link is down, so is ours.
    #[must_use]
    pub fn over(self, device_of: InterfaceId) -> Self {
        Self {
            over: Some(device_of),
            ..self
        }
    }

    /// The priority of its frames within the VLAN, 0 to 7 (IEEE 802.1Q §6.9.3; default 0, best effort).
    #[must_use]
    pub fn vlan_priority(self, priority: u8) -> Self {
        Self {
            vlan_priority: priority,
            ..self
        }
    }

    /// The priority of each IP packet's frame by its DSCP, in place of [`vlan_priority`](Self::vlan_priority), which other frames
    /// have (ARP's). Default: none. IEEE 802.1Q says nothing of DSCPs; who wants the eight classes of RFC 2474 §4.2.2 gives
    /// their upper three bits.
    ///
    /// ```
    /// # use netloom::{InterfaceConfig, device::{Capabilities, Medium}};
    /// let by_class = core::array::from_fn(|dscp| u8::try_from(dscp >> 3).unwrap_or(7));
    /// let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500));
    /// let config = config.vlan(10).vlan_priorities(by_class);
    /// ```
    #[must_use]
    pub fn vlan_priorities(self, of_dscp: [u8; 64]) -> Self {
        Self {
            vlan_priorities: Some(of_dscp),
            ..self
        }
    }

    pub(super) fn check_priorities(&self) -> Result<(), ConfigError> {
        let of_dscp = self.vlan_priorities.iter().flatten();
        let mut all = of_dscp.chain([&self.vlan_priority]);
        match all.find(|&&priority| priority > 7) {
            Some(&priority) => Err(ConfigError::VlanPriority(priority)),
            None => Ok(()),
        }
    }
}

impl Interface {
    /// The tag of the frame of an IP packet with this TOS or traffic class.
    #[inline]
    pub(in crate::stack) fn tag_for(&self, tos: u8) -> Option<VlanTag> {
        match &self.priorities {
            None => self.tag,
            Some(of_dscp) => {
                let priority = of_dscp[usize::from(tos >> 2)];
                self.tag.map(|tag| tag.with_priority(priority))
            }
        }
    }
}
