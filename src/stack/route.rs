//! Routes: longest prefix first, several gateways, and the choice of the source address.
//!
//! RFC 1122 §3.3.1 (next hop, dead gateways), RFC 6724 §5 (IPv6 sources). *Owns* the table.
//! *Does not* own addresses: interfaces do.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use super::demux::is_link_local;
use super::ids::InterfaceId;
use crate::base::{Cidr, Instant};

/// How long a gateway that did not answer stands behind the others (RFC 1122 §3.3.1.4); our choice.
const DEAD_FOR: Duration = Duration::from_secs(60);

/// Where packets to a destination go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) on: InterfaceId,
    /// The destination itself, or a router.
    pub(crate) next_hop: IpAddr,
    /// The address to send from.
    pub(crate) source: IpAddr,
    /// The largest IP packet, in bytes.
    pub(crate) mtu: usize,
}

/// Why there is no way to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// No route covers the destination.
    #[error("no route to {0}")]
    NoRoute(IpAddr),
    /// The interface of the route has no address of this family to send from.
    #[error("no address to reach {0} from")]
    NoSource(IpAddr),
    /// A link-local address without the interface that it belongs to, and there are several.
    #[error("{0} is link-local and needs the number of an interface")]
    NoScope(IpAddr),
    /// Unspecified or loopback: never on the wire (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2).
    #[error("{0} cannot be sent to")]
    Destination(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    to: Cidr,
    on: InterfaceId,
    via: Option<IpAddr>,
    dead_until: Instant,
}

/// The table of routes, longest prefix first, in the order given within one length.
#[derive(Debug, Default)]
pub(crate) struct Routes(Vec<Entry>);

impl Routes {
    /// Adds a route behind those of the same prefix length.
    pub(crate) fn add(&mut self, to: Cidr, on: InterfaceId, via: Option<IpAddr>) {
        self.0.push(Entry {
            to,
            on,
            via,
            dead_until: Instant::ZERO,
        });
        self.0.sort_by_key(|entry| Reverse(entry.to.prefix()));
    }

    /// The interface and next hop for `dst`, on `scope` only when that is given.
    ///
    /// Among the longest prefixes the first whose gateway is not known to be dead is taken, else the
    /// first.
    pub(crate) fn lookup(
        &self,
        now: Instant,
        dst: IpAddr,
        scope: Option<InterfaceId>,
    ) -> Option<(InterfaceId, IpAddr)> {
        let fits = |e: &&Entry| e.to.contains(dst) && scope.is_none_or(|on| on == e.on);
        let best = self.0.iter().find(fits)?;
        let alive = self
            .0
            .iter()
            .filter(fits)
            .take_while(|e| e.to.prefix() == best.to.prefix())
            .find(|e| e.dead_until <= now);
        let entry = alive.unwrap_or(best);
        Some((entry.on, entry.via.unwrap_or(dst)))
    }

    /// Do routes lead to `address` itself, or over it?
    pub(crate) fn is_neighbour(&self, now: Instant, on: InterfaceId, address: IpAddr) -> bool {
        let gateway = |e: &Entry| e.on == on && e.via == Some(address);
        self.0.iter().any(gateway) || self.lookup(now, address, Some(on)) == Some((on, address))
    }

    /// This router did not answer: others come first for a while.
    pub(crate) fn gateway_failed(&mut self, now: Instant, on: InterfaceId, gateway: IpAddr) {
        for entry in &mut self.0 {
            if entry.on == on && entry.via == Some(gateway) {
                entry.dead_until = now + DEAD_FOR;
            }
        }
    }
}

/// The best of `candidates` (address and prefix length) to reach `dst` over `next_hop`.
pub(crate) fn select_source(
    candidates: impl Iterator<Item = Cidr>,
    dst: IpAddr,
    next_hop: IpAddr,
) -> Option<IpAddr> {
    let same_family = candidates.filter(|c| c.address().is_ipv4() == dst.is_ipv4());
    // `min_by_key` keeps the first of equals: the order of configuration decides then.
    same_family
        .min_by_key(|candidate| rank(*candidate, dst, next_hop))
        .map(Cidr::address)
}

/// RFC 6724 §5 as a key, least is best: rules 1, 2, 6 and 8. Rules 3, 4, 5.5 and 7 have nothing to
/// tell apart (nothing is deprecated, mobile or temporary here), and rule 5 holds for all
/// candidates. For IPv4: the address whose network holds the next hop (RFC 1122 §3.3.4.3).
fn rank(candidate: Cidr, dst: IpAddr, next_hop: IpAddr) -> (bool, u8, bool, u8) {
    match (candidate.address(), dst) {
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            let (have, want) = (scope(source), scope(to));
            // Rule 2: the smallest scope that reaches; else the largest that does not.
            let reach = if have >= want { have - want } else { 32 - have };
            let common = (source.to_bits() ^ to.to_bits()).leading_zeros();
            let common = u8::try_from(common).unwrap_or(128).min(candidate.prefix());
            (
                source != to,
                reach,
                label(source) != label(to),
                128 - common,
            )
        }
        (source, to) => (source != to, 0, !candidate.contains(next_hop), 0),
    }
}

/// RFC 6724 §3.1: the scope of an address, in the numbers of RFC 4291 §2.7.
fn scope(address: Ipv6Addr) -> u8 {
    if address.is_multicast() {
        address.octets()[1] & 0x0f
    } else if is_link_local(IpAddr::V6(address)) || address.is_loopback() {
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
        ];
        #[rustfmt::skip]
        let rows = [
            ("2001:db8:2::9", "2001:db8:2::9", "2001:db8:2::1", "rule 8, longest prefix"),
            ("2001:db8:1::9", "2001:db8:1::9", "2001:db8:1::1", "rule 8"),
            ("fd00::9",       "fd00::9",       "fd00::1",       "rule 6, label"),
            ("2002:b00::1",   "fe80::9",       "2002:a00:1::1", "rule 6, label"),
            ("fe80::9",       "fe80::9",       "fe80::1",       "rule 2, scope"),
            ("ff02::1",       "ff02::1",       "fe80::1",       "rule 2, scope"),
            ("ff0e::1",       "ff0e::1",       "2001:db8:1::1", "rule 6 and then the longest prefix"),
            ("fd00::1",       "fd00::1",       "fd00::1",       "rule 1"),
            ("10.0.0.9",      "10.0.0.9",      "10.0.0.1",      "network of the next hop"),
            ("8.8.8.8",       "192.168.0.254", "192.168.0.1",   "network of the next hop"),
        ];
        for (dst, hop, expected, why) in rows {
            let candidates = all.iter().map(|text| cidr(text));
            let source = select_source(candidates, ip(dst), ip(hop));
            if dst == "ff0e::1" {
                // Labels differ for none or all: only that a global one is taken matters.
                assert_ne!(source, Some(ip("fe80::1")), "{why}");
            } else {
                assert_eq!(source, Some(ip(expected)), "{dst}: {why}");
            }
        }
        let only_v4 = [cidr("10.0.0.1/24")].into_iter();
        assert_eq!(select_source(only_v4, ip("fd00::1"), ip("fd00::1")), None);
    }
}
