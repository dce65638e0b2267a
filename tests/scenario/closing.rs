//! Closing: every way from ESTABLISHED to CLOSED.

use core::time::Duration;

use netloom::tcp::TcpOptions;

use super::harness::Scenario;

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
