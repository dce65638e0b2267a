//! ICMP by its names in scripts, both families.
//!
//! *Owns* the table of names. *Does not* send.

use core::net::IpAddr;

use super::super::ast::{Icmp, IpInfo, Number, Quoted};
use super::inject::{self, Ends};
use super::numbers::Numbers;
use crate::base::Protocol;
use crate::base::checksum::Sum;
use crate::tcp::Flags;
use crate::{ipv6, udp};

/// Kind and number in IPv4 and IPv6.
const KINDS: &[(&str, Option<u8>, Option<u8>)] = &[
    ("unreachable", Some(3), Some(1)),
    ("packet_too_big", None, Some(2)),
    ("source_quench", Some(4), None),
    ("time_exceeded", Some(11), Some(3)),
    ("parameter_problem", Some(12), Some(4)),
    ("echo_request", Some(8), Some(128)),
    ("echo_reply", Some(0), Some(129)),
];

/// Kind, code, number in IPv4 and IPv6.
const CODES: &[(&str, &str, Option<u8>, Option<u8>)] = &[
    ("unreachable", "net_unreachable", Some(0), None),
    ("unreachable", "host_unreachable", Some(1), None),
    ("unreachable", "protocol_unreachable", Some(2), None),
    ("unreachable", "port_unreachable", Some(3), Some(4)),
    ("unreachable", "frag_needed", Some(4), None),
    ("unreachable", "source_route_failed", Some(5), None),
    ("unreachable", "net_unknown", Some(6), None),
    ("unreachable", "host_unknown", Some(7), None),
    ("unreachable", "source_host_isolated", Some(8), None),
    ("unreachable", "net_prohibited", Some(9), None),
    ("unreachable", "host_prohibited", Some(10), None),
    ("unreachable", "net_unreachable_for_tos", Some(11), None),
    ("unreachable", "host_unreachable_for_tos", Some(12), None),
    ("unreachable", "packet_filtered", Some(13), None),
    ("unreachable", "precedence_violation", Some(14), None),
    ("unreachable", "precedence_cutoff", Some(15), None),
    ("unreachable", "noroute", None, Some(0)),
    ("unreachable", "no_route", None, Some(0)),
    ("unreachable", "admin_prohibited", None, Some(1)),
    ("unreachable", "not_neighbour", None, Some(2)),
    ("unreachable", "beyond_scope", None, Some(2)),
    ("unreachable", "addr_unreachable", None, Some(3)),
    ("unreachable", "address_unreachable", None, Some(3)),
    ("time_exceeded", "exc_ttl", Some(0), None),
    ("time_exceeded", "exc_fragtime", Some(1), Some(1)),
    ("time_exceeded", "hop_limit", None, Some(0)),
];

/// Its type and code; `None` when the family has no such thing.
pub(super) fn numbers_of(icmp: &Icmp, v6: bool) -> Option<(u8, u8)> {
    let pick = |v4: Option<u8>, six: Option<u8>| if v6 { six } else { v4 };
    let kind = KINDS.iter().find(|(name, ..)| *name == icmp.kind)?;
    let kind_number = pick(kind.1, kind.2)?;
    let code = match icmp.code.as_deref() {
        None => 0,
        Some(code) => match code.parse::<u8>() {
            Ok(number) => number,
            Err(_) => {
                let known = CODES
                    .iter()
                    .find(|(kind, name, ..)| *kind == icmp.kind && *name == code)?;
                pick(known.2, known.3)?
            }
        },
    };
    Some((kind_number, code))
}

/// A message of the peer as an IP packet; `ends` are its own, from and to, with the ports of the packet
/// that it quotes.
///
/// # Errors
/// Why it cannot be made.
pub(super) fn message(
    ends: Ends,
    ip: &IpInfo,
    icmp: &Icmp,
    numbers: &Numbers,
) -> Result<Vec<u8>, String> {
    let v6 = ends.0.is_ipv6();
    let (kind, code) = numbers_of(icmp, v6)
        .ok_or_else(|| format!("no such ICMP message in this family: {}", icmp.kind))?;
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(match (icmp.id, icmp.mtu) {
        (Some(id), _) => {
            let [a, b] = id.to_be_bytes();
            [a, b, 0, 0]
        }
        (None, mtu) => mtu.unwrap_or(0).to_be_bytes(),
    });
    // What it is about went the other way.
    let back = (ends.1, ends.0);
    match icmp.quoted {
        None => {}
        // What it acknowledged nobody reads.
        Some(Quoted::Tcp { seq, len, .. }) => {
            bytes.extend(inject::quoted_segment(back, seq, len, numbers));
        }
        Some(Quoted::Udp { len }) => bytes.extend(inject::quoted_datagram(back, len)),
        Some(Quoted::Raw { len }) => bytes.extend(vec![0; usize::from(len)]),
    }
    let (protocol, sum) = match (ends.0.ip(), ends.1.ip()) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let pseudo = ipv6::pseudo_sum(src, dst, Protocol::ICMPV6, bytes.len());
            (Protocol::ICMPV6, pseudo)
        }
        _ => (Protocol::ICMP, Sum::new()),
    };
    let sum = sum.bytes(&bytes).finish().to_be_bytes();
    if let Some(field) = bytes.get_mut(2..4) {
        field.copy_from_slice(&sum);
    }
    inject::packet(ends, ip, protocol, bytes, None)
}

/// What of a message that left a line does not say the same of.
pub(super) fn compare(
    icmp: &Icmp,
    message: &[u8],
    v6: bool,
    numbers: &Numbers,
) -> Result<(), String> {
    let Some((kind, code)) = numbers_of(icmp, v6) else {
        return Err(format!(
            "no such ICMP message in this family: {}",
            icmp.kind
        ));
    };
    let octet = |at: usize| message.get(at).copied().unwrap_or(0);
    if (octet(0), octet(1)) != (kind, code) {
        return Err(format!(
            "type {} code {} and not {kind} {code}",
            octet(0),
            octet(1)
        ));
    }
    let word = u32::from_be_bytes([octet(4), octet(5), octet(6), octet(7)]);
    if icmp.mtu.is_some_and(|mtu| mtu != word) {
        return Err(format!("MTU {word}"));
    }
    let id = u16::from_be_bytes([octet(4), octet(5)]);
    if icmp.id.is_some_and(|wanted| wanted != id) {
        return Err(format!("identifier {id}"));
    }
    let quoted = message.get(8..).unwrap_or_default();
    match icmp.quoted {
        None => Ok(()),
        Some(wanted) => compare_quoted(&wanted, quoted, numbers),
    }
}

/// A message of ours quotes a packet of the peer.
fn compare_quoted(wanted: &Quoted, quoted: &[u8], numbers: &Numbers) -> Result<(), String> {
    if let Quoted::Raw { len } = *wanted {
        return if quoted.len() == usize::from(len) {
            Ok(())
        } else {
            Err(format!("it quotes {} bytes", quoted.len()))
        };
    }
    let octet = |bytes: &[u8], at: usize| bytes.get(at).copied().unwrap_or(0);
    let half =
        |bytes: &[u8], at: usize| u16::from_be_bytes([octet(bytes, at), octet(bytes, at + 1)]);
    // How long it was stands in its header; what is quoted may be cut.
    let (protocol, head, whole) = if octet(quoted, 0) >> 4 == 4 {
        let head = usize::from(octet(quoted, 0) & 15) * 4;
        let whole = usize::from(half(quoted, 2)).saturating_sub(head);
        (Protocol(octet(quoted, 9)), head, whole)
    } else {
        (Protocol(octet(quoted, 6)), 40, half(quoted, 4).into())
    };
    let rest = quoted.get(head..).unwrap_or_default();
    match *wanted {
        Quoted::Udp { len } if protocol == Protocol::UDP => {
            let live = whole.saturating_sub(udp::HEADER_LEN);
            if live == usize::from(len) {
                Ok(())
            } else {
                Err(format!("it quotes a datagram of {live} bytes"))
            }
        }
        Quoted::Tcp {
            flags,
            seq,
            len,
            ack,
        } if protocol == Protocol::TCP => {
            // Cut off, the header is taken for one without options, and without flags.
            let words = usize::from(octet(rest, 12) >> 4).max(5);
            let live_len = whole.saturating_sub(words * 4);
            let word = |at: usize| u32::from(half(rest, at)) << 16 | u32::from(half(rest, at + 2));
            let bits = Flags::from_bits_truncate(half(rest, 12) & 0x1ff);
            let same = |number: Number, live: u32, shifted: u32| {
                number.value == if number.absolute { live } else { shifted }
            };
            let right = same(seq, word(4), numbers.theirs_to_script(word(4)))
                && usize::try_from(len) == Ok(live_len)
                && flags.is_none_or(|flags| flags == bits)
                && ack.is_none_or(|ack| same(ack, word(8), numbers.ours_to_script(word(8))));
            let start = numbers.theirs_to_script(word(4));
            if right {
                Ok(())
            } else {
                Err(format!("it quotes {bits:?} {start} with {live_len} bytes"))
            }
        }
        _ => Err(format!("it quotes protocol {}", protocol.0)),
    }
}
