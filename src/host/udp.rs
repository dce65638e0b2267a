//! Blocking UDP: [`UdpSocket`], as in `std::net`, and its queue as a channel.
//!
//! RFC 768, RFC 1122 §4.1. *Owns* the handle. What has no room in the queue is dropped and
//! counted; bytes count against the socket's buffer until the user lets go of them.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};

use super::block::Patience;
use super::clock;
use super::datagram::Datagram;
use super::error::HostError;
use super::lead::Until;
use super::settings::Timeout;
use super::shared::Shared;
use super::udp_queue::{Flows, Queues, UdpQueue};
use super::waits::Waits;
use super::{each_address, no_address};
use crate::base::Instant;
use crate::stack::{self, SendError, SendInfo, Stack, UdpId, UdpOptions};

/// A UDP socket.
#[derive(Clone)]
pub struct UdpSocket {
    inner: Arc<Inner>,
}

/// A socket that lives as long as others hold it.
pub(crate) struct WeakSocket(Weak<Inner>);

impl WeakSocket {
    pub(super) fn upgrade(&self) -> Option<UdpSocket> {
        self.0.upgrade().map(|inner| UdpSocket { inner })
    }
}

struct Inner {
    shared: Arc<Shared>,
    id: UdpId,
    local: SocketAddr,
    datagrams: Receiver<Datagram>,
    errors: Receiver<io::Error>,
    /// A datagram that was looked at waits here for the next receive, one at most; who looks holds the lock.
    peek: Mutex<Sender<Datagram>>,
    peeked: Receiver<Datagram>,
    dropped: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
    waits: Arc<Waits>,
    read_timeout: Timeout,
    write_timeout: Timeout,
    nonblocking: AtomicBool,
}

impl UdpSocket {
    pub(crate) fn bind(
        shared: &Arc<Shared>,
        local: SocketAddr,
        options: UdpOptions,
    ) -> io::Result<Self> {
        Self::bind_into(shared, local, options, |_, _| None)
    }

    /// The same, whose datagrams go where `flows` says from the first on.
    pub(super) fn bind_into(
        shared: &Arc<Shared>,
        local: SocketAddr,
        options: UdpOptions,
        flows: impl FnOnce(WeakSocket, &Arc<AtomicUsize>) -> Option<Flows>,
    ) -> io::Result<Self> {
        let limit = options.recv_buffer_setting();
        let mut core = shared.lock();
        core.check_open()?;
        let id = core.stack.udp_bind(local, options)?;
        let local = core.stack.udp_local_addr(id)?;
        let (datagrams, receiver) = crossbeam_channel::unbounded();
        let (peeked, held) = crossbeam_channel::unbounded();
        let (errors, pending) = crossbeam_channel::bounded(1);
        let waits = Arc::new(Waits::default());
        let dropped = Arc::new(AtomicUsize::new(0));
        let gone = Arc::<AtomicBool>::default();
        let inner = Arc::new(Inner {
            shared: Arc::clone(shared),
            id,
            local,
            datagrams: receiver,
            errors: pending,
            peek: Mutex::new(peeked),
            peeked: held,
            dropped: Arc::clone(&dropped),
            gone: Arc::clone(&gone),
            waits: Arc::clone(&waits),
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
            nonblocking: AtomicBool::new(false),
        });
        let socket = WeakSocket(Arc::downgrade(&inner));
        let queue = UdpQueue {
            datagrams,
            errors,
            account: core.sockets.udp_account(),
            limit,
            dropped,
            gone,
            waits,
            flows: flows(socket, core.sockets.unread()),
        };
        core.sockets.add_udp(id, queue);
        drop(core);
        Ok(Self { inner })
    }

    /// Receives a datagram without a copy.
    ///
    /// # Errors
    /// `WouldBlock` in non-blocking mode or after the read time-out; `ConnectionRefused` and the
    /// like when a peer's ICMP error came back; `NotConnected` when the host was shut down.
    pub fn recv_datagram(&self) -> io::Result<Datagram> {
        self.receive(Self::try_recv_datagram)
    }

    /// Repeats `take` as things come, until it has something or it is late.
    fn receive<T>(&self, take: impl Fn(&Self) -> Option<io::Result<T>>) -> io::Result<T> {
        let inner = &self.inner;
        let until = Until {
            ready: &|| {
                !inner.datagrams.is_empty() || !inner.peeked.is_empty() || !inner.errors.is_empty()
            },
            deadline: inner.read_timeout.deadline(),
            sends: false,
        };
        loop {
            if let Some(received) = take(self) {
                return received;
            }
            let now = clock::now();
            let late = until.deadline.is_some_and(|late| late <= now);
            if late || inner.nonblocking.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if !inner.shared.lead_for_channel(&until) {
                inner.sleep(until.deadline.map(|late| late.since(now)));
            }
        }
    }

    /// What has come already; errors first, and before others what was looked at.
    pub(super) fn try_recv_datagram(&self) -> Option<io::Result<Datagram>> {
        if let Ok(error) = self.inner.errors.try_recv() {
            return Some(Err(error));
        }
        if let Ok(datagram) = self.inner.peeked.try_recv() {
            return Some(Ok(datagram));
        }
        match self.inner.datagrams.try_recv() {
            Ok(datagram) => Some(Ok(datagram)),
            Err(TryRecvError::Disconnected) => Some(Err(self.over())),
            Err(TryRecvError::Empty) => self.has_lost_address().map(Err),
        }
    }

    /// The error of a socket whose address was taken away, for as long as it is.
    fn has_lost_address(&self) -> Option<io::Error> {
        let Inner {
            shared, id, gone, ..
        } = &*self.inner;
        if !gone.load(Ordering::Relaxed) {
            return None;
        }
        let is_gone = shared.lock().stack.udp_has_lost_address(*id);
        gone.store(is_gone, Ordering::Relaxed);
        is_gone.then(|| stack::RecvError::AddressGone.into())
    }

    /// Receives a datagram; what does not fit into `buf` is lost. Returns its length in `buf` and
    /// its sender.
    ///
    /// # Errors
    /// Those of [`recv_datagram`](Self::recv_datagram).
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.recv_datagram()?;
        let len = datagram.data.copy_to(buf);
        Ok((len, datagram.from))
    }

    /// Looks at the next datagram, and leaves it to the next receive; from then on it is no more in [`receiver`](Self::receiver).
    /// Returns how much of it `buf` took, and its sender.
    ///
    /// # Errors
    /// Those of [`recv_datagram`](Self::recv_datagram).
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let buf = RefCell::new(buf);
        self.receive(|socket| {
            // Who looks beside it takes none from behind this one.
            let peek = socket.inner.peek.lock();
            let peek = peek.unwrap_or_else(PoisonError::into_inner);
            let seen = socket.try_recv_datagram()?.map(|datagram| {
                let seen = (datagram.data.copy_to(&mut buf.borrow_mut()), datagram.from);
                // Its other end is beside it.
                let _ = peek.send(datagram);
                seen
            });
            Some(seen)
        })
    }

    /// Looks at the next datagram as [`peek_from`](Self::peek_from) does.
    ///
    /// # Errors
    /// Those of [`recv_datagram`](Self::recv_datagram).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.peek_from(buf).map(|(len, _)| len)
    }

    /// Receives a datagram from the connected peer.
    ///
    /// # Errors
    /// Those of [`recv_datagram`](Self::recv_datagram).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_from(buf).map(|(len, _)| len)
    }

    /// Sends a datagram to the first of these addresses, as in std.
    ///
    /// # Errors
    /// `WouldBlock` as for reads; an error that says why when it is too large, has no route, or an
    /// earlier one was refused; `InvalidInput` without an address; `NotConnected` when the host was shut down.
    pub fn send_to(&self, data: &[u8], to: impl ToSocketAddrs) -> io::Result<usize> {
        let to = to.to_socket_addrs()?.next().ok_or_else(no_address)?;
        self.sending(|stack, now, id| stack.udp_send_to(now, id, Some(to), data))
    }

    /// Sends a datagram to the connected peer.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to); `NotConnected` without a peer.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.sending(|stack, now, id| stack.udp_send_to(now, id, None, data))
    }

    /// Sends a datagram without a copy; `None` is the connected peer.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to).
    pub fn send_chunk(&self, data: &Bytes, to: Option<SocketAddr>) -> io::Result<()> {
        self.sending(|stack, now, id| stack.udp_send_chunk(now, id, to, data.clone()))
    }

    /// Sends `data` as datagrams of `segment` bytes each, the last one shorter, in one frame where
    /// the device cuts (USO).
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to).
    pub fn send_segmented(
        &self,
        data: &Bytes,
        segment: NonZeroU16,
        to: Option<SocketAddr>,
    ) -> io::Result<()> {
        self.sending(|stack, now, id| stack.udp_send_segmented(now, id, to, data.clone(), segment))
    }

    /// Sends a datagram, or several of `segment` bytes each, that leave as `info` says: from another address of ours than the
    /// socket's, by an interface, with other hops.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to); `AddrNotAvailable` when the source is no address of the interface that leads there.
    pub fn send_with(
        &self,
        data: &Bytes,
        to: Option<SocketAddr>,
        segment: Option<NonZeroU16>,
        info: &SendInfo,
    ) -> io::Result<()> {
        self.sending(|stack, now, id| stack.udp_send_with(now, id, to, data.clone(), segment, info))
    }

    /// Answers a datagram from the address that it was sent to, as a socket that is bound to `0.0.0.0` or `[::]` has to where a
    /// host has several.
    ///
    /// # Errors
    /// Those of [`send_with`](Self::send_with).
    pub fn reply(&self, to: &Datagram, data: &Bytes) -> io::Result<()> {
        self.send_with(data, Some(to.from), None, &to.answer())
    }

    /// Sends to and receives from this peer only, from now on: what it sends to the address that it is
    /// sent from, no broadcasts and no groups. Of several addresses it is the first that can be.
    ///
    /// # Errors
    /// When there is no route to it, or another socket has it.
    pub fn connect(&self, peer: impl ToSocketAddrs) -> io::Result<()> {
        each_address(peer, |peer| {
            let mut core = self.inner.shared.lock_running()?;
            core.stack.udp_connect(self.inner.id, peer)?;
            // An error about what went elsewhere is not this peer's.
            while self.inner.errors.try_recv().is_ok() {}
            Ok(())
        })
    }

    /// The queue itself; disconnected when the host ends. ICMP errors do not pass through it.
    pub fn receiver(&self) -> &Receiver<Datagram> {
        &self.inner.datagrams
    }

    /// Datagrams lost because the socket's buffer or queue was full.
    pub fn dropped(&self) -> usize {
        self.inner.dropped.load(Ordering::Relaxed)
    }

    /// The address it is bound to; after [`connect`](Self::connect) the one it sends from.
    ///
    /// # Errors
    /// None; as in std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let core = self.inner.shared.lock();
        Ok(core
            .stack
            .udp_local_addr(self.inner.id)
            .unwrap_or(self.inner.local))
    }

    /// The connected peer.
    ///
    /// # Errors
    /// `NotConnected` without one.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let core = self.inner.shared.lock_running()?;
        let peer = core.stack.udp_peer_addr(self.inner.id)?;
        peer.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// How long a receive may wait; `None` is for ever, the default.
    ///
    /// # Errors
    /// `InvalidInput` when it is zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.read_timeout.set(timeout)
    }

    /// How long a send may wait for room; `None` is for ever, the default.
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

    /// Takes the pending error, as `SO_ERROR` does.
    ///
    /// # Errors
    /// None; as in std.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.inner.errors.try_recv().ok())
    }

    /// Another handle of the same socket; the last one dropped closes it.
    ///
    /// # Errors
    /// None; as in std.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    fn sending<T>(
        &self,
        mut send: impl FnMut(&mut Stack, Instant, UdpId) -> Result<T, SendError>,
    ) -> io::Result<T> {
        let inner = &self.inner;
        let patience = Patience {
            nonblocking: inner.nonblocking.load(Ordering::Relaxed),
            ..Patience::to_send(inner.write_timeout.deadline())
        };
        let (shared, side) = (&inner.shared, &inner.waits.writable);
        let sent = shared.block_on(shared.lock(), side, patience, |core, now| {
            if let Err(why) = core.check() {
                return Some(Err(why.into()));
            }
            if let Some(error) = self.pending_error() {
                return Some(Err(error));
            }
            match send(&mut core.stack, now, inner.id) {
                Err(SendError::WouldBlock) => None,
                other => Some(other.map_err(io::Error::from)),
            }
        })?;
        sent.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// What the stack calls it.
    pub(super) fn stack_id(&self) -> (&Shared, UdpId) {
        (&self.inner.shared, self.inner.id)
    }

    pub(super) fn parts(&self) -> (&Arc<Shared>, UdpId, &Arc<Waits>) {
        (&self.inner.shared, self.inner.id, &self.inner.waits)
    }

    /// Its queues, to be looked at by who waits.
    pub(super) fn has_something(&self) -> Queues {
        let inner = &self.inner;
        Queues {
            datagrams: inner.datagrams.clone(),
            errors: inner.errors.clone(),
            peeked: inner.peeked.clone(),
        }
    }

    /// The error that a call is to tell in its place.
    pub(super) fn pending_error(&self) -> Option<io::Error> {
        self.inner.errors.try_recv().ok()
    }

    fn over(&self) -> io::Error {
        let why = self.inner.shared.error().unwrap_or(HostError::Closed);
        why.into()
    }
}

impl Inner {
    /// Sleeps until something is there to be received, but no longer than `within`.
    fn sleep(&self, within: Option<Duration>) {
        let mut any = Select::new();
        any.recv(&self.errors);
        any.recv(&self.peeked);
        any.recv(&self.datagrams);
        match within {
            // That it is late is seen by the clock.
            Some(within) => drop(any.ready_timeout(within)),
            None => drop(any.ready()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.waits.retire();
        let mut core = self.shared.lock();
        core.sockets.remove_udp(self.id);
        if core.check().is_ok() {
            core.stack.udp_close(self.id);
            self.shared.finish(core, clock::now());
        }
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("local", &self.inner.local)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::stack::InterfaceId;

    /// A queue to a user of so many bytes, and where he takes from.
    fn queue(limit: usize) -> (UdpQueue, Receiver<Datagram>) {
        let (datagrams, received) = crossbeam_channel::unbounded();
        let queue = UdpQueue {
            datagrams,
            errors: crossbeam_channel::bounded(1).0,
            account: Arc::default(),
            limit,
            dropped: Arc::default(),
            gone: Arc::default(),
            waits: Arc::default(),
            flows: None,
        };
        (queue, received)
    }

    fn one() -> stack::Datagram {
        stack::Datagram {
            data: Bytes::from_static(b"x").into(),
            from: SocketAddr::from(([10, 0, 0, 2], 9)),
            to: IpAddr::from([10, 0, 0, 1]),
            to_port: 7,
            on: InterfaceId::LOOPBACK,
            unicast: true,
            ttl: 64,
            tos: 0,
            flow_label: 0,
        }
    }

    /// Small ones are bounded by their number, long before their bytes are.
    #[test]
    fn the_queue_to_the_user_has_places() {
        let (queue, received) = queue(212_992);
        for _ in 0..1025 {
            queue.push(one());
        }
        let dropped = queue.dropped.load(Ordering::Relaxed);
        assert_eq!((received.len(), dropped), (1024, 1));
        assert_eq!(queue.account.charged(), 1024 * 129);
        assert_eq!(received.try_iter().count(), 1024);
        assert_eq!(queue.account.charged(), 0);
    }

    /// The queue to the user holds what the stack's own would: a datagram is charged the queue's memory
    /// beside its data, until the user lets go of it.
    #[test]
    fn small_datagrams_are_charged_more_than_their_data() {
        let (queue, received) = queue(1000);
        for _ in 0..20 {
            queue.push(one());
        }
        assert_eq!(
            (received.len(), queue.dropped.load(Ordering::Relaxed)),
            (7, 13)
        );
        let held = received.recv().unwrap();
        assert_eq!(held.charged_bytes(), 129);
        queue.push(one());
        assert_eq!(received.len(), 6, "the user still has it");
        drop(held);
        queue.push(one());
        assert_eq!(received.len(), 7);
        assert_eq!(received.try_iter().count(), 7);
        assert_eq!(queue.account.charged(), 0);
    }
}
