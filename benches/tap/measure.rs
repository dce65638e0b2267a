//! What is measured, in which order, and what came of it.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use super::client;
use super::common::{median, pin};
use super::machine::{CLIENT_CPU, RIVAL_CPU};
use super::rivals::{Base, Rival, Service};
use super::servers::Servers;
use super::settings::Settings;

/// The kernel's congestion control wherever nothing else is said.
pub(crate) const CUBIC: &str = "cubic";
pub(crate) const BBR: &str = "bbr";

/// Where client and rival run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    OneCpu,
    TwoCpus,
    /// Two, and whoever can polls instead of sleeping. On one CPU it would starve the client.
    Spinning,
}

impl Place {
    const fn client_cpu(self) -> usize {
        match self {
            Self::OneCpu => RIVAL_CPU,
            Self::TwoCpus | Self::Spinning => CLIENT_CPU,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::OneCpu => format!("one CPU: client and rival on CPU {RIVAL_CPU}"),
            Self::TwoCpus => {
                format!("two CPUs: client on CPU {CLIENT_CPU}, rival on CPU {RIVAL_CPU}")
            }
            Self::Spinning => format!(
                "two CPUs: client on CPU {CLIENT_CPU}, rival polling busily on CPU {RIVAL_CPU}"
            ),
        }
    }
}

/// How a client ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Close {
    /// SO_LINGER of zero.
    Reset,
    /// FIN there, FIN back.
    Fin,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// Bulk from the client, with this congestion control.
    Receive(&'static str),
    /// Bulk to the client; a kernel's sender gets this congestion control.
    Send(&'static str),
    /// One byte there and back.
    PingPong(Place),
    /// Connect and close.
    Connections(Place, Close),
}

impl Measure {
    pub(crate) const ALL: [Self; 11] = [
        Self::Receive(CUBIC),
        Self::Send(CUBIC),
        Self::Receive(BBR),
        Self::Send(BBR),
        Self::PingPong(Place::OneCpu),
        Self::PingPong(Place::TwoCpus),
        Self::PingPong(Place::Spinning),
        Self::Connections(Place::OneCpu, Close::Reset),
        Self::Connections(Place::OneCpu, Close::Fin),
        Self::Connections(Place::TwoCpus, Close::Reset),
        Self::Connections(Place::TwoCpus, Close::Fin),
    ];

    pub(crate) fn title(self) -> String {
        match self {
            Self::Receive(name) => format!("bulk, kernel ({name}) to rival"),
            Self::Send(name) => format!("bulk, rival to kernel (a kernel's own sender: {name})"),
            Self::PingPong(_) => "ping-pong of 1 byte".to_owned(),
            Self::Connections(_, Close::Reset) => "connect and reset".to_owned(),
            Self::Connections(_, Close::Fin) => "connect and FIN".to_owned(),
        }
    }

    pub(crate) const fn place(self) -> Place {
        match self {
            Self::Receive(_) | Self::Send(_) => Place::TwoCpus,
            Self::PingPong(place) | Self::Connections(place, _) => place,
        }
    }

    /// Only a kernel can be told its sender's congestion control; only some can poll.
    pub(crate) fn suits(self, rival: Rival) -> bool {
        match (self, rival) {
            (Self::PingPong(Place::Spinning), _) => matches!(
                rival,
                Rival::Host(_, Base::Busy) | Rival::Loop(Base::Offload) | Rival::Smoltcp
            ),
            (_, Rival::Host(_, Base::Busy)) => false,
            (Self::Send(BBR), _) => rival == Rival::Kernel,
            _ => true,
        }
    }

    pub(crate) const fn service(self) -> Service {
        match self {
            Self::Receive(_) => Service::Discard,
            Self::Send(_) => Service::Source,
            Self::PingPong(_) | Self::Connections(..) => Service::Echo,
        }
    }
}

/// One sample.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Gbit/s, connections per second, or the median in microseconds.
    pub(crate) value: f64,
    /// The 99th percentile in microseconds, of a ping-pong.
    pub(crate) p99: f64,
    /// Seconds of processor per GiB: the client's, and everybody else's.
    pub(crate) cost: (f64, f64),
}

/// What came of one measure against one rival: a sample of each round, or why there is none.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    samples: Vec<Sample>,
    failure: Option<String>,
}

impl Cell {
    pub(crate) fn samples(&self) -> Result<&[Sample], &str> {
        match &self.failure {
            Some(failure) => Err(failure),
            None => Ok(&self.samples),
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<(Measure, Rival), Cell>);

impl Table {
    pub(crate) fn get(&self, measure: Measure, rival: Rival) -> Option<&Cell> {
        self.0.get(&(measure, rival))
    }

    /// The median of one rival's value over another's in the same round.
    pub(crate) fn ratio(&self, measure: Measure, rival: Rival, to: Rival) -> Option<f64> {
        let rival = self.get(measure, rival)?.samples().ok()?;
        let to = self.get(measure, to)?.samples().ok()?;
        let rounds = rival.iter().zip(to);
        median(rounds.map(|(rival, to)| rival.value / to.value))
    }
}

/// Measures everything that is wanted, in rounds.
pub(crate) fn run(settings: &Settings, servers: &Servers) -> Result<Table, String> {
    let measure_all = || {
        let wanted: Vec<_> = Measure::ALL
            .into_iter()
            .flat_map(|measure| Rival::ALL.map(|rival| (measure, rival)))
            .filter(|&(measure, rival)| settings.wants(measure, rival))
            .collect();
        // Nothing hangs for ever: a failure ends its own row, and all has an end.
        let cells = u32::try_from(wanted.len() * settings.samples).unwrap_or(u32::MAX);
        let limit = settings.time * cells * 2 + Duration::from_secs(60);
        let start = Instant::now();
        let mut table = Table::default();
        for _ in 0..settings.samples {
            for &(measure, rival) in &wanted {
                let cell = table.0.entry((measure, rival)).or_default();
                if cell.failure.is_some() {
                    continue;
                }
                if start.elapsed() > limit {
                    return Err(format!("not over after {limit:?}"));
                }
                pin([measure.place().client_cpu()])
                    .map_err(|errno| format!("cannot pin: {errno}"))?;
                let _spinning = (measure.place() == Place::Spinning).then(|| servers.spin(rival));
                match client::sample(measure, rival, settings.time) {
                    Ok(sample) => cell.samples.push(sample),
                    Err(error) => cell.failure = Some(error.to_string()),
                }
            }
        }
        Ok(table)
    };
    // In a thread of its own: pinned, and with a count of its own processor time.
    thread::scope(|scope| scope.spawn(measure_all).join())
        .map_err(|_| "the client panicked".to_owned())?
}
