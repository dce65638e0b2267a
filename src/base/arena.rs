//! Buffers to fill from front to back and give out in slices, taken back when the last slice is gone.
//!
//! *Owns* the chunks that nobody reads any more. A slice keeps its whole chunk alive, and a chunk
//! comes back when the last one of it is gone. Fresh chunks make the rate unsteady (20 to 60 Gbit/s
//! where a pool gives 60 to 70), so one is made only when none can be had back.
//! An arena with a bound is *frugal* while its chunks are all kept by somebody: what is filled then is
//! copied into memory of its own size, so that what is kept beyond the bound is not more than it holds.
//! Invariant: nothing is filled with zeros, and nothing is copied unless the arena is frugal.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Chunks remembered while slices of them live; an arena without a bound leaves older ones to their
/// slices, one with a bound makes no more than it has to.
const POOLED: usize = 64;

/// How many of them are looked at for a free one before a new one is made.
const LOOKED_AT: usize = 8;

// In this order, so that filling and asking what is held touch one place.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Arena {
    current: BytesMut,
    chunk: usize,
    /// Bytes of the chunks that it knows: none before the first is made.
    held: usize,
    used: VecDeque<BytesMut>,
    /// Chunks that slices may keep, beside the one that is being filled.
    most: Option<usize>,
    /// While it is frugal: bytes copied since it was last seen whether a chunk is free.
    copied: Option<usize>,
    /// Slices copied so far because it was frugal.
    copies: u64,
    #[cfg(test)]
    made: u64,
}

impl Arena {
    /// An arena of chunks of `chunk` bytes; the first is made when it is needed.
    pub(crate) fn new(chunk: usize) -> Self {
        Self {
            current: BytesMut::new(),
            chunk: chunk.max(1),
            held: 0,
            used: VecDeque::new(),
            most: None,
            copied: None,
            copies: 0,
            #[cfg(test)]
            made: 0,
        }
    }

    /// The same, whose slices keep `most` bytes of chunks at most, and two chunks at least.
    pub(crate) fn bounded(chunk: usize, most: usize) -> Self {
        Self {
            most: Some((most / chunk.max(1)).max(2) - 1),
            ..Self::new(chunk)
        }
    }

    /// What was filled, as a slice that is the caller's to keep.
    pub(crate) fn take(&mut self) -> Bytes {
        let Some(copied) = self.copied else {
            return self.current.split().freeze();
        };
        let slice = Bytes::copy_from_slice(&self.current);
        self.current.clear();
        self.copies += 1;
        let copied = copied + slice.len();
        self.copied = Some(copied);
        if copied >= self.chunk {
            self.end_frugality();
        }
        slice
    }

    /// Slices that were copied because too many chunks were kept.
    pub(crate) const fn copies(&self) -> u64 {
        self.copies
    }

    /// What is being filled, with spare room for at least `need` bytes. Split off what was filled,
    /// before there is too little room for more at the latest.
    #[inline]
    pub(crate) fn room(&mut self, need: usize) -> &mut BytesMut {
        if self.spare() < need {
            self.next_chunk(need);
        }
        &mut self.current
    }

    /// Bytes that still fit in what is being filled.
    pub(crate) fn spare(&self) -> usize {
        self.current.capacity() - self.current.len()
    }

    /// What was filled and not split off.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.current
    }

    /// Chunks have at least `chunk` bytes from now on; smaller ones are not used again, or a mixture
    /// would be searched in vain for one that is large enough.
    pub(crate) fn grow_chunk(&mut self, chunk: usize) {
        if chunk > self.chunk {
            self.chunk = chunk;
            self.used.clear();
            self.measure();
        }
    }

    /// Lets go of all chunks but the one that is being filled.
    pub(crate) fn forget_used(&mut self) {
        self.used = VecDeque::new();
        self.measure();
    }

    /// Bytes of the chunks that it knows.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// It knows other chunks than before, or counts them as larger.
    fn measure(&mut self) {
        if self.held > 0 {
            self.held = (self.used.len() + 1) * self.chunk;
        }
    }

    /// Chunks made so far.
    #[cfg(test)]
    pub(crate) const fn made(&self) -> u64 {
        self.made
    }

    #[inline(never)]
    fn next_chunk(&mut self, need: usize) {
        debug_assert!(self.current.is_empty(), "what was filled is split off");
        let size = self.chunk.max(need);
        // With no slice left it begins anew, without a look at the ring.
        if self.current.try_reclaim(size) {
            return;
        }
        let full = self.most.is_some_and(|most| self.used.len() >= most);
        // A whole ring is looked at before anything is copied for it.
        let looks = if full { self.used.len() } else { LOOKED_AT };
        let free = self.reclaimed(size, looks);
        if full && free.is_none() {
            self.copied = Some(0);
        }
        let next = free.unwrap_or_else(|| {
            #[cfg(test)]
            {
                self.made += 1;
            }
            BytesMut::with_capacity(size)
        });
        let spent = core::mem::replace(&mut self.current, next);
        // What stood there before the first chunk was none.
        if self.held > 0 {
            self.used.push_back(spent);
        }
        if self.used.len() > POOLED {
            self.forget_one(size);
        }
        self.held = self.held.max(self.chunk);
        self.measure();
    }

    /// More chunks are known than are pooled: one is given up, if nobody would keep it.
    fn forget_one(&mut self, size: usize) {
        if let Some(mut chunk) = self.used.pop_front()
            && self.most.is_some()
            && !chunk.try_reclaim(size)
        {
            // It counts as long as somebody keeps it; next time another one is looked at.
            self.used.push_back(chunk);
        }
    }

    /// A chunk came back: it is filled as ever.
    fn end_frugality(&mut self) {
        let size = self.current.capacity();
        self.copied = Some(0);
        if let Some(chunk) = self.reclaimed(size, self.used.len()) {
            self.current = chunk;
            self.copied = None;
            self.measure();
        }
    }

    fn reclaimed(&mut self, size: usize, looks: usize) -> Option<BytesMut> {
        for _ in 0..self.used.len().min(looks) {
            let mut chunk = self.used.pop_front()?;
            if chunk.try_reclaim(size) {
                return Some(chunk);
            }
            self.used.push_back(chunk);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const FRAME: usize = 1000;

    fn fill(arena: &mut Arena, byte: u8) -> Bytes {
        let room = arena.room(FRAME);
        assert!(room.is_empty());
        room.resize(FRAME, byte);
        room.split().freeze()
    }

    #[test]
    fn a_chunk_is_used_again_when_no_slice_is_left() {
        let mut arena = Arena::new(10 * FRAME);
        for round in 0..100u8 {
            let frames: Vec<Bytes> = (0..15).map(|_| fill(&mut arena, round)).collect();
            assert!(frames.iter().all(|f| f.iter().all(|&b| b == round)));
        }
        assert!(arena.made() <= 3, "{} chunks for 1500 frames", arena.made());
    }

    #[test]
    fn a_slice_that_lives_keeps_its_bytes_and_holds_up_nothing_else() {
        let mut arena = Arena::new(10 * FRAME);
        let kept = fill(&mut arena, 0xaa);
        for round in 0..200u8 {
            drop(fill(&mut arena, round));
        }
        assert!(kept.iter().all(|&b| b == 0xaa));
        assert!(arena.made() <= 3, "{} chunks", arena.made());
    }

    /// Slices of chunks that others fill: without a bound each keeps a whole one.
    #[test]
    fn a_bounded_arena_keeps_no_more_than_its_bound_and_what_is_kept() {
        const MOST: usize = 16;
        let mut arena = Arena::bounded(10 * FRAME, MOST * 10 * FRAME);
        let mut frame = |byte: u8| {
            arena.room(FRAME).resize(FRAME, byte);
            let slice = arena.take();
            (slice, arena.copies(), arena.made())
        };
        let mut kept = Vec::new();
        for byte in 0..100 {
            kept.push(frame(byte).0);
            for _ in 0..9 {
                drop(frame(byte));
            }
        }
        assert!(kept.iter().zip(0..).all(|(f, i)| f.iter().all(|&b| b == i)));
        let (_, copies, made) = frame(0);
        assert_eq!(
            made,
            MOST as u64 + 1,
            "chunks, the one copied from included"
        );
        assert!(copies > 700, "{copies} of 1001 frames were copied");
        // One chunk comes back: nothing is copied any more, once that was seen.
        kept.remove(3);
        let seen: Vec<u64> = (0..1000).map(|_| frame(0).1).collect();
        assert!(seen[10] == seen[999], "copied though a chunk was free");
        // All come back.
        drop(kept);
        assert_eq!(frame(1).2, made);
    }

    /// What was kept and came back is given up, down to the pool.
    #[test]
    fn a_bounded_arena_forgets_what_is_free() {
        let mut arena = Arena::bounded(FRAME, 1000 * FRAME);
        let mut frame = || {
            arena.room(FRAME).resize(FRAME, 7);
            (arena.take(), arena.used.len())
        };
        let kept: Vec<Bytes> = (0..500).map(|_| frame().0).collect();
        assert!(frame().1 >= 500, "what is kept counts");
        drop(kept);
        // Frames of a whole chunk that live for a while, as a batch does.
        for _ in 0..1000 {
            let batch: Vec<_> = (0..4).map(|_| frame()).collect();
            drop(batch);
        }
        assert!(frame().1 <= POOLED, "{} chunks", arena.used.len());
    }

    #[test]
    fn what_nobody_gives_back_is_not_remembered_for_ever() {
        let mut arena = Arena::new(FRAME);
        let kept: Vec<Bytes> = (0..200).map(|i| fill(&mut arena, i)).collect();
        assert_eq!(arena.made(), 200);
        assert!(arena.used.len() <= POOLED);
        assert!(kept.iter().zip(0..).all(|(f, i)| f[0] == i));
    }
}
