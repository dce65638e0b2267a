//! How our addresses are claimed on the link, and defended: probes, announcements, conflicts.
//!
//! RFC 4862 §5.4, RFC 5227 §2.1, §2.3, §2.4. *Owns* what leaves, and who is told. *Does not* own states and
//! deadlines: [`Addresses`](super::Addresses) does.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use super::{AddressEvent, Conflict, Due};
use crate::base::{Instant, MacAddr};
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Asks;
use crate::stack::net::Net;
use crate::stack::packet::{Notice, Waiter};
use crate::stack::wheel::TimerKey;
use crate::{arp, ipv6};

impl Net {
    /// Asks whether anybody has this tentative address (RFC 4862 §5.4.2, RFC 5227 §2.1.1).
    fn probe(&mut self, on: InterfaceId, address: IpAddr) -> bool {
        let asks = Some(Asks::Address(address));
        match address {
            IpAddr::V4(own) => {
                let mac = self.interfaces[on.index()].mac;
                self.ask_by_arp(on, MacAddr::BROADCAST, arp::Packet::probe(mac, own), asks)
            }
            IpAddr::V6(own) => {
                let ends = (Ipv6Addr::UNSPECIFIED, ipv6::solicited_node(own));
                self.send_solicitation(on, ends, own, None, asks)
            }
        }
    }

    /// Probes and announcements that are due, and lives that are over; each takes one off `steps`.
    pub(crate) fn on_interface_timeout(
        &mut self,
        now: Instant,
        on: InterfaceId,
        steps: &mut usize,
    ) {
        while *steps > 0
            && let Some(due) = self.interfaces[on.index()].addresses.on_timeout(now)
        {
            *steps -= 1;
            match due {
                Due::Probe(own) => {
                    if !self.probe(on, own) {
                        let addresses = &mut self.interfaces[on.index()].addresses;
                        addresses.not_asked(now, own);
                    }
                }
                Due::Announce(own) => {
                    let address = IpAddr::V4(own);
                    if !self.announce(on, own, Some(Asks::Address(address))) {
                        let addresses = &mut self.interfaces[on.index()].addresses;
                        addresses.not_asked(now, address);
                    }
                }
                Due::Usable(own) => {
                    self.wake_waiters(on, own);
                    self.tell_state(on, own);
                }
                Due::Deprecated(own) => self.tell_state(on, own),
                Due::Gone(own) => {
                    let removed = self.remove_address(now, on, own);
                    debug_assert!(removed.is_ok(), "{own} was due");
                }
            }
        }
        self.set_interface_timer(on);
    }

    /// Says to everybody that this address is ours (RFC 5227 §2.3).
    fn announce(&mut self, on: InterfaceId, address: Ipv4Addr, asks: Option<Asks>) -> bool {
        let mac = self.interfaces[on.index()].mac;
        let packet = arp::Packet::announcement(mac, address);
        self.ask_by_arp(on, MacAddr::BROADCAST, packet, asks)
    }

    /// Somebody else uses, or wants, one of our addresses.
    pub(in crate::stack) fn conflict(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: IpAddr,
        station: Option<MacAddr>,
    ) {
        let addresses = &mut self.interfaces[on.index()].addresses;
        let before = addresses.get(address).copied();
        let Some(before) = before else { return };
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
                let interface = &mut self.interfaces[on.index()];
                interface.groups.leave_for(before.cidr);
                // Those who waited for it try again, with another source or to fail.
                let waiters = interface.waiters.remove(&address);
                self.fail_waiters(waiters);
                self.set_interface_timer(on);
                self.tell_address(on, &before, AddressEvent::Duplicate(station));
                self.sweep_sockets(now);
                self.counters.address_conflicts += 1;
                return;
            }
        }
        self.counters.address_conflicts += 1;
        if before.disputed.is_none() {
            self.tell_address(on, &before, AddressEvent::Conflict(station));
        }
    }

    /// The address that these waited for is not to be had.
    pub(super) fn fail_waiters(&mut self, waiters: Option<BTreeSet<Waiter>>) {
        let failed = waiters.into_iter().flatten().map(Notice::Failed);
        self.notices.extend(failed);
    }

    /// This address may be used: who waited for it goes on.
    fn wake_waiters(&mut self, on: InterfaceId, address: IpAddr) {
        let waiters = self.interfaces[on.index()].waiters.remove(&address);
        for waiter in waiters.into_iter().flatten() {
            self.wake(on, waiter);
        }
    }

    pub(in crate::stack) fn set_interface_timer(&mut self, on: InterfaceId) {
        let due = self.interfaces[on.index()].addresses.next_due();
        let key = TimerKey::Interface(u32::try_from(on.index()).unwrap_or(u32::MAX));
        self.timers.set(key, due);
    }
}
