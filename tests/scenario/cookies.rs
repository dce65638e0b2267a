//! RFC 4987 §3.6: what happens past the backlog.

use core::net::IpAddr;

use netloom::base::Protocol;
use netloom::drill::{Session, Variant};
use netloom::tcp::{Fields, Flags, Header, Options, TcpOptions};
use netloom::{ipv4, ipv6};

use super::sessions::{Scenario, Test};

/// A listener for one half-open connection, which goes after a second.
fn crowded() -> Scenario {
    Scenario::closed()
        .backlog(1)
        .options(TcpOptions::default().quick_acks(0).syn_retries(0))
}

/// The listener, and nobody there yet.
fn listening(scenario: Scenario) -> (Test, Crowd) {
    let mut t = scenario.build();
    t.run(
        r"
        +0   socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
        +0   bind(3, ..., ...) = 0
        +0   listen(3, 4095) = 0
        // Who comes and goes: what is near the wrap is so from our first number on.
        +0   < S 0:0(0) win 1000
        +0   > S. 0:0(0) ack 1 <mss 1460>
        +0   < R 1:1(0) win 0
        +0   %{ assert netloom.open_connections == 0 }%
    ",
    );
    (t, Crowd::default())
}

/// The listener with `syns` of others before it.
fn flooded(scenario: Scenario, syns: u16) -> (Test, Crowd) {
    let (mut t, mut crowd) = listening(scenario);
    crowd.flood(&mut t, syns);
    (t, crowd)
}

/// The port that scripts listen on.
const OURS: u16 = 8080;
/// The first of others at the peer's address.
const STRANGER: u16 = 6000;

/// A segment without text or options from another port of the peer; returns what answers it.
fn stranger(session: &mut Session, port: u16, numbers: (u32, u32), flags: Flags) -> Option<Fields> {
    let mut fields = Fields::default();
    (fields.src_port, fields.dst_port) = (port, OURS);
    ((fields.seq, fields.ack), fields.flags) = (numbers, flags);
    fields.window = 1000;
    let mut segment = vec![0; 60];
    let len = fields.emit(&Options::default(), &mut segment);
    segment.truncate(len);
    let (ours, theirs) = session.addresses();
    let answers = session.exchange(&packet(theirs, ours, segment)).unwrap();
    assert!(answers.len() <= 1, "{answers:?}");
    answers.first().map(|answer| fields_of(answer))
}

/// A segment completed, in its IP packet.
fn packet(from: IpAddr, to: IpAddr, mut segment: Vec<u8>) -> Vec<u8> {
    let len = segment.len();
    let mut head = vec![0; 60];
    let (sum, head_len) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (
            ipv4::pseudo_sum(from, to, Protocol::TCP, len),
            ipv4::Fields::new(from, to, Protocol::TCP).emit(len, &mut head),
        ),
        (IpAddr::V6(from), IpAddr::V6(to)) => (
            ipv6::pseudo_sum(from, to, Protocol::TCP, len),
            ipv6::Fields::new(from, to, Protocol::TCP).emit(len, &mut head),
        ),
        _ => unreachable!("one family"),
    };
    let sum = sum.bytes(&segment).finish();
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    head.truncate(head_len);
    head.extend(segment);
    head
}

fn fields_of(packet: &[u8]) -> Fields {
    let segment = match packet[0] >> 4 {
        4 => ipv4::Header::parse(packet).expect("an IPv4 packet").1,
        _ => ipv6::Header::parse(packet).expect("an IPv6 packet").1,
    };
    Header::parse(segment).expect("a segment").0.fields()
}

/// Others who ask for a connection.
#[derive(Default)]
struct Crowd {
    asked: u16,
    /// Who was answered in which variant, and with what number.
    answers: Vec<(Variant, u16, u32)>,
}

impl Crowd {
    /// SYNs from other ports, all answered.
    fn flood(&mut self, t: &mut Test, syns: u16) {
        let ports = self.asked..self.asked + syns;
        self.asked += syns;
        t.each(|variant, session| {
            for n in ports.clone() {
                let answer = stranger(session, STRANGER + n, (7000, 0), Flags::SYN);
                let answer = answer.expect("a SYN-ACK");
                assert_eq!(answer.flags, Flags::SYN | Flags::ACK);
                self.answers.push((variant, n, answer.seq));
            }
        });
    }

    /// The n-th of them says what draws no answer.
    fn goes_on(&self, t: &mut Test, n: u16, flags: Flags) {
        t.each(|variant, session| {
            let mut answers = self.answers.iter();
            let found = answers.find(|(of, port, _)| (*of, *port) == (variant, n));
            let ack = match flags.contains(Flags::ACK) {
                true => found.expect("an answer").2.wrapping_add(1),
                false => 0,
            };
            let answer = stranger(session, STRANGER + n, (7001, ack), flags);
            assert!(answer.is_none(), "{answer:?}");
        });
    }

    /// The n-th completes its handshake.
    fn acks(&self, t: &mut Test, n: u16) {
        self.goes_on(t, n, Flags::ACK);
    }

    /// The n-th resets what it began.
    fn resets(&self, t: &mut Test, n: u16) {
        self.goes_on(t, n, Flags::RST);
    }
}

/// ACKs from ports that never sent a SYN, with numbers from a generator of our own; each draws a RST.
fn forge_acks(t: &mut Test, acks: u32) {
    t.each(|_, session| {
        let mut word = 0x2545_f491u32;
        for n in 0..acks {
            word ^= word << 13;
            word ^= word >> 17;
            word ^= word << 5;
            let port = 20_000 + (n % 1000) as u16;
            let numbers = (word, word.rotate_left(16));
            let answer = stranger(session, port, numbers, Flags::ACK).expect("a RST");
            assert!(answer.flags.contains(Flags::RST), "{answer:?}");
        }
    });
}

/// Covers: SEC-7 (r52: MSS, window scale and SACK survive when there are timestamps; text that
/// rides on the ACK is delivered; nothing is kept meanwhile)
#[test]
fn r52_a_cookie_keeps_the_options_in_the_timestamp() {
    let (mut t, _) = flooded(crowded().whatever_stamps(), 1);
    t.run(
        r"
        +0   < S 0:0(0) win 1000 <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 7>
        +0   %{ assert netloom.open_connections == 1 }%
        +0   %{ assert netloom.tcp_cookies_sent == 1 }%
        +.05 < P. 1:101(100) ack 1 win 1000 <TS val 50 ecr 0>
        +0   %{ assert netloom.tcp_cookies_accepted == 1 }%
        +0   %{ assert netloom.open_connections == 2 }%
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   `ss -n | grep -q ESTABLISHED`
        +0   read(4, ..., 100) = 100
        +0   > . 1:1(0) ack 101 <nop,nop,TS val 50 ecr 50>
        +0   %{ assert tcpi_snd_mss == 1448 }%
        +0   %{ assert tcpi_snd_wnd == 128000 }%
        // The peer's holes are reported, and ours are believed.
        +0   < . 201:301(100) ack 1 win 1000 <TS val 90 ecr 0>
        +0   > . 1:1(0) ack 101 <nop,nop,TS val 50 ecr 50,nop,nop,sack 201:301>
        +0   write(4, ..., 8000) = 8000
        +0   > P. 1:8001(5x1436+820) ack 101 <...>
        +.05 < . 301:301(0) ack 1 win 1000 <sack 1437:8001,TS val 140 ecr 0>
        +0   > . 1:1437(1436) ack 101 <...>
        +.05 < . 301:301(0) ack 8001 win 1000 <TS val 190 ecr 0>
        // The two ACKs, the six of the text, and the one again.
        +0   %{ assert tcpi_segs_out == 9, tcpi_segs_out }%
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
        let (mut t, _) = flooded(crowded(), 1);
        t.run(&format!(
            r"
            +0   < S 0:0(0) win 1000 <mss {told},sackOK,wscale 7>
            +0   > S. 0:0(0) ack 1 win 65535 <mss 1460>
            +.05 < . 1:1(0) ack 1 win 1000
            +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
            +0   %{{ assert tcpi_snd_mss == {kept} }}%
            +0   %{{ assert tcpi_snd_wnd == 1000 }}%
            +0   write(4, ..., 10) = 10
            +0   > P. 1:11(10) ack 1 win 65535
            +.05 < F. 1:1(0) ack 11 win 1000
            +0   > . 11:11(0) ack 2
        "
        ));
        t.info(|info| assert!(!info.sack && !info.timestamps));
    }
}

/// RFC 9293 §3.7.1 MUST-15: no MSS option is the default.
#[test]
fn r52_a_cookie_for_a_syn_without_options() {
    let (mut t, _) = flooded(crowded(), 1);
    t.run(
        r"
        +0   < S 0:0(0) win 1000
        +0   > S. 0:0(0) ack 1 <mss 1460>
        +.05 < F. 1:1(0) ack 1 win 1000
        +0   > . 1:1(0) ack 2
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   `ss -n | grep -q CLOSE-WAIT`
    ",
    );
    t.info(|info| assert!(info.snd_mss == 536 || info.snd_mss == 1220));
}

/// r52: the ACK was lost; the first text completes. A wrong number gets the RST of an ACK to LISTEN.
#[test]
fn r52_wrong_cookies_are_refused_and_right_ones_are_not() {
    let (mut t, _) = flooded(crowded(), 1);
    t.run(
        r"
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1 <...>
        +0   < . 1:1(0) ack 9 win 1000
        +0   > R 9:9(0)
        +0   < . 2:2(0) ack 1 win 1000
        +0   > R 1:1(0)
        +0   < . 1:1(0) ack 1 win 1000 <TS val 0 ecr 0>
        +0   > R 1:1(0)
        +0   < R 1:1(0) win 0
        +0   %{ assert netloom.tcp_cookies_failed == 3 }%
        +0   %{ assert netloom.open_connections == 1 }%
        +0   accept(3, ..., ...) = -1 EAGAIN
        +.3  < P. 1:101(100) ack 1 win 1000
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   read(4, ..., 100) = 100
        +.04 > . 1:1(0) ack 101
        // The same again is a duplicate of a connection, not a cookie.
        +0   < P. 1:101(100) ack 1 win 1000
        +0   > . 1:1(0) ack 101
        +0   %{ assert netloom.tcp_cookies_accepted == 1 }%
    ",
    );
}

/// r52: the ACK and the first text were lost, or found no room: what follows them draws no RST, and
/// the first text again completes.
#[test]
fn r52_text_behind_a_lost_cookie_does_not_end_the_connection() {
    let (mut t, _) = flooded(crowded(), 1);
    t.run(
        r"
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1 <...>
        +0   < FP. 1001:1501(500) ack 1 win 1000
        +0   %{ assert netloom.tcp_cookies_failed == 1 }%
        +.2  < . 1:1001(1000) ack 1 win 1000
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   < FP. 1001:1501(500) ack 1 win 1000
        +0   > . 1:1(0) ack 1502
        +0   read(4, ..., 1500) = 1500
    ",
    );
}

/// r52: after 128 seconds nothing is a cookie any more, and one that is as old is none among newer ones either.
#[test]
fn r52_an_old_cookie_is_refused() {
    for newer in [false, true] {
        let (mut t, mut crowd) = flooded(crowded(), 1);
        t.run(
            r"
            +0   < S 0:0(0) win 1000 <mss 1000>
            +0   > S. 0:0(0) ack 1 <...>
            +100 %{ assert netloom.tcp_cookies_sent == 1 }%
        ",
        );
        if newer {
            // One in the backlog, and one with a cookie.
            crowd.flood(&mut t, 2);
        }
        let (sent, looked_at) = if newer { (2, 1) } else { (1, 0) };
        t.run(&format!(
            "+29 < . 1:1(0) ack 1 win 1000
             +0  > R 1:1(0)
             +0  accept(3, ..., ...) = -1 EAGAIN
             +0  %{{ assert netloom.tcp_cookies_sent == {sent} }}%
             +0  %{{ assert netloom.tcp_cookies_failed == {looked_at} }}%
             +0  %{{ assert netloom.open_connections == 0 }}%"
        ));
    }
}

/// r52: forged ACKs never make anything, cookies out or not.
#[test]
fn r52_forged_acks_create_nothing() {
    let (mut t, mut crowd) = listening(crowded());
    forge_acks(&mut t, 1000);
    t.run("+0 %{ assert netloom.tcp_cookies_failed == 0 }%");
    crowd.flood(&mut t, 2);
    forge_acks(&mut t, 20_000);
    t.run(
        r"
        +0   %{ assert netloom.tcp_cookies_failed == 20000 }%
        +0   %{ assert netloom.tcp_cookies_accepted == 0 }%
        +0   %{ assert netloom.open_connections == 1 }%
        +0   accept(3, ..., ...) = -1 EAGAIN
    ",
    );
}

/// Covers: SEC-6. r52: those that were half open before are not disturbed, and new ones get in, in whatever order.
#[test]
fn r52_the_backlog_is_full_of_dead_requests_and_everybody_gets_in() {
    let (mut t, mut crowd) = flooded(Scenario::closed().backlog(8), 500);
    t.run(
        r"
        +0   %{ assert netloom.open_connections == 8 }%
        +0   %{ assert netloom.tcp_cookies_sent == 492 }%
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1 <...>
        +0   %{ assert netloom.open_connections == 8 }%
        +0   < . 1:1(0) ack 1 win 1000
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   `ss -n | grep -q ESTABLISHED`
    ",
    );
    // One by record, one by cookie.
    crowd.acks(&mut t, 3);
    t.run("+0 accept4(3, ..., ..., SOCK_NONBLOCK) = 5");
    crowd.acks(&mut t, 400);
    t.run(
        r"
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 6
        +0   accept(3, ..., ...) = -1 EAGAIN
        +0   %{ assert netloom.open_connections == 10 }%
    ",
    );
    crowd.resets(&mut t, 4);
    t.run("+0 %{ assert netloom.open_connections == 9 }%");
    // Two places in the backlog: records again.
    crowd.flood(&mut t, 3);
    t.run(
        r"
        +0   %{ assert netloom.open_connections == 11 }%
        +0   %{ assert netloom.tcp_cookies_sent == 494 }%
    ",
    );
}

/// r52: a full accept queue drops the ACK, and counts it; the peer's text asks again.
#[test]
fn r52_a_full_accept_queue_drops_the_ack() {
    let (mut t, crowd) = flooded(crowded(), 2);
    t.run(
        r"
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1 <...>
    ",
    );
    crowd.acks(&mut t, 1);
    t.run(
        r"
        +0   < . 1:1(0) ack 1 win 1000
        +0   %{ assert netloom.drop_tcp_backlog_full == 1 }%
        // A burst: only its first text could bring the cookie back, and none of it is refused.
        +0   < . 1:1001(1000) ack 1 win 1000
        +0   < . 1001:2001(1000) ack 1 win 1000
        +0   %{ assert netloom.drop_tcp_backlog_full == 2 }%
        +0   %{ assert netloom.drop_tcp_bad_ack == 1 }%
        +0   %{ assert netloom.open_connections == 2 }%
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +.3  < P. 1:11(10) ack 1 win 1000
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 5
        +0   read(5, ..., 10) = 10
        +.04 > . 1:1(0) ack 11
        +0   %{ assert netloom.tcp_cookies_accepted == 2 }%
    ",
    );
}

/// r52: the setting.
#[test]
fn r52_without_cookies_a_syn_past_the_backlog_is_dropped() {
    let (mut t, _) = flooded(crowded().without_cookies(), 1);
    t.run(
        r"
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   %{ assert netloom.drop_tcp_backlog_full == 1 }%
        +0   %{ assert netloom.tcp_cookies_sent == 0 }%
        +1.1 < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1 <...>
        +0   < . 1:1(0) ack 1 win 1000
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
    ",
    );
}

/// Covers: RTO-5 (nothing remembers when which SYN-ACK left, and a cookie's stamp is not the time)
#[test]
fn a_cookie_is_no_sample() {
    let (mut t, _) = flooded(crowded(), 1);
    t.run(
        r"
        +0   < S 0:0(0) win 1000 <mss 1460,sackOK,TS val 0 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 0>
        +.9  < S 0:0(0) win 1000 <mss 1460,sackOK,TS val 900 ecr 0>
        +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 900 ecr 900>
        +.05 < . 1:1(0) ack 1 win 1000 <TS val 950 ecr 900>
        +0   %{ assert netloom.tcp_cookies_accepted == 1 }%
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   %{ assert tcpi_rtt // 1000 == 0 }%
        +0   %{ assert tcpi_rto == 1000000 }%
    ",
    );
}

/// RFC 9293 §3.4: what a cookie opened is closed, and its peer's segments come once more. After
/// LAST-ACK nothing is kept of it, but they open nothing, and no text is delivered twice.
#[test]
fn a_cookie_makes_one_connection() {
    let (mut t, _) = flooded(crowded(), 1);
    t.run(
        r"
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1 <...>
        +0   < FP. 1:101(100) ack 1 win 1000
        +0   > . 1:1(0) ack 102
        +0   accept4(3, ..., ..., SOCK_NONBLOCK) = 4
        +0   read(4, ..., 100) = 100
        +0   close(4) = 0
        +0   > F. 1:1(0) ack 102
        +0   < . 102:102(0) ack 2 win 1000
        +0   %{ assert netloom.tcp_cookies_accepted == 1 }%
        +0   %{ assert netloom.open_connections == 1 }%
        +0   < FP. 1:101(100) ack 1 win 1000
        +0   accept(3, ..., ...) = -1 EAGAIN
        +0   < . 1:1(0) ack 1 win 1000
        +0   > R 1:1(0)
    ",
    );
    let mut numbers = Vec::new();
    t.each(|_, session| numbers.push(session.our_isn()));
    // The SYN too: its answer is the same, and what was sent then is as old.
    t.run(
        r"
        +0   < S 0:0(0) win 1000 <mss 1000>
        +0   > S. 0:0(0) ack 1 <...>
        +0   < FP. 1:101(100) ack 1 win 1000
        +0   accept(3, ..., ...) = -1 EAGAIN
        +0   %{ assert netloom.tcp_cookies_accepted == 1 }%
        +0   %{ assert netloom.open_connections == 1 }%
    ",
    );
    let mut numbers = numbers.into_iter();
    t.each(|_, session| assert_eq!(Some(session.our_isn()), numbers.next()));
}
