//! The choice of the source address: an order over addresses that is asked without a walk.
//!
//! RFC 6724 §5 (IPv6), RFC 1122 §3.3.4.3 (IPv4). *Owns* the order of candidates, which are numbers in
//! an interface's list. *Does not* know their states: whoever may be chosen is in, nobody else is.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;

use crate::base::Cidr;
use crate::stack::prefix_tree::{Prefix, PrefixTree};

/// What the rules compare beside the address itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    pub(super) deprecated: bool,
    pub(super) temporary: bool,
}

/// What rules 2, 3, 6 and 7 look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    scope: u8,
    label: u8,
    standing: Standing,
}

/// One of them by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) number: u64,
    pub(super) cidr: Cidr,
    pub(super) standing: Standing,
}

/// Candidates, by what the rules compare.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The preferred ones, and the deprecated ones.
    v4: [PrefixTree<()>; 2],
    /// A tree for each class: a handful, for there are no more.
    v6: BTreeMap<Class, PrefixTree<()>>,
}

impl Sources {
    pub(super) fn insert(&mut self, number: u64, cidr: Cidr, standing: Standing) {
        let prefix = Prefix::network(cidr);
        match cidr.address() {
            IpAddr::V4(_) => self.v4[usize::from(standing.deprecated)].insert(prefix, number, ()),
            IpAddr::V6(a) => {
                let tree = self.v6.entry(Class::of(a, standing)).or_default();
                tree.insert(prefix, number, ());
            }
        }
    }

    pub(super) fn remove(&mut self, number: u64, cidr: Cidr, standing: Standing) {
        let prefix = Prefix::network(cidr);
        match cidr.address() {
            IpAddr::V4(_) => self.v4[usize::from(standing.deprecated)].remove(prefix, number),
            IpAddr::V6(a) => {
                if let Some(tree) = self.v6.get_mut(&Class::of(a, standing)) {
                    tree.remove(prefix, number);
                }
            }
        }
    }

    /// The number of the best source to reach `dst` over `next_hop`; the first of equals. `told` are those of them whose prefix
    /// the next hop tells of, no more than a few.
    pub(super) fn select(
        &self,
        dst: IpAddr,
        next_hop: IpAddr,
        told: impl Iterator<Item = Candidate>,
    ) -> Option<u64> {
        match dst {
            IpAddr::V4(_) => {
                // RFC 1122 §3.3.4.3: the address whose network holds the next hop; of those, and of all others,
                // one that is not deprecated.
                let host = Prefix::host(next_hop);
                let mut on_net = self.v4.iter().filter_map(|tree| tree.first_covering(host));
                on_net.next().or_else(|| self.first(true))
            }
            IpAddr::V6(to) => self.select_v6(to, told),
        }
    }

    /// RFC 6724 §5, rules 2, 3, 5.5, 6, 7 and 8. Rule 1 never decides, for our own addresses are no
    /// destinations; 4 has nothing to tell apart (nothing is mobile here), and 5 holds for all candidates.
    fn select_v6(&self, to: Ipv6Addr, told: impl Iterator<Item = Candidate>) -> Option<u64> {
        let host = Prefix::host(IpAddr::V6(to));
        let ends = (scope(to), label(to));
        let all = self.v6.iter().filter_map(|(class, tree)| {
            let (common, number) = tree.closest(host)?;
            Some((class.rank(ends, false), 128 - common, number))
        });
        // Each stands among all as well, as one that is not told of: that is never its better place.
        let told = told.filter_map(|candidate| {
            let IpAddr::V6(own) = candidate.cidr.address() else {
                return None;
            };
            let same = (own.to_bits() ^ to.to_bits()).leading_zeros();
            let common = u8::try_from(same).unwrap_or(128);
            let common = common.min(candidate.cidr.prefix());
            let class = Class::of(own, candidate.standing);
            Some((class.rank(ends, true), 128 - common, candidate.number))
        });
        all.chain(told).min().map(|(.., number)| number)
    }

    /// The first of a family, of those that are not deprecated if there are any.
    pub(super) fn first(&self, v4: bool) -> Option<u64> {
        if v4 {
            self.v4.iter().find_map(PrefixTree::least)
        } else {
            let all = self.v6.iter();
            let least = all.filter_map(|(c, tree)| Some((c.standing.deprecated, tree.least()?)));
            least.min().map(|(_, number)| number)
        }
    }
}

impl Class {
    fn of(address: Ipv6Addr, standing: Standing) -> Self {
        Self {
            scope: scope(address),
            label: label(address),
            standing,
        }
    }

    /// The rules but the last one, for a destination of this scope and label; the least is the best.
    fn rank(&self, (want, to_label): (u8, u8), told: bool) -> impl Ord + use<> {
        let &Self {
            scope: have,
            label,
            standing,
        } = self;
        // Rule 2: the smallest scope that reaches; else the largest that does not.
        let reach = if have >= want { have - want } else { 32 - have };
        let Standing {
            deprecated,
            temporary,
        } = standing;
        (reach, deprecated, !told, label != to_label, !temporary)
    }
}

/// RFC 6724 §3.1: the scope of an address, in the numbers of RFC 4291 §2.7.
fn scope(address: Ipv6Addr) -> u8 {
    if address.is_multicast() {
        address.octets()[1] & 0x0f
    } else if address.is_unicast_link_local() || address.is_loopback() {
        2
    } else {
        14
    }
}

/// RFC 6724 §2.1: the label of the default policy table.
fn label(address: Ipv6Addr) -> u8 {
    let [a, b, ..] = address.segments();
    match address.octets() {
        _ if address.is_loopback() => 0,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..] => 4,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ..] => 3,
        _ if a == 0x2002 => 2,
        _ if (a, b) == (0x2001, 0) => 5,
        _ if a & 0xfe00 == 0xfc00 => 13,
        _ if a & 0xffc0 == 0xfec0 => 11,
        _ if a == 0x3ffe => 12,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::iter::empty;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Of the first dozen none is anything special.
    fn standing(number: u64) -> Standing {
        Standing {
            deprecated: number > 12 && number.is_multiple_of(3),
            temporary: number > 12 && number.is_multiple_of(2),
        }
    }

    fn sources(all: &[Cidr]) -> Sources {
        let mut sources = Sources::default();
        for (number, &cidr) in (0..).zip(all) {
            sources.insert(number, cidr, standing(number));
        }
        sources
    }

    /// RFC 6724 §2.1: the table, and what stands next to each of its prefixes.
    #[test]
    fn labels_are_those_of_the_default_table() {
        for (address, wanted) in [
            ("::1", 0),
            ("::2", 3),
            ("::ffff:10.0.0.1", 4),
            ("2001::1", 5),
            ("2001:1::1", 1),
            ("2002::1", 2),
            ("2003::1", 1),
            ("fbff::1", 1),
            ("fc00::1", 13),
            ("fdff::1", 13),
            ("fe80::1", 1),
            ("fec0::1", 11),
            ("feff::1", 11),
            ("ff02::1", 1),
            ("3ffe::1", 12),
            ("3fff::1", 1),
        ] {
            assert_eq!(label(address.parse().unwrap()), wanted, "{address}");
        }
    }

    /// Covers: SEL-3, SEL-6 (the rules in their order).
    #[test]
    fn source_selection_table() {
        let all = [
            "fe80::1/64",
            "fd00::1/64",
            "2001:db8:1::1/64",
            "2001:db8:2::1/64",
            "2002:a00:1::1/64",
            "10.0.0.1/24",
            "192.168.0.1/24",
        ]
        .map(|text| text.parse::<Cidr>().unwrap());
        #[rustfmt::skip]
        let rows = [
            ("2001:db8:2::9", "2001:db8:2::9", "2001:db8:2::1", "rule 8, longest prefix"),
            ("2001:db8:1::9", "2001:db8:1::9", "2001:db8:1::1", "rule 8"),
            ("fd00::9",       "fd00::9",       "fd00::1",       "rule 6, label"),
            ("8000::1",       "8000::1",       "2001:db8:1::1", "rule 6, though fd00 has a bit in common"),
            ("2002:b00::1",   "fe80::9",       "2002:a00:1::1", "rule 6, label"),
            ("fe80::9",       "fe80::9",       "fe80::1",       "rule 2, scope"),
            ("ff02::1",       "ff02::1",       "fe80::1",       "rule 2, scope"),
            ("ff0e::1",       "ff0e::1",       "2001:db8:1::1", "rule 6 and then the longest prefix"),
            ("10.0.0.9",      "10.0.0.9",      "10.0.0.1",      "network of the next hop"),
            ("8.8.8.8",       "192.168.0.254", "192.168.0.1",   "network of the next hop"),
        ];
        for (dst, hop, expected, why) in rows {
            let place = sources(&all).select(ip(dst), ip(hop), empty());
            let source = place.map(|place| all[usize::try_from(place).unwrap()].address());
            assert_eq!(source, Some(ip(expected)), "{dst}: {why}");
        }
        let only_v4 = ["10.0.0.1/24".parse().unwrap()];
        let none = sources(&only_v4).select(ip("fd00::1"), ip("fd00::1"), empty());
        assert_eq!(none, None);
    }

    /// Covers: SEL-5 (rule 5.5 stands below rules 2 and 3 and above 6, 7 and 8).
    #[test]
    fn those_that_the_next_hop_tells_of_go_first() {
        let all = [
            "fe80::1/64",
            "2001:db8:2::1/64",
            "fd00::1/64",
            "2001:db8:1::1/64",
        ];
        let all = all.map(|text| text.parse::<Cidr>().unwrap());
        let chosen = |dst: &str, told: &[u64], standing: Standing| {
            let mut sources = Sources::default();
            let standing = |number| {
                if told.contains(&number) {
                    standing
                } else {
                    Standing::default()
                }
            };
            for (number, &cidr) in (0..).zip(&all) {
                sources.insert(number, cidr, standing(number));
            }
            let told = told.iter().map(|&number| Candidate {
                number,
                cidr: all[usize::try_from(number).unwrap()],
                standing: standing(number),
            });
            sources.select(ip(dst), ip("fe80::99"), told)
        };
        let good = Standing::default();
        assert_eq!(chosen("2001:db8:2:9::1", &[], good), Some(1), "rule 8");
        assert_eq!(
            chosen("2001:db8:2:9::1", &[3], good),
            Some(3),
            "above rule 8"
        );
        assert_eq!(
            chosen("2001:db8:2:9::1", &[2], good),
            Some(2),
            "above rule 6"
        );
        assert_eq!(
            chosen("2001:db8:2:9::1", &[1, 3], good),
            Some(1),
            "of two the closer"
        );
        assert_eq!(chosen("fe80::9", &[3], good), Some(0), "below rule 2");
        let old = Standing {
            deprecated: true,
            temporary: false,
        };
        assert_eq!(
            chosen("2001:db8:2:9::1", &[3], old),
            Some(1),
            "below rule 3"
        );
    }

    /// The rules as a key, least is best, for each candidate on its own.
    fn rank(candidate: Cidr, number: u64, dst: IpAddr, next_hop: IpAddr) -> impl Ord {
        let Standing {
            deprecated,
            temporary,
        } = standing(number);
        match (candidate.address(), dst) {
            (IpAddr::V6(source), IpAddr::V6(to)) => {
                let (have, want) = (scope(source), scope(to));
                let reach = if have >= want { have - want } else { 32 - have };
                let common = (source.to_bits() ^ to.to_bits()).leading_zeros();
                let common = (common as u8).min(candidate.prefix());
                let other = label(source) != label(to);
                (reach, deprecated, other, !temporary, 128 - common)
            }
            _ => (
                u8::from(!candidate.contains(next_hop)),
                deprecated,
                false,
                false,
                0,
            ),
        }
    }

    /// Addresses of every scope and label, close to each other and far apart.
    fn address() -> impl Strategy<Value = IpAddr> {
        let start = prop::sample::select(vec![
            "fe80::",
            "fec0::",
            "fd00::",
            "2001:db8::",
            "2001::",
            "2002::",
            "3ffe::",
            "::",
            "ff0e::",
        ]);
        let v6 = (start, any::<u128>(), 16u32..=128).prop_map(|(start, noise, keep)| {
            let start = start.parse::<Ipv6Addr>().unwrap().to_bits();
            IpAddr::V6(Ipv6Addr::from_bits(
                start | noise.checked_shr(keep).unwrap_or(0),
            ))
        });
        let v4 = (any::<u32>(), 8u32..=32).prop_map(|(noise, keep)| {
            let noise = noise.checked_shr(keep).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | noise))
        });
        prop_oneof![v6, v4]
    }

    proptest! {
        #[test]
        fn chooses_as_a_walk_over_all_would(
            all in prop::collection::vec((address(), any::<u8>()), 0..40),
            gone in any::<u64>(),
            dst in address(),
            hop in address(),
        ) {
            let cidr = |(address, len): (IpAddr, u8)| {
                let len = if address.is_ipv4() { len % 33 } else { len % 129 };
                Cidr::new(address, len).unwrap()
            };
            let all: Vec<Cidr> = all.into_iter().map(cidr).collect();
            let hop = if hop.is_ipv4() == dst.is_ipv4() { hop } else { dst };
            let mut sources = sources(&all);
            let stays = |number: u64| gone >> (number % 64) & 1 == 0;
            let numbered = || (0u64..).zip(&all);
            for (number, &cidr) in numbered().filter(|e| !stays(e.0)) {
                sources.remove(number, cidr, standing(number));
            }
            let left = numbered().filter(|e| stays(e.0));
            let fits = left.filter(|(_, c)| c.address().is_ipv4() == dst.is_ipv4());
            let best = fits.min_by_key(|&(number, &c)| (rank(c, number, dst, hop), number));
            prop_assert_eq!(sources.select(dst, hop, empty()), best.map(|(number, _)| number));
        }
    }
}
