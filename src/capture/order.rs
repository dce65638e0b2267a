//! Frames back in the order of cause and effect.
//!
//! A frame is recorded after the device took it, and by then another thread may have read and
//! recorded the answer. So each takes its place before anybody can answer it, and the writer's
//! thread puts them in order. *Owns* what waits for an earlier place. Invariants: a place that is
//! never used (the device was full, the queue was) holds others up for a bounded number of them
//! and of looks only.

use std::collections::BTreeMap;

/// The most that wait for an earlier place.
const WAITING: usize = 256;

/// Puts items in the order of their places.
#[derive(Debug)]
pub(super) struct Order<T> {
    next: u64,
    waiting: BTreeMap<u64, T>,
    /// The place that was missing at the last look, if any was.
    missing: Option<u64>,
}

impl<T> Order<T> {
    pub(super) const fn new() -> Self {
        Self {
            next: 0,
            waiting: BTreeMap::new(),
            missing: None,
        }
    }

    pub(super) fn push(&mut self, place: u64, item: T) {
        self.waiting.insert(place, item);
    }

    /// The next in order; `None` while an earlier one is to come, or when none is left.
    pub(super) fn pop(&mut self) -> Option<T> {
        let entry = self.waiting.first_entry()?;
        let place = *entry.key();
        if place > self.next && self.waiting.len() <= WAITING {
            return None;
        }
        self.next = self.next.max(place.saturating_add(1));
        self.waiting.pop_first().map(|(_, item)| item)
    }

    /// A look that found nothing new: what was missing at the last one already is given up.
    pub(super) fn look(&mut self) {
        let missing = self.waiting.first_key_value().map(|(first, _)| *first);
        if let Some(first) = missing
            && self.missing == Some(self.next)
        {
            self.next = first;
        }
        self.missing = missing.map(|_| self.next);
    }

    /// Nothing more will come: everything is next.
    pub(super) const fn close(&mut self) {
        self.next = u64::MAX;
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(order: &mut Order<u64>) -> Vec<u64> {
        std::iter::from_fn(|| order.pop()).collect()
    }

    #[test]
    fn an_answer_waits_for_its_question() {
        let mut order = Order::new();
        order.push(1, 1);
        assert_eq!(popped(&mut order), []);
        order.push(0, 0);
        order.push(2, 2);
        assert_eq!(popped(&mut order), [0, 1, 2]);
    }

    #[test]
    fn an_unused_place_is_given_up_at_the_second_look() {
        let mut order = Order::new();
        for place in [0, 2, 3, 5] {
            order.push(place, place);
        }
        assert_eq!(popped(&mut order), [0]);
        order.look();
        assert_eq!(popped(&mut order), []);
        order.look();
        assert_eq!(popped(&mut order), [2, 3]);
        // One that was only late is not lost.
        order.push(1, 1);
        assert_eq!(popped(&mut order), [1]);
        order.close();
        assert_eq!((popped(&mut order), order.len()), (vec![5], 0));
    }

    #[test]
    fn an_unused_place_holds_up_a_bounded_number() {
        let mut order = Order::new();
        let last = WAITING as u64 + 1;
        for place in 1..last {
            order.push(place, place);
            assert_eq!(order.pop(), None);
        }
        order.push(last, last);
        assert_eq!(popped(&mut order).len(), WAITING + 1);
    }
}
