//! UDP sockets in groups, and what is sent to all: the calls of `std::net`, and for named senders those of RFC 3678.
//!
//! RFC 1112 §6, §7, RFC 3678 §4. *Owns* no membership: the stack does. The datagrams come by the socket's own queue.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::clock;
use super::udp::UdpSocket;
use crate::base::Instant;
use crate::stack::{FilterMode, GroupError, InterfaceId, MulticastOptions, Stack, StaleId, UdpId};

impl UdpSocket {
    /// Joins an IPv4 group on the interface that has this address; `0.0.0.0`: on the only one, or the one that
    /// [`MulticastOptions::interface`] names. Several sockets of a host hear one port when they are bound with
    /// [`UdpOptions::reuse_address`](crate::stack::UdpOptions::reuse_address).
    ///
    /// # Errors
    /// `AddrInUse` for a member; `AddrNotAvailable` for an address that is not ours; `InvalidInput` for what is no group;
    /// `OutOfMemory` where there are too many; `NotConnected` when the host was shut down.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        let group = IpAddr::V4(*group);
        self.of_groups(|stack, now, id| {
            let on = interface_of(stack, *interface)?;
            Ok(stack.udp_join(now, id, group, on, None)?)
        })
    }

    /// Joins an IPv6 group on the interface of this number; 0 as `0.0.0.0` above.
    ///
    /// # Errors
    /// As [`join_multicast_v4`](Self::join_multicast_v4).
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        let (group, on) = (IpAddr::V6(*group), InterfaceId::from_scope(interface));
        self.of_groups(|stack, now, id| Ok(stack.udp_join(now, id, group, on, None)?))
    }

    /// Leaves an IPv4 group.
    ///
    /// # Errors
    /// `AddrNotAvailable` for who is no member, and as [`join_multicast_v4`](Self::join_multicast_v4).
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        let group = IpAddr::V4(*group);
        self.of_groups(|stack, now, id| {
            let on = interface_of(stack, *interface)?;
            Ok(stack.udp_leave(now, id, group, on, None)?)
        })
    }

    /// Leaves an IPv6 group.
    ///
    /// # Errors
    /// As [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        let (group, on) = (IpAddr::V6(*group), InterfaceId::from_scope(interface));
        self.of_groups(|stack, now, id| Ok(stack.udp_leave(now, id, group, on, None)?))
    }

    /// Hears one sender of a group, beside those that were named before; `on`: `None` is the only interface
    /// (`MCAST_JOIN_SOURCE_GROUP`).
    ///
    /// # Errors
    /// As [`join_multicast_v4`](Self::join_multicast_v4).
    pub fn join_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        on: Option<InterfaceId>,
    ) -> io::Result<()> {
        self.of_groups(|stack, now, id| Ok(stack.udp_join(now, id, group, on, Some(source))?))
    }

    /// Hears a sender no more that was named; without the last of them the group is left (`MCAST_LEAVE_SOURCE_GROUP`).
    ///
    /// # Errors
    /// As [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn leave_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        on: Option<InterfaceId>,
    ) -> io::Result<()> {
        self.of_groups(|stack, now, id| Ok(stack.udp_leave(now, id, group, on, Some(source))?))
    }

    /// Hears no more of a sender, in a group that was joined without naming any (`MCAST_BLOCK_SOURCE`).
    ///
    /// # Errors
    /// As [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn block_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        on: Option<InterfaceId>,
    ) -> io::Result<()> {
        self.of_groups(|stack, now, id| Ok(stack.udp_block(now, id, group, on, source)?))
    }

    /// Hears it again (`MCAST_UNBLOCK_SOURCE`).
    ///
    /// # Errors
    /// As [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn unblock_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        on: Option<InterfaceId>,
    ) -> io::Result<()> {
        self.of_groups(|stack, now, id| Ok(stack.udp_unblock(now, id, group, on, source)?))
    }

    /// Says all at once whom the socket hears of a group (RFC 3678 §4.2): [`FilterMode::Include`] of none leaves it.
    ///
    /// # Errors
    /// As [`join_multicast_v4`](Self::join_multicast_v4).
    pub fn set_source_filter(
        &self,
        group: IpAddr,
        mode: FilterMode,
        sources: &[IpAddr],
        on: Option<InterfaceId>,
    ) -> io::Result<()> {
        self.of_groups(
            |stack, now, id| Ok(stack.udp_set_filter(now, id, group, on, mode, sources)?),
        )
    }

    /// TTL of what is sent to IPv4 groups, and hop limit of what is sent to IPv6's: one setting here. Of more than 255, and
    /// of 0, what is next to it.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        let ttl = u8::try_from(ttl).unwrap_or(u8::MAX);
        self.change_multicast(|options| options.ttl(ttl))
    }

    /// That TTL.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        Ok(self.multicast()?.ttl_setting().into())
    }

    /// Do this host's own sockets hear what is sent to groups: one setting for both families here.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn set_multicast_loop_v4(&self, heard: bool) -> io::Result<()> {
        self.change_multicast(|options| options.loops(heard))
    }

    /// Do they?
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        Ok(self.multicast()?.loops_setting())
    }

    /// The same as [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn set_multicast_loop_v6(&self, heard: bool) -> io::Result<()> {
        self.set_multicast_loop_v4(heard)
    }

    /// The same as [`multicast_loop_v4`](Self::multicast_loop_v4).
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.multicast_loop_v4()
    }

    /// May it send to broadcast addresses ([`UdpOptions::broadcast`](crate::stack::UdpOptions::broadcast))?
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn set_broadcast(&self, may: bool) -> io::Result<()> {
        self.of_groups(|stack, _, id| Ok(stack.udp_set_broadcast(id, may)?))
    }

    /// May it?
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.of_groups(|stack, _, id| Ok(stack.udp_broadcast(id)?))
    }

    /// The flow label of what it sends over IPv6 ([`UdpOptions::flow_label`](crate::stack::UdpOptions::flow_label)).
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn set_flow_label(&self, label: Option<u32>) -> io::Result<()> {
        self.of_groups(|stack, _, id| Ok(stack.udp_set_flow_label(id, label)?))
    }

    /// That label, where one is set.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn flow_label(&self) -> io::Result<Option<u32>> {
        self.of_groups(|stack, _, id| Ok(stack.udp_flow_label(id)?))
    }

    /// How it sends to groups.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn multicast(&self) -> io::Result<MulticastOptions> {
        self.of_groups(|stack, _, id| Ok(stack.udp_multicast(id)?))
    }

    /// Changes how it sends to groups.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn set_multicast(&self, options: MulticastOptions) -> io::Result<()> {
        self.change_multicast(|_| options)
    }

    fn change_multicast(
        &self,
        change: impl FnOnce(MulticastOptions) -> MulticastOptions,
    ) -> io::Result<()> {
        self.of_groups(|stack, _, id| {
            let options = stack.udp_multicast(id)?;
            Ok(stack.udp_set_multicast(id, change(options))?)
        })
    }

    /// Calls the stack, which may have something to tell routers then.
    fn of_groups<T>(
        &self,
        call: impl FnOnce(&mut Stack, Instant, UdpId) -> Result<T, Refused>,
    ) -> io::Result<T> {
        let (shared, id) = self.stack_id();
        let mut core = shared.lock_running()?;
        let now = clock::now();
        let result = call(&mut core.stack, now, id);
        shared.finish(core, now);
        Ok(result?)
    }
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error(transparent)]
    Stale(#[from] StaleId),
    #[error("{0} is no address of an interface")]
    NotOurs(Ipv4Addr),
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Group(error) => error.into(),
            Refused::Stale(error) => error.into(),
            Refused::NotOurs(_) => Self::new(io::ErrorKind::AddrNotAvailable, refused),
        }
    }
}

/// The interface that has this address; of `0.0.0.0` the stack finds it.
fn interface_of(stack: &Stack, address: Ipv4Addr) -> Result<Option<InterfaceId>, Refused> {
    if address.is_unspecified() {
        return Ok(None);
    }
    let has = |&on: &InterfaceId| {
        let mut all = stack.addresses(on);
        all.any(|(cidr, _)| cidr.address() == IpAddr::V4(address))
    };
    let found = stack.interfaces().find(has);
    found.map(Some).ok_or(Refused::NotOurs(address))
}
