//! Super-segments and partial checksums that are passed on.

use super::*;
use crate::link::TxMeta;
use crate::tcp;

const TEXT: usize = 10_000;

fn size(bytes: u16) -> Option<NonZeroU16> {
    NonZeroU16::new(bytes)
}

/// A TCP segment with this much text from the left peer to the right one; its checksum is partial.
pub(super) fn segment(v6: bool, text: usize) -> Vec<u8> {
    let mut header = [0; 60];
    let mut fields = tcp::Fields::default();
    (fields.src_port, fields.dst_port) = (1000, 80);
    fields.seq = 1000;
    fields.flags = tcp::Flags::ACK | tcp::Flags::PSH | tcp::Flags::CWR;
    let len = fields.emit(&tcp::Options::default(), &mut header);
    let mut bytes = header[..len].to_vec();
    bytes.extend((0..text).map(|n| n as u8));
    let (src, dst): (IpAddr, IpAddr) = match v6 {
        true => (PEER6.into(), FAR6.into()),
        false => (PEER.into(), FAR.into()),
    };
    let pseudo = match v6 {
        true => ipv6::pseudo_sum(PEER6, FAR6, Protocol::TCP, bytes.len()),
        false => ipv4::pseudo_sum(PEER, FAR, Protocol::TCP, bytes.len()),
    };
    bytes[16..18].copy_from_slice(&pseudo.partial().to_be_bytes());
    ip(src, dst, Protocol::TCP, &bytes)
}

/// Where the checksum lies, from the start of an Ethernet frame.
pub(super) fn partial(v6: bool, offset: u16) -> PartialChecksum {
    PartialChecksum {
        start: if v6 { 54 } else { 34 },
        offset,
    }
}

impl Router {
    fn to(device: Capabilities) -> Self {
        Self::with(Setting {
            device,
            ..Setting::default()
        })
    }

    fn give_merged(&mut self, packet: &[u8], each: u16, checksum: RxChecksum) {
        let meta = RxMeta::new(self.now).with_checksum(checksum);
        let meta = meta.with_segment_size(size(each));
        self.receive_with(0, around(0, packet), meta);
    }
}

/// Is the transport checksum of this packet right?
fn is_right(packet: &[u8]) -> bool {
    let (pseudo, transport) = match packet[0] >> 4 {
        4 => {
            let (header, rest) = ipv4::Header::parse(packet).unwrap();
            let pseudo =
                ipv4::pseudo_sum(header.src(), header.dst(), header.protocol(), rest.len());
            (pseudo, rest)
        }
        _ => {
            let (header, rest) = ipv6::Header::parse(packet).unwrap();
            let next = header.next_header();
            (
                ipv6::pseudo_sum(header.src(), header.dst(), next, rest.len()),
                rest,
            )
        }
    };
    pseudo.bytes(transport).is_valid()
}

/// Covers: FWD-17 (a device that cuts gets the whole, whatever was known of its checksum).
#[test]
fn a_super_segment_passes_whole_where_the_device_cuts_it() {
    for v6 in [false, true] {
        let mut router = Router::to(Capabilities::full(Medium::Ethernet, 1500));
        let packet = segment(v6, TEXT);
        let mut merged = packet.clone();
        let field = if v6 { 56 } else { 36 };
        merged[field..field + 2].fill(0x77);
        for (packet, checksum) in [
            (&packet, RxChecksum::Partial(partial(v6, 16))),
            (&merged, RxChecksum::Verified),
        ] {
            router.give_merged(packet, 1400, checksum);
            let seen = router.only(1);
            assert_eq!(seen.packet, one_hop_less(&segment(v6, TEXT)));
            let kind = if v6 {
                SegmentKind::Tcp6
            } else {
                SegmentKind::Tcp4
            };
            let meta = seen.meta;
            assert_eq!(meta.checksum, Some(partial(v6, 16)));
            let cut = meta.segment.map(|cut| (cut.kind, cut.size));
            assert_eq!(cut, Some((kind, NonZeroU16::new(1400).unwrap())));
        }
    }
}

/// Covers: FWD-17 (one that does not gets the segments).
#[test]
fn a_super_segment_is_cut_for_a_device_that_cuts_none() {
    for v6 in [false, true] {
        let mut router = Router::to(Capabilities::plain(Medium::Ethernet, 1500));
        let packet = segment(v6, TEXT);
        router.give_merged(&packet, 1400, RxChecksum::Verified);
        let all = router.drain(1);
        assert_eq!(all.len(), TEXT.div_ceil(1400));
        let head = if v6 { 60 } else { 40 };
        let mut text: Vec<u8> = Vec::new();
        for (n, seen) in all.iter().enumerate() {
            assert_eq!(seen.meta, TxMeta::PLAIN);
            assert!(is_right(&seen.packet) && seen.packet.len() <= 1500);
            let hops = seen.packet[if v6 { 7 } else { 8 }];
            assert_eq!(hops, 63);
            let flags = seen.packet[head - 7];
            let cwr = if n == 0 { 0x80 } else { 0 };
            let psh = if n + 1 == all.len() { 8 } else { 0 };
            assert_eq!(flags, 0x10 | cwr | psh, "{n}");
            text.extend(&seen.packet[head..]);
        }
        assert_eq!(text, packet[head..]);
        assert_eq!(router.stack.counters().packets_cut, 1);
    }
}

/// Covers: FWD-17 (what it is on the wire counts, not its length).
#[test]
fn the_size_of_its_segments_is_judged() {
    for v6 in [false, true] {
        let mut router = Router::to(Capabilities::full(Medium::Ethernet, 1300));
        let head = if v6 { 60 } else { 40 };
        router.give_merged(&segment(v6, TEXT), 1300 - head, RxChecksum::Verified);
        assert_eq!(router.only(1).packet.len(), TEXT + usize::from(head));
        router.give_merged(&segment(v6, TEXT), 1301 - head, RxChecksum::Verified);
        let (kind, ..) = if v6 { router.error6() } else { router.error4() };
        assert_eq!(kind, if v6 { 2 } else { 3 });
        assert_eq!(router.drops(DropReason::ForwardTooBig), 1);
        // One that is a segment by itself is none of many.
        router.give_merged(&segment(v6, 1000), 1400, RxChecksum::Verified);
        assert_eq!(router.only(1).meta.segment, None);
    }
}

/// Without DF its segments are cut again.
#[test]
fn segments_without_df_go_on_in_fragments() {
    let mut router = Router::to(Capabilities::full(Medium::Ethernet, 576));
    let mut packet = segment(false, 3000);
    packet[6] = 0;
    packet[10..12].fill(0);
    let sum = crate::base::checksum::checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    router.give_merged(&packet, 1400, RxChecksum::Verified);
    let mut whole: Vec<Vec<u8>> = Vec::new();
    for seen in router.drain(1) {
        let (header, payload) = ipv4::Header::parse(&seen.packet).unwrap();
        assert!(seen.packet.len() <= 576);
        if header.fragment_offset() == 0 {
            whole.push(payload.to_vec());
        } else {
            let last = whole.last_mut().unwrap();
            assert_eq!(header.fragment_offset(), last.len());
            last.extend(payload);
        }
    }
    let lens: Vec<usize> = whole.iter().map(Vec::len).collect();
    assert_eq!(lens, [1420, 1420, 220]);
    for segment in &whole {
        let packet = ip(PEER.into(), FAR.into(), Protocol::TCP, segment);
        assert!(is_right(&packet));
    }
}

/// Covers: FWD-18 (a checksum that nobody completed is completed, by the device or here).
#[test]
fn a_partial_checksum_is_completed_by_somebody() {
    for v6 in [false, true] {
        let packet = segment(v6, 1000);
        let checksum = RxChecksum::Partial(partial(v6, 16));
        let mut router = Router::to(Capabilities::full(Medium::Ethernet, 1500));
        let meta = RxMeta::new(router.now).with_checksum(checksum);
        router.receive_with(0, around(0, &packet), meta);
        let seen = router.only(1);
        assert_eq!(seen.meta.checksum, Some(partial(v6, 16)));
        assert_eq!(seen.packet, one_hop_less(&packet));
        let mut router = Router::to(Capabilities::plain(Medium::Ethernet, 1500));
        router.receive_with(0, around(0, &packet), meta);
        let seen = router.only(1);
        assert_eq!(seen.meta, TxMeta::PLAIN);
        assert!(is_right(&seen.packet));
        // And one that waited for its neighbour.
        let mut router = Router::alone(Setting {
            device: Capabilities::full(Medium::Ethernet, 1500),
            ..Setting::default()
        });
        router.receive_with(0, around(0, &packet), meta);
        router.give_merged(&segment(v6, TEXT), 1400, checksum);
        assert_eq!(router.drain(1).len(), 1, "the question");
        router.introduce_later();
        let all = router.drain(1);
        assert!(is_right(&all[0].packet) && all[0].meta == TxMeta::PLAIN);
        assert_eq!(all[1].packet, one_hop_less(&segment(v6, TEXT)));
        assert!(all[1].meta.segment.is_some());
    }
}

/// Covers: FWD-18 (who does not trust such a checksum does not make it right, for others neither).
#[test]
fn a_partial_checksum_that_is_not_trusted_is_refused() {
    for v6 in [false, true] {
        let mut router = Router::with(Setting {
            config: Config::new(Seed::from_number(1)).trust_partial_checksums(false),
            device: Capabilities::full(Medium::Ethernet, 1500),
            ..Setting::default()
        });
        let checksum = RxChecksum::Partial(partial(v6, 16));
        for (each, text) in [(None, 1000), (size(1400), TEXT)] {
            let meta = RxMeta::new(router.now).with_checksum(checksum);
            let meta = meta.with_segment_size(each);
            router.receive_with(0, around(0, &segment(v6, text)), meta);
        }
        router.dropped(DropReason::ForwardRefused, 2);
        assert!(router.drain(1).is_empty());
    }
}

/// Where a routing header leads to in the end.
const LAST: Ipv6Addr = Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 7);

/// The same as [`segment`], by way of the right peer to somebody else: the sum is over that one (RFC 8200 §8.1).
fn led(text: usize) -> Vec<u8> {
    let mut tcp = segment(true, text)[40..].to_vec();
    let pseudo = ipv6::pseudo_sum(PEER6, LAST, Protocol::TCP, tcp.len());
    tcp[16..18].copy_from_slice(&pseudo.partial().to_be_bytes());
    let routing = [&[6, 2, 4, 1, 0, 0, 0, 0][..], &LAST.octets()].concat();
    let all = [routing, tcp].concat();
    ip(PEER6.into(), FAR6.into(), Protocol(43), &all)
}

/// Covers: FWD-17, FWD-18, IP6-31 (RFC 8200 §8.1: the sum is over the last end of a routing header, which stays so whoever cuts it, and when).
#[test]
fn the_sum_of_what_is_led_on_is_its_senders() {
    let checksum = RxChecksum::Partial(PartialChecksum {
        start: 54 + 24,
        offset: 16,
    });
    let packet = led(3000);
    for known in [true, false] {
        for cuts in [true, false] {
            let device = match cuts {
                true => Capabilities::full(Medium::Ethernet, 1500),
                false => Capabilities::plain(Medium::Ethernet, 1500),
            };
            let setting = Setting {
                device,
                ..Setting::default()
            };
            let mut router = match known {
                true => Router::with(setting),
                false => Router::alone(setting),
            };
            router.give_merged(&packet, 1400, checksum);
            if !known {
                assert_eq!(router.drain(1).len(), 1, "the question");
                router.introduce_later();
            }
            let all = router.drain(1);
            if cuts {
                assert_eq!(all.len(), 1);
                assert_eq!(all[0].packet, one_hop_less(&packet), "{known}");
                continue;
            }
            assert_eq!(all.len(), 3);
            for seen in &all {
                let tcp = &seen.packet[64..];
                let pseudo = ipv6::pseudo_sum(PEER6, LAST, Protocol::TCP, tcp.len());
                assert!(pseudo.bytes(tcp).is_valid(), "{known}");
            }
        }
    }
}

/// What would be more segments than ever wait is not cut only to find no room.
#[test]
fn a_super_segment_of_too_many_is_refused() {
    let mut router = Router::to(Capabilities::plain(Medium::Ethernet, 1500));
    router.give_merged(&segment(false, 3000), 2, RxChecksum::Verified);
    router.dropped(DropReason::ForwardRefused, 1);
    router.give_merged(&segment(false, 3000), 4, RxChecksum::Verified);
    assert_eq!(router.drain(1).len(), 750);
    // The last that fits an empty queue, and the first that does not: a rest is a frame as well.
    router.give_merged(&segment(false, 2000), 2, RxChecksum::Verified);
    assert_eq!(router.drain(1).len(), 1000);
    router.give_merged(&segment(false, 2001), 2, RxChecksum::Verified);
    assert!(router.drain(1).is_empty());
    assert_eq!(router.drops(DropReason::ForwardRefused), 2);
    assert_eq!(router.stack.counters().packets_cut, 2);
}

impl Router {
    /// The right peer asks for us, so that it is known.
    pub(super) fn introduce_later(&mut self) {
        self.receive(1, arp_frame(&arp::Packet::request(OTHER_MAC, FAR, RIGHT)));
        let mut frame = solicitation(FAR6, OTHER_MAC, RIGHT6);
        frame[..6].copy_from_slice(&RIGHT_MAC.octets());
        self.receive(1, frame);
        let answers = |frame: &(Vec<u8>, TxMeta)| frame.0[12..14] == [8, 6] || frame.0[20] == 58;
        self.ports[1]
            .tx_mut()
            .send(self.now, &mut self.stack, usize::MAX)
            .unwrap();
        self.device(1).frames.retain(|frame| !answers(frame));
    }
}
