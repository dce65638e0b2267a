//! The network: its parts, its clock, and the order of what happens.
//!
//! *Owns* nodes, wires, the agenda, the hash of the trace. *Does not* decide what a wire does to a
//! frame (the wire) or what a host says (its stack and applications).
//! Invariants: time never runs back; at equal times changes come first, then wires, then nodes, then
//! samples, each in the order in which they were added; nothing but the seed and the calls decide.

use core::any::Any;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use super::agenda::{Agenda, Who};
use super::app::{App, AppId};
use super::config::{HostConfig, PortConfig};
use super::cx::Cx;

use super::error::SimError;
use super::host::Host;
use super::link::{Cable, LinkConfig, LinkId, WireId};
use super::node::{Kind, Node};
use super::relay::RelayId;
use super::router::RouterPort;
use super::switch::Switch;
use super::tap::LinkTap;
use super::trace::Trace;
use crate::base::{Digest, Instant, Random, Seed};
use crate::capture::Direction;
use crate::device::Medium;
use crate::stack::{InterfaceId, Stack};

/// What may happen at one instant, turns and frames that arrive: a gigabyte over a link that takes no time.
const MOST_AT_ONCE: u32 = 1_000_000;

/// A host of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(super) usize);

impl HostId {
    /// One end of a link: a new port of this host.
    pub fn port(self, config: PortConfig) -> End {
        End(EndKind::Host(self, Box::new(config)))
    }
}

/// A switch of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwitchId(usize);

impl SwitchId {
    /// One end of a link: a new port of this switch.
    pub const fn port(self) -> End {
        End(EndKind::Switch(self))
    }
}

/// A router of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub(super) usize);

impl RouterId {
    /// One end of a link: a new port of this router.
    pub const fn port(self, config: RouterPort) -> End {
        End(EndKind::Router(self, config))
    }
}

/// One end of a link that is to be.
#[derive(Debug)]
#[must_use]
pub struct End(pub(super) EndKind);

#[derive(Debug)]
pub(super) enum EndKind {
    Host(HostId, Box<PortConfig>),
    Relay(RelayId),
    Switch(SwitchId),
    Router(RouterId, RouterPort),
}

type Change = Box<dyn FnOnce(&mut Network)>;

/// Hosts, links and one clock that jumps from one thing that happens to the next.
///
/// Hosts are real [`Stack`]s. The same calls and the same seed give the same run, to the bit, on every
/// machine: [`trace_hash`](Self::trace_hash) tells.
///
/// Ids are those that this network gave; one of another network is a panic or another part.
pub struct Network {
    pub(super) now: Instant,
    seed: Seed,
    pub(super) agenda: Agenda,
    pub(super) nodes: Vec<Node>,
    /// By node and port: the wire that leads away from it; `None` for a port whose link came to nothing.
    away: Vec<Vec<Option<usize>>>,
    pub(super) cables: Vec<Cable>,
    /// By link.
    pub(super) taps: Vec<Option<LinkTap>>,
    pub(super) traces: Vec<Trace>,
    changes: BTreeMap<(Instant, u64), Change>,
    asked: u64,
    digest: Digest,
    frames: u64,
    /// What has happened at this instant, and what may.
    at_once: u32,
    most_at_once: u32,
}

impl Network {
    /// An empty network at [`Instant::ZERO`]. Everything in it that is left to chance comes of `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            seed: Seed::from_number(seed),
            agenda: Agenda::default(),
            nodes: Vec::new(),
            away: Vec::new(),
            cables: Vec::new(),
            taps: Vec::new(),
            traces: Vec::new(),
            changes: BTreeMap::new(),
            asked: 0,
            digest: Digest::new(),
            frames: 0,
            at_once: 0,
            most_at_once: MOST_AT_ONCE,
        }
    }

    // --- building ---------------------------------------------------------------------------------

    /// Adds a host; a name is enough of a configuration.
    pub fn add_host(&mut self, config: impl Into<HostConfig>) -> HostId {
        let config = config.into();
        let name = config.name.clone();
        let seed = self.seed_of("host", self.nodes.len());
        let host = Host::new(&seed, config);
        HostId(self.add_node(name, Kind::Host(Box::new(host))))
    }

    /// Adds an Ethernet switch, which learns where stations are.
    pub fn add_switch(&mut self, name: impl Into<String>) -> SwitchId {
        SwitchId(self.add_node(name.into(), Kind::Switch(Switch::default())))
    }

    pub(super) fn add_node(&mut self, name: String, kind: Kind) -> usize {
        self.nodes.push(Node { name, kind });
        self.away.push(Vec::new());
        self.nodes.len() - 1
    }

    /// Joins two ends with a link.
    ///
    /// # Errors
    /// [`SimError::Port`] when a port's settings cannot work, [`SimError::Mediums`] when the ends'
    /// frames differ. The link is not there then; a port may be.
    pub fn link(
        &mut self,
        a: End,
        b: End,
        config: impl Into<LinkConfig>,
    ) -> Result<LinkId, SimError> {
        let (medium_a, medium_b) = (a.medium(), b.medium());
        if medium_a != medium_b {
            return Err(SimError::Mediums(medium_a, medium_b));
        }
        let LinkConfig { forth, back } = config.into();
        let a = self.attach(a)?;
        let b = self.attach(b)?;
        for (config, from, to) in [(forth, a, b), (back, b, a)] {
            let number = self.cables.len();
            let seed = self.seed_of("wire", number);
            self.cables
                .push(Cable::new(number, medium_a, (config, seed), to));
            let away = &mut self.away[from.0];
            away.resize(away.len().max(from.1 + 1), None);
            away[from.1] = Some(number);
            self.agenda.advance(Who::Node(from.0), self.now);
        }
        self.taps.push(None);
        Ok(LinkId(self.cables.len() / 2 - 1))
    }

    fn attach(&mut self, end: End) -> Result<(usize, usize), SimError> {
        match end.0 {
            EndKind::Host(id, config) => {
                let now = self.now;
                Ok((id.0, self.host_mut(id).add_port(now, *config)?))
            }
            EndKind::Relay(id) => Ok(self.add_relay_port(id)),
            EndKind::Switch(SwitchId(node)) => match &mut self.nodes[node].kind {
                Kind::Switch(switch) => Ok((node, switch.add_port())),
                _ => unreachable!("{FOREIGN}"),
            },
            EndKind::Router(id, config) => Ok((id.0, self.add_router_port(id, config))),
        }
    }

    /// Adds an application, which starts when the network runs on.
    pub fn add_app<A: App>(&mut self, host: HostId, app: A) -> AppId<A> {
        let number = self.host_mut(host).add_app(Box::new(app));
        self.agenda.advance(Who::Node(host.0), self.now);
        AppId::new(host, number)
    }

    /// A seed for one part.
    fn seed_of(&self, what: &str, number: usize) -> Seed {
        let mut random = Random::new(self.seed.key(&format!("{what} {number}")));
        let mut bytes = [0; 32];
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next_u64().to_le_bytes());
        }
        Seed::new(bytes)
    }

    // --- looking ----------------------------------------------------------------------------------

    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// A host's stack, to look at.
    pub fn stack(&self, host: HostId) -> &Stack {
        &self.host(host).stack
    }

    /// A host's name.
    pub fn name(&self, host: HostId) -> &str {
        &self.nodes[host.0].name
    }

    /// The interface of a host's port, counted from 0 in the order of its links.
    pub fn interface(&self, host: HostId, port: usize) -> Option<InterfaceId> {
        self.host(host).interface(port)
    }

    /// An application, to look at.
    ///
    /// # Panics
    /// When the id is another network's.
    pub fn app<A: App>(&self, id: AppId<A>) -> &A {
        let app: &dyn Any = self.host(id.host).app(id.number).expect(FOREIGN);
        app.downcast_ref().expect(FOREIGN)
    }

    /// An application, to change between runs.
    ///
    /// # Panics
    /// When the id is another network's.
    pub fn app_mut<A: App>(&mut self, id: AppId<A>) -> &mut A {
        let app: &mut dyn Any = self.host_mut(id.host).app_mut(id.number).expect(FOREIGN);
        app.downcast_mut().expect(FOREIGN)
    }

    /// Frames that arrived at the end of a wire so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// A hash of each frame that was put on a wire, and of each that arrived, with their times: equal for equal
    /// runs. What hosts, routers and switches did shows in it as far as it left them.
    pub fn trace_hash(&self) -> u64 {
        self.digest.value()
    }

    pub(super) fn host(&self, id: HostId) -> &Host {
        match &self.nodes[id.0].kind {
            Kind::Host(host) => host,
            _ => unreachable!("{FOREIGN}"),
        }
    }

    fn host_mut(&mut self, id: HostId) -> &mut Host {
        match &mut self.nodes[id.0].kind {
            Kind::Host(host) => host,
            _ => unreachable!("{FOREIGN}"),
        }
    }

    // --- acting -----------------------------------------------------------------------------------

    /// Calls a host's stack from outside, now. Nobody is told of events of sockets that are opened
    /// here.
    pub fn call<R>(&mut self, host: HostId, act: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        let now = self.now;
        let done = act(&mut self.host_mut(host).cx(now));
        self.agenda.advance(Who::Node(host.0), self.now);
        done
    }

    /// Does something to the network when this time comes, or now if it has passed. Of several at one
    /// time the first that was asked for comes first.
    pub fn at(&mut self, at: Instant, change: impl FnOnce(&mut Self) + 'static) {
        let at = at.max(self.now);
        self.asked += 1;
        self.changes.insert((at, self.asked), Box::new(change));
        self.agenda.advance(Who::Changes, at);
    }

    /// Cuts a link, or mends it. What is put on a cut link is lost; what was on its way arrives.
    pub fn cut(&mut self, link: LinkId, cut: bool) {
        for WireId(wire) in [link.forth(), link.back()] {
            self.cables[wire].cut = cut;
        }
    }

    /// Cuts links from one time until a later one: a partition, if they are all that joins two parts. A
    /// link that several partitions cut is whole when all of them are over, and [`cut`](Self::cut) did
    /// not cut it besides.
    pub fn partition(&mut self, links: &[LinkId], from: Instant, to: Instant) {
        if from >= to {
            return;
        }
        for (at, begins) in [(from, true), (to, false)] {
            let links = links.to_vec();
            self.at(at, move |network| {
                for wire in links.iter().flat_map(|link| [link.forth(), link.back()]) {
                    let partitions = &mut network.cables[wire.0].partitions;
                    *partitions = if begins {
                        *partitions + 1
                    } else {
                        *partitions - 1
                    };
                }
            });
        }
    }

    // --- running ----------------------------------------------------------------------------------

    /// Runs until that time, what happens at it included.
    ///
    /// # Errors
    /// [`SimError::Stuck`] when time stops passing.
    pub fn run_until(&mut self, until: Instant) -> Result<(), SimError> {
        while let Some((at, who)) = self.agenda.first()
            && at <= until
        {
            self.happen(at, who)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Runs for a time.
    ///
    /// # Errors
    /// [`SimError::Stuck`] when time stops passing.
    pub fn run_for(&mut self, time: Duration) -> Result<(), SimError> {
        self.run_until(self.now + time)
    }

    /// Runs until nothing will ever happen again, at most until that time; says whether nothing will.
    ///
    /// Timers count: a connection in TIME-WAIT ends a minute later. Rows of a
    /// [trace](Self::trace) at equal distances do not: they end with all else.
    ///
    /// # Errors
    /// [`SimError::Stuck`] when time stops passing.
    pub fn run_until_idle(&mut self, at_most: Instant) -> Result<bool, SimError> {
        while let Some((at, who)) = self.agenda.first() {
            if at > at_most {
                self.now = self.now.max(at_most);
                return Ok(false);
            }
            if who == Who::Samples && self.agenda.len() == 1 {
                break;
            }
            self.happen(at, who)?;
        }
        Ok(true)
    }

    /// Lets happen all that happens next at one instant, and returns that; `None` when nothing will
    /// ever happen again.
    ///
    /// # Errors
    /// [`SimError::Stuck`] when time stops passing.
    pub fn step(&mut self) -> Result<Option<Instant>, SimError> {
        let Some((next, _)) = self.agenda.first() else {
            return Ok(None);
        };
        self.run_until(next)?;
        Ok(Some(next))
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Instant> {
        self.agenda.first().map(|(at, _)| at)
    }

    fn happen(&mut self, at: Instant, who: Who) -> Result<(), SimError> {
        if at > self.now {
            self.now = at;
            self.at_once = 0;
        }
        self.at_once = self.at_once.saturating_add(1);
        if self.at_once > self.most_at_once {
            let turns = self.at_once;
            return Err(SimError::Stuck { at, turns });
        }
        match who {
            Who::Wire(wire) => self.deliver(wire),
            Who::Node(node) => self.turn(node)?,
            Who::Changes => self.change(),
            Who::Samples => self.sample(),
        }
        Ok(())
    }

    /// What a wire has carried to its end goes to the port there.
    fn deliver(&mut self, wire: usize) {
        let cable = &mut self.cables[wire];
        let (node, port) = cable.to;
        while let Some(frame) = cable.take_due(self.now, &mut self.digest) {
            self.frames += 1;
            self.at_once = self.at_once.saturating_add(1);
            if let Some(tap) = &mut self.taps[wire / 2] {
                tap.frame(self.now, 1 - wire % 2, Direction::Inbound, &frame);
            }
            self.nodes[node].arrive(port, frame);
            if let Some(late) = self.nodes[node].call() {
                self.agenda.advance(Who::Node(node), self.now + late);
            }
        }
        self.agenda.set(Who::Wire(wire), cable.wire.next_due());
    }

    /// A node does what it has to do, and what it sends goes onto its wires.
    fn turn(&mut self, node: usize) -> Result<(), SimError> {
        let now = self.now;
        let next = self.nodes[node].turn(now)?;
        let next = next.map(|next| next.max(now));
        self.agenda.set(Who::Node(node), next);
        let (cables, taps, away) = (&mut self.cables, &mut self.taps, &self.away[node]);
        let (digest, agenda) = (&mut self.digest, &mut self.agenda);
        // The wire that was fed last: it is asked for its time once for all frames in a row.
        let mut fed = None;
        let mut tell = |wire: usize, cable: &Cable| {
            agenda.set(Who::Wire(wire), cable.wire.next_due());
        };
        self.nodes[node].drain_sent(|port, frame| {
            // A port without a link leads nowhere.
            if let Some(wire) = away.get(port).copied().flatten() {
                if let Some(tap) = &mut taps[wire / 2] {
                    tap.frame(now, wire % 2, Direction::Outbound, &frame);
                }
                cables[wire].offer(now, frame, digest);
                if let Some(before) = fed.replace(wire).filter(|&before| before != wire) {
                    tell(before, &cables[before]);
                }
            }
        });
        if let Some(wire) = fed {
            tell(wire, &self.cables[wire]);
        }
        self.trace_turn(HostId(node));
        Ok(())
    }

    /// Does the first change. One at a time: those that ask for further ones at once are seen to.
    fn change(&mut self) {
        let change = self.changes.pop_first();
        let next = self.changes.first_key_value().map(|(&(at, _), _)| at);
        self.agenda.set(Who::Changes, next);
        if let Some((_, change)) = change {
            change(self);
        }
    }
}

pub(super) const FOREIGN: &str = "the id is one of this network";

impl End {
    fn medium(&self) -> Medium {
        match &self.0 {
            EndKind::Host(_, config) => config.medium,
            EndKind::Relay(id) => id.medium(),
            EndKind::Switch(_) => Medium::Ethernet,
            EndKind::Router(_, config) => config.medium_setting(),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("now", &self.now)
            .field("nodes", &self.nodes)
            .field("links", &(self.cables.len() / 2))
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
