//! What leaves by an interface that translates, and what is told of it inside.
//!
//! RFC 4787 REQ-1, REQ-2; RFC 5382 REQ-1; RFC 5508 REQ-1, REQ-5, REQ-8; RFC 7857 §10. *Owns* the source and the Identification that it gets. *Does not* judge where it goes.

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use super::edit::Edit;
use super::errors::Error;
use super::{Own, QUESTIONS, read};
use crate::base::{DropReason, Instant, Protocol};
use crate::link::RxMeta;
use crate::stack::icmp::Complaint;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Destination;
use crate::stack::ip::forward::judge::Way;
use crate::stack::ip::forward::packet::Packet;
use crate::stack::ip::forward::queue::Place;
use crate::stack::net::Net;

/// What leaves is an error, or a packet of a session.
type Translated = Result<Packet, DropReason>;

impl Net {
    /// Sends a packet on by an interface that translates.
    pub(in crate::stack::ip::forward) fn leave_translated(
        &mut self,
        now: Instant,
        from: InterfaceId,
        way: Way,
        packet: Packet,
        own: &Own<'_>,
    ) -> Result<(), DropReason> {
        let Some(outside) = self.outside_address(way, packet.ends.1) else {
            self.complain_in_transit(from, &packet, Complaint::NoRoute);
            return Err(DropReason::NoRoute);
        };
        let mut packet = self.with_outside(now, (from, way.on), outside, packet, own)?;
        self.counters.packets_translated += 1;
        self.queue_in_transit(from, way, &mut packet, Place::Last)
    }

    /// The address that all of an interface is translated to, chosen once, as long as it is ours (RFC 4787 REQ-2: paired).
    pub(super) fn outside_address(&mut self, way: Way, dst: IpAddr) -> Option<Ipv4Addr> {
        let interface = &mut self.interfaces[way.on.index()];
        if let Some(outside) = interface.nat.as_deref()?.outside() {
            return Some(outside);
        }
        let own = interface.addresses.source(dst, way.next_hop)?;
        let IpAddr::V4(outside) = own else {
            return None;
        };
        if interface.classify(own) != Destination::Ours || outside.is_link_local() {
            return None;
        }
        interface.nat.as_deref_mut()?.set_outside(outside);
        Some(outside)
    }

    /// Gives a packet from inside the source that it has outside, of the interface `on`.
    pub(super) fn with_outside(
        &mut self,
        now: Instant,
        (from, on): (InterfaceId, InterfaceId),
        outside: Ipv4Addr,
        mut packet: Packet,
        own: &Own<'_>,
    ) -> Translated {
        let Some(said) = read(&mut packet, QUESTIONS) else {
            return self.error_outwards(from, on, outside, packet);
        };
        let taken = |kind, port| own.claims(kind, port);
        let nat = self.nat_mut(on).ok_or(DropReason::NatProtocol)?;
        let port = match nat.leave(now, &said, taken) {
            Ok(port) => port,
            Err(reason) => {
                // RFC 5508 REQ-8.
                if reason == DropReason::NatFull {
                    self.complain_in_transit(from, &packet, Complaint::Prohibited);
                }
                return Err(reason);
            }
        };
        self.set_nat_timer(on);
        let source = SocketAddrV4::new(outside, port);
        packet.translate(Edit::src(said.kind, source));
        self.number_anew(&mut packet);
        Ok(packet)
    }

    /// Inside hosts do not know of each other's Identifications, and one source has all of them outside: what may be cut gets one of ours
    /// (RFC 7857 §10, RFC 6864 §5.3.1).
    fn number_anew(&mut self, packet: &mut Packet) {
        let many = packet.needs_ids();
        let Some(&protocol) = packet.data.get(9).filter(|_| many > 0) else {
            return;
        };
        let ids = &mut self.identifications;
        let drawn = ids.draw(packet.ends, Protocol(protocol), many);
        ids.spend(&drawn);
        packet.id = u16::try_from(drawn.first & 0xffff).ok();
    }

    /// RFC 5508 REQ-5: an inside host tells who is outside of what came from there.
    fn error_outwards(
        &mut self,
        from: InterfaceId,
        on: InterfaceId,
        outside: Ipv4Addr,
        packet: Packet,
    ) -> Translated {
        let is_icmp = packet.data.get(9) == Some(&1) && !packet.partial;
        let error = match is_icmp {
            true => Error::read(&packet.data, packet.header_len)?,
            false => None,
        };
        let Some(error) = error else {
            self.complain_in_transit(from, &packet, Complaint::Prohibited);
            return Err(DropReason::NatProtocol);
        };
        let (kind, inside) = (error.quoted.kind, error.quoted.dst);
        let nat = self.nat(on).ok_or(DropReason::NatProtocol)?;
        let port = nat.port_of(kind, inside);
        // RFC 5508 REQ-5: what no mapping is there for stays.
        let port = port.ok_or(DropReason::IcmpUnmatched)?;
        let edit = Edit::dst(kind, SocketAddrV4::new(outside, port));
        let data = error.with(&packet.data, &edit, (Some(outside), None));
        let ends = (IpAddr::V4(outside), packet.ends.1);
        let mut packet = Packet::read(&data, &RxMeta::new(self.now), ends)?;
        self.number_anew(&mut packet);
        Ok(packet)
    }
}
