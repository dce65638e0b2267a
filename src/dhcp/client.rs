//! The client as its user sees it: commands, getters, events; and the changes of its phase.
//!
//! RFC 2131 §3.1 to §3.7, §4.4. *Owns* [`Client`], the lease that is held, and the step from one phase to the next.
//! *Does not* read answers (`on_message.rs`), look at the time (`on_timer.rs`) or build messages (`transmit.rs`).
//! Invariants: a lease is held only between its request and its end as the server counts it; one lease, one
//! exchange and one parting message exist at most, whatever comes.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::config::{ClientId, Config, ConfigError};
use super::exchange::{Exchange, Phase, backoff};
use super::lease::{Lease, is_host};
use super::news::{Event, LossReason, News};
use super::refusal::RefusalCounters;
use super::transmit::Transmit;
use crate::base::{Instant, Random, Seed, nanos};

/// A DHCPv4 client for one interface.
///
/// It does nothing by itself. Whoever drives it
/// - begins with [`start`](Self::start), or [`reboot`](Self::reboot) with an address of an earlier run;
/// - hands each datagram from port 67 to port 68 of the interface to [`handle_datagram`](Self::handle_datagram);
/// - calls [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says;
/// - after each of these sends what [`poll_transmit`](Self::poll_transmit) has, until it has nothing more, and then
///   does what [`poll_event`](Self::poll_event) tells, in this order: what gives an address back still leaves from it;
///   and once more, as what extends a lease waits until its address was told;
/// - says [`set_probing`](Self::set_probing) as long as the address is probed for, and nothing may leave from it.
///
/// Messages go from UDP port 68 ([`CLIENT_PORT`](super::CLIENT_PORT)) to port 67
/// ([`SERVER_PORT`](super::SERVER_PORT)). Answers must be taken before the interface has an address: they come to
/// 255.255.255.255 or, from servers that heed [`Config::broadcast`] not, to the address that they give.
///
/// ```
/// use netloom::dhcp::{Builder, Client, Config, Event, Message, MessageType, Operation, code};
/// use netloom::{Instant, MacAddr, Seed};
/// use std::net::Ipv4Addr;
///
/// let config = Config::new(MacAddr::new([2, 0, 0, 0, 0, 1]));
/// let mut client = Client::new(config, Seed::from_number(7))?;
/// let now = Instant::ZERO;
/// client.start(now);
/// let discover = client.poll_transmit(now).expect("the search begins");
/// assert!(discover.destination.is_broadcast() && discover.source.is_unspecified());
/// let message = Message::parse(&discover.payload).expect("a message");
/// assert_eq!(message.kind(), Some(MessageType::DISCOVER));
/// assert_eq!(client.poll_transmit(now), None);
/// assert!(client.poll_timeout() > Some(now), "it would be sent again");
///
/// // What a server says to it.
/// let server = Ipv4Addr::new(192, 0, 2, 1);
/// let answer = |kind| {
///     Builder::new(Operation::REPLY, kind, message.xid(), client.config().mac)
///         .yiaddr(Ipv4Addr::new(192, 0, 2, 7))
///         .address(code::SERVER_ID, server)
///         .address(code::SUBNET_MASK, Ipv4Addr::new(255, 255, 255, 0))
///         .number(code::LEASE_TIME, 3600)
///         .finish()
/// };
/// let (offer, ack) = (answer(MessageType::OFFER), answer(MessageType::ACK));
/// client.handle_datagram(now, &offer)?;
/// let request = client.poll_transmit(now).expect("what is offered is asked for");
/// assert_eq!(Message::parse(&request.payload)?.address(code::SERVER_ID), Some(server));
/// client.handle_datagram(now, &ack)?;
/// let Some(Event::Bound(lease)) = client.poll_event() else { panic!("no lease") };
/// assert_eq!(lease.cidr().to_string(), "192.0.2.7/24");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    pub(super) config: Config,
    /// Who it is to servers.
    pub(super) client_id: ClientId,
    pub(super) random: Random,
    pub(super) phase: Phase,
    pub(super) held: Option<Held>,
    /// A DECLINE or RELEASE that has not left. A later one takes its place.
    pub(super) parting: Option<Transmit>,
    pub(super) news: News,
    pub(super) counters: Counters,
    /// NAKs since an address was bound: a server that offers and then refuses must not be asked for ever at
    /// the speed of the network.
    naks: u32,
    /// Conflicts since a lease was extended.
    conflicts: u32,
}

/// What a client has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// DISCOVERs sent.
    pub discovers: u64,
    /// REQUESTs sent.
    pub requests: u64,
    /// DECLINEs made.
    pub declines: u64,
    /// RELEASEs made.
    pub releases: u64,
    /// Datagrams received: those taken and those refused.
    pub received: u64,
    /// OFFERs taken.
    pub offers: u64,
    /// ACKs taken.
    pub acks: u64,
    /// NAKs taken.
    pub naks: u64,
    /// Options of taken ACKs that did not read, or said what cannot be.
    pub options_ignored: u64,
    /// Datagrams refused, by reason.
    pub refused: RefusalCounters,
}

/// A lease and its times.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) lease: Lease,
    /// T1, T2 and the end; never for a lease without an end.
    pub(super) renew_at: Instant,
    pub(super) rebind_at: Instant,
    pub(super) expires_at: Instant,
    /// Is its address not in use yet, for it is probed for?
    pub(super) probing: bool,
}

impl Client {
    /// A client that does nothing yet. Its xids and random times follow from `seed` and the link address: the clients of
    /// a host's interfaces may share a seed.
    ///
    /// # Errors
    /// [`ConfigError`] when a setting is out of its bounds.
    pub fn new(config: Config, seed: Seed) -> Result<Self, ConfigError> {
        config.check()?;
        let key = seed.key(&format!("dhcp {}", config.mac));
        let client_id = config.client_id.clone();
        Ok(Self {
            client_id: client_id.unwrap_or_else(|| ClientId::of_link(config.mac)),
            config,
            random: Random::new(key),
            phase: Phase::Stopped,
            held: None,
            parting: None,
            news: News::default(),
            counters: Counters::default(),
            naks: 0,
            conflicts: 0,
        })
    }

    /// Begins to look for an address (RFC 2131 §3.1). Does nothing if the client runs already.
    pub fn start(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Stopped) {
            let until = now + self.start_delay();
            let refused = false;
            self.phase = Phase::Waiting { until, refused };
        }
    }

    /// Begins by asking whether an address of an earlier run is still good here (RFC 2131 §3.2, INIT-REBOOT).
    /// If nobody says so, it is asked for in the search that follows; if a server refuses it, any address is.
    /// Does nothing if the client runs already; an address that no host can have is forgotten.
    pub fn reboot(&mut self, now: Instant, address: Ipv4Addr) {
        if !is_host(address) {
            self.start(now);
        } else if matches!(self.phase, Phase::Stopped) {
            let first = now + self.start_delay();
            self.confirm(first, address);
        }
    }

    /// The link is up, perhaps another one than before: a lease that is held is confirmed (RFC 2131 §3.7), and lost if it
    /// is refused or [`Config::reboot_tries`] REQUESTs go unanswered; a search begins anew, at once, also one that waits
    /// after a refusal. A wait after a conflict, and that before the first message, go on.
    pub fn handle_link_up(&mut self, now: Instant) {
        self.advance(now);
        // Who has refused may be on another link.
        self.naks = 0;
        match (&self.phase, &self.held) {
            (Phase::Stopped | Phase::Waiting { refused: false, .. }, _) => {}
            (_, Some(held)) => {
                let address = held.lease.address;
                self.confirm(now, address);
            }
            // It waits for its first message.
            (Phase::Rebooting { exchange, .. }, None) if exchange.sent == 0 => {}
            (&Phase::Rebooting { address, .. }, None) => self.confirm(now, address),
            (&(Phase::Selecting { hint, .. } | Phase::Requesting { hint, .. }), None) => {
                self.search(now, hint)
            }
            (_, None) => self.search(now, None),
        }
    }

    /// Another station uses the address that is held (RFC 5227 §1.1): the server is told (RFC 2131 §3.1, DHCPDECLINE), and
    /// after [`Config::decline_wait`] a new search begins. Does nothing unless `address` is the one that is held: whoever
    /// probes may learn of a conflict over an address that is gone by now.
    pub fn handle_conflict(&mut self, now: Instant, address: Ipv4Addr) {
        self.advance(now);
        if self.lease().is_none_or(|held| held.address != address) {
            return;
        }
        let Some(lease) = self.lose(LossReason::Conflict) else {
            return;
        };
        self.parting = Some(self.decline(&lease));
        self.conflicts = self.conflicts.saturating_add(1);
        let wait = backoff(self.conflicts, &self.config, &mut self.random);
        self.wait(now, wait.max(self.config.decline_wait), false);
    }

    /// The address that is held is probed for (RFC 5227 §2.1.1), or is so no more. Meanwhile nothing may leave from it, and what
    /// extends the lease waits. Does nothing unless `address` is the one that is held; who does not probe need not call it.
    pub fn set_probing(&mut self, now: Instant, address: Ipv4Addr, probing: bool) {
        self.advance(now);
        if let Some(held) = &mut self.held
            && held.lease.address == address
        {
            held.probing = probing;
        }
    }

    /// Gives the address back (RFC 2131 §3.1, DHCPRELEASE) and stops. What is to be sent is sent from the address, so
    /// before the event is heeded. Without a lease it only stops.
    pub fn release(&mut self, now: Instant) {
        self.advance(now);
        if let Some(lease) = self.lose(LossReason::Released) {
            self.parting = Some(self.give_back(&lease));
        }
        self.phase = Phase::Stopped;
        (self.naks, self.conflicts) = (0, 0);
    }

    /// What has happened that was not told yet.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.news.poll(self.held.as_ref().map(|held| &held.lease))
    }

    /// The lease that is held, as of the last call with a time.
    pub fn lease(&self) -> Option<&Lease> {
        self.held.as_ref().map(|held| &held.lease)
    }

    /// When the lease that is held ends unless it is extended; `None` without one, and for one without an end.
    pub fn expires_at(&self) -> Option<Instant> {
        let at = self.held.as_ref()?.expires_at;
        (at < Instant::FAR_FUTURE).then_some(at)
    }

    /// Does it look for an address, or hold one? Not before its start, and not after a release.
    pub const fn is_running(&self) -> bool {
        !matches!(self.phase, Phase::Stopped)
    }

    /// What was sent, received and refused.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The settings.
    pub const fn config(&self) -> &Config {
        &self.config
    }
}

/// Steps from one phase to the next.
impl Client {
    /// To SELECTING.
    pub(super) fn search(&mut self, now: Instant, hint: Option<Ipv4Addr>) {
        let exchange = Exchange::new(now, &mut self.random);
        self.phase = Phase::Selecting { exchange, hint };
    }

    /// To SELECTING again, as `before` has come to nothing.
    pub(super) fn search_on(&mut self, now: Instant, before: &Exchange, hint: Option<Ipv4Addr>) {
        let exchange = before.go_on(now, &mut self.random);
        self.phase = Phase::Selecting { exchange, hint };
    }

    /// To REBOOTING.
    fn confirm(&mut self, first: Instant, address: Ipv4Addr) {
        let exchange = Exchange::new(first, &mut self.random);
        self.phase = Phase::Rebooting { exchange, address };
    }

    /// To INIT.
    fn wait(&mut self, now: Instant, time: Duration, refused: bool) {
        let until = now + time;
        self.phase = Phase::Waiting { until, refused };
    }

    /// To INIT, as a server has refused. At once the first time: a host that was moved needs its new address.
    pub(super) fn on_refused(&mut self, now: Instant) {
        let time = match self.naks {
            0 => Duration::ZERO,
            naks => backoff(naks, &self.config, &mut self.random),
        };
        self.naks = self.naks.saturating_add(1);
        self.wait(now, time, true);
    }

    /// To BOUND: `lease`, asked for at `sent`, is held until its end.
    pub(super) fn bind(&mut self, sent: Instant, lease: Lease) {
        let at = |after: Option<Duration>| after.map_or(Instant::FAR_FUTURE, |after| sent + after);
        let before = self.held.as_ref();
        let before = before.filter(|held| held.lease.address == lease.address);
        let (extended, probing) = (before.is_some(), before.is_some_and(|held| held.probing));
        self.held = Some(Held {
            probing,
            renew_at: at(lease.renew_after),
            rebind_at: at(lease.rebind_after),
            expires_at: at(lease.lease_time),
            lease,
        });
        self.naks = 0;
        if extended {
            self.conflicts = 0;
            self.news.on_renewed();
        } else {
            self.news.on_bound();
        }
        self.phase = Phase::Bound;
    }

    /// The lease is held no more. What comes next is the caller's to say.
    pub(super) fn lose(&mut self, why: LossReason) -> Option<Lease> {
        let lease = self.held.take()?.lease;
        self.news.on_lost(lease.address, why);
        Some(lease)
    }

    fn start_delay(&mut self) -> Duration {
        Duration::from_nanos(self.random.below(nanos(self.config.start_delay)))
    }
}
