//! Whether a packet goes on, and where to.
//!
//! RFC 1812 §4.2.2.11, §5.2, §5.3.3 to §5.3.5, §5.3.7, §5.3.8; RFC 2644 §4; RFC 3704 §2; RFC 3927 §2.7; RFC 4291 §2.5.6; RFC 8200 §3, §4.
//! *Owns* the order of checks. *Does not* send.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::ReversePath;
use super::nat::Own;
use super::packet::Packet;
use super::queue::Place;
use crate::base::{DropReason, Instant};
use crate::stack::icmp::Complaint;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{Destination, MIN_MTU_V6};
use crate::stack::ip::Arrival;
use crate::stack::net::Net;

/// Where a packet leaves, and to whom.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack::ip) struct Way {
    pub(super) on: InterfaceId,
    pub(super) next_hop: IpAddr,
    /// Bytes of the largest packet that leaves there.
    pub(super) mtu: usize,
}

impl Net {
    /// Deals with a packet that the interface it came in on does not take, for this `reason`; `None`: it goes on. Else it is for
    /// an address of ours on another one, and for us alone, or a piece of what is put together first.
    ///
    /// # Errors
    /// Why it ends here: `reason`, where nothing is passed on.
    #[inline(never)]
    pub(in crate::stack::ip) fn pass(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        data: &Bytes,
        (src, dst): (IpAddr, IpAddr),
        (reason, own): (DropReason, &Own<'_>),
    ) -> Result<Option<bool>, DropReason> {
        let on = arrival.on;
        if reason != DropReason::IpNotOurs || !self.interfaces[on.index()].forwards(dst) {
            return Err(reason);
        }
        if is_nobodys(dst) {
            return Err(reason);
        }
        // RFC 1812 §5.3.4.
        if !arrival.link.unicast {
            return Err(DropReason::IpLinkBroadcast);
        }
        // RFC 1812 §4.2.2.11, §5.2.3: a router is its packets' end at each of its addresses.
        if !is_of_one_link(dst) && self.is_ours(dst, None) {
            let in_use =
                |on: InterfaceId| self.interfaces[on.index()].classify(dst) == Destination::Ours;
            if !is_of_one_link(src) {
                self.check_reverse_path(now, on, src)?;
            }
            if !self.owners_of(dst).any(in_use) {
                return Err(DropReason::IpTentative);
            }
            let passed = self.pass_round(now, arrival, data, (src, dst), own)?;
            return Ok((!passed).then_some(true));
        }
        self.forward(now, arrival, data, (src, dst), own)
    }

    /// What is for an address of ours, and a port of it that is another inside host's, goes on.
    fn pass_round(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        data: &Bytes,
        (src, dst): (IpAddr, IpAddr),
        own: &Own<'_>,
    ) -> Result<bool, DropReason> {
        let Some(on) = self.translates_to(dst) else {
            return Ok(false);
        };
        // What is wrong with it is told as of all that is for us, and pieces are put together first.
        let Ok(packet) = Packet::read(data, &arrival.meta, (src, dst)) else {
            return Ok(false);
        };
        let odd = packet.wrong_option.is_some() || packet.is_fragment();
        if odd || is_of_one_link(src) || !arrival.trusted {
            return Ok(false);
        }
        self.hairpin(now, arrival, packet.cut_at(arrival.cut), on, own)
    }

    fn forward(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        data: &Bytes,
        (src, dst): (IpAddr, IpAddr),
        own: &Own<'_>,
    ) -> Result<Option<bool>, DropReason> {
        let from = arrival.on;
        let mut packet = Packet::read(data, &arrival.meta, (src, dst))?.cut_at(arrival.cut);
        if !arrival.trusted {
            // It would be made right on its way.
            return Err(DropReason::ForwardRefused);
        }
        if let Some(pointer) = packet.wrong_option {
            // RFC 1812 §5.2.4.1, §4.3.3.5.
            let complaint = Complaint::Parameter { code: 0, pointer };
            self.complain_in_transit(from, &packet, complaint);
            return Err(DropReason::Ipv4Malformed);
        }
        // IPv4's was looked at before.
        if src.is_unspecified() || src.is_ipv6() && self.is_own_source(from, src) {
            return Err(DropReason::IpSource);
        }
        if is_of_one_link(src) {
            // RFC 4443 §3.1.
            if src.is_ipv6() {
                self.complain_in_transit(from, &packet, Complaint::Scope);
            }
            return Err(DropReason::ForwardRefused);
        }
        if is_of_one_link(dst) {
            return Err(DropReason::ForwardRefused);
        }
        self.check_reverse_path(now, from, src)?;
        let Some(way) = self.way_on(now, dst) else {
            self.complain_in_transit(from, &packet, Complaint::NoRoute);
            return Err(DropReason::NoRoute);
        };
        // RFC 2644 §4: all of a network behind us is nobody's to speak to.
        if self.interfaces[way.on.index()].groups.is_group(dst) {
            return Err(DropReason::ForwardRefused);
        }
        // RFC 1812 §5.3.1, RFC 8200 §3.
        if packet.ttl <= 1 {
            self.complain_in_transit(from, &packet, Complaint::Expired);
            return Err(DropReason::ForwardExpired);
        }
        let translated = self.is_translated(from, way, dst);
        if translated && packet.is_fragment() {
            // RFC 4787 REQ-14: the first one alone has ports.
            return Ok(Some(true));
        }
        if !packet.may_leave_by(&way) {
            let mtu = way.mtu;
            self.complain_in_transit(from, &packet, Complaint::TooBig { mtu });
            return Err(DropReason::ForwardTooBig);
        }
        if way.on == from {
            self.redirect_sender(now, from, &packet, way.next_hop);
        }
        if translated {
            self.leave_translated(now, from, way, packet, own)?;
        } else {
            self.queue_in_transit(from, way, &mut packet, Place::Last)?;
        }
        Ok(None)
    }

    /// Does what came in on `from` get another source there?
    fn is_translated(&self, from: InterfaceId, way: Way, dst: IpAddr) -> bool {
        let nat = &self.interfaces[way.on.index()].nat;
        nat.is_some() && way.on != from && dst.is_ipv4()
    }

    /// The way to a destination that is not ours.
    pub(super) fn way_on(&mut self, now: Instant, dst: IpAddr) -> Option<Way> {
        // What routers told us holds for what we send ourselves alone (RFC 1812 §5.2.7.2, RFC 4861 §8).
        let (on, next_hop) = self.paths.routes.lookup_often(now, dst)?;
        let interface = self.interfaces.get(on.index())?;
        let mtu = interface.mtu_to(dst);
        // RFC 8200 §5: nor does IPv6 leave by a link that cannot carry it.
        let carries = dst.is_ipv4() || mtu >= MIN_MTU_V6;
        (interface.line.is_up() && carries).then_some(Way { on, next_hop, mtu })
    }

    /// RFC 3704 §2.
    pub(super) fn check_reverse_path(
        &self,
        now: Instant,
        from: InterfaceId,
        src: IpAddr,
    ) -> Result<(), DropReason> {
        let options = self.interfaces[from.index()].forwarding;
        let back = || self.paths.routes.lookup(now, src, None);
        let passes = match options.map_or(ReversePath::Off, |options| options.reverse_path) {
            ReversePath::Off => true,
            ReversePath::Loose => back().is_some(),
            ReversePath::Strict => back().is_some_and(|(on, _)| on == from),
        };
        passes.then_some(()).ok_or(DropReason::ForwardReversePath)
    }
}

/// Is it no single host's: a group's, everybody's, or nobody's (RFC 1812 §5.3.7)?
pub(super) fn is_nobodys(dst: IpAddr) -> bool {
    match dst {
        IpAddr::V4(a) => matches!(a.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(a) => {
            let mapped = a.to_ipv4_mapped().is_some();
            a.is_multicast() || a.is_unspecified() || a.is_loopback() || mapped
        }
    }
}

/// Does it mean something on one link alone (RFC 3927 §2.7, RFC 4291 §2.5.6)?
pub(super) fn is_of_one_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => Ipv4Addr::is_link_local(&a),
        IpAddr::V6(a) => Ipv6Addr::is_unicast_link_local(&a),
    }
}
