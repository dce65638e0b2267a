//! Whom a command speaks to: an address, or a name that a DNS server knows.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use netloom::dns::{Families, Name, NameError};
use netloom::host::{ConnectOptions, Host, TcpStream};

use crate::failure::Failure;
use crate::interface_args::{InterfaceArgs, Wanted};

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Address(IpAddr),
    Name(Name),
}

impl Whom {
    /// Refuses a peer that no packet can be sent to, and a name that nobody is asked for.
    pub(crate) fn check(&self, interface: &InterfaceArgs) -> Result<(), Failure> {
        match self {
            Self::Address(address) => interface.check_peer(*address),
            Self::Name(name) => interface.check_name(name),
        }
    }

    /// What a host needs to reach it.
    pub(crate) const fn wanted(&self) -> Wanted {
        match self {
            Self::Address(address) => Wanted::Way(*address),
            Self::Name(_) => Wanted::Names,
        }
    }

    /// Its best address.
    pub(crate) fn address(&self, host: &Host, within: Duration) -> Result<IpAddr, Failure> {
        let name = match self {
            Self::Address(address) => return Ok(*address),
            Self::Name(name) => name,
        };
        let found = host.lookup_within(name.as_str(), Families::Both, Some(within));
        match found.as_deref() {
            Ok([best, ..]) => Ok(*best),
            Ok([]) => Err(Failure::peer(name, &io::ErrorKind::NotFound.into())),
            Err(error) => Err(Failure::peer(name, error)),
        }
    }
}

impl FromStr for Whom {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Address(SocketAddr),
    Name(Name, u16),
}

impl End {
    /// As [`Whom::check`].
    pub(crate) fn check(&self, interface: &InterfaceArgs) -> Result<(), Failure> {
        match self {
            Self::Address(address) => interface.check_peer(address.ip()),
            Self::Name(name, _) => interface.check_name(name),
        }
    }

    /// As [`Whom::wanted`].
    pub(crate) const fn wanted(&self) -> Wanted {
        match self {
            Self::Address(address) => Wanted::Way(address.ip()),
            Self::Name(..) => Wanted::Names,
        }
    }

    /// Connects to it, to a name's first address that answers.
    pub(crate) fn connect(&self, host: &Host, within: Duration) -> io::Result<TcpStream> {
        match self {
            Self::Address(address) => host.tcp_connect_timeout(*address, within),
            Self::Name(name, port) => {
                let options = ConnectOptions::new().timeout(within);
                host.tcp_connect_host_with(name.as_str(), *port, &options)
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}
