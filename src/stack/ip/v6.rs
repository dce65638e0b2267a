//! IPv6 on the way in: header, source, destination, extension headers.
//!
//! RFC 8200 §3, §4, RFC 4291 §2.5, §2.7. *Owns* the order of checks. *Does not* reassemble: `fragments` does; an atomic
//! one is a packet like others (RFC 6946).

use core::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;

use super::forward::Plain;
use super::{Arrival, Judged, Own, quote, skip};
use crate::base::{DropReason, Instant, Protocol};
use crate::ipv6;
use crate::ipv6::extension::{self, Discard, Outcome};
use crate::stack::Stack;
use crate::stack::icmp::Complaint;
use crate::stack::ids::InterfaceId;
use crate::stack::packet::Inbound;

impl Stack {
    pub(super) fn handle_ipv6(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        mut data: Bytes,
    ) -> Result<(), DropReason> {
        let (header, payload) =
            ipv6::Header::parse(&data).map_err(|_| DropReason::Ipv6Malformed)?;
        let on = arrival.on;
        let short = self.net.forwarding.is_short();
        let plain = short.then(|| Plain::v6(arrival, &header)).flatten();
        if let Some(plain) = &plain
            && let Some(way) = self.net.known_way(now, on, plain)
        {
            return self.net.pass_plain(on, way, data, plain);
        }
        check_source_v6(on, header.src())?;
        let own = self.net.is_own_source(on, IpAddr::V6(header.src()));
        let (src, dst) = (IpAddr::V6(header.src()), IpAddr::V6(header.dst()));
        if let Some(plain) = plain.filter(|_| !own)
            && let Some(way) = self.net.plain_way(now, on, &plain)
        {
            return self.net.pass_plain(on, way, data, &plain);
        }
        let sockets = Own {
            demux: &self.demux,
            pings: &self.ping,
        };
        let taken = self.net.take(now, arrival, &data, (src, dst), &sockets)?;
        let Some(unicast) = taken else {
            return Ok(());
        };
        let outcome = extension::walk(&header, payload);
        let (tos, ttl) = (header.traffic_class(), header.hop_limit());
        let label = header.flow_label();
        let total_len = header.total_len();
        data.truncate(total_len);
        let upper = match outcome {
            Outcome::Upper { protocol, .. } => protocol,
            _ => Protocol::NO_NEXT_HEADER,
        };
        let offset = match outcome {
            Outcome::Upper { offset, .. } => ipv6::HEADER_LEN + offset,
            _ => ipv6::HEADER_LEN,
        };
        let judged = Judged {
            ends: (src, dst),
            unicast,
            tos,
            ttl,
            label,
        };
        // RFC 4291 §2.5.2: `::` sends duplicate detection alone, and our own address comes in nothing
        // but the answer to it: `handle_icmpv6` looks closer.
        if (own || src.is_unspecified()) && upper != Protocol::ICMPV6 {
            return Err(DropReason::IpSource);
        }
        if let Outcome::Fragment(fragment) = outcome {
            return self.handle_fragment_v6(now, arrival, judged, (&data, fragment));
        }
        let mut packet = arrival.inbound(&judged, quote(upper, &data), skip(data, offset));
        self.dispatch_v6(now, &mut packet, outcome)
    }

    fn dispatch_v6(
        &mut self,
        now: Instant,
        packet: &mut Inbound,
        outcome: Outcome,
    ) -> Result<(), DropReason> {
        match outcome {
            Outcome::Upper {
                protocol,
                pointer,
                fragmented,
                ..
            } => self.dispatch_upper_v6(now, packet, (protocol, pointer), fragmented),
            Outcome::ParameterProblem { code, pointer } => {
                self.net
                    .complain(packet, Complaint::Parameter { code, pointer });
                Err(DropReason::Ipv6Option)
            }
            Outcome::Discard(Discard::Option { .. }) => Err(DropReason::Ipv6Option),
            Outcome::Discard(_) | Outcome::Fragment(_) => Err(DropReason::Ipv6Malformed),
        }
    }
}

impl Stack {
    fn dispatch_upper_v6(
        &mut self,
        now: Instant,
        packet: &mut Inbound,
        (protocol, pointer): (Protocol, u32),
        fragmented: bool,
    ) -> Result<(), DropReason> {
        let heard = self.raw.hears(true, protocol) && {
            let payload = packet.segment.clone();
            self.deliver_raw(packet, protocol, &payload)
        };
        match protocol {
            Protocol::TCP => self.dispatch_tcp(now, packet),
            Protocol::UDP if self.net.is_for_dhcp6(packet) => self.handle_dhcp6(now, packet),
            Protocol::UDP => self.handle_udp(packet),
            Protocol::ICMPV6 => self.handle_icmpv6(now, packet, fragmented),
            _ if heard => Ok(()),
            // RFC 8200 §4.7: nothing follows, and nothing is wrong with that.
            Protocol::NO_NEXT_HEADER => Err(DropReason::IpProtocol),
            _ => {
                self.net.complain(packet, Complaint::Protocol { pointer });
                Err(DropReason::IpProtocol)
            }
        }
    }
}

/// RFC 4291 §2.5.3, §2.7 and, for mapped addresses, RFC 4942 §2.2 (r49).
fn check_source_v6(on: InterfaceId, src: Ipv6Addr) -> Result<(), DropReason> {
    let outside = on != InterfaceId::LOOPBACK;
    let mapped = src.to_ipv4_mapped().is_some();
    let bad = src.is_multicast() || (src.is_loopback() && outside) || mapped;
    if bad {
        Err(DropReason::IpSource)
    } else {
        Ok(())
    }
}
