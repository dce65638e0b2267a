//! What comes for the outside address and a port of an inside host, from outside or from inside; and what is told of what did not go on.
//!
//! RFC 4787 REQ-8, REQ-9; RFC 5382 REQ-3, REQ-4, REQ-8; RFC 5508 REQ-4, REQ-7. *Owns* who gets it. *Does not* answer who may not send: nobody
//! is told.

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use bytes::Bytes;

use super::edit::Edit;
use super::errors::Error;
use super::session::opens;
use super::table::{Kind, Nat, Said};
use super::{ANSWERS, Own, QUERIES, read};
use crate::base::{DropReason, Instant};
use crate::link::RxMeta;
use crate::stack::icmp::Complaint;
use crate::stack::ids::InterfaceId;
use crate::stack::ip::Arrival;
use crate::stack::ip::forward::packet::Packet;
use crate::stack::ip::forward::queue::Place;
use crate::stack::net::Net;

impl Net {
    /// A packet came in for an address of the interface: does it go on to an inside host? `false`: it is for us.
    #[inline(never)]
    pub(in crate::stack::ip) fn come_back(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        data: &Bytes,
        ends: (IpAddr, IpAddr),
        own: &Own<'_>,
    ) -> Result<bool, DropReason> {
        let on = arrival.on;
        let here = self.translates_to(ends.1) == Some(on);
        // What is wrong with it is told as of all that is for us.
        let Ok(packet) = Packet::read(data, &arrival.meta, ends) else {
            return Ok(false);
        };
        let odd = packet.wrong_option.is_some() || packet.is_fragment();
        if !here || odd || !arrival.trusted {
            return Ok(false);
        }
        let packet = packet.cut_at(arrival.cut);
        self.pass_inside(now, (on, on), packet, own)
    }

    /// A packet from inside for the outside address of the interface `on`: does it go on to another inside host (RFC 4787 REQ-9)?
    pub(in crate::stack::ip::forward) fn hairpin(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        packet: Packet,
        on: InterfaceId,
        own: &Own<'_>,
    ) -> Result<bool, DropReason> {
        let IpAddr::V4(outside) = packet.ends.1 else {
            return Ok(false);
        };
        let mut looked = packet.clone();
        let for_inside = match read(&mut looked, ANSWERS) {
            Some(said) => self.is_inside(on, &said, own),
            None => self.quotes_both(on, &packet),
        };
        if !for_inside {
            return Ok(false);
        }
        if packet.ttl <= 1 {
            self.complain_in_transit(arrival.on, &packet, Complaint::Expired);
            return Err(DropReason::ForwardExpired);
        }
        // RFC 4787 REQ-9 (a): as from outside, of its own address and port there.
        if let Some(nat) = self.nat_mut(on) {
            nat.set_outside(outside);
        }
        let packet = self.with_outside(now, (arrival.on, on), outside, packet, own)?;
        self.pass_inside(now, (arrival.on, on), packet, own)
    }

    /// Is it for a port of an inside host, and for no connection of ours?
    fn is_inside(&self, on: InterfaceId, said: &Said, own: &Own<'_>) -> bool {
        let mapped = self
            .nat(on)
            .is_some_and(|nat| nat.is_mapped(said.kind, said.dst.port()));
        mapped && !own.has_flow(on, said.kind, said.dst, said.src)
    }

    fn pass_inside(
        &mut self,
        now: Instant,
        (from, on): (InterfaceId, InterfaceId),
        mut packet: Packet,
        own: &Own<'_>,
    ) -> Result<bool, DropReason> {
        let Some(said) = read(&mut packet, ANSWERS) else {
            return self.error_inwards(now, (from, on), packet, own);
        };
        if !self.is_inside(on, &said, own) {
            return self.refuse_opening(on, &said, own).map(|()| false);
        }
        let Some(nat) = self.nat_mut(on) else {
            return Ok(false);
        };
        nat.admit(now, &said)?;
        let inside = nat.inside_of(said.kind, said.dst.port());
        self.set_nat_timer(on);
        let inside = inside.ok_or(DropReason::NatUnsolicited)?;
        let edit = Edit::dst(said.kind, inside);
        self.go_inside(now, (from, on), packet, *inside.ip(), |mut packet| {
            packet.translate(edit);
            Ok(packet)
        })
    }

    /// RFC 5382 REQ-4: a SYN for which nobody has asked may be one of two that cross, and is not answered: not by an error, nor by a RST of
    /// ours from a port that an inside host might get.
    fn refuse_opening(
        &self,
        on: InterfaceId,
        said: &Said,
        own: &Own<'_>,
    ) -> Result<(), DropReason> {
        let port = said.dst.port();
        let may_map = self.nat(on).is_some_and(|nat| nat.may_map(port));
        let refused = said.kind == Kind::Tcp
            && opens(said.flags)
            && may_map
            && !own.claims(said.kind, port)
            && !own.has_flow(on, said.kind, said.dst, said.src);
        match refused {
            true => Err(DropReason::NatUnsolicited),
            false => Ok(()),
        }
    }

    /// Is it an error about what one inside host sent to another by the outside address?
    fn quotes_both(&self, on: InterfaceId, packet: &Packet) -> bool {
        let Some(error) = error_of(packet) else {
            return false;
        };
        let Said { kind, src, dst, .. } = error.quoted;
        let both = |nat: &Nat| nat.is_mapped(kind, src.port()) && nat.port_of(kind, dst).is_some();
        self.nat(on).is_some_and(both)
    }

    /// The error that a packet is, where it quotes what an inside host sent.
    fn quoted_inside(&self, on: InterfaceId, packet: &Packet) -> Option<(Error, SocketAddrV4)> {
        let error = error_of(packet)?;
        let nat = self.nat(on)?;
        let Said { kind, src, dst, .. } = error.quoted;
        let outside = nat.outside().is_none_or(|outside| outside == *src.ip());
        let inside = nat.inside_of(kind, src.port()).filter(|_| outside)?;
        // RFC 5508 REQ-4: of a session that there is.
        nat.knows(kind, src.port(), dst).then_some((error, inside))
    }

    /// RFC 5508 REQ-4: somebody tells an inside host of what it sent. What is no error, or quotes nothing of theirs, is for us.
    fn error_inwards(
        &mut self,
        now: Instant,
        (from, on): (InterfaceId, InterfaceId),
        packet: Packet,
        own: &Own<'_>,
    ) -> Result<bool, DropReason> {
        let Some((error, inside)) = self.quoted_inside(on, &packet) else {
            return Ok(false);
        };
        let Said { kind, src, dst, .. } = error.quoted;
        if own.has_flow(on, kind, src, dst) {
            return Ok(false);
        }
        let to = *inside.ip();
        let data = error.with(&packet.data, &Edit::src(kind, inside), (None, Some(to)));
        self.go_inside(now, (from, on), packet, to, |packet| {
            let ends = (packet.ends.0, IpAddr::V4(to));
            let counted = packet.counted;
            let read = Packet::read(&data, &RxMeta::new(now), ends);
            read.map(|read| Packet { counted, ..read })
        })
    }

    /// Sends it on, once it `becomes` what the inside host gets; who is told of what goes wrong sees it as it came.
    fn go_inside(
        &mut self,
        now: Instant,
        (from, on): (InterfaceId, InterfaceId),
        packet: Packet,
        to: Ipv4Addr,
        becomes: impl FnOnce(Packet) -> Result<Packet, DropReason>,
    ) -> Result<bool, DropReason> {
        let to = IpAddr::V4(to);
        if from == on {
            self.check_reverse_path(now, from, packet.ends.0)?;
        }
        // RFC 1918 §3: where its link is gone, the way out is none to an inside host.
        let Some(way) = self.way_on(now, to).filter(|way| way.on != on) else {
            self.complain_in_transit(from, &packet, Complaint::NoRoute);
            return Err(DropReason::NoRoute);
        };
        if self.interfaces[way.on.index()].groups.is_group(to) {
            return Err(DropReason::ForwardRefused);
        }
        if packet.ttl <= 1 && !packet.counted {
            self.complain_in_transit(from, &packet, Complaint::Expired);
            return Err(DropReason::ForwardExpired);
        }
        if !packet.may_leave_by(&way) {
            let mtu = way.mtu;
            self.complain_in_transit(from, &packet, Complaint::TooBig { mtu });
            return Err(DropReason::ForwardTooBig);
        }
        let mut packet = becomes(packet)?;
        self.counters.packets_translated += 1;
        self.queue_in_transit(from, way, &mut packet, Place::Last)?;
        Ok(true)
    }

    /// A packet that was translated and is stuck on its way, as its sender knew it.
    pub(in crate::stack::ip::forward) fn untranslated(
        &self,
        from: InterfaceId,
        mut packet: Packet,
    ) -> Packet {
        let Some(Said { kind, src, dst, .. }) = read(&mut packet, QUERIES) else {
            return packet;
        };
        let at = self.translates_to(packet.ends.0);
        let nat = at.and_then(|on| self.nat(on));
        let inside = nat.and_then(|nat| nat.inside_of(kind, src.port()));
        let came_in = self.nat(from);
        let outside = came_in
            .and_then(|nat| Some(SocketAddrV4::new(nat.outside()?, nat.port_of(kind, dst)?)));
        let edit = match (inside, outside) {
            (Some(inside), _) => Edit::src(kind, inside),
            (None, Some(outside)) => Edit::dst(kind, outside),
            (None, None) => return packet,
        };
        packet.translate(edit);
        Packet {
            data: packet.rewritten(),
            edit: None,
            ..packet
        }
    }
}

/// The error that a packet is, and that may be believed.
fn error_of(packet: &Packet) -> Option<Error> {
    let is_icmp = packet.data.get(9) == Some(&1) && !packet.partial;
    let error = is_icmp.then(|| Error::read(&packet.data, packet.header_len));
    error?.ok()?
}
