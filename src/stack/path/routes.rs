//! Routes: longest prefix first, and several gateways.
//!
//! RFC 1122 §3.3.1.1, §3.3.1.2, §3.3.1.4 (next hop, several gateways, dead ones), RFC 4191 §2.1, §3.2 (preferences).
//! *Owns* the table. *Does not* own addresses: interfaces do. Looking up takes a step for each bit of an
//! address at most, however many routes there are, and so does each that comes or goes.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::recent::Recent;
use crate::base::{Cidr, Instant};
use crate::stack::address::Origin;
use crate::stack::ids::InterfaceId;
use crate::stack::prefix_tree::{Prefix, PrefixTree};

/// How long a gateway that did not answer stands behind the others (RFC 1122 §3.3.1.4); our choice.
const DEAD_FOR: Duration = Duration::from_secs(60);

/// *Fixed*: routes of one prefix that are looked at for one that is alive; a hundred thousand addresses of a network have as many,
/// and a link that is down has all of them dead.
const MOST_TRIED: usize = 64;

/// What comes first among the routes of one prefix (RFC 4191 §2.1); among equals the one that came first does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Preference {
    /// Before the others: what the user gave.
    High,
    /// What says nothing of it.
    #[default]
    Medium,
    /// Behind the others.
    Low,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteInfo {
    /// The interface that packets leave by.
    pub on: InterfaceId,
    /// Where it leads to: a network, host bits zero.
    pub to: Cidr,
    /// The router that they go to; `None`: the destination is on the link.
    pub via: Option<IpAddr>,
    /// Where it comes from: with an address that has its network on the link, from where that does.
    pub origin: Origin,
    /// What comes first among those that lead to the same network.
    pub preference: Preference,
}

/// A route that is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stack) struct NewRoute {
    pub(in crate::stack) to: Cidr,
    pub(in crate::stack) via: Option<IpAddr>,
    pub(in crate::stack) origin: Origin,
    pub(in crate::stack) preference: Preference,
}

impl NewRoute {
    /// One of the user's: before all others of its prefix.
    pub(in crate::stack) const fn given(to: Cidr, via: Option<IpAddr>) -> Self {
        Self {
            to,
            via,
            origin: Origin::Given,
            preference: Preference::High,
        }
    }
}

/// The table of routes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    v4: Table,
    v6: Table,
    all: BTreeMap<Name, Place>,
    /// Routes that ever were: a number is never used again.
    added: u64,
    /// How many routes lead over each.
    gateways: BTreeMap<(InterfaceId, IpAddr), usize>,
    /// Those that did not answer and have not since, and how long they stand behind others for who comes anew.
    dead: BTreeMap<(InterfaceId, IpAddr), Instant>,
    /// Interfaces whose link is down.
    down: BTreeSet<InterfaceId>,
    /// Answers to who asks for each packet: none where another route came first that was dead or down, for that ends without a word.
    recent: Recent<Entry>,
}

/// What a neighbour that does not answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    NoGateway,
    /// A gateway that had answered since it was made one, or since it failed before.
    Now,
    /// One that had not.
    Again,
}

/// What tells a route from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) on: InterfaceId,
    pub(super) origin: Origin,
    /// The address that it comes and goes with.
    pub(super) with: Option<IpAddr>,
    /// Its network and the length of that prefix.
    to: (IpAddr, u8),
    pub(super) via: Option<IpAddr>,
}

/// Where the trees have a route: the preference above its number.
#[derive(Clone, Copy, Debug)]
struct Place {
    rank: u64,
    preference: Preference,
}

const PREFERENCE_SHIFT: u32 = 62;

/// The routes of one family; among those of one prefix in the order of preference, and then as they came.
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

impl Name {
    pub(super) fn new(on: InterfaceId, to: Cidr, via: Option<IpAddr>, origin: Origin) -> Self {
        Self {
            on,
            origin,
            with: None,
            to: (to.network(), to.prefix()),
            via,
        }
    }

    /// The network of one of our addresses, on the link.
    pub(super) fn connected(on: InterfaceId, own: Cidr, origin: Origin) -> Self {
        let with = Some(own.address());
        Self {
            with,
            ..Self::new(on, own, None, origin)
        }
    }

    /// Before all of an interface that have this origin.
    const fn first(on: InterfaceId, origin: Origin) -> Self {
        Self {
            on,
            origin,
            with: None,
            to: (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            via: None,
        }
    }

    fn to(&self) -> Option<Cidr> {
        Cidr::new(self.to.0, self.to.1).ok()
    }
}

impl Table {
    fn insert(&mut self, prefix: Prefix, rank: u64, entry: Entry) {
        let scoped = &mut self.scoped;
        if scoped.len() <= entry.on.index() {
            scoped.resize_with(entry.on.index() + 1, PrefixTree::default);
        }
        self.all.insert(prefix, rank, entry);
        scoped[entry.on.index()].insert(prefix, rank, entry);
    }

    fn remove(&mut self, prefix: Prefix, rank: u64, on: InterfaceId) {
        self.all.remove(prefix, rank);
        if let Some(scoped) = self.scoped.get_mut(on.index()) {
            scoped.remove(prefix, rank);
        }
    }
}

impl Routes {
    /// Adds a route behind those of the same prefix and preference. One that is there gets this
    /// preference; returns whether anything has changed.
    pub(super) fn add(&mut self, name: Name, preference: Preference) -> bool {
        let Some(to) = name.to() else { return false };
        let before = self.all.get(&name).copied();
        if before.is_some_and(|before| before.preference == preference) {
            return false;
        }
        let level = match preference {
            Preference::High => 0,
            Preference::Medium => 1,
            Preference::Low => 2,
        };
        let rank = level << PREFERENCE_SHIFT | self.added;
        self.added += 1;
        let Name { on, via, .. } = name;
        let prefix = Prefix::network(to);
        let table = self.table_mut(to.address());
        if let Some(before) = before {
            table.remove(prefix, before.rank, on);
        }
        table.insert(prefix, rank, Entry { on, via });
        self.all.insert(name, Place { rank, preference });
        if before.is_none()
            && let Some(via) = via
        {
            *self.gateways.entry((on, via)).or_default() += 1;
        }
        true
    }

    /// Takes a route away; returns whether it was there.
    pub(super) fn remove(&mut self, name: &Name) -> bool {
        let Some(to) = name.to() else { return false };
        let Some(Place { rank, .. }) = self.all.remove(name) else {
            return false;
        };
        let table = self.table_mut(to.address());
        table.remove(Prefix::network(to), rank, name.on);
        if let Some(via) = name.via {
            let key = (name.on, via);
            let left = self.gateways.get_mut(&key).map(|count| {
                *count -= 1;
                *count
            });
            if left == Some(0) {
                self.gateways.remove(&key);
                self.dead.remove(&key);
            }
        }
        true
    }

    /// Takes all of an interface away that is gone for good.
    pub(super) fn remove_all(&mut self, on: InterfaceId) {
        let first = Name::first(on, Origin::Given);
        let of = self
            .all
            .range(first..)
            .take_while(|(name, _)| name.on == on);
        let names: Vec<_> = of.map(|(name, _)| *name).collect();
        for name in &names {
            self.remove(name);
        }
        self.down.remove(&on);
    }

    fn table_mut(&mut self, family: IpAddr) -> &mut Table {
        self.recent.forget();
        match family {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Is there such a route?
    pub(super) fn holds(&self, name: &Name) -> bool {
        self.all.contains_key(name)
    }

    /// The routes over an interface, by where they come from; those of one origin, if that is given.
    pub(super) fn of(
        &self,
        on: InterfaceId,
        origin: Option<Origin>,
    ) -> impl Iterator<Item = RouteInfo> + '_ {
        let first = Name::first(on, origin.unwrap_or(Origin::Given));
        let meant =
            move |name: &Name| name.on == on && origin.is_none_or(|origin| name.origin == origin);
        let found = self
            .all
            .range(first..)
            .take_while(move |(name, _)| meant(name));
        found.filter_map(|(name, place)| {
            Some(RouteInfo {
                on: name.on,
                to: name.to()?,
                via: name.via,
                origin: name.origin,
                preference: place.preference,
            })
        })
    }

    /// Is it the gateway of a route?
    pub(crate) fn is_gateway(&self, on: InterfaceId, address: IpAddr) -> bool {
        self.gateways.contains_key(&(on, address))
    }

    /// The link of an interface goes up or down: while it is down, other ways are as good as any.
    pub(super) fn set_link(&mut self, on: InterfaceId, up: bool) {
        self.recent.forget();
        if up {
            self.down.remove(&on);
        } else {
            self.down.insert(on);
        }
    }

    /// The interface and next hop for `dst`, on `scope` only when that is given.
    ///
    /// Among the routes of the longest prefix the first whose gateway is not known to be dead, and whose
    /// link is up, is taken, else the first.
    pub(crate) fn lookup(
        &self,
        now: Instant,
        dst: IpAddr,
        scope: Option<InterfaceId>,
    ) -> Option<(InterfaceId, IpAddr)> {
        let entry = self.entry(now, dst, scope)?;
        Some((entry.on, entry.via.unwrap_or(dst)))
    }

    /// The same without a scope, for who asks for each packet: the next one's answer is the same, nearly always.
    pub(crate) fn lookup_often(
        &mut self,
        now: Instant,
        dst: IpAddr,
    ) -> Option<(InterfaceId, IpAddr)> {
        let entry = match self.recent.find(dst) {
            Some(entry) => entry,
            None => {
                let (entry, first) = self.judged(now, dst, None)?;
                let entry = *entry;
                // Who is dead is so for a time; who lives does until there is word.
                if first && self.is_alive(now, &entry) {
                    self.recent.put(dst, entry);
                }
                entry
            }
        };
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
        self.judged(now, dst, scope).map(|(entry, _)| entry)
    }

    /// The route that is taken, and whether it is the first of its prefix.
    #[inline]
    fn judged(
        &self,
        now: Instant,
        dst: IpAddr,
        scope: Option<InterfaceId>,
    ) -> Option<(&Entry, bool)> {
        let table = if dst.is_ipv4() { &self.v4 } else { &self.v6 };
        let tree = match scope {
            Some(on) => table.scoped.get(on.index())?,
            None => &table.all,
        };
        let entries = tree.longest(Prefix::host(dst))?;
        let (_, first) = entries.first_key_value()?;
        // On one interface all are as much down as the first.
        let all_down = scope.is_some_and(|on| self.down.contains(&on));
        if all_down || self.is_alive(now, first) {
            return Some((first, true));
        }
        let mut others = entries.values().take(MOST_TRIED).skip(1);
        let alive = others.find(|entry| self.is_alive(now, entry));
        Some(alive.map_or((first, true), |alive| (alive, false)))
    }

    fn is_alive(&self, now: Instant, entry: &Entry) -> bool {
        let dead = |via| self.is_dead(now, entry.on, via);
        !entry.via.is_some_and(dead) && !self.down.contains(&entry.on)
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
        route.is_some_and(direct) || self.is_gateway(on, address)
    }

    /// This neighbour did not answer: if it is a gateway, others come first for a while.
    pub(super) fn gateway_failed(
        &mut self,
        now: Instant,
        on: InterfaceId,
        gateway: IpAddr,
    ) -> Failed {
        if !self.is_gateway(on, gateway) {
            return Failed::NoGateway;
        }
        self.recent.forget();
        match self.dead.insert((on, gateway), now + DEAD_FOR) {
            None => Failed::Now,
            Some(_) => Failed::Again,
        }
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

    fn add(routes: &mut Routes, to: &str, index: usize, via: Option<&str>) {
        let name = Name::new(on(index), cidr(to), via.map(ip), Origin::Given);
        assert!(routes.add(name, Preference::High));
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let mut routes = Routes::default();
        add(&mut routes, "0.0.0.0/0", 0, Some("10.0.0.254"));
        add(&mut routes, "10.0.0.0/24", 0, None);
        add(&mut routes, "10.0.0.128/25", 1, None);
        add(&mut routes, "::/0", 1, Some("fe80::1"));
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

    /// What was looked up is not remembered longer than it holds.
    #[test]
    fn who_asks_often_is_told_the_same() {
        let mut routes = Routes::default();
        let far = ip("8.8.8.8");
        let check = |routes: &mut Routes, at: Instant, expected: Option<&str>| {
            for _ in 0..2 {
                let found = routes.lookup_often(at, far);
                assert_eq!(found, routes.lookup(at, far, None));
                assert_eq!(found.map(|(_, hop)| hop), expected.map(ip));
            }
        };
        let start = Instant::from_millis(1000);
        check(&mut routes, start, None);
        add(&mut routes, "0.0.0.0/0", 0, Some("10.0.0.254"));
        add(&mut routes, "0.0.0.0/0", 1, Some("10.1.0.254"));
        check(&mut routes, start, Some("10.0.0.254"));
        routes.gateway_failed(start, on(0), ip("10.0.0.254"));
        check(&mut routes, start, Some("10.1.0.254"));
        assert!(routes.recent.find(far).is_none(), "it is so for a time");
        check(&mut routes, start + DEAD_FOR, Some("10.0.0.254"));
        // One that failed and was never heard again is no reason to look anew for each packet.
        routes.gateway_failed(start, on(1), ip("10.1.0.254"));
        check(&mut routes, start + DEAD_FOR, Some("10.0.0.254"));
        assert!(routes.recent.find(far).is_some());
        routes.gateway_answered(on(1), ip("10.1.0.254"));
        routes.gateway_answered(on(0), ip("10.0.0.254"));
        check(&mut routes, start, Some("10.0.0.254"));
        routes.set_link(on(0), false);
        check(&mut routes, start, Some("10.1.0.254"));
        routes.set_link(on(0), true);
        check(&mut routes, start, Some("10.0.0.254"));
        add(&mut routes, "8.8.8.0/24", 1, None);
        check(&mut routes, start, Some("8.8.8.8"));
        routes.remove_all(on(1));
        check(&mut routes, start, Some("10.0.0.254"));
    }

    /// Covers: IP4-40, IP4-42 (several gateways; a dead one is replaced and tried again later).
    #[test]
    fn a_dead_gateway_gives_way_for_a_while() {
        let mut routes = Routes::default();
        let (first, second) = (ip("10.0.0.1"), ip("10.0.0.2"));
        add(&mut routes, "0.0.0.0/0", 0, Some("10.0.0.1"));
        add(&mut routes, "0.0.0.0/0", 0, Some("10.0.0.2"));
        let via = |routes: &Routes, at| routes.lookup(at, ip("8.8.8.8"), None).unwrap().1;
        let now = Instant::from_millis(5);
        assert_eq!(via(&routes, now), first);
        routes.gateway_failed(now, on(0), first);
        assert_eq!(via(&routes, now), second);
        routes.gateway_failed(now, on(0), second);
        assert_eq!(via(&routes, now), first, "all dead: the first");
        assert_eq!(via(&routes, now + DEAD_FOR), first);
    }

    /// Among those of one prefix the preference decides, and then who came first, whatever came and went
    /// between; one that is added again moves.
    #[test]
    fn preference_comes_before_the_order_of_adding() {
        let mut routes = Routes::default();
        let default = cidr("::/0");
        let name = |via: &str, origin| Name::new(on(0), default, Some(ip(via)), origin);
        let via = |routes: &Routes| {
            let found = routes.lookup(Instant::ZERO, ip("2001:db8::1"), None);
            found.map(|(_, via)| via.to_string())
        };
        let (low, medium) = (
            name("fe80::1", Origin::Router),
            name("fe80::2", Origin::Router),
        );
        assert!(routes.add(low, Preference::Low));
        assert_eq!(via(&routes).as_deref(), Some("fe80::1"));
        assert!(routes.add(medium, Preference::Medium));
        assert_eq!(via(&routes).as_deref(), Some("fe80::2"));
        assert!(!routes.add(medium, Preference::Medium), "as it was");
        assert!(routes.add(low, Preference::High), "it moves");
        assert_eq!(via(&routes).as_deref(), Some("fe80::1"));
        assert_eq!(routes.len(), 2);
        assert!(routes.add(medium, Preference::High));
        assert_eq!(via(&routes).as_deref(), Some("fe80::1"), "it came first");
        assert!(routes.remove(&low) && !routes.remove(&low));
        assert_eq!(via(&routes).as_deref(), Some("fe80::2"));
        // Another origin's is another route.
        let given = name("fe80::2", Origin::Given);
        assert!(routes.add(given, Preference::High));
        assert!(routes.remove(&medium));
        assert!(routes.is_gateway(on(0), ip("fe80::2")));
        assert_eq!(via(&routes).as_deref(), Some("fe80::2"));
        assert!(routes.remove(&given));
        assert_eq!((via(&routes), routes.len()), (None, 0));
        assert!(!routes.is_gateway(on(0), ip("fe80::2")));
    }

    /// What is asked of one origin is that origin's, in an order of its own.
    #[test]
    fn routes_are_listed_by_origin() {
        let mut routes = Routes::default();
        add(&mut routes, "10.9.0.0/16", 0, Some("10.0.0.254"));
        add(&mut routes, "10.8.0.0/16", 1, None);
        let own = Name::connected(on(0), cidr("10.0.0.7/24"), Origin::Dhcp);
        assert!(routes.add(own, Preference::High));
        let to = Name::new(on(0), cidr("0.0.0.0/0"), Some(ip("10.0.0.1")), Origin::Dhcp);
        assert!(routes.add(to, Preference::Medium));
        let listed = |origin| {
            let found = routes.of(on(0), origin).map(|route| route.to.to_string());
            found.collect::<Vec<_>>()
        };
        assert_eq!(listed(Some(Origin::Dhcp)), ["0.0.0.0/0", "10.0.0.0/24"]);
        assert_eq!(listed(Some(Origin::Router)), [""; 0]);
        assert_eq!(listed(None), ["10.9.0.0/16", "0.0.0.0/0", "10.0.0.0/24"]);
    }

    /// A link that is down is like a gateway that is dead: what leads there otherwise is taken.
    #[test]
    fn a_link_that_is_down_gives_way() {
        let mut routes = Routes::default();
        add(&mut routes, "0.0.0.0/0", 0, Some("10.0.0.1"));
        add(&mut routes, "0.0.0.0/0", 1, Some("10.1.0.1"));
        let over = |routes: &Routes| routes.lookup(Instant::ZERO, ip("8.8.8.8"), None).unwrap().0;
        assert_eq!(over(&routes), on(0));
        routes.set_link(on(0), false);
        assert_eq!(over(&routes), on(1));
        routes.set_link(on(1), false);
        assert_eq!(over(&routes), on(0), "both: the first");
        routes.set_link(on(0), true);
        assert_eq!(over(&routes), on(0));
    }

    /// However many routes lead to one network, few of them are looked at for one that is alive.
    #[test]
    fn a_look_for_what_is_alive_is_bounded() {
        let mut routes = Routes::default();
        let net = |n: usize| Cidr::new(ip(&format!("10.0.{}.{}", n / 256, n % 256)), 8).unwrap();
        let over = |routes: &Routes| {
            routes
                .lookup(Instant::ZERO, ip("10.9.9.9"), None)
                .unwrap()
                .0
        };
        let fill = |routes: &mut Routes, index, numbers: core::ops::Range<usize>| {
            for n in numbers {
                let name = Name::connected(on(index), net(n), Origin::Given);
                assert!(routes.add(name, Preference::High));
            }
        };
        fill(&mut routes, 0, 0..MOST_TRIED - 1);
        fill(&mut routes, 1, 5000..5001);
        routes.set_link(on(0), false);
        assert_eq!(over(&routes), on(1), "the last that is looked at");
        assert!(routes.remove(&Name::connected(on(1), net(5000), Origin::Given)));
        fill(&mut routes, 0, MOST_TRIED - 1..5000);
        fill(&mut routes, 1, 5000..5001);
        assert_eq!(over(&routes), on(0));
        let scoped = routes.lookup(Instant::ZERO, ip("10.9.9.9"), Some(on(0)));
        assert_eq!(scoped.map(|found| found.0), Some(on(0)));
    }
}
