//! What random loss leaves of a rate: curves over the share of frames that is lost.
//!
//! N. Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016, figure 8 (BBRv1 and CUBIC over the
//! loss rate). A share p that is lost costs BBRv1 twice: of what it sends 1 - p arrives, and what it sends is what
//! arrived at best, 1 - p of the line; only each eighth round trip sends more. So it is held to hundredths of
//! (1 - p)^2: 95 as far as one in a hundred, 92 at five, where each second round trip is the first of a recovery
//! and sends no more than arrives, 85 beyond.
//! RFC 9438 §5.2 has CUBIC's window over the loss rate. BBRv3 keeps to what 2 % of loss in a
//! round allow. *Owns* B1, B1c, B1d and B2.

use core::fmt;
use core::time::Duration;

use super::course::{Course, Sender};
use super::ends::Control;
use super::path::{Harm, Path};
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::sim::error::SimError;

/// With a queue of what the link holds in a round trip.
const LINK: Path = Path::new(Some(100_000_000), 100, Some(1_250_000));
const FAST: Path = Path::new(Some(1_000_000_000), 100, Some(12_500_000));

pub(super) const ALL: &[Scenario] = &[
    bbr("B1-0.001", &bbr_share(10_000, 95)),
    bbr("B1-0.01", &bbr_share(100_000, 95)),
    bbr("B1-0.1", &bbr_share(1_000_000, 95)),
    bbr("B1-1", &bbr_share(10_000_000, 95)),
    bbr("B1-5", &bbr_share(50_000_000, 92)),
    bbr("B1-10", &bbr_share(100_000_000, 85)),
    bbr("B1-15", &bbr_share(150_000_000, 85)),
    bbr("B1-20", &bbr_told(200_000_000)),
    bbr("B1-30", &bbr_collapse(300_000_000)),
    bbr("B1-50", &bbr_collapse(500_000_000)),
    cubic("B1c-0.01", &cubic_rate(100_000, 19_800_000, 29_700_000)),
    cubic("B1c-0.1", &cubic_rate(1_000_000, 4_000_000, 10_000_000)),
    cubic("B1c-1", &cubic_rate(10_000_000, 1_260_000, 1_890_000)),
    Scenario {
        id: "B1d",
        title: "BBRv3 under random loss, beside what CUBIC has",
        kind: Kind::Derived,
        seeds: 5,
        short: false,
        experiment: &Bbr3Curve {
            path: LINK,
            held: &[
                (1_000_000, 99),
                (5_000_000, 94),
                (10_000_000, 89),
                (15_000_000, 84),
            ],
            told: &[20_000_000, 30_000_000, 50_000_000],
        },
    },
    fast("B2-1e-5", &Three::at(100)),
    fast("B2-1e-4", &Three::at(1000)),
    fast("B2-1e-3", &Three::at(10_000)),
    fast("B2-0.01", &Three::at(100_000)),
    fast("B2-0.1", &Three::at(1_000_000)),
    fast("B2-0.2", &Three::at(2_000_000)),
    fast("B2-0.5", &Three::at(5_000_000)),
    fast("B2-1", &Three::at(10_000_000)),
    fast("B2-2", &Three::at(20_000_000)),
    fast("B2-3", &Three::at(30_000_000)),
    fast("B2-10", &Three::at(100_000_000)),
    fast("B2-15", &Three::at(150_000_000)),
    fast("B2-20", &Three::at(200_000_000)),
];

const fn bbr(id: &'static str, experiment: &'static Goodput) -> Scenario {
    Scenario {
        id,
        title: "BBRv1 under random loss",
        kind: Kind::Published,
        seeds: 5,
        short: false,
        experiment,
    }
}

const fn cubic(id: &'static str, experiment: &'static Goodput) -> Scenario {
    Scenario {
        id,
        title: "CUBIC under random loss",
        kind: Kind::Derived,
        seeds: 5,
        short: false,
        experiment,
    }
}

/// Three seeds, not the paper's ten: the rates of runs with the same share of loss differ by little, and a run
/// at a gigabit takes as long as ten others.
const fn fast(id: &'static str, experiment: &'static Three) -> Scenario {
    Scenario {
        id,
        title: "BBRv1, BBRv3 and CUBIC under random loss at a gigabit",
        kind: Kind::Tolerance,
        seeds: 3,
        short: false,
        experiment,
    }
}

/// What one flow's receiver reads.
#[derive(Debug)]
struct Goodput {
    path: Path,
    control: Control,
    /// It is measured from here on.
    from_s: u64,
    length_s: u64,
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    /// So many hundredths of the line, less twice so many billionths that are lost.
    Share(u64, u64),
    /// A quarter of the line at most.
    Collapse,
    /// Bits per second.
    Between(u64, u64),
    Nothing,
}

/// A minute of BBRv1 with so much loss, and the hundredths of (1 - p)^2 of the line that it has.
const fn bbr_share(billionths: u64, percent: u64) -> Goodput {
    Goodput {
        expected: Expected::Share(billionths, percent),
        ..bbr_told(billionths)
    }
}

/// Beyond a fifth the curve falls.
const fn bbr_collapse(billionths: u64) -> Goodput {
    Goodput {
        expected: Expected::Collapse,
        ..bbr_told(billionths)
    }
}

const fn bbr_told(billionths: u64) -> Goodput {
    Goodput {
        path: LINK.harm(Harm::RareLoss(billionths)),
        control: Control::Bbr,
        from_s: 0,
        length_s: 60,
        expected: Expected::Nothing,
    }
}

/// In the steady state, which a flow reaches from slow start in less than a minute.
const fn cubic_rate(billionths: u64, least: u64, most: u64) -> Goodput {
    Goodput {
        path: LINK.harm(Harm::RareLoss(billionths)),
        control: Control::Cubic,
        from_s: 60,
        length_s: 300,
        expected: Expected::Between(least, most),
    }
}

impl Goodput {
    /// Bits per second; `None`: it is only told.
    fn expected(&self) -> Option<(u64, u64)> {
        let line = self.path.text_rate();
        match self.expected {
            Expected::Share(billionths, percent) => {
                let passes = 1_000_000_u64.saturating_sub(billionths / 1000);
                let twice = line * passes / 1_000_000 * passes / 1_000_000;
                Some((twice * percent / 100, u64::MAX))
            }
            Expected::Collapse => Some((0, line / 4)),
            Expected::Between(least, most) => Some((least, most)),
            Expected::Nothing => None,
        }
    }
}

impl fmt::Display for Goodput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, from) = (self.length_s, self.from_s);
        write!(f, "{}; one {} flow; ", self.path, self.control)?;
        write!(f, "goodput over {length} s from {from} s on")?;
        let amount = |bits| Unit::BitsPerSec.of(bits);
        match self.expected() {
            Some((least, u64::MAX)) => write!(f, " at least {}", amount(least)),
            Some((least, most)) => write!(f, " {} to {}", amount(least), amount(most)),
            None => Ok(()),
        }
    }
}

impl Experiment for Goodput {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let senders = [Sender::of(self.control)];
        let seed = run.seed();
        let mut course = Course::new(run, "flow", seed, &self.path, &senders)?;
        course.run_until_ms(self.from_s * 1000)?;
        let before = course.received()[0];
        course.run_until_ms((self.from_s + self.length_s) * 1000)?;
        let rate = (course.received()[0] - before) * 8 / self.length_s;
        match self.expected() {
            Some((least, most)) => run.expect("goodput", rate, Unit::BitsPerSec, least..=most),
            None => run.tell("goodput", rate, Unit::BitsPerSec),
        }
        course.end(run);
        Ok(())
    }
}

/// A minute of one flow with so much loss; bits per second.
fn minute(
    run: &mut Run,
    (path, billionths): (&Path, u64),
    control: Control,
    seed: u64,
) -> Result<u64, SimError> {
    let path = path.harm(Harm::RareLoss(billionths));
    let name = format!("{control}-{billionths}");
    let senders = [Sender::of(control)];
    let mut course = Course::new(run, &name, seed, &path, &senders)?;
    course.network.run_for(MINUTE)?;
    let rate = course.received()[0] * 8 / MINUTE.as_secs();
    course.end(run);
    Ok(rate)
}

const MINUTE: Duration = Duration::from_secs(60);

/// BBRv3 at several shares of loss, and CUBIC at the same.
#[derive(Debug)]
struct Bbr3Curve {
    path: Path,
    /// Billionths, and the hundredths of the line of which it has 93 hundredths.
    held: &'static [(u64, u64)],
    /// Billionths.
    told: &'static [u64],
}

/// Of what is expected, so much is enough.
const ENOUGH_PERCENT: u64 = 93;

impl fmt::Display for Bbr3Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; BBRv3 over 60 s, and CUBIC; loss:share of the line",
            self.path
        )?;
        for (billionths, percent) in self.held {
            write!(f, " {}:{percent}", share(*billionths))?;
        }
        f.write_str(", without an expectation")?;
        for billionths in self.told {
            write!(f, " {}", share(*billionths))?;
        }
        write!(
            f,
            "; at least {ENOUGH_PERCENT} % of the share, no more than with less loss, nowhere less than CUBIC"
        )
    }
}

impl Experiment for Bbr3Curve {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let seed = run.seed();
        let line = self.path.text_rate();
        let told = self.told.iter().map(|&billionths| (billionths, None));
        let held = self.held.iter();
        let held = held.map(|&(billionths, percent)| (billionths, Some(percent)));
        let mut before = u64::MAX;
        for (billionths, percent) in held.chain(told) {
            let at = (&self.path, billionths);
            let bbr = minute(run, at, Control::Bbr3, seed)?;
            let cubic = minute(run, at, Control::Cubic, seed)?;
            let least = percent.map_or(0, |percent| line / 10_000 * percent * ENOUGH_PERCENT);
            let what = format!("goodput at {}", share(billionths));
            // Chance alone moves it by a hundredth.
            let most = before.saturating_add(line / 100);
            run.expect(what, bbr, Unit::BitsPerSec, least.max(cubic)..=most);
            let what = format!("CUBIC at {}", share(billionths));
            run.tell(what, cubic, Unit::BitsPerSec);
            before = bbr;
        }
        Ok(())
    }
}

/// Three controllers at one share of loss, a minute each.
#[derive(Debug)]
struct Three {
    billionths: u64,
}

/// Up to here BBRv3 answers to loss no more than BBRv1 does.
const TOLERATED_BILLIONTHS: u64 = 5_000_000;
/// A loss in 10^5 frames: RFC 9438 §5.2 has .13 of this line.
const CUBIC_FALLS_BILLIONTHS: u64 = 10_000;

impl Three {
    const fn at(billionths: u64) -> Self {
        Self { billionths }
    }
}

impl fmt::Display for Three {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = FAST.harm(Harm::RareLoss(self.billionths));
        write!(f, "{path}; BBRv1, BBRv3 and CUBIC over 60 s each")?;
        if self.billionths <= TOLERATED_BILLIONTHS {
            f.write_str("; BBRv3 within 15 % of BBRv1")?;
        }
        if self.billionths >= CUBIC_FALLS_BILLIONTHS {
            f.write_str("; CUBIC at most a fifth of the line")?;
        }
        Ok(())
    }
}

impl Experiment for Three {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let seed = run.seed();
        let at = (&FAST, self.billionths);
        let v1 = minute(run, at, Control::Bbr, seed)?;
        let v3 = minute(run, at, Control::Bbr3, seed)?;
        let cubic = minute(run, at, Control::Cubic, seed)?;
        run.tell("BBRv1", v1, Unit::BitsPerSec);
        if self.billionths <= TOLERATED_BILLIONTHS {
            let near = (v1 / 100 * 85).max(1)..=v1 / 100 * 115;
            run.expect("BBRv3", v3, Unit::BitsPerSec, near);
        } else {
            run.tell("BBRv3", v3, Unit::BitsPerSec);
        }
        if self.billionths >= CUBIC_FALLS_BILLIONTHS {
            let fifth = 1..=FAST.text_rate() / 5;
            run.expect("CUBIC", cubic, Unit::BitsPerSec, fifth);
        } else {
            run.tell("CUBIC", cubic, Unit::BitsPerSec);
        }
        Ok(())
    }
}

/// Billionths in words.
fn share(billionths: u64) -> String {
    Unit::Millionths.of(billionths / 1000).to_string()
}
