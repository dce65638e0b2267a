//! What of an answer is believed, and for how long.

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Covers: DNS-1, DNS-19.
#[test]
fn both_families_are_asked_for_at_once() {
    let mut rig = Rig::new(config(1));
    let lookup = rig.lookup("WWW.example.org", Families::Both);
    let (v6, v4) = (rig.next(), rig.next());
    for question in [&v6, &v4] {
        let packet = Packet::parse(message(question)).unwrap();
        assert!(packet.has_flags(PacketFlag::RECURSION_DESIRED));
        assert_eq!(packet.opt().unwrap().udp_packet_size, 1232);
        assert!(asked_name(question).eq_ignore_ascii_case(NAME));
        assert_eq!(
            (question.server, question.transport),
            (server(1), Transport::Udp)
        );
    }
    rig.tell(&v4, &to(&v4).address(NAME, 60, "10.0.0.1").bytes())
        .unwrap();
    let addresses = ips("10.0.0.1");
    assert_eq!(rig.events, [Event::Addresses { lookup, addresses }]);
    let answer = to(&v6)
        .address(NAME, 60, "fd00::2")
        .address(NAME, 60, "fd00::1");
    rig.tell(&v6, &answer.bytes()).unwrap();
    let result = Ok(ips("fd00::2 fd00::1 10.0.0.1"));
    assert_eq!(rig.events[1..], [Event::Done { lookup, result }]);
    assert_eq!(rig.closed, [v4.exchange, v6.exchange]);
    assert!(rig.resolver.is_idle());
}

/// Covers: DNS-11.
#[test]
fn answers_last_as_long_as_they_say() {
    // As the records say; at most a day; zero, and what is above 2^31, is for this one time (RFC 2181 §8).
    for (ttl, life) in [
        (60, 60),
        (1 << 30, 86_400),
        (0, 0),
        (1 << 31, 0),
        (u32::MAX, 0),
    ] {
        let mut rig = Rig::new(config(1));
        let question = rig.lookup_v4(NAME);
        let answer = to(&question).address(NAME, ttl, "10.0.0.1");
        rig.tell(&question, &answer.bytes()).unwrap();
        assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
        if life > 0 {
            rig.wait(secs(life) - Duration::from_nanos(1));
            rig.lookup(NAME, Families::Only(Family::V4));
            assert_eq!(rig.end(), Ok(ips("10.0.0.1")), "{ttl}");
            assert!(rig.asked.is_empty());
            assert_eq!(rig.counters().cached, 1);
            rig.wait(Duration::from_nanos(1));
        }
        rig.lookup_v4(NAME);
    }
}

/// Covers: DNS-2, DNS-9, DNS-10.
#[test]
fn aliases_are_followed_within_the_answer() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    // In any order, beside what nobody asked for.
    let answer = to(&question)
        .address("other.example", 60, "10.6.6.6")
        .address("C.example", 50, "10.0.0.3")
        .address("c.example", 40, "10.0.0.4")
        .alias("b.example", 30, "c.example")
        .alias("WWW.example.org", 20, "b.example")
        .address("c.example", 10, "fd00::1")
        .address("c.example", 99, "10.0.0.3");
    rig.tell(&question, &answer.bytes()).unwrap();
    assert_eq!(rig.end(), Ok(ips("10.0.0.3 10.0.0.4")));
    // As long as the shortest of those that it came by.
    rig.wait(secs(20) - Duration::from_nanos(1));
    rig.lookup(NAME, Families::Only(Family::V4));
    assert_eq!(rig.end(), Ok(ips("10.0.0.3 10.0.0.4")));
    rig.wait(Duration::from_nanos(1));
    rig.lookup_v4(NAME);
    // What nobody asked for is not known.
    rig.lookup_v4("other.example");
    rig.lookup_v4("c.example");
}

/// Covers: DNS-9.
#[test]
fn circles_and_endless_aliases_are_no_answers() {
    let names: Vec<String> = (0..12).map(|n| format!("n{n}.example")).collect();
    for (length, fits) in [(8, true), (9, false)] {
        let mut rig = Rig::new(config(1).attempts(1));
        let question = rig.lookup_v4(&names[0]);
        let mut answer = to(&question);
        for n in 0..length {
            answer = answer.alias(&names[n], 60, &names[n + 1]);
        }
        let answer = answer.address(&names[length], 60, "10.0.0.1");
        rig.tell(&question, &answer.bytes()).unwrap();
        let expected = fits.then(|| ips("10.0.0.1")).ok_or(LookupError::Failed);
        assert_eq!(rig.end(), expected, "{length}");
    }
    let mut rig = Rig::new(config(1).attempts(1));
    let question = rig.lookup_v4("a.example");
    let answer =
        to(&question)
            .alias("a.example", 60, "b.example")
            .alias("b.example", 60, "a.example");
    rig.tell(&question, &answer.bytes()).unwrap();
    assert_eq!(rig.end(), Err(LookupError::Failed));
    assert_eq!(rig.counters().failures, 1);
}

/// Covers: DNS-12.
#[test]
fn that_there_is_nothing_is_kept_as_the_zone_says() {
    let rows: &[(RCODE, &str, u32, u32, u64, LookupError)] = &[
        (
            RCODE::NameError,
            "example.org",
            60,
            100,
            60,
            LookupError::NoName,
        ),
        (RCODE::NameError, "org", 100, 60, 60, LookupError::NoName),
        (RCODE::NameError, "", 100, 60, 60, LookupError::NoName),
        (
            RCODE::NoError,
            "example.org",
            60,
            100,
            60,
            LookupError::NoAddress,
        ),
        // RFC 2308 §5: three hours at most.
        (
            RCODE::NameError,
            "example.org",
            1 << 20,
            1 << 20,
            10_800,
            LookupError::NoName,
        ),
        // Another zone has no say.
        (
            RCODE::NameError,
            "example.com",
            60,
            60,
            0,
            LookupError::NoName,
        ),
        (
            RCODE::NoError,
            "ample.org",
            60,
            60,
            0,
            LookupError::NoAddress,
        ),
    ];
    for (code, zone, ttl, minimum, life, why) in rows {
        let mut rig = Rig::new(config(1));
        let question = rig.lookup_v4(NAME);
        let answer = to(&question).code(*code).soa(zone, *ttl, *minimum);
        rig.tell(&question, &answer.bytes()).unwrap();
        assert_eq!(rig.end(), Err(why.clone()), "{zone}");
        if *life > 0 {
            rig.wait(secs(*life) - Duration::from_nanos(1));
            rig.lookup(NAME, Families::Only(Family::V4));
            assert_eq!(rig.end(), Err(why.clone()), "{zone}");
            rig.wait(Duration::from_nanos(1));
        }
        rig.lookup_v4(NAME);
    }
}

#[test]
fn without_a_word_of_the_zone_it_is_for_this_one_time() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    rig.tell(&question, &to(&question).code(RCODE::NameError).bytes())
        .unwrap();
    assert_eq!(rig.end(), Err(LookupError::NoName));
    rig.lookup_v4(NAME);
}

/// The end of the aliases is what there is nothing of: its zone says how long.
#[test]
fn aliases_may_lead_to_nothing() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    let answer = to(&question)
        .alias(NAME, 60, "gone.example.com")
        .code(RCODE::NameError)
        .soa("example.com", 600, 600);
    rig.tell(&question, &answer.bytes()).unwrap();
    assert_eq!(rig.end(), Err(LookupError::NoName));
    rig.wait(secs(59));
    rig.lookup(NAME, Families::Only(Family::V4));
    assert_eq!(rig.end(), Err(LookupError::NoName));
    rig.wait(secs(1));
    rig.lookup_v4(NAME);
}

#[test]
fn one_family_is_enough() {
    for failing in [false, true] {
        let mut rig = Rig::new(config(1).attempts(1));
        rig.lookup(NAME, Families::Both);
        let (v6, v4) = (rig.next(), rig.next());
        if failing {
            rig.tell(&v6, &to(&v6).code(RCODE::ServerFailure).bytes())
                .unwrap();
        } else {
            rig.tell(&v6, &to(&v6).soa("org", 60, 60).bytes()).unwrap();
        }
        assert_eq!(rig.events, []);
        rig.tell(&v4, &to(&v4).address(NAME, 60, "10.0.0.1").bytes())
            .unwrap();
        assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
    }
}

/// Covers: DNS-16, DNS-17.
#[test]
fn names_that_nobody_is_asked_for() {
    let mut rig = Rig::new(config(1));
    let none = || Err(LookupError::NoName);
    for (name, families, result) in [
        ("10.0.0.1", Families::Both, Ok("10.0.0.1")),
        ("fd00::1", Families::Both, Ok("fd00::1")),
        (
            "fd00::1",
            Families::Only(Family::V4),
            Err(LookupError::NoAddress),
        ),
        ("localhost", Families::Both, Ok("::1 127.0.0.1")),
        ("a.LocalHost.", Families::Only(Family::V4), Ok("127.0.0.1")),
        ("x.invalid", Families::Both, none()),
        ("onion", Families::Both, none()),
    ] {
        rig.lookup(name, families);
        assert_eq!(rig.end(), result.map(ips), "{name}");
        assert!(rig.asked.is_empty() && rig.resolver.is_idle(), "{name}");
    }
    for name in ["", "a..b", "10.0.0.256", "-ü-"] {
        let refused = rig.resolver.lookup(rig.now, name, Families::Both);
        assert!(matches!(refused, Err(LookupError::Name(_))), "{name}");
    }
}
