//! The client between made-up servers, and messages that are cut.

use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::base::{Instant, MacAddr, Seed};

const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

fn client() -> Client {
    Client::new(MAC, &Seed::from_number(1))
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// When its next question leaves, and that.
fn next(client: &mut Client) -> (Instant, Vec<u8>) {
    loop {
        let due = client.next_due().expect("it asks");
        if let Some(message) = client.question(due) {
            return (due, message);
        }
    }
}

/// One option on the wire.
fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&code.to_be_bytes()[..], &len.to_be_bytes(), data].concat()
}

/// What a server says to a question, with these options behind its own.
fn reply(question: &[u8], more: &[u8]) -> Vec<u8> {
    let asked = Message::parse(question).unwrap();
    let who = asked.option(code::CLIENT_ID).unwrap();
    let server = option(code::SERVER_ID, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 9]);
    let client = option(code::CLIENT_ID, who);
    [&[7][..], &question[1..4], &client, &server, more].concat()
}

/// Covers: D6-1, D6-2 (what is in it; the same transaction each time, and for how long it was tried).
#[test]
fn a_question_says_who_asks_for_what_and_for_how_long() {
    let mut client = client();
    assert_eq!(
        client.next_due(),
        None,
        "nobody says that there are servers"
    );
    client.start(Instant::from_millis(5000));
    let (at, first) = next(&mut client);
    let message = Message::parse(&first).unwrap();
    assert_eq!(message.kind(), MessageType::INFORMATION_REQUEST);
    let duid = [0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
    assert_eq!(message.option(code::CLIENT_ID), Some(&duid[..]));
    assert_eq!(message.option(code::ELAPSED_TIME), Some(&[0, 0][..]));
    let wanted = [0, 23, 0, 24, 0, 32, 0, 83];
    assert_eq!(message.option(code::OPTION_REQUEST), Some(&wanted[..]));
    assert_eq!(message.options().count(), 3);
    let (later, second) = next(&mut client);
    let again = Message::parse(&second).unwrap();
    assert_eq!(again.transaction(), message.transaction());
    let hundredths = u16::try_from(later.since(at).as_millis() / 10).unwrap();
    let elapsed = again.option(code::ELAPSED_TIME).unwrap();
    assert_eq!(elapsed, hundredths.to_be_bytes());
    let mut other = Client::new(MAC, &Seed::from_number(2));
    other.start(Instant::ZERO);
    let (_, others) = next(&mut other);
    let others = Message::parse(&others).unwrap();
    assert_ne!(others.transaction(), message.transaction(), "by the seed");
}

/// Covers: D6-3: within a second, again after about 1, 2, 4 s and so on, up to an hour or what a server said, for ever.
#[test]
fn it_asks_less_and_less_often_and_never_ends() {
    let mut client = client();
    client.start(Instant::ZERO);
    let mut gaps = Vec::new();
    let mut last = Instant::ZERO;
    for _ in 0..30 {
        let (at, _) = next(&mut client);
        gaps.push(at.since(last));
        last = at;
    }
    assert!(gaps[0] < secs(1), "{gaps:?}");
    let mut middle = 1000;
    for gap in &gaps[1..] {
        let gap = gap.as_millis();
        assert!(
            (middle * 9 / 10..=middle * 11 / 10).contains(&gap),
            "{gaps:?}"
        );
        middle = if gap * 21 / 10 > 3_600_000 {
            3_600_000
        } else {
            gap * 2
        };
    }
    assert!(gaps[20..].iter().all(|&gap| gap >= secs(3240)), "{gaps:?}");
}

/// Covers: D6-4: each refusal, and nothing has changed.
#[test]
fn only_the_answer_to_the_question_is_taken() {
    let mut client = client();
    let nobody = client.on_datagram(Instant::ZERO, &[7, 0, 0, 0]);
    assert_eq!(nobody, Err(Refusal::Unexpected));
    client.start(Instant::ZERO);
    let early = client.on_datagram(Instant::ZERO, &[7, 0, 0, 0]);
    assert_eq!(early, Err(Refusal::Unexpected), "nothing was asked yet");
    let (now, question) = next(&mut client);
    let good = reply(&question, &option(code::DNS_SERVERS, &[0xfd; 16]));
    let without = |code: u16| {
        let message = Message::parse(&good).unwrap();
        let kept = message.options().filter(|option| option.code != code);
        let kept: Vec<u8> = kept.flat_map(|o| option(o.code, o.data)).collect();
        [&good[..4], &kept].concat()
    };
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let failed = [&good[..], &option(code::STATUS, &[0, 1])].concat();
    let due = client.next_due();
    for (bytes, why) in [
        (good[..good.len() - 1].to_vec(), Refusal::Malformed),
        (Vec::new(), Refusal::Malformed),
        (changed(0), Refusal::NotReply),
        (changed(3), Refusal::OtherExchange),
        (changed(17), Refusal::OtherClient),
        (without(code::CLIENT_ID), Refusal::OtherClient),
        (without(code::SERVER_ID), Refusal::NoServer),
        (failed, Refusal::Status),
    ] {
        assert_eq!(client.on_datagram(now, &bytes), Err(why), "{bytes:02x?}");
        assert_eq!((client.information(), client.next_due()), (None, due));
    }
    assert_eq!(client.on_datagram(now, &good), Ok(true));
    assert_eq!(
        client.on_datagram(now, &good),
        Err(Refusal::Unexpected),
        "once"
    );
    let Counters {
        requests,
        replies,
        refused,
    } = client.counters();
    assert_eq!((requests, replies, refused), (1, 1, 11));
}

/// Covers: D6-5, D6-6: the default, the least, what is said, never.
#[test]
fn it_asks_again_when_the_answer_says_so() {
    let number = |n: u32| option(code::REFRESH_TIME, &n.to_be_bytes());
    for (said, after) in [
        (Vec::new(), Some(86_400)),
        (number(0), Some(600)),
        (number(599), Some(600)),
        (number(7000), Some(7000)),
        (number(u32::MAX), None),
        (option(code::REFRESH_TIME, &[1, 2]), Some(86_400)),
    ] {
        let mut client = client();
        client.start(Instant::ZERO);
        let (now, question) = next(&mut client);
        client.on_datagram(now, &reply(&question, &said)).unwrap();
        let due = after.map(|after| now + secs(after));
        assert_eq!(client.next_due(), due, "{said:?}");
        if due.is_some() {
            let (at, second) = next(&mut client);
            assert!(Some(at) >= due && Some(at) < due.map(|due| due + secs(1)));
            assert_ne!(second[1..4], question[1..4], "another exchange");
            assert!(client.information().is_some(), "it holds meanwhile");
        }
    }
}

/// Covers: D6-7: from a minute to a day, else it is as it was.
#[test]
fn a_server_may_say_how_often_at_the_least() {
    for (said, most) in [(59, 3600), (60, 60), (86_400, 86_400), (86_401, 3600)] {
        let mut client = client();
        client.start(Instant::ZERO);
        let (now, question) = next(&mut client);
        let told = option(code::INF_MAX_RT, &u32::to_be_bytes(said));
        client.on_datagram(now, &reply(&question, &told)).unwrap();
        client.on_link_up(now);
        let times: Vec<Instant> = (0..30).map(|_| next(&mut client).0).collect();
        let gap = times[29].since(times[28]).as_secs();
        assert!(
            (most * 9 / 10..=most * 11 / 10).contains(&gap),
            "{said}: {gap}"
        );
    }
}

/// Covers: D6-8: servers and domains, 8 of each at most; what is none is left out.
#[test]
fn what_is_told_of_dns_is_bounded_and_looked_at() {
    let server = |n: u8| {
        let mut octets = [0; 16];
        (octets[0], octets[15]) = (0xfd, n);
        octets
    };
    let servers: Vec<[u8; 16]> = (0..20).flat_map(|n| [server(n); 2]).collect();
    let nobody = [[0; 16], [0xff; 16]].concat();
    let many = [&nobody[..], servers.as_flattened()].concat();
    let names = b"\x03lab\x07example\x00\x03LAB\x07Example\x00".to_vec();
    let more = (b'a'..=b'z').flat_map(|c| [1, c, 0]);
    let names: Vec<u8> = names.into_iter().chain(more).collect();
    let both = [
        option(code::DNS_SERVERS, &many),
        option(code::DOMAIN_LIST, &names),
    ];
    let mut client = client();
    client.start(Instant::ZERO);
    let (now, question) = next(&mut client);
    let answer = reply(&question, &both.concat());
    assert_eq!(client.on_datagram(now, &answer), Ok(true));
    let told = client.information().unwrap();
    let expected: Vec<std::net::Ipv6Addr> = (0..8).map(|n| server(n).into()).collect();
    assert_eq!(told.dns_servers, expected);
    let domains = ["lab.example", "a", "b", "c", "d", "e", "f", "g"];
    assert_eq!(told.dns_domains, domains);
    // The same once more is no news, and a list that is none tells of nobody.
    client.on_link_up(now);
    let (now, question) = next(&mut client);
    let answer = reply(&question, &both.concat());
    assert_eq!(client.on_datagram(now, &answer), Ok(false));
    client.on_link_up(now);
    let (now, question) = next(&mut client);
    let odd = option(code::DNS_SERVERS, &many[1..]);
    assert_eq!(client.on_datagram(now, &reply(&question, &odd)), Ok(true));
    let told = client.information().unwrap();
    assert!(told.dns_servers.is_empty() && told.dns_domains.is_empty());
}

/// Covers: D6-9: prefixes that change ask once in 30 s, and whatever else happens no more than 20 in 20 s.
#[test]
fn no_haste_makes_a_flood() {
    let mut client = client();
    client.start(Instant::ZERO);
    let (mut now, mut question) = next(&mut client);
    let mut asked = 1;
    while now < Instant::ZERO + secs(600) {
        let answer = reply(&question, &[]);
        client.on_datagram(now, &answer).unwrap();
        client.on_change(now);
        (now, question) = next(&mut client);
        asked += 1;
    }
    assert!(asked <= 600 / 30 + 2, "{asked} because of prefixes");
    let begin = now;
    let mut asked = 0;
    while now.since(begin) < secs(100) {
        client.on_link_up(now);
        let due = client.next_due().unwrap();
        now = now.max(due);
        asked += u32::from(client.question(now).is_some());
    }
    assert!(
        (100..=20 + 100).contains(&asked),
        "{asked} of a link that flaps"
    );
}

/// Covers: D6-9: another link: nothing holds, and it is asked at once when a router says so.
#[test]
fn another_link_is_another_matter() {
    let mut client = client();
    client.start(Instant::ZERO);
    let (now, question) = next(&mut client);
    let told = option(code::DNS_SERVERS, &[0xfd; 16]);
    client.on_datagram(now, &reply(&question, &told)).unwrap();
    client.on_link_down();
    assert_eq!(client.next_due(), None);
    client.on_link_up(now);
    assert!(client.information().is_some(), "it may be the same one");
    assert!(client.next_due().is_some());
    assert!(client.forget() && client.information().is_none());
    assert_eq!(client.next_due(), None);
    assert!(!client.forget());
    client.start(now);
    let (at, _) = next(&mut client);
    assert!(at < now + secs(1));
}

#[test]
fn a_message_that_is_cut_is_none() {
    let whole = information_request(0xABCD_EF01, &[7; 10], 3, &[1, 2]);
    assert_eq!(Message::parse(&whole).unwrap().transaction(), 0x00CD_EF01);
    let ends: Vec<usize> = (0..whole.len())
        .filter(|&len| Message::parse(&whole[..len]).is_ok())
        .collect();
    assert_eq!(ends, [4, 18, 24], "between options alone");
    for kind in [12, 13] {
        let relay = [&[kind][..], &whole[1..]].concat();
        assert_eq!(
            Message::parse(&relay).unwrap_err(),
            ParseError::Relay { kind }
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end_and_no_further(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = Message::parse(&bytes) {
            let held: usize = message.options().map(|option| 4 + option.data.len()).sum();
            prop_assert_eq!(held + HEADER_LEN, bytes.len());
        }
        let mut client = client();
        client.start(Instant::ZERO);
        let (now, question) = next(&mut client);
        let _ = client.on_datagram(now, &bytes);
        let _ = client.on_datagram(now, &reply(&question, &bytes));
        if let Some(told) = client.information() {
            prop_assert!(told.dns_servers.len() <= MAX_SERVERS && told.dns_domains.len() <= MAX_DOMAINS);
            prop_assert!(told.refresh.is_none_or(|time| time >= secs(600)));
        }
    }
}

/// A question that waits for an address is not one that was asked (RFC 8415 §21.9, §15).
#[test]
fn a_question_that_cannot_leave_yet_is_still_the_first() {
    let mut client = client();
    client.start(Instant::from_millis(5000));
    for _ in 0..100 {
        let due = client.next_due().unwrap();
        client.postpone(Instant::ZERO);
        assert_eq!(client.next_due(), Some(due), "not due");
        client.postpone(due);
        assert_eq!(client.next_due(), Some(due + secs(1)));
    }
    assert_eq!(client.counters().requests, 0);
    let (_, first) = next(&mut client);
    let message = Message::parse(&first).unwrap();
    assert_eq!(message.option(code::ELAPSED_TIME), Some(&[0, 0][..]));
    // What is known is asked for anew when its time has come, once that can leave.
    let answer = reply(&first, &[]);
    let now = client.next_due().unwrap();
    client.on_datagram(now, &answer).unwrap();
    let refresh = client.next_due().unwrap();
    client.postpone(refresh);
    assert!(client.next_due().unwrap() >= refresh);
    assert!(client.next_due().unwrap() < refresh + secs(31));
}
