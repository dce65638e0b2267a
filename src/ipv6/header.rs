//! The IPv6 header on the wire.
//!
//! RFC 8200 §3, §8.1 (pseudo-header). *Owns* the fixed header. *Does not* walk the extension
//! headers (`extension.rs`) nor judge addresses. Invariant: [`Header::parse`] is total, and gives a
//! payload that ends where Payload Length says; jumbograms (RFC 2675) are not supported.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Traffic Class |              Flow Label               |
//! |         Payload Length        |  Next Header  |   Hop Limit   |
//! |                    Source Address, 16 bytes                   |
//! |                  Destination Address, 16 bytes                |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::base::Protocol;
use crate::base::checksum::Sum;

/// Bytes of the header.
pub const HEADER_LEN: usize = size_of::<Wire>();

const FLOW_LABEL: u32 = 0x000f_ffff;

/// RFC 8200 §3, network order, no padding.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    version_class_flow: U32,
    payload_len: U16,
    next_header: u8,
    hop_limit: u8,
    src: [u8; 16],
    dst: [u8; 16],
}

/// Why bytes are not an IPv6 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The packet ends before its header or its Payload Length.
    #[error("ipv6 packet needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that the header or the packet takes.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The version is not 6.
    #[error("ip version {version} is not 6")]
    Version {
        /// The Version field.
        version: u8,
    },
}

/// A view of an IPv6 header.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    wire: &'a Wire,
}

impl<'a> Header<'a> {
    /// Splits a packet into its header and its payload, link padding left out; checks version and
    /// Payload Length. The payload begins with the extension headers.
    ///
    /// # Errors
    /// [`ParseError`], in the order of these checks.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let (header, rest) = Self::parse_quoted(data)?;
        let payload = rest
            .get(..header.payload_len())
            .ok_or_else(|| ParseError::Truncated {
                need: header.total_len(),
                have: data.len(),
            })?;
        Ok((header, payload))
    }

    /// The same for a packet that may be cut, as an ICMPv6 error quotes it or a capture keeps it:
    /// Payload Length is not judged, the payload is all that follows.
    ///
    /// # Errors
    /// [`ParseError`] when the header is cut or its version is not 6.
    #[inline]
    pub fn parse_quoted(data: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let (wire, rest) = Wire::ref_from_prefix(data).map_err(|_| ParseError::Truncated {
            need: HEADER_LEN,
            have: data.len(),
        })?;
        let version = wire.version_class_flow.to_bytes()[0] >> 4;
        if version == 6 {
            Ok((Self { wire }, rest))
        } else {
            Err(ParseError::Version { version })
        }
    }

    /// The traffic class: DSCP and ECN.
    pub fn traffic_class(&self) -> u8 {
        let [a, b, ..] = self.wire.version_class_flow.to_bytes();
        (a << 4) | (b >> 4)
    }

    /// The ECN field, RFC 3168 §5: 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
    pub fn ecn(&self) -> u8 {
        self.traffic_class() & 3
    }

    /// The flow label, RFC 6437: 20 bits.
    pub fn flow_label(&self) -> u32 {
        self.wire.version_class_flow.get() & FLOW_LABEL
    }

    /// Bytes behind this header, extension headers included.
    pub fn payload_len(&self) -> usize {
        usize::from(self.wire.payload_len.get())
    }

    /// Bytes of header and payload.
    pub fn total_len(&self) -> usize {
        HEADER_LEN + self.payload_len()
    }

    /// What the payload begins with.
    pub fn next_header(&self) -> Protocol {
        Protocol(self.wire.next_header)
    }

    /// The hop limit.
    pub fn hop_limit(&self) -> u8 {
        self.wire.hop_limit
    }

    /// The sender.
    pub fn src(&self) -> Ipv6Addr {
        self.wire.src.into()
    }

    /// The receiver, or the next hop of a routing header.
    pub fn dst(&self) -> Ipv6Addr {
        self.wire.dst.into()
    }

    /// The same header as a value that can be changed and emitted.
    #[inline]
    pub fn fields(&self) -> Fields {
        Fields {
            traffic_class: self.traffic_class(),
            flow_label: self.flow_label(),
            next_header: self.next_header(),
            hop_limit: self.hop_limit(),
            src: self.src(),
            dst: self.dst(),
        }
    }
}

impl core::fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Header")
            .field("fields", &self.fields())
            .field("payload_len", &self.payload_len())
            .finish()
    }
}

/// What an IPv6 header says, Payload Length apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fields {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// The flow label, of which the low 20 bits count.
    pub flow_label: u32,
    /// What the payload begins with.
    pub next_header: Protocol,
    /// The hop limit.
    pub hop_limit: u8,
    /// The sender.
    pub src: Ipv6Addr,
    /// The receiver.
    pub dst: Ipv6Addr,
}

impl Fields {
    /// Traffic class and flow label 0, hop limit 64 (IANA's recommended default).
    pub const fn new(src: Ipv6Addr, dst: Ipv6Addr, next_header: Protocol) -> Self {
        Self {
            traffic_class: 0,
            flow_label: 0,
            next_header,
            hop_limit: 64,
            src,
            dst,
        }
    }

    /// Writes the header for this many bytes behind it; returns how many bytes it took,
    /// [`HEADER_LEN`]. A payload that no Payload Length can hold makes the field 65,535.
    ///
    /// # Panics
    /// When `buf` is shorter than that.
    pub fn emit(&self, payload_len: usize, buf: &mut [u8]) -> usize {
        let first = (6 << 28) | (u32::from(self.traffic_class) << 20);
        let wire = Wire {
            version_class_flow: (first | self.flow_label & FLOW_LABEL).into(),
            payload_len: u16::try_from(payload_len).unwrap_or(u16::MAX).into(),
            next_header: self.next_header.0,
            hop_limit: self.hop_limit,
            src: self.src.octets(),
            dst: self.dst.octets(),
        };
        buf[..HEADER_LEN].copy_from_slice(wire.as_bytes());
        HEADER_LEN
    }
}

/// The sum over the pseudo-header of an upper-layer packet of `len` bytes (RFC 8200 §8.1).
#[inline]
pub fn pseudo_sum(src: Ipv6Addr, dst: Ipv6Addr, protocol: Protocol, len: usize) -> Sum {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    Sum::new()
        .bytes(&src.octets())
        .bytes(&dst.octets())
        .bytes(&len.to_be_bytes())
        .word(u16::from(protocol.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Fields {
        Fields {
            traffic_class: 0xa5,
            flow_label: 0x1_2345,
            next_header: Protocol::UDP,
            hop_limit: 9,
            src: "fd00::1".parse().unwrap(),
            dst: "fd00::2".parse().unwrap(),
        }
    }

    #[test]
    fn every_field_of_a_known_header() {
        let mut bytes = [0; 43];
        assert_eq!(sample().emit(3, &mut bytes), 40);
        assert_eq!(bytes[..8], [0x6a, 0x51, 0x23, 0x45, 0, 3, 17, 9]);
        let (header, payload) = Header::parse(&bytes).unwrap();
        assert_eq!((header.traffic_class(), header.ecn()), (0xa5, 1));
        assert_eq!((header.flow_label(), header.hop_limit()), (0x1_2345, 9));
        assert_eq!((header.payload_len(), header.total_len()), (3, 43));
        assert_eq!(header.next_header(), Protocol::UDP);
        assert_eq!(payload.len(), 3);
    }

    /// Covers: IP6-1, IP6-2.
    #[test]
    fn r61_lengths_and_versions() {
        let parse = |len: usize, have: usize, first: u8| {
            let mut bytes = vec![0; 70];
            sample().emit(len, &mut bytes);
            bytes[0] = first;
            Header::parse(&bytes[..have]).map(|(_, payload)| payload.len())
        };
        assert_eq!(parse(0, 40, 0x60), Ok(0));
        assert_eq!(parse(0, 70, 0x60), Ok(0), "a jumbogram's length");
        assert_eq!(parse(6, 70, 0x60), Ok(6), "link padding");
        assert_eq!(parse(30, 70, 0x60), Ok(30));
        let error = ParseError::Truncated { need: 71, have: 70 };
        assert_eq!(parse(31, 70, 0x60), Err(error));
        assert_eq!(parse(0, 40, 0x45), Err(ParseError::Version { version: 4 }));
        for have in 0..40 {
            let error = ParseError::Truncated { need: 40, have };
            assert_eq!(parse(0, have, 0x60), Err(error));
        }
    }

    #[test]
    fn the_pseudo_header_holds_a_length_of_32_bits() {
        let unspecified = Ipv6Addr::UNSPECIFIED;
        let sum = pseudo_sum(unspecified, Ipv6Addr::LOCALHOST, Protocol::TCP, 0x1_0005);
        assert_eq!(sum.partial(), 1 + 1 + 5 + 6);
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_to_the_same(
            traffic_class: u8, flow_label in 0u32..0x10_0000, next_header: u8, hop_limit: u8,
            src: [u8; 16], dst: [u8; 16], payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let fields = Fields {
                traffic_class, flow_label, next_header: Protocol(next_header), hop_limit,
                src: src.into(), dst: dst.into(),
            };
            let mut bytes = vec![0; HEADER_LEN];
            fields.emit(payload.len(), &mut bytes);
            bytes.extend_from_slice(&payload);
            bytes.push(7);
            let (header, rest) = Header::parse(&bytes).unwrap();
            prop_assert_eq!(header.fields(), fields);
            prop_assert_eq!(rest, payload);
        }

        #[test]
        fn any_bytes_parse_or_fail(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Header::parse(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = 0x60 | (*first & 0xf);
            }
            let _ = Header::parse(&bytes);
            let _ = Header::parse_quoted(&bytes);
        }
    }
}
