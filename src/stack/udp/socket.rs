//! A UDP socket: what it holds, and the errors of its calls.
//!
//! RFC 768, RFC 1122 §4.1. *Owns* the two bounded queues. *Does not* send or receive: `udp` does.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeSet, VecDeque};
use std::io;

use super::charges::{OVERHEAD, charge_received};
use super::multicast::MulticastOptions;
use super::waiting::{Datagram, Pending};
use crate::base::Instant;
use crate::stack::ids::{InterfaceId, Slab, StaleId, UdpId};
use crate::stack::packet::Fragmenting;
use crate::stack::path::{LargeSent, Route, RouteError};
use crate::stack::tuple::Tuple;

/// All UDP sockets of a stack.
pub(in crate::stack) type UdpSockets = Slab<UdpId, UdpSocket>;

/// What becomes of a datagram above the path's MTU, and whether routers may cut one: Linux's `IP_MTU_DISCOVER` and
/// `IPV6_MTU_DISCOVER`.
///
/// IPv6 has no DF: there routers cut nothing, and `Off` is `Auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DontFragment {
    /// It leaves in fragments. One that fits has DF, so that routers tell of smaller MTUs. The default, as Linux's is
    /// (`IP_PMTUDISC_WANT`).
    #[default]
    Auto,
    /// It leaves in fragments, and routers may cut any (`IP_PMTUDISC_DONT`).
    Off,
    /// It is refused, and each has DF (`IP_PMTUDISC_DO`).
    On,
    /// The same, by the interface's MTU: what is known of the path is passed over, to find out more (`IP_PMTUDISC_PROBE`; RFC 8899).
    Probe,
}

impl DontFragment {
    pub(in crate::stack) const fn fragmenting(self) -> Fragmenting {
        match self {
            Self::Auto => Fragmenting::Here,
            Self::Off => Fragmenting::Anywhere,
            Self::On | Self::Probe => Fragmenting::Never,
        }
    }
}

/// Settings of a UDP socket.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct UdpOptions {
    pub(crate) send_buffer: usize,
    pub(crate) recv_buffer: usize,
    pub(crate) ttl: Option<u8>,
    pub(crate) tos: u8,
    pub(crate) dual_stack: bool,
    pub(crate) report_errors: bool,
    pub(crate) dont_fragment: DontFragment,
    pub(crate) reuse_address: bool,
    pub(crate) multicast: MulticastOptions,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self {
            send_buffer: 212_992,
            recv_buffer: 212_992,
            ttl: None,
            tos: 0,
            dual_stack: false,
            report_errors: false,
            dont_fragment: DontFragment::Auto,
            reuse_address: false,
            multicast: MulticastOptions::default(),
        }
    }
}

impl UdpOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that may wait to be sent (default 212,992, Linux's `wmem_default`); each datagram is
    /// charged 128 bytes more than its data, in a super-segment too. One datagram always fits in an
    /// empty queue.
    pub fn send_buffer(self, bytes: usize) -> Self {
        Self {
            send_buffer: bytes,
            ..self
        }
    }

    /// Bytes that may wait to be received (default 212,992, Linux's `rmem_default`), charged alike, and
    /// with 32 more for each slice of one that came in fragments.
    pub fn recv_buffer(self, bytes: usize) -> Self {
        Self {
            recv_buffer: bytes,
            ..self
        }
    }

    /// Bytes that may wait to be received.
    pub const fn recv_buffer_setting(&self) -> usize {
        self.recv_buffer
    }

    /// TTL or hop limit of what is sent, to groups apart (default: the stack's); never 0 (RFC 1122 §3.2.1.7).
    pub fn ttl(self, ttl: u8) -> Self {
        Self {
            ttl: Some(ttl.max(1)),
            ..self
        }
    }

    /// TOS or traffic class of what is sent (default 0).
    pub fn tos(self, tos: u8) -> Self {
        Self { tos, ..self }
    }

    /// Does a socket bound to `[::]` take IPv4 datagrams too (default no)?
    pub fn dual_stack(self, both: bool) -> Self {
        Self {
            dual_stack: both,
            ..self
        }
    }

    /// What becomes of datagrams above the path's MTU (default: [`DontFragment::Auto`]).
    pub fn dont_fragment(self, dont: DontFragment) -> Self {
        Self {
            dont_fragment: dont,
            ..self
        }
    }

    /// May other sockets have the same address and port, if they ask for it too (default no; `SO_REUSEADDR`)? What comes to
    /// a group or a broadcast address is then heard by all of them, and what comes to one host by the one that was bound
    /// last, as Linux has it. At most 256 share a port.
    pub fn reuse_address(self, shared: bool) -> Self {
        Self {
            reuse_address: shared,
            ..self
        }
    }

    /// How it sends to groups.
    pub fn multicast(self, options: MulticastOptions) -> Self {
        Self {
            multicast: options,
            ..self
        }
    }

    /// Is a socket that is not connected told of ICMP errors, too (default no, as in std)?
    pub fn report_errors(self, reported: bool) -> Self {
        Self {
            report_errors: reported,
            ..self
        }
    }
}

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
            BindError::NoScope(_) => io::ErrorKind::InvalidInput,
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
    /// The address that the socket is bound to was taken away.
    #[error("the socket's address is not one of this host's any more")]
    AddressGone,
    /// Another socket is connected to the same peer from the same address and port.
    #[error("another socket is connected to {0} from here")]
    InUse(SocketAddr),
}

impl From<ConnectUdpError> for io::Error {
    fn from(error: ConnectUdpError) -> Self {
        let kind = match error {
            ConnectUdpError::Stale(stale) => return stale.into(),
            ConnectUdpError::Route(route) => return route.into(),
            ConnectUdpError::Peer(_) => io::ErrorKind::InvalidInput,
            ConnectUdpError::InUse(_) => io::ErrorKind::AddrInUse,
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
    /// No interface has this number, or the destination is on another one's link.
    #[error("{to} cannot be sent to by interface {}", .on.scope())]
    Interface {
        /// The interface.
        on: InterfaceId,
        /// The destination.
        to: IpAddr,
    },
    /// Larger than a datagram may be, or than the MTU where it must not be fragmented ([`DontFragment`]) or is one of several; or
    /// several datagrams at once that are more than the whole send buffer.
    #[error("{len} bytes of data are above the {max} that fit")]
    TooBig {
        /// Bytes of data given.
        len: usize,
        /// Bytes of data that fit.
        max: usize,
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
            SendError::To(_) | SendError::Interface { .. } | SendError::TooBig { .. } => {
                io::ErrorKind::InvalidInput
            }
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
