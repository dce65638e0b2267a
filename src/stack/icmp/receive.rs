//! A message that came in: what each kind leads to.
//!
//! RFC 792, RFC 1122 §3.2.2, RFC 4443. *Owns* the order of checks. *Does not* answer, nor judge errors.

use super::IcmpErrorKind;
use super::echo::Reply;
use super::report::{unreachable_v4, unreachable_v6};
use crate::base::{DropReason, Instant};
use crate::ipv6::extension;
use crate::link::RxChecksum;
use crate::stack::Stack;
use crate::stack::ip::Quoted;
use crate::stack::packet::Inbound;
use crate::{ipv4, ipv6};
use core::net::IpAddr;

impl Stack {
    /// An ICMPv4 message came in.
    pub(in crate::stack) fn handle_icmpv4(
        &mut self,
        now: Instant,
        packet: &Inbound,
    ) -> Result<(), DropReason> {
        use ipv4::icmp::{Message, ParseError};
        let parsed = match packet.checksum {
            RxChecksum::Unknown => Message::parse(&packet.segment),
            _ => Message::parse_unverified(&packet.segment),
        };
        let message = parsed.map_err(|error| match error {
            ParseError::Checksum { .. } => DropReason::IcmpChecksum,
            _ => DropReason::IcmpMalformed,
        })?;
        if let Some(reply) = message.echo_reply() {
            return self.net.echo_reply(packet, &Reply::V4(reply));
        }
        let quoted = || Quoted::v4(message.quoted());
        match message {
            Message::EchoReply { id, seq, data } => self.handle_echo_reply(packet, id, seq, data),
            Message::DestinationUnreachable {
                code, next_hop_mtu, ..
            } => {
                let kind = unreachable_v4(code, next_hop_mtu);
                self.handle_icmp_error(now, packet, (kind, code.0), quoted())
            }
            // RFC 1122 §3.2.2.4: told to the transport like the others.
            Message::TimeExceeded { code, .. } => {
                self.handle_icmp_error(now, packet, (IcmpErrorKind::TimeExceeded, code.0), quoted())
            }
            Message::ParameterProblem { code, .. } => {
                let kind = IcmpErrorKind::ParameterProblem;
                self.handle_icmp_error(now, packet, (kind, code), quoted())
            }
            Message::Redirect { code, gateway, .. } => {
                self.handle_redirect_v4(now, packet, (code, gateway), quoted())
            }
            // RFC 6633 §4: source quench is ignored. RFC 1122 §3.2.2.7, §3.2.2.9, RFC 6918 §2: so are the old
            // questions.
            _ => Err(DropReason::IcmpIgnored),
        }
    }

    /// An ICMPv6 message came in.
    pub(in crate::stack) fn handle_icmpv6(
        &mut self,
        now: Instant,
        packet: &Inbound,
        fragmented: bool,
    ) -> Result<(), DropReason> {
        use ipv6::icmp::{Message, ParseError};
        let (IpAddr::V6(src), IpAddr::V6(dst)) = (packet.src, packet.dst) else {
            return Err(DropReason::IcmpMalformed);
        };
        let parsed = match packet.checksum {
            RxChecksum::Unknown => Message::parse(&packet.segment, src, dst),
            _ => Message::parse_unverified(&packet.segment),
        };
        let message = parsed.map_err(|error| match error {
            ParseError::Checksum { .. } => DropReason::IcmpChecksum,
            ParseError::NdpCode { .. } => DropReason::NdpInvalid,
            _ => DropReason::IcmpMalformed,
        })?;
        if let Message::Ndp(ndp) = &message {
            // RFC 6980 §5: neighbour discovery is never believed in fragments.
            if fragmented {
                return Err(DropReason::NdpInvalid);
            }
            return self.handle_ndp(now, packet, ndp);
        }
        if src.is_unspecified() || self.net.is_own_source(packet.on, packet.src) {
            return Err(DropReason::IpSource);
        }
        if let Some(reply) = message.echo_reply() {
            return self.net.echo_reply(packet, &Reply::V6(reply));
        }
        let quoted = || Quoted::v6(message.quoted());
        match message {
            Message::EchoReply { id, seq, data } => self.handle_echo_reply(packet, id, seq, data),
            Message::DestinationUnreachable { code, .. } => {
                let kind = unreachable_v6(code);
                self.handle_icmp_error(now, packet, (kind, code.0), quoted())
            }
            Message::PacketTooBig { mtu, .. } => {
                let mtu = usize::try_from(mtu).unwrap_or(usize::MAX);
                self.handle_icmp_error(now, packet, (IcmpErrorKind::TooBig { mtu }, 0), quoted())
            }
            Message::TimeExceeded { code, .. } => {
                self.handle_icmp_error(now, packet, (IcmpErrorKind::TimeExceeded, code.0), quoted())
            }
            Message::ParameterProblem { code, .. } => {
                let kind = if code == extension::code::NEXT_HEADER {
                    IcmpErrorKind::ProtocolUnreachable
                } else {
                    IcmpErrorKind::ParameterProblem
                };
                self.handle_icmp_error(now, packet, (kind, code), quoted())
            }
            Message::Unknown { kind, .. } if ipv6::mld::is_kind(kind) => {
                self.handle_mld(now, packet)
            }
            _ => Err(DropReason::IcmpIgnored),
        }
    }
}
