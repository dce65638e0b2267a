//! The receiving side when memory is short, and its window in units of the scale.

use super::tests::{ack, receive, sacks, text};
use super::*;

const IRS: u32 = 999;
/// The first text byte's number.
const BASE: u32 = 1000;

fn budget(pressure: MemoryPressure, left: usize) -> Budget {
    Budget { pressure, left }
}

/// All memory is used: a reader that keeps up goes on, and nobody is told what is thrown away.
#[test]
fn without_memory_four_segments_in_order_are_taken_and_no_more() {
    let mut rcv = receive(60_000);
    rcv.budget = budget(MemoryPressure::Full, 0);
    let arrived = rcv.take(&text(BASE, 300));
    assert_eq!(arrived.dropped, None);
    let mut fin = text(BASE + 300, 300);
    fin.control = Control::Fin;
    let arrived = rcv.take(&fin);
    assert_eq!(arrived.dropped, Some(DropReason::TcpMemory));
    assert!(!arrived.fin, "a FIN whose text was cut goes with it");
    assert_eq!(rcv.nxt, SeqNum::new(BASE + 400));
    let arrived = rcv.take(&text(BASE + 600, 50));
    assert_eq!(arrived.dropped, Some(DropReason::TcpMemory));
    assert_eq!(sacks(&rcv), [], "what is not held is not reported");
    assert_eq!(rcv.queue.len(), 400);
    assert_eq!(rcv.read(400).unwrap().len(), 400);
    assert_eq!(rcv.take(&text(BASE + 400, 400)).dropped, None);
}

/// What waits behind a gap and uses all memory up does not keep out what closes the gap.
#[test]
fn without_memory_a_gap_is_closed_all_the_same() {
    let mut rcv = receive(60_000);
    rcv.take(&text(BASE + 100, 5000));
    rcv.budget = budget(MemoryPressure::Full, 0);
    let arrived = rcv.take(&text(BASE, 100));
    assert_eq!(arrived.dropped, None);
    assert_eq!(rcv.nxt, SeqNum::new(BASE + 5100));
}

/// The right edge stays where it is while memory is short, and moves on when the user has read.
#[test]
fn without_memory_the_window_closes_and_its_edge_never_moves_back() {
    let mut rcv = receive(60_000);
    let (_, promised) = ack(&mut rcv);
    for (pressure, left, edge) in [
        (MemoryPressure::Steady, 1 << 20, 60_000 + 2000),
        (MemoryPressure::Short, 8000, 60_000 + 2000),
        (MemoryPressure::Full, 0, 60_000 + 2000),
    ] {
        rcv.budget = budget(pressure, left);
        if pressure == MemoryPressure::Steady {
            rcv.take(&text(BASE, 2000));
            rcv.read(2000);
        }
        let (_, now) = ack(&mut rcv);
        assert!(!now.before(promised));
        assert_eq!(now.past(SeqNum::new(BASE)), edge, "{pressure:?}");
    }
    // All that was promised comes while memory is short, and is read at once: four segments more.
    rcv.budget = budget(MemoryPressure::Short, 0);
    for at in (2000..62_000).step_by(400) {
        assert_eq!(rcv.take(&text(BASE + at, 400)).dropped, None);
        assert_eq!(rcv.read(400).unwrap().len(), 400);
    }
    let (_, edge) = ack(&mut rcv);
    assert_eq!(edge, SeqNum::new(BASE + 62_000 + 400));
}

/// Windows grow while there is plenty of memory only.
#[test]
fn without_memory_windows_do_not_grow() {
    for (pressure, grown) in [(MemoryPressure::None, 8000), (MemoryPressure::Steady, 4000)] {
        let mut rcv = Receive::new(4000, 60_000, WindowScale::for_window(60_000), 100);
        rcv.on_syn(SeqNum::new(IRS), u32::from(rcv.own_syn_window()));
        rcv.budget = budget(pressure, 1 << 20);
        for at in (0..4400).step_by(400) {
            rcv.take(&text(BASE + at, 400));
            rcv.read(400);
            ack(&mut rcv);
        }
        assert_eq!(rcv.limit, grown);
    }
}

/// A window that was told as 0 by rounding it down opens again when the user has read.
#[test]
fn a_window_that_was_rounded_to_nothing_is_told_when_it_opens() {
    let mut rcv = Receive::new(1 << 30, 1 << 30, WindowScale::for_window(1 << 30), 1448);
    assert_eq!(rcv.scale.shift(), 14);
    rcv.on_syn(SeqNum::new(IRS), u32::from(rcv.own_syn_window()));
    rcv.part.segs = 8;
    for at in (0..50_000).step_by(1000) {
        rcv.take(&text(BASE + at, 1000));
    }
    assert_eq!(ack(&mut rcv).0, 0);
    while rcv.read(usize::MAX).is_some() {}
    assert!(
        rcv.wants_ack(true),
        "the peer was told that there is no room"
    );
    assert_eq!(ack(&mut rcv).0, 1);
}

/// Without memory a window is one segment that the scale may not tell to the byte.
#[test]
fn without_memory_a_window_of_one_large_segment_opens_again() {
    let mut rcv = Receive::new(60_000, 4 << 20, WindowScale::for_window(4 << 20), 65_000);
    assert_eq!(rcv.scale.shift(), 7);
    rcv.limit = 4 << 20;
    rcv.on_syn(SeqNum::new(IRS), u32::from(rcv.own_syn_window()));
    rcv.budget = budget(MemoryPressure::Full, 0);
    rcv.take(&text(BASE, 65_535));
    ack(&mut rcv);
    let told = rcv.wnd();
    while rcv.read(usize::MAX).is_some() {}
    assert!(rcv.wants_ack(true), "{told} were told");
}
