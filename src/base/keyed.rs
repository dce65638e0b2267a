//! Keys, keyed hashes and a deterministic generator, all derived from one seed by label.
//!
//! RFC 6528 §3, RFC 6056 §3.3.3 and RFC 7739 ask for keyed functions with secrets of their own.
//! *Owns* the derivation. *Does not* gather entropy: `host` fills the [`Seed`].
//! Invariant: no key is ever the raw output of a generator whose output is also seen on the wire.

use core::fmt;
use core::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher24;

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

impl Seed {
    /// The seed of what the interface with this number does by itself: another one with its MAC address, a VLAN of the same device or
    /// one that is added again, must not do alike. The first one's is this.
    pub(crate) fn of_interface(&self, number: usize) -> Self {
        if number == 0 {
            return *self;
        }
        let halves = ["a", "b"].map(|half| self.key(&format!("interface {number} {half}")));
        let words = halves.map(|Key { k0, k1 }| [k0.to_le_bytes(), k1.to_le_bytes()]);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(words.as_flattened().as_flattened());
        Self(bytes)
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
    /// The key with these bytes.
    pub(crate) fn new(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
        Self {
            k0: half(bits),
            k1: half(bits >> 64),
        }
    }

    /// The bytes, for a recording.
    pub(crate) fn bytes(&self) -> [u8; 16] {
        (u128::from(self.k1) << 64 | u128::from(self.k0)).to_le_bytes()
    }

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
    type Hasher = WordHasher;

    #[inline]
    fn build_hasher(&self) -> WordHasher {
        WordHasher::new(self.0)
    }
}

/// SipHash-1-3 over whole words, each number that is written being one: a table's key is a few
/// numbers, and every packet has one hashed. Aumasson and Bernstein, "SipHash: a fast short-input
/// PRF", §2; of numbers of 64 bits it is the hash of their bytes in little-endian order.
#[derive(Clone, Copy)]
pub(crate) struct WordHasher {
    v: [u64; 4],
    words: u64,
}

impl WordHasher {
    #[inline]
    const fn new(key: Key) -> Self {
        let Key { k0, k1 } = key;
        Self {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
            words: 0,
        }
    }

    #[inline]
    const fn round(&mut self) {
        let [mut v0, mut v1, mut v2, mut v3] = self.v;
        v0 = v0.wrapping_add(v1);
        v1 = v1.rotate_left(13) ^ v0;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v3);
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.wrapping_add(v3);
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.wrapping_add(v1);
        v1 = v1.rotate_left(17) ^ v2;
        v2 = v2.rotate_left(32);
        self.v = [v0, v1, v2, v3];
    }

    #[inline]
    const fn compress(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.v[0] ^= word;
    }
}

impl Hasher for WordHasher {
    /// The last word of a slice is filled up with zeros: whoever hashes slices writes their lengths as well,
    /// as std's do.
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.words = self.words.wrapping_add(1);
        self.compress(word);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        let mut end = *self;
        // The bytes, modulo 256, are the highest of the last word.
        end.compress(self.words << 59);
        end.v[2] ^= 0xff;
        end.round();
        end.round();
        end.round();
        end.v[0] ^ end.v[1] ^ end.v[2] ^ end.v[3]
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
    use core::hash::Hash;
    use core::net::IpAddr;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    proptest! {
        /// Another implementation's hash of the same bytes under the same key.
        #[test]
        fn words_are_hashed_as_their_bytes_are(
            (k0, k1) in any::<(u64, u64)>(),
            words in prop::collection::vec(any::<u64>(), 0..40),
        ) {
            let mut ours = KeyedState::new(Key { k0, k1 }).build_hasher();
            let mut theirs = SipHasher13::new_with_keys(k0, k1);
            for word in words {
                ours.write_u64(word);
                theirs.write(&word.to_le_bytes());
                prop_assert_eq!(ours.finish(), theirs.finish());
            }
        }

        /// A number of any width is one word, and bytes are as many as they need.
        #[test]
        fn what_is_narrower_is_filled_up(number in any::<u8>(), len in 0..20usize) {
            let state = KeyedState::new(Seed::from_number(1).key("test"));
            let hash = |write: &dyn Fn(&mut WordHasher)| {
                let mut hasher = state.build_hasher();
                write(&mut hasher);
                hasher.finish()
            };
            let expected = hash(&|h| h.write_u64(number.into()));
            prop_assert_eq!(hash(&|h| h.write_u8(number)), expected);
            prop_assert_eq!(hash(&|h| h.write_u16(number.into())), expected);
            prop_assert_eq!(hash(&|h| h.write_u32(number.into())), expected);
            prop_assert_eq!(hash(&|h| h.write_usize(number.into())), expected);
            let bytes = vec![number; len];
            let padded = vec![u64::from_le_bytes([number; 8]); len / 8];
            let rest = [number; 8].map(u64::from);
            let rest = rest[..len % 8].iter().rev().fold(0, |word, byte| word << 8 | byte);
            let by_words = hash(&|h| {
                padded.iter().for_each(|&word| h.write_u64(word));
                if len % 8 > 0 {
                    h.write_u64(rest);
                }
            });
            prop_assert_eq!(hash(&|h| h.write(&bytes)), by_words);
        }
    }

    /// Addresses of both families, their low bits and high, a key's other parts and its order: all count.
    #[test]
    fn keys_that_differ_have_hashes_that_differ() {
        let state = KeyedState::new(Seed::from_number(1).key("test"));
        let texts = [
            "10.0.0.1",
            "10.0.0.2",
            "11.0.0.1",
            "::10.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fe81::1",
        ];
        let addresses = texts.map(|text| text.parse::<IpAddr>().unwrap());
        let mut seen = std::collections::HashSet::new();
        for address in addresses {
            for number in [0, 1, 1 << 31] {
                let keys: [&dyn Fn(&mut WordHasher); 2] = [&|h| (address, number).hash(h), &|h| {
                    (number, address).hash(h)
                }];
                for key in keys {
                    let mut hasher = state.build_hasher();
                    key(&mut hasher);
                    assert!(seen.insert(hasher.finish()), "{address} {number}");
                }
            }
        }
    }

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
