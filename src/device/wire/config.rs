//! What a wire does to the frames of one direction.
//!
//! *Owns* the settings, each with its unit and its default. *Does not* do any of it.

use core::time::Duration;

use super::pick::Pick;
use super::rate::Rate;
use crate::base::Instant;

/// What a wire does to the frames of one direction. By default nothing: a perfect wire.
///
/// A frame goes through it in this order: chance decides its fate; bare ACKs are thinned and
/// aggregated; the token bucket polices; the queue takes or drops; the line transmits at its rate; an
/// outage or a loss takes it; it propagates. So a lost frame has used the line, and what chance does
/// to the n-th frame does not depend on how full the queue was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct WireConfig {
    pub(super) rate: Rate,
    pub(super) queue: QueueLimit,
    pub(super) capacity: usize,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) jitter_overtakes: bool,
    pub(super) loss: Pick,
    pub(super) duplication: Pick,
    pub(super) corruption: Pick,
    pub(super) reordering: Pick,
    pub(super) displacement: Displacement,
    pub(super) marking: Pick,
    pub(super) ce_above: Option<Duration>,
    pub(super) passes_not_ect: bool,
    pub(super) bucket: Option<TokenBucket>,
    pub(super) thinning: Option<AckThinning>,
    pub(super) aggregation: Option<AckAggregation>,
    /// Sorted, from and to, apart from each other.
    pub(super) outages: Vec<(Instant, Instant)>,
}

/// How much may wait to be transmitted; what does not fit is dropped at the tail. The frame that is
/// being transmitted does not wait, so a limit of 0 still passes one frame at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueLimit {
    /// So many frames.
    Frames(usize),
    /// So many bytes of frames, link headers counted.
    Bytes(usize),
}

/// How far a reordered frame falls behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Displacement {
    /// It arrives with, and right behind, the frame that leaves the line as the n-th after it;
    /// `at_most` later than it would have, when too few frames follow. Displaced frames do not overtake each
    /// other.
    Frames {
        /// How many frames overtake it.
        frames: u32,
        /// How long it waits for them.
        at_most: Duration,
    },
    /// It arrives later by this.
    Time(Duration),
}

/// A policer: tokens flow in at a rate, and a frame that finds fewer of them than it has bytes is
/// dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenBucket {
    /// Bits per second.
    pub rate: u64,
    /// Bytes in the bucket at the start.
    pub burst: u64,
    /// The most bytes in it.
    pub depth: u64,
}

impl TokenBucket {
    /// A bucket filled at `bits_per_sec` that holds `burst` bytes at the start, and `depth` bytes at
    /// most.
    pub const fn new(bits_per_sec: u64, burst: u64, depth: u64) -> Self {
        Self {
            rate: bits_per_sec,
            burst,
            depth,
        }
    }
}

/// Of the bare ACKs of a connection only some pass: of those that come within `within` of the first,
/// and of at most `every` of them, the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AckThinning {
    /// How many make one pass at once.
    pub every: u32,
    /// How long the newest is kept for more.
    pub within: Duration,
}

impl AckThinning {
    /// Every `every`-th passes; so does the newest when fewer came in `within`, or a stalled sender
    /// would wait for an ACK for ever.
    pub const fn every(every: u32, within: Duration) -> Self {
        Self { every, within }
    }

    /// One passes in each `interval` in which any came.
    pub const fn one_per(interval: Duration) -> Self {
        Self::every(u32::MAX, interval)
    }
}

/// Bare ACKs are held and let go in bursts, as half-duplex links do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AckAggregation {
    /// A burst leaves as soon as it has so many bytes of frames.
    pub bytes: usize,
    /// A burst leaves so long after its first ACK came.
    pub time: Duration,
}

impl AckAggregation {
    /// Bursts of `bytes`, none held for longer than `time`.
    pub const fn new(bytes: usize, time: Duration) -> Self {
        Self { bytes, time }
    }
}

/// The queue of a Linux interface (`txqueuelen`).
const QUEUE_FRAMES: usize = 1000;
/// 10 Gbit/s of full frames for 1.2 s.
const CAPACITY_FRAMES: usize = 1 << 20;

impl Default for WireConfig {
    fn default() -> Self {
        Self {
            rate: Rate::default(),
            queue: QueueLimit::Frames(QUEUE_FRAMES),
            capacity: CAPACITY_FRAMES,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_overtakes: false,
            loss: Pick::nothing(),
            duplication: Pick::nothing(),
            corruption: Pick::nothing(),
            reordering: Pick::nothing(),
            displacement: Displacement::Time(Duration::ZERO),
            marking: Pick::nothing(),
            ce_above: None,
            passes_not_ect: false,
            bucket: None,
            thinning: None,
            aggregation: None,
            outages: Vec::new(),
        }
    }
}

impl WireConfig {
    /// A perfect wire: nothing is lost, changed or late.
    pub fn perfect() -> Self {
        Self::default()
    }

    /// The rate of the line from the start on, in bits per second; at 0 nothing leaves. Without one,
    /// frames take no time. Bytes of a frame are counted from the link header on.
    pub fn rate(mut self, bits_per_sec: u64) -> Self {
        self.rate.first = Some(bits_per_sec);
        self
    }

    /// A step of the rate: `bits_per_sec` from `at` on. A frame that is being transmitted goes on at
    /// the new rate.
    pub fn rate_from(mut self, at: Instant, bits_per_sec: u64) -> Self {
        self.rate.step(at, bits_per_sec);
        self
    }

    /// How much may wait to be transmitted: 1000 frames by default, as on a Linux interface.
    pub fn queue(mut self, limit: QueueLimit) -> Self {
        self.queue = limit;
        self
    }

    /// How many frames the wire holds in all, waiting, held back or on their way: 2^20 by default.
    /// More are dropped as at a full queue. A guard of memory, no model of anything.
    pub fn capacity(mut self, frames: usize) -> Self {
        self.capacity = frames;
        self
    }

    /// The time a frame is on its way once it has left the line. When a change makes it smaller, no
    /// frame overtakes those before it.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// A further time of less than `below`, drawn for each frame; frames overtake each other by it.
    pub fn jitter(mut self, below: Duration) -> Self {
        self.jitter = below;
        self.jitter_overtakes = true;
        self
    }

    /// A further time of less than `below`, drawn for each frame; a frame that would overtake arrives
    /// with the one before it.
    pub fn jitter_in_order(mut self, below: Duration) -> Self {
        self.jitter = below;
        self.jitter_overtakes = false;
        self
    }

    /// Frames are lost on the way.
    pub fn loss(mut self, which: impl Into<Pick>) -> Self {
        self.loss = which.into();
        self
    }

    /// Frames come twice; the copy queues behind its original.
    pub fn duplication(mut self, which: impl Into<Pick>) -> Self {
        self.duplication = which.into();
        self
    }

    /// One bit of a frame is flipped, anywhere behind the link header.
    pub fn corruption(mut self, which: impl Into<Pick>) -> Self {
        self.corruption = which.into();
        self
    }

    /// Frames fall behind others by `displacement`.
    pub fn reordering(mut self, which: impl Into<Pick>, displacement: Displacement) -> Self {
        self.reordering = which.into();
        self.displacement = displacement;
        self
    }

    /// Frames get the CE mark, if their sender allows it (ECT); others pass as they are.
    pub fn marking(mut self, which: impl Into<Pick>) -> Self {
        self.marking = which.into();
        self
    }

    /// A frame that waited longer than `delay` before its transmission gets the CE mark. One that
    /// is not ECT is dropped then, since a mark stands in the place of a drop (RFC 3168 §5).
    pub fn ce_above(mut self, delay: Duration) -> Self {
        self.ce_above = Some(delay);
        self
    }

    /// Do frames that are not ECT pass a queue above its CE threshold unharmed, as they do where the
    /// mark is no stand-in for a drop? False by default.
    pub fn pass_not_ect(mut self, pass: bool) -> Self {
        self.passes_not_ect = pass;
        self
    }

    /// What exceeds the tokens is dropped before the queue.
    pub fn token_bucket(mut self, bucket: TokenBucket) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// Some bare ACKs do not pass.
    pub fn ack_thinning(mut self, thinning: AckThinning) -> Self {
        self.thinning = Some(thinning);
        self
    }

    /// Bare ACKs are let go in bursts.
    pub fn ack_aggregation(mut self, aggregation: AckAggregation) -> Self {
        self.aggregation = Some(aggregation);
        self
    }

    /// What leaves the line from `from` on, and before `to`, is gone. The queue empties into it; what
    /// had left before arrives.
    pub fn outage(mut self, from: Instant, to: Instant) -> Self {
        if from >= to {
            return self;
        }
        let (mut from, mut to) = (from, to);
        self.outages.retain(|&(other_from, other_to)| {
            let apart = other_to < from || to < other_from;
            if !apart {
                (from, to) = (from.min(other_from), to.max(other_to));
            }
            apart
        });
        let at = self.outages.partition_point(|outage| outage.0 < from);
        self.outages.insert(at, (from, to));
        self
    }

    /// Is what leaves the line `at` this time gone?
    pub(super) fn is_out(&self, at: Instant) -> bool {
        let next = self.outages.partition_point(|outage| outage.1 <= at);
        self.outages.get(next).is_some_and(|outage| outage.0 <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_merged_and_found() {
        let ms = Instant::from_millis;
        let config = WireConfig::perfect()
            .outage(ms(50), ms(60))
            .outage(ms(10), ms(20))
            .outage(ms(15), ms(30))
            .outage(ms(70), ms(70))
            .outage(ms(60), ms(61));
        assert_eq!(config.outages, [(ms(10), ms(30)), (ms(50), ms(61))]);
        let out: Vec<u64> = (0..100).filter(|&at| config.is_out(ms(at))).collect();
        let expected: Vec<u64> = (10..30).chain(50..61).collect();
        assert_eq!(out, expected);
    }
}
