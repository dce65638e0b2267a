//! Neighbour discovery messages.
//!
//! RFC 4861 §4 (forms), §6.1, §7.1, §8.1 (validity); RFC 4191 §2.2 (router preference). *Owns* the
//! messages and what can be said of them from one packet. *Does not* keep neighbours or routers.
//! Invariant: reading is total. Options are in `options.rs`, the names in them in `names.rs`.

mod names;
mod options;

pub use names::SearchDomains;
pub use options::{NdpOption, OptionIter, Options, Preference, PrefixInformation};

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::Header;
use super::solicited_node;

/// The hop limit of every NDP message: it came from this link (RFC 4861 §3.1).
pub const HOP_LIMIT: u8 = 255;

/// Message types, IANA "ICMPv6 'type' Numbers".
mod kind {
    pub(super) const ROUTER_SOLICITATION: u8 = 133;
    pub(super) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(super) const NEIGHBOR_SOLICITATION: u8 = 135;
    pub(super) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub(super) const REDIRECT: u8 = 137;
}

bitflags::bitflags! {
    /// The flags of a neighbor advertisement, RFC 4861 §4.4.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct NeighborFlags: u8 {
        /// The sender is a router.
        const ROUTER = 0x80;
        /// It answers a solicitation.
        const SOLICITED = 0x40;
        /// It replaces what is known.
        const OVERRIDE = 0x20;
    }
}

bitflags::bitflags! {
    /// The flags of a router advertisement, RFC 4861 §4.2 and RFC 4191 §2.2.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct RouterFlags: u8 {
        /// Addresses come by DHCPv6.
        const MANAGED = 0x80;
        /// Other configuration comes by DHCPv6.
        const OTHER = 0x40;
    }
}

impl RouterFlags {
    /// The default router preference, RFC 4191 §2.2.
    pub fn preference(self) -> Preference {
        Preference::from_bits(self.bits() >> 3)
    }
}

/// RFC 4861 §4.2 behind the checksum.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct WireRouter {
    hop_limit: u8,
    flags: u8,
    lifetime: U16,
    reachable_time: U32,
    retrans_timer: U32,
}

/// RFC 4861 §4.3, §4.4 behind the checksum.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct WireNeighbor {
    flags: u8,
    reserved: [u8; 3],
    target: [u8; 16],
}

/// RFC 4861 §4.5 behind the checksum.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct WireRedirect {
    reserved: [u8; 4],
    target: [u8; 16],
    destination: [u8; 16],
}

/// Why a message is to be discarded silently, RFC 4861 §6.1, §7.1, §8.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// The hop limit is not 255: it may have come from elsewhere.
    #[error("hop limit {found} is not 255")]
    HopLimit {
        /// The Hop Limit field.
        found: u8,
    },
    /// An option has the length 0 or ends beyond the message.
    #[error("an option has an impossible length")]
    OptionLength,
    /// A router advertisement or redirect whose source is not link-local.
    #[error("source {source_address} is not link-local")]
    Source {
        /// The sender.
        source_address: Ipv6Addr,
    },
    /// A solicitation from `::` that gives a link-layer address.
    #[error("a source link-layer address for ::")]
    LinkAddressOfNobody,
    /// A neighbor solicitation from `::` to another than the solicited-node address of its target.
    #[error("solicitation from :: to {destination}")]
    Destination {
        /// The receiver.
        destination: Ipv6Addr,
    },
    /// A target that cannot be one: multicast, or in a redirect neither link-local nor the
    /// destination.
    #[error("target {target}")]
    Target {
        /// The Target Address field.
        target: Ipv6Addr,
    },
    /// A solicited advertisement to a multicast address.
    #[error("solicited advertisement to a multicast address")]
    SolicitedMulticast,
    /// A redirect for a multicast destination.
    #[error("redirect of multicast {destination}")]
    RedirectOfMulticast {
        /// The Destination Address field.
        destination: Ipv6Addr,
    },
}

/// A neighbour discovery message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Type 133.
    RouterSolicitation {
        /// Source link-layer address.
        options: Options<'a>,
    },
    /// Type 134. A field of 0 is unspecified by this router (RFC 4861 §4.2).
    RouterAdvertisement {
        /// Cur Hop Limit.
        hop_limit: u8,
        /// M, O and the preference.
        flags: RouterFlags,
        /// For how many seconds it is a default router; 0: it is none.
        lifetime: u16,
        /// Reachable Time in milliseconds.
        reachable_time: u32,
        /// Retrans Timer in milliseconds.
        retrans_timer: u32,
        /// Source link-layer address, MTU, prefixes, and more.
        options: Options<'a>,
    },
    /// Type 135.
    NeighborSolicitation {
        /// Whose link-layer address is asked for.
        target: Ipv6Addr,
        /// Source link-layer address.
        options: Options<'a>,
    },
    /// Type 136.
    NeighborAdvertisement {
        /// R, S and O.
        flags: NeighborFlags,
        /// Whose link-layer address is told.
        target: Ipv6Addr,
        /// Target link-layer address.
        options: Options<'a>,
    },
    /// Type 137.
    Redirect {
        /// The better first hop, or the destination itself when it is on the link.
        target: Ipv6Addr,
        /// What was sent to the worse one.
        destination: Ipv6Addr,
        /// Target link-layer address, redirected header.
        options: Options<'a>,
    },
}

/// Bytes between the checksum and the options of a message of this type; `None`: it is not NDP's.
pub(super) fn fixed_len(kind: u8) -> Option<usize> {
    Some(match kind {
        kind::ROUTER_SOLICITATION => 4,
        kind::ROUTER_ADVERTISEMENT => size_of::<WireRouter>(),
        kind::NEIGHBOR_SOLICITATION | kind::NEIGHBOR_ADVERTISEMENT => size_of::<WireNeighbor>(),
        kind::REDIRECT => size_of::<WireRedirect>(),
        _ => return None,
    })
}

impl<'a> Message<'a> {
    /// Reads what lies behind the checksum; `None` when it is cut or `kind` is not NDP's.
    pub(super) fn parse_body(kind: u8, body: &'a [u8]) -> Option<Self> {
        let neighbor = || {
            let (wire, rest) = WireNeighbor::ref_from_prefix(body).ok()?;
            Some((wire, Ipv6Addr::from(wire.target), Options::new(rest)))
        };
        Some(match kind {
            kind::ROUTER_SOLICITATION => Self::RouterSolicitation {
                options: Options::new(body.get(4..)?),
            },
            kind::ROUTER_ADVERTISEMENT => {
                let (wire, rest) = WireRouter::ref_from_prefix(body).ok()?;
                Self::RouterAdvertisement {
                    hop_limit: wire.hop_limit,
                    flags: RouterFlags::from_bits_retain(wire.flags),
                    lifetime: wire.lifetime.get(),
                    reachable_time: wire.reachable_time.get(),
                    retrans_timer: wire.retrans_timer.get(),
                    options: Options::new(rest),
                }
            }
            kind::NEIGHBOR_SOLICITATION => {
                let (_, target, options) = neighbor()?;
                Self::NeighborSolicitation { target, options }
            }
            kind::NEIGHBOR_ADVERTISEMENT => {
                let (wire, target, options) = neighbor()?;
                let flags = NeighborFlags::from_bits_retain(wire.flags);
                Self::NeighborAdvertisement {
                    flags,
                    target,
                    options,
                }
            }
            kind::REDIRECT => {
                let (wire, rest) = WireRedirect::ref_from_prefix(body).ok()?;
                Self::Redirect {
                    target: wire.target.into(),
                    destination: wire.destination.into(),
                    options: Options::new(rest),
                }
            }
            _ => return None,
        })
    }

    /// Checks what RFC 4861 §6.1.1, §6.1.2, §7.1.1, §7.1.2 and §8.1 ask and one packet can show. A redirect must also
    /// come from the current first hop, which only the routes know.
    ///
    /// # Errors
    /// [`Invalid`]: the message is to be discarded silently.
    pub fn check(&self, header: &Header<'_>) -> Result<(), Invalid> {
        if header.hop_limit() != HOP_LIMIT {
            let found = header.hop_limit();
            return Err(Invalid::HopLimit { found });
        }
        if !self.options().is_well_formed() {
            return Err(Invalid::OptionLength);
        }
        let (source, to) = (header.src(), header.dst());
        let from_nobody = source.is_unspecified();
        let off_link = !source.is_unicast_link_local();
        match *self {
            Self::RouterSolicitation { options } | Self::NeighborSolicitation { options, .. }
                if from_nobody && options.source_link_address().is_some() =>
            {
                Err(Invalid::LinkAddressOfNobody)
            }
            Self::RouterSolicitation { .. } => Ok(()),
            Self::RouterAdvertisement { .. } | Self::Redirect { .. } if off_link => {
                let source_address = source;
                Err(Invalid::Source { source_address })
            }
            Self::RouterAdvertisement { .. } => Ok(()),
            Self::NeighborSolicitation { target, .. }
            | Self::NeighborAdvertisement { target, .. }
                if target.is_multicast() =>
            {
                Err(Invalid::Target { target })
            }
            Self::NeighborSolicitation { target, .. } => {
                if from_nobody && to != solicited_node(target) {
                    Err(Invalid::Destination { destination: to })
                } else {
                    Ok(())
                }
            }
            Self::NeighborAdvertisement { flags, .. } => {
                if to.is_multicast() && flags.contains(NeighborFlags::SOLICITED) {
                    Err(Invalid::SolicitedMulticast)
                } else {
                    Ok(())
                }
            }
            Self::Redirect {
                target,
                destination,
                ..
            } => {
                if destination.is_multicast() {
                    Err(Invalid::RedirectOfMulticast { destination })
                } else if target != destination && !target.is_unicast_link_local() {
                    Err(Invalid::Target { target })
                } else {
                    Ok(())
                }
            }
        }
    }

    /// The options.
    pub fn options(&self) -> Options<'a> {
        match *self {
            Self::RouterSolicitation { options }
            | Self::RouterAdvertisement { options, .. }
            | Self::NeighborSolicitation { options, .. }
            | Self::NeighborAdvertisement { options, .. }
            | Self::Redirect { options, .. } => options,
        }
    }

    /// The ICMPv6 type.
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::RouterSolicitation { .. } => kind::ROUTER_SOLICITATION,
            Self::RouterAdvertisement { .. } => kind::ROUTER_ADVERTISEMENT,
            Self::NeighborSolicitation { .. } => kind::NEIGHBOR_SOLICITATION,
            Self::NeighborAdvertisement { .. } => kind::NEIGHBOR_ADVERTISEMENT,
            Self::Redirect { .. } => kind::REDIRECT,
        }
    }

    /// Bytes between the checksum and the options.
    pub(super) fn fixed_len(&self) -> usize {
        fixed_len(self.kind()).unwrap_or(0)
    }

    /// Writes what lies between the checksum and the options; `buf` has exactly that length.
    pub(super) fn emit_fixed(&self, buf: &mut [u8]) {
        let neighbor = |flags, target: Ipv6Addr| WireNeighbor {
            flags,
            reserved: [0; 3],
            target: target.octets(),
        };
        match *self {
            Self::RouterSolicitation { .. } => buf.fill(0),
            Self::RouterAdvertisement {
                hop_limit,
                flags,
                lifetime,
                reachable_time,
                retrans_timer,
                ..
            } => {
                let wire = WireRouter {
                    hop_limit,
                    flags: flags.bits(),
                    lifetime: lifetime.into(),
                    reachable_time: reachable_time.into(),
                    retrans_timer: retrans_timer.into(),
                };
                buf.copy_from_slice(wire.as_bytes());
            }
            Self::NeighborSolicitation { target, .. } => {
                buf.copy_from_slice(neighbor(0, target).as_bytes());
            }
            Self::NeighborAdvertisement { flags, target, .. } => {
                buf.copy_from_slice(neighbor(flags.bits(), target).as_bytes());
            }
            Self::Redirect {
                target,
                destination,
                ..
            } => {
                let wire = WireRedirect {
                    reserved: [0; 4],
                    target: target.octets(),
                    destination: destination.octets(),
                };
                buf.copy_from_slice(wire.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
