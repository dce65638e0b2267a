//! One flow over one link that is good or bad in one way.
//!
//! *Owns* the link of 100 Mbit/s and 20 ms with a queue of 250 kB that the others vary.

use core::net::SocketAddr;
use core::time::Duration;

use super::run::{Ran, Run, Unit};
use super::{Kind, Scenario};
use crate::base::Instant;
use crate::device::{Chance, Displacement, QueueLimit, WireConfig};
use crate::sim::{Bulk, Pair, Sink};

const RATE: u64 = 100_000_000;
/// From the start to the end, and from where the rate is measured.
const LENGTH: Duration = Duration::from_secs(10);
const SETTLED: Instant = Instant::from_millis(2000);
/// Text in frames of 1514 bytes.
const TEXT: u64 = RATE / 1514 * 1448;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        id: "clean",
        title: "one flow fills a clean link",
        definition: "100 Mbit/s, 20 ms, queue 250 kB; one flow, 10 s, measured from 2 s on: at least 95 % of the text that the link carries",
        kind: Kind::Tolerance,
        seeds: 1,
        short: true,
        act: |run| one_flow(run, link(), Some(95)),
    },
    Scenario {
        id: "loss",
        title: "one flow, one frame in a thousand lost",
        definition: "100 Mbit/s, 20 ms, queue 250 kB, independent loss 0.1 % of what carries data; one flow, 10 s; told, not held to a number",
        kind: Kind::Tolerance,
        seeds: 5,
        short: true,
        act: |run| one_flow(run, link().loss(Chance::per_million(1000)), None),
    },
    Scenario {
        id: "reordering",
        title: "one flow, one frame in a thousand held back 5 ms",
        definition: "100 Mbit/s, 20 ms, queue 250 kB, 0.1 % of the frames held back 5 ms; one flow, 10 s; told, not held to a number",
        kind: Kind::Tolerance,
        seeds: 5,
        short: true,
        act: |run| {
            let by = Displacement::Time(Duration::from_millis(5));
            one_flow(run, link().reordering(Chance::per_million(1000), by), None)
        },
    },
    Scenario {
        id: "jitter",
        title: "one flow, 3 ms of jitter",
        definition: "100 Mbit/s, 20 ms, queue 250 kB, up to 3 ms of jitter that reorders; one flow, 10 s; told, not held to a number",
        kind: Kind::Tolerance,
        seeds: 5,
        short: true,
        act: |run| one_flow(run, link().jitter(Duration::from_millis(3)), None),
    },
];

fn link() -> WireConfig {
    WireConfig::perfect()
        .rate(RATE)
        .delay(Duration::from_millis(10))
        .queue(QueueLimit::Bytes(250_000))
}

fn one_flow(run: &mut Run, there: WireConfig, at_least_percent: Option<u64>) -> Ran {
    let mut pair = Pair::new(run.seed(), (there, link()))?;
    let to = SocketAddr::new(Pair::RIGHT, 9);
    let sink = pair.network.add_app(pair.right, Sink::new(to));
    pair.network.add_app(pair.left, Bulk::new(to));
    run.watch(&mut pair.network, "flow", pair.left, pair.link);
    pair.network.run_until(SETTLED)?;
    let before = pair.network.app(sink).bytes();
    pair.network.run_until(Instant::ZERO + LENGTH)?;
    let bytes = pair.network.app(sink).bytes() - before;
    let millis = LENGTH.saturating_sub(SETTLED.since(Instant::ZERO));
    let millis = u64::try_from(millis.as_millis()).unwrap_or(u64::MAX);
    let rate = bytes * 8 * 1000 / millis.max(1);
    match at_least_percent {
        Some(percent) => {
            let expected = TEXT / 100 * percent..=TEXT + TEXT / 100;
            run.expect("goodput", rate, Unit::BitsPerSec, expected);
        }
        None => run.tell("goodput", rate, Unit::BitsPerSec),
    }
    run.watched(&mut pair.network);
    Ok(())
}
