//! The tokens of a bucket: a rate, and how much of it may come at once.
//!
//! *Owns* when tokens are spent. *Does not* know what a token is for, nor read a clock: who asks says what one
//! costs. No walk and no timer: tokens are counted in nanoseconds of the time that earns them.

use super::Instant;

/// Tokens, all there at first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tokens {
    /// The time up to which all tokens are spent.
    spent_until: u64,
}

impl Tokens {
    /// Is there a token, of at most `burst` that take `cost` nanoseconds each to earn?
    pub(crate) fn has_token(self, now: Instant, cost: u64, burst: u64) -> bool {
        let end = self.spent_until.max(now.as_nanos()).saturating_add(cost);
        end <= now.as_nanos().saturating_add(burst.saturating_mul(cost))
    }

    /// Takes `count` tokens, maybe more than there are: then the next come later.
    pub(crate) fn charge(&mut self, now: Instant, cost: u64, count: u64) {
        let start = self.spent_until.max(now.as_nanos());
        self.spent_until = start.saturating_add(cost.saturating_mul(count));
    }

    /// Are all tokens there?
    pub(crate) fn is_full(self, now: Instant) -> bool {
        self.spent_until <= now.as_nanos()
    }
}
