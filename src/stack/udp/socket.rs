//! A UDP socket: what it holds, and the errors of its calls.
//!
//! RFC 768, RFC 1122 §4.1. *Owns* the two bounded queues. *Does not* send or receive: `udp` does.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeSet, VecDeque};
use std::io;

use super::charges::{OVERHEAD, charge_received};
use super::options::UdpOptions;
use super::waiting::{Datagram, Pending};
use crate::base::Instant;
use crate::stack::ids::{InterfaceId, Slab, StaleId, UdpId};
use crate::stack::path::{LargeSent, Route, RouteError};
use crate::stack::tuple::Tuple;

/// All UDP sockets of a stack.
pub(in crate::stack) type UdpSockets = Slab<UdpId, UdpSocket>;

/// A UDP socket.
#[derive(Debug)]
pub(in crate::stack) struct UdpSocket {
    pub(super) local: SocketAddr,
    /// The interface of a link-local `local`, else 0.
    pub(super) zone: u32,
    pub(super) peer: Option<SocketAddr>,
    /// The flow that is claimed for `peer`.
    pub(super) connected: Option<Tuple>,
    pub(super) options: UdpOptions,
    pub(super) send: VecDeque<Pending>,
    pub(super) send_charge: usize,
    pub(super) recv: VecDeque<Datagram>,
    pub(super) recv_charge: usize,
    pub(super) error: Option<RecvError>,
    /// What it is charged of the stack's memory.
    pub(super) charged: usize,
    /// Was a send refused since the queue was last full? Then room is told.
    pub(super) blocked: bool,
    /// For what a packet-too-big quotes.
    pub(super) large: LargeSent,
    /// The groups that it is in.
    pub(super) groups: BTreeSet<(InterfaceId, IpAddr)>,
}

impl UdpSocket {
    pub(super) fn new(local: SocketAddr, zone: u32, options: UdpOptions) -> Self {
        Self {
            local,
            zone,
            peer: None,
            connected: None,
            options,
            send: VecDeque::new(),
            send_charge: 0,
            recv: VecDeque::new(),
            recv_charge: 0,
            error: None,
            charged: 0,
            blocked: false,
            large: LargeSent::default(),
            groups: BTreeSet::new(),
        }
    }

    /// Is there room for what is charged so much?
    pub(super) fn has_send_room(&self, charge: usize) -> bool {
        self.send.is_empty() || self.send_charge + charge <= self.options.send_buffer
    }

    /// Bytes of data in datagrams of `size` that an empty queue takes at once, at least one datagram.
    pub(super) fn most_at_once(&self, size: usize) -> usize {
        (self.options.send_buffer / (size + OVERHEAD)).max(1) * size
    }

    /// Bytes of memory that its queues keep.
    pub(super) const fn held(&self) -> usize {
        self.send_charge + self.recv_charge
    }

    pub(super) fn push_send(&mut self, pending: Pending) {
        self.send_charge += pending.charge();
        self.send.push_back(pending);
    }

    pub(super) fn pop_send(&mut self) -> Option<Pending> {
        let pending = self.send.pop_front()?;
        self.send_charge -= pending.charge();
        Some(pending)
    }

    /// What the path carries, by what all know of it and what this socket was told alone.
    pub(super) fn known_mtu(&self, now: Instant, route: &Route, dst: IpAddr) -> usize {
        route.mtu.min(self.large.told(now, dst).into())
    }

    /// Makes the first datagram of the super-segment that is next one by itself; what is charged stays the same.
    pub(super) fn split_first(&mut self) {
        if let Some(mut rest) = self.send.pop_front() {
            let data = rest.data.split_to(rest.one());
            let (to, info, segment) = (rest.to, rest.info.clone(), None);
            if !rest.data.is_empty() {
                rest.segment = rest
                    .segment
                    .filter(|size| rest.data.len() > size.get().into());
                self.send.push_front(rest);
            }
            self.send.push_front(Pending {
                to,
                data,
                segment,
                info,
            });
        }
    }

    pub(super) fn push_recv(&mut self, datagram: Datagram) -> bool {
        let charge = charge_received(&datagram.data);
        let fits = self.recv_charge + charge <= self.options.recv_buffer;
        if fits {
            self.recv_charge += charge;
            self.recv.push_back(datagram);
        }
        fits
    }

    pub(super) fn pop_recv(&mut self) -> Option<Datagram> {
        let datagram = self.recv.pop_front()?;
        self.recv_charge -= charge_received(&datagram.data);
        Some(datagram)
    }
}

/// Why a UDP socket or listener cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket has the address and port, or one that covers it.
    #[error("{0} is in use")]
    InUse(SocketAddr),
    /// Not an address of this stack.
    #[error("{0} is not an address of this stack")]
    NotOurs(IpAddr),
    /// A link-local address without its interface, and there are several.
    #[error("{0} is link-local and needs the number of an interface")]
    NoScope(IpAddr),
    /// No interface has this number.
    #[error("there is no interface {}", .0.scope())]
    Interface(InterfaceId),
    /// It was to be bound to every port, and one was given.
    #[error("who takes every port is given none, not that of {0}")]
    PortGiven(SocketAddr),
    /// As many sockets share the port as can (256).
    #[error("no more sockets can share {0}")]
    Shared(SocketAddr),
    /// Every ephemeral port is in use.
    #[error("no ephemeral port is free")]
    NoPort,
}

impl From<BindError> for io::Error {
    fn from(error: BindError) -> Self {
        let kind = match error {
            BindError::InUse(_) | BindError::Shared(_) | BindError::NoPort => {
                io::ErrorKind::AddrInUse
            }
            BindError::NotOurs(_) => io::ErrorKind::AddrNotAvailable,
            BindError::NoScope(_) | BindError::Interface(_) | BindError::PortGiven(_) => {
                io::ErrorKind::InvalidInput
            }
        };
        Self::new(kind, error)
    }
}

/// Why a UDP socket cannot be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectUdpError {
    /// The socket was closed.
    #[error(transparent)]
    Stale(#[from] StaleId),
    /// There is no way to the peer.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The peer's port is 0, or its address is of a family that the socket does not take.
    #[error("{0} cannot be a peer of this socket")]
    Peer(SocketAddr),
    /// A broadcast address, and the socket may not send to those
    /// ([`UdpOptions::broadcast`](super::UdpOptions::broadcast)).
    #[error("{0} is a broadcast address, which this socket may not send to")]
    Broadcast(SocketAddr),
    /// The address that the socket is bound to was taken away.
    #[error("the socket's address is not one of this host's any more")]
    AddressGone,
    /// It takes every port, and has none that it could connect from.
    #[error("a socket of every port cannot be connected")]
    AnyPort,
    /// Another socket is connected to the same peer from the same address and port.
    #[error("another socket is connected to {0} from here")]
    InUse(SocketAddr),
}

impl From<ConnectUdpError> for io::Error {
    fn from(error: ConnectUdpError) -> Self {
        let kind = match error {
            ConnectUdpError::Stale(stale) => return stale.into(),
            ConnectUdpError::Route(route) => return route.into(),
            ConnectUdpError::Peer(_) | ConnectUdpError::AnyPort => io::ErrorKind::InvalidInput,
            ConnectUdpError::InUse(_) => io::ErrorKind::AddrInUse,
            ConnectUdpError::Broadcast(_) => io::ErrorKind::PermissionDenied,
            ConnectUdpError::AddressGone => io::ErrorKind::AddrNotAvailable,
        };
        Self::new(kind, error)
    }
}

/// Why a datagram or an echo request was not taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is full: wait for [`Readiness::WRITABLE`](crate::stack::Readiness::WRITABLE).
    #[error("the send queue is full")]
    WouldBlock,
    /// The socket was closed.
    #[error(transparent)]
    Stale(#[from] StaleId),
    /// There is no way to the destination.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// No destination was given, and the socket is not connected.
    #[error("the socket is not connected and no destination was given")]
    NoPeer,
    /// The destination's port is 0, or its address is of a family that the socket does not take.
    #[error("{0} cannot be sent to from this socket")]
    To(SocketAddr),
    /// The socket does not send from this port; 0: it takes every port, and was not told which to send from.
    #[error("the socket cannot send from port {0}")]
    Port(u16),
    /// A broadcast address, and the socket may not send to those ([`UdpOptions::broadcast`](super::UdpOptions::broadcast), and the same of other
    /// kinds).
    #[error("{0} is a broadcast address, which this socket may not send to")]
    Broadcast(IpAddr),
    /// No interface has this number, or the destination is on another one's link.
    #[error("{to} cannot be sent to by interface {}", .on.scope())]
    Interface {
        /// The interface.
        on: InterfaceId,
        /// The destination.
        to: IpAddr,
    },
    /// Larger than a datagram may be, or than the MTU where it must not be fragmented ([`DontFragment`](crate::stack::DontFragment)) or is one of several; or
    /// several datagrams at once that are more than the whole send buffer.
    #[error("{len} bytes of data are above the {max} that fit")]
    TooBig {
        /// Bytes of data given.
        len: usize,
        /// Bytes of data that fit.
        max: usize,
    },
    /// What a raw socket was given is no packet that can be sent.
    #[error("not a packet: {why}")]
    Malformed {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The address that the socket is bound to, or is connected from, was taken away.
    #[error("the socket's address is not one of this host's any more")]
    AddressGone,
    /// An error that an earlier datagram met on its way, told once.
    #[error(transparent)]
    Earlier(RecvError),
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        let kind = match error {
            SendError::WouldBlock => io::ErrorKind::WouldBlock,
            SendError::Stale(stale) => return stale.into(),
            SendError::Route(route) => return route.into(),
            SendError::Earlier(earlier) => return earlier.into(),
            SendError::NoPeer => io::ErrorKind::NotConnected,
            SendError::AddressGone => io::ErrorKind::AddrNotAvailable,
            SendError::Broadcast(_) => io::ErrorKind::PermissionDenied,
            SendError::To(_)
            | SendError::Port(_)
            | SendError::Interface { .. }
            | SendError::Malformed { .. }
            | SendError::TooBig { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl From<RouteError> for RecvError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::NoRoute(_) => Self::NetworkUnreachable,
            RouteError::NoSource(_)
            | RouteError::Source(_)
            | RouteError::NoScope(_)
            | RouteError::Destination(_) => Self::HostUnreachable,
        }
    }
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// Nothing is there: wait for [`Readiness::READABLE`](crate::stack::Readiness::READABLE).
    #[error("nothing was received")]
    WouldBlock,
    /// The socket was closed.
    #[error(transparent)]
    Stale(#[from] StaleId),
    /// The peer's host says that nobody takes the port (RFC 1122 §4.1.3.3).
    #[error("the peer refused the datagram")]
    Refused,
    /// The peer's host, or the router before it, does not answer or cannot be reached.
    #[error("the peer's host is unreachable")]
    HostUnreachable,
    /// A router has no way to the peer's network.
    #[error("the peer's network is unreachable")]
    NetworkUnreachable,
    /// The address that the socket is bound to, or is connected from, was taken away; told by each call, once what had come
    /// is read.
    #[error("the socket's address is not one of this host's any more")]
    AddressGone,
    /// A datagram was larger than its path carries, and was dropped on its way (RFC 8201 §5.2, RFC 8085 §3.2).
    #[error("a datagram did not fit its path, which carries {max} bytes of data")]
    TooBig {
        /// Bytes of data that fit from now on.
        max: usize,
    },
}

impl From<RecvError> for io::Error {
    fn from(error: RecvError) -> Self {
        let kind = match error {
            RecvError::WouldBlock => io::ErrorKind::WouldBlock,
            RecvError::Stale(stale) => return stale.into(),
            RecvError::Refused => io::ErrorKind::ConnectionRefused,
            RecvError::HostUnreachable => io::ErrorKind::HostUnreachable,
            RecvError::NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
            RecvError::AddressGone => io::ErrorKind::AddrNotAvailable,
            RecvError::TooBig { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}
