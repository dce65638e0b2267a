//! Names that nobody is asked for.
//!
//! RFC 6761 §6.3, §6.4 (localhost, invalid), RFC 7686 §2 (onion), RFC 1123 §2.1 (addresses). *Owns* their answers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lookup::Family;
use super::name::Name;

/// An address, if the text is one.
pub(super) fn literal(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// What a special name has of this family: an address or nothing; `None` for one that is not special.
pub(super) fn of_name(name: &Name, family: Family) -> Option<Option<IpAddr>> {
    if name.is_in("localhost") {
        return Some(Some(match family {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        }));
    }
    (name.is_in("invalid") || name.is_in("onion")).then_some(None)
}
