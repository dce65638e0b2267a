//! The receiving side by tables, and against a plain stream.

use super::*;
use crate::base::Instant;
use crate::tcp::options::Options;
use crate::tcp::segment::Marks;
use crate::tcp::window::Carried;
use proptest::prelude::*;

const IRS: u32 = 999;
/// The first text byte's number.
const BASE: u32 = 1000;

pub(super) fn receive(limit: usize) -> Receive {
    let mut rcv = Receive::new(limit, limit, WindowScale::for_window(limit), 100);
    rcv.on_syn(SeqNum::new(IRS), u32::from(rcv.own_syn_window()));
    rcv.owed.set_sack(true);
    rcv
}

fn segment(seq: u32, len: usize, control: Control) -> Segment {
    Segment {
        seq: SeqNum::new(seq),
        ack: Some(SeqNum::new(1)),
        control,
        wnd: 1000,
        options: Options::NONE,
        marks: Marks::empty(),
        urgent: 0,
        text: (0..len).map(|n| seq.wrapping_add(n as u32) as u8).collect(),
        segment_size: None,
        at: Instant::ZERO,
    }
}

pub(super) fn text(seq: u32, len: usize) -> Segment {
    segment(seq, len, Control::None)
}

fn stamped(seq: u32, len: usize, val: u32, at: u64) -> Segment {
    Segment {
        options: Options {
            timestamps: Some((val, 0)),
            ..Options::NONE
        },
        at: Instant::from_millis(at),
        ..text(seq, len)
    }
}

/// Sends the ACK that is due.
pub(super) fn ack(rcv: &mut Receive) -> (u16, SeqNum) {
    let (wire, edge) = rcv.advertise();
    rcv.on_ack_sent(rcv.scale.bytes(wire), edge, Carried::Nothing { room: 4 });
    (wire, edge)
}

pub(super) fn sacks(rcv: &Receive) -> Vec<(u32, u32)> {
    rcv.report(4).blocks.iter().collect()
}

/// Covers: TCP-58 (the four cases), TCP-9
#[test]
fn acceptability_by_the_table() {
    for (wnd, seq, len, control, ok) in [
        // No length, no window: exactly RCV.NXT.
        (0, BASE, 0, Control::None, true),
        (0, BASE + 1, 0, Control::None, false),
        (0, BASE - 1, 0, Control::None, false),
        (0, BASE, 0, Control::Rst, true),
        // No length, a window: inside.
        (500, BASE, 0, Control::None, true),
        (500, BASE + 499, 0, Control::None, true),
        (500, BASE + 500, 0, Control::None, false),
        (500, BASE - 1, 0, Control::None, false),
        // A length, no window: text cannot be taken, but what else is at RCV.NXT goes on.
        (0, BASE, 1, Control::None, true),
        (0, BASE - 1, 2, Control::None, false),
        (0, BASE + 1, 1, Control::None, false),
        // A length, a window: either end inside, or all of it covered.
        (500, BASE + 499, 1, Control::None, true),
        (500, BASE + 500, 1, Control::None, false),
        (500, BASE - 10, 10, Control::None, false),
        (500, BASE - 10, 11, Control::None, true),
        (500, BASE - 10, 600, Control::None, true),
        (500, BASE - 1, 0, Control::Fin, false),
        (500, BASE + 499, 0, Control::Fin, true),
        (500, BASE + 0x8000_0000, 10, Control::None, false),
    ] {
        let mut rcv = receive(500);
        rcv.edge = rcv.nxt + wnd;
        let seg = segment(seq, len, control);
        assert_eq!(rcv.is_acceptable(&seg), ok, "window {wnd}, {seg:?}");
    }
}

/// Covers: TS-2, TS-5
#[test]
fn r01_a_large_buffer_tells_65535_on_the_syn_and_its_size_afterwards() {
    let mut rcv = Receive::new(1 << 20, 1 << 20, WindowScale::for_window(1 << 20), 1000);
    rcv.owed.set_sack(true);
    assert_eq!(rcv.own_syn_window(), 65_535);
    rcv.on_syn(SeqNum::new(IRS), 65_535);
    assert_eq!(rcv.wnd(), 65_535, "what the SYN told, no more");
    let beyond = text(BASE + 65_000, 1000);
    rcv.take(&beyond);
    assert_eq!(sacks(&rcv), [(BASE + 65_000, BASE + 65_535)], "cut there");
    let (wire, _) = ack(&mut rcv);
    assert_eq!(wire, u16::try_from((1u32 << 20) >> 5).unwrap());
    assert_eq!(rcv.wnd(), 1 << 20);
}

/// A segment that the window cuts loses its FIN, and one that it does not cut keeps it.
#[test]
fn r03_a_cut_segment_loses_its_fin() {
    let mut rcv = receive(500);
    let cut = rcv.take(&segment(BASE, 501, Control::Fin));
    assert!(cut.readable && !cut.fin);
    assert_eq!((rcv.unread(), rcv.is_finished()), (500, false));
    let mut rcv = receive(500);
    let whole = rcv.take(&segment(BASE, 500, Control::Fin));
    assert!(whole.fin);
    assert!(rcv.is_finished(), "a FIN just beyond a full window counts");
}

#[test]
fn r08_rounding_never_moves_the_edge_left() {
    let mut rcv = Receive::new(1 << 20, 1 << 20, WindowScale::for_window(1 << 20), 100);
    rcv.on_syn(SeqNum::new(IRS), 65_535);
    ack(&mut rcv);
    let mut right = (rcv.nxt + rcv.wnd()).get();
    for n in 0..5000u32 {
        let seq = rcv.nxt.get();
        rcv.take(&text(seq, usize::try_from(n % 97).unwrap()));
        let (wire, _) = ack(&mut rcv);
        let told = rcv.nxt.get() + rcv.scale.bytes(wire);
        assert!(told >= right, "{told} after {right}");
        right = told;
    }
}

/// Slivers into a nearly closed scaled window: rounding up must not keep it open for ever.
#[test]
fn r08_slivers_cannot_grow_the_buffer_without_bound() {
    let limit = 1 << 20;
    let mut rcv = Receive::new(limit, limit, WindowScale::for_window(limit), 1000);
    rcv.on_syn(SeqNum::new(IRS), 65_535);
    while rcv.wnd() > 0 && rcv.unread() < 2 * limit {
        let len = if rcv.wnd() > 200 { 100 } else { 1 };
        let seq = rcv.nxt.get();
        rcv.take(&text(seq, len));
        if ack(&mut rcv).0 == 0 {
            break;
        }
    }
    assert!(rcv.unread() <= limit + limit / 4 + 64, "{}", rcv.unread());
}

/// Covers: TCP-42
#[test]
fn r14_the_window_opens_by_worthwhile_steps() {
    let mut rcv = receive(1000);
    rcv.take(&text(BASE, 1000));
    assert_eq!(ack(&mut rcv).0, 0);
    rcv.read(1).unwrap();
    assert!(!rcv.wants_ack(true), "one byte is no news");
    assert_eq!(rcv.advertise().0, 0);
    rcv.read(98).unwrap();
    assert_eq!(rcv.advertise().0, 0);
    rcv.read(1).unwrap();
    assert!(rcv.wants_ack(true), "a full segment is");
    assert_eq!(ack(&mut rcv).0, 100);
}

/// A limit below the window field's unit: told as 0 for ever, the peer would only probe.
#[test]
fn a_limit_below_a_unit_of_the_scale_still_opens() {
    let mut rcv = Receive::new(1, 200_000, WindowScale::for_window(200_000), 100);
    assert_eq!(rcv.scale.shift(), 2);
    rcv.on_syn(SeqNum::new(IRS), 1);
    assert!(rcv.take(&text(BASE, 1)).readable);
    ack(&mut rcv);
    assert_eq!(rcv.read(100).unwrap().len(), 1);
    let (wire, edge) = ack(&mut rcv);
    assert!(wire > 0 && edge.after(rcv.nxt), "{wire}");
    rcv.set_limit_max(0);
    assert_eq!(rcv.limit(), 4);
}

/// Covers: TCP-65
#[test]
fn r17_nothing_follows_a_fin_that_was_seen() {
    let mut rcv = receive(500);
    rcv.take(&segment(BASE + 10, 0, Control::Fin));
    let arrived = rcv.take(&text(BASE, 50));
    assert!(arrived.fin, "the text up to the FIN fills the hole");
    assert_eq!((rcv.unread(), rcv.nxt.get()), (10, BASE + 11));
    let late = rcv.take(&text(BASE + 11, 10));
    assert!(!late.readable);
    assert_eq!(rcv.unread(), 10);
}

/// Covers: TCP-65
#[test]
fn r18_a_fin_out_of_order_waits_for_what_precedes_it() {
    let mut rcv = receive(500);
    let early = rcv.take(&segment(BASE + 20, 30, Control::Fin));
    assert!(!early.fin && !rcv.is_finished());
    assert!(!rcv.take(&text(BASE, 10)).fin);
    let rest = rcv.take(&text(BASE + 10, 10));
    assert!(rest.fin && rest.readable);
    assert_eq!((rcv.unread(), rcv.nxt.get()), (50, BASE + 51));
}

/// Covers: TCP-65
#[test]
fn r22_a_fin_at_zero_window_and_one_repeated_with_old_text() {
    let mut rcv = receive(100);
    rcv.take(&text(BASE, 100));
    ack(&mut rcv);
    assert_eq!(rcv.wnd(), 0);
    let fin = segment(BASE + 100, 0, Control::Fin);
    assert!(rcv.is_acceptable(&fin));
    assert!(rcv.take(&fin).fin);
    assert_eq!(rcv.nxt.get(), BASE + 101);
    let again = rcv.take(&segment(BASE + 50, 50, Control::Fin));
    assert_eq!(again, Arrived::default());
    assert_eq!((rcv.unread(), rcv.nxt.get()), (100, BASE + 101));
    assert!(rcv.wants_ack(true), "the repeated FIN is acknowledged");
}

/// Covers: TCP-57
#[test]
fn r40_a_flood_of_single_bytes_is_bounded_and_the_next_expected_is_taken() {
    let mut rcv = receive(100_000);
    let mut dropped = 0;
    for n in 0..20_000 {
        let arrived = rcv.take(&text(BASE + 100 + 2 * n, 1));
        dropped += u32::from(arrived.dropped == Some(DropReason::TcpReassemblyFull));
    }
    assert!(dropped > 10_000, "{dropped}");
    let arrived = rcv.take(&text(BASE, 100));
    assert!(arrived.readable && arrived.dropped.is_none());
    assert_eq!(rcv.unread(), 101);
}

/// Covers: SAK-3, SAK-5, SAK-6 (the newest first, then those reported before)
#[test]
fn r42_the_run_that_changed_last_is_reported_first() {
    let mut rcv = receive(1000);
    for at in [100, 300, 500, 700, 900] {
        rcv.take(&text(BASE + at, 50));
        ack(&mut rcv);
    }
    let block = |at: u32, len: u32| (BASE + at, BASE + at + len);
    assert_eq!(
        sacks(&rcv),
        [
            block(900, 50),
            block(700, 50),
            block(500, 50),
            block(300, 50)
        ]
    );
    rcv.take(&text(BASE + 350, 50));
    assert_eq!(sacks(&rcv)[0], block(300, 100));
    rcv.take(&text(BASE, 100));
    assert!(rcv.wants_ack(true), "a filled gap is acknowledged at once");
    assert_eq!(rcv.nxt.get(), BASE + 150);
    assert_eq!(
        sacks(&rcv),
        [
            block(300, 100),
            block(900, 50),
            block(700, 50),
            block(500, 50)
        ]
    );
}

/// Covers: SAK-9
#[test]
fn a_duplicate_is_reported_once_and_first() {
    let mut rcv = receive(1000);
    rcv.take(&text(BASE, 100));
    rcv.take(&text(BASE + 200, 100));
    ack(&mut rcv);
    rcv.take(&text(BASE + 20, 50));
    let held = (BASE + 200, BASE + 300);
    assert_eq!(sacks(&rcv), [(BASE + 20, BASE + 70), held]);
    ack(&mut rcv);
    assert_eq!(sacks(&rcv), [held]);
    rcv.take(&text(BASE + 220, 50));
    assert_eq!(
        sacks(&rcv),
        [(BASE + 220, BASE + 270), held],
        "the block behind it encloses it"
    );
}

/// With room for two blocks the duplicate and the run that holds it are all that there is to tell: another ACK would
/// be one that nobody asked for.
#[test]
fn a_run_that_holds_a_duplicate_is_told_with_it() {
    let mut rcv = receive(1000);
    let told = |rcv: &mut Receive| {
        let (window, edge) = rcv.advertise();
        let room = 2;
        let told = rcv.scale.bytes(window);
        rcv.on_ack_sent(told, edge, Carried::Nothing { room });
    };
    // Three duplicates for the hole, and no more.
    for at in [200, 300, 400] {
        rcv.take(&text(BASE + at, 100));
        told(&mut rcv);
        assert!(!rcv.wants_ack(true));
    }
    rcv.take(&text(BASE + 220, 50));
    assert!(rcv.wants_ack(true));
    told(&mut rcv);
    assert!(!rcv.wants_ack(true));
    // Another run that changed has an ACK of its own.
    rcv.take(&text(BASE + 600, 100));
    rcv.take(&text(BASE + 220, 50));
    told(&mut rcv);
    assert!(rcv.wants_ack(true));
    let block = |at: u32, len: u32| (BASE + at, BASE + at + len);
    assert!(sacks(&rcv).contains(&block(600, 100)));
    told(&mut rcv);
    assert!(!rcv.wants_ack(true));
}

/// Covers: TCP-43, CC-11
#[test]
fn acks_are_delayed_for_less_than_two_segments_in_order() {
    let mut rcv = receive(10_000);
    rcv.take(&text(BASE, 100));
    assert!(rcv.ack_is_delayed() && !rcv.wants_ack(true) && rcv.wants_ack(false));
    rcv.take(&text(BASE + 100, 100));
    assert!(rcv.wants_ack(true), "the second full segment");
    ack(&mut rcv);
    rcv.take(&text(BASE + 300, 100));
    assert!(rcv.wants_ack(true), "out of order");
    ack(&mut rcv);
    rcv.take(&text(BASE + 200, 50));
    assert!(rcv.wants_ack(true), "a part of a gap");
}

/// Super-segments count by their wire segments.
#[test]
fn r35_a_super_segment_of_two_is_acknowledged_at_once() {
    let mut rcv = receive(10_000);
    let merged = Segment {
        segment_size: core::num::NonZeroU16::new(100),
        ..text(BASE, 200)
    };
    rcv.take(&merged);
    assert!(rcv.wants_ack(true));
}

/// Covers: TS-9, TS-10 (RFC 7323 §4.3, the three situations of its text)
#[test]
fn the_echoed_timestamp_is_of_the_segment_the_ack_is_due_to() {
    let mut rcv = receive(10_000);
    rcv.start_timestamps(1, Instant::ZERO);
    let arrive = |rcv: &mut Receive, seq, val| {
        let seg = stamped(seq, 100, val, 0);
        rcv.check_timestamp(&seg).unwrap();
        assert!(rcv.is_acceptable(&seg));
        rcv.update_timestamp(&seg);
        rcv.take(&seg);
        rcv.ts_recent().unwrap()
    };
    // Delayed ACKs: the earliest unacknowledged one.
    assert_eq!(arrive(&mut rcv, BASE, 10), 10);
    assert_eq!(arrive(&mut rcv, BASE + 100, 20), 10);
    ack(&mut rcv);
    // Out of order: the last one in order.
    assert_eq!(arrive(&mut rcv, BASE + 300, 40), 10);
    ack(&mut rcv);
    // A filled hole: the filler.
    assert_eq!(arrive(&mut rcv, BASE + 200, 50), 50);
}

/// Covers: TS-12, TS-13
#[test]
fn r48_an_old_timestamp_is_refused_and_the_check_lapses_after_24_days() {
    let mut rcv = receive(10_000);
    rcv.start_timestamps(1000, Instant::ZERO);
    let old = stamped(BASE, 10, 998, 5);
    assert_eq!(rcv.check_timestamp(&old), Err(DropReason::TcpPaws));
    let same = stamped(BASE, 10, 1000, 5);
    assert_eq!(rcv.check_timestamp(&same), Ok(()));
    // A tick older is what a retransmission overtook.
    let overtaken = stamped(BASE, 10, 999, 5);
    assert_eq!(rcv.check_timestamp(&overtaken), Ok(()));
    rcv.update_timestamp(&overtaken);
    assert_eq!(rcv.ts_recent(), Some(1000), "which never goes back");
    let rst = Segment {
        control: Control::Rst,
        ..old.clone()
    };
    assert_eq!(rcv.check_timestamp(&rst), Ok(()), "a RST is exempt");
    assert_eq!(
        rcv.check_timestamp(&text(BASE, 10)),
        Err(DropReason::TcpNoTimestamp)
    );
    let days = |n: u64| n * 24 * 3600 * 1000;
    let late = stamped(BASE, 10, 998, days(24) - 1);
    assert_eq!(rcv.check_timestamp(&late), Err(DropReason::TcpPaws));
    let lapsed = stamped(BASE, 10, 998, days(24));
    assert_eq!(rcv.check_timestamp(&lapsed), Ok(()));
    rcv.update_timestamp(&lapsed);
    assert_eq!(rcv.ts_recent(), Some(998), "and the new one is taken over");
}

/// r10: the clock's own wrap.
#[test]
fn r10_timestamps_wrap() {
    let mut rcv = receive(10_000);
    rcv.start_timestamps(u32::MAX, Instant::ZERO);
    let next = stamped(BASE, 10, 3, 1);
    assert_eq!(rcv.check_timestamp(&next), Ok(()));
    rcv.update_timestamp(&next);
    assert_eq!(rcv.ts_recent(), Some(3));
    let old = stamped(BASE, 10, u32::MAX, 1);
    assert_eq!(rcv.check_timestamp(&old), Err(DropReason::TcpPaws));
}

/// An unacceptable segment's ACK counts only when an honest peer may have sent it.
#[test]
fn segments_far_from_the_window_are_not_near() {
    let mut rcv = receive(1000);
    rcv.take(&text(BASE, 1000));
    ack(&mut rcv);
    let (nxt, wnd) = (rcv.nxt.get(), rcv.wnd());
    assert_eq!(wnd, 0);
    for (seq, near) in [
        (nxt, true),
        (nxt + 1, true),
        (nxt + 2, false),
        (nxt - 1000, true),
        (nxt - 1001, false),
        (nxt + 0x7fff_0000, false),
    ] {
        assert_eq!(rcv.is_near(SeqNum::new(seq)), near, "{seq}");
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// Text at an offset from RCV.NXT, with a FIN when it reaches the end of the stream.
    Text(i32, usize),
    Read(usize),
    Ack,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (-300i32..6000, 0usize..900).prop_map(|(at, len)| Op::Text(at, len)),
        4 => (1usize..900).prop_map(|len| Op::Text(0, len)),
        3 => (1usize..3000).prop_map(Op::Read),
        3 => Just(Op::Ack),
    ]
}

proptest! {
    /// Covers: TCP-37, TCP-57, TCP-65, TCP-66
    ///
    /// What is read is the stream; nothing outside the window is taken (r09); the edge as the peer
    /// sees it never moves left (r08).
    #[test]
    fn what_is_read_is_the_stream(
        irs in prop_oneof![any::<u32>(), (u32::MAX - 4000)..=u32::MAX],
        limit in prop_oneof![Just(2000usize), Just(65_535), Just(300_000)],
        total in 500usize..20_000,
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let stream: Vec<u8> = (0..total).map(|n| (n * 7 + n / 251) as u8).collect();
        let mut rcv = Receive::new(limit, limit, WindowScale::for_window(limit), 536);
        rcv.on_syn(SeqNum::new(irs), u32::from(rcv.own_syn_window()));
        let first = SeqNum::new(irs) + 1;
        let mut read = Vec::new();
        let mut right = rcv.edge;
        for op in ops {
            match op {
                Op::Text(at, len) => {
                    let here = i64::from(rcv.nxt.past(first)) + i64::from(at);
                    let from = usize::try_from(here.max(0)).unwrap().min(total);
                    let to = (from + len).min(total);
                    let seg = Segment {
                        seq: first + from as u32,
                        text: Bytes::copy_from_slice(&stream[from..to]),
                        ..segment(0, 0, if to == total { Control::Fin } else { Control::None })
                    };
                    if rcv.is_acceptable(&seg) {
                        let before = rcv.nxt;
                        let arrived = rcv.take(&seg);
                        prop_assert!(!rcv.nxt.before(before));
                        prop_assert_eq!(arrived.fin, !before.after(first + total as u32) && rcv.is_finished());
                    }
                }
                Op::Read(max) => {
                    if let Some(slice) = rcv.read(max) {
                        prop_assert!(!slice.is_empty() && slice.len() <= max);
                        read.extend_from_slice(&slice);
                    }
                }
                Op::Ack => {
                    let (wire, edge) = rcv.advertise();
                    let told = rcv.nxt + rcv.scale.bytes(wire);
                    prop_assert!(!told.before(right) || rcv.is_finished(), "{:?} after {:?}", told, right);
                    right = right.later(told);
                    rcv.on_ack_sent(rcv.scale.bytes(wire), edge, Carried::Nothing { room: 4 });
                }
            }
            for (left, edge) in sacks(&rcv) {
                prop_assert!(!SeqNum::new(edge).after(rcv.edge) && SeqNum::new(left).before(SeqNum::new(edge)));
            }
            prop_assert!(stream.starts_with(&read));
            prop_assert!(!rcv.nxt.after(rcv.edge));
        }
        while let Some(slice) = rcv.read(usize::MAX) {
            read.extend_from_slice(&slice);
        }
        prop_assert!(stream.starts_with(&read));
        prop_assert_eq!(rcv.is_finished(), rcv.nxt == first + total as u32 + 1);
        prop_assert!(!rcv.is_finished() || read.len() == total);
    }
}
