//! Lines that only couple one part with another: each is run by what a peer or a user sees of it.

use super::*;
use ipv4::icmp::Message;
use ipv6::icmp::{TimeExceededCode, UnreachableCode};

/// What one ICMP error says to a connected UDP socket and to a ping socket: nothing, or this. The error,
/// of the family of `peer`, is made around what each of them sent.
fn heard(
    peer: IpAddr,
    ours: IpAddr,
    error: &dyn Fn(&[u8]) -> Vec<u8>,
) -> (Option<RecvError>, PingOutcome) {
    let mut rig = Rig::new();
    rig.introduce();
    let protocol = match peer {
        IpAddr::V4(_) => Protocol::ICMP,
        IpAddr::V6(_) => Protocol::ICMPV6,
    };
    let any = SocketAddr::new(ours, 0);
    let udp = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    rig.stack
        .udp_connect(udp, SocketAddr::new(peer, 7))
        .unwrap();
    rig.stack.udp_send_to(rig.now, udp, None, b"x").unwrap();
    let about = error(&rig.only().packet);
    rig.receive(ip_frame(peer, ours, protocol, &about));
    let said = rig.stack.udp_recv(udp).unwrap_err();

    let ping = rig.stack.ping_open(PingOptions::new()).unwrap();
    let text = Bytes::from_static(b"ping");
    rig.stack
        .ping_send(rig.now, ping, peer, None, 3, text)
        .unwrap();
    let about = error(&rig.only().packet);
    rig.receive(ip_frame(peer, ours, protocol, &about));
    let outcome = rig.stack.ping_recv(ping).unwrap().outcome;
    ((said != RecvError::WouldBlock).then_some(said), outcome)
}

/// Covers: IC4-6, IC4-9, IC4-15, IC4-16 (each error of IPv4 reaches the transport that it quotes).
#[test]
fn errors_of_ipv4_are_passed_up() {
    use ipv4::icmp::{TimeExceededCode, UnreachableCode};
    let told = |make: &dyn for<'a> Fn(&'a [u8]) -> Message<'a>| {
        heard(PEER.into(), OURS.into(), &|quoted| {
            let message = make(quoted);
            let mut bytes = vec![0; message.len()];
            message.emit(&mut bytes);
            bytes
        })
    };
    for (code, said) in [
        (0, RecvError::NetworkUnreachable),
        (1, RecvError::HostUnreachable),
        (2, RecvError::Refused),
        (3, RecvError::Refused),
        (5, RecvError::HostUnreachable),
        (6, RecvError::NetworkUnreachable),
        (9, RecvError::HostUnreachable),
        (11, RecvError::NetworkUnreachable),
        (13, RecvError::HostUnreachable),
    ] {
        let found = told(&|quoted| Message::DestinationUnreachable {
            code: UnreachableCode(code),
            next_hop_mtu: 0,
            quoted,
        });
        let expected = (Some(said), PingOutcome::Unreachable { code });
        assert_eq!(found, expected, "code {code}");
    }
    let found = told(&|quoted| Message::TimeExceeded {
        code: TimeExceededCode::TRANSIT,
        quoted,
    });
    assert_eq!(found, (None, PingOutcome::TimeExceeded));
    let found = told(&|quoted| Message::ParameterProblem {
        code: 0,
        pointer: 20,
        quoted,
    });
    assert_eq!(found, (None, PingOutcome::ParameterProblem));
}

/// Covers: IC6-11 (each error of IPv6 reaches the transport that it quotes).
#[test]
fn errors_of_ipv6_are_passed_up() {
    let told = |make: &dyn for<'a> Fn(&'a [u8]) -> Icmpv6<'a>| {
        heard(PEER6.into(), OURS6.into(), &|quoted| {
            let message = make(quoted);
            let mut bytes = vec![0; message.len()];
            message.emit(PEER6, OURS6, &mut bytes);
            bytes
        })
    };
    for (code, said) in [
        (0, RecvError::NetworkUnreachable),
        (1, RecvError::HostUnreachable),
        (2, RecvError::HostUnreachable),
        (3, RecvError::HostUnreachable),
        (4, RecvError::Refused),
        (5, RecvError::HostUnreachable),
        (6, RecvError::NetworkUnreachable),
    ] {
        let found = told(&|quoted| Icmpv6::DestinationUnreachable {
            code: UnreachableCode(code),
            quoted,
        });
        let expected = (Some(said), PingOutcome::Unreachable { code });
        assert_eq!(found, expected, "code {code}");
    }
    let found = told(&|quoted| Icmpv6::TimeExceeded {
        code: TimeExceededCode::HOP_LIMIT,
        quoted,
    });
    assert_eq!(found, (None, PingOutcome::TimeExceeded));
    // RFC 4443 §3.4: code 1 says that nobody there speaks the protocol.
    for (code, expected) in [
        (0, (None, PingOutcome::ParameterProblem)),
        (
            1,
            (
                Some(RecvError::Refused),
                PingOutcome::Unreachable { code: 1 },
            ),
        ),
        (2, (None, PingOutcome::ParameterProblem)),
    ] {
        let found = told(&|quoted| Icmpv6::ParameterProblem {
            code,
            pointer: 6,
            quoted,
        });
        assert_eq!(found, expected, "code {code}");
    }
}

/// What an extension header in front of a datagram asks for, as its sender hears of it.
#[test]
fn what_an_extension_header_asks_for_is_done() {
    const OPTIONS: Protocol = Protocol::DESTINATION_OPTIONS;
    /// The header that begins the chain, its bytes, and code and pointer of the answer.
    type Row<'a> = (Protocol, &'a [u8], Option<(u8, u32)>);
    let (from, to) = ("[fd00::2]:9", "[fd00::1]:7");
    let datagram = udp_bytes(from.parse().unwrap(), to.parse().unwrap(), b"x");
    let pass_over = [17, 0, 0x1e, 4, 0, 0, 0, 0];
    let rows: [Row<'_>; 6] = [
        (OPTIONS, &pass_over, None),
        (OPTIONS, &[17, 0, 0x5e, 4, 0, 0, 0, 0], None),
        (OPTIONS, &[17, 0, 0x9e, 4, 0, 0, 0, 0], Some((2, 42))),
        (OPTIONS, &[17, 0, 0xde, 4, 0, 0, 0, 0], Some((2, 42))),
        (Protocol::ROUTING, &[17, 0, 9, 1, 0, 0, 0, 0], Some((0, 42))),
        // Hop-by-hop options come first or not at all.
        (
            OPTIONS,
            &[0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0],
            Some((1, 40)),
        ),
    ];
    for (kind, header, expected) in rows {
        let mut rig = Rig::new();
        rig.introduce();
        let packet = [header, &datagram].concat();
        rig.receive(ip_frame(PEER6.into(), OURS6.into(), kind, &packet));
        let answers = rig.drain();
        // An option to be passed over leads to a closed port, one to be dropped for leads to silence.
        let count = usize::from(expected.is_some() || header == pass_over);
        assert_eq!(answers.len(), count, "{header:?}");
        let Some((code, pointer)) = expected else {
            continue;
        };
        let (fields, message) = answers[0].icmp6();
        assert_eq!((fields.src, fields.dst), (OURS6, PEER6));
        let quoted = &ip(PEER6.into(), OURS6.into(), kind, &packet)[..];
        let right = Icmpv6::ParameterProblem {
            code,
            pointer,
            quoted,
        };
        assert_eq!(message, right, "{header:?}");
    }
}

/// Each mistake in an interface's settings is told of, and no interface comes of it.
#[test]
fn an_interface_that_cannot_work_is_refused() {
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let base = || InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500));
    let gateway: IpAddr = "ff02::2".parse().unwrap();
    let group = MacAddr::new([1, 0, 0, 0, 0, 1]);
    for (config, error) in [
        (base().gateway(gateway), ConfigError::Gateway(gateway)),
        (base().mac(group), ConfigError::Mac(group)),
        (base().vlan(4095), ConfigError::Vlan(4095)),
    ] {
        let refused = stack.add_interface(Instant::ZERO, config);
        assert_eq!(refused, Err(error));
    }
    let first = stack.add_interface(Instant::ZERO, base()).unwrap();
    assert_eq!(first, InterfaceId::from_index(0));
}

/// Where packets would leave, and from which address: the longest prefix, else a gateway, else nowhere.
#[test]
fn routes_are_resolved_as_packets_take_them() {
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let mut add = |change: &dyn Fn(InterfaceConfig) -> InterfaceConfig| {
        let config = InterfaceConfig::new(&Capabilities::plain(Medium::Ip, 1500)).dad_transmits(0);
        stack.add_interface(Instant::ZERO, change(config)).unwrap()
    };
    let cidr = |text: &str| text.parse::<Cidr>().unwrap();
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let one = add(&|config| {
        config
            .address(cidr("10.0.0.1/24"))
            .address(cidr("fd00::1/64"))
            .gateway(address("10.0.0.254"))
    });
    let two = add(&|config| {
        config
            .address(cidr("10.1.0.1/24"))
            .route(cidr("192.0.2.0/24"), Some(address("10.1.0.254")))
    });
    for (to, expected) in [
        ("10.0.0.7", Some((one, "10.0.0.1"))),
        ("10.1.0.7", Some((two, "10.1.0.1"))),
        ("192.0.2.9", Some((two, "10.1.0.1"))),
        ("198.51.100.1", Some((one, "10.0.0.1"))),
        ("fd00::9", Some((one, "fd00::1"))),
        ("2001:db8::1", None),
    ] {
        let expected = expected.map(|(on, source)| (on, address(source)));
        assert_eq!(stack.resolve_route(address(to)), expected, "{to}");
    }
}
