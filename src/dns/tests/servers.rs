//! Which server is asked, how, and how often.

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a failure is kept.
const KEPT: Duration = Duration::from_secs(1);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Covers: DNS-14.
#[test]
fn servers_in_order_twice_five_seconds_each() {
    let mut rig = Rig::new(config(2));
    let mut question = rig.lookup_v4(NAME);
    for number in [1, 2, 1, 2] {
        assert_eq!(question.server, server(number));
        assert_eq!(rig.resolver.poll_timeout(), Some(rig.now + TIMEOUT));
        rig.wait(TIMEOUT - Duration::from_nanos(1));
        assert!(rig.asked.is_empty() && rig.events.is_empty());
        rig.wait(Duration::from_nanos(1));
        let Some(next) = rig.asked.pop_front() else {
            break;
        };
        assert_eq!(rig.closed.last(), Some(&question.exchange));
        question = next;
    }
    assert_eq!(rig.end(), Err(LookupError::TimedOut));
    assert_eq!(rig.now, Instant::from_millis(20_000));
    assert_eq!((rig.counters().timeouts, rig.counters().sent_udp), (4, 4));
    assert!(rig.resolver.is_idle());
}

/// Covers: DNS-13, DNS-14.
#[test]
fn who_cannot_tell_is_passed_at_once() {
    let useless: &[fn(Answer<'static>) -> Answer<'static>] = &[
        |a| a.code(RCODE::ServerFailure),
        |a| a.code(RCODE::Refused),
        |a| a.code(RCODE::NOTAUTH),
        // A referral: it neither has the zone nor asks others.
        |a| a.without(PacketFlag::RECURSION_AVAILABLE),
    ];
    for useless in useless {
        let mut rig = Rig::new(config(2));
        let question = rig.lookup_v4(NAME);
        rig.tell(&question, &useless(to(&question)).bytes())
            .unwrap();
        let question = rig.next();
        assert_eq!(question.server, server(2));
        rig.tell(
            &question,
            &to(&question).address(NAME, 60, "10.0.0.1").bytes(),
        )
        .unwrap();
        assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
        assert_eq!(rig.counters().failures, 1);
    }
    // Who has the zone need not ask others.
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    let answer = to(&question)
        .without(PacketFlag::RECURSION_AVAILABLE)
        .flag(PacketFlag::AUTHORITATIVE_ANSWER);
    rig.tell(&question, &answer.bytes()).unwrap();
    assert_eq!(rig.end(), Err(LookupError::NoAddress));
}

/// Of several failures the one is told that says most.
#[test]
fn how_it_ends_when_nobody_knows() {
    let mut rig = Rig::new(config(2).attempts(1));
    let question = rig.lookup_v4(NAME);
    rig.fail(&question);
    let question = rig.next();
    rig.fail(&question);
    assert_eq!(rig.end(), Err(LookupError::Unreachable));
    rig.wait(KEPT);
    let question = rig.lookup_v4(NAME);
    rig.fail(&question);
    rig.next();
    rig.wait(TIMEOUT);
    assert_eq!(rig.end(), Err(LookupError::TimedOut));
    rig.wait(KEPT);
    let question = rig.lookup_v4(NAME);
    rig.tell(&question, &to(&question).code(RCODE::Refused).bytes())
        .unwrap();
    rig.next();
    rig.wait(TIMEOUT);
    assert_eq!(rig.end(), Err(LookupError::Failed));
    assert_eq!(
        (rig.counters().unreachable, rig.counters().timeouts),
        (3, 2)
    );
    let mut rig = Rig::new(Config::new());
    let refused = rig.resolver.lookup(rig.now, NAME, Families::Both);
    assert_eq!(refused, Err(LookupError::NoServers));
}

/// How a question to the only server ends.
type End = (fn(&mut Rig, &Question), LookupError);

const ENDS: [End; 4] = [
    (|rig, question| rig.fail(question), LookupError::Unreachable),
    (|rig, _| rig.wait(TIMEOUT), LookupError::TimedOut),
    (
        |rig, question| {
            let fails = to(question).code(RCODE::ServerFailure).bytes();
            rig.tell(question, &fails).unwrap();
        },
        LookupError::Failed,
    ),
    // It answers by UDP, and by TCP there is nobody.
    (
        |rig, question| {
            let cut = to(question).flag(PacketFlag::TRUNCATION).bytes();
            rig.tell(question, &cut).unwrap();
            let by_tcp = rig.next();
            rig.fail(&by_tcp);
        },
        LookupError::Failed,
    ),
];

/// Covers: DNS-22 (a failure is kept for a second, for its name and family, and not beyond the servers that failed).
#[test]
fn a_failure_is_kept_for_a_second() {
    for (end, error) in ENDS {
        let mut rig = Rig::new(config(1).attempts(1));
        let question = rig.lookup_v4(NAME);
        end(&mut rig, &question);
        assert_eq!(rig.end(), Err(error.clone()));
        rig.wait(KEPT - Duration::from_nanos(1));
        rig.lookup(NAME, Families::Only(Family::V4));
        assert!(rig.asked.is_empty(), "{error}");
        assert_eq!(rig.end(), Err(error));
        rig.lookup(NAME, Families::Only(Family::V6));
        rig.lookup("other.example", Families::Only(Family::V4));
        assert_eq!(rig.asked.len(), 2);
        rig.asked.clear();
        rig.wait(Duration::from_nanos(1));
        let again = rig.lookup_v4(NAME);
        let there = to(&again).address(NAME, 60, "10.0.0.1");
        rig.tell(&again, &there.bytes()).unwrap();
        assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
    }
    let mut rig = Rig::new(config(1).attempts(1));
    let question = rig.lookup_v4(NAME);
    rig.fail(&question);
    rig.resolver.set_servers(&[server(2)]).unwrap();
    assert_eq!(rig.lookup_v4(NAME).server, server(2));
}

#[test]
fn questions_take_turns_when_they_are_to() {
    let first = |rotate| {
        let mut rig = Rig::new(config(3).rotate(rotate));
        ["a", "b", "c", "d"].map(|name| rig.lookup_v4(name).server)
    };
    assert_eq!(first(false), [1, 1, 1, 1].map(server));
    assert_eq!(first(true), [1, 2, 3, 1].map(server));
    // From where it began it goes round.
    let mut rig = Rig::new(config(2).rotate(true));
    rig.lookup_v4("a");
    let question = rig.lookup_v4("b");
    rig.fail(&question);
    assert_eq!((question.server, rig.next().server), (server(2), server(1)));
}

/// RFC 2181 §9, RFC 7766 §5: a cut reply is asked for again by TCP, and nothing of it is used.
/// Covers: DNS-7, DNS-8.
#[test]
fn cut_replies_are_asked_for_by_tcp() {
    let mut rig = Rig::new(config(2));
    let question = rig.lookup_v4(NAME);
    let cut = to(&question)
        .address(NAME, 60, "10.6.6.6")
        .flag(PacketFlag::TRUNCATION);
    rig.tell(&question, &cut.bytes()).unwrap();
    let question = rig.next();
    assert_eq!(
        (question.server, question.transport),
        (server(1), Transport::Tcp)
    );
    // Byte by byte, and more than was asked for behind it.
    let answer = to(&question).address(NAME, 60, "10.0.0.1").bytes();
    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
    let mut stream = [&length[..], &answer].concat();
    for byte in stream.drain(..stream.len() - 1) {
        let now = rig.now;
        rig.resolver
            .handle_stream(now, question.exchange, &[byte])
            .unwrap();
        rig.drain();
        assert!(rig.events.is_empty());
    }
    stream.extend([7; 9]);
    rig.resolver
        .handle_stream(rig.now, question.exchange, &stream)
        .unwrap();
    rig.drain();
    assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
    assert_eq!((rig.counters().truncated, rig.counters().sent_tcp), (1, 1));
    // The connection fails, or is cut as well: the next server, by UDP.
    for cut_again in [false, true] {
        let question = rig.lookup_v4("b.example");
        let cut = to(&question).flag(PacketFlag::TRUNCATION).bytes();
        rig.tell(&question, &cut).unwrap();
        let by_tcp = rig.next();
        if cut_again {
            let cut = to(&by_tcp).flag(PacketFlag::TRUNCATION).bytes();
            rig.tell(&by_tcp, &cut).unwrap();
        } else {
            rig.fail(&by_tcp);
        }
        let next = rig.next();
        assert_eq!((next.server, next.transport), (server(2), Transport::Udp));
        rig.tell(
            &next,
            &to(&next).address("b.example", 0, "10.0.0.1").bytes(),
        )
        .unwrap();
        rig.end().unwrap();
    }
}

/// RFC 6891 §7: who does not understand EDNS is asked without, and that once.
/// Covers: DNS-15.
#[test]
fn servers_without_edns() {
    for header_alone in [false, true] {
        let mut rig = Rig::new(config(2).attempts(1));
        let question = rig.lookup_v4(NAME);
        let mut answer = to(&question).code(RCODE::FormatError);
        if header_alone {
            answer.0.questions.clear();
        }
        rig.tell(&question, &answer.bytes()).unwrap();
        let plain = rig.next();
        assert_eq!(plain.server, server(1));
        let packet = Packet::parse(message(&plain)).unwrap();
        assert!(packet.opt().is_none());
        let answer = to(&plain).code(RCODE::FormatError).bytes();
        rig.tell(&plain, &answer).unwrap();
        assert_eq!(
            (rig.next().server, rig.counters().without_edns),
            (server(2), 1)
        );
    }
    let mut rig = Rig::new(config(1).payload(None));
    let question = rig.lookup_v4(NAME);
    assert!(Packet::parse(message(&question)).unwrap().opt().is_none());
}

/// The names that are asked for, and how it ends when there are none.
fn walk(rig: &mut Rig, name: &str, code: RCODE) -> Vec<String> {
    let mut asked = Vec::new();
    let mut next = Some(rig.lookup_v4(name));
    while let Some(question) = next {
        asked.push(asked_name(&question).to_ascii_lowercase());
        rig.tell(&question, &to(&question).code(code).bytes())
            .unwrap();
        next = rig.asked.pop_front();
    }
    asked
}

/// Covers: DNS-18.
#[test]
fn domains_are_searched() {
    let search = |ndots| {
        let config = config(1).attempts(1).ndots(ndots);
        Rig::new(config.search(name("a.example")).search(name("b.example")))
    };
    let mut rig = search(1);
    let all = ["www.a.example", "www.b.example", "www"];
    assert_eq!(walk(&mut rig, "www", RCODE::NameError), all);
    assert_eq!(rig.end(), Err(LookupError::NoName));
    let dotted = ["www.x", "www.x.a.example", "www.x.b.example"];
    assert_eq!(walk(&mut rig, "www.x", RCODE::NameError), dotted);
    assert_eq!(walk(&mut rig, "www.", RCODE::NameError), ["www"]);
    let mut rig = search(2);
    let dotted = ["www.x.a.example", "www.x.b.example", "www.x"];
    assert_eq!(walk(&mut rig, "www.x", RCODE::NameError), dotted);
    // A name without an address does not end it; servers that fail do not either.
    assert_eq!(walk(&mut rig, "bare", RCODE::NoError).len(), 3);
    assert_eq!(rig.end(), Err(LookupError::NoAddress));
    assert_eq!(walk(&mut rig, "failing", RCODE::ServerFailure).len(), 3);
    assert_eq!(rig.end(), Err(LookupError::Failed));
    // But those that are silent do.
    rig.lookup_v4("silent");
    rig.wait(TIMEOUT);
    assert_eq!(rig.end(), Err(LookupError::TimedOut));
    assert!(rig.resolver.is_idle());
    // The first that is there ends it.
    let question = rig.lookup_v4("there");
    rig.tell(&question, &to(&question).code(RCODE::NameError).bytes())
        .unwrap();
    let question = rig.next();
    let there = to(&question).address("there.b.example", 60, "10.0.0.1");
    rig.tell(&question, &there.bytes()).unwrap();
    assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
    rig.resolver.set_search(Vec::new()).unwrap();
    assert_eq!(walk(&mut rig, "there", RCODE::NameError), ["there"]);
}

/// Another network: what was known is not, and what is under way goes on.
#[test]
fn other_servers() {
    let mut rig = Rig::new(config(1));
    let old = rig.lookup_v4("old.example");
    rig.tell(
        &old,
        &to(&old).address("old.example", 60, "10.0.0.1").bytes(),
    )
    .unwrap();
    rig.end().unwrap();
    let under_way = rig.lookup_v4("slow.example");
    rig.resolver.set_servers(&[server(1)]).unwrap();
    assert_eq!(rig.resolver.cached(), 1, "the same ones");
    rig.resolver.set_servers(&[server(7), server(8)]).unwrap();
    assert_eq!(rig.lookup_v4("old.example").server, server(7));
    rig.fail(&under_way);
    assert_eq!(rig.next().server, server(1));
    // Who asks for the same now asks the new ones; what the others say is told to who waits, and not kept.
    let anew = rig.lookup_v4("slow.example");
    assert_eq!(anew.server, server(7));
    let kept = rig.lookup_v4("late.example");
    assert_eq!(kept.server, server(7));
    rig.resolver.set_servers(&[server(8), server(7)]).unwrap();
    rig.tell(
        &kept,
        &to(&kept).address("late.example", 60, "10.0.0.1").bytes(),
    )
    .unwrap();
    rig.end().unwrap();
    assert_eq!(rig.resolver.cached(), 0);
    rig.resolver.set_servers(&[server(7), server(8)]).unwrap();
    let nobody: [SocketAddr; 4] = [
        ([0, 0, 0, 0], 53).into(),
        ([224, 0, 0, 1], 53).into(),
        ([255; 4], 53).into(),
        ([10, 0, 0, 1], 0).into(),
    ];
    for server in nobody {
        let refused = rig.resolver.set_servers(&[server]);
        assert_eq!(refused, Err(ConfigError::Server(server)));
    }
    assert_eq!(rig.resolver.servers(), [server(7), server(8)]);
    rig.resolver.set_servers(&[]).unwrap();
    let none = rig.resolver.lookup(rig.now, "old.example", Families::Both);
    assert_eq!(none, Err(LookupError::NoServers));
}
