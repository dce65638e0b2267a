//! How our addresses are claimed on the link, and defended: probes, announcements, conflicts.
//!
//! RFC 4862 §5.4, RFC 7527 §4, RFC 5227 §2.1, §2.3, §2.4. *Owns* what leaves, and who is told. *Does not* own states and
//! deadlines: [`Addresses`] does.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::BTreeSet;

use super::{
    ANNOUNCE_NUM, Address, AddressEvent, AddressState, Addresses, Conflict, Due, RETRANS_TIMER,
};
use crate::arp;
use crate::base::{Instant, MacAddr};
use crate::stack::ids::InterfaceId;
use crate::stack::interface::Asks;
use crate::stack::net::Net;
use crate::stack::packet::{Notice, Waiter};
use crate::stack::wheel::TimerKey;

/// In the six bytes of an option of eight.
pub(in crate::stack) type Nonce = [u8; 6];

/// Probes of an address that are known when they come back.
const NONCES_KEPT: u8 = 8;

impl Addresses {
    /// As a router says; `None`: it does not (RFC 4861 §6.3.4).
    pub(in crate::stack) fn set_retrans(&mut self, retrans: Option<Duration>) {
        self.retrans = retrans.unwrap_or(RETRANS_TIMER);
    }

    /// The routers of the link are told of addresses, or not.
    pub(in crate::stack) fn telling_routers(self, told: bool) -> Self {
        Self {
            told_routers: told,
            ..self
        }
    }

    /// It found no room: it is tried again, and does not count.
    pub(crate) fn not_asked(&mut self, now: Instant, address: IpAddr) {
        if let Some(&number) = self.numbers.get(&address) {
            self.set_due(number, Some(now + RETRANS_TIMER));
        }
    }

    /// All that are in use are announced anew: others may have forgotten them (RFC 5227 §2.3).
    pub(in crate::stack) fn announce_all(&mut self, now: Instant) {
        let v4 = |address: &Address| address.is_in_use() && address.cidr.address().is_ipv4();
        let meant = self.all.iter_mut().filter(|(_, address)| v4(address));
        let meant = meant.map(|(&number, address)| {
            address.left = ANNOUNCE_NUM;
            number
        });
        for number in meant.collect::<Vec<_>>() {
            self.set_due(number, Some(now));
        }
    }

    /// A defence of this address is on its way: the interval begins.
    pub(crate) fn defended(&mut self, now: Instant, address: IpAddr) {
        let number = self.numbers.get(&address);
        if let Some(own) = number.and_then(|number| self.all.get_mut(number)) {
            own.defended = Some(now);
        }
    }

    /// Another probe for this address has a nonce: the number of that, from 0.
    fn next_nonce(&mut self, own: IpAddr) -> u8 {
        let number = self.numbers.get(&own);
        let Some(address) = number.and_then(|number| self.all.get_mut(number)) else {
            return 0;
        };
        let nonce = address.nonces;
        address.nonces = nonce.saturating_add(1);
        nonce
    }

    /// A probe for this address came back: that says nothing of who else is there (RFC 7527 §4.1).
    fn on_loop(&mut self, own: IpAddr) {
        let number = self.numbers.get(&own);
        if let Some(address) = number.and_then(|number| self.all.get_mut(number)) {
            address.on_loop();
        }
    }
}

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
                let interface = &mut self.interfaces[on.index()];
                let number = interface.addresses.next_nonce(address);
                let nonce = self.nonce(on, own, number);
                self.send_probe(on, own, nonce, asks)
            }
        }
    }

    /// What tells a probe of ours from another station's (RFC 7527 §4.1): each of an address's has its own.
    fn nonce(&self, on: InterfaceId, address: Ipv6Addr, number: u8) -> Nonce {
        let mut input = [0; 21];
        input[..16].copy_from_slice(&address.octets());
        input[16..20].copy_from_slice(&on.scope().to_be_bytes());
        input[20] = number;
        let [nonce @ .., _, _] = self.nonces.hash(&input).to_be_bytes();
        nonce
    }

    /// Did a probe for our tentative address come back to us, by its nonce?
    pub(in crate::stack) fn is_own_probe(
        &mut self,
        on: InterfaceId,
        address: Ipv6Addr,
        nonce: Nonce,
    ) -> bool {
        let own = IpAddr::V6(address);
        let sent = self.interfaces[on.index()].addresses.get(own);
        let sent = sent.map_or(0, |own| own.nonces);
        // What left long ago has come back long ago.
        let mut late = (sent.saturating_sub(NONCES_KEPT)..sent).rev();
        let ours = late.any(|number| self.nonce(on, address, number) == nonce);
        if ours {
            self.counters.probes_looped += 1;
            self.interfaces[on.index()].addresses.on_loop(own);
        }
        ours
    }

    /// Probes, announcements and answers that are due, and lives that are over; each takes one off `steps`.
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
                Due::Tell(own) => {
                    if !self.tell_routers(on, own) {
                        let addresses = &mut self.interfaces[on.index()].addresses;
                        addresses.not_asked(now, IpAddr::V6(own));
                    }
                }
                Due::Usable(own) => {
                    self.wake_waiters(on, own);
                    self.tell_state(on, own);
                }
                Due::Deprecated(own) => self.tell_state(on, own),
                Due::Answer(asked) => self.advertise(on, &asked),
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
            Conflict::Counted if before.may_go() => {
                self.tell_address(on, &before, AddressEvent::Insisted);
            }
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
                if before.state == AddressState::Optimistic {
                    // RFC 4429 §3.3: what leaves from it leaves no more.
                    self.drop_leaving(on, address);
                    self.paths.change();
                }
                let interface = &mut self.interfaces[on.index()];
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
        // An address that came or went has groups.
        self.set_groups_timer(on);
    }
}
