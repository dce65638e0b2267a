//! Link headers, VLAN tags and ARP.

use core::fmt::{self, Write};

use super::{Link, Out, ip};
use crate::arp;
use crate::link::ethernet::{self, Header};
use crate::link::{EtherType, VlanTag};

/// VLAN tags that are looked behind.
const MAX_TAGS: usize = 4;

/// Prints a frame from its link header on.
pub(super) fn frame(out: &mut Out<'_, '_>, link: Link, data: &[u8]) -> fmt::Result {
    match link {
        Link::Ethernet => ethernet(out, data),
        Link::Ip => ip::any(out, data),
        Link::Loopback => match data.get(4..) {
            Some(packet) => ip::any(out, packet),
            None => short(out, "loopback", 4, data.len()),
        },
        Link::LinuxSll => cooked(out, data, 14, 16),
        Link::LinuxSll2 => cooked(out, data, 0, 20),
        Link::Other(number) => {
            let len = out.original_len;
            write!(out, "link type {number}, length {len}")
        }
    }
}

fn ethernet(out: &mut Out<'_, '_>, data: &[u8]) -> fmt::Result {
    let (header, payload) = match Header::parse(data) {
        Ok(parts) => parts,
        Err(error) => {
            let ethernet::ParseError::Truncated { .. } = error;
            out.note_missing(error);
            let len = out.original_len;
            return write!(out, "Ethernet, length {len}");
        }
    };
    let (mut ether_type, mut payload) = (header.ether_type(), payload);
    if let Some(tag) = header.tag() {
        vlan(out, tag)?;
    }
    for _ in 0..MAX_TAGS {
        if !matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) {
            break;
        }
        let Some((tag, inner, rest)) = VlanTag::parse(payload) else {
            break;
        };
        vlan(out, tag)?;
        (ether_type, payload) = (inner, rest);
    }
    network(out, ether_type, payload)
}

fn vlan(out: &mut Out<'_, '_>, tag: VlanTag) -> fmt::Result {
    write!(out, "vlan {}, p {}, ", tag.id(), tag.priority())?;
    if tag.drop_eligible() {
        out.write_str("DEI, ")?;
    }
    Ok(())
}

fn network(out: &mut Out<'_, '_>, ether_type: EtherType, payload: &[u8]) -> fmt::Result {
    match ether_type {
        EtherType::IPV4 => ip::v4(out, payload),
        EtherType::IPV6 => ip::v6(out, payload),
        EtherType::ARP => arp(out, payload),
        _ if ether_type.is_length() => {
            let (need, have) = (usize::from(ether_type.0), payload.len());
            if need > have {
                out.note_missing(format_args!(
                    "802.3 frame needs {need} bytes, {have} available"
                ));
            }
            write!(out, "802.3, length {need}")
        }
        _ => write!(out, "ethertype {ether_type}, length {}", payload.len()),
    }
}

/// The "cooked" headers of Linux: the protocol's EtherType `at` a place, the payload behind `len`.
fn cooked(out: &mut Out<'_, '_>, data: &[u8], at: usize, len: usize) -> fmt::Result {
    match (data.get(at..at + 2), data.get(len..)) {
        (Some(&[a, b]), Some(payload)) => {
            network(out, EtherType(u16::from_be_bytes([a, b])), payload)
        }
        _ => short(out, "Linux cooked", len, data.len()),
    }
}

fn short(out: &mut Out<'_, '_>, name: &str, need: usize, have: usize) -> fmt::Result {
    out.note_missing(format_args!(
        "{name} header needs {need} bytes, {have} available"
    ));
    let len = out.original_len;
    write!(out, "{name}, length {len}")
}

fn arp(out: &mut Out<'_, '_>, data: &[u8]) -> fmt::Result {
    let packet = match arp::Packet::parse(data) {
        Ok(packet) => packet,
        Err(error @ arp::ParseError::Truncated { .. }) => {
            out.note_missing(error);
            return write!(out, "ARP, length {}", data.len());
        }
        Err(error) => {
            out.note(error);
            return write!(out, "ARP, length {}", data.len());
        }
    };
    let arp::Packet {
        sender_mac,
        sender,
        target_mac,
        target,
        ..
    } = packet;
    out.write_str("ARP, ")?;
    match packet.operation {
        arp::Operation::REQUEST if packet.is_probe() => {
            write!(out, "Probe who-has {target} by {sender_mac}")?;
        }
        arp::Operation::REQUEST if packet.is_announcement() => {
            write!(out, "Announcement {sender} is-at {sender_mac}")?;
        }
        arp::Operation::REQUEST if target_mac == crate::base::MacAddr::ZERO => {
            write!(out, "Request who-has {target} tell {sender}")?;
        }
        arp::Operation::REQUEST => {
            write!(out, "Request who-has {target} ({target_mac}) tell {sender}")?;
        }
        arp::Operation::REPLY => write!(out, "Reply {sender} is-at {sender_mac}")?,
        arp::Operation(other) => write!(out, "operation {other} from {sender} to {target}")?,
    }
    if sender_mac.is_multicast() {
        out.note("sender address is a group's");
    }
    write!(out, ", length {}", arp::PACKET_LEN)
}
