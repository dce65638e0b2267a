//! The device of a simulated host's port: frames of one MTU between a stack and a link.
//!
//! *Owns* what arrived and was not read, and what was sent and is not on the link yet; both live for
//! one turn of the host. *Does not* cut or merge: [`Segmented`](crate::device::Segmented) and
//! [`Coalesce`](crate::device::Coalesce) do, in front of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use crate::base::{Arena, Instant};
use crate::device::{
    Capabilities, Device, DeviceDrop, DeviceError, Receive, RxBatch, Sent, Transmit,
};
use crate::link::{RxFrame, RxMeta, TxFrame};

/// Bytes of a chunk that sent frames lie in.
const CHUNK: usize = 256 * 1024;

/// What is between a device and the link.
#[derive(Debug, Default)]
pub(super) struct Edge {
    /// Arrived, not read by the host.
    pub(super) arrived: VecDeque<Bytes>,
    /// Sent by the host, not on the link.
    pub(super) sent: Vec<Bytes>,
}

/// A device without any offload.
#[derive(Debug)]
pub(super) struct SimDevice {
    capabilities: Capabilities,
    edge: Rc<RefCell<Edge>>,
}

impl SimDevice {
    pub(super) const fn new(capabilities: Capabilities, edge: Rc<RefCell<Edge>>) -> Self {
        Self { capabilities, edge }
    }
}

impl Device for SimDevice {
    type Rx = SimRx;
    type Tx = SimTx;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn split(self) -> (SimRx, SimTx) {
        let rx = SimRx(Rc::clone(&self.edge));
        let tx = SimTx {
            capabilities: self.capabilities,
            arena: Arena::new(CHUNK),
            edge: self.edge,
        };
        (rx, tx)
    }
}

/// The receiving half.
#[derive(Debug)]
pub(super) struct SimRx(Rc<RefCell<Edge>>);

impl Receive for SimRx {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut edge = self.0.borrow_mut();
        let count = batch.room().min(edge.arrived.len());
        for data in edge.arrived.drain(..count) {
            batch.push(RxFrame::new(data, RxMeta::new(now)));
        }
        Ok(count)
    }
}

/// The sending half.
#[derive(Debug)]
pub(super) struct SimTx {
    capabilities: Capabilities,
    /// What travels is not what its sender may write to again.
    arena: Arena,
    edge: Rc<RefCell<Edge>>,
}

impl Transmit for SimTx {
    fn transmit(&mut self, _now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if !self.capabilities.take(frame) {
            return Ok(Sent::Dropped(DeviceDrop::Refused));
        }
        let room = self.arena.room(frame.len());
        room.extend_from_slice(frame.headers);
        for slice in frame.payload {
            room.extend_from_slice(slice);
        }
        self.edge.borrow_mut().sent.push(self.arena.take());
        Ok(Sent::Taken)
    }
}

/// Any receiving half.
pub(super) struct AnyRx(pub(super) Box<dyn Receive>);

impl Receive for AnyRx {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        self.0.receive(now, batch)
    }

    fn next_ready(&self) -> Option<Instant> {
        self.0.next_ready()
    }
}

/// Any sending half.
pub(super) struct AnyTx(pub(super) Box<dyn Transmit>);

impl Transmit for AnyTx {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0.transmit(now, frame)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.0.poll(now)
    }

    fn wants_room(&self) -> bool {
        self.0.wants_room()
    }
}
