//! What of an answer is believed.

use super::*;

fn route(text: &str) -> Route {
    let (destination, router) = text.split_once(' ').unwrap();
    Route {
        destination: destination.parse().unwrap(),
        router: router.parse().ok(),
    }
}

/// The lease that an ACK with these options on top gives, and how many of them were ignored.
fn lease_with(options: &[(u8, &[u8])]) -> (Lease, u64) {
    let mut bench = Bench::started();
    bench.send_one();
    bench
        .hear(|m| granting(m, MessageType::OFFER, 3200))
        .unwrap();
    bench.send_one();
    bench
        .hear(|m| {
            let ack = answer(m, MessageType::ACK).yiaddr(ADDRESS);
            let ack = ack.number(code::LEASE_TIME, 3200);
            let add = |ack: Builder, &(code, value): &(u8, &[u8])| ack.option(code, value);
            options.iter().fold(ack, add)
        })
        .unwrap();
    let ignored = bench.client.counters().options_ignored;
    (bench.client.lease().unwrap().clone(), ignored)
}

#[test]
fn all_that_a_lease_has() {
    let (lease, ignored) = lease_with(&[
        (code::SUBNET_MASK, &[255, 255, 252, 0]),
        (code::ROUTERS, &[10, 7, 0, 1, 10, 7, 0, 2]),
        (code::DNS_SERVERS, &[9, 9, 9, 9, 1, 1, 1, 1]),
        (code::DOMAIN_NAME, b"loom.example"),
        (code::INTERFACE_MTU, &[5, 120]),
        (code::RENEWAL_TIME, &[0, 0, 1, 0]),
        (code::REBINDING_TIME, &[0, 0, 2, 0]),
    ]);
    let expected = Lease {
        address: ADDRESS,
        prefix: 22,
        server: SERVER,
        lease_time: Some(secs(3200)),
        renew_after: Some(secs(256)),
        rebind_after: Some(secs(512)),
        routes: vec![route("0.0.0.0/0 10.7.0.1"), route("0.0.0.0/0 10.7.0.2")],
        dns_servers: vec![[9, 9, 9, 9].into(), [1, 1, 1, 1].into()],
        domain: Some("loom.example".into()),
        mtu: Some(1400),
        others: vec![],
    };
    assert_eq!((&lease, ignored), (&expected, 0));
    assert_eq!(lease.cidr().to_string(), "10.7.0.50/22");
}

/// RFC 950: the class's mask when there is none, or one that says no prefix.
#[test]
fn masks() {
    for (mask, prefix, ignored) in [
        (None, 8, 0),
        (Some([255, 255, 255, 255]), 32, 0),
        (Some([255, 255, 255, 254]), 31, 0),
        (Some([128, 0, 0, 0]), 1, 0),
        (Some([0, 0, 0, 0]), 8, 1),
        (Some([255, 0, 255, 0]), 8, 1),
    ] {
        let option = mask.as_ref().map(|mask| (code::SUBNET_MASK, &mask[..]));
        let (lease, counted) = lease_with(option.as_slice());
        assert_eq!((lease.prefix, counted), (prefix, ignored), "{mask:?}");
    }
}

/// RFC 3442: they take the routers' place; their hosts' bits are zeroed; router 0.0.0.0 is the link itself.
/// Covers: DHC-20.
#[test]
fn classless_routes() {
    let routers: (u8, &[u8]) = (code::ROUTERS, &[10, 7, 0, 9]);
    let both: &[(&[u8], &[&str], u64)] = &[
        (
            &[0, 10, 7, 0, 1, 8, 10, 10, 7, 0, 2],
            &["0.0.0.0/0 10.7.0.1", "10.0.0.0/8 10.7.0.2"],
            0,
        ),
        // 17 bits in three octets, the last of which says more; all of 32.
        (
            &[17, 10, 1, 255, 10, 7, 0, 1, 32, 10, 1, 2, 3, 10, 7, 0, 1],
            &["10.1.128.0/17 10.7.0.1", "10.1.2.3/32 10.7.0.1"],
            0,
        ),
        (&[16, 10, 9, 0, 0, 0, 0], &["10.9.0.0/16 link"], 0),
        // Our own address, and a group, lead nowhere; the routers do not come back for it.
        (&[0, 10, 7, 0, 50, 0, 224, 0, 0, 1], &[], 1),
        // What does not read takes nobody's place.
        (
            &[33, 1, 2, 3, 4, 5, 10, 7, 0, 1],
            &["0.0.0.0/0 10.7.0.9"],
            1,
        ),
        (&[8, 10, 10, 7, 0], &["0.0.0.0/0 10.7.0.9"], 1),
        (&[24, 10, 7], &["0.0.0.0/0 10.7.0.9"], 1),
        (&[], &["0.0.0.0/0 10.7.0.9"], 1),
    ];
    for &(classless, expected, ignored) in both {
        let (lease, counted) = lease_with(&[(code::CLASSLESS_ROUTES, classless), routers]);
        let expected: Vec<_> = expected.iter().map(|text| route(text)).collect();
        assert_eq!(
            (lease.routes, counted),
            (expected, ignored),
            "{classless:?}"
        );
    }
}

/// An option beyond 255 bytes comes in pieces (RFC 3396), and a piece may end in the middle of a route.
/// Covers: DHC-3.
#[test]
fn a_hundred_routes_in_pieces() {
    let value: Vec<u8> = (0..100).flat_map(|n| [24, 10, 1, n, 10, 7, 0, 1]).collect();
    let (lease, ignored) = lease_with(&[(code::CLASSLESS_ROUTES, &value)]);
    assert_eq!((lease.routes.len(), ignored), (100, 0));
    assert_eq!(lease.routes[99], route("10.1.99.0/24 10.7.0.1"));
    // What a server can make us hold is what is counted, not what it was read into.
    let mut bench = Bench::bound(1000);
    bench.next_one();
    bench
        .hear(|m| granting(m, MessageType::ACK, 1000).option(code::CLASSLESS_ROUTES, &value))
        .unwrap();
    assert_eq!(bench.client.lease().unwrap().routes.capacity(), 100);
    // docs/limits.md
    assert_eq!(size_of::<Route>(), 23);
}

#[test]
fn values_that_cannot_be_are_left_out_and_counted() {
    let rows: &[(u8, &[u8], u64)] = &[
        (code::ROUTERS, &[10, 7, 0], 1),
        (code::ROUTERS, &[127, 0, 0, 1], 1),
        (code::ROUTERS, &[10, 7, 0, 50], 1),
        // Without a mask it is 10.0.0.0/8, whose ends are nobody.
        (code::ROUTERS, &[10, 255, 255, 255], 1),
        (code::ROUTERS, &[10, 0, 0, 0], 1),
        (code::CLASSLESS_ROUTES, &[0, 10, 255, 255, 255], 1),
        (code::DNS_SERVERS, &[0, 0, 0, 0], 1),
        (code::DNS_SERVERS, &[255, 255, 255, 255, 224, 0, 0, 1], 1),
        (code::DNS_SERVERS, &[1], 1),
        (code::DOMAIN_NAME, b"a;reboot", 1),
        (code::DOMAIN_NAME, b"\xFF", 1),
        (code::DOMAIN_NAME, b"\0", 1),
        (code::DOMAIN_NAME, &[b'a'; 254], 1),
        (code::RENEWAL_TIME, &[5], 1),
        (code::REBINDING_TIME, &[0; 5], 1),
        (code::INTERFACE_MTU, &[5], 1),
        (code::INTERFACE_MTU, &[0, 0], 1),
        (code::INTERFACE_MTU, &[2, 63], 1), // 575
    ];
    for &(code, value, ignored) in rows {
        let (lease, counted) = lease_with(&[(code, value)]);
        assert_eq!(counted, ignored, "{code} {value:?}");
        assert_eq!((lease.routes, lease.dns_servers), (vec![], vec![]));
        assert_eq!((lease.domain, lease.mtu), (None, None), "{code} {value:?}");
    }
}

/// A lease of one address alone, as clouds give them: any other address can be a router's.
#[test]
fn a_router_beyond_the_subnet_stays() {
    let mask: (u8, &[u8]) = (code::SUBNET_MASK, &[255; 4]);
    let (lease, ignored) = lease_with(&[mask, (code::ROUTERS, &[10, 7, 0, 255])]);
    assert_eq!(lease.routes, [route("0.0.0.0/0 10.7.0.255")]);
    assert_eq!(ignored, 0);
}

#[test]
fn values_at_their_bounds() {
    let mtu = |value: u16| {
        lease_with(&[(code::INTERFACE_MTU, &value.to_be_bytes())])
            .0
            .mtu
    };
    assert_eq!(
        (mtu(576), mtu(1500), mtu(9000)),
        (Some(576), Some(1500), Some(1500))
    );
    let domain = |text: &[u8]| lease_with(&[(code::DOMAIN_NAME, text)]).0.domain;
    // RFC 2132 §2: NULs at its end are no part of a text.
    assert_eq!(domain(b"a_b-c.d\0\0").as_deref(), Some("a_b-c.d"));
    assert_eq!(domain(&[b'a'; 253]).map(|name| name.len()), Some(253));
    // The pieces of an option that is put together twice as long.
    let (lease, _) = lease_with(&[
        (code::DNS_SERVERS, &[9, 9, 9, 9, 0, 0, 0, 0]),
        (code::DNS_SERVERS, &[1, 1, 1, 1]),
    ]);
    let expected: [Ipv4Addr; 2] = [[9, 9, 9, 9].into(), [1, 1, 1, 1].into()];
    assert_eq!(lease.dns_servers, expected);
}

/// RFC 2131 §4.4.5: T1 < T2 < the lease's time; half and 7/8 of it, with some fuzz, if nothing, or nonsense, is said.
/// Covers: DHC-12.
#[test]
fn t1_and_t2() {
    let said = |t1: Option<u32>, t2: Option<u32>| {
        let (t1, t2) = (t1.map(u32::to_be_bytes), t2.map(u32::to_be_bytes));
        let t1 = t1.as_ref().map(|t1| (code::RENEWAL_TIME, &t1[..]));
        let t2 = t2.as_ref().map(|t2| (code::REBINDING_TIME, &t2[..]));
        let options: Vec<_> = t1.into_iter().chain(t2).collect();
        let (lease, ignored) = lease_with(&options);
        (
            lease.renew_after.unwrap(),
            lease.rebind_after.unwrap(),
            ignored,
        )
    };
    for (t1, t2) in [(5, 6), (5, 3199), (3198, 3199)] {
        let expected = (secs(t1.into()), secs(t2.into()), 0);
        assert_eq!(said(Some(t1), Some(t2)), expected);
    }
    let halves = |t1: Duration| (secs(1500)..=secs(1600)).contains(&t1);
    let eighths = |t2: Duration| (secs(2700)..=secs(2800)).contains(&t2);
    for (t1, t2, ignored) in [
        (None, None, 0),
        (Some(0), Some(100), 1),
        (Some(4), Some(100), 1), // half of `min_lease` is 5 s
        (Some(100), Some(100), 1),
        (Some(100), Some(3200), 1),
        (Some(u32::MAX), None, 1),
        (None, Some(1000), 1),
        (Some(2900), None, 1),
    ] {
        let (renew, rebind, counted) = said(t1, t2);
        assert!(
            halves(renew) && eighths(rebind),
            "{t1:?} {t2:?}: {renew:?} {rebind:?}"
        );
        assert_eq!(counted, ignored, "{t1:?} {t2:?}");
    }
    let (renew, rebind, _) = said(Some(100), None);
    assert!(renew == secs(100) && eighths(rebind));
    let (renew, rebind, _) = said(None, Some(2000));
    assert!(halves(renew) && rebind == secs(2000));
    // Two clients that begin together do not renew together.
    let renew_of = |seed| {
        let mut bench = Bench::started();
        bench.client = Client::new(Config::new(MAC), Seed::from_number(seed)).unwrap();
        bench.client.start(bench.now);
        bench.bind(3200).renew_after
    };
    assert_ne!(renew_of(1), renew_of(2));
}

/// RFC 2131 §3.3.
/// Covers: DHC-22.
#[test]
fn a_lease_without_an_end() {
    let mut bench = Bench::started();
    let lease = bench.bind(u32::MAX);
    assert_eq!(
        (lease.lease_time, lease.renew_after, lease.rebind_after),
        (None, None, None)
    );
    assert_eq!(
        (bench.client.poll_timeout(), bench.client.expires_at()),
        (None, None)
    );
    bench
        .client
        .handle_timeout(Instant::from_nanos(u64::MAX - 1));
    assert_eq!(bench.client.lease(), Some(&lease));
}

/// Covers: DHC-20.
#[test]
fn what_else_was_asked_for() {
    let mut config = Config::new(MAC);
    config.also_request = vec![42, 3, 66, 42];
    let mut bench = Bench::new(config);
    bench.client.start(bench.now);
    bench.send_one();
    let wanted = bench
        .message()
        .option(code::PARAMETER_REQUEST)
        .unwrap()
        .into_owned();
    // RFC 3442: the classless routes before the routers; each once.
    assert_eq!(wanted, [1, 121, 3, 6, 15, 26, 58, 59, 42, 66]);
    bench.hear(|m| granting(m, MessageType::OFFER, 60)).unwrap();
    bench.send_one();
    let ack = |m: &Message<'_>| {
        let ack = granting(m, MessageType::ACK, 60).option(42, &[1; 300]);
        ack.option(67, b"not asked for").address(3, SERVER)
    };
    bench.hear(ack).unwrap();
    let others = bench.client.lease().unwrap().others.clone();
    assert_eq!(others, [(42, vec![1; 300]), (3, SERVER.octets().to_vec())]);
}

/// One thing wrong with an answer that would do.
type Wrong = fn(&Message<'_>, MessageType) -> Builder;

fn good(m: &Message<'_>, kind: MessageType) -> Builder {
    granting(m, kind, 3600)
}

fn giving(m: &Message<'_>, kind: MessageType, address: [u8; 4]) -> Builder {
    good(m, kind).yiaddr(address.into())
}

/// With an OFFER as with an ACK.
const OF_BOTH: &[(Refusal, Wrong)] = &[
    (Refusal::TooLong, |m, kind| {
        good(m, kind).option(43, &[0; 1300])
    }),
    (Refusal::Malformed, |m, kind| {
        good(m, kind).option(code::OVERLOAD, &[9])
    }),
    (Refusal::NotReply, |m, kind| {
        Builder::new(Operation::REQUEST, kind, m.xid(), MAC)
    }),
    (Refusal::OtherExchange, |m, kind| {
        Builder::new(Operation::REPLY, kind, m.xid() ^ 1, MAC)
    }),
    (Refusal::OtherHardware, |m, kind| {
        Builder::new(
            Operation::REPLY,
            kind,
            m.xid(),
            MacAddr::new([2, 0, 0, 0, 0, 9]),
        )
    }),
    (Refusal::OtherClient, |m, kind| {
        good(m, kind).option(code::CLIENT_ID, &[1, 2])
    }),
    (Refusal::OtherKind, |m, _| good(m, MessageType::DISCOVER)),
    (Refusal::OtherKind, |m, kind| {
        good(m, kind).option(code::MESSAGE_TYPE, &[5])
    }),
    (Refusal::NoServer, |m, kind| {
        Builder::new(Operation::REPLY, kind, m.xid(), MAC).yiaddr(ADDRESS)
    }),
    (Refusal::NoServer, |m, kind| {
        let anybody = Builder::new(Operation::REPLY, kind, m.xid(), MAC).yiaddr(ADDRESS);
        anybody.address(code::SERVER_ID, Ipv4Addr::BROADCAST)
    }),
    (Refusal::NoServer, |m, kind| {
        giving(m, kind, SERVER.octets())
    }),
    (Refusal::Address, |m, kind| giving(m, kind, [0, 0, 0, 0])),
    (Refusal::Address, |m, kind| giving(m, kind, [127, 0, 0, 1])),
    (Refusal::Address, |m, kind| giving(m, kind, [224, 0, 0, 1])),
    (Refusal::Address, |m, kind| {
        giving(m, kind, [255, 255, 255, 255])
    }),
    (Refusal::Address, |m, kind| giving(m, kind, [10, 7, 0, 255])),
    (Refusal::Address, |m, kind| giving(m, kind, [10, 7, 0, 0])),
    (Refusal::LeaseTime, |m, kind| {
        answer(m, kind).yiaddr(ADDRESS)
    }),
    (Refusal::LeaseTime, |m, kind| granting(m, kind, 9)),
    (Refusal::LeaseTime, |m, kind| {
        good(m, kind).option(code::LEASE_TIME, &[1])
    }),
];

/// With an ACK, or a NAK.
const OF_ACKS: &[(Refusal, Wrong)] = &[
    (Refusal::Address, |m, kind| giving(m, kind, [10, 7, 0, 51])),
    (Refusal::OtherServer, |m, kind| {
        let other = Builder::new(Operation::REPLY, kind, m.xid(), MAC).yiaddr(ADDRESS);
        let other = other.number(code::LEASE_TIME, 3600);
        other.address(code::SERVER_ID, Ipv4Addr::new(10, 7, 0, 2))
    }),
    (Refusal::OtherServer, |m, _| {
        let other = Builder::new(Operation::REPLY, MessageType::NAK, m.xid(), MAC);
        other.address(code::SERVER_ID, Ipv4Addr::new(10, 7, 0, 2))
    }),
    (Refusal::NoServer, |m, _| {
        Builder::new(Operation::REPLY, MessageType::NAK, m.xid(), MAC)
    }),
    (Refusal::OtherKind, |m, _| good(m, MessageType::OFFER)),
];

/// Each refusal is counted as what it is, and changes nothing.
/// Covers: DHC-5, DHC-19, DHC-23.
#[test]
fn each_refusal() {
    let mut bench = Bench::started();
    for (kind, rows) in [
        (MessageType::OFFER, OF_BOTH.iter().chain([].iter())),
        (MessageType::ACK, OF_BOTH.iter().chain(OF_ACKS)),
    ] {
        bench.send_one();
        for &(reason, wrong) in rows {
            let before = bench.client.counters().clone();
            let phase = format!("{:?}", bench.client.phase);
            assert_eq!(bench.hear(|m| wrong(m, kind)), Err(reason));
            let after = bench.client.counters();
            assert_eq!(after.refused.get(reason), before.refused.get(reason) + 1);
            assert_eq!(after.refused.total(), before.refused.total() + 1);
            assert_eq!(format!("{:?}", bench.client.phase), phase, "{reason:?}");
        }
        bench.hear(|m| good(m, kind)).unwrap();
    }
    // BOUND waits for nothing, and so does a client that has not asked yet.
    assert_eq!(
        bench.hear(|m| good(m, MessageType::ACK)),
        Err(Refusal::Unexpected)
    );
    let mut silent = Bench::started();
    silent.client.handle_timeout(silent.now);
    silent.sent = bench.sent.take();
    assert_eq!(
        silent.hear(|m| good(m, MessageType::OFFER)),
        Err(Refusal::Unexpected)
    );
    let counters = bench.client.counters();
    let refused = (OF_BOTH.len() * 2 + OF_ACKS.len() + 1) as u64;
    assert_eq!(
        (counters.received, counters.refused.total()),
        (refused + 2, refused)
    );
    assert_eq!((counters.offers, counters.acks, counters.naks), (1, 1, 0));
    for reason in Refusal::ALL {
        let happened = counters.refused.get(*reason) > 0;
        assert!(happened, "{reason} has no row");
        assert_eq!(reason.to_string(), reason.name());
    }
}

/// RFC 6842 §3: the client's own identifier comes back, or none.
#[test]
fn the_clients_own_identifier_is_no_reason_to_refuse() {
    let mut bench = Bench::started();
    bench.send_one();
    let own = ClientId::of_link(MAC);
    bench
        .hear(|m| granting(m, MessageType::OFFER, 60).option(code::CLIENT_ID, own.as_bytes()))
        .unwrap();
}

/// RFC 3021: a link of two has no address at its end.
#[test]
fn a_prefix_of_31_has_two_hosts() {
    let mut bench = Bench::started();
    for (kind, address) in [(MessageType::OFFER, 50), (MessageType::OFFER, 51)] {
        let address = Ipv4Addr::new(10, 7, 0, address);
        bench.client.handle_link_up(bench.now);
        bench.send_one();
        bench
            .hear(|m| {
                let offer = answer(m, kind).yiaddr(address);
                offer
                    .number(code::LEASE_TIME, 60)
                    .number(code::SUBNET_MASK, u32::MAX - 1)
            })
            .unwrap();
    }
}
