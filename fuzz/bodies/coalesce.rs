//! Software segmentation and coalescing: what is cut and merged again is what it was, and merging
//! loses, adds and reorders nothing whatever the frames are.

use std::num::NonZeroU16;
use std::ops::Range;

use netloom::Instant;
use netloom::bytes::Bytes;
use netloom::device::{
    Capabilities, Coalesce, Device, Medium, Pair, Receive, RxBatch, Segmented, Sent, Transmit,
};
use netloom::link::ethernet::{self, VlanTag};
use netloom::link::{
    EtherType, PartialChecksum, RxFrame, SegmentKind, Segmentation, TxFrame, TxMeta,
};
use netloom::{ipv4, ipv6, tcp};

use super::wire::{self, FROM4, FROM6, TO4, TO6};

const NOW: Instant = Instant::from_millis(1);
/// Frames of one input that are merged together.
const MOST_FRAMES: usize = 200;

/// Input: one byte that says whether the rest describes super-segments to cut (bit 0 clear) or holds
/// frames to merge, each behind its length in two bytes; bit 1: an IP medium.
pub fn run(input: &[u8]) {
    let Some((&flags, rest)) = input.split_first() else {
        return;
    };
    let medium = match flags & 2 {
        0 => Medium::Ethernet,
        _ => Medium::Ip,
    };
    if flags & 1 == 0 {
        cut_and_merge(medium, rest);
    } else {
        let mut frames = vec![];
        let mut rest = rest;
        while let Some((len, after)) = rest.split_first_chunk() {
            let len = usize::from(u16::from_be_bytes(*len)).min(after.len());
            let (frame, after) = after.split_at(len);
            frames.push(frame.to_vec());
            rest = after;
        }
        frames.truncate(MOST_FRAMES);
        compare(medium, &frames);
    }
}

/// A super-segment as 24 bytes tell it: kind, sizes, flags, options; what follows is its headers'
/// damage, so that templates that cannot be cut are tried too.
fn cut_and_merge(medium: Medium, input: &[u8]) {
    let mut wire_frames = vec![];
    for piece in input.chunks(24).take(4) {
        let mut piece: Vec<u8> = piece.to_vec();
        piece.resize(24, 0);
        let Some((headers, payload, meta)) = super_segment(medium, &piece) else {
            continue;
        };
        let frame = TxFrame::new(&headers, &payload, meta);
        wire_frames.extend(cut(medium, &frame, piece[20] == 0 && piece[22] == 0));
    }
    wire_frames.truncate(MOST_FRAMES);
    compare(medium, &wire_frames);
}

fn super_segment(medium: Medium, piece: &[u8]) -> Option<(Vec<u8>, Vec<Bytes>, TxMeta)> {
    let word = |at: usize| u16::from_be_bytes([piece[at], piece[at + 1]]);
    let (v6, udp) = (piece[0] & 1 == 1, piece[0] & 2 == 2);
    let options = &[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, piece[11]][..];
    let options = if piece[0] & 4 == 4 { options } else { &[] };
    let seq = u32::from_be_bytes([piece[5], piece[6], piece[7], piece[8]]);
    let transport = if udp {
        wire::udp(7, &[])
    } else {
        wire::tcp_plain(piece[9], seq, u32::from(piece[10]), options)
    };
    let size = NonZeroU16::new(word(1) % 1500 + 1)?;
    let len = usize::from(word(3)) % (usize::from(size.get()) * 20);
    let len = len.min(65_000 - transport.len());
    let mut transport = transport;
    let checksum = if udp { 6 } else { 16 };
    let (protocol, whole) = (
        netloom::base::Protocol(if udp { 17 } else { 6 }),
        transport.len() + len,
    );
    let pseudo = match v6 {
        true => ipv6::pseudo_sum(FROM6.into(), TO6.into(), protocol, whole),
        false => ipv4::pseudo_sum(FROM4.into(), TO4.into(), protocol, whole),
    };
    transport[checksum..checksum + 2].copy_from_slice(&pseudo.partial().to_be_bytes());
    let ip = if v6 {
        wire::v6(if udp { 17 } else { 6 }, &transport, &FROM6, &TO6)
    } else {
        wire::v4(if udp { 17 } else { 6 }, &transport, &FROM4, &TO4)
    };
    let mut headers = match medium {
        Medium::Ip => ip,
        Medium::Ethernet => wire::ethernet(if v6 { 0x86dd } else { 0x0800 }, &ip),
    };
    let start = headers.len() - transport.len();
    for damage in piece[20..24].chunks(2) {
        let at = usize::from(damage[0]);
        if at > 0 && at < headers.len() {
            headers[at] ^= damage[1];
        }
    }
    let kind = match (udp, v6) {
        (true, _) => SegmentKind::Udp,
        (false, false) => SegmentKind::Tcp4,
        (false, true) => SegmentKind::Tcp6,
    };
    let partial = PartialChecksum {
        start: u16::try_from(start).ok()?,
        offset: u16::try_from(checksum).ok()?,
    };
    let segment = Some(Segmentation { kind, size });
    // The slices are as uneven as the input says.
    let mut text: Bytes = (0..len).map(|at| at.to_le_bytes()[0]).collect();
    let mut payload = vec![];
    while !text.is_empty() {
        let part = 1 + ((1 + usize::from(piece[12])) << (payload.len() % 8) << 2);
        payload.push(text.split_to(part.min(text.len())));
    }
    Some((headers, payload, TxMeta::offload(partial, segment)))
}

/// Cuts a super-segment through a device that can do nothing, and looks at what comes out.
fn cut(medium: Medium, frame: &TxFrame<'_>, sound: bool) -> Vec<Vec<u8>> {
    let (near, far) = Pair::new(Capabilities::plain(medium, 65_535), 8);
    let (_rx, mut tx) = Segmented::new(near).split();
    let (mut far, _tx) = far.split();
    let mut frames = vec![];
    let mut sent = tx.transmit(NOW, frame).expect("the pair is open");
    loop {
        let mut batch = RxBatch::new(64);
        far.receive(NOW, &mut batch).expect("the pair is open");
        frames.extend(batch.drain().map(|frame| frame.data.to_vec()));
        if !tx.wants_room() {
            break;
        }
        tx.poll(NOW).expect("the pair is open");
    }
    if frame.payload.is_empty() {
        sent = Sent::Taken; // whether it is refused or sent as it is
    }
    assert_ne!(sent, Sent::Full);
    if sound && !frame.payload.is_empty() {
        assert_eq!(sent, Sent::Taken);
        let size = frame
            .meta
            .segment
            .map_or(1, |segment| usize::from(segment.size.get()));
        assert_eq!(frames.len(), frame.payload_len().div_ceil(size));
        let mut text: Vec<u8> = vec![];
        for cut in &frames {
            let segment = Parsed::of(medium, cut);
            assert!(segment.checksum_is_right, "{segment:?}");
            text.extend_from_slice(&cut[segment.text]);
        }
        assert_eq!(text, frame.payload.concat());
    }
    frames
}

/// Merges the frames and takes them apart again: each flow has what it had.
fn compare(medium: Medium, frames: &[Vec<u8>]) {
    let (near, far) = Pair::new(Capabilities::plain(medium, 65_535), MOST_FRAMES);
    let (_rx, mut tx) = near.split();
    let (mut rx, _tx) = Coalesce::new(far).split();
    let mut before = vec![];
    for frame in frames {
        let offered = TxFrame::new(frame, &[], TxMeta::PLAIN);
        if tx.transmit(NOW, &offered).expect("the pair is open") == Sent::Taken {
            before.push(Parsed::of(medium, frame).item(frame));
        }
    }
    let mut after = vec![];
    let mut batch = RxBatch::new(64);
    while rx.receive(NOW, &mut batch).expect("the pair is open") > 0 {
        for frame in batch.drain() {
            after.extend(segments(medium, &frame));
        }
    }
    // A flow overtakes another; nothing overtakes within one.
    before.sort_by(|a, b| a.flow.cmp(&b.flow));
    after.sort_by(|a, b| a.flow.cmp(&b.flow));
    assert_eq!(before, after);
}

/// The wire segments of a received frame.
fn segments(medium: Medium, frame: &RxFrame) -> Vec<Item> {
    let parsed = Parsed::of(medium, &frame.data);
    let whole = parsed.item(&frame.data);
    let Some(size) = frame.meta.segment_size else {
        return vec![whole];
    };
    let size = usize::from(size.get());
    let text = &frame.data[parsed.text.clone()];
    assert!(text.len() > size, "one segment is no super-segment");
    assert!(frame.data.len() <= 65_535 + 18 + 40);
    let last = text.len().div_ceil(size) - 1;
    let pieces = text.chunks(size).enumerate().map(|(n, text)| {
        let offset = u32::try_from(n * size).expect("below 64 KiB");
        Item {
            seq: whole.seq.wrapping_add(offset),
            flags: if n == last {
                whole.flags
            } else {
                whole.flags & !9
            },
            bytes: text.to_vec(),
            ..whole.clone()
        }
    });
    pieces.collect()
}

/// What of a segment must come through.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    /// Link header, addresses, ports; empty for what is no TCP segment.
    flow: Vec<u8>,
    /// All that must be equal to be merged.
    fixed: Vec<u8>,
    seq: u32,
    flags: u16,
    bytes: Vec<u8>,
}

/// Where the parts of a frame are, found with the parsers and not with the device's layout.
#[derive(Debug)]
struct Parsed {
    checksum_is_right: bool,
    tcp: Option<(Vec<u8>, Vec<u8>, u32, u16)>,
    text: Range<usize>,
}

impl Parsed {
    fn of(medium: Medium, frame: &[u8]) -> Self {
        Self::ip(medium, frame).unwrap_or(Self {
            checksum_is_right: false,
            tcp: None,
            text: 0..frame.len(),
        })
    }

    fn ip(medium: Medium, frame: &[u8]) -> Option<Self> {
        let mut at = 0;
        if medium == Medium::Ethernet {
            at = ethernet::HEADER_LEN;
            let mut kind = *frame.get(12..)?.first_chunk::<2>()?;
            while [EtherType::VLAN, EtherType::SERVICE_VLAN]
                .contains(&EtherType(u16::from_be_bytes(kind)))
            {
                let (_, inner, _) = VlanTag::parse(frame.get(at..)?)?;
                kind = inner.0.to_be_bytes();
                at += ethernet::TAG_LEN;
            }
        }
        let packet = frame.get(at..)?;
        let (protocol, body, pseudo, fixed, addresses) = if packet.first()? >> 4 == 4 {
            let (header, body) = ipv4::Header::parse(packet).ok()?;
            let (src, dst, protocol) = (header.src(), header.dst(), header.protocol());
            if header.is_fragment() {
                return None;
            }
            let pseudo = ipv4::pseudo_sum(src, dst, protocol, body.len());
            let fixed = [&packet[..2], &packet[6..10], header.options_bytes()].concat();
            (protocol, body, pseudo, fixed, &packet[12..20])
        } else {
            let (header, body) = ipv6::Header::parse(packet).ok()?;
            let (src, dst, protocol) = (header.src(), header.dst(), header.next_header());
            let pseudo = ipv6::pseudo_sum(src, dst, protocol, body.len());
            let fixed = [&packet[..4], &packet[6..8]].concat();
            (protocol, body, pseudo, fixed, &packet[8..40])
        };
        let checksum_is_right = pseudo.bytes(body).is_valid();
        let body_at = body.as_ptr().addr() - frame.as_ptr().addr();
        let end = body_at + body.len();
        if protocol == netloom::base::Protocol::UDP {
            return Some(Self {
                checksum_is_right,
                tcp: None,
                text: body_at + 8..end,
            });
        }
        let (header, text) = tcp::Header::parse(body).ok()?;
        if protocol != netloom::base::Protocol::TCP {
            return None;
        }
        let flow = [&frame[..at], addresses, &body[..4]].concat();
        let flags = header.flags().bits();
        let rest = [&body[8..12], &body[14..16], header.options_bytes()].concat();
        let fixed = [fixed, rest].concat();
        Some(Self {
            checksum_is_right,
            tcp: Some((flow, fixed, header.seq(), flags)),
            text: end - text.len()..end,
        })
    }

    fn item(&self, frame: &[u8]) -> Item {
        match &self.tcp {
            Some((flow, fixed, seq, flags)) => Item {
                flow: flow.clone(),
                fixed: fixed.clone(),
                seq: *seq,
                flags: *flags,
                bytes: frame[self.text.clone()].to_vec(),
            },
            None => Item {
                flow: vec![],
                fixed: vec![],
                seq: 0,
                flags: 0,
                bytes: frame.to_vec(),
            },
        }
    }
}
