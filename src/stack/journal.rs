//! All that a stack is told, written down as it is told: the way into a recording.
//!
//! A stack that was made with [`Stack::recorded`] gives its [`Journal`] each input before it acts on it,
//! then what its user was answered and each frame that it offered to a device. Fed to a fresh stack in the same order
//! (that is [`Twin`](super::Twin)), they bring about the same bytes.
//!
//! *Owns* the inputs and their order. *Does not* write to anything: the journal does. Invariant: every public
//! method that changes a stack notes one input, and none from within another; a test reads the sources.

use core::fmt;

use bytes::Bytes;

use super::{
    Call, Change, Config, Datagram, Event, InterfaceConfig, InterfaceId, LinkPacket, ListenerId,
    PacketSocketId, Payload, PingId, PingReply, Progress, RawPacket, RawSocketId, Readiness, Stack,
    TcpId, UdpId,
};
use crate::base::{Digest, Instant};
use crate::device::{DeviceDrop, DeviceError, Sent, Transmit};
use crate::link::{MAX_IP_LEN, RxFrame, TxFrame, TxMeta};

/// What a stack is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// [`Stack::add_interface`].
    Interface(Instant, Box<InterfaceConfig>),
    /// [`Stack::handle_frame`].
    Frame(Instant, InterfaceId, RxFrame),
    /// [`Stack::handle_timeout`].
    Timeout(Instant),
    /// [`Stack::poll_event`], and what that told; where it had nothing to tell and nothing to do, it is left out.
    Event(Option<Event>),
    /// [`Stack::poll_transmit`]; the frames that it offers follow.
    Transmit(Instant, InterfaceId),
    /// A user's call. One that takes no time has the latest that the stack was told.
    Call(Instant, Box<Call>),
}

/// What a user was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was done, and there is nothing to say.
    Done,
    /// A number: of bytes, of a socket.
    Number(u64),
    /// Bytes, as their length and, where payload is kept, a digest of them and of what came with them.
    Content(u64, Option<u64>),
    /// An error, in its words.
    Refused(String),
    /// Something else, in its words.
    Told(String),
}

/// A device's answer to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// [`Sent::Taken`].
    Taken,
    /// [`Sent::Full`].
    Full,
    /// [`Sent::Dropped`].
    Dropped(DeviceDrop),
    /// A [`DeviceError`]: the device has ended.
    Failed,
}

/// A frame that was offered to a device, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offered {
    /// When.
    pub at: Instant,
    /// Over which interface.
    pub on: InterfaceId,
    /// Its bytes, or the first of them; none of one that the device was too full for need be kept.
    pub data: Bytes,
    /// How many bytes it had.
    pub len: usize,
    /// Where the two bytes of a checksum lie that sums up what is not kept.
    pub loose: Option<usize>,
    /// What the device was asked to do.
    pub meta: TxMeta,
    /// What it answered.
    pub answer: Answer,
}

/// One entry of a journal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// The stack is told something.
    Input(Input),
    /// What the call before was answered.
    Outcome(Outcome),
    /// A frame that the [`Input::Transmit`] before offered.
    Offered(Offered),
}

/// Where a stack writes down what it is told, for as long as that goes well. It must not block.
pub trait Journal: Send {
    /// The stack is told this, and has not done anything about it yet.
    fn input(&mut self, input: &Input);

    /// What the call before was answered.
    fn outcome(&mut self, outcome: &Outcome);

    /// A frame was offered to a device.
    fn offered(&mut self, at: Instant, on: InterfaceId, frame: &TxFrame<'_>, answer: Answer);

    /// Does it keep what users send and read? Without it [`Payload::Cut`] and no digest is given.
    fn keeps_payload(&self) -> bool {
        true
    }
}

impl From<&Result<Sent, DeviceError>> for Answer {
    fn from(sent: &Result<Sent, DeviceError>) -> Self {
        match sent {
            Ok(Sent::Taken) => Self::Taken,
            Ok(Sent::Full) => Self::Full,
            Ok(Sent::Dropped(why)) => Self::Dropped(*why),
            Err(_) => Self::Failed,
        }
    }
}

impl From<Answer> for Result<Sent, DeviceError> {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Taken => Ok(Sent::Taken),
            Answer::Full => Ok(Sent::Full),
            Answer::Dropped(why) => Ok(Sent::Dropped(why)),
            Answer::Failed => Err(DeviceError::Gone),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Content(len, None) => write!(f, "{len} bytes"),
            Self::Content(len, Some(digest)) => write!(f, "{len} bytes, digest {digest:016x}"),
            Self::Refused(why) => write!(f, "error: {why}"),
            Self::Told(what) => f.write_str(what),
        }
    }
}

/// The journal's place in a stack.
#[derive(Default)]
pub(super) struct Scribe(Option<Box<dyn Journal>>);

impl Scribe {
    /// Is there one?
    pub(super) const fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for Scribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scribe").field(&self.is_on()).finish()
    }
}

/// How much of what users give and get is kept.
#[derive(Clone, Copy)]
pub(super) struct Keep(bool);

impl Keep {
    /// What is kept of a datagram: of one that no packet carries, and that is refused for it, its length.
    pub(super) fn datagram(self, data: &[u8]) -> Payload {
        if data.len() > MAX_IP_LEN {
            Payload::Cut(data.len())
        } else {
            self.slice(data)
        }
    }

    /// The same of what can be shared.
    pub(super) fn datagram_chunk(self, data: &Bytes) -> Payload {
        if data.len() > MAX_IP_LEN {
            Payload::Cut(data.len())
        } else {
            self.chunk(data)
        }
    }

    /// What of this is kept.
    pub(super) fn slice(self, data: &[u8]) -> Payload {
        if self.0 {
            Payload::Whole(Bytes::copy_from_slice(data))
        } else {
            Payload::Cut(data.len())
        }
    }

    /// The same of what can be shared.
    pub(super) fn chunk(self, data: &Bytes) -> Payload {
        if self.0 {
            Payload::Whole(data.clone())
        } else {
            Payload::Cut(data.len())
        }
    }
}

impl Stack {
    /// A stack without interfaces that writes down what it is told, from here on to its end.
    pub fn recorded(config: Config, journal: Box<dyn Journal>) -> Self {
        let mut stack = Self::new(config);
        stack.scribe = Scribe(Some(journal));
        stack
    }

    /// Writes down no more; the journal, which may wait when it is dropped.
    #[cfg(all(target_os = "linux", feature = "host"))] // the host's
    pub(crate) fn end_journal(&mut self) -> Option<Box<dyn Journal>> {
        self.scribe.0.take()
    }

    /// Is there a journal?
    pub(super) const fn is_noted(&self) -> bool {
        self.scribe.is_on()
    }

    /// Notes a call that is about to be made.
    #[inline]
    pub(super) fn note_call(&mut self, now: Option<Instant>, call: impl FnOnce(Keep) -> Call) {
        self.net.forwarding.known.forget();
        if self.scribe.is_on() {
            self.write_call(now, call);
        }
    }

    #[cold]
    fn write_call(&mut self, now: Option<Instant>, call: impl FnOnce(Keep) -> Call) {
        if let Some(journal) = &mut self.scribe.0 {
            let call = Box::new(call(Keep(journal.keeps_payload())));
            journal.input(&Input::Call(now.unwrap_or(self.net.now), call));
        }
    }

    /// Notes what the call that was noted last returns.
    #[inline]
    pub(super) fn note_outcome<T: Tell>(&mut self, returned: T) -> T {
        if self.scribe.is_on() {
            self.write_outcome(&returned);
        }
        returned
    }

    #[cold]
    fn write_outcome(&mut self, returned: &dyn Tell) {
        if let Some(journal) = &mut self.scribe.0 {
            journal.outcome(&returned.tell(journal.keeps_payload()));
        }
    }

    /// Notes anything else.
    #[inline]
    pub(super) fn note(&mut self, input: impl FnOnce() -> Input) {
        self.net.forwarding.known.forget();
        self.note_frame(input);
    }

    /// Notes a frame, which may be one more of many.
    #[inline]
    pub(super) fn note_frame(&mut self, input: impl FnOnce() -> Input) {
        if self.scribe.is_on() {
            self.write_input(input);
        }
    }

    #[cold]
    fn write_input(&mut self, input: impl FnOnce() -> Input) {
        if let Some(journal) = &mut self.scribe.0 {
            journal.input(&input());
        }
    }

    /// Sends what waits on this interface, and notes each frame.
    #[cold]
    pub(super) fn drain_noted(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut dyn Transmit,
    ) -> Result<Progress, DeviceError> {
        self.note(|| Input::Transmit(now, on));
        let journal = core::mem::take(&mut self.scribe);
        let mut out = Noted { out, on, journal };
        let progress = self.drain(now, on, &mut out);
        self.scribe = out.journal;
        progress
    }
}

/// A device half whose answers are noted.
struct Noted<'a> {
    out: &'a mut dyn Transmit,
    on: InterfaceId,
    journal: Scribe,
}

impl Transmit for Noted<'_> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let sent = self.out.transmit(now, frame);
        if let Some(journal) = &mut self.journal.0 {
            journal.offered(now, self.on, frame, Answer::from(&sent));
        }
        sent
    }
}

/// What a call returns, as an [`Outcome`].
pub(super) trait Tell {
    /// `whole`: with a digest of the bytes that it holds.
    fn tell(&self, whole: bool) -> Outcome;
}

impl<T: Tell, E: fmt::Display> Tell for Result<T, E> {
    fn tell(&self, whole: bool) -> Outcome {
        match self {
            Ok(value) => value.tell(whole),
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }
}

impl Tell for () {
    fn tell(&self, _: bool) -> Outcome {
        Outcome::Done
    }
}

impl Tell for usize {
    fn tell(&self, _: bool) -> Outcome {
        Outcome::Number(u64::try_from(*self).unwrap_or(u64::MAX))
    }
}

impl Tell for Readiness {
    fn tell(&self, _: bool) -> Outcome {
        Outcome::Number(self.bits().into())
    }
}

impl Tell for &[u8] {
    fn tell(&self, whole: bool) -> Outcome {
        let len = u64::try_from(self.len()).unwrap_or(u64::MAX);
        let digest = whole.then(|| {
            let mut digest = Digest::new();
            digest.bytes(self);
            digest.value()
        });
        Outcome::Content(len, digest)
    }
}

impl Tell for Bytes {
    fn tell(&self, whole: bool) -> Outcome {
        (&self[..]).tell(whole)
    }
}

impl Tell for Datagram {
    fn tell(&self, whole: bool) -> Outcome {
        let Self {
            data,
            from,
            to,
            to_port,
            on,
            unicast,
            ttl,
            tos,
            flow_label,
        } = self;
        let ends = format_args!("{from} {to} {to_port} {on:?} {unicast}").to_string();
        let rest = format_args!("{ends} {ttl} {tos} {flow_label}").to_string();
        content(data, &rest, whole)
    }
}

impl Tell for PingReply {
    fn tell(&self, whole: bool) -> Outcome {
        let Self {
            from,
            seq,
            payload,
            ttl,
            at,
            outcome,
        } = self;
        let rest = format_args!("{from} {seq} {ttl} {at:?} {outcome}").to_string();
        content(core::slice::from_ref(payload), &rest, whole)
    }
}

impl Tell for RawPacket {
    fn tell(&self, whole: bool) -> Outcome {
        let Self {
            src,
            dst,
            on,
            protocol,
            ttl,
            tos,
            flow_label,
            unicast,
            at,
            payload,
            segment_size,
        } = self;
        let ends = format_args!("{src} {dst} {on:?} {protocol} {unicast} {flow_label}").to_string();
        let rest = format_args!("{ends} {ttl} {tos} {at:?} {segment_size:?}").to_string();
        content(core::slice::from_ref(payload), &rest, whole)
    }
}

impl Tell for LinkPacket {
    fn tell(&self, whole: bool) -> Outcome {
        let Self {
            on,
            src,
            dst,
            ether_type,
            at,
            payload,
            segment_size,
        } = self;
        let rest = format_args!("{on:?} {src:?} {dst:?} {ether_type} {at:?} {segment_size:?}");
        content(core::slice::from_ref(payload), &rest.to_string(), whole)
    }
}

impl Tell for Option<(InterfaceId, Change)> {
    fn tell(&self, _: bool) -> Outcome {
        match self {
            None => Outcome::Done,
            Some((on, change)) => Outcome::Told(format!("{on:?}: {change}")),
        }
    }
}

/// Bytes with what came with them.
fn content<'a>(
    data: impl IntoIterator<Item = &'a Bytes> + Copy,
    rest: &dyn fmt::Display,
    whole: bool,
) -> Outcome {
    let len = data.into_iter().map(|slice| slice.len() as u64).sum();
    let digest = whole.then(|| {
        let mut digest = Digest::new();
        data.into_iter().for_each(|slice| digest.bytes(slice));
        digest.bytes(rest.to_string().as_bytes());
        digest.value()
    });
    Outcome::Content(len, digest)
}

macro_rules! tell_ids {
    ($($id:ty),+) => {$(
        impl Tell for $id {
            fn tell(&self, _: bool) -> Outcome {
                Outcome::Number(self.to_bits())
            }
        }
    )+};
}

tell_ids!(
    TcpId,
    ListenerId,
    UdpId,
    PingId,
    RawSocketId,
    PacketSocketId,
    InterfaceId
);

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
