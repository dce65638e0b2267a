//! Leading: a thread that would block drives the host itself until its own socket has something.
//!
//! *Owns* the leader's loop, and blocking on a channel with it. *Does not* decide who leads:
//! `roles.rs` does. A leader holds the receiving half while it sleeps; its turns are the driver's,
//! for everyone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::clock;
use super::devices::Places;
use super::error::HostError;
use super::locked::Locked;
use super::roles::{LeadId, Wake};
use super::shared::{Rx, Shared, Turn};
use super::sleeper::DeviceState;
use super::state::Next;
use crate::base::Instant;
use crate::device::DeviceError;

/// What ends a lead, besides trouble.
pub(crate) struct Until<'a> {
    /// The leader's own socket has something; may be asked with or without the core's lock.
    pub(crate) ready: &'a dyn Fn() -> bool,
    /// The leader looks at its socket again at once, and sends then: an ACK that follows the read
    /// tells the room that the read has made.
    pub(crate) sends: bool,
    /// The leader's patience.
    pub(crate) deadline: Option<Instant>,
}

impl Shared {
    /// Leads, when the roles allow it, until `until`, or until somebody wants the thread to look
    /// again. Gives the core back when they do not.
    pub(crate) fn try_lead<'a>(
        &'a self,
        mut core: Locked<'a>,
        until: &Until<'_>,
    ) -> Result<(), Locked<'a>> {
        if self.rx.is_poisoned() {
            // Who panicked ends the host, and wakes those who wait; what it read is not handled.
            core.fail(HostError::Panicked);
            return Err(core);
        }
        let Some((id, mut wake, mut next)) = core.begin_lead() else {
            return Err(core);
        };
        self.led.store(true, Ordering::Relaxed);
        // `rx` comes before the core: it may be asked for here, not waited for.
        let rx = self.rx.try_lock().ok();
        if rx.is_some() {
            // What woke an earlier lead is in the core, as `next` is; nobody has to leave.
            self.leader.take();
            if wake == Wake::Leader {
                wake = Wake::Nobody;
            }
        } else {
            // Who holds it takes a turn that may arm an earlier timer, or is to be replaced and may
            // take a wake-up that was meant for this lead: what `next` says may be old by then.
            next = Next::Again;
        }
        drop(core);
        self.wake(wake);
        // A bug ends the host, not the thread that happened to lead.
        let over = catch_unwind(AssertUnwindSafe(|| self.lead(id, rx, next, until)));
        let over = over.unwrap_or(Over::Failed(HostError::Panicked));
        self.end_lead(id, over, (until.ready)());
        Ok(())
    }

    fn lead(
        &self,
        id: LeadId,
        rx: Option<MutexGuard<'_, Rx>>,
        mut next: Next,
        until: &Until<'_>,
    ) -> Over {
        let Ok(mut rx) = rx.map_or_else(|| self.rx.lock(), Ok) else {
            return Over::Failed(HostError::Panicked);
        };
        let mut active_at = self.busy_since();
        let mut polled_at = active_at;
        // The driver may have taken a last turn meanwhile.
        while !(until.ready)() {
            let now = clock::now();
            let (received, held) = rx.receive(now);
            if received > 0 || next.is_due(now) {
                match self.turn(&mut rx, Turn::Lead(id, until)) {
                    None => return Over::Ended,
                    Some(Next::End(_)) => return Over::Done,
                    Some(after) => next = after,
                }
                if received > 0 {
                    active_at = now;
                }
            } else {
                let spins = now.since(active_at) < self.busy_poll;
                if let Some(changed) = self.poll_device(now, Some(id), spins, &mut polled_at) {
                    next = changed;
                }
                if next.is_due(now) {
                    continue;
                }
                if spins {
                    std::hint::spin_loop();
                } else {
                    let wake_at = earliest([held, until.deadline]);
                    if let Some(over) = self.sleep_as_leader(&rx, &next, now, wake_at) {
                        return over;
                    }
                    active_at = self.busy_since();
                    if next.waits_for_room() {
                        next = Next::Again;
                    }
                }
            }
            let late = until.deadline.is_some_and(|deadline| deadline <= now);
            // Always taken: a sleep that ends may have emptied its descriptor.
            if self.leader.take() || late {
                break;
            }
        }
        Over::Done
    }

    /// Now, from which on it is spun; no clock is read where nobody spins.
    fn busy_since(&self) -> Instant {
        match self.busy_poll {
            Duration::ZERO => Instant::ZERO,
            _ => clock::now(),
        }
    }

    /// Sleeps on the device; what ends the lead, if anything does.
    fn sleep_as_leader(
        &self,
        rx: &Rx,
        next: &Next,
        now: Instant,
        wake_at: Option<Instant>,
    ) -> Option<Over> {
        let Some(sleeper) = rx.sleeper() else {
            return Some(Over::Done);
        };
        let (until, full) = match next {
            Next::Sleep { until, full } => (*until, *full),
            Next::Again | Next::End(_) => (now, Places::default()),
        };
        let until = wake_at.map_or(until, |at| at.min(until));
        match sleeper.sleep(&self.leader, full, until, now) {
            Ok(DeviceState::Fine) => None,
            Ok(DeviceState::Trouble(_)) => Some(Over::Trouble),
            Err(error) => Some(Over::Failed(DeviceError::Io(error).into())),
        }
    }

    /// Gives the role back.
    fn end_lead(&self, id: LeadId, over: Over, served: bool) {
        if matches!(over, Over::Ended) {
            return;
        }
        let mut core = self.lock();
        if served && core.roles.is_led_by(id) {
            core.roles.served_itself();
        }
        let mut failed = false;
        match over {
            Over::Ended | Over::Done => {}
            Over::Trouble => core.roles.suspend(),
            Over::Failed(why) => {
                core.fail(why);
                failed = true;
            }
        }
        let mut wake = core.end_lead(id, clock::now(), false);
        if failed && wake == Wake::Nobody {
            // It had been replaced: who leads now hears of it.
            wake = core.wake_at_once();
        }
        drop(core);
        self.wake(wake);
    }

    /// Leads, when it can, until a channel that turns fill is `ready`, and so on; `false` when it
    /// cannot: then the caller sleeps on its channel.
    pub(crate) fn lead_for_channel(&self, until: &Until<'_>) -> bool {
        let core = self.lock();
        // Filled under the lock only: what comes from now on is told to who leads.
        (until.ready)() || self.try_lead(core, until).is_ok()
    }
}

/// Why a lead is over.
enum Over {
    /// The turn that ended it has given the role back, or another lead has replaced it.
    Ended,
    Done,
    /// The descriptor reports an error that the next reads may explain: the driver counts them.
    Trouble,
    Failed(HostError),
}

fn earliest(times: [Option<Instant>; 2]) -> Option<Instant> {
    times.into_iter().flatten().min()
}

impl Shared {
    /// Wakes whoever is to look; never under the core's lock.
    pub(crate) fn wake(&self, wake: Wake) {
        match wake {
            Wake::Driver if self.task.runs() => self.task.ask(),
            wake => self.wake_under_lock(wake),
        }
    }

    /// The same by descriptors, wherever that is.
    pub(crate) fn wake_under_lock(&self, wake: Wake) {
        match wake {
            Wake::Nobody => {}
            Wake::Driver => self.driver.wake(),
            Wake::Leader => self.leader.wake(),
        }
    }
}

#[cfg(test)]
#[path = "lead_tests.rs"]
mod tests;
