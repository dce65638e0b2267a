//! Deciding about connections before they are made: [`Requests`], [`ConnectRequest`].
//!
//! RFC 9293 §3.10.7.2. *Owns* the handles, and that each request is answered once. *Does not* hold the SYNs: the stack does.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::block::{Patience, timed_out};
use super::clock;
use super::poller::{AsSource, Source};
use super::shared::Shared;
use super::tcp::TcpStream;
use super::waits::{Polling, Waits};
use super::{Host, HostBuilder, each_address};
use crate::device::{Device, HostReceive, HostTransmit};
use crate::stack::{ConnectRequest as Asked, InterfaceId, ListenOptions, ListenerId, Refusal};

/// How long a request waits where nothing else is said: a connection attempt of most programs has been given up by then.
const LIFE: Duration = Duration::from_secs(60);

impl<D> HostBuilder<D>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    /// Are packets to any other host's address that come in by this device taken as ours
    /// ([`InterfaceConfig::accept_foreign`](crate::stack::InterfaceConfig::accept_foreign), default no)? With [`Host::tcp_requests`] it is a transparent proxy.
    #[must_use]
    pub fn accept_foreign(self, accepted: bool) -> Self {
        self.interface(|interface| interface.accept_foreign(accepted))
    }
}

impl Host {
    /// Hears of connection requests, and answers none by itself: each waits until it is accepted or refused, 60 seconds at most.
    /// Port 0 is every port, but for those that others listen on; `0.0.0.0:0` and `[::]:0` with
    /// [`HostBuilder::accept_foreign`] are everything that hosts behind the device connect to.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`; `NotConnected` when the host was shut down.
    pub fn tcp_requests(&self, on: impl ToSocketAddrs) -> io::Result<Requests> {
        let options = ListenOptions::new(self.shared.tcp.clone());
        self.tcp_requests_with(on, options.hold(Some(LIFE)))
    }

    /// The same with these options: the backlog is how many wait at most, [`ListenOptions::hold`] for how long (60 seconds where it
    /// says nothing).
    ///
    /// # Errors
    /// Those of [`tcp_requests`](Self::tcp_requests).
    pub fn tcp_requests_with(
        &self,
        on: impl ToSocketAddrs,
        options: ListenOptions,
    ) -> io::Result<Requests> {
        let life = options.hold_setting().unwrap_or(LIFE);
        each_address(on, |on| {
            let options = options.clone().hold(Some(life));
            Requests::open(&self.shared, on, options.any_port(on.port() == 0))
        })
    }
}

/// Connection requests, as they come. The last handle that is dropped resets those that wait, handed out or not.
#[derive(Clone)]
pub struct Requests {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    id: ListenerId,
    local: SocketAddr,
    waits: Arc<Waits>,
}

impl Requests {
    fn open(shared: &Arc<Shared>, on: SocketAddr, options: ListenOptions) -> io::Result<Self> {
        let mut core = shared.lock();
        core.check_open()?;
        let id = core.stack.tcp_listen(on, options)?;
        let local = core.stack.tcp_listener_addr(id)?;
        let waits = core.sockets.add_requests(id);
        drop(core);
        Ok(Self {
            inner: Arc::new(Inner {
                shared: Arc::clone(shared),
                id,
                local,
                waits,
            }),
        })
    }

    /// Waits for the next request; `None`: as long as it takes.
    ///
    /// # Errors
    /// `TimedOut`; `AddrNotAvailable` when the address was taken away; `NotConnected` when the host was shut down.
    pub fn next(&self, timeout: Option<Duration>) -> io::Result<ConnectRequest> {
        let Inner {
            shared, id, waits, ..
        } = &*self.inner;
        let patience = Patience::to_receive(timeout.map(|timeout| clock::now() + timeout));
        let asked =
            shared.block_on_stack(&waits.readable, patience, |stack, _| stack.tcp_request(*id))?;
        match asked {
            Some(asked) => Ok(self.hand_out(asked)),
            None => Err(timed_out("nobody asked for a connection")),
        }
    }

    /// Hears as [`next`](Self::next) does; pending while nobody asks. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// Those of [`next`](Self::next) but `TimedOut`.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<io::Result<ConnectRequest>> {
        let Inner {
            shared, id, waits, ..
        } = &*self.inner;
        let asked = shared.poll_stack(cx, &waits.readable, |stack, _| stack.tcp_request(*id));
        asked.map_ok(|asked| self.hand_out(asked))
    }

    /// The same as a future, which may be dropped at any time: no request is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_next`](Self::poll_next).
    pub async fn next_async(&self) -> io::Result<ConnectRequest> {
        let side = &self.inner.waits.readable;
        Polling::new(side, |cx| self.poll_next(cx)).await
    }

    fn hand_out(&self, asked: Asked) -> ConnectRequest {
        ConnectRequest {
            shared: Arc::clone(&self.inner.shared),
            asked,
            answered: false,
        }
    }

    /// The address that it hears of; port 0 for every port.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.local
    }
}

impl AsSource for Requests {
    fn as_source(&self) -> Source {
        let Inner {
            shared, id, waits, ..
        } = &*self.inner;
        Source::of_stack(shared, waits, *id)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.waits.retire();
        let mut core = self.shared.lock();
        core.sockets.remove_requests(self.id);
        if core.check().is_ok() {
            let now = clock::now();
            core.stack.tcp_listener_close(now, self.id);
            self.shared.finish(core, now);
        }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("local", &self.inner.local)
            .finish_non_exhaustive()
    }
}

/// Somebody wants to connect, and waits for the answer. One that is dropped is refused by a RST.
pub struct ConnectRequest {
    shared: Arc<Shared>,
    asked: Asked,
    answered: bool,
}

impl ConnectRequest {
    /// Who asks.
    pub const fn peer(&self) -> SocketAddr {
        self.asked.peer
    }

    /// Whom it asks for.
    pub const fn local(&self) -> SocketAddr {
        self.asked.local
    }

    /// The interface that it came in on.
    pub const fn interface(&self) -> InterfaceId {
        self.asked.on
    }

    /// Shakes hands, and waits for nothing: what is written is sent when that is over, and reads and writes tell when it fails.
    ///
    /// # Errors
    /// `NotConnected` when its time was over or who asked gave it up; `NetworkUnreachable` when no way leads back; `OutOfMemory`
    /// when the sockets use all that they may. The request is refused by a RST then.
    pub fn accept(mut self) -> io::Result<TcpStream> {
        let mut core = self.shared.lock_running()?;
        let now = clock::now();
        let id = core.stack.tcp_admit(now, self.asked.id)?;
        let waits = core.sockets.add_stream(id);
        let stream = TcpStream::new(Arc::clone(&self.shared), id, &core.stack, waits);
        self.shared.finish(core, now);
        self.answered = true;
        Ok(stream)
    }

    /// Refuses it.
    ///
    /// # Errors
    /// `NotConnected` when it was over already, or the host was shut down.
    pub fn refuse(mut self, how: Refusal) -> io::Result<()> {
        self.answered = true;
        self.answer(how)
    }

    fn answer(&self, how: Refusal) -> io::Result<()> {
        let mut core = self.shared.lock_running()?;
        let now = clock::now();
        let refused = core.stack.tcp_refuse(now, self.asked.id, how);
        self.shared.finish(core, now);
        Ok(refused?)
    }
}

impl Drop for ConnectRequest {
    fn drop(&mut self) {
        if !self.answered {
            // One that is over needs no answer.
            let _ = self.answer(Refusal::Reset);
        }
    }
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("peer", &self.asked.peer)
            .field("local", &self.asked.local)
            .finish_non_exhaustive()
    }
}
