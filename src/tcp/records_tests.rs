//! The records against a plain vector, and what a look-up costs among very many.

use core::num::NonZeroU16;

use super::*;
use crate::base::Instant;
use crate::tcp::congestion::parts::{DeliverySampler, Departure};
use proptest::prelude::*;

fn record(seq: SeqNum, len: u32, mark: Mark) -> Record {
    Record {
        seq,
        len,
        syn: false,
        fin: false,
        mark,
        transmissions: 1,
        segs: len,
        segment: NonZeroU16::MIN,
        options: 0,
        stamp: DeliverySampler::default().on_send(&Departure::new(Instant::ZERO, 0, 0)),
    }
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        Just(Mark::InFlight),
        Just(Mark::Sacked),
        Just(Mark::Lost),
        Just(Mark::Retransmitted),
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Push(u32, Mark),
    PopBelow(u32),
    Split(u32, u32),
    Mark(u32, Mark),
    Merge(u32),
    MarkAll(Mark),
    Cool,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (1u32..40, mark()).prop_map(|(len, mark)| Op::Push(len, mark)),
        2 => (0u32..300).prop_map(Op::PopBelow),
        6 => (any::<u32>(), any::<u32>()).prop_map(|(at, n)| Op::Split(at, n)),
        4 => (any::<u32>(), mark()).prop_map(|(at, mark)| Op::Mark(at, mark)),
        3 => any::<u32>().prop_map(Op::Merge),
        1 => mark().prop_map(Op::MarkAll),
        1 => Just(Op::Cool),
    ]
}

/// The same records as `(start, len, mark)`.
#[derive(Default)]
struct Model(Vec<(SeqNum, u32, Mark)>);

impl Model {
    fn index(&self, choice: u32) -> Option<usize> {
        (!self.0.is_empty()).then(|| choice as usize % self.0.len())
    }

    fn split(&mut self, index: usize, octets: u32) {
        let (seq, len, mark) = self.0[index];
        if octets > 0 && octets < len {
            self.0[index].1 = octets;
            self.0.insert(index + 1, (seq + octets, len - octets, mark));
        }
    }

    fn pop_below(&mut self, limit: SeqNum) -> u32 {
        let mut gone = 0;
        while let Some(&mut (seq, len, mark)) = self.0.first_mut()
            && seq.before(limit)
        {
            let below = limit.past(seq).min(len);
            gone += below;
            if below < len {
                self.0[0] = (seq + below, len - below, mark);
            } else {
                self.0.remove(0);
            }
        }
        gone
    }
}

fn apply(records: &mut Records, model: &mut Model, nxt: &mut SeqNum, op: &Op) {
    match *op {
        // Runs of many, so that chunks fill and split.
        Op::Push(len, mark) => {
            for _ in 0..len {
                records.push(record(*nxt, len, mark));
                model.0.push((*nxt, len, mark));
                *nxt = *nxt + len;
            }
        }
        Op::PopBelow(octets) => {
            let una = model.0.first().map_or(*nxt, |r| r.0);
            let limit = (una + octets).earlier(*nxt);
            let mut gone = 0;
            records.pop_below(limit, |record| gone += record.len);
            assert_eq!(gone, model.pop_below(limit));
        }
        Op::Split(at, octets) => {
            let Some(index) = model.index(at) else { return };
            let (seq, len, _) = model.0[index];
            let place = records.find(seq).unwrap();
            let place = records.split(place, octets % (len + 2));
            assert_eq!(records.get(place).map(|r| r.seq), Some(seq));
            model.split(index, octets % (len + 2));
        }
        Op::Mark(at, mark) => {
            let Some(index) = model.index(at) else { return };
            let place = records
                .find(model.0[index].0 + model.0[index].1 - 1)
                .unwrap();
            assert_eq!(records.set_mark(place, mark), model.0[index].1);
            model.0[index].2 = mark;
        }
        Op::Merge(at) => {
            let Some(index) = model.index(at) else { return };
            if index + 1 < model.0.len() && model.0[index].2 == model.0[index + 1].2 {
                records.merge_next(records.find(model.0[index].0).unwrap());
                model.0[index].1 += model.0.remove(index + 1).1;
            }
        }
        Op::MarkAll(mark) => {
            records.edit_all(|record| record.mark = mark);
            model.0.iter_mut().for_each(|record| record.2 = mark);
        }
        Op::Cool => records.cool(),
    }
}

fn compare(records: &Records, model: &Model, probe: u32) {
    records.check();
    let list: Vec<_> = records.iter().map(|r| (r.seq, r.len, r.mark)).collect();
    assert_eq!(list, model.0);
    let octets = |wanted| -> u32 {
        let of = model.0.iter().filter(|r| r.2 == wanted);
        of.map(|r| r.1).sum()
    };
    assert_eq!(records.sacked(), octets(Mark::Sacked));
    assert_eq!(records.lost(), octets(Mark::Lost));
    let Some(from) = model.index(probe) else {
        return;
    };
    let place = records.find(model.0[from].0).unwrap();
    let first_lost = model.0[from..].iter().find(|r| r.2 == Mark::Lost);
    let found = records.find_lost(place).and_then(|at| records.get(at));
    assert_eq!(found.map(|r| r.seq), first_lost.map(|r| r.0));
    let seq_at = |place: Option<Place>| place.and_then(|at| records.get(at)).map(|r| r.seq);
    assert_eq!(
        seq_at(records.next(place)),
        model.0.get(from + 1).map(|r| r.0)
    );
    let before = from.checked_sub(1).map(|at| model.0[at].0);
    assert_eq!(seq_at(records.previous(place)), before);
}

proptest! {
    /// r10: half of the runs cross the wrap.
    #[test]
    fn equals_a_plain_vector(
        base in prop_oneof![any::<u32>(), (u32::MAX - 3000)..=u32::MAX],
        ops in prop::collection::vec((op(), any::<u32>()), 1..60),
    ) {
        let mut records = Records::default();
        let mut model = Model::default();
        let mut nxt = SeqNum::new(base);
        for (op, probe) in ops {
            apply(&mut records, &mut model, &mut nxt, &op);
            compare(&records, &model, probe);
        }
    }
}

/// A FIN ends the second of them, and they count as sent as often as the one that was sent more.
#[test]
fn what_is_merged_keeps_its_fin_and_how_often_it_was_sent() {
    for (front, back) in [(1, 3), (3, 1)] {
        let mut records = Records::default();
        records.push(Record {
            transmissions: front,
            ..record(SeqNum::new(0), 10, Mark::Sacked)
        });
        records.push(Record {
            transmissions: back,
            fin: true,
            ..record(SeqNum::new(10), 11, Mark::Sacked)
        });
        records.merge_next(Place::FRONT);
        let both = records.first().unwrap();
        assert_eq!((both.len, both.segs, both.transmissions), (21, 21, 3));
        assert!(both.fin && both.text_len() == 20);
        records.check();
    }
}

/// What is looked at does not grow with what is out: the search is binary, and the first that is lost
/// lies behind chunks, not records.
#[test]
fn a_look_up_among_a_hundred_thousand_is_a_search_and_not_a_walk() {
    let mut records = Records::default();
    for n in 0..100_000 {
        records.push(record(SeqNum::new(n * 10), 10, Mark::InFlight));
    }
    records.steps.set(0);
    let place = records.find(SeqNum::new(777_777)).unwrap();
    records.split(place, 5);
    records.set_mark(place, Mark::Lost);
    assert!(records.steps.get() <= 20, "{} steps", records.steps.get());
    records.steps.set(0);
    assert!(records.find_lost(Place::FRONT).is_some());
    assert!(records.steps.get() < 1400, "{} steps", records.steps.get());
}

/// A steady flow fills the chunks that it emptied.
#[test]
fn a_steady_flow_makes_no_new_chunks() {
    let mut records = Records::default();
    let mut nxt = SeqNum::new(0);
    let mut una = nxt;
    let mut room = 0;
    for n in 0..10_000 {
        records.push(record(nxt, 10, Mark::InFlight));
        nxt = nxt + 10;
        if n >= 500 {
            una = una + 10;
            records.pop_below(una, |_| ());
        }
        if n == 2000 {
            room = records.held();
        }
    }
    assert_eq!(records.held(), room);
    assert_eq!(records.len(), 500);
    records.pop_below(una, |_| ());
    records.pop_below(nxt, |_| ());
    records.cool();
    assert_eq!(records.held(), 0);
}
