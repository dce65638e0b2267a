//! What a host needs of a device besides the traits: a descriptor to wait on.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{CoalesceRx, ImpairRx, ImpairTx, PairRx, PairTx, Receive, SegmentedTx, Transmit};

/// A half of a device that a host can wait on with poll(2).
///
/// The descriptor of a receiving half is readable when frames wait; that of a sending half is
/// writable when a frame that was refused as full may be offered again. Both report an error or a
/// hang-up, or say "ready", when the device is gone: the next read or write tells. The two may be one
/// and the same. It is shared, so that a thread can wait on it while another one holds the half.
pub trait Pollable {
    /// The descriptor to wait on.
    ///
    /// # Errors
    /// When no descriptor can be made (EMFILE).
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>>;
}

impl<P: Pollable + ?Sized> Pollable for &mut P {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        (**self).descriptor()
    }
}

impl Pollable for PairRx {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.lane().readable.descriptor()
    }
}

impl Pollable for PairTx {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.lane().blocked.descriptor()
    }
}

impl<T: Pollable> Pollable for SegmentedTx<T> {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.inner().descriptor()
    }
}

impl<R: Pollable> Pollable for CoalesceRx<R> {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.inner().descriptor()
    }
}

impl<R: Pollable> Pollable for ImpairRx<R> {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.inner().descriptor()
    }
}

impl<T: Pollable> Pollable for ImpairTx<T> {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.inner().descriptor()
    }
}

/// A receiving half that a host can drive.
pub trait HostReceive: Receive + Pollable + Send + 'static {}
impl<R: Receive + Pollable + Send + 'static> HostReceive for R {}

/// A sending half that a host can drive.
pub trait HostTransmit: Transmit + Pollable + Send + 'static {}
impl<T: Transmit + Pollable + Send + 'static> HostTransmit for T {}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;

    use super::*;
    use crate::base::Instant;
    use crate::device::{Capabilities, Device, DeviceError, Medium, Pair, RxBatch, Sent};
    use crate::link::{TxFrame, TxMeta};

    fn ready(fd: &OwnedFd, flags: PollFlags) -> bool {
        let mut fds = [PollFd::new(fd.as_fd(), flags)];
        poll(&mut fds, PollTimeout::ZERO).unwrap();
        fds[0].revents().unwrap().intersects(flags)
    }

    #[test]
    fn descriptors_follow_the_queue_and_the_end() {
        let (a, b) = Pair::new(Capabilities::full(Medium::Ip, 1500), 2);
        let ((rx_a, mut tx_a), (mut rx_b, tx_b)) = (a.split(), b.split());
        let readable = rx_b.descriptor().unwrap();
        let writable = tx_a.descriptor().unwrap();
        let frame = TxFrame::new(&[0x45; 20], &[], TxMeta::PLAIN);
        let now = Instant::ZERO;
        assert!(!ready(&readable, PollFlags::POLLIN) && ready(&writable, PollFlags::POLLOUT));
        for _ in 0..2 {
            assert_eq!(tx_a.transmit(now, &frame).unwrap(), Sent::Taken);
        }
        assert_eq!(tx_a.transmit(now, &frame).unwrap(), Sent::Full);
        assert!(ready(&readable, PollFlags::POLLIN) && !ready(&writable, PollFlags::POLLOUT));
        let mut batch = RxBatch::new(1);
        assert_eq!(rx_b.receive(now, &mut batch).unwrap(), 1);
        assert!(ready(&readable, PollFlags::POLLIN) && ready(&writable, PollFlags::POLLOUT));
        batch.drain().for_each(drop);
        assert_eq!(rx_b.receive(now, &mut batch).unwrap(), 1);
        assert!(!ready(&readable, PollFlags::POLLIN));
        let late = rx_a.descriptor().unwrap();
        drop((rx_b, tx_b));
        assert!(
            ready(&late, PollFlags::POLLIN),
            "the end is something to read"
        );
        assert!(ready(&writable, PollFlags::POLLOUT));
    }

    /// Who waits for room hears that nobody makes any: also when the other end still sends.
    #[test]
    fn a_full_queue_whose_reader_goes_is_writable() {
        let (a, b) = Pair::new(Capabilities::full(Medium::Ip, 1500), 1);
        let ((_rx_a, mut tx_a), (rx_b, _tx_b)) = (a.split(), b.split());
        let writable = tx_a.descriptor().unwrap();
        let frame = TxFrame::new(&[0x45; 20], &[], TxMeta::PLAIN);
        let now = Instant::ZERO;
        assert_eq!(tx_a.transmit(now, &frame).unwrap(), Sent::Taken);
        assert_eq!(tx_a.transmit(now, &frame).unwrap(), Sent::Full);
        assert!(!ready(&writable, PollFlags::POLLOUT));
        drop(rx_b);
        assert!(ready(&writable, PollFlags::POLLOUT));
        assert!(matches!(
            tx_a.transmit(now, &frame),
            Err(DeviceError::Closed)
        ));
    }

    #[test]
    fn a_descriptor_asked_for_late_shows_what_is_so() {
        let (a, b) = Pair::new(Capabilities::full(Medium::Ip, 1500), 1);
        let ((_rx_a, mut tx_a), (rx_b, _tx_b)) = (a.split(), b.split());
        let payload = [Bytes::new()];
        let frame = TxFrame::new(&[0x45; 20], &payload, TxMeta::PLAIN);
        assert_eq!(tx_a.transmit(Instant::ZERO, &frame).unwrap(), Sent::Taken);
        assert!(!ready(&tx_a.descriptor().unwrap(), PollFlags::POLLOUT));
        assert!(ready(&rx_b.descriptor().unwrap(), PollFlags::POLLIN));
    }
}
