//! What a network device is to the stack: facts, a receiving half and a sending half.
//!
//! *Owns* the traits, [`Capabilities`] and [`DeviceError`]. *Does not* open anything.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::Instant;
use crate::link::{MAX_IP_LEN, RxFrame, RxMeta, SegmentKind, SegmentKinds, Segmentation, TxFrame};

/// What frames start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Medium {
    /// An Ethernet header: TAP.
    Ethernet,
    /// An IPv4 or IPv6 header: TUN.
    Ip,
}

impl Medium {
    /// Bytes of the link header in front of the IP packet: 14 (untagged) or none.
    pub const fn link_header(self) -> usize {
        match self {
            Self::Ethernet => 14,
            Self::Ip => 0,
        }
    }
}

/// What a device can do, as it was really granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// What frames start with.
    pub medium: Medium,
    /// The largest IP packet on the wire, in bytes.
    pub mtu: usize,
    /// Are partial checksums completed by the device?
    pub checksum: bool,
    /// Are TCP super-segments over IPv4 cut by the device, or by the software at its edge?
    pub tso4: bool,
    /// The same over IPv6.
    pub tso6: bool,
    /// Are UDP super-segments cut by the device, or by the software at its edge?
    pub uso: bool,
    /// Of the kinds of super-segments that it takes, those that software at its edge cuts: each of their
    /// frames is then written by itself.
    pub cut_in_software: SegmentKinds,
    /// Frames that the other side's queue holds (`txqueuelen`); `None` when not bounded in frames or unknown.
    /// Without receive super-segments a window must fit into it.
    pub queue_frames: Option<usize>,
    /// May the other side queue super-segments for us? What a [`Coalesce`](super::Coalesce) merges
    /// behind that queue does not count: the queue fills with small frames all the same.
    pub receives_super_segments: bool,
    /// Is it one of several queues, over which the other side spreads the flows by a hash of its own?
    /// What answers a packet sent here may come by another then.
    pub one_of_several: bool,
}

impl Capabilities {
    /// A device without any offload.
    pub const fn plain(medium: Medium, mtu: usize) -> Self {
        Self {
            medium,
            mtu,
            checksum: false,
            tso4: false,
            tso6: false,
            uso: false,
            cut_in_software: SegmentKinds::empty(),
            queue_frames: None,
            receives_super_segments: false,
            one_of_several: false,
        }
    }

    /// A device that takes and gives super-segments and partial checksums of every kind.
    pub const fn full(medium: Medium, mtu: usize) -> Self {
        Self {
            checksum: true,
            tso4: true,
            tso6: true,
            uso: true,
            receives_super_segments: true,
            ..Self::plain(medium, mtu)
        }
    }
}

impl Capabilities {
    /// Would a device with these take `frame`?
    ///
    /// A partial checksum needs `checksum`; a super-segment needs its own kind and at most
    /// [`MAX_IP_LEN`] bytes of IP; anything else must fit the MTU, a VLAN tag not counted.
    pub fn take(&self, frame: &TxFrame<'_>) -> bool {
        let allowed = match frame.meta.segment.map(|segment| segment.kind) {
            None => frame.meta.checksum.is_none() || self.checksum,
            Some(SegmentKind::Tcp4) => self.tso4,
            Some(SegmentKind::Tcp6) => self.tso6,
            Some(SegmentKind::Udp) => self.uso,
        };
        let largest = match frame.meta.segment {
            None => self.mtu.min(LARGEST_MTU),
            // An IPv6 payload of 65,535 bytes stands behind a header of 40 (RFC 8200 §3).
            Some(_) => MAX_IP_LEN + 40,
        };
        allowed && frame.len() <= largest + self.medium.link_header() + VLAN_TAG
    }
}

/// The most bytes of a super-segment's payload that cost what one small frame does, when the device
/// cuts it: measured, writing 64 KiB to a TAP costs what eight small frames cost, most of it in the
/// kernel's receive path.
const BYTES_LIKE_A_FRAME: usize = 8 * 1024;

impl Capabilities {
    /// What it costs to write a frame with this payload, in small frames. A super-segment that is
    /// cut in software costs each of its frames; one that the device takes whole costs by its bytes, 8 KiB
    /// being one frame; all else costs one.
    pub fn cost(&self, payload_len: usize, segment: Option<Segmentation>) -> usize {
        let Some(Segmentation { kind, size }) = segment else {
            return 1;
        };
        let one = if self.cut_in_software.has(kind) {
            usize::from(size.get())
        } else {
            BYTES_LIKE_A_FRAME
        };
        payload_len.div_ceil(one).max(1)
    }
}

/// Above any frame, and far from the end of the numbers.
const LARGEST_MTU: usize = usize::MAX / 2;

/// Bytes of an 802.1Q tag, which no MTU counts.
const VLAN_TAG: usize = 4;

/// Why a device cannot go on. What the wire may lose is no error but [`Sent::Dropped`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The interface was deleted under the program.
    #[error("the network interface was deleted")]
    Gone,
    /// The other end of an in-memory pair was dropped.
    #[error("the other end of the pair was closed")]
    Closed,
    /// The stack has the interface no more that it stood at.
    #[error("the interface was taken away from the stack")]
    Removed,
    /// Any other failure of a read or write.
    #[error("device i/o failed: {0}")]
    Io(#[from] io::Error),
}

/// Why a device dropped a frame that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceDrop {
    /// ENOBUFS or ENOMEM.
    NoBuffers,
    /// EIO: the link is down.
    LinkDown,
    /// EINVAL or EMSGSIZE: the device refuses this frame, and would again.
    Refused,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sent {
    /// The device has it.
    Taken,
    /// The device's queue is full (EAGAIN): nothing has changed, offer it again when writable.
    Full,
    /// Lost as on the wire: count it and go on.
    Dropped(DeviceDrop),
}

/// A device: facts first, then taken apart.
pub trait Device {
    /// The receiving half.
    type Rx: Receive;
    /// The sending half.
    type Tx: Transmit;

    /// What the device can do.
    fn capabilities(&self) -> &Capabilities;

    /// The same device that promises only what its wire takes, and leaves to wrappers what software at
    /// its edge would do: a capture between shows the wire's frames. A wrapper asks the inner one.
    #[must_use]
    fn without_software(self) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// What reads the other side's counters, when it keeps any. A wrapper passes the inner one on.
    fn watch(&self) -> Option<Arc<dyn DeviceWatch>> {
        None
    }

    /// Takes the device apart, so that one thread can read while another writes.
    fn split(self) -> (Self::Rx, Self::Tx);
}

/// What the other side of a device has lost since the device was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceCounters {
    /// Frames on their way to us: the other side's queue (`txqueuelen`) was full. The kernel's
    /// `tx_dropped`.
    pub lost_inbound: u64,
    /// Frames of ours that the other side took and could do nothing with. The kernel's
    /// `rx_dropped`.
    pub lost_outbound: u64,
}

impl DeviceCounters {
    /// Every count with its name, in the order of the declaration.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self {
            lost_inbound,
            lost_outbound,
        } = *self;
        [
            ("lost_inbound", lost_inbound),
            ("lost_outbound", lost_outbound),
        ]
        .into_iter()
    }
}

/// Reads what the other side of a device counts; it may be kept when the device was taken apart.
pub trait DeviceWatch: fmt::Debug + Send + Sync {
    /// The counters now; those that were read last when the device is gone.
    fn counters(&self) -> DeviceCounters;
}

/// The receiving half of a device.
pub trait Receive {
    /// Reads frames into `batch` until it is full or, as far as is known, nothing waits; returns how many were added. Only zero says
    /// that nothing waits: who is told when a device *becomes* readable, by an edge-triggered epoll, asks until then.
    ///
    /// `now` becomes the frames' `at`. Never blocks.
    ///
    /// # Errors
    /// Only what ends the device.
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError>;

    /// When a frame that this half holds back is due; `None` when it holds none.
    fn next_ready(&self) -> Option<Instant> {
        None
    }
}

/// The sending half of a device.
pub trait Transmit {
    /// Offers one frame. Never blocks.
    ///
    /// # Errors
    /// Only what ends the device.
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError>;

    /// Sends what this half holds back, what is due, and packets of the device's own; returns when it
    /// wants to be polled again.
    ///
    /// Whoever drives a device calls this, whether the stack has frames to send or not:
    /// - after each [`receive`](Receive::receive) and before it waits, though no frame came: the
    ///   device may have taken a packet that it answers itself;
    /// - after the frames that it was offered;
    /// - when the time has come that the last call returned;
    /// - when the device has room again, as long as it [`wants_room`](Self::wants_room).
    ///
    /// A wrapper calls the inner half's in its own, whatever it holds back itself, and returns the
    /// earlier of both times.
    ///
    /// # Errors
    /// Only what ends the device.
    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        let _ = now;
        Ok(None)
    }

    /// Does it hold back frames for want of room? Then whoever drives it waits until it is writable
    /// and calls [`poll`](Self::poll).
    fn wants_room(&self) -> bool {
        false
    }
}

impl<T: Transmit + ?Sized> Transmit for &mut T {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        (**self).transmit(now, frame)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        (**self).poll(now)
    }

    fn wants_room(&self) -> bool {
        (**self).wants_room()
    }
}

impl<R: Receive + ?Sized> Receive for &mut R {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        (**self).receive(now, batch)
    }

    fn next_ready(&self) -> Option<Instant> {
        (**self).next_ready()
    }
}

impl<T: Transmit + ?Sized> Transmit for Box<T> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        (**self).transmit(now, frame)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        (**self).poll(now)
    }

    fn wants_room(&self) -> bool {
        (**self).wants_room()
    }
}

impl<R: Receive + ?Sized> Receive for Box<R> {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        (**self).receive(now, batch)
    }

    fn next_ready(&self) -> Option<Instant> {
        (**self).next_ready()
    }
}

/// Frames of a batch that room is made for beforehand; a larger one grows as it is filled.
const RESERVED: usize = 1024;

/// A bounded batch of received frames, reused from turn to turn.
#[derive(Debug)]
pub struct RxBatch {
    frames: Vec<RxFrame>,
    limit: usize,
}

impl RxBatch {
    /// An empty batch that takes at most `limit` frames (at least one).
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self {
            frames: Vec::with_capacity(limit.min(RESERVED)),
            limit,
        }
    }

    /// How many more frames it takes.
    pub fn room(&self) -> usize {
        self.limit - self.frames.len()
    }

    /// Adds a frame.
    ///
    /// # Panics
    /// When there is no [`room`](Self::room).
    pub fn push(&mut self, frame: RxFrame) {
        assert!(
            self.room() > 0,
            "a batch takes at most {} frames",
            self.limit
        );
        self.frames.push(frame);
    }

    /// Takes all frames out, oldest first.
    pub fn drain(&mut self) -> impl Iterator<Item = RxFrame> + '_ {
        self.frames.drain(..)
    }

    /// Takes out the oldest frames, one by one, until `last` says of one that it is the last one for now.
    pub(crate) fn drain_until(&mut self, mut last: impl FnMut(RxFrame) -> bool) {
        let mut taken = 0;
        for place in &mut self.frames {
            let nothing = RxFrame::new(Bytes::new(), RxMeta::new(Instant::ZERO));
            taken += 1;
            if last(core::mem::replace(place, nothing)) {
                break;
            }
        }
        self.frames.drain(..taken);
    }

    /// Keeps the frames of which `keep` says so, in their order: a wrapper's way to drop what it does not want.
    pub fn retain(&mut self, keep: impl FnMut(&RxFrame) -> bool) {
        self.frames.retain(keep);
    }

    /// The frames in it, oldest first.
    pub fn frames(&self) -> &[RxFrame] {
        &self.frames
    }

    /// The frames in it, to change in place.
    pub fn frames_mut(&mut self) -> &mut [RxFrame] {
        &mut self.frames
    }

    /// Frames in it.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Is it empty?
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU16;

    use super::*;

    #[test]
    fn a_batch_of_any_size_takes_its_frames() {
        let mut batch = RxBatch::new(usize::MAX);
        for number in 0..2000u16 {
            let data = number.to_be_bytes().to_vec().into();
            batch.push(RxFrame::new(data, RxMeta::new(Instant::ZERO)));
        }
        assert_eq!((batch.len(), batch.room()), (2000, usize::MAX - 2000));
    }

    #[test]
    fn what_is_not_retained_makes_room() {
        let mut batch = RxBatch::new(4);
        for len in 1..=4 {
            let meta = RxMeta::new(Instant::ZERO);
            batch.push(RxFrame::new(Bytes::from(vec![0; len]), meta));
        }
        batch.retain(|frame| frame.data.len() % 2 == 0);
        assert_eq!((batch.len(), batch.room()), (2, 2));
        let left: Vec<_> = batch.drain().map(|frame| frame.data.len()).collect();
        assert_eq!(left, [2, 4]);
    }

    #[test]
    fn a_frame_costs_what_is_written_for_it() {
        let full = Capabilities::full(Medium::Ip, 1500);
        let soft = Capabilities {
            cut_in_software: SegmentKinds::TCP4 | SegmentKinds::UDP,
            ..full
        };
        let cut = |kind, size| {
            let size = NonZeroU16::new(size).unwrap();
            Some(Segmentation { kind, size })
        };
        let [v4, v6] = [SegmentKind::Tcp4, SegmentKind::Tcp6].map(|kind| cut(kind, 1448));
        for (capabilities, len, segment, cost) in [
            (full, 0, None, 1),
            (full, 1460, None, 1),
            (soft, 1460, None, 1),
            // Taken whole: by its bytes.
            (full, 65_160, v4, 8),
            (full, 8192, v4, 1),
            (full, 8193, v4, 2),
            (soft, 65_160, v6, 8),
            // Cut: by its frames.
            (soft, 65_160, v4, 45),
            (soft, 1449, v4, 2),
            (soft, 1000, cut(SegmentKind::Udp, 10), 100),
            (full, 1000, cut(SegmentKind::Udp, 10), 1),
            // An odd one that has no text at all.
            (soft, 0, v4, 1),
        ] {
            assert_eq!(capabilities.cost(len, segment), cost, "{len} {segment:?}");
        }
    }
}
