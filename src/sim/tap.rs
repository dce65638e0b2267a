//! A pcapng of a link: what was sent at each end, and what arrived there.
//!
//! *Owns* one writer and the error that ended it. *Does not* stop the network: what the sink refused
//! is told when the capture ends. Invariant: a tap that is dropped has written all that it was given.

use std::fmt;
use std::io::{self, Write};
use std::time::SystemTime;

use bytes::Bytes;

use crate::base::Instant;
use crate::capture::{CaptureSettings, Direction, InterfaceNumber, LinkType, Writer};
use crate::device::Medium;

/// What is written of one link.
pub(super) struct LinkTap {
    /// Gone when it has ended.
    writer: Option<Writer<Box<dyn Write>>>,
    ends: [InterfaceNumber; 2],
    failed: Option<io::Error>,
}

impl LinkTap {
    /// Begins a capture with an interface for each end, of these names.
    pub(super) fn new(sink: Box<dyn Write>, medium: Medium, names: [&str; 2]) -> io::Result<Self> {
        // Virtual time: the epoch is nobody's wall time.
        let settings = CaptureSettings::new(SystemTime::UNIX_EPOCH);
        let mut writer = Writer::new(sink, &settings)?;
        let link = LinkType::from(medium);
        let ends = [
            writer.interface(link, names[0])?,
            writer.interface(link, names[1])?,
        ];
        Ok(Self {
            writer: Some(writer),
            ends,
            failed: None,
        })
    }

    /// A frame leaves or reaches one end.
    pub(super) fn frame(&mut self, at: Instant, end: usize, direction: Direction, frame: &Bytes) {
        if let Some(writer) = &mut self.writer {
            let written = writer.frame(self.ends[end], at, direction, frame, &[]);
            // Without a limit of size every frame is kept.
            if let Err(error) = written {
                self.failed = Some(error);
                self.writer = None;
            }
        }
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        match (self.failed.take(), self.writer.take()) {
            (Some(error), _) => Err(error),
            (None, Some(writer)) => writer.finish().map(|_| ()),
            (None, None) => Ok(()),
        }
    }
}

impl Drop for LinkTap {
    fn drop(&mut self) {
        // Who wants to know how it went ends it himself.
        let _ = self.end();
    }
}

impl fmt::Debug for LinkTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkTap")
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
