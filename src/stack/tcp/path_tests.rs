//! Paths with a narrow hop: two stacks with a router between them that says so, or does not.

use core::time::Duration;

use super::regression_tests::icmp_error;
use super::tests::{Link, SERVER};
use crate::base::{DropReason, Random, Seed};
use crate::device::{Capabilities, Medium};
use crate::ipv4::icmp::UnreachableCode;
use crate::link::RxFrame;
use crate::stack::path::{FoundMtu, LargeSent, TooBig};
use crate::stack::{DontFragment, ListenOptions, SendError, TcpId, UdpOptions};
use crate::tcp::congestion::Choice;
use crate::tcp::{Header, TcpOptions};

/// IPv4 and TCP header with timestamps.
const HEADERS: usize = 20 + 20 + 12;

/// What a router with a narrow link before the server saw.
#[derive(Debug, Default)]
struct Seen {
    /// Frames that did not fit, and were told.
    too_big: usize,
    /// The largest packet that went through.
    largest: usize,
}

/// How long the packets of the wire are that a frame stands for.
pub(super) fn packet_len(frame: &RxFrame) -> usize {
    let headers = 20 + usize::from(frame.data[32] >> 4) * 4;
    let cut = |size: core::num::NonZeroU16| headers + usize::from(size.get());
    frame.meta.segment_size.map_or(frame.data.len(), cut)
}

impl Link {
    /// Lets both ends send until nothing happens without a timer, the client over a hop of `mtu`, whose
    /// router says `told` to who sends more.
    fn through(&mut self, mtu: usize, told: u16) -> Seen {
        let mut seen = Seen::default();
        loop {
            let mut moved = false;
            for from in [0, 1] {
                for frame in self.swallow(from) {
                    moved = true;
                    let len = packet_len(&frame);
                    if from == 1 && len > mtu {
                        seen.too_big += 1;
                        let code = UnreachableCode::FRAGMENTATION_NEEDED;
                        let mut quote = frame.data[..frame.data.len().min(548)].to_vec();
                        // A router sees packets of the wire.
                        let wire = u16::try_from(len).unwrap();
                        quote[2..4].copy_from_slice(&wire.to_be_bytes());
                        icmp_error(self, code, told, &quote);
                        continue;
                    }
                    if from == 1 {
                        seen.largest = seen.largest.max(len);
                    }
                    let to = &mut self.ends[1 - from];
                    to.stack.handle_frame(self.now, to.on, frame);
                }
            }
            if !moved {
                return seen;
            }
        }
    }

    /// The same, and what the server got is read as it comes, for so long.
    fn through_for(&mut self, mtu: usize, time: Duration, reader: TcpId) -> (Seen, Vec<u8>) {
        let (end, mut all, mut got) = (self.now + time, Seen::default(), Vec::new());
        loop {
            let told = u16::try_from(mtu).unwrap();
            let seen = self.through(mtu, told);
            all.too_big += seen.too_big;
            all.largest = all.largest.max(seen.largest);
            let now = self.now;
            let stack = &mut self.ends[0].stack;
            while let Ok(chunk) = stack.tcp_read_chunk(now, reader, 1 << 20) {
                if chunk.is_empty() {
                    break;
                }
                got.extend_from_slice(&chunk);
            }
            let due = self.ends.iter().filter_map(|end| end.stack.poll_timeout());
            let due = due.min().filter(|&due| due <= end);
            if due.is_none() && self.ends.iter().all(|e| !e.stack.wants_transmit(e.on)) {
                self.now = end;
                return (all, got);
            }
            self.now = due.map_or(self.now, |due| self.now.max(due));
            for end in &mut self.ends {
                end.stack.handle_timeout(self.now);
            }
        }
    }

    fn mss(&self, id: TcpId) -> usize {
        let info = self.ends[1].stack.tcp_info(id).unwrap();
        usize::try_from(info.snd_mss).unwrap()
    }

    fn lowered(&self) -> u64 {
        self.ends[1].stack.counters().path_mtu_lowered
    }
}

pub(super) fn text(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

pub(super) fn every_kind() -> Vec<TcpOptions> {
    let mut kinds = vec![
        TcpOptions::default().sack(false),
        TcpOptions::default().timestamps(false),
    ];
    for choice in Choice::NAMED {
        kinds.push(TcpOptions::default().congestion(choice));
    }
    kinds
}

/// Covers: PMT-1, PMT-2, PMT-10, PMT-11, TS-17. What did not fit is cut anew and leaves at once: no timer runs out, and no
/// loss is counted.
#[test]
fn what_did_not_fit_leaves_again_at_once_and_is_no_loss() {
    for options in every_kind() {
        let mut link = Link::new();
        let (client, server) = link.connected_with(&options);
        let before = link.ends[1].stack.tcp_info(client).unwrap();
        // One flight.
        link.write(1, client, &text(14_000));
        let began = link.now;
        let (seen, got) = link.through_for(1280, Duration::from_millis(1), server);
        assert!(link.now.since(began) <= Duration::from_millis(1));
        assert!(got == text(14_000), "{options:?}");
        assert!(seen.largest <= 1280 && seen.too_big > 0, "{seen:?}");
        let stack = &link.ends[1].stack;
        let (info, counters) = (stack.tcp_info(client).unwrap(), stack.counters());
        assert!(info.cwnd >= before.cwnd && info.ssthresh == before.ssthresh);
        assert_eq!((info.backoff, info.unacked), (0, 0));
        let episodes = [counters.tcp_rto_fired, counters.tcp_fast_retransmits];
        assert_eq!((episodes, link.lowered()), ([0; 2], 1), "{options:?}");
    }
}

/// Covers: PMT-2, PMT-9. A long transfer over hops of 1280 and then of 576 never stops for long, and fills what there is.
#[test]
fn a_transfer_follows_its_path_down() {
    for options in every_kind() {
        let mut link = Link::new();
        let (client, server) = link.connected_with(&options);
        let headers = HEADERS
            - if link.connection(1, client).timestamps {
                0
            } else {
                12
            };
        for mtu in [1280, 576] {
            link.write(1, client, &text(60_000));
            let (seen, got) = link.through_for(mtu, Duration::from_secs(1), server);
            assert!(got == text(60_000), "{mtu}: {options:?}");
            assert_eq!((seen.largest, link.mss(client)), (mtu, mtu - headers));
        }
        assert_eq!(link.lowered(), 2);
        assert_eq!(link.ends[1].stack.counters().tcp_rto_fired, 0);
    }
}

/// Covers: PMT-10 (once for each burst). Every segment of a flight is refused, one by one; each leaves again once.
#[test]
fn a_burst_of_messages_counts_once() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
    let (client, server) = link.connected();
    link.write(1, client, &text(14_000));
    let (seen, got) = link.through_for(1280, Duration::from_millis(1), server);
    assert!(got == text(14_000));
    assert!(seen.too_big >= 9, "{seen:?}");
    let stack = &link.ends[1].stack;
    let info = stack.tcp_info(client).unwrap();
    // The last segment did fit.
    let again = 14_000 / 1448 * 1448;
    assert_eq!((info.bytes_retransmitted, link.lowered()), (again, 1));
    let unbelieved = u64::try_from(seen.too_big - 1).unwrap();
    assert_eq!(
        stack.counters().drops.get(DropReason::IcmpTooBig),
        unbelieved
    );
}

/// Covers: ATK-1, ATK-7, PMT-4, PMT-5, PMT-8. What quotes nothing that is out, or says what cannot be, changes nothing.
#[test]
fn r62_only_what_may_be_true_is_believed() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
    let (client, _) = link.connected();
    let mss = link.mss(client);
    link.write(1, client, &text(3000));
    let sent = link.swallow(1).remove(0).data;
    let code = UnreachableCode::FRAGMENTATION_NEEDED;
    let numbered = |change: u32| {
        let mut quoted = sent.to_vec();
        let seq = u32::from_be_bytes(quoted[24..28].try_into().unwrap());
        quoted[24..28].copy_from_slice(&seq.wrapping_add(change).to_be_bytes());
        quoted
    };
    let mut short = sent.to_vec();
    short[2..4].copy_from_slice(&1280u16.to_be_bytes());
    let counted = |link: &Link, reason| link.ends[1].stack.counters().drops.get(reason);
    let mut cut = sent.to_vec();
    cut[6..8].fill(0);
    cut[10..12].fill(0);
    let sum = crate::base::checksum::checksum(&cut[..20]);
    cut[10..12].copy_from_slice(&sum.to_be_bytes());
    use DropReason::{IcmpTooBig, IcmpUnmatched};
    let rows = [
        (numbered(u32::MAX), 1280, IcmpUnmatched, "acknowledged"),
        (numbered(3000), 1280, IcmpUnmatched, "never sent"),
        (numbered(0x8000_0000), 1280, IcmpUnmatched, "far away"),
        (sent.to_vec(), 1500, IcmpTooBig, "no smaller"),
        (sent.to_vec(), 9000, IcmpTooBig, "larger"),
        (sent.to_vec(), 551, IcmpTooBig, "below the least"),
        (short, 1280, IcmpTooBig, "what would fit"),
        (numbered(2896), 1280, IcmpTooBig, "a small one that is out"),
        (cut, 1280, IcmpUnmatched, "what has no DF"),
    ];
    for (quoted, mtu, reason, what) in rows {
        let before = counted(&link, reason);
        icmp_error(&mut link, code, mtu, &quoted);
        assert_eq!(counted(&link, reason), before + 1, "{what}");
        assert_eq!((link.mss(client), link.lowered()), (mss, 0), "{what}");
        assert!(link.swallow(1).is_empty(), "{what}");
    }
    icmp_error(&mut link, code, 1280, &sent);
    assert_eq!((link.mss(client), link.lowered()), (1280 - HEADERS, 1));
    assert!(!link.swallow(1).is_empty());
}

/// Covers: PMT-10. Words that each are a little smaller than the last send the flight again a few times, and no more: one
/// that is true is heeded when it is said again.
#[test]
fn r62_many_words_are_heeded_a_few_times() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
    let (client, server) = link.connected();
    link.write(1, client, &text(14_000));
    let sent = link.swallow(1).remove(0).data;
    let code = UnreachableCode::FRAGMENTATION_NEEDED;
    for mtu in (1300..1500).rev() {
        icmp_error(&mut link, code, mtu, &sent);
        link.swallow(1);
    }
    assert_eq!((link.lowered(), link.mss(client)), (4, 1496 - HEADERS));
    let (seen, got) = link.through_for(1280, Duration::from_secs(9), server);
    assert!(got == text(14_000) && seen.largest <= 1280);
    assert_eq!(link.mss(client), 1280 - HEADERS);
}

/// Covers: PMT-3. A router of old times says no number.
#[test]
fn a_router_that_says_no_number_is_understood() {
    let mut link = Link::new();
    let (client, server) = link.connected();
    link.write(1, client, &text(60_000));
    let now = link.now;
    let mut got = 0;
    // 1492, 1006, and then the least.
    for _ in 0..200 {
        link.through(600, 0);
        let stack = &mut link.ends[0].stack;
        while let Ok(chunk) = stack.tcp_read_chunk(now, server, 1 << 20) {
            got += chunk.len();
            if chunk.is_empty() {
                break;
            }
        }
    }
    assert_eq!((got, link.lowered()), (60_000, 3));
    assert_eq!(link.mss(client), 552 - HEADERS);
}

/// Covers: PMT-3, PMT-10. Each segment of a flight is refused without a number: that is one step, not one for each.
#[test]
fn a_flight_refused_without_a_number_is_one_step() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
    let (client, _) = link.connected();
    link.write(1, client, &text(14_000));
    let seen = link.through(1492, 0);
    assert!(seen.too_big >= 9 && seen.largest == 1492, "{seen:?}");
    assert_eq!((link.lowered(), link.mss(client)), (1, 1492 - HEADERS));
}

/// Covers: PMT-9, PMT-10. Each of many connections is told of the same hop: the path became narrower once, and all go on at once.
#[test]
fn however_many_are_told_none_waits() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
    let (at, now) = (SERVER.parse().unwrap(), link.now);
    let options = ListenOptions::new(TcpOptions::default());
    let listener = link.ends[0].stack.tcp_listen(at, options).unwrap();
    let connect = |_| {
        let options = TcpOptions::default();
        let client = link.ends[1].stack.tcp_connect(now, at, None, options);
        link.settle();
        let server = link.ends[0].stack.tcp_accept(now, listener);
        (client.unwrap(), server.unwrap())
    };
    let all: Vec<_> = (0..10).map(connect).collect();
    for &(client, _) in &all {
        link.write(1, client, &text(14_000));
    }
    let seen = link.through(1280, 1280);
    assert!(seen.too_big >= 90, "{seen:?}");
    for &(client, server) in &all {
        let mut got = 0;
        let stack = &mut link.ends[0].stack;
        while let Ok(chunk) = stack.tcp_read_chunk(now, server, 1 << 20)
            && !chunk.is_empty()
        {
            got += chunk.len();
        }
        assert_eq!((got, link.mss(client)), (14_000, 1280 - HEADERS));
    }
    assert_eq!(
        (link.lowered(), link.ends[1].stack.counters().tcp_rto_fired),
        (1, 0)
    );
}

/// Covers: PMT-9. What one socket is told holds for all that use the path: the other connection learns at its
/// next turn, a datagram at its call; the MSS that a new one tells is the link's all the same, for what comes in.
#[test]
fn all_users_of_a_path_learn() {
    let mut link = Link::new();
    let (first, server) = link.connected();
    let at = SERVER.parse().unwrap();
    let options = TcpOptions::default();
    let second = link.ends[1].stack.tcp_connect(link.now, at, None, options);
    let second = second.unwrap();
    link.settle();
    // The second has text out, of which its router says nothing.
    link.write(1, second, &text(1448));
    let silent = link.swallow(1);
    assert_eq!(packet_len(&silent[0]), 1500);
    link.write(1, first, &text(14_000));
    let (_, got) = link.through_for(1280, Duration::from_millis(1), server);
    assert_eq!((got.len(), link.lowered()), (14_000, 1));

    let now = link.now;
    let stack = &mut link.ends[1].stack;
    let any = "0.0.0.0:0".parse().unwrap();
    let options = UdpOptions::new().dont_fragment(DontFragment::On);
    let udp = stack.udp_bind(any, options).unwrap();
    let max = 1280 - 28;
    let refused = SendError::TooBig { len: max + 1, max };
    let sent = stack.udp_send_to(now, udp, Some(at), &[0; 1253]);
    assert_eq!(sent, Err(refused));

    link.write(1, second, b"x");
    let frames = link.swallow(1);
    let lens: Vec<usize> = frames.iter().map(packet_len).collect();
    assert!(lens.iter().all(|&len| len <= 1280), "{lens:?}");
    let info = link.ends[1].stack.tcp_info(second).unwrap();
    assert_eq!(info.bytes_retransmitted, 1448, "{lens:?}");
    assert_eq!(link.mss(second), 1280 - HEADERS);

    let options = TcpOptions::default();
    let third = link.ends[1].stack.tcp_connect(link.now, at, None, options);
    let syn = link.swallow(1).pop().unwrap();
    let (header, _) = Header::parse(&syn.data[20..]).unwrap();
    assert_eq!(&header.options_bytes()[..4], [2, 4, 0x05, 0xb4], "1460");
    assert!(link.mss(third.unwrap()) <= 1240);
}

/// Covers: PMT-6, PMT-7, PMT-13. After ten minutes, and not before, the path is tried as wide as its link; what is
/// allowed to be in flight stays as it is.
#[test]
fn a_narrow_path_is_forgotten() {
    for options in every_kind() {
        let mut link = Link::new();
        let (client, server) = link.connected_with(&options);
        let wide = link.mss(client);
        link.write(1, client, &text(14_000));
        link.through_for(1280, Duration::from_millis(1), server);
        let narrow = link.mss(client);
        let mut sizes = Vec::new();
        link.pass(Duration::from_secs(599));
        for n in 0..30 {
            // Never idle for as long as a time-out takes, but the first time: that would begin the window anew.
            link.pass(Duration::from_millis(50));
            let cwnd = link.ends[1].stack.tcp_info(client).unwrap().cwnd;
            link.write(1, client, b"x");
            let left = link.swallow(1);
            let info = link.ends[1].stack.tcp_info(client).unwrap();
            assert!(info.cwnd == cwnd || n == 0, "{} {cwnd}", info.cwnd);
            sizes.push(link.mss(client));
            for frame in left {
                let end = &mut link.ends[0];
                end.stack.handle_frame(link.now, end.on, frame);
            }
        }
        sizes.dedup();
        assert_eq!(sizes, [narrow, wide], "{options:?}");
        // It is wider indeed.
        link.write(1, client, &text(60_000));
        let (seen, _) = link.through_for(1500, Duration::from_secs(1), server);
        assert_eq!((seen.largest, seen.too_big), (1500, 0));
    }
}

/// Covers: PMT-6. A table that is full refuses nobody: who is told heeds it for himself.
#[test]
fn without_room_the_connection_that_is_told_heeds_it() {
    let full = Capabilities::full(Medium::Ip, 1500);
    let mut link = Link::with(&full, |config| config.path_mtu_limit(0));
    let (client, server) = link.connected();
    link.write(1, client, &text(14_000));
    let (_, got) = link.through_for(1280, Duration::from_millis(1), server);
    assert_eq!((got.len(), link.mss(client)), (14_000, 1280 - HEADERS));
    assert_eq!(link.ends[1].stack.counters().path_mtu_full, 1);
    // Nor is it lost when something changes that has nothing to do with it.
    let on = link.ends[1].on;
    let elsewhere = "203.0.113.0/24".parse().unwrap();
    let (now, stack) = (link.now, &mut link.ends[1].stack);
    stack.add_route(now, on, elsewhere, None).unwrap();
    link.write(1, client, &text(14_000));
    let (seen, got) = link.through_for(1280, Duration::from_millis(1), server);
    assert_eq!((got.len(), seen.too_big), (14_000, 0));
    assert_eq!(link.mss(client), 1280 - HEADERS);
}

/// Covers: PMT-10. Nor do many words count without room for them: each would send the flight again.
#[test]
fn r62_without_room_many_words_are_heeded_a_few_times() {
    let plain = Capabilities::plain(Medium::Ip, 1500);
    let mut link = Link::with(&plain, |config| config.path_mtu_limit(0));
    let (client, _) = link.connected();
    link.write(1, client, &text(14_000));
    let sent = link.swallow(1).remove(0).data;
    for mtu in (1300..1500).rev() {
        icmp_error(&mut link, UnreachableCode::FRAGMENTATION_NEEDED, mtu, &sent);
        link.swallow(1);
    }
    assert_eq!((link.lowered(), link.mss(client)), (4, 1496 - HEADERS));
}

/// What a connection was told alone it keeps, though all learned something else meanwhile and forgot it.
#[test]
fn what_was_told_alone_outlives_the_table() {
    let plain = Capabilities::plain(Medium::Ip, 1500);
    let mut link = Link::with(&plain, |config| config.path_mtu_limit(1));
    let (client, _) = link.connected();
    let on = link.ends[1].on;
    let other = "203.0.113.1".parse().unwrap();
    link.ends[1]
        .stack
        .net
        .path_found(on, other, FoundMtu::Narrow(1300));
    link.write(1, client, &text(14_000));
    link.through(1400, 1400);
    assert_eq!(link.mss(client), 1400 - HEADERS);
    // Then there is room, and a datagram's sender is told of less.
    let net = &mut link.ends[1].stack.net;
    net.path_found(on, other, FoundMtu::All);
    let (mtu, quoted) = (1300, 1500);
    let way = (on, SERVER.parse::<core::net::SocketAddr>().unwrap().ip());
    let told = TooBig { mtu, quoted };
    let learned = net.datagram_too_big(way, told, &mut LargeSent::default(), false);
    assert_eq!(learned, Some(1300));
    let turn = |link: &mut Link| {
        link.write(1, client, &text(100));
        link.through(1280, 0);
        link.mss(client)
    };
    assert_eq!(turn(&mut link), 1300 - HEADERS);
    link.now = link.now + Duration::from_secs(601);
    link.settle();
    assert_eq!(turn(&mut link), 1400 - HEADERS);
}

/// Covers: PMT-11. An undo puts what the path refused not back on its way: it leaves again at once.
#[test]
fn an_undo_takes_no_refusal_back() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
    let (client, _) = link.connected();
    link.write(1, client, &text(4 * 1448));
    let sent = link.swallow(1);
    // The first one is late, and the others are refused behind a time-out.
    while link.ends[1].stack.counters().tcp_rto_fired == 0 {
        let due = link.ends[1].stack.poll_timeout().unwrap();
        link.now = link.now.max(due);
        link.ends[1].stack.handle_timeout(link.now);
        link.swallow(1);
    }
    link.now = link.now + Duration::from_millis(1);
    let code = UnreachableCode::FRAGMENTATION_NEEDED;
    icmp_error(&mut link, code, 1280, &sent[2].data);
    let end = &mut link.ends[0];
    end.stack.handle_frame(link.now, end.on, sent[0].clone());
    link.now = link.now + Duration::from_millis(1);
    for ack in link.swallow(0) {
        let end = &mut link.ends[1];
        end.stack.handle_frame(link.now, end.on, ack);
    }
    let info = link.ends[1].stack.tcp_info(client).unwrap();
    assert_eq!((info.undos, info.unacked), (1, 3 * 1448), "{info:?}");
    assert_eq!(info.lost, 3 * 1448);
    let again: Vec<_> = link.swallow(1).iter().map(packet_len).collect();
    assert!(
        !again.is_empty() && again.iter().all(|&len| len <= 1280),
        "{again:?}"
    );
}

/// Covers: PMT-10. What left with SACK blocks beside its text had less of it, and was as large: it is cut anew too.
#[test]
fn what_left_with_sack_blocks_is_cut_as_well() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
    let (client, server) = link.connected();
    // The server's first segment is lost: the client reports the second with all that it sends.
    link.write(0, server, &text(2 * 1448));
    let report = link.swallow(0).remove(1);
    let end = &mut link.ends[1];
    end.stack.handle_frame(link.now, end.on, report);
    link.write(1, client, &text(5000));
    let sent = link.swallow(1);
    let full = sent.iter().position(|frame| packet_len(frame) == 1500);
    let full = full.expect("a full one");
    assert!(sent[full].data[32] >> 4 > 8, "it has SACK blocks");
    // By less than the blocks take.
    let code = UnreachableCode::FRAGMENTATION_NEEDED;
    icmp_error(&mut link, code, 1490, &sent[full].data);
    let info = link.ends[1].stack.tcp_info(client).unwrap();
    assert!(info.lost > 0, "{info:?}");
    let again: Vec<_> = link.swallow(1).iter().map(packet_len).collect();
    assert_eq!(again.iter().max(), Some(&1490), "{again:?}");
}

/// Covers: PMT-5. A connection that has not heard yet that its path is narrower is told of a wider hop: it gets no wider.
#[test]
fn who_has_not_heard_makes_no_path_wider() {
    let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
    let (first, _) = link.connected();
    let at = SERVER.parse().unwrap();
    let options = TcpOptions::default();
    let second = link.ends[1].stack.tcp_connect(link.now, at, None, options);
    let second = second.unwrap();
    link.settle();
    let code = UnreachableCode::FRAGMENTATION_NEEDED;
    let mut out = Vec::new();
    for id in [first, second] {
        link.write(1, id, &text(1448));
        out.push(link.swallow(1).remove(0).data);
    }
    icmp_error(&mut link, code, 1280, &out[0]);
    icmp_error(&mut link, code, 1400, &out[1]);
    link.swallow(1);
    for id in [first, second] {
        assert_eq!(link.mss(id), 1280 - HEADERS);
    }
}

/// Covers: PMT-11. An ACK between the message and what leaves for it finds nothing lost: the window is not cut.
#[test]
fn an_ack_in_between_finds_no_loss() {
    // No segment of it fits.
    const LEN: usize = 9 * 1448;
    for options in every_kind() {
        let mut link = Link::over(&Capabilities::plain(Medium::Ip, 1500));
        let (client, server) = link.connected_with(&options);
        let before = link.ends[1].stack.tcp_info(client).unwrap();
        link.write(1, client, &text(LEN));
        let mut sent = link.swallow(1).into_iter();
        // The path was wider for the first two.
        for frame in sent.by_ref().take(2) {
            let end = &mut link.ends[0];
            end.stack.handle_frame(link.now, end.on, frame);
        }
        let code = UnreachableCode::FRAGMENTATION_NEEDED;
        icmp_error(&mut link, code, 1280, &sent.next().unwrap().data);
        for ack in link.swallow(0) {
            let end = &mut link.ends[1];
            end.stack.handle_frame(link.now, end.on, ack);
        }
        let info = link.ends[1].stack.tcp_info(client).unwrap();
        assert!(info.bytes_acked > 0 && info.lost > 0, "{info:?}");
        assert!(info.cwnd >= before.cwnd && info.ssthresh == before.ssthresh);
        let (_, got) = link.through_for(1280, Duration::from_millis(1), server);
        assert!(got == text(LEN));
        let counters = link.ends[1].stack.counters();
        assert_eq!(counters.tcp_fast_retransmits, 0, "{options:?}");
    }
}

/// A path whose width changes, that loses one packet of twenty and one word of five, and now and then says what is
/// not true: everything arrives, and each octet is in one place all the while.
#[test]
fn a_path_that_changes_under_a_transfer() {
    const LEN: usize = 500_000;
    let (options, mut lowered) = (every_kind(), 0);
    for seed in 0..48u64 {
        let mut random = Random::new(Seed::from_number(seed).key("path test"));
        let mut link = match seed % 2 {
            0 => Link::new(),
            _ => Link::over(&Capabilities::plain(Medium::Ip, 1500)),
        };
        let kind = &options[usize::try_from(seed).unwrap() % options.len()];
        let (client, server) = link.connected_with(kind);
        let data = text(LEN);
        let (mut written, mut got, mut mtu) = (0, Vec::new(), 1500);
        let end = link.now + Duration::from_secs(600);
        while got.len() < LEN {
            assert!(link.now < end, "seed {seed}: {} of {LEN}, {mtu}", got.len());
            if random.below(8) == 0 {
                mtu = [1500, 1280, 1006, 576][usize::try_from(random.below(4)).unwrap()];
            }
            let stack = &mut link.ends[1].stack;
            let room = stack.tcp_write(link.now, client, &data[written..]);
            written += room.unwrap_or(0);
            for from in [1, 0] {
                for frame in link.swallow(from) {
                    link.deal(from, frame, mtu, &mut random);
                }
            }
            let stack = &mut link.ends[0].stack;
            while let Ok(chunk) = stack.tcp_read_chunk(link.now, server, 1 << 20) {
                got.extend_from_slice(&chunk);
                if chunk.is_empty() {
                    break;
                }
            }
            link.tick();
        }
        assert!(got == data, "seed {seed}");
        lowered += link.lowered();
    }
    assert!(lowered > 48, "{lowered}");
}

impl Link {
    /// What a bad path makes of a frame.
    fn deal(&mut self, from: usize, frame: RxFrame, mtu: usize, random: &mut Random) {
        let wide = from == 1 && packet_len(&frame) > mtu;
        let (lost, unsaid) = (random.below(20) == 0, random.below(5) == 0);
        if from == 1 && (if wide { !unsaid } else { random.below(30) == 0 }) {
            let code = UnreachableCode::FRAGMENTATION_NEEDED;
            let told = match random.below(10) {
                0 => u16::try_from(random.below(2000)).unwrap(),
                _ => u16::try_from(mtu).unwrap(),
            };
            let quote = &frame.data[..frame.data.len().min(548)];
            icmp_error(self, code, told, quote);
        }
        if !wide && !lost {
            let to = &mut self.ends[1 - from];
            to.stack.handle_frame(self.now, to.on, frame);
        }
    }

    /// Goes on to when something is due, if nothing is to be sent now.
    fn tick(&mut self) {
        if self.ends.iter().any(|end| end.stack.wants_transmit(end.on)) {
            return;
        }
        let due = self.ends.iter().filter_map(|end| end.stack.poll_timeout());
        self.now = due.min().map_or(self.now, |due| self.now.max(due));
        for end in &mut self.ends {
            end.stack.handle_timeout(self.now);
        }
    }
}
