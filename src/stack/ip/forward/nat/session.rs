//! One session: how far a connection has come, and how long nothing may be heard of it.
//!
//! RFC 4787 REQ-5, REQ-6; RFC 5382 REQ-5; RFC 5508 REQ-2; RFC 7857 §2 (the states of a connection, and that each has its time). *Owns* the states and times.
//! *Does not* hold sessions: `table` does.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use super::table::{Kind, Said};
use crate::base::Instant;

/// What a session's life without a packet depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// A connection that is not established yet.
    Opening,
    /// One that is so no more.
    Closing,
    /// ICMP queries.
    Query,
    Udp,
    Established,
}

impl Phase {
    pub(super) const ALL: [Self; 5] = [
        Self::Opening,
        Self::Closing,
        Self::Query,
        Self::Udp,
        Self::Established,
    ];
    /// Those that give way.
    pub(super) const GIVING: [Self; 4] = [Self::Opening, Self::Closing, Self::Query, Self::Udp];

    /// Those of a kind that give way, that of a session which begins first.
    pub(super) const fn giving(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Tcp => &[Self::Opening, Self::Closing],
            Kind::Udp => &[Self::Udp],
            Kind::Query => &[Self::Query],
        }
    }

    const fn first(kind: Kind) -> Self {
        match kind {
            Kind::Tcp => Self::Opening,
            Kind::Udp => Self::Udp,
            Kind::Query => Self::Query,
        }
    }

    /// When one of this phase that ends at `until` would end, were all remembered as long: who is silent longer does sooner.
    pub(super) fn ends_with_all(self, until: Instant, lives: &Lives) -> Instant {
        let longest = Self::ALL.map(|phase| lives.of(phase)).into_iter().max();
        until + longest.unwrap_or_default().saturating_sub(lives.of(self))
    }
}

/// How long a session of each phase lives without a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lives {
    pub(crate) opening: Duration,
    pub(crate) closing: Duration,
    pub(crate) query: Duration,
    pub(crate) udp: Duration,
    pub(crate) established: Duration,
}

impl Lives {
    /// The least that each may be (RFC 5382 REQ-5, RFC 5508 REQ-2, RFC 4787 REQ-5).
    pub(super) const LEAST: Self = Self {
        opening: Duration::from_secs(240),
        closing: Duration::from_secs(240),
        query: Duration::from_secs(60),
        udp: Duration::from_secs(120),
        established: Duration::from_secs(7440),
    };
    /// *Fixed*: nobody is silent for longer and comes back.
    const MOST: Duration = Duration::from_secs(30 * 86_400);

    /// The least, but of UDP the five minutes that are recommended (RFC 4787 REQ-5 (c)).
    pub(super) const DEFAULT: Self = Self {
        udp: Duration::from_secs(300),
        ..Self::LEAST
    };

    const fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Opening => self.opening,
            Phase::Closing => self.closing,
            Phase::Query => self.query,
            Phase::Udp => self.udp,
            Phase::Established => self.established,
        }
    }

    /// A time within bounds.
    pub(super) fn within(time: Duration, least: Duration) -> Duration {
        time.clamp(least, Self::MOST)
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Out,
    In,
}

impl Way {
    const fn bit(self) -> u8 {
        match self {
            Self::Out => 1,
            Self::In => 2,
        }
    }
}

const BOTH: u8 = 3;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Is it a SYN that opens a connection?
pub(super) const fn opens(flags: u8) -> bool {
    flags & (SYN | ACK | RST | FIN) == SYN
}

/// Does it end a connection at once?
pub(super) const fn resets(flags: u8) -> bool {
    flags & RST != 0
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) mapping: u32,
    pub(super) host: Ipv4Addr,
    pub(super) remote: SocketAddrV4,
    pub(super) phase: Phase,
    pub(super) until: Instant,
    /// Its place in the order.
    pub(super) queued: (Phase, Instant),
    tcp: bool,
    /// Who has sent, and whose FIN there was.
    heard: u8,
    closed: u8,
    /// A SYN left: a SYN has to come before anything else counts.
    asked: bool,
}

impl Session {
    /// One whose first packet leaves.
    pub(super) fn new(
        now: Instant,
        mapping: u32,
        host: Ipv4Addr,
        remote: SocketAddrV4,
        said: &Said,
        lives: &Lives,
    ) -> Self {
        let phase = Phase::first(said.kind);
        let until = now + lives.of(phase);
        let mut session = Self {
            mapping,
            host,
            remote,
            phase,
            until,
            queued: (phase, until),
            tcp: said.kind == Kind::Tcp,
            heard: 0,
            closed: 0,
            asked: false,
        };
        session.on_packet(now, Way::Out, said.flags, lives);
        session
    }

    pub(super) fn on_packet(&mut self, now: Instant, way: Way, flags: u8, lives: &Lives) {
        if self.tcp {
            self.on_segment(now, way, flags, lives);
        } else if way == Way::Out {
            // RFC 4787 REQ-6: what leaves refreshes; what comes need not.
            self.until = now + lives.of(self.phase);
        }
    }

    fn on_segment(&mut self, now: Instant, way: Way, flags: u8, lives: &Lives) {
        let begins = flags & (SYN | RST | FIN) == SYN;
        if way == Way::Out && begins && self.phase != Phase::Established {
            // The next connection of the same ends, whoever began, or the same SYN again.
            (self.heard, self.closed) = (0, 0);
            self.phase = Phase::Opening;
            self.asked = opens(flags);
        }
        if resets(flags) {
            // RFC 7857 §2: it may be forged. Who goes on makes an established one of it again.
            self.rest(now, lives);
            return;
        }
        // RFC 7857 §2: a SYN of the server's makes it established, not what anybody says in its name.
        if way == Way::Out || begins || !self.asked {
            self.heard |= way.bit();
        }
        if flags & FIN != 0 {
            self.closed |= way.bit();
        }
        if self.closed == BOTH {
            self.rest(now, lives);
        } else if self.heard == BOTH {
            self.phase = Phase::Established;
            self.until = now + lives.of(self.phase);
        } else if way == Way::Out {
            self.until = now + lives.of(self.phase);
        }
    }

    /// It is over: the time runs from the packet that said so.
    fn rest(&mut self, now: Instant, lives: &Lives) {
        if self.phase == Phase::Established {
            self.phase = Phase::Closing;
            self.until = now + lives.of(self.phase);
        }
    }
}
