//! What the user of a packet socket calls.
//!
//! packet(7) of Linux. *Owns* the checks of what is sent. *Does not* own queues: the socket has what came in, the interface's outbox what
//! goes out.

use bytes::Bytes;

use super::MOST;
use super::socket::{LinkPacket, PacketError, PacketOptions, PacketSocket};
use crate::base::MacAddr;
use crate::link::ethernet::EtherType;
use crate::stack::event::{Readiness, SocketId};
use crate::stack::ids::{PacketSocketId, StaleId};
use crate::stack::interface::{Class, Frame, Outgoing};
use crate::stack::udp::{RecvError, SendError};
use crate::stack::{Call, Instant, Stack};

impl Stack {
    /// Opens a packet socket, as `options` say: it hears the frames that come in by one interface, beside the stack itself, and sends
    /// what it is given.
    ///
    /// A frame of a type that the stack does not know is none that is dropped while a socket hears it.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn packet_open(&mut self, options: PacketOptions) -> Result<PacketSocketId, PacketError> {
        self.note_call(None, |_| Call::PacketOpen(options));
        let opened = self.open_packet(options);
        self.note_outcome(opened)
    }

    fn open_packet(&mut self, options: PacketOptions) -> Result<PacketSocketId, PacketError> {
        let on = options.interface;
        if self.net.interfaces.added(on.index()).is_none() {
            return Err(PacketError::Interface(on));
        }
        if self.packets.sockets.len() >= MOST {
            return Err(PacketError::TooMany);
        }
        let id = self.packets.sockets.insert(PacketSocket::new(options));
        self.register_unrefused(id.into());
        Ok(id)
    }

    /// Queues a frame to this station or group, from the interface's own MAC address and with its VLAN's tag. On a medium without link
    /// headers `data` is all of it, and the other two say nothing.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::TooBig`] above the interface's MTU; [`SendError::Malformed`] on a medium without link headers, of what is
    /// no packet of IPv4 or IPv6; [`SendError::WouldBlock`] when its outbox is full:
    /// an event tells when it has room.
    pub fn packet_send(
        &mut self,
        now: Instant,
        id: PacketSocketId,
        to: MacAddr,
        ether_type: EtherType,
        data: Bytes,
    ) -> Result<(), SendError> {
        self.note_call(Some(now), |_| {
            Call::PacketSend(id, to, ether_type.0, data.clone())
        });
        self.net.clamp(now);
        let sent = self.send_packet(id, (to, ether_type), data);
        self.note_outcome(sent)
    }

    fn send_packet(
        &mut self,
        id: PacketSocketId,
        (to, ether_type): (MacAddr, EtherType),
        payload: Bytes,
    ) -> Result<(), SendError> {
        let socket = self.packets.sockets.get(id).ok_or(StaleId)?;
        let on = socket.options.interface;
        let interface = self.net.interfaces.added(on.index());
        let max = interface.ok_or(SendError::AddressGone)?.mtu();
        let len = payload.len();
        if len > max {
            return Err(SendError::TooBig { len, max });
        }
        // A device without link headers refuses what is of no version of IP (Linux's tun_get_user does).
        let is_ip = matches!(payload.first().map(|first| first >> 4), Some(4 | 6));
        if !self.net.interfaces[on.index()].is_ethernet() && !is_ip {
            let why = "neither of IPv4 nor of IPv6";
            return Err(SendError::Malformed { why });
        }
        let frame = Frame::Link {
            to,
            ether_type,
            payload,
        };
        let outgoing = Outgoing { frame, asks: None };
        if !self.net.queue(on, Class::Transport, outgoing) {
            self.refuse_for_now(on, id.into());
            return Err(SendError::WouldBlock);
        }
        self.net.counters.raw_packets_sent += 1;
        Ok(())
    }

    /// Takes the oldest frame.
    ///
    /// # Errors
    /// [`RecvError`]; after [`RecvError::WouldBlock`] an event tells when there is something; [`RecvError::AddressGone`] when its
    /// interface was taken away.
    pub fn packet_recv(&mut self, id: PacketSocketId) -> Result<LinkPacket, RecvError> {
        self.note_call(None, |_| Call::PacketRecv(id));
        let received = self.take_packet(id);
        self.note_outcome(received)
    }

    fn take_packet(&mut self, id: PacketSocketId) -> Result<LinkPacket, RecvError> {
        let socket = self.packets.sockets.get_mut(id).ok_or(StaleId)?;
        let packet = socket.pop();
        let (held, counters) = (socket.held(), &mut self.net.counters);
        self.memory.charge(&mut socket.charged, held, counters);
        if packet.is_none() {
            self.events.rearm(SocketId::Packet(id), Readiness::READABLE);
            if socket.is_lost(&self.net) {
                return Err(RecvError::AddressGone);
            }
        }
        packet.ok_or(RecvError::WouldBlock)
    }

    /// What it could do now; `None` of a socket that is gone.
    pub(in crate::stack) fn packet_ready(&self, id: PacketSocketId) -> Option<Readiness> {
        let socket = self.packets.sockets.get(id)?;
        let mut ready = self.unrefused(id.into());
        let something = !socket.is_empty() || socket.is_lost(&self.net);
        ready.set(Readiness::READABLE, something);
        Some(ready)
    }

    /// How many frames a socket lost because its queue was full.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn packet_dropped(&self, id: PacketSocketId) -> Result<u64, StaleId> {
        let socket = self.packets.sockets.get(id).ok_or(StaleId)?;
        Ok(socket.dropped)
    }

    /// Closes a socket; what it has sent leaves all the same.
    pub fn packet_close(&mut self, id: PacketSocketId) {
        self.note_call(None, |_| Call::PacketClose(id));
        if let Some(mut socket) = self.packets.sockets.remove(id) {
            let counters = &mut self.net.counters;
            self.memory.charge(&mut socket.charged, 0, counters);
            self.forget_refused(id.into());
        }
        self.note_outcome(());
    }

    /// What all sockets are charged, recounted from what they hold.
    pub(in crate::stack) fn packet_memory(&self) -> usize {
        let sockets = self.packets.sockets.iter();
        sockets
            .map(|(_, socket)| {
                assert_eq!(socket.charged, socket.held(), "a socket's charge");
                socket.charged
            })
            .sum()
    }

    /// Looks at one slot; `false` beyond the last. Whoever waits there is told to ask.
    pub(in crate::stack) fn packet_sweep(&mut self, index: usize) -> bool {
        let slot = u32::try_from(index).unwrap_or(u32::MAX);
        if let Some((id, socket)) = self.packets.sockets.at(slot)
            && socket.is_lost(&self.net)
        {
            self.events.raise(SocketId::Packet(id), Readiness::READABLE);
        }
        index < self.packets.sockets.places()
    }
}
