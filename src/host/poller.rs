//! Readiness without async: [`Poller`].
//!
//! *Owns* the wait and what it returns. *Does not* keep who is in it: `poll_list.rs` does. A socket stands in line when something has
//! happened to it, and is asked what it is ready for as it is taken; one to which nothing happens costs nothing.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use bitflags::bitflags;

use super::clock;
use super::lead::Until;
use super::poll_list::PollList;
use super::shared::Shared;
use super::waits::Waits;
use crate::base::Instant;
use crate::stack::{Readiness, SocketId};

bitflags! {
    /// What a [`Poller`] is to tell of a socket; nothing keeps its place and tells nothing.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Interest: u8 {
        /// A call that receives or accepts would not block: it has something, the end, or an error.
        const READABLE = 1;
        /// A call that sends would not block: it has room, or an error.
        const WRITABLE = 1 << 1;
    }
}

impl Interest {
    /// Is this news of what is wanted?
    pub(crate) fn is_met_by(self, news: Readiness) -> bool {
        Self::of(news).intersects(self)
    }

    /// Whom it concerns.
    fn of(news: Readiness) -> Self {
        let ends = Readiness::CLOSED | Readiness::FAILED;
        let mut of = Self::empty();
        let reads = Readiness::READABLE | Readiness::ACCEPTABLE | ends;
        of.set(Self::READABLE, news.intersects(reads));
        let writes = Readiness::WRITABLE | Readiness::CONNECTED | ends;
        of.set(Self::WRITABLE, news.intersects(writes));
        of
    }

    /// The same in the stack's words.
    fn asked(self) -> Readiness {
        let mut asked = Readiness::empty();
        let reads = Readiness::READABLE | Readiness::ACCEPTABLE;
        asked.set(reads, self.contains(Self::READABLE));
        asked.set(Readiness::WRITABLE, self.contains(Self::WRITABLE));
        asked
    }
}

/// How often a socket is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PollMode {
    /// Once, and again only after [`Poller::modify`]: one of several threads that wait has it (`EPOLLONESHOT`).
    #[default]
    Oneshot,
    /// By each wait, as long as it is ready.
    Level,
}

/// One socket that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Polled {
    /// What it was added as.
    pub key: usize,
    /// A call that receives or accepts would not block.
    pub readable: bool,
    /// A call that sends would not block.
    pub writable: bool,
}

/// What one wait has found.
#[derive(Debug)]
pub struct Events {
    found: Vec<Polled>,
    most: usize,
}

/// Sockets that one wait finds at most, where nothing else is said.
const EVENTS: usize = 1024;

impl Events {
    /// Room for 1,024 sockets.
    pub fn new() -> Self {
        Self::with_capacity(EVENTS)
    }

    /// Room for `most` sockets, at least one. What has no room is found by the next wait, or by another thread's.
    pub fn with_capacity(most: usize) -> Self {
        let found = Vec::new();
        let most = most.max(1);
        Self { found, most }
    }

    /// Those that are ready, each once.
    pub fn iter(&self) -> impl Iterator<Item = Polled> {
        self.found.iter().copied()
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.found.len()
    }

    /// Are there none?
    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for any of many sockets, of one host or of several, in the shape of the `polling` crate: as `epoll` does for descriptors.
///
/// Any number of threads may wait at once. A thread that waits drives the host itself while it can, if all sockets are of one host.
/// Sockets that are idle cost nothing. A handle that is dropped leaves by itself; all clones of a handle are one socket, which one poller
/// at a time may have.
///
/// It is a descriptor too ([`AsFd`]), readable while a wait would return at once, so that `epoll` or another loop may wait for it beside others;
/// what it finds then, a [`wait`](Self::wait) with a time-out of zero tells, which may be nothing. That costs two system calls for each time that something becomes
/// ready, from when the descriptor is first asked for.
///
/// ```
/// use netloom::device::{Medium, pair};
/// use netloom::host::{Events, Host, Interest, Poller};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (a, b) = pair(Medium::Ip, 1500);
/// let (server, client) = (
///     Host::builder(a).address("10.7.0.1/24".parse()?).spawn()?,
///     Host::builder(b).address("10.7.0.2/24".parse()?).spawn()?,
/// );
/// let listener = server.tcp_listen("10.7.0.1:80")?;
/// let stream = client.tcp_connect("10.7.0.1:80")?;
///
/// let poller = Poller::new()?;
/// poller.add(&listener, 7, Interest::READABLE)?;
/// let mut events = Events::new();
/// poller.wait(&mut events, None)?;
/// assert_eq!(events.iter().next().map(|found| found.key), Some(7));
/// let (accepted, _) = listener.accept()?;
///
/// poller.add(&accepted, 8, Interest::READABLE)?;
/// stream.send(b"hello")?;
/// poller.wait(&mut events, None)?;
/// assert!(events.iter().all(|found| found.key == 8 && found.readable));
/// # Ok(())
/// # }
/// ```
pub struct Poller {
    list: Arc<PollList>,
}

/// A handle that a [`Poller`] takes; the handles of this crate are.
pub trait AsSource {
    /// What the poller asks.
    #[doc(hidden)]
    fn as_source(&self) -> Source;
}

/// What a poller asks of a socket.
#[expect(
    unnameable_types,
    reason = "who cannot name it cannot implement AsSource"
)]
pub struct Source {
    shared: Arc<Shared>,
    waits: Arc<Waits>,
    look: Box<dyn Fn(Interest) -> Interest + Send + Sync>,
}

impl Source {
    /// `look` says what of an interest a socket is ready for, and has the rest told.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        waits: &Arc<Waits>,
        look: impl Fn(Interest) -> Interest + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            waits: Arc::clone(waits),
            look: Box::new(look),
        }
    }

    /// Of a socket that the stack knows all about.
    pub(crate) fn of_stack(
        shared: &Arc<Shared>,
        waits: &Arc<Waits>,
        id: impl Into<SocketId>,
    ) -> Self {
        let (host, id) = (Arc::clone(shared), id.into());
        Self::new(shared, waits, move |interest| {
            let mut core = host.lock();
            match core.check() {
                // Each call says so at once.
                Err(_) => interest,
                Ok(()) => Interest::of(core.stack.poll_ready(id, interest.asked())),
            }
        })
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

impl Poller {
    /// An empty one.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let list = Arc::new(PollList::new()?);
        Ok(Self { list })
    }

    /// Adds a socket, to be told of once by this key: see [`PollMode::Oneshot`].
    ///
    /// # Errors
    /// `AlreadyExists` when this poller or another one has it.
    pub fn add(&self, handle: &impl AsSource, key: usize, interest: Interest) -> io::Result<()> {
        self.add_with_mode(handle, key, interest, PollMode::Oneshot)
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// `AlreadyExists` when this poller or another one has it.
    pub fn add_with_mode(
        &self,
        handle: &impl AsSource,
        key: usize,
        interest: Interest,
        mode: PollMode,
    ) -> io::Result<()> {
        let source = Arc::new(handle.as_source());
        let waits = Arc::clone(&source.waits);
        let token = self.list.add(source);
        if !waits.enter_poller(&self.list, token) {
            self.list.remove(token);
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // It is asked at once: what happened before is not told anew.
        self.list.set(token, key, interest, mode);
        Ok(())
    }

    /// What a socket is told of from now on, once.
    ///
    /// # Errors
    /// `NotFound` when this poller has it not.
    pub fn modify(&self, handle: &impl AsSource, key: usize, interest: Interest) -> io::Result<()> {
        self.modify_with_mode(handle, key, interest, PollMode::Oneshot)
    }

    /// What a socket is told of from now on, and how often.
    ///
    /// # Errors
    /// `NotFound` when this poller has it not.
    pub fn modify_with_mode(
        &self,
        handle: &impl AsSource,
        key: usize,
        interest: Interest,
        mode: PollMode,
    ) -> io::Result<()> {
        let waits = handle.as_source().waits;
        let token = waits.token_in(&self.list);
        let set = token.is_some_and(|token| self.list.set(token, key, interest, mode));
        if set { Ok(()) } else { Err(not_found()) }
    }

    /// Takes a socket out; nothing more is told of it, though a wait of another thread may just have been.
    ///
    /// # Errors
    /// `NotFound` when this poller has it not.
    pub fn delete(&self, handle: &impl AsSource) -> io::Result<()> {
        let waits = handle.as_source().waits;
        waits.token_in(&self.list).ok_or_else(not_found)?;
        waits.leave_poller();
        Ok(())
    }

    /// Waits until a socket is ready for what is wanted of it, until [`notify`](Self::notify), or for `timeout` at most (`None`: for ever).
    /// Replaces what is in `events`; returns how many there are now: none at a notification, and when it is late.
    ///
    /// # Errors
    /// None today; as of a descriptor.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        let deadline = timeout.map(|timeout| clock::now() + timeout);
        events.found.clear();
        loop {
            let notified = self.collect(events);
            let late = || deadline.is_some_and(|deadline| deadline <= clock::now());
            if notified || !events.is_empty() || (late() && !self.list.is_pending()) {
                return Ok(events.len());
            }
            self.sleep(deadline);
        }
    }

    /// Has one wait return, this moment's or the next.
    ///
    /// # Errors
    /// None today; as of a descriptor.
    pub fn notify(&self) -> io::Result<()> {
        self.list.notify();
        Ok(())
    }

    /// Asks those in line; was there a notification?
    fn collect(&self, events: &mut Events) -> bool {
        let (candidates, notified) = self.list.take(events.most);
        for candidate in candidates {
            let ready = (candidate.source.look)(candidate.interest);
            let told = self.list.tell(&candidate, ready);
            if !told.is_empty() {
                events.found.push(Polled {
                    key: candidate.key,
                    readable: told.contains(Interest::READABLE),
                    writable: told.contains(Interest::WRITABLE),
                });
            }
        }
        notified
    }

    fn sleep(&self, deadline: Option<Instant>) {
        let until = Until {
            ready: &|| self.list.is_pending(),
            deadline,
            sends: false,
        };
        if let Some(host) = self.list.host()
            && self.list.while_leading(|| host.lead_for_channel(&until))
        {
            return;
        }
        let timeout = deadline.map(|deadline| deadline.since(clock::now()));
        self.list.sleep(timeout);
    }
}

fn not_found() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the poller does not have it")
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.list.expose()
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").finish_non_exhaustive()
    }
}
