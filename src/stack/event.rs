//! What the stack tells its user: which socket became ready, and for what.
//!
//! *Owns* the event queue and each socket's armed bits. *Does not* decide when a socket is ready.
//! Invariants: one entry in the queue for each slot with its bits merged, whoever had the slot since the user
//! polled last, so the queue is as long as there were sockets at a time at most; a bit is told once and again
//! only after [`Events::rearm`], which the call that would block does; but URGENT, of which a connection tells
//! once itself.

use std::collections::VecDeque;

use super::ids::{
    Id, ListenerId, PacketSocketId, PingId, RawId, RawSocketId, TcpId, UdpId, make_room,
};

bitflags::bitflags! {
    /// What a socket is ready for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Readiness: u8 {
        /// A read gives data, the end of the stream, or an error.
        const READABLE = 1;
        /// A write takes data. Of a ping, raw or packet socket: the outbox that refused something has room again.
        const WRITABLE = 1 << 1;
        /// The connection is established.
        const CONNECTED = 1 << 2;
        /// The listener has a connection to accept.
        const ACCEPTABLE = 1 << 3;
        /// Both directions have ended.
        const CLOSED = 1 << 4;
        /// The connection was refused, reset or given up; every call says why.
        const FAILED = 1 << 5;
        /// The peer tells of urgent data, beyond what was read: [`Stack::tcp_urgent`](crate::Stack::tcp_urgent) says how
        /// much. It needs not be armed again: it is told once for all that is urgent without a gap.
        const URGENT = 1 << 6;
    }
}

impl Readiness {
    /// All bits, or none.
    pub(in crate::stack) const fn all_if(ready: bool) -> Self {
        if ready { Self::all() } else { Self::empty() }
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
    /// A raw IP socket.
    Raw(RawSocketId),
    /// A packet socket.
    Packet(PacketSocketId),
}

macro_rules! any_socket {
    ($($of:ident($id:ident)),+) => {
        $(impl From<$id> for SocketId {
            fn from(id: $id) -> Self {
                Self::$of(id)
            }
        })+
    };
}

any_socket!(
    Tcp(TcpId),
    Listener(ListenerId),
    Udp(UdpId),
    Ping(PingId),
    Raw(RawSocketId),
    Packet(PacketSocketId)
);

const KINDS: usize = 6;

/// The kind of a socket: a place in the list of slots.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Tcp,
    Listener,
    Udp,
    Ping,
    Raw,
    Packet,
}

/// A slot, whoever has it.
#[derive(Clone, Copy, Debug)]
struct Place {
    kind: Kind,
    index: u32,
}

impl SocketId {
    fn place(self) -> (Kind, RawId) {
        match self {
            Self::Tcp(id) => (Kind::Tcp, id.raw()),
            Self::Listener(id) => (Kind::Listener, id.raw()),
            Self::Udp(id) => (Kind::Udp, id.raw()),
            Self::Ping(id) => (Kind::Ping, id.raw()),
            Self::Raw(id) => (Kind::Raw, id.raw()),
            Self::Packet(id) => (Kind::Packet, id.raw()),
        }
    }

    fn of(kind: Kind, raw: RawId) -> Self {
        match kind {
            Kind::Tcp => Self::Tcp(TcpId::from_raw(raw)),
            Kind::Listener => Self::Listener(ListenerId::from_raw(raw)),
            Kind::Udp => Self::Udp(UdpId::from_raw(raw)),
            Kind::Ping => Self::Ping(PingId::from_raw(raw)),
            Kind::Raw => Self::Raw(RawSocketId::from_raw(raw)),
            Kind::Packet => Self::Packet(PacketSocketId::from_raw(raw)),
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
    /// Does it stand in the queue? A socket that comes after one that does takes its turn.
    queued: bool,
    pending: Readiness,
    armed: Readiness,
}

/// The queue of events and what each socket waits to be told.
#[derive(Debug, Default)]
pub(crate) struct Events {
    slots: [Vec<Slot>; KINDS],
    queue: VecDeque<Place>,
}

impl Events {
    /// Starts telling about a new socket: every bit is armed.
    pub(crate) fn register(&mut self, id: SocketId) {
        let (kind, raw) = id.place();
        let slots = &mut self.slots[kind as usize];
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
        let slot = &mut slots[raw.index as usize];
        let queued = slot.queued;
        *slot = Slot { queued, ..blank };
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
        slot.armed.remove(new.difference(Readiness::URGENT));
        slot.pending.insert(new);
        if !slot.queued {
            slot.queued = true;
            let (kind, RawId { index, .. }) = id.place();
            self.queue.push_back(Place { kind, index });
        }
    }

    /// Its user has refused nothing yet: these bits need not be told before that.
    pub(crate) fn disarm(&mut self, id: SocketId, ready: Readiness) {
        if let Some(slot) = self.slot(id) {
            slot.armed.remove(ready);
        }
    }

    /// Does its user wait to be told any of these?
    pub(crate) fn is_armed(&self, id: SocketId, ready: Readiness) -> bool {
        let (kind, raw) = id.place();
        let slot = self.slots[kind as usize].get(raw.index as usize);
        slot.is_some_and(|slot| {
            slot.live && slot.generation == raw.generation && slot.armed.intersects(ready)
        })
    }

    /// The user found nothing: these bits are told again when they come true.
    pub(crate) fn rearm(&mut self, id: SocketId, ready: Readiness) {
        if let Some(slot) = self.slot(id) {
            slot.armed.insert(ready);
        }
    }

    /// Places in the queue.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The oldest pending event.
    pub(crate) fn poll(&mut self) -> Option<Event> {
        while let Some(Place { kind, index }) = self.queue.pop_front() {
            let Some(slot) = self.slots[kind as usize].get_mut(index as usize) else {
                continue;
            };
            slot.queued = false;
            let ready = core::mem::take(&mut slot.pending);
            if !ready.is_empty() {
                let generation = slot.generation;
                let id = SocketId::of(kind, RawId { index, generation });
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
        let slot = self.slots[kind as usize].get_mut(raw.index as usize)?;
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
    fn urgent_data_is_told_without_being_armed_again() {
        let mut events = Events::default();
        let id = SocketId::Tcp(TcpId::from_raw(RawId {
            index: 0,
            generation: 0,
        }));
        events.register(id);
        let ready = Readiness::URGENT;
        for _ in 0..3 {
            events.raise(id, ready);
            assert_eq!(events.poll(), Some(Event { id, ready }));
        }
        assert!(events.is_empty());
    }

    #[test]
    fn a_closed_socket_is_told_of_nothing() {
        let mut events = Events::default();
        let id = udp(0, 0);
        events.register(id);
        events.raise(id, Readiness::READABLE);
        events.forget(id);
        events.raise(id, Readiness::WRITABLE);
        assert_eq!(events.poll(), None);
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

    /// A user who polls seldom, and sockets that come and go: a slot stands in the queue once.
    #[test]
    fn sockets_that_are_gone_leave_nothing_in_the_queue() {
        let mut events = Events::default();
        for generation in 0..10_000 {
            for index in 0..3 {
                let id = udp(index, generation);
                events.register(id);
                events.raise(id, Readiness::READABLE);
                events.forget(id);
            }
        }
        assert_eq!(events.queue.len(), 3);
        let [old, new] = [udp(1, 10_000), udp(1, 10_001)];
        events.register(old);
        events.raise(old, Readiness::READABLE);
        events.forget(old);
        events.register(new);
        events.raise(new, Readiness::WRITABLE);
        assert_eq!(events.queue.len(), 3);
        let ready = Readiness::WRITABLE;
        assert_eq!(events.poll(), Some(Event { id: new, ready }));
        assert_eq!(events.poll(), None);
        events.rearm(new, ready);
        events.raise(new, ready);
        assert_eq!(events.poll(), Some(Event { id: new, ready }));
        let entry = size_of::<Slot>() * 9 / 8 + 2 * size_of::<Place>();
        assert!(entry <= 32, "{entry}");
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
