//! RFC 5961 and other defences against segments from beside the path.

use super::harness::Scenario;

/// Covers: SEC-1 (r50)
#[test]
fn r50_a_reset_counts_only_exactly_at_rcv_nxt() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        // Outside: nothing. Inside: a challenge. Exactly there: the end.
        +0   < R 0:0(0) win 0
        +0   < R 65536:65536(0) win 0
        +0   < R 2:2(0) win 0
        +0   > . 1:1(0) ack 1
        +0   < R 65535:65535(0) win 0
        +0   > . 1:1(0) ack 1
        +0   expect-state ESTABLISHED
        +0   < R 1:1(0) win 0
        +0   expect-state CLOSED
        +0   expect-error Reset
        +0   expect-event FAILED
    ",
    );
    t.counters(|c| assert_eq!((c.tcp_challenge_acks, c.tcp_resets_received), (2, 1)));
}

/// Covers: SEC-3, TCP-64 (r04)
#[test]
fn r04_acks_of_what_was_never_sent_and_of_long_ago() {
    let mut t = Scenario::established().window(1000).build();
    t.run(
        r"
        +0   write 3000
        +0   > . 1:1001(1000) ack 1
        // Text that is queued but was not sent.
        +0   < . 1:1(0) ack 1002
        +0   > . 1001:1001(0) ack 1
        +0   < P. 1:11(10) ack 3001
        +0   > . 1001:1001(0) ack 1
        +0   expect-drops tcp_bad_ack 2
        +0   read-fails WouldBlock
        +.05 < . 1:1(0) ack 1001
        +0   > . 1001:2001(1000) ack 1
        +.05 < . 1:1(0) ack 2001
        +0   > P. 2001:3001(1000) ack 1
        +.05 < . 1:1(0) ack 3001
        // Older than the largest window.
        +0   < P. 1:11(10) ack 1999
        +0   > . 3001:3001(0) ack 1
        +0   expect-drops tcp_bad_ack 3
        +0   < P. 1:11(10) ack 2001
        +.04 > . 3001:3001(0) ack 11
    ",
    );
}

/// Covers: SEC-4, SEC-11 (r38, r39: per connection, and bounded)
#[test]
fn r38_challenges_are_limited_by_the_second() {
    let mut t = Scenario::established().build();
    // The first second of the scenario has begun: its rest passes first.
    let mut script = String::from("+1 wait\n");
    for _ in 0..10 {
        script.push_str("+0 < S 1:1(0) win 1000\n+0 > . 1:1(0) ack 1\n");
    }
    for _ in 0..50 {
        script.push_str("+0 < S 1:1(0) win 1000\n");
    }
    // A window probe is still answered.
    script.push_str("+0 < P. 1:11(10) ack 1 win 65535\n+.04 > . 1:1(0) ack 11\n");
    script.push_str("+1 < S 1:1(0) win 1000\n+0 > . 1:1(0) ack 11\n");
    t.run(&script);
}

/// Covers: SAK-8 (r41)
#[test]
fn r41_hostile_sack_blocks_do_nothing() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write 5000
        +0   > P. 1:5001(5x1000) ack 1
        +.05 < . 1:1(0) ack 1 <sack 5001:9001>
        +0   < . 1:1(0) ack 1 <sack 3001:2001>
        +0   < . 1:1(0) ack 1 <sack 0:5001 1:5001>
        +0   < . 1:1(0) ack 1 <sack 2000000000:2100000000 4294967000:4294967290>
        +0   expect-info in_flight 5000
        // Inside of segments: nothing is split.
        +0   < . 1:1(0) ack 1 <sack 1002:1999 2500:2501>
        +0   expect-info in_flight 5000
        +0   < . 1:1(0) ack 5001
        +0   expect-info in_flight 0
    ",
    );
}

/// Optimistic and split ACKs gain nothing over the bytes they cover.
#[test]
fn split_acks_count_by_bytes() {
    let mut t = Scenario::established().build();
    let mut script = String::from("+0 write 20000\n+0 > . 1:10001(10x1000) ack 1\n+.05 wait\n");
    for n in 1..=40 {
        script.push_str(&format!("+0 < . 1:1(0) ack {}\n", 1 + n * 10));
    }
    t.run(&script);
    t.info(|info| assert_eq!(info.cwnd, 10_000 + 400));
}

/// SYN with FIN is a SYN; URG alone does no harm.
#[test]
fn odd_flags() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < SF 1:1(0) win 1000
        +0   > . 1:1(0) ack 1
        +0   expect-drops tcp_unexpected_syn 1
        +0   < - 1:1(0) win 1000
        +0   expect-drops tcp_no_ack 1
        +0   < PU. 1:11(10) ack 1
        +.04 > . 1:1(0) ack 11
        +0   read 10
    ",
    );
}

/// Covers: TCP-13 (RFC 9293 §3.5.3 SHLD-2: a reset may say why in its text)
#[test]
fn a_reset_with_text_is_a_reset() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < R 1:30(29) win 0
        +0   expect-state CLOSED
        +0   expect-error Reset
    ",
    );
    t.counters(|c| assert_eq!(c.tcp_resets_received, 1));
}
