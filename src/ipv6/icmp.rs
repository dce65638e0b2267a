//! ICMPv6 messages.
//!
//! RFC 4443, §2.3 with it (checksums); RFC 4861 §4 through `ndp`. *Owns* the messages. *Does not* decide what
//! is answered or believed: `stack` does. Invariant: [`Message::parse`] is total.
//!
//! ```text
//! | type, 1 | code, 1 | checksum, 2 | four bytes by type | data, or the packet that an error quotes |
//! ```

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::{Header, pseudo_sum};
use super::ndp;
use crate::base::Protocol;
use crate::base::checksum::Sum;

/// Bytes of every message but NDP's before its data.
pub const HEADER_LEN: usize = size_of::<Wire>();
/// The most bytes that a message takes before its data or options: a redirect's.
pub const MAX_HEADER_LEN: usize = 40;

/// Bytes of type, code and checksum.
const COMMON_LEN: usize = 4;
const CHECKSUM_OFFSET: usize = 2;

/// Message types, IANA "ICMPv6 'type' Numbers".
mod kind {
    pub(super) const UNREACHABLE: u8 = 1;
    pub(super) const TOO_BIG: u8 = 2;
    pub(super) const TIME_EXCEEDED: u8 = 3;
    pub(super) const PARAMETER_PROBLEM: u8 = 4;
    pub(super) const ECHO_REQUEST: u8 = 128;
    pub(super) const ECHO_REPLY: u8 = 129;
}

/// RFC 4443 §2.1 with the four bytes that most messages have behind it.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    kind: u8,
    code: u8,
    checksum: U16,
    rest: [u8; 4],
}

/// Why a destination is unreachable, RFC 4443 §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnreachableCode(pub u8);

impl UnreachableCode {
    /// No route to destination.
    pub const NO_ROUTE: Self = Self(0);
    /// Communication administratively prohibited.
    pub const PROHIBITED: Self = Self(1);
    /// Beyond scope of source address.
    pub const BEYOND_SCOPE: Self = Self(2);
    /// Address unreachable.
    pub const ADDRESS: Self = Self(3);
    /// Port unreachable.
    pub const PORT: Self = Self(4);
    /// Source address failed ingress or egress policy.
    pub const POLICY: Self = Self(5);
    /// Reject route to destination.
    pub const REJECT_ROUTE: Self = Self(6);
}

/// Which time was exceeded, RFC 4443 §3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeExceededCode(pub u8);

impl TimeExceededCode {
    /// The hop limit, on the way.
    pub const HOP_LIMIT: Self = Self(0);
    /// The time for reassembly, at the receiver.
    pub const REASSEMBLY: Self = Self(1);
}

/// Why bytes are not an ICMPv6 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The message ends before its fixed part.
    #[error("icmpv6 message needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that the fixed part takes.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// An NDP message whose code is not 0 (RFC 4861 §6.1, §7.1, §8.1).
    #[error("ndp message of type {kind} has code {code}")]
    NdpCode {
        /// The Type field.
        kind: u8,
        /// The Code field.
        code: u8,
    },
    /// The checksum is wrong.
    #[error("icmpv6 checksum 0x{found:04x} is wrong")]
    Checksum {
        /// The Checksum field.
        found: u16,
    },
}

/// An ICMPv6 message. `quoted` is the packet that caused an error, from its IPv6 header on, cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Type 1.
    DestinationUnreachable {
        /// Why.
        code: UnreachableCode,
        /// The packet that could not be delivered.
        quoted: &'a [u8],
    },
    /// Type 2.
    PacketTooBig {
        /// The MTU of the next hop.
        mtu: u32,
        /// The packet that was too big.
        quoted: &'a [u8],
    },
    /// Type 3.
    TimeExceeded {
        /// Which time.
        code: TimeExceededCode,
        /// The packet that was discarded.
        quoted: &'a [u8],
    },
    /// Type 4.
    ParameterProblem {
        /// One of [`extension::code`](super::extension::code).
        code: u8,
        /// The octet of the quoted packet that is wrong.
        pointer: u32,
        /// The packet that was discarded.
        quoted: &'a [u8],
    },
    /// Type 128.
    EchoRequest {
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// What is to be returned.
        data: &'a [u8],
    },
    /// Type 129.
    EchoReply {
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// What was returned.
        data: &'a [u8],
    },
    /// Types 133 to 137. [`ndp::Message::check`] is still to be asked.
    Ndp(ndp::Message<'a>),
    /// Any other type.
    Unknown {
        /// The Type field.
        kind: u8,
        /// The Code field.
        code: u8,
        /// The four bytes behind the checksum.
        rest: [u8; 4],
        /// What follows.
        body: &'a [u8],
    },
}

impl<'a> Message<'a> {
    /// Reads a message that came from `src` to `dst` and verifies its checksum.
    ///
    /// # Errors
    /// [`ParseError`] when it is cut, an NDP message with a code, or its checksum is wrong.
    pub fn parse(bytes: &'a [u8], src: Ipv6Addr, dst: Ipv6Addr) -> Result<Self, ParseError> {
        let message = Self::parse_unverified(bytes)?;
        let sum = pseudo_sum(src, dst, Protocol::ICMPV6, bytes.len()).bytes(bytes);
        if sum.is_valid() {
            Ok(message)
        } else {
            let found = bytes
                .get(2..4)
                .map_or(0, |f| u16::from_be_bytes([f[0], f[1]]));
            Err(ParseError::Checksum { found })
        }
    }

    /// The same without looking at the checksum, for a message that may be cut.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] and [`ParseError::NdpCode`].
    pub fn parse_unverified(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let truncated = |need| ParseError::Truncated {
            need,
            have: bytes.len(),
        };
        let (wire, body) = Wire::ref_from_prefix(bytes).map_err(|_| truncated(HEADER_LEN))?;
        let (kind, code, quoted) = (wire.kind, wire.code, body);
        let [a, b, c, d] = wire.rest;
        let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        if let Some(need) = ndp::fixed_len(kind) {
            if code != 0 {
                return Err(ParseError::NdpCode { kind, code });
            }
            return ndp::Message::parse_body(kind, &bytes[COMMON_LEN..])
                .map(Self::Ndp)
                .ok_or_else(|| truncated(COMMON_LEN + need));
        }
        Ok(match (kind, code) {
            (kind::UNREACHABLE, _) => Self::DestinationUnreachable {
                code: UnreachableCode(code),
                quoted,
            },
            (kind::TOO_BIG, _) => Self::PacketTooBig {
                mtu: u32::from_be_bytes(wire.rest),
                quoted,
            },
            (kind::TIME_EXCEEDED, _) => Self::TimeExceeded {
                code: TimeExceededCode(code),
                quoted,
            },
            (kind::PARAMETER_PROBLEM, _) => Self::ParameterProblem {
                code,
                pointer: u32::from_be_bytes(wire.rest),
                quoted,
            },
            (kind::ECHO_REQUEST, 0) => Self::EchoRequest {
                id,
                seq,
                data: body,
            },
            (kind::ECHO_REPLY, 0) => Self::EchoReply {
                id,
                seq,
                data: body,
            },
            (kind, code) => Self::Unknown {
                kind,
                code,
                rest: wire.rest,
                body,
            },
        })
    }

    /// Is it an error or a redirect, about which no error may be sent (RFC 4443 §2.4 (e))?
    pub fn is_error(&self) -> bool {
        match self {
            Self::EchoRequest { .. } | Self::EchoReply { .. } => false,
            Self::Ndp(message) => matches!(message, ndp::Message::Redirect { .. }),
            // RFC 4443 §2.1: the high bit tells informational messages.
            Self::Unknown { kind, .. } => kind & 0x80 == 0,
            _ => true,
        }
    }

    /// The answer to an echo request, whatever its code (RFC 4443 §4.2: every node has a responder). The code
    /// goes back with the rest, as Linux has it.
    pub(crate) fn echo_reply(&self) -> Option<Self> {
        match *self {
            Self::EchoRequest { id, seq, data } => Some(Self::EchoReply { id, seq, data }),
            Self::Unknown {
                kind: kind::ECHO_REQUEST,
                code,
                rest,
                body,
            } => Some(Self::Unknown {
                kind: kind::ECHO_REPLY,
                code,
                rest,
                body,
            }),
            _ => None,
        }
    }

    /// The header and the first bytes of the packet that an error quotes; these begin with the
    /// extension headers.
    pub fn quoted(&self) -> Option<(Header<'a>, &'a [u8])> {
        match *self {
            Self::DestinationUnreachable { quoted, .. }
            | Self::PacketTooBig { quoted, .. }
            | Self::TimeExceeded { quoted, .. }
            | Self::ParameterProblem { quoted, .. } => Header::parse_quoted(quoted).ok(),
            _ => None,
        }
    }

    /// What follows the fixed part: data, the quoted packet, or NDP's options.
    pub fn body(&self) -> &'a [u8] {
        match *self {
            Self::EchoRequest { data, .. } | Self::EchoReply { data, .. } => data,
            Self::DestinationUnreachable { quoted, .. }
            | Self::PacketTooBig { quoted, .. }
            | Self::TimeExceeded { quoted, .. }
            | Self::ParameterProblem { quoted, .. } => quoted,
            Self::Ndp(message) => message.options().as_bytes(),
            Self::Unknown { body, .. } => body,
        }
    }

    /// Bytes of the fixed part.
    pub fn header_len(&self) -> usize {
        match self {
            Self::Ndp(message) => COMMON_LEN + message.fixed_len(),
            _ => HEADER_LEN,
        }
    }

    /// Bytes of the message.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        self.header_len() + self.body().len()
    }

    /// Writes the fixed part of a message from `src` to `dst`, with the checksum over all of it, so
    /// that the body can be sent from where it lies; returns [`header_len`](Self::header_len).
    ///
    /// # Panics
    /// When `buf` is shorter than that.
    pub fn emit_header(&self, src: Ipv6Addr, dst: Ipv6Addr, buf: &mut [u8]) -> usize {
        let buf = &mut buf[..self.header_len()];
        let (kind, code, rest) = match *self {
            Self::Ndp(message) => {
                message.emit_fixed(&mut buf[COMMON_LEN..]);
                (message.kind(), 0, None)
            }
            Self::DestinationUnreachable { code, .. } => (kind::UNREACHABLE, code.0, Some([0; 4])),
            Self::PacketTooBig { mtu, .. } => (kind::TOO_BIG, 0, Some(mtu.to_be_bytes())),
            Self::TimeExceeded { code, .. } => (kind::TIME_EXCEEDED, code.0, Some([0; 4])),
            Self::ParameterProblem { code, pointer, .. } => {
                (kind::PARAMETER_PROBLEM, code, Some(pointer.to_be_bytes()))
            }
            Self::EchoRequest { id, seq, .. } => (kind::ECHO_REQUEST, 0, Some(words(id, seq))),
            Self::EchoReply { id, seq, .. } => (kind::ECHO_REPLY, 0, Some(words(id, seq))),
            Self::Unknown {
                kind, code, rest, ..
            } => (kind, code, Some(rest)),
        };
        buf[..COMMON_LEN].copy_from_slice(&[kind, code, 0, 0]);
        if let Some(rest) = rest {
            buf[COMMON_LEN..].copy_from_slice(&rest);
        }
        let checksum = self.sum(src, dst).bytes(buf).bytes(self.body()).finish();
        buf[CHECKSUM_OFFSET..COMMON_LEN].copy_from_slice(&checksum.to_be_bytes());
        buf.len()
    }

    /// Writes a message from `src` to `dst`, checksum included; returns how many bytes it took.
    ///
    /// # Panics
    /// When `buf` is shorter than [`len`](Self::len).
    pub fn emit(&self, src: Ipv6Addr, dst: Ipv6Addr, buf: &mut [u8]) -> usize {
        let at = self.emit_header(src, dst, buf);
        buf[at..self.len()].copy_from_slice(self.body());
        self.len()
    }

    fn sum(&self, src: Ipv6Addr, dst: Ipv6Addr) -> Sum {
        pseudo_sum(src, dst, Protocol::ICMPV6, self.len())
    }
}

fn words(high: u16, low: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

    /// Covers: IC6-1.
    #[test]
    fn r61_short_and_corrupt_messages() {
        let request = Message::EchoRequest {
            id: 1,
            seq: 2,
            data: b"abc",
        };
        let mut bytes = [0; 11];
        assert_eq!(request.emit(A, B, &mut bytes), 11);
        assert_eq!(Message::parse(&bytes, A, B), Ok(request));
        for have in 0..8 {
            let error = ParseError::Truncated { need: 8, have };
            assert_eq!(Message::parse(&bytes[..have], A, B), Err(error));
        }
        let found = u16::from_be_bytes([bytes[2], bytes[3]]);
        let error = Err(ParseError::Checksum { found });
        let other = Ipv6Addr::LOCALHOST;
        assert_eq!(
            Message::parse(&bytes, A, other),
            error,
            "the pseudo-header counts"
        );
        bytes[9] ^= 0x40;
        assert_eq!(Message::parse(&bytes, A, B), error);
    }

    /// Covers: NDP-1 (code 0, minimum length).
    #[test]
    fn r61_ndp_messages_with_a_code_or_cut() {
        for (kind, need) in [(133, 8), (134, 16), (135, 24), (136, 24), (137, 40)] {
            let mut bytes = vec![0; need];
            bytes[0] = kind;
            let parsed = Message::parse_unverified(&bytes);
            assert!(matches!(parsed, Ok(Message::Ndp(_))), "{kind}");
            let have = need - 1;
            let error = ParseError::Truncated { need, have };
            assert_eq!(Message::parse_unverified(&bytes[..have]), Err(error));
            bytes[1] = 1;
            let error = ParseError::NdpCode { kind, code: 1 };
            assert_eq!(Message::parse_unverified(&bytes), Err(error));
        }
    }

    /// Covers: IC6-5.
    #[test]
    fn errors_are_told_from_the_rest() {
        for (kind, is_error) in [
            (1, true),
            (2, true),
            (3, true),
            (4, true),
            (99, true),
            (127, true),
            (128, false),
            (129, false),
            (133, false),
            (135, false),
            (137, true),
            (200, false),
        ] {
            let mut bytes = [0; 40];
            bytes[0] = kind;
            let message = Message::parse_unverified(&bytes).unwrap();
            assert_eq!(message.is_error(), is_error, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_to_the_same(
            which in 0usize..7, code: u8, id: u16, seq: u16, number: u32, rest: [u8; 4],
            data in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let (data, quoted, body) = (&data[..], &data[..], &data[..]);
            let message = [
                Message::EchoRequest { id, seq, data },
                Message::EchoReply { id, seq, data },
                Message::DestinationUnreachable { code: UnreachableCode(code), quoted },
                Message::PacketTooBig { mtu: number, quoted },
                Message::TimeExceeded { code: TimeExceededCode(code), quoted },
                Message::ParameterProblem { code, pointer: number, quoted },
                Message::Unknown { kind: 200, code, rest, body },
            ][which];
            let mut bytes = vec![0xff; message.len()];
            prop_assert_eq!(message.emit(A, B, &mut bytes), message.len());
            prop_assert_eq!(Message::parse(&bytes, A, B), Ok(message));
        }

        #[test]
        fn any_bytes_parse_or_fail(
            mut bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 128u8..140, likely: bool,
        ) {
            if let (true, Some(start)) = (likely, bytes.get_mut(..2)) {
                start.copy_from_slice(&[kind, 0]);
            }
            let _ = Message::parse(&bytes, A, B);
            if let Ok(message) = Message::parse_unverified(&bytes) {
                let _ = message.quoted();
                prop_assert_eq!(message.len(), bytes.len());
            }
        }
    }
}
