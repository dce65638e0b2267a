//! ARP: what a packet says, and what it is answered.
//!
//! RFC 826, RFC 5227, RFC 1122 §2.3.2. *Owns* the packets. *Does not* judge what the table does with what was
//! heard.

use core::net::IpAddr;

use super::Heard;
use crate::arp;
use crate::base::{DropReason, Instant, MacAddr};
use crate::stack::Stack;
use crate::stack::address::AddressState;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{Asks, Class, Frame, Outgoing};
use crate::stack::net::Net;

impl Net {
    /// Queues an ARP request.
    pub(in crate::stack) fn ask_by_arp(
        &mut self,
        on: InterfaceId,
        to: MacAddr,
        packet: arp::Packet,
        asks: Option<Asks>,
    ) -> bool {
        let frame = Frame::Arp(to, packet);
        let queued = self.queue(on, Class::Ask, Outgoing { frame, asks });
        self.counters.arp_requests_sent += u64::from(queued);
        queued
    }
}

impl Stack {
    /// An ARP packet came in: RFC 826 "Packet Reception".
    pub(in crate::stack) fn handle_arp(
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
        // RFC 5227 §2.1.1: another station probes for what we probe for.
        let tentative = interface.addresses.state(target) == Some(AddressState::Tentative);
        if packet.is_probe() && tentative {
            self.net.conflict(now, on, target, Some(packet.sender_mac));
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
}
