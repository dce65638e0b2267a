//! The wrapper device that records what the stack sends and receives.
//!
//! *Owns* nothing but the inner device and a recorder. *Does not* change a frame, its offload
//! metadata or its fate. It stands outside of [impairments](crate::device) and inside of coalescing
//! and of segmentation in software, so that a capture shows the frames of the wire. Frames are in the
//! order of their events: one that was sent stands before what answers it, though another thread
//! reads that at once.

use std::sync::Arc;

use super::recorder::Recorder;
use crate::base::Instant;
use crate::device::{
    Capabilities, Device, DeviceError, DeviceWatch, Receive, RxBatch, Sent, Transmit,
};
use crate::link::TxFrame;

/// A device whose traffic is captured, both ways, or not at all.
#[derive(Debug)]
pub struct Capture<D> {
    device: D,
    recorder: Option<Recorder>,
}

/// The receiving half of a [`Capture`].
#[derive(Debug)]
pub struct CaptureRx<R> {
    pub(super) inner: R,
    recorder: Option<Recorder>,
}

/// The sending half of a [`Capture`].
#[derive(Debug)]
pub struct CaptureTx<T> {
    pub(super) inner: T,
    recorder: Option<Recorder>,
}

impl<D: Device> Capture<D> {
    /// Records the traffic of `device`.
    ///
    /// The file is complete when both halves and all other clones of the recorder are dropped.
    pub const fn new(device: D, recorder: Recorder) -> Self {
        Self {
            device,
            recorder: Some(recorder),
        }
    }

    /// The device with nothing recorded, for code that needs one type either way.
    pub const fn off(device: D) -> Self {
        Self {
            device,
            recorder: None,
        }
    }
}

impl<D: Device> Device for Capture<D> {
    type Rx = CaptureRx<D::Rx>;
    type Tx = CaptureTx<D::Tx>;

    fn capabilities(&self) -> &Capabilities {
        self.device.capabilities()
    }

    fn without_software(self) -> Self {
        Self {
            device: self.device.without_software(),
            ..self
        }
    }

    fn watch(&self) -> Option<Arc<dyn DeviceWatch>> {
        self.device.watch()
    }

    fn split(self) -> (Self::Rx, Self::Tx) {
        let (rx, tx) = self.device.split();
        let receiving = CaptureRx {
            inner: rx,
            recorder: self.recorder.clone(),
        };
        let sending = CaptureTx {
            inner: tx,
            recorder: self.recorder,
        };
        (receiving, sending)
    }
}

impl<R: Receive> Receive for CaptureRx<R> {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let before = batch.len();
        let outcome = self.inner.receive(now, batch);
        if let Some(recorder) = &self.recorder {
            // What these answer is recorded by now, or its sender holds this.
            let _order = recorder.in_order();
            for frame in batch.frames().iter().skip(before) {
                recorder.received(frame);
            }
        }
        outcome
    }

    fn next_ready(&self) -> Option<Instant> {
        self.inner.next_ready()
    }
}

impl<T: Transmit> Transmit for CaptureTx<T> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let Some(recorder) = &self.recorder else {
            return self.inner.transmit(now, frame);
        };
        // Nothing that answers it is recorded before it is.
        let _order = recorder.in_order();
        let outcome = self.inner.transmit(now, frame)?;
        recorder.sent(now, frame, outcome);
        Ok(outcome)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.inner.poll(now)
    }

    fn wants_room(&self) -> bool {
        self.inner.wants_room()
    }
}
