//! A stack that is told again what another one was told, and where the two part.
//!
//! *Owns* the stack and the comparison: frames and what the devices were asked to do with them, what
//! users were answered, events. *Does not* know where the entries come from. Invariants: entries are read
//! one by one and none is kept; after a difference it can go on, for who wants all of it told again.

use bytes::Bytes;

use super::journal::Tell;
use super::{Answer, Call, Entry, Event, Input, InterfaceId, Offered, Outcome, Stack};
use crate::base::Instant;
use crate::device::{DeviceError, Sent, Transmit};
use crate::link::{TxFrame, TxMeta};

/// A stack that is told again what a [`Journal`](super::Journal) kept.
#[derive(Debug)]
pub struct Twin {
    stack: Stack,
    whole: bool,
    /// The entry after those that were told.
    ahead: Option<(u64, Entry)>,
    /// The place of the entry that was told last.
    place: u64,
    last: Instant,
}

/// The first thing that a twin did otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Difference {
    /// The place of the entry that it differs from, or behind which it did more.
    pub place: u64,
    /// The time that the twin was told last.
    pub at: Instant,
    /// What it is.
    pub what: Mismatch,
}

/// What a twin did otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Mismatch {
    /// A frame differs, or only one of the two offered one.
    Frame {
        /// What the first stack offered.
        expected: Option<Box<Offered>>,
        /// What the twin offered, whole.
        got: Option<Box<Offered>>,
    },
    /// A call was answered otherwise; `None` stands for the adding of an interface.
    Outcome {
        /// The call.
        call: Option<Box<Call>>,
        /// What the first stack answered.
        expected: Outcome,
        /// What the twin answered.
        got: Outcome,
    },
    /// Another event was told, or none.
    Event {
        /// What the first stack told.
        expected: Option<Event>,
        /// What the twin told.
        got: Option<Event>,
    },
}

impl Twin {
    /// A twin of which nothing was told yet: a stack made of the first one's configuration. `whole`: what
    /// users gave and got was kept ([`Journal::keeps_payload`](super::Journal::keeps_payload)).
    pub const fn new(stack: Stack, whole: bool) -> Self {
        Self {
            stack,
            whole,
            ahead: None,
            place: 0,
            last: Instant::ZERO,
        }
    }

    /// The stack as it is.
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The stack, taken away.
    pub fn into_stack(self) -> Stack {
        self.stack
    }

    /// The time that it was told last.
    pub const fn last(&self) -> Instant {
        self.last
    }

    /// Tells it the next input with all that belongs to it, of which the last may be missing; `false`
    /// when there is none. Each entry comes with its place, which a difference names.
    ///
    /// # Errors
    /// The first [`Difference`] in what it did. Further steps go on behind it.
    pub fn step(
        &mut self,
        entries: &mut dyn Iterator<Item = (u64, Entry)>,
    ) -> Result<bool, Box<Difference>> {
        let input = loop {
            let Some((place, entry)) = self.ahead.take().or_else(|| entries.next()) else {
                return Ok(false);
            };
            self.place = place;
            match entry {
                Entry::Input(input) => break input,
                // What was left behind by a difference.
                Entry::Outcome(_) | Entry::Offered(_) => {}
            }
        };
        let told = self.tell(input, entries);
        let (place, at) = (self.place, self.last);
        told.map(|()| true)
            .map_err(|what| Box::new(Difference { place, at, what }))
    }

    fn tell(
        &mut self,
        input: Input,
        entries: &mut dyn Iterator<Item = (u64, Entry)>,
    ) -> Result<(), Mismatch> {
        match input {
            Input::Interface(now, config) => {
                self.last = now;
                let got = self.stack.add_interface(now, *config).tell(self.whole);
                self.compare_outcome(None, got, entries)
            }
            Input::Frame(now, on, frame) => {
                self.last = now;
                if on.index() < self.stack.net.interfaces.len() {
                    self.stack.handle_frame(now, on, frame);
                }
                Ok(())
            }
            Input::Timeout(now) => {
                self.last = now;
                self.stack.handle_timeout(now);
                Ok(())
            }
            Input::Event(expected) => {
                let got = self.stack.poll_event();
                if got == expected {
                    Ok(())
                } else {
                    Err(Mismatch::Event { expected, got })
                }
            }
            Input::Transmit(now, on) => {
                self.last = now;
                self.transmit(now, on, entries)
            }
            Input::Call(now, call) => {
                self.last = now;
                let got = call.make(now, &mut self.stack, self.whole);
                self.compare_outcome(Some(call), got, entries)
            }
        }
    }

    fn compare_outcome(
        &mut self,
        call: Option<Box<Call>>,
        got: Outcome,
        entries: &mut dyn Iterator<Item = (u64, Entry)>,
    ) -> Result<(), Mismatch> {
        match entries.next() {
            Some((place, Entry::Outcome(expected))) => {
                self.place = place;
                if expected == got {
                    return Ok(());
                }
                Err(Mismatch::Outcome {
                    call,
                    expected,
                    got,
                })
            }
            other => {
                self.ahead = other;
                Ok(())
            }
        }
    }

    fn transmit(
        &mut self,
        now: Instant,
        on: InterfaceId,
        entries: &mut dyn Iterator<Item = (u64, Entry)>,
    ) -> Result<(), Mismatch> {
        let mut device = Device {
            on,
            entries,
            place: self.place,
            ahead: None,
            over: false,
            wrong: None,
        };
        // That a device has ended is an answer like another; who drove the stack drew the consequences.
        let _ended = self.stack.poll_transmit(now, on, &mut device);
        if device.ahead.is_none() && !device.over {
            device.ahead = device.entries.next();
        }
        self.ahead = device.ahead;
        if let Some((place, wrong)) = device.wrong {
            self.place = place;
            return Err(wrong);
        }
        match self.ahead.take() {
            Some((place, Entry::Offered(expected))) => {
                self.place = place;
                Err(Mismatch::Frame {
                    expected: Some(Box::new(expected)),
                    got: None,
                })
            }
            other => {
                self.ahead = other;
                Ok(())
            }
        }
    }
}

/// The device of a twin: it answers what the first stack's did.
struct Device<'a> {
    on: InterfaceId,
    entries: &'a mut dyn Iterator<Item = (u64, Entry)>,
    /// The place of the entry that was read last.
    place: u64,
    /// An entry that was read and is no frame.
    ahead: Option<(u64, Entry)>,
    /// The entries are at their end.
    over: bool,
    /// What differed first, and where.
    wrong: Option<(u64, Mismatch)>,
}

impl Device<'_> {
    /// The next frame that the first stack offered in this turn.
    fn next(&mut self) -> Option<Offered> {
        if self.ahead.is_some() || self.over {
            return None;
        }
        match self.entries.next() {
            Some((place, Entry::Offered(offered))) => {
                self.place = place;
                Some(offered)
            }
            other => {
                self.over = other.is_none();
                self.ahead = other;
                None
            }
        }
    }
}

impl Transmit for Device<'_> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let expected = self.next();
        if expected.is_none() && self.over {
            // Cut off within a turn: nothing is known of this frame, and nothing changes.
            return Ok(Sent::Full);
        }
        let answer = expected.as_ref().map_or(Answer::Taken, |e| e.answer);
        let same = expected
            .as_ref()
            .is_some_and(|expected| expected.on == self.on && expected.is_of(frame));
        if !same && self.wrong.is_none() {
            let data = Bytes::from(frame.to_vec());
            let wrong = Mismatch::Frame {
                expected: expected.map(Box::new),
                got: Some(Box::new(Offered::new(
                    now, self.on, data, frame.meta, answer,
                ))),
            };
            self.wrong = Some((self.place, wrong));
        }
        answer.into()
    }
}

impl Offered {
    /// A frame of which all was kept.
    pub fn new(at: Instant, on: InterfaceId, data: Bytes, meta: TxMeta, answer: Answer) -> Self {
        Self {
            at,
            on,
            len: data.len(),
            data,
            loose: None,
            meta,
            answer,
        }
    }

    /// The same of a frame of `len` bytes, of which only the first are kept, where the checksum at
    /// `loose` sums up the rest.
    #[must_use]
    pub fn cut(self, len: usize, loose: Option<usize>) -> Self {
        Self { len, loose, ..self }
    }

    /// Is this what was offered, as far as it was kept?
    pub fn is_of(&self, frame: &TxFrame<'_>) -> bool {
        if self.meta != frame.meta || self.len != frame.len() {
            return false;
        }
        let mut rest = &self.data[..];
        let mut at = 0;
        for part in core::iter::once(frame.headers).chain(frame.payload.iter().map(|p| &p[..])) {
            let (kept, more) = rest.split_at(part.len().min(rest.len()));
            if !self.agrees(at, kept, &part[..kept.len()]) {
                return false;
            }
            at += kept.len();
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        true
    }

    /// Are these, from the place `at` on, the same but for a loose checksum?
    fn agrees(&self, at: usize, kept: &[u8], part: &[u8]) -> bool {
        if kept == part {
            return true;
        }
        let Some(loose) = self.loose else {
            return false;
        };
        let differ = kept
            .iter()
            .zip(part)
            .enumerate()
            .filter(|(_, (a, b))| a != b);
        differ
            .map(|(n, _)| at + n)
            .all(|n| n.checked_sub(loose).is_some_and(|behind| behind < 2))
    }
}
