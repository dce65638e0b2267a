//! ICMP and ICMPv6, with the packets that errors quote.

use core::fmt::{self, Display, Write};

use super::ip::Packet;
use super::{Out, mld, ndp, transport};
use crate::base::Protocol;
use crate::base::checksum::Sum;
use crate::ipv4::icmp as icmp4;
use crate::ipv6::extension::{Extension, code};
use crate::ipv6::icmp as icmp6;
use crate::{ipv4, ipv6};

/// Prints an ICMP message.
pub(super) fn v4(out: &mut Out<'_, '_>, packet: &Packet<'_>) -> fmt::Result {
    let message = match icmp4::Message::parse_unverified(packet.bytes) {
        Ok(message) => message,
        Err(error) => {
            out.note_missing(error);
            return transport::plain(out, packet);
        }
    };
    if let Some((_, _, found)) = head(packet.bytes) {
        packet.check(out, "icmp", Sum::new(), found);
    }
    packet.head(out, None)?;
    out.write_str("ICMP ")?;
    use icmp4::Message::*;
    let quoted = Quoted::v4(&message);
    match message {
        EchoRequest { id, seq, .. } => write!(out, "echo request, id {id}, seq {seq}")?,
        EchoReply { id, seq, .. } => write!(out, "echo reply, id {id}, seq {seq}")?,
        DestinationUnreachable {
            code, next_hop_mtu, ..
        } => unreachable(out, code, next_hop_mtu, &quoted)?,
        Redirect { gateway, .. } => write!(out, "redirect {} to {gateway}", quoted.dst())?,
        TimeExceeded {
            code: icmp4::TimeExceededCode::TRANSIT,
            ..
        } => out.write_str("time exceeded in-transit")?,
        TimeExceeded {
            code: icmp4::TimeExceededCode::REASSEMBLY,
            ..
        } => out.write_str("ip reassembly time exceeded")?,
        TimeExceeded { code, .. } => write!(out, "time exceeded, code {}", code.0)?,
        ParameterProblem {
            code: 0, pointer, ..
        } => write!(out, "parameter problem - octet {pointer}")?,
        ParameterProblem { code, .. } => write!(out, "parameter problem, code {code}")?,
        Unknown { kind, code, .. } => write!(out, "type {kind}, code {code}")?,
    }
    write!(out, "{quoted}, length {}", packet.len)
}

fn unreachable(
    out: &mut Out<'_, '_>,
    code: icmp4::UnreachableCode,
    mtu: u16,
    quoted: &Quoted,
) -> fmt::Result {
    use icmp4::UnreachableCode as Code;
    let dst = quoted.dst();
    match code {
        Code::NET => write!(out, "net {dst} unreachable"),
        Code::HOST => write!(out, "host {dst} unreachable"),
        Code::PROTOCOL => write!(out, "{dst} protocol {} unreachable", quoted.number()),
        Code::PORT => write!(out, "{dst} {} unreachable", quoted.port()),
        Code::FRAGMENTATION_NEEDED => {
            write!(out, "{dst} unreachable - need to frag (mtu {mtu})")
        }
        Code::SOURCE_ROUTE => write!(out, "{dst} unreachable - source route failed"),
        Code::PROHIBITED => write!(out, "{dst} unreachable - admin prohibited"),
        Code(other) => write!(out, "{dst} unreachable, code {other}"),
    }
}

/// Prints an ICMPv6 message.
pub(super) fn v6(
    out: &mut Out<'_, '_>,
    packet: &Packet<'_>,
    header: &ipv6::Header<'_>,
) -> fmt::Result {
    if let Some((_, _, found)) = head(packet.bytes) {
        packet.check(out, "icmp6", packet.pseudo_sum(), found);
    }
    let message = match icmp6::Message::parse_unverified(packet.bytes) {
        Ok(message) => message,
        Err(error) => {
            match error {
                icmp6::ParseError::Truncated { .. } => out.note_missing(error),
                _ => out.note(error),
            }
            return transport::plain(out, packet);
        }
    };
    packet.head(out, None)?;
    out.write_str("ICMP6, ")?;
    use icmp6::Message::*;
    let quoted = Quoted::v6(&message);
    match message {
        EchoRequest { id, seq, .. } => write!(out, "echo request, id {id}, seq {seq}")?,
        EchoReply { id, seq, .. } => write!(out, "echo reply, id {id}, seq {seq}")?,
        DestinationUnreachable { code, .. } => unreachable6(out, code, &quoted)?,
        PacketTooBig { mtu, .. } => write!(out, "packet too big, mtu {mtu}")?,
        TimeExceeded {
            code: icmp6::TimeExceededCode::HOP_LIMIT,
            ..
        } => write!(out, "time exceeded in-transit for {}", quoted.dst())?,
        TimeExceeded {
            code: icmp6::TimeExceededCode::REASSEMBLY,
            ..
        } => write!(out, "ip6 reassembly time exceeded for {}", quoted.dst())?,
        TimeExceeded { code, .. } => write!(out, "time exceeded, code {}", code.0)?,
        ParameterProblem { code, pointer, .. } => {
            let what = match code {
                code::HEADER_FIELD => "erroneous header field",
                code::NEXT_HEADER => "unknown next header",
                code::OPTION => "unknown option",
                _ => "other",
            };
            write!(out, "parameter problem, {what} - octet {pointer}")?;
        }
        Ndp(message) => ndp::print(out, &message, header)?,
        Unknown {
            kind,
            code,
            rest,
            body,
        } => {
            if !mld::print(out, kind, rest, body)? {
                write!(out, "type {kind}, code {code}")?;
            }
        }
    }
    write!(out, "{quoted}, length {}", packet.len)
}

fn unreachable6(
    out: &mut Out<'_, '_>,
    code: icmp6::UnreachableCode,
    quoted: &Quoted,
) -> fmt::Result {
    use icmp6::UnreachableCode as Code;
    let dst = quoted.dst();
    out.write_str("destination unreachable, ")?;
    match code {
        Code::NO_ROUTE => write!(out, "no route to {dst}"),
        Code::PROHIBITED => write!(out, "admin prohibited {dst}"),
        Code::BEYOND_SCOPE => write!(out, "beyond scope {dst}"),
        Code::ADDRESS => write!(out, "unreachable address {dst}"),
        Code::PORT => write!(out, "unreachable port, {dst} {}", quoted.port()),
        Code::POLICY => write!(out, "source address policy {dst}"),
        Code::REJECT_ROUTE => write!(out, "reject route to {dst}"),
        Code(other) => write!(out, "code {other}, {dst}"),
    }
}

/// Type, code and checksum.
fn head(bytes: &[u8]) -> Option<(u8, u8, u16)> {
    let (&[kind, code, a, b], _) = bytes.split_first_chunk::<4>()?;
    Some((kind, code, u16::from_be_bytes([a, b])))
}

/// What is told of a packet that an error quotes; one level only, so that nothing recurses.
enum Quoted {
    /// The message quotes nothing.
    Nothing,
    /// What it quotes does not parse.
    Unreadable,
    /// The packet.
    Packet {
        src: core::net::IpAddr,
        dst: core::net::IpAddr,
        protocol: Protocol,
        ports: Option<(u16, u16)>,
    },
}

impl Quoted {
    fn v4(message: &icmp4::Message<'_>) -> Self {
        match message.quoted() {
            Some((header, payload)) => Self::v4_packet(&header, payload),
            None => {
                let known = !matches!(message, icmp4::Message::Unknown { .. });
                Self::missing(known && message.is_error())
            }
        }
    }

    fn v6(message: &icmp6::Message<'_>) -> Self {
        let Some((header, payload)) = message.quoted() else {
            let known = !matches!(
                message,
                icmp6::Message::Ndp(_) | icmp6::Message::Unknown { .. }
            );
            return Self::missing(known && message.is_error());
        };
        let (mut protocol, mut at, mut first) = (header.next_header(), 0, true);
        while let Some(Ok(extension)) = Extension::parse(protocol, payload, at) {
            first &= extension.fragment().is_none_or(|f| f.offset == 0);
            protocol = extension.next_header;
            at += extension.bytes.len();
        }
        Self::Packet {
            src: header.src().into(),
            dst: header.dst().into(),
            protocol,
            ports: payload
                .get(at..)
                .filter(|_| first)
                .and_then(|bytes| ports(protocol, bytes)),
        }
    }

    fn v4_packet(header: &ipv4::Header<'_>, payload: &[u8]) -> Self {
        let first = header.fragment_offset() == 0;
        Self::Packet {
            src: header.src().into(),
            dst: header.dst().into(),
            protocol: header.protocol(),
            ports: Some(payload)
                .filter(|_| first)
                .and_then(|bytes| ports(header.protocol(), bytes)),
        }
    }

    fn missing(quotes: bool) -> Self {
        if quotes {
            Self::Unreadable
        } else {
            Self::Nothing
        }
    }

    /// The quoted packet's destination.
    fn dst(&self) -> String {
        match self {
            Self::Packet { dst, .. } => dst.to_string(),
            Self::Nothing | Self::Unreadable => "?".to_owned(),
        }
    }

    /// The quoted packet's protocol number.
    fn number(&self) -> String {
        match self {
            Self::Packet { protocol, .. } => protocol.0.to_string(),
            Self::Nothing | Self::Unreadable => "?".to_owned(),
        }
    }

    /// The port that did not answer.
    fn port(&self) -> String {
        match self {
            Self::Packet {
                protocol,
                ports: Some((_, port)),
                ..
            } => format!("{} port {port}", protocol.to_string().to_lowercase()),
            _ => "port ?".to_owned(),
        }
    }
}

impl Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Unreadable => f.write_str(" (quotes no packet)"),
            Self::Packet {
                src,
                dst,
                protocol,
                ports: Some((from, to)),
            } => write!(f, " ({src}.{from} > {dst}.{to}: {protocol})"),
            Self::Packet {
                src, dst, protocol, ..
            } => write!(f, " ({src} > {dst}: {protocol})"),
        }
    }
}

fn ports(protocol: Protocol, bytes: &[u8]) -> Option<(u16, u16)> {
    match protocol {
        Protocol::TCP | Protocol::UDP => transport::ports(bytes),
        _ => None,
    }
}
