//! Closing: every way from ESTABLISHED to CLOSED.

use core::time::Duration;

use netloom::tcp::TcpOptions;

use super::harness::Scenario;

/// Covers: TCP-16, TCP-18, TCP-65
#[test]
fn an_active_close_passes_fin_wait_and_time_wait() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1
        +0   expect-state FIN-WAIT-1
        +0   write-fails BrokenPipe
        +.05 < . 1:1(0) ack 2
        +0   expect-state FIN-WAIT-2
        +.05 < F. 1:1(0) ack 2
        +0   > . 2:2(0) ack 2
        +0   expect-state TIME-WAIT
        +0   read 0
        +0   close
        +0   expect-time-wait 1
        +59  expect-time-wait 1
        +2   expect-time-wait 0
        +0   expect-open 0
    ",
    );
}

/// Covers: TCP-65
#[test]
fn a_passive_close_passes_close_wait_and_last_ack() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < F. 1:1(0) ack 1
        +0   > . 1:1(0) ack 2
        +0   expect-state CLOSE-WAIT
        +0   expect-event READABLE
        +0   read 0
        +0   write 100
        +0   > P. 1:101(100) ack 2
        +0   shutdown wr
        +0   > F. 101:101(0) ack 2
        +0   expect-state LAST-ACK
        +.05 < . 2:2(0) ack 101
        +0   expect-state LAST-ACK
        +0   < . 2:2(0) ack 102
        +0   expect-state CLOSED
        +0   expect-open 0
        +0   expect-time-wait 0
    ",
    );
}

/// Covers: TCP-65 (r21)
#[test]
fn r21_both_ends_close_at_once() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1
        +0   < F. 1:1(0) ack 1
        +0   > . 2:2(0) ack 2
        +0   expect-state CLOSING
        // Our FIN was lost: it goes again, and so does the peer's.
        +.25 > F. 1:1(0) ack 2
        +0   < F. 1:1(0) ack 1
        +0   > . 2:2(0) ack 2
        +.05 < . 2:2(0) ack 2
        +0   expect-state TIME-WAIT
    ",
    );
}

/// Covers: TCP-65
#[test]
fn the_fin_acknowledges_our_fin() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1
        +.05 < F. 1:1(0) ack 2
        +0   > . 2:2(0) ack 2
        +0   expect-state TIME-WAIT
    ",
    );
}

/// The FIN rides on the last text, and waits for all of it.
#[test]
fn a_fin_rides_on_the_last_text() {
    let mut t = Scenario::established().window(1500).build();
    t.run(
        r"
        +0   write 2500
        +0   > . 1:1001(1000) ack 1
        +0   shutdown wr
        +.05 < . 1:1(0) ack 1001 win 5000
        +0   > FP. 1001:2501(1x1000+500) ack 1
        +0   expect-state FIN-WAIT-1
        +.05 < . 1:1(0) ack 2501
        +0   expect-state FIN-WAIT-1
        +0   < . 1:1(0) ack 2502
        +0   expect-state FIN-WAIT-2
    ",
    );
}

/// r19: a FIN alone in flight is repeated.
#[test]
fn r19_a_lost_fin_is_repeated() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1
        +.25 > F. 1:1(0) ack 1
        // The first was a probe of the tail, in the time-out's place.
        +.25 > F. 1:1(0) ack 1
        +.5  > F. 1:1(0) ack 1
        +.05 < . 1:1(0) ack 2
        +0   expect-state FIN-WAIT-2
        +10  wait
    ",
    );
}

/// Covers: TCP-16 (r20, r24: what is half closed goes on for as long as it likes)
#[test]
fn r20_a_half_closed_connection_receives() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1
        +.05 < . 1:1(0) ack 2
        +3600 < P. 1:1001(1000) ack 2
        +.04 > . 2:2(0) ack 1001
        +0   read 1000
        +0   < FP. 1001:1501(500) ack 2
        +0   > . 2:2(0) ack 1502
        +0   read 500
        +0   read 0
        +0   expect-state TIME-WAIT
    ",
    );
}

#[test]
fn r24_a_peer_that_half_closed_receives_everything() {
    let mut t = Scenario::established().window(2000).build();
    t.run(
        r"
        +0   write 4000
        +0   > . 1:2001(2x1000) ack 1
        +.05 < F. 1:1(0) ack 2001
        +0   > P. 2001:4001(2x1000) ack 2
        +.05 < . 2:2(0) ack 4001
        +0   expect-state CLOSE-WAIT
        +0   write 10
        +0   > P. 4001:4011(10) ack 2
    ",
    );
}

/// Covers: TCP-17 (SHLD-3)
#[test]
fn closing_with_unread_text_resets() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:11(10) ack 1
        +0   close
        +0   > R. 1:1(0) ack 11
        +0   expect-open 0
    ",
    );
}

/// Covers: TCP-17 (text after CLOSE)
#[test]
fn text_after_a_close_resets() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   close
        +0   > F. 1:1(0) ack 1
        +.05 < P. 1:101(100) ack 2
        +0   > R. 2:2(0) ack 1
        +0   expect-open 0
    ",
    );
}

/// Covers: TCP-15, TCP-68
#[test]
fn abort_and_linger_zero_reset() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write 100
        +0   > P. 1:101(100) ack 1
        +0   abort
        +0   > R. 101:101(0) ack 1
        +0   expect-open 0
    ",
    );
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setopt linger 0
        +0   close
        +0   > R. 1:1(0) ack 1
        +0   expect-open 0
    ",
    );
}

/// SO_LINGER's time is for a close that waits; what it does not see off goes on in the background.
#[test]
fn a_linger_time_is_no_end() {
    let options = TcpOptions::default().linger(Some(Duration::from_secs(1)));
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   write 10
        +0   > P. 1:11(10) ack 1
        +0   close
        +0   > F. 11:11(0) ack 1
        +.05 < . 1:1(0) ack 11
        +.25 > F. 11:11(0) ack 1
        // The first was a probe of the tail, in the time-out's place.
        +.25 > F. 11:11(0) ack 1
        +.5  > F. 11:11(0) ack 1
        +.5  < . 1:1(0) ack 12
        +0   expect-open 1
        +59  < F. 1:1(0) ack 12
        +0   > . 12:12(0) ack 2
        +0   expect-time-wait 1
    ",
    );
}

/// Covers: TCP-65 (r20: an orphan in FIN-WAIT-2 ends)
#[test]
fn r20_an_orphan_does_not_wait_for_ever() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   close
        +0   > F. 1:1(0) ack 1
        +.05 < . 1:1(0) ack 2
        +59  expect-open 1
        +2   expect-open 0
        +0   < F. 1:1(0) ack 2
        +0   > R 2:2(0)
    ",
    );
}

#[test]
fn r30_an_orphan_gives_up() {
    let options = TcpOptions::default().orphan_retries(2);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   close
        +0   > F. 1:1(0) ack 1
        +.25 > F. 1:1(0) ack 1
        // The first was a probe of the tail, in the time-out's place.
        +.25 > F. 1:1(0) ack 1
        +.5  > F. 1:1(0) ack 1
        +1   > R. 2:2(0) ack 1
        +0   expect-open 0
    ",
    );
}

/// An orphan's probes are bounded, but what leaves when the window opens has its own retries.
#[test]
fn r30_an_orphan_whose_window_opens_is_not_given_up_for_its_probes() {
    let options = TcpOptions::default().orphan_retries(2);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   < . 1:1(0) ack 1 win 0
        +0   write 10
        +0   close
        +.25 > P. 1:2(1) ack 1
        +.05 < . 1:1(0) ack 1 win 0
        +.45 > . 1:2(1) ack 1
        +.05 < . 1:1(0) ack 1 win 0
        +.95 > . 1:2(1) ack 1
        +.05 < . 1:1(0) ack 1 win 5000
        +0   > . 1:2(1) ack 1
        +0   > FP. 2:11(9) ack 1
        // A probe of the tail, then the time-out.
        +.25 > FP. 2:11(9) ack 1
        +.25 > . 1:2(1) ack 1
        +0   > FP. 2:11(9) ack 1
        +.05 < . 1:1(0) ack 12 win 5000
        +0   < F. 1:1(0) ack 12
        +0   > . 12:12(0) ack 2
    ",
    );
}

/// Covers: TCP-20, SEC-10, TCP-65
#[test]
fn time_wait_answers_a_fin_and_ignores_a_reset() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1
        +.05 < F. 1:1(0) ack 2
        +0   > . 2:2(0) ack 2
        +0   close
        +50  < F. 1:1(0) ack 2
        +0   > . 2:2(0) ack 2
        // RFC 1337.
        +0   < R 2:2(0) win 0
        +0   expect-time-wait 1
        // r17: no text, and no answer to an ACK.
        +0   < P. 2:12(10) ack 2
        +0   > . 2:2(0) ack 2
        +0   < . 2:2(0) ack 2
        +59  expect-time-wait 1
        +2   expect-time-wait 0
    ",
    );
}

/// Covers: TCP-19, SEC-9 (r53)
#[test]
fn r53_a_new_syn_reopens_from_time_wait() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1
        +.05 < F. 1:1(0) ack 2
        +0   > . 2:2(0) ack 2
        +0   close
        // An old SYN is answered, a new one taken.
        +1   < S 0:0(0) win 1000 <mss 1000>
        +0   > . 2:2(0) ack 2
        +0   next-life 100000
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +0   < . 1:1(0) ack 1
        +0   accept
        +0   expect-state ESTABLISHED
        +0   expect-time-wait 0
    ",
    );
}

/// r15: what was received can be read after everything ended.
#[test]
fn r15_text_can_be_read_after_the_end() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < FP. 1:1001(1000) ack 1
        +0   > . 1:1(0) ack 1002
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1002
        +.05 < . 1002:1002(0) ack 2
        +0   expect-state CLOSED
        +100 read 1000
        +0   read 0
    ",
    );
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown wr
        +0   > F. 1:1(0) ack 1
        +.05 < FP. 1:1001(1000) ack 2
        +0   > . 2:2(0) ack 1002
        +100 expect-time-wait 0
        +0   read 1000
        +0   read 0
    ",
    );
}

/// Covers: TCP-65 (r17, r18, r22)
#[test]
fn r18_a_fin_out_of_order_waits_and_text_behind_it_is_refused() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < F. 1001:1001(0) ack 1
        +0   > . 1:1(0) ack 1
        +0   expect-state ESTABLISHED
        +0   < P. 1:1001(1000) ack 1
        +0   > . 1:1(0) ack 1002
        +0   expect-state CLOSE-WAIT
        +0   < P. 1002:1012(10) ack 1
        +0   > . 1:1(0) ack 1002
        // The FIN again, with text that was read.
        +0   < FP. 501:1001(500) ack 1
        +0   > . 1:1(0) ack 1002
        +0   read 1000
        +0   read 0
    ",
    );
}

/// The FIN needs a number of the window as well (r22).
#[test]
fn r22_a_fin_at_zero_window_is_a_probe() {
    let mut t = Scenario::established().window(1000).build();
    t.run(
        r"
        +0   write 1000
        +0   > P. 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +0   shutdown wr
        +0   expect-state ESTABLISHED
        +.25 > F. 1001:1001(0) ack 1
        +0   expect-state FIN-WAIT-1
        +.05 < . 1:1(0) ack 1002 win 0
        +0   expect-state FIN-WAIT-2
    ",
    );
}

/// r21: window updates count in every state that still sends.
#[test]
fn r21_a_window_update_in_close_wait_lets_the_rest_go() {
    let mut t = Scenario::established().window(1000).build();
    t.run(
        r"
        +0   write 2000
        +0   > . 1:1001(1000) ack 1
        +0   < F. 1:1(0) ack 1
        +0   > . 1001:1001(0) ack 2
        +0   shutdown wr
        +.05 < . 2:2(0) ack 1001 win 0
        +.1  < . 2:2(0) ack 1001 win 5000
        +0   > FP. 1001:2001(1000) ack 2
        +0   expect-state LAST-ACK
    ",
    );
}

/// Resets in every state behind ESTABLISHED.
#[test]
fn a_reset_ends_every_closing_state() {
    for (steps, error) in [
        ("+0 wait", true),
        ("+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2", true),
        ("+0 shutdown wr\n+0 > F. 1:1(0) ack 1", true),
        (
            "+0 shutdown wr\n+0 > F. 1:1(0) ack 1\n+.05 < . 1:1(0) ack 2",
            true,
        ),
        (
            "+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2\n+0 shutdown wr\n+0 > F. 1:1(0) ack 2",
            false,
        ),
        (
            "+0 shutdown wr\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 1\n+0 > . 2:2(0) ack 2",
            false,
        ),
    ] {
        let mut t = Scenario::established().build();
        t.run(steps);
        let fin_came = steps.contains("< F");
        let seq = if fin_came { 2 } else { 1 };
        t.run(&format!(
            "+0 < R {seq}:{seq}(0) win 0
             +0 expect-state CLOSED
             +0 expect-open 0"
        ));
        t.info(|info| assert_eq!(info.failure.is_some(), error, "{steps}"));
    }
}

/// The user reads no more: what comes is acknowledged and gone.
#[test]
fn shutting_down_reading_discards() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   shutdown rd
        +0   read 0
        +0   < P. 1:2001(2x1000) ack 1
        +0   > . 1:1(0) ack 2001
        +0   read 0
    ",
    );
}

/// Covers: ECN-2 (a FIN alone, and an ACK: a router drops them as ever)
#[test]
fn what_has_no_text_is_not_ect() {
    let mut t = Scenario::established().ecn().build();
    t.run(
        "+0 < P. 1:1001(1000) ack 1 [ect0]
         +.04 > . 1:1(0) ack 1001
         +0 read 1000
         +0 close
         +0 > F. 1:1(0) ack 1001",
    );
}
