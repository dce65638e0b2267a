//! Everything below the sockets in one value: interfaces, routes, neighbours, timers, counters.
//!
//! Kept apart from the sockets so that code which holds a connection can still send, route and set
//! timers. *Owns* the parts, and who is put in which line. What is done with them lies in their rooms: `ip`, `path`,
//! `address`, `neighbour`, `icmp`. *Does not* know any socket: what concerns one is a [`Notice`].

use core::net::IpAddr;
use std::collections::VecDeque;

use super::address::Owners;
use super::config::Config;
use super::counters::Counters;
use super::icmp::IcmpLimit;
use super::ids::{Id, InterfaceId, TcpId};
use super::interface::{
    Asks, Class, ConfigError, Frame, Interface, InterfaceConfig, Interfaces, Outgoing, Ready,
};
use super::ip::{Forwarding, Headers, Identifications, Incomplete, Labels};
use super::neighbour::Neighbours;
use super::packet::{Notice, OwnedPacket, Waiter};
use super::path::{LargeSent, NewRoute, Paths};
use super::reconfigure::Sweep;
use super::udp::Looped;
use super::wheel::Wheel;
use crate::base::{Cidr, DropReason, Instant, Key, Random, Seed};
use crate::tcp::Connection;

/// The parts of a stack below its sockets.
#[derive(Debug)]
pub(crate) struct Net {
    /// The latest time seen.
    pub(crate) now: Instant,
    pub(crate) interfaces: Interfaces,
    pub(crate) paths: Paths,
    pub(crate) neighbours: Neighbours,
    pub(crate) timers: Wheel,
    pub(crate) counters: Counters,
    pub(crate) notices: VecDeque<Notice>,
    /// What [`Notice::Looped`] tells of.
    pub(in crate::stack) looped: VecDeque<Looped>,
    pub(crate) headers: Headers,
    pub(in crate::stack) labels: Labels,
    pub(super) forwarding: Forwarding,
    pub(crate) icmp_limit: IcmpLimit,
    pub(crate) reassembly: Incomplete,
    /// For what a packet-too-big quotes of echo replies.
    pub(crate) large_replies: LargeSent,
    pub(super) identifications: Identifications,
    pub(crate) ttl: u8,
    pub(crate) owners: Owners,
    pub(in crate::stack) sweep: Sweep,
    outbox_limit: usize,
    /// For the nonces of probes.
    pub(in crate::stack) nonces: Key,
    /// For the keys of interfaces.
    pub(in crate::stack) seed: Seed,
    /// For interfaces: their names, and when they ask.
    pub(in crate::stack) random: Random,
    /// When our groups are reported.
    pub(in crate::stack) report_delays: Random,
}

impl Net {
    pub(crate) fn new(config: &Config) -> Self {
        let seed = &config.seed;
        let interfaces = Interfaces::new(config);
        let mut owners = Owners::default();
        let loopback = interfaces.loopback();
        for own in loopback.addresses.iter() {
            owners.add(own.cidr.address(), loopback.id);
        }
        Self {
            now: Instant::ZERO,
            interfaces,
            paths: Paths::new(config),
            neighbours: Neighbours::new(config),
            timers: Wheel::default(),
            counters: Counters::default(),
            notices: VecDeque::new(),
            looped: VecDeque::new(),
            headers: Headers::default(),
            labels: Labels::new(config),
            forwarding: Forwarding::new(config),
            icmp_limit: IcmpLimit::new(config),
            reassembly: Incomplete::new(config),
            large_replies: LargeSent::default(),
            identifications: Identifications::new(seed),
            ttl: config.ttl,
            sweep: Sweep::default(),
            owners,
            outbox_limit: config.outbox_limit,
            nonces: seed.key("probe nonces"),
            seed: config.seed,
            random: Random::new(seed.key("interface")),
            report_delays: Random::new(seed.key("group reports")),
        }
    }

    /// Time never runs back: the later of `now` and the latest time seen.
    pub(crate) fn clamp(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    pub(crate) fn add_interface(
        &mut self,
        now: Instant,
        config: &InterfaceConfig,
    ) -> Result<InterfaceId, ConfigError> {
        let shared = match config.over {
            Some(of) => Some(self.shared_device(of, config)?),
            None => None,
        };
        let config = shared.as_ref().unwrap_or(config);
        config.check()?;
        let count = self.interfaces.len();
        if count >= 0xffff {
            return Err(ConfigError::TooMany(count));
        }
        let id = InterfaceId::from_index(count);
        let interface = Interface::new(now, id, config, self.outbox_limit, &mut self.random);
        let addresses: Vec<_> = interface.addresses.iter().copied().collect();
        if interface.forwarding.is_some() {
            self.forwarding.begin();
        }
        self.interfaces.push(interface);
        self.begin_nat(id, config);
        self.enter_vlan(id);
        for address in &addresses {
            self.enter_address(id, address);
        }
        let gateways = config.gateways.iter();
        let default = gateways.map(|&gateway| (Cidr::everything(gateway), Some(gateway)));
        for (to, via) in config.routes.iter().copied().chain(default) {
            // What was given twice is one.
            self.give_route(id, NewRoute::given(to, via));
        }
        // RFC 4862 §5.4.2: the groups of our addresses are joined before these are probed for.
        self.on_groups_timeout(now, id);
        let mut steps = usize::MAX;
        self.on_interface_timeout(now, id, &mut steps);
        self.begin_discovery(now, id, config);
        self.begin_link_local_v4(now, id, config);
        self.begin_below(now, id);
        Ok(id)
    }

    /// A connection begins on this interface: its part of the queue.
    pub(crate) fn begin_in_queue(&self, on: InterfaceId, connection: &mut Connection) {
        let interface = self.interfaces.get(self.device_of(on).index());
        if let Some(share) = interface.and_then(|i| i.line.share.as_ref()) {
            share.begin(&mut connection.rcv.part);
        }
    }

    /// The interface whose device, and its queue, this one uses: another one's, if it is a VLAN.
    pub(in crate::stack) fn device_of(&self, on: InterfaceId) -> InterfaceId {
        let interface = self.interfaces.get(on.index());
        interface.and_then(|i| i.over).unwrap_or(on)
    }

    /// So many segments of text came for a connection: its part of the queue anew.
    pub(crate) fn share_queue(&mut self, on: InterfaceId, segs: u32, connection: &mut Connection) {
        let interface = self.interfaces.get_mut(self.device_of(on).index());
        if let Some(share) = interface.and_then(|i| i.line.share.as_mut()) {
            share.on_text(segs, &mut connection.rcv.part);
        }
    }

    /// Queues a packet of the stack's own; dropped and counted when there is no room for its class.
    pub(crate) fn queue_packet(&mut self, on: InterfaceId, packet: OwnedPacket) -> bool {
        let (class, frame) = (Class::of(&packet), Frame::Packet(packet));
        self.queue(on, class, Outgoing { frame, asks: None })
    }

    /// The same for any class, and for what is counted once it has left.
    pub(super) fn queue(&mut self, on: InterfaceId, class: Class, outgoing: Outgoing) -> bool {
        let queued = self.interfaces[on.index()]
            .line
            .outbox
            .push(class, outgoing);
        if !queued {
            self.counters.drops.count(DropReason::OutboxFull);
        }
        queued
    }

    /// A question has left.
    pub(super) fn asked(&mut self, now: Instant, on: InterfaceId, asks: Asks) {
        match asks {
            Asks::Neighbour(id) => self.neighbours.asked(now, &mut self.timers, id),
            Asks::Address(address) => {
                let addresses = &mut self.interfaces[on.index()].addresses;
                addresses.asked(now, address, &mut self.random);
                self.set_interface_timer(on);
            }
            Asks::Routers => self.routers_solicited(now, on),
        }
    }

    /// Makes a socket ready to send on this interface.
    pub(crate) fn wake(&mut self, on: InterfaceId, waiter: Waiter) {
        let interface = &mut self.interfaces[on.index()];
        interface.line.ready.push(match waiter {
            Waiter::Tcp(id) => Ready::Tcp(id.index()),
            Waiter::Udp(id) => Ready::Udp(id.index()),
            Waiter::Farewell(id) => {
                interface.line.farewells.push_back(id);
                Ready::Farewells
            }
        });
    }

    /// The same for a connection, which each call into it does.
    #[inline]
    pub(crate) fn wake_tcp(&mut self, on: InterfaceId, id: TcpId) {
        let ready = &mut self.interfaces[on.index()].line.ready;
        ready.push(Ready::Tcp(id.index()));
    }

    /// A socket that sent from `src` over `next_hop` is gone, and waits for neither any more.
    pub(crate) fn forget_waiter(
        &mut self,
        on: InterfaceId,
        src: IpAddr,
        next_hop: IpAddr,
        waiter: Waiter,
    ) {
        self.neighbours.forget((on, next_hop), waiter);
        let waiters = &mut self.interfaces[on.index()].waiters;
        if let Some(of_address) = waiters.get_mut(&src) {
            of_address.remove(&waiter);
        }
    }
}
