//! The pieces of one datagram, by offset.
//!
//! RFC 815 (what is missing), RFC 5722 §4 and RFC 8200 §4.5 (overlaps). *Owns* which of a datagram's bytes are there. *Does not*
//! know which datagram it is, nor when its time is over.
//! Invariants: pieces are sorted and do not overlap; the sum of their lengths is kept, so that whether all are there is a comparison.

use bytes::Bytes;

/// What came of [`Pieces::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    New,
    /// Exactly this piece is there already.
    Again,
    /// It has bytes that another has, or lies behind the end, or tells another end.
    Overlap,
    TooMany,
}

#[derive(Debug)]
pub(super) struct Pieces {
    /// By offset; none overlaps the next.
    held: Vec<(usize, Bytes)>,
    len: usize,
    /// Where the datagram ends, once the last piece has come.
    end: Option<usize>,
    limit: usize,
}

impl Pieces {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            held: Vec::new(),
            len: 0,
            end: None,
            limit,
        }
    }

    pub(super) const fn count(&self) -> usize {
        self.held.len()
    }

    /// Is there everything from the first byte to the last?
    pub(super) fn is_whole(&self) -> bool {
        // They do not overlap and none lies behind the end.
        self.end == Some(self.len)
    }

    pub(super) fn add(&mut self, offset: usize, data: Bytes, more: bool) -> Added {
        let end = offset + data.len();
        // They come in order as a rule.
        let place = match self.held.last() {
            Some(&(last, _)) if last >= offset => self.held.partition_point(|&(at, _)| at < offset),
            _ => self.held.len(),
        };
        let follower = self.held.get(place);
        if let Some((at, held)) = follower
            && (*at, held) == (offset, &data)
            && more == (self.end != Some(end))
        {
            return Added::Again;
        }
        let before = place.checked_sub(1).and_then(|place| self.held.get(place));
        let reaches_in = before.is_some_and(|(at, held)| at + held.len() > offset);
        let reaches_out = follower.is_some_and(|&(at, _)| end > at || at == offset);
        let furthest = self.held.last().map_or(0, |(at, held)| at + held.len());
        let wrong_end = match self.end {
            Some(known) => end > known || !more && end != known,
            None => !more && furthest > end,
        };
        if reaches_in || reaches_out || wrong_end {
            return Added::Overlap;
        }
        if self.held.len() >= self.limit {
            return Added::TooMany;
        }
        if !more {
            self.end = Some(end);
        }
        self.len += data.len();
        self.held.insert(place, (offset, data));
        Added::New
    }

    /// Copies the piece that begins there to its own size.
    pub(super) fn copy(&mut self, offset: usize) {
        if let Ok(place) = self.held.binary_search_by_key(&offset, |&(at, _)| at) {
            let data = &mut self.held[place].1;
            *data = Bytes::copy_from_slice(data);
        }
    }

    /// The first that is there.
    #[cfg(test)]
    pub(super) fn first(&self) -> &Bytes {
        &self.held[0].1
    }

    /// Lets go of all; says how many there were.
    pub(super) fn clear(&mut self) -> usize {
        core::mem::take(&mut self.held).len()
    }

    /// The pieces of a whole datagram, in order.
    pub(super) fn take(self) -> Vec<Bytes> {
        self.held.into_iter().map(|(_, data)| data).collect()
    }
}
