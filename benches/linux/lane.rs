//! The wires of one run: there and back, with their seed, for the connections to its ports alone.
//!
//! *Owns* what the run did to them, and how late the bridge was for it. *Does not* read or write a device.

use std::time::Duration;

use netloom::base::{Instant, Seed};
use netloom::bytes::Bytes;
use netloom::device::{Medium, Wire, WireConfig, WireCounters};

use super::late::Late;

/// What the wires of a run do.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Towards the receiver.
    pub(crate) there: WireConfig,
    pub(crate) back: WireConfig,
    pub(crate) seed: u64,
    /// The port of the bridge that the receiver is at.
    pub(crate) receiver: usize,
    /// The TCP ports of who listens: no other run has one of them.
    pub(crate) ports: Vec<u16>,
}

/// What was seen of a run.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) there: WireCounters,
    /// From when a frame was due until it was written.
    late: Late,
    /// The most that a frame can have waited before it was read.
    unread: Late,
    /// Frames that a port of the bridge had no room for, or lost.
    pub(crate) dropped: u64,
    /// Bytes that waited for the line there when a frame came, added up, and the frames.
    queued: (u64, u64),
}

impl Seen {
    /// How late the bridge was for 99 frames of 100, both of its errors together.
    pub(crate) fn error(&self) -> Duration {
        self.late.percentile(99) + self.unread.percentile(99)
    }

    /// Bytes that a frame found in the queue there, on average.
    pub(crate) fn mean_queue(&self) -> u64 {
        self.queued.0 / self.queued.1.max(1)
    }
}

/// A run's wires.
pub(crate) struct Lane {
    setup: Setup,
    there: Wire,
    back: Wire,
    seen: Seen,
}

impl Lane {
    pub(crate) fn new(setup: Setup) -> Self {
        let wire = |config: &WireConfig, label| {
            let seed = Seed::from_number(setup.seed);
            Wire::new(Medium::Ethernet, config.clone(), seed, label)
        };
        Self {
            there: wire(&setup.there, "there"),
            back: wire(&setup.back, "back"),
            seen: Seen {
                there: WireCounters::default(),
                late: Late::new(),
                unread: Late::new(),
                dropped: 0,
                queued: (0, 0),
            },
            setup,
        }
    }

    /// The port of the bridge that the receiver is at.
    pub(crate) const fn receiver(&self) -> usize {
        self.setup.receiver
    }

    /// Is a segment between these ports its own?
    pub(crate) fn has(&self, ports: [u16; 2]) -> bool {
        self.setup.ports.iter().any(|port| ports.contains(port))
    }

    /// Takes a frame that came from that port of the bridge, which was not read for so long before.
    pub(crate) fn offer(&mut self, now: Instant, from: usize, waited: Duration, frame: Bytes) {
        self.seen.unread.add(waited);
        if from == self.setup.receiver {
            self.back.offer(now, frame);
            return;
        }
        self.seen.queued.0 += self.there.queued(now).bytes as u64;
        self.seen.queued.1 += 1;
        self.there.offer(now, frame);
    }

    /// A frame that is due, and is it for the receiver?
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Instant, Bytes, bool)> {
        if let Some((due, frame)) = self.there.take_due(now) {
            return Some((due, frame, true));
        }
        let (due, frame) = self.back.take_due(now)?;
        Some((due, frame, false))
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        let wires = [&self.there, &self.back];
        wires.into_iter().filter_map(Wire::next_due).min()
    }

    /// A frame was written so late, or there was no room for it.
    pub(crate) fn note(&mut self, late: Duration, taken: bool) {
        self.seen.late.add(late);
        self.seen.dropped += u64::from(!taken);
    }

    /// What happened. What is on the wires is gone.
    pub(crate) fn end(mut self) -> Seen {
        self.seen.there = self.there.counters();
        self.seen
    }
}
