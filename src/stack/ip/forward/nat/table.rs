//! Who has which port outside, and with whom it speaks.
//!
//! RFC 4787 §4, §5; RFC 5382 §4, §5; RFC 5508 §3; RFC 6888 REQ-5 (shares). *Owns* mappings, sessions, their bounds and ends. *Does not* know
//! packets. Invariants: a mapping that is not fixed has a session; only what leaves makes any; who comes in makes none and keeps none but an
//! established connection; a packet costs look-ups by keyed hashes, and, where a session begins or ends, steps in an ordered list.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::ops::RangeInclusive;
use std::collections::{BTreeSet, HashMap};

use super::options::{NatFilter, NatOptions};
use super::ports::Ports;
use super::session::{Lives, Phase, Session, Way, resets};
use crate::base::{DropReason, Instant, KeyedState, Protocol, Random, Seed};
use crate::stack::ids::{RawId, Slab};

/// Sessions that are looked at to find one that gives way.
const LOOKS: usize = 8;

/// What a port belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::stack) enum Kind {
    Tcp,
    Udp,
    /// The identifiers of ICMP queries.
    Query,
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    kind: Kind,
    inside: SocketAddrV4,
    port: u16,
    sessions: usize,
    /// Given by the configuration: it has no sessions, and does not end.
    fixed: bool,
}

/// A packet as a session sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) kind: Kind,
    pub(super) src: SocketAddrV4,
    pub(super) dst: SocketAddrV4,
    /// TCP's flags.
    pub(super) flags: u8,
}

/// The translation of one interface.
#[derive(Debug)]
pub(in crate::stack) struct Nat {
    filter: NatFilter,
    most: usize,
    share: usize,
    lives: Lives,
    /// The address of all mappings but the fixed ones.
    outside: Option<Ipv4Addr>,
    ports: Ports,
    mappings: Slab<RawId, Mapping>,
    by_inside: HashMap<(Kind, SocketAddrV4), u32, KeyedState>,
    by_port: HashMap<(Kind, u16), u32, KeyedState>,
    sessions: Slab<RawId, Session>,
    by_remote: HashMap<(u32, SocketAddrV4), u32, KeyedState>,
    /// Connections of a mapping with each address.
    peers: HashMap<(u32, Ipv4Addr), usize, KeyedState>,
    hosts: HashMap<Ipv4Addr, usize, KeyedState>,
    /// By phase and deadline, which may have become later; that of a phase is as far from the last packet for all.
    order: BTreeSet<(Phase, Instant, u32)>,
    /// The same for each inside host.
    order_of_hosts: BTreeSet<(Ipv4Addr, Phase, Instant, u32)>,
    /// Established connections of each host that has any, and the hosts by how many.
    established: HashMap<Ipv4Addr, usize, KeyedState>,
    by_established: BTreeSet<(usize, Ipv4Addr)>,
    /// Is there an earlier deadline than was told?
    pub(super) sooner: bool,
}

impl Nat {
    pub(super) fn new(options: &NatOptions, own_ports: RangeInclusive<u16>, seed: &Seed) -> Self {
        let state = KeyedState::new(seed.key("nat"));
        let mut nat = Self {
            filter: options.filter,
            most: options.sessions,
            share: options.share(),
            lives: options.lives,
            outside: None,
            ports: Ports::new(own_ports, Random::new(seed.key("nat ports"))),
            mappings: Slab::new(),
            by_inside: HashMap::with_hasher(state.clone()),
            by_port: HashMap::with_hasher(state.clone()),
            sessions: Slab::new(),
            by_remote: HashMap::with_hasher(state.clone()),
            peers: HashMap::with_hasher(state.clone()),
            hosts: HashMap::with_hasher(state.clone()),
            order: BTreeSet::new(),
            order_of_hosts: BTreeSet::new(),
            established: HashMap::with_hasher(state),
            by_established: BTreeSet::new(),
            sooner: false,
        };
        for forward in &options.forwards {
            let kind = match forward.protocol {
                Protocol::UDP => Kind::Udp,
                _ => Kind::Tcp,
            };
            nat.enter(kind, forward.inside, forward.port, true);
        }
        nat
    }

    pub(in crate::stack) const fn outside(&self) -> Option<Ipv4Addr> {
        self.outside
    }

    pub(super) const fn set_outside(&mut self, own: Ipv4Addr) {
        self.outside = Some(own);
    }

    /// Mappings, fixed ones too, and sessions.
    pub(in crate::stack) const fn held(&self) -> (usize, usize) {
        (self.mappings.len(), self.sessions.len())
    }

    /// Is no host on the books for a connection?
    #[cfg(test)]
    pub(super) fn counts_nobody(&self) -> bool {
        self.established.is_empty() && self.by_established.is_empty() && self.hosts.is_empty()
    }

    /// The outside address is gone: all that was mapped to it ends.
    pub(super) fn forget_all(&mut self) {
        self.outside = None;
        self.sessions = Slab::new();
        self.by_remote.clear();
        self.peers.clear();
        self.hosts.clear();
        self.order.clear();
        self.order_of_hosts.clear();
        self.established.clear();
        self.by_established.clear();
        let all = self.mappings.iter();
        let ids: Vec<RawId> = all.filter(|(_, m)| !m.fixed).map(|(id, _)| id).collect();
        for id in ids {
            self.unmap(id);
        }
    }

    /// Has an inside host this port outside?
    pub(in crate::stack) fn is_mapped(&self, kind: Kind, port: u16) -> bool {
        self.by_port.contains_key(&(kind, port))
    }

    /// Might an inside host get this port?
    pub(super) fn may_map(&self, port: u16) -> bool {
        self.ports.may_be_given(port)
    }

    /// Whose port it is.
    pub(super) fn inside_of(&self, kind: Kind, port: u16) -> Option<SocketAddrV4> {
        let index = *self.by_port.get(&(kind, port))?;
        self.mappings.at(index).map(|(_, mapping)| mapping.inside)
    }

    /// Its port outside.
    pub(super) fn port_of(&self, kind: Kind, inside: SocketAddrV4) -> Option<u16> {
        let index = *self.by_inside.get(&(kind, inside))?;
        self.mappings.at(index).map(|(_, mapping)| mapping.port)
    }

    /// Does this port outside speak with this remote end (RFC 5508 REQ-4, RFC 5927)? Nothing is refreshed.
    pub(super) fn knows(&self, kind: Kind, port: u16, remote: SocketAddrV4) -> bool {
        let index = self.by_port.get(&(kind, port));
        let mapping = index.and_then(|&index| self.mappings.at(index));
        mapping.is_some_and(|(id, mapping)| {
            let key = (id.index, self.key(kind, remote));
            mapping.fixed || self.by_remote.contains_key(&key)
        })
    }

    /// A packet leaves: its port outside. What is `taken` is not given to it.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        said: &Said,
        taken: impl Fn(Kind, u16) -> bool,
    ) -> Result<u16, DropReason> {
        let known = self.by_inside.get(&(said.kind, said.src)).copied();
        let found = known.and_then(|index| self.mappings.at(index));
        if let Some((_, mapping)) = found.filter(|(_, mapping)| mapping.fixed) {
            return Ok(mapping.port);
        }
        let remote = self.key(said.kind, said.dst);
        let session = known.and_then(|index| self.by_remote.get(&(index, remote)).copied());
        if let (Some((_, mapping)), Some(session)) = (found, session) {
            let port = mapping.port;
            self.touch(now, session, Way::Out, said.flags);
            return Ok(port);
        }
        if said.kind == Kind::Tcp && resets(said.flags) {
            // RFC 7857 §2.2, §7.1: it opens nothing, and keeps nothing open.
            return found
                .map(|(_, mapping)| mapping.port)
                .ok_or(DropReason::NatUnsolicited);
        }
        self.make_room(*said.src.ip())?;
        // Who gave way may have been the last of this mapping.
        let known = self.by_inside.get(&(said.kind, said.src)).copied();
        let index = match known {
            Some(index) => index,
            None => {
                let port = self.draw(said, |port| taken(said.kind, port))?;
                self.enter(said.kind, said.src, port, false)
            }
        };
        self.begin(now, index, remote, said);
        let mapping = self.mappings.at(index);
        mapping
            .map(|(_, mapping)| mapping.port)
            .ok_or(DropReason::NatFull)
    }

    /// A packet comes for a port outside that is mapped.
    pub(super) fn admit(&mut self, now: Instant, said: &Said) -> Result<(), DropReason> {
        let refused = DropReason::NatUnsolicited;
        let index = self.by_port.get(&(said.kind, said.dst.port()));
        let mapping = index.and_then(|&index| self.mappings.at(index));
        let (id, mapping) = mapping.ok_or(refused)?;
        if mapping.fixed {
            return Ok(());
        }
        let remote = self.key(said.kind, said.src);
        if let Some(&session) = self.by_remote.get(&(id.index, remote)) {
            self.touch(now, session, Way::In, said.flags);
            return Ok(());
        }
        // A query is filtered as UDP is (RFC 4787 §5): who answers is who was asked.
        let peer = self.peers.contains_key(&(id.index, *said.src.ip()));
        let lets = self.filter == NatFilter::Open || said.kind == Kind::Tcp && peer;
        lets.then_some(()).ok_or(refused)
    }

    /// How a session is told from others of its mapping.
    fn key(&self, kind: Kind, remote: SocketAddrV4) -> SocketAddrV4 {
        match kind {
            Kind::Tcp => remote,
            // Anybody may answer: nobody is remembered.
            _ if self.filter == NatFilter::Open => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
            _ => SocketAddrV4::new(*remote.ip(), 0),
        }
    }

    fn enter(&mut self, kind: Kind, inside: SocketAddrV4, port: u16, fixed: bool) -> u32 {
        let id = self.mappings.insert(Mapping {
            kind,
            inside,
            port,
            sessions: 0,
            fixed,
        });
        self.by_inside.insert((kind, inside), id.index);
        self.by_port.insert((kind, port), id.index);
        self.ports.set(kind, port, true);
        id.index
    }

    fn begin(&mut self, now: Instant, mapping: u32, remote: SocketAddrV4, said: &Said) {
        let host = *said.src.ip();
        let session = Session::new(now, mapping, host, remote, said, &self.lives);
        let Some((_, of)) = self.mappings.at_mut(mapping) else {
            return;
        };
        of.sessions += 1;
        let (phase, until) = (session.phase, session.until);
        let id = self.sessions.insert(session);
        self.by_remote.insert((mapping, remote), id.index);
        *self.hosts.entry(host).or_default() += 1;
        if said.kind == Kind::Tcp {
            *self.peers.entry((mapping, *remote.ip())).or_default() += 1;
        }
        self.line_up(host, phase, until, id.index);
    }

    fn line_up(&mut self, host: Ipv4Addr, phase: Phase, until: Instant, index: u32) {
        self.sooner |= self.deadline().is_none_or(|due| until < due);
        self.order.insert((phase, until, index));
        self.order_of_hosts.insert((host, phase, until, index));
        if phase == Phase::Established {
            self.count_established(host, |count| count + 1);
        }
    }

    fn step_out(&mut self, session: &Session, index: u32) {
        let Session {
            host,
            queued: (phase, until),
            ..
        } = *session;
        self.order.remove(&(phase, until, index));
        self.order_of_hosts.remove(&(host, phase, until, index));
        if phase == Phase::Established {
            self.count_established(host, |count| count.saturating_sub(1));
        }
    }

    fn count_established(&mut self, host: Ipv4Addr, new: impl FnOnce(usize) -> usize) {
        let before = self.established.get(&host).copied().unwrap_or_default();
        self.by_established.remove(&(before, host));
        match new(before) {
            0 => drop(self.established.remove(&host)),
            count => {
                self.established.insert(host, count);
                self.by_established.insert((count, host));
            }
        }
    }

    /// A packet of a session: how long it lives on. Its place in the order is corrected when that comes up, if it got no other phase.
    fn touch(&mut self, now: Instant, index: u32, way: Way, flags: u8) {
        let Some((_, session)) = self.sessions.at_mut(index) else {
            return;
        };
        session.on_packet(now, way, flags, &self.lives);
        if session.phase != session.queued.0 {
            self.place_anew(index);
        }
    }

    fn place_anew(&mut self, index: u32) {
        let Some((_, session)) = self.sessions.at_mut(index) else {
            return;
        };
        let before = session.clone();
        session.queued = (session.phase, session.until);
        let (host, phase, until) = (session.host, session.phase, session.until);
        self.step_out(&before, index);
        self.line_up(host, phase, until, index);
    }

    /// Room for one more session of this host.
    fn make_room(&mut self, host: Ipv4Addr) -> Result<(), DropReason> {
        let own = self.hosts.get(&host).copied().unwrap_or_default();
        let crowded = own >= self.share;
        if !crowded && self.sessions.len() < self.most {
            return Ok(());
        }
        if crowded {
            return self.give_way(Some(host), &Phase::GIVING);
        }
        let given = self.give_way(None, &Phase::GIVING);
        given.or_else(|_| self.level(host))
    }

    /// All is held by established connections: one of the host that has most of them gives way to one that has fewer, so that some hosts with
    /// friends outside do not keep all others out.
    fn level(&mut self, host: Ipv4Addr) -> Result<(), DropReason> {
        let own = self.established.get(&host).copied().unwrap_or_default();
        let most = self.by_established.last().copied();
        let most = most.filter(|&(count, _)| count > own + 1);
        let (_, largest) = most.ok_or(DropReason::NatFull)?;
        self.give_way(Some(largest), &[Phase::Established])
    }

    /// A port for one more mapping: there are fewer of them than sessions, and who has all of them for minutes keeps all others out.
    fn draw(&mut self, said: &Said, taken: impl Fn(u16) -> bool) -> Result<u16, DropReason> {
        for _ in 0..LOOKS {
            let port = self.ports.draw(said.kind, said.src.port(), &taken);
            if let Some(port) = port {
                return Ok(port);
            }
            let given = self.give_way(None, Phase::giving(said.kind));
            match said.kind {
                Kind::Tcp => given.or_else(|_| self.level(*said.src.ip()))?,
                Kind::Udp | Kind::Query => given?,
            }
        }
        Err(DropReason::NatFull)
    }

    /// Ends one session, of a host or of all, that is in one of these phases: the one that is silent longest of those looked at.
    fn give_way(&mut self, host: Option<Ipv4Addr>, phases: &[Phase]) -> Result<(), DropReason> {
        for look in 1..=LOOKS {
            let silent = phases.iter().filter_map(|&phase| {
                let (queued, index) = self.first(host, phase)?;
                Some((phase.ends_with_all(queued, &self.lives), queued, index))
            });
            let (_, queued, index) = silent.min().ok_or(DropReason::NatFull)?;
            let until = self.sessions.at(index).map(|(_, session)| session.until);
            if look < LOOKS && until.is_some_and(|until| until > queued) {
                self.place_anew(index);
            } else {
                self.end(index);
                break;
            }
        }
        Ok(())
    }

    /// The session of a phase that ends first, of a host or of all.
    fn first(&self, host: Option<Ipv4Addr>, phase: Phase) -> Option<(Instant, u32)> {
        let Some(host) = host else {
            let first = self.order.range((phase, Instant::ZERO, 0)..).next();
            let first = first.filter(|(of, ..)| *of == phase);
            return first.map(|&(_, queued, index)| (queued, index));
        };
        let from = (host, phase, Instant::ZERO, 0);
        let first = self.order_of_hosts.range(from..).next();
        let first = first.filter(|(whose, of, ..)| (*whose, *of) == (host, phase));
        first.map(|&(_, _, queued, index)| (queued, index))
    }

    fn end(&mut self, index: u32) {
        let Some(id) = self.sessions.id_at(index) else {
            return;
        };
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        self.step_out(&session, index);
        self.by_remote.remove(&(session.mapping, session.remote));
        less(&mut self.hosts, session.host);
        less(&mut self.peers, (session.mapping, *session.remote.ip()));
        let Some((id, mapping)) = self.mappings.at_mut(session.mapping) else {
            return;
        };
        mapping.sessions -= 1;
        if mapping.sessions == 0 && !mapping.fixed {
            self.unmap(id);
        }
    }

    fn unmap(&mut self, id: RawId) {
        if let Some(Mapping {
            kind, inside, port, ..
        }) = self.mappings.remove(id)
        {
            self.by_inside.remove(&(kind, inside));
            self.by_port.remove(&(kind, port));
            self.ports.set(kind, port, false);
        }
    }

    /// When the next session may end.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let first = |phase| self.first(None, phase).map(|(until, _)| until);
        Phase::ALL.into_iter().filter_map(first).min()
    }

    /// Ends those whose time is over.
    pub(super) fn expire(&mut self, now: Instant, steps: &mut usize) {
        while *steps > 0 {
            let due = Phase::ALL.into_iter().find_map(|phase| {
                let (until, index) = self.first(None, phase)?;
                (until <= now).then_some(index)
            });
            let Some(index) = due else { return };
            *steps -= 1;
            let until = self.sessions.at(index).map(|(_, session)| session.until);
            if until.is_some_and(|until| until > now) {
                self.place_anew(index);
            } else {
                self.end(index);
            }
        }
    }
}

/// One less; the last takes the entry with it.
fn less<K: core::hash::Hash + Eq>(counts: &mut HashMap<K, usize, KeyedState>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
