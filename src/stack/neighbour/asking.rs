//! What the table wants done, done: neighbours asked for, packets sent on, sockets woken or told.
//!
//! RFC 4861 §7.2.2, RFC 1122 §2.3.2.1 (asking), §3.3.1.4 (a dead gateway). *Owns* who asks as whom. *Does not*
//! judge: the table does.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Effect, Heard, NeighbourKey};
use crate::base::{DropReason, Instant, MacAddr};
use crate::stack::ids::{InterfaceId, RawId};
use crate::stack::interface::Interface;
use crate::stack::interface::{Asks, Class, Frame, Outgoing};
use crate::stack::net::Net;
use crate::stack::packet::{Notice, OwnedPacket, Owner};
use crate::stack::reconfigure::Change;
use crate::{arp, ipv6};

impl Net {
    /// Asks for a neighbour: everybody, or only the station that it was (RFC 4861 §7.2.2, RFC 1122
    /// §2.3.2.1 (2)).
    ///
    /// Says whether it is queued; it counts once it has left.
    fn solicit(
        &mut self,
        id: RawId,
        key: NeighbourKey,
        source: IpAddr,
        mac: Option<MacAddr>,
    ) -> bool {
        let asks = Some(Asks::Neighbour(id));
        let (on, target) = key;
        let Interface {
            mac: own,
            ref addresses,
            ..
        } = self.interfaces[on.index()];
        match (target, source) {
            (IpAddr::V4(target), IpAddr::V4(source)) => {
                // As below: what is not ours, under `accept_foreign`, must not get our MAC.
                let ours = addresses.is_assigned(IpAddr::V4(source));
                let source = if ours {
                    Some(source)
                } else {
                    // Of the network that it is on: some answer nobody else.
                    let near = addresses.source(target.into(), target.into());
                    match near.filter(|&near| addresses.is_assigned(near)) {
                        Some(IpAddr::V4(near)) => Some(near),
                        _ => addresses.first_v4(),
                    }
                };
                // RFC 5227 §2.1.1: a probe asks without saying who does.
                let source = source.unwrap_or(Ipv4Addr::UNSPECIFIED);
                let request = arp::Packet::request(own, source, target);
                let to = mac.unwrap_or(MacAddr::BROADCAST);
                self.ask_by_arp(on, to, request, asks)
            }
            (IpAddr::V6(target), IpAddr::V6(source)) => {
                let dst = if mac.is_some() {
                    target
                } else {
                    ipv6::solicited_node(target)
                };
                // RFC 4861 §7.2.2: the source of the packet that prompts it, if it is ours. RFC 4429 §3.2: without a doubt.
                let sure = |own: &Ipv6Addr| addresses.is_sure(IpAddr::V6(*own));
                let near = Some(source).filter(sure);
                match near.or_else(|| addresses.first_v6().filter(sure)) {
                    Some(source) => self.send_solicitation(on, (source, dst), target, mac, asks),
                    // Later: then its probes have been answered, or not.
                    None if addresses.is_assigned(IpAddr::V6(source)) => false,
                    // Nobody to ask as: it counts, so that who waits is told.
                    None => {
                        self.asked(self.now, on, Asks::Neighbour(id));
                        true
                    }
                }
            }
            _ => {
                debug_assert!(false, "{target} is not of the family of {source}");
                false
            }
        }
    }

    /// A connection's forward progress proves that its next hop answers (RFC 4861 §7.3.1).
    pub(crate) fn confirm(&mut self, now: Instant, on: InterfaceId, next_hop: IpAddr) {
        // Nobody lives there but ourselves.
        if on == InterfaceId::LOOPBACK {
            return;
        }
        self.neighbours
            .confirm(now, &mut self.timers, (on, next_hop));
    }

    /// A packet said something about a neighbour; returns whether that is taken for true.
    pub(crate) fn heard(&mut self, now: Instant, key: NeighbourKey, heard: Heard) -> bool {
        let solicited = matches!(
            heard,
            Heard::Advertises {
                solicited: true,
                ..
            }
        );
        // What nobody asked for proves nothing, whatever it says of itself; nor does what the table makes nothing of
        // (RFC 4861 §7.2.5).
        let asked = solicited && self.neighbours.awaits(key);
        let taken = self.neighbours.heard(now, &mut self.timers, key, heard);
        if asked && self.neighbours.is_reachable(key) && self.paths.gateway_answered(key.0, key.1) {
            let back = Change::GatewayBack(key.1);
            self.notices.push_back(Notice::Change(key.0, back));
        }
        self.run_effects(now);
        taken
    }

    /// The neighbour of this packet does not answer: over another gateway, or its owner is told.
    fn undelivered(&mut self, now: Instant, on: InterfaceId, mut packet: OwnedPacket) {
        if let Owner::Transit(from) = packet.owner {
            return self.go_round(now, from, on, &packet);
        }
        let flow = &mut packet.flow;
        if let Some(next_hop) = self.other_gateway(on, flow.dst, flow.next_hop) {
            flow.next_hop = next_hop;
            let (frame, asks) = (Frame::Packet(packet), None);
            self.queue(on, Class::Resolved, Outgoing { frame, asks });
            return;
        }
        self.counters.drops.count(DropReason::NeighbourUnresolved);
        let notice = Notice::Unreachable(packet.owner, packet.flow.dst);
        self.notices.push_back(notice);
    }

    /// Does what the neighbour table wants done.
    pub(crate) fn run_effects(&mut self, now: Instant) {
        while let Some(effect) = self.neighbours.effects.pop_front() {
            match effect {
                Effect::Solicit {
                    id,
                    key,
                    source,
                    mac,
                } => {
                    if !self.solicit(id, key, source, mac) {
                        self.neighbours.not_asked(now, &mut self.timers, id);
                    }
                }
                Effect::Send { on, packet } => {
                    if let Owner::Transit(from) = packet.owner {
                        self.go_on(from, on, &packet);
                        continue;
                    }
                    let (frame, asks) = (Frame::Packet(packet), None);
                    self.queue(on, Class::Resolved, Outgoing { frame, asks });
                }
                Effect::Wake { on, waiter } => self.wake(on, waiter),
                Effect::Drop => {
                    self.counters.drops.count(DropReason::NeighbourUnresolved);
                }
                Effect::Undelivered { on, packet } => self.undelivered(now, on, packet),
                Effect::Fail { waiter } => self.notices.push_back(Notice::Failed(waiter)),
                Effect::Dead { key: (on, address) } => {
                    self.counters.neighbours_failed += 1;
                    if self.paths.gateway_failed(now, on, address) {
                        let failed = Change::GatewayFailed(address);
                        self.notices.push_back(Notice::Change(on, failed));
                    }
                }
            }
        }
    }

    /// A deadline of this layer came.
    pub(crate) fn on_neighbour_timeout(&mut self, now: Instant, index: u32) {
        self.neighbours.on_timeout(&mut self.timers, index);
        self.run_effects(now);
    }
}
