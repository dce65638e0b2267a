//! Who waits for what on one socket.
//!
//! *Owns* the condition variable of threads and the waker of a task, for each direction. A condition
//! variable is notified only when somebody is marked as waiting: a stream that is read and written
//! without blocking costs no system call. *Does not* run code of an executor under the core's lock:
//! a task is registered without it ([`Side::register`]), threads are counted under it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::locked::Locked;

/// One thing to wait for.
#[derive(Debug, Default)]
pub(crate) struct Side {
    condvar: Condvar,
    waiting: AtomicU32,
    /// How often something was told, for a thread that leads instead of sleeping here.
    told: AtomicU32,
    /// There may be a waker in `task`.
    watched: AtomicBool,
    /// The task that polled last and found nothing.
    task: Mutex<Option<Waker>>,
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
        if !self.watched.load(Ordering::SeqCst) {
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

    /// Does a thread sleep here, or a task?
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.watched.load(Ordering::SeqCst)
    }

    /// Wakes all who wait; never under the core's lock, for a waker runs code of its executor.
    pub(crate) fn notify(&self) {
        self.condvar.notify_all();
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

/// A future that polls on one side, and leaves no waker there when it is dropped.
pub(crate) struct Polling<'a, F> {
    side: &'a Side,
    poll: F,
    /// The task that it was pending for.
    marked: Option<Waker>,
}

impl<'a, F> Polling<'a, F> {
    pub(crate) const fn new<T>(side: &'a Side, poll: F) -> Self
    where
        F: FnMut(&mut Context<'_>) -> Poll<T>,
    {
        Self {
            side,
            poll,
            marked: None,
        }
    }
}

impl<T, F: FnMut(&mut Context<'_>) -> Poll<T> + Unpin> Future for Polling<'_, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let polled = (self.poll)(cx);
        self.marked = polled.is_pending().then(|| cx.waker().clone());
        polled
    }
}

impl<F> Drop for Polling<'_, F> {
    fn drop(&mut self) {
        if let Some(task) = &self.marked {
            self.side.forget(Some(task));
        }
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

    /// Forgets a task in both directions, or whichever is marked with `None`: see [`Side::forget`].
    pub(crate) fn forget(&self, waker: Option<&Waker>) {
        self.readable.forget(waker);
        self.writable.forget(waker);
    }

    pub(crate) fn notify(&self) {
        self.readable.notify();
        self.writable.notify();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_task_is_woken_once_for_each_time_it_registered() {
        let (side, count) = (Side::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        assert!(side.register(&waker, side.told()));
        assert!(side.register(&waker, side.told()));
        assert!(side.is_awaited());
        for _ in 0..2 {
            side.tell();
            side.notify();
        }
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(!side.is_awaited());
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1, "a waker stayed");
    }

    #[test]
    fn what_was_told_before_the_task_registered_is_not_lost() {
        let (side, count) = (Side::default(), Arc::new(Count::default()));
        let seen = side.told();
        side.tell();
        assert!(!side.register(&Waker::from(count), seen));
    }

    #[test]
    fn a_task_that_was_forgotten_is_not_woken_and_another_stays() {
        let (waits, count) = (Waits::default(), Arc::new(Count::default()));
        let (mine, others) = (
            Waker::from(Arc::clone(&count)),
            Waker::from(Arc::new(Count::default())),
        );
        for side in [&waits.readable, &waits.writable] {
            assert!(side.register(&mine, side.told()));
        }
        waits.forget(Some(&others));
        assert!(waits.readable.is_awaited() && waits.writable.is_awaited());
        waits.forget(Some(&mine));
        assert!(!waits.is_awaited());
        waits.tell();
        waits.notify();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        assert!(waits.readable.register(&mine, waits.readable.told()));
        waits.forget(None);
        drop(mine);
        assert_eq!(Arc::strong_count(&count), 1, "a waker stayed");
    }

    /// Two threads, one that tells and one that waits as a task does: no news goes by.
    #[test]
    fn no_wake_up_is_lost_between_threads() {
        struct Unpark(thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        const ROUNDS: u32 = 20_000;
        let (side, news, seen) = (Side::default(), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                for round in 1..=ROUNDS {
                    loop {
                        let told = side.told();
                        if news.load(Ordering::SeqCst) >= round {
                            break;
                        }
                        if side.register(&waker, told) {
                            thread::park();
                        }
                    }
                    seen.store(round, Ordering::SeqCst);
                }
            });
            for round in 1..=ROUNDS {
                news.store(round, Ordering::SeqCst);
                side.tell();
                if side.is_awaited() {
                    side.notify();
                }
                while seen.load(Ordering::SeqCst) < round {
                    thread::yield_now();
                }
            }
        });
    }
}
