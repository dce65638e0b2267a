//! How long a lost single segment waits for its probe (RFC 8985 §7.2, TLP.max_ack_delay), through packets.

use super::sessions::{Scenario, Test};

/// Single segments from this number on, each answered after so many milliseconds.
fn answered(t: &mut Test, from: u32, times: u32, millis: u32) -> u32 {
    for at in 0..times {
        let (start, end) = (from + at * 1000, from + (at + 1) * 1000);
        t.run(&format!(
            "+0 write(4, ..., 1000) = 1000
             +0 > P. {start}:{end}(1000) ack 1
             +{} < . 1:1(0) ack {end} win 65535",
            f64::from(millis) / 1000.0
        ));
    }
    from + times * 1000
}

/// One that is lost, and its probe after so many milliseconds, which is answered.
fn lost(t: &mut Test, start: u32, millis: u32) -> u32 {
    let end = start + 1000;
    t.run(&format!(
        "+0 write(4, ..., 1000) = 1000
         +0 > P. {start}:{end}(1000) ack 1
         +{} > P. {start}:{end}(1000) ack 1
         +.05 < . 1:1(0) ack {end} win 65535",
        f64::from(millis) / 1000.0
    ));
    end
}

/// Nothing is sent again within two round trips and the short wait.
fn not_probed(t: &mut Test, start: u32) {
    let end = start + 1000;
    t.run(&format!(
        "+0 write(4, ..., 1000) = 1000
         +0 > P. {start}:{end}(1000) ack 1
         +.19 < . 1:1(0) ack {end} win 65535"
    ));
}

/// Two round trips and 60 ms for a peer that answered eight in time; with seven, the time-out's moment. A probe is a
/// doubt: the count begins anew behind it.
///
/// Covers: RAK-6.
#[test]
fn a_prompt_peers_single_segment_does_not_wait_for_the_time_out() {
    let mut t = Scenario::established().build();
    let next = answered(&mut t, 1, 7, 50);
    lost(&mut t, next, 250);

    let mut t = Scenario::established().build();
    let next = answered(&mut t, 1, 8, 50);
    let next = lost(&mut t, next, 160);
    // A probe leaves only if there was a sample since the last one (RFC 8985 §7.3).
    let next = answered(&mut t, next, 1, 50);
    let next = lost(&mut t, next, 250);
    // The first of these has no probe.
    let next = answered(&mut t, next, 9, 50);
    lost(&mut t, next, 160);
    t.counters(|c| assert_eq!((c.tcp_rto_fired, c.tcp_retransmits), (0, 3)));
}

/// The end of a longer flight is a single segment when all before it is acknowledged.
///
/// Covers: RAK-6.
#[test]
fn a_prompt_peers_lost_last_segment_does_not_wait_for_the_time_out() {
    let mut t = Scenario::established().build();
    let next = answered(&mut t, 1, 8, 50);
    let (two, three) = (next + 2000, next + 3000);
    t.run(&format!(
        "+0   write(4, ..., 3000) = 3000
         +0   > P. {next}:{three}(3x1000) ack 1
         +.05 < . 1:1(0) ack {two} win 65535
         +.16 > P. {two}:{three}(1000) ack 1
         +.05 < . 1:1(0) ack {three} win 65535"
    ));
    t.counters(|c| assert_eq!(c.tcp_rto_fired, 0));
}

/// An ACK later than the short wait shows a peer that holds ACKs: its segments are never sent again so soon, however
/// prompt it is otherwise.
#[test]
fn a_peer_that_held_an_ack_once_is_waited_for() {
    for before in [0, 7] {
        let mut t = Scenario::established().build();
        let next = answered(&mut t, 1, before, 50);
        let next = answered(&mut t, next, 1, 190);
        let next = answered(&mut t, next, 20, 50);
        not_probed(&mut t, next);
        t.info(|info| assert_eq!(info.tail_probes, 0));
    }
}

/// Of several small segments the first is held since before the last one left: how soon their ACK comes then tells
/// nothing of how long a peer holds one.
#[test]
fn small_segments_one_after_the_other_tell_nothing() {
    let mut t = Scenario::established().build();
    t.run("+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0");
    for at in 0..10 {
        let (start, middle, end) = (1 + at * 200, 101 + at * 200, 201 + at * 200);
        t.run(&format!(
            "+0   write(4, ..., 100) = 100
             +0   > P. {start}:{middle}(100) ack 1
             +.15 write(4, ..., 100) = 100
             +0   > P. {middle}:{end}(100) ack 1
             +.05 < . 1:1(0) ack {end} win 65535"
        ));
    }
    not_probed(&mut t, 2001);
    t.info(|info| assert_eq!(info.tail_probes, 0));
}

/// A peer that was prompt holds one ACK, and its ACK of the probe has these options: one segment is sent twice for
/// nothing, and cuts nothing, and that was the last one.
fn a_needless_probe_is_told_by(options: impl Fn(u32, u32) -> String) {
    let mut t = Scenario::established().build();
    let next = answered(&mut t, 1, 8, 50);
    let end = next + 1000;
    t.run(&format!(
        "+0   write(4, ..., 1000) = 1000
         +0   > P. {next}:{end}(1000) ack 1
         +.16 > P. {next}:{end}(1000) ack 1
         +.01 < . 1:1(0) ack {end} win 65535
         +.04 < . 1:1(0) ack {end} win 65535 {}",
        options(next, end)
    ));
    let next = answered(&mut t, end, 20, 50);
    not_probed(&mut t, next);
    t.info(|info| assert_eq!((info.tail_probes, info.ssthresh), (1, u32::MAX)));
}

/// Covers: RAK-8.
#[test]
fn a_d_sack_tells_that_a_probe_was_needless() {
    a_needless_probe_is_told_by(|start, end| format!("<sack {start}:{end}>"));
}

/// A peer that sends no D-SACK tells nothing but that it has the segment already, and nothing is out any more.
///
/// Covers: RAK-8.
#[test]
fn a_bare_duplicate_tells_that_a_probe_was_needless() {
    a_needless_probe_is_told_by(|_, _| String::new());
}

/// A peer that holds each ACK, and tells nothing of what came twice: no window is cut for it.
#[test]
fn a_slow_peer_without_d_sacks_costs_no_window() {
    let mut t = Scenario::established().build();
    answered(&mut t, 1, 40, 210);
    t.info(|info| assert_eq!((info.tail_probes, info.ssthresh), (0, u32::MAX)));
}
