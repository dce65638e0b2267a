//! Whom a resolver asks, how patient it is, and what it keeps.
//!
//! *Owns* the settings and their bounds; `docs/choices.md` has the source of each default.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::PORT;
use super::name::Name;

/// Rounds over the servers: where there is no way to any, all are gone through in one call.
const MAX_ATTEMPTS: u32 = 10;

/// The most servers: what a router may tell of (RFC 8106 §5.3.1 asks for three at least).
pub(crate) const MAX_SERVERS: usize = 8;
/// The most domains that are searched (resolv.conf's `MAXDNSRCH` was 6 for long).
pub(super) const MAX_SEARCH: usize = 8;

/// Settings of a [`Resolver`](super::Resolver).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<Name>,
    pub(super) ndots: usize,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    pub(super) rotate: bool,
    pub(super) payload: Option<u16>,
    pub(super) mixed_case: bool,
    pub(super) cache_limit: usize,
    pub(super) longest_life: Duration,
    pub(super) longest_nothing: Duration,
    pub(super) lookups: usize,
}

/// Why settings are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// More servers than 8.
    #[error("{0} DNS servers, 8 at most")]
    Servers(usize),
    /// An address that can be no server's, or port 0.
    #[error("{0} can be no DNS server")]
    Server(SocketAddr),
    /// More domains to search than 8.
    #[error("{0} domains to search, 8 at most")]
    Search(usize),
    /// No time, no attempt, no room for a lookup, or an EDNS payload below 512.
    #[error("{0} is too little")]
    TooLittle(&'static str),
    /// More rounds over the servers than 10.
    #[error("{0} attempts, 10 at most")]
    Attempts(u32),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            payload: Some(1232),
            mixed_case: true,
            cache_limit: 1024,
            longest_life: Duration::from_secs(24 * 3600),
            longest_nothing: Duration::from_secs(3 * 3600),
            lookups: 256,
        }
    }
}

impl Config {
    /// The defaults, without a server.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more server, at port 53; they are asked in this order. 8 at most.
    #[must_use]
    pub fn server(self, server: IpAddr) -> Self {
        self.server_at(SocketAddr::new(server, PORT))
    }

    /// One more server, at any port.
    #[must_use]
    pub fn server_at(mut self, server: SocketAddr) -> Self {
        self.servers.push(server);
        self
    }

    /// One more domain in which names with fewer dots than [`ndots`](Self::ndots) are looked for first. 8 at most.
    #[must_use]
    pub fn search(mut self, domain: Name) -> Self {
        self.search.push(domain);
        self
    }

    /// From how many dots on a name is tried as it is before the domains of [`search`](Self::search) (default 1).
    #[must_use]
    pub const fn ndots(mut self, dots: usize) -> Self {
        self.ndots = dots;
        self
    }

    /// How long a server may take (default 5 s).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often the servers are gone through (default 2, 10 at most).
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Does each question begin at the next server (default no)?
    #[must_use]
    pub const fn rotate(mut self, rotate: bool) -> Self {
        self.rotate = rotate;
        self
    }

    /// The longest reply by UDP, in bytes, that servers are told by EDNS (RFC 6891 §6.2.3; default 1232, 512 at least);
    /// `None` does without EDNS.
    #[must_use]
    pub const fn payload(mut self, bytes: Option<u16>) -> Self {
        self.payload = bytes;
        self
    }

    /// Are the letters of questions drawn large or small, and must replies repeat them (default yes)? A forger has to guess them
    /// too. A reply in other capitals is asked for again by TCP.
    #[must_use]
    pub const fn mixed_case(mut self, mixed: bool) -> Self {
        self.mixed_case = mixed;
        self
    }

    /// Answers that are kept (default 1024); what would end next gives way.
    #[must_use]
    pub const fn cache_limit(mut self, answers: usize) -> Self {
        self.cache_limit = answers;
        self
    }

    /// The longest that an answer is kept, whatever it says (default a day).
    #[must_use]
    pub const fn longest_life(mut self, time: Duration) -> Self {
        self.longest_life = time;
        self
    }

    /// The same for an answer that there is nothing (RFC 2308 §5; default 3 h).
    #[must_use]
    pub const fn longest_nothing(mut self, time: Duration) -> Self {
        self.longest_nothing = time;
        self
    }

    /// Lookups at once, those included that are over and not told (default 256).
    #[must_use]
    pub const fn lookups(mut self, most: usize) -> Self {
        self.lookups = most;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_servers(&self.servers)?;
        if self.search.len() > MAX_SEARCH {
            return Err(ConfigError::Search(self.search.len()));
        }
        let little = [
            (self.timeout.is_zero(), "the time for a DNS server"),
            (self.attempts == 0, "the number of attempts"),
            (self.lookups == 0, "the number of lookups"),
            (
                self.payload.is_some_and(|bytes| bytes < 512),
                "the EDNS payload",
            ),
        ];
        if let Some(&(_, what)) = little.iter().find(|(is, _)| *is) {
            return Err(ConfigError::TooLittle(what));
        }
        if self.attempts > MAX_ATTEMPTS {
            return Err(ConfigError::Attempts(self.attempts));
        }
        Ok(())
    }
}

/// May these be asked?
pub(super) fn check_servers(servers: &[SocketAddr]) -> Result<(), ConfigError> {
    if servers.len() > MAX_SERVERS {
        return Err(ConfigError::Servers(servers.len()));
    }
    let nobody = |server: &&SocketAddr| {
        let ip = server.ip();
        let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        ip.is_unspecified() || ip.is_multicast() || broadcast || server.port() == 0
    };
    match servers.iter().find(nobody) {
        Some(&server) => Err(ConfigError::Server(server)),
        None => Ok(()),
    }
}
