//! A lease as the stack uses it: an address, routes, an MTU.
//!
//! RFC 2131 §4.4.5 (at its end a lease's address is not used any more), RFC 3442 (routes), RFC 2132 §5.1 (the MTU). *Owns* what
//! a lease brought, so that it goes with the lease. *Does not* judge a lease: [`crate::dhcp`] has.

use core::net::IpAddr;

use super::DhcpOptions;
use crate::base::{Cidr, Instant};
use crate::dhcp::Lease;
use crate::stack::address::{NewAddress, Origin};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::path::{NewRoute, Preference};

/// What a lease brought.
#[derive(Clone, Debug)]
pub(super) struct Used {
    cidr: Cidr,
    /// In the server's order.
    routes: Vec<(Cidr, Option<IpAddr>)>,
    mtu: Option<UsedMtu>,
}

/// An MTU that a lease brought, bytes.
#[derive(Clone, Copy, Debug)]
struct UsedMtu {
    /// What the lease says.
    said: usize,
    /// What it came to.
    set: usize,
    /// What was there before.
    before: usize,
}

impl Used {
    /// Begins to use a lease, in place of what the one before it brought: what is the same stays as it is, and with it who
    /// uses it.
    pub(super) fn take_up(
        lease: &Lease,
        before: Option<Self>,
        options: &DhcpOptions,
        (net, now, on): (&mut Net, Instant, InterfaceId),
    ) -> Self {
        let mut used = Self::address((&mut *net, now, on), lease.cidr(), before);
        let told = lease.routes.iter().filter(|_| options.use_routes);
        let routes = told.map(|route| (route.destination, route.router.map(IpAddr::V4)));
        let routes: Vec<_> = routes.collect();
        if routes != used.routes {
            used.replace_routes(net, on, routes);
        }
        let mtu = lease.mtu.filter(|_| options.use_mtu).map(usize::from);
        if mtu != used.mtu.map(|ours| ours.said) {
            used.replace_mtu(net, on, mtu);
        }
        used
    }

    /// With the address of the lease, and all else as it was.
    fn address(
        (net, now, on): (&mut Net, Instant, InterfaceId),
        cidr: Cidr,
        before: Option<Self>,
    ) -> Self {
        let mut probes = net.acd_probes(on);
        match before {
            Some(before) if before.cidr == cidr => return before,
            Some(before) => {
                // Another prefix: nobody else has the address for that.
                if before.cidr.address() == cidr.address() {
                    probes = 0;
                }
                before.give_up(net, now, on);
            }
            None => {}
        }
        let new = NewAddress {
            probes: Some(probes),
            ..NewAddress::new(cidr, Origin::Dhcp)
        };
        // One that the user gave too is there already, and stays.
        let _ = net.add_address(now, on, new);
        Self {
            cidr,
            routes: Vec::new(),
            mtu: None,
        }
    }

    /// The lease is over: all that it brought goes.
    pub(super) fn give_up(mut self, net: &mut Net, now: Instant, on: InterfaceId) {
        self.replace_routes(net, on, Vec::new());
        self.replace_mtu(net, on, None);
        let own = self.cidr.address();
        let known = net.interfaces[on.index()].addresses.get(own);
        if known.is_some_and(|address| address.origin == Origin::Dhcp) {
            let removed = net.remove_address(now, on, own);
            debug_assert!(removed.is_ok(), "{own} is there");
        }
    }

    fn replace_routes(
        &mut self,
        net: &mut Net,
        on: InterfaceId,
        routes: Vec<(Cidr, Option<IpAddr>)>,
    ) {
        for &(to, via) in &self.routes {
            // One that was refused, or told twice, is not there.
            let _ = net.remove_route(on, to, via, Origin::Dhcp);
        }
        for &(to, via) in &routes {
            let route = NewRoute {
                to,
                via,
                origin: Origin::Dhcp,
                // Behind those that the user gave, of the same prefix.
                preference: Preference::Medium,
            };
            // A router that is ourselves, by another address, say.
            let refused = net.add_route(on, route).is_err();
            net.counters.lease_routes_refused += u64::from(refused);
        }
        self.routes = routes;
    }

    fn replace_mtu(&mut self, net: &mut Net, on: InterfaceId, mtu: Option<usize>) {
        let interface = &net.interfaces[on.index()];
        let there = interface.mtu();
        let before = match self.mtu {
            Some(ours) if ours.set == there => ours.before,
            // None of ours, or the user's since.
            _ => there,
        };
        let wanted = match mtu {
            // No more than the device's, and 1280 at least where there is IPv6.
            Some(mtu) => mtu
                .max(interface.least_mtu())
                .min(interface.line.device_mtu()),
            None => before,
        };
        // Nothing that is refused: it is within the bounds.
        let _ = net.change_mtu(on, wanted);
        self.mtu = mtu.map(|said| UsedMtu {
            said,
            set: wanted,
            before,
        });
    }
}
