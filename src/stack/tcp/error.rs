//! Why a listener, an accept or a connect failed.

use std::io;

use super::super::path::RouteError;
use crate::stack::ids::InterfaceId;

/// Why a listener cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another listener takes some of these connections already.
    #[error("the address and port are in use")]
    InUse,
    /// The address is not one of this stack's.
    #[error("the address is not one of this host's")]
    AddressNotAvailable,
    /// A multicast or broadcast address.
    #[error("nothing listens on a group address")]
    GroupAddress,
    /// Every ephemeral port is taken.
    #[error("no ephemeral port is free")]
    NoPort,
    /// As many listeners share the port as can: 256.
    #[error("256 listeners share the address and port already")]
    Shared,
    /// The interface that it shall listen on is none of this stack's, or not that of its address.
    #[error("it would hear nothing on interface {0:?}")]
    Interface(InterfaceId),
    /// It was to listen on every port, and one was given.
    #[error("who listens on every port is given none")]
    PortGiven,
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        let kind = match error {
            ListenError::InUse | ListenError::NoPort | ListenError::Shared => {
                io::ErrorKind::AddrInUse
            }
            ListenError::AddressNotAvailable => io::ErrorKind::AddrNotAvailable,
            ListenError::GroupAddress | ListenError::PortGiven | ListenError::Interface(_) => {
                io::ErrorKind::InvalidInput
            }
        };
        Self::new(kind, error)
    }
}

/// Why nothing was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// No connection waits; an ACCEPTABLE event will tell.
    #[error("no connection waits")]
    WouldBlock,
    /// The listener was closed.
    #[error("the listener was closed")]
    Stale,
    /// The address that it is bound to was taken away.
    #[error("the listener's address is not one of this host's any more")]
    AddressGone,
}

impl From<AcceptError> for io::Error {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            AcceptError::Stale => Self::new(io::ErrorKind::NotConnected, error),
            AcceptError::AddressGone => Self::new(io::ErrorKind::AddrNotAvailable, error),
        }
    }
}

/// Why a connection cannot even be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A multicast, broadcast or unspecified address, or port 0 (RFC 9293 §3.9.1.1 MUST-46).
    #[error("no connection goes to this address and port")]
    Destination,
    /// No route leads there, or a link-local address lacks its scope.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The local address is not one of this stack's, or of the other family.
    #[error("the local address is not one of this host's")]
    AddressNotAvailable,
    /// The same pair of endpoints is connected already, or in TIME-WAIT
    /// ([`Config::time_wait_reuse`](crate::stack::Config::time_wait_reuse)).
    #[error("a connection between these endpoints exists")]
    InUse,
    /// Every ephemeral port is taken for this destination.
    #[error("no ephemeral port is free")]
    NoPort,
    /// The sockets of this stack use all memory that they may.
    #[error("the memory for sockets is used up (Config::socket_memory)")]
    NoMemory,
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match error {
            ConnectError::Destination => io::ErrorKind::InvalidInput,
            ConnectError::Route(RouteError::NoSource(_) | RouteError::Source(_))
            | ConnectError::AddressNotAvailable => io::ErrorKind::AddrNotAvailable,
            ConnectError::Route(RouteError::NoRoute(_)) => io::ErrorKind::NetworkUnreachable,
            ConnectError::Route(_) => io::ErrorKind::InvalidInput,
            ConnectError::InUse => io::ErrorKind::AddrInUse,
            ConnectError::NoPort => io::ErrorKind::AddrNotAvailable,
            ConnectError::NoMemory => io::ErrorKind::OutOfMemory,
        };
        Self::new(kind, error)
    }
}
