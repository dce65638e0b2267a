//! What waits until an entry is resolved.
//!
//! *Owns* the packets and the names of the sockets; one for each unresolved entry at most. *Does not*
//! bound them: the table does.

use std::collections::{BTreeSet, VecDeque};

use crate::stack::packet::{OwnedPacket, Waiter};

#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) queue: VecDeque<OwnedPacket>,
    pub(super) sockets: BTreeSet<Waiter>,
}

impl Waiting {
    /// Payload bytes that wait.
    pub(super) fn payload_bytes(&self) -> usize {
        self.queue.iter().map(|packet| packet.payload.len()).sum()
    }
}
