//! Frames as they cross the device edge: received ones owned, sent ones borrowed, both up to 64 KiB
//! with a segment size.
//!
//! *Owns* the frame types and their offload metadata (the virtio-net header's meaning, Linux
//! Documentation/networking/checksum-offloads.rst). *Does not* parse.
//! Invariant: a frame of one MTU is the special case of a super-segment with no segment size.

use core::num::NonZeroU16;

use bytes::Bytes;

use crate::base::Instant;

/// The most bytes that a frame may have from the IP header on.
pub const MAX_IP_LEN: usize = 65_535;

/// A checksum that is still to be completed: the field holds the pseudo-header's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where the summed bytes begin, from the start of the frame.
    pub start: u16,
    /// Where the checksum field lies, from `start`.
    pub offset: u16,
}

/// What is known about the transport checksum of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RxChecksum {
    /// Nothing: the stack verifies it.
    #[default]
    Unknown,
    /// The device verified it.
    Verified,
    /// Never completed, because the frame never left the machine; trusted as the kernel trusts it.
    Partial(PartialChecksum),
}

/// What the device said about a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RxMeta {
    /// The state of the transport checksum.
    pub checksum: RxChecksum,
    /// The payload bytes of each segment that was merged into this frame; `None` for a plain one.
    pub segment_size: Option<NonZeroU16>,
    /// When the frame arrived: the clock read once before the batch's first read.
    pub at: Instant,
}

impl RxMeta {
    /// A plain frame that arrived `at`, its checksum unknown.
    pub const fn new(at: Instant) -> Self {
        Self {
            checksum: RxChecksum::Unknown,
            segment_size: None,
            at,
        }
    }

    /// The same with this checksum state.
    #[must_use]
    pub const fn with_checksum(self, checksum: RxChecksum) -> Self {
        Self { checksum, ..self }
    }

    /// The same with this segment size.
    #[must_use]
    pub const fn with_segment_size(self, segment_size: Option<NonZeroU16>) -> Self {
        Self {
            segment_size,
            ..self
        }
    }
}

/// A received frame: from the Ethernet header on, or from the IP header on an IP medium.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RxFrame {
    /// The bytes, a slice of the buffer that the kernel read into.
    pub data: Bytes,
    /// What the device said about them.
    pub meta: RxMeta,
}

impl RxFrame {
    /// A frame of these bytes.
    pub const fn new(data: Bytes, meta: RxMeta) -> Self {
        Self { data, meta }
    }
}

/// Which kind of super-segment a frame to send is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// TCP over IPv4 (TSO4).
    Tcp4,
    /// TCP over IPv6 (TSO6).
    Tcp6,
    /// UDP over IPv4 or IPv6 (USO).
    Udp,
}

bitflags::bitflags! {
    /// Several kinds of super-segments.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SegmentKinds: u8 {
        /// [`SegmentKind::Tcp4`].
        const TCP4 = 1;
        /// [`SegmentKind::Tcp6`].
        const TCP6 = 1 << 1;
        /// [`SegmentKind::Udp`].
        const UDP = 1 << 2;
    }
}

impl SegmentKinds {
    /// Is this kind among them?
    pub const fn has(self, kind: SegmentKind) -> bool {
        self.contains(match kind {
            SegmentKind::Tcp4 => Self::TCP4,
            SegmentKind::Tcp6 => Self::TCP6,
            SegmentKind::Udp => Self::UDP,
        })
    }
}

/// How a super-segment is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// By which protocol's rules.
    pub kind: SegmentKind,
    /// Transport payload bytes of each frame on the wire but the last.
    pub size: NonZeroU16,
}

/// What the device is asked to do with a frame to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TxMeta {
    /// Complete this checksum; `None` when all checksums are whole.
    pub checksum: Option<PartialChecksum>,
    /// Cut the frame into segments; implies a partial checksum.
    pub segment: Option<Segmentation>,
}

impl TxMeta {
    /// Nothing is asked: the frame is complete.
    pub const PLAIN: Self = Self {
        checksum: None,
        segment: None,
    };

    /// Asks for the checksum to be completed, and for segmentation when there is one.
    pub const fn offload(checksum: PartialChecksum, segment: Option<Segmentation>) -> Self {
        Self {
            checksum: Some(checksum),
            segment,
        }
    }
}

/// A frame to send, borrowed until the device has written it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TxFrame<'a> {
    /// All protocol headers, from the link's on.
    pub headers: &'a [u8],
    /// The transport payload, in order.
    pub payload: &'a [Bytes],
    /// What the device is asked to do.
    pub meta: TxMeta,
}

impl<'a> TxFrame<'a> {
    /// A frame of these headers and this payload.
    pub const fn new(headers: &'a [u8], payload: &'a [Bytes], meta: TxMeta) -> Self {
        Self {
            headers,
            payload,
            meta,
        }
    }

    /// Bytes of the payload.
    pub fn payload_len(&self) -> usize {
        self.payload.iter().map(Bytes::len).sum()
    }

    /// Bytes of the whole frame.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a frame has headers and is never empty"
    )]
    pub fn len(&self) -> usize {
        self.headers.len() + self.payload_len()
    }

    /// The whole frame copied into one buffer.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.len());
        whole.extend_from_slice(self.headers);
        for slice in self.payload {
            whole.extend_from_slice(slice);
        }
        whole
    }
}
