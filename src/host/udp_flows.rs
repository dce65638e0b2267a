//! UDP by flows: [`UdpFlows`], [`UdpFlow`], a handle for each peer and destination.
//!
//! *Owns* the handles and the settings. *Does not* part the datagrams: `flow_table` does, under the lock.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::clock;
use super::datagram::Datagram;
use super::error::HostError;
use super::flow_table::{Bounds, Flow, FlowTable};
use super::lead::Until;
use super::poller::{AsSource, Interest, Source};
use super::shared::Shared;
use super::udp::UdpSocket;
use super::udp_queue::Flows;
use super::waits::{Polling, Waits};
use super::{Host, each_address};
use crate::base::Instant;
use crate::stack::{InterfaceId, SendInfo, UdpOptions};

/// How a UDP socket is parted into flows.
#[derive(Clone, Copy, Debug)]
pub struct FlowOptions {
    udp: UdpOptions,
    bounds: Bounds,
}

impl Default for FlowOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl FlowOptions {
    /// 1024 flows, each of 64 datagrams and 64 KiB at most, and silent for 2 minutes at most (RFC 4787 REQ-5 has no less).
    pub fn new() -> Self {
        let bounds = Bounds {
            flows: 1024,
            datagrams: 64,
            bytes: 64 << 10,
            idle: Duration::from_secs(120),
        };
        Self {
            udp: UdpOptions::new(),
            bounds,
        }
    }

    /// So many flows at once, those that nobody has taken yet included; the first datagram of one more is dropped and counted.
    #[must_use]
    pub const fn flows(mut self, flows: usize) -> Self {
        self.bounds.flows = flows;
        self
    }

    /// So many datagrams wait in each flow at most; more are dropped and counted.
    #[must_use]
    pub const fn datagrams(mut self, datagrams: usize) -> Self {
        self.bounds.datagrams = datagrams;
        self
    }

    /// So many bytes of them, counted as for a [receive buffer](UdpOptions::recv_buffer), with those that a user has and holds on to.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// A flow ends when nothing came and nothing was sent for this long.
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.bounds.idle = idle;
        self
    }

    /// Options of the socket itself.
    #[must_use]
    pub const fn udp(mut self, options: UdpOptions) -> Self {
        self.udp = options;
        self
    }
}

impl Host {
    /// Receives UDP by flows: what one peer sends to one destination comes to a handle of its own, which answers from there. Port 0
    /// is every port, but for those that others are bound to; `0.0.0.0:0` and `[::]:0` with
    /// [`HostBuilder::accept_foreign`](super::HostBuilder::accept_foreign) are all that hosts behind the device send, as for
    /// [`tcp_requests`](Self::tcp_requests).
    ///
    /// ```
    /// # use std::{thread, time::Duration};
    /// use netloom::bytes::Bytes;
    /// use netloom::device::{Medium, pair};
    /// use netloom::host::{FlowOptions, Host};
    ///
    /// # fn main() -> Result<(), netloom::Report> {
    /// let (a, b) = pair(Medium::Ip, 1500);
    /// let a = Host::builder(a).address("10.7.0.1/24".parse()?).spawn()?;
    /// let b = Host::builder(b).address("10.7.0.2/24".parse()?).spawn()?;
    /// let flows = b.udp_flows("10.7.0.2:0", FlowOptions::new().idle(Duration::from_secs(30)))?;
    /// let echo = thread::spawn(move || {
    ///     let flow = flows.accept(None)?;
    ///     println!("{} speaks to {}", flow.peer(), flow.local());
    ///     while let Some(datagram) = flow.recv(None)? {
    ///         flow.send(&datagram.data.into_bytes())?;
    ///     }
    ///     std::io::Result::Ok(())
    /// });
    /// let socket = a.udp_bind("10.7.0.1:0")?;
    /// socket.send_to(b"question", "10.7.0.2:5353")?;
    /// let mut answer = [0; 8];
    /// assert_eq!(socket.recv_from(&mut answer)?, (8, "10.7.0.2:5353".parse()?));
    /// # drop((a, b));
    /// # let _ = echo.join();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`; `NotConnected` when the host was shut down.
    pub fn udp_flows(&self, on: impl ToSocketAddrs, options: FlowOptions) -> io::Result<UdpFlows> {
        each_address(on, |on| UdpFlows::open(&self.shared, on, &options))
    }
}

/// Flows as they begin. When it is dropped no more begin; those that did go on.
pub struct UdpFlows {
    begun: Receiver<UdpFlow>,
    refused: Arc<AtomicUsize>,
    waits: Arc<Waits>,
    // Behind what may hold the last other handle of it.
    socket: UdpSocket,
}

impl UdpFlows {
    fn open(shared: &Arc<Shared>, on: SocketAddr, options: &FlowOptions) -> io::Result<Self> {
        let (sender, begun) = crossbeam_channel::unbounded();
        let (refused, waits) = (Arc::default(), Arc::<Waits>::default());
        let udp = match on.port() {
            0 => options.udp.any_port(true),
            _ => options.udp,
        };
        let socket = UdpSocket::bind_into(shared, on, udp, |socket, unread| {
            Some(Flows {
                table: FlowTable::new(options.bounds, unread),
                begun: sender,
                socket,
                refused: Arc::clone(&refused),
                waits: Arc::clone(&waits),
            })
        })?;
        Ok(Self {
            begun,
            refused,
            waits,
            socket,
        })
    }

    /// Waits for the next flow, whose first datagram waits in it; `None`: as long as it takes.
    ///
    /// # Errors
    /// `TimedOut`; `NotConnected` when the host was shut down.
    pub fn accept(&self, timeout: Option<Duration>) -> io::Result<UdpFlow> {
        let shared = self.socket.parts().0;
        let next = next(shared, &self.begun, timeout, || false)?;
        next.ok_or_else(|| shared.error().unwrap_or(HostError::Closed).into())
    }

    /// The same for a task; pending while none begins. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UdpFlow>> {
        let shared = self.socket.parts().0;
        let over = || Err(shared.error().unwrap_or(HostError::Closed).into());
        self.waits
            .readable
            .poll(cx, || match self.begun.try_recv() {
                Ok(flow) => Some(Ok(flow)),
                Err(TryRecvError::Disconnected) => Some(over()),
                Err(TryRecvError::Empty) => None,
            })
    }

    /// The same as a future, which may be dropped at any time: no flow is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_accept`](Self::poll_accept).
    pub async fn accept_async(&self) -> io::Result<UdpFlow> {
        Polling::new(&self.waits.readable, |cx| self.poll_accept(cx)).await
    }

    /// The queue itself; disconnected when the host ends.
    pub const fn receiver(&self) -> &Receiver<UdpFlow> {
        &self.begun
    }

    /// Flows that did not begin, for there were as many as may be, or the memory for all sockets was full.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// The address that it hears of.
    ///
    /// # Errors
    /// None; as in std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl AsSource for UdpFlows {
    fn as_source(&self) -> Source {
        let (shared, id, _) = self.socket.parts();
        let (host, begun) = (Arc::clone(shared), self.begun.clone());
        Source::new(shared, &self.waits, move |interest| {
            let open = host.lock().sockets.has_udp(id);
            if begun.is_empty() && open {
                Interest::empty()
            } else {
                interest & Interest::READABLE
            }
        })
    }
}

/// Readable alone: what a flow has no room to send it drops ([`UdpFlow::try_send`]), so that it may always send.
impl AsSource for UdpFlow {
    fn as_source(&self) -> Source {
        let (shared, id, _) = self.socket.parts();
        let (host, flow) = (Arc::clone(shared), Arc::clone(&self.flow));
        let datagrams = self.datagrams.clone();
        Source::new(shared, &self.flow.waits, move |interest| {
            let open = host.lock().sockets.has_udp(id) && !flow.is_over();
            if datagrams.is_empty() && open {
                interest & Interest::WRITABLE
            } else {
                interest
            }
        })
    }
}

impl Drop for UdpFlows {
    fn drop(&mut self) {
        self.waits.retire();
    }
}

impl fmt::Debug for UdpFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpFlows")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// What one peer sends to one destination, and what is answered.
pub struct UdpFlow {
    flow: Arc<Flow>,
    datagrams: Receiver<Datagram>,
    info: SendInfo,
    on: InterfaceId,
    socket: UdpSocket,
}

impl UdpFlow {
    pub(super) const fn new(
        socket: UdpSocket,
        flow: Arc<Flow>,
        datagrams: Receiver<Datagram>,
        (info, on): (SendInfo, InterfaceId),
    ) -> Self {
        Self {
            flow,
            datagrams,
            info,
            on,
            socket,
        }
    }

    /// Who sends.
    pub fn peer(&self) -> SocketAddr {
        self.flow.ends.0
    }

    /// Whom to: the address and port that the peer sends to.
    pub fn local(&self) -> SocketAddr {
        self.flow.ends.1
    }

    /// The interface that its first datagram came in on.
    pub const fn interface(&self) -> InterfaceId {
        self.on
    }

    /// Waits for a datagram; `None` of them: the flow has ended, for nobody spoke for as long as [`FlowOptions::idle`] says. What
    /// its peer sends then is another one's.
    ///
    /// # Errors
    /// `TimedOut` after `timeout`; `NotConnected` when the host was shut down.
    pub fn recv(&self, timeout: Option<Duration>) -> io::Result<Option<Datagram>> {
        let shared = self.socket.parts().0;
        match next(shared, &self.datagrams, timeout, || self.flow.is_over())? {
            Some(datagram) => Ok(Some(datagram)),
            None => self.over(),
        }
    }

    /// The same for a task; pending while nothing comes. One task at a time waits: the last that polled.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Datagram>>> {
        let readable = &self.flow.waits.readable;
        readable.poll(cx, || match self.datagrams.try_recv() {
            Ok(datagram) => Some(Ok(Some(datagram))),
            Err(TryRecvError::Disconnected) => Some(self.over()),
            Err(TryRecvError::Empty) => None,
        })
    }

    /// The same as a future, which may be dropped at any time: nothing is lost with it.
    ///
    /// # Errors
    /// Those of [`poll_recv`](Self::poll_recv).
    pub async fn recv_async(&self) -> io::Result<Option<Datagram>> {
        let readable = &self.flow.waits.readable;
        Polling::new(readable, |cx| self.poll_recv(cx)).await
    }

    /// The queue itself; disconnected when the flow or the host ends.
    pub const fn receiver(&self) -> &Receiver<Datagram> {
        &self.datagrams
    }

    /// Sends to the peer, from whom it sends to; waits while the device's queue is full.
    ///
    /// # Errors
    /// When it is too large, or no way leads there; `NotConnected` when the host was shut down.
    pub fn send(&self, data: &Bytes) -> io::Result<()> {
        self.flow.speak(clock::now());
        self.socket
            .send_with(data, Some(self.peer()), None, &self.info)
    }

    /// The same, that waits for nothing: for a task, which may drop what there is no room for, as a network would.
    ///
    /// # Errors
    /// Those of [`send`](Self::send); `WouldBlock`.
    pub fn try_send(&self, data: &Bytes) -> io::Result<()> {
        let (shared, id, _) = self.socket.parts();
        let mut core = shared.lock_running()?;
        let now = clock::now();
        self.flow.speak(now);
        let (to, data) = (Some(self.peer()), data.clone());
        let sent = core
            .stack
            .udp_send_with(now, id, to, data, None, &self.info);
        shared.finish(core, now);
        Ok(sent?)
    }

    /// Datagrams that were lost because as many as may waited already, or one did while the memory for all sockets was full.
    pub fn dropped(&self) -> usize {
        self.flow.dropped()
    }

    /// Nothing more comes: it was silent, or the host has ended.
    fn over<T>(&self) -> io::Result<Option<T>> {
        match self.socket.parts().0.error() {
            Some(why) => Err(why.into()),
            None => Ok(None),
        }
    }
}

impl Drop for UdpFlow {
    fn drop(&mut self) {
        self.flow.waits.retire();
        let (shared, id, _) = self.socket.parts();
        let mut core = shared.lock();
        core.sockets.remove_flow(id, &self.flow);
    }
}

impl fmt::Debug for UdpFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer, local) = self.flow.ends;
        f.debug_struct("UdpFlow")
            .field("peer", &peer)
            .field("local", &local)
            .finish_non_exhaustive()
    }
}

/// Waits for what a turn puts into a channel, or until that is `over`, which a channel does not say by itself; `None`: it is.
fn next<T>(
    shared: &Shared,
    channel: &Receiver<T>,
    timeout: Option<Duration>,
    over: impl Fn() -> bool,
) -> io::Result<Option<T>> {
    let deadline: Option<Instant> = timeout.map(|timeout| clock::now() + timeout);
    let until = Until {
        ready: &|| !channel.is_empty() || over(),
        deadline,
        sends: false,
    };
    loop {
        match channel.try_recv() {
            Ok(next) => return Ok(Some(next)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {}
        }
        let now = clock::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if shared.lead_for_channel(&until) {
            continue;
        }
        let next = match deadline {
            None => channel.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => channel.recv_timeout(deadline.since(now)),
        };
        match next {
            Ok(next) => return Ok(Some(next)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
