//! How many ICMP errors the stack sends: a token bucket for each peer, and one for all together.
//!
//! RFC 4443 §2.4(f), RFC 1812 §4.3.2.8. *Owns* the buckets. Invariant: what one peer gets tells
//! nobody whether another got an error, and so not which port would have caused one. Peers share no
//! bucket but the one for all, and that is charged a random amount (IC4-28).

use core::net::IpAddr;
use std::collections::{HashMap, VecDeque};

use crate::base::{Instant, KeyedState, Random, Tokens};
use crate::stack::config::Config;

/// Token buckets for ICMP errors: one for each peer that was sent one lately, and one for all.
#[derive(Debug)]
pub(crate) struct IcmpLimit {
    random: Random,
    all: Tokens,
    /// Whose buckets are not full; whoever is not here has all tokens.
    peers: HashMap<IpAddr, Tokens, KeyedState>,
    /// The same peers, each once, to be looked through in turn.
    turns: VecDeque<IpAddr>,
    per_second: u64,
    per_peer: u64,
    /// What a peer's token costs.
    token: u64,
}

/// Buckets of peers, *fixed*. Only an error that left makes one, and it goes when it is full again:
/// with the default limits there are never more than the errors of six seconds.
const BUCKETS: usize = 8192;
const SECOND: u64 = 1_000_000_000;

impl IcmpLimit {
    pub(crate) fn new(config: &Config) -> Self {
        let state = KeyedState::new(config.seed.key("icmp limit"));
        Self {
            random: Random::new(config.seed.key("icmp burst")),
            all: Tokens::default(),
            peers: HashMap::with_hasher(state),
            turns: VecDeque::new(),
            per_second: u64::from(config.icmp_errors_per_second),
            per_peer: u64::from(config.icmp_errors_per_peer),
            token: SECOND,
        }
    }

    /// The same with another burst and rate for each peer, where there is a limit for peers that lets any error pass.
    pub(in crate::stack) fn faster(config: &Config, burst: u32, per_second: u32) -> Self {
        let most = Self::new(config);
        Self {
            per_peer: most.per_peer.min(1) * u64::from(burst),
            token: SECOND / u64::from(per_second).max(1),
            ..most
        }
    }

    /// May an error go to `peer` now?
    ///
    /// What either limit refuses is charged to neither.
    pub(in crate::stack) fn allow(&mut self, now: Instant, peer: IpAddr) -> bool {
        let Some(cost) = SECOND.checked_div(self.per_second) else {
            return false;
        };
        let burst = (self.per_second / 20).max(4);
        // First what needs no look-up: in a flood it is the usual answer.
        if !self.all.has_token(now, cost, burst) {
            return false;
        }
        self.forget_full(now);
        let known = self.peers.get(&peer).copied();
        let mut bucket = known.unwrap_or_default();
        let room = known.is_some() || self.peers.len() < BUCKETS;
        if !room || !bucket.has_token(now, self.token, self.per_peer) {
            return false;
        }
        // None, one or two, one on the average, as Linux has it since CVE-2020-25705: who spends the
        // rest cannot count what was spent before.
        self.all.charge(now, cost, self.random.below(3));
        bucket.charge(now, self.token, 1);
        if self.peers.insert(peer, bucket).is_none() {
            self.turns.push_back(peer);
        }
        true
    }

    /// Looks at two peers in turn, so that more full buckets go than one call makes.
    fn forget_full(&mut self, now: Instant) {
        for _ in 0..2 {
            let Some(peer) = self.turns.pop_front() else {
                return;
            };
            if self.peers.get(&peer).is_none_or(|b| b.is_full(now)) {
                self.peers.remove(&peer);
            } else {
                self.turns.push_back(peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    fn limit() -> IcmpLimit {
        IcmpLimit::new(&Config::new(Seed::from_number(1)))
    }

    fn micros(n: u64) -> Instant {
        Instant::ZERO + core::time::Duration::from_micros(n)
    }

    fn peer(n: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + n).into())
    }

    /// Covers: IC4-27, IC6-6: the documented rate, burst and recovery.
    #[test]
    fn the_rates_are_those_of_the_settings() {
        let mut limit = limit();
        let mut sent = 0;
        for n in 0..100_000 {
            let now = micros(u64::from(n) * 100);
            sent += u32::from(limit.allow(now, peer(n)));
        }
        assert!((9_700..=10_400).contains(&sent), "{sent} in ten seconds");
        let at = |seconds: u64| Instant::from_millis(1000 * (100 + seconds));
        let burst = |limit: &mut IcmpLimit, at| {
            let allowed = (0..100).filter(|_| limit.allow(at, peer(7)));
            allowed.count()
        };
        assert_eq!(burst(&mut limit, at(0)), 6);
        assert_eq!(burst(&mut limit, at(1)), 1);
        assert_eq!(burst(&mut limit, at(3)), 2);
        assert_eq!(burst(&mut limit, at(100)), 6);
    }

    /// Forged senders without number leave no more than what was sent lately.
    #[test]
    fn buckets_that_are_full_go() {
        let mut limit = limit();
        let mut most = 0;
        for n in 0..200_000 {
            limit.allow(micros(u64::from(n) * 50), peer(n));
            most = most.max(limit.peers.len());
            assert_eq!(limit.peers.len(), limit.turns.len());
        }
        assert!(most <= 2100, "{most}");
        // One token or six in each bucket: as many as six seconds bring.
        for n in 0..60_000 {
            let now = Instant::from_millis(20_000) + core::time::Duration::from_micros(n * 100);
            limit.allow(now, peer(u32::try_from(n / 60).unwrap()));
            most = most.max(limit.peers.len());
        }
        assert!(most < BUCKETS, "{most}");
        for n in 0..10_000 {
            limit.allow(Instant::from_millis(1_000_000), peer(n % 3));
        }
        assert!(limit.peers.len() <= 3);
    }

    /// Covers: IC4-27. No limit is so high that forged senders fill memory, and 0 sends nothing.
    #[test]
    fn settings_at_their_ends() {
        let config = Config::new(Seed::from_number(1));
        let huge = config.clone().icmp_errors_per_second(u32::MAX);
        let mut limit = IcmpLimit::new(&huge.icmp_errors_per_peer(u32::MAX));
        for n in 0..20_000 {
            limit.allow(Instant::from_millis(1000), peer(n));
        }
        assert_eq!(limit.peers.len(), BUCKETS);
        let none = config.clone().icmp_errors_per_second(0);
        assert!(!IcmpLimit::new(&none).allow(Instant::from_millis(9000), peer(1)));
        let none = config.icmp_errors_per_peer(0);
        assert!(!IcmpLimit::new(&none).allow(Instant::from_millis(9000), peer(1)));
    }
}
