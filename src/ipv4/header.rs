//! The IPv4 header on the wire.
//!
//! RFC 791 §3.1, RFC 1122 §3.2.1, RFC 2474 (DS field), RFC 3168 (ECN). *Owns* the header, its
//! checksum, the pseudo-header. *Does not* judge addresses: `stack` does. Invariant:
//! [`Header::parse`] is total, and gives a payload that ends where Total Length says.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version|  IHL  |   DSCP    |ECN|          Total Length         |
//! |         Identification        |0|D|M|     Fragment Offset     |
//! |  Time to Live |    Protocol   |        Header Checksum        |
//! |                         Source Address                        |
//! |                      Destination Address                      |
//! |                     Options, 0 to 40 bytes                    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::options::OptionIter;
use crate::base::Protocol;
use crate::base::checksum::{Sum, checksum};

/// Bytes of the header without options.
pub const MIN_HEADER_LEN: usize = size_of::<Wire>();

const CHECKSUM_OFFSET: usize = 10;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// RFC 791 §3.1, network order, no padding.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    version_ihl: u8,
    tos: u8,
    total_len: U16,
    id: U16,
    flags_offset: U16,
    ttl: u8,
    protocol: u8,
    checksum: U16,
    src: [u8; 4],
    dst: [u8; 4],
}

/// Why bytes are not an IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The packet ends before its header or its Total Length.
    #[error("ipv4 packet needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that the header or the packet takes.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The version is not 4 (RFC 1122 §3.2.1.1).
    #[error("ip version {version} is not 4")]
    Version {
        /// The Version field.
        version: u8,
    },
    /// The IHL is smaller than the fixed header.
    #[error("ipv4 header length {words} words is below 5")]
    HeaderLength {
        /// The IHL field, in words of 32 bits.
        words: u8,
    },
    /// The Total Length is smaller than the header.
    #[error("ipv4 total length {total} is below its header's {header}")]
    TotalLength {
        /// The Total Length field.
        total: usize,
        /// Bytes of the header.
        header: usize,
    },
    /// The header checksum is wrong.
    #[error("ipv4 header checksum 0x{found:04x} is wrong")]
    Checksum {
        /// The Header Checksum field.
        found: u16,
    },
}

/// A view of an IPv4 header and its options.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    wire: &'a Wire,
    bytes: &'a [u8],
}

impl<'a> Header<'a> {
    /// Splits a packet into its header and its payload, link padding left out; checks version,
    /// IHL, Total Length and the header checksum.
    ///
    /// # Errors
    /// [`ParseError`], in the order of these checks.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let (header, rest) = Self::parse_quoted(data)?;
        let (total, len) = (header.total_len(), header.header_len());
        // RFC 791 §3.1: Total Length counts the header; r61.
        let payload_len = total
            .checked_sub(len)
            .ok_or(ParseError::TotalLength { total, header: len })?;
        let payload = rest.get(..payload_len).ok_or(ParseError::Truncated {
            need: total,
            have: data.len(),
        })?;
        // RFC 1122 §3.2.1.2: a host MUST verify the header checksum.
        if header.checksum_is_valid() {
            Ok((header, payload))
        } else {
            let found = header.checksum();
            Err(ParseError::Checksum { found })
        }
    }

    /// The same for a packet that may be cut, as an ICMP error quotes it or a capture keeps it:
    /// Total Length and checksum are not judged, the payload is all that follows.
    ///
    /// # Errors
    /// [`ParseError`] when the header is cut, or its version or IHL cannot be.
    #[inline]
    pub fn parse_quoted(data: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let truncated = |need| ParseError::Truncated {
            need,
            have: data.len(),
        };
        let (wire, _) = Wire::ref_from_prefix(data).map_err(|_| truncated(MIN_HEADER_LEN))?;
        let (version, words) = (wire.version_ihl >> 4, wire.version_ihl & 0xf);
        if version != 4 {
            return Err(ParseError::Version { version });
        }
        if words < 5 {
            return Err(ParseError::HeaderLength { words });
        }
        let len = usize::from(words) * 4;
        let (bytes, rest) = data.split_at_checked(len).ok_or_else(|| truncated(len))?;
        Ok((Self { wire, bytes }, rest))
    }

    /// Bytes of the header, options included: 20 to 60.
    pub fn header_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of header and payload.
    pub fn total_len(&self) -> usize {
        usize::from(self.wire.total_len.get())
    }

    /// The octet that was Type of Service: DSCP and ECN.
    pub fn tos(&self) -> u8 {
        self.wire.tos
    }

    /// The differentiated services code point, RFC 2474 §3.
    pub fn dscp(&self) -> u8 {
        self.wire.tos >> 2
    }

    /// The ECN field, RFC 3168 §5: 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
    pub fn ecn(&self) -> u8 {
        self.wire.tos & 3
    }

    /// Identification; it means something in fragments only (RFC 6864 §4.1).
    pub fn id(&self) -> u16 {
        self.wire.id.get()
    }

    /// The DF flag.
    pub fn dont_fragment(&self) -> bool {
        self.wire.flags_offset.get() & DONT_FRAGMENT != 0
    }

    /// The MF flag.
    pub fn more_fragments(&self) -> bool {
        self.wire.flags_offset.get() & MORE_FRAGMENTS != 0
    }

    /// Where this fragment belongs, in bytes (r57: the field counts units of 8).
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.wire.flags_offset.get() & OFFSET) * 8
    }

    /// Is it a piece of a larger datagram?
    pub fn is_fragment(&self) -> bool {
        self.wire.flags_offset.get() & (MORE_FRAGMENTS | OFFSET) != 0
    }

    /// Time to Live.
    pub fn ttl(&self) -> u8 {
        self.wire.ttl
    }

    /// What the payload is.
    pub fn protocol(&self) -> Protocol {
        Protocol(self.wire.protocol)
    }

    /// The header checksum as written.
    pub fn checksum(&self) -> u16 {
        self.wire.checksum.get()
    }

    /// Is the header checksum right? Always so behind [`parse`](Self::parse).
    pub fn checksum_is_valid(&self) -> bool {
        // Nearly always there are no options, and the length is then a constant.
        let fixed = Sum::new().bytes(self.wire.as_bytes());
        match self.options_bytes() {
            [] => fixed.is_valid(),
            options => fixed.bytes(options).is_valid(),
        }
    }

    /// The sender.
    pub fn src(&self) -> Ipv4Addr {
        self.wire.src.into()
    }

    /// The receiver.
    pub fn dst(&self) -> Ipv4Addr {
        self.wire.dst.into()
    }

    /// The bytes between the fixed header and the payload.
    pub fn options_bytes(&self) -> &'a [u8] {
        &self.bytes[MIN_HEADER_LEN..]
    }

    /// The options, one by one.
    pub fn options(&self) -> OptionIter<'a> {
        OptionIter::new(self.options_bytes())
    }

    /// The same header as a value that can be changed and emitted.
    pub fn fields(&self) -> Fields {
        Fields {
            tos: self.tos(),
            id: self.id(),
            dont_fragment: self.dont_fragment(),
            more_fragments: self.more_fragments(),
            fragment_offset: self.wire.flags_offset.get() & OFFSET,
            ttl: self.ttl(),
            protocol: self.protocol(),
            src: self.src(),
            dst: self.dst(),
        }
    }
}

impl core::fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Header")
            .field("fields", &self.fields())
            .field("total_len", &self.total_len())
            .field("options", &self.options_bytes())
            .finish()
    }
}

/// What an IPv4 header says, lengths, checksum and options apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fields {
    /// DSCP and ECN.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// The DF flag.
    pub dont_fragment: bool,
    /// The MF flag.
    pub more_fragments: bool,
    /// Where this fragment belongs, in units of 8 bytes, of which the low 13 bits count.
    pub fragment_offset: u16,
    /// Time to Live.
    pub ttl: u8,
    /// What the payload is.
    pub protocol: Protocol,
    /// The sender.
    pub src: Ipv4Addr,
    /// The receiver.
    pub dst: Ipv4Addr,
}

impl Fields {
    /// An atomic datagram: DF set, Identification 0 (RFC 6864 §4.1), TOS 0, TTL 64 (RFC 1122
    /// §3.2.1.7, IANA's recommended default).
    pub const fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol) -> Self {
        Self {
            tos: 0,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 64,
            protocol,
            src,
            dst,
        }
    }

    /// Writes a header without options for this many bytes of payload, checksum included; returns
    /// how many bytes it took, [`MIN_HEADER_LEN`].
    ///
    /// # Panics
    /// When `buf` is shorter than that.
    #[inline]
    pub fn emit(&self, payload_len: usize, buf: &mut [u8]) -> usize {
        // Of a length that the compiler knows: a header for each packet.
        let wire = self.wire(MIN_HEADER_LEN, payload_len);
        let mut head: [u8; MIN_HEADER_LEN] = zerocopy::transmute!(wire);
        let sum = Sum::new().bytes(&head).finish();
        head[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
        buf[..MIN_HEADER_LEN].copy_from_slice(&head);
        MIN_HEADER_LEN
    }

    /// Writes a header with these options, zero-padded to 32 bits; what is above 40 bytes of them
    /// is left out. A payload that no Total Length can hold makes the field 65,535.
    ///
    /// # Panics
    /// When `buf` is shorter than the header.
    pub fn emit_with_options(&self, options: &[u8], payload_len: usize, buf: &mut [u8]) -> usize {
        let options = options.get(..40).unwrap_or(options);
        let len = MIN_HEADER_LEN + options.len().next_multiple_of(4);
        let head = &mut buf[..len];
        let (fixed, tail) = head.split_at_mut(MIN_HEADER_LEN);
        fixed.copy_from_slice(self.wire(len, payload_len).as_bytes());
        let (written, padding) = tail.split_at_mut(options.len());
        written.copy_from_slice(options);
        padding.fill(0);
        let sum = checksum(head);
        head[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
        len
    }

    /// The fixed part of a header of `len` bytes, without its checksum.
    #[inline]
    fn wire(&self, len: usize, payload_len: usize) -> Wire {
        let words = u8::try_from(len / 4).unwrap_or(15);
        let total = u16::try_from(len.saturating_add(payload_len)).unwrap_or(u16::MAX);
        let flag = |set, bit| if set { bit } else { 0 };
        let flags = flag(self.dont_fragment, DONT_FRAGMENT)
            | flag(self.more_fragments, MORE_FRAGMENTS)
            | self.fragment_offset & OFFSET;
        Wire {
            version_ihl: 0x40 | words,
            tos: self.tos,
            total_len: total.into(),
            id: self.id.into(),
            flags_offset: flags.into(),
            ttl: self.ttl,
            protocol: self.protocol.0,
            checksum: 0.into(),
            src: self.src.octets(),
            dst: self.dst.octets(),
        }
    }
}

/// The sum over the pseudo-header of a transport packet of `len` bytes (RFC 9293 §3.1, RFC 768).
#[inline]
pub fn pseudo_sum(src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol, len: usize) -> Sum {
    debug_assert!(len <= 0xffff, "{len} bytes do not fit in an IPv4 packet");
    let ([a, b, c, d], [e, f, g, h]) = (src.octets(), dst.octets());
    let [high, low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    Sum::new().bytes(&[a, b, c, d, e, f, g, h, 0, protocol.0, high, low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The header of an echo request, taken apart by hand.
    const PING: [u8; 28] = [
        0x45, 0x03, 0, 28, 0x12, 0x34, 0x40, 0, 63, 1, 0x15, 0x9c, 10, 7, 0, 1, 10, 7, 0, 2, 8, 0,
        0xf7, 0xff, 0, 0, 0, 0,
    ];

    fn fix(bytes: &mut [u8], len: usize) {
        bytes[10..12].fill(0);
        let sum = checksum(&bytes[..len]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    }

    #[test]
    fn every_field_of_a_known_header() {
        let mut bytes = PING;
        fix(&mut bytes, 20);
        let (header, payload) = Header::parse(&bytes).unwrap();
        assert_eq!((header.header_len(), header.total_len()), (20, 28));
        assert_eq!((header.tos(), header.dscp(), header.ecn()), (3, 0, 3));
        assert_eq!((header.id(), header.ttl()), (0x1234, 63));
        assert!(header.dont_fragment() && !header.more_fragments());
        assert!(!header.is_fragment());
        assert_eq!(header.protocol(), Protocol::ICMP);
        assert_eq!(header.src(), Ipv4Addr::new(10, 7, 0, 1));
        assert_eq!(header.dst(), Ipv4Addr::new(10, 7, 0, 2));
        assert_eq!(payload, [8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    }

    /// Covers: IP4-1, IP4-2, IP4-3, IP4-4.
    #[test]
    fn r61_lengths_versions_and_checksums() {
        let check = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = PING.to_vec();
            change(&mut bytes);
            let len = (usize::from(bytes[0] & 0xf) * 4).min(bytes.len());
            if len >= 20 && bytes[11] != 99 {
                fix(&mut bytes, len);
            }
            Header::parse(&bytes).map(|(_, payload)| payload.len())
        };
        let truncated = |need, have| Err(ParseError::Truncated { need, have });
        assert_eq!(check(&|_| {}), Ok(8));
        assert_eq!(
            check(&|b| b[0] = 0x65),
            Err(ParseError::Version { version: 6 })
        );
        for words in 0..5 {
            let error = ParseError::HeaderLength { words };
            assert_eq!(check(&|b| b[0] = 0x40 | words), Err(error));
        }
        assert_eq!(check(&|b| b[0] = 0x47), Ok(0));
        let error = ParseError::TotalLength {
            total: 28,
            header: 32,
        };
        assert_eq!(
            check(&|b| {
                b[0] = 0x48;
                b.extend([0; 9]);
            }),
            Err(error)
        );
        assert_eq!(check(&|b| b[0] = 0x4f), truncated(60, 28));
        for total in 0..20u8 {
            let error = ParseError::TotalLength {
                total: usize::from(total),
                header: 20,
            };
            assert_eq!(check(&|b| b[3] = total), Err(error));
        }
        assert_eq!(check(&|b| b[3] = 20), Ok(0));
        assert_eq!(check(&|b| b[3] = 29), truncated(29, 28));
        assert_eq!(check(&|b| b[2] = 0xff), truncated(0xff1c, 28));
        assert_eq!(check(&|b| b.extend([7; 18])), Ok(8), "link padding");
        assert_eq!(
            check(&|b| b[11] = 99),
            Err(ParseError::Checksum { found: 0x1563 })
        );
        for have in 0..20 {
            assert_eq!(
                Header::parse(&PING[..have]).map(|_| 0).err(),
                Some(ParseError::Truncated { need: 20, have })
            );
        }
    }

    /// r57: the offset counts units of 8.
    #[test]
    fn fragments() {
        let mut fields = Fields::new([1; 4].into(), [2; 4].into(), Protocol::UDP);
        fields.fragment_offset = 185;
        fields.dont_fragment = false;
        let mut buf = [0; 20];
        fields.emit(0, &mut buf);
        let (header, _) = Header::parse(&buf).unwrap();
        assert!(header.is_fragment() && !header.more_fragments());
        assert_eq!(header.fragment_offset(), 1480);
        fields.fragment_offset = 0;
        fields.more_fragments = true;
        fields.emit(0, &mut buf);
        assert!(Header::parse(&buf).unwrap().0.is_fragment());
    }

    #[test]
    fn a_quoted_packet_may_be_cut_and_wrong() {
        let mut bytes = PING;
        bytes[11] ^= 1;
        let (header, rest) = Header::parse_quoted(&bytes[..24]).unwrap();
        assert_eq!((header.total_len(), rest.len()), (28, 4));
        assert!(!header.checksum_is_valid());
    }

    /// RFC 768's pseudo-header, summed by hand.
    #[test]
    fn the_pseudo_header() {
        let sum = pseudo_sum(
            [1, 2, 3, 4].into(),
            [5, 6, 7, 8].into(),
            Protocol::UDP,
            0x1234,
        );
        assert_eq!(
            sum.partial(),
            0x0102 + 0x0304 + 0x0506 + 0x0708 + 17 + 0x1234
        );
    }

    proptest! {
        /// Covers: IP4-2, IP4-21.
        #[test]
        fn what_is_emitted_parses_to_the_same(
            tos: u8, id: u16, flags: (bool, bool), fragment_offset in 0u16..0x2000, ttl: u8,
            protocol: u8, src: [u8; 4], dst: [u8; 4],
            options in prop::collection::vec(any::<u8>(), 0..41),
            payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let fields = Fields {
                tos, id, dont_fragment: flags.0, more_fragments: flags.1, fragment_offset, ttl,
                protocol: Protocol(protocol), src: src.into(), dst: dst.into(),
            };
            let mut buf = [0xff; 60];
            let len = fields.emit_with_options(&options, payload.len(), &mut buf);
            let mut bytes = buf[..len].to_vec();
            bytes.extend_from_slice(&payload);
            bytes.extend_from_slice(&[0; 3]);
            let (header, rest) = Header::parse(&bytes).unwrap();
            prop_assert_eq!(header.fields(), fields);
            prop_assert_eq!(header.header_len(), len);
            prop_assert_eq!(rest, payload);
            let (written, padding) = header.options_bytes().split_at(options.len());
            prop_assert_eq!(written, options);
            prop_assert!(padding.len() < 4 && padding.iter().all(|&b| b == 0));
        }

        #[test]
        fn any_bytes_parse_or_fail(
            mut bytes in prop::collection::vec(any::<u8>(), 0..80), likely: bool,
        ) {
            if let (true, Some(first)) = (likely, bytes.first_mut()) {
                *first = 0x40 | (*first & 0xf);
            }
            let _ = Header::parse(&bytes);
            if let Ok((header, rest)) = Header::parse_quoted(&bytes) {
                prop_assert_eq!(header.header_len() + rest.len(), bytes.len());
                prop_assert!(header.options().count() <= 20);
            }
        }
    }
}
