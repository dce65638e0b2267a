//! SIGINT and SIGTERM as a descriptor to wait on.
//!
//! They are blocked before the first thread starts, so that every thread inherits the mask and the
//! signals wait for whoever reads them here.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::Failure;

/// SIGINT and SIGTERM, held back until they are asked for.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks both signals; call it before any thread is started.
    pub(crate) fn block() -> Result<Self, Failure> {
        let mut both = SigSet::empty();
        both.add(Signal::SIGINT);
        both.add(Signal::SIGTERM);
        let blocked = both.thread_block().and_then(|()| {
            SignalFd::with_flags(&both, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        });
        match blocked {
            Ok(fd) => Ok(Self { fd }),
            Err(errno) => Err(Failure::new(format_args!("cannot block signals: {errno}"))),
        }
    }

    /// Has one of them come? Takes it.
    pub(crate) fn came(&self) -> bool {
        matches!(self.fd.read_signal(), Ok(Some(_)))
    }

    /// Waits until one of them comes, for at most `limit`; says whether one did.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Result<bool, Failure> {
        self.wait_with(&[], limit)?;
        Ok(self.came())
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
