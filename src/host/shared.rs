//! What a host's threads share: the core behind one mutex, the receiving half behind another.
//!
//! *Owns* the locks, their order (`rx` before `core`, never the other way) and the turn. *Does not*
//! own a thread: the driver calls [`Shared::turn`], and so may any thread that holds `rx`, so that
//! a reader that would block can take the receive role itself. Invariants: no handle is dropped
//! and no thread is woken while the core is locked ([`After`] is for that); the core is held for
//! one batch in and a bounded number of frames out at a time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::clock;
use super::error::HostError;
use super::sockets::{After, Sockets};
use super::wait::Waker;
use super::waits::Side;
use crate::base::Instant;
use crate::device::{DeviceError, HostReceive, HostTransmit, RxBatch};
use crate::stack::{InterfaceId, More, Stack};
use crate::tcp::TcpOptions;

/// Rounds of the stack's frame budget that a user's call sends itself before the driver takes over.
const ROUNDS_OF_A_CALL: usize = 4;

/// Rounds for resets when the host ends, so that an unwilling device cannot hold it up.
const ROUNDS_AT_THE_END: usize = 1024;

/// Connections reset before their resets are sent: half of what the stack's outbox holds.
const RESETS_AT_ONCE: usize = 128;

/// Everything the threads of one host share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    rx: Mutex<Option<Box<dyn HostReceive>>>,
    pub(crate) waker: Waker,
    /// Options of connections that are given none.
    pub(crate) tcp: TcpOptions,
    /// Notified when the addresses become usable and when the host ends.
    changed: Condvar,
}

/// The stack and its way out.
pub(crate) struct Core {
    pub(crate) stack: Stack,
    pub(crate) interface: InterfaceId,
    pub(crate) sockets: Sockets,
    tx: Option<Box<dyn HostTransmit>>,
    /// The device refused a frame as full: only the driver offers again.
    tx_full: bool,
    /// When the transmitting half wants to be polled.
    tx_due: Option<Instant>,
    /// The driver looks again no later than this.
    driver_looks_at: Instant,
    life: Life,
    /// Threads in [`Shared::wait_until`].
    observers: usize,
    /// Connections that a shutdown found still open at its end.
    aborted: usize,
}

/// Where a host stands in its life.
#[derive(Debug)]
enum Life {
    Running,
    /// No new sockets; ends when no connection is left, or at this time.
    Draining(Instant),
    /// The driver ends the host for this reason in its next turn.
    Ending(HostError),
    Ended(HostError),
}

/// What the driver does after a turn.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// There is more to do: look at the device and come back.
    Again,
    /// Nothing to do before `until`; wait for writability too when `writable`.
    Sleep { until: Instant, writable: bool },
    /// The host is over.
    End(HostError),
}

impl Shared {
    pub(crate) fn new(
        stack: Stack,
        interface: InterfaceId,
        tcp: TcpOptions,
        rx: Box<dyn HostReceive>,
        tx: Box<dyn HostTransmit>,
        waker: Waker,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            core: Mutex::new(Core {
                stack,
                interface,
                sockets: Sockets::new(me.clone()),
                tx: Some(tx),
                tx_full: false,
                tx_due: None,
                driver_looks_at: Instant::ZERO,
                life: Life::Running,
                observers: 0,
                aborted: 0,
            }),
            rx: Mutex::new(Some(rx)),
            waker,
            tcp,
            changed: Condvar::new(),
        })
    }

    /// Locks the core. A panic of another thread under the lock ends the host, not this thread.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(|poisoned| {
            let mut core = poisoned.into_inner();
            if matches!(core.life, Life::Running | Life::Draining(_)) {
                core.life = Life::Ending(HostError::Panicked);
            }
            core
        })
    }

    /// Locks the core of a host that still runs.
    pub(crate) fn lock_running(&self) -> Result<MutexGuard<'_, Core>, HostError> {
        let core = self.lock();
        core.check()?;
        Ok(core)
    }

    /// Reads a batch; returns how many frames came, and when a held-back frame is due.
    pub(crate) fn receive(
        &self,
        now: Instant,
        batch: &mut RxBatch,
    ) -> Result<(usize, Option<Instant>), DeviceError> {
        let mut rx = self.rx.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rx) = rx.as_mut() else {
            return Ok((0, None));
        };
        let received = rx.receive(now, batch)?;
        Ok((received, rx.next_ready()))
    }

    /// Handles a batch and all timers that are due, sends, and tells who waits.
    pub(crate) fn turn(&self, batch: &mut RxBatch) -> Next {
        let mut core = self.lock();
        if let Err(why) = core.check() {
            return Next::End(why);
        }
        let now = clock::now();
        let interface = core.interface;
        let mut after = After::default();
        core.refresh_rooms();
        for frame in batch.drain() {
            core.stack.handle_frame(now, interface, frame);
            // Queues in front of the stack take what came before the next frame finds no room.
            core.dispatch(now, &mut after);
        }
        core.stack.handle_timeout(now);
        core.tx_full = false;
        let more = core.transmit(now, 1);
        core.dispatch(now, &mut after);
        let next = core.next(now, more);
        core.driver_looks_at = match next {
            Next::Sleep { until, .. } => until,
            Next::Again | Next::End(_) => Instant::ZERO,
        };
        if core.observers > 0 && core.stack.is_ready(interface) {
            self.changed.notify_all();
        }
        drop(core);
        after.run();
        next
    }

    /// Ends a user's call: sends what it caused, tells who waits, and wakes the driver if that
    /// would look too late.
    pub(crate) fn finish(&self, mut core: MutexGuard<'_, Core>, now: Instant) {
        let (after, wake) = core.settle(now);
        drop(core);
        if wake {
            self.waker.wake();
        }
        after.run();
    }

    /// Sleeps until `side` is notified or `deadline` has come; says whether it has. The caller asks
    /// the stack again in any case, and before that whether the host still runs.
    pub(crate) fn wait<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        side: &Side,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Core>, Waited) {
        let now = clock::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return (core, Waited::TimedOut);
        }
        let (after, wake) = core.settle(now);
        if wake {
            self.waker.wake();
        }
        if after.is_empty() {
            let timeout = deadline.map(|deadline| deadline.since(now));
            (side.wait(core, timeout), Waited::LookAgain)
        } else {
            drop(core);
            after.run();
            (self.lock(), Waited::LookAgain)
        }
    }

    /// Sleeps until `done` says something, or until `deadline`.
    pub(crate) fn wait_until<T>(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut(&Core) -> Option<T>,
    ) -> Option<T> {
        let mut core = self.lock();
        loop {
            if let Some(result) = done(&core) {
                return Some(result);
            }
            let now = clock::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return None;
            }
            core.observers += 1;
            core = match deadline {
                None => self
                    .changed
                    .wait(core)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    self.changed
                        .wait_timeout(core, deadline.since(now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
            core.observers -= 1;
        }
    }

    /// Asks the driver to end the host: at once, or when no connection is left, but by `deadline`.
    pub(crate) fn request_end(&self, deadline: Option<Instant>) {
        let mut core = self.lock();
        let now = clock::now();
        if matches!(core.life, Life::Running | Life::Draining(_)) {
            core.life = match deadline {
                None => Life::Ending(HostError::Closed),
                Some(deadline) => {
                    core.shutdown_all(now);
                    Life::Draining(deadline)
                }
            };
        }
        self.finish(core, now);
        self.waker.wake();
    }

    /// The end, called by the driver only: resets what is open, closes the device, and tells
    /// everybody.
    pub(crate) fn end(&self, why: HostError) {
        let mut core = self.lock();
        if !matches!(why, HostError::Panicked) {
            core.reset_all(matches!(why, HostError::Closed));
        }
        core.life = Life::Ended(why);
        let tx = core.tx.take();
        let sockets = core.sockets.take();
        drop(core);
        drop(tx);
        let rx = self
            .rx
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(rx);
        sockets.notify_all();
        self.changed.notify_all();
    }

    /// Why the host ended; `None` while it runs.
    pub(crate) fn error(&self) -> Option<HostError> {
        self.lock().check().err()
    }

    /// How many connections the end found open.
    pub(crate) fn aborted(&self) -> usize {
        self.lock().aborted
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Something may have changed.
    LookAgain,
    /// The deadline has come.
    TimedOut,
}

impl Core {
    /// May the sockets that exist still be used?
    pub(crate) fn check(&self) -> Result<(), HostError> {
        match &self.life {
            Life::Running | Life::Draining(_) => Ok(()),
            Life::Ending(why) | Life::Ended(why) => Err(why.clone()),
        }
    }

    /// May new sockets be made?
    pub(crate) fn check_open(&self) -> Result<(), HostError> {
        match self.life {
            Life::Draining(_) => Err(HostError::Closed),
            _ => self.check(),
        }
    }

    /// Has the driver finished?
    pub(crate) fn ended(&self) -> Option<HostError> {
        match &self.life {
            Life::Ended(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// After a user's call: what is to be told, and whether the driver must look sooner.
    fn settle(&mut self, now: Instant) -> (After, bool) {
        let mut after = After::default();
        let mut wake = false;
        if !self.tx_full && self.stack.wants_transmit(self.interface) {
            wake = match self.transmit(now, ROUNDS_OF_A_CALL) {
                More::Idle => false,
                More::Budget | More::DeviceFull => true,
            };
        }
        self.dispatch(now, &mut after);
        let due = self.due();
        if due < self.driver_looks_at || matches!(self.life, Life::Ending(_)) {
            wake = true;
        }
        if wake {
            // The driver looks as soon as it can: nobody else need wake it for anything.
            self.driver_looks_at = Instant::ZERO;
        }
        (after, wake)
    }

    /// Sends up to `rounds` budgets of frames.
    fn transmit(&mut self, now: Instant, rounds: usize) -> More {
        let Some(tx) = &mut self.tx else {
            return More::Idle;
        };
        let mut more = More::Idle;
        for _ in 0..rounds {
            match self
                .stack
                .poll_transmit(now, self.interface, &mut tx.as_mut())
            {
                Ok(progress) => more = progress.more,
                Err(error) => {
                    self.life = Life::Ending(error.into());
                    return More::Idle;
                }
            }
            if more != More::Budget {
                break;
            }
        }
        match tx.poll(now) {
            Ok(due) => self.tx_due = due,
            Err(error) => self.life = Life::Ending(error.into()),
        }
        self.tx_full = more == More::DeviceFull || tx.wants_room();
        match more {
            More::Idle if self.tx_full => More::DeviceFull,
            more => more,
        }
    }

    fn refresh_rooms(&mut self) {
        self.sockets.refresh_rooms(&mut self.stack);
    }

    fn dispatch(&mut self, now: Instant, after: &mut After) {
        while let Some(event) = self.stack.poll_event() {
            self.sockets.on_event(&mut self.stack, now, event, after);
        }
    }

    /// When something is due without any frame or call.
    fn due(&self) -> Instant {
        let deadline = match self.life {
            Life::Draining(deadline) => deadline,
            _ => Instant::FAR_FUTURE,
        };
        self.stack
            .poll_timeout()
            .unwrap_or(Instant::FAR_FUTURE)
            .min(self.tx_due.unwrap_or(Instant::FAR_FUTURE))
            .min(deadline)
    }

    /// What the driver does next.
    fn next(&self, now: Instant, more: More) -> Next {
        match &self.life {
            Life::Ending(why) | Life::Ended(why) => return Next::End(why.clone()),
            Life::Draining(deadline) if *deadline <= now || self.stack.tcp_open_count() == 0 => {
                return Next::End(HostError::Closed);
            }
            Life::Running | Life::Draining(_) => {}
        }
        if more == More::Budget {
            return Next::Again;
        }
        Next::Sleep {
            until: self.due(),
            writable: self.tx_full,
        }
    }

    /// Resets every connection, and tells the peers as long as the device takes it.
    fn reset_all(&mut self, device_works: bool) {
        let now = clock::now();
        self.aborted = self.stack.tcp_open_count();
        let open: Vec<_> = self.stack.tcp_connections().collect();
        // The stack holds a bounded number of packets of its own (`Config::outbox_limit`).
        for some in open.chunks(RESETS_AT_ONCE) {
            for &id in some {
                self.stack.tcp_abort(now, id);
            }
            if device_works {
                self.transmit(now, ROUNDS_AT_THE_END);
            }
        }
    }

    /// Sends a FIN on every connection and closes every listener.
    fn shutdown_all(&mut self, now: Instant) {
        self.sockets.close_listeners(&mut self.stack, now);
        let open: Vec<_> = self.stack.tcp_connections().collect();
        for id in open {
            // One that is not connected yet, or closing already, needs nothing.
            let _ = self.stack.tcp_shutdown(now, id, std::net::Shutdown::Write);
        }
    }
}
