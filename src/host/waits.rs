//! Who waits for what on one socket.
//!
//! A condition variable is notified only when somebody is marked as waiting: a stream that is
//! read and written without blocking costs no system call. All counts change under the core's lock.

use std::sync::Condvar;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::locked::Locked;

/// One thing to wait for.
#[derive(Debug, Default)]
pub(crate) struct Side {
    condvar: Condvar,
    waiting: AtomicU32,
    /// How often something was told, for a thread that leads instead of sleeping here.
    told: AtomicU32,
}

impl Side {
    /// Sleeps until notified or `timeout` has passed (`None`: for ever). May wake for no reason.
    pub(crate) fn wait<'a>(&self, core: Locked<'a>, timeout: Option<Duration>) -> Locked<'a> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let core = core.wait(&self.condvar, timeout);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        core
    }

    /// How often it was told something; wraps.
    pub(crate) fn told(&self) -> u32 {
        self.told.load(Ordering::Acquire)
    }

    fn tell(&self) {
        self.told.fetch_add(1, Ordering::Release);
    }

    /// Does anybody sleep here?
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Wakes all who wait.
    pub(crate) fn notify(&self) {
        self.condvar.notify_all();
    }
}

/// Both directions of a socket, and how an attempt to connect went.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    pub(crate) readable: Side,
    pub(crate) writable: Side,
    connected: AtomicBool,
    failed: AtomicBool,
}

impl Waits {
    pub(crate) fn is_awaited(&self) -> bool {
        self.readable.is_awaited() || self.writable.is_awaited()
    }

    pub(crate) fn set_connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn set_failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Something has changed; who sleeps must be notified too.
    pub(crate) fn tell(&self) {
        self.readable.tell();
        self.writable.tell();
    }

    pub(crate) fn notify(&self) {
        self.readable.notify();
        self.writable.notify();
    }
}
