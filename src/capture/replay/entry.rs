//! Entries of a journal as the packets of a recording's own interface, and back.
//!
//! *Owns* what the first byte of each stands for, and in which pieces long ones are written. *Does not* hold
//! frames' bytes: these stand in packets of their interface, behind the entry that announces them.

use std::net::Shutdown;

use bytes::Bytes;

use super::calls::{put_call, take_call};
use super::code::{Code, Nonsense, Take, unknown};
use super::options::{FORMAT, fields, numbered, tellable};
use crate::base::Instant;
use crate::device::DeviceDrop;
use crate::link::{PartialChecksum, RxChecksum, RxMeta, SegmentKind, Segmentation, TxMeta};
use crate::stack::{
    Answer, Config, Entry, Event, Input, InterfaceId, ListenerId, MOST_AT_ONCE, Outcome,
    PacketSocketId, Payload, PingId, RawSocketId, Readiness, RequestId, SocketId, TcpId, UdpId,
};

/// What a recording begins with.
#[derive(Debug)]
pub(super) struct Head {
    /// The crate's version that wrote it.
    pub(super) version: String,
    /// Nanoseconds from the Unix epoch to the stack's.
    pub(super) epoch_nanos: u64,
    /// Is payload kept?
    pub(super) whole: bool,
    pub(super) config: Config,
}

/// The most bytes of one entry: those of the longest call, or an interface with a million routes.
pub(super) const LONGEST: usize = MOST_AT_ONCE + (1 << 20);

/// The bytes that tell a recording from another capture with an interface of user link type.
const MARK: [u8; 8] = *b"netloom\x01";

/// A packet of the recording's own interface, put together again.
#[derive(Debug)]
pub(super) enum Block {
    Head(Box<Head>),
    /// Whole in itself.
    Entry(Entry),
    /// [`Input::Frame`], whose bytes follow.
    Frame(Instant, InterfaceId, FrameHead),
    /// A frame that was offered, whose bytes follow unless the device was full.
    Offered(OfferedHead),
    /// The end, and how many entries are missing from there on.
    End(Why, u64),
}

/// What is told of a frame beside the bytes that are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    pub(super) meta: RxMeta,
    /// All of its bytes, those included that are not kept.
    pub(super) len: usize,
    /// The sum of the others, where a checksum over them will be verified.
    pub(super) sum: Option<u16>,
}

/// The same of one that was offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfferedHead {
    pub(super) at: Instant,
    pub(super) on: InterfaceId,
    pub(super) len: usize,
    pub(super) loose: Option<usize>,
    pub(super) meta: TxMeta,
    pub(super) answer: Answer,
}

/// Why a recording ends where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The stack ended.
    Complete,
    /// The writer was so far behind that the queue in front of it was full.
    QueueFull,
    /// The file had reached its size limit.
    SizeLimit,
    /// One call brought more than a replay takes for one, as an interface with a million routes.
    TooLong,
}

impl core::fmt::Display for Why {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::QueueFull => "ended early: the queue before its writer was full",
            Self::SizeLimit => "ended early: it had reached its size limit",
            Self::TooLong => "ended early: one call brought more than 65 MiB",
        })
    }
}

/// What the first byte of a packet says of the entry in it.
pub(super) mod piece {
    pub(in crate::capture::replay) const WHOLE: u8 = 0;
    pub(in crate::capture::replay) const FIRST: u8 = 1;
    pub(in crate::capture::replay) const NEXT: u8 = 2;
    pub(in crate::capture::replay) const LAST: u8 = 3;
}

mod kind {
    pub(super) const HEAD: u8 = 0;
    pub(super) const INTERFACE: u8 = 1;
    pub(super) const FRAME: u8 = 2;
    pub(super) const TIMEOUT: u8 = 3;
    pub(super) const EVENT: u8 = 4;
    pub(super) const TRANSMIT: u8 = 5;
    pub(super) const CALL: u8 = 6;
    pub(super) const OUTCOME: u8 = 7;
    pub(super) const OFFERED: u8 = 8;
    pub(super) const END: u8 = 9;
}

/// Appends the head.
pub(super) fn put_head(out: &mut Vec<u8>, head: &Head) {
    kind::HEAD.put(out);
    out.extend_from_slice(&MARK);
    FORMAT.put(out);
    let Head {
        version,
        epoch_nanos,
        whole,
        config,
    } = head;
    version.put(out);
    epoch_nanos.put(out);
    whole.put(out);
    config.put(out);
}

/// Appends an input, without a frame's bytes.
pub(super) fn put_input(out: &mut Vec<u8>, input: &Input, frame: Option<&FrameHead>) {
    match input {
        Input::Interface(now, config) => {
            kind::INTERFACE.put(out);
            now.put(out);
            (**config).put(out);
        }
        Input::Frame(now, on, _) => {
            kind::FRAME.put(out);
            (*now, *on).put(out);
            if let Some(frame) = frame {
                frame.put(out);
            }
        }
        Input::Timeout(now) => {
            kind::TIMEOUT.put(out);
            now.put(out);
        }
        Input::Event(event) => {
            kind::EVENT.put(out);
            event.put(out);
        }
        Input::Transmit(now, on) => {
            kind::TRANSMIT.put(out);
            (*now, *on).put(out);
        }
        Input::Call(now, call) => {
            kind::CALL.put(out);
            now.put(out);
            put_call(out, call);
        }
    }
}

pub(super) fn put_outcome(out: &mut Vec<u8>, outcome: &Outcome) {
    kind::OUTCOME.put(out);
    outcome.put(out);
}

pub(super) fn put_offered(out: &mut Vec<u8>, offered: &OfferedHead) {
    kind::OFFERED.put(out);
    offered.put(out);
}

pub(super) fn put_end(out: &mut Vec<u8>, why: Why, lost: u64) {
    kind::END.put(out);
    why.put(out);
    lost.put(out);
}

/// The version of what wrote this and the number of its format, if it is the head of a recording.
pub(super) fn format_of(bytes: &Bytes) -> Option<(String, u32)> {
    let mut from = Take::new(bytes.clone(), None);
    let mark: [u8; 9] = from.bytes(9).ok()?[..].try_into().ok()?;
    if mark[0] != kind::HEAD || mark[1..] != MARK {
        return None;
    }
    let format = u32::take(&mut from).ok()?;
    let version = String::take(&mut from).unwrap_or_default();
    // Of another format not even this is sure.
    let version = version
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(40)
        .collect();
    Some((version, format))
}

/// Reads one.
pub(super) fn take_block(from: &mut Take) -> Result<Block, Nonsense> {
    let input = |input| Block::Entry(Entry::Input(input));
    Ok(match u8::take(from)? {
        kind::HEAD => {
            from.bytes(MARK.len() + 4)?;
            let (version, epoch_nanos) = Code::take(from)?;
            let (whole, config) = Code::take(from)?;
            Block::Head(Box::new(Head {
                version,
                epoch_nanos,
                whole,
                config,
            }))
        }
        kind::INTERFACE => {
            let now = Code::take(from)?;
            let config = tellable(Code::take(from)?);
            input(Input::Interface(now, Box::new(config)))
        }
        kind::FRAME => {
            let (now, on) = Code::take(from)?;
            Block::Frame(now, on, Code::take(from)?)
        }
        kind::TIMEOUT => input(Input::Timeout(Code::take(from)?)),
        kind::EVENT => input(Input::Event(Code::take(from)?)),
        kind::TRANSMIT => {
            let (now, on) = Code::take(from)?;
            input(Input::Transmit(now, on))
        }
        kind::CALL => {
            let now = Code::take(from)?;
            input(Input::Call(now, Box::new(take_call(from)?)))
        }
        kind::OUTCOME => Block::Entry(Entry::Outcome(Code::take(from)?)),
        kind::OFFERED => Block::Offered(Code::take(from)?),
        kind::END => {
            let (why, lost) = Code::take(from)?;
            Block::End(why, lost)
        }
        other => return unknown("entry", other),
    })
}

fields! {
    FrameHead { meta, len, sum }
    OfferedHead { at, on, len, loose, meta, answer }
    TxMeta { checksum, segment }
    RxMeta { checksum, segment_size, at }
    PartialChecksum { start, offset }
    Segmentation { kind, size }
    Event { id, ready }
}

numbered! {
    SegmentKind, "kind of super-segment" { 0 => Tcp4, 1 => Tcp6, 2 => Udp }
    DeviceDrop, "device's reason" { 0 => NoBuffers, 1 => LinkDown, 2 => Refused }
    Why, "end" { 0 => Complete, 1 => QueueFull, 2 => SizeLimit, 3 => TooLong }
}

impl Code for RxChecksum {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unknown => 0_u8.put(out),
            Self::Verified => 1_u8.put(out),
            Self::Partial(partial) => {
                2_u8.put(out);
                partial.put(out);
            }
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(match u8::take(from)? {
            0 => Self::Unknown,
            1 => Self::Verified,
            2 => Self::Partial(Code::take(from)?),
            other => return unknown("checksum state", other),
        })
    }
}

impl Code for Answer {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Taken => 0_u8.put(out),
            Self::Full => 1_u8.put(out),
            Self::Failed => 2_u8.put(out),
            Self::Dropped(why) => {
                3_u8.put(out);
                why.put(out);
            }
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(match u8::take(from)? {
            0 => Self::Taken,
            1 => Self::Full,
            2 => Self::Failed,
            3 => Self::Dropped(Code::take(from)?),
            other => return unknown("answer", other),
        })
    }
}

impl Code for Outcome {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Done => 0_u8.put(out),
            Self::Number(number) => {
                1_u8.put(out);
                number.put(out);
            }
            Self::Content(len, digest) => {
                2_u8.put(out);
                (*len, *digest).put(out);
            }
            Self::Refused(why) => {
                3_u8.put(out);
                why.put(out);
            }
            Self::Told(what) => {
                4_u8.put(out);
                what.put(out);
            }
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(match u8::take(from)? {
            0 => Self::Done,
            1 => Self::Number(Code::take(from)?),
            2 => {
                let (len, digest) = Code::take(from)?;
                Self::Content(len, digest)
            }
            3 => Self::Refused(Code::take(from)?),
            4 => Self::Told(Code::take(from)?),
            other => return unknown("outcome", other),
        })
    }
}

impl Code for Payload {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(data) => {
                1_u8.put(out);
                data.put(out);
            }
            Self::Cut(len) => {
                0_u8.put(out);
                len.put(out);
            }
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        match u8::take(from)? {
            0 => Ok(Self::Cut(Code::take(from)?)),
            1 => Ok(Self::Whole(Code::take(from)?)),
            other => unknown("payload", other),
        }
    }
}

macro_rules! ids {
    ($($type:ty),+) => {$(
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.to_bits().put(out);
            }

            fn take(from: &mut Take) -> Result<Self, Nonsense> {
                Ok(Self::from_bits(Code::take(from)?))
            }
        }
    )+};
}

ids!(
    TcpId,
    ListenerId,
    RequestId,
    UdpId,
    PingId,
    RawSocketId,
    PacketSocketId
);

impl Code for InterfaceId {
    fn put(&self, out: &mut Vec<u8>) {
        self.scope().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let scope = u32::take(from)?;
        Self::from_scope(scope).map_or_else(|| unknown("interface", scope), Ok)
    }
}

impl Code for SocketId {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Tcp(id) => (0_u8, *id).put(out),
            Self::Listener(id) => (1_u8, *id).put(out),
            Self::Udp(id) => (2_u8, *id).put(out),
            Self::Ping(id) => (3_u8, *id).put(out),
            Self::Raw(id) => (4_u8, *id).put(out),
            Self::Packet(id) => (5_u8, *id).put(out),
        }
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(match u8::take(from)? {
            0 => Self::Tcp(Code::take(from)?),
            1 => Self::Listener(Code::take(from)?),
            2 => Self::Udp(Code::take(from)?),
            3 => Self::Ping(Code::take(from)?),
            4 => Self::Raw(Code::take(from)?),
            5 => Self::Packet(Code::take(from)?),
            other => return unknown("kind of socket", other),
        })
    }
}

impl Code for Readiness {
    fn put(&self, out: &mut Vec<u8>) {
        self.bits().put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        let bits = u8::take(from)?;
        Self::from_bits(bits).map_or_else(|| unknown("readiness", bits), Ok)
    }
}

impl Code for Shutdown {
    fn put(&self, out: &mut Vec<u8>) {
        let number: u8 = match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Both => 2,
        };
        number.put(out);
    }

    fn take(from: &mut Take) -> Result<Self, Nonsense> {
        Ok(match u8::take(from)? {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::Both,
            other => return unknown("shutdown", other),
        })
    }
}
