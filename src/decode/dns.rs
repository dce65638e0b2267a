//! Questions and answers of DNS: RFC 1035 §4.1. Only the header and the first question; what is answered takes a parser of
//! compressed names, and a line is short.

use core::fmt::{self, Write};

use super::Out;

/// The port of servers.
const PORT: u16 = 53;
/// Bytes of the header.
const HEADER_LEN: usize = 12;

/// Prints a datagram between these ports, if one of them is a server's and it has a header.
pub(super) fn print(out: &mut Out<'_, '_>, ports: [u16; 2], data: &[u8]) -> fmt::Result {
    let Some((header, rest)) = data.split_first_chunk::<HEADER_LEN>() else {
        return Ok(());
    };
    if !ports.contains(&PORT) {
        return Ok(());
    }
    let [id_high, id_low, flags, code, counts @ ..] = *header;
    let id = u16::from_be_bytes([id_high, id_low]);
    write!(out, ", dns {id}")?;
    let is_reply = flags & 0x80 != 0;
    if is_reply {
        match code & 0x0f {
            0 => {}
            1 => out.write_str(" FormErr")?,
            2 => out.write_str(" ServFail")?,
            3 => out.write_str(" NXDomain")?,
            5 => out.write_str(" Refused")?,
            other => write!(out, " rcode {other}")?,
        }
    }
    for (bit, letter) in [(0x04, '*'), (0x02, '|'), (0x01, '+')] {
        if flags & bit != 0 {
            out.write_char(letter)?;
        }
    }
    let [questions, answers, authorities, additional] =
        [0, 2, 4, 6].map(|at| u16::from_be_bytes([counts[at], counts[at + 1]]));
    if is_reply {
        write!(out, " {answers}/{authorities}/{additional}")?;
    }
    if questions > 0 {
        question(out, rest)?;
    }
    Ok(())
}

/// The type and the name of a question. Its name is the message's first, and so in one piece.
fn question(out: &mut Out<'_, '_>, bytes: &[u8]) -> fmt::Result {
    let mut end = 0;
    while let Some(&len @ 1..=63) = bytes.get(end) {
        end += 1 + usize::from(len);
    }
    let kind = match bytes.get(end..) {
        Some(&[0, high, low, ..]) if end < 255 => u16::from_be_bytes([high, low]),
        _ => {
            out.note_missing("malformed dns question");
            return Ok(());
        }
    };
    match kind {
        1 => out.write_str(" A? ")?,
        5 => out.write_str(" CNAME? ")?,
        6 => out.write_str(" SOA? ")?,
        12 => out.write_str(" PTR? ")?,
        16 => out.write_str(" TXT? ")?,
        28 => out.write_str(" AAAA? ")?,
        33 => out.write_str(" SRV? ")?,
        255 => out.write_str(" ANY? ")?,
        other => write!(out, " type {other}? ")?,
    }
    let mut at = 0;
    while at < end {
        let label = &bytes[at + 1..][..usize::from(bytes[at])];
        write!(out, "{}.", label.escape_ascii())?;
        at += 1 + label.len();
    }
    if end == 0 {
        out.write_char('.')?;
    }
    Ok(())
}
