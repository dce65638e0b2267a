//! The resolver as its user sees it: commands, getters, what is to be done and told; and the steps of a lookup.
//!
//! *Owns* [`Resolver`], its tables and their ties. *Does not* read replies (`on_reply.rs`). Invariants: a question is under way once, whoever
//! waits for it (RFC 5452 §5.2: asked twice, it is twice as easy to forge an answer); each one has one exchange, and each exchange one deadline; the
//! number of lookups bounds all of it.

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::cache::{Cache, Kept, Key};
use super::config::{Config, ConfigError, check_servers};
use super::course::{Course, Failure};
use super::exchange::{Action, Exchange, ExchangeId, Transport};
use super::judge::Finding;
use super::lookup::{Event, Families, Family, Lookup, LookupError, LookupId};
use super::name::Name;
use super::refusal::RefusalCounters;
use super::special;
use crate::base::{Instant, Random, Seed};

/// A stub resolver: it asks servers that ask others.
///
/// It does nothing by itself. Whoever drives it
/// - calls [`lookup`](Self::lookup);
/// - does what [`poll_action`](Self::poll_action) says, until it says nothing more: each question goes out by a socket
///   of its own, which is connected to the server;
/// - hands what comes on these sockets to [`handle_datagram`](Self::handle_datagram) or [`handle_stream`](Self::handle_stream),
///   and says by [`handle_failure`](Self::handle_failure) when one fails;
/// - calls [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says;
/// - after each of these asks [`poll_action`](Self::poll_action) and [`poll_event`](Self::poll_event) again.
///
/// [`Names`](crate::names::Names) does that over the sockets of a [`Stack`](crate::Stack).
///
/// ```
/// use netloom::dns::{Action, Config, Event, Families, Resolver};
/// use netloom::{Instant, Seed};
///
/// let config = Config::new().server("192.0.2.53".parse()?);
/// let mut resolver = Resolver::new(config, Seed::from_number(7))?;
/// let now = Instant::ZERO;
/// let lookup = resolver.lookup(now, "www.example.org", Families::Both)?;
/// let mut asked = 0;
/// while let Some(action) = resolver.poll_action() {
///     let Action::Ask(question) = action else { panic!("nothing is over") };
///     assert_eq!(question.server.to_string(), "192.0.2.53:53");
///     asked += 1;
/// }
/// assert_eq!(asked, 2, "AAAA and A");
/// assert!(resolver.poll_timeout() > Some(now), "they would be asked again");
///
/// // Addresses are names as well, and nobody is asked.
/// let literal = resolver.lookup(now, "192.0.2.7", Families::Both)?;
/// let result = Ok(vec!["192.0.2.7".parse()?]);
/// assert_eq!(resolver.poll_event(), Some(Event::Done { lookup: literal, result }));
/// resolver.cancel(lookup);
/// assert_eq!(resolver.poll_timeout(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Resolver {
    pub(super) config: Config,
    pub(super) servers: Arc<[SocketAddr]>,
    /// Where the next question begins, when they rotate.
    next_server: usize,
    random: Random,
    pub(super) cache: Cache,
    lookups: BTreeMap<LookupId, Lookup>,
    pub(super) courses: BTreeMap<Key, Course>,
    pub(super) exchanges: BTreeMap<ExchangeId, Key>,
    pub(super) deadlines: BTreeSet<(Instant, ExchangeId)>,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    pub(super) counters: Counters,
    last_lookup: u64,
    last_exchange: u64,
}

/// What a resolver has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Lookups begun.
    pub lookups: u64,
    /// Lookups refused, as there were too many.
    pub lookups_refused: u64,
    /// Questions that the cache has answered.
    pub cached: u64,
    /// Answers that gave way to others before their end.
    pub cache_evicted: u64,
    /// Questions sent by UDP.
    pub sent_udp: u64,
    /// Questions sent by TCP.
    pub sent_tcp: u64,
    /// Replies taken, whatever they said.
    pub replies: u64,
    /// Exchanges without a reply in time.
    pub timeouts: u64,
    /// Exchanges whose socket failed: nobody there, no way.
    pub unreachable: u64,
    /// Replies of no use: the server fails, refuses, or makes no sense.
    pub failures: u64,
    /// Replies that were cut, and asked for again by TCP.
    pub truncated: u64,
    /// Questions that were asked again without EDNS.
    pub without_edns: u64,
    /// Questions that were asked again by TCP because of what came that was no reply to them.
    pub doubted: u64,
    /// Messages refused, by reason.
    pub refused: RefusalCounters,
}

impl Resolver {
    /// A resolver that has asked nobody. Numbers and capitals follow from `seed`, which must be unpredictable where a forger may be.
    ///
    /// # Errors
    /// [`ConfigError`] when a setting is out of its bounds.
    pub fn new(config: Config, seed: Seed) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            servers: config.servers.as_slice().into(),
            next_server: 0,
            random: Random::new(seed.key("dns")),
            cache: Cache::new(config.cache_limit),
            config,
            lookups: BTreeMap::new(),
            courses: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            last_lookup: 0,
            last_exchange: 0,
        })
    }

    /// Looks for the addresses of a name. With a dot at its end it is taken as it is, else the domains of
    /// [`Config::search`] are tried too. An address stands for itself.
    ///
    /// # Errors
    /// [`LookupError::Name`], [`LookupError::NoServers`], [`LookupError::TooMany`]; all else is told by an event.
    pub fn lookup(
        &mut self,
        now: Instant,
        name: &str,
        families: Families,
    ) -> Result<LookupId, LookupError> {
        if self.lookups.len() + self.events.len() >= self.config.lookups {
            self.counters.lookups_refused += 1;
            return Err(LookupError::TooMany);
        }
        let lookup = LookupId(self.last_lookup + 1);
        if let Some(address) = special::literal(name) {
            let fits = families.has(Family::of(address));
            let result = fits.then(|| vec![address]).ok_or(LookupError::NoAddress);
            self.events.push_back(Event::Done { lookup, result });
        } else {
            let absolute = name.ends_with('.');
            let name: Name = name.parse()?;
            let special = special::of_name(&name, Family::V4).is_some();
            if self.servers.is_empty() && !special {
                return Err(LookupError::NoServers);
            }
            let new = Lookup::new(families, name, absolute || special, &self.config);
            self.lookups.insert(lookup, new);
            self.ask_all(now, lookup);
            self.step(now, lookup);
        }
        self.last_lookup += 1;
        self.counters.lookups += 1;
        Ok(lookup)
    }

    /// Forgets a lookup; nothing more is told of it. What only it waited for is not asked any more.
    pub fn cancel(&mut self, id: LookupId) {
        self.events.retain(|event| match event {
            Event::Addresses { lookup, .. } | Event::Done { lookup, .. } => *lookup != id,
        });
        let Some(lookup) = self.lookups.remove(&id) else {
            return;
        };
        for family in lookup.families.each() {
            let key = (lookup.name.clone(), family);
            let Some(course) = self.courses.get_mut(&key) else {
                continue;
            };
            course.waiting.retain(|waiting| *waiting != id);
            if course.waiting.is_empty()
                && let Some(course) = self.courses.remove(&key)
            {
                self.close(&course.exchange);
            }
        }
    }

    /// Asks these servers from now on, as a lease or a router says; 8 at most. The cache is emptied: it may be another
    /// network's. What is under way goes on at the others, and is not kept, until somebody asks for the same name.
    ///
    /// # Errors
    /// [`ConfigError`], and nothing has changed.
    pub fn set_servers(&mut self, servers: &[SocketAddr]) -> Result<(), ConfigError> {
        check_servers(servers)?;
        if *servers != *self.servers {
            self.servers = servers.into();
            self.next_server = 0;
            self.cache.clear();
        }
        Ok(())
    }

    /// Looks for names in these domains from now on; 8 at most.
    ///
    /// # Errors
    /// [`ConfigError`], and nothing has changed.
    pub fn set_search(&mut self, domains: Vec<Name>) -> Result<(), ConfigError> {
        let config = self.config.clone();
        let config = Config {
            search: domains,
            ..config
        };
        config.check()?;
        self.config = config;
        Ok(())
    }

    /// The oldest thing that is to be done with a socket.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The oldest thing that was not told yet.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Whom it asks.
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The settings; [`servers`](Self::servers) may be others by now.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What was asked, answered and refused.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Answers that are kept, maybe some that have ended.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }
}

/// The steps of a lookup, and of a question.
impl Resolver {
    /// Asks for the families of a lookup's name.
    fn ask_all(&mut self, now: Instant, id: LookupId) {
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        let (name, families) = (lookup.name.clone(), lookup.families);
        for family in families.each() {
            let key = (name.clone(), family);
            let known = match special::of_name(&name, family) {
                Some(Some(address)) => Some(Ok(Finding::Addresses(vec![address]))),
                Some(None) => Some(Ok(Finding::NoName)),
                None => self.known(now, &key),
            };
            let known = known.or_else(|| self.join(now, &key, id).err().map(Err));
            let Some(lookup) = self.lookups.get_mut(&id) else {
                return;
            };
            match known {
                Some(result) => lookup.take(result),
                None => lookup.pending += 1,
            }
        }
    }

    fn known(&mut self, now: Instant, key: &Key) -> Option<Kept> {
        let found = self.cache.get(now, key);
        self.counters.cached += u64::from(found.is_some());
        found
    }

    /// Goes on with a lookup as far as it can.
    fn step(&mut self, now: Instant, id: LookupId) {
        while let Some(lookup) = self.lookups.get_mut(&id) {
            if lookup.pending > 0 {
                if let Some(addresses) = lookup.first() {
                    let lookup = id;
                    self.events
                        .push_back(Event::Addresses { lookup, addresses });
                }
                return;
            }
            if let Some(result) = lookup.end() {
                self.lookups.remove(&id);
                let lookup = id;
                self.events.push_back(Event::Done { lookup, result });
                return;
            }
            self.ask_all(now, id);
        }
    }

    /// Waits for a question that is under way, or sends it. One that is under way at servers that are asked no more begins
    /// anew, for all who wait.
    fn join(&mut self, now: Instant, key: &Key, id: LookupId) -> Result<(), Failure> {
        if let Some(course) = self.courses.get_mut(key)
            && course.is_over(&self.servers)
        {
            course.waiting.push(id);
            return Ok(());
        }
        let first = self.next_server;
        let server = *self.servers.get(first).ok_or(Failure::Unreachable)?;
        if self.config.rotate {
            self.next_server = (first + 1) % self.servers.len();
        }
        let mut waiting = match self.courses.remove(key) {
            Some(before) => {
                self.close(&before.exchange);
                before.waiting
            }
            None => Vec::new(),
        };
        waiting.push(id);
        let exchange = self.open(now, key, (server, Transport::Udp), false);
        let servers = Arc::clone(&self.servers);
        let mut course = Course::new((servers, first), self.config.attempts, exchange);
        course.waiting = waiting;
        self.courses.insert(key.clone(), course);
        Ok(())
    }

    /// Begins an exchange.
    pub(super) fn open(
        &mut self,
        now: Instant,
        key: &Key,
        to: (SocketAddr, Transport),
        plain: bool,
    ) -> Exchange {
        self.last_exchange += 1;
        let id = ExchangeId(self.last_exchange);
        let payload = self.config.payload.filter(|_| !plain);
        let manner = (payload, self.config.mixed_case && to.1 == Transport::Udp);
        let deadline = now + self.config.timeout;
        let exchange = Exchange::new(id, to, &key.0, manner, deadline, &mut self.random);
        // A name is always one that can be sent.
        let question = exchange.question(key.1);
        self.actions.extend(question.map(Action::Ask));
        let sent = match to.1 {
            Transport::Udp => &mut self.counters.sent_udp,
            Transport::Tcp => &mut self.counters.sent_tcp,
        };
        *sent += 1;
        self.deadlines.insert((deadline, id));
        self.exchanges.insert(id, key.clone());
        exchange
    }

    /// Ends an exchange.
    pub(super) fn close(&mut self, exchange: &Exchange) {
        self.deadlines.remove(&(exchange.deadline, exchange.id));
        self.exchanges.remove(&exchange.id);
        self.actions.push_back(Action::Close(exchange.id));
    }

    /// A question is over: all who wait for it go on.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        course: Course,
        result: &Result<Finding, Failure>,
    ) {
        self.close(&course.exchange);
        for id in course.waiting {
            if let Some(lookup) = self.lookups.get_mut(&id) {
                lookup.pending -= 1;
                lookup.take(result.clone());
                self.step(now, id);
            }
        }
    }

    /// What a question has come to without a server: for tests of the tables.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.lookups.is_empty()
            && self.courses.is_empty()
            && self.exchanges.is_empty()
            && self.deadlines.is_empty()
    }
}
