//! Which UDP sockets have lost their address.
//!
//! RFC 1122 §3.3.4.2. *Owns* what a socket stands and falls with: the address that it is bound to, or that it is connected from.
//! *Does not* close anything: the address may come back, and the user decides.

use super::socket::UdpSocket;
use crate::stack::Stack;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::UdpId;
use crate::stack::net::Net;

impl UdpSocket {
    /// Is the address that it sends from ours no more?
    pub(super) fn has_lost_address(&self, net: &Net) -> bool {
        let from = self.connected.filter(|_| self.source().is_unspecified());
        match from {
            Some(flow) => !net.takes(flow.local.ip, flow.scope()),
            None => net.has_lost_local(self.local),
        }
    }
}

impl Stack {
    /// Memberships on interfaces that were taken away are over.
    fn leave_removed(&mut self, id: UdpId) {
        let interfaces = &self.net.interfaces;
        if let Some(socket) = self.udp.get_mut(id) {
            let groups = &mut socket.groups;
            groups.retain(|(on, _)| !interfaces.is_removed(on.index()));
        }
    }

    /// Was the address that a socket is bound to, or is connected from, taken away?
    pub fn udp_has_lost_address(&self, id: UdpId) -> bool {
        let socket = self.udp.get(id);
        socket.is_some_and(|socket| socket.has_lost_address(&self.net))
    }

    /// Looks at one slot; `false` beyond the last. Whoever waits there is told to ask.
    pub(in crate::stack) fn udp_sweep(&mut self, index: usize) -> bool {
        let slot = u32::try_from(index).unwrap_or(u32::MAX);
        if let Some((id, _)) = self.udp.at(slot) {
            self.leave_removed(id);
        }
        if let Some((id, socket)) = self.udp.at(slot)
            && socket.has_lost_address(&self.net)
        {
            let told = Readiness::READABLE | Readiness::WRITABLE;
            self.events.raise(SocketId::Udp(id), told);
        }
        index < self.udp.places()
    }
}
