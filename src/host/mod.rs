//! A running host: one stack, its devices, the clock and a thread, behind blocking handles.
//!
//! *Owns* the OS side of the stack. *Does not* know a protocol: every call is one of
//! [`Stack`](crate::stack::Stack)'s, which is as public as this, and portable; this is Linux only.
//!
//! | file | owns |
//! |---|---|
//! | `builder.rs` | [`HostBuilder`]: addresses, options, capture, spawning |
//! | `open.rs`, `devices.rs` | what is around a device; the ways out of all |
//! | `attach.rs`, `members.rs` | devices that come and go; what is known of each interface |
//! | `engine.rs` | driving: read, turn, what to sleep on |
//! | `driver.rs` | the thread that does it |
//! | `drive.rs`, `descriptor.rs`, `driver_task.rs` | [`Driver`]; all that it waits for as one descriptor; one that is a task |
//! | `shared.rs`, `state.rs` | the locks and the turn; what is behind the lock |
//! | `locked.rs` | a panic under the lock ends the host for all |
//! | `lead.rs`, `roles.rs` | a thread that would block drives itself; who looks at the device |
//! | `sockets.rs` | tables from ids to waiters and channels |
//! | `block.rs`, `tasks.rs` | the one way in which a thread waits, and that in which a task does |
//! | `connect.rs`, `listener.rs`, `tcp.rs`, `tcp_io.rs`, `tcp_poll.rs`, `udp.rs`, `ping.rs`, `raw.rs`, `packets.rs` | the handles |
//! | `names.rs`, `told.rs` | names looked up, and connected to; whom the network says to ask (feature `dns`) |
//! | `sleeper.rs`, `waits.rs`, `news.rs` | ppoll and eventfd; condition variables; wakers |
//! | `poller.rs`, `poll_list.rs`, `watcher.rs` | [`Poller`], its line, and the way there from a socket |
//! | `interface.rs`, `routers.rs`, `first.rs` | [`Interface`]: what it says, how it is changed; the first |
//! | `clock.rs`, `settings.rs`, `error.rs` | time, shared settings, errors |
//!
//! ```text
//!  users' threads --- write, read ---+                 +--- receive half (own lock)
//!        |  wait on their socket     v                 v
//!        |  or on its channel   [ mutex: stack, transmit half ] <- turn: batch, timers, send
//!        +<---- woken by whoever dispatches its event --+--- driver thread, or one that leads
//! ```

mod attach;
mod block;
mod builder;
mod builder_devices;
mod clock;
mod connect;
mod datagram;
mod descriptor;
mod devices;
mod drive;
mod driver;
mod driver_task;
mod engine;
mod error;
mod first;
mod flow_table;
#[cfg(feature = "futures-io")]
mod futures_io;
mod interface;
mod lead;
mod listener;
mod locked;
mod members;
#[cfg(feature = "dns")]
mod names;
#[cfg(not(feature = "dns"))]
#[path = "names_none.rs"]
mod names;
mod news;
mod open;
mod packets;
mod ping;
mod poll_list;
mod poller;
mod raw;
mod requests;
mod roles;
mod routers;
mod settings;
mod shared;
mod sleeper;
mod sockets;
mod state;
#[cfg(any(feature = "tokio", feature = "futures-io"))]
mod streams;
mod sync;
mod tasks;
mod tcp;
mod tcp_io;
mod tcp_poll;
mod tcp_settings;
mod tcp_split;
mod tcp_urgent;
#[cfg(feature = "tokio")]
mod tokio_io;
#[cfg(feature = "dns")]
mod told;
mod udp;
mod udp_flows;
mod udp_groups;
mod udp_poll;
mod udp_queue;
mod waits;
mod watcher;

pub use builder::HostBuilder;
pub use connect::ConnectOptions;
pub use datagram::Datagram;
pub use drive::{Driver, Turned};
pub use error::{HostError, SpawnError};
pub use interface::Interface;
pub use listener::{Incoming, TcpListener};
pub use packets::PacketSocket;
pub use ping::{PingSocket, Pong};
pub use poller::{AsSource, Events, Interest, PollMode, Polled, Poller};
pub use raw::RawSocket;
pub use requests::{ConnectRequest, Requests};
#[cfg(any(feature = "tokio", feature = "futures-io"))]
pub use streams::Connections;
pub use tcp::TcpStream;
pub use tcp_split::{ReadHalf, WriteHalf};
pub use udp::UdpSocket;
pub use udp_flows::{FlowOptions, UdpFlow, UdpFlows};

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::capture::{CaptureWatch, RecordingWatch};
use crate::device::{Device, HostReceive, HostTransmit};
use crate::stack::{
    Counters, ListenOptions, MemoryInfo, PacketOptions, PingOptions, RawOptions, UdpOptions,
};
use crate::tcp::{TcpInfo, TcpOptions};
use shared::Shared;

/// A network host in this process.
///
/// It has one device or [several](HostBuilder::attach), each with an interface of its own: what it says of *the* interface is of the
/// first, and [`on`](Self::on) names another. When one of several devices fails, its interface goes, and the host with the last.
///
/// Dropping it resets its connections, joins its threads and closes the devices; handles that
/// outlive it fail with `NotConnected`. One that its user [drives](HostBuilder::build) does so in the next turn of its [`Driver`], or as that
/// is dropped.
pub struct Host {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    first: Interface,
    capture: Option<CaptureWatch>,
    recording: Option<RecordingWatch>,
}

/// One connection of a host: its ends, and what TCP_INFO would say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// This end.
    pub local: SocketAddr,
    /// The peer.
    pub peer: SocketAddr,
    /// Times, windows, counters.
    pub info: TcpInfo,
}

impl Host {
    /// Begins a host on this device.
    pub fn builder<D>(device: D) -> HostBuilder<D>
    where
        D: Device,
        D::Rx: HostReceive,
        D::Tx: HostTransmit,
    {
        HostBuilder::new(device)
    }

    /// Listens for TCP connections. Names, as opposed to addresses, are resolved by the system.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`, `InvalidInput`; `NotConnected` when the host was shut down.
    pub fn tcp_listen(&self, on: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let options = ListenOptions::new(self.shared.tcp.clone());
        self.tcp_listen_with(on, options)
    }

    /// Listens with these options. The backlog is also the size of the listener's channel.
    ///
    /// # Errors
    /// Those of [`tcp_listen`](Self::tcp_listen).
    pub fn tcp_listen_with(
        &self,
        on: impl ToSocketAddrs,
        options: ListenOptions,
    ) -> io::Result<TcpListener> {
        each_address(on, |on| {
            TcpListener::listen(&self.shared, on, options.clone())
        })
    }

    /// Connects, as long as the SYN retries take (RFC 9293 §3.8.3 MUST-23: over 3 minutes).
    ///
    /// # Errors
    /// `ConnectionRefused`, `TimedOut`, `HostUnreachable`, `NetworkUnreachable` and others;
    /// `NotConnected` when the host was shut down.
    pub fn tcp_connect(&self, to: impl ToSocketAddrs) -> io::Result<TcpStream> {
        self.tcp_connect_with(to, &ConnectOptions::new())
    }

    /// Connects within this time.
    ///
    /// # Errors
    /// Those of [`tcp_connect`](Self::tcp_connect).
    pub fn tcp_connect_timeout(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        self.tcp_connect_with(to, &ConnectOptions::new().timeout(timeout))
    }

    /// Connects with these options; each address that `to` names is tried in turn.
    ///
    /// # Errors
    /// Those of [`tcp_connect`](Self::tcp_connect).
    pub fn tcp_connect_with(
        &self,
        to: impl ToSocketAddrs,
        options: &ConnectOptions,
    ) -> io::Result<TcpStream> {
        each_address(to, |to| TcpStream::connect(&self.shared, to, options))
    }

    /// Binds a UDP socket; port 0 chooses one (RFC 6056).
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`; `NotConnected` when the host was shut down.
    pub fn udp_bind(&self, on: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        self.udp_bind_with(on, UdpOptions::default())
    }

    /// Binds a UDP socket with these options.
    ///
    /// # Errors
    /// Those of [`udp_bind`](Self::udp_bind).
    pub fn udp_bind_with(
        &self,
        on: impl ToSocketAddrs,
        options: UdpOptions,
    ) -> io::Result<UdpSocket> {
        each_address(on, |on| UdpSocket::bind(&self.shared, on, options))
    }

    /// Opens a socket for ICMP echo requests.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn ping_socket(&self) -> io::Result<PingSocket> {
        self.ping_socket_with(PingOptions::default())
    }

    /// Opens a socket for ICMP echo requests with these options.
    ///
    /// # Errors
    /// `NotConnected` when the host was shut down.
    pub fn ping_socket_with(&self, options: PingOptions) -> io::Result<PingSocket> {
        PingSocket::open(&self.shared, options)
    }

    /// Opens a packet socket: link frames of one interface.
    ///
    /// # Errors
    /// [`PacketError`](crate::stack::PacketError); `NotConnected` when the host was shut down.
    pub fn packet_socket(&self, options: PacketOptions) -> io::Result<PacketSocket> {
        PacketSocket::open(&self.shared, options)
    }

    /// Opens a raw IP socket.
    ///
    /// # Errors
    /// [`RawError`](crate::stack::RawError); `NotConnected` when the host was shut down.
    pub fn raw_socket(&self, options: RawOptions) -> io::Result<RawSocket> {
        RawSocket::open(&self.shared, options)
    }

    /// Sends one echo request with 56 bytes and waits for what comes back.
    ///
    /// # Errors
    /// `TimedOut` when nothing does; those of [`PingSocket::send`].
    pub fn ping(&self, to: IpAddr, timeout: Duration) -> io::Result<Pong> {
        let socket = self.ping_socket()?;
        socket.send(to, 1, 56)?;
        socket.recv(timeout)
    }

    /// Waits until duplicate detection is over (RFC 4862 §5.4, RFC 5227 §2.1): each address is usable, or another
    /// station has it. [`addresses`](Self::addresses) tells which. With DHCP it waits for a lease, whose address is one
    /// of them; with router discovery for an address that is made of what a router says; with
    /// [both](HostBuilder::auto) for the first of these, so that a link with one family does not wait for the other.
    /// With several interfaces it waits for each; a host without any is ready.
    ///
    /// The host goes on with the addresses that are left, for anybody on the link can make one a
    /// duplicate (docs/limits.md).
    ///
    /// # Errors
    /// `TimedOut`, which says whether a lease or a router is missing; `AddrInUse` when another station has every address that was given to an
    /// interface; why the host ended, when it did.
    pub fn wait_ready(&self, timeout: Duration) -> io::Result<()> {
        self.shared
            .wait_ready(None, timeout, |given, duplicates| duplicates == given)
    }

    /// The same for those who would rather do without the host than without one of its addresses.
    ///
    /// # Errors
    /// Those of [`wait_ready`](Self::wait_ready); `AddrInUse` when another station has any address
    /// that was given. The link-local address that the host forms itself never counts.
    pub fn wait_all_ready(&self, timeout: Duration) -> io::Result<()> {
        self.shared
            .wait_ready(None, timeout, |_, duplicates| duplicates > 0)
    }

    /// The TCP options of connections that are given none.
    pub fn tcp_options(&self) -> &TcpOptions {
        &self.shared.tcp
    }

    /// What the stack has counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.lock().stack.counters().clone()
    }

    /// What all sockets hold together, and how short the memory for them is.
    pub fn memory(&self) -> MemoryInfo {
        let mut core = self.shared.lock();
        let core = &mut *core;
        core.sockets.charge_unread(&mut core.stack);
        core.stack.memory()
    }

    /// The connections that users hold. Those that they have let go are not among them, though some
    /// may still send; nor are those that are half-open or in TIME-WAIT. Many are no picture of one
    /// moment: the host goes on after every 256 of them.
    pub fn connections(&self) -> Vec<Connection> {
        let mut all = Vec::new();
        let mut last = None;
        loop {
            let core = self.shared.lock();
            let stack = &core.stack;
            let describe = |id| {
                Some(Connection {
                    local: stack.tcp_local_addr(id).ok()?,
                    peer: stack.tcp_peer_addr(id).ok()?,
                    info: stack.tcp_info(id).ok()?,
                })
            };
            let before = last;
            for id in stack.tcp_connections_after(last).take(DESCRIBED_AT_ONCE) {
                last = Some(id);
                all.extend(describe(id));
            }
            if last == before {
                return all;
            }
        }
    }

    /// The counters of the capture, when there is one. They may be kept beyond the host.
    pub const fn capture(&self) -> Option<&CaptureWatch> {
        self.capture.as_ref()
    }

    /// The counters of the recording, when there is one. They may be kept beyond the host.
    pub const fn recording(&self) -> Option<&RecordingWatch> {
        self.recording.as_ref()
    }

    /// Why the host ended by itself; `None` while it runs.
    pub fn error(&self) -> Option<HostError> {
        self.shared.error()
    }

    /// Waits until the host ends by itself, or until `timeout`; `None` waits for ever.
    pub fn wait(&self, timeout: Option<Duration>) -> Option<HostError> {
        let deadline = timeout.map(|timeout| clock::now() + timeout);
        self.shared.wait_until(deadline, state::Core::ended)
    }

    /// Ends the host in order: no new connections, a FIN on every open one after what was written,
    /// and the end when all are closed. What is still open after `within` is reset; returns how
    /// many that were. What came on connections that both ends have closed is still read from their handles.
    pub fn shutdown(&self, within: Duration) -> usize {
        let end = clock::now() + within;
        self.shared.request_end(Some(end));
        self.join();
        // One that its user drives ends in a turn of that, if there is one.
        self.shared
            .wait_until(Some(end + LAST_TURN), state::Core::ended);
        self.shared.aborted()
    }

    fn join(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A panic of the driver was printed by its thread.
            let _ = thread.join();
        }
        drop(thread);
        self.shared.closers.join();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.request_end(None);
        self.join();
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("interfaces", &self.interfaces())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}

/// How long the driver of a host may take for its last turn, before who waits for that gives up.
const LAST_TURN: Duration = Duration::from_secs(1);

/// Connections that are described under one lock: 0.1 ms.
const DESCRIBED_AT_ONCE: usize = 256;

/// Tries each address until one works; the last error otherwise, as std does.
fn each_address<T>(
    addresses: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in addresses.to_socket_addrs()? {
        match attempt(address) {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_address))
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no address was given")
}
