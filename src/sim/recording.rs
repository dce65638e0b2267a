//! All that a host's stack was told in a run, and its twin: a fresh stack that is told the same alone.
//!
//! *Owns* the entries of the stack's journal. *Does not* hold the network, the applications or chance: a
//! stack knows none of them. Invariant: the twin offers the same frames at the same turns and answers
//! its users the same, or says which is the first that differs.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::base::Instant;
use crate::link::TxFrame;
use crate::stack::{
    Answer, Config, Difference, Entry, Input, InterfaceId, Journal, Offered, Outcome, Stack, Twin,
};

/// A host's inputs from its start on.
#[derive(Clone, Debug)]
pub struct Recording {
    config: Config,
    entries: Vec<Entry>,
}

/// How a twin came not to be one.
#[derive(Debug, thiserror::Error)]
#[error("it differs at {:?}, behind frame {}: {:?}", difference.at, difference.place, difference.what)]
#[non_exhaustive]
pub struct TwinError {
    /// What differs; its place is the number of frames before it.
    pub difference: Box<Difference>,
}

impl Recording {
    /// What the stack was told, what it answered and what it offered, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Frames that the stack offered to its devices.
    pub fn frames(&self) -> usize {
        let frames = self.entries.iter();
        frames.filter(|e| matches!(e, Entry::Offered(_))).count()
    }

    /// Feeds all of it to a fresh stack, and compares what that answers and offers.
    ///
    /// # Errors
    /// [`TwinError`] says where the two part.
    pub fn twin(&self) -> Result<Stack, TwinError> {
        let mut twin = Twin::new(Stack::new(self.config.clone()), true);
        // The place of an entry is how many frames there were before it.
        let mut frames = 0;
        let mut entries = self.entries.iter().cloned().map(|entry| {
            let place = frames;
            frames += u64::from(matches!(entry, Entry::Offered(_)));
            (place, entry)
        });
        loop {
            match twin.step(&mut entries) {
                Ok(true) => {}
                Ok(false) => return Ok(twin.into_stack()),
                Err(difference) => return Err(TwinError { difference }),
            }
        }
    }
}

/// What a host's journal is read from while it runs.
#[derive(Clone, Debug)]
pub(super) struct Log {
    config: Config,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Log {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            entries: Arc::default(),
        }
    }

    /// All that was told so far.
    pub(super) fn recording(&self) -> Recording {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Recording {
            config: self.config.clone(),
            entries: entries.clone(),
        }
    }

    fn push(&self, entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
    }
}

impl Journal for Log {
    fn input(&mut self, input: &Input) {
        self.push(Entry::Input(input.clone()));
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.push(Entry::Outcome(outcome.clone()));
    }

    fn offered(&mut self, at: Instant, on: InterfaceId, frame: &TxFrame<'_>, answer: Answer) {
        let data = Bytes::from(frame.to_vec());
        self.push(Entry::Offered(Offered::new(
            at, on, data, frame.meta, answer,
        )));
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
