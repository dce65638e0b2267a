//! A resolver and the sockets of its questions.
//!
//! RFC 5452 §9.2 (a port for each question), RFC 7766. *Owns* the tie between exchanges and sockets. *Does not* know what is asked. Invariant:
//! a socket is open as long as its exchange, no longer; there are as many as questions under way.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

use bytes::Bytes;

use super::calls::Calls;
use crate::base::{Instant, Seed};
use crate::dns::{
    Action, Config, ConfigError, Event, ExchangeId, Families, LookupError, LookupId, Name,
    Question, Resolver, Transport,
};
use crate::stack::{self, RecvError, SocketId, TcpId, UdpId, UdpOptions};
use crate::tcp::{ReadError, TcpOptions, WriteError};

/// A [`Resolver`] over the sockets of a stack.
///
/// Whoever drives the stack also
/// - hands its events to [`handle_event`](Self::handle_event), which says whether they were for it;
/// - calls [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says;
/// - after each of these, and after [`lookup`](Self::lookup), does what [`poll_event`](Self::poll_event) tells.
///
/// ```
/// use netloom::device::WireConfig;
/// use netloom::dns::{Config, Event, Families};
/// use netloom::names::Names;
/// use netloom::sim::{App, Cx, Pair, Wake};
/// use netloom::Seed;
/// use std::time::Duration;
///
/// /// Looks for a name, and keeps what became of it.
/// struct Looker(Names, Option<Event>);
///
/// impl App for Looker {
///     fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
///         match wake {
///             Wake::Start => {
///                 self.0.lookup(cx, "www.example.org", Families::Both).expect("a server");
///             }
///             Wake::Event(event) => {
///                 self.0.handle_event(cx, event);
///             }
///             _ => self.0.handle_timeout(cx),
///         }
///         self.1 = self.0.poll_event().or(self.1.take());
///         if let Some(at) = self.0.poll_timeout() {
///             cx.alarm(at, 0);
///         }
///     }
/// }
///
/// let mut pair = Pair::new(1, WireConfig::perfect().delay(Duration::from_millis(5)))?;
/// let names = Names::new(Config::new().server(Pair::RIGHT), Seed::from_number(1)).expect("settings");
/// let looker = pair.network.add_app(pair.left, Looker(names, None));
/// pair.network.run_for(Duration::from_secs(60))?;
/// // There is nobody to answer at the other end, and it says so.
/// assert!(matches!(pair.network.app(looker).1, Some(Event::Done { result: Err(_), .. })));
/// # Ok::<(), netloom::sim::SimError>(())
/// ```
#[derive(Debug)]
pub struct Names {
    resolver: Resolver,
    talks: BTreeMap<SocketId, Talk>,
    sockets: BTreeMap<ExchangeId, SocketId>,
}

/// What a socket is for.
#[derive(Debug)]
struct Talk {
    exchange: ExchangeId,
    /// What the connection has not taken yet.
    unsent: Bytes,
}

impl Names {
    /// A resolver that has asked nobody.
    ///
    /// # Errors
    /// [`ConfigError`] when a setting is out of its bounds.
    pub fn new(config: Config, seed: Seed) -> Result<Self, ConfigError> {
        Ok(Self {
            resolver: Resolver::new(config, seed)?,
            talks: BTreeMap::new(),
            sockets: BTreeMap::new(),
        })
    }

    /// [`Resolver::lookup`].
    ///
    /// # Errors
    /// [`LookupError`], as far as it is known at once.
    pub fn lookup(
        &mut self,
        calls: &mut impl Calls,
        name: &str,
        families: Families,
    ) -> Result<LookupId, LookupError> {
        let lookup = self.resolver.lookup(calls.now(), name, families);
        self.act(calls);
        lookup
    }

    /// [`Resolver::cancel`].
    pub fn cancel(&mut self, calls: &mut impl Calls, id: LookupId) {
        self.resolver.cancel(id);
        self.act(calls);
    }

    /// [`Resolver::set_servers`].
    ///
    /// # Errors
    /// [`ConfigError`], and nothing has changed.
    pub fn set_servers(&mut self, servers: &[SocketAddr]) -> Result<(), ConfigError> {
        self.resolver.set_servers(servers)
    }

    /// [`Resolver::set_search`].
    ///
    /// # Errors
    /// [`ConfigError`], and nothing has changed.
    pub fn set_search(&mut self, domains: Vec<Name>) -> Result<(), ConfigError> {
        self.resolver.set_search(domains)
    }

    /// The resolver, to look at.
    pub const fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// A socket became ready; says whether it is one of this resolver's.
    pub fn handle_event(&mut self, calls: &mut impl Calls, event: stack::Event) -> bool {
        let Some(talk) = self.talks.get(&event.id) else {
            return false;
        };
        let exchange = talk.exchange;
        match event.id {
            SocketId::Udp(id) => self.hear_datagrams(calls, id, exchange),
            SocketId::Tcp(id) => self.hear_stream(calls, id, exchange),
            SocketId::Listener(_) | SocketId::Ping(_) | SocketId::Raw(_) | SocketId::Packet(_) => {}
        }
        self.act(calls);
        true
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, calls: &mut impl Calls) {
        self.resolver.handle_timeout(calls.now());
        self.act(calls);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.resolver.poll_timeout()
    }

    /// The oldest thing that was not told yet.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.resolver.poll_event()
    }

    /// Does what the resolver wants done.
    fn act(&mut self, calls: &mut impl Calls) {
        while let Some(action) = self.resolver.poll_action() {
            match action {
                Action::Ask(question) => {
                    let exchange = question.exchange;
                    let socket = match question.transport {
                        Transport::Udp => self.ask_by_datagram(calls, question),
                        Transport::Tcp => self.ask_by_stream(calls, question),
                    };
                    if socket.is_none() {
                        self.resolver.handle_failure(calls.now(), exchange);
                    }
                }
                Action::Close(exchange) => self.close(calls, exchange),
            }
        }
    }

    fn ask_by_datagram(&mut self, calls: &mut impl Calls, question: Question) -> Option<()> {
        let any: IpAddr = match question.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // Port 0 is a random one (RFC 6056 §3.3.2).
        let id = calls.udp_bind(SocketAddr::new(any, 0), UdpOptions::new());
        let id = id.ok()?;
        self.note(SocketId::Udp(id), question.exchange, Bytes::new());
        calls.udp_connect(id, question.server).ok()?;
        calls.udp_send(id, question.payload).ok()
    }

    fn ask_by_stream(&mut self, calls: &mut impl Calls, question: Question) -> Option<()> {
        let id = calls.tcp_connect(question.server, TcpOptions::default());
        let id = id.ok()?;
        self.note(SocketId::Tcp(id), question.exchange, question.payload);
        self.write(calls, id)
    }

    fn note(&mut self, socket: SocketId, exchange: ExchangeId, unsent: Bytes) {
        self.talks.insert(socket, Talk { exchange, unsent });
        self.sockets.insert(exchange, socket);
    }

    /// Writes what is left of the question; `None` when the connection takes nothing any more.
    fn write(&mut self, calls: &mut impl Calls, id: TcpId) -> Option<()> {
        let unsent = &mut self.talks.get_mut(&SocketId::Tcp(id))?.unsent;
        while !unsent.is_empty() {
            match calls.tcp_write_chunk(id, unsent) {
                Ok(_) => {}
                Err(WriteError::WouldBlock) => break,
                Err(_) => return None,
            }
        }
        Some(())
    }

    fn hear_datagrams(&mut self, calls: &mut impl Calls, id: UdpId, exchange: ExchangeId) {
        // Its resolver may end the exchange, and with it the socket.
        while self.sockets.contains_key(&exchange) {
            match calls.udp_recv(id) {
                Ok(datagram) => {
                    let bytes = datagram.data.into_bytes();
                    let (now, from) = (calls.now(), datagram.from);
                    // What it does not take it counts.
                    let _ = self.resolver.handle_datagram(now, exchange, from, &bytes);
                }
                Err(RecvError::WouldBlock) => return,
                Err(_) => self.resolver.handle_failure(calls.now(), exchange),
            }
            self.act(calls);
        }
    }

    fn hear_stream(&mut self, calls: &mut impl Calls, id: TcpId, exchange: ExchangeId) {
        if self.write(calls, id).is_none() {
            return self.resolver.handle_failure(calls.now(), exchange);
        }
        while self.sockets.contains_key(&exchange) {
            match calls.tcp_read_chunk(id, usize::from(u16::MAX)) {
                Ok(bytes) if !bytes.is_empty() => {
                    let _ = self.resolver.handle_stream(calls.now(), exchange, &bytes);
                }
                Err(ReadError::WouldBlock) => return,
                // The end of the stream, or of the connection.
                Ok(_) | Err(_) => self.resolver.handle_failure(calls.now(), exchange),
            }
            self.act(calls);
        }
    }

    fn close(&mut self, calls: &mut impl Calls, exchange: ExchangeId) {
        let Some(socket) = self.sockets.remove(&exchange) else {
            return;
        };
        self.talks.remove(&socket);
        match socket {
            SocketId::Udp(id) => calls.udp_close(id),
            SocketId::Tcp(id) => calls.tcp_close(id),
            SocketId::Listener(_) | SocketId::Ping(_) | SocketId::Raw(_) | SocketId::Packet(_) => {}
        }
    }

    /// Sockets that are open.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        assert_eq!(self.talks.len(), self.sockets.len());
        self.talks.len()
    }
}
