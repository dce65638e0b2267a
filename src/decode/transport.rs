//! TCP, UDP, and protocols that have only a name.

use core::fmt::{self, Write};

use super::ip::Packet;
use super::{Out, dhcp, dhcp6, dns, icmp, igmp};
use crate::base::Protocol;
use crate::tcp::{self, Flags, TcpOption};
use crate::udp;

/// Prints what an IP packet carries.
pub(super) fn print(out: &mut Out<'_, '_>, packet: &Packet<'_>) -> fmt::Result {
    match (packet.protocol, packet.v6) {
        (Protocol::TCP, _) => tcp(out, packet),
        (Protocol::UDP, _) => udp(out, packet),
        (Protocol::ICMP, None) => icmp::v4(out, packet),
        (Protocol::IGMP, None) => igmp::print(out, packet),
        (Protocol::ICMPV6, Some(header)) => icmp::v6(out, packet, &header),
        _ => plain(out, packet),
    }
}

/// Prints the protocol's name and the length.
pub(super) fn plain(out: &mut Out<'_, '_>, packet: &Packet<'_>) -> fmt::Result {
    packet.head(out, None)?;
    write!(out, "{}, length {}", packet.protocol, packet.len)
}

fn tcp(out: &mut Out<'_, '_>, packet: &Packet<'_>) -> fmt::Result {
    let (header, _) = match tcp::Header::parse(packet.bytes) {
        Ok(parts) => parts,
        Err(error @ tcp::ParseError::Truncated { .. }) => {
            out.note_missing(error);
            return ports_only(out, packet);
        }
        Err(error) => {
            out.note(error);
            return ports_only(out, packet);
        }
    };
    packet.check(out, "tcp", packet.pseudo_sum(), header.checksum());
    packet.head(out, Some((header.src_port(), header.dst_port())))?;
    let flags = header.flags();
    let text_len = packet.len.saturating_sub(header.len());
    out.write_str("Flags [")?;
    tcp_flags(out, flags)?;
    out.write_char(']')?;
    let seq = header.seq();
    if text_len > 0 {
        let end = seq.wrapping_add(u32::try_from(text_len).unwrap_or(u32::MAX));
        write!(out, ", seq {seq}:{end}")?;
    } else if flags.intersects(Flags::SYN | Flags::FIN | Flags::RST) {
        write!(out, ", seq {seq}")?;
    }
    if flags.contains(Flags::ACK) {
        write!(out, ", ack {}", header.ack())?;
    }
    write!(out, ", win {}", header.window())?;
    if flags.contains(Flags::URG) {
        write!(out, ", urg {}", header.urgent())?;
    }
    tcp_options(out, &header)?;
    write!(out, ", length {text_len}")
}

/// A segment of which no more than the ports can be told.
fn ports_only(out: &mut Out<'_, '_>, packet: &Packet<'_>) -> fmt::Result {
    let ports = ports(packet.bytes);
    packet.head(out, ports)?;
    write!(out, "{}, length {}", packet.protocol, packet.len)
}

/// The ports, which lie in the first four bytes of TCP and UDP.
pub(super) fn ports(bytes: &[u8]) -> Option<(u16, u16)> {
    let (&[a, b, c, d], _) = bytes.split_first_chunk::<4>()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// The letters of tcpdump: `S.` is SYN and ACK.
fn tcp_flags(out: &mut Out<'_, '_>, flags: Flags) -> fmt::Result {
    const LETTERS: [(Flags, char); 9] = [
        (Flags::FIN, 'F'),
        (Flags::SYN, 'S'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::ACK, '.'),
        (Flags::URG, 'U'),
        (Flags::ECE, 'E'),
        (Flags::CWR, 'W'),
        (Flags::AE, 'e'),
    ];
    if !flags.intersects(Flags::all()) {
        return out.write_str("none");
    }
    for (flag, letter) in LETTERS {
        if flags.contains(flag) {
            out.write_char(letter)?;
        }
    }
    Ok(())
}

fn tcp_options(out: &mut Out<'_, '_>, header: &tcp::Header<'_>) -> fmt::Result {
    let mut options = header.options();
    let mut any = false;
    for option in options.by_ref() {
        out.write_str(if any { "," } else { ", options [" })?;
        any = true;
        match option {
            TcpOption::Mss(mss) => write!(out, "mss {mss}")?,
            TcpOption::WindowScale(shift) => write!(out, "wscale {shift}")?,
            TcpOption::SackPermitted => out.write_str("sackOK")?,
            TcpOption::Sack(blocks) => {
                write!(out, "sack {} ", blocks.len())?;
                for (left, right) in &blocks {
                    write!(out, "{{{left}:{right}}}")?;
                }
            }
            TcpOption::Timestamps { val, ecr } => write!(out, "TS val {val} ecr {ecr}")?,
            TcpOption::FastOpen([]) => out.write_str("tfo cookiereq")?,
            TcpOption::FastOpen(cookie) => {
                out.write_str("tfo cookie ")?;
                hex(out, cookie)?;
            }
            TcpOption::Unknown { kind, data } => {
                write!(out, "unknown-{kind}")?;
                if !data.is_empty() {
                    out.write_str(" 0x")?;
                    hex(out, data)?;
                }
            }
        }
    }
    if any {
        out.write_char(']')?;
    }
    if options.malformed() {
        out.note("malformed tcp option");
    }
    Ok(())
}

fn hex(out: &mut Out<'_, '_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

fn udp(out: &mut Out<'_, '_>, packet: &Packet<'_>) -> fmt::Result {
    let (header, data) = match udp::Header::parse_quoted(packet.bytes) {
        Ok(parts) => parts,
        Err(error) => {
            out.note_missing(error);
            return ports_only(out, packet);
        }
    };
    let length = usize::from(header.length());
    let (need, have) = (length, packet.len);
    if length < udp::HEADER_LEN {
        let length = header.length();
        out.note(udp::ParseError::Length { length });
    } else if need > have {
        out.note(udp::ParseError::Truncated { need, have });
    } else if header.checksum() != 0 {
        let datagram = Packet {
            bytes: packet.bytes.get(..need).unwrap_or(packet.bytes),
            len: need,
            prefix: String::new(),
            ..*packet
        };
        datagram.check(out, "udp", datagram.pseudo_sum(), header.checksum());
    } else if packet.v6.is_some() {
        out.note("udp without checksum over ipv6");
    }
    let ports = (header.src_port(), header.dst_port());
    packet.head(out, Some(ports))?;
    let data_len = length.saturating_sub(udp::HEADER_LEN);
    let data = data.get(..data_len).unwrap_or(data);
    if dhcp::is_dhcp(ports) && packet.v6.is_none() && dhcp::print(out, data)? {
        return Ok(());
    }
    if dhcp6::is_dhcp(ports) && packet.v6.is_some() && dhcp6::print(out, data)? {
        return Ok(());
    }
    write!(out, "UDP, length {data_len}")?;
    dns::print(out, [header.src_port(), header.dst_port()], data)
}
