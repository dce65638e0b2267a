//! What users are told of routers.
//!
//! *Owns* the words. *Does not* own what is told: the interface's discovery does.

use core::net::{IpAddr, Ipv6Addr};

use crate::base::Instant;
use crate::dhcp6::{MAX_DOMAINS, MAX_SERVERS};
use crate::ipv6::discovery::Discovery;
use crate::ipv6::ndp::{self, RouterFlags};
use crate::stack::Stack;
use crate::stack::address::Origin;
use crate::stack::ids::InterfaceId;
use crate::stack::path::Preference;

/// A default router that speaks on the link (RFC 4861 §6.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterInfo {
    /// Its link-local address.
    pub address: IpAddr,
    /// How much it is preferred (RFC 4191 §2.2).
    pub preference: Preference,
    /// For how long it is a default router, if it says nothing more; [`Instant::FAR_FUTURE`]: for ever.
    pub until: Instant,
}

impl Stack {
    fn told_on(&self, on: InterfaceId) -> Option<&Discovery> {
        self.net.interfaces.get(on.index())?.discovery.as_deref()
    }

    /// The default routers that were heard on an interface, in the order in which they were found: 16 at most.
    pub fn routers(&self, on: InterfaceId) -> impl Iterator<Item = RouterInfo> + '_ {
        let all = self.told_on(on).into_iter().flat_map(Discovery::routers);
        all.map(|router| RouterInfo {
            address: IpAddr::V6(router.address),
            preference: match router.preference {
                ndp::Preference::High => Preference::High,
                ndp::Preference::Medium | ndp::Preference::Reserved => Preference::Medium,
                ndp::Preference::Low => Preference::Low,
            },
            until: router.until,
        })
    }

    /// Are addresses to be made of what routers say, and there is none yet beside the link-local one, nor was any given?
    pub fn awaits_router(&self, on: InterfaceId) -> bool {
        let Some(interface) = self.net.interfaces.get(on.index()) else {
            return false;
        };
        let makes = |discovery: &Discovery| discovery.makes_addresses();
        let mut all = interface.addresses.iter();
        interface.discovery.as_deref().is_some_and(makes)
            && all.all(|address| address.origin == Origin::Formed)
    }

    /// Is there no address yet of those that others are to give: a DHCP server or, if they are asked too, routers?
    pub(crate) fn awaits_address(&self, on: InterfaceId) -> bool {
        let (lease, router) = (self.awaits_lease(on), self.awaits_router(on));
        let makes = |discovery: &Discovery| discovery.makes_addresses();
        if self.told_on(on).is_some_and(makes) && self.runs_dhcp(on) {
            lease && router
        } else {
            lease || router
        }
    }

    /// The recursive DNS servers that a DHCPv6 server told of (RFC 3646 §3), and then routers (RFC 8106 §5.1), 8 at most: up to
    /// 4 of the former give way to the latter (§5.3.1). A link-local one is on this interface.
    pub fn told_dns_servers(&self, on: InterfaceId) -> impl Iterator<Item = Ipv6Addr> + '_ {
        let told = self.told_information(on);
        let first = told.map_or(&[][..], |told| &told.dns_servers);
        let then = || {
            self.told_on(on)
                .into_iter()
                .flat_map(Discovery::dns_servers)
        };
        let then_new = move || then().filter(|server| !first.contains(server));
        let kept = MAX_SERVERS - then_new().count().min(MAX_SERVERS / 2);
        let first_kept = first.iter().copied().take(kept);
        first_kept.chain(then_new()).take(MAX_SERVERS)
    }

    /// The search domains that they told of (RFC 3646 §4, RFC 8106 §5.2), in the same order and 8 at most, without a dot at the
    /// end.
    pub fn told_dns_domains(&self, on: InterfaceId) -> impl Iterator<Item = &str> + '_ {
        let told = self.told_information(on);
        let first = told.map_or(&[][..], |told| &told.dns_domains);
        let then = || {
            self.told_on(on)
                .into_iter()
                .flat_map(Discovery::dns_domains)
        };
        let is_new = move |name: &&str| !first.iter().any(|f| f.eq_ignore_ascii_case(name));
        let kept = MAX_DOMAINS - then().filter(is_new).count().min(MAX_DOMAINS / 2);
        let first_kept = first.iter().map(String::as_str).take(kept);
        first_kept.chain(then().filter(is_new)).take(MAX_DOMAINS)
    }

    /// M and O of the last router advertisement (RFC 4861 §4.2): addresses, or other configuration, come by DHCPv6, which
    /// is spoken here for the latter alone ([`told_information`](Self::told_information)). Empty when none came.
    pub fn router_flags(&self, on: InterfaceId) -> RouterFlags {
        self.told_on(on)
            .map_or(RouterFlags::empty(), Discovery::flags)
    }
}
