//! IPv4 on the way in: header, source, destination, options.
//!
//! RFC 791, RFC 1122 §3.2.1, §3.3.6, RFC 7126. *Owns* the order of checks. *Does not* reassemble: `fragments`
//! does.

use core::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;

use super::forward::Plain;
use super::{Arrival, Judged, Own, quote, skip};
use crate::base::{DropReason, Instant, Protocol};
use crate::ipv4;
use crate::stack::Stack;
use crate::stack::dhcp::is_for_client;
use crate::stack::icmp::Complaint;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Interface;
use crate::stack::packet::Inbound;

fn what_is_wrong(error: ipv4::ParseError) -> DropReason {
    match error {
        ipv4::ParseError::Checksum { .. } => DropReason::Ipv4Checksum,
        _ => DropReason::Ipv4Malformed,
    }
}

impl Stack {
    pub(super) fn handle_ipv4(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        mut data: Bytes,
    ) -> Result<(), DropReason> {
        let (header, _) = ipv4::Header::parse(&data).map_err(what_is_wrong)?;
        let on = arrival.on;
        let interface = &self.net.interfaces[on.index()];
        // A client's answers come before there is an address that they could be for.
        let to_client = is_for_client(interface, &header, &data, arrival.link.unicast);
        let short = self.net.forwarding.is_short() && !to_client;
        let plain = short.then(|| Plain::v4(arrival, &header)).flatten();
        if let Some(plain) = &plain
            && let Some(way) = self.net.known_way(now, on, plain)
        {
            return self.net.pass_plain(on, way, data, plain);
        }
        // RFC 3376 §4.2.13: hosts without an address report their groups, and switches without one ask for ours.
        let nobody = header.src().is_unspecified() && header.protocol() == Protocol::IGMP;
        if !nobody {
            check_source_v4(interface, header.src())?;
        }
        let (src, dst) = (IpAddr::V4(header.src()), IpAddr::V4(header.dst()));
        if self.net.is_own_source(on, src) {
            return Err(DropReason::IpSource);
        }
        if let Some(plain) = &plain
            && let Some(way) = self.net.plain_way(now, on, plain)
        {
            return self.net.pass_plain(on, way, data, plain);
        }
        let own = Own {
            demux: &self.demux,
            pings: &self.ping,
        };
        let taken = match to_client {
            true => Some(true),
            false => self.net.take_v4(now, arrival, &data, (src, dst), &own)?,
        };
        let Some(unicast) = taken else { return Ok(()) };
        let wrong = check_options(&header)?;
        let fragment = header.is_fragment() && wrong.is_none();
        let protocol = header.protocol();
        let (header_len, total_len) = (header.header_len(), header.total_len());
        let judged = Judged {
            ends: (src, dst),
            unicast,
            tos: header.tos(),
            ttl: header.ttl(),
            label: 0,
        };
        data.truncate(total_len);
        if fragment {
            return self.handle_fragment_v4(now, arrival, judged, &data);
        }
        let cause = match wrong {
            Some(_) => data.clone(),
            None => quote(protocol, &data),
        };
        let mut packet = arrival.inbound(&judged, cause, skip(data, header_len));
        if let Some(pointer) = wrong {
            // RFC 1122 §3.2.2.5: a Parameter Problem is told of what no other message covers.
            self.net
                .complain(&packet, Complaint::Parameter { code: 0, pointer });
            return Err(DropReason::Ipv4Malformed);
        }
        self.dispatch_v4(now, &mut packet, (protocol, to_client))
    }

    fn dispatch_v4(
        &mut self,
        now: Instant,
        packet: &mut Inbound,
        (protocol, to_client): (Protocol, bool),
    ) -> Result<(), DropReason> {
        let heard = self.raw.hears(false, protocol) && !to_client && {
            let payload = packet.segment.clone();
            self.deliver_raw(packet, protocol, &payload)
        };
        match protocol {
            Protocol::TCP => self.dispatch_tcp(now, packet),
            Protocol::UDP if to_client => self.handle_dhcp(now, packet),
            Protocol::UDP => self.handle_udp(packet),
            Protocol::ICMP => self.handle_icmpv4(now, packet),
            Protocol::IGMP => self.handle_igmp(now, packet),
            _ if heard => Ok(()),
            _ => {
                self.net
                    .complain(packet, Complaint::Protocol { pointer: 9 });
                Err(DropReason::IpProtocol)
            }
        }
    }
}

/// RFC 1122 §3.2.1.3, §4.1.3.6: who cannot have sent a packet (r49).
fn check_source_v4(interface: &Interface, src: Ipv4Addr) -> Result<(), DropReason> {
    let first = src.octets()[0];
    let bad = src.is_multicast()
        || first == 0
        || (first == 127 && interface.id != InterfaceId::LOOPBACK)
        || first >= 240
        || interface.groups.is_broadcast(src);
    if bad {
        Err(DropReason::IpSource)
    } else {
        Ok(())
    }
}

/// Judges the options, which nearly no packet has; gives the octet of a length that cannot be.
///
/// RFC 1122 §3.3.5 leaves source routes of others off. §3.2.1.8 passes over all that are not known, and lets record route and timestamp be two
/// of them (docs/deviations.md).
pub(super) fn check_options(header: &ipv4::Header<'_>) -> Result<Option<u32>, DropReason> {
    use ipv4::kind::{LOOSE_SOURCE_ROUTE, STRICT_SOURCE_ROUTE};
    if header.options_bytes().is_empty() {
        return Ok(None);
    }
    let mut options = header.options();
    // RFC 7126 §4.3, §4.4: dropped by default, as Linux does. One that is not used up is not for us in
    // any case (RFC 1122 §3.2.1.3), and one that is lets the sender choose where answers go.
    if options.any(|o| matches!(o.kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE)) {
        return Err(DropReason::Ipv4SourceRoute);
    }
    let wrong = options.malformed_at().map(|at| ipv4::MIN_HEADER_LEN + at);
    Ok(wrong.and_then(|at| u32::try_from(at).ok()))
}
