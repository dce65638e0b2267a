//! Names on a host: looking them up, and connecting to the first of their addresses that answers.
//!
//! RFC 8305. *Owns* who waits for which lookup, and the wait for a connection by name. *Does not* resolve: [`names::Names`] does, inside the core, so
//! that whoever looks at the device drives it too.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::connect::ConnectOptions;
use super::locked::Locked;
use super::shared::{Shared, Waited, Wish};
use super::sockets::After;
use super::state::Core;
use super::tcp::TcpStream;
use super::told::told_servers;
use super::waits::Waits;
use super::{Host, HostBuilder, clock};
use crate::base::{Instant, Seed};
use crate::device::{Device, HostReceive, HostTransmit};
use crate::dns::{self, Families, LookupError, LookupId};
use crate::names::{self, At, Race};
use crate::stack::{self, Readiness, Stack, TcpId};
use crate::tcp::State;

/// The resolver's settings.
pub(super) type Settings = dns::Config;

/// A resolver, and who waits for what it finds.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// None only before the host is complete.
    names: Option<names::Names>,
    lookups: BTreeMap<LookupId, Lookup>,
    /// It has done something about an event, and may have something to send.
    acted: bool,
    /// Its servers were given by the user: what a lease and routers tell of is not asked.
    by_hand: bool,
}

/// A lookup that somebody waits for.
#[derive(Debug)]
struct Lookup {
    waits: Arc<Waits>,
    found: Vec<IpAddr>,
    /// It is over: why there is nothing, if there is nothing.
    done: Option<Result<(), LookupError>>,
}

impl Settings {
    pub(super) fn names(self, seed: Seed) -> io::Result<Names> {
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let names = names::Names::new(self, seed).map_err(wrong)?;
        Ok(Names {
            by_hand: !names.resolver().servers().is_empty(),
            names: Some(names),
            ..Names::default()
        })
    }
}

/// What the core asks of it.
impl Names {
    /// Was the event for the resolver?
    pub(super) fn on_event(
        &mut self,
        stack: &mut Stack,
        now: Instant,
        event: stack::Event,
    ) -> bool {
        let names = self.names.as_mut();
        let own = names.is_some_and(|names| names.handle_event(&mut At::new(now, stack), event));
        self.acted |= own;
        own
    }

    /// An interface has changed: the servers that leases and routers tell of are asked from now on, unless there are
    /// some that the user gave.
    pub(super) fn learn(&mut self, stack: &Stack) {
        if !self.by_hand
            && let Some(names) = &mut self.names
        {
            let set = names.set_servers(&told_servers(stack));
            debug_assert!(set.is_ok(), "only what can be one is told: {set:?}");
        }
    }

    /// Was there an event for the resolver since this was asked last?
    pub(super) const fn has_acted(&mut self) -> bool {
        core::mem::replace(&mut self.acted, false)
    }

    pub(super) fn handle_timeout(&mut self, stack: &mut Stack, now: Instant) {
        if let Some(names) = &mut self.names
            && names.poll_timeout().is_some_and(|due| due <= now)
        {
            names.handle_timeout(&mut At::new(now, stack));
        }
    }

    /// Passes on what was found.
    pub(super) fn tell(&mut self, after: &mut After) {
        while let Some(event) = self.names.as_mut().and_then(names::Names::poll_event) {
            let (id, found, done) = match event {
                dns::Event::Addresses { lookup, addresses } => (lookup, addresses, None),
                dns::Event::Done { lookup, result } => match result {
                    Ok(all) => (lookup, all, Some(Ok(()))),
                    Err(why) => (lookup, Vec::new(), Some(Err(why))),
                },
            };
            if let Some(lookup) = self.lookups.get_mut(&id) {
                lookup.found = found;
                lookup.done = done;
                after.notify(&lookup.waits, Readiness::all());
            }
        }
    }

    /// When it has something to do.
    pub(super) fn due(&self) -> Instant {
        let due = self.names.as_ref().and_then(names::Names::poll_timeout);
        due.unwrap_or(Instant::FAR_FUTURE)
    }

    /// Wakes everybody who waits for a name.
    pub(super) fn notify_all(&self) {
        for lookup in self.lookups.values() {
            lookup.waits.announce(Readiness::all());
        }
    }

    /// Begins a lookup.
    fn begin(
        &mut self,
        stack: &mut Stack,
        now: Instant,
        (name, families): (&str, Families),
        waits: &Arc<Waits>,
    ) -> Result<LookupId, LookupError> {
        let names = self.names.as_mut().ok_or(LookupError::NoServers)?;
        let id = names.lookup(&mut At::new(now, stack), name, families)?;
        let lookup = Lookup {
            waits: Arc::clone(waits),
            found: Vec::new(),
            done: None,
        };
        self.lookups.insert(id, lookup);
        Ok(id)
    }

    /// Ends a lookup, wherever it stands.
    fn end(&mut self, stack: &mut Stack, now: Instant, id: LookupId) {
        let over = self.lookups.remove(&id);
        let over = over.is_some_and(|lookup| lookup.done.is_some());
        if let Some(names) = self.names.as_mut().filter(|_| !over) {
            names.cancel(&mut At::new(now, stack), id);
        }
    }
}

impl<D> HostBuilder<D>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    /// One more DNS server, at port 53, for [`Host::lookup`] and [`Host::tcp_connect_host`]. 8 at most.
    #[must_use]
    pub fn dns_server(mut self, server: IpAddr) -> Self {
        self.dns = self.dns.server(server);
        self
    }

    /// All settings of the resolver at once, instead of those made so far.
    #[must_use]
    pub fn dns(mut self, config: dns::Config) -> Self {
        self.dns = config;
        self
    }
}

impl Host {
    /// The addresses of a name, asked for at the DNS servers of this host; the best first (RFC 6724 §6), at least one. An address stands for itself.
    ///
    /// With a dot at its end the name is taken as it is, else the domains of [`dns::Config::search`] are tried too. It takes what
    /// the servers take, 20 s at the most with two of them that are silent ([`dns::Config::timeout`]).
    ///
    /// # Errors
    /// `NotFound` when there is no such name, or it has no address; `TimedOut`, `HostUnreachable` and `Other` when no server could tell;
    /// `InvalidInput` for what is no name; `Unsupported` without a server; `NotConnected` when the host was shut down.
    pub fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.lookup_within(name, Families::Both, None)
    }

    /// The same for one family, or for both, within this time if there is one: what is known by then is told, be it of one
    /// family alone, for servers that say nothing of IPv6 are many.
    ///
    /// # Errors
    /// Those of [`lookup`](Self::lookup).
    pub fn lookup_within(
        &self,
        name: &str,
        families: Families,
        timeout: Option<Duration>,
    ) -> io::Result<Vec<IpAddr>> {
        let shared = &*self.shared;
        let now = clock::now();
        let deadline = timeout.map(|timeout| now + timeout);
        let waits = Arc::new(Waits::default());
        let mut core = shared.lock();
        core.check_open()?;
        let id = core.lookup(now, (name, families), &waits)?;
        let result = loop {
            if let Err(why) = core.check() {
                break Err(why.into());
            }
            if let Some(done) = core.names.lookups.get(&id).and_then(|l| l.done.clone()) {
                break done.map(|()| core.found(id)).map_err(io::Error::from);
            }
            let waited;
            (core, waited) = wait(shared, core, &waits, deadline, None);
            if waited == Waited::TimedOut {
                let found = core.found(id);
                break if found.is_empty() {
                    Err(timed_out())
                } else {
                    Ok(found)
                };
            }
        };
        core.end_lookup(id);
        shared.finish(core, clock::now());
        result
    }

    /// Connects to a name: to whichever of its addresses answers first (RFC 8305). The best is tried, and after 250 ms, or when that
    /// failed, the next, of the other family first.
    ///
    /// Names are asked for at the DNS servers of this host, as opposed to [`tcp_connect`](Self::tcp_connect).
    ///
    /// # Errors
    /// Those of [`lookup`](Self::lookup) and [`tcp_connect`](Self::tcp_connect): of several attempts, that of the last one that failed.
    pub fn tcp_connect_host(&self, name: &str, port: u16) -> io::Result<TcpStream> {
        self.tcp_connect_host_with(name, port, &ConnectOptions::new())
    }

    /// The same with these options. The time is for all of it, the lookup too; an address to connect from leaves the other family out.
    ///
    /// # Errors
    /// Those of [`tcp_connect_host`](Self::tcp_connect_host).
    pub fn tcp_connect_host_with(
        &self,
        name: &str,
        port: u16,
        options: &ConnectOptions,
    ) -> io::Result<TcpStream> {
        let (shared, now) = (&self.shared, clock::now());
        let families = match options.bind {
            Some(bind) => Families::Only(dns::Family::of(bind.ip())),
            None => Families::Both,
        };
        let mut core = shared.lock();
        core.check_open()?;
        let waits = Arc::new(Waits::default());
        let mut attempts = Attempts {
            shared,
            lookup: core.lookup(now, (name, families), &waits)?,
            waits,
            port,
            options,
            race: Race::new(),
            failure: None,
        };
        let deadline = options.timeout.map(|timeout| now + timeout);
        let result = loop {
            match attempts.look(&mut core) {
                Ok(None) => {}
                Ok(Some(won)) => break Ok(won),
                Err(why) => break Err(why),
            }
            let waited;
            let due = attempts.race.due();
            (core, waited) = wait(shared, core, &attempts.waits, deadline, due);
            if waited == Waited::TimedOut {
                break Err(timed_out());
            }
        };
        let result = attempts.end(&mut core, result);
        shared.finish(core, clock::now());
        result
    }

    /// Asks these DNS servers from now on, at port 53; 8 at most. With none, those that the lease and the routers tell
    /// of are asked, as long as they hold.
    ///
    /// # Errors
    /// `InvalidInput` when there are too many, or one can be none; `NotConnected` when the host was shut down.
    pub fn set_dns_servers(&self, servers: &[IpAddr]) -> io::Result<()> {
        let mut core = self.shared.lock_running()?;
        let at = |server: &IpAddr| SocketAddr::new(*server, dns::PORT);
        let servers: Vec<SocketAddr> = servers.iter().map(at).collect();
        let Core { names, stack, .. } = &mut *core;
        let resolver = names.names.as_mut().ok_or(io::ErrorKind::Unsupported)?;
        let set = resolver.set_servers(&servers);
        set.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        names.by_hand = !servers.is_empty();
        names.learn(stack);
        Ok(())
    }

    /// The DNS servers that are asked: those that were given ([`HostBuilder::dns_server`],
    /// [`set_dns_servers`](Self::set_dns_servers)), else those that the lease tells of and behind them those of routers.
    pub fn dns_servers(&self) -> Vec<SocketAddr> {
        let core = self.shared.lock();
        let names = core.names.names.as_ref();
        names.map_or_else(Vec::new, |names| names.resolver().servers().to_vec())
    }

    /// What the resolver has asked, and what came.
    pub fn dns_counters(&self) -> dns::Counters {
        let core = self.shared.lock();
        let names = core.names.names.as_ref();
        names.map_or_else(dns::Counters::default, |names| {
            names.resolver().counters().clone()
        })
    }
}

impl Core {
    fn lookup(
        &mut self,
        now: Instant,
        what: (&str, Families),
        waits: &Arc<Waits>,
    ) -> io::Result<LookupId> {
        let Self { names, stack, .. } = self;
        Ok(names.begin(stack, now, what, waits)?)
    }

    fn end_lookup(&mut self, id: LookupId) {
        let Self { names, stack, .. } = self;
        names.end(stack, clock::now(), id);
    }

    /// What is known of a name, the best first.
    fn found(&self, id: LookupId) -> Vec<IpAddr> {
        let lookup = self.names.lookups.get(&id);
        let found = lookup.map_or(&[][..], |lookup| &lookup.found);
        let source = |to| self.stack.resolve_route(to).map(|(_, source)| source);
        names::sorted(found, source)
    }
}

/// Waits for what `waits` is told of, until `deadline`; `due` is when to look again in any case.
fn wait<'a>(
    shared: &'a Shared,
    core: Locked<'a>,
    waits: &Waits,
    deadline: Option<Instant>,
    due: Option<Instant>,
) -> (Locked<'a>, Waited) {
    let first = deadline.into_iter().chain(due).min();
    let wish = Wish {
        deadline: first,
        sends: false,
    };
    let (core, waited) = shared.wait(core, &waits.writable, wish);
    let over = deadline.is_some_and(|deadline| deadline <= clock::now());
    match waited {
        Waited::TimedOut if !over => (core, Waited::LookAgain),
        waited => (core, waited),
    }
}

fn timed_out() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "not within the time that was given",
    )
}

/// The attempts of one call to connect to a name.
struct Attempts<'a> {
    shared: &'a Arc<Shared>,
    lookup: LookupId,
    /// Told of the lookup, and of each attempt.
    waits: Arc<Waits>,
    port: u16,
    options: &'a ConnectOptions,
    race: Race<TcpId>,
    /// The last one's.
    failure: Option<io::Error>,
}

impl Attempts<'_> {
    /// Looks at all that may have changed; the connection that has won, if one has.
    fn look(&mut self, core: &mut Core) -> io::Result<Option<TcpId>> {
        core.check()?;
        let now = clock::now();
        self.learn(core, now)?;
        self.hear(core, now)?;
        if let Some(won) = self.winner(core) {
            return Ok(Some(won));
        }
        while let Some(address) = self.race.poll_attempt(now) {
            let to = SocketAddr::new(address, self.port);
            let tcp = self.options.tcp.clone();
            let tcp = tcp.unwrap_or_else(|| self.shared.tcp.clone());
            match self.options.open(&mut core.stack, now, to, tcp) {
                Ok(id) => {
                    core.sockets.share_stream(id, &self.waits);
                    self.race.began(id, address);
                }
                Err(error) => {
                    // What came of those that began says more.
                    self.failure.get_or_insert_with(|| error.into());
                    self.race.failed_at_once(now);
                }
            }
        }
        if self.race.is_lost() {
            let none = || io::Error::from(LookupError::NoAddress);
            return Err(self.failure.take().unwrap_or_else(none));
        }
        Ok(None)
    }

    /// What the lookup has found.
    fn learn(&mut self, core: &Core, now: Instant) -> io::Result<()> {
        let Some(lookup) = core.names.lookups.get(&self.lookup) else {
            return Ok(());
        };
        let complete = lookup.done.is_some();
        if let Some(Err(why)) = &lookup.done {
            return Err(why.clone().into());
        }
        if complete || !lookup.found.is_empty() {
            self.race.know(now, &core.found(self.lookup), complete);
        }
        Ok(())
    }

    /// Which attempts have failed.
    fn hear(&mut self, core: &mut Core, now: Instant) -> io::Result<()> {
        let running: Vec<TcpId> = self.race.running().copied().collect();
        for id in running {
            if let Some(failure) = core.stack.tcp_failure(id)? {
                self.failure = Some(failure.into());
                self.race.failed(now, &id);
                core.sockets.remove_stream(id);
                core.stack.tcp_abort(now, id);
            }
        }
        Ok(())
    }

    fn winner(&self, core: &Core) -> Option<TcpId> {
        let is_up = |id: &&TcpId| {
            let info = core.stack.tcp_info(**id);
            info.is_ok_and(|info| !matches!(info.state, State::SynSent | State::SynRcvd))
        };
        self.race.running().find(is_up).copied()
    }

    /// Ends all but the connection that has won.
    fn end(self, core: &mut Core, result: io::Result<TcpId>) -> io::Result<TcpStream> {
        let now = clock::now();
        core.end_lookup(self.lookup);
        let won = result.as_ref().ok();
        for id in self.race.running().filter(|id| Some(*id) != won) {
            core.sockets.remove_stream(*id);
            core.stack.tcp_abort(now, *id);
        }
        let id = result?;
        // Its own waits, which no other attempt marks.
        let waits = core.sockets.add_stream(id);
        waits.set_connected();
        Ok(TcpStream::new(
            Arc::clone(self.shared),
            id,
            &core.stack,
            waits,
        ))
    }
}
