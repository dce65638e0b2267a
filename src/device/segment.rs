//! Segmentation and checksums in software, for devices without offload.
//!
//! RFC 9293 §3.7.1 (what a segment repeats), RFC 3168 §6.1.2 (CWR), Linux
//! Documentation/networking/segmentation-offloads.rst. *Owns* the cutting of a super-segment into
//! frames of one MTU, and the frames that a full device refused half-way. *Does not* copy payload.
//! Invariant: a super-segment is taken whole or not at all; what is left of it goes before all else.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::layout::{Layout, TCP, long, on_the_wire, put_word, word};
use super::{Capabilities, Device, DeviceDrop, DeviceError, DeviceWatch, Medium, Sent, Transmit};
use crate::base::Instant;
use crate::base::checksum::Sum;
use crate::link::{PartialChecksum, SegmentKind, SegmentKinds, TxFrame, TxMeta};

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// A device whose super-segments and partial checksums are dealt with in software.
///
/// What the device can do itself is left to it.
#[derive(Debug)]
pub struct Segmented<D> {
    inner: D,
    capabilities: Capabilities,
}

impl<D: Device> Segmented<D> {
    /// Wraps `inner`.
    pub fn new(inner: D) -> Self {
        let capabilities = with_software(*inner.capabilities());
        Self {
            inner,
            capabilities,
        }
    }
}

/// What a device with these capabilities has once this module stands in front of it.
pub(super) const fn with_software(native: Capabilities) -> Capabilities {
    let mut cut_in_software = native.cut_in_software;
    if !native.tso4 {
        cut_in_software = cut_in_software.union(SegmentKinds::TCP4);
    }
    if !native.tso6 {
        cut_in_software = cut_in_software.union(SegmentKinds::TCP6);
    }
    if !native.uso {
        cut_in_software = cut_in_software.union(SegmentKinds::UDP);
    }
    Capabilities {
        cut_in_software,
        checksum: true,
        tso4: true,
        tso6: true,
        uso: true,
        ..native
    }
}

impl<D: Device> Device for Segmented<D> {
    type Rx = D::Rx;
    type Tx = SegmentedTx<D::Tx>;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn without_software(self) -> Self {
        let inner = self.inner.without_software();
        let capabilities = *inner.capabilities();
        Self {
            inner,
            capabilities,
        }
    }

    fn watch(&self) -> Option<Arc<dyn DeviceWatch>> {
        self.inner.watch()
    }

    fn split(self) -> (D::Rx, SegmentedTx<D::Tx>) {
        let native = *self.inner.capabilities();
        let (rx, tx) = self.inner.split();
        (rx, SegmentedTx::new(tx, native))
    }
}

/// The sending half of a [`Segmented`] device.
#[derive(Debug)]
pub struct SegmentedTx<T> {
    inner: T,
    native: Capabilities,
    /// The rest of a super-segment that the device had no room for.
    backlog: VecDeque<Owned>,
    /// Headers of the frame being built, reused.
    headers: Vec<u8>,
    /// Payload of the frame being built, reused.
    slices: Vec<Bytes>,
}

impl<T> SegmentedTx<T> {
    /// Stands in front of `inner`, which can do what `native` says.
    pub(super) const fn new(inner: T, native: Capabilities) -> Self {
        Self {
            inner,
            native,
            backlog: VecDeque::new(),
            headers: Vec::new(),
            slices: Vec::new(),
        }
    }

    /// The sending half behind it.
    pub const fn inner(&self) -> &T {
        &self.inner
    }
}

impl<T: Transmit> SegmentedTx<T> {
    /// Sends the backlog; is it empty now?
    fn flush(&mut self, now: Instant) -> Result<bool, DeviceError> {
        while let Some(frame) = self.backlog.front() {
            if self.inner.transmit(now, &frame.borrow())? == Sent::Full {
                return Ok(false);
            }
            self.backlog.pop_front();
        }
        Ok(true)
    }

    fn transmit_completed(
        &mut self,
        now: Instant,
        frame: &TxFrame<'_>,
        partial: PartialChecksum,
    ) -> Result<Sent, DeviceError> {
        self.headers.clear();
        self.headers.extend_from_slice(frame.headers);
        if !complete_checksum(&mut self.headers, frame.payload, partial) {
            return Ok(Sent::Dropped(DeviceDrop::Refused));
        }
        let whole = TxFrame::new(&self.headers, frame.payload, TxMeta::PLAIN);
        self.inner.transmit(now, &whole)
    }

    fn transmit_cut(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let Some(mut cut) = Cut::new(self.native.medium, frame, &mut self.headers) else {
            return Ok(Sent::Dropped(DeviceDrop::Refused));
        };
        let mut taken = false;
        let mut outcome = Sent::Taken;
        while cut.next(&mut self.headers, &mut self.slices) {
            if self.backlog.is_empty() {
                let segment = TxFrame::new(&self.headers, &self.slices, TxMeta::PLAIN);
                match self.inner.transmit(now, &segment)? {
                    Sent::Full if !taken => return Ok(Sent::Full),
                    Sent::Full => {}
                    Sent::Taken => {
                        taken = true;
                        continue;
                    }
                    dropped @ Sent::Dropped(_) => {
                        taken = true;
                        outcome = dropped;
                        continue;
                    }
                }
            }
            self.backlog.push_back(Owned {
                headers: self.headers.clone(),
                payload: self.slices.clone(),
            });
        }
        self.slices.clear();
        Ok(outcome)
    }
}

impl<T: Transmit> Transmit for SegmentedTx<T> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if !self.backlog.is_empty() && !self.flush(now)? {
            return Ok(Sent::Full);
        }
        let segment = frame.meta.segment;
        let native = match segment.map(|segment| segment.kind) {
            None => frame.meta.checksum.is_none() || self.native.checksum,
            Some(SegmentKind::Tcp4) => self.native.tso4,
            Some(SegmentKind::Tcp6) => self.native.tso6,
            Some(SegmentKind::Udp) => self.native.uso,
        };
        match frame.meta.checksum {
            _ if native => self.inner.transmit(now, frame),
            Some(partial) if segment.is_none() => self.transmit_completed(now, frame, partial),
            _ => self.transmit_cut(now, frame),
        }
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        let _ = self.flush(now)?;
        self.inner.poll(now)
    }

    fn wants_room(&self) -> bool {
        !self.backlog.is_empty() || self.inner.wants_room()
    }
}

/// A frame that waits for room: its headers copied, its payload shared.
#[derive(Debug)]
struct Owned {
    headers: Vec<u8>,
    payload: Vec<Bytes>,
}

impl Owned {
    fn borrow(&self) -> TxFrame<'_> {
        TxFrame::new(&self.headers, &self.payload, TxMeta::PLAIN)
    }
}

/// Completes a partial checksum in `headers`; false when its field does not lie in them.
pub(super) fn complete_checksum(
    headers: &mut [u8],
    payload: &[Bytes],
    partial: PartialChecksum,
) -> bool {
    let start = usize::from(partial.start);
    let field = start + usize::from(partial.offset);
    if field + 2 > headers.len() {
        return false;
    }
    // The field holds the pseudo-header's sum, so it takes part like any other word.
    let sum = Sum::new().bytes(&headers[start..]).slices(payload);
    put_word(headers, field, on_the_wire(sum));
    true
}

/// A super-segment being cut, segment by segment.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    payload: &'a [Bytes],
    layout: Layout,
    size: usize,
    total: usize,
    done: usize,
    /// The first slice with payload that is not cut yet, and how much of it is.
    at: (usize, usize),
    first: First,
}

/// What the header of the super-segment said, from which each segment's is made.
#[derive(Clone, Copy, Debug)]
struct First {
    id: u16,
    seq: u32,
    flags: u8,
}

impl<'a> Cut<'a> {
    /// Begins to cut `frame`, its headers copied to `headers`; `None` when it is no super-segment of TCP
    /// or UDP that can be cut.
    pub(super) fn new(medium: Medium, frame: &TxFrame<'a>, headers: &mut Vec<u8>) -> Option<Self> {
        let size = usize::from(frame.meta.segment?.size.get());
        Self::of(medium, frame.headers, frame.payload, size, headers)
    }

    /// The same from parts.
    pub(super) fn of(
        medium: Medium,
        template: &[u8],
        payload: &'a [Bytes],
        size: usize,
        headers: &mut Vec<u8>,
    ) -> Option<Self> {
        let layout = Layout::of(medium, template)?;
        let total = payload.iter().map(Bytes::len).sum();
        if layout.payload != template.len() || total == 0 || size == 0 {
            return None;
        }
        headers.clear();
        headers.extend_from_slice(template);
        let tcp = layout.protocol == TCP;
        Some(Self {
            payload,
            layout,
            size,
            total,
            done: 0,
            at: (0, 0),
            first: First {
                id: word(template, layout.l3 + 4)?,
                seq: if tcp {
                    long(template, layout.l4 + 4)?
                } else {
                    0
                },
                flags: if tcp { template[layout.l4 + 13] } else { 0 },
            },
        })
    }

    /// Writes the next segment's headers over the last one's and its payload into `slices`; false
    /// after the last one.
    pub(super) fn next(&mut self, headers: &mut [u8], slices: &mut Vec<Bytes>) -> bool {
        if self.done >= self.total {
            return false;
        }
        let len = self.size.min(self.total - self.done);
        self.take(len, slices);
        self.write_transport(headers, len, slices);
        self.done += len;
        true
    }

    fn take(&mut self, mut len: usize, slices: &mut Vec<Bytes>) {
        slices.clear();
        while len > 0 {
            let (index, skip) = self.at;
            let slice = &self.payload[index];
            let part = len.min(slice.len() - skip);
            if part > 0 {
                slices.push(slice.slice(skip..skip + part));
            }
            len -= part;
            self.at = if skip + part == slice.len() {
                (index + 1, 0)
            } else {
                (index, skip + part)
            };
        }
    }

    fn write_transport(&self, headers: &mut [u8], len: usize, slices: &[Bytes]) {
        let Layout { l4, payload, .. } = self.layout;
        let transport = wire_len(payload - l4 + len);
        self.write_ip(headers, transport);
        if self.layout.protocol == TCP {
            let done = u32::try_from(self.done).unwrap_or(u32::MAX);
            let seq = self.first.seq.wrapping_add(done);
            headers[l4 + 4..l4 + 8].copy_from_slice(&seq.to_be_bytes());
            let mut flags = self.first.flags;
            if self.done > 0 {
                flags &= !CWR;
            }
            if self.done + len < self.total {
                flags &= !FIN_PSH;
            }
            headers[l4 + 13] = flags;
        } else {
            put_word(headers, l4 + 4, transport);
        }
        let field = l4 + self.layout.checksum_offset();
        put_word(headers, field, 0);
        let sum = self.layout.pseudo_sum(headers, transport);
        let sum = sum.bytes(&headers[l4..]).slices(slices);
        put_word(headers, field, on_the_wire(sum));
    }

    fn write_ip(&self, headers: &mut [u8], transport: u16) {
        let Layout { l3, l4, v6, .. } = self.layout;
        let network = wire_len(l4 - l3);
        if v6 {
            put_word(headers, l3 + 4, transport.saturating_add(network - 40));
            return;
        }
        put_word(headers, l3 + 2, transport.saturating_add(network));
        let index = wire_len(self.done / self.size);
        put_word(headers, l3 + 4, self.first.id.wrapping_add(index));
        put_word(headers, l3 + 10, 0);
        let sum = Sum::new().bytes(&headers[l3..l4]).finish();
        put_word(headers, l3 + 10, sum);
    }
}

/// A length as a header carries it; what comes here is at most a super-segment's part.
fn wire_len(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
