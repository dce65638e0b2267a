//! Keys, keyed hashes and a deterministic generator, all derived from one seed by label.
//!
//! RFC 6528 §3, RFC 6056 §3.3.3 and RFC 7739 ask for keyed functions with secrets of their own.
//! *Owns* the derivation. *Does not* gather entropy: `host` fills the [`Seed`].
//! Invariant: no key is ever the raw output of a generator whose output is also seen on the wire.

use core::fmt;
use core::hash::{BuildHasher, Hasher};

use siphasher::sip::{SipHasher13, SipHasher24};

/// The 32 secret bytes from which a stack derives every key; with it a run can be repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed with these bytes. They must be unpredictable wherever a hostile peer may be.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seed for tests and simulations: `number`, then zeros. Predictable.
    pub fn from_number(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }

    /// The bytes, for a recording.
    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key for the purpose named by `label`.
    pub(crate) fn key(&self, label: &str) -> Key {
        let word = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&self.0[at..at + 8]);
            u64::from_le_bytes(eight)
        };
        let half = |which: u8| {
            let mut hasher = SipHasher24::new_with_keys(word(0), word(8));
            hasher.write(&self.0[16..]);
            hasher.write(label.as_bytes());
            hasher.write(&[which]);
            hasher.finish()
        };
        Key {
            k0: half(0),
            k1: half(1),
        }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A 128-bit secret for one purpose.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    k0: u64,
    k1: u64,
}

impl Key {
    /// SipHash-2-4 of `bytes` under this key.
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.k0, self.k1);
        hasher.write(bytes);
        hasher.finish()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Hash-table state keyed against chosen collisions (SipHash-1-3, as std uses).
#[derive(Clone, Debug)]
pub(crate) struct KeyedState(Key);

impl KeyedState {
    pub(crate) const fn new(key: Key) -> Self {
        Self(key)
    }
}

impl BuildHasher for KeyedState {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0.k0, self.0.k1)
    }
}

/// A deterministic generator: the keyed hash of a counter.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: Key,
    counter: u64,
}

impl Random {
    pub(crate) const fn new(key: Key) -> Self {
        Self { key, counter: 0 }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        self.key.hash(&self.counter.to_le_bytes())
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The product's high word: biased by less than bound / 2^64.
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_give_different_keys_and_the_same_label_the_same() {
        let seed = Seed::from_number(7);
        let hash = |label| seed.key(label).hash(b"x");
        assert_eq!(hash("isn"), hash("isn"));
        assert_ne!(hash("isn"), hash("port"));
        assert_ne!(hash("isn"), Seed::from_number(8).key("isn").hash(b"x"));
    }

    #[test]
    fn the_second_half_of_a_seed_counts() {
        let mut bytes = [0; 32];
        bytes[31] = 1;
        let (a, b) = (Seed::new([0; 32]), Seed::new(bytes));
        assert_ne!(a.key("isn").hash(b""), b.key("isn").hash(b""));
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut random = Random::new(Seed::from_number(1).key("test"));
        let mut seen = [0u32; 5];
        for _ in 0..1000 {
            seen[usize::try_from(random.below(5)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&n| n > 100), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Seed::from_number(99)), "Seed(..)");
    }
}
