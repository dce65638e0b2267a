//! What is passed on and waits for its device.
//!
//! *Owns* the bound: whoever finds no room is dropped, the pieces of a packet together. *Does not* send. Invariant: a step costs
//! the same however many wait.

use std::collections::VecDeque;

use super::packet::Transit;

/// *Fixed*: packets for each interface, Linux's `txqueuelen`.
pub(in crate::stack) const PACKETS: usize = 1000;
/// *Fixed*: bytes of them. Half a millisecond of 40 Gbit/s, a fifth of a second of 100 Mbit/s.
pub(in crate::stack) const BYTES: usize = 2 << 20;

/// First in, first out.
#[derive(Debug, Default)]
pub(in crate::stack) struct Queue {
    list: VecDeque<Transit>,
    bytes: usize,
    /// The device took the last one offered not.
    blocked: bool,
    /// Was it crowded when it was last looked at?
    crowded: bool,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Last,
    /// It came before all others, and waited elsewhere.
    First,
}

impl Queue {
    /// Puts a packet there, if there is room; says whether there was.
    pub(super) fn push(&mut self, transit: Transit, place: Place) -> bool {
        let room = self.has_room(1, transit.len());
        if room {
            self.bytes += transit.len();
            match place {
                Place::Last => self.list.push_back(transit),
                Place::First => self.list.push_front(transit),
            }
        }
        room
    }

    /// All of these in their order, or none.
    pub(super) fn push_all(&mut self, all: Vec<Transit>, place: Place) -> bool {
        let bytes = all.iter().map(Transit::len).sum();
        let room = self.has_room(all.len(), bytes);
        if room {
            self.bytes += bytes;
            match place {
                Place::Last => self.list.extend(all),
                Place::First => all
                    .into_iter()
                    .rev()
                    .for_each(|transit| self.list.push_front(transit)),
            }
        }
        room
    }

    /// What the device said to the last one offered.
    pub(super) const fn set_blocked(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// Looks whether more waits than should, behind a device that takes what it is offered: by how much that changes the
    /// number of such queues.
    pub(super) fn look(&mut self) -> isize {
        let crowded = self.bytes > BYTES / 2 && !self.blocked;
        let before = core::mem::replace(&mut self.crowded, crowded);
        isize::from(crowded) - isize::from(before)
    }

    fn has_room(&self, packets: usize, bytes: usize) -> bool {
        self.list.len() + packets <= PACKETS && self.bytes + bytes <= BYTES
    }

    /// The first.
    #[inline]
    pub(super) fn first(&mut self) -> Option<&mut Transit> {
        self.list.front_mut()
    }

    /// Takes the first out.
    #[inline]
    pub(super) fn take_first(&mut self) -> Option<Transit> {
        let first = self.list.pop_front()?;
        self.bytes -= first.len();
        Some(first)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets all; says how many there were.
    pub(super) fn clear(&mut self) -> usize {
        (self.bytes, self.blocked) = (0, false);
        core::mem::take(&mut self.list).len()
    }

    /// How many wait, and their bytes.
    pub(in crate::stack) fn held(&self) -> (usize, usize) {
        (self.list.len(), self.bytes)
    }
}
