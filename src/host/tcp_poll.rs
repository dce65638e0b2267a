//! Polling a [`TcpStream`], as a task does: it waits by its waker, with any executor.
//!
//! *Owns* nothing. *Does not* wait, nor run code of an executor under the lock. A call looks at the
//! stack once and marks its task when there is nothing; what it took nothing of stays where it was,
//! so that a task may be dropped between any two calls.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::clock;
use super::error::HostError;
use super::poller::{AsSource, Source};
use super::tcp::{READ_CHUNKS, SMALL_READ, TcpStream, WRITE_PIECE, take_chunks};
use super::tcp_io::write_slices;
use super::waits::{Polling, Side};
use crate::base::Instant;
use crate::stack::{Stack, TcpId};
use crate::tcp::{ReadError, WriteError};

/// Calls of one direction are for one task at a time: the last that polled is woken, whichever handle
/// it has. Time-outs and the non-blocking mode are not for them.
impl TcpStream {
    /// Reads as [`recv`](Self::recv) does; pending while nothing has come.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv) but `WouldBlock`.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if buf.len() <= SMALL_READ {
            return self.poll_reading(cx, |stack, now, id| stack.tcp_read(now, id, buf));
        }
        let mut at = 0;
        let room = buf.len();
        let put = |chunk: &Bytes| {
            buf[at..at + chunk.len()].copy_from_slice(chunk);
            at += chunk.len();
        };
        self.poll_read_each(cx, room, put).map_ok(|()| at)
    }

    /// Hands on up to `room` bytes, without the lock; pending while nothing has come.
    pub(super) fn poll_read_each(
        &self,
        cx: &Context<'_>,
        room: usize,
        put: impl FnMut(&Bytes),
    ) -> Poll<io::Result<()>> {
        let mut chunks: [Bytes; READ_CHUNKS] = Default::default();
        let polled = self.poll_reading(cx, |stack, now, id| {
            take_chunks(stack, now, id, room, &mut chunks)
        });
        polled.map_ok(|count| chunks[..count].iter().for_each(put))
    }

    /// Reads as [`read_chunk`](Self::read_chunk) does; pending while nothing has come.
    ///
    /// # Errors
    /// Those of [`poll_read`](Self::poll_read).
    pub fn poll_read_chunk(&self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
        self.poll_reading(cx, |stack, now, id| {
            stack.tcp_read_chunk(now, id, max.max(1))
        })
    }

    /// Reads as [`peek`](Self::peek) does; pending while nothing has come.
    ///
    /// # Errors
    /// Those of [`poll_read`](Self::poll_read).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_reading(cx, |stack, _, id| stack.tcp_peek(id, buf))
    }

    /// Writes as [`send`](Self::send) does; pending while the buffer is full.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) but `WouldBlock`.
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let piece = &buf[..buf.len().min(WRITE_PIECE)];
        self.poll_writing(cx, |stack, now, id| stack.tcp_write(now, id, piece))
    }

    /// The same of several slices.
    ///
    /// # Errors
    /// Those of [`poll_write`](Self::poll_write).
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |stack, now, id| write_slices(stack, now, id, bufs))
    }

    /// Why the connection failed: reset, timed out or given up; pending while it has not, and for ever when both ends have closed it. It
    /// takes nothing, as [`take_error`](Self::take_error) does. For who neither reads nor writes for now, behind the end of what is
    /// read for example; it waits in the reader's place.
    ///
    /// # Errors
    /// None but what it waits for.
    pub fn poll_failure(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let (_, waits, _) = self.parts();
        let failed = self.poll_side(cx, &waits.readable, false, |stack, _, id| {
            match stack.tcp_failure(id) {
                Ok(None) => None,
                Ok(Some(failure)) => Some(Err::<(), _>(failure.into())),
                Err(gone) => Some(Err(gone.into())),
            }
        });
        failed.map(|failed| match failed {
            Err(why) => why,
            Ok(()) => io::ErrorKind::ConnectionAborted.into(),
        })
    }

    /// Ends the direction of what is written, behind what was; ready at once.
    ///
    /// # Errors
    /// Those of [`shutdown`](Self::shutdown).
    pub fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }

    /// [`poll_read`](Self::poll_read) as a future, which may be dropped at any time: nothing is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_read`](Self::poll_read).
    pub async fn recv_async(&self, buf: &mut [u8]) -> io::Result<usize> {
        let side = &self.parts().1.readable;
        Polling::new(side, |cx| self.poll_read(cx, buf)).await
    }

    /// [`poll_write`](Self::poll_write) as a future: one that is dropped has written nothing.
    ///
    /// # Errors
    /// Those of [`poll_write`](Self::poll_write).
    pub async fn send_async(&self, buf: &[u8]) -> io::Result<usize> {
        let side = &self.parts().1.writable;
        Polling::new(side, |cx| self.poll_write(cx, buf)).await
    }

    /// Forgets the task if it was marked, in either direction: what is told from now on does not wake it.
    /// For who gives up a poll that was pending, as a future does that is dropped; the task of a call
    /// that became ready, and any of a handle that is gone, is forgotten without.
    pub fn forget_task(&self, waker: &Waker) {
        self.parts().1.forget(waker);
    }

    fn poll_reading<T>(
        &self,
        cx: &Context<'_>,
        mut read: impl FnMut(&mut Stack, Instant, TcpId) -> Result<T, ReadError>,
    ) -> Poll<io::Result<T>> {
        let (_, waits, _) = self.parts();
        self.poll_side(cx, &waits.readable, true, |stack, now, id| {
            match read(stack, now, id) {
                Err(ReadError::WouldBlock) => None,
                other => Some(other.map_err(io::Error::from)),
            }
        })
    }

    fn poll_writing<T>(
        &self,
        cx: &Context<'_>,
        mut write: impl FnMut(&mut Stack, Instant, TcpId) -> Result<T, WriteError>,
    ) -> Poll<io::Result<T>> {
        let (_, waits, _) = self.parts();
        self.poll_side(cx, &waits.writable, false, |stack, now, id| {
            match write(stack, now, id) {
                Err(WriteError::WouldBlock) => None,
                other => Some(other.map_err(io::Error::from)),
            }
        })
    }

    /// Asks the stack once, and marks the task when it has nothing.
    fn poll_side<T>(
        &self,
        cx: &Context<'_>,
        side: &Side,
        reads: bool,
        call: impl FnOnce(&mut Stack, Instant, TcpId) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        side.poll(cx, || self.ask(reads, call))
    }

    fn ask<T>(
        &self,
        reads: bool,
        call: impl FnOnce(&mut Stack, Instant, TcpId) -> Option<io::Result<T>>,
    ) -> Option<io::Result<T>> {
        let (shared, _, id) = self.parts();
        let mut core = shared.lock();
        let now = clock::now();
        if let Err(why) = core.check() {
            // What was acknowledged is read to its end, as by `recv`.
            if reads
                && !matches!(why, HostError::Panicked)
                && let Some(Ok(read)) = call(&mut core.stack, now, id)
            {
                return Some(Ok(read));
            }
            return Some(Err(why.into()));
        }
        let result = call(&mut core.stack, now, id);
        // What found nothing has changed nothing that anybody is to be told, or that is to be sent.
        if result.is_some() {
            shared.finish(core, now);
        }
        result
    }
}

impl AsSource for TcpStream {
    fn as_source(&self) -> Source {
        let (shared, waits, id) = self.parts();
        Source::of_stack(shared, waits, id)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Wake;
    use std::thread::{self, Thread};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::device::{Medium, pair};
    use crate::host::Host;

    /// Far longer than anything here takes; only a bug reaches it.
    const LONG: Duration = Duration::from_secs(20);

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// The smallest executor.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        let end = Instant::now() + LONG;
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
                return result;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the task sleeps on");
            thread::park_timeout(left);
        }
    }

    fn connected() -> (Host, Host, TcpStream, TcpStream) {
        let (a, b) = pair(Medium::Ip, 1500);
        let host = |device, address: &str| {
            let builder = Host::builder(device).address(address.parse().unwrap());
            builder.spawn().unwrap()
        };
        let (us, them) = (host(a, "10.7.0.1/24"), host(b, "10.7.0.2/24"));
        let listener = us.tcp_listen("10.7.0.1:80").unwrap();
        let far = them.tcp_connect("10.7.0.1:80").unwrap();
        let (near, _) = listener.accept().unwrap();
        (us, them, near, far)
    }

    #[test]
    fn tasks_carry_more_than_buffers_hold_both_ways_and_find_the_end() {
        const LEN: usize = 20 << 20;
        let (_us, _them, near, far) = connected();
        let sent: Vec<u8> = (0..LEN).map(|at| (at % 251).to_le_bytes()[0]).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut at = 0;
                while at < LEN {
                    at += block_on(poll_fn(|cx| far.poll_write(cx, &sent[at..]))).unwrap();
                }
                block_on(poll_fn(|cx| far.poll_shutdown(cx))).unwrap();
            });
            let (mut got, mut buf) = (Vec::new(), vec![0; 64 * 1024]);
            loop {
                match block_on(poll_fn(|cx| near.poll_read(cx, &mut buf))).unwrap() {
                    0 => break,
                    len => got.extend_from_slice(&buf[..len]),
                }
            }
            assert!(got == sent, "{} bytes, or others", got.len());
        });
    }

    #[test]
    fn no_waker_stays_behind_a_poll_that_is_ready_given_up_or_of_a_handle_that_is_gone() {
        let (_us, _them, near, far) = connected();
        let task = Arc::new(Unpark(thread::current()));
        let waker = Waker::from(Arc::clone(&task));
        let settled = |why: &str| {
            let end = Instant::now() + LONG;
            // Who wakes it at this moment has one too.
            while Arc::strong_count(&task) > 2 {
                assert!(Instant::now() < end, "a waker stayed: {why}");
                thread::yield_now();
            }
        };
        let poll = || near.poll_read(&mut Context::from_waker(&waker), &mut [0; 9]);
        let mark = || {
            // The handshake's last news may take it away.
            while Arc::strong_count(&task) == 2 {
                assert!(poll().is_pending());
            }
        };
        mark();
        near.forget_task(&waker);
        settled("given up");

        mark();
        far.send(b"x").unwrap();
        while poll().is_pending() {
            thread::park_timeout(LONG);
        }
        settled("ready");

        mark();
        let held = Arc::clone(near.parts().1);
        drop(near);
        settled("the handle is gone");
        drop(held);
    }

    #[test]
    fn a_task_that_waits_hears_of_the_end_of_its_host() {
        let (us, _them, near, _far) = connected();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut buf = [0; 9];
                block_on(poll_fn(|cx| near.poll_read(cx, &mut buf)))
            });
            let waits = near.parts().1;
            while !waits.readable.is_awaited() {
                thread::yield_now();
            }
            drop(us);
            let error = reader.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        });
    }
}
