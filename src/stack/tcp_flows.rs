//! TCP's flows, in few bytes each: who may own a segment.
//!
//! *Owns* the keyed hashes of the 4-tuples and what each leads to. *Does not* hold tuples: the owner that is
//! found confirms its own. Invariant: a hash has one owner, and the second is refused.

use core::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::tuple::{InUse, Tuple};
use crate::base::KeyedState;

/// What an owner of a 4-tuple is, and its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpEntry {
    /// A connection.
    Connection(u32),
    /// A half-open record.
    HalfOpen(u32),
    /// A TIME-WAIT record.
    TimeWait(u32),
    /// A FIN-WAIT-2 record.
    FinWait(u32),
}

/// A [`TcpEntry`] in four bytes: the kind above the slot's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PackedEntry(u32);

impl PackedEntry {
    const INDEX_BITS: u32 = 30;

    fn of(entry: TcpEntry) -> Self {
        let (kind, index) = match entry {
            TcpEntry::Connection(index) => (0, index),
            TcpEntry::HalfOpen(index) => (1, index),
            TcpEntry::TimeWait(index) => (2, index),
            TcpEntry::FinWait(index) => (3, index),
        };
        debug_assert!(index >> Self::INDEX_BITS == 0, "{index} connections");
        Self(kind << Self::INDEX_BITS | index)
    }

    fn entry(self) -> TcpEntry {
        let index = self.0 & ((1 << Self::INDEX_BITS) - 1);
        match self.0 >> Self::INDEX_BITS {
            0 => TcpEntry::Connection(index),
            1 => TcpEntry::HalfOpen(index),
            2 => TcpEntry::TimeWait(index),
            _ => TcpEntry::FinWait(index),
        }
    }
}

/// The keyed hash of a tuple, in two halves so that it and its entry take twelve bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print([u32; 2]);

impl Hash for Print {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.0[0]) << 32 | u64::from(self.0[1]));
    }
}

/// Hashes what is a keyed hash already: as it is.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(false, "{} bytes that are no print", bytes.len());
    }

    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }
}

/// TCP's flows, by the keyed hash of their tuple instead of the tuple: 13 bytes where it took 57, and
/// the owner's record has the tuple anyway.
///
/// What is found is a candidate, which its owner's tuple confirms. Two live flows with one hash do
/// not happen by chance (2^-64 for a pair), nor on purpose without the key; the second is refused.
#[derive(Debug)]
pub(crate) struct TcpFlows {
    prints: HashMap<Print, PackedEntry, BuildHasherDefault<AsItIs>>,
    state: KeyedState,
}

impl TcpFlows {
    pub(super) fn new(state: KeyedState) -> Self {
        Self {
            prints: HashMap::default(),
            state,
        }
    }

    fn print(&self, tuple: &Tuple) -> Print {
        let hash = self.state.hash_one(tuple);
        let half = |n: u64| u32::try_from(n & u64::from(u32::MAX)).unwrap_or(0);
        Print([half(hash >> 32), half(hash)])
    }

    /// Who may have this flow? The owner's tuple tells.
    pub(crate) fn candidate(&self, tuple: &Tuple) -> Option<TcpEntry> {
        self.prints
            .get(&self.print(tuple))
            .map(|packed| packed.entry())
    }

    /// Gives a flow to `entry`.
    pub(crate) fn insert(&mut self, tuple: &Tuple, entry: TcpEntry) -> Result<(), InUse> {
        match self.prints.entry(self.print(tuple)) {
            Entry::Occupied(_) => Err(InUse),
            Entry::Vacant(vacant) => {
                vacant.insert(PackedEntry::of(entry));
                Ok(())
            }
        }
    }

    /// Gives `before`'s flow to its next stage of life (half-open, connection, TIME-WAIT).
    pub(crate) fn replace(&mut self, tuple: &Tuple, before: TcpEntry, entry: TcpEntry) {
        let print = self.print(tuple);
        match self.prints.get_mut(&print) {
            Some(packed) if *packed == PackedEntry::of(before) => *packed = PackedEntry::of(entry),
            _ => debug_assert!(false, "only a flow that exists is replaced"),
        }
    }

    pub(super) fn remove(&mut self, tuple: &Tuple, entry: TcpEntry) {
        let print = self.print(tuple);
        if self.prints.get(&print) == Some(&PackedEntry::of(entry)) {
            self.prints.remove(&print);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;
    use crate::stack::ids::InterfaceId;
    use core::net::IpAddr;

    /// Each part of a tuple counts, and one that moves to the other end is another.
    #[test]
    fn tuples_that_differ_have_prints_that_differ() {
        let flows = TcpFlows::new(KeyedState::new(Seed::from_number(1).key("demux")));
        let (one, two) = (InterfaceId::from_index(0), InterfaceId::from_index(1));
        let ends = [
            "10.0.0.1",
            "10.0.0.2",
            "fe80::1",
            "fe80::2",
            "fe80:1::1",
            "::a00:1",
        ];
        let ends = ends.map(|text| text.parse::<IpAddr>().unwrap());
        let mut prints = HashMap::new();
        for (local, remote) in ends.iter().flat_map(|&a| ends.iter().map(move |&b| (a, b))) {
            for (a, b) in [(1, 2), (2, 1), (1, 1), (0x101, 2)] {
                for on in [one, two] {
                    let tuple = Tuple::new(on, (local, a), (remote, b));
                    let print = flows.print(&tuple).0;
                    let same = *prints.entry(print).or_insert(tuple);
                    assert_eq!(same, tuple);
                }
            }
        }
    }

    /// 12 bytes of a flow and one of the table's own; the memory of a TIME-WAIT record rests on it.
    #[test]
    fn a_tcp_flow_is_small() {
        assert_eq!(size_of::<(Print, PackedEntry)>(), 12);
    }
}
