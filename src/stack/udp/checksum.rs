//! The checksum of what came: what must have one, and whether it is right.
//!
//! RFC 768, RFC 1122 §4.1.3.4, RFC 8200 §8.1, RFC 6936 §4. *Owns* the judgement. *Does not* know sockets, some of which do without.

use core::net::IpAddr;

use crate::base::checksum::Sum;
use crate::base::{DropReason, Protocol};
use crate::link::RxChecksum;
use crate::stack::packet::{Inbound, Summed};
use crate::{ipv4, ipv6, udp};

/// The header and the data of a datagram that came whole, with a checksum where it must have one.
pub(in crate::stack) fn checked(packet: &Inbound) -> Result<(udp::Header<'_>, &[u8]), DropReason> {
    match read(packet)? {
        (header, data, Summed::Yes) => Ok((header, data)),
        (_, _, Summed::No) => Err(DropReason::UdpChecksum),
    }
}

/// The same, be it without one.
pub(super) fn read(packet: &Inbound) -> Result<(udp::Header<'_>, &[u8], Summed), DropReason> {
    let (header, data) =
        udp::Header::parse(&packet.segment).map_err(|_| DropReason::UdpMalformed)?;
    let covered = packet.segment.get(..header.length().into());
    let covered = covered.unwrap_or(&packet.segment);
    let summed = check_checksum(packet, &header, |pseudo| pseudo.bytes(covered))?;
    Ok((header, data, summed))
}

/// RFC 768, RFC 1122 §4.1.3.4; RFC 8200 §8.1: over IPv6 there must be one, unless its socket does without, whatever the device says.
pub(super) fn check_checksum(
    packet: &Inbound,
    header: &udp::Header<'_>,
    covered: impl FnOnce(Sum) -> Sum,
) -> Result<Summed, DropReason> {
    let partial = matches!(packet.checksum, RxChecksum::Partial(_));
    if header.checksum() == 0 && !partial {
        return Ok(match packet.dst {
            IpAddr::V4(_) => Summed::Yes,
            IpAddr::V6(_) => Summed::No,
        });
    }
    if packet.checksum != RxChecksum::Unknown {
        return Ok(Summed::Yes);
    }
    let len = usize::from(header.length());
    let pseudo = match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::pseudo_sum(src, dst, Protocol::UDP, len),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::pseudo_sum(src, dst, Protocol::UDP, len),
        _ => return Err(DropReason::UdpChecksum),
    };
    if covered(pseudo).is_valid() {
        Ok(Summed::Yes)
    } else {
        Err(DropReason::UdpChecksum)
    }
}
