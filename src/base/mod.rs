//! Leaves that everything else stands on: time, checksums, addresses, drop reasons, keyed hashes,
//! reused buffers.
//!
//! Imports nothing of the crate.

mod arena;
pub mod checksum;
mod cidr;
mod digest;
mod drops;
mod keyed;
mod mac;
mod protocol;
pub mod records;
mod report;
mod time;
mod tokens;

pub use cidr::{Cidr, CidrError};
pub use drops::{DropCounters, DropReason};
pub use keyed::Seed;
pub use mac::{MacAddr, ParseMacError};
pub use protocol::Protocol;
pub use report::Report;
pub use time::Instant;

pub(crate) use arena::Arena;
pub(crate) use digest::Digest;
pub(crate) use keyed::{Key, KeyedState, Random};
pub(crate) use time::nanos;
pub(crate) use tokens::Tokens;
