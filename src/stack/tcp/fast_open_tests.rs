//! Fast open between two stacks (RFC 7413).

use core::time::Duration;

use super::path_tests::packet_len;
use super::regression_tests::icmp_error;
use super::tests::{Link, SERVER};
use crate::device::{Capabilities, Medium};
use crate::ipv4::icmp::UnreachableCode;
use crate::link::RxFrame;
use crate::stack::{ListenOptions, ListenerId, TcpId};
use crate::tcp::{Flags, Header, ReadError, State, TcpFailure, TcpOption, TcpOptions};

const TEXT: &[u8] = b"a request that may be repeated";

/// A TCP segment on this link: its header, the cookie or what stands for it, and its text.
fn segment(frame: &RxFrame) -> (Header<'_>, Option<&[u8]>, &[u8]) {
    let (header, text) = Header::parse(&frame.data[20..]).unwrap();
    let word = header.options().find_map(|option| match option {
        TcpOption::FastOpen(cookie) => Some(cookie),
        _ => None,
    });
    (header, word, text)
}

fn client() -> TcpOptions {
    TcpOptions::default().fast_open(true)
}

struct Rig {
    link: Link,
    listener: ListenerId,
}

impl Rig {
    fn new(pending: usize) -> Self {
        Self::with(ListenOptions::default().fast_open(pending))
    }

    fn with(options: ListenOptions) -> Self {
        let mut link = Link::over(&Capabilities::full(Medium::Ip, 1500));
        let server = &mut link.ends[0].stack;
        let listener = server.tcp_listen(SERVER.parse().unwrap(), options);
        Self {
            listener: listener.unwrap(),
            link,
        }
    }

    /// A connection that its user has written to before its SYN left.
    fn open(&mut self, text: &[u8]) -> TcpId {
        let (now, to) = (self.link.now, SERVER.parse().unwrap());
        let stack = &mut self.link.ends[1].stack;
        let id = stack.tcp_connect(now, to, None, client()).unwrap();
        assert_eq!(stack.tcp_write(now, id, text), Ok(text.len()));
        id
    }

    fn accept(&mut self) -> Option<TcpId> {
        let now = self.link.now;
        self.link.ends[0].stack.tcp_accept(now, self.listener).ok()
    }

    fn read(&mut self, end: usize, id: TcpId) -> Result<Vec<u8>, ReadError> {
        let mut buf = vec![0; 9000];
        let len = self.link.ends[end]
            .stack
            .tcp_read(self.link.now, id, &mut buf)?;
        buf.truncate(len);
        Ok(buf)
    }

    fn feed(&mut self, end: usize, frames: &[RxFrame]) {
        let now = self.link.now;
        let end = &mut self.link.ends[end];
        for frame in frames {
            end.stack.handle_frame(now, end.on, frame.clone());
        }
    }

    /// A first connection, which brings the cookie home.
    fn fetch(&mut self) {
        let id = self.open(TEXT);
        let syn = self.link.swallow(1);
        let (header, word, text) = segment(&syn[0]);
        assert_eq!((word, text), (Some(&[][..]), &[][..]), "asked for");
        assert_eq!(header.flags(), Flags::SYN);
        self.feed(0, &syn);
        let answer = self.link.swallow(0);
        assert_eq!(segment(&answer[0]).1.map(<[u8]>::len), Some(8));
        self.feed(1, &answer);
        self.link.settle();
        let server = self.accept().expect("an ordinary handshake");
        assert_eq!(self.read(0, server), Ok(TEXT.to_vec()));
        self.end(id, server);
    }

    fn end(&mut self, client: TcpId, server: TcpId) {
        let now = self.link.now;
        self.link.ends[0].stack.tcp_close(now, server);
        self.link.settle();
        self.link.ends[1].stack.tcp_close(now, client);
        self.link.settle();
    }

    fn state(&self, end: usize, id: TcpId) -> State {
        self.link.state(end, id)
    }

    fn counters(&self, end: usize) -> [u64; 5] {
        let counters = self.link.ends[end].stack.counters();
        [
            counters.tcp_fast_opened,
            counters.tcp_fast_cookies_failed,
            counters.tcp_fast_full,
            counters.tcp_fast_taken,
            counters.tcp_fast_missed,
        ]
    }
}

/// Covers: TFO-4 (the cookie is kept), TFO-2. Request and answer in one round trip.
#[test]
fn text_on_a_syn_is_read_and_answered_before_the_handshake_is_over() {
    let mut rig = Rig::new(8);
    rig.fetch();
    let id = rig.open(TEXT);
    let syn = rig.link.swallow(1);
    let (header, word, text) = segment(&syn[0]);
    assert_eq!((header.flags(), text), (Flags::SYN, TEXT));
    assert_eq!(word.map(<[u8]>::len), Some(8));
    rig.feed(0, &syn);
    let server = rig.accept().expect("at once");
    assert_eq!(rig.state(0, server), State::SynRcvd);
    assert_eq!(rig.read(0, server), Ok(TEXT.to_vec()));
    rig.link.write(0, server, b"answer");
    let answer = rig.link.swallow(0);
    assert_eq!(answer.len(), 2, "SYN-ACK and text");
    let (header, word, text) = segment(&answer[0]);
    assert_eq!(header.flags(), Flags::SYN | Flags::ACK);
    assert_eq!((word, text), (None, &[][..]));
    assert_eq!(segment(&answer[1]).2, b"answer");
    rig.feed(1, &answer);
    assert_eq!(rig.read(1, id), Ok(b"answer".to_vec()));
    assert_eq!(rig.state(1, id), State::Established);
    rig.link.settle();
    assert_eq!(rig.state(0, server), State::Established);
    // Both ways, and to the end.
    rig.link.write(1, id, &[7; 5000]);
    rig.link.settle();
    assert_eq!(rig.read(0, server).map(|text| text.len()), Ok(5000));
    rig.end(id, server);
    assert_eq!(rig.counters(0), [1, 0, 0, 0, 0]);
    assert_eq!(rig.counters(1), [0, 0, 0, 1, 0]);
    assert_eq!(rig.link.ends[0].stack.counters().tcp_retransmits, 0);
    assert_eq!(rig.link.ends[1].stack.counters().tcp_retransmits, 0);
}

/// Covers: TFO-1
#[test]
fn without_being_asked_for_it_is_off_on_both_sides() {
    let mut rig = Rig::new(0);
    let id = rig.open(TEXT);
    let syn = rig.link.swallow(1);
    rig.feed(0, &syn);
    let answer = rig.link.swallow(0);
    assert_eq!(segment(&answer[0]).1, None, "a listener that was not told");
    rig.feed(1, &answer);
    rig.link.settle();
    let server = rig.accept().unwrap();
    rig.end(id, server);
    // A client that was not told, to a listener that was.
    let mut rig = Rig::new(8);
    let (now, to) = (rig.link.now, SERVER.parse().unwrap());
    let stack = &mut rig.link.ends[1].stack;
    let id = stack.tcp_connect(now, to, None, TcpOptions::default());
    stack.tcp_write(now, id.unwrap(), TEXT).unwrap();
    let syn = rig.link.swallow(1);
    let (_, word, text) = segment(&syn[0]);
    assert_eq!((word, text), (None, &[][..]));
    rig.feed(0, &syn);
    let answer = rig.link.swallow(0);
    assert_eq!(segment(&answer[0]).1, None);
}

/// Covers: TFO-4 (a negative answer is kept too)
#[test]
fn a_server_that_has_none_is_asked_again_after_longer_and_longer() {
    let mut rig = Rig::new(0);
    let mut asked_at = Vec::new();
    for second in 0..500_u64 {
        let id = rig.open(TEXT);
        let syn = rig.link.swallow(1);
        if segment(&syn[0]).1.is_some() {
            asked_at.push(second);
        }
        rig.feed(0, &syn);
        rig.link.settle();
        let server = rig.accept().unwrap();
        rig.end(id, server);
        rig.link.pass(Duration::from_secs(1));
    }
    assert_eq!(asked_at, [0, 60, 180, 420]);
}

/// Covers: TFO-3 (the key changes), TFO-6, TFO-8: what is not acknowledged leaves with the first ACK.
#[test]
fn an_old_cookie_is_good_for_a_day_and_then_gives_a_new_one() {
    let mut rig = Rig::new(8);
    rig.fetch();
    let (day, mut fast) = (Duration::from_secs(24 * 3600), Vec::new());
    for _ in 0..4 {
        let id = rig.open(TEXT);
        let syn = rig.link.swallow(1);
        assert_eq!(segment(&syn[0]).2, TEXT);
        rig.feed(0, &syn);
        let early = rig.accept();
        fast.push(early.is_some());
        let answer = rig.link.swallow(0);
        let (header, word, _) = segment(&answer[0]);
        let acked = header.ack().wrapping_sub(segment(&syn[0]).0.seq());
        let whole = 1 + u32::try_from(TEXT.len()).unwrap();
        assert_eq!(acked, if early.is_some() { whole } else { 1 });
        assert_eq!(word.is_some(), early.is_none(), "a new one");
        rig.feed(1, &answer);
        let next = rig.link.swallow(1);
        let again = segment(&next[0]).2;
        assert_eq!(again, if early.is_some() { &[] } else { TEXT });
        rig.feed(0, &next);
        rig.link.settle();
        let server = early.or_else(|| rig.accept()).unwrap();
        assert_eq!(rig.read(0, server), Ok(TEXT.to_vec()), "once");
        rig.end(id, server);
        rig.link.pass(day);
    }
    assert_eq!(fast, [true, true, false, true]);
    assert_eq!(rig.counters(0), [3, 1, 0, 0, 0]);
    assert_eq!(rig.counters(1), [0, 0, 0, 3, 1]);
    assert_eq!(rig.link.ends[1].stack.counters().tcp_retransmits, 0);
}

/// Covers: TFO-3 (a MAC over the client's address): a cookie is of no use to another client.
#[test]
fn a_cookie_of_another_client_is_none() {
    let mut rig = Rig::new(8);
    rig.fetch();
    let server = &mut rig.link.ends[0].stack;
    let ends = |client: &str| (SERVER.parse().unwrap(), client.parse().unwrap());
    let now = rig.link.now;
    let [one, port, other] =
        ["10.0.0.2:1", "10.0.0.2:2", "10.0.0.3:1"].map(|c| server.tcp.fast.give(now, ends(c)));
    assert!(one == port && one != other);
}

/// Covers: TFO-5
#[test]
fn a_syn_that_is_lost_comes_again_without_text_and_option() {
    let mut rig = Rig::new(8);
    rig.fetch();
    let id = rig.open(TEXT);
    assert_eq!(segment(&rig.link.swallow(1)[0]).2, TEXT);
    rig.link.now = rig.link.now + Duration::from_secs(1);
    let now = rig.link.now;
    rig.link.ends[1].stack.handle_timeout(now);
    let syn = rig.link.swallow(1);
    let (header, word, text) = segment(&syn[0]);
    assert_eq!(header.flags(), Flags::SYN);
    assert_eq!((syn.len(), word, text), (1, None, &[][..]));
    rig.feed(0, &syn);
    rig.link.settle();
    let server = rig.accept().unwrap();
    assert_eq!(rig.read(0, server), Ok(TEXT.to_vec()));
    rig.end(id, server);
    assert_eq!(rig.counters(1), [0, 0, 0, 0, 1]);
    // What may have dropped it is left alone for a while.
    rig.open(TEXT);
    assert_eq!(segment(&rig.link.swallow(1)[0]).1, None);
    rig.link.pass(Duration::from_secs(61));
    rig.open(TEXT);
    assert_eq!(segment(&rig.link.swallow(1)[0]).2, TEXT);
}

/// The SYN-ACK is lost: it comes again, and so does nothing else.
#[test]
fn an_answer_that_is_lost_comes_again() {
    let mut rig = Rig::new(8);
    rig.fetch();
    let id = rig.open(TEXT);
    let syn = rig.link.swallow(1);
    rig.feed(0, &syn);
    let server = rig.accept().unwrap();
    rig.link.write(0, server, b"answer");
    assert_eq!(rig.link.swallow(0).len(), 2);
    rig.link.pass(Duration::from_secs(5));
    assert_eq!(rig.state(0, server), State::Established);
    assert_eq!(rig.read(0, server), Ok(TEXT.to_vec()));
    assert_eq!(rig.read(1, id), Ok(b"answer".to_vec()));
    rig.end(id, server);
}

/// Text that the server's first window does not hold.
#[test]
fn what_a_server_takes_of_the_text_is_not_sent_again() {
    let options = TcpOptions::default().recv_buffer_initial(600);
    let mut rig = Rig::with(ListenOptions::new(options).fast_open(8));
    rig.fetch();
    let text: Vec<u8> = (0..3000_u32).map(|n| (n % 251) as u8).collect();
    let id = rig.open(&text);
    let syn = rig.link.swallow(1);
    // A segment of 1460 bytes with 20 and 12 of options.
    assert_eq!(segment(&syn[0]).2.len(), 1428);
    rig.feed(0, &syn);
    let server = rig.accept().unwrap();
    let mut got = rig.read(0, server).unwrap();
    assert!(got.len() < 1428, "{} bytes", got.len());
    let answer = rig.link.swallow(0);
    rig.feed(1, &answer);
    while got.len() < text.len() {
        rig.link.pass(Duration::from_millis(300));
        got.extend(rig.read(0, server).unwrap());
    }
    assert_eq!(got, text);
    rig.end(id, server);
}

/// Covers: TFO-7: beyond the limit handshakes are ordinary, and a RST gives no place back (RFC 7413 §5.1).
#[test]
fn no_more_are_pending_than_may_be() {
    let mut rig = Rig::new(3);
    rig.fetch();
    let attempt = |rig: &mut Rig| {
        let id = rig.open(TEXT);
        let syn = rig.link.swallow(1);
        rig.feed(0, &syn);
        (id, rig.accept())
    };
    let pending: Vec<_> = (0..3).map(|_| attempt(&mut rig)).collect();
    assert!(pending.iter().all(|(_, server)| server.is_some()));
    let (ordinary, none) = attempt(&mut rig);
    assert_eq!(none, None);
    assert_eq!(rig.counters(0), [3, 0, 1, 0, 0]);
    // One gives its place up by being established.
    rig.link.settle();
    assert_eq!(rig.state(1, ordinary), State::Established);
    let fourth = rig.accept().expect("after its handshake");
    assert_eq!(rig.read(0, fourth), Ok(TEXT.to_vec()));
    let (reset, server) = attempt(&mut rig);
    let server = server.expect("there is room");
    let answer = rig.link.swallow(0);
    let now = rig.link.now;
    // The client goes before it hears: its SYN-ACK is reset, but what is here counts for a minute.
    rig.link.ends[1].stack.tcp_abort(now, reset);
    rig.link.settle();
    rig.feed(1, &answer);
    rig.link.settle();
    let failure = rig.link.ends[0].stack.tcp_failure(server);
    assert_eq!(failure, Ok(Some(TcpFailure::Reset)));
    let others: Vec<_> = (0..3).map(|_| attempt(&mut rig).1.is_some()).collect();
    assert_eq!(others, [true, true, false]);
    rig.link.pass(Duration::from_secs(61));
    while rig.accept().is_some() {}
    let others: Vec<_> = (0..4).map(|_| attempt(&mut rig).1.is_some()).collect();
    assert_eq!(others, [true, true, true, false]);
}

/// While SYNs are answered with cookies of the other kind there is no room for text either.
#[test]
fn a_crowded_listener_takes_no_text() {
    let mut rig = Rig::with(ListenOptions::default().backlog(1).fast_open(8));
    rig.fetch();
    // One that is half open, for its client is silent.
    let (now, to) = (rig.link.now, SERVER.parse().unwrap());
    let stack = &mut rig.link.ends[1].stack;
    stack
        .tcp_connect(now, to, None, TcpOptions::default())
        .unwrap();
    let syn = rig.link.swallow(1);
    rig.feed(0, &syn);
    rig.link.swallow(0);
    rig.open(TEXT);
    let syn = rig.link.swallow(1);
    assert_eq!(segment(&syn[0]).2, TEXT);
    rig.feed(0, &syn);
    assert_eq!(rig.accept(), None);
    assert_eq!(rig.link.ends[0].stack.counters().tcp_cookies_sent, 1);
}

/// Servers that come and go: the memory of them is bounded, and the oldest gives way.
#[test]
fn servers_that_are_remembered_are_bounded() {
    use super::fast_open::{Answer, FastOpens, MOST_SERVERS, Server};
    use crate::base::{Instant, Seed};
    use crate::stack::InterfaceId;
    use core::net::{IpAddr, Ipv4Addr};
    let mut known = FastOpens::new(&Seed::from_number(1));
    let on = InterfaceId::from_index(0);
    let server = |n: u32| Server::new(on, IpAddr::V4(Ipv4Addr::from_bits(n)));
    let failed = Answer {
        cookie: None,
        mss: 1460,
        failed: true,
    };
    let now = Instant::from_millis(5);
    for n in 0..3 * u32::try_from(MOST_SERVERS).unwrap() {
        known.note(now, server(n), failed);
        // One that is heard of again and again stays.
        known.note(now, server(7), failed);
        assert!(known.word_to(now, server(n)).is_none());
    }
    assert_eq!(known.len(), (MOST_SERVERS, MOST_SERVERS));
    assert!(known.word_to(now, server(7)).is_none());
    assert!(known.word_to(now, server(8)).is_some(), "forgotten");
}

/// Covers: TCP-35 (MUST-62). A SYN has no urgent pointer, so what it is of waits.
#[test]
fn urgent_data_does_not_ride_on_a_syn() {
    let mut rig = Rig::new(8);
    rig.fetch();
    let (now, to) = (rig.link.now, SERVER.parse().unwrap());
    let stack = &mut rig.link.ends[1].stack;
    let id = stack.tcp_connect(now, to, None, client()).unwrap();
    assert_eq!(stack.tcp_write_urgent(now, id, b"!"), Ok(1));
    let syn = rig.link.swallow(1);
    let (header, word, text) = segment(&syn[0]);
    assert_eq!((header.flags(), text), (Flags::SYN, &[][..]));
    assert_eq!(word.map(<[u8]>::len), Some(8));
    rig.feed(0, &syn);
    let answer = rig.link.swallow(0);
    rig.feed(1, &answer);
    let next = rig.link.swallow(1);
    let (header, _, text) = segment(&next[0]);
    assert!(header.flags().contains(Flags::URG), "{:?}", header.flags());
    assert_eq!((header.urgent(), text), (1, &b"!"[..]));
}

/// Covers: TCP-36. Urgent data that somebody else's SYN has.
#[test]
fn urgent_data_on_a_syn_is_told_of() {
    let mut rig = Rig::new(8);
    rig.fetch();
    rig.open(TEXT);
    let mut syn = rig.link.swallow(1);
    let mut data = syn[0].data.to_vec();
    data[20 + 13] |= 0x20;
    // From the SYN's number on: that, and three octets.
    data[20 + 18..20 + 20].copy_from_slice(&[0, 4]);
    syn[0].data = data.into();
    rig.feed(0, &syn);
    let server = rig.accept().unwrap();
    assert_eq!(rig.link.ends[0].stack.tcp_urgent(server), Ok(3));
    assert_eq!(rig.read(0, server), Ok(TEXT.to_vec()));
}

/// Covers: PMT-8. A router's word is of the whole SYN, its text and option with it; and no sign of who drops these.
#[test]
fn a_syn_that_is_too_large_for_the_path_is_told_of() {
    let mut rig = Rig::new(8);
    rig.fetch();
    let id = rig.open(&[7; 3000]);
    let syn = rig.link.swallow(1);
    assert_eq!(packet_len(&syn[0]), 1500);
    let code = UnreachableCode::FRAGMENTATION_NEEDED;
    icmp_error(&mut rig.link, code, 1400, &syn[0].data[..548]);
    let lowered = rig.link.ends[1].stack.counters().path_mtu_lowered;
    assert_eq!(lowered, 1);
    rig.link.now = rig.link.now + Duration::from_secs(1);
    let now = rig.link.now;
    rig.link.ends[1].stack.handle_timeout(now);
    let syn = rig.link.swallow(1);
    assert_eq!((syn.len(), segment(&syn[0]).2), (1, &[][..]));
    rig.feed(0, &syn);
    let answer = rig.link.swallow(0);
    rig.feed(1, &answer);
    let next = rig.link.swallow(1);
    assert!(!segment(&next[0]).2.is_empty());
    assert!(next.iter().all(|frame| packet_len(frame) <= 1400));
    rig.feed(0, &next);
    rig.link.settle();
    assert_eq!(rig.state(1, id), State::Established);
    // The server is not to blame.
    rig.open(TEXT);
    assert_eq!(segment(&rig.link.swallow(1)[0]).2, TEXT);
}

/// RFC 7413 §4.2.2: the text of a server that asks for nothing more leaves as early as any; its FIN waits.
#[test]
fn the_answer_of_a_server_that_has_closed_leaves_early() {
    let mut rig = Rig::new(8);
    rig.fetch();
    let id = rig.open(TEXT);
    let syn = rig.link.swallow(1);
    rig.feed(0, &syn);
    let server = rig.accept().unwrap();
    assert_eq!(rig.read(0, server), Ok(TEXT.to_vec()));
    rig.link.write(0, server, b"answer");
    let now = rig.link.now;
    rig.link.ends[0].stack.tcp_close(now, server);
    let answer = rig.link.swallow(0);
    assert_eq!(answer.len(), 2, "SYN-ACK and text");
    let (header, _, text) = segment(&answer[1]);
    assert_eq!(text, b"answer");
    assert!(!header.flags().contains(Flags::FIN));
    rig.feed(1, &answer);
    assert_eq!(rig.read(1, id), Ok(b"answer".to_vec()));
    rig.link.settle();
    assert_eq!(rig.read(1, id), Ok(Vec::new()), "and the end");
    assert_eq!(rig.state(1, id), State::CloseWait);
    rig.link.ends[1].stack.tcp_close(now, id);
    rig.link.settle();
    assert_eq!(rig.link.ends[0].stack.counters().tcp_retransmits, 0);
}

/// What the SYN brought takes its part of the window till it is read: more than the buffer is never promised.
#[test]
fn a_syn_ack_promises_what_is_left_beside_the_text() {
    let options = TcpOptions::default().recv_buffer_initial(2000);
    for (reads, window) in [(false, 2000 - 1428), (true, 2000)] {
        let mut rig = Rig::with(ListenOptions::new(options.clone()).fast_open(8));
        rig.fetch();
        rig.open(&[7; 3000]);
        let syn = rig.link.swallow(1);
        assert_eq!(segment(&syn[0]).2.len(), 1428);
        rig.feed(0, &syn);
        let server = rig.accept().unwrap();
        if reads {
            rig.read(0, server).unwrap();
        }
        let answer = rig.link.swallow(0);
        assert_eq!(segment(&answer[0]).0.window(), window);
    }
}

/// A pending connection that is reset counts against its own listener.
#[test]
fn a_listener_is_not_charged_for_the_one_before() {
    let mut rig = Rig::new(1);
    rig.fetch();
    let old = rig.open(TEXT);
    let syn = rig.link.swallow(1);
    rig.feed(0, &syn);
    rig.accept().expect("at once");
    let (now, at) = (rig.link.now, SERVER.parse().unwrap());
    let stack = &mut rig.link.ends[0].stack;
    stack.tcp_listener_close(now, rig.listener);
    let options = ListenOptions::default().fast_open(1);
    rig.listener = stack.tcp_listen(at, options).unwrap();
    let answer = rig.link.swallow(0);
    rig.link.ends[1].stack.tcp_abort(now, old);
    rig.link.settle();
    rig.feed(1, &answer);
    rig.link.settle();
    let resets = rig.link.ends[0].stack.counters().tcp_resets_received;
    assert_eq!(resets, 1);
    rig.open(TEXT);
    let syn = rig.link.swallow(1);
    rig.feed(0, &syn);
    assert!(rig.accept().is_some(), "there is room for one");
}
