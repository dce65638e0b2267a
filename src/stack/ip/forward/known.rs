//! Ways that were judged just now, by both ends of a packet.
//!
//! *Owns* a fixed number of them, so that what follows a packet of the same ends is spared its judgement. *Does not* know what a way depends
//! on, which is nearly everything: whatever a stack does but to pass such packets on has it forget all. Invariants: what is
//! found was judged for these very ends, from this interface, at this very time; who chooses addresses so that they share a
//! place costs the judgement, and no more.

use core::net::IpAddr;

use super::judge::Way;
use crate::base::Instant;
use crate::stack::ids::InterfaceId;

/// *Fixed*: pairs of ends that a way is kept for: as many as there are frames in a batch.
const MOST: usize = 64;

/// Who sends to whom, where it came in, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) from: InterfaceId,
    pub(super) ends: (IpAddr, IpAddr),
}

/// Ways, each in the place of its ends.
#[derive(Debug, Default)]
pub(in crate::stack) struct Known {
    /// Empty until there is the first.
    places: Vec<Option<(u64, Asked, Way)>>,
    /// How often all were forgotten.
    turn: u64,
    /// How many packets went on without anything else being done.
    passed: u64,
}

impl Known {
    /// The way of these ends, if nothing was done since it was judged.
    #[inline]
    pub(super) fn find(&self, asked: &Asked) -> Option<Way> {
        match self.places.get(place(asked.ends)) {
            Some(Some((turn, known, way))) if *turn == self.turn && known == asked => Some(*way),
            _ => None,
        }
    }

    /// Keeps it, in place of another.
    pub(super) fn put(&mut self, asked: &Asked, way: Way) {
        if self.places.is_empty() {
            self.places.resize(MOST, None);
        }
        if let Some(place) = self.places.get_mut(place(asked.ends)) {
            *place = Some((self.turn, *asked, way));
        }
    }

    /// One more went on, and nothing else was done.
    #[inline]
    pub(super) const fn pass(&mut self) {
        self.passed = self.passed.wrapping_add(1);
    }

    /// How many did; it wraps.
    #[inline]
    pub(in crate::stack) const fn passed(&self) -> u64 {
        self.passed
    }

    /// Something else is done: none is known any more.
    #[inline]
    pub(in crate::stack) const fn forget(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }
}

/// Neighbouring addresses lie in different places (Knuth, multiplicative hashing).
#[inline]
fn place((src, dst): (IpAddr, IpAddr)) -> usize {
    let bits = |address| match address {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(a) => {
            let [a, b, c, d, e, f, g, h] = a.segments().map(u32::from);
            (a ^ c ^ e ^ g) << 16 ^ (b ^ d ^ f ^ h)
        }
    };
    let mixed = (bits(src).rotate_left(7) ^ bits(dst)).wrapping_mul(0x9e37_79b1);
    let [first, ..] = mixed.to_be_bytes();
    usize::from(first) % MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody is given the way of another, nor one of before, and no more are kept than there are places.
    #[test]
    fn who_shares_a_place_takes_it() {
        let mut known = Known::default();
        let on = |n: usize| InterfaceId::from_index(n % 3);
        let asked = |n: usize| {
            let [a, b, c, d] = u32::try_from(n).unwrap().to_be_bytes();
            let (src, dst) = (IpAddr::from([10, b, c, d]), IpAddr::from([10, a, d, c]));
            let at = Instant::from_millis(7);
            let from = on(n);
            Asked {
                at,
                from,
                ends: (src, dst),
            }
        };
        let way = |n: usize| Way {
            on: on(n + 1),
            next_hop: asked(n).ends.1,
            mtu: n,
        };
        let found = |known: &Known, asked: &Asked| known.find(asked).map(|way| way.mtu);
        for n in 0..10_000 {
            assert_eq!(found(&known, &asked(n)), None);
            known.put(&asked(n), way(n));
            assert_eq!(found(&known, &asked(n)), Some(n));
            let mut other = asked(n);
            other.at = Instant::from_millis(8);
            assert_eq!(found(&known, &other), None, "at another time");
            let mut other = asked(n);
            other.from = on(n + 1);
            assert_eq!(found(&known, &other), None, "from another interface");
        }
        let kept = |known: &Known| {
            let found = (0..10_000).filter(|&n| {
                let found = found(known, &asked(n));
                assert!(found.is_none_or(|found| found == n));
                found.is_some()
            });
            found.count()
        };
        assert_eq!((kept(&known), known.places.len()), (MOST, MOST));
        known.forget();
        assert_eq!(kept(&known), 0);
    }
}
