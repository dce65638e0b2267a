//! Stateless DHCPv6: what parses is read to its end and no further; and a client, whatever servers say and whenever, takes
//! only answers to its question, keeps no more than it may, and is not woken without end.

use std::time::Duration;

use netloom::dhcp6::{
    Client, HEADER_LEN, MAX_DOMAINS, MAX_SERVERS, Message, MessageType, code, information_request,
};
use netloom::{Instant, MacAddr, Seed};

const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

/// What each step's byte means, modulo their number; some take more bytes.
mod step {
    /// Until the client wants to be called.
    pub const WAIT: u8 = 0;
    /// The answer to the last question, with so many (a byte) bytes of options behind its own.
    pub const ANSWER: u8 = 1;
    /// A datagram of so many bytes.
    pub const RAW: u8 = 2;
    /// So many times four seconds go by.
    pub const LATER: u8 = 3;
    /// Prefixes come or go.
    pub const CHANGE: u8 = 4;
    /// The link goes down, and comes up.
    pub const LINK: u8 = 5;
    /// It is another link.
    pub const FORGET: u8 = 6;
    /// How many there are.
    pub const COUNT: u8 = 7;
}

/// Input: 0 and a message; or 1 and steps.
pub fn run(input: &[u8]) {
    match *input {
        [] => {}
        [which, ref rest @ ..] if which % 2 == 0 => message(rest),
        [_, ref rest @ ..] => steps(rest),
    }
}

fn message(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    let options = message.options().map(|option| 4 + option.data.len());
    assert_eq!(HEADER_LEN + options.sum::<usize>(), bytes.len());
    for option in message.options() {
        assert!(message.option(option.code).is_some());
    }
    assert!(format!("{message:?}").len() < 1000 + 40 * bytes.len());
}

fn steps(mut input: &[u8]) {
    let mut client = Client::new(MAC, &Seed::from_number(1));
    let mut now = Instant::ZERO;
    let mut asked = Vec::new();
    client.start(now);
    while let Some((&which, rest)) = input.split_first() {
        input = rest;
        match which % step::COUNT {
            step::WAIT => now = client.next_due().map_or(now, |due| due.max(now)),
            step::ANSWER if !asked.is_empty() => {
                let len = take(&mut input, 1).first().copied().unwrap_or(0);
                let more = take(&mut input, len.into());
                hear(&mut client, now, &answer(&asked, more));
            }
            step::RAW => {
                let len = take(&mut input, 1).first().copied().unwrap_or(0);
                hear(&mut client, now, take(&mut input, len.into()));
            }
            step::LATER => {
                let fours = take(&mut input, 1).first().copied().unwrap_or(0);
                now = now + Duration::from_secs(4 * u64::from(fours));
            }
            step::CHANGE => client.on_change(now),
            step::LINK => {
                client.on_link_down();
                assert_eq!((client.next_due(), client.question(now)), (None, None));
                client.on_link_up(now);
            }
            step::FORGET => {
                client.forget();
                assert_eq!((client.information(), client.next_due()), (None, None));
                client.start(now);
            }
            _ => {}
        }
        if let Some(question) = client.question(now) {
            asked = question;
        }
        assert_eq!(client.question(now), None, "one at once");
        let due = client.next_due();
        // What is begun may be due at once; what was sent is not.
        assert!(due.is_none_or(|due| due >= now), "{due:?} is over");
    }
    let sent = client.counters().requests;
    let seconds = now.since(Instant::ZERO).as_secs();
    assert!(sent <= 21 + seconds, "{sent} in {seconds} s");
}

fn hear(client: &mut Client, now: Instant, datagram: &[u8]) {
    let before = client.information().cloned();
    if client.on_datagram(now, datagram).is_err() {
        assert_eq!(client.information(), before.as_ref());
        return;
    }
    let message = Message::parse(datagram).expect("it was taken");
    assert_eq!(message.kind(), MessageType::REPLY);
    let told = client.information().expect("it was told");
    assert!(told.dns_servers.len() <= MAX_SERVERS && told.dns_domains.len() <= MAX_DOMAINS);
    assert!(told.dns_domains.iter().all(|name| name.len() <= 253));
    assert!(told.refresh.is_none_or(|time| time.as_secs() >= 600));
}

fn answer(question: &[u8], more: &[u8]) -> Vec<u8> {
    let asked = Message::parse(question).expect("ours");
    let who = asked.option(code::CLIENT_ID).expect("ours");
    let id = asked.transaction();
    let mut bytes = information_request(id, who, 0, &[]);
    // Its client identifier alone, and a server's.
    bytes.truncate(HEADER_LEN + 4 + who.len());
    bytes[0] = MessageType::REPLY.0;
    bytes.extend_from_slice(&[0, 2, 0, 1, 9]);
    bytes.extend_from_slice(more);
    bytes
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(len.min(input.len()));
    *input = rest;
    taken
}

/// Names and inputs.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    use step::*;
    let asks = information_request(7, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1], 0, &[23, 24]);
    let mut options = vec![
        0, 23, 0, 16, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ];
    options.extend_from_slice(b"\x00\x18\x00\x0d\x03lab\x07example\x00");
    options.extend_from_slice(&[0, 32, 0, 4, 0, 0, 2, 88, 0, 83, 0, 4, 0, 0, 0, 60]);
    let full = [
        &[ANSWER, u8::try_from(options.len()).unwrap()][..],
        &options,
    ]
    .concat();
    let life = [
        &[1, WAIT, WAIT][..],
        &full,
        &[LATER, 160, WAIT, ANSWER, 0, CHANGE, WAIT, ANSWER, 0],
        &[LINK, WAIT, ANSWER, 0, FORGET, WAIT],
        &full,
    ];
    let named = |name: &str, input: Vec<u8>| (name.to_owned(), input);
    vec![
        named("request", [&[0][..], &asks].concat()),
        named("life", life.concat()),
        named("silence", [&[1][..], &[WAIT; 40]].concat()),
        named("flaps", [&[1][..], &[LINK, WAIT].repeat(60)].concat()),
        named(
            "refused",
            vec![1, WAIT, RAW, 4, 7, 0, 0, 0, ANSWER, 6, 0, 13, 0, 2, 0, 1],
        ),
    ]
}
