//! What a bad wire does, and the count of what it did.
//!
//! *Owns* the settings of [`Impair`](super::Impair). Probabilities are integers: the library computes
//! without floats, so that a run is the same on every machine.

use core::time::Duration;

use crate::base::Random;

/// How likely something is, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chance(u32);

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0);

    /// So many times in a hundred; above 100 it always happens.
    pub const fn percent(percent: u32) -> Self {
        Self::per_million(percent.saturating_mul(10_000))
    }

    /// So many times in a million.
    pub const fn per_million(millionths: u32) -> Self {
        Self(millionths)
    }

    /// Is it so this time?
    pub(super) fn happens(self, random: &mut Random) -> bool {
        self.0 > 0 && random.below(1_000_000) < u64::from(self.0)
    }
}

/// What a wire does to the frames of one direction. None of it is on by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Impairment {
    pub(super) loss: Chance,
    pub(super) duplication: Chance,
    pub(super) corruption: Chance,
    pub(super) reordering: Chance,
    pub(super) reordered_by: Duration,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) rate: Option<u64>,
    pub(super) limit: usize,
}

impl Default for Impairment {
    fn default() -> Self {
        Self {
            loss: Chance::NEVER,
            duplication: Chance::NEVER,
            corruption: Chance::NEVER,
            reordering: Chance::NEVER,
            reordered_by: Duration::from_millis(1),
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
            limit: 1000,
        }
    }
}

impl Impairment {
    /// A perfect wire.
    pub fn none() -> Self {
        Self::default()
    }

    /// A frame is lost.
    pub const fn loss(mut self, chance: Chance) -> Self {
        self.loss = chance;
        self
    }

    /// A frame comes twice.
    pub const fn duplication(mut self, chance: Chance) -> Self {
        self.duplication = chance;
        self
    }

    /// One bit of a frame is flipped, anywhere behind the link header.
    pub const fn corruption(mut self, chance: Chance) -> Self {
        self.corruption = chance;
        self
    }

    /// A frame comes later than it should by `by`, so that those sent within it overtake.
    pub const fn reordering(mut self, chance: Chance, by: Duration) -> Self {
        self.reordering = chance;
        self.reordered_by = by;
        self
    }

    /// The time a frame is on its way.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// A further time of up to `jitter`, drawn for each frame; frames may overtake each other by it.
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// The rate in bytes per second at which frames leave one after the other.
    pub const fn rate(mut self, bytes_per_sec: u64) -> Self {
        self.rate = Some(bytes_per_sec);
        self
    }

    /// How many frames may be on their way, 1000 by default; more are lost as at a full queue.
    pub const fn limit(mut self, frames: usize) -> Self {
        self.limit = frames;
        self
    }
}

/// What happened to the frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImpairCounters {
    /// Frames on the wire, each segment of a super-segment counted.
    pub frames: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Sent twice.
    pub duplicated: u64,
    /// With a flipped bit.
    pub corrupted: u64,
    /// Held back so that others overtake.
    pub reordered: u64,
    /// Lost because too many were on their way.
    pub overflowed: u64,
    /// Super-segments that could not be cut, and frames that the device behind dropped.
    pub dropped: u64,
}
