//! Which entry is a neighbour's.
//!
//! *Owns* the way from a key to an id, and a short cut for those that packets ask for all the time. *Does
//! not* know entries. Invariant: the short cut names nobody who is not in the index.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::NeighbourKey;
use crate::base::KeyedState;
use crate::stack::ids::RawId;
use crate::stack::screen::fold;

/// Neighbours that are found without a hash.
const RECENT: usize = 8;

/// A key, as it is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(NeighbourKey);

/// Forged senders have theirs hashed with each packet: in as few words as it fits in. The two families
/// differ in how many there are, and their number is part of the hash.
impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (on, address) = self.0;
        let zone = u64::from(on.scope()) << 32;
        match address {
            IpAddr::V4(address) => state.write_u64(zone | u64::from(address.to_bits())),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, low @ ..] = address.octets();
                state.write_u64(zone);
                state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
                state.write_u64(u64::from_ne_bytes(low));
            }
        }
    }
}

/// The ids of all entries by key.
#[derive(Debug)]
pub(super) struct Index {
    all: HashMap<Key, RawId, KeyedState>,
    /// Those that were looked up last.
    recent: [Option<(NeighbourKey, RawId)>; RECENT],
}

impl Index {
    pub(super) fn new(state: KeyedState) -> Self {
        Self {
            all: HashMap::with_hasher(state),
            recent: [None; RECENT],
        }
    }

    /// The entry of a neighbour that a packet goes to, or came from: the next one's is the same.
    #[inline]
    pub(super) fn find(&mut self, key: NeighbourKey) -> Option<RawId> {
        match self.recent[place(key)] {
            Some((known, id)) if known == key => Some(id),
            _ => self.find_anew(key),
        }
    }

    fn find_anew(&mut self, key: NeighbourKey) -> Option<RawId> {
        let id = self.get(key)?;
        self.recent[place(key)] = Some((key, id));
        Some(id)
    }

    /// The same of one that may be seen once.
    pub(super) fn get(&self, key: NeighbourKey) -> Option<RawId> {
        self.all.get(&Key(key)).copied()
    }

    /// The place of one that may be new.
    pub(super) fn entry(&mut self, key: NeighbourKey) -> Entry<'_, Key, RawId> {
        self.all.entry(Key(key))
    }

    pub(super) fn insert(&mut self, key: NeighbourKey, id: RawId) {
        self.all.insert(Key(key), id);
    }

    pub(super) fn remove(&mut self, key: NeighbourKey) {
        self.all.remove(&Key(key));
        let recent = &mut self.recent[place(key)];
        if recent.is_some_and(|(known, _)| known == key) {
            *recent = None;
        }
    }
}

fn place((_, address): NeighbourKey) -> usize {
    fold(address) % RECENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;
    use crate::stack::ids::InterfaceId;

    /// The short cut leads nowhere once a neighbour has gone, and to its new entry when it is back.
    #[test]
    fn what_is_gone_is_found_no_more() {
        let mut index = Index::new(KeyedState::new(Seed::from_number(1).key("test")));
        let id = |index| RawId {
            index,
            generation: 0,
        };
        let keys: Vec<NeighbourKey> = ["10.0.0.1", "10.0.0.9", "fd00::1", "fd00::5"]
            .iter()
            .flat_map(|text| {
                let address: IpAddr = text.parse().unwrap();
                [0, 1].map(|on| (InterfaceId::from_index(on), address))
            })
            .collect();
        for (&key, n) in keys.iter().zip(0..) {
            index.insert(key, id(n));
        }
        for _ in 0..2 {
            for (&key, n) in keys.iter().zip(0..) {
                assert_eq!(index.find(key), Some(id(n)), "{key:?}");
                assert_eq!(index.find(key), Some(id(n)), "{key:?}, seen just now");
                assert_eq!(index.get(key), Some(id(n)));
            }
        }
        for (&key, n) in keys.iter().zip(0..) {
            assert_eq!(index.find(key), Some(id(n)));
            index.remove(key);
            assert_eq!(index.find(key), None, "{key:?}");
            index.insert(key, id(100 + n));
            assert_eq!(index.find(key), Some(id(100 + n)), "{key:?}");
        }
    }
}
