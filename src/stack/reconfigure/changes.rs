//! What the stack tells its user of its interfaces: addresses, gateways, links.
//!
//! *Owns* the words, and what waits to be told: 256 changes, *fixed*; beyond that the oldest give way, and how many did is
//! told of each interface. *Does not* decide what is worth telling: whoever changes something does.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, VecDeque};

use crate::base::{Cidr, MacAddr};
use crate::dhcp::LossReason;
use crate::stack::ids::InterfaceId;
use crate::stack::{Call, Stack};

/// Changes that wait to be told, of all interfaces together.
const MOST: usize = 256;

/// Something about an interface has changed since it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// This address is in use: its duplicate detection is over, or it was deprecated, or it was added and needs
    /// none.
    AddressPreferred(Cidr),
    /// This one is the source of nothing new where there is another (RFC 4862 §5.5.4).
    AddressDeprecated(Cidr),
    /// This one is not ours any more; what used it has failed.
    AddressGone(Cidr),
    /// This one is another station's, as duplicate detection found (RFC 4862 §5.4.5, RFC 5227 §2.1.1): it is not used.
    AddressDuplicate(Cidr, Option<MacAddr>),
    /// Another station claims this one, which is in use and is defended (RFC 5227 §2.4); told once.
    AddressConflict(Cidr, Option<MacAddr>),
    /// This gateway does not answer: others come first, if there are any (RFC 1122 §3.3.1.4).
    GatewayFailed(IpAddr),
    /// It answers again.
    GatewayBack(IpAddr),
    /// A default router speaks that was not known (RFC 4861 §6.3.4).
    RouterFound(IpAddr),
    /// It is none any more: it said so, or has said nothing for long.
    RouterLost(IpAddr),
    /// Routers (RFC 8106), or servers of DHCPv6 (RFC 3646), tell of other servers or search domains of DNS than before.
    Dns,
    /// The link is up again.
    LinkUp,
    /// The link is down: nothing leaves, and nothing is taken.
    LinkDown,
    /// The interface was taken away: the last that is told of it.
    Removed,
    /// The largest IP packet that leaves, in bytes.
    Mtu(usize),
    /// A DHCP server has leased this address, which is in use once it was probed for
    /// ([`AddressPreferred`](Self::AddressPreferred)); [`Stack::lease`] has the rest.
    LeaseBound(Cidr),
    /// The lease was extended; its routes, MTU, name servers may be others.
    LeaseRenewed(Cidr),
    /// The lease is over, and what it brought is gone.
    LeaseLost(Ipv4Addr, LossReason),
    /// A server has refused this address, which was kept or offered; the search goes on.
    LeaseRefused(Ipv4Addr),
    /// A server has offered this address, and then not answered; the search begins anew.
    LeaseUnanswered(Ipv4Addr),
    /// No DHCP server has answered so far; the search goes on.
    NoDhcpServer,
    /// So many changes of this interface were not told, for they came faster than they were asked for. They came
    /// before those that are told after this.
    Missed(u64),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |f: &mut fmt::Formatter<'_>, station: &Option<MacAddr>| match station {
            Some(station) => write!(f, " {station}"),
            None => f.write_str(" another station"),
        };
        match self {
            Self::AddressPreferred(cidr) => write!(f, "address {cidr} is in use"),
            Self::AddressDeprecated(cidr) => write!(f, "address {cidr} is deprecated"),
            Self::AddressGone(cidr) => write!(f, "address {cidr} is gone"),
            Self::AddressDuplicate(cidr, station) => {
                write!(f, "address {cidr} belongs to")?;
                by(f, station)
            }
            Self::AddressConflict(cidr, station) => {
                write!(f, "address {cidr} is claimed by")?;
                by(f, station)
            }
            Self::GatewayFailed(gateway) => write!(f, "gateway {gateway} does not answer"),
            Self::GatewayBack(gateway) => write!(f, "gateway {gateway} answers again"),
            Self::RouterFound(router) => write!(f, "router {router} speaks"),
            Self::RouterLost(router) => write!(f, "router {router} is none any more"),
            Self::Dns => f.write_str("routers tell of other dns servers or domains"),
            Self::LinkUp => f.write_str("the link is up"),
            Self::LinkDown => f.write_str("the link is down"),
            Self::Removed => f.write_str("the interface was taken away"),
            Self::Mtu(mtu) => write!(f, "the mtu is {mtu}"),
            Self::LeaseBound(cidr) => write!(f, "a dhcp server has leased {cidr}"),
            Self::LeaseRenewed(cidr) => write!(f, "the lease of {cidr} was extended"),
            Self::LeaseLost(address, why) => {
                write!(f, "the lease of {address} is over: {why}")
            }
            Self::LeaseRefused(address) => write!(f, "a dhcp server refuses {address}"),
            Self::LeaseUnanswered(address) => {
                write!(f, "a dhcp server has offered {address} and does not answer")
            }
            Self::NoDhcpServer => f.write_str("no dhcp server answers"),
            Self::Missed(count) => write!(f, "{count} changes were not told"),
        }
    }
}

/// What waits to be told.
#[derive(Debug, Default)]
pub(in crate::stack) struct Changes {
    waiting: VecDeque<(InterfaceId, Change)>,
    missed: BTreeMap<InterfaceId, u64>,
}

impl Changes {
    /// Puts a change behind the others; the oldest gives way when there are too many.
    pub(in crate::stack) fn tell(&mut self, on: InterfaceId, change: Change) {
        if self.waiting.len() >= MOST
            && let Some((of, _)) = self.waiting.pop_front()
        {
            *self.missed.entry(of).or_default() += 1;
        }
        self.waiting.push_back((on, change));
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.missed.is_empty()
    }

    fn poll(&mut self) -> Option<(InterfaceId, Change)> {
        if let Some((on, count)) = self.missed.pop_first() {
            return Some((on, Change::Missed(count)));
        }
        self.waiting.pop_front()
    }
}

impl Stack {
    /// The oldest change of an interface that was not told yet. Asked after each turn, or now and then: up to 256 wait,
    /// and [`Change::Missed`] tells of those that did not.
    pub fn poll_change(&mut self) -> Option<(InterfaceId, Change)> {
        if self.changes.is_empty() {
            return None;
        }
        self.note_call(None, |_| Call::PollChange);
        let change = self.changes.poll();
        self.note_outcome(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/limits.md: the oldest give way, and each interface hears how many of its own did.
    #[test]
    fn what_nobody_asks_for_is_bounded_and_counted() {
        let mut changes = Changes::default();
        let [one, two] = [0, 1].map(InterfaceId::from_index);
        for n in 0..MOST {
            changes.tell(if n < 3 { two } else { one }, Change::Mtu(n));
        }
        assert!(changes.missed.is_empty());
        for _ in 0..5 {
            changes.tell(two, Change::LinkUp);
        }
        assert_eq!(changes.waiting.len(), MOST);
        assert_eq!(changes.poll(), Some((one, Change::Missed(2))));
        assert_eq!(changes.poll(), Some((two, Change::Missed(3))));
        assert_eq!(changes.poll(), Some((one, Change::Mtu(5))));
        let rest = core::iter::from_fn(|| changes.poll()).count();
        assert_eq!((rest, changes.is_empty()), (MOST - 1, true));
    }
}
