//! The default routers of a link, and the routes that routers tell of.
//!
//! RFC 4861 §6.3.4, RFC 4191 §2.2, §2.3, §3.1 (a host of type C). *Owns* both lists. *Does not* choose among them: routes do,
//! by preference and by who answers.

use core::net::{IpAddr, Ipv6Addr};

use super::{Action, Actions, earliest, end, is_ordinary};
use crate::base::{Cidr, Instant};
use crate::ipv6::ndp::Preference;

/// Default routers at most.
pub(crate) const MAX_ROUTERS: usize = 16;
/// Routes to other prefixes at most.
pub(crate) const MAX_ROUTES: usize = 32;

/// A default router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Router {
    pub(crate) address: Ipv6Addr,
    pub(crate) preference: Preference,
    pub(crate) until: Instant,
}

/// A route to a prefix over a router.
#[derive(Clone, Copy, Debug)]
struct Route {
    to: Cidr,
    via: Ipv6Addr,
    preference: Preference,
    until: Instant,
}

/// The lists, each in the order in which its entries were told.
#[derive(Debug, Default)]
pub(super) struct Routers {
    defaults: Vec<Router>,
    routes: Vec<Route>,
}

impl Routers {
    /// A router says for how long it is a default router; returns whether there was room.
    pub(super) fn on_default(
        &mut self,
        now: Instant,
        address: Ipv6Addr,
        (lifetime, preference): (u32, Preference),
        out: &mut Actions,
    ) -> bool {
        let place = self.defaults.iter().position(|r| r.address == address);
        let until = end(now, lifetime);
        match place {
            // RFC 4861 §6.3.4: at once.
            Some(place) if lifetime == 0 => lose(&self.defaults.remove(place), out),
            Some(place) => {
                let known = &mut self.defaults[place];
                known.until = until;
                if known.preference != preference {
                    known.preference = preference;
                    out.extend(everywhere().map(|to| add(to, Some(address), preference)));
                }
            }
            None if lifetime == 0 => {}
            None if self.defaults.len() >= MAX_ROUTERS => return false,
            None => {
                self.defaults.push(Router {
                    address,
                    preference,
                    until,
                });
                out.extend(everywhere().map(|to| add(to, Some(address), preference)));
                out.push_back(Action::RouterFound(address));
            }
        }
        true
    }

    /// A router tells of a prefix behind it (RFC 4191 §2.3); returns whether there was room.
    pub(super) fn on_route(
        &mut self,
        now: Instant,
        (via, prefix, len): (Ipv6Addr, Ipv6Addr, u8),
        (lifetime, preference): (u32, Preference),
        out: &mut Actions,
    ) -> bool {
        // What is told of everywhere was heeded before (RFC 4191 §3.1). §2.3: a reserved preference: ignored.
        let ignored = len == 0 || preference == Preference::Reserved || !is_ordinary(prefix);
        let Some(to) = network(prefix, len).filter(|_| !ignored) else {
            return true;
        };
        let mut all = self.routes.iter();
        let place = all.position(|route| (route.to, route.via) == (to, via));
        let until = end(now, lifetime);
        match place {
            Some(place) if lifetime == 0 => {
                self.routes.remove(place);
                out.push_back(remove(to, Some(via)));
            }
            Some(place) => {
                let known = &mut self.routes[place];
                known.until = until;
                if known.preference != preference {
                    known.preference = preference;
                    out.push_back(add(to, Some(via), preference));
                }
            }
            None if lifetime == 0 => {}
            None if self.routes.len() >= MAX_ROUTES => return false,
            None => {
                self.routes.push(Route {
                    to,
                    via,
                    preference,
                    until,
                });
                out.push_back(add(to, Some(via), preference));
            }
        }
        true
    }

    /// It is no router: neither by default nor for any prefix.
    pub(super) fn remove(&mut self, address: Ipv6Addr, out: &mut Actions) {
        self.take_away(
            |router| router.address == address,
            |route| route.via == address,
            out,
        );
    }

    pub(super) fn expire(&mut self, now: Instant, out: &mut Actions) {
        self.take_away(
            |router| router.until <= now,
            |route| route.until <= now,
            out,
        );
    }

    pub(super) fn forget(&mut self, out: &mut Actions) {
        self.take_away(|_| true, |_| true, out);
    }

    fn take_away(
        &mut self,
        router: impl Fn(&Router) -> bool,
        route: impl Fn(&Route) -> bool,
        out: &mut Actions,
    ) {
        self.defaults.retain(|known| {
            let goes = router(known);
            if goes {
                lose(known, out);
            }
            !goes
        });
        self.routes.retain(|known| {
            let goes = route(known);
            if goes {
                out.push_back(remove(known.to, Some(known.via)));
            }
            !goes
        });
    }

    /// When the first of them ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let routers = self.defaults.iter().map(|router| router.until);
        let routes = self.routes.iter().map(|route| route.until);
        earliest(routers.chain(routes))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.defaults.is_empty()
    }

    pub(super) fn knows(&self, address: Ipv6Addr) -> bool {
        let tells = |route: &Route| route.via == address;
        self.is_default(address) || self.routes.iter().any(tells)
    }

    pub(super) fn is_default(&self, address: Ipv6Addr) -> bool {
        self.defaults.iter().any(|router| router.address == address)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Router> + '_ {
        self.defaults.iter().copied()
    }
}

fn lose(router: &Router, out: &mut Actions) {
    out.extend(everywhere().map(|to| remove(to, Some(router.address))));
    out.push_back(Action::RouterLost(router.address));
}

pub(super) const fn add(to: Cidr, via: Option<Ipv6Addr>, preference: Preference) -> Action {
    Action::AddRoute {
        to,
        via,
        preference,
    }
}

pub(super) const fn remove(to: Cidr, via: Option<Ipv6Addr>) -> Action {
    Action::RemoveRoute { to, via }
}

/// The network with so many leading bits; `None`: there are not as many.
pub(super) fn network(prefix: Ipv6Addr, len: u8) -> Option<Cidr> {
    let mask = u128::MAX.checked_shl(128_u32.checked_sub(len.into())?);
    let bits = prefix.to_bits() & mask.unwrap_or(0);
    Cidr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), len).ok()
}

/// `::/0`.
fn everywhere() -> Option<Cidr> {
    network(Ipv6Addr::UNSPECIFIED, 0)
}
