//! What an address is added with, and what a link refuses.
//!
//! *Owns* the settings and the error. *Does not* apply them.

use core::time::Duration;
use std::io;

use super::{NewAddress, Origin};
use crate::base::{Cidr, Instant};
use crate::stack::ids::InterfaceId;

/// How an address is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressOptions {
    pub(crate) probe: Option<bool>,
    pub(crate) preferred: Option<Duration>,
    pub(crate) valid: Option<Duration>,
    pub(crate) off_link: bool,
    pub(crate) anycast: bool,
}

impl AddressOptions {
    /// As one of the interface's configuration: for ever, with its network on the link.
    pub fn new() -> Self {
        Self::default()
    }

    /// Is it probed for before it is used (default: as the interface is set)? RFC 4862 §5.4, RFC 5227 §2.1.
    #[must_use]
    pub const fn probe(self, probed: bool) -> Self {
        Self {
            probe: Some(probed),
            ..self
        }
    }

    /// How long it is preferred as a source (RFC 4862 §5.5.4; default: as long as it is valid).
    #[must_use]
    pub const fn preferred(self, time: Duration) -> Self {
        Self {
            preferred: Some(time),
            ..self
        }
    }

    /// How long it is ours (default: until it is taken away).
    #[must_use]
    pub const fn valid(self, time: Duration) -> Self {
        Self {
            valid: Some(time),
            ..self
        }
    }

    /// Is its network on the link (default yes)? Else routes say what is (RFC 5942 §4).
    #[must_use]
    pub const fn on_link(self, on_link: bool) -> Self {
        Self {
            off_link: !on_link,
            ..self
        }
    }

    /// Is it an anycast address of IPv6, which other stations have as well (RFC 4291 §2.6; default no)? It is not probed for, nobody's claim
    /// to it is a conflict, no packet has it as its source unless its socket is bound to it, and who asks for it is answered within a
    /// second, and left with the answer that was first (RFC 4861 §7.2.7).
    #[must_use]
    pub const fn anycast(self, anycast: bool) -> Self {
        Self { anycast, ..self }
    }

    pub(super) fn address(self, now: Instant, cidr: Cidr, acd_probes: u8) -> NewAddress {
        let end = |time: Option<Duration>| time.map_or(Instant::FAR_FUTURE, |time| now + time);
        let probes = self.probe.map(|probed| match (probed, cidr.address()) {
            (false, _) => 0,
            (true, core::net::IpAddr::V4(_)) => acd_probes,
            (true, core::net::IpAddr::V6(_)) => 1,
        });
        NewAddress {
            cidr,
            origin: Origin::Given,
            probes,
            hasty: false,
            delay: Duration::ZERO,
            preferred_until: end(self.preferred),
            valid_until: end(self.valid),
            on_link: !self.off_link,
            anycast: self.anycast,
        }
    }
}

/// Why a link cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No such interface.
    #[error("the stack has no {0:?}")]
    Interface(InterfaceId),
    /// Less than a packet needs (RFC 791 §3.2, RFC 8200 §5), or more than the device carries.
    #[error("mtu {mtu} is not within {least} to {most}")]
    Mtu {
        /// The MTU given, in bytes.
        mtu: usize,
        /// The least, in bytes.
        least: usize,
        /// The device's, in bytes.
        most: usize,
    },
}

impl From<LinkError> for io::Error {
    fn from(error: LinkError) -> Self {
        let kind = match error {
            LinkError::Interface(_) => io::ErrorKind::NotFound,
            LinkError::Mtu { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}
