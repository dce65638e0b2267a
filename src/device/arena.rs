//! The receive buffer: a ring of pooled chunks, into whose spare room frames are read.
//!
//! *Owns* the chunks that nobody reads any more. A frame is a slice of its chunk, and a chunk comes
//! back when the last slice of it is gone. Fresh chunks make the rate unsteady (20 to 60 Gbit/s
//! where a pool gives 60 to 70), so one is made only when none can be had back.
//! Invariant: nothing is filled with zeros per frame, and no frame is copied.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Bytes of a chunk unless a setting says otherwise.
pub(super) const CHUNK: usize = 256 * 1024;

/// Chunks remembered while slices of them live; older ones are left to their slices.
const POOLED: usize = 64;

/// How many of them are looked at for a free one before a new one is made.
const LOOKED_AT: usize = 8;

#[derive(Debug)]
pub(super) struct Arena {
    current: BytesMut,
    used: VecDeque<BytesMut>,
    chunk: usize,
    made: u64,
}

impl Arena {
    /// An arena of chunks of `chunk` bytes; the first is made when it is needed.
    pub(super) fn new(chunk: usize) -> Self {
        Self {
            current: BytesMut::new(),
            used: VecDeque::new(),
            chunk,
            made: 0,
        }
    }

    /// An empty buffer with spare room for at least `need` bytes. Split off what was filled.
    pub(super) fn room(&mut self, need: usize) -> &mut BytesMut {
        if self.current.capacity() - self.current.len() < need {
            self.next_chunk(need);
        }
        &mut self.current
    }

    /// Chunks made so far.
    #[cfg(test)]
    pub(super) const fn made(&self) -> u64 {
        self.made
    }

    fn next_chunk(&mut self, need: usize) {
        let size = self.chunk.max(need);
        // With no slice left it begins anew, without a look at the ring.
        if self.current.try_reclaim(size) {
            return;
        }
        let next = self.reclaimed(size).unwrap_or_else(|| {
            self.made += 1;
            BytesMut::with_capacity(size)
        });
        let spent = std::mem::replace(&mut self.current, next);
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
