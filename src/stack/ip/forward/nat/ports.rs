//! Ports of the outside address: which are free, and one of them at random.
//!
//! RFC 6056 §3.3.2, RFC 4787 REQ-3, REQ-4, RFC 7857 §8, §9. *Owns* a bit for each port of a protocol. *Does not* know whose they are. Invariant:
//! a free one is found, or that there is none, by so many draws and a look at each word of bits; ports of our own sockets cost a question each.

use core::ops::RangeInclusive;

use super::table::Kind;
use crate::base::Random;

/// Ports below are nobody's who did not ask for them.
const FIRST: u16 = 1024;
/// Ports that are drawn before all are looked through.
const DRAWS: usize = 32;
const WORDS: usize = (1 << 16) / 64;
/// The even ports of a word, and all.
const EVEN: u64 = u64::MAX / 3;
const ALL: u64 = u64::MAX;

/// The ports of all kinds.
#[derive(Debug)]
pub(super) struct Ports {
    /// What is set is not given to anybody: those that somebody has, and those that nobody gets.
    taken: [Box<[u64]>; 3],
    /// How many are not set.
    free: [usize; 3],
    /// Those that our own sockets are given.
    own: RangeInclusive<u16>,
    random: Random,
}

const fn at(port: u16) -> (usize, u64) {
    (port as usize / 64, 1 << (port % 64))
}

/// Sets the bits of these ports, a word at a time: a NAT begins with most of them clear.
fn take(words: &mut [u64], ports: &RangeInclusive<u16>) {
    if ports.is_empty() {
        return;
    }
    let ((first, low), (last, high)) = (at(*ports.start()), at(*ports.end()));
    for (word, bits) in words.iter_mut().enumerate().take(last + 1).skip(first) {
        let from = if word == first { ALL - (low - 1) } else { ALL };
        let to = if word == last { high | (high - 1) } else { ALL };
        *bits |= from & to;
    }
}

impl Ports {
    pub(super) fn new(own: RangeInclusive<u16>, random: Random) -> Self {
        let mut nobodys = vec![0; WORDS].into_boxed_slice();
        take(&mut nobodys, &(0..=FIRST - 1));
        take(&mut nobodys, &own);
        let taken: usize = nobodys.iter().map(|word| word.count_ones() as usize).sum();
        Self {
            taken: [nobodys.clone(), nobodys.clone(), nobodys],
            free: [(1 << 16) - taken; 3],
            own,
            random,
        }
    }

    /// Might an inside host get this port?
    pub(super) fn may_be_given(&self, port: u16) -> bool {
        port >= FIRST && !self.own.contains(&port)
    }

    /// Somebody gets a port, or gives it back: one that [may be given](Self::may_be_given) alone is free then.
    pub(super) fn set(&mut self, kind: Kind, port: u16, taken: bool) {
        let (word, bit) = at(port);
        let free = &mut self.free[kind as usize];
        let word = &mut self.taken[kind as usize][word];
        match (*word & bit != 0, taken) {
            (false, true) => *free -= 1,
            (true, false) => *free += 1,
            _ => {}
        }
        *word = if taken { *word | bit } else { *word & !bit };
    }

    /// A port that nobody has, nor a socket of ours (`taken`): for UDP an even one where `like` is, an odd one where that is, and any where there
    /// is none.
    pub(super) fn draw(
        &mut self,
        kind: Kind,
        like: u16,
        taken: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        if self.free[kind as usize] == 0 {
            return None;
        }
        let alike = match (kind, like % 2) {
            (Kind::Udp, 0) => EVEN,
            (Kind::Udp, _) => !EVEN,
            _ => ALL,
        };
        let mut start = 0;
        for _ in 0..DRAWS {
            let port = u16::try_from(self.random.below(1 << 16)).unwrap_or(0);
            let is_alike = alike & at(port).1 != 0;
            let port = if is_alike { port } else { port ^ 1 };
            let (word, bit) = at(port);
            if self.taken[kind as usize][word] & bit == 0 && !taken(port) {
                return Some(port);
            }
            start = word;
        }
        let search = |among: u64| {
            let mut words = (start..WORDS).chain(0..start);
            words.find_map(|word| self.free_in(kind, word, among, &taken))
        };
        let found = search(alike);
        // RFC 7857 §8: better another one than none.
        found.or_else(|| (alike != ALL).then(|| search(!alike)).flatten())
    }

    /// The first free port of a word, of those that `among` has set.
    fn free_in(
        &self,
        kind: Kind,
        word: usize,
        among: u64,
        taken: &impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let mut free = !self.taken[kind as usize][word] & among;
        let first = u16::try_from(word * 64).unwrap_or(u16::MAX);
        while free != 0 {
            let bit = u16::try_from(free.trailing_zeros()).unwrap_or(0);
            let port = first | bit;
            if !taken(port) {
                return Some(port);
            }
            free &= free - 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;
    use std::collections::BTreeSet;

    /// Covers: NAT-3, NAT-4: all that may be given are, and each once.
    #[test]
    fn all_ports_are_found_and_then_none() {
        let random = Random::new(Seed::from_number(1).key("ports"));
        let mut ports = Ports::new(1030..=65_499, random);
        let own = |port| port == 1028;
        let mut drawn = Vec::new();
        while let Some(port) = ports.draw(Kind::Udp, 2000, own) {
            drawn.push(port);
            ports.set(Kind::Udp, port, true);
        }
        let all: BTreeSet<u16> = (1024..1030).chain(65_500..=65_535).collect();
        let is_even = |port: &u16| port.is_multiple_of(2);
        let (mut evens, odds): (BTreeSet<u16>, BTreeSet<u16>) = all.into_iter().partition(is_even);
        evens.remove(&1028);
        // Odd ones when there is no even one any more (RFC 7857 §8).
        let rest = drawn.split_off(evens.len());
        assert_eq!((drawn.len(), rest.len()), (evens.len(), odds.len()));
        assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), evens);
        assert_eq!(rest.into_iter().collect::<BTreeSet<_>>(), odds);
        assert!(
            ports.draw(Kind::Tcp, 1, own).is_some(),
            "of another protocol"
        );
        ports.set(Kind::Udp, 65_501, false);
        assert_eq!(ports.draw(Kind::Udp, 1, own), Some(65_501));
    }
    /// What is not given to anybody is marked from the start, whichever edges of words our own ports have.
    #[test]
    fn a_port_is_free_when_it_may_be_given() {
        let none = RangeInclusive::new(2, 1);
        for own in [
            none,
            1024..=1024,
            0..=65_535,
            1087..=1088,
            32_768..=60_999,
            4096..=4159,
            65_535..=65_535,
        ] {
            let ports = Ports::new(own.clone(), Random::new(Seed::from_number(1).key("ports")));
            let free = |&port: &u16| {
                let (word, bit) = at(port);
                ports.taken[Kind::Query as usize][word] & bit == 0
            };
            let wrong = (0..=u16::MAX).find(|port| free(port) != ports.may_be_given(*port));
            assert_eq!(wrong, None, "{own:?}");
            let count = (0..=u16::MAX).filter(free).count();
            assert_eq!(ports.free, [count; 3], "{own:?}");
        }
    }
}
