//! Listening: [`TcpListener`], its queue as a channel, [`Incoming`].
//!
//! RFC 9293 §3.10.1. *Owns* the handle. *Does not* own the queue's other end: `sockets.rs` fills it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use crossbeam_channel::{Receiver, TryRecvError};

use super::clock;
use super::error::HostError;
use super::lead::Until;
use super::poller::{AsSource, Interest, Source};
use super::shared::Shared;
use super::sockets::AcceptQueue;
use super::tcp::TcpStream;
use super::waits::{Polling, Waits};
use crate::stack::{AcceptError, ListenOptions, ListenerId};

/// A listening TCP socket.
///
/// Its queue of connections is a channel ([`receiver`](Self::receiver)), so that
/// `crossbeam_channel::select!` can wait for it together with other channels. It holds the backlog at most, and takes memory as it
/// fills.
#[derive(Clone)]
pub struct TcpListener {
    inner: Arc<ListenerInner>,
}

struct ListenerInner {
    shared: Arc<Shared>,
    id: ListenerId,
    local: SocketAddr,
    receiver: Receiver<TcpStream>,
    nonblocking: AtomicBool,
    /// The address that it listens on was taken away.
    over: Arc<AtomicBool>,
    waits: Arc<Waits>,
}

impl TcpListener {
    pub(crate) fn listen(
        shared: &Arc<Shared>,
        on: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<Self> {
        let limit = options.backlog_setting();
        let (streams, receiver) = crossbeam_channel::unbounded();
        let mut core = shared.lock();
        core.check_open()?;
        let id = core.stack.tcp_listen(on, options)?;
        let local = core.stack.tcp_listener_addr(id)?;
        let over = Arc::<AtomicBool>::default();
        let waits = Arc::<Waits>::default();
        let queue = AcceptQueue {
            streams,
            limit,
            over: Arc::clone(&over),
            waits: Arc::clone(&waits),
        };
        core.sockets.add_listener(id, queue);
        drop(core);
        Ok(Self {
            inner: Arc::new(ListenerInner {
                shared: Arc::clone(shared),
                id,
                local,
                receiver,
                nonblocking: AtomicBool::new(false),
                over,
                waits,
            }),
        })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// `WouldBlock` in non-blocking mode; `NotConnected` when the host was shut down; `AddrNotAvailable` when the address that
    /// it listens on was taken away, from then on.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let inner = &self.inner;
        let until = Until {
            ready: &|| !inner.receiver.is_empty() || inner.over.load(Ordering::Relaxed),
            deadline: None,
            sends: false,
        };
        let next = loop {
            match inner.receiver.try_recv() {
                Ok(stream) => break Some(stream),
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => {}
            }
            if inner.nonblocking.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if !inner.shared.lead_for_channel(&until) {
                break inner.receiver.recv().ok();
            }
        };
        let stream = next.ok_or_else(|| self.over())?;
        let peer = stream.peer();
        Ok((stream, peer))
    }

    /// Accepts as [`accept`](Self::accept) does; pending while there is no connection. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept) but `WouldBlock`.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let inner = &self.inner;
        inner
            .waits
            .readable
            .poll(cx, || match inner.receiver.try_recv() {
                Ok(stream) => {
                    let peer = stream.peer();
                    Some(Ok((stream, peer)))
                }
                Err(TryRecvError::Disconnected) => Some(Err(self.over())),
                Err(TryRecvError::Empty) => None,
            })
    }

    /// The same as a future, which may be dropped at any time: no connection is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_accept`](Self::poll_accept).
    pub async fn accept_async(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let side = &self.inner.waits.readable;
        Polling::new(side, |cx| self.poll_accept(cx)).await
    }

    /// Why nothing more comes: the host has ended, or is about to, or the listener's address was taken away.
    fn over(&self) -> io::Error {
        let over = self.inner.over.load(Ordering::Relaxed);
        match self.inner.shared.error() {
            Some(why) => why.into(),
            None if over => AcceptError::AddressGone.into(),
            None => HostError::Closed.into(),
        }
    }

    /// Connections as they come; ends with an error when the host does.
    pub const fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            over: false,
        }
    }

    /// The queue itself; disconnected when the host ends.
    pub fn receiver(&self) -> &Receiver<TcpStream> {
        &self.inner.receiver
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// None; as in std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.local)
    }

    /// In non-blocking mode [`accept`](Self::accept) fails with `WouldBlock` rather than wait.
    ///
    /// # Errors
    /// None; as in std.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Another handle of the same listener; the last one dropped closes it.
    ///
    /// # Errors
    /// None; as in std.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl AsSource for TcpListener {
    fn as_source(&self) -> Source {
        let ListenerInner {
            shared,
            id,
            receiver,
            waits,
            ..
        } = &*self.inner;
        let (host, id, receiver) = (Arc::clone(shared), *id, receiver.clone());
        Source::new(shared, waits, move |interest| {
            let open = host.lock().sockets.has_listener(id);
            if receiver.is_empty() && open {
                Interest::empty()
            } else {
                interest & Interest::READABLE
            }
        })
    }
}

impl Drop for ListenerInner {
    fn drop(&mut self) {
        self.waits.retire();
        let mut core = self.shared.lock();
        core.sockets.remove_listener(self.id);
        if core.check().is_ok() {
            let now = clock::now();
            core.stack.tcp_listener_close(now, self.id);
            self.shared.finish(core, now);
        } else {
            drop(core);
        }
        // RFC 9293 §3.10.4: connections that nobody accepted are reset with their listener.
        while let Ok(stream) = self.receiver.try_recv() {
            let _ = stream.abort();
        }
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.inner.local)
            .finish_non_exhaustive()
    }
}

/// The connections of a [`TcpListener`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
    over: bool,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.listener.accept().map(|(stream, _)| stream);
        self.over = next
            .as_ref()
            .is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock);
        Some(next)
    }
}
