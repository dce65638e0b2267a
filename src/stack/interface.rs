//! One interface: its facts, its addresses, and what waits to be sent over it.
//!
//! *Owns* the outbox and the ready list. *Does not* talk to the device: `poll_transmit` does.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::address::{Addresses, Origin};
use super::groups::Groups;
use super::ids::{InterfaceId, RawId};
use super::interface_config::{InterfaceConfig, MIN_MTU_V6};
use super::outbox::Outbox;
use super::packet::Waiter;
use super::ready::ReadyList;
use super::share::QueueShare;
use crate::base::{Cidr, Instant, MacAddr, Random};
use crate::device::{Capabilities, Medium};
use crate::ipv6;
use crate::link::VlanTag;
use crate::link::ethernet::eui64;

/// An interface.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) id: InterfaceId,
    pub(crate) capabilities: Capabilities,
    pub(crate) mac: MacAddr,
    pub(crate) tag: Option<VlanTag>,
    pub(crate) accept_foreign: bool,
    /// Does Destination Unreachable leave here?
    pub(crate) unreachables: bool,
    pub(crate) addresses: Addresses,
    pub(crate) groups: Groups,
    /// Sockets that wait for a tentative address, by that address.
    pub(crate) waiters: BTreeMap<IpAddr, BTreeSet<Waiter>>,
    /// The queue that text waits in, where its length matters.
    pub(crate) share: Option<QueueShare>,
    pub(crate) ready: ReadyList,
    /// RSTs that connections owe which are gone, in the order of their turns.
    pub(crate) farewells: VecDeque<RawId>,
    pub(crate) outbox: Outbox,
    /// Whose turn it is next: the outbox's, else the ready list's.
    pub(crate) outbox_turn: bool,
}

impl Interface {
    pub(crate) fn new(
        now: Instant,
        id: InterfaceId,
        config: &InterfaceConfig,
        outbox_limit: usize,
        random: &mut Random,
    ) -> Self {
        let capabilities = config.capabilities;
        let medium = capabilities.medium;
        let mac = config.mac.unwrap_or_else(|| random_mac(random));
        let (mut addresses, mut groups) = (Addresses::default(), Groups::default());
        let mut add = |address: (Cidr, Origin)| {
            groups.join_for(address.0);
            let at_most = u64::try_from(config.dad_delay.as_nanos()).unwrap_or(u64::MAX);
            let delay = Duration::from_nanos(random.below(at_most));
            addresses.add(now, address, medium, config.dad_transmits, delay);
        };
        let given = |a: &Cidr| matches!(a.address(), IpAddr::V6(a) if a.is_unicast_link_local());
        if config.link_local
            && medium == Medium::Ethernet
            && capabilities.mtu >= MIN_MTU_V6
            && !config.addresses.iter().any(given)
            && let Ok(cidr) = Cidr::new(IpAddr::V6(ipv6::link_local(eui64(mac))), 64)
        {
            add((cidr, Origin::Formed));
        }
        let given = config.addresses.iter();
        given.map(|&cidr| (cidr, Origin::Given)).for_each(add);
        Self {
            id,
            capabilities,
            mac,
            tag: config.vlan.map(VlanTag::new),
            accept_foreign: config.accept_foreign,
            unreachables: config.unreachables,
            addresses,
            groups,
            waiters: BTreeMap::new(),
            share: config.shared_segments().map(QueueShare::new),
            ready: ReadyList::default(),
            farewells: VecDeque::new(),
            outbox: Outbox::new(outbox_limit),
            outbox_turn: true,
        }
    }

    pub(crate) const fn is_ethernet(&self) -> bool {
        matches!(self.capabilities.medium, Medium::Ethernet)
    }

    /// Is there anything to send?
    pub(crate) fn wants_transmit(&self) -> bool {
        !self.outbox.is_empty() || !self.ready.is_empty()
    }

    /// What an IP destination is to this interface.
    pub(crate) fn classify(&self, dst: IpAddr) -> Destination {
        use super::address::AddressState::{Duplicate, Preferred, Tentative};
        match self.addresses.state(dst) {
            Some(Preferred) => Destination::Ours,
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
