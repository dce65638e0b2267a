//! The DNS servers that the network tells of.
//!
//! RFC 2132 §3.8 (a lease's), RFC 8106 §5.1, §5.3.1 (routers'). *Owns* which of them are asked, and in what order. *Does not*
//! ask. Those of the lease come first, and some of either are kept where there are too many.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use crate::dns::{MAX_SERVERS, PORT};
use crate::stack::{InterfaceId, Stack};

/// So many at most of those that routers tell of come at the cost of the lease's.
const OF_ROUTERS: usize = MAX_SERVERS / 2;

/// Whom to ask, the first one first: as many as a resolver takes. Of several interfaces the one that came first comes first.
pub(super) fn told_servers(stack: &Stack) -> Vec<SocketAddr> {
    let leases = stack.interfaces().filter_map(|on| stack.lease(on));
    let leased = leases.flat_map(|lease| &lease.dns_servers);
    let leased = leased.copied().filter(|&ip| is_a_host(ip));
    let leased = leased.map(|ip| SocketAddr::new(IpAddr::V4(ip), PORT));
    let told = |on: InterfaceId| stack.told_dns_servers(on).map(move |ip| (on, ip));
    let routers = stack.interfaces().flat_map(told).map(|(on, ip)| {
        // A link-local one is on this link.
        let scope = if ip.is_unicast_link_local() {
            on.scope()
        } else {
            0
        };
        SocketAddr::V6(SocketAddrV6::new(ip, PORT, 0, scope))
    });
    in_order(leased, routers)
}

/// The lease's, then the routers', each once.
fn in_order(
    leased: impl Iterator<Item = SocketAddr>,
    routers: impl Iterator<Item = SocketAddr>,
) -> Vec<SocketAddr> {
    let routers: Vec<SocketAddr> = routers.take(MAX_SERVERS).collect();
    let room = MAX_SERVERS - routers.len().min(OF_ROUTERS);
    let mut all = Vec::with_capacity(MAX_SERVERS);
    for server in leased {
        if all.len() < room && !all.contains(&server) {
            all.push(server);
        }
    }
    all.extend(routers);
    all.truncate(MAX_SERVERS);
    all
}

/// Can it be another host's address?
fn is_a_host(ip: Ipv4Addr) -> bool {
    let nobody = ip.octets()[0] == 0 || ip.is_loopback() || ip.is_multicast();
    !nobody && !ip.is_broadcast()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/limits.md: eight at most, the lease's first, and some of either.
    #[test]
    fn some_of_either_are_kept() {
        let lease = |n: u8| SocketAddr::new(Ipv4Addr::new(10, 0, 0, n).into(), PORT);
        let router = |n: u16| SocketAddr::new([0xfd00, 0, 0, 0, 0, 0, 0, n].into(), PORT);
        for (of_lease, of_routers, kept) in [
            (0, 0, (0, 0)),
            (2, 1, (2, 1)),
            (2, 8, (2, 6)),
            (200, 1, (7, 1)),
            (200, 8, (4, 4)),
            (200, 0, (8, 0)),
            (0, 8, (0, 8)),
        ] {
            // Each is told twice.
            let leased = (0..of_lease).flat_map(|n| [lease(n); 2]);
            let all = in_order(leased, (0..of_routers).map(router));
            let wanted = (0..kept.0).map(lease).chain((0..kept.1).map(router));
            assert_eq!(all, wanted.collect::<Vec<_>>(), "{of_lease} {of_routers}");
        }
    }

    #[test]
    fn nobody_is_no_server() {
        for (ip, host) in [
            ("10.0.0.1", true),
            ("192.168.7.255", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("127.0.0.53", false),
            ("224.0.0.251", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(is_a_host(ip.parse().unwrap()), host, "{ip}");
        }
    }
}
