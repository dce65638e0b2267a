//! The sockets of one interface that have something to send, each once, in turn.
//!
//! *Owns* the order of turns, and what the first in line has had of a turn that a full device
//! cut short (its slot's next socket, should that come into its place, has the rest). *Does not* know what a socket
//! sends, nor whether it is still there: who takes an entry checks that its slot's socket sends over this interface. Constant work per
//! operation.

use std::collections::VecDeque;

/// A socket with something to send, by its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ready {
    /// A TCP connection.
    Tcp(u32),
    /// A UDP socket.
    Udp(u32),
    /// All RSTs that are owed over this interface, together: however many they are, others have
    /// their turn between a few of them.
    Farewells,
    /// All that is passed on over this interface, together.
    Transit,
}

const KINDS: usize = 4;

impl Ready {
    const fn place(self) -> (usize, usize) {
        match self {
            Self::Tcp(index) => (0, index as usize),
            Self::Udp(index) => (1, index as usize),
            Self::Farewells => (2, 0),
            Self::Transit => (3, 0),
        }
    }
}

/// What somebody has had of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Had {
    pub(crate) frames: usize,
    /// In small frames ([`Capabilities::cost`](crate::device::Capabilities::cost)).
    pub(crate) cost: usize,
}

/// A queue in which each entry stands at most once.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    queue: VecDeque<Ready>,
    /// Of the first in line, whose turn goes on.
    had: Had,
    queued: [Vec<u64>; KINDS],
}

impl ReadyList {
    /// Puts `entry` last in line unless it stands in line already.
    #[inline]
    pub(crate) fn push(&mut self, entry: Ready) {
        if self.mark(entry) {
            self.queue.push_back(entry);
        }
    }

    /// Puts `entry` first in line, where its turn goes on: the device was full in the middle of it, after
    /// so much. Were that a new turn, whoever has enough to send would never come to the end of one with a
    /// device that has room for a few frames at a time.
    pub(crate) fn push_front(&mut self, entry: Ready, had: Had) {
        if self.mark(entry) {
            self.queue.push_front(entry);
            self.had = had;
        }
    }

    /// Takes the first in line, and what it has had of this turn.
    pub(crate) fn pop(&mut self) -> Option<(Ready, Had)> {
        let entry = self.queue.pop_front()?;
        let (kind, index) = entry.place();
        self.queued[kind][index / 64] &= !(1 << (index % 64));
        Some((entry, core::mem::take(&mut self.had)))
    }

    /// Does nobody wait?
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Entries in line.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Entries and words that it has room for.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        let bits = self.queued.iter().map(Vec::capacity);
        self.queue.capacity() + bits.sum::<usize>()
    }

    #[inline]
    fn mark(&mut self, entry: Ready) -> bool {
        let (kind, index) = entry.place();
        let words = &mut self.queued[kind];
        let bit = 1 << (index % 64);
        let Some(word) = words.get_mut(index / 64) else {
            words.resize(index / 64 + 1, 0);
            words[index / 64] = bit;
            return true;
        };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_in_line_once_and_may_come_back() {
        let (mut list, none) = (ReadyList::default(), Had::default());
        list.push(Ready::Tcp(70));
        list.push(Ready::Udp(70));
        list.push(Ready::Tcp(70));
        assert_eq!(list.len(), 2);
        assert_eq!(list.pop(), Some((Ready::Tcp(70), none)));
        list.push(Ready::Tcp(70));
        let had = Had { frames: 1, cost: 2 };
        list.push_front(Ready::Tcp(1), had);
        assert_eq!(list.pop(), Some((Ready::Tcp(1), had)));
        assert_eq!(list.pop(), Some((Ready::Udp(70), none)));
        // Whom somebody put in line meanwhile has a turn of his own.
        list.push_front(Ready::Tcp(70), had);
        assert_eq!(list.pop(), Some((Ready::Tcp(70), none)));
        assert!(list.pop().is_none() && list.is_empty());
    }
}
