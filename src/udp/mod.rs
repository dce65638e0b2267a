//! UDP: the wire format of datagrams.
//!
//! RFC 768, RFC 8200 §8.1 (over IPv6).

mod header;

pub(crate) use header::CHECKSUM_OFFSET;
pub use header::{Fields, HEADER_LEN, Header, ParseError, checksum_field};
