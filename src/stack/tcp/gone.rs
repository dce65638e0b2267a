//! What of TCP's has lost its address, one slot after the other.
//!
//! *Owns* how each kind of record ends then: without a RST, which would leave from an address that is not ours, and without
//! TIME-WAIT, whose segments do not come any more. *Does not* know when to look: `reconfigure::sweep` does.

use super::Listener;
use crate::base::Instant;
use crate::stack::Stack;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::{InterfaceId, ListenerId};
use crate::stack::reconfigure::Table;

impl Stack {
    /// Looks at one slot of one table of TCP's; `false` beyond the last.
    pub(in crate::stack) fn tcp_sweep(&mut self, now: Instant, table: Table, index: usize) -> bool {
        let Ok(slot) = u32::try_from(index) else {
            return false;
        };
        let places = match table {
            Table::Connections => {
                self.sweep_connection(now, slot);
                self.tcp.slots.places()
            }
            Table::HalfOpen => {
                self.sweep_half_open(slot);
                self.tcp.half_open.places()
            }
            Table::TimeWait => {
                self.sweep_time_wait(slot);
                self.tcp.time_wait.places()
            }
            Table::FinWait => {
                self.sweep_fin_wait(slot);
                self.tcp.fin_wait.places()
            }
            Table::Farewells => {
                self.sweep_farewell(slot);
                self.tcp.farewells.places()
            }
            Table::Listeners => {
                self.sweep_listener(slot);
                self.tcp.listeners.places()
            }
            Table::Udp | Table::Raw | Table::Lines => 0,
        };
        index < places
    }

    fn sweep_connection(&mut self, now: Instant, index: u32) {
        let found = self.tcp.slots.at_mut(index);
        let Some((id, slot)) = found.filter(|(_, slot)| slot.reachable) else {
            return;
        };
        if self.net.has_lost(slot.path.flow.src, slot.path.on) {
            slot.connection.lose_address();
            self.net.counters.tcp_addresses_gone += 1;
            self.after_tcp(now, id);
        }
    }

    fn sweep_half_open(&mut self, index: u32) {
        if let Some((raw, slot)) = self.tcp.half_open.at(index)
            && self.net.has_lost(slot.tuple.local.ip, slot.on)
        {
            self.end_half_open(raw);
        }
    }

    fn sweep_time_wait(&mut self, index: u32) {
        if let Some((name, _)) = self.tcp.time_wait.get(index)
            && self.net.has_lost(name.tuple.local.ip, name.on)
        {
            self.remove_time_wait(index);
            self.set_time_wait_timer();
        }
    }

    fn sweep_fin_wait(&mut self, index: u32) {
        if let Some((raw, slot)) = self.tcp.fin_wait.at(index)
            && self.net.has_lost(slot.tuple.local.ip, slot.on)
        {
            self.end_fin_wait(raw);
        }
    }

    fn sweep_farewell(&mut self, index: u32) {
        if let Some((raw, farewell)) = self.tcp.farewells.at(index)
            && self.net.has_lost(farewell.local(), farewell.on())
        {
            self.remove_farewell(raw);
        }
    }

    /// A listener stays, for its address may come back; whoever waits for it is told to ask.
    fn sweep_listener(&mut self, index: u32) {
        if let Some(id) = self.tcp.listeners.id_at(index)
            && self.listener_has_lost(id)
        {
            let told = Readiness::ACCEPTABLE | Readiness::FAILED;
            self.events.raise(SocketId::Listener(id), told);
        }
    }

    /// Is a listener bound to an address that is ours no more, or to an interface that was taken away?
    pub(super) fn listener_has_lost(&self, id: ListenerId) -> bool {
        let removed = |on: InterfaceId| self.net.interfaces.is_removed(on.index());
        let lost = |listener: &Listener| {
            listener.on.is_some_and(removed) || self.net.has_lost_local(listener.local)
        };
        self.tcp.listeners.get(id).is_some_and(lost)
    }
}
