//! Time-outs that were none (RFC 5682, RFC 3522), through packets.

use netloom::tcp::congestion::{Choice, Phase};

use super::sessions::{Scenario, Test};

/// Ten segments out, more to send, and no ACK until after the time-out: its one retransmission has left.
fn late(scenario: Scenario, choice: Choice) -> Test {
    let mut t = scenario.congestion(choice).build();
    t.run(
        r"
        +0   write(4, ..., 20000) = 20000
        +0   > . 1:10001(10x1000) ack 1
        // The probe, and the time-out counted from it.
        +.1  > . 10001:11001(1000) ack 1
        +.25 > . 1:1001(1000) ack 1
        +0   %{ assert netloom.cwnd_bytes == 1000 }%
    ",
    );
    t
}

/// What the connection is left with, when the time-out is known to be none.
fn restored(t: &Test) {
    t.info(|info| {
        assert_eq!((info.undos, info.phase), (1, Phase::Open));
        assert_eq!((info.lost, info.retransmits), (0, 1));
        assert_eq!(info.ssthresh, u32::MAX);
        assert!(info.cwnd >= 10_000, "{}", info.cwnd);
    });
}

/// Covers: FRT-2
///
/// S1: the path stood still and lost nothing. Two ACKs show it, and nothing else is sent again.
#[test]
fn s1_late_acks_restore_the_window() {
    for choice in [Choice::Reno, Choice::Cubic] {
        let mut t = late(Scenario::established(), choice);
        t.run(
            r"
            +.1  < . 1:1(0) ack 2001 win 65535
            +0   > . 11001:13001(2x1000) ack 1
            +0   < . 1:1(0) ack 4001 win 65535
            +0   > . 13001:16001(3x1000) ack 1
        ",
        );
        restored(&t);
        // What is on its way is waited for.
        t.run("+.05 < . 1:1(0) ack 16001 win 65535\n+0 > P. 16001:20001(4x1000) ack 1");
    }
}

/// Covers: FRT-1
///
/// r43: S1 without SACK, which has no probe: what SND.UNA passes is as good.
#[test]
fn r43_a_needless_time_out_restores_the_window() {
    let mut t = Scenario::established().without_sack().build();
    t.run(
        r"
        +0   write(4, ..., 20000) = 20000
        +0   > . 1:10001(10x1000) ack 1
        +.25 > . 1:1001(1000) ack 1
        +.1  < . 1:1(0) ack 2001 win 65535
        +0   > . 10001:12001(2x1000) ack 1
        +0   < . 1:1(0) ack 4001 win 65535
        +0   > . 12001:16001(4x1000) ack 1
    ",
    );
    restored(&t);
}

/// Covers: FRT-3
///
/// Everything arrived but the first: the answer to its repair covers all, and says nothing of a delay.
#[test]
fn an_ack_of_everything_is_no_sign_of_a_late_one() {
    let mut t = late(Scenario::established(), Choice::Reno);
    t.run(
        r"
        +.05 < . 1:1(0) ack 11001 win 65535
        // Slow start, of what is acknowledged.
        +0   > . 11001:17001(6x1000) ack 1
        +0   %{ assert netloom.ssthresh_bytes == 5000 }%
    ",
    );
    t.info(|info| assert_eq!((info.undos, info.phase), (0, Phase::Open)));
}

/// All of it was lost: what the test sent is reported beyond the point, and the repair goes on.
#[test]
fn a_report_beyond_the_point_ends_the_test() {
    let mut t = late(Scenario::established(), Choice::Reno);
    t.run(
        r"
        +.05 < . 1:1(0) ack 1001 win 65535
        +0   > . 11001:13001(2x1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 65535 <sack 11001:12001>
        +0   > . 1001:2001(1000) ack 1
        +0   %{ assert netloom.ssthresh_bytes == 5000 }%
    ",
    );
    t.info(|info| assert_eq!((info.undos, info.phase), (0, Phase::Loss)));
}

/// A duplicate that reports nothing ends it too.
#[test]
fn a_duplicate_ends_the_test() {
    let mut t = late(Scenario::established(), Choice::Reno);
    t.run(
        r"
        +.05 < . 1:1(0) ack 1001 win 65535
        +0   > . 11001:13001(2x1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 65535
        +0   < . 1:1(0) ack 3001 win 65535
        +0   > . 3001:5001(2x1000) ack 1
    ",
    );
    t.info(|info| assert_eq!(info.undos, 0));
}

/// Reports of what left once, before the repair is answered: it came late, and at once that is known.
#[test]
fn a_report_of_what_left_before_shows_a_delay() {
    let mut t = late(Scenario::established(), Choice::Reno);
    t.run(
        r"
        +.02 < . 1:1(0) ack 1 win 65535 <sack 1001:2001>
        // No recovery: what came is no newer than what is missing.
        +0   %{ assert netloom.in_flight == 10000 }%
        +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
    ",
    );
    t.info(|info| assert_eq!(info.undos, 1));
}

/// Once it is known, and SND.UNA did not move, the same segment's next time-out is answered for: nothing stands
/// of the first. It is undone as well.
#[test]
fn a_time_out_behind_one_that_was_none_is_a_first_one() {
    for choice in [Choice::Reno, Choice::Cubic] {
        let mut t = late(Scenario::established(), choice.clone());
        t.run(
            r"
            +.02 < . 1:1(0) ack 1 win 65535 <sack 1001:2001>
            +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
            +.48 > . 1:1001(1000) ack 1
            +0   %{ assert netloom.cwnd_bytes == 1000 }%
        ",
        );
        let cut = if choice == Choice::Reno { 5000 } else { 7000 };
        t.info(|info| assert_eq!((info.undos, info.ssthresh), (1, cut)));
        t.run(
            r"
            +.02 < . 1:1(0) ack 1 win 65535 <sack 1001:3001>
            +0   > . 11001:12001(1000) ack 1
        ",
        );
        t.info(|info| {
            assert_eq!((info.undos, info.ssthresh), (2, u32::MAX));
            assert!(info.cwnd >= 10_000, "{}", info.cwnd);
        });
    }
}

/// A window that shuts while the test runs takes no new text, and what is asked of it is the first segment.
#[test]
fn a_window_that_shuts_ends_the_test() {
    let mut t = late(Scenario::established(), Choice::Reno);
    t.run(
        r"
        +.05 < . 1:1(0) ack 1001 win 65535
        +0   > . 11001:13001(2x1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +.45 > . 1001:2001(1000) ack 1
    ",
    );
    t.info(|info| assert_eq!(info.undos, 0));
}

/// The same segment's time is over twice: still in doubt, and undone to where it was before the first.
#[test]
fn s1_a_second_time_out_of_the_same_segment_is_tested_too() {
    let mut t = late(Scenario::established(), Choice::Reno);
    t.run(
        r"
        +.5  > . 1:1001(1000) ack 1
        +.1  < . 1:1(0) ack 2001 win 65535
        +0   > . 11001:13001(2x1000) ack 1
        +0   < . 1:1(0) ack 4001 win 65535
        +0   > . 13001:16001(3x1000) ack 1
        +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
    ",
    );
    t.info(|info| assert_eq!((info.undos, info.retransmits), (1, 2)));
}
