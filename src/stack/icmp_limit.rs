//! How many ICMP errors the stack sends: token buckets for each peer and for all together.
//!
//! RFC 4443 §2.4(f), RFC 1812 §4.3.2.8. *Owns* the buckets: a fixed number, whatever the number of
//! peers.

use core::net::IpAddr;

use super::config::Config;
use crate::base::{Instant, Key, Random};

/// Token buckets for ICMP errors: one for each peer, shared by those that hash alike, and one for all.
#[derive(Debug)]
pub(crate) struct IcmpLimit {
    key: Key,
    random: Random,
    all: Bucket,
    peers: Box<[Bucket]>,
    per_second: u64,
    per_peer: u64,
}

/// Peers' buckets: bounded, whatever the number of peers.
const BUCKETS: usize = 256;
/// Tokens are counted in nanoseconds of the time that earns them.
const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// The time up to which all tokens are spent.
    spent_until: u64,
}

impl Bucket {
    /// Takes `count` tokens that cost `cost` each, out of at most `burst`.
    fn take(&mut self, now: Instant, cost: u64, burst: u64, count: u64) -> bool {
        let now = now.as_nanos() + burst.saturating_mul(cost);
        let start = self.spent_until.max(now - burst.saturating_mul(cost));
        let end = start.saturating_add(cost.saturating_mul(count));
        let fits = end <= now;
        if fits {
            self.spent_until = end;
        }
        fits
    }
}

impl IcmpLimit {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            key: config.seed.key("icmp limit"),
            random: Random::new(config.seed.key("icmp burst")),
            all: Bucket::default(),
            peers: vec![Bucket::default(); BUCKETS].into_boxed_slice(),
            per_second: u64::from(config.icmp_errors_per_second),
            per_peer: u64::from(config.icmp_errors_per_peer),
        }
    }

    /// May an error go to `peer` now?
    ///
    /// The peer's own limit comes first, and the common one is charged a random amount, so that
    /// nobody can count our replies to others (IC4-28).
    pub(super) fn allow(&mut self, now: Instant, peer: IpAddr) -> bool {
        if self.per_second == 0 {
            return false;
        }
        let hash = match peer {
            IpAddr::V4(a) => self.key.hash(&a.octets()),
            // One host may have a whole /64.
            IpAddr::V6(a) => self.key.hash(&a.octets()[..8]),
        };
        let at = usize::try_from(hash % BUCKETS as u64).unwrap_or(0);
        if !self.peers[at].take(now, SECOND, self.per_peer, 1) {
            return false;
        }
        let burst = (self.per_second / 20).max(4);
        let count = 1 + self.random.below(3);
        self.all.take(now, SECOND / self.per_second, burst, count)
    }
}
