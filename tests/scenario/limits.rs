//! Limits as they are by default, each up to its end; and what returns to zero before it.

use std::time::Duration;

use netloom::tcp::{Keepalive, TcpOptions};

use super::sessions::Scenario;

/// Covers: TCP-40 (MUST-37: a peer that answers is alive, however often). The default limit is 15.
#[test]
fn forty_answered_probes_end_nothing() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 1000) = 1000
        +0   > P. 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +0   write(4, ..., 3000) = 3000
        +.25 > P. 1001:1002(1) ack 1
        +0   < . 1:1(0) ack 1001 win 0
    ",
    );
    let (mut script, mut wait) = (String::new(), 0.5f64);
    for _ in 0..40 {
        script.push_str(&format!("+{wait} > . 1001:1002(1) ack 1\n"));
        script.push_str("+0 < . 1:1(0) ack 1001 win 0\n");
        wait = (wait * 2.0).min(120.0);
    }
    script.push_str("+0 `ss -n | grep -q ESTABLISHED`\n");
    t.run(&script);
}

/// Covers: TCP-40 (MUST-37). What was sent again before the window shut is not counted against the peer that
/// told of it.
#[test]
fn an_answer_that_shuts_the_window_gives_all_retries_back() {
    let options = TcpOptions::default().retries(3);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   write(4, ..., 100) = 100
        +0   > P. 1:101(100) ack 1
        +.25 > P. 1:101(100) ack 1
        // The first was a probe of the tail, in the time-out's place.
        +.25 > P. 1:101(100) ack 1
        +.5  > P. 1:101(100) ack 1
        +1   > P. 1:101(100) ack 1
        +.05 < . 1:1(0) ack 1 win 0
        +.05 < . 1:1(0) ack 1 win 65535
        +1.9 > P. 1:101(100) ack 1
        +4   > P. 1:101(100) ack 1
        +8   > P. 1:101(100) ack 1
        +16  > R. 101:101(0) ack 1
        +0   getsockopt(4, SOL_SOCKET, SO_ERROR, [110], [4]) = 0
    ",
    );
}

/// Covers: TCP-40 (MUST-37, with text in flight), TCP-38 (SHLD-17: that a shrunken window refuses).
#[test]
fn an_answered_probe_of_a_shrunken_window_gives_all_others_back() {
    let options = TcpOptions::default().retries(3);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   write(4, ..., 100) = 100
        +0   > P. 1:101(100) ack 1
        +.05 < . 1:1(0) ack 1 win 0
        +.2  > P. 1:101(100) ack 1
        +.5  > P. 1:101(100) ack 1
        +1   > P. 1:101(100) ack 1
        +.05 < . 1:1(0) ack 1 win 0
        +1.95 > P. 1:101(100) ack 1
        +4   > P. 1:101(100) ack 1
        +8   > P. 1:101(100) ack 1
        +16  > R. 1:1(0) ack 1
        +0   getsockopt(4, SOL_SOCKET, SO_ERROR, [110], [4]) = 0
    ",
    );
}

/// Covers: TCP-30 (MUST-23: a SYN for three minutes at least). Seven more SYNs, by default.
#[test]
fn a_syn_is_sent_eight_times() {
    let mut t = Scenario::closed().build();
    t.run("+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4\n+0 connect(4, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <...>\n");
    let mut script = String::new();
    for wait in [1, 2, 4, 8, 16, 32, 64] {
        script.push_str(&format!("+{wait} > S 0:0(0) <...>\n"));
    }
    script.push_str(
        "+119 `ss -n | grep -q SYN-SENT`\n+1 getsockopt(4, SOL_SOCKET, SO_ERROR, [110], [4]) = 0\n",
    );
    t.run(&script);
}

/// Nobody waits for an orphan: eight times, by default.
#[test]
fn an_orphans_fin_is_sent_again_eight_times() {
    let mut t = Scenario::established().build();
    t.run("+0 close(4) = 0\n+0 > F. 1:1(0) ack 1\n");
    let mut wait = 0.25f64;
    // A probe of the tail comes first, in the time-out's place.
    let mut script = String::from("+.25 > F. 1:1(0) ack 1\n");
    for _ in 0..8 {
        script.push_str(&format!("+{wait} > F. 1:1(0) ack 1\n"));
        wait = (wait * 2.0).min(120.0);
    }
    script.push_str(&format!(
        "+0 %{{ assert netloom.open_connections == 1 }}%\n+{wait} > R. 2:2(0) ack 1\n"
    ));
    script.push_str("+0 %{ assert netloom.open_connections == 0 }%\n");
    t.run(&script);
}

/// Covers: TCP-32, TCP-34 (MUST-28: two hours; MUST-29)
#[test]
fn keep_alive_by_default_is_two_hours_and_nine_probes() {
    let options = TcpOptions::default().keepalive(Some(Keepalive::default()));
    let mut t = Scenario::established().options(options).build();
    let mut script = String::from("+7200 > . 0:0(0) ack 1\n");
    for _ in 0..8 {
        script.push_str("+75 > . 0:0(0) ack 1\n");
    }
    script.push_str("+74 `ss -n | grep -q ESTABLISHED`\n+1 > R. 1:1(0) ack 1\n");
    t.run(&script);
}

/// A peer's own probe is a sign of life: the idle time begins anew, and so does the count.
#[test]
fn a_peers_probe_begins_keep_alive_anew() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [10], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPINTVL, [5], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPCNT, [3], 4) = 0
        +0   setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
        +10  > . 0:0(0) ack 1
        +5   > . 0:0(0) ack 1
        +4   < . 0:0(0) ack 1 win 65535
        +0   > . 1:1(0) ack 1
        +10  > . 0:0(0) ack 1
        +5   > . 0:0(0) ack 1
        +5   > . 0:0(0) ack 1
        +5   > R. 1:1(0) ack 1
        +0   getsockopt(4, SOL_SOCKET, SO_ERROR, [110], [4]) = 0
    ",
    );
}

/// Other settings begin anew with the count, and count the time from when the peer was heard.
#[test]
fn other_keep_alive_settings_begin_the_count_anew() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [10], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPINTVL, [5], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPCNT, [3], 4) = 0
        +0   setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
        +10  > . 0:0(0) ack 1
        +5   > . 0:0(0) ack 1
        +1   setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [20], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPINTVL, [5], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPCNT, [3], 4) = 0
        +0   setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
        +4   > . 0:0(0) ack 1
        +5   > . 0:0(0) ack 1
        +5   > . 0:0(0) ack 1
        +5   > R. 1:1(0) ack 1
        +0   getsockopt(4, SOL_SOCKET, SO_ERROR, [110], [4]) = 0
    ",
    );
}

/// Settings that say the same of keep-alive leave it as it is.
#[test]
fn the_same_keep_alive_settings_change_nothing() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [10], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPINTVL, [5], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPCNT, [3], 4) = 0
        +0   setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
        +10  > . 0:0(0) ack 1
        +5   > . 0:0(0) ack 1
        +1   setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [10], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPINTVL, [5], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPCNT, [3], 4) = 0
        +0   setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
        +4   > . 0:0(0) ack 1
        +1   setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
        +4   > R. 1:1(0) ack 1
        +0   getsockopt(4, SOL_SOCKET, SO_ERROR, [110], [4]) = 0
    ",
    );
}

/// Covers: CC-9. Duplicates count for the octet that they ask for: when SND.UNA moves, they begin anew.
#[test]
fn duplicates_from_before_an_advance_count_no_more() {
    let mut t = Scenario::established().without_sack().build();
    t.run(
        r"
        +0   write(4, ..., 8000) = 8000
        +0   > P. 1:8001(8x1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 65535
        +0   < . 1:1(0) ack 1001 win 65535
        +0   < . 1:1(0) ack 1001 win 65535
        +0   < . 1:1(0) ack 2001 win 65535
        +0   < . 1:1(0) ack 2001 win 65535
        +0   < . 1:1(0) ack 2001 win 65535
    ",
    );
    t.counters(|c| assert_eq!(c.tcp_fast_retransmits, 0));
    t.run("+0 < . 1:1(0) ack 2001 win 65535\n+0 > . 2001:3001(1000) ack 1\n");
    t.counters(|c| assert_eq!(c.tcp_fast_retransmits, 1));
}

/// A FIN-WAIT-2 that nobody waits for ends after 60 seconds, by default.
#[test]
fn a_closed_half_waits_a_minute_for_the_other() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   close(4) = 0
        +0   > F. 1:1(0) ack 1
        +.05 < . 1:1(0) ack 2 win 65535
        +59  %{ assert netloom.open_connections == 1 }%
        +2   %{ assert netloom.open_connections == 0 }%
    ",
    );
}

/// Covers: TCP-31 (SHLD-11). A limit of the user's own takes the place of the retries', whichever is more.
#[test]
fn a_user_time_out_counts_from_what_was_acknowledged_last() {
    let options = TcpOptions::default().user_timeout(Some(Duration::from_secs(3)));
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +100 write(4, ..., 100) = 100
        +0   > P. 1:101(100) ack 1
        +.05 < . 1:1(0) ack 101 win 65535
        +100 write(4, ..., 100) = 100
        +0   > P. 101:201(100) ack 1
        +.25 > P. 101:201(100) ack 1
        +.25 > P. 101:201(100) ack 1
        +.5  > P. 101:201(100) ack 1
        +1   > P. 101:201(100) ack 1
        +1   > R. 201:201(0) ack 1
        +0   getsockopt(4, SOL_SOCKET, SO_ERROR, [110], [4]) = 0
    ",
    );
}

/// RFC 5961 §7: what a half-open record answers is limited, whatever comes in its window.
#[test]
fn a_half_open_record_challenges_now_and_then_only() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
        +0   bind(3, ..., ...) = 0
        +0   listen(3, 4095) = 0
        +0   < S 0:0(0) win 65535 <mss 1000,sackOK>
        +0   > S. 0:0(0) ack 1 <...>
        +0   < S 100:100(0) win 65535
        +0   > . 1:1(0) ack 1
        +0   < S 101:101(0) win 65535
        +0   < R 102:102(0) win 65535
        +0   < S 103:103(0) win 65535
        +.6  < R 104:104(0) win 65535
        +0   > . 1:1(0) ack 1
        +0   < . 1:1(0) ack 1 win 65535
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
    ",
    );
}

/// Covers: SAK-4 (RFC 2018 §4): when a segment joins two runs, their one block comes first, and the others stay.
#[test]
fn the_block_of_runs_that_join_comes_first_and_the_others_stay() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < . 1001:2001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1 <nop,nop,sack 1001:2001>
        +0   < . 5001:6001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1 <nop,nop,sack 5001:6001 1001:2001>
        +0   < . 3001:4001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1 <nop,nop,sack 3001:4001 5001:6001 1001:2001>
        +0   < . 2001:3001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1 <nop,nop,sack 1001:4001 5001:6001>
        +0   < . 7001:8001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1 <nop,nop,sack 7001:8001 1001:4001 5001:6001>
        +0   < . 4001:5001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1 <nop,nop,sack 1001:6001 7001:8001>
        +0   < . 1:1001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 6001 <nop,nop,sack 7001:8001>
    ",
    );
}

/// Covers: TCP-63. A RST in LAST-ACK ends what had ended both ways: CLOSED is told, and no failure.
#[test]
fn a_reset_in_last_ack_is_an_end_and_no_failure() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < F. 1:1(0) ack 1 win 65535
        +0   > . 1:1(0) ack 2
        +0   shutdown(4, SHUT_WR) = 0
        +0   > F. 1:1(0) ack 2
        +0   `ss -n | grep -q LAST-ACK`
        +0   %{ assert netloom.event_closed == 0 }%
        +.05 < R. 2:2(0) ack 1 win 65535
        +0   `ss -n | grep -q CLOSED`
        +0   %{ assert netloom.event_closed >= 1 }%
    ",
    );
    t.info(|info| assert_eq!(info.failure, None));
}
