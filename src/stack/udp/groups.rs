//! Sockets in groups: what users call to be in them, and whom they hear there.
//!
//! RFC 1112 §7.1, RFC 3678 §4 (joining, leaving, sources), RFC 3376 §2, §3.1, RFC 4604 §2.2. *Owns* what a socket's filter becomes by
//! a call. *Does not* merge filters, nor tell routers: `groups` does.

use core::net::IpAddr;

use super::multicast::{GroupError, MulticastOptions};
use super::socket::UdpSocket;
use crate::base::Instant;
use crate::stack::groups::{Filter, FilterMode, Full, is_source_specific};
use crate::stack::ids::{InterfaceId, StaleId, UdpId};
use crate::stack::{Call, Stack};

/// *Fixed*: sources that a socket names of one group: RFC 3376 §2 has no limit below it.
pub(in crate::stack) const MOST_SOURCES: usize = 64;

/// A membership that a call is about.
type Place = (IpAddr, Option<InterfaceId>);

impl Stack {
    /// Joins a group on an interface: datagrams to it are this socket's too, those of `source` alone if that is given;
    /// another call then adds another source. Without `on`: on the interface that the socket sends to groups by, or the
    /// only one. Routers are told (RFC 3376, RFC 3810), and a link-local group's scope is the interface.
    ///
    /// A socket hears the groups that it joined and no others, whatever other sockets did; but 224.0.0.1, ff02::1 and the
    /// solicited-node groups of our addresses, which nobody need join.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn udp_join(
        &mut self,
        now: Instant,
        id: UdpId,
        group: IpAddr,
        on: Option<InterfaceId>,
        source: Option<IpAddr>,
    ) -> Result<(), GroupError> {
        self.note_call(Some(now), |_| Call::UdpJoin(id, group, on, source));
        let joined = self.change_membership(now, id, (group, on), source, |filter| match source {
            None if filter.is_none() => Ok(Filter::ALL),
            None => Err(GroupError::Already(group)),
            Some(source) => {
                let mut filter = filter.unwrap_or(Filter::NOTHING);
                check_mode(&filter, FilterMode::Include, group)?;
                let new = filter.sources.insert(source);
                new.then_some(filter).ok_or(GroupError::Already(group))
            }
        });
        self.note_outcome(joined)
    }

    /// Leaves a group; with `source`, gives up that sender of those that the membership names. A socket that is closed
    /// leaves its groups.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn udp_leave(
        &mut self,
        now: Instant,
        id: UdpId,
        group: IpAddr,
        on: Option<InterfaceId>,
        source: Option<IpAddr>,
    ) -> Result<(), GroupError> {
        self.note_call(Some(now), |_| Call::UdpLeave(id, group, on, source));
        let left = self.change_membership(now, id, (group, on), source, |filter| {
            let mut filter = filter.ok_or(GroupError::NotMember(group))?;
            let Some(source) = source else {
                return Ok(Filter::NOTHING);
            };
            check_mode(&filter, FilterMode::Include, group)?;
            let there = filter.sources.remove(&source);
            there.then_some(filter).ok_or(GroupError::NotMember(group))
        });
        self.note_outcome(left)
    }

    /// Hears no more of what this sender sends to a group that the socket hears everybody of.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn udp_block(
        &mut self,
        now: Instant,
        id: UdpId,
        group: IpAddr,
        on: Option<InterfaceId>,
        source: IpAddr,
    ) -> Result<(), GroupError> {
        self.note_call(Some(now), |_| Call::UdpBlock(id, group, on, source));
        let blocked = self.change_membership(now, id, (group, on), Some(source), |filter| {
            let mut filter = filter.ok_or(GroupError::NotMember(group))?;
            check_mode(&filter, FilterMode::Exclude, group)?;
            let new = filter.sources.insert(source);
            new.then_some(filter).ok_or(GroupError::Already(group))
        });
        self.note_outcome(blocked)
    }

    /// Hears this sender again.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn udp_unblock(
        &mut self,
        now: Instant,
        id: UdpId,
        group: IpAddr,
        on: Option<InterfaceId>,
        source: IpAddr,
    ) -> Result<(), GroupError> {
        self.note_call(Some(now), |_| Call::UdpUnblock(id, group, on, source));
        let unblocked = self.change_membership(now, id, (group, on), Some(source), |filter| {
            let mut filter = filter.ok_or(GroupError::NotMember(group))?;
            check_mode(&filter, FilterMode::Exclude, group)?;
            let there = filter.sources.remove(&source);
            there.then_some(filter).ok_or(GroupError::NotMember(group))
        });
        self.note_outcome(unblocked)
    }

    /// Says all at once whom the socket hears of a group, whatever it did before (RFC 3678 §4.2): these senders alone, or all
    /// but these. [`FilterMode::Include`] of none leaves.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn udp_set_filter(
        &mut self,
        now: Instant,
        id: UdpId,
        group: IpAddr,
        on: Option<InterfaceId>,
        mode: FilterMode,
        sources: &[IpAddr],
    ) -> Result<(), GroupError> {
        self.note_call(Some(now), |_| {
            Call::UdpSetFilter(id, group, on, mode, sources.to_vec())
        });
        let wrong = sources.iter().find(|&&source| !sends_to(source, group));
        let set = match wrong {
            Some(&source) => Err(GroupError::Source(source)),
            None => self.change_membership(now, id, (group, on), None, |_| {
                if mode == FilterMode::Exclude && is_source_specific(group) {
                    return Err(GroupError::NeedsSource(group));
                }
                let sources = sources.iter().copied().collect();
                Ok(Filter { mode, sources })
            }),
        };
        self.note_outcome(set)
    }

    /// Changes how the socket sends to groups.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn udp_set_multicast(
        &mut self,
        id: UdpId,
        options: MulticastOptions,
    ) -> Result<(), StaleId> {
        self.note_call(None, |_| Call::UdpSetMulticast(id, options));
        let set = self.udp.get_mut(id).ok_or(StaleId).map(|socket| {
            socket.options.multicast = options;
        });
        self.note_outcome(set)
    }

    /// How the socket sends to groups.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn udp_multicast(&self, id: UdpId) -> Result<MulticastOptions, StaleId> {
        let socket = self.udp.get(id).ok_or(StaleId)?;
        Ok(socket.options.multicast)
    }

    /// The groups that an interface is in, for sockets and for its own addresses; but those that each host is in.
    pub fn groups(&self, on: InterfaceId) -> impl Iterator<Item = IpAddr> + '_ {
        let interface = self.net.interfaces.get(on.index()).into_iter();
        interface.flat_map(|i| i.groups.members.iter())
    }

    /// What the socket hears of a group becomes another thing; `None` is a group that it is not in.
    fn change_membership(
        &mut self,
        now: Instant,
        id: UdpId,
        (group, on): Place,
        source: Option<IpAddr>,
        change: impl FnOnce(Option<Filter>) -> Result<Filter, GroupError>,
    ) -> Result<(), GroupError> {
        self.net.clamp(now);
        let socket = self.udp.get_mut(id).ok_or(StaleId)?;
        if !may_join(socket, group) {
            return Err(GroupError::Group(group));
        }
        if let Some(source) = source
            && !sends_to(source, group)
        {
            return Err(GroupError::Source(source));
        }
        let only = self.net.interfaces.only().map(|one| one.id);
        let on = on.or(socket.options.multicast.interface).or(only);
        let found = on.and_then(|on| self.net.interfaces.added_mut(on.index()));
        let interface = found.ok_or(GroupError::Interface(group))?;
        let members = &mut interface.groups.members;
        let old = members.get(group).and_then(|group| group.of(id)).cloned();
        let known = old.is_some();
        let filter = change(old)?;
        if !known && filter == Filter::ALL && is_source_specific(group) {
            return Err(GroupError::NeedsSource(group));
        }
        if filter.sources.len() > MOST_SOURCES {
            return Err(GroupError::Sources(MOST_SOURCES));
        }
        let place = (interface.id, group);
        let leaves = filter.is_nothing();
        let set = members.set(group, id, filter);
        let full = |_: Full| GroupError::Full(group);
        set.map_err(full)?;
        if leaves {
            socket.groups.remove(&place);
        } else {
            socket.groups.insert(place);
        }
        self.net.set_groups_timer(place.0);
        Ok(())
    }

    /// A socket that is gone is in no group.
    pub(super) fn leave_groups(&mut self, id: UdpId, socket: &UdpSocket) {
        for &(on, group) in &socket.groups {
            let members = &mut self.net.interfaces[on.index()].groups.members;
            let left = members.set(group, id, Filter::NOTHING);
            debug_assert!(left.is_ok(), "leaving takes no room");
            self.net.set_groups_timer(on);
        }
    }
}

fn check_mode(filter: &Filter, mode: FilterMode, group: IpAddr) -> Result<(), GroupError> {
    if filter.mode == mode {
        Ok(())
    } else {
        Err(GroupError::Mode(group))
    }
}

/// May a socket be in it: does it take the family, and does the group mean something on a link (RFC 4291 §2.7)?
fn may_join(socket: &UdpSocket, group: IpAddr) -> bool {
    let near = matches!(group, IpAddr::V6(a) if a.octets()[1] & 0x0f <= 1);
    group.is_multicast() && !near && socket.takes(group)
}

/// Can datagrams to `group` come from there?
fn sends_to(source: IpAddr, group: IpAddr) -> bool {
    let nobody = source.is_multicast() || source.is_unspecified() || source.is_loopback();
    let broadcast = matches!(source, IpAddr::V4(a) if a.is_broadcast());
    source.is_ipv4() == group.is_ipv4() && !nobody && !broadcast
}
