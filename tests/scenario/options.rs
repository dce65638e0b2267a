//! MSS, window scale, timestamps: what is agreed on and what it does.

use netloom::tcp::TcpOptions;

use super::harness::Scenario;

/// A tiny or missing MSS is raised to 48, a huge one lowered to the MTU's.
#[test]
fn r13_the_mss_is_clamped() {
    for mss in [0, 1, 47] {
        let mut t = Scenario::established().mss(mss).build();
        t.run(
            r"
            +0   write 100
            +0   > P. 1:101(2x48+4) ack 1
            +.05 < . 1:1(0) ack 101
        ",
        );
    }
    let t = Scenario::established().mss(9000).build();
    t.info(|info| assert_eq!((info.snd_mss, info.rcv_mss), (1460, 1460)));
}

/// At least eight bytes of text fit beside the options.
#[test]
fn r13_text_fits_beside_all_options() {
    let mut t = Scenario::established().mss(48).timestamps().build();
    t.run(
        r"
        +0   < . 101:201(100) ack 1 <TS val 60 ecr 0>
        +0   > . 1:1(0) ack 1
        +0   < . 301:401(100) ack 1 <TS val 61 ecr 0>
        +0   > . 1:1(0) ack 1
        +0   < . 501:601(100) ack 1 <TS val 62 ecr 0>
        +0   > . 1:1(0) ack 1 <TS val * ecr 50,sack 501:601 301:401 101:201>
        +0   write 72
        // Eight bytes is as far as it goes.
        +0   > P. 1:73(9x8) ack 1 <TS val * ecr 50,sack 501:601 301:401 101:201>
    ",
    );
}

/// Covers: TCP-23 (MUST-15)
#[test]
fn without_an_mss_option_the_default_is_assumed() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   listen
        +0   < S 0:0(0) win 65535
        +0   > S. 0:0(0) ack 1
        +.05 < . 1:1(0) ack 1
        +0   accept
    ",
    );
    t.info(|info| assert!([536, 1220].contains(&info.snd_mss)));
}

/// Covers: TCP-25 (MUST-67)
#[test]
fn the_users_mss_bounds_both_directions() {
    let options = TcpOptions::default().mss(Some(600));
    let mut t = Scenario::closed().options(options).build();
    t.run(
        r"
        +0   connect
        +0   > S 0:0(0) win 65535 <mss 600,sackOK,TS val 0 ecr 0,wscale 7>
        +.05 < S. 0:0(0) ack 1 win 65535 <mss 1000>
        +0   > . 1:1(0) ack 1
        +0   write 1200
        +0   > P. 1:1201(2x600) ack 1
    ",
    );
}

/// Covers: TS-2 (r01: the window of a SYN is never scaled, later ones are)
#[test]
fn r01_the_window_of_a_syn_is_not_scaled() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   connect
        +0   > S 0:0(0)
        +.05 < S. 0:0(0) ack 1 win 1000 <mss 1000,wscale 7>
        +0   > . 1:1(0) ack 1 win 1024
        +0   expect-info snd_wnd 1000
        +0   write 3000
        +0   > . 1:1001(1000) ack 1
        +.05 < . 1:1(0) ack 1001 win 10
        +0   > . 1001:2001(1000) ack 1
        +0   expect-info snd_wnd 1280
    ",
    );
}

/// Covers: TS-1, TS-3
#[test]
fn a_scale_counts_when_both_offer_it_and_up_to_14() {
    let mut t = Scenario::established().wscale(15).build();
    t.run("+0 < . 1:1(0) ack 1 win 1\n+0 expect-info snd_wnd 16384");
    let mut t = Scenario::established().build();
    t.run(
        r"
        // Not offered: nothing is scaled, and an option on another segment means nothing.
        +0   < . 1:1(0) ack 1 win 1000 <wscale 5>
        +0   expect-info snd_wnd 1000
        +0   < P. 1:2001(2x1000) ack 1
        +0   > . 1:1(0) ack 2001 win 63535
        +0   read 2000
    ",
    );
}

/// Covers: TS-6, TS-9, TS-10
#[test]
fn timestamps_are_echoed_by_the_rules() {
    let mut t = Scenario::established().timestamps().build();
    t.run(
        r"
        // A delayed ACK echoes the first of the two.
        +0   < . 1:989(988) ack 1 <TS val 100 ecr 0>
        +.01 < . 989:1977(988) ack 1 <TS val 110 ecr 0>
        +0   > . 1:1(0) ack 1977 <TS val 60 ecr 100>
        // Out of order: the last one in order.
        +0   < . 2965:3953(988) ack 1 <TS val 130 ecr 60>
        +0   > . 1:1(0) ack 1977 <TS val 60 ecr 100,sack 2965:3953>
        // The filler of a hole: its own.
        +0   < . 1977:2965(988) ack 1 <TS val 140 ecr 60>
        +0   > . 1:1(0) ack 3953 <TS val 60 ecr 140>
        +0   read 3952
    ",
    );
}

/// Covers: TS-6, TS-12 (r48)
#[test]
fn r48_old_and_missing_timestamps() {
    let mut t = Scenario::established().timestamps().build();
    t.run(
        r"
        +0   < P. 1:11(10) ack 1 <TS val 48 ecr 0>
        +0   > . 1:1(0) ack 1
        +0   expect-drops tcp_paws 1
        +0   < P. 1:11(10) ack 1
        +0   expect-drops tcp_no_timestamp 1
        +0   < P. 1:11(10) ack 1 <TS val 51 ecr 0>
        +.04 > . 1:1(0) ack 11
        +0   read 10
        // 24 days of silence: the check lapses.
        +2073601 < P. 11:21(10) ack 1 <TS val 1 ecr 0>
        +.04 > . 1:1(0) ack 21 <TS val * ecr 1>
        +0   read 10
        // A RST needs none.
        +0   < R 21:21(0) win 0
        +0   expect-error Reset
    ",
    );
}

/// Covers: TS-8
#[test]
fn timestamps_that_were_not_agreed_on_are_ignored() {
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   < P. 1:11(10) ack 1 <TS val 5 ecr 9>
        +.04 > . 1:1(0) ack 11 <>
        +0   < P. 11:21(10) ack 1 <TS val 1 ecr 9>
        +.04 > . 1:1(0) ack 21 <>
        +0   read 20
    ",
    );
}

/// Covers: TS-11, RTO-7 (the echo gives a sample where the record cannot)
#[test]
fn an_echo_measures_a_retransmission() {
    let mut t = Scenario::established().timestamps().build();
    t.run(
        r"
        +0   write 100
        +0   > P. 1:101(100) ack 1 <TS val 50 ecr 50>
        +.25 > P. 1:101(100) ack 1 <TS val 300 ecr 50>
        +.25 > P. 1:101(100) ack 1 <TS val 550 ecr 50>
        +0   expect-info backoff 1
        +.06 < . 1:1(0) ack 101 <TS val 700 ecr 550>
        +0   expect-info backoff 0
        +0   expect-info srtt_ms 51
    ",
    );
}

/// Covers: RTO-5, RTO-8 (as a client: a Linux listener echoes the first SYN, whichever it answers)
#[test]
fn a_syn_that_was_sent_again_is_no_sample() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   connect
        +0   > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>
        +1   > S 0:0(0) <mss 1460,sackOK,TS val 1000 ecr 0,wscale 7>
        +.05 < S. 0:0(0) ack 1 win 65535 <mss 1000,sackOK,TS val 0 ecr 0>
        +0   > . 1:1(0) ack 1 <TS val 1050 ecr 0>
        +0   expect-info srtt_ms 0
        // RFC 6298 §5 (5.7).
        +0   expect-info rto_ms 3000
        +0   write 100
        +0   > P. 1:101(100) ack 1 <TS val 1050 ecr 0>
        +.05 < . 1:1(0) ack 101 <TS val 50 ecr 1050>
        +0   expect-info srtt_ms 50
        +0   expect-info rto_ms 250
    ",
    );
}

/// A lost SYN-ACK costs its second and no more: what is lost later waits for the path's RTO, not for
/// one that the handshake left (1 + 3 + 6 s were a hang of ten).
#[test]
fn a_lost_syn_ack_slows_nothing_that_follows() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   connect
        +0   > S 0:0(0)
        // Its answer is lost; Linux gives the same one again.
        +1   > S 0:0(0)
        +.05 < S. 0:0(0) ack 1 win 65535 <mss 1000,sackOK,TS val 0 ecr 0>
        +0   > . 1:1(0) ack 1
        +0   write 100
        +0   > P. 1:101(100) ack 1
        +.05 < . 1:1(0) ack 101 <TS val 50 ecr 1050>
        +0   write 100
        +0   > P. 101:201(100) ack 1
        +.25 > P. 101:201(100) ack 1
        // The first was a probe of the tail, in the time-out's place.
        +.25 > P. 101:201(100) ack 1
        +.5  > P. 101:201(100) ack 1
        +.05 < . 1:1(0) ack 201 <TS val 1050 ecr 2100>
    ",
    );
}

/// Covers: RTO-8 (with nothing measured yet it is 1 + 3 + 6 s, as RFC 6298 §5 (5.7) says)
#[test]
fn a_first_text_lost_after_a_lost_syn_ack_waits_three_seconds() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   connect
        +0   > S 0:0(0)
        +1   > S 0:0(0)
        +.05 < S. 0:0(0) ack 1 win 65535 <mss 1000,sackOK,TS val 0 ecr 0>
        +0   > . 1:1(0) ack 1
        +0   write 100
        +0   > P. 1:101(100) ack 1
        // RFC 8985 §7.2: without a round trip the probe leaves after a second.
        +1   > P. 1:101(100) ack 1
        +3   > P. 1:101(100) ack 1
        +6   > P. 1:101(100) ack 1
        +.05 < . 1:1(0) ack 101 <TS val 10000 ecr 11050>
        +0   expect-info srtt_ms 50
        +0   expect-info backoff 0
    ",
    );
}

/// Covers: RTO-5 (a simultaneous open sends the SYN again, with an ACK)
#[test]
fn a_syn_that_was_sent_again_with_an_ack_is_no_sample() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   connect
        +0   > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>
        +.4  < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 0 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 400 ecr 0>
        +.05 < . 1:1(0) ack 1 <TS val 450 ecr 0>
        +0   expect-state ESTABLISHED
        +0   expect-info srtt_ms 0
    ",
    );
}

/// Covers: TS-9 (RFC 7323 §4.3 (2): a SYN that came again moves TS.Recent), RTO-5 (as a listener)
#[test]
fn a_repeated_syn_is_echoed_and_its_answer_is_no_sample() {
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   listen
        +0   < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 0 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 0>
        // Its timer is a little ahead of ours.
        +.99 < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 990 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 990 ecr 990>
        +.01 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 990>
        // An older one says nothing.
        +.09 < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 10 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1090 ecr 990>
        // What the first one's ACK would say, had it been lost.
        +.05 < . 1:1(0) ack 1 win 65535 <TS val 1140 ecr 0>
        +0   accept
        +0   expect-info srtt_ms 0
        +0   expect-info rto_ms 3000
    ",
    );
}

/// Covers: TS-6, TS-7 (RFC 7323 §3.2: a RST carries the option as well; what is gone or was never whole
/// has its clock and what came last)
#[test]
fn resets_carry_timestamps() {
    let established = || Scenario::established().timestamps().build();
    // Of a connection.
    let mut t = established();
    t.run(
        r"
        +.1  < P. 1:11(10) ack 1 <TS val 150 ecr 0>
        +0   abort
        +0   > R. 1:1(0) ack 11 <TS val 150 ecr 150>
    ",
    );
    // Of one whose user has gone: FIN-WAIT-1, and the record of FIN-WAIT-2.
    let mut t = established();
    t.run(
        r"
        +0   close
        +0   > F. 1:1(0) ack 1
        +.1  < P. 1:11(10) ack 1 <TS val 150 ecr 0>
        +0   > R. 2:2(0) ack 1 <TS val 150 ecr 150>
        +0   expect-open 0
    ",
    );
    let mut t = established();
    t.run(
        r"
        +0   close
        +0   > F. 1:1(0) ack 1
        +.05 < . 1:1(0) ack 2 <TS val 100 ecr 50>
        +.1  < P. 1:11(10) ack 2 <TS val 200 ecr 50>
        +0   > R. 2:2(0) ack 1 <TS val 200 ecr 100>
        +0   expect-open 0
    ",
    );
    // Of a request: it is not our SYN-ACK that is acknowledged, and nobody listens any more.
    let mut t = Scenario::closed().build();
    t.run(
        r"
        +0   listen
        +0   < S 0:0(0) win 1000 <mss 1000,TS val 5 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,TS val 0 ecr 5>
        +.1  < . 1:1(0) ack 9 win 1000 <TS val 105 ecr 0>
        // Without an ACK there is no echo.
        +0   > R 9:9(0) <TS val 100 ecr 0>
        +0   unlisten
        +0   > R. 1:1(0) ack 1 <TS val 100 ecr 5>
    ",
    );
    // Without timestamps, and where nothing is known, there is none.
    let mut t = Scenario::established().build();
    t.run(
        r"
        +0   abort
        +0   > R. 1:1(0) ack 1 <>
        +0   < . 1:1(0) ack 1 <TS val 1 ecr 0>
        +0   > R 1:1(0) <>
    ",
    );
}
