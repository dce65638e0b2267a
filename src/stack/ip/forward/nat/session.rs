//! One session: how far a connection has come, and how long nothing may be heard of it.
//!
//! RFC 4787 REQ-5, REQ-6; RFC 5382 REQ-5; RFC 5508 REQ-2; RFC 7857 §2 (the states of a connection). *Owns* the states and times.
//! *Does not* hold sessions: `table` does.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use super::table::{Kind, Said};
use crate::base::Instant;

/// How long a session lives without a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// A connection that is not established, or not any more: *fixed*, 4 minutes (RFC 5382 REQ-5).
    Brief,
    /// ICMP queries: *fixed*, 60 seconds (RFC 5508 REQ-2).
    Query,
    /// *Fixed*, 5 minutes (RFC 4787 REQ-5).
    Udp,
    /// *Fixed*, 2 hours and 4 minutes (RFC 5382 REQ-5): a host that asks whether its peer lives does so after two.
    Established,
}

impl Phase {
    pub(super) const ALL: [Self; 4] = [Self::Brief, Self::Query, Self::Udp, Self::Established];
    /// Those that give way.
    pub(super) const GIVING: [Self; 3] = [Self::Brief, Self::Query, Self::Udp];

    /// That of a session which begins.
    pub(super) const fn first(kind: Kind) -> Self {
        match kind {
            Kind::Tcp => Self::Brief,
            Kind::Udp => Self::Udp,
            Kind::Query => Self::Query,
        }
    }

    /// When one of this phase that ends at `until` would end, were all remembered as long: who is silent longer does sooner.
    pub(super) fn ends_with_all(self, until: Instant) -> Instant {
        until + (Self::Established.life() - self.life())
    }

    const fn life(self) -> Duration {
        Duration::from_secs(match self {
            Self::Brief => 240,
            Self::Query => 60,
            Self::Udp => 300,
            Self::Established => 7440,
        })
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
    ) -> Self {
        let phase = Phase::first(said.kind);
        let until = now + phase.life();
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
        session.on_packet(now, Way::Out, said.flags);
        session
    }

    pub(super) fn on_packet(&mut self, now: Instant, way: Way, flags: u8) {
        if self.tcp {
            self.on_segment(now, way, flags);
        } else if way == Way::Out {
            // RFC 4787 REQ-6: what leaves refreshes; what comes need not.
            self.until = now + self.phase.life();
        }
    }

    fn on_segment(&mut self, now: Instant, way: Way, flags: u8) {
        let begins = flags & (SYN | RST | FIN) == SYN;
        if way == Way::Out && begins && self.phase == Phase::Brief {
            // The next connection of the same ends, whoever began, or the same SYN again.
            (self.heard, self.closed) = (0, 0);
            self.asked = opens(flags);
        }
        if resets(flags) {
            // RFC 7857 §2: it may be forged. Who goes on makes an established one of it again.
            self.rest(now);
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
            self.rest(now);
        } else if self.heard == BOTH {
            self.phase = Phase::Established;
            self.until = now + self.phase.life();
        } else if way == Way::Out {
            self.until = now + self.phase.life();
        }
    }

    /// It is over: the time runs from the packet that said so.
    fn rest(&mut self, now: Instant) {
        if self.phase != Phase::Brief {
            self.phase = Phase::Brief;
            self.until = now + self.phase.life();
        }
    }
}
