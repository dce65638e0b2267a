//! The virtio-net header: what is believed of it lies within the frame, and what is emitted parses to
//! the same.
//!
//! The parser is private to the device, so its file is read in here.

use std::num::NonZeroU16;

use netloom::bytes::Bytes;
use netloom::link::{PartialChecksum, RxChecksum, SegmentKind, Segmentation, TxFrame, TxMeta};

#[path = "../../src/device/virtio.rs"]
mod header;

/// Input: the ten bytes of the header, a frame's length in two, then the headers of a frame to send.
pub fn run(input: &[u8]) {
    let Some((bytes, rest)) = input.split_first_chunk::<{ header::LEN }>() else {
        return;
    };
    let Some((len, headers)) = rest.split_first_chunk::<2>() else {
        return;
    };
    let len = usize::from(u16::from_be_bytes(*len));
    let said = header::parse(bytes, len);
    match said.checksum {
        RxChecksum::Partial(partial) => {
            let field = usize::from(partial.start) + usize::from(partial.offset);
            assert!(said.valid && field + 2 <= len);
        }
        RxChecksum::Verified => assert!(said.valid),
        RxChecksum::Unknown => assert!(said.valid || said.segment_size.is_none()),
    }
    assert_eq!(said, header::parse(bytes, len));

    let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let partial = PartialChecksum {
        start: word(6),
        offset: word(8),
    };
    let kinds = [SegmentKind::Tcp4, SegmentKind::Tcp6, SegmentKind::Udp];
    let segment = NonZeroU16::new(word(4)).filter(|_| bytes[1] % 2 == 1);
    let segment = segment.map(|size| Segmentation {
        kind: kinds[usize::from(bytes[1]) % 3],
        size,
    });
    let payload = [Bytes::from(vec![0; len])];
    let meta = match bytes[0] % 2 {
        0 => TxMeta::PLAIN,
        _ => TxMeta::offload(partial, segment),
    };
    let frame = TxFrame::new(headers, &payload, meta);
    let again = header::parse(&header::emit(&frame), frame.len());
    let field = usize::from(partial.start) + usize::from(partial.offset);
    match meta.checksum {
        None => assert!(again.valid && again.checksum == RxChecksum::Unknown),
        Some(partial) if field + 2 <= frame.len() => {
            assert!(again.valid);
            assert_eq!(again.checksum, RxChecksum::Partial(partial));
            assert_eq!(again.segment_size, segment.map(|segment| segment.size));
        }
        Some(_) => assert!(!again.valid),
    }
}
