//! Opening a connection: [`ConnectOptions`] and the wait for the handshake, or none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Host;
use super::block::{Patience, timed_out};
use super::clock;
use super::locked::Locked;
use super::shared::Shared;
use super::state::Core;
use super::tcp::{TcpStream, WRITE_PIECE};
use super::waits::{Polling, Waits};
use crate::base::Instant;
use crate::stack::{ConnectError, InterfaceId, Stack, TcpId};
use crate::tcp::TcpOptions;

impl Host {
    /// Connects and sends `request` at once, by fast open (RFC 7413; Linux's `MSG_FASTOPEN`): to a server that gave us a
    /// cookie before, it goes with the SYN, as much of it as fits one segment; to any other with the handshake's end, and a
    /// cookie is asked for. Waits for nothing: reads and writes tell how it went. Returns the connection and how many bytes
    /// were taken. A server may be given the request twice (§2.1): it is to be one that may be repeated.
    ///
    /// # Errors
    /// Those of [`tcp_connect`](Self::tcp_connect) that are known before anything is sent.
    pub fn tcp_connect_fast(
        &self,
        to: SocketAddr,
        options: &ConnectOptions,
        request: &[u8],
    ) -> io::Result<(TcpStream, usize)> {
        TcpStream::connect_fast(&self.shared, to, options, request)
    }

    /// Connects as [`tcp_connect_with`](Self::tcp_connect_with) does, to one address, with any executor. A future that is dropped gives the
    /// attempt up. The options' time-out is not for it: an executor has its own.
    ///
    /// # Errors
    /// Those of [`tcp_connect`](Self::tcp_connect) but of its time-out.
    pub async fn connect_async(
        &self,
        to: SocketAddr,
        options: &ConnectOptions,
    ) -> io::Result<TcpStream> {
        TcpStream::connect_async(&self.shared, to, options).await
    }
}

/// How to connect: from where, with what options, for how long.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    pub(super) bind: Option<SocketAddr>,
    pub(super) tcp: Option<TcpOptions>,
    pub(super) timeout: Option<Duration>,
    interface: Option<InterfaceId>,
}

impl ConnectOptions {
    /// Any source, the host's options, as long as the SYN retries take.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects from this address; port 0 chooses one.
    #[must_use]
    pub const fn bind(mut self, local: SocketAddr) -> Self {
        self.bind = Some(local);
        self
    }

    /// Options of this connection instead of the host's.
    #[must_use]
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = Some(options);
        self
    }

    /// Connects by this interface alone, and hears nothing that comes in on another one (`SO_BINDTODEVICE`;
    /// [`Stack::tcp_connect_on`]).
    #[must_use]
    pub const fn interface(mut self, on: InterfaceId) -> Self {
        self.interface = Some(on);
        self
    }

    /// Begins.
    pub(super) fn open(
        &self,
        stack: &mut Stack,
        now: Instant,
        remote: SocketAddr,
        tcp: TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        match self.interface {
            Some(on) => stack.tcp_connect_on(now, on, remote, self.bind, tcp),
            None => stack.tcp_connect(now, remote, self.bind, tcp),
        }
    }

    /// Gives up after this long.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl TcpStream {
    /// Connects with what of `request` the send buffer takes, and waits for nothing.
    fn connect_fast(
        shared: &Arc<Shared>,
        remote: SocketAddr,
        options: &ConnectOptions,
        request: &[u8],
    ) -> io::Result<(Self, usize)> {
        let mut core = shared.lock();
        core.check_open()?;
        let now = clock::now();
        let tcp = options.tcp.clone().unwrap_or_else(|| shared.tcp.clone());
        let tcp = tcp.fast_open(true);
        let id = options.open(&mut core.stack, now, remote, tcp)?;
        let piece = &request[..request.len().min(WRITE_PIECE)];
        // One that has just begun has room, or says why not when it is written to again.
        let taken = core.stack.tcp_write(now, id, piece).unwrap_or(0);
        let waits = core.sockets.add_stream(id);
        let stream = Self::new(Arc::clone(shared), id, &core.stack, waits);
        shared.finish(core, now);
        Ok((stream, taken))
    }

    /// Connects and waits until it is established, refused, or `deadline` has come.
    pub(crate) fn connect(
        shared: &Arc<Shared>,
        remote: SocketAddr,
        options: &ConnectOptions,
    ) -> io::Result<Self> {
        let deadline = options.timeout.map(|timeout| clock::now() + timeout);
        let (attempt, core) = Attempt::begin(shared, remote, options)?;
        let side = &attempt.waits.writable;
        let made = shared.block_on(core, side, Patience::to_receive(deadline), |core, _| {
            attempt.outcome(core)
        })?;
        made.ok_or_else(|| timed_out("connection attempt timed out"))?;
        Ok(attempt.succeed())
    }

    /// The same for a task.
    async fn connect_async(
        shared: &Arc<Shared>,
        remote: SocketAddr,
        options: &ConnectOptions,
    ) -> io::Result<Self> {
        let (attempt, core) = Attempt::begin(shared, remote, options)?;
        shared.finish(core, clock::now());
        let look = || attempt.outcome(&mut shared.lock());
        Polling::new(&attempt.waits.writable, |cx| {
            attempt.waits.writable.poll(cx, look)
        })
        .await?;
        Ok(attempt.succeed())
    }
}

/// A connection that is being made; one that is dropped is given up.
struct Attempt {
    shared: Arc<Shared>,
    id: TcpId,
    waits: Arc<Waits>,
    made: bool,
}

impl Attempt {
    /// Begins; the SYN leaves with the end of the call.
    fn begin<'a>(
        shared: &'a Arc<Shared>,
        remote: SocketAddr,
        options: &ConnectOptions,
    ) -> io::Result<(Self, Locked<'a>)> {
        let mut core = shared.lock();
        core.check_open()?;
        let now = clock::now();
        let tcp = options.tcp.clone().unwrap_or_else(|| shared.tcp.clone());
        let id = options.open(&mut core.stack, now, remote, tcp)?;
        let attempt = Self {
            shared: Arc::clone(shared),
            id,
            waits: core.sockets.add_stream(id),
            made: false,
        };
        Ok((attempt, core))
    }

    /// How it went, if that is known.
    fn outcome(&self, core: &mut Core) -> Option<io::Result<()>> {
        if let Err(why) = core.check() {
            return Some(Err(why.into()));
        }
        if self.waits.is_connected() {
            return Some(Ok(()));
        }
        self.waits.has_failed().then(|| {
            Err(match core.stack.tcp_failure(self.id) {
                Ok(Some(failure)) => failure.into(),
                Ok(None) => io::ErrorKind::ConnectionAborted.into(),
                Err(stale) => stale.into(),
            })
        })
    }

    fn succeed(mut self) -> TcpStream {
        self.made = true;
        let core = self.shared.lock();
        let (shared, waits) = (Arc::clone(&self.shared), Arc::clone(&self.waits));
        let stream = TcpStream::new(shared, self.id, &core.stack, waits);
        self.shared.finish(core, clock::now());
        stream
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.made {
            return;
        }
        self.waits.retire();
        let mut core = self.shared.lock();
        core.sockets.remove_stream(self.id);
        if core.check().is_ok() {
            let now = clock::now();
            core.stack.tcp_abort(now, self.id);
            self.shared.finish(core, now);
        }
    }
}
