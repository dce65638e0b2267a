//! A connection's turn to send.

use core::net::IpAddr;

use bytes::Bytes;

use super::{Cut, Slot, path_mss};
use crate::base::{DropReason, Instant, Protocol};
use crate::device::{Capabilities, DeviceError, Transmit};
use crate::link::{SegmentKind, Segmentation};
use crate::stack::Stack;
use crate::stack::ids::{InterfaceId, TcpId};
use crate::stack::ip::Outbound;
use crate::stack::net::Net;
use crate::stack::packet::{Delivery, Flow, Fragmenting, Summed, Waiter};
use crate::stack::path::Path;
use crate::stack::transmit::{FrameBudget, SenderTurn};
use crate::stack::wheel::TimerKey;
use crate::tcp::{FrameLimit, State, TcpFailure};

/// Frames that one connection offers before the next has its turn.
const TURN: usize = 4;
/// What it spends before that, but for its last frame: what four super-segments of 64 KiB cost where
/// the device takes them whole. Where it does not, one is a turn.
const TURN_COST: usize = 32;

/// Bytes of TCP header and text in the largest super-segment. IPv4's total length counts its header,
/// IPv6's does not: 40 suits both.
const LARGEST: u32 = 65_535 - 40;
/// One segment, whatever its size: several of a peer with a small MSS would fit the MTU.
const ONE_SEGMENT: FrameLimit = FrameLimit {
    bytes: 0,
    segments: 1,
};

impl Stack {
    /// Lets the connection in this slot send; takes what each frame costs off `budget`.
    pub(in crate::stack) fn transmit_tcp<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        index: u32,
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<SenderTurn, DeviceError> {
        // Lines hold slots, and outlive the sockets in them: the slot may be empty by now, or that of a
        // connection over another interface. What TIME-WAIT or nobody answers for any more sends
        // nothing, and its timer is not this turn's to set.
        let Some((id, slot)) = self.tcp.slots.at_mut(index) else {
            return Ok(SenderTurn::Done);
        };
        if slot.path.on != on || !slot.reachable {
            return Ok(SenderTurn::Done);
        }
        if !self.net.paths.is_current(&slot.path) {
            slot.renew_path(now, id, &mut self.net);
        }
        slot.connection.rcv.budget = self.memory.budget();
        let (net, payload) = (&mut self.net, &mut self.tcp.payload);
        let before = slot.connection.held_out();
        let turn = slot.turn(now, id, (net, payload), out, budget);
        if let Some(tally) = slot.connection.stats.drain() {
            net.counters.add_tcp(&tally);
        }
        let after = slot.connection.held_out();
        slot.charge_change([before, after], &mut self.memory, &mut net.counters);
        let deadline = slot.connection.next_timeout();
        net.timers.set(TimerKey::Tcp(index), deadline);
        turn
    }

    /// The neighbour does not answer: a SYN fails for it, anything else counts as lost.
    pub(in crate::stack) fn tcp_neighbour_failed(&mut self, now: Instant, id: TcpId) {
        let Some(slot) = self.tcp.slots.get_mut(id).filter(|slot| slot.reachable) else {
            return;
        };
        let Path { on, flow, .. } = &mut slot.path;
        let on = *on;
        if let Some(next_hop) = self.net.other_gateway(on, flow.dst, flow.next_hop) {
            // RFC 1122 §3.3.1.4: nothing was lost yet, it leaves over another router.
            flow.next_hop = next_hop;
            self.net.wake_tcp(on, id);
            return;
        }
        if matches!(slot.connection.state, State::SynSent) {
            slot.connection.refuse_opening(TcpFailure::HostUnreachable);
            self.net.counters.tcp_connect_failed += 1;
        } else {
            if let Ok(plan) = slot.connection.next_segment(now, ONE_SEGMENT) {
                slot.connection.commit(now, &plan);
            }
        }
        self.after_tcp(now, id);
    }
}

impl Slot {
    /// Something has changed since its path was found.
    #[cold]
    pub(super) fn renew_path(&mut self, now: Instant, id: TcpId, net: &mut Net) {
        let path = net.path_again(&self.path);
        if path.flow.next_hop != self.path.flow.next_hop {
            let Flow { src, next_hop, .. } = self.path.flow;
            net.forget_waiter(path.on, src, next_hop, Waiter::Tcp(id));
        }
        self.path = path;
        if path.is_lost() {
            // RFC 1122 §4.2.3.9: as if a router had said so.
            self.connection.soft_error = Some(TcpFailure::NetworkUnreachable);
        }
        self.fit_to_path(now);
    }

    /// The connection's segments are as large as the path's MTU from now on.
    pub(super) fn fit_to_path(&mut self, now: Instant) {
        self.connection.set_path(now, path_mss(&self.path));
    }

    /// Sends a few segments; takes what each costs off `budget`.
    fn turn<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        id: TcpId,
        (net, payload): (&mut Net, &mut Vec<Bytes>),
        out: &mut T,
        budget: &mut FrameBudget,
    ) -> Result<SenderTurn, DeviceError> {
        let kind = match self.path.flow.src {
            IpAddr::V4(_) => SegmentKind::Tcp4,
            IpAddr::V6(_) => SegmentKind::Tcp6,
        };
        while budget.turn().frames < TURN && budget.turn().cost < TURN_COST && !budget.is_used_up()
        {
            let device = &net.interfaces[self.path.on.index()].line.capabilities;
            let most = frame_limit(device, kind, budget);
            let planned = self.connection.next_segment(now, most);
            // As a reference: a plan is large.
            let Ok(plan) = &planned else {
                return Ok(SenderTurn::Done);
            };
            let mut header = [0; 60];
            let len = self.connection.emit(plan, &mut header, payload);
            let (on, cut): (_, Cut) = (self.path.on, plan.segment());
            let packet = Outbound {
                fragmenting: Fragmenting::Never,
                summed: Summed::Yes,
                mtu: u16::MAX,
                flow: &self.path.flow,
                protocol: Protocol::TCP,
                header: &header[..len],
                payload,
                segment: cut,
                ect: plan.ect,
            };
            let delivery = if self.path.is_lost() {
                net.counters.drops.count(DropReason::NoRoute);
                Ok(Delivery::Dropped)
            } else {
                net.send(now, on, Waiter::Tcp(id), &packet, out)
            };
            payload.clear();
            match delivery? {
                Delivery::Taken | Delivery::Dropped => {
                    self.connection.commit(now, plan);
                    net.counters.tcp_segments_sent += 1;
                    let device = &net.interfaces[on.index()].line.capabilities;
                    let text = usize::try_from(plan.text).unwrap_or(usize::MAX);
                    let segment = cut.map(|size| Segmentation { kind, size });
                    budget.spend(device.cost(text, segment));
                }
                Delivery::Full => return Ok(SenderTurn::Full),
                Delivery::Unresolved => return Ok(SenderTurn::Waiting),
            }
        }
        Ok(SenderTurn::More)
    }
}

/// What one frame may hold: where software cuts it, each of its segments is written by itself, and
/// no more of them are than the budget has left.
fn frame_limit(device: &Capabilities, kind: SegmentKind, budget: &FrameBudget) -> FrameLimit {
    let whole = match kind {
        SegmentKind::Tcp4 => device.tso4,
        _ => device.tso6,
    };
    if !whole {
        return ONE_SEGMENT;
    }
    let segments = if device.cut_in_software.has(kind) {
        u32::try_from(budget.left()).unwrap_or(u32::MAX)
    } else {
        u32::MAX
    };
    FrameLimit {
        bytes: LARGEST,
        segments,
    }
}
