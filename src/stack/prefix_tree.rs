//! A path-compressed binary tree of prefixes: what covers an address, and what comes closest to it.
//!
//! *Owns* the shape. *Does not* know what the prefixes are for, nor mix families: IPv4's bits lie at
//! the top. Invariants: a node's children lie within its prefix, one for each value of its next
//! bit; `least` is the least rank of its own entries and of theirs; a node without entries has two
//! children, or is the root. So there are twice as many nodes as prefixes at most, whatever came and
//! went. An operation takes one step for each node on one path, so at most one for each bit of an
//! address, however many prefixes there are.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::ids::make_room;
use crate::base::Cidr;

/// The leading bits of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// Zero beyond `len`.
    bits: u128,
    len: u8,
}

impl Prefix {
    /// All bits of an address.
    pub(super) fn host(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => Self {
                bits: u128::from(a.to_bits()) << 96,
                len: 32,
            },
            IpAddr::V6(a) => Self {
                bits: a.to_bits(),
                len: 128,
            },
        }
    }

    /// A network.
    pub(super) fn network(cidr: Cidr) -> Self {
        let host = Self::host(cidr.address());
        Self::new(host.bits, cidr.prefix())
    }

    fn new(bits: u128, len: u8) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
        let bits = bits & mask;
        Self { bits, len }
    }

    fn bit(self, at: u8) -> usize {
        usize::from(self.bits << at >> 127 == 1)
    }

    /// Does all of `to` lie within it?
    fn covers(self, to: Self) -> bool {
        let same = (self.bits ^ to.bits).leading_zeros();
        self.len <= to.len && same >= self.len.into()
    }

    /// Leading bits that both have.
    fn common(self, other: Self) -> u8 {
        let same = (self.bits ^ other.bits).leading_zeros();
        let same = u8::try_from(same).unwrap_or(u8::MAX);
        same.min(self.len).min(other.len)
    }
}

/// The tree. Each entry has a rank of its own; a lower one comes first.
#[derive(Debug)]
pub(super) struct PrefixTree<V> {
    nodes: Vec<Node<V>>,
    /// Places of nodes that are gone.
    free: Vec<usize>,
}

#[derive(Debug)]
struct Node<V> {
    prefix: Prefix,
    entries: BTreeMap<u64, V>,
    least: u64,
    /// Places in the list.
    children: [Option<usize>; 2],
}

impl<V> Node<V> {
    const fn new(prefix: Prefix) -> Self {
        Self {
            prefix,
            entries: BTreeMap::new(),
            least: NOBODY,
            children: [None; 2],
        }
    }
}

/// Above every rank.
const NOBODY: u64 = u64::MAX;

impl<V> Default for PrefixTree<V> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new(Prefix::new(0, 0))],
            free: Vec::new(),
        }
    }
}

impl<V> PrefixTree<V> {
    /// Adds an entry; one of the same rank and prefix gives way.
    pub(super) fn insert(&mut self, prefix: Prefix, rank: u64, value: V) {
        let mut at = 0;
        loop {
            let node = &mut self.nodes[at];
            node.least = node.least.min(rank);
            if node.prefix.len == prefix.len {
                node.entries.insert(rank, value);
                return;
            }
            at = self.towards(at, prefix);
        }
    }

    /// The next node on the way down from `at` to `prefix`, made where there is none.
    fn towards(&mut self, at: usize, prefix: Prefix) -> usize {
        let side = prefix.bit(self.nodes[at].prefix.len);
        let Some(child) = self.nodes[at].children[side] else {
            let made = self.make(Node::new(prefix));
            self.nodes[at].children[side] = Some(made);
            return made;
        };
        let below = self.nodes[child].prefix;
        let common = below.common(prefix);
        if common == below.len {
            return child;
        }
        let mut branch = Node::new(Prefix::new(prefix.bits, common));
        branch.least = self.nodes[child].least;
        branch.children[below.bit(common)] = Some(child);
        let made = self.make(branch);
        self.nodes[at].children[side] = Some(made);
        made
    }

    fn make(&mut self, node: Node<V>) -> usize {
        if let Some(at) = self.free.pop() {
            self.nodes[at] = node;
            return at;
        }
        make_room(&mut self.nodes, 1);
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Takes an entry away, and the nodes that nothing needs without it.
    pub(super) fn remove(&mut self, prefix: Prefix, rank: u64) {
        let path: Vec<usize> = self.path(prefix).collect();
        let end = path.last().copied();
        if let Some(end) = end.filter(|&end| self.nodes[end].prefix == prefix) {
            self.nodes[end].entries.remove(&rank);
        }
        for (depth, &at) in path.iter().enumerate().rev() {
            let above = depth.checked_sub(1).map(|above| path[above]);
            let node = &self.nodes[at];
            if let ([only, None] | [None, only], true, Some(above)) =
                (node.children, node.entries.is_empty(), above)
            {
                let links = &mut self.nodes[above].children;
                for link in links.iter_mut().filter(|link| **link == Some(at)) {
                    *link = only;
                }
                self.nodes[at] = Node::new(prefix);
                self.free.push(at);
                continue;
            }
            let own = node.entries.keys().next().copied();
            let below = node.children.iter().flatten().map(|&c| self.nodes[c].least);
            let least = own.into_iter().chain(below).min();
            self.nodes[at].least = least.unwrap_or(NOBODY);
        }
    }

    /// The nodes whose prefix covers `to`, the shortest first.
    fn path(&self, to: Prefix) -> impl Iterator<Item = usize> {
        core::iter::successors(Some(0), move |&at| {
            let len = self.nodes[at].prefix.len;
            let child = self.nodes[at].children[to.bit(len.min(127))].filter(|_| len < to.len)?;
            self.nodes[child].prefix.covers(to).then_some(child)
        })
    }

    /// The entries of the longest prefix that covers `to`, by rank.
    pub(super) fn longest(&self, to: Prefix) -> Option<&BTreeMap<u64, V>> {
        let entries = self.path(to).map(|at| &self.nodes[at].entries);
        entries.filter(|entries| !entries.is_empty()).last()
    }

    /// The least rank of those whose prefix covers `to`.
    pub(super) fn first_covering(&self, to: Prefix) -> Option<u64> {
        let ranks = |at: usize| self.nodes[at].entries.keys().next().copied();
        self.path(to).filter_map(ranks).min()
    }

    /// The least rank of all.
    pub(super) fn least(&self) -> Option<u64> {
        self.live(0)
    }

    fn live(&self, at: usize) -> Option<u64> {
        Some(self.nodes[at].least).filter(|&least| least != NOBODY)
    }

    /// The most leading bits that `to` has in common with any prefix, and the least rank of those
    /// that have as many.
    pub(super) fn closest(&self, to: Prefix) -> Option<(u8, u64)> {
        let mut best = (0, self.live(0)?);
        for at in self.path(to) {
            let Some(least) = self.live(at) else { break };
            best = (self.nodes[at].prefix.len, least);
            // The next one may share no more than a part of its prefix with `to`.
            let len = self.nodes[at].prefix.len;
            let child = self.nodes[at].children[to.bit(len.min(127))].filter(|_| len < to.len);
            if let Some(child) = child
                && let Some(least) = self.live(child)
            {
                best = (self.nodes[child].prefix.common(to), least);
            }
        }
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    fn cidr(bits: u128, len: u8, v4: bool) -> Cidr {
        let address = if v4 {
            IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        };
        Cidr::new(address, if v4 { len % 33 } else { len % 129 }).unwrap()
    }

    /// Addresses that lie close together, so that prefixes meet at every length.
    fn bits() -> impl Strategy<Value = u128> {
        (any::<u128>(), 0u32..=128).prop_map(|(noise, keep)| noise.checked_shr(keep).unwrap_or(0))
    }

    proptest! {
        /// Whatever was added and taken away: the same answers as a list's.
        #[test]
        fn equals_a_list(
            v4 in any::<bool>(),
            steps in prop::collection::vec((bits(), any::<u8>(), 0u8..4), 1..60),
            asked in prop::collection::vec(bits(), 20),
        ) {
            let mut tree = PrefixTree::default();
            let mut list: Vec<(u64, Cidr)> = Vec::new();
            for (rank, (bits, len, kind)) in (0..).zip(steps) {
                if kind == 0 && !list.is_empty() {
                    let (rank, cidr) = list.swap_remove(usize::from(len) % list.len());
                    tree.remove(Prefix::network(cidr), rank);
                } else {
                    let cidr = cidr(bits, len, v4);
                    list.push((rank, cidr));
                    tree.insert(Prefix::network(cidr), rank, cidr);
                }
                let live = tree.nodes.len() - tree.free.len();
                prop_assert!(live <= 2 * list.len() + 1, "{live} for {}", list.len());
            }
            for bits in asked {
                let to = cidr(bits, if v4 { 32 } else { 128 }, v4).address();
                let host = Prefix::host(to);
                let most = if v4 { 33 } else { 129 };
                prop_assert!(tree.path(host).count() <= most);
                prop_assert_eq!(tree.least(), list.iter().map(|e| e.0).min());
                let covers = |(_, c): &&(u64, Cidr)| c.contains(to);
                let longest = list.iter().filter(covers).map(|e| e.1.prefix()).max();
                let mut expected: Vec<u64> = list.iter().filter(covers)
                    .filter(|e| Some(e.1.prefix()) == longest).map(|e| e.0).collect();
                expected.sort_unstable();
                let found = tree.longest(host).map(|e| e.keys().copied().collect::<Vec<_>>());
                prop_assert_eq!(found.unwrap_or_default(), expected);
                let first = list.iter().filter(covers).map(|e| e.0).min();
                prop_assert_eq!(tree.first_covering(host), first);
                let common = |c: Cidr| Prefix::network(c).common(host);
                let closest = list.iter().map(|&(rank, c)| (core::cmp::Reverse(common(c)), rank)).min();
                let closest = closest.map(|(common, rank)| (common.0, rank));
                prop_assert_eq!(tree.closest(host), closest);
            }
        }
    }

    /// Work does not grow with the number of prefixes, but with the length of an address at most.
    #[test]
    fn a_hundred_thousand_prefixes_are_as_far_as_one() {
        let mut tree = PrefixTree::default();
        let v4 = |n: u32| cidr(u128::from(n.wrapping_mul(0x9e37_79b1)) << 96, 32, true);
        for n in 0..100_000 {
            tree.insert(Prefix::network(v4(n)), n.into(), ());
        }
        let steps = |n| tree.path(Prefix::host(v4(n).address())).count();
        let most = (0..100_000).map(steps).max().unwrap();
        assert!(most <= 33, "{most}");
        let mean = (0..100_000).map(steps).sum::<usize>() / 100_000;
        assert!(mean <= 20, "about the logarithm: {mean}");
    }
}
