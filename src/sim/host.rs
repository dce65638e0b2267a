//! A simulated host: a real stack, its ports, its applications.
//!
//! *Owns* one turn: what arrived, time, events and applications, what leaves. *Does not* know the
//! network: frames come from and go to each port's edge.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use super::app::{App, Wake};
use super::config::PortConfig;
use super::cx::Cx;
use super::device::{Edge, SimDevice};
use super::office::Office;
use crate::base::{Instant, Seed};
use crate::device::{Coalesce, Device, DeviceError, Receive, RxBatch, Segmented, Transmit};
use crate::stack::{Config, ConfigError, InterfaceConfig, InterfaceId, More, Stack};

/// Frames that a host reads from a port at once.
const BATCH: usize = 64;

/// A host of a network.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) stack: Stack,
    pub(super) office: Office,
    ports: Vec<Port>,
    apps: Vec<Slot>,
    batch: RxBatch,
}

/// An application, away from its place while it is woken.
struct Slot {
    app: Option<Box<dyn App>>,
    started: bool,
}

struct Port {
    on: InterfaceId,
    edge: Rc<RefCell<Edge>>,
    rx: Box<dyn Receive>,
    tx: Box<dyn Transmit>,
}

impl Host {
    pub(super) fn new(name: String, seed: &Seed, tune: impl FnOnce(Config) -> Config) -> Self {
        Self {
            name,
            stack: Stack::new(tune(Config::new(*seed))),
            office: Office::new(seed),
            ports: Vec::new(),
            apps: Vec::new(),
            batch: RxBatch::new(BATCH),
        }
    }

    /// Adds a port; returns its number.
    pub(super) fn add_port(
        &mut self,
        now: Instant,
        config: &PortConfig,
    ) -> Result<usize, ConfigError> {
        let edge = Rc::default();
        let wire = SimDevice::new(config.wire_capabilities(), Rc::clone(&edge));
        let (capabilities, (rx, tx)) = match (config.offload, config.merge) {
            (false, false) => halves(wire),
            (true, false) => halves(Segmented::new(wire)),
            (false, true) => halves(Coalesce::new(wire)),
            (true, true) => halves(Coalesce::new(Segmented::new(wire))),
        };
        let interface = config.interface(InterfaceConfig::new(&capabilities));
        let on = self.stack.add_interface(now, interface)?;
        self.ports.push(Port { on, edge, rx, tx });
        Ok(self.ports.len() - 1)
    }

    pub(super) fn interface(&self, port: usize) -> Option<InterfaceId> {
        self.ports.get(port).map(|port| port.on)
    }

    /// Adds an application; returns its number.
    pub(super) fn add_app(&mut self, app: Box<dyn App>) -> usize {
        let app = Some(app);
        self.apps.push(Slot {
            app,
            started: false,
        });
        self.apps.len() - 1
    }

    pub(super) fn app(&self, number: usize) -> Option<&dyn App> {
        self.apps.get(number)?.app.as_deref()
    }

    pub(super) fn app_mut(&mut self, number: usize) -> Option<&mut dyn App> {
        self.apps.get_mut(number)?.app.as_deref_mut()
    }

    /// A frame has come to a port.
    pub(super) fn arrive(&self, port: usize, frame: Bytes) {
        self.ports[port].edge.borrow_mut().arrived.push_back(frame);
    }

    /// Does all that is to be done now; returns when there is something to do again.
    pub(super) fn turn(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        let mut again = self.receive(now)?;
        self.stack.handle_timeout(now);
        self.wake_apps(now);
        let mut next = self.office.next_alarm();
        for port in &mut self.ports {
            let progress = self.stack.poll_transmit(now, port.on, &mut *port.tx)?;
            again |= progress.more == More::Budget;
            next = earlier(next, port.tx.poll(now)?);
            next = earlier(next, port.rx.next_ready());
        }
        if again {
            return Ok(Some(now));
        }
        Ok(earlier(next, self.stack.poll_timeout()))
    }

    /// Reads what arrived; is there more than fits in a batch?
    fn receive(&mut self, now: Instant) -> Result<bool, DeviceError> {
        let mut again = false;
        for port in &mut self.ports {
            port.rx.receive(now, &mut self.batch)?;
            again |= self.batch.room() == 0;
            for frame in self.batch.drain() {
                self.stack.handle_frame(now, port.on, frame);
            }
        }
        Ok(again)
    }

    fn wake_apps(&mut self, now: Instant) {
        for number in 0..self.apps.len() {
            if !core::mem::replace(&mut self.apps[number].started, true) {
                self.wake(now, number, Wake::Start);
            }
        }
        // One that asks for now, again and again, has a turn each time: the network sees it turn.
        let asked = self.office.asked();
        while let Some((number, token)) = self.office.take_alarm(now, asked) {
            self.wake(now, number, Wake::Alarm(token));
        }
        while let Some(event) = self.stack.poll_event() {
            if let Some(number) = self.office.owner(event.id) {
                self.wake(now, number, Wake::Event(event));
            }
        }
    }

    fn wake(&mut self, now: Instant, number: usize, wake: Wake) {
        let Some(mut app) = self.apps[number].app.take() else {
            return;
        };
        app.wake(&mut self.cx(now, Some(number)), wake);
        self.apps[number].app = Some(app);
    }

    pub(super) fn cx(&mut self, now: Instant, app: Option<usize>) -> Cx<'_> {
        Cx {
            now,
            stack: &mut self.stack,
            office: &mut self.office,
            app,
        }
    }

    /// Gives away, in order, what the last turn sent over each port.
    pub(super) fn drain_sent(&self, mut take: impl FnMut(usize, Bytes)) {
        for (number, port) in self.ports.iter().enumerate() {
            for frame in port.edge.borrow_mut().sent.drain(..) {
                take(number, frame);
            }
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .field("ports", &self.ports.len())
            .field("apps", &self.apps.len())
            .finish_non_exhaustive()
    }
}

type Halves = (Box<dyn Receive>, Box<dyn Transmit>);

fn halves<D: Device>(device: D) -> (crate::device::Capabilities, Halves)
where
    D::Rx: 'static,
    D::Tx: 'static,
{
    let capabilities = *device.capabilities();
    let (rx, tx) = device.split();
    (capabilities, (Box::new(rx), Box::new(tx)))
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
