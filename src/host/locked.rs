//! The core while it is locked.
//!
//! *Owns* what a panic under the lock means: the thread that panics may be any user's, and those
//! who sleep on their sockets would sleep on for ever. So whoever looks at the device is woken, finds
//! the lock poisoned, and ends the host for all. *Does not* lock: `shared.rs` does.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::shared::Shared;
use super::state::Core;

/// A lock on the core.
pub(crate) struct Locked<'a> {
    // Dropped first: who is woken waits for the lock.
    alarm: Alarm<'a>,
    core: MutexGuard<'a, Core>,
}

/// Wakes who looks when a panic unwinds through it.
struct Alarm<'a> {
    shared: &'a Shared,
    /// The thread was panicking before, and this is a destructor that does its work.
    before: bool,
}

impl<'a> Locked<'a> {
    pub(super) fn new(shared: &'a Shared, core: MutexGuard<'a, Core>) -> Self {
        let before = thread::panicking();
        Self {
            alarm: Alarm { shared, before },
            core,
        }
    }

    /// Sleeps on `condvar` until notified or `timeout` has passed (`None`: for ever). May wake for no
    /// reason.
    pub(super) fn wait(self, condvar: &Condvar, timeout: Option<Duration>) -> Self {
        let Self { alarm, core } = self;
        let core = match timeout {
            None => condvar.wait(core).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let woken = condvar.wait_timeout(core, timeout);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        Self { alarm, core }
    }
}

impl Deref for Locked<'_> {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() && !self.before {
            self.shared.leader.wake();
            self.shared.driver.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::device::{Medium, pair};
    use crate::host::{Host, HostError};

    /// Far longer than anything here takes; only a bug reaches it.
    const LONG: Duration = Duration::from_secs(20);

    fn panicked(error: &io::Error) -> bool {
        let cause = error.get_ref().and_then(|e| e.downcast_ref::<HostError>());
        matches!(cause, Some(HostError::Panicked))
    }

    /// Waits until the thread of this name below /proc sleeps.
    fn sleeps(thread: &Path) {
        let status = Path::new("/proc").join(thread).join("stat");
        let asleep = || {
            let text = std::fs::read_to_string(&status).unwrap();
            text.rsplit(')')
                .next()
                .unwrap()
                .trim_start()
                .starts_with('S')
        };
        while !asleep() {
            thread::yield_now();
        }
    }

    /// With and without leading: a user's thread panics under the lock, and everybody else hears of
    /// it, whatever he waits for.
    #[test]
    fn a_panic_of_one_user_is_told_to_all_who_wait() {
        for grace in [Duration::ZERO, Duration::from_millis(1)] {
            let (a, b) = pair(Medium::Ip, 1500);
            let host = |device, address: &str| {
                let builder = Host::builder(device).address(address.parse().unwrap());
                builder.lead_grace(grace).spawn().unwrap()
            };
            let (us, them) = (host(a, "10.7.0.1/24"), host(b, "10.7.0.2/24"));
            let listener = us.tcp_listen("10.7.0.1:80").unwrap();
            let far = them.tcp_connect("10.7.0.1:80").unwrap();
            let (stream, _) = listener.accept().unwrap();
            let udp = us.udp_bind("10.7.0.1:53").unwrap();
            let ping = us.ping_socket().unwrap();
            let (done, outcomes) = channel();
            thread::scope(|scope| {
                let (us, stream, listener) = (&us, &stream, &listener);
                let waits: [Box<dyn FnOnce() -> io::Error + Send>; 5] = [
                    Box::new(move || stream.recv(&mut [0; 9]).unwrap_err()),
                    Box::new(move || listener.accept().map(drop).unwrap_err()),
                    Box::new(move || udp.recv_datagram().map(drop).unwrap_err()),
                    Box::new(move || ping.recv(LONG).map(drop).unwrap_err()),
                    Box::new(move || {
                        us.wait(Some(LONG))
                            .map_or_else(|| io::ErrorKind::TimedOut.into(), Into::into)
                    }),
                ];
                for (which, wait) in waits.into_iter().enumerate() {
                    let done = done.clone();
                    let (here, there) = channel();
                    scope.spawn(move || {
                        here.send(std::fs::read_link("/proc/thread-self").unwrap())
                            .unwrap();
                        done.send((which, wait()))
                    });
                    sleeps(&there.recv().unwrap());
                }
                let bug = scope.spawn(|| {
                    let _core = us.shared.lock();
                    panic!("the bug of this test");
                });
                assert!(bug.join().is_err());
                for _ in 0..5 {
                    let Ok((which, error)) = outcomes.recv_timeout(LONG) else {
                        us.shared.request_end(None);
                        panic!("somebody sleeps on");
                    };
                    assert!(panicked(&error), "waiter {which} was told: {error:?}");
                }
            });
            assert!(matches!(us.error(), Some(HostError::Panicked)));
            assert!(us.udp_bind("10.7.0.1:54").is_err());
            drop((stream, far));
        }
    }
}
