//! ARP: which link address has this IPv4 address.
//!
//! RFC 826, RFC 5227 (conflict detection). *Owns* the packet. *Does not* keep a table: `stack` does.

mod packet;

pub use packet::{Operation, PACKET_LEN, Packet, ParseError};
