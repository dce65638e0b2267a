//! A switch of three ports with a wire each way, in a thread that spins, or naps where it has priority.
//!
//! *Owns* the devices' far ends and the two wires. IPv4 between the port of the receiver and the others
//! takes the wires; everything else, ARP above all, goes straight through.

use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant as Clock};

use netloom::base::{Instant, Seed};
use netloom::bytes::Bytes;
use netloom::device::{
    Capabilities, Device, Medium, Receive, RxBatch, Sent, Transmit, Wire, WireConfig, WireCounters,
};
use netloom::link::{TxFrame, TxMeta};

use crate::late::Late;
use crate::rig::pin;

/// What the wires do during a run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Towards the receiver.
    pub(crate) there: WireConfig,
    pub(crate) back: WireConfig,
    pub(crate) seed: u64,
    /// The port that the receiver is at.
    pub(crate) receiver: usize,
}

/// What the bridge saw of a run.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) there: WireCounters,
    /// From when a frame was due until it was written.
    pub(crate) late: Late,
    /// The most that a frame can have waited before it was read.
    pub(crate) unread: Late,
    /// Frames that a port had no room for, or lost.
    pub(crate) dropped: u64,
}

impl Seen {
    /// How late the bridge was for 99 frames of 100, both of its errors together.
    pub(crate) fn error(&self) -> Duration {
        self.late.percentile(99) + self.unread.percentile(99)
    }
}

enum Order {
    Begin(Box<Setup>),
    End(Sender<Seen>),
}

/// The thread of a bridge; it ends when this is dropped.
pub(crate) struct Bridge {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Bridge {
    /// Starts it with these ports on a processor of its own.
    pub(crate) fn start(ports: Vec<Port>, cpu: usize, idle: Idle) -> Self {
        let (orders, taken) = channel();
        let thread = thread::spawn(move || {
            let _ = pin(cpu..cpu + 1);
            spin(ports, &taken, idle);
        });
        Self {
            orders: Some(orders),
            thread: Some(thread),
        }
    }

    /// New wires; what was on the old ones is gone.
    pub(crate) fn begin(&self, setup: Setup) -> Result<(), Box<dyn Error>> {
        self.order(Order::Begin(Box::new(setup)))
    }

    /// What happened since, and a perfect wire from now on.
    pub(crate) fn end(&self) -> Result<Seen, Box<dyn Error>> {
        let (sender, seen) = channel();
        self.order(Order::End(sender))?;
        Ok(seen.recv()?)
    }

    fn order(&self, order: Order) -> Result<(), Box<dyn Error>> {
        let orders = self.orders.as_ref().ok_or("the bridge has ended")?;
        Ok(orders.send(order)?)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A device's far end.
pub(crate) struct Port {
    rx: Box<dyn Receive + Send>,
    tx: Box<dyn Transmit + Send>,
    mac: Option<[u8; 6]>,
    /// When it was read last.
    read: Instant,
}

impl Port {
    pub(crate) fn new<D>(device: D) -> Self
    where
        D: Device,
        D::Rx: Send + 'static,
        D::Tx: Send + 'static,
    {
        let (rx, tx) = device.split();
        Self {
            rx: Box::new(rx),
            tx: Box::new(tx),
            mac: None,
            read: Instant::ZERO,
        }
    }
}

/// What a port on the bridge is.
pub(crate) const fn capabilities() -> Capabilities {
    Capabilities::plain(Medium::Ethernet, 1500)
}

/// What a frame costs the wire, when it does nothing but queue and delay: 20 ms of 1 Gbit/s on their
/// way.
pub(crate) fn wire_nanos() -> u128 {
    const FRAMES: u64 = 500_000;
    let frame = Bytes::from(vec![0x45; 1514]);
    let config = WireConfig::perfect()
        .rate(1_000_000_000)
        .delay(Duration::from_millis(20));
    let mut wire = Wire::new(Medium::Ethernet, config, Seed::from_number(0), "cost");
    let start = Clock::now();
    for number in 0..FRAMES {
        let now = Instant::from_nanos(number * 12_112);
        wire.offer(now, frame.clone());
        std::hint::black_box(wire.take_due(now));
    }
    start.elapsed().as_nanos() / u128::from(FRAMES)
}

/// What the bridge does when it finds nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Looks again: a thread that sleeps among others gets its processor back when it is its turn.
    Spin,
    /// Leaves a share of each millisecond to others, when nothing is due if there is such a time. Only with
    /// real-time priority, which gives the processor back at once; and needed there, for the kernel
    /// takes a processor for 50 ms from a real-time thread that leaves less of a second to others.
    Nap,
}

/// More than a twentieth of the time; with the time it takes to wake, a part of what the bridge may err by.
const NAP: Duration = Duration::from_micros(60);
/// From one nap to the next, if nothing is to do, and at most.
const SOON: Duration = Duration::from_micros(400);
const LATEST: Duration = Duration::from_millis(1);

/// Frames read from a port before the next one has its turn: few, for all of them count as read at
/// once.
const BATCH: usize = 8;

struct Switch {
    ports: Vec<Port>,
    receiver: usize,
    there: Wire,
    back: Wire,
    seen: Seen,
    epoch: Clock,
}

fn spin(ports: Vec<Port>, orders: &Receiver<Order>, idle: Idle) {
    let perfect = Setup {
        there: WireConfig::perfect(),
        back: WireConfig::perfect(),
        seed: 0,
        receiver: 0,
    };
    let mut switch = Switch::new(ports, &perfect, Clock::now());
    let mut batch = RxBatch::new(BATCH);
    let mut rested = Clock::now();
    loop {
        match orders.try_recv() {
            Ok(Order::Begin(setup)) => {
                switch = Switch::new(switch.ports, &setup, switch.epoch);
            }
            Ok(Order::End(to)) => {
                let next = Switch::new(Vec::new(), &perfect, switch.epoch);
                let mut old = std::mem::replace(&mut switch, next);
                switch.ports = std::mem::take(&mut old.ports);
                old.seen.there = old.there.counters();
                let _ = to.send(old.seen);
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        let mut moved = false;
        for port in 0..switch.ports.len() {
            moved |= switch.read(port, &mut batch);
            moved |= switch.deliver();
        }
        if idle == Idle::Nap && rested.elapsed() > SOON {
            let free = !moved && !switch.is_due_within(NAP);
            if free || rested.elapsed() > LATEST {
                thread::sleep(NAP);
                rested = Clock::now();
            }
        }
    }
}

impl Switch {
    fn new(ports: Vec<Port>, setup: &Setup, epoch: Clock) -> Self {
        let wire = |config: &WireConfig, label| {
            let seed = Seed::from_number(setup.seed);
            Wire::new(Medium::Ethernet, config.clone(), seed, label)
        };
        Self {
            ports,
            receiver: setup.receiver,
            there: wire(&setup.there, "there"),
            back: wire(&setup.back, "back"),
            seen: Seen {
                there: WireCounters::default(),
                late: Late::new(),
                unread: Late::new(),
                dropped: 0,
            },
            epoch,
        }
    }

    fn now(&self) -> Instant {
        let nanos = self.epoch.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Takes frames from a port onto its wire; were there any?
    fn read(&mut self, from: usize, batch: &mut RxBatch) -> bool {
        let now = self.now();
        let port = &mut self.ports[from];
        let waited = now.since(port.read);
        port.read = now;
        let _ = port.tx.poll(now);
        if port.rx.receive(now, batch).is_err() {
            return false;
        }
        let mut any = false;
        for frame in batch.drain() {
            any = true;
            if let Some(source) = frame.data.get(6..12) {
                self.ports[from].mac = source.try_into().ok();
            }
            if frame.data.get(12..14) != Some(&[8, 0]) {
                self.switch(now, from, &frame.data);
                continue;
            }
            self.seen.unread.add(waited);
            if from == self.receiver {
                self.back.offer(now, frame.data);
            } else {
                self.there.offer(now, frame.data);
            }
        }
        any
    }

    /// Is anything due in so short a time?
    fn is_due_within(&self, time: Duration) -> bool {
        let wires = [&self.there, &self.back];
        let due = wires.into_iter().filter_map(Wire::next_due).min();
        due.is_some_and(|due| due <= self.now() + time)
    }

    /// Writes what is due; was anything?
    fn deliver(&mut self) -> bool {
        let now = self.now();
        let mut any = false;
        while let Some((due, frame)) = self.there.take_due(now) {
            self.write(now, self.receiver, &frame);
            self.note(due);
            any = true;
        }
        while let Some((due, frame)) = self.back.take_due(now) {
            self.switch(now, self.receiver, &frame);
            self.note(due);
            any = true;
        }
        any
    }

    fn note(&mut self, due: Instant) {
        let late = self.now().since(due);
        self.seen.late.add(late);
    }

    /// To the port where its destination is, or to all others.
    fn switch(&mut self, now: Instant, from: usize, frame: &Bytes) {
        let to = frame.get(..6);
        let known = self
            .ports
            .iter()
            .position(|port| port.mac.as_ref().map(|mac| &mac[..]) == to);
        match known {
            Some(port) => self.write(now, port, frame),
            None => {
                for port in (0..self.ports.len()).filter(|&port| port != from) {
                    self.write(now, port, frame);
                }
            }
        }
    }

    fn write(&mut self, now: Instant, port: usize, frame: &Bytes) {
        let frame = TxFrame::new(frame, &[], TxMeta::PLAIN);
        match self.ports[port].tx.transmit(now, &frame) {
            Ok(Sent::Taken) => {}
            Ok(_) | Err(_) => self.seen.dropped += 1,
        }
    }
}
