//! MSS, window scale, timestamps: what is agreed on and what it does.

use super::sessions::Scenario;

/// A tiny or missing MSS is raised to 48, a huge one lowered to the MTU's.
#[test]
fn r13_the_mss_is_clamped() {
    for mss in [0, 1, 47] {
        let mut t = Scenario::established().mss(mss).build();
        t.run(
            r"
            +0   write(4, ..., 100) = 100
            +0   > P. 1:101(2x48+4) ack 1
            +.05 < . 1:1(0) ack 101 win 65535
        ",
        );
    }
    let t = Scenario::established().mss(9000).build();
    t.info(|info| assert_eq!((info.snd_mss, info.rcv_mss), (1460, 1460)));
}

/// Covers: TCP-23 (MUST-15)
#[test]
fn without_an_mss_option_the_default_is_assumed() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
        +0   bind(3, ..., ...) = 0
        +0   listen(3, 4095) = 0
        +0   < S 0:0(0) win 65535
        +0   > S. 0:0(0) ack 1 <...>
        +.05 < . 1:1(0) ack 1 win 65535
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
    ",
    );
    t.info(|info| assert!([536, 1220].contains(&info.snd_mss)));
}

/// Covers: TS-1, TS-3
#[test]
fn a_scale_counts_when_both_offer_it_and_up_to_14() {
    let mut t = Scenario::established().wscale(15).build();
    t.run("+0 < . 1:1(0) ack 1 win 1\n+0 %{ assert tcpi_snd_wnd == 16384 }%");
    let mut t = Scenario::established().build();
    t.run(
        r"
        // Not offered: nothing is scaled, and an option on another segment means nothing.
        +0   < . 1:1(0) ack 1 win 1000 <wscale 5>
        +0   %{ assert tcpi_snd_wnd == 1000 }%
        +0   < P. 1:2001(2x1000) ack 1 win 1000
        +0   > . 1:1(0) ack 2001 win 63535
        +0   read(4, ..., 2000) = 2000
    ",
    );
}

/// Covers: TS-15, TS-6, TS-7 (RFC 7323 §3.2: a RST carries the option as well; what is gone or was never whole
/// has its clock and what came last)
#[test]
fn resets_carry_timestamps() {
    let established = || Scenario::established().timestamps().build();
    // Of a connection.
    let mut t = established();
    t.run(
        r"
        +.1  < P. 1:11(10) ack 1 win 65535 <TS val 150 ecr 0>
        +0   setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0
        +0   close(4) = 0
        +0   > R. 1:1(0) ack 11 <nop,nop,TS val 150 ecr 150>
    ",
    );
    // Of one whose user has gone: FIN-WAIT-1, and the record of FIN-WAIT-2.
    let mut t = established();
    t.run(
        r"
        +0   close(4) = 0
        +0   > F. 1:1(0) ack 1 <...>
        +.1  < P. 1:11(10) ack 1 win 65535 <TS val 150 ecr 0>
        +0   > R. 2:2(0) ack 1 <nop,nop,TS val 150 ecr 150>
        +0   %{ assert netloom.open_connections == 0 }%
    ",
    );
    let mut t = established();
    t.run(
        r"
        +0   close(4) = 0
        +0   > F. 1:1(0) ack 1 <...>
        +.05 < . 1:1(0) ack 2 win 65535 <TS val 100 ecr 50>
        +.1  < P. 1:11(10) ack 2 win 65535 <TS val 200 ecr 50>
        +0   > R. 2:2(0) ack 1 <nop,nop,TS val 200 ecr 100>
        +0   %{ assert netloom.open_connections == 0 }%
    ",
    );
    // Of a request: it is not our SYN-ACK that is acknowledged, and nobody listens any more.
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
        +0   bind(3, ..., ...) = 0
        +0   listen(3, 4095) = 0
        +0   < S 0:0(0) win 1000 <mss 1000,TS val 5 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,nop,nop,TS val 0 ecr 5>
        +.1  < . 1:1(0) ack 9 win 1000 <TS val 105 ecr 0>
        // Without an ACK there is no echo.
        +0   > R 9:9(0) <nop,nop,TS val 100 ecr 0>
        +0   close(3) = 0
        +0   > R. 1:1(0) ack 1 <nop,nop,TS val 100 ecr 5>
    ",
    );
    // Without timestamps, and where nothing is known, there is none.
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0
        +0   close(4) = 0
        +0   > R. 1:1(0) ack 1
        +0   < . 1:1(0) ack 1 win 1000 <TS val 1 ecr 0>
        +0   > R 1:1(0)
    ",
    );
}
