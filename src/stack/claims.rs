//! The claims of one port: who is bound to it, at which addresses, on which interface, and shared with whom.
//!
//! *Owns* them, in the order of addresses, so that neither a look-up nor a new claim looks at those of other addresses; those of one are few: as
//! many as share it, and one for each interface. *Does not* know flows, nor ports: `demux` does.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::RangeInclusive;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::ids::InterfaceId;
use super::tuple::is_link_local;

/// The addresses that one claim of a port covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bound {
    /// One address, with its zone when it is link-local.
    One(IpAddr, u32),
    /// `0.0.0.0`: every IPv4 address.
    AnyV4,
    /// `[::]`: every IPv6 address.
    AnyV6,
}

impl Bound {
    pub(crate) const fn any(family: IpAddr) -> Self {
        match family {
            IpAddr::V4(_) => Self::AnyV4,
            IpAddr::V6(_) => Self::AnyV6,
        }
    }

    /// An address in whichever zone.
    const fn zones(ip: IpAddr) -> RangeInclusive<Self> {
        Self::One(ip, 0)..=Self::One(ip, u32::MAX)
    }

    /// All that cover other addresses as well, or only some of the same.
    const fn others(self) -> RangeInclusive<Self> {
        let (first, last): (IpAddr, IpAddr) = match self {
            Self::One(ip, _) => return Self::any(ip)..=Self::any(ip),
            Self::AnyV4 => (
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V4(Ipv4Addr::BROADCAST),
            ),
            Self::AnyV6 => (
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
            ),
        };
        Self::One(first, 0)..=Self::One(last, u32::MAX)
    }
}

/// The claims of one local endpoint: two when `[::]` takes IPv4 as well.
pub(crate) fn claims_of(local: SocketAddr, zone: u32, dual_stack: bool) -> ([Bound; 2], usize) {
    let ip = local.ip();
    if !ip.is_unspecified() {
        let zone = if is_link_local(ip) { zone } else { 0 };
        ([Bound::One(ip, zone); 2], 1)
    } else if ip.is_ipv6() && dual_stack {
        ([Bound::AnyV6, Bound::AnyV4], 2)
    } else {
        ([Bound::any(ip); 2], 1)
    }
}

/// All that an endpoint which was bound may have claimed; its scope id is its zone.
fn at_most(local: SocketAddr) -> ([Bound; 2], usize) {
    let zone = match local {
        SocketAddr::V6(a) => a.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    claims_of(local, zone, true)
}

/// A claim of a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<B> {
    pub(super) bound: Bound,
    pub(super) owner: B,
    pub(super) shared: Sharing,
    /// Of what comes in on this interface alone.
    on: Option<InterfaceId>,
    /// Its owner has a flow and takes nothing else.
    pub(super) connected: bool,
}

impl<B> Claim<B> {
    /// Does it take what comes in on `on`?
    fn hears(&self, on: InterfaceId) -> bool {
        self.on.is_none_or(|own| own == on)
    }

    /// Are there packets that a claim of the same addresses on `on` would take as well, without an agreement about it?
    fn clashes(&self, on: Option<InterfaceId>, shared: Sharing) -> bool {
        let apart = self.on.is_some() && on.is_some() && self.on != on;
        !apart && !self.shared.agrees(shared)
    }
}

/// Whom a claim is shared with: with those who agree to the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sharing {
    /// The last one takes what is for one host (`SO_REUSEADDR`).
    pub(crate) address: bool,
    /// One takes each flow (`SO_REUSEPORT`).
    pub(crate) port: bool,
}

impl Sharing {
    const fn agrees(self, other: Self) -> bool {
        self.address && other.address || self.port && other.port
    }

    const fn is_any(self) -> bool {
        self.address || self.port
    }
}

/// Why an endpoint cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    InUse,
    /// As many share the port as can.
    Crowded,
}

/// *Fixed*: claims of a port that is shared; so many copies of one datagram there are at most.
pub(crate) const MOST_SHARING: usize = 256;

/// All claims of one port.
#[derive(Debug)]
pub(super) struct Claims<B> {
    /// Those of each address in the order in which they were made; never none.
    by_bound: BTreeMap<Bound, Vec<Claim<B>>>,
    /// How many of them are shared.
    sharing: usize,
}

impl<B> Default for Claims<B> {
    fn default() -> Self {
        Self {
            by_bound: BTreeMap::new(),
            sharing: 0,
        }
    }
}

impl<B: Copy + PartialEq> Claims<B> {
    pub(super) fn is_empty(&self) -> bool {
        self.by_bound.is_empty()
    }

    /// Those of just these addresses.
    fn at(&self, bound: Bound) -> &[Claim<B>] {
        self.by_bound.get(&bound).map_or(&[], Vec::as_slice)
    }

    /// Who takes what comes to `ip` on `on`, of those that count: who is bound to that address, else to all.
    pub(super) fn taker(
        &self,
        on: InterfaceId,
        ip: IpAddr,
        counts: impl Fn(&Claim<B>) -> bool,
    ) -> Option<&Claim<B>> {
        let zone = if is_link_local(ip) { on.scope() } else { 0 };
        // What comes from within was sent to an address of ours, whichever link that is of.
        let own = if zone != 0 && on == InterfaceId::LOOPBACK {
            let zones = self.by_bound.range(Bound::zones(ip)).rev();
            let mut found = zones.filter_map(|(_, claims)| newest(claims, on, &counts));
            found.next()
        } else {
            newest(self.at(Bound::One(ip, zone)), on, &counts)
        };
        own.or_else(|| newest(self.at(Bound::any(ip)), on, &counts))
    }

    /// Those that share the claim by flows and are not connected, in the order in which they were bound.
    pub(super) fn alike(&self, claim: &Claim<B>) -> impl Iterator<Item = &Claim<B>> + Clone {
        let on = claim.on;
        let alike = move |other: &&Claim<B>| other.shared.port && other.on == on;
        let all = self.at(claim.bound).iter();
        all.filter(move |other| alike(other) && !other.connected)
    }

    /// All that take what comes to this group or broadcast address: who is bound to it, then who is to all, each in the order
    /// in which they were bound.
    pub(super) fn sharing(&self, on: InterfaceId, ip: IpAddr) -> impl Iterator<Item = B> + '_ {
        let own = self.at(Bound::One(ip, 0)).iter();
        let all = own.chain(self.at(Bound::any(ip)));
        let takers = all.filter(move |claim| claim.hears(on));
        takers.map(|claim| claim.owner)
    }

    /// Why these addresses cannot be claimed.
    pub(super) fn refusal(
        &self,
        own: &[Bound],
        (shared, on): (Sharing, Option<InterfaceId>),
    ) -> Option<Refused> {
        let clashes = |&bound: &Bound| {
            let others = self.by_bound.range(bound.others());
            let others = others.flat_map(|(_, claims)| claims);
            let mut all = self.at(bound).iter().chain(others);
            all.any(|claim| claim.clashes(on, shared))
        };
        if own.iter().any(clashes) {
            return Some(Refused::InUse);
        }
        // Those that share nothing are as many as there are addresses.
        let crowded = shared.is_any() && self.sharing >= MOST_SHARING;
        crowded.then_some(Refused::Crowded)
    }

    /// Adds a claim of these addresses, which [nothing refuses](Self::refusal).
    pub(super) fn add(
        &mut self,
        bound: Bound,
        owner: B,
        (shared, on): (Sharing, Option<InterfaceId>),
    ) {
        self.sharing += usize::from(shared.is_any());
        self.by_bound.entry(bound).or_default().push(Claim {
            bound,
            owner,
            shared,
            on,
            connected: false,
        });
    }

    /// Takes away what `owner` claimed when it was bound to `local`.
    pub(super) fn remove(&mut self, local: SocketAddr, owner: B) {
        let (bounds, count) = at_most(local);
        for &bound in &bounds[..count] {
            let Entry::Occupied(mut claims) = self.by_bound.entry(bound) else {
                continue;
            };
            let sharing = &mut self.sharing;
            claims.get_mut().retain(|claim| {
                let goes = claim.owner == owner;
                *sharing -= usize::from(goes && claim.shared.is_any());
                !goes
            });
            if claims.get().is_empty() {
                claims.remove();
            }
        }
    }

    /// What `owner` claimed when it was bound to `local` takes its flow alone from now on.
    pub(super) fn set_connected(&mut self, local: SocketAddr, owner: B) {
        let (bounds, count) = at_most(local);
        for bound in &bounds[..count] {
            let claims = self.by_bound.get_mut(bound).into_iter().flatten();
            for claim in claims.filter(|claim| claim.owner == owner) {
                claim.connected = true;
            }
        }
    }

    /// No two sockets claim the same packet.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let overlaps = |a: Bound, b: Bound| a == b || a.others().contains(&b);
        let all = || self.by_bound.values().flatten();
        for (at, a) in all().enumerate() {
            let clashes = |b: &&Claim<B>| overlaps(a.bound, b.bound) && b.clashes(a.on, a.shared);
            let clash = all().skip(at + 1).find(clashes);
            assert!(clash.is_none(), "two sockets claim {:?}", a.bound);
        }
        let sharing = all().filter(|claim| claim.shared.is_any());
        assert_eq!(sharing.count(), self.sharing);
    }
}

/// Of those that count the last: Linux finds the newest first; and before all those of the interface alone.
fn newest<'a, B>(
    claims: &'a [Claim<B>],
    on: InterfaceId,
    counts: &impl Fn(&Claim<B>) -> bool,
) -> Option<&'a Claim<B>> {
    let mut found = claims.iter().rev();
    let mut found = found
        .by_ref()
        .filter(|claim| claim.hears(on) && counts(claim));
    let first = found.next()?;
    let own = |claim: &&Claim<B>| claim.on.is_some();
    if own(&first) {
        return Some(first);
    }
    Some(found.find(own).unwrap_or(first))
}
