//! TCP: the wire format of segments and their options.
//!
//! RFC 9293, RFC 7323 (window scale, timestamps), RFC 2018 (SACK), RFC 7413 (fast open).

mod header;
mod options;

pub(crate) use header::CHECKSUM_OFFSET;
pub use header::{Fields, Flags, Header, ParseError};
pub use options::{OptionIter, Options, SackBlocks, SackIter, TcpOption};
