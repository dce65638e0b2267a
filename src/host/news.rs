//! What is told about one thing, and the task that waits for the next of it.
//!
//! *Owns* the order in which who waits and who tells look at each other, so that none is missed. *Does not* know of sockets or hosts, and
//! names no atomic of its own: `tests/schedules` runs this file under another scheduler.

use std::task::{Context, Poll, Waker};

use super::sync::{AtomicBool, AtomicU32, Mutex, Ordering, PoisonError};

/// One thing to wait for, as a task sees it.
#[derive(Debug)]
pub(crate) struct News {
    /// How often something was told; wraps.
    told: AtomicU32,
    /// There may be a waker in `task`.
    watched: AtomicBool,
    /// The task that polled last and found nothing.
    task: Mutex<Option<Waker>>,
}

impl Default for News {
    fn default() -> Self {
        Self {
            told: AtomicU32::new(0),
            watched: AtomicBool::new(false),
            task: Mutex::new(None),
        }
    }
}

impl News {
    /// How often it was told something; wraps.
    pub(crate) fn told(&self) -> u32 {
        self.told.load(Ordering::Acquire)
    }

    pub(crate) fn tell(&self) {
        // Before it is asked whether anybody waits: see `register`.
        self.told.fetch_add(1, Ordering::SeqCst);
    }

    /// Marks a task to be woken by what is told from now on, in place of the one before. Says whether
    /// nothing was told since [`told`](Self::told) gave `seen`, which the caller asked before it looked
    /// at the stack: otherwise it must look again.
    ///
    /// It marks, then reads the count; who tells counts, then looks for the mark. In one order of all
    /// (SeqCst) at least one of both sees the other.
    pub(crate) fn register(&self, waker: &Waker, seen: u32) -> bool {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let same = task.as_ref().is_some_and(|known| known.will_wake(waker));
        let old = if same {
            None
        } else {
            task.replace(waker.clone())
        };
        self.watched.store(true, Ordering::SeqCst);
        drop(task);
        // It may be the last of a task, with whatever that owns.
        drop(old);
        self.told.load(Ordering::SeqCst) == seen
    }

    /// Looks once, and marks the task when there is nothing. What came between the two is for the task's
    /// next turn: a peer that keeps on telling keeps no executor.
    pub(crate) fn poll<T>(&self, cx: &Context<'_>, look: impl FnOnce() -> Option<T>) -> Poll<T> {
        let told = self.told();
        if let Some(found) = look() {
            // An earlier turn may have marked it.
            self.forget(Some(cx.waker()));
            return Poll::Ready(found);
        }
        if !self.register(cx.waker(), told) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Forgets `waker`'s task if it is the one that is marked, or whichever is with `None`. A waker is
    /// dropped here, with whatever its task owns: never under the core's lock.
    pub(crate) fn forget(&self, waker: Option<&Waker>) {
        // What another thread marks at this moment is that thread's to forget.
        if !self.is_watched() {
            return;
        }
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = task
            .as_ref()
            .is_some_and(|known| waker.is_none_or(|waker| known.will_wake(waker)));
        let old = if meant { task.take() } else { None };
        if old.is_some() {
            self.watched.store(false, Ordering::SeqCst);
        }
        drop(task);
        drop(old);
    }

    /// Is a task marked?
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::SeqCst)
    }

    /// Wakes the task that is marked; never under the core's lock, for a waker runs code of its executor.
    pub(crate) fn wake(&self) {
        if !self.watched.swap(false, Ordering::SeqCst) {
            return;
        }
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = task {
            waker.wake();
        }
    }
}
