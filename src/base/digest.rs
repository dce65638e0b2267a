//! A hash of what happened, equal for equal runs on every machine.
//!
//! *Owns* the sum. *Does not* resist an adversary: it tells runs apart, no more. Four words a step, so
//! that a frame of 1514 bytes costs what two cache misses do.

use super::time::Instant;

/// A hash that is fed with frames and their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest([u64; 4]);

// Odd, and as good as random: the fractional parts of square roots of the first primes.
const START: [u64; 4] = [
    0x6a09_e667_f3bc_c909,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
];
const MULTIPLY: u64 = 0x9e37_79b9_7f4a_7c15;

impl Digest {
    pub(crate) const fn new() -> Self {
        Self(START)
    }

    /// Takes in a number.
    pub(crate) const fn number(&mut self, number: u64) {
        self.0[0] = mix(self.0[0], number);
        self.0[1] = mix(self.0[1], self.0[0]);
    }

    /// Takes in a time.
    pub(crate) const fn time(&mut self, at: Instant) {
        self.number(at.as_nanos());
    }

    /// Takes in bytes and how many they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let mut blocks = bytes.chunks_exact(32);
        for block in &mut blocks {
            for (lane, word) in self.0.iter_mut().zip(block.chunks_exact(8)) {
                *lane = mix(*lane, word_of(word));
            }
        }
        for word in blocks.remainder().chunks(8) {
            self.number(word_of(word));
        }
        self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// The hash of what was taken in so far.
    pub(crate) fn value(&self) -> u64 {
        let all = self.0.iter().fold(0, |all, &lane| mix(all, lane));
        all ^ (all >> 31)
    }
}

const fn mix(lane: u64, word: u64) -> u64 {
    (lane.rotate_left(29) ^ word).wrapping_mul(MULTIPLY)
}

/// Up to eight bytes as a number.
fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(frames: &[&[u8]]) -> u64 {
        let mut digest = Digest::new();
        for frame in frames {
            digest.bytes(frame);
        }
        digest.value()
    }

    #[test]
    fn each_bit_counts_and_where_frames_begin() {
        let frame: Vec<u8> = (0..=255).cycle().take(1514).collect();
        let whole = of(&[&frame]);
        assert_eq!(whole, of(&[&frame]));
        for at in 0..frame.len() * 8 {
            let mut other = frame.clone();
            other[at / 8] ^= 1 << (at % 8);
            assert_ne!(whole, of(&[&other]), "bit {at}");
        }
        assert_ne!(whole, of(&[&frame[..700], &frame[700..]]));
        assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b""]), of(&[]));
    }

    #[test]
    fn times_count() {
        let mut digest = Digest::new();
        digest.time(Instant::from_millis(1));
        let mut other = Digest::new();
        other.time(Instant::from_millis(2));
        assert_ne!(digest, other);
        assert_ne!(digest.value(), Digest::new().value());
    }
}
