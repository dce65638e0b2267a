//! Blocking packet sockets: [`PacketSocket`].
//!
//! packet(7) of Linux. *Owns* the handle. *Does not* queue: the stack does.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::block::{Patience, timed_out};
use super::clock;
use super::poller::{AsSource, Source};
use super::shared::Shared;
use super::waits::{Polling, Waits};
use crate::base::MacAddr;
use crate::link::ethernet::EtherType;
use crate::stack::{LinkPacket, PacketOptions, PacketSocketId};

/// A socket that hears the frames of one interface, and sends what it is given.
///
/// Closed when it is dropped.
pub struct PacketSocket {
    shared: Arc<Shared>,
    id: PacketSocketId,
    waits: Arc<Waits>,
}

impl PacketSocket {
    pub(crate) fn open(shared: &Arc<Shared>, options: PacketOptions) -> io::Result<Self> {
        let mut core = shared.lock();
        core.check_open()?;
        let id = core.stack.packet_open(options)?;
        let waits = core.sockets.add_packet(id);
        drop(core);
        Ok(Self {
            shared: Arc::clone(shared),
            id,
            waits,
        })
    }

    /// Sends a frame to this station or group, with this payload, from the interface's MAC address.
    ///
    /// # Errors
    /// `InvalidInput` above the MTU; `WouldBlock` when as much waits for the device as may; `AddrNotAvailable` when its interface was
    /// taken away; `NotConnected` when the host was shut down.
    pub fn send_to(
        &self,
        to: MacAddr,
        ether_type: EtherType,
        data: impl Into<Bytes>,
    ) -> io::Result<()> {
        let data = data.into();
        let sent = self.shared.block_on_stack(
            &self.waits.writable,
            Patience::to_send(None),
            |stack, now| stack.packet_send(now, self.id, to, ether_type, data.clone()),
        );
        sent.map(|_| ())
    }

    /// The same for a task; pending while the interface's outbox is full. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to).
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        to: MacAddr,
        ether_type: EtherType,
        data: &Bytes,
    ) -> Poll<io::Result<()>> {
        self.shared
            .poll_stack(cx, &self.waits.writable, |stack, now| {
                stack.packet_send(now, self.id, to, ether_type, data.clone())
            })
    }

    /// The same as a future: one that is dropped has sent nothing.
    ///
    /// # Errors
    /// Those of [`poll_send`](Self::poll_send).
    pub async fn send_async(
        &self,
        to: MacAddr,
        ether_type: EtherType,
        data: &Bytes,
    ) -> io::Result<()> {
        Polling::new(&self.waits.writable, |cx| {
            self.poll_send(cx, to, ether_type, data)
        })
        .await
    }

    /// Waits at most `timeout` for the next frame.
    ///
    /// # Errors
    /// `TimedOut`; `AddrNotAvailable` when its interface was taken away; `NotConnected` when the host was shut down.
    pub fn recv(&self, timeout: Duration) -> io::Result<LinkPacket> {
        let patience = Patience::to_receive(Some(clock::now() + timeout));
        let packet = self
            .shared
            .block_on_stack(&self.waits.readable, patience, |stack, _| {
                stack.packet_recv(self.id)
            })?;
        packet.ok_or_else(|| timed_out("no frame came"))
    }

    /// Receives as [`recv`](Self::recv) does; pending while there is no frame. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv) but `TimedOut`.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<LinkPacket>> {
        self.shared
            .poll_stack(cx, &self.waits.readable, |stack, _| {
                stack.packet_recv(self.id)
            })
    }

    /// The same as a future, which may be dropped at any time: nothing is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_recv`](Self::poll_recv).
    pub async fn recv_async(&self) -> io::Result<LinkPacket> {
        Polling::new(&self.waits.readable, |cx| self.poll_recv(cx)).await
    }

    /// How many frames were lost because nobody took those before them.
    pub fn dropped(&self) -> u64 {
        let core = self.shared.lock();
        core.stack.packet_dropped(self.id).unwrap_or(0)
    }
}

impl AsSource for PacketSocket {
    fn as_source(&self) -> Source {
        Source::of_stack(&self.shared, &self.waits, self.id)
    }
}

impl Drop for PacketSocket {
    fn drop(&mut self) {
        self.waits.retire();
        let mut core = self.shared.lock();
        core.sockets.remove_packet(self.id);
        if core.check().is_ok() {
            core.stack.packet_close(self.id);
            self.shared.finish(core, clock::now());
        }
    }
}

impl fmt::Debug for PacketSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketSocket").finish_non_exhaustive()
    }
}
