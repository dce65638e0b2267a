//! Changing an interface while the stack runs: addresses, routes, gateways, the link, the MTU.
//!
//! *Owns* the user's calls. *Does not* own what they change: `address`, `path` and `interface` do.
//!
//! | file | owns |
//! |---|---|
//! | `options` | what an address is added with, and what a link refuses |
//! | `changes` | what the user is told |
//! | `news` | who else hears of it |
//! | `remove` | an interface that is taken away |
//! | `vlans` | interfaces that share another one's device |
//! | `sweep` | the look for sockets whose address went |

mod changes;
mod news;
mod options;
mod remove;
mod sweep;
mod vlans;

pub use changes::Change;
pub(in crate::stack) use changes::Changes;
pub use options::{AddressOptions, LinkError};
pub(in crate::stack) use sweep::{Sweep, Table};

use core::net::IpAddr;
use core::time::Duration;

use super::address::{AddressError, AddressInfo, NewAddress, Origin};
use super::ids::InterfaceId;
use super::interface::{Interface, MIN_MTU, MIN_MTU_V6};
use super::net::Net;
use super::packet::Notice;
use super::path::{NewRoute, RouteChangeError, RouteInfo};
use super::{Call, Stack};
use crate::base::{Cidr, DropReason, Instant};

impl Stack {
    /// Adds an address to an interface, with the network that is on the link. It is probed for first where the interface
    /// or `options` say so, and [`Change::AddressPreferred`] tells when it may be used.
    ///
    /// # Errors
    /// [`AddressError`], when it cannot be one or is there.
    pub fn add_address(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: Cidr,
        options: AddressOptions,
    ) -> Result<(), AddressError> {
        self.note_call(Some(now), |_| Call::AddAddress(on, address, options));
        let now = self.net.clamp(now);
        let new = options.address(now, address, self.net.acd_probes(on));
        let added = self.net.add_address(now, on, new);
        self.tell_notices(now);
        self.note_outcome(added)
    }

    /// Takes an address away. Nothing leaves from it and nothing is taken for it from then on: its TCP connections end without a
    /// RST, as [`TcpFailure::AddressGone`](crate::tcp::TcpFailure::AddressGone); calls of listeners and UDP sockets
    /// that are bound to it fail until it comes back, and their events tell. Sockets that are bound to no address go on
    /// with others.
    ///
    /// # Errors
    /// [`AddressError`], when there is no such address or interface.
    pub fn remove_address(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: IpAddr,
    ) -> Result<(), AddressError> {
        self.note_call(Some(now), |_| Call::RemoveAddress(on, address));
        let now = self.net.clamp(now);
        let removed = self.net.remove_address(now, on, address);
        self.tell_notices(now);
        if removed.is_ok() {
            self.sweep_at_once(now);
        }
        self.note_outcome(removed.map(|_| ()))
    }

    /// Says how long an address stays from now on: preferred as a source, and ours at all (RFC 4862 §5.5.4); `None`: for
    /// ever.
    ///
    /// # Errors
    /// [`AddressError`], when there is no such address or interface.
    pub fn set_lifetimes(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: IpAddr,
        preferred: Option<Duration>,
        valid: Option<Duration>,
    ) -> Result<(), AddressError> {
        self.note_call(Some(now), |_| {
            Call::SetLifetimes(on, address, preferred, valid)
        });
        let now = self.net.clamp(now);
        let end = |time: Option<Duration>| time.map_or(Instant::FAR_FUTURE, |time| now + time);
        let (preferred, valid) = (end(preferred), end(valid));
        let set = self.net.set_lifetimes(now, on, address, preferred, valid);
        self.tell_notices(now);
        self.note_outcome(set)
    }

    /// Adds a route, over a gateway or on the link, behind those of the same prefix that are there.
    ///
    /// # Errors
    /// [`RouteChangeError`], when it cannot work or is there.
    pub fn add_route(
        &mut self,
        now: Instant,
        on: InterfaceId,
        to: Cidr,
        via: Option<IpAddr>,
    ) -> Result<(), RouteChangeError> {
        self.note_call(Some(now), |_| Call::AddRoute(on, to, via));
        self.net.clamp(now);
        let added = self.give_route(on, to, via);
        self.note_outcome(added)
    }

    fn give_route(
        &mut self,
        on: InterfaceId,
        to: Cidr,
        via: Option<IpAddr>,
    ) -> Result<(), RouteChangeError> {
        if self.net.has_route(on, to, via, Origin::Given) {
            return Err(RouteChangeError::Exists(to));
        }
        self.net.add_route(on, NewRoute::given(to, via))
    }

    /// Takes a route away that was given: what was sent there goes by what is left from its next packet on. The
    /// network of an address goes with the address.
    ///
    /// # Errors
    /// [`RouteChangeError`], when there is no such route or interface.
    pub fn remove_route(
        &mut self,
        now: Instant,
        on: InterfaceId,
        to: Cidr,
        via: Option<IpAddr>,
    ) -> Result<(), RouteChangeError> {
        self.note_call(Some(now), |_| Call::RemoveRoute(on, to, via));
        self.net.clamp(now);
        let removed = self.net.remove_route(on, to, via, Origin::Given);
        self.note_outcome(removed)
    }

    /// Adds a default gateway behind those that are there (RFC 1122 §3.3.1.2).
    ///
    /// # Errors
    /// As [`add_route`](Self::add_route).
    pub fn add_gateway(
        &mut self,
        now: Instant,
        on: InterfaceId,
        gateway: IpAddr,
    ) -> Result<(), RouteChangeError> {
        self.note_call(Some(now), |_| Call::AddGateway(on, gateway));
        self.net.clamp(now);
        let added = self.give_route(on, Cidr::everything(gateway), Some(gateway));
        self.note_outcome(added)
    }

    /// Takes a default gateway away that was given.
    ///
    /// # Errors
    /// As [`remove_route`](Self::remove_route).
    pub fn remove_gateway(
        &mut self,
        now: Instant,
        on: InterfaceId,
        gateway: IpAddr,
    ) -> Result<(), RouteChangeError> {
        self.note_call(Some(now), |_| Call::RemoveGateway(on, gateway));
        self.net.clamp(now);
        let to = Cidr::everything(gateway);
        let removed = self.net.remove_route(on, to, Some(gateway), Origin::Given);
        self.note_outcome(removed)
    }

    /// Sets a link down, or up again. While it is down nothing leaves by the interface and nothing is taken from it (a
    /// counted drop); sockets stay, what they have to send waits with them, and routes of other
    /// interfaces are taken where there are any. When it is up again it may be another one: neighbours are asked for
    /// anew, and IPv4 addresses are announced (RFC 5227 §2.3).
    ///
    /// # Errors
    /// [`LinkError::Interface`].
    pub fn set_link(&mut self, now: Instant, on: InterfaceId, up: bool) -> Result<(), LinkError> {
        self.note_call(Some(now), |_| Call::SetLink(on, up));
        let now = self.net.clamp(now);
        let set = self.change_link(now, on, up);
        self.tell_notices(now);
        self.note_outcome(set)
    }

    fn change_link(&mut self, now: Instant, on: InterfaceId, up: bool) -> Result<(), LinkError> {
        let interface = self.net.interfaces.added_mut(on.index());
        let interface = interface.ok_or(LinkError::Interface(on))?;
        if interface.line.set_up(up) {
            self.follow_link(now, on, up);
            for of in self.net.vlans_of(on) {
                if self.net.interfaces[of.index()].line.set_below_up(up) {
                    self.follow_link(now, of, up);
                }
            }
        }
        Ok(())
    }

    /// Does what follows when a link went up or down.
    fn follow_link(&mut self, now: Instant, on: InterfaceId, up: bool) {
        if !up {
            // What is passed on does not wait for a link.
            let lost = self.net.drop_transit(on);
            let drops = &mut self.net.counters.drops;
            drops.add(DropReason::DeviceLinkDown, lost);
        }
        let interface = &mut self.net.interfaces[on.index()];
        if up && interface.is_ethernet() {
            interface.addresses.announce_all(now);
        }
        if up {
            let net = &mut self.net;
            net.neighbours.forget_link(&mut net.timers, on);
        }
        self.net.set_interface_timer(on);
        self.net.route_by_link(on, up);
        self.on_link_news(now, on, up);
    }

    /// Sets the largest IP packet that leaves by an interface, in bytes: 68 to the device's MTU, and 1280 at least
    /// where there are IPv6 addresses. Connections fit their segments to it from their next turn on.
    ///
    /// # Errors
    /// [`LinkError`], when it is out of these bounds.
    pub fn set_mtu(&mut self, now: Instant, on: InterfaceId, mtu: usize) -> Result<(), LinkError> {
        self.note_call(Some(now), |_| Call::SetMtu(on, mtu));
        let now = self.net.clamp(now);
        let set = self.net.change_mtu(on, mtu);
        self.tell_notices(now);
        self.note_outcome(set)
    }

    /// Is the link of an interface up?
    pub fn is_link_up(&self, on: InterfaceId) -> bool {
        let interface = self.net.interfaces.get(on.index());
        interface.is_some_and(|i| i.line.is_up())
    }

    /// The largest IP packet that leaves by an interface, in bytes.
    pub fn mtu(&self, on: InterfaceId) -> Option<usize> {
        self.net.interfaces.get(on.index()).map(Interface::mtu)
    }

    /// The addresses of an interface, with where they come from and how long they stay.
    pub fn address_infos(&self, on: InterfaceId) -> impl Iterator<Item = AddressInfo> + '_ {
        let interface = self.net.interfaces.get(on.index()).into_iter();
        interface.flat_map(|i| i.addresses.iter().map(|address| address.info()))
    }

    /// The routes over an interface, by where they come from; those to the networks of its addresses too.
    pub fn routes(&self, on: InterfaceId) -> impl Iterator<Item = RouteInfo> + '_ {
        self.net.routes_of(on, None)
    }
}

impl Net {
    /// Sets the MTU of an interface.
    pub(in crate::stack) fn change_mtu(
        &mut self,
        on: InterfaceId,
        mtu: usize,
    ) -> Result<(), LinkError> {
        let interface = self.interfaces.added(on.index());
        let interface = interface.ok_or(LinkError::Interface(on))?;
        let vlans = self.vlans_of(on);
        let all = || {
            core::iter::once(interface).chain(vlans.iter().map(|of| &self.interfaces[of.index()]))
        };
        let least = match mtu {
            MIN_MTU_V6.. => MIN_MTU,
            _ => all().map(Interface::least_mtu).max().unwrap_or(MIN_MTU),
        };
        let below = interface.over.map(|of| self.interfaces[of.index()].mtu());
        let most = interface.line.device_mtu().min(below.unwrap_or(usize::MAX));
        if !(least..=most).contains(&mtu) {
            return Err(LinkError::Mtu { mtu, least, most });
        }
        self.set_mtu(on, mtu);
        for of in vlans {
            // No more than what they stand on.
            let own = self.interfaces[of.index()].mtu();
            self.set_mtu(of, own.min(mtu));
        }
        Ok(())
    }

    fn set_mtu(&mut self, on: InterfaceId, mtu: usize) {
        let line = &mut self.interfaces[on.index()].line;
        if core::mem::replace(&mut line.capabilities.mtu, mtu) != mtu {
            self.paths.change();
            self.on_router_mtu(on, mtu);
            let change = Change::Mtu(mtu);
            self.notices.push_back(Notice::Change(on, change));
        }
    }
}
