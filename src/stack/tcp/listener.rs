//! What a listener is asked, and told of its room.
//!
//! *Owns* these calls. *Does not* take segments: `listen` does.

use core::net::SocketAddr;

use crate::stack::ids::{ListenerId, StaleId};
use crate::stack::{Call, Stack};

impl Stack {
    /// The endpoint a listener listens on, its port filled in.
    ///
    /// # Errors
    /// [`StaleId`] when the listener was closed.
    pub fn tcp_listener_addr(&self, id: ListenerId) -> Result<SocketAddr, StaleId> {
        self.tcp
            .listeners
            .get(id)
            .map(|listener| listener.local)
            .ok_or(StaleId)
    }

    /// Connections that wait to be accepted.
    ///
    /// # Errors
    /// [`StaleId`] when the listener was closed.
    pub fn tcp_listener_waiting(&self, id: ListenerId) -> Result<usize, StaleId> {
        self.tcp
            .listeners
            .get(id)
            .map(|listener| listener.complete.len())
            .ok_or(StaleId)
    }

    /// Says how many complete connections may wait in the stack, at most the backlog: for a user
    /// with a queue of his own in front, whose room is the backlog's. No room is a full backlog.
    ///
    /// # Errors
    /// [`StaleId`] when the listener was closed.
    pub fn tcp_listener_room(&mut self, id: ListenerId, room: usize) -> Result<(), StaleId> {
        self.note_call(None, |_| Call::TcpListenerRoom(id, room));
        let listener = self.tcp.listeners.get_mut(id).ok_or(StaleId);
        let set = listener.map(|listener| listener.room = room.min(listener.backlog));
        self.note_outcome(set)
    }
}
