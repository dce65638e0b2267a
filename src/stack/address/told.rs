//! Which routers tell of the prefixes that addresses are made of: what goes over a router goes from one of its own.
//!
//! RFC 6724 §5 rule 5.5, RFC 8028 §3.3. *Owns* who told of what. *Does not* choose: `source` does. Invariant: it holds default
//! routers alone and prefixes of which there is an address alone, so that what is bounded there is bounded here.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet};

use super::source::{Candidate, Sources};
use super::{Address, AddressState, Addresses, Origin};
use crate::base::Cidr;

/// The first half of an IPv6 address.
type Network = u64;

/// Networks by who tells of them, and addresses by their networks.
#[derive(Debug, Default)]
pub(super) struct Told {
    routers: BTreeMap<Ipv6Addr, BTreeSet<Network>>,
    numbers: BTreeMap<Network, BTreeSet<u64>>,
}

impl Told {
    /// There is a new address, which has this number.
    pub(super) fn add(&mut self, number: u64, cidr: Cidr, origin: Origin) {
        if let (Origin::Router | Origin::Temporary, IpAddr::V6(own)) = (origin, cidr.address()) {
            self.numbers.entry(network(own)).or_default().insert(number);
        }
    }

    /// It is gone. With the last of a network goes what is known of that.
    pub(super) fn remove(&mut self, number: u64, cidr: Cidr) {
        let IpAddr::V6(own) = cidr.address() else {
            return;
        };
        let Some(numbers) = self.numbers.get_mut(&network(own)) else {
            return;
        };
        numbers.remove(&number);
        if numbers.is_empty() {
            self.numbers.remove(&network(own));
            self.routers.retain(|_, networks| {
                networks.remove(&network(own));
                !networks.is_empty()
            });
        }
    }

    /// The addresses of the networks that this router tells of.
    fn numbers(&self, router: IpAddr) -> impl Iterator<Item = u64> + '_ {
        let networks = match router {
            IpAddr::V6(router) => self.routers.get(&router),
            IpAddr::V4(_) => None,
        };
        let networks = networks.into_iter().flatten();
        let numbers = networks.filter_map(|network| self.numbers.get(network));
        numbers.flatten().copied()
    }
}

impl Addresses {
    /// A default router tells of a prefix of ours, or no more; does that change anything?
    pub(in crate::stack) fn set_told(
        &mut self,
        router: Ipv6Addr,
        prefix: Ipv6Addr,
        is_told: bool,
    ) -> bool {
        let Told { routers, numbers } = &mut self.told;
        let network = network(prefix);
        if is_told && numbers.contains_key(&network) {
            return routers.entry(router).or_default().insert(network);
        }
        let networks = routers.get_mut(&router);
        networks.is_some_and(|networks| networks.remove(&network))
    }

    /// It is a default router no more.
    pub(in crate::stack) fn forget_told(&mut self, router: Ipv6Addr) {
        self.told.routers.remove(&router);
    }

    /// The best source to reach `dst` over `next_hop`. A tentative address is better than none: the
    /// packet waits until it may be used.
    pub(crate) fn source(&self, dst: IpAddr, next_hop: IpAddr) -> Option<IpAddr> {
        let in_use =
            |a: &Address| (a.is_in_use() || a.state == AddressState::Optimistic) && !a.anycast;
        let tentative = |a: &Address| a.state == AddressState::Tentative;
        let number = self.best(&self.in_use, (dst, next_hop), in_use);
        let number = number.or_else(|| self.best(&self.tentative, (dst, next_hop), tentative))?;
        self.all.get(&number).map(|a| a.cidr.address())
    }

    /// The number of the best of those that `fits` is true of.
    fn best(
        &self,
        sources: &Sources,
        (dst, next_hop): (IpAddr, IpAddr),
        fits: impl Fn(&Address) -> bool,
    ) -> Option<u64> {
        let told = self.told.numbers(next_hop).filter_map(|number| {
            let address = self.all.get(&number).filter(|a| fits(a))?;
            Some(Candidate {
                number,
                cidr: address.cidr,
                standing: address.standing(),
            })
        });
        sources.select(dst, next_hop, told)
    }
}

fn network(address: Ipv6Addr) -> Network {
    let [a, b, c, d, ..] = address.segments().map(u64::from);
    a << 48 | b << 32 | c << 16 | d
}
