//! What is seen of one BBR flow while it runs: when it left Startup, what its model was at certain times.
//!
//! *Owns* what looks, some milliseconds apart, have shown. *Does not* judge.

use core::fmt;
use core::time::Duration;

use super::course::Course;
use crate::base::Instant;

/// A time in the life of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// So many milliseconds after the start of the run.
    Ms(u64),
    /// So many whole probing cycles, from one slowing down to another, after a time.
    Cycles { from_ms: u64, count: u32 },
    /// The last look that found a connection.
    End,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ms(ms) => write!(f, "after {ms} ms"),
            Self::Cycles { from_ms, count } => write!(f, "{count} cycles after {from_ms} ms"),
            Self::End => f.write_str("at the end"),
        }
    }
}

/// States as the controllers give them to `inspect`.
const STARTUP: i128 = 0;
/// BBRv3's, in which a cycle begins.
const DOWN: i128 = 2;

/// What was seen first after Startup.
#[derive(Clone, Copy, Debug)]
struct Left {
    round: u64,
    /// Data frames sent and lost.
    frames: (u64, u64),
    /// The long-term bound of what is in flight.
    infl_lt: Option<u64>,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// With the bandwidth, bytes per second, once the time had come.
    whens: Vec<(When, Option<u64>)>,
    /// Starts of cycles since each of them.
    cycles: Vec<u32>,
    last: Vec<(&'static str, i128)>,
    srtt: Option<u64>,
    shortest: Option<u64>,
    state: i128,
    /// The round in which the sender found a loss first.
    first_loss: Option<u64>,
    left: Option<Left>,
}

impl Seen {
    /// Will keep the bandwidth of these times.
    pub(super) fn new(whens: Vec<When>) -> Self {
        Self {
            cycles: vec![0; whens.len()],
            whens: whens.into_iter().map(|when| (when, None)).collect(),
            last: Vec::new(),
            srtt: None,
            shortest: None,
            state: STARTUP,
            first_loss: None,
            left: None,
        }
    }

    /// Looks at the first flow.
    pub(super) fn look(&mut self, course: &mut Course) {
        let Some(info) = course.info(0) else { return };
        self.last = course.inspected(0);
        let nanos = |time: Option<Duration>| u64::try_from(time?.as_nanos()).ok();
        (self.srtt, self.shortest) = (nanos(info.rtt), nanos(info.min_rtt));
        let frames = course.frames();
        let round = self.last("round").unwrap_or(0);
        if info.lost > 0 || info.retransmits > 0 {
            self.first_loss.get_or_insert(round);
        }
        let state = self.value("state").unwrap_or(STARTUP);
        if state != STARTUP && self.value("full_reached") == Some(1) {
            let infl_lt = self.last("infl_lt");
            self.left.get_or_insert(Left {
                round,
                frames,
                infl_lt,
            });
        }
        let began = state == DOWN && self.state != DOWN;
        self.state = state;
        let (now, bandwidth) = (course.network.now(), self.last("max_bw"));
        for ((when, kept), cycles) in self.whens.iter_mut().zip(&mut self.cycles) {
            let come = match *when {
                When::End => {
                    *kept = bandwidth;
                    false
                }
                When::Ms(ms) => now >= Instant::from_millis(ms),
                When::Cycles { from_ms, count } => {
                    *cycles += u32::from(began && now >= Instant::from_millis(from_ms));
                    // The first ends the cycle that ran.
                    *cycles > count
                }
            };
            if come && kept.is_none() {
                *kept = bandwidth;
            }
        }
    }

    fn value(&self, name: &str) -> Option<i128> {
        let found = self.last.iter().find(|(other, _)| *other == name);
        found.map(|&(_, value)| value)
    }

    /// What the controller last said under this name; `None` if that was no number of things.
    pub(super) fn last(&self, name: &str) -> Option<u64> {
        u64::try_from(self.value(name)?).ok()
    }

    /// The last SRTT, in nanoseconds.
    pub(super) const fn srtt(&self) -> Option<u64> {
        self.srtt
    }

    /// The connection's shortest round trip at the end, in nanoseconds.
    pub(super) const fn shortest(&self) -> Option<u64> {
        self.shortest
    }

    /// The bandwidth at a time, in bytes per second.
    pub(super) fn max_bw(&self, at: When) -> Option<u64> {
        let found = self.whens.iter().find(|(when, _)| *when == at);
        found.and_then(|&(_, kept)| kept)
    }

    /// Of the data frames that were sent in Startup, how many millionths were lost by its end.
    pub(super) fn startup_lost(&self) -> Option<u64> {
        self.left.map(|left| share(left.frames))
    }

    /// The long-term bound, in bytes, with which it left Startup.
    pub(super) fn startup_bound(&self) -> Option<u64> {
        self.left?.infl_lt
    }

    /// Rounds from the first loss that was found to the end of Startup; 0 when there was none until then.
    pub(super) fn startup_rounds(&self) -> Option<u64> {
        let left = self.left?.round;
        Some(
            self.first_loss
                .map_or(0, |first| left.saturating_sub(first)),
        )
    }
}

/// Lost of sent, in millionths.
pub(super) const fn share((sent, lost): (u64, u64)) -> u64 {
    match (lost * 1_000_000).checked_div(sent) {
        Some(share) => share,
        None => 0,
    }
}
