//! Buffers to fill from front to back and give out in slices, taken back when the last slice is gone.
//!
//! *Owns* the chunks that nobody reads any more. A slice keeps its whole chunk alive, and a chunk
//! comes back when the last one of it is gone. Fresh chunks make the rate unsteady (20 to 60 Gbit/s
//! where a pool gives 60 to 70), so one is made only when none can be had back.
//! Invariant: nothing is filled with zeros, and nothing is copied.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Chunks remembered while slices of them live; older ones are left to their slices.
const POOLED: usize = 64;

/// How many of them are looked at for a free one before a new one is made.
const LOOKED_AT: usize = 8;

#[derive(Debug)]
pub(crate) struct Arena {
    current: BytesMut,
    used: VecDeque<BytesMut>,
    chunk: usize,
    made: u64,
}

impl Arena {
    /// An arena of chunks of `chunk` bytes; the first is made when it is needed.
    pub(crate) fn new(chunk: usize) -> Self {
        Self {
            current: BytesMut::new(),
            used: VecDeque::new(),
            chunk,
            made: 0,
        }
    }

    /// What is being filled, with spare room for at least `need` bytes. Split off what was filled,
    /// before there is too little room for more at the latest.
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
        }
    }

    /// Lets go of all chunks but the one that is being filled.
    pub(crate) fn forget_used(&mut self) {
        self.used = VecDeque::new();
    }

    /// Chunks made so far.
    #[cfg(test)]
    pub(crate) const fn made(&self) -> u64 {
        self.made
    }

    fn next_chunk(&mut self, need: usize) {
        debug_assert!(self.current.is_empty(), "what was filled is split off");
        let size = self.chunk.max(need);
        // With no slice left it begins anew, without a look at the ring.
        if self.current.try_reclaim(size) {
            return;
        }
        let next = self.reclaimed(size).unwrap_or_else(|| {
            self.made += 1;
            BytesMut::with_capacity(size)
        });
        let spent = core::mem::replace(&mut self.current, next);
        // What stood there before the first chunk was none.
        if self.made > 1 {
            self.used.push_back(spent);
        }
        if self.used.len() > POOLED {
            self.used.pop_front();
        }
    }

    fn reclaimed(&mut self, size: usize) -> Option<BytesMut> {
        for _ in 0..self.used.len().min(LOOKED_AT) {
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

    #[test]
    fn what_nobody_gives_back_is_not_remembered_for_ever() {
        let mut arena = Arena::new(FRAME);
        let kept: Vec<Bytes> = (0..200).map(|i| fill(&mut arena, i)).collect();
        assert_eq!(arena.made(), 200);
        assert!(arena.used.len() <= POOLED);
        assert!(kept.iter().zip(0..).all(|(f, i)| f[0] == i));
    }
}
