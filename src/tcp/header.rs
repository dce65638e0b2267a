//! The TCP header on the wire.
//!
//! RFC 9293 §3.1; RFC 3168 §6.1 (ECE, CWR); RFC 9768 (AE). *Owns* the fixed header and the data
//! offset. *Does not* read options (`options.rs`) nor know any pseudo-header: the caller verifies
//! and completes the checksum. Invariant: [`Header::parse`] is total.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          Source Port          |       Destination Port        |
//! |                        Sequence Number                        |
//! |                    Acknowledgment Number                      |
//! | Offset|Rsv|A|C|E|U|A|P|R|S|F  |            Window             |
//! |           Checksum            |         Urgent Pointer        |
//! |                    Options, 0 to 40 bytes                     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::options::{OptionIter, Options};

/// Bytes of the header without options.
pub(super) const MIN_LEN: usize = size_of::<Wire>();

/// Where the checksum field lies, from the start of the header.
pub(crate) const CHECKSUM_OFFSET: usize = 16;

bitflags::bitflags! {
    /// The control bits, RFC 9293 §3.1, with AE of RFC 9768 §2. Reserved bits are retained.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Flags: u16 {
        /// No more data from the sender.
        const FIN = 0x001;
        /// Synchronize sequence numbers.
        const SYN = 0x002;
        /// Reset the connection.
        const RST = 0x004;
        /// Push.
        const PSH = 0x008;
        /// The acknowledgment number counts.
        const ACK = 0x010;
        /// The urgent pointer counts.
        const URG = 0x020;
        /// ECN echo, RFC 3168 §6.1.
        const ECE = 0x040;
        /// Congestion window reduced, RFC 3168 §6.1.
        const CWR = 0x080;
        /// Accurate ECN, once NS, RFC 9768 §2.
        const AE = 0x100;
    }
}

/// RFC 9293 §3.1, network order, no padding.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    src_port: U16,
    dst_port: U16,
    seq: U32,
    ack: U32,
    offset_flags: U16,
    window: U16,
    checksum: U16,
    urgent: U16,
}

/// Why bytes are not a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The segment ends before the header, or before the options that the data offset announces.
    #[error("tcp header needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that the header takes.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The data offset is smaller than the fixed header.
    #[error("tcp data offset {words} words is below 5")]
    DataOffset {
        /// The data offset, in words of 32 bits.
        words: u8,
    },
}

/// A view of a TCP header and its options.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    wire: &'a Wire,
    options: &'a [u8],
}

impl<'a> Header<'a> {
    /// Splits a segment into its header and its text. The checksum is not looked at.
    ///
    /// # Errors
    /// [`ParseError`] when the header is cut or its data offset cannot be.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let truncated = |need| ParseError::Truncated {
            need,
            have: bytes.len(),
        };
        let (wire, rest) = Wire::ref_from_prefix(bytes).map_err(|_| truncated(MIN_LEN))?;
        let words = wire.offset_flags.to_bytes()[0] >> 4;
        let options_len = (usize::from(words) * 4)
            .checked_sub(MIN_LEN)
            .ok_or(ParseError::DataOffset { words })?;
        let (options, text) = rest
            .split_at_checked(options_len)
            .ok_or_else(|| truncated(MIN_LEN + options_len))?;
        Ok((Self { wire, options }, text))
    }

    /// The sender's port.
    pub fn src_port(&self) -> u16 {
        self.wire.src_port.get()
    }

    /// The receiver's port.
    pub fn dst_port(&self) -> u16 {
        self.wire.dst_port.get()
    }

    /// SEG.SEQ: the number of the first octet of text, or of the SYN.
    pub fn seq(&self) -> u32 {
        self.wire.seq.get()
    }

    /// SEG.ACK; it counts only with [`Flags::ACK`].
    pub fn ack(&self) -> u32 {
        self.wire.ack.get()
    }

    /// The control bits, reserved ones included.
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.wire.offset_flags.get() & 0x0fff)
    }

    /// The window as written: not yet scaled (RFC 7323 §2.2).
    pub fn window(&self) -> u16 {
        self.wire.window.get()
    }

    /// The checksum as written.
    pub fn checksum(&self) -> u16 {
        self.wire.checksum.get()
    }

    /// The urgent pointer; it counts only with [`Flags::URG`].
    pub fn urgent(&self) -> u16 {
        self.wire.urgent.get()
    }

    /// Bytes of the header, options included: 20 to 60.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        MIN_LEN + self.options.len()
    }

    /// The bytes between the fixed header and the text.
    pub fn options_bytes(&self) -> &'a [u8] {
        self.options
    }

    /// The options, one by one.
    pub fn options(&self) -> OptionIter<'a> {
        OptionIter::new(self.options)
    }

    /// The same header as a value that can be changed and emitted.
    #[inline]
    pub fn fields(&self) -> Fields {
        Fields {
            src_port: self.src_port(),
            dst_port: self.dst_port(),
            seq: self.seq(),
            ack: self.ack(),
            flags: self.flags(),
            window: self.window(),
            urgent: self.urgent(),
        }
    }
}

impl core::fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Header")
            .field("fields", &self.fields())
            .field("checksum", &self.checksum())
            .field("options", &self.options)
            .finish()
    }
}

/// What a TCP header says, checksum and data offset apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fields {
    /// The sender's port.
    pub src_port: u16,
    /// The receiver's port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK.
    pub ack: u32,
    /// The control bits; bits above the twelve of the header are not written.
    pub flags: Flags,
    /// The window as it goes on the wire, scaled already.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
}

impl Fields {
    /// Writes the header and its options with a checksum of zero; returns how many bytes it took.
    ///
    /// # Panics
    /// When `buf` is shorter than 20 bytes plus [`Options::len`].
    pub fn emit(&self, options: &Options, buf: &mut [u8]) -> usize {
        let (head, rest) = buf.split_at_mut(MIN_LEN);
        let len = MIN_LEN + options.emit(rest);
        let words = u16::try_from(len / 4).unwrap_or(0xf);
        let wire = Wire {
            src_port: self.src_port.into(),
            dst_port: self.dst_port.into(),
            seq: self.seq.into(),
            ack: self.ack.into(),
            offset_flags: (words << 12 | self.flags.bits() & 0x0fff).into(),
            window: self.window.into(),
            checksum: 0.into(),
            urgent: self.urgent.into(),
        };
        head.copy_from_slice(wire.as_bytes());
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SYN: [u8; 24] = [
        0x30, 0x39, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 2, 0x61, 0xc2, 0xfa, 0xf0, 0xab, 0xcd, 0, 7,
        2, 4, 0x05, 0xb4,
    ];

    #[test]
    fn every_field_of_a_known_header() {
        let bytes = [&SYN[..], b"text"].concat();
        let (header, text) = Header::parse(&bytes).unwrap();
        assert_eq!(text, b"text");
        assert_eq!((header.src_port(), header.dst_port()), (12345, 80));
        assert_eq!((header.seq(), header.ack()), (1, 2));
        let flags = Flags::SYN | Flags::ECE | Flags::CWR | Flags::AE;
        assert_eq!(header.flags(), flags);
        assert_eq!((header.window(), header.checksum()), (64240, 0xabcd));
        assert_eq!((header.urgent(), header.len()), (7, 24));
        assert_eq!(header.options_bytes(), [2, 4, 0x05, 0xb4]);
    }

    /// r61: data offsets below the header and beyond the segment.
    #[test]
    fn r61_data_offsets_that_cannot_be() {
        let with_words = |words: u8| {
            let mut bytes = SYN;
            bytes[12] = words << 4 | 1;
            Header::parse(&bytes).map(|_| ()).err()
        };
        for words in 0..5 {
            assert_eq!(with_words(words), Some(ParseError::DataOffset { words }));
        }
        assert_eq!(with_words(5), None);
        assert_eq!(with_words(6), None);
        for words in 7..16 {
            let need = usize::from(words) * 4;
            let error = ParseError::Truncated { need, have: 24 };
            assert_eq!(with_words(words), Some(error));
        }
        for have in 0..20 {
            let error = Header::parse(&SYN[..have]).map(|_| ()).err();
            assert_eq!(error, Some(ParseError::Truncated { need: 20, have }));
        }
    }

    #[test]
    fn the_checksum_lies_at_its_offset() {
        let (header, _) = Header::parse(&SYN).unwrap();
        let field = [SYN[CHECKSUM_OFFSET], SYN[CHECKSUM_OFFSET + 1]];
        assert_eq!(header.checksum(), u16::from_be_bytes(field));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok((header, text)) = Header::parse(&bytes) {
                prop_assert_eq!(header.len() + text.len(), bytes.len());
                prop_assert!(header.options().count() <= 40);
            }
        }

        #[test]
        fn what_is_emitted_parses_to_the_same(
            ports: (u16, u16), numbers: (u32, u32), bits in 0u16..0x1000, rest: (u16, u16),
            mss: Option<u16>, timestamps: Option<(u32, u32)>,
        ) {
            let fields = Fields {
                src_port: ports.0, dst_port: ports.1, seq: numbers.0, ack: numbers.1,
                flags: Flags::from_bits_retain(bits), window: rest.0, urgent: rest.1,
            };
            let options = Options { mss, timestamps, ..Options::default() };
            let mut buf = [0xff; 64];
            let len = fields.emit(&options, &mut buf);
            let (header, text) = Header::parse(&buf).unwrap();
            prop_assert_eq!(header.len(), len);
            prop_assert_eq!(text.len(), 64 - len);
            prop_assert_eq!(header.fields(), fields);
            prop_assert_eq!(header.checksum(), 0);
            prop_assert_eq!(Options::parse(header.options_bytes()), options);
        }
    }
}
