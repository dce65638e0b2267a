//! The client: when it asks, and which answers it takes.
//!
//! RFC 8415 §14.1 (rate), §15 (repeating), §16.10 (checks), §18.2.6, §18.2.12, §21.25. *Owns* the exchange and what was told
//! last. *Does not* send, nor know addresses. Invariants: an answer that was not asked for changes nothing; no more than 20
//! questions leave at once, and one a second after that; what was told stays until another answer comes, or another link.

use core::time::Duration;

use super::message::{Message, MessageType, code, information_request};
use super::told::Information;
use crate::base::{Instant, MacAddr, Random, Seed, Tokens, nanos};

/// INF_MAX_DELAY, RFC 8415 §7.6.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// INF_TIMEOUT, RFC 8415 §7.6.
const FIRST: Duration = Duration::from_secs(1);
/// INF_MAX_RT, RFC 8415 §7.6.
const MOST: Duration = Duration::from_secs(3600);
/// What INF_MAX_RT may be told as, seconds (RFC 8415 §21.25).
const MOST_TOLD: core::ops::RangeInclusive<u32> = 60..=86_400;
/// What waits for an address is looked at again after this.
const LATER: Duration = Duration::from_secs(1);
/// RFC 8415 §18.2.12: because of what routers say, no more often than this.
const BETWEEN: Duration = Duration::from_secs(30);
/// RFC 8415 §14.1: 20 messages, and what one costs in nanoseconds: 20 in 20 s.
const BURST: u64 = 20;
const COST: u64 = 1_000_000_000;
/// What is asked for (RFC 8415 §18.2.6, RFC 3646 §5).
const WANTED: [u16; 4] = [
    code::DNS_SERVERS,
    code::DOMAIN_LIST,
    code::REFRESH_TIME,
    code::INF_MAX_RT,
];
/// DUID-LL over Ethernet (RFC 8415 §11.4).
const DUID_LL: [u8; 4] = [0, 3, 0, 1];

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It does not parse.
    #[error("malformed")]
    Malformed,
    /// It is no REPLY.
    #[error("not_reply")]
    NotReply,
    /// No answer is waited for.
    #[error("unexpected")]
    Unexpected,
    /// The transaction-id is another exchange's.
    #[error("other_exchange")]
    OtherExchange,
    /// No client identifier, or another client's.
    #[error("other_client")]
    OtherClient,
    /// No server identifier.
    #[error("no_server")]
    NoServer,
    /// The server says that it could not do it.
    #[error("status")]
    Status,
}

/// What the client has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// INFORMATION-REQUESTs.
    pub requests: u64,
    /// REPLYs that were taken.
    pub replies: u64,
    /// Datagrams that were not.
    pub refused: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nobody says that there are servers.
    Idle,
    Asking(Exchange),
    /// All is known until then.
    Told {
        refresh: Instant,
    },
}

/// A question, and how often it was asked.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    transaction: u32,
    first_sent: Option<Instant>,
    /// RT of RFC 8415 §15, once it was sent.
    interval: Option<Duration>,
    due: Instant,
}

/// Asks servers for what is no address.
///
/// It is told with [`start`](Self::start) that there are servers; from then on [`next_due`](Self::next_due) says when
/// [`question`](Self::question) has something to send, from the link-local address and port 546 to `ff02::1:2`, port 547.
/// What comes back goes into [`on_datagram`](Self::on_datagram).
#[derive(Debug)]
pub struct Client {
    duid: [u8; 10],
    random: Random,
    phase: Phase,
    /// When it was last begun to ask on this link.
    began: Option<Instant>,
    is_up: bool,
    most: Duration,
    told: Option<Information>,
    rate: Tokens,
    counters: Counters,
}

impl Client {
    /// The client of an interface with this MAC address, which its DUID is made of (DUID-LL, RFC 8415 §11.4).
    pub fn new(mac: MacAddr, seed: &Seed) -> Self {
        let mut duid = [0; 10];
        duid[..4].copy_from_slice(&DUID_LL);
        duid[4..].copy_from_slice(&mac.octets());
        Self {
            duid,
            random: Random::new(seed.key(&format!("dhcpv6 of {mac}"))),
            phase: Phase::Idle,
            began: None,
            is_up: true,
            most: MOST,
            told: None,
            rate: Tokens::default(),
            counters: Counters::default(),
        }
    }

    /// A router says that there are servers: they are asked, unless they are or were already.
    pub fn start(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Idle) {
            self.ask(now);
        }
    }

    /// What servers tell may be another thing by now: the prefixes of the link are others (RFC 8415 §18.2.12). Who asks
    /// already goes on.
    pub fn on_change(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Told { .. }) {
            self.ask(now);
        }
    }

    /// The link is up again, and may be another one: they are asked anew, if they were before.
    pub fn on_link_up(&mut self, now: Instant) {
        (self.is_up, self.began) = (true, None);
        if !matches!(self.phase, Phase::Idle) {
            self.ask(now);
        }
    }

    /// Nobody is asked while it is down.
    pub fn on_link_down(&mut self) {
        self.is_up = false;
    }

    /// It is another link: nothing of what was told holds, and nobody is asked before [`start`](Self::start). Was there
    /// anything of DNS?
    pub fn forget(&mut self) -> bool {
        (self.phase, self.began) = (Phase::Idle, None);
        self.most = MOST;
        let told = self.told.take();
        told.is_some_and(|told| !told.dns_servers.is_empty() || !told.dns_domains.is_empty())
    }

    /// When to call [`question`](Self::question) next.
    pub fn next_due(&self) -> Option<Instant> {
        let due = match self.phase {
            Phase::Idle => return None,
            Phase::Asking(exchange) => exchange.due,
            Phase::Told { refresh } => refresh,
        };
        Some(due).filter(|&due| self.is_up && due < Instant::FAR_FUTURE)
    }

    /// What is due at `now` cannot leave, for want of an address: it is due again a second later (RFC 4862 §5.4: that long an address
    /// is probed for), as the first question if it is that.
    pub fn postpone(&mut self, now: Instant) {
        if self.next_due().is_none_or(|due| due > now) {
            return;
        }
        match &mut self.phase {
            Phase::Idle => {}
            Phase::Asking(exchange) => exchange.due = now + LATER,
            Phase::Told { .. } => self.ask(now),
        }
    }

    /// The message to send at `now`, if one is due: the payload of a UDP datagram.
    pub fn question(&mut self, now: Instant) -> Option<Vec<u8>> {
        let is_due = self.next_due().is_some_and(|due| due <= now);
        match &mut self.phase {
            _ if !is_due => None,
            Phase::Idle => None,
            // RFC 8415 §21.23.
            Phase::Told { .. } => {
                self.ask(now);
                None
            }
            Phase::Asking(exchange) if !self.rate.has_token(now, COST, BURST) => {
                exchange.due = now + Duration::from_nanos(COST);
                None
            }
            Phase::Asking(exchange) => {
                self.rate.charge(now, COST, 1);
                let began = *exchange.first_sent.get_or_insert(now);
                let interval = longer(exchange.interval, self.most, &mut self.random);
                exchange.interval = Some(interval);
                exchange.due = now + interval;
                // RFC 8415 §21.9: the first one says 0.
                let elapsed = now.since(began).as_millis() / 10;
                let elapsed = u16::try_from(elapsed).unwrap_or(u16::MAX);
                self.counters.requests += 1;
                let transaction = exchange.transaction;
                let message = information_request(transaction, &self.duid, elapsed, &WANTED);
                Some(message)
            }
        }
    }

    /// Takes a datagram that came from port 547 to port 546; was anything of DNS told that was not known?
    ///
    /// # Errors
    /// [`Refusal`]: it is no answer to what was asked. It is counted, and nothing else has happened.
    pub fn on_datagram(&mut self, now: Instant, payload: &[u8]) -> Result<bool, Refusal> {
        let taken = self.take(now, payload);
        match taken {
            Ok(_) => self.counters.replies += 1,
            Err(_) => self.counters.refused += 1,
        }
        taken
    }

    /// What was told last.
    pub const fn information(&self) -> Option<&Information> {
        self.told.as_ref()
    }

    /// What it has done.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn take(&mut self, now: Instant, payload: &[u8]) -> Result<bool, Refusal> {
        let Phase::Asking(exchange) = self.phase else {
            return Err(Refusal::Unexpected);
        };
        if exchange.first_sent.is_none() {
            return Err(Refusal::Unexpected);
        }
        let message = Message::parse(payload).map_err(|_| Refusal::Malformed)?;
        if message.kind() != MessageType::REPLY {
            return Err(Refusal::NotReply);
        }
        // RFC 8415 §16.10.
        if message.transaction() != exchange.transaction {
            return Err(Refusal::OtherExchange);
        }
        if message.option(code::CLIENT_ID) != Some(&self.duid[..]) {
            return Err(Refusal::OtherClient);
        }
        if message.option(code::SERVER_ID).is_none_or(<[u8]>::is_empty) {
            return Err(Refusal::NoServer);
        }
        // RFC 8415 §21.13: without the option all went well.
        let status = message.option(code::STATUS);
        if status.is_some_and(|status| status.first_chunk() != Some(&[0, 0])) {
            return Err(Refusal::Status);
        }
        if let Some(secs) = message.number(code::INF_MAX_RT)
            && MOST_TOLD.contains(&secs)
        {
            self.most = Duration::from_secs(secs.into());
        }
        let told = Information::read(&message);
        let refresh = told.refresh.map_or(Instant::FAR_FUTURE, |time| now + time);
        self.phase = Phase::Told { refresh };
        let is_news = match &self.told {
            Some(before) => !before.agrees(&told),
            None => !told.dns_servers.is_empty() || !told.dns_domains.is_empty(),
        };
        self.told = Some(told);
        Ok(is_news)
    }

    /// Begins to ask: a part of a second later (RFC 8415 §18.2.6), and no more often than every 30 s.
    fn ask(&mut self, now: Instant) {
        let from = self.began.map_or(now, |began| now.max(began + BETWEEN));
        self.began = Some(from);
        let delay = Duration::from_nanos(self.random.below(nanos(MAX_DELAY)));
        // RFC 8415 §16.1: one that nobody can guess.
        let transaction = u32::try_from(self.random.next_u64() >> 40).unwrap_or_default();
        self.phase = Phase::Asking(Exchange {
            transaction,
            first_sent: None,
            interval: None,
            due: from + delay,
        });
    }
}

/// RT of RFC 8415 §15: `2*RTprev + RAND*RTprev`, the first `IRT + RAND*IRT`, above MRT `MRT + RAND*MRT`; RAND is from -0.1 to
/// 0.1.
fn longer(last: Option<Duration>, most: Duration, random: &mut Random) -> Duration {
    let mut around = |middle: Duration, of: Duration| {
        middle - of / 10 + Duration::from_nanos(random.below(nanos(of / 5) + 1))
    };
    match last {
        None => around(FIRST, FIRST),
        Some(last) => {
            let next = around(last * 2, last);
            if next > most {
                around(most, most)
            } else {
                next
            }
        }
    }
}
