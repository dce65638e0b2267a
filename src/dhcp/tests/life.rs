//! From the first DISCOVER to the end of a lease, by RFC 2131's states.

use super::*;

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;

/// What RFC 2131 §4.4.1 Table 5 and §4.3.2 have each message say.
#[derive(Debug, PartialEq)]
struct Says {
    kind: MessageType,
    from_to: (Ipv4Addr, Ipv4Addr),
    broadcast: bool,
    ciaddr: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

fn said(bench: &Bench) -> Says {
    let (sent, message) = (bench.sent.as_ref().unwrap(), bench.message());
    assert_eq!(message.operation(), Operation::REQUEST);
    assert_eq!((message.hardware_type(), message.hops()), (1, 0));
    assert_eq!(message.chaddr(), MAC.octets());
    assert_eq!((message.yiaddr(), message.giaddr()), (ANY, ANY));
    // RFC 4361 §6.1: in every message.
    let id = message.option(code::CLIENT_ID).unwrap();
    assert_eq!(*id, *ClientId::of_link(MAC).as_bytes());
    let kind = message.kind().unwrap();
    // RFC 2131 §4.4.1, Table 5: a DECLINE and a RELEASE must not ask for anything.
    let asks = [MessageType::DISCOVER, MessageType::REQUEST].contains(&kind);
    for code in [code::PARAMETER_REQUEST, code::MAX_MESSAGE] {
        assert_eq!(message.option(code).is_some(), asks, "{code}");
    }
    assert_eq!(message.option(code::LEASE_TIME), None);
    Says {
        kind,
        from_to: (sent.source, sent.destination),
        broadcast: message.is_broadcast(),
        ciaddr: message.ciaddr(),
        requested: message.address(code::REQUESTED_ADDRESS),
        server: message.address(code::SERVER_ID),
    }
}

fn to_all(kind: MessageType) -> Says {
    Says {
        kind,
        from_to: (ANY, ALL),
        broadcast: true,
        ciaddr: ANY,
        requested: None,
        server: None,
    }
}

/// Covers: DHC-1, DHC-7, DHC-8, DHC-18.
#[test]
fn each_message_says_what_table_5_wants() {
    let mut bench = Bench::started();
    bench.send_one();
    assert_eq!(said(&bench), to_all(MessageType::DISCOVER));
    bench
        .hear(|m| granting(m, MessageType::OFFER, 1000))
        .unwrap();
    let discover = bench.message().xid();
    bench.send_one();
    let request = Says {
        requested: Some(ADDRESS),
        server: Some(SERVER),
        ..to_all(MessageType::REQUEST)
    };
    assert_eq!(said(&bench), request);
    // RFC 2131 §4.4.1: the xid of the offer.
    assert_eq!(bench.message().xid(), discover);
    bench.hear(|m| granting(m, MessageType::ACK, 1000)).unwrap();
    bench.client.poll_event().unwrap();
    bench.next_one();
    let renew = Says {
        from_to: (ADDRESS, SERVER),
        broadcast: false,
        ciaddr: ADDRESS,
        ..to_all(MessageType::REQUEST)
    };
    assert_eq!(said(&bench), renew);
    bench.now = at(900);
    bench.send_one();
    let rebind = Says {
        from_to: (ADDRESS, ALL),
        ..renew
    };
    assert_eq!(said(&bench), rebind);
}

/// The rest of the table, and RFC 2131 §4.3.2 for a kept address.
/// Covers: DHC-1, DHC-7, DHC-17, DHC-18.
#[test]
fn what_parts_and_what_comes_back() {
    let mut bench = Bench::bound(1000);
    bench.client.handle_conflict(bench.now, ADDRESS);
    bench.send_one();
    let decline = Says {
        broadcast: false,
        requested: Some(ADDRESS),
        server: Some(SERVER),
        ..to_all(MessageType::DECLINE)
    };
    assert_eq!(said(&bench), decline);
    bench.client.poll_event().unwrap();
    bench.wait();
    bench.bind(1000);
    bench.client.release(bench.now);
    bench.send_one();
    let release = Says {
        from_to: (ADDRESS, SERVER),
        broadcast: false,
        ciaddr: ADDRESS,
        server: Some(SERVER),
        ..to_all(MessageType::RELEASE)
    };
    assert_eq!(said(&bench), release);
    bench.client.reboot(bench.now, ADDRESS);
    bench.send_one();
    let reboot = Says {
        requested: Some(ADDRESS),
        ..to_all(MessageType::REQUEST)
    };
    assert_eq!(said(&bench), reboot);
}

/// Covers: DHC-24.
#[test]
fn names_and_flags_are_settings() {
    let mut config = Config::new(MAC);
    (config.broadcast, config.mtu) = (false, 1280);
    config.host_name = Some("loom".into());
    config.client_id = Some(ClientId::of_hardware(MAC));
    let mut bench = Bench::new(config);
    bench.client.start(bench.now);
    bench.send_one();
    let message = bench.message();
    assert!(!message.is_broadcast());
    let option = |code| message.option(code).unwrap().into_owned();
    assert_eq!(option(code::HOST_NAME), b"loom");
    assert_eq!(option(code::MAX_MESSAGE), [5, 0]);
    assert_eq!(
        option(code::CLIENT_ID),
        ClientId::of_hardware(MAC).as_bytes()
    );
}

/// The seconds from one message to the next, within `seconds` +- 1.
#[track_caller]
fn next_after(bench: &mut Bench, seconds: u64) -> MessageType {
    let before = bench.now;
    bench.wait();
    let waited = bench.now.since(before);
    let expected = secs(seconds - 1)..=secs(seconds + 1);
    assert!(expected.contains(&waited), "{waited:?} is not {expected:?}");
    bench.send_one()
}

/// RFC 2131 §4.1. And who waits hears once that nobody answers.
/// Covers: DHC-4.
#[test]
fn a_discover_is_sent_again_ever_later() {
    let mut bench = Bench::started();
    bench.send_one();
    let xid = bench.message().xid();
    for (n, seconds) in [4, 8, 16, 32, 64, 64, 64].into_iter().enumerate() {
        assert_eq!(bench.client.poll_event(), None);
        assert_eq!(next_after(&mut bench, seconds), MessageType::DISCOVER);
        assert_eq!(bench.message().xid(), xid);
        let elapsed = bench.now.since(Instant::ZERO).as_secs();
        assert_eq!(u64::from(bench.message().secs()), elapsed);
        let told = (n == 3).then_some(Event::NoServer);
        assert_eq!(bench.client.poll_event(), told);
    }
    assert_eq!(bench.client.counters().discovers, 8);
    // secs has 16 bits, and does not wrap.
    bench.now = at(100_000);
    bench.send_one();
    assert_eq!(bench.message().secs(), u16::MAX);
}

/// Covers: DHC-4, DHC-5.
#[test]
fn two_clients_do_not_keep_in_step() {
    let second = |seed| {
        let mut client = Client::new(Config::new(MAC), Seed::from_number(seed)).unwrap();
        client.start(Instant::ZERO);
        let first = client.poll_transmit(Instant::ZERO).unwrap();
        let xid = Message::parse(&first.payload).unwrap().xid();
        (xid, client.poll_timeout())
    };
    let (one, other) = (second(1), second(2));
    assert!(one.0 != other.0 && one.1 != other.1);
    assert_eq!(one, second(1));
}

/// RFC 2131 §4.4.1: secs of the REQUEST is the DISCOVER's. §3.1 (5): four REQUESTs in 60 s, then from the beginning.
/// Covers: DHC-8, DHC-9, DHC-26.
#[test]
fn a_request_that_nobody_answers_ends_in_a_new_search() {
    let mut bench = Bench::started();
    bench.send_one();
    next_after(&mut bench, 4);
    let (secs, discover) = (bench.message().secs(), bench.message().xid());
    assert!(secs >= 3);
    bench.now = bench.now + super::secs(2);
    bench.hear(|m| granting(m, MessageType::OFFER, 60)).unwrap();
    assert_eq!(bench.send_one(), MessageType::REQUEST);
    assert_eq!(bench.message().secs(), secs);
    for seconds in [4, 8, 16] {
        assert_eq!(next_after(&mut bench, seconds), MessageType::REQUEST);
        assert_eq!(
            (bench.message().secs(), bench.message().xid()),
            (secs, discover)
        );
    }
    assert_eq!(next_after(&mut bench, 32), MessageType::DISCOVER);
    assert_ne!(bench.message().xid(), discover);
    assert_eq!(bench.client.counters().requests, 4);
    // RFC 2131 §2: secs is counted from the begin of it all.
    let elapsed = bench.now.since(Instant::ZERO).as_secs();
    assert_eq!(u64::from(bench.message().secs()), elapsed);
    let (address, server) = (ADDRESS, SERVER);
    assert_eq!(
        bench.client.poll_event(),
        Some(Event::Unanswered { address, server })
    );
    assert_eq!(bench.client.poll_event(), None);
}

/// RFC 2131 §4.4.1: the lease runs from when its REQUEST was sent: the first, as nobody knows which was granted.
/// Covers: DHC-10.
#[test]
fn a_lease_begins_with_its_first_request() {
    let mut bench = Bench::started();
    bench.send_one();
    bench.now = at(1);
    bench
        .hear(|m| granting(m, MessageType::OFFER, 100))
        .unwrap();
    bench.send_one();
    next_after(&mut bench, 4);
    bench.hear(|m| granting(m, MessageType::ACK, 100)).unwrap();
    assert_eq!(bench.client.expires_at(), Some(at(101)));
    // One that is over when it is granted is none.
    let mut bench = Bench::started();
    bench.send_one();
    bench.hear(|m| granting(m, MessageType::OFFER, 10)).unwrap();
    bench.send_one();
    next_after(&mut bench, 4);
    bench.now = at(10);
    let late = bench.hear(|m| granting(m, MessageType::ACK, 10));
    assert_eq!(late, Err(Refusal::LeaseTime));
    bench.hear(|m| granting(m, MessageType::ACK, 11)).unwrap();
    assert_eq!(bench.client.expires_at(), Some(at(11)));
}

/// RFC 2131 §4.4.5: at T1 its server is asked, after half of the time to T2 again; at T2 any server, after
/// half of the time to the end; each time 60 s at least. At the end the address is given up.
/// Covers: DHC-12, DHC-13.
#[test]
fn a_lease_that_nobody_extends_ends() {
    let mut bench = Bench::bound(32_000);
    let lease = bench.client.lease().unwrap().clone();
    let (t1, t2) = (lease.renew_after.unwrap(), lease.rebind_after.unwrap());
    let mut asked = Vec::new();
    let lost = loop {
        bench.wait();
        if let Some(event) = bench.client.poll_event() {
            break event;
        }
        assert_eq!(bench.send_one(), MessageType::REQUEST);
        asked.push((
            bench.now.since(Instant::ZERO),
            bench.sent.as_ref().unwrap().destination,
        ));
    };
    let why = LossReason::Expired;
    let address = ADDRESS;
    assert_eq!(lost, Event::Lost { address, why });
    assert_eq!(bench.now, at(32_000));
    let half_of = |begin: Duration, end: Duration, to| {
        let mut expected = Vec::new();
        let mut next = begin;
        while next < end {
            expected.push((next, to));
            next += ((end - next) / 2).max(secs(60));
        }
        expected
    };
    let mut expected = half_of(t1, t2, SERVER);
    expected.extend(half_of(t2, secs(32_000), ALL));
    assert_eq!(asked, expected);
    // What was used is asked for again, at once.
    assert_eq!(bench.send_one(), MessageType::DISCOVER);
    assert_eq!(
        bench.message().address(code::REQUESTED_ADDRESS),
        Some(ADDRESS)
    );
    assert_eq!(
        (bench.client.lease(), bench.client.expires_at()),
        (None, None)
    );
}

/// Covers: DHC-10.
#[test]
fn a_renewed_lease_runs_from_its_own_request() {
    let mut bench = Bench::bound(1000);
    assert_eq!(bench.client.expires_at(), Some(at(1000)));
    let first = bench.message().xid();
    bench.next_one();
    let (sent, old) = (bench.now, bench.message().xid());
    assert_ne!(old, first);
    bench.next_one();
    // An answer to the question before may grant less than it says now.
    let late = bench.hear(|m| {
        let late = Builder::new(Operation::REPLY, MessageType::ACK, old, MAC);
        late.yiaddr(m.ciaddr())
            .number(code::LEASE_TIME, 1000)
            .address(code::SERVER_ID, SERVER)
    });
    assert_eq!(late, Err(Refusal::OtherExchange));
    assert_eq!(bench.client.expires_at(), Some(at(1000)));
    let again = bench.now;
    assert!(again > sent);
    bench.now = again + secs(1);
    bench
        .hear(|m| granting(m, MessageType::ACK, 2000).address(code::DNS_SERVERS, SERVER))
        .unwrap();
    assert_eq!(bench.client.expires_at(), Some(again + secs(2000)));
    let renewed = bench.client.lease().unwrap().clone();
    assert_eq!(renewed.dns_servers, [SERVER]);
    assert_eq!(bench.client.poll_event(), Some(Event::Renewed(renewed)));
    assert_eq!(bench.client.poll_event(), None);
}

/// RFC 2131 §4.4.5: RENEWING is between the client and its server; in REBINDING any may answer.
/// Covers: DHC-23.
#[test]
fn another_server_may_answer_from_t2_on() {
    let other = Ipv4Addr::new(10, 7, 0, 2);
    let from_other = |m: &Message<'_>| {
        let ack = Builder::new(Operation::REPLY, MessageType::ACK, m.xid(), MAC).yiaddr(ADDRESS);
        ack.number(code::LEASE_TIME, 1000)
            .address(code::SERVER_ID, other)
    };
    let mut bench = Bench::bound(1000);
    bench.next_one();
    assert_eq!(bench.hear(from_other), Err(Refusal::OtherServer));
    bench.now = at(900);
    bench.send_one();
    bench.hear(from_other).unwrap();
    assert_eq!(bench.client.lease().unwrap().server, other);
    bench.next_one();
    assert_eq!(bench.sent.as_ref().unwrap().destination, other);
}

/// Covers: DHC-11.
#[test]
fn a_kept_address_is_confirmed() {
    let mut bench = Bench::new(Config::new(MAC));
    bench.client.reboot(bench.now, ADDRESS);
    // RFC 2131 §4.3.2: no server identifier, and ciaddr is zero.
    assert_eq!(bench.send_one(), MessageType::REQUEST);
    bench.hear(|m| granting(m, MessageType::ACK, 60)).unwrap();
    let lease = bench.client.lease().unwrap().clone();
    assert_eq!(bench.client.poll_event(), Some(Event::Bound(lease)));
    assert_eq!(bench.client.expires_at(), Some(at(60)));
}

/// RFC 2131 §3.2 (3), (4).
/// Covers: DHC-11.
#[test]
fn a_kept_address_that_is_refused_or_unheard_of() {
    let mut bench = Bench::new(Config::new(MAC));
    bench.client.reboot(bench.now, ADDRESS);
    bench.send_one();
    bench.hear(nak).unwrap();
    let (address, server) = (ADDRESS, SERVER);
    assert_eq!(
        bench.client.poll_event(),
        Some(Event::Refused { address, server })
    );
    assert_eq!(bench.send_one(), MessageType::DISCOVER);
    assert_eq!(bench.message().address(code::REQUESTED_ADDRESS), None);
    // Nobody says anything.
    let mut bench = Bench::new(Config::new(MAC));
    bench.client.reboot(bench.now, ADDRESS);
    bench.send_one();
    assert_eq!(next_after(&mut bench, 4), MessageType::REQUEST);
    assert_eq!(next_after(&mut bench, 8), MessageType::DISCOVER);
    assert_eq!(
        bench.message().address(code::REQUESTED_ADDRESS),
        Some(ADDRESS)
    );
    // Another one is granted, and so another one is bound.
    let other = Ipv4Addr::new(10, 7, 0, 51);
    bench
        .hear(|m| granting(m, MessageType::OFFER, 60).yiaddr(other))
        .unwrap();
    bench.send_one();
    bench
        .hear(|m| granting(m, MessageType::ACK, 60).yiaddr(other))
        .unwrap();
    assert_eq!(bench.client.lease().unwrap().address, other);
    // What no host can have is not asked for.
    for address in [ANY, ALL, Ipv4Addr::LOCALHOST] {
        let mut bench = Bench::new(Config::new(MAC));
        bench.client.reboot(bench.now, address);
        assert_eq!(bench.send_one(), MessageType::DISCOVER);
        assert_eq!(bench.message().address(code::REQUESTED_ADDRESS), None);
    }
}

/// A host that was moved asks at once; a server that offers and refuses again and again is asked ever less.
/// Covers: DHC-14.
#[test]
fn refusals_in_a_row_are_waited_for() {
    let mut bench = Bench::bound(1000);
    bench.next_one();
    bench.hear(nak).unwrap();
    let (address, why) = (ADDRESS, LossReason::Refused);
    assert_eq!(
        bench.client.poll_event(),
        Some(Event::Lost { address, why })
    );
    assert_eq!(bench.client.poll_event(), None);
    assert_eq!(bench.send_one(), MessageType::DISCOVER);
    for seconds in [4, 8, 16, 32, 64, 64] {
        bench
            .hear(|m| granting(m, MessageType::OFFER, 1000))
            .unwrap();
        assert_eq!(bench.send_one(), MessageType::REQUEST);
        bench.hear(nak).unwrap();
        assert_eq!(bench.client.poll_transmit(bench.now), None);
        let told = bench.client.poll_event();
        assert_eq!(
            told,
            Some(Event::Refused {
                address,
                server: SERVER
            })
        );
        assert_eq!(next_after(&mut bench, seconds), MessageType::DISCOVER);
    }
    // A lease ends the row.
    bench
        .hear(|m| granting(m, MessageType::OFFER, 1000))
        .unwrap();
    bench.send_one();
    bench.hear(|m| granting(m, MessageType::ACK, 1000)).unwrap();
    bench.client.poll_event().unwrap();
    bench.next_one();
    bench.hear(nak).unwrap();
    assert_eq!(bench.send_one(), MessageType::DISCOVER);
}

/// RFC 2131 §3.1 (5): ten seconds at least; RFC 5227 §2.1.1: after ten conflicts not above one a minute.
/// Covers: DHC-15, ACD-6.
#[test]
fn an_address_that_another_has_is_declined() {
    let mut bench = Bench::bound(1000);
    for (conflicts, (least, most)) in [(10, 10), (10, 10), (15, 17), (31, 33), (63, 65), (63, 65)]
        .into_iter()
        .enumerate()
    {
        let before = bench.now;
        bench.client.handle_conflict(before, ADDRESS);
        assert_eq!(
            bench.client.poll_timeout(),
            Some(Instant::ZERO),
            "the message waits"
        );
        assert_eq!(bench.send_one(), MessageType::DECLINE);
        let (address, why) = (ADDRESS, LossReason::Conflict);
        assert_eq!(
            bench.client.poll_event(),
            Some(Event::Lost { address, why })
        );
        // Nothing is held, so nothing is declined.
        bench.client.handle_conflict(before, ADDRESS);
        assert_eq!(bench.client.counters().declines, conflicts as u64 + 1);
        // A link that comes up does not end the wait.
        bench.client.handle_link_up(before);
        bench.wait();
        let waited = bench.now.since(before);
        assert!(
            (secs(least)..=secs(most)).contains(&waited),
            "{waited:?} after {conflicts}"
        );
        bench.bind(1000);
    }
    bench.next_one();
    bench.hear(|m| granting(m, MessageType::ACK, 1000)).unwrap();
    let before = bench.now;
    bench.client.handle_conflict(before, ADDRESS);
    bench.send_one();
    bench.wait();
    assert_eq!(
        bench.now.since(before),
        secs(10),
        "one that lasted ends the row"
    );
}

/// Covers: DHC-17.
#[test]
fn what_is_given_back_is_gone() {
    let mut bench = Bench::bound(1000);
    bench.client.release(bench.now);
    assert_eq!(bench.client.lease(), None);
    assert_eq!(bench.send_one(), MessageType::RELEASE);
    let (address, why) = (ADDRESS, LossReason::Released);
    assert_eq!(
        bench.client.poll_event(),
        Some(Event::Lost { address, why })
    );
    assert_eq!(bench.client.poll_timeout(), None);
    bench.client.release(bench.now);
    assert_eq!(bench.client.poll_transmit(bench.now), None);
    assert_eq!(bench.client.counters().releases, 1);
    bench.client.start(bench.now);
    assert_eq!(bench.send_one(), MessageType::DISCOVER);
    // In the middle of a search there is nothing to give back.
    bench.client.release(bench.now);
    assert_eq!(bench.client.poll_timeout(), None);
    assert_eq!(
        (
            bench.client.poll_transmit(bench.now),
            bench.client.poll_event()
        ),
        (None, None)
    );
}

/// RFC 2131 §3.7: a host that may have been moved confirms what it holds; if nobody answers it is not used further.
/// Covers: DHC-21.
#[test]
fn a_link_that_comes_up_confirms_a_lease() {
    let mut bench = Bench::bound(1000);
    for answered in [true, false] {
        bench.now = bench.now + secs(10);
        bench.client.handle_link_up(bench.now);
        assert_eq!(bench.send_one(), MessageType::REQUEST);
        let says = said(&bench);
        assert_eq!((says.from_to, says.requested), ((ANY, ALL), Some(ADDRESS)));
        assert!(bench.client.lease().is_some());
        if answered {
            bench.hear(|m| granting(m, MessageType::ACK, 1000)).unwrap();
            assert!(matches!(bench.client.poll_event(), Some(Event::Renewed(_))));
            assert_eq!(bench.client.expires_at(), Some(bench.now + secs(1000)));
        } else {
            next_after(&mut bench, 4);
            // It may be another link, whose servers know nothing of it and say nothing.
            assert_eq!(next_after(&mut bench, 8), MessageType::DISCOVER);
            assert_eq!(said(&bench).requested, Some(ADDRESS));
            let (address, why) = (ADDRESS, LossReason::Unconfirmed);
            assert_eq!(
                bench.client.poll_event(),
                Some(Event::Lost { address, why })
            );
            assert_eq!(bench.client.lease(), None);
            bench.client.handle_link_up(bench.now);
            bench.bind(1000);
        }
    }
    bench.client.handle_link_up(bench.now);
    bench.send_one();
    bench.hear(nak).unwrap();
    let (address, why) = (ADDRESS, LossReason::Refused);
    assert_eq!(
        bench.client.poll_event(),
        Some(Event::Lost { address, why })
    );
    // A search begins anew, without waiting for its next turn.
    bench.send_one();
    bench.next_one();
    bench.client.handle_link_up(bench.now);
    assert_eq!(bench.send_one(), MessageType::DISCOVER);
    // A client that was not started stays so.
    let mut bench = Bench::new(Config::new(MAC));
    bench.client.handle_link_up(bench.now);
    assert_eq!(bench.client.poll_timeout(), None);
}

/// While a lease is confirmed it may come to its end.
#[test]
fn a_lease_ends_while_it_is_confirmed() {
    let mut bench = Bench::bound(100);
    bench.now = at(99);
    bench.client.handle_link_up(bench.now);
    assert_eq!(bench.send_one(), MessageType::REQUEST);
    bench.wait();
    assert_eq!(bench.now, at(100));
    let (address, why) = (ADDRESS, LossReason::Expired);
    assert_eq!(
        bench.client.poll_event(),
        Some(Event::Lost { address, why })
    );
}

/// Whoever comes late, by whichever entry, does nothing with a lease that is over.
/// Covers: DHC-13.
#[test]
fn an_answer_after_the_end_revives_nothing() {
    let mut bench = Bench::bound(100);
    bench.next_one();
    bench.now = at(100);
    let late = bench.hear(|m| granting(m, MessageType::ACK, 100));
    assert_eq!(late, Err(Refusal::Unexpected));
    assert_eq!(bench.client.lease(), None);
    let mut bench = Bench::bound(100);
    bench.client.poll_transmit(at(100));
    assert_eq!(bench.client.lease(), None);
    let mut bench = Bench::bound(100);
    bench.client.release(at(100));
    assert_eq!(bench.client.counters().releases, 0);
    let mut bench = Bench::bound(100);
    bench.client.handle_conflict(at(100), ADDRESS);
    assert_eq!(bench.client.counters().declines, 0);
    let mut bench = Bench::bound(100);
    bench.client.handle_link_up(at(100));
    assert_eq!(bench.client.lease(), None);
}

/// Of each kind one event waits: whoever does not ask is told what is, not all that was.
#[test]
fn events_do_not_pile_up() {
    let mut bench = Bench::started();
    bench.bind(1000);
    let renew = |bench: &mut Bench| {
        bench.next_one();
        bench.hear(|m| granting(m, MessageType::ACK, 1000)).unwrap();
    };
    renew(&mut bench);
    renew(&mut bench);
    let events = |bench: &mut Bench| std::iter::from_fn(|| bench.client.poll_event()).count();
    assert_eq!(events(&mut bench), 1);
    renew(&mut bench);
    bench.client.release(bench.now);
    bench.send_one();
    let rebind = |bench: &mut Bench| {
        bench.client.start(bench.now);
        bench.send_one();
        bench
            .hear(|m| granting(m, MessageType::OFFER, 1000))
            .unwrap();
        bench.send_one();
        bench.hear(|m| granting(m, MessageType::ACK, 1000)).unwrap();
    };
    rebind(&mut bench);
    // That one was never told, so its end is not either.
    bench.client.handle_conflict(bench.now, ADDRESS);
    bench.send_one();
    bench.client.release(bench.now);
    rebind(&mut bench);
    // One that is extended before it was told is still new.
    bench.client.handle_link_up(bench.now);
    bench.send_one();
    bench.hear(|m| granting(m, MessageType::ACK, 1000)).unwrap();
    let (address, why) = (ADDRESS, LossReason::Released);
    assert_eq!(
        bench.client.poll_event(),
        Some(Event::Lost { address, why })
    );
    let lease = bench.client.lease().unwrap().clone();
    assert_eq!(bench.client.poll_event(), Some(Event::Bound(lease)));
    assert_eq!(bench.client.poll_event(), None);
}

/// RFC 2131 §4.4.1: a random time before the first message, if that is wanted.
#[test]
fn a_start_can_be_delayed() {
    let mut config = Config::new(MAC);
    config.start_delay = secs(10);
    let begin = |seed: u64, kept: bool| {
        let mut client = Client::new(config.clone(), Seed::from_number(seed)).unwrap();
        if kept {
            client.reboot(at(5), ADDRESS);
        } else {
            client.start(at(5));
        }
        assert_eq!(client.poll_transmit(at(5)), None);
        // A device that says at its start that it is up cuts no wait short.
        client.handle_link_up(at(5));
        assert_eq!(client.poll_transmit(at(5)), None);
        let next = client.poll_timeout().unwrap();
        assert!(client.poll_transmit(next).is_some());
        next.since(at(5))
    };
    for kept in [false, true] {
        let times: Vec<_> = (1..20).map(|seed| begin(seed, kept)).collect();
        assert!(
            times
                .iter()
                .all(|&time| time > Duration::ZERO && time < secs(10))
        );
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(*most - *least > secs(5), "{times:?}");
    }
}

type Set = fn(&mut Config);

#[test]
fn settings_out_of_their_bounds() {
    let short = |what, millis| ConfigError::Short {
        what,
        time: Duration::from_millis(millis),
    };
    let rows: &[(Set, Option<ConfigError>)] = &[
        (|c| c.host_name = Some("a".repeat(255)), None),
        (
            |c| c.host_name = Some("a".repeat(256)),
            Some(ConfigError::HostName { len: 256 }),
        ),
        (
            |c| c.host_name = Some(String::new()),
            Some(ConfigError::HostName { len: 0 }),
        ),
        (|c| c.also_request = vec![1; 128], None),
        (
            |c| c.also_request = vec![1; 129],
            Some(ConfigError::AlsoRequest { count: 129 }),
        ),
        (|c| c.mtu = 576, None),
        (|c| c.mtu = 575, Some(ConfigError::Mtu { mtu: 575 })),
        (|c| c.min_lease = secs(1), None),
        (
            |c| c.min_lease = Duration::from_millis(999),
            Some(short("min_lease", 999)),
        ),
        (
            |c| c.retransmit_first = Duration::ZERO,
            Some(short("retransmit_first", 0)),
        ),
        (
            |c| c.retransmit_max = Duration::ZERO,
            Some(short("retransmit_max", 0)),
        ),
        (
            |c| c.renew_interval = Duration::ZERO,
            Some(short("renew_interval", 0)),
        ),
        (
            |c| c.decline_wait = Duration::ZERO,
            Some(short("decline_wait", 0)),
        ),
    ];
    check_settings(rows);
}

#[test]
fn settings_that_would_never_wait_or_not_fit() {
    let rows: &[(Set, Option<ConfigError>)] = &[
        (|c| c.min_mtu = 68, None),
        (|c| c.min_mtu = 1500, None),
        (
            |c| c.min_mtu = 67,
            Some(ConfigError::MinMtu {
                min_mtu: 67,
                mtu: 1500,
            }),
        ),
        (
            |c| c.min_mtu = 1501,
            Some(ConfigError::MinMtu {
                min_mtu: 1501,
                mtu: 1500,
            }),
        ),
        (|c| c.request_tries = 1, None),
        (|c| c.request_tries = 0, Some(ConfigError::RequestTries)),
        (
            |c| {
                c.host_name = Some("a".repeat(255));
                c.also_request = vec![100, 101, 102, 103];
            },
            None,
        ),
        (
            |c| {
                c.host_name = Some("a".repeat(255));
                c.also_request = vec![100, 101, 102, 103, 104];
            },
            Some(ConfigError::Message { len: 549 }),
        ),
    ];
    check_settings(rows);
}

fn check_settings(rows: &[(Set, Option<ConfigError>)]) {
    for &(set, error) in rows {
        let mut config = Config::new(MAC);
        set(&mut config);
        assert_eq!(Client::new(config, Seed::from_number(1)).err(), error);
    }
}

/// A duration that no clock has time for is as good as never, and no reason to panic.
#[test]
fn waits_without_end() {
    let mut config = Config::new(MAC);
    (config.retransmit_first, config.decline_wait) = (Duration::MAX, Duration::MAX);
    (config.start_delay, config.renew_interval) = (secs(1), Duration::MAX);
    let mut bench = Bench::new(config);
    bench.client.start(bench.now);
    bench.wait();
    bench.bind(1000);
    bench.next_one();
    bench.client.handle_conflict(bench.now, ADDRESS);
    assert_eq!(bench.send_one(), MessageType::DECLINE);
    assert_eq!(bench.client.poll_timeout(), None);
}

/// Who probes may be late.
#[test]
fn a_conflict_over_another_address_is_none() {
    let mut bench = Bench::bound(1000);
    let other = Ipv4Addr::new(10, 7, 0, 51);
    bench.client.handle_conflict(bench.now, other);
    assert_eq!(bench.client.poll_transmit(bench.now), None);
    assert!(bench.client.lease().is_some());
}

/// A host with two interfaces has one seed.
/// Covers: DHC-5.
#[test]
fn two_interfaces_of_one_seed_do_not_share_an_xid() {
    let first = |mac| {
        let mut client = Client::new(Config::new(mac), Seed::from_number(1)).unwrap();
        client.start(Instant::ZERO);
        let sent = client.poll_transmit(Instant::ZERO).unwrap();
        let xid = Message::parse(&sent.payload).unwrap().xid();
        (xid, client.poll_timeout())
    };
    let (one, other) = (first(MAC), first(MacAddr::new([2, 0, 0, 0, 0, 2])));
    assert!(one.0 != other.0 && one.1 != other.1);
}

/// RFC 2131 §2: secs is counted from the begin of the renewal, which REBINDING goes on with.
#[test]
fn rebinding_counts_its_seconds_from_t1() {
    let mut bench = Bench::bound(1000);
    bench.next_one();
    let t1 = bench.now;
    assert_eq!(bench.message().secs(), 0);
    while bench.sent.as_ref().unwrap().destination != ALL {
        bench.next_one();
    }
    let elapsed = bench.now.since(t1).as_secs();
    assert!(elapsed > 300);
    assert_eq!(u64::from(bench.message().secs()), elapsed);
}

/// An ACK that comes after T1: nothing leaves from an address that the user has not added.
#[test]
fn a_lease_is_told_before_it_is_extended() {
    let mut bench = Bench::started();
    bench.send_one();
    bench.hear(|m| granting(m, MessageType::OFFER, 10)).unwrap();
    bench.send_one();
    bench.now = at(6);
    bench.hear(|m| granting(m, MessageType::ACK, 10)).unwrap();
    assert_eq!(bench.client.poll_transmit(bench.now), None);
    assert!(bench.client.poll_timeout().unwrap() <= bench.now);
    assert!(matches!(bench.client.poll_event(), Some(Event::Bound(_))));
    assert_eq!(bench.send_one(), MessageType::REQUEST);
    assert_eq!(bench.sent.as_ref().unwrap().source, ADDRESS);
}

/// Another link has other servers, which have refused nothing yet.
#[test]
fn a_link_that_comes_up_ends_the_wait_after_refusals() {
    let mut bench = Bench::started();
    let refuse = |bench: &mut Bench| {
        assert_eq!(bench.send_one(), MessageType::DISCOVER);
        bench
            .hear(|m| granting(m, MessageType::OFFER, 1000))
            .unwrap();
        bench.send_one();
        bench.hear(nak).unwrap();
    };
    refuse(&mut bench);
    refuse(&mut bench);
    assert_eq!(bench.client.poll_transmit(bench.now), None);
    bench.client.handle_link_up(bench.now);
    // And the row begins anew.
    refuse(&mut bench);
    assert_eq!(bench.send_one(), MessageType::DISCOVER);
}

/// An address of before is asked for until there is a lease.
#[test]
fn a_hint_outlives_an_offer() {
    for link in [false, true] {
        let mut bench = Bench::new(Config::new(MAC));
        bench.client.reboot(bench.now, ADDRESS);
        bench.send_one();
        bench.next_one();
        assert_eq!(bench.next_one(), MessageType::DISCOVER);
        let other = Ipv4Addr::new(10, 7, 0, 51);
        bench
            .hear(|m| granting(m, MessageType::OFFER, 60).yiaddr(other))
            .unwrap();
        assert_eq!(bench.send_one(), MessageType::REQUEST);
        if link {
            bench.client.handle_link_up(bench.now);
            bench.send_one();
        } else {
            while bench.next_one() == MessageType::REQUEST {}
        }
        let hint = bench.message().address(code::REQUESTED_ADDRESS);
        assert_eq!(hint, Some(ADDRESS), "{link}");
    }
}

/// Nothing that could be refused is out.
#[test]
fn a_nak_in_selecting_and_in_bound_is_not_taken() {
    let mut bench = Bench::started();
    bench.send_one();
    assert_eq!(bench.hear(nak), Err(Refusal::OtherKind));
    bench
        .hear(|m| granting(m, MessageType::OFFER, 1000))
        .unwrap();
    bench.send_one();
    bench.hear(|m| granting(m, MessageType::ACK, 1000)).unwrap();
    assert_eq!(bench.hear(nak), Err(Refusal::Unexpected));
    assert!(bench.client.lease().is_some());
    assert_eq!(bench.client.counters().naks, 0);
}

/// A server need not say again what has not changed.
#[test]
fn a_renewal_without_a_mask_keeps_the_prefix() {
    let mut bench = Bench::bound(1000);
    bench.next_one();
    let bare = |m: &Message<'_>| {
        let ack = answer(m, MessageType::ACK).yiaddr(ADDRESS);
        ack.number(code::LEASE_TIME, 1000)
    };
    bench.hear(bare).unwrap();
    assert_eq!(bench.client.lease().unwrap().prefix, 24);
}
