//! Scripts that hold, and scripts that do not: what is said of each, and of which line.

use super::super::ast::Script;
use super::super::source::Defines;
use super::super::{Drill, Outcome, Profile, Variant, Verdict};
use super::sockets::SocketState;
use super::{Setup, begin};

/// A listener and a connection that the peer opened, up to line 6, without options.
const OPEN: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32000 <mss 1000,sackOK>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>
+.1 < . 1:1(0) ack 1 win 32000
+0 accept(3, ..., ...) = 4
";

fn run(script: &str, variant: Variant) -> Option<Outcome> {
    Drill::new(Profile::linux()).run(script, variant)
}

fn plain(script: &str) -> Outcome {
    run(script, Variant::Plain).unwrap()
}

/// The script behind the handshake holds, strictly or not, in all variants.
fn passes(lines: &str) {
    let script = format!("{OPEN}{lines}");
    for variant in Variant::ALL {
        // Without timestamps there are none to wrap.
        if let Some(outcome) = run(&script, variant) {
            let name = variant.name();
            assert!(outcome.verdict.is_pass(), "{name}: {outcome:#?}\n{script}");
        }
    }
}

/// The script fails at a line behind the handshake, counted from 1, and says so.
fn fails(lines: &str, line: u32, says: &str) {
    let outcome = plain(&format!("{OPEN}{lines}"));
    assert_eq!(outcome.verdict, Verdict::Fail, "{lines}\n{outcome:#?}");
    let cause = outcome.cause.unwrap();
    assert_eq!(cause.line, line + 7, "{lines}\n{cause:?}");
    assert!(cause.text.contains(says), "{lines}\n{}", cause.text);
}

fn unsupported(lines: &str, line: u32, says: &str) {
    let outcome = plain(&format!("{OPEN}{lines}"));
    assert_eq!(
        outcome.verdict,
        Verdict::Unsupported,
        "{lines}\n{outcome:#?}"
    );
    let cause = outcome.cause.unwrap();
    assert_eq!(cause.line, line + 7, "{lines}\n{cause:?}");
    assert!(cause.text.contains(says), "{lines}\n{}", cause.text);
}

#[test]
fn a_handshake_holds_strictly_in_every_variant() {
    for variant in [Variant::Plain, Variant::Ipv6, Variant::Wrap] {
        let outcome = run(OPEN, variant).unwrap();
        assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:#?}");
    }
    assert!(run(OPEN, Variant::StampWrap).is_none(), "no timestamps");
}

#[test]
fn data_both_ways_and_an_end() {
    passes(
        "+0 write(4, ..., 2500) = 2500
         +0 > P. 1:2501(2500) ack 1
         +.1 < . 1:1(0) ack 2501 win 32000
         +0 < P. 1:3001(3000) ack 2501 win 32000
         +0 > . 2501:2501(0) ack 3001
         +0 read(4, ..., 1000) = 1000
         +0 read(4, ..., 5000) = 2000
         +0 shutdown(4, SHUT_WR) = 0
         +0 > F. 2501:2501(0) ack 3001
         +.1 < F. 3001:3001(0) ack 2502 win 32000
         +0 > . 2502:2502(0) ack 3002
         +0 read(4, ..., 5000) = 0
         +0 close(4) = 0",
    );
}

#[test]
fn segments_are_merged_and_split_until_lengths_agree() {
    passes(
        "+0 write(4, ..., 3000) = 3000
         +0 > . 1:501(500) ack 1
         +0 > . 501:2001(1500) ack 1
         +0 > P. 2001:3001(1000) ack 1",
    );
    let strict = format!(
        "--strict_segments\n{OPEN}+0 write(4, ..., 2000) = 2000\n+0 > P. 1:2001(2000) ack 1\n"
    );
    assert_eq!(plain(&strict).verdict, Verdict::Fail);
}

#[test]
fn segments_are_of_the_size_that_a_line_says() {
    let write = "+0 write(4, ..., 2500) = 2500\n";
    passes(&format!("{write}+0 > P. 1:2501(2x1000+500) ack 1"));
    fails(
        &format!("{write}+0 > P. 1:2501(5x500) ack 1"),
        2,
        "it left in segments of [1000, 1000, 500] bytes",
    );
    fails(
        &format!("{write}+0 > P. 1:1001(2x500) ack 1"),
        2,
        "segments of [1000]",
    );
    fails(
        &format!("{write}+0 > P. 1:1501(1x1000+500) ack 1"),
        2,
        "segments of [1000, 1000]",
    );
    // The peer's come as one super-segment.
    passes(
        "+0 < P. 1:2501(2x1000+500) ack 1 win 32000
         +0 > . 1:1(0) ack 2501
         +0 %{ assert tcpi_segs_in == 4, tcpi_segs_in }%",
    );
}

/// A super-segment is what the device makes of it: looked at segment by segment, it is no other script.
#[test]
fn super_segments_leave_as_the_device_cuts_them() {
    let script = format!(
        "--strict_segments\n{OPEN}+0 write(4, ..., 2500) = 2500
         +0 > . 1:1001(1000) ack 1
         +0 > . 1001:2001(1000) ack 1
         +0 > P. 2001:2501(500) ack 1
         +.1 < . 1:1(0) ack 2501 win 32000
         +0 write(4, ..., 2000) = 2000
         +0 > P. 2501:4501(2x1000) ack 1
         +.1 < . 1:1(0) ack 4501 win 32000\n"
    );
    for variant in [Variant::Plain, Variant::Offload] {
        let outcome = run(&script, variant).unwrap();
        assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:#?}");
    }
}

/// Two lines in one batch are one turn of the stack: two segments have one ACK.
#[test]
fn lines_of_one_batch_arrive_together() {
    let rest = ". 1:1001(1000) ack 1 win 32000
         +0 < . 1001:2001(1000) ack 1 win 32000
         +0 < . 2001:3001(1000) ack 1 win 32000\n";
    passes(&format!(
        "+0 < {rest}+0 > . 1:1(0) ack 1001\n+0 > . 1:1(0) ack 2001\n+0 > . 1:1(0) ack 3001"
    ));
    let joined = format!("+0 < {rest}").replace("< . 1", "<< . 1");
    passes(&format!("{joined}+0 > . 1:1(0) ack 3001"));
    // The last has nothing to come with.
    passes("+0 << R. 1:1(0) ack 1\n+0 read(4, ..., 1) = -1 ECONNRESET");
}

#[test]
fn what_leaves_may_be_anything_where_a_line_says_so() {
    passes(
        "+0 write(4, ..., 3000) = 3000
         +0 > . 1:1001(1000) ack 1
         +0 > ...
         +.1 < . 1:1(0) ack 3001 win 32000
         +.1 > ...",
    );
    // What leaves later is another line's.
    let later = "+0 > ...\n+0 write(4, ..., 10) = 10\n+0 close(4) = 0";
    fails(later, 3, "no line expects P. 1:11(10)");
}

#[test]
fn a_device_that_is_full_takes_nothing() {
    passes(
        "+0 `sysctl -w netloom.device_full=1`
         +0 write(4, ..., 1000) = 1000
         +1 `sysctl -w netloom.device_full=0`
         +0 > P. 1:1001(1000) ack 1
         +.1 < . 1:1(0) ack 1001 win 32000",
    );
    fails(
        "+0 `sysctl -w netloom.device_full=1`
         +0 write(4, ..., 1000) = 1000
         +0 > P. 1:1001(1000) ack 1",
        3,
        "nothing came",
    );
    let script = format!("`sysctl netloom.device_full=1`\n{OPEN}");
    assert_eq!(plain(&script).verdict, Verdict::Unsupported);
}

/// What one piece leaves is there in the next; what only a beginning can say fails there.
#[test]
fn a_script_in_pieces_goes_on_where_it_was() {
    let begin = |variant| Drill::new(Profile::linux()).begin(OPEN, variant);
    for variant in Variant::ALL {
        let Some(session) = begin(variant) else {
            assert_eq!(variant, Variant::StampWrap);
            continue;
        };
        let mut session = session.unwrap();
        let text = session.next_text(300);
        let (id, now) = (session.connection().unwrap(), session.now());
        assert_eq!(session.stack_mut().tcp_write(now, id, &text), Ok(300));
        let outcome = session.run(
            "+0 > P. 1:301(300) ack 1
             +.1 < . 1:1(0) ack 301 win 32000
             +0 %{ kept = tcpi_snd_wnd }%
             +0 write(4, ..., 50) = 50
             +0 > P. 301:351(50) ack 1",
        );
        assert!(outcome.verdict.is_pass(), "{outcome:#?}");
        let outcome = session.run("+.1 < . 1:1(0) ack 351 win 9\n+0 %{ assert kept == 32000 }%");
        assert!(outcome.verdict.is_pass(), "{outcome:#?}");
        assert_eq!(session.info().unwrap().snd_wnd, 9);
        assert_eq!(variant == Variant::Ipv6, session.addresses().0.is_ipv6());
        // Lines are counted anew, and what failed stays so.
        let outcome = session.run("+0 < . 1:1(0) ack 351 win 9\n+0 > . 5:5(0) ack 1");
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(outcome.cause.as_ref().map(|cause| cause.line), Some(2));
        assert_eq!(session.run("+0 close(4) = 0"), outcome);
    }
    for (text, says) in [
        ("--mss=5\n+0 close(4) = 0", "--mss behind the beginning"),
        ("`true`\n+0 close(4) = 0", "behind the beginning"),
        ("+0 `ifconfig tun0 mtu 900`", "an MTU behind the beginning"),
        ("+0 < X", "column"),
        ("+0 write(4, ..., 10) = 10", "no line expects"),
    ] {
        let mut session = begin(Variant::Plain).unwrap().unwrap();
        let outcome = session.run(text);
        assert!(!outcome.verdict.is_pass(), "{text}");
        let cause = outcome.cause.unwrap().text;
        assert!(cause.contains(says), "{text}: {cause}");
    }
    let failed = Drill::default().begin("0 close(3) = 0", Variant::Plain);
    assert!(failed.unwrap().is_err());
}

/// How far from the wrap a run begins, who runs it says.
#[test]
fn the_wrap_is_as_near_as_asked_for() {
    for below in [0, 1, 5000] {
        let drill = Drill::new(Profile::linux()).below_wrap(below);
        let session = drill.begin(OPEN, Variant::Wrap).unwrap().unwrap();
        assert_eq!(session.our_isn(), Some(0u32.wrapping_sub(below)));
    }
}

/// Packets of others are the stack's affair, and not the script's.
#[test]
fn a_packet_that_is_no_lines_is_answered_beside_the_script() {
    let drill = Drill::new(Profile::linux());
    let mut session = drill.begin(OPEN, Variant::Plain).unwrap().unwrap();
    let (ours, theirs) = session.addresses();
    let header = super::super::ast::IpInfo::default();
    // Nobody is at this port, and the answer is a RST.
    let mut segment = vec![0; 60];
    let mut fields = crate::tcp::Fields::default();
    (fields.src_port, fields.dst_port) = (7, 9);
    fields.flags = crate::tcp::Flags::SYN;
    let len = fields.emit(&crate::tcp::Options::NONE, &mut segment);
    segment.truncate(len);
    let ends = ((theirs, 7).into(), (ours, 9).into());
    let protocol = crate::base::Protocol::TCP;
    let packet = super::inject::packet(ends, &header, protocol, segment, Some(16)).unwrap();
    for _ in 0..2 {
        assert_eq!(session.exchange(&packet).unwrap().len(), 1);
    }
    let outcome = session.run("+0 close(4) = 0\n+0 > F. 1:1(0) ack 1");
    assert!(outcome.verdict.is_pass(), "{outcome:#?}");
}

#[test]
fn what_does_not_hold_is_told_with_its_line() {
    let write = "+0 write(4, ..., 1000) = 1000\n";
    let table = [
        ("+0 > P. 2:1002(1000) ack 1", 2, "the sequence number is 1"),
        ("+0 > P. 1:1001(1000) ack 2", 2, "it acknowledges 1"),
        ("+0 > FP. 1:1001(1000) ack 1", 2, "the flags differ"),
        ("+0 > P. 1:1101(1100) ack 1", 2, "1000 bytes of text"),
        (
            "+0 > P. 1:1001(1000) ack 1 <nop,nop,TS val 1 ecr 1>",
            2,
            "no option TS",
        ),
        ("+0 > [ect0] P. 1:1001(1000) ack 1", 2, "ECN field is 00"),
        ("+0 > (ttl 3) P. 1:1001(1000) ack 1", 2, "hop limit is 64"),
        ("+1 > P. 1:1001(1000) ack 1", 2, "too early"),
        ("+0 > udp (5)", 2, "another protocol"),
        (
            "+0 < . 1:1(0) ack 1 win 5",
            2,
            "no line expects P. 1:1001(1000)",
        ),
        ("", 1, "no line expects P. 1:1001(1000)"),
    ];
    for (line, number, says) in table {
        fails(&format!("{write}{line}"), number, says);
    }
    fails("+0 > . 1:1(0) ack 1", 1, "nothing came");
    fails("+0 read(4, ..., 10) = 10", 1, "the call blocks");
    fails("+0 close(9) = 0", 1, "close returned -1 EBADF and not 0");
    fails(
        "+0 write(4, ..., 10) = 11\n* > P. 1:11(10) ack 1",
        1,
        "write returned 10",
    );
    fails(
        "+0 %{ assert tcpi_state == TCP_CLOSE }%",
        1,
        "tcpi_state is 1",
    );
    fails(
        "+0 `ss -n | grep FIN-WAIT-1`",
        1,
        "the state is ESTABLISHED",
    );
    fails("+0 socket(..., SOCK_STREAM, 0) = 4", 1, "open already");
    fails("+0 write(3, ..., 1) = 1", 1, "EPIPE");
}

/// The last packets before a failure, in the script's numbers.
#[test]
fn a_failure_shows_what_passed() {
    let outcome = plain(&format!("{OPEN}+0 > . 1:1(0) ack 1"));
    assert_eq!(
        outcome.history,
        [
            "0.000000 < S 0:0(0) win 32000 <mss 1000,sackOK>",
            "0.000000 > S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK>",
            "0.100000 < . 1:1(0) ack 1 win 32000",
        ]
    );
}

#[test]
fn times_have_a_tolerance_and_ranges() {
    // A delayed ACK: after 40 ms when nothing is quick.
    let quiet = "+0 < P. 1:101(100) ack 1 win 32000\n";
    let open = format!("`sysctl net.ipv4.tcp_sack=1`\n{OPEN}").replace('`', "`");
    let mut profile = Profile::linux();
    profile.set("quick_acks", "0").unwrap();
    let drill = Drill::new(profile);
    let verdict = |line: &str| {
        let script = format!("{open}{quiet}{line}\n");
        drill.run(&script, Variant::Plain).unwrap().verdict
    };
    assert_eq!(verdict("+.04 > . 1:1(0) ack 101"), Verdict::StrictPass);
    assert_eq!(verdict("+.043 > . 1:1(0) ack 101"), Verdict::StrictPass);
    assert_eq!(verdict("+.05 > . 1:1(0) ack 101"), Verdict::Fail);
    assert_eq!(verdict("+.03 > . 1:1(0) ack 101"), Verdict::Fail);
    assert_eq!(verdict("+.03~+.05 > . 1:1(0) ack 101"), Verdict::StrictPass);
    assert_eq!(verdict("* > . 1:1(0) ack 101"), Verdict::StrictPass);
    assert_eq!(verdict("0.14 > . 1:1(0) ack 101"), Verdict::StrictPass);
    assert_eq!(verdict("0.1~0.2 > . 1:1(0) ack 101"), Verdict::StrictPass);
    assert_eq!(verdict("0.2~0.3 > . 1:1(0) ack 101"), Verdict::Fail);
}

#[test]
fn calls_that_block_return_when_they_must() {
    let read = |until: &str, at: &str| {
        let lines = format!(
            "+0...{until} read(4, ..., 500) = 300
             +{at} < P. 1:301(300) ack 1 win 32000
             +0 > . 1:1(0) ack 301\n"
        );
        plain(&format!("{OPEN}{lines}"))
    };
    assert_eq!(read("0.2", ".2").verdict, Verdict::StrictPass);
    let early = read("0.2", ".1");
    assert!(early.cause.unwrap().text.contains("returned at 200ms"));
    let late = read("0.1", ".2");
    assert!(
        late.cause
            .unwrap()
            .text
            .contains("has not returned in time")
    );
    let never = plain(&format!("{OPEN}+0...0.3 read(4, ..., 500) = 300\n"));
    assert!(never.cause.unwrap().text.contains("has not returned"));
}

/// A blocking write ends when all of it is taken; one that does not block takes what there is room for.
#[test]
fn a_write_waits_for_room() {
    let start =
        format!("`sysctl netloom.send_buffer_initial=10000 netloom.send_buffer_max=10000`\n{OPEN}");
    let blocking = "+0...0.1 write(4, ..., 15000) = 15000
        +0 > P. 1:10001(10000) ack 1
        +.1 < . 1:1(0) ack 10001 win 32000
        +0 > P. 10001:15001(5000) ack 1";
    let outcome = plain(&format!("{start}{blocking}"));
    assert!(outcome.verdict.is_pass(), "{outcome:#?}");
    let at_once = "+0 send(4, ..., 15000, MSG_DONTWAIT) = 10000
        +0 > P. 1:10001(10000) ack 1
        +0 send(4, ..., 5000, MSG_DONTWAIT) = -1 EAGAIN (...)";
    let outcome = plain(&format!("{start}{at_once}"));
    assert!(outcome.verdict.is_pass(), "{outcome:#?}");
    let outcome = plain(&format!("{start}+0 write(4, ..., 15000) = 15000\n"));
    assert!(outcome.cause.unwrap().text.contains("the call blocks"));
}

#[test]
fn an_active_open_waits_for_the_answer() {
    let script = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0...0.1 connect(3, ..., ...) = 0
        +0 > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>
        +.1 < S. 0:0(0) ack 1 win 5792 <mss 1460,sackOK,TS val 700 ecr 100,nop,wscale 7>
        +0 > . 1:1(0) ack 1 <nop,nop,TS val 200 ecr 700>
        +0 write(3, ..., 10) = 10
        +0 > P. 1:11(10) ack 1 <nop,nop,TS val 200 ecr 700>
        +.1 < . 1:1(0) ack 11 win 100 <nop,nop,TS val 800 ecr 200>
        +0 %{ assert tcpi_rtt > 90000 and tcpi_options & TCPI_OPT_TIMESTAMPS }%";
    for variant in Variant::ALL {
        let outcome = run(script, variant).unwrap();
        assert!(
            outcome.verdict.is_pass(),
            "{}: {outcome:#?}",
            variant.name()
        );
    }
    let refused = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
        +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
        +0 > S 0:0(0) <...>
        +.1 < R. 0:0(0) ack 1 win 0
        +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [111], [4]) = 0
        +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0";
    assert_eq!(plain(refused).verdict, Verdict::StrictPass);
}

#[test]
fn timestamps_are_checked_by_their_ticks() {
    let script = |tick: &str, val: u32, ecr: u32| {
        format!(
            "--tcp_ts_tick_usecs={tick}
            0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
            +0 bind(3, ..., ...) = 0
            +0 listen(3, 1) = 0
            +0 < S 0:0(0) win 1000 <mss 1000,TS val 7 ecr 0>
            +0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,TS val 50 ecr 7>
            +.1 < . 1:1(0) ack 1 win 1000 <nop,nop,TS val 9 ecr {ecr}>
            +0 accept(3, ..., ...) = 4
            +0 write(4, ..., 10) = 10
            +0 > P. 1:11(10) ack 1 <nop,nop,TS val {val} ecr 9>\n"
        )
    };
    assert_eq!(plain(&script("1000", 150, 50)).verdict, Verdict::StrictPass);
    assert_eq!(plain(&script("1000", 154, 50)).verdict, Verdict::Pass);
    assert_eq!(plain(&script("1000", 180, 50)).verdict, Verdict::Fail);
    assert_eq!(plain(&script("0", 180, 50)).verdict, Verdict::Pass);
    assert_eq!(plain(&script("10000", 60, 50)).verdict, Verdict::Pass);
    let stray = plain(&script("1000", 150, 51));
    assert!(stray.cause.unwrap().text.contains("ecr 51 names no TSval"));
    for variant in [Variant::Wrap, Variant::StampWrap] {
        let outcome = run(&script("1000", 150, 50), variant).unwrap();
        assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:#?}");
    }
}

/// A bare ACK that no line expects is only the strict verdict's business.
#[test]
fn surplus_acks_cost_strictness_and_surplus_data_the_script() {
    let lines = "+0 < P. 1:2001(2000) ack 1 win 32000\n+0 read(4, ..., 2000) = 2000\n";
    let outcome = plain(&format!("{OPEN}{lines}"));
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert!(
        outcome
            .cause
            .unwrap()
            .text
            .contains("no line expects . 1:1(0) ack 2001")
    );
    let more = "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 2001\n";
    let outcome = plain(&format!("{OPEN}{lines}{more}"));
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:#?}");
}

#[test]
fn what_netloom_has_not_is_unsupported_wherever_it_stands() {
    // Though the line before it would fail.
    let table = [
        ("+0 `tc qdisc add`", "tc qdisc add"),
        ("+0 sendfile(4, 5, [0], 100) = 100", "the call sendfile"),
        (
            "+0 setsockopt(4, SOL_TCP, TCP_MD5SIG, ..., 5) = 0",
            "TCP_MD5SIG",
        ),
        (
            "+0 < . 1:1(0) ack 1 win 5 <FOEXP 1234>",
            "the TCP option FOEXP",
        ),
        ("+0 < sctp: INIT", "sctp"),
        ("+0 %{ print(1) }%", "code: print"),
        ("+0 %{ assert tcpi_ato == 1 }%", "the name tcpi_ato"),
        ("+0 < icmp redirect", "icmp redirect"),
    ];
    for (line, says) in table {
        unsupported(&format!("+0 close(77) = 0\n{line}"), 2, says);
    }
    unsupported("+0 recv(4, ..., 5, MSG_OOB) = 5", 1, "the flag MSG_OOB");
    unsupported(
        "+0 setsockopt(4, SOL_TCP, TCP_CORK, [1], 4) = 0",
        1,
        "TCP_CORK 1",
    );
    let option = plain("--tap=1\n0 close(3) = 0");
    assert_eq!(option.verdict, Verdict::Unsupported);
    unsupported(
        "+0 `sysctl net.ipv4.tcp_sack=0`",
        1,
        "while a connection is there",
    );
}

#[test]
fn options_and_commands_set_the_profile_before_sockets() {
    let script = "`sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_window_scaling=0
            sysctl net.ipv4.tcp_timestamps=0`
        0 `ip link set dev tun0 mtu 1000`
        +0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
        +0 connect(3, ..., ...) = -1 EINPROGRESS (...)
        +0 > S 0:0(0) <mss 960>
        +.1 < S. 0:0(0) ack 1 win 50000 <mss 1460,sackOK,nop,wscale 7>
        +0 > . 1:1(0) ack 1
        +0 %{ assert tcpi_options == 0, tcpi_options }%";
    let outcome = plain(script);
    assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:#?}");
    let scaled = "`sysctl net.ipv4.tcp_timestamps=0`
        0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
        +0 connect(3, ..., ...) = -1 EINPROGRESS (...)
        +0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>";
    assert_eq!(plain(scaled).verdict, Verdict::StrictPass);
}

#[test]
fn the_first_time_out_follows_the_profile() {
    let mut profile = Profile::rfc();
    profile.set("initial_rto_ms", "300").unwrap();
    let connect = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
        +0 connect(3, ..., ...) = -1 EINPROGRESS (...)
        +0 > S 0:0(0) <...>
        +.3 > S 0:0(0) <...>
        +.6 > S 0:0(0) <...>";
    let listen = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0 bind(3, ..., ...) = 0
        +0 listen(3, 1) = 0
        +0 < S 0:0(0) win 1000 <mss 1000>
        +0 > S. 0:0(0) ack 1 <...>
        +.3 > S. 0:0(0) ack 1 <...>
        +.6 > S. 0:0(0) ack 1 <...>";
    for script in [connect, listen] {
        let outcome = Drill::new(profile.clone())
            .run(script, Variant::Plain)
            .unwrap();
        assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:#?}");
    }
}

#[test]
fn sockets_are_watched() {
    passes(
        "+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1
         +0 epoll_create(1) = 5
         +0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4}) = 0
         +0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 0
         +0...0.1 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, -1) = 1
         +.1 < P. 1:11(10) ack 1 win 32000
         +0 > . 1:1(0) ack 11
         +0 ioctl(4, SIOCINQ, [10]) = 0
         +0 recv(4, ..., 100, MSG_PEEK) = 10
         +0 read(4, ..., 100) = 10
         +0...0.05 poll([{fd=4, events=POLLIN, revents=0}], 1, 50) = 0
         +.2 recv(4, ..., 1, MSG_DONTWAIT) = -1 EAGAIN (...)",
    );
}

#[test]
fn options_of_sockets_are_set_and_read() {
    passes(
        "+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
         +0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0
         +0 setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [5], 4) = 0
         +0 setsockopt(4, SOL_TCP, TCP_KEEPINTVL, [2], 4) = 0
         +0 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
         +5 > . 0:0(0) ack 1
         +2 > . 0:0(0) ack 1
         +0 < . 1:1(0) ack 1 win 32000
         +0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0
         +0 close(4) = 0
         +0 > R. 1:1(0) ack 1",
    );
    fails(
        "+0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0",
        1,
        "TCP_NODELAY is 0",
    );
}

#[test]
fn states_and_a_reset() {
    passes(
        "+0 close(4) = 0
         +0 > F. 1:1(0) ack 1
         +0 `ss -n | grep -q FIN-WAIT-1`
         +.1 < . 1:1(0) ack 2 win 32000
         +0 `ss -n | grep -q FIN-WAIT-2`
         +.1 < F. 1:1(0) ack 2 win 32000
         +0 > . 2:2(0) ack 2
         +0 `ss -n | grep -q TIME-WAIT`",
    );
    passes(
        "+0 < R. 1:1(0) ack 1 win 0
         +0 read(4, ..., 10) = -1 ECONNRESET (Connection reset by peer)
         +0 read(4, ..., 10) = 0
         +0 write(4, ..., 10) = -1 EPIPE (Broken pipe)
         +0 `ss -n | grep -q CLOSED`",
    );
}

#[test]
fn other_protocols_pass_both_ways() {
    let datagrams = "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3
        +0 bind(3, ..., ...) = 0
        +0 connect(3, ..., ...) = 0
        +0 send(3, ..., 100, 0) = 100
        +0 > udp (100)
        +.1 < udp (50)
        +0 recv(3, ..., 1000, 0) = 50
        +0 sendto(3, ..., 5, 0, ..., ...) = 5
        +0 > udp (5)";
    let outcome = plain(datagrams);
    assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:#?}");
    let echo = "0 < icmp echo_request id 7 [raw (20)]\n+0 > icmp echo_reply id 7";
    assert_eq!(plain(echo).verdict, Verdict::StrictPass);
    let port = "0 < udp 5000 > 9 (50)\n+0 > icmp unreachable port_unreachable";
    assert_eq!(plain(port).verdict, Verdict::StrictPass);
    let refused = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0...0.1 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)
        +0 > S 0:0(0) <...>
        +.1 < icmp unreachable port_unreachable [0:0(0)]";
    assert_eq!(
        plain(refused).verdict,
        Verdict::StrictPass,
        "{:#?}",
        plain(refused)
    );
}

#[test]
fn super_segments_come_in_as_the_option_says() {
    let script = format!(
        "--mss=1000\n{OPEN}+0 < P. 1:5001(5000) ack 1 win 32000\n* > . 1:1(0) ack 5001\n+0 read(4, ..., 9000) = 5000\n+0 %{{ assert tcpi_segs_in == 6, tcpi_segs_in }}%\n"
    );
    let outcome = plain(&script);
    assert!(outcome.verdict.is_pass(), "{outcome:#?}");
}

#[test]
fn what_is_not_fatal_costs_strictness() {
    let script = format!("--non_fatal=syscall\n{OPEN}+0 close(9) = 0\n");
    assert_eq!(plain(&script).verdict, Verdict::Pass);
    let write = "+0 write(4, ..., 1000) = 1000\n";
    for line in ["+0 > P. 1:1001(1000) ack 9", "+1 > P. 1:1001(1000) ack 1"] {
        let script = format!("--non_fatal=packet\n{OPEN}{write}{line}\n");
        let outcome = plain(&script);
        assert_eq!(outcome.verdict, Verdict::Pass, "{line}: {outcome:?}");
    }
}

/// Nothing was compared where nothing came, and where no line is.
#[test]
fn what_is_missing_is_fatal_whatever_a_script_says() {
    let table = [
        ("+0 > . 1:1(0) ack 1", "nothing came"),
        ("+0 write(4, ..., 9) = 9", "no line expects P. 1:10(9)"),
        ("+0...0.1 read(4, ..., 9) = 9", "the call has not returned"),
    ];
    for (line, says) in table {
        let script = format!("--non_fatal=packet,syscall\n{OPEN}{line}\n");
        let outcome = plain(&script);
        assert_eq!(outcome.verdict, Verdict::Fail, "{line}");
        let cause = outcome.cause.unwrap().text;
        assert!(cause.contains(says), "{line}: {cause}");
    }
}

/// What a script says and nothing here would compare is no pass.
#[test]
fn events_are_compared_or_told() {
    let watch = "+0 epoll_create(1) = 5
        +0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLOUT, u64=7}) = 0\n";
    let table = [
        ("{events=EPOLLOUT, u64=8}", Verdict::Fail),
        ("{events=EPOLLIN, u64=7}", Verdict::Fail),
        ("[{events=EPOLLOUT}, {events=EPOLLOUT}]", Verdict::Fail),
        ("{events=EPOLLOUT, colour=7}", Verdict::Unsupported),
        ("7", Verdict::Unsupported),
        ("[7]", Verdict::Unsupported),
        ("{events=EPOLLOUT, u64=7}", Verdict::StrictPass),
        ("{events=EPOLLOUT}", Verdict::StrictPass),
        ("...", Verdict::StrictPass),
    ];
    for (said, verdict) in table {
        let script = format!("{OPEN}{watch}+0 epoll_wait(5, {said}, 2, 0) = 1\n");
        assert_eq!(plain(&script).verdict, verdict, "{said}");
    }
}

/// Calls with arguments that are compared, that the call does not take, and that nothing compares.
const CALLS: &[(&str, Verdict)] = &[
    ("close(4, 5) = 0", Verdict::Fail),
    ("recv(4, ..., 5) = 5", Verdict::Fail),
    ("socket(AF_INET6, SOCK_STREAM, 0) = 5", Verdict::Unsupported),
    ("socket(..., 5, 0) = 5", Verdict::Unsupported),
    (
        "socket(..., SOCK_STREAM, IPPROTO_UDP) = 5",
        Verdict::Unsupported,
    ),
    ("socket(AF_INET, SOCK_STREAM, 0) = 5", Verdict::StrictPass),
    (
        "getsockopt(4, SOL_TCP, TCP_NODELAY, [X], [4]) = 0",
        Verdict::Unsupported,
    ),
    (
        "getsockopt(4, SOL_TCP, TCP_NODELAY, [0], [8]) = 0",
        Verdict::Unsupported,
    ),
    (
        "getsockopt(4, SOL_SOCKET, TCP_NODELAY, [0], [4]) = 0",
        Verdict::Unsupported,
    ),
    (
        "getsockopt(4, SOL_TCP, TCP_NODELAY, [0], [4]) = 0",
        Verdict::StrictPass,
    ),
    (
        "getsockopt(4, SOL_TCP, TCP_NODELAY, ..., ...) = 0",
        Verdict::StrictPass,
    ),
    (
        "getsockopt(4, SOL_TCP, TCP_CONGESTION, [7], ...) = 0",
        Verdict::Unsupported,
    ),
    (
        "getsockopt(4, SOL_SOCKET, SO_ERROR, [EODD], [4]) = 0",
        Verdict::Unsupported,
    ),
    (
        "getsockopt(4, SOL_SOCKET, SO_LINGER, [5], [8]) = 0",
        Verdict::Unsupported,
    ),
    (
        "getsockopt(4, SOL_SOCKET, SO_LINGER, [{onoff=1, linger=0}], [8]) = 0",
        Verdict::Fail,
    ),
    (
        "getsockopt(4, SOL_SOCKET, SO_LINGER, {0, 0}, [8]) = 0",
        Verdict::StrictPass,
    ),
    (
        "setsockopt(4, SOL_SOCKET, SO_LINGER, [1], 8) = 0",
        Verdict::Unsupported,
    ),
    (
        "setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 2) = 0",
        Verdict::Unsupported,
    ),
    (
        "setsockopt(4, SOL_SOCKET, SO_REUSEADDR, \"a\", 4) = 0",
        Verdict::Unsupported,
    ),
    ("ioctl(4, SIOCINQ, [X]) = 0", Verdict::Unsupported),
    ("ioctl(4, SIOCINQ, [...]) = 0", Verdict::StrictPass),
    (
        "poll([{fd=4, events=POLLOUT, revents=POLLOUT}], 2, 0) = 1",
        Verdict::Unsupported,
    ),
    (
        "poll([{fd=4, events=POLLOUT, odd=1}], 1, 0) = 1",
        Verdict::Unsupported,
    ),
    ("writev(4, [{..., 5}], 2) = 5", Verdict::Unsupported),
    (
        "sendmsg(4, {msg_iov(2)=[{..., 5}]}, 0) = 5",
        Verdict::Unsupported,
    ),
    ("write(4, NULL, 5) = -1 EFAULT", Verdict::StrictPass),
    ("write(4, NULL, 5) = 5", Verdict::Fail),
    ("write(4, NULL, 0) = 0", Verdict::StrictPass),
];

#[test]
fn every_argument_is_compared_or_told() {
    for &(call, verdict) in CALLS {
        let outcome = plain(&format!("{OPEN}+0 {call}\n"));
        assert_eq!(outcome.verdict, verdict, "{call}: {outcome:?}");
    }
}

/// Start and end of a call that blocks count from the same event.
#[test]
fn an_end_counts_from_where_the_start_does() {
    let read = |end: &str| {
        format!(
            "{OPEN}+.1...{end} read(4, ..., 500) = 500
             +.2 < P. 1:501(500) ack 1 win 32000
             +0 > . 1:1(0) ack 501\n"
        )
    };
    assert_eq!(plain(&read("0.3")).verdict, Verdict::StrictPass);
    assert_eq!(plain(&read("0.2")).verdict, Verdict::Fail);
    assert_eq!(plain(&read("0.4")).verdict, Verdict::Fail);
}

#[test]
fn code_goes_on_behind_a_backslash_and_puts_values_into_texts() {
    passes(
        "+0 %{ assert tcpi_state == 1; \\\n assert tcpi_unacked == 0, \\\n 'out=%d' % tcpi_unacked }%",
    );
    fails(
        "+0 %{ assert 1 == 2, 'a %d of %s, %d%%' % (tcpi_state, 'it', 7) }%",
        1,
        ", a 1 of it, 7%",
    );
    for wrong in ["'%d' % (1, 2)", "'%d %d' % 1", "'%z' % 1"] {
        let script = format!("{OPEN}+0 %{{ assert 1 == 2, {wrong} }}%\n");
        let cause = plain(&script).cause.unwrap().text;
        assert!(!cause.contains("does not hold"), "{wrong}: {cause}");
    }
}

/// A text that each line makes of itself twice over ends at a bound, and so do names.
#[test]
fn code_cannot_fill_memory() {
    let doubled = |lines: usize| {
        let twice = "+0 %{ x = '%s%s' % (x, x) }%\n".repeat(lines);
        plain(&format!("{OPEN}+0 %{{ x = '0123456789abcdef' }}%\n{twice}"))
    };
    assert_eq!(doubled(8).verdict, Verdict::StrictPass);
    let outcome = doubled(24);
    assert_eq!(outcome.verdict, Verdict::Fail);
    let cause = outcome.cause.unwrap();
    assert!(cause.text.contains("4096 bytes"), "{cause:?}");
    assert!(cause.text.len() < 200, "{cause:?}");
    // Nor does one line show a text more often than it holds.
    let values = vec!["x"; 100_000].join(", ");
    let places = "%s".repeat(100_000);
    let line = format!("+0 %{{ y = '{places}' % ({values}) }}%\n");
    let outcome = plain(&format!(
        "{OPEN}+0 %{{ x = '{}' }}%\n{line}",
        "a".repeat(4000)
    ));
    assert!(outcome.cause.unwrap().text.contains("4096 bytes"));
    let names = |n: usize| (0..n).map(|i| format!("n{i} = 1;")).collect::<String>();
    let named = |n: usize| plain(&format!("{OPEN}+0 %{{ {} }}%\n", names(n)));
    assert_eq!(named(256).verdict, Verdict::StrictPass);
    let cause = named(257).cause.unwrap().text;
    assert!(cause.contains("256 names"), "{cause}");
}

#[test]
fn settings_are_restored_at_the_end_alone() {
    let restore = "`/tmp/sysctl_restore_${PPID}.sh`";
    passes(restore);
    unsupported(
        &format!("+0 {restore}\n+0 close(3) = 0"),
        1,
        "restored before the end",
    );
    let wrong = format!("`sysctl -q net.ipv4.tcp_ecn=5`\n{OPEN}");
    assert_eq!(plain(&wrong).verdict, Verdict::Unsupported);
}

/// What the last calls of a script send is nobody's line; a line about a packet behind them is one.
#[test]
fn the_end_of_a_script_may_close_unasked() {
    let script = |lines: &str| plain(&format!("{OPEN}{lines}\n"));
    let closed = script("+0 close(4) = 0\n+0 close(3) = 0");
    assert_eq!(closed.verdict, Verdict::Pass, "{closed:?}");
    for lines in [
        "+0 close(4) = 0\n+0 < . 1:1(0) ack 1 win 5",
        "+0 write(4, ..., 5) = 5\n+0 close(4) = 0",
    ] {
        assert_eq!(script(lines).verdict, Verdict::Fail, "{lines}");
    }
}

/// One listener after the other: each connection is another one, whatever became of the one before.
#[test]
fn another_listener_is_another_connection() {
    let twice = format!(
        "{OPEN}+0 write(4, ..., 10) = 10
         +0 > P. 1:11(10) ack 1
         +0 close(4) = 0
         +0 close(3) = 0
         {}",
        OPEN.replacen("0 socket", "+0 socket", 1)
    );
    let outcome = plain(&twice);
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:#?}");
    let cause = outcome.cause.unwrap().text;
    assert!(cause.contains("no line expects F. 11:11(0)"), "{cause}");
}

/// What the connection before sent unasked fails there as it does at the end.
#[test]
fn another_connection_does_not_hide_what_the_one_before_sent() {
    let with = |lines: &str| {
        let next = OPEN.replacen("0 socket", "+0 socket", 1);
        plain(&format!("{OPEN}+0 close(3) = 0\n{lines}\n{next}"))
    };
    for (lines, shown) in [
        ("+0 write(4, ..., 10) = 10\n+0 close(4) = 0", "P. 1:11(10)"),
        (
            "+0 close(4) = 0\n+0 < . 1:1(0) ack 1 win 32000",
            "F. 1:1(0)",
        ),
        (
            "+0 < . 1:11(10) ack 1 win 32000\n+0 close(4) = 0",
            "R. 1:1(0)",
        ),
    ] {
        let outcome = with(lines);
        let expected = if shown.starts_with("R.") {
            // Closed behind the last packet: left open, as at the end.
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        assert_eq!(outcome.verdict, expected, "{lines}: {outcome:?}");
        if expected == Verdict::Fail {
            let cause = outcome.cause.unwrap().text;
            assert!(
                cause.contains(&format!("no line expects {shown}")),
                "{cause}"
            );
        }
    }
}

#[test]
fn a_message_tells_what_waits_behind_it() {
    let arrive = "+0 < P. 1:101(100) ack 1 win 32000
        +0 > . 1:1(0) ack 101
        +0 < F. 101:101(0) ack 1 win 32000
        +0 > . 1:1(0) ack 102\n";
    let read = |len: u32, waits: u32| {
        format!(
            "+0 recvmsg(4, {{msg_name(...)=..., msg_iov(1)=[{{..., {len}}}], msg_flags=0, \
             msg_control=[{{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data={waits}}}]}}, 0) = {len}\n"
        )
    };
    let on = "+0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0\n";
    passes(&format!("{on}{arrive}{}{}", read(40, 60), read(60, 1)));
    fails(
        &format!("{on}{arrive}{}", read(40, 61)),
        6,
        "TCP_CM_INQ is 60",
    );
    fails(
        &format!("{arrive}{}", read(40, 60)),
        5,
        "TCP_CM_INQ is absent",
    );
}

/// Lost, and of that sent again: until something is heard of it.
#[test]
fn what_is_sent_again_is_counted_while_it_is_out() {
    passes(
        "+0 write(4, ..., 5000) = 5000
         +0 > P. 1:5001(5000) ack 1
         +.1 < . 1:1(0) ack 1 win 32000 <nop,nop,sack 1001:2001>
         +0 < . 1:1(0) ack 1 win 32000 <nop,nop,sack 1001:3001>
         +0 < . 1:1(0) ack 1 win 32000 <nop,nop,sack 1001:4001>
         +0 > . 1:1001(1000) ack 1
         +0 %{ assert tcpi_lost == 1, tcpi_lost; assert tcpi_retrans == 1; assert tcpi_sacked == 3 }%
         +.1 < . 1:1(0) ack 5001 win 32000
         +0 %{ assert tcpi_lost == 0; assert tcpi_retrans == 0; assert tcpi_total_retrans == 1 }%",
    );
}

#[test]
fn code_sees_counters_drops_and_events() {
    passes(
        "+0 %{ assert netloom.tcp_accepted == 1; assert netloom.event_readable == 0 }%
         +0 < P. 1:11(10) ack 1 win 32000
         +0 > . 1:1(0) ack 11
         +0 %{ assert netloom.event_readable == 1; assert netloom.unread == 10 }%
         +0 < . 11:11(0) ack 999 win 5
         +0 > . 1:1(0) ack 11
         +0 %{ assert netloom.drop_tcp_bad_ack == 1; assert netloom.drop_no_route == 0 }%
         +0 < R. 11:11(0) ack 1 win 0
         +0 %{ assert netloom.tcp_resets_received == 1; assert netloom.event_failed == 1 }%",
    );
    fails(
        "+0 %{ assert netloom.tcp_opened == 7 }%",
        1,
        "netloom.tcp_opened is 0",
    );
    unsupported("+0 %{ assert netloom.colour == 7 }%", 1, "netloom.colour");
    unsupported(
        "+0 %{ assert netloom.drop_luck == 7 }%",
        1,
        "netloom.drop_luck",
    );
}

#[test]
fn what_an_icmp_error_of_ours_quotes_is_compared() {
    let table = [
        ("udp 5000 > 9 (50)", "[udp (50)]", true),
        ("udp 5000 > 9 (50)", "[udp (51)]", false),
        ("udp 5000 > 9 (50)", "[1:51(50)]", false),
        ("udp 5000 > 9 (50)", "[raw (78)]", true),
        ("udp 5000 > 9 (50)", "[raw (77)]", false),
    ];
    for (packet, quoted, right) in table {
        let script = format!("0 < {packet}\n+0 > icmp unreachable port_unreachable {quoted}");
        let verdict = plain(&script).verdict;
        assert_eq!(verdict == Verdict::StrictPass, right, "{quoted}");
    }
}

/// A call with megabytes to write makes what there is room for, each time that it is tried: once for each of
/// these ACKs.
#[test]
fn a_write_of_megabytes_makes_what_it_moves() {
    let text = format!(
        "--profile=rfc\n{OPEN}+0 setsockopt(4, SOL_SOCKET, SO_SNDBUF, [20000], 4) = 0
         +0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
         +0 write(4, ..., 60000000) = 20000
         +0 > P. 1:10001(10000) ack 1\n"
    );
    let script = Script::parse(&text, &Defines::new()).unwrap();
    let mut runner = begin(&script, &Setup::new(Profile::rfc())).ok().unwrap();
    let outcome = runner.run(&script);
    assert!(outcome.verdict.is_pass(), "{outcome:?}");
    let SocketState::Stream(id) = runner.sockets.socket(4).unwrap().state else {
        panic!("no stream");
    };
    let full = runner.text_to_write(id, 60_000_000).len();
    assert!(full <= 1, "{full} bytes where none has room");
    for n in 1..=20u32 {
        let ack = format!("+.01 < . 1:1(0) ack {} win 32000\n", n * 500 + 1);
        let more = Script::parse(&ack, &Defines::new()).unwrap();
        let _ = runner.run(&more);
        let made = runner.text_to_write(id, 60_000_000).len();
        assert!(made <= 20_000, "{made} bytes");
    }
}

#[test]
fn variants_that_a_script_cannot_have() {
    let named = "0 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
        +0 bind(3, {sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr(\"0.0.0.0\")}, ...) = 0";
    assert_eq!(plain(named).verdict, Verdict::StrictPass);
    assert!(run(named, Variant::Ipv6).is_none());
    let any = named.replace("inet_addr(\"0.0.0.0\")", "INADDR_ANY");
    assert_eq!(plain(&any).verdict, Verdict::StrictPass);
    assert!(run(&any, Variant::Ipv6).is_none());
    assert!(run("0 < R 5!:5!(0) win 0", Variant::Wrap).is_none());
    assert!(run("0 < X", Variant::Wrap).is_none());
    assert_eq!(plain("0 < X").verdict, Verdict::Fail);
}

#[test]
fn hostile_scripts_end() {
    let long = format!("{OPEN}+31536000 close(4) = 0\n+0 > F. 1:1(0) ack 1\n");
    plain(&long);
    let write = format!("{OPEN}+0 send(4, ..., 9223372036854775807, MSG_DONTWAIT) = 1\n");
    assert_eq!(plain(&write).verdict, Verdict::Fail);
    let many: String = (10..3000)
        .map(|fd| format!("+0 socket(..., SOCK_STREAM, 0) = {fd}\n"))
        .collect();
    assert_eq!(plain(&format!("{OPEN}{many}")).verdict, Verdict::Fail);
    let huge = "0 < . 1:16777217(16777216) ack 1 win 5";
    assert_eq!(plain(huge).verdict, Verdict::Fail);
}

mod property {
    use super::super::super::{Drill, Profile, Variant};
    use super::OPEN;
    use proptest::prelude::*;

    /// Lines that do something, to be put together in any order.
    const LINES: &[&str] = &[
        "+0 < S 0:0(0) win 32000 <mss 1000,sackOK,TS val 1 ecr 0,wscale 7>",
        "+0 > S. 0:0(0) ack 1 <...>",
        "+.1 < . 1:1(0) ack 1 win 0",
        "+0 < P. 1:1001(1000) ack 1 win 32000",
        "+0 < F. 1:1(0) ack 1 win 5 <TS val 4294967295 ecr 7>",
        "+0 < R 4294967295:4294967295(0) win 0",
        "+0 < . 1:1(0) ack 4294967295 win 9 <sack 1:2 4294967290:3>",
        "+0 < [ce] P. 1:3001(3000) ack 1 win 1",
        "* > . 1:1(0) ack 1",
        "+0 > P. 1:2001(2000) ack 1",
        "+0~+9 > F. 1:1(0) ack 2",
        "+0 write(4, ..., 5000) = 5000",
        "+0 read(4, ..., 9000) = 1000",
        "+0...+3 read(4, ..., 9000) = 1000",
        "+0...+.1 poll([{fd=4, events=POLLIN, revents=0}], 1, 50) = 0",
        "+0 shutdown(4, SHUT_WR) = 0",
        "+0 close(4) = 0",
        "+0 close(3) = 0",
        "+0 listen(3, 0) = 0",
        "+0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 5",
        "+0 connect(5, ..., ...) = 0",
        "+0 send(5, ..., 100, 0) = 100",
        "+0 < udp (20)",
        "+0 < icmp unreachable port_unreachable [1:1001(1000)]",
        "+0 < icmp unreachable frag_needed mtu 0 [1:1001(1000)]",
        "+9 %{ assert tcpi_snd_cwnd > 0 or True }%",
        "+600 `ss -n | grep CLOSED`",
        "+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever a script asks for, it ends with a verdict, in all variants; lenient ones go on
        /// where others have ended.
        #[test]
        fn any_order_of_lines_ends(places in prop::collection::vec(0..LINES.len(), 0..12)) {
            let lines: Vec<&str> = places.iter().map(|&place| LINES[place]).collect();
            let script = format!("--non_fatal=packet,syscall\n{OPEN}{}\n", lines.join("\n"));
            let drill = Drill::new(Profile::linux());
            for variant in Variant::ALL {
                drill.run(&script, variant);
            }
        }
    }
}

#[test]
fn a_number_beyond_128_bits_fails() {
    fails(
        "+0 %{ assert -(-(1 << 126) * 2) > 0 }%",
        1,
        "no number comes of that",
    );
}

/// A server with fast open: its cookie is another than the script's, which stands for it from the line on that expects it.
#[test]
fn a_server_takes_early_text() {
    let script = |length: &str| {
        format!(
            "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [2], 4) = 0
+0 getsockopt(3, SOL_TCP, TCP_FASTOPEN, [2], [4]) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32000 <mss 1000,sackOK,FO,nop,nop>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,nop,FO abcdef0123456789>
+.1 < R 1:1(0) win 0
+.1 < S 0:100(100) win 32000 <mss 1000,sackOK,FO abcdef0123456789,nop,nop>
+0 > S. 0:0(0) ack {length} <mss 1460,nop,nop,sackOK>
"
        )
    };
    let read = "+0 accept(3, ..., ...) = 4\n+0 read(4, ..., 200) = 100\n";
    let write = "+0 write(4, ..., 50) = 50\n+0 > P. 1:51(50) ack 101\n";
    let outcome = plain(&format!("{}{read}{write}", script("101")));
    assert!(outcome.verdict.is_pass(), "{outcome:#?}");
    let outcome = plain(&script("1"));
    assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:#?}");
    // One that nobody gave.
    let forged = script("1").replace(
        "100) win 32000 <mss 1000,sackOK,FO ab",
        "100) win 32000 <mss 1000,sackOK,FO 12",
    );
    let outcome = plain(&forged.replace("ack 1 <mss 1460,nop,nop,sackOK>", "ack 1 <...>"));
    assert!(outcome.verdict.is_pass(), "{outcome:#?}");
}
