//! Waiting for devices, a wake-up and a deadline at once: ppoll(2) and eventfd(2).
//!
//! *Owns* the sleep of who looks at the device, and of a driver that stands back. *Does not* read or write frames.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::unistd;

use super::devices::{Place, Places};
use crate::base::Instant;
use crate::stack::InterfaceId;

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
    /// Those of [`Sleeper::wait`].
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

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// What who looks waits on.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    devices: Vec<Watched>,
}

/// A device's descriptors.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) on: InterfaceId,
    pub(crate) place: Place,
    pub(crate) readable: Arc<OwnedFd>,
    pub(crate) writable: Arc<OwnedFd>,
}

/// What a wait found out about the devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceState {
    /// Nothing unusual.
    Fine,
    /// The descriptors of these report an error or a hang-up: the next read should say which.
    Trouble(Places),
}

impl Sleeper {
    pub(crate) const fn new(devices: Vec<Watched>) -> Self {
        Self { devices }
    }

    /// What is slept on.
    pub(crate) fn devices(&self) -> &[Watched] {
        &self.devices
    }

    /// Whose devices stand at these places as long as this is slept on: another's may by now.
    pub(crate) fn interfaces(&self, places: Places) -> Vec<InterfaceId> {
        let all = self.devices.iter();
        let there = all.filter(|device| places.contains(device.place));
        there.map(|device| device.on).collect()
    }

    /// Sleeps until then; [`Instant::FAR_FUTURE`] is for ever.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait).
    pub(crate) fn sleep(
        &self,
        waker: &Waker,
        full: Places,
        until: Instant,
        now: Instant,
    ) -> io::Result<DeviceState> {
        let timeout = (until != Instant::FAR_FUTURE).then(|| until.since(now));
        self.wait(waker, full, timeout)
    }

    /// Sleeps until a frame waits, `waker` is woken, one of those that are `full` takes frames again,
    /// or `timeout` has passed; `None` is for ever. A signal ends it early too.
    ///
    /// # Errors
    /// When poll(2) itself fails for good, which nothing is known to cause.
    pub(crate) fn wait(
        &self,
        waker: &Waker,
        full: Places,
        timeout: Option<Duration>,
    ) -> io::Result<DeviceState> {
        let [device] = &self.devices[..] else {
            return self.wait_for_all(waker, full, timeout);
        };
        let mut fds = [
            PollFd::new(waker.event.as_fd(), PollFlags::POLLIN),
            PollFd::new(device.readable.as_fd(), PollFlags::POLLIN),
            PollFd::new(device.writable.as_fd(), PollFlags::POLLOUT),
        ];
        let used = if full.contains(device.place) { 3 } else { 2 };
        watch(&mut fds[..used], timeout)?;
        waker.drain(&fds[0]);
        let places = [device.place; 2];
        Ok(state(fds[1..used].iter().zip(places)))
    }

    /// The same with any number of devices.
    fn wait_for_all(
        &self,
        waker: &Waker,
        full: Places,
        timeout: Option<Duration>,
    ) -> io::Result<DeviceState> {
        let mut fds = vec![PollFd::new(waker.event.as_fd(), PollFlags::POLLIN)];
        let mut places = Vec::new();
        for device in &self.devices {
            fds.push(PollFd::new(device.readable.as_fd(), PollFlags::POLLIN));
            places.push(device.place);
            if full.contains(device.place) {
                fds.push(PollFd::new(device.writable.as_fd(), PollFlags::POLLOUT));
                places.push(device.place);
            }
        }
        watch(&mut fds, timeout)?;
        waker.drain(&fds[0]);
        Ok(state(fds[1..].iter().zip(places)))
    }
}

/// What poll(2) said of the devices.
fn state<'a>(found: impl Iterator<Item = (&'a PollFd<'a>, Place)>) -> DeviceState {
    let bad = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
    let mut trouble = Places::default();
    for (fd, place) in found {
        if fd.revents().is_some_and(|found| found.intersects(bad)) {
            trouble.insert(place);
        }
    }
    if trouble.is_empty() {
        DeviceState::Fine
    } else {
        DeviceState::Trouble(trouble)
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
        let mut places = Places::default();
        let mut device = || {
            let place = places.free().unwrap();
            places.insert(place);
            Watched {
                on: InterfaceId::from_index(0),
                place,
                readable: Arc::clone(&quiet),
                writable: Arc::clone(&quiet),
            }
        };
        for devices in [vec![], vec![device()], vec![device(), device()]] {
            is_ended_by_a_wake_up(&waker, &Sleeper::new(devices));
        }
    }

    fn is_ended_by_a_wake_up(waker: &Waker, sleeper: &Sleeper) {
        let none = Places::default();
        assert!(!waker.take());
        waker.wake();
        waker.wake();
        // Without the wake-up this would never return.
        assert_eq!(sleeper.wait(waker, none, None).unwrap(), DeviceState::Fine);
        assert!(waker.take() && !waker.take());
        let brief = Some(Duration::from_nanos(1));
        sleeper.wait(waker, none, brief).unwrap();
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
