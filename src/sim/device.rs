//! The device of a simulated host's port: frames of one MTU between a stack and a link.
//!
//! *Owns* what arrived and was not read, and what was sent and is not on the link yet; both live for
//! one turn of the host, after which there is room again. *Does not* cut or merge:
//! [`Segmented`](crate::device::Segmented) and [`Coalesce`](crate::device::Coalesce) do, in front of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
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
    /// A frame found no room behind these.
    pub(super) full: bool,
}

/// A device without any offload.
#[derive(Debug)]
pub(super) struct SimDevice {
    capabilities: Capabilities,
    queue: usize,
    edge: Rc<RefCell<Edge>>,
}

impl SimDevice {
    /// A device that takes `queue` frames in a turn.
    pub(super) const fn new(
        capabilities: Capabilities,
        queue: usize,
        edge: Rc<RefCell<Edge>>,
    ) -> Self {
        Self {
            capabilities,
            queue,
            edge,
        }
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
            queue: self.queue,
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
    queue: usize,
    /// What travels is not what its sender may write to again.
    arena: Arena,
    edge: Rc<RefCell<Edge>>,
}

impl Transmit for SimTx {
    fn transmit(&mut self, _now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        if !self.capabilities.take(frame) {
            return Ok(Sent::Dropped(DeviceDrop::Refused));
        }
        let mut edge = self.edge.borrow_mut();
        if edge.sent.len() >= self.queue {
            edge.full = true;
            return Ok(Sent::Full);
        }
        let room = self.arena.room(frame.len());
        room.extend_from_slice(frame.headers);
        for slice in frame.payload {
            room.extend_from_slice(slice);
        }
        edge.sent.push(self.arena.take());
        Ok(Sent::Taken)
    }
}

/// The device of a port, whatever it is made of: what [`PortConfig::device_with`] is given, and
/// gives back.
///
/// [`PortConfig::device_with`]: super::PortConfig::device_with
pub struct PortDevice {
    capabilities: Capabilities,
    rx: Box<dyn Receive>,
    tx: Box<dyn Transmit>,
}

impl PortDevice {
    /// A device of a type of your own, such as a wrapper of another port device.
    pub fn new<D: Device>(device: D) -> Self
    where
        D::Rx: 'static,
        D::Tx: 'static,
    {
        let capabilities = *device.capabilities();
        let (rx, tx) = device.split();
        Self::from_halves(capabilities, rx, tx)
    }

    /// The same from its halves, for which the stack is told these capabilities.
    pub fn from_halves(
        capabilities: Capabilities,
        rx: impl Receive + 'static,
        tx: impl Transmit + 'static,
    ) -> Self {
        Self {
            capabilities,
            rx: Box::new(rx),
            tx: Box::new(tx),
        }
    }
}

impl Device for PortDevice {
    type Rx = Box<dyn Receive>;
    type Tx = Box<dyn Transmit>;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn split(self) -> (Self::Rx, Self::Tx) {
        (self.rx, self.tx)
    }
}

impl fmt::Debug for PortDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortDevice")
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
