//! One direction's text as a capture has it, by its place in the stream.
//!
//! *Owns* what is known of the bytes that may still be asked for, in any order of arrival, and the budget that all
//! streams share. *Does not* know segments. Bytes that nobody can know (cut off, never captured,
//! sent twice with different values, or beyond the budget) are kept as a length. Invariants: pieces never
//! overlap; what is before `base` is forgotten; all before `next` is known or known to be unknown.

use core::ops::Range;
use std::collections::BTreeMap;

use bytes::{Buf, Bytes};

/// What a piece costs beside its bytes: its place in the tree, and the headers of the frame that it lies in.
const OVERHEAD: usize = 256;

/// Bytes that all streams may hold.
#[derive(Debug)]
pub(super) struct Budget {
    used: usize,
    limit: usize,
}

impl Budget {
    pub(super) const fn new(limit: usize) -> Self {
        Self { used: 0, limit }
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// Takes so many; `false` when they are not there.
    const fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.limit.saturating_sub(self.used);
        if fits {
            self.used += bytes;
        }
        fits
    }

    /// Takes so many, come what may.
    const fn overdraw(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(bytes);
    }

    const fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Known(Bytes),
    Unknown(u64),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Known(bytes) => bytes.len() as u64,
            Self::Unknown(len) => *len,
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::Known(bytes) => bytes.len() + OVERHEAD,
            Self::Unknown(_) => OVERHEAD,
        }
    }
}

/// Text that is not what the capture has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// Where in the stream.
    pub(super) offset: u64,
    /// What the capture has; `None`: nothing at all.
    pub(super) expected: Option<u8>,
    pub(super) got: u8,
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    pieces: BTreeMap<u64, Piece>,
    base: u64,
    next: u64,
    /// Pieces found no room: what is not here may have been captured.
    has_dropped: bool,
    /// Bytes that came twice with different values.
    pub(super) conflicts: u64,
}

impl Stream {
    /// Where the first byte lies that is neither known nor known to be unknown.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Notes what was captured at `at`, and behind it `missing` bytes that were cut off.
    pub(super) fn insert(&mut self, at: u64, bytes: &Bytes, missing: u64, budget: &mut Budget) {
        let mut bytes = bytes.clone();
        let mut at = at;
        let old = usize::try_from(self.base.saturating_sub(at)).unwrap_or(usize::MAX);
        let old = old.min(bytes.len());
        bytes.advance(old);
        at += old as u64;
        while !bytes.is_empty() {
            let room = match self.held_at(at) {
                Held::Until(end) => {
                    let known = bytes.split_to(shorter(end - at, bytes.len()));
                    self.compare(at, &known, budget);
                    at += known.len() as u64;
                    continue;
                }
                Held::FreeUntil(end) => shorter(end - at, bytes.len()),
            };
            self.put(at, Piece::Known(bytes.split_to(room)), budget);
            at += room as u64;
        }
        if missing > 0 {
            let _ = self.fill(at.max(self.base)..at + missing, budget);
        }
        self.advance();
    }

    /// Stands in for what is not known before `end`: the other side has acknowledged it. The gaps.
    pub(super) fn fill_to(&mut self, end: u64, budget: &mut Budget) -> Vec<Range<u64>> {
        let gaps = self.fill(self.next..end, budget);
        self.advance();
        gaps
    }

    fn fill(&mut self, range: Range<u64>, budget: &mut Budget) -> Vec<Range<u64>> {
        let (mut at, mut gaps) = (range.start, Vec::new());
        while at < range.end {
            match self.held_at(at) {
                Held::Until(end) => at = end,
                Held::FreeUntil(end) => {
                    let end = end.min(range.end);
                    gaps.push(at..end);
                    self.advance();
                    self.put(at, Piece::Unknown(end - at), budget);
                    at = end;
                }
            }
        }
        gaps
    }

    /// Is the byte at `at` there, and up to where is it so?
    fn held_at(&self, at: u64) -> Held {
        if let Some((start, piece)) = self.pieces.range(..=at).next_back()
            && start + piece.len() > at
        {
            return Held::Until(start + piece.len());
        }
        let after = self.pieces.range(at..).next();
        Held::FreeUntil(after.map_or(u64::MAX, |(start, _)| *start))
    }

    /// Bytes that were there before: what differs is not known.
    fn compare(&mut self, at: u64, bytes: &Bytes, budget: &mut Budget) {
        let Some((&start, piece)) = self.pieces.range(..=at).next_back() else {
            return;
        };
        let Piece::Known(have) = piece else { return };
        let skip = usize::try_from(at - start).unwrap_or(usize::MAX);
        if have.get(skip..skip + bytes.len()) == Some(&bytes[..]) {
            return;
        }
        self.conflicts += bytes.len() as u64;
        let unknown = Piece::Unknown(piece.len());
        budget.give_back(piece.cost() - unknown.cost());
        self.pieces.insert(start, unknown);
    }

    /// Puts a piece where nothing is. Beyond the budget only its length is kept; a piece that joins no other and
    /// finds no room even for that is as if it was never captured.
    fn put(&mut self, at: u64, piece: Piece, budget: &mut Budget) {
        let piece = if budget.take(piece.cost()) {
            piece
        } else if let Some((start, Piece::Unknown(len))) = self.pieces.range_mut(..at).next_back()
            && *start + *len == at
        {
            *len += piece.len();
            return;
        } else if at == self.next {
            // What comes next must not stall for want of room: at most one such piece a stream.
            budget.overdraw(OVERHEAD);
            Piece::Unknown(piece.len())
        } else {
            self.has_dropped = true;
            return;
        };
        self.pieces.insert(at, piece);
    }

    fn advance(&mut self) {
        // A piece may have grown over it.
        while let Held::Until(end) = self.held_at(self.next) {
            self.next = end;
        }
    }

    /// The text from `at` on, as much as lies in one piece, when all before it is there too.
    pub(super) fn chunk(&self, at: u64) -> Option<Piece> {
        if at >= self.next {
            return None;
        }
        let (start, piece) = self.pieces.range(..=at).next_back()?;
        let skip = at - start;
        match piece {
            Piece::Known(bytes) => {
                let skip = usize::try_from(skip).ok().filter(|&it| it < bytes.len())?;
                Some(Piece::Known(bytes.slice(skip..)))
            }
            Piece::Unknown(len) => {
                let left = len.checked_sub(skip).filter(|&left| left > 0)?;
                Some(Piece::Unknown(left))
            }
        }
    }

    /// Is this what the capture has at `at`? What was forgotten, found no room or cannot be known passes.
    ///
    /// # Errors
    /// The first byte that is not.
    pub(super) fn check(&self, at: u64, text: &[u8]) -> Result<(), Mismatch> {
        let old = usize::try_from(self.base.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut text = text.get(old..).unwrap_or_default();
        let mut at = at.max(self.base);
        while let Some(&got) = text.first() {
            let found = self.pieces.range(..=at).next_back();
            let held = found.filter(|(start, piece)| *start + piece.len() > at);
            let Some((start, piece)) = held else {
                if self.has_dropped {
                    return Ok(());
                }
                let offset = at;
                return Err(Mismatch {
                    offset,
                    expected: None,
                    got,
                });
            };
            let len = shorter(start + piece.len() - at, text.len());
            let (now, rest) = text.split_at(len);
            if let Piece::Known(bytes) = piece {
                let skip = usize::try_from(at - start).unwrap_or(usize::MAX);
                let known = bytes.get(skip..).unwrap_or_default();
                let differs = now.iter().zip(known).position(|(a, b)| a != b);
                if let Some(place) = differs {
                    return Err(Mismatch {
                        offset: at + place as u64,
                        expected: known.get(place).copied(),
                        got: now[place],
                    });
                }
            }
            at += len as u64;
            text = rest;
        }
        Ok(())
    }

    /// What is before `end` is never asked for again.
    pub(super) fn forget_to(&mut self, end: u64, budget: &mut Budget) {
        while let Some(first) = self.pieces.first_entry() {
            let (start, piece) = (*first.key(), first.get());
            if start >= end {
                break;
            }
            let (len, cost) = (piece.len(), piece.cost());
            let piece = first.remove();
            if start + len <= end {
                budget.give_back(cost);
                continue;
            }
            let gone = end - start;
            let rest = match piece {
                Piece::Known(mut bytes) => {
                    bytes.advance(shorter(gone, bytes.len()));
                    Piece::Known(bytes)
                }
                Piece::Unknown(len) => Piece::Unknown(len - gone),
            };
            budget.give_back(cost - rest.cost());
            self.pieces.insert(end, rest);
            break;
        }
        self.base = self.base.max(end);
        self.next = self.next.max(end);
        self.advance();
    }

    /// Gives back what it holds.
    pub(super) fn release(&mut self, budget: &mut Budget) {
        self.forget_to(u64::MAX, budget);
    }
}

/// What is at a place of the stream, and up to where.
enum Held {
    Until(u64),
    FreeUntil(u64),
}

/// The lesser of two lengths.
fn shorter(one: u64, other: usize) -> usize {
    usize::try_from(one).unwrap_or(usize::MAX).min(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn text_out_of_order_joins() {
        let (mut stream, mut budget) = (Stream::default(), Budget::new(1 << 20));
        stream.insert(3, &bytes("def"), 0, &mut budget);
        assert_eq!((stream.next(), stream.chunk(0)), (0, None));
        stream.insert(0, &bytes("abcd"), 0, &mut budget);
        assert_eq!(stream.next(), 6);
        assert_eq!(stream.chunk(1), Some(Piece::Known(bytes("bc"))));
        assert_eq!(stream.check(0, b"abcdef"), Ok(()));
        let wrong = Mismatch {
            offset: 4,
            expected: Some(b'e'),
            got: b'x',
        };
        assert_eq!(stream.check(2, b"cdxf"), Err(wrong));
        let nothing = Mismatch {
            offset: 6,
            expected: None,
            got: b'g',
        };
        assert_eq!(stream.check(5, b"fg"), Err(nothing));
        stream.forget_to(5, &mut budget);
        assert_eq!(stream.check(0, b"?????f"), Ok(()), "forgotten");
        stream.release(&mut budget);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_cannot_be_known_is_a_length() {
        let (mut stream, mut budget) = (Stream::default(), Budget::new(1 << 20));
        stream.insert(0, &bytes("ab"), 2, &mut budget);
        assert_eq!(stream.chunk(2), Some(Piece::Unknown(2)), "cut off");
        stream.insert(8, &bytes("ij"), 0, &mut budget);
        let gaps = stream.fill_to(10, &mut budget);
        assert_eq!((gaps.len(), gaps[0].clone()), (1, 4..8));
        assert_eq!(stream.check(0, b"ab??????ij"), Ok(()));
        stream.insert(8, &bytes("iJ"), 0, &mut budget);
        assert_eq!(stream.conflicts, 2);
        assert_eq!(stream.check(8, b"!!"), Ok(()), "two values: neither");
    }

    #[test]
    fn beyond_the_budget_lengths_are_kept() {
        let (mut stream, mut budget) = (Stream::default(), Budget::new(2 * OVERHEAD + 3));
        stream.insert(0, &bytes("abc"), 0, &mut budget);
        for at in 0..1000 {
            stream.insert(3 + 2 * at, &bytes("de"), 0, &mut budget);
        }
        assert_eq!(stream.next(), 2003);
        assert_eq!(stream.pieces.len(), 2);
        // Scattered ones are as if they were never captured.
        for at in 0..1000 {
            stream.insert(5000 + 2 * at, &bytes("x"), 0, &mut budget);
        }
        assert_eq!(stream.pieces.len(), 2);
        assert!(budget.used() <= 2 * OVERHEAD + 3);
        stream.release(&mut budget);
        assert_eq!(budget.used(), 0);
    }

    proptest! {
        /// Against an array of what is known at each place.
        #[test]
        fn a_naive_stream_agrees(
            steps in prop::collection::vec((0u64..60, 0usize..9, 0u64..4, any::<bool>()), 1..40),
        ) {
            let (mut stream, mut budget) = (Stream::default(), Budget::new(1 << 20));
            let mut naive: Vec<Option<()>> = vec![None; 200];
            let mut base = 0;
            for (at, len, missing, forgets) in steps {
                let text: Bytes = (0..len as u64).map(|n| u8::try_from(at + n).unwrap()).collect();
                stream.insert(at, &text, missing, &mut budget);
                for place in at..at + len as u64 + missing {
                    naive[usize::try_from(place).unwrap()] = Some(());
                }
                if forgets {
                    base = base.max(at.min(stream.next()));
                    stream.forget_to(base, &mut budget);
                }
                let known = naive.iter().enumerate().skip(usize::try_from(base).unwrap());
                let next = known.clone().find(|(_, it)| it.is_none()).unwrap().0 as u64;
                prop_assert_eq!(stream.next(), next);
                let right: Vec<u8> = (base..next).map(|n| u8::try_from(n).unwrap()).collect();
                prop_assert_eq!(stream.check(base, &right), Ok(()));
            }
            stream.release(&mut budget);
            prop_assert_eq!(budget.used(), 0);
        }
    }
}
