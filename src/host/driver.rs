//! The host's thread: reads the device, takes turns, sleeps.
//!
//! *Owns* the loop. *Does not* hold a lock while it sleeps, nor the core's while it reads, nor look
//! at the device while another thread leads.
//! Each turn is bounded by its batch; between turns users get the lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::clock;
use super::error::HostError;
use super::roles::Part;
use super::shared::{Shared, Turn};
use super::sleeper::{DeviceState, Sleeper};
use super::state::Next;
use crate::base::Instant;
use crate::device::DeviceError;
use crate::stack::InterfaceId;

/// Waits in a row that report trouble of a device which no read of it explains, before it counts as gone.
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
        let mut troubles = Troubles::default();
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
            troubles.forget(|on| rx.gave(on));
            if received > 0 || next.is_due(now) {
                let turn = shared.turn(&mut rx, Turn::Drive);
                drop(rx);
                next = turn.unwrap_or(Next::Again);
                if let Next::End(why) = next {
                    return Ok(why);
                }
                if received > 0 {
                    active_at = now;
                }
                if received > 0 && stepped_in == Some(Part::StepIn) {
                    shared.lock().roles.lead_hurt();
                }
                // Sleep only after a look at the device that found nothing.
                continue;
            }
            let spins = now.since(active_at) < shared.busy_poll;
            // It sleeps without the receiving half, and devices come and go.
            let sleeper = rx.sleeper().filter(|_| !spins).map(Arc::clone);
            drop(rx);
            if let Some(changed) = shared.poll_device(now, None, spins, &mut polled_at) {
                next = changed;
            }
            if next.is_due(now) {
                continue;
            }
            if spins {
                std::hint::spin_loop();
            } else if let Some(sleeper) = sleeper {
                if self.sleep(&sleeper, &next, (now, held), &mut troubles)? {
                    next = Next::Again;
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

    /// Sleeps on the devices; has that found some that are gone?
    fn sleep(
        &self,
        sleeper: &Sleeper,
        next: &Next,
        (now, held): (Instant, Option<Instant>),
        troubles: &mut Troubles,
    ) -> Result<bool, DeviceError> {
        let shared = &*self.shared;
        let gone = match sleeper.sleep(&shared.driver, next, now, held)? {
            DeviceState::Fine => troubles.on_wait(&[]),
            DeviceState::Trouble(places) => troubles.on_wait(&sleeper.interfaces(places)),
        };
        if gone.is_empty() {
            return Ok(false);
        }
        shared.lose(&gone);
        Ok(true)
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

/// Waits in a row that report trouble, for each device by itself: that of one says nothing about another.
#[derive(Debug, Default)]
struct Troubles(BTreeMap<InterfaceId, u32>);

impl Troubles {
    /// A wait is over, after which these are in trouble. Who has been so for too long?
    fn on_wait(&mut self, bad: &[InterfaceId]) -> Vec<InterfaceId> {
        self.0.retain(|on, _| bad.contains(on));
        for &on in bad {
            *self.0.entry(on).or_default() += 1;
        }
        let gone = self.0.iter().filter(|&(_, &waits)| waits > TROUBLE_LIMIT);
        gone.map(|(&on, _)| on).collect()
    }

    /// What was read explains the trouble of those that `gave` frames.
    fn forget(&mut self, gave: impl Fn(InterfaceId) -> bool) {
        self.0.retain(|&on, _| !gave(on));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is counted for itself: neither the traffic of another one nor its passing trouble matter.
    #[test]
    fn a_device_in_trouble_goes_alone_and_whatever_others_do() {
        let [a, b] = [0, 1].map(InterfaceId::from_index);
        let mut troubles = Troubles::default();
        for _ in 0..TROUBLE_LIMIT {
            assert_eq!(troubles.on_wait(&[b]), []);
            troubles.forget(|on| on == a);
        }
        assert_eq!(troubles.on_wait(&[a, b]), [b]);
        // What is read explains it.
        let mut troubles = Troubles::default();
        for _ in 0..TROUBLE_LIMIT {
            assert_eq!(troubles.on_wait(&[a, b]), []);
        }
        troubles.forget(|on| on == b);
        assert_eq!(troubles.on_wait(&[a, b]), [a]);
        // And so does a wait without any.
        assert_eq!(troubles.on_wait(&[]), []);
        assert_eq!(troubles.on_wait(&[a]), []);
    }
}
