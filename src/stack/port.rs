//! The one loop that drives a stack: receive, time, events, send.
//!
//! A [`Port`] is a device at an interface of a stack. Whoever owns stack and ports calls
//! [`Port::turn`], or [`turn_all`] when there are several, and then does what [`Next`] says. The
//! rules, for whoever drives:
//!
//! - *Who arms.* The stack arms its timers and a device its own; [`Next::due`] is the earliest of them
//!   all, and nothing else needs a clock. It holds until the next turn or command.
//! - *Who wakes.* A turn comes when a device is readable; when one is writable, as long as
//!   [`Next::wants_room`]; at [`Next::due`]; and after commands that were not given by a [`User`]
//!   within a turn, for they never send (a host of several threads sends with [`PortTx::send`] instead).
//!   A turn too many does nothing.
//! - *Who polls.* The port polls its device: after each read and after the frames that it was offered
//!   ([`Transmit::poll`]). Nobody else does.
//! - *Bounds.* A turn reads at most a batch from each port, fires the stack's budget of timers
//!   ([`Config::timer_budget`](super::Config::timer_budget)) and offers each device the budget of frames
//!   ([`Config::transmit_budget`](super::Config::transmit_budget)): what is left is told by
//!   [`Next::again`], so that others get their turn.
//!
//! The halves come apart ([`Port::into_halves`]) for who reads under one lock and sends beside the
//! stack under another.
//!
//! *Owns* the halves of the device, the batch, whether the device is full and when it is due. *Does
//! not* wait, nor read a clock. Invariant: when a turn is over no event is untold.

use super::Stack;
use super::event::Event;
use super::ids::InterfaceId;
use super::transmit::{More, Progress};
use crate::base::Instant;
use crate::device::{DeviceError, Receive, RxBatch, Transmit};
use core::time::Duration;

/// Frames of a batch unless another number is asked for.
const BATCH: usize = 64;

/// Who is told what became ready, in the middle of a turn: a type of his own, or a closure.
pub trait User {
    /// Something became ready. What it asks of the stack leaves with this turn.
    fn on_event(&mut self, stack: &mut Stack, now: Instant, event: Event);
}

impl<F: FnMut(&mut Stack, Instant, Event)> User for F {
    fn on_event(&mut self, stack: &mut Stack, now: Instant, event: Event) {
        self(stack, now, event);
    }
}

/// What comes after a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Next {
    /// There is more to do at once: come back, whatever else there is to wait for.
    pub again: bool,
    /// When to come back though no frame came and nobody asked for anything; `None`: never.
    pub due: Option<Instant>,
    /// Is a device full that has more to send? Then its becoming writable is waited for too.
    pub wants_room: bool,
    /// Frames that were read. While there were any, one more turn may cost less than a wait.
    pub received: usize,
    /// Packets that were dealt with on the way out, as in [`Progress::sent`].
    pub sent: usize,
}

impl Next {
    /// How long to wait for frames (or for room, when it is wanted): zero when there is more to do at
    /// once, `None` for ever.
    pub fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.again {
            return Some(Duration::ZERO);
        }
        self.due.map(|due| due.since(now))
    }

    /// Is another turn due at `now`, though nothing comes?
    pub fn is_due(&self, now: Instant) -> bool {
        self.timeout(now) == Some(Duration::ZERO)
    }
}

/// The device of one interface has ended.
#[derive(Debug, thiserror::Error)]
#[error("the device of {on:?}: {error}")]
#[non_exhaustive]
pub struct PortError {
    /// Whose device.
    pub on: InterfaceId,
    /// Why.
    #[source]
    pub error: DeviceError,
}

/// A device at an interface of a stack.
#[derive(Debug)]
pub struct Port<R, T> {
    rx: PortRx<R>,
    tx: PortTx<T>,
}

impl<R: Receive, T: Transmit> Port<R, T> {
    /// The device whose halves these are, as [`Device::split`](crate::device::Device::split) gave
    /// them, at the interface `on`. Reads batches of 64 frames.
    pub fn new(on: InterfaceId, (rx, tx): (R, T)) -> Self {
        Self {
            rx: PortRx::new(on, rx),
            tx: PortTx::new(on, tx),
        }
    }

    /// The same that reads at most `frames` frames a turn (at least one).
    #[must_use]
    pub fn batch_frames(self, frames: usize) -> Self {
        Self {
            rx: self.rx.batch_frames(frames),
            tx: self.tx,
        }
    }

    /// Taken apart, for who reads under one lock and sends under another.
    pub fn into_halves(self) -> (PortRx<R>, PortTx<T>) {
        (self.rx, self.tx)
    }

    /// The interface that it stands at.
    pub const fn interface(&self) -> InterfaceId {
        self.tx.on
    }

    /// The way in.
    pub const fn rx(&self) -> &PortRx<R> {
        &self.rx
    }

    /// The way in, to change.
    pub const fn rx_mut(&mut self) -> &mut PortRx<R> {
        &mut self.rx
    }

    /// The way out.
    pub const fn tx(&self) -> &PortTx<T> {
        &self.tx
    }

    /// The way out, to change.
    pub const fn tx_mut(&mut self) -> &mut PortTx<T> {
        &mut self.tx
    }

    /// One turn: reads a batch, lets time pass, tells `user` what became ready, and sends.
    ///
    /// # Errors
    /// Only what ends the device. The stack is whole, and goes on over other ports.
    pub fn turn<U: User + ?Sized>(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        user: &mut U,
    ) -> Result<Next, DeviceError> {
        let ports = core::slice::from_mut(self);
        turn_all(ports, now, stack, user).map_err(|failed| failed.error)
    }
}

/// One turn of a stack with several devices: reads a batch from each, lets time pass once, tells `user`
/// what became ready, and sends over each. What comes in by one port may so leave by another in the
/// same turn.
///
/// `ports` are all of the stack's; what waits to be sent over an interface without a port stays there.
/// Which of them is full is told by [`PortTx::wants_room`].
///
/// # Errors
/// Only what ends a device; the others have then not had their whole turn, and nothing of theirs is
/// lost. Whoever drives takes that port away, or gives up.
pub fn turn_all<R: Receive, T: Transmit, U: User + ?Sized>(
    ports: &mut [Port<R, T>],
    now: Instant,
    stack: &mut Stack,
    user: &mut U,
) -> Result<Next, PortError> {
    let mut next = Next::default();
    for port in &mut *ports {
        let on = port.interface();
        let failed = |error| PortError { on, error };
        next.received += port.rx.receive(now).map_err(failed)?;
        // A batch that is full may have left something behind.
        next.again |= port.rx.is_full();
        port.rx.deliver(now, stack, |_| {});
        next.again |= port.rx.held() > 0;
    }
    stack.handle_timeout(now);
    tell(stack, now, user);
    for port in &mut *ports {
        let on = port.interface();
        let failed = |error| PortError { on, error };
        next.sent += port.tx.send(now, stack, 1).map_err(failed)?.sent;
    }
    // Sending tells too: of room, and of neighbours that are not there.
    tell(stack, now, user);
    next.due = stack.poll_timeout();
    for port in ports {
        next.due = earlier(next.due, earlier(port.rx.due(), port.tx.due()));
        next.wants_room |= port.tx.wants_room();
        next.again |= port.tx.is_ready(stack);
    }
    next.again |= next.due.is_some_and(|due| due <= now);
    Ok(next)
}

/// Tells `user` all that became ready.
fn tell<U: User + ?Sized>(stack: &mut Stack, now: Instant, user: &mut U) {
    while let Some(event) = stack.poll_event() {
        user.on_event(stack, now, event);
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

/// The way in of a [`Port`]: the receiving half and the batch that it fills.
#[derive(Debug)]
pub struct PortRx<R> {
    on: InterfaceId,
    half: R,
    batch: RxBatch,
}

impl<R: Receive> PortRx<R> {
    /// The receiving half of the device at `on`. Reads batches of 64 frames.
    pub fn new(on: InterfaceId, half: R) -> Self {
        Self {
            on,
            half,
            batch: RxBatch::new(BATCH),
        }
    }

    /// The same that reads at most `frames` frames at once (at least one).
    #[must_use]
    pub fn batch_frames(self, frames: usize) -> Self {
        Self {
            batch: RxBatch::new(frames),
            ..self
        }
    }

    /// Reads what the batch has room for; how many frames were added.
    ///
    /// # Errors
    /// Only what ends the device.
    pub fn receive(&mut self, now: Instant) -> Result<usize, DeviceError> {
        self.half.receive(now, &mut self.batch)
    }

    /// Hands the batch to the stack; `each` comes after each frame, for who keeps queues in front of
    /// the stack's and empties these into them before the next frame finds no room.
    ///
    /// Where packets are passed on the rest stays for the next turn when more waits for a device that takes them than should.
    /// Returns whether all were handed over.
    pub fn deliver(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        mut each: impl FnMut(&mut Stack),
    ) -> bool {
        if stack.net.forwarding.is_used() {
            let on = self.on;
            self.batch.drain_until(|frame| {
                stack.handle_frame(now, on, frame);
                each(stack);
                stack.net.forwarding.holds_back()
            });
            return self.batch.is_empty();
        }
        for frame in self.batch.drain() {
            stack.handle_frame(now, self.on, frame);
            each(stack);
        }
        true
    }

    /// How many frames stayed behind when the batch was handed over last, those that were read since included.
    pub(crate) fn held(&self) -> usize {
        self.batch.len()
    }

    /// Has the batch no more room? Then the device may hold more.
    pub fn is_full(&self) -> bool {
        self.batch.room() == 0
    }

    /// When a frame is due that the device holds back, if it holds any.
    pub fn due(&self) -> Option<Instant> {
        self.half.next_ready()
    }

    /// The receiving half.
    pub const fn half(&self) -> &R {
        &self.half
    }

    /// The receiving half, to change. Frames that are read from it by hand never reach the stack.
    pub const fn half_mut(&mut self) -> &mut R {
        &mut self.half
    }
}

/// The way out of a [`Port`]: the sending half, whether it is full and when it is due.
#[derive(Debug)]
pub struct PortTx<T> {
    on: InterfaceId,
    half: T,
    /// It refused the stack's last frame.
    refused: bool,
    due: Option<Instant>,
}

impl<T: Transmit> PortTx<T> {
    /// The sending half of the device at `on`.
    pub const fn new(on: InterfaceId, half: T) -> Self {
        Self {
            on,
            half,
            refused: false,
            due: None,
        }
    }

    /// Offers the device what the stack has for it, up to `budgets` budgets of frames (at least one),
    /// and polls it.
    ///
    /// # Errors
    /// Only what ends the device; [`DeviceError::Removed`] when the interface was taken away.
    pub fn send(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        budgets: usize,
    ) -> Result<Progress, DeviceError> {
        let mut whole = stack.poll_transmit(now, self.on, &mut self.half)?;
        for _ in 1..budgets {
            if whole.more != More::Budget {
                break;
            }
            let progress = stack.poll_transmit(now, self.on, &mut self.half)?;
            whole.sent += progress.sent;
            whole.more = progress.more;
        }
        if whole.more == More::Removed {
            return Err(DeviceError::Removed);
        }
        self.refused = whole.more == More::DeviceFull;
        self.poll(now)?;
        Ok(whole)
    }

    /// Lets the device send what it has itself, for who has nothing to offer it. [`send`](Self::send)
    /// does this too.
    ///
    /// # Errors
    /// Only what ends the device.
    pub fn poll(&mut self, now: Instant) -> Result<(), DeviceError> {
        self.due = self.half.poll(now)?;
        Ok(())
    }

    /// Was the device full, or does it hold back frames for want of room? Then [`send`](Self::send) is
    /// called again when it is writable; before that it would be of no use.
    pub fn wants_room(&self) -> bool {
        self.refused || self.half.wants_room()
    }

    /// Has the stack something to send that the device has room for?
    pub fn is_ready(&self, stack: &Stack) -> bool {
        stack.wants_transmit(self.on) && !self.wants_room()
    }

    /// When the device wants to be polled, if it does.
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The interface that it stands at.
    pub const fn interface(&self) -> InterfaceId {
        self.on
    }

    /// The sending half.
    pub const fn half(&self) -> &T {
        &self.half
    }

    /// The sending half, to change.
    pub const fn half_mut(&mut self) -> &mut T {
        &mut self.half
    }
}

#[cfg(test)]
#[path = "port_tests.rs"]
mod tests;
