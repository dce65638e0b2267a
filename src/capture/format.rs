//! Numbers that the capture formats use, and the small types around them.
//!
//! draft-ietf-opsawg-pcapng §3.1 (blocks), §4 (block and option types), draft-ietf-opsawg-pcap §4
//! (magic numbers). *Owns* no code that reads or writes.

use core::fmt;

use crate::device::Medium;

/// What the frames of a capture start with: a LINKTYPE number of the tcpdump.org registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: an address family in the writer's byte order, then IP.
    pub const NULL: Self = Self(0);
    /// An Ethernet header.
    pub const ETHERNET: Self = Self(1);
    /// An IPv4 or IPv6 header, told apart by its version.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: an address family in network byte order, then IP.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" header, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// An IPv4 header.
    pub const IPV4: Self = Self(228);
    /// An IPv6 header.
    pub const IPV6: Self = Self(229);
    /// Linux "cooked" header, version 2.
    pub const LINUX_SLL2: Self = Self(276);

    /// The registry's name where this crate knows it.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NULL => "NULL",
            Self::ETHERNET => "ETHERNET",
            Self::RAW => "RAW",
            Self::LOOP => "LOOP",
            Self::LINUX_SLL => "LINUX_SLL",
            Self::IPV4 => "IPV4",
            Self::IPV6 => "IPV6",
            Self::LINUX_SLL2 => "LINUX_SLL2",
            _ => return None,
        })
    }
}

impl From<Medium> for LinkType {
    fn from(medium: Medium) -> Self {
        match medium {
            Medium::Ethernet => Self::ETHERNET,
            Medium::Ip => Self::RAW,
        }
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "link type {}", self.0),
        }
    }
}

/// Which way a frame went, seen from the one who captured it (pcapng §4.3, `epb_flags` bits 0–1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The stack received it.
    Inbound,
    /// The stack sent it.
    Outbound,
}

impl Direction {
    /// The value of `epb_flags` that says only this.
    pub(super) const fn to_flags(self) -> u32 {
        match self {
            Self::Inbound => 1,
            Self::Outbound => 2,
        }
    }

    /// What `epb_flags` say, if anything.
    pub(super) const fn from_flags(flags: u32) -> Option<Self> {
        match flags & 3 {
            1 => Some(Self::Inbound),
            2 => Some(Self::Outbound),
            _ => None,
        }
    }
}

/// Block types, pcapng §4.
pub(super) mod block {
    /// Section header; the same in both byte orders.
    pub(in crate::capture) const SECTION: u32 = 0x0A0D_0D0A;
    /// Interface description.
    pub(in crate::capture) const INTERFACE: u32 = 1;
    /// The obsolete packet block.
    pub(in crate::capture) const PACKET: u32 = 2;
    /// Simple packet: no interface number, no time.
    pub(in crate::capture) const SIMPLE: u32 = 3;
    /// Interface statistics.
    pub(in crate::capture) const STATISTICS: u32 = 5;
    /// Enhanced packet.
    pub(in crate::capture) const ENHANCED: u32 = 6;
    /// The byte-order magic as the writer's own order shows it.
    pub(in crate::capture) const ORDER: u32 = 0x1A2B_3C4D;
}

/// Option codes, pcapng §3.5 and §4.
pub(super) mod option {
    pub(in crate::capture) const END: u16 = 0;
    pub(in crate::capture) const COMMENT: u16 = 1;
    pub(in crate::capture) const SHB_USERAPPL: u16 = 4;
    pub(in crate::capture) const IF_NAME: u16 = 2;
    pub(in crate::capture) const IF_TSRESOL: u16 = 9;
    pub(in crate::capture) const IF_TSOFFSET: u16 = 14;
    pub(in crate::capture) const EPB_FLAGS: u16 = 2;
    pub(in crate::capture) const EPB_DROPCOUNT: u16 = 4;
    pub(in crate::capture) const ISB_STARTTIME: u16 = 2;
    pub(in crate::capture) const ISB_ENDTIME: u16 = 3;
    pub(in crate::capture) const ISB_IFRECV: u16 = 4;
    pub(in crate::capture) const ISB_OSDROP: u16 = 7;
}

/// Option values and packet data are padded to 32 bits (pcapng §3.5).
pub(super) const fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}
