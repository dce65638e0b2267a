//! Generational ids and the slab that gives them out; interface numbers.
//!
//! *Owns* every id type of the public API. *Does not* know what the ids stand for.
//! Invariant: an id that was given up is never valid again: its slot's generation has moved on, and a
//! slot whose generations are used up is retired.

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU32;

use std::io;

/// The number of an interface, from 1: the scope id of its link-local addresses (RFC 4007 §6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(NonZeroU32);

impl InterfaceId {
    /// Where what the stack sends to itself arrives: the interface of 127.0.0.0/8 and `::1`, which every stack
    /// has and no device belongs to. Its own addresses are reached over it as well.
    pub const LOOPBACK: Self = Self(NonZeroU32::MAX);

    /// The interface with this scope id; `None` for 0, which names no interface.
    pub fn from_scope(scope: u32) -> Option<Self> {
        NonZeroU32::new(scope).map(Self)
    }

    /// The scope id of link-local addresses on this interface.
    pub const fn scope(self) -> u32 {
        self.0.get()
    }

    pub(crate) fn from_index(index: usize) -> Self {
        let number = u32::try_from(index).unwrap_or(u32::MAX - 1);
        Self(NonZeroU32::MIN.saturating_add(number))
    }

    pub(crate) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// As a number, for a journal.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.scope())
    }
}

impl fmt::Debug for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InterfaceId({})", self.0)
    }
}

/// A call named a socket that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the socket was closed")]
pub struct StaleId;

impl From<StaleId> for io::Error {
    fn from(stale: StaleId) -> Self {
        Self::new(io::ErrorKind::NotConnected, stale)
    }
}

/// A slot of a slab and which of its lives is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RawId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl RawId {
    fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    fn from_bits(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Self {
            index: half(bits),
            generation: half(bits >> 32),
        }
    }
}

impl fmt::Debug for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// What a slab can give out: a wrapper of [`RawId`].
pub(crate) trait Id: Copy {
    fn from_raw(raw: RawId) -> Self;
    fn raw(self) -> RawId;

    fn index(self) -> u32 {
        self.raw().index
    }
}

impl Id for RawId {
    fn from_raw(raw: RawId) -> Self {
        raw
    }

    fn raw(self) -> RawId {
        self
    }
}

macro_rules! socket_ids {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(RawId);

        impl Id for $name {
            fn from_raw(raw: RawId) -> Self {
                Self(raw)
            }

            fn raw(self) -> RawId {
                self.0
            }
        }

        impl $name {
            /// As a number, for a journal.
            pub(crate) fn to_bits(self) -> u64 {
                self.0.to_bits()
            }

            /// What [`to_bits`](Self::to_bits) gave.
            pub(crate) fn from_bits(bits: u64) -> Self {
                Self(RawId::from_bits(bits))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
    )+};
}

socket_ids! {
    /// A TCP connection.
    TcpId,
    /// A TCP listener.
    ListenerId,
    /// A connection request that waits for the listener's user.
    RequestId,
    /// A UDP socket.
    UdpId,
    /// A socket that sends ICMP echo requests.
    PingId,
    /// A raw IP socket.
    RawSocketId,
    /// A packet socket.
    PacketSocketId,
}

/// Makes room for `more` values, an eighth beyond what is there: a table that doubles wastes as much
/// as it holds, and these have an entry per connection.
pub(crate) fn make_room<T>(values: &mut Vec<T>, more: usize) {
    if values.capacity() - values.len() < more {
        values.reserve_exact(more.max(values.len() / 8).max(8));
    }
}

/// Values in reused slots, each found by a generational id.
#[derive(Debug)]
pub(crate) struct Slab<I, T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    len: usize,
    ids: PhantomData<fn() -> I>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<I: Id, T> Default for Slab<I, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Id, T> Slab<I, T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            len: 0,
            ids: PhantomData,
        }
    }

    /// Values in it.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The most values that were in it at a time: its places, free ones included.
    pub(crate) const fn places(&self) -> usize {
        self.slots.len()
    }

    /// The id that the next [`insert`](Self::insert) gives.
    pub(crate) fn next_id(&self) -> I {
        let index = self.free.last().copied();
        let index = index.unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let generation = self
            .slots
            .get(index as usize)
            .map_or(0, |slot| slot.generation);
        I::from_raw(RawId { index, generation })
    }

    /// Puts a value in a free slot.
    pub(crate) fn insert(&mut self, value: T) -> I {
        let id = self.next_id();
        if self.free.pop().is_some() {
            self.slots[id.index() as usize].value = Some(value);
        } else {
            make_room(&mut self.slots, 1);
            self.slots.push(Slot {
                generation: 0,
                value: Some(value),
            });
        }
        self.len += 1;
        id
    }

    pub(crate) fn get(&self, id: I) -> Option<&T> {
        let RawId { index, generation } = id.raw();
        let slot = self.slots.get(index as usize)?;
        slot.value
            .as_ref()
            .filter(|_| slot.generation == generation)
    }

    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let RawId { index, generation } = id.raw();
        let slot = self.slots.get_mut(index as usize)?;
        slot.value
            .as_mut()
            .filter(|_| slot.generation == generation)
    }

    /// The value that is in the slot `index` now, and its id.
    pub(crate) fn at(&self, index: u32) -> Option<(I, &T)> {
        let slot = self.slots.get(index as usize)?;
        let generation = slot.generation;
        let id = I::from_raw(RawId { index, generation });
        slot.value.as_ref().map(|value| (id, value))
    }

    /// The same, to be changed.
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<(I, &mut T)> {
        let slot = self.slots.get_mut(index as usize)?;
        let generation = slot.generation;
        let id = I::from_raw(RawId { index, generation });
        slot.value.as_mut().map(|value| (id, value))
    }

    /// The id of the value that is in the slot `index` now.
    pub(crate) fn id_at(&self, index: u32) -> Option<I> {
        self.at(index).map(|(id, _)| id)
    }

    /// Takes a value out; its id is stale from here on.
    #[inline]
    pub(crate) fn remove(&mut self, id: I) -> Option<T> {
        let value = self.named(id)?.take()?;
        self.retire(id);
        Some(value)
    }

    /// Drops a value where it lies; its id is stale from here on. Was there one?
    pub(crate) fn discard(&mut self, id: I) -> bool {
        let there = self.named(id).is_some_and(|value| {
            let there = value.is_some();
            *value = None;
            there
        });
        if there {
            self.retire(id);
        }
        there
    }

    /// What this id still names.
    #[inline]
    fn named(&mut self, id: I) -> Option<&mut Option<T>> {
        let RawId { index, generation } = id.raw();
        let slot = self.slots.get_mut(index as usize)?;
        (slot.generation == generation).then_some(&mut slot.value)
    }

    /// The slot of a value that has just gone is free for another life, if it has one left.
    #[inline]
    fn retire(&mut self, id: I) {
        let RawId { index, generation } = id.raw();
        self.len -= 1;
        if let Some(next) = generation.checked_add(1) {
            self.slots[index as usize].generation = next;
            self.free.push(index);
        }
    }

    /// All values in the order of their slots, to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.value.as_mut())
    }

    /// All values in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.iter_from(0)
    }

    /// Those from this slot on.
    pub(crate) fn iter_from(&self, first: usize) -> impl Iterator<Item = (I, &T)> {
        let slots = self.slots.get(first..).unwrap_or_default();
        (first..).zip(slots).filter_map(|(index, slot)| {
            let index = u32::try_from(index).ok()?;
            let generation = slot.generation;
            let id = I::from_raw(RawId { index, generation });
            slot.value.as_ref().map(|value| (id, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stale_id_never_finds_the_slots_next_value() {
        let mut slab: Slab<UdpId, u32> = Slab::new();
        let first = slab.insert(1);
        assert_eq!(slab.remove(first), Some(1));
        let expected = slab.next_id();
        let second = slab.insert(2);
        assert_eq!(second, expected);
        assert_eq!((first.index(), second.index()), (0, 0));
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!((slab.get(second), slab.len()), (Some(&2), 1));
        assert_eq!(slab.id_at(0), Some(second));
        assert_eq!(slab.at_mut(0), Some((second, &mut 2)));
        assert_eq!(slab.at(1), None);
    }

    #[test]
    fn an_id_is_a_number_and_back() {
        for (index, generation) in [(0, 0), (7, 1), (u32::MAX, 9), (1, u32::MAX)] {
            let id = TcpId::from_raw(RawId { index, generation });
            let bits = id.to_bits();
            assert_eq!(TcpId::from_bits(bits), id);
            assert_eq!(ListenerId::from_bits(bits).raw(), id.raw());
            assert_eq!(UdpId::from_bits(bits).raw(), id.raw());
            assert_eq!(PingId::from_bits(bits).raw(), id.raw());
            assert_eq!(RawSocketId::from_bits(bits).raw(), id.raw());
        }
    }

    #[test]
    fn interfaces_count_from_one() {
        let first = InterfaceId::from_index(0);
        assert_eq!((first.scope(), first.index()), (1, 0));
        assert_eq!(InterfaceId::from_scope(0), None);
        assert_eq!(InterfaceId::from_scope(1), Some(first));
    }

    proptest! {
        #[test]
        fn equals_a_map(steps in prop::collection::vec((any::<bool>(), 0usize..20), 0..200)) {
            let mut slab: Slab<RawId, usize> = Slab::new();
            let mut model: Vec<(RawId, usize)> = Vec::new();
            let mut gone: Vec<RawId> = Vec::new();
            for (number, (insert, at)) in steps.into_iter().enumerate() {
                if insert || model.is_empty() {
                    model.push((slab.insert(number), number));
                } else {
                    let (id, value) = model.swap_remove(at % model.len());
                    if value % 3 == 0 {
                        prop_assert!(slab.discard(id) && !slab.discard(id));
                    } else {
                        prop_assert_eq!(slab.remove(id), Some(value));
                    }
                    gone.push(id);
                }
                prop_assert_eq!(slab.len(), model.len());
                for (id, value) in &model {
                    prop_assert_eq!(slab.get(*id), Some(value));
                    prop_assert_eq!(slab.at(id.index()), Some((*id, value)));
                }
                prop_assert!(gone.iter().all(|&id| slab.get(id).is_none()));
            }
            let mut listed: Vec<_> = slab.iter().map(|(id, &v)| (id, v)).collect();
            listed.sort_unstable();
            model.sort_unstable();
            prop_assert_eq!(listed, model);
        }
    }
}
