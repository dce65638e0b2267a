//! Blocking TCP: [`TcpStream`], as in `std::net`.
//!
//! RFC 9293 §3.9 (the user interface). *Owns* the handle. A write sends in the caller's own
//! thread; a read that opens the window sends the window update itself; bytes are copied out
//! after the lock was given back.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::block::Patience;
use super::clock;
use super::error::HostError;
use super::settings::Timeout;
use super::shared::Shared;
use super::state::Core;
use super::waits::{Side, Waits};
use crate::base::Instant;
use crate::stack::{Stack, TcpId};
use crate::tcp::{ReadError, TcpInfo, TcpOptions, WriteError};

/// The most that one `write` copies under the lock, in bytes: about 50 us at 5 GB/s, less
/// than a turn takes (docs/choices.md).
pub(super) const WRITE_PIECE: usize = 256 * 1024;

/// Chunks that one `read` takes under one lock.
pub(super) const READ_CHUNKS: usize = 16;

/// Reads up to this many bytes are copied under the lock: less work than passing slices on.
pub(super) const SMALL_READ: usize = 4096;

/// A TCP connection.
///
/// Handles made by [`try_clone`](Self::try_clone) share it; the last one dropped closes it: what
/// was written is still sent, and unread data turns the close into a reset (RFC 2525 §2.17).
pub struct TcpStream {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    id: TcpId,
    waits: Arc<Waits>,
    local: SocketAddr,
    peer: SocketAddr,
    read_timeout: Timeout,
    write_timeout: Timeout,
    nonblocking: AtomicBool,
    error_taken: AtomicBool,
}

impl TcpStream {
    /// A handle of a connection that the stack has; its waiters must be in the table.
    pub(crate) fn new(shared: Arc<Shared>, id: TcpId, stack: &Stack, waits: Arc<Waits>) -> Self {
        // Without a peer only when the connection is gone already: every call will say so.
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let inner = Inner {
            shared,
            id,
            waits,
            local: stack.tcp_local_addr(id).unwrap_or(nowhere),
            peer: stack.tcp_peer_addr(id).unwrap_or(nowhere),
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
            nonblocking: AtomicBool::new(false),
            error_taken: AtomicBool::new(false),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Reads what has arrived, at least one byte unless the peer has finished; returns 0 then.
    ///
    /// # Errors
    /// `WouldBlock` in non-blocking mode or after the read time-out; `ConnectionReset`,
    /// `TimedOut`, `HostUnreachable` and others when the connection has failed; `NotConnected`
    /// when the host was shut down.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if buf.len() <= SMALL_READ {
            return self.read_with(|stack, now, id| stack.tcp_read(now, id, buf));
        }
        let mut chunks: [Bytes; READ_CHUNKS] = Default::default();
        let room = buf.len();
        let count =
            self.read_with(|stack, now, id| take_chunks(stack, now, id, room, &mut chunks))?;
        let mut at = 0;
        for chunk in &chunks[..count] {
            buf[at..at + chunk.len()].copy_from_slice(chunk);
            at += chunk.len();
        }
        Ok(at)
    }

    /// Reads at most `max` bytes as a slice of the buffer that they arrived in, without a copy;
    /// empty when the peer has finished.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv).
    pub fn read_chunk(&self, max: usize) -> io::Result<Bytes> {
        self.read_with(|stack, now, id| stack.tcp_read_chunk(now, id, max.max(1)))
    }

    /// Reads without taking: the next read sees the same bytes.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(|stack, _, id| stack.tcp_peek(id, buf))
    }

    /// Queues bytes to be sent, and sends what the windows allow; returns how many were taken: none of none, at any time, as in std.
    ///
    /// # Errors
    /// `WouldBlock` in non-blocking mode or after the write time-out; `BrokenPipe` after a
    /// shutdown; the connection's failure; `NotConnected` when the host was shut down.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let piece = &buf[..buf.len().min(WRITE_PIECE)];
        self.write_with(|stack, now, id| stack.tcp_write(now, id, piece))
    }

    /// Queues a prefix of `chunk` to be sent without a copy and takes it off `chunk`; returns its
    /// length. The bytes stay referenced until they are acknowledged.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn write_chunk(&self, chunk: &mut Bytes) -> io::Result<usize> {
        self.write_with(|stack, now, id| stack.tcp_write_chunk(now, id, chunk))
    }

    /// Queues all of `chunk` to be sent without a copy.
    ///
    /// # Errors
    /// Those of [`send`](Self::send); some of it may have been taken then.
    pub fn write_all_chunk(&self, mut chunk: Bytes) -> io::Result<()> {
        while !chunk.is_empty() {
            self.write_chunk(&mut chunk)?;
        }
        Ok(())
    }

    /// Ends one direction or both: a FIN after what was written; reads find the end.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.command(|core, now, id| Ok(core.stack.tcp_shutdown(now, id, how)?))?;
        // A reader or writer that sleeps must find out.
        self.inner.shared.tell(&self.inner.waits);
        Ok(())
    }

    /// Resets the connection at once; every later call fails.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn abort(&self) -> io::Result<()> {
        self.command(|core, now, id| {
            core.stack.tcp_abort(now, id);
            Ok(())
        })?;
        self.inner.shared.tell(&self.inner.waits);
        Ok(())
    }

    /// The peer's address.
    ///
    /// # Errors
    /// None today; as in std.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.peer)
    }

    /// This end's address.
    ///
    /// # Errors
    /// None today; as in std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.local)
    }

    /// Another handle of the same connection.
    ///
    /// # Errors
    /// None; as in std.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::clone(&self.inner),
        })
    }

    /// How long a read may wait; `None` is for ever, the default.
    ///
    /// # Errors
    /// `InvalidInput` when it is zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.read_timeout.set(timeout)
    }

    /// How long a write may wait; `None` is for ever, the default.
    ///
    /// # Errors
    /// `InvalidInput` when it is zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.write_timeout.set(timeout)
    }

    /// The time set by [`set_read_timeout`](Self::set_read_timeout).
    ///
    /// # Errors
    /// None; as in std.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.inner.read_timeout.get())
    }

    /// The time set by [`set_write_timeout`](Self::set_write_timeout).
    ///
    /// # Errors
    /// None; as in std.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.inner.write_timeout.get())
    }

    /// In non-blocking mode a call that would wait fails with `WouldBlock`.
    ///
    /// # Errors
    /// None; as in std.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// The flow label of its IPv6 packets ([`TcpOptions::flow_label`]); [`options`](Self::options) tells it.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn set_flow_label(&self, label: Option<u32>) -> io::Result<()> {
        self.change_options(|options| options.flow_label(label))
    }

    /// The options as they are now.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn options(&self) -> io::Result<TcpOptions> {
        let core = self.inner.shared.lock_running()?;
        Ok(core.stack.tcp_options(self.inner.id)?.clone())
    }

    /// Replaces all options that can change on a live connection.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn set_options(&self, options: TcpOptions) -> io::Result<()> {
        self.change_options(|_| options)
    }

    /// Why the connection failed, told once, as `SO_ERROR` does; other calls go on telling it.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let core = self.inner.shared.lock_running()?;
        let failure = core.stack.tcp_failure(self.inner.id)?;
        let fresh = failure.filter(|_| !self.inner.error_taken.swap(true, Ordering::Relaxed));
        Ok(fresh.map(io::Error::from))
    }

    /// What TCP_INFO tells: times, windows, counters.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn info(&self) -> io::Result<TcpInfo> {
        let core = self.inner.shared.lock_running()?;
        Ok(core.stack.tcp_info(self.inner.id)?)
    }

    /// The peer, for the listener.
    pub(super) fn peer(&self) -> SocketAddr {
        self.inner.peer
    }

    /// What a poll needs.
    pub(super) fn parts(&self) -> (&Arc<Shared>, &Arc<Waits>, TcpId) {
        (&self.inner.shared, &self.inner.waits, self.inner.id)
    }

    pub(super) fn change_options(
        &self,
        change: impl FnOnce(TcpOptions) -> TcpOptions,
    ) -> io::Result<()> {
        self.command(|core, now, id| {
            let options = change(core.stack.tcp_options(id)?.clone());
            Ok(core.stack.tcp_set_options(now, id, options)?)
        })
    }

    /// Runs a call that never waits, and sends what it caused.
    pub(super) fn command<T>(
        &self,
        call: impl FnOnce(&mut Core, Instant, TcpId) -> io::Result<T>,
    ) -> io::Result<T> {
        let shared = &self.inner.shared;
        let mut core = shared.lock_running()?;
        let now = clock::now();
        let result = call(&mut core, now, self.inner.id);
        shared.finish(core, now);
        result
    }

    pub(super) fn read_with<T>(
        &self,
        mut read: impl FnMut(&mut Stack, Instant, TcpId) -> Result<T, ReadError>,
    ) -> io::Result<T> {
        let patience = Patience::to_receive(self.inner.read_timeout.deadline());
        self.retry(&self.inner.waits.readable, patience, |core, now, id| {
            let ended = core.check().err();
            if matches!(ended, Some(HostError::Panicked)) {
                return ended.map(|why| Err(why.into()));
            }
            // What a host acknowledged that is over is read to its end, as after a close (RFC 9293 §3.10.4).
            match (read(&mut core.stack, now, id), ended) {
                (Ok(read), _) => Some(Ok(read)),
                (Err(_), Some(why)) => Some(Err(why.into())),
                (Err(ReadError::WouldBlock), None) => None,
                (Err(error), None) => Some(Err(error.into())),
            }
        })
    }

    pub(super) fn write_with<T>(
        &self,
        mut write: impl FnMut(&mut Stack, Instant, TcpId) -> Result<T, WriteError>,
    ) -> io::Result<T> {
        let patience = Patience::to_send(self.inner.write_timeout.deadline());
        self.retry(&self.inner.waits.writable, patience, |core, now, id| {
            if let Err(why) = core.check() {
                return Some(Err(why.into()));
            }
            match write(&mut core.stack, now, id) {
                Err(WriteError::WouldBlock) => None,
                other => Some(other.map_err(io::Error::from)),
            }
        })
    }

    /// Repeats `call` until it says something or patience ends.
    fn retry<T>(
        &self,
        side: &Side,
        patience: Patience,
        mut call: impl FnMut(&mut Core, Instant, TcpId) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let Inner { shared, id, .. } = &*self.inner;
        let patience = Patience {
            nonblocking: self.inner.nonblocking.load(Ordering::Relaxed),
            ..patience
        };
        let found = shared.block_on(shared.lock(), side, patience, |core, now| {
            call(core, now, *id)
        })?;
        found.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

/// Takes chunks of up to `room` bytes in all; how many, 0 at the end of the stream.
pub(super) fn take_chunks(
    stack: &mut Stack,
    now: Instant,
    id: TcpId,
    mut room: usize,
    chunks: &mut [Bytes],
) -> Result<usize, ReadError> {
    let mut count = 0;
    while room > 0 && count < chunks.len() {
        match stack.tcp_read_chunk(now, id, room) {
            Ok(chunk) if chunk.is_empty() => break,
            Ok(chunk) => {
                room -= chunk.len();
                chunks[count] = chunk;
                count += 1;
            }
            // What was taken comes first; the next read meets the error again.
            Err(_) if count > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Who is about to notify may hold the waiters still.
        self.waits.retire();
        let mut core = self.shared.lock();
        core.sockets.remove_stream(self.id);
        if core.check().is_ok() {
            let now = clock::now();
            core.stack.tcp_close(now, self.id);
            self.shared.finish(core, now);
        }
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.inner.local)
            .field("peer", &self.inner.peer)
            .finish_non_exhaustive()
    }
}
