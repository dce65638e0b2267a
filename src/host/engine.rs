//! Driving a host, step by step: reads the devices, takes turns, says what to sleep on.
//!
//! *Owns* what a driver knows from one look to the next. *Does not* sleep: who runs it does, a thread or a task. It does not
//! hold a lock between steps, nor the core's while it reads, nor look at the device while another thread leads.
//! Each turn is bounded by its batch; between turns users get the lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::clock;
use super::devices::Places;
use super::error::HostError;
use super::roles::Part;
use super::shared::{Shared, Turn};
use super::sleeper::{DeviceState, Sleeper};
use super::state::Next;
use crate::base::Instant;
use crate::stack::InterfaceId;

/// Waits in a row that report trouble of a device which no read of it explains, before it counts as gone.
const TROUBLE_LIMIT: u32 = 64;

/// A driver between its looks at the devices, whoever runs it.
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    next: Next,
    active_at: Instant,
    polled_at: Instant,
    troubles: Troubles,
}

/// What whoever runs an engine does before the next step.
pub(crate) enum Step {
    /// Nothing.
    Again,
    /// Next to nothing: something may come at any moment.
    Spin,
    /// Another thread leads: waits to be woken, until then at most.
    StandBack(Option<Instant>),
    /// Waits for the devices, or to be woken.
    Sleep(Sleep),
    /// Nothing any more.
    End(HostError),
}

/// What a driver sleeps on. It does so without the receiving half, and devices come and go.
pub(crate) struct Sleep {
    pub(crate) sleeper: Arc<Sleeper>,
    /// Not beyond this.
    pub(crate) until: Instant,
    /// Devices that may be written to again.
    pub(crate) full: Places,
}

impl Engine {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let now = clock::now();
        Self {
            shared,
            next: Next::Again,
            active_at: now,
            polled_at: now,
            troubles: Troubles::default(),
        }
    }

    /// Looks at the devices once, and takes a turn if there is something to do.
    pub(crate) fn step(&mut self) -> Step {
        let stepped_in = match self.part() {
            Some(Part::StandBack(until)) => return Step::StandBack(until),
            part => part,
        };
        if stepped_in.is_some() {
            self.next = Next::Again;
        }
        let shared = &*self.shared;
        let Ok(mut rx) = shared.rx.lock() else {
            // What a thread had read that panicked as it led is not handled.
            return Step::End(HostError::Panicked);
        };
        let now = clock::now();
        let (received, held) = rx.receive(now);
        self.troubles.forget(|on| rx.gave(on));
        if received > 0 || self.next.is_due(now) {
            let turn = shared.turn(&mut rx, Turn::Drive);
            drop(rx);
            self.next = turn.unwrap_or(Next::Again);
            if let Next::End(why) = &self.next {
                return Step::End(why.clone());
            }
            if received > 0 {
                self.active_at = now;
            }
            if received > 0 && stepped_in == Some(Part::StepIn) {
                shared.lock().roles.lead_hurt();
            }
            // Sleep only after a look at the device that found nothing.
            return Step::Again;
        }
        let spins = now.since(self.active_at) < shared.busy_poll;
        let sleeper = rx.sleeper().filter(|_| !spins).map(Arc::clone);
        drop(rx);
        if let Some(changed) = shared.poll_device(now, None, spins, &mut self.polled_at) {
            self.next = changed;
        }
        match (&self.next, sleeper) {
            (next, _) if next.is_due(now) => Step::Again,
            (Next::Sleep { until, full }, Some(sleeper)) => Step::Sleep(Sleep {
                sleeper,
                until: held.map_or(*until, |held| held.min(*until)),
                full: *full,
            }),
            _ => Step::Spin,
        }
    }

    /// A sleep is over, which found this about the devices.
    pub(crate) fn slept(&mut self, sleep: &Sleep, found: DeviceState) {
        let gone = match found {
            DeviceState::Fine => self.troubles.on_wait(&[]),
            DeviceState::Trouble(places) => {
                self.troubles.on_wait(&sleep.sleeper.interfaces(places))
            }
        };
        if !gone.is_empty() {
            self.shared.lose(&gone);
            self.next = Next::Again;
        }
        if self.shared.busy_poll > Duration::ZERO {
            self.active_at = clock::now();
        }
    }

    /// Looks whether it was woken, after a sleep or a spin.
    pub(crate) fn look_for_wake_up(&mut self) {
        // A device that was full may take frames again: only a turn finds out.
        let woken = self.shared.driver.take() | self.shared.task.take();
        if woken || self.next.waits_for_room() {
            self.next = Next::Again;
        }
    }

    /// What it does beside another thread that leads; `None` where nobody has.
    fn part(&self) -> Option<Part> {
        let led = self.shared.led.load(Ordering::Relaxed);
        led.then(|| self.shared.part_of_driver())
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

/// Ends the host, a panic included, so that nobody waits for a driver that is gone.
pub(crate) struct End {
    shared: Arc<Shared>,
    /// Why, if its driver goes without a word.
    otherwise: HostError,
    over: Option<HostError>,
}

impl End {
    pub(crate) const fn new(shared: Arc<Shared>, otherwise: HostError) -> Self {
        Self {
            shared,
            otherwise,
            over: None,
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends it for this reason, unless it has ended.
    pub(crate) fn end(&mut self, why: HostError) {
        if self.over.is_none() {
            self.over = Some(why.clone());
            self.shared.end(why);
        }
    }

    pub(crate) const fn over(&self) -> Option<&HostError> {
        self.over.as_ref()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let why = self.otherwise.clone();
        self.end(why);
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
