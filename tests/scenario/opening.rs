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
