//! DHCPv6 messages: RFC 8415, RFC 3646.

use core::fmt::{self, Write};
use core::net::Ipv6Addr;

use super::Out;
use crate::dhcp6::{self, DhcpOption, Message, MessageType, code};

/// Bytes of a DUID that are shown: DUID-UUID has 18 (RFC 8415 §11.5).
const MAX_DUID: usize = 20;
/// Servers that are shown of one list: there may be many lists.
const MAX_SERVERS: usize = 4;

/// Is it a message between clients, relays and servers?
pub(super) const fn is_dhcp((src, dst): (u16, u16)) -> bool {
    dst == dhcp6::SERVER_PORT || (src == dhcp6::SERVER_PORT && dst == dhcp6::CLIENT_PORT)
}

/// Prints a message; false when these bytes are none.
pub(super) fn print(out: &mut Out<'_, '_>, data: &[u8]) -> Result<bool, fmt::Error> {
    let message = match Message::parse(data) {
        Ok(message) => message,
        Err(dhcp6::ParseError::Truncated { .. }) => return Ok(false),
        Err(error) => {
            out.note_missing(error);
            return Ok(false);
        }
    };
    write!(out, "DHCPv6 {}", name(message.kind()))?;
    write!(out, ", xid {:#08x}", message.transaction())?;
    out.write_str(", options [")?;
    out.list(message.options(), option)?;
    write!(out, "], length {}", data.len())?;
    Ok(true)
}

fn option(out: &mut Out<'_, '_>, DhcpOption { code, data, .. }: DhcpOption<'_>) -> fmt::Result {
    let number = data.try_into().map(u32::from_be_bytes);
    let short = data.try_into().map(u16::from_be_bytes);
    match (code, number, short) {
        (code::CLIENT_ID, ..) => duid(out, "client", data),
        (code::SERVER_ID, ..) => duid(out, "server", data),
        (code::ELAPSED_TIME, _, Ok(hundredths)) => write!(out, "elapsed {hundredths}0ms"),
        (code::REFRESH_TIME, Ok(secs), _) => write!(out, "refresh {secs}s"),
        (code::INF_MAX_RT, Ok(secs), _) => write!(out, "inf-max-rt {secs}s"),
        (code::STATUS, ..) if data.len() >= 2 => {
            write!(out, "status {}", u16::from_be_bytes([data[0], data[1]]))
        }
        (code::DNS_SERVERS, ..) if data.len().is_multiple_of(16) => {
            out.write_str("dns ")?;
            let (servers, _) = data.as_chunks::<16>();
            out.list(servers.iter().take(MAX_SERVERS), |out, &octets| {
                write!(out, "{}", Ipv6Addr::from(octets))
            })?;
            match servers.len().saturating_sub(MAX_SERVERS) {
                0 => Ok(()),
                more => write!(out, " and {more} more"),
            }
        }
        (code::OPTION_REQUEST, ..) if data.len().is_multiple_of(2) => {
            out.write_str("request ")?;
            let (codes, _) = data.as_chunks::<2>();
            out.list(codes.iter(), |out, &code| {
                write!(out, "{}", u16::from_be_bytes(code))
            })
        }
        _ => write!(out, "option-{code} {} bytes", data.len()),
    }
}

fn duid(out: &mut Out<'_, '_>, whose: &str, data: &[u8]) -> fmt::Result {
    write!(out, "{whose} ")?;
    let shown = &data[..data.len().min(MAX_DUID)];
    shown
        .iter()
        .try_for_each(|byte| write!(out, "{byte:02x}"))?;
    if shown.len() < data.len() {
        out.write_str("..")?;
    }
    Ok(())
}

fn name(kind: MessageType) -> String {
    let known = match kind.0 {
        1 => "solicit",
        2 => "advertise",
        3 => "request",
        4 => "confirm",
        5 => "renew",
        6 => "rebind",
        7 => "reply",
        8 => "release",
        9 => "decline",
        10 => "reconfigure",
        11 => "information-request",
        other => return format!("type {other}"),
    };
    known.to_owned()
}
