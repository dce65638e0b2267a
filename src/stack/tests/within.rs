//! What a stack sends to itself: it arrives, no device sees it, and nobody outside can pass for it.

use super::*;
use crate::tcp::TcpOptions;
use std::net::{Shutdown, SocketAddrV6};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A stack in the middle of a run that no device ends.
struct Alone {
    stack: Stack,
    now: Instant,
}

impl Alone {
    fn new() -> Self {
        Self {
            stack: Stack::new(Config::new(Seed::from_number(3))),
            now: Instant::from_millis(1000),
        }
    }

    /// Lets all arrive that is on its way, and what that is answered, at one time.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.stack.handle_timeout(self.now);
            while self.stack.poll_event().is_some() {}
            if self.stack.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("it never ends");
    }

    fn listen(&mut self, at: &str) -> ListenerId {
        let options = ListenOptions::default();
        self.stack.tcp_listen(addr(at), options).unwrap()
    }

    fn connect(&mut self, to: &str) -> TcpId {
        let options = TcpOptions::default();
        let opened = self.stack.tcp_connect(self.now, addr(to), None, options);
        opened.unwrap()
    }

    /// Writes what of `text` is taken, and reads what has come.
    fn pump(&mut self, (from, text): (TcpId, &mut &[u8]), (to, got): (TcpId, &mut Vec<u8>)) {
        if !text.is_empty() {
            let written = self.stack.tcp_write(self.now, from, text).unwrap_or(0);
            *text = &text[written..];
        }
        self.settle();
        while let Ok(chunk) = self.stack.tcp_read_chunk(self.now, to, usize::MAX) {
            if chunk.is_empty() {
                break;
            }
            got.extend_from_slice(&chunk);
        }
    }
}

/// Covers: IP4-8 (loopback addresses are for the host itself).
#[test]
fn datagrams_arrive_from_the_address_that_they_were_sent_to() {
    let rows = [
        ("0.0.0.0:7", "127.0.0.1:7", "127.0.0.1"),
        ("127.0.0.9:7", "127.0.0.9:7", "127.0.0.1"),
        ("0.0.0.0:7", "10.0.0.1:7", "10.0.0.1"),
        ("10.0.0.1:7", "10.0.0.1:7", "10.0.0.1"),
        ("[::]:7", "[::1]:7", "::1"),
        ("[fd00::1]:7", "[fd00::1]:7", "fd00::1"),
    ];
    for (bound, to, from) in rows {
        let mut rig = Rig::new();
        rig.device().room = Some(0);
        let server = rig.stack.udp_bind(addr(bound), UdpOptions::new()).unwrap();
        let any = if to.starts_with('[') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let client = rig.stack.udp_bind(addr(any), UdpOptions::new()).unwrap();
        let text = vec![7; 60_000];
        let sent = rig
            .stack
            .udp_send_to(rig.now, client, Some(addr(to)), &text);
        assert_eq!(sent, Ok(text.len()), "{to}");
        rig.advance(Duration::ZERO);
        let got = rig.stack.udp_recv(server).unwrap();
        assert_eq!(
            (got.from.ip(), got.to),
            (from.parse().unwrap(), addr(to).ip()),
            "{to}"
        );
        assert!(got.data == text[..], "{to}");
        let answer = rig
            .stack
            .udp_send_to(rig.now, server, Some(got.from), b"yes");
        assert_eq!(answer, Ok(3), "{to}");
        rig.advance(Duration::ZERO);
        let got = rig.stack.udp_recv(client).unwrap();
        assert!(
            got.from == addr(to) && got.data == b"yes"[..],
            "{to}: {got:?}"
        );
        rig.device().room = None;
        assert!(rig.drain().is_empty(), "{to}: nothing leaves");
    }
}

/// A stack without any interface has itself.
#[test]
fn a_connection_within_moves_text_both_ways_and_ends() {
    for (at, to) in [("127.0.0.1:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80")] {
        let mut alone = Alone::new();
        let listener = alone.listen(at);
        let client = alone.connect(to);
        alone.settle();
        let server = alone.stack.tcp_accept(alone.now, listener).unwrap();
        let text: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        for (from, to) in [(client, server), (server, client)] {
            let (mut rest, mut got) = (&text[..], Vec::new());
            for _ in 0..10_000 {
                if got.len() == text.len() {
                    break;
                }
                alone.pump((from, &mut rest), (to, &mut got));
                alone.now = alone.now + Duration::from_micros(1);
            }
            assert!(got == text, "{at}: {} of {}", got.len(), text.len());
        }
        let info = alone.stack.tcp_info(client).unwrap();
        assert!(info.snd_mss > 65_000, "{info:?}");
        let counters = alone.stack.counters();
        assert!(counters.rx_frames < 1000, "{} packets", counters.rx_frames);
        assert_eq!((counters.drops.total(), counters.tcp_rto_fired), (0, 0));
        for id in [client, server] {
            alone
                .stack
                .tcp_shutdown(alone.now, id, Shutdown::Write)
                .unwrap();
            alone.settle();
            alone.stack.tcp_close(alone.now, id);
        }
        alone.settle();
        let left = (
            alone.stack.tcp_open_count(),
            alone.stack.tcp_time_wait_count(),
        );
        assert_eq!(left, (0, 1), "{at}");
    }
}

#[test]
fn nobody_at_home_is_told() {
    let mut alone = Alone::new();
    let refused = alone.connect("127.0.0.1:81");
    alone.settle();
    assert!(alone.stack.tcp_failure(refused).unwrap().is_some());
    let id = alone
        .stack
        .udp_bind(addr("127.0.0.1:0"), UdpOptions::new())
        .unwrap();
    alone.stack.udp_connect(id, addr("127.0.0.1:9")).unwrap();
    alone.stack.udp_send_to(alone.now, id, None, b"x").unwrap();
    alone.settle();
    assert_eq!(alone.stack.udp_recv(id), Err(RecvError::Refused));
}

#[test]
fn own_addresses_answer_a_ping() {
    let mut rig = Rig::new();
    for to in ["127.0.0.1", "127.1.2.3", "10.0.0.1", "::1", "fd00::1"] {
        let to: IpAddr = to.parse().unwrap();
        let id = rig.stack.ping_open(PingOptions::new()).unwrap();
        let payload = Bytes::from_static(b"echo");
        rig.stack
            .ping_send(rig.now, id, to, None, 1, payload)
            .unwrap();
        rig.advance(Duration::ZERO);
        let reply = rig.stack.ping_recv(id).unwrap();
        assert_eq!((reply.from, reply.outcome), (to, PingOutcome::Reply));
        rig.stack.ping_close(id);
    }
    assert!(rig.drain().is_empty());
}

/// What comes over a device is from outside, whatever it says.
///
/// Covers: IP4-8, ADR-1.
#[test]
fn nobody_outside_passes_for_us() {
    let mut rig = Rig::new();
    let any = rig
        .stack
        .udp_bind(addr("0.0.0.0:7"), UdpOptions::new())
        .unwrap();
    let six = rig
        .stack
        .udp_bind(addr("[::]:7"), UdpOptions::new())
        .unwrap();
    let rows = [
        ("127.0.0.1:5", "10.0.0.1:7", DropReason::IpSource),
        ("10.0.0.1:5", "10.0.0.1:7", DropReason::IpSource),
        ("10.0.0.2:5", "127.0.0.1:7", DropReason::IpNotOurs),
        ("[::1]:5", "[fd00::1]:7", DropReason::IpSource),
        ("[fd00::1]:5", "[fd00::1]:7", DropReason::IpSource),
        ("[fd00::2]:5", "[::1]:7", DropReason::IpNotOurs),
    ];
    for (from, to, reason) in rows {
        let before = rig.drops(reason);
        rig.receive(udp_frame(from, to, b"x"));
        assert_eq!(rig.drops(reason), before + 1, "{from} to {to}");
    }
    assert!(rig.stack.udp_recv(any).is_err() && rig.stack.udp_recv(six).is_err());
}

/// A call moves so much and says that there is more; what waits for a device does not wait for that.
#[test]
fn a_call_moves_a_bounded_number_of_packets() {
    let mut alone = Alone::new();
    let options = UdpOptions::new()
        .recv_buffer(100 << 20)
        .send_buffer(100 << 20);
    let server = alone.stack.udp_bind(addr("127.0.0.1:7"), options).unwrap();
    for _ in 0..100 {
        let to = Some(addr("127.0.0.1:7"));
        alone
            .stack
            .udp_send_to(alone.now, server, to, &[0; 60_000])
            .unwrap();
    }
    alone.stack.handle_timeout(alone.now);
    assert_eq!(alone.stack.counters().rx_frames, 32);
    assert_eq!(alone.stack.poll_timeout(), Some(alone.now));
    alone.settle();
    assert_eq!(alone.stack.counters().rx_frames, 100);
    assert_eq!(alone.stack.poll_timeout(), None);
}

/// On the loopback only loopback addresses lead to a way, and out of it none.
#[test]
fn a_loopback_source_never_leaves() {
    let mut rig = Rig::with(|config| config.gateway("10.0.0.254".parse().unwrap()));
    let id = rig
        .stack
        .udp_bind(addr("127.0.0.1:7"), UdpOptions::new())
        .unwrap();
    let to = addr("8.8.8.8:7");
    let no_way = RouteError::NoRoute(to.ip());
    let sent = rig.stack.udp_send_to(rig.now, id, Some(to), b"x");
    assert_eq!(sent, Err(SendError::Route(no_way)));
    let options = TcpOptions::default();
    let from = Some(addr("127.0.0.1:0"));
    let opened = rig.stack.tcp_connect(rig.now, to, from, options);
    assert!(opened.is_err(), "{opened:?}");
    assert!(rig.drain().is_empty());
}

/// What came of a change of routes, of the MTU or of a gateway is another way for others: within there is one, as long as the
/// address is ours.
#[test]
fn a_change_of_routes_leaves_connections_within_alone() {
    for at in ["127.0.0.1:80", "10.0.0.1:80", "[::1]:80", "[fd00::1]:80"] {
        let mut rig = Rig::new();
        let listener = rig.stack.tcp_listen(addr(at), ListenOptions::default());
        let opened = rig
            .stack
            .tcp_connect(rig.now, addr(at), None, TcpOptions::default());
        let (listener, client) = (listener.unwrap(), opened.unwrap());
        rig.advance(Duration::ZERO);
        let server = rig.stack.tcp_accept(rig.now, listener).unwrap();
        let to = "192.0.2.0/24".parse().unwrap();
        let added = rig.stack.add_route(rig.now, rig.on, to, Some(PEER.into()));
        added.unwrap();
        rig.stack.tcp_write(rig.now, client, b"text").unwrap();
        rig.advance(Duration::ZERO);
        let read = rig.stack.tcp_read_chunk(rig.now, server, 100);
        assert_eq!(read.unwrap(), &b"text"[..], "{at}");
        assert_eq!(rig.drops(DropReason::NoRoute), 0, "{at}");
    }
}

/// Covers: ADR-7. A link-local address of ours is reached from within as from its link.
#[test]
fn a_link_local_address_is_reached_from_within() {
    let own = "[fe80::7%1]";
    let mut rig = Rig::with(|config| config.address("fe80::7/64".parse().unwrap()));
    let at = |port: u16| {
        let ip: Ipv6Addr = "fe80::7".parse().unwrap();
        SocketAddr::V6(SocketAddrV6::new(ip, port, 0, rig.on.scope()))
    };
    let (tcp, udp, client) = (at(80), at(7), at(0));
    let listener = rig.stack.tcp_listen(tcp, ListenOptions::default());
    let opened = rig
        .stack
        .tcp_connect(rig.now, tcp, None, TcpOptions::default());
    let (listener, opened) = (listener.unwrap(), opened.unwrap());
    rig.advance(Duration::ZERO);
    assert!(rig.stack.tcp_accept(rig.now, listener).is_ok(), "{own}");
    assert!(rig.stack.tcp_failure(opened).unwrap().is_none());
    let server = rig.stack.udp_bind(udp, UdpOptions::new()).unwrap();
    for from in [client, addr("[::]:0")] {
        let socket = rig.stack.udp_bind(from, UdpOptions::new()).unwrap();
        for connected in [false, true] {
            if connected {
                rig.stack.udp_connect(socket, udp).unwrap();
            }
            let to = (!connected).then_some(udp);
            rig.stack
                .udp_send_to(rig.now, socket, to, b"question")
                .unwrap();
            rig.advance(Duration::ZERO);
            let got = rig.stack.udp_recv(server).unwrap();
            let answered = rig
                .stack
                .udp_send_to(rig.now, server, Some(got.from), b"answer");
            answered.unwrap();
            rig.advance(Duration::ZERO);
            let got = rig.stack.udp_recv(socket).unwrap();
            assert_eq!(got.data, b"answer"[..], "{from} {connected}");
        }
    }
    assert!(rig.drain().is_empty(), "nothing leaves");
}

/// The interface to ourselves is as it is: nobody adds to it, or takes away.
#[test]
fn the_loopback_is_not_changed() {
    use crate::stack::{AddressError, AddressOptions, GroupError, LinkError, RouteChangeError};
    let mut rig = Rig::new();
    let (on, now) = (InterfaceId::LOOPBACK, rig.now);
    let own: IpAddr = "127.0.0.1".parse().unwrap();
    let net = "10.9.0.1/24".parse().unwrap();
    let stack = &mut rig.stack;
    let refused = Err(AddressError::Interface(on));
    let options = AddressOptions::default();
    assert_eq!(stack.add_address(now, on, net, options), refused);
    assert_eq!(stack.remove_address(now, on, own), refused);
    assert_eq!(stack.set_lifetimes(now, on, own, None, None), refused);
    let refused = Err(RouteChangeError::Interface(on));
    assert_eq!(stack.add_route(now, on, net, None), refused);
    assert_eq!(stack.remove_route(now, on, net, None), refused);
    assert_eq!(stack.add_gateway(now, on, PEER.into()), refused);
    assert_eq!(
        stack.set_link(now, on, false),
        Err(LinkError::Interface(on))
    );
    assert_eq!(stack.set_mtu(now, on, 1500), Err(LinkError::Interface(on)));
    let group: IpAddr = "239.0.0.1".parse().unwrap();
    let socket = stack
        .udp_bind(addr("0.0.0.0:7"), UdpOptions::new())
        .unwrap();
    let joined = stack.udp_join(now, socket, group, Some(on), None);
    assert_eq!(joined, Err(GroupError::Interface(group)));
}

/// RFC 9293 §3.5, Figure 7: one that opens to its own endpoint opens from both sides at once, and is both ends.
///
/// Covers: TCP-11.
#[test]
fn a_connection_to_its_own_endpoint() {
    let mut alone = Alone::new();
    let own = addr("127.0.0.1:5000");
    let opened = alone
        .stack
        .tcp_connect(alone.now, own, Some(own), TcpOptions::default());
    let id = opened.unwrap();
    alone.settle();
    let text: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    let (mut rest, mut got) = (&text[..], Vec::new());
    for _ in 0..1000 {
        alone.pump((id, &mut rest), (id, &mut got));
        alone.now = alone.now + Duration::from_micros(1);
    }
    assert!(got == text, "{} of {}", got.len(), text.len());
    alone
        .stack
        .tcp_shutdown(alone.now, id, Shutdown::Write)
        .unwrap();
    alone.settle();
    alone.stack.tcp_close(alone.now, id);
    alone.settle();
    let left = (
        alone.stack.tcp_open_count(),
        alone.stack.tcp_time_wait_count(),
    );
    assert_eq!(left, (0, 1));
    let before = alone.stack.counters().rx_frames;
    alone.settle();
    assert_eq!(alone.stack.counters().rx_frames, before, "it is silent");
}

/// docs/limits.md: who floods himself fills his own receive buffer, and what finds no room there is counted.
#[test]
fn a_flood_to_a_socket_that_nobody_reads() {
    let mut alone = Alone::new();
    let own = addr("127.0.0.1:7");
    let id = alone.stack.udp_bind(own, UdpOptions::new()).unwrap();
    for _ in 0..10_000 {
        if alone
            .stack
            .udp_send_to(alone.now, id, Some(own), &[0; 1000])
            .is_err()
        {
            alone.settle();
        }
    }
    alone.settle();
    let counters = alone.stack.counters();
    let full = counters.drops.get(DropReason::UdpBufferFull);
    assert_eq!(counters.drops.total(), full, "nothing else is dropped");
    assert_eq!(
        counters.udp_datagrams_received + full,
        counters.udp_datagrams_sent
    );
    assert!(counters.udp_datagrams_received <= 212_992 / 1128);
}
