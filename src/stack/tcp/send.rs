//! A connection's turn to send.

use super::{Cut, Slot, frame_bytes};
use crate::base::Instant;
use crate::device::{Capabilities, DeviceError, Transmit};
use crate::stack::Stack;
use crate::stack::ids::{InterfaceId, TcpId};
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
        let Some(id) = self.sender(on, index) else {
            return Ok(SenderTurn::Done);
        };
        let mut sent = 0;
        let turn = loop {
            if *budget == 0 || sent == TURN {
                break Ok(SenderTurn::More);
            }
            match self.transmit_segment(now, on, id, out) {
                Ok(Some(Delivery::Taken | Delivery::Dropped)) => {
                    sent += 1;
                    *budget -= 1;
                }
                Ok(Some(Delivery::Full)) => break Ok(SenderTurn::Full),
                Ok(Some(Delivery::Unresolved)) => break Ok(SenderTurn::Waiting),
                Ok(None) => break Ok(SenderTurn::Done),
                Err(error) => break Err(error),
            }
        };
        if let Some(slot) = self.tcp.slots.get_mut(id) {
            let tally = slot.connection.stats.drain();
            self.net.counters.add_tcp(&tally);
            slot.charge(&mut self.memory, &mut self.net.counters);
            if slot.reachable {
                let deadline = slot.connection.next_timeout();
                self.net.timers.set(TimerKey::Tcp(index), deadline);
            }
        }
        turn
    }

    /// Who stands in line for `on` with this slot. Lines hold slots, and outlive the sockets in them:
    /// the slot may be empty by now, or that of a connection over another interface. What TIME-WAIT
    /// or nobody answers for any more sends nothing, and its timer is not this turn's to set.
    fn sender(&self, on: InterfaceId, index: u32) -> Option<TcpId> {
        let id = self.tcp.slots.id_at(index)?;
        let slot = self.tcp.slots.get(id)?;
        (slot.on == on && slot.reachable).then_some(id)
    }

    /// Plans, writes and offers one segment; `None` when there is nothing to send.
    fn transmit_segment<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        id: TcpId,
        out: &mut T,
    ) -> Result<Option<Delivery>, DeviceError> {
        let Some(slot) = self.tcp.slots.get_mut(id) else {
            return Ok(None);
        };
        slot.connection.rcv.budget = self.memory.budget();
        let most = most_bytes(slot, &self.net.interfaces[on.index()].capabilities);
        let Some(plan) = slot.connection.next_segment(now, most) else {
            return Ok(None);
        };
        let mut header = [0; 60];
        let payload = &mut self.tcp.payload;
        let len = slot.connection.emit(&plan, &mut header, payload);
        let cut: Cut = plan.segment();
        let flow = &slot.flow;
        let delivery = self
            .net
            .send_tcp(now, on, id, flow, &header[..len], payload, cut, out);
        payload.clear();
        let delivery = delivery?;
        if matches!(delivery, Delivery::Taken | Delivery::Dropped) {
            slot.connection.commit(now, &plan);
            self.net.counters.tcp_segments_sent += 1;
        }
        Ok(Some(delivery))
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

/// Bytes of TCP header and text in one frame of this connection.
fn most_bytes(slot: &Slot, capabilities: &Capabilities) -> u32 {
    let super_segments = if slot.flow.src.is_ipv4() {
        capabilities.tso4
    } else {
        capabilities.tso6
    };
    frame_bytes(super_segments)
}
