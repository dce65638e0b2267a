//! Datagrams on their way out in fragments.
//!
//! RFC 791 §2.3, §3.2, RFC 6864 §4, §5; RFC 8200 §4.5, RFC 7112 §5, RFC 7739 §5.3. *Owns* where a datagram is cut, and its identification.
//! *Does not* choose which may be: sockets do ([`Fragmenting`]).
//! Invariants: what the device has no room for stays with the line and leaves before anything else of it (r58); fragments
//! never overlap, and all but the last are multiples of 8 bytes; the payload is not copied.

use core::hash::BuildHasher;
use core::net::IpAddr;

use bytes::Bytes;

use super::output::{Outbound, link_header};
use super::{header_len, prefix};
use crate::base::checksum::Sum;
use crate::base::{DropReason, Instant, KeyedState, MacAddr, Protocol, Seed};
use crate::device::{DeviceError, Transmit};
use crate::ipv6::extension::FRAGMENT_LEN;
use crate::link::ethernet::EtherType;
use crate::link::{TxFrame, TxMeta};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::{Delivery, Flow, HeaderBytes, Summed};
use crate::{ipv4, ipv6, udp};

/// *Fixed*: counters of identifications, each shared by the destinations that fall to it.
const COUNTERS: usize = 2048;

/// A datagram some of whose fragments have left.
#[derive(Debug)]
pub(in crate::stack) struct Leaving {
    mac: Option<MacAddr>,
    flow: Flow,
    protocol: Protocol,
    /// The transport's header, its checksum filled.
    header: HeaderBytes,
    payload: Bytes,
    id: u32,
    /// IPv6's, the same in all fragments.
    label: u32,
    /// Bytes behind the IP header, and the fragment header, in all fragments but the last.
    size: usize,
    /// Bytes of header and payload that have left.
    left: usize,
}

/// Identifications: a counter for each bucket of destinations, from a start that nobody else knows (RFC 7739 §5.3).
///
/// So a destination is told none twice before all were used (RFC 8200 §4.5, RFC 6864 §4.3), and who sees those of one destination cannot
/// tell another's.
#[derive(Debug)]
pub(in crate::stack) struct Identifications {
    bucket: KeyedState,
    start: KeyedState,
    /// Empty until the first is needed.
    counters: Vec<u32>,
}

impl Identifications {
    pub(in crate::stack) fn new(seed: &Seed) -> Self {
        Self {
            bucket: KeyedState::new(seed.key("identification bucket")),
            start: KeyedState::new(seed.key("identification start")),
            counters: Vec::new(),
        }
    }

    /// The first of the next so many between these, which are others' once they are [spent](Self::spend); IPv4 has
    /// room for the low 16 bits.
    pub(in crate::stack) fn draw(
        &mut self,
        (src, dst): (IpAddr, IpAddr),
        protocol: Protocol,
        many: usize,
    ) -> Drawn {
        // RFC 791 §3.2 has one for each protocol; RFC 8200 §4.5 for each pair of addresses.
        let protocol = if dst.is_ipv4() { protocol.0 } else { 0 };
        let hash = |state: &KeyedState, dst: IpAddr| state.hash_one((src, dst, protocol));
        let low = |hash: u64| u32::try_from(hash & 0xffff_ffff).unwrap_or(0);
        self.counters.resize(COUNTERS, 0);
        // RFC 7739 §5.3: who has a whole prefix finds out no other's counter by trying all of his addresses.
        let shared = hash(&self.bucket, prefix(dst));
        let bucket = usize::try_from(shared % COUNTERS as u64).unwrap_or(0);
        // RFC 6864 §4.2: a datagram that is sent again is another one.
        let next = self.counters[bucket].wrapping_add(1);
        Drawn {
            bucket,
            many: u32::try_from(many).unwrap_or(u32::MAX),
            first: low(hash(&self.start, dst)).wrapping_add(next),
        }
    }

    /// One that is spent at once.
    #[cfg(test)]
    pub(in crate::stack) fn next(&mut self, ends: (IpAddr, IpAddr), protocol: Protocol) -> u32 {
        let drawn = self.draw(ends, protocol, 1);
        self.spend(&drawn);
        drawn.first
    }

    /// What these were drawn for has left: nothing else gets them. A device that has no room spends none.
    pub(in crate::stack) fn spend(&mut self, drawn: &Drawn) {
        if let Some(counter) = self.counters.get_mut(drawn.bucket) {
            *counter = counter.wrapping_add(drawn.many);
        }
    }
}

/// Identifications for what is about to leave.
#[derive(Debug)]
pub(in crate::stack) struct Drawn {
    bucket: usize,
    many: u32,
    pub(in crate::stack) first: u32,
}

impl Net {
    /// Has a datagram left in part? Then nothing else leaves, though the device may have room again.
    pub(in crate::stack) fn is_leaving(&self, on: InterfaceId) -> bool {
        self.interfaces[on.index()].line.leaving.is_some()
    }

    /// An address was taken away: the rest of a datagram from there stays behind, and is counted.
    pub(in crate::stack) fn drop_leaving(&mut self, on: InterfaceId, src: IpAddr) {
        let leaving = &mut self.interfaces[on.index()].line.leaving;
        if leaving.take_if(|leaving| leaving.flow.src == src).is_some() {
            self.counters.drops.count(DropReason::IpSourceGone);
        }
    }

    /// Fragments that have left since there were so many.
    pub(in crate::stack) fn fragments_since(&self, before: u64) -> usize {
        usize::try_from(self.counters.fragments_sent - before).unwrap_or(usize::MAX)
    }

    /// Sends a packet above `mtu` in fragments.
    #[cold]
    pub(super) fn transmit_cut<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        (on, mac): (InterfaceId, Option<MacAddr>),
        packet: &Outbound<'_>,
        mtu: usize,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        debug_assert!(!self.is_leaving(on), "nothing else is sent before");
        let ends = (packet.flow.src, packet.flow.dst);
        let extension = if ends.1.is_ipv6() { FRAGMENT_LEN } else { 0 };
        let room = mtu.saturating_sub(header_len(ends.1) + extension);
        let payload = packet.payload.first().cloned().unwrap_or_default();
        let drawn = self.identifications.draw(ends, packet.protocol, 1);
        let mut leaving = Leaving {
            mac,
            flow: *packet.flow,
            protocol: packet.protocol,
            header: summed(packet, &payload),
            payload,
            id: drawn.first,
            label: self
                .labels
                .of(on, packet.flow, packet.protocol, packet.header),
            size: (room & !7).max(8),
            left: 0,
        };
        let sent = self.transmit_fragments(now, on, &mut leaving, out)?;
        if sent != Delivery::Full || leaving.left > 0 {
            self.identifications.spend(&drawn);
        }
        if sent == Delivery::Full && leaving.left > 0 {
            self.interfaces[on.index()].line.leaving = Some(Box::new(leaving));
            return Ok(Delivery::Taken);
        }
        Ok(sent)
    }

    /// Sends what is left of a datagram whose first fragments the device has taken; says whether it is full.
    #[cold]
    pub(in crate::stack) fn transmit_rest<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let Some(mut leaving) = self.interfaces[on.index()].line.leaving.take() else {
            return Ok(Delivery::Taken);
        };
        let sent = self.transmit_fragments(now, on, &mut leaving, out)?;
        if sent == Delivery::Full {
            self.interfaces[on.index()].line.leaving = Some(leaving);
        }
        Ok(sent)
    }

    /// Sends fragments until all have left, the device is full, or it drops one: then no other is of use.
    fn transmit_fragments<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        leaving: &mut Leaving,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let header = leaving.header;
        let header = header.as_slice();
        let all = header.len() + leaving.payload.len();
        while leaving.left < all {
            let end = all.min(leaving.left + leaving.size);
            let own = header.get(leaving.left..).unwrap_or_default();
            let own = &own[..own.len().min(leaving.size)];
            let start = (leaving.left + own.len()).saturating_sub(header.len());
            let text = leaving
                .payload
                .slice(start..end.saturating_sub(header.len()).max(start));
            let interface = &self.interfaces[on.index()];
            let buf = &mut self.headers.0;
            let ether_type = match leaving.flow.dst {
                IpAddr::V4(_) => EtherType::IPV4,
                IpAddr::V6(_) => EtherType::IPV6,
            };
            let link = (ether_type, interface.tag_for(leaving.flow.tos));
            let ip = leaving
                .mac
                .map_or(0, |mac| link_header(interface, mac, link, buf));
            let at = leaving.emit_header(end - leaving.left, end < all, ip, buf);
            let at_end = at + own.len();
            buf[at..at_end].copy_from_slice(own);
            let len = at_end + text.len();
            let frame = TxFrame::new(&buf[..at_end], core::slice::from_ref(&text), TxMeta::PLAIN);
            let sent = out.transmit(now, &frame)?;
            match self.account(sent, len) {
                Delivery::Taken => leaving.left = end,
                other => return Ok(other),
            }
            self.counters.fragments_sent += 1;
        }
        Ok(Delivery::Taken)
    }
}

impl Leaving {
    /// Bytes that it holds.
    pub(in crate::stack) const fn held(&self) -> usize {
        self.payload.len()
    }

    /// Writes IP header and fragment header of a fragment of so many bytes; says where they end.
    fn emit_header(&self, len: usize, more: bool, at: usize, buf: &mut [u8]) -> usize {
        let offset = u16::try_from(self.left).unwrap_or(u16::MAX);
        match (self.flow.src, self.flow.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut fields = ipv4::Fields::new(src, dst, self.protocol);
                fields.tos = self.flow.tos;
                fields.ttl = self.flow.ttl;
                let [_, _, a, b] = self.id.to_be_bytes();
                fields.id = u16::from_be_bytes([a, b]);
                fields.dont_fragment = false;
                fields.more_fragments = more;
                fields.fragment_offset = offset / 8;
                at + fields.emit(len, &mut buf[at..])
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut fields = ipv6::Fields::new(src, dst, Protocol::FRAGMENT);
                fields.traffic_class = self.flow.tos;
                fields.flow_label = self.label;
                fields.hop_limit = self.flow.ttl;
                let at = at + fields.emit(len + FRAGMENT_LEN, &mut buf[at..]);
                let end = at + FRAGMENT_LEN;
                let [a, b] = (offset & !7 | u16::from(more)).to_be_bytes();
                buf[at..at + 4].copy_from_slice(&[self.protocol.0, 0, a, b]);
                buf[at + 4..end].copy_from_slice(&self.id.to_be_bytes());
                end
            }
            (src, dst) => {
                debug_assert!(false, "{src} and {dst} are of different families");
                at
            }
        }
    }
}

/// The transport's header with its checksum, over all that the fragments bring together: no device fills that.
fn summed(packet: &Outbound<'_>, payload: &Bytes) -> HeaderBytes {
    let mut header = [0; HeaderBytes::CAPACITY];
    let header = &mut header[..packet.header.len()];
    header.copy_from_slice(packet.header);
    if packet.protocol == Protocol::UDP && packet.summed == Summed::Yes {
        let len = header.len() + payload.len();
        let pseudo = match (packet.flow.src, packet.flow.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::pseudo_sum(src, dst, packet.protocol, len),
            (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::pseudo_sum(src, dst, packet.protocol, len),
            _ => Sum::new(),
        };
        let field = udp::checksum_field(pseudo.bytes(header).bytes(payload));
        let at = udp::CHECKSUM_OFFSET;
        // A raw socket's payload brings its own.
        if let Some(room) = header.get_mut(at..at + 2) {
            room.copy_from_slice(&field.to_be_bytes());
        }
    }
    HeaderBytes::new(header)
}
