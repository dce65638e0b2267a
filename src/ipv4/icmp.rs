//! ICMP messages.
//!
//! RFC 792; RFC 1191 §4 (next-hop MTU); RFC 1122 §3.2.2. *Owns* the messages. *Does not* decide
//! what is answered or believed: `stack` does. Invariant: [`Message::parse`] is total.
//!
//! ```text
//! | type, 1 | code, 1 | checksum, 2 | four bytes by type | data, or the packet that an error quotes |
//! ```

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::Header;
use crate::base::checksum::Sum;

/// Bytes of every message before its data.
pub const HEADER_LEN: usize = size_of::<Wire>();

/// Message types, IANA "ICMP Type Numbers".
mod kind {
    pub(super) const ECHO_REPLY: u8 = 0;
    pub(super) const UNREACHABLE: u8 = 3;
    pub(super) const REDIRECT: u8 = 5;
    pub(super) const ECHO_REQUEST: u8 = 8;
    pub(super) const TIME_EXCEEDED: u8 = 11;
    pub(super) const PARAMETER_PROBLEM: u8 = 12;
}

/// RFC 792, network order, no padding.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    kind: u8,
    code: u8,
    checksum: U16,
    rest: [u8; 4],
}

/// Why a destination is unreachable, RFC 792 and RFC 1122 §3.2.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnreachableCode(pub u8);

impl UnreachableCode {
    /// No route to its network.
    pub const NET: Self = Self(0);
    /// The host does not answer on its network.
    pub const HOST: Self = Self(1);
    /// The host does not speak the protocol.
    pub const PROTOCOL: Self = Self(2);
    /// Nobody takes the port.
    pub const PORT: Self = Self(3);
    /// Too big, and DF is set: RFC 1191 §4.
    pub const FRAGMENTATION_NEEDED: Self = Self(4);
    /// The source route failed.
    pub const SOURCE_ROUTE: Self = Self(5);
    /// Prohibited by an administrator: RFC 1812 §5.2.7.1.
    pub const PROHIBITED: Self = Self(13);
}

/// Which time was exceeded, RFC 792.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeExceededCode(pub u8);

impl TimeExceededCode {
    /// The time to live, on the way.
    pub const TRANSIT: Self = Self(0);
    /// The time for reassembly, at the receiver.
    pub const REASSEMBLY: Self = Self(1);
}

/// Why bytes are not an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The message ends before its header.
    #[error("icmp message needs {need} bytes, {have} available")]
    Truncated {
        /// Bytes that the header takes.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The checksum is wrong.
    #[error("icmp checksum 0x{found:04x} is wrong")]
    Checksum {
        /// The Checksum field.
        found: u16,
    },
}

/// An ICMP message. `quoted` is the packet that caused an error, from its IP header on, cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Type 8.
    EchoRequest {
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// What is to be returned.
        data: &'a [u8],
    },
    /// Type 0.
    EchoReply {
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// What was returned.
        data: &'a [u8],
    },
    /// Type 3.
    DestinationUnreachable {
        /// Why.
        code: UnreachableCode,
        /// With [`UnreachableCode::FRAGMENTATION_NEEDED`] the MTU of the next hop, 0 if unknown
        /// (RFC 1191 §4); else 0.
        next_hop_mtu: u16,
        /// The packet that could not be delivered.
        quoted: &'a [u8],
    },
    /// Type 5.
    Redirect {
        /// For a network or a host, RFC 792.
        code: u8,
        /// The better gateway.
        gateway: Ipv4Addr,
        /// The packet that was sent to the worse one.
        quoted: &'a [u8],
    },
    /// Type 11.
    TimeExceeded {
        /// Which time.
        code: TimeExceededCode,
        /// The packet that was discarded.
        quoted: &'a [u8],
    },
    /// Type 12.
    ParameterProblem {
        /// 0: the pointer tells; 1: an option is missing (RFC 1108); 2: bad length.
        code: u8,
        /// The octet of the quoted packet that is wrong.
        pointer: u8,
        /// The packet that was discarded.
        quoted: &'a [u8],
    },
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
    /// Reads a message and verifies its checksum.
    ///
    /// # Errors
    /// [`ParseError`] when it is cut or its checksum is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let message = Self::parse_unverified(bytes)?;
        if Sum::new().bytes(bytes).is_valid() {
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
    /// [`ParseError::Truncated`] when the header is cut.
    pub fn parse_unverified(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (wire, body) = Wire::ref_from_prefix(bytes).map_err(|_| ParseError::Truncated {
            need: HEADER_LEN,
            have: bytes.len(),
        })?;
        let (code, quoted) = (wire.code, body);
        let [a, b, c, d] = wire.rest;
        let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Ok(match (wire.kind, code) {
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
            (kind::UNREACHABLE, _) => {
                let code = UnreachableCode(code);
                // RFC 1191 §4 is about one code; elsewhere the field is unused, or RFC 4884's.
                let is_mtu = code == UnreachableCode::FRAGMENTATION_NEEDED;
                Self::DestinationUnreachable {
                    code,
                    next_hop_mtu: if is_mtu { seq } else { 0 },
                    quoted,
                }
            }
            (kind::REDIRECT, _) => Self::Redirect {
                code,
                gateway: wire.rest.into(),
                quoted,
            },
            (kind::TIME_EXCEEDED, _) => Self::TimeExceeded {
                code: TimeExceededCode(code),
                quoted,
            },
            (kind::PARAMETER_PROBLEM, _) => Self::ParameterProblem {
                code,
                pointer: a,
                quoted,
            },
            (kind, _) => Self::Unknown {
                kind,
                code,
                rest: wire.rest,
                body,
            },
        })
    }

    /// Is it an error, about which no error may be sent (RFC 1122 §3.2.2)? Redirects and the old
    /// source quench count as such.
    pub fn is_error(&self) -> bool {
        match self {
            Self::EchoRequest { .. } | Self::EchoReply { .. } => false,
            Self::Unknown { kind, .. } => *kind == 4,
            _ => true,
        }
    }

    /// The answer to an echo request, whatever its code: RFC 792 has the type changed, and nothing said of a
    /// request that is not answered (RFC 1122 §3.2.2.6). The code goes back with the rest, as Linux has it.
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

    /// The header and the first bytes of the packet that an error quotes.
    pub fn quoted(&self) -> Option<(Header<'a>, &'a [u8])> {
        match *self {
            Self::DestinationUnreachable { quoted, .. }
            | Self::Redirect { quoted, .. }
            | Self::TimeExceeded { quoted, .. }
            | Self::ParameterProblem { quoted, .. } => Header::parse_quoted(quoted).ok(),
            Self::EchoRequest { .. } | Self::EchoReply { .. } | Self::Unknown { .. } => None,
        }
    }

    /// What follows the eight bytes of the header.
    pub fn body(&self) -> &'a [u8] {
        match *self {
            Self::EchoRequest { data, .. } | Self::EchoReply { data, .. } => data,
            Self::DestinationUnreachable { quoted, .. }
            | Self::Redirect { quoted, .. }
            | Self::TimeExceeded { quoted, .. }
            | Self::ParameterProblem { quoted, .. } => quoted,
            Self::Unknown { body, .. } => body,
        }
    }

    /// Bytes of the message.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        HEADER_LEN + self.body().len()
    }

    /// Writes the eight bytes of the header with the checksum over header and body, so that the
    /// body can be sent from where it lies; returns [`HEADER_LEN`].
    ///
    /// # Panics
    /// When `buf` is shorter than that.
    pub fn emit_header(&self, buf: &mut [u8]) -> usize {
        let (kind, code, rest) = self.head();
        let mut wire = Wire {
            kind,
            code,
            checksum: 0.into(),
            rest,
        };
        let sum = Sum::new().bytes(wire.as_bytes()).bytes(self.body());
        wire.checksum = sum.finish().into();
        buf[..HEADER_LEN].copy_from_slice(wire.as_bytes());
        HEADER_LEN
    }

    /// Writes the message, checksum included; returns how many bytes it took.
    ///
    /// # Panics
    /// When `buf` is shorter than [`len`](Self::len).
    pub fn emit(&self, buf: &mut [u8]) -> usize {
        let at = self.emit_header(buf);
        buf[at..self.len()].copy_from_slice(self.body());
        self.len()
    }

    /// Type, code and the four bytes behind the checksum.
    fn head(&self) -> (u8, u8, [u8; 4]) {
        let words = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            [a, b, c, d]
        };
        match *self {
            Self::EchoRequest { id, seq, .. } => (kind::ECHO_REQUEST, 0, words(id, seq)),
            Self::EchoReply { id, seq, .. } => (kind::ECHO_REPLY, 0, words(id, seq)),
            Self::DestinationUnreachable {
                code, next_hop_mtu, ..
            } => (kind::UNREACHABLE, code.0, words(0, next_hop_mtu)),
            Self::Redirect { code, gateway, .. } => (kind::REDIRECT, code, gateway.octets()),
            Self::TimeExceeded { code, .. } => (kind::TIME_EXCEEDED, code.0, [0; 4]),
            Self::ParameterProblem { code, pointer, .. } => {
                (kind::PARAMETER_PROBLEM, code, [pointer, 0, 0, 0])
            }
            Self::Unknown {
                kind, code, rest, ..
            } => (kind, code, rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Protocol;
    use crate::ipv4::Fields;
    use proptest::prelude::*;

    /// Covers: IC4-1.
    #[test]
    fn r61_short_and_corrupt_messages() {
        let request = Message::EchoRequest {
            id: 1,
            seq: 2,
            data: b"abc",
        };
        let mut bytes = [0; 11];
        assert_eq!(request.emit(&mut bytes), 11);
        assert_eq!(bytes[..2], [8, 0]);
        assert_eq!(Message::parse(&bytes), Ok(request));
        for have in 0..8 {
            let error = ParseError::Truncated { need: 8, have };
            assert_eq!(Message::parse(&bytes[..have]), Err(error));
        }
        bytes[9] ^= 0x40;
        let found = u16::from_be_bytes([bytes[2], bytes[3]]);
        assert_eq!(Message::parse(&bytes), Err(ParseError::Checksum { found }));
        assert!(Message::parse_unverified(&bytes).is_ok());
    }

    /// Covers: IC4-3.
    #[test]
    fn an_error_quotes_the_packet() {
        let mut packet = [0; 28];
        Fields::new([1; 4].into(), [2; 4].into(), Protocol::UDP).emit(100, &mut packet);
        let error = Message::DestinationUnreachable {
            code: UnreachableCode::PORT,
            next_hop_mtu: 0,
            quoted: &packet,
        };
        assert!(error.is_error());
        let (header, payload) = error.quoted().unwrap();
        assert_eq!((header.total_len(), payload.len()), (120, 8));
        assert_eq!(header.dst(), Ipv4Addr::new(2, 2, 2, 2));
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_to_the_same(
            which in 0usize..7, code in prop_oneof![Just(4), any::<u8>()], id: u16, seq: u16, rest: [u8; 4],
            data in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let (data, quoted, body) = (&data[..], &data[..], &data[..]);
            let message = [
                Message::EchoRequest { id, seq, data },
                Message::EchoReply { id, seq, data },
                Message::DestinationUnreachable {
                    code: UnreachableCode(code),
                    next_hop_mtu: if code == 4 { seq } else { 0 },
                    quoted,
                },
                Message::Redirect { code, gateway: rest.into(), quoted },
                Message::TimeExceeded { code: TimeExceededCode(code), quoted },
                Message::ParameterProblem { code, pointer: rest[0], quoted },
                Message::Unknown { kind: 40, code, rest, body },
            ][which];
            let mut bytes = vec![0; message.len()];
            prop_assert_eq!(message.emit(&mut bytes), message.len());
            prop_assert_eq!(Message::parse(&bytes), Ok(message));
        }

        #[test]
        fn any_bytes_parse_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Message::parse(&bytes);
            if let Ok(message) = Message::parse_unverified(&bytes) {
                let _ = message.quoted();
                prop_assert_eq!(message.len(), bytes.len());
            }
        }
    }
}
