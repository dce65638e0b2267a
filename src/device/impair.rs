//! A device behind a bad [`Wire`] each way.
//!
//! *Owns* the two wires, and how frames get on them: as they are on a wire, super-segments cut and
//! partial checksums completed first, each way; what it delivers is of unknown checksum. *Does not*
//! read a clock. Invariant: a flipped bit never reaches the stack as verified.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::impair_control::{ImpairControl, Wanted};
use super::layout::Layout;
use super::segment::{Cut, complete_checksum, with_software};
use super::{
    Capabilities, Device, DeviceDrop, DeviceError, DeviceWatch, Medium, Receive, RxBatch, Sent,
    Transmit, Wire, WireConfig, WireCounters,
};
use crate::base::{Instant, Seed};
use crate::link::{RxChecksum, RxFrame, RxMeta, SegmentKinds, TxFrame};

/// A device behind a bad wire.
///
/// The times of rate steps and outages are those of who drives the device. A `Host` counts from when its process first used
/// a host's clock, which nobody can read: there, [`ImpairControl`] changes the wires when the time has come.
#[derive(Debug)]
pub struct Impair<D> {
    inner: D,
    capabilities: Capabilities,
    seed: Seed,
    sending: WireConfig,
    receiving: WireConfig,
    control: ImpairControl,
}

impl<D: Device> Impair<D> {
    /// Wraps `inner` with a perfect wire, whose chances will be drawn from `seed`.
    pub fn new(inner: D, seed: Seed) -> Self {
        // Whatever the device behind could do, the wire carries frames.
        let capabilities = Capabilities {
            receives_super_segments: false,
            cut_in_software: SegmentKinds::all(),
            ..with_software(*inner.capabilities())
        };
        Self {
            inner,
            capabilities,
            seed,
            sending: WireConfig::perfect(),
            receiving: WireConfig::perfect(),
            control: ImpairControl {
                sending: Arc::default(),
                receiving: Arc::default(),
            },
        }
    }

    /// What happens to the frames that are sent.
    #[must_use]
    pub fn sending(mut self, config: WireConfig) -> Self {
        self.sending = config;
        self
    }

    /// What happens to the frames that are received.
    #[must_use]
    pub fn receiving(mut self, config: WireConfig) -> Self {
        self.receiving = config;
        self
    }

    /// What changes the wires while the device runs.
    pub fn control(&self) -> ImpairControl {
        self.control.clone()
    }
}

impl<D: Device> Device for Impair<D> {
    type Rx = ImpairRx<D::Rx>;
    type Tx = ImpairTx<D::Tx>;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn without_software(self) -> Self {
        let inner = self.inner.without_software();
        let capabilities = Capabilities {
            checksum: false,
            tso4: false,
            tso6: false,
            uso: false,
            ..self.capabilities
        };
        Self {
            inner,
            capabilities,
            ..self
        }
    }

    fn watch(&self) -> Option<Arc<dyn DeviceWatch>> {
        self.inner.watch()
    }

    fn split(self) -> (ImpairRx<D::Rx>, ImpairTx<D::Tx>) {
        let medium = self.capabilities.medium;
        let (rx, tx) = self.inner.split();
        let line = |config, wanted, label| Line {
            wire: Wire::new(medium, config, self.seed, label),
            medium,
            wanted,
            asked: Instant::ZERO,
            dropped: 0,
        };
        let rx = ImpairRx {
            inner: rx,
            batch: RxBatch::new(64),
            behind: false,
            line: line(self.receiving, self.control.receiving, "impair receiving"),
        };
        let tx = ImpairTx {
            inner: tx,
            refused: None,
            line: line(self.sending, self.control.sending, "impair sending"),
        };
        (rx, tx)
    }
}

/// The receiving half of an [`Impair`] device.
#[derive(Debug)]
pub struct ImpairRx<R> {
    inner: R,
    batch: RxBatch,
    /// The device behind may hold more than was read of it.
    behind: bool,
    line: Line,
}

/// Batches that one call reads at most from the device behind: what comes faster than it can be read
/// would else keep the caller for ever, as nothing of it is due yet.
const BATCHES: usize = 16;

impl<R> ImpairRx<R> {
    /// What happened so far.
    pub const fn counters(&self) -> ImpairCounters {
        self.line.counters()
    }

    /// The receiving half behind it.
    pub const fn inner(&self) -> &R {
        &self.inner
    }
}

impl<R: Receive> Receive for ImpairRx<R> {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut received = 0;
        self.line.look(now);
        self.behind = false;
        for round in 0..=BATCHES {
            while batch.room() > 0
                && let Some((at, data)) = self.line.wire.take_due(now)
            {
                batch.push(RxFrame::new(data, RxMeta::new(at)));
                received += 1;
            }
            if batch.room() == 0 {
                return Ok(received);
            }
            if round == BATCHES {
                self.behind = true;
                break;
            }
            match self.inner.receive(now, &mut self.batch) {
                Ok(0) => return Ok(received),
                Ok(_) => {}
                // What is still on its way arrives before the end does.
                Err(_) if received > 0 || self.line.wire.held() > 0 => return Ok(received),
                Err(error) => return Err(error),
            }
            for frame in self.batch.drain() {
                self.line.offer_received(now, &frame);
            }
        }
        Ok(received)
    }

    fn next_ready(&self) -> Option<Instant> {
        if self.behind {
            return Some(self.line.asked);
        }
        earlier(self.line.next_due(), self.inner.next_ready())
    }
}

/// The sending half of an [`Impair`] device.
#[derive(Debug)]
pub struct ImpairTx<T> {
    inner: T,
    /// What the device behind had no room for.
    refused: Option<Bytes>,
    line: Line,
}

impl<T> ImpairTx<T> {
    /// What happened so far.
    pub const fn counters(&self) -> ImpairCounters {
        self.line.counters()
    }

    /// The sending half behind it.
    pub const fn inner(&self) -> &T {
        &self.inner
    }
}

impl<T: Transmit> ImpairTx<T> {
    /// Sends what is due, as far as the device behind takes it.
    fn flush(&mut self, now: Instant) -> Result<(), DeviceError> {
        self.line.look(now);
        while let Some(data) = self.take_due(now) {
            let frame = TxFrame::new(&data, &[], crate::link::TxMeta::PLAIN);
            match self.inner.transmit(now, &frame)? {
                Sent::Taken => {}
                Sent::Dropped(_) => self.line.dropped += 1,
                Sent::Full => {
                    self.refused = Some(data);
                    break;
                }
            }
        }
        Ok(())
    }

    /// The frame that was refused last, or the next one that is due.
    fn take_due(&mut self, now: Instant) -> Option<Bytes> {
        let due = |line: &mut Line| line.wire.take_due(now).map(|(_, data)| data);
        self.refused.take().or_else(|| due(&mut self.line))
    }
}

impl<T: Transmit> Transmit for ImpairTx<T> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.flush(now)?;
        if self.refused.is_some() {
            return Ok(Sent::Full);
        }
        if !self.line.offer_sent(now, frame) {
            return Ok(Sent::Dropped(DeviceDrop::Refused));
        }
        self.flush(now)?;
        Ok(Sent::Taken)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.flush(now)?;
        let inner = self.inner.poll(now)?;
        let own = if self.refused.is_some() {
            None
        } else {
            self.line.next_due()
        };
        Ok(earlier(own, inner))
    }

    fn wants_room(&self) -> bool {
        self.refused.is_some() || self.inner.wants_room()
    }
}

/// What happened to the frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImpairCounters {
    /// On the wire, each segment of a super-segment counted.
    pub wire: WireCounters,
    /// Super-segments that could not be cut, and frames that the device behind dropped.
    pub dropped: u64,
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// One direction of the wire, and how frames get on it.
#[derive(Debug)]
struct Line {
    wire: Wire,
    medium: Medium,
    wanted: Arc<Wanted>,
    /// When it was looked at last.
    asked: Instant,
    dropped: u64,
}

impl Line {
    /// Does what was wanted since it was looked at last.
    fn look(&mut self, now: Instant) {
        self.asked = self.asked.max(now);
        if let Some(config) = self.wanted.take() {
            self.wire.set(now, config);
        }
    }

    /// When to look again.
    fn next_due(&self) -> Option<Instant> {
        let patience = self.wanted.patience().filter(|_| self.wire.held() > 0);
        earlier(self.wire.next_due(), patience.map(|time| self.asked + time))
    }

    const fn counters(&self) -> ImpairCounters {
        ImpairCounters {
            wire: self.wire.counters(),
            dropped: self.dropped,
        }
    }

    /// Puts a frame to send on the wire; false when it is a super-segment that cannot be cut or a
    /// checksum that lies outside the headers.
    fn offer_sent(&mut self, now: Instant, frame: &TxFrame<'_>) -> bool {
        if let Some(segment) = frame.meta.segment {
            let size = usize::from(segment.size.get());
            let sum = frame.meta.checksum.is_some();
            return self.offer_cut(now, (frame.headers, frame.payload), size, sum);
        }
        let mut headers = frame.headers.to_vec();
        if let Some(partial) = frame.meta.checksum
            && !complete_checksum(&mut headers, frame.payload, partial)
        {
            return false;
        }
        self.wire.offer(now, joined(&headers, frame.payload));
        true
    }

    /// Puts a received frame on the wire, as it was before anything was merged or left open.
    fn offer_received(&mut self, now: Instant, frame: &RxFrame) {
        let data = &frame.data;
        if let Some(size) = frame.meta.segment_size {
            let layout = Layout::of(self.medium, data).filter(|layout| layout.end <= data.len());
            let cut = layout.is_some_and(|layout| {
                let payload = [data.slice(layout.payload..layout.end)];
                let size = usize::from(size.get());
                let sum = matches!(frame.meta.checksum, RxChecksum::Partial(_));
                self.offer_cut(now, (&data[..layout.payload], &payload), size, sum)
            });
            self.dropped += u64::from(!cut);
            return;
        }
        let RxChecksum::Partial(partial) = frame.meta.checksum else {
            return self.wire.offer(now, data.clone());
        };
        let mut whole = data.to_vec();
        if complete_checksum(&mut whole, &[], partial) {
            self.wire.offer(now, whole.into());
        } else {
            self.dropped += 1;
        }
    }

    /// The segments of what has a `partial` sum in its template, or another one that says nothing.
    fn offer_cut(
        &mut self,
        now: Instant,
        (template, payload): (&[u8], &[Bytes]),
        size: usize,
        partial: bool,
    ) -> bool {
        let (mut headers, mut slices) = (Vec::new(), Vec::new());
        let Some(cut) = Cut::of(self.medium, template, payload, size, &mut headers) else {
            return false;
        };
        let mut cut = if partial { cut.keep_pseudo() } else { cut };
        while cut.next(&mut headers, &mut slices) {
            self.wire.offer(now, joined(&headers, &slices));
        }
        true
    }
}

/// Headers and payload in one buffer.
fn joined(headers: &[u8], payload: &[Bytes]) -> Bytes {
    let len = headers.len() + payload.iter().map(Bytes::len).sum::<usize>();
    let mut whole = BytesMut::with_capacity(len);
    whole.extend_from_slice(headers);
    for slice in payload {
        whole.extend_from_slice(slice);
    }
    whole.freeze()
}

#[cfg(test)]
#[path = "impair_tests.rs"]
mod tests;
