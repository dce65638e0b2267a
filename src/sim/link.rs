//! Links: which ports they join, what becomes of a frame between them.
//!
//! *Owns* one wire for each direction, and whether it is cut. *Does not* decide when: the agenda does.

use bytes::Bytes;

use crate::base::{Digest, Instant, Seed};
use crate::device::{Medium, Wire, WireConfig};

/// A link of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(super) usize);

impl LinkId {
    /// The wire from the first end to the second.
    pub const fn forth(self) -> WireId {
        WireId(2 * self.0)
    }

    /// The wire from the second end to the first.
    pub const fn back(self) -> WireId {
        WireId(2 * self.0 + 1)
    }
}

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireId(pub(super) usize);

/// What both directions of a link do: one [`WireConfig`] for both, or one for each.
#[derive(Clone, Debug)]
#[must_use]
pub struct LinkConfig {
    pub(super) forth: WireConfig,
    pub(super) back: WireConfig,
}

impl From<WireConfig> for LinkConfig {
    fn from(both: WireConfig) -> Self {
        Self {
            forth: both.clone(),
            back: both,
        }
    }
}

impl From<(WireConfig, WireConfig)> for LinkConfig {
    /// There, and back.
    fn from((forth, back): (WireConfig, WireConfig)) -> Self {
        Self { forth, back }
    }
}

/// One direction of a link, to the port of a node.
#[derive(Debug)]
pub(super) struct Cable {
    pub(super) wire: Wire,
    pub(super) medium: Medium,
    pub(super) to: (usize, usize),
    pub(super) cut: bool,
    /// So many partitions cut it too.
    pub(super) partitions: u32,
    /// Frames that came while it was cut.
    pub(super) lost: u64,
    number: u64,
}

impl Cable {
    pub(super) fn new(
        number: usize,
        medium: Medium,
        (config, seed): (WireConfig, Seed),
        to: (usize, usize),
    ) -> Self {
        Self {
            wire: Wire::new(medium, config, seed, "sim"),
            medium,
            to,
            cut: false,
            partitions: 0,
            lost: 0,
            number: u64::try_from(number).unwrap_or(u64::MAX),
        }
    }

    /// A frame is put on the wire.
    pub(super) fn offer(&mut self, now: Instant, frame: Bytes, digest: &mut Digest) {
        let len = u64::try_from(frame.len()).unwrap_or(u64::MAX);
        digest.time(now);
        digest.number(self.number.rotate_left(32) ^ len);
        if self.cut || self.partitions > 0 {
            self.lost += 1;
        } else {
            self.wire.offer(now, frame);
        }
    }

    /// The next frame that has arrived by now.
    pub(super) fn take_due(&mut self, now: Instant, digest: &mut Digest) -> Option<Bytes> {
        let (at, frame) = self.wire.take_due(now)?;
        digest.time(at);
        digest.number(self.number);
        digest.bytes(&frame);
        Some(frame)
    }
}
