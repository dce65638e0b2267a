//! The way in up to IP: a frame's link header, and what it carries.
//!
//! RFC 894, RFC 1122 §2.3, RFC 2464, IEEE 802.1Q. *Owns* whose frame it is. *Does not* look into IP packets, but
//! for the version where no link header tells; ARP's are read here. Every frame that stops here is counted under one
//! [`DropReason`].

use bytes::{Buf, Bytes};

use super::{Arrival, Link};
use crate::arp;
use crate::base::{DropReason, Instant};
use crate::link::ethernet::{self, EtherType};
use crate::link::{RxChecksum, RxFrame, RxMeta};
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Interface;
use crate::stack::packet_socket::Came;
use crate::stack::{Input, Stack};

impl Stack {
    /// Takes one received frame.
    pub fn handle_frame(&mut self, now: Instant, on: InterfaceId, frame: RxFrame) {
        self.note_frame(|| Input::Frame(now, on, frame.clone()));
        let now = self.net.clamp(now);
        if on.index() >= self.net.interfaces.len() {
            debug_assert!(false, "{on:?} is not an interface of this stack");
            return;
        }
        self.take_frame(now, on, frame);
        self.tell_notices(now);
    }

    /// The same for one that may come from within.
    pub(in crate::stack) fn take_frame(&mut self, now: Instant, on: InterfaceId, frame: RxFrame) {
        self.net.counters.rx_frames += 1;
        self.net.counters.rx_bytes += frame.data.len() as u64;
        // Fragments that wait keep their chunks no longer than others fill as many.
        let received = self.net.counters.rx_bytes;
        self.net.reassembly.unpin(received);
        let RxFrame { data, mut meta, .. } = frame;
        meta.at = meta.at.min(now);
        let passed = self.net.forwarding.known.passed();
        if let Err(reason) = self.handle_link(now, on, data, meta) {
            self.net.counters.drops.count(reason);
        }
        if self.net.forwarding.known.passed() == passed {
            self.net.forwarding.known.forget();
        }
    }

    fn handle_link(
        &mut self,
        now: Instant,
        on: InterfaceId,
        mut data: Bytes,
        meta: RxMeta,
    ) -> Result<(), DropReason> {
        let interface = &self.net.interfaces[on.index()];
        if !interface.line.is_up() {
            return Err(DropReason::LinkDown);
        }
        let heard = !self.packets.is_empty() && self.hear_frame(on, &data, &meta);
        let interface = &self.net.interfaces[on.index()];
        let (link, ether_type) = if interface.is_ethernet() {
            let (link, ether_type, len) = match link_header(interface, &data) {
                Ok(read) => read,
                Err(reason) => return self.handle_vlan(now, on, data, meta, reason),
            };
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
        let arrival = Arrival {
            on,
            link,
            meta,
            trusted: self.config.trust_partial || !matches!(meta.checksum, RxChecksum::Partial(_)),
            cut: None,
        };
        match ether_type {
            EtherType::IPV4 => self.handle_ipv4(now, &arrival, data),
            EtherType::IPV6 => self.handle_ipv6(now, &arrival, data),
            EtherType::ARP => {
                let packet = arp::Packet::parse(&data).map_err(|_| DropReason::ArpMalformed)?;
                self.handle_arp(now, on, &packet)
            }
            _ if heard => Ok(()),
            _ => Err(DropReason::LinkProtocol),
        }
    }
}

impl Stack {
    /// Lets packet sockets hear a frame, if it is this interface's; did any?
    #[cold]
    fn hear_frame(&mut self, on: InterfaceId, frame: &Bytes, meta: &RxMeta) -> bool {
        let interface = &self.net.interfaces[on.index()];
        if !interface.is_ethernet() {
            let ether_type = match frame.first().map(|byte| byte >> 4) {
                Some(4) => EtherType::IPV4,
                Some(6) => EtherType::IPV6,
                _ => return false,
            };
            let came = Came {
                on,
                ends: None,
                ether_type,
                to_us: true,
            };
            return self.deliver_packet(&came, frame, meta);
        }
        let Ok((header, payload)) = ethernet::Header::parse(frame) else {
            return false;
        };
        let vlan = header.tag().map_or(0, |tag| tag.id());
        if vlan != interface.tag.map_or(0, |tag| tag.id()) {
            return false;
        }
        let dst = header.dst();
        let came = Came {
            on,
            ends: Some((dst, header.src())),
            ether_type: header.ether_type(),
            to_us: dst == interface.mac || dst.is_multicast(),
        };
        self.deliver_packet(&came, &frame.slice_ref(payload), meta)
    }

    /// Takes a frame that is not the interface's own: is it that of a VLAN which shares the device?
    #[cold]
    fn handle_vlan(
        &mut self,
        now: Instant,
        on: InterfaceId,
        data: Bytes,
        meta: RxMeta,
        reason: DropReason,
    ) -> Result<(), DropReason> {
        let vlans = self.net.interfaces[on.index()].vlans.as_deref();
        let meant = vlans.filter(|_| reason == DropReason::LinkProtocol);
        let header = ethernet::Header::parse(&data).ok();
        let tag = header.and_then(|(header, _)| header.tag());
        let of = meant.and_then(|vlans| vlans.find(tag.map_or(0, |tag| tag.id())));
        self.handle_link(now, of.ok_or(reason)?, data, meta)
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
