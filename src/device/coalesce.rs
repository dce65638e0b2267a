//! Merges consecutive TCP segments of a batch into super-segments, for devices that give none.
//!
//! The rules are those of Linux' generic receive offload (net/ipv4/tcp_offload.c): same connection,
//! consecutive sequence numbers, equal acknowledgement, window, options and IP fields, every
//! segment but the last as long as the first; PSH or FIN end a super-segment. *Owns* the segments of
//! one batch, never longer than one call. *Does not* touch what it cannot merge, nor reorder a
//! connection's segments. Invariant: nothing is merged whose checksums were not verified.

use core::num::NonZeroU16;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::layout::{Layout, TCP, long, put_word};
use super::{
    CHUNK, Capabilities, Device, DeviceError, DeviceWatch, KEPT, Medium, Receive, RxBatch,
};
use crate::base::checksum::checksum;
use crate::base::{Arena, Instant};
use crate::link::{MAX_IP_LEN, RxChecksum, RxFrame, RxMeta};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const ECE: u8 = 0x40;

/// Frames that are read at once to be merged.
const BATCH: usize = 256;

/// Connections that are merged at once; the oldest gives way to one more.
const OPEN_RUNS: usize = 8;

/// A device whose received TCP segments are merged in software.
#[derive(Debug)]
pub struct Coalesce<D> {
    inner: D,
}

impl<D: Device> Coalesce<D> {
    /// Wraps `inner`. Where it gives super-segments itself there is little left to merge.
    pub const fn new(inner: D) -> Self {
        Self { inner }
    }
}

impl<D: Device> Device for Coalesce<D> {
    type Rx = CoalesceRx<D::Rx>;
    type Tx = D::Tx;

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn without_software(self) -> Self {
        Self {
            inner: self.inner.without_software(),
        }
    }

    fn watch(&self) -> Option<Arc<dyn DeviceWatch>> {
        self.inner.watch()
    }

    fn split(self) -> (CoalesceRx<D::Rx>, D::Tx) {
        let medium = self.inner.capabilities().medium;
        let (rx, tx) = self.inner.split();
        (CoalesceRx::new(rx, medium), tx)
    }
}

/// The receiving half of a [`Coalesce`] device.
#[derive(Debug)]
pub struct CoalesceRx<R> {
    inner: R,
    medium: Medium,
    batch: RxBatch,
    arena: Arena,
    /// Done with, but the caller's batch was full.
    ready: VecDeque<RxFrame>,
}

impl<R> CoalesceRx<R> {
    fn new(inner: R, medium: Medium) -> Self {
        Self {
            inner,
            medium,
            batch: RxBatch::new(BATCH),
            arena: Arena::bounded(CHUNK, KEPT),
            ready: VecDeque::new(),
        }
    }

    /// Merged frames that were copied because slices kept more of its buffer than 32 MiB
    /// (docs/limits.md).
    pub const fn copied_frames(&self) -> u64 {
        self.arena.copies()
    }

    /// The receiving half behind it.
    pub const fn inner(&self) -> &R {
        &self.inner
    }

    /// Merges what was read.
    fn merge(&mut self) {
        if self.batch.len() == 1 {
            // Nothing to merge it with.
            self.ready.extend(self.batch.drain());
            return;
        }
        let mut runs: Vec<Run> = Vec::with_capacity(self.batch.len());
        // Places in `runs` of those that may grow, oldest first.
        let mut open: VecDeque<usize> = VecDeque::new();
        for frame in self.batch.drain() {
            let segment = match Segment::of(self.medium, frame) {
                Ok(segment) => segment,
                Err(other) => {
                    match Layout::of(self.medium, &other.data) {
                        // An ACK without text, say: what came after it overtakes it in no flow but
                        // others.
                        Some(layout) => {
                            let flow = flow(&layout, &other.data);
                            open.retain(|&at| !runs[at].is_of(flow));
                        }
                        // Whose it is, is not known: nothing that came after it may overtake it.
                        None => open.clear(),
                    }
                    runs.push(Run::Other(other));
                    continue;
                }
            };
            let same = open.iter().position(|&at| runs[at].is_of(segment.flow()));
            if let Some(place) = same {
                let at = open[place];
                if runs[at].joins(&segment) {
                    if runs[at].join(segment) {
                        open.remove(place);
                    }
                    continue;
                }
                open.remove(place);
            }
            if segment.may_be_followed() {
                open.push_back(runs.len());
                if open.len() > OPEN_RUNS {
                    open.pop_front();
                }
            }
            runs.push(Run::Text(segment, Vec::new()));
        }
        for run in runs {
            self.ready.push_back(run.finish(&mut self.arena));
        }
    }
}

impl<R: Receive> Receive for CoalesceRx<R> {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let (mut received, mut found_all) = (0, false);
        while batch.room() > 0 {
            if let Some(frame) = self.ready.pop_front() {
                batch.push(frame);
                received += 1;
                continue;
            }
            if found_all {
                break;
            }
            match self.inner.receive(now, &mut self.batch) {
                Ok(0) => break,
                Ok(_) => {
                    found_all = self.batch.room() > 0;
                    self.merge();
                }
                Err(_) if received > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(received)
    }

    fn next_ready(&self) -> Option<Instant> {
        match self.ready.front() {
            Some(frame) => Some(frame.meta.at),
            None => self.inner.next_ready(),
        }
    }
}

/// A verified TCP segment with text that may be merged.
#[derive(Debug)]
struct Segment {
    frame: RxFrame,
    layout: Layout,
    seq: u32,
    flags: u8,
}

impl Segment {
    /// The segment in a frame, or the frame back when it is not to be merged.
    fn of(medium: Medium, mut frame: RxFrame) -> Result<Self, RxFrame> {
        let Some((layout, seq, flags)) = mergeable(medium, &frame) else {
            return Err(frame);
        };
        frame.meta = frame.meta.with_checksum(RxChecksum::Verified);
        Ok(Self {
            frame,
            layout,
            seq,
            flags,
        })
    }

    fn text_len(&self) -> usize {
        self.layout.end - self.layout.payload
    }

    fn text(&self) -> Bytes {
        self.frame.data.slice(self.layout.payload..self.layout.end)
    }

    fn may_be_followed(&self) -> bool {
        self.flags & (FIN | PSH) == 0
    }

    fn flow(&self) -> Flow<'_> {
        flow(&self.layout, &self.frame.data)
    }

    /// All that must be equal in the segments of one super-segment.
    fn fixed(&self) -> [&[u8]; 6] {
        let Layout {
            l3,
            l4,
            payload,
            v6,
            ..
        } = self.layout;
        let data = &self.frame.data;
        let (class, hops) = if v6 {
            (&data[l3..l3 + 4], &data[l3 + 6..l3 + 8])
        } else {
            (&data[l3..l3 + 2], &data[l3 + 6..l3 + 10])
        };
        let ack_and_offset = &data[l4 + 8..l4 + 13];
        let window = &data[l4 + 14..l4 + 16];
        let options = &data[l4 + 20..payload];
        [&data[..l3], class, hops, ack_and_offset, window, options]
    }
}

/// Addresses and ports.
type Flow<'a> = (&'a [u8], &'a [u8]);

fn flow<'a>(layout: &Layout, data: &'a [u8]) -> Flow<'a> {
    let Layout { l3, l4, v6, .. } = *layout;
    let addresses = if v6 {
        &data[l3 + 8..l3 + 40]
    } else {
        &data[l3 + 12..l3 + 20]
    };
    (addresses, &data[l4..l4 + 4])
}

/// Layout, sequence number and flags of a segment that may be merged.
fn mergeable(medium: Medium, frame: &RxFrame) -> Option<(Layout, u32, u8)> {
    let data = &frame.data[..];
    let layout = Layout::of(medium, data)?;
    let ip_header = if layout.v6 { 40 } else { 20 };
    let shape = layout.protocol == TCP
        && layout.l4 - layout.l3 == ip_header
        && layout.payload < layout.end
        && layout.end <= data.len()
        && frame.meta.segment_size.is_none();
    let flags = *data.get(layout.l4 + 13)?;
    if !shape || flags & !(PSH | FIN | ECE) != ACK {
        return None;
    }
    let ip_is_right = layout.v6 || checksum(&data[layout.l3..layout.l4]) == 0;
    let tcp_is_right = match frame.meta.checksum {
        RxChecksum::Verified => true,
        RxChecksum::Unknown => layout.checksum_is_right(data),
        RxChecksum::Partial(_) => false,
    };
    let seq = long(data, layout.l4 + 4)?;
    (ip_is_right && tcp_is_right).then_some((layout, seq, flags))
}

/// What becomes one frame.
#[derive(Debug)]
enum Run {
    /// A frame that is left as it is.
    Other(RxFrame),
    /// A segment and those that follow it.
    Text(Segment, Vec<Segment>),
}

impl Run {
    fn is_of(&self, flow: Flow<'_>) -> bool {
        match self {
            Self::Other(_) => false,
            Self::Text(first, _) => first.flow() == flow,
        }
    }

    fn joins(&self, segment: &Segment) -> bool {
        let Self::Text(first, more) = self else {
            return false;
        };
        let last = more.last().unwrap_or(first);
        let size = first.text_len();
        let text = size * (more.len() + 1) + segment.text_len();
        let next = u32::try_from(last.text_len()).map(|len| last.seq.wrapping_add(len));
        next == Ok(segment.seq)
            && last.text_len() == size
            && segment.text_len() <= size
            && first.layout.payload - first.layout.l3 + text <= MAX_IP_LEN
            && (first.flags ^ segment.flags) & !(PSH | FIN) == 0
            && first.fixed() == segment.fixed()
    }

    /// Adds a segment that [`joins`](Self::joins); is the run at its end?
    fn join(&mut self, segment: Segment) -> bool {
        let Self::Text(first, more) = self else {
            return true;
        };
        let ends = !segment.may_be_followed() || segment.text_len() < first.text_len();
        more.push(segment);
        ends
    }

    fn finish(self, arena: &mut Arena) -> RxFrame {
        match self {
            Self::Other(frame) => frame,
            Self::Text(first, more) if more.is_empty() => first.frame,
            Self::Text(first, more) => super_segment(&first, &more, arena),
        }
    }
}

fn super_segment(first: &Segment, more: &[Segment], arena: &mut Arena) -> RxFrame {
    let Layout {
        l3,
        l4,
        payload,
        v6,
        ..
    } = first.layout;
    let text: usize = more.iter().map(Segment::text_len).sum();
    let len = first.layout.end + text;
    let room: &mut BytesMut = arena.room(len);
    room.extend_from_slice(&first.frame.data[..payload]);
    room.extend_from_slice(&first.text());
    for segment in more {
        room.extend_from_slice(&segment.text());
    }
    let ends = more.iter().fold(0, |flags, segment| flags | segment.flags);
    room[l4 + 13] |= ends & (FIN | PSH);
    if v6 {
        put_word(room, l3 + 4, word_of(len - l4));
    } else {
        put_word(room, l3 + 2, word_of(len - l3));
        put_word(room, l3 + 10, 0);
        let sum = checksum(&room[l3..l4]);
        put_word(room, l3 + 10, sum);
    }
    let meta = RxMeta::new(first.frame.meta.at)
        .with_checksum(RxChecksum::Verified)
        .with_segment_size(NonZeroU16::new(word_of(first.text_len())));
    RxFrame::new(arena.take(), meta)
}

/// A length below [`MAX_IP_LEN`] as a header carries it.
fn word_of(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "coalesce_tests.rs"]
mod tests;
