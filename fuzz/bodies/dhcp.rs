//! DHCP: what parses is read to its end and no further; and a client, whatever servers say and whenever, holds
//! only what was granted, tells what it does, and neither asks nor is woken without end.

use std::net::Ipv4Addr;
use std::time::Duration;

use netloom::dhcp::{
    Builder, Client, Config, Event, FIXED_LEN, Lease, Message, MessageType, Operation, Transmit,
    code,
};
use netloom::{Instant, MacAddr, Seed};

/// The client's link address.
pub const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 50);

/// What each step's byte means, modulo their number; some take more bytes.
pub mod step {
    /// Until the client wants to be called.
    pub const WAIT: u8 = 0;
    /// The answer that RFC 2131 has for the last message, with so many (a byte) bytes of options behind its own.
    pub const ANSWER: u8 = 1;
    /// A NAK.
    pub const NAK: u8 = 2;
    /// An answer, one byte (two name it, behind the xid) changed by a third.
    pub const DAMAGED: u8 = 3;
    /// A datagram of so many bytes.
    pub const RAW: u8 = 4;
    /// So many times four seconds go by.
    pub const LATER: u8 = 5;
    /// Another station has the address.
    pub const CONFLICT: u8 = 6;
    /// The link comes up.
    pub const LINK: u8 = 7;
    /// The lease is given back, and the client begins anew: with the last address if the next byte is odd.
    pub const RELEASE: u8 = 8;
    /// How many there are.
    pub const COUNT: u8 = 9;
}

/// Input: 0 and a message; or 1 and steps.
pub fn run(input: &[u8]) {
    bound(input);
}

/// How often a lease was bound, or extended.
pub fn bound(input: &[u8]) -> u32 {
    match *input {
        [] => 0,
        [which, ref rest @ ..] if which % 2 == 0 => {
            message(rest);
            0
        }
        [_, ref rest @ ..] => Run::new().steps(rest),
    }
}

fn message(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    assert!(bytes.len() >= FIXED_LEN && message.chaddr().len() <= 16);
    assert!(format!("{message:?}").len() < 1000 + 40 * bytes.len());
    let mut held = 0;
    for option in message.options() {
        held += option.data.len() + 2;
        let whole = message.option(option.code).expect("it is there");
        let pieces = message.options().filter(|piece| piece.code == option.code);
        let joined: Vec<u8> = pieces.flat_map(|piece| piece.data.to_vec()).collect();
        assert_eq!(*whole, joined);
    }
    // An overload adds sname and file.
    assert!(held <= bytes.len() - FIXED_LEN + 192);
}

struct Run {
    client: Client,
    now: Instant,
    /// The last question.
    asked: Option<Vec<u8>>,
    /// The last answer that was taken.
    taken: Vec<u8>,
    /// What the user uses.
    used: Option<Lease>,
    bound: u32,
    sent: u64,
}

impl Run {
    fn new() -> Self {
        let client = Client::new(Config::new(MAC), Seed::from_number(1)).expect("defaults");
        let mut run = Self {
            client,
            now: Instant::ZERO,
            asked: None,
            taken: Vec::new(),
            used: None,
            bound: 0,
            sent: 0,
        };
        run.client.start(run.now);
        run.turn();
        run
    }

    fn steps(mut self, mut input: &[u8]) -> u32 {
        let mut steps = 0;
        while let Some((&which, rest)) = input.split_first() {
            input = rest;
            steps += 1;
            self.step(which % step::COUNT, &mut input);
            self.turn();
        }
        // Without an end of steps there is no end of time: each step brings two messages at most.
        assert!(
            self.sent <= 2 * (steps + 1),
            "{} in {steps} steps",
            self.sent
        );
        self.bound
    }

    fn step(&mut self, which: u8, input: &mut &[u8]) {
        match which {
            step::WAIT => {
                if let Some(next) = self.client.poll_timeout() {
                    self.now = next.max(self.now);
                }
                self.client.handle_timeout(self.now);
            }
            step::ANSWER => {
                let len = take(input, 1).first().copied().unwrap_or(0);
                let options = take(input, len.into());
                self.answer(None, |answer| {
                    let end = answer.iter().rposition(|&byte| byte == code::END);
                    let at = end.unwrap_or(answer.len());
                    answer.splice(at..at, options.iter().copied());
                });
            }
            step::NAK => self.answer(Some(MessageType::NAK), |_| {}),
            step::DAMAGED => {
                let mut how = [0; 3];
                let given = take(input, 3);
                how[..given.len()].copy_from_slice(given);
                let at = usize::from(u16::from_be_bytes([how[0], how[1]]));
                self.answer(None, |answer| {
                    let at = 8 + at % (answer.len() - 8);
                    answer[at] ^= how[2];
                });
            }
            step::RAW => {
                let len = take(input, 1).first().copied().unwrap_or(0);
                self.hear(take(input, len.into()));
            }
            step::LATER => {
                let fours = take(input, 1).first().copied().unwrap_or(0);
                self.now = self.now + Duration::from_secs(4 * u64::from(fours));
                self.client.handle_timeout(self.now);
            }
            step::CONFLICT => {
                let address = self.used.as_ref().map_or(ADDRESS, |used| used.address);
                self.client.handle_conflict(self.now, address);
            }
            step::LINK => self.client.handle_link_up(self.now),
            _ => {
                let kept = take(input, 1).first().is_some_and(|how| how % 2 == 1);
                let address = self.client.lease().map(|lease| lease.address);
                self.client.release(self.now);
                match address.filter(|_| kept) {
                    Some(address) => self.client.reboot(self.now, address),
                    None => self.client.start(self.now),
                }
            }
        }
    }

    /// What a server says to the last question, changed.
    fn answer(&mut self, kind: Option<MessageType>, change: impl FnOnce(&mut Vec<u8>)) {
        let Some(asked) = &self.asked else { return };
        let question = Message::parse(asked).expect("ours");
        let kind = kind.unwrap_or_else(|| match question.kind() {
            Some(MessageType::DISCOVER) => MessageType::OFFER,
            _ => MessageType::ACK,
        });
        let wanted = question.address(code::REQUESTED_ADDRESS);
        let used = Some(question.ciaddr()).filter(|used| !used.is_unspecified());
        let server = question.address(code::SERVER_ID).unwrap_or(SERVER);
        let mut answer = Builder::new(Operation::REPLY, kind, question.xid(), MAC)
            .yiaddr(used.or(wanted).unwrap_or(ADDRESS))
            .address(code::SERVER_ID, server)
            .number(code::LEASE_TIME, 600)
            .finish();
        change(&mut answer);
        self.hear(&answer);
    }

    fn hear(&mut self, answer: &[u8]) {
        if self.client.handle_datagram(self.now, answer).is_ok() {
            self.taken = answer.to_vec();
        }
    }

    /// Sends what is to be sent, does what the events say, and looks whether it all makes sense.
    fn turn(&mut self) {
        let mut at_once = 0;
        while let Some(message) = self.client.poll_transmit(self.now) {
            at_once += 1;
            self.on_sent(message);
        }
        while let Some(event) = self.client.poll_event() {
            self.on_event(event);
        }
        // What extends a lease waits until its address was told.
        while let Some(message) = self.client.poll_transmit(self.now) {
            at_once += 1;
            self.on_sent(message);
        }
        // A DECLINE or RELEASE, and a question.
        assert!(at_once <= 2, "{at_once} messages at once");
        self.sent += at_once;
        assert_eq!(self.used.as_ref(), self.client.lease());
        let next = self.client.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} again");
        let counters = self.client.counters();
        let taken = counters.offers + counters.acks + counters.naks;
        assert_eq!(counters.received, taken + counters.refused.total());
    }

    fn on_sent(&mut self, message: Transmit) {
        let view = Message::parse(&message.payload).expect("what is sent parses");
        let used = self.client.lease().map(|lease| lease.address);
        let kind = view.kind().expect("a kind");
        // An address is a source only while it is held; a RELEASE's was, until now.
        let own = !message.source.is_unspecified() && kind != MessageType::RELEASE;
        assert!(!own || used == Some(message.source), "{view:?}");
        assert!(message.payload.len() <= 576);
        if [MessageType::DISCOVER, MessageType::REQUEST].contains(&kind) {
            self.asked = Some(message.payload);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Bound(lease) => {
                assert_eq!(self.used, None);
                self.take(lease);
            }
            Event::Renewed(lease) => {
                let used = self.used.as_ref().map(|used| used.address);
                assert_eq!(used, Some(lease.address));
                self.take(lease);
            }
            Event::Lost { address, .. } => {
                assert_eq!(self.used.take().map(|lease| lease.address), Some(address));
            }
            Event::Refused { .. } | Event::Unanswered { .. } | Event::NoServer => {}
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, lease: Lease) {
        self.bound += 1;
        let granted = Message::parse(&self.taken).expect("it was taken");
        assert_eq!(granted.kind(), Some(MessageType::ACK));
        assert_eq!(granted.yiaddr(), lease.address);
        assert_eq!(granted.address(code::SERVER_ID), Some(lease.server));
        let granted = granted.number(code::LEASE_TIME).map(u64::from);
        let time = lease.lease_time.map_or(0xFFFF_FFFF, |time| time.as_secs());
        assert_eq!(granted, Some(time));
        assert!((1..=32).contains(&lease.prefix) && !lease.address.is_multicast());
        assert!(!lease.address.is_unspecified() && !lease.address.is_loopback());
        assert!(lease.mtu.is_none_or(|mtu| (576..=1500).contains(&mtu)));
        assert!(lease.renew_after < lease.rebind_after || lease.rebind_after.is_none());
        assert!(lease.rebind_after < lease.lease_time || lease.lease_time.is_none());
        let ends = self.client.expires_at();
        assert_eq!(ends.is_none(), lease.lease_time.is_none());
        let most = lease.lease_time.map(|time| self.now + time);
        assert!(ends > Some(self.now) && ends <= most || ends.is_none());
        for route in &lease.routes {
            assert_ne!(route.router, Some(lease.address));
        }
        self.used = Some(lease);
    }
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(len.min(input.len()));
    *input = rest;
    taken
}

/// A message that has all that a lease can have, in pieces and in all three fields.
fn full() -> Vec<u8> {
    let routes: Vec<u8> = (0..60).flat_map(|n| [24, 10, 1, n, 10, 7, 0, 1]).collect();
    let mut bytes = Builder::new(Operation::REPLY, MessageType::ACK, 7, MAC)
        .yiaddr(ADDRESS)
        .address(code::SERVER_ID, SERVER)
        .number(code::LEASE_TIME, 600)
        .number(code::SUBNET_MASK, 0xFFFF_FF00)
        .address(code::ROUTERS, SERVER)
        .option(code::CLASSLESS_ROUTES, &routes)
        .option(code::DOMAIN_NAME, b"loom.")
        .option(code::INTERFACE_MTU, &[5, 120])
        .option(code::OVERLOAD, &[3])
        .finish();
    bytes[108..117].copy_from_slice(&[15, 6, b'e', b'x', b'a', b'm', b'p', b'l', 255]); // file
    bytes[44..48].copy_from_slice(&[15, 1, b'e', 255]); // sname
    bytes
}

/// Names and inputs.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    use step::*;
    let discover = Builder::new(Operation::REQUEST, MessageType::DISCOVER, 7, MAC).finish();
    let short = |message: Vec<u8>| [&[0][..], &message[..message.len().min(300)]].concat();
    let options = [
        1, 4, 255, 255, 252, 0, 3, 4, 10, 7, 0, 1, 6, 8, 9, 9, 9, 9, 1, 1, 1, 1, 26, 2, 5, 120, 58,
        4, 0, 0, 0, 60, 59, 4, 0, 0, 0, 90, 121, 5, 0, 10, 7, 0, 1, 15, 1, b'a',
    ];
    let with_options = [
        &[ANSWER, u8::try_from(options.len()).unwrap()][..],
        &options,
    ]
    .concat();
    let life: &[&[u8]] = &[
        &[1, ANSWER, 0],
        &with_options,
        &[WAIT, ANSWER, 0, WAIT, WAIT, ANSWER, 0, LATER, 100],
        &[LATER, 30, ANSWER, 0, CONFLICT, WAIT, ANSWER, 0, ANSWER, 0],
        &[LINK, ANSWER, 0, RELEASE, 1, ANSWER, 0, LATER, 200],
    ];
    let named = |name: &str, input: Vec<u8>| (name.to_owned(), input);
    vec![
        named("discover", short(discover)),
        named("full", [&[0][..], &full()].concat()),
        named("life", life.concat()),
        named(
            "refused",
            vec![
                1, ANSWER, 0, NAK, WAIT, ANSWER, 0, ANSWER, 0, WAIT, NAK, WAIT,
            ],
        ),
        named(
            "silence",
            [&[1][..], &[WAIT; 12], &[ANSWER, 0, WAIT, WAIT, WAIT, WAIT]].concat(),
        ),
        named(
            "damaged",
            vec![
                1, DAMAGED, 0, 240, 1, ANSWER, 0, DAMAGED, 0, 250, 2, RAW, 3, 2, 1, 6, ANSWER, 0,
            ],
        ),
        named(
            "ends",
            vec![
                1, ANSWER, 0, ANSWER, 0, LATER, 149, LINK, WAIT, WAIT, ANSWER, 0, ANSWER, 0,
            ],
        ),
    ]
}
