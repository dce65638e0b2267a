//! Addresses that are made, their lifetimes, what happens when somebody else has them.

use super::*;

/// When `by` seconds after `now`.
fn at(link: &Link, secs: u32) -> Instant {
    link.now + Duration::from_secs(secs.into())
}

/// Covers: SLA-9, SLA-13 (off when it is turned off).
#[test]
fn an_address_is_made_of_what_is_said_to_be_for_that() {
    #[rustfmt::skip]
    let rows = [
        ("2001:db8:1::/64", "A",  100, 50,  true,  "as asked"),
        ("2001:db8:1::/64", "LA", 100, 100, true,  "as asked"),
        ("2001:db8:1::/64", "L",  100, 50,  false, "not autonomous"),
        ("fe80::/64",       "A",  100, 50,  false, "link-local"),
        ("ff0e::/64",       "A",  100, 50,  false, "a group's"),
        ("2001:db8:1::/64", "A",  100, 101, false, "preferred longer than valid"),
        ("2001:db8:1::/64", "A",  0,   0,   false, "over already"),
        ("2001:db8:1::/63", "A",  100, 50,  false, "no room for 64 bits exactly"),
        ("2001:db8:1::/65", "A",  100, 50,  false, "no room for 64 bits"),
        ("2001:db8:1::/64", "A",  FOREVER, FOREVER, true, "for ever"),
        ("2001:db8:1::/64", "A",  100, 0,   true,  "deprecated from the start"),
    ];
    for (prefix, flags, valid, preferred, made, why) in rows {
        let advert = advert("fe80::1").prefix(prefix, flags, valid, preferred);
        let mut link = Link::new();
        let all = formed(&link.hear(&advert));
        assert_eq!(all.len(), usize::from(made), "{prefix} {flags}: {why}");
        if let [(address, kind, until, end)] = all[..] {
            assert!(cidr(prefix).contains(IpAddr::V6(address)), "{address}");
            assert_eq!(kind, Kind::Stable);
            let expected = [preferred, valid].map(|secs| match secs {
                FOREVER => Instant::FAR_FUTURE,
                secs => at(&link, secs),
            });
            assert_eq!([until, end], expected, "{why}");
        }
        let off = Settings {
            addresses: false,
            ..SETTINGS
        };
        assert_eq!(formed(&Link::with(off).hear(&advert)), [], "{why}");
    }
}

/// Covers: SLA-10: the row of RFC 4862 §5.5.3 (e), at its edges.
#[test]
fn nobody_takes_the_last_two_hours_away() {
    #[rustfmt::skip]
    let rows = [
        // left, said, and left then
        (10_000,  20_000, 20_000, "more"),
        (10_000,  9_000,  9_000,  "less, but more than two hours"),
        (10_000,  7_201,  7_201,  "more than two hours"),
        (10_000,  7_200,  7_200,  "two hours are what is left"),
        (10_000,  1,      7_200,  "two hours are left"),
        (10_000,  0,      7_200,  "two hours are left"),
        (7_200,   0,      7_200,  "no less than there is"),
        (7_000,   6_000,  7_000,  "no less than there is"),
        (7_000,   7_000,  7_000,  "the same"),
        (7_000,   7_100,  7_100,  "more than there is"),
        (7_000,   FOREVER, FOREVER, "for ever"),
        (FOREVER, 1,      7_200,  "two hours are left"),
        (FOREVER, 9_000,  9_000,  "more than two hours"),
    ];
    for (left, said, then, why) in rows {
        let mut link = Link::new();
        let of = |valid, preferred| advert("fe80::1").prefix("fd00::/64", "A", valid, preferred);
        // One second passes in between.
        let first = if left == FOREVER { left } else { left + 1 };
        let [(address, ..)] = formed(&link.hear(&of(first, 0)))[..] else {
            panic!("{why}");
        };
        let heard = link.hear(&of(said, 0));
        let valid = match then {
            FOREVER => Instant::FAR_FUTURE,
            then => at(&link, then),
        };
        let renewed = heard.iter().find_map(|action| match *action {
            Action::Renew {
                address: of,
                preferred,
                valid,
            } => {
                assert_eq!(of, address);
                Some((preferred, valid))
            }
            _ => None,
        });
        assert_eq!(renewed, Some((link.now, valid)), "{left}, {said}: {why}");
    }
}

/// RFC 4862 §5.5.3 (e): the preferred lifetime is what was said, whether the valid one is or not.
#[test]
fn an_address_may_be_deprecated_at_once_and_preferred_again() {
    let mut link = Link::new();
    let of = |valid, preferred| advert("fe80::1").prefix("fd00::/64", "A", valid, preferred);
    let [(address, ..)] = formed(&link.hear(&of(HOUR, HOUR)))[..] else {
        panic!("one address");
    };
    let end = at(&link, HOUR);
    let deprecated = link.hear(&of(0, 0));
    let preferred = link.now;
    assert_eq!(
        deprecated,
        [Action::Renew {
            address,
            preferred,
            valid: end
        }]
    );
    let again = link.hear(&of(2 * HOUR, HOUR));
    let (preferred, valid) = (at(&link, HOUR), at(&link, 2 * HOUR));
    assert_eq!(
        again,
        [Action::Renew {
            address,
            preferred,
            valid
        }]
    );
    assert_eq!(link.secs(2 * HOUR), [], "who has it in use ends it");
    assert_eq!(
        formed(&link.hear(&of(HOUR, HOUR))).len(),
        1,
        "and then it is new"
    );
}

/// Covers: PRV-3: three more tries, each after a second, each another identifier, and none of another kind.
#[test]
fn after_a_duplicate_another_is_made_but_not_for_ever() {
    for link_local in [false, true] {
        let mut link = Link::with(Settings {
            link_local,
            ..SETTINGS
        });
        let first = if link_local {
            formed(&link.actions())
        } else {
            formed(&link.hear(&advert("fe80::1").prefix("fd00::/64", "A", FOREVER, FOREVER)))
        };
        let [(mut address, kind, ..)] = first[..] else {
            panic!("{first:?}");
        };
        let mut seen = vec![address];
        for _ in 0..3 {
            let now = link.now;
            assert!(link.discovery.on_duplicate(now, address));
            assert_eq!(link.actions(), [Action::Remove(address)]);
            assert_eq!(formed(&link.secs(0)), []);
            let told = link.advance(Duration::from_secs(1));
            let [(next, same_kind, ..)] = formed(&told.iter().map(|t| t.1).collect::<Vec<_>>())[..]
            else {
                panic!("{told:?}");
            };
            assert_eq!((same_kind, seen.contains(&next)), (kind, false));
            seen.push(next);
            address = next;
        }
        let now = link.now;
        assert!(link.discovery.on_duplicate(now, address));
        assert_eq!(link.actions(), [Action::Remove(address)]);
        assert_eq!(formed(&link.secs(100_000)), [], "no more");
        let again = link.hear(&advert("fe80::1").prefix("fd00::/64", "A", FOREVER, FOREVER));
        assert_eq!(
            formed(&again).len(),
            usize::from(link_local),
            "nor when it is told again"
        );
        assert!(!link.discovery.on_duplicate(now, v6("fd00::1")), "nobody's");
    }
}

const TEMPORARY: Settings = Settings {
    temporary: true,
    ..SETTINGS
};
const DAY: u32 = 86_400;

fn temporary(actions: &[Action]) -> Vec<(Ipv6Addr, Instant, Instant)> {
    let all = formed(actions).into_iter();
    let temporary = all.filter(|made| made.1 == Kind::Temporary);
    temporary
        .map(|(address, _, preferred, valid)| (address, preferred, valid))
        .collect()
}

/// Covers: PRV-5, PRV-6: a day and two at most, a random part of the day less, never longer than the prefix.
#[test]
fn a_temporary_address_ends_with_its_prefix_or_earlier() {
    let of = |valid, preferred| advert("fe80::1").prefix("fd00::/64", "A", valid, preferred);
    assert_eq!(temporary(&Link::new().hear(&of(FOREVER, FOREVER))), []);
    let mut link = Link::with(TEMPORARY);
    let heard = link.hear(&of(FOREVER, FOREVER));
    let [(_, preferred, valid)] = temporary(&heard)[..] else {
        panic!("{heard:?}");
    };
    assert_eq!(valid, at(&link, 2 * DAY));
    let (least, most) = (at(&link, DAY - 34_560), at(&link, DAY));
    assert!(preferred > least && preferred < most, "{preferred:?}");
    let desynced = preferred;

    // Whatever the prefix is told to last, they end no later than that; and no earlier than the prefix lets them.
    link.secs(HOUR);
    assert_eq!(
        link.hear(&of(FOREVER, FOREVER)),
        [],
        "as late as they may already"
    );
    let heard = link.hear(&of(3 * HOUR, 3 * HOUR));
    let ends = heard.iter().filter_map(|action| match *action {
        Action::Renew {
            preferred, valid, ..
        } => Some((preferred, valid)),
        _ => None,
    });
    let end = at(&link, 3 * HOUR);
    assert_eq!(ends.collect::<Vec<_>>(), [(end, end), (end, end)]);
    let heard = link.hear(&of(FOREVER, FOREVER));
    assert!(
        heard.contains(&Action::Renew {
            address: temporary_of(&link),
            preferred: desynced,
            valid,
        }),
        "{heard:?}"
    );

    let mut short = Link::with(TEMPORARY);
    let heard = short.hear(&of(HOUR, 600));
    let (preferred, valid) = (at(&short, 600), at(&short, HOUR));
    assert_eq!(
        temporary(&heard)
            .iter()
            .map(|t| (t.1, t.2))
            .collect::<Vec<_>>(),
        [(preferred, valid)]
    );
}

fn temporary_of(link: &Link) -> Ipv6Addr {
    link.discovery.formed.temporary().next().unwrap()
}

/// Covers: PRV-7: another one REGEN_ADVANCE before the last is deprecated; none that would be preferred for no longer
/// than that, nor where it was not preferred at all.
#[test]
fn a_temporary_address_has_a_successor_in_time() {
    let of = |preferred| advert("fe80::1").prefix("fd00::/64", "A", FOREVER, preferred);
    let mut link = Link::with(TEMPORARY);
    let heard = link.hear(&of(FOREVER));
    let [(first, preferred, _)] = temporary(&heard)[..] else {
        panic!("{heard:?}");
    };
    let begin = link.now;
    let told = link.advance(Duration::from_secs(u64::from(2 * DAY)));
    let made: Vec<_> = told
        .iter()
        .filter(|(_, action)| matches!(action, Action::Form { .. }))
        .collect();
    // 2 s and three tries of one probe, a second each.
    let advance = Duration::from_secs(5);
    assert_eq!(made[0].0 + advance, preferred.since(begin), "{made:?}");
    let kinds: Vec<_> = made
        .iter()
        .map(|(_, action)| temporary(&[*action]))
        .collect();
    assert!(
        kinds.iter().all(|k| k.len() == 1 && k[0].0 != first),
        "{kinds:?}"
    );
    assert!(
        (2..=3).contains(&made.len()),
        "one each 14 to 24 hours: {made:?}"
    );

    for (preferred, count) in [(0, 0), (4, 0), (5, 0), (6, 1)] {
        let heard = Link::with(TEMPORARY).hear(&of(preferred));
        assert_eq!(temporary(&heard).len(), count, "{preferred}");
    }
    // A prefix that ends takes its successors with it.
    let mut link = Link::with(TEMPORARY);
    assert_eq!(temporary(&link.hear(&of(HOUR))).len(), 1);
    assert_eq!(temporary(&link.secs(DAY)), []);
    assert_eq!(temporary(&link.hear(&of(HOUR))).len(), 1, "told of again");
}

/// Covers: PRV-8 (three more tries, at once, another identifier each time).
#[test]
fn a_temporary_duplicate_is_replaced_three_times() {
    let mut link = Link::with(TEMPORARY);
    let heard = link.hear(&advert("fe80::1").prefix("fd00::/64", "A", FOREVER, FOREVER));
    let mut address = temporary(&heard)[0].0;
    let now = link.now;
    for _ in 0..3 {
        assert!(link.discovery.on_duplicate(now, address));
        let told = link.actions();
        assert_eq!(told[0], Action::Remove(address));
        let next = temporary(&told);
        assert_eq!(next.len(), 1, "{told:?}");
        assert_ne!(next[0].0, address);
        address = next[0].0;
    }
    assert!(link.discovery.on_duplicate(now, address));
    assert_eq!(link.actions(), [Action::Remove(address)]);
    assert_eq!(
        temporary(&link.secs(HOUR)),
        [],
        "no more until its time is over"
    );
}

/// What the user has, or took away, is not made again.
#[test]
fn what_is_refused_or_taken_away_is_given_up() {
    let mut link = Link::new();
    let of = advert("fe80::1").prefix("fd00::/64", "A", HOUR, HOUR);
    let [(address, ..)] = formed(&link.hear(&of))[..] else {
        panic!("one address");
    };
    link.discovery.on_refused(address);
    assert_eq!(link.hear(&of), [], "neither renewed nor made");
    let now = link.now;
    assert!(!link.discovery.on_duplicate(now, address));
    link.secs(HOUR);
    assert_eq!(formed(&link.hear(&of)).len(), 1, "its time is over");
}
