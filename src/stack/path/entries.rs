//! Routes that come and go while a stack runs.
//!
//! RFC 1122 §3.3.1. *Owns* what is refused, and that whoever keeps a path hears of each change. *Does not* own the
//! table: `routes` does.

use core::net::IpAddr;
use std::io;

use super::routes::{Name, NewRoute, Preference, RouteInfo};
use crate::base::Cidr;
use crate::stack::address::Origin;
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;

/// Why a route cannot be added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteChangeError {
    /// No such interface.
    #[error("the stack has no {0:?}")]
    Interface(InterfaceId),
    /// A gateway that cannot be a router's address: a group, a broadcast address, or our own.
    #[error(
        "{0} cannot be a gateway: it is our own, a group's or nobody's address; give a router's"
    )]
    Gateway(IpAddr),
    /// A gateway of the other family.
    #[error("the gateway of the route to {0} is of the other address family")]
    Family(Cidr),
    /// There is such a route.
    #[error("there is such a route to {0} already")]
    Exists(Cidr),
    /// There is none.
    #[error("there is no such route to {0}")]
    NotThere(Cidr),
}

impl From<RouteChangeError> for io::Error {
    fn from(error: RouteChangeError) -> Self {
        let kind = match error {
            RouteChangeError::Interface(_) | RouteChangeError::NotThere(_) => {
                io::ErrorKind::NotFound
            }
            RouteChangeError::Exists(_) => io::ErrorKind::AlreadyExists,
            RouteChangeError::Gateway(_) | RouteChangeError::Family(_) => {
                io::ErrorKind::InvalidInput
            }
        };
        Self::new(kind, error)
    }
}

impl Net {
    /// Adds a route behind those of the same prefix and preference; one of the same origin that is there
    /// gets this preference.
    pub(in crate::stack) fn add_route(
        &mut self,
        on: InterfaceId,
        route: NewRoute,
    ) -> Result<(), RouteChangeError> {
        let NewRoute {
            to,
            via,
            origin,
            preference,
        } = route;
        let interface = self.interfaces.added(on.index());
        let interface = interface.ok_or(RouteChangeError::Interface(on))?;
        if let Some(via) = via {
            let ours = interface.addresses.is_held(via);
            if ours || via.is_unspecified() || interface.groups.is_group(via) {
                return Err(RouteChangeError::Gateway(via));
            }
            if via.is_ipv4() != to.address().is_ipv4() {
                return Err(RouteChangeError::Family(to));
            }
        }
        self.enter_route(Name::new(on, to, via, origin), preference);
        Ok(())
    }

    /// The same of one that was judged.
    pub(in crate::stack) fn give_route(&mut self, on: InterfaceId, route: NewRoute) {
        let name = Name::new(on, route.to, route.via, route.origin);
        self.enter_route(name, route.preference);
    }

    fn enter_route(&mut self, name: Name, preference: Preference) {
        if self.paths.routes.add(name, preference) {
            self.paths.change();
        }
    }

    /// Takes a route away. What was sent there goes by what is left, from its next packet on.
    pub(in crate::stack) fn remove_route(
        &mut self,
        on: InterfaceId,
        to: Cidr,
        via: Option<IpAddr>,
        origin: Origin,
    ) -> Result<(), RouteChangeError> {
        if self.interfaces.added(on.index()).is_none() {
            return Err(RouteChangeError::Interface(on));
        }
        if !self.paths.routes.remove(&Name::new(on, to, via, origin)) {
            return Err(RouteChangeError::NotThere(to));
        }
        self.paths.change();
        Ok(())
    }

    /// Is there such a route?
    pub(in crate::stack) fn has_route(
        &self,
        on: InterfaceId,
        to: Cidr,
        via: Option<IpAddr>,
        origin: Origin,
    ) -> bool {
        self.paths.routes.holds(&Name::new(on, to, via, origin))
    }

    /// The routes over an interface; those of one origin, if that is given.
    pub(in crate::stack) fn routes_of(
        &self,
        on: InterfaceId,
        origin: Option<Origin>,
    ) -> impl Iterator<Item = RouteInfo> + '_ {
        self.paths.routes.of(on, origin)
    }

    /// The network of one of our addresses lies on this link.
    pub(in crate::stack) fn connect(&mut self, on: InterfaceId, own: Cidr, origin: Origin) {
        self.enter_route(Name::connected(on, own, origin), Preference::High);
    }

    /// That address is gone: what others say of the network stays.
    pub(in crate::stack) fn disconnect(&mut self, on: InterfaceId, own: Cidr, origin: Origin) {
        let name = Name::connected(on, own, origin);
        if self.paths.routes.remove(&name) {
            self.paths.change();
        }
    }

    /// An interface goes: no way leads over it.
    pub(in crate::stack) fn remove_routes(&mut self, on: InterfaceId) {
        self.paths.routes.remove_all(on);
        self.paths.forget_redirects(on);
        self.paths.change();
    }

    /// The link of an interface went up or down.
    pub(in crate::stack) fn route_by_link(&mut self, on: InterfaceId, up: bool) {
        self.paths.routes.set_link(on, up);
        self.paths.change();
    }
}
