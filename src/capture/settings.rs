//! What a capture is told, and what it tells: settings, counters, errors.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

/// How a capture is made. The default is the host's: 65,535 bytes of each frame, no size limit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaptureSettings {
    pub(super) snap_len: u32,
    pub(super) size_limit: Option<u64>,
    pub(super) queue_frames: usize,
    pub(super) queue_bytes: usize,
    pub(super) epoch: SystemTime,
    pub(super) name: String,
    pub(super) only_new: bool,
}

impl CaptureSettings {
    /// Settings for a stack whose `Instant::ZERO` was at this wall time.
    pub fn new(epoch: SystemTime) -> Self {
        Self {
            snap_len: 65_535,
            size_limit: None,
            queue_frames: 4096,
            queue_bytes: 32 << 20,
            epoch,
            name: "netloom".to_owned(),
            only_new: false,
        }
    }

    /// Keeps at most this many bytes of each frame (at least 1); the default is 65,535.
    #[must_use]
    pub fn snap_len(self, bytes: u32) -> Self {
        Self {
            snap_len: bytes.max(1),
            ..self
        }
    }

    /// Ends the capture, not the traffic, before the file grows beyond this; the default is no limit.
    #[must_use]
    pub fn size_limit(self, bytes: Option<u64>) -> Self {
        Self {
            size_limit: bytes,
            ..self
        }
    }

    /// Bounds what waits for the writer thread: frames (4,096) and bytes of them (32 MiB, about
    /// 500 frames of 64 KiB). What comes on top is counted and not recorded.
    #[must_use]
    pub fn queue(self, frames: usize, bytes: usize) -> Self {
        Self {
            queue_frames: frames.max(1),
            queue_bytes: bytes,
            ..self
        }
    }

    /// The interface's name in the file; the default is `netloom`.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// Is a capture refused where there is something already, be it a symbolic link (default no: a file
    /// is overwritten, a link followed)? For names that no user chose in folders that others may
    /// write to.
    #[must_use]
    pub fn only_new(self, only: bool) -> Self {
        Self {
            only_new: only,
            ..self
        }
    }

    /// The same for a stack whose `Instant::ZERO` was at this wall time.
    #[must_use]
    pub fn epoch(self, epoch: SystemTime) -> Self {
        Self { epoch, ..self }
    }

    /// Nanoseconds from the Unix epoch to the stack's.
    pub(super) fn epoch_nanos(&self) -> u64 {
        let since = self
            .epoch
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What a capture has seen and kept so far.
///
/// `seen` is `written` + what waits in the queue + the three kinds of loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureStats {
    /// Frames that the stack sent or received.
    pub seen: u64,
    /// Frames that the file holds.
    pub written: u64,
    /// Of those seen and taken, frames kept up to the snap length only.
    pub cut: u64,
    /// Frames lost because the writer thread was behind.
    pub lost_queue: u64,
    /// Frames left out because the file had reached its size limit.
    pub lost_limit: u64,
    /// Frames lost because writing had failed.
    pub lost_error: u64,
}

/// Why a capture could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file cannot be created.
    #[error("cannot create the capture {path:?}: {source}")]
    Create {
        /// Where it was to be.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The writer thread cannot be started.
    #[error("cannot start the capture's writer thread: {0}")]
    Thread(#[source] io::Error),
    /// The file's header cannot be written.
    #[error("cannot write the capture's header: {0}")]
    Header(#[source] io::Error),
}

impl From<CaptureError> for io::Error {
    fn from(error: CaptureError) -> Self {
        let kind = match &error {
            CaptureError::Create { source, .. } => source.kind(),
            CaptureError::Thread(source) | CaptureError::Header(source) => source.kind(),
        };
        Self::new(kind, error)
    }
}
