//! The entries of a recording, read one by one from its file.
//!
//! *Owns* how packets of the recording's own interface and frames go together, and how a file ends.
//! *Does not* keep what was read. Invariants: total on any bytes; holds one entry at a time.

use std::io::Read;

use bytes::{Bytes, BytesMut};

use super::bound::Bound;
use super::code::{Nonsense, Take};
use super::entry::{
    Block, FrameHead, Head, LONGEST, OfferedHead, Why, format_of, piece, take_block,
};
use super::options::FORMAT;
use super::recording::OWN_LINK;
use super::{ReplayEnd, ReplayError};
use crate::base::Instant;
use crate::capture::{Ended, Frame, LinkType, Reader};
use crate::link::RxFrame;
use crate::stack::{Entry, Input, InterfaceId, Offered, Stack};
use crate::tcp::congestion::Choice;

/// The entries of a recording; an iterator. After the last, [`take_end`](Self::take_end) says how it ended.
#[derive(Debug)]
pub(super) struct Entries<R> {
    reader: Reader<R>,
    /// What stands in for a congestion control of the user's own.
    pub(super) own: Option<Choice>,
    /// The packet behind which nothing is read.
    pub(super) until: u64,
    /// Packets read so far: the number of the last, as Wireshark counts them.
    packet: u64,
    /// Bytes of the file before the last packet.
    offset: u64,
    /// What the frames that were read last begin with.
    link: LinkType,
    /// The mark at the end, if it was read.
    mark: Option<(Why, u64)>,
    ended: Option<ReplayEnd>,
    pub(super) bound: Bound,
}

impl<R: Read> Entries<R> {
    /// Reads the head.
    pub(super) fn new(reader: Reader<R>) -> Result<(Self, Head), ReplayError> {
        let mut entries = Self {
            reader,
            own: None,
            until: u64::MAX,
            packet: 0,
            offset: 0,
            link: LinkType::RAW,
            mark: None,
            ended: None,
            bound: Bound::default(),
        };
        let Some(first) = entries.frame() else {
            return Err(match entries.reader.ended.take() {
                Some(ended @ Ended::Corrupt { .. }) => ReplayError::NotACapture(ended),
                Some(Ended::Io { source, .. }) => ReplayError::Open(source),
                _ => ReplayError::Empty,
            });
        };
        let mark = first
            .data
            .get(1..)
            .and_then(|_| format_of(&first.data.slice(1..)));
        let Some((version, format)) = mark.filter(|_| first.link == OWN_LINK) else {
            return Err(ReplayError::NotARecording);
        };
        if format != FORMAT {
            return Err(ReplayError::Format { version, format });
        }
        let nonsense = |what| ReplayError::Nonsense { offset: 0, what };
        match entries.block(&first).map_err(nonsense)? {
            Some(Block::Head(head)) => Ok((entries, *head)),
            _ => Err(nonsense(Nonsense::OutOfPlace)),
        }
    }

    /// The number of the packet that was read last.
    pub(super) const fn packet(&self) -> u64 {
        self.packet
    }

    /// What the frames that were read last begin with.
    pub(super) const fn link(&self) -> LinkType {
        self.link
    }

    /// Ends it here when the stack that was told all of this holds more than it may.
    pub(super) fn check(&mut self, stack: &Stack) {
        if self.ended.is_none()
            && let Some(held) = self.bound.exceeded(stack)
        {
            self.ended = Some(self.out_of_memory(held));
        }
    }

    const fn out_of_memory(&self, held: usize) -> ReplayEnd {
        let limit = self.bound.limit;
        ReplayEnd::Memory { held, limit }
    }

    /// How the file ended, once.
    pub(super) fn take_end(&mut self) -> ReplayEnd {
        self.ended.take().unwrap_or(ReplayEnd::Until)
    }

    /// The next packet.
    fn frame(&mut self) -> Option<Frame> {
        self.offset = self.reader.counts().bytes;
        let frame = self.reader.next()?;
        self.packet += 1;
        Some(frame)
    }

    /// The next entry; `None` at the end of the file.
    fn entry(&mut self) -> Result<Option<Entry>, Nonsense> {
        loop {
            let Some(frame) = self.frame() else {
                return Ok(None);
            };
            if frame.link != OWN_LINK {
                return Err(Nonsense::OutOfPlace);
            }
            return Ok(match self.block(&frame)? {
                None => None,
                Some(Block::Head(_)) => return Err(Nonsense::OutOfPlace),
                Some(Block::Entry(entry)) => Some(entry),
                Some(Block::Frame(now, on, head)) => self.received(now, on, &head)?,
                Some(Block::Offered(head)) => self.offered(&head)?,
                Some(Block::End(why, lost)) => {
                    self.mark = Some((why, lost));
                    continue;
                }
            });
        }
    }

    /// Puts the pieces together that begin with this one; `None` when the file ends within them.
    fn block(&mut self, first: &Frame) -> Result<Option<Block>, Nonsense> {
        let mut frame = first.clone();
        let mut whole = BytesMut::new();
        loop {
            if frame.link != OWN_LINK || frame.is_cut() {
                return Err(Nonsense::OutOfPlace);
            }
            let kind = *frame.data.first().ok_or(Nonsense::Short)?;
            let part = frame.data.slice(1..);
            let begins = whole.is_empty();
            let whole = match kind {
                // What broke off before the mark at the end is given up.
                piece::WHOLE => part,
                piece::FIRST if begins => {
                    whole.extend_from_slice(&part);
                    Bytes::new()
                }
                piece::NEXT | piece::LAST if !begins => {
                    if whole.len() + part.len() > LONGEST {
                        return Err(Nonsense::Long(whole.len()));
                    }
                    whole.extend_from_slice(&part);
                    if kind == piece::LAST {
                        core::mem::take(&mut whole).freeze()
                    } else {
                        Bytes::new()
                    }
                }
                _ => return Err(Nonsense::OutOfPlace),
            };
            if !whole.is_empty() {
                let most_listed = self.bound.most_listed();
                let mut from = Take::new(whole, self.own.clone()).listing(most_listed);
                let block = take_block(&mut from)?;
                from.end()?;
                let is_end = matches!(block, Block::End(..));
                return if begins || kind == piece::LAST || is_end {
                    Ok(Some(block))
                } else {
                    Err(Nonsense::OutOfPlace)
                };
            }
            match self.frame() {
                Some(next) => frame = next,
                None => return Ok(None),
            }
        }
    }

    /// The bytes of a frame that was announced; `None` when the file ends before them.
    fn data(&mut self, len: usize) -> Result<Option<Bytes>, Nonsense> {
        let Some(frame) = self.frame() else {
            return Ok(None);
        };
        if frame.link == OWN_LINK {
            // Only the mark stands where nothing else had room.
            return match self.block(&frame)? {
                Some(Block::End(why, lost)) => {
                    self.mark = Some((why, lost));
                    Ok(None)
                }
                _ => Err(Nonsense::OutOfPlace),
            };
        }
        if frame.data.len() > len || len > LONGEST_FRAME {
            return Err(Nonsense::Long(frame.data.len()));
        }
        self.link = frame.link;
        Ok(Some(frame.data))
    }

    fn received(
        &mut self,
        now: Instant,
        on: InterfaceId,
        head: &FrameHead,
    ) -> Result<Option<Entry>, Nonsense> {
        let Some(kept) = self.data(head.len)? else {
            return Ok(None);
        };
        let data = self.bound.hold(stand_in(kept, head));
        let frame = RxFrame::new(data, head.meta);
        Ok(Some(Entry::Input(Input::Frame(now, on, frame))))
    }

    fn offered(&mut self, head: &OfferedHead) -> Result<Option<Entry>, Nonsense> {
        let data = if head.answer == crate::stack::Answer::Full {
            Some(Bytes::new())
        } else {
            self.data(head.len)?
        };
        Ok(data.map(|data| {
            let offered = Offered::new(head.at, head.on, data, head.meta, head.answer);
            Entry::Offered(offered.cut(head.len, head.loose))
        }))
    }

    /// How the file ended, when nothing more comes.
    fn end(&mut self) -> ReplayEnd {
        match (self.mark, self.reader.ended.take()) {
            (Some((Why::Complete, _)), _) => ReplayEnd::Complete,
            (Some((why, lost)), _) => ReplayEnd::Early { why, lost },
            (None, Some(ended @ (Ended::Corrupt { .. } | Ended::Io { .. }))) => {
                ReplayEnd::Unreadable(ended)
            }
            (None, _) => ReplayEnd::Cut {
                offset: self.reader.counts().bytes,
            },
        }
    }
}

impl<R: Read> Iterator for Entries<R> {
    /// Each with the number of the last packet that it stands in.
    type Item = (u64, Entry);

    fn next(&mut self) -> Option<(u64, Entry)> {
        if self.ended.is_some() {
            return None;
        }
        if self.packet >= self.until {
            self.ended = Some(ReplayEnd::Until);
            return None;
        }
        match self.entry() {
            Ok(Some(entry)) => match self.bound.bring(&entry) {
                Ok(()) => return Some((self.packet, entry)),
                Err(held) => self.ended = Some(self.out_of_memory(held)),
            },
            Ok(None) => self.ended = Some(self.end()),
            Err(Nonsense::Many(values)) => {
                self.ended = Some(self.out_of_memory(self.bound.with_listed(values)));
            }
            Err(what) => {
                let offset = self.offset;
                self.ended = Some(ReplayEnd::Nonsense { offset, what });
            }
        }
        None
    }
}

/// The most bytes of a frame: a super-segment over IPv6 with the longest link header.
const LONGEST_FRAME: usize = 1 << 18;

/// A frame with bytes for those that were not kept: zeros, the first of them such that the sum over all is
/// what it was.
fn stand_in(kept: Bytes, head: &FrameHead) -> Bytes {
    if kept.len() == head.len {
        return kept;
    }
    let mut data = kept.to_vec();
    data.resize(head.len, 0);
    // The sum of a single byte is that byte and a zero.
    let first = data.iter_mut().skip(kept.len());
    for (byte, of_sum) in first.zip(head.sum.unwrap_or(0).to_be_bytes()) {
        *byte = of_sum;
    }
    Bytes::from(data)
}
