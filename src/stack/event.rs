//! What the stack tells its user: which socket became ready, and for what.
//!
//! *Owns* the event queue and each socket's armed bits. *Does not* decide when a socket is ready.
//! Invariants: one pending entry per id with its bits merged, so the queue is as long as there are
//! sockets at most; a bit is told once and again only after [`Events::rearm`], which the call that
//! would block does.

use std::collections::VecDeque;

use super::ids::{Id, ListenerId, PingId, RawId, TcpId, UdpId, make_room};

bitflags::bitflags! {
    /// What a socket is ready for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Readiness: u8 {
        /// A read gives data, the end of the stream, or an error.
        const READABLE = 1;
        /// A write takes data.
        const WRITABLE = 1 << 1;
        /// The connection is established.
        const CONNECTED = 1 << 2;
        /// The listener has a connection to accept.
        const ACCEPTABLE = 1 << 3;
        /// Both directions have ended.
        const CLOSED = 1 << 4;
        /// The connection was refused, reset or given up; every call says why.
        const FAILED = 1 << 5;
    }
}

/// Any socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SocketId {
    /// A TCP connection.
    Tcp(TcpId),
    /// A TCP listener.
    Listener(ListenerId),
    /// A UDP socket.
    Udp(UdpId),
    /// An ICMP echo socket.
    Ping(PingId),
}

const KINDS: usize = 4;

impl SocketId {
    fn place(self) -> (usize, RawId) {
        match self {
            Self::Tcp(id) => (0, id.raw()),
            Self::Listener(id) => (1, id.raw()),
            Self::Udp(id) => (2, id.raw()),
            Self::Ping(id) => (3, id.raw()),
        }
    }
}

/// One socket became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Which socket.
    pub id: SocketId,
    /// For what; the bits of all that happened since its last event.
    pub ready: Readiness,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    generation: u32,
    live: bool,
    queued: bool,
    pending: Readiness,
    armed: Readiness,
}

/// The queue of events and what each socket waits to be told.
#[derive(Debug, Default)]
pub(crate) struct Events {
    slots: [Vec<Slot>; KINDS],
    queue: VecDeque<SocketId>,
}

impl Events {
    /// Starts telling about a new socket: every bit is armed.
    pub(crate) fn register(&mut self, id: SocketId) {
        let (kind, raw) = id.place();
        let slots = &mut self.slots[kind];
        let blank = Slot {
            generation: raw.generation,
            live: true,
            queued: false,
            pending: Readiness::empty(),
            armed: Readiness::all(),
        };
        while slots.len() <= raw.index as usize {
            make_room(slots, 1);
            slots.push(Slot {
                live: false,
                ..blank
            });
        }
        slots[raw.index as usize] = blank;
    }

    /// Stops telling about a socket that was closed; what is pending is not told any more.
    pub(crate) fn forget(&mut self, id: SocketId) {
        if let Some(slot) = self.slot(id) {
            slot.live = false;
            slot.pending = Readiness::empty();
        }
    }

    /// Tells those of `ready` that are armed, and disarms them.
    pub(crate) fn raise(&mut self, id: SocketId, ready: Readiness) {
        let Some(slot) = self.slot(id) else { return };
        let new = ready & slot.armed;
        if new.is_empty() {
            return;
        }
        slot.armed.remove(new);
        slot.pending.insert(new);
        if !slot.queued {
            slot.queued = true;
            self.queue.push_back(id);
        }
    }

    /// The user found nothing: these bits are told again when they come true.
    pub(crate) fn rearm(&mut self, id: SocketId, ready: Readiness) {
        if let Some(slot) = self.slot(id) {
            slot.armed.insert(ready);
        }
    }

    /// The oldest pending event.
    pub(crate) fn poll(&mut self) -> Option<Event> {
        while let Some(id) = self.queue.pop_front() {
            let Some(slot) = self.slot(id) else { continue };
            slot.queued = false;
            let ready = core::mem::take(&mut slot.pending);
            if !ready.is_empty() {
                return Some(Event { id, ready });
            }
        }
        None
    }

    /// Is there nothing to tell?
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn slot(&mut self, id: SocketId) -> Option<&mut Slot> {
        let (kind, raw) = id.place();
        let slot = self.slots[kind].get_mut(raw.index as usize)?;
        (slot.live && slot.generation == raw.generation).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(index: u32, generation: u32) -> SocketId {
        SocketId::Udp(UdpId::from_raw(RawId { index, generation }))
    }

    #[test]
    fn bits_merge_and_are_told_once_until_armed_again() {
        let mut events = Events::default();
        let id = udp(3, 0);
        events.register(id);
        events.raise(id, Readiness::READABLE);
        events.raise(id, Readiness::WRITABLE);
        events.raise(id, Readiness::READABLE);
        let ready = Readiness::READABLE | Readiness::WRITABLE;
        assert_eq!(events.poll(), Some(Event { id, ready }));
        assert_eq!(events.poll(), None);
        events.raise(id, Readiness::READABLE);
        assert_eq!(events.poll(), None, "edge-triggered");
        events.rearm(id, Readiness::READABLE);
        events.raise(id, Readiness::READABLE | Readiness::WRITABLE);
        let ready = Readiness::READABLE;
        assert_eq!(events.poll(), Some(Event { id, ready }));
        assert!(events.is_empty());
    }

    #[test]
    fn a_closed_socket_and_its_successor_are_not_mixed() {
        let mut events = Events::default();
        let (old, new) = (udp(0, 0), udp(0, 1));
        events.register(old);
        events.raise(old, Readiness::READABLE);
        events.forget(old);
        events.register(new);
        events.raise(old, Readiness::WRITABLE);
        assert_eq!(events.poll(), None);
        events.raise(new, Readiness::WRITABLE);
        let ready = Readiness::WRITABLE;
        assert_eq!(events.poll(), Some(Event { id: new, ready }));
    }

    #[test]
    fn the_queue_holds_one_entry_per_socket() {
        let mut events = Events::default();
        for index in 0..10 {
            events.register(udp(index, 0));
        }
        for round in 0..1000u32 {
            let id = udp(round % 10, 0);
            events.rearm(id, Readiness::all());
            events.raise(id, Readiness::READABLE);
        }
        assert_eq!(core::iter::from_fn(|| events.poll()).count(), 10);
    }
}
