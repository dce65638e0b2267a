//! Captured frames as packets, whatever link they were captured on.
//!
//! *Owns* the way through link headers: Ethernet with its tags, "cooked" (`tcpdump -i any`), the
//! loopback's, none. *Does not* read addresses above the link.

use std::borrow::Cow;

use bytes::{Buf, Bytes};

use super::report::Skipped;
use crate::base::MacAddr;
use crate::capture::{Frame, LinkType};
use crate::link::ethernet::{self, EtherType, VlanTag};

/// Tags of one frame that are taken off: more than any network stacks.
const MOST_TAGS: u32 = 4;

/// A frame without its link header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: EtherType,
    /// Where the link says it.
    pub(super) src: Option<MacAddr>,
    pub(super) dst: Option<MacAddr>,
    /// Was it for several stations?
    pub(super) to_group: bool,
    /// Tags that were taken off.
    pub(super) tags: u32,
    pub(super) data: Bytes,
    /// Did the capture keep its front only?
    pub(super) is_cut: bool,
    /// Do other addresses stand in for those that were captured?
    pub(super) is_apart: bool,
}

impl Packet {
    /// Nothing.
    pub(super) const NONE: Self = Self {
        kind: EtherType(0),
        src: None,
        dst: None,
        to_group: false,
        tags: 0,
        data: Bytes::new(),
        is_cut: false,
        is_apart: false,
    };

    /// As long as its header says, zeros in place of what was cut off.
    pub(super) fn whole(&self, len: usize) -> Cow<'_, [u8]> {
        if self.is_cut || len < self.data.len() {
            let mut bytes = self.data.to_vec();
            bytes.resize(len, 0);
            return bytes.into();
        }
        (&self.data[..]).into()
    }
}

/// Takes the link header off.
///
/// # Errors
/// Why it cannot be told what is behind it.
pub(super) fn strip(frame: &Frame) -> Result<Packet, Skipped> {
    let mut packet = Packet {
        data: frame.data.clone(),
        is_cut: frame.is_cut(),
        ..Packet::NONE
    };
    let stripped = match frame.link {
        LinkType::ETHERNET => ethernet(&mut packet),
        LinkType::LINUX_SLL => cooked(&mut packet, COOKED),
        LinkType::LINUX_SLL2 => cooked(&mut packet, COOKED2),
        LinkType::NULL | LinkType::LOOP => (packet.data.len() >= 4).then(|| {
            packet.data.advance(4);
            packet.kind = by_version(&packet.data);
        }),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => {
            packet.kind = by_version(&packet.data);
            Some(())
        }
        _ => return Err(Skipped::LinkType),
    };
    if stripped.is_none() {
        return Err(Skipped::Cut);
    }
    untag(&mut packet)?;
    Ok(packet)
}

/// `None`: the header is cut.
fn ethernet(packet: &mut Packet) -> Option<()> {
    let (header, rest) = ethernet::Header::parse(&packet.data).ok()?;
    packet.kind = header.ether_type();
    (packet.src, packet.dst) = (Some(header.src()), Some(header.dst()));
    packet.to_group = header.dst().is_multicast();
    packet.tags = u32::from(header.tag().is_some());
    let len = packet.data.len() - rest.len();
    packet.data.advance(len);
    Some(())
}

/// Where a cooked header has what.
struct Cooked {
    len: usize,
    protocol: usize,
    /// Unicast to the machine that captured, broadcast, multicast, to others, or sent by it.
    packet_type: usize,
    address_len: usize,
    address: usize,
}

/// LINKTYPE_LINUX_SLL; its packet type and address length are the low octets of 16 bits.
const COOKED: Cooked = Cooked {
    len: 16,
    protocol: 14,
    packet_type: 1,
    address_len: 5,
    address: 6,
};

/// LINKTYPE_LINUX_SLL2.
const COOKED2: Cooked = Cooked {
    len: 20,
    protocol: 0,
    packet_type: 10,
    address_len: 11,
    address: 12,
};

/// `None`: the header is cut.
fn cooked(packet: &mut Packet, form: Cooked) -> Option<()> {
    let header = packet.data.get(..form.len)?;
    let kind = header.get(form.protocol..)?.first_chunk()?;
    packet.kind = EtherType(u16::from_be_bytes(*kind));
    packet.to_group = matches!(header.get(form.packet_type), Some(1 | 2));
    if header.get(form.address_len) == Some(&6) {
        let address = header.get(form.address..)?.first_chunk()?;
        packet.src = Some(MacAddr::new(*address));
    }
    packet.data.advance(form.len);
    Some(())
}

fn by_version(packet: &[u8]) -> EtherType {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => EtherType::IPV4,
        Some(6) => EtherType::IPV6,
        _ => EtherType(0),
    }
}

fn untag(packet: &mut Packet) -> Result<(), Skipped> {
    while [EtherType::VLAN, EtherType::SERVICE_VLAN].contains(&packet.kind) {
        let Some((_, kind, rest)) = VlanTag::parse(&packet.data) else {
            return Err(Skipped::Cut);
        };
        packet.kind = kind;
        let len = packet.data.len() - rest.len();
        packet.data.advance(len);
        packet.tags += 1;
        if packet.tags > MOST_TAGS {
            return Err(Skipped::LinkProtocol);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(link: LinkType, data: &[&[u8]]) -> Frame {
        let data = data.concat();
        Frame {
            at: Some(0),
            link,
            original_len: u32::try_from(data.len()).unwrap(),
            data: data.into(),
            direction: None,
            interface: 0,
        }
    }

    const IP: &[u8] = &[0x45, 1, 2, 3];
    const MACS: &[u8] = &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    #[test]
    fn every_link_leads_to_the_packet() {
        let mac = |last| Some(MacAddr::new([2, 0, 0, 0, 0, last]));
        let own = |len: usize| vec![0; len];
        let mut sll = own(16);
        sll[1] = 1;
        sll[5] = 6;
        sll[6..12].copy_from_slice(&MACS[6..]);
        sll[14] = 8;
        let mut sll2 = own(20);
        sll2[0] = 8;
        sll2[10] = 4;
        sll2[11] = 6;
        sll2[12..18].copy_from_slice(&MACS[6..]);
        let tagged = [MACS, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]].concat();
        let plain = [MACS, &[8, 0]].concat();
        let rows: [(_, &[u8], _, _, _); 7] = [
            (LinkType::ETHERNET, &plain, mac(2), false, 0),
            (LinkType::ETHERNET, &tagged, mac(2), false, 2),
            (LinkType::LINUX_SLL, &sll, mac(2), true, 0),
            (LinkType::LINUX_SLL2, &sll2, mac(2), false, 0),
            (LinkType::NULL, &[2, 0, 0, 0], None, false, 0),
            (LinkType::RAW, &[], None, false, 0),
            (LinkType::IPV4, &[], None, false, 0),
        ];
        for (link, header, src, to_group, tags) in rows {
            let packet = strip(&frame(link, &[header, IP])).unwrap();
            assert_eq!((packet.kind, &packet.data[..]), (EtherType::IPV4, IP));
            assert_eq!((packet.src, packet.to_group), (src, to_group), "{link}");
            assert_eq!(packet.tags, tags);
            for len in 0..header.len() {
                let cut = strip(&frame(link, &[&header[..len]]));
                assert_eq!(cut, Err(Skipped::Cut), "{link} {len}");
            }
        }
        let other = strip(&frame(LinkType(147), &[IP]));
        assert_eq!(other, Err(Skipped::LinkType));
        let tower = [MACS, &[0x81, 0, 0, 1].repeat(9), &[8, 0]].concat();
        let stripped = strip(&frame(LinkType::ETHERNET, &[&tower]));
        assert_eq!(stripped, Err(Skipped::LinkProtocol));
    }
}
