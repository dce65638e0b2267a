//! What follows a call into a connection: its charge, events, timer, counters and places in line; and its
//! end.
//!
//! A socket is looked up once for each call: then its slot is passed, with the parts of the stack that
//! are not slots. What needs another slot, or the whole stack, is left as a [`Rest`] for when the slot has
//! been let go. *Owns* the order of all that. *Does not* know TCP's rules.

use super::warm::Lines;
use super::{Slot, Tcp, headers_of, readiness};
use crate::base::Instant;
use crate::stack::Stack;
use crate::stack::event::{Events, SocketId};
use crate::stack::ids::{Id, Slab, StaleId, TcpId};
use crate::stack::memory::Memory;
use crate::stack::net::Net;
use crate::stack::path::FoundMtu;
use crate::stack::wheel::TimerKey;
use crate::tcp::{Found, State};

/// The parts of a stack that a connection's call may concern beside its slot.
pub(super) struct Around<'a> {
    pub(super) net: &'a mut Net,
    pub(super) events: &'a mut Events,
    pub(super) memory: &'a mut Memory,
    pub(super) lines: &'a mut Lines,
}

/// What is left to do once the slot has been let go.
#[must_use]
pub(super) struct Rest {
    next: Next,
    /// A writer was refused for lack of memory.
    waits_for_memory: bool,
}

/// How a connection goes on.
enum Next {
    /// As it is.
    Same,
    Closed,
    /// As a TIME-WAIT record.
    TimeWait,
    /// As a FIN-WAIT-2 record.
    FinWait,
}

impl Slot {
    /// Does everything that follows a call and concerns this connection alone.
    pub(super) fn follow(&mut self, id: TcpId, around: &mut Around<'_>) -> Rest {
        self.charge(around.memory, &mut around.net.counters);
        if let Some(tally) = self.connection.stats.drain() {
            around.net.counters.add_tcp(&tally);
        }
        self.follow_charged(id, around)
    }

    /// The same, but that it has been charged already, and counted nothing that the stack sums up.
    pub(super) fn follow_charged(&mut self, id: TcpId, around: &mut Around<'_>) -> Rest {
        let waits_for_memory = self.begins_to_wait();
        if self.connection.path.is_in_doubt() {
            self.tell_path(around.net);
        }
        let connection = &mut self.connection;
        let signals = core::mem::take(&mut connection.signals);
        let orphan = connection.orphan;
        if !signals.is_empty() && !orphan {
            around.events.raise(SocketId::Tcp(id), readiness(signals));
        }
        let next = match connection.state {
            State::Closed => Next::Closed,
            State::TimeWait => Next::TimeWait,
            State::FinWait2 if orphan => Next::FinWait,
            _ => {
                let deadline = connection.next_timeout();
                around.net.timers.set(TimerKey::Tcp(id.index()), deadline);
                around.net.wake_tcp(self.path.on, id);
                self.warm(id, around.net.counters.rx_bytes, around.lines);
                Next::Same
            }
        };
        Rest {
            next,
            waits_for_memory,
        }
    }
}

impl Slot {
    /// What the connection found of its path, all who use it learn.
    #[cold]
    fn tell_path(&mut self, net: &mut Net) {
        let ip = self.path.flow.dst;
        let headers = u16::try_from(headers_of(ip)).unwrap_or(u16::MAX);
        let mtu = |mss: u16| mss.saturating_add(headers);
        let found = match self.connection.path.take_news() {
            None => return,
            Some(Found::Narrow(mss)) => FoundMtu::Narrow(mtu(mss)),
            Some(Found::Carries(mss)) => FoundMtu::Carries(mtu(mss)),
            Some(Found::Settled(mss)) => FoundMtu::Settled(mtu(mss)),
            Some(Found::All) => FoundMtu::All,
        };
        net.path_found(self.path.on, ip, found);
    }
}

impl Tcp {
    /// A slot that a user may name; an orphan is nobody's any more.
    fn live_slot(slots: &mut Slab<TcpId, Slot>, id: TcpId) -> Result<&mut Slot, StaleId> {
        slots
            .get_mut(id)
            .filter(|slot| !slot.connection.orphan)
            .ok_or(StaleId)
    }
}

impl Stack {
    /// All connections, and what is around them.
    pub(super) fn slots_and_around(&mut self) -> (&mut Slab<TcpId, Slot>, Around<'_>) {
        let around = Around {
            net: &mut self.net,
            events: &mut self.events,
            memory: &mut self.memory,
            lines: &mut self.tcp.lines,
        };
        (&mut self.tcp.slots, around)
    }

    /// The connection that a user names, about to be called.
    pub(super) fn live_tcp(&mut self, id: TcpId) -> Result<(&mut Slot, Around<'_>), StaleId> {
        let (slots, around) = self.slots_and_around();
        let slot = Tcp::live_slot(slots, id)?;
        slot.connection.rcv.budget = around.memory.budget();
        Ok((slot, around))
    }

    /// Everything that follows a call into the connection `id`, for who has not its slot.
    pub(super) fn after_tcp(&mut self, now: Instant, id: TcpId) {
        let (slots, mut around) = self.slots_and_around();
        if let Some(slot) = slots.get_mut(id) {
            let rest = slot.follow(id, &mut around);
            self.finish(now, id, &rest);
        }
    }

    /// Does what is left of a call.
    #[inline]
    pub(super) fn finish(&mut self, now: Instant, id: TcpId, rest: &Rest) {
        self.check_memory_of_few();
        if matches!(rest.next, Next::Same) {
            self.look_at_lines();
        }
        if rest.waits_for_memory || !matches!(rest.next, Next::Same) {
            self.finish_rarely(now, id, rest);
        }
    }

    #[cold]
    fn finish_rarely(&mut self, now: Instant, id: TcpId, rest: &Rest) {
        if rest.waits_for_memory {
            self.wait_for_memory(id);
        }
        match rest.next {
            Next::Same => {}
            Next::Closed => self.end_tcp(id),
            Next::TimeWait => self.enter_time_wait(now, id),
            Next::FinWait => self.enter_fin_wait(now, id),
        }
    }
}
