//! How much memory a replay may take: a file is anybody's, and what it says is told to a stack.
//!
//! *Owns* the limit, and when it is looked at. *Does not* trust a setting in a file: what the stack really holds is
//! measured, and the bytes of frames that something still points into. An interface brings so much at once
//! that it is reckoned before it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use crate::stack::{Call, Entry, Input, MOST_AT_ONCE, ROUTE, Stack};

/// What may be in memory, and what came since that was measured.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) limit: usize,
    /// What there was when it was measured.
    measured: usize,
    /// The most that the entries can have brought since then.
    brought: usize,
    /// Bytes of frames that the stack or an entry holds.
    frames: Arc<AtomicUsize>,
}

/// The default limit: four times what the sockets of a stack hold together by theirs.
const LIMIT: usize = 1 << 30;

/// It is measured when a part of it as large as this one can have come.
const PART: usize = 64;

/// The most that an entry costs beside its bytes: a connection, with what leads to it.
const ENTRY: usize = 8 << 10;

/// And each datagram of a super-segment.
const DATAGRAM: usize = 256;

impl Default for Bound {
    fn default() -> Self {
        Self {
            limit: LIMIT,
            measured: 0,
            brought: 0,
            frames: Arc::default(),
        }
    }
}

impl Bound {
    /// A frame's bytes, counted for as long as anything points into them.
    pub(super) fn hold(&self, data: Bytes) -> Bytes {
        self.frames.fetch_add(data.len(), Relaxed);
        let frames = Arc::clone(&self.frames);
        Bytes::from_owner(Held { data, frames })
    }

    /// The most values that lists of one entry may have together: each is a route or an address.
    pub(super) const fn most_listed(&self) -> usize {
        self.limit / ROUTE
    }

    /// What there would be with an entry whose lists hold so many values.
    pub(super) const fn with_listed(&self, values: usize) -> usize {
        self.measured.saturating_add(values.saturating_mul(ROUTE))
    }

    /// This entry is about to be told.
    ///
    /// # Errors
    /// How many bytes there would be, when it is an interface and they are more than may be.
    pub(super) fn bring(&mut self, entry: &Entry) -> Result<(), usize> {
        self.brought = self.brought.saturating_add(most_of(entry));
        let held = self.measured.saturating_add(self.brought);
        if matches!(entry, Entry::Input(Input::Interface(..))) && held > self.limit {
            return Err(held);
        }
        Ok(())
    }

    /// How many bytes there are, when it was worth a look and they are more than may be.
    pub(super) fn exceeded(&mut self, stack: &Stack) -> Option<usize> {
        if self.brought < self.limit / PART {
            return None;
        }
        self.brought = 0;
        let frames = self.frames.load(Relaxed);
        let held = stack.footprint().saturating_add(frames);
        self.measured = held;
        (held > self.limit).then_some(held)
    }
}

/// What can be in memory of an entry that was told.
fn most_of(entry: &Entry) -> usize {
    if let Entry::Input(Input::Interface(_, config)) = entry {
        return ENTRY + config.footprint();
    }
    let (len, segment) = match entry {
        Entry::Input(Input::Frame(_, _, frame)) => (frame.data.len(), frame.meta.segment_size),
        Entry::Input(Input::Call(_, call)) => match &**call {
            Call::TcpWrite(_, data)
            | Call::TcpWriteChunk(_, data)
            | Call::UdpSendTo(_, _, data)
            | Call::UdpSendChunk(_, _, data) => (data.len(), None),
            Call::UdpSendSegmented(_, _, data, segment) => (data.len(), Some(*segment)),
            Call::UdpSendWith(_, _, data, segment, _) => (data.len(), *segment),
            Call::PingSend(.., data) | Call::PingSendWith(_, _, _, data, _) => (data.len(), None),
            _ => (0, None),
        },
        _ => (0, None),
    };
    // A datagram beyond any packet is refused.
    let len = len.min(MOST_AT_ONCE);
    let datagrams = segment.map_or(0, |size| len / usize::from(size.get()));
    ENTRY + len + datagrams * DATAGRAM
}

/// The bytes of a frame, and where they are counted.
struct Held {
    data: Bytes,
    frames: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.frames.fetch_sub(self.data.len(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_as_long_as_a_part_of_it_is_held() {
        let bound = Bound::default();
        let frame = bound.hold(Bytes::from(vec![0; 1000]));
        let part = frame.slice(10..20);
        drop(frame);
        assert_eq!(bound.frames.load(Relaxed), 1000);
        drop(part);
        assert_eq!(bound.frames.load(Relaxed), 0);
    }
}
