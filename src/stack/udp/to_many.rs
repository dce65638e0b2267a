//! Datagrams to groups and broadcast addresses: each socket that hears them gets its own, from the wire and from this host.
//!
//! RFC 1112 §6.1, §7.2, RFC 1122 §3.3.6. *Owns* who gets one. *Does not* own who is in a group: `groups` does. Slices are
//! shared; each socket is charged for all of what it holds.

use core::net::SocketAddr;

use bytes::Bytes;

use super::Around;
use super::ends::{flow_of, is_broadcast};
use super::socket::UdpSocket;
use super::waiting::Pending;
use crate::base::{DropReason, Instant};
use crate::link::RxChecksum;
use crate::stack::Stack;
use crate::stack::endpoint::endpoint;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::UdpId;
use crate::stack::net::Net;
use crate::stack::packet::{Inbound, Notice, Summed};
use crate::stack::path::Route;
use crate::stack::slices::Slices;

/// What a socket of this host sent to a group that others of it hear.
#[derive(Debug)]
pub(in crate::stack) struct Looped {
    packet: Inbound,
    ports: (u16, u16),
    data: Bytes,
    summed: Summed,
}

impl Stack {
    /// Gives a datagram to each socket that hears it.
    pub(super) fn deliver_udp_to_many(
        &mut self,
        packet: &Inbound,
        (from_port, to_port): (u16, u16),
        (data, summed): (Slices, Summed),
    ) -> Result<(), DropReason> {
        let on = packet.on;
        let (data, copy_below) = self.shared(packet, data);
        let from = endpoint(on, packet.src, from_port);
        let mut around = Around {
            net: &mut self.net,
            events: &mut self.events,
            memory: &mut self.memory,
        };
        let (mut heard, mut unsummed, mut refused) = (false, false, None);
        for id in self.demux.udp.sharing(on, packet.dst, to_port) {
            let groups = &around.net.interfaces[on.index()].groups;
            if !groups.hears(packet.dst, id, packet.src) {
                continue;
            }
            // A connected socket takes its flow only.
            let socket = self.udp.get_mut(id);
            let Some(socket) = socket.filter(|socket| socket.connected.is_none()) else {
                continue;
            };
            if !socket.takes_summed(summed) {
                unsummed = true;
                continue;
            }
            heard = true;
            let data = (data.clone(), from, to_port);
            let taken = socket.accept(id, packet, data, copy_below, &mut around);
            // Who calls counts the last.
            if let Some(reason) = taken.err().and_then(|reason| refused.replace(reason)) {
                around.net.counters.drops.count(reason);
            }
        }
        match refused {
            Some(reason) => Err(reason),
            None if heard => Ok(()),
            None if unsummed => Err(DropReason::UdpChecksum),
            None => Err(DropReason::UdpNoSocket),
        }
    }

    /// What is small is copied once for all, as it would be for each; from what length on nothing is copied then.
    fn shared(&self, packet: &Inbound, data: Slices) -> (Slices, usize) {
        let copy_below = self.config.copy_below;
        let one = packet
            .segment_size
            .map_or(data.len(), |size| size.get().into());
        match data.together() {
            Ok(whole) if one < copy_below => (Bytes::copy_from_slice(&whole).into(), 0),
            Ok(whole) => (whole.into(), copy_below),
            Err(pieces) => (pieces, copy_below),
        }
    }

    /// Gives what was sent to a group to those of this host who hear it.
    pub(in crate::stack) fn deliver_looped(&mut self) {
        let Some(Looped {
            packet,
            ports,
            data,
            summed,
        }) = self.net.looped.pop_front()
        else {
            return;
        };
        match self.deliver_udp_to_many(&packet, ports, (data.into(), summed)) {
            Ok(()) | Err(DropReason::UdpNoSocket) => {}
            Err(reason) => self.net.counters.drops.count(reason),
        }
    }
}

impl UdpSocket {
    /// A datagram has left, or was lost on the way out: if it went to a group, this host's members hear it as well; if to a broadcast
    /// address, all who are bound to its port (RFC 1122 §3.3.6: this host is one of those meant).
    pub(super) fn loop_back(&self, now: Instant, route: &Route, pending: &Pending, net: &mut Net) {
        let dst = pending.to.ip();
        let heard = || net.interfaces[route.on.index()].groups.takes(dst);
        let looped = match dst.is_multicast() {
            true => self.options.multicast.loops,
            false => is_broadcast(net, route, dst),
        };
        if !looped || !heard() {
            return;
        }
        let flow = flow_of(self, route, pending.aim(), net);
        let packet = Inbound {
            on: route.on,
            src: flow.src,
            dst,
            unicast: false,
            tos: flow.tos,
            ttl: flow.ttl,
            label: flow.label.given().unwrap_or(0),
            at: now,
            checksum: RxChecksum::Verified,
            segment_size: pending.segment,
            segment: Bytes::new(),
            ports: (0, 0),
            fin: false,
            quote: Bytes::new(),
            link_unicast: false,
            link_src: None,
        };
        net.looped.push_back(Looped {
            packet,
            ports: (self.port_of(pending.info.as_deref()), pending.to.port()),
            data: pending.data.clone(),
            summed: self.sums(pending.aim()),
        });
        net.notices.push_back(Notice::Looped);
    }

    /// Takes a datagram if there is room for it.
    pub(super) fn accept(
        &mut self,
        id: UdpId,
        packet: &Inbound,
        (data, from, to_port): (Slices, SocketAddr, u16),
        copy_below: usize,
        around: &mut Around<'_>,
    ) -> Result<(), DropReason> {
        // Who keeps up has an empty queue, which always takes what one frame brings.
        if around.memory.is_full() && !self.recv.is_empty() {
            return Err(DropReason::UdpMemory);
        }
        let data = (data, from, to_port);
        let taken = self.take(packet, data, copy_below, &mut around.net.counters);
        around.events.raise(SocketId::Udp(id), Readiness::READABLE);
        self.charge(around);
        taken
    }
}
