//! Devices that misbehave: one that does not take frames, and a wire that spoils them.
//!
//! *Owns* the two wrappers, which are also where frames are watched, counted and recorded. *Does
//! not* lose or delay what is on its way: the library's own `Wire` does.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use netloom::Instant;
use netloom::bytes::BytesMut;
use netloom::capture::Recorder;
use netloom::decode::{Decoder, Link};
use netloom::device::{
    Capabilities, Device, DeviceDrop, DeviceError, Receive, RxBatch, Sent, Transmit,
};
use netloom::link::{RxChecksum, RxFrame, TxFrame};

use super::monitor::Monitor;
use super::rng::Rng;
use super::scenario::{Asking, Bleach, DeviceFaults, Stripped};
use super::segment::{asks_for_ecn, bleach, ecn_of, is_icmp_error, strip, tcp_at, tcp_of};

/// The sending half of a device that is full or drops now and then.
pub(crate) struct Fickle {
    pub(crate) inner: Box<dyn Transmit>,
    pub(crate) who: usize,
    pub(crate) ethernet: bool,
    pub(crate) start: Instant,
    pub(crate) rng: Rng,
    pub(crate) faults: DeviceFaults,
    pub(crate) stripped: Stripped,
    pub(crate) asking: Asking,
    pub(crate) monitor: Rc<RefCell<Monitor>>,
    pub(crate) recorder: Option<Recorder>,
    /// Prints what leaves.
    pub(crate) trace: bool,
    pub(crate) taken: Rc<Taken>,
}

/// What a device took.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) frames: Cell<u64>,
    /// Those of them that were super-segments.
    pub(crate) super_segments: Cell<u64>,
}

impl Fickle {
    fn decide(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if self.faults.full > 0 && self.rng.chance(self.faults.full) {
            return Ok(Sent::Full);
        }
        if let Some((from, len)) = self.faults.outage {
            let from = self.start + Duration::from_micros(from);
            if now >= from && now < from + Duration::from_micros(len) {
                return Ok(Sent::Dropped(DeviceDrop::LinkDown));
            }
        }
        if self.faults.dropped > 0 && self.rng.chance(self.faults.dropped) {
            return Ok(Sent::Dropped(DeviceDrop::NoBuffers));
        }
        let asks = asks_for_ecn(self.ethernet, frame.headers);
        if asks && self.asking == Asking::Dropped {
            return Ok(Sent::Dropped(DeviceDrop::NoBuffers));
        }
        let whole = frame.meta.checksum.is_none();
        let clears = self.asking == Asking::Cleared;
        let what = (self.stripped, clears);
        let sent = match strip(self.ethernet, frame.headers, what, whole) {
            Some(headers) => {
                let frame = TxFrame::new(&headers, frame.payload, frame.meta);
                self.inner.transmit(now, &frame)?
            }
            None => self.inner.transmit(now, frame)?,
        };
        assert_ne!(
            sent,
            Sent::Dropped(DeviceDrop::Refused),
            "the device cannot send {:?} in {} bytes",
            frame.meta,
            frame.len()
        );
        Ok(sent)
    }

    fn watch(&mut self, now: Instant, frame: &TxFrame<'_>, sent: Sent) {
        if let Some(recorder) = &self.recorder {
            recorder.sent(now, frame, sent);
        }
        if sent == Sent::Full {
            return;
        }
        let add = |count: &Cell<u64>, n: u64| count.set(count.get() + n);
        add(&self.taken.frames, 1);
        let super_segment = frame.meta.segment.is_some();
        add(&self.taken.super_segments, u64::from(super_segment));
        if self.trace {
            let link = if self.ethernet {
                Link::Ethernet
            } else {
                Link::Ip
            };
            let whole = frame.to_vec();
            let line = Decoder::new(link).line(&whole, whole.len(), RxChecksum::Verified);
            println!(
                "{now:?} {}> {line} {:?} {sent:?}",
                self.who, frame.meta.segment
            );
        }
        if is_icmp_error(self.ethernet, frame.headers) {
            self.monitor.borrow_mut().on_error(now, self.who);
        }
        if let Some(header) = tcp_of(self.ethernet, frame.headers) {
            let text = frame.payload_len();
            let ecn = ecn_of(self.ethernet, frame.headers);
            self.monitor
                .borrow_mut()
                .on_segment(self.who, &header, text, ecn);
        }
    }
}

impl Transmit for Fickle {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let sent = self.decide(now, frame)?;
        self.watch(now, frame, sent);
        Ok(sent)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.inner.poll(now)
    }

    fn wants_room(&self) -> bool {
        self.inner.wants_room()
    }
}

/// The receiving half of a device, which tells what came.
pub(crate) struct Heard {
    pub(crate) inner: Box<dyn Receive>,
    pub(crate) who: usize,
    pub(crate) ethernet: bool,
    pub(crate) monitor: Rc<RefCell<Monitor>>,
    pub(crate) recorder: Option<Recorder>,
}

impl Heard {
    fn watch(&self, now: Instant, frame: &RxFrame) {
        if let Some(recorder) = &self.recorder {
            recorder.received(frame);
        }
        let Some(at) = tcp_at(self.ethernet, &frame.data) else {
            return;
        };
        if let Some(header) = tcp_of(self.ethernet, &frame.data) {
            let text = frame.data.len().saturating_sub(at + header.len());
            let mut monitor = self.monitor.borrow_mut();
            let ecn = ecn_of(self.ethernet, &frame.data);
            monitor.on_arrival(now, self.who, &header, text, ecn);
        }
    }
}

impl Receive for Heard {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let before = batch.len();
        let received = self.inner.receive(now, batch)?;
        for frame in &batch.frames()[before..] {
            self.watch(now, frame);
        }
        Ok(received)
    }

    fn next_ready(&self) -> Option<Instant> {
        self.inner.next_ready()
    }
}

/// A device whose received frames are spoiled now and then, always so that it can be found out.
pub(crate) struct Spoil<D> {
    pub(crate) inner: D,
    pub(crate) rng: Rng,
    pub(crate) ethernet: bool,
    /// Percent of frames with a flipped bit, and of frames that are cut short.
    pub(crate) corruption: u32,
    pub(crate) truncation: u32,
    pub(crate) bleach: Bleach,
    /// From this frame with text on, a byte is changed so that it cannot be found out.
    pub(crate) undetected: Option<u64>,
}

impl<D: Device> Device for Spoil<D> {
    type Rx = Spoil<D::Rx>;
    type Tx = D::Tx;

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn split(self) -> (Self::Rx, Self::Tx) {
        let (rx, tx) = self.inner.split();
        let rx = Spoil {
            inner: rx,
            rng: self.rng,
            ethernet: self.ethernet,
            corruption: self.corruption,
            truncation: self.truncation,
            bleach: self.bleach,
            undetected: self.undetected,
        };
        (rx, tx)
    }
}

impl<R: Receive> Receive for Spoil<R> {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let before = batch.len();
        let received = self.inner.receive(now, batch)?;
        for frame in &mut batch.frames_mut()[before..] {
            if self.undetected.is_some() {
                self.lie(frame);
            }
            if let Some(bleached) = bleach(self.ethernet, &frame.data, self.bleach) {
                frame.data = bleached.into();
            }
            // What left with an open checksum, or uncut, never was on a wire.
            if frame.meta.checksum == RxChecksum::Unknown {
                self.spoil(frame);
            }
        }
        Ok(received)
    }

    fn next_ready(&self) -> Option<Instant> {
        self.inner.next_ready()
    }
}

impl<R> Spoil<R> {
    fn spoil(&mut self, frame: &mut RxFrame) {
        let len = frame.data.len();
        if self.corruption > 0 && self.rng.chance(u64::from(self.corruption)) {
            let from = if self.ethernet { 14 } else { 0 };
            if self.ethernet && frame.data.get(12..14) == Some(&[8, 6]) {
                // ARP has no checksum: the frame's own finds it out.
                frame.data.clear();
                return;
            }
            let bit = self.rng.below((len.saturating_sub(from) * 8) as u64) as usize;
            let mut copy = BytesMut::from(&frame.data[..]);
            copy[from + bit / 8] ^= 1 << (bit % 8);
            frame.data = copy.freeze();
        }
        if self.truncation > 0 && self.rng.chance(u64::from(self.truncation)) {
            frame.data.truncate(self.rng.below(len as u64) as usize);
        }
    }

    fn lie(&mut self, frame: &mut RxFrame) {
        let Some(header) = tcp_of(self.ethernet, &frame.data) else {
            return;
        };
        let text = tcp_at(self.ethernet, &frame.data).map_or(0, |at| at + header.len());
        if text >= frame.data.len() {
            return;
        }
        self.undetected = self.undetected.map(|left| left.saturating_sub(1));
        if self.undetected == Some(0) {
            let mut copy = BytesMut::from(&frame.data[..]);
            copy[text] ^= 0xff;
            frame.data = copy.freeze();
            frame.meta.checksum = RxChecksum::Verified;
        }
    }
}
