//! Datagrams that come in fragments, and what is said of those that do not come whole.

use super::*;
use crate::ipv6::extension::code;
use crate::ipv6::icmp as icmp6;
use crate::link::RxChecksum;
use ipv4::icmp::{Message, TimeExceededCode, UnreachableCode};

const FAMILIES: [(&str, &str); 2] = [("10.0.0.2:9", "10.0.0.1:7"), ("[fd00::2]:9", "[fd00::1]:7")];

/// One fragment, from the peer to us.
#[derive(Clone, Debug)]
struct Cut {
    protocol: Protocol,
    id: u16,
    offset: usize,
    more: bool,
    tos: u8,
    data: Vec<u8>,
}

impl Cut {
    fn packet(&self, src: IpAddr, dst: IpAddr) -> Vec<u8> {
        let offset = u16::try_from(self.offset).unwrap();
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut fields = ipv4::Fields::new(src, dst, self.protocol);
                fields.id = self.id;
                fields.dont_fragment = false;
                fields.more_fragments = self.more;
                fields.fragment_offset = offset / 8;
                fields.tos = self.tos;
                let mut packet = vec![0; 20];
                fields.emit(self.data.len(), &mut packet);
                [packet, self.data.clone()].concat()
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut fields = ipv6::Fields::new(src, dst, Protocol::FRAGMENT);
                fields.traffic_class = self.tos;
                let mut packet = vec![0; 40];
                fields.emit(self.data.len() + 8, &mut packet);
                let [a, b] = (offset | u16::from(self.more)).to_be_bytes();
                let [c, d] = self.id.to_be_bytes();
                let header = [self.protocol.0, 0, a, b, 0x12, 0x34, c, d];
                [packet, header.to_vec(), self.data.clone()].concat()
            }
            _ => panic!("families differ"),
        }
    }

    fn frame(&self, (from, to): (&str, &str)) -> Vec<u8> {
        let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let kind = if from.is_ipv4() {
            EtherType::IPV4
        } else {
            EtherType::IPV6
        };
        eth(OUR_MAC, PEER_MAC, kind, &self.packet(from.ip(), to.ip()))
    }
}

/// What a transport sent, in fragments of so many bytes.
fn cut(protocol: Protocol, id: u16, whole: &[u8], size: usize) -> Vec<Cut> {
    let count = whole.len().div_ceil(size);
    let chunks = whole.chunks(size).enumerate();
    let one = |(nth, data): (usize, &[u8])| Cut {
        protocol,
        id,
        offset: nth * size,
        more: nth + 1 < count,
        tos: 0,
        data: data.to_vec(),
    };
    chunks.map(one).collect()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 % 251) as u8).collect()
}

fn datagram((from, to): (&str, &str), data: &[u8]) -> Vec<u8> {
    udp_bytes(from.parse().unwrap(), to.parse().unwrap(), data)
}

/// A rig with a socket that takes the peer's datagrams of both families.
fn listening(config: Config) -> (Rig, UdpId) {
    let mut rig = Rig::configured(config);
    rig.introduce();
    let options = UdpOptions::new().dual_stack(true);
    let id = rig
        .stack
        .udp_bind("[::]:7".parse().unwrap(), options)
        .unwrap();
    (rig, id)
}

fn plain() -> (Rig, UdpId) {
    listening(Config::new(Seed::from_number(1)))
}

fn drops(rig: &Rig) -> Vec<(DropReason, u64)> {
    rig.stack.counters().drops.iter().collect()
}

/// Covers: IP4-24, IP4-25, IP4-31, IP6-15. r57: offsets are times 8, whatever the order; up to the largest that there is.
#[test]
fn r57_a_datagram_in_fragments_arrives_whole() {
    for ends in FAMILIES {
        let (mut rig, id) = plain();
        for (nth, len) in [100, 1472, 1473, 2960, 60_000, 65_507]
            .into_iter()
            .enumerate()
        {
            let data = text(len);
            let size = if len == 100 { 8 } else { 1448 };
            let mut cuts = cut(Protocol::UDP, nth as u16, &datagram(ends, &data), size);
            match nth % 3 {
                0 => cuts.reverse(),
                1 => cuts.rotate_left(1),
                _ => {}
            }
            for one in &cuts {
                assert!(rig.stack.udp_recv(id).is_err(), "{len} bytes");
                rig.receive(one.frame(ends));
            }
            let got = rig.stack.udp_recv(id).unwrap();
            assert!(got.data == data[..], "{len} bytes, {ends:?}");
            assert_eq!(got.from.port(), 9);
        }
        let counters = rig.stack.counters();
        assert_eq!(counters.datagrams_reassembled, 6);
        assert_eq!((drops(&rig), rig.stack.net.reassembly.held()), (vec![], 0));
        assert_eq!(rig.stack.poll_timeout(), None);
        assert!(rig.drain().is_empty());
    }
}

/// The user reads the frames' own bytes; what is small is brought together.
#[test]
fn fragments_are_not_copied() {
    for ends in FAMILIES {
        let (mut rig, id) = plain();
        let data = text(6000);
        let mut lie = Vec::new();
        for one in cut(Protocol::UDP, 1, &datagram(ends, &data), 1400) {
            let frame = Bytes::from(one.frame(ends));
            lie.push(frame.as_ptr_range());
            rig.receive_with(frame, RxMeta::new(rig.now));
        }
        let got = rig.stack.udp_recv(id).unwrap().data;
        assert_eq!(got.iter().count(), 5);
        // The last of 408 bytes is below what is copied, as in any datagram.
        for (slice, frame) in got.iter().zip(&lie).take(4) {
            assert!(frame.contains(&slice.as_ptr()), "copied");
        }
        for one in cut(Protocol::UDP, 2, &datagram(ends, &data), 80) {
            rig.receive(one.frame(ends));
        }
        let got = rig.stack.udp_recv(id).unwrap().data;
        assert!(got.iter().count() == 1 && got == data[..]);
    }
}

/// A first fragment that brings the UDP header alone leaves no empty slice.
#[test]
fn no_slice_of_a_datagram_is_empty() {
    for ends in FAMILIES {
        let (mut rig, id) = plain();
        let data = text(5600);
        let mut cuts = cut(Protocol::UDP, 1, &datagram(ends, &data), 1400);
        let rest = Cut {
            offset: 8,
            data: cuts[0].data.split_off(8),
            ..cuts[0].clone()
        };
        cuts.insert(1, rest);
        for one in &cuts {
            rig.receive(one.frame(ends));
        }
        let got = rig.stack.udp_recv(id).unwrap().data;
        assert!(got == data[..]);
        assert!(got.iter().all(|slice| !slice.is_empty()));
        assert_eq!(got.iter().count(), 1 + 4, "header, 1392, three of 1400, 8");
    }
}

/// What waits is copied when much has come since, whatever that is.
#[test]
fn other_frames_unpin_fragments_that_wait() {
    let (mut rig, id) = plain();
    let ends = FAMILIES[0];
    let cuts = cut(Protocol::UDP, 1, &datagram(ends, &text(2800)), 1400);
    let first = Bytes::from(cuts[0].frame(ends));
    rig.receive_with(first.clone(), RxMeta::new(rig.now));
    assert!(!first.is_unique(), "it waits");
    for _ in 0..(512 << 10) / 1400 + 1 {
        rig.receive(eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &[0; 1500]));
    }
    assert!(first.is_unique(), "copied");
    for one in &cuts[1..] {
        rig.receive(one.frame(ends));
    }
    assert!(rig.stack.udp_recv(id).unwrap().data == text(2800)[..]);
}

/// A datagram has come when its last fragment has: a ping's time is measured to there.
#[test]
fn the_time_of_a_datagram_is_its_last_fragments() {
    let (mut rig, _) = plain();
    let id = rig.stack.ping_open(PingOptions::new()).unwrap();
    let to = IpAddr::V4(PEER);
    let data = Bytes::from(text(100));
    rig.stack.ping_send(rig.now, id, to, None, 3, data).unwrap();
    let mut body = rig.only().v4().1.to_vec();
    body[0] = 0;
    body[2..4].fill(0);
    let sum = crate::base::checksum::checksum(&body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    for one in cut(Protocol::ICMP, 1, &body, 64) {
        rig.advance(Duration::from_millis(20));
        rig.receive(one.frame(FAMILIES[0]));
    }
    let reply = rig.stack.ping_recv(id).unwrap();
    assert_eq!(reply.outcome, PingOutcome::Reply);
    assert_eq!(reply.at, rig.now);
}

/// What a datagram that waits for its user is charged has the list of its slices in it.
#[test]
fn slices_are_charged_with_the_list_of_them() {
    let (mut rig, id) = plain();
    for one in cut(
        Protocol::UDP,
        1,
        &datagram(FAMILIES[0], &text(14_392)),
        1440,
    ) {
        rig.receive(one.frame(FAMILIES[0]));
    }
    assert_eq!(rig.stack.memory().used, 14_392 + 128 + 10 * 32);
    rig.stack.udp_recv(id).unwrap();
    assert_eq!(rig.stack.memory().used, 0);
    rig.stack.check_memory();
}

/// Covers: IP4-29. Fragments are of one datagram by addresses, protocol and identification: by nothing else, and by no less.
#[test]
fn two_datagrams_at_once_do_not_mix() {
    for ends in FAMILIES {
        let (mut rig, id) = plain();
        let other = if ends.0.starts_with('1') {
            ("10.0.0.3:9", ends.1)
        } else {
            ("[fd00::3]:9", ends.1)
        };
        let (one, two) = (text(3000), vec![0xee; 3000]);
        let a = cut(Protocol::UDP, 1, &datagram(ends, &one), 1400);
        let b = cut(Protocol::UDP, 2, &datagram(ends, &two), 1400);
        let c = cut(Protocol::UDP, 1, &datagram(other, &two), 1400);
        for nth in [1, 2, 0] {
            rig.receive(a[nth].frame(ends));
            rig.receive(b[nth].frame(ends));
            rig.receive(c[nth].frame(other));
        }
        let mut got = || rig.stack.udp_recv(id).unwrap();
        assert!(got().data == one[..] && got().data == two[..]);
        let last = got();
        assert!(last.data == two[..] && last.from.ip().to_string().ends_with('3'));
    }
}

/// The ICMP error that is sent next, as type, code and quote.
fn error(rig: &mut Rig) -> (u8, u8, Vec<u8>) {
    let seen = rig.only();
    if seen.kind == EtherType::IPV4 {
        let (_, payload) = seen.v4();
        Message::parse(payload).unwrap();
        return (payload[0], payload[1], payload[8..].to_vec());
    }
    seen.icmp6();
    let (_, payload) = seen.v6();
    (payload[0], payload[1], payload[8..].to_vec())
}

/// Covers: IP4-27, IP4-28, IP6-16, IC4-5, IC6-5. Sixty seconds after the first one that came; told when the first of the datagram is there.
#[test]
fn a_datagram_that_does_not_come_whole_is_given_up_and_told() {
    for ends in FAMILIES {
        let (mut rig, id) = plain();
        let cuts = cut(Protocol::UDP, 1, &datagram(ends, &text(4000)), 1400);
        rig.receive(cuts[2].frame(ends));
        rig.advance(Duration::from_secs(30));
        rig.receive(cuts[0].frame(ends));
        rig.advance(Duration::from_millis(29_999));
        assert!(rig.drain().is_empty() && drops(&rig).is_empty());
        rig.advance(Duration::from_millis(1));
        let (kind, code, quote) = error(&mut rig);
        let first = cuts[0].packet(
            ends.0.parse::<SocketAddr>().unwrap().ip(),
            ends.1.parse::<SocketAddr>().unwrap().ip(),
        );
        let v4 = quote.len() < 600;
        assert_eq!(kind, if v4 { 11 } else { 3 });
        assert_eq!(code, TimeExceededCode::REASSEMBLY.0);
        assert_eq!(quote.len(), if v4 { 548 } else { 1232 });
        assert_eq!(quote, first[..quote.len()]);
        assert_eq!(drops(&rig), [(DropReason::FragmentTimeout, 2)]);
        // The last one comes too late, and is told of nothing when its own time is over.
        rig.receive(cuts[1].frame(ends));
        rig.advance(Duration::from_secs(61));
        assert_eq!(rig.stack.counters().icmp_errors_sent, 1);
        assert!(rig.stack.udp_recv(id).is_err());
        assert_eq!(drops(&rig), [(DropReason::FragmentTimeout, 3)]);
        assert_eq!(rig.stack.net.reassembly.held(), 0);
    }
}

/// Covers: IC4-5, IC6-5. r63: nobody is told who sent to more than one.
#[test]
fn r63_nothing_is_told_of_fragments_to_a_group() {
    let (mut rig, _) = plain();
    for to in [
        ("10.0.0.2:9", "10.0.0.255:7"),
        ("[fd00::2]:9", "[ff02::1]:7"),
    ] {
        let first = &cut(Protocol::UDP, 1, &datagram(to, &text(4000)), 1400)[0];
        rig.receive(first.frame(to));
    }
    // Nor of an ICMP error.
    let unreachable = vec![3; 1600];
    rig.receive(cut(Protocol::ICMP, 1, &unreachable, 800)[0].frame(FAMILIES[0]));
    rig.receive(cut(Protocol::ICMPV6, 1, &unreachable, 800)[0].frame(FAMILIES[1]));
    rig.advance(Duration::from_secs(61));
    assert_eq!(drops(&rig), [(DropReason::FragmentTimeout, 4)]);
    assert!(rig.drain().is_empty());
}

/// Covers: IP4-30, IP6-17, IP6-18. r57, r61: lengths that no fragment has.
#[test]
fn r57_lengths_that_cannot_be() {
    let odd = Cut {
        data: vec![0; 12],
        more: true,
        ..cut(Protocol::UDP, 1, &[0; 12], 800).remove(0)
    };
    let long = Cut {
        offset: 65_528,
        more: false,
        ..odd.clone()
    };
    let empty = Cut {
        data: vec![],
        ..odd.clone()
    };
    let (mut rig, _) = plain();
    for bad in [&odd, &long, &empty] {
        rig.receive(bad.frame(FAMILIES[0]));
    }
    assert_eq!(drops(&rig), [(DropReason::Ipv4Malformed, 3)]);
    assert!(rig.drain().is_empty());
    let (mut rig, _) = plain();
    for (bad, pointer) in [(&odd, Some(4)), (&long, Some(42)), (&empty, None)] {
        rig.receive(bad.frame(FAMILIES[1]));
        let told = rig.drain();
        assert_eq!(told.len(), usize::from(pointer.is_some()));
        if let Some(expected) = pointer {
            let Icmpv6::ParameterProblem { code, pointer, .. } = told[0].icmp6().1 else {
                panic!("{told:?}");
            };
            assert_eq!((code, pointer), (code::HEADER_FIELD, expected));
        }
    }
    assert_eq!(drops(&rig), [(DropReason::Ipv6Malformed, 3)]);
    assert_eq!(rig.stack.net.reassembly.held(), 0);
}

/// The largest that there is fits to the byte: 65,535 with the header of the fragment that ends it (IPv4), or without it.
///
/// Covers: IP4-30, IP6-18.
#[test]
fn r57_the_last_byte_that_may_be() {
    for (ends, most) in FAMILIES.into_iter().zip([65_515, 65_535]) {
        for (beyond, dropped) in [(0, 0), (1, 1)] {
            let (mut rig, _) = plain();
            let last = Cut {
                protocol: Protocol::UDP,
                id: 1,
                offset: 65_504,
                more: false,
                tos: 0,
                data: vec![0; most - 65_504 + beyond],
            };
            rig.receive(last.frame(ends));
            assert_eq!(rig.stack.counters().drops.total(), dropped, "{ends:?}");
        }
    }
}

/// Covers: IP6-19. The first fragment has the whole chain of headers, the transport's too.
#[test]
fn a_first_fragment_without_its_headers_is_told() {
    let chain = |protocol: Protocol, len| Cut {
        protocol,
        id: 1,
        offset: 0,
        more: true,
        tos: 0,
        data: vec![0; len],
    };
    let mut beyond = chain(Protocol::DESTINATION_OPTIONS, 16);
    // Destination options of 24 bytes, of which 16 are here.
    beyond.data[..8].copy_from_slice(&[17, 2, 1, 4, 0, 0, 0, 0]);
    let mut before = chain(Protocol::DESTINATION_OPTIONS, 8);
    before.data.copy_from_slice(&[17, 0, 1, 4, 0, 0, 0, 0]);
    let (mut rig, _) = plain();
    for bad in [beyond, before, chain(Protocol::TCP, 16)] {
        rig.receive(bad.frame(FAMILIES[1]));
        let told = rig.only();
        let Icmpv6::ParameterProblem { code, pointer, .. } = told.icmp6().1 else {
            panic!("{told:?}");
        };
        assert_eq!((code, pointer), (code::FIRST_FRAGMENT, 0));
    }
    // A header that is wrong is told as in any packet: behind the fragment header, an option that nobody knows.
    let mut option = chain(Protocol::DESTINATION_OPTIONS, 16);
    option.data[..8].copy_from_slice(&[17, 0, 0x80, 4, 0, 0, 0, 0]);
    rig.receive(option.frame(FAMILIES[1]));
    let told = rig.only();
    let Icmpv6::ParameterProblem { code, pointer, .. } = told.icmp6().1 else {
        panic!("{told:?}");
    };
    assert_eq!((code, pointer), (code::OPTION, 50));
    assert_eq!(rig.stack.net.reassembly.held(), 0);
}

/// Covers: IP6-21, IP6-25, IP4-31. r57: an exact duplicate is passed over; another overlap is the end of the datagram; in IPv6 late
/// fragments included.
#[test]
fn r57_overlaps_and_duplicates() {
    for ends in FAMILIES {
        let (mut rig, id) = plain();
        let data = text(4000);
        let cuts = cut(Protocol::UDP, 1, &datagram(ends, &data), 1400);
        for nth in [0, 0, 2, 2, 1] {
            rig.receive(cuts[nth].frame(ends));
        }
        assert!(rig.stack.udp_recv(id).unwrap().data == data[..]);
        assert_eq!(drops(&rig), [(DropReason::FragmentDuplicate, 2)]);
        let (mut rig, id) = plain();
        let mut other = cuts[1].clone();
        other.data[0] ^= 1;
        for one in [&cuts[0], &cuts[1], &other, &cuts[2], &cuts[0], &cuts[1]] {
            rig.receive(one.frame(ends));
        }
        if ends == FAMILIES[0] {
            // RFC 5722's "those not yet received" is IPv6's: what comes is the next one's of that Identification.
            assert_eq!(drops(&rig), [(DropReason::FragmentOverlap, 3)]);
            assert!(rig.stack.udp_recv(id).unwrap().data == data[..]);
            continue;
        }
        assert!(rig.stack.udp_recv(id).is_err());
        assert_eq!(drops(&rig), [(DropReason::FragmentOverlap, 6)]);
        // Silently, though the first one had come.
        rig.advance(Duration::from_secs(61));
        assert!(rig.drain().is_empty());
        for one in &cuts {
            rig.receive(one.frame(ends));
        }
        assert!(rig.stack.udp_recv(id).is_ok(), "a new one of the same name");
    }
}

/// Covers: IP6-23. An atomic fragment is a packet, whatever waits under its name.
#[test]
fn an_atomic_fragment_touches_no_other() {
    let (mut rig, id) = plain();
    let ends = FAMILIES[1];
    let data = text(4000);
    let cuts = cut(Protocol::UDP, 1, &datagram(ends, &data), 1400);
    rig.receive(cuts[0].frame(ends));
    rig.receive(cuts[2].frame(ends));
    rig.receive(cut(Protocol::UDP, 1, &datagram(ends, b"atomic"), 1400)[0].frame(ends));
    assert_eq!(rig.stack.udp_recv(id).unwrap().data, b"atomic");
    rig.receive(cuts[1].frame(ends));
    assert!(rig.stack.udp_recv(id).unwrap().data == data[..]);
    assert_eq!(drops(&rig), []);
}

/// Covers: ECN-8.
#[test]
fn the_mark_of_one_fragment_is_the_datagrams() {
    for ends in FAMILIES {
        let (mut rig, id) = plain();
        for (marks, expected) in [
            ([0xb8 | 2, 0xb8 | 3, 0xb8 | 2], Some(0xb8 | 3)),
            ([2, 2, 2], Some(2)),
            ([0, 3, 0], None),
        ] {
            let cuts = cut(Protocol::UDP, 1, &datagram(ends, &text(4000)), 1400);
            for (one, tos) in cuts.into_iter().zip(marks) {
                rig.receive(Cut { tos, ..one }.frame(ends));
            }
            let got = rig.stack.udp_recv(id).ok().map(|datagram| datagram.tos);
            assert_eq!(got, expected, "{ends:?}");
        }
        assert_eq!(drops(&rig), [(DropReason::FragmentEcn, 3)]);
    }
}

/// The checksum is of the whole; a device that called a fragment's right cannot have seen it.
#[test]
fn the_checksum_is_verified_over_all_fragments() {
    for ends in FAMILIES {
        let (mut rig, id) = plain();
        let mut bytes = datagram(ends, &text(4000));
        bytes[3000] ^= 1;
        for one in cut(Protocol::UDP, 1, &bytes, 1400) {
            let meta = RxMeta::new(rig.now).with_checksum(RxChecksum::Verified);
            rig.receive_with(one.frame(ends), meta);
        }
        assert!(rig.stack.udp_recv(id).is_err());
        assert_eq!(drops(&rig), [(DropReason::UdpChecksum, 1)]);
    }
}

/// UDP's own length is the datagram's: what fragments bring beyond it is left out, less than it is none.
#[test]
fn the_udp_length_rules() {
    let ends = FAMILIES[0];
    let (mut rig, id) = plain();
    let mut bytes = datagram(ends, &text(2000));
    bytes.extend_from_slice(&[0xee; 2000]);
    for one in cut(Protocol::UDP, 1, &bytes, 1400) {
        rig.receive(one.frame(ends));
    }
    assert!(rig.stack.udp_recv(id).unwrap().data == text(2000)[..]);
    for length in [0_u16, 7, 4009] {
        let mut bytes = datagram(ends, &text(4000));
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        for one in cut(Protocol::UDP, 2, &bytes, 1400) {
            rig.receive(one.frame(ends));
        }
    }
    assert_eq!(drops(&rig), [(DropReason::UdpMalformed, 3)]);
}

/// Who sends to a port that nobody takes is told, and quoted the first fragment.
#[test]
fn a_closed_port_is_told_of_a_datagram_in_fragments() {
    for (from, to) in FAMILIES {
        let (mut rig, _) = plain();
        let to = &to.replace(":7", ":8");
        let ends = (from, &to[..]);
        for one in cut(Protocol::UDP, 1, &datagram(ends, &text(4000)), 1400) {
            rig.receive(one.frame(ends));
        }
        let (kind, code, quote) = error(&mut rig);
        let v4 = quote.len() < 600;
        let expected = if v4 {
            (3, UnreachableCode::PORT.0)
        } else {
            (1, icmp6::UnreachableCode::PORT.0)
        };
        assert_eq!((kind, code), expected);
        assert_eq!(drops(&rig), [(DropReason::UdpNoSocket, 1)]);
    }
}

/// Other protocols than UDP: echo and TCP.
#[test]
fn what_else_comes_in_fragments() {
    let (mut rig, _) = plain();
    let echo = Message::EchoRequest {
        id: 7,
        seq: 9,
        data: &text(1400),
    };
    let mut body = vec![0; echo.len()];
    echo.emit(&mut body);
    for one in cut(Protocol::ICMP, 1, &body, 800) {
        rig.receive(one.frame(FAMILIES[0]));
    }
    let reply = rig.only();
    assert!(
        matches!(Message::parse(reply.v4().1), Ok(Message::EchoReply { data, .. }) if data == text(1400))
    );
    rig.stack
        .tcp_listen("0.0.0.0:80".parse().unwrap(), ListenOptions::default())
        .unwrap();
    let (from, to) = ("10.0.0.2:9", "10.0.0.1:80");
    let syn = tcp::segment(
        from.parse().unwrap(),
        to.parse().unwrap(),
        1,
        0,
        crate::tcp::Flags::SYN,
    );
    for one in cut(Protocol::TCP, 2, &syn, 8) {
        rig.receive(one.frame((from, to)));
    }
    assert_eq!(rig.only().v4().0.protocol, Protocol::TCP, "a SYN-ACK");
    for one in cut(Protocol(253), 3, &[0; 48], 8) {
        rig.receive(one.frame(FAMILIES[0]));
    }
    assert_eq!(error(&mut rig).1, UnreachableCode::PROTOCOL.0);
    assert_eq!(drops(&rig), [(DropReason::IpProtocol, 1)]);
}

/// Covers: IP6-27. Neighbour discovery is believed in no fragment.
#[test]
fn neighbour_discovery_in_fragments_is_ignored() {
    let (mut rig, _) = plain();
    let frame = solicitation(PEER6, PEER_MAC, OURS6);
    let body = &frame[ethernet::HEADER_LEN + ipv6::HEADER_LEN..];
    let dst = format!("[{}]:0", ipv6::solicited_node(OURS6));
    for one in cut(Protocol::ICMPV6, 1, body, 24) {
        rig.receive(one.frame(("[fd00::2]:0", &dst)));
    }
    assert_eq!(drops(&rig), [(DropReason::NdpInvalid, 1)]);
    assert!(rig.drain().is_empty());
}

/// Covers: IP4-32. One sender's fragments take no other's room, and the settings bound them all.
#[test]
fn a_flood_of_fragments_is_bounded_and_leaves_room_for_others() {
    let (mut rig, id) = plain();
    let ends = FAMILIES[0];
    let data = text(4000);
    let cuts = cut(Protocol::UDP, 1, &datagram(ends, &data), 1400);
    rig.receive(cuts[0].frame(ends));
    rig.receive(cuts[1].frame(ends));
    let flood = Cut {
        offset: 8,
        ..cuts[1].clone()
    };
    for nth in 0..20_000_u16 {
        let one = Cut {
            id: nth,
            ..flood.clone()
        };
        rig.receive(one.frame(("10.0.0.3:9", ends.1)));
        assert!(rig.stack.net.reassembly.held() <= 4 << 20);
    }
    rig.receive(cuts[2].frame(ends));
    assert!(rig.stack.udp_recv(id).unwrap().data == data[..]);
    let limit = rig.drops(DropReason::FragmentLimit);
    assert!((19_000..20_000).contains(&limit), "{limit}");
    rig.advance(Duration::from_secs(61));
    assert_eq!(rig.stack.net.reassembly.held(), 0);
    assert_eq!(rig.stack.counters().drops.total(), 20_000);
    assert!(rig.drain().is_empty());
}

/// What the settings leave no room for is dropped and counted.
#[test]
fn without_room_each_fragment_is_a_counted_drop() {
    let config = Config::new(Seed::from_number(1));
    for config in [
        config.clone().reassembly_datagrams(0),
        config.reassembly_bytes(0),
    ] {
        let (mut rig, id) = listening(config);
        for ends in FAMILIES {
            for one in cut(Protocol::UDP, 1, &datagram(ends, &text(4000)), 1400) {
                rig.receive(one.frame(ends));
            }
        }
        assert!(rig.stack.udp_recv(id).is_err());
        assert_eq!(drops(&rig), [(DropReason::FragmentLimit, 6)]);
        assert_eq!(rig.stack.poll_timeout(), None);
    }
}
