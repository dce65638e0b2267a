//! Retransmission, keep-alive, user time-out, idle times.

use netloom::tcp::TcpOptions;

use super::harness::Scenario;

/// Covers: TCP-28, TCP-29, RTO-5, RTO-6, RTO-8 (r28, r33)
#[test]
fn r33_the_time_out_doubles_from_200_ms_above_the_round_trip() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write 3000
        +0   > P. 1:3001(3x1000) ack 1
        +.1  > P. 2001:3001(1000) ack 1
        +.25 > . 1:1001(1000) ack 1
        +0   expect-info cwnd 1000
        +0   expect-info ssthresh 2000
        +.5  > . 1:1001(1000) ack 1
        +1   > . 1:1001(1000) ack 1
        +0   expect-info ssthresh 2000
        // Karn: no sample from what was sent twice, and the back-off stays.
        +.05 < . 1:1(0) ack 1001
        +0   > . 1001:2001(1000) ack 1
        +0   > P. 2001:3001(1000) ack 1
        +0   expect-info backoff 3
        +.05 < . 1:1(0) ack 3001
        +0   write 100
        +0   > P. 3001:3101(100) ack 1
        +.05 < . 1:1(0) ack 3101
        +0   expect-info backoff 0
    ",
    );
    t.counters(|c| assert_eq!((c.tcp_rto_fired, c.tcp_fast_retransmits), (3, 0)));
}

/// Covers: TCP-30 (MUST-20, MUST-21; R2 by count), TCP-31
#[test]
fn r30_text_is_given_up() {
    let options = TcpOptions::default().retries(3);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   write 100
        +0   > P. 1:101(100) ack 1
        +.25 > P. 1:101(100) ack 1
        // The first was a probe of the tail, in the time-out's place.
        +.25 > P. 1:101(100) ack 1
        +.5  > P. 1:101(100) ack 1
        +1   > P. 1:101(100) ack 1
        +2   > R. 101:101(0) ack 1
        +0   expect-state CLOSED
        +0   expect-error TimedOut
        +0   read-fails TimedOut
        +0   expect-event FAILED
    ",
    );
}

/// Covers: TCP-31 (SHLD-11: at least 100 seconds by default)
#[test]
fn the_default_limit_is_minutes() {
    let mut t = Scenario::established().build();
    t.run("+0 write 1\n+0 > P. 1:2(1) ack 1");
    let mut script = String::new();
    let mut wait = 0.25f64;
    // A probe of the tail comes first, in the time-out's place.
    script.push_str("+.25 > P. 1:2(1) ack 1\n");
    for _ in 0..15 {
        script.push_str(&format!("+{wait} > P. 1:2(1) ack 1\n"));
        wait = (wait * 2.0).min(120.0);
    }
    script.push_str("+0 expect-state ESTABLISHED\n+120 > R. 2:2(0) ack 1\n");
    t.run(&script);
}

/// Covers: TCP-32, TCP-33 (MUST-26), TCP-34 (MUST-29, SHLD-12)
#[test]
fn keep_alive_probes_an_idle_peer() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setopt keepalive 10
        +10  > . 0:0(0) ack 1
        +.05 < . 1:1(0) ack 1
        +10  > . 0:0(0) ack 1
        // One unanswered probe is not death; three are.
        +5   > . 0:0(0) ack 1
        +5   > . 0:0(0) ack 1
        +4.9 expect-state ESTABLISHED
        +.1  > R. 1:1(0) ack 1
        +0   expect-error TimedOut
    ",
    );
    t.counters(|c| assert_eq!(c.tcp_keepalives, 4));
}

/// Covers: TCP-33 (off by default, and not while text is outstanding)
#[test]
fn r26_keep_alive_leaves_other_timers_alone() {
    let mut t = Scenario::established().build();
    t.run("+86400 expect-state ESTABLISHED");
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setopt keepalive 1
        +.9  write 10
        +0   > P. 1:11(10) ack 1
        +.25 > P. 1:11(10) ack 1
        // The first was a probe of the tail, in the time-out's place.
        +.25 > P. 1:11(10) ack 1
        +.5  > P. 1:11(10) ack 1
        +1   > P. 1:11(10) ack 1
        // For longer than unanswered probes would take to end it.
        +2   > P. 1:11(10) ack 1
        +4   > P. 1:11(10) ack 1
        +8   > P. 1:11(10) ack 1
        +.05 < P. 1:11(10) ack 11
        +.04 > . 11:11(0) ack 11
        +.96 > . 10:10(0) ack 11
    ",
    );
}

/// Covers: TS-6 (r38: some keep-alives carry no options; Linux answers them, we must too)
#[test]
fn r38_a_keep_alive_without_its_timestamp_is_answered() {
    let mut t = Scenario::established().timestamps().build();
    t.run(
        r"
        +0   < P. 1:11(10) ack 1 <TS val 100 ecr 50>
        +.04 > . 1:1(0) ack 11
        +60  < . 10:10(0) ack 1
        +0   > . 1:1(0) ack 11 <TS val * ecr 100>
        +60  < . 10:11(1) ack 1
        +0   > . 1:1(0) ack 11
        // Anything else is dropped: text, an ACK, an older number, a RST is not asked for one.
        +0   < P. 11:21(10) ack 1
        +0   < . 11:11(0) ack 1
        +0   < . 9:9(0) ack 1
        +0   < P. 10:21(11) ack 1
        +0   < F. 10:10(0) ack 1
        +0   expect-drops tcp_no_timestamp 5
        +0   read 10
    ",
    );
}
