//! A device that speaks for itself: a packet that it takes and answers, which no stack ever sees.
//!
//! The contract of `Transmit::poll`. Bounds are those of a packet that waits for a timer.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant as Clock};

use netloom::Instant;
use netloom::capture::{Capture, CaptureSettings, Recorder};
use netloom::device::{
    Capabilities, Coalesce, Device, DeviceError, HostReceive, HostTransmit, Impair, Medium, Pair,
    PairRx, PairTx, Pollable, Receive, RxBatch, Segmented, Sent, Transmit,
};
use netloom::host::Host;
use netloom::link::{TxFrame, TxMeta};

use super::LONG;

/// What the device takes for itself, and its answer. Neither is IP.
const KNOCK: [u8; 20] = [0x11; 20];
const ANSWER: [u8; 20] = [0x22; 20];

/// Far below the delays of any timer that the stack might have; far above a wake-up.
const SOON: Duration = Duration::from_millis(500);

struct Doorman(Pair);

struct DoormanRx(PairRx, Arc<AtomicBool>);

struct DoormanTx(PairTx, Arc<AtomicBool>);

impl Device for Doorman {
    type Rx = DoormanRx;
    type Tx = DoormanTx;

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn split(self) -> (DoormanRx, DoormanTx) {
        let (rx, tx) = self.0.split();
        let knocked = Arc::new(AtomicBool::new(false));
        (DoormanRx(rx, Arc::clone(&knocked)), DoormanTx(tx, knocked))
    }
}

impl Receive for DoormanRx {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut own = RxBatch::new(batch.room());
        self.0.receive(now, &mut own)?;
        let before = batch.len();
        for frame in own.drain() {
            if frame.data[..] == KNOCK {
                self.1.store(true, Ordering::Relaxed);
            } else {
                batch.push(frame);
            }
        }
        Ok(batch.len() - before)
    }
}

impl Transmit for DoormanTx {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0.transmit(now, frame)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        if self.1.swap(false, Ordering::Relaxed) {
            let _ = self
                .0
                .transmit(now, &TxFrame::new(&ANSWER, &[], TxMeta::PLAIN))?;
        }
        self.0.poll(now)
    }
}

impl Pollable for DoormanRx {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.0.descriptor()
    }
}

impl Pollable for DoormanTx {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.0.descriptor()
    }
}

/// Knocks at a host that sleeps, and waits for the device's answer.
fn knocked<D>(far: Pair, device: D, grace: Duration)
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let address = "10.7.0.1/24".parse().unwrap();
    let host = Host::builder(device).address(address).lead_grace(grace);
    let host = host.spawn().unwrap();
    let (mut rx, mut tx) = far.split();
    let socket = host.udp_bind("10.7.0.1:53").unwrap();
    thread::scope(|scope| {
        // Leads when it may: it holds the device while it sleeps.
        scope.spawn(|| {
            socket.set_read_timeout(Some(LONG)).unwrap();
            let _ = socket.recv_datagram();
        });
        // Some find the host asleep, others as it looks a last time before that.
        for round in 0..200 {
            let knock = TxFrame::new(&KNOCK, &[], TxMeta::PLAIN);
            assert_eq!(tx.transmit(Instant::ZERO, &knock).unwrap(), Sent::Taken);
            let began = Clock::now();
            let mut batch = RxBatch::new(1);
            let answered = loop {
                rx.receive(Instant::ZERO, &mut batch).unwrap();
                if batch.drain().any(|frame| frame.data[..] == ANSWER) {
                    break true;
                }
                if began.elapsed() > SOON {
                    break false;
                }
                thread::yield_now();
            };
            if !answered {
                host.shutdown(Duration::ZERO);
                panic!("no answer to knock {round} in {SOON:?}, grace time {grace:?}");
            }
        }
        host.shutdown(Duration::ZERO);
    });
}

#[test]
fn a_packet_that_the_device_takes_for_itself_is_answered_at_once() {
    for grace in [Duration::ZERO, Duration::from_millis(1)] {
        let new = || {
            let (near, far) = Pair::new(Capabilities::plain(Medium::Ip, 1500), 16);
            (Doorman(near), far)
        };
        let (device, far) = new();
        knocked(far, device, grace);
        let (device, far) = new();
        knocked(far, Segmented::new(Coalesce::new(device)), grace);
        let (device, far) = new();
        knocked(
            far,
            Impair::new(device, netloom::base::Seed::from_number(1)),
            grace,
        );
        let (device, far) = new();
        let settings = CaptureSettings::new(std::time::SystemTime::UNIX_EPOCH);
        let recorder = Recorder::start(io::sink(), Medium::Ip, &settings).unwrap();
        knocked(far, Capture::new(device, recorder), grace);
    }
}
