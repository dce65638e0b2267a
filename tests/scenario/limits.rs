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

/// Covers: TCP-67, TCP-30 (MUST-21). A limit of the user's own takes the place of the retries', which would end it
/// later.
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

/// RFC 9293 §3.10.7.4: a RST in LAST-ACK ends what had ended both ways: CLOSED is told, and no failure.
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

/// Covers: TCP-67, TCP-30 (MUST-21; RFC 5482 §1: a long time-out lets a connection live through a long outage). Fifteen
/// retries, the default limit, last a quarter of an hour; a user who waits for two is asked, and text that arrives at last is
/// taken. A window that is shut, and of which nobody tells, is no other case.
#[test]
fn a_user_time_out_may_be_longer_than_the_retries_last() {
    let options = TcpOptions::default().user_timeout(Some(Duration::from_secs(7200)));
    for shut in [false, true] {
        let mut t = Scenario::established().options(options.clone()).build();
        let mut script = String::from("+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n");
        let (again, mut wait, mut passed) = if shut {
            script.push_str("+.05 < . 1:1(0) ack 101 win 0\n+0 write(4, ..., 100) = 100\n");
            script.push_str("+.25 > P. 101:102(1) ack 1\n");
            ("> . 101:102(1) ack 1", 0.5f64, 0.3)
        } else {
            // A probe of the tail comes first, in the time-out's place.
            script.push_str("+.25 > P. 1:101(100) ack 1\n");
            ("> P. 1:101(100) ack 1", 0.25f64, 0.25)
        };
        while passed + wait < 7100.0 {
            script.push_str(&format!("+{wait} {again}\n"));
            passed += wait;
            wait = (wait * 2.0).min(120.0);
        }
        t.run(&script);
        t.run("+0 `ss -n | grep -q ESTABLISHED`\n");
        let rest = if shut { 7200.05 } else { 7200.0 } - passed;
        t.run(&format!("+{rest} > R. 101:101(0) ack 1\n"));
        t.run("+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [110], [4]) = 0\n");
    }
}
