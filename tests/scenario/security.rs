//! RFC 5961 and other defences against segments from beside the path.

use super::sessions::Scenario;

/// Covers: SEC-4, SEC-11 (r38, r39: per connection, and bounded)
#[test]
fn r38_challenges_are_limited_by_the_second() {
    let mut t = Scenario::established().build();
    // The first second of the scenario has begun: its rest passes first.
    let mut script = String::from("+1 %{ assert 1 }%\n");
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

/// Optimistic and split ACKs gain nothing over the bytes they cover.
#[test]
fn split_acks_count_by_bytes() {
    let mut t = Scenario::established().build();
    let mut script = String::from(
        "+0 write(4, ..., 20000) = 20000\n+0 > . 1:10001(10x1000) ack 1\n+.05 %{ assert 1 }%\n",
    );
    for n in 1..=40 {
        script.push_str(&format!("+0 < . 1:1(0) ack {} win 65535\n", 1 + n * 10));
    }
    t.run(&script);
    t.info(|info| assert_eq!(info.cwnd, 10_000 + 400));
}
