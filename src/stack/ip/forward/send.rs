//! What is passed on, on its way to the device: in line with the sockets, and by way of the neighbours' queues.
//!
//! RFC 1812 §3.3.2, §4.3.3.1, §5.2.7.1; RFC 4861 §7.2.2; RFC 6583 §7. *Owns* the turn, and what comes of a neighbour that answers late or never.
//! *Does not* judge. Invariants: all that is passed on over an interface has the turn of one socket; what a device did not
//! take stays first.

use core::net::IpAddr;

use bytes::Bytes;

use super::judge::Way;
use super::packet::{Packet, Transit};
use super::queue::Place;
use crate::base::{DropReason, Instant, MacAddr, Protocol};
use crate::device::{DeviceError, Transmit};
use crate::link::ethernet::{self, EtherType};
use crate::link::{PartialChecksum, TxFrame, TxMeta};
use crate::stack::Stack;
use crate::stack::icmp::Complaint;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Ready;
use crate::stack::ip::output::{LinkTo, tos_of};
use crate::stack::neighbour::Need;
use crate::stack::net::Net;
use crate::stack::packet::{Delivery, Flow, Label, OwnedPacket, Owner};
use crate::stack::transmit::{FrameBudget, SenderTurn};

/// Packets of a turn, and what they cost, but for the last, in small frames: a connection's.
const TURN: usize = 16;
const TURN_COST: usize = 32;

impl Net {
    /// Puts a packet in line for its device, in as many pieces as it takes: what it holds goes there.
    pub(super) fn queue_in_transit(
        &mut self,
        from: InterfaceId,
        way: Way,
        packet: &mut Packet,
        place: Place,
    ) -> Result<(), DropReason> {
        let line = &mut self.interfaces[way.on.index()].line;
        let device = line.capabilities;
        let mtu = packet.limit(way.mtu);
        let way = Way { mtu, ..way };
        let fits = packet.wire_len() <= way.mtu;
        let whole = fits.then(|| packet.whole(from, way.next_hop, &device));
        let queued = match whole.flatten() {
            Some(transit) => line.transit.push(transit, place),
            None => {
                let queued = line.transit.push_all(packet.pieces(from, way)?, place);
                self.counters.packets_cut += u64::from(queued);
                queued
            }
        };
        self.put_in_line(way.on, queued)
    }

    /// Something was `queued` for an interface, or found no room.
    #[inline]
    pub(super) fn put_in_line(&mut self, on: InterfaceId, queued: bool) -> Result<(), DropReason> {
        if !queued {
            return Err(DropReason::ForwardFull);
        }
        self.interfaces[on.index()].line.ready.push(Ready::Transit);
        self.look_for_crowds(on);
        Ok(())
    }

    /// Something came to the queue of an interface, or left it.
    fn look_for_crowds(&mut self, on: InterfaceId) {
        let change = self.interfaces[on.index()].line.transit.look();
        let crowded = &mut self.forwarding.crowded;
        *crowded = crowded.saturating_add_signed(change);
    }

    /// What is passed on does not wait for a link that is down; says how many did.
    pub(in crate::stack) fn drop_transit(&mut self, on: InterfaceId) -> usize {
        let queued = self.interfaces[on.index()].line.transit.clear();
        self.look_for_crowds(on);
        queued + self.neighbours.drop_transit(on)
    }

    /// A packet waited for a neighbour that has just answered: it goes before those that came later.
    pub(in crate::stack) fn go_on(
        &mut self,
        from: InterfaceId,
        on: InterfaceId,
        packet: &OwnedPacket,
    ) {
        let Flow {
            src, dst, next_hop, ..
        } = packet.flow;
        let mtu = self.interfaces[on.index()].mtu_to(dst);
        let way = Way { on, next_hop, mtu };
        let Ok(mut again) = Packet::waited(&packet.payload, packet.segment, (src, dst)) else {
            return;
        };
        // The link may carry less by now.
        let queued = if again.may_leave_by(&way) {
            self.queue_in_transit(from, way, &mut again, Place::First)
        } else {
            let again = self.untranslated(from, again);
            self.complain_in_transit(from, &again, Complaint::TooBig { mtu });
            Err(DropReason::ForwardTooBig)
        };
        if let Err(reason) = queued {
            self.counters.drops.count(reason);
        }
    }

    /// The neighbour of a packet does not answer: by another way, or its sender is told.
    pub(in crate::stack) fn go_round(
        &mut self,
        now: Instant,
        from: InterfaceId,
        on: InterfaceId,
        packet: &OwnedPacket,
    ) {
        let Flow {
            src, dst, next_hop, ..
        } = packet.flow;
        let Ok(mut again) = Packet::waited(&packet.payload, packet.segment, (src, dst)) else {
            return;
        };
        let other = self.way_on(now, dst).filter(|way| {
            let same = (way.on, way.next_hop) == (on, next_hop);
            // What was translated has the address of the way that it was on.
            let bound = way.on != on && self.translates_to(src).is_some();
            !same && !bound && !self.paths.routes.is_dead(now, way.on, way.next_hop)
        });
        if let Some(way) = other {
            let queued = if again.may_leave_by(&way) {
                self.queue_in_transit(from, way, &mut again, Place::Last)
            } else {
                let again = self.untranslated(from, again);
                self.complain_in_transit(from, &again, Complaint::TooBig { mtu: way.mtu });
                Err(DropReason::ForwardTooBig)
            };
            if let Err(reason) = queued {
                self.counters.drops.count(reason);
            }
            return;
        }
        self.counters.drops.count(DropReason::NeighbourUnresolved);
        let again = self.untranslated(from, again);
        self.complain_in_transit(from, &again, Complaint::Host);
    }

    /// Offers the first in line to the device, or puts it in its neighbour's queue; it stays where it is when the device is full.
    fn send_first<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        last: &mut Option<(IpAddr, LinkTo)>,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let Some(transit) = self.interfaces[on.index()].line.transit.first() else {
            return Ok(Delivery::Taken);
        };
        let next_hop = transit.next_hop;
        let to = match *last {
            Some((known, to)) if known == next_hop => to,
            _ => {
                let flow = transit.flow();
                let to = self.station(now, on, &flow, None, Need::Answer);
                // Nothing is heard between the packets of a turn.
                let lasts = matches!(to, LinkTo::Nobody | LinkTo::Station(_));
                *last = lasts.then_some((next_hop, to));
                to
            }
        };
        match to {
            LinkTo::Nobody => self.transmit_first(now, on, None, out),
            LinkTo::Station(mac) => self.transmit_first(now, on, Some(mac), out),
            LinkTo::Unresolved(id) => {
                let transits = &mut self.interfaces[on.index()].line.transit;
                if let Some(transit) = transits.take_first() {
                    let waits = transit.to_owned_packet(transit.flow());
                    self.neighbours.queue(id, waits);
                    self.run_effects(now);
                }
                Ok(Delivery::Taken)
            }
            _ => {
                self.counters.drops.count(DropReason::NeighbourUnresolved);
                self.interfaces[on.index()].line.transit.take_first();
                Ok(Delivery::Dropped)
            }
        }
    }

    fn transmit_first<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        mac: Option<MacAddr>,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let interface = &mut self.interfaces[on.index()];
        let first = interface.line.transit.first();
        let tos = first.map_or(0, |transit| tos_of(transit.head.as_slice()));
        let (own, tag) = (interface.mac, interface.tag_for(tos));
        let Some(transit) = interface.line.transit.first() else {
            return Ok(Delivery::Taken);
        };
        let (headers, at) = match mac {
            Some(mac) => {
                let ether_type = match transit.ends.1 {
                    IpAddr::V4(_) => EtherType::IPV4,
                    IpAddr::V6(_) => EtherType::IPV6,
                };
                let mut link = ethernet::Fields::new(mac, own, ether_type);
                link.tag = tag;
                (transit.head.framed(&link), link.len())
            }
            None => (transit.head.as_slice(), 0),
        };
        let meta = transit.partial.map_or(TxMeta::PLAIN, |partial| {
            let start = usize::from(partial.start) + at;
            let partial = PartialChecksum {
                start: u16::try_from(start).unwrap_or(u16::MAX),
                ..partial
            };
            TxMeta::offload(partial, transit.segment)
        });
        let payload = core::slice::from_ref(&transit.payload);
        let frame = TxFrame::new(headers, payload, meta);
        let len = frame.len();
        let sent = out.transmit(now, &frame)?;
        let sent = self.account(sent, len);
        self.counters.packets_forwarded += u64::from(sent == Delivery::Taken);
        if sent != Delivery::Full {
            self.interfaces[on.index()].line.transit.take_first();
        }
        Ok(sent)
    }
}

impl Stack {
    /// Gives what is passed on over an interface its turn.
    pub(in crate::stack) fn transmit_transit<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<SenderTurn, DeviceError> {
        let before = budget.turn().frames;
        let turn = self.net.transmit_line_in_transit(now, on, out, budget)?;
        let line = &mut self.net.interfaces[on.index()].line;
        line.transit.set_blocked(turn == SenderTurn::Full);
        if budget.turn().frames > before {
            self.net.forwarding.holds = 0;
        }
        self.net.look_for_crowds(on);
        Ok(turn)
    }
}

impl Net {
    fn transmit_line_in_transit<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<SenderTurn, DeviceError> {
        let mut last = None;
        while budget.turn().frames < TURN && budget.turn().cost < TURN_COST && !budget.is_used_up()
        {
            let line = &mut self.interfaces[on.index()].line;
            let Some(transit) = line.transit.first() else {
                return Ok(SenderTurn::Done);
            };
            let (len, segment) = (transit.payload.len(), transit.segment);
            let cost = line.capabilities.cost(len, segment);
            if self.send_first(now, on, &mut last, out)? == Delivery::Full {
                return Ok(SenderTurn::Full);
            }
            budget.spend(cost);
        }
        let more = !self.interfaces[on.index()].line.transit.is_empty();
        Ok(if more {
            SenderTurn::More
        } else {
            SenderTurn::Done
        })
    }
}

impl Transit {
    fn flow(&self) -> Flow {
        let (src, dst) = self.ends;
        Flow {
            src,
            dst,
            next_hop: self.next_hop,
            ttl: 0,
            tos: 0,
            label: Label::default(),
        }
    }

    /// For its neighbour's queue: whole, without headers of ours.
    fn to_owned_packet(&self, flow: Flow) -> OwnedPacket {
        let whole: Bytes = self.to_whole();
        let mut packet = OwnedPacket::new(flow, Protocol(0), &[], whole);
        packet.segment = self.segment.map(|segment| segment.size);
        packet.owner = Owner::Transit(self.from);
        packet
    }
}
