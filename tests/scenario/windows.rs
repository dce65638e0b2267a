//! The peer's window and ours: closing, probing, opening, silly sizes.

use netloom::tcp::{SendLimit, TcpOptions};

use super::sessions::{Scenario, Test};

/// Covers: TCP-39 (MUST-36, SHLD-29, SHLD-30), TCP-40 (MUST-37) (r25, r26)
#[test]
fn r26_a_closed_window_is_probed_for_ever_and_then_used_at_once() {
    // More answered probes than unanswered ones would end it.
    let options = TcpOptions::default().retries(2);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   write(4, ..., 1000) = 1000
        +0   > P. 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +0   write(4, ..., 3000) = 3000
        +.25 > P. 1001:1002(1) ack 1
        +0   < . 1:1(0) ack 1001 win 0
        +.5  > . 1001:1002(1) ack 1
        +0   < . 1:1(0) ack 1001 win 0
        +1   > . 1001:1002(1) ack 1
        +0   < . 1:1(0) ack 1001 win 0
        +2   > . 1001:1002(1) ack 1
        +0   < . 1:1(0) ack 1001 win 0
        // The window opens: what it refused goes at once, the rest behind it.
        +.1  < . 1:1(0) ack 1001 win 5000
        +0   > . 1001:1002(1) ack 1
        +0   > . 1002:3002(2x1000) ack 1
        +.05 < . 1:1(0) ack 3002 win 5000
        +0   > P. 3002:4001(999) ack 1
        +.05 < . 1:1(0) ack 4001 win 5000
        +0   %{ assert tcpi_backoff == 0 }%
    ",
    );
    t.counters(|c| assert_eq!(c.tcp_window_probes, 1));
}

/// What a user who asks is told: each thing that stops a sender has its name.
#[test]
fn a_sender_says_what_it_waits_for() {
    let mut t = Scenario::established().build();
    let says = |t: &Test, limit| t.info(|info| assert_eq!(info.send_limit, limit));
    t.run("+0 write(4, ..., 500) = 500\n+0 > P. 1:501(500) ack 1");
    says(&t, SendLimit::Nothing);
    // Nagle's algorithm.
    t.run("+0 write(4, ..., 400) = 400");
    says(&t, SendLimit::SmallSegment);
    t.run("+.05 < . 1:1(0) ack 501 win 65535\n+0 > P. 501:901(400) ack 1\n+.05 < . 1:1(0) ack 901 win 65535");
    t.run("+0 write(4, ..., 30000) = 30000\n+0 > . 901:10901(10x1000) ack 1");
    says(&t, SendLimit::Congestion);
    t.run("+.05 < . 1:1(0) ack 10901 win 0");
    says(&t, SendLimit::ReceiveWindow);

    let options = TcpOptions::default().both_ways_max(0);
    let mut t = Scenario::established().options(options).build();
    t.run("+0 write(4, ..., 5000) = 5000\n+0 > . 1:1001(1000) ack 1");
    says(&t, SendLimit::Buffers);
}
