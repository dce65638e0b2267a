//! Neighbour discovery: what a message says, and what it is answered.
//!
//! RFC 4861 §4, §7.2, RFC 4862 §5.4. *Owns* the messages. *Does not* judge what the table does with what was
//! heard, nor what routers say: `router` does.

use core::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;

use super::Heard;
use crate::base::{DropReason, Instant, MacAddr, Protocol};
use crate::ipv6;
use crate::ipv6::discovery::Advertisement;
use crate::ipv6::icmp::Message as Icmpv6;
use crate::ipv6::ndp::{self, Message, NeighborFlags, Options};
use crate::link::ethernet;
use crate::stack::Stack;
use crate::stack::address::{AddressState, Asked, Nonce};
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{Asks, Class, Frame, Outgoing};
use crate::stack::net::Net;
use crate::stack::packet::{Flow, Inbound, Label, OwnedPacket};

/// A solicitation or advertisement with one link address option.
const MAX_MESSAGE: usize = 32;

impl Net {
    pub(in crate::stack) fn send_solicitation(
        &mut self,
        on: InterfaceId,
        (src, dst): (Ipv6Addr, Ipv6Addr),
        target: Ipv6Addr,
        mac: Option<MacAddr>,
        asks: Option<Asks>,
    ) -> bool {
        let own = Options::source_link_address_bytes(self.interfaces[on.index()].mac);
        // RFC 4861 §4.3: no link address from `::`.
        let len = if src.is_unspecified() { 0 } else { own.len() };
        let options = Options::new(&own[..len]);
        let message = Message::NeighborSolicitation { target, options };
        let frame = ndp_frame((src, dst), message, mac);
        let queued = self.queue(on, Class::Ask, Outgoing { frame, asks });
        self.counters.neighbour_solicits_sent += u64::from(queued);
        queued
    }

    /// Asks whether anybody has the address that we are to use, with a nonce (RFC 4862 §5.4.2, RFC 7527 §4.1).
    pub(in crate::stack) fn send_probe(
        &mut self,
        on: InterfaceId,
        target: Ipv6Addr,
        nonce: Nonce,
        asks: Option<Asks>,
    ) -> bool {
        let options = Options::nonce_bytes(nonce);
        let options = Options::new(&options);
        let message = Message::NeighborSolicitation { target, options };
        let ends = (Ipv6Addr::UNSPECIFIED, ipv6::solicited_node(target));
        let frame = ndp_frame(ends, message, None);
        let queued = self.queue(on, Class::Ask, Outgoing { frame, asks });
        self.counters.neighbour_solicits_sent += u64::from(queued);
        queued
    }

    /// Tells all routers of the link that this address is ours, before they have to ask (RFC 9131 §3, §6.1.2; RFC 4861 §7.2.6); says
    /// whether it is queued. It counts once it has left.
    pub(in crate::stack) fn tell_routers(&mut self, on: InterfaceId, own: Ipv6Addr) -> bool {
        let interface = &self.interfaces[on.index()];
        let link = Options::target_link_address_bytes(interface.mac);
        // Nobody's place is taken by it.
        let mut flags = NeighborFlags::empty();
        flags.set(NeighborFlags::ROUTER, interface.is_router_v6());
        let message = Message::NeighborAdvertisement {
            flags,
            target: own,
            options: Options::new(&link),
        };
        let frame = ndp_frame((own, ipv6::ALL_ROUTERS), message, None);
        let asks = Some(Asks::Address(IpAddr::V6(own)));
        let queued = self.queue(on, Class::Ask, Outgoing { frame, asks });
        self.counters.neighbour_adverts_sent += u64::from(queued);
        queued
    }

    /// Asks all routers of the link to speak (RFC 4861 §6.3.7); says whether it is queued. It counts once it has left.
    pub(in crate::stack) fn send_router_solicitation(
        &mut self,
        on: InterfaceId,
        src: Ipv6Addr,
    ) -> bool {
        let own = Options::source_link_address_bytes(self.interfaces[on.index()].mac);
        // RFC 4861 §4.1: no link address from `::`.
        let len = if src.is_unspecified() { 0 } else { own.len() };
        let options = Options::new(&own[..len]);
        let message = Message::RouterSolicitation { options };
        let frame = ndp_frame((src, ipv6::ALL_ROUTERS), message, None);
        let asks = Some(Asks::Routers);
        let queued = self.queue(on, Class::Ask, Outgoing { frame, asks });
        self.counters.router_solicits_sent += u64::from(queued);
        queued
    }

    /// Answers a solicitation for our address `target` (RFC 4861 §7.2.4).
    ///
    /// To the station that asks when it says who it is, so that answering needs no look-up.
    pub(in crate::stack) fn advertise(&mut self, on: InterfaceId, asked: &Asked) {
        let &Asked {
            target,
            by: to,
            mac,
        } = asked;
        let own = Options::target_link_address_bytes(self.interfaces[on.index()].mac);
        let options = Options::new(&own);
        let interface = &self.interfaces[on.index()];
        let (router, addresses) = (interface.is_router_v6(), &interface.addresses);
        let own = IpAddr::V6(target);
        // It may have gone while its answer waited.
        if !addresses.is_assigned(own) {
            return;
        }
        let anycast = addresses.is_anycast(own);
        let replaces = addresses.is_sure(own) && !anycast;
        // RFC 4861 §4.4: from an address of the interface.
        let unicast = addresses.first_v6().filter(|_| anycast);
        let source = unicast.unwrap_or(target);
        let (dst, mut flags) = if to.is_unspecified() {
            (ipv6::ALL_NODES, NeighborFlags::empty())
        } else {
            (to, NeighborFlags::SOLICITED)
        };
        // RFC 4429 §3.3, RFC 4861 §7.2.7: what may be another's, or is, takes nobody's place.
        flags.set(NeighborFlags::OVERRIDE, replaces);
        // RFC 4861 §4.4: who passes packets on is a router.
        flags.set(NeighborFlags::ROUTER, router);
        let message = Message::NeighborAdvertisement {
            flags,
            target,
            options,
        };
        let frame = ndp_frame((source, dst), message, mac);
        let queued = self.queue(on, Class::Neighbour, Outgoing { frame, asks: None });
        self.counters.neighbour_adverts_sent += u64::from(queued);
    }
}

impl Stack {
    /// A neighbour discovery message came in.
    pub(in crate::stack) fn handle_ndp(
        &mut self,
        now: Instant,
        packet: &Inbound,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let (header, _) =
            ipv6::Header::parse_quoted(&packet.quote).map_err(|_| DropReason::NdpInvalid)?;
        message.check(&header).map_err(|_| DropReason::NdpInvalid)?;
        let on = packet.on;
        if !self.net.interfaces[on.index()].is_ethernet() {
            return Err(DropReason::IcmpIgnored);
        }
        match *message {
            Message::NeighborSolicitation { target, options } => {
                self.handle_solicitation(now, packet, (header.src(), target), options)
            }
            Message::NeighborAdvertisement {
                flags,
                target,
                options,
            } => {
                let mac = options.target_link_address();
                self.handle_advertisement(now, packet, flags, target, mac)
            }
            Message::RouterAdvertisement {
                hop_limit,
                flags,
                lifetime,
                reachable_time,
                retrans_timer,
                options,
            } => {
                let advert = Advertisement {
                    hop_limit,
                    flags,
                    lifetime,
                    reachable_time,
                    retrans_timer,
                    options,
                };
                self.handle_router_advertisement(now, packet, header.src(), &advert)
            }
            Message::Redirect {
                target,
                destination,
                options,
            } => self.handle_redirect_v6(now, packet, (target, destination), options),
            // RFC 4861 §6.2.6: hosts drop solicitations.
            Message::RouterSolicitation { .. } => Err(DropReason::IcmpIgnored),
        }
    }

    /// RFC 4861 §7.2.3, §7.2.4; RFC 4862 §5.4.3.
    fn handle_solicitation(
        &mut self,
        now: Instant,
        packet: &Inbound,
        (source, target): (Ipv6Addr, Ipv6Addr),
        options: Options<'_>,
    ) -> Result<(), DropReason> {
        let on = packet.on;
        let interface = &self.net.interfaces[on.index()];
        let state = interface.addresses.state(IpAddr::V6(target));
        match state {
            Some(AddressState::Preferred | AddressState::Deprecated) => {}
            // RFC 4429 §3.3: who asks by an address of its own is answered.
            Some(AddressState::Optimistic) if !source.is_unspecified() => {}
            Some(AddressState::Tentative | AddressState::Optimistic) => {
                // Another station probes for it too, unless it is our own probe come back: its nonce tells, and
                // without one the sender does.
                let station = packet.link_src;
                let own = match options.nonce() {
                    Some(nonce) => self.net.is_own_probe(on, target, nonce),
                    None => station == Some(interface.mac),
                };
                if source.is_unspecified() && !own {
                    self.net.conflict(now, on, IpAddr::V6(target), station);
                }
                return Err(DropReason::IpTentative);
            }
            Some(AddressState::Duplicate) | None => return Err(DropReason::IpNotOurs),
        }
        let mac = options.source_link_address();
        let mac = mac.filter(|mac| mac.is_unicast());
        if let Some(mac) = mac {
            let key = (on, IpAddr::V6(source));
            let create = self.net.is_on_link(key.0, key.1);
            self.net.heard(now, key, Heard::Asks { mac, create });
        }
        // Who does not say its address gets the answer where its question came from: an answer makes
        // no entry, for the source may be anybody's.
        let to = mac.or(packet.link_src).filter(|_| !source.is_unspecified());
        let asked = Asked {
            target,
            by: source,
            mac: to,
        };
        let interface = &self.net.interfaces[on.index()];
        if interface.addresses.is_anycast(IpAddr::V6(target)) {
            self.net.answer_later(now, on, asked);
        } else {
            self.net.advertise(on, &asked);
        }
        Ok(())
    }

    /// RFC 4861 §7.2.5; RFC 4862 §5.4.4. It speaks of its target, not of its sender (r64).
    fn handle_advertisement(
        &mut self,
        now: Instant,
        packet: &Inbound,
        flags: NeighborFlags,
        target: Ipv6Addr,
        mac: Option<MacAddr>,
    ) -> Result<(), DropReason> {
        let on = packet.on;
        let address = IpAddr::V6(target);
        let interface = &self.net.interfaces[on.index()];
        // RFC 4861 §7.2.7: the other stations that have it say so as well.
        if interface.addresses.is_anycast(address) {
            return Err(DropReason::IcmpIgnored);
        }
        if interface.addresses.is_held(address) {
            let station = mac.or(packet.link_src);
            // Ours, come back over a link that loops, as with ARP. What is tentative we have not advertised.
            if station == Some(interface.mac) && interface.addresses.is_assigned(address) {
                return Err(DropReason::IcmpIgnored);
            }
            self.net.conflict(now, on, address, station);
            return Ok(());
        }
        if mac.is_some_and(|mac| !mac.is_unicast()) {
            return Err(DropReason::NdpInvalid);
        }
        let heard = Heard::Advertises {
            mac,
            solicited: flags.contains(NeighborFlags::SOLICITED),
            overrides: flags.contains(NeighborFlags::OVERRIDE),
        };
        let taken = self.net.heard(now, (on, IpAddr::V6(target)), heard);
        // RFC 4861 §7.2.5: who was a router is none any more.
        if taken && !flags.contains(NeighborFlags::ROUTER) {
            self.net.on_no_router(now, on, target);
        }
        Ok(())
    }
}

/// A neighbour discovery message, to a group or to the station whose address is known.
fn ndp_frame(
    (src, dst): (Ipv6Addr, Ipv6Addr),
    message: Message<'_>,
    mac: Option<MacAddr>,
) -> Frame {
    let mut bytes = [0; MAX_MESSAGE];
    let len = Icmpv6::Ndp(message).emit(src, dst, &mut bytes);
    let flow = Flow {
        src: IpAddr::V6(src),
        dst: IpAddr::V6(dst),
        next_hop: IpAddr::V6(dst),
        ttl: ndp::HOP_LIMIT,
        tos: 0,
        label: Label::default(),
    };
    let mut packet = OwnedPacket::new(flow, Protocol::ICMPV6, &bytes[..len], Bytes::new());
    let group = dst.is_multicast().then(|| ethernet::ipv6_multicast(dst));
    packet.link_dst = mac.or(group);
    Frame::Packet(packet)
}
