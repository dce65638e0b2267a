//! A connection's turn to send.

use bytes::Bytes;

use super::{Cut, Slot, frame_bytes};
use crate::base::Instant;
use crate::device::{Capabilities, DeviceError, Transmit};
use crate::stack::Stack;
use crate::stack::ids::{InterfaceId, TcpId};
use crate::stack::net::Net;
use crate::stack::packet::{Delivery, Waiter};
use crate::stack::transmit::SenderTurn;
use crate::stack::wheel::TimerKey;
use crate::tcp::{State, TcpFailure};

// Frames that one connection sends before the next has its turn.
const TURN: usize = 4;

impl Stack {
    /// Lets the connection in this slot send; takes each frame off `budget`.
    pub(in crate::stack) fn transmit_tcp<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        index: u32,
        out: &mut T,
        budget: &mut usize,
    ) -> Result<SenderTurn, DeviceError> {
        // Lines hold slots, and outlive the sockets in them: the slot may be empty by now, or that of a
        // connection over another interface. What TIME-WAIT or nobody answers for any more sends
        // nothing, and its timer is not this turn's to set.
        let Some((id, slot)) = self.tcp.slots.at_mut(index) else {
            return Ok(SenderTurn::Done);
        };
        if slot.on != on || !slot.reachable {
            return Ok(SenderTurn::Done);
        }
        slot.connection.rcv.budget = self.memory.budget();
        let (net, payload) = (&mut self.net, &mut self.tcp.payload);
        let turn = slot.turn(now, id, (net, payload), out, budget);
        net.counters.add_tcp(&slot.connection.stats.drain());
        slot.charge(&mut self.memory, &mut net.counters);
        let deadline = slot.connection.next_timeout();
        net.timers.set(TimerKey::Tcp(index), deadline);
        turn
    }

    /// The neighbour does not answer: a SYN fails for it, anything else counts as lost.
    pub(in crate::stack) fn tcp_neighbour_failed(&mut self, now: Instant, id: TcpId) {
        let Some(slot) = self.tcp.slots.get_mut(id).filter(|slot| slot.reachable) else {
            return;
        };
        let (on, flow) = (slot.on, &mut slot.flow);
        if let Some(next_hop) = self.net.other_gateway(on, flow.dst, flow.next_hop) {
            // RFC 1122 §3.3.1.4: nothing was lost yet, it leaves over another router.
            flow.next_hop = next_hop;
            self.net.wake(on, Waiter::Tcp(id));
            return;
        }
        if matches!(slot.connection.state, State::SynSent) {
            slot.connection.refuse_opening(TcpFailure::HostUnreachable);
            self.net.counters.tcp_connect_failed += 1;
        } else {
            let most = frame_bytes(false);
            if let Some(plan) = slot.connection.next_segment(now, most) {
                slot.connection.commit(now, &plan);
            }
        }
        self.after_tcp(now, id);
    }
}

impl Slot {
    /// Sends a few segments; takes each off `budget`.
    fn turn<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        id: TcpId,
        (net, payload): (&mut Net, &mut Vec<Bytes>),
        out: &mut T,
        budget: &mut usize,
    ) -> Result<SenderTurn, DeviceError> {
        let most = most_bytes(self, &net.interfaces[self.on.index()].capabilities);
        for _ in 0..TURN {
            if *budget == 0 {
                break;
            }
            let Some(plan) = self.connection.next_segment(now, most) else {
                return Ok(SenderTurn::Done);
            };
            let mut header = [0; 60];
            let len = self.connection.emit(&plan, &mut header, payload);
            let (on, cut): (_, Cut) = (self.on, plan.segment());
            let header = &header[..len];
            let delivery = net.send_tcp(now, on, id, &self.flow, header, payload, cut, out);
            payload.clear();
            match delivery? {
                Delivery::Taken | Delivery::Dropped => {
                    self.connection.commit(now, &plan);
                    net.counters.tcp_segments_sent += 1;
                    *budget -= 1;
                }
                Delivery::Full => return Ok(SenderTurn::Full),
                Delivery::Unresolved => return Ok(SenderTurn::Waiting),
            }
        }
        Ok(SenderTurn::More)
    }
}

/// Bytes of TCP header and text in one frame of this connection.
fn most_bytes(slot: &Slot, capabilities: &Capabilities) -> u32 {
    let super_segments = if slot.flow.src.is_ipv4() {
        capabilities.tso4
    } else {
        capabilities.tso6
    };
    frame_bytes(super_segments)
}
