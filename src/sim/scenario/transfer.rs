//! A number of bytes over a path that is slow, policed, changing or lopsided: how soon they are there, and
//! what the sender's model of the path is meanwhile.
//!
//! The set-ups are those of simulator tests of QUIC stacks, whose headers differ a little from TCP's. Some of their
//! numbers cannot be those of this version over TCP. B5, of what leaves in Startup 5 % are lost: BBRv3 has left it when a round of recovery
//! is over that lost six times, the window is twice what the path holds there, and queue and path take one and a
//! half of it; so it loses a quarter of its last round, and then again, of some 130 segments in all. It is held to a
//! quarter. Its long-term bound is then what a round delivered, of which queue and path hold one and a half of the
//! product: up to so much, not 1.3. B6: 20 MiB in 800 s of 100 kbit/s ask for all that the line carries of QUIC's
//! payload; TCP's text is 1448 of 1514, which makes 836.5. And the two cycles that forget the old rate are those behind
//! the two in which a queue of 14 s was lost piece by piece: the ACK that closes its holes tells of more than a line
//! carries in the time (SACK has room for three), which two cycles more forget. B8, no loss at all: version 2 left UP at
//! a quarter above the product, and so never filled a queue of two; version 3 goes on until a round loses 2 %, with a
//! window of two and a quarter and what ACKs hold back, and is held to that. The shortest round trip is the
//! connection's there: the model's is that of ten seconds, and ACKs in bursts show the path's to few. B19, 100 MB in 5.5 s: ten segments that double each round trip of 600 ms fill 250 Mbit/s after eleven of
//! them, and the last byte is there after 9.86 s whatever the sender does; stacks that are faster begin with more.
//! The slack of the published limits is kept: 7/5.5 of that for BBR, 6.5/5.5 for CUBIC, 10/8 of two and a half
//! seconds more with loss. *Owns* B5 to B9, B19 and B21.

use core::fmt;

use super::course::{Course, Sender};
use super::ends::Control;
use super::path::{Harm, Path};
use super::run::Run;
use super::seen::{self, Seen, When};
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::device::TokenBucket;
use crate::sim::error::SimError;

const MIB: u64 = 1 << 20;
/// 4 Mbit/s and 72 ms hold 36,000 bytes; twice that is the queue.
const SLOW: Path = Path::new(Some(4_000_000), 72, Some(72_000));
/// 10 Mbit/s and 72 ms hold 90,000 bytes; twice that is the queue.
const STEPPED: Path = Path::new(Some(10_000_000), 72, Some(180_000));
const TRICKLE: Path = Path::new(Some(100_000), 72, Some(180_000));
/// With 1000 ACKs of 66 bytes as the queue back: 176 ms.
const SATELLITE: Path = Path::new(Some(250_000_000), 600, Some(18_750_000)).back(3_000_000, 66_000);

pub(super) const ALL: &[Scenario] = &[
    scenario(
        "B5",
        "BBRv3 and a queue of half of what the path holds",
        &Transfer::of(Control::Bbr3, SLOW.queue(18_000), 12 * MIB, 30_000).held(&[
            Check::StartupLost(250_000),
            Check::StartupRounds(2),
            Check::MaxBw(When::End, 4_000_000, 2),
            Check::InflLt(100, 150),
        ]),
    ),
    scenario(
        "B6",
        "BBRv3 finds a hundredth of the rate",
        &Transfer::of(
            Control::Bbr3,
            STEPPED.steps(&[(10_000, 100_000)]),
            20 * MIB,
            846_500,
        )
        .held(&[Check::MaxBw(
            When::Cycles {
                from_ms: 10_000,
                count: 4,
            },
            100_000,
            10,
        )]),
    ),
    scenario(
        "B7",
        "BBRv3 finds a hundred times the rate",
        &Transfer::of(
            Control::Bbr3,
            TRICKLE.steps(&[(15_000, 10_000_000)]),
            10 * MIB,
            50_000,
        )
        .held(&[
            Check::MaxBw(When::Ms(15_000), 100_000, 10),
            Check::MaxBw(When::End, 10_000_000, 2),
        ]),
    ),
    scenario(
        "B8",
        "BBRv3 and ACKs that come in bursts",
        &Transfer::of(
            Control::Bbr3,
            SLOW.ack_bursts(10_240, 144),
            12 * MIB,
            35_000,
        )
        .held(&[Check::Lost(20_000), Check::Srtt(5), Check::MinRtt(20)]),
    ),
    scenario(
        "B8b",
        "BBRv3 and four ACKs in a round trip",
        &Transfer::of(Control::Bbr3, SLOW.one_ack_per(18), 12 * MIB, 35_000)
            .held(&[Check::Lost(1000), Check::Srtt(3)]),
    ),
    scenario(
        "B9",
        "BBRv3 through a policer to a quarter of the line",
        &Transfer::of(
            Control::Bbr3,
            SLOW.policer(TokenBucket::new(1_000_000, 10_000, 100_000)),
            3 * MIB,
            30_000,
        )
        .held(&[Check::Lost(300_000)]),
    ),
    satellite(
        "B19-bbr3",
        &Transfer::of(Control::Bbr3, SATELLITE, HUNDRED, 12_550),
    ),
    satellite(
        "B19-bbr3-1",
        &Transfer::of(
            Control::Bbr3,
            SATELLITE.harm(Harm::Loss(10_000)),
            HUNDRED,
            15_450,
        ),
    ),
    satellite(
        "B19-bbr",
        &Transfer::of(Control::Bbr, SATELLITE, HUNDRED, 12_550),
    ),
    satellite(
        "B19-cubic",
        &Transfer::of(Control::Cubic, SATELLITE, HUNDRED, 11_650),
    ),
    ten(
        "B21-1000",
        &Transfer::of(
            Control::Bbr3,
            Path::new(Some(1_000_000_000), 8, Some(1_000_000)),
            10_000_000,
            275,
        ),
    ),
    ten(
        "B21-100",
        &Transfer::of(
            Control::Bbr3,
            Path::new(Some(100_000_000), 20, Some(250_000)).harm(Harm::Jitter(3)),
            10_000_000,
            1155,
        ),
    ),
    ten(
        "B21-10",
        &Transfer::of(
            Control::Bbr3,
            // Ten ACKs wait on the way back.
            Path::new(Some(10_000_000), 40, Some(50_000)).back(100_000, 660),
            10_000_000,
            9350,
        ),
    ),
];

const HUNDRED: u64 = 100_000_000;

const fn scenario(
    id: &'static str,
    title: &'static str,
    experiment: &'static Transfer,
) -> Scenario {
    Scenario {
        id,
        title,
        kind: Kind::Published,
        seeds: 5,
        short: true,
        experiment,
    }
}

const fn satellite(id: &'static str, experiment: &'static Transfer) -> Scenario {
    let title = "100 MB over a satellite with a thin way back";
    Scenario {
        short: false,
        ..scenario(id, title, experiment)
    }
}

const fn ten(id: &'static str, experiment: &'static Transfer) -> Scenario {
    scenario(id, "how soon 10 MB are there", experiment)
}

/// One flow of so many bytes.
#[derive(Debug)]
struct Transfer {
    control: Control,
    path: Path,
    bytes: u64,
    /// When the last byte is to be read.
    done_ms: u64,
    checks: &'static [Check],
}

/// What else is held.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// Of the data frames, at most so many millionths are lost to queue and policer.
    Lost(u64),
    /// The same of those sent before the sender leaves Startup.
    StartupLost(u64),
    /// Startup ends so many rounds after the first loss at the latest.
    StartupRounds(u64),
    /// The bandwidth in the model is what a line of this rate carries, give or take so many hundredths.
    MaxBw(When, u64, u64),
    /// The long-term bound of what is in flight is after Startup so many hundredths of what the path holds.
    InflLt(u64, u64),
    /// SRTT at the end is at most so many times the path's round trip.
    Srtt(u64),
    /// The connection's shortest round trip is at the end the path's, give or take so many hundredths.
    MinRtt(u64),
}

impl Transfer {
    const fn of(control: Control, path: Path, bytes: u64, done_ms: u64) -> Self {
        Self {
            control,
            path,
            bytes,
            done_ms,
            checks: &[],
        }
    }

    const fn held(self, checks: &'static [Check]) -> Self {
        Self { checks, ..self }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |millionths| Unit::Millionths.of(millionths);
        match *self {
            Self::Lost(most) => write!(f, "at most {} lost to the queue", share(most)),
            Self::StartupLost(most) => write!(f, "at most {} in Startup", share(most)),
            Self::StartupRounds(rounds) => {
                write!(f, "Startup over {rounds} rounds after the first loss")
            }
            Self::MaxBw(when, rate, percent) => {
                let rate = Unit::BitsPerSec.of(rate);
                write!(
                    f,
                    "bandwidth {when} that of {rate}, give or take {percent} %"
                )
            }
            Self::InflLt(least, most) => {
                write!(
                    f,
                    "long-term bound {least} to {most} % of what the path holds"
                )
            }
            Self::Srtt(times) => write!(f, "SRTT at most {times} round trips"),
            Self::MinRtt(percent) => write!(f, "shortest round trip within {percent} %"),
        }
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = Unit::Bytes.of(self.bytes);
        let done = Unit::Nanos.of(self.done_ms * 1_000_000);
        write!(
            f,
            "{}; one {} flow; {bytes} read within {done}",
            self.path, self.control
        )?;
        for check in self.checks {
            write!(f, "; {check}")?;
        }
        Ok(())
    }
}

impl Experiment for Transfer {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let senders = [Sender::of(self.control).bytes(self.bytes)];
        let seed = run.seed();
        let mut course = Course::new(run, "flow", seed, &self.path, &senders)?;
        let whens = self.checks.iter().filter_map(|check| match check {
            Check::MaxBw(when, ..) => Some(*when),
            _ => None,
        });
        let mut seen = Seen::new(whens.collect());
        // What is late is told, as far as twice the time.
        let limit = self.done_ms * 2;
        course.look_until_done(limit, |course| seen.look(course))?;
        let done = course.done_at(0).map_or(u64::MAX, |at| at.as_nanos());
        let most = self.done_ms * 1_000_000;
        run.expect("last byte", done, Unit::Nanos, 0..=most);
        for check in self.checks {
            self.check(run, &course, &seen, *check);
        }
        course.end(run);
        Ok(())
    }
}

impl Transfer {
    fn check(&self, run: &mut Run, course: &Course, seen: &Seen, check: Check) {
        let rtt = u64::try_from(self.path.rtt().as_nanos()).unwrap_or(u64::MAX);
        let around = |of: u64, percent: u64| {
            let by = of / 100 * percent;
            of.saturating_sub(by)..=of.saturating_add(by)
        };
        match check {
            Check::Lost(most) => {
                let lost = seen::share(course.frames());
                run.expect("lost", lost, Unit::Millionths, 0..=most);
            }
            Check::StartupLost(most) => {
                let lost = seen.startup_lost().unwrap_or(u64::MAX);
                run.expect("lost in Startup", lost, Unit::Millionths, 0..=most);
            }
            Check::StartupRounds(most) => {
                let rounds = seen.startup_rounds().unwrap_or(u64::MAX);
                run.expect("rounds from loss to Drain", rounds, Unit::Count, 0..=most);
            }
            Check::MaxBw(when, rate, percent) => {
                let line = Path::new(Some(rate), 0, None).text_rate();
                let bits = seen.max_bw(when).unwrap_or(0) * 8;
                let what = format!("bandwidth {when}");
                run.expect(what, bits, Unit::BitsPerSec, around(line, percent));
            }
            Check::InflLt(least, most) => {
                let holds = u128::from(self.path.text_rate() / 8) * u128::from(rtt) / 1_000_000_000;
                let holds = u64::try_from(holds).unwrap_or(u64::MAX);
                let bound = seen.startup_bound().unwrap_or(0);
                let expected = holds * least / 100..=holds * most / 100;
                run.expect("long-term bound", bound, Unit::Bytes, expected);
            }
            Check::Srtt(times) => {
                let srtt = seen.srtt().unwrap_or(u64::MAX);
                run.expect("SRTT", srtt, Unit::Nanos, 0..=rtt * times);
            }
            Check::MinRtt(percent) => {
                let shortest = seen.shortest().unwrap_or(0);
                run.expect("shortest", shortest, Unit::Nanos, around(rtt, percent));
            }
        }
    }
}
