//! What routers say of a link, taken into its interface: addresses, routes, parameters; and the question for them.
//!
//! RFC 4861 §6.3.4, §6.3.7. *Owns* how each [`Action`] is done. *Does not* judge what is said, nor own what comes of it: the
//! rooms of addresses, routes and neighbours do.

use core::net::{IpAddr, Ipv6Addr};

use crate::base::{Cidr, DropReason, Instant, MacAddr};
use crate::ipv6::discovery::{
    Action, Advertisement, Discovery, Identifiers, Kind, Parameters, Settings,
};
use crate::ipv6::{self, ndp};
use crate::stack::Stack;
use crate::stack::address::{NewAddress, Origin};
use crate::stack::ids::InterfaceId;
use crate::stack::interface::InterfaceConfig;
use crate::stack::neighbour::Heard;
use crate::stack::net::Net;
use crate::stack::packet::{Inbound, Notice};
use crate::stack::path::{NewRoute, Preference};
use crate::stack::reconfigure::Change;
use crate::stack::wheel::TimerKey;

impl Net {
    /// Begins to ask for routers, or to make addresses, where the interface is to.
    pub(in crate::stack) fn begin_discovery(
        &mut self,
        now: Instant,
        on: InterfaceId,
        config: &InterfaceConfig,
    ) {
        let settings = Settings {
            routers: config.heeds_routers(),
            addresses: config.autonomous_addresses,
            temporary: config.temporary_addresses,
            link_local: config.forms_link_local() && config.stable_link_local,
            dad_transmits: config.dad_transmits,
            mtu: u32::try_from(config.capabilities.mtu).unwrap_or(u32::MAX),
        };
        if settings.routers || settings.link_local {
            let identifiers = Identifiers::new(&self.seed, config.stable_secret, on.scope());
            let discovery = Discovery::new(now, settings, identifiers);
            self.interfaces[on.index()].discovery = Some(Box::new(discovery));
            self.do_actions(now, on);
        }
    }

    pub(super) fn discovery(&mut self, on: InterfaceId) -> Option<&mut Discovery> {
        self.interfaces
            .get_mut(on.index())?
            .discovery
            .as_deref_mut()
    }

    /// The station of a default router that is known (RFC 4429 §3.3).
    pub(in crate::stack) fn known_router(&self, on: InterfaceId) -> Option<MacAddr> {
        let discovery = self.interfaces.get(on.index())?.discovery.as_deref()?;
        let mut all = discovery.routers();
        all.find_map(|router| self.neighbours.mac((on, IpAddr::V6(router.address))))
    }

    /// A deadline of this layer came.
    pub(in crate::stack) fn on_router_timeout(&mut self, now: Instant, on: InterfaceId) {
        if let Some(discovery) = self.discovery(on) {
            discovery.on_timeout(now);
            self.do_actions(now, on);
        }
    }

    /// The question for routers has left.
    pub(in crate::stack) fn routers_solicited(&mut self, now: Instant, on: InterfaceId) {
        if let Some(discovery) = self.discovery(on) {
            discovery.solicited(now);
            self.set_router_timer(now, on);
        }
    }

    /// The link of an interface went up or down.
    pub(in crate::stack) fn on_router_link(&mut self, now: Instant, on: InterfaceId, up: bool) {
        if up {
            self.paths.forget_redirects(on);
        }
        let Some(discovery) = self.discovery(on) else {
            return;
        };
        if up {
            discovery.on_link_up(now);
        } else {
            discovery.on_link_down();
        }
        self.on_information_link(now, on, up);
        self.do_actions(now, on);
    }

    /// Its MTU is another: what routers say of it is bounded by that.
    pub(in crate::stack) fn on_router_mtu(&mut self, on: InterfaceId, mtu: usize) {
        if let Some(discovery) = self.discovery(on) {
            discovery.set_mtu(u32::try_from(mtu).unwrap_or(u32::MAX));
        }
    }

    /// Another station has an address that was formed.
    pub(in crate::stack) fn on_formed_duplicate(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: IpAddr,
    ) {
        if let IpAddr::V6(address) = address
            && let Some(discovery) = self.discovery(on)
            && discovery.on_duplicate(now, address)
        {
            self.do_actions(now, on);
        }
    }

    /// An address is gone, by whatever word.
    pub(in crate::stack) fn on_formed_gone(&mut self, on: InterfaceId, address: IpAddr) {
        let is_back = self.origin_of(on, address).is_some();
        if let IpAddr::V6(address) = address
            && !is_back
            && let Some(discovery) = self.discovery(on)
        {
            discovery.on_gone(address);
        }
    }

    /// Where an address of ours comes from.
    fn origin_of(&self, on: InterfaceId, own: IpAddr) -> Option<Origin> {
        let interface = self.interfaces.get(on.index())?;
        interface.addresses.get(own).map(|address| address.origin)
    }

    /// A neighbour says that it is no router.
    pub(in crate::stack) fn on_no_router(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: Ipv6Addr,
    ) {
        self.paths.forget_redirects_beyond(on, IpAddr::V6(address));
        if let Some(discovery) = self.discovery(on)
            && discovery.is_router(address)
        {
            discovery.on_no_router(now, address);
            self.do_actions(now, on);
        }
    }

    /// Does what there is to be done.
    fn do_actions(&mut self, now: Instant, on: InterfaceId) {
        while let Some(action) = self.discovery(on).and_then(Discovery::poll_action) {
            self.do_action(now, on, action);
        }
        if let Some(discovery) = self.discovery(on) {
            self.counters.router_words_refused += discovery.take_refused();
        }
        self.ask_for_information(now, on);
        self.set_router_timer(now, on);
    }

    fn do_action(&mut self, now: Instant, on: InterfaceId, action: Action) {
        if action.is_of_prefixes() {
            self.prefixes_changed(now, on);
        }
        match action {
            Action::Solicit => {
                if !self.solicit_routers(on)
                    && let Some(discovery) = self.discovery(on)
                {
                    discovery.not_solicited(now);
                }
            }
            Action::Form {
                cidr,
                kind,
                preferred,
                valid,
            } => self.form(now, on, (cidr, kind), (preferred, valid)),
            // What is not there was taken away by the user, who is not to get it back.
            Action::Renew {
                address,
                preferred,
                valid,
            } => {
                let own = IpAddr::V6(address);
                let _ = self.set_lifetimes(now, on, own, preferred, valid);
            }
            Action::Remove(address) => {
                let _ = self.remove_address(now, on, IpAddr::V6(address));
            }
            Action::AddRoute {
                to,
                via,
                preference,
            } => self.add_told_route(on, (to, via), preference),
            Action::RemoveRoute { to, via } => {
                let via = via.map(IpAddr::V6);
                let _ = self.remove_route(on, to, via, Origin::Router);
            }
            Action::Link(parameters) => self.set_parameters(on, parameters),
            Action::RouterFound(router) => {
                self.tell_change(on, Change::RouterFound(IpAddr::V6(router)));
            }
            Action::RouterLost(router) => {
                // RFC 4861 §6.3.5: who was redirected to it looks again.
                self.paths.forget_redirects_over(on, IpAddr::V6(router));
                self.interfaces[on.index()].addresses.forget_told(router);
                self.tell_change(on, Change::RouterLost(IpAddr::V6(router)));
            }
            Action::Tells {
                router,
                prefix,
                still,
            } => self.take_told(on, router, prefix, still),
            Action::Dns => self.tell_change(on, Change::Dns),
            Action::OtherLink => self.forget_information(on),
            Action::AskServers => self.ask_servers(now, on),
        }
    }

    /// RFC 6724 §5, rule 5.5.
    fn take_told(&mut self, on: InterfaceId, router: Ipv6Addr, prefix: Ipv6Addr, still: bool) {
        let addresses = &mut self.interfaces[on.index()].addresses;
        if addresses.set_told(router, prefix, still) {
            self.paths.change();
        }
    }

    pub(super) fn tell_change(&mut self, on: InterfaceId, change: Change) {
        self.notices.push_back(Notice::Change(on, change));
    }

    fn form(
        &mut self,
        now: Instant,
        on: InterfaceId,
        (cidr, kind): (Cidr, Kind),
        (preferred_until, valid_until): (Instant, Instant),
    ) {
        let origin = match kind {
            Kind::LinkLocal => Origin::Formed,
            Kind::Stable => Origin::Router,
            Kind::Temporary => Origin::Temporary,
        };
        let own = cidr.address();
        // Its end had come, and nobody had looked yet: it goes on, and what uses it too.
        if self.origin_of(on, own) == Some(origin) {
            let _ = self.set_lifetimes(now, on, own, preferred_until, valid_until);
            return;
        }
        let new = NewAddress {
            preferred_until,
            valid_until,
            // RFC 5942 §4: an address alone puts no prefix on the link.
            on_link: false,
            hasty: self.known_router(on).is_some(),
            ..NewAddress::new(cidr, origin)
        };
        if self.add_address(now, on, new).is_err()
            && let IpAddr::V6(address) = own
            && let Some(discovery) = self.discovery(on)
        {
            discovery.on_refused(address);
        }
    }

    fn add_told_route(
        &mut self,
        on: InterfaceId,
        (to, via): (Cidr, Option<Ipv6Addr>),
        preference: ndp::Preference,
    ) {
        let preference = match preference {
            ndp::Preference::High => Preference::High,
            ndp::Preference::Medium | ndp::Preference::Reserved => Preference::Medium,
            ndp::Preference::Low => Preference::Low,
        };
        let route = NewRoute {
            to,
            via: via.map(IpAddr::V6),
            origin: Origin::Router,
            preference,
        };
        if self.add_route(on, route).is_err() {
            self.counters.router_words_refused += 1;
        }
    }

    /// RFC 4861 §6.3.4.
    fn set_parameters(&mut self, on: InterfaceId, parameters: Parameters) {
        let Parameters {
            hop_limit,
            reachable,
            retrans,
            mtu,
        } = parameters;
        let interface = &mut self.interfaces[on.index()];
        interface.hop_limit = hop_limit;
        interface.mtu_v6 = mtu;
        interface.addresses.set_retrans(retrans);
        self.neighbours.set_times(on, reachable, retrans);
        self.paths.change();
    }

    /// Asks all routers (RFC 4861 §6.3.7), as nobody while no address of ours may be used.
    fn solicit_routers(&mut self, on: InterfaceId) -> bool {
        let addresses = &self.interfaces[on.index()].addresses;
        let all = IpAddr::V6(ipv6::ALL_ROUTERS);
        let source = addresses.source(all, all);
        // RFC 4429 §3.2: nor one that may be another's, which must not tell of a link address.
        let source = source.filter(|&source| addresses.is_sure(source));
        let source = match source {
            Some(IpAddr::V6(source)) => source,
            _ => Ipv6Addr::UNSPECIFIED,
        };
        self.send_router_solicitation(on, source)
    }

    pub(super) fn set_router_timer(&mut self, now: Instant, on: InterfaceId) {
        let discovery = self.discovery(on);
        let due = discovery.and_then(|discovery| discovery.next_due(now));
        let due = due.into_iter().chain(self.information_due(on)).min();
        let index = u32::try_from(on.index()).unwrap_or(u32::MAX);
        self.timers.set(TimerKey::Router(index), due);
    }
}

impl Stack {
    /// A router speaks, whose message was checked (RFC 4861 §6.3.4).
    pub(in crate::stack) fn handle_router_advertisement(
        &mut self,
        now: Instant,
        packet: &Inbound,
        from: Ipv6Addr,
        advert: &Advertisement<'_>,
    ) -> Result<(), DropReason> {
        let on = packet.on;
        if self.net.is_own_source(on, IpAddr::V6(from)) {
            return Err(DropReason::IpSource);
        }
        let listens = |discovery: &&mut Discovery| discovery.listens();
        let discovery = self.net.discovery(on).filter(listens);
        let discovery = discovery.ok_or(DropReason::IcmpIgnored)?;
        let heard = discovery.on_advertisement(now, from, advert);
        heard.map_err(|_| DropReason::RouterFlood)?;
        let is_router = discovery.is_router(from);
        self.net.counters.router_adverts_received += 1;
        // Before what it says: an address that is formed may be used by way of it.
        if let Some(mac) = advert.options.source_link_address()
            && mac.is_unicast()
        {
            // Who is sent to is worth an entry; a new one unproven, as who asks for us.
            let heard = Heard::Asks {
                mac,
                create: is_router,
            };
            self.net.heard(now, (on, IpAddr::V6(from)), heard);
        }
        self.net.do_actions(now, on);
        Ok(())
    }
}
