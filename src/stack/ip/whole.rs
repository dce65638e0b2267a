//! The way out of a packet that brings its own IP header: the link's around it, and no more.
//!
//! *Owns* the frame. *Does not* look into the packet: who made it has.

use core::net::IpAddr;

use super::output::{link_header, tos_of};
use crate::base::{Instant, MacAddr};
use crate::device::{DeviceError, Transmit};
use crate::link::ethernet::EtherType;
use crate::link::{TxFrame, TxMeta};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::packet::{Delivery, HeaderBytes, OwnedPacket};

impl Net {
    /// Offers it to the device; its first bytes stand with the link's header, as those of other packets do.
    pub(super) fn transmit_whole<T: Transmit + ?Sized>(
        &mut self,
        now: Instant,
        (on, mac): (InterfaceId, Option<MacAddr>),
        packet: &OwnedPacket,
        out: &mut T,
    ) -> Result<Delivery, DeviceError> {
        let interface = &self.interfaces[on.index()];
        let buf = &mut self.headers.0;
        let ether_type = match packet.flow.dst {
            IpAddr::V4(_) => EtherType::IPV4,
            IpAddr::V6(_) => EtherType::IPV6,
        };
        let link = (ether_type, interface.tag_for(tos_of(&packet.payload)));
        let start = mac.map_or(0, |mac| link_header(interface, mac, link, buf));
        let head = packet.payload.len().min(HeaderBytes::CAPACITY);
        let end = start + head;
        buf[start..end].copy_from_slice(&packet.payload[..head]);
        let rest = packet.payload.slice(head..);
        let frame = TxFrame::new(&buf[..end], core::slice::from_ref(&rest), TxMeta::PLAIN);
        let len = frame.len();
        let sent = out.transmit(now, &frame)?;
        Ok(self.account(sent, len))
    }
}
