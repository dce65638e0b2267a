//! Which record is lost at which moment, by hand.

use super::*;
use crate::tcp::scoreboard::tests::{Pair, SIZE, ten};

/// Covers: RAK-4 (what is not old enough yet has its time)
#[test]
fn what_left_before_something_that_arrived_is_lost_once_it_is_old() {
    let mut pair = Pair::new(u32::MAX - 150);
    for _ in 0..5 {
        pair.send(SIZE);
    }
    let sent = |n: u32| Sent {
        at: Instant::from_millis(1001 + u64::from(n)),
        seq: SeqNum::new(u32::MAX - 150) + n * SIZE,
        end: SeqNum::new(u32::MAX - 150) + (n + 1) * SIZE,
    };
    let ms = Duration::from_millis;
    pair.sack(300, 400);
    // Old enough at 1011, 1012 and 1013; the last of them is waited for.
    let at = |n| Instant::from_millis(n);
    let board = &mut pair.board;
    assert_eq!(
        board.mark_lost_before(&sent(3), at(1010), ms(10)),
        (0, Some(at(1013)))
    );
    assert_eq!(
        board.mark_lost_before(&sent(3), at(1012), ms(10)),
        (200, Some(at(1013)))
    );
    assert_eq!(
        board.mark_lost_before(&sent(3), at(1013), ms(10)),
        (100, None)
    );
    assert_eq!(board.next_lost(), Some(Place::FRONT));
    assert_eq!(board.pipe(), 100, "the last one left after it");
}

/// m01: what left at the same instant was overtaken if its numbers are lower. One super-segment is one
/// transmission, of which the peer got the middle.
#[test]
fn m01_of_one_transmission_what_lies_below_is_lost() {
    let mut pair = ten();
    pair.sack(300, 500);
    let newest = Sent {
        at: pair.now,
        seq: pair.base + 300,
        end: pair.base + 500,
    };
    let lost = pair
        .board
        .mark_lost_before(&newest, pair.now, Duration::ZERO);
    assert_eq!(lost, (300, None));
    // What lies above it is found when the next arrives.
    pair.octets[..300].fill(Mark::Lost);
    pair.send(SIZE);
    pair.mark_lost(0, 0);
    pair.compare();
    assert_eq!(pair.board.lost(), 800);
}

/// A retransmission that is lost is found again, as soon as something that left after it arrives.
#[test]
fn k2_a_lost_retransmission_is_lost_again() {
    let mut pair = ten();
    pair.send(SIZE);
    pair.sack(1000, 1100);
    pair.mark_lost(0, 0);
    assert_eq!(pair.board.lost(), 1000);
    pair.retransmit(1);
    pair.retransmit(1);
    pair.sack(100, 200);
    pair.mark_lost(0, 0);
    pair.compare();
    assert_eq!(pair.board.next_lost(), Some(Place::FRONT));
}
