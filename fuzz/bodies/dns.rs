//! The resolver: whatever servers say and whenever, each lookup ends once, each message is taken or counted, each exchange has
//! its socket as long as it lasts, and nobody is asked without end.

use std::collections::BTreeSet;
use std::time::Duration;

use netloom::dns::{
    Action, Config, Event, ExchangeId, Families, Family, LookupId, Question, Resolver, Transport,
};
use netloom::{Instant, Seed};

/// What each step's byte means, modulo their number; some take more bytes.
pub mod step {
    /// The resolver's next deadline comes.
    pub const WAIT: u8 = 0;
    /// The oldest question is answered with so many (a byte) bytes of records behind a sound head: flags in two bytes,
    /// counts of answers and authorities in one each.
    pub const ANSWER: u8 = 1;
    /// The same, one byte (two name it) changed by a third.
    pub const DAMAGED: u8 = 2;
    /// A message of so many bytes, as it is.
    pub const RAW: u8 = 3;
    /// The oldest question's socket fails.
    pub const FAIL: u8 = 4;
    /// One of eight names is looked for: three bits of the next byte say which, two the families.
    pub const LOOKUP: u8 = 5;
    /// The oldest lookup is given up.
    pub const CANCEL: u8 = 6;
    /// So many seconds go by.
    pub const LATER: u8 = 7;
    /// So many servers, modulo four.
    pub const SERVERS: u8 = 8;
    /// How many there are.
    pub const COUNT: u8 = 9;
}

const NAMES: [&str; 8] = [
    "www.example.org",
    "www",
    "a.b.",
    "WWW.Example.Org",
    "10.0.0.1",
    "localhost",
    "x.invalid",
    "mail.example.org",
];

/// Input: what the resolver's settings are, and steps.
pub fn run(input: &[u8]) {
    found(input);
}

/// How many lookups found an address that a server told.
pub fn found(input: &[u8]) -> u32 {
    match *input {
        [] => 0,
        [settings, ref rest @ ..] => Run::new(settings).steps(rest),
    }
}

struct Run {
    resolver: Resolver,
    now: Instant,
    /// Questions that are out, the oldest first.
    asked: Vec<Question>,
    open: BTreeSet<ExchangeId>,
    lookups: BTreeSet<LookupId>,
    messages: u64,
    sent: u64,
    found: u32,
}

impl Run {
    fn new(settings: u8) -> Self {
        let mut config = Config::new()
            .server([10, 7, 0, 1].into())
            .mixed_case(settings & 1 == 0)
            .rotate(settings & 2 != 0)
            .cache_limit(4)
            .lookups(8);
        if settings & 4 != 0 {
            config = config.payload(None);
        }
        if settings & 8 == 0 {
            config = config.search("example.org".parse().expect("a name"));
        }
        Self {
            resolver: Resolver::new(config, Seed::from_number(1)).expect("settings"),
            now: Instant::ZERO,
            asked: Vec::new(),
            open: BTreeSet::new(),
            lookups: BTreeSet::new(),
            messages: 0,
            sent: 0,
            found: 0,
        }
    }

    fn steps(mut self, mut input: &[u8]) -> u32 {
        let mut steps = 0;
        while let Some((&which, rest)) = input.split_first() {
            input = rest;
            steps += 1;
            self.step(which % step::COUNT, &mut input);
            self.drain();
        }
        // A step ends each of 16 questions at most, and what follows is one question more, or two for another name.
        assert!(self.sent <= 40 * steps, "{} in {steps} steps", self.sent);
        self.found
    }

    fn step(&mut self, which: u8, input: &mut &[u8]) {
        match which {
            step::WAIT => {
                if let Some(next) = self.resolver.poll_timeout() {
                    self.now = next.max(self.now);
                }
                self.resolver.handle_timeout(self.now);
            }
            step::ANSWER => {
                if let Some(message) = self.answer(input) {
                    self.tell(&message);
                }
            }
            step::DAMAGED => {
                let [high, low, by] = [take(input), take(input), take(input)];
                if let Some(mut message) = self.answer(input) {
                    let at = usize::from(u16::from_be_bytes([high, low])) % message.len();
                    message[at] ^= by;
                    self.tell(&message);
                }
            }
            step::RAW => {
                let len = usize::from(take(input)).min(input.len());
                let (message, rest) = input.split_at(len);
                *input = rest;
                self.tell(message);
            }
            step::FAIL => {
                if let Some(question) = self.asked.first() {
                    self.resolver.handle_failure(self.now, question.exchange);
                }
            }
            step::LOOKUP => self.lookup(take(input)),
            step::CANCEL => {
                if let Some(lookup) = self.lookups.pop_first() {
                    self.resolver.cancel(lookup);
                }
            }
            step::LATER => {
                self.now = self.now + Duration::from_secs(take(input).into());
                self.resolver.handle_timeout(self.now);
            }
            _ => {
                let all = (0..take(input) % 4).map(|n| ([10, 7, 0, 1 + n], 53).into());
                let all: Vec<_> = all.collect();
                self.resolver.set_servers(&all).expect("three at most");
            }
        }
    }

    fn lookup(&mut self, how: u8) {
        let families = match how >> 3 & 3 {
            0 | 1 => Families::Both,
            2 => Families::Only(Family::V4),
            _ => Families::Only(Family::V6),
        };
        let name = NAMES[usize::from(how & 7)];
        if let Ok(lookup) = self.resolver.lookup(self.now, name, families) {
            assert!(self.lookups.insert(lookup), "an id comes again");
        }
    }

    /// A sound head for the oldest question, and what the input has behind it.
    fn answer(&self, input: &mut &[u8]) -> Option<Vec<u8>> {
        let [first, second, answers, authorities] = [0; 4].map(|_: u8| take(input));
        let len = usize::from(take(input)).min(input.len());
        let (records, rest) = input.split_at(len);
        *input = rest;
        let question = self.asked.first()?;
        let asked = match question.transport {
            Transport::Tcp => &question.payload[2..],
            _ => &question.payload[..],
        };
        let name = asked[12..]
            .iter()
            .position(|&byte| byte == 0)
            .expect("its end");
        let mut message = vec![asked[0], asked[1], 0x80 ^ first, 0x80 ^ second];
        message.extend([0, 1, 0, answers, 0, authorities, 0, 0]);
        message.extend(&asked[12..][..name + 5]);
        message.extend(records);
        Some(message)
    }

    fn tell(&mut self, message: &[u8]) {
        let Some(question) = self.asked.first().cloned() else {
            return;
        };
        let (now, id) = (self.now, question.exchange);
        self.messages += 1;
        // What it does not take it counts.
        let _ = match question.transport {
            Transport::Tcp => {
                let length = u16::try_from(message.len()).expect("short").to_be_bytes();
                let framed = [&length[..], message].concat();
                self.resolver.handle_stream(now, id, &framed)
            }
            _ => {
                let from = question.server;
                self.resolver.handle_datagram(now, id, from, message)
            }
        };
    }

    fn drain(&mut self) {
        while let Some(action) = self.resolver.poll_action() {
            match action {
                Action::Ask(question) => {
                    assert!(self.open.insert(question.exchange), "asked twice");
                    assert!(question.payload.len() < 300);
                    self.asked.push(question);
                    self.sent += 1;
                }
                Action::Close(exchange) => {
                    assert!(self.open.remove(&exchange), "it was not open");
                    self.asked.retain(|question| question.exchange != exchange);
                }
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = self.resolver.poll_event() {
            match event {
                Event::Addresses { lookup, addresses } => {
                    assert!(self.lookups.contains(&lookup) && !addresses.is_empty());
                }
                Event::Done { lookup, result } => {
                    assert!(self.lookups.remove(&lookup), "it ended twice");
                    if let Ok(addresses) = result {
                        assert!((1..=64).contains(&addresses.len()));
                        let own = |ip: &std::net::IpAddr| {
                            ip.is_loopback() || ip.to_string() == "10.0.0.1"
                        };
                        self.found += u32::from(!addresses.iter().all(own));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        let counters = self.resolver.counters();
        assert_eq!(counters.replies + counters.refused.total(), self.messages);
        assert_eq!(counters.sent_udp + counters.sent_tcp, self.sent);
        assert!(self.resolver.cached() <= 4 && self.lookups.len() <= 8 && self.open.len() <= 16);
        // Nobody waits for nothing.
        assert_eq!(
            self.resolver.poll_timeout().is_some(),
            !self.open.is_empty()
        );
        assert!(!self.open.is_empty() || self.lookups.is_empty());
    }
}

fn take(input: &mut &[u8]) -> u8 {
    match **input {
        [first, ref rest @ ..] => {
            *input = rest;
            first
        }
        [] => 0,
    }
}

/// An A record of the name of the question.
const A: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 9, 9];

fn answer(first: u8, second: u8, answers: u8, authorities: u8, records: &[u8]) -> Vec<u8> {
    let length = u8::try_from(records.len()).expect("short");
    let head = [step::ANSWER, first, second, answers, authorities, length];
    [&head[..], records].concat()
}

/// Steps that reach what the target is for.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    // Of www.example.org, IPv4 alone.
    let lookup = [step::LOOKUP, 0x10];
    // An alias to a name that is written out, and its address.
    let alias = [
        &[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 3, 1, b'x', 0][..],
        &[1, b'x', 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 9, 9],
    ]
    .concat();
    // The root's SOA record.
    let soa = [
        &[0, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0][..],
        &[0; 16],
        &[0, 0, 0, 60],
    ]
    .concat();
    let seed = |name: &str, settings: u8, steps: &[&[u8]]| {
        (name.to_owned(), [&[settings], &steps.concat()[..]].concat())
    };
    let good = answer(0, 0, 1, 0, &A);
    let cut = answer(0x02, 0, 0, 0, &[]);
    let nothing = answer(0, 3, 0, 1, &soa);
    let failed = answer(0, 2, 0, 0, &[]);
    let unknown = answer(0, 1, 0, 0, &[]);
    let damaged = [&[step::DAMAGED, 0, 13, 0x20][..], &good[1..]].concat();
    let wait = [step::WAIT];
    vec![
        seed("answered", 0, &[&lookup, &good, &lookup]),
        seed("alias", 0, &[&lookup, &answer(0, 0, 2, 0, &alias)]),
        seed("cut", 0, &[&lookup, &cut, &good]),
        seed("capitals", 0, &[&lookup, &damaged, &good]),
        seed("without-edns", 0, &[&lookup, &unknown, &good]),
        seed("nothing", 8, &[&lookup, &nothing, &lookup]),
        seed("searched", 0, &[&[step::LOOKUP, 0x11], &nothing, &good]),
        seed(
            "servers",
            2,
            &[
                &[step::SERVERS, 3],
                &lookup,
                &failed,
                &[step::FAIL],
                &wait,
                &good,
            ],
        ),
        seed(
            "silence",
            0,
            &[&[step::LOOKUP, 0], &wait, &wait, &wait, &wait],
        ),
        seed("cancelled", 0, &[&lookup, &[step::CANCEL], &lookup, &good]),
        seed(
            "special",
            0,
            &[&[step::LOOKUP, 4], &[step::LOOKUP, 5], &[step::LOOKUP, 6]],
        ),
        seed(
            "raw",
            4,
            &[&lookup, &[step::RAW, 3, 1, 2, 3], &[step::LATER, 9]],
        ),
    ]
}
