//! DHCP messages: RFC 2131, RFC 2132.

use core::fmt::{self, Write};
use core::net::Ipv4Addr;

use super::Out;
use crate::dhcp::{self, Message, MessageType, code};

/// Is it a message between clients, relays and servers?
pub(super) const fn is_dhcp(ports: (u16, u16)) -> bool {
    matches!(
        ports,
        (dhcp::CLIENT_PORT, dhcp::SERVER_PORT)
            | (dhcp::SERVER_PORT, dhcp::CLIENT_PORT | dhcp::SERVER_PORT)
    )
}

/// Prints a message; false when these bytes are none.
pub(super) fn print(out: &mut Out<'_, '_>, data: &[u8]) -> Result<bool, fmt::Error> {
    let message = match Message::parse(data) {
        Ok(message) => message,
        // Whoever has these ports may say anything over them.
        Err(dhcp::ParseError::Truncated { .. } | dhcp::ParseError::Cookie { .. }) => {
            return Ok(false);
        }
        Err(error) => {
            out.note_missing(error);
            return Ok(false);
        }
    };
    match message.kind() {
        Some(kind) => write!(out, "DHCP {}", name(kind))?,
        None => out.write_str("BOOTP")?,
    }
    write!(out, ", xid {:#010x}", message.xid())?;
    client(out, &message)?;
    let named = [
        ("ciaddr", message.ciaddr()),
        ("yiaddr", message.yiaddr()),
        ("giaddr", message.giaddr()),
    ];
    for (what, address) in named {
        if !address.is_unspecified() {
            write!(out, ", {what} {address}")?;
        }
    }
    let addresses = [
        ("requested", code::REQUESTED_ADDRESS),
        ("server", code::SERVER_ID),
        ("mask", code::SUBNET_MASK),
    ];
    for (what, code) in addresses {
        if let Some(address) = message.address(code) {
            write!(out, ", {what} {address}")?;
        }
    }
    several(out, "routers", &message, code::ROUTERS)?;
    several(out, "dns", &message, code::DNS_SERVERS)?;
    if let Some(seconds) = message.number(code::LEASE_TIME) {
        write!(out, ", lease {seconds} s")?;
    }
    if message.is_broadcast() {
        out.write_str(", flags [broadcast]")?;
    }
    write!(out, ", length {}", data.len())?;
    Ok(true)
}

/// Whom it is about.
fn client(out: &mut Out<'_, '_>, message: &Message<'_>) -> fmt::Result {
    out.write_str(", client ")?;
    let octets = message.chaddr();
    if octets.is_empty() {
        return out.write_char('-');
    }
    for (n, octet) in octets.iter().enumerate() {
        let colon = if n == 0 { "" } else { ":" };
        write!(out, "{colon}{octet:02x}")?;
    }
    Ok(())
}

/// A list of addresses.
fn several(out: &mut Out<'_, '_>, what: &str, message: &Message<'_>, code: u8) -> fmt::Result {
    let Some(value) = message.option(code) else {
        return Ok(());
    };
    write!(out, ", {what} [")?;
    let (addresses, rest) = value.as_chunks::<4>();
    out.list(addresses.iter(), |out, &octets| {
        write!(out, "{}", Ipv4Addr::from(octets))
    })?;
    if !rest.is_empty() {
        out.note(format_args!("dhcp option {code} is no list of addresses"));
    }
    out.write_char(']')
}

fn name(kind: MessageType) -> String {
    let known = match kind {
        MessageType::DISCOVER => "discover",
        MessageType::OFFER => "offer",
        MessageType::REQUEST => "request",
        MessageType::DECLINE => "decline",
        MessageType::ACK => "ack",
        MessageType::NAK => "nak",
        MessageType::RELEASE => "release",
        MessageType::INFORM => "inform",
        MessageType(other) => return format!("type {other}"),
    };
    known.to_owned()
}
