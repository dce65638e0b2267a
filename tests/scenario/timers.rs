//! Retransmission, keep-alive, user time-out, idle times.

use super::sessions::Scenario;

/// Covers: TCP-31 (SHLD-11: at least 100 seconds by default)
#[test]
fn the_default_limit_is_minutes() {
    let mut t = Scenario::established().build();
    t.run("+0 write(4, ..., 1) = 1\n+0 > P. 1:2(1) ack 1");
    let mut script = String::new();
    let mut wait = 0.25f64;
    // A probe of the tail comes first, in the time-out's place.
    script.push_str("+.25 > P. 1:2(1) ack 1\n");
    for _ in 0..15 {
        script.push_str(&format!("+{wait} > P. 1:2(1) ack 1\n"));
        wait = (wait * 2.0).min(120.0);
    }
    script.push_str("+0 `ss -n | grep -q ESTABLISHED`\n+120 > R. 2:2(0) ack 1\n");
    t.run(&script);
}

/// Covers: TCP-33 (off by default, and not while text is outstanding)
#[test]
fn r26_keep_alive_leaves_other_timers_alone() {
    let mut t = Scenario::established().build();
    t.run("+86400 `ss -n | grep -q ESTABLISHED`");
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [1], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPINTVL, [5], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPCNT, [3], 4) = 0
        +0   setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
        +.9  write(4, ..., 10) = 10
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
        +.05 < P. 1:11(10) ack 11 win 65535
        +.04 > . 11:11(0) ack 11
        +.96 > . 10:10(0) ack 11
    ",
    );
}
