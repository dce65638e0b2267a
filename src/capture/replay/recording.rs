//! The journal of a stack as a pcapng file.
//!
//! Frames stand in packets of their interface, as in any capture. All else (the configuration with the
//! seed, times, calls, answers) stands in packets of one more interface, of user link type, each before
//! the frames that it announces. *Owns* that order and what is kept of payload. *Does not* wait: what the
//! queue before the writer has no room for ends the recording, with a mark and a count.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::entry::{
    FrameHead, Head, LONGEST, OfferedHead, Why, piece, put_end, put_head, put_input, put_offered,
    put_outcome,
};
use super::heads::heads;
use super::queue::{LAST_WORDS, Queue};
use super::settings::{Counters, RecordingSettings, RecordingWatch};
use crate::base::Instant;
use crate::base::checksum::Sum;
use crate::capture::writer::{InterfaceNumber, Packet, Writer};
use crate::capture::{CaptureError, CaptureSettings, Direction, LinkType};
use crate::device::Medium;
use crate::link::{RxChecksum, RxFrame, TxFrame};
use crate::stack::{Answer, Config, Input, InterfaceId, Journal, Outcome};

/// A [`Journal`] that is a file. Dropped, it waits until the file is complete.
#[derive(Debug)]
pub struct Recording {
    writer: Writer<Queue>,
    /// Where its own entries stand.
    own: InterfaceNumber,
    links: Vec<(InterfaceNumber, Medium)>,
    /// The medium of the interface that is being added.
    adding: Option<Medium>,
    /// The entry that is being put together, behind the byte that tells of its pieces.
    entry: Vec<u8>,
    payload: bool,
    /// Does the stack verify the checksums that a device calls partial?
    distrusts: bool,
    last: Instant,
    over: Option<Why>,
    counters: Arc<Counters>,
}

/// The link type of a recording's own interface: the first of those that the registry leaves to users.
pub(super) const OWN_LINK: LinkType = LinkType(147);

/// The most bytes of an entry in one packet: Wireshark opens none beyond 262,144.
const PIECE: usize = 128 << 10;

/// The most room that is kept for the next entry.
const MOST_KEPT: usize = 4 << 20;

impl Recording {
    /// Starts one into `sink`, of a stack with this configuration, with a writer thread of its own.
    ///
    /// # Errors
    /// When the thread cannot be started, or the size limit does not even hold the beginning.
    pub fn start<W: Write + Send + 'static>(
        sink: W,
        config: &Config,
        settings: &RecordingSettings,
    ) -> Result<Self, CaptureError> {
        Self::start_with(sink, config, settings, |_, _| {})
    }

    fn start_with<W: Write + Send + 'static>(
        sink: W,
        config: &Config,
        settings: &RecordingSettings,
        cut: fn(W, u64),
    ) -> Result<Self, CaptureError> {
        let queue = settings.queue_bytes.max(LAST_WORDS);
        let queue = Queue::start(sink, queue, cut).map_err(CaptureError::Thread)?;
        let queue = queue.limit(settings.size_limit);
        let queue = if settings.waits {
            queue.waiting()
        } else {
            queue
        };
        let format = CaptureSettings::new(settings.epoch).snap_len(SNAP_LEN);
        let mut writer = Writer::new(queue, &format).map_err(CaptureError::Header)?;
        let own = writer.interface(OWN_LINK, "netloom's inputs");
        let mut recording = Self {
            own: own.map_err(CaptureError::Header)?,
            writer,
            links: Vec::new(),
            adding: None,
            entry: vec![piece::WHOLE],
            payload: settings.payload,
            distrusts: !config.trust_partial,
            last: Instant::ZERO,
            over: None,
            counters: Arc::default(),
        };
        let head = Head {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch_nanos: format.epoch_nanos(),
            whole: settings.payload,
            config: config.clone(),
        };
        put_head(&mut recording.entry, &head);
        let begun = recording.write_entry(Instant::ZERO);
        begun
            .and_then(|()| recording.writer.flush())
            .map_err(CaptureError::Header)?;
        Ok(recording)
    }

    /// Starts one into a new file; one that is there is overwritten, unless
    /// [`RecordingSettings::only_new`] forbids it.
    ///
    /// # Errors
    /// When the file cannot be created, and as [`start`](Self::start).
    pub fn create(
        path: impl AsRef<Path>,
        config: &Config,
        settings: &RecordingSettings,
    ) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let mut open = File::options();
        open.write(true);
        if settings.only_new {
            open.create_new(true);
        } else {
            open.create(true).truncate(true);
        }
        // It holds keys, which nobody else is to read.
        private(&mut open);
        let file = open.open(path).map_err(|source| CaptureError::Create {
            path: path.to_owned(),
            source,
        })?;
        make_private(&file).map_err(|source| CaptureError::Create {
            path: path.to_owned(),
            source,
        })?;
        Self::start_with(file, config, settings, |file, len| {
            // A pipe cannot be cut; there is nothing to mend then.
            let _ = file.set_len(len);
        })
    }

    /// A view of it that outlives it.
    pub fn watch(&self) -> RecordingWatch {
        RecordingWatch {
            counters: Arc::clone(&self.counters),
            shared: self.writer.sink().shared(),
        }
    }

    /// Counts an entry; is it still to be recorded?
    fn wants(&mut self) -> bool {
        self.counters.entries.fetch_add(1, Relaxed);
        if self.over.is_some() {
            self.counters.lost.fetch_add(1, Relaxed);
            return false;
        }
        true
    }

    /// Writes the entry that was put together behind its first byte, which tells of pieces.
    fn write_entry(&mut self, at: Instant) -> io::Result<()> {
        self.last = self.last.max(at);
        let mut entry = core::mem::take(&mut self.entry);
        let written = if entry.len() <= PIECE {
            self.write_piece(&entry)
        } else {
            self.write_pieces(&entry[1..])
        };
        entry.clear();
        // One large write is no reason to keep that much for ever.
        if entry.capacity() > MOST_KEPT {
            entry.shrink_to(PIECE);
        }
        entry.push(piece::WHOLE);
        self.entry = entry;
        written
    }

    fn write_pieces(&mut self, entry: &[u8]) -> io::Result<()> {
        if entry.len() > LONGEST {
            // What nothing could read ends it.
            return Err(io::ErrorKind::InvalidData.into());
        }
        let last = (entry.len() - 1) / PIECE;
        for (number, part) in entry.chunks(PIECE).enumerate() {
            let kind = match number {
                0 => piece::FIRST,
                number if number < last => piece::NEXT,
                _ => piece::LAST,
            };
            self.write_piece(&[&[kind], part].concat())?;
        }
        Ok(())
    }

    fn write_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        let packet = Packet {
            at: self.last,
            direction: None,
            head: piece,
            rest: &[],
            original_len: piece.len(),
            lost_before: 0,
            comment: None,
        };
        self.writer.packet(self.own, &packet).map(|_| ())
    }

    /// Hands what was written to the queue; what fails ends the recording.
    fn settle(&mut self, written: io::Result<()>) {
        if let Err(error) = written.and_then(|()| self.writer.flush()) {
            self.counters.lost.fetch_add(1, Relaxed);
            self.writer.forget();
            self.end_early(match error.kind() {
                io::ErrorKind::FileTooLarge => Why::SizeLimit,
                io::ErrorKind::InvalidData => Why::TooLong,
                _ => Why::QueueFull,
            });
        }
    }

    /// Writes the mark.
    fn end_early(&mut self, why: Why) {
        if self.over.is_none() {
            self.over = Some(why);
            let flag = match why {
                Why::SizeLimit => &self.counters.size_limit,
                Why::TooLong => &self.counters.too_long,
                _ => &self.counters.queue_full,
            };
            flag.store(true, Relaxed);
            self.writer.sink_mut().open_reserve();
            self.mark(why, self.counters.lost.load(Relaxed));
        }
    }

    fn mark(&mut self, why: Why, lost: u64) {
        self.entry.truncate(1);
        put_end(&mut self.entry, why, lost);
        // Of a sink that fails nothing more can be said.
        let _ = self
            .write_entry(self.last)
            .and_then(|()| self.writer.flush());
    }

    fn link(&self, on: InterfaceId) -> Option<(InterfaceNumber, Medium)> {
        let index = usize::try_from(on.scope()).ok()?.checked_sub(1)?;
        self.links.get(index).copied()
    }

    fn frame(
        &mut self,
        input: &Input,
        now: Instant,
        on: InterfaceId,
        frame: &RxFrame,
    ) -> io::Result<()> {
        let Some((link, medium)) = self.link(on) else {
            return Ok(());
        };
        let data = &frame.data;
        let cut = |heads: super::heads::Heads| heads.len;
        let kept = if self.payload {
            None
        } else {
            heads(medium, data, data.len(), false).map(cut)
        };
        let unsure = match frame.meta.checksum {
            RxChecksum::Unknown => true,
            RxChecksum::Verified => false,
            RxChecksum::Partial(_) => self.distrusts,
        };
        let head = FrameHead {
            meta: frame.meta,
            len: data.len(),
            sum: kept
                .filter(|_| unsure)
                .map(|kept| Sum::new().bytes(&data[kept..]).partial()),
        };
        put_input(&mut self.entry, input, Some(&head));
        self.write_entry(now)?;
        let packet = Packet {
            at: frame.meta.at,
            direction: Some(Direction::Inbound),
            head: &data[..kept.unwrap_or(data.len())],
            rest: &[],
            original_len: data.len(),
            lost_before: 0,
            comment: None,
        };
        self.writer.packet(link, &packet).map(|_| ())
    }

    fn sent(
        &mut self,
        at: Instant,
        on: InterfaceId,
        frame: &TxFrame<'_>,
        answer: Answer,
    ) -> io::Result<()> {
        let Some((link, medium)) = self.link(on) else {
            return Ok(());
        };
        let len = frame.len();
        let mut whole = Vec::new();
        let mut front = frame.headers;
        let mut kept = None;
        if !self.payload {
            kept = heads(medium, front, len, true);
            if kept.is_none() && len > front.len() {
                // What it quotes is its payload.
                whole = frame.to_vec();
                front = &whole;
                kept = heads(medium, front, len, true);
            }
        }
        let head = OfferedHead {
            at,
            on,
            len,
            loose: kept
                .filter(|_| frame.meta.checksum.is_none())
                .map(|kept| kept.checksum),
            meta: frame.meta,
            answer,
        };
        put_offered(&mut self.entry, &head);
        self.write_entry(at)?;
        if answer == Answer::Full {
            return Ok(());
        }
        let (head, rest) = match kept {
            Some(kept) => (&front[..kept.len], &[][..]),
            None if !whole.is_empty() => (&whole[..], &[][..]),
            None => (frame.headers, frame.payload),
        };
        let packet = Packet {
            at,
            direction: Some(Direction::Outbound),
            head,
            rest,
            original_len: len,
            lost_before: 0,
            comment: match answer {
                Answer::Dropped(_) | Answer::Failed => Some("not sent: the device dropped it"),
                _ => None,
            },
        };
        self.writer.packet(link, &packet).map(|_| ())
    }
}

impl Journal for Recording {
    fn input(&mut self, input: &Input) {
        if !self.wants() {
            return;
        }
        let written = match input {
            Input::Frame(now, on, frame) => self.frame(input, *now, *on, frame),
            _ => {
                put_input(&mut self.entry, input, None);
                let now = match input {
                    Input::Interface(now, config) => {
                        self.adding = Some(config.capabilities.medium);
                        *now
                    }
                    Input::Timeout(now) | Input::Transmit(now, _) | Input::Call(now, _) => *now,
                    Input::Event(_) | Input::Frame(..) => self.last,
                };
                self.write_entry(now)
            }
        };
        self.settle(written);
    }

    fn outcome(&mut self, outcome: &Outcome) {
        if !self.wants() {
            return;
        }
        put_outcome(&mut self.entry, outcome);
        let mut written = self.write_entry(self.last);
        if let (Some(medium), Outcome::Number(_)) = (self.adding.take(), outcome) {
            let name = format!("netloom{}", self.links.len());
            let link = written.and_then(|()| self.writer.interface(medium.into(), &name));
            written = link.map(|link| self.links.push((link, medium)));
        }
        self.settle(written);
    }

    fn offered(&mut self, at: Instant, on: InterfaceId, frame: &TxFrame<'_>, answer: Answer) {
        if self.wants() {
            let written = self.sent(at, on, frame, answer);
            self.settle(written);
        }
    }

    fn keeps_payload(&self) -> bool {
        self.payload
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.writer.sink_mut().open_reserve();
        let lost = self.counters.lost.load(Relaxed);
        let end = match (self.over, self.counters.ends.get()) {
            (Some(why), _) => Some((why, lost)),
            (None, Some(told)) => *told,
            (None, None) => Some((Why::Complete, lost)),
        };
        let Some((why, lost)) = end else {
            // It breaks off: what else there is has left already.
            return;
        };
        self.mark(why, lost);
        // Its statistics, and a file that has them is complete.
        let _ = self.writer.conclude([]);
    }
}

/// Beyond any frame, and what Wireshark takes for one.
const SNAP_LEN: u32 = 262_144;

#[cfg(unix)]
fn private(open: &mut std::fs::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    open.mode(0o600);
}

/// A file that was there already keeps the mode that it had. What is no file, such as a pipe or
/// `/dev/null`, belongs to others too.
#[cfg(unix)]
fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &mut std::fs::OpenOptions) {}

#[cfg(not(unix))]
fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    /// It is not the queue that was full.
    #[test]
    fn a_call_that_is_too_long_says_so() {
        let settings = RecordingSettings::new(std::time::UNIX_EPOCH);
        let config = Config::new(Seed::from_number(1));
        for (len, told) in [
            (LONGEST, None),
            (LONGEST + 1, Some(Why::TooLong.to_string())),
        ] {
            let settings = settings.clone().queue(1 << 30);
            let mut recording = Recording::start(io::sink(), &config, &settings).unwrap();
            recording.entry.resize(1 + len, 0);
            let written = recording.write_entry(Instant::ZERO);
            recording.settle(written);
            assert_eq!(recording.watch().failure(), told);
        }
    }
}
