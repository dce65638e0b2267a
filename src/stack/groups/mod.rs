//! Which groups and broadcast addresses an interface takes packets for, and who on the link does.
//!
//! RFC 1112 §6.4, §7.1, RFC 1122 §3.3.6, RFC 4291 §2.7.1, §2.8, RFC 2464 §7. *Owns* what is taken. *Does not* own
//! addresses: whoever adds one, or gives it up, tells.
//!
//! | file | owns |
//! |---|---|
//! | `members` | who on this host is in which group |
//! | `filter` | which senders of a group are wanted, and what many wishes come to |
//! | `reporter` | when routers are told, and what |
//! | `sending`, `hearing` | IGMP and MLD messages out and in |

mod filter;
mod hearing;
mod members;
mod reporter;
mod sending;

pub(crate) use filter::Filter;
pub use filter::FilterMode;
pub(in crate::stack) use members::{Full, Members};
#[cfg(test)]
pub(in crate::stack) use members::{MOST_GROUPS, MOST_SOCKETS};
pub(in crate::stack) use reporter::is_source_specific;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::ids::UdpId;
use super::screen::Screen;
use crate::base::{Cidr, MacAddr};
use crate::ipv4::igmp;
use crate::ipv6::{self, solicited_node};
use crate::link::ethernet;

/// RFC 4291 §2.7.1: all routers of the link, and of the site.
const ALL_ROUTERS_V6: [Ipv6Addr; 2] = [
    ipv6::ALL_ROUTERS,
    Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 2),
];

/// A screen is made anew when as many have gone as there are, and these more.
const STALE: usize = 64;

/// The groups of one interface.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The broadcast addresses of our networks (RFC 1122 §3.3.6), in the present form and the old
    /// one with a host part of zero; and of how many addresses each is.
    broadcasts: BTreeMap<Ipv4Addr, usize>,
    screen: Screen,
    /// Broadcast addresses that were given up since the screen was made.
    gone: usize,
    /// The solicited-node groups (RFC 4291 §2.7.1) that we are in, by their last 24 bits, and for how many
    /// addresses.
    solicited_nodes: BTreeMap<u32, usize>,
    /// Are we in the groups of all routers, of IPv4 and of IPv6?
    routers: (bool, bool),
    /// Who is in the others.
    pub(in crate::stack) members: Members,
}

impl Groups {
    /// Of an interface that tells of its addresses' groups, or of one that does not.
    pub(crate) fn new(tells_own: bool) -> Self {
        let mut groups = Self::default();
        groups.members.tells_own = tells_own;
        groups
    }

    /// The interface is a router's (RFC 1112 §7.2, RFC 4291 §2.8).
    pub(crate) fn join_routers(&mut self, v4: bool, v6: bool) {
        self.routers = (v4, v6);
        if v4 {
            self.members.join_own(IpAddr::V4(igmp::ALL_ROUTERS));
        }
        if v6 {
            for group in ALL_ROUTERS_V6 {
                self.members.join_own(IpAddr::V6(group));
            }
        }
    }

    /// Is it a group of all routers, and are we one?
    fn is_of_routers(&self, group: IpAddr) -> bool {
        match group {
            IpAddr::V4(group) => self.routers.0 && group == igmp::ALL_ROUTERS,
            IpAddr::V6(group) => self.routers.1 && ALL_ROUTERS_V6.contains(&group),
        }
    }

    /// An address is ours, or is to be.
    pub(crate) fn join_for(&mut self, cidr: Cidr) {
        for broadcast in cidr.broadcasts().into_iter().flatten() {
            *self.broadcasts.entry(broadcast).or_default() += 1;
            self.screen.add(IpAddr::V4(broadcast));
        }
        if let IpAddr::V6(own) = cidr.address() {
            let addresses = self.solicited_nodes.entry(last_bits(own)).or_default();
            *addresses += 1;
            if *addresses == 1 {
                self.members.join_own(IpAddr::V6(solicited_node(own)));
            }
        }
    }

    /// It is another station's, or is taken away.
    pub(crate) fn leave_for(&mut self, cidr: Cidr) {
        for broadcast in cidr.broadcasts().into_iter().flatten() {
            self.gone += usize::from(is_left(self.broadcasts.entry(broadcast)));
        }
        if self.gone > self.broadcasts.len() + STALE {
            self.gone = 0;
            self.screen = self.broadcasts.keys().copied().map(IpAddr::V4).collect();
        }
        if let IpAddr::V6(own) = cidr.address()
            && is_left(self.solicited_nodes.entry(last_bits(own)))
        {
            self.members.leave_own(IpAddr::V6(solicited_node(own)));
        }
    }

    /// Are packets to this group or broadcast address taken?
    pub(crate) fn takes(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => {
                let joined = || a.is_multicast() && self.members.get(address).is_some();
                a.is_broadcast()
                    || self.is_broadcast(a)
                    || is_everybodys(address)
                    || self.is_of_routers(address)
                    || joined()
            }
            // RFC 4291 §2.8, RFC 4861 §7.2.1: all-nodes, and the solicited-node group of each address. All
            // 24 bits count (r64).
            IpAddr::V6(a) => {
                let ours = || self.solicited_nodes.contains_key(&last_bits(a));
                let joined = || a.is_multicast() && self.members.get(address).is_some();
                is_everybodys(address)
                    || (a == solicited_node(a) && ours())
                    || self.is_of_routers(address)
                    || joined()
            }
        }
    }

    /// Is what `source` sends to this group or broadcast address for a socket that is bound to its port? To a group, for
    /// those that joined it and want this sender (RFC 1112 §7.2, RFC 3376 §3.1); to one that the stack itself is in, for
    /// those as well that did not join it.
    pub(in crate::stack) fn hears(&self, address: IpAddr, id: UdpId, source: IpAddr) -> bool {
        if !address.is_multicast() {
            return true;
        }
        let group = self.members.get(address);
        match group.and_then(|group| group.of(id)) {
            Some(filter) => filter.admits(source),
            None => self.is_unasked(address),
        }
    }

    /// Is it a group that the stack itself is in?
    fn is_unasked(&self, group: IpAddr) -> bool {
        let ours = match group {
            IpAddr::V4(_) => false,
            IpAddr::V6(a) => {
                a == solicited_node(a) && self.solicited_nodes.contains_key(&last_bits(a))
            }
        };
        is_everybodys(group) || ours || self.is_of_routers(group)
    }

    /// Is it the broadcast address of one of our networks?
    pub(crate) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        self.screen.may_hold(IpAddr::V4(address)) && self.broadcasts.contains_key(&address)
    }

    /// Does it mean more than one host of this link, whether we take its packets or not?
    pub(crate) fn is_group(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => a.is_multicast() || a.is_broadcast() || self.is_broadcast(a),
            IpAddr::V6(a) => a.is_multicast(),
        }
    }

    /// The MAC address of a group or broadcast next hop (RFC 1112 §6.4, RFC 2464 §7, RFC 1122 §3.3.6).
    pub(crate) fn mac(&self, next_hop: IpAddr) -> Option<MacAddr> {
        match next_hop {
            IpAddr::V4(a) if a.is_multicast() => Some(ethernet::ipv4_multicast(a)),
            IpAddr::V4(a) if a.is_broadcast() || self.is_broadcast(a) => Some(MacAddr::BROADCAST),
            IpAddr::V6(a) if a.is_multicast() => Some(ethernet::ipv6_multicast(a)),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

/// One less is in it: was that the last one?
fn is_left<K: Ord>(group: Entry<'_, K, usize>) -> bool {
    let Entry::Occupied(mut members) = group else {
        return false;
    };
    *members.get_mut() -= 1;
    let left = *members.get() == 0;
    if left {
        members.remove();
    }
    left
}

/// Is it the group of all hosts, which nobody need join?
fn is_everybodys(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group == igmp::ALL_SYSTEMS,
        IpAddr::V6(group) => group == ipv6::ALL_NODES,
    }
}

/// The 24 bits that a solicited-node group has of its address.
const fn last_bits(address: Ipv6Addr) -> u32 {
    let [.., a, b, c] = address.octets();
    u32::from_be_bytes([0, a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &str) -> Groups {
        let mut groups = Groups::default();
        groups.join_for(text.parse().unwrap());
        groups
    }

    /// Covers: IP4-10, IP4-11 (broadcast forms), IP4-46 (a /31 has none). r64: all 24 bits.
    #[test]
    fn groups_that_are_ours() {
        let list = groups("10.0.0.1/24");
        for (address, is) in [
            ("10.0.0.255", true),
            ("10.0.0.0", true),
            ("10.0.1.255", false),
        ] {
            assert_eq!(list.is_broadcast(address.parse().unwrap()), is, "{address}");
        }
        let pair = groups("10.0.0.1/31");
        assert!(!pair.is_broadcast("10.0.0.0".parse().unwrap()));
        let list = groups("fd00::12:3456/64");
        for (group, is) in [("ff02::1:ff12:3456", true), ("ff02::1:ff13:3456", false)] {
            assert_eq!(list.takes(group.parse().unwrap()), is, "{group}");
        }
    }

    /// Two addresses may share a solicited-node group, which is left with the second of them.
    #[test]
    fn a_group_is_left_with_its_last_address() {
        let mut list = groups("fd00::1/64");
        list.join_for("fe80::1/64".parse().unwrap());
        let group = "ff02::1:ff00:1".parse().unwrap();
        let leaving = [
            ("fd00::1/64", true),
            ("fe80::1/64", false),
            ("fe80::1/64", false),
        ];
        for (address, is) in leaving {
            list.leave_for(address.parse().unwrap());
            assert_eq!(list.takes(group), is, "{address}");
        }
    }

    /// So is a broadcast address; and what came and went does not wear the screen out.
    #[test]
    fn a_broadcast_address_is_given_up_with_its_last_address() {
        let mut list = groups("10.0.0.1/24");
        let broadcast = "10.0.0.255".parse().unwrap();
        list.join_for("10.0.0.2/24".parse().unwrap());
        for (address, is) in [("10.0.0.1/24", true), ("10.0.0.2/24", false)] {
            assert!(list.is_broadcast(broadcast));
            list.leave_for(address.parse().unwrap());
            assert_eq!(list.is_broadcast(broadcast), is, "{address}");
        }
        for number in 0..=255 {
            let cidr: Cidr = format!("10.1.{number}.{number}/30").parse().unwrap();
            list.join_for(cidr);
            list.leave_for(cidr);
        }
        let held = (0..=255).filter(|&n| list.screen.may_hold(Ipv4Addr::new(10, 0, 0, n).into()));
        assert!(held.count() < 140, "it was made anew");
    }
}
