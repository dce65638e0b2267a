//! pcapng into any `Write`: no thread, no clock, nothing but bytes.
//!
//! draft-ietf-opsawg-pcapng §4.1 (section), §4.2 (interface), §4.3 (enhanced packet), §4.6
//! (statistics). *Owns* the emitted layout, the snap length and the size limit. *Does not* queue:
//! that is `recorder`. Invariant: what reaches the sink ends at a block's end, unless the sink fails.

use std::io::{self, Write};

use bytes::Bytes;

use super::format::{Direction, LinkType, block, option, padded};
use super::read::Frame;
use super::settings::CaptureSettings;
use crate::base::Instant;

/// Writes a pcapng capture in nanoseconds, through a buffer of its own, to any sink.
///
/// ```
/// use std::time::SystemTime;
/// use netloom::base::Instant;
/// use netloom::capture::{CaptureSettings, Direction, LinkType, Reader, Writer};
///
/// let settings = CaptureSettings::new(SystemTime::UNIX_EPOCH);
/// let mut writer = Writer::new(Vec::new(), &settings)?;
/// let wire = writer.interface(LinkType::ETHERNET, "wire0")?;
/// writer.frame(wire, Instant::from_millis(5), Direction::Outbound, &[0; 60], &[])?;
/// let file = writer.finish()?;
/// let frame = Reader::new(file.as_slice()).next().ok_or("no frame")?;
/// assert_eq!((frame.data.len(), frame.at), (60, Some(5_000_000)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    snap_len: usize,
    size_limit: u64,
    epoch_nanos: u64,
    interfaces: Vec<Tally>,
    /// Encoded blocks that the sink has not got yet, and how many frames are among them.
    pending: Vec<u8>,
    pending_frames: u64,
    /// Bytes and frames that the sink took.
    flushed: u64,
    written: u64,
}

/// The number of an interface in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceNumber(u32);

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It is in the file, or in the buffer before it.
    Kept,
    /// The size limit leaves no room for it, nor for any that follows.
    OverLimit,
}

/// What an interface's statistics block will say.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// It is not in the file.
    left_out: bool,
    kept: u64,
    cut: u64,
    over_limit: u64,
    /// What the recording side lost before it reached the writer.
    lost: u64,
    last: u64,
}

/// One frame on its way into the file.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) at: Instant,
    /// `None` when nobody knows.
    pub(super) direction: Option<Direction>,
    pub(super) head: &'a [u8],
    pub(super) rest: &'a [Bytes],
    /// Bytes on the wire; more than `head` and `rest` hold when the snap length cut them.
    pub(super) original_len: usize,
    /// Frames lost between the one before and this one.
    pub(super) lost_before: u64,
    pub(super) comment: Option<&'static str>,
}

/// What the recording side lost of an interface and no frame of it has reported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outside {
    /// Frames lost after the last one that was kept.
    pub(super) lost: u64,
    /// All frames left out over the size limit.
    pub(super) over_limit: u64,
}

/// Blocks are handed to the sink when they fill this.
const BUFFER: usize = 64 << 10;

/// Room that the size limit keeps for each interface's statistics block.
const RESERVED: u64 = 512;

impl<W: Write> Writer<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// The sink's.
    pub fn new(sink: W, settings: &CaptureSettings) -> io::Result<Self> {
        let mut writer = Self {
            sink,
            snap_len: usize::try_from(settings.snap_len).unwrap_or(usize::MAX),
            size_limit: settings.size_limit.unwrap_or(u64::MAX),
            epoch_nanos: settings.epoch_nanos(),
            interfaces: Vec::new(),
            pending: Vec::with_capacity(BUFFER),
            pending_frames: 0,
            flushed: 0,
            written: 0,
        };
        writer.block(block::SECTION, |out| {
            out.extend_from_slice(&block::ORDER.to_le_bytes());
            out.extend_from_slice(&1u16.to_le_bytes()); // version 1.0
            out.extend_from_slice(&0u16.to_le_bytes());
            out.extend_from_slice(&u64::MAX.to_le_bytes()); // section length: not given
            let name = concat!("netloom ", env!("CARGO_PKG_VERSION"));
            put_option(out, option::SHB_USERAPPL, name.as_bytes());
            put_option(out, option::END, &[]);
        });
        writer.flush()?;
        Ok(writer)
    }

    /// Adds an interface; frames name it from then on. One behind the first that the size limit leaves no room for is none of
    /// the file's, nor is any frame after it.
    ///
    /// # Errors
    /// The sink's.
    pub fn interface(&mut self, link: LinkType, name: &str) -> io::Result<InterfaceNumber> {
        let number = u32::try_from(self.interfaces.len()).map_err(io::Error::other)?;
        let reserved = usize::try_from(RESERVED).unwrap_or(usize::MAX);
        if number > 0 && self.over_limit(name.len().saturating_add(reserved)) {
            self.size_limit = 0;
            self.interfaces.push(Tally {
                left_out: true,
                ..Tally::default()
            });
            return Ok(InterfaceNumber(number));
        }
        let snap_len = u32::try_from(self.snap_len).unwrap_or(0);
        self.block(block::INTERFACE, |out| {
            out.extend_from_slice(&link.0.to_le_bytes());
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(&snap_len.to_le_bytes());
            put_option(out, option::IF_NAME, name.as_bytes());
            put_option(out, option::IF_TSRESOL, &[9]); // nanoseconds
            put_option(out, option::END, &[]);
        });
        self.interfaces.push(Tally::default());
        self.flush()?;
        Ok(InterfaceNumber(number))
    }

    /// Adds one frame, given as its headers and its payload; what the snap length cuts is counted.
    ///
    /// # Errors
    /// The sink's; the capture ends there.
    pub fn frame(
        &mut self,
        on: InterfaceNumber,
        at: Instant,
        direction: Direction,
        headers: &[u8],
        payload: &[Bytes],
    ) -> io::Result<Written> {
        let original_len = headers.len() + payload.iter().map(Bytes::len).sum::<usize>();
        self.packet(
            on,
            &Packet {
                at,
                direction: Some(direction),
                head: headers,
                rest: payload,
                original_len,
                lost_before: 0,
                comment: None,
            },
        )
    }

    /// Adds a frame that a [`Reader`](super::Reader) gave, with all that it says of it; one without a
    /// time, or from before the epoch of the settings, is given the epoch's.
    ///
    /// # Errors
    /// The sink's; the capture ends there.
    pub fn copy(&mut self, on: InterfaceNumber, frame: &Frame) -> io::Result<Written> {
        let at = frame.at.unwrap_or(0).saturating_sub(self.epoch_nanos);
        self.packet(
            on,
            &Packet {
                at: Instant::from_nanos(at),
                direction: frame.direction,
                head: &frame.data,
                rest: &[],
                original_len: usize::try_from(frame.original_len).unwrap_or(usize::MAX),
                lost_before: 0,
                comment: None,
            },
        )
    }

    /// Adds one frame with what the recording side knows about it.
    pub(super) fn packet(
        &mut self,
        on: InterfaceNumber,
        packet: &Packet<'_>,
    ) -> io::Result<Written> {
        let given = packet.head.len() + packet.rest.iter().map(Bytes::len).sum::<usize>();
        let kept = given.min(self.snap_len);
        let time = self.epoch_nanos.saturating_add(packet.at.as_nanos());
        let over = self.over_limit(kept);
        let Some(tally) = usize::try_from(on.0)
            .ok()
            .and_then(|index| self.interfaces.get_mut(index))
        else {
            return Err(io::Error::other("no such interface in this capture"));
        };
        tally.lost += packet.lost_before;
        tally.last = tally.last.max(time);
        if over {
            tally.over_limit += 1;
            self.size_limit = 0; // a smaller frame that would fit must not follow a gap
            return Ok(Written::OverLimit);
        }
        tally.kept += 1;
        tally.cut += u64::from(kept < packet.original_len);
        self.block(block::ENHANCED, |out| {
            put_packet(out, on, time, kept, packet);
        });
        self.pending_frames += 1;
        if self.pending.len() >= BUFFER {
            self.flush()?;
        }
        Ok(Written::Kept)
    }

    /// Hands all blocks to the sink.
    ///
    /// # Errors
    /// The sink's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.pending)?;
        self.sink.flush()?;
        self.flushed += u64::try_from(self.pending.len()).unwrap_or(0);
        self.written += self.pending_frames;
        self.pending.clear();
        self.pending_frames = 0;
        Ok(())
    }

    /// Writes the statistics, flushes, and gives the sink back.
    ///
    /// # Errors
    /// The sink's.
    pub fn finish(mut self) -> io::Result<W> {
        self.conclude([])?;
        Ok(self.sink)
    }

    /// Gives up a sink that failed; says how many of its bytes are whole blocks.
    pub(super) fn abandon(self) -> (W, u64) {
        (self.sink, self.flushed)
    }

    /// Writes the statistics, with what each interface, in their order, lost before it reached the writer, and flushes.
    pub(super) fn conclude(
        &mut self,
        outside: impl IntoIterator<Item = Outside>,
    ) -> io::Result<()> {
        let mut outside = outside.into_iter();
        for number in 0..self.interfaces.len() {
            let mut tally = self.interfaces[number];
            let outside = outside.next().unwrap_or_default();
            tally.lost += outside.lost;
            tally.over_limit = tally.over_limit.max(outside.over_limit);
            if tally.left_out {
                continue;
            }
            let first = self.epoch_nanos;
            let number = u32::try_from(number).map_err(io::Error::other)?;
            self.block(block::STATISTICS, |out| {
                put_statistics(out, number, first, &tally);
            });
        }
        self.flush()
    }

    /// The sink.
    pub(super) const fn sink(&self) -> &W {
        &self.sink
    }

    pub(super) const fn sink_mut(&mut self) -> &mut W {
        &mut self.sink
    }

    /// Gives up the blocks that the sink did not take.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
        self.pending_frames = 0;
    }

    /// Frames that the sink took whole.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Frames that the sink took or the buffer holds.
    pub(super) fn accepted(&self) -> u64 {
        self.written + self.pending_frames
    }

    /// Would a frame of this many bytes leave no room for the statistics?
    fn over_limit(&self, kept: usize) -> bool {
        let interfaces = u64::try_from(self.interfaces.len()).unwrap_or(u64::MAX);
        let more = u64::try_from(self.pending.len() + kept + 256).unwrap_or(u64::MAX);
        let end =
            (self.flushed.saturating_add(more)).saturating_add(interfaces.saturating_mul(RESERVED));
        end > self.size_limit
    }

    /// Appends one block around what `body` writes.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.pending.len();
        self.pending.extend_from_slice(&kind.to_le_bytes());
        self.pending.extend_from_slice(&[0; 4]);
        body(&mut self.pending);
        let len = u32::try_from(self.pending.len() - start + 4).unwrap_or(u32::MAX);
        self.pending[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
        self.pending.extend_from_slice(&len.to_le_bytes());
    }
}

/// The body of an enhanced packet block.
fn put_packet(out: &mut Vec<u8>, on: InterfaceNumber, time: u64, kept: usize, packet: &Packet<'_>) {
    out.extend_from_slice(&on.0.to_le_bytes());
    put_time(out, time);
    for len in [kept, packet.original_len] {
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    }
    let mut left = kept;
    for part in core::iter::once(packet.head).chain(packet.rest.iter().map(|slice| &slice[..])) {
        let take = part.len().min(left);
        out.extend_from_slice(&part[..take]);
        left -= take;
    }
    out.resize(out.len() + padded(kept) - kept, 0);
    if let Some(direction) = packet.direction {
        put_option(out, option::EPB_FLAGS, &direction.to_flags().to_le_bytes());
    }
    if packet.lost_before > 0 {
        put_option(
            out,
            option::EPB_DROPCOUNT,
            &packet.lost_before.to_le_bytes(),
        );
    }
    if let Some(comment) = packet.comment {
        put_option(out, option::COMMENT, comment.as_bytes());
    }
    put_option(out, option::END, &[]);
}

/// The body of an interface statistics block.
fn put_statistics(out: &mut Vec<u8>, number: u32, first: u64, tally: &Tally) {
    out.extend_from_slice(&number.to_le_bytes());
    put_time(out, tally.last);
    for (code, time) in [
        (option::ISB_STARTTIME, first),
        (option::ISB_ENDTIME, tally.last),
    ] {
        let mut value = Vec::with_capacity(8);
        put_time(&mut value, time);
        put_option(out, code, &value);
    }
    let lost = tally.lost + tally.over_limit;
    let seen = tally.kept + lost;
    put_option(out, option::ISB_IFRECV, &seen.to_le_bytes());
    put_option(out, option::ISB_OSDROP, &lost.to_le_bytes());
    let comment = format!(
        "{} frames cut to the snap length, {} left out over the size limit, {} lost by a full queue",
        tally.cut, tally.over_limit, tally.lost
    );
    put_option(out, option::COMMENT, comment.as_bytes());
    put_option(out, option::END, &[]);
}

/// A time as pcapng splits it: the high 32 bits first, each half in the section's order.
fn put_time(out: &mut Vec<u8>, nanos: u64) {
    let bytes = nanos.to_le_bytes();
    out.extend_from_slice(&bytes[4..]);
    out.extend_from_slice(&bytes[..4]);
}

/// One option, padded; values beyond 65,535 bytes are cut.
fn put_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let value = &value[..usize::from(len)];
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + padded(value.len()) - value.len(), 0);
}
