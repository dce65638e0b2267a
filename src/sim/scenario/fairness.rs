//! Several flows of one kind through one queue.
//!
//! *Owns* F1. Fairness is the index of R. Jain et al., "A Quantitative Measure of Fairness", 1984: the
//! square of the sum over the count times the sum of the squares; 1 when all have the same.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use super::ends::{Control, Ends, ROOMY};
use super::path::Path;
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::sim::app::AppId;
use crate::sim::apps::{Bulk, Sink};
use crate::sim::error::SimError;
use crate::sim::network::Network;
use crate::sim::topology::Pair;
use crate::stack::ListenOptions;

/// With a queue of what the link holds in a round trip.
const LINK: Path = Path::new(Some(100_000_000), 40, Some(500_000));

pub(super) const ALL: &[Scenario] = &[
    equals("F1-reno-2", &Equals::of(Control::Reno, 2)),
    equals("F1-reno-4", &Equals::of(Control::Reno, 4)),
    equals("F1-reno-10", &Equals::of(Control::Reno, 10)),
    equals("F1-cubic-2", &Equals::of(Control::Cubic, 2)),
    equals("F1-cubic-4", &Equals::of(Control::Cubic, 4)),
    equals("F1-cubic-10", &Equals::of(Control::Cubic, 10)),
    equals("F1-bbr3-2", &Equals::of(Control::Bbr3, 2)),
    equals("F1-bbr3-4", &Equals::of(Control::Bbr3, 4)),
    equals("F1-bbr3-10", &Equals::of(Control::Bbr3, 10)),
];

const fn equals(id: &'static str, experiment: &'static Equals) -> Scenario {
    Scenario {
        id,
        title: "flows that start one after the other share a link",
        kind: Kind::Tolerance,
        seeds: 5,
        short: false,
        experiment,
    }
}

/// Equal flows that start at different times.
#[derive(Debug)]
struct Equals {
    control: Control,
    flows: u16,
}

impl Equals {
    const fn of(control: Control, flows: u16) -> Self {
        Self { control, flows }
    }
}

const BETWEEN_STARTS: Duration = Duration::from_secs(2);
const FROM: Duration = Duration::from_secs(60);
const LENGTH: Duration = Duration::from_secs(120);
/// Of one, for the index and for the link's use.
const LEAST_MILLIONTHS: u64 = 950_000;
const FIRST_PORT: u16 = 9;

impl fmt::Display for Equals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = Unit::Millionths.of(LEAST_MILLIONTHS);
        write!(
            f,
            "{LINK}; {} {} flows, buffers of {} MiB, each {} s after the one before; over {} s from {} s \
             on a fairness index and a use of the line of at least {least}",
            self.flows,
            self.control,
            ROOMY >> 20,
            BETWEEN_STARTS.as_secs(),
            LENGTH.as_secs(),
            FROM.as_secs(),
        )
    }
}

impl Experiment for Equals {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut pair = LINK.pair(run.seed())?;
        let (sender, receiver) = Ends::of(self.control).roomy().options();
        let mut sinks = Vec::new();
        for flow in 0..self.flows {
            let to = SocketAddr::new(Pair::RIGHT, FIRST_PORT + flow);
            let sink = Sink::new(to).options(ListenOptions::new(receiver.clone()));
            sinks.push(pair.network.add_app(pair.right, sink));
            let bulk = Bulk::new(to).options(sender.clone());
            let bulk = bulk.after(BETWEEN_STARTS * u32::from(flow));
            pair.network.add_app(pair.left, bulk);
        }
        run.watch(&mut pair.network, "flows", pair.left, pair.link);
        pair.network.run_for(FROM)?;
        let before = received(&pair.network, &sinks);
        pair.network.run_for(LENGTH)?;
        let after = received(&pair.network, &sinks);
        let shares: Vec<u64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        let text = shares.iter().sum::<u64>() * 8 / LENGTH.as_secs();
        let least = LEAST_MILLIONTHS..=u64::MAX;
        run.expect("fairness", jain(&shares), Unit::Millionths, least.clone());
        run.expect("utilisation", LINK.used(text), Unit::Millionths, least);
        run.watched(&mut pair.network);
        Ok(())
    }
}

fn received(network: &Network, sinks: &[AppId<Sink>]) -> Vec<u64> {
    sinks
        .iter()
        .map(|&sink| network.app(sink).bytes())
        .collect()
}

/// Jain's index in millionths; 0 for nothing at all.
pub(super) fn jain(shares: &[u64]) -> u64 {
    // 40 bits of each: the product below has room for thousands of flows.
    let longest = shares.iter().fold(0, |all, share| all | share);
    let shift = 24_u32.saturating_sub(longest.leading_zeros());
    let wide = || shares.iter().map(|&share| u128::from(share >> shift));
    let sum: u128 = wide().sum();
    let squares: u128 = wide().map(|share| share * share).sum();
    let all = squares * wide().map(|_| 1_u128).sum::<u128>();
    let index = (sum * sum * 1_000_000).checked_div(all).unwrap_or(0);
    u64::try_from(index).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_one_for_equals_and_one_over_n_for_one_who_has_all() {
        const MB: u64 = 1 << 20;
        assert_eq!(jain(&[7 * MB, 7 * MB, 7 * MB]), 1_000_000);
        assert_eq!(jain(&[0, 9 * MB, 0, 0]), 250_000);
        assert_eq!(jain(&[MB, 3 * MB]), 800_000);
        assert_eq!(jain(&[]), 0);
        assert_eq!(jain(&[0, 0]), 0);
        assert_eq!(jain(&[u64::MAX; 10]), 1_000_000);
    }
}
