//! The settings of a UDP socket.
//!
//! *Owns* them, with the source of each default; names are those of Linux's socket options where one exists. *Does not* heed them.

use super::multicast::MulticastOptions;
use crate::stack::demux::Sharing;
use crate::stack::ids::{InterfaceId, StaleId, UdpId};
use crate::stack::packet::{Fragmenting, Label};
use crate::stack::{Call, Stack};

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
    pub(crate) reuse_port: bool,
    pub(crate) broadcast: bool,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) multicast: MulticastOptions,
    pub(crate) any_port: bool,
    pub(crate) flow_label: Option<u32>,
    pub(crate) send_zero_checksum: bool,
    pub(crate) take_zero_checksum: bool,
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
            reuse_port: false,
            broadcast: false,
            interface: None,
            multicast: MulticastOptions::default(),
            any_port: false,
            flow_label: None,
            send_zero_checksum: false,
            take_zero_checksum: false,
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

    /// Flow label of the IPv6 packets that are sent (RFC 6437; Linux's `IPV6_FLOWINFO_SEND`), of which the low 20 bits count; 0: they have
    /// none. Default none given: the stack makes one for each flow ([`Config::flow_labels`](crate::stack::Config::flow_labels)).
    pub fn flow_label(self, label: Option<u32>) -> Self {
        Self {
            flow_label: label,
            ..self
        }
    }

    /// Leaves what is sent over IPv6 without a checksum, in the field 0 (default no, RFC 8200 §8.1; `UDP_NO_CHECK6_TX`)? That is for
    /// tunnels whose passengers have checksums of their own, where both ends know of it (RFC 6936 §5):
    /// what was damaged on the way may come to any socket that takes such datagrams. One that must have a checksum gets it by
    /// [`SendInfo::checksum`](super::SendInfo::checksum). Each is a frame of its own: what a device cuts has checksums.
    pub fn send_zero_checksum(self, without: bool) -> Self {
        Self {
            send_zero_checksum: without,
            ..self
        }
    }

    /// Does it take datagrams over IPv6 that have no checksum, beside those that have one (default no: they are dropped,
    /// RFC 8200 §8.1; `UDP_NO_CHECK6_RX`)? Who is connected takes them from its peer alone.
    pub fn take_zero_checksum(self, without: bool) -> Self {
        Self {
            take_zero_checksum: without,
            ..self
        }
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

    /// May other sockets have the same address and port, if they ask for it too (default no; `SO_REUSEPORT`)? Of what comes to one
    /// host each flow is one socket's, by a hash that nobody can choose, as long as none comes or goes; what comes to a group or a
    /// broadcast address all of them hear. At most 256 share a port.
    pub fn reuse_port(self, shared: bool) -> Self {
        Self {
            reuse_port: shared,
            ..self
        }
    }

    /// May it send to broadcast addresses (default no, as in std; `SO_BROADCAST`)? What comes to them it hears anyway.
    pub fn broadcast(self, may: bool) -> Self {
        Self {
            broadcast: may,
            ..self
        }
    }

    /// The only interface that it sends by, and hears of (default: any; `SO_BINDTODEVICE`). Sockets of different interfaces may have
    /// the same port. What this host sends to itself comes in on [`InterfaceId::LOOPBACK`].
    pub fn interface(self, on: Option<InterfaceId>) -> Self {
        Self {
            interface: on,
            ..self
        }
    }

    /// Does it take what comes to one host at every port of its address, but for those that others are bound to (default no)? The port
    /// of the address is 0 then, and what it sends says which port it is from ([`SendInfo::port`](super::SendInfo::port)); it
    /// cannot be connected. With the unspecified address, and an interface that takes packets for any
    /// ([`InterfaceConfig::accept_foreign`](crate::stack::InterfaceConfig::accept_foreign)), everything that hosts behind that
    /// interface send comes here: what a transparent proxy needs.
    pub fn any_port(self, any_port: bool) -> Self {
        Self { any_port, ..self }
    }

    /// How what it is bound to is claimed.
    pub(super) fn claim(&self) -> (Sharing, Option<InterfaceId>) {
        let sharing = Sharing {
            address: self.reuse_address,
            port: self.reuse_port,
        };
        (sharing, self.interface)
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

impl Stack {
    /// May the socket send to broadcast addresses from now on ([`UdpOptions::broadcast`])?
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn udp_set_broadcast(&mut self, id: UdpId, may: bool) -> Result<(), StaleId> {
        self.note_call(None, |_| Call::UdpSetBroadcast(id, may));
        let set = self.udp.get_mut(id).ok_or(StaleId).map(|socket| {
            socket.options.broadcast = may;
        });
        self.note_outcome(set)
    }

    /// The flow label of what the socket sends from now on ([`UdpOptions::flow_label`]).
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn udp_set_flow_label(&mut self, id: UdpId, label: Option<u32>) -> Result<(), StaleId> {
        self.note_call(None, |_| Call::UdpSetFlowLabel(id, label));
        let set = self.udp.get_mut(id).ok_or(StaleId).map(|socket| {
            socket.options.flow_label = label;
        });
        self.note_outcome(set)
    }

    /// The flow label of what the socket sends, where one is set.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn udp_flow_label(&self, id: UdpId) -> Result<Option<u32>, StaleId> {
        let socket = self.udp.get(id).ok_or(StaleId)?;
        Ok(Label::asked(socket.options.flow_label).given())
    }

    /// May the socket send to broadcast addresses?
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn udp_broadcast(&self, id: UdpId) -> Result<bool, StaleId> {
        let socket = self.udp.get(id).ok_or(StaleId)?;
        Ok(socket.options.broadcast)
    }
}
