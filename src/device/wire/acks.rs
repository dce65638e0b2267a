//! Bare ACKs before the queue: some do not pass, the others come in bursts.
//!
//! RFC 3449 §6.2 (ACK filtering and decimation). *Owns* the ACKs that are held.
//! Invariants: ACKs of a connection keep their order, and none waits for ever.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use super::config::{AckAggregation, AckThinning};
use super::frame::{Flow, Frame};
use crate::base::Instant;

/// Of each connection, the newest ACK.
#[derive(Debug, Default)]
pub(super) struct Thinner {
    held: BTreeMap<Flow, Held>,
    /// By when they are let go, then by when the first came: whatever the settings were then.
    order: BTreeMap<(Instant, u64), Flow>,
    started: u64,
}

#[derive(Debug)]
struct Held {
    frame: Frame,
    count: u32,
    /// Its place in the order.
    place: (Instant, u64),
}

impl Thinner {
    /// Takes an ACK. Returns the one that passes now, and whether one was dropped.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        flow: Flow,
        frame: Frame,
        settings: AckThinning,
    ) -> (Option<Frame>, bool) {
        let (count, dropped) = match self.held.entry(flow) {
            Entry::Occupied(mut held) => {
                let held = held.get_mut();
                held.count = held.count.saturating_add(1);
                held.frame = frame;
                (held.count, true)
            }
            Entry::Vacant(vacant) => {
                self.started += 1;
                let place = (now + settings.within, self.started);
                vacant.insert(Held {
                    frame,
                    count: 1,
                    place,
                });
                self.order.insert(place, flow);
                (1, false)
            }
        };
        let passes = count >= settings.every;
        (passes.then(|| self.take(&flow)).flatten(), dropped)
    }

    /// Takes out what is held of a connection.
    pub(super) fn take(&mut self, flow: &Flow) -> Option<Frame> {
        let held = self.held.remove(flow)?;
        self.order.remove(&held.place);
        Some(held.frame)
    }

    /// When the first is let go.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first_key_value().map(|(place, _)| place.0)
    }

    /// Takes out the first of all.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let flow = *self.order.first_key_value()?.1;
        self.take(&flow)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
impl Thinner {
    /// Entries of the order.
    pub(super) fn order_len(&self) -> usize {
        self.order.len()
    }
}

/// ACKs that leave together.
#[derive(Debug, Default)]
pub(super) struct Burst {
    frames: VecDeque<Frame>,
    bytes: usize,
    until: Option<Instant>,
}

impl Burst {
    /// Takes an ACK; true when the burst is complete.
    pub(super) fn offer(&mut self, now: Instant, frame: Frame, settings: AckAggregation) -> bool {
        self.bytes += frame.data.len();
        self.frames.push_back(frame);
        self.until.get_or_insert(now + settings.time);
        self.bytes >= settings.bytes
    }

    /// When it is let go at the latest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.until
    }

    /// Takes out the oldest.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front();
        if self.frames.is_empty() {
            (self.bytes, self.until) = (0, None);
        }
        frame
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }
}
