//! Why a connection failed, and why a user's call did.

use std::io;

/// Why a connection ended other than by both FINs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TcpFailure {
    /// The peer refused the connection: a RST, or a port unreachable, for our SYN.
    #[error("the peer refused the connection")]
    Refused,
    /// The peer reset the connection.
    #[error("the peer reset the connection")]
    Reset,
    /// The peer did not answer within the retry limits or the user time-out.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// No neighbour or router leads to the peer.
    #[error("the peer's host cannot be reached")]
    HostUnreachable,
    /// No route leads to the peer's network.
    #[error("the peer's network cannot be reached")]
    NetworkUnreachable,
    /// The local address was taken away.
    #[error("the connection's local address is gone")]
    AddressGone,
    /// The user, or the end of the stack, aborted the connection.
    #[error("the connection was aborted on this side")]
    Aborted,
}

impl From<TcpFailure> for io::ErrorKind {
    fn from(failure: TcpFailure) -> Self {
        match failure {
            TcpFailure::Refused => Self::ConnectionRefused,
            TcpFailure::Reset => Self::ConnectionReset,
            TcpFailure::TimedOut => Self::TimedOut,
            TcpFailure::HostUnreachable => Self::HostUnreachable,
            TcpFailure::NetworkUnreachable => Self::NetworkUnreachable,
            TcpFailure::AddressGone => Self::AddrNotAvailable,
            TcpFailure::Aborted => Self::ConnectionAborted,
        }
    }
}

impl From<TcpFailure> for io::Error {
    fn from(failure: TcpFailure) -> Self {
        Self::new(failure.into(), failure)
    }
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing is there yet; a READABLE event will tell.
    #[error("nothing to read yet")]
    WouldBlock,
    /// The connection is not established yet.
    #[error("the connection is not established")]
    NotConnected,
    /// The connection failed.
    #[error(transparent)]
    Failed(#[from] TcpFailure),
    /// The id names no connection any more.
    #[error("the connection does not exist any more")]
    Stale,
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The send buffer is full; a WRITABLE event will tell.
    #[error("the send buffer is full")]
    WouldBlock,
    /// The sending side was shut down.
    #[error("the sending side was shut down")]
    ShutDown,
    /// The connection failed.
    #[error(transparent)]
    Failed(#[from] TcpFailure),
    /// The id names no connection any more.
    #[error("the connection does not exist any more")]
    Stale,
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            ReadError::NotConnected | ReadError::Stale => {
                Self::new(io::ErrorKind::NotConnected, error)
            }
            ReadError::Failed(failure) => failure.into(),
        }
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            WriteError::ShutDown => Self::new(io::ErrorKind::BrokenPipe, error),
            WriteError::Stale => Self::new(io::ErrorKind::NotConnected, error),
            WriteError::Failed(failure) => failure.into(),
        }
    }
}
