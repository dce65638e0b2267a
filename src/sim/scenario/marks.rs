//! Flows that ask for ECN through a queue that marks.
//!
//! *Owns* E1: the set-up in which the authors of BBR looked at shallow marking thresholds (a link of 1 Gbit/s, a
//! round trip of 1 ms, a mark on what waited for 242 us), with RFC 3168's answer to a mark. BBRv3 takes a mark for a
//! loss, BBRv1 for nothing, and both keep three bursts of a millisecond in flight beside their model: as long as
//! the path here is three times over.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use super::ends::{Control, Ends, ROOMY};
use super::path::{ETHERNET, HEADERS};
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::base::nanos;
use crate::device::{QueueLimit, WireConfig};
use crate::sim::app::AppId;
use crate::sim::apps::{Bulk, Sink};
use crate::sim::config::PortConfig;
use crate::sim::error::SimError;
use crate::sim::link::LinkConfig;
use crate::sim::network::Network;
use crate::sim::topology::Pair;
use crate::stack::ListenOptions;
use crate::tcp::Ecn;

const RATE: u64 = 1_000_000_000;
const RTT: Duration = Duration::from_millis(1);
const CE_ABOVE: Duration = Duration::from_micros(242);
/// What all wait at most in 95 % of all glances.
const LONGEST: Duration = Duration::from_millis(1);
const GLANCE: Duration = Duration::from_micros(20);
const MTU: u64 = 1500;
const FIRST_PORT: u16 = 9;

/// The least use of the line, in millionths. One Reno flow halves its window at 1.242 of what the link holds: the
/// mean of a window between 0.621 and 1, and of 1 above, is 0.884 of the line. CUBIC keeps seven tenths.
const ALONE: [u64; 2] = [850_000, 950_000];
/// One threshold marks all flows at once. Each adds a segment in the round trip before, so that they overshoot
/// together, and what leaves right after a cut finds the queue as long: it is marked as well, and the window cut
/// again. An answer in proportion to the marks would lose less.
const TOGETHER: [u64; 2] = [800_000, 900_000];

/// What is asked of controllers that model the path, and of those of the set-up's authors.
const MODELED: u64 = 950_000;

pub(super) const ALL: &[Scenario] = &[
    marked("E1-reno-1", true, &Marked::of(Control::Reno, 1, ALONE[0])),
    marked(
        "E1-reno-4",
        true,
        &Marked::of(Control::Reno, 4, TOGETHER[0]),
    ),
    marked(
        "E1-reno-10",
        false,
        &Marked::of(Control::Reno, 10, TOGETHER[0]).long(),
    ),
    marked(
        "E1-reno-40",
        false,
        &Marked::of(Control::Reno, 40, TOGETHER[0]).long(),
    ),
    marked(
        "E1-reno-100",
        false,
        &Marked::of(Control::Reno, 100, TOGETHER[0]).long(),
    ),
    marked("E1-cubic-1", true, &Marked::of(Control::Cubic, 1, ALONE[1])),
    marked(
        "E1-cubic-4",
        true,
        &Marked::of(Control::Cubic, 4, TOGETHER[1]),
    ),
    marked(
        "E1-cubic-10",
        false,
        &Marked::of(Control::Cubic, 10, TOGETHER[1]).long(),
    ),
    marked(
        "E1-cubic-40",
        false,
        &Marked::of(Control::Cubic, 40, TOGETHER[1]).long(),
    ),
    marked(
        "E1-cubic-100",
        false,
        &Marked::of(Control::Cubic, 100, TOGETHER[1]).long(),
    ),
    marked("E1-bbr-1", true, &Marked::of(Control::Bbr, 1, MODELED)),
    marked("E1-bbr-4", true, &Marked::of(Control::Bbr, 4, MODELED)),
    marked("E1-bbr3-1", true, &Marked::of(Control::Bbr3, 1, MODELED)),
    marked("E1-bbr3-4", true, &Marked::of(Control::Bbr3, 4, MODELED)),
];

const fn marked(id: &'static str, short: bool, experiment: &'static Marked) -> Scenario {
    Scenario {
        id,
        title: "flows with ECN keep a queue short that marks, and lose nothing",
        kind: Kind::Tolerance,
        seeds: 1,
        short,
        experiment,
    }
}

/// Flows that ask for ECN.
#[derive(Debug)]
struct Marked {
    control: Control,
    flows: u16,
    /// The least use of the line, in millionths.
    least: u64,
    from: Duration,
    length: Duration,
}

impl Marked {
    const fn of(control: Control, flows: u16, least: u64) -> Self {
        Self {
            control,
            flows,
            least,
            from: Duration::from_millis(100),
            length: Duration::from_millis(300),
        }
    }

    const fn long(self) -> Self {
        Self {
            from: Duration::from_millis(500),
            length: Duration::from_secs(1),
            ..self
        }
    }
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} Mbit/s, {} ms, unlimited queue, what waited {} us is marked if it may be and passes; {} {} flows \
             with ECN, buffers of {} MiB, each {} us after the one before; over {} ms from {} ms on nothing dropped, \
             95 % of the time at most {} waits, use of the line at least {}",
            RATE / 1_000_000,
            RTT.as_millis(),
            CE_ABOVE.as_micros(),
            self.flows,
            self.control,
            ROOMY >> 20,
            BETWEEN_STARTS.as_micros(),
            self.length.as_millis(),
            self.from.as_millis(),
            Unit::Nanos.of(nanos(LONGEST)),
            Unit::Millionths.of(self.least),
        )
    }
}

const BETWEEN_STARTS: Duration = Duration::from_micros(100);

impl Experiment for Marked {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut pair = link(run.seed())?;
        let (sender, receiver) = Ends::of(self.control).roomy().options();
        let mut sinks: Vec<AppId<Sink>> = Vec::new();
        for flow in 0..self.flows {
            let to = SocketAddr::new(Pair::RIGHT, FIRST_PORT + flow);
            let sink = Sink::new(to).options(ListenOptions::new(receiver.clone()));
            sinks.push(pair.network.add_app(pair.right, sink));
            let bulk = Bulk::new(to).options(sender.clone().ecn(Ecn::Ask));
            let bulk = bulk.after(BETWEEN_STARTS * u32::from(flow));
            pair.network.add_app(pair.left, bulk);
        }
        run.watch(&mut pair.network, "flows", pair.left, pair.link);
        pair.network.run_for(self.from)?;
        let text = |network: &Network| -> u64 {
            sinks.iter().map(|&sink| network.app(sink).bytes()).sum()
        };
        let before = text(&pair.network);
        let mut waits = Vec::new();
        let until = pair.network.now() + self.length;
        while pair.network.now() < until {
            pair.network.run_for(GLANCE)?;
            let bytes = pair.network.queued(pair.link.forth()).bytes;
            let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
            waits.push(bits.saturating_mul(1_000_000_000) / RATE);
        }
        let bytes = text(&pair.network) - before;
        let wire = pair.network.wire_counters(pair.link.forth());
        let dropped = wire.overflowed + wire.refused + wire.lost;
        waits.sort_unstable();
        let wait = waits.get(waits.len() * 95 / 100).copied().unwrap_or(0);
        run.expect("dropped", dropped, Unit::Count, 0..=0);
        run.expect("queue, 95 %", wait, Unit::Nanos, 0..=nanos(LONGEST));
        let used = self.used(bytes);
        run.expect("utilisation", used, Unit::Millionths, self.least..=u64::MAX);
        run.tell("marked", wire.marked, Unit::Count);
        run.watched(&mut pair.network);
        Ok(())
    }
}

impl Marked {
    /// The share of the line that so many bytes of text are, frames counted, in millionths.
    fn used(&self, bytes: u64) -> u64 {
        let smss = u128::from(MTU - HEADERS);
        let frames = u128::from(bytes) * u128::from(MTU + ETHERNET) / smss;
        let capacity = u128::from(RATE) * self.length.as_nanos() / 8 / 1_000_000_000;
        let share = (frames * 1_000_000).checked_div(capacity).unwrap_or(0);
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

fn link(seed: u64) -> Result<Pair, SimError> {
    let wire = WireConfig::perfect().rate(RATE).delay(RTT / 2);
    let wire = wire.queue(QueueLimit::Bytes(usize::MAX));
    let there = wire.clone().ce_above(CE_ABOVE).pass_not_ect(true);
    let ports = [PortConfig::new(), PortConfig::new()];
    Pair::with(seed, LinkConfig::from((there, wire)), ports)
}
