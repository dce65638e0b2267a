//! Blocking raw IP sockets: [`RawSocket`].
//!
//! raw(7) of Linux. *Owns* the handle. *Does not* queue: the stack does.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::block::{Patience, timed_out};
use super::clock;
use super::poller::{AsSource, Source};
use super::shared::Shared;
use super::waits::{Polling, Waits};
use crate::stack::{RawOptions, RawPacket, RawSocketId, SendInfo};

/// A socket that hears all that comes to the host of one protocol, and sends what it is given.
///
/// Closed when it is dropped.
pub struct RawSocket {
    shared: Arc<Shared>,
    id: RawSocketId,
    waits: Arc<Waits>,
}

impl RawSocket {
    pub(crate) fn open(shared: &Arc<Shared>, options: RawOptions) -> io::Result<Self> {
        let mut core = shared.lock();
        core.check_open()?;
        let id = core.stack.raw_open(options)?;
        let waits = core.sockets.add_raw(id);
        drop(core);
        Ok(Self {
            shared: Arc::clone(shared),
            id,
            waits,
        })
    }

    /// Sends a packet with this payload, or with this header and payload ([`RawOptions::header_included`]).
    ///
    /// # Errors
    /// When there is no route, or the packet cannot be sent; `WouldBlock` when as much waits for the device as may; `NotConnected`
    /// when the host was shut down. An ICMP error about an earlier packet to the socket's [peer](RawOptions::peer), told once.
    pub fn send_to(&self, to: IpAddr, data: impl Into<Bytes>) -> io::Result<()> {
        self.send_with(Some(to), data, &SendInfo::new())
    }

    /// The same, that leaves as `info` says; `None`: to the socket's peer, or to whom its header names.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to); `AddrNotAvailable` when the source is no address of the interface that leads there.
    pub fn send_with(
        &self,
        to: Option<IpAddr>,
        data: impl Into<Bytes>,
        info: &SendInfo,
    ) -> io::Result<()> {
        let data = data.into();
        let sent = self.shared.block_on_stack(
            &self.waits.writable,
            Patience::to_send(None),
            |stack, now| stack.raw_send(now, self.id, to, data.clone(), info),
        );
        sent.map(|_| ())
    }

    /// The same for a task; pending while the interface's outbox is full. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// Those of [`send_with`](Self::send_with).
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        to: Option<IpAddr>,
        data: &Bytes,
        info: &SendInfo,
    ) -> Poll<io::Result<()>> {
        self.shared
            .poll_stack(cx, &self.waits.writable, |stack, now| {
                stack.raw_send(now, self.id, to, data.clone(), info)
            })
    }

    /// The same as a future: one that is dropped has sent nothing.
    ///
    /// # Errors
    /// Those of [`poll_send`](Self::poll_send).
    pub async fn send_async(
        &self,
        to: Option<IpAddr>,
        data: &Bytes,
        info: &SendInfo,
    ) -> io::Result<()> {
        Polling::new(&self.waits.writable, |cx| {
            self.poll_send(cx, to, data, info)
        })
        .await
    }

    /// Waits at most `timeout` for the next packet.
    ///
    /// # Errors
    /// `TimedOut`; an ICMP error about what was sent to the socket's [peer](RawOptions::peer); `AddrNotAvailable` when its address was taken
    /// away; `NotConnected` when the host was shut down.
    pub fn recv(&self, timeout: Duration) -> io::Result<RawPacket> {
        let patience = Patience::to_receive(Some(clock::now() + timeout));
        let packet = self
            .shared
            .block_on_stack(&self.waits.readable, patience, |stack, _| {
                stack.raw_recv(self.id)
            })?;
        packet.ok_or_else(|| timed_out("no packet came"))
    }

    /// Receives as [`recv`](Self::recv) does; pending while there is no packet. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv) but `TimedOut`.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<RawPacket>> {
        self.shared
            .poll_stack(cx, &self.waits.readable, |stack, _| stack.raw_recv(self.id))
    }

    /// The same as a future, which may be dropped at any time: nothing is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_recv`](Self::poll_recv).
    pub async fn recv_async(&self) -> io::Result<RawPacket> {
        Polling::new(&self.waits.readable, |cx| self.poll_recv(cx)).await
    }

    /// How many packets were lost because nobody took those before them.
    pub fn dropped(&self) -> u64 {
        let core = self.shared.lock();
        core.stack.raw_dropped(self.id).unwrap_or(0)
    }
}

impl AsSource for RawSocket {
    fn as_source(&self) -> Source {
        Source::of_stack(&self.shared, &self.waits, self.id)
    }
}

impl Drop for RawSocket {
    fn drop(&mut self) {
        self.waits.retire();
        let mut core = self.shared.lock();
        core.sockets.remove_raw(self.id);
        if core.check().is_ok() {
            core.stack.raw_close(self.id);
            self.shared.finish(core, clock::now());
        }
    }
}

impl fmt::Debug for RawSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSocket").finish_non_exhaustive()
    }
}
