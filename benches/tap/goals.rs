//! What is to be reached, and whether it was.

use super::measure::{CUBIC, Close, Measure, Place, Table};
use super::report::TIE;
use super::rivals::{Api, Base, Rival};

/// A bound on the ratio of one rival's value to another's.
struct Goal {
    measure: Measure,
    rival: Rival,
    to: Rival,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    /// For times.
    AtMost(f64),
}

impl Bound {
    fn verdict(self, ratio: f64) -> &'static str {
        let (met, tie) = match self {
            Self::AtLeast(bound) => (ratio >= bound, ratio > bound * (1.0 - TIE)),
            Self::AtMost(bound) => (ratio <= bound, ratio < bound * (1.0 + TIE)),
        };
        match (met, tie) {
            (true, _) => "met",
            (false, true) => "tie",
            (false, false) => "MISSED",
        }
    }
}

const CHUNKS: Rival = Rival::Host(Api::Chunks, Base::Offload);
const SLICES: Rival = Rival::Host(Api::Slices, Base::Offload);
const LOOP: Rival = Rival::Loop(Base::Offload);

fn goals() -> Vec<Goal> {
    use Bound::{AtLeast, AtMost};
    let mut goals = Vec::new();
    let mut goal = |measure, rival, to, bound| {
        goals.push(Goal {
            measure,
            rival,
            to,
            bound,
        });
    };
    for bulk in [Measure::Receive(CUBIC), Measure::Send(CUBIC)] {
        goal(bulk, CHUNKS, Rival::Smoltcp, AtLeast(5.0));
        goal(bulk, CHUNKS, Rival::Kernel, AtLeast(0.6));
        goal(bulk, SLICES, Rival::Smoltcp, AtLeast(4.0));
        goal(bulk, LOOP, Rival::Smoltcp, AtLeast(6.0));
        for plain in [
            Rival::Host(Api::Chunks, Base::Plain),
            Rival::Loop(Base::Plain),
        ] {
            goal(bulk, plain, Rival::Smoltcp, AtLeast(1.1));
        }
    }
    for bulk in [Measure::Receive(CUBIC), Measure::Send(CUBIC)] {
        for api in [Api::Chunks, Api::Slices] {
            let recorded = Rival::Host(api, Base::Recorded);
            let alone = Rival::Host(api, Base::Offload);
            goal(bulk, recorded, alone, AtLeast(0.9));
        }
    }
    let ping_pong = Measure::PingPong(Place::OneCpu);
    goal(ping_pong, LOOP, Rival::Smoltcp, AtMost(0.6));
    goal(ping_pong, CHUNKS, Rival::Smoltcp, AtMost(0.8));
    goal(ping_pong, SLICES, Rival::Smoltcp, AtMost(0.8));
    let spinning = Measure::PingPong(Place::Spinning);
    goal(spinning, LOOP, Rival::Smoltcp, AtMost(1.0));
    for api in [Api::Chunks, Api::Slices] {
        let busy = Rival::Host(api, Base::Busy);
        goal(spinning, busy, Rival::Smoltcp, AtMost(1.0));
    }
    let connections = Measure::Connections(Place::OneCpu, Close::Reset);
    goal(connections, LOOP, Rival::Smoltcp, AtLeast(1.0));
    goal(connections, CHUNKS, Rival::Smoltcp, AtLeast(0.9));
    goal(connections, SLICES, Rival::Smoltcp, AtLeast(0.9));
    goals
}

/// The goals whose rows were measured.
pub(crate) fn print(table: &Table) {
    let mut head = Some("\ngoals (\"tie\": missed by less than 5 %)");
    for goal in goals() {
        let Some(ratio) = table.ratio(goal.measure, goal.rival, goal.to) else {
            continue;
        };
        if let Some(head) = head.take() {
            println!("{head}");
        }
        let (sign, bound) = match goal.bound {
            Bound::AtLeast(bound) => (">=", bound),
            Bound::AtMost(bound) => ("<=", bound),
        };
        println!(
            "  {:<7}{ratio:>6.2} {sign} {bound:<4} of {:<18}{:<28}{}",
            goal.bound.verdict(ratio),
            goal.to.name(),
            goal.rival.name(),
            short(goal.measure),
        );
    }
}

fn short(measure: Measure) -> &'static str {
    match measure {
        Measure::Receive(_) => "bulk in",
        Measure::Send(_) => "bulk out",
        Measure::PingPong(Place::OneCpu) => "ping-pong p50, one CPU",
        Measure::PingPong(Place::TwoCpus) => "ping-pong p50, two CPUs",
        Measure::PingPong(Place::Spinning) => "ping-pong p50, two CPUs, busy",
        Measure::Connections(..) => "connections per second, one CPU",
    }
}
