//! Errors that we send: about what, to whom, how often.
//!
//! RFC 1122 §3.2.2, RFC 1812 §4.3.2, RFC 4443 §2.4. *Owns* the rules of when to be silent.
//! Invariant (r63): no error about an error, a later fragment, or anything that went to or came from
//! more than one host.

use core::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;

use crate::base::{DropReason, Protocol};
use crate::ipv6::extension;
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Fragmenting, Inbound, Manner, OwnedPacket};
use crate::{ipv4, ipv6};

/// RFC 1812 §4.3.2.3: an ICMPv4 error is at most this long, IP header included.
const MAX_ERROR_V4: usize = 576;
/// RFC 4443 §2.4(c): an ICMPv6 error is at most the minimum MTU.
const MAX_ERROR_V6: usize = 1280;

/// As much of a packet as an ICMPv4 error quotes.
pub(in crate::stack) const QUOTED_V4: usize =
    MAX_ERROR_V4 - ipv4::MIN_HEADER_LEN - ipv4::icmp::HEADER_LEN;
/// As much as an ICMPv6 error does.
pub(in crate::stack) const QUOTED_V6: usize =
    MAX_ERROR_V6 - ipv6::HEADER_LEN - ipv6::icmp::HEADER_LEN;

/// What an ICMP error that we send complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// Nobody takes the port.
    Port,
    /// Nobody speaks the protocol; for IPv6, where the field that names it lies.
    Protocol { pointer: u32 },
    /// A header is wrong (RFC 792, RFC 4443 §3.4).
    Parameter { code: u8, pointer: u32 },
    /// Its fragments did not come in time, all but the first at least (RFC 792, RFC 4443 §3.3).
    Reassembly,
    /// It has no hops left (RFC 1812 §5.3.1, RFC 4443 §3.3).
    Expired,
    /// No route leads to its destination (RFC 1812 §4.3.3.1, RFC 4443 §3.1).
    NoRoute,
    /// The neighbour that it goes to does not answer.
    Host,
    /// Over IPv6: its source means nothing where it goes (RFC 4443 §3.1).
    Scope,
    /// It may not go there (RFC 1812 §5.2.7.1; over IPv4).
    Prohibited,
    /// It is longer than the next link carries, so many bytes (RFC 1191 §4, RFC 4443 §3.2).
    TooBig { mtu: usize },
}

/// What an error is about.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack) struct Cause<'a> {
    /// Where it came in.
    pub(in crate::stack) on: InterfaceId,
    pub(in crate::stack) src: IpAddr,
    /// As it came, from its IP header on.
    pub(in crate::stack) quote: &'a Bytes,
}

impl Complaint {
    /// Is it told as Destination Unreachable? IPv6 has Parameter Problem for a protocol (RFC 4443 §3.4).
    const fn is_unreachable(self, to: IpAddr) -> bool {
        match self {
            Self::Port | Self::NoRoute | Self::Host | Self::Scope | Self::Prohibited => true,
            Self::Protocol { .. } => to.is_ipv4(),
            // A path's MTU is found by it.
            Self::Parameter { .. } | Self::Reassembly | Self::Expired | Self::TooBig { .. } => {
                false
            }
        }
    }
}

impl Net {
    /// Tells the sender of `packet` what is wrong with it, where the rules and limits allow.
    pub(in crate::stack) fn complain(&mut self, packet: &Inbound, complaint: Complaint) {
        // RFC 1122 §3.2.2, RFC 4443 §2.4(e): not to groups, but for what (e.3) names.
        let to_one = packet.unicast && packet.link_unicast;
        let excepted = matches!(
            complaint,
            Complaint::Parameter { code, .. } if code == extension::code::OPTION
        );
        if !to_one && !excepted {
            return;
        }
        let on = packet.on;
        let src = self.answering(packet);
        let with = Manner::default();
        let Ok((flow, _)) = self.answer_flow(on, (src, packet.src), with) else {
            return;
        };
        let (src, quote) = (packet.src, &packet.quote);
        self.complain_about(&Cause { on, src, quote }, (on, flow), complaint);
    }

    /// The same by the way that was found to its sender.
    pub(in crate::stack) fn complain_about(
        &mut self,
        cause: &Cause<'_>,
        (on, flow): (InterfaceId, Flow),
        complaint: Complaint,
    ) {
        if cause.src.is_unspecified() || may_carry_error(cause.src, cause.quote) {
            return;
        }
        let sent = self.interfaces[cause.on.index()].unreachables;
        // RFC 4443 §3.1 (IC6-9).
        if !sent && complaint.is_unreachable(cause.src) {
            return;
        }
        let allowed = match complaint {
            Complaint::TooBig { .. } => self.forwarding.may_tell_of_size(self.now, cause.src),
            _ => self.icmp_limit.allow(self.now, cause.src),
        };
        if !allowed {
            self.counters.drops.count(DropReason::RateLimited);
            return;
        }
        let error = match (flow.src, flow.dst) {
            (IpAddr::V4(_), IpAddr::V4(_)) => error_v4(flow, cause.quote, complaint),
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                Some(error_v6(flow, (src, dst), cause.quote, complaint))
            }
            _ => None,
        };
        let error = error.map(|mut error| {
            // A path that carries less than an error has is one for fragments. Nobody hears that a router refused an error:
            // IPv4's may be cut on its way (Linux's have no DF either).
            error.fragmenting = match error.flow.dst {
                IpAddr::V4(_) => Fragmenting::Anywhere,
                IpAddr::V6(_) => Fragmenting::Here,
            };
            error
        });
        if error.is_some_and(|error| self.queue_packet(on, error)) {
            self.counters.icmp_errors_sent += 1;
        }
    }
}

/// RFC 1122 §3.2.2, RFC 4443 §2.4 (e.1), (e.2): could what the packet carries be an ICMP error, or a
/// redirect? Of what cannot be seen the worst is thought.
pub(in crate::stack) fn may_carry_error(src: IpAddr, quote: &[u8]) -> bool {
    match src {
        IpAddr::V4(_) => ipv4::Header::parse_quoted(quote).is_ok_and(|(header, payload)| {
            let later = header.fragment_offset() != 0;
            later
                || header.protocol() == Protocol::ICMP
                    && payload.first().is_none_or(|&kind| !is_query(kind))
        }),
        IpAddr::V6(_) => ipv6::Header::parse_quoted(quote)
            .is_ok_and(|(header, payload)| extension::may_lead_to_error(&header, payload)),
    }
}

/// RFC 1122 §3.2.2: echo, timestamp, information, address mask and router discovery are queries; every
/// other ICMP type may be an error.
const fn is_query(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 9 | 10 | 13..=18)
}

fn error_v4(flow: Flow, quote: &Bytes, complaint: Complaint) -> Option<OwnedPacket> {
    use ipv4::icmp::{HEADER_LEN, Message, TimeExceededCode, UnreachableCode};
    let quote = quote.slice(..quote.len().min(QUOTED_V4));
    let quoted = &quote[..];
    let unreachable = |code| Message::DestinationUnreachable {
        code,
        next_hop_mtu: 0,
        quoted,
    };
    let message = match complaint {
        Complaint::Port => unreachable(UnreachableCode::PORT),
        Complaint::Protocol { .. } => unreachable(UnreachableCode::PROTOCOL),
        Complaint::Parameter { code, pointer } => Message::ParameterProblem {
            code,
            pointer: u8::try_from(pointer).ok()?,
            quoted,
        },
        Complaint::Reassembly => Message::TimeExceeded {
            code: TimeExceededCode::REASSEMBLY,
            quoted,
        },
        Complaint::Expired => Message::TimeExceeded {
            code: TimeExceededCode::TRANSIT,
            quoted,
        },
        Complaint::NoRoute => unreachable(UnreachableCode::NET),
        Complaint::Host => unreachable(UnreachableCode::HOST),
        Complaint::Prohibited => unreachable(UnreachableCode::PROHIBITED),
        // IPv4 has no word for it.
        Complaint::Scope => return None,
        Complaint::TooBig { mtu } => Message::DestinationUnreachable {
            code: UnreachableCode::FRAGMENTATION_NEEDED,
            next_hop_mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            quoted,
        },
    };
    let mut header = [0; HEADER_LEN];
    message.emit_header(&mut header);
    Some(OwnedPacket::new(
        flow,
        Protocol::ICMP,
        &header,
        quote.clone(),
    ))
}

fn error_v6(
    flow: Flow,
    (src, dst): (Ipv6Addr, Ipv6Addr),
    quote: &Bytes,
    complaint: Complaint,
) -> OwnedPacket {
    use ipv6::icmp::{HEADER_LEN, Message, TimeExceededCode, UnreachableCode};
    let quote = quote.slice(..quote.len().min(QUOTED_V6));
    let quoted = &quote[..];
    let unreachable = |code| Message::DestinationUnreachable { code, quoted };
    let message = match complaint {
        Complaint::Port => unreachable(UnreachableCode::PORT),
        Complaint::Protocol { pointer } => Message::ParameterProblem {
            code: extension::code::NEXT_HEADER,
            pointer,
            quoted,
        },
        Complaint::Parameter { code, pointer } => Message::ParameterProblem {
            code,
            pointer,
            quoted,
        },
        Complaint::Reassembly => Message::TimeExceeded {
            code: TimeExceededCode::REASSEMBLY,
            quoted,
        },
        Complaint::Expired => Message::TimeExceeded {
            code: TimeExceededCode::HOP_LIMIT,
            quoted,
        },
        Complaint::NoRoute => unreachable(UnreachableCode::NO_ROUTE),
        Complaint::Host => unreachable(UnreachableCode::ADDRESS),
        Complaint::Scope => unreachable(UnreachableCode::BEYOND_SCOPE),
        Complaint::Prohibited => unreachable(UnreachableCode::PROHIBITED),
        Complaint::TooBig { mtu } => Message::PacketTooBig {
            mtu: u32::try_from(mtu).unwrap_or(u32::MAX),
            quoted,
        },
    };
    let mut header = [0; HEADER_LEN];
    message.emit_header(src, dst, &mut header);
    OwnedPacket::new(flow, Protocol::ICMPV6, &header, quote.clone())
}
