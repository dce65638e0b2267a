//! Ports of the outside address: which are free, and one of them at random.
//!
//! RFC 6056 §3.3.2, RFC 4787 REQ-4. *Owns* a bit for each port of a protocol. *Does not* know whose they are. Invariant: a free one is found in
//! a thousand steps, however few there are.

use core::ops::RangeInclusive;

use super::table::Kind;
use crate::base::Random;

/// Ports below are nobody's who did not ask for them.
const FIRST: u16 = 1024;
/// Ports that are drawn before all are looked through.
const DRAWS: usize = 32;
const WORDS: usize = (1 << 16) / 64;

/// The ports of all kinds.
#[derive(Debug)]
pub(super) struct Ports {
    /// What is set is not given to anybody.
    taken: [Box<[u64]>; 3],
    /// Those that our own sockets are given.
    own: RangeInclusive<u16>,
    random: Random,
}

const fn at(port: u16) -> (usize, u64) {
    (port as usize / 64, 1 << (port % 64))
}

impl Ports {
    pub(super) fn new(own: RangeInclusive<u16>, random: Random) -> Self {
        let all = || vec![0; WORDS].into_boxed_slice();
        Self {
            taken: [all(), all(), all()],
            own,
            random,
        }
    }

    /// Might an inside host get this port?
    pub(super) fn may_be_given(&self, port: u16) -> bool {
        port >= FIRST && !self.own.contains(&port)
    }

    pub(super) fn set(&mut self, kind: Kind, port: u16, taken: bool) {
        let (word, bit) = at(port);
        let word = &mut self.taken[kind as usize][word];
        *word = if taken { *word | bit } else { *word & !bit };
    }

    /// A port that nobody has, nor a socket of ours (`taken`): for UDP even where `like` is, odd where that is.
    pub(super) fn draw(
        &mut self,
        kind: Kind,
        like: u16,
        taken: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let alike = |port: u16| kind != Kind::Udp || port % 2 == like % 2;
        let (mut word, mut bit) = (0, 0);
        for _ in 0..DRAWS {
            let port = u16::try_from(self.random.below(1 << 16)).unwrap_or(0);
            let port = if alike(port) { port } else { port ^ 1 };
            (word, bit) = at(port);
            let given = self.taken[kind as usize][word] & bit != 0;
            if !given && self.may_be_given(port) && !taken(port) {
                return Some(port);
            }
        }
        let start = word;
        let in_word = |word: usize| {
            let free = !self.taken[kind as usize][word];
            let first = u16::try_from(word * 64).unwrap_or(u16::MAX);
            let bits = (0..64u16).filter(move |bit| free & 1 << bit != 0);
            let mut ports = bits.map(move |bit| first + bit);
            ports.find(|&port| alike(port) && self.may_be_given(port) && !taken(port))
        };
        debug_assert!(bit != 0, "none was drawn");
        (start..WORDS).chain(0..start).find_map(in_word)
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
        let (mut even, mut odd) = (BTreeSet::new(), BTreeSet::new());
        while let Some(port) = ports.draw(Kind::Udp, 2000, own) {
            assert!(even.insert(port));
            ports.set(Kind::Udp, port, true);
        }
        while let Some(port) = ports.draw(Kind::Udp, 2001, own) {
            assert!(odd.insert(port));
            ports.set(Kind::Udp, port, true);
        }
        let all: BTreeSet<u16> = (1024..1030).chain(65_500..=65_535).collect();
        let is_even = |port: &u16| port.is_multiple_of(2);
        let (mut evens, odds): (BTreeSet<u16>, BTreeSet<u16>) = all.into_iter().partition(is_even);
        evens.remove(&1028);
        assert_eq!((even, odd), (evens, odds));
        assert!(
            ports.draw(Kind::Tcp, 1, own).is_some(),
            "of another protocol"
        );
        ports.set(Kind::Udp, 65_501, false);
        assert_eq!(ports.draw(Kind::Udp, 1, own), Some(65_501));
    }
}
