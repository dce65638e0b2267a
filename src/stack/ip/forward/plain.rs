//! The short way of packets that nothing is unusual about, which nearly all are.
//!
//! *Owns* the conditions, each of which `judge` and `packet` have too, and what is left to do when all hold: one hop less, and a place in
//! line. *Does not* refuse: who does not meet them all is judged there. Invariants: what goes this way leaves as it would by the long
//! one, at the same time and counted the same; nothing is copied but the header, and no reference counted.

use core::net::IpAddr;

use bytes::{Buf, Bytes};

use super::judge::{Way, is_nobodys, is_of_one_link};
use super::known::Asked;
use super::packet::{Head, Transit, count_hop};
use super::queue::Place;
use crate::base::{DropReason, Instant};
use crate::link::RxChecksum;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Destination;
use crate::stack::ip::Arrival;
use crate::stack::net::Net;
use crate::{ipv4, ipv6};

/// What the IP header says of a packet.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack::ip) struct Plain {
    /// Source and destination.
    ends: (IpAddr, IpAddr),
    /// Bytes of the header, which has no options.
    header_len: usize,
    /// Bytes of the packet.
    len: usize,
    ttl: u8,
}

impl Plain {
    /// A packet that is plain by its header, and by how it came.
    #[inline]
    pub(in crate::stack::ip) fn v4(arrival: &Arrival, header: &ipv4::Header<'_>) -> Option<Self> {
        let plain = Self {
            ends: (header.src().into(), header.dst().into()),
            header_len: header.header_len(),
            len: header.total_len(),
            ttl: header.ttl(),
        };
        let bare = plain.header_len == ipv4::MIN_HEADER_LEN;
        (bare && plain.came_plainly(arrival)).then_some(plain)
    }

    /// The same of an IPv6 packet, whose extension headers are its end's.
    #[inline]
    pub(in crate::stack::ip) fn v6(arrival: &Arrival, header: &ipv6::Header<'_>) -> Option<Self> {
        let plain = Self {
            ends: (header.src().into(), header.dst().into()),
            header_len: ipv6::HEADER_LEN,
            len: header.total_len(),
            ttl: header.hop_limit(),
        };
        plain.came_plainly(arrival).then_some(plain)
    }

    #[inline]
    const fn came_plainly(&self, arrival: &Arrival) -> bool {
        let meta = &arrival.meta;
        let one = meta.segment_size.is_none() && arrival.cut.is_none();
        let summed = !matches!(meta.checksum, RxChecksum::Partial(_));
        one && summed && arrival.link.unicast && self.ttl > 1
    }

    #[inline]
    const fn asked(&self, at: Instant, from: InterfaceId) -> Asked {
        let ends = self.ends;
        Asked { at, from, ends }
    }
}

impl Net {
    /// The way of a plain packet, if one of the same ends was judged just now.
    #[inline]
    pub(in crate::stack::ip) fn known_way(
        &self,
        now: Instant,
        from: InterfaceId,
        plain: &Plain,
    ) -> Option<Way> {
        let way = self.forwarding.known.find(&plain.asked(now, from))?;
        (plain.len <= way.mtu).then_some(way)
    }

    /// The way of a packet whose source was judged, that is passed on, and that nothing has to be looked at of but this; `None`: it is
    /// another one.
    pub(in crate::stack::ip) fn plain_way(
        &mut self,
        now: Instant,
        from: InterfaceId,
        plain: &Plain,
    ) -> Option<Way> {
        let (src, dst) = plain.ends;
        let near = &self.interfaces[from.index()];
        let foreign = near.forwards(dst)
            && near.classify(dst) == Destination::Foreign
            && !is_nobodys(dst)
            && !is_of_one_link(dst)
            && !self.is_ours(dst, None);
        let from_afar = !src.is_unspecified() && !is_of_one_link(src);
        if !foreign || !from_afar {
            return None;
        }
        self.check_reverse_path(now, from, src).ok()?;
        let way = self.way_on(now, dst)?;
        let far = &self.interfaces[way.on.index()];
        let fits = plain.len <= way.mtu && way.on != from;
        if !fits || far.nat.is_some() || far.groups.is_group(dst) {
            return None;
        }
        self.forwarding.known.put(&plain.asked(now, from), way);
        Some(way)
    }

    /// Puts it in line for its device.
    #[inline]
    pub(in crate::stack::ip) fn pass_plain(
        &mut self,
        from: InterfaceId,
        way: Way,
        mut data: Bytes,
        plain: &Plain,
    ) -> Result<(), DropReason> {
        let Some(header) = data.get(..plain.header_len) else {
            debug_assert!(false, "its header was read");
            return Err(DropReason::ForwardRefused);
        };
        let mut head = Head::new(header);
        count_hop(head.as_mut_slice(), plain.ends.1);
        // What fills up a short frame is no part of it.
        if data.len() > plain.len {
            data.truncate(plain.len);
        }
        data.advance(plain.header_len);
        let transit = Transit {
            head,
            payload: data,
            partial: None,
            segment: None,
            ends: plain.ends,
            next_hop: way.next_hop,
            from,
        };
        let transits = &mut self.interfaces[way.on.index()].line.transit;
        let queued = transits.push(transit, Place::Last);
        self.forwarding.known.pass();
        self.put_in_line(way.on, queued)
    }
}
