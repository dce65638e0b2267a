//! How addresses come into use, stay and go, without an interface around them.

use super::*;
use crate::base::{Cidr, Seed};

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn random() -> Random {
    Random::new(Seed::from_number(1).key("test"))
}

/// One address, probed for so often.
fn addresses(text: &str, probes: u8) -> Addresses {
    with(NewAddress::new(cidr(text), Origin::Given), probes)
}

fn with(new: NewAddress, probes: u8) -> Addresses {
    let mut addresses = Addresses::default();
    add(&mut addresses, Instant::ZERO, new, probes);
    addresses
}

fn add(addresses: &mut Addresses, now: Instant, new: NewAddress, probes: u8) {
    let delay = Duration::ZERO;
    addresses.add(
        now,
        new,
        Detection {
            probes,
            delay,
            optimistic: false,
        },
        true,
    );
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Covers: ACD-7 (two announcements, 2 s apart), ACD-8 (and no more).
#[test]
fn an_ipv4_address_is_announced_twice_and_usable_at_once() {
    let mut list = addresses("10.0.0.1/24", 0);
    let own = "10.0.0.1".parse().unwrap();
    assert_eq!(list.state(IpAddr::V4(own)), Some(AddressState::Preferred));
    assert_eq!(list.on_timeout(at(0)), Some(Due::Announce(own)));
    list.asked(at(0), IpAddr::V4(own), &mut random());
    assert_eq!(list.on_timeout(at(0)), None);
    assert_eq!(list.next_due(), Some(at(2000)));
    assert_eq!(list.on_timeout(at(2000)), Some(Due::Announce(own)));
    list.asked(at(2000), IpAddr::V4(own), &mut random());
    assert_eq!((list.on_timeout(at(9999)), list.next_due()), (None, None));
}

/// Covers: SLA-2 (DupAddrDetectTransmits), SLA-3.
#[test]
fn an_ipv6_address_is_probed_for_and_then_used() {
    for probes in [1, 3] {
        let mut list = addresses("fd00::1/64", probes);
        let own = "fd00::1".parse().unwrap();
        for probe in 0..u64::from(probes) {
            let now = at(probe * 1000);
            assert_eq!(list.state(IpAddr::V6(own)), Some(AddressState::Tentative));
            assert_eq!(list.on_timeout(now), Some(Due::Probe(IpAddr::V6(own))));
            assert_eq!(list.next_due(), None, "it waits for the device");
            list.asked(now, IpAddr::V6(own), &mut random());
        }
        let end = at(u64::from(probes) * 1000);
        assert_eq!(list.next_due(), Some(end));
        assert_eq!(list.on_timeout(end), Some(Due::Usable(IpAddr::V6(own))));
        assert_eq!(list.state(IpAddr::V6(own)), Some(AddressState::Preferred));
    }
    let mut off = addresses("fd00::1/64", 0);
    assert_eq!((off.on_timeout(at(0)), off.next_due()), (None, None));
}

/// Covers: SLA-7, SLA-8 (duplicate), ACD-11 (one defence per interval).
#[test]
fn conflicts() {
    let mut list = addresses("fd00::1/64", 1);
    let own: IpAddr = "fd00::1".parse().unwrap();
    let other = "fd00::2".parse().unwrap();
    assert_eq!(list.on_conflict(at(1), other, None), Conflict::NotOurs);
    assert_eq!(list.on_conflict(at(1), own, None), Conflict::Duplicate);
    assert_eq!((list.on_timeout(at(9000)), list.next_due()), (None, None));
    assert_eq!(
        (list.source(other, other), list.is_held(own)),
        (None, false)
    );

    let mut list = addresses("10.0.0.1/24", 0);
    let v4 = "10.0.0.1".parse().unwrap();
    let conflict =
        |list: &mut Addresses, millis| list.on_conflict(at(millis), IpAddr::V4(v4), None);
    assert_eq!(conflict(&mut list, 0), Conflict::Defend(v4));
    assert_eq!(conflict(&mut list, 0), Conflict::Defend(v4), "not yet");
    list.defended(at(0), IpAddr::V4(v4));
    assert_eq!(conflict(&mut list, 9_999), Conflict::Counted);
    assert_eq!(conflict(&mut list, 10_000), Conflict::Defend(v4));
}

/// Those that are found without the index are what the index says, whatever came and went.
#[test]
fn each_address_is_found_as_the_index_has_it() {
    let mut list = Addresses::default();
    let at = |n: u32| IpAddr::V6(Ipv6Addr::from_bits(0xfd << 120 | u128::from(n)));
    let put = |list: &mut Addresses, n| {
        let cidr = Cidr::new(at(n), 64).unwrap();
        add(list, Instant::ZERO, NewAddress::new(cidr, Origin::Given), 1);
    };
    (0..300).for_each(|n| put(&mut list, n));
    assert!(!list.are_in_use());
    for n in (0..300).step_by(3) {
        list.on_conflict(Instant::ZERO, at(n), None);
    }
    // The first few are near; each fifth leaves, and each tenth comes back.
    for n in (0..300).step_by(5) {
        assert_eq!(
            list.remove(at(n)).map(|gone| gone.cidr.address()),
            Some(at(n))
        );
        assert!(list.remove(at(n)).is_none());
    }
    (0..300).step_by(10).for_each(|n| put(&mut list, n));
    for n in 0..300 {
        let state = match n {
            n if n % 10 == 0 => Some(AddressState::Tentative),
            n if n % 5 == 0 => None,
            n if n % 3 == 0 => Some(AddressState::Duplicate),
            _ => Some(AddressState::Tentative),
        };
        assert_eq!(list.state(at(n)), state, "{n}");
        assert_eq!(list.get(at(n)).map(|a| a.state), state, "{n}");
    }
    assert_eq!(list.state(at(300)), None);
    assert_eq!(list.iter().len(), 270);
    // In the order of adding: who came back is last.
    let last = list.iter().last().map(|a| a.cidr.address());
    assert_eq!(last, Some(at(290)));
    assert_eq!(list.disputes().len(), 80, "of those that are there");
}

/// Covers: ACD-3 (three probes 1 to 2 s apart, then 2 s of silence, then announced).
#[test]
fn an_ipv4_address_is_probed_for_and_then_announced() {
    let mut list = addresses("10.0.0.1/24", PROBE_NUM);
    let own = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let (mut now, mut random) = (at(0), random());
    for left in [2, 1, 0] {
        assert_eq!(list.state(own), Some(AddressState::Tentative));
        assert_eq!(list.on_timeout(now), Some(Due::Probe(own)));
        assert_eq!(list.next_due(), None, "it waits for the device");
        list.asked(now, own, &mut random);
        let next = list.next_due().unwrap();
        let wait = next.since(now);
        if left > 0 {
            assert!(wait >= PROBE_UNIT && wait < PROBE_UNIT * 2, "{wait:?}");
        } else {
            assert_eq!(wait, PROBE_UNIT * 2);
        }
        now = next;
    }
    assert_eq!(list.on_timeout(now), Some(Due::Usable(own)));
    assert_eq!(list.state(own), Some(AddressState::Preferred));
    for _ in 0..ANNOUNCE_NUM {
        let announced = Due::Announce(Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(list.on_timeout(now), Some(announced));
        list.asked(now, own, &mut random);
        now = list.next_due().unwrap_or(Instant::FAR_FUTURE);
    }
    assert_eq!((list.on_timeout(now), list.next_due()), (None, None));
}

/// Covers: ACD-4
#[test]
fn a_conflict_while_it_is_probed_for_ends_it() {
    let mut list = addresses("10.0.0.1/24", PROBE_NUM);
    let own = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(list.on_timeout(at(0)), Some(Due::Probe(own)));
    assert_eq!(list.on_conflict(at(1), own, None), Conflict::Duplicate);
    // The probe that was on its way leaves, and asks for nobody's answer.
    list.asked(at(2), own, &mut random());
    assert_eq!((list.on_timeout(at(99_999)), list.next_due()), (None, None));
    assert_eq!(list.state(own), Some(AddressState::Duplicate));
    assert_eq!(list.source(own, own), None);
}

/// Preferred, deprecated, gone; each told when its time has come, and given back by longer lives.
#[test]
fn an_address_lives_as_long_as_it_may() {
    let mut new = NewAddress::new(cidr("fd00::1/64"), Origin::Router);
    (new.preferred_until, new.valid_until) = (at(10), at(20));
    let own = new.cidr.address();
    let mut list = with(new, 0);
    assert_eq!(
        (list.on_timeout(at(9)), list.next_due()),
        (None, Some(at(10)))
    );
    assert_eq!(list.on_timeout(at(10)), Some(Due::Deprecated(own)));
    assert_eq!(list.state(own), Some(AddressState::Deprecated));
    assert!(list.is_assigned(own) && list.is_held(own) && list.are_in_use());
    let again = list.set_lifetimes(at(11), own, at(15), at(30));
    assert_eq!(again, Some(AddressState::Preferred));
    assert_eq!(list.next_due(), Some(at(15)));
    let shorter = list.set_lifetimes(at(12), own, at(12), at(30));
    assert_eq!(shorter, Some(AddressState::Deprecated));
    assert_eq!(list.next_due(), Some(at(30)));
    assert_eq!(list.on_timeout(at(30)), Some(Due::Gone(own)));
    assert_eq!((list.on_timeout(at(30)), list.next_due()), (None, None));
    assert!(list.remove(own).is_some());
    assert!(
        !list.are_in_use(),
        "what waits to leave from it is looked up"
    );
    assert_eq!(list.set_lifetimes(at(31), own, at(32), at(33)), None);
    // Nothing is preferred for longer than it is valid.
    let forever = Instant::FAR_FUTURE;
    (new.preferred_until, new.valid_until) = (forever, at(50));
    add(&mut list, at(40), new, 0);
    assert_eq!(list.get(own).map(|a| a.preferred_until), Some(at(50)));
    assert_eq!(list.on_timeout(at(50)), Some(Due::Gone(own)));
}

/// What is preferred no more when duplicate detection ends is deprecated from the start; what is valid no more goes.
#[test]
fn lifetimes_run_while_an_address_is_tentative() {
    let mut new = NewAddress::new(cidr("fd00::1/64"), Origin::Router);
    (new.preferred_until, new.valid_until) = (at(500), at(5000));
    let own = new.cidr.address();
    let mut list = with(new, 1);
    assert_eq!(list.on_timeout(at(0)), Some(Due::Probe(own)));
    list.asked(at(0), own, &mut random());
    assert_eq!(list.on_timeout(at(500)), None);
    assert_eq!(list.on_timeout(at(1000)), Some(Due::Usable(own)));
    assert_eq!(list.state(own), Some(AddressState::Deprecated));
    assert_eq!(list.next_due(), Some(at(5000)));

    let mut list = with(new, 1);
    assert_eq!(list.on_timeout(at(0)), Some(Due::Probe(own)));
    assert_eq!(
        list.on_timeout(at(5000)),
        Some(Due::Gone(own)),
        "it never left"
    );
}

/// Covers: SEL-3 (rule 3, within a scope; rule 7).
#[test]
fn a_deprecated_source_is_better_than_none() {
    let mut list = addresses("fd00::1/64", 0);
    let new = NewAddress::new(cidr("fd00::2/64"), Origin::Given);
    add(&mut list, at(0), new, 0);
    let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
    let source = |list: &Addresses| list.source(ip("fd00::9"), ip("fd00::9"));
    assert_eq!(source(&list), Some(ip("fd00::1")));
    list.set_lifetimes(at(1), ip("fd00::1"), at(1), at(99));
    assert_eq!(source(&list), Some(ip("fd00::2")));
    let temporary = NewAddress::new(cidr("fd00::3/64"), Origin::Temporary);
    add(&mut list, at(2), temporary, 0);
    assert_eq!(source(&list), Some(ip("fd00::3")));
    for own in ["fd00::2", "fd00::3"] {
        list.set_lifetimes(at(3), ip(own), at(3), at(99));
    }
    assert_eq!(source(&list), Some(ip("fd00::3")), "all are deprecated");
    assert_eq!(list.first_v6(), Some("fd00::1".parse().unwrap()));
}
