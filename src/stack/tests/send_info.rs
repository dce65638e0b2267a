//! Datagrams and echo requests that leave otherwise than their socket has it, and what is told of those that come.

use super::*;
use core::num::NonZeroU16;
use ipv4::icmp::Message;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn bind(stack: &mut Stack, local: &str) -> UdpId {
    stack.udp_bind(addr(local), UdpOptions::new()).unwrap()
}

/// Who it is from, its hops and its TOS.
fn head(seen: &Seen) -> (IpAddr, u8, u8) {
    if seen.kind == EtherType::IPV4 {
        let (fields, _) = seen.v4();
        (fields.src.into(), fields.ttl, fields.tos)
    } else {
        let (fields, _) = seen.v6();
        (fields.src.into(), fields.hop_limit, fields.traffic_class)
    }
}

fn ip_of(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn with_a_second_address() -> Rig {
    let mut rig = Rig::with(|config| {
        let config = config.address("10.0.0.5/24".parse().unwrap());
        config.address("fd00::5/64".parse().unwrap())
    });
    rig.introduce();
    rig
}

fn send(rig: &mut Rig, id: UdpId, to: &str, info: &SendInfo) -> Result<(), SendError> {
    let data = Bytes::from_static(b"x");
    let to = Some(addr(to));
    rig.stack.udp_send_with(rig.now, id, to, data, None, info)
}

/// Covers: UDP-9, UDP-10: a socket that is bound to no address answers from the one that it was asked at.
#[test]
fn an_answer_leaves_from_where_it_was_asked() {
    let mut rig = with_a_second_address();
    for (any, to, from) in [
        ("0.0.0.0:7", "10.0.0.5:7", "10.0.0.2:9000"),
        ("[::]:7", "[fd00::5]:7", "[fd00::2]:9000"),
    ] {
        let id = bind(&mut rig.stack, any);
        rig.receive(udp_frame(from, to, b"asked"));
        let asked = rig.stack.udp_recv(id).unwrap();
        assert_eq!((asked.to, asked.on), (addr(to).ip(), rig.on));
        assert!(asked.unicast);
        send(&mut rig, id, from, &asked.answer()).unwrap();
        assert_eq!(head(&rig.only()).0, addr(to).ip());
        // What is not asked for is as it was.
        rig.stack
            .udp_send_to(rig.now, id, Some(addr(from)), b"x")
            .unwrap();
        assert_ne!(head(&rig.only()).0, addr(to).ip(), "the first that we have");
    }
}

/// What came to all is answered from an address of ours.
#[test]
fn what_came_to_all_is_answered_from_one() {
    let mut rig = with_a_second_address();
    let id = bind(&mut rig.stack, "0.0.0.0:7");
    let to = addr("10.0.0.255:7");
    let datagram = udp_bytes(addr("10.0.0.2:9000"), to, b"x");
    let packet = ip(PEER.into(), to.ip(), Protocol::UDP, &datagram);
    rig.receive(eth(MacAddr::BROADCAST, PEER_MAC, EtherType::IPV4, &packet));
    let asked = rig.stack.udp_recv(id).unwrap();
    assert_eq!((asked.to, asked.unicast), (to.ip(), false));
    send(&mut rig, id, "10.0.0.2:9000", &asked.answer()).unwrap();
    assert_eq!(head(&rig.only()).0, IpAddr::V4(OURS));
}

/// Covers: UDP-10, IP4-16, IP4-17, IP6-33: hops and TOS of one datagram, to a group too; the next is as the socket has it.
#[test]
fn hops_and_tos_of_one_datagram() {
    let mut rig = Rig::new();
    rig.introduce();
    let options = UdpOptions::new().ttl(9).tos(8);
    for (any, to) in [
        ("0.0.0.0:7", "10.0.0.2:9"),
        ("[::]:7", "[fd00::2]:9"),
        ("0.0.0.0:8", "224.0.0.251:9"),
    ] {
        let id = rig.stack.udp_bind(addr(any), options).unwrap();
        let usual = if addr(to).ip().is_multicast() { 1 } else { 9 };
        let info = SendInfo::new().ttl(33).tos(0xb9);
        send(&mut rig, id, to, &info).unwrap();
        send(&mut rig, id, to, &SendInfo::new()).unwrap();
        send(&mut rig, id, to, &SendInfo::new().ttl(0)).unwrap();
        let sent: Vec<_> = rig.drain().iter().map(head).map(|h| (h.1, h.2)).collect();
        assert_eq!(sent, [(33, 0xb9), (usual, 8), (1, 8)], "{to}");
    }
}

/// Several at once, and those that outlive their socket, leave so as well.
#[test]
fn those_of_a_super_segment_and_of_a_closed_socket_leave_so_too() {
    let mut rig = with_a_second_address();
    let id = bind(&mut rig.stack, "0.0.0.0:7");
    let info = SendInfo::new().source(ip_of("10.0.0.5")).ttl(5);
    let (to, size) = (Some(addr("10.0.0.2:9")), NonZeroU16::new(100));
    let data = Bytes::from(vec![7; 250]);
    let sent = rig.stack.udp_send_with(rig.now, id, to, data, size, &info);
    assert_eq!(sent, Ok(()));
    rig.stack.udp_close(id);
    let sent = rig.drain();
    let heads: Vec<_> = sent.iter().map(head).map(|h| (h.0, h.1)).collect();
    assert_eq!(heads, [(ip_of("10.0.0.5"), 5); 3]);
    assert_eq!(sent[2].packet.len(), 20 + 8 + 50);
}

/// Each is refused by name, and nothing is queued.
#[test]
fn what_cannot_leave_so_is_refused() {
    let mut rig = with_a_second_address();
    let id = bind(&mut rig.stack, "0.0.0.0:7");
    let to = "10.0.0.2:9";
    for source in ["10.0.0.9", "fd00::5", "224.0.0.1", "10.0.0.255"] {
        let source = ip_of(source);
        let sent = send(&mut rig, id, to, &SendInfo::new().source(source));
        assert_eq!(sent, Err(RouteError::Source(source).into()));
    }
    let loopback = SendInfo::new().source(ip_of("127.0.0.1"));
    let error = RouteError::NoRoute(PEER.into());
    assert_eq!(send(&mut rig, id, to, &loopback), Err(error.into()));
    let on = InterfaceId::from_scope(77).unwrap();
    let sent = send(&mut rig, id, to, &SendInfo::new().interface(on));
    let error = SendError::Interface {
        on,
        to: PEER.into(),
    };
    assert_eq!(sent, Err(error));
    assert_eq!(rig.drain().len(), 0);
    // Of no address is as if none were given.
    let any = SendInfo::new().source(ip_of("0.0.0.0"));
    assert_eq!(send(&mut rig, id, to, &any), Ok(()));
    assert_eq!(head(&rig.only()).0, IpAddr::V4(OURS));
}

/// Covers: IP4-45: a source brings the interface that has it with it, and goes with no other.
#[test]
fn a_source_leaves_by_its_own_interface() {
    let now = Instant::from_millis(1000);
    for foreign in [false, true] {
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let base = || InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500));
        let on = ["10.0.0.1/24", "10.1.0.1/24"].map(|own| {
            let config = base().address(own.parse().unwrap());
            let config = config.gateway(own.replace("1/24", "254").parse().unwrap());
            let config = config.accept_foreign(foreign);
            stack.add_interface(now, config).unwrap()
        });
        let id = bind(&mut stack, "0.0.0.0:7");
        let far = Some(addr("192.0.2.1:9"));
        let mut try_with = |info: SendInfo| {
            let data = Bytes::from_static(b"x");
            let queued = stack.udp_send_with(now, id, far, data, None, &info);
            let frames = on.map(|on| {
                let mut device = Recorder::default();
                stack.poll_transmit(now, on, &mut device).unwrap();
                let sources = device
                    .frames
                    .iter()
                    .map(|(frame, _)| frame[12..16].to_vec());
                sources.collect::<Vec<_>>()
            });
            queued.map(|()| frames)
        };
        let one = SendInfo::new().source(ip_of("10.1.0.1"));
        let by_two = [vec![], vec![vec![10, 1, 0, 1]]];
        assert_eq!(try_with(one), Ok(by_two.clone()));
        assert_eq!(try_with(one.interface(on[1])), Ok(by_two.clone()));
        assert_eq!(try_with(SendInfo::new().interface(on[1])), Ok(by_two));
        // By another interface, or as nobody: only where packets for anybody are taken.
        for (info, source) in [
            (one.interface(on[0]), [10, 1, 0, 1]),
            (SendInfo::new().source(ip_of("192.0.2.77")), [192, 0, 2, 77]),
        ] {
            let refused = Err(RouteError::Source(source.into()).into());
            let by_one = Ok([vec![source.to_vec()], vec![]]);
            let expected = if foreign { by_one } else { refused };
            assert_eq!(try_with(info), expected, "{info:?}");
        }
    }
}

/// Nothing leaves from an address that was taken away while it waited.
#[test]
fn a_source_that_is_taken_away_sends_nothing_more() {
    let mut rig = with_a_second_address();
    let id = bind(&mut rig.stack, "0.0.0.0:7");
    let (own, to) = (ip_of("10.0.0.5"), "10.0.0.2:9");
    send(&mut rig, id, to, &SendInfo::new().source(own)).unwrap();
    send(&mut rig, id, to, &SendInfo::new()).unwrap();
    rig.stack.remove_address(rig.now, rig.on, own).unwrap();
    let udp = |seen: &Seen| seen.kind == EtherType::IPV4 && seen.packet[9] == 17;
    let sent: Vec<_> = rig.drain().into_iter().filter(udp).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(head(&sent[0]).0, IpAddr::V4(OURS));
    assert_eq!(rig.drops(DropReason::NoRoute), 1);
    assert_eq!(rig.stack.udp_recv(id), Err(RecvError::HostUnreachable));
}

/// Within the host, too: from one of its addresses to another.
#[test]
fn within_the_host_a_source_is_any_of_ours() {
    let mut rig = with_a_second_address();
    let id = bind(&mut rig.stack, "0.0.0.0:7");
    for source in ["10.0.0.5", "127.0.0.3", "10.0.0.1"] {
        let info = SendInfo::new().source(ip_of(source)).ttl(3).tos(4);
        send(&mut rig, id, "127.0.0.1:7", &info).unwrap();
        assert_eq!(rig.drain().len(), 0);
        let got = rig.stack.udp_recv(id).unwrap();
        assert_eq!(got.from.ip(), ip_of(source));
        assert_eq!((got.on, got.ttl, got.tos), (InterfaceId::LOOPBACK, 3, 4));
    }
}

/// Covers: IC4-15: a request with few hops is answered by who counts the last of them: the routes to a host are traced so.
#[test]
fn echo_requests_leave_as_they_are_asked() {
    let mut rig = with_a_second_address();
    let id = rig.stack.ping_open(PingOptions::new().ttl(9)).unwrap();
    let info = SendInfo::new().tos(0x20);
    let ask = |rig: &mut Rig, seq, info: &SendInfo| {
        let data = Bytes::from_static(b"data");
        rig.stack
            .ping_send_with(rig.now, id, PEER.into(), seq, data, info)
    };
    for hops in 1..4 {
        let source = info.source(ip_of("10.0.0.5"));
        ask(&mut rig, u16::from(hops), &source.ttl(hops)).unwrap();
        let sent = rig.only();
        assert_eq!(head(&sent), (ip_of("10.0.0.5"), hops, 0x20));
        let error = Message::TimeExceeded {
            code: ipv4::icmp::TimeExceededCode::TRANSIT,
            quoted: &sent.packet,
        };
        let mut body = vec![0; error.len()];
        error.emit(&mut body);
        let router = IpAddr::from([10, 0, 0, 100 + hops]);
        rig.receive(ip_frame(router, ip_of("10.0.0.5"), Protocol::ICMP, &body));
        let got = rig.stack.ping_recv(id).unwrap();
        assert_eq!((got.from, got.seq), (router, u16::from(hops)));
        assert_eq!(got.outcome, PingOutcome::TimeExceeded);
    }
    ask(&mut rig, 9, &SendInfo::new()).unwrap();
    assert_eq!(head(&rig.only()), (OURS.into(), 9, 0));
    let source = ip_of("10.0.0.77");
    let refused = ask(&mut rig, 9, &info.source(source));
    assert_eq!(refused, Err(RouteError::Source(source).into()));
    let on = InterfaceId::from_scope(9).unwrap();
    let refused = ask(&mut rig, 9, &info.interface(on));
    assert_eq!(
        refused,
        Err(SendError::Interface {
            on,
            to: PEER.into()
        })
    );
}
