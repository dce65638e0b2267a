//! Multicast listener discovery: RFC 2710 (version 1) and RFC 3810 (version 2).

use core::fmt::{self, Write};
use core::net::Ipv6Addr;

use super::{MAX_SHOWN, Out};

const QUERY: u8 = 130;
const REPORT: u8 = 131;
const DONE: u8 = 132;
const REPORT_V2: u8 = 143;

/// Bytes of an address.
const ADDRESS_LEN: usize = 16;
/// Bytes of a group record without its sources, RFC 3810 §5.2.4.
const RECORD_LEN: usize = 20;
/// Bytes behind the group of a version 2 query, up to its sources, RFC 3810 §5.1.
const QUERY_TAIL_LEN: usize = 4;

/// Prints a message of this type, given what stands behind its checksum; false when it is none.
pub(super) fn print(
    out: &mut Out<'_, '_>,
    kind: u8,
    rest: [u8; 4],
    body: &[u8],
) -> Result<bool, fmt::Error> {
    let [a, b, c, d] = rest;
    let (delay, records) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    match kind {
        QUERY => query(out, delay, body)?,
        REPORT => v1(out, "report", delay, body)?,
        DONE => v1(out, "done", delay, body)?,
        REPORT_V2 => report(out, records, body)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn v1(out: &mut Out<'_, '_>, what: &str, delay: u16, body: &[u8]) -> fmt::Result {
    write!(out, "multicast listener {what} max resp delay: {delay}")?;
    match address(body) {
        Some((group, _)) => write!(out, " addr: {group}"),
        None => short(out, ADDRESS_LEN, body.len()),
    }
}

fn query(out: &mut Out<'_, '_>, code: u16, body: &[u8]) -> fmt::Result {
    // RFC 3810 §8.1: the length tells the version.
    if body.len() < ADDRESS_LEN + QUERY_TAIL_LEN {
        return v1(out, "query", code, body);
    }
    let delay = response_delay(code);
    write!(out, "multicast listener query v2 [max resp delay {delay}]")?;
    let Some((group, rest)) = address(body) else {
        return Ok(());
    };
    if !group.is_unspecified() {
        write!(out, " [gaddr {group}")?;
        if let Some((&[_, _, a, b], rest)) = rest.split_first_chunk::<QUERY_TAIL_LEN>() {
            sources(out, u16::from_be_bytes([a, b]), rest, &mut { MAX_SHOWN })?;
        }
        out.write_char(']')?;
    }
    Ok(())
}

/// Milliseconds that RFC 3810 §5.1.3 encodes so.
fn response_delay(code: u16) -> u32 {
    let code = u32::from(code);
    if code < 0x8000 {
        return code;
    }
    (code & 0x0fff | 0x1000) << ((code >> 12 & 7) + 3)
}

fn report(out: &mut Out<'_, '_>, count: u16, body: &[u8]) -> fmt::Result {
    write!(out, "multicast listener report v2, {count} group record(s)")?;
    let (mut rest, mut room) = (body, MAX_SHOWN);
    for shown in 0..usize::from(count) {
        if shown == MAX_SHOWN {
            return out.write_str(" ..");
        }
        let Some((head, behind)) = rest.split_first_chunk::<RECORD_LEN>() else {
            return short(out, RECORD_LEN, rest.len());
        };
        let (&[kind, aux_words, a, b], group) = (head.first_chunk().unwrap_or(&[0; 4]), &head[4..]);
        let sources_count = u16::from_be_bytes([a, b]);
        let group = address(group).map_or(Ipv6Addr::UNSPECIFIED, |(group, _)| group);
        write!(out, " [gaddr {group} ")?;
        match kind {
            1 => out.write_str("is_in")?,
            2 => out.write_str("is_ex")?,
            3 => out.write_str("to_in")?,
            4 => out.write_str("to_ex")?,
            5 => out.write_str("allow")?,
            6 => out.write_str("block")?,
            other => write!(out, "type {other}")?,
        }
        sources(out, sources_count, behind, &mut room)?;
        out.write_char(']')?;
        let len = usize::from(sources_count) * ADDRESS_LEN + usize::from(aux_words) * 4;
        rest = behind.get(len..).unwrap_or_default();
    }
    Ok(())
}

/// Writes the sources that `bytes` begin with, as long as there is `room` for them in the line.
fn sources(out: &mut Out<'_, '_>, count: u16, bytes: &[u8], room: &mut usize) -> fmt::Result {
    let need = usize::from(count) * ADDRESS_LEN;
    if need > bytes.len() {
        short(out, need, bytes.len())?;
    }
    out.write_str(" {")?;
    let all = bytes.chunks_exact(ADDRESS_LEN).take(usize::from(count));
    for (source, _) in all.filter_map(address) {
        if *room == 0 {
            out.write_str(" ..")?;
            break;
        }
        *room -= 1;
        write!(out, " {source}")?;
    }
    out.write_str(" }")
}

fn short(out: &mut Out<'_, '_>, need: usize, have: usize) -> fmt::Result {
    out.note_missing(format_args!(
        "multicast listener message needs {need} more bytes, {have} available"
    ));
    Ok(())
}

fn address(bytes: &[u8]) -> Option<(Ipv6Addr, &[u8])> {
    let (address, rest) = bytes.split_first_chunk::<ADDRESS_LEN>()?;
    Some((Ipv6Addr::from(*address), rest))
}
