//! ARP and neighbour discovery in the stack: who is told what, and what is learned.
//!
//! RFC 826, RFC 5227, RFC 4861 §7.2, RFC 4862 §5.4. *Owns* the packets. *Does not* judge what the
//! neighbour table does with what was heard. Hosts ignore what routers advertise until SLAAC is there.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::Stack;
use super::address::{AddressState, Conflict};
use super::ids::{InterfaceId, RawId};
use super::interface::Interface;
use super::neighbour::{Heard, NeighbourKey};
use super::net::Net;
use super::outbox::{Asks, Class, Frame, Outgoing};
use super::packet::{Flow, Inbound, Notice, OwnedPacket};
use crate::base::{DropReason, Instant, MacAddr, Protocol};
use crate::ipv6::icmp::Message as Icmpv6;
use crate::ipv6::ndp::{self, Message, NeighborFlags, Options};
use crate::link::ethernet;
use crate::{arp, ipv6};

/// A solicitation or advertisement with one link address option.
const MAX_MESSAGE: usize = 32;

impl Net {
    /// Asks for a neighbour: everybody, or only the station that it was (RFC 4861 §7.2.2, RFC 1122
    /// §2.3.2.1 (2)).
    ///
    /// Says whether it is queued; it counts once it has left.
    pub(super) fn solicit(
        &mut self,
        id: RawId,
        key: NeighbourKey,
        source: IpAddr,
        mac: Option<MacAddr>,
    ) -> bool {
        let asks = Some(Asks::Neighbour(id));
        let (on, target) = key;
        let Interface {
            mac: own,
            ref addresses,
            ..
        } = self.interfaces[on.index()];
        match (target, source) {
            (IpAddr::V4(target), IpAddr::V4(source)) => {
                // As below: what is not ours, under `accept_foreign`, must not get our MAC.
                let ours = addresses.is_assigned(IpAddr::V4(source));
                let source = if ours {
                    Some(source)
                } else {
                    addresses.first_v4()
                };
                // RFC 5227 §2.1.1: a probe asks without saying who does.
                let source = source.unwrap_or(Ipv4Addr::UNSPECIFIED);
                let request = arp::Packet::request(own, source, target);
                let to = mac.unwrap_or(MacAddr::BROADCAST);
                self.ask_by_arp(on, to, request, asks)
            }
            (IpAddr::V6(target), IpAddr::V6(source)) => {
                let dst = if mac.is_some() {
                    target
                } else {
                    ipv6::solicited_node(target)
                };
                // RFC 4861 §7.2.2: the source of the packet that prompts it, if it is ours.
                let ours = addresses.is_assigned(IpAddr::V6(source));
                let source = if ours {
                    Some(source)
                } else {
                    addresses.first_v6()
                };
                match source {
                    Some(source) => self.send_solicitation(on, (source, dst), target, mac, asks),
                    // Nobody to ask as: it counts, so that who waits is told.
                    None => {
                        self.asked(self.now, on, Asks::Neighbour(id));
                        true
                    }
                }
            }
            _ => {
                debug_assert!(false, "{target} is not of the family of {source}");
                false
            }
        }
    }

    /// Asks whether anybody has this tentative address (RFC 4862 §5.4.2).
    pub(super) fn probe(&mut self, on: InterfaceId, address: Ipv6Addr) -> bool {
        let ends = (Ipv6Addr::UNSPECIFIED, ipv6::solicited_node(address));
        let asks = Some(Asks::Address(IpAddr::V6(address)));
        self.send_solicitation(on, ends, address, None, asks)
    }

    fn send_solicitation(
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

    /// Answers a solicitation for our address `target` (RFC 4861 §7.2.4).
    ///
    /// To the station that asks when it says who it is, so that answering needs no look-up.
    fn advertise(&mut self, on: InterfaceId, target: Ipv6Addr, to: Ipv6Addr, mac: Option<MacAddr>) {
        let own = Options::target_link_address_bytes(self.interfaces[on.index()].mac);
        let options = Options::new(&own);
        let (dst, flags) = if to.is_unspecified() {
            (ipv6::ALL_NODES, NeighborFlags::OVERRIDE)
        } else {
            (to, NeighborFlags::OVERRIDE | NeighborFlags::SOLICITED)
        };
        let message = Message::NeighborAdvertisement {
            flags,
            target,
            options,
        };
        let frame = ndp_frame((target, dst), message, mac);
        let queued = self.queue(on, Class::Neighbour, Outgoing { frame, asks: None });
        self.counters.neighbour_adverts_sent += u64::from(queued);
    }

    /// Somebody else uses, or wants, one of our addresses.
    fn conflict(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: IpAddr,
        station: Option<MacAddr>,
    ) {
        let addresses = &mut self.interfaces[on.index()].addresses;
        match addresses.on_conflict(now, address, station) {
            Conflict::NotOurs => return,
            Conflict::Counted => {}
            Conflict::Defend(own) => {
                // What found no room defended nothing: the next claim is answered.
                if self.announce(on, own, None) {
                    let addresses = &mut self.interfaces[on.index()].addresses;
                    addresses.defended(now, address);
                }
            }
            Conflict::Duplicate => {
                self.counters.addresses_duplicate += 1;
                // Those who waited for it try again, with another source or to fail.
                let waiters = self.interfaces[on.index()].waiters.remove(&address);
                let failed = waiters.into_iter().flatten().map(Notice::Failed);
                self.notices.extend(failed);
                self.set_interface_timer(on);
            }
        }
        self.counters.address_conflicts += 1;
    }
}

impl Stack {
    /// An ARP packet came in: RFC 826 "Packet Reception".
    pub(super) fn handle_arp(
        &mut self,
        now: Instant,
        on: InterfaceId,
        packet: &arp::Packet,
    ) -> Result<(), DropReason> {
        let interface = &self.net.interfaces[on.index()];
        // RFC 1812 §3.3.2: a group is nobody's own address (ARP-11).
        if !packet.sender_mac.is_unicast() {
            return Err(DropReason::ArpMalformed);
        }
        if packet.sender_mac == interface.mac {
            // Our own, come back.
            return Err(DropReason::ArpIgnored);
        }
        let own_mac = interface.mac;
        let (sender, target) = (IpAddr::V4(packet.sender), IpAddr::V4(packet.target));
        let ours = interface.addresses.is_assigned(target);
        if self.net.is_ours(sender, Some(on)) {
            self.net.conflict(now, on, sender, Some(packet.sender_mac));
            return Err(DropReason::ArpIgnored);
        }
        let is_reply = packet.operation == arp::Operation::REPLY;
        if !packet.is_probe() {
            let heard = if is_reply && ours {
                // As an advertisement whose S flag is set where we have asked: who answers unasked, and
                // maybe for another's MAC, is to be checked before it counts as reachable.
                Heard::Advertises {
                    mac: Some(packet.sender_mac),
                    solicited: self.net.neighbours.awaits((on, sender)),
                    overrides: true,
                }
            } else {
                // RFC 826: merge first; a new entry only if we are the target, and can answer there.
                Heard::Asks {
                    mac: packet.sender_mac,
                    create: ours && !is_reply && self.net.is_on_link(on, sender),
                }
            };
            self.net.heard(now, (on, sender), heard);
        }
        if ours && packet.operation == arp::Operation::REQUEST {
            // RFC 5227 §2.6: to who asked, not to everybody.
            let reply = packet.reply(own_mac);
            let frame = Frame::Arp(packet.sender_mac, reply);
            let queued = self
                .net
                .queue(on, Class::Neighbour, Outgoing { frame, asks: None });
            self.net.counters.arp_replies_sent += u64::from(queued);
        }
        Ok(())
    }

    /// A neighbour discovery message came in.
    pub(super) fn handle_ndp(
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
                let link = options.source_link_address();
                self.handle_solicitation(now, packet, header.src(), target, link)
            }
            Message::NeighborAdvertisement {
                flags,
                target,
                options,
            } => {
                let mac = options.target_link_address();
                self.handle_advertisement(now, packet, flags, target, mac)
            }
            // RFC 4861 §6.2.6: hosts drop solicitations; routers' messages wait for SLAAC.
            _ => Err(DropReason::IcmpIgnored),
        }
    }

    /// RFC 4861 §7.2.3, §7.2.4; RFC 4862 §5.4.3.
    fn handle_solicitation(
        &mut self,
        now: Instant,
        packet: &Inbound,
        source: Ipv6Addr,
        target: Ipv6Addr,
        mac: Option<MacAddr>,
    ) -> Result<(), DropReason> {
        let on = packet.on;
        let interface = &self.net.interfaces[on.index()];
        let state = interface.addresses.state(IpAddr::V6(target));
        match state {
            Some(AddressState::Preferred) => {}
            Some(AddressState::Tentative) => {
                // Another station probes for it too, unless it is our own probe come back.
                if source.is_unspecified() && packet.link_src != Some(interface.mac) {
                    let station = packet.link_src;
                    self.net.conflict(now, on, IpAddr::V6(target), station);
                }
                return Err(DropReason::IpTentative);
            }
            Some(AddressState::Duplicate) | None => return Err(DropReason::IpNotOurs),
        }
        let mac = mac.filter(|mac| mac.is_unicast());
        if let Some(mac) = mac {
            let key = (on, IpAddr::V6(source));
            let create = self.net.is_on_link(key.0, key.1);
            self.net.heard(now, key, Heard::Asks { mac, create });
        }
        // Who does not say its address gets the answer where its question came from: an answer makes
        // no entry, for the source may be anybody's.
        let to = mac.or(packet.link_src).filter(|_| !source.is_unspecified());
        self.net.advertise(on, target, source, to);
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
        let target = IpAddr::V6(target);
        if self.net.interfaces[on.index()].addresses.is_held(target) {
            let station = mac.or(packet.link_src);
            self.net.conflict(now, on, target, station);
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
        self.net.heard(now, (on, target), heard);
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
    };
    let mut packet = OwnedPacket::new(flow, Protocol::ICMPV6, &bytes[..len], Bytes::new());
    let group = dst.is_multicast().then(|| ethernet::ipv6_multicast(dst));
    packet.link_dst = mac.or(group);
    Frame::Packet(packet)
}
