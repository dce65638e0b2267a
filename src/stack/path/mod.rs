//! Where packets to a destination go: interface, next hop, source address and MTU.
//!
//! RFC 1122 §3.3.1, §3.3.4, RFC 4861 §5.2, RFC 6724 §4, RFC 1191, RFC 8201. *Owns* the one place where a way is found, for what
//! sockets send and for answers, and what is believed of how large its packets may be. *Does not* resolve next hops: `neighbour` does; nor choose sources: `address` does.
//!
//! | file | owns |
//! |---|---|
//! | `routes` | the table of routes, and gateways that are dead |
//! | `entries` | routes that come and go while the stack runs |
//! | `mtu` | destinations whose path is narrower than its first link |
//! | `recent` | answers that were looked up lately |
//! | `redirects` | destinations for which a router named a better first hop |
//! | `sent` | which large datagrams a socket sent, or the stack as echo replies |
//! | `sizes` | how much a transport may send in one piece |
//! | `words` | what is believed of how large a path's packets may be, and who learns of it |

mod entries;
mod mtu;
mod recent;
mod redirects;
mod routes;
mod sent;
mod sizes;
mod words;

pub use entries::RouteChangeError;
pub(in crate::stack) use redirects::Learned;
#[cfg(test)]
pub(in crate::stack) use redirects::MAX_REDIRECTS;
pub(in crate::stack) use routes::NewRoute;
pub use routes::{Preference, RouteInfo};
pub(crate) use sent::LargeSent;

pub(crate) use mtu::FoundMtu;
use mtu::{Burst, Mtus};
use redirects::Redirects;
use routes::{Failed, Routes};

use core::net::IpAddr;
use std::io;

use super::config::Config;
use super::ids::InterfaceId;
use super::net::Net;
use super::packet::{Flow, Manner};
use super::wheel::TimerKey;
use crate::base::Instant;

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

/// Where the packets of one socket go: looked up once, and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) flow: Flow,
    pub(crate) on: InterfaceId,
    /// The largest IP packet that gets through as far as is known, in bytes.
    mtu: u16,
    /// The largest that may, by the link and by what routers told.
    most: u16,
    /// The same as its socket alone was told, for whom there was no room in the table; `u16::MAX`: nothing.
    alone: u16,
    /// What it was told so.
    burst: Burst,
    /// That of [`Paths`] when it was found: with another one it is found anew.
    generation: u32,
    /// No route leads there any more.
    lost: bool,
}

/// What a packet-too-big says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooBig {
    /// The next hop's MTU; 0 when the router does not say.
    pub(crate) mtu: usize,
    /// How long the quoted packet was.
    pub(crate) quoted: usize,
}

/// What paths are found by.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) routes: Routes,
    mtus: Mtus,
    redirects: Redirects,
    /// Raised by whatever may lead elsewhere than it did. Who keeps a path compares at the begin of its turn: so a
    /// change reaches all of them without a list of who they are.
    generation: u32,
}

impl Paths {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            routes: Routes::default(),
            mtus: Mtus::new(config),
            redirects: Redirects::default(),
            generation: 0,
        }
    }

    /// Bytes of a packet that every path to `dst` carries, whatever a router says.
    pub(crate) const fn least(&self, dst: IpAddr) -> usize {
        self.mtus.least(dst)
    }

    /// How many narrow paths are known.
    pub(crate) fn narrow(&self) -> usize {
        self.mtus.len()
    }

    /// This neighbour did not answer: if it is a gateway, others come first. Returns whether that is news.
    pub(crate) fn gateway_failed(
        &mut self,
        now: Instant,
        on: InterfaceId,
        gateway: IpAddr,
    ) -> bool {
        let failed = self.routes.gateway_failed(now, on, gateway);
        let redirected = self.redirects.forget_over(on, gateway);
        if failed != Failed::NoGateway || redirected {
            self.change();
        }
        failed == Failed::Now
    }

    /// This one answered a question: if it is a gateway that had failed, which is returned, it is one like the
    /// others again.
    pub(crate) fn gateway_answered(&mut self, on: InterfaceId, gateway: IpAddr) -> bool {
        let back = self.routes.gateway_answered(on, gateway);
        if back {
            self.change();
        }
        back
    }

    /// Is what was found then as it would be found now?
    #[inline]
    pub(crate) const fn is_current(&self, path: &Path) -> bool {
        self.generation == path.generation
    }

    /// The first hop to `dst`, where its route leads to `next_hop`: what a router named instead. Who is on the link is sent to
    /// all the same.
    #[inline]
    fn first_hop(&self, on: InterfaceId, dst: IpAddr, next_hop: IpAddr) -> IpAddr {
        if next_hop == dst {
            return dst;
        }
        self.redirects.get(on, dst).unwrap_or(next_hop)
    }

    /// May another redirect be looked at? Then it counts.
    pub(in crate::stack) fn may_redirect(&mut self, now: Instant) -> bool {
        self.redirects.take_token(now)
    }

    /// Packets to this destination go over `hop` from now on.
    pub(in crate::stack) fn redirect(
        &mut self,
        now: Instant,
        dst: (InterfaceId, IpAddr),
        hop: IpAddr,
    ) -> Learned {
        let learned = self.redirects.learn(now, dst, hop);
        if learned == Learned::New {
            self.change();
        }
        learned
    }

    /// Nobody is sent there by a redirect any more.
    pub(in crate::stack) fn forget_redirects_over(&mut self, on: InterfaceId, hop: IpAddr) {
        if self.redirects.forget_over(on, hop) {
            self.change();
        }
    }

    /// The same, but for what is meant for that neighbour itself.
    pub(in crate::stack) fn forget_redirects_beyond(&mut self, on: InterfaceId, hop: IpAddr) {
        if self.redirects.forget_beyond(on, hop) {
            self.change();
        }
    }

    /// What was redirected on this interface goes by its routes again.
    pub(in crate::stack) fn forget_redirects(&mut self, on: InterfaceId) {
        if self.redirects.forget_all(on) {
            self.change();
        }
    }

    /// How many destinations are redirected.
    pub(crate) fn redirected(&self) -> usize {
        self.redirects.len()
    }

    /// Something may lead elsewhere than it did.
    pub(in crate::stack) const fn change(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
}

impl Path {
    /// Does no route lead there any more? What is sent is lost until one does.
    pub(crate) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// The largest IP packet that gets through as far as is known.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu.into()
    }

    /// The largest that may.
    pub(crate) fn most(&self) -> usize {
        self.most.into()
    }

    /// What its socket was told, and was not remembered for all: the path keeps it, however often it is found anew, for
    /// nobody measures when it would be old.
    fn keep(&mut self, mtu: u16) {
        self.alone = self.alone.min(mtu);
        self.mtu = self.mtu.min(self.alone);
        self.most = self.most.min(self.alone);
    }
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
    /// What was to be sent from is no address of the interface that leads there, or one of the other family.
    #[error("{0} cannot be sent from: it is no address of the interface that leads there")]
    Source(IpAddr),
    /// A link-local address without the interface that it belongs to, and there are several.
    #[error("{0} is link-local and needs the number of an interface")]
    NoScope(IpAddr),
    /// Nobody's, such as the unspecified one (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2).
    #[error("{0} cannot be sent to: it is nobody's; give a host's")]
    Destination(IpAddr),
}

impl From<RouteError> for io::Error {
    fn from(error: RouteError) -> Self {
        let kind = match error {
            RouteError::NoRoute(_) => io::ErrorKind::NetworkUnreachable,
            RouteError::NoSource(_) | RouteError::Source(_) => io::ErrorKind::AddrNotAvailable,
            RouteError::NoScope(_) | RouteError::Destination(_) => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl Net {
    /// The way to `dst`. `scope` names the interface of a link-local or multicast address, and
    /// holds any other to that interface.
    pub(crate) fn route(
        &self,
        dst: IpAddr,
        scope: Option<InterfaceId>,
    ) -> Result<Route, RouteError> {
        if let Some(within) = self.route_within(dst, scope) {
            return Ok(within);
        }
        if is_never_sent_to(dst) {
            return Err(RouteError::Destination(dst));
        }
        let (on, next_hop) = if is_on_link_only(dst) {
            let on = scope.or_else(|| self.interface_of(dst));
            (on.ok_or(RouteError::NoScope(dst))?, dst)
        } else {
            let found = self.paths.routes.lookup(self.now, dst, scope);
            let (on, next_hop) = found.ok_or(RouteError::NoRoute(dst))?;
            (on, self.paths.first_hop(on, dst, next_hop))
        };
        let interface = self
            .interfaces
            .get(on.index())
            .ok_or(RouteError::NoScope(dst))?;
        // RFC 6724 §4: the outgoing interface has the candidates.
        let source = interface.addresses.source(dst, next_hop);
        Ok(Route {
            on,
            next_hop,
            source: source.ok_or(RouteError::NoSource(dst))?,
            mtu: self.path_mtu(on, dst),
        })
    }

    /// The path of a flow whose next hop was found on the interface `on`.
    pub(crate) fn path(&self, on: InterfaceId, flow: Flow) -> Path {
        let link = self.interfaces[on.index()].mtu_to(flow.dst);
        let link = u16::try_from(link).unwrap_or(u16::MAX);
        let known = self.paths.mtus.get(on, flow.dst);
        let (sure, most) = known.map_or((link, link), |known| (known.sure, known.most));
        Path {
            flow,
            on,
            mtu: link.min(sure),
            most: link.min(most),
            alone: u16::MAX,
            burst: Burst::NONE,
            generation: self.paths.generation,
            lost: false,
        }
    }

    /// The same path as it is now: over a gateway that lives. Where no route is left it is [lost](Path::is_lost).
    pub(crate) fn path_again(&self, path: &Path) -> Path {
        let Path {
            mut flow,
            on,
            alone,
            burst,
            ..
        } = *path;
        let mut lost = false;
        if on == InterfaceId::LOOPBACK {
            // No route leads there: it is ours, or was.
            lost = self.route_within(flow.dst, Some(on)).is_none();
        } else if !is_on_link_only(flow.dst) {
            match self.paths.routes.lookup_again(flow.dst, on) {
                Some((_, hop)) => flow.next_hop = self.paths.first_hop(on, flow.dst, hop),
                None => lost = true,
            }
        }
        let mut again = self.path(on, flow);
        again.keep(alone);
        (again.burst, again.lost) = (burst, lost);
        again
    }

    /// The largest IP packet that gets from the interface `on` to `dst` whole, in bytes: the one place to ask.
    // RFC 8201 §3: a neighbour's as well, behind whom there may be a narrower link.
    pub(crate) fn path_mtu(&self, on: InterfaceId, dst: IpAddr) -> usize {
        let link = self.interfaces[on.index()].mtu_to(dst);
        let known = self.paths.mtus.get(on, dst);
        known.map_or(link, |known| link.min(known.sure.into()))
    }

    /// Paths that were narrow for long are tried as wide as their links again, and those that were redirected go by their
    /// routes.
    pub(crate) fn on_paths_timeout(&mut self, now: Instant, steps: &mut usize) {
        let wider = self.paths.mtus.forget_old(now, steps);
        if self.paths.redirects.forget_old(now, steps) || wider {
            self.paths.change();
        }
        self.set_paths_timer();
    }

    pub(in crate::stack) fn set_paths_timer(&mut self) {
        let ends = [self.paths.mtus.next_end(), self.paths.redirects.next_end()];
        self.timers
            .set(TimerKey::Paths, ends.into_iter().flatten().min());
    }

    /// The same for packets from `src`, if that is given: they leave by the interface that has it, as
    /// packets to it are taken there alone (RFC 1122 §3.3.4.2, the strong model), or by any of a router's.
    pub(crate) fn route_from(
        &self,
        src: IpAddr,
        dst: IpAddr,
        scope: Option<InterfaceId>,
    ) -> Result<Route, RouteError> {
        let route = self.route(dst, scope);
        let fits =
            |route: &Route| self.is_ours(src, Some(route.on)) || self.has_elsewhere(src, route.on);
        if src.is_unspecified() || scope.is_some() || route.as_ref().is_ok_and(fits) {
            return route;
        }
        // A foreign address has no interface: any will do.
        let mut owners = self.owners_of(src).peekable();
        if owners.peek().is_none() {
            return route;
        }
        let by_owner = owners.map(|on| self.route(dst, Some(on)));
        let mut ways = by_owner.filter_map(Result::ok);
        ways.next().ok_or(RouteError::NoRoute(dst))
    }

    /// Another router for packets to `dst` than `gateway`, which has failed; none that has failed, too, and has not answered
    /// since: [`path_again`](Self::path_again) would lead back here, and whoever goes from one to the other never gives up.
    pub(crate) fn other_gateway(
        &self,
        on: InterfaceId,
        dst: IpAddr,
        gateway: IpAddr,
    ) -> Option<IpAddr> {
        if is_on_link_only(dst) {
            return None;
        }
        let routes = &self.paths.routes;
        let (_, hop) = routes.lookup_again(dst, on)?;
        let next_hop = self.paths.first_hop(on, dst, hop);
        let other = next_hop != gateway && !routes.is_dead(Instant::ZERO, on, next_hop);
        other.then_some(next_hop)
    }

    /// The interface of a destination on the link that names none: the only one, or for IPv4's
    /// link-local addresses, which cannot name one, that of their route.
    fn interface_of(&self, dst: IpAddr) -> Option<InterfaceId> {
        match self.interfaces.only() {
            Some(one) => Some(one.id),
            None if matches!(dst, IpAddr::V4(a) if a.is_link_local()) => {
                let route = self.paths.routes.lookup(self.now, dst, None)?;
                Some(route.0)
            }
            None => None,
        }
    }

    /// Can `address` be a neighbour on this interface: by its kind, by a route, or as a gateway?
    pub(crate) fn is_on_link(&self, on: InterfaceId, address: IpAddr) -> bool {
        let group = self.interfaces[on.index()].groups.is_group(address);
        let redirected = || self.paths.redirects.get(on, address) == Some(address);
        let routed = || self.paths.routes.is_neighbour(self.now, on, address);
        let neighbour = || is_on_link_only(address) || routed() || redirected();
        !group && !address.is_unspecified() && neighbour()
    }

    /// The hops of a packet whose socket sets none, by the interface `on`.
    pub(crate) fn ttl_to(&self, on: InterfaceId, dst: IpAddr) -> u8 {
        self.interfaces[on.index()].ttl_to(dst, self.ttl)
    }

    /// The flow of an answer, over the interface `on` that what it answers came in on, and how large a
    /// packet of it may be. Without `src` from an address of the interface (RFC 4443 §2.2: what was sent to a
    /// group). Found anew for each answer: a peer's address is no reason to remember anything.
    pub(crate) fn answer_flow(
        &self,
        on: InterfaceId,
        (src, dst): (Option<IpAddr>, IpAddr),
        asked: Manner,
    ) -> Result<(Flow, usize), RouteError> {
        let route = self.route(dst, Some(on))?;
        let flow = Flow {
            src: src.unwrap_or(route.source),
            dst,
            next_hop: route.next_hop,
            ttl: asked.ttl.unwrap_or_else(|| self.ttl_to(on, dst)),
            tos: asked.tos,
            label: asked.label,
        };
        Ok((flow, route.mtu))
    }
}

/// Does the address mean something on one link only, so that no route is asked?
fn is_on_link_only(dst: IpAddr) -> bool {
    match dst {
        // RFC 3927 §2.6.2: link-local ones are asked for on the link, never sent to a router.
        IpAddr::V4(a) => a.is_broadcast() || a.is_multicast() || a.is_link_local(),
        IpAddr::V6(a) => a.is_multicast() || a.is_unicast_link_local(),
    }
}

/// Who is nobody on any link: RFC 1122 §3.2.1.3; RFC 4291 §2.5.2, §2.5.3, §2.5.5.2 (mapped), §2.7 (scopes 0
/// and 1 of groups). What could not answer, for [`ip`](super::ip) drops its sources, is here too.
fn is_never_sent_to(dst: IpAddr) -> bool {
    match dst {
        IpAddr::V4(a) => {
            let first = a.octets()[0];
            first == 0 || first == 127 || (first >= 240 && !a.is_broadcast())
        }
        IpAddr::V6(a) => {
            let near_group = a.is_multicast() && a.octets()[1] & 0x0f <= 1;
            a.is_unspecified() || a.is_loopback() || a.to_ipv4_mapped().is_some() || near_group
        }
    }
}
