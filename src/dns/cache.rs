//! What was answered, as long as it lasts.
//!
//! RFC 1035 §7.4, RFC 2308 §5, RFC 9520 §3.2 (failures). *Owns* the entries and their ends. Bounded: what would end next gives way.

use std::collections::{BTreeMap, BTreeSet};

use super::course::Failure;
use super::judge::Finding;
use super::lookup::Family;
use super::name::Name;
use crate::base::Instant;

/// A name, and which of its addresses.
pub(super) type Key = (Name, Family);

/// What a question has come to.
pub(super) type Kept = Result<Finding, Failure>;

#[derive(Debug)]
pub(super) struct Cache {
    entries: BTreeMap<Key, (Kept, Instant)>,
    /// The same by their ends.
    ends: BTreeSet<(Instant, Key)>,
    limit: usize,
}

impl Cache {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
            limit,
        }
    }

    /// What is known at `now`.
    pub(super) fn get(&mut self, now: Instant, key: &Key) -> Option<Kept> {
        let (kept, end) = self.entries.get(key)?;
        if *end > now {
            return Some(kept.clone());
        }
        self.remove(key);
        None
    }

    /// Keeps it until `end`; says whether another one gave way that had not ended.
    pub(super) fn insert(&mut self, now: Instant, key: &Key, kept: Kept, end: Instant) -> bool {
        self.remove(key);
        if end <= now || self.limit == 0 {
            return false;
        }
        let mut evicted = false;
        while self.entries.len() >= self.limit
            && let Some((ended, first)) = self.ends.pop_first()
        {
            self.entries.remove(&first);
            evicted |= ended > now;
        }
        self.ends.insert((end, key.clone()));
        self.entries.insert(key.clone(), (kept, end));
        evicted
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.ends.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn remove(&mut self, key: &Key) {
        if let Some((_, end)) = self.entries.remove(key) {
            self.ends.remove(&(end, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_next_gives_way() {
        let mut cache = Cache::new(2);
        let key = |n: u8| (format!("n{n}.example").parse().unwrap(), Family::V4);
        let at = Instant::from_millis;
        let mut put = |now, n, end| cache.insert(at(now), &key(n), Ok(Finding::NoName), at(end));
        assert!(!put(0, 1, 10) && !put(0, 2, 20));
        assert!(!put(0, 1, 30), "the same one again");
        assert!(put(0, 3, 40), "2 gives way");
        assert!(!put(30, 4, 50), "1 had ended");
        assert!(!put(30, 5, 30), "nothing that ends at once");
        let mut get = |now, n| cache.get(at(now), &key(n)).is_some();
        assert!(!get(0, 2) && !get(0, 5));
        assert!(get(39, 3) && !get(40, 3) && get(49, 4));
        assert_eq!((cache.len(), cache.ends.len()), (1, 1));
    }
}
