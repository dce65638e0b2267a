//! RFC 4987 §3.6: what happens past the backlog.

use netloom::tcp::TcpOptions;

use super::harness::Scenario;

/// A listener for one half-open connection, which goes after a second.
fn crowded() -> Scenario {
    Scenario::closed()
        .backlog(1)
        .options(TcpOptions::default().quick_acks(0).syn_retries(0))
}

/// Covers: SEC-7 (r52: MSS, window scale and SACK survive when there are timestamps; text that
/// rides on the ACK is delivered; nothing is kept meanwhile)
#[test]
fn r52_a_cookie_keeps_the_options_in_the_timestamp() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   flood 1
        +0   < S 0:0(0) win 1000 <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 0,wscale 7>
        +0   expect-open 1
        +0   expect-counter tcp_cookies_sent 1
        +.05 < P. 1:101(100) ack 1 win 1000 <TS val 50 ecr 0>
        +0   expect-counter tcp_cookies_accepted 1
        +0   expect-open 2
        +0   accept
        +0   expect-state ESTABLISHED
        +0   read 100
        +0   > . 1:1(0) ack 101 <TS val * ecr 50>
        +0   expect-info snd_mss 1448
        +0   expect-info snd_wnd 128000
        // The peer's holes are reported, and ours are believed.
        +0   < . 201:301(100) ack 1 win 1000 <TS val 90 ecr 0>
        +0   > . 1:1(0) ack 101 <sack 201:301,TS val * ecr 50>
        +0   write 8000
        +0   > P. 1:8001(5x1436+820) ack 101
        +.05 < . 301:301(0) ack 1 win 1000 <sack 1437:8001,TS val 140 ecr 0>
        +0   > . 1:1437(1436) ack 101
        +.05 < . 301:301(0) ack 8001 win 1000 <TS val 190 ecr 0>
    ",
    );
    t.info(|info| {
        assert!(info.sack && info.timestamps);
        assert_eq!((info.snd_wscale, info.rcv_wscale), (7, 7));
    });
}

/// r52: without timestamps the scale and SACK are not offered, and the MSS comes from the table.
#[test]
fn r52_a_cookie_without_timestamps_keeps_the_mss() {
    for (told, kept) in [(1460, 1460), (1459, 1440), (536, 536), (9000, 1460)] {
        let mut t = crowded().build();
        t.run(&format!(
            r"
            +0   listen
            +0   flood 1
            +0   < S 0:0(0) win 1000 <mss {told},sackOK,wscale 7>
            +0   > S. 0:0(0) ack 1 win 65535 <mss 1460>
            +.05 < . 1:1(0) ack 1 win 1000
            +0   accept
            +0   expect-info snd_mss {kept}
            +0   expect-info snd_wnd 1000
            +0   write 10
            +0   > P. 1:11(10) ack 1 win 65535 <>
            +.05 < F. 1:1(0) ack 11
            +0   > . 11:11(0) ack 2
        "
        ));
        t.info(|info| assert!(!info.sack && !info.timestamps));
    }
}

/// RFC 9293 §3.7.1 MUST-15: no MSS option is the default.
#[test]
fn r52_a_cookie_for_a_syn_without_options() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   flood 1
        +0   < S 0:0(0) win 1000 <>
        +0   > S. 0:0(0) ack 1 <mss 1460>
        +.05 < F. 1:1(0) ack 1 win 1000
        +0   > . 1:1(0) ack 2
        +0   accept
        +0   expect-state CLOSE-WAIT
    ",
    );
    t.info(|info| assert!(info.snd_mss == 536 || info.snd_mss == 1220));
}

/// r52: the ACK was lost; the first text completes. A wrong number gets the RST of an ACK to LISTEN.
#[test]
fn r52_wrong_cookies_are_refused_and_right_ones_are_not() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   flood 1
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +0   < . 1:1(0) ack 9 win 1000
        +0   > R 9:9(0)
        +0   < . 2:2(0) ack 1 win 1000
        +0   > R 1:1(0)
        +0   < . 1:1(0) ack 1 win 1000 <TS val 0 ecr 0>
        +0   > R 1:1(0)
        +0   < R 1:1(0) win 0
        +0   expect-counter tcp_cookies_failed 3
        +0   expect-open 1
        +0   accept-fails
        +.3  < P. 1:101(100) ack 1 win 1000
        +0   accept
        +0   read 100
        +.04 > . 1:1(0) ack 101
        // The same again is a duplicate of a connection, not a cookie.
        +0   < P. 1:101(100) ack 1 win 1000
        +0   > . 1:1(0) ack 101
        +0   expect-counter tcp_cookies_accepted 1
    ",
    );
}

/// r52: the ACK and the first text were lost, or found no room: what follows them draws no RST, and
/// the first text again completes.
#[test]
fn r52_text_behind_a_lost_cookie_does_not_end_the_connection() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   flood 1
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +0   < FP. 1001:1501(500) ack 1 win 1000
        +0   expect-counter tcp_cookies_failed 1
        +.2  < . 1:1001(1000) ack 1 win 1000
        +0   accept
        +0   < FP. 1001:1501(500) ack 1 win 1000
        +0   > . 1:1(0) ack 1502
        +0   read 1500
    ",
    );
}

/// r52: after 128 seconds nothing is a cookie any more.
#[test]
fn r52_an_old_cookie_is_refused() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   flood 1
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +129 < . 1:1(0) ack 1 win 1000
        +0   > R 1:1(0)
        +0   accept-fails
        +0   expect-open 0
    ",
    );
}

/// r52: forged ACKs never make anything, cookies out or not.
#[test]
fn r52_forged_acks_create_nothing() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   forge-acks 1000
        +0   expect-counter tcp_cookies_failed 0
        +0   flood 2
        +0   forge-acks 20000
        +0   expect-counter tcp_cookies_failed 20000
        +0   expect-counter tcp_cookies_accepted 0
        +0   expect-open 1
        +0   accept-fails
    ",
    );
}

/// Covers: SEC-6. r52: those that were half open before are not disturbed, and new ones get in, in whatever order.
#[test]
fn r52_the_backlog_is_full_of_dead_requests_and_everybody_gets_in() {
    let mut t = Scenario::closed().backlog(8).build();
    t.run(
        r"
        +0   listen
        +0   flood 500
        +0   expect-open 8
        +0   expect-counter tcp_cookies_sent 492
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +0   expect-open 8
        +0   < . 1:1(0) ack 1 win 1000
        +0   accept
        +0   expect-state ESTABLISHED
        // One by record, one by cookie.
        +0   stranger 3 acks
        +0   accept
        +0   stranger 400 acks
        +0   accept
        +0   accept-fails
        +0   expect-open 10
        +0   stranger 4 resets
        +0   expect-open 9
        // Two places in the backlog: records again.
        +0   flood 3
        +0   expect-open 11
        +0   expect-counter tcp_cookies_sent 494
    ",
    );
}

/// r52: a full accept queue drops the ACK, and counts it; the peer's text asks again.
#[test]
fn r52_a_full_accept_queue_drops_the_ack() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   flood 2
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +0   stranger 1 acks
        +0   < . 1:1(0) ack 1 win 1000
        +0   expect-drops tcp_backlog_full 1
        // A burst: only its first text could bring the cookie back, and none of it is refused.
        +0   < . 1:1001(1000) ack 1 win 1000
        +0   < . 1001:2001(1000) ack 1 win 1000
        +0   expect-drops tcp_backlog_full 2
        +0   expect-drops tcp_bad_ack 1
        +0   expect-open 2
        +0   accept
        +.3  < P. 1:11(10) ack 1 win 1000
        +0   accept
        +0   read 10
        +.04 > . 1:1(0) ack 11
        +0   expect-counter tcp_cookies_accepted 2
    ",
    );
}

/// r52: the setting.
#[test]
fn r52_without_cookies_a_syn_past_the_backlog_is_dropped() {
    let mut t = crowded().without_cookies().build();
    t.run(
        r"
        +0   listen
        +0   flood 1
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   expect-drops tcp_backlog_full 1
        +0   expect-counter tcp_cookies_sent 0
        +1.1 < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +0   < . 1:1(0) ack 1 win 1000
        +0   accept
    ",
    );
}

/// Covers: RTO-5 (nothing remembers when which SYN-ACK left, and a cookie's stamp is not the time)
#[test]
fn a_cookie_is_no_sample() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   flood 1
        +0   < S 0:0(0) win 1000 <mss 1460,sackOK,TS val 0 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 0>
        +.9  < S 0:0(0) win 1000 <mss 1460,sackOK,TS val 900 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 900>
        +.05 < . 1:1(0) ack 1 win 1000 <TS val 950 ecr 0>
        +0   expect-counter tcp_cookies_accepted 1
        +0   accept
        +0   expect-info srtt_ms 0
        +0   expect-info rto_ms 1000
    ",
    );
}

/// RFC 9293 §3.4: what a cookie opened is closed, and its peer's segments come once more. After
/// LAST-ACK nothing is kept of it, but they open nothing, and no text is delivered twice.
#[test]
fn a_cookie_makes_one_connection() {
    let mut t = crowded().build();
    t.run(
        r"
        +0   listen
        +0   flood 1
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +0   < FP. 1:101(100) ack 1 win 1000
        +0   > . 1:1(0) ack 102
        +0   accept
        +0   read 100
        +0   close
        +0   > F. 1:1(0) ack 102
        +0   < . 102:102(0) ack 2 win 1000
        +0   expect-counter tcp_cookies_accepted 1
        +0   expect-open 1
        +0   < FP. 1:101(100) ack 1 win 1000
        +0   accept-fails
        +0   < . 1:1(0) ack 1 win 1000
        +0   > R 1:1(0)
        // The SYN too: its answer is the same, and what was sent then is as old.
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1
        +0   < FP. 1:101(100) ack 1 win 1000
        +0   accept-fails
        +0   expect-counter tcp_cookies_accepted 1
        +0   expect-open 1
    ",
    );
}
