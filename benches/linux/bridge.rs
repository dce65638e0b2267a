//! A switch of three ports with wires for each run, in a thread that spins, or naps where it has priority.
//!
//! *Owns* the devices' far ends and the lanes. A segment from or to a TCP port of a run takes its wires;
//! everything else, ARP above all, goes straight through.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant as Clock};

use netloom::base::{Instant, Seed};
use netloom::bytes::Bytes;
use netloom::device::{
    Capabilities, Device, Medium, Receive, RxBatch, Sent, Transmit, Wire, WireConfig,
};
use netloom::link::{TxFrame, TxMeta};

use super::common::pin;
use super::lane::{Lane, Seen, Setup};
use super::rig::Failed;

enum Order {
    Begin(Box<Lane>),
    /// The lane with this TCP port.
    End(u16, Sender<Seen>),
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
            let _ = pin([cpu]);
            spin(ports, &taken, idle);
        });
        Self {
            orders: Some(orders),
            thread: Some(thread),
        }
    }

    /// Wires for a run, beside those of others.
    pub(crate) fn begin(&self, setup: Setup) -> Result<(), Failed> {
        self.order(Order::Begin(Box::new(Lane::new(setup))))
    }

    /// What happened to the run with this TCP port. Whatever comes for it from now on passes as if there were no wire.
    pub(crate) fn end(&self, port: u16) -> Result<Seen, Failed> {
        let (sender, seen) = channel();
        self.order(Order::End(port, sender))?;
        Ok(seen.recv()?)
    }

    fn order(&self, order: Order) -> Result<(), Failed> {
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

/// A tenth of the time, and more: twice what is needed, for what it takes to fall asleep and to wake is nobody's.
/// What comes in a nap is late by it, so it is short, and there are many.
const NAP: Duration = Duration::from_micros(20);
/// What a nap takes in all, where nobody else wants the processor.
const NAP_TAKES: Duration = Duration::from_micros(40);
/// From one nap to the next, if nothing is to do, and at most.
const SOON: Duration = Duration::from_micros(150);
const LATEST: Duration = Duration::from_micros(200);

/// Frames read from a port before the next one has its turn: few, for all of them count as read at
/// once.
const BATCH: usize = 8;

struct Switch {
    ports: Vec<Port>,
    /// One for each run; a few.
    lanes: Vec<Lane>,
    epoch: Clock,
}

fn spin(ports: Vec<Port>, orders: &Receiver<Order>, idle: Idle) {
    let mut switch = Switch {
        ports,
        lanes: Vec::new(),
        epoch: Clock::now(),
    };
    let mut batch = RxBatch::new(BATCH);
    let mut rested = Clock::now();
    loop {
        match orders.try_recv() {
            Ok(Order::Begin(lane)) => switch.lanes.push(*lane),
            Ok(Order::End(port, to)) => {
                let at = switch.lanes.iter().position(|lane| lane.has([port; 2]));
                if let Some(at) = at {
                    let _ = to.send(switch.lanes.swap_remove(at).end());
                }
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
            let free = !moved && !switch.is_due_within(NAP_TAKES);
            if free || rested.elapsed() > LATEST {
                thread::sleep(NAP);
                rested = Clock::now();
            }
        }
    }
}

impl Switch {
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
            let ports = tcp_ports(&frame.data);
            let mut lanes = self.lanes.iter_mut();
            match ports.and_then(|ports| lanes.find(|lane| lane.has(ports))) {
                Some(lane) => lane.offer(now, from, waited, frame.data),
                None => {
                    self.switch(now, from, &frame.data);
                }
            }
        }
        any
    }

    /// Is anything due in so short a time?
    fn is_due_within(&self, time: Duration) -> bool {
        let due = self.lanes.iter().filter_map(Lane::next_due).min();
        due.is_some_and(|due| due <= self.now() + time)
    }

    /// Writes what is due; was anything?
    fn deliver(&mut self) -> bool {
        let now = self.now();
        let mut any = false;
        for at in 0..self.lanes.len() {
            let receiver = self.lanes[at].receiver();
            while let Some((due, frame, is_there)) = self.lanes[at].take_due(now) {
                let taken = if is_there {
                    self.write(now, receiver, &frame)
                } else {
                    self.switch(now, receiver, &frame)
                };
                let late = self.now().since(due);
                self.lanes[at].note(late, taken);
                any = true;
            }
        }
        any
    }

    /// To the port where its destination is, or to all others; was there room?
    fn switch(&mut self, now: Instant, from: usize, frame: &Bytes) -> bool {
        let to = frame.get(..6);
        let known = self
            .ports
            .iter()
            .position(|port| port.mac.as_ref().map(|mac| &mac[..]) == to);
        match known {
            Some(port) => self.write(now, port, frame),
            None => {
                let others = (0..self.ports.len()).filter(|&port| port != from);
                let full = others.filter(|&port| !self.write(now, port, frame));
                full.count() == 0
            }
        }
    }

    fn write(&mut self, now: Instant, port: usize, frame: &Bytes) -> bool {
        let frame = TxFrame::new(frame, &[], TxMeta::PLAIN);
        matches!(self.ports[port].tx.transmit(now, &frame), Ok(Sent::Taken))
    }
}

/// The ports of a TCP segment over IPv4, in an Ethernet frame.
fn tcp_ports(frame: &[u8]) -> Option<[u16; 2]> {
    let ip = frame.get(14..).filter(|_| frame[12..14] == [8, 0])?;
    let tcp = ip.get(usize::from(ip.first()? & 15) * 4..)?;
    if *ip.get(9)? != 6 {
        return None;
    }
    let port = |at: usize| Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?));
    Some([port(0)?, port(2)?])
}
