//! B3, B4, B10, B11, B20 and B22: what one BBRv3 flow does on a path that is good, or is gone for a time
//! (draft-ietf-ccwg-bbr and the tests of Linux's BBRv3 over emulated links).
//!
//! *Owns* what is written when, and what is read of the controller afterwards.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;

use super::ends::ROOMY;
use super::path::{ETHERNET, HEADERS, Path};
use super::run::Run;
use super::unit::Unit;
use super::{Experiment, Kind, Scenario};
use crate::base::{Instant, nanos};
use crate::sim::app::{App, Wake};
use crate::sim::apps::Sink;
use crate::sim::cx::Cx;
use crate::sim::error::SimError;
use crate::sim::topology::Pair;
use crate::sim::trace::{Row, Sampling};
use crate::stack::{ListenOptions, TcpId};
use crate::tcp::TcpOptions;
use crate::tcp::congestion::Choice;

const SLOW: Path = Path::new(Some(4_000_000), 72, Some(72_000));
const LINK: Path = Path::new(Some(10_000_000), 40, Some(100_000));

pub(super) const ALL: &[Scenario] = &[
    scenario(
        "B3",
        "BBRv3 leaves Startup three rounds after the last growth, and loses nothing",
        &Model {
            path: SLOW,
            writes: &[(0, 4_000_000)],
            blackout: None,
            until_ms: 3000,
            part: Part::Startup,
        },
    ),
    scenario(
        "B4",
        "BBRv3 drains what it queued to find the rate",
        &Model {
            path: SLOW,
            writes: &[(0, 4_000_000)],
            blackout: None,
            until_ms: 3000,
            part: Part::Drain,
        },
    ),
    scenario(
        "B10",
        "BBRv3 keeps its estimate while an application only says a little now and then",
        &Model {
            path: SLOW,
            writes: &LITTLE,
            blackout: None,
            until_ms: 73_000,
            part: Part::Little,
        },
    ),
    scenario(
        "B11",
        "BBRv3 goes on after an idle time at the rate that it knows",
        &Model {
            path: SLOW,
            writes: &[(0, 2_000_000), (20_000, 2_000_000)],
            blackout: None,
            until_ms: 22_000,
            part: Part::Idle(20_000),
        },
    ),
    scenario(
        "B20",
        "BBRv3 and a path that is gone for two seconds",
        &Model {
            path: LINK,
            writes: &[(0, 10_000_000)],
            blackout: Some((5000, 7000)),
            until_ms: 20_000,
            part: Part::Blackout(15_000),
        },
    ),
    scenario(
        "B22",
        "BBRv3 fills a link for a minute, and looks for its round trip every five seconds",
        &Model {
            path: Path::new(Some(10_000_000), 40, Some(400_000)),
            writes: &[(0, 100_000_000)],
            blackout: None,
            until_ms: 60_000,
            part: Part::Minute,
        },
    ),
];

/// A bulk of ten seconds at most, and then twenty times 512 bytes, three seconds apart.
const LITTLE: [(u64, u64); 21] = {
    let mut writes = [(0, 2_000_000); 21];
    let mut n = 1;
    while n < writes.len() {
        writes[n] = (9000 + 3000 * n as u64, 512);
        n += 1;
    }
    writes
};

const fn scenario(id: &'static str, title: &'static str, experiment: &'static Model) -> Scenario {
    Scenario {
        id,
        title,
        kind: Kind::Published,
        seeds: 3,
        short: true,
        experiment,
    }
}

/// One flow.
#[derive(Debug)]
struct Model {
    path: Path,
    /// When, in milliseconds, how many bytes are written.
    writes: &'static [(u64, u64)],
    /// From and until when, in milliseconds, nothing passes either way.
    blackout: Option<(u64, u64)>,
    until_ms: u64,
    part: Part,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
enum Part {
    Startup,
    Drain,
    Little,
    /// Silence until so many milliseconds.
    Idle(u64),
    /// All is there within so many milliseconds.
    Blackout(u64),
    Minute,
}

// The numbers by which BBRv3 tells its states.
const STARTUP: i128 = 0;
const DRAIN: i128 = 1;
const UP: i128 = 5;
const PROBE_RTT: i128 = 6;

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; one BBRv3 flow; bytes written at ms:", self.path)?;
        for (at, bytes) in self.writes {
            write!(f, " {at}:{bytes}")?;
        }
        if let Some((from, to)) = self.blackout {
            write!(f, "; nothing passes from {from} to {to} ms")?;
        }
        write!(f, "; {} ms; ", self.until_ms)?;
        f.write_str(match self.part {
            Part::Startup => {
                "Startup left at 0.5 to 1.5 s, 3 rounds after the last growth by a quarter; no loss; the \
                 estimate within 1 % of the link"
            }
            Part::Drain => {
                "a queue of at least 95 % of the product at the end of Startup, at most the product (with the \
                 time that a frame takes) in flight at the end of Drain, a round trip within 10 % of the base after \
                 4 rounds more"
            }
            Part::Little => {
                "the estimate is within 1 % of the link and stays within 1 % of that, every sample is the \
                 application's, neither Startup, Drain nor ProbeRTT, and UP is never left"
            }
            Part::Idle(_) => {
                "what follows is paced at the estimate (at most 6 frames queued in its first round trip), no \
                 ProbeRTT in 2 s, and the round trip is stamped at least 14 s later"
            }
            Part::Blackout(_) => "all has arrived after 15 s",
            Part::Minute => {
                "at least 96 % of the link, ProbeRTT every 5 to 5.5 s, in-flight low for 200 to 260 ms each"
            }
        })
    }
}

impl Experiment for Model {
    fn run(&self, run: &mut Run) -> Result<(), SimError> {
        let mut pair = self.path.pair(run.seed())?;
        let to = SocketAddr::new(Pair::RIGHT, 9);
        let receiver = TcpOptions::default()
            .recv_buffer_max(ROOMY)
            .recv_buffer_initial(ROOMY / 4);
        let sink = Sink::new(to).options(ListenOptions::new(receiver));
        let sink = pair.network.add_app(pair.right, sink);
        let writer = Writer::new(to, self.writes);
        pair.network.add_app(pair.left, writer);
        if let Some((from, until)) = self.blackout {
            let [from, until] = [from, until].map(Instant::from_millis);
            pair.network.partition(&[pair.link], from, until);
        }
        run.watch(&mut pair.network, "flow", pair.left, pair.link);
        let queue = Some(pair.link.forth());
        let trace = pair.network.trace(pair.left, Sampling::EachTurn, queue);
        pair.network
            .run_until(Instant::from_millis(self.until_ms))?;
        let rows = pair.network.take_rows(trace);
        let seen = Seen {
            path: &self.path,
            rows: &rows,
        };
        match self.part {
            Part::Startup => seen.startup(run),
            Part::Drain => seen.drain(run),
            Part::Little => seen.little(run, Instant::from_millis(self.writes[1].0)),
            Part::Idle(until) => seen.idle(run, Instant::from_millis(until)),
            Part::Blackout(most) => {
                let all = self.writes.iter().map(|(_, bytes)| bytes).sum();
                let app = pair.network.app(sink);
                let last = app.times().map_or(u64::MAX, |(_, last)| last.as_nanos());
                run.expect("arrived", app.bytes(), Unit::Bytes, all..=all);
                run.expect("the last at", last, Unit::Nanos, 0..=most * 1_000_000);
            }
            Part::Minute => {
                let bits = pair.network.app(sink).bytes() * 8 * 1000 / self.until_ms;
                let used = self.path.used(bits);
                run.expect("of the link", used, Unit::Millionths, 960_000..=u64::MAX);
                seen.dips(run);
            }
        }
        run.watched(&mut pair.network);
        Ok(())
    }
}

/// What was seen of the sender.
struct Seen<'a> {
    path: &'a Path,
    rows: &'a [Row],
}

impl Seen<'_> {
    /// Where it is, for the first time after `from`, in another state than this.
    fn leaves(&self, from: usize, state: i128) -> Option<usize> {
        let found = self
            .rows
            .iter()
            .skip(from)
            .position(|row| told(row, "state") != state);
        found.map(|place| place + from)
    }

    /// The first place of each stay in this state, and the first after it.
    fn stays(&self, state: i128) -> Vec<(usize, usize)> {
        let mut stays = Vec::new();
        let mut from = 0;
        while let Some(begin) = self.rows[from..]
            .iter()
            .position(|row| told(row, "state") == state)
        {
            let begin = from + begin;
            let Some(end) = self.leaves(begin, state) else {
                break;
            };
            stays.push((begin, end));
            from = end;
        }
        stays
    }

    fn startup(&self, run: &mut Run) {
        let Some(left) = self.leaves(0, STARTUP) else {
            return run.expect("left", 0, Unit::Count, 1..=1);
        };
        let end = &self.rows[left];
        let grown = self.rows[..=left].windows(2).rev().find_map(|pair| {
            (told(&pair[0], "full_bw") != told(&pair[1], "full_bw"))
                .then(|| told(&pair[1], "round"))
        });
        let rounds = number(told(end, "round") - grown.unwrap_or(0));
        run.expect("rounds without growth", rounds, Unit::Count, 3..=3);
        let window = 500_000_000..=1_500_000_000;
        run.expect("left at", end.at.as_nanos(), Unit::Nanos, window);
        let again = self
            .rows
            .last()
            .map_or(u64::MAX, |row| row.info.retransmits);
        run.expect("sent again", again, Unit::Count, 0..=0);
        self.estimate(run, end);
    }

    /// The estimate in text, within 1 %.
    fn estimate(&self, run: &mut Run, row: &Row) {
        let rate = self.path.text_rate();
        let known = number(told(row, "max_bw")) * 8;
        run.expect(
            "estimate",
            known,
            Unit::BitsPerSec,
            rate * 99 / 100..=rate * 101 / 100,
        );
    }

    fn drain(&self, run: &mut Run) {
        let stays = self.stays(DRAIN);
        let Some(&(begin, end)) = stays.first() else {
            return run.expect("drained", 0, Unit::Count, 1..=1);
        };
        let frame = self.path.smss() + HEADERS + ETHERNET;
        let product = self.path.rate().unwrap_or(0) / 8 * self.path.rtt_millis() / 1000;
        let queued = self.rows[begin].queue.map_or(0, |queue| queue.bytes);
        let queued = u64::try_from(queued).unwrap_or(u64::MAX);
        run.expect("queued", queued, Unit::Bytes, product * 95 / 100..=u64::MAX);
        // What it can know: its shortest round trip has the time in it that a frame takes.
        let most = (product + frame) * self.path.smss() / frame;
        let flight = u64::from(self.rows[end].info.in_flight);
        run.expect("in flight after it", flight, Unit::Bytes, 0..=most);
        let round = told(&self.rows[end], "round");
        let later = |rounds| {
            self.rows[end..]
                .iter()
                .find(move |row| told(row, "round") >= round + rounds)
        };
        let base = self.path.rtt_millis() * 1_000_000;
        let rtt = later(4)
            .and_then(|row| row.info.latest_rtt)
            .map_or(u64::MAX, nanos);
        run.expect("round trip", rtt, Unit::Nanos, base..=base * 110 / 100);
        // Smoothed by an eighth in a round trip (RFC 7323 appendix G), not in each ACK: it takes longer.
        let srtt = later(16)
            .and_then(|row| row.info.rtt)
            .map_or(u64::MAX, nanos);
        run.tell("SRTT after 16 rounds", srtt, Unit::Nanos);
    }

    fn little(&self, run: &mut Run, from: Instant) {
        let Some(at) = self.rows.iter().position(|row| row.at >= from) else {
            return run.expect("little", 0, Unit::Count, 1..=1);
        };
        let (before, little) = (&self.rows[at - 1], &self.rows[at..]);
        self.estimate(run, before);
        let known = number(told(before, "max_bw")) * 8;
        let close = known * 99 / 100..=known * 101 / 100;
        for (what, row) in [("least", false), ("greatest", true)] {
            let told = little.iter().map(|row| number(told(row, "max_bw")) * 8);
            let one = if row { told.max() } else { told.min() };
            run.expect(
                format!("{what} estimate"),
                one.unwrap_or(0),
                Unit::BitsPerSec,
                close.clone(),
            );
        }
        // The first row is of what was sent, the sample of it comes with the next.
        let own = little
            .iter()
            .skip(2)
            .filter(|row| !row.info.delivery_rate_app_limited);
        run.expect("samples of the path", count(own), Unit::Count, 0..=0);
        let else_where = little
            .iter()
            .filter(|row| matches!(told(row, "state"), STARTUP | DRAIN | PROBE_RTT));
        run.expect("in other states", count(else_where), Unit::Count, 0..=0);
        let left = little
            .windows(2)
            .filter(|pair| told(&pair[0], "state") == UP && told(&pair[1], "state") != UP);
        run.expect("UP left", count(left), Unit::Count, 0..=0);
    }

    fn idle(&self, run: &mut Run, until: Instant) {
        let Some(at) = self.rows.iter().position(|row| row.at >= until) else {
            return run.expect("goes on", 0, Unit::Count, 1..=1);
        };
        let (before, after) = (&self.rows[at - 1], &self.rows[at..]);
        let first = after
            .iter()
            .take_while(|row| row.at < until + self.path.rtt());
        let queued = first
            .filter_map(|row| row.queue)
            .map(|queue| queue.frames)
            .max();
        let queued = u64::try_from(queued.unwrap_or(usize::MAX)).unwrap_or(u64::MAX);
        run.expect("queued in a round trip", queued, Unit::Count, 0..=6);
        let probes = after.iter().filter(|row| told(row, "state") == PROBE_RTT);
        run.expect("turns in ProbeRTT", count(probes), Unit::Count, 0..=0);
        let stamp = |row: &Row| told(row, "min_rtt_at_ns");
        let last = after.last().unwrap_or(before);
        let moved = number(stamp(last) - stamp(before));
        run.expect("stamp moved", moved, Unit::Nanos, 14_000_000_000..=u64::MAX);
    }

    fn dips(&self, run: &mut Run) {
        let stays = self.stays(PROBE_RTT);
        run.expect("dips", count(stays.iter()), Unit::Count, 10..=12);
        let apart = stays
            .windows(2)
            .map(|pair| self.rows[pair[1].0].at.since(self.rows[pair[0].0].at));
        extremes(run, "apart", apart, [5_000_000_000, 5_500_000_000]);
        let low = stays.iter().map(|&(begin, end)| {
            let target = |row: &&Row| i128::from(row.info.in_flight) <= told(row, "cwnd");
            let low = self.rows[begin..end].iter().find(target);
            self.rows[end].at.since(low.unwrap_or(&self.rows[end]).at)
        });
        extremes(run, "low for", low, [200_000_000, 260_000_000]);
    }
}

/// The least and the greatest of some times are within these nanoseconds.
fn extremes(
    run: &mut Run,
    what: &str,
    times: impl Iterator<Item = Duration>,
    [least, most]: [u64; 2],
) {
    let times: Vec<u64> = times.map(nanos).collect();
    let (min, max) = (times.iter().min(), times.iter().max());
    for (which, found) in [("least", min), ("greatest", max)] {
        let found = found.copied().unwrap_or(0);
        run.expect(format!("{what}, {which}"), found, Unit::Nanos, least..=most);
    }
}

/// What the controller said under this name; -1 when it said nothing.
fn told(row: &Row, name: &str) -> i128 {
    let found = row.inspected.iter().find(|(known, _)| *known == name);
    found.map_or(-1, |&(_, value)| value)
}

fn number(value: i128) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn count<T>(of: impl Iterator<Item = T>) -> u64 {
    u64::try_from(of.count()).unwrap_or(u64::MAX)
}

/// Writes so much at such times.
#[derive(Debug)]
struct Writer {
    to: SocketAddr,
    writes: &'static [(u64, u64)],
    /// What was to be written by now and is not.
    owed: u64,
    chunk: Bytes,
    id: Option<TcpId>,
}

const CHUNK: usize = 64 << 10;

impl Writer {
    fn new(to: SocketAddr, writes: &'static [(u64, u64)]) -> Self {
        Self {
            to,
            writes,
            owed: 0,
            chunk: Bytes::from(vec![0x62; CHUNK]),
            id: None,
        }
    }

    fn write(&mut self, cx: &mut Cx<'_>) {
        let Some(id) = self.id else { return };
        while self.owed > 0 {
            let len = usize::try_from(self.owed).map_or(CHUNK, |owed| owed.min(CHUNK));
            match cx.tcp_write_chunk(id, &mut self.chunk.slice(..len)) {
                Ok(written) => self.owed -= u64::try_from(written).unwrap_or(0),
                Err(_) => return,
            }
        }
    }
}

impl App for Writer {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        match wake {
            Wake::Start => {
                let options = TcpOptions::default().congestion(Choice::Bbr3);
                // One that cannot connect has nothing arrive.
                self.id = cx.tcp_connect(self.to, options).ok();
                for (number, (at, _)) in self.writes.iter().enumerate() {
                    let number = u64::try_from(number).unwrap_or(u64::MAX);
                    cx.alarm(Instant::from_millis(*at), number);
                }
            }
            Wake::Alarm(number) => {
                let number = usize::try_from(number).unwrap_or(usize::MAX);
                self.owed += self.writes.get(number).map_or(0, |&(_, bytes)| bytes);
                self.write(cx);
            }
            Wake::Event(_) => self.write(cx),
        }
    }
}
