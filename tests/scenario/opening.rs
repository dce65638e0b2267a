//! Opening: both kinds, both at once, and what goes wrong before ESTABLISHED.

use netloom::tcp::congestion::Phase;

use super::sessions::Scenario;

/// Covers: TCP-21, TCP-25, TS-4, SAK-1
#[test]
fn a_passive_open_mirrors_what_the_syn_offers() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
        +0   bind(3, ..., ...) = 0
        +0   listen(3, 4095) = 0
        +0   < S 0:0(0) win 1000 <mss 1000,sackOK,TS val 10 ecr 0,wscale 3>
        +0   > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 0 ecr 10,nop,wscale 7>
        +.05 accept(3, ..., ...) = -1 EAGAIN
        +0   < . 1:1(0) ack 1 win 1000 <TS val 60 ecr 0>
        +0   poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, 0) = 1
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   `ss -n | grep -q ESTABLISHED`
        +0   %{ assert tcpi_snd_wnd == 8000 }%
        +0   %{ assert tcpi_snd_mss == 988 }%
        +0   %{ assert tcpi_rtt // 1000 == 50 }%
    ",
    );
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
        +0   bind(3, ..., ...) = 0
        +0   listen(3, 4095) = 0
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1 win 65535 <mss 1460>
    ",
    );
}

/// Covers: TCP-30 (MUST-23: at least three minutes)
#[test]
fn r30_a_syn_is_repeated_for_three_minutes() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
        +0   connect(4, ..., ...) = -1 EINPROGRESS
        +0   > S 0:0(0) <...>
        +1   > S 0:0(0) <...>
        +2   > S 0:0(0) <...>
        +4   > S 0:0(0) <...>
        +8   > S 0:0(0) <...>
        +16  > S 0:0(0) <...>
        +32  > S 0:0(0) <...>
        +64  > S 0:0(0) <...>
        +119 `ss -n | grep -q SYN-SENT`
        +2   `ss -n | grep -q CLOSED`
        +0   %{ assert netloom.event_failed >= 1 }%
        +0   write(4, ..., 1) = -1 ETIMEDOUT
        +0   %{ assert netloom.open_connections == 0 }%
    ",
    );
    t.counters(|c| assert_eq!(c.tcp_timed_out, 1));
}

/// Covers: TCP-61
#[test]
fn a_reset_refuses_a_connect() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
        +0   connect(4, ..., ...) = -1 EINPROGRESS
        +0   > S 0:0(0) <...>
        +0   < R. 0:0(0) ack 1 win 0
        +0   `ss -n | grep -q CLOSED`
        +0   %{ assert netloom.event_failed >= 1 }%
        +0   read(4, ..., 1) = -1 ECONNREFUSED
        +0   write(4, ..., 1) = -1 EPIPE
        +10  %{ assert 1 }%
    ",
    );
}

/// r23: the second life of a connection between the same ports starts from nothing.
#[test]
fn r23_a_new_connection_after_a_reset_starts_from_nothing() {
    let mut t = Scenario::established().timestamps().build();
    t.run(
        r"
        +0   write(4, ..., 5000) = 5000
        +0   > P. 1:5001(5x988+60) ack 1 <...>
        +.1  > P. 4941:5001(60) ack 1 <...>
        +.25 > . 1:989(988) ack 1 <...>
        +0   < R 1:1(0) win 0
        +0   getsockopt(4, SOL_SOCKET, SO_ERROR, [104], [4]) = 0
        // The same ports, later.
        +0   < S 50000:50000(0) win 65535 <mss 1000>
        +0   > S. 0:0(0) ack 50001 <mss 1460>
        +.05 < . 50001:50001(0) ack 1 win 65535
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 5
        +0   %{ assert tcpi_backoff == 0 }%
        +0   %{ assert netloom.cwnd_bytes == 10000 }%
        +0   write(5, ..., 20000) = 20000
        +0   > . 1:10001(10x1000) ack 50001
    ",
    );
}

/// Covers: CC-3
///
/// A simultaneous open whose second SYN was lost: the congestion control starts when it is over, and no
/// time-out of before cut anything.
#[test]
fn a_time_out_of_a_simultaneous_open_leaves_the_threshold() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
        +0   connect(4, ..., ...) = -1 EINPROGRESS
        +0   > S 0:0(0) <...>
        +.05 < S 0:0(0) win 60000 <mss 1000,sackOK>
        +0   > S. 0:0(0) ack 1 <...>
        +1   > S. 0:0(0) ack 1 <...>
        +.05 < . 1:1(0) ack 1 win 60000
        +0   `ss -n | grep -q ESTABLISHED`
        +0   write(4, ..., 20000) = 20000
        +0   > . 1:10001(10x1000) ack 1
        +0   %{ assert netloom.ssthresh_bytes == 4294967295 }%
    ",
    );
    t.info(|info| assert_eq!(info.phase, Phase::Open));
}

/// Covers: CC-3
///
/// Three SYNs left, and the answer is to the first: it came late, and IW is what it would have been. An
/// answer to the third leaves one segment.
#[test]
fn a_syn_that_was_answered_late_costs_no_initial_window() {
    for (echo, text) in [(0, "1:9881(10x988)"), (3000, "1:989(988)")] {
        let mut t = Scenario::closed().build();
        t.run(&format!(
            r"
            +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
            +0   connect(4, ..., ...) = -1 EINPROGRESS
            +0   > S 0:0(0) win 65535 <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 7>
            +1   > S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 7>
            +2   > S 0:0(0) win 65535 <mss 1460,sackOK,TS val 3000 ecr 0,nop,wscale 7>
            +.1  < S. 0:0(0) ack 1 win 50000 <mss 1000,sackOK,TS val 9 ecr {echo}>
            +0   > . 1:1(0) ack 1 <nop,nop,TS val 3100 ecr 9>
            +0   write(4, ..., 20000) = 20000
            +0   > . {text} ack 1 <nop,nop,TS val 3100 ecr 9>
        "
        ));
        t.info(|info| assert_eq!((info.undos, info.phase), (0, Phase::Open)));
    }
}

/// Covers: CC-3
///
/// The same for SYN-ACKs.
#[test]
fn a_syn_ack_that_was_answered_late_costs_no_initial_window() {
    for (echo, text) in [(0, "1:9881(10x988)"), (3000, "1:989(988)")] {
        let mut t = Scenario::closed().build();
        t.run(&format!(
            r"
            +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
            +0   bind(3, ..., ...) = 0
            +0   listen(3, 4095) = 0
            +0   < S 0:0(0) win 50000 <mss 1000,sackOK,TS val 10 ecr 0>
            +0   > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 0 ecr 10>
            +1   > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1000 ecr 10>
            +2   > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 3000 ecr 10>
            +.1  < . 1:1(0) ack 1 win 50000 <TS val 60 ecr {echo}>
            +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
            +0   write(4, ..., 20000) = 20000
            +0   > . {text} ack 1 <nop,nop,TS val 3100 ecr 60>
        "
        ));
    }
}
