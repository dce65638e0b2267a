//! What the BBR paper draws: a rate that doubles and halves, flows that join, queues of all sizes.
//!
//! N. Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016, figures 3, 6 and 7. *Owns* B13 to B16.

use core::fmt;

use super::course::{Course, Sender, median};
use super::ends::Control;
use super::fairness::jain;
use super::path::Path;
use super::run::Run;
use super::seen::share;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::sim::error::SimError;

/// 20 Mbit/s and 40 ms hold 100,000 bytes; twice that is the queue.
const STEPS: Path = Path::new(Some(10_000_000), 40, Some(200_000))
    .steps(&[(20_000, 20_000_000), (40_000, 10_000_000)]);
/// With a queue of what the path holds.
const JOINED: Path = Path::new(Some(100_000_000), 10, Some(125_000));
/// 50 Mbit/s and 30 ms hold 187,500 bytes.
const MIDDLE: Path = Path::new(Some(50_000_000), 30, None);
const THIN: Path = Path::new(Some(128_000), 40, None);
/// 1 Gbit/s and 100 ms hold 12,500,000 bytes; a fiftieth of that is the queue.
const SHALLOW: Path = Path::new(Some(1_000_000_000), 100, Some(250_000));

pub(super) const ALL: &[Scenario] = &[
    short(
        "B13-bbr",
        STEPPING,
        &Stepping {
            control: Control::Bbr,
        },
    ),
    short(
        "B13-bbr3",
        STEPPING,
        &Stepping {
            control: Control::Bbr3,
        },
    ),
    scenario(
        "B14-bbr",
        JOINING,
        &Joining {
            control: Control::Bbr,
        },
    ),
    scenario(
        "B14-bbr3",
        JOINING,
        &Joining {
            control: Control::Bbr3,
        },
    ),
    scenario("B15-1", DELAYED, &Delay { queue: 187_500 }),
    scenario("B15-10", DELAYED, &Delay { queue: 1_875_000 }),
    scenario("B15-50", DELAYED, &Delay { queue: 9_375_000 }),
    scenario("B15-100", DELAYED, &Delay { queue: 18_750_000 }),
    scenario(
        "B15b",
        "eight flows over a thin link: BBRv1's delay is that of its least windows, whatever the queue",
        &Thin {
            queues: &[100_000, 200_000, 400_000, 800_000],
        },
    ),
    scenario("B16-1", SENT_AGAIN, &SentAgain { flows: 1 }),
    scenario("B16-10", SENT_AGAIN, &SentAgain { flows: 10 }),
    scenario("B16-30", SENT_AGAIN, &SentAgain { flows: 30 }),
    scenario("B16-60", SENT_AGAIN, &SentAgain { flows: 60 }),
    scenario("B16-100", SENT_AGAIN, &SentAgain { flows: 100 }),
];

const STEPPING: &str = "the rate doubles, and halves again";
const JOINING: &str = "five flows join one after the other";
const DELAYED: &str = "the round trip that two flows make, whatever the queue";
const SENT_AGAIN: &str = "how much is lost to a shallow queue";

const fn scenario(
    id: &'static str,
    title: &'static str,
    experiment: &'static dyn Experiment,
) -> Scenario {
    Scenario {
        id,
        title,
        kind: Kind::Tolerance,
        // Nothing but the senders' own dice is left to chance.
        seeds: 1,
        short: false,
        experiment,
    }
}

const fn short(
    id: &'static str,
    title: &'static str,
    experiment: &'static dyn Experiment,
) -> Scenario {
    Scenario {
        short: true,
        ..scenario(id, title, experiment)
    }
}

/// How soon a sender has twice the rate, and how soon the queue is gone after it halves.
#[derive(Debug)]
struct Stepping {
    control: Control,
}

const UP_MS: u64 = 20_000;
const DOWN_MS: u64 = 40_000;
const OVER_MS: u64 = 60_000;
const GLANCE_MS: u64 = 10;
/// Looks in half a second, over which rate and queue are averaged.
const WINDOW: usize = 50;
const FAST_ENOUGH: u64 = 18_000_000;
/// Half of what 10 Mbit/s and 40 ms hold.
const SHORT_ENOUGH: u64 = 25_000;

/// BBRv3's state in which a probing cycle begins.
const DOWN: i128 = 2;

/// One look.
struct Look {
    received: u64,
    queued: u64,
    state: Option<i128>,
}

impl Stepping {
    /// Milliseconds until the rate is there, at most: four of BBRv3's cycles of up to three seconds.
    const fn up_ms(&self) -> u64 {
        match self.control {
            Control::Bbr => 2000,
            _ => 12_000,
        }
    }

    /// Milliseconds until the queue is short, at most. BBRv1's filter forgets the old rate after ten round trips,
    /// which the queue makes five times as long; then its window of twice what the path holds keeps a queue of as much
    /// as the path, which only the rate's margin of a hundredth empties: 31 kB at 10 kB/s. BBRv3's forgets it
    /// with its second cycle, whenever that begins, and then a second is left.
    fn down_ms(&self, looks: &[Look]) -> u64 {
        if self.control == Control::Bbr {
            return 5200;
        }
        let begins = |pair: &[Look]| pair[0].state != Some(DOWN) && pair[1].state == Some(DOWN);
        let cycles = looks.windows(2).enumerate();
        let mut begun = cycles.filter(|(_, pair)| begins(pair));
        let second = begun.nth(1).map_or(0, |(at, _)| u64_of(at));
        second * GLANCE_MS + 1000
    }
}

impl fmt::Display for Stepping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{STEPS}; one {} flow; {} over half a second at most {} ms after the first step, a queue below {} \
             over half a second at most ",
            self.control,
            Unit::BitsPerSec.of(FAST_ENOUGH),
            self.up_ms(),
            Unit::Bytes.of(SHORT_ENOUGH),
        )?;
        match self.control {
            Control::Bbr => write!(f, "{} ms after the second", self.down_ms(&[])),
            _ => f.write_str("a second after the second cycle that begins behind the second"),
        }
    }
}

impl Experiment for Stepping {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let seed = run.seed();
        let senders = [Sender::of(self.control)];
        let mut course = Course::new(run, "flow", seed, &STEPS, &senders)?;
        course.run_until_ms(UP_MS)?;
        let mut looks = Vec::new();
        course.look_until_ms(OVER_MS, GLANCE_MS, |course| {
            looks.push(Look {
                received: course.received()[0],
                queued: course.queued(),
                state: course.state(0),
            });
        })?;
        let (up, down) = looks.split_at(usize_of((DOWN_MS - UP_MS) / GLANCE_MS));
        let window_ms = GLANCE_MS * u64_of(WINDOW);
        let soon = |found: Option<usize>| {
            // The look at its end; those before it are in the window.
            found.map_or(u64::MAX, |at| (u64_of(at + WINDOW) * GLANCE_MS) * 1_000_000)
        };
        let fast = up.windows(WINDOW + 1).position(|looks| {
            let bytes = looks[WINDOW].received - looks[0].received;
            bytes * 8 * 1000 / window_ms >= FAST_ENOUGH
        });
        let short = down.windows(WINDOW).position(|looks| {
            let sum: u64 = looks.iter().map(|look| look.queued).sum();
            sum / u64_of(WINDOW) <= SHORT_ENOUGH
        });
        let most = |ms: u64| 0..=ms * 1_000_000;
        let (up_ms, down_ms) = (self.up_ms(), self.down_ms(down));
        run.expect("time to the new rate", soon(fast), Unit::Nanos, most(up_ms));
        run.expect(
            "time to a short queue",
            soon(short),
            Unit::Nanos,
            most(down_ms),
        );
        course.end(run);
        Ok(())
    }
}

/// Five flows, two seconds apart.
#[derive(Debug)]
struct Joining {
    control: Control,
}

const JOINERS: [u64; 5] = [0, 2000, 4000, 6000, 8000];
/// Ends of the windows over which shares are compared.
const WINDOWS_MS: [u64; 3] = [10_000, 40_000, 70_000];
const LEAST_FAIR: u64 = 900_000;
/// At some time so many of them probe the round trip at once.
const TOGETHER: u64 = 3;

impl fmt::Display for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{JOINED}; five {} flows, 2 s apart; a fairness index of at least {} from 10 to 40 s and from 40 to \
             70 s, and at least {TOGETHER} in ProbeRTT at once",
            self.control,
            Unit::Millionths.of(LEAST_FAIR),
        )
    }
}

impl Experiment for Joining {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let seed = run.seed();
        let senders = JOINERS.map(|at| Sender::of(self.control).after_ms(at));
        let mut course = Course::new(run, "flows", seed, &JOINED, &senders)?;
        let probing = match self.control {
            Control::Bbr => 3,
            _ => 6,
        };
        let mut together = 0;
        let [begin, ends @ ..] = WINDOWS_MS;
        course.run_until_ms(begin)?;
        for end in ends {
            let before = course.received();
            course.look_until_ms(end, GLANCE_MS, |course| {
                let in_it = (0..JOINERS.len()).filter(|&flow| course.state(flow) == Some(probing));
                together = together.max(u64_of(in_it.count()));
            })?;
            let shares: Vec<u64> = course
                .received()
                .iter()
                .zip(before)
                .map(|(a, b)| a - b)
                .collect();
            let what = format!("fairness until {} s", end / 1000);
            run.expect(what, jain(&shares), Unit::Millionths, LEAST_FAIR..=u64::MAX);
        }
        run.expect(
            "in ProbeRTT at once",
            together,
            Unit::Count,
            TOGETHER..=u64::MAX,
        );
        course.end(run);
        Ok(())
    }
}

/// Two flows of each kind: the median of the round trips that their segments had.
#[derive(Debug)]
struct Delay {
    queue: usize,
}

const DELAY_MS: [u64; 2] = [0, 120_000];

impl Delay {
    const fn path(&self) -> Path {
        MIDDLE.queue(self.queue)
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; two flows over 120 s; the median round trip at most 2.5 times the path's with BBRv1 and BBRv3, \
             above .7 of that with a full queue with CUBIC",
            self.path()
        )
    }
}

impl Experiment for Delay {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let path = self.path();
        let base = u64::try_from(path.rtt().as_nanos()).unwrap_or(u64::MAX);
        let full = base + path.full_queue_nanos();
        for control in [Control::Bbr, Control::Bbr3, Control::Cubic] {
            let median = median_rtt(run, &path, control, (2, DELAY_MS))?;
            let expected = match control {
                Control::Cubic => full / 10 * 7..=u64::MAX,
                _ => base..=base / 2 * 5,
            };
            run.expect(control.to_string(), median, Unit::Nanos, expected);
        }
        Ok(())
    }
}

/// The median of what flows last measured, in nanoseconds, by looks at all of them between two times.
fn median_rtt(
    run: &mut Run,
    path: &Path,
    control: Control,
    (flows, [from_ms, to_ms]): (usize, [u64; 2]),
) -> Result<u64, SimError> {
    let seed = run.seed();
    let senders = vec![Sender::of(control); flows];
    let name = format!("{control}-{}", path.full_queue_nanos());
    let mut course = Course::new(run, &name, seed, path, &senders)?;
    let mut rtts = Vec::new();
    course.run_until_ms(from_ms)?;
    course.look_until_ms(to_ms, to_ms / 2400, |course| {
        let infos = (0..flows).filter_map(|flow| course.info(flow));
        let latest = infos.filter_map(|info| info.latest_rtt);
        rtts.extend(latest.filter_map(|rtt| u64::try_from(rtt.as_nanos()).ok()));
    })?;
    course.end(run);
    Ok(median(rtts))
}

/// The same over a link where eight least windows are a long queue, with queues of several sizes.
#[derive(Debug)]
struct Thin {
    queues: &'static [usize],
}

const THIN_FLOWS: usize = 8;
/// CUBIC takes minutes to fill a queue of fifty seconds.
const THIN_MS: [u64; 2] = [600_000, 1_800_000];
/// What BBRv1's may be of the smallest queue's, full: eight least windows and what probes of the bandwidth add are
/// more than it takes, so that what is measured there is the queue and not BBR.
const FLAT_PERCENT: u64 = 150;

impl fmt::Display for Thin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{THIN}, but queues of {:?} B; {THIN_FLOWS} flows from {} to {} s; the median round trip with BBRv1 at most \
             {FLAT_PERCENT} % of the first queue, full, with CUBIC above .7 of that with a full queue",
            self.queues,
            THIN_MS[0] / 1000,
            THIN_MS[1] / 1000,
        )
    }
}

impl Experiment for Thin {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut first = None;
        for &queue in self.queues {
            let path = THIN.queue(queue);
            let base = u64::try_from(path.rtt().as_nanos()).unwrap_or(u64::MAX);
            let bbr = median_rtt(run, &path, Control::Bbr, (THIN_FLOWS, THIN_MS))?;
            let what = format!("BBRv1, {queue} B");
            match first {
                None => run.tell(what, bbr, Unit::Nanos),
                Some(full) => {
                    let most = full / 100 * FLAT_PERCENT;
                    run.expect(what, bbr, Unit::Nanos, base..=most);
                }
            }
            let full = base + path.full_queue_nanos();
            first.get_or_insert(full);
            let cubic = median_rtt(run, &path, Control::Cubic, (THIN_FLOWS, THIN_MS))?;
            let least = full / 10 * 7;
            run.expect(
                format!("CUBIC, {queue} B"),
                cubic,
                Unit::Nanos,
                least..=u64::MAX,
            );
        }
        Ok(())
    }
}

/// What of the data is lost to a queue that is a fiftieth of what the path holds.
#[derive(Debug)]
struct SentAgain {
    flows: usize,
}

/// As long as what is published: start-up loses more, and a hundred flows that begin together are a larger share of less.
const SENT_AGAIN_MS: u64 = 300_000;
const V3_MOST: u64 = 30_000;
/// "Up to 15 %", read off a drawing: to half a percent.
const V1_MOST: u64 = 155_000;

impl fmt::Display for SentAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{SHALLOW}; {} flows of a kind over 300 s; lost at most {} with BBRv1, and with BBRv3 at most {} and \
             less than with BBRv1",
            self.flows,
            Unit::Millionths.of(V1_MOST),
            Unit::Millionths.of(V3_MOST),
        )
    }
}

impl Experiment for SentAgain {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut before = u64::MAX;
        for control in [Control::Bbr, Control::Bbr3, Control::Cubic] {
            let seed = run.seed();
            let senders = vec![Sender::of(control); self.flows];
            let name = control.to_string();
            let mut course = Course::new(run, &name, seed, &SHALLOW, &senders)?;
            course.run_until_ms(SENT_AGAIN_MS)?;
            let lost = share(course.frames());
            let what = format!("{control}, lost");
            match control {
                Control::Bbr => run.expect(what, lost, Unit::Millionths, 0..=V1_MOST),
                Control::Bbr3 => {
                    // Below nothing there is nothing: a range that no share lies in.
                    let (least, most) = match before.checked_sub(1) {
                        Some(less) => (0, V3_MOST.min(less)),
                        None => (1, 0),
                    };
                    run.expect(what, lost, Unit::Millionths, least..=most);
                }
                _ => run.tell(what, lost, Unit::Millionths),
            }
            before = lost;
            let bits = course.received().iter().sum::<u64>() * 8 / (SENT_AGAIN_MS / 1000);
            let used = SHALLOW.used(bits);
            run.tell(
                format!("{control}, use of the line"),
                used,
                Unit::Millionths,
            );
            course.end(run);
        }
        Ok(())
    }
}

fn u64_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn usize_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
