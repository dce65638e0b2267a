//! The host's thread: reads the device, takes turns, sleeps.
//!
//! *Owns* the loop. *Does not* hold a lock while it sleeps, nor the core's while it reads, nor look
//! at the device while another thread leads.
//! Each turn is bounded by its batch; between turns users get the lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::clock;
use super::error::HostError;
use super::poller::DeviceState;
use super::roles::Part;
use super::shared::{Shared, Turn};
use super::state::Next;
use crate::base::Instant;
use crate::device::DeviceError;

/// Waits in a row that report trouble which no read explains, before the device counts as gone.
const TROUBLE_LIMIT: u32 = 64;

/// The driver thread's own state.
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
}

impl Driver {
    /// Drives until the host is asked to end or the device fails.
    pub(crate) fn run(self) {
        let mut end = End {
            shared: Arc::clone(&self.shared),
            why: HostError::Panicked,
        };
        end.why = self.drive().unwrap_or_else(HostError::from);
    }

    /// Takes turns; how the host ends.
    fn drive(&self) -> Result<HostError, DeviceError> {
        let shared = &*self.shared;
        let mut next = Next::Again;
        let mut active_at = clock::now();
        let mut polled_at = active_at;
        let mut troubles = 0;
        loop {
            let stepped_in = self.stand_back()?;
            if stepped_in.is_some() {
                next = Next::Again;
            }
            let Ok(mut rx) = shared.rx.lock() else {
                // What a thread had read that panicked as it led is not handled.
                return Ok(HostError::Panicked);
            };
            let now = clock::now();
            let (received, held) = rx.receive(now);
            if received > 0 || next.is_due(now) {
                let turn = shared.turn(&mut rx, Turn::Drive);
                drop(rx);
                next = turn.unwrap_or(Next::Again);
                if let Next::End(why) = next {
                    return Ok(why);
                }
                if received > 0 {
                    active_at = now;
                    troubles = 0;
                }
                if received > 0 && stepped_in == Some(Part::StepIn) {
                    shared.lock().roles.lead_hurt();
                }
                // Sleep only after a look at the device that found nothing.
                continue;
            }
            // It sleeps without the receiving half, and devices come and go.
            let poller = rx.poller().map(Arc::clone);
            drop(rx);
            let spins = now.since(active_at) < shared.busy_poll;
            if let Some(changed) = shared.poll_device(now, None, spins, &mut polled_at) {
                next = changed;
            }
            if next.is_due(now) {
                continue;
            }
            if spins {
                std::hint::spin_loop();
            } else if let Some(poller) = poller {
                match poller.sleep(&shared.driver, &next, now, held)? {
                    DeviceState::Fine => troubles = 0,
                    DeviceState::Trouble(_) if troubles < TROUBLE_LIMIT => troubles += 1,
                    DeviceState::Trouble(places) => {
                        shared.lose(places);
                        (troubles, next) = (0, Next::Again);
                    }
                }
                if shared.busy_poll > Duration::ZERO {
                    active_at = clock::now();
                }
            }
            // A device that was full may take frames again: only a turn finds out.
            if shared.driver.take() || next.waits_for_room() {
                next = Next::Again;
            }
        }
    }

    /// Stands back while another thread leads; how it got its role back, if it had lost it.
    fn stand_back(&self) -> Result<Option<Part>, DeviceError> {
        let shared = &*self.shared;
        if !shared.led.load(Ordering::Relaxed) {
            return Ok(None);
        }
        loop {
            match shared.part_of_driver() {
                Part::StandBack(until) => {
                    let timeout = until.map(|until| until.since(clock::now()));
                    shared.driver.wait(timeout)?;
                    shared.driver.take();
                }
                part => return Ok(Some(part)),
            }
        }
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
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        match self {
            Self::Again | Self::End(_) => true,
            Self::Sleep { until, .. } => *until <= now,
        }
    }

    /// Is a device full?
    pub(crate) const fn waits_for_room(&self) -> bool {
        matches!(self, Self::Sleep { full, .. } if !full.is_empty())
    }
}
