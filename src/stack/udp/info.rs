//! How one datagram leaves: its source address, interface, TTL, TOS and flow label, where its socket's are not wanted.
//!
//! RFC 1122 §4.1.3.5, §4.1.4, RFC 3542 §6. *Owns* what a user may ask for, and the call that asks. *Does not* find ways:
//! `ends` does.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;

use bytes::Bytes;

use super::socket::{SendError, UdpSocket};
use crate::base::Instant;
use crate::stack::endpoint::scope_of;
use crate::stack::ids::{InterfaceId, UdpId};
use crate::stack::net::Net;
use crate::stack::packet::Label;
use crate::stack::path::RouteError;
use crate::stack::{Call, Stack};

/// How one datagram, or one echo request, leaves; what is not said is as the socket has it (`IP_PKTINFO`, `IP_TTL` and
/// `IP_TOS` beside a Linux `sendmsg`, `IPV6_PKTINFO`, `IPV6_HOPLIMIT` and `IPV6_TCLASS`; of its flow label `sin6_flowinfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct SendInfo {
    pub(crate) source: Option<IpAddr>,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) ttl: Option<u8>,
    pub(crate) tos: Option<u8>,
    pub(crate) port: Option<NonZeroU16>,
    pub(crate) flow_label: Option<u32>,
    pub(crate) checksum: bool,
}

impl SendInfo {
    /// All as the socket has it.
    pub fn new() -> Self {
        Self::default()
    }

    /// How an answer leaves to what came in on `on`: from `source`, if that is given.
    pub(crate) const fn answering(source: Option<IpAddr>, port: u16, on: InterfaceId) -> Self {
        Self {
            source,
            interface: Some(on),
            ttl: None,
            tos: None,
            port: NonZeroU16::new(port),
            flow_label: None,
            checksum: false,
        }
    }

    /// It is sent from this address, whatever the socket is bound to: an address of ours on the interface that it leaves by, or
    /// any where that takes packets for any ([`InterfaceConfig::accept_foreign`](crate::stack::InterfaceConfig::accept_foreign)).
    /// The unspecified address is none.
    pub fn source(self, address: IpAddr) -> Self {
        Self {
            source: Some(address).filter(|ip| !ip.is_unspecified()),
            ..self
        }
    }

    /// It leaves by this interface; what is for this host stays within.
    pub fn interface(self, on: InterfaceId) -> Self {
        Self {
            interface: Some(on),
            ..self
        }
    }

    /// A datagram is sent from this port: the one that its socket is bound to, or any of a socket of
    /// [every port](crate::stack::UdpOptions::any_port). Of what has no ports it says nothing; 0 is none.
    pub fn port(self, port: u16) -> Self {
        Self {
            port: NonZeroU16::new(port),
            ..self
        }
    }

    /// Its TTL or hop limit, to groups as well; at least 1 (RFC 1122 §3.2.1.7).
    pub fn ttl(self, ttl: u8) -> Self {
        Self {
            ttl: Some(ttl.max(1)),
            ..self
        }
    }

    /// Its TOS or traffic class: six bits of DSCP, and two of ECN (RFC 2474 §3, RFC 3168 §5).
    pub fn tos(self, tos: u8) -> Self {
        Self {
            tos: Some(tos),
            ..self
        }
    }

    /// Its flow label, if it is an IPv6 packet (RFC 6437): the low 20 bits; 0: it has none.
    pub fn flow_label(self, label: u32) -> Self {
        Self {
            flow_label: Some(label & 0xf_ffff),
            ..self
        }
    }

    /// A datagram has a checksum, though its socket [sends those over IPv6 without](crate::stack::UdpOptions::send_zero_checksum)
    /// (RFC 6936 §4 (4)). Of what has no ports it says nothing.
    pub fn checksum(self) -> Self {
        Self {
            checksum: true,
            ..self
        }
    }

    /// The label that is asked for, else the socket's `own`.
    pub(in crate::stack) fn label_or(&self, own: Label) -> Label {
        match self.flow_label {
            None => own,
            asked => Label::asked(asked),
        }
    }

    /// Is there an interface as it is asked for, and on the link of `to` if that names one?
    pub(in crate::stack) fn check(
        &self,
        net: &Net,
        to: IpAddr,
        scope: Option<InterfaceId>,
    ) -> Result<(), SendError> {
        let Some(on) = self.interface else {
            return Ok(());
        };
        let known = net.interfaces.get(on.index()).is_some();
        if known && scope.is_none_or(|scope| scope == on) {
            Ok(())
        } else {
            Err(SendError::Interface { on, to })
        }
    }

    /// May what goes to `dst` over the interface `on` leave from the address that is asked for, or else from the socket's `own`?
    /// Only over one that takes what comes back to it (RFC 1122 §3.3.4.2, the strong model).
    pub(in crate::stack) fn check_source(
        &self,
        net: &Net,
        on: InterfaceId,
        (own, dst): (Option<IpAddr>, IpAddr),
    ) -> Result<(), RouteError> {
        let speaks = |ip| net.speaks_from(ip, on);
        match self.source.or(own) {
            // A socket's own that no interface has is any's (`accept_foreign`).
            Some(ip) if self.source.is_none() && net.owners_of(ip).next().is_none() => Ok(()),
            Some(ip) if ip.is_ipv4() != dst.is_ipv4() || !speaks(ip) => Err(RouteError::Source(ip)),
            _ => Ok(()),
        }
    }
}

impl UdpSocket {
    /// May it leave by the interface that is asked for, or is on whose link the destination is: by the socket's own, if it has
    /// one?
    pub(super) fn check_interface(
        &self,
        to: SocketAddr,
        info: Option<&SendInfo>,
    ) -> Result<(), SendError> {
        let asked = info
            .and_then(|info| info.interface)
            .or_else(|| scope_of(to));
        match (self.options.interface, asked) {
            (Some(on), Some(asked)) if asked != on => Err(SendError::Interface { on, to: to.ip() }),
            _ => Ok(()),
        }
    }
}

impl UdpSocket {
    /// Is there a port that it may be sent from?
    pub(super) fn check_port(&self, info: Option<&SendInfo>) -> Result<(), SendError> {
        let asked = info.and_then(|info| info.port).map(NonZeroU16::get);
        let own = self.local.port();
        let may = match asked {
            Some(_) if self.options.any_port => true,
            Some(port) => port == own,
            None => !self.options.any_port,
        };
        may.then_some(())
            .ok_or_else(|| SendError::Port(asked.unwrap_or(0)))
    }

    /// The port that a datagram leaves from, which was checked.
    pub(super) fn port_of(&self, info: Option<&SendInfo>) -> u16 {
        let asked = info.and_then(|info| info.port);
        asked.map_or_else(|| self.local.port(), NonZeroU16::get)
    }
}

impl Stack {
    /// Queues a datagram without copying it, or several of `segment` bytes each as
    /// [`udp_send_segmented`](Self::udp_send_segmented) does, that leave as `info` says.
    ///
    /// # Errors
    /// As [`udp_send_to`](Self::udp_send_to); [`SendError::Interface`]; [`RouteError::Source`] when the source is no address of
    /// the interface that leads there.
    pub fn udp_send_with(
        &mut self,
        now: Instant,
        id: UdpId,
        to: Option<SocketAddr>,
        data: Bytes,
        segment: Option<NonZeroU16>,
        info: &SendInfo,
    ) -> Result<(), SendError> {
        self.note_call(Some(now), |keep| {
            Call::UdpSendWith(id, to, keep.datagram_chunk(&data), segment, *info)
        });
        let sent = self.send_segmented(now, (id, to), data, segment, Some(info));
        self.note_outcome(sent)
    }
}
