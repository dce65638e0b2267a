//! Explicit Congestion Notification (RFC 3168), through packets: the handshake, the receiver that echoes, the
//! sender that answers.

use core::fmt::Write as _;

use netloom::tcp::congestion::Phase;
use netloom::tcp::{Ecn, TcpOptions};

use super::path::Choice;
use super::sessions::{Scenario, Test};

/// Reno, and no quick ACKs.
fn options() -> TcpOptions {
    TcpOptions::default()
        .congestion(Choice::Reno)
        .quick_acks(0)
        .nodelay(true)
}

/// A connection that the peer opened with ECN, over a device that takes one segment at a time.
fn agreed() -> Scenario {
    Scenario::established()
        .ecn()
        .options(options())
        .plain_device()
}

/// Lines that expect segments of 1000 bytes with these numbers, new ones.
fn train(from: u32, to: u32) -> String {
    let mut lines = String::new();
    for seq in (from..to).step_by(1000) {
        writeln!(lines, "+0 > [ect0] . {seq}:{}(1000) ack 1", seq + 1000).unwrap();
    }
    lines
}

/// Twenty segments written, ten of them sent.
fn first_window(t: &mut Test) {
    t.run(&format!(
        "+0 write(4, ..., 40000) = 40000\n{}",
        train(1, 10_001)
    ));
}

// --- the handshake ------------------------------------------------------------------------------

/// Covers: ECN-1 (the SYN-ACK: ECE alone, and only to ECE with CWR; neither is ECT)
#[test]
fn a_listener_agrees_with_who_asks() {
    for (ecn, syn, answer, agrees) in [
        (Ecn::Accept, "SEW", "S.E", true),
        (Ecn::Ask, "SEW", "S.E", true),
        (Ecn::Off, "SEW", "S.", false),
        (Ecn::Accept, "S", "S.", false),
        (Ecn::Ask, "S", "S.", false),
        (Ecn::Accept, "SE", "S.", false),
        (Ecn::Accept, "SW", "S.", false),
    ] {
        let mut t = Scenario::closed().options(options().ecn(ecn)).build();
        t.run(&format!(
            "+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
             +0 bind(3, ..., ...) = 0
             +0 listen(3, 4095) = 0
             +0 < {syn} 0:0(0) win 60000 <mss 1000>
             +0 > [noecn] {answer} 0:0(0) ack 1 <...>
             // It goes again as it was.
             +1 > [noecn] {answer} 0:0(0) ack 1 <...>
             +.05 < . 1:1(0) ack 1 win 60000
             +0 accept4(3, ..., ..., SOCK_NONBLOCK) = 4
             +0 write(4, ..., 1000) = 1000
             +0 > {} P. 1:1001(1000) ack 1",
            if agrees { "[ect0]" } else { "[noecn]" }
        ));
        t.info(|info| assert_eq!(info.ecn, agrees, "{ecn:?} {syn}"));
    }
}

/// RFC 3168 §6.1.1: an answer to a SYN that does not ask says nothing, though the one before it asked.
#[test]
fn a_syn_that_asks_no_more_declines() {
    let mut t = Scenario::closed().options(options()).build();
    t.run(
        "+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
         +0 bind(3, ..., ...) = 0
         +0 listen(3, 4095) = 0
         +0 < SEW 0:0(0) win 60000 <mss 1000>
         +0 > S.E 0:0(0) ack 1 <...>
         +.5 < S 0:0(0) win 60000 <mss 1000>
         +0 > S. 0:0(0) ack 1 <...>
         +.1 < SEW 0:0(0) win 60000 <mss 1000>
         +0 > S. 0:0(0) ack 1 <...>
         +.05 < . 1:1(0) ack 1 win 60000
         +0 accept4(3, ..., ..., SOCK_NONBLOCK) = 4
         +0 write(4, ..., 1000) = 1000
         +0 > P. 1:1001(1000) ack 1
         // The peer may have taken the first answer, and send ECT: a mark is echoed.
         +.05 < [ce] . 1:1001(1000) ack 1001 win 60000
         +0 > .E 1001:1001(0) ack 1001
         // An echo of what was never ECT is none.
         +.05 < .E 1001:1001(0) ack 1001 win 60000
         +0 %{ assert netloom.cwnd_bytes == 10000 }%",
    );
    t.info(|info| assert!(!info.ecn && info.ecn_reductions == 0 && info.ce_received == 1));
}

/// Covers: ECN-1, ECN-3, TCP-29 (SHLD-8)
#[test]
fn who_asks_uses_it_when_the_answer_agrees() {
    for (ecn, syn, answer, agrees) in [
        (Ecn::Ask, "SEW", "S.E", true),
        (Ecn::Ask, "SEW", "S.", false),
        // What reflects every bit does not know them.
        (Ecn::Ask, "SEW", "S.EW", false),
        (Ecn::Ask, "SEW", "S.W", false),
        (Ecn::Accept, "S", "S.E", false),
        (Ecn::Off, "S", "S.E", false),
    ] {
        let mut t = Scenario::closed().options(options().ecn(ecn)).build();
        t.run(&format!(
            "+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
             +0 connect(4, ..., ...) = -1 EINPROGRESS
             +0 > [noecn] {syn} 0:0(0) <...>
             +.05 < {answer} 0:0(0) ack 1 win 60000 <mss 1000>
             +0 > [noecn] . 1:1(0) ack 1
             +0 write(4, ..., 1000) = 1000
             +0 > {} P. 1:1001(1000) ack 1",
            if agrees { "[ect0]" } else { "[noecn]" }
        ));
        t.info(|info| assert_eq!(info.ecn, agrees, "{ecn:?} {answer}"));
    }
}

/// Covers: ECN-7
#[test]
fn a_syn_that_is_sent_again_asks_no_more() {
    let mut t = Scenario::closed().options(options().ecn(Ecn::Ask)).build();
    t.run(
        "+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
         +0 connect(4, ..., ...) = -1 EINPROGRESS
         +0 > SEW 0:0(0) <...>
         +1 > S 0:0(0) <...>
         // The answer to the first: no ECT after a SYN that did not ask, but a mark is echoed.
         +.05 < S.E 0:0(0) ack 1 win 60000 <mss 1000>
         +0 > . 1:1(0) ack 1
         +0 write(4, ..., 1000) = 1000
         +0 > P. 1:1001(1000) ack 1
         +.05 < [ce] . 1:1001(1000) ack 1001 win 60000
         +0 > .E 1001:1001(0) ack 1001
         // An echo of what was never ECT is none.
         +.05 < .E 1001:1001(0) ack 1001 win 60000
         +0 %{ assert netloom.cwnd_bytes == 10000 }%",
    );
    t.info(|info| assert!(!info.ecn && info.ecn_reductions == 0 && info.ce_received == 1));
}

#[test]
fn two_who_ask_at_once_agree() {
    for (syn, answer, agrees) in [("SEW", "S.E", true), ("S", "S.", false)] {
        let mut t = Scenario::closed().options(options().ecn(Ecn::Ask)).build();
        t.run(&format!(
            "+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
             +0 connect(4, ..., ...) = -1 EINPROGRESS
             +0 > [noecn] SEW 0:0(0) <...>
             +.01 < {syn} 0:0(0) win 60000 <mss 1000>
             +0 > [noecn] {answer} 0:0(0) ack 1 <...>
             +.01 < . 1:1(0) ack 1 win 60000
             +0 `ss -n | grep -q ESTABLISHED`
             +0 write(4, ..., 1000) = 1000
             +0 > {} P. 1:1001(1000) ack 1",
            if agrees { "[ect0]" } else { "[noecn]" }
        ));
        t.info(|info| assert_eq!(info.ecn, agrees));
    }
}

/// A cookie keeps what was agreed on where it has timestamps to keep it in, and agrees to no more than that.
#[test]
fn a_cookie_brings_it_back() {
    let stamped = ",nop,nop,TS val 0 ecr 0";
    for (stamps, stamp, answer, agrees) in [
        (stamped, "<TS val 50 ecr 0>", "S.E", true),
        ("", "", "S.", false),
    ] {
        let mut t = Scenario::closed()
            .options(options().syn_retries(0))
            .backlog(1)
            .build();
        t.run(&format!(
            "+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
             +0 bind(3, ..., ...) = 0
             +0 listen(3, 4095) = 0
             // Another one has the only place.
             +0 < 6000 > 8080 S 7000:7000(0) win 1000
             +0 > S. 0:0(0) ack 7001 <...>
             +0 < 40000 > 8080 SEW 0:0(0) win 60000 <mss 1000{stamps}>
             +0 > [noecn] {answer} 0:0(0) ack 1 <mss 1460{stamps}>
             +0 %{{ assert netloom.tcp_cookies_sent == 1 }}%
             +.05 < P. 1:101(100) ack 1 win 60000 {stamp}
             +0 accept4(3, ..., ..., SOCK_NONBLOCK) = 4
             +0 %{{ assert netloom.tcp_cookies_accepted == 1 }}%
             +0 write(4, ..., 500) = 500
             +0 > {} P. 1:501(500) ack 101 <...>",
            if agrees { "[ect0]" } else { "[noecn]" }
        ));
        t.info(|info| assert_eq!(info.ecn, agrees, "{stamps}"));
    }
}

// --- the receiver -------------------------------------------------------------------------------

/// Covers: ECN-4
#[test]
fn a_mark_is_echoed_until_the_sender_says_that_it_answered() {
    let mut t = agreed().build();
    t.run(
        "+0 < [ect0] . 1:1001(1000) ack 1 win 65535
         // At once: the sender may have no more than this to send.
         +.01 < [ce] . 1001:2001(1000) ack 1 win 65535
         +0 > [noecn] .E 1:1(0) ack 2001
         // Whatever comes, until CWR; text says so too.
         +.01 < [ect0] . 2001:3001(1000) ack 1 win 65535
         +0 < [ect0] . 3001:4001(1000) ack 1 win 65535
         +0 > [noecn] .E 1:1(0) ack 4001
         +0 write(4, ..., 500) = 500
         +0 > [ect0] P.E 1:501(500) ack 4001
         +.01 < . 4001:4001(0) ack 501 win 65535
         +0 < [ect0] .W 4001:5001(1000) ack 501 win 65535
         +0 > [noecn] . 501:501(0) ack 5001
         // What says so may be marked itself.
         +.01 < [ce] .W 5001:6001(1000) ack 501 win 65535
         +0 > [noecn] .E 501:501(0) ack 6001
         +.01 < [ect0] .W 6001:7001(1000) ack 501 win 65535
         +0 > [noecn] . 501:501(0) ack 7001",
    );
    t.info(|info| assert_eq!(info.ce_received, 2));
}

/// A merged frame with a mark is as many marked segments; the CWR of its first is not lost.
#[test]
fn marks_of_merged_frames_count() {
    let mut t = agreed().build();
    t.run(
        "+0 < [ce] . 1:3001(3x1000) ack 1 win 65535
         +0 > [noecn] .E 1:1(0) ack 3001
         +.01 < [ect0] .W 3001:6001(3x1000) ack 1 win 65535
         +0 > [noecn] . 1:1(0) ack 6001",
    );
    t.info(|info| assert_eq!(info.ce_received, 3));
}

/// RFC 3168 §6.1.5: what is outside the window says nothing; nor does an ACK (§6.1.4), whoever marked it.
#[test]
fn marks_on_what_is_old_or_empty_are_ignored() {
    let mut t = agreed().build();
    t.run(
        "+0 < [ect0] . 1:1001(1000) ack 1 win 65535
         +0 < [ect0] . 1001:2001(1000) ack 1 win 65535
         +0 > [noecn] . 1:1(0) ack 2001
         +.01 < [ce] . 1:1001(1000) ack 1 win 65535
         +0 > [noecn] . 1:1(0) ack 2001 <nop,nop,sack 1:1001>
         +.01 < [ce] . 2001:2001(0) ack 1 win 65535
         +0 < [ce] . 2001:3001(1000) ack 1 win 65535
         +0 > [noecn] .E 1:1(0) ack 3001
         // A CWR that comes again ends nothing.
         +.01 < [ect0] .W 1001:2001(1000) ack 1 win 65535
         +0 > [noecn] .E 1:1(0) ack 3001 <nop,nop,sack 1001:2001>",
    );
    t.info(|info| assert_eq!(info.ce_received, 1));
}

/// Without the handshake none of the bits means anything.
#[test]
fn without_ecn_all_its_bits_are_ignored() {
    let mut t = Scenario::established()
        .options(options().tos(0xff))
        .plain_device()
        .build();
    t.run(
        "+0 < [ce] . 1:1001(1000) ack 1 win 65535
         +0 < [ce] .W 1001:2001(1000) ack 1 win 65535
         +0 > . 1:1(0) ack 2001
         +0 write(4, ..., 1000) = 1000
         +0 > P. 1:1001(1000) ack 2001
         +.05 < .E 2001:2001(0) ack 1001 win 65535
         +0 %{ assert netloom.cwnd_bytes == 10000 }%",
    );
    t.info(|info| {
        assert_eq!((info.ce_received, info.ece_received), (0, 0));
        assert!(!info.ecn && info.ecn_reductions == 0 && info.delivered_ce == 0);
    });
}

// --- the sender ---------------------------------------------------------------------------------

/// Covers: ECN-5 (once for each window, CWR on the next new text, and once)
#[test]
fn an_echo_halves_the_window_once() {
    let mut t = agreed().build();
    first_window(&mut t);
    t.run(
        "+.05 < .E 1:1(0) ack 2001 win 65535
         +0   > [ect0] .W 10001:11001(1000) ack 1
         +0   %{ assert netloom.ssthresh_bytes == 5000 }%",
    );
    t.info(|info| assert_eq!(info.phase, Phase::Reduction));
    // Half of what arrives leaves: proportional rate reduction.
    t.run(
        "+0 < .E 1:1(0) ack 4001 win 65535
         +0 > [ect0] . 11001:12001(1000) ack 1
         +0 < .E 1:1(0) ack 6001 win 65535
         +0 > [ect0] . 12001:13001(1000) ack 1
         +0 < .E 1:1(0) ack 8001 win 65535
         +0 > [ect0] . 13001:14001(1000) ack 1
         // All that was out at the reduction: it is over, and the echo is still of it.
         +0 < .E 1:1(0) ack 10001 win 65535
         +0 > [ect0] . 14001:15001(1000) ack 1
         +0 %{ assert netloom.cwnd_bytes == 5000 }%",
    );
    t.info(|info| {
        assert_eq!(info.phase, Phase::Open);
        assert_eq!((info.ecn_reductions, info.ece_received), (1, 5));
        assert_eq!(info.delivered_ce, 10_000);
    });
    t.run(
        "// The CWR arrived: an echo from here on is of another mark.
         +.05 < . 1:1(0) ack 11001 win 65535
         +0 > [ect0] . 15001:16001(1000) ack 1
         +0 < .E 1:1(0) ack 12001 win 65535
         +0 > [ect0] .W 16001:17001(1000) ack 1
         +0 %{ assert netloom.ssthresh_bytes == 2500 }%
         +0 < . 1:1(0) ack 13001 win 65535
         +0 < . 1:1(0) ack 14001 win 65535
         +0 > [ect0] . 17001:18001(1000) ack 1",
    );
    t.info(|info| assert_eq!(info.ecn_reductions, 2));
}

/// Five are reported behind a hole that may be reordering, five more left in their place, and five that the window
/// grew by: a mark halves the window all the same, and not what is not acknowledged.
#[test]
fn what_left_in_place_of_reports_makes_no_marks_cut_shallow() {
    let mut t = agreed().build();
    t.run(
        "+0   write(4, ..., 40000) = 40000
         +0   > ...
         +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001>
         +0   > ...
         +.01 < . 1:1(0) ack 2001 win 65535
         +0   > ...
         +0   < . 1:1(0) ack 2001 win 65535 <sack 3001:8001>
         +0   > ...",
    );
    t.info(|info| {
        assert_eq!((info.phase, info.cwnd), (Phase::Disorder, 17_000));
        assert!(info.unacked >= 22_000, "{info:?}");
    });
    t.run(
        "+0 < .E 1:1(0) ack 2001 win 65535 <sack 3001:9001>
         +0 > ...
         +0 %{ assert netloom.ssthresh_bytes == 8500 }%",
    );
}

/// One CWR for a super-segment: whoever cuts it leaves it on the first of its segments.
#[test]
fn a_super_segment_says_once_that_the_window_was_reduced() {
    let mut t = Scenario::established().ecn().options(options()).build();
    t.run(
        "+0 write(4, ..., 40000) = 40000
         +0 > [ect0] . 1:10001(10x1000) ack 1
         +.05 < .E 1:1(0) ack 10001 win 65535
         +0 > [ect0] .W 10001:11001(1000) ack 1
         +0 > [ect0] . 11001:15001(4x1000) ack 1
         +.05 < . 1:1(0) ack 15001 win 65535
         // Congestion avoidance from half the window on.
         +0 > [ect0] . 15001:21001(6x1000) ack 1
         +0 %{ assert netloom.cwnd_bytes == 6000 }%",
    );
}

/// Covers: ECN-2 (what is sent again is not ECT), ECN-5 (a loss says CWR too)
#[test]
fn what_is_sent_again_is_not_ect_and_a_loss_is_answered_once_with_its_marks() {
    let mut t = agreed().build();
    first_window(&mut t);
    t.run(
        "+.05 < . 1:1(0) ack 1 win 65535 <sack 1001:4001>
         +0   > [noecn] . 1:1001(1000) ack 1
         +0   > [ect0] .W 10001:11001(1000) ack 1
         +0   %{ assert netloom.ssthresh_bytes == 5000 }%
         // Marks of the same window: they are answered for.
         +0   < .E 1:1(0) ack 1 win 65535 <sack 1001:10001>
         +0   > [ect0] . 11001:12001(1000) ack 1
         +0   > [ect0] . 12001:13001(1000) ack 1
         +0   > [ect0] . 13001:14001(1000) ack 1
         +.05 < .E 1:1(0) ack 10001 win 65535
         +0   > [ect0] . 14001:15001(1000) ack 1
         +0   %{ assert netloom.cwnd_bytes == 5000 }%",
    );
    t.info(|info| assert_eq!((info.ecn_reductions, info.ece_received), (0, 2)));
}

/// RFC 3168 §6.1.2: a loss in the window that a mark has reduced already.
#[test]
fn a_loss_behind_a_mark_reduces_no_more() {
    let mut t = agreed().build();
    first_window(&mut t);
    t.run(
        "+.05 < .E 1:1(0) ack 2001 win 65535
         +0   > [ect0] .W 10001:11001(1000) ack 1
         +0   %{ assert netloom.ssthresh_bytes == 5000 }%
         +0   < .E 1:1(0) ack 2001 win 65535 <sack 3001:6001>
         +0   > [noecn] . 2001:3001(1000) ack 1
         +0   > [ect0] .W 11001:12001(1000) ack 1
         +0   %{ assert netloom.ssthresh_bytes == 5000 }%",
    );
    t.info(|info| assert_eq!(info.phase, Phase::Recovery));
    t.run(
        "+.05 < .E 1:1(0) ack 10001 win 65535
         +0   > ...
         +.05 < . 1:1(0) ack 11001 win 65535
         +0   > ...
         +0   %{ assert netloom.ssthresh_bytes == 5000 }%
         // What was sent since is another window.
         +0   < . 1:1(0) ack 11001 win 65535 <sack 12001:15001>
         +0   > ...
         +0   %{ assert netloom.ssthresh_bytes == 2500 }%",
    );
}

/// One ACK tells that all of the window arrived which a mark has reduced, and that of the next one something is
/// missing: that is another loss.
#[test]
fn a_loss_in_the_window_after_a_mark_is_answered_for() {
    let mut t = agreed().build();
    first_window(&mut t);
    t.run(
        "+.05 < .E 1:1(0) ack 2001 win 65535
         +0   > [ect0] .W 10001:11001(1000) ack 1
         +0   < .E 1:1(0) ack 4001 win 65535
         +0   > [ect0] . 11001:12001(1000) ack 1
         +0   < .E 1:1(0) ack 6001 win 65535
         +0   > [ect0] . 12001:13001(1000) ack 1
         +0   < .E 1:1(0) ack 8001 win 65535
         +0   > [ect0] . 13001:14001(1000) ack 1
         +0   %{ assert netloom.ssthresh_bytes == 5000 }%
         +.05 < .E 1:1(0) ack 10001 win 65535 <sack 11001:14001>
         +0   > ...
         +0   %{ assert netloom.ssthresh_bytes == 2500 }%",
    );
    t.info(|info| assert_eq!((info.phase, info.ecn_reductions), (Phase::Recovery, 1)));
}

/// A time-out in the window that a mark has reduced sets cwnd back, and leaves the threshold.
#[test]
fn a_time_out_behind_a_mark_keeps_the_threshold() {
    let mut t = agreed().build();
    first_window(&mut t);
    t.run(
        "+.05 < .E 1:1(0) ack 2001 win 65535
         +0   > [ect0] .W 10001:11001(1000) ack 1
         // The tail is probed with new text, and then the time is out.
         +.1  > [ect0] . 11001:12001(1000) ack 1
         +.25 > [noecn] . 2001:3001(1000) ack 1
         +0   %{ assert netloom.ssthresh_bytes == 5000 }%
         +0   %{ assert netloom.cwnd_bytes == 1000 }%",
    );
}

/// Covers: ECN-2 (probes of a shut window)
#[test]
fn a_probe_of_a_shut_window_is_not_ect() {
    let mut t = agreed().build();
    t.run(
        "+0  < . 1:1(0) ack 1 win 0
         +0  write(4, ..., 1000) = 1000
         +.25 > [noecn] P. 1:2(1) ack 1
         +0  < . 1:1(0) ack 2 win 60000
         +0  > [ect0] P. 2:1001(999) ack 1",
    );
}

/// Covers: ECN-6
#[test]
fn a_window_of_one_segment_waits_for_the_timer() {
    let mut t = agreed().build();
    t.run(
        "+0 write(4, ..., 1000) = 1000
         +0 > [ect0] P. 1:1001(1000) ack 1
         +.05 < .E 1:1(0) ack 1001 win 65535
         +0 %{ assert netloom.ssthresh_bytes == 1000 }%
         +0 write(4, ..., 9000) = 9000
         +0 > [ect0] .W 1001:2001(1000) ack 1
         +.05 < .E 1:1(0) ack 2001 win 65535
         // Half a segment for each round trip is none now, and one when the timer is over.
         +.05 < .E 1:1(0) ack 2001 win 65535
         +0 %{ assert netloom.in_flight == 0 }%",
    );
    t.run(
        "+.2 > [ect0] .W 2001:3001(1000) ack 1
         // No mark: it goes on as ever.
         +.05 < . 1:1(0) ack 3001 win 65535
         +0 > [ect0] . 3001:4001(1000) ack 1
         +0 > [ect0] . 4001:5001(1000) ack 1",
    );
    t.counters(|c| assert_eq!(c.tcp_window_probes, 0));
}

/// RFC 3168 §6.1.2: not even a probe leaves a marked window of one segment before the timer is over, which
/// counts from the mark.
#[test]
fn no_probe_leaves_a_marked_window_of_one_segment() {
    let mut t = agreed().build();
    t.run(
        "+0 write(4, ..., 1000) = 1000
         +0 > [ect0] P. 1:1001(1000) ack 1
         +.05 < .E 1:1(0) ack 1001 win 65535
         +0 write(4, ..., 500) = 500
         +0 > [ect0] P.W 1001:1501(500) ack 1
         +.05 < . 1:1(0) ack 1501 win 65535
         +0 write(4, ..., 500) = 500
         +0 > [ect0] P. 1501:2001(500) ack 1
         +.1 < .E 1:1(0) ack 1501 win 65535
         +0 %{ assert netloom.ssthresh_bytes == 1000 }%
         +.25 > [noecn] P. 1501:2001(500) ack 1",
    );
    t.info(|info| assert_eq!((info.tail_probes, info.ecn_reductions), (0, 2)));
}

/// A probe repaired a loss in a window that a mark had reduced: that is answered for, and no second CWR says
/// otherwise, for which the peer would stop to echo the next mark.
#[test]
fn a_probe_in_a_marks_reduction_is_answered_for() {
    let mut t = agreed().build();
    t.run(
        "+0 write(4, ..., 4000) = 4000
         +0 > ...
         +.05 < . 1:1(0) ack 1001 win 65535
         +.1 > [noecn] P. 3001:4001(1000) ack 1
         +0 write(4, ..., 2000) = 2000
         +0 > ...
         +.01 < .E 1:1(0) ack 2001 win 65535
         +0 %{ assert netloom.ssthresh_bytes == 2500 }%
         +0 write(4, ..., 1000) = 1000
         +0 > [ect0] P.W 6001:7001(1000) ack 1
         +0 write(4, ..., 1000) = 1000
         +.05 < . 1:1(0) ack 5001 win 65535
         +0 < . 1:1(0) ack 6001 win 65535
         +0 > [ect0] P. 7001:8001(1000) ack 1
         +0 %{ assert netloom.ssthresh_bytes == 2500 }%",
    );
    t.info(|info| assert_eq!((info.tail_probes, info.ecn_reductions), (1, 1)));
}

/// A time-out that was none, in the window that a mark has reduced: the window is again what the mark left, for
/// the same marks no second time, and one CWR left for them.
#[test]
fn a_needless_time_out_behind_a_mark_leaves_what_the_mark_left() {
    for (choice, left) in [(Choice::Reno, 5000), (Choice::Cubic, 7000)] {
        let mut t = agreed().congestion(choice.clone()).build();
        first_window(&mut t);
        t.run(
            "+.05 < .E 1:1(0) ack 2001 win 65535
             +0   > ...
             +.1  > ...
             +.25 > . 2001:3001(1000) ack 1
             +0   %{ assert netloom.cwnd_bytes == 1000 }%
             +.01 < .E 1:1(0) ack 3001 win 65535
             +0   > ...
             +0   < . 1:1(0) ack 4001 win 65535
             +0   > ...",
        );
        t.info(|info| {
            assert_eq!((info.undos, info.phase), (0, Phase::Open), "echoed");
            assert_eq!((info.lost, info.retransmits), (0, 1));
        });
        let mut t = agreed().congestion(choice).build();
        first_window(&mut t);
        t.run(&format!(
            "+.05 < .E 1:1(0) ack 2001 win 65535
             +0   > ...
             +.1  > ...
             +.25 > . 2001:3001(1000) ack 1
             +.01 < . 1:1(0) ack 3001 win 65535
             +0   > ...
             +0   < . 1:1(0) ack 4001 win 65535
             +0   > ...
             +0   < .E 1:1(0) ack 5001 win 65535
             +0   > ...
             +0   %{{ assert netloom.ssthresh_bytes == {left} }}%
             +0   %{{ assert netloom.cwnd_bytes == {left} }}%"
        ));
        t.info(|info| {
            assert_eq!((info.undos, info.phase), (1, Phase::Reduction));
            assert_eq!((info.lost, info.ecn_reductions), (0, 1));
        });
    }
}

/// Echoes of what nobody sent, and a flood of them: one answer for a window, never below a segment.
#[test]
fn a_flood_of_echoes_costs_one_reduction_for_a_window() {
    let mut t = agreed().build();
    t.run("+0 < .E 1:1(0) ack 1 win 65535\n+0 %{ assert netloom.cwnd_bytes == 10000 }%");
    first_window(&mut t);
    t.run("+.05 < .E 1:1(0) ack 1 win 65535\n+0 > ...");
    for _ in 0..200 {
        t.run("+0 < .E 1:1(0) ack 1 win 65535");
    }
    t.run("+0 %{ assert netloom.ssthresh_bytes == 5000 }%");
    t.info(|info| assert_eq!((info.ecn_reductions, info.ece_received), (1, 201)));
}

/// An episode whose retransmissions were for nothing stays as it is when a mark came with it.
#[test]
fn nothing_is_undone_behind_an_echo() {
    for (flag, undos, ssthresh) in [("", 1, u32::MAX), ("E", 0, 5000)] {
        let mut t = agreed().build();
        first_window(&mut t);
        t.run(&format!(
            "+.05 < . 1:1(0) ack 1 win 65535 <sack 1001:4001>
             +0   > . 1:1001(1000) ack 1
             +0   > ...
             +.01 < .{flag} 1:1(0) ack 4001 win 65535
             +0   > ...
             +.04 < .{flag} 1:1(0) ack 4001 win 65535 <sack 1:1001>
             +0   > ...
             +.01 < . 1:1(0) ack 10001 win 65535
             +0   > ..."
        ));
        t.info(|info| {
            assert_eq!(info.undos, undos, "{flag}");
            assert_eq!(info.ssthresh, ssthresh, "{flag}");
        });
    }
}

/// What a reduction that was for nothing owed is owed no more: the next new text says nothing of it.
#[test]
fn a_reduction_that_is_undone_is_not_told_to_the_peer() {
    let mut t = agreed().build();
    t.run(&format!(
        "+0 write(4, ..., 10000) = 10000
         {}+0 > [ect0] P. 9001:10001(1000) ack 1
         +.05 < . 1:1(0) ack 1 win 65535 <sack 1001:10001>
         +0 > [noecn] . 1:1001(1000) ack 1
         +.05 < . 1:1(0) ack 10001 win 65535 <sack 1:1001>
         +0 write(4, ..., 1000) = 1000
         +0 > [ect0] P. 10001:11001(1000) ack 1",
        train(1, 9001)
    ));
    t.info(|info| assert_eq!(info.undos, 1));
}
