//! Runs of a stack that can be had again: recordings, and their replay.
//!
//! A [`Recording`] is the journal of a stack as a capture that Wireshark opens. It holds all that a stack was told, from
//! its configuration on: frames with their offload state and arrival time, times, users' calls with
//! what they returned, the devices' answers. **It holds the seed, from which all keys follow**: who has it
//! can forge what that run's peers believed; a file of ours is readable by its owner only. A [`Replay`]
//! tells all of it to a fresh stack, offline and in virtual time, and says what that does otherwise.
//!
//! ```no_run
//! use netloom::capture::Replay;
//!
//! let mut replay = Replay::open("run.pcapng")?;
//! match replay.run() {
//!     Ok(end) => println!("the same for {} packets; {end}", replay.packet()),
//!     Err(difference) => println!("{difference}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! *Owns* the format of the recording's own entries. *Does not* keep a run in memory.
//!
//! | file | owns |
//! |---|---|
//! | `code.rs`, `options.rs`, `calls.rs`, `entry.rs` | entries as bytes and back; the number of the format |
//! | `heads.rs` | how much of a frame is headers |
//! | `settings.rs` | [`RecordingSettings`], [`RecordingStats`], [`RecordingWatch`] |
//! | `recording.rs`, `queue.rs` | [`Recording`]: the journal, and the thread that writes behind it |
//! | `bound.rs` | how much memory a replay may take |
//! | `entries.rs` | entries out of a file, total on any bytes |
//! | `difference.rs` | [`ReplayDifference`]: what differs, in words |

mod bound;
mod calls;
mod code;
mod difference;
mod entries;
mod entry;
mod heads;
mod options;
mod queue;
mod recording;
mod settings;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

pub use code::Nonsense;
pub use difference::ReplayDifference;
pub use entry::Why;
pub use recording::Recording;
pub use settings::{RecordingSettings, RecordingStats, RecordingWatch};

use super::{CaptureError, Ended, Reader};
use crate::base::Instant;
use crate::stack::{Config, Stack, Twin};
use crate::tcp::congestion::Choice;
use entries::Entries;
use options::{FORMAT, within_bounds};

/// A recording that is told to a fresh stack.
#[derive(Debug)]
pub struct Replay<R> {
    entries: Entries<R>,
    twin: Twin,
    config: Config,
    version: String,
    epoch: SystemTime,
    whole: bool,
}

/// Why a file cannot be replayed at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Open(#[from] io::Error),
    /// It ends before its first packet.
    #[error("it is empty, or ends before its first packet")]
    Empty,
    /// It is no capture.
    #[error("{0}")]
    NotACapture(Ended),
    /// It is a capture, without what a replay needs.
    #[error(
        "a capture, but no recording: it holds frames only (`capture::ForeignReplay` feeds those of one side)"
    )]
    NotARecording,
    /// It is of another version.
    #[error(
        "a recording in format {format}, written by netloom {version}; this is netloom {}, which reads \
         format {}",
        env!("CARGO_PKG_VERSION"), FORMAT
    )]
    Format {
        /// The version that wrote it.
        version: String,
        /// The number of its format.
        format: u32,
    },
    /// What it begins with makes no sense.
    #[error("nonsense at byte {offset}: {what}")]
    Nonsense {
        /// Where the packet begins.
        offset: u64,
        /// What is wrong with it.
        what: Nonsense,
    },
    /// The new expectation cannot be written.
    #[error("cannot write the new recording: {0}")]
    Write(#[from] CaptureError),
    /// The new expectation ended early.
    #[error("the new recording is not whole: {0}")]
    Broken(String),
}

/// How a recording ended of which everything up to there was replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayEnd {
    /// With its stack.
    #[error("complete")]
    Complete,
    /// At the packet that was asked for.
    #[error("stopped where it was asked to")]
    Until,
    /// Before its stack did.
    #[error("the recording {why}; {lost} entries or more are missing from there on")]
    Early {
        /// Why.
        why: Why,
        /// Entries that were counted and not recorded.
        lost: u64,
    },
    /// In the middle, as when the program was killed.
    #[error("the recording breaks off after byte {offset}, as when its program was killed")]
    Cut {
        /// How long the file is.
        offset: u64,
    },
    /// Where the file cannot be read on.
    #[error("{0}")]
    Unreadable(Ended),
    /// At what makes no sense.
    #[error("nonsense at byte {offset}: {what}")]
    Nonsense {
        /// Where the packet begins.
        offset: u64,
        /// What is wrong with it.
        what: Nonsense,
    },
    /// Where its stack held more than it may ([`Replay::memory_limit`]).
    #[error("its stack holds about {held} bytes by then, and {limit} are allowed")]
    Memory {
        /// About how many bytes there were.
        held: usize,
        /// The limit.
        limit: usize,
    },
}

impl ReplayEnd {
    /// The mark of a recording that ends like this, if it has one.
    const fn mark(&self) -> Option<(Why, u64)> {
        match self {
            Self::Complete => Some((Why::Complete, 0)),
            Self::Early { why, lost } => Some((*why, *lost)),
            _ => None,
        }
    }

    /// Was all of the file replayed, and is it what a recording leaves behind, be it cut short?
    pub const fn is_sound(&self) -> bool {
        !matches!(
            self,
            Self::Unreadable(_) | Self::Nonsense { .. } | Self::Memory { .. }
        )
    }
}

impl Replay<File> {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`ReplayError`], when it is none that can be replayed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReplayError> {
        Self::new(File::open(path)?)
    }
}

impl<R: Read> Replay<R> {
    /// Reads a recording from any source.
    ///
    /// # Errors
    /// [`ReplayError`], when it is none that can be replayed.
    pub fn new(source: R) -> Result<Self, ReplayError> {
        let (entries, head) = Entries::new(Reader::new(source))?;
        let epoch = Duration::from_nanos(head.epoch_nanos);
        let config = within_bounds(head.config);
        Ok(Self {
            entries,
            twin: Twin::new(Stack::new(config.clone()), head.whole),
            config,
            version: head.version,
            epoch: SystemTime::UNIX_EPOCH + epoch,
            whole: head.whole,
        })
    }

    /// What stands for a congestion control of the user's own, which a recording has no way to keep.
    #[must_use]
    pub fn congestion(mut self, own: Choice) -> Self {
        self.entries.own = Some(own);
        self
    }

    /// Stops behind this packet of the file, as Wireshark numbers them, from 1.
    #[must_use]
    pub fn until(mut self, packet: u64) -> Self {
        self.entries.until = packet;
        self
    }

    /// Bounds what the stack may hold (default 1 GiB, and a part in 64 and one call more): a file says what it likes, and a few
    /// bytes of it can stand for a long text. A recording of a host that holds more needs a higher limit.
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.entries.bound.limit = bytes;
        self
    }

    /// Tells the stack the next input and all that belongs to it; `false` at the end.
    ///
    /// # Errors
    /// The first difference. Steps after it go on behind it.
    pub fn step(&mut self) -> Result<bool, Box<ReplayDifference>> {
        let told = self.twin.step(&mut self.entries);
        self.entries.check(self.twin.stack());
        told.map_err(|found| self.explain(&found))
    }

    /// Tells it everything; how the recording ended, when nothing differed.
    ///
    /// # Errors
    /// The first difference.
    pub fn run(&mut self) -> Result<ReplayEnd, Box<ReplayDifference>> {
        while self.step()? {}
        Ok(self.entries.take_end())
    }

    fn explain(&self, found: &crate::stack::Difference) -> Box<ReplayDifference> {
        Box::new(ReplayDifference::new(self.entries.link(), found))
    }

    /// The stack as it is now.
    pub const fn stack(&self) -> &Stack {
        self.twin.stack()
    }

    /// The number of the packet that was read last, as Wireshark counts them.
    pub const fn packet(&self) -> u64 {
        self.entries.packet()
    }

    /// The stack's time.
    pub const fn at(&self) -> Instant {
        self.twin.last()
    }

    /// The wall time of `Instant::ZERO`.
    pub const fn epoch(&self) -> SystemTime {
        self.epoch
    }

    /// The version of netloom that made the recording.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Was payload kept? If not, zeros stand in for it.
    pub const fn has_payload(&self) -> bool {
        self.whole
    }

    /// Tells all of it to a stack that is recorded into `path`: the same inputs, with what comes of them
    /// now. How the old one ended; the new one ends alike, early or cut off where the old one was. Nothing
    /// may have been told before.
    ///
    /// # Errors
    /// [`ReplayError::Write`] and [`ReplayError::Broken`].
    pub fn accept(mut self, path: impl AsRef<Path>) -> Result<ReplayEnd, ReplayError> {
        let settings = RecordingSettings::new(self.epoch)
            .payload(self.whole)
            .waiting();
        let recording = Recording::create(path, &self.config, &settings)?;
        let watch = recording.watch();
        let stack = Stack::recorded(self.config, Box::new(recording));
        self.twin = Twin::new(stack, self.whole);
        // What differs is what is accepted.
        while self.twin.step(&mut self.entries).unwrap_or(true) {
            self.entries.check(self.twin.stack());
        }
        let end = self.entries.take_end();
        watch.end_with(end.mark());
        drop(self.twin);
        match watch.wait() {
            None => Ok(end),
            Some(why) => Err(ReplayError::Broken(why)),
        }
    }
}
