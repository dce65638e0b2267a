//! The turns of a client: its messages leave, what it tells is done, its deadline is set.
//!
//! RFC 2131 §4.1, §4.4.4. *Owns* the order that [`crate::dhcp::Client`] asks for: what gives an address back leaves before the address
//! goes. *Does not* resolve servers: `neighbour` does.

use core::net::{IpAddr, Ipv4Addr};

use super::used::Used;
use super::{Dhcp, DhcpOptions};
use crate::base::{DropReason, Instant, MacAddr, Protocol, Seed};
use crate::dhcp::{CLIENT_PORT, Event, Lease, SERVER_PORT, Transmit};
use crate::stack::address::AddressState;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{Class, Frame, Outgoing};
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Label, Notice, OwnedPacket, Owner};
use crate::stack::reconfigure::Change;
use crate::stack::wheel::TimerKey;
use crate::udp;

impl Net {
    /// An interface with a client was added: it begins at once.
    pub(in crate::stack) fn begin_dhcp(
        &mut self,
        now: Instant,
        on: InterfaceId,
        options: &DhcpOptions,
        seed: &Seed,
    ) {
        let interface = &mut self.interfaces[on.index()];
        let link = (interface.mac, interface.mtu());
        let dhcp = Dhcp::new(now, options, link, &seed.of_interface(on.index()));
        debug_assert!(dhcp.is_ok(), "its settings were checked: {dhcp:?}");
        interface.dhcp = dhcp.ok().map(Box::new);
        self.with_dhcp(now, on, |_| {});
    }

    /// Does something with the client of an interface, and then what that wants; `None` where there is no client.
    pub(in crate::stack) fn with_dhcp<T>(
        &mut self,
        now: Instant,
        on: InterfaceId,
        act: impl FnOnce(&mut Dhcp) -> T,
    ) -> Option<T> {
        let mut dhcp = self.interfaces.get_mut(on.index())?.dhcp.take()?;
        let done = act(&mut dhcp);
        // What extends a lease waits until its address was told: hence once more.
        loop {
            dhcp.send(self, now, on);
            if !dhcp.heed(self, now, on) {
                break;
            }
        }
        let key = TimerKey::Dhcp(u32::try_from(on.index()).unwrap_or(u32::MAX));
        self.timers.set(key, dhcp.client.poll_timeout());
        self.interfaces[on.index()].dhcp = Some(dhcp);
        Some(done)
    }

    /// The client's deadline has come.
    pub(in crate::stack) fn on_dhcp_timeout(&mut self, now: Instant, on: InterfaceId) {
        self.with_dhcp(now, on, |dhcp| dhcp.client.handle_timeout(now));
    }

    /// Another station has an address of a lease.
    pub(in crate::stack) fn on_dhcp_conflict(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: IpAddr,
    ) {
        if let IpAddr::V4(address) = address {
            self.with_dhcp(now, on, |dhcp| dhcp.client.handle_conflict(now, address));
        }
    }

    /// An address is in use: what extends a lease may leave from it.
    pub(in crate::stack) fn on_dhcp_usable(&mut self, now: Instant, on: InterfaceId, own: IpAddr) {
        if let IpAddr::V4(own) = own {
            self.with_dhcp(now, on, |dhcp| dhcp.client.set_probing(now, own, false));
        }
    }

    /// An address was taken away: if it is the one of the lease, and nobody but the user did it, the lease is given back.
    pub(in crate::stack) fn on_dhcp_gone(&mut self, now: Instant, on: InterfaceId, own: IpAddr) {
        let interface = &self.interfaces[on.index()];
        let leased = interface.dhcp.as_ref().and_then(|dhcp| dhcp.client.lease());
        let leased = leased.is_some_and(|lease| IpAddr::V4(lease.address) == own);
        if leased && interface.addresses.get(own).is_none() {
            self.with_dhcp(now, on, |dhcp| dhcp.client.release(now));
        }
    }

    /// The link is up again, perhaps another one.
    pub(in crate::stack) fn on_dhcp_link_up(&mut self, now: Instant, on: InterfaceId) {
        self.with_dhcp(now, on, |dhcp| dhcp.client.handle_link_up(now));
    }

    /// Sends a message of a client, which `parts` for good: to the station `known` then, if there is one.
    fn send_dhcp(
        &mut self,
        on: InterfaceId,
        message: Transmit,
        (parts, known): (bool, Option<MacAddr>),
    ) {
        // What waited for a link would ask on another one.
        if !self.interfaces[on.index()].line.is_up() {
            self.counters.drops.count(DropReason::LinkDown);
            return;
        }
        let Transmit {
            payload,
            source,
            destination,
        } = message;
        let dst = IpAddr::V4(destination);
        let next_hop = if destination.is_broadcast() {
            Some(dst)
        } else {
            let route = self.route(dst, Some(on)).ok();
            // Without an address there is no way, but its station is known.
            let direct = || known.map(|_| dst);
            route.map(|route| route.next_hop).or_else(direct)
        };
        let Some(next_hop) = next_hop else {
            self.counters.drops.count(DropReason::NoRoute);
            return;
        };
        let mut header = [0; udp::HEADER_LEN];
        udp::Fields::new(CLIENT_PORT, SERVER_PORT).emit(payload.len(), &mut header);
        let flow = Flow {
            src: IpAddr::V4(source),
            dst,
            next_hop,
            ttl: self.ttl,
            tos: 0,
            label: Label::default(),
        };
        let mut packet = OwnedPacket::new(flow, Protocol::UDP, &header, payload.into());
        packet.link_dst = known;
        if parts {
            packet.owner = Owner::Parting;
        }
        let (frame, asks) = (Frame::Packet(packet), None);
        self.queue(on, Class::Ask, Outgoing { frame, asks });
    }
}

impl Dhcp {
    fn send(&mut self, net: &mut Net, now: Instant, on: InterfaceId) {
        while let Some(message) = self.client.poll_transmit(now) {
            let known = self.station(message.destination);
            net.send_dhcp(on, message, (!self.client.is_running(), known));
        }
    }

    /// The station of this server, where it answered by itself; not while the lease is held, when its neighbour
    /// entry says more.
    fn station(&self, server: Ipv4Addr) -> Option<MacAddr> {
        let known = self.server.filter(|&(address, _)| address == server);
        known
            .filter(|_| !self.client.is_running())
            .map(|(_, mac)| mac)
    }

    /// Does what the client tells; was there anything?
    fn heed(&mut self, net: &mut Net, now: Instant, on: InterfaceId) -> bool {
        let mut any = false;
        while let Some(event) = self.client.poll_event() {
            any = true;
            let change = match event {
                Event::Bound(lease) => {
                    self.take_up(net, now, on, &lease);
                    Change::LeaseBound(lease.cidr())
                }
                Event::Renewed(lease) => {
                    self.take_up(net, now, on, &lease);
                    Change::LeaseRenewed(lease.cidr())
                }
                Event::Lost { address, why } => {
                    if let Some(used) = self.used.take() {
                        used.give_up(net, now, on);
                    }
                    Change::LeaseLost(address, why)
                }
                Event::Refused { address, .. } => Change::LeaseRefused(address),
                Event::Unanswered { address, .. } => Change::LeaseUnanswered(address),
                Event::NoServer => {
                    net.on_no_dhcp_server(now, on);
                    Change::NoDhcpServer
                }
            };
            net.notices.push_back(Notice::Change(on, change));
        }
        any
    }

    /// Uses a lease; what the one before it brought and this one does not goes.
    fn take_up(&mut self, net: &mut Net, now: Instant, on: InterfaceId, lease: &Lease) {
        let before = self.used.take();
        let used = Used::take_up(lease, before, &self.options, (&mut *net, now, on));
        self.used = Some(used);
        let addresses = &net.interfaces[on.index()].addresses;
        match addresses.state(lease.address.into()) {
            Some(AddressState::Preferred | AddressState::Deprecated | AddressState::Optimistic) => {
            }
            Some(AddressState::Tentative) => self.client.set_probing(now, lease.address, true),
            // It is a gateway's, say, or another station's: the server has to know.
            Some(AddressState::Duplicate) | None => {
                self.client.handle_conflict(now, lease.address);
            }
        }
    }
}
