//! How our addresses are claimed on the link, and defended: probes, announcements, conflicts.
//!
//! RFC 4862 §5.4, RFC 5227 §2.3, §2.4. *Owns* what leaves, and who is told. *Does not* own states and
//! deadlines: [`Addresses`](super::Addresses) does.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Conflict, Due};
use crate::base::{Instant, MacAddr};
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Asks;
use crate::stack::net::Net;
use crate::stack::packet::Notice;
use crate::stack::wheel::TimerKey;
use crate::{arp, ipv6};

impl Net {
    /// Asks whether anybody has this tentative address (RFC 4862 §5.4.2).
    fn probe(&mut self, on: InterfaceId, address: Ipv6Addr) -> bool {
        let ends = (Ipv6Addr::UNSPECIFIED, ipv6::solicited_node(address));
        let asks = Some(Asks::Address(IpAddr::V6(address)));
        self.send_solicitation(on, ends, address, None, asks)
    }

    /// Probes and announcements that are due.
    pub(crate) fn on_interface_timeout(&mut self, now: Instant, on: InterfaceId) {
        while let Some(due) = self.interfaces[on.index()].addresses.on_timeout(now) {
            match due {
                Due::Probe(own) => {
                    if !self.probe(on, own) {
                        let addresses = &mut self.interfaces[on.index()].addresses;
                        addresses.not_asked(now, IpAddr::V6(own));
                    }
                }
                Due::Announce(own) => {
                    let address = IpAddr::V4(own);
                    if !self.announce(on, own, Some(Asks::Address(address))) {
                        let addresses = &mut self.interfaces[on.index()].addresses;
                        addresses.not_asked(now, address);
                    }
                }
                Due::Usable(address) => self.wake_waiters(on, address),
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
                self.interfaces[on.index()].groups.leave_for(address);
                // Those who waited for it try again, with another source or to fail.
                let waiters = self.interfaces[on.index()].waiters.remove(&address);
                let failed = waiters.into_iter().flatten().map(Notice::Failed);
                self.notices.extend(failed);
                self.set_interface_timer(on);
            }
        }
        self.counters.address_conflicts += 1;
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
