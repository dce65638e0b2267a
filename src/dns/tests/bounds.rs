//! What the world, and a user, can make grow.

use super::*;

#[test]
fn settings_have_bounds() {
    let wrong = |config: Config| Resolver::new(config, Seed::from_number(1)).unwrap_err();
    assert_eq!(wrong(config(9)), ConfigError::Servers(9));
    let search = (0..9).fold(config(1), |c, n| {
        c.search(format!("n{n}x").parse().unwrap())
    });
    assert_eq!(wrong(search), ConfigError::Search(9));
    for little in [
        config(1).timeout(Duration::ZERO),
        config(1).attempts(0),
        config(1).lookups(0),
        config(1).payload(Some(511)),
    ] {
        assert!(matches!(wrong(little), ConfigError::TooLittle(_)));
    }
    assert_eq!(wrong(config(1).attempts(11)), ConfigError::Attempts(11));
    let mut rig = Rig::new(config(8));
    let many: Vec<_> = (1..=9).map(server).collect();
    assert_eq!(
        rig.resolver.set_servers(&many),
        Err(ConfigError::Servers(9))
    );
}

/// One more when it is full, and those that are over and not told count.
#[test]
fn lookups_at_once() {
    let mut rig = Rig::new(config(1).lookups(3));
    rig.lookup("a.example", Families::Both);
    rig.lookup("b.example", Families::Both);
    let lookup = |rig: &mut Rig, name| rig.resolver.lookup(rig.now, name, Families::Both);
    lookup(&mut rig, "10.0.0.1").unwrap();
    for name in ["c.example", "10.0.0.2"] {
        assert_eq!(lookup(&mut rig, name), Err(LookupError::TooMany));
    }
    rig.drain();
    lookup(&mut rig, "c.example").unwrap();
    assert_eq!(rig.counters().lookups_refused, 2);
    assert_eq!(rig.resolver.courses.len(), 6);
}

/// RFC 5452 §5.2: however many want it, it is asked once.
/// Covers: DNS-5.
#[test]
fn a_question_is_under_way_once() {
    let mut rig = Rig::new(config(1));
    let all: Vec<_> = (0..100).map(|_| rig.lookup(NAME, Families::Both)).collect();
    let (v6, v4) = (rig.next(), rig.next());
    assert!(rig.asked.is_empty());
    rig.tell(&v6, &to(&v6).soa("org", 60, 60).bytes()).unwrap();
    rig.tell(&v4, &to(&v4).address(NAME, 60, "10.0.0.1").bytes())
        .unwrap();
    let done = rig.events.drain(..).map(|event| match event {
        Event::Done { lookup, result } => (lookup, result.unwrap()),
        other => panic!("{other:?}"),
    });
    let wanted = all.into_iter().map(|lookup| (lookup, ips("10.0.0.1")));
    assert!(done.eq(wanted));
    assert!(rig.resolver.is_idle());
}

#[test]
fn who_does_not_wait_any_more() {
    let mut rig = Rig::new(config(1));
    let first = rig.lookup(NAME, Families::Both);
    let second = rig.lookup(NAME, Families::Both);
    let (v6, v4) = (rig.next(), rig.next());
    rig.resolver.cancel(first);
    rig.drain();
    assert_eq!(rig.closed, [], "the second waits for it");
    rig.tell(&v4, &to(&v4).address(NAME, 60, "10.0.0.1").bytes())
        .unwrap();
    let addresses = ips("10.0.0.1");
    let lookup = second;
    assert_eq!(rig.events, [Event::Addresses { lookup, addresses }]);
    rig.resolver.cancel(second);
    rig.drain();
    assert_eq!(rig.closed, [v4.exchange, v6.exchange]);
    assert!(rig.resolver.is_idle());
    // What is over and not told is not told any more.
    let known = rig
        .resolver
        .lookup(rig.now, "10.0.0.1", Families::Both)
        .unwrap();
    rig.resolver.cancel(known);
    assert_eq!(rig.resolver.poll_event(), None);
}

#[test]
fn addresses_of_a_name() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    let many: Vec<String> = (0..=255).map(|n| format!("10.0.0.{n}")).collect();
    let answer = many
        .iter()
        .fold(to(&question), |a, ip| a.address(NAME, 60, ip));
    rig.tell(&question, &answer.bytes()).unwrap();
    assert_eq!(
        rig.end().unwrap(),
        many.iter().take(32).map(|a| ip(a)).collect::<Vec<_>>()
    );
    // Of more than 256 records none is looked at behind these.
    let question = rig.lookup_v4("b.example");
    let answer = many
        .iter()
        .fold(to(&question), |a, ip| a.address(NAME, 60, ip));
    let answer = answer.address("b.example", 60, "10.9.9.9");
    rig.tell(&question, &answer.bytes()).unwrap();
    assert_eq!(rig.end(), Err(LookupError::NoAddress));
}

#[test]
fn the_cache_is_bounded() {
    let mut rig = Rig::new(config(1).cache_limit(10));
    for n in 0..1000 {
        let name = format!("n{n}.example");
        let question = rig.lookup_v4(&name);
        rig.tell(
            &question,
            &to(&question).address(&name, 60, "10.0.0.1").bytes(),
        )
        .unwrap();
        rig.end().unwrap();
    }
    assert_eq!(
        (rig.resolver.cached(), rig.counters().cache_evicted),
        (10, 990)
    );
}

/// The longest message that TCP can bring, and one more byte.
#[test]
fn a_stream_is_bounded() {
    let mut rig = Rig::new(config(2));
    let question = rig.lookup_v4(NAME);
    rig.tell(
        &question,
        &to(&question).flag(PacketFlag::TRUNCATION).bytes(),
    )
    .unwrap();
    let question = rig.next();
    let id = question.exchange;
    rig.resolver.handle_stream(rig.now, id, &[0xff; 2]).unwrap();
    rig.resolver
        .handle_stream(rig.now, id, &[0; 65_534])
        .unwrap();
    let whole = rig.resolver.handle_stream(rig.now, id, &[0; 1 << 20]);
    assert!(whole.is_err());
    rig.drain();
    assert_eq!(rig.next().server, server(2));
}
