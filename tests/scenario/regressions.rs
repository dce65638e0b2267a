//! Items of docs/regressions.md that the other files of this tier do not show, or not in every clause.

use core::time::Duration;

use netloom::drill::Variant;
use netloom::tcp::{TcpFailure, TcpOptions};

use super::sessions::Scenario;

/// Receive buffers of a size.
fn buffer(size: usize) -> TcpOptions {
    TcpOptions::default()
        .quick_acks(0)
        .recv_buffer_initial(size)
        .recv_buffer_max(size)
}

/// What a SYN told is all that the peer may use, whatever the buffer holds.
#[test]
fn r01_the_syns_window_bounds_the_first_flight() {
    let mut t = Scenario::closed().options(buffer(1 << 20)).build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
        +0   bind(3, ..., ...) = 0
        +0   listen(3, 4095) = 0
        +0   < S 0:0(0) win 1000 <mss 1000,sackOK,wscale 3>
        +0   > S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 5>
        +.05 < . 1:1(0) ack 1 win 1000
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   < . 60001:70001(10x1000) ack 1 win 1000
        +0   > . 1:1(0) ack 1 win 32768 <nop,nop,sack 60001:65536>
        // That was the window; these are the duplicates.
        +0   > . 1:1(0) ack 1 win 32768 <nop,nop,sack 60001:65536>
        +0   > . 1:1(0) ack 1 win 32768 <nop,nop,sack 60001:65536>
        +0   > . 1:1(0) ack 1 win 32768 <nop,nop,sack 60001:65536>
        // From here on the window is the buffer, and scaled.
        +0   < . 1:60001(60x1000) ack 1 win 1000
        +0   > . 1:1(0) ack 65536
        +0   < P. 65536:70001(4465) ack 1 win 1000
        +0   > . 1:1(0) ack 70001
        +0   read(4, ..., 70000) = 70000
    ",
    );
}

#[test]
fn r02_the_same_without_a_receive_buffer() {
    // No room at all would be a stream that never moves: 0 counts as one byte.
    let mut t = Scenario::closed().options(buffer(0)).build();
    t.run(
        r"
        +0   `sysctl -w netloom.device_full=1`
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
        +0   connect(4, ..., ...) = -1 EINPROGRESS
        +0   < S 0:0(0) win 5000 <mss 1000>
        +0   `sysctl -w netloom.device_full=0`
        +0   > S. 0:0(0) ack 1 win 1 <...>
        +.05 < . 1:1(0) ack 1 win 5000
        +0   < P. 1:11(10) ack 1 win 5000
        +0   write(4, ..., 10) = 10
        +0   > P. 1:11(10) ack 2 win 0
        +0   read(4, ..., 1) = 1
        +0   > . 11:11(0) ack 2 win 1
        +0   read(4, ..., 1) = -1 EAGAIN
        +0   < F. 2:2(0) ack 11 win 5000
        +0   > . 11:11(0) ack 3
        +0   read(4, ..., 1) = 0
    ",
    );
}

/// Covers: TCP-66 (the wrap at the SYN, behind it, in the middle of text both ways, at the FIN)
#[test]
fn r10_initial_numbers_around_the_wrap() {
    for below in [0, 1, 2, 999, 1000, 1001, 2501, 5001, 5002] {
        let mut t = Scenario::established().below_wrap(below).build();
        t.each(|variant, session| {
            let isn = session.our_isn().unwrap();
            let begins_there = isn == 0u32.wrapping_sub(below);
            assert_eq!(begins_there, variant == Variant::Wrap);
        });
        t.run(
            r"
            +0   write(4, ..., 5000) = 5000
            +0   > P. 1:5001(5x1000) ack 1
            +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001>
            +0   < . 1:1(0) ack 1 win 65535 <sack 1001:3001>
            +0   < . 1:1(0) ack 1 win 65535 <sack 1001:5001>
            +0   > . 1:1001(1000) ack 1
            +.05 < . 1:1(0) ack 5001 win 65535
            +0   < . 1001:2501(1500) ack 5001 win 65535
            +0   > . 5001:5001(0) ack 1 <nop,nop,sack 1001:2501>
            +0   < F. 2501:2501(0) ack 5001 win 65535
            +0   > . 5001:5001(0) ack 1 <nop,nop,sack 1001:2501>
            +0   < P. 1:1001(1000) ack 5001 win 65535
            +0   > . 5001:5001(0) ack 2502
            +0   read(4, ..., 2500) = 2500
            +0   read(4, ..., 1) = 0
            +0   shutdown(4, SHUT_WR) = 0
            +0   > F. 5001:5001(0) ack 2502
            +.25 > F. 5001:5001(0) ack 2502
            +.05 < . 2502:2502(0) ack 5002 win 65535
            +0   `ss -n | grep -q CLOSED`
        ",
        );
    }
}

/// Covers: TCP-66, TS-9, TS-12 (both clocks wrap in mid-stream)
#[test]
fn r10_timestamp_clocks_wrap_in_mid_stream() {
    for millis in [0, 1, 51, 200] {
        let t = Scenario::established().timestamps_wrap_in(millis);
        // The peer's, which wrap beside its numbers.
        let mut t = t.below_wrap(millis).build();
        t.run(
            r"
            +0   write(4, ..., 100) = 100
            +0   > P. 1:101(100) ack 1 <nop,nop,TS val 50 ecr 50>
            +.15 < . 1:1(0) ack 101 win 65535 <TS val 200 ecr 50>
            +0   %{ assert tcpi_rtt // 1000 == 62 }%
            +0   < P. 1:101(100) ack 101 win 65535 <TS val 201 ecr 50>
            +.04 > . 101:101(0) ack 101 <nop,nop,TS val 240 ecr 201>
            +.1  < P. 101:201(100) ack 101 win 65535 <TS val 340 ecr 240>
            +.04 > . 101:101(0) ack 201 <nop,nop,TS val 380 ecr 340>
            // An old duplicate from before the wrap.
            +0   < P. 1:101(100) ack 101 win 65535 <TS val 150 ecr 50>
            +0   > . 101:101(0) ack 201 <nop,nop,TS val 380 ecr 340,nop,nop,sack 1:101>
            +0   %{ assert netloom.drop_tcp_paws == 1 }%
            +0   read(4, ..., 200) = 200
        ",
        );
    }
}

/// Covers: TCP-23 (MUST-15: 536 for IPv4, 1220 for IPv6)
#[test]
fn r13_the_default_mss_is_the_familys() {
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
    t.each(|variant, session| {
        let expected = if variant == Variant::Ipv6 { 1220 } else { 536 };
        assert_eq!(session.info().unwrap().snd_mss, expected);
    });
}

/// Covers: TCP-65
#[test]
fn r17_no_text_follows_the_fin_in_any_state() {
    let fin_first = "+0 < F. 1:1(0) ack 1 win 65535\n+0 > . 1:1(0) ack 2\n";
    let close_first = "+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 1\n";
    for (state, steps, ack, answer) in [
        ("CLOSE-WAIT", fin_first.to_string(), 1, "1:1"),
        (
            "LAST-ACK",
            format!("{fin_first}+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 2\n"),
            1,
            "2:2",
        ),
        (
            "CLOSING",
            format!("{close_first}+0 < F. 1:1(0) ack 1 win 65535\n+0 > . 2:2(0) ack 2\n"),
            1,
            "2:2",
        ),
        (
            "TIME-WAIT",
            format!("{close_first}+0 < F. 1:1(0) ack 2 win 65535\n+0 > . 2:2(0) ack 2\n"),
            2,
            "2:2",
        ),
    ] {
        let mut t = Scenario::established().build();
        t.run(&steps);
        // The record's answers are limited.
        let pause = if state == "TIME-WAIT" { "+.6" } else { "+0" };
        t.run(&format!(
            "+0 `ss -n | grep -q {state}`
             +0 < P. 2:12(10) ack {ack} win 65535
             +0 > . {answer}(0) ack 2
             {pause} < P. 1:12(11) ack {ack} win 65535
             +0 > . {answer}(0) ack 2
             +0 %{{ assert netloom.drop_tcp_text_refused == 2 }}%
             +0 %{{ assert netloom.unread == 0 }}%
             +0 read(4, ..., 1) = 0
             +0 `ss -n | grep -q {state}`"
        ));
    }
}

/// Keep-alives while a probe is due do not put it off.
#[test]
fn r26_a_keep_alive_leaves_the_probe_its_time() {
    let t = Scenario::established().rtt(Duration::from_millis(900));
    let mut t = t.build();
    t.run(
        r"
        +0   %{ assert tcpi_rto == 2700000 }%
        +0   setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [1], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPINTVL, [5], 4) = 0
        +0   setsockopt(4, SOL_TCP, TCP_KEEPCNT, [3], 4) = 0
        +0   setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
        +0   < . 1:1(0) ack 1 win 0
        +0   write(4, ..., 10) = 10
        +1   > . 0:0(0) ack 1
        +.5  < . 1:1(0) ack 1 win 0
        +1   > . 0:0(0) ack 1
        +.2  > P. 1:2(1) ack 1
    ",
    );
}

/// A FIN that nobody acknowledges is given up, and the user who waits is told.
#[test]
fn r30_a_fin_is_given_up() {
    let options = TcpOptions::default().retries(3);
    let mut t = Scenario::established().options(options).build();
    t.run(
        r"
        +0   shutdown(4, SHUT_WR) = 0
        +0   > F. 1:1(0) ack 1
        +.25 > F. 1:1(0) ack 1
        // The first was a probe of the tail, in the time-out's place.
        +.25 > F. 1:1(0) ack 1
        +.5  > F. 1:1(0) ack 1
        +1   > F. 1:1(0) ack 1
        +2   > R. 2:2(0) ack 1
        +0   read(4, ..., 1) = -1 ETIMEDOUT
        +0   %{ assert netloom.open_connections == 0 }%
    ",
    );
    t.info(|info| assert_eq!(info.failure, Some(TcpFailure::TimedOut)));
}

/// A challenge for a SYN tells nothing about losses either.
#[test]
fn r36_a_syn_is_no_duplicate() {
    for sack in [true, false] {
        let t = Scenario::established();
        let mut t = if sack { t } else { t.without_sack() }.build();
        t.run(
            r"
            +0   write(4, ..., 5000) = 5000
            +0   > P. 1:5001(5x1000) ack 1
            +.05 < S. 0:0(0) ack 1 win 65535
            +0   > . 5001:5001(0) ack 1
            +0   < S. 1:1(0) ack 1 win 65535
            +0   > . 5001:5001(0) ack 1
            +0   < S. 1:1(0) ack 1 win 65535
            +0   > . 5001:5001(0) ack 1
            +0   < S. 1:1(0) ack 1 win 65535
            +0   > . 5001:5001(0) ack 1
            +0   < F. 1:1(0) ack 1 win 65535
            +0   > . 5001:5001(0) ack 2
            +0   < F. 1:1(0) ack 1 win 65535
            +0   > . 5001:5001(0) ack 2
            +0   < F. 1:1(0) ack 1 win 65535
            +0   > . 5001:5001(0) ack 2
            +0   < F. 1:1(0) ack 1 win 65535
            +0   > . 5001:5001(0) ack 2
        ",
        );
        t.counters(|c| assert_eq!(c.tcp_retransmits, 0));
    }
}

/// Every kind of ACK that is due at once outlives a device that is full.
#[test]
fn r37_an_ack_that_the_device_refused_is_still_owed() {
    for (steps, ack) in [
        (
            "+0 < . 1001:2001(1000) ack 1 win 65535",
            "1 <nop,nop,sack 1001:2001>",
        ),
        ("+0 < S 1:1(0) win 1000", "1"),
        ("+0 < R 2:2(0) win 0", "1"),
        ("+0 < P. 1:2001(2x1000) ack 1 win 65535", "2001"),
        ("+0 < F. 1:1(0) ack 1 win 65535", "2"),
        ("+0 < . 0:0(0) ack 1 win 65535", "1"),
        ("+0 < P. 1:11(10) ack 1 win 65535", "11"),
    ] {
        let mut t = Scenario::established().build();
        t.run(&format!(
            "+0 `sysctl -w netloom.device_full=1`
             {steps}
             +1 `sysctl -w netloom.device_full=0`
             +0 > . 1:1(0) ack {ack}
             +1 %{{ assert 1 }}%"
        ));
    }
}

/// SYNs that used up the challenges leave keep-alives and window probes their answers.
#[test]
fn r38_probes_are_answered_when_the_challenges_are_used_up() {
    let mut t = Scenario::established().options(buffer(1000)).build();
    let mut script =
        String::from("+0 < P. 1:1001(1000) ack 1 win 65535\n+.04 > . 1:1(0) ack 1001 win 0\n");
    // A second of its own.
    script.push_str("+1 %{ assert 1 }%\n");
    for _ in 0..10 {
        script.push_str("+0 < S 1:1(0) win 1000\n+0 > . 1:1(0) ack 1001\n");
    }
    script.push_str(
        "+0 < S 1:1(0) win 1000
         // Keep-alives without and with a byte, a window probe, a peer that probed beyond the edge.
         +0 < . 1000:1000(0) ack 1 win 65535
         +0 > . 1:1(0) ack 1001 win 0
         +0 < . 1000:1001(1) ack 1 win 65535
         +0 > . 1:1(0) ack 1001 win 0 <nop,nop,sack 1000:1001>
         +0 < . 1001:1002(1) ack 1 win 65535
         +0 > . 1:1(0) ack 1001 win 0
         +0 < . 1002:1002(0) ack 1 win 65535
         +0 > . 1:1(0) ack 1001 win 0
         +0 < S 1:1(0) win 1000\n",
    );
    t.run(&script);
}

/// RFC 5961 §5.2 drops text whose ACK was overtaken by more than a window; it is answered each time.
#[test]
fn r38_text_with_an_old_ack_is_answered_when_the_challenges_are_used_up() {
    let mut t = Scenario::established().window(1000).build();
    let mut script = String::new();
    for at in [1, 1001] {
        script += &format!(
            "+0 write(4, ..., 1000) = 1000\n+0 > P. {at}:{}(1000) ack 1\n",
            at + 1000
        );
        script += &format!("+.05 < . 1:1(0) ack {} win 1000\n", at + 1000);
    }
    for _ in 0..20 {
        script += "+0 < S 1:1(0) win 1000\n";
        script += "+0 > . 2001:2001(0) ack 1\n"
            .repeat(usize::from(script.matches("< S").count() <= 10))
            .as_str();
    }
    for _ in 0..20 {
        script += "+0 < P. 1:101(100) ack 1 win 1000\n+0 > . 2001:2001(0) ack 1\n";
    }
    script += "+0 %{ assert netloom.drop_tcp_bad_ack == 20 }%\n";
    t.run(&script);
}

/// RFC 9293 §3.10.7.4, RFC 2883 §4.1: an ACK was lost, the peer sends again, and whatever came from
/// beside the path, it has its answer each time. What may itself be an answer stays limited (r39).
#[test]
fn r38_text_sent_again_is_answered_when_all_answers_are_used_up() {
    for stamps in [false, true] {
        let stamp = |val: u32| match stamps {
            true => format!(" <TS val {val} ecr 0>"),
            false => String::new(),
        };
        let t = Scenario::established();
        let mut t = if stamps { t.timestamps() } else { t }.build();
        let (new, old) = (stamp(2000), stamp(1000));
        let mut script = format!(
            "+0 < P. 1:1001(1000) ack 1 win 65535{new}\n+.04 > . 1:1(0) ack 1001 <...>\n+1 %{{ assert 1 }}%\n"
        );
        for _ in 0..10 {
            script.push_str("+0 < S 1:1(0) win 1000\n+0 > . 1:1(0) ack 1001 <...>\n");
            script.push_str(&format!(
                "+0 < . 1:1(0) ack 1 win 1000{new}\n+0 > . 1:1(0) ack 1001 <...>\n"
            ));
        }
        let again = if stamps {
            "<nop,nop,TS val 1090 ecr 2000,nop,nop,sack 1:1001>"
        } else {
            "<nop,nop,sack 1:1001>"
        };
        for at in [&new, &old, &new] {
            for _ in 0..10 {
                script.push_str(&format!(
                    "+0 < . 1:1(0) ack 1 win 1000{at}
                     +0 < S 1:1(0) win 1000
                     +0 < P. 1:1001(1000) ack 1 win 1000{at}
                     +0 > . 1:1(0) ack 1001 {again}\n"
                ));
            }
        }
        // The same for its FIN.
        script.push_str(&format!(
            "+0 < F. 1001:1001(0) ack 1 win 1000{new}\n+0 > . 1:1(0) ack 1002 <...>\n"
        ));
        for _ in 0..20 {
            script.push_str(&format!(
                "+0 < . 1001:1001(0) ack 1 win 1000{new}
                 +0 < F. 1001:1001(0) ack 1 win 1000{new}
                 +0 > . 1:1(0) ack 1002 <...>\n"
            ));
        }
        t.run(&script);
    }
}

/// Covers: SAK-4, SAK-5 (an active end; three blocks beside timestamps, four without; on text too)
#[test]
fn r42_an_active_end_reports_as_well() {
    for (stamps, fourth) in [(",TS val 10 ecr 0", ""), ("", " 1001:2001")] {
        let mut t = Scenario::closed().build();
        let stamp = if stamps.is_empty() {
            ""
        } else {
            " <TS val 20 ecr 0>"
        };
        let echo = if stamps.is_empty() {
            ""
        } else {
            "nop,nop,TS val 50 ecr 10,"
        };
        t.run(&format!(
            "+0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
             +0   connect(4, ..., ...) = -1 EINPROGRESS
             +0   > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 7>
             +.05 < S. 0:0(0) ack 1 win 5000 <mss 1000,sackOK{stamps}>
             +0   > . 1:1(0) ack 1 <...>
             +0   < . 1001:2001(1000) ack 1 win 5000{stamp}
             +0   > . 1:1(0) ack 1 <{echo}nop,nop,sack 1001:2001>
             +0   < . 3001:4001(1000) ack 1 win 5000{stamp}
             +0   > . 1:1(0) ack 1 <{echo}nop,nop,sack 3001:4001 1001:2001>
             +0   < . 5001:6001(1000) ack 1 win 5000{stamp}
             +0   > . 1:1(0) ack 1 <{echo}nop,nop,sack 5001:6001 3001:4001 1001:2001>
             +0   < . 7001:8001(1000) ack 1 win 5000{stamp}
             +0   > . 1:1(0) ack 1 <{echo}nop,nop,sack 7001:8001 5001:6001 3001:4001{fourth}>
             // Text carries them too.
             +0   write(4, ..., 10) = 10
             +0   > P. 1:11(10) ack 1 <{echo}nop,nop,sack 7001:8001 5001:6001 3001:4001{fourth}>"
        ));
    }
}

/// ACKs that acknowledge nothing new leave the window as it is, how many there may be.
#[test]
fn r44_empty_acks_grow_nothing() {
    let mut t = Scenario::established().build();
    let mut script = String::from(
        "+0 write(4, ..., 20000) = 20000\n+0 > . 1:10001(10x1000) ack 1\n+.05 %{ assert 1 }%\n",
    );
    for n in 0..50 {
        // Neither duplicates (the window changes) nor progress.
        script.push_str(&format!("+0 < . 1:1(0) ack 1 win {}\n", 60_000 + n));
    }
    script.push_str(
        "+0 %{ assert netloom.cwnd_bytes == 10000 }%\n+0 %{ assert netloom.in_flight == 10000 }%\n",
    );
    t.run(&script);
}
