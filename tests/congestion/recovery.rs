//! RACK and tail loss probes (RFC 8985), through packets.

use core::cell::Cell;

use netloom::tcp::congestion::{Choice, Phase};

use super::sessions::{Scenario, Test};

/// Fast retransmits, time-outs and segments sent again.
fn repairs(t: &Test, expected: (u64, u64, u64)) {
    t.counters(|c| {
        let got = (c.tcp_fast_retransmits, c.tcp_rto_fired, c.tcp_retransmits);
        assert_eq!(got, expected);
    });
}

/// Three segments more than the reordering window apart, the first and the last lost.
///
/// Covers: RAK-2.
#[test]
fn k1_each_loss_is_found_by_what_was_sent_later() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 1000) = 1000
        +0   > P. 1:1001(1000) ack 1
        +.02 write(4, ..., 1000) = 1000
        +0   > P. 1001:2001(1000) ack 1
        +.02 write(4, ..., 1000) = 1000
        +0   > P. 2001:3001(1000) ack 1
        +.03 < . 1:1(0) ack 1 win 65535 <sack 1001:2001>
        +0   > . 1:1001(1000) ack 1
        // The retransmission left after the third, and is acknowledged.
        +.05 < . 1:1(0) ack 2001 win 65535
        +0   > P. 2001:3001(1000) ack 1
        +.05 < . 1:1(0) ack 3001 win 65535
        +1   %{ assert netloom.in_flight == 0 }%
    ",
    );
    repairs(&t, (1, 0, 2));
}

#[test]
fn k2_a_lost_retransmission_is_repeated_without_a_time_out() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 5000) = 5000
        +0   > P. 1:5001(5x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 2001:5001>
        +0   > . 1:2001(2x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:5001>
        +0   > . 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 65535
        +1   %{ assert netloom.in_flight == 0 }%
    ",
    );
    repairs(&t, (1, 0, 3));
}

/// By timestamps: a report beyond a hole echoes what came before the hole, whatever it is for. It is no sign
/// that the first copy arrived: what was sent again before it and is still missing is lost once more, and
/// nothing was overtaken.
#[test]
fn k2_what_a_report_beyond_a_hole_echoes_says_nothing_of_it() {
    let mut t = Scenario::established().timestamps().build();
    t.run(
        r"
        +0   write(4, ..., 4940) = 4940
        +0   > P. 1:4941(5x988) ack 1 <nop,nop,TS val 50 ecr 50>
        +.05 < . 1:1(0) ack 1 win 65535 <TS val 100 ecr 50,sack 1977:4941>
        +0   > . 1:1977(2x988) ack 1 <nop,nop,TS val 100 ecr 100>
        // The second arrives, the first is lost again.
        +.05 < . 1:1(0) ack 1 win 65535 <TS val 150 ecr 50,sack 989:4941>
        +0   > . 1:989(988) ack 1 <nop,nop,TS val 150 ecr 150>
        +.05 < . 1:1(0) ack 4941 win 65535 <TS val 200 ecr 150>
        +1   %{ assert netloom.in_flight == 0 }%
    ",
    );
    t.info(|info| assert_eq!((info.reordering, info.undos), (0, 0)));
    repairs(&t, (1, 0, 3));
}

/// The front is old enough to be lost and sent again, what was overtaken behind it is not yet: it is
/// repaired when it is, and does not wait for an answer to the front.
///
/// Covers: RAK-4.
#[test]
fn a_repair_of_the_front_leaves_the_reordering_timer_alone() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        // Reordering is seen: the window is a quarter of 50 ms from here.
        +0   write(4, ..., 3000) = 3000
        +0   > P. 1:3001(3x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001>
        +.01 < . 1:1(0) ack 2001 win 65535
        +0   < . 1:1(0) ack 3001 win 65535
        +1   write(4, ..., 1000) = 1000
        +0   > P. 3001:4001(1000) ack 1
        +.02 write(4, ..., 1000) = 1000
        +0   > P. 4001:5001(1000) ack 1
        +.002 write(4, ..., 1000) = 1000
        +0   > P. 5001:6001(1000) ack 1
        // The first two are lost: the one is 72 ms old when the third arrives, the other 52.
        +.05 < . 1:1(0) ack 3001 win 65535 <sack 5001:6001>
        +0   > . 3001:4001(1000) ack 1
        +.0105 > . 4001:5001(1000) ack 1
        +.05 < . 1:1(0) ack 6001 win 65535
        +1   %{ assert netloom.in_flight == 0 }%
    ",
    );
    repairs(&t, (1, 0, 2));
}

/// Six segments overtake one by less than a quarter of the round trip, once reordering was seen.
///
/// Covers: RAK-9 (no third duplicate counts).
#[test]
fn k3_reordering_within_the_window_repeats_nothing() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 10000) = 10000
        +0   > P. 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001>
        +.01 < . 1:1(0) ack 2001 win 65535
        +0   < . 1:1(0) ack 2001 win 65535 <sack 3001:9001>
        +.01 < . 1:1(0) ack 9001 win 65535
        +0   < . 1:1(0) ack 10001 win 65535
        // The window was full, and all of it arrived.
        +1   %{ assert netloom.cwnd_bytes == 20000 }%
    ",
    );
    t.info(|info| assert_eq!(info.reordering, 2));
    repairs(&t, (0, 0, 0));
}

/// Reordering was seen: what is overtaken from here on is waited for, for a quarter of 50 ms, with new text in
/// place of all that is reported. Ten are out, the first comes late, and the third is missing: a third as much
/// again as the window is not acknowledged when that is known.
fn disordered(scenario: Scenario) -> Test {
    let mut t = scenario.build();
    t.run(
        r"
        +0   write(4, ..., 10000) = 10000
        +0   > P. 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001>
        +.01 < . 1:1(0) ack 2001 win 65535
        +0   < . 1:1(0) ack 10001 win 65535
        +1   write(4, ..., 40000) = 40000
        +0   > . 10001:20001(10x1000) ack 1
        +.05 < . 1:1(0) ack 10001 win 65535 <sack 11001:12001>
        +0   > ...
        +0   < . 1:1(0) ack 12001 win 65535 <sack 13001:18001>
        +0   > ...
        +0   < . 1:1(0) ack 12001 win 65535 <sack 13001:20001>
        +0   > ...
    ",
    );
    t.info(|info| {
        assert_eq!((info.phase, info.in_flight), (Phase::Disorder, info.cwnd));
        assert!(info.unacked >= info.cwnd * 4 / 3, "{info:?}");
    });
    t
}

/// Where reordering was seen there is a hole most of the time: what comes in front of it grows the window when it
/// comes, as Linux has it, not when the hole is filled. Where none was seen it waits (RFC 3042 §2).
#[test]
fn where_packets_overtake_each_other_the_window_does_not_wait_for_the_overtaken() {
    for choice in [Choice::Reno, Choice::Cubic] {
        let mut t = Scenario::established().congestion(choice).build();
        t.run(
            r"
            +0   write(4, ..., 90000) = 90000
            +0   > . 1:10001(10x1000) ack 1
            +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:3001>
            +0   > ...
            +0   %{ assert netloom.cwnd_bytes == 10000 }%
            // The hole is filled: what came in front of it counts.
            +.01 < . 1:1(0) ack 3001 win 65535
            +0   > ...
            +0   %{ assert netloom.cwnd_bytes == 13000 }%
            +0   < . 1:1(0) ack 10001 win 65535
            +0   > ...
            +0   %{ assert netloom.cwnd_bytes == 20000 }%
            +.04 < . 1:1(0) ack 10001 win 65535 <sack 11001:12001>
            +0   > ...
            +0   %{ assert netloom.cwnd_bytes == 21000 }%
            // What was counted does not count again.
            +.01 < . 1:1(0) ack 12001 win 65535
            +0   > ...
            +0   %{ assert netloom.cwnd_bytes == 22000 }%
        ",
        );
        repairs(&t, (0, 0, 0));
    }
}

/// RFC 5681 §3.2 (2): what limited transmit sent is none of the flight that is halved, and while reordering is
/// waited for that is all that leaves.
#[test]
fn what_left_while_reordering_was_waited_for_makes_no_cut_shallow() {
    for (choice, tenths) in [(Choice::Reno, 5), (Choice::Cubic, 7)] {
        let mut t = disordered(Scenario::established().congestion(choice));
        let before = cwnd(&t);
        t.run("+.0125 > . 12001:13001(1000) ack 1");
        t.info(|info| {
            assert_eq!(info.phase, Phase::Recovery);
            assert_eq!(info.ssthresh, before * tenths / 10);
        });
    }
}

fn cwnd(t: &Test) -> u32 {
    let cwnd = Cell::new(0);
    t.info(|info| cwnd.set(info.cwnd));
    cwnd.get()
}

/// One segment overtakes another by almost a round trip, again and again: each D-SACK widens the window.
///
/// Covers: RAK-3.
#[test]
fn k4_the_window_grows_until_nothing_is_repeated() {
    let mut t = Scenario::established().build();
    for round in 0..4u32 {
        let at = |segs: u32| (2 * round + segs) * 1000 + 1;
        let (una, middle, end) = (at(0), at(1), at(2));
        t.run(&format!(
            "+0 write(4, ..., 2000) = 2000\n+0 > P. {una}:{end}(2x1000) ack 1\n\
             +.05 < . 1:1(0) ack {una} win 65535 <sack {middle}:{end}>"
        ));
        let window = 12.5 * f64::from(round + 1);
        if window < 49.0 {
            let (wait, rest) = (window / 1000.0, (49.0 - window) / 1000.0);
            t.run(&format!(
                "+{wait:.4} > . {una}:{middle}(1000) ack 1\n\
                 +{rest:.4} < . 1:1(0) ack {end} win 65535\n\
                 +{:.4} < . 1:1(0) ack {end} win 65535 <sack {una}:{middle}>",
                0.05 - rest
            ));
        } else {
            t.run(&format!("+.049 < . 1:1(0) ack {end} win 65535"));
        }
    }
    repairs(&t, (3, 0, 3));
}

/// The last two of a burst are lost: the probe's SACK shows the other.
///
/// Covers: RAK-6, RAK-7.
#[test]
fn t1_a_lost_tail_is_repaired_after_two_round_trips() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 4000) = 4000
        +0   > P. 1:4001(4x1000) ack 1
        +.05 < . 1:1(0) ack 2001 win 65535
        +.1  > P. 3001:4001(1000) ack 1
        +.05 < . 1:1(0) ack 2001 win 65535 <sack 3001:4001>
        +0   > . 2001:3001(1000) ack 1
        +0   %{ assert netloom.ssthresh_bytes == 2000 }%
        +.05 < . 1:1(0) ack 4001 win 65535
        +1   %{ assert netloom.in_flight == 0 }%
    ",
    );
    t.info(|info| assert_eq!(info.tail_probes, 1));
    repairs(&t, (1, 0, 2));
}

/// The last one alone: its ACK may be held back for 200 ms, so the time-out's moment comes first; the
/// probe leaves in its place. That it repaired a loss is known when more is acknowledged.
///
/// Covers: RAK-6 (never after the time-out), RAK-8, RAK-10.
#[test]
fn t1_a_lost_last_segment_costs_one_cut_and_no_time_out() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 3000) = 3000
        +0   > P. 1:3001(3x1000) ack 1
        +.05 < . 1:1(0) ack 2001 win 65535
        +.25 > P. 2001:3001(1000) ack 1
        +.05 < . 1:1(0) ack 3001 win 65535
        +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
        +0   write(4, ..., 1000) = 1000
        +0   > P. 3001:4001(1000) ack 1
        +.05 < . 1:1(0) ack 4001 win 65535
        +0   %{ assert netloom.ssthresh_bytes == 2000 }%
        +0   write(4, ..., 1000) = 1000
        +0   > P. 4001:5001(1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 65535
        +0   %{ assert netloom.ssthresh_bytes == 2000 }%
    ",
    );
    repairs(&t, (0, 0, 1));
}

/// Covers: RAK-8.
#[test]
fn t2_a_probe_for_a_lost_ack_cuts_nothing() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 4000) = 4000
        +0   > P. 1:4001(4x1000) ack 1
        +.1  > P. 3001:4001(1000) ack 1
        +.05 < . 1:1(0) ack 4001 win 65535 <sack 3001:4001>
        +0   write(4, ..., 1000) = 1000
        +0   > P. 4001:5001(1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 65535
        +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
        +0   %{ assert netloom.cwnd_bytes == 10000 }%
    ",
    );
    repairs(&t, (0, 0, 1));
}

/// Without SACK two duplicates let two more leave: a time-out halves what the window held.
///
/// Covers: RAK-1 (no probe without SACK).
#[test]
fn what_limited_transmit_sent_makes_no_time_outs_cut_shallow() {
    let mut t = Scenario::established().without_sack().build();
    t.run(
        r"
        +0   write(4, ..., 20000) = 20000
        +0   > . 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535
        +0   < . 1:1(0) ack 1 win 65535
        +0   > . 10001:12001(2x1000) ack 1
        +.2  > . 1:1001(1000) ack 1
        +0   %{ assert netloom.ssthresh_bytes == 5000 }%
    ",
    );
    repairs(&t, (0, 1, 1));
}

/// A full window does not hold the probe back; a second one needs a measured round trip.
///
/// Covers: RAK-7.
#[test]
fn m06_a_probe_leaves_beyond_cwnd_and_once_per_measurement() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 20000) = 20000
        +0   > . 1:10001(10x1000) ack 1
        +0   %{ assert netloom.cwnd_bytes == 10000 }%
        +.1  > . 10001:11001(1000) ack 1
        // No probe at .2: the time-out, counted from the probe.
        +.25 > . 1:1001(1000) ack 1
    ",
    );
    t.info(|info| assert_eq!(info.tail_probes, 1));
    // The answer to a probe that was text sent again measures nothing.
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 4000) = 4000
        +0   > P. 1:4001(4x1000) ack 1
        +.1  > P. 3001:4001(1000) ack 1
        +0   write(4, ..., 2000) = 2000
        +0   > P. 4001:6001(2x1000) ack 1
        +.05 < . 1:1(0) ack 4001 win 65535 <sack 3001:4001>
        +.25 > . 4001:5001(1000) ack 1
    ",
    );
    t.info(|info| assert_eq!(info.tail_probes, 1));
}

/// Nine duplicates are one event, and one segment is sent again.
#[test]
fn m07_a_duplicate_is_no_event_of_its_own() {
    let mut t = Scenario::established().build();
    t.run("+0 write(4, ..., 10000) = 10000\n+0 > P. 1:10001(10x1000) ack 1\n+.05 %{ assert 1 }%");
    for n in 2..=10 {
        let repair = if n == 4 {
            "\n+0 > . 1:1001(1000) ack 1"
        } else {
            ""
        };
        t.run(&format!(
            "+0 < . 1:1(0) ack 1 win 65535 <sack 1001:{n}001>{repair}"
        ));
    }
    t.run("+0 %{ assert netloom.cwnd_bytes == 5000 }%\n+.05 < . 1:1(0) ack 10001 win 65535");
    repairs(&t, (1, 0, 1));
}

/// What an overtaken ACK reports counts.
#[test]
fn m14_a_report_on_an_old_ack_counts() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 5000) = 5000
        +0   > P. 1:5001(5x1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 65535
        +0   < . 1:1(0) ack 1 win 65535 <sack 2001:5001>
        +0   > . 1001:2001(1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 65535
    ",
    );
    repairs(&t, (1, 0, 1));
}

/// What three others overtook comes with the next frame of the same batch, before anything was sent again: no
/// D-SACK will ever tell, and no echo.
#[test]
fn s2_a_recovery_in_which_nothing_was_sent_again_is_undone() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 10000) = 10000
        +0   > P. 1:10001(10x1000) ack 1
        +.05 << . 1:1(0) ack 1 win 65535 <sack 1001:4001>
        +0   < . 1:1(0) ack 4001 win 65535
        +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
        +.01 < . 1:1(0) ack 10001 win 65535
        +1   %{ assert netloom.in_flight == 0 }%
    ",
    );
    t.info(|info| assert_eq!((info.undos, info.reordering), (1, 1)));
    repairs(&t, (1, 0, 0));
}

/// An answer that comes sooner than the path lets one come is the first copy's: nothing left before it that would
/// be lost for having left before the second.
///
/// Covers: RAK-5.
#[test]
fn an_answer_that_comes_too_soon_is_not_for_what_left_again() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 5000) = 5000
        +0   > P. 1:5001(5x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:4001>
        +0   > . 1:1001(1000) ack 1
        +.01 < . 1:1(0) ack 4001 win 65535
        +.01 < . 1:1(0) ack 5001 win 65535
        +1   %{ assert netloom.in_flight == 0 }%
    ",
    );
    repairs(&t, (1, 0, 1));
}

/// By timestamps: the ACK of what left again answers the first copy. That is enough while more is missing
/// behind it, ends the episode, and shows that the path reorders: what is overtaken next is waited for.
#[test]
fn s2_a_late_first_copy_ends_the_episode_and_opens_the_reordering_window() {
    let mut t = Scenario::established().timestamps().build();
    t.run(
        r"
        +0   write(4, ..., 9880) = 9880
        +0   > P. 1:9881(10x988) ack 1 <nop,nop,TS val 50 ecr 50>
        +.05 < . 1:1(0) ack 1 win 65535 <TS val 100 ecr 50,sack 989:3953>
        +0   > . 1:989(988) ack 1 <nop,nop,TS val 100 ecr 100>
        +0   %{ assert netloom.ssthresh_bytes == 4940 }%
        +.01 < . 1:1(0) ack 3953 win 65535 <TS val 110 ecr 50>
        +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
    ",
    );
    t.info(|info| {
        assert_eq!((info.undos, info.reordering), (1, 1));
        assert_eq!(info.phase, Phase::Open);
    });
    t.run(
        r"
        +0    < . 1:1(0) ack 3953 win 65535 <TS val 110 ecr 50,sack 4941:7905>
        +.005 < . 1:1(0) ack 9881 win 65535 <TS val 115 ecr 50>
        +1    %{ assert netloom.in_flight == 0 }%
    ",
    );
    repairs(&t, (1, 0, 1));
}

/// By D-SACK, while the episode runs: it is over, so the loss after it is answered for, and the path
/// reorders (twice a quarter of the round trip is waited).
#[test]
fn m10_a_loss_after_an_undo_is_an_episode_of_its_own() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0    write(4, ..., 10000) = 10000
        +0    > P. 1:10001(10x1000) ack 1
        +.05  < . 1:1(0) ack 1 win 65535 <sack 1001:4001>
        +0    > . 1:1001(1000) ack 1
        +.01  < . 1:1(0) ack 4001 win 65535
        +.04  < . 1:1(0) ack 4001 win 65535 <sack 1:1001>
        +0    %{ assert netloom.ssthresh_bytes == 4294967295 }%
        +0    < . 1:1(0) ack 4001 win 65535 <sack 5001:10001>
        +.025 > . 4001:5001(1000) ack 1
        +0    %{ assert netloom.ssthresh_bytes == 3000 }%
        +.05  < . 1:1(0) ack 10001 win 65535
        +0    %{ assert netloom.cwnd_bytes == 3000 }%
    ",
    );
    t.info(|info| assert_eq!(info.undos, 1));
    repairs(&t, (2, 0, 2));
}

/// The FIN that ends the text of a probe takes a number too: what the window has no room for stays.
#[test]
fn a_probe_of_new_text_takes_the_fin_along_only_into_the_window() {
    for (window, flags) in [(11_000, "P."), (11_001, "FP.")] {
        let mut t = Scenario::established().window(window).build();
        t.run(&format!(
            r"
            +0   write(4, ..., 10000) = 10000
            +0   > P. 1:10001(10x1000) ack 1
            +0   write(4, ..., 1000) = 1000
            +0   shutdown(4, SHUT_WR) = 0
            +.1  > {flags} 10001:11001(1000) ack 1
        "
        ));
        t.info(|info| assert_eq!(info.tail_probes, 1));
    }
}

/// What a peer reports that threw away what it had reported proves nothing: not that something comes twice, not that
/// something arrived before the time-out; and nothing new is sent to find out.
#[test]
fn a_time_out_on_what_was_reported_is_never_for_nothing() {
    for proof in [
        "+.05 < . 1:1(0) ack 2001 win 65535 <sack 1001:2001>",
        "+.05 < . 1:1(0) ack 1001 win 65535 <sack 2001:3001>",
        "+0   write(4, ..., 2000) = 2000
         +.05 < . 1:1(0) ack 2001 win 65535
         +0   > . 2001:3001(1000) ack 1
         +0   > . 3001:4001(1000) ack 1",
    ] {
        let mut t = Scenario::established().build();
        t.run(&format!(
            r"
            +0    write(4, ..., 3000) = 3000
            +0    > P. 1:3001(3x1000) ack 1
            +.05  < . 1:1(0) ack 1 win 65535 <sack 1001:3001>
            +.01  < . 1:1(0) ack 1001 win 65535
            +.2515 > . 1001:2001(1000) ack 1
            +0    %{{ assert netloom.cwnd_bytes == 1000 }}%
            {proof}
            +0    > ...
        "
        ));
        t.info(|info| {
            assert_eq!(info.undos, 0, "{proof}");
            assert!(info.cwnd <= 2000, "{proof}: {}", info.cwnd);
        });
    }
}

/// Without SACK, duplicates tell of what was out in their episode: of what leaves in it, and is out at its end, they
/// tell nothing.
#[test]
fn duplicates_of_an_episode_that_is_over_make_no_room() {
    let mut t = Scenario::established().without_sack().build();
    t.run(
        r"
        +0   write(4, ..., 40000) = 40000
        +0   > . 1:10001(10x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535
        +0   < . 1:1(0) ack 1 win 65535
        +0   > . 10001:12001(2x1000) ack 1
        +0   < . 1:1(0) ack 1 win 65535
        +0   > . 1:1001(1000) ack 1
    ",
    );
    // Of the other six and of the two that left meanwhile.
    for _ in 0..8 {
        t.run("+0 < . 1:1(0) ack 1 win 65535\n+0 > ...");
    }
    t.run(
        r"
        +.05 < . 1:1(0) ack 12001 win 65535
        +0   > ...
    ",
    );
    t.info(|info| {
        assert_eq!(info.phase, Phase::Open, "{info:?}");
        assert_eq!(info.unacked, info.cwnd, "{info:?}");
    });
}

/// Without SACK nothing is delivered until the first partial ACK. What that acknowledges lets as much leave once, in
/// BBR's recovery too, though a round is over with it.
#[test]
fn a_partial_ack_counts_once_where_a_recovery_begins_with_what_is_in_flight() {
    for choice in [Choice::Bbr, Choice::Bbr3] {
        let mut t = Scenario::established()
            .congestion(choice)
            .without_sack()
            .build();
        t.run(
            r"
            +0   write(4, ..., 40000) = 40000
            +.05 > ...
            +.05 < . 1:1(0) ack 1 win 65535
            +0   < . 1:1(0) ack 1 win 65535
            +0   < . 1:1(0) ack 1 win 65535
            +.01 > ...
        ",
        );
        let before = Cell::new(0);
        t.info(|info| {
            assert!(matches!(info.phase, Phase::Recovery), "{info:?}");
            before.set(info.in_flight);
        });
        t.run("+.05 < . 1:1(0) ack 5001 win 65535\n+0 > ...");
        t.info(|info| {
            let most = before.get() + 5000;
            assert!(info.cwnd <= most, "{before:?} before, then {info:?}");
        });
    }
}

/// RFC 6582 §3.2 step 1: duplicates at the point where an episode ended may answer what it sent for nothing.
#[test]
fn duplicates_where_an_episode_ended_start_none() {
    let mut t = Scenario::established().without_sack().build();
    t.run(
        r"
        +0   write(4, ..., 5000) = 5000
        +0   > P. 1:5001(5x1000) ack 1
        +.05 < . 1:1(0) ack 1 win 65535
        +0   < . 1:1(0) ack 1 win 65535
        +0   < . 1:1(0) ack 1 win 65535
        +0   > . 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 65535
        +0   write(4, ..., 2000) = 2000
        +0   > P. 5001:7001(2x1000) ack 1
        +.01 < . 1:1(0) ack 5001 win 65535
        +0   < . 1:1(0) ack 5001 win 65535
        +0   < . 1:1(0) ack 5001 win 65535
        +0   < . 1:1(0) ack 5001 win 65535
        +.05 < . 1:1(0) ack 6001 win 65535
        +0   < . 1:1(0) ack 7001 win 65535
    ",
    );
    repairs(&t, (1, 0, 1));
}
