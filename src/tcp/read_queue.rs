//! In-order text that the user has not read.
//!
//! *Owns* the slices on the receiving side, and the copies of those that would pin more than they
//! are worth: texts below 1024 bytes at once, others when they have waited for long
//! ([`ReadQueue::compact`]). *Does not* know sequence numbers.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::Arena;

// Text below this is copied into the queue's own tail: a slice pins its whole arena chunk, and a
// copy of this size costs less than 200 ns (docs/choices.md).
const COPY_BREAK: usize = 1024;
// The tail's first chunk, and its largest, for a user who lags behind small segments.
const TAIL: usize = 4 << 10;
const LARGEST_TAIL: usize = 64 << 10;
// Text of this size may pin what it lies in for ever: an eighth of an arena chunk (256 KiB).
pub(super) const WORTH_A_CHUNK: usize = 32 << 10;

#[derive(Debug, Default)]
pub(crate) struct ReadQueue {
    slices: VecDeque<Bytes>,
    /// Small text, after all slices, and chunks to be used again.
    tail: Option<Box<Arena>>,
    len: usize,
    /// Bytes from the front on that lie in memory of their own, or are large.
    compact: usize,
}

impl ReadQueue {
    /// Bytes to be read.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, text: Bytes) {
        if text.len() >= COPY_BREAK {
            self.freeze_tail();
            self.len += text.len();
            self.slices.push_back(text);
            return;
        }
        if self.tail.as_ref().is_none_or(|t| t.spare() < text.len()) {
            self.freeze_tail();
        }
        let chunk = self.len.next_power_of_two().clamp(TAIL, LARGEST_TAIL);
        let tail = self.tail.get_or_insert_with(|| Box::new(Arena::new(TAIL)));
        tail.grow_chunk(chunk);
        tail.room(text.len()).extend_from_slice(&text);
        self.len += text.len();
    }

    /// Takes at most `max` bytes off the front, without a copy; `None` when there are none.
    pub(crate) fn pop(&mut self, max: usize) -> Option<Bytes> {
        if self.slices.is_empty() {
            self.freeze_tail();
        }
        let front = self.slices.front_mut()?;
        let slice = if front.len() <= max {
            self.slices.pop_front()?
        } else {
            front.split_to(max)
        };
        self.len -= slice.len();
        self.compact = self.compact.saturating_sub(slice.len());
        Some(slice)
    }

    /// Copies from the front without taking; returns how many bytes.
    pub(crate) fn peek(&self, buf: &mut [u8]) -> usize {
        let mut done = 0;
        let tail = self.tail.as_ref().map_or(&[][..], |tail| tail.filled());
        for slice in self.slices.iter().map(|s| &s[..]).chain([tail]) {
            let now = slice.len().min(buf.len() - done);
            buf[done..done + now].copy_from_slice(&slice[..now]);
            done += now;
        }
        done
    }

    /// Throws everything away.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Recounts what is held; for tests and debug builds.
    pub(crate) fn check(&self) {
        let held: usize = self.slices.iter().map(Bytes::len).sum();
        let tail = self.tail.as_ref().map_or(0, |tail| tail.filled().len());
        assert_eq!(held + tail, self.len, "bytes to be read");
        assert!(self.compact <= self.len, "bytes copied of those to be read");
    }

    /// Copies those of the first `older` bytes that lie in slices below 32 KiB into buffers of their
    /// own size, so that they pin nothing; at most about `budget` bytes, and says whether that was
    /// all. What was copied once is not copied again.
    pub(crate) fn compact(&mut self, older: usize, budget: usize) -> bool {
        let older = older.min(self.len);
        if self.compact >= older {
            return true;
        }
        let mut ends = self.slices.iter().scan(0, |end, slice| {
            *end += slice.len();
            Some((*end, slice.len()))
        });
        let due = |&(end, len): &(usize, usize)| end > self.compact && len < WORTH_A_CHUNK;
        if ends.find(due).is_none_or(|(end, len)| end - len >= older) {
            // Nothing to copy: the usual case, which moves nothing.
            self.compact = older;
            return true;
        }
        let (mut at, mut copied) = (0, 0);
        let mut slices = VecDeque::with_capacity(self.slices.len());
        let mut run: Vec<Bytes> = Vec::new();
        for slice in core::mem::take(&mut self.slices) {
            let start = at;
            at += slice.len();
            let settled = start + slice.len() <= self.compact || start >= older;
            if settled || slice.len() >= WORTH_A_CHUNK || copied >= budget {
                slices.extend(gather(&mut run));
                slices.push_back(slice);
                continue;
            }
            copied += slice.len();
            run.push(slice);
            if copied >= budget {
                self.compact = at;
            }
        }
        slices.extend(gather(&mut run));
        self.slices = slices;
        if copied < budget {
            // The tail is the queue's own.
            self.compact = older;
        }
        self.compact >= older
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        if self.len == 0 {
            self.clear();
            return;
        }
        self.slices.shrink_to_fit();
        if let Some(tail) = &mut self.tail {
            tail.forget_used();
            if tail.filled().is_empty() {
                self.tail = None;
            }
        }
    }

    fn freeze_tail(&mut self) {
        if let Some(tail) = &mut self.tail
            && !tail.filled().is_empty()
        {
            self.slices.push_back(tail.room(0).split().freeze());
        }
    }
}

/// What is in these slices, in one that pins nothing else.
fn gather(run: &mut Vec<Bytes>) -> Option<Bytes> {
    let len = run.iter().map(Bytes::len).sum();
    let mut whole = Vec::with_capacity(len);
    for slice in run.drain(..) {
        whole.extend_from_slice(&slice);
    }
    (len > 0).then(|| whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Push(usize),
        Pop(usize),
        Compact(usize, usize),
        Cool,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => prop_oneof![1usize..3000, 30_000usize..40_000].prop_map(Op::Push),
            4 => (1usize..3000).prop_map(Op::Pop),
            2 => (0usize..40_000, 1usize..10_000).prop_map(|(a, b)| Op::Compact(a, b)),
            1 => Just(Op::Cool),
        ]
    }

    proptest! {
        #[test]
        fn equals_a_plain_vector(ops in prop::collection::vec(op(), 0..80)) {
            let mut queue = ReadQueue::default();
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut next = 0u8;
            for op in ops {
                match op {
                    Op::Push(n) => {
                        let text: Vec<u8> =
                            (0..n).map(|_| { next = next.wrapping_add(3); next }).collect();
                        model.extend(&text);
                        queue.push(text.into());
                    }
                    Op::Pop(n) => match queue.pop(n) {
                        Some(slice) => {
                            prop_assert!(slice.len() <= n && !slice.is_empty());
                            prop_assert!(slice.iter().copied().eq(model.drain(..slice.len())));
                        }
                        None => prop_assert!(model.is_empty()),
                    },
                    Op::Compact(older, budget) => {
                        let mut turns = 0;
                        while !queue.compact(older, budget) {
                            turns += 1;
                            prop_assert!(turns < 1000, "each turn gets on");
                        }
                    }
                    Op::Cool => queue.cool(),
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert!(queue.compact <= queue.len());
                let mut buf = vec![0; 100];
                let n = queue.peek(&mut buf);
                prop_assert!(buf[..n].iter().eq(model.iter().take(100)));
            }
        }
    }

    /// What waits for long pins nothing, unless it is worth what it pins.
    #[test]
    fn what_is_compacted_pins_nothing() {
        let buffer = Bytes::from(vec![7; 300_000]);
        let mut queue = ReadQueue::default();
        for _ in 0..20 {
            queue.push(buffer.slice(0..1448));
        }
        assert!(!queue.compact(usize::MAX, 10_000), "more than the budget");
        assert!(queue.compact(usize::MAX, 100_000));
        assert!(buffer.is_unique());
        assert_eq!((queue.len(), queue.slices.len()), (20 * 1448, 2));
        queue.push(buffer.slice(0..1448));
        assert!(queue.compact(20 * 1448, 100_000), "that was done");
        assert!(!buffer.is_unique(), "younger than what is to be compacted");
        assert!(queue.compact(usize::MAX, 100_000));
        assert!(buffer.is_unique());
        queue.push(buffer.slice(0..WORTH_A_CHUNK));
        assert!(queue.compact(usize::MAX, 100_000));
        assert!(!buffer.is_unique());
    }

    /// Small segments to a user who keeps up, or lags behind by a window, cost no allocation each.
    #[test]
    fn chunks_that_were_read_are_filled_again() {
        for (text, behind) in [(1, 0), (100, 2000), (1000, 100_000)] {
            let mut queue = ReadQueue::default();
            let data = Bytes::from(vec![7; text]);
            let mut rounds = |n: usize| {
                for _ in 0..n {
                    queue.push(data.clone());
                    while queue.len() > behind {
                        queue.pop(text).unwrap();
                    }
                }
                queue.tail.as_ref().unwrap().made()
            };
            let before = rounds(20_000);
            assert_eq!(rounds(10_000), before, "texts of {text}");
        }
    }

    #[test]
    fn a_small_text_does_not_pin_its_buffer() {
        let buffer = Bytes::from(vec![7; 100_000]);
        let mut queue = ReadQueue::default();
        queue.push(buffer.slice(0..100));
        assert!(buffer.is_unique());
        queue.push(buffer.slice(0..50_000));
        assert!(!buffer.is_unique());
    }
}
