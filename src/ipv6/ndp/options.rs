//! The options of neighbour discovery messages.
//!
//! RFC 4861 §4.6, §9 (in any order); RFC 3971 §5.3.2 (nonce); RFC 4191 §2.3 (route information); RFC 8106 §5 (DNS).
//! Invariant: reading is total and ends at the first length that cannot be.

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::base::MacAddr;

/// Option types, IANA "IPv6 Neighbor Discovery Option Formats".
mod kind {
    pub(super) const SOURCE_LINK_ADDRESS: u8 = 1;
    pub(super) const TARGET_LINK_ADDRESS: u8 = 2;
    pub(super) const PREFIX_INFORMATION: u8 = 3;
    pub(super) const REDIRECTED_HEADER: u8 = 4;
    pub(super) const MTU: u8 = 5;
    pub(super) const NONCE: u8 = 14;
    pub(super) const ROUTE_INFORMATION: u8 = 24;
    pub(super) const RECURSIVE_DNS: u8 = 25;
    pub(super) const DNS_SEARCH_LIST: u8 = 31;
}

/// The L flag of a prefix information option.
const ON_LINK: u8 = 0x80;
/// The A flag of a prefix information option.
const AUTONOMOUS: u8 = 0x40;
/// Bytes of an Ethernet link-layer address option (RFC 2464 §6).
const LINK_ADDRESS_LEN: usize = 8;

/// The preference of a router or route, RFC 4191 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preference {
    /// 01.
    High,
    /// 00.
    Medium,
    /// 11.
    Low,
    /// 10: a router's is taken as medium, a route with it is ignored.
    Reserved,
}

impl Preference {
    /// The value whose two bits are the low ones.
    pub(super) const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Medium,
            1 => Self::High,
            2 => Self::Reserved,
            _ => Self::Low,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Medium => 0,
            Self::High => 1,
            Self::Reserved => 2,
            Self::Low => 3,
        }
    }
}

/// A prefix that a router tells of, RFC 4861 §4.6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrefixInformation {
    /// Leading bits of the prefix that count; above 128 the option means nothing.
    pub prefix_len: u8,
    /// L: the prefix is on this link. Unset, nothing is said about that.
    pub on_link: bool,
    /// A: addresses may be made from it (RFC 4862 §5.5.3).
    pub autonomous: bool,
    /// For how many seconds it is on the link; all ones: for ever.
    pub valid_lifetime: u32,
    /// For how many seconds addresses made from it are preferred; all ones: for ever.
    pub preferred_lifetime: u32,
    /// The prefix.
    pub prefix: Ipv6Addr,
}

/// RFC 4861 §4.6.2 behind type and length.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct WirePrefix {
    prefix_len: u8,
    flags: u8,
    valid_lifetime: U32,
    preferred_lifetime: U32,
    reserved: [u8; 4],
    prefix: [u8; 16],
}

/// One option of a neighbour discovery message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NdpOption<'a> {
    /// Type 1 with an Ethernet address.
    SourceLinkAddress(MacAddr),
    /// Type 2 with an Ethernet address.
    TargetLinkAddress(MacAddr),
    /// Type 3.
    PrefixInformation(PrefixInformation),
    /// Type 4: the packet that is redirected, from its IPv6 header on, cut, maybe padded.
    RedirectedHeader(&'a [u8]),
    /// Type 5.
    Mtu(u32),
    /// Type 14.
    Nonce(&'a [u8]),
    /// Type 24, RFC 4191 §2.3.
    RouteInformation {
        /// Leading bits of the prefix that count.
        prefix_len: u8,
        /// How much the router is preferred for it.
        preference: Preference,
        /// For how many seconds; all ones: for ever.
        lifetime: u32,
        /// The prefix; its bytes that were not sent are zero.
        prefix: Ipv6Addr,
    },
    /// Type 25, RFC 8106 §5.1.
    RecursiveDns {
        /// For how many seconds; 0: no longer.
        lifetime: u32,
        /// The servers' addresses.
        servers: &'a [[u8; 16]],
    },
    /// Type 31, RFC 8106 §5.2.
    DnsSearchList {
        /// For how many seconds; 0: no longer.
        lifetime: u32,
        /// Names in the form of RFC 1035 §3.1, padded with zeros.
        domains: &'a [u8],
    },
    /// Any other type, or a known one with a form that it cannot have.
    Unknown {
        /// The Type field.
        kind: u8,
        /// What follows the Length field.
        data: &'a [u8],
    },
}

impl<'a> NdpOption<'a> {
    fn new(kind: u8, data: &'a [u8]) -> Self {
        Self::known(kind, data).unwrap_or(Self::Unknown { kind, data })
    }

    fn known(kind: u8, data: &'a [u8]) -> Option<Self> {
        let number = |at: usize| {
            let bytes = data.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        let mac = || Some(MacAddr::new(data.try_into().ok()?));
        Some(match kind {
            kind::SOURCE_LINK_ADDRESS => Self::SourceLinkAddress(mac()?),
            kind::TARGET_LINK_ADDRESS => Self::TargetLinkAddress(mac()?),
            kind::PREFIX_INFORMATION => {
                let wire = WirePrefix::ref_from_bytes(data).ok()?;
                Self::PrefixInformation(PrefixInformation {
                    prefix_len: wire.prefix_len,
                    on_link: wire.flags & ON_LINK != 0,
                    autonomous: wire.flags & AUTONOMOUS != 0,
                    valid_lifetime: wire.valid_lifetime.get(),
                    preferred_lifetime: wire.preferred_lifetime.get(),
                    prefix: wire.prefix.into(),
                })
            }
            kind::REDIRECTED_HEADER => Self::RedirectedHeader(data.get(6..)?),
            kind::MTU if data.len() == 6 => Self::Mtu(number(2)?),
            kind::NONCE => Self::Nonce(data),
            kind::ROUTE_INFORMATION => return Self::route(data),
            kind::RECURSIVE_DNS => {
                let (servers, rest) = data.get(6..)?.as_chunks::<16>();
                if servers.is_empty() || !rest.is_empty() {
                    return None;
                }
                let lifetime = number(2)?;
                Self::RecursiveDns { lifetime, servers }
            }
            kind::DNS_SEARCH_LIST if data.len() >= 14 => Self::DnsSearchList {
                lifetime: number(2)?,
                domains: &data[6..],
            },
            _ => return None,
        })
    }

    /// RFC 4191 §2.3: 0, 8 or 16 bytes of prefix, as many as its length needs.
    fn route(data: &'a [u8]) -> Option<Self> {
        let (&[prefix_len, flags, a, b, c, d], sent) = data.split_first_chunk::<6>()?;
        let needed = match prefix_len {
            0 => 0,
            1..=64 => 8,
            65..=128 => 16,
            _ => return None,
        };
        let mut prefix = [0; 16];
        if sent.len() < needed {
            return None;
        }
        prefix.get_mut(..sent.len())?.copy_from_slice(sent);
        Some(Self::RouteInformation {
            prefix_len,
            preference: Preference::from_bits(flags >> 3),
            lifetime: u32::from_be_bytes([a, b, c, d]),
            prefix: prefix.into(),
        })
    }

    /// Appends the option, zero-padded to 8 bytes. One above 2040 bytes is cut there, the most that
    /// its Length can tell.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[self.kind(), 0]);
        match *self {
            Self::SourceLinkAddress(mac) | Self::TargetLinkAddress(mac) => {
                out.extend_from_slice(&mac.octets());
            }
            Self::PrefixInformation(info) => out.extend_from_slice(info.to_wire().as_bytes()),
            Self::RedirectedHeader(packet) => {
                out.extend_from_slice(&[0; 6]);
                out.extend_from_slice(packet);
            }
            Self::Mtu(mtu) => {
                out.extend_from_slice(&[0; 2]);
                out.extend_from_slice(&mtu.to_be_bytes());
            }
            Self::RouteInformation {
                prefix_len,
                preference,
                lifetime,
                prefix,
            } => {
                out.extend_from_slice(&[prefix_len, preference.bits() << 3]);
                out.extend_from_slice(&lifetime.to_be_bytes());
                out.extend_from_slice(&prefix.octets());
            }
            Self::RecursiveDns { lifetime, servers } => {
                out.extend_from_slice(&[0; 2]);
                out.extend_from_slice(&lifetime.to_be_bytes());
                out.extend_from_slice(servers.as_flattened());
            }
            Self::DnsSearchList { lifetime, domains } => {
                out.extend_from_slice(&[0; 2]);
                out.extend_from_slice(&lifetime.to_be_bytes());
                out.extend_from_slice(domains);
            }
            Self::Nonce(data) | Self::Unknown { data, .. } => out.extend_from_slice(data),
        }
        let len = (out.len() - start).next_multiple_of(8).min(255 * 8);
        out.resize(start + len, 0);
        out[start + 1] = u8::try_from(len / 8).unwrap_or(u8::MAX);
    }

    fn kind(&self) -> u8 {
        match *self {
            Self::SourceLinkAddress(_) => kind::SOURCE_LINK_ADDRESS,
            Self::TargetLinkAddress(_) => kind::TARGET_LINK_ADDRESS,
            Self::PrefixInformation(_) => kind::PREFIX_INFORMATION,
            Self::RedirectedHeader(_) => kind::REDIRECTED_HEADER,
            Self::Mtu(_) => kind::MTU,
            Self::Nonce(_) => kind::NONCE,
            Self::RouteInformation { .. } => kind::ROUTE_INFORMATION,
            Self::RecursiveDns { .. } => kind::RECURSIVE_DNS,
            Self::DnsSearchList { .. } => kind::DNS_SEARCH_LIST,
            Self::Unknown { kind, .. } => kind,
        }
    }
}

impl PrefixInformation {
    fn to_wire(self) -> WirePrefix {
        let flag = |set, bit| if set { bit } else { 0 };
        WirePrefix {
            prefix_len: self.prefix_len,
            flags: flag(self.on_link, ON_LINK) | flag(self.autonomous, AUTONOMOUS),
            valid_lifetime: self.valid_lifetime.into(),
            preferred_lifetime: self.preferred_lifetime.into(),
            reserved: [0; 4],
            prefix: self.prefix.octets(),
        }
    }
}

/// The options of one message, as they lie in it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// No options.
    pub const NONE: Self = Self(&[]);

    /// The options in these bytes, as [`NdpOption::emit`] or
    /// [`source_link_address_bytes`](Self::source_link_address_bytes) made them.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes of a source link-layer address option, which is the only one in most messages.
    pub const fn source_link_address_bytes(mac: MacAddr) -> [u8; LINK_ADDRESS_LEN] {
        Self::link_address(kind::SOURCE_LINK_ADDRESS, mac)
    }

    /// The bytes of a target link-layer address option.
    pub const fn target_link_address_bytes(mac: MacAddr) -> [u8; LINK_ADDRESS_LEN] {
        Self::link_address(kind::TARGET_LINK_ADDRESS, mac)
    }

    /// The bytes of a nonce option (RFC 3971 §5.3.2).
    pub(crate) const fn nonce_bytes(nonce: [u8; 6]) -> [u8; LINK_ADDRESS_LEN] {
        let [a, b, c, d, e, f] = nonce;
        [kind::NONCE, 1, a, b, c, d, e, f]
    }

    const fn link_address(kind: u8, mac: MacAddr) -> [u8; LINK_ADDRESS_LEN] {
        let [a, b, c, d, e, f] = mac.octets();
        [kind, 1, a, b, c, d, e, f]
    }

    /// The bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The options, one by one.
    pub const fn iter(self) -> OptionIter<'a> {
        OptionIter {
            rest: self.0,
            malformed: false,
        }
    }

    /// Has every option a length above 0 that ends within the message (RFC 4861 §6.1, §7.1, §8.1)?
    pub fn is_well_formed(self) -> bool {
        let mut options = self.iter();
        options.by_ref().for_each(drop);
        !options.malformed()
    }

    /// The first source link-layer address.
    pub fn source_link_address(self) -> Option<MacAddr> {
        self.iter().find_map(|option| match option {
            NdpOption::SourceLinkAddress(mac) => Some(mac),
            _ => None,
        })
    }

    /// The first six bytes of the first nonce: all of ours.
    pub(crate) fn nonce(self) -> Option<[u8; 6]> {
        self.iter().find_map(|option| match option {
            NdpOption::Nonce(nonce) => nonce.first_chunk().copied(),
            _ => None,
        })
    }

    /// The first target link-layer address.
    pub fn target_link_address(self) -> Option<MacAddr> {
        self.iter().find_map(|option| match option {
            NdpOption::TargetLinkAddress(mac) => Some(mac),
            _ => None,
        })
    }
}

impl<'a> IntoIterator for Options<'a> {
    type Item = NdpOption<'a>;
    type IntoIter = OptionIter<'a>;

    fn into_iter(self) -> OptionIter<'a> {
        self.iter()
    }
}

impl core::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Goes through the options of one message.
#[derive(Clone, Debug)]
pub struct OptionIter<'a> {
    rest: &'a [u8],
    malformed: bool,
}

impl OptionIter<'_> {
    /// Did the iteration end at a length that cannot be (0, or beyond the message)?
    pub fn malformed(&self) -> bool {
        self.malformed
    }
}

impl<'a> Iterator for OptionIter<'a> {
    type Item = NdpOption<'a>;

    fn next(&mut self) -> Option<NdpOption<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = self.rest;
        let option = whole.get(1).and_then(|&units| {
            let (option, rest) = whole.split_at_checked(usize::from(units) * 8)?;
            let (&[kind, _], data) = option.split_first_chunk::<2>()?;
            Some((NdpOption::new(kind, data), rest))
        });
        self.malformed = option.is_none();
        let (option, rest) = option.unzip();
        self.rest = rest.unwrap_or_default();
        option
    }
}
