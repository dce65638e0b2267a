//! ICMP errors about what was translated, from either side, and those of our own.

use super::nat::{OTHER_FAR, OTHER_NEAR, echo, end, ends, plain, tcp, udp};
use super::*;
use crate::base::checksum::checksum;
use crate::link::layout::put_word;
use crate::stack::NatOptions;
use crate::tcp::Flags;

/// An error of this type and code about a packet, of which the header and 8 bytes are quoted.
fn error(src: Ipv4Addr, dst: Ipv4Addr, (kind, code): (u8, u8), about: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0, 0, 0, 5, 0];
    bytes.extend(&about[..28]);
    let sum = checksum(&bytes);
    put_word(&mut bytes, 2, sum);
    ip(src.into(), dst.into(), Protocol::ICMP, &bytes)
}

/// What an error says, and the header and ports that it quotes, whose checksum is right.
fn read(packet: &[u8]) -> (Ipv4Addr, Ipv4Addr, [u8; 2], Vec<u8>) {
    let (header, message) = ipv4::Header::parse(packet).unwrap();
    assert_eq!(checksum(message), 0);
    assert_eq!(checksum(&message[8..28]), 0);
    let said = [message[0], message[1]];
    (header.src(), header.dst(), said, message[8..].to_vec())
}

/// Covers: NAT-22 (an error reaches who sent what it quotes, with that as it was sent), NAT-23 (and ends nothing).
#[test]
fn an_error_from_outside_reaches_its_sender() {
    let mut router = Router::nat(plain);
    let packets: [fn(Ipv4Addr) -> Vec<u8>; 3] = [
        |own| udp(end(own, 2000), end(FAR, 53), b"ask"),
        |own| tcp(end(own, 2001), end(FAR, 80), Flags::SYN),
        |own| echo(8, own, FAR, 77),
    ];
    for sent in packets {
        let sent = sent(PEER);
        router.give(&sent);
        let left = router.only(1).packet;
        let held = router.held();
        for said in [(3, 1), (3, 4), (11, 0), (12, 0)] {
            // From a router on the way.
            router.give_on(1, &error(OTHER_FAR, RIGHT, said, &left));
            let seen = router.only(0).packet;
            let (src, dst, code, quoted) = read(&seen);
            assert_eq!((src, dst, code), (OTHER_FAR, PEER, [said.0, said.1]));
            assert_eq!(quoted, one_hop_less(&sent)[..28]);
        }
        assert_eq!(router.held(), held);
        let to = ends(&left).1;
        assert!(router.back(&answer(&left)).is_some(), "{to}");
    }
    assert_eq!(router.drops(DropReason::IcmpUnmatched), 0);
}

/// The answer to a packet that left.
fn answer(left: &[u8]) -> Vec<u8> {
    let (src, dst) = ends(left);
    match left[9] {
        1 => echo(0, *dst.ip(), *src.ip(), src.port()),
        6 => tcp(dst, src, Flags::SYN | Flags::ACK),
        _ => udp(dst, src, b"told"),
    }
}

/// Covers: NAT-24 (an error that quotes no session of ours is nobody's; nor is one whose checksums are wrong).
#[test]
fn an_error_that_quotes_nothing_of_ours_is_dropped() {
    let mut router = Router::nat(plain);
    router.give(&udp(end(PEER, 2000), end(FAR, 53), b"ask"));
    let left = router.only(1).packet;
    let (outside, _) = ends(&left);
    let mut wrong = error(FAR, RIGHT, (3, 3), &left);
    wrong[30] ^= 1;
    let other_port = udp(end(RIGHT, outside.port() ^ 2), end(FAR, 53), b"ask");
    let stranger = udp(outside, end(OTHER_FAR, 53), b"ask");
    let mut header = left;
    header[12] ^= 1;
    for forged in [
        wrong,
        error(FAR, RIGHT, (3, 3), &other_port),
        error(FAR, RIGHT, (3, 3), &stranger),
        error(FAR, RIGHT, (3, 3), &header),
    ] {
        router.give_on(1, &forged);
        assert!(router.drain(0).is_empty() && router.drain(1).is_empty());
    }
    assert_eq!(router.stack.counters().packets_translated, 1);
}

/// Covers: NAT-25 (who is outside hears of an inside host as of the outside address).
#[test]
fn an_error_from_inside_has_the_outside_address() {
    let mut router = Router::nat(plain);
    let own = end(PEER, 2000);
    let (outside, _) = router.out(&udp(own, end(FAR, 53), b"ask"));
    let told = udp(end(FAR, 53), outside, b"told");
    router.give_on(1, &told);
    let came = router.only(0).packet;
    router.give(&error(PEER, FAR, (3, 3), &came));
    let (src, dst, code, quoted) = read(&router.only(1).packet);
    assert_eq!((src, dst, code), (RIGHT, FAR, [3, 3]));
    assert_eq!(quoted, one_hop_less(&told)[..28]);
    // About what never came.
    router.give(&error(
        PEER,
        FAR,
        (3, 3),
        &udp(end(FAR, 53), end(PEER, 9), b""),
    ));
    assert!(router.drain(1).is_empty());
    assert_eq!(router.drops(DropReason::IcmpUnmatched), 1);
}

/// Covers: NAT-26 (between inside hosts, by the outside address, errors as well).
#[test]
fn an_error_goes_round_as_well() {
    let mut router = Router::nat(|config| {
        config.nat(NatOptions::new().forward(Protocol::UDP, 53, end(PEER, 5353)))
    });
    let client = end(OTHER_NEAR, 3000);
    let ask = udp(client, end(RIGHT, 53), b"ask");
    router.give(&ask);
    let came = router.only(0).packet;
    assert_eq!(ends(&came).1, end(PEER, 5353));
    let (seen_as, _) = ends(&came);
    router.give(&error(PEER, *seen_as.ip(), (3, 3), &came));
    let (src, dst, code, quoted) = read(&router.only(0).packet);
    assert_eq!((src, dst, code), (RIGHT, OTHER_NEAR, [3, 3]));
    assert_eq!(quoted, one_hop_less(&ask)[..28]);
}

/// Covers: NAT-27 (our own errors quote what their receiver sent).
#[test]
fn our_own_errors_quote_what_was_sent() {
    let mut router = Router::nat(|config| {
        config.nat(NatOptions::new().forward(
            Protocol::UDP,
            53,
            end(Ipv4Addr::new(10, 0, 0, 77), 53),
        ))
    });
    let last = |mut packet: Vec<u8>| {
        packet[8] = 1;
        put_word(&mut packet, 10, 0);
        let sum = checksum(&packet[..20]);
        put_word(&mut packet, 10, sum);
        packet
    };
    // No hops left, on the way out, in, and round.
    let ask = last(udp(end(PEER, 2000), end(FAR, 53), b"ask"));
    router.give(&ask);
    assert_eq!(router.error4().3, ask);
    assert_eq!(router.held(), (1, 0), "and nothing is remembered");
    let ask = last(udp(end(FAR, 9), end(RIGHT, 53), b"ask"));
    router.give_on(1, &ask);
    let (src, dst, code, quoted) = read(&router.only(1).packet);
    assert_eq!((src, dst, code, quoted), (RIGHT, FAR, [11, 0], ask));
    let ask = last(udp(end(PEER, 2000), end(RIGHT, 53), b"ask"));
    router.give(&ask);
    assert_eq!(router.error4().3, ask);
    // A neighbour that does not answer, on either side.
    let nobody = Ipv4Addr::new(10, 1, 0, 77);
    let ask = udp(end(PEER, 2000), end(nobody, 53), b"ask");
    router.give(&ask);
    router.advance(Duration::from_secs(10));
    let told = router.drain(0).into_iter();
    let told: Vec<_> = told.filter(|seen| seen.kind == EtherType::IPV4).collect();
    let (src, dst, code, quoted) = read(&told[0].packet);
    assert_eq!((src, dst, code), (OURS, PEER, [3, 1]));
    assert_eq!(quoted, one_hop_less(&ask));
    router.meet();
    let ask = udp(end(FAR, 9), end(RIGHT, 53), b"ask");
    router.give_on(1, &ask);
    router.advance(Duration::from_secs(10));
    let told = router.drain(1).into_iter();
    let told: Vec<_> = told.filter(|seen| seen.kind == EtherType::IPV4).collect();
    let (src, dst, code, quoted) = read(&told[0].packet);
    assert_eq!((src, dst, code), (RIGHT, FAR, [3, 1]));
    assert_eq!(quoted, one_hop_less(&ask));
}
