//! What TAP and TUN share: the opened descriptor, reading and writing frames on it.
//!
//! Linux Documentation/networking/tuntap.rst. *Owns* the descriptor, the receive arena and the
//! meaning of its errors. *Does not* set the kernel's side up: `builder` does.
//! Invariants: one read or one write system call per frame; neither ever blocks; EINTR is retried here.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::Buf;
use nix::errno::Errno;
use nix::sys::uio::writev;

use super::kernel_watch::KernelWatch;
use super::netlink::Link;
use super::segment::{SegmentedTx, with_software};
use super::singles::Singles;
use super::{CHUNK, KEPT};
use super::{
    Capabilities, DeviceDrop, DeviceError, DeviceWatch, Medium, Pollable, Receive, RxBatch, Sent,
    Transmit, sys, virtio,
};
use crate::base::{Arena, Instant, MacAddr};
use crate::link::{MAX_IP_LEN, RxFrame, RxMeta, TxFrame};

/// The offloads that the kernel granted a device. What it did not, software does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offloads {
    /// Partial checksums in both directions (`TUN_F_CSUM`).
    pub checksum: bool,
    /// TCP super-segments over IPv4 and IPv6 (`TUN_F_TSO4`, `TUN_F_TSO6`).
    pub tso: bool,
    /// TCP super-segments that carry CWR (`TUN_F_TSO_ECN`).
    pub tso_ecn: bool,
    /// UDP super-segments over IPv4 and IPv6 (`TUN_F_USO4` and `TUN_F_USO6`, Linux 6.2).
    pub uso: bool,
}

/// An opened device, as `builder` made it.
#[derive(Debug)]
pub(super) struct TunTap {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) mac: Option<MacAddr>,
    pub(super) offloads: Offloads,
    /// What the kernel does.
    native: Capabilities,
    /// The same with what software adds.
    capabilities: Capabilities,
    virtio: bool,
    memory: Memory,
    watch: Option<Arc<KernelWatch>>,
}

/// How much memory frames are received into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Bytes of a chunk of the receive arena.
    pub(super) chunk: usize,
    /// Bytes of chunks that slices may keep.
    pub(super) kept: usize,
}

impl Memory {
    pub(super) const DEFAULT: Self = Self {
        chunk: CHUNK,
        kept: KEPT,
    };

    /// What frames are received into.
    fn arena(self) -> Arena {
        // As large as a chunk is in fact, or the bound would count it for less.
        Arena::bounded(self.chunk.max(MAX_READ), self.kept)
    }
}

/// One descriptor, attached to the interface of this name.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) fd: OwnedFd,
    pub(super) name: String,
    /// Does a virtio header stand before each frame?
    pub(super) virtio: bool,
    pub(super) offloads: Offloads,
    /// Does the interface have other queues as well?
    pub(super) one_of_several: bool,
}

impl TunTap {
    pub(super) fn new(
        queue: Queue,
        medium: Medium,
        link: &Link,
        memory: Memory,
        watch: Option<Arc<KernelWatch>>,
    ) -> Self {
        let Queue {
            fd,
            name,
            virtio,
            offloads,
            one_of_several,
        } = queue;
        let native = Capabilities {
            checksum: offloads.checksum,
            tso4: offloads.tso,
            tso6: offloads.tso,
            uso: offloads.uso,
            queue_frames: (link.queue > 0).then_some(link.queue),
            receives_super_segments: offloads.tso,
            one_of_several,
            ..Capabilities::plain(medium, link.mtu)
        };
        Self {
            fd: Arc::new(fd),
            name,
            index: link.index,
            mac: link.mac,
            offloads,
            native,
            capabilities: with_software(native),
            virtio,
            memory,
            watch,
        }
    }

    pub(super) fn watch(&self) -> Option<Arc<dyn DeviceWatch>> {
        self.watch
            .clone()
            .map(|watch| watch as Arc<dyn DeviceWatch>)
    }

    /// What the kernel does not do is not promised; the sending half passes all else on as it is.
    pub(super) fn without_software(self) -> Self {
        let capabilities = self.native;
        Self {
            capabilities,
            ..self
        }
    }

    pub(super) const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(super) fn split(self) -> (TunTapRx, TunTapTx) {
        let rx = TunTapRx {
            fd: Arc::clone(&self.fd),
            arena: self.memory.arena(),
            virtio: self.virtio,
            bad_headers: 0,
            singles: Singles::default(),
        };
        let tx = KernelTx {
            fd: self.fd,
            virtio: self.virtio,
        };
        (rx, TunTapTx(SegmentedTx::new(tx, self.native)))
    }
}

/// The longest thing to be read: virtio and Ethernet headers, a VLAN tag, the longest IPv6 packet.
const MAX_READ: usize = virtio::LEN + 14 + 4 + 40 + MAX_IP_LEN;

/// The receiving half of a [`Tap`](super::Tap) or [`Tun`](super::Tun).
#[derive(Debug)]
pub struct TunTapRx {
    fd: Arc<OwnedFd>,
    arena: Arena,
    virtio: bool,
    bad_headers: u64,
    singles: Singles,
}

impl TunTapRx {
    /// Frames whose virtio header made no sense; they were taken as plain ones, their checksums unknown.
    pub const fn bad_headers(&self) -> u64 {
        self.bad_headers
    }

    /// Frames that were copied because more of the receive buffer was kept than
    /// [`kept_memory`](super::Builder::kept_memory) allows.
    pub const fn copied_frames(&self) -> u64 {
        self.arena.copies()
    }

    /// Reads one frame; `None` when none waits.
    fn read(&mut self, now: Instant) -> Result<Option<RxFrame>, DeviceError> {
        let room = self.arena.room(MAX_READ);
        debug_assert!(room.is_empty(), "what was read is taken");
        let read = loop {
            match sys::read_into(&self.fd, room) {
                Err(Errno::EINTR) => {}
                // EIO: the link is down, and nothing can come.
                Err(Errno::EAGAIN | Errno::EIO | Errno::ENETDOWN | Errno::ENOMEM) => {
                    return Ok(None);
                }
                Err(error) => return Err(fatal(error)),
                Ok(read) => break read,
            }
        };
        let mut data = self.arena.take();
        let mut meta = RxMeta::new(now);
        if self.virtio
            && let Some(header) = data.first_chunk::<{ virtio::LEN }>()
        {
            let said = virtio::parse(header, read - virtio::LEN);
            self.bad_headers += u64::from(!said.valid);
            meta = meta
                .with_checksum(said.checksum)
                .with_segment_size(said.segment_size);
            data.advance(virtio::LEN);
        }
        // An end of file and a header without a frame are nothing to the stack.
        Ok((!data.is_empty()).then(|| RxFrame::new(data, meta)))
    }
}

impl Receive for TunTapRx {
    /// # Errors
    /// [`DeviceError::Gone`] when the interface was deleted, once all it held was read.
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut received = 0;
        while batch.room() > 0 {
            match self.read(now) {
                Ok(Some(frame)) => batch.push(frame),
                Ok(None) => {
                    self.singles.nothing_behind(received);
                    break;
                }
                Err(_) if received > 0 => break,
                Err(error) => return Err(error),
            }
            received += 1;
            if received == 1 && self.singles.is_trusted() {
                break;
            }
        }
        Ok(received)
    }
}

/// The sending half of a [`Tap`](super::Tap) or [`Tun`](super::Tun): one `writev` per frame where the
/// kernel has the offload that the frame needs, else one per frame cut from it.
#[derive(Debug)]
pub struct TunTapTx(SegmentedTx<KernelTx>);

impl Transmit for TunTapTx {
    /// # Errors
    /// [`DeviceError::Gone`] when the interface was deleted.
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

/// The descriptor as the kernel has it, without any help.
#[derive(Debug)]
struct KernelTx {
    fd: Arc<OwnedFd>,
    virtio: bool,
}

impl Transmit for KernelTx {
    fn transmit(&mut self, _now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        /// Slices for which a place on the stack is kept; more of them cost an allocation.
        const FEW: usize = 14;
        let header = virtio::emit(frame);
        let header = if self.virtio { &header[..] } else { &[] };
        if frame.payload.len() <= FEW {
            let mut slices = [IoSlice::new(&[]); FEW + 2];
            slices[0] = IoSlice::new(header);
            slices[1] = IoSlice::new(frame.headers);
            for (slice, payload) in slices[2..].iter_mut().zip(frame.payload) {
                *slice = IoSlice::new(payload);
            }
            return write(&self.fd, &slices[..2 + frame.payload.len()]);
        }
        self.transmit_many(header, frame)
    }
}

/// The most slices of one `writev` (IOV_MAX, limits.h).
const MOST_SLICES: usize = 1024;

impl KernelTx {
    /// Sends a frame of many slices; those that one `writev` cannot take are merged by copy.
    fn transmit_many(&self, header: &[u8], frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let single = frame.payload.len().min(MOST_SLICES - 3);
        let (single, merged) = frame.payload.split_at(single);
        let rest = merged.concat();
        let mut slices = Vec::with_capacity(single.len() + 3);
        slices.push(IoSlice::new(header));
        slices.push(IoSlice::new(frame.headers));
        slices.extend(single.iter().map(|payload| IoSlice::new(payload)));
        slices.push(IoSlice::new(&rest));
        write(&self.fd, &slices)
    }
}

fn write(fd: &OwnedFd, slices: &[IoSlice<'_>]) -> Result<Sent, DeviceError> {
    loop {
        return match writev(fd, slices) {
            Ok(_) => Ok(Sent::Taken),
            Err(Errno::EINTR) => continue,
            Err(error) => outcome(error),
        };
    }
}

/// What a failed write means (r66 in docs/regressions.md).
fn outcome(error: Errno) -> Result<Sent, DeviceError> {
    Ok(match error {
        Errno::EAGAIN => Sent::Full,
        Errno::ENOBUFS | Errno::ENOMEM => Sent::Dropped(DeviceDrop::NoBuffers),
        Errno::EIO | Errno::ENETDOWN => Sent::Dropped(DeviceDrop::LinkDown),
        Errno::EINVAL | Errno::EMSGSIZE => Sent::Dropped(DeviceDrop::Refused),
        _ => return Err(fatal(error)),
    })
}

/// What a failed call means that no retry mends.
fn fatal(error: Errno) -> DeviceError {
    match error {
        // The descriptor is good, but what it was attached to is not there any more.
        Errno::EBADFD | Errno::ENODEV | Errno::ENXIO => DeviceError::Gone,
        _ => DeviceError::Io(error.into()),
    }
}

impl AsFd for TunTapRx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsFd for TunTapTx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.inner().fd.as_fd()
    }
}

impl Pollable for TunTapRx {
    fn descriptor(&self) -> std::io::Result<Arc<OwnedFd>> {
        Ok(Arc::clone(&self.fd))
    }
}

impl Pollable for TunTapTx {
    fn descriptor(&self) -> std::io::Result<Arc<OwnedFd>> {
        Ok(Arc::clone(&self.0.inner().fd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::os::unix::net::UnixDatagram;

    use crate::link::TxMeta;

    /// r66: what the kernel may answer, and what becomes of the frame.
    #[test]
    fn r66_errors_of_a_write() {
        let refused = Sent::Dropped(DeviceDrop::Refused);
        for (errno, sent) in [
            (Errno::EAGAIN, Sent::Full),
            (Errno::ENOBUFS, Sent::Dropped(DeviceDrop::NoBuffers)),
            (Errno::ENOMEM, Sent::Dropped(DeviceDrop::NoBuffers)),
            (Errno::EIO, Sent::Dropped(DeviceDrop::LinkDown)),
            (Errno::EINVAL, refused),
            (Errno::EMSGSIZE, refused),
        ] {
            assert_eq!(outcome(errno).unwrap(), sent, "{errno}");
        }
        assert!(matches!(outcome(Errno::EBADFD), Err(DeviceError::Gone)));
        assert!(matches!(outcome(Errno::EFAULT), Err(DeviceError::Io(_))));
    }

    #[test]
    fn any_number_of_slices_is_one_write() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut tx = KernelTx {
            fd: Arc::new(near.into()),
            virtio: true,
        };
        for count in [0, 1, 14, 15, 1021, 1022, 3000] {
            let payload: Vec<Bytes> = (0..count).map(|_| Bytes::from_static(b"abcde")).collect();
            let frame = TxFrame::new(&[7; 54], &payload, TxMeta::PLAIN);
            assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
            let mut got = vec![0; 70_000];
            let len = far.recv(&mut got).unwrap();
            assert_eq!(got[..virtio::LEN], [0; virtio::LEN]);
            assert_eq!(got[virtio::LEN..len], frame.to_vec()[..], "{count} slices");
        }
    }

    /// r66: a full queue leaves the frame with the caller, and it goes when there is room again.
    #[test]
    fn r66_a_full_queue_is_full() {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut tx = KernelTx {
            fd: Arc::new(near.into()),
            virtio: false,
        };
        let payload = [Bytes::from(vec![1; 9000])];
        let frame = TxFrame::new(&[7; 54], &payload, TxMeta::PLAIN);
        let mut taken = 0;
        while tx.transmit(Instant::ZERO, &frame).unwrap() == Sent::Taken {
            taken += 1;
        }
        assert!(taken > 0);
        assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Full);
        for _ in 0..taken {
            assert_eq!(far.recv(&mut [0; 10_000]).unwrap(), 9054);
        }
        assert_eq!(tx.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
    }

    /// A chunk that is too small for a frame is larger than it was asked to be, and counts as that.
    #[test]
    fn small_chunks_keep_no_more_memory_than_large_ones() {
        const KEPT: usize = 1 << 20;
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        for chunk in [1, 4096, 1 << 18] {
            let memory = Memory { chunk, kept: KEPT };
            let mut rx = TunTapRx {
                fd: Arc::new(near.try_clone().unwrap().into()),
                arena: memory.arena(),
                virtio: false,
                bad_headers: 0,
                singles: Singles::default(),
            };
            let mut kept = Vec::new();
            for _ in 0..3000 {
                far.send(&[7; 60]).unwrap();
                kept.extend(rx.read(Instant::ZERO).unwrap());
            }
            assert_eq!(kept.len(), 3000);
            // And the one that is copied from.
            let largest = chunk.max(MAX_READ) as u64;
            let made = rx.arena.made() * largest;
            assert!(made <= KEPT as u64 + largest, "{chunk}: {made}");
        }
    }

    /// Frames that come one by one are not looked behind each time; what does wait there is read by the next looks, all of it.
    #[test]
    fn what_comes_alone_hides_nothing() {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut rx = TunTapRx {
            fd: Arc::new(near.into()),
            arena: Arena::new(1 << 18),
            virtio: false,
            bad_headers: 0,
            singles: Singles::default(),
        };
        let mut batch = RxBatch::new(64);
        let mut look = |frames: usize| {
            (0..frames).for_each(|_| assert_eq!(far.send(&[7; 60]).unwrap(), 60));
            let received = rx.receive(Instant::ZERO, &mut batch).unwrap();
            assert_eq!(batch.drain().count(), received);
            received
        };
        assert_eq!(look(3), 3);
        assert!((0..9).all(|_| look(1) == 1));
        let mut batches = vec![look(20)];
        while batches.last() != Some(&0) {
            batches.push(look(0));
        }
        assert_eq!(batches.iter().sum::<usize>(), 20);
        assert_eq!(batches, [1, 1, 1, 1, 1, 1, 1, 1, 12, 0]);
        assert_eq!(look(5), 5);
    }

    #[test]
    fn a_batch_is_read_until_it_is_full_or_nothing_waits() {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut rx = TunTapRx {
            fd: Arc::new(near.into()),
            arena: Arena::new(1 << 18),
            virtio: true,
            bad_headers: 0,
            singles: Singles::default(),
        };
        for i in 0..5u8 {
            let mut frame = vec![0; virtio::LEN];
            frame[1] = if i == 4 { 3 } else { 0 };
            frame.extend([i; 60]);
            far.send(&frame).unwrap();
        }
        let mut batch = RxBatch::new(3);
        let now = Instant::from_millis(7);
        assert_eq!(rx.receive(now, &mut batch).unwrap(), 3);
        assert!(
            batch
                .drain()
                .all(|f| f.meta.at == now && f.data.len() == 60)
        );
        assert_eq!(rx.receive(now, &mut batch).unwrap(), 2);
        assert_eq!(batch.frames()[1].data[..], [4; 60]);
        assert_eq!(rx.bad_headers(), 1);
        assert_eq!(rx.receive(now, &mut batch).unwrap(), 0);
    }
}
