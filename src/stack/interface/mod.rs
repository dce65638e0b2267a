//! An interface: its name on a link, its addresses and groups, and the line that it sends over.
//!
//! *Owns* what holds for the packets of one network. *Does not* own the device: that is its [`Line`]'s, or that of
//! another interface, of which it is a VLAN.

mod all;
mod config;
mod derived;
mod error;
mod line;
mod outbox;
mod ready;
mod share;
mod vlan_config;
mod vlans;

pub(crate) use all::Interfaces;
pub use config::InterfaceConfig;
pub(crate) use config::{MIN_MTU, MIN_MTU_V6, is_group};
pub use error::ConfigError;
pub(crate) use line::Line;
pub(crate) use outbox::{Asks, Class, Frame, Outgoing};
pub(crate) use ready::{Had, Ready};
pub(in crate::stack) use vlans::{MOST_VLANS, Vlans};

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::address::{Addresses, NewAddress, Origin};
use super::dhcp::Dhcp;
use super::groups::Groups;
use super::ids::InterfaceId;
use super::ip::{ForwardOptions, Nat};
use super::link_local_v4::LinkLocalV4;
use super::packet::Waiter;
use crate::base::{Cidr, Instant, MacAddr, Random};
use crate::device::Medium;
use crate::dhcp6;
use crate::ipv6;
use crate::ipv6::discovery::Discovery;
use crate::link::VlanTag;
use crate::link::ethernet::eui64;

/// An interface.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) id: InterfaceId,
    pub(crate) mac: MacAddr,
    pub(crate) tag: Option<VlanTag>,
    /// The priority in it of IP packets, by DSCP.
    priorities: Option<Box<[u8; 64]>>,
    /// The interface whose device it shares.
    pub(in crate::stack) over: Option<InterfaceId>,
    /// Those that share its own.
    pub(in crate::stack) vlans: Option<Box<Vlans>>,
    pub(crate) accept_foreign: bool,
    /// Does Destination Unreachable leave here?
    pub(crate) unreachables: bool,
    /// How its addresses are probed for.
    pub(crate) dad_transmits: u8,
    pub(crate) dad_delay: Duration,
    pub(crate) probe_v4: bool,
    pub(crate) optimistic_dad: bool,
    pub(crate) acd_probes: u8,
    pub(crate) acd_unit: Duration,
    pub(crate) addresses: Addresses,
    pub(crate) groups: Groups,
    /// Sockets that wait for a tentative address, by that address.
    pub(crate) waiters: BTreeMap<IpAddr, BTreeSet<Waiter>>,
    /// Its DHCP client; away for as long as that acts.
    pub(crate) dhcp: Option<Box<Dhcp>>,
    /// The choice of an IPv4 link-local address.
    pub(crate) link_local_v4: Option<Box<LinkLocalV4>>,
    /// The device that it sends over, and what waits for that.
    pub(crate) line: Line,
    /// What routers say, where it is heeded.
    pub(crate) discovery: Option<Box<Discovery>>,
    /// Who asks servers of DHCPv6, once a router has said that there are any.
    pub(crate) dhcp6: Option<Box<dhcp6::Client>>,
    /// What they say of hops, and of the size of an IPv6 packet.
    pub(crate) hop_limit: Option<u8>,
    pub(crate) mtu_v6: Option<u16>,
    pub(crate) accept_redirects: bool,
    /// What becomes of packets that come in and are for others.
    pub(in crate::stack) forwarding: Option<ForwardOptions>,
    /// The translation of what leaves here.
    pub(in crate::stack) nat: Option<Box<Nat>>,
    /// It was taken away: this is its empty place.
    removed: bool,
}

impl Interface {
    pub(crate) fn new(
        now: Instant,
        id: InterfaceId,
        config: &InterfaceConfig,
        outbox_limit: usize,
        random: &mut Random,
    ) -> Self {
        let mac = config.mac.unwrap_or_else(|| random_mac(random));
        let ethernet = config.capabilities.medium == Medium::Ethernet;
        let of_groups = ethernet && config.report_own_groups;
        let mut interface = Self {
            id,
            mac,
            tag: config.tag(),
            priorities: config.vlan_priorities.map(Box::new),
            over: config.over,
            vlans: None,
            accept_foreign: config.accept_foreign,
            unreachables: config.unreachables,
            dad_transmits: config.dad_transmits,
            dad_delay: config.dad_delay,
            probe_v4: config.probe_v4,
            optimistic_dad: config.optimistic_dad,
            acd_probes: config.acd_probes,
            acd_unit: config.acd_unit,
            addresses: Addresses::paced(config.acd_unit).telling_routers(config.tell_routers),
            groups: Groups::new(of_groups),
            waiters: BTreeMap::new(),
            dhcp: None,
            link_local_v4: None,
            line: Line::new(config, outbox_limit),
            discovery: None,
            dhcp6: None,
            hop_limit: None,
            mtu_v6: None,
            accept_redirects: config.accept_redirects,
            forwarding: config.forwarding,
            nat: None,
            removed: false,
        };
        if let Some(ForwardOptions { v4, v6, .. }) = config.forwarding {
            interface.groups.join_routers(v4, v6);
        }
        if config.forms_link_local()
            && !config.stable_link_local
            && let Ok(cidr) = Cidr::new(IpAddr::V6(ipv6::link_local(eui64(mac))), 64)
        {
            interface.give(now, NewAddress::new(cidr, Origin::Formed), random);
        }
        for &cidr in &config.addresses {
            interface.give(now, NewAddress::new(cidr, Origin::Given), random);
        }
        interface
    }

    /// It takes and begins nothing more, while what it has is taken away.
    pub(in crate::stack) fn wind_up(&mut self) {
        self.line.set_up(false);
        self.accept_foreign = false;
        self.accept_redirects = false;
        self.forwarding = None;
        self.dhcp = None;
        self.link_local_v4 = None;
        self.discovery = None;
        self.dhcp6 = None;
    }

    /// An empty place is left. Who stands in line to send stays there, to be told.
    fn retire(&mut self) {
        self.removed = true;
        self.nat = None;
        self.addresses = Addresses::paced(self.acd_unit);
        self.groups = Groups::new(false);
        self.waiters = BTreeMap::new();
        self.line.empty();
    }

    pub(crate) const fn is_ethernet(&self) -> bool {
        matches!(self.line.capabilities.medium, Medium::Ethernet)
    }

    /// Are packets of the family of `dst` that come in here, and are for others, passed on?
    pub(in crate::stack) const fn forwards(&self, dst: IpAddr) -> bool {
        match (self.forwarding, dst) {
            (None, _) => false,
            (Some(options), IpAddr::V4(_)) => options.v4,
            (Some(options), IpAddr::V6(_)) => options.v6,
        }
    }

    /// Is it a router's to its IPv6 neighbours?
    pub(in crate::stack) fn is_router_v6(&self) -> bool {
        self.forwarding.is_some_and(|options| options.v6)
    }

    /// The largest IP packet that leaves here, in bytes.
    pub(crate) const fn mtu(&self) -> usize {
        self.line.capabilities.mtu
    }

    /// The same of the family of `dst`: a router may say less for IPv6 (RFC 4861 §4.6.4).
    pub(crate) fn mtu_to(&self, dst: IpAddr) -> usize {
        match self.mtu_v6 {
            Some(told) if dst.is_ipv6() => self.mtu().min(told.into()),
            _ => self.mtu(),
        }
    }

    /// The hops of a packet to `dst` whose socket sets none: `ttl` where no router says (RFC 4861 §6.3.4).
    pub(crate) fn ttl_to(&self, dst: IpAddr, ttl: u8) -> u8 {
        self.hop_limit.filter(|_| dst.is_ipv6()).unwrap_or(ttl)
    }

    /// The least MTU that its addresses need, in bytes. Walks them.
    pub(in crate::stack) fn least_mtu(&self) -> usize {
        let mut all = self.addresses.iter();
        let has_v6 = all.any(|address| address.cidr.address().is_ipv6());
        if has_v6 { MIN_MTU_V6 } else { MIN_MTU }
    }

    /// What an IP destination is to this interface.
    pub(crate) fn classify(&self, dst: IpAddr) -> Destination {
        use super::address::AddressState::{
            Deprecated, Duplicate, Optimistic, Preferred, Tentative,
        };
        match self.addresses.state(dst) {
            Some(Preferred | Deprecated | Optimistic) => Destination::Ours,
            Some(Tentative) => Destination::Tentative,
            Some(Duplicate) => Destination::Foreign,
            None if self.groups.takes(dst) => Destination::Group,
            None if dst.is_multicast() => Destination::Foreign,
            None => self.foreign(dst.is_loopback() || dst.is_unspecified()),
        }
    }

    const fn foreign(&self, never: bool) -> Destination {
        if self.accept_foreign && !never {
            Destination::Ours
        } else {
            Destination::Foreign
        }
    }
}

/// What an IP destination is to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// One host, and that is us.
    Ours,
    /// Ours, but not in use yet.
    Tentative,
    /// A broadcast address or a group that we belong to.
    Group,
    /// Somebody else's.
    Foreign,
}

/// A locally administered address (IEEE 802 §8.4).
fn random_mac(random: &mut Random) -> MacAddr {
    let [_, _, a, b, c, d, e, f] = random.next_u64().to_be_bytes();
    MacAddr::new([(a & 0xfc) | 2, b, c, d, e, f])
}
