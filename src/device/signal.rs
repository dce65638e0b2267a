//! A descriptor that says whether one end of an in-memory pair can be read or written.
//!
//! *Owns* an event counter (eventfd(2)), made only when somebody asks for it: a pair that nobody
//! waits on costs no descriptor and no system call.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd;

/// A flag that becomes visible to poll(2) once a descriptor was asked for.
#[derive(Debug)]
pub(super) struct Signal {
    fd: Option<Arc<OwnedFd>>,
    /// What is in the counter while the flag is set.
    count: u64,
    set: bool,
}

impl Signal {
    /// A descriptor that is readable while the flag is set.
    pub(super) const fn readable() -> Self {
        Self::new(1)
    }

    /// A descriptor that is *not* writable while the flag is set: the counter is at its maximum.
    pub(super) const fn blocked() -> Self {
        Self::new(u64::MAX - 1)
    }

    const fn new(count: u64) -> Self {
        Self {
            fd: None,
            count,
            set: false,
        }
    }

    /// Sets or clears the flag.
    pub(super) fn set(&mut self, set: bool) {
        if self.set != set {
            self.set = set;
            self.show();
        }
    }

    /// The descriptor; the first call makes it.
    pub(super) fn descriptor(&mut self) -> io::Result<Arc<OwnedFd>> {
        if let Some(fd) = &self.fd {
            return Ok(Arc::clone(fd));
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let fd = Arc::new(OwnedFd::from(EventFd::from_flags(flags)?));
        self.fd = Some(Arc::clone(&fd));
        if self.set {
            self.show();
        }
        Ok(fd)
    }

    /// Makes the counter agree with the flag. Neither call can fail on a counter that only this
    /// code changes, and only between its two states; a user who wrote to it spoils his own waits.
    fn show(&self) {
        let Some(fd) = &self.fd else { return };
        if self.set {
            let _ = unistd::write(fd, &self.count.to_ne_bytes());
        } else {
            let _ = unistd::read(fd, &mut [0; 8]);
        }
    }
}
