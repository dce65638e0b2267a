//! Two devices joined in memory: what one end sends the other receives, super-segments and partial
//! checksums included.
//!
//! *Owns* two bounded queues, and the reused chunks that their frames lie in. *Does not* lose, reorder or delay: `Impair` does. Needs no
//! descriptor: a host that waits on an end asks for one (`Pollable`), nobody else pays for it.

use core::num::NonZeroU16;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::signal::Signal;
use super::{
    CHUNK, Capabilities, Device, DeviceDrop, DeviceError, KEPT, Medium, Receive, RxBatch, Sent,
    Transmit,
};
use crate::base::{Arena, Instant};
use crate::link::{RxChecksum, RxFrame, RxMeta, TxFrame};

/// Frames that one direction of a pair holds unless another number is asked for: Linux'
/// `txqueuelen` of a TAP.
pub const PAIR_QUEUE_FRAMES: usize = 1000;

/// A pair with every offload and a queue of [`PAIR_QUEUE_FRAMES`] each way.
///
/// `mtu` is the largest IP packet on the wire, in bytes.
pub fn pair(medium: Medium, mtu: usize) -> (Pair, Pair) {
    Pair::new(Capabilities::full(medium, mtu), PAIR_QUEUE_FRAMES)
}

/// One end of an in-memory pair.
#[derive(Debug)]
pub struct Pair {
    capabilities: Capabilities,
    rx: PairRx,
    tx: PairTx,
}

impl Pair {
    /// Two ends with these capabilities and queues of `frames` frames each way (at least one).
    ///
    /// What the capabilities exclude is refused: a frame over the MTU, a partial checksum, a
    /// super-segment. `queue_frames` is set to `frames`.
    pub fn new(capabilities: Capabilities, frames: usize) -> (Self, Self) {
        let frames = frames.max(1);
        let capabilities = Capabilities {
            queue_frames: Some(frames),
            ..capabilities
        };
        let lanes = [Lane::shared(frames), Lane::shared(frames)];
        let end = |into: usize, out: usize| Self {
            capabilities,
            rx: PairRx(Arc::clone(&lanes[into])),
            tx: PairTx {
                lane: Arc::clone(&lanes[out]),
                capabilities,
            },
        };
        (end(0, 1), end(1, 0))
    }
}

impl Device for Pair {
    type Rx = PairRx;
    type Tx = PairTx;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn split(self) -> (PairRx, PairTx) {
        (self.rx, self.tx)
    }
}

/// The receiving half of a [`Pair`].
#[derive(Debug)]
pub struct PairRx(Arc<Mutex<Lane>>);

impl PairRx {
    pub(super) fn lane(&self) -> MutexGuard<'_, Lane> {
        lock(&self.0)
    }
}

impl Receive for PairRx {
    /// # Errors
    /// [`DeviceError::Closed`] when the other end is gone and everything it sent was received.
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut lane = self.lane();
        let before = batch.len();
        while batch.room() > 0 {
            let Some(sent) = lane.queue.pop_front() else {
                break;
            };
            let meta = RxMeta::new(now)
                .with_checksum(sent.checksum)
                .with_segment_size(sent.segment_size);
            batch.push(RxFrame::new(sent.data, meta));
        }
        let received = batch.len() - before;
        if received == 0 && lane.queue.is_empty() && lane.sender_gone {
            return Err(DeviceError::Closed);
        }
        lane.show();
        Ok(received)
    }
}

impl Drop for PairRx {
    fn drop(&mut self) {
        let mut lane = self.lane();
        lane.receiver_gone = true;
        lane.queue.clear();
        lane.show();
    }
}

/// The sending half of a [`Pair`].
#[derive(Debug)]
pub struct PairTx {
    lane: Arc<Mutex<Lane>>,
    capabilities: Capabilities,
}

impl PairTx {
    pub(super) fn lane(&self) -> MutexGuard<'_, Lane> {
        lock(&self.lane)
    }
}

impl Transmit for PairTx {
    /// # Errors
    /// [`DeviceError::Closed`] when the other end is gone.
    fn transmit(&mut self, _now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let mut lane = self.lane();
        if lane.receiver_gone {
            return Err(DeviceError::Closed);
        }
        if !self.capabilities.take(frame) {
            return Ok(Sent::Dropped(DeviceDrop::Refused));
        }
        if lane.queue.len() >= lane.limit {
            return Ok(Sent::Full);
        }
        let queued = lane.copy_of(frame);
        lane.queue.push_back(queued);
        lane.show();
        Ok(Sent::Taken)
    }
}

impl Drop for PairTx {
    fn drop(&mut self) {
        let mut lane = self.lane();
        lane.sender_gone = true;
        lane.show();
    }
}

/// One direction.
#[derive(Debug)]
pub(super) struct Lane {
    queue: VecDeque<Queued>,
    /// What arrives lies in reused chunks, as with a real device.
    arena: Arena,
    limit: usize,
    sender_gone: bool,
    receiver_gone: bool,
    /// Set while a receive finds a frame or the end.
    pub(super) readable: Signal,
    /// Set while a transmit finds the queue full.
    pub(super) blocked: Signal,
}

impl Lane {
    fn shared(limit: usize) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            queue: VecDeque::new(),
            arena: Arena::bounded(CHUNK, KEPT),
            limit,
            sender_gone: false,
            receiver_gone: false,
            readable: Signal::readable(),
            blocked: Signal::blocked(),
        }))
    }

    /// What a wire carries is not what its sender may write to again.
    fn copy_of(&mut self, frame: &TxFrame<'_>) -> Queued {
        let room = self.arena.room(frame.len());
        room.extend_from_slice(frame.headers);
        for slice in frame.payload {
            room.extend_from_slice(slice);
        }
        Queued {
            data: self.arena.take(),
            checksum: frame
                .meta
                .checksum
                .map_or(RxChecksum::Unknown, RxChecksum::Partial),
            segment_size: frame.meta.segment.map(|segment| segment.size),
        }
    }

    fn show(&mut self) {
        self.readable
            .set(!self.queue.is_empty() || self.sender_gone);
        self.blocked
            .set(self.queue.len() >= self.limit && !self.receiver_gone);
    }
}

/// A frame on its way: one buffer that the receiver will own.
#[derive(Debug)]
struct Queued {
    data: Bytes,
    checksum: RxChecksum,
    segment_size: Option<NonZeroU16>,
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    // Nothing under this lock leaves the queue half changed.
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{PartialChecksum, SegmentKind, Segmentation, TxMeta};

    const PLAIN: TxMeta = TxMeta::PLAIN;

    fn halves(frames: usize) -> ((PairRx, PairTx), (PairRx, PairTx)) {
        let (a, b) = Pair::new(Capabilities::full(Medium::Ip, 1500), frames);
        (a.split(), b.split())
    }

    fn send(tx: &mut PairTx, headers: &[u8]) -> Result<Sent, DeviceError> {
        tx.transmit(Instant::ZERO, &TxFrame::new(headers, &[], PLAIN))
    }

    #[test]
    fn a_super_segment_arrives_whole_with_its_metadata() {
        let ((_rx_a, mut tx_a), (mut rx_b, _tx_b)) = halves(4);
        let partial = PartialChecksum {
            start: 20,
            offset: 16,
        };
        let size = NonZeroU16::new(1460).unwrap();
        let segment = Segmentation {
            kind: SegmentKind::Tcp4,
            size,
        };
        let payload = [Bytes::from(vec![7; 40_000]), Bytes::from_static(b"tail")];
        let meta = TxMeta::offload(partial, Some(segment));
        let frame = TxFrame::new(&[0x45; 40], &payload, meta);
        assert_eq!(tx_a.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
        let mut batch = RxBatch::new(8);
        let now = Instant::from_millis(5);
        assert_eq!(rx_b.receive(now, &mut batch).unwrap(), 1);
        let got = batch.drain().next().unwrap();
        let expected = RxMeta::new(now)
            .with_checksum(RxChecksum::Partial(partial))
            .with_segment_size(Some(size));
        assert_eq!((got.meta, got.data.len()), (expected, 40_044));
        assert_eq!(got.data[..], frame.to_vec()[..]);
        assert_eq!(rx_b.receive(now, &mut batch).unwrap(), 0);
    }

    #[test]
    fn a_full_queue_is_full_and_keeps_the_order() {
        let ((_rx_a, mut tx_a), (mut rx_b, _tx_b)) = halves(2);
        assert_eq!(send(&mut tx_a, &[1]).unwrap(), Sent::Taken);
        assert_eq!(send(&mut tx_a, &[2]).unwrap(), Sent::Taken);
        assert_eq!(send(&mut tx_a, &[3]).unwrap(), Sent::Full);
        let mut batch = RxBatch::new(1);
        assert_eq!(rx_b.receive(Instant::ZERO, &mut batch).unwrap(), 1);
        assert_eq!(
            rx_b.receive(Instant::ZERO, &mut batch).unwrap(),
            0,
            "no room"
        );
        assert_eq!(batch.drain().next().unwrap().data[..], [1]);
        assert_eq!(send(&mut tx_a, &[3]).unwrap(), Sent::Taken);
        let mut batch = RxBatch::new(9);
        assert_eq!(rx_b.receive(Instant::ZERO, &mut batch).unwrap(), 2);
        let order: Vec<u8> = batch.drain().map(|f| f.data[0]).collect();
        assert_eq!(order, [2, 3]);
    }

    #[test]
    fn a_dropped_end_closes_the_other_after_what_was_sent() {
        let ((mut rx_a, mut tx_a), (rx_b, mut tx_b)) = halves(4);
        assert_eq!(send(&mut tx_b, &[9]).unwrap(), Sent::Taken);
        drop((rx_b, tx_b));
        assert!(matches!(send(&mut tx_a, &[1]), Err(DeviceError::Closed)));
        let mut batch = RxBatch::new(4);
        assert_eq!(rx_a.receive(Instant::ZERO, &mut batch).unwrap(), 1);
        assert!(matches!(
            rx_a.receive(Instant::ZERO, &mut batch),
            Err(DeviceError::Closed)
        ));
    }

    #[test]
    fn an_end_that_was_never_split_closes_too() {
        let (a, b) = pair(Medium::Ethernet, 1500);
        drop(b);
        let (_rx, mut tx) = a.split();
        assert!(matches!(send(&mut tx, &[1]), Err(DeviceError::Closed)));
    }

    #[test]
    fn what_the_capabilities_exclude_is_refused() {
        let plain = Capabilities::plain(Medium::Ethernet, 100);
        let (a, _b) = Pair::new(plain, 4);
        let (_rx, mut tx) = a.split();
        let refused = Sent::Dropped(DeviceDrop::Refused);
        assert_eq!(send(&mut tx, &[0; 114]).unwrap(), Sent::Taken);
        assert_eq!(send(&mut tx, &[0; 118]).unwrap(), Sent::Taken, "a VLAN tag");
        assert_eq!(send(&mut tx, &[0; 119]).unwrap(), refused);
        let partial = PartialChecksum {
            start: 34,
            offset: 16,
        };
        let frame = TxFrame::new(&[0; 60], &[], TxMeta::offload(partial, None));
        assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), refused);
    }
}
