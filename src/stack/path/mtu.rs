//! Destinations to which the path is narrower than the link that it begins on.
//!
//! RFC 1191, RFC 8201, RFC 5927 §7.2. *Owns* what was told of them and believed: bounded, and forgotten after a
//! while, for a path may have become wider. *Does not* know who sent what: a socket says first whether what is
//! quoted left it.
//!
//! Nothing is evicted before its time, or whoever is believed of many destinations could have those forgotten that
//! are in use. When there is no room the connection that was told keeps the value alone, for as long as it lives.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use crate::base::{Instant, KeyedState};
use crate::stack::config::Config;
use crate::stack::ids::InterfaceId;

/// RFC 8200 §5: every link carries as much, so a path to a host does.
const LEAST_V6: usize = 1280;

/// RFC 1191 §7.1: the MTUs that links have, for routers that tell none.
const PLATEAUS: [usize; 11] = [
    65_535, 32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68,
];

/// How often a path may become narrower in [`BURST`]: for each word all connections send anew what is out. Paths have few
/// hops that are each narrower than the one before; what is not heeded is said again when it leaves again.
const BURST_WORDS: u8 = 4;

/// About the time that a segment which was refused a second time takes to leave again.
const BURST: Duration = Duration::from_secs(1);

/// A destination, by the interface that packets to it leave by.
type Key = (InterfaceId, IpAddr);

/// The narrow ones.
#[derive(Debug)]
pub(super) struct Mtus {
    known: HashMap<Key, Known, KeyedState>,
    /// The same in the order in which they are forgotten.
    ends: BTreeSet<(Instant, Key)>,
    limit: usize,
    life: Option<Duration>,
    /// Lower than this no IPv4 path is believed to be.
    least_v4: usize,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    mtu: u16,
    end: Instant,
    /// When a burst of words began, and how many there were.
    burst: (Instant, u8),
}

impl Mtus {
    pub(super) fn new(config: &Config) -> Self {
        let state = KeyedState::new(config.seed.key("path mtu"));
        Self {
            known: HashMap::with_hasher(state),
            ends: BTreeSet::new(),
            limit: config.path_mtu_limit,
            life: config.path_mtu_life,
            least_v4: config.least_path_mtu.into(),
        }
    }

    /// Bytes of a packet that every path to `dst` carries.
    pub(super) const fn least(&self, dst: IpAddr) -> usize {
        match dst {
            IpAddr::V4(_) => self.least_v4,
            IpAddr::V6(_) => LEAST_V6,
        }
    }

    /// What is known of the path to `dst`.
    #[inline]
    pub(super) fn get(&self, on: InterfaceId, dst: IpAddr) -> Option<u16> {
        if self.known.is_empty() {
            return None;
        }
        Some(self.known.get(&(on, dst))?.mtu)
    }

    /// What a router's word makes of a path of `current` bytes to `dst`, for a packet of `quoted` bytes that was too
    /// large for a hop of `told`, 0 if it does not say; `None`: it is not believed.
    pub(super) fn judge(
        &self,
        dst: IpAddr,
        told: usize,
        quoted: usize,
        current: usize,
    ) -> Option<u16> {
        let least = self.least(dst);
        let mtu = if told == 0 && dst.is_ipv4() {
            // RFC 1191 §5: the largest that is below what did not fit.
            let below = PLATEAUS.into_iter().find(|&mtu| mtu < quoted.min(current));
            below.unwrap_or(0).max(least)
        } else {
            told
        };
        // RFC 5927 §7.2, RFC 8201 §4: what fits was not refused, a path grows by no such message, and below the
        // least there is no honest one.
        let believed = mtu >= least && mtu < current && mtu < quoted;
        u16::try_from(mtu).ok().filter(|_| believed)
    }

    /// The path is as narrow as this from now on, as [judged](Self::judge); returns whether there is room for that.
    pub(super) fn learn(&mut self, now: Instant, on: InterfaceId, dst: IpAddr, mtu: u16) -> bool {
        let key = (on, dst);
        if !self.known.contains_key(&key) && self.known.len() >= self.limit {
            return false;
        }
        // RFC 8201 §4 (PMT-5): who was told may have taken it for wider than it is known to be.
        let before = self.known.get(&key);
        let mtu = before.map_or(mtu, |known| mtu.min(known.mtu));
        let burst = before.map(|known| known.burst);
        let burst = burst.filter(|&(began, _)| now.since(began) < BURST);
        let burst = burst.map_or((now, 1), |(began, words)| (began, words.saturating_add(1)));
        // RFC 8201 §5.3: or never.
        let end = self.life.map_or(Instant::FAR_FUTURE, |life| now + life);
        if let Some(before) = self.known.insert(key, Known { mtu, end, burst }) {
            self.ends.remove(&(before.end, key));
        }
        self.ends.insert((end, key));
        true
    }

    /// Has the path become narrower so often by now that nothing more is believed for a moment?
    pub(super) fn has_heard_enough(&self, now: Instant, on: InterfaceId, dst: IpAddr) -> bool {
        let known = self.known.get(&(on, dst));
        known.is_some_and(|known| {
            let (began, words) = known.burst;
            words >= BURST_WORDS && now.since(began) < BURST
        })
    }

    /// When the first one is forgotten.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let (end, _) = self.ends.first()?;
        Some(*end).filter(|&end| end != Instant::FAR_FUTURE)
    }

    /// Forgets those whose time has come, as many as there are `steps`; returns whether there were any.
    pub(super) fn forget_old(&mut self, now: Instant, steps: &mut usize) -> bool {
        let mut any = false;
        while *steps > 0
            && let Some((end, key)) = self.ends.first().copied()
            && end <= now
        {
            *steps -= 1;
            self.ends.pop_first();
            self.known.remove(&key);
            any = true;
        }
        any
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    const V4: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(core::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));

    fn mtus(tune: impl Fn(Config) -> Config) -> Mtus {
        Mtus::new(&tune(Config::new(Seed::from_number(1))))
    }

    /// Covers: PMT-2, PMT-3 (the plateau below what did not fit), PMT-4 (the least), PMT-5 (never larger), ATK-7.
    #[test]
    fn a_word_is_believed_within_bounds() {
        let mtus = mtus(|config| config);
        #[rustfmt::skip]
        let rows = [
            // destination, told, quoted, current: believed
            (V4, 1280, 1500, 1500, Some(1280)),
            (V4,  552, 1500, 1500, Some(552)),
            (V4,  551, 1500, 1500, None),
            (V4,   68, 1500, 1500, None),
            (V4, 1500, 1500, 1500, None),
            (V4, 9000, 1500, 1500, None),
            (V4, 1400, 1500, 1400, None),
            (V4, 1280, 1280, 1500, None),
            (V4, 1280, 1281, 1500, Some(1280)),
            (V4, 1280, 65_535, 1500, Some(1280)),
            (V4,    0, 1500, 1500, Some(1492)),
            (V4,    0, 1492, 1500, Some(1006)),
            (V4,    0, 65_535, 1500, Some(1492)),
            (V4,    0, 1500, 1006, Some(552)),
            (V4,    0,  552, 1500, None),
            (V4,    0, 1500,  552, None),
            (V6, 1280, 1500, 1500, Some(1280)),
            (V6, 1279, 1500, 1500, None),
            (V6,    0, 1500, 1500, None),
            (V6, usize::MAX, 1500, 1500, None),
        ];
        for (dst, told, quoted, current, believed) in rows {
            let got = mtus.judge(dst, told, quoted, current);
            assert_eq!(got, believed, "{dst} {told} {quoted} {current}");
        }
    }

    /// The least of IPv4 is a setting, and never below what a link must carry.
    #[test]
    fn the_least_of_ipv4_is_a_setting() {
        let low = mtus(|config| config.least_path_mtu(1));
        assert_eq!(low.judge(V4, 68, 1500, 1500), Some(68));
        assert_eq!(low.judge(V4, 67, 1500, 1500), None);
        assert_eq!(low.judge(V4, 0, 296, 1500), Some(68));
    }

    /// Covers: PMT-6, PMT-7. An age for each, begun anew with each word; five minutes at least, or none.
    #[test]
    fn each_is_forgotten_in_its_time() {
        let on = InterfaceId::from_index(0);
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        let mut mtus = mtus(|config| config.path_mtu_life(Some(Duration::from_secs(1))));
        assert!(mtus.learn(at(0), on, V4, 1400) && mtus.learn(at(10), on, V6, 1300));
        assert!(mtus.learn(at(20), on, V4, 1280));
        assert_eq!((mtus.len(), mtus.next_end()), (2, Some(at(310))));
        let mut steps = 9;
        assert!(!mtus.forget_old(at(309), &mut steps));
        assert!(mtus.forget_old(at(310), &mut steps));
        assert_eq!((mtus.get(on, V4), mtus.get(on, V6)), (Some(1280), None));
        assert!(!mtus.forget_old(at(320), &mut 0), "no steps left");
        assert!(mtus.forget_old(at(320), &mut steps));
        assert_eq!((mtus.get(on, V4), mtus.next_end(), steps), (None, None, 7));

        let mut eternal = self::mtus(|config| config.path_mtu_life(None));
        assert!(eternal.learn(at(0), on, V4, 1400));
        assert_eq!(eternal.next_end(), None);
    }

    /// What is there stays, and may become narrower; another finds no room.
    #[test]
    fn a_full_table_keeps_what_it_has() {
        let mut mtus = mtus(|config| config.path_mtu_limit(1));
        let (on, other) = (InterfaceId::from_index(0), InterfaceId::from_index(1));
        let now = Instant::from_millis(1);
        assert!(mtus.learn(now, on, V4, 1400));
        assert!(!mtus.learn(now, other, V4, 1280) && !mtus.learn(now, on, V6, 1280));
        assert!(mtus.learn(now, on, V4, 1300));
        assert_eq!((mtus.get(on, V4), mtus.get(other, V4)), (Some(1300), None));
        assert!(mtus.learn(now, on, V4, 1350));
        assert_eq!(mtus.get(on, V4), Some(1300), "never wider");
    }
}
