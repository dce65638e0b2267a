//! Items of docs/regressions.md that need two stacks, or a stack with several connections.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::net::Shutdown;

use bytes::Bytes;

use super::hostile_tests::{fields, timestamp};
use super::tests::{End, Link, SERVER, Wire};
use super::{HalfOpenSlot, ListenOptions};
use crate::base::{Instant, Protocol};
use crate::device::{Capabilities, DeviceError, Medium, Sent, Transmit};
use crate::ipv4;
use crate::ipv4::icmp::{Message, UnreachableCode};
use crate::link::{RxChecksum, RxFrame, RxMeta, TxFrame};
use crate::stack::TcpId;
use crate::tcp::{Flags, Options, State, TcpFailure, TcpOptions};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Text whose every byte tells its place.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

impl Link {
    pub(super) fn write(&mut self, end: usize, id: TcpId, data: &[u8]) {
        let now = self.now;
        assert_eq!(
            self.ends[end].stack.tcp_write(now, id, data),
            Ok(data.len())
        );
    }

    /// Everything that may be read now.
    fn read(&mut self, end: usize, id: TcpId) -> Vec<u8> {
        let (now, mut got) = (self.now, Vec::new());
        while let Ok(chunk) = self.ends[end].stack.tcp_read_chunk(now, id, 70_000) {
            if chunk.is_empty() {
                break;
            }
            got.extend_from_slice(&chunk);
        }
        got
    }

    /// Hands over what both ends send, at one instant, for a number of rounds; returns the frames.
    fn rounds(&mut self, most: usize) -> usize {
        let mut frames = 0;
        for _ in 0..most {
            for from in [0, 1] {
                for frame in self.swallow(from) {
                    frames += 1;
                    let to = &mut self.ends[1 - from];
                    to.stack.handle_frame(self.now, to.on, frame);
                }
            }
        }
        frames
    }

    /// What a connection expects of its peer: RCV.NXT, SND.UNA, the timestamp seen last.
    pub(super) fn expects(&self, end: usize, id: TcpId) -> (u32, u32, u32) {
        let connection = self.connection(end, id);
        let recent = connection.rcv.ts_recent().unwrap();
        (connection.rcv.nxt.get(), connection.snd.una.get(), recent)
    }
}

/// Both ends send, both flights are lost, and so is what both repeat first.
#[test]
fn r05_two_ends_that_both_time_out_recover() {
    for flights in 1..4 {
        let mut link = Link::new();
        let (client, server) = link.connected();
        link.write(0, server, &text(5000));
        link.write(1, client, &text(7000));
        for _ in 0..flights {
            assert!(!link.swallow(0).is_empty() && !link.swallow(1).is_empty());
            link.now = link.now + ms(5000);
            let now = link.now;
            link.ends
                .iter_mut()
                .for_each(|end| end.stack.handle_timeout(now));
        }
        link.pass(ms(5000));
        assert_eq!(link.read(0, server), text(7000), "{flights} flights");
        assert_eq!(link.read(1, client), text(5000), "{flights} flights");
        link.pass(ms(5000));
        for (end, id) in [(0, server), (1, client)] {
            let info = link.ends[end].stack.tcp_info(id).unwrap();
            assert_eq!((info.in_flight, info.backoff), (0, 0));
        }
    }
}

/// The smallest MTU: the peer's MSS counts for nothing above it, reports give way to text.
#[test]
fn r13_a_small_mtu_wins() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 68));
    let (client, server) = link.connected();
    assert_eq!(
        link.ends[1].stack.tcp_info(client).unwrap().snd_mss,
        68 - 40 - 12
    );
    link.write(1, client, &text(1000));
    let mut first = link.swallow(1);
    // Two holes: more blocks than fit; and text back while they are there.
    first.remove(3);
    first.remove(1);
    for frame in first {
        let (now, end) = (link.now, &mut link.ends[0]);
        end.stack.handle_frame(now, end.on, frame);
    }
    link.write(0, server, &text(500));
    let mut sizes = Vec::new();
    for _ in 0..200 {
        for from in [0, 1] {
            for frame in link.swallow(from) {
                let header = usize::from(frame.data[32] >> 4) * 4;
                sizes.push((frame.data.len(), frame.data.len() - 20 - header));
                let (now, to) = (link.now, &mut link.ends[1 - from]);
                to.stack.handle_frame(now, to.on, frame);
            }
        }
        link.now = link.now + ms(50);
        let now = link.now;
        link.ends
            .iter_mut()
            .for_each(|end| end.stack.handle_timeout(now));
    }
    assert!(sizes.iter().all(|&(frame, _)| frame <= 68), "{sizes:?}");
    let slivers = sizes.iter().filter(|s| s.1 > 0 && s.1 < 8).count();
    assert!(slivers <= 2, "only a last one may be short: {sizes:?}");
    assert!(sizes.len() < 300, "{} frames", sizes.len());
    assert_eq!(link.read(0, server), text(1000));
    assert_eq!(link.read(1, client), text(500));
}

/// Both ends fill each other's buffer, probe for a while, and go on.
#[test]
fn r27_two_ends_that_probe_each_other_recover() {
    let mut link = Link::new();
    let options = TcpOptions::default()
        .recv_buffer_initial(1000)
        .recv_buffer_max(1000);
    let (client, server) = link.connected_with(&options);
    link.write(0, server, &text(10_000));
    link.write(1, client, &text(10_000));
    link.pass(ms(20_000));
    let mut got = [Vec::new(), Vec::new()];
    for _ in 0..40 {
        for (end, id) in [(0, server), (1, client)] {
            got[end].extend(link.read(end, id));
        }
        link.pass(ms(500));
    }
    assert_eq!(got[0], text(10_000));
    assert_eq!(got[1], text(10_000));
    for end in &link.ends {
        assert_eq!(end.stack.counters().tcp_resets_sent, 0);
    }
}

/// r10: what a window refused is forgotten once it is acknowledged. Or 2^31 octets later what is lost then would be
/// taken for refused, and start no episode.
#[test]
fn r10_what_a_window_refused_is_forgotten_when_it_is_acknowledged() {
    let mut link = Link::new();
    let options = TcpOptions::default()
        .recv_buffer_initial(1000)
        .recv_buffer_max(1000);
    let (client, server) = link.connected_with(&options);
    link.write(1, client, &text(3000));
    // The window is shut: what asks is refused, over and over.
    link.pass(ms(20_000));
    let connection = link.connection(1, client);
    let refused = connection.persist.is_refused(connection.snd.una);
    assert!(refused, "nothing was refused, and nothing can be forgotten");
    let mut got = 0;
    while got < 3000 {
        got += link.read(0, server).len();
        link.pass(ms(5000));
    }
    let connection = link.connection(1, client);
    let una = connection.snd.una;
    assert_eq!(una, connection.snd.nxt);
    // Numbers that are beyond it sooner or later.
    let mut later = (0..8).map(|n| una + n * (1 << 29));
    let refused = later.find(|&seq| connection.persist.is_refused(seq));
    assert_eq!(refused, None);
}

/// A device that refuses one frame, told by its number.
struct Refusing<'a> {
    wire: &'a mut Wire,
    offered: &'a mut usize,
    refuse: Option<usize>,
}

impl Transmit for Refusing<'_> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        *self.offered += 1;
        if Some(*self.offered) == self.refuse {
            return Ok(Sent::Full);
        }
        self.wire.transmit(now, frame)
    }
}

/// A connection from its SYN to its end, text both ways, one of all frames refused once.
struct Exchange {
    link: Link,
    client: TcpId,
    server: Option<TcpId>,
    listener: crate::stack::ListenerId,
    written: [usize; 2],
    read: [Vec<u8>; 2],
    shut: [bool; 2],
    ended: [bool; 2],
    offered: usize,
    refuse: Option<usize>,
}

impl Exchange {
    const SENT: [usize; 2] = [5000, 20_000];

    fn new(capabilities: &Capabilities, refuse: Option<usize>) -> Self {
        let mut link = Link::over(capabilities);
        let at: SocketAddr = SERVER.parse().unwrap();
        let now = link.now;
        // Small enough that windows close and open.
        let options = TcpOptions::default()
            .recv_buffer_initial(6000)
            .recv_buffer_max(6000);
        let listen = ListenOptions::new(options.clone());
        let listener = link.ends[0].stack.tcp_listen(at, listen).unwrap();
        let client = link.ends[1].stack.tcp_connect(now, at, None, options);
        Self {
            link,
            client: client.unwrap(),
            server: None,
            listener,
            written: [0; 2],
            read: [Vec::new(), Vec::new()],
            shut: [false; 2],
            ended: [false; 2],
            offered: 0,
            refuse,
        }
    }

    /// What the users do: both write, shut down, read to the end, close.
    fn users(&mut self) -> bool {
        let now = self.link.now;
        if self.server.is_none() {
            self.server = self.link.ends[0].stack.tcp_accept(now, self.listener).ok();
        }
        let mut moved = false;
        for end in [0, 1] {
            let Some(id) = [self.server, Some(self.client)][end] else {
                continue;
            };
            let stack = &mut self.link.ends[end].stack;
            if self.ended[end] {
                continue;
            }
            let data = text(Self::SENT[end]);
            if let Ok(n) = stack.tcp_write(now, id, &data[self.written[end]..]) {
                self.written[end] += n;
                moved |= n > 0;
            }
            if self.written[end] == data.len() && !self.shut[end] {
                stack.tcp_shutdown(now, id, Shutdown::Write).unwrap();
                (self.shut[end], moved) = (true, true);
            }
            let before = self.read[end].len();
            while let Ok(chunk) = stack.tcp_read_chunk(now, id, 2500) {
                if chunk.is_empty() {
                    if self.shut[end] {
                        stack.tcp_close(now, id);
                        (self.ended[end], moved) = (true, true);
                    }
                    break;
                }
                self.read[end].extend_from_slice(&chunk);
            }
            moved |= self.read[end].len() > before;
        }
        moved
    }

    /// Hands frames over until only a timer goes on.
    fn settle(&mut self) {
        while self.users() | self.frames() {}
        self.check_timers();
    }

    fn frames(&mut self) -> bool {
        let mut moved = false;
        for from in [0, 1] {
            let (a, b) = self.link.ends.split_at_mut(1);
            let (from, to) = match from {
                0 => (&mut a[0], &mut b[0]),
                _ => (&mut b[0], &mut a[0]),
            };
            let mut out = Refusing {
                wire: &mut from.out,
                offered: &mut self.offered,
                refuse: self.refuse,
            };
            let now = self.link.now;
            from.stack.poll_transmit(now, from.on, &mut out).unwrap();
            moved |= from.stack.wants_transmit(from.on);
            for frame in from.out.take() {
                to.stack.handle_frame(now, to.on, frame);
                moved = true;
            }
        }
        moved
    }

    /// r32: no deadline has passed, and whatever waits has one.
    fn check_timers(&self) {
        let now = self.link.now;
        for End { stack, .. } in &self.link.ends {
            assert!(stack.poll_timeout().is_none_or(|at| at > now));
            for (_, slot) in stack.tcp.slots.iter() {
                let connection = &slot.connection;
                let lives = !matches!(connection.state, State::Closed | State::TimeWait);
                let waits = connection.snd.is_pending() || connection.rcv.ack_is_delayed();
                let timer = connection.next_timeout();
                assert!(
                    timer.is_some() || !lives || !waits,
                    "{:?}",
                    connection.info()
                );
                assert!(timer.is_none_or(|at| at > now));
            }
        }
    }

    /// Runs to the end; returns how long it took.
    fn run(mut self) -> (Duration, usize) {
        while self.ended != [true, true] || self.link.ends[0].stack.tcp_open_count() > 0 {
            self.settle();
            let timers = self.link.ends.iter().filter_map(|e| e.stack.poll_timeout());
            let Some(next) = timers.min().filter(|_| self.ended != [true, true]) else {
                break;
            };
            self.link.now = next;
            for end in &mut self.link.ends {
                end.stack.handle_timeout(next);
            }
            self.check_timers();
        }
        let case = (self.refuse, self.link.now);
        assert_eq!(self.read[0], text(Self::SENT[1]), "{case:?}");
        assert_eq!(self.read[1], text(Self::SENT[0]), "{case:?}");
        for end in &self.link.ends {
            let counters = end.stack.counters();
            assert_eq!(counters.tcp_retransmits, 0, "{case:?}");
            assert_eq!(counters.tcp_resets_sent, 0, "{case:?}");
            assert_eq!(end.stack.tcp_open_count(), 0, "{case:?}");
        }
        (self.link.now.since(Instant::ZERO), self.offered)
    }
}

/// Whichever frame the device refuses: the same text, as soon, and nothing sent twice.
#[test]
fn r29_any_segment_may_be_refused() {
    for capabilities in [
        Capabilities::plain(Medium::Ip, 1500),
        Capabilities::full(Medium::Ip, 1500),
    ] {
        let (time, frames) = Exchange::new(&capabilities, None).run();
        assert!(frames > 8, "{frames}");
        for refuse in 1..=frames + 1 {
            let (later, _) = Exchange::new(&capabilities, Some(refuse)).run();
            assert!(later <= time, "{refuse}: {later:?} after {time:?}");
        }
    }
}

/// At every step of a whole life: no deadline in the past, none missing.
#[test]
fn r32_every_wait_has_a_timer_in_the_future() {
    for mtu in [200, 1500, 9000] {
        Exchange::new(&Capabilities::plain(Medium::Ip, mtu), None).run();
    }
}

/// Each frame arrives 10 ms after it left and is handled another 60 ms later.
fn cross_late(link: &mut Link, from: usize) {
    cross_later(link, from, 60);
}

/// The same, handled `wait` ms later.
fn cross_later(link: &mut Link, from: usize, wait: u64) {
    let left = link.now;
    let frames = link.swallow(from);
    assert!(!frames.is_empty());
    link.now = left + ms(10 + wait);
    for mut frame in frames {
        frame.meta.at = left + ms(10);
        let (now, to) = (link.now, &mut link.ends[1 - from]);
        to.stack.handle_frame(now, to.on, frame);
    }
}

/// A connection whose handshake was handled late.
fn opened_late(link: &mut Link) -> (TcpId, TcpId) {
    let server: SocketAddr = SERVER.parse().unwrap();
    let listener = link.ends[0]
        .stack
        .tcp_listen(server, ListenOptions::default())
        .unwrap();
    let options = TcpOptions::default();
    let now = link.now;
    let client = link.ends[1].stack.tcp_connect(now, server, None, options);
    let client = client.unwrap();
    for from in [1, 0, 1] {
        cross_late(link, from);
    }
    let now = link.now;
    let accepted = link.ends[0].stack.tcp_accept(now, listener).unwrap();
    (client, accepted)
}

/// m02: what RACK makes its reordering window of, and when it finds a loss. The ACK of the second waited for
/// 60 ms: by its arrival the first is a quarter of the round trip older than it may be.
#[test]
fn m02_loss_is_found_by_times_of_arrival() {
    let mut link = Link::new();
    let (client, _) = opened_late(&mut link);
    let now = link.now;
    let settings = TcpOptions::default().nodelay(true);
    let stack = &mut link.ends[1].stack;
    stack.tcp_set_options(now, client, settings).unwrap();
    link.write(1, client, &text(100));
    let _lost = link.swallow(1);
    link.now = link.now + ms(22);
    link.write(1, client, &text(100));
    cross_late(&mut link, 1);
    cross_late(&mut link, 0);
    let info = link.ends[1].stack.tcp_info(client).unwrap();
    assert_eq!(info.min_rtt, Some(ms(80)));
    assert_eq!(link.swallow(1).len(), 1, "the first is sent again at once");
}

/// Frames that wait in the host before they are handled do not lengthen the round trip.
#[test]
fn r34_round_trips_are_measured_by_arrival() {
    let mut link = Link::new();
    let (client, accepted) = opened_late(&mut link);
    // From the SYN to the arrival of the SYN-ACK: the server's own delay is part of the path.
    let latest =
        |link: &Link, end: usize, id| link.ends[end].stack.tcp_info(id).unwrap().latest_rtt;
    assert_eq!(latest(&link, 1, client), Some(ms(80)));
    assert_eq!(latest(&link, 0, accepted), Some(ms(80)));
    link.write(1, client, &text(3000));
    cross_late(&mut link, 1);
    cross_late(&mut link, 0);
    assert_eq!(latest(&link, 1, client), Some(ms(80)));
    // By timestamp echo, too: the text is lost once, and the probe of its tail.
    link.write(0, accepted, &text(3000));
    for _ in 0..2 {
        assert!(!link.swallow(0).is_empty());
        link.now = link.now + ms(1000);
        let now = link.now;
        link.ends[0].stack.handle_timeout(now);
    }
    cross_late(&mut link, 0);
    link.now = link.now + ms(40);
    let now = link.now;
    link.ends[1].stack.handle_timeout(now);
    cross_late(&mut link, 1);
    assert_eq!(latest(&link, 0, accepted), Some(ms(120)));
}

/// ACKs that wait ever longer in the host are no queue on the path: slow start goes on.
#[test]
fn r34_a_host_that_is_late_does_not_end_slow_start() {
    let mut link = Link::new();
    let (client, accepted) = opened_late(&mut link);
    let mut conservative = Vec::new();
    // The window doubles: from the second round trip on there are samples enough to judge by.
    link.write(1, client, &text(200_000));
    for (segments, wait) in [(10, 60), (20, 60), (40, 120)] {
        cross_late(&mut link, 1);
        cross_later(&mut link, 0, wait);
        assert_eq!(link.read(0, accepted).len(), segments * 1448);
        let stack = &link.ends[1].stack;
        let mut seen = |name, value| {
            if name == "css" {
                conservative.push(value);
            }
        };
        stack.tcp_inspect(client, &mut seen).unwrap();
        let info = stack.tcp_info(client).unwrap();
        assert_eq!(info.latest_rtt, Some(ms(80)));
        assert_eq!(info.cwnd, 2 * segments as u32 * 1448);
    }
    assert_eq!(conservative, [0, 0, 0]);
}

/// What uses up one connection's challenges leaves another's alone (CVE-2016-5696).
#[test]
fn r38_challenges_are_counted_for_each_connection() {
    let mut link = Link::new();
    let (first, _) = link.connected();
    let server: SocketAddr = SERVER.parse().unwrap();
    let options = TcpOptions::default();
    let second = link.ends[1]
        .stack
        .tcp_connect(link.now, server, None, options)
        .unwrap();
    link.settle();
    link.now = link.now + ms(1000);
    link.settle();
    let mut answers = |id, count| {
        let port = link.ends[1].stack.tcp_local_addr(id).unwrap().port();
        for _ in 0..count {
            let syn = fields((port, 80), 500, 0, Flags::SYN);
            link.forge(0, syn, &Options::NONE, &[]);
            // The answer is seen before the next.
            let sent = link.swallow(0).len();
            assert!(sent <= 1);
            if sent == 0 {
                return 0;
            }
        }
        count
    };
    assert_eq!(answers(first, 11), 0, "the eleventh is not answered");
    assert_eq!(answers(second, 10), 10);
    assert_eq!(answers(second, 1), 0);
}

/// Forged segments have put one end or both out of step: each answers the other's ACKs.
#[test]
fn r39_two_ends_out_of_step_fall_silent() {
    for both in [false, true] {
        let mut link = Link::new();
        let (client, server) = link.connected();
        let port = link.ends[1].stack.tcp_local_addr(client).unwrap().port();
        let ends = [(0, server, (port, 80)), (1, client, (80, port))];
        for (end, id, ports) in ends.into_iter().take(1 + usize::from(both)) {
            let (nxt, una, recent) = link.expects(end, id);
            let forged = fields(ports, nxt, una, Flags::ACK | Flags::PSH);
            link.forge(end, forged, &timestamp(recent), &[7; 3000]);
        }
        let frames = link.rounds(200);
        assert!((2..60).contains(&frames), "{frames} frames at one instant");
        let sent = |link: &Link| -> u64 {
            let of = |end: &End| end.stack.counters().tcp_segments_sent;
            link.ends.iter().map(of).sum()
        };
        let before = sent(&link);
        link.pass(Duration::from_secs(3600));
        let more = sent(&link) - before;
        assert!(more < 60, "{more} in an hour");
        assert_eq!(link.state(0, server), State::Established);
    }
}

/// A connection's segments are its own, whatever listens on the port.
#[test]
fn r51_a_listener_takes_no_connections_segment() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    // A connection from the port that is listened on, to a listener of the other end.
    let at: SocketAddr = "10.0.0.2:81".parse().unwrap();
    let other = link.ends[1]
        .stack
        .tcp_listen(at, ListenOptions::default())
        .unwrap();
    let local: SocketAddr = SERVER.parse().unwrap();
    let options = TcpOptions::default();
    let now = link.now;
    let outward = link.ends[0]
        .stack
        .tcp_connect(now, at, Some(local), options)
        .unwrap();
    link.settle();
    assert_eq!(link.state(0, outward), State::Established);
    let inward = link.ends[1].stack.tcp_accept(now, other).unwrap();
    link.write(1, inward, b"to the connection");
    link.write(1, client, b"to the other");
    link.settle();
    assert_eq!(link.read(0, outward), b"to the connection");
    assert_eq!(link.read(0, server), b"to the other");
    // A SYN, a bare ACK and a FIN with the connection's names open nothing and reset nothing.
    let port = link.ends[1].stack.tcp_local_addr(client).unwrap().port();
    let (nxt, una, recent) = link.expects(0, server);
    for flags in [Flags::SYN, Flags::ACK, Flags::FIN | Flags::ACK] {
        let forged = fields((port, 80), nxt.wrapping_add(5000), una, flags);
        link.forge(0, forged, &timestamp(recent), &[]);
        let sent = link.swallow(0);
        let bad = Flags::SYN | Flags::RST;
        let of = |f: &RxFrame| Flags::from_bits_retain(f.data[33].into());
        assert!(sent.iter().all(|f| !of(f).intersects(bad)), "{flags:?}");
    }
    assert_eq!(link.ends[0].stack.tcp.half_open.len(), 0);
    assert_eq!(link.state(0, server), State::Established);
}

/// A listener that closes takes its half-open records with it, and nothing else.
#[test]
fn r51_what_was_half_open_is_refused_after_the_listener_closed() {
    let mut link = Link::new();
    let server: SocketAddr = SERVER.parse().unwrap();
    let now = link.now;
    let listener = link.ends[0]
        .stack
        .tcp_listen(server, ListenOptions::default())
        .unwrap();
    let connect = |link: &mut Link| {
        let options = TcpOptions::default();
        link.ends[1]
            .stack
            .tcp_connect(now, server, None, options)
            .unwrap()
    };
    let first = connect(&mut link);
    link.settle();
    let accepted = link.ends[0].stack.tcp_accept(now, listener).unwrap();
    let half = connect(&mut link);
    for frame in link.swallow(1) {
        let end = &mut link.ends[0];
        end.stack.handle_frame(now, end.on, frame);
    }
    for frame in link.swallow(0) {
        let end = &mut link.ends[1];
        end.stack.handle_frame(now, end.on, frame);
    }
    link.ends[0].stack.tcp_listener_close(now, listener);
    link.settle();
    let failures = [first, half].map(|id| link.ends[1].stack.tcp_failure(id).unwrap());
    assert_eq!(failures, [None, Some(TcpFailure::Reset)]);
    link.write(1, first, b"goes on");
    link.settle();
    assert_eq!(link.read(0, accepted), b"goes on");
    link.pass(Duration::from_secs(300));
    assert_eq!(link.ends[0].stack.tcp_open_count(), 1);
}

/// A half-open record is small, and there are no more of them than the backlog allows.
#[test]
fn r52_a_flood_is_bounded_and_what_is_established_goes_on() {
    assert!(
        size_of::<HalfOpenSlot>() <= 256,
        "{}",
        size_of::<HalfOpenSlot>()
    );
    let mut link = Link::new();
    let (client, server) = link.connected();
    let at: SocketAddr = "10.0.0.1:81".parse().unwrap();
    let options = ListenOptions::default().backlog(100);
    link.ends[0].stack.tcp_listen(at, options).unwrap();
    let mut got = Vec::new();
    for round in 0..50u16 {
        for n in 0..200 {
            let syn = fields((1000 + 200 * round + n, 81), 500, 0, Flags::SYN);
            link.forge(0, syn, &Options::NONE, &[]);
        }
        assert!(link.ends[0].stack.tcp.half_open.len() <= 100);
        assert_eq!(link.ends[0].stack.tcp.slots.len(), 1);
        link.write(1, client, &text(1000));
        link.pass(ms(50));
        got.extend(link.read(0, server));
    }
    assert_eq!(got.len(), 50 * 1000);
    assert_eq!(link.ends[1].stack.counters().tcp_retransmits, 0);
    // All of them end by their timers.
    link.pass(Duration::from_secs(600));
    assert_eq!(link.ends[0].stack.tcp_open_count(), 1);
}

/// An ICMP error from the server's address to the client's end, about `quoted`.
pub(super) fn icmp_error(link: &mut Link, code: UnreachableCode, mtu: u16, quoted: &[u8]) {
    let message = Message::DestinationUnreachable {
        code,
        next_hop_mtu: mtu,
        quoted,
    };
    let mut body = vec![0; message.len()];
    message.emit(&mut body);
    let ends = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
    let mut packet = vec![0; 20];
    ipv4::Fields::new(ends[0], ends[1], Protocol::ICMP).emit(body.len(), &mut packet);
    packet.extend_from_slice(&body);
    let meta = RxMeta::new(link.now).with_checksum(RxChecksum::Unknown);
    let (now, end) = (link.now, &mut link.ends[1]);
    end.stack
        .handle_frame(now, end.on, RxFrame::new(Bytes::from(packet), meta));
}

/// Covers: ATK-1, ATK-2, ATK-3, ATK-4, IC4-6, TCP-53, TCP-54 (MUST-54, MUST-56)
#[test]
fn r62_an_error_about_a_syn_ends_the_attempt_when_it_quotes_it() {
    for (code, failure) in [
        (UnreachableCode::PORT, Some(TcpFailure::Refused)),
        (UnreachableCode::PROTOCOL, Some(TcpFailure::Refused)),
        (UnreachableCode(1), Some(TcpFailure::HostUnreachable)),
        (UnreachableCode(0), Some(TcpFailure::NetworkUnreachable)),
        (UnreachableCode(13), Some(TcpFailure::HostUnreachable)),
        (UnreachableCode::FRAGMENTATION_NEEDED, None),
    ] {
        let mut link = Link::new();
        let to: SocketAddr = SERVER.parse().unwrap();
        let now = link.now;
        let options = TcpOptions::default();
        let id = link.ends[1].stack.tcp_connect(now, to, None, options);
        let id = id.unwrap();
        let syn = link.swallow(1).remove(0).data;
        // Beside it: another number, another port, too short to tell, another peer.
        let changed = |at: usize, by: u8| {
            let mut quoted = syn.to_vec();
            quoted[at] ^= by;
            if at < 20 {
                quoted[10..12].fill(0);
                let sum = crate::base::checksum::checksum(&quoted[..20]);
                quoted[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            quoted
        };
        let numbered = |by: u32| {
            let seq = u32::from_be_bytes(syn[24..28].try_into().unwrap());
            let mut quoted = syn.to_vec();
            quoted[24..28].copy_from_slice(&seq.wrapping_add(by).to_be_bytes());
            quoted
        };
        let forged = [
            numbered(1),
            numbered(u32::MAX),
            numbered(0x8000_0000),
            changed(21, 1),
            changed(23, 1),
            changed(19, 4),
            syn[..27].to_vec(),
        ];
        for quoted in &forged {
            icmp_error(&mut link, code, 0, quoted);
            assert_eq!(link.ends[1].stack.tcp_failure(id), Ok(None), "{code:?}");
        }
        icmp_error(&mut link, code, 0, &syn[..28]);
        assert_eq!(link.ends[1].stack.tcp_failure(id), Ok(failure), "{code:?}");
    }
}

/// Covers: ATK-3, IC4-10, TCP-54 (in a synchronized state every error is a hint)
#[test]
fn r62_no_error_ends_what_is_established() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    link.write(1, client, &text(3000));
    let sent = link.swallow(1).remove(0).data;
    for code in 0..16 {
        icmp_error(&mut link, UnreachableCode(code), 0, &sent[..28]);
        assert_eq!(link.ends[1].stack.tcp_failure(client), Ok(None));
        assert_eq!(link.state(1, client), State::Established);
    }
    link.pass(ms(1000));
    assert_eq!(link.read(0, server), text(3000));
}

/// Covers: PMT-4. A forged packet-too-big makes no segment smaller than the least, whatever it says.
#[test]
fn r62_a_forged_packet_too_big_makes_no_slivers() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let mss = link.ends[1].stack.tcp_info(client).unwrap().snd_mss;
    for mtu in [0, 1, 28, 67] {
        link.write(1, client, &text(3000));
        let sent = link.swallow(1).remove(0).data;
        let code = UnreachableCode::FRAGMENTATION_NEEDED;
        icmp_error(&mut link, code, mtu, &sent);
        let now = link.ends[1].stack.tcp_info(client).unwrap().snd_mss;
        assert!(now >= mss.min(552 - 40 - 12), "{mtu}: {now}");
        link.pass(ms(1000));
        assert_eq!(link.read(0, server), text(3000));
    }
}

/// A device that fails in the middle of a turn leaves the charge of what was to be sent exact.
#[test]
fn a_device_that_fails_leaves_the_charges_exact() {
    struct Broken;
    impl Transmit for Broken {
        fn transmit(&mut self, _: Instant, _: &TxFrame<'_>) -> Result<Sent, DeviceError> {
            Err(DeviceError::Gone)
        }
    }
    let mut link = Link::new();
    let (client, _) = link.connected();
    link.write(1, client, b"text");
    let (now, end) = (link.now, &mut link.ends[1]);
    assert!(end.stack.poll_transmit(now, end.on, &mut Broken).is_err());
    end.stack.check_memory();
}
