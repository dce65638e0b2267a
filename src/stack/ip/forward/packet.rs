//! A packet as it came, and how it is to leave.
//!
//! RFC 791 §3.1, RFC 1624 §3, RFC 1812 §5.2.4, §5.3.1, §5.3.13; RFC 7126 §4; RFC 8200 §3, §4.3. *Owns* what of its headers a router
//! looks at, and changes: TTL or hop limit, and the header's checksum. All else leaves as it came, DSCP and ECN, DF and,
//! but for what is translated, Identification included; options are no matter of ours, hop-by-hop ones neither. *Does not* judge where it goes.

use core::net::{IpAddr, SocketAddrV4};
use core::num::NonZeroU16;

use bytes::{Buf, Bytes};

use super::judge::Way;
use super::nat::{Edit, QUERY_LEN};
use crate::base::DropReason;
use crate::base::checksum::{Sum, update};
use crate::device::Capabilities;
use crate::link::ethernet;
use crate::link::layout::{Layout, UDP, on_the_wire, put_word, word};
use crate::link::{PartialChecksum, RxChecksum, RxMeta, SegmentKind, Segmentation};
use crate::stack::ids::InterfaceId;
use crate::{ipv4, ipv6};

/// Headers of up to so many bytes need no memory of their own: those of IPv6 and TCP with half of all options.
const INLINE: usize = 80;
/// Bytes of an Ethernet header with a tag.
const LINK_ROOM: usize = TAGGED;
/// Where IPv4 has its header's checksum, the word of TTL and protocol, and its Identification.
const CHECKSUM_V4: usize = 10;
const TTL_V4: usize = 8;
const ID_V4: usize = 4;
const HOP_LIMIT: usize = 7;

/// A packet that came in.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    /// From the IP header on, link padding left out.
    pub(super) data: Bytes,
    pub(super) ends: (IpAddr, IpAddr),
    /// Bytes of the IP header.
    pub(super) header_len: usize,
    pub(super) ttl: u8,
    /// May a router cut it? IPv4 without DF.
    pub(super) may_be_cut: bool,
    /// Where an option lies whose length cannot be.
    pub(super) wrong_option: Option<u32>,
    /// Where the headers of TCP or UDP lie.
    pub(super) layout: Option<Layout>,
    /// Payload bytes of each segment of a super-segment.
    pub(super) segment: Option<NonZeroU16>,
    /// Its transport checksum was never completed.
    pub(super) partial: bool,
    /// Was it counted as a hop already?
    pub(super) counted: bool,
    /// The ends that it leaves with.
    pub(super) edit: Option<Edit>,
    /// It came in pieces of at most so many bytes, and leaves so.
    pub(super) cut: Option<usize>,
    /// The Identification that it leaves with; `None`: its sender's.
    pub(super) id: Option<u16>,
}

impl Packet {
    /// Reads what was checked once.
    pub(super) fn read(
        data: &Bytes,
        meta: &RxMeta,
        ends: (IpAddr, IpAddr),
    ) -> Result<Self, DropReason> {
        let mut packet = match ends.1 {
            IpAddr::V4(_) => Self::read_v4(data, ends)?,
            IpAddr::V6(_) => Self::read_v6(data, ends)?,
        };
        packet.partial = matches!(meta.checksum, RxChecksum::Partial(_));
        packet.find_segments(meta.segment_size);
        if let RxChecksum::Partial(partial) = meta.checksum
            && !packet.layout.is_some_and(|layout| is_of(&layout, partial))
        {
            // Nobody could complete it.
            return Err(DropReason::ForwardRefused);
        }
        Ok(packet)
    }

    /// One that waited for a neighbour: whole, and counted.
    pub(super) fn waited(
        data: &Bytes,
        segment: Option<NonZeroU16>,
        ends: (IpAddr, IpAddr),
    ) -> Result<Self, DropReason> {
        let mut packet = match ends.1 {
            IpAddr::V4(_) => Self::read_v4(data, ends)?,
            IpAddr::V6(_) => Self::read_v6(data, ends)?,
        };
        packet.counted = true;
        packet.find_segments(segment);
        // It was put in line already: the field of what is cut holds the pseudo-header's sum.
        packet.partial = packet.segment.is_some();
        Ok(packet)
    }

    fn read_v4(data: &Bytes, ends: (IpAddr, IpAddr)) -> Result<Self, DropReason> {
        let (header, _) =
            ipv4::Header::parse_quoted(data).map_err(|_| DropReason::Ipv4Malformed)?;
        let wrong_option = super::super::v4::check_options(&header)?;
        let len = header.total_len().min(data.len());
        Ok(Self {
            data: data.slice(..len),
            ends,
            header_len: header.header_len(),
            ttl: header.ttl(),
            may_be_cut: !header.dont_fragment(),
            wrong_option,
            layout: None,
            segment: None,
            partial: false,
            counted: false,
            edit: None,
            cut: None,
            id: None,
        })
    }

    fn read_v6(data: &Bytes, ends: (IpAddr, IpAddr)) -> Result<Self, DropReason> {
        let (header, _) =
            ipv6::Header::parse_quoted(data).map_err(|_| DropReason::Ipv6Malformed)?;
        let len = header.total_len().min(data.len());
        Ok(Self {
            data: data.slice(..len),
            ends,
            header_len: ipv6::HEADER_LEN,
            ttl: header.hop_limit(),
            may_be_cut: false,
            wrong_option: None,
            layout: None,
            segment: None,
            partial: false,
            counted: false,
            edit: None,
            cut: None,
            id: None,
        })
    }

    /// The same, which came in pieces of at most so many bytes.
    pub(super) fn cut_at(self, cut: Option<NonZeroU16>) -> Self {
        let cut = cut.map(|cut| usize::from(cut.get()));
        Self { cut, ..self }
    }

    /// Has it to leave with other ends.
    pub(super) fn translate(&mut self, edit: Edit) {
        let edit = match self.edit {
            Some(before) => before.and(edit),
            None => edit,
        };
        let new = |end: Option<SocketAddrV4>| end.map(|end| IpAddr::V4(*end.ip()));
        let (src, dst) = edit.ends();
        self.ends = (
            new(src).unwrap_or(self.ends.0),
            new(dst).unwrap_or(self.ends.1),
        );
        self.edit = Some(edit);
    }

    /// All of it as it leaves.
    pub(super) fn rewritten(&self) -> Bytes {
        let len = self.headers_len();
        let mut all = self.head(len).as_slice().to_vec();
        all.extend_from_slice(&self.data[len..]);
        all.into()
    }

    /// Who sent it, before it was translated.
    pub(super) fn sender(&self) -> IpAddr {
        match (self.edit, self.data.get(12..16)) {
            (Some(_), Some(&[a, b, c, d])) => IpAddr::from([a, b, c, d]),
            _ => self.ends.0,
        }
    }

    /// Is it a piece of a packet (RFC 791 §3.1)?
    pub(super) fn is_fragment(&self) -> bool {
        let flags = word(&self.data, 6).unwrap_or_default();
        self.ends.1.is_ipv4() && flags & 0x3fff != 0
    }

    /// Bytes of the longest frame that it may leave in.
    pub(super) fn limit(&self, mtu: usize) -> usize {
        self.cut.map_or(mtu, |cut| cut.min(mtu))
    }

    /// Finds the transport's headers where somebody has to touch them.
    fn find_segments(&mut self, size: Option<NonZeroU16>) {
        if size.is_none() && !self.partial {
            return;
        }
        self.layout = Layout::behind(0, &self.data);
        let text = self
            .layout
            .map_or(0, |layout| self.data.len() - layout.payload);
        self.segment = size.filter(|size| text > usize::from(size.get()));
    }

    /// How many Identifications it needs, on which others must not fall: none where it is in one piece for good (RFC 6864 §4).
    pub(super) fn needs_ids(&self) -> usize {
        match (
            self.may_be_cut || self.cut.is_some(),
            self.layout,
            self.segment,
        ) {
            (false, ..) => 0,
            (true, Some(layout), Some(size)) => {
                let text = self.data.len().saturating_sub(layout.payload);
                text.div_ceil(size.get().into()).max(1)
            }
            (true, ..) => 1,
        }
    }

    /// Does it fit, or may it be cut?
    pub(super) fn may_leave_by(&self, way: &Way) -> bool {
        self.may_be_cut || self.limit(self.wire_len()) <= way.mtu
    }

    /// Bytes of the largest packet that it is on the wire.
    pub(super) fn wire_len(&self) -> usize {
        match (self.layout, self.segment) {
            (Some(layout), Some(size)) => layout.payload + usize::from(size.get()),
            _ => self.data.len(),
        }
    }

    /// The first bytes of it, with one hop less.
    pub(super) fn head(&self, len: usize) -> Head {
        let mut head = Head::new(&self.data[..len]);
        if let Some(edit) = self.edit {
            edit.apply(head.as_mut_slice(), self.header_len, self.partial);
        }
        if let Some(id) = self.id {
            set_v4(head.as_mut_slice(), ID_V4, |_| id);
        }
        if !self.counted {
            count_hop(head.as_mut_slice(), self.ends.1);
        }
        head
    }

    /// What device with these capabilities is asked to cut; `None` where it would not.
    fn segmentation(&self, layout: &Layout, device: &Capabilities) -> Option<Segmentation> {
        let size = self.segment?;
        let (kind, can) = match (layout.protocol, layout.v6) {
            (UDP, _) => (SegmentKind::Udp, device.uso),
            (_, false) => (SegmentKind::Tcp4, device.tso4),
            (_, true) => (SegmentKind::Tcp6, device.tso6),
        };
        can.then_some(Segmentation { kind, size })
    }

    /// As one frame for such a device, which what it holds goes to; `None` when it is a super-segment that the device does not
    /// cut, and as it was.
    pub(super) fn whole(
        &mut self,
        from: InterfaceId,
        next_hop: IpAddr,
        device: &Capabilities,
    ) -> Option<Transit> {
        let segment = match self.layout.filter(|_| self.segment.is_some()) {
            Some(layout) => Some(self.segmentation(&layout, device)?),
            None => None,
        };
        let (headers, len) = (self.headers_len(), self.data.len());
        let mut transit = Transit {
            head: self.head(headers),
            payload: core::mem::take(&mut self.data),
            partial: None,
            segment,
            ends: self.ends,
            next_hop,
            from,
        };
        transit.payload.advance(headers);
        let Some(layout) = self.layout else {
            return Some(transit);
        };
        let field = layout.l4 + layout.checksum_offset();
        let head = transit.head.as_mut_slice();
        if segment.is_some() && self.partial {
            // The sum stays: it may be over an end that the header does not name (RFC 8200 §8.1: the last that a routing header leads to).
        } else if segment.is_some() {
            let len = u16::try_from(len - layout.l4).unwrap_or(u16::MAX);
            let pseudo = layout.pseudo_sum(head, len);
            put_word(head, field, pseudo.partial());
        } else if !self.partial {
            return Some(transit);
        } else if !device.checksum {
            let sum = Sum::new().bytes(&head[layout.l4..]);
            put_word(head, field, on_the_wire(sum.bytes(&transit.payload)));
            return Some(transit);
        }
        let number = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        transit.partial = Some(PartialChecksum {
            start: number(layout.l4),
            offset: number(layout.checksum_offset()),
        });
        Some(transit)
    }

    /// Bytes of the headers that are written anew: those of IP, or, where the checksum behind them is a matter of ours, all.
    pub(super) fn headers_len(&self) -> usize {
        let query = if self.edit.is_some() { QUERY_LEN } else { 0 };
        self.layout
            .map_or(self.header_len + query, |layout| layout.payload)
    }
}

/// Headers, nearly always without memory of their own; the link's has room before them.
#[derive(Clone, Debug)]
pub(super) enum Head {
    Few([u8; LINK_ROOM + INLINE], u8),
    Many(Vec<u8>),
}

impl Head {
    #[inline]
    pub(super) fn new(bytes: &[u8]) -> Self {
        let end = LINK_ROOM + bytes.len();
        let mut few = [0; LINK_ROOM + INLINE];
        match (few.get_mut(LINK_ROOM..end), u8::try_from(end)) {
            (Some(room), Ok(end)) => {
                room.copy_from_slice(bytes);
                Self::Few(few, end)
            }
            _ => Self::Many([&[0; LINK_ROOM], bytes].concat()),
        }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Few(bytes, end) => &bytes[LINK_ROOM..usize::from(*end)],
            Self::Many(bytes) => &bytes[LINK_ROOM..],
        }
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.with_room()[LINK_ROOM..]
    }

    /// They, behind the header of a link.
    #[inline]
    pub(super) fn framed(&mut self, link: &ethernet::Fields) -> &[u8] {
        let room = self.with_room();
        let at = LINK_ROOM.saturating_sub(link.len());
        link.emit(&mut room[at..]);
        &room[at..]
    }

    #[inline]
    fn with_room(&mut self) -> &mut [u8] {
        match self {
            Self::Few(bytes, end) => &mut bytes[..usize::from(*end)],
            Self::Many(bytes) => bytes,
        }
    }
}

/// A packet that is to leave as one frame, but for the link's header.
#[derive(Clone, Debug)]
pub(in crate::stack) struct Transit {
    /// From the IP header on.
    pub(super) head: Head,
    /// What follows, where it lies.
    pub(super) payload: Bytes,
    /// The checksum that the device is to complete, from the IP header on.
    pub(super) partial: Option<PartialChecksum>,
    pub(super) segment: Option<Segmentation>,
    pub(super) ends: (IpAddr, IpAddr),
    pub(super) next_hop: IpAddr,
    /// Where it came in.
    pub(super) from: InterfaceId,
}

impl Transit {
    /// Bytes of the packet.
    pub(super) fn len(&self) -> usize {
        self.head.as_slice().len() + self.payload.len()
    }

    /// All of it in one piece, its checksum complete unless it is a super-segment.
    pub(super) fn to_whole(&self) -> Bytes {
        let mut whole = Vec::with_capacity(self.len());
        whole.extend_from_slice(self.head.as_slice());
        whole.extend_from_slice(&self.payload);
        if let (Some(partial), None) = (self.partial, self.segment) {
            let start = usize::from(partial.start);
            let sum = Sum::new().bytes(&whole[start..]);
            put_word(
                &mut whole,
                start + usize::from(partial.offset),
                on_the_wire(sum),
            );
        }
        whole.into()
    }
}

/// Is it the checksum of these headers, behind a link's header or none: not that of a packet within (a tunnel's)?
fn is_of(layout: &Layout, partial: PartialChecksum) -> bool {
    let link = usize::from(partial.start).checked_sub(layout.l4);
    let is_link = matches!(link, Some(0 | ETHERNET | TAGGED));
    is_link && usize::from(partial.offset) == layout.checksum_offset()
}

/// Bytes of an Ethernet header, and of one with a tag.
const ETHERNET: usize = 14;
const TAGGED: usize = 18;

/// One hop less in the header of a packet to `dst`.
#[inline]
pub(super) fn count_hop(header: &mut [u8], dst: IpAddr) {
    match dst {
        IpAddr::V4(_) => set_v4(header, TTL_V4, |old| old.saturating_sub(0x0100)),
        IpAddr::V6(_) => {
            if let Some(hops) = header.get_mut(HOP_LIMIT) {
                *hops = hops.saturating_sub(1);
            }
        }
    }
}

/// Another word of IPv4's header, and the checksum by RFC 1624 §3: for a hop one less (RFC 1812 §5.3.1).
#[inline]
fn set_v4(header: &mut [u8], at: usize, new: impl FnOnce(u16) -> u16) {
    let (old, sum) = (word(header, at), word(header, CHECKSUM_V4));
    let (Some(old), Some(sum)) = (old, sum) else {
        return;
    };
    let new = new(old);
    put_word(header, at, new);
    put_word(header, CHECKSUM_V4, update(sum, old, new));
}
