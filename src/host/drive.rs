//! Driving a host from a loop of one's own: [`Driver`].
//!
//! *Owns* the bound of what one call does. *Does not* sleep, but for [`Driver::run`].

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::clock;
use super::descriptor::Descriptor;
#[cfg(feature = "tokio")]
use super::driver_task::DriverTask;
use super::engine::{End, Engine, Sleep, Step};
use super::error::HostError;
use super::shared::Shared;
use crate::base::Instant;

/// Steps of one call at most: each reads a batch of each device and takes a turn.
const STEPS: usize = 4;

/// Drives a host that has no thread for that: of [`HostBuilder::build`](super::HostBuilder::build).
///
/// Nothing comes in, and no timer runs, but in its [`turn`](Self::turn)s: who holds these up holds the host up. What users write is sent in
/// their own calls, as ever. Blocking calls wait for it, so that they are for other threads than its own. A turn may be what a socket
/// waited for: a loop looks at its sockets between the turn and the next wait.
///
/// It is a descriptor ([`AsFd`]), level-triggered, which is readable when a turn is due: for `poll`, `epoll`, or a runtime's reactor; feature `tokio`
/// has `Driver::drive` for that of tokio. When it is dropped the host ends.
///
/// ```
/// use std::os::fd::AsFd;
///
/// use netloom::device::{Medium, pair};
/// use netloom::host::{Host, Turned};
/// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (a, b) = pair(Medium::Ip, 1500);
/// let (server, mut driver) = Host::builder(a).address("10.7.0.1/24".parse()?).build()?;
/// let listener = server.tcp_listen("10.7.0.1:80")?;
/// listener.set_nonblocking(true)?;
/// # let client = Host::builder(b).address("10.7.0.2/24".parse()?).spawn()?;
/// # let connects = std::thread::spawn(move || client.tcp_connect("10.7.0.1:80").map(|_| client));
/// let accepted = loop {
///     if let Ok((stream, _)) = listener.accept() {
///         break stream;
///     }
///     // All that this thread waits for may stand here.
///     let mut fds = [PollFd::new(driver.as_fd(), PollFlags::POLLIN)];
///     poll(&mut fds, PollTimeout::NONE)?;
///     if let Turned::Ended(why) = driver.turn() {
///         return Err(why.into());
///     }
/// };
/// # drop((accepted, connects));
/// # Ok(())
/// # }
/// ```
pub struct Driver {
    engine: Engine,
    descriptor: Descriptor,
    slept: Option<Sleep>,
    /// Did the last call find nothing to do, though its descriptor was readable?
    fruitless: bool,
    end: End,
}

/// What a turn of a [`Driver`] says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Turned {
    /// There is more to do: the next turn is due at once, after whatever else the loop has.
    Again,
    /// Nothing to do before the descriptor is readable.
    Wait,
    /// The host has ended; no turn does anything any more.
    Ended(HostError),
}

impl Driver {
    pub(crate) fn new(shared: &Arc<Shared>) -> io::Result<Self> {
        // The first turn is due: before it no device is watched.
        shared.driver.wake();
        Ok(Self {
            engine: Engine::new(Arc::clone(shared)),
            descriptor: Descriptor::new(&shared.driver)?,
            slept: None,
            fruitless: false,
            end: End::new(Arc::clone(shared), HostError::Closed),
        })
    }

    /// Reads what has come, runs timers that are due, sends, and wakes who waits: a bounded number of frames, without waiting. It costs little
    /// when there is nothing.
    pub fn turn(&mut self) -> Turned {
        if let Some(why) = self.end.over() {
            return Turned::Ended(why.clone());
        }
        match self.steps() {
            Ok(Turned::Ended(why)) => self.give_up(why),
            Ok(turned) => turned,
            Err(error) => self.give_up(HostError::from(crate::device::DeviceError::Io(error))),
        }
    }

    /// Drives in the calling thread until the host ends; why it did.
    pub fn run(mut self) -> HostError {
        loop {
            match self.turn() {
                Turned::Again => {}
                Turned::Ended(why) => return why,
                Turned::Wait => {
                    let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
                    if nix::poll::poll(&mut fds, PollTimeout::NONE).is_err() {
                        // No memory for it, or a signal: it looks again a little later.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            }
        }
    }

    /// What its host's users do is left to its turns, once it is a task that they wake.
    #[cfg(feature = "tokio")]
    pub(super) fn task(&self) -> &DriverTask {
        &self.end.shared().task
    }

    fn steps(&mut self) -> io::Result<Turned> {
        self.descriptor.look_at_timer(clock::now());
        self.wake_up()?;
        for step in 0..STEPS {
            match self.engine.step() {
                Step::Again | Step::Spin => self.fruitless = false,
                Step::StandBack(until) => {
                    self.descriptor
                        .watch_nothing(until.unwrap_or(Instant::FAR_FUTURE))?;
                    return Ok(Turned::Wait);
                }
                Step::Sleep(sleep) => {
                    let Sleep {
                        sleeper,
                        until,
                        full,
                    } = &sleep;
                    self.descriptor.watch(sleeper, *full, *until)?;
                    self.slept = Some(sleep);
                    self.fruitless = step == 0;
                    return Ok(Turned::Wait);
                }
                Step::End(why) => return Ok(Turned::Ended(why)),
            }
        }
        Ok(Turned::Again)
    }

    /// Its descriptor was readable, or somebody looks all the same.
    fn wake_up(&mut self) -> io::Result<()> {
        if let Some(sleep) = self.slept.take() {
            // Why, poll(2) says: where a device reports errors that no read of it explains.
            if self.fruitless {
                let shared = self.end.shared();
                let now = clock::now();
                let found = sleep.sleeper.sleep(&shared.driver, sleep.full, now, now)?;
                self.engine.slept(&sleep, found);
            }
        }
        self.engine.look_for_wake_up();
        Ok(())
    }

    fn give_up(&mut self, why: HostError) -> Turned {
        self.slept = None;
        // Its user hears of it from here on, and whoever waits now.
        self.end.end(why.clone());
        Turned::Ended(why)
    }
}

impl AsFd for Driver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Driver {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
