//! Ephemeral ports: RFC 6056 §3.3.3, algorithm 3 (simple hash-based), for what has a remote end;
//! §3.3.2 and §3.3.1 (random) for what is bound without one.
//!
//! *Owns* the choice. *Does not* know which ports are taken: the caller says.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use core::ops::RangeInclusive;

use super::claims::Bound;
use super::taken::Taken;
use crate::base::{Key, Random, Seed};

/// EphemeralPorts that are drawn before the rest is gone through: with nine of ten taken, 97 % of the
/// searches end before.
const DRAWS: usize = 32;

/// The generator of ephemeral ports of one stack.
#[derive(Debug)]
pub(crate) struct EphemeralPorts {
    key: Key,
    next: u64,
    random: Random,
    range: RangeInclusive<u16>,
}

impl EphemeralPorts {
    pub(crate) fn new(seed: &Seed, range: RangeInclusive<u16>) -> Self {
        // Port 0 is nobody's.
        let range = (*range.start()).max(1)..=*range.end();
        Self {
            key: seed.key("ephemeral port"),
            next: 0,
            random: Random::new(seed.key("ephemeral draw")),
            range,
        }
    }

    /// A port for a flow from `local` to `remote` that `is_free`; `None` when none is.
    pub(crate) fn for_flow(
        &mut self,
        (local, remote): (IpAddr, SocketAddr),
        taken: &mut Taken<Seeker>,
        is_free: impl Fn(NonZeroU16) -> bool,
    ) -> Option<NonZeroU16> {
        let count = self.count()?;
        let min = u64::from(*self.range.start());
        // RFC 6056 §3.3.3: min_ephemeral + (next_ephemeral + offset) % num_ephemeral. The remainder
        // is taken once: a counter that wraps within a search would pass some ports by.
        let start = self.offset(local, remote).wrapping_add(self.next) % count;
        let who = Seeker::Flow(local, remote);
        let port = u16::try_from(min + start).ok()?;
        let found = taken.search(who, &self.range, port, ask(is_free))?;
        let steps = (u64::from(found) + count - min - start) % count;
        self.next = self.next.wrapping_add(steps + 1);
        NonZeroU16::new(found)
    }

    /// A port for a socket that is bound as `claims` say, that `is_free`; `None` when none is.
    ///
    /// RFC 6056 §3.3.2: drawn at random, because without a remote end algorithm 3 would count, and
    /// who sees one port would know the next. When the draws meet no free one, §3.3.1: the next free
    /// one from a random place.
    pub(crate) fn for_socket(
        &mut self,
        claims: [Bound; 2],
        taken: &mut Taken<Seeker>,
        is_free: impl Fn(NonZeroU16) -> bool,
    ) -> Option<NonZeroU16> {
        let count = self.count()?;
        let mut draw = || {
            let step = u16::try_from(self.random.below(count)).unwrap_or(0);
            self.range.start().saturating_add(step)
        };
        let mut drawn = (0..DRAWS).filter_map(|_| NonZeroU16::new(draw()));
        if let Some(port) = drawn.find(|&port| is_free(port)) {
            return Some(port);
        }
        let start = draw();
        let who = Seeker::Socket(claims);
        let found = taken.search(who, &self.range, start, ask(is_free))?;
        NonZeroU16::new(found)
    }

    /// EphemeralPorts in the range, at least one.
    fn count(&self) -> Option<u64> {
        let more = self.range.end().checked_sub(*self.range.start())?;
        Some(u64::from(more) + 1)
    }

    /// F of RFC 6056 §3.3.3: a keyed hash of the addresses and the remote port.
    fn offset(&self, local: IpAddr, remote: SocketAddr) -> u64 {
        let mut bytes = [0; 34];
        let mut put = |at: usize, address: IpAddr| match address {
            IpAddr::V4(a) => bytes[at..at + 4].copy_from_slice(&a.octets()),
            IpAddr::V6(a) => bytes[at..at + 16].copy_from_slice(&a.octets()),
        };
        put(0, local);
        put(16, remote.ip());
        bytes[32..].copy_from_slice(&remote.port().to_be_bytes());
        // Below 2^63, so that adding the counter cannot wrap and bias the remainder.
        self.key.hash(&bytes) >> 1
    }
}

/// Who searches: what is free for one may be taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seeker {
    /// A connection from this address to this endpoint.
    Flow(IpAddr, SocketAddr),
    /// A socket bound to these addresses.
    Socket([Bound; 2]),
}

fn ask(is_free: impl Fn(NonZeroU16) -> bool) -> impl Fn(u16) -> bool {
    move |port| NonZeroU16::new(port).is_some_and(&is_free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    const LOCAL: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1));
    const CLAIMS: [Bound; 2] = [Bound::AnyV4; 2];

    fn remote() -> SocketAddr {
        "10.0.0.2:80".parse().unwrap()
    }

    fn is_ours(range: &RangeInclusive<u16>, port: NonZeroU16) -> bool {
        range.contains(&port.get())
    }

    /// Covers: SEC-8 (the whole range is used, and only what is free).
    #[test]
    fn every_free_port_is_found_and_then_none() {
        for flow in [false, true] {
            for range in [40_000..=40_099, 65_436..=65_535, 0..=100] {
                let mut ports = EphemeralPorts::new(&Seed::from_number(1), range.clone());
                let mut memory = Taken::default();
                let taken = RefCell::new(BTreeSet::from([40_007, 65_500, 3]));
                let mut pick = || {
                    let free = |p: NonZeroU16| !taken.borrow().contains(&p.get());
                    if flow {
                        ports.for_flow((LOCAL, remote()), &mut memory, free)
                    } else {
                        ports.for_socket(CLAIMS, &mut memory, free)
                    }
                };
                for _ in 0..99 {
                    let port = pick().unwrap();
                    assert!(is_ours(&range, port), "{port}");
                    assert!(taken.borrow_mut().insert(port.get()));
                }
                assert_eq!(pick(), None);
            }
        }
    }

    /// Covers: SEC-8. Wherever the counter stands, one search passes every port of the range once.
    #[test]
    fn the_last_free_port_is_found_wherever_the_counter_stands() {
        let mut ports = EphemeralPorts::new(&Seed::from_number(1), 40_000..=40_999);
        let mut memory = Taken::default();
        let flow = (LOCAL, remote());
        for round in 0..140u16 {
            for _ in 0..499 {
                ports.for_flow(flow, &mut memory, |_| true).unwrap();
            }
            let last = 40_000 + round * 7;
            memory.released(last);
            let found = ports.for_flow(flow, &mut memory, |p| p.get() == last);
            assert_eq!(found.map(NonZeroU16::get), Some(last), "round {round}");
            memory = Taken::default();
        }
        for next in [u64::MAX, u64::MAX - 7] {
            ports.next = next;
            let found = ports.for_flow(flow, &mut memory, |p| p.get() == 40_500);
            assert_eq!(found.map(NonZeroU16::get), Some(40_500));
        }
    }

    /// Neither a user nor a peer, whom a user connects to or binds for, can have a full range walked
    /// through again and again.
    #[test]
    fn a_range_without_room_is_not_walked_for_each_call() {
        let asked = Cell::new(0);
        let last = Cell::new(0);
        let free = |p: NonZeroU16| {
            asked.set(asked.get() + 1);
            p.get() == last.get()
        };
        let mut ports = EphemeralPorts::new(&Seed::from_number(1), 32_768..=60_999);
        let mut memory = Taken::default();
        for _ in 0..1000 {
            assert_eq!(ports.for_socket(CLAIMS, &mut memory, free), None);
            assert_eq!(ports.for_flow((LOCAL, remote()), &mut memory, free), None);
        }
        let most = 2 * (28_232 + 256) + 1000 * DRAWS;
        assert!(asked.get() <= most, "{} questions", asked.get());
        asked.set(0);
        for port in (33_000..60_000).step_by(270) {
            last.set(port);
            memory.released(port);
            let found = ports.for_flow((LOCAL, remote()), &mut memory, free);
            assert_eq!(found.map(NonZeroU16::get), Some(port));
            let found = ports.for_socket(CLAIMS, &mut memory, free);
            assert_eq!(found.map(NonZeroU16::get), Some(port));
            // It is in use from here on.
        }
        assert!(asked.get() <= 100 * (4 + DRAWS), "{}", asked.get());
    }

    /// Covers: UDP-13 (one destination's ports tell nothing of another's).
    #[test]
    fn different_remotes_and_seeds_start_at_different_places() {
        let first = |seed, remote: &str| {
            let mut ports = EphemeralPorts::new(&Seed::from_number(seed), 32_768..=60_999);
            let flow = (LOCAL, remote.parse().unwrap());
            ports
                .for_flow(flow, &mut Taken::default(), |_| true)
                .unwrap()
        };
        let a = first(1, "10.0.0.2:80");
        assert_ne!(a, first(1, "10.0.0.2:81"));
        assert_ne!(a, first(1, "10.0.0.3:80"));
        assert_ne!(a, first(2, "10.0.0.2:80"));
        assert_eq!(a, first(1, "10.0.0.2:80"));
    }

    /// Covers: UDP-13: every port of the range is as likely as another.
    #[test]
    fn draws_reach_the_whole_range() {
        let range = 1000..=1003;
        let mut ports = EphemeralPorts::new(&Seed::from_number(1), range);
        let mut seen = [0; 4];
        for _ in 0..1000 {
            let port = ports.for_socket(CLAIMS, &mut Taken::default(), |_| true);
            seen[usize::from(port.unwrap().get() - 1000)] += 1;
        }
        assert!(seen.iter().all(|&n| n > 200), "{seen:?}");
    }
}
