//! ICMP and ICMPv6: echo answered, errors sent within limits, errors received handed to whom they
//! quote.
//!
//! RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3.2 (sending, rate); RFC 4443 §2.4; RFC 5927 §4, RFC 6633
//! (what is believed). *Does not* know sockets.
//! Invariant (r63): no error about an error, a later fragment, or anything that went to or came from
//! more than one host.

use core::net::IpAddr;

use bytes::Bytes;

use super::Stack;
use super::ids::InterfaceId;
use super::net::Net;
use super::packet::{Flow, Inbound, OwnedPacket};
use crate::base::{DropReason, Instant, Protocol};
use crate::ipv6::extension;
use crate::link::RxChecksum;
use crate::{ipv4, ipv6};

/// RFC 1812 §4.3.2.3: an ICMPv4 error is at most this long, IP header included.
const MAX_ERROR_V4: usize = 576;
/// RFC 4443 §2.4(c): an ICMPv6 error is at most the minimum MTU.
const MAX_ERROR_V6: usize = 1280;

/// What an ICMP error says, the same for both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IcmpErrorKind {
    NetUnreachable,
    HostUnreachable,
    /// Prohibited by an administrator.
    Prohibited,
    PortUnreachable,
    ProtocolUnreachable,
    /// The next hop's MTU as claimed; 0 when the router did not say.
    TooBig {
        mtu: usize,
    },
    TimeExceeded,
    ParameterProblem,
}

/// A received ICMP error whose quoted packet came from one of our addresses.
#[derive(Clone, Debug)]
pub(crate) struct IcmpError {
    pub(crate) on: InterfaceId,
    pub(crate) kind: IcmpErrorKind,
    /// The ICMP message's code: with its kind, for tools.
    pub(crate) code: u8,
    /// Who reports it.
    pub(crate) from: IpAddr,
    /// The source of the quoted packet: ours.
    pub(crate) quoted_src: IpAddr,
    pub(crate) quoted_dst: IpAddr,
    /// The first bytes of the quoted transport packet, header on, cut anywhere.
    pub(crate) quoted_segment: Bytes,
}

/// What an ICMP error that we send complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// Nobody takes the port.
    Port,
    /// Nobody speaks the protocol; for IPv6, where the field that names it lies.
    Protocol { pointer: u32 },
    /// A header is wrong (RFC 792, RFC 4443 §3.4).
    Parameter { code: u8, pointer: u32 },
}

impl Complaint {
    /// Is it told as Destination Unreachable? IPv6 has Parameter Problem for a protocol (RFC 4443 §3.4).
    const fn is_unreachable(self, to: IpAddr) -> bool {
        match self {
            Self::Port => true,
            Self::Protocol { .. } => to.is_ipv4(),
            Self::Parameter { .. } => false,
        }
    }
}

impl Net {
    /// The flow of an answer to `packet` from our address `src`, and where it leaves. RFC 4443 §2.2: what was
    /// sent to a group is answered from an address of the interface.
    pub(crate) fn reply_flow(
        &self,
        packet: &Inbound,
        src: Option<IpAddr>,
        tos: u8,
    ) -> Option<(InterfaceId, Flow, usize)> {
        let route = self.route_back(packet.on, packet.src).ok()?;
        let flow = Flow {
            src: src.unwrap_or(route.source),
            dst: packet.src,
            next_hop: route.next_hop,
            ttl: self.ttl,
            tos,
        };
        Some((route.on, flow, route.mtu))
    }
}

impl Stack {
    /// An ICMPv4 message came in.
    pub(super) fn handle_icmpv4(
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
        match message {
            Message::EchoRequest { id, seq, data } => {
                let reply = Message::EchoReply { id, seq, data };
                let mut header = [0; ipv4::icmp::HEADER_LEN];
                reply.emit_header(&mut header);
                self.echo_reply(packet, Protocol::ICMP, &header, data)
            }
            Message::EchoReply { id, seq, data } => self.handle_echo_reply(packet, id, seq, data),
            Message::DestinationUnreachable {
                code, next_hop_mtu, ..
            } => {
                let kind = unreachable_v4(code, next_hop_mtu);
                self.handle_error_v4(now, packet, &message, kind, code.0)
            }
            // RFC 1122 §3.2.2.4: told to the transport like the others.
            Message::TimeExceeded { code, .. } => {
                self.handle_error_v4(now, packet, &message, IcmpErrorKind::TimeExceeded, code.0)
            }
            Message::ParameterProblem { code, .. } => {
                let kind = IcmpErrorKind::ParameterProblem;
                self.handle_error_v4(now, packet, &message, kind, code)
            }
            // Redirects are not followed yet, and none is sent (RFC 1122 §3.2.2.2). RFC 6633 §4: source
            // quench is ignored. RFC 1122 §3.2.2.7, §3.2.2.9, RFC 6918 §2: so are the old questions.
            _ => Err(DropReason::IcmpIgnored),
        }
    }

    fn handle_error_v4(
        &mut self,
        now: Instant,
        packet: &Inbound,
        message: &ipv4::icmp::Message<'_>,
        kind: IcmpErrorKind,
        code: u8,
    ) -> Result<(), DropReason> {
        let (header, segment) = message.quoted().ok_or(DropReason::IcmpMalformed)?;
        if header.fragment_offset() != 0 {
            return Err(DropReason::IcmpUnmatched);
        }
        let (src, dst) = (IpAddr::V4(header.src()), IpAddr::V4(header.dst()));
        let error = quoting(packet, kind, code, (src, dst), segment);
        self.handle_icmp_error(now, header.protocol(), &error)
    }

    /// An ICMPv6 message came in.
    pub(super) fn handle_icmpv6(
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
        match message {
            Message::EchoRequest { id, seq, data } => self.echo_reply_v6(packet, id, seq, data),
            Message::EchoReply { id, seq, data } => self.handle_echo_reply(packet, id, seq, data),
            Message::DestinationUnreachable { code, .. } => {
                let kind = unreachable_v6(code);
                self.handle_error_v6(now, packet, &message, kind, code.0)
            }
            Message::PacketTooBig { mtu, .. } => {
                let mtu = usize::try_from(mtu).unwrap_or(usize::MAX);
                self.handle_error_v6(now, packet, &message, IcmpErrorKind::TooBig { mtu }, 0)
            }
            Message::TimeExceeded { code, .. } => {
                self.handle_error_v6(now, packet, &message, IcmpErrorKind::TimeExceeded, code.0)
            }
            Message::ParameterProblem { code, .. } => {
                let kind = if code == extension::code::NEXT_HEADER {
                    IcmpErrorKind::ProtocolUnreachable
                } else {
                    IcmpErrorKind::ParameterProblem
                };
                self.handle_error_v6(now, packet, &message, kind, code)
            }
            _ => Err(DropReason::IcmpIgnored),
        }
    }

    fn handle_error_v6(
        &mut self,
        now: Instant,
        packet: &Inbound,
        message: &ipv6::icmp::Message<'_>,
        kind: IcmpErrorKind,
        code: u8,
    ) -> Result<(), DropReason> {
        let (header, payload) = message.quoted().ok_or(DropReason::IcmpMalformed)?;
        let extension::Outcome::Upper {
            protocol, offset, ..
        } = extension::walk(&header, payload)
        else {
            return Err(DropReason::IcmpUnmatched);
        };
        let segment = payload.get(offset..).unwrap_or_default();
        let (src, dst) = (IpAddr::V6(header.src()), IpAddr::V6(header.dst()));
        let error = quoting(packet, kind, code, (src, dst), segment);
        self.handle_icmp_error(now, protocol, &error)
    }

    /// Hands an error to the socket whose packet it quotes.
    fn handle_icmp_error(
        &mut self,
        now: Instant,
        protocol: Protocol,
        error: &IcmpError,
    ) -> Result<(), DropReason> {
        // RFC 5927 §4: what we did not send cannot have failed.
        if !self.net.is_ours(error.quoted_src, None)
            && !self.net.accepts_foreign(error.quoted_src, None)
        {
            return Err(DropReason::IcmpUnmatched);
        }
        if let IcmpErrorKind::TooBig { .. } = error.kind {
            return Err(DropReason::IcmpTooBig);
        }
        match protocol {
            Protocol::TCP => self.tcp_icmp_error(now, error)?,
            Protocol::UDP => self.udp_icmp_error(error)?,
            Protocol::ICMP | Protocol::ICMPV6 => self.ping_icmp_error(now, error)?,
            _ => return Err(DropReason::IcmpUnmatched),
        }
        self.net.counters.icmp_errors_received += 1;
        Ok(())
    }

    fn echo_reply_v6(
        &mut self,
        packet: &Inbound,
        id: u16,
        seq: u16,
        data: &[u8],
    ) -> Result<(), DropReason> {
        let (_, flow, _) = self
            .net
            .reply_flow(packet, packet.unicast.then_some(packet.dst), 0)
            .ok_or(DropReason::NoRoute)?;
        let (IpAddr::V6(src), IpAddr::V6(dst)) = (flow.src, flow.dst) else {
            return Err(DropReason::NoRoute);
        };
        let reply = ipv6::icmp::Message::EchoReply { id, seq, data };
        let mut header = [0; ipv6::icmp::HEADER_LEN];
        reply.emit_header(src, dst, &mut header);
        self.echo_reply(packet, Protocol::ICMPV6, &header, data)
    }

    /// RFC 1122 §3.2.2.6, RFC 4443 §4.2: the data goes back from where it lies.
    fn echo_reply(
        &mut self,
        packet: &Inbound,
        protocol: Protocol,
        header: &[u8],
        data: &[u8],
    ) -> Result<(), DropReason> {
        // RFC 1122 §3.2.2.6 allows to ignore an IPv4 group's echo; RFC 4443 §4.2 answers IPv6's.
        let group = !packet.unicast || !packet.link_unicast;
        if group && protocol == Protocol::ICMP {
            return Err(DropReason::IcmpIgnored);
        }
        let src = packet.unicast.then_some(packet.dst);
        let (on, flow, mtu) = self
            .net
            .reply_flow(packet, src, packet.tos)
            .ok_or(DropReason::NoRoute)?;
        let ip = if flow.dst.is_ipv4() {
            ipv4::MIN_HEADER_LEN
        } else {
            ipv6::HEADER_LEN
        };
        if ip + header.len() + data.len() > mtu {
            return Err(DropReason::TooBig);
        }
        let payload = packet.segment.slice_ref(data);
        let reply = OwnedPacket::new(flow, protocol, header, payload);
        if self.net.queue_packet(on, reply) {
            self.net.counters.echo_replies_sent += 1;
        }
        Ok(())
    }

    /// Tells the sender of `packet` what is wrong with it, where the rules and limits allow.
    pub(super) fn complain(&mut self, packet: &Inbound, complaint: Complaint) {
        // RFC 1122 §3.2.2, RFC 4443 §2.4(e): not to groups, but for what (e.3) names.
        let to_one = packet.unicast && packet.link_unicast;
        let excepted = matches!(
            complaint,
            Complaint::Parameter { code, .. } if code == extension::code::OPTION
        );
        if (!to_one && !excepted) || packet.src.is_unspecified() || may_carry_error(packet) {
            return;
        }
        let Some((on, flow, _)) =
            self.net
                .reply_flow(packet, packet.unicast.then_some(packet.dst), 0)
        else {
            return;
        };
        let sent = self.net.interfaces[on.index()].unreachables;
        // RFC 4443 §3.1 (IC6-9).
        if !sent && complaint.is_unreachable(packet.src) {
            return;
        }
        if !self.net.icmp_limit.allow(self.net.now, packet.src) {
            self.net.counters.drops.count(DropReason::RateLimited);
            return;
        }
        let error = match (flow.src, flow.dst) {
            (IpAddr::V4(_), IpAddr::V4(_)) => error_v4(flow, &packet.quote, complaint),
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                Some(error_v6(flow, (src, dst), &packet.quote, complaint))
            }
            _ => None,
        };
        if error.is_some_and(|error| self.net.queue_packet(on, error)) {
            self.net.counters.icmp_errors_sent += 1;
        }
    }
}

/// RFC 1122 §3.2.2, RFC 4443 §2.4 (e.1), (e.2): could what the packet carries be an ICMP error, or a
/// redirect? Of what cannot be seen the worst is thought.
fn may_carry_error(packet: &Inbound) -> bool {
    match packet.src {
        IpAddr::V4(_) => {
            ipv4::Header::parse_quoted(&packet.quote).is_ok_and(|(header, payload)| {
                let later = header.fragment_offset() != 0;
                later
                    || header.protocol() == Protocol::ICMP
                        && payload.first().is_none_or(|&kind| !is_query(kind))
            })
        }
        IpAddr::V6(_) => ipv6::Header::parse(&packet.quote)
            .is_ok_and(|(header, payload)| extension::may_lead_to_error(&header, payload)),
    }
}

/// RFC 1122 §3.2.2: echo, timestamp, information, address mask and router discovery are queries; every
/// other ICMP type may be an error.
const fn is_query(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 9 | 10 | 13..=18)
}

fn error_v4(flow: Flow, quote: &Bytes, complaint: Complaint) -> Option<OwnedPacket> {
    use ipv4::icmp::{HEADER_LEN, Message, UnreachableCode};
    let room = MAX_ERROR_V4 - ipv4::MIN_HEADER_LEN - HEADER_LEN;
    let quote = quote.slice(..quote.len().min(room));
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
    (src, dst): (core::net::Ipv6Addr, core::net::Ipv6Addr),
    quote: &Bytes,
    complaint: Complaint,
) -> OwnedPacket {
    use ipv6::icmp::{HEADER_LEN, Message, UnreachableCode};
    let room = MAX_ERROR_V6 - ipv6::HEADER_LEN - HEADER_LEN;
    let quote = quote.slice(..quote.len().min(room));
    let quoted = &quote[..];
    let message = match complaint {
        Complaint::Port => Message::DestinationUnreachable {
            code: UnreachableCode::PORT,
            quoted,
        },
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
    };
    let mut header = [0; HEADER_LEN];
    message.emit_header(src, dst, &mut header);
    OwnedPacket::new(flow, Protocol::ICMPV6, &header, quote.clone())
}

fn quoting(
    packet: &Inbound,
    kind: IcmpErrorKind,
    code: u8,
    (quoted_src, quoted_dst): (IpAddr, IpAddr),
    segment: &[u8],
) -> IcmpError {
    IcmpError {
        on: packet.on,
        kind,
        code,
        from: packet.src,
        quoted_src,
        quoted_dst,
        quoted_segment: packet.segment.slice_ref(segment),
    }
}

/// RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
fn unreachable_v4(code: ipv4::icmp::UnreachableCode, mtu: u16) -> IcmpErrorKind {
    use ipv4::icmp::UnreachableCode as Code;
    match code {
        Code::PROTOCOL => IcmpErrorKind::ProtocolUnreachable,
        Code::PORT => IcmpErrorKind::PortUnreachable,
        Code::FRAGMENTATION_NEEDED => IcmpErrorKind::TooBig {
            mtu: usize::from(mtu),
        },
        Code(0 | 6 | 11) => IcmpErrorKind::NetUnreachable,
        Code(9 | 10 | 13) => IcmpErrorKind::Prohibited,
        _ => IcmpErrorKind::HostUnreachable,
    }
}

/// RFC 4443 §3.1.
fn unreachable_v6(code: ipv6::icmp::UnreachableCode) -> IcmpErrorKind {
    use ipv6::icmp::UnreachableCode as Code;
    match code {
        Code::NO_ROUTE | Code::REJECT_ROUTE => IcmpErrorKind::NetUnreachable,
        Code::PROHIBITED | Code::POLICY => IcmpErrorKind::Prohibited,
        Code::PORT => IcmpErrorKind::PortUnreachable,
        _ => IcmpErrorKind::HostUnreachable,
    }
}
