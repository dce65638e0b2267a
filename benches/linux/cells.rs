//! What the wire does in each measurement.

use std::fmt;
use std::time::Duration;

use netloom::device::{Chance, Displacement, GilbertElliott, Pick, QueueLimit, WireConfig};

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) trouble: Trouble,
    pub(crate) rtt: Duration,
    /// Mbit/s on the wire, link headers counted.
    pub(crate) rate: u64,
}

/// What goes wrong on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    Clean,
    /// In millionths.
    Loss(u32),
    /// One in a hundred, four in a row on average.
    Bursts,
    /// One in a hundred is overtaken by three.
    Overtaken,
    /// So many millionths are late by a quarter of the round trip.
    Late(u32),
    /// Every frame by up to 15 % of the round trip, past each other.
    Jitter,
    /// A tenth of the way back.
    AckLoss,
    /// None, but a CE mark, or a drop where there can be none, above a queue of a quarter of the round trip.
    Marks,
}

const TROUBLES: [Trouble; 9] = [
    Trouble::Clean,
    Trouble::Loss(1000),
    Trouble::Loss(10_000),
    Trouble::Loss(30_000),
    Trouble::Bursts,
    Trouble::Overtaken,
    Trouble::Late(10_000),
    Trouble::Jitter,
    Trouble::AckLoss,
];
const RTTS: [u64; 3] = [1, 20, 100];
const RATES: [u64; 3] = [10, 100, 1000];

/// The least that queues: where the round trip is short, a burst still fits.
const LEAST_QUEUE: usize = 64 << 10;

impl Cell {
    pub(crate) const fn new(trouble: Trouble, rtt_ms: u64, rate: u64) -> Self {
        Self {
            trouble,
            rtt: Duration::from_millis(rtt_ms),
            rate,
        }
    }

    /// Everything with everything.
    pub(crate) fn all() -> Vec<Self> {
        let each = |&trouble| {
            let rates = |rtt| RATES.map(|rate| Self::new(trouble, rtt, rate));
            RTTS.into_iter().flat_map(rates).collect::<Vec<_>>()
        };
        TROUBLES.iter().flat_map(each).collect()
    }

    /// So few of them that each two settings still meet: a Latin square.
    pub(crate) fn pairs() -> Vec<Self> {
        let place = |at: usize| {
            let (trouble, rtt) = (at / 3, at % 3);
            let rate = RATES[(trouble + rtt) % 3];
            Self::new(TROUBLES[trouble], RTTS[rtt], rate)
        };
        (0..TROUBLES.len() * 3).map(place).collect()
    }

    /// What stands in a short run for all.
    pub(crate) fn few() -> Vec<Self> {
        [
            (Trouble::Clean, 20, 100),
            (Trouble::Loss(10_000), 20, 100),
            (Trouble::Bursts, 20, 10),
            (Trouble::Overtaken, 20, 100),
            (Trouble::Late(10_000), 20, 100),
            (Trouble::Jitter, 20, 100),
        ]
        .map(|(trouble, rtt, rate)| Self::new(trouble, rtt, rate))
        .to_vec()
    }

    /// One path through all that is common, and one long one.
    pub(crate) fn path() -> Vec<Self> {
        [
            (Trouble::Clean, 20, 100),
            (Trouble::Loss(1000), 20, 100),
            (Trouble::Loss(10_000), 20, 100),
            (Trouble::Late(10_000), 20, 100),
            (Trouble::Late(1000), 20, 100),
            (Trouble::Jitter, 20, 100),
            (Trouble::Clean, 100, 200),
        ]
        .map(|(trouble, rtt, rate)| Self::new(trouble, rtt, rate))
        .to_vec()
    }

    /// Where ECN is asked for.
    pub(crate) fn marks() -> Vec<Self> {
        [(20, 10), (20, 100), (100, 100)]
            .map(|(rtt, rate)| Self::new(Trouble::Marks, rtt, rate))
            .to_vec()
    }

    /// How long it is measured: frames by the million tell as much in less time.
    pub(crate) fn time(&self, time: Duration) -> Duration {
        match self.rate {
            ..1000 => time,
            _ => time * 3 / 5,
        }
    }

    /// Bytes on the way in a round trip.
    fn bdp(&self) -> usize {
        let bits = u128::from(self.rate) * 1_000_000 * self.rtt.as_nanos() / 1_000_000_000;
        usize::try_from(bits / 8).unwrap_or(usize::MAX)
    }

    /// The wires there and back, with a queue of so many hundredths of the round trip.
    pub(crate) fn wires(&self, queue_percent: usize) -> (WireConfig, WireConfig) {
        let queue = (self.bdp() * queue_percent / 100).max(LEAST_QUEUE);
        let plain = WireConfig::perfect()
            .rate(self.rate * 1_000_000)
            .delay(self.rtt / 2)
            .queue(QueueLimit::Bytes(queue));
        let there = plain.clone();
        let there = match self.trouble {
            Trouble::Clean | Trouble::AckLoss => there,
            Trouble::Loss(share) => there.loss(Chance::per_million(share)),
            Trouble::Bursts => {
                let bursts = GilbertElliott::bursts(Chance::percent(1), 4);
                there.loss(Pick::bursts(bursts))
            }
            Trouble::Overtaken => {
                let at_most = self.rtt / 4;
                let by = Displacement::Frames { frames: 3, at_most };
                there.reordering(Chance::percent(1), by)
            }
            Trouble::Late(share) => {
                let by = Displacement::Time(self.rtt / 4);
                there.reordering(Chance::per_million(share), by)
            }
            Trouble::Jitter => there.jitter(self.rtt * 15 / 100),
            Trouble::Marks => there.ce_above(self.rtt / 4),
        };
        let back = match self.trouble {
            Trouble::AckLoss => plain.loss(Chance::percent(10)),
            _ => plain,
        };
        (there, back)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, rtt) = (self.rate, self.rtt.as_millis());
        write!(f, "{}, {rtt} ms, {rate} M", self.trouble)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: u32| f64::from(share) / 10_000.0;
        match *self {
            Self::Clean => f.write_str("clean"),
            Self::Loss(share) => write!(f, "loss {} %", percent(share)),
            Self::Bursts => f.write_str("loss 1 % in bursts"),
            Self::Overtaken => f.write_str("1 % overtaken by 3"),
            Self::Late(share) => write!(f, "{} % late by RTT/4", percent(share)),
            Self::Jitter => f.write_str("jitter 15 % of RTT"),
            Self::AckLoss => f.write_str("ACK loss 10 %"),
            Self::Marks => f.write_str("CE above RTT/4"),
        }
    }
}
