//! How many connections a service has at once: in all, and of one peer.
//!
//! *Owns* the counts. *Does not* know what a connection is: a [`Slot`] gives itself back when it is
//! dropped. A peer is an IPv4 address, or the /64 of an IPv6 address: whoever has one address of a
//! /64 has them all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a peer may be silent before its connection is closed.
const IDLE: Duration = Duration::from_secs(300);
/// The same while the service is [pressed](Slots::are_pressed).
const IDLE_PRESSED: Duration = Duration::from_secs(10);
/// How often who waits for a silent peer looks whether the service is pressed.
const LOOK: Duration = Duration::from_secs(5);

/// The connections that one service may have.
#[derive(Debug)]
pub(crate) struct Slots {
    limit: usize,
    per_peer: usize,
    taken: Mutex<Taken>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// No entry for who has none, so that this is never longer than `all`.
    of_peer: HashMap<IpAddr, usize>,
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    Service,
    /// This peer has as many as one may have.
    Peer,
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    peer: IpAddr,
}

impl Slots {
    /// Room for `limit` connections, `per_peer` of them from one peer.
    pub(crate) fn new(limit: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            per_peer,
            taken: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// A slot for a connection from here, if there is one now.
    pub(crate) fn try_take(self: &Arc<Self>, from: IpAddr) -> Result<Slot, Full> {
        self.take_of(&mut self.lock(), from)
    }

    /// A slot for a connection from here; waits while all are taken.
    ///
    /// # Errors
    /// [`Full::Peer`], at once.
    pub(crate) fn take(self: &Arc<Self>, from: IpAddr) -> Result<Slot, Full> {
        let mut taken = self.lock();
        loop {
            match self.take_of(&mut taken, from) {
                Err(Full::Service) => {}
                result => return result,
            }
            taken = self
                .freed
                .wait(taken)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until one is free, for at most this long.
    pub(crate) fn wait_for_room(&self, at_most: Duration) {
        let full = |taken: &mut Taken| taken.all >= self.limit;
        // The guard is of no use: whoever waited looks again.
        let _ = self.freed.wait_timeout_while(self.lock(), at_most, full);
    }

    /// Are more than three quarters taken, so that who does nothing should make room?
    pub(crate) fn are_pressed(&self) -> bool {
        self.lock().all > self.limit / 4 * 3
    }

    /// Repeats `attempt`, which waits for the peer as long as it is told, while that finds it silent
    /// (`WouldBlock`) and may.
    pub(crate) fn unless_idle<T>(
        &self,
        mut attempt: impl FnMut(Duration) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut silent = Duration::ZERO;
        loop {
            match attempt(LOOK) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    silent += LOOK;
                    if silent >= IDLE || silent >= IDLE_PRESSED && self.are_pressed() {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }

    fn take_of(self: &Arc<Self>, taken: &mut Taken, from: IpAddr) -> Result<Slot, Full> {
        let peer = peer_of(from);
        let of_peer = taken.of_peer.get(&peer).copied().unwrap_or_default();
        if of_peer >= self.per_peer {
            return Err(Full::Peer);
        }
        if taken.all >= self.limit {
            return Err(Full::Service);
        }
        taken.all += 1;
        taken.of_peer.insert(peer, of_peer + 1);
        Ok(Slot {
            slots: Arc::clone(self),
            peer,
        })
    }

    /// Counts are right between any two statements that could panic.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.all -= 1;
        if let Entry::Occupied(mut of_peer) = taken.of_peer.entry(self.peer) {
            *of_peer.get_mut() -= 1;
            if *of_peer.get() == 0 {
                of_peer.remove();
            }
        }
        drop(taken);
        self.slots.freed.notify_one();
    }
}

fn peer_of(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_has_its_share_and_no_more() {
        let slots = Slots::new(5, 2);
        let first = slots.try_take(ip("10.0.0.1")).unwrap();
        let mapped = slots.try_take(ip("::ffff:10.0.0.1")).unwrap();
        assert_eq!(slots.try_take(ip("10.0.0.1")).unwrap_err(), Full::Peer);
        let _six = slots.try_take(ip("fd00::1")).unwrap();
        let _same = slots.try_take(ip("fd00::2")).unwrap();
        assert_eq!(slots.try_take(ip("fd00::3")).unwrap_err(), Full::Peer);
        let _other = slots.try_take(ip("fd00:0:0:1::3")).unwrap();
        assert_eq!(slots.try_take(ip("10.0.0.2")).unwrap_err(), Full::Service);
        drop(first);
        drop(slots.try_take(ip("10.0.0.1")).unwrap());
        drop(mapped);
        assert!(!slots.lock().of_peer.contains_key(&ip("10.0.0.1")));
    }

    #[test]
    fn who_waits_gets_the_slot_that_comes_free() {
        let slots = Slots::new(1, 1);
        let held = slots.try_take(ip("10.0.0.1")).unwrap();
        assert_eq!(slots.take(ip("10.0.0.1")).unwrap_err(), Full::Peer);
        let (sender, taken) = mpsc::channel();
        let waiting = Arc::clone(&slots);
        thread::spawn(move || {
            let slot = waiting.take(ip("10.0.0.2"));
            sender.send(slot.is_ok()).unwrap();
        });
        drop(held);
        assert_eq!(taken.recv(), Ok(true));
    }

    #[test]
    fn the_silent_make_room_when_it_is_scarce() {
        let slots = Slots::new(4, 4);
        let silent = || {
            let mut waited = Duration::ZERO;
            let result: io::Result<()> = slots.unless_idle(|time| {
                waited += time;
                Err(io::ErrorKind::WouldBlock.into())
            });
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
            waited
        };
        let _three = [0; 3].map(|_| slots.try_take(ip("10.0.0.1")).unwrap());
        assert_eq!(silent(), IDLE);
        let _fourth = slots.try_take(ip("10.0.0.1")).unwrap();
        assert_eq!(silent(), IDLE_PRESSED);
        let ended: io::Result<()> = slots.unless_idle(|_| Err(io::ErrorKind::BrokenPipe.into()));
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
