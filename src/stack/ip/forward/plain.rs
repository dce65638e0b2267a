//! The short way of packets that nothing is unusual about, which nearly all are.
//!
//! *Owns* the conditions, each of which `judge` and `packet` have too, and what is left to do when all hold: one hop less, and a place in
//! line. *Does not* refuse: who does not meet them all is judged there. Invariants: what goes this way leaves as it would by the long
//! one, at the same time and counted the same; nothing is copied but the header, and no reference counted.

use core::net::IpAddr;

use bytes::{Buf, Bytes};

use super::judge::{Way, is_nobodys, is_of_one_link};
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

impl Net {
    /// The way of an IPv4 packet whose source was judged.
    #[inline]
    pub(in crate::stack::ip) fn plain_way_v4(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        header: &ipv4::Header<'_>,
    ) -> Option<(Way, Plain)> {
        let plain = Plain {
            ends: (header.src().into(), header.dst().into()),
            header_len: header.header_len(),
            len: header.total_len(),
            ttl: header.ttl(),
        };
        if !self.forwarding.is_short() || plain.header_len != ipv4::MIN_HEADER_LEN {
            return None;
        }
        let way = self.plain_way(now, arrival, &plain)?;
        Some((way, plain))
    }

    /// The same of an IPv6 packet, whose extension headers are its end's.
    #[inline]
    pub(in crate::stack::ip) fn plain_way_v6(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        header: &ipv6::Header<'_>,
    ) -> Option<(Way, Plain)> {
        let plain = Plain {
            ends: (header.src().into(), header.dst().into()),
            header_len: ipv6::HEADER_LEN,
            len: header.total_len(),
            ttl: header.hop_limit(),
        };
        if !self.forwarding.is_short() {
            return None;
        }
        let way = self.plain_way(now, arrival, &plain)?;
        Some((way, plain))
    }

    /// The way of a packet that is passed on, and that nothing has to be looked at of but this; `None`: it is another one.
    fn plain_way(&mut self, now: Instant, arrival: &Arrival, plain: &Plain) -> Option<Way> {
        let from = arrival.on;
        let (src, dst) = plain.ends;
        let meta = &arrival.meta;
        let one = meta.segment_size.is_none() && arrival.cut.is_none();
        let summed = !matches!(meta.checksum, RxChecksum::Partial(_));
        let near = &self.interfaces[from.index()];
        let foreign = arrival.link.unicast
            && near.forwards(dst)
            && near.classify(dst) == Destination::Foreign
            && !is_nobodys(dst)
            && !is_of_one_link(dst)
            && !self.is_ours(dst, None);
        let from_afar = !src.is_unspecified() && !is_of_one_link(src);
        if !one || !summed || !foreign || !from_afar || plain.ttl <= 1 {
            return None;
        }
        self.check_reverse_path(now, from, src).ok()?;
        let way = self.way_on(now, dst)?;
        let far = &self.interfaces[way.on.index()];
        let fits = plain.len <= way.mtu && way.on != from;
        (fits && far.nat.is_none() && !far.groups.is_group(dst)).then_some(way)
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
        self.put_in_line(way.on, queued)
    }
}
