//! Destinations for which a router named a better first hop.
//!
//! RFC 1122 §3.2.2.2, §3.3.1.2, RFC 4861 §8.3. *Owns* what was told and believed: bounded, and forgotten after a while.
//! *Does not* judge who told it: [`redirect`](crate::stack::router) does. Nothing is evicted before its time, or whoever is
//! believed of many destinations could have those forgotten that are in use.

use core::net::IpAddr;
use core::ops::Bound::{Included, Unbounded};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Instant, Tokens};
use crate::stack::ids::InterfaceId;

/// Destinations at most (docs/limits.md).
pub(crate) const MAX_REDIRECTS: usize = 256;
/// How long one holds (our choice, that of a narrow path): routers say it again where it still holds.
const LIFE: Duration = Duration::from_secs(600);
/// Redirects that are looked at in a burst; each may lead all who keep a path to look again.
pub(crate) const REDIRECT_BURST: u64 = 64;
/// The time that earns another: sixteen a second.
const REDIRECT_COST: u64 = 1_000_000_000 / 16;

/// A destination, or a first hop, by the interface that packets to it leave by.
type Key = (InterfaceId, IpAddr);

/// What became of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stack) enum Learned {
    /// It is heeded from now on.
    New,
    /// It was already, and is for longer.
    Known,
    /// There is no room.
    Full,
}

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Redirects {
    known: BTreeMap<Key, Known>,
    /// The same in the order in which they are forgotten.
    ends: BTreeSet<(Instant, Key)>,
    /// And by the first hop that they name.
    over: BTreeSet<(Key, IpAddr)>,
    seen: Tokens,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    hop: IpAddr,
    end: Instant,
}

impl Redirects {
    /// The first hop to `dst`, if one was named.
    #[inline]
    pub(super) fn get(&self, on: InterfaceId, dst: IpAddr) -> Option<IpAddr> {
        if self.known.is_empty() {
            return None;
        }
        Some(self.known.get(&(on, dst))?.hop)
    }

    /// May another one be looked at? Then it counts.
    pub(super) fn take_token(&mut self, now: Instant) -> bool {
        let may = self.seen.has_token(now, REDIRECT_COST, REDIRECT_BURST);
        if may {
            self.seen.charge(now, REDIRECT_COST, 1);
        }
        may
    }

    /// Packets to `dst` go over `hop` from now on.
    pub(super) fn learn(&mut self, now: Instant, (on, dst): Key, hop: IpAddr) -> Learned {
        let key = (on, dst);
        let before = self.known.get(&key).copied();
        if before.is_none() && self.known.len() >= MAX_REDIRECTS {
            return Learned::Full;
        }
        self.forget(key);
        let end = now + LIFE;
        self.known.insert(key, Known { hop, end });
        self.ends.insert((end, key));
        self.over.insert(((on, hop), dst));
        if before.is_some_and(|before| before.hop == hop) {
            Learned::Known
        } else {
            Learned::New
        }
    }

    /// This neighbour is no first hop any more: it does not answer, or is no router. Returns whether it was one.
    pub(super) fn forget_over(&mut self, on: InterfaceId, hop: IpAddr) -> bool {
        let mut any = false;
        let from = |over: &BTreeSet<(Key, IpAddr)>| {
            let lowest = IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);
            let mut rest = over.range((Included(((on, hop), lowest)), Unbounded));
            rest.next().filter(|(key, _)| *key == (on, hop)).copied()
        };
        while let Some((_, dst)) = from(&self.over) {
            self.forget((on, dst));
            any = true;
        }
        any
    }

    /// This neighbour says that it is no router: nothing beyond it goes there, but what is meant for itself does (RFC 4861
    /// §7.3.3). Returns whether anything did.
    pub(super) fn forget_beyond(&mut self, on: InterfaceId, hop: IpAddr) -> bool {
        let lowest = IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);
        let rest = self
            .over
            .range((Included(((on, hop), lowest)), Unbounded))
            .take_while(|(key, _)| *key == (on, hop));
        let gone: Vec<Key> = rest
            .filter(|(_, dst)| *dst != hop)
            .map(|&(_, dst)| (on, dst))
            .collect();
        gone.iter().for_each(|&key| self.forget(key));
        !gone.is_empty()
    }

    /// All of an interface: its link may be another one. Returns whether there were any.
    pub(super) fn forget_all(&mut self, on: InterfaceId) -> bool {
        let ours: Vec<Key> = self
            .known
            .keys()
            .filter(|key| key.0 == on)
            .copied()
            .collect();
        ours.iter().for_each(|&key| self.forget(key));
        !ours.is_empty()
    }

    /// When the first one is forgotten.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|end| end.0)
    }

    /// Forgets those whose time has come, as many as there are `steps`; returns whether there were any.
    pub(super) fn forget_old(&mut self, now: Instant, steps: &mut usize) -> bool {
        let mut any = false;
        while *steps > 0
            && let Some((end, key)) = self.ends.first().copied()
            && end <= now
        {
            *steps -= 1;
            self.forget(key);
            any = true;
        }
        any
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn forget(&mut self, key: Key) {
        if let Some(known) = self.known.remove(&key) {
            self.ends.remove(&(known.end, key));
            self.over.remove(&((key.0, known.hop), key.1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u32) -> IpAddr {
        IpAddr::V4(core::net::Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    fn on(index: usize) -> InterfaceId {
        InterfaceId::from_index(index)
    }

    fn consistent(redirects: &Redirects) {
        assert_eq!(redirects.known.len(), redirects.ends.len());
        assert_eq!(redirects.known.len(), redirects.over.len());
    }

    /// docs/limits.md: what is there stays, another finds no room, and each ends in its time.
    #[test]
    fn a_full_table_keeps_what_it_has() {
        let mut redirects = Redirects::default();
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        let most = u32::try_from(MAX_REDIRECTS).unwrap();
        for n in 0..most {
            let learned = redirects.learn(at(n.into()), (on(0), v4(n)), v4(9999));
            assert_eq!(learned, Learned::New);
        }
        for n in most..most + 1000 {
            let learned = redirects.learn(at(300), (on(0), v4(n)), v4(9999));
            assert_eq!(learned, Learned::Full);
        }
        assert_eq!(
            redirects.learn(at(300), (on(0), v4(0)), v4(9999)),
            Learned::Known
        );
        assert_eq!(
            redirects.learn(at(300), (on(0), v4(1)), v4(9998)),
            Learned::New
        );
        consistent(&redirects);
        assert_eq!(
            (redirects.len(), redirects.next_end()),
            (MAX_REDIRECTS, Some(at(602)))
        );
        let mut steps = 1;
        assert!(redirects.forget_old(at(603), &mut steps));
        assert_eq!(
            (redirects.len(), redirects.get(on(0), v4(2))),
            (MAX_REDIRECTS - 1, None)
        );
        assert!(!redirects.forget_old(at(603), &mut steps), "no steps left");
        steps = 1000;
        assert!(redirects.forget_old(at(899), &mut steps));
        assert_eq!((redirects.len(), redirects.next_end()), (2, Some(at(900))));
        assert_eq!(redirects.get(on(0), v4(0)), Some(v4(9999)));
        assert_eq!(
            (redirects.get(on(0), v4(1)), redirects.get(on(1), v4(1))),
            (Some(v4(9998)), None)
        );
        consistent(&redirects);
    }

    #[test]
    fn a_hop_that_is_gone_leads_nowhere() {
        let mut redirects = Redirects::default();
        for n in 0..10 {
            redirects.learn(Instant::ZERO, (on(0), v4(n)), v4(100 + n % 2));
            redirects.learn(Instant::ZERO, (on(1), v4(n)), v4(100));
        }
        assert!(redirects.forget_over(on(0), v4(100)) && !redirects.forget_over(on(0), v4(100)));
        assert_eq!(redirects.len(), 15);
        assert_eq!(
            (redirects.get(on(0), v4(0)), redirects.get(on(0), v4(1))),
            (None, Some(v4(101)))
        );
        consistent(&redirects);
        assert!(redirects.forget_all(on(1)) && !redirects.forget_all(on(1)));
        assert_eq!(redirects.len(), 5);
        consistent(&redirects);
    }
}
