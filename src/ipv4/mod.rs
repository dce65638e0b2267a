//! IPv4: header, options, ICMP, IGMP.
//!
//! RFC 791, RFC 1122 §3, RFC 6864 (Identification), RFC 792 (ICMP), RFC 3376 (IGMP).

mod header;
pub mod icmp;
pub mod igmp;
mod options;

pub use header::{Fields, Header, MIN_HEADER_LEN, ParseError, pseudo_sum};
pub use options::{Ipv4Option, OptionIter, kind};
