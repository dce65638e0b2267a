//! The resolver in virtual time, with servers that are scripted: what they say is made by hand.

mod answers;
mod bounds;
mod lies;
mod servers;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;

use simple_dns::rdata::{A, AAAA, CNAME, RData, SOA};
use simple_dns::{CLASS, Packet, PacketFlag, RCODE, ResourceRecord};

use super::*;
use crate::base::{Instant, Seed};

const NAME: &str = "www.example.org";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(text: &str) -> Vec<IpAddr> {
    text.split_whitespace().map(ip).collect()
}

fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], PORT))
}

/// With this many servers.
fn config(servers: u8) -> Config {
    (1..=servers).fold(Config::new(), |config, n| config.server_at(server(n)))
}

/// A resolver, and what it wants done.
struct Rig {
    resolver: Resolver,
    now: Instant,
    asked: VecDeque<Question>,
    closed: Vec<ExchangeId>,
    events: Vec<Event>,
}

impl Rig {
    fn new(config: Config) -> Self {
        Self {
            resolver: Resolver::new(config, Seed::from_number(1)).unwrap(),
            now: Instant::ZERO,
            asked: VecDeque::new(),
            closed: Vec::new(),
            events: Vec::new(),
        }
    }

    /// After each call: what is wanted and told.
    fn drain(&mut self) {
        while let Some(action) = self.resolver.poll_action() {
            match action {
                Action::Ask(question) => self.asked.push_back(question),
                Action::Close(exchange) => self.closed.push(exchange),
            }
        }
        self.events
            .extend(core::iter::from_fn(|| self.resolver.poll_event()));
    }

    fn lookup(&mut self, name: &str, families: Families) -> LookupId {
        let id = self.resolver.lookup(self.now, name, families).unwrap();
        self.drain();
        id
    }

    /// Looks for IPv4's addresses alone: one question.
    fn lookup_v4(&mut self, name: &str) -> Question {
        self.lookup(name, Families::Only(Family::V4));
        self.next()
    }

    /// The next question that goes out.
    fn next(&mut self) -> Question {
        self.asked.pop_front().expect("a question")
    }

    /// What comes back: a datagram, or a message in a stream.
    fn tell(&mut self, question: &Question, message: &[u8]) -> Result<(), Refusal> {
        let (now, id) = (self.now, question.exchange);
        let told = match question.transport {
            Transport::Udp => {
                let from = question.server;
                self.resolver.handle_datagram(now, id, from, message)
            }
            Transport::Tcp => {
                let length = u16::try_from(message.len()).unwrap().to_be_bytes();
                let framed = [&length[..], message].concat();
                self.resolver.handle_stream(now, id, &framed)
            }
        };
        self.drain();
        told
    }

    fn fail(&mut self, question: &Question) {
        self.resolver.handle_failure(self.now, question.exchange);
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.resolver.handle_timeout(self.now);
        self.drain();
    }

    /// How the only lookup ended.
    fn end(&mut self) -> Result<Vec<IpAddr>, LookupError> {
        match self.events.pop() {
            Some(Event::Done { result, .. }) => result,
            other => panic!("{other:?}, asked: {:?}", self.asked),
        }
    }

    fn counters(&self) -> &Counters {
        self.resolver.counters()
    }
}

/// What a question asks, as its server reads it.
fn message(question: &Question) -> &[u8] {
    match question.transport {
        Transport::Udp => &question.payload,
        Transport::Tcp => {
            let (length, message) = question.payload.split_first_chunk().unwrap();
            assert_eq!(usize::from(u16::from_be_bytes(*length)), message.len());
            message
        }
    }
}

/// The name that a question asks for, as it is written.
fn asked_name(question: &Question) -> String {
    let packet = Packet::parse(message(question)).unwrap();
    packet.questions[0].qname.to_string()
}

/// A server's answer, made of records.
struct Answer<'a>(Packet<'a>);

/// To this question: no records, from one who asks others for us.
fn to(question: &Question) -> Answer<'static> {
    let asked = Packet::parse(message(question)).unwrap();
    let mut packet = Packet::new_reply(asked.id());
    packet.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
    let owned = asked.questions.into_iter().map(|q| q.into_owned());
    packet.questions = owned.collect();
    Answer(packet)
}

fn wire(name: &str) -> simple_dns::Name<'_> {
    simple_dns::Name::new_unchecked(name)
}

fn record<'a>(name: &'a str, ttl: u32, data: RData<'a>) -> ResourceRecord<'a> {
    ResourceRecord::new(wire(name), CLASS::IN, ttl, data)
}

impl<'a> Answer<'a> {
    fn address(mut self, name: &'a str, ttl: u32, address: &str) -> Self {
        let data = match ip(address) {
            IpAddr::V4(a) => RData::A(A { address: a.into() }),
            IpAddr::V6(a) => RData::AAAA(AAAA { address: a.into() }),
        };
        self.0.answers.push(record(name, ttl, data));
        self
    }

    fn alias(mut self, name: &'a str, ttl: u32, target: &'a str) -> Self {
        let data = RData::CNAME(CNAME(wire(target)));
        self.0.answers.push(record(name, ttl, data));
        self
    }

    fn soa(mut self, zone: &'a str, ttl: u32, minimum: u32) -> Self {
        let soa = SOA {
            mname: wire("ns.example"),
            rname: wire("admin.example"),
            serial: 1,
            refresh: 2,
            retry: 3,
            expire: 4,
            minimum,
        };
        self.0.name_servers.push(record(zone, ttl, RData::SOA(soa)));
        self
    }

    fn code(mut self, code: RCODE) -> Self {
        *self.0.rcode_mut() = code;
        self
    }

    fn flag(mut self, flag: PacketFlag) -> Self {
        self.0.set_flags(flag);
        self
    }

    fn without(mut self, flag: PacketFlag) -> Self {
        self.0.remove_flags(flag);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.build_bytes_vec_compressed().unwrap()
    }
}
