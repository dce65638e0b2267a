//! Which of a name's addresses is tried first.
//!
//! RFC 6724 §6, with §3.1, §3.2 (scopes) and §2.1 (the policy table). *Owns* the order. *Does not* choose sources: the stack does, and
//! this asks which it would take.
//!
//! Rules 4 and 7 have nothing to tell apart here; rule 3 has not either, for the stack takes a deprecated source only where it
//! has no other. Rule 9 is left out for IPv4, where the name's server balances its load by the order, as Linux's resolvers do
//! but for the own network.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv6Addr};

/// The addresses in the order in which they are tried; `source` says from which address a packet would go there, if from any.
///
/// ```
/// use netloom::names::sorted;
/// use std::net::IpAddr;
///
/// let [v4, v6]: [IpAddr; 2] = ["192.0.2.1".parse()?, "2001:db8::1".parse()?];
/// let source = |to: IpAddr| Some(if to.is_ipv4() { v4 } else { v6 });
/// let to = ["198.51.100.7".parse()?, "2001:db8:1::7".parse()?];
/// assert_eq!(sorted(&to, source), [to[1], to[0]]);
/// assert_eq!(sorted(&to, |to| source(to).filter(IpAddr::is_ipv4)), to);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn sorted(addresses: &[IpAddr], source: impl Fn(IpAddr) -> Option<IpAddr>) -> Vec<IpAddr> {
    let mut all = addresses.to_vec();
    // It is stable: rule 10.
    all.sort_by_cached_key(|&to| rank(to, source(to)));
    all
}

/// What the rules compare, one after the other; the least is first.
fn rank(to: IpAddr, from: Option<IpAddr>) -> impl Ord {
    let to6 = mapped(to);
    let from6 = from.map(mapped);
    let (precedence, label_to) = policy(to6);
    let scope_to = scope(to6);
    let common = match (to, from6) {
        (IpAddr::V6(_), Some(from)) => common_prefix(to6, from),
        _ => 0,
    };
    (
        from.is_none(),                                      // rule 1
        from6.is_none_or(|from| scope(from) != scope_to),    // rule 2
        from6.is_none_or(|from| policy(from).1 != label_to), // rule 5
        Reverse(precedence),                                 // rule 6
        scope_to,                                            // rule 8
        Reverse(common),                                     // rule 9
    )
}

/// RFC 6724 §3.2: IPv4's addresses are as mapped ones.
fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(a) => a.to_ipv6_mapped(),
        IpAddr::V6(a) => a,
    }
}

/// RFC 6724 §3.1, §3.2, in the numbers of RFC 4291 §2.7.
fn scope(address: Ipv6Addr) -> u8 {
    match address.to_ipv4_mapped() {
        Some(v4) if v4.is_loopback() || v4.is_link_local() => 2,
        Some(_) => 14,
        None if address.is_multicast() => address.octets()[1] & 0x0f,
        None if address.is_loopback() || address.is_unicast_link_local() => 2,
        None if address.segments()[0] & 0xffc0 == 0xfec0 => 5,
        None => 14,
    }
}

/// RFC 6724 §2.1: the precedence and the label of an address, by the longest prefix of the table.
fn policy(address: Ipv6Addr) -> (u8, u8) {
    let fits = |(prefix, len, ..): &&(u128, u32, u8, u8)| {
        let differ = address.to_bits() ^ prefix;
        differ.leading_zeros() >= *len
    };
    // The longest comes first, and the last fits all.
    let entry = POLICY
        .iter()
        .find(fits)
        .unwrap_or(&POLICY[POLICY.len() - 1]);
    (entry.2, entry.3)
}

/// Prefix, its length, precedence, label.
const POLICY: [(u128, u32, u8, u8); 9] = [
    (1, 128, 50, 0),
    (0xffff << 32, 96, 35, 4),
    (0, 96, 1, 3),
    (0x2001 << 112, 32, 5, 5),
    (0x2002 << 112, 16, 30, 2),
    (0x3ffe << 112, 16, 1, 12),
    (0xfec0 << 112, 10, 1, 11),
    (0xfc00 << 112, 7, 3, 13),
    (0, 0, 40, 1),
];

/// RFC 6724 §2.2: the bits of the prefix that both have, and of a network no more than 64.
fn common_prefix(a: Ipv6Addr, b: Ipv6Addr) -> u32 {
    (a.to_bits() ^ b.to_bits()).leading_zeros().min(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// RFC 6724 §10.2's examples, those that rules 3, 4 and 7 do not decide: the candidates in the right order, each with its source.
    ///
    /// Covers: SEL-7 (the rules in their order).
    #[test]
    fn the_examples_of_the_rfc() {
        #[rustfmt::skip]
        let rows: &[(&str, &[(&str, &str)])] = &[
            ("rule 2", &[("2001:db8:1::1", "2001:db8:1::2"), ("198.51.100.121", "169.254.13.78")]),
            ("rule 2", &[("198.51.100.121", "198.51.100.117"), ("2001:db8:1::1", "fe80::1")]),
            ("rule 6", &[("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")]),
            ("rule 8", &[("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")]),
            ("rule 5", &[("2001:db8:1::1", "2001:db8:1::2"), ("2002:c633:6401::1", "2001:db8:1::2")]),
            ("rule 6", &[("2001:db8:1::1", "2001:db8:1::2"), ("2002:c633:6401::1", "2002:c633:6401::2")]),
            ("rule 9", &[("2001:db8:1::1", "2001:db8:1::2"), ("2001:db8:3ffe::1", "2001:db8:1::2")]),
            ("rule 1", &[("198.51.100.121", "198.51.100.117"), ("2001:db8:1::1", "")]),
            ("rule 6", &[("10.1.2.3", "10.1.2.4"), ("fd00::1", "fd00::2")]),
        ];
        for (why, wanted) in rows {
            let source = |to: IpAddr| {
                let (_, from) = wanted.iter().find(|(one, _)| ip(one) == to).unwrap();
                from.parse().ok()
            };
            let wanted: Vec<IpAddr> = wanted.iter().map(|(to, _)| ip(to)).collect();
            let turned: Vec<IpAddr> = wanted.iter().rev().copied().collect();
            assert_eq!(sorted(&wanted, source), wanted, "{why}");
            assert_eq!(sorted(&turned, source), wanted, "{why}, turned");
        }
    }

    #[test]
    fn equal_ones_stay_as_the_server_has_them() {
        let own = |_| Some(ip("10.0.0.1"));
        let all = ["10.200.0.9", "10.0.0.9", "192.0.2.1"].map(ip);
        assert_eq!(sorted(&all, own), all);
    }

    /// RFC 6724 §2.1, and what stands next to each prefix.
    #[test]
    fn the_policy_table() {
        for (address, wanted) in [
            ("::1", (50, 0)),
            ("::2", (1, 3)),
            ("::ffff:10.0.0.1", (35, 4)),
            ("2001::1", (5, 5)),
            ("2001:1::1", (40, 1)),
            ("2002::1", (30, 2)),
            ("fc00::1", (3, 13)),
            ("fdff::1", (3, 13)),
            ("fec0::1", (1, 11)),
            ("3ffe::1", (1, 12)),
            ("2003::1", (40, 1)),
            ("fe80::1", (40, 1)),
        ] {
            assert_eq!(policy(address.parse().unwrap()), wanted, "{address}");
        }
    }
}
