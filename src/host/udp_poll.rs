//! Polling a [`UdpSocket`], as a task does: it waits by its waker, with any executor.
//!
//! *Owns* nothing. *Does not* wait, nor run code of an executor under the lock. What a pending call looked for stays where it is, so that
//! a task may be dropped between any two calls.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::datagram::Datagram;
use super::poller::{AsSource, Interest, Source};
use super::udp::UdpSocket;
use super::waits::Polling;
use crate::stack::{Readiness, SendInfo};

/// Calls of one direction are for one task at a time: the last that polled is woken, whichever handle it has. Time-outs and the
/// non-blocking mode are not for them.
impl UdpSocket {
    /// Receives as [`recv_datagram`](Self::recv_datagram) does; pending while nothing has come.
    ///
    /// # Errors
    /// Those of [`recv_datagram`](Self::recv_datagram) but `WouldBlock`.
    pub fn poll_recv_datagram(&self, cx: &mut Context<'_>) -> Poll<io::Result<Datagram>> {
        let (_, _, waits) = self.parts();
        waits.readable.poll(cx, || self.try_recv_datagram())
    }

    /// Receives as [`recv_from`](Self::recv_from) does; pending while nothing has come.
    ///
    /// # Errors
    /// Those of [`poll_recv_datagram`](Self::poll_recv_datagram).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll_recv_datagram(cx)
            .map_ok(|datagram| (datagram.data.copy_to(buf), datagram.from))
    }

    /// Sends as [`send_chunk`](Self::send_chunk) does; pending while the device's queue is full.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to) but `WouldBlock`.
    pub fn poll_send_chunk(
        &self,
        cx: &mut Context<'_>,
        data: &Bytes,
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        self.poll_send_with(cx, data, to, &SendInfo::new())
    }

    /// Sends as [`send_with`](Self::send_with) does, without segments; pending while the device's queue is full.
    ///
    /// # Errors
    /// Those of [`send_with`](Self::send_with) but `WouldBlock`.
    pub fn poll_send_with(
        &self,
        cx: &mut Context<'_>,
        data: &Bytes,
        to: Option<SocketAddr>,
        info: &SendInfo,
    ) -> Poll<io::Result<()>> {
        if let Some(error) = self.pending_error() {
            return Poll::Ready(Err(error));
        }
        let (shared, id, waits) = self.parts();
        shared.poll_stack(cx, &waits.writable, |stack, now| {
            stack.udp_send_with(now, id, to, data.clone(), None, info)
        })
    }

    /// Sends as [`send_to`](Self::send_to) does, to one address; `None` is the connected peer. Pending while the device's queue is full.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to) but `WouldBlock`.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.pending_error() {
            return Poll::Ready(Err(error));
        }
        let (shared, id, waits) = self.parts();
        shared.poll_stack(cx, &waits.writable, |stack, now| {
            stack.udp_send_to(now, id, to, data)
        })
    }

    /// [`poll_recv_datagram`](Self::poll_recv_datagram) as a future, which may be dropped at any time: nothing is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_recv_datagram`](Self::poll_recv_datagram).
    pub async fn recv_datagram_async(&self) -> io::Result<Datagram> {
        let (_, _, waits) = self.parts();
        Polling::new(&waits.readable, |cx| self.poll_recv_datagram(cx)).await
    }

    /// [`poll_recv_from`](Self::poll_recv_from) as a future.
    ///
    /// # Errors
    /// Those of [`poll_recv_datagram`](Self::poll_recv_datagram).
    pub async fn recv_from_async(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.recv_datagram_async().await?;
        Ok((datagram.data.copy_to(buf), datagram.from))
    }

    /// [`poll_send_to`](Self::poll_send_to) as a future.
    ///
    /// # Errors
    /// Those of [`poll_send_to`](Self::poll_send_to).
    pub async fn send_to_async(&self, data: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        let (_, _, waits) = self.parts();
        Polling::new(&waits.writable, |cx| self.poll_send_to(cx, data, to)).await
    }

    /// Forgets the task if it was marked, in either direction, for who gives up a poll that was pending: see
    /// [`TcpStream::forget_task`](super::TcpStream::forget_task).
    pub fn forget_task(&self, waker: &Waker) {
        self.parts().2.forget(waker);
    }
}

impl AsSource for UdpSocket {
    fn as_source(&self) -> Source {
        let (shared, id, waits) = self.parts();
        let (host, has_something) = (Arc::clone(shared), self.has_something());
        Source::new(shared, waits, move |interest| {
            let mut core = host.lock();
            if has_something.error() || !core.sockets.has_udp(id) || core.check().is_err() {
                return interest;
            }
            let mut ready = Interest::empty();
            ready.set(Interest::READABLE, has_something.datagram());
            if interest.contains(Interest::WRITABLE) {
                let room = core.stack.poll_ready(id, Readiness::WRITABLE);
                ready.set(Interest::WRITABLE, !room.is_empty());
            }
            ready & interest
        })
    }
}
