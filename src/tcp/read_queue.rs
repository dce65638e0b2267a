//! In-order text that the user has not read.
//!
//! *Owns* the slices on the receiving side, and the copy of those too small to pin the buffer that
//! they arrived in. *Does not* know sequence numbers.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

// Text below this is copied into the queue's own tail: a slice pins its whole arena chunk, and a
// copy of this size costs less than 200 ns (docs/choices.md).
const COPY_BREAK: usize = 1024;
const TAIL: usize = 4 << 10;

#[derive(Debug, Default)]
pub(crate) struct ReadQueue {
    slices: VecDeque<Bytes>,
    /// Small text, after all slices.
    tail: BytesMut,
    len: usize,
}

impl ReadQueue {
    /// Bytes to be read.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, text: Bytes) {
        self.len += text.len();
        if text.len() >= COPY_BREAK {
            self.freeze_tail();
            self.slices.push_back(text);
            return;
        }
        if self.tail.capacity() - self.tail.len() < text.len() {
            self.freeze_tail();
            // Takes the old buffer back when the user has read and dropped all of it.
            self.tail.reserve(TAIL);
        }
        self.tail.extend_from_slice(&text);
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
        Some(slice)
    }

    /// Copies from the front without taking; returns how many bytes.
    pub(crate) fn peek(&self, buf: &mut [u8]) -> usize {
        let mut done = 0;
        let tail: &[u8] = &self.tail;
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
        assert_eq!(held + self.tail.len(), self.len, "bytes to be read");
    }

    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            self.slices.push_back(self.tail.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_plain_vector(
            ops in prop::collection::vec((any::<bool>(), 1usize..3000), 0..80),
        ) {
            let mut queue = ReadQueue::default();
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut next = 0u8;
            for (write, n) in ops {
                if write {
                    let text: Vec<u8> = (0..n).map(|_| { next = next.wrapping_add(3); next }).collect();
                    model.extend(&text);
                    queue.push(text.into());
                } else if let Some(slice) = queue.pop(n) {
                    prop_assert!(slice.len() <= n && !slice.is_empty());
                    prop_assert!(slice.iter().copied().eq(model.drain(..slice.len())));
                } else {
                    prop_assert!(model.is_empty());
                }
                prop_assert_eq!(queue.len(), model.len());
                let mut buf = vec![0; 100];
                let n = queue.peek(&mut buf);
                prop_assert!(buf[..n].iter().eq(model.iter().take(100)));
            }
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
