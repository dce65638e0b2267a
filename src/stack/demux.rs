//! Which socket takes a packet: one keyed-hash look-up per form of claim.
//!
//! In order: the 4-tuple; a socket bound to address and port; one bound to the port.
//! *Owns* the claims. *Does not* own sockets. Keys of link-local addresses hold the interface
//! (RFC 4007 §6). Invariant: no two sockets claim the same packet, so a second claim is an error.

use core::hash::Hash;
use core::net::{IpAddr, SocketAddr};
use std::collections::HashMap;

use super::ids::{InterfaceId, ListenerId, RawId, TcpId, UdpId};
use crate::base::{KeyedState, Seed};

/// Both ends of a flow; `zone` is the interface's number when an address is link-local, else 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    pub(crate) local: SocketKey,
    pub(crate) remote: SocketKey,
    zone: u32,
}

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SocketKey {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

impl Tuple {
    /// The tuple of a flow over the interface `on`.
    pub(crate) fn new(on: InterfaceId, local: (IpAddr, u16), remote: (IpAddr, u16)) -> Self {
        let scoped = is_link_local(local.0) || is_link_local(remote.0);
        let key = |(ip, port)| SocketKey { ip, port };
        Self {
            local: key(local),
            remote: key(remote),
            zone: if scoped { on.scope() } else { 0 },
        }
    }
}

/// Is it an address that means something on one link only (`fe80::/10`, RFC 4291 §2.5.6)?
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(a) if a.is_unicast_link_local())
}

/// What an owner of a 4-tuple is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpEntry {
    /// A connection.
    Connection(TcpId),
    /// A half-open record.
    HalfOpen(RawId),
    /// A TIME-WAIT record.
    TimeWait(RawId),
}

/// The addresses that one claim of a port covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bound {
    /// One address, with its zone when it is link-local.
    One(IpAddr, u32),
    /// `0.0.0.0`: every IPv4 address.
    AnyV4,
    /// `[::]`: every IPv6 address.
    AnyV6,
}

impl Bound {
    /// Does a claim of `self` take packets that `other` takes too?
    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::One(a, zone), Self::One(b, other)) => a == b && zone == other,
            (Self::One(a, _), any) | (any, Self::One(a, _)) => any == Self::any(a),
            (a, b) => a == b,
        }
    }

    const fn any(family: IpAddr) -> Self {
        match family {
            IpAddr::V4(_) => Self::AnyV4,
            IpAddr::V6(_) => Self::AnyV6,
        }
    }
}

/// The claims of one local endpoint: two when `[::]` takes IPv4 as well.
pub(crate) fn claims_of(local: SocketAddr, zone: u32, dual_stack: bool) -> ([Bound; 2], usize) {
    let ip = local.ip();
    if !ip.is_unspecified() {
        let zone = if is_link_local(ip) { zone } else { 0 };
        ([Bound::One(ip, zone); 2], 1)
    } else if ip.is_ipv6() && dual_stack {
        ([Bound::AnyV6, Bound::AnyV4], 2)
    } else {
        ([Bound::any(ip); 2], 1)
    }
}

/// A table of flows and of bound ports.
#[derive(Debug)]
pub(crate) struct Table<F, B> {
    flows: HashMap<Tuple, F, KeyedState>,
    ports: HashMap<u16, Vec<(Bound, B)>, KeyedState>,
}

/// Something else has this endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InUse;

impl<F: Copy, B: Copy + PartialEq> Table<F, B> {
    fn new(state: KeyedState) -> Self {
        Self {
            flows: HashMap::with_hasher(state.clone()),
            ports: HashMap::with_hasher(state),
        }
    }

    /// Who has this flow?
    pub(crate) fn flow(&self, tuple: &Tuple) -> Option<F> {
        self.flows.get(tuple).copied()
    }

    /// Gives a flow to `entry`.
    pub(crate) fn insert_flow(&mut self, tuple: Tuple, entry: F) -> Result<(), InUse> {
        match self.flows.entry(tuple) {
            std::collections::hash_map::Entry::Occupied(_) => Err(InUse),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                Ok(())
            }
        }
    }

    /// Gives a flow to its next stage of life (half-open, connection, TIME-WAIT).
    pub(crate) fn replace_flow(&mut self, tuple: Tuple, entry: F) {
        let before = self.flows.insert(tuple, entry);
        debug_assert!(before.is_some(), "only a flow that exists is replaced");
    }

    /// Gives a flow up.
    pub(crate) fn remove_flow(&mut self, tuple: &Tuple) -> Option<F> {
        self.flows.remove(tuple)
    }

    /// Flows in it.
    #[cfg(test)]
    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Who is bound to this local endpoint: by address and port, else by port?
    pub(crate) fn bound(&self, on: InterfaceId, ip: IpAddr, port: u16) -> Option<B> {
        let claims = self.ports.get(&port)?;
        let zone = if is_link_local(ip) { on.scope() } else { 0 };
        let find = |wanted| claims.iter().find(|(bound, _)| *bound == wanted);
        find(Bound::One(ip, zone))
            .or_else(|| find(Bound::any(ip)))
            .map(|&(_, owner)| owner)
    }

    /// Is nobody bound to this port on an address that `local` covers?
    pub(crate) fn is_free(&self, local: SocketAddr, zone: u32, dual_stack: bool) -> bool {
        let (claims, count) = claims_of(local, zone, dual_stack);
        let Some(others) = self.ports.get(&local.port()) else {
            return true;
        };
        let clash = |claim: Bound| others.iter().any(|(other, _)| other.overlaps(claim));
        !claims[..count].iter().any(|&claim| clash(claim))
    }

    /// Binds `owner` to an endpoint.
    pub(crate) fn bind(
        &mut self,
        local: SocketAddr,
        zone: u32,
        dual_stack: bool,
        owner: B,
    ) -> Result<(), InUse> {
        if !self.is_free(local, zone, dual_stack) {
            return Err(InUse);
        }
        let (claims, count) = claims_of(local, zone, dual_stack);
        let owners = self.ports.entry(local.port()).or_default();
        owners.extend(claims[..count].iter().map(|&claim| (claim, owner)));
        self.check(local.port());
        Ok(())
    }

    /// Gives up what `owner` bound at this port.
    pub(crate) fn unbind(&mut self, port: u16, owner: B) {
        if let Some(owners) = self.ports.get_mut(&port) {
            owners.retain(|&(_, other)| other != owner);
            if owners.is_empty() {
                self.ports.remove(&port);
            }
        }
    }

    /// No two sockets claim the same packet.
    fn check(&self, port: u16) {
        if cfg!(debug_assertions) {
            let claims = self.ports.get(&port).map_or(&[][..], Vec::as_slice);
            for (at, (a, _)) in claims.iter().enumerate() {
                let clash = claims[at + 1..].iter().find(|(b, _)| a.overlaps(*b));
                debug_assert!(clash.is_none(), "two sockets claim port {port} of {a:?}");
            }
        }
    }
}

/// All claims of one stack.
#[derive(Debug)]
pub(crate) struct Demux {
    pub(crate) tcp: Table<TcpEntry, ListenerId>,
    pub(crate) udp: Table<UdpId, UdpId>,
}

impl Demux {
    pub(crate) fn new(seed: &Seed) -> Self {
        let state = KeyedState::new(seed.key("demux"));
        Self {
            tcp: Table::new(state.clone()),
            udp: Table::new(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::ids::Id;

    fn udp(index: u32) -> UdpId {
        UdpId::from_raw(RawId {
            index,
            generation: 0,
        })
    }

    fn table() -> Table<UdpId, UdpId> {
        Demux::new(&Seed::from_number(1)).udp
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// r56: a second claim of the same packets is an error, whatever its form.
    #[test]
    fn r56_claims_that_overlap_are_refused() {
        #[rustfmt::skip]
        let rows = [
            ("10.0.0.1:80", false, "10.0.0.1:80", false, false),
            ("10.0.0.1:80", false, "10.0.0.2:80", false, true),
            ("10.0.0.1:80", false, "10.0.0.1:81", false, true),
            ("10.0.0.1:80", false, "0.0.0.0:80",  false, false),
            ("0.0.0.0:80",  false, "10.0.0.1:80", false, false),
            ("0.0.0.0:80",  false, "[::]:80",     false, true),
            ("0.0.0.0:80",  false, "[::]:80",     true,  false),
            ("[::]:80",     true,  "10.0.0.1:80", false, false),
            ("[::]:80",     false, "10.0.0.1:80", false, true),
            ("[::]:80",     false, "[fd00::1]:80", false, false),
        ];
        for (first, dual, second, also, free) in rows {
            let mut table = table();
            table.bind(at(first), 0, dual, udp(1)).unwrap();
            assert_eq!(table.is_free(at(second), 0, also), free, "{first} {second}");
            let bound = table.bind(at(second), 0, also, udp(2));
            assert_eq!(bound.is_ok(), free, "{first} {second}");
            table.unbind(at(first).port(), udp(1));
            table.unbind(at(second).port(), udp(2));
            assert!(table.is_free(at(second), 0, also));
        }
    }

    #[test]
    fn look_up_goes_from_address_to_any_and_keeps_families_apart() {
        let mut table = table();
        let on = InterfaceId::from_index(0);
        let v4 = "10.0.0.1".parse().unwrap();
        let v6 = "fd00::1".parse().unwrap();
        table.bind(at("[::]:7"), 0, false, udp(1)).unwrap();
        assert_eq!(table.bound(on, v6, 7), Some(udp(1)));
        assert_eq!(table.bound(on, v4, 7), None);
        table.bind(at("10.0.0.1:7"), 0, false, udp(2)).unwrap();
        assert_eq!(table.bound(on, v4, 7), Some(udp(2)));
        table.bind(at("[::]:8"), 0, true, udp(3)).unwrap();
        assert_eq!(table.bound(on, v4, 8), Some(udp(3)));
        assert_eq!(table.bound(on, v4, 9), None);
    }

    /// Covers: ADR-7 (the zone of a link-local address is part of every key).
    #[test]
    fn link_local_claims_hold_the_interface() {
        let (one, two) = (InterfaceId::from_index(0), InterfaceId::from_index(1));
        let mut table = table();
        let local = "fe80::1".parse().unwrap();
        table.bind(at("[fe80::1]:7"), 1, false, udp(1)).unwrap();
        table.bind(at("[fe80::1]:7"), 2, false, udp(2)).unwrap();
        assert_eq!(table.bound(one, local, 7), Some(udp(1)));
        assert_eq!(table.bound(two, local, 7), Some(udp(2)));
        let far: IpAddr = "fd00::9".parse().unwrap();
        let scoped = |on| Tuple::new(on, (local, 1), (far, 2));
        assert_ne!(scoped(one), scoped(two));
        let global = |on| Tuple::new(on, (far, 1), (far, 2));
        assert_eq!(global(one), global(two));
    }

    #[test]
    fn a_flow_has_one_owner() {
        let mut table = table();
        let on = InterfaceId::from_index(0);
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        let tuple = Tuple::new(on, (ip, 1), (ip, 2));
        assert_eq!(table.insert_flow(tuple, udp(1)), Ok(()));
        assert_eq!(table.insert_flow(tuple, udp(2)), Err(InUse));
        table.replace_flow(tuple, udp(3));
        assert_eq!((table.flow(&tuple), table.flow_count()), (Some(udp(3)), 1));
        assert_eq!(table.remove_flow(&tuple), Some(udp(3)));
        assert_eq!(table.flow(&tuple), None);
    }
}
