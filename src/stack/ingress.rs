//! The way in: link header, IP header, whose packet it is, and on to its protocol.
//!
//! RFC 1122 §2.3, §3.2.1, §3.3.6; RFC 8200 §3, §4; RFC 4291 §2.7. *Owns* the checks that hold for
//! every packet. *Does not* answer: that is `icmp`, `neighbour` and the sockets. Every packet that stops
//! here is counted under one [`DropReason`].

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{Buf, Bytes};

use super::icmp::Complaint;
use super::ids::InterfaceId;
use super::interface::{Destination, Interface};
use super::packet::Inbound;
use super::{Input, Stack};
use crate::base::{DropReason, Instant, MacAddr, Protocol};
use crate::ipv6::extension::{self, Discard, Outcome};
use crate::link::ethernet::{self, EtherType};
use crate::link::{RxChecksum, RxFrame, RxMeta};
use crate::{arp, ipv4, ipv6};

/// What the link layer said about a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) src: Option<MacAddr>,
    /// Was it sent to us alone? RFC 1122 §2.4 has IP know of it.
    pub(super) unicast: bool,
}

impl Stack {
    /// Takes one received frame.
    pub fn handle_frame(&mut self, now: Instant, on: InterfaceId, frame: RxFrame) {
        self.note(|| Input::Frame(now, on, frame.clone()));
        let now = self.net.clamp(now);
        if on.index() >= self.net.interfaces.len() {
            debug_assert!(false, "{on:?} is not an interface of this stack");
            return;
        }
        self.net.counters.rx_frames += 1;
        self.net.counters.rx_bytes += frame.data.len() as u64;
        let RxFrame { data, mut meta, .. } = frame;
        meta.at = meta.at.min(now);
        if !self.config.trust_partial && matches!(meta.checksum, RxChecksum::Partial(_)) {
            meta.checksum = RxChecksum::Unknown;
        }
        if let Err(reason) = self.handle_link(now, on, data, meta) {
            self.net.counters.drops.count(reason);
        }
        self.tell_notices(now);
    }

    fn handle_link(
        &mut self,
        now: Instant,
        on: InterfaceId,
        mut data: Bytes,
        meta: RxMeta,
    ) -> Result<(), DropReason> {
        let interface = &self.net.interfaces[on.index()];
        let (link, ether_type) = if interface.is_ethernet() {
            let (link, ether_type, len) = link_header(interface, &data)?;
            data.advance(len);
            (link, ether_type)
        } else {
            let link = Link {
                src: None,
                unicast: true,
            };
            // No link header tells: the version does.
            let ether_type = match data.first().map(|byte| byte >> 4) {
                Some(4) => EtherType::IPV4,
                Some(6) => EtherType::IPV6,
                _ => return Err(DropReason::LinkProtocol),
            };
            (link, ether_type)
        };
        match ether_type {
            EtherType::IPV4 => self.handle_ipv4(now, on, link, data, meta),
            EtherType::IPV6 => self.handle_ipv6(now, on, link, data, meta),
            EtherType::ARP => {
                let packet = arp::Packet::parse(&data).map_err(|_| DropReason::ArpMalformed)?;
                self.handle_arp(now, on, &packet)
            }
            _ => Err(DropReason::LinkProtocol),
        }
    }

    fn handle_ipv4(
        &mut self,
        now: Instant,
        on: InterfaceId,
        link: Link,
        mut data: Bytes,
        meta: RxMeta,
    ) -> Result<(), DropReason> {
        let (header, _) = ipv4::Header::parse(&data).map_err(|error| match error {
            ipv4::ParseError::Checksum { .. } => DropReason::Ipv4Checksum,
            _ => DropReason::Ipv4Malformed,
        })?;
        let interface = &self.net.interfaces[on.index()];
        check_source_v4(interface, header.src())?;
        let (src, dst) = (IpAddr::V4(header.src()), IpAddr::V4(header.dst()));
        if self.net.is_own_source(on, src) {
            return Err(DropReason::IpSource);
        }
        let unicast = check_destination(interface, dst, link)?;
        let wrong = check_options(&header)?;
        if header.is_fragment() && wrong.is_none() {
            return Err(DropReason::IpFragment);
        }
        let protocol = header.protocol();
        let (header_len, total_len) = (header.header_len(), header.total_len());
        let (tos, ttl) = (header.tos(), header.ttl());
        data.truncate(total_len);
        let mut packet = Inbound {
            on,
            src,
            dst,
            unicast,
            tos,
            ttl,
            at: meta.at,
            checksum: meta.checksum,
            segment_size: meta.segment_size,
            quote: if wrong.is_some() {
                data.clone()
            } else {
                quote(protocol, &data)
            },
            segment: skip(data, header_len),
            ports: (0, 0),
            fin: false,
            link_unicast: link.unicast,
            link_src: link.src,
        };
        if let Some(pointer) = wrong {
            // RFC 1122 §3.2.2.5: a Parameter Problem is told of what no other message covers.
            self.complain(&packet, Complaint::Parameter { code: 0, pointer });
            return Err(DropReason::Ipv4Malformed);
        }
        match protocol {
            Protocol::TCP => self.dispatch_tcp(now, &mut packet),
            Protocol::UDP => self.handle_udp(now, &packet),
            Protocol::ICMP => self.handle_icmpv4(now, &packet),
            _ => {
                self.complain(&packet, Complaint::Protocol { pointer: 9 });
                Err(DropReason::IpProtocol)
            }
        }
    }

    fn handle_ipv6(
        &mut self,
        now: Instant,
        on: InterfaceId,
        link: Link,
        mut data: Bytes,
        meta: RxMeta,
    ) -> Result<(), DropReason> {
        let (header, payload) =
            ipv6::Header::parse(&data).map_err(|_| DropReason::Ipv6Malformed)?;
        let interface = &self.net.interfaces[on.index()];
        check_source_v6(header.src())?;
        let own = self.net.is_own_source(on, IpAddr::V6(header.src()));
        let (src, dst) = (IpAddr::V6(header.src()), IpAddr::V6(header.dst()));
        let unicast = check_destination(interface, dst, link)?;
        let outcome = extension::walk(&header, payload);
        let (tos, ttl) = (header.traffic_class(), header.hop_limit());
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
        let mut packet = Inbound {
            on,
            src,
            dst,
            unicast,
            tos,
            ttl,
            at: meta.at,
            checksum: meta.checksum,
            segment_size: meta.segment_size,
            quote: quote(upper, &data),
            segment: skip(data, offset),
            ports: (0, 0),
            fin: false,
            link_unicast: link.unicast,
            link_src: link.src,
        };
        // RFC 4291 §2.5.2: `::` sends duplicate detection alone, and our own address comes in nothing
        // but the answer to it: `handle_icmpv6` looks closer.
        if (own || src.is_unspecified()) && upper != Protocol::ICMPV6 {
            return Err(DropReason::IpSource);
        }
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
            } => match protocol {
                Protocol::TCP => self.dispatch_tcp(now, packet),
                Protocol::UDP => self.handle_udp(now, packet),
                Protocol::ICMPV6 => self.handle_icmpv6(now, packet, fragmented),
                // RFC 8200 §4.7: nothing follows, and nothing is wrong with that.
                Protocol::NO_NEXT_HEADER => Err(DropReason::IpProtocol),
                _ => {
                    self.complain(packet, Complaint::Protocol { pointer });
                    Err(DropReason::IpProtocol)
                }
            },
            Outcome::ParameterProblem { code, pointer } => {
                self.complain(packet, Complaint::Parameter { code, pointer });
                Err(DropReason::Ipv6Option)
            }
            Outcome::Fragment(_) => Err(DropReason::IpFragment),
            Outcome::Discard(Discard::Option { .. }) => Err(DropReason::Ipv6Option),
            Outcome::Discard(_) => Err(DropReason::Ipv6Malformed),
        }
    }

    fn dispatch_tcp(&mut self, now: Instant, packet: &mut Inbound) -> Result<(), DropReason> {
        // RFC 9293 §3.9.2.3 MUST-57: nothing of TCP's goes to a group (r49).
        if !packet.unicast || !packet.link_unicast {
            return Err(DropReason::TcpBadSyn);
        }
        self.net.counters.tcp_segments_received += 1;
        self.handle_tcp(now, packet);
        Ok(())
    }
}

/// Reads the Ethernet header: is the frame for us, and of our VLAN?
fn link_header(interface: &Interface, data: &[u8]) -> Result<(Link, EtherType, usize), DropReason> {
    let (header, _) = ethernet::Header::parse(data).map_err(|_| DropReason::LinkMalformed)?;
    // IEEE 802.1Q table 9-2: VLAN 0 says no more than a priority.
    let vlan = header.tag().map_or(0, |tag| tag.id());
    if vlan != interface.tag.map_or(0, |tag| tag.id()) {
        return Err(DropReason::LinkProtocol);
    }
    let (dst, src) = (header.dst(), header.src());
    if dst != interface.mac && !dst.is_multicast() {
        return Err(DropReason::LinkNotOurs);
    }
    let link = Link {
        src: Some(src),
        unicast: !dst.is_multicast(),
    };
    Ok((link, header.ether_type(), header.len()))
}

/// RFC 1122 §3.2.1.3, §4.1.3.6: who cannot have sent a packet (r49).
fn check_source_v4(interface: &Interface, src: Ipv4Addr) -> Result<(), DropReason> {
    let first = src.octets()[0];
    let bad = src.is_multicast()
        || first == 0
        || first == 127
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
fn check_options(header: &ipv4::Header<'_>) -> Result<Option<u32>, DropReason> {
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

/// RFC 4291 §2.5.3, §2.7 and, for mapped addresses, RFC 4942 §2.2 (r49).
fn check_source_v6(src: Ipv6Addr) -> Result<(), DropReason> {
    let bad = src.is_multicast() || src.is_loopback() || src.to_ipv4_mapped().is_some();
    if bad {
        Err(DropReason::IpSource)
    } else {
        Ok(())
    }
}

/// Is the packet ours? Says whether to us alone.
fn check_destination(interface: &Interface, dst: IpAddr, link: Link) -> Result<bool, DropReason> {
    match interface.classify(dst) {
        // RFC 1122 §3.3.6: a unicast packet in a broadcast frame is not answered.
        Destination::Ours if !link.unicast => Err(DropReason::IpLinkBroadcast),
        Destination::Ours => Ok(true),
        Destination::Group => Ok(false),
        Destination::Tentative => Err(DropReason::IpTentative),
        Destination::Foreign => Err(DropReason::IpNotOurs),
    }
}

/// What an ICMP error about the packet would quote; TCP answers for itself.
fn quote(protocol: Protocol, packet: &Bytes) -> Bytes {
    if protocol == Protocol::TCP {
        Bytes::new()
    } else {
        packet.clone()
    }
}

fn skip(mut data: Bytes, len: usize) -> Bytes {
    data.advance(len.min(data.len()));
    data
}
