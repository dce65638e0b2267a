//! One end: a host with one port, its stack's settings, and what stands between stack and link.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use netloom::capture::Recorder;
use netloom::device::{
    Capabilities, Chance, Coalesce, Device, Displacement, Medium, QueueLimit, Segmented, WireConfig,
};
use netloom::sim::{HostConfig, PortConfig, PortDevice};
use netloom::{Config, Instant, InterfaceConfig, Seed};

use super::faults::{Fickle, Heard, Spoil, Taken};
use super::monitor::Monitor;
use super::rng::Rng;
use super::scenario::{Offload, Sabotage, Scenario, Wire};

/// How a run is watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// Prints the packets.
    pub(crate) trace: bool,
    /// Keeps all that the stacks are told, and compares them with twins in the end.
    pub(crate) twins: bool,
    /// Where each end's packets go.
    pub(crate) recorders: [Option<Recorder>; 2],
}

/// The host of end `who`.
pub(crate) fn host(scenario: &Scenario, who: usize, watch: &Watch) -> HostConfig {
    let config = config(scenario, who);
    let host = HostConfig::new(["a", "b"][who]).record(watch.twins);
    host.stack(move |_| config)
}

/// The settings of its stack.
pub(crate) fn config(scenario: &Scenario, who: usize) -> Config {
    let seed = Rng::part(scenario.seed, 40 + who as u64).next();
    Config::new(Seed::from_number(seed))
        .transmit_budget(scenario.budget[who])
        .socket_memory(scenario.memory[who])
}

/// The settings of its interface.
pub(crate) fn interface(
    scenario: &Scenario,
    who: usize,
    interface: InterfaceConfig,
) -> InterfaceConfig {
    let address = if scenario.v6 {
        format!("fd00::{}/64", who + 1)
    } else {
        format!("10.0.0.{}/24", who + 1)
    };
    interface
        .link_local(false)
        .dad_transmits(scenario.probes)
        .address(address.parse().expect("an address"))
}

pub(crate) const fn medium(scenario: &Scenario) -> Medium {
    if scenario.ethernet {
        Medium::Ethernet
    } else {
        Medium::Ip
    }
}

/// What watches an end, and what the device that it watches took.
pub(crate) struct Watched {
    pub(crate) monitor: Rc<RefCell<Monitor>>,
    pub(crate) taken: [Rc<Taken>; 2],
    pub(crate) start: Instant,
}

/// Its port.
pub(crate) fn port(
    scenario: &Scenario,
    who: usize,
    watched: &Watched,
    watch: &Watch,
) -> PortConfig {
    let (world, start) = (scenario.clone(), watched.start);
    let monitors = [(); 2].map(|()| Rc::clone(&watched.monitor));
    let taken = Rc::clone(&watched.taken[who]);
    let (trace, recorder) = (watch.trace, watch.recorders[who].clone());
    let tune = scenario.clone();
    PortConfig::new()
        .medium(medium(scenario))
        .mtu(scenario.mtu)
        .offload(false)
        .queue(scenario.queue)
        .interface_with(move |config| interface(&tune, who, config))
        .device_with(move |device| {
            let device = edge(&world, who, device);
            let told = told(&world, who, device.capabilities());
            let (rx, tx) = device.split();
            let [hears, sees] = monitors;
            let rx = Heard {
                inner: rx,
                who,
                ethernet: world.ethernet,
                monitor: hears,
                recorder: recorder.clone(),
            };
            let tx = Fickle {
                inner: tx,
                who,
                ethernet: world.ethernet,
                start,
                rng: Rng::part(world.seed, 30 + who as u64),
                faults: world.devices[who],
                stripped: world.stripped,
                asking: world.wires[who].asking,
                monitor: sees,
                recorder,
                trace,
                taken,
            };
            PortDevice::from_halves(told, rx, tx)
        })
}

/// The device in front of its link: frames are spoiled one by one, then merged, as super-segments are cut.
fn edge(scenario: &Scenario, who: usize, device: PortDevice) -> PortDevice {
    let from = scenario.wires[1 - who];
    let device = Spoil {
        inner: device,
        rng: Rng::part(scenario.seed, 10 + who as u64),
        ethernet: scenario.ethernet,
        corruption: from.corruption,
        truncation: from.truncation,
        bleach: from.bleach,
        undetected: match scenario.sabotage {
            Some(Sabotage::Wire(frame)) if who == 1 => Some(frame),
            _ => None,
        },
    };
    let device = match scenario.offloads[who] {
        Offload::None => PortDevice::new(device),
        Offload::Checksum | Offload::Full => PortDevice::new(Segmented::new(device)),
    };
    if scenario.coalesce[who] {
        PortDevice::new(Coalesce::new(device))
    } else {
        device
    }
}

/// What the stack is told of its device: at most what it can do.
fn told(scenario: &Scenario, who: usize, real: &Capabilities) -> Capabilities {
    let mut told = match scenario.offloads[who] {
        Offload::Full => *real,
        Offload::None | Offload::Checksum => Capabilities::plain(real.medium, real.mtu),
    };
    told.checksum = scenario.offloads[who] != Offload::None;
    told.queue_frames = Some(scenario.queue);
    // Half of the worlds have windows beyond that queue.
    told.receives_super_segments = scenario.offloads[who] == Offload::Full;
    told
}

/// The wire's settings for the library. What spoils frames comes behind it.
pub(crate) fn wire(wire: &Wire) -> WireConfig {
    let micros = Duration::from_micros;
    let config = WireConfig::perfect()
        .loss(Chance::percent(wire.loss))
        .duplication(Chance::percent(wire.duplication))
        .reordering(
            Chance::percent(wire.reordering),
            Displacement::Time(micros(wire.reordered_by)),
        )
        .marking(Chance::percent(wire.marks))
        .delay(micros(wire.delay))
        .jitter(micros(wire.jitter));
    match wire.rate {
        Some((rate, limit)) => config.rate(rate * 8).queue(QueueLimit::Frames(limit)),
        None => config,
    }
}
