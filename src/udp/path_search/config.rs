//! The sizes and times of a search.
//!
//! RFC 8899 §5.1.1, §5.1.2. *Owns* the settings and their bounds. *Does not* search.

use core::time::Duration;

/// RFC 8899 §5.1.2.
const BASE: u16 = 1200;
/// RFC 1122 §3.3.2: what each host takes, less the headers of IPv4 and UDP.
const LEAST_V4: u16 = 576 - 28;
/// RFC 8899 §5.1.1: MUST NOT be less.
const LEAST_PROBE_TIMER: Duration = Duration::from_secs(1);

/// Settings of a [`PathSearch`](super::PathSearch). All sizes are bytes of UDP payload: what is handed to a socket to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct PathSearchConfig {
    pub(super) least: u16,
    pub(super) base: u16,
    pub(super) most: u16,
    pub(super) probes: u8,
    pub(super) probe_timer: Duration,
    pub(super) raise_timer: Duration,
    pub(super) confirmation_timer: Option<Duration>,
}

impl PathSearchConfig {
    /// For datagrams over IPv4 by a link of this MTU in bytes: MIN_PLPMTU 548, BASE_PLPMTU 1200, or what the link carries where that
    /// is less.
    pub const fn v4(mtu: u16) -> Self {
        Self::within(LEAST_V4, mtu.saturating_sub(28))
    }

    /// The same over IPv6, whose links carry 1280 bytes each (RFC 8200 §5): MIN_PLPMTU is BASE_PLPMTU.
    pub const fn v6(mtu: u16) -> Self {
        Self::within(BASE, mtu.saturating_sub(48))
    }

    const fn within(least: u16, most: u16) -> Self {
        const fn smaller(a: u16, b: u16) -> u16 {
            if a < b { a } else { b }
        }
        Self {
            least: smaller(least, most),
            base: smaller(BASE, most),
            most,
            probes: 3,
            probe_timer: Duration::from_secs(16),
            raise_timer: Duration::from_secs(600),
            confirmation_timer: None,
        }
    }

    /// MAX_PLPMTU where it is less than what the link carries: what the other end takes, or the largest datagram that is ever wanted.
    pub const fn most(self, bytes: u16) -> Self {
        let most = if bytes < self.most { bytes } else { self.most };
        let within = Self::within(self.least, most);
        Self {
            least: within.least,
            base: within.base,
            most,
            ..self
        }
    }

    /// MAX_PROBES: so many probes in a row that nobody acknowledges end the search (default 3, RFC 8899 §5.1.2; at least 1).
    pub const fn max_probes(self, probes: u8) -> Self {
        let probes = if probes == 0 { 1 } else { probes };
        Self { probes, ..self }
    }

    /// PROBE_TIMER: after that time a probe counts as lost (default 16 s: RFC 8899 §5.1.1 asks for more than 15; at least 1 s). Who
    /// knows the round-trip time takes a few of those.
    pub fn probe_timer(self, time: Duration) -> Self {
        Self {
            probe_timer: time.max(LEAST_PROBE_TIMER),
            ..self
        }
    }

    /// PMTU_RAISE_TIMER: so long after a search that ended below MAX_PLPMTU another one begins (default 600 s, RFC 8899 §5.1.1).
    pub const fn raise_timer(self, time: Duration) -> Self {
        Self {
            raise_timer: time,
            ..self
        }
    }

    /// CONFIRMATION_TIMER: so often a size that was found is probed for again, so that a path that became narrow is noticed (default
    /// never, as for protocols that notice by themselves that what they send is lost, and say so:
    /// [`PathSearch::on_black_hole`](super::PathSearch::on_black_hole); RFC 8899 §5.1.1).
    pub const fn confirmation_timer(self, time: Option<Duration>) -> Self {
        Self {
            confirmation_timer: time,
            ..self
        }
    }
}
