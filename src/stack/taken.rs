//! Searches for a free number, ports and identifiers, that stay cheap when hardly one is free.
//!
//! *Owns* what long searches found taken. *Does not* know who has a number: the caller says, and
//! says when one is given back. Each failed question is paid for by a number that was given back
//! since, not by the call that asks: a range that is full costs a look at its bitmap.

use core::fmt;
use core::ops::RangeInclusive;
use std::collections::VecDeque;

/// Searches that are remembered, the last ones; each takes 8 KiB, *fixed*.
const REMEMBERED: usize = 8;
/// Numbers found taken before a search is worth remembering.
const LONG: u32 = 256;

/// What long searches found taken, for each `K` that searched: other numbers are free for others.
pub(crate) struct Taken<K>(VecDeque<(K, Bitmap)>);

impl<K> Default for Taken<K> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: fmt::Debug> fmt::Debug for Taken<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let searches = self.0.iter().map(|(who, _)| who);
        f.debug_tuple("Taken")
            .field(&searches.collect::<Vec<_>>())
            .finish()
    }
}

impl<K: PartialEq> Taken<K> {
    /// The first number of `range` that `is_free`, from `start` on and round once.
    pub(crate) fn search(
        &mut self,
        who: K,
        range: &RangeInclusive<u16>,
        start: u16,
        mut is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let known = self.0.iter().position(|(other, _)| *other == who);
        let mut known = known.and_then(|at| self.0.remove(at)).map(|(_, map)| map);
        let mut asked = 0;
        let (first, end) = (u32::from(*range.start()), u32::from(*range.end()) + 1);
        let start = u32::from(start).clamp(first, end);
        let mut found = None;
        'search: for (from, end) in [(start, end), (first, start)] {
            let mut at = from;
            while let Some(number) = next_clear(known.as_ref(), at, end) {
                if is_free(number) {
                    found = Some(number);
                    break 'search;
                }
                asked += 1;
                if asked == LONG {
                    known.get_or_insert_default();
                }
                if let Some(map) = &mut known {
                    map.set(number);
                }
                at = u32::from(number) + 1;
            }
        }
        if let Some(map) = known {
            self.0.truncate(REMEMBERED - 1);
            self.0.push_front((who, map));
        }
        found
    }

    /// Somebody gave `number` back: it may be free again, for all that search.
    pub(crate) fn released(&mut self, number: u16) {
        for (_, map) in &mut self.0 {
            map.clear(number);
        }
    }
}

/// A bit for each number.
struct Bitmap(Box<[u64]>);

impl Default for Bitmap {
    fn default() -> Self {
        Self(vec![0; 1 << 10].into_boxed_slice())
    }
}

impl Bitmap {
    fn set(&mut self, number: u16) {
        self.0[usize::from(number / 64)] |= 1 << (number % 64);
    }

    fn clear(&mut self, number: u16) {
        self.0[usize::from(number / 64)] &= !(1 << (number % 64));
    }
}

/// The first number below `end` from `at` on that is not known to be taken.
fn next_clear(known: Option<&Bitmap>, mut at: u32, end: u32) -> Option<u16> {
    let Some(map) = known else {
        return (at < end).then(|| u16::try_from(at).ok()).flatten();
    };
    while at < end {
        let word = map.0.get(usize::try_from(at / 64).ok()?)?;
        let clear = !word >> (at % 64);
        if clear != 0 {
            at += clear.trailing_zeros();
            return (at < end).then(|| u16::try_from(at).ok()).flatten();
        }
        at = (at / 64 + 1) * 64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The search of one `who` among what is not `taken`: the number, and how often it asked.
    fn search(
        memory: &mut Taken<u8>,
        who: u8,
        start: u16,
        taken: &BTreeSet<u16>,
    ) -> (Option<u16>, usize) {
        let mut asked = 0;
        let found = memory.search(who, &(100..=65_535), start, |number| {
            asked += 1;
            !taken.contains(&number)
        });
        (found, asked)
    }

    #[test]
    fn every_number_is_asked_for_once_from_any_start() {
        for start in [0, 100, 101, 163, 164, 40_000, 65_535] {
            let mut memory = Taken::default();
            let all: BTreeSet<u16> = (100..=65_535).collect();
            assert_eq!(search(&mut memory, 1, start, &all), (None, all.len()));
            for last in [100, 127, 128, 39_999, 65_535] {
                let mut memory = Taken::default();
                let mut taken = all.clone();
                taken.remove(&last);
                assert_eq!(search(&mut memory, 1, start, &taken).0, Some(last));
            }
        }
    }

    /// What is full is told at once; each number given back is asked for once by each that searches.
    #[test]
    fn a_full_range_costs_one_walk_and_not_one_for_each_call() {
        let mut memory = Taken::default();
        let mut taken: BTreeSet<u16> = (100..=65_535).collect();
        for who in 0..8 {
            assert_eq!(search(&mut memory, who, 5_000, &taken).0, None);
        }
        for who in 0..8 {
            let (found, asked) = search(&mut memory, who, 7_000, &taken);
            assert_eq!(found, None);
            assert!(asked < LONG as usize, "{asked}");
            assert_eq!(search(&mut memory, who, 7_000, &taken), (None, 0));
        }
        for number in [100, 65_535, 41] {
            memory.released(number);
        }
        taken.remove(&65_535);
        for who in 0..8 {
            // 100 is somebody's again, 65,535 is not.
            assert_eq!(search(&mut memory, who, 100, &taken), (Some(65_535), 2));
            assert_eq!(search(&mut memory, who, 100, &taken), (Some(65_535), 1));
        }
        // One more displaces one: bounded.
        assert_eq!(search(&mut memory, 9, 100, &taken).0, Some(65_535));
        assert_eq!(memory.0.len(), REMEMBERED);
    }

    /// Short searches, which nearly all are, keep nothing.
    #[test]
    fn a_range_with_room_keeps_nothing() {
        let mut memory = Taken::default();
        let taken: BTreeSet<u16> = (100..300).collect();
        assert_eq!(search(&mut memory, 1, 100, &taken), (Some(300), 201));
        assert!(memory.0.is_empty());
    }
}
