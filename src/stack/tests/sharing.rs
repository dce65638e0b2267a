//! Ports that several sockets have, sockets of one interface, and who may send to all.

use super::*;
use std::collections::BTreeSet;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn shared() -> UdpOptions {
    UdpOptions::new().reuse_port(true)
}

/// Leave to send to all is asked for; whoever hears of them needs none.
#[test]
fn sending_to_all_takes_leave() {
    let mut rig = Rig::new();
    rig.introduce();
    let any = addr("0.0.0.0:7");
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    for may in [false, true, false] {
        rig.stack.udp_set_broadcast(id, may).unwrap();
        assert_eq!(rig.stack.udp_broadcast(id), Ok(may));
        for to in ["255.255.255.255:9", "10.0.0.255:9", "10.0.0.0:9"] {
            let to = addr(to);
            let sent = rig.stack.udp_send_to(rig.now, id, Some(to), b"x");
            let refused = Err(SendError::Broadcast(to.ip()));
            assert_eq!(sent, if may { Ok(1) } else { refused });
            assert_eq!(rig.drain().len(), usize::from(may));
            let connected = rig.stack.udp_connect(id, to);
            let refused = Err(ConnectUdpError::Broadcast(to));
            assert_eq!(connected, if may { Ok(()) } else { refused });
        }
        // What is one host's, or a group's, is nobody's leave.
        for to in ["10.0.0.2:9", "224.0.0.251:9"] {
            let sent = rig.stack.udp_send_to(rig.now, id, Some(addr(to)), b"x");
            assert_eq!(sent, Ok(1));
        }
        rig.drain();
    }
    assert_eq!(
        std::io::Error::from(SendError::Broadcast(PEER.into())).kind(),
        std::io::ErrorKind::PermissionDenied
    );
}

/// Who takes a datagram from this port of the peer's.
fn taker(rig: &mut Rig, ids: &[UdpId], port: u16) -> Vec<usize> {
    rig.receive(udp_frame(&format!("10.0.0.2:{port}"), "10.0.0.1:7", b"x"));
    let heard = |(at, &id): (usize, &UdpId)| rig.stack.udp_recv(id).is_ok().then_some(at);
    ids.iter().enumerate().filter_map(heard).collect()
}

/// Each flow is one socket's, and about as many are each's; nobody tells which.
#[test]
fn a_port_is_shared_by_flows() {
    let mut of_keys = BTreeSet::new();
    for seed in 1..4 {
        let mut rig = Rig::configured(Config::new(Seed::from_number(seed)));
        rig.introduce();
        let any = addr("0.0.0.0:7");
        let bind = |rig: &mut Rig| rig.stack.udp_bind(any, shared()).unwrap();
        let mut ids: Vec<_> = (0..8).map(|_| bind(&mut rig)).collect();
        let first: Vec<_> = (1000..1800)
            .map(|port| taker(&mut rig, &ids, port))
            .collect();
        assert!(first.iter().all(|takers| takers.len() == 1), "one each");
        for at in 0..8 {
            let count = first.iter().filter(|takers| takers[0] == at).count();
            assert!((60..140).contains(&count), "{count} of 800 are one of 8's");
        }
        let again: Vec<_> = (1000..1800)
            .map(|port| taker(&mut rig, &ids, port))
            .collect();
        assert_eq!(first, again);
        of_keys.insert(first);
        // One that is connected takes its flow and no other; when one goes the others have all.
        rig.stack.udp_connect(ids[3], addr("10.0.0.2:500")).unwrap();
        assert_eq!(taker(&mut rig, &ids, 500), [3]);
        rig.stack.udp_close(ids.remove(5));
        rig.stack.udp_close(ids.remove(3));
        for port in 1000..1800 {
            assert_eq!(taker(&mut rig, &ids, port).len(), 1);
        }
    }
    assert_eq!(of_keys.len(), 3, "each stack has its own key");
}

/// Those that share agree to the same, and nobody else has the port.
#[test]
fn a_port_is_shared_with_those_who_agree() {
    let mut rig = Rig::new();
    let both = shared().reuse_address(true);
    let address = UdpOptions::new().reuse_address(true);
    #[rustfmt::skip]
    let rows = [
        (shared(), shared(), true), (shared(), both, true), (address, both, true),
        (shared(), address, false), (shared(), UdpOptions::new(), false), (UdpOptions::new(), shared(), false),
    ];
    for (at, (first, second, fits)) in rows.into_iter().enumerate() {
        let any = SocketAddr::new([0; 4].into(), 100 + at as u16);
        rig.stack.udp_bind(any, first).unwrap();
        let bound = rig.stack.udp_bind(any, second);
        assert_eq!(bound.is_ok(), fits, "row {at}: {bound:?}");
    }
    let any = addr("0.0.0.0:9");
    for _ in 0..256 {
        rig.stack.udp_bind(any, shared()).unwrap();
    }
    assert_eq!(
        rig.stack.udp_bind(any, shared()),
        Err(BindError::Shared(any))
    );
}

/// A socket of one interface hears and sends there alone; those of two have one port.
#[test]
fn a_socket_of_one_interface() {
    let now = Instant::from_millis(1000);
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let on = ["10.0.0.1/24", "10.1.0.1/24"].map(|own| {
        let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500));
        let config = config.address(own.parse().unwrap());
        let config = config.gateway(own.replace("1/24", "254").parse().unwrap());
        stack.add_interface(now, config).unwrap()
    });
    let any = addr("0.0.0.0:7");
    let of = |on| UdpOptions::new().interface(Some(on)).broadcast(true);
    let ids = on.map(|on| stack.udp_bind(any, of(on)).unwrap());
    let plain = stack.udp_bind(any, UdpOptions::new());
    assert_eq!(plain, Err(BindError::InUse(any)));
    assert_eq!(stack.udp_bind(any, of(on[0])), Err(BindError::InUse(any)));
    let none = InterfaceId::from_scope(9).unwrap();
    let bound = stack.udp_bind(addr("0.0.0.0:8"), of(none));
    assert_eq!(bound, Err(BindError::Interface(none)));
    for (at, to) in [
        (0, "10.0.0.1:7"),
        (1, "10.1.0.1:7"),
        (1, "255.255.255.255:7"),
        (0, "10.0.0.255:7"),
    ] {
        let from = addr("192.0.2.9:9");
        let datagram = udp_bytes(from, addr(to), b"x");
        let packet = ip(from.ip(), addr(to).ip(), Protocol::UDP, &datagram);
        let frame = RxFrame::new(packet.into(), RxMeta::new(now));
        stack.handle_frame(now, on[at], frame);
        assert_eq!(stack.udp_recv(ids[at]).unwrap().on, on[at]);
        assert_eq!(stack.udp_recv(ids[1 - at]), Err(RecvError::WouldBlock));
    }
    // The default route of the other is nearer at hand: it is not taken.
    for to in ["192.0.2.9:9", "255.255.255.255:9"] {
        stack
            .udp_send_to(now, ids[1], Some(addr(to)), b"x")
            .unwrap();
        let sent = on.map(|on| {
            let mut device = Recorder::default();
            stack.poll_transmit(now, on, &mut device).unwrap();
            device.frames.len()
        });
        assert_eq!(sent, [0, 1], "{to}");
    }
    let info = SendInfo::new().interface(on[0]);
    let to = addr("192.0.2.9:9");
    let sent = stack.udp_send_with(now, ids[1], Some(to), Bytes::new(), None, &info);
    let error = SendError::Interface {
        on: on[1],
        to: to.ip(),
    };
    assert_eq!(sent, Err(error));
}

/// Who is connected takes its flow, and shuts nobody else out.
#[test]
fn a_connected_socket_leaves_the_others_what_is_theirs() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().reuse_address(true);
    let any = addr("0.0.0.0:7");
    let mut ids = [0, 1].map(|_| rig.stack.udp_bind(any, options).unwrap());
    assert_eq!(taker(&mut rig, &ids, 500), [1], "the newest");
    rig.stack.udp_connect(ids[1], addr("10.0.0.2:500")).unwrap();
    assert_eq!(taker(&mut rig, &ids, 500), [1]);
    assert_eq!(taker(&mut rig, &ids, 501), [0]);
    rig.stack.udp_connect(ids[1], addr("10.0.0.2:501")).unwrap();
    assert_eq!(taker(&mut rig, &ids, 500), [0]);
    assert_eq!(taker(&mut rig, &ids, 501), [1]);
    rig.stack.udp_connect(ids[0], addr("10.0.0.2:500")).unwrap();
    assert_eq!(taker(&mut rig, &ids, 502), [0; 0], "nobody's");
    rig.stack.udp_close(ids[1]);
    ids[1] = rig.stack.udp_bind(any, options).unwrap();
    assert_eq!(taker(&mut rig, &ids, 502), [1]);
    assert_eq!(taker(&mut rig, &ids, 500), [0]);
}

/// The same of those that share by flows.
#[test]
fn flows_are_shared_by_those_that_are_not_connected() {
    let mut rig = Rig::new();
    rig.introduce();
    let any = addr("0.0.0.0:7");
    let ids: Vec<_> = (0..8)
        .map(|_| rig.stack.udp_bind(any, shared()).unwrap())
        .collect();
    rig.stack.udp_connect(ids[3], addr("10.0.0.2:500")).unwrap();
    for port in 1000..1800 {
        let takers = taker(&mut rig, &ids, port);
        assert!(takers.len() == 1 && takers != [3], "{port}: {takers:?}");
    }
    assert_eq!(taker(&mut rig, &ids, 500), [3]);
}

/// What is broadcast is for this host as well: all hear it that are bound to its port, who sent it too.
#[test]
fn this_host_hears_its_own_broadcasts() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().reuse_address(true).broadcast(true);
    let bind = |rig: &mut Rig, local: &str| rig.stack.udp_bind(addr(local), options).unwrap();
    let ids = [bind(&mut rig, "0.0.0.0:7"), bind(&mut rig, "0.0.0.0:7")];
    let other = bind(&mut rig, "0.0.0.0:8");
    for to in ["10.0.0.255:7", "255.255.255.255:7"] {
        let to = addr(to);
        rig.stack
            .udp_send_to(rig.now, ids[0], Some(to), b"who is there")
            .unwrap();
        assert_eq!(rig.drain().len(), 1, "and the link does");
        rig.advance(Duration::ZERO);
        for id in ids {
            let heard = rig.stack.udp_recv(id).unwrap();
            assert_eq!((heard.from, heard.to), (addr("10.0.0.1:7"), to.ip()));
            assert!(!heard.unicast);
            assert_eq!(rig.stack.udp_recv(id), Err(RecvError::WouldBlock));
        }
    }
    assert_eq!(rig.stack.udp_recv(other), Err(RecvError::WouldBlock));
}

/// Datagrams that wait for a device which cuts them, and then have to leave by one that does not, leave one by one.
#[test]
fn a_super_segment_whose_way_is_another_now_is_cut() {
    let now = Instant::from_millis(1000);
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let mut cutting = Capabilities::plain(Medium::Ip, 1500);
    (cutting.checksum, cutting.uso) = (true, true);
    let plain = Capabilities::plain(Medium::Ip, 1500);
    let on = [(cutting, "10.0.0.1/24"), (plain, "10.1.0.1/24")].map(|(device, own)| {
        let config = InterfaceConfig::new(&device).address(own.parse().unwrap());
        stack.add_interface(now, config).unwrap()
    });
    let far = "192.0.2.0/24".parse().unwrap();
    stack.add_route(now, on[0], far, None).unwrap();
    let id = stack.udp_bind(addr("0.0.0.0:7"), UdpOptions::new());
    let (id, to) = (id.unwrap(), Some(addr("192.0.2.9:9")));
    let data = Bytes::from(vec![1; 250]);
    let size = core::num::NonZeroU16::new(100).unwrap();
    stack.udp_send_segmented(now, id, to, data, size).unwrap();
    stack.remove_route(now, on[0], far, None).unwrap();
    stack.add_route(now, on[1], far, None).unwrap();
    let sent = on.map(|on| {
        let mut device = Recorder::default();
        stack.poll_transmit(now, on, &mut device).unwrap();
        let whole = device.frames.iter().all(|(_, meta)| meta.segment.is_none());
        assert!(whole, "a device that cuts nothing");
        let lengths = device.frames.iter().map(|(frame, _)| frame.len() - 28);
        lengths.collect::<Vec<_>>()
    });
    assert_eq!(sent, [vec![], vec![100, 100, 50]]);
    stack.check_memory();
}
