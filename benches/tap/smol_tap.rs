//! netloom's TAP device as one of smoltcp's: it reads super-segments, and trusts their checksums.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use netloom::base;
use netloom::bytes::Bytes;
use netloom::device::{Device as _, Pollable, Receive, RxBatch, Tap, Transmit, TunTapRx, TunTapTx};
use netloom::link::{TxFrame, TxMeta};
use smoltcp::phy::{self, Checksum, DeviceCapabilities};
use smoltcp::time::Instant;

/// Frames read at once.
const BATCH: usize = 64;

/// The device; what it sends are frames of one MTU, whose checksums smoltcp makes.
pub(crate) struct OurTap {
    rx: TunTapRx,
    tx: TunTapTx,
    readable: Arc<OwnedFd>,
    batch: RxBatch,
    waiting: VecDeque<Bytes>,
    buffer: Vec<u8>,
    capabilities: DeviceCapabilities,
}

impl OurTap {
    pub(crate) fn new(tap: Tap) -> io::Result<Self> {
        let ours = tap.capabilities();
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = phy::Medium::Ethernet;
        capabilities.max_transmission_unit = ours.mtu + ours.medium.link_header();
        capabilities.checksum.tcp = Checksum::Tx;
        let (rx, tx) = tap.split();
        Ok(Self {
            readable: rx.descriptor()?,
            rx,
            tx,
            batch: RxBatch::new(BATCH),
            waiting: VecDeque::with_capacity(BATCH),
            buffer: Vec::new(),
            capabilities,
        })
    }

    fn sender(&mut self) -> TxToken<'_> {
        TxToken {
            tx: &mut self.tx,
            buffer: &mut self.buffer,
        }
    }
}

impl AsRawFd for OurTap {
    fn as_raw_fd(&self) -> RawFd {
        self.readable.as_raw_fd()
    }
}

impl phy::Device for OurTap {
    type RxToken<'a> = RxToken;
    type TxToken<'a> = TxToken<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }

    fn receive(&mut self, _: Instant) -> Option<(RxToken, TxToken<'_>)> {
        if self.waiting.is_empty() {
            let received = self.rx.receive(base::Instant::ZERO, &mut self.batch);
            received.expect("the device stays");
            self.waiting
                .extend(self.batch.drain().map(|frame| frame.data));
        }
        let frame = self.waiting.pop_front()?;
        Some((RxToken(frame), self.sender()))
    }

    fn transmit(&mut self, _: Instant) -> Option<TxToken<'_>> {
        Some(self.sender())
    }
}

pub(crate) struct RxToken(Bytes);

impl phy::RxToken for RxToken {
    fn consume<R, F>(self, read: F) -> R
    where
        F: FnOnce(&[u8]) -> R,
    {
        read(&self.0)
    }
}

pub(crate) struct TxToken<'a> {
    tx: &'a mut TunTapTx,
    buffer: &'a mut Vec<u8>,
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F>(self, len: usize, write: F) -> R
    where
        F: FnOnce(&mut [u8]) -> R,
    {
        self.buffer.resize(len, 0);
        let result = write(self.buffer);
        let frame = TxFrame::new(self.buffer, &[], TxMeta::PLAIN);
        // What a full device does not take is lost, as with smoltcp's own.
        let sent = self.tx.transmit(base::Instant::ZERO, &frame);
        let _ = sent.expect("the device stays");
        result
    }
}
