//! The Internet checksum (RFC 1071), whole, in pieces and incrementally (RFC 1624).
//!
//! *Owns* one's complement sums. *Does not* know any header: pseudo-headers are built by `ipv4` and
//! `ipv6`. Invariant: a [`Sum`] never overflows, whatever the length (64-bit accumulator of 32-bit
//! lanes; r67 in docs/regressions.md).

/// A running one's complement sum over a list of slices of any length and alignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Folded to less than 2^17 after every step.
    total: u64,
    /// Has an odd number of bytes been added? The next slice then starts in a low octet.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub const fn new() -> Self {
        Self {
            total: 0,
            odd: false,
        }
    }

    /// Adds one 16-bit word, given in host order. Only at an even place in the data.
    #[must_use]
    pub fn word(self, word: u16) -> Self {
        debug_assert!(!self.odd, "a word is added at an even place");
        Self {
            total: self.total + u64::from(word),
            ..self
        }
        .folded()
    }

    /// Adds the bytes that follow those added so far.
    #[must_use]
    pub fn bytes(self, data: &[u8]) -> Self {
        let mut part = fold(lanes(data));
        if self.odd {
            part = u64::from(u16::try_from(part).unwrap_or(u16::MAX).swap_bytes());
        }
        let odd = self.odd ^ (data.len() % 2 == 1);
        Self {
            total: self.total + part,
            odd,
        }
        .folded()
    }

    /// Adds every slice of a list, in order.
    #[must_use]
    pub fn slices<S: AsRef<[u8]>>(self, list: &[S]) -> Self {
        list.iter()
            .fold(self, |sum, slice| sum.bytes(slice.as_ref()))
    }

    /// The sum as a 16-bit word, not inverted: what a partial checksum holds.
    pub fn partial(self) -> u16 {
        u16::try_from(fold(self.total)).unwrap_or(u16::MAX)
    }

    /// The checksum to put in a header: the inverted sum.
    pub fn finish(self) -> u16 {
        !self.partial()
    }

    /// Is a sum that included the checksum field right?
    pub fn is_valid(self) -> bool {
        self.partial() == 0xffff
    }

    fn folded(self) -> Self {
        Self {
            total: fold(self.total),
            ..self
        }
    }
}

/// The checksum of one slice, RFC 1071 §1.
pub fn checksum(data: &[u8]) -> u16 {
    Sum::new().bytes(data).finish()
}

/// The checksum after the 16-bit word `old` under it became `new`: RFC 1624 §3, equation 3.
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u64::from(!checksum) + u64::from(!old) + u64::from(new);
    !u16::try_from(fold(sum)).unwrap_or(u16::MAX)
}

/// Folds a sum of 16-bit words to 16 bits, keeping the one's complement value.
fn fold(sum: u64) -> u64 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

/// The sum of the big-endian 16-bit words of `data`, a last odd byte padded with zero.
///
/// 32-bit lanes summed into 64 bits, in the machine's byte order (RFC 1071 §2 (B)): the compiler
/// makes vector code of the main loop. 2^32 lanes would fit before the accumulator overflows.
fn lanes(data: &[u8]) -> u64 {
    const LANES: usize = 16;
    let mut sums = [0u64; LANES];
    let (blocks, rest) = data.as_chunks::<{ LANES * 4 }>();
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let mut sum: u64 = sums.iter().map(|&s| fold(s)).sum();
    let (words, tail) = rest.as_chunks::<2>();
    for word in words {
        sum += u64::from(u16::from_ne_bytes(*word));
    }
    if let [last] = tail {
        sum += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    let folded = u16::try_from(fold(sum)).unwrap_or(u16::MAX);
    u64::from(u16::from_be_bytes(folded.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 §1, word by word.
    fn naive(data: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in data.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    /// RFC 1071 §3's worked example.
    #[test]
    fn the_rfc_example() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::new().bytes(&data).partial(), 0xddf2);
    }

    /// r67: lengths above 64 KiB of all ones do not overflow.
    #[test]
    fn r67_a_megabyte_of_ones_does_not_overflow() {
        let data = vec![0xff; (1 << 20) + 1];
        assert_eq!(checksum(&data), naive(&data));
    }

    proptest! {
        #[test]
        fn equals_the_naive_sum_at_any_alignment(
            data in prop::collection::vec(any::<u8>(), 0..700), skip in 0usize..9,
        ) {
            let data = &data[skip.min(data.len())..];
            prop_assert_eq!(checksum(data), naive(data));
        }

        #[test]
        fn any_cut_into_slices_gives_the_same_sum(
            data in prop::collection::vec(any::<u8>(), 0..300),
            cuts in prop::collection::vec(0usize..300, 0..5),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|&c| c.min(data.len())).collect();
            cuts.push(0);
            cuts.push(data.len());
            cuts.sort_unstable();
            let slices: Vec<&[u8]> = cuts.windows(2).map(|w| &data[w[0]..w[1]]).collect();
            prop_assert_eq!(Sum::new().slices(&slices).finish(), naive(&data));
        }

        #[test]
        fn updating_equals_summing_again(
            mut data in prop::collection::vec(any::<u8>(), 2..80), at in 0usize..40, new: u16,
        ) {
            let at = (at * 2) % (data.len() & !1);
            let before = checksum(&data);
            let old = u16::from_be_bytes([data[at], data[at + 1]]);
            data[at..at + 2].copy_from_slice(&new.to_be_bytes());
            // All-zero data has two representations of zero; RFC 1624 keeps the one that occurs.
            prop_assume!(data.iter().any(|&b| b != 0));
            prop_assert_eq!(update(before, old, new), checksum(&data));
        }
    }
}
