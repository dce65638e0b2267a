//! Blocking ICMP echo: [`PingSocket`].
//!
//! RFC 792, RFC 4443 §4. *Owns* the handle and the send times.

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
use crate::base::Instant;
use crate::stack::{PingId, PingOptions, PingReply, SendInfo};

/// A socket that sends ICMP echo requests and receives what comes back.
///
/// A request's payload begins with its send time, so that any number may be under way.
pub struct PingSocket {
    shared: Arc<Shared>,
    id: PingId,
    waits: Arc<Waits>,
}

/// What came back for an echo request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pong {
    /// The reply, or the ICMP error that came instead.
    pub reply: PingReply,
    /// Time from sending to arrival; `None` when the answer does not carry the send time.
    pub rtt: Option<Duration>,
}

/// Bytes of the send time at the head of a payload.
const STAMP: usize = 8;

impl PingSocket {
    pub(crate) fn open(shared: &Arc<Shared>, options: PingOptions) -> io::Result<Self> {
        let mut core = shared.lock();
        core.check_open()?;
        let id = core.stack.ping_open(options)?;
        let waits = core.sockets.add_ping(id);
        drop(core);
        Ok(Self {
            shared: Arc::clone(shared),
            id,
            waits,
        })
    }

    /// Sends an echo request with this sequence number and `len` bytes of payload (at least 8, for
    /// the send time).
    ///
    /// # Errors
    /// When there is no route, or the packet is too large; `NotConnected` when the host was shut
    /// down.
    pub fn send(&self, to: IpAddr, seq: u16, len: usize) -> io::Result<()> {
        self.send_with(to, seq, len, &SendInfo::new())
    }

    /// The same, that leaves as `info` says: with each number of hops from 1 on, the routers on the way tell of themselves.
    ///
    /// # Errors
    /// Those of [`send`](Self::send); `AddrNotAvailable` when the source is no address of the interface that leads there.
    pub fn send_with(&self, to: IpAddr, seq: u16, len: usize, info: &SendInfo) -> io::Result<()> {
        let sent = self.shared.block_on_stack(
            &self.waits.writable,
            Patience::to_send(None),
            |stack, now| stack.ping_send_with(now, self.id, to, seq, stamped(now, len), info),
        );
        sent.map(|_| ())
    }

    /// Waits at most `timeout` for what comes back.
    ///
    /// # Errors
    /// `TimedOut`; `NotConnected` when the host was shut down.
    pub fn recv(&self, timeout: Duration) -> io::Result<Pong> {
        let patience = Patience::to_receive(Some(clock::now() + timeout));
        let reply = self
            .shared
            .block_on_stack(&self.waits.readable, patience, |stack, _| {
                stack.ping_recv(self.id)
            })?;
        reply
            .map(Pong::of)
            .ok_or_else(|| timed_out("no answer to the echo request"))
    }

    /// Receives as [`recv`](Self::recv) does; pending while there is no answer. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv) but `TimedOut`.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Pong>> {
        self.shared
            .poll_stack(cx, &self.waits.readable, |stack, _| {
                stack.ping_recv(self.id)
            })
            .map_ok(Pong::of)
    }

    /// Sends as [`send_with`](Self::send_with) does; pending while the interface's outbox is full. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// Those of [`send_with`](Self::send_with).
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        to: IpAddr,
        seq: u16,
        len: usize,
        info: &SendInfo,
    ) -> Poll<io::Result<()>> {
        self.shared
            .poll_stack(cx, &self.waits.writable, |stack, now| {
                stack.ping_send_with(now, self.id, to, seq, stamped(now, len), info)
            })
    }

    /// The same as a future: one that is dropped has sent nothing.
    ///
    /// # Errors
    /// Those of [`poll_send`](Self::poll_send).
    pub async fn send_async(
        &self,
        to: IpAddr,
        seq: u16,
        len: usize,
        info: &SendInfo,
    ) -> io::Result<()> {
        Polling::new(&self.waits.writable, |cx| {
            self.poll_send(cx, to, seq, len, info)
        })
        .await
    }

    /// [`poll_recv`](Self::poll_recv) as a future, which may be dropped at any time: nothing is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_recv`](Self::poll_recv).
    pub async fn recv_async(&self) -> io::Result<Pong> {
        Polling::new(&self.waits.readable, |cx| self.poll_recv(cx)).await
    }
}

impl Pong {
    fn of(reply: PingReply) -> Self {
        let rtt = sent_at(&reply.payload).map(|sent| reply.at.since(sent));
        Self { reply, rtt }
    }
}

fn stamped(now: Instant, len: usize) -> Bytes {
    let mut payload: Vec<u8> = (0..len.max(STAMP)).map(|at| at.to_le_bytes()[0]).collect();
    payload[..STAMP].copy_from_slice(&now.as_nanos().to_be_bytes());
    payload.into()
}

fn sent_at(payload: &[u8]) -> Option<Instant> {
    let stamp = payload.first_chunk::<STAMP>()?;
    Some(Instant::from_nanos(u64::from_be_bytes(*stamp)))
}

impl AsSource for PingSocket {
    fn as_source(&self) -> Source {
        Source::of_stack(&self.shared, &self.waits, self.id)
    }
}

impl Drop for PingSocket {
    fn drop(&mut self) {
        self.waits.retire();
        let mut core = self.shared.lock();
        core.sockets.remove_ping(self.id);
        if core.check().is_ok() {
            core.stack.ping_close(self.id);
            self.shared.finish(core, clock::now());
        }
    }
}

impl fmt::Debug for PingSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PingSocket").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_carries_its_send_time_and_its_length() {
        let now = Instant::from_nanos(0x0102_0304_0506_0708);
        for (len, expected) in [(0, 8), (8, 8), (56, 56), (1000, 1000)] {
            let payload = stamped(now, len);
            assert_eq!((payload.len(), sent_at(&payload)), (expected, Some(now)));
        }
        assert_eq!(sent_at(&[0; 7]), None);
    }
}
