//! Who waits for what on one socket.
//!
//! *Owns* the condition variable of threads, the task and the poller that are told, for each direction. A condition
//! variable is notified only when somebody is marked as waiting: a stream that is read and written
//! without blocking costs no system call. *Does not* run code of an executor under the core's lock:
//! a task is registered without it (`News::register`), threads are counted under it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::locked::Locked;
use super::news::News;
use super::poll_list::{PollList, Token};
use super::watcher::Watcher;
use crate::stack::Readiness;

/// One thing to wait for.
#[derive(Debug, Default)]
pub(crate) struct Side {
    condvar: Condvar,
    waiting: AtomicU32,
    news: News,
}

impl Side {
    /// Sleeps until notified or `timeout` has passed (`None`: for ever). May wake for no reason.
    pub(crate) fn wait<'a>(&self, core: Locked<'a>, timeout: Option<Duration>) -> Locked<'a> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let core = core.wait(&self.condvar, timeout);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        core
    }

    /// How often it was told something, for a thread that leads instead of sleeping here; wraps.
    pub(crate) fn told(&self) -> u32 {
        self.news.told()
    }

    /// Looks once, and marks the task when there is nothing: see [`News::poll`].
    pub(crate) fn poll<T>(&self, cx: &Context<'_>, look: impl FnOnce() -> Option<T>) -> Poll<T> {
        self.news.poll(cx, look)
    }

    /// Forgets a task, or whichever is marked: see [`News::forget`].
    pub(crate) fn forget(&self, waker: Option<&Waker>) {
        self.news.forget(waker);
    }

    /// Does a thread sleep here, or a task?
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.news.is_watched()
    }

    /// Wakes all who wait; never under the core's lock, for a waker runs code of its executor.
    fn notify(&self) {
        self.condvar.notify_all();
        self.news.wake();
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
    /// The poller that it was added to.
    watcher: Watcher,
    /// Is there one?
    added: AtomicBool,
    connected: AtomicBool,
    failed: AtomicBool,
}

/// What a reader is told of.
const READS: Readiness = Readiness::READABLE
    .union(Readiness::ACCEPTABLE)
    .union(Readiness::URGENT)
    .union(ENDS);

/// What a writer is told of.
const WRITES: Readiness = Readiness::WRITABLE.union(Readiness::CONNECTED).union(ENDS);

/// What both are.
const ENDS: Readiness = Readiness::CLOSED.union(Readiness::FAILED);

impl Waits {
    /// Does anybody wait for any of this?
    pub(crate) fn is_awaited(&self, news: Readiness) -> bool {
        self.sides(news).any(Side::is_awaited)
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

    /// This has come true; who sleeps must be notified too.
    pub(crate) fn tell(&self, news: Readiness) {
        for side in self.sides(news) {
            side.news.tell();
        }
    }

    /// Forgets a task in both directions: see [`Side::forget`].
    pub(crate) fn forget(&self, waker: &Waker) {
        self.readable.forget(Some(waker));
        self.writable.forget(Some(waker));
    }

    /// Its handle is gone: nobody is told anything any more.
    pub(crate) fn retire(&self) {
        self.leave_poller();
        self.readable.forget(None);
        self.writable.forget(None);
    }

    /// Wakes who waits for any of this.
    pub(crate) fn notify(&self, news: Readiness) {
        for side in self.sides(news) {
            side.notify();
        }
    }

    /// Tells everybody of it, and wakes them: for who has no turn's [`After`](super::sockets::After).
    pub(crate) fn announce(&self, news: Readiness) {
        self.tell(news);
        self.notify(news);
        if let Some(poller) = self.tell_poller(news) {
            poller.signal();
        }
    }

    /// Puts it on the list of the poller that it was added to; whose sleepers are to be woken then.
    pub(crate) fn tell_poller(&self, news: Readiness) -> Option<Arc<PollList>> {
        // Who is added looks at the socket afterwards.
        if self.added.load(Ordering::SeqCst) {
            self.watcher.tell(news)
        } else {
            None
        }
    }

    /// Adds it to a poller, unless it is in one.
    pub(crate) fn enter_poller(&self, list: &Arc<PollList>, token: Token) -> bool {
        let entered = self.watcher.enter(list, token);
        if entered {
            self.added.store(true, Ordering::SeqCst);
        }
        entered
    }

    /// Its place in this poller.
    pub(crate) fn token_in(&self, list: &Arc<PollList>) -> Option<Token> {
        self.watcher.token_in(list)
    }

    /// Takes it out of the poller, if it is in one; never under the core's lock.
    pub(crate) fn leave_poller(&self) {
        if self.added.swap(false, Ordering::SeqCst) {
            self.watcher.leave();
        }
    }

    fn sides(&self, news: Readiness) -> impl Iterator<Item = &Side> {
        let reads = news.intersects(READS).then_some(&self.readable);
        let writes = news.intersects(WRITES).then_some(&self.writable);
        reads.into_iter().chain(writes)
    }
}

#[cfg(test)]
mod tests {
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

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn pending(side: &Side, waker: &Waker) {
        let nothing = side.poll(&Context::from_waker(waker), || None::<()>);
        assert!(nothing.is_pending());
    }

    #[test]
    fn a_task_is_woken_once_for_each_time_it_waited() {
        let (waits, (count, waker)) = (Waits::default(), counted());
        pending(&waits.readable, &waker);
        pending(&waits.readable, &waker);
        assert!(waits.is_awaited(Readiness::READABLE));
        for _ in 0..2 {
            waits.announce(Readiness::READABLE);
        }
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(!waits.is_awaited(Readiness::all()));
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1, "a waker stayed");
    }

    #[test]
    fn what_is_told_between_the_look_and_the_mark_wakes_the_task() {
        let (waits, (count, waker)) = (Waits::default(), counted());
        let looked = waits.readable.poll(&Context::from_waker(&waker), || {
            waits.announce(Readiness::READABLE);
            None::<()>
        });
        assert!(looked.is_pending());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    /// What a reader is told no writer is woken by, nor the other way round; the end is told to both.
    #[test]
    fn each_direction_is_woken_by_what_happened_there() {
        for (news, read, written) in [
            (Readiness::READABLE, 1, 0),
            (Readiness::ACCEPTABLE, 1, 0),
            (Readiness::URGENT, 1, 0),
            (Readiness::WRITABLE, 0, 1),
            (Readiness::CONNECTED, 0, 1),
            (Readiness::CLOSED, 1, 1),
            (Readiness::FAILED, 1, 1),
            (Readiness::READABLE | Readiness::WRITABLE, 1, 1),
        ] {
            let waits = Waits::default();
            let ((reader, reads), (writer, writes)) = (counted(), counted());
            pending(&waits.readable, &reads);
            pending(&waits.writable, &writes);
            let told = [&waits.readable, &waits.writable].map(Side::told);
            waits.announce(news);
            let woken = |count: &Count| count.0.load(Ordering::SeqCst);
            assert_eq!(
                (woken(&reader), woken(&writer)),
                (read, written),
                "{news:?}"
            );
            assert_eq!(waits.readable.told() != told[0], read == 1, "{news:?}");
            assert_eq!(waits.writable.told() != told[1], written == 1, "{news:?}");
        }
    }

    #[test]
    fn a_task_that_was_forgotten_is_not_woken_and_another_stays() {
        let waits = Waits::default();
        let ((count, mine), (_, others)) = (counted(), counted());
        for side in [&waits.readable, &waits.writable] {
            pending(side, &mine);
        }
        waits.forget(&others);
        assert!(waits.readable.is_awaited() && waits.writable.is_awaited());
        waits.forget(&mine);
        assert!(!waits.is_awaited(Readiness::all()));
        waits.announce(Readiness::all());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        pending(&waits.readable, &mine);
        waits.retire();
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
        let (waits, news, seen) = (Waits::default(), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                let cx = Context::from_waker(&waker);
                for round in 1..=ROUNDS {
                    let look = || (news.load(Ordering::SeqCst) >= round).then_some(());
                    while waits.readable.poll(&cx, look).is_pending() {
                        thread::park();
                    }
                    seen.store(round, Ordering::SeqCst);
                }
            });
            for round in 1..=ROUNDS {
                news.store(round, Ordering::SeqCst);
                waits.tell(Readiness::READABLE);
                if waits.is_awaited(Readiness::READABLE) {
                    waits.notify(Readiness::READABLE);
                }
                while seen.load(Ordering::SeqCst) < round {
                    thread::yield_now();
                }
            }
        });
    }
}
