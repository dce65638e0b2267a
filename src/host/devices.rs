//! The ways out of a host, one for each of its devices, and what is about to become of the ways in.
//!
//! *Owns* sending over all of them within a turn, which of them are full, and the threads that close those that went. *Does not* read:
//! the ways in are behind a lock of their own (`shared.rs`) and follow with the next turn. With one device each step here is that
//! device's and one look at a list of one.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use std::os::fd::OwnedFd;

use crossbeam_channel::Sender;

use super::shared::{WayIn, WayOut};
use crate::base::Instant;
use crate::capture::Recorder;
use crate::device::DeviceError;
use crate::stack::{InterfaceId, More, PortTx, Stack};

/// Devices that a host has at once, at most; *fixed*: each has a bit in [`Places`], and two descriptors in each sleep.
pub(crate) const MOST_DEVICES: u32 = 64;

/// Where a device stands among the host's, as long as it is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// Some of a host's devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places(u64);

impl Places {
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn contains(self, place: Place) -> bool {
        self.0 >> place.0 & 1 == 1
    }

    pub(crate) const fn insert(&mut self, place: Place) {
        self.0 |= 1 << place.0;
    }

    /// The first that is none of these; `None` when all are taken.
    pub(crate) const fn free(self) -> Option<Place> {
        let place = self.0.trailing_ones();
        if place < MOST_DEVICES {
            Some(Place(place))
        } else {
            None
        }
    }
}

/// The way in of one device, with its place and what to sleep on.
pub(crate) struct Inlet {
    pub(crate) on: InterfaceId,
    pub(crate) place: Place,
    pub(crate) way: WayIn,
    pub(crate) readable: Arc<OwnedFd>,
    pub(crate) writable: Arc<OwnedFd>,
    /// Did frames come of it with the last look?
    pub(crate) gave: bool,
}

/// What who looks does with the ways in, in its next turn.
pub(crate) enum Move {
    Come(Box<Inlet>),
    /// Whoever waits for it gets it, to drop it; nobody may.
    Go(InterfaceId, Option<Sender<Inlet>>),
}

/// A device's way out.
pub(crate) struct Outlet {
    place: Place,
    tx: WayOut,
    /// It was full when it was offered something last, and took nothing.
    stuck: bool,
}

/// Whom frames are offered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// All: who looks finds out so who has room again.
    All,
    /// Those that are not full: a user's call leaves the others to who looks.
    WithRoom,
}

/// Where a device has failed, and why.
pub(crate) type Failed = (InterfaceId, DeviceError);

/// The ways out.
#[derive(Default)]
pub(crate) struct Devices {
    /// In the order in which they came.
    all: Vec<Outlet>,
    pub(super) moves: Vec<Move>,
    /// Those that have failed, and are about to go.
    pub(super) failed: Vec<Failed>,
    /// The capture that devices are added to.
    pub(super) recorder: Option<Recorder>,
    pub(super) closers: Arc<Closers>,
}

impl Outlet {
    fn send(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        rounds: usize,
    ) -> Result<More, DeviceError> {
        let progress = self.tx.send(now, stack, rounds)?;
        let full = self.tx.wants_room();
        self.stuck = full && progress.sent == 0;
        Ok(match progress.more {
            // What the device holds back waits for room too.
            More::Idle if full => More::DeviceFull,
            more => more,
        })
    }
}

impl Devices {
    /// None yet, and who closes those that will have gone.
    pub(super) fn closed_by(closers: Arc<Closers>) -> Self {
        Self {
            closers,
            ..Self::default()
        }
    }

    /// Where one more may stand.
    pub(super) fn free_place(&self) -> Option<Place> {
        let mut taken = Places::default();
        for device in &self.all {
            taken.insert(device.place);
        }
        taken.free()
    }

    /// One more device.
    pub(super) fn come(&mut self, tx: WayOut, inlet: Inlet) {
        let place = inlet.place;
        let stuck = false;
        self.all.push(Outlet { place, tx, stuck });
        self.moves.push(Move::Come(Box::new(inlet)));
    }

    /// The device at this interface goes; its way in follows with the next turn, to who is named.
    pub(super) fn go(&mut self, on: InterfaceId, to: Option<Sender<Inlet>>) -> Option<Outlet> {
        let at = self.all.iter().position(|d| d.tx.interface() == on)?;
        let outlet = self.all.remove(at);
        self.moves.push(Move::Go(on, to));
        Some(outlet)
    }

    /// Those at these interfaces count as failed.
    pub(super) fn fail(&mut self, gone: &[InterfaceId]) {
        let gone = gone.iter().map(|&on| (on, DeviceError::Gone));
        self.failed.extend(gone);
    }

    /// Is there a way out at this interface?
    pub(super) fn has(&self, on: InterfaceId) -> bool {
        self.all.iter().any(|device| device.tx.interface() == on)
    }

    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    /// Do the ways in have to follow?
    pub(super) const fn has_moves(&self) -> bool {
        !self.moves.is_empty()
    }

    /// Sends up to `rounds` budgets of frames over each that it is offered to, and lets these send what they have themselves; what
    /// is left there.
    pub(super) fn send(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        rounds: usize,
        offer: Offer,
    ) -> More {
        let mut all = More::Idle;
        for device in &mut self.all {
            if offer == Offer::WithRoom && device.tx.wants_room() {
                continue;
            }
            let more = device.send(now, stack, rounds).unwrap_or_else(|why| {
                self.failed.push((device.tx.interface(), why));
                More::Idle
            });
            all = graver(all, more);
        }
        // What one sends may be news to the stack itself, and make it speak over one that had its turn.
        if self.all.len() > 1 && all != More::Budget && self.can_send(stack) {
            all = More::Budget;
        }
        all
    }

    /// Sends over the device at this interface alone.
    pub(super) fn send_over(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        on: InterfaceId,
        rounds: usize,
    ) {
        let mut all = self.all.iter_mut();
        let device = all.find(|device| device.tx.interface() == on);
        if let Some(Err(why)) = device.map(|device| device.send(now, stack, rounds)) {
            self.failed.push((on, why));
        }
    }

    /// Lets each send what it has itself.
    pub(super) fn poll(&mut self, now: Instant) {
        for Outlet { tx, .. } in &mut self.all {
            if let Err(why) = tx.poll(now) {
                self.failed.push((tx.interface(), why));
            }
        }
    }

    /// Those that are full.
    pub(super) fn full(&self) -> Places {
        let mut full = Places::default();
        for device in &self.all {
            if device.tx.wants_room() {
                full.insert(device.place);
            }
        }
        full
    }

    /// Has the stack something to send that a device has room for?
    pub(super) fn can_send(&self, stack: &Stack) -> bool {
        self.all.iter().any(|device| device.tx.is_ready(stack))
    }

    /// Is there anything that waits to leave, or a way in that comes or goes?
    ///
    /// Of several devices one that took nothing when it was asked last does not count: whose other end does not read would have
    /// every lead wake the driver. Who looks next waits for its room.
    pub(super) fn wants_turn(&self, stack: &Stack) -> bool {
        let waits = |device: &Outlet| {
            let wants = device.tx.wants_room() || stack.wants_transmit(device.tx.interface());
            wants && !self.is_patient(device)
        };
        !self.moves.is_empty() || self.all.iter().any(waits)
    }

    /// Has one become full, whose room is to be waited for at once?
    pub(super) fn has_filled(&self) -> bool {
        let mut all = self.all.iter();
        all.any(|device| device.tx.wants_room() && !self.is_patient(device))
    }

    fn is_patient(&self, device: &Outlet) -> bool {
        self.all.len() > 1 && device.stuck && device.tx.wants_room()
    }

    /// When the first of them wants to be polled.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = |device: &Outlet| PortTx::due(&device.tx);
        self.all.iter().filter_map(due).min()
    }
}

/// Which of two says more of what is to be done.
fn graver(a: More, b: More) -> More {
    match (a, b) {
        (More::Budget, _) | (_, More::Budget) => More::Budget,
        (More::DeviceFull, _) | (_, More::DeviceFull) => More::DeviceFull,
        (More::Idle | More::Removed, More::Idle | More::Removed) => More::Idle,
    }
}

/// Threads that drop what belonged to devices that have gone, where nobody waits for it: a capture may wait for a disk.
#[derive(Debug, Default)]
pub(crate) struct Closers(Mutex<Vec<JoinHandle<()>>>);

impl Closers {
    /// Drops it in a thread of its own.
    pub(super) fn close<T: Send + 'static>(&self, halves: T) {
        self.run(move || drop(halves));
    }

    /// The same with something to do before.
    pub(super) fn run(&self, close: impl FnOnce() + Send + 'static) {
        let closer = thread::Builder::new().name("netloom-close".to_owned());
        // Without a thread it is dropped here.
        let closer = closer.spawn(close);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|closer| !closer.is_finished());
        all.extend(closer);
    }

    /// Waits until all is closed.
    pub(super) fn join(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *all);
        for closer in all {
            // A panic of a device's end was printed by its thread.
            let _ = closer.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_again_and_end() {
        let mut taken = Places::default();
        assert!(taken.is_empty());
        for at in 0..MOST_DEVICES {
            let place = taken.free().unwrap();
            assert_eq!(place, Place(at));
            assert!(!taken.contains(place));
            taken.insert(place);
            assert!(taken.contains(place));
        }
        assert_eq!(taken.free(), None);
        let hole = Places(!(1 << 7));
        assert_eq!(hole.free(), Some(Place(7)));
    }

    #[test]
    fn what_one_device_has_left_is_the_turns() {
        use More::{Budget, DeviceFull, Idle};
        for (a, b, both) in [
            (Idle, Idle, Idle),
            (Idle, DeviceFull, DeviceFull),
            (DeviceFull, Idle, DeviceFull),
            (Budget, DeviceFull, Budget),
            (Idle, Budget, Budget),
        ] {
            assert_eq!(graver(a, b), both, "{a:?} {b:?}");
        }
    }
}
