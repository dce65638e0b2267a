//! What connections are charged of the stack's memory, and who waits for it.
//!
//! *Owns* the moments at which a connection is told and charged. *Does not* sum up: `stack::memory` does.

use super::Slot;
use crate::stack::Stack;
use crate::stack::counters::Counters;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::TcpId;
use crate::stack::memory::Memory;
use crate::tcp::Signals;

impl Slot {
    /// Charges what the connection holds now.
    pub(super) fn charge(&mut self, memory: &mut Memory, counters: &mut Counters) {
        let held = self.connection.held();
        memory.charge(&mut self.charged, held, counters);
        self.connection.rcv.budget = memory.budget();
    }
}

impl Stack {
    /// Charges what a call left in a connection's queues, and puts its writer in line.
    pub(super) fn charge_tcp(&mut self, id: TcpId) {
        let Some(slot) = self.tcp.slots.get_mut(id) else {
            return;
        };
        slot.charge(&mut self.memory, &mut self.net.counters);
        if slot.connection.take_short_of_memory() && !slot.waits_for_memory {
            slot.waits_for_memory = true;
            let slots = &self.tcp.slots;
            self.memory
                .wait(id, slots.len(), |id| slots.get(id).is_some());
        }
        // A recount of all: in small worlds only.
        if cfg!(debug_assertions) && self.tcp.slots.len() <= 8 {
            self.check_memory();
        }
    }

    /// Memory is to be had again: the writer that waits for it is told, unless its buffer is full.
    pub(in crate::stack) fn tcp_memory_eased(&mut self, id: TcpId) {
        let Some(slot) = self.tcp.slots.get_mut(id) else {
            return;
        };
        slot.waits_for_memory = false;
        slot.connection.rcv.budget = self.memory.budget();
        slot.connection.on_memory_eased();
        if slot.connection.signals.contains(Signals::WRITABLE) && !slot.connection.orphan {
            slot.connection.signals.remove(Signals::WRITABLE);
            self.events.raise(SocketId::Tcp(id), Readiness::WRITABLE);
        }
    }

    /// What all connections are charged, recounted from what they hold.
    pub(in crate::stack) fn tcp_memory(&self) -> usize {
        let slots = self.tcp.slots.iter();
        slots
            .map(|(_, slot)| {
                let held = slot.connection.held();
                assert_eq!(slot.charged, held, "a connection's charge is what it holds");
                held
            })
            .sum()
    }
}
