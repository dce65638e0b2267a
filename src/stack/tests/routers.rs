//! Routers that are asked for and heard: addresses, routes, parameters, and who lies.

use super::*;
use crate::ipv6::ndp::{
    NdpOption, NeighborFlags, Options, Preference as Pref, PrefixInformation, RouterFlags,
};
use crate::stack::reconfigure::Change;

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const ROUTER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x99]);
const SECOND: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x98);
const SECOND_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x98]);
const FAR: &str = "[2001:db8:ffff::1]:7";

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An interface that has nothing but what routers say.
fn bare() -> InterfaceConfig {
    InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500))
        .mac(OUR_MAC)
        .report_own_groups(false)
        .dad_transmits(0)
        .router_discovery(true)
}

fn rig(change: impl FnOnce(InterfaceConfig) -> InterfaceConfig) -> Rig {
    Rig::bare(Config::new(Seed::from_number(1)), change(bare()))
}

/// What a router says.
#[derive(Clone, Debug)]
struct Say {
    from: Ipv6Addr,
    mac: MacAddr,
    hop_limit: u8,
    lifetime: u16,
    retrans: u32,
    flags: u8,
    options: Vec<u8>,
}

/// The first router, for half an hour, with its link address.
fn say() -> Say {
    let say = Say {
        from: ROUTER,
        mac: ROUTER_MAC,
        hop_limit: 0,
        lifetime: 1800,
        retrans: 0,
        flags: 0,
        options: Vec::new(),
    };
    say.option(&NdpOption::SourceLinkAddress(ROUTER_MAC))
}

/// The same of the second one.
fn second() -> Say {
    let say = Say {
        from: SECOND,
        mac: SECOND_MAC,
        options: Vec::new(),
        ..say()
    };
    say.option(&NdpOption::SourceLinkAddress(SECOND_MAC))
}

impl Say {
    fn option(mut self, option: &NdpOption<'_>) -> Self {
        option.emit(&mut self.options);
        self
    }

    fn prefix(self, prefix: &str, flags: &str, valid: u32, preferred: u32) -> Self {
        let cidr: Cidr = prefix.parse().unwrap();
        let IpAddr::V6(prefix) = cidr.address() else {
            panic!("{cidr}");
        };
        self.option(&NdpOption::PrefixInformation(PrefixInformation {
            prefix_len: cidr.prefix(),
            on_link: flags.contains('L'),
            autonomous: flags.contains('A'),
            valid_lifetime: valid,
            preferred_lifetime: preferred,
            prefix,
        }))
    }

    fn frame(&self) -> Vec<u8> {
        let message = Message::RouterAdvertisement {
            hop_limit: self.hop_limit,
            flags: RouterFlags::from_bits_retain(self.flags),
            lifetime: self.lifetime,
            reachable_time: 0,
            retrans_timer: self.retrans,
            options: Options::new(&self.options),
        };
        ndp_frame(self.mac, self.from, ipv6::ALL_NODES, message)
    }

    fn to(&self, rig: &mut Rig) {
        rig.receive(self.frame());
    }
}

/// The addresses of a network and how far each has come.
fn addresses(rig: &Rig, network: &str) -> Vec<(Ipv6Addr, AddressState)> {
    let network: Cidr = network.parse().unwrap();
    let all = rig.stack.addresses(rig.on);
    let within = all.filter(|(cidr, _)| network.contains(cidr.address()));
    let v6 = within.map(|(cidr, state)| match cidr.address() {
        IpAddr::V6(a) => (a, state),
        IpAddr::V4(a) => panic!("{a}"),
    });
    v6.collect()
}

/// Sends a datagram; what leaves for that.
fn send(rig: &mut Rig, to: &str) -> Vec<Seen> {
    let any = "[::]:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let sent = rig
        .stack
        .udp_send_to(rig.now, id, Some(to.parse().unwrap()), b"hello");
    let frames = rig.drain();
    rig.stack.udp_close(id);
    sent.map(|_| frames).unwrap_or_default()
}

/// The only frame that leaves is a datagram: to whom, and from whom.
fn sent(rig: &mut Rig, to: &str) -> (MacAddr, Ipv6Addr) {
    let frames = send(rig, to);
    let [frame] = &frames[..] else {
        panic!("{to}: {frames:?}");
    };
    assert!(frame.packet.ends_with(b"hello"), "{frame:?}");
    (frame.dst, frame.v6().0.src)
}

fn changes(rig: &mut Rig) -> Vec<Change> {
    core::iter::from_fn(|| rig.stack.poll_change())
        .map(|(_, change)| change)
        .collect()
}

/// The questions for routers among what leaves: who asks, and with what link address.
fn solicitations(rig: &mut Rig) -> Vec<(Ipv6Addr, Option<MacAddr>)> {
    let mut all = Vec::new();
    for frame in rig.drain() {
        if frame.kind != EtherType::IPV6 {
            continue;
        }
        let (fields, payload) = frame.v6();
        let Ok(Icmpv6::Ndp(Message::RouterSolicitation { options })) =
            Icmpv6::parse(payload, fields.src, fields.dst)
        else {
            continue;
        };
        assert_eq!((fields.dst, fields.hop_limit), (ipv6::ALL_ROUTERS, 255));
        assert_eq!(frame.dst, ethernet::ipv6_multicast(ipv6::ALL_ROUTERS));
        all.push((fields.src, options.source_link_address()));
    }
    all
}

/// Covers: NDP-7, NDP-8, NDP-9: from nobody while no address may be used, and then from the link-local one.
#[test]
fn routers_are_asked_for_until_one_answers() {
    let mut rig = rig(|config| config.dad_transmits(3));
    rig.advance(secs(1));
    assert_eq!(solicitations(&mut rig), [(Ipv6Addr::UNSPECIFIED, None)]);
    rig.advance(secs(30));
    let asked = solicitations(&mut rig);
    assert_eq!(asked.len(), 3, "after 4, 8 and 16 s: {asked:?}");
    let local = addresses(&rig, "fe80::/10")[0].0;
    assert!(
        asked.iter().all(|&who| who == (local, Some(OUR_MAC))),
        "{asked:?}"
    );
    // Who is no default router is no answer.
    Say {
        lifetime: 0,
        ..say()
    }
    .to(&mut rig);
    rig.advance(secs(40));
    assert_eq!(solicitations(&mut rig).len(), 1);
    say().to(&mut rig);
    rig.advance(secs(1000));
    assert_eq!(solicitations(&mut rig), []);
    assert_eq!(rig.stack.counters().router_solicits_sent, 5);
    // Its lifetime ends: it is asked for again.
    rig.advance(secs(801));
    assert_eq!(solicitations(&mut rig).len(), 1);

    let mut off = self::rig(|config| config.router_discovery(false));
    off.advance(secs(1000));
    assert_eq!(solicitations(&mut off), []);
    say().prefix("2001:db8:1::/64", "LA", 600, 600).to(&mut off);
    assert_eq!(off.drops(DropReason::IcmpIgnored), 1);
    assert_eq!(addresses(&off, "2001:db8:1::/64"), []);
}

/// A question that finds no room, or a device that is full, is asked later.
#[test]
fn a_question_for_routers_waits_for_the_device() {
    let mut rig = rig(|config| config);
    rig.device().room = Some(0);
    rig.advance(secs(100));
    rig.device().room = None;
    assert_eq!(
        solicitations(&mut rig).len(),
        1,
        "it stood in the outbox, alone"
    );
    rig.advance(secs(5));
    assert_eq!(solicitations(&mut rig).len(), 1, "4 s after it left");
}

/// Covers: SLA-9, NDP-10, NDP-38 (as an entry): the address is probed for, then used over the router, whose link
/// address is known by its own word.
#[test]
fn an_address_is_formed_probed_for_and_used() {
    let mut rig = rig(|config| config.dad_transmits(1));
    rig.advance(secs(3));
    rig.drain();
    say().prefix("2001:db8:1::/64", "A", 600, 600).to(&mut rig);
    let [(formed, AddressState::Tentative)] = addresses(&rig, "2001:db8:1::/64")[..] else {
        panic!("{:?}", addresses(&rig, "::/0"));
    };
    assert!(!rig.stack.is_ready(rig.on));
    let probe = rig.only();
    assert_eq!(
        probe.dst,
        ethernet::ipv6_multicast(ipv6::solicited_node(formed))
    );
    rig.advance(secs(1));
    assert_eq!(
        addresses(&rig, "2001:db8:1::/64"),
        [(formed, AddressState::Preferred)]
    );
    assert!(rig.stack.is_ready(rig.on));
    assert_eq!(sent(&mut rig, FAR), (ROUTER_MAC, formed));
    let told = changes(&mut rig);
    assert!(
        told.contains(&Change::RouterFound(IpAddr::V6(ROUTER))),
        "{told:?}"
    );
    let address = Cidr::new(IpAddr::V6(formed), 64).unwrap();
    assert!(
        told.contains(&Change::AddressPreferred(address)),
        "{told:?}"
    );
    // Packets to it are ours.
    let frames = rig.stack.counters().echo_replies_sent;
    let request = echo_request(ROUTER, formed);
    rig.receive(request);
    assert_eq!(rig.stack.counters().echo_replies_sent, frames + 1);
}

fn echo_request(src: Ipv6Addr, dst: Ipv6Addr) -> Vec<u8> {
    let message = Icmpv6::EchoRequest {
        id: 1,
        seq: 1,
        data: b"hello",
    };
    let mut body = vec![0; message.len()];
    message.emit(src, dst, &mut body);
    ip_frame(src.into(), dst.into(), Protocol::ICMPV6, &body)
}

/// Covers: NDP-15. RFC 5942 §4: what shares the address's prefix is on the link only when a router says so.
#[test]
fn an_address_alone_puts_no_prefix_on_the_link() {
    let mut rig = rig(|config| config);
    say().prefix("2001:db8:1::/64", "A", 600, 600).to(&mut rig);
    assert_eq!(sent(&mut rig, "[2001:db8:1::5]:7").0, ROUTER_MAC);
    say().prefix("2001:db8:1::/64", "L", 600, 600).to(&mut rig);
    let asked = send(&mut rig, "[2001:db8:1::5]:7");
    let (fields, _) = asked[0].icmp6();
    let group = ipv6::solicited_node("2001:db8:1::5".parse().unwrap());
    assert_eq!(fields.dst, group, "its neighbour is asked for");
    say().prefix("2001:db8:1::/64", "L", 0, 0).to(&mut rig);
    rig.drain();
    assert_eq!(sent(&mut rig, "[2001:db8:1::6]:7").0, ROUTER_MAC);
}

/// Covers: SLA-11, SLA-12: deprecated it is a source where there is no other, and still ours; then it is nobody's.
#[test]
fn an_address_is_deprecated_and_then_gone() {
    let mut rig = rig(|config| config);
    say().prefix("2001:db8:1::/64", "A", 600, 300).to(&mut rig);
    say()
        .prefix("2001:db8:2::/64", "A", 6000, 6000)
        .to(&mut rig);
    let first = addresses(&rig, "2001:db8:1::/64")[0].0;
    let other = addresses(&rig, "2001:db8:2::/64")[0].0;
    let to = "[2001:db8:1:5::1]:7";
    assert_eq!(sent(&mut rig, to).1, first, "the longest prefix");
    rig.advance(secs(299));
    assert_eq!(
        addresses(&rig, "2001:db8:1::/64"),
        [(first, AddressState::Preferred)]
    );
    rig.advance(secs(1));
    assert_eq!(
        addresses(&rig, "2001:db8:1::/64"),
        [(first, AddressState::Deprecated)]
    );
    say().to(&mut rig);
    rig.drain();
    assert_eq!(send(&mut rig, to).last().unwrap().v6().0.src, other);
    rig.receive(echo_request(ROUTER, first));
    assert_eq!(rig.stack.counters().echo_replies_sent, 1);
    rig.advance(secs(300));
    assert_eq!(addresses(&rig, "2001:db8:1::/64"), []);
    rig.receive(echo_request(ROUTER, first));
    assert_eq!(
        (
            rig.drops(DropReason::IpNotOurs),
            rig.stack.counters().echo_replies_sent
        ),
        (1, 1)
    );
    let told = changes(&mut rig);
    let cidr = Cidr::new(IpAddr::V6(first), 64).unwrap();
    for change in [Change::AddressDeprecated(cidr), Change::AddressGone(cidr)] {
        assert_eq!(
            told.iter().filter(|&c| *c == change).count(),
            1,
            "{change:?}"
        );
    }
}

/// Covers: PRV-3, SLA-8: another station has it: it is not used, and another one is made a second later.
#[test]
fn a_duplicate_gives_way_to_another() {
    let mut rig = rig(|config| config.dad_transmits(1));
    rig.advance(secs(3));
    say()
        .prefix("2001:db8:1::/64", "A", 6000, 6000)
        .to(&mut rig);
    let mut seen = Vec::new();
    for tries in 0..4 {
        let all = addresses(&rig, "2001:db8:1::/64");
        let [(formed, AddressState::Tentative)] = all[..] else {
            panic!("{tries}: {all:?}");
        };
        assert!(!seen.contains(&formed));
        seen.push(formed);
        rig.drain();
        let flags = NeighborFlags::OVERRIDE;
        rig.receive(advertisement(flags, OTHER_MAC, formed, ipv6::ALL_NODES));
        assert_eq!(addresses(&rig, "2001:db8:1::/64"), [], "it is gone");
        rig.advance(Duration::from_millis(1100));
    }
    assert_eq!(addresses(&rig, "2001:db8:1::/64"), [], "no fifth");
    say()
        .prefix("2001:db8:1::/64", "A", 6000, 6000)
        .to(&mut rig);
    rig.advance(secs(100));
    assert_eq!(addresses(&rig, "2001:db8:1::/64"), []);
    assert_eq!(rig.stack.counters().addresses_duplicate, 4);
    let conflicts = rig.stack.conflict_count(rig.on);
    assert!(conflicts <= 4, "{conflicts}");
}

/// Covers: PRV-5, SEL-4. RFC 6724 §5, rule 7: the temporary one is the source.
#[test]
fn a_temporary_address_is_the_source() {
    for temporary in [false, true] {
        let mut rig = rig(|config| config.temporary_addresses(temporary));
        say().prefix("2001:db8:1::/64", "A", 600, 600).to(&mut rig);
        let all = addresses(&rig, "2001:db8:1::/64");
        assert_eq!(all.len(), 1 + usize::from(temporary));
        assert_eq!(sent(&mut rig, FAR).1, all.last().unwrap().0);
    }
}

/// RFC 7217 for the link-local address, as a setting: another one after a duplicate, where the EUI-64's is given up.
#[test]
fn a_link_local_address_may_be_opaque() {
    let opaque = |config: InterfaceConfig| config.stable_link_local(true).dad_transmits(1);
    let local = |rig: &Rig| addresses(rig, "fe80::/10");
    let (again, eui64) = (rig(opaque), rig(|config| config));
    let eui64 = local(&eui64)[0].0;
    let other = rig(|config| opaque(config).stable_secret([7; 16]));
    let mut rig = rig(opaque);
    let [(first, AddressState::Tentative)] = local(&rig)[..] else {
        panic!("{:?}", local(&rig));
    };
    assert_ne!(first, eui64);
    assert_eq!(local(&again)[0].0, first, "the same each time");
    assert_ne!(local(&other)[0].0, first);
    let flags = NeighborFlags::OVERRIDE;
    rig.receive(advertisement(flags, OTHER_MAC, first, ipv6::ALL_NODES));
    rig.advance(secs(5));
    let [(next, AddressState::Preferred)] = local(&rig)[..] else {
        panic!("{:?}", local(&rig));
    };
    assert_ne!(next, first);
}

/// Covers: NDP-13, NDP-14, IP6-29: hops, time between questions, MTU.
#[test]
fn a_router_s_word_on_the_link_is_heeded() {
    let mut rig = rig(|config| config);
    let mtu = NdpOption::Mtu(1400);
    let told = Say {
        hop_limit: 77,
        retrans: 3000,
        ..say().prefix("2001:db8:1::/64", "LA", 600, 600).option(&mtu)
    };
    told.to(&mut rig);
    rig.drain();
    let frames = send(&mut rig, FAR);
    assert_eq!(frames[0].v6().0.hop_limit, 77);
    rig.receive(echo_request(
        ROUTER,
        addresses(&rig, "2001:db8:1::/64")[0].0,
    ));
    assert_eq!(rig.drain()[0].v6().0.hop_limit, 77);
    assert_eq!(
        rig.stack
            .resolve_route("2001:db8:1::5".parse().unwrap())
            .unwrap()
            .0,
        rig.on
    );
    let route = rig
        .stack
        .net
        .route("2001:db8:ffff::1".parse().unwrap(), None)
        .unwrap();
    assert_eq!(route.mtu, 1400);
    // Questions for a neighbour are three, 3 s apart.
    send(&mut rig, "[2001:db8:1::5]:7");
    let asked = |rig: &mut Rig| {
        let group = |frame: &&Seen| frame.dst.octets()[0] & 1 == 1;
        rig.drain().iter().filter(group).count()
    };
    for _ in 0..2 {
        rig.advance(Duration::from_millis(2999));
        assert_eq!(asked(&mut rig), 0);
        rig.advance(Duration::from_millis(1));
        assert_eq!(asked(&mut rig), 1);
    }
    // What a router does not say any more stays (NDP-12).
    say().to(&mut rig);
    assert_eq!(send(&mut rig, FAR).last().unwrap().v6().0.hop_limit, 77);
}

/// Covers: NDP-17, NDP-21: the preferred one that answers; whoever sends over one that goes is led elsewhere at once.
#[test]
fn flows_follow_the_routers_that_are_left() {
    let mut rig = rig(|config| config);
    say()
        .prefix("2001:db8:1::/64", "A", 60_000, 60_000)
        .to(&mut rig);
    second().to(&mut rig);
    rig.drain();
    let any = "[::]:0".parse().unwrap();
    let id = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let to: SocketAddr = FAR.parse().unwrap();
    rig.stack.udp_connect(id, to).unwrap();
    let over = |rig: &mut Rig| {
        rig.stack.udp_send_to(rig.now, id, None, b"hello").unwrap();
        let frames = rig.drain();
        let data: Vec<_> = frames
            .iter()
            .filter(|f| f.packet.ends_with(b"hello"))
            .collect();
        assert_eq!(data.len(), 1, "{frames:?}");
        data[0].dst
    };
    assert_eq!(over(&mut rig), ROUTER_MAC, "the first of equals");
    let high = Say {
        flags: 1 << 3,
        ..second()
    };
    high.to(&mut rig);
    assert_eq!(over(&mut rig), SECOND_MAC, "the preferred one");
    // It does not answer: three questions after 5 s, and another is there.
    rig.advance(secs(5));
    let answers = NeighborFlags::SOLICITED | NeighborFlags::ROUTER;
    let own = addresses(&rig, "2001:db8:1::/64")[0].0;
    rig.receive(advertisement(answers, ROUTER_MAC, ROUTER, own));
    rig.advance(secs(4));
    assert_eq!(over(&mut rig), ROUTER_MAC, "the other one answers");
    high.to(&mut rig);
    rig.advance(secs(1));
    Say {
        lifetime: 0,
        ..say()
    }
    .to(&mut rig);
    assert_eq!(over(&mut rig), SECOND_MAC, "the only one that is left");
    Say {
        lifetime: 0,
        ..second()
    }
    .to(&mut rig);
    assert_eq!(rig.stack.routers(rig.on).count(), 0);
    let told = changes(&mut rig);
    for change in [
        Change::RouterLost(ROUTER.into()),
        Change::RouterLost(SECOND.into()),
    ] {
        assert!(told.contains(&change), "{told:?}");
    }
    assert_eq!(send(&mut rig, FAR).len(), 0, "no route");
}

/// Covers: NDP-31: a router whose advertisement has no R any more is none.
#[test]
fn who_says_that_it_is_no_router_is_none() {
    #[rustfmt::skip]
    let rows = [
        (NeighborFlags::ROUTER | NeighborFlags::OVERRIDE, ROUTER_MAC, true,  "it is"),
        (NeighborFlags::OVERRIDE,                         ROUTER_MAC, false, "it is not"),
        (NeighborFlags::empty(),                          OTHER_MAC,  true,  "not taken for true"),
    ];
    for (flags, mac, stays, why) in rows {
        let mut rig = rig(|config| config);
        say().prefix("2001:db8:1::/64", "A", 600, 600).to(&mut rig);
        rig.receive(advertisement(flags, mac, ROUTER, ipv6::ALL_NODES));
        assert_eq!(
            rig.stack.routers(rig.on).count(),
            usize::from(stays),
            "{why}"
        );
        assert_eq!(send(&mut rig, FAR).is_empty(), !stays, "{why}");
    }
}

/// Covers: NDP-20 (to the user).
#[test]
fn servers_and_domains_are_told_to_the_user() {
    let mut rig = rig(|config| config);
    let servers = ["2001:db8::53".parse::<Ipv6Addr>().unwrap().octets()];
    let [servers_of, domains_of] = [600, 0].map(|lifetime| {
        let servers = NdpOption::RecursiveDns {
            lifetime,
            servers: &servers,
        };
        let domains = NdpOption::DnsSearchList {
            lifetime,
            domains: b"\x03lab\x00\x00\x00\x00",
        };
        say().option(&servers).option(&domains)
    });
    servers_of.to(&mut rig);
    let servers: Vec<_> = rig.stack.told_dns_servers(rig.on).collect();
    assert_eq!(servers, ["2001:db8::53".parse::<Ipv6Addr>().unwrap()]);
    let domains: Vec<_> = rig.stack.told_dns_domains(rig.on).collect();
    assert_eq!(domains, ["lab"]);
    assert!(changes(&mut rig).contains(&Change::Dns));
    domains_of.to(&mut rig);
    assert_eq!(rig.stack.told_dns_servers(rig.on).count(), 0);
    assert_eq!(rig.stack.told_dns_domains(rig.on).count(), 0);
    Say {
        flags: 0xc0,
        ..say()
    }
    .to(&mut rig);
    let both = RouterFlags::MANAGED | RouterFlags::OTHER;
    assert_eq!(rig.stack.router_flags(rig.on), both);
}

/// docs/limits.md: whatever a flood of advertisements says, it fills its share, and what was there stays in use.
#[test]
fn a_flood_of_routers_takes_nothing_from_those_that_are_there() {
    let mut rig = rig(|config| config);
    say()
        .prefix("2001:db8:1::/64", "LA", 60_000, 60_000)
        .to(&mut rig);
    let formed = addresses(&rig, "2001:db8:1::/64")[0].0;
    rig.drain();
    let mut liar = 0;
    for _ in 0..60 {
        for _ in 0..100 {
            liar += 1_u16;
            let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 1, 0, liar);
            let mut lie = Say {
                from,
                mac: OTHER_MAC,
                options: Vec::new(),
                ..say()
            };
            lie.flags = if liar % 2 == 0 { 0 } else { 3 << 3 };
            let (a, b) = (liar, liar.wrapping_mul(7));
            lie = lie.prefix(&format!("2001:db8:{a:x}:1::/64"), "LA", 9000, 9000);
            lie = lie.prefix(&format!("2001:db8:{b:x}:2::/64"), "LA", 9000, 9000);
            lie.to(&mut rig);
        }
        rig.advance(secs(1));
        rig.drain();
    }
    assert!(rig.drops(DropReason::RouterFlood) > 4000);
    assert!(rig.stack.counters().router_words_refused > 100);
    assert_eq!(rig.stack.routers(rig.on).count(), 16);
    let routes = rig.stack.routes(rig.on).count();
    assert!(
        routes <= 16 + 16 + 1,
        "{routes}: routers, prefixes, and the link-local one"
    );
    assert!(rig.stack.addresses(rig.on).count() <= 16 + 1);
    assert_eq!(
        addresses(&rig, "2001:db8:1::/64")[0],
        (formed, AddressState::Preferred)
    );
    assert!(rig.stack.net.neighbours.len() <= 17);
    let over = rig
        .stack
        .net
        .route("2001:db8:ffff::1".parse().unwrap(), None)
        .unwrap();
    assert_eq!(over.next_hop, IpAddr::V6(ROUTER), "the first of equals");
}

/// Covers: PRV-10: on another link nothing of the first one is kept.
#[test]
fn after_the_link_was_down_the_first_router_says_where_we_are() {
    for same in [true, false] {
        let mut rig = rig(|config| config.temporary_addresses(true));
        let home = say().prefix("2001:db8:1::/64", "LA", 6000, 6000);
        home.to(&mut rig);
        assert_eq!(addresses(&rig, "2001:db8:1::/64").len(), 2);
        rig.stack.set_link(rig.now, rig.on, false).unwrap();
        rig.advance(secs(10));
        rig.drain();
        rig.stack.set_link(rig.now, rig.on, true).unwrap();
        rig.advance(secs(1));
        assert_eq!(solicitations(&mut rig).len(), 1, "routers are asked for");
        let away = say().prefix("2001:db8:2::/64", "LA", 6000, 6000);
        if same { home } else { away }.to(&mut rig);
        let left = addresses(&rig, "2001:db8:1::/64").len();
        assert_eq!(left, if same { 2 } else { 0 });
        assert_eq!(addresses(&rig, "2001:db8:2::/64").len(), 2 - left);
    }
}

/// Nobody is a router with our own address.
#[test]
fn our_own_address_is_no_router() {
    let mut rig = rig(|config| config);
    let own = addresses(&rig, "fe80::/10")[0].0;
    Say { from: own, ..say() }.to(&mut rig);
    assert_eq!(
        (
            rig.drops(DropReason::IpSource),
            rig.stack.routers(rig.on).count()
        ),
        (1, 0)
    );
}

/// RFC 4191 §2.3, §3.1: a route of its own leads over who tells of it.
#[test]
fn a_route_leads_over_who_tells_of_it() {
    let mut rig = rig(|config| config);
    say().prefix("2001:db8:1::/64", "A", 600, 600).to(&mut rig);
    let route = |lifetime| NdpOption::RouteInformation {
        prefix_len: 48,
        preference: Pref::Low,
        lifetime,
        prefix: "2001:db8:ffff::".parse().unwrap(),
    };
    Say {
        lifetime: 0,
        ..second()
    }
    .option(&route(600))
    .to(&mut rig);
    assert_eq!(sent(&mut rig, FAR).0, SECOND_MAC);
    assert_eq!(sent(&mut rig, "[2001:db8:fffe::1]:7").0, ROUTER_MAC);
    Say {
        lifetime: 0,
        ..second()
    }
    .option(&route(0))
    .to(&mut rig);
    assert_eq!(sent(&mut rig, FAR).0, ROUTER_MAC);
}

const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x547);

/// The first router, by whose word there are servers of DHCPv6.
fn with_servers(flags: u8) -> Say {
    Say { flags, ..say() }.prefix("2001:db8:1::/64", "LA", 60_000, 60_000)
}

/// The questions to servers of DHCPv6 among what leaves: from whom, and what.
fn questions(rig: &mut Rig) -> Vec<(Ipv6Addr, Vec<u8>)> {
    let mut all = Vec::new();
    let servers: Ipv6Addr = "ff02::1:2".parse().unwrap();
    for frame in rig.drain() {
        if frame.kind != EtherType::IPV6 || frame.v6().0.dst != servers {
            continue;
        }
        assert_eq!(frame.dst, ethernet::ipv6_multicast(servers));
        let (fields, payload) = frame.v6();
        assert_eq!((fields.next_header, fields.hop_limit), (Protocol::UDP, 1));
        let (header, data) = crate::udp::Header::parse(payload).unwrap();
        assert_eq!((header.src_port(), header.dst_port()), (546, 547));
        all.push((fields.src, data.to_vec()));
    }
    all
}

/// What a server says to a question: these servers and domains of DNS.
fn answer(question: &[u8], servers: &[Ipv6Addr], domains: &[u8]) -> Vec<u8> {
    let mut bytes = vec![7, question[1], question[2], question[3]];
    let servers: Vec<u8> = servers.iter().flat_map(|s| s.octets()).collect();
    for (code, data) in [
        (1, &question[8..18]),
        (2, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 9][..]),
        (23, &servers[..]),
        (24, domains),
    ] {
        bytes.extend_from_slice(&[0, code, 0, u8::try_from(data.len()).unwrap()]);
        bytes.extend_from_slice(data);
    }
    bytes
}

/// A server speaks to one of our addresses.
fn serve(rig: &mut Rig, to: Ipv6Addr, data: &[u8]) {
    let (from, to) = (format!("[{SERVER}]:547"), format!("[{to}]:546"));
    rig.receive(udp_frame(&from, &to, data));
}

/// Covers: D6-1, D6-10: by M or O, once the link-local address is in use; and nobody without.
#[test]
fn servers_are_asked_where_a_router_says_so() {
    for (flags, asks) in [(0, false), (0x40, true), (0x80, true), (0xc0, true)] {
        let mut rig = rig(|config| config.dad_transmits(1));
        with_servers(flags).to(&mut rig);
        assert_eq!(questions(&mut rig), [], "not at once");
        rig.advance(secs(10));
        let asked = questions(&mut rig);
        assert_eq!(!asked.is_empty(), asks, "{flags:x}");
        let local = addresses(&rig, "fe80::/10")[0].0;
        assert!(asked.iter().all(|(from, _)| *from == local), "{asked:?}");
        assert_eq!(rig.stack.dhcp6_counters(rig.on).is_some(), asks);
    }
}

/// Covers: D6-8, D6-10: what a server tells is told to the user, before what routers do; no socket hears it.
#[test]
fn a_server_tells_of_dns_before_routers_do() {
    let mut rig = rig(|config| config);
    let any = "[::]:546".parse().unwrap();
    let socket = rig.stack.udp_bind(any, UdpOptions::new()).unwrap();
    let of = |n: u16| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n);
    let told: Vec<[u8; 16]> = (4..12).map(|n| of(n).octets()).collect();
    let both = with_servers(0x40)
        .option(&NdpOption::RecursiveDns {
            lifetime: 6000,
            servers: &told,
        })
        .option(&NdpOption::DnsSearchList {
            lifetime: 6000,
            domains: b"\x03lab\x00\x00\x00\x00",
        });
    both.to(&mut rig);
    changes(&mut rig);
    rig.advance(secs(1));
    let (from, question) = questions(&mut rig).remove(0);
    let servers: Vec<Ipv6Addr> = (0..8).map(of).collect();
    let said = answer(&question, &servers, b"\x03LAB\x00\x02ex\x00");
    // Not to the address that it came from, it is no answer to the client.
    let global = addresses(&rig, "2001:db8:1::/64")[0].0;
    serve(&mut rig, global, &said);
    assert!(rig.stack.udp_recv(socket).is_ok(), "a socket hears it");
    assert_eq!(rig.stack.told_information(rig.on), None);
    serve(&mut rig, from, &said);
    assert!(rig.stack.udp_recv(socket).is_err());
    assert!(changes(&mut rig).contains(&Change::Dns));
    // Four of the server's, and the four that routers alone tell of.
    let all: Vec<_> = rig.stack.told_dns_servers(rig.on).collect();
    let expected = [0, 1, 2, 3, 8, 9, 10, 11].map(of);
    assert_eq!(all, expected);
    let domains: Vec<_> = rig.stack.told_dns_domains(rig.on).collect();
    assert_eq!(domains, ["LAB", "ex"]);
    rig.advance(secs(50_000));
    assert_eq!(questions(&mut rig), [], "a day has not gone by");
}

/// Covers: D6-4: a flood of forged answers costs its look, and what was told stays.
#[test]
fn a_flood_of_answers_that_nobody_asked_for_changes_nothing() {
    let mut rig = rig(|config| config);
    with_servers(0x40).to(&mut rig);
    rig.advance(secs(1));
    let (from, question) = questions(&mut rig).remove(0);
    let good = ["fd00::53".parse().unwrap()];
    for forged in 0..10_000_u32 {
        let mut lie = answer(&question, &["fd00::bad".parse().unwrap()], &[]);
        lie[1..4].copy_from_slice(&forged.to_be_bytes()[1..]);
        if lie[1..4] != question[1..4] {
            serve(&mut rig, from, &lie);
        }
    }
    assert!(rig.drops(DropReason::DhcpIgnored) >= 9999);
    serve(&mut rig, from, &answer(&question, &good, &[]));
    for _ in 0..100 {
        let lie = answer(&question, &["fd00::bad".parse().unwrap()], &[]);
        serve(&mut rig, from, &lie);
    }
    let told: Vec<_> = rig.stack.told_dns_servers(rig.on).collect();
    assert_eq!(told, good);
    assert!(rig.drops(DropReason::DhcpIgnored) >= 10_099);
    assert_eq!(rig.stack.dhcp6_counters(rig.on).unwrap().requests, 1);
}

/// Covers: D6-9: another prefix, or another link: asked again; what the last link's server told goes with that.
#[test]
fn servers_are_asked_again_where_the_link_is_another() {
    let mut rig = rig(|config| config);
    with_servers(0x40).to(&mut rig);
    rig.advance(secs(1));
    let (from, question) = questions(&mut rig).remove(0);
    let good = ["fd00::53".parse().unwrap()];
    serve(&mut rig, from, &answer(&question, &good, &[]));
    rig.advance(secs(100));
    assert_eq!(questions(&mut rig), []);
    let more = with_servers(0x40).prefix("2001:db8:2::/64", "LA", 60_000, 60_000);
    more.to(&mut rig);
    rig.advance(secs(1));
    let (_, question) = questions(&mut rig).remove(0);
    serve(&mut rig, from, &answer(&question, &good, &[]));
    rig.stack.set_link(rig.now, rig.on, false).unwrap();
    rig.advance(secs(90_000));
    assert_eq!(questions(&mut rig), [], "the link is down");
    rig.stack.set_link(rig.now, rig.on, true).unwrap();
    rig.advance(secs(1));
    assert!(!questions(&mut rig).is_empty(), "it may be another one");
    assert_eq!(rig.stack.told_dns_servers(rig.on).count(), 1);
    changes(&mut rig);
    say()
        .prefix("2001:db8:3::/64", "LA", 6000, 6000)
        .to(&mut rig);
    assert_eq!(rig.stack.told_dns_servers(rig.on).count(), 0);
    assert!(changes(&mut rig).contains(&Change::Dns));
    rig.advance(secs(100));
    assert_eq!(
        questions(&mut rig),
        [],
        "no router there says that there are servers"
    );
}

/// Covers: SEL-5 (what goes over a router goes from a prefix of its own).
#[test]
fn a_router_is_sent_to_from_its_own_prefix() {
    let mut rig = rig(|config| config);
    let [one, two] = ["2001:db8:1::/64", "2001:db8:2::/64"];
    say().prefix(one, "A", 1800, 1800).to(&mut rig);
    second().prefix(two, "A", 1800, 1800).to(&mut rig);
    rig.drain();
    let [one, two] = [one, two].map(|network| addresses(&rig, network)[0].0);
    // By its bits alone the other one were closer.
    let to = "[2001:db8:2:ffff::1]:7";
    assert_eq!(sent(&mut rig, to), (ROUTER_MAC, one));
    let gone = Say {
        lifetime: 0,
        ..say()
    };
    gone.to(&mut rig);
    assert_eq!(sent(&mut rig, to), (SECOND_MAC, two));
    // And nothing more is known of it.
    let far = "2001:db8:2:ffff::1".parse().unwrap();
    let addresses = &rig.stack.net.interfaces[rig.on.index()].addresses;
    assert_eq!(addresses.source(far, ROUTER.into()), Some(two.into()));
}

/// An interface with a link-local address that was probed for, and one of a router's prefix that is used at once.
fn hopeful() -> (Rig, Ipv6Addr) {
    let mut rig = rig(|config| config.dad_transmits(1).optimistic_dad(true));
    let [(_, state)] = addresses(&rig, "fe80::/64")[..] else {
        panic!("one");
    };
    assert_eq!(state, AddressState::Tentative, "nobody knows a router");
    rig.advance(secs(3));
    say()
        .prefix("2001:db8:1::/64", "LA", 1800, 1800)
        .to(&mut rig);
    let [(own, state)] = addresses(&rig, "2001:db8:1::/64")[..] else {
        panic!("one");
    };
    assert_eq!(state, AddressState::Optimistic);
    rig.drain();
    (rig, own)
}

/// The flags of the only frame, an advertisement of `own`.
fn advertised(rig: &mut Rig, own: Ipv6Addr) -> NeighborFlags {
    let frame = rig.only();
    match frame.icmp6().1 {
        Icmpv6::Ndp(Message::NeighborAdvertisement { flags, target, .. }) => {
            assert_eq!(target, own);
            flags
        }
        other => panic!("{other:?}"),
    }
}

/// Covers: DAD-2 (it is used while it is probed for, nobody is asked for from it, and it takes nobody's place).
#[test]
fn an_optimistic_address_is_used_with_care() {
    let (mut rig, own) = hopeful();
    assert_eq!(sent(&mut rig, FAR), (ROUTER_MAC, own));
    // A neighbour that nobody knows is not asked for: the router knows it.
    assert_eq!(sent(&mut rig, "[2001:db8:1::9]:7"), (ROUTER_MAC, own));
    let neighbour = "2001:db8:1::9".parse().unwrap();
    rig.receive(solicitation(neighbour, PEER_MAC, own));
    assert_eq!(advertised(&mut rig, own), NeighborFlags::SOLICITED);
    // It said who it is.
    assert_eq!(sent(&mut rig, "[2001:db8:1::9]:7"), (PEER_MAC, own));
    rig.advance(secs(2));
    let states = addresses(&rig, "2001:db8:1::/64");
    assert_eq!(states, [(own, AddressState::Preferred)]);
    rig.drain();
    rig.receive(solicitation(neighbour, PEER_MAC, own));
    let flags = NeighborFlags::SOLICITED | NeighborFlags::OVERRIDE;
    assert_eq!(advertised(&mut rig, own), flags);
    let asks = send(&mut rig, "[2001:db8:1::8]:7");
    assert!(matches!(
        asks[0].icmp6().1,
        Icmpv6::Ndp(Message::NeighborSolicitation { .. })
    ));
}

/// Covers: DAD-3.
#[test]
fn an_optimistic_duplicate_is_given_up_at_once() {
    for probed in [true, false] {
        let (mut rig, own) = hopeful();
        let claim = match probed {
            true => solicitation(Ipv6Addr::UNSPECIFIED, OTHER_MAC, own),
            false => advertisement(NeighborFlags::OVERRIDE, OTHER_MAC, own, ipv6::ALL_NODES),
        };
        rig.receive(claim);
        assert!(rig.drain().is_empty(), "who probes is not answered");
        assert!(addresses(&rig, "2001:db8:1::/64").is_empty());
        let from = |frame: &Seen| frame.v6().0.src;
        assert!(send(&mut rig, FAR).iter().all(|frame| from(frame) != own));
    }
}
