//! What an inner and an outer connection carry to each other.
//!
//! *Owns* what one end has said and the other has not taken yet: a chunk each way, and nothing while nothing waits. *Does not* decide
//! when a connection is made.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};

use netloom::bytes::{Buf, Bytes};
use netloom::host;
use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes that are read at once: a super-segment's.
const PIECE: usize = 64 << 10;
/// Pieces that one connection carries each way before others have their turn.
const TURN: usize = 16;

thread_local! {
    /// What a turn reads into: connections keep no buffers.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
}

/// Both ends.
struct Ends {
    inner: host::TcpStream,
    outer: TcpStream,
}

/// One direction: what waits, and whether its end was passed on.
#[derive(Default)]
struct Way {
    waits: Bytes,
    over: bool,
}

/// Carries both ways, each to its own end; where one breaks, so does the other.
pub(super) async fn carry(inner: host::TcpStream, outer: TcpStream) -> io::Result<()> {
    let ends = Ends { inner, outer };
    let (mut up, mut down) = (Way::default(), Way::default());
    let carry = poll_fn(|cx| {
        let ups = ends.poll_up(&mut up, cx)?;
        let downs = ends.poll_down(&mut down, cx)?;
        match (ups, downs) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(io::Result::Ok(())),
            // Nobody reads there any more: a reset behind the end is seen so.
            (Poll::Ready(()), Poll::Pending) => ends.inner.poll_failure(cx).map(Err),
            _ => Poll::Pending,
        }
    });
    let carried = tokio::select! {
        biased;
        carried = carry => carried,
        broken = broken(&ends.outer) => Err(broken),
    };
    if carried.is_err() {
        // Neither tells more than that.
        let _ = ends.inner.abort();
        let _ = ends.outer.set_zero_linger();
    }
    carried
}

/// Why the kernel's end has failed, when it has: also behind the end of what it said.
async fn broken(outer: &TcpStream) -> io::Error {
    if let Err(error) = outer.ready(Interest::ERROR).await {
        return error;
    }
    let why = outer.take_error().ok().flatten();
    why.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
}

impl Ends {
    fn poll_up(&self, way: &mut Way, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            if way.over {
                return Poll::Ready(Ok(()));
            }
            if way.waits.is_empty() {
                way.waits = ready!(self.inner.poll_read_chunk(cx, PIECE))?;
            }
            if way.waits.is_empty() {
                way.over = true;
                shutdown(self.outer.as_raw_fd(), Shutdown::Write)?;
                continue;
            }
            match self.outer.try_write(&way.waits) {
                Ok(len) => way.waits.advance(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.outer.poll_write_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        again(cx)
    }

    fn poll_down(&self, way: &mut Way, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            if way.over {
                return Poll::Ready(Ok(()));
            }
            if !way.waits.is_empty() {
                let len = ready!(self.inner.poll_write(cx, &way.waits))?;
                way.waits.advance(len);
                if way.waits.is_empty() {
                    way.waits = Bytes::new();
                }
                continue;
            }
            match BUFFER.with_borrow_mut(|buf| self.move_down(way, buf, cx)) {
                Ok(0) => {
                    way.over = true;
                    self.inner.shutdown(std::net::Shutdown::Write)?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.outer.poll_read_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        again(cx)
    }

    /// Reads once, and keeps what is not taken.
    fn move_down(&self, way: &mut Way, buf: &mut [u8], cx: &mut Context<'_>) -> io::Result<usize> {
        let len = self.outer.try_read(buf)?;
        if len > 0 {
            let taken = match self.inner.poll_write(cx, &buf[..len])? {
                Poll::Ready(taken) => taken,
                Poll::Pending => 0,
            };
            if taken < len {
                way.waits = Bytes::copy_from_slice(&buf[taken..len]);
            }
        }
        Ok(len)
    }
}

/// There is more, after others.
fn again(cx: &Context<'_>) -> Poll<io::Result<()>> {
    cx.waker().wake_by_ref();
    Poll::Pending
}
