//! What waits until an entry is resolved.
//!
//! *Owns* the packets and the names of the sockets, one for each unresolved entry at most, and who gives way among the packets.
//! *Does not* bound the entries: the table does. What is passed on gives way to what is our own, and has half of the room at most.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::{Effect, Neighbours};
use crate::stack::ids::{InterfaceId, RawId};
use crate::stack::packet::{OwnedPacket, Waiter};

/// *Fixed*: payload bytes of the one packet that a neighbour keeps when all queues together are full: more than most
/// links carry at once.
const LAST_PACKET: usize = 2048;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) queue: VecDeque<OwnedPacket>,
    pub(super) sockets: BTreeSet<Waiter>,
}

impl Waiting {
    /// Payload bytes that wait.
    pub(super) fn payload_bytes(&self) -> usize {
        self.queue.iter().map(|packet| packet.payload.len()).sum()
    }

    /// Those of packets that are passed on.
    pub(super) fn transit_bytes(&self) -> usize {
        self.queue.iter().map(transit_bytes).sum()
    }

    /// Takes the packet away that gives way to another: one that is passed on before our own. `None`: the newcomer is one, and
    /// there are only our own.
    fn give_way(&mut self, to_transit: bool) -> Option<OwnedPacket> {
        match self.queue.iter().position(OwnedPacket::is_transit) {
            Some(at) => self.queue.remove(at),
            None if to_transit => None,
            None => self.queue.pop_front(),
        }
    }
}

fn transit_bytes(packet: &OwnedPacket) -> usize {
    if packet.is_transit() {
        packet.payload.len()
    } else {
        0
    }
}

impl Neighbours {
    /// Queues a packet for an unresolved entry; the oldest gives way (RFC 4861 §7.2.2). Its payload is
    /// copied, for it may be a small part of a large buffer, but for what is passed on.
    pub(crate) fn queue(&mut self, id: RawId, mut packet: OwnedPacket) {
        let (len, is_transit) = (packet.payload.len(), packet.is_transit());
        // What strangers send over us leaves our own half of the room.
        let has_room = match is_transit {
            true => self.transit + len <= self.queue_bytes / 2,
            false => self.queued + len <= self.queue_bytes,
        };
        let fits = match is_transit {
            true => has_room || len <= LAST_PACKET,
            false => self.queued <= self.queue_bytes || len <= LAST_PACKET,
        };
        let entry = self.entries.get_mut(id);
        let Some(entry) = entry.filter(|_| fits) else {
            self.effects.push_back(Effect::Drop);
            return;
        };
        let waiting = entry.waiting.get_or_insert_default();
        // Each neighbour keeps its last packet, whatever the others hold (r60), but none that goes in many fragments.
        let most = if has_room { self.queue_limit } else { 1 };
        // They go first: a queue that is full would keep the room of twice as many.
        while waiting.queue.len() >= most {
            let Some(gone) = waiting.give_way(is_transit) else {
                self.effects.push_back(Effect::Drop);
                return;
            };
            self.queued -= gone.payload.len();
            self.transit -= transit_bytes(&gone);
            self.effects.push_back(Effect::Drop);
        }
        // What is passed on was put together for this: it is a part of nothing.
        if !is_transit {
            packet.payload = Bytes::copy_from_slice(&packet.payload);
        }
        self.queued += len;
        self.transit += transit_bytes(&packet);
        waiting.queue.push_back(packet);
    }

    /// What is passed on over this interface does not wait any more; says how many did. Walks the table.
    pub(crate) fn drop_transit(&mut self, on: InterfaceId) -> usize {
        let mut gone = 0;
        for entry in self.entries.iter_mut() {
            let Some(waiting) = entry.waiting.as_mut().filter(|_| entry.key.0 == on) else {
                continue;
            };
            let (bytes, before) = (waiting.transit_bytes(), waiting.queue.len());
            waiting.queue.retain(|packet| !packet.is_transit());
            gone += before - waiting.queue.len();
            self.queued -= bytes;
            self.transit -= bytes;
        }
        gone
    }
}
