//! What a socket could do now, without doing it; and those that an outbox refused.
//!
//! *Owns* [`Stack::poll_ready`], and who is told that an outbox has room. *Does not* take or send anything: each kind of socket
//! says for itself what it has.

use super::Stack;
use super::call::Call;
use super::event::{Readiness, SocketId};
use super::ids::InterfaceId;

impl Stack {
    /// Which of READABLE, WRITABLE and ACCEPTABLE in `interest` a call would not refuse with `WouldBlock` now. Those that it would
    /// are armed, as by that call, so that an event tells when they come true. The end of a stream, an error, and a socket that was
    /// closed are ready: the call says which. The other bits are told by events alone.
    ///
    /// A ping, raw or packet socket is writable unless an outbox has refused it and told it of no room since.
    pub fn poll_ready(&mut self, id: impl Into<SocketId>, interest: Readiness) -> Readiness {
        let id = id.into();
        self.note_call(None, |_| Call::PollReady(id, interest));
        let ready = self.look_whether_ready(id, interest);
        self.note_outcome(ready)
    }

    fn look_whether_ready(&mut self, id: SocketId, interest: Readiness) -> Readiness {
        let now = match id {
            SocketId::Tcp(id) => self.tcp_ready(id, interest),
            SocketId::Listener(id) => self.listener_ready(id),
            SocketId::Udp(id) => self.udp_ready(id, interest),
            SocketId::Ping(id) => self.ping_ready(id),
            SocketId::Raw(id) => self.raw_ready(id),
            SocketId::Packet(id) => self.packet_ready(id),
        };
        // A socket that is gone has nothing to wait for.
        let ready = interest & now.unwrap_or(Readiness::all());
        let told_here = Readiness::READABLE | Readiness::WRITABLE | Readiness::ACCEPTABLE;
        self.events.rearm(id, (interest & told_here) - ready);
        ready & told_here
    }

    /// The outbox of `on` had no room for what this socket sends: it is told when there is some.
    pub(super) fn refuse_for_now(&mut self, on: InterfaceId, id: SocketId) {
        if !self.events.is_armed(id, Readiness::WRITABLE) {
            self.events.rearm(id, Readiness::WRITABLE);
            let line = &mut self.net.interfaces[on.index()].line;
            line.refused.push_back(id);
        }
    }

    /// WRITABLE, unless an outbox has refused it. A socket that waits to be told of room is armed, and no other one.
    pub(super) fn unrefused(&self, id: SocketId) -> Readiness {
        Readiness::WRITABLE & Readiness::all_if(!self.events.is_armed(id, Readiness::WRITABLE))
    }

    /// Starts telling about a socket whose packets go to outboxes: none has refused one yet.
    pub(super) fn register_unrefused(&mut self, id: SocketId) {
        self.events.register(id);
        self.events.disarm(id, Readiness::WRITABLE);
    }

    /// It is closed: its place in a line of those who were refused goes with it.
    pub(super) fn forget_refused(&mut self, id: SocketId) {
        if self.unrefused(id).is_empty() {
            for interface in self.net.interfaces.all_mut() {
                interface.line.refused.retain(|&other| other != id);
            }
        }
        self.events.forget(id);
    }

    /// Something has left this interface's outbox: tells those whom it refused, if there is room for some.
    #[inline]
    pub(super) fn tell_refused(&mut self, on: InterfaceId) {
        let line = &mut self.net.interfaces[on.index()].line;
        if !line.refused.is_empty() {
            let Self { events, .. } = self;
            let mut told = 0;
            while let Some(id) = line.next_refused(told) {
                events.raise(id, Readiness::WRITABLE);
                told += 1;
            }
        }
    }
}
