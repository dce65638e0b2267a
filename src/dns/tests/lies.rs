//! Who is not the server, and servers that lie.

use proptest::prelude::*;

use super::*;

/// What comes of a question, changed; why it is refused.
type Lie = (fn(&Question) -> Vec<u8>, Refusal);

fn true_answer(question: &Question) -> Vec<u8> {
    to(question).address(NAME, 60, "10.0.0.1").bytes()
}

fn changed(question: &Question, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = true_answer(question);
    change(&mut bytes);
    bytes
}

/// Where the name of the question begins.
const QNAME: usize = 12;
/// Where its type begins, behind `www.example.org` on the wire.
const QTYPE: usize = QNAME + 17;

const LIES: &[Lie] = &[
    (|q| changed(q, |b| b[1] ^= 1), Refusal::OtherId),
    (|q| changed(q, |b| b[2] &= !0x80), Refusal::NotReply),
    // Another opcode.
    (|q| changed(q, |b| b[2] |= 0x10), Refusal::NotReply),
    (
        |q| changed(q, |b| b[QNAME + 1] = b'x'),
        Refusal::OtherQuestion,
    ),
    (
        |q| changed(q, |b| b[QTYPE + 1] = 28),
        Refusal::OtherQuestion,
    ),
    // Another class; the bit that multicast DNS has there.
    (|q| changed(q, |b| b[QTYPE + 3] = 3), Refusal::OtherQuestion),
    (
        |q| changed(q, |b| b[QTYPE + 2] = 0x80),
        Refusal::OtherQuestion,
    ),
    (|q| changed(q, |b| b.truncate(11)), Refusal::Malformed),
    (|q| changed(q, |b| b.truncate(40)), Refusal::Malformed),
    (|_| Vec::new(), Refusal::Malformed),
    // A name that points at itself.
    (
        |q| changed(q, |b| b[QNAME..QNAME + 2].copy_from_slice(&[0xc0, 12])),
        Refusal::Malformed,
    ),
    // No question, two of them, and more than there can be.
    (
        |q| {
            let mut answer = to(q);
            answer.0.questions.clear();
            answer.bytes()
        },
        Refusal::OtherQuestion,
    ),
    (
        |q| {
            let mut answer = to(q);
            answer.0.questions.push(answer.0.questions[0].clone());
            answer.bytes()
        },
        Refusal::OtherQuestion,
    ),
    (|q| changed(q, |b| b[4] = 0xff), Refusal::OtherQuestion),
];

/// Covers: DNS-3.
#[test]
fn what_is_no_reply_to_the_question_is_refused_and_the_question_stands() {
    for (number, (lie, why)) in LIES.iter().enumerate() {
        let mut rig = Rig::new(config(1));
        let question = rig.lookup_v4(NAME);
        let lie = lie(&question);
        assert_eq!(rig.tell(&question, &lie), Err(*why), "lie {number}");
        assert!(
            rig.events.is_empty() && rig.asked.is_empty(),
            "lie {number}"
        );
        assert_eq!(rig.counters().refused.get(*why), 1);
        rig.tell(&question, &true_answer(&question)).unwrap();
        assert_eq!(rig.end(), Ok(ips("10.0.0.1")), "lie {number}");
        assert_eq!(rig.counters().refused.total(), 1);
    }
}

/// Covers: DNS-3.
#[test]
fn another_source_and_late_answers_are_refused() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    let answer = true_answer(&question);
    for from in [server(2), SocketAddr::from(([192, 0, 2, 1], 54))] {
        let now = rig.now;
        let told = rig
            .resolver
            .handle_datagram(now, question.exchange, from, &answer);
        assert_eq!(told, Err(Refusal::OtherServer));
    }
    // By a stream there is no exchange of this number.
    let told = rig
        .resolver
        .handle_stream(rig.now, question.exchange, &answer);
    assert_eq!(told, Err(Refusal::Unexpected));
    rig.tell(&question, &answer).unwrap();
    assert_eq!(rig.tell(&question, &answer), Err(Refusal::Unexpected));
    assert!(rig.resolver.is_idle());
}

/// RFC 5452, and draft-vixie-dnsext-dns0x20: the capitals are drawn, and who repeats others is asked where nobody can forge.
#[test]
fn capitals_must_be_repeated() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    let name = asked_name(&question);
    assert!(name != NAME && name.eq_ignore_ascii_case(NAME), "{name}");
    let mut answer = to(&question).address(NAME, 60, "10.6.6.6");
    let lower = name.to_ascii_lowercase();
    answer.0.questions[0].qname = wire(&lower);
    assert_eq!(
        rig.tell(&question, &answer.bytes()),
        Err(Refusal::OtherCase)
    );
    let again = rig.next();
    assert_eq!((again.server, again.transport), (server(1), Transport::Tcp));
    assert_eq!(
        (rig.closed.clone(), rig.counters().doubted),
        (vec![question.exchange], 1)
    );
    // There it does not matter.
    let mut answer = to(&again).address(NAME, 60, "10.0.0.1");
    answer.0.questions[0].qname = wire("WWW.EXAMPLE.ORG");
    rig.tell(&again, &answer.bytes()).unwrap();
    assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
    // Without it, as the user writes them.
    let mut rig = Rig::new(config(1).mixed_case(false));
    assert_eq!(asked_name(&rig.lookup_v4("A.B")), "a.b");
}

/// Numbers, capitals and exchanges of questions do not come again.
/// Covers: DNS-4.
#[test]
fn each_question_is_drawn_anew() {
    let mut rig = Rig::new(config(1));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let question = rig.lookup_v4(NAME);
        let id = Packet::parse(message(&question)).unwrap().id();
        seen.insert((id, asked_name(&question)));
        rig.tell(
            &question,
            &to(&question).address(NAME, 0, "10.0.0.1").bytes(),
        )
        .unwrap();
    }
    assert_eq!(seen.len(), 100);
    let numbers: std::collections::BTreeSet<u16> = seen.iter().map(|(id, _)| *id).collect();
    assert!(numbers.len() > 95, "{} numbers", numbers.len());
}

/// Who guesses is told from the server by where it can be asked without guessing.
/// Covers: DNS-6.
#[test]
fn many_wrong_answers_lead_to_tcp() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    let wrong = changed(&question, |b| b[0] ^= 0x80);
    for n in 1..=15 {
        assert_eq!(rig.tell(&question, &wrong), Err(Refusal::OtherId), "{n}");
        assert!(rig.asked.is_empty(), "{n}");
    }
    assert_eq!(rig.tell(&question, &wrong), Err(Refusal::OtherId));
    assert_eq!(rig.next().transport, Transport::Tcp);
    // The true one comes too late.
    assert_eq!(
        rig.tell(&question, &true_answer(&question)),
        Err(Refusal::Unexpected)
    );
}

/// Of a peer that nobody can be but the server there is nothing more to wait for.
#[test]
fn a_lie_by_tcp_is_the_servers_failure() {
    for (lie, why) in LIES.iter().filter(|(_, why)| *why != Refusal::OtherCase) {
        let mut rig = Rig::new(config(2).attempts(1));
        let first = rig.lookup_v4(NAME);
        let cut = to(&first).flag(PacketFlag::TRUNCATION).bytes();
        rig.tell(&first, &cut).unwrap();
        let question = rig.next();
        assert_eq!(rig.tell(&question, &lie(&question)), Err(*why));
        assert_eq!(rig.next().server, server(2));
    }
}

/// A message that promises tens of thousands of records, and names of 255 bytes in two.
#[test]
fn promises_cost_nothing() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    for section in [6, 8] {
        let bytes = changed(&question, |b| b[section] = 0xff);
        assert_eq!(
            rig.tell(&question, &bytes),
            Err(Refusal::Malformed),
            "{section}"
        );
    }
    // Additional records are not looked at.
    let bytes = changed(&question, |b| b[10] = 0xff);
    rig.tell(&question, &bytes).unwrap();
    assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
}

/// An answer whose first record holds a chain of pointers, each two bytes below the last; the second one's name begins with the
/// last, and the third answers.
fn chained(question: &Question, pointers: usize) -> Vec<u8> {
    let mut bytes = true_answer(question);
    let answer = bytes.split_off(QTYPE + 4);
    let record = |data: &[u8]| {
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        [&[0xff, 0, 0, 1, 0, 0, 0, 9][..], &length, data].concat()
    };
    let pointer = |to: usize| (0xc000 | u16::try_from(to).unwrap()).to_be_bytes();
    bytes[7] = 3;
    // Behind its own name, of two bytes, and ten more.
    let first = bytes.len() + 12;
    let mut chain = vec![0; 2];
    for n in 0..pointers {
        chain.extend(pointer(first + 2 * n));
    }
    bytes.extend(pointer(QNAME));
    bytes.extend(record(&chain));
    bytes.extend(pointer(first + 2 * pointers));
    bytes.extend(record(&[]));
    bytes.extend(answer);
    bytes
}

/// A name of many pointers costs as many steps: no honest one has more than it can have labels.
#[test]
fn chains_of_pointers_are_bounded() {
    for (pointers, taken) in [(1, true), (253, true), (254, false), (7000, false)] {
        let mut rig = Rig::new(config(1));
        let question = rig.lookup_v4(NAME);
        let cut = to(&question).flag(PacketFlag::TRUNCATION).bytes();
        rig.tell(&question, &cut).unwrap();
        let question = rig.next();
        let told = rig.tell(&question, &chained(&question, pointers));
        let refused = Err(Refusal::Malformed);
        let wanted = if taken { Ok(()) } else { refused };
        assert_eq!(told, wanted, "{pointers}");
    }
}

/// What is in records of other types is not read, and spoils nothing.
#[test]
fn other_types_are_bytes() {
    let mut rig = Rig::new(config(1));
    let question = rig.lookup_v4(NAME);
    let ns = simple_dns::rdata::NS(wire("ns.example"));
    let mut answer = to(&question).address(NAME, 60, "10.0.0.1");
    answer
        .0
        .answers
        .push(record("x.example", 60, RData::NS(ns)));
    let mut bytes = answer.0.build_bytes_vec().unwrap();
    // Its name is one of 64 bytes, which nothing can be.
    let at = bytes.windows(3).rposition(|w| w == b"\x02ns").unwrap();
    bytes[at] = 64;
    rig.tell(&question, &bytes).unwrap();
    assert_eq!(rig.end(), Ok(ips("10.0.0.1")));
}

/// A dot within a label is no other label.
#[test]
fn a_dot_within_a_label() {
    let mut rig = Rig::new(config(1).mixed_case(false));
    let question = rig.lookup_v4("a.b");
    let mut bytes = to(&question).bytes();
    bytes[QNAME..QNAME + 5].copy_from_slice(b"\x03a.b\0");
    assert_eq!(rig.tell(&question, &bytes), Err(Refusal::OtherQuestion));
}

proptest! {
    /// Any bytes, and the truth with some bytes changed: no panic, and each is taken or counted.
    #[test]
    fn any_bytes_are_taken_or_counted(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        at in 0usize..80,
        value in any::<u8>(),
        by_tcp in any::<bool>(),
    ) {
        let mut rig = Rig::new(config(2));
        let mut question = rig.lookup_v4(NAME);
        if by_tcp {
            let cut = to(&question).flag(PacketFlag::TRUNCATION).bytes();
            rig.tell(&question, &cut).unwrap();
            question = rig.next();
        }
        let bent = changed(&question, |b| {
            let at = at % b.len();
            b[at] = value;
        });
        let before = rig.counters().clone();
        let mut told = Vec::new();
        for bytes in [&noise, &bent] {
            told.push(rig.tell(&question, bytes));
        }
        let counters = rig.counters();
        let replies = counters.replies - before.replies;
        let refused = counters.refused.total() - before.refused.total();
        prop_assert_eq!(replies + refused, 2, "{:?}", told);
    }
}
