//! The Internet checksum (RFC 1071), whole, in pieces and incrementally (RFC 1624).
//!
//! *Owns* one's complement sums. *Does not* know any header: pseudo-headers are built by `ipv4` and
//! `ipv6`. Invariant: a [`Sum`] never overflows, whatever the length: carries go round (r67 in
//! docs/regressions.md).

/// A running one's complement sum over a list of slices of any length and alignment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Words in the machine's byte order (RFC 1071 §2 (B)), modulo 2^64 - 1, of which 2^16 - 1 is a
    /// factor.
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
    #[inline]
    #[must_use]
    pub fn word(self, word: u16) -> Self {
        debug_assert!(!self.odd, "a word is added at an even place");
        Self {
            total: add(self.total, u64::from(word.to_be())),
            ..self
        }
    }

    /// Adds the bytes that follow those added so far.
    #[inline]
    #[must_use]
    pub fn bytes(self, data: &[u8]) -> Self {
        // A sum that began at an odd place has its octets swapped (RFC 1071 §2 (B)).
        let part = lanes(data).rotate_left(8 * u32::from(self.odd));
        Self {
            total: add(self.total, part),
            odd: self.odd ^ (data.len() % 2 == 1),
        }
    }

    /// Adds every slice of a list, in order.
    #[must_use]
    pub fn slices<S: AsRef<[u8]>>(self, list: &[S]) -> Self {
        list.iter()
            .fold(self, |sum, slice| sum.bytes(slice.as_ref()))
    }

    /// The sum as a 16-bit word, not inverted: what a partial checksum holds.
    #[inline]
    pub fn partial(self) -> u16 {
        u16::from_be(fold(self.total))
    }

    /// The checksum to put in a header: the inverted sum.
    #[inline]
    pub fn finish(self) -> u16 {
        !self.partial()
    }

    /// Is a sum that included the checksum field right?
    #[inline]
    pub fn is_valid(self) -> bool {
        self.partial() == 0xffff
    }
}

impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        (self.partial(), self.odd) == (other.partial(), other.odd)
    }
}

impl Eq for Sum {}

/// The checksum of one slice, RFC 1071 §1.
pub fn checksum(data: &[u8]) -> u16 {
    Sum::new().bytes(data).finish()
}

/// The checksum after the 16-bit word `old` under it became `new`: RFC 1624 §3, equation 3.
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(u64::from(!checksum) + u64::from(!old) + u64::from(new))
}

/// One's complement addition of 64 bits: the carry goes round.
#[inline]
const fn add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u64
}

/// The one's complement sum of the four 16-bit words of `sum`: 0 for 0 only.
#[inline]
fn fold(sum: u64) -> u16 {
    // The upper half of x + rotated x is the sum of x's halves and their carry.
    let sum = u32::try_from(sum.wrapping_add(sum.rotate_left(32)) >> 32).unwrap_or(u32::MAX);
    u16::try_from(sum.wrapping_add(sum.rotate_left(16)) >> 16).unwrap_or(u16::MAX)
}

/// Fewer bytes than this are summed without the set-up that [`blocks`] takes.
const SMALL: usize = 128;

/// The sum of the 16-bit words of `data` in the machine's byte order, a last odd byte padded with
/// zero.
#[inline]
fn lanes(data: &[u8]) -> u64 {
    if data.len() < SMALL {
        few(data)
    } else {
        blocks(data)
    }
}

/// [`lanes`] of few bytes, or of the last ones.
#[inline]
fn few(data: &[u8]) -> u64 {
    let (words, rest) = data.as_chunks::<4>();
    let mut sum: u64 = words
        .iter()
        .map(|w| u64::from(u32::from_ne_bytes(*w)))
        .sum();
    let (word, last) = rest.as_chunks::<2>();
    if let [word] = word {
        sum += u64::from(u16::from_ne_bytes(*word));
    }
    if let [last] = last {
        sum += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    sum
}

/// [`lanes`] of many bytes, in a form that the compiler makes vector code of.
///
/// Each lane of 32 bits adds up its words, of which carries are lost, and their upper halves, of
/// which none is: `all - (high << 16)` is then what the lower halves add up to. That takes three
/// operations per vector, where widening each half takes four or more.
fn blocks(data: &[u8]) -> u64 {
    const LANES: usize = 16;
    /// So many sums of 16 bits fit into 32.
    const MOST: usize = 1 << 16;
    let mut sum = 0;
    let (blocks, rest) = data.as_chunks::<{ LANES * 4 }>();
    for part in blocks.chunks(MOST) {
        let (mut all, mut high) = ([0u32; LANES], [0u32; LANES]);
        for block in part {
            let (words, _) = block.as_chunks::<4>();
            for ((all, high), word) in all.iter_mut().zip(&mut high).zip(words) {
                let word = u32::from_ne_bytes(*word);
                *all = all.wrapping_add(word);
                *high = high.wrapping_add(word >> 16);
            }
        }
        for (all, high) in all.into_iter().zip(high) {
            let low = all.wrapping_sub(high << 16);
            sum += u64::from(low) + u64::from(high);
        }
    }
    sum + few(rest)
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

    /// r67: lengths above 64 KiB of all ones do not overflow, nor those above what a lane holds.
    #[test]
    fn r67_megabytes_of_ones_do_not_overflow() {
        for len in [65_536, (1 << 20) + 1, 4 << 20, (4 << 20) + 199] {
            let data = vec![0xff; len];
            assert_eq!(checksum(&data), naive(&data), "{len}");
        }
    }

    #[test]
    fn carries_go_round() {
        assert_eq!(add(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(add(u64::MAX, 1), 1);
        for (sum, folded) in [
            (0, 0),
            (0xffff, 0xffff),
            (0x1_0000, 1),
            (0x1_fffe, 0xffff),
            (0xffff_0000, 0xffff),
            (0xffff_0000_0000_0000, 0xffff),
            (0x8000_0000_8000_0000, 1),
            (u64::MAX, 0xffff),
            (u64::MAX - 1, 0xfffe),
        ] {
            assert_eq!(fold(sum), folded, "{sum:#x}");
        }
    }

    #[test]
    fn sums_are_equal_when_they_stand_for_the_same() {
        let words = Sum::new().word(0xffff).word(0x1234);
        assert_eq!(words, Sum::new().word(0x1234).word(0xffff));
        assert_eq!(words, Sum::new().bytes(&[0x12, 0x34]));
        assert_ne!(words, Sum::new().bytes(&[0x12, 0x34, 0]));
        assert_ne!(Sum::new().word(0xffff), Sum::new());
    }

    #[test]
    fn equals_the_naive_sum_at_every_short_length_and_alignment() {
        let byte = |n: u32| n.wrapping_mul(0x9e37_79b1).to_be_bytes()[0];
        let data: Vec<u8> = (0..320).map(byte).collect();
        for len in 0..=300 {
            for skip in 0..16 {
                let data = &data[skip..skip + len];
                assert_eq!(checksum(data), naive(data), "{len} bytes from {skip}");
            }
        }
    }

    /// Cut in two at every place, which also begins slices at every odd one.
    #[test]
    fn every_cut_gives_the_same_sum() {
        let data: Vec<u8> = (0..300u16).map(|n| n.to_be_bytes()[1] | 1).collect();
        for len in [1, 2, 63, 64, 65, 127, 128, 129, 299, 300] {
            for cut in 0..=len {
                let (head, tail) = data[..len].split_at(cut);
                let sum = Sum::new().slices(&[head, tail]);
                assert_eq!(sum.finish(), naive(&data[..len]), "{len} cut at {cut}");
            }
        }
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
