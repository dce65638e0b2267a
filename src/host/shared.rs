//! What a host's threads share: the core behind one mutex, the receiving half behind another.
//!
//! *Owns* the locks, their order (`rx` before `core`, never the other way) and the turn. *Does not*
//! own a thread: the driver calls [`Shared::turn`], and so does a thread that leads (`lead.rs`).
//! Invariants: no handle is dropped and no thread is woken while the core is locked ([`After`] is
//! for that); `rx` is held from the read to the end of the turn, so that frames keep their order;
//! the core is held for one batch in and a bounded number of frames out of each device at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::clock;
use super::devices::{Closers, Failed, Inlet, Move};
use super::driver_task::DriverTask;
use super::error::HostError;
use super::lead::Until;
use super::locked::Locked;
use super::members::last_words;
use super::roles::{LeadId, Part, Roles};
use super::sleeper::{Sleeper, Waker, Watched};
use super::sockets::{After, Sockets};
use super::state::{Core, Next};
use super::waits::{Side, Waits};
use crate::base::Instant;
use crate::device::{HostReceive, HostTransmit};
use crate::stack::{InterfaceId, PortRx, PortTx, Readiness, Stack};
use crate::tcp::TcpOptions;

/// Everything the threads of one host share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    pub(crate) rx: Mutex<Rx>,
    pub(crate) driver: Waker,
    /// The same of one that is a task: it is woken in its own runtime, and what users' calls want to send is left to it.
    pub(crate) task: DriverTask,
    pub(crate) leader: Waker,
    /// A thread leads, or led a moment ago: the driver stands back. Changes under the core's lock.
    pub(crate) led: AtomicBool,
    /// How long who looks spins before it sleeps.
    pub(crate) busy_poll: Duration,
    /// Options of connections that are given none.
    pub(crate) tcp: TcpOptions,
    /// Frames that a turn reads at most from each device.
    pub(super) turn_frames: usize,
    /// Notified when addresses become usable, when an interface goes, and when the host ends.
    changed: Condvar,
    /// What closes devices that went.
    pub(super) closers: Arc<Closers>,
}

/// How often a thread that spins lets the device send what it has itself.
const SPIN_POLL: Duration = Duration::from_micros(50);

/// The ways in of the host's ports, their batches included.
pub(crate) struct Rx {
    ways: Vec<Inlet>,
    /// What to sleep on. Gone at the end of the host, and the devices' descriptors with it.
    sleeper: Option<Arc<Sleeper>>,
    /// Those that could not be read: told in the turn that follows.
    failed: Vec<Failed>,
    closers: Arc<Closers>,
}

/// The way in of a port.
pub(crate) type WayIn = PortRx<Box<dyn HostReceive>>;
/// The way out of a port.
pub(crate) type WayOut = PortTx<Box<dyn HostTransmit>>;

impl Rx {
    fn new(closers: Arc<Closers>) -> Self {
        Self {
            ways: Vec::new(),
            sleeper: Some(Arc::default()),
            failed: Vec::new(),
            closers,
        }
    }

    /// Reads a batch from each device; how many frames came, and when one is due that is held back. What
    /// a failure means is for a turn to say, and is news as a frame is.
    pub(crate) fn receive(&mut self, now: Instant) -> (usize, Option<Instant>) {
        let (mut news, mut due) = (0, None);
        for inlet in &mut self.ways {
            // What stayed behind is news as well.
            news += inlet.way.held();
            inlet.gave = false;
            match inlet.way.receive(now) {
                Ok(received) => {
                    inlet.gave = received > 0;
                    news += received;
                }
                Err(why) => {
                    self.failed.push((inlet.on, why));
                    news += 1;
                }
            }
            due = earlier(due, inlet.way.due());
        }
        (news, due)
    }

    /// Did the last look find frames of this device?
    pub(super) fn gave(&self, on: InterfaceId) -> bool {
        let mut ways = self.ways.iter();
        ways.any(|inlet| inlet.on == on && inlet.gave)
    }

    /// Hands what was read to the stack; `each` comes after each frame.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        mut each: impl FnMut(&mut Stack),
    ) {
        for inlet in &mut self.ways {
            inlet.way.deliver(now, stack, &mut each);
        }
    }

    /// What to sleep on.
    pub(crate) const fn sleeper(&self) -> Option<&Arc<Sleeper>> {
        self.sleeper.as_ref()
    }

    pub(super) const fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// What could not be read since this was asked last.
    pub(super) fn take_failed(&mut self) -> Vec<Failed> {
        std::mem::take(&mut self.failed)
    }

    /// Devices have come and gone.
    pub(super) fn follow(&mut self, moves: Vec<Move>) {
        for next in moves {
            match next {
                Move::Come(inlet) => self.ways.push(*inlet),
                Move::Go(on, to) => {
                    let Some(at) = self.ways.iter().position(|inlet| inlet.on == on) else {
                        continue;
                    };
                    let inlet = self.ways.remove(at);
                    match to {
                        None => self.closers.close(inlet),
                        // Who has not waited for it leaves it to us.
                        Some(to) => {
                            if let Err(unsent) = to.send(inlet) {
                                self.closers.close(unsent.0);
                            }
                        }
                    }
                }
            }
        }
        if let Some(sleeper) = &mut self.sleeper {
            let watched = |inlet: &Inlet| Watched {
                on: inlet.on,
                place: inlet.place,
                readable: Arc::clone(&inlet.readable),
                writable: Arc::clone(&inlet.writable),
            };
            *sleeper = Arc::new(Sleeper::new(self.ways.iter().map(watched).collect()));
        }
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// How a host's threads wait and share the work.
pub(crate) struct Manners {
    pub(crate) busy_poll: Duration,
    pub(crate) grace: Duration,
    pub(crate) turn_frames: usize,
}

/// Who takes a turn.
pub(crate) enum Turn<'a> {
    Drive,
    /// A leader, whose lead is over when its closure says so.
    Lead(LeadId, &'a Until<'a>),
}

impl Shared {
    pub(crate) fn new(
        stack: Stack,
        tcp: TcpOptions,
        manners: &Manners,
    ) -> std::io::Result<Arc<Self>> {
        let (driver, leader) = (Waker::new()?, Waker::new()?);
        let closers = Arc::<Closers>::default();
        Ok(Arc::new_cyclic(|me| Self {
            core: Mutex::new(Core::new(
                stack,
                Sockets::new(me.clone()),
                Roles::new(manners.grace),
                Arc::clone(&closers),
            )),
            rx: Mutex::new(Rx::new(Arc::clone(&closers))),
            driver,
            task: DriverTask::default(),
            leader,
            led: AtomicBool::new(false),
            busy_poll: manners.busy_poll,
            tcp,
            turn_frames: manners.turn_frames,
            changed: Condvar::new(),
            closers,
        }))
    }

    /// Locks the core. A panic of another thread under the lock ends the host, not this thread.
    pub(crate) fn lock(&self) -> Locked<'_> {
        let core = self.core.lock().unwrap_or_else(|poisoned| {
            let mut core = poisoned.into_inner();
            core.fail(HostError::Panicked);
            core
        });
        Locked::new(self, core)
    }

    /// Locks the core of a host that still runs.
    pub(crate) fn lock_running(&self) -> Result<Locked<'_>, HostError> {
        let core = self.lock();
        core.check()?;
        Ok(core)
    }

    /// Handles a batch and all timers that are due, sends, and tells who waits. `None` when that
    /// ended the lead, and with it the role.
    pub(crate) fn turn(&self, rx: &mut Rx, turn: Turn<'_>) -> Option<Next> {
        let mut core = self.lock();
        if let Err(why) = core.check() {
            return Some(Next::End(why));
        }
        let now = clock::now();
        let mut after = After::default();
        let more = core.handle(now, rx, &mut after, &turn);
        let (next, wake) = core.end_turn(now, more, &turn, after.served());
        if core.addresses_changed() {
            self.changed.notify_all();
        }
        drop(core);
        self.wake(wake);
        after.run();
        next
    }

    /// No frame came, and who looks is about to wait: the device may have taken a packet for itself
    /// and have an answer. What is to be done next then; `None` when a thread that `spins` asked a
    /// moment ago, so that it leaves the lock to users.
    pub(crate) fn poll_device(
        &self,
        now: Instant,
        lead: Option<LeadId>,
        spins: bool,
        polled_at: &mut Instant,
    ) -> Option<Next> {
        if spins && now.since(*polled_at) < SPIN_POLL {
            return None;
        }
        *polled_at = now;
        Some(self.lock().poll_idle(now, lead))
    }

    /// The driver asks for its part.
    pub(crate) fn part_of_driver(&self) -> Part {
        let mut core = self.lock();
        let need = core.need();
        let part = core.roles.driver(clock::now(), need);
        if matches!(part, Part::Look | Part::StepIn) {
            self.led.store(false, Ordering::Relaxed);
        }
        part
    }

    /// Ends a user's call: sends what it caused, tells who waits, and wakes who looks at the device
    /// if that would look too late.
    pub(crate) fn finish(&self, mut core: Locked<'_>, now: Instant) {
        let (after, need) = core.after_call(now, self.task.runs());
        let wake = core.wake_for(need);
        drop(core);
        self.wake(wake);
        after.run();
    }

    /// The same of one that may have changed the addresses.
    pub(crate) fn finish_change(&self, mut core: Locked<'_>, now: Instant) {
        if core.addresses_changed() {
            self.changed.notify_all();
        }
        self.finish(core, now);
    }

    /// Tells all who wait on a socket, and the thread that leads if it is one of them.
    pub(crate) fn tell(&self, waits: &Waits) {
        waits.announce(Readiness::all());
        self.nudge_leader();
    }

    /// The thread that leads shall look whether its own socket has something.
    pub(crate) fn nudge_leader(&self) {
        if self.led.load(Ordering::Relaxed) {
            self.leader.wake();
        }
    }

    /// Waits until `side` is told something or `deadline` has come; says whether it has. Leads
    /// meanwhile when it can. The caller asks the stack again in any case, and before that whether
    /// the host still runs.
    pub(crate) fn wait<'a>(
        &'a self,
        mut core: Locked<'a>,
        side: &Side,
        patience: Wish,
    ) -> (Locked<'a>, Waited) {
        let Wish { deadline, sends } = patience;
        let now = clock::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return (core, Waited::TimedOut);
        }
        let told = side.told();
        let (after, need) = core.after_call(now, self.task.runs());
        if !after.is_empty() {
            let wake = core.wake_for(need);
            drop(core);
            self.wake(wake);
            after.run();
            return (self.lock(), Waited::LookAgain);
        }
        let until = Until {
            ready: &|| side.told() != told,
            deadline,
            sends,
        };
        let core = if (until.ready)() {
            // The same events may be news for a thread that leads.
            let wake = core.wake_for(need);
            self.wake_under_lock(wake);
            core
        } else {
            match self.try_lead(core, &until) {
                Ok(()) => self.lock(),
                Err(mut core) => {
                    let wake = core.wake_for(need);
                    self.wake_under_lock(wake);
                    let timeout = deadline.map(|deadline| deadline.since(now));
                    side.wait(core, timeout)
                }
            }
        };
        (core, Waited::LookAgain)
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
            core = core.wait(&self.changed, deadline.map(|deadline| deadline.since(now)));
        }
    }

    /// The devices at these interfaces report nothing but errors.
    pub(crate) fn lose(&self, gone: &[InterfaceId]) {
        let mut core = self.lock();
        core.devices.fail(gone);
        core.lose_failed(clock::now());
        if core.addresses_changed() {
            self.changed.notify_all();
        }
    }

    /// Ends a call by which devices come or go: whoever looks takes a turn.
    pub(super) fn finish_move(&self, mut core: Locked<'_>, now: Instant) {
        let wake = core.wake_at_once();
        self.finish_change(core, now);
        self.wake(wake);
        // It may sleep on what goes.
        self.driver.wake();
    }

    /// Asks the driver to end the host: at once, or when no connection is left, but by `deadline`.
    pub(crate) fn request_end(&self, deadline: Option<Instant>) {
        let mut core = self.lock();
        let now = clock::now();
        let ended = core.begin_end(now, deadline);
        let (mut after, _) = core.after_call(now, self.task.runs());
        for waits in &ended {
            after.notify(waits, Readiness::all());
        }
        // A host without connections may end at once: a thread that leads shall not sleep on.
        let wake = core.wake_at_once();
        drop(core);
        self.wake(wake);
        self.driver.wake();
        after.run();
    }

    /// The end, called by the driver only: resets what is open, closes the device, and tells
    /// everybody.
    pub(crate) fn end(&self, why: HostError) {
        let mut core = self.lock();
        // Whatever the driver wanted: a core that was left half-way must not be asked for more.
        let why = if self.core.is_poisoned() {
            HostError::Panicked
        } else {
            why
        };
        let (devices, sockets, journal) = core.end(why);
        let members = core.members.all();
        let names = std::mem::take(&mut core.names);
        drop(core);
        // A thread that leads holds the receiving half.
        self.leader.wake();
        // Before the halves go: a capture goes with them, and its disk may hang.
        sockets.notify_all();
        names.notify_all();
        self.changed.notify_all();
        for about in &members {
            last_words(Some(about));
        }
        drop(devices);
        // As with a capture: it waits until the file is complete.
        drop(journal);
        let mut rx = self.rx.lock().unwrap_or_else(PoisonError::into_inner);
        let open = (rx.sleeper.take(), std::mem::take(&mut rx.ways));
        drop(rx);
        drop(open);
    }

    /// Why the host ended; `None` while it runs.
    pub(crate) fn error(&self) -> Option<HostError> {
        self.lock().check().err()
    }

    /// How many connections the end found open.
    pub(crate) fn aborted(&self) -> usize {
        self.lock().aborted()
    }
}

/// What a thread that waits wishes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) deadline: Option<Instant>,
    /// It will send as soon as it can go on: what its own turn would send can go with that.
    pub(crate) sends: bool,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Something may have changed.
    LookAgain,
    /// The deadline has come.
    TimedOut,
}
