//! What connections are charged of the stack's memory, and who waits for it.
//!
//! *Owns* the moments at which a connection is told and charged. *Does not* sum up: `stack::memory` does.

use super::Slot;
use super::follow::Around;
use crate::stack::Stack;
use crate::stack::counters::Counters;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::TcpId;
use crate::stack::memory::Memory;
use crate::tcp::Signals;

impl Slot {
    /// Charges what the connection holds now.
    #[inline]
    pub(super) fn charge(&mut self, memory: &mut Memory, counters: &mut Counters) {
        let held = self.connection.held();
        memory.charge(&mut self.charged, held, counters);
        self.connection.rcv.budget = memory.budget();
    }

    /// The same after a call that changed the queues which held `before`, and hold `after` now, and none
    /// beside them: the others are not looked at.
    #[inline]
    pub(super) fn charge_change(
        &mut self,
        [before, after]: [usize; 2],
        memory: &mut Memory,
        counters: &mut Counters,
    ) {
        let held = (self.charged + after).saturating_sub(before);
        memory.charge(&mut self.charged, held, counters);
        self.connection.rcv.budget = memory.budget();
    }

    /// Its writer found no room: is that for lack of memory, and stands it in no line for it yet? Now it does.
    pub(super) fn refuse_writer(&mut self, around: &mut Around<'_>) -> bool {
        let counters = &mut around.net.counters;
        counters.tcp_writes_short_of_memory += u64::from(self.connection.is_short_of_memory());
        self.charge(around.memory, counters);
        self.begins_to_wait()
    }

    /// Was its writer refused for lack of memory, and stands in no line for it yet? Now it does.
    pub(super) fn begins_to_wait(&mut self) -> bool {
        let short = self.connection.take_short_of_memory();
        short && !core::mem::replace(&mut self.waits_for_memory, true)
    }
}

impl Stack {
    /// Puts a writer that was refused in line.
    pub(super) fn wait_for_memory(&mut self, id: TcpId) {
        let slots = &self.tcp.slots;
        self.memory
            .wait(id, slots.len(), |id| slots.get(id).is_some());
    }

    /// In debug builds, recounts what all hold, where they are few.
    pub(super) fn check_memory_of_few(&self) {
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
