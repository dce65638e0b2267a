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

/// RFC 9293 §3.8.6.2.1 (4): what waits for a window that is worth it waits from when that opened, however long
/// the window before it had been shut.
#[test]
fn the_override_counts_from_when_the_window_opened() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 1000) = 1000
        +0   > P. 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +0   write(4, ..., 3000) = 3000
        +.2  < . 1:1(0) ack 1001 win 100
        +.25 > P. 1001:1101(100) ack 1
    ",
    );
}

/// RFC 9293 §3.8.6.1: a probe is one byte. The FIN behind the last one is no part of it.
#[test]
fn a_probe_of_the_last_byte_carries_no_fin() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 1000) = 1000
        +0   > P. 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +0   write(4, ..., 1) = 1
        +0   close(4) = 0
        +.25 > P. 1001:1002(1) ack 1
        +.05 < . 1:1(0) ack 1002 win 1000
        +0   > F. 1002:1002(0) ack 1
    ",
    );
}

/// r25: the back-off of probes is none of the text's that leaves when the window opens.
#[test]
fn r25_what_leaves_into_an_opened_window_has_a_time_out_of_its_own() {
    let mut t = Scenario::established().without_sack().build();
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
        +.1  < . 1:1(0) ack 1001 win 2001
        +0   > . 1001:1002(1) ack 1
        +0   > . 1002:3002(2x1000) ack 1
        +.25 > . 1001:1002(1) ack 1
    ",
    );
}

/// RFC 9293 §3.8.6.2.1 (3): half of the largest window is worth a small segment of a sender with nothing on the
/// way. With something on the way its ACK makes more room.
#[test]
fn half_a_window_leaves_only_when_nothing_is_outstanding() {
    let mut t = Scenario::established().window(1600).build();
    t.run(
        r"
        +0   write(4, ..., 750) = 750
        +0   > P. 1:751(750) ack 1
        // 850 would fit.
        +0   write(4, ..., 5000) = 5000
        +.05 < . 1:1(0) ack 751 win 900
        +0   > . 751:1651(900) ack 1
        +.05 < . 1:1(0) ack 1651 win 1600
        +0   > . 1651:2651(1000) ack 1
    ",
    );
}

/// A window that shrinks refuses what was sent, and takes it again piece by piece: that is no loss, whatever is
/// still due to leave.
#[test]
fn what_a_window_refused_is_no_loss() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   write(4, ..., 5000) = 5000
        +0   > P. 1:5001(5x1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 0
        +.25 > . 1001:2001(1000) ack 1
        +.01 < . 1:1(0) ack 1001 win 0
        +.49 > . 1001:2001(1000) ack 1
        +.05 < . 1:1(0) ack 2001 win 1000
        +0   > . 2001:3001(1000) ack 1
        +.05 < . 1:1(0) ack 3001 win 1000
        +0   > . 3001:4001(1000) ack 1
        +.05 < . 1:1(0) ack 4001 win 1000
        +0   > P. 4001:5001(1000) ack 1
        +.05 < . 1:1(0) ack 5001 win 1000
        +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
    ",
    );
    t.counters(|c| assert_eq!(c.tcp_fast_retransmits, 0));
}

/// Covers: TCP-42 (MUST-39), TCP-37 (SHLD-14) (r14)
#[test]
fn r14_the_receiver_opens_by_worthwhile_steps() {
    let options = TcpOptions::default()
        .quick_acks(0)
        .recv_buffer_initial(4000)
        .recv_buffer_max(4000);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   < P. 1:4001(4x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 4001 win 0
        // A probe into the closed window.
        +0   < P. 4001:4002(1) ack 1 win 65535
        +0   > . 1:1(0) ack 4001 win 0
        +0   read(4, ..., 1) = 1
        +0   read(4, ..., 999) = 999
        +1   %{ assert 1 }%
        +0   read(4, ..., 460) = 460
        +0   > . 1:1(0) ack 4001 win 1460
        +0   read(4, ..., 1459) = 1459
        +0   read(4, ..., 1) = 1
        +0   > . 1:1(0) ack 4001 win 2920
    ",
    );
}

/// r03: text beyond the window is cut, and its FIN with it.
#[test]
fn r03_what_the_window_cuts_is_not_the_end() {
    let options = TcpOptions::default()
        .quick_acks(0)
        .recv_buffer_initial(1500)
        .recv_buffer_max(1500);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   < FP. 1:2001(2000) ack 1 win 65535
        +.04 > . 1:1(0) ack 1501 win 0
        +0   `ss -n | grep -q ESTABLISHED`
        +0   read(4, ..., 1500) = 1500
        +0   > . 1:1(0) ack 1501 win 1500
        +0   < FP. 1501:2001(500) ack 1 win 65535
        +0   > . 1:1(0) ack 2002
        +0   read(4, ..., 500) = 500
        +0   read(4, ..., 1) = 0
    ",
    );
}

/// r09: what lies outside the window never reaches the queue.
#[test]
fn r09_text_outside_the_window_is_refused() {
    let options = TcpOptions::default()
        .quick_acks(0)
        .recv_buffer_initial(2000)
        .recv_buffer_max(2000);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   < P. 2001:3001(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1 win 2000
        +0   < P. 1501:2501(1000) ack 1 win 65535
        +0   > . 1:1(0) ack 1 win 2000 <nop,nop,sack 1501:2001>
        +0   < P. 1:1501(1500) ack 1 win 65535
        +0   > . 1:1(0) ack 2001 win 0
        +0   read(4, ..., 2000) = 2000
        +0   > . 1:1(0) ack 2001 win 2000
    ",
    );
}

/// r27: two ends with closed windows that probe each other.
#[test]
fn r27_both_windows_closed() {
    let options = TcpOptions::default()
        .quick_acks(0)
        .recv_buffer_initial(1000)
        .recv_buffer_max(1000);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   < P. 1:1001(1000) ack 1 win 0
        +.04 > . 1:1(0) ack 1001 win 0
        +0   write(4, ..., 100) = 100
        +.25 > P. 1:2(1) ack 1001 win 0
        // The peer probes as well: its number has moved on.
        +.01 < P. 1001:1002(1) ack 1 win 0
        +0   > . 1:1(0) ack 1001 win 0
        +.01 < . 1002:1002(0) ack 1 win 0
        +0   > . 1:1(0) ack 1001 win 0
        // Its window opens first, told beside our own closed one.
        +.01 < . 1002:1002(0) ack 1 win 5000
        +0   > . 1:2(1) ack 1001 win 0
        +.05 < . 1002:1002(0) ack 2 win 5000
        +0   > P. 2:101(99) ack 1001 win 0
        +.05 < . 1002:1002(0) ack 101 win 5000
        +0   > . 101:101(0) ack 1001 win 0
        +0   read(4, ..., 1000) = 1000
        +0   > . 101:101(0) ack 1001 win 1000
        +.05 < P. 1001:1101(100) ack 101 win 5000
        +.04 > . 101:101(0) ack 1101
        +0   read(4, ..., 100) = 100
    ",
    );
}

/// The window grows with a reader that keeps up (receive autotuning), up to the setting.
#[test]
fn the_window_grows_with_the_reader() {
    let options = TcpOptions::default()
        .quick_acks(0)
        .recv_buffer_initial(10_000)
        .recv_buffer_max(40_000);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   < P. 1:10001(10x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 10001 win 0
        +0   read(4, ..., 10000) = 10000
        +0   > . 1:1(0) ack 10001 win 10000
        +0   < P. 10001:15001(5x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 15001
        +0   read(4, ..., 5000) = 5000
        +0   < P. 15001:20001(5x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 20001 win 35000
        +0   read(4, ..., 5000) = 5000
        +0   < P. 20001:40001(20x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 40001
        +0   read(4, ..., 20000) = 20000
        +0   > . 1:1(0) ack 40001 win 40000
        +0   < P. 40001:70001(30x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 70001 win 10000
        +0   read(4, ..., 30000) = 30000
        +0   > . 1:1(0) ack 70001 win 40000
    ",
    );
}

/// Covers: TCP-42 (with a scale of 14 what is below 16 KiB cannot be told: no update says 0 again)
#[test]
fn a_window_that_the_scale_cannot_tell_is_not_told() {
    let options = TcpOptions::default()
        .quick_acks(0)
        .recv_buffer_initial(40_000)
        .recv_buffer_max(1 << 30);
    let mut t = Scenario::closed().options(options).build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
        +0   bind(3, ..., ...) = 0
        +0   listen(3, 4095) = 0
        +0   < S 0:0(0) win 65535 <mss 1000,sackOK,wscale 0>
        +0   > S. 0:0(0) ack 1 win 40000 <mss 1460,nop,nop,sackOK,nop,wscale 14>
        +.05 < . 1:1(0) ack 1 win 65535
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   < . 1:40001(40x1000) ack 1 win 65535
        +0   > . 1:1(0) ack 40001 win 0
        +0   read(4, ..., 3000) = 3000
        +0   read(4, ..., 1) = 1
        +0   read(4, ..., 1) = 1
        +0   read(4, ..., 13381) = 13381
        +0   read(4, ..., 1) = 1
        +0   > . 1:1(0) ack 40001 win 1
        +0   read(4, ..., 23616) = 23616
        +0   > . 1:1(0) ack 40001 win 2
    ",
    );
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
