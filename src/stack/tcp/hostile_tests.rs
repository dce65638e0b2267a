//! Segments that a real peer would not send, or not then: each showed a fault once.

use core::net::Ipv4Addr;
use core::time::Duration;

use bytes::Bytes;

use super::ListenOptions;
use super::tests::{Link, SERVER};
use crate::base::{DropReason, Instant, Protocol, Seed};
use crate::device::{Capabilities, Medium};
use crate::link::{RxChecksum, RxFrame, RxMeta};
use crate::stack::{Config, InterfaceConfig, Stack, TcpId};
use crate::tcp::{Fields, Flags, Header, Keepalive, Options, State, TcpFailure, TcpOptions};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];

pub(super) fn fields(ports: (u16, u16), seq: u32, ack: u32, flags: Flags) -> Fields {
    Fields {
        src_port: ports.0,
        dst_port: ports.1,
        seq,
        ack,
        flags,
        window: 1000,
        urgent: 0,
    }
}

pub(super) fn timestamp(val: u32) -> Options {
    Options {
        timestamps: Some((val, 0)),
        ..Options::NONE
    }
}

impl Link {
    /// Gives end `to` a segment that nobody on the link sent.
    pub(super) fn forge(&mut self, to: usize, fields: Fields, options: &Options, text: &[u8]) {
        let (src, dst) = if to == 0 { (B, A) } else { (A, B) };
        let mut header = [0; 60];
        let len = fields.emit(options, &mut header);
        let mut packet = vec![0; 20];
        let ip = crate::ipv4::Fields::new(Ipv4Addr::from(src), Ipv4Addr::from(dst), Protocol::TCP);
        ip.emit(len + text.len(), &mut packet);
        packet.extend_from_slice(&header[..len]);
        packet.extend_from_slice(text);
        let meta = RxMeta::new(self.now).with_checksum(RxChecksum::Verified);
        let end = &mut self.ends[to];
        end.stack
            .handle_frame(self.now, end.on, RxFrame::new(Bytes::from(packet), meta));
    }

    /// Takes what end `from` sends off the wire.
    pub(super) fn swallow(&mut self, from: usize) -> Vec<RxFrame> {
        let end = &mut self.ends[from];
        end.stack
            .poll_transmit(self.now, end.on, &mut end.out)
            .unwrap();
        end.out.take().into()
    }

    pub(super) fn connection(&self, end: usize, id: TcpId) -> &crate::tcp::Connection {
        &self.ends[end].stack.tcp.slots.get(id).unwrap().connection
    }
}

/// RFC 7323 §3.2: an ACK that lost the timestamps which the SYN agreed on completes nothing; a
/// connection made by it would have taken no segment and had no timer, for ever.
#[test]
fn a_handshake_that_loses_its_timestamps_is_not_completed() {
    let mut link = Link::new();
    let at = SERVER.parse().unwrap();
    let listener = link.ends[0].stack.tcp_listen(at, ListenOptions::default());
    link.forge(0, fields((9, 80), 500, 0, Flags::SYN), &timestamp(7), &[]);
    let answer = link.swallow(0);
    let iss = u32::from_be_bytes(answer[0].data[24..28].try_into().unwrap());
    link.forge(
        0,
        fields((9, 80), 501, iss + 1, Flags::ACK),
        &Options::NONE,
        &[],
    );
    assert_eq!(
        link.ends[0].stack.tcp_listener_waiting(listener.unwrap()),
        Ok(0)
    );
    link.pass(Duration::from_secs(600));
    assert_eq!(
        link.ends[0].stack.tcp_open_count(),
        0,
        "the record ends by its timer"
    );
}

/// docs/limits.md: what is remembered of a flood's cookies is given back when they are no good any more, though
/// no other ever comes; and not before.
#[test]
fn the_memory_of_redeemed_cookies_is_given_back() {
    let mut link = Link::new();
    let options = ListenOptions::default().backlog(1);
    let stack = &mut link.ends[0].stack;
    stack.tcp_listen(SERVER.parse().unwrap(), options).unwrap();
    let none = Options::NONE;
    // The first takes the backlog, the second has a cookie, and brings it back.
    let syn = |link: &mut Link, port| {
        link.forge(0, fields((port, 80), 500, 0, Flags::SYN), &none, &[]);
        let answer = link.swallow(0);
        u32::from_be_bytes(answer[0].data[24..28].try_into().unwrap())
    };
    syn(&mut link, 9);
    let iss = syn(&mut link, 10);
    link.forge(0, fields((10, 80), 501, iss + 1, Flags::ACK), &none, &[]);
    let counters = link.ends[0].stack.counters();
    assert_eq!(counters.tcp_cookies_accepted, 1);
    let room = |link: &Link| link.ends[0].stack.tcp.cookies.room();
    assert!(room(&link) > 0);
    // Till the end of this epoch and the next, by the stack's own deadlines.
    for (seconds, kept) in [(60, true), (60, true), (9, false)] {
        link.pass(Duration::from_secs(seconds));
        assert_eq!(room(&link) > 0, kept, "at {:?}", link.now);
    }
}

/// r39: two listeners, each given a SYN in the other's name.
#[test]
fn r39_two_half_open_records_do_not_answer_each_other_for_ever() {
    let mut link = Link::new();
    for (end, at) in [(0, SERVER), (1, "10.0.0.2:80")] {
        let listen = ListenOptions::default();
        link.ends[end]
            .stack
            .tcp_listen(at.parse().unwrap(), listen)
            .unwrap();
        link.forge(
            end,
            fields((80, 80), 500, 0, Flags::SYN),
            &Options::NONE,
            &[],
        );
    }
    let mut frames = 0;
    for _ in 0..100 {
        for from in [0, 1] {
            for frame in link.swallow(from) {
                frames += 1;
                let to = &mut link.ends[1 - from];
                to.stack.handle_frame(link.now, to.on, frame);
            }
        }
    }
    assert!(frames < 10, "{frames} frames at one instant");
}

/// RFC 7323 §5.3 (R3), RFC 5961 §5: a forged segment whose ACK is wrong does not move TS.Recent,
/// or every honest one would fail PAWS from then on.
#[test]
fn a_forged_timestamp_does_not_outdate_the_peers() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let port = link.ends[1].stack.tcp_local_addr(client).unwrap().port();
    let (nxt, una, recent) = {
        let connection = link.connection(0, server);
        let recent = connection.rcv.ts_recent().unwrap();
        (connection.rcv.nxt.get(), connection.snd.una.get(), recent)
    };
    let wrong = una ^ 0x4000_0000;
    let forged = fields((port, 80), nxt.wrapping_sub(100), wrong, Flags::ACK);
    link.forge(
        0,
        forged,
        &timestamp(recent.wrapping_add(0x4000_0000)),
        &[0; 200],
    );
    link.settle();
    let now = link.now;
    link.ends[1].stack.tcp_write(now, client, b"hello").unwrap();
    link.pass(Duration::from_secs(1));
    let now = link.now;
    assert_eq!(link.ends[0].stack.tcp_read(now, server, &mut [0; 9]), Ok(5));
}

/// r30: probes of a connection that its user has closed are bounded, answered or not.
#[test]
fn r30_an_orphan_at_a_closed_window_ends() {
    let mut link = Link::new();
    let small = TcpOptions::default()
        .recv_buffer_max(10_000)
        .recv_buffer_initial(10_000);
    let at = SERVER.parse().unwrap();
    link.ends[0]
        .stack
        .tcp_listen(at, ListenOptions::new(small))
        .unwrap();
    let options = TcpOptions::default();
    let now = link.now;
    let client = link.ends[1]
        .stack
        .tcp_connect(now, at, None, options)
        .unwrap();
    link.settle();
    link.ends[1]
        .stack
        .tcp_write(now, client, &[1; 1_000_000])
        .unwrap();
    link.pass(Duration::from_secs(5));
    let now = link.now;
    link.ends[1].stack.tcp_close(now, client);
    link.pass(Duration::from_secs(3600));
    assert_eq!(link.ends[1].stack.tcp_open_count(), 0);
}

/// A peer that acknowledges nothing holds no more closed connections than the limit.
#[test]
fn r52_orphans_are_bounded() {
    let mut link = Link::new();
    let config = Config::new(Seed::from_number(3)).orphan_limit(2);
    let stack = &mut link.ends[0].stack;
    *stack = Stack::new(config);
    let interface = InterfaceConfig::new(&Capabilities::full(Medium::Ip, 1500));
    let interface = interface.address("10.0.0.1/24".parse().unwrap());
    stack.add_interface(Instant::ZERO, interface).unwrap();
    let at = SERVER.parse().unwrap();
    let listener = stack.tcp_listen(at, ListenOptions::default()).unwrap();
    let now = link.now;
    for n in 1..=5 {
        let options = TcpOptions::default();
        let peer = &mut link.ends[1].stack;
        peer.tcp_connect(now, at, None, options).unwrap();
        link.settle();
        let stack = &mut link.ends[0].stack;
        let id = stack.tcp_accept(now, listener).unwrap();
        stack.tcp_write(now, id, &[0; 100_000]).unwrap();
        stack.tcp_close(now, id);
        assert_eq!(stack.tcp_open_count(), n.min(2));
        assert_eq!(stack.tcp.orphans, n.min(2));
        link.swallow(0);
    }
    assert_eq!(link.ends[0].stack.counters().tcp_resets_sent, 3);
    link.ends[1].stack = Stack::new(Config::new(Seed::from_number(4)));
    for _ in 0..20 {
        link.now = link.now + Duration::from_secs(60);
        link.ends[0].stack.handle_timeout(link.now);
        link.swallow(0);
    }
    let stack = &link.ends[0].stack;
    assert_eq!((stack.tcp_open_count(), stack.tcp.orphans), (0, 0));
}

/// FIN-WAIT-1, CLOSING and LAST-ACK keep a whole connection, as in Linux: whichever of them a peer chooses, no
/// more than the limit.
#[test]
fn r52_whatever_a_peer_leaves_unacknowledged_its_orphans_are_bounded() {
    for stuck_in in [State::FinWait1, State::Closing, State::LastAck] {
        let mut link = Link::new();
        let config = Config::new(Seed::from_number(3)).orphan_limit(3);
        let stack = &mut link.ends[0].stack;
        *stack = Stack::new(config);
        let interface = InterfaceConfig::new(&Capabilities::full(Medium::Ip, 1500));
        let interface = interface.address("10.0.0.1/24".parse().unwrap());
        stack.add_interface(Instant::ZERO, interface).unwrap();
        let at = SERVER.parse().unwrap();
        let listener = stack.tcp_listen(at, ListenOptions::default()).unwrap();
        let now = link.now;
        for n in 1..=30 {
            let peer = &mut link.ends[1].stack;
            let client = peer
                .tcp_connect(now, at, None, TcpOptions::default())
                .unwrap();
            link.settle();
            let id = link.ends[0].stack.tcp_accept(now, listener).unwrap();
            if stuck_in == State::LastAck {
                link.ends[1].stack.tcp_close(now, client);
                link.settle();
            }
            link.ends[0].stack.tcp_close(now, id);
            link.swallow(0);
            if stuck_in == State::Closing {
                link.ends[1].stack.tcp_close(now, client);
                link.settle();
            }
            let tcp = &link.ends[0].stack.tcp;
            let states: Vec<_> = tcp.slots.iter().map(|(_, s)| s.connection.state).collect();
            assert_eq!(states, vec![stuck_in; n.min(3)], "after {n}");
            assert_eq!(tcp.orphans, n.min(3));
        }
        // One for each close beyond the limit; and one for each FIN to what is gone since.
        let late = if stuck_in == State::Closing { 27 } else { 0 };
        let resets = link.ends[0].stack.counters().tcp_resets_sent;
        assert_eq!(resets, 27 + late, "{stuck_in:?}");
    }
}

/// SO_LINGER is about unsent data: a FIN that was acknowledged is followed by no RST.
#[test]
fn lingering_ends_quietly_once_everything_is_acknowledged() {
    let mut link = Link::new();
    let at = SERVER.parse().unwrap();
    let listener = link.ends[0]
        .stack
        .tcp_listen(at, ListenOptions::default())
        .unwrap();
    let options = TcpOptions::default().linger(Some(Duration::from_secs(1)));
    let now = link.now;
    let client = link.ends[1]
        .stack
        .tcp_connect(now, at, None, options)
        .unwrap();
    link.settle();
    let server = link.ends[0].stack.tcp_accept(now, listener).unwrap();
    link.ends[1].stack.tcp_write(now, client, b"hello").unwrap();
    link.ends[1].stack.tcp_close(now, client);
    link.pass(Duration::from_secs(90));
    assert_eq!(link.ends[0].stack.tcp_failure(server), Ok(None));
    assert_eq!(link.state(0, server), State::CloseWait);
    assert_eq!(
        link.ends[1].stack.tcp_open_count(),
        0,
        "FIN-WAIT-2 has its own time"
    );
}

/// What a SYN offered stays offered, whatever its user sets before the answer comes: the peer agreed to that, and
/// drops what has no timestamp, or reads a window as scaled.
#[test]
fn what_the_syn_offered_is_not_changed_by_later_settings() {
    let mut link = Link::new();
    let server = SERVER.parse().unwrap();
    let listen = ListenOptions::default();
    let listener = link.ends[0].stack.tcp_listen(server, listen).unwrap();
    let now = link.now;
    let stack = &mut link.ends[1].stack;
    let options = TcpOptions::default();
    let client = stack.tcp_connect(now, server, None, options).unwrap();
    let syn = link.swallow(1);
    let plain = TcpOptions::default()
        .timestamps(false)
        .sack(false)
        .window_scaling(false)
        .nodelay(true);
    let stack = &mut link.ends[1].stack;
    stack.tcp_set_options(now, client, plain).unwrap();
    assert!(stack.tcp_options(client).unwrap().nodelay);
    let end = &mut link.ends[0];
    for frame in syn {
        end.stack.handle_frame(now, end.on, frame);
    }
    link.settle();
    let accepted = link.ends[0].stack.tcp_accept(link.now, listener).unwrap();
    for (end, id) in [(0, accepted), (1, client)] {
        let connection = link.connection(end, id);
        let agreed = (connection.timestamps, connection.sack, connection.scaling);
        assert_eq!(agreed, (true, true, true), "end {end}");
    }
    link.write(1, client, &[7; 100]);
    link.settle();
    assert_eq!(
        link.ends[0]
            .stack
            .tcp_info(accepted)
            .unwrap()
            .bytes_received,
        100
    );
}

/// A keep-alive time of zero is no busy loop and no sudden death.
#[test]
fn a_keepalive_of_zero_is_a_second() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let now = link.now;
    let keepalive = Keepalive::after(Duration::ZERO).interval(Duration::ZERO);
    let options = TcpOptions::default().keepalive(Some(keepalive));
    link.ends[1]
        .stack
        .tcp_set_options(now, client, options)
        .unwrap();
    link.pass(Duration::from_secs(30));
    assert_eq!(link.state(1, client), State::Established);
    let sent = link.ends[1].stack.counters().tcp_keepalives;
    assert!((20..=31).contains(&sent), "{sent} probes in 30 s");
    assert_eq!(link.state(0, server), State::Established);
}

/// RFC 5961 §4.2: the SYN of a peer that rebooted, without timestamps, gets its challenge ACK, and
/// the RST that answers it ends the old connection.
#[test]
fn a_rebooted_peer_without_timestamps_is_challenged() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let port = link.ends[1].stack.tcp_local_addr(client).unwrap().port();
    link.settle();
    link.forge(
        0,
        fields((port, 80), 77, 0, Flags::SYN),
        &Options::NONE,
        &[],
    );
    assert_eq!(link.swallow(0).len(), 1, "a challenge ACK");
    let nxt = link.connection(0, server).rcv.nxt.get();
    link.forge(
        0,
        fields((port, 80), nxt, 0, Flags::RST),
        &Options::NONE,
        &[],
    );
    let failure = link.ends[0].stack.tcp_failure(server);
    assert_eq!(failure, Ok(Some(TcpFailure::Reset)));
}

/// A FIN that lies below text which is held already is no end of the stream.
#[test]
fn a_fin_below_held_text_is_not_believed() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    let port = link.ends[1].stack.tcp_local_addr(client).unwrap().port();
    let (nxt, una, recent) = {
        let connection = link.connection(0, server);
        let recent = connection.rcv.ts_recent().unwrap();
        (connection.rcv.nxt.get(), connection.snd.una.get(), recent)
    };
    let mut give = |seq: u32, flags, text: &[u8]| {
        let fields = fields((port, 80), nxt.wrapping_add(seq), una, Flags::ACK | flags);
        link.forge(0, fields, &timestamp(recent), text);
    };
    give(1000, Flags::empty(), &[2; 1000]);
    give(500, Flags::FIN, &[]);
    give(0, Flags::empty(), &[1; 1000]);
    let now = Instant::from_millis(1);
    let mut read = 0;
    while let Ok(n) = link.ends[0].stack.tcp_read(now, server, &mut [0; 4096]) {
        assert!(n > 0, "the stream has not ended");
        read += n;
    }
    assert_eq!(read, 2000);
    assert_eq!(link.state(0, server), State::Established);
}

/// A device that is not trusted with partial checksums: they are wrong, and counted.
#[test]
fn partial_checksums_are_refused_when_they_are_not_trusted() {
    for (trust, taken) in [(true, 0), (false, 1)] {
        let mut link = Link::new();
        link.ends[0].stack.config.trust_partial = trust;
        let now = link.now;
        let options = TcpOptions::default();
        let to = SERVER.parse().unwrap();
        link.ends[1]
            .stack
            .tcp_connect(now, to, None, options)
            .unwrap();
        link.settle();
        let drops = &link.ends[0].stack.counters().drops;
        assert_eq!(drops.get(DropReason::TcpChecksum), taken);
    }
}

/// r52: a SYN that comes again when there is room has both a cookie and a record; the peer knows the
/// cookie, and that is what counts.
#[test]
fn r52_a_cookie_wins_over_a_later_record() {
    let mut link = Link::new();
    let at = SERVER.parse().unwrap();
    let listen = ListenOptions::default().backlog(1);
    let listener = link.ends[0].stack.tcp_listen(at, listen).unwrap();
    let syn = |port| fields((port, 80), 500, 0, Flags::SYN);
    link.forge(0, syn(8), &Options::NONE, &[]);
    link.swallow(0);
    link.forge(0, syn(9), &Options::NONE, &[]);
    let cookie = link.swallow(0);
    let cookie = u32::from_be_bytes(cookie[0].data[24..28].try_into().unwrap());
    link.forge(0, fields((8, 80), 501, 0, Flags::RST), &Options::NONE, &[]);
    link.forge(0, syn(9), &Options::NONE, &[]);
    assert_eq!(link.swallow(0).len(), 1, "a SYN-ACK of the record");
    let ack = fields((9, 80), 501, cookie.wrapping_add(1), Flags::ACK);
    link.forge(0, ack, &Options::NONE, b"hello");
    let stack = &mut link.ends[0].stack;
    let id = stack.tcp_accept(link.now, listener).unwrap();
    assert_eq!(stack.tcp_read(link.now, id, &mut [0; 9]), Ok(5));
    assert_eq!(stack.tcp_open_count(), 1);
    let wrong = fields((9, 80), 501, 77, Flags::ACK);
    link.forge(0, syn(10), &Options::NONE, &[]);
    link.swallow(0);
    link.forge(
        0,
        Fields {
            src_port: 10,
            ..wrong
        },
        &Options::NONE,
        &[],
    );
    let reset = link.swallow(0);
    assert_eq!(u16::from(reset[0].data[33]), Flags::RST.bits());
}

/// Covers: TCP-20 (a FIN alone starts it anew). Else a SYN a minute would keep a name from its next owner for ever.
#[test]
fn what_is_refused_does_not_prolong_time_wait() {
    let mut link = Link::new();
    let options = TcpOptions::default().timestamps(false);
    let (client, server) = link.connected_with(&options);
    let stack = &link.ends[1].stack;
    let port = stack.tcp_local_addr(client).unwrap().port();
    for (end, id) in [(0, server), (1, client)] {
        link.ends[end].stack.tcp_close(link.now, id);
        link.settle();
    }
    let waiting = |link: &Link| link.ends[0].stack.tcp_time_wait_count();
    assert_eq!(waiting(&link), 1);
    link.pass(Duration::from_secs(59));
    // Above all numbers of the old one, as of a new request.
    let syn = fields((port, 80), 0, 0, Flags::SYN | Flags::FIN);
    for seq in [1 << 30, 2 << 30, 3 << 30, 0] {
        link.forge(0, Fields { seq, ..syn }, &Options::NONE, &[]);
    }
    let drops = &link.ends[0].stack.counters().drops;
    assert!(drops.get(DropReason::TcpMalformed) > 0);
    assert_eq!(waiting(&link), 1);
    link.pass(Duration::from_secs(2));
    assert_eq!(waiting(&link), 0);
}

/// Covers: TCP-36. RFC 9293 §3.10.7.3: what comes with a SYN-ACK is processed from the sixth step on, where URG is looked at.
#[test]
fn urgent_data_on_a_syn_ack_is_told_of() {
    let mut link = Link::new();
    let (now, to) = (link.now, SERVER.parse().unwrap());
    let stack = &mut link.ends[1].stack;
    let id = stack.tcp_connect(now, to, None, TcpOptions::default());
    let syn = link.swallow(1);
    let (header, _) = Header::parse(&syn[0].data[20..]).unwrap();
    let ends = (80, header.src_port());
    let flags = Flags::SYN | Flags::ACK | Flags::URG;
    let answer = Fields {
        urgent: 2,
        ..fields(ends, 500, header.seq().wrapping_add(1), flags)
    };
    link.forge(1, answer, &Options::NONE, b"!rest");
    assert_eq!(link.ends[1].stack.tcp_urgent(id.unwrap()), Ok(1));
}
