//! What was taken for lost and not told to the congestion controller yet.
//!
//! *Owns* a note for each record that a pass marked: at most one for each record, for as long as the pass
//! lasts. *Does not* mark.

use super::congestion::parts::TxStamp;
use super::records::Record;
use super::seq::SeqNum;

/// A record that was newly marked, as its transmission left it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    pub(crate) stamp: TxStamp,
    pub(crate) seq: SeqNum,
    pub(crate) len: u32,
}

/// The marks of one pass, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct NewlyLost(Vec<Lost>);

impl NewlyLost {
    pub(crate) fn note(&mut self, record: &Record) {
        self.0.push(Lost {
            stamp: record.stamp,
            seq: record.seq,
            len: record.len,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pass is over: takes its notes out, to be [put back](Self::put_back).
    pub(crate) fn take(&mut self) -> Vec<Lost> {
        core::mem::take(&mut self.0)
    }

    /// Keeps the room of notes that were told.
    pub(crate) fn put_back(&mut self, mut told: Vec<Lost>) {
        told.clear();
        self.0 = told;
    }

    /// What was marked is no loss: a window refused it.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    pub(crate) fn held(&self) -> usize {
        self.0.capacity() * size_of::<Lost>()
    }

    pub(crate) fn cool(&mut self) {
        self.0 = Vec::new();
    }
}
