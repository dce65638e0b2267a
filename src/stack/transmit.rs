//! Draining an interface: whoever has something to send, in turn, until the budget or the device
//! says stop.
//!
//! *Owns* the order. *Does not* build frames. Invariant: what the device did not take stays first in
//! line, unchanged (r29, r37), and a turn that it cuts short goes on: it changes nothing in the order; the outbox and
//! the sockets take turns, so neither starves the other.

use super::Stack;
use super::ids::InterfaceId;
use super::interface::{Asks, Frame, Had, Outgoing, Ready};
use super::ip;
use super::packet::Delivery;
use super::udp;
use crate::base::Instant;
use crate::device::{DeviceDrop, DeviceError, Sent, Transmit};
use crate::link::{SegmentKind, Segmentation, TxFrame};

/// What one drain of an interface may still cost, in small frames ([`Capabilities::cost`]).
#[derive(Debug)]
pub(in crate::stack) struct FrameBudget {
    left: usize,
    /// Packets dealt with.
    sent: usize,
    /// What the turn of who sends now has had, a full device's interruptions included.
    turn: Had,
}

impl FrameBudget {
    const fn new(frames: usize) -> Self {
        Self {
            left: frames,
            sent: 0,
            turn: Had { frames: 0, cost: 0 },
        }
    }

    pub(in crate::stack) const fn left(&self) -> usize {
        self.left
    }

    pub(in crate::stack) const fn turn(&self) -> Had {
        self.turn
    }

    pub(in crate::stack) const fn is_used_up(&self) -> bool {
        self.left == 0
    }

    /// A packet was dealt with.
    pub(in crate::stack) const fn spend(&mut self, cost: usize) {
        self.left = self.left.saturating_sub(cost);
        self.sent += 1;
        self.turn.frames += 1;
        self.turn.cost += cost;
    }

    /// Something was tried since there was this much left: that is not for nothing either, so that
    /// draining ends.
    fn charge_a_try(&mut self, before: usize) {
        self.left = self.left.min(before.saturating_sub(1));
    }
}

/// Why [`Stack::poll_transmit`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum More {
    /// Nothing more waits.
    Idle,
    /// More waits, the budget was used up: call again.
    Budget,
    /// More waits, the device is full: call again when it is writable.
    DeviceFull,
    /// The interface was taken away ([`Stack::remove_interface`]): nothing leaves by it any more.
    Removed,
}

/// What [`Stack::poll_transmit`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Packets dealt with: taken or dropped by the device, or put aside for their neighbour.
    pub sent: usize,
    /// Is there more?
    pub more: More,
}

impl Stack {
    /// Sends what waits on this interface, a bounded number of frames on the wire
    /// ([`Config::transmit_budget`](super::Config::transmit_budget)).
    ///
    /// # Errors
    /// Only what ends the device.
    pub fn poll_transmit<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        mut out: &mut T,
    ) -> Result<Progress, DeviceError> {
        if self.scribe.is_on() {
            return self.drain_noted(now, on, &mut out);
        }
        self.drain(now, on, out)
    }

    /// The same, noted by who calls.
    pub(super) fn drain<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
    ) -> Result<Progress, DeviceError> {
        let now = self.net.clamp(now);
        self.net.forwarding.known.forget();
        let mut budget = FrameBudget::new(self.config.transmit_budget);
        let mut more = More::Idle;
        if on != InterfaceId::LOOPBACK {
            self.deliver_within(now);
        }
        while let Some(of) = self.net.interfaces.next_to_send(on) {
            if budget.is_used_up() {
                more = More::Budget;
                break;
            }
            if self.net.is_leaving(of) {
                if self.transmit_leaving(now, of, out, &mut budget)? == Turn::Full {
                    more = More::DeviceFull;
                    break;
                }
                continue;
            }
            // Whose turn it is a full device does not change.
            let turn = if self.net.interfaces[of.index()].line.is_turn_of_outbox() {
                let turn = self.transmit_outbox(now, of, out, &mut budget)?;
                self.tell_refused(of);
                turn
            } else {
                self.transmit_ready(now, of, out, &mut budget)?
            };
            if turn == Turn::Full {
                more = More::DeviceFull;
                break;
            }
        }
        if more != More::Idle {
            self.net.interfaces.stay_with_last(on);
        }
        self.tell_notices(now);
        let sent = budget.sent;
        if sent == 0 && self.net.interfaces.is_removed(on.index()) {
            more = More::Removed;
        }
        Ok(Progress { sent, more })
    }

    /// Lets the first in line at an interface that was taken away look for another way; is anybody left?
    pub(in crate::stack) fn dismiss_one(&mut self, now: Instant, index: usize) -> bool {
        if !self.net.interfaces.is_removed(index) {
            return false;
        }
        let mut budget = FrameBudget::new(1);
        let on = InterfaceId::from_index(index);
        let told = self.transmit_ready(now, on, &mut Nowhere, &mut budget);
        debug_assert!(told.is_ok(), "nowhere is not a device that fails");
        self.tell_refused(on);
        let line = &mut self.net.interfaces[index].line;
        let more = !line.ready.is_empty();
        if !more {
            line.forget_ready();
        }
        more
    }

    /// Sends what the device had no room for of a datagram in fragments.
    #[cold]
    fn transmit_leaving<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<Turn, DeviceError> {
        let before = self.net.counters.fragments_sent;
        let sent = self.net.transmit_rest(now, on, out)?;
        budget.left = budget.left.saturating_sub(self.net.fragments_since(before));
        Ok(match sent {
            Delivery::Full => Turn::Full,
            _ => Turn::Done,
        })
    }

    /// Sends the next packet of the outbox.
    fn transmit_outbox<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<Turn, DeviceError> {
        if let Some(turn) = self.transmit_bare(now, on, out, budget)? {
            return Ok(turn);
        }
        let outbox = &mut self.net.interfaces[on.index()].line.outbox;
        let Some((place, Outgoing { frame, asks })) = outbox.pop() else {
            return Ok(Turn::Done);
        };
        let Frame::Packet(mut packet) = frame else {
            return Ok(Turn::Done);
        };
        let dst = packet.flow.dst;
        let mtu = self.net.path_mtu(on, dst).min(packet.mtu.into());
        let whole = udp::split_first(&mut packet, mtu);
        let segment = packet.segment.map(|size| {
            let kind = SegmentKind::Udp;
            Segmentation { kind, size }
        });
        let device = &self.net.interfaces[on.index()].line.capabilities;
        let cost = device.cost(packet.payload.len(), segment);
        // Each fragment is a frame, whether the device takes all of them now or not.
        let frames = match segment {
            None => packet
                .payload
                .len()
                .div_ceil(mtu.saturating_sub(ip::header_len(dst)).max(1)),
            Some(_) => 1,
        };
        let before = self.net.counters.fragments_sent;
        let refused = self.net.send_owned(now, on, packet, out)?.err();
        let line = &mut self.net.interfaces[on.index()].line;
        if let Some(packet) = refused {
            let packet = whole.map_or(packet, |(whole, _)| whole);
            let frame = Frame::Packet(packet);
            line.outbox.put_back(place, Outgoing { frame, asks });
            return Ok(Turn::Full);
        }
        line.outbox_had(cost.max(frames));
        if let Some((_, rest)) = whole {
            let frame = Frame::Packet(rest);
            line.outbox.put_back(place, Outgoing { frame, asks: None });
        }
        self.count_left(now, on, asks);
        budget.spend(cost.max(self.net.fragments_since(before)));
        Ok(Turn::Done)
    }

    /// Sends it from where it waits, if it is no IP packet: what holds one of any kind is several times an ARP packet's size.
    fn transmit_bare<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<Option<Turn>, DeviceError> {
        let line = &mut self.net.interfaces[on.index()].line;
        let Some(Outgoing { frame, asks }) = line.outbox.first() else {
            return Ok(None);
        };
        let (asks, mut cost) = (*asks, 1);
        let sent = match frame {
            Frame::Packet(_) => return Ok(None),
            &Frame::Arp(to, packet) => self.net.send_arp(now, on, to, &packet, out)?,
            Frame::Link {
                to,
                ether_type,
                payload,
            } => {
                cost = line.capabilities.cost(payload.len(), None);
                let (head, payload) = ((*to, *ether_type), payload.clone());
                self.net.send_link(now, on, head, &payload, out)?
            }
        };
        if sent == Delivery::Full {
            return Ok(Some(Turn::Full));
        }
        let line = &mut self.net.interfaces[on.index()].line;
        line.outbox.drop_first();
        line.outbox_had(cost);
        self.count_left(now, on, asks);
        budget.spend(cost);
        Ok(Some(Turn::Done))
    }

    /// A packet of the outbox has left: a question counts from here.
    fn count_left(&mut self, now: Instant, on: InterfaceId, asks: Option<Asks>) {
        if let Some(asks) = asks {
            self.net.asked(now, on, asks);
        }
    }

    /// Gives the first socket in line its turn.
    fn transmit_ready<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<Turn, DeviceError> {
        let Some((ready, had)) = self.net.interfaces[on.index()].line.ready.pop() else {
            return Ok(Turn::Done);
        };
        budget.turn = had;
        let before = budget.left();
        let turn = match ready {
            Ready::Tcp(index) => self.transmit_tcp(now, on, index, out, budget),
            Ready::Udp(index) => self.transmit_udp(now, on, index, out, budget),
            Ready::Farewells => self.transmit_farewells(now, on, out, budget),
            Ready::Transit => self.transmit_transit(now, on, out, budget),
        };
        let line = &mut self.net.interfaces[on.index()].line;
        match turn {
            Ok(SenderTurn::Done | SenderTurn::Waiting) => {
                // Ten thousand that are woken and may not send are a long line as well.
                budget.charge_a_try(before);
                line.socket_had();
                Ok(Turn::Done)
            }
            Ok(SenderTurn::More) => {
                line.ready.push(ready);
                budget.charge_a_try(before);
                line.socket_had();
                Ok(Turn::Done)
            }
            Ok(SenderTurn::Full) => {
                line.ready.push_front(ready, budget.turn);
                Ok(Turn::Full)
            }
            Err(error) => {
                line.ready.push_front(ready, budget.turn);
                Err(error)
            }
        }
    }
}

/// Where frames go of an interface that is not there.
struct Nowhere;

impl Transmit for Nowhere {
    fn transmit(&mut self, _: Instant, _: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        Ok(Sent::Dropped(DeviceDrop::LinkDown))
    }
}

/// How the turn to send ended of one that stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stack) enum SenderTurn {
    /// It has nothing more to send.
    Done,
    /// It has more: back to the end of the line.
    More,
    /// The device is full: it stays first in line, with the rest of its turn.
    Full,
    /// It waits for its neighbour, which will put it in line.
    Waiting,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Done,
    Full,
}
