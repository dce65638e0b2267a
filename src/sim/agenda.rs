//! Who is due next: one time for each of a network's parts.
//!
//! *Owns* the order of a run: the earliest first, and at equal times changes, then wires, then nodes,
//! then samples, each in the order in which they were added. *Does not* do what is due.
//! Invariant: each part stands in the heap once at most, so that it is as long as there are parts.

use crate::base::Instant;

/// A part of a network that has something to do at a time. The order is the order at equal times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// The changes that were asked for beforehand.
    Changes,
    /// One direction of a link.
    Wire(usize),
    /// A host, switch or router.
    Node(usize),
    /// The traces that take their rows at equal distances.
    Samples,
}

impl Who {
    /// Its class and its number in it.
    const fn place(self) -> (usize, usize) {
        match self {
            Self::Changes => (0, 0),
            Self::Wire(number) => (1, number),
            Self::Node(number) => (2, number),
            Self::Samples => (3, 0),
        }
    }
}

/// The times of all parts, in a heap that knows where each part stands in it.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: Vec<(Instant, Who)>,
    /// By class and number: the place in the heap.
    places: [Vec<Option<usize>>; 4],
}

impl Agenda {
    /// The part that is due first, and when.
    pub(super) fn first(&self) -> Option<(Instant, Who)> {
        self.heap.first().copied()
    }

    /// How many parts are due at some time.
    pub(super) const fn len(&self) -> usize {
        self.heap.len()
    }

    /// When a part is due; `None` when it is not.
    pub(super) fn due(&self, who: Who) -> Option<Instant> {
        let (class, number) = who.place();
        let place = self.places[class].get(number).copied().flatten()?;
        Some(self.heap[place].0)
    }

    /// A part is due at this time and no other; never, if `None`.
    pub(super) fn set(&mut self, who: Who, at: Option<Instant>) {
        match (self.place(who), at) {
            (None, None) => {}
            (Some(place), Some(at)) if self.heap[place].0 == at => {}
            (Some(place), Some(at)) => {
                self.heap[place].0 = at;
                self.sift(place);
            }
            (None, Some(at)) => {
                self.heap.push((at, who));
                self.sift(self.heap.len() - 1);
            }
            (Some(place), None) => self.remove(who, place),
        }
    }

    /// A part is due at this time, or earlier if it is already.
    pub(super) fn advance(&mut self, who: Who, at: Instant) {
        if self.due(who).is_none_or(|due| at < due) {
            self.set(who, Some(at));
        }
    }

    fn place(&self, who: Who) -> Option<usize> {
        let (class, number) = who.place();
        self.places[class].get(number).copied().flatten()
    }

    fn note(&mut self, place: usize) {
        let (class, number) = self.heap[place].1.place();
        let places = &mut self.places[class];
        if places.len() <= number {
            places.resize(number + 1, None);
        }
        places[number] = Some(place);
    }

    fn remove(&mut self, who: Who, place: usize) {
        self.heap.swap_remove(place);
        let (class, number) = who.place();
        self.places[class][number] = None;
        if place < self.heap.len() {
            self.sift(place);
        }
    }

    /// Moves the entry at `place` to where it belongs, and notes where all that moved stand.
    fn sift(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let left = 2 * place + 1;
            let children = left..(left + 2).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child]) else {
                break;
            };
            if self.heap[place] < self.heap[least] {
                break;
            }
            self.swap(place, least);
            place = least;
        }
        self.note(place);
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Random, Seed};

    #[test]
    fn at_equal_times_parts_come_in_their_order() {
        let mut agenda = Agenda::default();
        let at = Instant::from_millis(1);
        let order = [
            Who::Changes,
            Who::Wire(0),
            Who::Wire(7),
            Who::Node(0),
            Who::Node(2),
            Who::Samples,
        ];
        for who in order.iter().rev() {
            agenda.set(*who, Some(at));
        }
        agenda.set(Who::Node(1), Some(Instant::ZERO));
        assert_eq!(agenda.first(), Some((Instant::ZERO, Who::Node(1))));
        agenda.set(Who::Node(1), None);
        let mut came = Vec::new();
        while let Some((_, who)) = agenda.first() {
            came.push(who);
            agenda.set(who, None);
        }
        assert_eq!(came, order);
    }

    #[test]
    fn a_part_is_advanced_and_never_put_off() {
        let mut agenda = Agenda::default();
        agenda.advance(Who::Node(3), Instant::from_millis(5));
        agenda.advance(Who::Node(3), Instant::from_millis(9));
        assert_eq!(agenda.due(Who::Node(3)), Some(Instant::from_millis(5)));
        agenda.advance(Who::Node(3), Instant::from_millis(2));
        assert_eq!(agenda.due(Who::Node(3)), Some(Instant::from_millis(2)));
        assert_eq!(agenda.due(Who::Node(4)), None);
    }

    /// Against the least of a plain table.
    #[test]
    fn the_first_is_the_least() {
        for number in 0..50 {
            let mut random = Random::new(Seed::from_number(number).key("agenda"));
            let mut agenda = Agenda::default();
            let mut table = std::collections::BTreeMap::new();
            for step in 0..400 {
                let part = usize::try_from(random.below(12)).unwrap();
                let who = if part < 6 {
                    Who::Wire(part)
                } else {
                    Who::Node(part - 6)
                };
                let at = Instant::from_nanos(random.below(20));
                if random.below(4) == 0 {
                    table.remove(&who);
                    agenda.set(who, None);
                } else {
                    table.insert(who, at);
                    agenda.set(who, Some(at));
                }
                let least = table.iter().map(|(&who, &at)| (at, who)).min();
                assert_eq!(agenda.first(), least, "seed {number}, step {step}");
            }
        }
    }
}
