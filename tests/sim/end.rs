//! One end: a stack, its device, and the order in which they get their turns.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::rc::Rc;

use netloom::capture::Recorder;
use netloom::device::{
    Capabilities, Chance, Coalesce, Device, Displacement, Impair, Pair, QueueLimit, Receive,
    Transmit, WireConfig,
};
use netloom::stack::{ListenerId, Port};
use netloom::{Config, Event, Instant, InterfaceConfig, InterfaceId, Seed, Stack};

use super::faults::{Fickle, Heard, Spoil};
use super::monitor::Monitor;
use super::rng::Rng;
use super::scenario::{Offload, Sabotage, Scenario, Wire};

/// How a run is watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// Prints the packets.
    pub(crate) trace: bool,
    /// Makes a number of all frames.
    pub(crate) digest: bool,
    /// Where each end's packets go.
    pub(crate) recorders: [Option<Recorder>; 2],
}

pub(crate) struct End {
    pub(crate) stack: Stack,
    pub(crate) on: InterfaceId,
    pub(crate) listener: Option<ListenerId>,
    pub(crate) acceptable: bool,
    port: Port<Heard, Fickle>,
    /// What its stack told and no user has heard.
    pub(crate) events: Vec<Event>,
    /// When something happens here by itself, as the last turn told.
    due: Option<Instant>,
    /// Turns that were due without the clock moving.
    fired: u32,
}

// Turns that are due one after the other at one instant: more of them is a timer in the past.
const MOST_FIRED: u32 = 100;

impl End {
    pub(crate) fn new(
        scenario: &Scenario,
        who: usize,
        pair: Pair,
        start: Instant,
        monitor: &Rc<RefCell<Monitor>>,
        watch: &Watch,
    ) -> Self {
        let part = |label: u64| Rng::part(scenario.seed, label + who as u64);
        let told = told(scenario, who, pair.capabilities());
        let impaired = impairment(&scenario.wires[who]);
        let (rx, tx) = match impaired {
            Some(impairment) => {
                let seed = Seed::from_number(part(20).next());
                halves(scenario, who, Impair::new(pair, seed).sending(impairment))
            }
            None => halves(scenario, who, pair),
        };
        let (stack, on) = stack(scenario, who, start, &told);
        let rx = Heard {
            inner: rx,
            who,
            ethernet: scenario.ethernet,
            monitor: Rc::clone(monitor),
            recorder: watch.recorders[who].clone(),
        };
        let tx = Fickle {
            inner: tx,
            who,
            ethernet: scenario.ethernet,
            start,
            rng: part(30),
            faults: scenario.devices[who],
            stripped: scenario.stripped,
            monitor: Rc::clone(monitor),
            recorder: watch.recorders[who].clone(),
            trace: watch.trace,
            frames: 0,
            super_segments: 0,
            digest: watch.digest.then(DefaultHasher::new),
        };
        Self {
            stack,
            on,
            listener: None,
            acceptable: false,
            port: Port::new(on, (rx, tx)),
            events: Vec::new(),
            due: None,
            fired: 0,
        }
    }

    /// The sending half of its device.
    pub(crate) fn tx(&self) -> &Fickle {
        self.port.tx().half()
    }

    /// Has a turn; returns whether there was anything to do.
    pub(crate) fn turn(&mut self, now: Instant) -> bool {
        let was_due = self.due.is_some_and(|due| due <= now);
        self.fired += u32::from(was_due);
        assert!(self.fired <= MOST_FIRED, "always due at {now:?}");
        let (stack, events) = (&mut self.stack, &mut self.events);
        let before = events.len();
        let mut keep = |_: &mut Stack, _: Instant, event: Event| events.push(event);
        let next = self.port.turn(now, stack, &mut keep);
        let next = next.expect("the pair is whole");
        self.due = next.due;
        if next.wants_room {
            // Writable again, soon.
            let soon = now + Duration::from_micros(20);
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
        let moved = next.received + next.sent > 0 || self.events.len() > before;
        was_due || next.again || moved
    }

    /// When something happens here by itself.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due
    }

    /// The clock moves on.
    pub(crate) fn on_later(&mut self) {
        self.fired = 0;
    }
}

/// The device's halves, what end `who` receives being spoiled and merged.
fn halves<D: Device>(
    scenario: &Scenario,
    who: usize,
    device: D,
) -> (Box<dyn Receive>, Box<dyn Transmit>)
where
    D::Rx: 'static,
    D::Tx: 'static,
{
    let from = scenario.wires[1 - who];
    let device = Spoil {
        inner: device,
        rng: Rng::part(scenario.seed, 10 + who as u64),
        ethernet: scenario.ethernet,
        corruption: from.corruption,
        truncation: from.truncation,
        undetected: match scenario.sabotage {
            Some(Sabotage::Wire(frame)) if who == 1 => Some(frame),
            _ => None,
        },
    };
    if scenario.coalesce[who] {
        let (rx, tx) = Coalesce::new(device).split();
        (Box::new(rx), Box::new(tx))
    } else {
        let (rx, tx) = device.split();
        (Box::new(rx), Box::new(tx))
    }
}

/// A stack with its one interface.
pub(crate) fn stack(
    scenario: &Scenario,
    who: usize,
    start: Instant,
    told: &Capabilities,
) -> (Stack, InterfaceId) {
    let address = if scenario.v6 {
        format!("fd00::{}/64", who + 1)
    } else {
        format!("10.0.0.{}/24", who + 1)
    };
    let interface = InterfaceConfig::new(told)
        .link_local(false)
        .dad_transmits(scenario.probes)
        .address(address.parse().expect("an address"));
    let seed = Rng::part(scenario.seed, 40 + who as u64).next();
    let config = Config::new(Seed::from_number(seed))
        .transmit_budget(scenario.budget[who])
        .socket_memory(scenario.memory[who]);
    let mut stack = Stack::new(config);
    let on = stack.add_interface(start, interface).expect("it can work");
    (stack, on)
}

/// What the stack is told of its device: at most what it can do.
fn told(scenario: &Scenario, who: usize, real: &Capabilities) -> Capabilities {
    let medium = real.medium;
    let mut told = match scenario.offloads[who] {
        Offload::Full => Capabilities::full(medium, scenario.mtu),
        Offload::None | Offload::Checksum => Capabilities::plain(medium, scenario.mtu),
    };
    told.checksum = scenario.offloads[who] != Offload::None;
    told.queue_frames = real.queue_frames;
    told
}

/// The wire's settings for the library's own wrapper; `None` for a perfect one, over which
/// super-segments pass whole.
fn impairment(wire: &Wire) -> Option<WireConfig> {
    let spoils_later = Wire {
        corruption: 0,
        truncation: 0,
        reordered_by: 0,
        ..*wire
    };
    if spoils_later == Wire::PERFECT && wire.corruption + wire.truncation == 0 {
        return None;
    }
    let micros = Duration::from_micros;
    let impairment = WireConfig::perfect()
        .loss(Chance::percent(wire.loss))
        .duplication(Chance::percent(wire.duplication))
        .reordering(
            Chance::percent(wire.reordering),
            Displacement::Time(micros(wire.reordered_by)),
        )
        .delay(micros(wire.delay))
        .jitter(micros(wire.jitter));
    Some(match wire.rate {
        Some((rate, limit)) => impairment.rate(rate * 8).queue(QueueLimit::Frames(limit)),
        None => impairment,
    })
}
