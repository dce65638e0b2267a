//! What follows from an interface's settings, taken together.
//!
//! *Owns* the conclusions. *Does not* own the settings, nor judge them: `config` does.

use core::net::IpAddr;

use super::InterfaceConfig;
use super::config::MIN_MTU_V6;
use crate::base::Cidr;
use crate::device::{Capabilities, Medium};
use crate::link::VlanTag;
use crate::stack::ip::ForwardOptions;

impl InterfaceConfig {
    pub(super) fn tag(&self) -> Option<VlanTag> {
        let tag = self.vlan.map(VlanTag::new);
        tag.map(|tag| tag.with_priority(self.vlan_priority))
    }

    /// Is a link-local address formed at all: no other was given, and the link carries IPv6?
    pub(crate) fn forms_link_local(&self) -> bool {
        let given = |a: &Cidr| matches!(a.address(), IpAddr::V6(a) if a.is_unicast_link_local());
        self.link_local && self.speaks_of_routers() && !self.addresses.iter().any(given)
    }

    /// Can there be neighbour discovery with link addresses?
    pub(super) fn speaks_of_routers(&self) -> bool {
        let Capabilities { medium, mtu, .. } = self.capabilities;
        medium == Medium::Ethernet && mtu >= MIN_MTU_V6
    }

    /// Are routers asked for, and heeded? One that is a router itself does only where it is told so twice (RFC 4861 §6.2.7).
    pub(crate) fn heeds_routers(&self) -> bool {
        let host = |options: ForwardOptions| !options.v6 || options.accept_routers;
        self.router_discovery && self.forwarding.is_none_or(host)
    }

    /// What the windows share; `None` for no bound.
    pub(crate) fn shared_segments(&self) -> Option<usize> {
        let Capabilities {
            queue_frames,
            receives_super_segments,
            ..
        } = self.capabilities;
        let by_default = queue_frames.filter(|_| !receives_super_segments);
        self.windows_together
            .or_else(|| by_default.map(|frames| frames / 2))
            .filter(|&segments| segments != usize::MAX)
    }
}
