//! Text that arrived before what precedes it (RFC 9293 §3.10.7.4 SHLD-31).
//!
//! *Owns* out-of-order text as runs of adjacent pieces, and which run changed last (RFC 2018 §4
//! wants it reported first). *Does not* know windows: offered text lies inside one.
//! Invariants: runs are disjoint, not adjacent and in order; at most [`Assembler::MAX_PIECES`]
//! pieces, or one for each [`TEXT_PER_PIECE`] bytes of them if that is more, and as many again where one text
//! fills the gaps between them, so that one-byte floods cost bounded memory, and a window of full
//! segments is held whole; a piece costs the logarithm of their number to hold, to join and to take
//! (r40 in docs/regressions.md).

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};

use super::owed::Changes;
use super::read_queue::{Reach, WORTH_A_CHUNK};

// A piece smaller than this is copied out of the buffer it arrived in, which it would pin.
const COPY_BREAK: usize = 1024;
// What a piece costs beside its text: its place in a list and in a table of runs, its own memory.
const PIECE: usize = 256;
// Beyond `MAX_PIECES` so much text pays for a piece: less than the least segments that hosts send in
// bulk (536 bytes, RFC 9293 §3.7.1), and as much again as the piece costs.
const TEXT_PER_PIECE: usize = 512;
// Pieces that wait to be copied: what comes within 1 MiB of frames. Beyond it they are copied at once.
const MAX_LOOSE: usize = 1024;

/// Text and where in the stream it stands.
#[derive(Debug)]
struct Piece {
    at: u64,
    text: Bytes,
}

/// A range of the stream, known by its start, and the pieces that hold it.
#[derive(Debug)]
struct Run {
    end: u64,
    pieces: VecDeque<Piece>,
}

#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Assembler {
    // While nothing is out of order, nobody looks beyond the first of them.
    pieces: usize,
    /// Bytes held.
    len: usize,
    /// Which run changed last.
    recent: Changes,
    runs: BTreeMap<u64, Run>,
    /// Where pieces stood that pin more than they are worth, the oldest first: what is to be copied is
    /// counted, never searched for. Some of them are gone since.
    loose: VecDeque<u64>,
    /// The same of pieces that are large, and may wait for longer.
    large: VecDeque<u64>,
    /// Pieces that `compact` looked at.
    #[cfg(test)]
    looked_at: usize,
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
    /// Linux bounds the queue in bytes only; a piece costs about 300 bytes beside its text. So many small ones are
    /// held in any case.
    pub(crate) const MAX_PIECES: usize = 4096;

    /// As many pieces as what is held may have. What was reported by SACK and is then thrown away is taken
    /// for delivered by its sender until a time-out: full segments are kept, whatever the window.
    fn most_pieces(&self) -> usize {
        Self::MAX_PIECES.max(self.len / TEXT_PER_PIECE)
    }

    pub(crate) fn is_empty(&self) -> bool {
        // Each run has one. What is asked of each segment lies in one place.
        self.pieces == 0
    }

    /// Offers the text that starts at stream offset `start`, which is not the next expected.
    pub(crate) fn offer(&mut self, start: u64, text: &Bytes) -> Offered {
        let end = start + text.len() as u64;
        let before = self.run_before(start).filter(|&(_, end)| end >= start);
        if let Some((at, held)) = before
            && end <= held
        {
            self.recent.touch(at);
            return Offered::Duplicate;
        }
        // As many as are too many: a text that filled gaps, each of which is a piece, left more than one.
        let most = self.most_pieces();
        while self.pieces >= most {
            if !self.evict_beyond(end) {
                return Offered::Full;
            }
        }
        // What was evicted lay beyond the text: it may have been next to it, never before it.
        let at = before.map_or(start, |(at, _)| at);
        self.runs.entry(at).or_insert_with(|| Run {
            end: start,
            pieces: VecDeque::new(),
        });
        self.extend(at, start, text);
        self.recent.touch(at);
        Offered::Held
    }

    /// Takes the text from `next` on, if it is held.
    pub(crate) fn take(&mut self, next: u64) -> Vec<Bytes> {
        let mut taken = Vec::new();
        if self.is_empty() {
            return taken;
        }
        while let Some(entry) = self.runs.first_entry()
            && *entry.key() <= next
        {
            let (start, run) = entry.remove_entry();
            self.pieces -= run.pieces.len();
            self.len -= usize::try_from(run.end - start).unwrap_or(usize::MAX);
            self.recent.forget(start);
            if run.end <= next {
                continue;
            }
            let mut skip = usize::try_from(next - start).unwrap_or(usize::MAX);
            for Piece { mut text, .. } in run.pieces {
                let cut = skip.min(text.len());
                text.advance(cut);
                skip -= cut;
                if !text.is_empty() {
                    taken.push(text);
                }
            }
            break;
        }
        if self.runs.is_empty() {
            self.loose.clear();
            self.large.clear();
        }
        taken
    }

    /// Copies the pieces that are not worth the buffers they pin, or all, at most about `budget` bytes;
    /// says whether that was all.
    pub(crate) fn compact(&mut self, reach: Reach, budget: usize) -> bool {
        let mut copied = 0;
        while copied < budget {
            let next = self.loose.pop_front();
            let next = next.or_else(|| match reach {
                Reach::Small => None,
                Reach::All => self.large.pop_front(),
            });
            let Some(at) = next else {
                return true;
            };
            #[cfg(test)]
            {
                self.looked_at += 1;
            }
            if let Some(piece) = self.piece_at(at) {
                copied += piece.text.len();
                piece.text = Bytes::copy_from_slice(&piece.text);
            }
        }
        self.loose.is_empty() && (reach == Reach::Small || self.large.is_empty())
    }

    /// May there be pieces for [`compact`](Self::compact)?
    pub(crate) fn pins(&self, reach: Reach) -> bool {
        match reach {
            Reach::Small => !self.loose.is_empty(),
            Reach::All => !self.large.is_empty(),
        }
    }

    /// Bytes of memory that it keeps: what it pins elsewhere is not counted.
    pub(crate) fn held(&self) -> usize {
        self.len + self.pieces * PIECE
    }

    /// The piece that begins there, if it is still held.
    fn piece_at(&mut self, at: u64) -> Option<&mut Piece> {
        let (_, run) = self.runs.range_mut(..=at).next_back()?;
        let place = run
            .pieces
            .binary_search_by_key(&at, |piece| piece.at)
            .ok()?;
        run.pieces.get_mut(place)
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        if self.is_empty() {
            self.runs = BTreeMap::new();
            self.recent.clear();
            (self.loose, self.large) = (VecDeque::new(), VecDeque::new());
        }
    }

    /// The ranges to tell in an ACK with room for so many, the one that changed last first.
    pub(crate) fn blocks(&self, room: usize) -> impl Iterator<Item = (u64, u64)> + '_ {
        let range = |start| self.runs.get(&start).map(|run| (start, run.end));
        self.recent.next(room).filter_map(range)
    }

    /// How many ranges changed and were not told.
    pub(crate) fn untold(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.recent.untold()
    }

    /// So many of [`blocks`](Self::blocks) were told.
    pub(crate) fn told(&mut self, runs: usize) {
        self.recent.told(runs);
    }

    /// The run that holds `offset`.
    pub(crate) fn run_with(&self, offset: u64) -> Option<(u64, u64)> {
        self.run_before(offset).filter(|&(_, end)| end > offset)
    }

    /// The first part of `start..end` that is held.
    pub(crate) fn overlap(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        if let Some((_, held)) = self.run_with(start) {
            return Some((start, held.min(end)));
        }
        let (&next, run) = self.runs.range(start..end.max(start)).next()?;
        Some((next, run.end.min(end)))
    }

    /// The offset after the last byte held.
    pub(crate) fn end(&self) -> Option<u64> {
        self.runs.last_key_value().map(|(_, run)| run.end)
    }

    /// Bytes held.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Recounts what is held, which lies in `from..to` and does not begin at `from`; for tests and
    /// debug builds.
    pub(crate) fn check(&self, from: u64, to: u64) {
        let mut end = from;
        let (mut pieces, mut bytes) = (0, 0);
        for (&start, run) in &self.runs {
            assert!(start > end, "runs are in order and not adjacent");
            bytes += usize::try_from(run.end - start).unwrap_or(usize::MAX);
            let mut at = start;
            for piece in &run.pieces {
                assert_eq!(piece.at, at, "pieces are adjacent");
                at += piece.text.len() as u64;
            }
            assert_eq!(run.end, at, "bytes of a run");
            pieces += run.pieces.len();
            end = run.end;
        }
        assert_eq!((self.pieces, self.len), (pieces, bytes), "pieces and bytes");
        assert!(
            end <= to,
            "text up to {end} is held, the window ends at {to}"
        );
    }

    /// The last run that starts at `offset` or before it, as its start and end.
    fn run_before(&self, offset: u64) -> Option<(u64, u64)> {
        let (&start, run) = self.runs.range(..=offset).next_back()?;
        Some((start, run.end))
    }

    /// Extends the run at `at` by what is new of the text, which begins in it or at its end, across
    /// the runs behind it.
    fn extend(&mut self, at: u64, start: u64, text: &Bytes) {
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
        let Some(mut run) = self.runs.remove(&at) else {
            return;
        };
        while run.end <= end {
            let next = self.runs.range(at..).next();
            let next = next.map(|(&next, _)| next).filter(|&next| next <= end);
            let gap_end = next.unwrap_or(end);
            if gap_end > run.end {
                let (at, mut text) = (run.end, part(run.end, gap_end));
                let list = match text.len() {
                    0..COPY_BREAK => None,
                    COPY_BREAK..WORTH_A_CHUNK => Some(&mut self.loose),
                    _ => Some(&mut self.large),
                };
                match list {
                    Some(list) if list.len() < MAX_LOOSE => list.push_back(at),
                    Some(_) => text = Bytes::copy_from_slice(&text),
                    None => {}
                }
                self.len += text.len();
                run.pieces.push_back(Piece { at, text });
                run.end = gap_end;
                self.pieces += 1;
            }
            let Some(joined) = next.and_then(|next| self.runs.remove(&next)) else {
                break;
            };
            if let Some(next) = next {
                self.recent.forget(next);
            }
            run = run.join(joined);
        }
        self.runs.insert(at, run);
    }

    /// Makes room by throwing away the farthest piece, if it lies beyond `end`.
    fn evict_beyond(&mut self, end: u64) -> bool {
        let Some(mut last) = self.runs.last_entry() else {
            return false;
        };
        let run = last.get_mut();
        let Some(piece) = run.pieces.back() else {
            return false;
        };
        let piece_start = piece.at;
        if piece_start < end {
            return false;
        }
        self.len -= piece.text.len();
        run.pieces.pop_back();
        run.end = piece_start;
        self.pieces -= 1;
        if run.pieces.is_empty() {
            let start = last.remove_entry().0;
            self.recent.forget(start);
        }
        true
    }
}

impl Run {
    /// This run with the one behind it. The shorter list of pieces moves: each piece moves at most
    /// as often as its run doubles.
    fn join(mut self, mut next: Self) -> Self {
        if self.pieces.len() >= next.pieces.len() {
            self.pieces.append(&mut next.pieces);
            self.end = next.end;
            return self;
        }
        while let Some(piece) = self.pieces.pop_back() {
            next.pieces.push_front(piece);
        }
        next
    }
}

#[cfg(test)]
#[path = "assembler_tests.rs"]
mod tests;
