//! How an interface translates the addresses of what leaves by it.
//!
//! RFC 4787, RFC 5382, RFC 5508. *Owns* the settings, and that only what can work passes. *Does not* apply them.

use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::BTreeSet;

use super::session::Lives;
use crate::base::Protocol;
use crate::stack::interface::ConfigError;

/// IPv4 sessions of all inside hosts: Linux's `nf_conntrack_max` of a machine with a gigabyte.
const SESSIONS: usize = 65_536;
/// One inside host has at most this share of them.
const HOSTS: usize = 4;

/// How the IPv4 packets of other hosts that leave by an interface get its address, and a port of it
/// ([`InterfaceConfig::nat`](crate::stack::InterfaceConfig::nat)).
///
/// Mappings are endpoint-independent (RFC 4787 REQ-1, RFC 5382 REQ-1): all that leaves from one port of one inside host has one port outside,
/// as long as anything leaves from there. What is not TCP, UDP, an echo or timestamp request or an error about one of these does not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NatOptions {
    pub(crate) filter: NatFilter,
    pub(crate) sessions: usize,
    pub(crate) per_host: Option<usize>,
    pub(crate) forwards: Vec<StaticForward>,
    pub(crate) lives: Lives,
}

/// Who may send to a port that an inside host has outside (RFC 4787 §5, RFC 5382 §4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NatFilter {
    /// Those addresses to which it has sent from there (RFC 4787 §5: where stringent filtering is most important).
    #[default]
    Address,
    /// Anybody (RFC 4787 REQ-8: where application transparency is most important).
    Open,
}

/// A port outside that leads to an inside host for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StaticForward {
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) inside: SocketAddrV4,
}

impl Default for NatOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl NatOptions {
    /// The defaults, nothing forwarded.
    pub const fn new() -> Self {
        Self {
            filter: NatFilter::Address,
            sessions: SESSIONS,
            per_host: None,
            forwards: Vec::new(),
            lives: Lives::DEFAULT,
        }
    }

    /// Who may send to a port that is mapped (default [`NatFilter::Address`]).
    #[must_use]
    pub fn filter(self, filter: NatFilter) -> Self {
        Self { filter, ..self }
    }

    /// The most sessions that are remembered (default 65,536): pairs of an inside port and a remote end for TCP, a remote address for UDP and
    /// ICMP. The one that is longest silent gives way, if it is no established connection; so it does where no port is free. Where all are
    /// established connections, one of the inside host that has most of these does.
    #[must_use]
    pub fn sessions(self, most: usize) -> Self {
        Self {
            sessions: most.max(1),
            ..self
        }
    }

    /// The most that one inside host has of them (default: a quarter).
    #[must_use]
    pub fn per_host(self, most: usize) -> Self {
        Self {
            per_host: Some(most.max(1)),
            ..self
        }
    }

    /// What comes for this port of the outside address goes to `inside`, from anybody, and what leaves from there has this port. Of
    /// [`Protocol::TCP`] or [`Protocol::UDP`]. Inside hosts reach it by the outside address as well.
    #[must_use]
    pub fn forward(mut self, protocol: Protocol, port: u16, inside: SocketAddrV4) -> Self {
        self.forwards.push(StaticForward {
            protocol,
            port,
            inside,
        });
        self
    }

    /// How long a UDP session lives after the last datagram that left (default 5 minutes, at least 2: RFC 4787 REQ-5).
    #[must_use]
    pub fn udp_idle(mut self, time: Duration) -> Self {
        self.lives.udp = Lives::within(time, Lives::LEAST.udp);
        self
    }

    /// How long a connection that is not established yet lives after its last segment that left (default and least 4 minutes: RFC 5382
    /// REQ-5, RFC 7857 §2.1).
    #[must_use]
    pub fn opening_idle(mut self, time: Duration) -> Self {
        self.lives.opening = Lives::within(time, Lives::LEAST.opening);
        self
    }

    /// How long one lives that both ends have closed, or that was reset (default and least 4 minutes: RFC 5382 REQ-5, RFC 7857 §2.1).
    #[must_use]
    pub fn closing_idle(mut self, time: Duration) -> Self {
        self.lives.closing = Lives::within(time, Lives::LEAST.closing);
        self
    }

    /// How long an established one lives after its last segment (default and least 2 hours and 4 minutes: RFC 5382 REQ-5; a host that
    /// asks whether its peer lives does so after two).
    #[must_use]
    pub fn established_idle(mut self, time: Duration) -> Self {
        self.lives.established = Lives::within(time, Lives::LEAST.established);
        self
    }

    /// How long an ICMP query's lives after the last that left (default and least 60 seconds: RFC 5508 REQ-2).
    #[must_use]
    pub fn query_idle(mut self, time: Duration) -> Self {
        self.lives.query = Lives::within(time, Lives::LEAST.query);
        self
    }

    pub(super) fn share(&self) -> usize {
        self.per_host
            .unwrap_or_else(|| (self.sessions / HOSTS).max(1))
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let (mut ports, mut ends) = (BTreeSet::new(), BTreeSet::new());
        for &StaticForward {
            protocol,
            port,
            inside,
        } in &self.forwards
        {
            let speaks = matches!(protocol, Protocol::TCP | Protocol::UDP);
            let ip = inside.ip();
            // 0.0.0.0/8, 127.0.0.0/8, groups and what is reserved are no host's (RFC 6890 §2.2.2).
            let one = !matches!(ip.octets()[0], 0 | 127 | 224..) && !ip.is_link_local();
            let there = port != 0 && inside.port() != 0 && one;
            let once = ports.insert((protocol.0, port)) && ends.insert((protocol.0, inside));
            if !speaks || !there || !once {
                return Err(ConfigError::NatForward { port, inside });
            }
        }
        Ok(())
    }
}
