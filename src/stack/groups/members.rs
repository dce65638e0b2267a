//! Who on this host is in which groups of an interface: sockets with their filters, and the stack itself.
//!
//! RFC 1112 §7.1, RFC 3376 §3, RFC 3810 §4. *Owns* membership and its bounds. *Does not* tell routers: its reporters do.
//! Invariant: a group is here as long as somebody wants a sender of it.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::filter::Filter;
use super::reporter::{Query, Report, Reporter};
use crate::base::{Instant, Random};
use crate::stack::ids::UdpId;

/// *Fixed*: groups of an interface that sockets are in. (Linux bounds those of a socket, by 20:
/// `net.ipv4.igmp_max_memberships`.)
pub(in crate::stack) const MOST_GROUPS: usize = 1024;
/// *Fixed*: groups of an interface's own addresses that are told of: whoever asks for all of them is answered with so many.
pub(in crate::stack) const MOST_OWN: usize = 1024;
/// *Fixed*: sockets in one group of an interface.
pub(in crate::stack) const MOST_SOCKETS: usize = 256;
/// *Fixed*: sources of one group, for all its sockets together.
pub(in crate::stack) const MOST_MERGED: usize = 1024;

/// The members of one group.
#[derive(Debug)]
pub(in crate::stack) struct Group {
    /// What all want together.
    pub(super) filter: Filter,
    sockets: BTreeMap<UdpId, Filter>,
    /// Is the stack itself in it, for an address of its own?
    own: bool,
}

/// Why a membership cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stack) enum Full {
    Groups,
    Sockets,
    Sources,
}

/// One family's groups.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) groups: BTreeMap<IpAddr, Group>,
    reporter: Reporter,
    /// Groups that sockets are in.
    of_sockets: usize,
}

/// All groups of an interface but those that each host is in.
#[derive(Debug, Default)]
pub(in crate::stack) struct Members {
    pub(super) v4: Family,
    pub(super) v6: Family,
    /// Are the groups of our addresses told of?
    pub(super) tells_own: bool,
    /// How many are.
    own: usize,
    /// Was something reported from `::`, before there was an address (RFC 3810 §5.2.13)?
    pub(super) from_nobody: bool,
}

impl Group {
    const fn new() -> Self {
        Self {
            filter: Filter::NOTHING,
            sockets: BTreeMap::new(),
            own: false,
        }
    }

    fn merged(&self) -> Filter {
        if self.own {
            return Filter::ALL;
        }
        Filter::merged(self.sockets.values())
    }

    /// What a socket wants of it.
    pub(in crate::stack) fn of(&self, id: UdpId) -> Option<&Filter> {
        self.sockets.get(&id)
    }
}

impl Members {
    pub(super) const fn family(&self, group: IpAddr) -> &Family {
        match group {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        }
    }

    const fn family_mut(&mut self, group: IpAddr) -> &mut Family {
        match group {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        }
    }

    /// Its members.
    pub(in crate::stack) fn get(&self, group: IpAddr) -> Option<&Group> {
        self.family(group).groups.get(&group)
    }

    /// All groups with a member.
    pub(in crate::stack) fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let all = self.v4.groups.keys().chain(self.v6.groups.keys());
        all.copied()
    }

    /// What this socket wants of the group from now on; nothing: it leaves.
    pub(in crate::stack) fn set(
        &mut self,
        group: IpAddr,
        id: UdpId,
        filter: Filter,
    ) -> Result<(), Full> {
        self.family_mut(group).set(group, id, filter)
    }

    /// An address of ours has this group (RFC 4291 §2.7.1).
    pub(super) fn join_own(&mut self, group: IpAddr) {
        if self.tells_own && self.own < MOST_OWN {
            self.own += 1;
            let family = self.family_mut(group);
            family.groups.entry(group).or_insert_with(Group::new).own = true;
            family.settle(group);
        }
    }

    /// None has any more.
    pub(super) fn leave_own(&mut self, group: IpAddr) {
        let family = self.family_mut(group);
        if let Some(of) = family.groups.get_mut(&group).filter(|of| of.own) {
            of.own = false;
            family.settle(group);
            self.own -= 1;
        }
    }

    /// When something is to be told; [`Instant::ZERO`] is at once.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let all = [&self.v4, &self.v6].map(|family| family.reporter.next_due());
        all.into_iter().flatten().min()
    }

    /// What is to be told now, of IPv4's groups and of IPv6's.
    pub(super) fn on_timeout(&mut self, now: Instant, random: &mut Random) -> [Vec<Report>; 2] {
        [&mut self.v4, &mut self.v6]
            .map(|family| family.reporter.on_timeout(now, random, &family.groups))
    }

    /// A router asks, of groups of this family.
    pub(super) fn on_query(&mut self, now: Instant, random: &mut Random, v4: bool, query: &Query) {
        let family = if v4 { &mut self.v4 } else { &mut self.v6 };
        let Family {
            groups, reporter, ..
        } = family;
        reporter.on_query(now, random, query, groups);
    }

    /// Another host says that it is in a group.
    pub(super) fn heard_report(&mut self, group: IpAddr) {
        self.family_mut(group).reporter.heard_report(group);
    }
}

impl Members {
    /// Everything is told as if it were new: the link was away, and who listens there may be another.
    pub(in crate::stack) fn tell_all(&mut self) {
        self.v4.tell_all();
        self.v6.tell_all();
    }
}

impl Family {
    #[cfg(test)]
    pub(super) const fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    pub(super) fn tell_all(&mut self) {
        self.reporter.tell_all(&self.groups);
    }

    fn set(&mut self, group: IpAddr, id: UdpId, filter: Filter) -> Result<(), Full> {
        let of = self.groups.get(&group);
        let sockets = of.map_or(0, |of| of.sockets.len());
        let known = of.is_some_and(|of| of.sockets.contains_key(&id));
        if !filter.is_nothing() {
            if sockets == 0 && self.of_sockets >= MOST_GROUPS {
                return Err(Full::Groups);
            }
            if !known && sockets >= MOST_SOCKETS {
                return Err(Full::Sockets);
            }
            let others = of.into_iter().flat_map(|of| &of.sockets);
            let others = others
                .filter(|(other, _)| **other != id)
                .map(|(_, filter)| filter);
            let merged = Filter::merged(others.chain(core::iter::once(&filter)));
            if merged.sources.len() > MOST_MERGED {
                return Err(Full::Sources);
            }
        }
        let of = self.groups.entry(group).or_insert_with(Group::new);
        if filter.is_nothing() {
            of.sockets.remove(&id);
        } else {
            of.sockets.insert(id, filter);
        }
        match (sockets, of.sockets.len()) {
            (0, 1) => self.of_sockets += 1,
            (1, 0) => self.of_sockets -= 1,
            _ => {}
        }
        self.settle(group);
        Ok(())
    }

    /// Somebody wants something else of a group.
    fn settle(&mut self, group: IpAddr) {
        let Some(of) = self.groups.get_mut(&group) else {
            return;
        };
        let merged = of.merged();
        self.reporter.changed(group, &of.filter, &merged);
        of.filter = merged;
        if of.filter.is_nothing() {
            self.groups.remove(&group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipv6::solicited_node;
    use crate::stack::ids::{Id, RawId};
    use core::net::Ipv6Addr;

    fn socket(index: u32) -> UdpId {
        let generation = 0;
        UdpId::from_raw(RawId { index, generation })
    }

    fn group(n: usize) -> IpAddr {
        let [_, _, .., a, b] = u64::try_from(n).unwrap().to_be_bytes();
        IpAddr::from([239, 0, a, b])
    }

    /// docs/limits.md: groups, sockets in one, sources of one; and what is given back is there for others.
    #[test]
    fn membership_is_bounded() {
        let mut members = Members::default();
        for n in 0..MOST_GROUPS {
            assert_eq!(members.set(group(n), socket(0), Filter::ALL), Ok(()));
        }
        let one_more =
            |members: &mut Members, n, id| members.set(group(n), socket(id), Filter::ALL);
        assert_eq!(one_more(&mut members, MOST_GROUPS, 0), Err(Full::Groups));
        assert_eq!(members.set(group(0), socket(0), Filter::NOTHING), Ok(()));
        assert_eq!(one_more(&mut members, MOST_GROUPS, 0), Ok(()));
        for id in 1..MOST_SOCKETS {
            let id = u32::try_from(id).unwrap();
            assert_eq!(one_more(&mut members, 1, id), Ok(()));
        }
        assert_eq!(one_more(&mut members, 1, 999), Err(Full::Sockets));
        assert_eq!(one_more(&mut members, 1, 0), Ok(()), "it is in already");
        let of_sources = |from: u32, count: u32| Filter {
            mode: super::super::FilterMode::Include,
            sources: (from..from + count).map(|n| IpAddr::V4(n.into())).collect(),
        };
        let most = u32::try_from(MOST_MERGED).unwrap();
        assert_eq!(
            members.set(group(2), socket(0), of_sources(1, most)),
            Ok(())
        );
        let refused = members.set(group(2), socket(1), of_sources(0, 1));
        assert_eq!(refused, Err(Full::Sources));
        assert_eq!(members.set(group(2), socket(1), of_sources(1, 1)), Ok(()));
        assert_eq!(
            members.v4.groups[&group(2)].filter.sources.len(),
            MOST_MERGED
        );
    }

    /// docs/limits.md: groups of own addresses that are told of; each may come in the place of one that went.
    #[test]
    fn own_groups_are_bounded() {
        let mut members = Members {
            tells_own: true,
            ..Members::default()
        };
        let own = |n: u32| IpAddr::V6(solicited_node(Ipv6Addr::from_bits(n.into())));
        let most = u32::try_from(MOST_OWN).unwrap();
        (0..most + 9).for_each(|n| members.join_own(own(n)));
        assert_eq!(members.iter().count(), MOST_OWN);
        members.leave_own(own(most + 1));
        members.leave_own(own(0));
        members.join_own(own(most + 1));
        assert_eq!(members.iter().count(), MOST_OWN);
        (0..most + 9).for_each(|n| members.leave_own(own(n)));
        assert_eq!((members.iter().count(), members.own), (0, 0));
    }

    #[test]
    fn a_group_is_left_with_its_last_member() {
        let mut members = Members {
            tells_own: true,
            ..Members::default()
        };
        let solicited = IpAddr::V6("ff02::1:ff00:1".parse().unwrap());
        members.join_own(solicited);
        members.set(solicited, socket(0), Filter::ALL).unwrap();
        members.leave_own(solicited);
        assert!(members.get(solicited).is_some_and(|of| !of.own));
        members.set(solicited, socket(0), Filter::NOTHING).unwrap();
        assert!(members.get(solicited).is_none());
        members.set(solicited, socket(0), Filter::NOTHING).unwrap();
        assert_eq!(members.v6.of_sockets, 0);
        assert_eq!(members.iter().count(), 0);
    }
}
