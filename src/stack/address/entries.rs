//! Addresses that come and go while a stack runs.
//!
//! RFC 4862 §5.5.4, RFC 1122 §3.3.1.1. *Owns* what belongs to an address and comes and goes with it: its groups, its place among
//! the owners, the route to its network, who waits for it. *Does not* own states and deadlines: [`Addresses`](super::Addresses)
//! does; nor sockets: a sweep looks for those that have lost theirs.

use core::net::IpAddr;
use core::time::Duration;
use std::io;

use super::{Address, AddressEvent, AddressNews, AddressState, Detection, Origin, below};
use crate::base::{Cidr, Instant, Random};
use crate::device::Medium;
use crate::stack::ids::InterfaceId;
use crate::stack::interface::{Interface, MIN_MTU_V6, is_group};
use crate::stack::net::Net;
use crate::stack::packet::Notice;

/// Why an address cannot be added, changed or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No such interface.
    #[error("the stack has no {0:?}")]
    Interface(InterfaceId),
    /// Loopback, multicast, broadcast or unspecified.
    #[error(
        "{0} cannot be an interface's address: it is a loopback, group or broadcast address, or nobody's; give a host's"
    )]
    Unusable(Cidr),
    /// An IPv6 address on a link whose MTU carries no IPv6 (RFC 8200 §5).
    #[error("{address} needs an MTU of at least {MIN_MTU_V6}, the interface has {mtu}")]
    Mtu {
        /// The address given.
        address: Cidr,
        /// The interface's MTU, in bytes.
        mtu: usize,
    },
    /// The interface has it.
    #[error("the interface has {0} already")]
    Exists(IpAddr),
    /// The interface does not have it.
    #[error("the interface has no {0}")]
    NotThere(IpAddr),
    /// An IPv4 address is one station's (RFC 5227).
    #[error("{0} cannot be anycast: only addresses of IPv6 are")]
    Anycast(IpAddr),
    /// It, or its network's broadcast address, is the gateway of a route: a router is another host (RFC 1122 §3.3.1).
    #[error("{0} is the gateway of a route")]
    Gateway(IpAddr),
}

impl From<AddressError> for io::Error {
    fn from(error: AddressError) -> Self {
        let kind = match error {
            AddressError::Interface(_) | AddressError::NotThere(_) => io::ErrorKind::NotFound,
            AddressError::Exists(_) => io::ErrorKind::AlreadyExists,
            AddressError::Unusable(_)
            | AddressError::Mtu { .. }
            | AddressError::Anycast(_)
            | AddressError::Gateway(_) => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

/// An address that is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewAddress {
    pub(crate) cidr: Cidr,
    pub(crate) origin: Origin,
    /// Probes before it is used, 0 for none; `None`: what its interface is set to.
    pub(crate) probes: Option<u8>,
    /// How long to wait before it is probed for, beside what is drawn.
    pub(crate) delay: Duration,
    pub(crate) preferred_until: Instant,
    pub(crate) valid_until: Instant,
    /// May it be used while it is probed for, where its interface is set so (RFC 4429 §3.1, §3.3)?
    pub(crate) hasty: bool,
    /// Has its network a route of its own? Not where somebody else says what is on the link (RFC 5942 §4).
    pub(crate) on_link: bool,
    /// Do other stations have it as well?
    pub(crate) anycast: bool,
}

impl NewAddress {
    /// One that stays for ever, whose network is on the link.
    pub(crate) const fn new(cidr: Cidr, origin: Origin) -> Self {
        Self {
            cidr,
            origin,
            probes: None,
            delay: Duration::ZERO,
            hasty: false,
            preferred_until: Instant::FAR_FUTURE,
            valid_until: Instant::FAR_FUTURE,
            on_link: true,
            anycast: false,
        }
    }
}

impl Interface {
    /// How an address is probed for here.
    pub(in crate::stack) fn detection(&self, new: &NewAddress, random: &mut Random) -> Detection {
        // Drawn for each, needed or not: what one address asks for moves no other's.
        let v6 = below(random, self.dad_delay);
        let (probes, delay) = match (self.line.capabilities.medium, new.cidr.address()) {
            (Medium::Ip, _) => (0, Duration::ZERO),
            // RFC 4862 §5.4: those that have it as well are no duplicates.
            _ if new.anycast => (0, Duration::ZERO),
            (Medium::Ethernet, IpAddr::V6(_)) => (new.probes.unwrap_or(self.dad_transmits), v6),
            (Medium::Ethernet, IpAddr::V4(_)) => {
                let by_default = if self.probe_v4 { self.acd_probes } else { 0 };
                let probes = new.probes.unwrap_or(by_default);
                // RFC 5227 §2.1.1: PROBE_WAIT.
                let delay = match probes {
                    0 => Duration::ZERO,
                    _ => below(random, self.acd_unit),
                };
                (probes, delay)
            }
        };
        // RFC 4429 §3.3: not a router's, and without a delay.
        let v6 = new.cidr.address().is_ipv6();
        let optimistic = new.hasty && v6 && self.optimistic_dad && !self.is_router_v6();
        let delay = match optimistic {
            true => Duration::ZERO,
            false => delay + new.delay,
        };
        Detection {
            probes,
            delay,
            optimistic,
        }
    }

    /// Adds an address that was judged, and joins its groups.
    pub(in crate::stack) fn give(&mut self, now: Instant, new: NewAddress, random: &mut Random) {
        let detection = self.detection(&new, random);
        self.groups.join_for(new.cidr);
        let ethernet = self.is_ethernet();
        self.addresses.add(now, new, detection, ethernet);
    }

    /// Can it be an address here?
    fn check_address(&self, new: &NewAddress) -> Result<(), AddressError> {
        let cidr = new.cidr;
        let (own, mtu) = (cidr.address(), self.mtu());
        if !can_be_ours(cidr) {
            return Err(AddressError::Unusable(cidr));
        }
        if own.is_ipv6() && mtu < MIN_MTU_V6 {
            let address = cidr;
            return Err(AddressError::Mtu { address, mtu });
        }
        if new.anycast && own.is_ipv4() {
            return Err(AddressError::Anycast(own));
        }
        if self.addresses.state(own).is_some() {
            return Err(AddressError::Exists(own));
        }
        Ok(())
    }
}

/// Is it one host's, and not this host's alone?
pub(in crate::stack) fn can_be_ours(cidr: Cidr) -> bool {
    let own = cidr.address();
    let unusable = match own {
        IpAddr::V4(a) => a.is_loopback() || a.octets()[0] == 0 || cidr.broadcast() == Some(a),
        IpAddr::V6(a) => a.is_loopback(),
    };
    !unusable && !is_group(own) && !own.is_unspecified()
}

impl Net {
    /// Adds an address; what it wants sent is queued.
    pub(in crate::stack) fn add_address(
        &mut self,
        now: Instant,
        on: InterfaceId,
        new: NewAddress,
    ) -> Result<(), AddressError> {
        let interface = self.interfaces.added(on.index());
        let interface = interface.ok_or(AddressError::Interface(on))?;
        interface.check_address(&new)?;
        let broadcasts = new.cidr.broadcasts().into_iter().flatten();
        let ours = broadcasts.map(IpAddr::V4).chain([new.cidr.address()]);
        for address in ours {
            if self.paths.routes.is_gateway(on, address) {
                return Err(AddressError::Gateway(address));
            }
        }
        self.interfaces[on.index()].give(now, new, &mut self.random);
        let entered = self.interfaces[on.index()]
            .addresses
            .get(new.cidr.address());
        if let Some(&address) = entered {
            self.enter_address(on, &address);
        }
        // RFC 4862 §5.4.2: its group is joined before it is probed for.
        self.on_groups_timeout(now, on);
        let mut steps = usize::MAX;
        self.on_interface_timeout(now, on, &mut steps);
        self.tell_state(on, new.cidr.address());
        Ok(())
    }

    /// An address that stands in its interface's list is one of ours for all others.
    pub(in crate::stack) fn enter_address(&mut self, on: InterfaceId, address: &Address) {
        let &Address { cidr, origin, .. } = address;
        self.owners.add(cidr.address(), on);
        if address.on_link {
            self.connect(on, cidr, origin);
        }
        // Somebody may have sent to it, as to another host.
        self.paths.change();
    }

    /// Takes an address away: nothing leaves from it or is taken for it from here on. Sockets that lose theirs by it are
    /// found by a sweep.
    pub(in crate::stack) fn remove_address(
        &mut self,
        now: Instant,
        on: InterfaceId,
        own: IpAddr,
    ) -> Result<Cidr, AddressError> {
        let interface = self.interfaces.added_mut(on.index());
        let interface = interface.ok_or(AddressError::Interface(on))?;
        let gone = interface.addresses.remove(own);
        let gone = gone.ok_or(AddressError::NotThere(own))?;
        let Address { cidr, origin, .. } = gone;
        if gone.state != AddressState::Duplicate {
            interface.groups.leave_for(cidr);
        }
        let waiters = interface.waiters.remove(&own);
        self.owners.remove(own, on);
        if gone.on_link {
            self.disconnect(on, cidr, origin);
        }
        self.paths.change();
        self.drop_leaving(on, own);
        self.drop_translations(on, own);
        self.fail_waiters(waiters);
        self.set_interface_timer(on);
        self.tell_address(on, &gone, AddressEvent::Gone);
        self.sweep_sockets(now);
        Ok(cidr)
    }

    /// How long an address stays, from now on.
    pub(in crate::stack) fn set_lifetimes(
        &mut self,
        now: Instant,
        on: InterfaceId,
        own: IpAddr,
        preferred_until: Instant,
        valid_until: Instant,
    ) -> Result<(), AddressError> {
        let interface = self.interfaces.added_mut(on.index());
        let interface = interface.ok_or(AddressError::Interface(on))?;
        let addresses = &mut interface.addresses;
        if addresses.state(own).is_none() {
            return Err(AddressError::NotThere(own));
        }
        let changed = addresses.set_lifetimes(now, own, preferred_until, valid_until);
        if changed.is_some() {
            self.tell_state(on, own);
        }
        self.set_interface_timer(on);
        Ok(())
    }

    /// RFC 5227 §1.1: PROBE_NUM, as the interface is set.
    pub(in crate::stack) fn acd_probes(&self, on: InterfaceId) -> u8 {
        self.interfaces.get(on.index()).map_or(0, |i| i.acd_probes)
    }

    /// Tells what an address that is in use is now.
    pub(super) fn tell_state(&mut self, on: InterfaceId, own: IpAddr) {
        let address = self.interfaces[on.index()].addresses.get(own).copied();
        let Some(address) = address else { return };
        let what = match address.state {
            AddressState::Preferred | AddressState::Optimistic => AddressEvent::Usable,
            AddressState::Deprecated => AddressEvent::Deprecated,
            AddressState::Tentative | AddressState::Duplicate => return,
        };
        self.tell_address(on, &address, what);
    }

    pub(super) fn tell_address(&mut self, on: InterfaceId, address: &Address, what: AddressEvent) {
        let &Address { cidr, origin, .. } = address;
        let news = AddressNews {
            on,
            cidr,
            origin,
            what,
        };
        self.notices.push_back(Notice::Address(news));
    }
}
