//! Who hears a packet that came in, and errors about one that was sent.
//!
//! RFC 3542 §3, raw(7) of Linux. *Owns* the copies: slices, but of what is small. *Does not* judge packets: what comes here is this host's.

use core::net::IpAddr;

use bytes::Bytes;

use super::socket::RawPacket;
use crate::base::Protocol;
use crate::stack::Stack;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::icmp::{IcmpError, IcmpErrorKind};
use crate::stack::ids::RawSocketId;
use crate::stack::ip;
use crate::stack::packet::Inbound;
use crate::stack::path::TooBig;
use crate::stack::udp::RecvError;

impl Stack {
    /// Gives a packet to each socket that hears it; did any?
    #[cold]
    pub(in crate::stack) fn deliver_raw(
        &mut self,
        packet: &Inbound,
        protocol: Protocol,
        payload: &Bytes,
    ) -> bool {
        let version = packet.dst.is_ipv6();
        let Some(ids) = self.raw.heard.get(&(version, protocol.0)) else {
            return false;
        };
        let mut shared = None;
        for &id in ids {
            let Some(socket) = self.raw.sockets.get_mut(id) else {
                continue;
            };
            if !socket.hears(packet, payload) {
                continue;
            }
            let small = payload.len() < self.config.copy_below;
            let payload = shared.get_or_insert_with(|| match small {
                true => Bytes::copy_from_slice(payload),
                false => payload.clone(),
            });
            // Who keeps up has an empty queue, which always takes one.
            let full = self.memory.is_full() && !socket.is_empty();
            let counters = &mut self.net.counters;
            if full || !socket.push(heard(packet, protocol, payload.clone())) {
                socket.dropped += 1;
                counters.raw_packets_dropped += 1;
                continue;
            }
            counters.raw_packets_received += 1;
            let held = socket.held();
            self.memory.charge(&mut socket.charged, held, counters);
            self.events.raise(SocketId::Raw(id), Readiness::READABLE);
        }
        shared.is_some()
    }

    /// An ICMP error quotes a packet of this protocol, which no other socket knows of; did a raw one send it?
    pub(in crate::stack) fn raw_icmp_error(
        &mut self,
        error: &IcmpError,
        protocol: Protocol,
    ) -> bool {
        let version = error.quoted_dst.is_ipv6();
        if !self.raw.hears(version, protocol) {
            return false;
        }
        let Some(ids) = self.raw.heard.get(&(version, protocol.0)) else {
            return false;
        };
        let mut any = false;
        for id in ids.clone() {
            any |= self.raw_error_of(id, error).is_some();
        }
        any
    }

    fn raw_error_of(&mut self, id: RawSocketId, error: &IcmpError) -> Option<()> {
        let socket = self.raw.sockets.get_mut(id)?;
        let options = &socket.options;
        let (src, dst) = (error.quoted_src, error.quoted_dst);
        let sent = options.local.is_none_or(|local| local == src);
        let connected = sent && options.peer == Some(dst);
        let told = match error.kind {
            IcmpErrorKind::TooBig { mtu } => {
                let quoted = error.quoted_len;
                let large = &mut socket.large;
                if !sent || !large.holds(dst, quoted) {
                    return None;
                }
                let route = self.net.route_from(src, dst, Some(error.on)).ok()?;
                let (way, told) = ((route.on, dst), TooBig { mtu, quoted });
                let mtu = self.net.datagram_too_big(way, told, large, false)?;
                let max = usize::from(mtu).saturating_sub(ip::header_len(dst));
                RecvError::TooBig { max }
            }
            IcmpErrorKind::PortUnreachable | IcmpErrorKind::ProtocolUnreachable => {
                RecvError::Refused
            }
            IcmpErrorKind::NetUnreachable => RecvError::NetworkUnreachable,
            IcmpErrorKind::HostUnreachable | IcmpErrorKind::Prohibited => {
                RecvError::HostUnreachable
            }
            IcmpErrorKind::TimeExceeded | IcmpErrorKind::ParameterProblem => return None,
        };
        if connected {
            self.raw_fail(id, told);
        }
        // A packet-too-big is heeded all the same.
        let heeded = matches!(error.kind, IcmpErrorKind::TooBig { .. });
        (connected || heeded).then_some(())
    }

    /// The neighbour that a packet had to go to does not answer: who has one peer is told.
    pub(in crate::stack) fn raw_unreachable(&mut self, id: RawSocketId, to: IpAddr) {
        let socket = self.raw.sockets.get(id);
        if socket.is_some_and(|socket| socket.options.peer == Some(to)) {
            self.raw_fail(id, RecvError::HostUnreachable);
        }
    }

    /// Keeps an error for the socket's next call.
    fn raw_fail(&mut self, id: RawSocketId, error: RecvError) {
        if let Some(socket) = self.raw.sockets.get_mut(id) {
            socket.error = Some(error);
            self.events.raise(SocketId::Raw(id), Readiness::READABLE);
        }
    }
}

fn heard(packet: &Inbound, protocol: Protocol, payload: Bytes) -> RawPacket {
    RawPacket {
        src: packet.src,
        dst: packet.dst,
        on: packet.on,
        protocol,
        ttl: packet.ttl,
        tos: packet.tos,
        flow_label: packet.label,
        unicast: packet.unicast,
        at: packet.at,
        payload,
        segment_size: packet.segment_size,
    }
}
