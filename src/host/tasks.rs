//! What a task asks the stack: once a turn, and it is marked when there is nothing.
//!
//! *Owns* that for sockets whose queue is the stack's, and for what is sent. *Does not* wait. A call that finds nothing has taken nothing, so
//! that a task may be dropped between any two.

use std::io;
use std::task::{Context, Poll};

use super::clock;
use super::shared::Shared;
use super::waits::Side;
use crate::base::Instant;
use crate::stack::{RecvError, SendError, Stack};

/// What says that there is nothing now.
pub(super) trait Empty {
    fn is_empty(&self) -> bool;
}

impl Empty for RecvError {
    fn is_empty(&self) -> bool {
        matches!(self, Self::WouldBlock)
    }
}

impl Empty for SendError {
    fn is_empty(&self) -> bool {
        matches!(self, Self::WouldBlock)
    }
}

impl Empty for crate::stack::AcceptError {
    fn is_empty(&self) -> bool {
        matches!(self, Self::WouldBlock)
    }
}

impl Shared {
    /// Calls the stack of a host that runs; pending while that would block.
    pub(super) fn poll_stack<T, E: Empty>(
        &self,
        cx: &Context<'_>,
        side: &Side,
        call: impl FnOnce(&mut Stack, Instant) -> Result<T, E>,
    ) -> Poll<io::Result<T>>
    where
        io::Error: From<E>,
    {
        side.poll(cx, || {
            let mut core = match self.lock_running() {
                Ok(core) => core,
                Err(why) => return Some(Err(why.into())),
            };
            let now = clock::now();
            let result = call(&mut core.stack, now);
            self.finish(core, now);
            match result {
                Err(error) if error.is_empty() => None,
                other => Some(other.map_err(io::Error::from)),
            }
        })
    }
}
