//! Devices that fail in their own ways, among several of a host.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use netloom::base::MacAddr;
use netloom::capture::Reader;
use netloom::device::{DeviceCounters, DeviceWatch, PairTx, Sent, Transmit};
use netloom::link::{TxFrame, TxMeta};

use super::recording::Temporary;
use super::several::{end, ip, side, talk};
use super::*;

/// A device whose way out fails when it is told to, and whose way in fails as soon as that has.
struct Failing(Pair, Arc<Switch>);

struct FailingRx(PairRx, Arc<Switch>);

struct FailingTx(PairTx, Arc<Switch>);

/// What is known of a [`Failing`] device.
#[derive(Debug)]
struct Switch {
    fails: AtomicBool,
    failed: AtomicBool,
    /// Readable as soon as it has failed.
    readable: Arc<OwnedFd>,
    raise: UnixStream,
    /// How often its counters were asked for before any of it was closed.
    asked: AtomicUsize,
    closed: AtomicBool,
}

impl Failing {
    fn new(pair: Pair) -> (Self, Arc<Switch>) {
        let (ours, raise) = UnixStream::pair().unwrap();
        let switch = Arc::new(Switch {
            fails: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            readable: Arc::new(ours.into()),
            raise,
            asked: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        (Self(pair, Arc::clone(&switch)), switch)
    }
}

impl Device for Failing {
    type Rx = FailingRx;
    type Tx = FailingTx;

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn watch(&self) -> Option<Arc<dyn DeviceWatch>> {
        Some(Arc::clone(&self.1) as _)
    }

    fn split(self) -> (FailingRx, FailingTx) {
        let (rx, tx) = self.0.split();
        (FailingRx(rx, Arc::clone(&self.1)), FailingTx(tx, self.1))
    }
}

impl DeviceWatch for Switch {
    fn counters(&self) -> DeviceCounters {
        if !self.closed.load(Ordering::Relaxed) {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        DeviceCounters::default()
    }
}

impl Receive for FailingRx {
    fn receive(
        &mut self,
        now: netloom::Instant,
        batch: &mut RxBatch,
    ) -> Result<usize, DeviceError> {
        if self.1.failed.load(Ordering::Relaxed) {
            return Err(DeviceError::Gone);
        }
        self.0.receive(now, batch)
    }
}

impl Transmit for FailingTx {
    fn transmit(
        &mut self,
        now: netloom::Instant,
        frame: &TxFrame<'_>,
    ) -> Result<Sent, DeviceError> {
        if self.1.fails.load(Ordering::Relaxed) {
            self.1.failed.store(true, Ordering::Relaxed);
            (&self.1.raise).write_all(b"x").unwrap();
            return Err(DeviceError::Gone);
        }
        self.0.transmit(now, frame)
    }
}

impl Pollable for FailingRx {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        Ok(Arc::clone(&self.1.readable))
    }
}

impl Pollable for FailingTx {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.0.descriptor()
    }
}

impl Drop for FailingTx {
    fn drop(&mut self) {
        self.1.closed.store(true, Ordering::Relaxed);
    }
}

/// A TAP that is deleted says so to who writes, and to who reads after that: it is one device that is lost, and its interface says why.
#[test]
fn a_device_that_fails_on_its_way_out_and_then_on_its_way_in_goes_alone() {
    for grace in [Duration::ZERO, Duration::from_millis(1)] {
        let ((a, left), (b, _far)) = (pair(Medium::Ip, 1500), pair(Medium::Ip, 1500));
        let host = Host::builder(a).interface(|config| side(config, 7));
        let host = host.lead_grace(grace).spawn().unwrap();
        let left = end(left, 7);
        let (b, switch) = Failing::new(b);
        let second = host.attach(b, |config| side(config, 8)).unwrap();
        assert!(second.error().is_none());
        switch.fails.store(true, Ordering::Relaxed);
        host.ping(ip("10.8.0.2"), SHORT).unwrap_err();
        second.changes().iter().for_each(drop);
        talk(&host, &left, "10.7.0.2:0".parse().unwrap());
        assert!(host.error().is_none(), "{:?}", host.error());
        assert_eq!(host.interfaces().len(), 1);
        let why = second.error().unwrap();
        assert!(matches!(*why, DeviceError::Gone), "{why}");
        // When the host has gone its devices are closed, those that it lost before too.
        drop(host);
        assert!(switch.closed.load(Ordering::Relaxed));
        assert_eq!(switch.asked.load(Ordering::Relaxed), 1, "the last words");
    }
}

#[test]
fn a_device_that_is_taken_away_has_last_words_too() {
    let ((a, _left), (b, _far)) = (pair(Medium::Ip, 1500), pair(Medium::Ip, 1500));
    let host = Host::builder(a).spawn().unwrap();
    let (b, switch) = Failing::new(b);
    let second = host.attach(b, |config| side(config, 8)).unwrap();
    host.detach(second.id()).unwrap();
    assert!(switch.closed.load(Ordering::Relaxed));
    assert_eq!(switch.asked.load(Ordering::Relaxed), 1);
    assert!(second.error().is_none());
}

/// A user's call finds out, and then nobody has anything to do: who waits on the interface hears of it all the same.
#[test]
fn a_device_that_is_lost_by_a_call_is_closed_at_once() {
    for grace in [Duration::ZERO, Duration::from_millis(1)] {
        let ((a, _left), (b, far)) = (pair(Medium::Ip, 1500), pair(Medium::Ip, 1500));
        let host = Host::builder(a).interface(|config| side(config, 7));
        let host = host.lead_grace(grace).spawn().unwrap();
        let second = host.attach(b, |config| side(config, 8)).unwrap();
        let (rx, mut tx) = far.split();
        thread::scope(|scope| {
            let waits = scope.spawn(|| second.wait_conflict(0).unwrap_err());
            drop(rx);
            let socket = host.ping_socket().unwrap();
            let _ = socket.send(ip("10.8.0.2"), 1, 8);
            let began = Instant::now();
            // Its other end hears that the way in was closed.
            let frame = TxFrame::new(&[0x45; 20], &[], TxMeta::PLAIN);
            while tx.transmit(netloom::Instant::ZERO, &frame).is_ok() {
                assert!(began.elapsed() < LONG);
                thread::yield_now();
            }
            waits.join().unwrap();
        });
        assert!(host.error().is_none());
    }
}

/// A device that asks another thread for something as it is closed, and waits for it.
struct Slow(Pair, Asks);

struct SlowRx {
    rx: PairRx,
    _asks: Asks,
}

struct Asks {
    ask: Sender<()>,
    answer: Receiver<()>,
    /// There was none.
    locked: Arc<AtomicBool>,
}

impl Device for Slow {
    type Rx = SlowRx;
    type Tx = PairTx;

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn split(self) -> (SlowRx, PairTx) {
        let (rx, tx) = self.0.split();
        let _asks = self.1;
        (SlowRx { rx, _asks }, tx)
    }
}

impl Receive for SlowRx {
    fn receive(
        &mut self,
        now: netloom::Instant,
        batch: &mut RxBatch,
    ) -> Result<usize, DeviceError> {
        self.rx.receive(now, batch)
    }
}

impl Pollable for SlowRx {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.rx.descriptor()
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        self.ask.send(()).unwrap();
        let free = self.answer.recv_timeout(LONG / 4).is_ok();
        self.locked.store(!free, Ordering::Relaxed);
    }
}

#[test]
fn a_device_that_is_refused_is_closed_without_the_lock() {
    let (a, _left) = pair(Medium::Ip, 1500);
    let host = Host::builder(a).spawn().unwrap();
    let first = host.interfaces()[0].id();
    let locked = Arc::new(AtomicBool::new(true));
    let (b, _far) = pair(Medium::Ip, 1500);
    let ((ask, asked), (answer, answered)) = (channel(), channel());
    let asks = Asks {
        ask,
        answer: answered,
        locked: Arc::clone(&locked),
    };
    thread::scope(|scope| {
        let host = &host;
        scope.spawn(move || {
            asked.recv().unwrap();
            let _ = host.counters();
            let _ = answer.send(());
        });
        // No VLAN is named: the stack says so, when the device is open.
        let error = host
            .attach(Slow(b, asks), |config| config.over(first))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    });
    assert!(!locked.load(Ordering::Relaxed));
}

/// However often: its capture has interfaces for those alone that came.
#[test]
fn what_is_refused_costs_a_capture_nothing() {
    let file = Temporary::new("refused-capture");
    let (a, _left) = pair(Medium::Ip, 1500);
    let host = Host::builder(a).capture(&file.0).spawn().unwrap();
    for _ in 0..5 {
        let (b, _far) = pair(Medium::Ip, 1500);
        let error = host.attach(b, |config| config.address("127.0.0.1/8".parse().unwrap()));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let (b, right) = pair(Medium::Ip, 1500);
    host.attach(b, |config| side(config, 8)).unwrap();
    end(right, 8).ping(ip("10.8.0.1"), LONG).unwrap();
    drop(host);
    let frames = Reader::new(std::fs::File::open(&file.0).unwrap());
    let seen: BTreeSet<_> = frames.map(|frame| frame.interface).collect();
    assert_eq!(seen, BTreeSet::from([1]));
}

/// That another interface has an address of its own does not make up for it.
#[test]
fn an_interface_whose_only_address_another_station_has_is_not_ready() {
    let ((a, _left), (b, right)) = (pair(Medium::Ip, 1500), pair(Medium::Ethernet, 1500));
    let their = Host::builder(right).address("fd08::1/64".parse().unwrap());
    let their = their.mac(MacAddr::new([2, 0, 0, 0, 0, 9])).spawn().unwrap();
    their.wait_ready(LONG).unwrap();
    let host = Host::builder(a).interface(|config| side(config, 7));
    let host = host.spawn().unwrap();
    host.wait_ready(LONG).unwrap();
    let own = "fd08::1/64".parse().unwrap();
    let second = host.attach(b, |config| config.address(own)).unwrap();
    for error in [second.wait_ready(LONG), host.wait_ready(LONG)] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    }
}
