//! Raw IP sockets: whole payloads of one protocol in and out, beside what the stack itself does with it.
//!
//! raw(7) of Linux, typed; RFC 3542 §3 (checksums, filters). *Owns* the sockets and their queues. *Does not* read transports: what a socket
//! hears the stack heeds as if nobody listened, but for the word that nobody speaks its protocol.
//! Invariants: a packet costs one test while no socket is open, and one look-up and a step for each socket of its protocol, of which there are
//! [`MOST`] at most, otherwise; what waits is bounded for each socket, and charged to the memory of all.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the settings of a socket |
//! | `socket` | a socket, its queue, and the errors of opening one |
//! | `calls` | the user's calls |
//! | `whole` | packets that bring their own IP header |
//! | `deliver` | who hears a packet, and errors about one |

mod calls;
mod deliver;
mod options;
mod socket;
mod whole;

pub use options::{IcmpFilter, RawOptions};
pub use socket::{RawError, RawPacket};

use std::collections::BTreeMap;

use super::ids::{RawSocketId, Slab};
use crate::base::Protocol;
use socket::RawSocket;

/// *Fixed*: raw sockets of a stack, so that one packet is no more copies than that.
pub(super) const MOST: usize = 64;

/// All raw sockets of a stack.
#[derive(Debug)]
pub(super) struct Raws {
    sockets: Slab<RawSocketId, RawSocket>,
    /// Who hears a protocol, by version (is it IPv6?) and number, in the order of their opening.
    heard: BTreeMap<(bool, u8), Vec<RawSocketId>>,
}

impl Raws {
    pub(super) fn new() -> Self {
        Self {
            sockets: Slab::new(),
            heard: BTreeMap::new(),
        }
    }

    /// May a socket hear packets of this protocol?
    #[inline]
    pub(super) fn hears(&self, v6: bool, protocol: Protocol) -> bool {
        !self.heard.is_empty() && self.heard.contains_key(&(v6, protocol.0))
    }
}
