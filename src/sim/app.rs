//! Applications of simulated hosts: what they are woken by.
//!
//! *Owns* the trait and the reasons. *Does not* hold sockets: an application calls its host's stack
//! through a [`Cx`], and only while it is woken.

use core::any::Any;
use core::fmt;
use core::marker::PhantomData;

use super::cx::Cx;
use super::network::HostId;
use crate::stack::Event;

/// Why an application is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wake {
    /// The network runs, and the application with it. Comes once, first.
    Start,
    /// One of its sockets became ready. Edge-triggered as all events are: the call that would block
    /// arms it again.
    Event(Event),
    /// The time has come that it asked for with [`Cx::alarm`]; with its token.
    Alarm(u64),
}

/// A program on a simulated host: a type of your own, or a closure `|cx: &mut Cx<'_>, wake| ...`,
/// whose first argument needs its type.
///
/// It takes no time: whatever it does happens at [`Cx::now`]. Each application is told of its own
/// sockets only, those that it opened, bound or accepted.
///
/// ```
/// use netloom::device::WireConfig;
/// use netloom::sim::{App, Cx, Pair, Wake};
/// use netloom::stack::{SocketId, UdpOptions};
/// use std::{net::SocketAddr, time::Duration};
///
/// /// Counts what comes.
/// struct Counter(SocketAddr, usize);
///
/// impl App for Counter {
///     fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
///         match wake {
///             Wake::Start => {
///                 cx.udp_bind(self.0, UdpOptions::new()).expect("a free port");
///             }
///             // All that there is, or no further event comes.
///             Wake::Event(event) => {
///                 if let SocketId::Udp(id) = event.id {
///                     while cx.udp_recv(id).is_ok() {
///                         self.1 += 1;
///                     }
///                 }
///             }
///             _ => {}
///         }
///     }
/// }
///
/// let mut pair = Pair::new(1, WireConfig::perfect().delay(Duration::from_millis(5)))?;
/// let to = SocketAddr::new(Pair::RIGHT, 7);
/// let counter = pair.network.add_app(pair.right, Counter(to, 0));
/// let from = SocketAddr::new(Pair::LEFT, 7);
/// pair.network.add_app(pair.left, move |cx: &mut Cx<'_>, wake| {
///     if wake == Wake::Start {
///         let id = cx.udp_bind(from, UdpOptions::new()).expect("a free port");
///         for _ in 0..3 {
///             cx.udp_send(id, Some(to), "hello".into()).expect("room");
///         }
///     }
/// });
/// pair.network.run_for(Duration::from_secs(1))?;
/// assert_eq!(pair.network.app(counter).1, 3);
/// # Ok::<(), netloom::sim::SimError>(())
/// ```
pub trait App: Any {
    /// Something happened.
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake);
}

impl<F: FnMut(&mut Cx<'_>, Wake) + 'static> App for F {
    fn wake(&mut self, cx: &mut Cx<'_>, wake: Wake) {
        self(cx, wake);
    }
}

/// An application on its host: what [`Network::add_app`](super::Network::add_app) gives, and what the
/// network gives the application back for.
pub struct AppId<A> {
    pub(super) host: HostId,
    pub(super) number: usize,
    of: PhantomData<fn() -> A>,
}

impl<A> AppId<A> {
    pub(super) const fn new(host: HostId, number: usize) -> Self {
        Self {
            host,
            number,
            of: PhantomData,
        }
    }

    /// The host that it runs on.
    pub const fn host(&self) -> HostId {
        self.host
    }
}

impl<A> Clone for AppId<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for AppId<A> {}

impl<A> fmt::Debug for AppId<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppId")
            .field("host", &self.host)
            .field("number", &self.number)
            .finish()
    }
}
