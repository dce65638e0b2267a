//! Frames out of a capture file of any origin: pcap or pcapng, whole, cut, corrupt or endless.
//!
//! draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng. *Owns* the reading of both formats. *Does not*
//! look into frames. Invariants: total on any bytes; reads forward only and holds one block at a
//! time, allocated as its bytes arrive, 16 MiB at most; ends at the first length that cannot be
//! trusted and says why.

mod pcap;
mod pcapng;
mod source;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use super::format::{Direction, LinkType, block, padded};
use source::Source;

/// Reads the frames of a capture, oldest first as the file has them; an iterator.
///
/// After the last frame, [`ended`](Self::ended) says how the file ended.
#[derive(Debug)]
pub struct Reader<R> {
    source: Source<R>,
    format: Format,
    counts: Counts,
    pub(super) ended: Option<Ended>,
}

/// One captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Nanoseconds since the Unix epoch, whatever unit the file uses; `None` when the record
    /// carries no time (a simple packet block).
    pub at: Option<u64>,
    /// What the bytes start with.
    pub link: LinkType,
    /// The bytes that the capture kept.
    pub data: Bytes,
    /// How many bytes the frame had on the wire.
    pub original_len: u32,
    /// Which way it went, where the file says so.
    pub direction: Option<Direction>,
    /// The number of its interface within its section.
    pub interface: u32,
}

impl Frame {
    /// Did the capture keep only the front of it?
    pub fn is_cut(&self) -> bool {
        u32::try_from(self.data.len()).is_ok_and(|len| len < self.original_len)
    }
}

/// What a file held, as far as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Frames given out.
    pub frames: u64,
    /// Frames that hold fewer bytes than the wire had.
    pub cut_frames: u64,
    /// Packet records that could not be read although their length was right, such as one of an
    /// interface that the file never describes.
    pub unreadable: u64,
    /// Blocks that carry no packet and are of no use here.
    pub skipped: u64,
    /// Frames that the capture says it lost (`epb_dropcount`, the old block's drop count).
    pub lost: u64,
    /// Bytes of the file that were read.
    pub bytes: u64,
}

/// How a file ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// At the end of a record.
    #[error("complete")]
    Complete,
    /// In the middle of a record, as when the program that wrote it was killed.
    #[error("cut in the middle of a record: {missing} bytes missing after byte {at}")]
    Cut {
        /// Where the file ended.
        at: u64,
        /// How many more bytes the record should have had.
        missing: u64,
    },
    /// At a record whose length cannot be trusted; nothing after it can be found.
    #[error("corrupt in the record at byte {at}: {what}")]
    Corrupt {
        /// Where the record begins.
        at: u64,
        /// What is wrong with it.
        what: Corrupt,
    },
    /// The source could not be read on.
    #[error("cannot be read on after byte {at}: {source}")]
    Io {
        /// How far it was read.
        at: u64,
        /// The source's error.
        source: io::Error,
    },
}

/// What makes the rest of a file unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corrupt {
    /// The file is something else.
    #[error("not a pcap or pcapng file, it begins with {:02x} {:02x} {:02x} {:02x}", .0[0], .0[1], .0[2], .0[3])]
    Magic([u8; 4]),
    /// A version that did not exist when this was written.
    #[error("format version {major}.{minor} is unknown")]
    Version {
        /// The part that says whether it can be read.
        major: u16,
        /// The other part.
        minor: u16,
    },
    /// A section header without the byte-order magic.
    #[error("byte-order magic {0:#010x} is neither order's")]
    ByteOrder(u32),
    /// A block length that is too small for its kind, or no multiple of 4.
    #[error("block length {0} is impossible")]
    BlockLength(u32),
    /// The length after a block differs from the one before it.
    #[error("block length {before} before and {after} after it")]
    Trailer {
        /// The first length.
        before: u32,
        /// The second.
        after: u32,
    },
    /// A packet that is longer than any that is read.
    #[error("a packet record of {len} bytes is over the limit of {limit}")]
    TooLong {
        /// What the record claims.
        len: u64,
        /// The most that is read.
        limit: u64,
    },
    /// More interfaces than are kept.
    #[error("more than {0} interfaces in a section")]
    Interfaces(usize),
}

/// The longest packet record or interface description that is read, in bytes: far beyond the
/// 262,144 of libpcap's `MAXIMUM_SNAPLEN`, so that frames of other link types fit.
const MAX_RECORD: u64 = 16 << 20;

impl Reader<File> {
    /// Opens a file.
    ///
    /// # Errors
    /// Only when it cannot be opened; what is in it shows while reading.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::new(File::open(path)?))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from any source, through a buffer of its own.
    pub fn new(source: R) -> Self {
        Self {
            source: Source::new(source),
            format: Format::Unknown,
            counts: Counts::default(),
            ended: None,
        }
    }

    /// How the file ended; `None` while there may be more frames.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Was the header read that every capture begins with?
    pub const fn has_begun(&self) -> bool {
        !matches!(self.format, Format::Unknown)
    }

    /// What was read so far.
    pub fn counts(&self) -> Counts {
        Counts {
            bytes: self.source.position(),
            ..self.counts
        }
    }

    /// The next frame, or how the file ended.
    fn advance(&mut self) -> Result<Frame, Ended> {
        let (source, counts) = (&mut self.source, &mut self.counts);
        loop {
            match &mut self.format {
                Format::Unknown => self.format = detect(source)?,
                Format::Pcap(file) => return file.next(source),
                Format::Pcapng(file) => {
                    if let Some(frame) = file.next(source, counts)? {
                        return Ok(frame);
                    }
                }
            }
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if self.ended.is_some() {
            return None;
        }
        match self.advance() {
            Ok(frame) => {
                self.counts.frames += 1;
                self.counts.cut_frames += u64::from(frame.is_cut());
                Some(frame)
            }
            Err(ended) => {
                self.ended = Some(ended);
                None
            }
        }
    }
}

/// Which format the file has.
#[derive(Debug)]
enum Format {
    Unknown,
    Pcap(pcap::File),
    Pcapng(pcapng::File),
}

/// Tells the format by the file's first four bytes.
fn detect<R: Read>(source: &mut Source<R>) -> Result<Format, Ended> {
    let magic: [u8; 4] = source.array()?;
    if u32::from_le_bytes(magic) == block::SECTION {
        return Ok(Format::Pcapng(pcapng::File::after_magic(source)?));
    }
    match pcap::File::after_magic(magic, source)? {
        Some(file) => Ok(Format::Pcap(file)),
        None => Err(corrupt(0, Corrupt::Magic(magic))),
    }
}

/// The byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// Takes numbers off the front of a record's bytes.
#[derive(Clone, Copy, Debug)]
struct Fields<'a> {
    order: Order,
    left: &'a [u8],
}

impl<'a> Fields<'a> {
    fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.left.split_first_chunk()?;
        self.left = rest;
        Some(self.order.u16(*bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.left.split_first_chunk()?;
        self.left = rest;
        Some(self.order.u32(*bytes))
    }

    /// Two halves, the high one first (pcapng §4.3).
    fn split_u64(&mut self) -> Option<u64> {
        let high = self.u32()?;
        let low = self.u32()?;
        Some(u64::from(high) << 32 | u64::from(low))
    }

    /// Passes over what pads `len` bytes to 32 bits, as far as it is there.
    fn take_padding(&mut self, len: usize) {
        let padding = (padded(len) - len).min(self.left.len());
        self.left = &self.left[padding..];
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.left.split_at_checked(len)?;
        self.left = rest;
        Some(taken)
    }
}

/// The record that begins at `at` cannot be trusted.
const fn corrupt(at: u64, what: Corrupt) -> Ended {
    Ended::Corrupt { at, what }
}
