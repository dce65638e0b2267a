//! One direction of a link, as a value: frames go in and come out, later, changed, or not at all.
//!
//! *Owns* the frames that wait and those that are on their way. *Does not* read a clock or touch a
//! device: it lives by its callers' `now`, and by its seed, so the same calls have the same outcome.
//! Frames are as they are on a wire, never super-segments. Invariant: when it is asked does not matter
//! to what happens: transmissions and arrivals have their own times, to the nanosecond.

mod acks;
mod config;
mod counters;
mod flight;
mod frame;
mod line;
mod pick;
mod rate;

use bytes::Bytes;

use super::Medium;
use crate::base::{Instant, Random, Seed};
use acks::{Burst, Thinner};
use core::time::Duration;
use flight::Flight;
use frame::{Class, Frame, Mark, flip_a_bit, flow_of, mark_ce};
use line::{Line, Tokens};

pub use config::{AckAggregation, AckThinning, Displacement, QueueLimit, TokenBucket, WireConfig};
pub use counters::WireCounters;
pub use line::Queued;
pub use pick::{Chance, GilbertElliott, Pick};

/// One direction of a link.
///
/// ```
/// use core::time::Duration;
/// use netloom::base::{Instant, Seed};
/// use netloom::device::{Medium, Wire, WireConfig};
///
/// let config = WireConfig::perfect().rate(8_000_000).delay(Duration::from_millis(5));
/// let mut wire = Wire::new(Medium::Ip, config, Seed::from_number(1), "there");
/// wire.offer(Instant::ZERO, vec![0x45; 1000].into());
/// // A millisecond at 8 Mbit/s, and five on the way.
/// let due = wire.next_due().unwrap();
/// assert_eq!(due, Instant::from_millis(6));
/// assert_eq!(wire.take_due(due).unwrap().1.len(), 1000);
/// ```
#[derive(Debug)]
pub struct Wire {
    config: WireConfig,
    medium: Medium,
    random: Random,
    /// Up to when everything has happened.
    clock: Instant,
    chains: Chains,
    thinner: Thinner,
    burst: Burst,
    tokens: Option<Tokens>,
    line: Line,
    flight: Flight,
    counters: WireCounters,
}

/// The states of the chains behind each [`Pick`].
#[derive(Debug, Default)]
struct Chains {
    loss: bool,
    duplication: bool,
    corruption: bool,
    reordering: bool,
    marking: bool,
}

impl Wire {
    /// A wire that carries frames of `medium`. Its chances are drawn from `seed` and `label`: wires of
    /// one seed need labels of their own.
    pub fn new(medium: Medium, config: WireConfig, seed: Seed, label: &str) -> Self {
        let tokens = config
            .bucket
            .map(|bucket| Tokens::new(bucket, Instant::ZERO));
        Self {
            config,
            medium,
            random: Random::new(seed.key(label)),
            clock: Instant::ZERO,
            chains: Chains::default(),
            thinner: Thinner::default(),
            burst: Burst::default(),
            tokens,
            line: Line::new(),
            flight: Flight::default(),
            counters: WireCounters::default(),
        }
    }

    /// Puts a frame on the wire. A `now` before that of an earlier call counts as that one's.
    pub fn offer(&mut self, now: Instant, data: Bytes) {
        let now = self.advance(now);
        let class = Class::of(self.medium, &data);
        self.counters.frames += 1;
        let number = (class == Class::Text).then_some(self.counters.texts);
        self.counters.texts += u64::from(number.is_some());
        let copies = self.decide(now, number, data);
        for frame in copies.into_iter().flatten() {
            if self.held() >= self.config.capacity {
                self.counters.overflowed += 1;
            } else {
                self.filter_acks(now, class, frame);
            }
        }
    }

    /// Takes out the next frame that has arrived by `now`, with the time when it did.
    pub fn take_due(&mut self, now: Instant) -> Option<(Instant, Bytes)> {
        let now = self.advance(now);
        let due = self.flight.pop_due(now);
        self.counters.delivered += u64::from(due.is_some());
        due
    }

    /// When to ask next: no frame arrives before. One arrives then, unless something on the way
    /// takes, holds or delays it; `None` when nothing is on its way.
    pub fn next_due(&self) -> Option<Instant> {
        let leaves = self.line.next_end().map(|end| end + self.config.delay);
        [
            self.flight.next_due(),
            self.flight.next_expiry(),
            leaves,
            self.thinner.next(),
            self.burst.next(),
        ]
        .into_iter()
        .flatten()
        .min()
        .filter(|&due| due < Instant::FAR_FUTURE)
    }

    /// Changes what it does, from `now` on. What is being transmitted goes on at the new rate, and
    /// what waits stays, even beyond a smaller limit; what propagates, or is held back, keeps the time
    /// it has. A policer that changes starts anew.
    pub fn set(&mut self, now: Instant, config: WireConfig) {
        let now = self.advance(now);
        self.line.change(now, &self.config.rate, &config.rate);
        if self.tokens.as_ref().map(Tokens::settings) != config.bucket {
            self.tokens = config.bucket.map(|bucket| Tokens::new(bucket, now));
        }
        self.config = config;
    }

    /// What waits for the line at `now`. What is being transmitted, and what propagates, does not.
    pub fn queued(&mut self, now: Instant) -> Queued {
        self.advance(now);
        self.line.queued()
    }

    /// How many frames are in it, wherever.
    pub fn held(&self) -> usize {
        self.line.len() + self.flight.len() + self.thinner.len() + self.burst.len()
    }

    /// What happened so far.
    pub const fn counters(&self) -> WireCounters {
        self.counters
    }

    /// Chance decides on a frame; it and its copy, if any.
    fn decide(&mut self, now: Instant, number: Option<u64>, mut data: Bytes) -> [Option<Frame>; 2] {
        let (config, chains, random) = (&self.config, &mut self.chains, &mut self.random);
        let lost = config.loss.picks(number, &mut chains.loss, random);
        if config
            .corruption
            .picks(number, &mut chains.corruption, random)
        {
            self.counters.corrupted += 1;
            data = flip_a_bit(self.medium, &data, random);
        }
        let marked = config.marking.picks(number, &mut chains.marking, random);
        if marked && mark_ce(self.medium, &mut data) == Mark::Set {
            self.counters.marked += 1;
        }
        let twice = config
            .duplication
            .picks(number, &mut chains.duplication, random);
        let displaced = config
            .reordering
            .picks(number, &mut chains.reordering, random);
        let below = u64::try_from(config.jitter.as_nanos()).unwrap_or(u64::MAX);
        let mut jitter = || match below {
            0 => Duration::ZERO,
            below => Duration::from_nanos(random.below(below)),
        };
        let copy = twice.then(|| Frame {
            data: data.clone(),
            joined: now,
            jitter: jitter(),
            lost: false,
            displaced: false,
        });
        self.counters.duplicated += u64::from(twice);
        let frame = Frame {
            data,
            joined: now,
            jitter: jitter(),
            lost,
            displaced,
        };
        [Some(frame), copy]
    }

    /// Thins and aggregates ACKs; all else takes along what is held before it.
    fn filter_acks(&mut self, now: Instant, class: Class, frame: Frame) {
        let layout = match class {
            Class::BareAck(layout) => layout,
            Class::Other => return self.police(now, frame),
            Class::Text | Class::Empty => {
                self.release_acks(now, &frame);
                return self.police(now, frame);
            }
        };
        let flow = flow_of(&layout, &frame.data);
        if self.config.thinning.is_none()
            && let Some(before) = flow.and_then(|flow| self.thinner.take(&flow))
        {
            // Held since there was thinning.
            self.aggregate(now, before);
        }
        let passes = match (self.config.thinning, flow) {
            (Some(settings), Some(flow)) => {
                let (passes, dropped) = self.thinner.offer(now, flow, frame, settings);
                self.counters.thinned += u64::from(dropped);
                passes
            }
            _ => Some(frame),
        };
        if let Some(frame) = passes {
            self.aggregate(now, frame);
        }
    }

    fn release_acks(&mut self, now: Instant, frame: &Frame) {
        if self.thinner.len() > 0
            && let Some(layout) = super::layout::Layout::of(self.medium, &frame.data)
            && let Some(flow) = flow_of(&layout, &frame.data)
            && let Some(ack) = self.thinner.take(&flow)
        {
            self.aggregate(now, ack);
        }
        self.release_burst(now);
    }

    fn release_burst(&mut self, now: Instant) {
        while let Some(frame) = self.burst.pop() {
            self.police(now, frame);
        }
    }

    fn aggregate(&mut self, now: Instant, frame: Frame) {
        match self.config.aggregation {
            None => {
                self.release_burst(now);
                self.police(now, frame);
            }
            Some(settings) => {
                if self.burst.offer(now, frame, settings) {
                    self.release_burst(now);
                }
            }
        }
    }

    fn police(&mut self, now: Instant, frame: Frame) {
        if let Some(tokens) = &mut self.tokens
            && !tokens.take(now, frame.data.len())
        {
            self.counters.policed += 1;
            return;
        }
        self.enqueue(now, frame);
    }

    fn enqueue(&mut self, now: Instant, mut frame: Frame) {
        frame.joined = now;
        if !self.line.is_idle() {
            if self.line.queue(frame, self.config.queue).is_err() {
                self.counters.overflowed += 1;
            }
        } else if self.config.rate.is_unlimited(now) {
            self.depart(now, frame);
        } else {
            self.line.begin(now, frame, &self.config.rate);
        }
    }

    /// Begins the next transmission, if any frame waits.
    fn begin_next(&mut self, now: Instant) {
        while let Some(mut frame) = self.line.next_waiting() {
            let waited = now.since(frame.joined);
            if self.config.ce_above.is_some_and(|above| waited > above) {
                match mark_ce(self.medium, &mut frame.data) {
                    Mark::Set => self.counters.marked += 1,
                    Mark::NotEct if !self.config.passes_not_ect => {
                        self.counters.refused += 1;
                        continue;
                    }
                    Mark::NotEct | Mark::WasSet => {}
                }
            }
            return self.line.begin(now, frame, &self.config.rate);
        }
    }

    /// A frame has left the line and propagates.
    fn depart(&mut self, now: Instant, frame: Frame) {
        let config = &self.config;
        if config.is_out(now) {
            self.counters.cut_off += 1;
            return;
        }
        if frame.lost {
            self.counters.lost += 1;
            return;
        }
        let mut due = now + config.delay + frame.jitter;
        if frame.displaced {
            self.counters.reordered += 1;
            match config.displacement {
                Displacement::Frames { frames, at_most } if frames > 0 => {
                    return self.flight.put_aside(frame.data, frames, due + at_most);
                }
                Displacement::Frames { .. } => {}
                Displacement::Time(by) => return self.flight.push(due + by, frame.data),
            }
        }
        if config.jitter_overtakes {
            self.flight.push(due, frame.data);
        } else {
            due = self.flight.push_in_order(due, frame.data);
        }
        self.flight.pass(due);
    }

    /// Lets happen what happens until `now`, in the order of time. Returns the later of `now` and
    /// the clock.
    fn advance(&mut self, now: Instant) -> Instant {
        let now = now.max(self.clock);
        while let Some(at) = self.next_event().filter(|&at| at <= now) {
            if self.flight.next_expiry() == Some(at) {
                self.flight.expire(at);
            } else if self.thinner.next() == Some(at) {
                if let Some(frame) = self.thinner.pop() {
                    self.aggregate(at, frame);
                }
            } else if self.burst.next() == Some(at) {
                self.release_burst(at);
            } else if let Some(frame) = self.line.finish() {
                self.depart(at, frame);
                self.begin_next(at);
            }
        }
        self.clock = now;
        now
    }

    fn next_event(&self) -> Option<Instant> {
        [
            self.line.next_end(),
            self.flight.next_expiry(),
            self.thinner.next(),
            self.burst.next(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
