//! The bytes a user wrote and the peer has not acknowledged, kept once.
//!
//! *Owns* the payload of the sending side: chunks in order, addressed by their offset in the
//! stream. Records and plans name ranges of it, so a retransmission or a split copies nothing.
//! Slices that the user gave pin what they lie in, which may be a chunk of the device's arena: those
//! that have waited for long are copied ([`SendQueue::compact`]).
//! *Does not* know sequence numbers. Invariant: offsets `start..end` are held, without a gap.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::Arena;

use super::read_queue::{LARGEST_GATHERED, Reach, SLICE, release_room, rewind};

// Below this a chunk is copied into the tail: a small slice would pin a buffer of any size, and a
// super-segment must not need more slices than one `writev` takes (64 KiB / 1 KiB = 64 << 1024).
const COPY_BREAK: usize = 1024;
// The largest buffer that written slices are gathered in; a super-segment then touches two at most.
const CHUNK: usize = 256 << 10;
// The smallest, for connections that say little.
const SMALL_CHUNK: usize = 2 << 10;

/// Bytes that will not grow any more.
#[derive(Debug)]
struct Chunk {
    /// The offset of the first.
    at: u64,
    text: Bytes,
    /// Do they lie in a buffer that the user chose?
    given: bool,
}

#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct SendQueue {
    // Of use to `compact` alone.
    /// No given chunk below this offset is small.
    compact: u64,
    /// There is no given chunk below this offset.
    copied: u64,
    start: u64,
    end: u64,
    frozen: VecDeque<Chunk>,
    /// Bytes of chunks that the user gave.
    given: usize,
    /// The last bytes, into whose spare room the next small write goes, and chunks to be used again.
    tail: Option<Box<Arena>>,
    /// Chunks that `compact` looked at.
    #[cfg(test)]
    looked_at: usize,
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
            self.given += chunk.len();
            self.frozen.push_back(Chunk {
                at,
                text: chunk,
                given: true,
            });
        }
    }

    /// Lets go of everything below `offset`.
    pub(crate) fn release(&mut self, offset: u64) {
        if offset > self.frozen_end() {
            self.freeze_tail();
        }
        self.start = offset.clamp(self.start, self.end);
        while let Some(chunk) = self.frozen.front_mut() {
            let below = usize::try_from(self.start - chunk.at).unwrap_or(usize::MAX);
            let gone = below.min(chunk.text.len());
            if chunk.given {
                self.given -= gone;
            }
            if gone < chunk.text.len() {
                bytes::Buf::advance(&mut chunk.text, gone);
                chunk.at = self.start;
                break;
            }
            self.frozen.pop_front();
        }
        rewind(&mut self.frozen);
    }

    /// Copies the chunks below `before` that the user gave into buffers of their own size, so that they
    /// pin nothing; at most about `budget` bytes, and says whether that was all. What was looked at
    /// once is not looked at again.
    pub(crate) fn compact(&mut self, before: u64, reach: Reach, budget: usize) -> bool {
        let mut from = match reach {
            Reach::Small => self.compact,
            Reach::All => self.copied,
        };
        from = from.max(self.start);
        let before = before.min(self.frozen_end());
        let mut copied = 0;
        let mut place = self.place_of(from);
        while from < before
            && copied < budget
            && let Some(chunk) = self.frozen.get(place)
        {
            if chunk.given && reach.covers(chunk.text.len()) {
                copied += self.gather(place, reach, before, budget - copied);
            }
            from = self.frozen[place].at + self.frozen[place].text.len() as u64;
            place += 1;
            #[cfg(test)]
            {
                self.looked_at += 1;
            }
        }
        self.compact = self.compact.max(from);
        if reach == Reach::All {
            self.copied = from;
        }
        from >= before
    }

    /// Copies given chunks from `place` on into one that pins nothing else; returns its length.
    fn gather(&mut self, place: usize, reach: Reach, before: u64, budget: usize) -> usize {
        let (mut count, mut len) = (0, 0);
        for chunk in self.frozen.range(place..) {
            let fits = count == 0 || len + chunk.text.len() <= LARGEST_GATHERED.min(budget);
            let due = chunk.given && reach.covers(chunk.text.len()) && chunk.at < before;
            if !due || !fits {
                break;
            }
            (count, len) = (count + 1, len + chunk.text.len());
        }
        self.merge(place, count);
        self.given -= len;
        len
    }

    /// Makes `count` adjacent chunks one, in memory of its own size.
    fn merge(&mut self, place: usize, count: usize) {
        let chunks = self.frozen.range(place..place + count);
        let len = chunks.clone().map(|chunk| chunk.text.len()).sum();
        let mut text = Vec::with_capacity(len);
        for chunk in chunks {
            text.extend_from_slice(&chunk.text);
        }
        // Behind them is what is younger: the shorter part of the list is what moves.
        self.frozen.drain(place + 1..place + count);
        self.frozen[place].text = text.into();
        self.frozen[place].given = false;
    }

    /// Where the chunk stands that holds the offset.
    fn place_of(&self, offset: u64) -> usize {
        self.frozen
            .partition_point(|chunk| chunk.at + chunk.text.len() as u64 <= offset)
    }

    /// May there be chunks for [`compact`](Self::compact)?
    pub(crate) fn pins(&self, reach: Reach) -> bool {
        let settled = match reach {
            Reach::Small => self.compact,
            Reach::All => self.copied,
        };
        self.given > 0 && settled < self.frozen_end()
    }

    /// Does it hold slices that the user gave?
    pub(crate) fn was_given(&self) -> bool {
        self.given > 0
    }

    /// Bytes of memory that it keeps: what it pins elsewhere is not counted.
    pub(crate) fn held(&self) -> usize {
        let own = self.len() - self.given;
        let buffers = self.tail.as_ref().map_or(0, |tail| tail.held());
        self.given + own.max(buffers) + self.frozen.len() * SLICE
    }

    /// Adds the slices that hold `len` bytes from `offset` on to `out`.
    ///
    /// The range must be held.
    pub(crate) fn slices(&mut self, offset: u64, len: usize, out: &mut Vec<Bytes>) {
        debug_assert!(offset >= self.start && offset + len as u64 <= self.end);
        if offset + len as u64 > self.frozen_end() {
            self.freeze_tail();
        }
        let first = self.place_of(offset);
        let mut skip = self.frozen.get(first).map_or(0, |chunk| {
            usize::try_from(offset - chunk.at).unwrap_or(usize::MAX)
        });
        let mut left = len;
        for Chunk { text, .. } in self.frozen.range(first..) {
            if left == 0 {
                break;
            }
            let take = left.min(text.len() - skip);
            out.push(text.slice(skip..skip + take));
            left -= take;
            skip = 0;
        }
    }

    /// Recounts what is held; for tests and debug builds.
    pub(crate) fn check(&self) {
        let mut at = self.start;
        let mut given = 0;
        for chunk in &self.frozen {
            assert_eq!(chunk.at, at, "chunks are adjacent");
            at += chunk.text.len() as u64;
            given += if chunk.given { chunk.text.len() } else { 0 };
        }
        assert_eq!(at, self.frozen_end(), "bytes frozen");
        assert_eq!(given, self.given, "bytes in buffers of the user's");
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        if self.len() == 0 {
            (self.frozen, self.tail) = (VecDeque::new(), None);
            return;
        }
        release_room(&mut self.frozen);
        let own = self.len() - self.given;
        let Some(tail) = &mut self.tail else { return };
        tail.forget_used();
        // The rest of a burst does not keep the buffer of the whole.
        if tail.held() > 4 * own + SMALL_CHUNK {
            self.leave_tail();
        }
    }

    /// Takes what was copied into the tail out of it, each run of it in memory of its own size.
    fn leave_tail(&mut self) {
        self.freeze_tail();
        self.tail = None;
        let mut place = 0;
        while place < self.frozen.len() {
            let run = self.frozen.range(place..);
            let count = run.take_while(|chunk| !chunk.given).count();
            if count > 0 {
                self.merge(place, count);
            }
            place += 1;
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
            self.frozen.push_back(Chunk {
                at,
                text,
                given: false,
            });
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
        Compact(usize, bool),
        Copy(usize),
        Push(usize),
        Release(usize),
        Slices(usize, usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            Just(Op::Cool),
            (0usize..60_000, any::<bool>()).prop_map(|(n, all)| Op::Compact(n, all)),
            (0usize..5000).prop_map(Op::Copy),
            (0usize..50_000).prop_map(Op::Push),
            (0usize..30_000).prop_map(Op::Release),
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
                    Op::Compact(n, all) => {
                        let before = (start + n) as u64;
                        let reach = if all { Reach::All } else { Reach::Small };
                        let mut turns = 0;
                        while !queue.compact(before, reach, 5000) {
                            turns += 1;
                            prop_assert!(turns < 1000, "each turn gets on");
                        }
                    }
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
                queue.check();
                prop_assert!(queue.held() >= queue.len());
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

    /// What waits for long pins nothing; large chunks may wait for longer.
    #[test]
    fn what_is_compacted_pins_nothing() {
        let buffer = Bytes::from(vec![7; 300_000]);
        let mut queue = SendQueue::default();
        for _ in 0..20 {
            queue.push(buffer.slice(0..1448));
            queue.copy(b"own");
        }
        queue.push(buffer.slice(0..40_000));
        let small = 20 * 1451;
        assert!(!queue.compact(u64::MAX, Reach::Small, 10_000));
        assert!(queue.compact(small, Reach::Small, 100_000));
        assert_eq!(queue.given, 40_000);
        assert!(queue.compact(u64::MAX, Reach::Small, 100_000) && !buffer.is_unique());
        assert!(queue.compact(u64::MAX, Reach::All, 100_000) && buffer.is_unique());
        assert!(!queue.pins(Reach::All));
        let looked_at = queue.looked_at;
        for reach in [Reach::Small, Reach::All, Reach::Small] {
            assert!(queue.compact(u64::MAX, reach, 100_000));
        }
        assert_eq!(queue.looked_at, looked_at, "nothing is looked at again");
    }

    /// The last bytes of a burst that the peer leaves unacknowledged.
    #[test]
    fn a_cold_queue_keeps_no_more_than_it_holds() {
        let mut queue = SendQueue::default();
        let data = vec![7; 64 << 10];
        for _ in 0..32 {
            queue.copy(&data);
        }
        assert!(queue.held() >= 2 << 20);
        let mut out = Vec::new();
        for at in (0..2 << 20).step_by(64 << 10) {
            queue.slices(at, 64 << 10, &mut out);
        }
        out.clear();
        queue.release(queue.end() - 100);
        queue.cool();
        assert!(queue.held() < 200, "{} bytes", queue.held());
        queue.slices(queue.end() - 100, 100, &mut out);
        assert_eq!(out.concat(), vec![7; 100]);
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
