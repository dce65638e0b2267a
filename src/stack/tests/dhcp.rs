//! DHCP joined with a stack: messages as frames, leases as addresses, routes and an MTU.

use super::*;
use crate::dhcp::{
    Builder, CLIENT_PORT, LossReason, Message as Dhcp, MessageType, Operation, SERVER_PORT, code,
};
use crate::ipv6::ndp::{Message as NdpMessage, NdpOption, Options, PrefixInformation, RouterFlags};

const GIVEN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 50);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;
/// RFC 5227 §1.1: PROBE_WAIT, two times PROBE_MAX, ANNOUNCE_WAIT.
const PROBED: Duration = Duration::from_secs(7);
const LEASE: u32 = 1000;

fn interface(options: DhcpOptions) -> InterfaceConfig {
    InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .link_local(false)
        .dhcp(options)
}

fn rig() -> Rig {
    rig_with(DhcpOptions::new())
}

fn rig_with(options: DhcpOptions) -> Rig {
    Rig::bare(Config::new(Seed::from_number(1)), interface(options))
}

/// A message of the client, and the frame around it.
struct Said {
    frame: Seen,
    bytes: Vec<u8>,
}

impl Said {
    fn message(&self) -> Dhcp<'_> {
        Dhcp::parse(&self.bytes).unwrap()
    }

    fn kind(&self) -> MessageType {
        self.message().kind().unwrap()
    }

    fn ends(&self) -> (Ipv4Addr, Ipv4Addr) {
        let (fields, _) = self.frame.v4();
        (fields.src, fields.dst)
    }
}

/// The messages of the client among what was sent.
fn all_said(rig: &mut Rig) -> Vec<Said> {
    let frames = rig.drain().into_iter();
    let udp = frames
        .filter(|frame| frame.kind == EtherType::IPV4 && frame.v4().0.protocol == Protocol::UDP);
    udp.map(|frame| {
        let (fields, segment) = frame.v4();
        let pseudo = ipv4::pseudo_sum(fields.src, fields.dst, Protocol::UDP, segment.len());
        assert!(pseudo.bytes(segment).is_valid());
        let (header, data) = crate::udp::Header::parse(segment).unwrap();
        let ports = (header.src_port(), header.dst_port());
        assert_eq!(ports, (CLIENT_PORT, SERVER_PORT));
        let bytes = data.to_vec();
        Said { frame, bytes }
    })
    .collect()
}

/// The only one.
#[track_caller]
fn said(rig: &mut Rig) -> Said {
    let mut all = all_said(rig);
    let kinds: Vec<_> = all.iter().map(Said::kind).collect();
    assert_eq!(all.len(), 1, "{kinds:?}");
    all.remove(0)
}

/// What the server says to a message.
fn answer(to: &Said, kind: MessageType) -> Builder {
    let message = to.message();
    let answer = Builder::new(Operation::REPLY, kind, message.xid(), OUR_MAC);
    let answer = answer.address(code::SERVER_ID, PEER);
    if kind == MessageType::NAK {
        return answer;
    }
    answer
        .yiaddr(GIVEN)
        .address(code::SUBNET_MASK, Ipv4Addr::new(255, 255, 255, 0))
        .number(code::LEASE_TIME, LEASE)
}

/// The server's message in a frame to this station and address.
fn frame(to: (MacAddr, Ipv4Addr), message: Builder) -> Vec<u8> {
    let from = SocketAddr::new(PEER.into(), SERVER_PORT);
    let at = SocketAddr::new(to.1.into(), CLIENT_PORT);
    let datagram = udp_bytes(from, at, &message.finish());
    let packet = ip(from.ip(), at.ip(), Protocol::UDP, &datagram);
    eth(to.0, PEER_MAC, EtherType::IPV4, &packet)
}

/// The server tells all.
fn tell(rig: &mut Rig, message: Builder) {
    rig.receive(frame((MacAddr::BROADCAST, ALL), message));
}

/// From the DISCOVER that waits on to the ACK, with these options in it.
#[track_caller]
fn grant(rig: &mut Rig, with: impl Fn(Builder) -> Builder) {
    let discover = said(rig);
    assert_eq!(discover.kind(), MessageType::DISCOVER);
    tell(rig, with(answer(&discover, MessageType::OFFER)));
    let request = said(rig);
    assert_eq!(request.kind(), MessageType::REQUEST);
    tell(rig, with(answer(&request, MessageType::ACK)));
}

/// One with a lease that was probed for, and announced.
fn bound_with(with: impl Fn(Builder) -> Builder) -> Rig {
    let mut rig = rig();
    grant(&mut rig, with);
    rig.advance(PROBED + Duration::from_secs(3));
    rig.drain();
    changes(&mut rig);
    assert!(rig.stack.is_ready(rig.on));
    rig
}

fn routed(message: Builder) -> Builder {
    message.address(code::ROUTERS, PEER)
}

fn bound() -> Rig {
    bound_with(routed)
}

/// T1 comes: the server is asked for by ARP, as any neighbour.
fn server_asked_for(rig: &mut Rig) -> arp::Packet {
    for _ in 0..LEASE {
        rig.advance(Duration::from_millis(500));
        if let Some(frame) = rig.drain().first() {
            return frame.arp();
        }
    }
    panic!("nothing is asked for");
}

/// What was told of the interface.
fn changes(rig: &mut Rig) -> Vec<Change> {
    core::iter::from_fn(|| rig.stack.poll_change())
        .map(|(_, change)| change)
        .collect()
}

fn addresses(rig: &Rig) -> Vec<(String, AddressState)> {
    let all = rig.stack.addresses(rig.on);
    all.map(|(cidr, state)| (cidr.to_string(), state)).collect()
}

fn way_to(rig: &Rig, to: &str) -> Option<IpAddr> {
    let route = rig.stack.net.route(to.parse().unwrap(), None).ok()?;
    Some(route.next_hop)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Covers: DHC-1, DHC-16, ACD-1 (who is granted an address probes for it, then uses it).
#[test]
fn from_the_first_message_to_an_address_in_use() {
    let mut rig = rig();
    assert!(!rig.stack.is_ready(rig.on), "it has no address yet");
    let discover = said(&mut rig);
    assert_eq!(discover.frame.dst, MacAddr::BROADCAST);
    assert_eq!(discover.ends(), (ANY, ALL));
    assert_eq!(discover.message().chaddr(), OUR_MAC.octets());
    tell(&mut rig, routed(answer(&discover, MessageType::OFFER)));
    let request = said(&mut rig);
    assert_eq!(request.ends(), (ANY, ALL));
    assert!(rig.stack.lease(rig.on).is_none());
    tell(&mut rig, routed(answer(&request, MessageType::ACK)));
    assert_eq!(rig.stack.lease(rig.on).unwrap().address, GIVEN);
    let cidr = "10.0.0.50/24".to_owned();
    assert_eq!(addresses(&rig), [(cidr.clone(), AddressState::Tentative)]);
    assert!(!rig.stack.is_ready(rig.on));
    rig.advance(PROBED);
    let probes = rig.drain();
    let probes: Vec<_> = probes
        .iter()
        .map(Seen::arp)
        .filter(|p| p.is_probe())
        .collect();
    assert_eq!(probes.len(), 3);
    assert!(probes.iter().all(|probe| probe.target == GIVEN));
    assert_eq!(addresses(&rig), [(cidr, AddressState::Preferred)]);
    assert!(rig.stack.is_ready(rig.on));
    let resolved = rig.stack.resolve_route("192.0.2.1".parse().unwrap());
    assert_eq!(resolved, Some((rig.on, GIVEN.into())));
    assert_eq!(way_to(&rig, "192.0.2.1"), Some(PEER.into()));
    let own = "10.0.0.50/24".parse().unwrap();
    let told = [Change::LeaseBound(own), Change::AddressPreferred(own)];
    assert_eq!(changes(&mut rig), told);
}

/// RFC 2131 §4.1: servers that do not heed the bit B send to the address that they give. Only while it is waited for.
#[test]
fn answers_to_the_address_that_is_not_ours_yet() {
    let mut rig = rig();
    let discover = said(&mut rig);
    let offer = |to| frame(to, answer(&discover, MessageType::OFFER));
    let other = Ipv4Addr::new(10, 0, 0, 51);
    // To another address than the one that it gives, or in a frame to all.
    rig.receive(offer((OUR_MAC, other)));
    rig.receive(offer((MacAddr::BROADCAST, GIVEN)));
    assert_eq!(rig.drops(DropReason::IpNotOurs), 2);
    assert!(all_said(&mut rig).is_empty());
    rig.receive(offer((OUR_MAC, GIVEN)));
    let request = said(&mut rig);
    rig.receive(frame((OUR_MAC, GIVEN), answer(&request, MessageType::ACK)));
    assert!(rig.stack.lease(rig.on).is_some());
    // Nothing is waited for now, and the address is probed for.
    rig.receive(frame(
        (OUR_MAC, other),
        answer(&request, MessageType::ACK).yiaddr(other),
    ));
    assert_eq!(rig.drops(DropReason::IpNotOurs), 3);
}

/// Who binds port 68 hears all but what comes from servers.
#[test]
fn sockets_on_the_clients_port() {
    let mut rig = bound();
    let socket = rig
        .stack
        .udp_bind(at("0.0.0.0:68"), UdpOptions::new())
        .unwrap();
    for (from, to) in [
        ("10.0.0.2:67", "255.255.255.255:68"),
        ("10.0.0.2:67", "10.0.0.50:68"),
    ] {
        rig.receive(udp_frame(from, to, b"x"));
    }
    assert_eq!(rig.drops(DropReason::DhcpIgnored), 2);
    assert!(rig.stack.udp_recv(socket).is_err());
    rig.receive(udp_frame("10.0.0.2:66", "10.0.0.50:68", b"x"));
    assert!(rig.stack.udp_recv(socket).is_ok());
    // No port of ours is unreachable, and nobody is told.
    assert!(rig.drain().is_empty());
}

/// An interface without a client leaves all of it to sockets.
#[test]
fn a_client_of_the_users_own() {
    let mut rig = Rig::new();
    let socket = rig
        .stack
        .udp_bind(at("0.0.0.0:68"), UdpOptions::new())
        .unwrap();
    rig.receive(udp_frame("10.0.0.2:67", "10.0.0.1:68", b"x"));
    assert!(rig.stack.udp_recv(socket).is_ok());
    let refused = rig.stack.dhcp_release(rig.now, rig.on);
    assert_eq!(refused, Err(DhcpError::NoClient));
}

/// A damaged answer, and one that nobody asked for.
#[test]
fn what_is_not_taken_is_counted() {
    let mut rig = rig();
    let discover = said(&mut rig);
    let mut damaged = frame(
        (MacAddr::BROADCAST, ALL),
        answer(&discover, MessageType::OFFER),
    );
    *damaged.last_mut().unwrap() ^= 1;
    rig.receive(damaged);
    assert_eq!(rig.drops(DropReason::UdpChecksum), 1);
    let other = Builder::new(Operation::REPLY, MessageType::OFFER, 7, OUR_MAC);
    tell(&mut rig, other);
    assert_eq!(rig.drops(DropReason::DhcpIgnored), 1);
    let refused = &rig.stack.dhcp_counters(rig.on).unwrap().refused;
    assert_eq!(refused.total(), 1);
    assert!(all_said(&mut rig).is_empty());
}

/// Covers: DHC-1, DHC-12 (from the address to the server, by its neighbour entry; the connection stays).
#[test]
fn a_renewal_changes_what_differs_and_nothing_else() {
    let mut rig = bound();
    let socket = rig
        .stack
        .udp_bind(at("10.0.0.50:7"), UdpOptions::new())
        .unwrap();
    let question = server_asked_for(&mut rig);
    assert_eq!((question.target, question.sender), (PEER, GIVEN));
    rig.receive(arp_frame(&question.reply(PEER_MAC)));
    let renew = said(&mut rig);
    assert_eq!(
        (renew.kind(), renew.frame.dst),
        (MessageType::REQUEST, PEER_MAC)
    );
    assert_eq!(
        (renew.ends(), renew.message().ciaddr()),
        ((GIVEN, PEER), GIVEN)
    );
    let other = Ipv4Addr::new(10, 0, 0, 3);
    let ack = answer(&renew, MessageType::ACK).address(code::ROUTERS, other);
    rig.receive(frame((OUR_MAC, GIVEN), ack));
    let own = "10.0.0.50/24".parse().unwrap();
    assert_eq!(changes(&mut rig), [Change::LeaseRenewed(own)]);
    assert_eq!(way_to(&rig, "192.0.2.1"), Some(other.into()));
    assert_eq!(way_to(&rig, "10.0.0.9"), Some("10.0.0.9".parse().unwrap()));
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.50:7", b"x"));
    assert!(rig.stack.udp_recv(socket).is_ok());
    // Nothing is probed for or announced again.
    assert!(rig.drain().is_empty());
}

/// Covers: DHC-13. r54: what uses the address fails with it.
#[test]
fn r54_a_lease_that_ends_takes_all_of_it_away() {
    let mut rig = bound();
    rig.receive(arp_frame(&arp::Packet::request(PEER_MAC, PEER, GIVEN)));
    rig.drain();
    let socket = rig
        .stack
        .udp_bind(at("10.0.0.50:7"), UdpOptions::new())
        .unwrap();
    rig.advance(Duration::from_secs(u64::from(LEASE)));
    assert!(addresses(&rig).is_empty());
    assert_eq!(
        (way_to(&rig, "192.0.2.1"), way_to(&rig, "10.0.0.9")),
        (None, None)
    );
    assert!(rig.stack.lease(rig.on).is_none() && !rig.stack.is_ready(rig.on));
    assert_eq!(rig.stack.routes(rig.on).count(), 0);
    let told = changes(&mut rig);
    assert!(
        told.contains(&Change::LeaseLost(GIVEN, LossReason::Expired)),
        "{told:?}"
    );
    let refused = rig
        .stack
        .udp_send_to(rig.now, socket, Some(at("10.0.0.2:9")), b"x");
    assert!(refused.is_err());
    // And the search begins anew, with a hint.
    let last = all_said(&mut rig).pop().unwrap();
    assert_eq!(
        (last.kind(), last.ends()),
        (MessageType::DISCOVER, (ANY, ALL))
    );
    assert_eq!(last.message().address(code::REQUESTED_ADDRESS), Some(GIVEN));
}

/// Covers: DHC-14.
#[test]
fn a_server_that_refuses_ends_a_lease() {
    let mut rig = bound();
    let question = server_asked_for(&mut rig);
    rig.receive(arp_frame(&question.reply(PEER_MAC)));
    let renew = said(&mut rig);
    tell(&mut rig, answer(&renew, MessageType::NAK));
    assert!(addresses(&rig).is_empty());
    let told = changes(&mut rig);
    assert!(
        told.contains(&Change::LeaseLost(GIVEN, LossReason::Refused)),
        "{told:?}"
    );
    rig.advance(Duration::from_millis(1));
    assert_eq!(said(&mut rig).kind(), MessageType::DISCOVER);
}

/// Covers: DHC-15, DHC-16, ACD-3 (a conflict while it is probed for).
#[test]
fn an_address_that_another_has_is_declined() {
    let mut rig = rig();
    grant(&mut rig, routed);
    rig.advance(Duration::from_secs(1));
    all_said(&mut rig);
    rig.receive(arp_frame(&arp::Packet::request(OTHER_MAC, GIVEN, PEER)));
    let decline = said(&mut rig);
    assert_eq!(
        (decline.kind(), decline.ends()),
        (MessageType::DECLINE, (ANY, ALL))
    );
    assert_eq!(
        decline.message().address(code::REQUESTED_ADDRESS),
        Some(GIVEN)
    );
    assert!(addresses(&rig).is_empty());
    assert_eq!(rig.stack.routes(rig.on).count(), 0);
    let told = changes(&mut rig);
    assert!(
        told.contains(&Change::LeaseLost(GIVEN, LossReason::Conflict)),
        "{told:?}"
    );
    rig.advance(Duration::from_secs(9));
    assert!(all_said(&mut rig).is_empty());
    rig.advance(Duration::from_secs(2));
    grant(&mut rig, routed);
    rig.advance(PROBED);
    assert!(rig.stack.is_ready(rig.on), "the next time nobody has it");
}

/// RFC 5227 §2.4 (b): one that is in use is defended once; who claims it again within 10 s has it.
/// Covers: ACD-10, ACD-11.
#[test]
fn an_address_in_use_is_defended_once_and_then_declined() {
    let mut rig = bound();
    let claim = || arp_frame(&arp::Packet::announcement(OTHER_MAC, GIVEN));
    rig.receive(claim());
    let defence = rig.only().arp();
    assert!(defence.is_announcement() && defence.sender == GIVEN);
    rig.advance(Duration::from_secs(11));
    rig.receive(claim());
    assert!(
        rig.only().arp().is_announcement(),
        "a claim now and then is answered"
    );
    rig.receive(claim());
    let decline = said(&mut rig);
    assert_eq!(
        (decline.kind(), decline.ends()),
        (MessageType::DECLINE, (ANY, ALL))
    );
    assert!(addresses(&rig).is_empty());
}

/// Covers: DHC-17 (it leaves, though nobody was asked for the server's station, and though the address is gone).
#[test]
fn a_lease_is_given_back_and_taken_up_again() {
    let mut rig = bound();
    rig.stack.dhcp_release(rig.now, rig.on).unwrap();
    let release = said(&mut rig);
    assert_eq!(
        (release.kind(), release.frame.dst),
        (MessageType::RELEASE, PEER_MAC)
    );
    assert_eq!(
        (release.ends(), release.message().ciaddr()),
        ((GIVEN, PEER), GIVEN)
    );
    assert!(addresses(&rig).is_empty() && rig.stack.lease(rig.on).is_none());
    assert!(rig.stack.is_ready(rig.on), "nothing is waited for");
    rig.advance(Duration::from_secs(1000));
    assert!(rig.drain().is_empty());
    rig.stack.dhcp_start(rig.now, rig.on, Some(GIVEN)).unwrap();
    let request = said(&mut rig);
    assert_eq!(
        (request.kind(), request.ends()),
        (MessageType::REQUEST, (ANY, ALL))
    );
    tell(&mut rig, answer(&request, MessageType::ACK));
    rig.advance(PROBED);
    assert_eq!(addresses(&rig)[0].1, AddressState::Preferred);
}

/// Covers: DHC-11, DHC-21 (a kept address, and one that is held when the link comes up).
#[test]
fn a_kept_address_and_a_link_that_comes_up() {
    let mut rig = rig_with(DhcpOptions::new().previous(Some(GIVEN)));
    let request = said(&mut rig);
    assert_eq!(
        request.message().address(code::REQUESTED_ADDRESS),
        Some(GIVEN)
    );
    tell(&mut rig, routed(answer(&request, MessageType::ACK)));
    rig.advance(PROBED + Duration::from_secs(3));
    rig.drain();
    rig.stack.set_link(rig.now, rig.on, false).unwrap();
    rig.advance(Duration::from_secs(5));
    assert!(rig.drain().is_empty());
    rig.stack.set_link(rig.now, rig.on, true).unwrap();
    let confirm = said(&mut rig);
    assert_eq!(
        (confirm.kind(), confirm.ends()),
        (MessageType::REQUEST, (ANY, ALL))
    );
    tell(&mut rig, routed(answer(&confirm, MessageType::ACK)));
    assert_eq!(addresses(&rig)[0].1, AddressState::Preferred);
}

/// RFC 3442: in place of routers; some beyond the subnet, one on the link.
/// Covers: DHC-20.
#[test]
fn classless_routes_and_routers_beyond_the_subnet() {
    let routes: &[u8] = &[
        0, 192, 0, 2, 1, // a default route over who is not in the subnet
        24, 198, 51, 100, 10, 0, 0, 3, // over who is
        32, 203, 0, 113, 9, 0, 0, 0, 0, // on the link
    ];
    let with = |m: Builder| routed(m).option(code::CLASSLESS_ROUTES, routes);
    let rig = bound_with(with);
    for (to, hop) in [
        ("8.8.8.8", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.7", "10.0.0.3"),
        ("203.0.113.9", "203.0.113.9"),
        ("10.0.0.9", "10.0.0.9"),
    ] {
        assert_eq!(way_to(&rig, to), Some(hop.parse().unwrap()), "{to}");
    }
}

/// Those that the user gave come first, and stay.
#[test]
fn given_routes_come_before_leased_ones() {
    let own: IpAddr = "10.0.0.9".parse().unwrap();
    let config = interface(DhcpOptions::new()).gateway(own);
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
    grant(&mut rig, routed);
    rig.advance(PROBED);
    assert_eq!(way_to(&rig, "8.8.8.8"), Some(own));
    rig.stack.dhcp_release(rig.now, rig.on).unwrap();
    let left: Vec<_> = rig.stack.routes(rig.on).map(|route| route.via).collect();
    assert_eq!(left, [Some(own)]);
}

#[test]
fn what_is_not_wanted_of_a_lease_is_not_used() {
    let options = DhcpOptions::new().use_routes(false).use_mtu(false);
    let mut rig = rig_with(options);
    grant(&mut rig, |m| {
        routed(m).option(code::INTERFACE_MTU, &1000_u16.to_be_bytes())
    });
    rig.advance(PROBED);
    assert_eq!(way_to(&rig, "8.8.8.8"), None);
    assert_eq!(mtu(&rig), 1500);
    let lease = rig.stack.lease(rig.on).unwrap();
    assert_eq!((lease.routes.len(), lease.mtu), (1, Some(1000)));
}

fn mtu(rig: &Rig) -> usize {
    rig.stack.net.interfaces[0].mtu()
}

/// RFC 2132 §5.1, within the device's; RFC 8200 §5 where there is IPv6. It goes with the lease.
#[test]
fn the_mtu_of_a_lease() {
    for (said, v6, used) in [
        (1400, false, 1400),
        (9000, false, 1500),
        (576, false, 576),
        (576, true, 1280),
        (100, false, 1500),
    ] {
        let mut config = interface(DhcpOptions::new());
        if v6 {
            config = config.address("fd00::1/64".parse().unwrap());
        }
        let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
        let value = u16::to_be_bytes(said);
        grant(&mut rig, |m| m.option(code::INTERFACE_MTU, &value));
        assert_eq!(mtu(&rig), used, "{said}");
        rig.stack.dhcp_release(rig.now, rig.on).unwrap();
        assert_eq!(mtu(&rig), 1500, "{said}");
    }
}

/// T1 comes while the address is still probed for: what asks for more waits until it may leave from there, and no longer.
///
/// Covers: DHC-12, ACD-1.
#[test]
fn a_renewal_waits_for_the_end_of_probing() {
    let options = DhcpOptions::new().client_with(|client| {
        client.min_lease = Duration::from_secs(4);
    });
    let mut rig = rig_with(options);
    grant(&mut rig, |m| {
        let m = m.number(code::RENEWAL_TIME, 2);
        m.number(code::REBINDING_TIME, 900)
    });
    let begin = rig.now;
    for _ in 0..80 {
        rig.advance(Duration::from_millis(100));
        let frames = rig.drain();
        if addresses(&rig)[0].1 == AddressState::Tentative {
            assert!(frames.iter().all(|frame| frame.arp().is_probe()));
            continue;
        }
        let asks = |frame: &Seen| {
            let arp = frame.arp();
            (arp.target, arp.sender) == (PEER, GIVEN)
        };
        assert!(rig.now > begin + Duration::from_secs(2), "T1 came before");
        assert!(
            frames.iter().any(asks),
            "the server is asked for: {frames:?}"
        );
        assert_eq!(rig.drops(DropReason::IpTentative), 0);
        return;
    }
    panic!("never in use: {:?}", addresses(&rig));
}

/// Whoever takes a leased address away gives the lease back.
#[test]
fn a_leased_address_that_the_user_takes_away_is_given_back() {
    let mut rig = bound();
    let own = IpAddr::V4(GIVEN);
    rig.stack.remove_address(rig.now, rig.on, own).unwrap();
    assert_eq!(said(&mut rig).kind(), MessageType::RELEASE);
    assert!(rig.stack.lease(rig.on).is_none());
    assert_eq!(rig.stack.routes(rig.on).count(), 0);
    let told = changes(&mut rig);
    let lost = Change::LeaseLost(GIVEN, LossReason::Released);
    assert!(told.contains(&lost), "{told:?}");
    rig.advance(Duration::from_secs(u64::from(LEASE)));
    assert!(rig.drain().is_empty(), "nothing is asked for");
}

/// A lease of what cannot be ours is declined, for the server has to know; here a gateway's address.
#[test]
fn an_address_that_cannot_be_used_is_declined() {
    let config = interface(DhcpOptions::new()).gateway(GIVEN.into());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
    grant(&mut rig, routed);
    assert_eq!(said(&mut rig).kind(), MessageType::DECLINE);
    assert!(addresses(&rig).is_empty() && rig.stack.lease(rig.on).is_none());
    rig.advance(Duration::from_secs(9));
    assert!(rig.drain().is_empty());
}

/// What the user has set since stays when the lease goes.
#[test]
fn the_users_mtu_outlives_a_lease() {
    let mut rig = bound_with(|m| m.option(code::INTERFACE_MTU, &1400_u16.to_be_bytes()));
    assert_eq!(mtu(&rig), 1400);
    rig.stack.set_mtu(rig.now, rig.on, 1300).unwrap();
    rig.stack.dhcp_release(rig.now, rig.on).unwrap();
    assert_eq!(mtu(&rig), 1300);
}

/// The interface was given the address too: it stays when the lease goes.
#[test]
fn an_address_that_was_given_as_well() {
    let config = interface(DhcpOptions::new()).address("10.0.0.50/24".parse().unwrap());
    let mut rig = Rig::bare(Config::new(Seed::from_number(1)), config);
    grant(&mut rig, routed);
    rig.stack.dhcp_release(rig.now, rig.on).unwrap();
    let own = ("10.0.0.50/24".to_owned(), AddressState::Preferred);
    assert_eq!(addresses(&rig), [own]);
}

/// docs/limits.md: beside a flow of the user's, ten thousand answers of all kinds cost their look, and leave nothing.
#[test]
fn a_flood_of_answers_leaves_nothing() {
    let mut rig = bound();
    let socket = rig
        .stack
        .udp_bind(at("10.0.0.50:7"), UdpOptions::new())
        .unwrap();
    let before = rig.stack.footprint();
    let kinds = [MessageType::OFFER, MessageType::ACK, MessageType::NAK];
    for number in 0..10_000 {
        let forged = Builder::new(Operation::REPLY, kinds[number % 3], number as u32, OUR_MAC);
        let forged = forged.yiaddr(GIVEN).address(code::SERVER_ID, PEER);
        let to = [(MacAddr::BROADCAST, ALL), (OUR_MAC, GIVEN)][number % 2];
        rig.receive(frame(to, forged));
    }
    rig.receive(udp_frame("10.0.0.2:9", "10.0.0.50:7", b"x"));
    assert!(rig.stack.udp_recv(socket).is_ok());
    assert_eq!(rig.drops(DropReason::DhcpIgnored), 10_000);
    assert_eq!(rig.stack.footprint(), before);
    assert!(rig.drain().is_empty());
    assert!(rig.stack.lease(rig.on).is_some() && changes(&mut rig).is_empty());
}

/// A message that found no room in the outbox is sent again like one that was lost.
#[test]
fn a_device_that_is_full_at_first() {
    let mut rig = rig();
    rig.device().room = Some(0);
    rig.advance(Duration::from_secs(20));
    rig.device().room = None;
    let sent = all_said(&mut rig);
    assert!((2..=4).contains(&sent.len()), "{}", sent.len());
    tell(&mut rig, answer(&sent[0], MessageType::OFFER));
    assert_eq!(said(&mut rig).kind(), MessageType::REQUEST);
}

/// The clients of two interfaces know nothing of each other.
#[test]
fn one_client_each_interface() {
    let mut rig = rig();
    let second = interface(DhcpOptions::new()).mac(OTHER_MAC);
    let other = rig.stack.add_interface(rig.now, second).unwrap();
    grant(&mut rig, routed);
    assert!(rig.stack.lease(rig.on).is_some() && rig.stack.lease(other).is_none());
    assert!(!rig.stack.is_ready(other));
}

#[test]
fn interfaces_that_cannot_have_a_client() {
    let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    let mut refused = |medium, mtu, options| {
        let config = InterfaceConfig::new(&Capabilities::plain(medium, mtu)).dhcp(options);
        stack.add_interface(Instant::ZERO, config).unwrap_err()
    };
    let plain = DhcpOptions::new;
    assert_eq!(refused(Medium::Ip, 1500, plain()), ConfigError::DhcpMedium);
    let small = refused(Medium::Ethernet, 575, plain());
    assert_eq!(
        small.to_string(),
        "dhcp: mtu 575 is below 576, which every dhcp client takes"
    );
    let name = refused(Medium::Ethernet, 1500, plain().host_name(""));
    assert!(matches!(name, ConfigError::Dhcp(_)), "{name}");
}

/// What a router says of a prefix, once.
fn router_speaks(rig: &mut Rig) {
    let mut options = Vec::new();
    let prefix = PrefixInformation {
        prefix_len: 64,
        on_link: true,
        autonomous: true,
        valid_lifetime: 600,
        preferred_lifetime: 600,
        prefix: "2001:db8:1::".parse().unwrap(),
    };
    NdpOption::PrefixInformation(prefix).emit(&mut options);
    let message = NdpMessage::RouterAdvertisement {
        hop_limit: 64,
        flags: RouterFlags::empty(),
        lifetime: 1800,
        reachable_time: 0,
        retrans_timer: 0,
        options: Options::new(&options),
    };
    let router = "fe80::2".parse().unwrap();
    rig.receive(ndp_frame(PEER_MAC, router, ipv6::ALL_NODES, message));
}

/// Where routers are asked as well, one who answers is enough: which family there is nobody knows before. An address that
/// is probed for is waited for all the same.
#[test]
fn a_lease_or_a_router_makes_a_link_ready() {
    let auto = || {
        let config = interface(DhcpOptions::new()).router_discovery(true);
        let config = config.link_local(true).dad_transmits(0);
        Rig::bare(Config::new(Seed::from_number(1)), config)
    };
    let mut rig = auto();
    assert!(!rig.stack.is_ready(rig.on));
    grant(&mut rig, routed);
    assert!(!rig.stack.is_ready(rig.on), "its address is probed for");
    rig.advance(PROBED + Duration::from_secs(3));
    assert!(rig.stack.is_ready(rig.on));

    let mut rig = auto();
    rig.advance(Duration::from_secs(100));
    assert!(!rig.stack.is_ready(rig.on), "nobody has spoken");
    router_speaks(&mut rig);
    assert!(rig.stack.is_ready(rig.on));

    // By itself each waits for its own.
    let mut rig = rig_with(DhcpOptions::new());
    router_speaks(&mut rig);
    assert!(!rig.stack.is_ready(rig.on));
}
