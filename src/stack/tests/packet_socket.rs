//! Packet sockets: what they hear beside the stack, what they send, and their bounds.

use super::*;

/// A type that is for experiments (IEEE 802 §9.2.3).
const TYPE: EtherType = EtherType(0x88b5);

fn open(rig: &mut Rig, change: impl FnOnce(PacketOptions) -> PacketOptions) -> PacketSocketId {
    let options = change(PacketOptions::new(rig.on));
    rig.stack.packet_open(options).unwrap()
}

fn heard(rig: &mut Rig, id: PacketSocketId) -> Vec<LinkPacket> {
    core::iter::from_fn(|| rig.stack.packet_recv(id).ok()).collect()
}

#[test]
fn frames_of_a_type_are_heard_and_sent() {
    let mut rig = Rig::new();
    let id = open(&mut rig, |options| options.ether_type(TYPE));
    rig.receive(eth(OUR_MAC, PEER_MAC, TYPE, b"hello"));
    let event = rig.event().unwrap();
    assert_eq!(event.id, SocketId::Packet(id));
    let [packet] = &heard(&mut rig, id)[..] else {
        panic!("one");
    };
    assert_eq!((packet.on, packet.ether_type), (rig.on, TYPE));
    assert_eq!((packet.src, packet.dst), (Some(PEER_MAC), Some(OUR_MAC)));
    assert_eq!(&packet.payload[..], b"hello");
    assert_eq!(rig.drops(DropReason::LinkProtocol), 0, "somebody knows it");
    rig.receive(eth(OUR_MAC, PEER_MAC, EtherType(0x88b6), b"hello"));
    assert_eq!(rig.drops(DropReason::LinkProtocol), 1, "nobody does");
    assert!(heard(&mut rig, id).is_empty());
    let data = Bytes::from_static(b"world");
    let sent = rig.stack.packet_send(rig.now, id, OTHER_MAC, TYPE, data);
    assert_eq!(sent, Ok(()));
    let frame = rig.only();
    assert_eq!((frame.dst, frame.kind), (OTHER_MAC, TYPE));
    assert_eq!(frame.packet, b"world");
    let long = Bytes::from(vec![0; 1501]);
    let refused = rig.stack.packet_send(rig.now, id, OTHER_MAC, TYPE, long);
    let too_big = SendError::TooBig {
        len: 1501,
        max: 1500,
    };
    assert_eq!(refused, Err(too_big));
    rig.stack.packet_close(id);
    assert_eq!(rig.stack.packet_recv(id), Err(RecvError::Stale(StaleId)));
}

/// What a socket hears the stack heeds all the same; what is for other stations is heard by who asks for it.
#[test]
fn the_stack_heeds_what_is_heard() {
    let mut rig = Rig::new();
    let all = open(&mut rig, |options| options);
    let others = open(&mut rig, |options| options.others(true));
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, OURS)));
    assert_eq!(rig.only().arp().operation, arp::Operation::REPLY);
    rig.receive(eth(OTHER_MAC, PEER_MAC, TYPE, b"not ours"));
    assert_eq!(rig.drops(DropReason::LinkNotOurs), 1);
    let kinds = |packets: Vec<LinkPacket>| -> Vec<EtherType> {
        packets.iter().map(|packet| packet.ether_type).collect()
    };
    assert_eq!(kinds(heard(&mut rig, all)), [EtherType::ARP]);
    assert_eq!(kinds(heard(&mut rig, others)), [EtherType::ARP, TYPE]);
}

/// A VLAN's frames are its own: with its tag, and nobody else's.
#[test]
fn a_tag_is_taken_off_and_put_on() {
    let mut rig = Rig::with(|config| config.vlan(7));
    let id = open(&mut rig, |options| options);
    rig.receive(eth(OUR_MAC, PEER_MAC, TYPE, b"untagged"));
    assert!(heard(&mut rig, id).is_empty());
    let tagged = [&[0, 7, 0x88, 0xb5], &b"tagged"[..]].concat();
    rig.receive(eth(OUR_MAC, PEER_MAC, EtherType::VLAN, &tagged));
    let [packet] = &heard(&mut rig, id)[..] else {
        panic!("one");
    };
    assert_eq!(
        (packet.ether_type, &packet.payload[..]),
        (TYPE, &b"tagged"[..])
    );
    let data = Bytes::from_static(b"tagged");
    rig.stack
        .packet_send(rig.now, id, PEER_MAC, TYPE, data)
        .unwrap();
    rig.poll();
    let (frame, _) = rig.device().frames.remove(0);
    assert_eq!(frame, eth(PEER_MAC, OUR_MAC, EtherType::VLAN, &tagged));
}

/// docs/limits.md: sockets, what waits in one, and what it sends.
#[test]
fn everything_is_bounded() {
    let mut rig = Rig::new();
    let id = open(&mut rig, |options| options.recv_buffer(10 * (100 + 128)));
    for _ in 1..16 {
        open(&mut rig, |options| options.recv_buffer(0));
    }
    let one_more = rig.stack.packet_open(PacketOptions::new(rig.on));
    assert_eq!(one_more, Err(PacketError::TooMany));
    for _ in 0..10_000 {
        rig.receive(eth(OUR_MAC, PEER_MAC, TYPE, &[7; 100]));
    }
    assert_eq!(rig.stack.packet_dropped(id), Ok(9990));
    let counters = rig.stack.counters();
    assert_eq!(counters.raw_packets_received, 10 + 15);
    assert_eq!(counters.raw_packets_dropped, 9990 + 15 * 9999);
    assert_eq!(rig.stack.memory().used, 25 * (100 + 128));
    assert_eq!(heard(&mut rig, id).len(), 10);
    rig.device().room = Some(0);
    let mut send = || {
        let data = Bytes::from_static(&[0; 100]);
        rig.stack.packet_send(rig.now, id, PEER_MAC, TYPE, data)
    };
    let sent = (0..10_000).take_while(|_| send().is_ok()).count();
    assert_eq!((sent, send()), (160, Err(SendError::WouldBlock)));
    assert_eq!(rig.drops(DropReason::OutboxFull), 2);
    rig.device().room = None;
    assert_eq!(rig.drain().len(), 160);
}

#[test]
fn an_interface_that_goes_is_told() {
    let mut rig = Rig::new();
    let id = open(&mut rig, |options| options);
    let nobody = PacketOptions::new(InterfaceId::LOOPBACK);
    let refused = rig.stack.packet_open(nobody);
    assert_eq!(refused, Err(PacketError::Interface(InterfaceId::LOOPBACK)));
    rig.stack.remove_interface(rig.now, rig.on).unwrap();
    assert_eq!(rig.stack.packet_recv(id), Err(RecvError::AddressGone));
    let sent = rig
        .stack
        .packet_send(rig.now, id, PEER_MAC, TYPE, Bytes::new());
    assert_eq!(sent, Err(SendError::AddressGone));
}

/// A device without link headers refuses what is no packet of IP, and is not given it.
#[test]
fn what_is_of_no_version_goes_to_no_device_without_links() {
    let capabilities = Capabilities::plain(Medium::Ip, 1500);
    let config = InterfaceConfig::new(&capabilities).address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
    let id = open(&mut rig, |options| options);
    let mut send = |data: &'static [u8]| {
        let data = Bytes::from_static(data);
        let (now, to) = (rig.now, MacAddr::ZERO);
        rig.stack.packet_send(now, id, to, TYPE, data)
    };
    for none in [&b""[..], b"world", &[0x54; 20]] {
        let refused = matches!(send(none), Err(SendError::Malformed { .. }));
        assert!(refused, "{none:x?}");
    }
    for one in [&[0x45; 20], &[0x60; 20]] {
        assert_eq!(send(one), Ok(()));
    }
    assert_eq!(rig.stack.counters().raw_packets_sent, 2);
}
