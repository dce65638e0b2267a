//! `tokio`'s traits on a [`TcpStream`] and its halves, and driving by its reactor (feature `tokio`).
//!
//! *Owns* nothing. *Does not* wait: the handles' `poll_*` do what is asked. Calls of one direction are for one task at a time.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::task::yield_now;

use super::drive::{Driver, Turned};
use super::error::HostError;
use super::tcp::TcpStream;
use super::tcp_split::{ReadHalf, WriteHalf};

impl Driver {
    /// Drives as a task of tokio's, until the host ends; why it did. On a runtime of one thread no other thread is woken for what comes: its
    /// tasks are, in the thread that has read it.
    ///
    /// ```no_run
    /// # use netloom::device::Tap;
    /// # use netloom::host::Host;
    /// # async fn serve() -> Result<(), netloom::Report> {
    /// let tap = Tap::builder().name("nl%d").open()?;
    /// let (host, driver) = Host::builder(tap).address("10.7.0.2/24".parse()?).build()?;
    /// tokio::spawn(driver.drive());
    /// let listener = host.tcp_listen("0.0.0.0:80")?;
    /// let (stream, peer) = listener.accept_async().await?;
    /// # drop((stream, peer));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the reactor refuses its descriptor; the host has ended then.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    pub async fn drive(self) -> io::Result<HostError> {
        #[allow(
            deprecated,
            reason = "of what replaces it one asks by `unsafe` what holds here: the descriptor is open as long as its driver"
        )]
        let mut driver = AsyncFd::with_interest(self, Interest::READABLE)?;
        driver.get_ref().task().begin();
        loop {
            match driver.get_mut().turn() {
                Turned::Again => yield_now().await,
                Turned::Ended(why) => return Ok(why),
                Turned::Wait => {
                    let asked = poll_fn(|cx| wait_for_turn(&driver, cx)).await?;
                    if asked {
                        // Whoever else is ready may have more to send.
                        yield_now().await;
                    }
                }
            }
        }
    }
}

/// Pending until a turn is due: was it asked for by users of the host?
fn wait_for_turn(driver: &AsyncFd<Driver>, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
    if driver.get_ref().task().poll_asked(cx).is_ready() {
        return Poll::Ready(Ok(true));
    }
    let ready = driver.poll_read_ready(cx)?;
    ready.map(|mut guard| {
        // What becomes true from here on is told anew.
        guard.clear_ready();
        Ok(false)
    })
}

/// Reads into what need not be initialised.
fn poll_read_into(
    stream: &TcpStream,
    cx: &Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    match buf.remaining() {
        0 => Poll::Ready(Ok(())),
        room => stream.poll_read_each(cx, room, |chunk| buf.put_slice(chunk)),
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_read_into(&self, cx, buf)
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_read_into(&self, cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write_vectored(&self, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Ready at once: what was written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_shutdown(&self, cx)
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        TcpStream::poll_write(&self, cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        TcpStream::poll_write_vectored(&self, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Ready at once: what was written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        TcpStream::poll_shutdown(&self, cx)
    }
}
