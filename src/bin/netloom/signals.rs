//! Signals as a descriptor to wait on: SIGINT and SIGTERM, and SIGUSR1 for who asks for it.
//!
//! They are blocked before the first thread starts, so that every thread inherits the mask and the
//! signals wait for whoever reads them here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use netloom::host::Host;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::Failure;

/// How long peers may take for their part of an end in order.
pub(crate) const END_WITHIN: Duration = Duration::from_secs(1);

/// The signals, held back until they are asked for.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks SIGINT and SIGTERM; call it before any thread is started.
    pub(crate) fn block() -> Result<Self, Failure> {
        Self::block_all(&[Signal::SIGINT, Signal::SIGTERM])
    }

    /// Blocks SIGUSR1 too.
    pub(crate) fn block_with_user() -> Result<Self, Failure> {
        Self::block_all(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1])
    }

    fn block_all(signals: &[Signal]) -> Result<Self, Failure> {
        let all: SigSet = signals.iter().copied().collect();
        let blocked = all.thread_block().and_then(|()| {
            SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        });
        match blocked {
            Ok(fd) => Ok(Self { fd }),
            Err(errno) => Err(Failure::new(format_args!("cannot block signals: {errno}"))),
        }
    }

    /// Has one of them come? Takes it.
    pub(crate) fn came(&self) -> bool {
        self.take().is_some()
    }

    /// Takes one that has come.
    pub(crate) fn take(&self) -> Option<Signal> {
        let info = self.fd.read_signal().ok().flatten()?;
        Signal::try_from(info.ssi_signo as i32).ok()
    }

    /// Does `work` with a host that ends in order when one of them comes, which ends the work too:
    /// its peers are told, and that is the failure.
    pub(crate) fn around<T>(
        &self,
        host: &Host,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self.ending(host, work)? {
            (outcome, false) => outcome,
            (_, true) => Err(Failure::new("stopped by a signal")),
        }
    }

    /// The same, for work that goes on without its host; also says whether a signal came.
    pub(crate) fn ending<T>(
        &self,
        host: &Host,
        work: impl FnOnce() -> T,
    ) -> Result<(T, bool), Failure> {
        let (working, end_of_work) = io::pipe().map_err(Failure::new)?;
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                self.wait_with(&[working.as_fd()], None)?;
                let came = self.came();
                if came {
                    host.shutdown(END_WITHIN);
                }
                Ok(came)
            });
            let outcome = work();
            drop(end_of_work);
            match watcher.join() {
                Ok(Ok(came)) => Ok((outcome, came)),
                Ok(Err(failure)) => Err(failure),
                Err(_) => Err(Failure::new("the thread that waits for signals panicked")),
            }
        })
    }

    /// Waits until one of them comes, one of `others` can be read, or `limit` is over.
    pub(crate) fn wait_with(
        &self,
        others: &[BorrowedFd<'_>],
        limit: Option<Duration>,
    ) -> Result<(), Failure> {
        let mut fds = vec![PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        fds.extend(others.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        let limit = limit.map_or(PollTimeout::NONE, |limit| {
            PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, limit) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Failure::new(format_args!("cannot wait: {errno}"))),
        }
    }
}
