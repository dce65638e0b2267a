//! IP protocol numbers, shared by IPv4's Protocol and IPv6's Next Header fields.

use core::fmt;

/// An IP protocol number or IPv6 next-header value, IANA "Protocol Numbers".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// IPv6 hop-by-hop options, RFC 8200 §4.3.
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP, RFC 792.
    pub const ICMP: Self = Self(1);
    /// IGMP, RFC 3376.
    pub const IGMP: Self = Self(2);
    /// TCP, RFC 9293.
    pub const TCP: Self = Self(6);
    /// UDP, RFC 768.
    pub const UDP: Self = Self(17);
    /// IPv6 routing header, RFC 8200 §4.4.
    pub const ROUTING: Self = Self(43);
    /// IPv6 fragment header, RFC 8200 §4.5.
    pub const FRAGMENT: Self = Self(44);
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: Self = Self(58);
    /// IPv6 no next header, RFC 8200 §4.7.
    pub const NO_NEXT_HEADER: Self = Self(59);
    /// IPv6 destination options, RFC 8200 §4.6.
    pub const DESTINATION_OPTIONS: Self = Self(60);

    /// The name that tools print, when it has one here.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::HOP_BY_HOP => "HBH",
            Self::ICMP => "ICMP",
            Self::IGMP => "IGMP",
            Self::TCP => "TCP",
            Self::UDP => "UDP",
            Self::ROUTING => "RT",
            Self::FRAGMENT => "frag",
            Self::ICMPV6 => "ICMP6",
            Self::NO_NEXT_HEADER => "no next header",
            Self::DESTINATION_OPTIONS => "DSTOPT",
            Self(47) => "GRE",
            Self(50) => "ESP",
            Self(51) => "AH",
            Self(89) => "OSPF",
            Self(132) => "SCTP",
            _ => return None,
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "protocol {}", self.0),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(Protocol::TCP.to_string(), "TCP");
        assert_eq!(Protocol(253).to_string(), "protocol 253");
        assert_eq!(format!("{:?}", Protocol(58)), "ICMP6 (58)");
    }
}
