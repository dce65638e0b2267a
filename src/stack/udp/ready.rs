//! What a UDP socket could do now, without doing it.
//!
//! *Owns* the answer. *Does not* arm events: [`Stack::poll_ready`] does.

use super::charges::charge;
use crate::stack::Stack;
use crate::stack::event::Readiness;
use crate::stack::ids::UdpId;

impl Stack {
    /// What it could do now; `None` of a socket that is gone.
    pub(in crate::stack) fn udp_ready(
        &mut self,
        id: UdpId,
        interest: Readiness,
    ) -> Option<Readiness> {
        let (socket, around) = self.udp_and_around(id).ok()?;
        let has_error = socket.error.is_some();
        let mut ready = Readiness::empty();
        let something = !socket.recv.is_empty() || socket.has_lost_address(around.net);
        ready.set(Readiness::READABLE, has_error || something);
        if interest.contains(Readiness::WRITABLE) {
            // As a send of one byte would find out.
            let memory = socket.send.is_empty() || !around.memory.is_full();
            let room = memory && socket.has_send_room(charge(1, None));
            socket.blocked |= !room;
            ready.set(Readiness::WRITABLE, has_error || !socket.blocked);
        }
        Some(ready)
    }
}
