//! Datagrams that leave in fragments.

use core::num::NonZeroU16;
use std::collections::BTreeSet;

use super::*;
use ipv4::icmp::Message;

use crate::stack::path::FoundMtu;

const TARGETS: [&str; 2] = ["10.0.0.2:7", "[fd00::2]:7"];

/// A frame as the piece of a datagram that it is: its identification, offset, whether more follow, and what it brings.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) id: u32,
    offset: usize,
    more: bool,
    df: bool,
    protocol: Protocol,
    ends: (IpAddr, IpAddr),
    pub(super) data: Vec<u8>,
}

fn piece(seen: &Seen) -> Piece {
    if seen.kind == EtherType::IPV4 {
        let (fields, data) = seen.v4();
        return Piece {
            id: fields.id.into(),
            offset: usize::from(fields.fragment_offset) * 8,
            more: fields.more_fragments,
            df: fields.dont_fragment,
            protocol: fields.protocol,
            ends: (fields.src.into(), fields.dst.into()),
            data: data.to_vec(),
        };
    }
    let (fields, payload) = seen.v6();
    let ends = (fields.src.into(), fields.dst.into());
    let whole = Piece {
        id: 0,
        offset: 0,
        more: false,
        df: true,
        protocol: fields.next_header,
        ends,
        data: payload.to_vec(),
    };
    if fields.next_header != Protocol::FRAGMENT {
        return whole;
    }
    let word = u16::from_be_bytes([payload[2], payload[3]]);
    assert!(payload[1] == 0 && word & 6 == 0, "reserved");
    Piece {
        id: u32::from_be_bytes(payload[4..8].try_into().unwrap()),
        offset: (word & !7).into(),
        more: word & 1 == 1,
        df: false,
        protocol: Protocol(payload[0]),
        data: payload[8..].to_vec(),
        ..whole
    }
}

/// Puts frames together that came in order, and checks of each fragment what holds for all: the transports' packets.
pub(super) fn together(frames: &[Seen], mtu: usize) -> Vec<Piece> {
    let mut whole: Vec<Piece> = Vec::new();
    let mut open = false;
    for seen in frames {
        assert!(seen.packet.len() <= mtu, "{} bytes", seen.packet.len());
        let piece = piece(seen);
        if piece.offset == 0 {
            assert!(!open, "one goes on before another begins (r58)");
            open = piece.more;
            whole.push(piece);
            continue;
        }
        let last = whole.last_mut().expect("a first one");
        assert!(open && (piece.id, piece.protocol) == (last.id, last.protocol));
        assert!(!piece.df && piece.ends == last.ends);
        assert_eq!(piece.offset, last.data.len(), "no gap, no overlap");
        assert!(!piece.more || piece.data.len().is_multiple_of(8));
        if piece.more {
            assert!(seen.packet.len() + 8 > mtu, "as large as may be");
        }
        last.data.extend(piece.data);
        open = piece.more;
    }
    assert!(!open, "the last one is there");
    whole
}

pub(super) fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 % 251) as u8).collect()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ready(options: UdpOptions) -> (Rig, UdpId) {
    let mut rig = Rig::new();
    rig.introduce();
    let options = options.dual_stack(true).send_buffer(1 << 20);
    let id = rig.stack.udp_bind(addr("[::]:9"), options).unwrap();
    (rig, id)
}

fn send(rig: &mut Rig, id: UdpId, to: &str, data: &[u8]) {
    let sent = rig.stack.udp_send_to(rig.now, id, Some(addr(to)), data);
    assert_eq!(sent, Ok(data.len()));
}

/// Is it the datagram with this text, its checksum right?
pub(super) fn check_datagram(piece: &Piece, data: &[u8]) {
    assert_eq!(piece.protocol, Protocol::UDP);
    assert!(piece.data[8..] == *data, "{} bytes", data.len());
    let len = piece.data.len();
    let pseudo = match piece.ends {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::pseudo_sum(src, dst, Protocol::UDP, len),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::pseudo_sum(src, dst, Protocol::UDP, len),
        _ => panic!("families differ"),
    };
    assert!(pseudo.bytes(&piece.data).is_valid());
}

/// Covers: IP6-20, IP6-22, UDP-2. The edge of the MTU, and the largest that there is.
#[test]
fn a_datagram_above_the_mtu_leaves_in_fragments() {
    for (to, edge, most) in [(TARGETS[0], 1472, 65_507), (TARGETS[1], 1452, 65_527)] {
        let (mut rig, id) = ready(UdpOptions::new());
        for len in [edge, edge + 1, 2961, 60_000, most] {
            let data = text(len);
            send(&mut rig, id, to, &data);
            let frames = rig.drain();
            let room = if to == TARGETS[0] { 1480 } else { 1448 };
            let expected = if len == edge {
                1
            } else {
                (len + 8).div_ceil(room)
            };
            assert_eq!(frames.len(), expected, "{len} bytes to {to}");
            let whole = together(&frames, 1500);
            assert_eq!((whole.len(), whole[0].df), (1, len == edge));
            check_datagram(&whole[0], &data);
        }
        let max = most;
        let refused = Err(SendError::TooBig { len: most + 1, max });
        let beyond = vec![0; most + 1];
        let sent = rig.stack.udp_send_to(rig.now, id, Some(addr(to)), &beyond);
        assert_eq!(sent, refused);
        let counters = rig.stack.counters();
        assert_eq!(counters.udp_datagrams_sent, 5);
        assert_eq!(counters.fragments_sent + 1, counters.tx_frames - 4);
    }
}

/// Covers: IP4-33. Linux's `IP_MTU_DISCOVER`: want, dont, do, probe.
#[test]
fn dont_fragment_is_the_sockets() {
    use DontFragment::{Auto, Off, On, Probe};
    for (dont, fits_with_df, cut) in [
        (Auto, true, true),
        (Off, false, true),
        (On, true, false),
        (Probe, true, false),
    ] {
        for (to, edge) in TARGETS.into_iter().zip([1472, 1452]) {
            let (mut rig, id) = ready(UdpOptions::new().dont_fragment(dont));
            send(&mut rig, id, to, &text(edge));
            let whole = piece(&rig.only());
            // IPv6 has no DF, and no header for what is whole.
            assert_eq!(whole.df, fits_with_df || to == TARGETS[1], "{dont:?}");
            assert_eq!(whole.id != 0, !whole.df, "{dont:?}");
            let sent = rig
                .stack
                .udp_send_to(rig.now, id, Some(addr(to)), &text(edge + 1));
            let max = edge;
            let refused = SendError::TooBig { len: edge + 1, max };
            assert_eq!(sent, if cut { Ok(edge + 1) } else { Err(refused) });
            assert_eq!(rig.drain().len(), if cut { 2 } else { 0 });
        }
    }
}

/// What a device cuts of a super-segment without DF has identifications of its own: the next one's begin behind them.
///
/// Covers: IP4-36, IP4-38
#[test]
fn a_super_segment_without_df_has_an_identification_for_each_part() {
    let config = InterfaceConfig::new(&Capabilities::full(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
    rig.introduce();
    let options = UdpOptions::new().dont_fragment(DontFragment::Off);
    let id = rig.stack.udp_bind(addr("0.0.0.0:9"), options).unwrap();
    let (to, size) = (Some(addr(TARGETS[0])), NonZeroU16::new(1000));
    let ids = [3500, 4000, 500].map(|len| {
        let data = Bytes::from(text(len));
        rig.stack
            .udp_send_segmented(rig.now, id, to, data, size.unwrap())
            .unwrap();
        let whole = piece(&rig.only());
        assert!(!whole.df);
        u16::try_from(whole.id).unwrap()
    });
    assert_ne!(ids[0], 0);
    assert_eq!(ids[1].wrapping_sub(ids[0]), 4, "{ids:?}");
    assert_eq!(ids[2].wrapping_sub(ids[1]), 4, "{ids:?}");
}

/// An IPv6 packet that is whole uses none up.
#[test]
fn what_is_whole_in_ipv6_has_no_identification() {
    let (mut rig, id) = ready(UdpOptions::new().dont_fragment(DontFragment::Off));
    let mut ids = Vec::new();
    for len in [2000, 10, 2000] {
        send(&mut rig, id, TARGETS[1], &text(len));
        ids.push(together(&rig.drain(), 1500)[0].id);
    }
    assert_eq!(ids[2], ids[0].wrapping_add(1));
}

/// Covers: IP4-33, IP6-22. r58: wherever the device is full, each datagram goes on where it stopped, before any other.
#[test]
fn r58_a_full_device_mixes_no_datagrams() {
    for room in 1..12 {
        let (mut rig, id) = ready(UdpOptions::new());
        let two = rig
            .stack
            .udp_bind(addr("[::]:10"), UdpOptions::new().dual_stack(true))
            .unwrap();
        let texts = [text(4000), text(5000), text(3000), text(100)];
        for data in &texts {
            send(&mut rig, id, TARGETS[0], data);
            send(&mut rig, two, TARGETS[1], data);
        }
        let mut frames = Vec::new();
        while rig.stack.wants_transmit(rig.on) {
            rig.device().room = Some(room);
            let some = rig.drain();
            assert!(some.len() <= room && !some.is_empty());
            frames.extend(some);
        }
        let whole = together(&frames, 1500);
        assert_eq!(whole.len(), 8);
        for v4 in [true, false] {
            let family = whole.iter().filter(|p| p.ends.0.is_ipv4() == v4);
            for (piece, data) in family.zip(&texts) {
                check_datagram(piece, data);
            }
        }
        assert_eq!(rig.stack.counters().udp_datagrams_sent, 8);
    }
}

/// A device that is full for a moment, at every third frame.
#[derive(Default)]
struct Moody(usize, Recorder);

impl Transmit for Moody {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        self.0 += 1;
        if self.0.is_multiple_of(3) {
            return Ok(Sent::Full);
        }
        self.1.transmit(now, frame)
    }
}

/// r58: the device may have room again at once; what it refused leaves first all the same.
#[test]
fn r58_nothing_gets_between_the_fragments_of_a_datagram() {
    let (mut rig, id) = ready(UdpOptions::new());
    let closed = rig
        .stack
        .udp_bind(addr("[::]:10"), UdpOptions::new().dual_stack(true))
        .unwrap();
    for len in [4000, 10, 5000, 20] {
        send(&mut rig, id, TARGETS[0], &text(len));
        send(&mut rig, closed, TARGETS[0], &text(len));
    }
    rig.stack.udp_close(closed);
    let mut device = Moody::default();
    while rig.stack.wants_transmit(rig.on) {
        rig.stack
            .poll_transmit(rig.now, rig.on, &mut device)
            .unwrap();
    }
    rig.device().frames = device.1.frames;
    let whole = together(&rig.drain(), 1500);
    let mut lens: Vec<_> = whole.iter().map(|piece| piece.data.len() - 8).collect();
    lens.sort_unstable();
    assert_eq!(lens, [10, 10, 20, 20, 4000, 4000, 5000, 5000]);
}

/// What the device drops of a datagram takes the rest with it: no other fragment is of use.
#[test]
fn a_fragment_that_is_dropped_ends_its_datagram() {
    let (mut rig, id) = ready(UdpOptions::new());
    rig.device().room = Some(1);
    send(&mut rig, id, TARGETS[0], &text(6000));
    assert_eq!(rig.drain().len(), 1);
    rig.device().drops = Some(DeviceDrop::NoBuffers);
    assert!(rig.drain().is_empty());
    assert_eq!(rig.drops(DropReason::DeviceNoBuffers), 1);
    (rig.device().drops, rig.device().room) = (None, None);
    send(&mut rig, id, TARGETS[0], &text(10));
    let whole = together(&rig.drain(), 1500);
    check_datagram(&whole[0], &text(10));
}

/// Covers: IC4-20, IC6-14. All of the largest echo request goes back.
#[test]
fn the_largest_echo_is_answered() {
    for v4 in [true, false] {
        let (mut rig, _) = ready(UdpOptions::new());
        let data = text(65_507);
        let mut body = vec![0; 8 + data.len()];
        if v4 {
            let (id, seq) = (1, 2);
            let data = &data[..];
            Message::EchoRequest { id, seq, data }.emit(&mut body);
        } else {
            let (id, seq) = (1, 2);
            let data = &data[..];
            Icmpv6::EchoRequest { id, seq, data }.emit(PEER6, OURS6, &mut body);
        }
        for (nth, part) in body.chunks(1400).enumerate() {
            let offset = nth as u16 * 1400;
            let more = u16::from((nth + 1) * 1400 < body.len());
            let frame = if v4 {
                let mut fields = ipv4::Fields::new(PEER, OURS, Protocol::ICMP);
                fields.dont_fragment = false;
                (fields.more_fragments, fields.fragment_offset) = (more == 1, offset / 8);
                let mut packet = vec![0; 20];
                fields.emit(part.len(), &mut packet);
                packet.extend(part);
                eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet)
            } else {
                let [a, b] = (offset | more).to_be_bytes();
                let payload = [&[58, 0, a, b, 0, 0, 0, 1], part].concat();
                ip_frame(PEER6.into(), OURS6.into(), Protocol::FRAGMENT, &payload)
            };
            rig.receive(frame);
        }
        let whole = together(&rig.drain(), 1500);
        assert_eq!(whole.len(), 1);
        assert!(whole[0].data[8..] == data[..]);
        if v4 {
            assert!(Message::parse(&whole[0].data).is_ok());
        } else {
            assert!(Icmpv6::parse(&whole[0].data, OURS6, PEER6).is_ok());
        }
        assert_eq!(rig.stack.counters().echo_replies_sent, 1);
    }
}

/// A ping of the largest size leaves and its answer is heard.
#[test]
fn the_largest_ping_is_sent_and_its_answer_heard() {
    for (to, max) in [(IpAddr::V4(PEER), 65_507), (PEER6.into(), 65_527)] {
        let (mut rig, _) = ready(UdpOptions::new());
        let id = rig.stack.ping_open(PingOptions::new()).unwrap();
        let data = Bytes::from(text(max));
        let mut ask = |len: usize| {
            let data = Bytes::from(text(len));
            rig.stack.ping_send(rig.now, id, to, None, 3, data)
        };
        let len = max + 1;
        assert_eq!(ask(len), Err(SendError::TooBig { len, max }));
        ask(max).unwrap();
        let mut asked = together(&rig.drain(), 1500);
        let mut body = asked.remove(0).data;
        assert!(body[8..] == data[..]);
        // The answer has all of it.
        body[0] = if to.is_ipv4() { 0 } else { 129 };
        body[2..4].fill(0);
        let sum = if to.is_ipv4() {
            crate::base::checksum::checksum(&body)
        } else {
            let pseudo = ipv6::pseudo_sum(PEER6, OURS6, Protocol::ICMPV6, body.len());
            pseudo.bytes(&body).finish()
        };
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        for (nth, part) in body.chunks(1448).enumerate() {
            let (offset, more) = (nth as u16 * 1448, (nth + 1) * 1448 < body.len());
            let frame = match to {
                IpAddr::V4(_) => {
                    let mut fields = ipv4::Fields::new(PEER, OURS, Protocol::ICMP);
                    fields.dont_fragment = false;
                    (fields.more_fragments, fields.fragment_offset) = (more, offset / 8);
                    let mut packet = vec![0; 20];
                    fields.emit(part.len(), &mut packet);
                    packet.extend(part);
                    eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet)
                }
                IpAddr::V6(_) => {
                    let [a, b] = (offset | u16::from(more)).to_be_bytes();
                    let payload = [&[58, 0, a, b, 0, 0, 0, 1], part].concat();
                    ip_frame(PEER6.into(), OURS6.into(), Protocol::FRAGMENT, &payload)
                }
            };
            rig.receive(frame);
        }
        let reply = rig.stack.ping_recv(id).unwrap();
        assert_eq!((reply.seq, reply.outcome), (3, PingOutcome::Reply));
        assert!(reply.payload == data);
    }
}

/// A neighbour's queue has datagrams: all fragments of one wait, or none.
#[test]
fn a_datagram_waits_whole_for_its_neighbour() {
    let mut rig = Rig::new();
    let options = UdpOptions::new().send_buffer(1 << 20);
    let id = rig.stack.udp_bind(addr("0.0.0.0:9"), options).unwrap();
    for len in [4000, 5000] {
        send(&mut rig, id, TARGETS[0], &text(len));
    }
    let asked = rig.only().arp();
    assert_eq!(asked.target, PEER);
    assert_eq!(rig.stack.counters().fragments_sent, 0);
    rig.receive(arp_frame(&asked.reply(PEER_MAC)));
    let whole = together(&rig.drain(), 1500);
    for (piece, len) in whole.iter().zip([4000, 5000]) {
        check_datagram(piece, &text(len));
    }
    assert_eq!(whole.len(), 2);
}

/// What a socket had queued when it was closed leaves in fragments as well.
#[test]
fn a_closed_sockets_datagrams_leave_in_fragments() {
    let (mut rig, id) = ready(UdpOptions::new());
    send(&mut rig, id, TARGETS[1], &text(4000));
    rig.stack.udp_close(id);
    check_datagram(&together(&rig.drain(), 1500)[0], &text(4000));
}

/// Covers: IP4-37, IP4-38, IP6-26. No two datagrams to one destination have an identification until all were used; one
/// destination's tell nothing of another's.
#[test]
fn identifications_do_not_repeat_and_tell_nothing() {
    for to in TARGETS {
        let (mut rig, id) = ready(UdpOptions::new());
        let mut seen = BTreeSet::new();
        for _ in 0..300 {
            send(&mut rig, id, to, &text(1500));
            seen.insert(together(&rig.drain(), 1500)[0].id);
        }
        assert_eq!(seen.len(), 300, "{to}");
    }
    let seed = Seed::from_number(7);
    let mut ids = ip::Identifications::new(&seed);
    let to = |n: u32| (IpAddr::V4(OURS), IpAddr::V4((0x0a00_0000 + n).into()));
    let mut all = BTreeSet::new();
    for _ in 0..65_536 {
        assert!(all.insert(ids.next(to(2), Protocol::UDP) & 0xffff));
    }
    // First ones of others: scattered, and not what another host, with its own seed, gives.
    let firsts = |seed: u64| {
        let mut ids = ip::Identifications::new(&Seed::from_number(seed));
        let first = |n| ids.next(to(n), Protocol::UDP);
        (0..64).map(first).collect::<Vec<_>>()
    };
    let (a, b) = (firsts(1), firsts(2));
    let near = |pair: &[u32]| pair[0].abs_diff(pair[1]) < 1 << 20;
    assert_eq!(a.windows(2).filter(|pair| near(pair)).count(), 0);
    assert!(a.iter().zip(&b).all(|(a, b)| a != b));
    let other = ip::Identifications::new(&Seed::from_number(1)).next(to(0), Protocol::ICMP);
    assert_ne!(other, a[0], "each protocol has its own");
    // Nobody has more than one counter for his prefix to look for another's with.
    let mut ids = ip::Identifications::new(&seed);
    let to = |n: u128| {
        let dst = u128::from(PEER6) + n;
        (IpAddr::V6(OURS6), IpAddr::V6(dst.into()))
    };
    let first = ids.next(to(0), Protocol::UDP);
    for n in 1..=64 {
        ids.next(to(n), Protocol::UDP);
    }
    assert_eq!(
        ids.next(to(0), Protocol::UDP),
        first.wrapping_add(65),
        "one counter for the prefix"
    );
}

/// Each fragment is a frame of the budget.
#[test]
fn budgets_count_fragments() {
    let (mut rig, id) = ready(UdpOptions::new());
    for _ in 0..10 {
        send(&mut rig, id, TARGETS[0], &text(60_000));
    }
    let progress = rig.send_once();
    let sent = rig.device().frames.len();
    // 128, and what is left of the datagram that overdraws it.
    assert!((128..128 + 41).contains(&sent), "{sent} frames");
    assert_eq!((progress.more, progress.sent), (More::Budget, 4));
    assert_eq!(together(&rig.drain(), 1500).len(), 10);
}

/// Those of what waits without a socket, too.
#[test]
fn budgets_count_fragments_of_the_outbox() {
    let (mut rig, id) = ready(UdpOptions::new());
    for _ in 0..10 {
        send(&mut rig, id, TARGETS[0], &text(60_000));
    }
    rig.stack.udp_close(id);
    let progress = rig.send_once();
    let sent = rig.device().frames.len();
    assert!((128..128 + 41).contains(&sent), "{sent} frames");
    assert_eq!(progress.more, More::Budget);
}

/// The first fragment that an error quotes tells whose it was.
#[test]
fn an_error_about_a_fragment_reaches_its_socket() {
    for to in TARGETS {
        let (mut rig, id) = ready(UdpOptions::new());
        rig.stack.udp_connect(id, addr(to)).unwrap();
        send(&mut rig, id, to, &text(4000));
        let first = rig.drain().remove(0).packet;
        let body = if to == TARGETS[0] {
            let quoted = &first[..548];
            let message = Message::DestinationUnreachable {
                code: ipv4::icmp::UnreachableCode::PORT,
                next_hop_mtu: 0,
                quoted,
            };
            let mut body = vec![0; message.len()];
            message.emit(&mut body);
            ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body)
        } else {
            let quoted = &first[..1232];
            let message = Icmpv6::DestinationUnreachable {
                code: ipv6::icmp::UnreachableCode::PORT,
                quoted,
            };
            let mut body = vec![0; message.len()];
            message.emit(PEER6, OURS6, &mut body);
            ip_frame(PEER6.into(), OURS6.into(), Protocol::ICMPV6, &body)
        };
        rig.receive(body);
        assert_eq!(
            rig.stack.udp_recv(id).unwrap_err(),
            RecvError::Refused,
            "{to}"
        );
    }
}

/// Covers: PMT-2, PMT-20. A fragment that was too large for the path is told like any packet (RFC 8201 §3), and the next ones are smaller; what has DF
/// for a probe's sake is sent by the interface's MTU all the same.
#[test]
fn fragments_are_as_large_as_the_path_carries() {
    let (mut rig, id) = ready(UdpOptions::new());
    send(&mut rig, id, TARGETS[1], &text(4000));
    let first = rig.drain().remove(0).packet;
    let quoted = &first[..1232];
    let message = Icmpv6::PacketTooBig { mtu: 1300, quoted };
    let mut body = vec![0; message.len()];
    message.emit(PEER6, OURS6, &mut body);
    rig.receive(ip_frame(
        PEER6.into(),
        OURS6.into(),
        Protocol::ICMPV6,
        &body,
    ));
    assert_eq!(rig.stack.counters().path_mtu_lowered, 1);
    send(&mut rig, id, TARGETS[1], &text(4000));
    let frames = rig.drain();
    assert_eq!(frames.len(), 4);
    check_datagram(&together(&frames, 1300)[0], &text(4000));
    for (dont, len, refused) in [
        (DontFragment::Probe, 1452, false),
        (DontFragment::Probe, 1453, true),
        (DontFragment::On, 1253, true),
    ] {
        let options = UdpOptions::new().dont_fragment(dont);
        let id = rig.stack.udp_bind(addr("[::]:0"), options).unwrap();
        let to = Some(addr(TARGETS[1]));
        let sent = rig.stack.udp_send_to(rig.now, id, to, &text(len));
        assert_eq!(sent.is_err(), refused, "{dont:?} {len}");
        assert_eq!(rig.drain().len(), usize::from(!refused));
    }
}

/// Covers: PMT-2. Those of a super-segment that was queued when its path was wider: each leaves in fragments of its own, and the socket's
/// memory is what it was.
#[test]
fn a_super_segment_follows_its_path_down() {
    for (to, headers) in TARGETS.into_iter().zip([28, 48]) {
        let config = InterfaceConfig::new(&Capabilities::full(Medium::Ethernet, 1500))
            .mac(OUR_MAC)
            .link_local(false)
            .dad_transmits(0)
            .address("10.0.0.1/24".parse().unwrap())
            .address("fd00::1/64".parse().unwrap());
        let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
        rig.introduce();
        let options = UdpOptions::new().dual_stack(true);
        let id = rig.stack.udp_bind(addr("[::]:9"), options).unwrap();
        let size = NonZeroU16::new(1400).unwrap();
        let dst = addr(to).ip();
        for narrow in [1500, 1300, 1428] {
            rig.stack.net.path_found(rig.on, dst, FoundMtu::All);
            rig.drain();
            let data = Bytes::from(text(3 * 1400 + 100));
            rig.stack
                .udp_send_segmented(rig.now, id, Some(addr(to)), data, size)
                .unwrap();
            rig.stack
                .net
                .path_found(rig.on, dst, FoundMtu::Narrow(narrow));
            let frames = rig.drain();
            if usize::from(narrow) >= 1400 + headers {
                assert_eq!(frames.len(), 1);
                continue;
            }
            let whole = together(&frames, narrow.into());
            let lens: Vec<_> = whole.iter().map(|piece| piece.data.len() - 8).collect();
            assert_eq!(lens, [1400, 1400, 1400, 100], "{to} {narrow}");
            for (piece, data) in whole.iter().zip(text(4300).chunks(1400)) {
                // Of what is whole the device fills the checksum.
                if piece.df {
                    assert!(piece.data[8..] == *data);
                } else {
                    check_datagram(piece, data);
                }
            }
        }
        rig.stack.check_memory();
        rig.stack.udp_close(id);
        assert_eq!(rig.stack.memory().used, 0);
    }
}

/// A device that is full uses no identification up, however often it is asked.
#[test]
fn a_full_device_spends_no_identification() {
    for len in [500, 4000] {
        let (mut rig, id) = ready(UdpOptions::new().dont_fragment(DontFragment::Off));
        let mut ids = Vec::new();
        for full in [0, 9] {
            send(&mut rig, id, TARGETS[0], &text(len));
            rig.device().room = Some(0);
            for _ in 0..full {
                assert!(rig.drain().is_empty());
            }
            rig.device().room = None;
            ids.push(u16::try_from(together(&rig.drain(), 1500)[0].id).unwrap());
        }
        assert_eq!(ids[1], ids[0].wrapping_add(1), "{len}");
    }
}
