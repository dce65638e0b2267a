//! Connecting to whichever of several addresses answers first.
//!
//! RFC 8305 ("happy eyeballs", version 2): §3 (when to begin), §4 (the order), §5 (one attempt after the other). *Owns* who is tried next, and when.
//! *Does not* connect, or know how an attempt goes: who drives it says. Bounded by the addresses that it is given.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::VecDeque;

use crate::base::Instant;

/// How long IPv4's addresses wait for IPv6's (RFC 8305 §8, Resolution Delay).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// How long an attempt is alone (RFC 8305 §8, Connection Attempt Delay).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Attempts to connect to the addresses of one name; `T` is what an attempt is known by, such as a [`TcpId`](crate::TcpId).
///
/// ```
/// use netloom::names::Race;
/// use netloom::Instant;
/// use std::net::IpAddr;
///
/// let now = Instant::ZERO;
/// let mut race = Race::new();
/// let all: [IpAddr; 3] = ["2001:db8::1".parse()?, "2001:db8::2".parse()?, "192.0.2.1".parse()?];
/// race.know(now, &all, true);
/// assert_eq!(race.poll_attempt(now), Some(all[0]));
/// race.began("first", all[0]);
/// assert_eq!((race.poll_attempt(now), race.due()), (None, Some(Instant::from_millis(250))));
/// // It fails: the next one need not wait, and is of the other family.
/// race.failed(now, &"first");
/// assert_eq!(race.poll_attempt(now), Some(all[2]));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Race<T> {
    /// Known and not tried, in order.
    waiting: VecDeque<IpAddr>,
    tried: Vec<IpAddr>,
    running: Vec<(T, IpAddr)>,
    /// When the next one may be tried.
    next_at: Instant,
    /// No more addresses come.
    complete: bool,
}

impl<T: PartialEq> Default for Race<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: PartialEq> Race<T> {
    /// A race of nobody yet.
    pub const fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            tried: Vec::new(),
            running: Vec::new(),
            next_at: Instant::FAR_FUTURE,
            complete: false,
        }
    }

    /// These are all addresses that are known by now, the best first ([`sorted`](super::sorted)); `complete` when no more will come.
    pub fn know(&mut self, now: Instant, addresses: &[IpAddr], complete: bool) {
        let fresh = |address: &&IpAddr| !self.tried.contains(address);
        let fresh: Vec<IpAddr> = addresses.iter().filter(fresh).copied().collect();
        self.waiting = interleaved(&fresh, self.tried.last().copied());
        self.complete |= complete;
        // RFC 8305 §3: AAAA are waited for a little.
        let wait = !self.complete && !addresses.iter().any(IpAddr::is_ipv6);
        if self.tried.is_empty() && !addresses.is_empty() {
            let begin = if wait { now + RESOLUTION_DELAY } else { now };
            self.next_at = self.next_at.min(begin);
        }
    }

    /// Whom to try now. [`began`](Self::began) or [`failed_at_once`](Self::failed_at_once) follows.
    pub fn poll_attempt(&mut self, now: Instant) -> Option<IpAddr> {
        if self.next_at > now {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.tried.push(address);
        self.next_at = now + ATTEMPT_DELAY;
        Some(address)
    }

    /// The attempt at this address is under way.
    pub fn began(&mut self, attempt: T, at: IpAddr) {
        self.running.push((attempt, at));
    }

    /// The attempt that was to begin could not.
    pub const fn failed_at_once(&mut self, now: Instant) {
        self.next_at = now;
    }

    /// An attempt has failed. RFC 8305 §5: the next one does not wait for longer, if this was the last that began, or the only one.
    pub fn failed(&mut self, now: Instant, attempt: &T) {
        let last = self.running.last().is_some_and(|(last, _)| last == attempt);
        self.running.retain(|(other, _)| other != attempt);
        if last || self.running.is_empty() {
            self.next_at = self.next_at.min(now);
        }
    }

    /// Attempts that are under way, the first that began first.
    pub fn running(&self) -> impl Iterator<Item = &T> {
        self.running.iter().map(|(attempt, _)| attempt)
    }

    /// Where an attempt goes.
    pub fn address(&self, attempt: &T) -> Option<IpAddr> {
        let found = self.running.iter().find(|(other, _)| other == attempt);
        found.map(|(_, address)| *address)
    }

    /// When to ask [`poll_attempt`](Self::poll_attempt) again, whatever happens before.
    pub fn due(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// Is there nobody left who could win?
    pub fn is_lost(&self) -> bool {
        self.complete && self.waiting.is_empty() && self.running.is_empty()
    }
}

/// RFC 8305 §4: the families by turns, beginning with that of the best, or with the other than was tried last.
fn interleaved(addresses: &[IpAddr], last: Option<IpAddr>) -> VecDeque<IpAddr> {
    let of = |v4| addresses.iter().filter(move |a| a.is_ipv4() == v4).copied();
    let begin_v4 = match last {
        Some(last) => !last.is_ipv4(),
        None => addresses.first().is_some_and(IpAddr::is_ipv4),
    };
    let (mut first, mut second) = (of(begin_v4), of(!begin_v4));
    let mut all = VecDeque::with_capacity(addresses.len());
    while all.len() < addresses.len() {
        all.extend(first.next());
        all.extend(second.next());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split(' ').map(|one| one.parse().unwrap()).collect()
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Who is tried, and when, if every attempt lasts.
    fn course(race: &mut Race<usize>, from: u64, to: u64) -> Vec<(u64, String)> {
        let mut began = Vec::new();
        for now in from..=to {
            while let Some(address) = race.poll_attempt(at(now)) {
                race.began(began.len(), address);
                began.push((now, address.to_string()));
            }
        }
        began
    }

    fn rows(all: &[(u64, &str)]) -> Vec<(u64, String)> {
        all.iter()
            .map(|&(at, text)| (at, text.to_owned()))
            .collect()
    }

    /// Covers: DNS-20.
    #[test]
    fn families_by_turns_a_quarter_second_apart() {
        let mut race = Race::new();
        race.know(at(0), &ips("fd00::1 fd00::2 fd00::3 10.0.0.1"), true);
        let wanted = [
            (0, "fd00::1"),
            (250, "10.0.0.1"),
            (500, "fd00::2"),
            (750, "fd00::3"),
        ];
        assert_eq!(course(&mut race, 0, 2000), rows(&wanted));
        assert_eq!((race.due(), race.is_lost()), (None, false));
        for attempt in 0..4 {
            race.failed(at(3000), &attempt);
        }
        assert!(race.is_lost());
    }

    /// Covers: DNS-19.
    #[test]
    fn the_other_family_is_waited_for_a_little() {
        // It does not come in time.
        let mut race = Race::new();
        race.know(at(0), &ips("10.0.0.1 10.0.0.2"), false);
        assert_eq!(race.due(), Some(at(50)));
        assert_eq!(course(&mut race, 0, 249), rows(&[(50, "10.0.0.1")]));
        // It does later, and is next.
        race.know(at(100), &ips("fd00::1 10.0.0.1 10.0.0.2"), true);
        let wanted = [(300, "fd00::1"), (550, "10.0.0.2")];
        assert_eq!(course(&mut race, 250, 900), rows(&wanted));
        // In time: it is first.
        let mut race = Race::new();
        race.know(at(0), &ips("10.0.0.1"), false);
        race.know(at(20), &ips("fd00::1 10.0.0.1"), true);
        assert_eq!(course(&mut race, 20, 260), rows(&[(20, "fd00::1")]));
        // There is none: no more waiting.
        let mut race = Race::new();
        race.know(at(0), &ips("10.0.0.1"), false);
        race.know(at(10), &ips("10.0.0.1"), true);
        assert_eq!(course(&mut race, 10, 11), rows(&[(10, "10.0.0.1")]));
        // IPv6 waits for nobody.
        let mut race = Race::new();
        race.know(at(5), &ips("fd00::1"), false);
        assert_eq!(course(&mut race, 5, 6), rows(&[(5, "fd00::1")]));
        assert!(!race.is_lost());
    }

    /// Covers: DNS-20.
    #[test]
    fn who_fails_makes_room() {
        let mut race = Race::new();
        race.know(at(0), &ips("fd00::1 10.0.0.1 fd00::2 10.0.0.2"), true);
        assert_eq!(course(&mut race, 0, 260).len(), 2);
        race.failed(at(261), &0);
        assert_eq!(race.due(), Some(at(500)), "a later one runs still");
        race.failed(at(262), &1);
        assert_eq!(race.poll_attempt(at(262)), Some(ips("fd00::2")[0]));
        race.failed_at_once(at(262));
        assert_eq!(race.poll_attempt(at(262)), Some(ips("10.0.0.2")[0]));
        race.failed_at_once(at(262));
        assert!(race.is_lost());
    }

    #[test]
    fn a_race_without_anybody_is_lost_when_nobody_comes() {
        let mut race = Race::<u8>::new();
        assert!(!race.is_lost());
        race.know(at(0), &[], true);
        assert!(race.is_lost() && race.due().is_none());
    }
}
