//! Blocking calls: the one way in which a thread waits for its socket.
//!
//! *Owns* the loop of looking and waiting. *Does not* decide who leads meanwhile: `Shared::wait` does.

use std::io;

use super::clock;
use super::locked::Locked;
use super::shared::{Shared, Waited, Wish};
use super::state::Core;
use super::tasks::Empty;
use super::waits::Side;
use crate::base::Instant;
use crate::stack::Stack;

/// How a call waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) wish: Wish,
    /// It says that there is nothing rather than wait.
    pub(super) nonblocking: bool,
}

impl Patience {
    /// Of who receives, until `deadline`.
    pub(super) const fn to_receive(deadline: Option<Instant>) -> Self {
        let sends = false;
        let wish = Wish { deadline, sends };
        Self {
            wish,
            nonblocking: false,
        }
    }

    /// Of who sends, until `deadline`.
    pub(super) const fn to_send(deadline: Option<Instant>) -> Self {
        let sends = true;
        let wish = Wish { deadline, sends };
        Self {
            wish,
            nonblocking: false,
        }
    }
}

impl Shared {
    /// Looks, and again whenever `side` is told something, until there is something to say; `None`: it is late. `look` asks whether the host
    /// still runs.
    pub(super) fn block_on<'a, T>(
        &'a self,
        mut core: Locked<'a>,
        side: &Side,
        patience: Patience,
        mut look: impl FnMut(&mut Core, Instant) -> Option<io::Result<T>>,
    ) -> io::Result<Option<T>> {
        loop {
            let now = clock::now();
            let found = look(&mut core, now);
            if found.is_some() || patience.nonblocking {
                // A host that has ended sends nothing more.
                if core.check().is_ok() {
                    self.finish(core, now);
                }
                return found.transpose();
            }
            let waited;
            (core, waited) = self.wait(core, side, patience.wish);
            if waited == Waited::TimedOut && core.check().is_ok() {
                return Ok(None);
            }
        }
    }

    /// The same of a call of the stack, while the host runs.
    pub(super) fn block_on_stack<T, E: Empty>(
        &self,
        side: &Side,
        patience: Patience,
        mut call: impl FnMut(&mut Stack, Instant) -> Result<T, E>,
    ) -> io::Result<Option<T>>
    where
        io::Error: From<E>,
    {
        self.block_on(self.lock(), side, patience, |core, now| {
            if let Err(why) = core.check() {
                return Some(Err(why.into()));
            }
            match call(&mut core.stack, now) {
                Err(error) if error.is_empty() => None,
                other => Some(other.map_err(io::Error::from)),
            }
        })
    }
}

/// What a call says that is late.
pub(super) fn timed_out(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}
