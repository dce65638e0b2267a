//! All that a driver waits for as one descriptor: epoll(7) over devices, a wake-up and timerfd(2).
//!
//! *Owns* what is watched. *Does not* wait on it, read frames, or say what to do. It is level-triggered: readable as long as there is something,
//! but for what its driver does not want now.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd;

use super::clock;
use super::devices::Places;
use super::sleeper::{Sleeper, Waker, Watched};
use crate::base::Instant;

/// The descriptor of one driver.
#[derive(Debug)]
pub(crate) struct Descriptor {
    epoll: Epoll,
    timer: TimerFd,
    /// When the timer fires; FAR_FUTURE when it does not.
    armed: Instant,
    /// Whose devices are in it, and for what.
    watched: Option<(Arc<Sleeper>, Interest)>,
}

/// What is wanted of the devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interest {
    /// Frames; not while another thread leads.
    frames: bool,
    /// Room, of these.
    full: Places,
}

impl Descriptor {
    pub(crate) fn new(waker: &Waker) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        for fd in [waker.as_fd(), timer.as_fd()] {
            epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        }
        Ok(Self {
            epoll,
            timer,
            armed: Instant::FAR_FUTURE,
            watched: None,
        })
    }

    /// It is readable when a device has a frame, when one of those that are `full` has room, when the driver is woken, and at `until`.
    pub(crate) fn watch(
        &mut self,
        sleeper: &Arc<Sleeper>,
        full: Places,
        until: Instant,
    ) -> io::Result<()> {
        let frames = true;
        let wanted = Interest { frames, full };
        self.fire(until)?;
        let known = self.watched.as_ref();
        if known.is_some_and(|(known, of)| Arc::ptr_eq(known, sleeper) && *of == wanted) {
            return Ok(());
        }
        self.unwatch()?;
        for device in sleeper.devices() {
            self.add(device, full)?;
        }
        self.watched = Some((Arc::clone(sleeper), wanted));
        Ok(())
    }

    /// It is readable when the driver is woken, and at `until`.
    pub(crate) fn watch_nothing(&mut self, until: Instant) -> io::Result<()> {
        self.fire(until)?;
        self.unwatch()
    }

    /// Takes what the timer has said.
    pub(crate) fn look_at_timer(&mut self, now: Instant) {
        if self.armed <= now {
            // Nothing is there when it was armed anew meanwhile.
            let _ = unistd::read(self.timer.as_fd(), &mut [0; 8]);
            self.armed = Instant::FAR_FUTURE;
        }
    }

    fn add(&self, device: &Watched, full: Places) -> io::Result<()> {
        let (readable, writable) = (&*device.readable, &*device.writable);
        let room = full.contains(device.place);
        let mut flags = EpollFlags::EPOLLIN;
        let same = readable.as_raw_fd() == writable.as_raw_fd();
        if room && same {
            flags |= EpollFlags::EPOLLOUT;
        }
        self.epoll.add(readable, EpollEvent::new(flags, 0))?;
        if room && !same {
            let flags = EpollFlags::EPOLLOUT;
            self.epoll.add(writable, EpollEvent::new(flags, 0))?;
        }
        Ok(())
    }

    fn unwatch(&mut self) -> io::Result<()> {
        let Some((sleeper, _)) = self.watched.take() else {
            return Ok(());
        };
        for device in sleeper.devices() {
            self.remove(&device.readable)?;
            self.remove(&device.writable)?;
        }
        Ok(())
    }

    /// One that was not in it is none that is missed.
    fn remove(&self, fd: &OwnedFd) -> io::Result<()> {
        match self.epoll.delete(fd) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the timer fire at `until`. One that fires too early is looked at and armed anew: what is due moves away with each segment.
    fn fire(&mut self, until: Instant) -> io::Result<()> {
        if until >= self.armed {
            return Ok(());
        }
        let left = until.since(clock::now());
        let nanos = i64::try_from(left.as_nanos()).unwrap_or(i64::MAX).max(1);
        let at = Expiration::OneShot(TimeSpec::nanoseconds(nanos));
        self.timer.set(at, TimerSetTimeFlags::empty())?;
        self.armed = until;
        Ok(())
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}
