//! The host's thread: reads the device, takes turns, sleeps.
//!
//! *Owns* the loop. *Does not* hold a lock while it sleeps, nor the core's while it reads.
//! Each turn is bounded by its batch; between turns users get the lock.

use std::sync::Arc;
use std::time::Duration;

use super::clock;
use super::error::HostError;
use super::shared::{Next, Shared};
use super::wait::{DeviceState, Poller};
use crate::base::Instant;
use crate::device::{DeviceError, RxBatch};

/// Waits in a row that report trouble which no read explains, before the device counts as gone.
const TROUBLE_LIMIT: u32 = 64;

/// The driver thread's own state.
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) poller: Poller,
    pub(crate) batch: RxBatch,
    pub(crate) busy_poll: Duration,
}

impl Driver {
    /// Drives until the host is asked to end or the device fails.
    pub(crate) fn run(mut self) {
        let mut end = End {
            shared: Arc::clone(&self.shared),
            why: HostError::Panicked,
        };
        end.why = self.drive();
    }

    fn drive(&mut self) -> HostError {
        let mut next = Next::Again;
        let mut active_at = clock::now();
        let mut troubles = 0;
        loop {
            let now = clock::now();
            let (received, held) = match self.shared.receive(now, &mut self.batch) {
                Ok(read) => read,
                Err(error) => return error.into(),
            };
            if received > 0 || next.is_due(now) {
                next = self.shared.turn(&mut self.batch);
                if let Next::End(why) = next {
                    return why;
                }
                if received > 0 {
                    active_at = now;
                    troubles = 0;
                }
                // Sleep only after a look at the device that found nothing.
                continue;
            }
            if now.since(active_at) < self.busy_poll {
                std::hint::spin_loop();
            } else {
                match self.sleep(&next, now, held) {
                    Ok(DeviceState::Fine) => troubles = 0,
                    Ok(DeviceState::Trouble) => troubles += 1,
                    Err(error) => return DeviceError::Io(error).into(),
                }
                if troubles > TROUBLE_LIMIT {
                    return DeviceError::Gone.into();
                }
                if self.busy_poll > Duration::ZERO {
                    active_at = clock::now();
                }
            }
            // A device that was full may take frames again: only a turn finds out.
            let was_full = matches!(next, Next::Sleep { writable: true, .. });
            if self.shared.waker.take() || was_full {
                next = Next::Again;
            }
        }
    }

    fn sleep(
        &self,
        next: &Next,
        now: Instant,
        held: Option<Instant>,
    ) -> std::io::Result<DeviceState> {
        let (until, writable) = match next {
            Next::Sleep { until, writable } => (*until, *writable),
            Next::Again | Next::End(_) => (now, false),
        };
        let until = held.map_or(until, |held| held.min(until));
        let timeout = (until != Instant::FAR_FUTURE).then(|| until.since(now));
        self.poller.wait(&self.shared.waker, writable, timeout)
    }
}

/// Ends the host, a panic included, so that nobody waits for a thread that is gone.
struct End {
    shared: Arc<Shared>,
    why: HostError,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.end(self.why.clone());
    }
}

impl Next {
    fn is_due(&self, now: Instant) -> bool {
        match self {
            Self::Again | Self::End(_) => true,
            Self::Sleep { until, .. } => *until <= now,
        }
    }
}
