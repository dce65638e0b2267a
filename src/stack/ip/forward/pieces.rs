//! Packets that leave in several frames: super-segments that no device cuts, and IPv4 packets above the next link's MTU.
//!
//! RFC 791 §2.3, §3.2 (fragments, and which options they repeat), RFC 1812 §4.2.2.7, §5.2.6; RFC 6864 §4. *Owns* the headers of the
//! pieces. *Does not* put anything together: a fragment is cut like any other packet, and keeps its Identification. Invariant: all
//! but the last have a multiple of 8 bytes.

use bytes::Bytes;

use super::judge::Way;
use super::packet::{Head, Packet, Transit};
use super::queue::PACKETS;
use crate::base::DropReason;
use crate::base::checksum::{Sum, checksum};
use crate::ipv4;
use crate::link::MAX_IP_LEN;
use crate::link::cut::Cut;
use crate::link::layout::{on_the_wire, put_word, word};
use crate::stack::ids::InterfaceId;

/// Where IPv4 has its flags and the offset, and what of that is what.
const FLAGS: usize = 6;
const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
/// The bit of an option's type that has each fragment repeat it.
const COPIED: u8 = 0x80;

impl Packet {
    /// The frames that it leaves in, where it leaves in no single one: each within the way's MTU.
    pub(super) fn pieces(&self, from: InterfaceId, way: Way) -> Result<Vec<Transit>, DropReason> {
        // More than ever wait: they are not made only to find no room.
        let text = self.data.len().saturating_sub(self.headers_len());
        let many = self
            .segment
            .map_or(1, |size| text.div_ceil(size.get().into()));
        if many > PACKETS {
            return Err(DropReason::ForwardRefused);
        }
        let mut all = Vec::new();
        for (head, payload) in self.segments() {
            if head.as_slice().len() + payload.len() <= way.mtu {
                all.push(self.piece(from, way, head, payload));
                continue;
            }
            let head = head.as_slice();
            let (header, rest) = head.split_at(self.header_len.min(head.len()));
            let body = if rest.is_empty() {
                payload
            } else {
                Bytes::from([rest, &payload].concat())
            };
            for (head, payload) in fragments(header, &body, way.mtu)? {
                all.push(self.piece(from, way, head, payload));
            }
        }
        Ok(all)
    }

    fn piece(&self, from: InterfaceId, way: Way, head: Head, payload: Bytes) -> Transit {
        Transit {
            head,
            payload,
            partial: None,
            segment: None,
            ends: self.ends,
            next_hop: way.next_hop,
            from,
        }
    }

    /// The packets that it is on the wire, headers and what follows them, their checksums complete.
    fn segments(&self) -> Vec<(Head, Bytes)> {
        let Some(layout) = self.layout else {
            let payload = self.data.slice(self.headers_len()..);
            return vec![(self.head(self.headers_len()), payload)];
        };
        let mut head = self.head(layout.payload);
        let payload = [self.data.slice(layout.payload..)];
        let Some(size) = self.segment else {
            let field = layout.l4 + layout.checksum_offset();
            if self.partial {
                let sum = Sum::new().bytes(&head.as_slice()[layout.l4..]);
                let sum = sum.slices(&payload);
                put_word(head.as_mut_slice(), field, on_the_wire(sum));
            }
            let [payload] = payload;
            return vec![(head, payload)];
        };
        let (mut headers, mut slices, mut all) = (Vec::new(), Vec::new(), Vec::new());
        let size = usize::from(size.get());
        let cut = Cut::by(layout, head.as_slice(), &payload, size, &mut headers);
        if let Some(cut) = cut {
            let mut cut = if self.partial { cut.keep_pseudo() } else { cut };
            while cut.next(&mut headers, &mut slices) {
                let text = slices.pop().unwrap_or_default();
                all.push((Head::new(&headers), text));
            }
        }
        all
    }
}

/// The fragments of an IPv4 packet with this header (RFC 791 §3.2).
fn fragments(header: &[u8], body: &Bytes, mtu: usize) -> Result<Vec<(Head, Bytes)>, DropReason> {
    let flags = word(header, FLAGS).ok_or(DropReason::Ipv4Malformed)?;
    let start = usize::from(flags & OFFSET) * 8;
    if start + body.len() > MAX_IP_LEN {
        return Err(DropReason::Ipv4Malformed);
    }
    let later = later_header(header);
    let size = (mtu.saturating_sub(header.len()) & !7).max(8);
    let mut all = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let end = body.len().min(at + size);
        let more = if end < body.len() { MORE } else { flags & MORE };
        let offset = u16::try_from((start + at) / 8).unwrap_or(OFFSET);
        let template = if at == 0 { header } else { &later };
        let mut head = Head::new(template);
        let bytes = head.as_mut_slice();
        let total = u16::try_from(bytes.len() + end - at).unwrap_or(u16::MAX);
        put_word(bytes, 2, total);
        put_word(bytes, FLAGS, flags & !(MORE | OFFSET) | more | offset);
        put_word(bytes, 10, 0);
        let sum = checksum(bytes);
        put_word(bytes, 10, sum);
        all.push((head, body.slice(at..end)));
        at = end;
    }
    Ok(all)
}

/// The header of all fragments but the first: with the options that are copied (RFC 791 §3.1).
fn later_header(header: &[u8]) -> Vec<u8> {
    let mut later = header[..header.len().min(ipv4::MIN_HEADER_LEN)].to_vec();
    if let Ok((parsed, _)) = ipv4::Header::parse_quoted(header) {
        for option in parsed.options().filter(|option| option.kind & COPIED != 0) {
            later.push(option.kind);
            later.push(u8::try_from(option.data.len() + 2).unwrap_or(2));
            later.extend_from_slice(option.data);
        }
    }
    // End of the list.
    later.resize(later.len().next_multiple_of(4), ipv4::kind::END);
    later[0] = 0x40 | u8::try_from(later.len() / 4).unwrap_or(15);
    later
}
