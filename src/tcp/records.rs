//! The records of what was sent, in the order of their numbers, in chunks with sums.
//!
//! *Owns* which record holds a number, and the octets of each mark: of all, and of each chunk, so that a
//! search skips what has nothing for it. Finding is a binary search, a split moves less than a chunk.
//! *Does not* decide a mark: `scoreboard` does.
//! Invariants: records are adjacent and in order; no chunk but an only one is empty; the sums equal a
//! recount ([`Records::check`]).

use std::collections::VecDeque;

use super::read_queue::rewind;
use super::record::Sums;
pub(crate) use super::record::{Mark, Record};
use super::seq::SeqNum;

// Records of a full chunk. Inserting moves half of it at most, 2 KiB; 10^5 records are 1,600 chunks.
const CHUNK: usize = 64;
// The room that the first chunk begins with: a connection that asks and answers needs one or two.
const FIRST: usize = 4;

#[derive(Debug, Default)]
struct Chunk {
    records: VecDeque<Record>,
    sums: Sums,
}

impl Chunk {
    fn with_room(records: VecDeque<Record>) -> Self {
        Self {
            records,
            sums: Sums::default(),
        }
    }

    fn recount(&self) -> Sums {
        let mut sums = Sums::default();
        for record in &self.records {
            sums.add(Sums::of(record));
        }
        sums
    }
}

/// Where a record is; good until records are inserted or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    chunk: usize,
    at: usize,
}

impl Place {
    pub(crate) const FRONT: Self = Self { chunk: 0, at: 0 };

    pub(crate) fn is_front(self) -> bool {
        self == Self::FRONT
    }
}

#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Records {
    // Of use when chunks come and go.
    /// Records that all chunks have room for, the spare ones as well.
    room: usize,
    /// Chunks that emptied, to be filled again.
    spare: Vec<VecDeque<Record>>,
    /// Bytes of memory that all of this keeps: asked for with each segment, and another when room was made.
    held: usize,
    chunks: VecDeque<Chunk>,
    len: usize,
    /// Octets from the first record to the last.
    octets: u32,
    sums: Sums,
    /// Records and chunks looked at.
    #[cfg(test)]
    pub(super) steps: core::cell::Cell<usize>,
}

impl Records {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Octets from the first record to the last.
    pub(crate) fn octets(&self) -> u32 {
        self.octets
    }

    pub(crate) fn sacked(&self) -> u32 {
        self.sums.sacked
    }

    pub(crate) fn sacked_segs(&self) -> u32 {
        self.sums.sacked_segs
    }

    pub(crate) fn lost(&self) -> u32 {
        self.sums.lost
    }

    pub(crate) fn retransmitted(&self) -> u32 {
        self.sums.retransmitted
    }

    pub(crate) fn first(&self) -> Option<&Record> {
        self.chunks.front()?.records.front()
    }

    pub(crate) fn last(&self) -> Option<&Record> {
        self.chunks.back()?.records.back()
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Record> {
        self.chunks.get(place.chunk)?.records.get(place.at)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.chunks.iter().flat_map(|chunk| chunk.records.iter())
    }

    /// Appends what was sent for the first time.
    #[inline]
    pub(crate) fn push(&mut self, record: Record) {
        debug_assert!(self.last().is_none_or(|last| last.end() == record.seq));
        let full = |chunk: &Chunk| chunk.records.len() >= CHUNK;
        if self.chunks.back().is_none_or(full) {
            let fresh = self.fresh_chunk();
            self.chunks.push_back(Chunk::with_room(fresh));
            self.measure();
        }
        if let Some(chunk) = self.chunks.back_mut() {
            let before = chunk.records.capacity();
            chunk.records.push_back(record);
            chunk.sums.add(Sums::of(&record));
            let grown = chunk.records.capacity() - before;
            if grown > 0 {
                self.room += grown;
                self.measure();
            }
        }
        self.octets += record.len;
        self.sums.add(Sums::of(&record));
        self.len += 1;
    }

    /// Removes the first record, or as much of it as lies below `limit`, after `each` has seen it; so with
    /// the next until nothing does.
    pub(crate) fn pop_below(&mut self, limit: SeqNum, mut each: impl FnMut(&Record)) {
        while let Some(chunk) = self.chunks.front_mut()
            && let Some(first) = chunk.records.front_mut()
            && first.seq.before(limit)
        {
            let below = limit.past(first.seq);
            // What was sent once and is acknowledged in order is in no sum.
            if first.mark != Mark::InFlight {
                let counted = Sums::of(first);
                for sums in [&mut chunk.sums, &mut self.sums] {
                    sums.take(counted);
                }
            }
            if below < first.len {
                let mut gone = *first;
                *first = gone.split_off(below);
                let counted = Sums::of(first);
                for sums in [&mut chunk.sums, &mut self.sums] {
                    sums.add(counted);
                }
                self.octets -= gone.len;
                each(&gone);
            } else {
                self.octets -= first.len;
                each(first);
                chunk.records.pop_front();
                self.len -= 1;
                if self.len == 0 {
                    rewind(&mut chunk.records);
                }
            }
            self.drop_empty(0);
            self.count(1);
        }
    }

    /// The record that holds `seq`.
    pub(crate) fn find(&self, seq: SeqNum) -> Option<Place> {
        let chunk = self.chunks.partition_point(|chunk| {
            self.count(1);
            chunk
                .records
                .back()
                .is_some_and(|last| !last.end().after(seq))
        });
        let at = self.chunks.get(chunk)?.records.partition_point(|record| {
            self.count(1);
            !record.end().after(seq)
        });
        let place = Place { chunk, at };
        self.get(place).map(|_| place)
    }

    /// The record behind this one.
    pub(crate) fn next(&self, place: Place) -> Option<Place> {
        self.count(1);
        let inside = place.at + 1 < self.chunks.get(place.chunk)?.records.len();
        let next = if inside {
            Place {
                at: place.at + 1,
                ..place
            }
        } else {
            Place {
                chunk: place.chunk + 1,
                at: 0,
            }
        };
        self.get(next).map(|_| next)
    }

    /// The record in front of this one.
    pub(crate) fn previous(&self, place: Place) -> Option<Place> {
        self.count(1);
        if place.at > 0 {
            return Some(Place {
                at: place.at - 1,
                ..place
            });
        }
        let chunk = place.chunk.checked_sub(1)?;
        let at = self.chunks.get(chunk)?.records.len().checked_sub(1)?;
        Some(Place { chunk, at })
    }

    /// The first record at or behind `from` that is marked lost: chunks without one are skipped.
    pub(crate) fn find_lost(&self, from: Place) -> Option<Place> {
        let mut at = from.at;
        for (index, chunk) in self.chunks.iter().enumerate().skip(from.chunk) {
            self.count(1);
            if chunk.sums.lost > 0 {
                let lost = |record: &Record| {
                    self.count(1);
                    record.mark == Mark::Lost
                };
                if let Some(past) = chunk.records.range(at..).position(lost) {
                    let at = at + past;
                    return Some(Place { chunk: index, at });
                }
            }
            at = 0;
        }
        None
    }

    /// Marks a record; returns its octets.
    pub(crate) fn set_mark(&mut self, place: Place, mark: Mark) -> u32 {
        self.edit(place, |record| record.mark = mark)
    }

    /// Changes a record, but for its range; returns its octets.
    pub(crate) fn edit(&mut self, place: Place, change: impl FnOnce(&mut Record)) -> u32 {
        let Some(chunk) = self.chunks.get_mut(place.chunk) else {
            return 0;
        };
        let Some(record) = chunk.records.get_mut(place.at) else {
            return 0;
        };
        let (before, len) = (Sums::of(record), record.len);
        change(record);
        let after = Sums::of(record);
        debug_assert_eq!(record.len, len);
        for sums in [&mut chunk.sums, &mut self.sums] {
            sums.take(before);
            sums.add(after);
        }
        len
    }

    /// Cuts a record after `octets`, if it is longer; returns where its front is now.
    pub(crate) fn split(&mut self, place: Place, octets: u32) -> Place {
        let splits = self.get(place).is_some_and(|record| octets < record.len);
        if !splits || octets == 0 {
            return place;
        }
        let place = self.make_room(place);
        let chunk = &mut self.chunks[place.chunk];
        let record = &mut chunk.records[place.at];
        let whole = Sums::of(record);
        let rest = record.split_off(octets);
        let front = Sums::of(record);
        for sums in [&mut chunk.sums, &mut self.sums] {
            sums.take(whole);
            sums.add(front);
            sums.add(Sums::of(&rest));
        }
        let before = chunk.records.capacity();
        chunk.records.insert(place.at + 1, rest);
        self.room += chunk.records.capacity() - before;
        self.measure();
        self.len += 1;
        place
    }

    /// Makes a record one with the next: what they say beside their range is the first one's from then on.
    pub(crate) fn merge_next(&mut self, place: Place) {
        let Some(next) = self.next(place) else { return };
        let Some(gone) = self.chunks[next.chunk].records.remove(next.at) else {
            return;
        };
        self.chunks[next.chunk].sums.take(Sums::of(&gone));
        let chunk = &mut self.chunks[place.chunk];
        let record = &mut chunk.records[place.at];
        debug_assert_eq!(record.mark, gone.mark);
        record.len += gone.len;
        record.segs += gone.segs;
        record.fin = gone.fin;
        record.transmissions = record.transmissions.max(gone.transmissions);
        chunk.sums.add(Sums::of(&gone));
        self.len -= 1;
        self.drop_empty(next.chunk);
    }

    /// Changes every record.
    pub(crate) fn edit_all(&mut self, mut change: impl FnMut(&mut Record)) {
        self.sums = Sums::default();
        for chunk in &mut self.chunks {
            for record in &mut chunk.records {
                change(record);
            }
            chunk.sums = chunk.recount();
            self.sums.add(chunk.sums);
        }
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn cool(&mut self) {
        self.spare = Vec::new();
        if self.is_empty() {
            self.chunks = VecDeque::new();
        } else {
            self.chunks.shrink_to_fit();
            for chunk in &mut self.chunks {
                chunk.records.shrink_to_fit();
            }
        }
        self.room = self.chunks.iter().map(|c| c.records.capacity()).sum();
        self.measure();
    }

    /// Bytes of memory that it keeps.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Room was made or given back.
    fn measure(&mut self) {
        self.held = self.room * size_of::<Record>()
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.spare.capacity() * size_of::<VecDeque<Record>>();
    }

    /// Recounts everything; for tests and debug builds.
    pub(crate) fn check(&self) {
        let mut sums = Sums::default();
        let (mut octets, mut len) = (0, 0);
        for chunk in &self.chunks {
            let recount = chunk.recount();
            assert_eq!(chunk.sums, recount, "the sums of a chunk");
            assert!(
                self.chunks.len() == 1 || !chunk.records.is_empty(),
                "an empty chunk"
            );
            assert!(chunk.records.len() <= CHUNK, "a chunk of its size");
            sums.add(recount);
            octets += chunk.records.iter().map(|r| r.len).sum::<u32>();
            len += chunk.records.len();
        }
        assert_eq!((self.sums, self.octets, self.len), (sums, octets, len));
        for (a, b) in self.iter().zip(self.iter().skip(1)) {
            assert_eq!(a.end(), b.seq, "records are adjacent");
        }
        let chunks = self.chunks.iter().map(|c| c.records.capacity());
        let spare = self.spare.iter().map(VecDeque::capacity);
        let room = chunks.chain(spare).sum::<usize>();
        let of_chunks = self.chunks.capacity() * size_of::<Chunk>();
        let of_spare = self.spare.capacity() * size_of::<VecDeque<Record>>();
        let held = room * size_of::<Record>() + of_chunks + of_spare;
        assert_eq!((self.room, self.held), (room, held), "room");
    }

    /// A full chunk is cut in two, so that one more record goes in behind `place`; returns where it is now.
    fn make_room(&mut self, place: Place) -> Place {
        if self.chunks[place.chunk].records.len() < CHUNK {
            return place;
        }
        let mut upper = Chunk::with_room(self.fresh_chunk());
        let before = upper.records.capacity();
        let lower = &mut self.chunks[place.chunk];
        upper.records.extend(lower.records.drain(CHUNK / 2..));
        // A spare one may have been the first, or shrunk.
        self.room += upper.records.capacity() - before;
        upper.sums = upper.recount();
        lower.sums.take(upper.sums);
        self.chunks.insert(place.chunk + 1, upper);
        match place.at.checked_sub(CHUNK / 2) {
            None => place,
            Some(at) => Place {
                chunk: place.chunk + 1,
                at,
            },
        }
    }

    /// An empty chunk with room; its room is counted.
    fn fresh_chunk(&mut self) -> VecDeque<Record> {
        if let Some(spare) = self.spare.pop() {
            return spare;
        }
        let fresh = VecDeque::with_capacity(if self.chunks.is_empty() { FIRST } else { CHUNK });
        self.room += fresh.capacity();
        fresh
    }

    fn drop_empty(&mut self, index: usize) {
        if self.chunks.len() > 1 && self.chunks[index].records.is_empty() {
            self.spare
                .extend(self.chunks.remove(index).map(|chunk| chunk.records));
            self.measure();
        }
    }

    #[cfg(test)]
    fn count(&self, steps: usize) {
        self.steps.set(self.steps.get() + steps);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "counted by tests only")]
    const fn count(&self, _steps: usize) {}
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
