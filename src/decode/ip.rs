//! IPv4 and IPv6 headers, fragments and extension headers.

use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv6Addr};

use super::{MAX_SHOWN, Out, transport};
use crate::base::Protocol;
use crate::base::checksum::Sum;
use crate::ipv6::extension::{self, Discard, Extension, Outcome};
use crate::link::RxChecksum;
use crate::{ipv4, ipv6};

/// An IP payload with what its printers need to know.
pub(super) struct Packet<'a> {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// Where it goes in the end, which checksums cover (RFC 8200 §8.1); `None` when a routing header of
    /// an unknown type knows it.
    pub(super) final_dst: Option<IpAddr>,
    /// What stands between the addresses and the transport: options, extension headers.
    pub(super) prefix: String,
    pub(super) protocol: Protocol,
    /// The bytes that are there.
    pub(super) bytes: &'a [u8],
    /// The bytes that there should be.
    pub(super) len: usize,
    /// For the checks of neighbour discovery.
    pub(super) v6: Option<ipv6::Header<'a>>,
}

impl Packet<'_> {
    /// Is every byte there, so that a checksum can be verified?
    pub(super) fn is_whole(&self) -> bool {
        self.bytes.len() == self.len
    }

    /// The sum over the pseudo-header.
    pub(super) fn pseudo_sum(&self) -> Sum {
        match (self.src, self.final_dst.unwrap_or(self.dst)) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                ipv4::pseudo_sum(src, dst, self.protocol, self.len)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                ipv6::pseudo_sum(src, dst, self.protocol, self.len)
            }
            _ => Sum::new(),
        }
    }

    /// Writes the addresses (RFC 8504 §11.1: in the form of RFC 5952, as the standard library does), with ports
    /// when there are any, and what comes before the transport.
    pub(super) fn head(&self, out: &mut Out<'_, '_>, ports: Option<(u16, u16)>) -> fmt::Result {
        let name = if self.src.is_ipv4() { "IP" } else { "IP6" };
        let (src, dst) = (self.src, self.dst);
        match ports {
            Some((from, to)) => write!(out, "{name} {src}.{from} > {dst}.{to}: ")?,
            None => write!(out, "{name} {src} > {dst}: ")?,
        }
        out.write_str(&self.prefix)
    }

    /// Notes a wrong checksum whose field holds `found`; `pseudo` is the sum of what lies before.
    pub(super) fn check(&self, out: &mut Out<'_, '_>, name: &str, pseudo: Sum, found: u16) {
        if !self.is_whole() {
            return;
        }
        if self.final_dst.is_none() {
            out.note(format_args!(
                "{name} checksum not verified behind this routing header"
            ));
            return;
        }
        match out.checksum {
            RxChecksum::Verified => {}
            RxChecksum::Partial(_) => out.note("partial checksum"),
            RxChecksum::Unknown => {
                let sum = pseudo.bytes(self.bytes);
                if sum.is_valid() {
                    return;
                }
                // ICMP has no pseudo-header, hence no partial form.
                if found == pseudo.partial() && pseudo != Sum::new() {
                    out.note("partial checksum");
                } else {
                    bad_checksum(out, name, sum, found);
                }
            }
        }
    }
}

/// Notes that `found` is wrong in a `sum` that includes it.
fn bad_checksum(out: &mut Out<'_, '_>, name: &str, sum: Sum, found: u16) {
    let right = Sum::new().word(sum.partial()).word(!found).finish();
    out.note(format_args!(
        "bad {name} checksum 0x{found:04x}, should be 0x{right:04x}"
    ));
}

/// Prints an IP packet of the version that it names.
pub(super) fn any(out: &mut Out<'_, '_>, data: &[u8]) -> fmt::Result {
    match data.first().map(|first| first >> 4) {
        Some(4) => v4(out, data),
        Some(6) => v6(out, data),
        Some(version) => {
            out.note(format_args!("ip version {version} is neither 4 nor 6"));
            write!(out, "IP, length {}", data.len())
        }
        None => {
            out.note_missing("empty");
            out.write_str("IP, length 0")
        }
    }
}

/// Prints an IPv4 packet.
pub(super) fn v4(out: &mut Out<'_, '_>, data: &[u8]) -> fmt::Result {
    let (header, rest) = match ipv4::Header::parse_quoted(data) {
        Ok(parts) => parts,
        Err(error) => {
            match error {
                ipv4::ParseError::Truncated { .. } => out.note_missing(error),
                _ => out.note(error),
            }
            return write!(out, "IP, length {}", data.len());
        }
    };
    if !header.checksum_is_valid() {
        let sum = Sum::new().bytes(&data[..header.header_len()]);
        bad_checksum(out, "ip", sum, header.checksum());
    }
    let (total, header_len) = (header.total_len(), header.header_len());
    let len = match total.checked_sub(header_len) {
        Some(len) => len,
        None => {
            let header = header_len;
            out.note(ipv4::ParseError::TotalLength { total, header });
            rest.len()
        }
    };
    if len > rest.len() {
        let (need, have) = (total, data.len());
        out.note_missing(ipv4::ParseError::Truncated { need, have });
    }
    let packet = Packet {
        src: header.src().into(),
        dst: header.dst().into(),
        final_dst: Some(header.dst().into()),
        prefix: v4_options(out, &header)?,
        protocol: header.protocol(),
        bytes: rest.get(..len).unwrap_or(rest),
        // A Total Length of nothing leaves what the frame holds, up to what a packet may hold.
        len: len.min(0xffff),
        v6: None,
    };
    if !header.is_fragment() {
        return transport::print(out, &packet);
    }
    packet.head(out, None)?;
    let more = if header.more_fragments() { "+" } else { "" };
    write!(
        out,
        "{} fragment, id {}, offset {}{more}, length {len}",
        header.protocol(),
        header.id(),
        header.fragment_offset()
    )
}

fn v4_options(out: &mut Out<'_, '_>, header: &ipv4::Header<'_>) -> Result<String, fmt::Error> {
    use ipv4::kind;
    let mut options = header.options();
    let mut text = String::new();
    for option in options.by_ref() {
        text.push_str(if text.is_empty() { "options [" } else { "," });
        match option.kind {
            kind::RECORD_ROUTE => text.push_str("RR"),
            kind::TIMESTAMP => text.push_str("TS"),
            kind::LOOSE_SOURCE_ROUTE => text.push_str("LSRR"),
            kind::STRICT_SOURCE_ROUTE => text.push_str("SSRR"),
            kind::ROUTER_ALERT => text.push_str("RA"),
            other => write!(text, "{other}")?,
        }
    }
    if !text.is_empty() {
        text.push_str("], ");
    }
    if options.malformed() {
        out.note("malformed ip option");
    }
    Ok(text)
}

/// Prints an IPv6 packet.
pub(super) fn v6(out: &mut Out<'_, '_>, data: &[u8]) -> fmt::Result {
    let (header, rest) = match ipv6::Header::parse_quoted(data) {
        Ok(parts) => parts,
        Err(error) => {
            match error {
                ipv6::ParseError::Truncated { .. } => out.note_missing(error),
                _ => out.note(error),
            }
            return write!(out, "IP6, length {}", data.len());
        }
    };
    let len = header.payload_len();
    if len > rest.len() {
        let (need, have) = (header.total_len(), data.len());
        out.note_missing(ipv6::ParseError::Truncated { need, have });
    }
    let payload = rest.get(..len).unwrap_or(rest);
    verdict(out, &header, payload);
    let chain = Chain::walk(&header, payload)?;
    let packet = Packet {
        src: header.src().into(),
        dst: header.dst().into(),
        final_dst: chain.final_dst.map(IpAddr::from),
        prefix: chain.text,
        protocol: chain.protocol,
        bytes: payload.get(chain.at..).unwrap_or_default(),
        len: len.saturating_sub(chain.at),
        v6: Some(header),
    };
    match chain.end {
        End::Upper => transport::print(out, &packet),
        End::Fragment => {
            packet.head(out, None)?;
            write!(out, "{} fragment, length {}", packet.protocol, packet.len)
        }
        End::Cut => {
            packet.head(out, None)?;
            write!(out, "{}, length {}", packet.protocol, packet.len)
        }
    }
}

/// Notes what a receiver must do about the extension headers.
fn verdict(out: &mut Out<'_, '_>, header: &ipv6::Header<'_>, payload: &[u8]) {
    match extension::walk(header, payload) {
        Outcome::Upper { .. } | Outcome::Fragment(_) => {}
        Outcome::Discard(Discard::Truncated(truncated)) => out.note_missing(truncated),
        Outcome::Discard(Discard::Malformed) => out.note("malformed ipv6 option"),
        Outcome::Discard(Discard::Option { kind }) => {
            out.note(format_args!("ipv6 option 0x{kind:02x} asks for discard"));
        }
        Outcome::ParameterProblem { code, pointer } => {
            let what = match code {
                extension::code::NEXT_HEADER => "next header",
                extension::code::OPTION => "option",
                _ => "header field",
            };
            out.note(format_args!("unknown {what} at octet {pointer}"));
        }
    }
}

/// How a chain of extension headers ends for a reader.
enum End {
    /// With the transport.
    Upper,
    /// With a piece of a packet.
    Fragment,
    /// Before it should.
    Cut,
}

/// A chain of extension headers, read without judgement.
struct Chain {
    text: String,
    protocol: Protocol,
    at: usize,
    end: End,
    /// As in [`Packet`].
    final_dst: Option<Ipv6Addr>,
}

impl Chain {
    fn walk(header: &ipv6::Header<'_>, payload: &[u8]) -> Result<Self, fmt::Error> {
        let mut chain = Self {
            text: String::new(),
            protocol: header.next_header(),
            at: 0,
            end: End::Upper,
            final_dst: Some(header.dst()),
        };
        let mut shown = 0;
        while let Some(extension) = Extension::parse(chain.protocol, payload, chain.at) {
            let Ok(extension) = extension else {
                chain.end = End::Cut;
                break;
            };
            shown += 1;
            match shown {
                ..=MAX_SHOWN => chain.show(&extension)?,
                _ if shown == MAX_SHOWN + 1 => chain.text.push_str(".. "),
                _ => {}
            }
            if extension.kind == Protocol::ROUTING && extension.bytes.get(3) != Some(&0) {
                chain.final_dst = last_hop(extension.bytes);
            }
            chain.protocol = extension.next_header;
            chain.at += extension.bytes.len();
            if extension.fragment().is_some_and(|f| !f.is_atomic()) {
                chain.end = End::Fragment;
                break;
            }
        }
        Ok(chain)
    }

    fn show(&mut self, extension: &Extension<'_>) -> fmt::Result {
        write!(self.text, "{} ", extension.kind)?;
        if let Some(fragment) = extension.fragment() {
            let more = if fragment.more { "+" } else { "" };
            let (id, offset) = (fragment.id, fragment.offset);
            return write!(self.text, "(0x{id:08x}:{offset}{more}) ");
        }
        if extension.kind == Protocol::ROUTING {
            let (kind, left) = (extension.bytes.get(2), extension.bytes.get(3));
            if let (Some(kind), Some(left)) = (kind, left) {
                write!(self.text, "(type {kind}, {left} left) ")?;
            }
        }
        let mut options = extension.options().take(MAX_SHOWN).peekable();
        if options.peek().is_none() {
            return Ok(());
        }
        for (n, option) in options.enumerate() {
            self.text.push(if n == 0 { '(' } else { ',' });
            match option.kind {
                0x05 => self.text.push_str("rtalert"),
                0xc2 => self.text.push_str("jumbo"),
                other => write!(self.text, "0x{other:02x}")?,
            }
        }
        self.text.push_str(") ");
        Ok(())
    }
}

/// The last address of a routing header that still has segments to go.
fn last_hop(routing: &[u8]) -> Option<Ipv6Addr> {
    let mut hops = routing.get(8..)?.chunks_exact(16);
    let last = match routing.get(2)? {
        // RFC 2460 §4.4 (type 0), RFC 6275 §6.4 (type 2): in the order of the way.
        0 | 2 => hops.next_back(),
        // RFC 8754 §2: the last one first.
        4 => hops.next(),
        _ => None,
    };
    Some(Ipv6Addr::from(*last?.first_chunk::<16>()?))
}
