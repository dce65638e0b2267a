//! Destinations to which the path is narrower than the link that it begins on.
//!
//! RFC 1191, RFC 8201, RFC 4821 §5.2, RFC 5927 §7.2. *Owns* what was told of them and believed, and what connections found
//! where nobody tells: bounded, and forgotten after a while, for a path may have become wider. *Does not* know who sent
//! what: a socket says first whether what is quoted left it.
//!
//! Nothing of what connections said is evicted before its time, or whoever is believed of many destinations could have those forgotten that
//! are in use; what datagrams alone are quoted for, whose numbers nobody checks, gives way to it. When there is no room who was told keeps
//! the value alone: a connection as long as it lives, others with what they remember of what they sent.

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

/// Nothing was said.
const UNSAID: u16 = u16::MAX;

/// Who said that a path is narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teacher {
    /// A connection: what is quoted was out at that number, or it found out by itself.
    Connection,
    /// A datagram, of which the destination and a length are all that is known.
    Datagram,
}

/// What is known of a narrow path, in bytes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Narrow {
    /// What gets through.
    pub(super) sure: u16,
    /// What may, by what routers told.
    pub(super) most: u16,
}

/// What a connection found out by itself, in bytes of a packet (RFC 4821).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundMtu {
    /// Larger ones are lost; these get through.
    Narrow(u16),
    /// These get through as well: of a path that nobody found narrow that is no news.
    Carries(u16),
    /// The same, and it looked for more.
    Settled(u16),
    /// Those that routers told of, or the link.
    All,
}

/// The words of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Burst {
    /// When the first came, in milliseconds modulo 2^32: each connection has one of these.
    began: u32,
    words: u8,
}

impl Burst {
    pub(super) const NONE: Self = Self { began: 0, words: 0 };

    /// Were there so many that nothing more is believed for a moment?
    pub(super) fn is_enough(&self, now: Instant) -> bool {
        self.words >= BURST_WORDS && self.goes_on(now)
    }

    pub(super) fn note(&mut self, now: Instant) {
        if self.words == 0 || !self.goes_on(now) {
            let began = millis(now);
            *self = Self { began, words: 0 };
        }
        self.words = self.words.saturating_add(1);
    }

    fn goes_on(&self, now: Instant) -> bool {
        Duration::from_millis(millis(now).wrapping_sub(self.began).into()) < BURST
    }
}

fn millis(now: Instant) -> u32 {
    let millis = now.as_nanos() / 1_000_000;
    u32::try_from(millis & u64::from(u32::MAX)).unwrap_or(0)
}

/// The narrow ones.
#[derive(Debug)]
pub(super) struct Mtus {
    known: HashMap<Key, Known, KeyedState>,
    /// The same in the order in which they are forgotten.
    ends: BTreeSet<(Instant, Key)>,
    /// Those of them that only datagrams taught.
    weak: BTreeSet<(Instant, Key)>,
    limit: usize,
    life: Option<Duration>,
    /// Lower than this no IPv4 path is believed to be.
    least_v4: usize,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// By routers, of packets that were too large.
    told: u16,
    /// By connections whose larger segments were lost again and again.
    found: u16,
    end: Instant,
    burst: Burst,
    by: Teacher,
}

impl Mtus {
    pub(super) fn new(config: &Config) -> Self {
        let state = KeyedState::new(config.seed.key("path mtu"));
        Self {
            known: HashMap::with_hasher(state),
            ends: BTreeSet::new(),
            weak: BTreeSet::new(),
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
    pub(super) fn get(&self, on: InterfaceId, dst: IpAddr) -> Option<Narrow> {
        if self.known.is_empty() {
            return None;
        }
        let known = self.known.get(&(on, dst))?;
        Some(Narrow {
            sure: known.told.min(known.found),
            most: known.told,
        })
    }

    /// When what is said now is to be forgotten. RFC 8201 §5.3: or never.
    pub(super) fn end(&self, now: Instant) -> Instant {
        self.life.map_or(Instant::FAR_FUTURE, |life| now + life)
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
            // What is longer than the path is taken to carry left before that was known, and says nothing of what fits.
            if quoted > current {
                return None;
            }
            // RFC 1191 §5: the largest that is below what did not fit.
            let below = PLATEAUS.into_iter().find(|&mtu| mtu < quoted);
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
    pub(super) fn learn(
        &mut self,
        now: Instant,
        (on, dst): (InterfaceId, IpAddr),
        mtu: u16,
        by: Teacher,
    ) -> bool {
        let Some(mut known) = self.entry(now, (on, dst), by) else {
            return false;
        };
        // RFC 8201 §4 (PMT-5): who was told may have taken it for wider than it is known to be.
        known.told = known.told.min(mtu);
        known.burst.note(now);
        self.put((on, dst), known);
        true
    }

    /// What a connection found of a path; returns whether that is news for others.
    pub(super) fn find(
        &mut self,
        now: Instant,
        (on, dst): (InterfaceId, IpAddr),
        found: FoundMtu,
    ) -> bool {
        let key = (on, dst);
        let before = self.known.get(&key).map_or(UNSAID, |known| known.found);
        let found = match (found, before) {
            (FoundMtu::All | FoundMtu::Carries(_), UNSAID) => return false,
            (FoundMtu::All, _) => UNSAID,
            (FoundMtu::Narrow(mtu), _) | (FoundMtu::Settled(mtu), UNSAID) => mtu,
            (FoundMtu::Carries(mtu) | FoundMtu::Settled(mtu), known) => known.max(mtu),
        };
        let Some(mut known) = self.entry(now, key, Teacher::Connection) else {
            return false;
        };
        known.found = found;
        if known.told == UNSAID && found == UNSAID {
            self.remove(key);
        } else {
            self.put(key, known);
        }
        before != found
    }

    /// What is known of a path, or room to know it, as of now; `None`: there is none.
    fn entry(&mut self, now: Instant, key: Key, by: Teacher) -> Option<Known> {
        let end = self.end(now);
        if let Some(&known) = self.known.get(&key) {
            // What a connection said stands for as long as anything does.
            let by = if by == Teacher::Connection {
                by
            } else {
                known.by
            };
            return Some(Known { end, by, ..known });
        }
        if self.known.len() >= self.limit {
            let (_, weakest) = self.weak.first().copied()?;
            if by == Teacher::Datagram {
                return None;
            }
            self.remove(weakest);
        }
        Some(Known {
            told: UNSAID,
            found: UNSAID,
            end,
            burst: Burst::NONE,
            by,
        })
    }

    fn put(&mut self, key: Key, known: Known) {
        self.remove(key);
        self.known.insert(key, known);
        self.ends.insert((known.end, key));
        if known.by == Teacher::Datagram {
            self.weak.insert((known.end, key));
        }
    }

    fn remove(&mut self, key: Key) {
        if let Some(known) = self.known.remove(&key) {
            self.ends.remove(&(known.end, key));
            self.weak.remove(&(known.end, key));
        }
    }

    /// What was said of the path lately, if it is known.
    pub(super) fn burst(&self, on: InterfaceId, dst: IpAddr) -> Option<Burst> {
        self.known.get(&(on, dst)).map(|known| known.burst)
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
            self.remove(key);
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
            (V4,    0, 1492, 1492, Some(1006)),
            (V4,    0, 1500, 1492, None),
            (V4,    0, 1006, 1006, Some(552)),
            (V4,    0, 1500, 1006, None),
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

    fn on() -> InterfaceId {
        InterfaceId::from_index(0)
    }

    fn sure(mtus: &Mtus, on: InterfaceId, dst: IpAddr) -> Option<u16> {
        mtus.get(on, dst).map(|narrow| narrow.sure)
    }

    fn learn(mtus: &mut Mtus, now: Instant, dst: IpAddr, mtu: u16) -> bool {
        mtus.learn(now, (on(), dst), mtu, Teacher::Connection)
    }

    /// Covers: PMT-6, PMT-7. An age for each, begun anew with each word; five minutes at least, or none.
    #[test]
    fn each_is_forgotten_in_its_time() {
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        let mut mtus = mtus(|config| config.path_mtu_life(Some(Duration::from_secs(1))));
        assert!(learn(&mut mtus, at(0), V4, 1400) && learn(&mut mtus, at(10), V6, 1300));
        assert!(learn(&mut mtus, at(20), V4, 1280));
        assert_eq!((mtus.len(), mtus.next_end()), (2, Some(at(310))));
        let mut steps = 9;
        assert!(!mtus.forget_old(at(309), &mut steps));
        assert!(mtus.forget_old(at(310), &mut steps));
        assert_eq!(
            (sure(&mtus, on(), V4), sure(&mtus, on(), V6)),
            (Some(1280), None)
        );
        assert!(!mtus.forget_old(at(320), &mut 0), "no steps left");
        assert!(mtus.forget_old(at(320), &mut steps));
        assert_eq!(
            (sure(&mtus, on(), V4), mtus.next_end(), steps),
            (None, None, 7)
        );

        let mut eternal = self::mtus(|config| config.path_mtu_life(None));
        assert!(learn(&mut eternal, at(0), V4, 1400));
        assert_eq!(eternal.next_end(), None);
    }

    /// What is there stays, and may become narrower; another finds no room.
    #[test]
    fn a_full_table_keeps_what_it_has() {
        let mut mtus = mtus(|config| config.path_mtu_limit(1));
        let other = InterfaceId::from_index(1);
        let now = Instant::from_millis(1);
        assert!(learn(&mut mtus, now, V4, 1400));
        assert!(!mtus.learn(now, (other, V4), 1280, Teacher::Connection));
        assert!(
            !learn(&mut mtus, now, V6, 1280) && !mtus.find(now, (on(), V6), FoundMtu::Narrow(1280))
        );
        assert!(learn(&mut mtus, now, V4, 1300));
        assert_eq!(
            (sure(&mtus, on(), V4), sure(&mtus, other, V4)),
            (Some(1300), None)
        );
        assert!(learn(&mut mtus, now, V4, 1350));
        assert_eq!(sure(&mtus, on(), V4), Some(1300), "never wider");
    }

    /// What datagrams alone taught gives way to what connections say, the oldest first, and to nothing else.
    #[test]
    fn what_nobody_checked_gives_way_to_what_was() {
        let mut mtus = mtus(|config| config.path_mtu_limit(2));
        let at = Instant::from_millis;
        let other = IpAddr::from([192, 0, 2, 2]);
        for (ms, dst) in [(1, V4), (2, V6)] {
            assert!(mtus.learn(at(ms), (on(), dst), 1300, Teacher::Datagram));
        }
        assert!(!mtus.learn(at(3), (on(), other), 1300, Teacher::Datagram));
        assert!(learn(&mut mtus, at(4), other, 1300));
        assert_eq!((mtus.len(), sure(&mtus, on(), V4)), (2, None));
        // One that a connection confirmed stays, whoever speaks of it afterwards.
        assert!(learn(&mut mtus, at(5), V6, 1290));
        assert!(mtus.learn(at(6), (on(), V6), 1280, Teacher::Datagram));
        assert!(!learn(&mut mtus, at(7), V4, 1280));
        assert_eq!(sure(&mtus, on(), V6), Some(1280));
        assert!(mtus.weak.is_empty() && mtus.ends.len() == 2);
    }

    /// What connections found bounds what is sent, and not what may be tried; it may grow, and go.
    #[test]
    fn what_was_found_bounds_no_probe() {
        let mut mtus = mtus(|config| config);
        let now = Instant::from_millis(1);
        let narrow = |sure, most| Some(Narrow { sure, most });
        let mut find = |dst, found| mtus.find(now, (on(), dst), found);
        assert!(!find(V4, FoundMtu::All) && !find(V4, FoundMtu::Carries(1300)));
        assert!(find(V4, FoundMtu::Narrow(1280)));
        assert!(!find(V4, FoundMtu::Narrow(1280)), "no news");
        assert!(find(V4, FoundMtu::Carries(1390)));
        assert!(!find(V4, FoundMtu::Carries(1300)) && !find(V4, FoundMtu::Settled(1300)));
        assert!(find(V6, FoundMtu::Settled(1280)) && find(V6, FoundMtu::All));
        assert_eq!((mtus.len(), mtus.get(on(), V4)), (1, narrow(1390, UNSAID)));
        assert!(learn(&mut mtus, now, V4, 1400));
        assert_eq!(mtus.get(on(), V4), narrow(1390, 1400));
        assert!(mtus.find(now, (on(), V4), FoundMtu::All));
        assert_eq!(mtus.get(on(), V4), narrow(1400, 1400));
        assert_eq!((mtus.len(), mtus.ends.len()), (1, 1));
    }
}
