//! Text that arrived before what precedes it (RFC 9293 §3.10.7.4 SHLD-31).
//!
//! *Owns* out-of-order text as runs of adjacent pieces, and which run changed last (RFC 2018 §4
//! wants it reported first). *Does not* know windows: offered text lies inside one.
//! Invariants: runs are disjoint, not adjacent and in order; at most [`Assembler::MAX_PIECES`]
//! pieces, so that one-byte floods cost bounded memory (r40 in docs/regressions.md).

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

// A piece smaller than this is copied out of the buffer it arrived in, which it would pin.
const COPY_BREAK: usize = 1024;

/// A range of the stream and the pieces that hold it.
#[derive(Debug)]
struct Run {
    start: u64,
    end: u64,
    pieces: VecDeque<Bytes>,
}

#[derive(Debug, Default)]
pub(crate) struct Assembler {
    runs: Vec<Run>,
    pieces: usize,
    /// Starts of runs, the one that changed last first.
    recent: VecDeque<u64>,
}

/// What became of offered text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// All of it, or what was new of it, is held.
    Held,
    /// All of it was held already.
    Duplicate,
    /// There was no room for a piece more.
    Full,
}

impl Assembler {
    /// Linux bounds the queue in bytes only; a piece costs about 100 bytes beside its text.
    const MAX_PIECES: usize = 4096;

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Offers the text that starts at stream offset `start`, which is not the next expected.
    pub(crate) fn offer(&mut self, start: u64, text: &Bytes) -> Offered {
        let end = start + text.len() as u64;
        let first = self.runs.partition_point(|run| run.end < start);
        let fits = self.runs.get(first).is_none_or(|run| run.start > end);
        if !fits && self.runs[first].start <= start && end <= self.runs[first].end {
            self.touch(first);
            return Offered::Duplicate;
        }
        if self.pieces >= Self::MAX_PIECES && !self.evict_beyond(end) {
            return Offered::Full;
        }
        if fits {
            self.runs.insert(
                first,
                Run {
                    start,
                    end: start,
                    pieces: VecDeque::new(),
                },
            );
        }
        let index = first.min(self.runs.len() - 1);
        self.merge(index, start, text);
        self.touch(index);
        Offered::Held
    }

    /// Takes the text from `next` on, if it is held.
    pub(crate) fn take(&mut self, next: u64) -> Vec<Bytes> {
        let mut taken = Vec::new();
        while self.runs.first().is_some_and(|run| run.start <= next) {
            let run = self.runs.remove(0);
            self.pieces -= run.pieces.len();
            self.recent.retain(|&start| start != run.start);
            if run.end <= next {
                continue;
            }
            let mut skip = usize::try_from(next - run.start).unwrap_or(usize::MAX);
            for mut piece in run.pieces {
                let cut = skip.min(piece.len());
                piece.advance(cut);
                skip -= cut;
                if !piece.is_empty() {
                    taken.push(piece);
                }
            }
            break;
        }
        taken
    }

    /// The ranges held, the one that changed last first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.recent.iter().filter_map(|&start| {
            let at = self
                .runs
                .binary_search_by_key(&start, |run| run.start)
                .ok()?;
            Some((start, self.runs[at].end))
        })
    }

    /// The offset after the last byte held.
    pub(crate) fn end(&self) -> Option<u64> {
        self.runs.last().map(|run| run.end)
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.end - run.start).sum()
    }

    /// Recounts what is held, which lies in `from..to` and does not begin at `from`; for tests and
    /// debug builds.
    pub(crate) fn check(&self, from: u64, to: u64) {
        let mut end = from;
        let mut pieces = 0;
        for run in &self.runs {
            assert!(run.start > end, "runs are in order and not adjacent");
            let held: usize = run.pieces.iter().map(Bytes::len).sum();
            assert_eq!(run.end - run.start, held as u64, "bytes of a run");
            pieces += run.pieces.len();
            end = run.end;
        }
        assert_eq!(self.pieces, pieces);
        assert!(
            end <= to,
            "text up to {end} is held, the window ends at {to}"
        );
    }

    /// Extends run `index` by what is new of the text, at its front, its back and across the runs
    /// behind it.
    fn merge(&mut self, index: usize, start: u64, text: &Bytes) {
        let end = start + text.len() as u64;
        let part = |from: u64, to: u64| {
            let at = |offset: u64| usize::try_from(offset - start).unwrap_or(usize::MAX);
            let slice = text.slice(at(from)..at(to));
            if slice.len() < COPY_BREAK {
                Bytes::copy_from_slice(&slice)
            } else {
                slice
            }
        };
        let old_start = self.runs[index].start;
        let run = &mut self.runs[index];
        if start < run.start {
            run.pieces.push_front(part(start, run.start));
            run.start = start;
            self.pieces += 1;
            self.recent.retain(|&s| s != old_start);
        }
        while self.runs[index].end < end {
            let gap_end = self
                .runs
                .get(index + 1)
                .map_or(end, |next| next.start.min(end));
            let run = &mut self.runs[index];
            if gap_end > run.end {
                run.pieces.push_back(part(run.end, gap_end));
                run.end = gap_end;
                self.pieces += 1;
            }
            if self
                .runs
                .get(index + 1)
                .is_some_and(|next| next.start == gap_end)
            {
                self.join_next(index);
            }
        }
        if self
            .runs
            .get(index + 1)
            .is_some_and(|next| next.start == self.runs[index].end)
        {
            self.join_next(index);
        }
    }

    /// Appends the run behind `index` to it.
    fn join_next(&mut self, index: usize) {
        let next = self.runs.remove(index + 1);
        self.recent.retain(|&start| start != next.start);
        let run = &mut self.runs[index];
        run.end = next.end;
        run.pieces.extend(next.pieces);
    }

    /// Notes that run `index` changed last.
    fn touch(&mut self, index: usize) {
        let start = self.runs[index].start;
        self.recent.retain(|&s| s != start);
        self.recent.push_front(start);
        // RFC 2018 §3: four blocks fit at most; a few more, for when some of them are joined.
        self.recent.truncate(8);
    }

    /// Makes room by throwing away the farthest piece, if it lies beyond `end`.
    fn evict_beyond(&mut self, end: u64) -> bool {
        let Some(last) = self.runs.last_mut() else {
            return false;
        };
        let Some(piece) = last.pieces.back() else {
            return false;
        };
        let piece_start = last.end - piece.len() as u64;
        if piece_start < end {
            return false;
        }
        last.pieces.pop_back();
        last.end = piece_start;
        self.pieces -= 1;
        if last.pieces.is_empty() {
            let start = last.start;
            self.runs.pop();
            self.recent.retain(|&s| s != start);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(start: u64, len: usize) -> Bytes {
        (start..start + len as u64)
            .map(|at| (at % 251) as u8)
            .collect::<Vec<u8>>()
            .into()
    }

    proptest! {
        /// Against a naive model: a set of bytes.
        #[test]
        fn holds_what_a_set_of_bytes_would(
            offers in prop::collection::vec((1u64..200, 1usize..60), 1..60), next in 1u64..260,
        ) {
            let mut assembler = Assembler::default();
            let mut model = std::collections::BTreeSet::new();
            for (start, len) in offers {
                let offered = assembler.offer(start, &text(start, len));
                let before = model.len();
                model.extend(start..start + len as u64);
                let duplicate = model.len() == before;
                prop_assert_eq!(offered == Offered::Duplicate, duplicate);
                prop_assert_eq!(assembler.len(), model.len() as u64);
                let (left, right) = assembler.blocks().next().unwrap();
                prop_assert!(left <= start && start + len as u64 <= right, "newest first");
                prop_assert!(!model.contains(&right) && !model.contains(&(left - 1)));
            }
            let taken = assembler.take(next).concat();
            let expected: Vec<u64> =
                (next..).take_while(|offset| model.contains(offset)).collect();
            prop_assert_eq!(taken.len(), expected.len());
            prop_assert_eq!(taken, expected.iter().map(|at| (at % 251) as u8).collect::<Vec<_>>());
            prop_assert!(assembler.runs.iter().all(|run| run.start > next));
            let pieces: usize = assembler.runs.iter().map(|run| run.pieces.len()).sum();
            prop_assert_eq!(assembler.pieces, pieces);
        }
    }

    #[test]
    fn r40_a_full_queue_drops_the_farthest() {
        let mut assembler = Assembler::default();
        for at in 0..Assembler::MAX_PIECES as u64 {
            assert_eq!(assembler.offer(1000 + 2 * at, &text(1, 1)), Offered::Held);
        }
        let farthest = 1000 + 2 * Assembler::MAX_PIECES as u64;
        assert_eq!(assembler.offer(farthest, &text(1, 1)), Offered::Full);
        assert_eq!(assembler.offer(10, &text(10, 5)), Offered::Held);
        assert_eq!(assembler.pieces, Assembler::MAX_PIECES);
        assert_eq!(assembler.take(10).concat(), text(10, 5));
    }
}
