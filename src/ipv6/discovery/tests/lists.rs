//! Routers, routes, prefixes on the link, parameters, DNS; what is full; another link.

use super::*;
use Preference::{High, Low, Medium, Reserved};

/// Covers: NDP-10 (added, refreshed, and gone at once with a lifetime of 0), NDP-11.
#[test]
fn routers_come_and_go_with_their_lifetimes() {
    let mut link = Link::new();
    let (first, second) = (advert("fe80::1"), advert("fe80::2"));
    assert_eq!(link.hear(&first), [], "it is no default router");
    let heard = link.hear(&first.clone().lifetime(1800));
    let found = |at| Action::RouterFound(v6(at));
    assert_eq!(
        heard,
        [add("::/0", Some("fe80::1"), Medium), found("fe80::1")]
    );
    let heard = link.hear(&second.clone().lifetime(900));
    assert_eq!(
        heard,
        [add("::/0", Some("fe80::2"), Medium), found("fe80::2")]
    );
    let all: Vec<_> = link.discovery.routers().map(|r| r.address).collect();
    assert_eq!(all, [v6("fe80::1"), v6("fe80::2")]);

    link.secs(890);
    assert_eq!(link.hear(&second.clone().lifetime(900)), [], "refreshed");
    let gone = |at| [remove("::/0", Some(at)), Action::RouterLost(v6(at))];
    assert_eq!(link.secs(899), []);
    assert_eq!(link.secs(1), gone("fe80::2"));
    assert_eq!(link.hear(&first), gone("fe80::1"), "at once");
    assert_eq!(link.hear(&first), [], "once");
}

/// Covers: NDP-18 (a reserved preference is medium; with a lifetime of 0 none counts).
#[test]
fn a_router_s_preference() {
    let mut link = Link::new();
    let of = |preference| advert("fe80::1").lifetime(1800).preference(preference);
    assert_eq!(
        link.hear(&of(Reserved))[0],
        add("::/0", Some("fe80::1"), Medium)
    );
    assert_eq!(link.hear(&of(High)), [add("::/0", Some("fe80::1"), High)]);
    assert_eq!(link.hear(&of(High)), []);
    assert_eq!(link.hear(&of(Low)), [add("::/0", Some("fe80::1"), Low)]);
    let gone = link.hear(&advert("fe80::1").preference(High));
    assert_eq!(gone.len(), 2, "{gone:?}");
}

/// Covers: NDP-19. RFC 4191 §2.3, §3.1: routes, and what is told of everywhere.
#[test]
fn routes_to_other_prefixes() {
    let mut link = Link::new();
    let router = || advert("fe80::1");
    let heard = link.hear(&router().route("2001:db8:1::/48", Low, 600));
    assert_eq!(heard, [add("2001:db8:1::/48", Some("fe80::1"), Low)]);
    assert_eq!(
        link.hear(&router().route("2001:db8:1::/48", Reserved, 0)),
        []
    );
    let heard = link.hear(&router().route("2001:db8:1:ffff::/48", High, 600));
    assert_eq!(
        heard,
        [add("2001:db8:1::/48", Some("fe80::1"), High)],
        "bits beyond the length"
    );
    for ignored in ["fe80::/64", "ff00::/8", "fe80:1::/32"] {
        assert_eq!(
            link.hear(&router().route(ignored, High, 600)),
            [],
            "{ignored}"
        );
    }
    assert_eq!(link.secs(596), []);
    let gone = [remove("2001:db8:1::/48", Some("fe80::1"))];
    assert_eq!(link.secs(5), gone);
    link.hear(&router().route("2001:db8:1::/48", High, FOREVER));
    assert_eq!(link.secs(1_000_000), [], "for ever");
    assert_eq!(link.hear(&router().route("2001:db8:1::/48", High, 0)), gone);

    // RFC 4191 §3.1: everywhere's lifetime and preference stand above the header's.
    let both = router().lifetime(0).route("::/0", High, 600);
    let heard = link.hear(&both);
    assert_eq!(heard[0], add("::/0", Some("fe80::1"), High));
    assert_eq!(link.hear(&both), [], "and nothing comes and goes each time");
    let less = router().lifetime(1800).route("::/0", Reserved, 600);
    assert_eq!(
        link.hear(&less),
        [add("::/0", Some("fe80::1"), Medium)],
        "the header's"
    );
}

/// Covers: NDP-15, NDP-16.
#[test]
fn prefixes_on_the_link() {
    let mut link = Link::new();
    let router = || advert("fe80::1");
    #[rustfmt::skip]
    let ignored = [
        ("2001:db8:1::/64", "A", "nothing is said of the link"),
        ("2001:db8:1::/64", "",  "nothing at all"),
        ("fe80::/64",       "L", "link-local"),
        ("febf::/10",       "L", "link-local"),
        ("ff02::/16",       "L", "a group's"),
        ("::/0",            "L", "everything"),
    ];
    let quiet = Settings {
        addresses: false,
        ..SETTINGS
    };
    for (prefix, flags, why) in ignored {
        let heard = Link::with(quiet).hear(&router().prefix(prefix, flags, 600, 600));
        assert_eq!(heard, [], "{prefix}: {why}");
    }
    let on_link = [add("2001:db8:1::/64", None, Medium)];
    assert_eq!(
        link.hear(&router().prefix("2001:db8:1::5/64", "L", 600, 0)),
        on_link
    );
    // Another router that says less takes nothing away.
    assert_eq!(
        link.hear(&advert("fe80::2").prefix("2001:db8:1::/64", "", 0, 0)),
        []
    );
    link.secs(500);
    assert_eq!(
        link.hear(&router().prefix("2001:db8:1::/64", "L", 600, 0)),
        []
    );
    assert_eq!(link.secs(599), []);
    assert_eq!(link.secs(1), [remove("2001:db8:1::/64", None)]);
    link.hear(&router().prefix("2001:db8:1::/60", "L", FOREVER, 0));
    assert_eq!(link.secs(1_000_000), []);
    let gone = link.hear(&router().prefix("2001:db8:1::/60", "L", 0, 0));
    assert_eq!(gone, [remove("2001:db8:1::/60", None)]);
    let cut = NdpOption::PrefixInformation(PrefixInformation {
        prefix_len: 129,
        on_link: true,
        autonomous: true,
        valid_lifetime: 600,
        preferred_lifetime: 600,
        prefix: v6("2001:db8::"),
    });
    assert_eq!(link.hear(&router().option(&cut)), []);
}

/// Covers: NDP-12, NDP-13, NDP-14, ETH-11, IP6-29: what is unspecified stays, whoever is silent; what is impossible too.
#[test]
fn parameters_of_the_link() {
    let mut link = Link::new();
    let say = |hop_limit, times, mtu: u32| Advert {
        hop_limit,
        times,
        ..advert("fe80::1").option(&NdpOption::Mtu(mtu))
    };
    let millis = |ms| Some(Duration::from_millis(ms));
    let mut told = Parameters::default();
    assert_eq!(link.hear(&say(0, (0, 0), 1279)), []);
    assert_eq!(
        link.hear(&say(31, (0, 0), 1501)),
        [],
        "too few hops, too large"
    );
    told.hop_limit = Some(77);
    assert_eq!(link.hear(&say(77, (0, 0), u32::MAX)), [Action::Link(told)]);
    told.mtu = Some(1280);
    assert_eq!(link.hear(&say(0, (0, 0), 1280)), [Action::Link(told)]);
    told.reachable = millis(60_000);
    assert_eq!(link.hear(&say(0, (60_000, 0), 0)), [Action::Link(told)]);
    told.retrans = millis(2000);
    assert_eq!(link.hear(&say(0, (0, 2000), 1280)), [Action::Link(told)]);
    assert_eq!(link.hear(&advert("fe80::2")), [], "another's silence");
    (told.reachable, told.retrans) = (millis(1000), millis(100));
    assert_eq!(link.hear(&say(0, (1, 1), 0)), [Action::Link(told)]);
    (told.reachable, told.retrans) = (millis(3_600_000), millis(10_000));
    assert_eq!(
        link.hear(&say(0, (u32::MAX, u32::MAX), 0)),
        [Action::Link(told)]
    );
}

/// Covers: NDP-20 (a lifetime of 0 stops use).
#[test]
fn servers_and_domains_of_dns() {
    let mut link = Link::new();
    let router = || advert("fe80::1");
    let servers = |link: &Link| link.discovery.dns_servers().collect::<Vec<_>>();
    let domains = |link: &Link| {
        link.discovery
            .dns_domains()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let of = |all: &[&str]| all.iter().map(|s| v6(s)).collect::<Vec<_>>();
    let heard = link.hear(
        &router()
            .servers(600, &["fd00::53", "fe80::1"])
            .domains(900, b"\x03Lab\x00"),
    );
    assert_eq!(heard, [Action::Dns, Action::Dns]);
    assert_eq!(
        (servers(&link), domains(&link)),
        (of(&["fd00::53", "fe80::1"]), vec!["Lab".into()])
    );
    let nobody = ["::", "::1", "ff02::fb", "::ffff:10.0.0.1"];
    assert_eq!(link.hear(&router().servers(600, &nobody)), []);
    assert_eq!(
        link.hear(
            &router()
                .servers(600, &["fd00::53"])
                .domains(600, b"\x03lab\x00")
        ),
        []
    );
    // One of them was refreshed.
    assert_eq!(link.secs(598), [Action::Dns]);
    assert_eq!(servers(&link), of(&["fd00::53"]));
    assert_eq!(
        link.hear(&router().servers(0, &["fd00::53", "fd00::54"])),
        [Action::Dns]
    );
    assert_eq!((servers(&link).len(), domains(&link).len()), (0, 1));
    link.hear(&router().domains(FOREVER, b"\x01b\x00"));
    assert_eq!(link.secs(10_000_000), []);
    assert_eq!(domains(&link), ["b"]);
    assert_eq!(link.hear(&router().domains(0, b"\x01B\x00")), [Action::Dns]);
    assert!(domains(&link).is_empty());
}

/// docs/limits.md: what holds is not evicted by what is new, what has ended gives way.
#[test]
fn each_list_is_bounded_and_keeps_what_it_has() {
    type Say = fn(u16, u32) -> Advert;
    let rows: [(&str, usize, Say); 6] = [
        ("routers", 16, |n, life| {
            let life = u16::try_from(life).unwrap();
            advert(&format!("fe80::{:x}", n + 1)).lifetime(life)
        }),
        ("routes", 32, |n, life| {
            advert("fe80::1").route(&format!("2001:db8:{n:x}::/48"), Medium, life)
        }),
        ("prefixes", 16, |n, life| {
            advert("fe80::1").prefix(&format!("2001:db8:{n:x}::/64"), "L", life, life)
        }),
        ("addresses", 16, |n, life| {
            advert("fe80::1").prefix(&format!("2001:db8:{n:x}::/64"), "A", life, life)
        }),
        ("servers", 8, |n, life| {
            advert("fe80::1").servers(life, &[&format!("fd00::{n:x}:1")])
        }),
        ("domains", 8, |n, life| {
            advert("fe80::1").domains(life, format!("\x04d{n:03}\0").as_bytes())
        }),
    ];
    for (what, most, say) in rows {
        let mut link = Link::new();
        let most_u16 = u16::try_from(most).unwrap();
        for n in 0..most_u16 {
            assert_ne!(link.hear(&say(n, 9000)), [], "{what} {n}");
        }
        assert_eq!(link.discovery.take_refused(), 0, "{what}");
        for n in 0..100 {
            assert_eq!(
                link.hear(&say(500 + n, 9000)),
                [],
                "{what} {n}: one too many"
            );
        }
        assert_eq!(link.discovery.take_refused(), 100, "{what}");
        // The first ends 9000 s after it was told.
        link.secs(9000 - 100 - u32::from(most_u16) + 1);
        assert_ne!(link.hear(&say(700, 9000)), [], "{what}: room again");
        assert_eq!(link.discovery.take_refused(), 0, "{what}");
    }
}

/// docs/limits.md: so many advertisements are looked at, and no more.
#[test]
fn a_flood_of_advertisements_is_not_looked_at() {
    let mut link = Link::new();
    let say = |link: &mut Link, from: u16, lifetime| {
        let advert = Advertisement {
            hop_limit: 64,
            flags: RouterFlags::empty(),
            lifetime,
            reachable_time: 0,
            retrans_timer: 0,
            options: Options::NONE,
        };
        let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, from);
        link.discovery.on_advertisement(link.now, from, &advert)
    };
    assert!(say(&mut link, 1, 1800).is_ok(), "a router that is there");
    let flood = |link: &mut Link| (0..1000).filter(|n| say(link, 100 + n, 0).is_ok()).count();
    assert_eq!(flood(&mut link), 63);
    link.now = link.now + Duration::from_secs(1);
    assert_eq!(flood(&mut link), 16);
    // Who is known is heard all the same, and bounded too.
    let known = (0..1000).filter(|_| say(&mut link, 1, 1800).is_ok());
    assert_eq!(known.count(), 64);
}

/// Covers: NDP-31 (as far as the list goes).
#[test]
fn who_is_no_router_any_more_is_in_no_list() {
    let mut link = Link::new();
    link.hear(
        &advert("fe80::1")
            .lifetime(1800)
            .route("2001:db8::/32", Medium, 1800),
    );
    let now = link.now;
    link.discovery.on_no_router(now, v6("fe80::9"));
    assert_eq!(link.actions(), []);
    link.discovery.on_no_router(now, v6("fe80::1"));
    let gone = [
        remove("::/0", Some("fe80::1")),
        Action::RouterLost(v6("fe80::1")),
        remove("2001:db8::/32", Some("fe80::1")),
    ];
    assert_eq!(link.actions(), gone);
}

/// RFC 4861 §6.3.7: who is no default router is no answer; when the last one has gone, it asks again.
#[test]
fn it_asks_until_there_is_a_router_and_when_there_is_none() {
    let asked = |link: &mut Link, secs| {
        let told = link.advance(Duration::from_secs(secs));
        told.iter()
            .filter(|(_, action)| *action == Action::Solicit)
            .count()
    };
    let mut link = Link::new();
    assert_eq!(
        asked(&mut link, 6),
        2,
        "after a second at most, and 4 s later"
    );
    link.hear(&advert("fe80::1"));
    assert_eq!(asked(&mut link, 30), 2);
    link.hear(&advert("fe80::1").lifetime(60));
    assert_eq!(asked(&mut link, 59), 0);
    assert_eq!(asked(&mut link, 8), 2, "its lifetime has ended");
    link.discovery.on_link_down();
    assert_eq!(asked(&mut link, 100_000), 0);
    let now = link.now;
    link.discovery.on_link_up(now);
    assert_eq!(asked(&mut link, 6), 2);

    // One that had no room in the outbox is tried again.
    let mut link = Link::new();
    link.now = link.now + Duration::from_secs(1);
    link.discovery.on_timeout(link.now);
    assert_eq!(link.actions(), [Action::Solicit]);
    link.discovery.not_solicited(link.now);
    assert_eq!(
        link.discovery.next_due(link.now),
        Some(link.now + Duration::from_secs(1))
    );
}

/// Covers: PRV-10. The first router after the link came up says whether it is the same link.
#[test]
fn on_another_link_nothing_of_the_old_one_holds() {
    let home = || {
        advert("fe80::1")
            .lifetime(1800)
            .prefix("2001:db8:1::/64", "LA", HOUR, HOUR)
            .servers(HOUR, &["2001:db8:1::53"])
    };
    let settings = Settings {
        temporary: true,
        ..SETTINGS
    };
    let away = advert("fe80::1")
        .lifetime(1800)
        .prefix("2001:db8:2::/64", "LA", HOUR, HOUR);
    let silent = advert("fe80::1").lifetime(1800);
    let stranger = advert("fe80::2").lifetime(1800);
    let known = advert("fe80::2").prefix("2001:db8:1::/64", "A", HOUR, HOUR);
    let rows = [
        (&home(), true),
        (&away, false),
        (&silent, true),
        (&stranger, false),
        (&known, true),
    ];
    for (first, same) in rows {
        let mut link = Link::with(settings);
        let before = formed(&link.hear(&home()));
        assert_eq!(before.len(), 2, "a temporary one as well");
        let now = link.now;
        link.discovery.on_link_down();
        link.discovery.on_link_up(now);
        assert_eq!(link.actions(), [], "nobody has spoken");
        let heard = link.hear(first);
        let removed = heard.iter().filter(|a| matches!(a, Action::Remove(_)));
        assert_eq!(
            removed.count(),
            if same { 0 } else { 2 },
            "{first:?}: {heard:?}"
        );
        let gone = heard.contains(&remove("2001:db8:1::/64", None));
        assert_eq!(gone, !same, "{first:?}");
        assert_eq!(
            link.discovery.dns_servers().count(),
            usize::from(same),
            "{first:?}"
        );
        // Only the first counts.
        assert!(
            !link
                .hear(&stranger)
                .iter()
                .any(|a| matches!(a, Action::Remove(_)))
        );
    }
}
