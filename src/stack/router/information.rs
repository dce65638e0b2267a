//! What servers of DHCPv6 tell of a link, as its routers ask for: the client of an interface, joined with the stack.
//!
//! RFC 8415 §6.1, §18.2.6, §18.2.12; RFC 4861 §4.2 (M and O). *Owns* when the client is called, which packets are its, and how its
//! questions leave. *Does not* know the protocol: [`crate::dhcp6`] does. Invariants: without a router's word there is no
//! client, and no cost; its deadline is part of the routers' timer.

use core::net::IpAddr;

use crate::base::{DropReason, Instant, Protocol};
use crate::dhcp6::{self, CLIENT_PORT, Client, Counters, SERVER_PORT, SERVERS};
use crate::link::ethernet;
use crate::stack::Stack;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{Class, Frame, Outgoing};
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Inbound, Label, OwnedPacket};
use crate::stack::reconfigure::Change;
use crate::stack::udp::checked;
use crate::udp;

/// The servers are on the link, or a relay is.
const HOPS: u8 = 1;

impl Net {
    fn client6(&mut self, on: InterfaceId) -> Option<&mut Client> {
        self.interfaces.get_mut(on.index())?.dhcp6.as_deref_mut()
    }

    /// A router says that there are servers: from the first time on there is a client.
    pub(super) fn ask_servers(&mut self, now: Instant, on: InterfaceId) {
        let Self {
            interfaces, seed, ..
        } = self;
        let interface = &mut interfaces[on.index()];
        let mac = interface.mac;
        let client = interface
            .dhcp6
            .get_or_insert_with(|| Box::new(Client::new(mac, &seed.of_interface(on.index()))));
        client.start(now);
    }

    /// Routers tell of a prefix that was not there, or no more of one that was.
    pub(super) fn prefixes_changed(&mut self, now: Instant, on: InterfaceId) {
        if let Some(client) = self.client6(on) {
            client.on_change(now);
        }
    }

    /// The link of an interface went up or down.
    pub(super) fn on_information_link(&mut self, now: Instant, on: InterfaceId, up: bool) {
        match self.client6(on) {
            Some(client) if up => client.on_link_up(now),
            Some(client) => client.on_link_down(),
            None => {}
        }
    }

    /// It is another link.
    pub(super) fn forget_information(&mut self, on: InterfaceId) {
        if self.client6(on).is_some_and(Client::forget) {
            self.tell_change(on, Change::Dns);
        }
    }

    /// When a question is due.
    pub(super) fn information_due(&mut self, on: InterfaceId) -> Option<Instant> {
        self.client6(on).and_then(|client| client.next_due())
    }

    /// Asks, if that is due, as soon as a link-local address is in use: without one nobody could answer.
    pub(super) fn ask_for_information(&mut self, now: Instant, on: InterfaceId) {
        if self.information_due(on).is_none_or(|due| due > now) {
            return;
        }
        let src = self.listener_address(on);
        let Some(client) = self.client6(on) else {
            return;
        };
        if src.is_unspecified() {
            client.postpone(now);
            return;
        }
        let Some(message) = client.question(now) else {
            return;
        };
        let mut header = [0; udp::HEADER_LEN];
        udp::Fields::new(CLIENT_PORT, SERVER_PORT).emit(message.len(), &mut header);
        let flow = Flow {
            src: IpAddr::V6(src),
            dst: IpAddr::V6(SERVERS),
            next_hop: IpAddr::V6(SERVERS),
            ttl: HOPS,
            tos: 0,
            label: Label::default(),
        };
        let mut packet = OwnedPacket::new(flow, Protocol::UDP, &header, message.into());
        packet.link_dst = Some(ethernet::ipv6_multicast(SERVERS));
        let (frame, asks) = (Frame::Packet(packet), None);
        self.queue(on, Class::Ask, Outgoing { frame, asks });
    }

    /// Is this packet the client's? All from port 547 to port 546 of a link-local address of ours, where there is one.
    pub(in crate::stack) fn is_for_dhcp6(&self, packet: &Inbound) -> bool {
        let interface = self.interfaces.get(packet.on.index());
        if interface.is_none_or(|interface| interface.dhcp6.is_none()) {
            return false;
        }
        let to_us = matches!(packet.dst, IpAddr::V6(dst) if dst.is_unicast_link_local());
        let ports = (SERVER_PORT, CLIENT_PORT);
        let header = udp::Header::parse_quoted(&packet.segment);
        to_us && header.is_ok_and(|(udp, _)| (udp.src_port(), udp.dst_port()) == ports)
    }
}

impl Stack {
    /// A datagram for the client came in.
    pub(in crate::stack) fn handle_dhcp6(
        &mut self,
        now: Instant,
        packet: &Inbound,
    ) -> Result<(), DropReason> {
        let (_, data) = checked(packet)?;
        let on = packet.on;
        let client = self.net.client6(on).ok_or(DropReason::DhcpIgnored)?;
        let heard = client.on_datagram(now, data);
        let is_news = heard.map_err(|_| DropReason::DhcpIgnored)?;
        if is_news {
            self.net.tell_change(on, Change::Dns);
        }
        self.net.set_router_timer(now, on);
        Ok(())
    }

    /// What a server of DHCPv6 told last (RFC 8415 §6.1), where routers say that there is one.
    pub fn told_information(&self, on: InterfaceId) -> Option<&dhcp6::Information> {
        let interface = self.net.interfaces.get(on.index())?;
        interface.dhcp6.as_ref()?.information()
    }

    /// What an interface's client of DHCPv6 has sent, received and refused; `None` as long as no router says that there are
    /// servers.
    pub fn dhcp6_counters(&self, on: InterfaceId) -> Option<Counters> {
        let interface = self.net.interfaces.get(on.index())?;
        Some(interface.dhcp6.as_ref()?.counters())
    }
}
