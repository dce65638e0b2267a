//! The virtio-net header that stands before each frame of a device opened with `IFF_VNET_HDR`.
//!
//! VIRTIO 1.2 §5.1.6, linux/virtio_net.h. The ten-byte form, fields in the machine's byte order.
//!
//! ```text
//! flags u8 | gso_type u8 | hdr_len u16 | gso_size u16 | csum_start u16 | csum_offset u16
//! ```

use core::num::NonZeroU16;

use crate::link::{PartialChecksum, RxChecksum, SegmentKind, TxFrame};

/// Bytes of the header.
pub(super) const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What the kernel said about a frame that it gave us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) checksum: RxChecksum,
    pub(super) segment_size: Option<NonZeroU16>,
    /// Did the header make sense? Where it did not, nothing of it is believed.
    pub(super) valid: bool,
}

/// Reads the header before a frame of `len` bytes.
pub(super) fn parse(header: &[u8; LEN], len: usize) -> Received {
    let [
        flags,
        gso,
        _,
        _,
        size_a,
        size_b,
        start_a,
        start_b,
        off_a,
        off_b,
    ] = *header;
    let partial = PartialChecksum {
        start: u16::from_ne_bytes([start_a, start_b]),
        offset: u16::from_ne_bytes([off_a, off_b]),
    };
    let size = NonZeroU16::new(u16::from_ne_bytes([size_a, size_b]));
    let segment_size = match gso & !GSO_ECN {
        GSO_NONE => Some(None),
        GSO_TCPV4 | GSO_TCPV6 | GSO_UDP_L4 => size.map(Some),
        _ => None,
    };
    let inside = usize::from(partial.start) + usize::from(partial.offset) + 2 <= len;
    let checksum = match flags & (NEEDS_CSUM | DATA_VALID) {
        0 => Some(RxChecksum::Unknown),
        DATA_VALID => Some(RxChecksum::Verified),
        _ => inside.then_some(RxChecksum::Partial(partial)),
    };
    match (checksum, segment_size) {
        (Some(checksum), Some(segment_size)) => Received {
            checksum,
            segment_size,
            valid: true,
        },
        _ => Received {
            checksum: RxChecksum::Unknown,
            segment_size: None,
            valid: false,
        },
    }
}

/// The header for a frame to send.
pub(super) fn emit(frame: &TxFrame<'_>) -> [u8; LEN] {
    let mut header = [0; LEN];
    let Some(partial) = frame.meta.checksum else {
        return header;
    };
    header[0] = NEEDS_CSUM;
    header[6..8].copy_from_slice(&partial.start.to_ne_bytes());
    header[8..10].copy_from_slice(&partial.offset.to_ne_bytes());
    if let Some(segment) = frame.meta.segment {
        header[1] = match segment.kind {
            SegmentKind::Tcp4 => GSO_TCPV4 | congestion_reduced(frame, partial),
            SegmentKind::Tcp6 => GSO_TCPV6 | congestion_reduced(frame, partial),
            SegmentKind::Udp => GSO_UDP_L4,
        };
        let headers = u16::try_from(frame.headers.len()).unwrap_or(u16::MAX);
        header[2..4].copy_from_slice(&headers.to_ne_bytes());
        header[4..6].copy_from_slice(&segment.size.get().to_ne_bytes());
    }
    header
}

/// [`GSO_ECN`] when the TCP header says CWR, which only the first segment may (RFC 3168 §6.1.2).
fn congestion_reduced(frame: &TxFrame<'_>, partial: PartialChecksum) -> u8 {
    const CWR: u8 = 0x80;
    let flags = usize::from(partial.start) + 13;
    match frame.headers.get(flags) {
        Some(flags) if flags & CWR != 0 => GSO_ECN,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Segmentation, TxMeta};
    use proptest::prelude::*;

    const START: PartialChecksum = PartialChecksum {
        start: 34,
        offset: 16,
    };

    fn sent(segment: Option<(SegmentKind, u16)>, cwr: bool) -> [u8; LEN] {
        let mut headers = [0; 54];
        headers[47] = if cwr { 0x90 } else { 0x10 };
        let segment = segment.map(|(kind, size)| Segmentation {
            kind,
            size: NonZeroU16::new(size).unwrap(),
        });
        emit(&TxFrame::new(
            &headers,
            &[],
            TxMeta::offload(START, segment),
        ))
    }

    #[test]
    fn a_plain_frame_has_a_header_of_zeros() {
        let frame = TxFrame::new(&[0; 54], &[], TxMeta::PLAIN);
        assert_eq!(emit(&frame), [0; LEN]);
        let said = parse(&[0; LEN], 54);
        assert_eq!(
            (said.checksum, said.segment_size),
            (RxChecksum::Unknown, None)
        );
    }

    #[test]
    fn what_is_sent_is_what_is_read_back() {
        for (kind, gso) in [
            (SegmentKind::Tcp4, GSO_TCPV4),
            (SegmentKind::Tcp6, GSO_TCPV6),
            (SegmentKind::Udp, GSO_UDP_L4),
        ] {
            let header = sent(Some((kind, 1448)), false);
            assert_eq!((header[0], header[1]), (NEEDS_CSUM, gso));
            assert_eq!(header[2..4], 54u16.to_ne_bytes());
            let expected = Received {
                checksum: RxChecksum::Partial(START),
                segment_size: NonZeroU16::new(1448),
                valid: true,
            };
            assert_eq!(parse(&header, 60_000), expected);
        }
        assert_eq!(sent(Some((SegmentKind::Tcp4, 1448)), true)[1], 0x81);
        assert_eq!(sent(Some((SegmentKind::Udp, 1448)), true)[1], GSO_UDP_L4);
        assert_eq!(sent(None, true)[1], GSO_NONE);
    }

    #[test]
    fn what_makes_no_sense_is_not_believed() {
        let good = sent(Some((SegmentKind::Tcp4, 1448)), false);
        let (mut ufo, mut sizeless) = (good, good);
        ufo[1] = 3;
        sizeless[4..6].fill(0);
        for (header, len) in [(ufo, 2000), (sizeless, 2000), (good, 51)] {
            let said = parse(&header, len);
            let believed = (said.valid, said.checksum, said.segment_size);
            assert_eq!(believed, (false, RxChecksum::Unknown, None), "{header:?}");
        }
        assert!(parse(&good, 52).valid);
        let mut verified = [0; LEN];
        verified[0] = DATA_VALID;
        assert_eq!(parse(&verified, 60).checksum, RxChecksum::Verified);
    }

    proptest! {
        #[test]
        fn a_partial_checksum_lies_inside_the_frame(header: [u8; LEN], len in 0usize..70_000) {
            if let RxChecksum::Partial(p) = parse(&header, len).checksum {
                prop_assert!(usize::from(p.start) + usize::from(p.offset) + 2 <= len);
            }
        }
    }
}
