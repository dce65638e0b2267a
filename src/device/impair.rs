//! A device with a bad wire: loss, duplication, reordering, corruption, delay and a limited rate.
//!
//! *Owns* the frames that are on their way, as copies. *Does not* read a clock: it lives by its
//! callers' `now`, and by its seed, so the same calls have the same outcome. It acts on frames as they
//! are on a wire: super-segments are cut and partial checksums completed first, each way, and what it
//! delivers is of unknown checksum. Invariant: a flipped bit never reaches the stack as verified.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::impairment::{ImpairCounters, Impairment};
use super::layout::Layout;
use super::segment::{Cut, complete_checksum, with_software};
use super::{
    Capabilities, Device, DeviceDrop, DeviceError, DeviceWatch, Medium, Receive, RxBatch, Sent,
    Transmit,
};
use crate::base::{Instant, Random, Seed};
use crate::link::{RxChecksum, RxFrame, RxMeta, TxFrame};

/// A device behind a bad wire.
#[derive(Debug)]
pub struct Impair<D> {
    inner: D,
    capabilities: Capabilities,
    seed: Seed,
    sending: Impairment,
    receiving: Impairment,
}

impl<D: Device> Impair<D> {
    /// Wraps `inner` with a perfect wire, whose chances will be drawn from `seed`.
    pub fn new(inner: D, seed: Seed) -> Self {
        let capabilities = Capabilities {
            receives_super_segments: false,
            ..with_software(*inner.capabilities())
        };
        Self {
            inner,
            capabilities,
            seed,
            sending: Impairment::none(),
            receiving: Impairment::none(),
        }
    }

    /// What happens to the frames that are sent.
    #[must_use]
    pub fn sending(mut self, impairment: Impairment) -> Self {
        self.sending = impairment;
        self
    }

    /// What happens to the frames that are received.
    #[must_use]
    pub fn receiving(mut self, impairment: Impairment) -> Self {
        self.receiving = impairment;
        self
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
        let line = |settings, label| Line::new(settings, medium, &self.seed, label);
        let rx = ImpairRx {
            inner: rx,
            batch: RxBatch::new(64),
            line: line(self.receiving, "impair receiving"),
        };
        let tx = ImpairTx {
            inner: tx,
            blocked: false,
            line: line(self.sending, "impair sending"),
        };
        (rx, tx)
    }
}

/// The receiving half of an [`Impair`] device.
#[derive(Debug)]
pub struct ImpairRx<R> {
    inner: R,
    batch: RxBatch,
    line: Line,
}

impl<R> ImpairRx<R> {
    /// What happened so far.
    pub const fn counters(&self) -> ImpairCounters {
        self.line.counters
    }

    /// The receiving half behind it.
    pub const fn inner(&self) -> &R {
        &self.inner
    }
}

impl<R: Receive> Receive for ImpairRx<R> {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut received = 0;
        loop {
            while batch.room() > 0
                && let Some(data) = self.line.take_due(now)
            {
                batch.push(RxFrame::new(data, RxMeta::new(now)));
                received += 1;
            }
            if batch.room() == 0 {
                return Ok(received);
            }
            match self.inner.receive(now, &mut self.batch) {
                Ok(0) => return Ok(received),
                Ok(_) => {}
                // What is still on its way arrives before the end does.
                Err(_) if received > 0 || !self.line.held.is_empty() => return Ok(received),
                Err(error) => return Err(error),
            }
            for frame in self.batch.drain() {
                self.line.offer_received(now, &frame);
            }
        }
    }

    fn next_ready(&self) -> Option<Instant> {
        earlier(self.line.next_due(), self.inner.next_ready())
    }
}

/// The sending half of an [`Impair`] device.
#[derive(Debug)]
pub struct ImpairTx<T> {
    inner: T,
    /// Was the device behind full?
    blocked: bool,
    line: Line,
}

impl<T> ImpairTx<T> {
    /// What happened so far.
    pub const fn counters(&self) -> ImpairCounters {
        self.line.counters
    }

    /// The sending half behind it.
    pub const fn inner(&self) -> &T {
        &self.inner
    }
}

impl<T: Transmit> ImpairTx<T> {
    /// Sends what is due, as far as the device behind takes it.
    fn flush(&mut self, now: Instant) -> Result<(), DeviceError> {
        self.blocked = false;
        while let Some(data) = self.line.first_due(now) {
            let frame = TxFrame::new(data, &[], crate::link::TxMeta::PLAIN);
            match self.inner.transmit(now, &frame)? {
                Sent::Taken => {}
                Sent::Dropped(_) => self.line.counters.dropped += 1,
                Sent::Full => {
                    self.blocked = true;
                    break;
                }
            }
            self.line.held.pop_first();
        }
        Ok(())
    }
}

impl<T: Transmit> Transmit for ImpairTx<T> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.flush(now)?;
        if self.blocked {
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
        let own = if self.blocked {
            None
        } else {
            self.line.next_due()
        };
        Ok(earlier(own, inner))
    }

    fn wants_room(&self) -> bool {
        self.blocked || self.inner.wants_room()
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// One direction of the wire.
#[derive(Debug)]
struct Line {
    settings: Impairment,
    medium: Medium,
    random: Random,
    /// By when they arrive, then by when they were sent.
    held: BTreeMap<(Instant, u64), Bytes>,
    sent: u64,
    /// When the last frame will have left, at the limited rate.
    free_at: Instant,
    counters: ImpairCounters,
}

impl Line {
    fn new(settings: Impairment, medium: Medium, seed: &Seed, label: &str) -> Self {
        Self {
            settings,
            medium,
            random: Random::new(seed.key(label)),
            held: BTreeMap::new(),
            sent: 0,
            free_at: Instant::ZERO,
            counters: ImpairCounters::default(),
        }
    }

    /// Puts a frame to send on the wire; false when it is a super-segment that cannot be cut or a
    /// checksum that lies outside the headers.
    fn offer_sent(&mut self, now: Instant, frame: &TxFrame<'_>) -> bool {
        if let Some(segment) = frame.meta.segment {
            let size = usize::from(segment.size.get());
            return self.offer_cut(now, frame.headers, frame.payload, size);
        }
        let mut headers = frame.headers.to_vec();
        if let Some(partial) = frame.meta.checksum
            && !complete_checksum(&mut headers, frame.payload, partial)
        {
            return false;
        }
        self.offer(now, joined(&headers, frame.payload));
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
                self.offer_cut(now, &data[..layout.payload], &payload, size)
            });
            self.counters.dropped += u64::from(!cut);
            return;
        }
        let RxChecksum::Partial(partial) = frame.meta.checksum else {
            return self.offer(now, data.clone());
        };
        let mut whole = data.to_vec();
        if complete_checksum(&mut whole, &[], partial) {
            self.offer(now, whole.into());
        } else {
            self.counters.dropped += 1;
        }
    }

    fn offer_cut(&mut self, now: Instant, template: &[u8], payload: &[Bytes], size: usize) -> bool {
        let (mut headers, mut slices) = (Vec::new(), Vec::new());
        let Some(mut cut) = Cut::of(self.medium, template, payload, size, &mut headers) else {
            return false;
        };
        while cut.next(&mut headers, &mut slices) {
            self.offer(now, joined(&headers, &slices));
        }
        true
    }

    /// One whole frame on the wire: decides what becomes of it.
    fn offer(&mut self, now: Instant, mut data: Bytes) {
        let settings = self.settings;
        self.counters.frames += 1;
        if settings.loss.happens(&mut self.random) {
            self.counters.lost += 1;
            return;
        }
        if self.held.len() >= settings.limit {
            self.counters.overflowed += 1;
            return;
        }
        if settings.corruption.happens(&mut self.random) {
            self.counters.corrupted += 1;
            data = self.flip_a_bit(&data);
        }
        if settings.duplication.happens(&mut self.random) {
            self.counters.duplicated += 1;
            self.hold(now, data.clone());
        }
        self.hold(now, data);
    }

    fn hold(&mut self, now: Instant, data: Bytes) {
        let settings = self.settings;
        let mut due = self.departure(now, data.len()) + settings.delay;
        let jitter = u64::try_from(settings.jitter.as_nanos()).unwrap_or(u64::MAX);
        if jitter > 0 {
            due = due + Duration::from_nanos(self.random.below(jitter));
        }
        if settings.reordering.happens(&mut self.random) {
            self.counters.reordered += 1;
            due = due + settings.reordered_by;
        }
        self.sent += 1;
        self.held.insert((due, self.sent), data);
    }

    /// When a frame of `len` bytes will have left.
    fn departure(&mut self, now: Instant, len: usize) -> Instant {
        let Some(rate) = self.settings.rate else {
            return now;
        };
        let bits = u64::try_from(len)
            .unwrap_or(u64::MAX)
            .saturating_mul(1_000_000_000);
        let takes = Duration::from_nanos(bits / rate.max(1));
        self.free_at = self.free_at.max(now) + takes;
        self.free_at
    }

    fn flip_a_bit(&mut self, data: &[u8]) -> Bytes {
        let mut copy = BytesMut::from(data);
        let from = self.medium.link_header().min(data.len());
        let bits = (data.len() - from) * 8;
        let at = self.random.below(u64::try_from(bits).unwrap_or(u64::MAX));
        let at = usize::try_from(at).unwrap_or(0);
        if let Some(byte) = copy.get_mut(from + at / 8) {
            *byte ^= 1 << (at % 8);
        }
        copy.freeze()
    }

    fn next_due(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(&(due, _), _)| due)
    }

    fn first_due(&self, now: Instant) -> Option<&Bytes> {
        let (&(due, _), data) = self.held.first_key_value()?;
        (due <= now).then_some(data)
    }

    fn take_due(&mut self, now: Instant) -> Option<Bytes> {
        self.first_due(now)?;
        self.held.pop_first().map(|(_, data)| data)
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
