//! Packets: `(ect0) 80 > 5000 P. 1:1001(1000) ack 1 win 500 <nop,nop,TS val 1 ecr 2>`.

use core::num::NonZeroU16;

use super::super::ast::{Body, EcnField, Icmp, IpInfo, Number, Packet, Quoted, Tcp, Udp};
use super::super::cursor::Cursor;
use super::super::letters::LETTERS;
use super::{Parsed, tcp_options};
use crate::tcp::Flags;

/// Protocols and encapsulations that the notation knows and netloom has not.
const FOREIGN: &[&str] = &["udplite", "sctp", "ipv4", "ipv6", "gre", "mpls", "vxlan"];

const U16: u64 = u16::MAX as u64;
const U32: u64 = u32::MAX as u64;

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Packet> {
    let mut ip = IpInfo::default();
    cursor.skip_space();
    if FOREIGN.contains(&cursor.peek_word()) {
        return Ok(unsupported(cursor, cursor.peek_word()));
    }
    for (open, close) in [("(", ")"), ("[", "]")] {
        if cursor.eat(open) {
            if let Some(name) = parse_ip_info(cursor, close, &mut ip)? {
                return Ok(unsupported(cursor, name));
            }
            break;
        }
    }
    cursor.skip_space();
    let body = match cursor.peek_word() {
        "udp" => Body::Udp(parse_udp(cursor)?),
        "icmp" => Body::Icmp(parse_icmp(cursor)?),
        name if FOREIGN.contains(&name) => return Ok(unsupported(cursor, name)),
        _ => Body::Tcp(parse_tcp(cursor)?),
    };
    Ok(Packet {
        ip,
        body,
        joined: false,
    })
}

/// The rest of the line belongs to it.
fn unsupported(cursor: &mut Cursor<'_>, name: &str) -> Packet {
    cursor.take_while(|c| c != '\n');
    Packet {
        ip: IpInfo::default(),
        body: Body::Unsupported(name.to_owned()),
        joined: false,
    }
}

/// Returns the name of a field that is not known.
fn parse_ip_info<'a>(
    cursor: &mut Cursor<'a>,
    close: &str,
    ip: &mut IpInfo,
) -> Parsed<Option<&'a str>> {
    loop {
        cursor.skip_space();
        if cursor.eat(close) {
            return Ok(None);
        }
        match cursor.word("a field of the IP header")? {
            "noecn" => ip.ecn = Some(EcnField::None),
            "ect0" => ip.ecn = Some(EcnField::Ect0),
            "ect1" => ip.ecn = Some(EcnField::Ect1),
            "ect01" => ip.ecn = Some(EcnField::Ect01),
            "ce" => ip.ecn = Some(EcnField::Ce),
            "tos" | "class" => ip.tos = Some(octet(cursor, "a traffic class")?),
            "ttl" | "hlim" => ip.ttl = Some(octet(cursor, "a hop limit")?),
            "flowlabel" => {
                let label = cursor.number("a flow label", 0xf_ffff)?;
                ip.flow_label = u32::try_from(label).ok();
            }
            other => return Ok(Some(other)),
        }
        cursor.skip_space();
        cursor.eat(",");
    }
}

fn octet(cursor: &mut Cursor<'_>, expected: &str) -> Parsed<u8> {
    let number = cursor.number(expected, u64::from(u8::MAX))?;
    Ok(u8::try_from(number).unwrap_or(u8::MAX))
}

pub(super) fn half(cursor: &mut Cursor<'_>, expected: &str) -> Parsed<u16> {
    let number = cursor.number(expected, U16)?;
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

pub(super) fn word32(cursor: &mut Cursor<'_>, expected: &str) -> Parsed<u32> {
    let number = cursor.number(expected, U32)?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// `1234 > 80`, when that is next.
fn parse_ports(cursor: &mut Cursor<'_>) -> Parsed<Option<(u16, u16)>> {
    cursor.skip_space();
    let word = cursor.peek_word();
    let behind = cursor.rest().get(word.len()..).unwrap_or_default();
    let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    if !is_number || !behind.trim_start().starts_with('>') {
        return Ok(None);
    }
    let from = half(cursor, "a port")?;
    cursor.expect(">")?;
    let to = half(cursor, "a port")?;
    Ok(Some((from, to)))
}

fn parse_tcp(cursor: &mut Cursor<'_>) -> Parsed<Tcp> {
    let ports = parse_ports(cursor)?;
    let flags = parse_flags(cursor)?;
    let (seq, len, size) = parse_range(cursor)?;
    let mut tcp = Tcp {
        ports,
        flags,
        seq,
        len,
        size,
        ack: None,
        window: None,
        urgent: None,
        options: super::super::ast::TcpOptionList::These(Vec::new()),
    };
    cursor.skip_space();
    if cursor.eat_word("ack") {
        tcp.ack = Some(parse_number(cursor, "an acknowledgment number")?);
        cursor.skip_space();
    }
    if cursor.eat_word("win") {
        tcp.window = Some(half(cursor, "a window")?);
        cursor.skip_space();
    }
    if cursor.eat_word("urg") {
        tcp.urgent = Some(half(cursor, "an urgent pointer")?);
        cursor.skip_space();
    }
    if cursor.eat("<") {
        tcp.options = tcp_options::parse(cursor)?;
    }
    Ok(tcp)
}

fn parse_flags(cursor: &mut Cursor<'_>) -> Parsed<Flags> {
    cursor.skip_space();
    if cursor.eat("-") {
        return Ok(Flags::empty());
    }
    let mut flags = Flags::empty();
    let mut any = false;
    while let Some(c) = cursor.peek() {
        let flag = match LETTERS.iter().find(|(letter, _)| *letter == c) {
            Some((_, flag)) => *flag,
            // The three bits of an ACE count, as a number.
            None => match c.to_digit(8) {
                Some(count) => {
                    let bits = [(4, Flags::AE), (2, Flags::CWR), (1, Flags::ECE)];
                    let set = bits.iter().filter(|(bit, _)| count & bit != 0);
                    set.fold(Flags::empty(), |all, (_, flag)| all | *flag)
                }
                None => break,
            },
        };
        flags |= flag;
        any = true;
        cursor.advance(1);
    }
    if !any || cursor.peek().is_none_or(|c| !c.is_whitespace()) {
        return Err(cursor.error("flags: letters of FSRPUEWA, `.` for ACK, or `-`"));
    }
    Ok(flags)
}

/// `start:end(len)` or `start:...(len)`, and the size of each segment where the length says it.
fn parse_range(cursor: &mut Cursor<'_>) -> Parsed<(Number, u32, Option<NonZeroU16>)> {
    let start = parse_number(cursor, "a sequence number")?;
    cursor.expect(":")?;
    cursor.skip_space();
    let place = cursor.at();
    let end = if cursor.eat("...") {
        None
    } else {
        Some(parse_number(cursor, "the sequence number of the end")?)
    };
    cursor.expect("(")?;
    let (len, size) = parse_text(cursor)?;
    cursor.expect(")")?;
    let right = start.value.wrapping_add(len);
    if end.is_some_and(|end| end.value != right) {
        let place = cursor.within(place, place + cursor.since(place).len());
        return Err(place.error(&format!("{right}, which is start and length")));
    }
    // What one packet may carry, and a run of packets on one line: more is a slip of the pen.
    if len > 1 << 24 {
        let place = cursor.within(place, place + cursor.since(place).len());
        return Err(place.error("a length of at most 16777216"));
    }
    Ok((start, len, size))
}

/// A length: `1000`, or `3x1000+200` for three segments of 1000 bytes and one of 200.
fn parse_text(cursor: &mut Cursor<'_>) -> Parsed<(u32, Option<NonZeroU16>)> {
    cursor.skip_space();
    let word = cursor.peek_word();
    let Some((times, size)) = word.split_once('x').filter(|(times, _)| *times != "0") else {
        return Ok((word32(cursor, "a length")?, None));
    };
    let (times, size) = (times.parse::<u32>().ok(), size.parse::<NonZeroU16>().ok());
    let (Some(times), Some(size)) = (times, size) else {
        return Err(cursor.error("segments: how many, `x`, and the bytes of each"));
    };
    cursor.advance(word.len());
    let mut rest = 0;
    if cursor.eat("+") {
        rest = half(cursor, "the bytes of the last segment")?;
        if rest >= size.get() {
            return Err(cursor.error("a last segment that is shorter than the others before this"));
        }
    }
    let whole = times.checked_mul(size.get().into());
    let len = whole.and_then(|whole| whole.checked_add(rest.into()));
    let len = len.ok_or_else(|| cursor.error("a length of at most 4294967295 before this"))?;
    Ok((len, Some(size)))
}

pub(super) fn parse_number(cursor: &mut Cursor<'_>, expected: &str) -> Parsed<Number> {
    let value = word32(cursor, expected)?;
    let absolute = cursor.eat("!");
    Ok(Number { value, absolute })
}

fn parse_udp(cursor: &mut Cursor<'_>) -> Parsed<Udp> {
    cursor.eat_word("udp");
    let ports = parse_ports(cursor)?;
    let len = parse_length(cursor)?;
    Ok(Udp { ports, len })
}

fn parse_length(cursor: &mut Cursor<'_>) -> Parsed<u16> {
    cursor.expect("(")?;
    let len = half(cursor, "a length")?;
    cursor.expect(")")?;
    Ok(len)
}

fn parse_icmp(cursor: &mut Cursor<'_>) -> Parsed<Icmp> {
    cursor.eat_word("icmp");
    let kind = cursor.word("a kind of ICMP message")?.to_owned();
    let mut icmp = Icmp {
        kind,
        code: None,
        mtu: None,
        id: None,
        quoted: None,
    };
    // An event begins with a digit, a sign or a star: a word still belongs to this one.
    cursor.skip_space();
    while cursor.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
        match cursor.word("a code")? {
            "mtu" => icmp.mtu = Some(word32(cursor, "an MTU")?),
            "id" => icmp.id = Some(half(cursor, "an identifier")?),
            "code" => icmp.code = Some(octet(cursor, "a code")?.to_string()),
            code if icmp.code.is_none() => icmp.code = Some(code.to_owned()),
            _ => return Err(cursor.error("`mtu`, `id` or the quoted packet")),
        }
        cursor.skip_space();
    }
    if cursor.eat("[") {
        icmp.quoted = Some(parse_quoted(cursor)?);
        cursor.expect("]")?;
    }
    Ok(icmp)
}

fn parse_quoted(cursor: &mut Cursor<'_>) -> Parsed<Quoted> {
    cursor.skip_space();
    if cursor.eat_word("udp") {
        let len = parse_length(cursor)?;
        return Ok(Quoted::Udp { len });
    }
    if cursor.eat_word("raw") {
        let len = parse_length(cursor)?;
        return Ok(Quoted::Raw { len });
    }
    let mut flags = None;
    if cursor.peek().is_none_or(|c| !c.is_ascii_digit()) {
        flags = Some(parse_flags(cursor)?);
    }
    let (seq, len, _) = parse_range(cursor)?;
    cursor.skip_space();
    let mut ack = None;
    if cursor.eat_word("ack") {
        ack = Some(parse_number(cursor, "an acknowledgment number")?);
    }
    Ok(Quoted::Tcp {
        flags,
        seq,
        len,
        ack,
    })
}
