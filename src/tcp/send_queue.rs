//! The bytes a user wrote and the peer has not acknowledged, kept once.
//!
//! *Owns* the payload of the sending side: chunks in order, addressed by their offset in the
//! stream. Records and plans name ranges of it, so a retransmission or a split copies nothing.
//! *Does not* know sequence numbers. Invariant: offsets `start..end` are held, without a gap.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::Arena;

use super::read_queue::release_room;

// Below this a chunk is copied into the tail: a small slice would pin a buffer of any size, and a
// super-segment must not need more slices than one `writev` takes (64 KiB / 1 KiB = 64 << 1024).
const COPY_BREAK: usize = 1024;
// The largest buffer that written slices are gathered in; a super-segment then touches two at most.
const CHUNK: usize = 256 << 10;
// The smallest, for connections that say little.
const SMALL_CHUNK: usize = 2 << 10;

#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    start: u64,
    end: u64,
    /// Bytes that will not grow any more, each with its offset.
    frozen: VecDeque<(u64, Bytes)>,
    /// The last bytes, into whose spare room the next small write goes, and chunks to be used again.
    tail: Option<Box<Arena>>,
}

impl SendQueue {
    /// Offset of the first byte held.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Offset after the last byte held.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.end - self.start).unwrap_or(usize::MAX)
    }

    /// Appends a copy of `data`.
    pub(crate) fn copy(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.spare() == 0 {
                self.freeze_tail();
            }
            // A chunk for four or fewer makes what the buffer holds: few are waited for at a time.
            let size = data.len().max(self.len() / 4).next_power_of_two();
            let tail = self.tail.get_or_insert_with(|| Box::new(Arena::new(0)));
            tail.grow_chunk(size.clamp(SMALL_CHUNK, CHUNK));
            let room = tail.room(1);
            let now = data.len().min(room.capacity() - room.len());
            let (now, later) = data.split_at(now);
            room.extend_from_slice(now);
            self.end += now.len() as u64;
            data = later;
        }
    }

    /// Appends a chunk; a large one is kept as it is, a small one is copied.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if chunk.len() < COPY_BREAK {
            self.copy(&chunk);
        } else {
            self.freeze_tail();
            let at = self.end;
            self.end += chunk.len() as u64;
            self.frozen.push_back((at, chunk));
        }
    }

    /// Lets go of everything below `offset`.
    pub(crate) fn release(&mut self, offset: u64) {
        if offset > self.frozen_end() {
            self.freeze_tail();
        }
        self.start = offset.clamp(self.start, self.end);
        while let Some((at, chunk)) = self.frozen.front_mut() {
            let below = usize::try_from(self.start - *at).unwrap_or(usize::MAX);
            if below < chunk.len() {
                bytes::Buf::advance(chunk, below);
                *at = self.start;
                break;
            }
            self.frozen.pop_front();
        }
    }

    /// Adds the slices that hold `len` bytes from `offset` on to `out`.
    ///
    /// The range must be held.
    pub(crate) fn slices(&mut self, offset: u64, len: usize, out: &mut Vec<Bytes>) {
        debug_assert!(offset >= self.start && offset + len as u64 <= self.end);
        if offset + len as u64 > self.frozen_end() {
            self.freeze_tail();
        }
        let first = self
            .frozen
            .partition_point(|(at, chunk)| at + chunk.len() as u64 <= offset);
        let mut skip = self.frozen.get(first).map_or(0, |(at, _)| {
            usize::try_from(offset - at).unwrap_or(usize::MAX)
        });
        let mut left = len;
        for (_, chunk) in self.frozen.range(first..) {
            if left == 0 {
                break;
            }
            let take = left.min(chunk.len() - skip);
            out.push(chunk.slice(skip..skip + take));
            left -= take;
            skip = 0;
        }
    }

    /// Recounts what is held; for tests and debug builds.
    pub(crate) fn check(&self) {
        let mut at = self.start;
        for (offset, chunk) in &self.frozen {
            assert_eq!(*offset, at, "chunks are adjacent");
            at += chunk.len() as u64;
        }
        assert_eq!(at, self.frozen_end(), "bytes frozen");
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        if self.len() == 0 {
            (self.frozen, self.tail) = (VecDeque::new(), None);
        } else {
            release_room(&mut self.frozen);
            if let Some(tail) = &mut self.tail {
                tail.forget_used();
            }
        }
    }

    fn spare(&self) -> usize {
        self.tail.as_ref().map_or(0, |tail| tail.spare())
    }

    /// The offset after the last byte that is frozen.
    fn frozen_end(&self) -> u64 {
        let tail = self.tail.as_ref().map_or(0, |tail| tail.filled().len());
        self.end - tail as u64
    }

    fn freeze_tail(&mut self) {
        let at = self.frozen_end();
        if let Some(tail) = &mut self.tail
            && at < self.end
        {
            let text = tail.room(0).split().freeze();
            self.frozen.push_back((at, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Cool,
        Copy(usize),
        Push(usize),
        Release(usize),
        Slices(usize, usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            Just(Op::Cool),
            (0usize..5000).prop_map(Op::Copy),
            (0usize..5000).prop_map(Op::Push),
            (0usize..6000).prop_map(Op::Release),
            (0usize..8000, 0usize..8000).prop_map(|(a, b)| Op::Slices(a, b)),
        ]
    }

    proptest! {
        #[test]
        fn equals_a_plain_vector(ops in prop::collection::vec(op(), 0..60)) {
            let mut queue = SendQueue::default();
            let mut model: Vec<u8> = Vec::new();
            let mut next = 0u8;
            let mut fresh = |n: usize| -> Vec<u8> {
                (0..n).map(|_| { next = next.wrapping_add(7); next }).collect()
            };
            let mut start = 0usize;
            for op in ops {
                match op {
                    Op::Cool => queue.cool(),
                    Op::Copy(n) => { let d = fresh(n); queue.copy(&d); model.extend(&d); }
                    Op::Push(n) => { let d = fresh(n); model.extend(&d); queue.push(d.into()); }
                    Op::Release(n) => {
                        start = (start + n).min(model.len());
                        queue.release(start as u64);
                    }
                    Op::Slices(at, n) => {
                        let at = (start + at).min(model.len());
                        let n = n.min(model.len() - at);
                        let mut out = Vec::new();
                        queue.slices(at as u64, n, &mut out);
                        prop_assert_eq!(out.concat(), model[at..at + n].to_vec());
                    }
                }
                prop_assert_eq!(queue.len(), model.len() - start);
                prop_assert_eq!(queue.end(), model.len() as u64);
            }
        }
    }

    #[test]
    fn small_writes_share_a_buffer_and_large_chunks_are_not_copied() {
        let mut queue = SendQueue::default();
        for _ in 0..1000 {
            queue.copy(b"x");
        }
        let large = Bytes::from(vec![1; 4096]);
        let at = large.as_ptr();
        queue.push(large);
        let mut out = Vec::new();
        queue.slices(0, 5096, &mut out);
        assert_eq!(out.len(), 2);
        assert_eq!(out[1].as_ptr(), at);
    }

    /// The send chunks of a steady flow are used again, however large the buffer is.
    #[test]
    fn chunks_that_were_acknowledged_are_filled_again() {
        for (write, buffered) in [(1, 3000), (700, 100_000), (128 << 10, 2 << 20)] {
            let mut queue = SendQueue::default();
            let data = vec![7; write];
            let mut rounds = |n: usize| {
                for _ in 0..n {
                    queue.copy(&data);
                    let mut out = Vec::new();
                    queue.slices(queue.end() - write as u64, write, &mut out);
                    let keep = queue.len().min(buffered) as u64;
                    queue.release(queue.end() - keep);
                }
                queue.tail.as_ref().unwrap().made()
            };
            let warm_up = 4 * buffered / write + 3000;
            let before = rounds(warm_up);
            assert_eq!(rounds(10_000), before, "writes of {write}");
        }
    }
}
