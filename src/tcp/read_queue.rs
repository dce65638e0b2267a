//! In-order text that the user has not read.
//!
//! *Owns* the slices on the receiving side, and the copies of those that would pin more than they
//! are worth: texts below 1024 bytes at once, others when they have waited for long
//! ([`ReadQueue::compact`]). *Does not* know sequence numbers.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::Arena;

use super::part::Part;

// Text below this is copied into the queue's own tail: a slice pins its whole arena chunk, and a
// copy of this size costs less than 200 ns (docs/choices.md).
const COPY_BREAK: usize = 1024;
// The tail's first chunk, and its largest, for a user who lags behind small segments.
const TAIL: usize = 4 << 10;
const LARGEST_TAIL: usize = 64 << 10;
// What is copied together, at most: the last byte of it that is not read keeps all of it.
pub(super) const LARGEST_GATHERED: usize = WORTH_A_CHUNK - 1;
// Text of this size may pin what it lies in for longer: an eighth of an arena chunk (256 KiB).
pub(super) const WORTH_A_CHUNK: usize = 32 << 10;

// What a slice costs beside its bytes: its place in a list, and the allocator's head.
pub(super) const SLICE: usize = 64;

/// Which slices are copied, so that they pin nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that pin more than eight times their size.
    Small,
    /// All that lie in memory of another's.
    All,
}

impl Reach {
    /// Is a slice of this length to be copied?
    pub(super) const fn covers(self, len: usize) -> bool {
        match self {
            Self::Small => len < WORTH_A_CHUNK,
            Self::All => true,
        }
    }
}

/// A place in the queue: slices and bytes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    slices: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct ReadQueue {
    /// What is before it lies in memory of its own, or is large: nothing to be looked at again.
    compact: Place,
    /// What is before it lies in memory of its own, whatever its size; at or before the other place.
    copied: Place,
    slices: VecDeque<Bytes>,
    // What each segment and each read touch, next to what `Receive` has of that kind.
    len: usize,
    /// Small text, after all slices, and chunks to be used again.
    tail: Option<Box<Arena>>,
    /// Its connection was idle, and no text has come since: the last read gives the memory back.
    cold: bool,
    /// Slices that `compact` looked at.
    #[cfg(test)]
    looked_at: usize,
}

impl ReadQueue {
    /// Bytes to be read.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, text: Bytes) {
        if text.len() >= COPY_BREAK {
            self.push_large(text);
        } else {
            self.push_small(&text);
        }
    }

    /// The same of a part of a segment: a small one is copied from where it lies.
    pub(crate) fn push_part(&mut self, text: Part<'_>) {
        if text.len() >= COPY_BREAK {
            self.push_large(text.to_bytes());
        } else {
            self.push_small(text.as_slice());
        }
    }

    fn push_large(&mut self, text: Bytes) {
        self.cold = false;
        self.freeze_tail();
        self.len += text.len();
        self.slices.push_back(text);
    }

    fn push_small(&mut self, text: &[u8]) {
        self.cold = false;
        if self.tail.as_ref().is_none_or(|t| t.spare() < text.len()) {
            self.freeze_tail();
        }
        let chunk = self.len.next_power_of_two().clamp(TAIL, LARGEST_TAIL);
        let tail = self.tail.get_or_insert_with(|| Box::new(Arena::new(TAIL)));
        tail.grow_chunk(chunk);
        tail.room(text.len()).extend_from_slice(text);
        self.len += text.len();
    }

    /// Takes at most `max` bytes off the front, without a copy; `None` when there are none.
    pub(crate) fn pop(&mut self, max: usize) -> Option<Bytes> {
        if self.slices.is_empty() {
            return self.pop_tail(max);
        }
        let front = self.slices.front_mut()?;
        let slice = if front.len() <= max {
            self.compact.slices = self.compact.slices.saturating_sub(1);
            self.copied.slices = self.copied.slices.saturating_sub(1);
            self.slices.pop_front()?
        } else {
            front.split_to(max)
        };
        self.len -= slice.len();
        self.compact.bytes = self.compact.bytes.saturating_sub(slice.len());
        self.copied.bytes = self.copied.bytes.saturating_sub(slice.len());
        if self.len == 0 && self.cold {
            self.clear();
        }
        Some(slice)
    }

    /// The same while there are no slices. Places before which there is something stand at slices: there are none.
    fn pop_tail(&mut self, max: usize) -> Option<Bytes> {
        let filled = self.tail.as_mut()?.room(0);
        if filled.is_empty() {
            return None;
        }
        let text = filled.split_to(max.min(filled.len())).freeze();
        self.len -= text.len();
        if self.len == 0 && self.cold {
            self.clear();
        }
        Some(text)
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
        for place in [self.compact, self.copied] {
            let before = self.slices.range(..place.slices).map(Bytes::len);
            assert_eq!(before.sum::<usize>(), place.bytes, "bytes before a place");
        }
        assert!(self.copied.slices <= self.compact.slices);
    }

    /// Copies those of the first `older` bytes that lie in slices below 32 KiB, or in any, into buffers
    /// of their own size, so that they pin nothing; at most about `budget` bytes, and says whether that
    /// was all. What was looked at once is not looked at again.
    pub(crate) fn compact(&mut self, older: usize, reach: Reach, budget: usize) -> bool {
        self.compact_small(older, budget)
            && (reach == Reach::Small || self.copy_large(older, budget))
    }

    fn compact_small(&mut self, older: usize, budget: usize) -> bool {
        let mut copied = 0;
        while self.compact.bytes < older
            && let Some(slice) = self.slices.get(self.compact.slices)
        {
            if copied >= budget {
                return false;
            }
            let len = if slice.len() < WORTH_A_CHUNK {
                let run = self.gather(older - self.compact.bytes, budget - copied);
                copied += run;
                run
            } else {
                slice.len()
            };
            self.compact.slices += 1;
            self.compact.bytes += len;
            #[cfg(test)]
            {
                self.looked_at += 1;
            }
        }
        true
    }

    /// Copies the large slices that [`compact_small`](Self::compact_small) left behind in the first
    /// `older` bytes: it may have come farther before, for it waits for less.
    fn copy_large(&mut self, older: usize, budget: usize) -> bool {
        let mut copied = 0;
        while self.copied.bytes < older
            && self.copied.slices < self.compact.slices
            && let Some(slice) = self.slices.get_mut(self.copied.slices)
        {
            if copied >= budget {
                return false;
            }
            if slice.len() >= WORTH_A_CHUNK {
                copied += slice.len();
                *slice = Bytes::copy_from_slice(slice);
            }
            self.copied.slices += 1;
            self.copied.bytes += slice.len();
            #[cfg(test)]
            {
                self.looked_at += 1;
            }
        }
        true
    }

    /// May there be slices for [`compact`](Self::compact)?
    pub(crate) fn pins(&self, reach: Reach) -> bool {
        let place = match reach {
            Reach::Small => self.compact,
            Reach::All => self.copied,
        };
        place.slices < self.slices.len()
    }

    /// Does it hold any slice, its own included?
    pub(crate) fn has_slices(&self) -> bool {
        !self.slices.is_empty()
    }

    /// Bytes of memory that it keeps: what it pins elsewhere is not counted.
    pub(crate) fn held(&self) -> usize {
        let buffers = self.tail.as_ref().map_or(0, |tail| tail.held());
        self.len + buffers + self.slices.len() * SLICE
    }

    /// Copies slices from the first unsettled one on into one that pins nothing else, up to those
    /// that hold `most` bytes or exceed the budget; returns its length.
    fn gather(&mut self, most: usize, budget: usize) -> usize {
        let from = self.compact.slices;
        let (mut count, mut len) = (0, 0);
        for slice in self.slices.range(from..) {
            let fits = count == 0 || len + slice.len() <= LARGEST_GATHERED;
            if slice.len() >= WORTH_A_CHUNK || !fits || len >= most.min(budget) {
                break;
            }
            (count, len) = (count + 1, len + slice.len());
        }
        let mut text = Vec::with_capacity(len);
        for slice in self.slices.range(from..from + count) {
            text.extend_from_slice(slice);
        }
        // Behind the run is what is younger: the shorter part of the list is what moves.
        self.slices.drain(from + 1..from + count);
        self.slices[from] = text.into();
        #[cfg(test)]
        {
            self.looked_at += count;
        }
        len
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        if self.len == 0 {
            self.clear();
            return;
        }
        self.cold = true;
        release_room(&mut self.slices);
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

/// Gives back the room of a list that has far more than it needs. Room to double stays: a list that
/// grows by one each time it was cooled must not move each time.
pub(super) fn release_room<T>(list: &mut VecDeque<T>) {
    if list.capacity() > 4 * list.len().max(4) {
        list.shrink_to(2 * list.len());
    }
}

/// A list that has run empty begins again where its memory does: what is asked and answered all day long
/// keeps to the same few cache lines, in place of all that its ring goes round through.
#[inline]
pub(super) fn rewind<T>(list: &mut VecDeque<T>) {
    if list.is_empty() {
        list.clear();
    }
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
                        let reach = if older % 2 == 0 { Reach::Small } else { Reach::All };
                        while !queue.compact(older, reach, budget) {
                            turns += 1;
                            prop_assert!(turns < 1000, "each turn gets on");
                        }
                    }
                    Op::Cool => queue.cool(),
                }
                prop_assert_eq!(queue.len(), model.len());
                queue.check();
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
        let small = Reach::Small;
        assert!(
            !queue.compact(usize::MAX, small, 10_000),
            "more than the budget"
        );
        assert!(queue.compact(usize::MAX, small, 100_000));
        assert!(buffer.is_unique());
        assert_eq!((queue.len(), queue.slices.len()), (20 * 1448, 2));
        queue.push(buffer.slice(0..1448));
        assert!(queue.compact(20 * 1448, small, 100_000), "that was done");
        assert!(!buffer.is_unique(), "younger than what is to be compacted");
        assert!(queue.compact(usize::MAX, small, 100_000));
        assert!(buffer.is_unique());
        queue.push(buffer.slice(0..WORTH_A_CHUNK));
        queue.push(buffer.slice(0..WORTH_A_CHUNK));
        assert!(queue.compact(usize::MAX, small, 100_000));
        assert!(!buffer.is_unique() && queue.pins(Reach::All));
        assert!(queue.compact(usize::MAX, Reach::All, 100_000));
        assert!(buffer.is_unique() && !queue.pins(Reach::All));
    }

    /// Small slices are settled sooner than large ones: what that passed is not old enough for them.
    #[test]
    fn large_slices_wait_for_their_own_age() {
        let (old, young) = (vec![7; WORTH_A_CHUNK], vec![8; WORTH_A_CHUNK]);
        let (old, young) = (Bytes::from(old), Bytes::from(young));
        let mut queue = ReadQueue::default();
        queue.push(old.clone());
        queue.push(young.clone());
        assert!(queue.compact(usize::MAX, Reach::Small, 1 << 20));
        assert!(queue.compact(WORTH_A_CHUNK, Reach::All, 1 << 20));
        assert!(old.is_unique() && !young.is_unique());
        queue.check();
        assert!(queue.compact(usize::MAX, Reach::All, 1 << 20));
        assert!(young.is_unique());
    }

    /// What a peer made us hold is not walked again for each segment, however often it is cooled.
    #[test]
    fn cooling_again_looks_at_what_is_new_only() {
        for size in [1100, 1448, WORTH_A_CHUNK] {
            let buffer = Bytes::from(vec![7; size]);
            let mut queue = ReadQueue::default();
            let mut rooms = std::collections::BTreeSet::new();
            for _ in 0..800 {
                queue.push(buffer.clone());
                assert!(queue.compact(usize::MAX, Reach::All, 1 << 20));
                queue.cool();
                rooms.insert(queue.slices.capacity());
            }
            assert!(queue.looked_at <= 3 * 800, "{} slices", queue.looked_at);
            assert!(rooms.len() < 16, "the list moved {} times", rooms.len());
        }
    }

    /// The tail goes with the last byte, when its connection had become idle with it.
    #[test]
    fn a_cold_queue_keeps_nothing_once_it_is_read() {
        let mut queue = ReadQueue::default();
        queue.push(Bytes::from_static(b"unread"));
        queue.cool();
        assert_eq!(queue.pop(3).unwrap(), "unr"[..]);
        assert!(queue.pop(usize::MAX).is_some());
        assert!(queue.tail.is_none() && queue.slices.capacity() == 0);
        // One that goes on keeps what it will need again.
        queue.push(Bytes::from_static(b"unread"));
        queue.cool();
        queue.push(Bytes::from_static(b"more"));
        while queue.pop(usize::MAX).is_some() {}
        assert!(queue.tail.is_some());
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
