//! From a request to the connection that a listener hands out.
//!
//! *Owns* what such a connection is made with. *Does not* judge requests: `listen`, `cookie` and `fast_open` do.

use std::sync::Arc;

use super::{HalfOpenSlot, default_mss, path_mss};
use crate::base::{DropReason, Instant};
use crate::stack::Stack;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::{ListenerId, TcpId};
use crate::stack::packet::Flow;
use crate::tcp::{Connection, Segment, Setup, TcpOptions};

impl Stack {
    /// Makes the connection that was asked for, queues it for its user, and gives it the segment.
    pub(super) fn establish(
        &mut self,
        now: Instant,
        half: HalfOpenSlot,
        flow: Flow,
        options: Arc<TcpOptions>,
        seg: &Segment,
    ) -> Result<(), DropReason> {
        let on = half.on;
        let path = self.net.path(on, flow);
        let setup = self.setup_of(&half, &flow, options);
        let opening = &half.record.opening;
        let connection = Box::new(Connection::accept(now, setup, path_mss(&path), opening));
        let id = self.enter(connection, path);
        self.hand_out(half.listener, id);
        // It was asked how far it came.
        self.on_connection(now, id, (on, u8::MAX), seg)
    }

    /// What the connection is made with that was asked for.
    pub(super) fn setup_of(
        &self,
        half: &HalfOpenSlot,
        flow: &Flow,
        options: Arc<TcpOptions>,
    ) -> Setup {
        Setup {
            local_port: half.tuple.local.port,
            remote_port: half.tuple.remote.port,
            iss: half.record.iss,
            ts_offset: half.record.ts_offset,
            link_mss: self.net.link_mss(half.on, flow.src),
            peer_mss: default_mss(flow.src),
            steps: self.net.mss_steps(flow.src),
            options,
        }
    }

    /// A connection waits for the listener's user from now on.
    pub(super) fn hand_out(&mut self, listener_id: ListenerId, id: TcpId) {
        self.net.counters.tcp_accepted += 1;
        if let Some(listener) = self.tcp.listeners.get_mut(listener_id) {
            listener.complete.push_back(id);
            if listener.on.is_some()
                && let Some(slot) = self.tcp.slots.get_mut(id)
            {
                slot.held = true;
            }
        }
        self.events
            .raise(SocketId::Listener(listener_id), Readiness::ACCEPTABLE);
    }
}
