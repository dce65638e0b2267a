//! The UDP header on the wire.
//!
//! RFC 768; RFC 1122 §4.1.3.4 (zero checksums). *Owns* the header. *Does not* know any
//! pseudo-header: the caller verifies and completes the checksum. Invariant: [`Header::parse`] is
//! total.
//!
//! ```text
//! | source port, 2 | destination port, 2 | length, 2 | checksum, 2 | data
//! ```

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::base::checksum::Sum;

/// Bytes of the header.
pub const HEADER_LEN: usize = size_of::<Wire>();

/// Where the checksum field lies, from the start of the header.
pub(crate) const CHECKSUM_OFFSET: usize = 6;

/// RFC 768, network order, no padding.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    src_port: U16,
    dst_port: U16,
    length: U16,
    checksum: U16,
}

/// Why bytes are not a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The packet ends before the header, or before the Length that it announces.
    #[error("udp datagram needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that the header or the datagram takes.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The Length is smaller than the header.
    #[error("udp length {length} is below 8")]
    Length {
        /// The Length field.
        length: u16,
    },
}

/// A view of a UDP header.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    wire: &'a Wire,
}

impl<'a> Header<'a> {
    /// Splits a datagram into its header and its data; what lies beyond the Length is left out.
    /// The checksum is not looked at.
    ///
    /// # Errors
    /// [`ParseError`] when the header is cut or its Length cannot be.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let (header, rest) = Self::parse_quoted(bytes)?;
        let length = header.length();
        let data_len = usize::from(length)
            .checked_sub(HEADER_LEN)
            .ok_or(ParseError::Length { length })?;
        let data = rest.get(..data_len).ok_or_else(|| ParseError::Truncated {
            need: usize::from(length),
            have: bytes.len(),
        })?;
        Ok((header, data))
    }

    /// The same for a datagram that may be cut, as an ICMP error quotes it: the Length is not
    /// judged, the data is all that follows.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] when the header is cut.
    #[inline]
    pub fn parse_quoted(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let (wire, rest) = Wire::ref_from_prefix(bytes).map_err(|_| ParseError::Truncated {
            need: HEADER_LEN,
            have: bytes.len(),
        })?;
        Ok((Self { wire }, rest))
    }

    /// The sender's port; 0 when no answer is wanted.
    pub fn src_port(&self) -> u16 {
        self.wire.src_port.get()
    }

    /// The receiver's port.
    pub fn dst_port(&self) -> u16 {
        self.wire.dst_port.get()
    }

    /// Bytes of header and data.
    pub fn length(&self) -> u16 {
        self.wire.length.get()
    }

    /// The checksum as written; 0 when the sender made none.
    pub fn checksum(&self) -> u16 {
        self.wire.checksum.get()
    }

    /// The same header as a value that can be changed and emitted.
    #[inline]
    pub fn fields(&self) -> Fields {
        Fields {
            src_port: self.src_port(),
            dst_port: self.dst_port(),
        }
    }
}

impl core::fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Header")
            .field("src_port", &self.src_port())
            .field("dst_port", &self.dst_port())
            .field("length", &self.length())
            .field("checksum", &self.checksum())
            .finish()
    }
}

/// What a UDP header says, Length and checksum apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fields {
    /// The sender's port.
    pub src_port: u16,
    /// The receiver's port.
    pub dst_port: u16,
}

impl Fields {
    /// A header between these ports.
    pub const fn new(src_port: u16, dst_port: u16) -> Self {
        Self { src_port, dst_port }
    }

    /// Writes the header for this many bytes of data with a checksum of zero; returns how many
    /// bytes it took, [`HEADER_LEN`]. More than 65,527 bytes of data have no Length: the field is
    /// then 65,535.
    ///
    /// # Panics
    /// When `buf` is shorter than that.
    pub fn emit(&self, data_len: usize, buf: &mut [u8]) -> usize {
        let wire = Wire {
            src_port: self.src_port.into(),
            dst_port: self.dst_port.into(),
            length: u16::try_from(HEADER_LEN.saturating_add(data_len))
                .unwrap_or(u16::MAX)
                .into(),
            checksum: 0.into(),
        };
        buf[..HEADER_LEN].copy_from_slice(wire.as_bytes());
        HEADER_LEN
    }
}

/// The checksum field for a sum over pseudo-header, header and data: never 0, which would mean
/// "none" (RFC 768).
pub fn checksum_field(sum: Sum) -> u16 {
    match sum.finish() {
        0 => 0xffff,
        checksum => checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_of_a_known_header() {
        let bytes = [0x30, 0x39, 0, 53, 0, 10, 0xab, 0xcd, 1, 2];
        let (header, data) = Header::parse(&bytes).unwrap();
        assert_eq!((header.src_port(), header.dst_port()), (12345, 53));
        assert_eq!((header.length(), header.checksum()), (10, 0xabcd));
        assert_eq!(data, [1, 2]);
        let field = [bytes[CHECKSUM_OFFSET], bytes[CHECKSUM_OFFSET + 1]];
        assert_eq!(header.checksum(), u16::from_be_bytes(field));
    }

    /// Covers: UDP-1.
    #[test]
    fn r61_lengths_that_cannot_be() {
        let parse = |length: u16, have: usize| {
            let mut bytes = vec![0; have];
            if let Some(field) = bytes.get_mut(4..6) {
                field.copy_from_slice(&length.to_be_bytes());
            }
            Header::parse(&bytes).map(|(_, data)| data.len())
        };
        for length in 0..8 {
            assert_eq!(parse(length, 20), Err(ParseError::Length { length }));
        }
        assert_eq!(parse(8, 8), Ok(0));
        assert_eq!(parse(8, 20), Ok(0));
        assert_eq!(parse(20, 20), Ok(12));
        let error = ParseError::Truncated { need: 21, have: 20 };
        assert_eq!(parse(21, 20), Err(error));
        for have in 0..8 {
            let error = ParseError::Truncated { need: 8, have };
            assert_eq!(parse(8, have), Err(error));
        }
    }

    /// Covers: UDP-2.
    #[test]
    fn a_zero_checksum_is_sent_as_all_ones() {
        assert_eq!(checksum_field(Sum::new().word(0xffff)), 0xffff);
        assert_eq!(checksum_field(Sum::new().word(1)), 0xfffe);
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_to_the_same(
            src_port: u16, dst_port: u16, data in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let fields = Fields { src_port, dst_port };
            let mut bytes = vec![0; HEADER_LEN];
            prop_assert_eq!(fields.emit(data.len(), &mut bytes), HEADER_LEN);
            bytes.extend_from_slice(&data);
            bytes.push(99);
            let (header, rest) = Header::parse(&bytes).unwrap();
            prop_assert_eq!(header.fields(), fields);
            prop_assert_eq!(header.checksum(), 0);
            prop_assert_eq!(rest, data);
        }

        #[test]
        fn any_bytes_parse_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            let _ = Header::parse(&bytes);
            let _ = Header::parse_quoted(&bytes);
        }
    }
}
