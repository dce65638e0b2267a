//! Captured packets with the numbers that the stack knows, and packets that the capture lacks.
//!
//! *Owns* which fields of a packet are mapped, and checksums: one that was right, never completed or cut stays
//! right, one that was wrong stays wrong, so that the stack finds it. *Does not* know whose numbers they are.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use super::packet::{Body, Icmp, Ip};
use crate::base::Protocol;
use crate::base::checksum::checksum;
use crate::capture::rx;
use crate::tcp::{self, Fields, Options, Shift};
use crate::{ipv4, ipv6, udp};

/// What a segment's acknowledgement and options become.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mapping {
    /// From the captured end's numbers to the stack's.
    pub(super) shift: Shift,
    /// The stack's first number behind its SYN, and one more than the highest that it sent: what is
    /// acknowledged lies between them.
    pub(super) sent: Option<(u32, u32)>,
    /// What is echoed.
    pub(super) echo: Option<u32>,
    /// Options of a SYN that the captured end did not agree to, and the stack is not offered.
    pub(super) refuse: Refused,
}

/// What is taken out of a SYN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) window_scale: bool,
    pub(super) sack: bool,
    pub(super) timestamps: bool,
    pub(super) ecn: bool,
}

/// Kinds of options that are mapped or taken out.
mod kind {
    pub(super) const NOP: u8 = 1;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMPS: u8 = 8;
}

/// How a transport checksum was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Was {
    Right,
    Wrong,
}

impl Mapping {
    /// A number of the captured end as one of the stack's that it has sent.
    fn number(&self, told: u32) -> u32 {
        let live = self.shift.to_live(told);
        let after = |one: u32, other: u32| one.wrapping_sub(other).cast_signed() > 0;
        match self.sent {
            Some((_, most)) if after(live, most) => most,
            // Text from before the capture began.
            Some((least, _)) if after(least, live) => least,
            _ => live,
        }
    }
}

/// Maps a TCP segment within a packet that is as long as its header says.
pub(super) fn segment(packet: &mut [u8], ip: &Ip, mapping: &Mapping, is_cut: bool) {
    let (Some((protocol, range)), Body::Tcp(found)) = (&ip.transport, &ip.body) else {
        return;
    };
    let was = judge(packet, *protocol, range, is_cut);
    let Some(bytes) = packet.get_mut(range.clone()) else {
        return;
    };
    if found.fields.flags.contains(tcp::Flags::ACK) {
        put(bytes, 8, mapping.number(found.fields.ack));
    }
    if mapping.refuse.ecn
        && let Some(flags) = bytes.get_mut(12..14)
    {
        // AE, and CWR with ECE (RFC 9768 §3.1.1, RFC 3168 §6.1.1).
        flags[0] &= !1;
        flags[1] &= !0xc0;
    }
    let header = bytes.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4);
    if let Some(options) = bytes.get_mut(20..header) {
        options_of(options, found.fields.flags, mapping);
    }
    complete(packet, *protocol, range, was);
}

fn options_of(mut options: &mut [u8], flags: tcp::Flags, mapping: &Mapping) {
    while let Some(&kind) = options.first() {
        if kind == kind::NOP {
            options = &mut options[1..];
            continue;
        }
        let len = options.get(1).map_or(0, |&len| usize::from(len));
        if kind == 0 || len < 2 || len > options.len() {
            return;
        }
        let (option, rest) = options.split_at_mut(len);
        let refused = match kind {
            kind::WINDOW_SCALE => mapping.refuse.window_scale,
            kind::SACK_PERMITTED => mapping.refuse.sack,
            kind::TIMESTAMPS => mapping.refuse.timestamps,
            _ => false,
        };
        if refused {
            option.fill(kind::NOP);
        } else if kind == kind::SACK {
            for at in (2..len.saturating_sub(3)).step_by(4) {
                let edge = number_at(option, at);
                put(option, at, mapping.number(edge));
            }
        } else if kind == kind::TIMESTAMPS && flags.contains(tcp::Flags::ACK) {
            put(
                option,
                6,
                mapping.echo.unwrap_or_else(|| number_at(option, 6)),
            );
        }
        options = rest;
    }
}

/// Maps what an ICMP error quotes of a segment that the captured end sent. `shift` finds the flow's: from the
/// sender and the receiver that are quoted.
pub(super) fn quoted(
    packet: &mut [u8],
    ip: &Ip,
    shift: impl Fn(SocketAddr, SocketAddr) -> Option<Shift>,
) {
    let (Some((protocol, range)), Body::Icmp(Icmp::Error)) = (&ip.transport, &ip.body) else {
        return;
    };
    let was = judge(packet, *protocol, range, false);
    let Some(quote) = packet.get_mut(range.start + 8..range.end) else {
        return;
    };
    let Some((ends, header, Protocol::TCP)) = quoted_ends(quote) else {
        return;
    };
    if let Some(shift) = shift(ends.0, ends.1) {
        let told = number_at(quote, header + 4);
        put(quote, header + 4, shift.to_live(told));
        complete(packet, *protocol, range, was);
    }
}

/// Who sent to whom what an ICMP error quotes, the length of its IP header, and its protocol.
pub(super) fn quoted_ends(quote: &[u8]) -> Option<((SocketAddr, SocketAddr), usize, Protocol)> {
    let (src, dst, header, protocol) = match quote.first()? >> 4 {
        4 => {
            let (ip, _) = ipv4::Header::parse_quoted(quote).ok()?;
            let ends: (IpAddr, IpAddr) = (ip.src().into(), ip.dst().into());
            (ends.0, ends.1, ip.header_len(), ip.protocol())
        }
        6 => {
            let (ip, _) = ipv6::Header::parse_quoted(quote).ok()?;
            (
                ip.src().into(),
                ip.dst().into(),
                ipv6::HEADER_LEN,
                ip.next_header(),
            )
        }
        _ => return None,
    };
    let &[a, b, c, d, _, _, _, _] = quote.get(header..)?.first_chunk::<8>()?;
    let port = |high, low| u16::from_be_bytes([high, low]);
    let ends = (
        SocketAddr::new(src, port(a, b)),
        SocketAddr::new(dst, port(c, d)),
    );
    Some((ends, header, protocol))
}

/// Puts another identifier into an echo reply.
pub(super) fn echo_id(packet: &mut [u8], ip: &Ip, id: u16) {
    let Some((protocol, range)) = &ip.transport else {
        return;
    };
    let was = judge(packet, *protocol, range, false);
    if let Some(field) = packet.get_mut(range.start + 4..range.start + 6) {
        field.copy_from_slice(&id.to_be_bytes());
        complete(packet, *protocol, range, was);
    }
}

/// Is a packet whole, and are its checksums right?
pub(super) fn is_right(packet: &[u8], ip: &Ip) -> bool {
    let header = match packet.first().map(|byte| byte >> 4) {
        Some(4) => ipv4::Header::parse(packet).is_ok(),
        _ => ipv6::Header::parse(packet).is_ok(),
    };
    let transport = ip.transport.as_ref().is_none_or(|(protocol, range)| {
        let bytes = packet.get(range.clone()).unwrap_or_default();
        pseudo(packet, *protocol).is_none_or(|(pseudo, _)| pseudo.bytes(bytes).is_valid())
    });
    header && transport && ip.len == packet.len()
}

/// Is a checksum wrong of a packet that is as long as its header says?
pub(super) fn is_damaged(packet: &[u8], ip: &Ip, is_cut: bool) -> bool {
    let is_v4 = packet.first().is_some_and(|byte| byte >> 4 == 4);
    let header = ipv4::Header::parse_quoted(packet);
    if is_v4 && !header.is_ok_and(|(header, _)| header.checksum_is_valid()) {
        return true;
    }
    let Some((protocol, range)) = &ip.transport else {
        return false;
    };
    let sum = packet.get(range.start + udp::CHECKSUM_OFFSET..);
    let has_none =
        is_v4 && *protocol == Protocol::UDP && sum.is_some_and(|it| it.starts_with(&[0, 0]));
    !has_none && judge(packet, *protocol, range, is_cut) == Was::Wrong
}

/// Puts other addresses into a packet, and into what an ICMP error quotes, where they lie the other way round.
pub(super) fn readdress(packet: &mut [u8], ip: &Ip, (src, dst): (IpAddr, IpAddr), is_cut: bool) {
    let transport = ip.transport.as_ref();
    let was = transport.map(|(protocol, range)| judge(packet, *protocol, range, is_cut));
    put_addresses(packet, src, dst);
    let Some(((protocol, range), was)) = transport.zip(was) else {
        return;
    };
    let end = range.end.min(packet.len());
    if matches!(ip.body, Body::Icmp(Icmp::Error))
        && let Some(quote) = packet.get_mut(range.start + 8..end)
    {
        put_addresses(quote, dst, src);
    }
    complete(packet, *protocol, range, was);
}

/// A header checksum of IPv4 that was right stays so.
fn put_addresses(packet: &mut [u8], src: IpAddr, dst: IpAddr) {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let Ok((header, _)) = ipv4::Header::parse_quoted(packet) else {
                return;
            };
            let (is_right, len) = (header.checksum_is_valid(), header.header_len());
            packet[12..16].copy_from_slice(&src.octets());
            packet[16..20].copy_from_slice(&dst.octets());
            if is_right {
                packet[10..12].fill(0);
                let sum = checksum(&packet[..len]).to_be_bytes();
                packet[10..12].copy_from_slice(&sum);
            }
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) if packet.len() >= ipv6::HEADER_LEN => {
            packet[8..24].copy_from_slice(&src.octets());
            packet[24..40].copy_from_slice(&dst.octets());
        }
        _ => {}
    }
}

/// Makes the checksum of a datagram right that was never completed or is cut.
pub(super) fn datagram(packet: &mut [u8], ip: &Ip, is_cut: bool) {
    let Some((protocol, range)) = &ip.transport else {
        return;
    };
    // None at all is the sender's choice (RFC 768).
    let none = packet.get(range.start + 6..range.start + 8) == Some(&[0, 0]);
    if !none || is_cut {
        let was = judge(packet, *protocol, range, is_cut);
        complete(packet, *protocol, range, was);
    }
}

/// Was the checksum right, as far as anybody can know?
fn judge(packet: &[u8], protocol: Protocol, range: &Range<usize>, is_cut: bool) -> Was {
    let Some((pseudo, offset)) = pseudo(packet, protocol) else {
        return Was::Right;
    };
    let bytes = packet.get(range.clone()).unwrap_or_default();
    let field = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    let found = field.map_or(0, |field| u16::from_be_bytes(*field));
    let partial = protocol != Protocol::ICMP && found == pseudo.partial();
    if is_cut || partial || pseudo.bytes(bytes).is_valid() {
        Was::Right
    } else {
        Was::Wrong
    }
}

/// Computes the checksum anew; one that was wrong is wrong again.
fn complete(packet: &mut [u8], protocol: Protocol, range: &Range<usize>, was: Was) {
    let Some((pseudo, offset)) = pseudo(packet, protocol) else {
        return;
    };
    let Some(bytes) = packet.get_mut(range.clone()) else {
        return;
    };
    if bytes.len() < offset + 2 {
        return;
    }
    bytes[offset..offset + 2].fill(0);
    let mut sum = pseudo.bytes(bytes).finish();
    if was == Was::Wrong {
        sum ^= 0x0101;
    }
    if protocol == Protocol::UDP && sum == 0 {
        sum = u16::MAX;
    }
    bytes[offset..offset + 2].copy_from_slice(&sum.to_be_bytes());
}

/// What is summed up in front of the transport's bytes, and where among them the checksum lies.
fn pseudo(packet: &[u8], protocol: Protocol) -> Option<(crate::base::checksum::Sum, usize)> {
    let offset = match protocol {
        Protocol::TCP => tcp::CHECKSUM_OFFSET,
        Protocol::UDP => udp::CHECKSUM_OFFSET,
        Protocol::ICMP | Protocol::ICMPV6 => 2,
        _ => return None,
    };
    let transport = match packet.first()? >> 4 {
        4 => rx::v4(packet),
        _ => rx::v6(packet),
    };
    let (_, _, pseudo) = transport?;
    if protocol == Protocol::ICMP {
        return Some((crate::base::checksum::Sum::new(), offset));
    }
    Some((pseudo, offset))
}

/// A segment that the capture lacks, as an IP packet: its text is zeros.
pub(super) fn make(
    from: SocketAddr,
    to: SocketAddr,
    fields: Fields,
    options: &Options,
    text: usize,
) -> Option<Vec<u8>> {
    let mut fields = fields;
    (fields.src_port, fields.dst_port) = (from.port(), to.port());
    let len = 20 + options.len() + text;
    let mut head = [0; 60];
    let (head_len, pseudo) = match (from.ip(), to.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => (
            ipv4::Fields::new(src, dst, Protocol::TCP).emit(len, &mut head),
            ipv4::pseudo_sum(src, dst, Protocol::TCP, len),
        ),
        (IpAddr::V6(src), IpAddr::V6(dst)) => (
            ipv6::Fields::new(src, dst, Protocol::TCP).emit(len, &mut head),
            ipv6::pseudo_sum(src, dst, Protocol::TCP, len),
        ),
        _ => return None,
    };
    let mut packet = head.get(..head_len)?.to_vec();
    packet.resize(head_len + len, 0);
    let bytes = packet.get_mut(head_len..)?;
    let _ = fields.emit(options, bytes);
    let sum = pseudo.bytes(bytes).finish();
    let at = tcp::CHECKSUM_OFFSET;
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    Some(packet)
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk);
    four.map_or(0, |four| u32::from_be_bytes(*four))
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(field) = bytes.get_mut(at..at + 4) {
        field.copy_from_slice(&number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::foreign::link::Packet;
    use crate::capture::foreign::packet::{Content, read};
    use crate::link::EtherType;
    use crate::tcp::{Flags, SackBlocks};

    fn ends() -> (SocketAddr, SocketAddr) {
        (
            "10.0.0.1:40000".parse().unwrap(),
            "10.0.0.2:80".parse().unwrap(),
        )
    }

    fn ip(bytes: &[u8]) -> Ip {
        let mut packet = Packet {
            kind: EtherType::IPV4,
            data: bytes.to_vec().into(),
            ..Packet::NONE
        };
        match read(&mut packet) {
            Content::Ip(ip) => ip,
            other => panic!("{other:?}"),
        }
    }

    fn made(sack: &[(u32, u32)]) -> Vec<u8> {
        let mut fields = Fields::default();
        (fields.flags, fields.seq, fields.ack) = (Flags::ACK, 7, 5000);
        let mut blocks = SackBlocks::NONE;
        for &(left, right) in sack {
            assert!(blocks.push(left, right));
        }
        let options = Options {
            timestamps: Some((1, 2)),
            sack: blocks,
            ..Options::NONE
        };
        make(ends().0, ends().1, fields, &options, 3).unwrap()
    }

    #[test]
    fn acknowledgement_blocks_and_echo_become_the_stacks() {
        let mut bytes = made(&[(6000, 7000), (8000, 9000)]);
        let found = ip(&bytes);
        let mapping = Mapping {
            shift: Shift::between(5000, 105_000),
            sent: Some((100_000, 108_500)),
            echo: Some(77),
            ..Mapping::default()
        };
        segment(&mut bytes, &found, &mapping, false);
        let mapped = ip(&bytes);
        assert!(is_right(&bytes, &mapped));
        let Body::Tcp(segment) = mapped.body else {
            panic!("{mapped:?}");
        };
        assert_eq!((segment.fields.seq, segment.fields.ack), (7, 105_000));
        assert_eq!(segment.options.timestamps, Some((1, 77)));
        // The last edge lies beyond what the stack has sent.
        let expected = [(106_000, 107_000), (108_000, 108_500)];
        assert_eq!(segment.options.sack.as_slice(), expected);
    }

    #[test]
    fn what_an_error_quotes_becomes_the_stacks() {
        let quote = &made(&[])[..28];
        let message = [&[3, 1, 0, 0, 0, 0, 0, 0], quote].concat();
        let mut bytes = vec![0; 20];
        let (router, host) = ([10, 0, 0, 9].into(), [10, 0, 0, 1].into());
        let _ = ipv4::Fields::new(router, host, Protocol::ICMP).emit(message.len(), &mut bytes);
        bytes.extend(&message);
        let sum = checksum(&message).to_be_bytes();
        bytes[22..24].copy_from_slice(&sum);
        let found = ip(&bytes);
        assert!(is_right(&bytes, &found));
        let other = bytes.clone();
        quoted(&mut bytes, &found, |_, _| None);
        assert_eq!(bytes, other, "of no flow of ours");
        quoted(&mut bytes, &found, |from, to| {
            assert_eq!((from, to), ends());
            Some(Shift::between(0, 1000))
        });
        assert!(is_right(&bytes, &ip(&bytes)));
        assert_eq!(number_at(&bytes, 20 + 8 + 20 + 4), 1007);
    }
}
