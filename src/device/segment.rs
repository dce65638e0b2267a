//! Segmentation and checksums in software, for devices without offload.
//!
//! Linux Documentation/networking/segmentation-offloads.rst. *Owns* which frames are cut or completed, and those that a full
//! device refused half-way. *Does not* copy payload, nor write segments: `link` does.
//! Invariant: a super-segment is taken whole or not at all; what is left of it goes before all else.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::layout::{Layout, on_the_wire, put_word};
use super::{Capabilities, Device, DeviceDrop, DeviceError, DeviceWatch, Medium, Sent, Transmit};
use crate::base::Instant;
use crate::base::checksum::Sum;
pub(super) use crate::link::cut::Cut;
use crate::link::{PartialChecksum, SegmentKind, SegmentKinds, TxFrame, TxMeta};

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

impl<'a> Cut<'a> {
    /// Begins to cut `frame`, its headers copied to `headers`; `None` when it is no super-segment of TCP
    /// or UDP that can be cut.
    fn new(medium: Medium, frame: &TxFrame<'a>, headers: &mut Vec<u8>) -> Option<Self> {
        let size = usize::from(frame.meta.segment?.size.get());
        let cut = Self::of(medium, frame.headers, frame.payload, size, headers)?;
        Some(match frame.meta.checksum {
            Some(_) => cut.keep_pseudo(),
            None => cut,
        })
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
        Self::by(layout, template, payload, size, headers)
    }
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
