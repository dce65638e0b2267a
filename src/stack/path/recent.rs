//! Answers that were looked up lately, by address.
//!
//! *Owns* a fixed number of them, so that each packet of a flow but its first is spared a walk. *Does not* know when one is wrong: who
//! asks forgets all with each change. Invariant: what is found was put there for this very address; another one in its place costs
//! the walk, and no more, so that nobody gains by choosing addresses.

use core::net::IpAddr;

/// *Fixed*: addresses that an answer is kept for.
const MOST: usize = 256;

/// Answers, each in the place of its address.
#[derive(Debug)]
pub(super) struct Recent<V> {
    /// Empty until there is the first.
    places: Vec<Option<(IpAddr, V)>>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<V: Copy> Recent<V> {
    /// The answer for this address, if it is kept.
    #[inline]
    pub(super) fn find(&self, address: IpAddr) -> Option<V> {
        match self.places.get(place(address)) {
            Some(&Some((known, value))) if known == address => Some(value),
            _ => None,
        }
    }

    /// Keeps it, in place of another.
    pub(super) fn put(&mut self, address: IpAddr, value: V) {
        if self.places.is_empty() {
            self.places.resize(MOST, None);
        }
        if let Some(place) = self.places.get_mut(place(address)) {
            *place = Some((address, value));
        }
    }

    /// None is kept any more.
    pub(super) fn forget(&mut self) {
        // A table that is being filled is asked nothing meanwhile.
        if !self.places.is_empty() {
            self.places = Vec::new();
        }
    }
}

/// Neighbouring addresses lie in different places (Knuth, multiplicative hashing).
#[inline]
fn place(address: IpAddr) -> usize {
    let bits = match address {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(a) => {
            let [a, b, c, d, e, f, g, h] = a.segments().map(u32::from);
            (a ^ c ^ e ^ g) << 16 ^ (b ^ d ^ f ^ h)
        }
    };
    let [first, ..] = bits.wrapping_mul(0x9e37_79b1).to_be_bytes();
    usize::from(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody is given the answer of another, and no more are kept than there are places.
    #[test]
    fn who_shares_a_place_takes_it() {
        let mut recent = Recent::default();
        let addresses = (0..10_000u32).map(|n| IpAddr::from(n.to_be_bytes()));
        for (n, address) in addresses.clone().enumerate() {
            assert_eq!(recent.find(address), None);
            recent.put(address, n);
            assert_eq!(recent.find(address), Some(n));
        }
        let kept = addresses.enumerate().filter(|&(n, address)| {
            let found = recent.find(address);
            assert!(found.is_none_or(|found| found == n));
            found.is_some()
        });
        assert_eq!((kept.count(), recent.places.len()), (MOST, MOST));
        recent.forget();
        assert_eq!(recent.find(IpAddr::from([0, 0, 0, 0])), None);
    }
}
