//! UDP sockets through the stack.

use super::*;
use crate::link::{PartialChecksum, SegmentKind, Segmentation};
use crate::stack::memory::Memory;
use crate::stack::udp::OVERHEAD;
use core::num::NonZeroU16;
use ipv4::icmp::{Message, UnreachableCode};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn bind(rig: &mut Rig, local: &str) -> UdpId {
    rig.stack.udp_bind(addr(local), UdpOptions::new()).unwrap()
}

fn event(id: UdpId, ready: Readiness) -> Option<Event> {
    let id = SocketId::Udp(id);
    Some(Event { id, ready })
}

/// Covers: UDP-9, UDP-15.
#[test]
fn datagrams_arrive_whole_with_their_addresses() {
    let mut rig = Rig::new();
    let id = bind(&mut rig, "0.0.0.0:7");
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
    for data in [&b""[..], b"a", b"hello"] {
        rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", data));
    }
    assert_eq!(rig.event(), event(id, Readiness::READABLE));
    assert_eq!(rig.event(), None);
    for data in [&b""[..], b"a", b"hello"] {
        let datagram = rig.stack.udp_recv(id).unwrap();
        assert_eq!(datagram.data, *data);
        assert_eq!(
            (datagram.from, datagram.to),
            (addr("10.0.0.2:9"), OURS.into())
        );
    }
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"again"));
    assert_eq!(rig.event(), event(id, Readiness::READABLE), "armed again");
}

#[test]
fn families_and_dual_stack() {
    let mut rig = Rig::new();
    let six = bind(&mut rig, "[::]:7");
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"four"));
    assert_eq!(rig.stack.udp_recv(six), Err(RecvError::WouldBlock));
    let options = UdpOptions::new().dual_stack(true);
    let both = rig.stack.udp_bind(addr("[::]:8"), options).unwrap();
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:8", b"four"));
    rig.receive(udp_frame("[fd00::2]:9", "[fd00::1]:8", b"six"));
    // A v4 peer is never shown as mapped.
    assert_eq!(rig.stack.udp_recv(both).unwrap().from, addr("10.0.0.2:9"));
    assert_eq!(rig.stack.udp_recv(both).unwrap().from, addr("[fd00::2]:9"));
    let mut send = |id, to| rig.stack.udp_send_to(rig.now, id, Some(addr(to)), b"x");
    assert_eq!(send(both, "10.0.0.2:9"), Ok(1));
    assert_eq!(
        send(six, "10.0.0.2:9"),
        Err(SendError::To(addr("10.0.0.2:9")))
    );
    let mapped = "[::ffff:10.0.0.2]:9";
    assert_eq!(send(both, mapped), Err(SendError::To(addr(mapped))));
}

/// Covers: UDP-13, SEC-8, SEL-1 (a source of ours). r56: binding twice.
#[test]
fn r56_binding() {
    let mut rig = Rig::new();
    let id = bind(&mut rig, "10.0.0.1:7");
    let mut again = |local| rig.stack.udp_bind(addr(local), UdpOptions::new());
    assert_eq!(
        again("10.0.0.1:7"),
        Err(BindError::InUse(addr("10.0.0.1:7")))
    );
    assert_eq!(again("0.0.0.0:7"), Err(BindError::InUse(addr("0.0.0.0:7"))));
    let foreign = Ipv4Addr::new(10, 0, 0, 9);
    assert_eq!(again("10.0.0.9:7"), Err(BindError::NotOurs(foreign.into())));
    let ephemeral = again("0.0.0.0:0").unwrap();
    let port = rig.stack.udp_local_addr(ephemeral).unwrap().port();
    assert!((32_768..=60_999).contains(&port));
    rig.stack.udp_close(id);
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::Stale(StaleId)));
    bind(&mut rig, "0.0.0.0:7");
}

/// Covers: UDP-13, SEC-8: RFC 6056 §3.3.3 needs a remote end, so ports that are bound without one
/// are drawn: who sees one of them cannot tell the next.
#[test]
fn ephemeral_ports_that_are_bound_do_not_follow_one_another() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        let mut ports: Vec<i32> = Vec::new();
        for n in 0..40 {
            let any = addr(["0.0.0.0:0", "10.0.0.1:0", "[::]:0"][n % 3]);
            ports.push(if n % 2 == 0 {
                let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
                rig.stack.udp_local_addr(id).unwrap().port().into()
            } else {
                let id = rig.stack.tcp_listen(any, ListenOptions::default()).unwrap();
                rig.stack.tcp_listener_addr(id).unwrap().port().into()
            });
        }
        // 28,232 ports: two of forty draws lie within ten of each other by chance, hardly more.
        for distance in 1..=3 {
            let near = ports.windows(1 + distance);
            let near = near.filter(|w| (w[distance] - w[0]).abs() <= 10).count();
            assert!(near <= 3, "{near} at a distance of {distance}: {ports:?}");
        }
    }
}

#[test]
fn ephemeral_ports_run_out_with_an_error() {
    let config = Config::new(Seed::from_number(1)).ephemeral_ports(50_000..=50_003);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    for _ in 0..4 {
        bind(&mut rig, "0.0.0.0:0");
    }
    let refused = rig.stack.udp_bind(addr("0.0.0.0:0"), UdpOptions::new());
    assert_eq!(refused, Err(BindError::NoPort));
}

/// Covers: SEC-8: of a full range, what is given back is found, whoever gives it back.
#[test]
fn a_port_that_is_given_back_to_a_full_range_is_found() {
    let config = Config::new(Seed::from_number(1)).ephemeral_ports(50_000..=50_599);
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500))
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(config, interface);
    let any = addr("0.0.0.0:0");
    let udp: Vec<UdpId> = (0..600).map(|_| bind(&mut rig, "0.0.0.0:0")).collect();
    for id in udp.into_iter().step_by(37) {
        let refused = rig.stack.udp_bind(any, UdpOptions::new());
        assert_eq!(refused, Err(BindError::NoPort));
        let port = rig.stack.udp_local_addr(id).unwrap().port();
        rig.stack.udp_close(id);
        let again = bind(&mut rig, "0.0.0.0:0");
        assert_eq!(rig.stack.udp_local_addr(again).unwrap().port(), port);
    }

    let held = addr("0.0.0.0:50300");
    let held = rig.stack.tcp_listen(held, ListenOptions::default());
    let connect = |rig: &mut Rig| {
        let options = crate::tcp::TcpOptions::default();
        rig.stack
            .tcp_connect(rig.now, addr("10.0.0.2:80"), None, options)
    };
    let tcp: Vec<TcpId> = (0..599).map(|_| connect(&mut rig).unwrap()).collect();
    assert_eq!(connect(&mut rig), Err(ConnectError::NoPort));
    rig.stack.tcp_listener_close(rig.now, held.unwrap());
    let at = |rig: &Rig, id| rig.stack.tcp_local_addr(id).unwrap().port();
    let last = connect(&mut rig).unwrap();
    assert_eq!(at(&rig, last), 50_300);
    for id in tcp.into_iter().step_by(37) {
        assert_eq!(connect(&mut rig), Err(ConnectError::NoPort));
        let port = at(&rig, id);
        rig.stack.tcp_abort(rig.now, id);
        rig.drain();
        let again = connect(&mut rig).unwrap();
        assert_eq!(at(&rig, again), port);
    }
}

/// Covers: UDP-8, IC4-6, IC4-9: a refusal reaches the connected socket, once.
#[test]
fn an_icmp_error_is_connection_refused() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = bind(&mut rig, "0.0.0.0:0");
    rig.stack.udp_connect(id, addr("10.0.0.2:7")).unwrap();
    rig.stack.udp_send_to(rig.now, id, None, b"x").unwrap();
    let sent = rig.only();
    let refuse = |quoted: &[u8]| {
        let error = Message::DestinationUnreachable {
            code: UnreachableCode::PORT,
            next_hop_mtu: 0,
            quoted,
        };
        let mut body = vec![0; error.len()];
        error.emit(&mut body);
        ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body)
    };
    rig.receive(refuse(&sent.packet));
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::Refused));
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
    rig.receive(refuse(&sent.packet));
    let refused = rig.stack.udp_send_to(rig.now, id, None, b"x");
    assert_eq!(refused, Err(SendError::Earlier(RecvError::Refused)));
    let kind = std::io::Error::from(refused.unwrap_err()).kind();
    assert_eq!(kind, std::io::ErrorKind::ConnectionRefused);
    // RFC 5927 §4, UDP-14: forged quotes of what was never sent reach nobody.
    let mut forged = sent.packet.clone();
    forged[22..24].copy_from_slice(&99u16.to_be_bytes());
    rig.receive(refuse(&forged));
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
}

/// Covers: IC6-11, IC6-4.
#[test]
fn an_icmpv6_error_is_connection_refused() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = bind(&mut rig, "[::]:0");
    rig.stack.udp_connect(id, addr("[fd00::2]:7")).unwrap();
    rig.stack.udp_send_to(rig.now, id, None, b"x").unwrap();
    let sent = rig.only();
    let error = Icmpv6::DestinationUnreachable {
        code: ipv6::icmp::UnreachableCode::PORT,
        quoted: &sent.packet,
    };
    let mut body = vec![0; error.len()];
    error.emit(PEER6, OURS6, &mut body);
    rig.receive(ip_frame(
        PEER6.into(),
        OURS6.into(),
        Protocol::ICMPV6,
        &body,
    ));
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::Refused));
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut rig = Rig::new();
    let id = bind(&mut rig, "0.0.0.0:7");
    rig.stack.udp_connect(id, addr("10.0.0.2:9")).unwrap();
    assert_eq!(rig.stack.udp_local_addr(id), Ok(addr("10.0.0.1:7")));
    assert_eq!(rig.stack.udp_peer_addr(id), Ok(Some(addr("10.0.0.2:9"))));
    rig.receive(udp_frame("10.0.0.3:9", "10.0.0.1:7", b"stranger"));
    rig.receive(udp_frame("10.0.0.2:8", "10.0.0.1:7", b"stranger"));
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"peer"));
    assert_eq!(rig.stack.udp_recv(id).unwrap().data, b"peer");
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
    assert_eq!(rig.drops(DropReason::UdpNoSocket), 2);
    rig.stack.udp_connect(id, addr("10.0.0.3:9")).unwrap();
    rig.receive(udp_frame("10.0.0.3:9", "10.0.0.1:7", b"new"));
    assert_eq!(rig.stack.udp_recv(id).unwrap().data, b"new");
}

/// What a connected socket takes is one flow, as on Linux: nothing that went to another of our
/// addresses, to a broadcast address or to a group, though the peer sent it.
#[test]
fn a_connected_socket_hears_what_was_sent_to_its_address_only() {
    let mut rig = Rig::with(|config| {
        config
            .address("10.0.0.7/24".parse().unwrap())
            .address("fd00::7/64".parse().unwrap())
    });
    rig.introduce();
    let groups = ["10.0.0.255:7", "255.255.255.255:7", "224.0.0.1:7"];
    #[rustfmt::skip]
    let rows = [
        ("0.0.0.0:7", "10.0.0.2:9",  ["10.0.0.1:7",  "10.0.0.7:7"],  &groups[..]),
        ("[::]:7",    "[fd00::2]:9", ["[fd00::1]:7", "[fd00::7]:7"], &["[ff02::1]:7"]),
    ];
    for (any, peer, [ours, another], groups) in rows {
        let id = bind(&mut rig, any);
        for to in [ours, groups[0]] {
            let mut frame = udp_frame(peer, to, b"open to all");
            frame[0] |= u8::from(to != ours);
            rig.receive(frame);
            assert!(rig.stack.udp_recv(id).is_ok(), "{to}");
        }
        rig.stack.udp_connect(id, addr(peer)).unwrap();
        let before = rig.drops(DropReason::UdpNoSocket);
        for to in groups {
            let mut frame = udp_frame(peer, to, b"to a group");
            frame[0] |= 1;
            rig.receive(frame);
        }
        assert!(rig.drain().is_empty());
        rig.receive(udp_frame(peer, another, b"another"));
        assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
        let dropped = rig.drops(DropReason::UdpNoSocket) - before;
        assert_eq!(dropped, groups.len() as u64 + 1);
        assert_eq!(rig.drain().len(), 1, "the port is not open there");
        rig.receive(udp_frame(peer, ours, b"peer"));
        assert_eq!(rig.stack.udp_recv(id).unwrap().data, b"peer");
    }
}

/// Covers: UDP-14 (RFC 8085 §5.2): an error about what went out from another address is not this socket's.
#[test]
fn a_connected_socket_hears_errors_about_its_own_flow_only() {
    let mut rig = Rig::with(|config| config.address("10.0.0.7/24".parse().unwrap()));
    rig.introduce();
    let id = bind(&mut rig, "0.0.0.0:7");
    rig.stack.udp_connect(id, addr("10.0.0.2:9")).unwrap();
    for (from, told) in [("10.0.0.7:7", false), ("10.0.0.1:7", true)] {
        let sent = udp_frame(from, "10.0.0.2:9", b"x");
        let error = Message::DestinationUnreachable {
            code: UnreachableCode::PORT,
            next_hop_mtu: 0,
            quoted: &sent[ethernet::HEADER_LEN..],
        };
        let mut body = vec![0; error.len()];
        error.emit(&mut body);
        let to = addr(from).ip();
        rig.receive(ip_frame(PEER.into(), to, Protocol::ICMP, &body));
        let refused = rig.stack.udp_recv(id) == Err(RecvError::Refused);
        assert_eq!(refused, told, "{from}");
    }
}

/// A connect that fails changes nothing; one to the same peer again is none.
#[test]
fn a_refused_connect_keeps_the_peer() {
    let mut rig = Rig::new();
    rig.introduce();
    let first = bind(&mut rig, "10.0.0.1:7");
    rig.stack.udp_connect(first, addr("10.0.0.2:9")).unwrap();
    rig.stack.udp_connect(first, addr("10.0.0.2:9")).unwrap();
    for wrong in ["10.0.0.2:0", "[fd00::2]:9", "192.168.0.1:9", "0.0.0.0:9"] {
        assert!(rig.stack.udp_connect(first, addr(wrong)).is_err());
    }
    assert_eq!(rig.stack.udp_peer_addr(first), Ok(Some(addr("10.0.0.2:9"))));
    // Another owner of the flow that is asked for: no bind leads to it, so it is claimed by hand.
    let on = rig.on;
    let tuple = |port| {
        let (ours, peer) = (IpAddr::from(OURS), IpAddr::from(PEER));
        tuple::Tuple::new(on, (ours, 7), (peer, port))
    };
    let other = bind(&mut rig, "0.0.0.0:8");
    let claimed = rig.stack.demux.udp.insert_flow(tuple(99), None, other);
    assert!(claimed.is_ok());
    let to = addr("10.0.0.2:99");
    let refused = rig.stack.udp_connect(first, to);
    assert_eq!(refused, Err(ConnectUdpError::InUse(to)));
    assert_eq!(rig.stack.udp_peer_addr(first), Ok(Some(addr("10.0.0.2:9"))));
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"still here"));
    assert_eq!(rig.stack.udp_recv(first).unwrap().data, b"still here");
    assert_eq!(rig.stack.demux.udp.flow(rig.on, &tuple(99)), Some(other));
    // The old claim goes when the new one stands.
    rig.stack.udp_connect(first, addr("10.0.0.2:10")).unwrap();
    assert_eq!(rig.stack.demux.udp.flow(rig.on, &tuple(9)), None);
    assert_eq!(rig.stack.demux.udp.flow(rig.on, &tuple(10)), Some(first));
}

#[test]
fn what_cannot_be_sent_says_why() {
    let mut rig = Rig::new();
    let id = bind(&mut rig, "0.0.0.0:0");
    let mut send = |to: Option<&str>, len: usize| {
        rig.stack
            .udp_send_to(rig.now, id, to.map(addr), &vec![0; len])
    };
    assert_eq!(send(None, 1), Err(SendError::NoPeer));
    let far = "192.168.0.1:7";
    let no_route = RouteError::NoRoute(addr(far).ip());
    assert_eq!(send(Some(far), 1), Err(SendError::Route(no_route)));
    assert_eq!(
        send(Some("10.0.0.2:0"), 1),
        Err(SendError::To(addr("10.0.0.2:0")))
    );
    let nobody = RouteError::Destination(addr("0.1.2.3:7").ip());
    assert_eq!(send(Some("0.1.2.3:7"), 1), Err(SendError::Route(nobody)));
    let big = SendError::TooBig {
        len: 65_508,
        max: 65_507,
    };
    assert_eq!(send(Some("10.0.0.2:7"), 65_508), Err(big));
    assert_eq!(send(Some("10.0.0.2:7"), 65_507), Ok(65_507));
}

/// Back-pressure: a full queue refuses, and room is told once.
#[test]
fn a_full_send_queue_blocks_and_tells_when_there_is_room() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().send_buffer(2000);
    let id = rig.stack.udp_bind(addr("0.0.0.0:0"), options).unwrap();
    rig.device().room = Some(0);
    let mut queued = 0;
    let to = Some(addr("10.0.0.2:7"));
    let error = loop {
        match rig.stack.udp_send_to(rig.now, id, to, &[queued; 300]) {
            Ok(_) => queued += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error, queued), (SendError::WouldBlock, 4));
    assert!(rig.drain().is_empty());
    assert_eq!(rig.event(), None);
    rig.device().room = None;
    let sent: Vec<u8> = rig
        .drain()
        .iter()
        .map(|f| *f.packet.last().unwrap())
        .collect();
    assert_eq!(sent, [0, 1, 2, 3]);
    assert_eq!(rig.event(), event(id, Readiness::WRITABLE));
}

/// What waits to be sent is bounded in datagrams of the wire, too, however they are handed over.
#[test]
fn segments_of_a_byte_are_charged_as_datagrams() {
    let to = Some(addr("10.0.0.2:7"));
    let one = NonZeroU16::MIN;
    for uso in [false, true] {
        let capabilities = if uso {
            Capabilities::full(Medium::Ethernet, 1500)
        } else {
            Capabilities::plain(Medium::Ethernet, 1500)
        };
        let mut rig = Rig::with(|config| config.capabilities(&capabilities));
        rig.introduce();
        let options = UdpOptions::new().send_buffer(2000);
        let id = rig.stack.udp_bind(addr("0.0.0.0:0"), options).unwrap();
        rig.device().room = Some(0);
        let mut send = |len: usize, size| {
            let data = Bytes::from(vec![7; len]);
            rig.stack.udp_send_segmented(rig.now, id, to, data, size)
        };
        let big = |len, max| Err(SendError::TooBig { len, max });
        assert_eq!(send(60_000, one), big(60_000, 15));
        assert_eq!(send(16, one), big(16, 15));
        // One datagram always fits in an empty queue, two only as far as the buffer goes.
        let most = NonZeroU16::new(1472).unwrap();
        assert_eq!(send(1473, most), Ok(()));
        assert_eq!(send(1, one), Ok(()), "1473 and 3 times 128 were charged");
        assert_eq!(send(2, one), Err(SendError::WouldBlock));
        rig.device().room = None;
        rig.drain();
        let mut send = |len: usize, size| {
            let data = Bytes::from(vec![7; len]);
            rig.stack.udp_send_segmented(rig.now, id, to, data, size)
        };
        assert_eq!(send(2944, most), big(2944, 1472));
        assert_eq!(send(1472, most), Ok(()));
        rig.drain();
        rig.device().room = Some(0);
        let mut queued = 0;
        while rig
            .stack
            .udp_send_segmented(rig.now, id, to, Bytes::from(vec![7; 5]), one)
            .is_ok()
        {
            queued += 5;
        }
        assert_eq!(queued, 15);
        rig.device().room = None;
        let frames = rig.drain().len();
        assert_eq!(frames, if uso { 3 } else { 15 });
    }
}

#[test]
fn a_full_receive_queue_drops_and_counts() {
    let mut rig = Rig::new();
    let options = UdpOptions::new().recv_buffer(1000);
    let id = rig.stack.udp_bind(addr("0.0.0.0:7"), options).unwrap();
    for n in 0..10u8 {
        rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", &[n; 200]));
    }
    let got = core::iter::from_fn(|| rig.stack.udp_recv(id).ok()).count() as u64;
    assert_eq!(got, 3);
    assert_eq!(rig.drops(DropReason::UdpBufferFull), 10 - got);
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", b"room again"));
    assert!(rig.stack.udp_recv(id).is_ok());
}

/// Each datagram of a merged arrival that finds no room is counted.
#[test]
fn what_a_merged_arrival_loses_is_counted_by_datagrams() {
    let mut rig = Rig::new();
    let options = UdpOptions::new().recv_buffer(1000);
    let id = rig.stack.udp_bind(addr("0.0.0.0:7"), options).unwrap();
    let frame = udp_frame("10.0.0.2:9", "10.0.0.1:7", &[7; 2000]);
    let meta = RxMeta::new(rig.now).with_segment_size(NonZeroU16::new(200));
    rig.receive_with(frame, meta);
    let got = core::iter::from_fn(|| rig.stack.udp_recv(id).ok()).count() as u64;
    assert_eq!(got, 3);
    assert_eq!(rig.drops(DropReason::UdpBufferFull), 10 - got);
}

/// Arriving super-segments are split into datagrams that share the buffer.
#[test]
fn a_merged_arrival_is_many_datagrams() {
    let mut rig = Rig::new();
    let id = bind(&mut rig, "0.0.0.0:7");
    let frame = Bytes::from(udp_frame("10.0.0.2:9", "10.0.0.1:7", &[7; 3500]));
    let size = NonZeroU16::new(1400);
    let meta = RxMeta::new(rig.now).with_segment_size(size);
    rig.receive_with(frame.clone(), meta);
    let lens: Vec<Bytes> =
        core::iter::from_fn(|| rig.stack.udp_recv(id).ok().map(|d| d.data.into_bytes())).collect();
    assert_eq!(
        lens.iter().map(Bytes::len).collect::<Vec<_>>(),
        [1400, 1400, 700]
    );
    let whole = frame.as_ptr_range();
    assert!(whole.contains(&lens[0].as_ptr()) && whole.contains(&lens[1].as_ptr()));
    assert!(
        !whole.contains(&lens[2].as_ptr()),
        "a small one pins no buffer"
    );
}

/// What `TooBig` names as the most is taken, to the last octet of the buffer.
#[test]
fn as_much_as_fits_the_buffer_is_taken_at_once() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().send_buffer(7 * (100 + OVERHEAD));
    let id = rig.stack.udp_bind(addr("0.0.0.0:0"), options).unwrap();
    let (to, size) = (Some(addr("10.0.0.2:7")), NonZeroU16::new(100).unwrap());
    let mut send = |len| {
        let data = Bytes::from(vec![7; len]);
        rig.stack.udp_send_segmented(rig.now, id, to, data, size)
    };
    let too_big = SendError::TooBig { len: 701, max: 700 };
    assert_eq!(send(701), Err(too_big));
    assert!(send(700).is_ok());
}

/// One super-segment where the device cuts it, else datagrams that share the buffer.
#[test]
fn segmented_sending() {
    let data = Bytes::from(vec![7; 3500]);
    let size = NonZeroU16::new(1400).unwrap();
    let to = Some(addr("10.0.0.2:7"));
    let mut plain = Rig::new();
    plain.introduce();
    let id = bind(&mut plain, "0.0.0.0:0");
    plain
        .stack
        .udp_send_segmented(plain.now, id, to, data.clone(), size)
        .unwrap();
    let lens: Vec<usize> = plain.drain().iter().map(|f| f.v4().1.len()).collect();
    assert_eq!(lens, [1408, 1408, 708]);

    let config = InterfaceConfig::new(&Capabilities::full(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/24".parse().unwrap());
    let mut offload = Rig::bare(Config::new(Seed::from_number(1)), config);
    offload.introduce();
    let id = bind(&mut offload, "0.0.0.0:0");
    offload
        .stack
        .udp_send_segmented(offload.now, id, to, data, size)
        .unwrap();
    let frame = offload.only();
    let kind = SegmentKind::Udp;
    assert_eq!(frame.meta.segment, Some(Segmentation { kind, size }));
    let partial = PartialChecksum {
        start: 34,
        offset: 6,
    };
    assert_eq!(frame.meta.checksum, Some(partial));
    let pseudo = ipv4::pseudo_sum(OURS, PEER, Protocol::UDP, 3508).partial();
    assert_eq!(frame.v4().1[6..8], pseudo.to_be_bytes());
    assert_eq!(offload.stack.counters().udp_datagrams_sent, 3);
    // A segment that does not fit the MTU is refused.
    let big = NonZeroU16::new(1473).unwrap();
    let refused =
        offload
            .stack
            .udp_send_segmented(offload.now, id, to, Bytes::from(vec![0; 3000]), big);
    assert_eq!(
        refused,
        Err(SendError::TooBig {
            len: 1473,
            max: 1472
        })
    );
}

/// Covers: UDP-2 (a checksum is always made), UDP-10, IP4-16, IP4-17.
#[test]
fn what_is_sent_is_well_formed() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().ttl(3).tos(0xb8);
    for (local, to) in [("10.0.0.1:5", "10.0.0.2:7"), ("[fd00::1]:5", "[fd00::2]:7")] {
        let id = rig.stack.udp_bind(addr(local), options).unwrap();
        rig.stack
            .udp_send_to(rig.now, id, Some(addr(to)), b"odd")
            .unwrap();
        let frame = rig.only();
        let payload = if local.starts_with('[') {
            let (fields, payload) = frame.v6();
            assert_eq!((fields.hop_limit, fields.traffic_class), (3, 0xb8));
            payload
        } else {
            let (fields, payload) = frame.v4();
            assert_eq!((fields.ttl, fields.tos), (3, 0xb8));
            payload
        };
        assert_eq!(payload, udp_bytes(addr(local), addr(to), b"odd"));
    }
}

/// Covers: IP6-33, IP4-17: the receiver is told the traffic class or TOS, and the hop limit or TTL.
#[test]
fn the_traffic_class_is_told() {
    let mut rig = Rig::new();
    let id = {
        let options = UdpOptions::new().dual_stack(true);
        rig.stack.udp_bind(addr("[::]:7"), options).unwrap()
    };
    let datagram = udp_bytes(addr("[fd00::2]:9"), addr("[fd00::1]:7"), b"x");
    let mut fields = ipv6::Fields::new(PEER6, OURS6, Protocol::UDP);
    (fields.traffic_class, fields.hop_limit) = (0xb9, 17);
    let mut packet = vec![0; ipv6::HEADER_LEN];
    fields.emit(datagram.len(), &mut packet);
    packet.extend_from_slice(&datagram);
    rig.receive(eth(OUR_MAC, PEER_MAC, EtherType::IPV6, &packet));
    let got = rig.stack.udp_recv(id).unwrap();
    assert_eq!((got.tos, got.ttl), (0xb9, 17));

    let datagram = udp_bytes(addr("10.0.0.2:9"), addr("10.0.0.1:7"), b"x");
    let mut fields = ipv4::Fields::new(PEER, OURS, Protocol::UDP);
    (fields.tos, fields.ttl) = (0x2e, 18);
    let mut packet = vec![0; ipv4::MIN_HEADER_LEN];
    fields.emit(datagram.len(), &mut packet);
    packet.extend_from_slice(&datagram);
    rig.receive(eth(OUR_MAC, PEER_MAC, EtherType::IPV4, &packet));
    let got = rig.stack.udp_recv(id).unwrap();
    assert_eq!((got.tos, got.ttl), (0x2e, 18));
}

/// Covers: UDP-4 (RFC 1122 §4.1.3.4): no checksum is no wrong one, over IPv4.
#[test]
fn a_datagram_without_a_checksum_is_taken_over_ipv4() {
    let mut rig = Rig::new();
    let id = bind(&mut rig, "0.0.0.0:7");
    let mut frame = udp_frame("10.0.0.2:9", "10.0.0.1:7", b"unchecked");
    let checksum = ethernet::HEADER_LEN + ipv4::MIN_HEADER_LEN + 6;
    frame[checksum..checksum + 2].fill(0);
    rig.receive(frame);
    assert_eq!(rig.stack.udp_recv(id).unwrap().data, b"unchecked");
}

/// Covers: IC6-10 (RFC 4443 §3.1): of a queue that is full nobody is told.
#[test]
fn congestion_is_no_error() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().recv_buffer(300);
    for (local, from) in [("10.0.0.1:7", "10.0.0.2:9"), ("[fd00::1]:7", "[fd00::2]:9")] {
        rig.stack.udp_bind(addr(local), options).unwrap();
        for _ in 0..5 {
            rig.receive(udp_frame(from, local, &[0; 100]));
        }
    }
    assert_eq!(rig.drops(DropReason::UdpBufferFull), 8);
    assert!(rig.drain().is_empty());
}

/// Covers: IP4-47 (RFC 1122 §3.3.7): a member of all-hosts from the start, which is never reported.
#[test]
fn the_all_hosts_group_is_heard_and_not_reported() {
    let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .address("10.0.0.1/24".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), interface);
    let id = bind(&mut rig, "0.0.0.0:7");
    let mut frame = udp_frame("10.0.0.2:9", "224.0.0.1:7", b"all hosts");
    frame[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 1]);
    rig.receive(frame);
    assert_eq!(rig.stack.udp_recv(id).unwrap().data, b"all hosts");
    rig.advance(Duration::from_secs(300));
    let others = rig.drain().into_iter().filter(|f| f.kind != EtherType::ARP);
    assert_eq!(
        others.count(),
        0,
        "nothing but announcements of the address"
    );
}

/// Broadcasts go out to everybody and come in to sockets bound to any address, in the old form too.
///
/// Covers: IP4-10, IP4-11.
#[test]
fn broadcast() {
    let mut rig = Rig::new();
    let options = UdpOptions::new().broadcast(true);
    let id = rig.stack.udp_bind(addr("0.0.0.0:7"), options).unwrap();
    for to in ["255.255.255.255:7", "10.0.0.255:7"] {
        rig.stack
            .udp_send_to(rig.now, id, Some(addr(to)), b"all")
            .unwrap();
        assert_eq!(rig.only().dst, MacAddr::BROADCAST);
        let mut frame = udp_frame("10.0.0.2:9", to, b"hi");
        frame[..6].fill(0xff);
        rig.receive(frame);
        for data in [&b"all"[..], b"hi"] {
            let heard = rig.stack.udp_recv(id).unwrap();
            assert_eq!(
                (heard.to, &heard.data.into_bytes()[..]),
                (addr(to).ip(), data)
            );
        }
    }
    let mut frame = udp_frame("10.0.0.2:9", "10.0.0.0:7", b"hi");
    frame[..6].fill(0xff);
    rig.receive(frame);
    assert_eq!(rig.stack.udp_recv(id).unwrap().to, addr("10.0.0.0:7").ip());
}

/// Covers: ADR-7: a link-local peer is shown with the interface, and needs it to be sent to.
#[test]
fn link_local_peers_have_a_scope() {
    let mut rig = Rig::with(|config| config.address("fe80::1/64".parse().unwrap()));
    let second = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500));
    rig.stack.add_interface(rig.now, second).unwrap();
    let id = bind(&mut rig, "[::]:7");
    rig.receive(udp_frame("[fe80::2]:9", "[fe80::1]:7", b"x"));
    let from = rig.stack.udp_recv(id).unwrap().from;
    assert_eq!(from, addr("[fe80::2%1]:9"));
    assert_eq!(
        rig.stack.udp_send_to(rig.now, id, Some(from), b"back"),
        Ok(4)
    );
    let bare = addr("[fe80::2]:9");
    let refused = rig.stack.udp_send_to(rig.now, id, Some(bare), b"back");
    assert_eq!(
        refused,
        Err(SendError::Route(RouteError::NoScope(bare.ip())))
    );
}

#[test]
fn closing_sends_what_was_queued() {
    let mut rig = Rig::new();
    rig.introduce();
    let id = bind(&mut rig, "0.0.0.0:0");
    rig.stack
        .udp_send_to(rig.now, id, Some(addr("10.0.0.2:7")), b"last words")
        .unwrap();
    rig.stack.udp_close(id);
    assert!(rig.only().packet.ends_with(b"last words"));
}

/// One socket whose user does not read uses the memory up: another that keeps up goes on.
#[test]
fn without_memory_a_socket_that_keeps_up_goes_on() {
    let mut rig = Rig::new();
    rig.stack.memory = Memory::new(20_000);
    let (idle, busy) = (bind(&mut rig, "0.0.0.0:7"), bind(&mut rig, "0.0.0.0:8"));
    for _ in 0..100 {
        rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:7", &[1; 1000]));
    }
    assert!(rig.drops(DropReason::UdpMemory) >= 80);
    assert!(rig.stack.memory().used < 20_000 + 1128 + 1);
    for _ in 0..10 {
        rig.receive(udp_frame("10.0.0.2:9", "10.0.0.1:8", &[2; 1000]));
        assert_eq!(rig.stack.udp_recv(busy).unwrap().data.len(), 1000);
    }
    rig.stack.check_memory();
    while rig.stack.udp_recv(idle).is_ok() {}
    assert_eq!(rig.stack.memory().used, 0);
    // What waits to be sent counts alike, and goes when its socket does.
    let to = Some(addr("10.0.0.99:9"));
    let mut sent = 0;
    while rig.stack.udp_send_to(rig.now, idle, to, &[3; 1000]).is_ok() {
        sent += 1;
    }
    assert!((17..=19).contains(&sent), "{sent} datagrams");
    let other = rig.stack.udp_send_to(rig.now, busy, to, &[3; 1000]);
    assert_eq!(other, Ok(1000), "one always");
    rig.stack.udp_close(idle);
    rig.stack.udp_close(busy);
    rig.stack.check_memory();
    assert_eq!(rig.stack.memory().used, 0);
}

/// A packet-too-big of either family about `quoted`, from the peer's address.
pub(super) fn too_big(v6: bool, mtu: u32, quoted: &[u8]) -> Vec<u8> {
    if v6 {
        let error = Icmpv6::PacketTooBig { mtu, quoted };
        let mut body = vec![0; error.len()];
        error.emit(PEER6, OURS6, &mut body);
        return ip_frame(PEER6.into(), OURS6.into(), Protocol::ICMPV6, &body);
    }
    let error = Message::DestinationUnreachable {
        code: UnreachableCode::FRAGMENTATION_NEEDED,
        next_hop_mtu: u16::try_from(mtu).unwrap(),
        quoted,
    };
    let mut body = vec![0; error.len()];
    error.emit(&mut body);
    ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body)
}

/// Covers: PMT-2, PMT-8, PMT-12 (RFC 8201 §3). A datagram that did not fit: its path is narrow from then on, who
/// asked for errors is told, and the next one as large is refused at its call where nothing is cut.
#[test]
fn a_datagram_that_did_not_fit_is_told() {
    for (v6, to, headers) in [(false, "10.0.0.2:7", 28), (true, "[fd00::2]:7", 48)] {
        for hears in [true, false] {
            let mut rig = Rig::new();
            rig.introduce();
            let options = UdpOptions::new().dont_fragment(DontFragment::On);
            let id = rig.stack.udp_bind(addr(to_any(v6)), options).unwrap();
            if hears {
                rig.stack.udp_connect(id, addr(to)).unwrap();
            }
            let send = |rig: &mut Rig, len| {
                let to = (!hears).then(|| addr(to));
                rig.stack.udp_send_to(rig.now, id, to, &vec![0; len])
            };
            send(&mut rig, 1500 - headers).unwrap();
            let sent = rig.only().packet;
            let max = 1300 - headers;
            rig.receive(too_big(v6, 1300, &sent[..headers + 8]));
            let told = rig.stack.udp_recv(id);
            let expected = if hears {
                RecvError::TooBig { max }
            } else {
                RecvError::WouldBlock
            };
            assert_eq!(told, Err(expected), "{to}");
            let refused = SendError::TooBig { len: max + 1, max };
            assert_eq!(send(&mut rig, max + 1), Err(refused), "{to}");
            assert_eq!(send(&mut rig, max), Ok(max));
            assert_eq!(rig.only().packet.len(), 1300);
            assert_eq!(rig.stack.counters().path_mtu_lowered, 1);
            rig.advance(Duration::from_secs(600));
            assert_eq!(send(&mut rig, 1500 - headers), Ok(1500 - headers));
        }
    }
}

/// Of several sockets of one port the one that sent it is meant, not the one that would take the answer.
#[test]
fn a_path_is_narrow_for_whoever_shares_the_port() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().dont_fragment(DontFragment::On);
    let options = options.reuse_address(true);
    let local = addr("10.0.0.1:9");
    let ids = [(); 2].map(|()| rig.stack.udp_bind(local, options).unwrap());
    let to = Some(addr("10.0.0.2:7"));
    let data = vec![0; 1472];
    rig.stack.udp_send_to(rig.now, ids[0], to, &data).unwrap();
    let sent = rig.only().packet;
    rig.receive(too_big(false, 1300, &sent[..28]));
    assert_eq!(rig.drops(DropReason::IcmpUnmatched), 0);
    let refused = rig.stack.udp_send_to(rig.now, ids[0], to, &data);
    let (len, max) = (1472, 1272);
    assert_eq!(refused, Err(SendError::TooBig { len, max }));
}

/// Covers: PMT-4, PMT-8. What quotes no large datagram that this socket sent to there, or says what cannot be, does nothing.
#[test]
fn r62_a_forged_packet_too_big_does_nothing_to_datagrams() {
    for (v6, to, least) in [(false, "10.0.0.2:7", 552), (true, "[fd00::2]:7", 1280)] {
        let mut rig = Rig::new();
        rig.introduce();
        let (id, headers) = (bind(&mut rig, to_any(v6)), if v6 { 48 } else { 28 });
        let send = |rig: &mut Rig, len| {
            let data = vec![0; len];
            rig.stack.udp_send_to(rig.now, id, Some(addr(to)), &data)
        };
        // As much as every path carries is never refused, and so not remembered.
        send(&mut rig, least - headers).unwrap();
        let mut small = rig.only().packet;
        // What says that it was large was not.
        let udp_len = headers - 8 + 4;
        small[udp_len..udp_len + 2].copy_from_slice(&1480u16.to_be_bytes());
        rig.receive(too_big(v6, 1300, &small));
        assert_eq!(rig.drops(DropReason::IcmpUnmatched), 1, "{to}");
        send(&mut rig, 1500 - headers).unwrap();
        let sent = rig.only().packet;
        for (mtu, what) in [(1500, "no smaller"), (least as u32 - 1, "too small")] {
            let before = rig.drops(DropReason::IcmpTooBig);
            rig.receive(too_big(v6, mtu, &sent));
            assert_eq!(rig.drops(DropReason::IcmpTooBig), before + 1, "{to} {what}");
        }
        let mut elsewhere = sent.clone();
        let last = headers - 9;
        elsewhere[last] ^= 1;
        rig.receive(too_big(v6, 1300, &elsewhere));
        assert_eq!(rig.drops(DropReason::IcmpUnmatched), 2, "{to}");
        assert_eq!(rig.stack.counters().path_mtu_lowered, 0);
        assert_eq!(send(&mut rig, 1500 - headers), Ok(1500 - headers));
    }
}

/// Covers: PMT-2, PMT-8. Echo replies get over a narrow path: IPv4's may be cut by a router, IPv6's are cut once it says so.
#[test]
fn an_echo_reply_gets_over_a_narrow_path() {
    let mut rig = Rig::new();
    rig.introduce();
    let data = vec![1; 1452];
    let ask = Message::EchoRequest {
        id: 7,
        seq: 9,
        data: &data,
    };
    let mut body = vec![0; ask.len()];
    ask.emit(&mut body);
    rig.receive(ip_frame(PEER.into(), OURS.into(), Protocol::ICMP, &body));
    assert_eq!(rig.only().packet[6], 0, "no DF");

    let ask = Icmpv6::EchoRequest {
        id: 7,
        seq: 9,
        data: &data,
    };
    let mut body = vec![0; ask.len()];
    ask.emit(PEER6, OURS6, &mut body);
    let request = || ip_frame(PEER6.into(), OURS6.into(), Protocol::ICMPV6, &body);
    rig.receive(request());
    let sent = rig.only().packet;
    let mut elsewhere = sent.clone();
    elsewhere[39] ^= 1;
    rig.receive(too_big(true, 1300, &elsewhere[..48]));
    assert_eq!(rig.stack.counters().path_mtu_lowered, 0);
    assert_eq!(rig.drops(DropReason::IcmpUnmatched), 1);
    rig.receive(too_big(true, 1300, &sent[..48]));
    let lens = |rig: &mut Rig| -> Vec<_> { rig.drain().iter().map(|f| f.packet.len()).collect() };
    let in_two = |lens: &[usize]| lens.len() == 2 && lens.iter().all(|&len| len <= 1300);
    rig.receive(request());
    assert!(in_two(&lens(&mut rig)));
    // Who asked knows all that such a word quotes: nothing else is cut for it, and it is forgotten like any.
    assert_eq!(
        (
            rig.stack.counters().path_mtu_lowered,
            rig.stack.net.paths.narrow()
        ),
        (0, 0)
    );
    let id = bind(&mut rig, "[::]:0");
    let to = Some(addr("[fd00::2]:7"));
    rig.stack.udp_send_to(rig.now, id, to, &[0; 1452]).unwrap();
    assert_eq!(lens(&mut rig), [1500]);
    rig.advance(Duration::from_secs(600));
    rig.introduce();
    rig.drain();
    rig.receive(request());
    assert_eq!(lens(&mut rig), [1500]);
}

/// Covers: PMT-8. Requests that were forged, or are one's own from a whole prefix: nothing is remembered where others look.
#[test]
fn words_about_echo_replies_fill_no_table() {
    let mut rig = Rig::new();
    for n in 0..40 {
        let mut from = PEER6.octets();
        from[15] = 100 + n;
        let from = Ipv6Addr::from(from);
        let (id, seq, data) = (7, 9, &[1; 1452][..]);
        let ask = Icmpv6::EchoRequest { id, seq, data };
        let mut body = vec![0; ask.len()];
        ask.emit(from, OURS6, &mut body);
        rig.receive(ip_frame(from.into(), OURS6.into(), Protocol::ICMPV6, &body));
        rig.drain();
        let mut reply = [0; 48];
        let mut fields = ipv6::Fields::new(OURS6, from, Protocol::ICMPV6);
        fields.hop_limit = 64;
        fields.emit(1460, &mut reply);
        reply[40] = 129;
        rig.receive(too_big(true, 1300, &reply));
    }
    assert_eq!(
        (
            rig.stack.counters().path_mtu_lowered,
            rig.stack.net.paths.narrow()
        ),
        (0, 0)
    );
}

/// Covers: PMT-6. A table that is full refuses no datagram either: who is told cuts what leaves there next.
#[test]
fn without_room_the_socket_that_is_told_heeds_it() {
    for (v6, to, headers) in [(false, "10.0.0.2:7", 28), (true, "[fd00::2]:7", 48)] {
        let config = Config::new(Seed::from_number(1)).path_mtu_limit(0);
        let mut rig = Rig::bare(config, both_families());
        rig.introduce();
        let id = bind(&mut rig, to_any(v6));
        let lens = |rig: &mut Rig| -> Vec<Vec<u8>> {
            let data = vec![0; 1500 - headers];
            rig.stack
                .udp_send_to(rig.now, id, Some(addr(to)), &data)
                .unwrap();
            rig.drain().into_iter().map(|seen| seen.packet).collect()
        };
        let sent = lens(&mut rig).remove(0);
        rig.receive(too_big(v6, 1300, &sent[..headers]));
        assert_eq!(rig.stack.counters().path_mtu_full, 1);
        let pieces = lens(&mut rig);
        assert!(pieces.len() == 2 && pieces.iter().all(|piece| piece.len() <= 1300));
        rig.advance(Duration::from_secs(600));
        rig.introduce();
        rig.drain();
        assert_eq!(lens(&mut rig).len(), 1);
    }
}

/// Covers: PMT-20. Who probes above what is known hears what a router says of the probe; others what is known.
#[test]
fn a_word_about_what_left_before_is_told_and_teaches_nothing() {
    for (dont, hears) in [(DontFragment::Probe, 1400), (DontFragment::On, 1300)] {
        let mut rig = Rig::new();
        rig.introduce();
        let options = UdpOptions::new().dont_fragment(dont);
        let id = rig.stack.udp_bind(addr("[::]:0"), options).unwrap();
        rig.stack.udp_connect(id, addr("[fd00::2]:7")).unwrap();
        rig.stack
            .udp_send_to(rig.now, id, None, &[0; 1452])
            .unwrap();
        let sent = rig.only().packet;
        // In the other order than hops stand in, too.
        for (mtu, max) in [(1300, 1300 - 48), (1400, hears - 48)] {
            rig.receive(too_big(true, mtu, &sent[..48]));
            assert_eq!(rig.stack.udp_recv(id), Err(RecvError::TooBig { max }));
        }
        assert_eq!(rig.stack.counters().path_mtu_lowered, 1);
    }
}

/// Covers: PMT-3. A router that says no number lowers a path once for each flight, not once for each datagram of it.
#[test]
fn a_flight_that_was_refused_without_a_number_lowers_its_path_once() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().dont_fragment(DontFragment::On);
    let id = rig.stack.udp_bind(addr("0.0.0.0:0"), options).unwrap();
    rig.stack.udp_connect(id, addr("10.0.0.2:7")).unwrap();
    for _ in 0..3 {
        rig.stack
            .udp_send_to(rig.now, id, None, &[0; 1472])
            .unwrap();
    }
    for sent in rig.drain() {
        rig.receive(too_big(false, 0, &sent.packet));
        let max = 1492 - 28;
        assert_eq!(rig.stack.udp_recv(id), Err(RecvError::TooBig { max }));
    }
    assert_eq!(rig.stack.counters().path_mtu_lowered, 1);
}

/// Covers: PMT-8. What left without DF was refused by no router: neither what routers may cut nor what was cut here is a proof.
#[test]
fn r62_what_left_without_df_was_not_refused() {
    use DontFragment::{Auto, Off};
    for (dont, len) in [(Off, 1472), (Auto, 4000)] {
        let mut rig = Rig::new();
        rig.introduce();
        let options = UdpOptions::new().dont_fragment(dont);
        let id = rig.stack.udp_bind(addr("0.0.0.0:0"), options).unwrap();
        let to = Some(addr("10.0.0.2:7"));
        rig.stack
            .udp_send_to(rig.now, id, to, &vec![0; len])
            .unwrap();
        let sent = rig.drain().remove(0).packet;
        assert_eq!(sent[6] & 0x40, 0, "no DF");
        rig.receive(too_big(false, 1300, &sent));
        // A forger sets it.
        let mut forged = sent;
        (forged[6], forged[7]) = (0x40, 0);
        forged[10..12].fill(0);
        let sum = crate::base::checksum::checksum(&forged[..20]);
        forged[10..12].copy_from_slice(&sum.to_be_bytes());
        rig.receive(too_big(false, 1300, &forged));
        assert_eq!(rig.drops(DropReason::IcmpUnmatched), 2, "{dont:?}");
        assert_eq!(rig.stack.counters().path_mtu_lowered, 0);
    }
}

fn to_any(v6: bool) -> &'static str {
    if v6 { "[::]:0" } else { "0.0.0.0:0" }
}

/// Covers: PMT-2, PMT-8. An echo request that did not fit is told as such, and only if it was sent.
#[test]
fn an_echo_request_that_did_not_fit_is_told() {
    for (v6, to, headers) in [(false, IpAddr::V4(PEER), 28), (true, PEER6.into(), 48)] {
        let mut rig = Rig::new();
        rig.introduce();
        let id = rig.stack.ping_open(PingOptions::new()).unwrap();
        let send = |rig: &mut Rig, len| {
            let data = Bytes::from(vec![0; len]);
            rig.stack.ping_send(rig.now, id, to, None, 5, data)
        };
        send(&mut rig, 100).unwrap();
        let mut small = rig.only().packet;
        let at = if v6 { 4 } else { 2 };
        small[at..at + 2].copy_from_slice(&1460u16.to_be_bytes());
        rig.receive(too_big(v6, 1300, &small));
        assert_eq!(rig.drops(DropReason::IcmpUnmatched), 1, "{to}");
        send(&mut rig, 1500 - headers).unwrap();
        let sent = rig.only().packet;
        rig.receive(too_big(v6, 1300, &sent[..headers]));
        let reply = rig.stack.ping_recv(id).unwrap();
        let max = 1300 - headers;
        assert_eq!((reply.seq, reply.outcome), (5, PingOutcome::TooBig { max }));
        // Another was on its way: it is told as well, though nothing is learned.
        rig.receive(too_big(v6, 1300, &sent[..headers]));
        let reply = rig.stack.ping_recv(id).unwrap();
        assert_eq!(reply.outcome, PingOutcome::TooBig { max });
        assert_eq!(send(&mut rig, max + 1), Ok(()));
        let lens: Vec<_> = rig.drain().iter().map(|f| f.packet.len()).collect();
        assert!(lens.len() == 2 && lens.iter().all(|&len| len <= 1300));
        assert_eq!(rig.stack.counters().path_mtu_lowered, 1);
    }
}

/// Covers: IP4-26 (MMS_S and MMS_R are told).
#[test]
fn how_much_goes_in_one_piece_is_told() {
    let mut rig = Rig::new();
    let sizes = |rig: &Rig| [PEER.into(), PEER6.into()].map(|to| rig.stack.mms_s(to, None));
    assert_eq!(sizes(&rig), [Ok(1480), Ok(1460)]);
    rig.stack.set_mtu(rig.now, rig.on, 1280).unwrap();
    assert_eq!(sizes(&rig), [Ok(1260), Ok(1240)]);
    let far = "192.0.2.1".parse().unwrap();
    assert_eq!(rig.stack.mms_s(far, None), Err(RouteError::NoRoute(far)));
    assert_eq!(
        [false, true].map(|v6| rig.stack.mms_r(v6)),
        [65_515, 65_535]
    );
    let small = Config::new(Seed::from_number(1)).reassembly_bytes(10_000);
    assert_eq!(Rig::configured(small).stack.mms_r(false), 10_000);
}
