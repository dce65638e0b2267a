//! Waiting for a device, a wake-up and a deadline at once: ppoll(2) and eventfd(2).
//!
//! *Owns* the sleep of who looks at the device, and of a driver that stands back. *Does not* read or write frames.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::unistd;

use super::state::Next;
use crate::base::Instant;

/// Ends the sleep of the driver, or of the thread that leads, from another thread.
#[derive(Debug)]
pub(crate) struct Waker {
    event: EventFd,
    /// Is a wake-up on its way? Saves the system call for the second and later ones.
    set: AtomicBool,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            event: EventFd::from_flags(flags)?,
            set: AtomicBool::new(false),
        })
    }

    /// Wakes its sleeper, or has it look again before it sleeps.
    pub(crate) fn wake(&self) {
        if !self.set.swap(true, Ordering::AcqRel) {
            // Cannot fail: the counter is read whenever it is 1.
            let _ = self.event.write(1);
        }
    }

    /// Sleeps until woken or until `timeout` has passed; `None` is for ever.
    ///
    /// # Errors
    /// Those of [`Poller::wait`].
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut fds = [PollFd::new(self.event.as_fd(), PollFlags::POLLIN)];
        watch(&mut fds, timeout)?;
        self.drain(&fds[0]);
        Ok(())
    }

    /// Empties the descriptor when it ended a wait. A wake-up may be taken between its two steps:
    /// then nothing else would, and every later wait would end at once.
    fn drain(&self, found: &PollFd<'_>) {
        if found.any() == Some(true) {
            let _ = unistd::read(self.event.as_fd(), &mut [0; 8]);
        }
    }

    /// Takes a wake-up; the caller must look at the shared state after this, not before.
    pub(crate) fn take(&self) -> bool {
        if !self.set.load(Ordering::Acquire) {
            return false;
        }
        let _ = unistd::read(self.event.as_fd(), &mut [0; 8]);
        self.set.store(false, Ordering::Release);
        true
    }
}

/// What who looks waits on.
#[derive(Clone, Debug)]
pub(crate) struct Poller {
    receive: Arc<OwnedFd>,
    transmit: Arc<OwnedFd>,
}

/// What a wait found out about the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceState {
    /// Nothing unusual.
    Fine,
    /// The descriptor reports an error or a hang-up: the next read should say which.
    Trouble,
}

impl Poller {
    /// Sleeps as long as `next` allows, but not beyond `wake_at`.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait).
    pub(crate) fn sleep(
        &self,
        waker: &Waker,
        next: &Next,
        now: Instant,
        wake_at: Option<Instant>,
    ) -> io::Result<DeviceState> {
        let (until, writable) = match next {
            Next::Sleep { until, writable } => (*until, *writable),
            Next::Again | Next::End(_) => (now, false),
        };
        let until = wake_at.map_or(until, |at| at.min(until));
        let timeout = (until != Instant::FAR_FUTURE).then(|| until.since(now));
        self.wait(waker, writable, timeout)
    }

    pub(crate) const fn new(receive: Arc<OwnedFd>, transmit: Arc<OwnedFd>) -> Self {
        Self { receive, transmit }
    }

    /// Sleeps until a frame waits, `waker` is woken, the device takes frames again (when
    /// `writable`), or `timeout` has passed; `None` is for ever. A signal ends it early too.
    ///
    /// # Errors
    /// When poll(2) itself fails for good, which nothing is known to cause.
    pub(crate) fn wait(
        &self,
        waker: &Waker,
        writable: bool,
        timeout: Option<Duration>,
    ) -> io::Result<DeviceState> {
        let mut fds = [
            PollFd::new(self.receive.as_fd(), PollFlags::POLLIN),
            PollFd::new(waker.event.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.transmit.as_fd(), PollFlags::POLLOUT),
        ];
        let used = if writable { 3 } else { 2 };
        watch(&mut fds[..used], timeout)?;
        waker.drain(&fds[1]);
        let bad = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        let trouble = fds[..used]
            .iter()
            .any(|fd| fd.revents().is_some_and(|found| found.intersects(bad)));
        Ok(if trouble {
            DeviceState::Trouble
        } else {
            DeviceState::Fine
        })
    }
}

/// How long a sleep lasts at most that nothing can end.
const BLIND: Duration = Duration::from_millis(1);

/// poll(2). Where it cannot look the host goes on by looking every [`BLIND`].
fn watch(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    answer(ppoll(fds, timeout.map(TimeSpec::from), None), timeout)
}

/// What poll(2) answered. When the kernel has no memory for it, or the process's limit on descriptors is below
/// their number (EINVAL), that is no end: it sleeps a little in its place.
fn answer(polled: nix::Result<i32>, timeout: Option<Duration>) -> io::Result<()> {
    match polled {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(Errno::ENOMEM | Errno::EAGAIN | Errno::EINVAL) => {
            std::thread::sleep(timeout.unwrap_or(BLIND).min(BLIND));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_before_the_wait_ends_it_and_is_taken_once() {
        let waker = Waker::new().unwrap();
        let quiet = Arc::new(OwnedFd::from(EventFd::new().unwrap()));
        let poller = Poller::new(Arc::clone(&quiet), quiet);
        assert!(!waker.take());
        waker.wake();
        waker.wake();
        // Without the wake-up this would never return.
        assert_eq!(poller.wait(&waker, false, None).unwrap(), DeviceState::Fine);
        assert!(waker.take() && !waker.take());
        let brief = Some(Duration::from_nanos(1));
        poller.wait(&waker, false, brief).unwrap();
        waker.wait(brief).unwrap();
        waker.wake();
        waker.wait(None).unwrap();
        assert!(waker.take());
        // The second half of a wake-up whose first half was taken already.
        waker.event.write(1).unwrap();
        waker.wait(None).unwrap();
        let began = std::time::Instant::now();
        waker.wait(Some(Duration::from_millis(5))).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(5));
    }

    /// A kernel short of memory slows a host down, and does not end it.
    #[test]
    fn a_poll_that_the_kernel_cannot_do_is_a_short_sleep() {
        let long = Some(Duration::from_secs(3600));
        for error in [Errno::ENOMEM, Errno::EAGAIN, Errno::EINVAL] {
            let began = std::time::Instant::now();
            for timeout in [long, None] {
                answer(Err(error), timeout).unwrap();
            }
            let took = began.elapsed();
            assert!(
                took >= BLIND * 2 && took < Duration::from_secs(60),
                "{error}"
            );
            answer(Err(error), Some(Duration::ZERO)).unwrap();
        }
        answer(Err(Errno::EINTR), long).unwrap();
        assert!(answer(Err(Errno::EFAULT), long).is_err());
    }
}
