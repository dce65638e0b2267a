//! What a recording is told, and what it tells: settings, counters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::entry::Why;
use super::queue::Shared;

/// How a recording is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordingSettings {
    pub(super) payload: bool,
    pub(super) queue_bytes: usize,
    pub(super) size_limit: u64,
    pub(super) epoch: SystemTime,
    pub(super) only_new: bool,
    /// Does who writes wait for room, instead of the recording's ending?
    pub(super) waits: bool,
}

impl RecordingSettings {
    /// Settings for a stack whose `Instant::ZERO` was at this wall time: with payload, without a size
    /// limit.
    pub const fn new(epoch: SystemTime) -> Self {
        Self {
            payload: true,
            queue_bytes: 64 << 20,
            size_limit: u64::MAX,
            epoch,
            only_new: false,
            waits: false,
        }
    }

    /// Is the payload of TCP and UDP kept (default yes), in frames and in what users give and get? Without
    /// it recording costs little, and a replay uses zeros in its place: all but the bytes themselves and
    /// checksums over them is compared.
    #[must_use]
    pub const fn payload(self, kept: bool) -> Self {
        Self {
            payload: kept,
            ..self
        }
    }

    /// Bounds what waits for the writer thread (default 64 MiB); more ends the recording.
    #[must_use]
    pub const fn queue(self, bytes: usize) -> Self {
        Self {
            queue_bytes: bytes,
            ..self
        }
    }

    /// Ends the recording, not the traffic, before the file grows beyond this (default: no limit). 64 KiB of it
    /// are kept for the last words; a limit that does not hold these and the configuration is an error at the
    /// start.
    #[must_use]
    pub fn size_limit(self, bytes: Option<u64>) -> Self {
        Self {
            size_limit: bytes.unwrap_or(u64::MAX),
            ..self
        }
    }

    /// Is a recording refused where there is something already (default no, as
    /// [`CaptureSettings::only_new`](crate::capture::CaptureSettings::only_new))?
    #[must_use]
    pub const fn only_new(self, only: bool) -> Self {
        Self {
            only_new: only,
            ..self
        }
    }

    /// Lets who writes wait for the file: for a replay, which has time.
    pub(super) const fn waiting(self) -> Self {
        Self {
            waits: true,
            ..self
        }
    }

    /// The same for a stack whose `Instant::ZERO` was at this wall time.
    #[must_use]
    pub const fn epoch(self, epoch: SystemTime) -> Self {
        Self { epoch, ..self }
    }
}

/// What a recording has seen and kept so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordingStats {
    /// Entries: inputs, frames that were offered, what calls returned.
    pub entries: u64,
    /// Those of them that were not recorded, because it had ended.
    pub lost: u64,
}

/// Looks at a recording, and may outlive it.
#[derive(Clone, Debug)]
pub struct RecordingWatch {
    pub(super) counters: Arc<Counters>,
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) entries: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) queue_full: AtomicBool,
    pub(super) size_limit: AtomicBool,
    pub(super) too_long: AtomicBool,
    /// How it ends where that is not its stack's end: with this mark, or with none.
    pub(super) ends: OnceLock<Option<(Why, u64)>>,
}

impl RecordingWatch {
    /// What it has seen and kept so far.
    pub fn stats(&self) -> RecordingStats {
        RecordingStats {
            entries: self.counters.entries.load(Relaxed),
            lost: self.counters.lost.load(Relaxed),
        }
    }

    /// Why it ended before its stack did, in words; `None` while it goes on and when it is complete.
    pub fn failure(&self) -> Option<String> {
        if let Some(error) = self.shared.failure() {
            return Some(error.to_string());
        }
        let early = [
            (&self.counters.queue_full, Why::QueueFull),
            (&self.counters.size_limit, Why::SizeLimit),
            (&self.counters.too_long, Why::TooLong),
        ];
        let mut early = early.iter().filter(|(flag, _)| flag.load(Relaxed));
        early.next().map(|(_, why)| why.to_string())
    }

    /// Lets it end with another mark than that its stack ended, or without one.
    pub(super) fn end_with(&self, mark: Option<(Why, u64)>) {
        let _ = self.counters.ends.set(mark);
    }

    /// Waits until the file is complete, or until writing has failed; why then.
    pub fn wait(&self) -> Option<String> {
        self.shared.wait();
        self.failure()
    }
}
