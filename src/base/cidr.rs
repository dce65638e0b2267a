//! An address with its prefix length, as in `10.7.0.2/24`.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An IP address and the length of its network's prefix.
///
/// The host bits are kept: `10.7.0.2/24` names a host *and* its network.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text or a pair is not a [`Cidr`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// The prefix is longer than the address.
    #[error("prefix length {prefix} is above {max}")]
    Prefix {
        /// The length given, in bits.
        prefix: u8,
        /// The longest for this family: 32 or 128.
        max: u8,
    },
    /// The text has not the form `ADDRESS/LENGTH`.
    #[error("`{0}` is not ADDRESS/LENGTH, as in 10.7.0.2/24 or fd00::2/64")]
    Form(String),
}

impl Cidr {
    /// Pairs an address with a prefix length in bits.
    ///
    /// # Errors
    /// [`CidrError::Prefix`] when the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let max = if address.is_ipv4() { 32 } else { 128 };
        if prefix > max {
            Err(CidrError::Prefix { prefix, max })
        } else {
            Ok(Self { address, prefix })
        }
    }

    /// The network that is everything, of the family of `address`.
    pub const fn everything(address: IpAddr) -> Self {
        let address = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { address, prefix: 0 }
    }

    /// The address, host bits included.
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// The prefix length in bits.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network's address: host bits zero.
    pub fn network(self) -> IpAddr {
        let prefix = u32::from(self.prefix);
        match self.address {
            IpAddr::V4(a) => {
                let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & !hosts))
            }
            IpAddr::V6(a) => {
                let hosts = u128::MAX.checked_shr(prefix).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & !hosts))
            }
        }
    }

    /// Does `other` lie in this network? Never across families.
    pub fn contains(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let shift = 32 - u32::from(self.prefix);
                (a.to_bits() ^ b.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let shift = 128 - u32::from(self.prefix);
                (a.to_bits() ^ b.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The subnet-directed broadcast address (RFC 1122 §3.2.1.3): IPv4 with a prefix of at most 30
    /// (RFC 3021 §2.1: a /31 has none).
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(a) if self.prefix <= 30 => {
                let hosts = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                Some(Ipv4Addr::from_bits(a.to_bits() | hosts))
            }
            _ => None,
        }
    }
}

impl Cidr {
    /// Both forms of it, the old one with a host part of zero included (RFC 1122 §3.3.6); none for
    /// a network that is everything.
    pub(crate) fn broadcasts(self) -> Option<[Ipv4Addr; 2]> {
        let broadcast = self.broadcast().filter(|_| self.prefix > 0)?;
        let hosts = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        let network = Ipv4Addr::from_bits(broadcast.to_bits() & !hosts);
        Some([broadcast, network])
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let form = || CidrError::Form(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let address = address.parse().map_err(|_| form())?;
        Self::new(address, prefix.parse().map_err(|_| form())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_at_every_edge() {
        for (net, address, inside) in [
            ("10.7.0.2/24", "10.7.0.255", true),
            ("10.7.0.2/24", "10.7.1.0", false),
            ("10.7.0.2/32", "10.7.0.2", true),
            ("10.7.0.2/32", "10.7.0.3", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("::/0", "fe80::1", true),
            ("::/0", "1.2.3.4", false),
            ("fd00::1/64", "fd00::ffff", true),
            ("fd00::1/64", "fd00:0:0:1::1", false),
            ("fd00::1/128", "fd00::2", false),
        ] {
            let cidr: Cidr = net.parse().unwrap();
            assert_eq!(
                cidr.contains(address.parse().unwrap()),
                inside,
                "{net} {address}"
            );
        }
    }

    #[test]
    fn a_network_has_no_host_bits() {
        for (own, network) in [
            ("10.7.3.2/24", "10.7.3.0"),
            ("10.7.3.2/0", "0.0.0.0"),
            ("10.7.3.2/32", "10.7.3.2"),
            ("fd00::1:2/64", "fd00::"),
            ("fd00::1/0", "::"),
            ("fd00::1/128", "fd00::1"),
        ] {
            let cidr: Cidr = own.parse().unwrap();
            assert_eq!(cidr.network().to_string(), network, "{own}");
        }
    }

    /// Covers: IP4-46
    #[test]
    fn broadcast_exists_up_to_a_prefix_of_30() {
        let broadcast = |text: &str| text.parse::<Cidr>().unwrap().broadcast();
        assert_eq!(broadcast("10.7.0.2/24"), Some(Ipv4Addr::new(10, 7, 0, 255)));
        assert_eq!(broadcast("10.7.0.2/30"), Some(Ipv4Addr::new(10, 7, 0, 3)));
        assert_eq!(broadcast("10.7.0.2/31"), None);
        assert_eq!(broadcast("0.0.0.0/0"), Some(Ipv4Addr::BROADCAST));
        assert_eq!(broadcast("fd00::1/64"), None);
    }

    #[test]
    fn bad_texts_are_refused_with_the_reason() {
        assert_eq!(
            "10.0.0.1/33".parse::<Cidr>(),
            Err(CidrError::Prefix {
                prefix: 33,
                max: 32
            })
        );
        for bad in ["10.0.0.1", "10.0.0/8", "fd00::1/", "/8", "x/8"] {
            assert_eq!(bad.parse::<Cidr>(), Err(CidrError::Form(bad.to_owned())));
        }
    }
}
