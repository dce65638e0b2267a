//! IPv4 link-local addresses: one of an interface's own choosing, where nobody gives it another.
//!
//! RFC 3927 §1.9, §2.1, §2.2.1, §2.5 (b). *Owns* which address is tried, and whether there is one. *Does not* probe, announce or defend:
//! `address` does, as for any (RFC 5227). Invariants: an interface has one of them at most; none is chosen while another IPv4 address is
//! preferred, or tentative.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::Stack;
use super::address::{AddressState, NewAddress, Origin};
use super::ids::InterfaceId;
use super::interface::{Interface, InterfaceConfig};
use super::net::Net;
use crate::base::{Cidr, Instant, Random};

/// RFC 3927 §2.1: 169.254.1.0 to 169.254.254.255.
const FIRST: u32 = 0xa9fe_0100;
const COUNT: u64 = 254 * 256;
/// RFC 3927 §9: so many conflicts, and from then on one address in `RATE_LIMIT_INTERVAL`.
const MAX_CONFLICTS: u32 = 10;
const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);
/// *Fixed*: what uses it when another address comes has so long to end.
const LINGER: Duration = Duration::from_secs(600);
/// Draws for one that the interface does not have.
const DRAWS: usize = 8;

/// The choice of an interface.
#[derive(Debug)]
pub(crate) struct LinkLocalV4 {
    /// Of the seed and the MAC address: the same host tries the same ones, and no two hosts do (RFC 3927 §2.1).
    random: Random,
    /// Of those that were tried since one was in use.
    conflicts: u32,
    own: Option<Ipv4Addr>,
    /// Has a DHCP client the first word? Until it has heard no server.
    waits: bool,
}

impl LinkLocalV4 {
    fn draw(&mut self) -> Ipv4Addr {
        let at = u32::try_from(self.random.below(COUNT)).unwrap_or(0);
        Ipv4Addr::from_bits(FIRST + at)
    }
}

impl Interface {
    /// What another IPv4 address than `own` is, if there is one that counts.
    fn other_v4(&self, own: Option<IpAddr>) -> Option<AddressState> {
        let mut all = self.addresses.iter();
        let other = all.find(|address| {
            let ip = address.cidr.address();
            let counts = matches!(
                address.state,
                AddressState::Preferred | AddressState::Tentative
            );
            ip.is_ipv4() && Some(ip) != own && counts
        });
        other.map(|address| address.state)
    }
}

impl Net {
    /// An interface was added.
    pub(in crate::stack) fn begin_link_local_v4(
        &mut self,
        now: Instant,
        on: InterfaceId,
        config: &InterfaceConfig,
    ) {
        let interface = &mut self.interfaces[on.index()];
        if !config.link_local_v4 || !interface.is_ethernet() {
            return;
        }
        // Of a VLAN it is another than that of the interface whose MAC address it has.
        let tag = interface.tag.map(|tag| format!(" vlan {}", tag.id()));
        let label = format!(
            "ipv4 link-local {}{}",
            interface.mac,
            tag.unwrap_or_default()
        );
        let key = self.seed.key(&label);
        interface.link_local_v4 = Some(Box::new(LinkLocalV4 {
            random: Random::new(key),
            conflicts: 0,
            own: None,
            waits: config.dhcp.is_some(),
        }));
        self.settle_link_local_v4(now, on);
    }

    /// No DHCP server answers: it is time to help ourselves (RFC 3927 §2.11).
    pub(in crate::stack) fn on_no_dhcp_server(&mut self, now: Instant, on: InterfaceId) {
        if let Some(choice) = &mut self.interfaces[on.index()].link_local_v4 {
            choice.waits = false;
            self.settle_link_local_v4(now, on);
        }
    }

    /// Something became of an IPv4 address: the choice is made, taken up again, or left behind another (RFC 3927 §1.9).
    pub(in crate::stack) fn settle_link_local_v4(&mut self, now: Instant, on: InterfaceId) {
        let interface = &mut self.interfaces[on.index()];
        let Some(choice) = &mut interface.link_local_v4 else {
            return;
        };
        let (own, waits) = (choice.own.map(IpAddr::V4), choice.waits);
        let state = own.and_then(|own| interface.addresses.state(own));
        if matches!(
            state,
            Some(AddressState::Preferred | AddressState::Deprecated)
        ) {
            choice.conflicts = 0;
        }
        let other = interface.other_v4(own);
        match (own, other) {
            (Some(own), Some(AddressState::Preferred))
                if state == Some(AddressState::Preferred) =>
            {
                let _ = self.set_lifetimes(now, on, own, now, now + LINGER);
            }
            (Some(own), None) if state == Some(AddressState::Deprecated) => {
                let ever = Instant::FAR_FUTURE;
                let _ = self.set_lifetimes(now, on, own, ever, ever);
            }
            (None, None) if !waits => self.choose_link_local_v4(now, on),
            _ => {}
        }
    }

    fn choose_link_local_v4(&mut self, now: Instant, on: InterfaceId) {
        for _ in 0..DRAWS {
            let interface = &mut self.interfaces[on.index()];
            let probes = interface.acd_probes;
            let Some(choice) = &mut interface.link_local_v4 else {
                return;
            };
            let own = choice.draw();
            // RFC 3927 §2.2.1.
            let delay = match choice.conflicts {
                ..MAX_CONFLICTS => Duration::ZERO,
                _ => RATE_LIMIT_INTERVAL,
            };
            let Ok(cidr) = Cidr::new(IpAddr::V4(own), 16) else {
                return;
            };
            let new = NewAddress {
                probes: Some(probes),
                delay,
                ..NewAddress::new(cidr, Origin::Formed)
            };
            choice.own = Some(own);
            if self.add_address(now, on, new).is_ok() {
                return;
            }
            // A gateway's, or one that was given.
            if let Some(choice) = &mut self.interfaces[on.index()].link_local_v4 {
                choice.own = None;
            }
        }
    }

    /// Another station has it: the next one (RFC 3927 §2.2.1, §2.5 (b)).
    fn give_up_link_local_v4(&mut self, now: Instant, on: InterfaceId, address: IpAddr) {
        let choice = self.interfaces[on.index()].link_local_v4.as_mut();
        let Some(choice) = choice.filter(|choice| choice.own.map(IpAddr::V4) == Some(address))
        else {
            return;
        };
        choice.own = None;
        choice.conflicts = choice.conflicts.saturating_add(1);
        let removed = self.remove_address(now, on, address);
        debug_assert!(removed.is_ok(), "{address} was there");
        self.settle_link_local_v4(now, on);
    }

    /// Is there one that is used?
    pub(in crate::stack) fn has_link_local_v4(&self, on: InterfaceId) -> bool {
        let interface = self.interfaces.get(on.index());
        interface.is_some_and(|interface| {
            let own = interface
                .link_local_v4
                .as_ref()
                .and_then(|choice| choice.own);
            own.is_some_and(|own| interface.addresses.is_assigned(IpAddr::V4(own)))
        })
    }
}

impl Stack {
    /// An IPv4 address came into use, or is another station's, or is gone.
    pub(in crate::stack) fn on_ipv4_news(
        &mut self,
        now: Instant,
        on: InterfaceId,
        address: IpAddr,
        lost: bool,
    ) {
        let net = &mut self.net;
        let interface = &mut net.interfaces[on.index()];
        let held = interface.addresses.get(address).is_some();
        let Some(choice) = &mut interface.link_local_v4 else {
            return;
        };
        if lost && held {
            return net.give_up_link_local_v4(now, on, address);
        }
        if choice.own.map(IpAddr::V4) == Some(address) && !held {
            choice.own = None;
            if interface.other_v4(None) != Some(AddressState::Preferred) {
                // The user took it away: he wants none.
                interface.link_local_v4 = None;
                return;
            }
        }
        net.settle_link_local_v4(now, on);
    }
}
