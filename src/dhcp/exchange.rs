//! The phases of a client, and when the message of one is sent again.
//!
//! RFC 2131 §4.1 (back-off), §4.4 Figure 5 (states), §4.4.5 (renewing). *Owns* the times of a message.
//! *Does not* build it or know when a phase ends.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::config::Config;
use crate::base::{Instant, Random, nanos};

/// RFC 2131 §4.4, Figure 5; the lease that is held stands beside it.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Nothing is wanted: before the start, and after a release.
    Stopped,
    /// INIT, until the search may begin; after a NAK, another link ends the wait.
    Waiting { until: Instant, refused: bool },
    /// SELECTING; an address that the user had is asked for.
    Selecting {
        exchange: Exchange,
        hint: Option<Ipv4Addr>,
    },
    /// REQUESTING what `server` has offered.
    Requesting {
        exchange: Exchange,
        address: Ipv4Addr,
        server: Ipv4Addr,
        /// What the search has asked for, and the next one will.
        hint: Option<Ipv4Addr>,
    },
    /// REBOOTING: is this address still good here?
    Rebooting {
        exchange: Exchange,
        address: Ipv4Addr,
    },
    /// BOUND.
    Bound,
    /// RENEWING, at the server of the lease.
    Renewing { exchange: Exchange },
    /// REBINDING, at any server.
    Rebinding { exchange: Exchange },
}

/// A question, and how often it was asked.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// Which answers are meant.
    pub(super) xid: u32,
    /// What secs is counted from: when the client began.
    pub(super) began: Instant,
    /// secs as it was in the last message.
    pub(super) secs: u16,
    /// When the first message with this xid left. A lease that is granted begins here: the server may have
    /// heard this one.
    pub(super) first_sent: Option<Instant>,
    /// Messages that have left.
    pub(super) sent: u32,
    /// When the next one leaves.
    pub(super) next: Instant,
}

impl Exchange {
    /// Its first message leaves at `now`.
    pub(super) fn new(now: Instant, random: &mut Random) -> Self {
        Self {
            xid: xid(random),
            began: now,
            secs: 0,
            first_sent: None,
            sent: 0,
            next: now,
        }
    }

    /// Another question in the same matter, which secs is still counted from (RFC 2131 §2).
    pub(super) fn go_on(&self, now: Instant, random: &mut Random) -> Self {
        Self {
            began: self.began,
            ..Self::new(now, random)
        }
    }

    /// The REQUEST that follows an OFFER: the same xid (RFC 2131 §4.4.1, Table 5), and the same secs, that
    /// relays pass it to the same servers (§4.4.1).
    pub(super) const fn follow(&self, now: Instant) -> Self {
        Self {
            first_sent: None,
            sent: 0,
            next: now,
            ..*self
        }
    }

    pub(super) const fn is_due(&self, now: Instant) -> bool {
        self.next.as_nanos() <= now.as_nanos()
    }

    /// A message of a search leaves; the next one after twice the time (RFC 2131 §4.1).
    pub(super) fn on_sent(&mut self, now: Instant, config: &Config, random: &mut Random) {
        self.note_sent(now);
        self.next = now + backoff(self.sent, config, random);
    }

    /// A message that extends a lease leaves, as a question of its own: its answer says which request it
    /// grants. The next one after half of what is left until `end` (RFC 2131 §4.4.5).
    pub(super) fn on_renewal_sent(
        &mut self,
        now: Instant,
        end: Instant,
        config: &Config,
        random: &mut Random,
    ) {
        self.first_sent = None;
        self.xid = xid(random);
        self.note_sent(now);
        self.next = now + (end.since(now) / 2).max(config.renew_interval);
    }

    pub(super) fn secs_at(&self, now: Instant) -> u16 {
        u16::try_from(now.since(self.began).as_secs()).unwrap_or(u16::MAX)
    }

    fn note_sent(&mut self, now: Instant) {
        self.first_sent.get_or_insert(now);
        self.sent = self.sent.saturating_add(1);
    }
}

/// How long to wait after the `sent`th message, from 1: doubled each time, give or take a quarter of the first
/// time, a second at most. With RFC 2131 §4.1's times: 4, 8, 16, 32, 64, 64 ... +- 1 s.
pub(super) fn backoff(sent: u32, config: &Config, random: &mut Random) -> Duration {
    let first = config.retransmit_first;
    let doubled = first.saturating_mul(
        1_u32
            .checked_shl(sent.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    let most = config.retransmit_max.max(first);
    let either_way = nanos(first / 4).min(1_000_000_000);
    let jitter = Duration::from_nanos(random.below(2 * either_way + 1));
    doubled
        .min(most)
        .saturating_add(jitter)
        .saturating_sub(Duration::from_nanos(either_way))
}

/// RFC 2131 §4.1: chosen so that no other client has it; and nobody who has not seen it can answer.
pub(super) fn xid(random: &mut Random) -> u32 {
    (random.next_u64() >> 32) as u32
}
