//! A host with two interfaces: the strong model (RFC 1122 §3.3.4.2), in and out; and gateways that die.

use super::*;
use crate::tcp::{Flags, State, TcpFailure, TcpOptions};

/// 10.0.0.1/24 on A with the default route, 10.1.0.1/24 on B; media without link addresses.
struct Twin {
    stack: Stack,
    on: [InterfaceId; 2],
}

const NOW: Instant = Instant::from_millis(1000);

impl Twin {
    fn new() -> Self {
        Self::with(|b| b)
    }

    /// The same with more of B.
    fn with(change: impl Fn(InterfaceConfig) -> InterfaceConfig) -> Self {
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let base = || InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500));
        let a = base()
            .address("10.0.0.1/24".parse().unwrap())
            .gateway("10.0.0.254".parse().unwrap());
        let b = base().address("10.1.0.1/24".parse().unwrap()).route(
            "10.9.0.0/16".parse().unwrap(),
            Some("10.1.0.254".parse().unwrap()),
        );
        let on = [a, change(b)].map(|config| stack.add_interface(NOW, config).unwrap());
        Self { stack, on }
    }

    /// The same with addresses of IPv6: B leads to 2001:db8:9::/48, of which A has one.
    fn with_v6() -> Self {
        let mut stack = Stack::new(Config::new(Seed::from_number(1)));
        let base = || InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500)).dad_transmits(0);
        let cidr = |text: &str| text.parse().unwrap();
        let a = base()
            .address(cidr("10.0.0.1/24"))
            .address(cidr("fe80::a/64"))
            .address(cidr("2001:db8:9::1/128"));
        let b = base()
            .address(cidr("10.1.0.1/24"))
            .address(cidr("fe80::b/64"))
            .address(cidr("2001:db8:1::1/64"))
            .route(cidr("10.9.0.0/16"), Some("10.1.0.254".parse().unwrap()))
            .route(
                cidr("2001:db8:9::/48"),
                Some("2001:db8:1::fe".parse().unwrap()),
            );
        let on = [a, b].map(|config| stack.add_interface(NOW, config).unwrap());
        let mut twin = Self { stack, on };
        twin.sent();
        twin
    }

    fn receive(&mut self, interface: usize, from: &str, to: &str) {
        let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let datagram = udp_bytes(from, to, b"x");
        let packet = ip(from.ip(), to.ip(), Protocol::UDP, &datagram);
        let frame = RxFrame::new(Bytes::from(packet), RxMeta::new(NOW));
        self.stack.handle_frame(NOW, self.on[interface], frame);
    }

    /// What leaves by each interface.
    fn sent(&mut self) -> [usize; 2] {
        self.on.map(|on| {
            let mut device = Recorder::default();
            self.stack.poll_transmit(NOW, on, &mut device).unwrap();
            device.frames.len()
        })
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.stack.counters().drops.get(reason)
    }

    fn bind(&mut self, at: &str) -> UdpId {
        let at = at.parse().unwrap();
        self.stack.udp_bind(at, UdpOptions::new()).unwrap()
    }

    fn send(&mut self, id: UdpId, to: &str) -> Result<usize, SendError> {
        let to = Some(to.parse().unwrap());
        self.stack.udp_send_to(NOW, id, to, b"x")
    }
}

/// Covers: IP4-45 (in: an interface takes what is for its own addresses, and nothing from any of ours).
#[test]
fn an_interface_takes_its_own_addresses_and_nothing_from_ours() {
    let mut twin = Twin::new();
    let id = twin.bind("0.0.0.0:7");
    twin.receive(0, "10.0.0.9:5", "10.1.0.1:7");
    assert_eq!(twin.drops(DropReason::IpNotOurs), 1);
    for (interface, from) in [(0, "10.1.0.1:5"), (1, "10.0.0.1:5"), (0, "10.0.0.1:5")] {
        let to = ["10.0.0.1:7", "10.1.0.1:7"][interface];
        twin.receive(interface, from, to);
    }
    assert_eq!(twin.drops(DropReason::IpSource), 3);
    assert!(twin.stack.udp_recv(id).is_err());
    twin.receive(1, "10.1.0.9:5", "10.1.0.1:7");
    assert!(twin.stack.udp_recv(id).is_ok());
}

/// What is for nobody here stays here, though another interface leads to it: a host is no router.
///
/// Covers: IP4-5, ADR-6.
#[test]
fn nothing_is_forwarded() {
    let mut twin = Twin::with_v6();
    let rows = [
        "10.1.0.9:7",
        "10.9.0.1:7",
        "[2001:db8:1::9]:7",
        "[fe80::9]:7",
    ];
    for (nth, to) in rows.into_iter().enumerate() {
        let from = if to.starts_with('[') {
            "[fe80::77]:5"
        } else {
            "10.0.0.9:5"
        };
        twin.receive(0, from, to);
        assert_eq!(twin.drops(DropReason::IpNotOurs), nth as u64 + 1, "{to}");
        assert_eq!(twin.sent(), [0, 0], "{to}");
    }
}

/// The interface that leads to the destination has the candidates: an address that would fit better is not
/// one of them when it is another's.
///
/// Covers: SEL-2.
#[test]
fn a_source_is_one_of_the_outgoing_interface() {
    let mut twin = Twin::with_v6();
    let id = twin.bind("[::]:0");
    let on =
        |interface: usize, to: &str| to.replace('%', &format!("%{}", twin.on[interface].scope()));
    let rows = [
        // A has 2001:db8:9::1/128, which is 2001:db8:9::9's neighbour in all but the last bits.
        (1, "[2001:db8:9::9]:7".to_string(), "2001:db8:1::1"),
        (1, on(1, "[fe80::9%]:7"), "fe80::b"),
        (0, on(0, "[fe80::9%]:7"), "fe80::a"),
        (1, on(1, "[ff02::9%]:7"), "fe80::b"),
    ];
    for (interface, to, source) in rows {
        twin.send(id, &to).unwrap();
        let mut device = Recorder::default();
        twin.stack
            .poll_transmit(NOW, twin.on[interface], &mut device)
            .unwrap();
        let packet = &device.frames.remove(0).0;
        let source: Ipv6Addr = source.parse().unwrap();
        assert_eq!(packet[8..24], source.octets(), "{to}");
        assert_eq!(twin.sent(), [0, 0], "{to}");
    }
}

/// Covers: IP4-45 (out: a packet leaves by the interface that has its source).
#[test]
fn a_bound_socket_sends_by_its_own_interface() {
    let mut twin = Twin::new();
    let any = twin.bind("0.0.0.0:0");
    let (a, b) = (twin.bind("10.0.0.1:0"), twin.bind("10.1.0.1:0"));
    #[rustfmt::skip]
    let rows = [
        (any, "10.9.0.1:7", Ok([0, 1])),
        (a,   "10.9.0.1:7", Ok([1, 0])),
        (b,   "10.9.0.1:7", Ok([0, 1])),
        (a,   "8.8.8.8:7",  Ok([1, 0])),
        // No route there from B, and A is not its.
        (b,   "8.8.8.8:7",  Err(())),
    ];
    for (id, to, expected) in rows {
        let queued = twin.send(id, to).map_err(|_| ());
        let sent = twin.sent();
        assert_eq!(queued.map(|_| sent), expected, "{to}");
    }
}

/// RFC 3927 §2.6.2, §7: link-local addresses are of one link each. One of ours on B is a host's on A; who
/// names no link, as IPv4 cannot, is taken to mean that of the route.
#[test]
fn link_local_addresses_mean_one_link_each() {
    let mut twin = Twin::with(|b| b.address("169.254.3.4/16".parse().unwrap()));
    let any = twin.bind("0.0.0.0:7");
    twin.receive(1, "169.254.3.4:5", "10.1.0.1:7");
    assert_eq!(twin.drops(DropReason::IpSource), 1, "our own, come back");
    twin.receive(0, "169.254.3.4:5", "10.0.0.1:7");
    assert_eq!(twin.drops(DropReason::IpSource), 1);
    assert!(twin.stack.udp_recv(any).is_ok(), "another's");
    twin.send(any, "169.254.7.7:9").unwrap();
    assert_eq!(twin.sent(), [0, 1], "where the prefix is");
    let mut twin = Twin::new();
    let any = twin.bind("0.0.0.0:7");
    twin.send(any, "169.254.7.7:9").unwrap();
    assert_eq!(twin.sent(), [1, 0], "the default route's");
}

/// A connection's end that a user names decides the interface, and an answer takes the way back.
#[test]
fn connections_and_answers_keep_their_interface() {
    let mut twin = Twin::new();
    let options = TcpOptions::default();
    let (to, from) = ("10.9.0.1:7".parse().unwrap(), "10.0.0.1:0".parse().unwrap());
    twin.stack
        .tcp_connect(NOW, to, Some(from), options)
        .unwrap();
    assert_eq!(twin.sent(), [1, 0], "the SYN");
    // Nobody listens: the error about a datagram to B leaves by B, or not at all.
    twin.receive(1, "10.9.0.1:5", "10.1.0.1:9");
    assert_eq!(twin.sent(), [0, 1]);
    twin.receive(1, "8.8.8.8:5", "10.1.0.1:9");
    assert_eq!(twin.sent(), [0, 0]);
}

/// Covers: IP4-8, IP4-9, ADR-1, ADR-2, ADR-5. Who could not answer is not sent to; who is on the link is asked there,
/// whatever gateways there are.
#[test]
fn what_means_nobody_stays_off_the_wire() {
    let gateways = |config: InterfaceConfig| {
        let v4 = config.gateway("10.0.0.254".parse().unwrap());
        v4.gateway("fd00::254".parse().unwrap())
    };
    let mut rig = Rig::with(gateways);
    for to in [
        "0.1.2.3",
        "240.0.0.1",
        "::",
        "::ffff:10.0.0.2",
        "ff00::1",
        "ff01::1",
        "ff11::5",
    ] {
        let to: IpAddr = to.parse().unwrap();
        let route = rig.stack.net.route(to, Some(rig.on));
        assert_eq!(route, Err(RouteError::Destination(to)));
    }
    let any = "0.0.0.0:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let to = Some("169.254.7.7:7".parse().unwrap());
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    assert_eq!(rig.only().arp().target, Ipv4Addr::new(169, 254, 7, 7));
}

/// Covers: IP4-42. A connection and a datagram that wait for a gateway that has died leave over the
/// next; when all are dead, their owners are told.
#[test]
fn what_waits_for_a_dead_gateway_takes_the_other() {
    let gateways = |config: InterfaceConfig| {
        let first = config.gateway("10.0.0.253".parse().unwrap());
        first.gateway("10.0.0.254".parse().unwrap())
    };
    for alive in [true, false] {
        let mut rig = Rig::with(gateways);
        let any = "0.0.0.0:0".parse().unwrap();
        let udp = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
        let to = "8.8.8.8:7".parse().unwrap();
        rig.stack.udp_send_to(rig.now, udp, Some(to), b"x").unwrap();
        let options = TcpOptions::default();
        let tcp = rig.stack.tcp_connect(rig.now, to, None, options).unwrap();
        rig.advance(Duration::from_secs(3));
        let asked = rig.drain();
        let request = asked.last().unwrap().arp();
        assert_eq!(request.target, Ipv4Addr::new(10, 0, 0, 254));
        if alive {
            rig.receive(arp_frame(&request.reply(PEER_MAC)));
            assert_eq!(rig.drain().len(), 2, "the datagram and the SYN");
            assert_eq!(rig.stack.udp_recv(udp), Err(RecvError::WouldBlock));
        } else {
            rig.advance(Duration::from_secs(3));
            assert!(rig.drain().iter().all(|f| f.kind == EtherType::ARP));
            assert_eq!(rig.stack.udp_recv(udp), Err(RecvError::HostUnreachable));
            let info = rig.stack.tcp_info(tcp).unwrap();
            assert_eq!(info.state, State::Closed);
        }
    }
}

const GATEWAYS: [(Ipv4Addr, MacAddr); 2] = [
    (
        Ipv4Addr::new(10, 0, 0, 253),
        MacAddr::new([2, 0, 0, 0, 0, 3]),
    ),
    (
        Ipv4Addr::new(10, 0, 0, 254),
        MacAddr::new([2, 0, 0, 0, 0, 4]),
    ),
];
const FAR: &str = "8.8.8.8:80";
const NEAR: &str = "10.0.0.1:5000";

/// What leaves, questions apart: the gateway that lives answers its own, the other is silent.
fn packets(rig: &mut Rig, alive: usize) -> Vec<Seen> {
    let (ip, mac) = GATEWAYS[alive];
    let mut packets = Vec::new();
    for frame in rig.drain() {
        if frame.kind != EtherType::ARP {
            packets.push(frame);
        } else if frame.arp().target == ip {
            rig.receive(arp_frame(&frame.arp().reply(mac)));
        }
    }
    packets
}

/// The first segment that a gateway that lives carries, the other being silent.
fn carried(rig: &mut Rig, alive: usize) -> crate::tcp::Fields {
    let (ip, mac) = GATEWAYS[alive];
    for _ in 0..3000 {
        if let Some(found) = packets(rig, alive).iter().find(|f| f.dst == mac) {
            return crate::tcp::Header::parse(found.v4().1).unwrap().0.fields();
        }
        rig.advance(Duration::from_millis(100));
    }
    panic!("nothing goes over {ip}");
}

/// An established connection over the first gateway, and its next sequence number.
fn opened(rig: &mut Rig, actively: bool) -> (TcpId, u32) {
    let local = NEAR.parse().unwrap();
    let (syn, ack) = (Flags::SYN, Flags::ACK);
    let (id, una) = if actively {
        let (to, options) = (FAR.parse().unwrap(), TcpOptions::default());
        let id = rig.stack.tcp_connect(rig.now, to, Some(local), options);
        let una = carried(rig, 0).seq + 1;
        rig.receive(tcp::frame(FAR, NEAR, 900, una, syn | ack));
        (id.unwrap(), una)
    } else {
        let options = ListenOptions::default();
        let listener = rig.stack.tcp_listen(local, options).unwrap();
        rig.receive(tcp::frame(FAR, NEAR, 900, 0, syn));
        let una = carried(rig, 0).seq + 1;
        rig.receive(tcp::frame(FAR, NEAR, 901, una, ack));
        (rig.stack.tcp_accept(rig.now, listener).unwrap(), una)
    };
    rig.drain();
    (id, una)
}

/// Covers: IP4-42. An established connection, whoever opened it, leaves a gateway that dies and goes on
/// over the next, and back when that one dies.
#[test]
fn an_established_connection_leaves_a_gateway_that_dies() {
    for active in [true, false] {
        let mut rig = Rig::with(|config| {
            let each = GATEWAYS.into_iter();
            each.fold(config, |config, (ip, _)| config.gateway(ip.into()))
        });
        let (id, una) = opened(&mut rig, active);
        // The second text over each shows how long a round trip takes.
        for (seq, alive) in (una..).zip([0, 0, 1, 1, 0, 0]) {
            let began = rig.now;
            rig.stack.tcp_write(rig.now, id, b"x").unwrap();
            assert_eq!(carried(&mut rig, alive).seq, seq, "active: {active}");
            let took = rig.now.since(began);
            // Reachable for 45 s, probed for 8, asked for 3, and a pause that has doubled with that.
            assert!(took < Duration::from_secs(120), "{took:?}");
            rig.receive(tcp::frame(FAR, NEAR, 901, seq + 1, Flags::ACK));
            let info = rig.stack.tcp_info(id).unwrap();
            assert_eq!((info.state, info.unacked), (State::Established, 0));
        }
    }
}

/// Where the next segment with text goes, whoever is asked for answering nothing.
fn text_goes_to(rig: &mut Rig, id: TcpId) -> MacAddr {
    rig.stack.tcp_write(rig.now, id, b"x").unwrap();
    let frames = rig.drain();
    let mut segments = frames.iter().filter(|frame| frame.kind != EtherType::ARP);
    segments.next_back().expect("a segment").dst
}

/// Covers: IP4-40, IP4-42. What one connection finds out about a gateway moves all of them at once, whether they
/// wait for it or not; and back when it answers again, not before.
#[test]
fn all_connections_leave_a_gateway_that_dies() {
    let mut rig = Rig::with(|config| {
        let each = GATEWAYS.into_iter();
        each.fold(config, |config, (ip, _)| config.gateway(ip.into()))
    });
    let (finder, una) = opened(&mut rig, true);
    let others: Vec<TcpId> = (0..5u16)
        .map(|n| {
            let local = format!("10.0.0.1:{}", 6000 + n);
            let (to, options) = (FAR.parse().unwrap(), TcpOptions::default());
            let id = rig
                .stack
                .tcp_connect(rig.now, to, Some(local.parse().unwrap()), options);
            let una = carried(&mut rig, 0).seq + 1;
            let answer = tcp::frame(FAR, &local, 900, una, Flags::SYN | Flags::ACK);
            rig.receive(answer);
            rig.drain();
            id.unwrap()
        })
        .collect();
    assert_eq!(text_goes_to(&mut rig, others[0]), GATEWAYS[0].1);
    // One finds out.
    for (seq, alive) in [(una, 0), (una + 1, 1)] {
        rig.stack.tcp_write(rig.now, finder, b"x").unwrap();
        // What another one sends again is not it.
        while carried(&mut rig, alive).seq != seq {}
        rig.receive(tcp::frame(FAR, NEAR, 901, seq + 1, Flags::ACK));
    }
    // The others know, the one that has text out as well; what is forgotten in a minute is no answer.
    for (pause, id) in [(0, others[1]), (61, others[2])] {
        for _ in 0..pause {
            rig.advance(Duration::from_secs(1));
            packets(&mut rig, 1);
        }
        assert_eq!(text_goes_to(&mut rig, id), GATEWAYS[1].1, "{pause} s");
    }
    // Who comes anew asks the first again. It answers.
    let (to, options) = (FAR.parse().unwrap(), TcpOptions::default());
    rig.stack.tcp_connect(rig.now, to, None, options).unwrap();
    let asked = rig.drain();
    let request = asked.iter().find(|frame| frame.kind == EtherType::ARP);
    let request = request.expect("a question").arp();
    assert_eq!(request.target, GATEWAYS[0].0);
    assert_eq!(text_goes_to(&mut rig, others[3]), GATEWAYS[1].1);
    rig.receive(arp_frame(&request.reply(GATEWAYS[0].1)));
    rig.drain();
    assert_eq!(text_goes_to(&mut rig, others[4]), GATEWAYS[0].1);
}

/// A RST that waits for a gateway that has died leaves over the next.
#[test]
fn a_reset_leaves_over_the_gateway_that_lives() {
    for alive in [true, false] {
        let mut rig = Rig::with(|config| {
            let each = GATEWAYS.into_iter();
            each.fold(config, |config, (ip, _)| config.gateway(ip.into()))
        });
        let (id, una) = opened(&mut rig, true);
        // What another sends finds the first gateway dead, and that is forgotten in time.
        rig.advance(Duration::from_secs(46));
        let other = rig
            .stack
            .udp_bind("0.0.0.0:0".parse().unwrap(), UdpOptions::new());
        let to = Some("8.8.8.8:7".parse().unwrap());
        rig.stack
            .udp_send_to(rig.now, other.unwrap(), to, b"x")
            .unwrap();
        rig.advance(Duration::from_secs(70));
        rig.drain();
        rig.stack.tcp_abort(rig.now, id);
        if alive {
            let reset = carried(&mut rig, 1);
            assert!(reset.flags.contains(Flags::RST));
            assert_eq!(reset.seq, una);
        } else {
            rig.advance(Duration::from_secs(10));
            assert!(rig.drain().iter().all(|f| f.kind == EtherType::ARP));
        }
        assert_eq!(rig.stack.tcp_owed_resets(), 0);
    }
}

/// A connected datagram socket keeps the address that it is sent from, and so its interface, when
/// the gateway there dies.
#[test]
fn a_connected_socket_keeps_its_interface() {
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let on = [0, 1].map(|n| {
        let base = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500));
        let config = base
            .address(format!("10.{n}.0.1/24").parse().unwrap())
            .gateway(format!("10.{n}.0.254").parse().unwrap());
        stack.add_interface(NOW, config).unwrap()
    });
    let mut twin = Twin { stack, on };
    let id = twin.bind("0.0.0.0:0");
    let (first, second) = ("8.8.8.8:7".parse().unwrap(), "9.9.9.9:7".parse().unwrap());
    twin.stack.udp_connect(id, first).unwrap();
    twin.send(id, "8.8.8.8:7").unwrap();
    assert_eq!(twin.sent(), [1, 0]);
    let gateway = "10.0.0.254".parse().unwrap();
    twin.stack.net.paths.gateway_failed(NOW, on[0], gateway);
    twin.send(id, "8.8.8.8:7").unwrap();
    assert_eq!(twin.sent(), [1, 0], "from 10.0.0.1");
    // To whom it is not connected, and once it is connected anew, the way is free.
    twin.send(id, "9.9.9.9:7").unwrap();
    assert_eq!(twin.sent(), [0, 1]);
    twin.stack.udp_connect(id, second).unwrap();
    twin.send(id, "9.9.9.9:7").unwrap();
    assert_eq!(twin.sent(), [0, 1]);
    twin.stack.udp_connect(id, first).unwrap();
    twin.send(id, "8.8.8.8:7").unwrap();
    assert_eq!(twin.sent(), [0, 1]);
}

/// What waits in one socket leaves in its order, each datagram by the interface that its destination asks for.
#[test]
fn each_datagram_of_a_socket_leaves_by_its_own_interface() {
    let mut twin = Twin::new();
    let id = twin.bind("0.0.0.0:0");
    for to in ["10.0.0.9:7", "10.1.0.9:7", "10.0.0.9:7", "10.1.0.9:7"] {
        twin.send(id, to).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(twin.sent(), [1, 1]);
    }
    assert_eq!(twin.sent(), [0, 0]);
}

/// A datagram to a link-local destination without a zone goes on when the one before it has failed.
#[test]
fn a_sockets_zone_holds_for_what_still_waits() {
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let interface = |n: u8| {
        let mac = MacAddr::new([2, 0, 0, 0, 1, n]);
        InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500)).mac(mac)
    };
    let first = stack.add_interface(NOW, interface(1)).unwrap();
    stack
        .add_interface(NOW, interface(2).link_local(false))
        .unwrap();
    let own: Ipv6Addr = "fe80::ff:fe00:101".parse().unwrap();
    let at = std::net::SocketAddrV6::new(own, 7, 0, first.scope());
    let id = stack.udp_bind(at.into(), UdpOptions::new()).unwrap();
    for to in ["[fe80::8]:7", "[fe80::9]:7"] {
        stack
            .udp_send_to(NOW, id, Some(to.parse().unwrap()), b"x")
            .unwrap();
    }
    let mut device = Recorder::default();
    stack.poll_transmit(NOW, first, &mut device).unwrap();
    let claim = solicitation(Ipv6Addr::UNSPECIFIED, PEER_MAC, own);
    let frame = RxFrame::new(Bytes::from(claim), RxMeta::new(NOW));
    stack.handle_frame(NOW, first, frame);
    stack.poll_transmit(NOW, first, &mut device).unwrap();
    // The first waited for the address; the second had its turn, and found no other.
    assert_eq!(stack.counters().drops.get(DropReason::NoRoute), 1);
}

/// Covers: NDP-29 (RFC 4861 §7.2.5), IP4-42. An advertisement that nobody asked for, whatever it says of itself, does not
/// bring a gateway back that did not answer.
#[test]
fn r59_what_nobody_asked_for_revives_no_gateway() {
    let gateways = |config: InterfaceConfig| {
        let first = config.gateway("fd00::2".parse().unwrap());
        first.gateway("fd00::254".parse().unwrap())
    };
    let mut rig = Rig::with(gateways);
    rig.introduce();
    let (on, first) = (rig.on, IpAddr::V6(PEER6));
    let now = rig.now;
    rig.stack.net.paths.gateway_failed(now, on, first);
    let solicited = ipv6::ndp::NeighborFlags::SOLICITED;
    rig.receive(advertisement(solicited, PEER_MAC, PEER6, OURS6));
    let dead = |rig: &Rig| rig.stack.net.paths.routes.is_dead(rig.now, on, first);
    assert!(dead(&rig));
}

/// Covers: NDP-29, IP4-42. An answer that says no link address resolves nothing (RFC 4861 §7.2.5): it brings no gateway back
/// either.
#[test]
fn r59_an_answer_that_resolves_nothing_revives_no_gateway() {
    let gateways = |config: InterfaceConfig| {
        let first = config.gateway("fd00::2".parse().unwrap());
        first.gateway("fd00::254".parse().unwrap())
    };
    let mut rig = Rig::with(gateways);
    let (on, first) = (rig.on, IpAddr::V6(PEER6));
    let now = rig.now;
    rig.stack.net.paths.gateway_failed(now, on, first);
    // Who comes anew tries it again by now, and asks.
    rig.advance(Duration::from_secs(61));
    let id = rig
        .stack
        .udp_bind("[::]:0".parse().unwrap(), UdpOptions::new())
        .unwrap();
    let to = "[2001:db8::1]:7".parse().unwrap();
    rig.stack.udp_send_to(rig.now, id, Some(to), b"x").unwrap();
    rig.drain();
    let via = |rig: &Rig| {
        let routes = &rig.stack.net.paths.routes;
        routes.lookup_again(to.ip(), on).map(|(_, via)| via)
    };
    let second = "fd00::254".parse().unwrap();
    let message = Message::NeighborAdvertisement {
        flags: ipv6::ndp::NeighborFlags::SOLICITED,
        target: PEER6,
        options: ipv6::ndp::Options::new(&[]),
    };
    rig.receive(ndp_frame(PEER_MAC, PEER6, OURS6, message));
    assert_eq!(via(&rig), Some(second));
    let solicited = ipv6::ndp::NeighborFlags::SOLICITED;
    rig.receive(advertisement(solicited, PEER_MAC, PEER6, OURS6));
    assert_eq!(via(&rig), Some(first));
}

/// Covers: NDP-29 (RFC 4861 §7.2.5), IP4-42. Nor does one that names another link address without the Override flag, while the
/// known one is probed: it is ignored.
#[test]
fn r59_an_answer_for_another_station_revives_no_gateway() {
    use ipv6::ndp::{NeighborFlags, Options};
    let (first, second): (IpAddr, IpAddr) = (PEER6.into(), "fd00::254".parse().unwrap());
    let far: IpAddr = "2001:db8::1".parse().unwrap();
    let mut rig = Rig::with(|config| config.gateway(first).gateway(second));
    rig.introduce();
    let (on, now) = (rig.on, rig.now);
    rig.stack.net.paths.gateway_failed(now, on, first);
    rig.advance(Duration::from_secs(61));
    let local = "[::]:0".parse().unwrap();
    let id = rig.stack.udp_bind(local, UdpOptions::new()).unwrap();
    let to = Some(SocketAddr::new(far, 7));
    rig.stack.udp_send_to(rig.now, id, to, b"x").unwrap();
    rig.advance(Duration::from_secs(5));
    let own = Options::source_link_address_bytes(OUR_MAC);
    let probe = Message::NeighborSolicitation {
        target: PEER6,
        options: Options::new(&own),
    };
    assert_eq!(rig.drain().pop().unwrap().icmp6().1, Icmpv6::Ndp(probe));
    let solicited = NeighborFlags::SOLICITED;
    rig.receive(advertisement(solicited, OTHER_MAC, PEER6, OURS6));
    let way = |rig: &Rig| rig.stack.net.paths.routes.lookup_again(far, on).unwrap().1;
    assert_eq!(way(&rig), second);
    rig.receive(advertisement(solicited, PEER_MAC, PEER6, OURS6));
    assert_eq!(way(&rig), first);
}

/// Covers: IP4-42 (RFC 1122 §3.3.1.4). Of two gateways that both went silent, one long ago, neither leads to the other: the connection
/// gives up, and does not ask for ever.
#[test]
fn a_gateway_that_failed_long_ago_is_no_way_out() {
    let (first, second): (IpAddr, IpAddr) = (PEER6.into(), "fd00::254".parse().unwrap());
    let mut rig = Rig::with(|config| config.gateway(first).gateway(second));
    let (on, now) = (rig.on, rig.now);
    rig.stack.net.paths.gateway_failed(now, on, second);
    rig.advance(Duration::from_secs(61));
    let far = "[2001:db8::1]:7".parse().unwrap();
    let options = TcpOptions::default();
    let id = rig.stack.tcp_connect(rig.now, far, None, options).unwrap();
    for _ in 0..10 {
        rig.advance(Duration::from_secs(1));
        rig.drain();
    }
    let failure = rig.stack.tcp_failure(id).unwrap();
    assert_eq!(failure, Some(TcpFailure::HostUnreachable));
}

/// RFC 4007 §6, RFC 1122 §3.3.4.2: a socket's own address leaves by its own interface, whatever is asked for.
#[test]
fn a_sockets_address_does_not_leave_by_another_link() {
    let mut twin = Twin::with_v6();
    let on = twin.on;
    for (local, to) in [
        (
            format!("[fe80::a%{}]:7", on[0].scope()),
            "[2001:db8:9::9]:9",
        ),
        ("10.0.0.1:7".to_owned(), "10.9.0.9:9"),
    ] {
        let local: SocketAddr = local.parse().unwrap();
        let id = twin.stack.udp_bind(local, UdpOptions::new()).unwrap();
        let to = Some(to.parse().unwrap());
        let info = SendInfo::new().interface(on[1]);
        let sent = twin
            .stack
            .udp_send_with(NOW, id, to, Bytes::from_static(b"x"), None, &info);
        let refused = RouteError::Source(local.ip());
        assert_eq!(sent, Err(SendError::Route(refused)));
        assert_eq!(twin.sent(), [0, 0]);
        twin.stack.udp_close(id);
        let of = |on| UdpOptions::new().interface(Some(on));
        let bound = twin.stack.udp_bind(local, of(on[1]));
        if local.is_ipv6() {
            assert_eq!(bound, Err(BindError::Interface(on[1])));
        }
        twin.stack.udp_bind(local, of(on[0])).unwrap();
    }
}
