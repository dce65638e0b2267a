//! Captured frames as a stack receives them.
//!
//! *Owns* what a file does not say and a stack has to know: where the link header ends, and that a transport
//! checksum was never completed. *Does not* verify one: the stack does.

use core::ops::Range;

use super::format::LinkType;
use super::read::Frame;
use crate::base::checksum::Sum;
use crate::base::{Instant, Protocol};
use crate::ipv6::extension::Extension;
use crate::link::{EtherType, PartialChecksum, RxChecksum, RxFrame, RxMeta, ethernet};
use crate::{ipv4, ipv6, tcp, udp};

impl Frame {
    /// The frame as a device would give it to a stack that receives it at this time: from the Ethernet header
    /// on, or from the IP header on where the capture has another link header; `None` for link types
    /// that hold neither.
    ///
    /// A capture made on the machine that sent a frame has its transport checksum partial, as the frame never had
    /// another: that is recognised by the sum in its place, and told, so that the stack takes it
    /// ([`Config::trust_partial_checksums`](crate::stack::Config::trust_partial_checksums)). A frame that
    /// was [cut](Self::is_cut) is given as it is; the stack drops it, as its lengths are not true.
    ///
    /// ```
    /// # use netloom::capture::{CaptureSettings, Direction, LinkType, Reader, Writer};
    /// # use netloom::device::{Capabilities, Medium};
    /// # use netloom::{Config, Instant, InterfaceConfig, Seed, Stack};
    /// # let mut writer = Writer::new(Vec::new(), &CaptureSettings::new(std::time::UNIX_EPOCH))?;
    /// # let wire = writer.interface(LinkType::ETHERNET, "wire")?;
    /// # writer.frame(wire, Instant::ZERO, Direction::Inbound, &[0; 60], &[])?;
    /// # let file = writer.finish()?;
    /// let mut stack = Stack::new(Config::new(Seed::from_number(1)));
    /// let interface = InterfaceConfig::new(&Capabilities::plain(Medium::Ethernet, 1500));
    /// let on = stack.add_interface(Instant::ZERO, interface)?;
    /// for frame in Reader::new(&file[..]) {
    ///     let at = Instant::from_nanos(frame.at.unwrap_or(0));
    ///     if let Some(frame) = frame.to_rx(at) {
    ///         stack.handle_frame(at, on, frame);
    ///     }
    /// }
    /// assert_eq!(stack.counters().rx_frames, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_rx(&self, at: Instant) -> Option<RxFrame> {
        let skip = match self.link {
            LinkType::ETHERNET | LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => 0,
            LinkType::NULL | LinkType::LOOP => 4,
            LinkType::LINUX_SLL => 16,
            LinkType::LINUX_SLL2 => 20,
            _ => return None,
        };
        let mut data = self.data.clone();
        if skip > 0 {
            data = data.slice(skip.min(data.len())..);
        }
        let checksum = partial(self.link, &data).map_or(RxChecksum::Unknown, RxChecksum::Partial);
        Some(RxFrame::new(data, RxMeta::new(at).with_checksum(checksum)))
    }
}

/// Where a transport checksum lies that was never completed.
fn partial(link: LinkType, data: &[u8]) -> Option<PartialChecksum> {
    let mut ip = data;
    if link == LinkType::ETHERNET {
        let (header, behind) = ethernet::Header::parse(data).ok()?;
        if ![EtherType::IPV4, EtherType::IPV6].contains(&header.ether_type()) {
            return None;
        }
        ip = behind;
    }
    let (protocol, segment, pseudo) = match ip.first()? >> 4 {
        4 => v4(ip)?,
        6 => v6(ip)?,
        _ => return None,
    };
    let offset = match protocol {
        Protocol::TCP => tcp::CHECKSUM_OFFSET,
        Protocol::UDP => udp::CHECKSUM_OFFSET,
        _ => return None,
    };
    let found = u16::from_be_bytes(*ip.get(segment.start + offset..)?.first_chunk()?);
    let whole = pseudo.bytes(ip.get(segment.clone())?);
    if found != pseudo.partial() || whole.is_valid() {
        return None;
    }
    let start = data.len() - ip.len() + segment.start;
    Some(PartialChecksum {
        start: u16::try_from(start).ok()?,
        offset: u16::try_from(offset).ok()?,
    })
}

/// A transport protocol, where its bytes lie in an IP packet, a datagram's as far as its Length, and the sum of
/// their pseudo-header.
pub(super) type Transport = (Protocol, Range<usize>, Sum);

pub(super) fn v4(ip: &[u8]) -> Option<Transport> {
    let (header, _) = ipv4::Header::parse_quoted(ip).ok()?;
    if header.is_fragment() {
        return None;
    }
    let start = header.header_len();
    let end = end(ip, header.protocol(), start, header.total_len());
    let len = end.checked_sub(start)?;
    let pseudo = ipv4::pseudo_sum(header.src(), header.dst(), header.protocol(), len);
    Some((header.protocol(), start..end, pseudo))
}

pub(super) fn v6(ip: &[u8]) -> Option<Transport> {
    let (header, payload) = ipv6::Header::parse_quoted(ip).ok()?;
    let (mut protocol, mut at) = (header.next_header(), 0);
    while let Some(extension) = Extension::parse(protocol, payload, at) {
        // Another destination is summed up behind a routing header; of a fragment not all is here.
        if matches!(protocol, Protocol::ROUTING | Protocol::FRAGMENT) {
            return None;
        }
        let extension = extension.ok()?;
        protocol = extension.next_header;
        at += extension.bytes.len();
    }
    let start = ipv6::HEADER_LEN + at;
    let end = end(ip, protocol, start, header.total_len());
    let len = end.checked_sub(start)?;
    let pseudo = ipv6::pseudo_sum(header.src(), header.dst(), protocol, len);
    Some((protocol, start..end, pseudo))
}

/// Where the bytes of a transport end that begin at `start` of an IP packet of this length. RFC 768 "Length":
/// what lies behind a datagram is none of it, and is not summed up; a Length that cannot be is the stack's to find.
fn end(ip: &[u8], protocol: Protocol, start: usize, total: usize) -> usize {
    let header = ip
        .get(start..)
        .and_then(|it| udp::Header::parse_quoted(it).ok());
    match header {
        Some((header, _)) if protocol == Protocol::UDP => {
            let length = usize::from(header.length());
            let is_true = length >= udp::HEADER_LEN && start + length <= total;
            if is_true { start + length } else { total }
        }
        _ => total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{CaptureSettings, Direction, Reader, Writer};
    use crate::link::{RxChecksum, ethernet};

    fn frame(link: LinkType, data: &[u8]) -> Frame {
        let settings = CaptureSettings::new(std::time::UNIX_EPOCH);
        let mut writer = Writer::new(Vec::new(), &settings).unwrap();
        let on = writer.interface(link, "wire").unwrap();
        let inbound = Direction::Inbound;
        let _ = writer.frame(on, Instant::ZERO, inbound, data, &[]).unwrap();
        Reader::new(&writer.finish().unwrap()[..]).next().unwrap()
    }

    /// An IP packet with this protocol and these bytes, their checksum partial or complete.
    fn packet(six: bool, protocol: Protocol, complete: bool) -> Vec<u8> {
        let mut segment = vec![7; 45];
        let offset = if protocol == Protocol::TCP { 16 } else { 6 };
        segment[offset..offset + 2].fill(0);
        let mut packet;
        let pseudo;
        if six {
            let (src, dst) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
            packet = vec![0; ipv6::HEADER_LEN];
            ipv6::Fields::new(src, dst, protocol).emit(segment.len(), &mut packet);
            pseudo = ipv6::pseudo_sum(src, dst, protocol, segment.len());
        } else {
            let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
            packet = vec![0; ipv4::MIN_HEADER_LEN];
            ipv4::Fields::new(src, dst, protocol).emit(segment.len(), &mut packet);
            pseudo = ipv4::pseudo_sum(src, dst, protocol, segment.len());
        }
        let sum = if complete {
            pseudo.bytes(&segment).finish()
        } else {
            pseudo.partial()
        };
        segment[offset..offset + 2].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(&segment);
        packet
    }

    /// RFC 768 "Length": of a packet that is longer than its datagram only the datagram is summed up.
    #[test]
    fn bytes_behind_a_datagram_are_not_summed_up() {
        for (six, ip) in [(false, 20), (true, 40)] {
            let whole = packet(six, Protocol::UDP, true);
            let len = whole.len();
            let field = if six { 4 } else { 2 };
            let tail = |length: u16| {
                let mut longer = [&whole[..], b"more"].concat();
                let told = u16::from_be_bytes([longer[field], longer[field + 1]]) + 4;
                longer[field..field + 2].copy_from_slice(&told.to_be_bytes());
                longer[ip + 4..ip + 6].copy_from_slice(&length.to_be_bytes());
                let found = if six { v6(&longer) } else { v4(&longer) };
                found.map(|(_, range, _)| range)
            };
            assert_eq!(tail(45), Some(ip..len), "{six}");
            assert_eq!(tail(8), Some(ip..ip + 8), "{six}");
            // A Length that cannot be ends nothing.
            for length in [0, 7, 50] {
                assert_eq!(tail(length), Some(ip..len + 4), "{six} {length}");
            }
        }
    }

    /// A fragment's first bytes are no whole segment, whatever they sum up to.
    #[test]
    fn of_a_fragment_no_checksum_is_known() {
        const MORE_FRAGMENTS: u8 = 0x20;
        for offset in [[MORE_FRAGMENTS, 0], [0, 9]] {
            let mut partial = packet(false, Protocol::UDP, false);
            partial[6..8].copy_from_slice(&offset);
            let frame = frame(LinkType::RAW, &partial);
            let told = frame.to_rx(Instant::ZERO).unwrap().meta.checksum;
            assert_eq!(told, RxChecksum::Unknown);
        }
    }

    #[test]
    fn a_partial_checksum_is_told_where_it_is() {
        for (six, ip) in [(false, 20), (true, 40)] {
            for (protocol, offset) in [(Protocol::TCP, 16), (Protocol::UDP, 6)] {
                let partial = packet(six, protocol, false);
                let told = |link, data: &[u8]| {
                    let frame = frame(link, data).to_rx(Instant::from_millis(3)).unwrap();
                    assert_eq!(frame.meta.at, Instant::from_millis(3));
                    (frame.data, frame.meta.checksum)
                };
                let at = |start: usize| {
                    let start = u16::try_from(start).unwrap();
                    RxChecksum::Partial(PartialChecksum { start, offset })
                };
                let (data, checksum) = told(LinkType::RAW, &partial);
                assert_eq!((&data[..], checksum), (&partial[..], at(ip)));
                let kind: &[u8] = if six { &[0x86, 0xdd] } else { &[8, 0] };
                let ethernet = [&[2; 12][..], kind, &partial, &[0; 9]].concat();
                let (data, checksum) = told(LinkType::ETHERNET, &ethernet);
                assert_eq!(
                    (&data[..], checksum),
                    (&ethernet[..], at(14 + ip)),
                    "padded"
                );
                assert!(ethernet::Header::parse(&data).is_ok());
                let cooked = [&[0; 16][..], &partial].concat();
                let (data, checksum) = told(LinkType::LINUX_SLL, &cooked);
                assert_eq!(
                    (&data[..], checksum),
                    (&partial[..], at(ip)),
                    "without that header"
                );
                // What is complete, wrong or cut is the stack's to judge.
                let complete = packet(six, protocol, true);
                assert_eq!(told(LinkType::RAW, &complete).1, RxChecksum::Unknown);
                let mut wrong = partial.clone();
                wrong[ip + usize::from(offset)] ^= 1;
                assert_eq!(told(LinkType::RAW, &wrong).1, RxChecksum::Unknown);
                for len in 0..partial.len() {
                    assert_eq!(told(LinkType::RAW, &partial[..len]).1, RxChecksum::Unknown);
                }
            }
        }
    }

    #[test]
    fn what_has_no_packet_is_no_frame() {
        assert!(
            frame(LinkType(147), &[0; 60])
                .to_rx(Instant::ZERO)
                .is_none()
        );
        for link in [LinkType::NULL, LinkType::LINUX_SLL2, LinkType::ETHERNET] {
            let short = frame(link, &[1]).to_rx(Instant::ZERO).unwrap();
            assert_eq!(short.meta.checksum, RxChecksum::Unknown);
        }
    }
}
