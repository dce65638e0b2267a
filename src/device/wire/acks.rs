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
    /// By when they are let go; what left before is still in it, until it comes to the front.
    order: VecDeque<(Instant, Flow, u64)>,
    started: u64,
}

#[derive(Debug)]
struct Held {
    frame: Frame,
    count: u32,
    /// Which entry of the order is its own.
    id: u64,
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
            Entry::Vacant(place) => {
                self.started += 1;
                let id = self.started;
                place.insert(Held {
                    frame,
                    count: 1,
                    id,
                });
                self.order.push_back((now + settings.within, flow, id));
                (1, false)
            }
        };
        let passes = count >= settings.every;
        (passes.then(|| self.take(&flow)).flatten(), dropped)
    }

    /// Takes out what is held of a connection.
    pub(super) fn take(&mut self, flow: &Flow) -> Option<Frame> {
        let held = self.held.remove(flow)?;
        while let Some((_, flow, id)) = self.order.front()
            && self.held.get(flow).is_none_or(|held| held.id != *id)
        {
            self.order.pop_front();
        }
        Some(held.frame)
    }

    /// When the first is let go.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.front().map(|first| first.0)
    }

    /// Takes out the first of all.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let flow = self.order.front()?.1;
        self.take(&flow)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
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
