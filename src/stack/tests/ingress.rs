//! Every way in which a packet is not taken, by its counter.

use super::*;

fn dropped(rig: &mut Rig, frame: Vec<u8>, reason: DropReason, what: &str) {
    let before = rig.stack.counters().drops.clone();
    rig.receive(frame);
    let after = &rig.stack.counters().drops;
    assert_eq!(
        after.get(reason),
        before.get(reason) + 1,
        "{what}: {after:?}"
    );
    assert_eq!(after.total(), before.total() + 1, "{what}: {after:?}");
}

fn v4(src: &str, dst: &str) -> Vec<u8> {
    udp_frame(&format!("{src}:9"), &format!("{dst}:7"), b"data")
}

fn v6(src: &str, dst: &str) -> Vec<u8> {
    udp_frame(&format!("[{src}]:9"), &format!("[{dst}]:7"), b"data")
}

/// The same with one byte of the network packet changed, the IPv4 checksum made right again.
fn patched(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    let ip = ethernet::HEADER_LEN;
    frame[ip + at] = byte;
    if frame[12..14] == [0x08, 0x00] {
        frame[ip + 10..ip + 12].fill(0);
        let sum = crate::base::checksum::checksum(&frame[ip..ip + 20]);
        frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

/// Covers: IP4-1, IP4-2, IP4-3, IP4-5, IP6-1, UDP-1, UDP-3, UDP-5. r61: no length panics.
#[test]
fn r61_malformed_frames_by_reason() {
    use DropReason as R;
    let mut rig = Rig::new();
    let good = || v4("10.0.0.2", "10.0.0.1");
    let good6 = || v6("fd00::2", "fd00::1");
    let cut = |frame: Vec<u8>, len| frame[..len].to_vec();
    let mut bad_sum = good();
    bad_sum[ethernet::HEADER_LEN + 10] ^= 1;
    let mut bad_udp = good();
    bad_udp[ethernet::HEADER_LEN + 26] ^= 1;
    let mut bad_udp6 = good6();
    bad_udp6[ethernet::HEADER_LEN + 46..ethernet::HEADER_LEN + 48].fill(0);
    let icmp = ip_frame(
        PEER.into(),
        OURS.into(),
        Protocol::ICMP,
        &[8, 0, 0, 0, 0, 0, 0, 1],
    );
    let short = ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &[8, 0]);
    #[rustfmt::skip]
    let rows = [
        (vec![],                                 R::LinkMalformed, "empty"),
        (cut(good(), 13),                        R::LinkMalformed, "cut link header"),
        (eth(OTHER_MAC, PEER_MAC, EtherType::IPV4, &[]), R::LinkNotOurs, "another station's"),
        (eth(OUR_MAC, PEER_MAC, EtherType(0x1234), &[]), R::LinkProtocol, "EtherType"),
        (eth(OUR_MAC, PEER_MAC, EtherType::ARP, &[0; 27]), R::ArpMalformed, "cut ARP"),
        (eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &[]), R::Ipv4Malformed, "no IPv4 packet"),
        (eth(OUR_MAC, PEER_MAC, EtherType::IPV6, &[]), R::Ipv6Malformed, "no IPv6 packet"),
        (patched(good(), 0, 0x44),               R::Ipv4Malformed, "IHL 4"),
        (patched(good(), 0, 0x65),               R::Ipv4Malformed, "version 6"),
        (patched(good(), 3, 19),                 R::Ipv4Malformed, "total length below the header"),
        (patched(good(), 2, 0xff),               R::Ipv4Malformed, "total length beyond the frame"),
        (bad_sum,                                R::Ipv4Checksum,  "header checksum"),
        (patched(good6(), 0, 0x40),              R::Ipv6Malformed, "version 4"),
        (patched(good6(), 4, 0xff),              R::Ipv6Malformed, "payload length beyond the frame"),
        (patched(good(), 6, 0x20),               R::Ipv4Malformed, "a fragment of 12 bytes, not the last"),
        (v4("10.0.0.2", "10.0.0.9"),             R::IpNotOurs,     "another's v4"),
        (v6("fd00::2", "fd00::9"),               R::IpNotOurs,     "another's v6"),
        (bad_udp,                                R::UdpChecksum,   "udp checksum"),
        (bad_udp6,                               R::UdpChecksum,   "no udp checksum on v6"),
        (patched(good(), 24, 0xff),              R::UdpMalformed,  "udp length"),
        (icmp,                                   R::IcmpChecksum,  "icmp checksum"),
        (short,                                  R::IcmpMalformed, "cut icmp"),
        (ip_frame(PEER.into(), OURS.into(), Protocol::TCP, &[0; 20]), R::TcpNoSocket, "tcp"),
        (ip_frame(PEER.into(), OURS.into(), Protocol(253), &[0; 20]), R::IpProtocol, "protocol"),
    ];
    for (frame, reason, what) in rows {
        // TCP's own reason belongs to TCP.
        if reason != R::TcpNoSocket {
            dropped(&mut rig, frame, reason, what);
        }
    }
}

/// Covers: IP4-6, ADR-1, ADR-2, ADR-4, UDP-12. r49: who cannot have sent a packet.
#[test]
fn r49_sources_that_cannot_be() {
    let mut rig = Rig::new();
    for src in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "10.0.0.255",
        "10.0.0.0",
        "10.0.0.1",
        "240.0.0.1",
    ] {
        dropped(&mut rig, v4(src, "10.0.0.1"), DropReason::IpSource, src);
    }
    for src in ["::", "::1", "ff02::1", "fd00::1", "::ffff:10.0.0.2"] {
        dropped(&mut rig, v6(src, "fd00::1"), DropReason::IpSource, src);
    }
    assert!(rig.drain().is_empty(), "nothing of it is answered");
}

/// r49: TCP to a group is dropped, never answered. Covers: IP4-13, ETH-5 (IP is told of it).
#[test]
fn r49_groups_and_link_broadcasts() {
    let mut rig = Rig::new();
    for dst in [
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(10, 0, 0, 255),
        Ipv4Addr::new(224, 0, 0, 1),
    ] {
        let packet = ip(PEER.into(), dst.into(), Protocol::TCP, &[0; 20]);
        let frame = eth(MacAddr::BROADCAST, PEER_MAC, EtherType::IPV4, &packet);
        dropped(&mut rig, frame, DropReason::TcpBadSyn, "tcp to a group");
    }
    let group = Ipv4Addr::new(224, 0, 0, 9);
    let packet = ip(PEER.into(), group.into(), Protocol::TCP, &[0; 20]);
    let frame = eth(MacAddr::BROADCAST, PEER_MAC, EtherType::IPV4, &packet);
    dropped(
        &mut rig,
        frame,
        DropReason::IpNotOurs,
        "a group that nobody joined",
    );
    for (src, dst, kind) in [
        (IpAddr::V4(PEER), IpAddr::V4(OURS), EtherType::IPV4),
        (PEER6.into(), OURS6.into(), EtherType::IPV6),
    ] {
        let packet = ip(src, dst, Protocol::TCP, &[0; 20]);
        let frame = eth(MacAddr::BROADCAST, PEER_MAC, kind, &packet);
        dropped(
            &mut rig,
            frame,
            DropReason::IpLinkBroadcast,
            "unicast in a broadcast",
        );
    }
    assert!(rig.drain().is_empty());
}

/// Covers: IP6-2. r61: a jumbo payload, whose length lies in an option, is not taken for an empty one.
#[test]
fn r61_jumbo_payloads() {
    let mut rig = Rig::new();
    let frame = v6("fd00::2", "fd00::1");
    // Payload length 0; hop-by-hop options with the jumbo payload option.
    let mut jumbo = frame[..ethernet::HEADER_LEN + 40].to_vec();
    jumbo[ethernet::HEADER_LEN + 4..ethernet::HEADER_LEN + 7].copy_from_slice(&[0, 0, 0]);
    jumbo.extend_from_slice(&[17, 0, 0xc2, 4, 0, 1, 0, 0]);
    jumbo.resize(jumbo.len() + 65_536, 0);
    dropped(&mut rig, jumbo, DropReason::Ipv6Malformed, "jumbo");
    // An empty packet is no packet of a protocol.
    let empty = patched(frame[..ethernet::HEADER_LEN + 40].to_vec(), 5, 0);
    dropped(&mut rig, empty, DropReason::UdpMalformed, "no payload");
    assert!(rig.drain().is_empty());
}

/// Covers: IC4-5, IC6-5. r63: fragments, the first and the later ones, and errors of kinds that nobody
/// knows get no answer.
#[test]
fn r63_no_errors_about_fragments_and_unknown_errors() {
    let mut rig = Rig::new();
    rig.introduce();
    let good = || v4("10.0.0.2", "10.0.0.1");
    rig.receive(good());
    assert_eq!(rig.drain().len(), 1, "whole it is answered");
    // An option whose length cannot be is told, but not of a later fragment.
    let mut later = ipv4::Fields::new(PEER, OURS, Protocol::UDP);
    for (offset, told) in [(0, 1), (1, 0)] {
        later.fragment_offset = offset;
        let mut packet = vec![0; 60];
        let len = later.emit_with_options(&[7, 200, 4, 0], 0, &mut packet);
        let frame = eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet[..len]);
        dropped(&mut rig, frame, DropReason::Ipv4Malformed, "v4");
        assert_eq!(rig.drain().len(), told);
    }
    // Of 3 bytes, which none but the last has.
    for (protocol, told) in [(17, 1), (58, 0)] {
        let payload = [protocol, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3];
        let frame = ip_frame(PEER6.into(), OURS6.into(), Protocol::FRAGMENT, &payload);
        dropped(&mut rig, frame, DropReason::Ipv6Malformed, "v6");
        assert_eq!(rig.drain().len(), told, "what may be an error");
    }
    for kind in [5, 100, 127] {
        let mut body = vec![kind, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        let pseudo = ipv6::pseudo_sum(PEER6, OURS6, Protocol::ICMPV6, body.len());
        let sum = pseudo.bytes(&body).finish();
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        let frame = ip_frame(PEER6.into(), OURS6.into(), Protocol::ICMPV6, &body);
        dropped(&mut rig, frame, DropReason::IcmpIgnored, "unknown error");
    }
    assert!(rig.drain().is_empty());
}

/// Covers: IP4-4, ETH-7. r61: padding is no data.
#[test]
fn r61_padding_is_not_data() {
    let mut rig = Rig::new();
    let local = "0.0.0.0:7".parse().unwrap();
    let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
    let mut frame = v4("10.0.0.2", "10.0.0.1");
    frame.extend_from_slice(&[0xee; 30]);
    rig.receive(frame);
    assert_eq!(rig.stack.udp_recv(id).unwrap().data, b"data");
    // UDP has a length of its own; a SYN has none, and each byte of padding would be one of text.
    rig.introduce();
    for (from, to) in [("10.0.0.2:9", "10.0.0.1:9"), ("[fd00::2]:9", "[fd00::1]:9")] {
        let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let syn = tcp::segment(from, to, 1, 0, crate::tcp::Flags::SYN);
        let mut frame = ip_frame(from.ip(), to.ip(), Protocol::TCP, &syn);
        frame.extend_from_slice(&[0; 6]);
        rig.receive(frame);
        let reset = rig.only();
        let segment = if to.is_ipv4() {
            reset.v4().1
        } else {
            reset.v6().1
        };
        assert_eq!(segment[8..12], [0, 0, 0, 2], "{to}");
    }
}

/// Covers: IP4-15: the TTL of what reaches us does not matter.
#[test]
fn a_ttl_of_zero_or_one_is_accepted() {
    let mut rig = Rig::new();
    let local = "0.0.0.0:7".parse().unwrap();
    let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
    for ttl in [0, 1] {
        rig.receive(patched(v4("10.0.0.2", "10.0.0.1"), 8, ttl));
        assert_eq!(rig.stack.udp_recv(id).unwrap().ttl, ttl);
    }
}

#[test]
fn vlans_are_kept_apart() {
    let tagged = |vlan: u16| {
        let packet = &v4("10.0.0.2", "10.0.0.1")[ethernet::HEADER_LEN..];
        let mut fields = ethernet::Fields::new(OUR_MAC, PEER_MAC, EtherType::IPV4);
        fields.tag = Some(crate::link::VlanTag::new(vlan));
        let mut frame = vec![0; fields.len()];
        fields.emit(&mut frame);
        frame.extend_from_slice(packet);
        frame
    };
    let untagged = || v4("10.0.0.2", "10.0.0.1");
    let mut plain = Rig::new();
    dropped(&mut plain, tagged(5), DropReason::LinkProtocol, "tagged");
    dropped(&mut plain, untagged(), DropReason::UdpNoSocket, "untagged");
    dropped(
        &mut plain,
        tagged(0),
        DropReason::UdpNoSocket,
        "priority tag",
    );
    let mut five = Rig::with(|config| config.vlan(5));
    dropped(&mut five, tagged(5), DropReason::UdpNoSocket, "our vlan");
    dropped(
        &mut five,
        tagged(6),
        DropReason::LinkProtocol,
        "another vlan",
    );
    dropped(&mut five, untagged(), DropReason::LinkProtocol, "untagged");
    let request = five.only();
    assert_eq!(request.kind, EtherType::ARP, "the tag is sent, too");
    assert_eq!(request.packet.len(), arp::PACKET_LEN);
}

/// Whether foreign destinations are taken is a setting.
#[test]
fn foreign_destinations_when_told_so() {
    let mut rig = Rig::with(|config| config.accept_foreign(true));
    let local = "0.0.0.0:7".parse().unwrap();
    let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
    rig.receive(v4("10.0.0.2", "8.8.8.8"));
    let datagram = rig.stack.udp_recv(id).unwrap();
    assert_eq!(datagram.to, IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)));
    dropped(
        &mut rig,
        v4("10.0.0.2", "127.0.0.1"),
        DropReason::IpNotOurs,
        "loopback",
    );
}

/// The device's word about a checksum is taken.
#[test]
fn verified_and_partial_checksums_are_trusted() {
    use crate::link::{PartialChecksum, RxChecksum};
    let mut rig = Rig::new();
    let local = "0.0.0.0:7".parse().unwrap();
    let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
    let partial = RxChecksum::Partial(PartialChecksum {
        start: 34,
        offset: 6,
    });
    for (checksum, taken) in [
        (RxChecksum::Unknown, false),
        (RxChecksum::Verified, true),
        (partial, true),
    ] {
        let mut frame = v4("10.0.0.2", "10.0.0.1");
        frame[ethernet::HEADER_LEN + 26] ^= 1;
        let meta = RxMeta::new(rig.now).with_checksum(checksum);
        rig.receive_with(frame, meta);
        assert_eq!(rig.stack.udp_recv(id).is_ok(), taken, "{checksum:?}");
    }
}

/// Time never runs back.
#[test]
fn a_clock_that_runs_back_changes_nothing() {
    let mut rig = Rig::new();
    rig.introduce();
    let late = rig.now;
    rig.stack.handle_timeout(Instant::ZERO);
    assert_eq!(rig.stack.net.now, late);
}

proptest::proptest! {
    /// Whatever comes in, nothing panics, and every frame has one outcome at most.
    #[test]
    fn any_bytes_any_medium(
        data in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        kind in 0usize..4,
    ) {
        let mut rig = Rig::new();
        let kinds = [EtherType::IPV4, EtherType::IPV6, EtherType::ARP, EtherType(0x8100)];
        rig.receive(eth(OUR_MAC, PEER_MAC, kinds[kind], &data));
        rig.drain();
        proptest::prop_assert!(rig.stack.counters().drops.total() <= 2);
    }

    /// The same with one byte changed in a good packet.
    #[test]
    fn a_byte_changed_anywhere(at in 0usize..80, byte: u8, six: bool) {
        let mut rig = Rig::new();
        let mut frame = if six { v6("fd00::2", "fd00::1") } else { v4("10.0.0.2", "10.0.0.1") };
        let at = at % frame.len();
        frame[at] = byte;
        rig.receive(frame);
        rig.drain();
    }
}
