//! Routes: longest prefix first, and several gateways.
//!
//! RFC 1122 §3.3.1.1, §3.3.1.2, §3.3.1.4 (next hop, several gateways, dead ones). *Owns* the table. *Does not* own addresses: interfaces do.
//! Looking up takes a step for each bit of an address at most, however many routes there are.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Cidr, Instant};
use crate::stack::ids::InterfaceId;
use crate::stack::prefix_tree::{Prefix, PrefixTree};

/// How long a gateway that did not answer stands behind the others (RFC 1122 §3.3.1.4); our choice.
const DEAD_FOR: Duration = Duration::from_secs(60);

/// The table of routes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    v4: Table,
    v6: Table,
    added: usize,
    gateways: BTreeSet<(InterfaceId, IpAddr)>,
    /// Those that did not answer and have not since, and how long they stand behind others for who comes anew.
    dead: BTreeMap<(InterfaceId, IpAddr), Instant>,
}

/// The routes of one family; among those of one prefix in the order given.
#[derive(Debug, Default)]
struct Table {
    all: PrefixTree<Entry>,
    /// The same again for each interface: a scope asks its own alone.
    scoped: Vec<PrefixTree<Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    on: InterfaceId,
    via: Option<IpAddr>,
}

impl Routes {
    /// Adds a route behind those of the same prefix.
    pub(super) fn add(&mut self, to: Cidr, on: InterfaceId, via: Option<IpAddr>) {
        let table = if to.address().is_ipv4() {
            &mut self.v4
        } else {
            &mut self.v6
        };
        if table.scoped.len() <= on.index() {
            table
                .scoped
                .resize_with(on.index() + 1, PrefixTree::default);
        }
        let (prefix, entry) = (Prefix::network(to), Entry { on, via });
        table.all.insert(prefix, self.added, entry);
        table.scoped[on.index()].insert(prefix, self.added, entry);
        self.added += 1;
        self.gateways.extend(via.map(|via| (on, via)));
    }

    /// Routes that were added: none is ever taken away.
    pub(crate) const fn len(&self) -> usize {
        self.added
    }

    /// The interface and next hop for `dst`, on `scope` only when that is given.
    ///
    /// Among the routes of the longest prefix the first whose gateway is not known to be dead is
    /// taken, else the first.
    pub(crate) fn lookup(
        &self,
        now: Instant,
        dst: IpAddr,
        scope: Option<InterfaceId>,
    ) -> Option<(InterfaceId, IpAddr)> {
        let entry = self.entry(now, dst, scope)?;
        Some((entry.on, entry.via.unwrap_or(dst)))
    }

    /// The same on an interface for who has a way already: a gateway that failed is tried again by those who
    /// come anew, and has to answer before the others come back.
    pub(crate) fn lookup_again(
        &self,
        dst: IpAddr,
        on: InterfaceId,
    ) -> Option<(InterfaceId, IpAddr)> {
        self.lookup(Instant::ZERO, dst, Some(on))
    }

    #[inline]
    fn entry(&self, now: Instant, dst: IpAddr, scope: Option<InterfaceId>) -> Option<&Entry> {
        let table = if dst.is_ipv4() { &self.v4 } else { &self.v6 };
        let tree = match scope {
            Some(on) => table.scoped.get(on.index())?,
            None => &table.all,
        };
        let entries = tree.longest(Prefix::host(dst))?;
        let (_, first) = entries.first_key_value()?;
        if self.is_alive(now, first) {
            return Some(first);
        }
        let mut others = entries.values().skip(1);
        let alive = others.find(|entry| self.is_alive(now, entry));
        Some(alive.unwrap_or(first))
    }

    fn is_alive(&self, now: Instant, entry: &Entry) -> bool {
        let dead = |via| self.is_dead(now, entry.on, via);
        !entry.via.is_some_and(dead)
    }

    /// Is it a gateway that has not answered lately?
    pub(crate) fn is_dead(&self, now: Instant, on: InterfaceId, gateway: IpAddr) -> bool {
        let until = self.dead.get(&(on, gateway));
        until.is_some_and(|&until| now < until)
    }

    /// Do routes lead to `address` itself, or over it?
    pub(crate) fn is_neighbour(&self, now: Instant, on: InterfaceId, address: IpAddr) -> bool {
        // The common answer first: most neighbours are no gateways.
        let route = self.entry(now, address, Some(on));
        let direct = |entry: &Entry| entry.via.is_none_or(|via| via == address);
        route.is_some_and(direct) || self.gateways.contains(&(on, address))
    }

    /// This neighbour did not answer: if it is a gateway, which is returned, others come first for a while.
    pub(super) fn gateway_failed(
        &mut self,
        now: Instant,
        on: InterfaceId,
        gateway: IpAddr,
    ) -> bool {
        let known = self.gateways.contains(&(on, gateway));
        if known {
            self.dead.insert((on, gateway), now + DEAD_FOR);
        }
        known
    }

    /// This one answered: returns whether it is a gateway that had failed.
    pub(super) fn gateway_answered(&mut self, on: InterfaceId, gateway: IpAddr) -> bool {
        self.dead.remove(&(on, gateway)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn on(index: usize) -> InterfaceId {
        InterfaceId::from_index(index)
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let mut routes = Routes::default();
        routes.add(cidr("0.0.0.0/0"), on(0), Some(ip("10.0.0.254")));
        routes.add(cidr("10.0.0.0/24"), on(0), None);
        routes.add(cidr("10.0.0.128/25"), on(1), None);
        routes.add(cidr("::/0"), on(1), Some(ip("fe80::1")));
        #[rustfmt::skip]
        let rows = [
            ("10.0.0.5",   Some((0, "10.0.0.5"))),
            ("10.0.0.200", Some((1, "10.0.0.200"))),
            ("8.8.8.8",    Some((0, "10.0.0.254"))),
            ("2001:db8::1", Some((1, "fe80::1"))),
        ];
        for (to, expected) in rows {
            let found = routes.lookup(Instant::ZERO, ip(to), None);
            assert_eq!(found, expected.map(|(i, hop)| (on(i), ip(hop))), "{to}");
        }
        let scoped = routes.lookup(Instant::ZERO, ip("8.8.8.8"), Some(on(1)));
        assert_eq!(scoped, None);
    }

    /// Covers: IP4-40, IP4-42 (several gateways; a dead one is replaced and tried again later).
    #[test]
    fn a_dead_gateway_gives_way_for_a_while() {
        let mut routes = Routes::default();
        let (first, second) = (ip("10.0.0.1"), ip("10.0.0.2"));
        routes.add(cidr("0.0.0.0/0"), on(0), Some(first));
        routes.add(cidr("0.0.0.0/0"), on(0), Some(second));
        let via = |routes: &Routes, at| routes.lookup(at, ip("8.8.8.8"), None).unwrap().1;
        let now = Instant::from_millis(5);
        assert_eq!(via(&routes, now), first);
        routes.gateway_failed(now, on(0), first);
        assert_eq!(via(&routes, now), second);
        routes.gateway_failed(now, on(0), second);
        assert_eq!(via(&routes, now), first, "all dead: the first");
        assert_eq!(via(&routes, now + DEAD_FOR), first);
    }
}
