//! Packets of the peer, from a line of the script to octets.
//!
//! *Owns* how they are put together. *Does not* hand them to anybody.

use core::net::{IpAddr, SocketAddr};

use super::super::ast::{EcnField, IpInfo, Number, Tcp, TcpOption, TcpOptionList};
use super::numbers::{Numbers, their_byte};
use crate::base::Protocol;
use crate::tcp::{Fields, Flags, Options};
use crate::{ipv4, ipv6, udp};

/// Where the checksums of the transports lie.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// From and to.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// What of a line's text one packet holds: where it begins, how long it is, and whether it ends there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) from: u32,
    pub(super) len: u32,
    pub(super) last: bool,
}

/// A segment of the peer as an IP packet.
///
/// # Errors
/// Why it cannot be made.
pub(super) fn segment(
    ends: Ends,
    ip: &IpInfo,
    tcp: &Tcp,
    piece: Piece,
    numbers: &Numbers,
) -> Result<Vec<u8>, String> {
    let acks = tcp.flags.contains(Flags::ACK);
    let mut fields = Fields::default();
    (fields.src_port, fields.dst_port) = (ends.0.port(), ends.1.port());
    fields.seq = numbers.theirs_to_wire(tcp.seq).wrapping_add(piece.from);
    fields.ack = match tcp.ack {
        Some(ack) if acks => numbers.ours_to_wire(ack),
        Some(ack) => ack.value,
        None => 0,
    };
    fields.flags = tcp.flags;
    if !piece.last {
        fields.flags.remove(Flags::FIN | Flags::PSH);
    }
    fields.window = tcp.window.unwrap_or(0);
    fields.urgent = tcp.urgent.unwrap_or(0);
    let options = match &tcp.options {
        TcpOptionList::Any => return Err("what is sent must name its options".into()),
        TcpOptionList::These(list) => options(list, acks, numbers)?,
    };
    let mut segment = vec![0; 60];
    let len = fields.emit(&Options::NONE, &mut segment);
    segment.truncate(len);
    segment.extend(&options);
    let words = u8::try_from(segment.len() / 4).unwrap_or(15);
    if let Some(offset) = segment.get_mut(12) {
        *offset = words << 4 | (*offset & 0x0f);
    }
    let start = numbers.their_offset(tcp.seq.value).wrapping_add(piece.from);
    let start = start.wrapping_add(u32::from(tcp.flags.contains(Flags::SYN)));
    segment.extend((0..piece.len).map(|n| their_byte(start.wrapping_add(n))));
    packet(ends, ip, Protocol::TCP, segment, Some(TCP_CHECKSUM))
}

fn options(list: &[TcpOption], acks: bool, numbers: &Numbers) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for option in list {
        match option {
            TcpOption::Eol => bytes.push(0),
            TcpOption::Nop => bytes.push(1),
            TcpOption::Mss(mss) => {
                bytes.extend([2, 4]);
                bytes.extend(mss.to_be_bytes());
            }
            TcpOption::WindowScale(shift) => bytes.extend([3, 3, *shift]),
            TcpOption::SackOk => bytes.extend([4, 2]),
            TcpOption::Sack(blocks) => {
                let len = u8::try_from(2 + 8 * blocks.len()).unwrap_or(u8::MAX);
                bytes.extend([5, len]);
                for edge in blocks.iter().flat_map(|(l, r)| [l, r]) {
                    bytes.extend(numbers.ours_to_wire(*edge).to_be_bytes());
                }
            }
            TcpOption::Timestamps { val, ecr } => {
                let val = val.wrapping_add(numbers.peer_stamp_shift);
                let ecr = if acks {
                    numbers.echo_to_wire(*ecr).ok_or_else(|| {
                        format!("ecr {ecr} names no TSval of a packet that was expected before")
                    })?
                } else {
                    *ecr
                };
                bytes.extend([8, 10]);
                bytes.extend(val.to_be_bytes());
                bytes.extend(ecr.to_be_bytes());
            }
            TcpOption::FastOpen(cookie) => {
                // With a SYN alone it is ours, which came back.
                let cookie = match acks {
                    true => cookie.clone(),
                    false => numbers.cookie_to_wire(cookie),
                };
                bytes.extend([34, u8::try_from(2 + cookie.len()).unwrap_or(u8::MAX)]);
                bytes.extend(cookie);
            }
            TcpOption::Unsupported(name) => return Err(format!("the TCP option {name}")),
        }
    }
    // Behind the last one the list ends (RFC 9293 §3.1).
    while bytes.len() % 4 > 0 {
        bytes.push(0);
    }
    if bytes.len() > 40 {
        return Err(format!("{} bytes of options, at most 40", bytes.len()));
    }
    Ok(bytes)
}

/// A datagram of the peer.
///
/// # Errors
/// Why it cannot be made.
pub(super) fn datagram(ends: Ends, ip: &IpInfo, len: u16) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; udp::HEADER_LEN];
    let fields = udp::Fields::new(ends.0.port(), ends.1.port());
    fields.emit(usize::from(len), &mut bytes);
    bytes.extend((0..u32::from(len)).map(their_byte));
    packet(ends, ip, Protocol::UDP, bytes, Some(UDP_CHECKSUM))
}

/// Puts the IP header in front, and completes the checksum that lies at `checksum`; an ICMPv6 message is
/// complete already.
pub(super) fn packet(
    ends: Ends,
    ip: &IpInfo,
    protocol: Protocol,
    mut payload: Vec<u8>,
    checksum: Option<usize>,
) -> Result<Vec<u8>, String> {
    let len = payload.len();
    if len > 65_535 - 40 {
        return Err(format!(
            "{len} bytes do not fit in a packet: --mss=N cuts them"
        ));
    }
    let tos = ip.tos.unwrap_or(0) | ecn_bits(ip.ecn);
    let ttl = ip.ttl.unwrap_or(255);
    let mut head = [0; 60];
    let (pseudo, head_len) = match (ends.0.ip(), ends.1.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut fields = ipv4::Fields::new(src, dst, protocol);
            (fields.tos, fields.ttl) = (tos, ttl);
            let pseudo = ipv4::pseudo_sum(src, dst, protocol, len);
            (pseudo, fields.emit(len, &mut head))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut fields = ipv6::Fields::new(src, dst, protocol);
            (fields.traffic_class, fields.hop_limit) = (tos, ttl);
            fields.flow_label = ip.flow_label.unwrap_or(0);
            let pseudo = ipv6::pseudo_sum(src, dst, protocol, len);
            (pseudo, fields.emit(len, &mut head))
        }
        _ => return Err("addresses of both families in one packet".into()),
    };
    if let Some(at) = checksum {
        let sum = pseudo.bytes(&payload).finish();
        if let Some(field) = payload.get_mut(at..at + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }
    let mut bytes = head.get(..head_len).unwrap_or_default().to_vec();
    bytes.extend(payload);
    Ok(bytes)
}

pub(super) const fn ecn_bits(ecn: Option<EcnField>) -> u8 {
    match ecn {
        None | Some(EcnField::None) => 0,
        Some(EcnField::Ect1) => 1,
        // Either of them: the usual one.
        Some(EcnField::Ect0 | EcnField::Ect01) => 2,
        Some(EcnField::Ce) => 3,
    }
}

/// The first octets of a segment of ours, as an ICMP error quotes them.
pub(super) fn quoted_segment(ends: Ends, seq: Number, len: u32, numbers: &Numbers) -> Vec<u8> {
    let mut fields = Fields::default();
    (fields.src_port, fields.dst_port) = (ends.0.port(), ends.1.port());
    fields.seq = numbers.ours_to_wire(seq);
    fields.flags = Flags::ACK;
    let mut header = vec![0; 60];
    let head = fields.emit(&Options::NONE, &mut header);
    header.truncate(head);
    // The header says how long it was; the text is cut off.
    let whole = usize::try_from(len).unwrap_or(0).min(65_000) + head;
    quoted(ends, Protocol::TCP, &header, whole)
}

/// A datagram of ours, quoted.
pub(super) fn quoted_datagram(ends: Ends, len: u16) -> Vec<u8> {
    let mut header = vec![0; udp::HEADER_LEN];
    udp::Fields::new(ends.0.port(), ends.1.port()).emit(usize::from(len), &mut header);
    quoted(
        ends,
        Protocol::UDP,
        &header,
        udp::HEADER_LEN + usize::from(len).min(65_000),
    )
}

fn quoted(ends: Ends, protocol: Protocol, header: &[u8], len: usize) -> Vec<u8> {
    let mut head = [0; 60];
    let head_len = match (ends.0.ip(), ends.1.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ipv4::Fields::new(src, dst, protocol).emit(len, &mut head)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            ipv6::Fields::new(src, dst, protocol).emit(len, &mut head)
        }
        _ => 0,
    };
    let mut bytes = head.get(..head_len).unwrap_or_default().to_vec();
    bytes.extend(header);
    bytes
}
