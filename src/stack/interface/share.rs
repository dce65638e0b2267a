//! How the connections of one interface share the queue that their text waits in.
//!
//! A device that gives no super-segments queues a frame for each segment, and loses what its queue
//! (`txqueuelen`) does not hold. A peer may send its whole window at once, and all peers may do so
//! together. So the windows share a number of segments, in equal parts, among the connections
//! that are *active*: that had text within the last so many segments, the measure being segments
//! and not time, as they are what fills a queue. An idle connection takes no part; what it was
//! promised stays promised, and is used up when it sends.
//!
//! *Owns* the count of the active, in two periods of which the older ends by itself: no list, no
//! timer, constant work for each segment. *Does not* bound what is in flight: `tcp` does.

use crate::tcp::QueuePart;

/// The least that a connection may be sent at once, in segments: slow start needs a few.
const LEAST: u32 = 8;

/// The shared queue of an interface.
#[derive(Debug)]
pub(crate) struct QueueShare {
    /// Segments that all windows together may promise.
    segs: u32,
    /// The number of this period; from 1.
    period: u32,
    /// Segments until it ends.
    left: u32,
    /// Connections that had text in this period, and in the one before.
    active: u32,
    active_before: u32,
}

impl QueueShare {
    /// A share of this many segments.
    pub(crate) fn new(segs: usize) -> Self {
        let segs = u32::try_from(segs).unwrap_or(u32::MAX).max(1);
        Self {
            segs,
            period: 1,
            left: segs,
            active: 0,
            active_before: 0,
        }
    }

    /// What a connection that begins may be sent at once.
    pub(crate) fn begin(&self, part: &mut QueuePart) {
        part.segs = self.part();
    }

    /// So many segments of text came for a connection: its part anew.
    pub(crate) fn on_text(&mut self, segs: u32, part: &mut QueuePart) {
        self.left = self.left.saturating_sub(segs);
        if self.left == 0 {
            self.left = self.segs;
            self.period = self.period.wrapping_add(1);
            self.active_before = core::mem::take(&mut self.active);
        }
        if part.period != self.period {
            part.period = self.period;
            self.active = self.active.saturating_add(1);
        }
        part.segs = self.part();
    }

    fn part(&self) -> u32 {
        let active = self.active.max(self.active_before).max(1);
        (self.segs / active).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_of_the_active_and_all_for_one_that_is_left() {
        let mut share = QueueShare::new(1000);
        let mut parts = [QueuePart::default(); 10];
        for part in &mut parts {
            share.begin(part);
            share.on_text(1, part);
        }
        for part in &mut parts {
            share.on_text(1, part);
            assert_eq!(part.segs, 100);
        }
        // Two periods later the others are idle.
        for _ in 0..200 {
            share.on_text(10, &mut parts[0]);
        }
        assert_eq!(parts[0].segs, 1000);
        let mut newcomer = QueuePart::default();
        share.begin(&mut newcomer);
        assert_eq!(newcomer.segs, 1000);
        share.on_text(1, &mut newcomer);
        share.on_text(1, &mut parts[0]);
        assert_eq!((newcomer.segs, parts[0].segs), (500, 500));
    }

    #[test]
    fn each_of_very_many_still_gets_a_few() {
        let mut share = QueueShare::new(1000);
        let mut parts = vec![QueuePart::default(); 900];
        for part in &mut parts {
            share.on_text(1, part);
        }
        assert_eq!(parts[899].segs, LEAST);
    }
}
