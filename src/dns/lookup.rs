//! What a user waits for: the addresses of a name, of one family or both.
//!
//! RFC 1123 §6.1.4.3, resolv.conf(5) (the search list), RFC 8305 §3 (both families at once). *Owns* which name is next, and what all of it comes to. *Does not*
//! ask: courses do.

use core::net::IpAddr;
use std::collections::VecDeque;
use std::io;

use super::config::Config;
use super::course::Failure;
use super::judge::Finding;
use super::name::{Name, NameError};

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv6: AAAA records.
    V6,
    /// IPv4: A records.
    V4,
}

impl Family {
    /// That of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Which addresses are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Families {
    /// Both, at once.
    #[default]
    Both,
    /// Those of one.
    Only(Family),
}

impl Families {
    /// The families, AAAA first (RFC 8305 §3).
    pub(super) fn each(self) -> impl Iterator<Item = Family> {
        let all = [Family::V6, Family::V4].into_iter();
        all.filter(move |family| self.has(*family))
    }

    pub(super) fn has(self, family: Family) -> bool {
        match self {
            Self::Both => true,
            Self::Only(only) => only == family,
        }
    }
}

/// One call of [`Resolver::lookup`](super::Resolver::lookup).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub(super) u64);

/// What a lookup has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// One family is known, and the other not yet: for who would rather begin with these (RFC 8305 §3).
    Addresses {
        /// Which lookup.
        lookup: LookupId,
        /// Of one family, in the order in which the server has them.
        addresses: Vec<IpAddr>,
    },
    /// It is over, and told of no more.
    Done {
        /// Which lookup.
        lookup: LookupId,
        /// All addresses, at least one: those of IPv6, then those of IPv4.
        result: Result<Vec<IpAddr>, LookupError>,
    },
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The text is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no such name.
    #[error("there is no such name")]
    NoName,
    /// There is the name, and no address of the families that were asked for.
    #[error("the name has no address")]
    NoAddress,
    /// There is no server to ask.
    #[error("no DNS server is known")]
    NoServers,
    /// No server answered in time.
    #[error("no DNS server answered")]
    TimedOut,
    /// No server can be reached, or none answers to DNS.
    #[error("no DNS server can be reached")]
    Unreachable,
    /// The servers failed, or refused.
    #[error("the DNS servers could not tell")]
    Failed,
    /// As many lookups are under way, or not told, as [`Config::lookups`](super::Config::lookups) allows.
    #[error("too many lookups at once")]
    TooMany,
}

impl From<LookupError> for io::Error {
    fn from(error: LookupError) -> Self {
        let kind = match error {
            LookupError::Name(_) => io::ErrorKind::InvalidInput,
            LookupError::NoName | LookupError::NoAddress => io::ErrorKind::NotFound,
            LookupError::NoServers => io::ErrorKind::Unsupported,
            LookupError::TimedOut => io::ErrorKind::TimedOut,
            LookupError::Unreachable => io::ErrorKind::HostUnreachable,
            LookupError::Failed => io::ErrorKind::Other,
            LookupError::TooMany => io::ErrorKind::QuotaExceeded,
        };
        Self::new(kind, error)
    }
}

/// A lookup that is under way.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) families: Families,
    /// The name that is asked for now.
    pub(super) name: Name,
    /// Those that come after it.
    later: VecDeque<Name>,
    /// Families of this name that are not known yet.
    pub(super) pending: u8,
    v6: Vec<IpAddr>,
    v4: Vec<IpAddr>,
    /// The worst of this name's families.
    failure: Option<Failure>,
    /// A name was there, without an address.
    bare: bool,
    /// A name's servers failed.
    failed: bool,
    /// One family was told before the other.
    told: bool,
}

impl Lookup {
    /// Looks for `name`, which a dot at its end made `absolute`.
    pub(super) fn new(families: Families, name: Name, absolute: bool, config: &Config) -> Self {
        let mut later = VecDeque::new();
        if !absolute {
            later.extend(
                config
                    .search
                    .iter()
                    .filter_map(|domain| name.within(domain)),
            );
        }
        if name.dots() >= config.ndots {
            later.push_front(name.clone());
        } else {
            later.push_back(name.clone());
        }
        Self {
            families,
            name: later.pop_front().unwrap_or(name),
            later,
            pending: 0,
            v6: Vec::new(),
            v4: Vec::new(),
            failure: None,
            bare: false,
            failed: false,
            told: false,
        }
    }

    /// What a family of its name has come to.
    pub(super) fn take(&mut self, result: Result<Finding, Failure>) {
        match result {
            Ok(Finding::Addresses(all)) => {
                for address in all {
                    match Family::of(address) {
                        Family::V6 => self.v6.push(address),
                        Family::V4 => self.v4.push(address),
                    }
                }
            }
            Ok(Finding::NoAddress) => self.bare = true,
            Ok(Finding::NoName) => {}
            Err(why) => self.failure = self.failure.max(Some(why)),
        }
    }

    /// What is known of one family while the other is not; once.
    pub(super) fn first(&mut self) -> Option<Vec<IpAddr>> {
        let found = self.found();
        if self.told || found.is_empty() {
            return None;
        }
        self.told = true;
        Some(found)
    }

    /// All families of its name are known: how it ends; `None` when the next name is to be asked for.
    pub(super) fn end(&mut self) -> Option<Result<Vec<IpAddr>, LookupError>> {
        let found = self.found();
        if !found.is_empty() {
            return Some(Ok(found));
        }
        match self.failure.take() {
            // The next name would wait for the same servers.
            Some(Failure::Silent) => return Some(Err(LookupError::TimedOut)),
            Some(Failure::Unreachable) => return Some(Err(LookupError::Unreachable)),
            Some(Failure::Server) => self.failed = true,
            None => {}
        }
        if let Some(name) = self.later.pop_front() {
            self.name = name;
            return None;
        }
        Some(Err(match (self.failed, self.bare) {
            (true, _) => LookupError::Failed,
            (false, true) => LookupError::NoAddress,
            (false, false) => LookupError::NoName,
        }))
    }

    fn found(&self) -> Vec<IpAddr> {
        self.v6.iter().chain(&self.v4).copied().collect()
    }
}
