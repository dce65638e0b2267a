//! One direction of a link.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::Instant;

/// What one direction of a link does to frames: rate, delay, a drop-tail queue. Perfect by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct WireConfig {
    rate: Option<u64>,
    delay: Duration,
    queue: Option<usize>,
}

impl WireConfig {
    /// A perfect wire.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rate in bits per second at which frames leave one after the other.
    pub const fn rate_bits(mut self, bits_per_sec: u64) -> Self {
        self.rate = Some(bits_per_sec);
        self
    }

    /// The time that a frame is on its way.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Bytes that wait to be transmitted at most.
    pub const fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue = Some(bytes);
        self
    }
}

#[derive(Debug)]
pub(super) struct Line {
    config: WireConfig,
    /// When each arrives and when its transmission ends.
    frames: VecDeque<(Instant, Instant, Bytes)>,
    free_at: Instant,
}

impl Line {
    pub(super) const fn new(config: WireConfig) -> Self {
        Self {
            config,
            frames: VecDeque::new(),
            free_at: Instant::ZERO,
        }
    }

    pub(super) fn offer(&mut self, now: Instant, frame: Bytes) {
        let waiting = self
            .frames
            .iter()
            .rev()
            .take_while(|(_, end, _)| *end > now);
        let waiting: usize = waiting.map(|(_, _, frame)| frame.len()).sum();
        if self
            .config
            .queue
            .is_some_and(|most| waiting + frame.len() > most)
        {
            return;
        }
        let bits = u64::try_from(frame.len()).unwrap_or(u64::MAX) * 8_000_000_000;
        let takes = self.config.rate.map_or(0, |rate| bits / rate.max(1));
        self.free_at = self.free_at.max(now) + Duration::from_nanos(takes);
        let due = self.free_at + self.config.delay;
        self.frames.push_back((due, self.free_at, frame));
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Instant, Bytes)> {
        let due = self.next_due()?;
        if due > now {
            return None;
        }
        self.frames.pop_front().map(|(due, _, frame)| (due, frame))
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.frames.front().map(|&(due, _, _)| due)
    }
}
