//! IGMP: RFC 1112 (version 1), RFC 2236 (version 2), RFC 3376 (version 3).
//!
//! *Owns* the text of its messages. *Does not* read them: `ipv4::igmp` does.

use core::fmt::{self, Write};

use super::ip::Packet;
use super::{MAX_SHOWN, Out, transport};
use crate::base::checksum::Sum;
use crate::ipv4::igmp::{Message, ParseError, Query, Records, Sources};

/// Prints an IGMP message.
pub(super) fn print(out: &mut Out<'_, '_>, packet: &Packet<'_>) -> fmt::Result {
    let message = match Message::parse_unverified(packet.bytes) {
        Ok(message) => message,
        Err(error) => {
            match error {
                ParseError::Truncated { .. } => out.note_missing(error),
                _ => out.note(error),
            }
            return transport::plain(out, packet);
        }
    };
    if let Some(&[_, _, a, b]) = packet.bytes.first_chunk() {
        packet.check(out, "igmp", Sum::new(), u16::from_be_bytes([a, b]));
    }
    packet.head(out, None)?;
    out.write_str("igmp ")?;
    match message {
        Message::Query(asked) => query(out, &asked)?,
        Message::ReportV1 { group } => write!(out, "v1 report {group}")?,
        Message::ReportV2 { group } => write!(out, "v2 report {group}")?,
        Message::Leave { group } => write!(out, "leave {group}")?,
        Message::ReportV3 { records } => report(out, &records)?,
        Message::Unknown { kind } => write!(out, "type 0x{kind:02x}")?,
    }
    write!(out, ", length {}", packet.len)
}

fn query(out: &mut Out<'_, '_>, asked: &Query<'_>) -> fmt::Result {
    let version = match (asked.v3, asked.max_resp_code) {
        (Some(_), _) => 3,
        (None, 0) => 1,
        (None, _) => 2,
    };
    write!(out, "query v{version}")?;
    if version > 1 {
        let millis = asked.max_response().as_millis();
        write!(
            out,
            " [max resp time {}.{}s]",
            millis / 1000,
            millis / 100 % 10
        )?;
    }
    if !asked.group.is_unspecified() {
        write!(out, " [gaddr {}", asked.group)?;
        if let Some(v3) = asked.v3 {
            sources(out, &v3.sources, &mut { MAX_SHOWN })?;
        }
        out.write_char(']')?;
    }
    Ok(())
}

fn report(out: &mut Out<'_, '_>, records: &Records<'_>) -> fmt::Result {
    write!(out, "v3 report, {} group record(s)", records.count())?;
    let mut room = MAX_SHOWN;
    let mut seen = 0;
    for record in records.iter() {
        if seen == MAX_SHOWN {
            return out.write_str(" ..");
        }
        seen += 1;
        write!(out, " [gaddr {} {}", record.group, record.kind)?;
        sources(out, &record.sources, &mut room)?;
        out.write_char(']')?;
    }
    if seen < records.count() {
        out.note_missing(format_args!("igmp report ends within record {}", seen + 1));
    }
    Ok(())
}

/// Writes sources, as long as there is `room` for them in the line.
fn sources(out: &mut Out<'_, '_>, sources: &Sources<'_>, room: &mut usize) -> fmt::Result {
    out.write_str(" {")?;
    for source in sources.iter() {
        if *room == 0 {
            out.write_str(" ..")?;
            break;
        }
        *room -= 1;
        write!(out, " {source}")?;
    }
    out.write_str(" }")
}
