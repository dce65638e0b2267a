//! The way out: from a transport header and payload slices to a frame that the device takes.
//!
//! *Owns* the one buffer that all headers are written into; nothing here allocates. *Does not* queue:
//! a packet whose neighbour is not known stays with its owner, or goes to the neighbour's queue.

use core::net::IpAddr;
use core::num::NonZeroU16;

use bytes::Bytes;

use super::header_len;
use crate::base::checksum::Sum;
use crate::base::{DropReason, Instant, MacAddr, Protocol};
use crate::device::{DeviceDrop, DeviceError, Sent, Transmit};
use crate::link::ethernet::{self, EtherType};
use crate::link::{PartialChecksum, SegmentKind, Segmentation, TxFrame, TxMeta, VlanTag};
use crate::stack::address::AddressState;
use crate::stack::ids::{InterfaceId, RawId, UdpId};
use crate::stack::interface::Interface;
use crate::stack::neighbour::{Lookup, Need};
use crate::stack::net::Net;
use crate::stack::packet::{
    Delivery, Flow, Fragmenting, Notice, OwnedPacket, Owner, Summed, Waiter,
};
use crate::{ipv4, ipv6, tcp, udp};

/// Link header with a tag, IPv6 header, TCP header with all its options.
const HEADER_ROOM: usize = 18 + 40 + 60;

/// RFC 3168 §5: ECT(0), of the two code points the one to use.
const ECT0: u8 = 0b10;

/// A packet on its way out, borrowed from its owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outbound<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) protocol: Protocol,
    /// The transport header. TCP's and UDP's checksum field is filled here, ICMP's is complete.
    pub(crate) header: &'a [u8],
    pub(crate) payload: &'a [Bytes],
    /// Payload bytes of each segment, when it is a super-segment.
    pub(crate) segment: Option<NonZeroU16>,
    pub(crate) fragmenting: Fragmenting,
    /// Is the checksum field filled?
    pub(crate) summed: Summed,
    /// What its owner alone was told that the path carries; `u16::MAX`: nothing.
    pub(crate) mtu: u16,
    /// May a router mark it in place of a drop? Else what the flow says of ECN stands.
    pub(crate) ect: bool,
}

/// The station that a packet goes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum LinkTo {
    /// A medium without link addresses.
    Nobody,
    Station(MacAddr),
    Unresolved(RawId),
    /// The source is not in use yet.
    Tentative,
    /// The source is another station's.
    Duplicate,
    /// The source was ours.
    Gone,
    NoRoom,
}

/// The buffer for headers.
#[derive(Debug)]
pub(crate) struct Headers(pub(super) [u8; HEADER_ROOM]);

impl Default for Headers {
    fn default() -> Self {
        Self([0; HEADER_ROOM])
    }
}

impl Net {
    /// Sends one packet of a socket that waits itself when the neighbour is not known; TCP's and UDP's
    /// checksum field is 0.
    ///
    /// [`Delivery::Unresolved`]: `waiter` is put on the ready list when the neighbour answers, or named
    /// in a notice when it does not.
    pub(crate) fn send<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        waiter: Waiter,
        packet: &Outbound<'_>,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let need = match waiter {
            Waiter::Tcp(_) => Need::Connection,
            Waiter::Udp(_) => Need::Datagram,
            Waiter::Farewell(_) => Need::Answer,
        };
        let to = self.link_to(now, on, packet.flow, None, need);
        self.send_to(now, (on, to), waiter, packet, out)
    }

    /// Sends it to the station that was found.
    #[inline]
    fn send_to<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        (on, to): (InterfaceId, LinkTo),
        waiter: Waiter,
        packet: &Outbound<'_>,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        match to {
            LinkTo::Nobody => self.transmit(now, on, None, packet, out),
            LinkTo::Station(mac) => self.transmit(now, on, Some(mac), packet, out),
            LinkTo::Unresolved(id) => {
                self.neighbours.wait(id, waiter);
                self.run_effects(now);
                Ok(Delivery::Unresolved)
            }
            LinkTo::Tentative => {
                let waiters = &mut self.interfaces[on.index()].waiters;
                waiters.entry(packet.flow.src).or_default().insert(waiter);
                Ok(Delivery::Unresolved)
            }
            LinkTo::Duplicate => {
                self.notices.push_back(Notice::Failed(waiter));
                Ok(Delivery::Unresolved)
            }
            LinkTo::NoRoom => {
                self.counters.drops.count(DropReason::NeighbourUnresolved);
                Ok(Delivery::Dropped)
            }
            LinkTo::Gone => {
                self.counters.drops.count(DropReason::IpSourceGone);
                Ok(Delivery::Dropped)
            }
        }
    }

    /// Sends one datagram of a socket, or puts it in its neighbour's queue: a dead neighbour must not
    /// hold up the socket's other destinations (r60).
    pub(in crate::stack) fn send_datagram<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        id: UdpId,
        packet: &Outbound<'_>,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let to = self.link_to(now, on, packet.flow, None, Need::Datagram);
        let LinkTo::Unresolved(entry) = to else {
            return self.send_to(now, (on, to), Waiter::Udp(id), packet, out);
        };
        let payload = packet.payload.first().cloned().unwrap_or_default();
        let mut owned = OwnedPacket::new(*packet.flow, packet.protocol, packet.header, payload);
        owned.segment = packet.segment;
        owned.fragmenting = packet.fragmenting;
        owned.summed = packet.summed;
        owned.mtu = packet.mtu;
        owned.owner = Owner::Udp(id);
        self.neighbours.queue(entry, owned);
        self.run_effects(now);
        Ok(Delivery::Taken)
    }

    /// Sends a packet that nobody keeps, or puts it in its neighbour's queue. Given back when the
    /// device is full.
    pub(in crate::stack) fn send_owned<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        packet: OwnedPacket,
        out: &mut T,
    ) -> Result<Result<Delivery, OwnedPacket>, DeviceError> {
        let need = match packet.owner {
            Owner::Stack | Owner::Parting | Owner::Transit(_) => Need::Answer,
            Owner::Udp(_) | Owner::Ping(..) | Owner::Raw(_) | Owner::Whole(_) => Need::Datagram,
        };
        let (flow, known) = (&packet.flow, packet.link_dst);
        let to = match packet.owner {
            Owner::Parting => self.station(now, on, flow, known, need),
            _ => self.link_to(now, on, flow, known, need),
        };
        let mac = match to {
            LinkTo::Nobody => None,
            LinkTo::Station(mac) => Some(mac),
            LinkTo::Unresolved(id) => {
                self.neighbours.queue(id, packet);
                self.run_effects(now);
                return Ok(Ok(Delivery::Taken));
            }
            LinkTo::NoRoom => {
                self.counters.drops.count(DropReason::NeighbourUnresolved);
                return Ok(Ok(Delivery::Dropped));
            }
            LinkTo::Tentative => {
                self.counters.drops.count(DropReason::IpTentative);
                return Ok(Ok(Delivery::Dropped));
            }
            LinkTo::Duplicate => {
                self.counters.drops.count(DropReason::IpDuplicate);
                return Ok(Ok(Delivery::Dropped));
            }
            LinkTo::Gone => {
                self.counters.drops.count(DropReason::IpSourceGone);
                return Ok(Ok(Delivery::Dropped));
            }
        };
        if let Owner::Whole(_) = packet.owner {
            return match self.transmit_whole(now, (on, mac), &packet, out)? {
                Delivery::Full => Ok(Err(packet)),
                sent => Ok(Ok(sent)),
            };
        }
        let outbound = Outbound {
            flow: &packet.flow,
            protocol: packet.protocol,
            header: packet.header.as_slice(),
            payload: core::slice::from_ref(&packet.payload),
            segment: packet.segment,
            fragmenting: packet.fragmenting,
            summed: packet.summed,
            mtu: packet.mtu,
            ect: false,
        };
        match self.transmit(now, on, mac, &outbound, out)? {
            Delivery::Full => Ok(Err(packet)),
            sent => Ok(Ok(sent)),
        }
    }

    /// Who gets the frame?
    fn link_to(
        &mut self,
        now: Instant,
        on: InterfaceId,
        flow: &Flow,
        known: Option<MacAddr>,
        need: Need,
    ) -> LinkTo {
        let interface = &self.interfaces[on.index()];
        let addresses = &interface.addresses;
        if !addresses.are_in_use() {
            match addresses.state(flow.src) {
                Some(AddressState::Tentative) => return LinkTo::Tentative,
                Some(AddressState::Duplicate) => return LinkTo::Duplicate,
                Some(AddressState::Optimistic) => {
                    return self.link_in_hope(now, on, flow, known, need);
                }
                Some(AddressState::Preferred | AddressState::Deprecated) => {}
                // Of another interface, or anybody's: a socket's under `accept_foreign`, a probe's `::`.
                None if flow.src.is_unspecified() || self.takes(flow.src, None) => {}
                None => return LinkTo::Gone,
            }
        }
        self.station(now, on, flow, known, need)
    }

    /// From an address that may be another's nobody is asked for (RFC 4429 §3.2): who is not known is reached by a router that
    /// is, or when the address is ours without a doubt.
    #[cold]
    fn link_in_hope(
        &mut self,
        now: Instant,
        on: InterfaceId,
        flow: &Flow,
        known: Option<MacAddr>,
        need: Need,
    ) -> LinkTo {
        let interface = &self.interfaces[on.index()];
        let is_group = interface.groups.mac(flow.next_hop).is_some();
        if known.is_some() || is_group || self.neighbours.mac((on, flow.next_hop)).is_some() {
            return self.station(now, on, flow, known, need);
        }
        let router = self.known_router(on);
        router.map_or(LinkTo::Tentative, LinkTo::Station)
    }

    /// The station of the next hop, whatever the source.
    pub(super) fn station(
        &mut self,
        now: Instant,
        on: InterfaceId,
        flow: &Flow,
        known: Option<MacAddr>,
        need: Need,
    ) -> LinkTo {
        let interface = &self.interfaces[on.index()];
        if !interface.is_ethernet() {
            return LinkTo::Nobody;
        }
        let known = known.or_else(|| interface.groups.mac(flow.next_hop));
        if let Some(mac) = known {
            return LinkTo::Station(mac);
        }
        let key = (on, flow.next_hop);
        let timers = &mut self.timers;
        match self.neighbours.lookup(now, timers, key, flow.src, need) {
            Lookup::Known(mac) => LinkTo::Station(mac),
            Lookup::Unresolved(id) => LinkTo::Unresolved(id),
            Lookup::NoRoom => LinkTo::NoRoom,
        }
    }

    /// Writes the headers and offers the frame.
    fn transmit<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        mac: Option<MacAddr>,
        packet: &Outbound<'_>,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let payload_len: usize = packet.payload.iter().map(Bytes::len).sum();
        let len = packet.header.len() + payload_len;
        let mut drawn = None;
        if packet.fragmenting != Fragmenting::Never {
            let dst = packet.flow.dst;
            let mtu = self.path_mtu(on, dst).min(packet.mtu.into());
            if packet.segment.is_none() && header_len(dst) + len > mtu {
                return self.transmit_cut(now, (on, mac), packet, mtu, out);
            }
            // What is whole has none in IPv6.
            if packet.fragmenting == Fragmenting::Anywhere && dst.is_ipv4() {
                // RFC 6864 §4.3: who cuts a super-segment counts on from the first one's.
                let many = packet.segment.map_or(1, |size| {
                    payload_len.div_ceil(usize::from(size.get())).max(1)
                });
                let ends = (packet.flow.src, dst);
                drawn = Some(self.identifications.draw(ends, packet.protocol, many));
            }
        }
        let interface = &self.interfaces[on.index()];
        let buf = &mut self.headers.0;
        let ether_type = match packet.flow.dst {
            IpAddr::V4(_) => EtherType::IPV4,
            IpAddr::V6(_) => EtherType::IPV6,
        };
        let link = (ether_type, interface.tag_for(packet.flow.tos));
        let ip = mac.map_or(0, |mac| link_header(interface, mac, link, buf));
        let id = drawn.as_ref().map_or(0, |drawn| drawn.first);
        let label = self
            .labels
            .of(on, packet.flow, packet.protocol, packet.header);
        let (start, pseudo) = ip_header(packet, (id, label), len, ip, buf);
        let end = start + packet.header.len();
        buf[start..end].copy_from_slice(packet.header);
        let meta = finish_checksum(interface, packet, start, pseudo, &mut buf[start..end]);
        let frame = TxFrame::new(&buf[..end], packet.payload, meta);
        let sent = out.transmit(now, &frame)?;
        let delivery = self.account(sent, end + payload_len);
        if let Some(drawn) = drawn.filter(|_| delivery != Delivery::Full) {
            self.identifications.spend(&drawn);
        }
        Ok(delivery)
    }

    pub(super) fn account(&mut self, sent: Sent, len: usize) -> Delivery {
        let reason = match sent {
            Sent::Full => return Delivery::Full,
            Sent::Taken => {
                self.counters.tx_frames += 1;
                self.counters.tx_bytes += len as u64;
                return Delivery::Taken;
            }
            Sent::Dropped(DeviceDrop::NoBuffers) => DropReason::DeviceNoBuffers,
            Sent::Dropped(DeviceDrop::LinkDown) => DropReason::DeviceLinkDown,
            Sent::Dropped(DeviceDrop::Refused) => DropReason::DeviceRefused,
        };
        self.counters.drops.count(reason);
        Delivery::Dropped
    }
}

pub(super) fn link_header(
    interface: &Interface,
    to: MacAddr,
    (ether_type, tag): (EtherType, Option<VlanTag>),
    buf: &mut [u8],
) -> usize {
    let mut fields = ethernet::Fields::new(to, interface.mac, ether_type);
    fields.tag = tag;
    fields.emit(buf)
}

/// TOS or traffic class of a packet that has its header.
pub(super) fn tos_of(packet: &[u8]) -> u8 {
    match *packet {
        [first, second, ..] if first >> 4 == 6 => first << 4 | second >> 4,
        [_, second, ..] => second,
        _ => 0,
    }
}

/// Writes the IP header at `at`; returns where it ends, and the pseudo-header's sum. TOS or traffic class are
/// the transport's (RFC 1122 §3.2.1.6, RFC 8200 §7).
fn ip_header(
    packet: &Outbound<'_>,
    (id, label): (u32, u32),
    len: usize,
    at: usize,
    buf: &mut [u8],
) -> (usize, Sum) {
    let flow = packet.flow;
    let tos = if packet.ect {
        flow.tos | ECT0
    } else {
        flow.tos
    };
    match (flow.src, flow.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            // DF on what no router may cut (RFC 1191 §3): such a datagram is atomic (RFC 6864 §4.1, §4.3), and its
            // Identification means nothing; nor has an IPv6 packet that is whole a fragment header (RFC 8021 §3).
            let mut fields = ipv4::Fields::new(src, dst, packet.protocol);
            if packet.fragmenting == Fragmenting::Anywhere {
                let [_, _, a, b] = id.to_be_bytes();
                (fields.dont_fragment, fields.id) = (false, u16::from_be_bytes([a, b]));
            }
            fields.tos = tos;
            fields.ttl = flow.ttl;
            let end = at
                + match packet.protocol {
                    // RFC 3376 §4: each message has it. A raw socket's packet is as its user made it: no header is ours.
                    Protocol::IGMP if !packet.header.is_empty() => {
                        let option = &ipv4::igmp::ROUTER_ALERT;
                        fields.emit_with_options(option, len, &mut buf[at..])
                    }
                    _ => fields.emit(len, &mut buf[at..]),
                };
            (end, ipv4::pseudo_sum(src, dst, packet.protocol, len))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut fields = ipv6::Fields::new(src, dst, packet.protocol);
            fields.traffic_class = tos;
            fields.flow_label = label;
            fields.hop_limit = flow.ttl;
            let end = at + fields.emit(len, &mut buf[at..]);
            (end, ipv6::pseudo_sum(src, dst, packet.protocol, len))
        }
        (src, dst) => {
            debug_assert!(false, "{src} and {dst} are of different families");
            (at, Sum::new())
        }
    }
}

/// Completes the transport checksum, or asks the device to.
fn finish_checksum(
    interface: &Interface,
    packet: &Outbound<'_>,
    start: usize,
    pseudo: Sum,
    header: &mut [u8],
) -> TxMeta {
    if packet.summed == Summed::No {
        debug_assert!(packet.segment.is_none(), "each is sent for itself");
        return TxMeta::PLAIN;
    }
    let (offset, kind) = match (packet.protocol, packet.flow.dst) {
        (Protocol::TCP, IpAddr::V4(_)) => (tcp::CHECKSUM_OFFSET, SegmentKind::Tcp4),
        (Protocol::TCP, IpAddr::V6(_)) => (tcp::CHECKSUM_OFFSET, SegmentKind::Tcp6),
        (Protocol::UDP, _) => (udp::CHECKSUM_OFFSET, SegmentKind::Udp),
        _ => return TxMeta::PLAIN,
    };
    let offload = interface.line.capabilities.checksum || packet.segment.is_some();
    let (field, meta) = if offload {
        let word = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        let partial = PartialChecksum {
            start: word(start),
            offset: word(offset),
        };
        let segment = packet.segment.map(|size| Segmentation { kind, size });
        (pseudo.partial(), TxMeta::offload(partial, segment))
    } else {
        let sum = pseudo.bytes(header).slices(packet.payload);
        let field = match packet.protocol {
            Protocol::UDP => udp::checksum_field(sum),
            _ => sum.finish(),
        };
        (field, TxMeta::PLAIN)
    };
    // What a raw socket sends of TCP or UDP has no header of ours: its checksum is its user's.
    let Some(room) = header.get_mut(offset..offset + 2) else {
        return TxMeta::PLAIN;
    };
    room.copy_from_slice(&field.to_be_bytes());
    meta
}
