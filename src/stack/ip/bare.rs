//! Frames on their way out that carry no IP packet of ours: ARP's, and those of packet sockets.
//!
//! RFC 826, IEEE 802.3 §3.2. *Owns* their form. *Does not* say who gets them: who queued them did.

use core::net::IpAddr;

use bytes::Bytes;

use super::output::link_header;
use crate::arp;
use crate::base::{DropReason, Instant, MacAddr};
use crate::device::{DeviceError, Transmit};
use crate::link::ethernet::EtherType;
use crate::link::{TxFrame, TxMeta};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::Delivery;

impl Net {
    /// Sends an ARP packet.
    pub(in crate::stack) fn send_arp<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        to: MacAddr,
        packet: &arp::Packet,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let interface = &self.interfaces[on.index()];
        let addresses = &interface.addresses;
        let nobody = packet.sender.is_unspecified() || addresses.are_in_use();
        if !nobody && !addresses.is_assigned(IpAddr::V4(packet.sender)) {
            self.counters.drops.count(DropReason::IpSourceGone);
            return Ok(Delivery::Dropped);
        }
        // RFC 3927 §2.5: whoever else has the address is to hear of it.
        let to = match packet.sender.is_link_local() {
            true => MacAddr::BROADCAST,
            false => to,
        };
        let buf = &mut self.headers.0;
        let at = link_header(interface, to, (EtherType::ARP, interface.tag), buf);
        let len = at + packet.emit(&mut buf[at..]);
        let frame = TxFrame::new(&buf[..len], &[], TxMeta::PLAIN);
        let sent = out.transmit(now, &frame)?;
        Ok(self.account(sent, len))
    }

    /// Sends what a packet socket was given, behind a link header where the medium has them.
    pub(in crate::stack) fn send_link<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        (to, ether_type): (MacAddr, EtherType),
        payload: &Bytes,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let interface = &self.interfaces[on.index()];
        let buf = &mut self.headers.0;
        let at = match interface.is_ethernet() {
            true => link_header(interface, to, (ether_type, interface.tag), buf),
            false => 0,
        };
        let payload = core::slice::from_ref(payload);
        let frame = TxFrame::new(&buf[..at], payload, TxMeta::PLAIN);
        let sent = out.transmit(now, &frame)?;
        let len = at + payload[0].len();
        Ok(self.account(sent, len))
    }
}
