//! A simulated host: a real stack, its ports, its applications.
//!
//! *Owns* one turn: what arrived, time, events and applications, what leaves. *Does not* know the
//! network: frames come from and go to each port's edge.

use core::time::Duration;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use super::app::{App, Wake};
use super::config::{HostConfig, PortConfig};
use super::cx::Cx;
use super::device::{Edge, PortDevice, SimDevice};
use super::office::Office;
use super::recording::Log;
use crate::base::{Instant, Random, Seed};
use crate::device::{Coalesce, Device, Receive, Segmented, Transmit};
use crate::stack::{
    Config, ConfigError, Event, InterfaceConfig, InterfaceId, Journal, Port, PortError, Stack,
    turn_all,
};

/// How soon a device that says that it is full is asked again; the time of some frames.
const ASK_AGAIN: Duration = Duration::from_micros(20);

/// A host of a network.
pub(super) struct Host {
    pub(super) stack: Stack,
    pub(super) office: Office,
    /// Its stack's journal, if there is one.
    pub(super) log: Option<Log>,
    ports: Vec<Port<Box<dyn Receive>, Box<dyn Transmit>>>,
    /// By port: what is between its device and the link.
    edges: Vec<Rc<RefCell<Edge>>>,
    apps: Vec<Slot>,
    /// How late it wakes at most, and what it draws that from.
    late: (Duration, Random),
    /// A frame has come since the last turn: when that wakes it is drawn.
    called: bool,
}

/// An application.
struct Slot {
    app: Box<dyn App>,
    started: bool,
}

impl Host {
    pub(super) fn new(seed: &Seed, host: HostConfig) -> Self {
        let HostConfig {
            tune,
            record,
            journal,
            late,
            ..
        } = host;
        let config = tune(Config::new(*seed));
        let own = journal.map(|make| make(&config));
        let log = (record && own.is_none()).then(|| Log::new(config.clone()));
        let journal = own.or_else(|| log.clone().map(|log| Box::new(log) as Box<dyn Journal>));
        Self {
            stack: match journal {
                Some(journal) => Stack::recorded(config, journal),
                None => Stack::new(config),
            },
            log,
            office: Office::new(seed),
            ports: Vec::new(),
            edges: Vec::new(),
            apps: Vec::new(),
            late: (late, Random::new(seed.key("late"))),
            called: false,
        }
    }

    /// A frame has come to a port: how late that wakes it; `None` when one before it does.
    pub(super) fn call(&mut self) -> Option<Duration> {
        let called = core::mem::replace(&mut self.called, true);
        (!called).then(|| self.lateness())
    }

    /// How late it wakes this time.
    fn lateness(&mut self) -> Duration {
        let (below, random) = &mut self.late;
        let nanos = u64::try_from(below.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random.below(nanos))
    }

    /// Adds a port; returns its number.
    pub(super) fn add_port(
        &mut self,
        now: Instant,
        mut config: PortConfig,
    ) -> Result<usize, ConfigError> {
        let edge: Rc<RefCell<Edge>> = Rc::default();
        let wire = SimDevice::new(config.wire_capabilities(), config.queue, Rc::clone(&edge));
        let device = match (config.offload, config.merge) {
            (false, false) => PortDevice::new(wire),
            (true, false) => PortDevice::new(Segmented::new(wire)),
            (false, true) => PortDevice::new(Coalesce::new(wire)),
            (true, true) => PortDevice::new(Coalesce::new(Segmented::new(wire))),
        };
        let device = match config.device_with.take() {
            Some(wrap) => wrap(device),
            None => device,
        };
        let interface = config.interface(InterfaceConfig::new(device.capabilities()));
        let on = self.stack.add_interface(now, interface)?;
        self.ports.push(Port::new(on, device.split()));
        self.edges.push(edge);
        Ok(self.ports.len() - 1)
    }

    pub(super) fn interface(&self, port: usize) -> Option<InterfaceId> {
        self.ports.get(port).map(Port::interface)
    }

    /// Adds an application; returns its number.
    pub(super) fn add_app(&mut self, app: Box<dyn App>) -> usize {
        self.apps.push(Slot {
            app,
            started: false,
        });
        self.apps.len() - 1
    }

    pub(super) fn app(&self, number: usize) -> Option<&dyn App> {
        self.apps.get(number).map(|slot| &*slot.app)
    }

    pub(super) fn app_mut(&mut self, number: usize) -> Option<&mut dyn App> {
        self.apps.get_mut(number).map(|slot| &mut *slot.app)
    }

    /// A frame has come to a port.
    pub(super) fn arrive(&self, port: usize, frame: Bytes) {
        self.edges[port].borrow_mut().arrived.push_back(frame);
    }

    /// Does all that is to be done now; returns when there is something to do again.
    pub(super) fn turn(&mut self, now: Instant) -> Result<Option<Instant>, PortError> {
        self.called = false;
        self.start_and_alarm(now);
        let Self {
            stack,
            office,
            ports,
            apps,
            ..
        } = self;
        let mut tell = |stack: &mut Stack, now: Instant, event: Event| {
            if let Some(number) = office.owner(event.id) {
                wake(apps, number, Cx::of(now, stack, office), Wake::Event(event));
            }
        };
        let next = turn_all(ports, now, stack, &mut tell)?;
        if next.again {
            return Ok(Some(now));
        }
        let due = earlier(next.due, self.office.next_alarm());
        let room = next.wants_room.then(|| self.room_at(now));
        // More to do now is no waking up.
        let late = |at| if at > now { at + self.lateness() } else { at };
        Ok(earlier(due, room).map(late))
    }

    /// When a device that was full has room: its queue when the turn is over, and one that is full
    /// for a reason of its own is asked again.
    fn room_at(&self, now: Instant) -> Instant {
        if self.edges.iter().any(|edge| edge.borrow().full) {
            now
        } else {
            now + ASK_AGAIN
        }
    }

    fn start_and_alarm(&mut self, now: Instant) {
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
    }

    fn wake(&mut self, now: Instant, number: usize, reason: Wake) {
        let cx = Cx::of(now, &mut self.stack, &mut self.office);
        wake(&mut self.apps, number, cx, reason);
    }

    /// Nobody's view of the host.
    pub(super) fn cx(&mut self, now: Instant) -> Cx<'_> {
        Cx::of(now, &mut self.stack, &mut self.office)
    }

    /// Gives away, in order, what the last turn sent over each port.
    pub(super) fn drain_sent(&mut self, mut take: impl FnMut(usize, Bytes)) {
        for (number, edge) in self.edges.iter().enumerate() {
            let mut edge = edge.borrow_mut();
            edge.full = false;
            for frame in edge.sent.drain(..) {
                take(number, frame);
            }
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("ports", &self.ports.len())
            .field("apps", &self.apps.len())
            .finish_non_exhaustive()
    }
}

/// Wakes an application.
fn wake(apps: &mut [Slot], number: usize, mut cx: Cx<'_>, reason: Wake) {
    cx.app = Some(number);
    if let Some(slot) = apps.get_mut(number) {
        slot.app.wake(&mut cx, reason);
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
