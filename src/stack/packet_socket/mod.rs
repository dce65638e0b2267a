//! Packet sockets: whole link frames of one interface in and out, beside what the stack itself does with them.
//!
//! packet(7) of Linux, typed; IEEE 802.3 §3.2, 802.1Q §9.6. *Owns* the sockets and their queues. *Does not* read what frames carry: what a
//! socket hears the stack heeds as if nobody listened, but for the word that it knows no such type.
//! Invariants: a frame costs one test while no socket is open, and a step for each socket, of which there are [`MOST`] at most, otherwise;
//! what waits is bounded for each socket, and charged to the memory of all.
//!
//! | file | owns |
//! |---|---|
//! | `socket` | the settings of a socket, its queue, and the errors of opening one |
//! | `calls` | the user's calls |
//! | `deliver` | who hears a frame |

mod calls;
mod deliver;
mod socket;

pub(super) use deliver::Came;
pub use socket::{LinkPacket, PacketError, PacketOptions};

use super::ids::{PacketSocketId, Slab};
use socket::PacketSocket;

/// *Fixed*: packet sockets of a stack, so that one frame is no more copies than that.
pub(super) const MOST: usize = 16;

/// All packet sockets of a stack.
#[derive(Debug)]
pub(super) struct PacketSockets {
    sockets: Slab<PacketSocketId, PacketSocket>,
}

impl PacketSockets {
    pub(super) fn new() -> Self {
        let sockets = Slab::new();
        Self { sockets }
    }

    /// Does nobody listen?
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.len() == 0
    }
}
