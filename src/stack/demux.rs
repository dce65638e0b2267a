//! Which socket takes a packet: one keyed-hash look-up per form of claim.
//!
//! In order: the 4-tuple; a socket bound to address and port; one bound to the port; one bound to every port of the address; one
//! bound to every port.
//! *Owns* the ports that are claimed. *Does not* own sockets, nor hold TCP's flows: `tcp_flows` does; nor know one claim of a port from
//! another: `claims` does. Claims of link-local addresses hold the interface (RFC 4007 §6). Invariant: no two sockets claim the same packet, so a second
//! claim is an error; but those that all agreed to share, of which one takes what is for one host, and each what is for many.

use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

pub(crate) use super::claims::{Refused, Sharing, claims_of};

use super::claims::{Claim, Claims};
use super::ephemeral::{EphemeralPorts, Seeker};
use super::ids::{InterfaceId, ListenerId, UdpId};
use super::taken::Taken;
use super::tcp_flows::{TcpEntry, TcpFlows};
use super::tuple::{InUse, Tuple};
use crate::base::{KeyedState, Seed};

/// What every port is claimed as: no packet has it, and each port's own claims come before it.
pub(crate) const ANY_PORT: u16 = 0;

/// A table of flows `F`, and of ports that `B`s are bound to.
#[derive(Debug)]
pub(crate) struct Table<F, B> {
    pub(crate) flows: F,
    ports: HashMap<u16, Claims<B>, KeyedState>,
    /// What searches for a free port found taken.
    taken: Taken<Seeker>,
}

/// UDP's flows.
#[derive(Debug)]
pub(crate) struct UdpFlows {
    /// Of any interface, or of one alone.
    all: HashMap<(Tuple, Option<InterfaceId>), UdpId, KeyedState>,
    /// How many are of one alone.
    of_one: usize,
}

impl Table<UdpFlows, UdpId> {
    /// Who has this flow, of what comes in on `on`?
    pub(crate) fn flow(&self, on: InterfaceId, tuple: &Tuple) -> Option<UdpId> {
        let UdpFlows { all, of_one } = &self.flows;
        let own = (*of_one > 0).then(|| all.get(&(*tuple, Some(on))));
        own.flatten().or_else(|| all.get(&(*tuple, None))).copied()
    }

    /// Gives a flow to `id`, of what comes in on one interface alone if that is given.
    pub(crate) fn insert_flow(
        &mut self,
        tuple: Tuple,
        on: Option<InterfaceId>,
        id: UdpId,
    ) -> Result<(), InUse> {
        match self.flows.all.entry((tuple, on)) {
            Entry::Occupied(_) => Err(InUse),
            Entry::Vacant(vacant) => {
                vacant.insert(id);
                self.flows.of_one += usize::from(on.is_some());
                Ok(())
            }
        }
    }

    /// Gives a flow up.
    pub(crate) fn remove_flow(&mut self, tuple: &Tuple, on: Option<InterfaceId>) -> Option<UdpId> {
        let had = self.flows.all.remove(&(*tuple, on))?;
        self.flows.of_one -= usize::from(on.is_some());
        Some(had)
    }

    /// Who takes what comes in on `on` of this flow: who has it, or is bound to its local end and has no other. Of those that
    /// share the port by flows, one that nobody can choose (a keyed hash), the same as long as they are the same.
    pub(crate) fn taker(&self, on: InterfaceId, tuple: &Tuple) -> Option<UdpId> {
        let flow = self.flow(on, tuple);
        flow.or_else(|| {
            let at = (tuple.local.ip, tuple.local.port);
            let (port, claim) = self.claim(on, at, |claim| !claim.connected)?;
            Some(self.one_of(port, claim, tuple))
        })
    }

    /// Who sent what is quoted of this flow: who would take the answer, else one that has another flow, for it may send to
    /// anybody.
    pub(crate) fn sender(&self, on: InterfaceId, tuple: &Tuple) -> Option<UdpId> {
        let taker = self.taker(on, tuple);
        taker.or_else(|| self.bound(on, tuple.local.ip, tuple.local.port))
    }

    /// What `owner` is bound to takes its flow alone from now on.
    pub(crate) fn set_connected(&mut self, local: SocketAddr, owner: UdpId) {
        if let Some(claims) = self.ports.get_mut(&local.port()) {
            claims.set_connected(local, owner);
        }
    }
}

impl Table<TcpFlows, ListenerId> {
    /// Who listens for a flow that comes in on `on` and is nobody's yet: of those that share the port, one for each flow, as
    /// UDP's sockets do.
    pub(crate) fn listener(&self, on: InterfaceId, tuple: &Tuple) -> Option<ListenerId> {
        let at = (tuple.local.ip, tuple.local.port);
        let (port, claim) = self.claim(on, at, |_| true)?;
        Some(self.one_of(port, claim, tuple))
    }

    /// Gives up a flow of `entry`'s.
    pub(crate) fn remove_flow(&mut self, tuple: &Tuple, entry: TcpEntry) {
        self.flows.remove(tuple, entry);
        self.taken.released(tuple.local.port);
    }
}

impl<F, B: Copy + PartialEq> Table<F, B> {
    fn new(flows: F, state: KeyedState) -> Self {
        Self {
            flows,
            ports: HashMap::with_hasher(state),
            taken: Taken::default(),
        }
    }

    /// Is anybody bound to this port, of whatever address?
    pub(crate) fn is_claimed(&self, port: u16) -> bool {
        self.ports.contains_key(&port)
    }

    /// An ephemeral port for a socket that is bound to `local` but for its port, and that nobody else has (`others`).
    pub(crate) fn free_port(
        &mut self,
        ports: &mut EphemeralPorts,
        (local, zone, dual_stack): (SocketAddr, u32, bool),
        others: impl Fn(SocketAddr) -> bool,
    ) -> Option<NonZeroU16> {
        let (claims, _) = claims_of(local, zone, dual_stack);
        self.search(|table, taken| {
            let at = |port: NonZeroU16| SocketAddr::new(local.ip(), port.get());
            ports.for_socket(claims, taken, |port| {
                table.is_free(at(port), zone, dual_stack) && !others(at(port))
            })
        })
    }

    /// Searches for a free port, with what earlier searches found.
    pub(crate) fn search<R>(&mut self, search: impl FnOnce(&Self, &mut Taken<Seeker>) -> R) -> R {
        let mut taken = core::mem::take(&mut self.taken);
        let found = search(self, &mut taken);
        self.taken = taken;
        found
    }

    /// Who is bound to this local endpoint: by address and port, else by port, else to every port?
    pub(crate) fn bound(&self, on: InterfaceId, ip: IpAddr, port: u16) -> Option<B> {
        let claim = self.claim(on, (ip, port), |_| true);
        claim.map(|(_, claim)| claim.owner)
    }

    /// Whose of those that share a claim by flows this flow is: one that nobody can choose.
    #[inline]
    fn one_of(&self, port: u16, claim: &Claim<B>, tuple: &Tuple) -> B {
        match claim.shared.port {
            true => self.chosen(port, claim, tuple),
            false => claim.owner,
        }
    }

    #[cold]
    fn chosen(&self, port: u16, claim: &Claim<B>, tuple: &Tuple) -> B {
        let Some(claims) = self.ports.get(&port) else {
            return claim.owner;
        };
        let mut alike = claims.alike(claim);
        let count = alike.clone().count().max(1) as u64;
        let chosen = self.ports.hasher().hash_one(tuple) % count;
        let chosen = alike.nth(usize::try_from(chosen).unwrap_or(0));
        chosen.map_or(claim.owner, |chosen| chosen.owner)
    }

    /// Is anybody bound to this very port, of this address or of all?
    pub(crate) fn has_own(&self, on: InterfaceId, ip: IpAddr, port: u16) -> bool {
        self.claim_at(on, (ip, port), |_| true).is_some()
    }

    /// The claim, and the port that it is of.
    fn claim(
        &self,
        on: InterfaceId,
        (ip, port): (IpAddr, u16),
        counts: impl Fn(&Claim<B>) -> bool,
    ) -> Option<(u16, &Claim<B>)> {
        let own = self.claim_at(on, (ip, port), &counts);
        own.map(|claim| (port, claim)).or_else(|| {
            let any = self.claim_at(on, (ip, ANY_PORT), counts);
            any.map(|claim| (ANY_PORT, claim))
        })
    }

    fn claim_at(
        &self,
        on: InterfaceId,
        (ip, port): (IpAddr, u16),
        counts: impl Fn(&Claim<B>) -> bool,
    ) -> Option<&Claim<B>> {
        self.ports.get(&port)?.taker(on, ip, counts)
    }

    /// All that take what comes to this group or broadcast address, each time in the same order.
    pub(crate) fn sharing(
        &self,
        on: InterfaceId,
        ip: IpAddr,
        port: u16,
    ) -> impl Iterator<Item = B> + '_ {
        let claims = self.ports.get(&port).into_iter();
        claims.flat_map(move |claims| claims.sharing(on, ip))
    }

    /// Is nobody bound to this port on an address that `local` covers?
    pub(crate) fn is_free(&self, local: SocketAddr, zone: u32, dual_stack: bool) -> bool {
        let (claims, count) = claims_of(local, zone, dual_stack);
        let others = self.ports.get(&local.port());
        let alone = (Sharing::default(), None);
        others.is_none_or(|others| others.refusal(&claims[..count], alone).is_none())
    }

    /// Binds `owner` to an endpoint.
    #[cfg(test)]
    fn bind(
        &mut self,
        local: SocketAddr,
        zone: u32,
        dual_stack: bool,
        owner: B,
    ) -> Result<(), InUse> {
        let alone = (Sharing::default(), None);
        let local = super::endpoint::with_scope(local, zone);
        let bound = self.bind_as((local, zone, dual_stack), owner, alone);
        self.ports.values().for_each(Claims::check);
        bound.map_err(|_| InUse)
    }

    /// The same; `shared` with others who agree to that, and of one interface alone, if that is given.
    pub(crate) fn bind_as(
        &mut self,
        (local, zone, dual_stack): (SocketAddr, u32, bool),
        owner: B,
        (shared, on): (Sharing, Option<InterfaceId>),
    ) -> Result<(), Refused> {
        let (claims, count) = claims_of(local, zone, dual_stack);
        let owners = self.ports.entry(local.port()).or_default();
        if let Some(refused) = owners.refusal(&claims[..count], (shared, on)) {
            return Err(refused);
        }
        for &bound in &claims[..count] {
            owners.add(bound, owner, (shared, on));
        }
        Ok(())
    }

    /// Gives up what `owner` is bound to.
    pub(crate) fn unbind(&mut self, local: SocketAddr, owner: B) {
        let port = local.port();
        self.taken.released(port);
        if let Some(owners) = self.ports.get_mut(&port) {
            owners.remove(local, owner);
            if owners.is_empty() {
                self.ports.remove(&port);
            }
        }
    }
}

impl UdpFlows {
    fn new(state: KeyedState) -> Self {
        Self {
            all: HashMap::with_hasher(state),
            of_one: 0,
        }
    }
}

/// All claims of one stack.
#[derive(Debug)]
pub(crate) struct Demux {
    pub(crate) tcp: Table<TcpFlows, ListenerId>,
    pub(crate) udp: Table<UdpFlows, UdpId>,
}

impl Demux {
    pub(crate) fn new(seed: &Seed) -> Self {
        let state = KeyedState::new(seed.key("demux"));
        Self {
            tcp: Table::new(TcpFlows::new(state.clone()), state.clone()),
            udp: Table::new(UdpFlows::new(state.clone()), state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::endpoint::with_scope;
    use crate::stack::ids::{Id, RawId};
    use crate::stack::tuple::is_link_local;

    fn udp(index: u32) -> UdpId {
        UdpId::from_raw(RawId {
            index,
            generation: 0,
        })
    }

    fn table() -> Table<UdpFlows, UdpId> {
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
            table.unbind(at(first), udp(1));
            table.unbind(at(second), udp(2));
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
        let on = InterfaceId::from_index(0);
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        let tuple = Tuple::new(on, (ip, 1), (ip, 2));
        let mut udp_table = table();
        assert_eq!(udp_table.insert_flow(tuple, None, udp(1)), Ok(()));
        assert_eq!(udp_table.insert_flow(tuple, None, udp(2)), Err(InUse));
        assert_eq!(udp_table.flow(on, &tuple), Some(udp(1)));
        // One of an interface alone is another's.
        let other = InterfaceId::from_index(1);
        let own = udp_table.insert_flow(tuple, Some(other), udp(3));
        assert_eq!(own, Ok(()));
        assert_eq!(udp_table.flow(on, &tuple), Some(udp(1)));
        assert_eq!(udp_table.flow(other, &tuple), Some(udp(3)));
        assert_eq!(udp_table.remove_flow(&tuple, Some(other)), Some(udp(3)));
        assert_eq!(udp_table.flow(other, &tuple), Some(udp(1)));
        assert_eq!(udp_table.remove_flow(&tuple, None), Some(udp(1)));
        assert_eq!(udp_table.flow(on, &tuple), None);

        let mut tcp = Demux::new(&Seed::from_number(1)).tcp;
        let (half, whole) = (TcpEntry::HalfOpen(9), TcpEntry::Connection(1 << 29));
        assert_eq!(tcp.flows.insert(&tuple, half), Ok(()));
        assert_eq!(tcp.flows.insert(&tuple, whole), Err(InUse));
        tcp.flows.replace(&tuple, half, whole);
        assert_eq!(tcp.flows.candidate(&tuple), Some(whole));
        tcp.remove_flow(&tuple, TcpEntry::TimeWait(0));
        assert_eq!(tcp.flows.candidate(&tuple), Some(whole), "another's");
        tcp.remove_flow(&tuple, whole);
        assert_eq!(tcp.flows.candidate(&tuple), None);
    }

    /// A port that is bound at each of 20,000 addresses: nothing that is done there looks at the others, or this would not end. (Bound
    /// and looked up one by one among all of them, it takes half an hour.)
    #[test]
    fn a_port_of_many_addresses_costs_no_more_than_one() {
        let mut table = table();
        let on = InterfaceId::from_index(0);
        let alone = (Sharing::default(), None);
        let place = |n: u32| {
            let [_, a, b, c] = n.to_be_bytes();
            SocketAddr::from(([10, a, b, c], 53))
        };
        for n in 0..20_000 {
            let bound = table.bind_as((place(n), 0, false), udp(n), alone);
            assert_eq!(bound, Ok(()));
            let refused = table.bind_as((place(n / 2), 0, false), udp(n), alone);
            assert_eq!(refused, Err(Refused::InUse));
            assert!(!table.is_free(at("0.0.0.0:53"), 0, false));
        }
        for _ in 0..20 {
            for n in 0..20_001 {
                let taker = (n < 20_000).then(|| udp(n));
                assert_eq!(table.bound(on, place(n).ip(), 53), taker);
            }
        }
        for n in 0..20_000 {
            table.unbind(place(n), udp(n));
        }
        assert!(table.ports.is_empty());
    }

    /// A socket as a plain list holds it.
    struct Socket {
        owner: UdpId,
        local: SocketAddr,
        zone: u32,
        dual_stack: bool,
    }

    impl Socket {
        /// Does it take packets to this address that come in on this interface?
        fn takes(&self, on: InterfaceId, to: SocketAddr) -> bool {
            let address = match self.local.ip() {
                ip if !ip.is_unspecified() => {
                    ip == to.ip() && (!is_link_local(ip) || self.zone == on.scope())
                }
                IpAddr::V4(_) => to.is_ipv4(),
                IpAddr::V6(_) => to.is_ipv6() || self.dual_stack,
            };
            address && self.local.port() == to.port()
        }
    }

    const LOCALS: [&str; 6] = [
        "10.0.0.1",
        "10.0.0.2",
        "0.0.0.0",
        "[::]",
        "[fd00::1]",
        "[fe80::1]",
    ];

    proptest::proptest! {
        /// r56: two sockets that take one packet are refused, and no others; each packet finds the one
        /// that takes it.
        #[test]
        fn r56_equals_a_plain_list_of_sockets(
            ops in proptest::collection::vec(
                (0..6usize, 7..9u16, 1..3u32, proptest::bool::ANY, proptest::bool::ANY), 1..40),
        ) {
            let mut table = table();
            let mut sockets: Vec<Socket> = vec![];
            let interfaces = [0, 1].map(InterfaceId::from_index);
            let packets: Vec<_> = interfaces.iter()
                .flat_map(|&on| LOCALS.iter().map(move |ip| (on, ip)))
                .flat_map(|(on, ip)| [7, 8].map(|port| (on, at(&format!("{ip}:{port}")))))
                .filter(|(_, to)| !to.ip().is_unspecified())
                .collect();
            for (n, (ip, port, zone, dual_stack, opens)) in ops.into_iter().enumerate() {
                let local = at(&format!("{}:{port}", LOCALS[ip]));
                if !opens && !sockets.is_empty() {
                    let gone = sockets.swap_remove(ip % sockets.len());
                    table.unbind(with_scope(gone.local, gone.zone), gone.owner);
                } else {
                    let owner = udp(u32::try_from(n).unwrap());
                    let new = Socket { owner, local, zone, dual_stack };
                    let both = |(on, to): &(InterfaceId, SocketAddr)| {
                        new.takes(*on, *to) && sockets.iter().any(|old| old.takes(*on, *to))
                    };
                    let free = !packets.iter().any(both);
                    proptest::prop_assert_eq!(table.is_free(local, zone, dual_stack), free);
                    let bound = table.bind(local, zone, dual_stack, owner);
                    proptest::prop_assert_eq!(bound.is_ok(), free);
                    if free {
                        sockets.push(new);
                    }
                }
                for &(on, to) in &packets {
                    let taker = sockets.iter().find(|socket| socket.takes(on, to));
                    let found = table.bound(on, to.ip(), to.port());
                    proptest::prop_assert_eq!(found, taker.map(|socket| socket.owner));
                }
            }
            for socket in sockets {
                table.unbind(with_scope(socket.local, socket.zone), socket.owner);
            }
            proptest::prop_assert!(table.ports.is_empty(), "ports of nobody");
        }

        /// Flows of TCP beside a map of whole tuples.
        #[test]
        fn equals_a_plain_map_of_flows(
            ops in proptest::collection::vec((0..3u8, 0..12u16, 0..4u32, 0..4u32), 1..80),
        ) {
            let mut tcp = Demux::new(&Seed::from_number(1)).tcp;
            let mut model: HashMap<u16, TcpEntry> = HashMap::new();
            let ip: IpAddr = "10.0.0.1".parse().unwrap();
            let tuple = |n: u16| {
                Tuple::new(InterfaceId::from_index(0), (ip, n % 3 + 1), (ip, n / 3 + 1))
            };
            let kinds = [
                TcpEntry::Connection, TcpEntry::HalfOpen, TcpEntry::TimeWait, TcpEntry::FinWait,
            ];
            for (op, flow, kind, slot) in ops {
                let entry = kinds[kind as usize](slot);
                match op {
                    0 => {
                        let fits = tcp.flows.insert(&tuple(flow), entry).is_ok();
                        proptest::prop_assert_eq!(fits, !model.contains_key(&flow));
                        model.entry(flow).or_insert(entry);
                    }
                    1 => {
                        tcp.remove_flow(&tuple(flow), entry);
                        if model.get(&flow) == Some(&entry) {
                            model.remove(&flow);
                        }
                    }
                    _ => {
                        if let Some(old) = model.get_mut(&flow) {
                            tcp.flows.replace(&tuple(flow), *old, entry);
                            *old = entry;
                        }
                    }
                }
                for flow in 0..12 {
                    let candidate = tcp.flows.candidate(&tuple(flow));
                    proptest::prop_assert_eq!(candidate, model.get(&flow).copied());
                }
            }
        }
    }
}
