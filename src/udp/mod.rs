//! UDP: the wire format of datagrams, and how large they may be.
//!
//! RFC 768, RFC 8200 §8.1 (over IPv6); a search for the largest datagram that a path carries (RFC 8899).

mod header;
mod path_search;

pub(crate) use header::CHECKSUM_OFFSET;
pub use header::{Fields, HEADER_LEN, Header, ParseError, checksum_field};
pub use path_search::{PathSearch, PathSearchConfig, PathSearchState};
