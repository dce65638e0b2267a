//! A part of a segment's text, as long as nobody keeps it.
//!
//! *Owns* which bytes of it are meant. *Does not* hold them: who looks at text, cuts it to a window or copies
//! it counts no reference, and who keeps it says so.

use bytes::Bytes;

/// Some of the bytes of a segment's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    whole: &'a Bytes,
    from: usize,
    len: usize,
}

impl<'a> Part<'a> {
    /// All of it.
    pub(super) fn new(whole: &'a Bytes) -> Self {
        let (from, len) = (0, whole.len());
        Self { whole, from, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes up to `count` bytes off the front.
    pub(super) fn advance(&mut self, count: usize) {
        let count = count.min(self.len);
        (self.from, self.len) = (self.from + count, self.len - count);
    }

    /// Leaves `len` bytes at most.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(super) fn as_slice(&self) -> &'a [u8] {
        &self.whole[self.from..self.from + self.len]
    }

    /// The bytes to keep: a slice, but the lesser part of a segment, the rest of which is old or does not fit, is
    /// taken out of what it came in.
    pub(super) fn to_bytes(self) -> Bytes {
        if self.len < self.whole.len() / 2 {
            Bytes::copy_from_slice(self.as_slice())
        } else {
            self.whole.slice(self.from..self.from + self.len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_cut_at_both_ends_and_no_further_than_it_is_long() {
        let whole = Bytes::from_static(b"0123456789");
        let mut part = Part::new(&whole);
        part.advance(2);
        part.truncate(6);
        part.truncate(7);
        assert_eq!((part.as_slice(), part.len()), (&b"234567"[..], 6));
        part.advance(7);
        assert!(part.is_empty() && part.as_slice().is_empty());
    }

    /// The lesser part pins nothing of what it came in.
    #[test]
    fn the_greater_part_is_a_slice_and_the_lesser_a_copy() {
        let whole = Bytes::from(vec![7; 100]);
        let mut part = Part::new(&whole);
        assert_eq!(part.to_bytes(), whole);
        part.truncate(50);
        let half = part.to_bytes();
        assert_eq!(half, whole.slice(..50));
        assert!(!whole.is_unique());
        drop(half);
        part.truncate(49);
        let lesser = part.to_bytes();
        assert_eq!(lesser, whole.slice(..49));
        assert!(whole.is_unique());
    }
}
