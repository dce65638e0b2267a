//! UDP over IPv6 without checksums, where sockets ask for it.

use super::*;
use crate::link::{PartialChecksum, RxChecksum};
use crate::stack::ids::StaleId;
use core::num::NonZeroU16;
use ipv6::ndp::NeighborFlags;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A datagram from the peer without a checksum.
fn bare(to: &str) -> Vec<u8> {
    let mut frame = udp_frame("[fd00::2]:9", to, b"bare");
    let at = ethernet::HEADER_LEN + ipv6::HEADER_LEN + crate::udp::CHECKSUM_OFFSET;
    frame[at..at + 2].fill(0);
    frame
}

fn bind(rig: &mut Rig, port: u16, options: UdpOptions) -> UdpId {
    let local = SocketAddr::new(OURS6.into(), port);
    rig.stack.udp_bind(local, options).unwrap()
}

/// Covers: UDP-6: only the socket that asks for it hears what has no checksum, and it hears what has one; nobody is told of the rest.
#[test]
fn what_has_no_checksum_comes_to_who_asks_for_it() {
    let mut rig = Rig::new();
    rig.introduce();
    let (strict, loose) = (
        UdpOptions::new(),
        UdpOptions::new().take_zero_checksum(true),
    );
    let strict = bind(&mut rig, 7, strict);
    let loose = bind(&mut rig, 8, loose);
    // Nor does a device know better.
    for word in [RxChecksum::Unknown, RxChecksum::Verified] {
        let meta = RxMeta::new(rig.now).with_checksum(word);
        for port in 7..=9 {
            rig.receive_with(bare(&format!("[fd00::1]:{port}")), meta);
        }
        assert_eq!(rig.stack.udp_recv(strict), Err(RecvError::WouldBlock));
        assert_eq!(rig.stack.udp_recv(loose).unwrap().data, b"bare"[..]);
    }
    assert_eq!(rig.drops(DropReason::UdpChecksum), 4);
    assert!(rig.drain().is_empty(), "no error is sent");
    rig.receive(udp_frame("[fd00::2]:9", "[fd00::1]:8", b"summed"));
    assert_eq!(rig.stack.udp_recv(loose).unwrap().data, b"summed"[..]);
    let mut wrong = udp_frame("[fd00::2]:9", "[fd00::1]:8", b"summed");
    *wrong.last_mut().unwrap() ^= 1;
    rig.receive(wrong);
    assert_eq!(rig.stack.udp_recv(loose), Err(RecvError::WouldBlock));
    assert_eq!(rig.drops(DropReason::UdpChecksum), 5);
    // A kernel's own that was never completed is no such one.
    let partial = PartialChecksum {
        start: 54,
        offset: 6,
    };
    let meta = RxMeta::new(rig.now).with_checksum(RxChecksum::Partial(partial));
    rig.receive_with(bare("[fd00::1]:7"), meta);
    assert_eq!(rig.stack.udp_recv(strict).unwrap().data, b"bare"[..]);
}

/// Covers: UDP-6: of what comes to a group the same holds.
#[test]
fn a_group_hears_what_has_no_checksum_as_its_members_ask() {
    let mut rig = Rig::new();
    rig.introduce();
    let group: IpAddr = "ff02::77".parse().unwrap();
    let mut join = |port: u16, options| {
        let local = addr(&format!("[::]:{port}"));
        let id = rig.stack.udp_bind(local, options).unwrap();
        let on = Some(rig.on);
        rig.stack.udp_join(rig.now, id, group, on, None).unwrap();
        id
    };
    let shared = UdpOptions::new().reuse_address(true);
    let strict = join(7, shared);
    let loose = join(7, shared.take_zero_checksum(true));
    join(8, shared);
    rig.drain();
    for port in [7, 8] {
        let datagram = bare(&format!("[ff02::77]:{port}"));
        let mac = ethernet::ipv6_multicast("ff02::77".parse().unwrap());
        let packet = &datagram[ethernet::HEADER_LEN..];
        rig.receive(eth(mac, PEER_MAC, EtherType::IPV6, packet));
    }
    assert_eq!(rig.stack.udp_recv(strict), Err(RecvError::WouldBlock));
    assert_eq!(rig.stack.udp_recv(loose).unwrap().data, b"bare"[..]);
    assert_eq!(rig.drops(DropReason::UdpChecksum), 1);
}

/// The checksum fields of what is sent.
fn fields(rig: &mut Rig) -> Vec<u16> {
    let seen = rig.drain();
    let fields = seen.iter().map(|seen| {
        let (ip, data) = seen.v6();
        let at = match ip.next_header {
            Protocol::FRAGMENT => ipv6::extension::FRAGMENT_LEN,
            _ => 0,
        } + crate::udp::CHECKSUM_OFFSET;
        u16::from_be_bytes([data[at], data[at + 1]])
    });
    fields.collect()
}

/// Covers: UDP-6: what a socket sends has no checksum when it asks for that, but for what must have one, over IPv4 too; whether it
/// leaves at once, waits, is cut, or outlives its socket.
#[test]
fn a_socket_sends_without_checksums_when_it_asks_for_it() {
    let mut rig = Rig::new();
    let options = UdpOptions::new().send_zero_checksum(true);
    let id = bind(&mut rig, 7, options);
    let to = Some(addr("[fd00::2]:9"));
    // The first waits for its neighbour.
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    rig.drain();
    let flags = NeighborFlags::SOLICITED | NeighborFlags::OVERRIDE;
    rig.receive(advertisement(flags, PEER_MAC, PEER6, OURS6));
    assert_eq!(fields(&mut rig), [0]);
    rig.introduce();
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    assert_eq!(fields(&mut rig), [0]);
    let info = SendInfo::new().checksum();
    let data = || Bytes::from(vec![1; 90]);
    let with = |rig: &mut Rig, info, segment| {
        let stack = &mut rig.stack;
        let sent = stack.udp_send_with(rig.now, id, to, data(), segment, info);
        sent.unwrap();
        fields(rig)
    };
    assert!(with(&mut rig, &info, None).iter().all(|&sum| sum != 0));
    let each = NonZeroU16::new(30);
    assert_eq!(with(&mut rig, &SendInfo::new(), each), [0; 3]);
    rig.stack.udp_send_to(rig.now, id, to, &[1; 2000]).unwrap();
    assert_eq!(fields(&mut rig)[0], 0, "in fragments");
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    rig.stack.udp_close(id);
    assert_eq!(fields(&mut rig), [0]);
    assert_eq!(rig.stack.udp_flow_label(id), Err(StaleId));
    // By default each has one, and over IPv4 all do.
    let id = bind(&mut rig, 7, UdpOptions::new());
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    assert_ne!(fields(&mut rig), [0]);
    let local = addr("10.0.0.1:7");
    let id = rig.stack.udp_bind(local, options).unwrap();
    let to = Some(addr("10.0.0.2:9"));
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    assert_ne!(rig.only().v4().1[6..8], [0, 0]);
}
