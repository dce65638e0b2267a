//! The scoreboard against a model that marks every octet, and against hostile SACK blocks.

use super::*;
use crate::tcp::congestion::parts::Departure;
use crate::tcp::congestion::parts::{Basis, DeliverySampler};
use crate::tcp::delivery::Delivered;
use core::time::Duration;
use proptest::prelude::*;

pub(in crate::tcp) const SIZE: u32 = 100;

fn size() -> NonZeroU16 {
    NonZeroU16::new(SIZE as u16).unwrap()
}

fn record(seq: SeqNum, len: u32, stamp: TxStamp) -> Record {
    Record {
        seq,
        len,
        syn: false,
        fin: false,
        mark: Mark::InFlight,
        transmissions: 1,
        segs: len.div_ceil(SIZE),
        segment: size(),
        options: 0,
        stamp,
    }
}

fn blocks(list: &[(u32, u32)]) -> SackBlocks {
    list.iter().copied().collect()
}

/// What the scoreboard is told of an ACK without timestamps.
fn delivery(at: Instant, (sampler, basis): &mut (DeliverySampler, Basis)) -> Delivery<'_> {
    Delivery {
        at,
        echo: None,
        min_rtt: None,
        timed_out: None,
        sampler,
        basis,
        delivered: Delivered::default(),
    }
}

/// A scoreboard, and what every octet sent since `base` should be marked as.
pub(in crate::tcp) struct Pair {
    pub(in crate::tcp) board: Scoreboard,
    sampler: (DeliverySampler, Basis),
    pub(in crate::tcp) base: SeqNum,
    una: u32,
    pub(in crate::tcp) octets: Vec<Mark>,
    /// When each octet left last.
    times: Vec<Instant>,
    pub(in crate::tcp) now: Instant,
    /// Starts of wire segments, by offset.
    edges: Vec<u32>,
}

impl Pair {
    pub(in crate::tcp) fn new(base: u32) -> Self {
        Self {
            board: Scoreboard::default(),
            sampler: Default::default(),
            base: SeqNum::new(base),
            una: 0,
            octets: Vec::new(),
            times: Vec::new(),
            now: Instant::from_millis(1000),
            edges: Vec::new(),
        }
    }

    fn nxt(&self) -> u32 {
        self.octets.len() as u32
    }

    /// Each transmission has a time of its own.
    fn tick(&mut self) -> Instant {
        self.now = self.now + Duration::from_millis(1);
        self.now
    }

    pub(in crate::tcp) fn send(&mut self, len: u32) {
        let at = self.nxt();
        let now = self.tick();
        let stamp = self
            .sampler
            .0
            .on_send(&Departure::new(now, 0, self.board.pipe()));
        self.board.push(record(self.base + at, len, stamp));
        self.times.extend((0..len).map(|_| self.now));
        self.edges.extend((at..at + len).step_by(SIZE as usize));
        self.octets.extend((0..len).map(|_| Mark::InFlight));
    }

    /// Acknowledges up to a wire segment's edge.
    fn ack(&mut self, choice: u32) {
        let later: Vec<u32> = self
            .edges
            .iter()
            .copied()
            .filter(|&edge| edge > self.una)
            .chain([self.nxt()])
            .collect();
        let to = later[choice as usize % later.len()];
        let fresh = self.octets[self.una as usize..to as usize]
            .iter()
            .filter(|&&mark| mark != Mark::Sacked)
            .count();
        let mut delivery = delivery(self.now, &mut self.sampler);
        self.board.ack_to(self.base + to, &mut delivery);
        assert_eq!(delivery.delivered.bytes as usize, fresh);
        self.una = to;
    }

    pub(in crate::tcp) fn sack(&mut self, left: i64, right: i64) {
        let seq = |at: i64| self.base.get().wrapping_add(at as u32);
        let valid = left < right && left > i64::from(self.una) && right <= i64::from(self.nxt());
        let mut fresh = 0;
        if valid {
            for (n, &edge) in self.edges.iter().enumerate() {
                let end = self.edges.get(n + 1).copied().unwrap_or_else(|| self.nxt());
                if i64::from(edge) < left || i64::from(end) > right {
                    continue;
                }
                for mark in &mut self.octets[edge as usize..end as usize] {
                    fresh += u32::from(*mark != Mark::Sacked);
                    *mark = Mark::Sacked;
                }
            }
        }
        let mut delivery = delivery(self.now, &mut self.sampler);
        let block = blocks(&[(seq(left), seq(right))]);
        self.board.apply_sack(block, &mut delivery);
        assert_eq!(delivery.delivered.bytes, fresh);
    }

    /// RFC 8985 §6.2 step 5, octet by octet: something that left `ago` arrived.
    pub(in crate::tcp) fn mark_lost(&mut self, ago: u32, patience: u32) {
        let newest = Sent {
            at: Instant::from_nanos(self.now.as_nanos() - u64::from(ago) * 1_000_000),
            seq: self.base,
            end: self.base,
        };
        let patience = Duration::from_millis(patience.into());
        let mut marked = 0;
        let mut wait = None;
        for at in self.una as usize..self.octets.len() {
            let live = matches!(self.octets[at], Mark::InFlight | Mark::Retransmitted);
            if !live || self.times[at] >= newest.at {
                continue;
            }
            if self.times[at] + patience <= self.now {
                self.octets[at] = Mark::Lost;
                marked += 1;
            } else {
                wait = wait.max(Some(self.times[at] + patience));
            }
        }
        let (got, until) = self.board.mark_lost_before(&newest, self.now, patience);
        assert_eq!(got, marked);
        assert_eq!(until.is_some(), wait.is_some());
        // Not before the last that waits, nor later than what arrived would be.
        assert!(until >= wait && until.is_none_or(|at| at <= newest.at + patience));
    }

    fn time_out(&mut self) {
        self.board.mark_all_lost();
        for mark in &mut self.octets[self.una as usize..] {
            if *mark != Mark::Sacked {
                *mark = Mark::Lost;
            }
        }
    }

    /// What was taken for lost is on the way again, as it left last.
    fn unmark(&mut self) {
        self.board.unmark_lost();
        self.board.newly_lost.forget();
        for record in self.board.records.iter() {
            let at = record.seq.past(self.base) as usize;
            for mark in &mut self.octets[at..at + record.len as usize] {
                if *mark == Mark::Lost {
                    *mark = record.mark;
                }
            }
            assert_ne!(record.mark, Mark::Lost);
        }
    }

    pub(in crate::tcp) fn retransmit(&mut self, segs: u32) {
        let first = self.octets[self.una as usize..]
            .iter()
            .position(|&mark| mark == Mark::Lost)
            .map(|at| self.una + at as u32);
        let next = self.board.next_lost();
        assert_eq!(
            next.and_then(|place| self.board.get(place)).map(|r| r.seq),
            first.map(|at| self.base + at)
        );
        let (Some(place), Some(first)) = (next, first) else {
            return;
        };
        let octets = (segs * SIZE).min(self.board.get(place).unwrap().len);
        let now = self.tick();
        let stamp = self
            .sampler
            .0
            .on_send(&Departure::new(now, 0, self.board.pipe()));
        self.board.on_retransmit(place, octets, (size(), 0), stamp);
        for mark in &mut self.octets[first as usize..(first + octets) as usize] {
            assert_eq!(*mark, Mark::Lost);
            *mark = Mark::Retransmitted;
        }
        self.times[first as usize..(first + octets) as usize].fill(self.now);
    }

    pub(in crate::tcp) fn compare(&self) {
        self.board.check();
        let live = &self.octets[self.una as usize..];
        let count = |wanted: &[Mark]| live.iter().filter(|m| wanted.contains(m)).count() as u32;
        assert_eq!(
            self.board.pipe(),
            count(&[Mark::InFlight, Mark::Retransmitted])
        );
        assert_eq!(self.board.lost(), count(&[Mark::Lost]));
        assert_eq!(self.board.sacked(), count(&[Mark::Sacked]));
        for record in self.board.records.iter() {
            let at = record.seq.past(self.base);
            assert!(self.edges.contains(&at), "split at {at}, inside a segment");
            let octets = &self.octets[at as usize..(at + record.len) as usize];
            assert!(octets.iter().all(|&mark| mark == record.mark), "{record:?}");
            if record.mark != Mark::Sacked {
                let times = &self.times[at as usize..(at + record.len) as usize];
                assert!(times.iter().all(|&time| time == record.stamp.sent_at));
            }
        }
        assert!(self.board.times.iter().count() <= 3 * self.board.records.len() + 70);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Send(u32),
    Ack(u32),
    /// Relative to SND.UNA.
    Sack(i64, i64),
    MarkLost(u32, u32),
    TimeOut,
    Unmark,
    Retransmit(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1u32..800).prop_map(Op::Send),
        2 => any::<u32>().prop_map(Op::Ack),
        5 => (-150i64..2500, -50i64..900).prop_map(|(left, len)| Op::Sack(left, left + len)),
        3 => (0u32..20, 0u32..20).prop_map(|(ago, patience)| Op::MarkLost(ago, patience)),
        1 => Just(Op::TimeOut),
        1 => Just(Op::Unmark),
        3 => (1u32..9).prop_map(Op::Retransmit),
    ]
}

proptest! {
    /// Covers: SAK-7, SAK-8
    ///
    /// r10: half of the runs cross the wrap.
    #[test]
    fn equals_marks_on_every_octet(
        base in prop_oneof![any::<u32>(), (u32::MAX - 3000)..=u32::MAX],
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let mut pair = Pair::new(base);
        for op in ops {
            match op {
                Op::Send(len) => pair.send(len),
                Op::Ack(choice) => pair.ack(choice),
                Op::Sack(left, right) => {
                    let una = i64::from(pair.una);
                    pair.sack(una + left, una + right);
                }
                Op::MarkLost(ago, patience) => pair.mark_lost(ago, patience),
                Op::TimeOut => pair.time_out(),
                Op::Unmark => pair.unmark(),
                Op::Retransmit(segs) => pair.retransmit(segs),
            }
            pair.compare();
        }
    }

    /// r41: any blocks at all, on a window that crosses the wrap.
    #[test]
    fn r41_hostile_blocks_never_panic_and_split_at_segment_edges_only(
        base in prop_oneof![any::<u32>(), (u32::MAX - 5000)..=u32::MAX],
        list in prop::collection::vec(
            prop::collection::vec((any::<u32>(), any::<u32>(), any::<bool>()), 0..=4), 1..60),
    ) {
        let mut pair = Pair::new(base);
        for _ in 0..10 {
            pair.send(1000);
        }
        for option in list {
            let near = |n: u32, near: bool| if near { base.wrapping_add(n % 12_000) } else { n };
            let option: Vec<(u32, u32)> =
                option.iter().map(|&(l, r, n)| (near(l, n), near(r, n))).collect();
            let mut delivery = delivery(pair.now, &mut pair.sampler);
            pair.board.apply_sack(blocks(&option), &mut delivery);
            if let Some(newest) = delivery.delivered.newest {
                pair.board.mark_lost_before(&newest, pair.now, Duration::ZERO);
            }
            pair.board.check();
            prop_assert!(pair.board.records.len() <= 100);
        }
    }
}

pub(in crate::tcp) fn ten() -> Pair {
    let mut pair = Pair::new(0);
    pair.send(1000);
    pair
}

/// Covers: SAK-8
#[test]
fn r41_blocks_outside_what_is_outstanding_count_for_nothing() {
    for (left, right) in [
        (500, 500),
        (600, 500),
        (0, 500),
        (900, 1001),
        (5000, 6000),
        (u32::MAX, 300),
        (u32::MAX - 10, u32::MAX),
        (150, 199),
    ] {
        let mut pair = ten();
        let mut delivery = delivery(pair.now, &mut pair.sampler);
        pair.board
            .apply_sack(blocks(&[(left, right)]), &mut delivery);
        assert_eq!(delivery.delivered.bytes, 0, "{left}..{right}");
        assert_eq!(pair.board.records.len(), 1, "{left}..{right}");
    }
}

/// However much is outstanding, an ACK looks at what it delivers, once, and at little beside
/// (CVE-2019-11477 to -11479).
#[test]
fn r41_an_ack_costs_bounded_work() {
    const MANY: u32 = 10_000;
    let mut pair = Pair::new(u32::MAX - 5000);
    for _ in 0..MANY {
        pair.send(SIZE);
    }
    let mut sack = |list: &[(u32, u32)]| {
        let block = |&(from, to): &(u32, u32)| {
            let edge = |segs: u32| (pair.base + segs * SIZE).get();
            (edge(from), edge(to))
        };
        let blocks: SackBlocks = list.iter().map(block).collect();
        pair.board.records.steps.set(0);
        let mut delivery = delivery(pair.now, &mut pair.sampler);
        pair.board.apply_sack(blocks, &mut delivery);
        let bytes = delivery.delivered.bytes;
        (bytes / SIZE, pair.board.records.steps.get())
    };
    // Every second one, from the top, three at a time.
    for at in (1..MANY / 6).rev() {
        let list = [5, 3, 1].map(|up| (6 * at + up, 6 * at + up + 1));
        let (delivered, steps) = sack(&list);
        assert!(delivered == 3 && steps < 100, "{steps} steps");
        let (delivered, steps) = sack(&list);
        assert!(delivered == 0 && steps < 100, "{steps} steps, told again");
    }
    // What lies between is marked once, and is one with it from then on.
    let (delivered, steps) = sack(&[(1, MANY)]);
    assert!(steps < 8 * delivered as usize, "{steps} for {delivered}");
    let (delivered, steps) = sack(&[(1, MANY), (2, MANY), (3, MANY)]);
    assert!(delivered == 0 && steps < 100, "{steps} steps");
    assert_eq!(pair.board.records.len(), 2);
    pair.board.check();
}

/// NewReno: duplicates take segments out of the pipe, a partial ACK gives back what they told.
#[test]
fn duplicate_acks_and_partial_acks_move_the_pipe() {
    let mut pair = ten();
    for _ in 0..3 {
        pair.board.on_dup_ack(SIZE);
    }
    assert_eq!(pair.board.pipe(), 700);
    assert_eq!(pair.board.mark_first_lost(SIZE), 100);
    assert_eq!(pair.board.mark_first_lost(SIZE), 0, "once only");
    assert_eq!(pair.board.pipe(), 600);
    let stamp = pair
        .sampler
        .0
        .on_send(&Departure::new(Instant::ZERO, 0, 600));
    pair.board
        .on_retransmit(Place::FRONT, SIZE, (size(), 0), stamp);
    assert_eq!(pair.board.pipe(), 700);
    let mut ack = delivery(Instant::ZERO, &mut pair.sampler);
    pair.board.ack_to(SeqNum::new(300), &mut ack);
    pair.board.on_partial_ack(300, SIZE);
    assert_eq!(
        pair.board.pipe(),
        600,
        "700 outstanding, one duplicate left"
    );
    pair.board.forget_dup_acks();
    assert_eq!(pair.board.pipe(), 700);
}

/// More duplicates than there are segments take nothing below zero.
///
/// Covers: PRR-8.
#[test]
fn a_flood_of_duplicates_empties_the_pipe_and_no_more() {
    let mut pair = ten();
    for _ in 0..1000 {
        pair.board.on_dup_ack(SIZE);
    }
    assert_eq!(pair.board.pipe(), 0);
    pair.board.mark_all_lost();
    assert_eq!((pair.board.pipe(), pair.board.lost()), (0, 1000));
}

/// An RTT sample is only drawn from what was sent once (Karn).
#[test]
fn what_was_sent_twice_is_ambiguous() {
    let mut pair = ten();
    pair.board.mark_first_lost(SIZE);
    let stamp = pair
        .sampler
        .0
        .on_send(&Departure::new(Instant::from_millis(5), 0, 900));
    pair.board
        .on_retransmit(Place::FRONT, SIZE, (size(), 0), stamp);
    let mut ack = |to: u32| {
        let mut ack = delivery(Instant::from_millis(9), &mut pair.sampler);
        pair.board.ack_to(SeqNum::new(to), &mut ack);
        ack.delivered
    };
    assert!(ack(200).ambiguous);
    let delivered = ack(300);
    assert!(!delivered.ambiguous);
    assert_eq!(delivered.sent_at, Some(pair.now));
}

/// A FIN stays at the end when its record is split, a SYN at the front.
#[test]
fn controls_stay_where_they_were_on_a_split() {
    let mut pair = Pair::new(0);
    let stamp = pair.sampler.0.on_send(&Departure::new(Instant::ZERO, 0, 0));
    let fin = Record {
        fin: true,
        ..record(SeqNum::new(0), 301, stamp)
    };
    pair.board.push(fin);
    let mut sack = delivery(Instant::ZERO, &mut pair.sampler);
    pair.board.apply_sack(blocks(&[(100, 200)]), &mut sack);
    let shape: Vec<(u32, bool, u32)> = pair
        .board
        .records
        .iter()
        .map(|r| (r.len, r.fin, r.text_len()))
        .collect();
    assert_eq!(
        shape,
        [(100, false, 100), (100, false, 100), (101, true, 100)]
    );
}

/// The search hints do not outlive what they were about: 2^31 octets later they would be "ahead".
#[test]
fn loss_is_still_found_after_half_the_sequence_space() {
    let mut pair = ten();
    pair.sack(100, 400);
    pair.mark_lost(0, 0);
    pair.retransmit(1);
    let step = 1 << 24;
    let mut nxt = SeqNum::new(1000);
    // The scoreboard never empties: one segment is always left.
    for _ in 0..140 {
        let now = pair.tick();
        let stamp = pair.sampler.0.on_send(&Departure::new(now, 0, 0));
        pair.board.push(record(nxt, step, stamp));
        nxt = nxt + step;
        let mut ack = delivery(pair.now, &mut pair.sampler);
        pair.board.ack_to(nxt - SIZE, &mut ack);
    }
    let now = pair.tick();
    let stamp = pair.sampler.0.on_send(&Departure::new(now, 0, 0));
    pair.board.push(record(nxt, 5 * SIZE, stamp));
    let mut sack = delivery(pair.now, &mut pair.sampler);
    let block = (nxt.get(), (nxt + 4 * SIZE).get());
    pair.board.apply_sack(blocks(&[block]), &mut sack);
    let newest = sack.delivered.newest.unwrap();
    let lost = pair
        .board
        .mark_lost_before(&newest, pair.now, Duration::ZERO);
    assert_eq!(lost, (SIZE, None));
    assert_eq!(pair.board.next_lost(), Some(Place::FRONT));
}
