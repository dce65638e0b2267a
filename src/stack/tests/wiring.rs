//! Lines that only couple one part with another: each is run by what a peer or a user sees of it.

use super::*;
use ipv4::icmp::Message;
use ipv6::icmp::{TimeExceededCode, UnreachableCode};

/// What one ICMP error says to a connected UDP socket. The error, of the family of `peer`, is made around what that sent.
fn heard_once(peer: IpAddr, ours: IpAddr, error: &dyn Fn(&[u8]) -> Vec<u8>) -> RecvError {
    heard_in(&mut Rig::new(), peer, ours, error)
}

fn heard_in(
    rig: &mut Rig,
    peer: IpAddr,
    ours: IpAddr,
    error: &dyn Fn(&[u8]) -> Vec<u8>,
) -> RecvError {
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
    rig.stack.udp_recv(udp).unwrap_err()
}

/// The same, and what it says to a ping socket: nothing, or this.
fn heard(
    peer: IpAddr,
    ours: IpAddr,
    error: &dyn Fn(&[u8]) -> Vec<u8>,
) -> (Option<RecvError>, PingOutcome) {
    let mut rig = Rig::new();
    let said = heard_in(&mut rig, peer, ours, error);
    let protocol = match peer {
        IpAddr::V4(_) => Protocol::ICMP,
        IpAddr::V6(_) => Protocol::ICMPV6,
    };
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

/// Covers: IC6-4. What is quoted may have extension headers in front of the datagram; an error whose quote does not reach
/// it, or quotes a fragment behind the first, is nobody's.
#[test]
fn an_error_about_a_packet_with_extension_headers_finds_its_socket() {
    let options: [u8; 8] = [17, 0, 1, 4, 0, 0, 0, 0];
    let later = [17, 0, 0, 8, 0, 0, 0, 1];
    for (kind, header, cut, is_found) in [
        (Protocol::DESTINATION_OPTIONS, options, 100, true),
        (Protocol::DESTINATION_OPTIONS, options, 56, true),
        (Protocol::DESTINATION_OPTIONS, options, 44, false),
        (Protocol::FRAGMENT, later, 100, false),
    ] {
        let found = heard_once(PEER6.into(), OURS6.into(), &|sent| {
            let mut quoted = sent.to_vec();
            quoted.splice(40..40, header);
            (quoted[5], quoted[6]) = (quoted[5] + 8, kind.0);
            quoted.truncate(cut);
            let message = Icmpv6::DestinationUnreachable {
                code: UnreachableCode::PORT,
                quoted: &quoted,
            };
            let mut bytes = vec![0; message.len()];
            message.emit(PEER6, OURS6, &mut bytes);
            bytes
        });
        let said = if is_found {
            RecvError::Refused
        } else {
            RecvError::WouldBlock
        };
        assert_eq!(found, said, "{kind:?} {cut}");
    }
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

/// Covers: IC6-12, IP6-13. What an extension header in front of a datagram asks for, as its sender hears of it.
#[test]
fn what_an_extension_header_asks_for_is_done() {
    const OPTIONS: Protocol = Protocol::DESTINATION_OPTIONS;
    /// The header that begins the chain, its bytes, and code and pointer of the answer.
    type Row<'a> = (Protocol, &'a [u8], Option<(u8, u32)>);
    let (from, to) = ("[fd00::2]:9", "[fd00::1]:7");
    let datagram = udp_bytes(from.parse().unwrap(), to.parse().unwrap(), b"x");
    let pass_over = [17, 0, 0x1e, 4, 0, 0, 0, 0];
    let rows: [Row<'_>; 8] = [
        (OPTIONS, &pass_over, None),
        // RFC 8200 §4.7: nothing follows, and nothing is wrong with that.
        (OPTIONS, &[59, 0, 1, 4, 0, 0, 0, 0], None),
        (Protocol::NO_NEXT_HEADER, &[], None),
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

/// Covers: IP6-27, NDP-2. Neighbour discovery in a fragment, be it the only one, is not believed (RFC 6980 §5); with an
/// option that nobody knows, and bits that mean nothing, it is (RFC 4861 §9, §7.1).
#[test]
fn neighbour_discovery_in_a_fragment_and_with_unknown_options() {
    let source = ipv6::ndp::Options::source_link_address_bytes(PEER_MAC);
    for (unknown, fragment, answers) in [(false, false, 1), (true, false, 1), (false, true, 0)] {
        let mut rig = Rig::new();
        let other: &[u8] = if unknown {
            &[200, 1, 9, 9, 9, 9, 9, 9]
        } else {
            &[]
        };
        let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
        body[4] = if unknown { 0xff } else { 0 };
        body.extend(OURS6.octets());
        body.extend_from_slice(other);
        body.extend(source);
        let pseudo = ipv6::pseudo_sum(PEER6, OURS6, Protocol::ICMPV6, body.len());
        let sum = pseudo.bytes(&body).finish();
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut kind = Protocol::ICMPV6;
        if fragment {
            body.splice(0..0, [58, 0, 0, 0, 0, 0, 0, 1]);
            kind = Protocol::FRAGMENT;
        }
        let mut frame = ip_frame(PEER6.into(), OURS6.into(), kind, &body);
        frame[ethernet::HEADER_LEN + 7] = 255;
        rig.receive(frame);
        assert_eq!(rig.drain().len(), answers, "{unknown} {fragment}");
        assert_eq!(rig.stack.net.neighbours.len(), answers);
        let refused = rig.drops(DropReason::NdpInvalid);
        assert_eq!(refused, u64::from(fragment));
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
