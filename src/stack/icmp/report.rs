//! Errors that came in: what they say, whose packet they quote, and who is told.
//!
//! RFC 1122 §3.2.2, RFC 4443 §2.4, RFC 5927 §4 (what is believed). *Owns* the words of both versions.
//! *Does not* know sockets: each judges for itself whether it sent what is quoted.

use core::net::IpAddr;

use bytes::Bytes;

use crate::base::{DropReason, Instant, Protocol};
use crate::stack::Stack;
use crate::stack::ids::InterfaceId;
use crate::stack::ip::Quoted;
use crate::stack::packet::Inbound;
use crate::{ipv4, ipv6};

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
    /// Its own TTL or hop limit as it arrived: what it quotes is its sender's word, this is not.
    pub(crate) ttl: u8,
    /// When it arrived.
    pub(crate) at: Instant,
    /// The source of the quoted packet: ours.
    pub(crate) quoted_src: IpAddr,
    pub(crate) quoted_dst: IpAddr,
    /// How long the quoted packet was, IP header included.
    pub(crate) quoted_len: usize,
    /// The first bytes of the quoted transport packet, header on, cut anywhere.
    pub(crate) quoted_segment: Bytes,
}

impl Stack {
    /// Hands an error to the socket whose packet it quotes.
    pub(super) fn handle_icmp_error(
        &mut self,
        now: Instant,
        packet: &Inbound,
        (kind, code): (IcmpErrorKind, u8),
        quoted: Result<Quoted<'_>, DropReason>,
    ) -> Result<(), DropReason> {
        let Quoted {
            src,
            dst,
            protocol,
            len,
            may_be_cut,
            segment,
        } = quoted?;
        // RFC 1191 §4: a router says so of what has DF alone, and cuts the rest.
        if may_be_cut && matches!(kind, IcmpErrorKind::TooBig { .. }) {
            return Err(DropReason::IcmpUnmatched);
        }
        let error = IcmpError {
            on: packet.on,
            kind,
            code,
            from: packet.src,
            ttl: packet.ttl,
            at: packet.at,
            quoted_src: src,
            quoted_dst: dst,
            quoted_len: len,
            quoted_segment: packet.segment.slice_ref(segment),
        };
        // RFC 5927 §4: what we did not send cannot have failed.
        if !self.net.takes(error.quoted_src, None) {
            return Err(DropReason::IcmpUnmatched);
        }
        let told = match protocol {
            Protocol::TCP => self.tcp_icmp_error(now, &error),
            Protocol::UDP => self.udp_icmp_error(&error),
            Protocol::ICMPV6 if quotes_reply(&error) => self.net.reply_refused(&error),
            Protocol::ICMP | Protocol::ICMPV6 => self.ping_icmp_error(&error),
            _ => Err(DropReason::IcmpUnmatched),
        };
        if let Err(reason) = told
            && !self.raw_icmp_error(&error, protocol)
        {
            return Err(reason);
        }
        self.net.counters.icmp_errors_received += 1;
        Ok(())
    }
}

/// Is it about an echo reply over IPv6 (RFC 4443 §4.2)? IPv4's may be cut.
fn quotes_reply(error: &IcmpError) -> bool {
    error.quoted_src.is_ipv6() && error.quoted_segment.starts_with(&[129, 0])
}

/// RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
pub(super) fn unreachable_v4(code: ipv4::icmp::UnreachableCode, mtu: u16) -> IcmpErrorKind {
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
pub(super) fn unreachable_v6(code: ipv6::icmp::UnreachableCode) -> IcmpErrorKind {
    use ipv6::icmp::UnreachableCode as Code;
    match code {
        Code::NO_ROUTE | Code::REJECT_ROUTE => IcmpErrorKind::NetUnreachable,
        Code::PROHIBITED | Code::POLICY => IcmpErrorKind::Prohibited,
        Code::PORT => IcmpErrorKind::PortUnreachable,
        _ => IcmpErrorKind::HostUnreachable,
    }
}
